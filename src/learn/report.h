/* report.h - the monthly report of a service: one set of figures, shown as a page, on paper and as a table.
 *
 * GET core/reports/service/{id}?month=YYYY-MM[&format=json|pdf|xlsx]   (month: default this one)
 *   {"service":{"id","code","name","unit"},"month","from","to","made_at",
 *    "summary":{"availability":99.95|null,"alarms":3,"alarms_by_grade":[n1,n2,n3,n4],
 *               "tickets":{"opened","closed","open"},"sla":{"met","missed","percent"|null},
 *               "duties":{"done","due","overdue"}},
 *    "days":[{"day","availability"|null,"alarms","tickets"}],
 *    "checks":[{"id","name","availability"|null,"samples","no_data"}],
 *    "sla":[{"clock","label","met","missed","running","percent"|null}],
 *    "alarms":[{"id","title","grade","state","opened_at","cleared_at"|null,"count","minutes"|null}],
 *    "tickets":[{"id","number","title","level","state","state_label","opened_at","closed_at"|null,
 *                "clocks":[{"clock","label","state","limit_ms","used_ms","due_at","reached_at"}]}],
 *    "duties":[{"id","name","kind","interval","done","due","overdue"}],
 *    "more":{"alarms":n,"tickets":n}}      how many did not fit
 *    "rule":{"maintenance":"excluded|counted","text":"sentence","samples":n}
 * Availability is the share of samples that were up among those that say something, over all checks of the
 * service; a day without any is null, never 100.  Samples within maintenance windows (of the service, of the
 * check's subject or of what that stands on) are left out, unless the service's terms say that maintenance
 * counts; `rule` says which, and how many samples there were.  A clock counts as met or missed when it was
 * reached, or is past due; of tickets opened in the month. The same figures stand in all three forms.
 * Permission: ops.service.read with its scope. Threads: any.  Layer: learn. */
#pragma once
#include "learn/report_sql.h"
#include "net/http.h"

struct entity;
struct series_store;
struct learn;

#define REPORT_DAYS_MAX 31
#define REPORT_CHECKS_MAX 500
#define REPORT_DUTIES_MAX 500

struct report {
    int64_t service;
    const struct zone *zone;
    struct str code, name, unit;
    struct str month; /* "2026-11" */
    int64_t from_day, to_day, from_ms, to_ms, made_ms;
    int days_count;
    struct {
        int64_t up, total;
        int alarms, tickets;
    } days[REPORT_DAYS_MAX];
    int checks_count;
    struct {
        int64_t id, up, total, no_data;
        struct str name;
    } checks[REPORT_CHECKS_MAX];
    int64_t up, total;
    bool counted;        /* samples within maintenance windows count */
    int64_t maint_total; /* how many there were */
    int alarms_count, tickets_count, duties_count;
    int64_t alarms_total, tickets_total, closed, open;
    int64_t by_grade[4];
    struct alarm_line *alarms;
    struct ticket_line *tickets;
    struct {
        int64_t met, missed, running;
    } clocks[SLA_CLOCK__COUNT];
    int64_t met, missed;
    struct {
        int64_t id;
        bool inspection;
        struct str name, interval;
        int done, due, overdue;
    } duties[REPORT_DUTIES_MAX];
    int done, due, overdue;
};

/* What the renderers need besides the figures. */
struct report_view {
    const struct words *words;
    enum lang lang;
    struct arena *arena;
};

/* "99.95", or "" when there is nothing to divide by: never rounded up to 100. */
struct str report_percent(struct arena *arena, int64_t part, int64_t whole);
/* What the report does with maintenance windows, as a sentence. */
struct str report_rule(const struct report *report, const struct report_view *view);
/* "11-21 14:05" in the report's zone; "" for 0. */
struct str report_instant(const struct report *report, struct arena *arena, int64_t ms);

MUST_CHECK enum err_code report_json(const struct report *report, const struct report_view *view,
                                     json_t **out, struct err *err);
/* report_paper.c: PDF; report_sheet.c: xlsx.  Appended to `out`. */
MUST_CHECK enum err_code report_paper(const struct report *report, const struct report_view *view,
                                      struct buf *out, struct err *err);
MUST_CHECK enum err_code report_sheet(const struct report *report, const struct report_view *view,
                                      struct buf *out, struct err *err);

struct learn_config {
    struct store *store;
    struct entity *entity;
    struct series_store *series; /* NULL = no checks are measured */
    const struct clock *clock;
    const struct words *words;
    /* Does the subject stand on the base, directly or not?  NULL = none does. */
    bool (*stands_on)(void *ctx, int64_t subject, int64_t base, int64_t at_ms);
    void *stands_ctx;
    const struct zone *zone; /* of the days; NULL: UTC+8; must outlive it */
};
/* Copies the config.  ERR_NOMEM.  Caller frees. */
MUST_CHECK enum err_code learn_new(const struct learn_config *config, struct learn **out_learn,
                                   struct err *err);
void learn_free(struct learn *learn);
extern const struct route LEARN_ROUTES[]; /* ctx: the learn */

/* Rolls up the days [from_day, to_day) of all checks, or with `service` of its checks only. */
MUST_CHECK enum err_code learn_roll_up(struct learn *learn, int64_t service, int64_t from_day, int64_t to_day,
                                       struct err *err);
/* Makes the figures; `who` NULL is the program itself.  Everything lives in `arena`. */
struct principal;
MUST_CHECK enum err_code learn_report(struct learn *learn, const struct principal *who, enum lang lang,
                                      int64_t service, struct str month, struct arena *arena,
                                      const struct report **out, struct err *err);
