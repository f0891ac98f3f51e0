/* report.c - the figures of a monthly report, as JSON and over HTTP; the daily roll-up of availability. */
#include "learn/report.h"
#include "base/json.h"
#include "learn/duties.h"
#include "observe/series/series.h"
#include "platform/entity/entity.h"
#include "platform/identity/principal.h"

#include <stdlib.h>

#define HOUR_MS INT64_C(3600000)
#define CHECKS_MAX 20000
#define RECORDS_BYTES_MAX ((size_t)64 << 20)
#define SERIES_OF_CHECK_MAX 64 /* probe nodes of one check */
#define POINTS_MAX (24 * 4 * 40)
#define LATE_DAYS 8 /* samples may come that much later */
#define FORMAT_MAX ((size_t)32 << 20)
#define WINDOWS_MAX 5000

struct learn {
    struct learn_config config;
};

struct check_of {
    int64_t id, service, subject;
    struct str name;
};
/* A maintenance window; service and subject 0 = all. */
struct window {
    int64_t service, subject, begins_ms, ends_ms;
    bool with_children;
};
struct gather {
    struct window *windows; /* that touch the days, by beginning; NULL = not wanted */
    int windows_count;
    int64_t from_ms, to_ms;
    struct arena *arena;
    struct check_of *items;
    int count;
    int64_t service; /* 0 = all */
};

struct making {
    struct learn *learn;
    const struct principal *who;
    enum lang lang;
    struct arena *arena;
    struct report *report;
};

struct rolling {
    struct learn *learn;
    struct gather gather;
    struct availability_row *rows;
    int rows_count;
};

enum err_code learn_new(const struct learn_config *config, struct learn **out_learn, struct err *err)
{
    struct learn *learn = mem_alloc(1, sizeof(*learn));
    if (!learn)
        return err_nomem(err);
    learn->config = *config;
    *out_learn = learn;
    return ERR_OK;
}

void learn_free(struct learn *learn)
{
    mem_free(learn);
}

struct str report_percent(struct arena *arena, int64_t part, int64_t whole)
{
    int64_t hundredths;
    if (whole <= 0)
        return STR("");
    hundredths = part / whole * 10000 + part % whole * 10000 / whole; /* cut, so that 99.999 is no 100 */
    return arena_printf(arena, "%lld.%02lld", (long long)(hundredths / 100), (long long)(hundredths % 100));
}

struct str report_rule(const struct report *report, const struct report_view *view)
{
    return words_get(view->words, view->lang,
                     report->counted ? STR("report.rule.counted") : STR("report.rule.excluded"));
}

struct str report_instant(const struct report *report, struct arena *arena, int64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    if (!ms)
        return STR("");
    (void)clock_text(zone_local(report->zone, ms), 0, text);
    return arena_printf(arena, "%.5s %.5s", text + 5, text + 11);
}

/* ---- roll-up ---- */

static enum err_code each_check(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct gather *gather = arg;
    const int64_t service = record_id(record, "service");
    if (gather->service && service != gather->service)
        return ERR_OK;
    if (gather->count == CHECKS_MAX)
        return err_set(err, ERR_LIMIT, "report.too_many_checks", ARG_INT("max", CHECKS_MAX), ARG_END);
    gather->items[gather->count] = (struct check_of) { id, service, record_id(record, "subject"),
                                                       arena_str(gather->arena, record_str(record, "name")) };
    return gather->items[gather->count++].name.ptr ? ERR_OK : err_nomem(err);
}

static enum err_code each_window(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct gather *gather = arg;
    const struct window window = { record_id(record, "service"), record_id(record, "subject"),
                                   record_instant(record, "begins"), record_instant(record, "ends"),
                                   record_bool(record, "with_children") };
    (void)id;
    if (window.ends_ms <= gather->from_ms || window.begins_ms >= gather->to_ms)
        return ERR_OK;
    if (gather->windows_count == WINDOWS_MAX)
        return err_set(err, ERR_LIMIT, "report.too_many_windows", ARG_INT("max", WINDOWS_MAX), ARG_END);
    gather->windows[gather->windows_count++] = window;
    return ERR_OK;
}

static int by_beginning(const void *a, const void *b)
{
    const struct window *x = a, *y = b;
    return (x->begins_ms > y->begins_ms) - (x->begins_ms < y->begins_ms);
}

static enum err_code gather_windows(const struct learn *learn, struct tx *tx, struct gather *gather,
                                    struct err *err)
{
    const struct entity_type *type = entity_type_find(learn->config.entity, "ops.maintenance");
    const struct entity_call call = { .entity = learn->config.entity,
                                      .arena = type ? arena_new(RECORDS_BYTES_MAX) : NULL };
    enum err_code rc = ERR_OK;
    gather->windows_count = 0;
    gather->windows = arena_alloc(gather->arena, WINDOWS_MAX, sizeof(*gather->windows));
    if (!gather->windows || (type && !call.arena))
        rc = err_nomem(err);
    else if (type)
        rc = entity_each(&call, tx, type, (struct str) { 0 }, each_window, gather, err);
    arena_free(call.arena);
    if (!rc && gather->windows_count)
        qsort(gather->windows, (size_t)gather->windows_count, sizeof(*gather->windows), by_beginning);
    return rc;
}

/* As the routing of alarms judges it: the whole service, the subject itself, what it stands on, or all. */
static bool window_covers(const struct learn *learn, const struct window *window,
                          const struct check_of *check)
{
    if (!window->subject)
        return !window->service || window->service == check->service;
    if (window->subject == check->subject)
        return true;
    return window->with_children && check->subject && learn->config.stands_on &&
           learn->config.stands_on(learn->config.stands_ctx, check->subject, window->subject,
                                   window->begins_ms);
}

/* The records have an arena of their own: entity_each() takes it back after each. */
static enum err_code gather_checks(const struct learn *learn, struct tx *tx, struct gather *gather,
                                   struct err *err)
{
    const struct entity_type *type = entity_type_find(learn->config.entity, "ops.check");
    const struct entity_call call = { .entity = learn->config.entity,
                                      .arena = type ? arena_new(RECORDS_BYTES_MAX) : NULL };
    enum err_code rc = ERR_OK;
    gather->count = 0;
    gather->items = arena_alloc(gather->arena, CHECKS_MAX, sizeof(*gather->items));
    if (!gather->items || (type && !call.arena))
        rc = err_nomem(err);
    else if (type)
        rc = entity_each(&call, tx, type, (struct str) { 0 }, each_check, gather, err);
    arena_free(call.arena);
    return rc;
}

static enum err_code gather_fn(struct tx *tx, void *arg, struct err *err)
{
    struct rolling *rolling = arg;
    const enum err_code rc = gather_checks(rolling->learn, tx, &rolling->gather, err);
    return rc ? rc : gather_windows(rolling->learn, tx, &rolling->gather, err);
}

static enum err_code put_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct rolling *rolling = arg;
    enum err_code rc = ERR_OK;
    for (int i = 0; !rc && i < rolling->rows_count; i++)
        rc = availability_put(tx, &rolling->rows[i], err);
    return rc;
}

/* Adds what one series has in [from, to) to the days, by steps that no day of the zone cuts. */
static enum err_code roll_span(struct rolling *rolling, int64_t series, int64_t from_ms, int64_t to_ms,
                               bool maintenance, struct availability_row *rows, int days, bool *out_any,
                               struct err *err)
{
    const struct zone *zone = rolling->learn->config.zone;
    /* steps begin at full hours of UTC, and not everywhere is that one of the wall */
    const bool whole = zone_offset_ms(zone, rolling->gather.from_ms) % HOUR_MS == 0 &&
                       zone_offset_ms(zone, rolling->gather.to_ms) % HOUR_MS == 0;
    struct series_point *points = NULL;
    size_t count = 0;
    const enum err_code rc =
        series_read(rolling->learn->config.series, series, from_ms, to_ms, whole ? HOUR_MS : HOUR_MS / 4,
                    SERIES_SUM, POINTS_MAX, rolling->gather.arena, &points, &count, err);
    if (rc)
        return rc == ERR_NOT_FOUND ? ERR_OK : rc;
    for (size_t p = 0; p < count; p++) {
        const int64_t day = zone_day(zone, points[p].at_ms) - rows[0].day;
        const int64_t total = (int64_t)points[p].good + points[p].failed;
        const int64_t up = points[p].good ? (int64_t)(points[p].value + 0.5) : 0;
        if (day < 0 || day >= days)
            continue;
        *out_any = true;
        if (maintenance) {
            rows[day].maint_total += total;
            rows[day].maint_up += up;
        } else {
            rows[day].total += total;
            rows[day].up += up;
            rows[day].no_data += points[p].no_data;
        }
    }
    return ERR_OK;
}

/* Windows that overlap are one: each sample is left out once. */
static enum err_code roll_windows(struct rolling *rolling, const struct check_of *check, int64_t series,
                                  struct availability_row *rows, int days, struct err *err)
{
    const struct gather *gather = &rolling->gather;
    int64_t done_ms = gather->from_ms;
    bool any = false;
    enum err_code rc = ERR_OK;
    for (int w = 0; !rc && w < gather->windows_count; w++) {
        const struct window *window = &gather->windows[w];
        const int64_t from = window->begins_ms > done_ms ? window->begins_ms : done_ms;
        const int64_t to = window->ends_ms < gather->to_ms ? window->ends_ms : gather->to_ms;
        if (from >= to || !window_covers(rolling->learn, window, check))
            continue;
        rc = roll_span(rolling, series, from, to, true, rows, days, &any, err);
        done_ms = to;
    }
    return rc;
}

/* One check over the days: the metric "up" of all its nodes. */
static enum err_code roll_check(struct rolling *rolling, const struct check_of *check, int64_t from_day,
                                int64_t to_day, struct err *err)
{
    struct series_store *series = rolling->learn->config.series;
    char id[24];
    const struct series_label labels[] = { { STR("check"), { id, 0 } }, { STR("metric"), STR("up") } };
    struct series_label with[2] = { labels[0], labels[1] };
    int64_t ids[SERIES_OF_CHECK_MAX];
    const int days = (int)(to_day - from_day);
    struct availability_row *rows = rolling->rows + rolling->rows_count;
    size_t count;
    bool any = false;
    enum err_code rc = ERR_OK;
    with[0].value.len = (size_t)snprintf(id, sizeof(id), "%lld", (long long)check->id);
    count = series_select(series, with, 2, ids, SERIES_OF_CHECK_MAX);
    for (int d = 0; d < days; d++)
        rows[d] = (struct availability_row) {
            .check = check->id, .day = from_day + d, .service = check->service, .subject = check->subject
        };
    for (size_t s = 0; !rc && s < count && s < SERIES_OF_CHECK_MAX; s++) {
        rc = roll_span(rolling, ids[s], rolling->gather.from_ms, rolling->gather.to_ms, false, rows, days,
                       &any, err);
        if (!rc)
            rc = roll_windows(rolling, check, ids[s], rows, days, err);
    }
    if (!rc && any)
        rolling->rows_count += days;
    return rc;
}

enum err_code learn_roll_up(struct learn *learn, int64_t service, int64_t from_day, int64_t to_day,
                            struct err *err)
{
    struct rolling rolling = { .learn = learn,
                               .gather = { .service = service,
                                           .from_ms = zone_day_start(learn->config.zone, from_day),
                                           .to_ms = zone_day_start(learn->config.zone, to_day) } };
    const int64_t days = to_day - from_day;
    enum err_code rc;
    if (!learn->config.series || days <= 0)
        return ERR_OK;
    if (days > 40)
        return err_set(err, ERR_LIMIT, "report.too_many_days", ARG_INT("max", 40), ARG_END);
    rolling.gather.arena = arena_new((size_t)256 << 20);
    rolling.rows = rolling.gather.arena ? arena_alloc(rolling.gather.arena, 1, sizeof(*rolling.rows)) : NULL;
    rc = rolling.rows ? store_read(learn->config.store, gather_fn, &rolling, err) : err_nomem(err);
    for (int i = 0; !rc && i < rolling.gather.count; i++) { /* one check, one transaction */
        const struct arena_mark mark = arena_mark(rolling.gather.arena);
        rolling.rows_count = 0;
        rolling.rows = arena_alloc(rolling.gather.arena, (size_t)days, sizeof(*rolling.rows));
        rc = rolling.rows ? roll_check(&rolling, &rolling.gather.items[i], from_day, to_day, err)
                          : err_nomem(err);
        if (!rc && rolling.rows_count)
            rc = store_write(learn->config.store, put_fn, &rolling, err);
        arena_release(rolling.gather.arena, mark);
    }
    arena_free(rolling.gather.arena);
    return rc ? err_in(err, "learn.roll_up") : ERR_OK;
}

/* ---- figures ---- */

static void count_clocks(struct report *report)
{
    for (int i = 0; i < report->tickets_count; i++)
        for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
            const struct ticket_clock *clock = &report->tickets[i].clocks[c];
            if (!clock->agreed || clock->state == SLA_STATE_WAIVED || clock->state == SLA_STATE_NONE)
                continue;
            if (clock->state == SLA_STATE_MET) {
                report->clocks[c].met++;
                report->met++;
            } else if (clock->state == SLA_STATE_LATE || clock->state == SLA_STATE_BREACHED ||
                       (clock->due_ms && report->made_ms > clock->due_ms)) {
                report->clocks[c].missed++;
                report->missed++;
            } else {
                report->clocks[c].running++;
            }
        }
}

static enum err_code count_availability(struct making *making, struct tx *tx, struct err *err)
{
    struct report *report = making->report;
    struct gather gather = { .arena = tx_arena(tx), .service = report->service };
    struct availability_row *rows = NULL;
    int count = 0;
    enum err_code rc = gather_checks(making->learn, tx, &gather, err);
    if (!rc)
        rc = availability_rows(tx, report->service, report->from_day, report->to_day, &rows, &count, err);
    if (rc)
        return rc;
    for (int i = 0; i < gather.count && report->checks_count < REPORT_CHECKS_MAX; i++) {
        report->checks[report->checks_count].id = gather.items[i].id;
        report->checks[report->checks_count++].name = arena_str(making->arena, gather.items[i].name);
    }
    for (int i = 0; i < count; i++) {
        const int64_t day = rows[i].day - report->from_day;
        int k = 0;
        report->maint_total += rows[i].maint_total;
        if (!report->counted) {
            rows[i].up -= rows[i].maint_up;
            rows[i].total -= rows[i].maint_total;
        }
        report->days[day].up += rows[i].up;
        report->days[day].total += rows[i].total;
        report->up += rows[i].up;
        report->total += rows[i].total;
        while (k < report->checks_count && report->checks[k].id != rows[i].check)
            k++;
        if (k == report->checks_count) /* a check that was taken away since */
            continue;
        report->checks[k].up += rows[i].up;
        report->checks[k].total += rows[i].total;
        report->checks[k].no_data += rows[i].no_data;
    }
    return ERR_OK;
}

static enum err_code count_duties(struct making *making, struct tx *tx, const json_t *service,
                                  struct err *err)
{
    const struct entity_call call = { .entity = making->learn->config.entity,
                                      .arena = tx_arena(tx),
                                      .lang = making->lang };
    struct report *report = making->report;
    struct duty_rules *rules = NULL;
    struct duty_of *duties = NULL;
    const struct zone *zone = making->learn->config.zone;
    const int64_t today = zone_day(zone, report->made_ms);
    int count = 0;
    enum err_code rc;
    if (!entity_type_find(making->learn->config.entity, "ops.duty"))
        return ERR_OK;
    rc = duty_rules_load(&call, zone, tx, &rules, err);
    if (!rc)
        rc = duties_of(rules, tx, service, report->service,
                       today < report->to_day ? today : report->to_day - 1, tx_arena(tx), &duties, &count,
                       err);
    for (int i = 0; !rc && i < count && report->duties_count < REPORT_DUTIES_MAX; i++) {
        const struct duty_of *duty = &duties[i];
        int done = 0, due = 0, overdue = 0;
        for (int w = 0; w < duty->answer.count; w++) {
            const struct duty_window *window = &duty->answer.windows[w];
            /* of this month are the windows that end in it, and the one that runs */
            if (window->to_day <= report->from_day || window->from_day >= report->to_day)
                continue;
            if (window->to_day > report->to_day && window->state == DUTY_DUE && window->done == 0)
                continue; /* due later than this month */
            done += window->state == DUTY_DONE;
            due += window->state == DUTY_DUE;
            overdue += window->state == DUTY_OVERDUE;
        }
        done += duty->every.by_event ? duty->events : 0;
        if (!(done + due + overdue))
            continue;
        report->duties[report->duties_count].id = duty->id;
        report->duties[report->duties_count].inspection = duty->inspection;
        report->duties[report->duties_count].name = arena_str(making->arena, duty->name);
        report->duties[report->duties_count].interval = arena_str(making->arena, duty->interval);
        report->duties[report->duties_count].done = done;
        report->duties[report->duties_count].due = due;
        report->duties[report->duties_count++].overdue = overdue;
        report->done += done;
        report->due += due;
        report->overdue += overdue;
    }
    return rc;
}

static struct str copied(struct making *making, const json_t *record, const char *field)
{
    const struct str text = record_str(record, field);
    return text.len ? arena_str(making->arena, text) : STR("");
}

/* Texts of rows live in tx_arena(): keep them. */
static enum err_code keep(struct making *making, struct str *text, struct err *err)
{
    *text = arena_str(making->arena, *text);
    return text->ptr ? ERR_OK : err_nomem(err);
}

static enum err_code make_fn(struct tx *tx, void *arg, struct err *err)
{
    struct making *making = arg;
    struct report *report = making->report;
    const struct entity_call call = { .entity = making->learn->config.entity,
                                      .who = making->who,
                                      .arena = tx_arena(tx),
                                      .lang = making->lang,
                                      .labels = true };
    const struct entity_type *type = entity_type_find(making->learn->config.entity, "ops.service");
    json_t *service = NULL;
    enum err_code rc = type ? entity_get(&call, tx, type, report->service, &service, err)
                            : err_set(err, ERR_NOT_FOUND, "entity.not_found", ARG_END);
    if (rc)
        return rc;
    report->code = copied(making, service, "code");
    report->name = copied(making, service, "name");
    report->unit = copied(making, json_object_get(service, "_labels"), "unit");
    report->counted = str_eq(record_str(service, "maintenance"), STR("counted"));
    report->checks_count = report->duties_count = 0;
    rc = count_availability(making, tx, err);
    if (!rc)
        rc = report_alarms(tx, report->service, report->from_ms, report->to_ms, report->alarms,
                           &report->alarms_count, &report->alarms_total, err);
    if (!rc)
        rc = report_tickets(tx, report->service, report->from_ms, report->to_ms, report->tickets,
                            &report->tickets_count, &report->tickets_total, err);
    if (!rc)
        rc = report_flow(tx, report->service, report->from_ms, report->to_ms, &report->closed, &report->open,
                         err);
    if (!rc)
        rc = count_duties(making, tx, service, err);
    json_decref(service);
    for (int i = 0; !rc && i < report->alarms_count; i++) {
        const int64_t day =
            zone_day(making->learn->config.zone, report->alarms[i].opened_ms) - report->from_day;
        const int grade = report->alarms[i].grade;
        if (day >= 0 && day < report->days_count)
            report->days[day].alarms++;
        if (grade >= 1 && grade <= 4)
            report->by_grade[grade - 1]++;
        rc = keep(making, &report->alarms[i].title, err);
        if (!rc)
            rc = keep(making, &report->alarms[i].state, err);
    }
    for (int i = 0; !rc && i < report->tickets_count; i++) {
        const int64_t day =
            zone_day(making->learn->config.zone, report->tickets[i].opened_ms) - report->from_day;
        struct str *const texts[] = { &report->tickets[i].number, &report->tickets[i].title,
                                      &report->tickets[i].level, &report->tickets[i].state };
        if (day >= 0 && day < report->days_count)
            report->days[day].tickets++;
        for (int k = 0; !rc && k < 4; k++)
            rc = keep(making, texts[k], err);
    }
    if (!rc)
        count_clocks(report);
    return rc;
}

/* "2026-11" -> its days; "" = the month of now. */
static enum err_code month_set(struct report *report, const struct zone *zone, struct str month,
                               struct arena *arena, struct err *err)
{
    char text[DAY_TEXT_SIZE];
    int64_t day = zone_day(zone, report->made_ms);
    if (month.len) {
        const struct str first = arena_printf(arena, "%.*s-01", STR_ARG(month));
        struct err bad;
        if (!first.ptr)
            return err_nomem(err);
        if (month.len != 7 || day_parse(first, &day, &bad)) {
            (void)err_set(err, ERR_INVALID, "report.bad_month", ARG_STR("text", month), ARG_END);
            return err_pointer(err, STR("/month"));
        }
    }
    report->from_day = day_month_start(day, 0);
    report->to_day = day_month_start(day, 1);
    report->days_count = (int)(report->to_day - report->from_day);
    report->from_ms = zone_day_start(zone, report->from_day);
    report->to_ms = zone_day_start(zone, report->to_day);
    day_text(report->from_day, text);
    report->month = arena_printf(arena, "%.7s", text);
    return report->month.ptr ? ERR_OK : err_nomem(err);
}

enum err_code learn_report(struct learn *learn, const struct principal *who, enum lang lang, int64_t service,
                           struct str month, struct arena *arena, const struct report **out, struct err *err)
{
    struct report *report = arena_alloc(arena, 1, sizeof(*report));
    struct making making = { learn, who, lang, arena, report };
    int64_t today, from;
    enum err_code rc;
    if (!report)
        return err_nomem(err);
    report->service = service;
    report->zone = learn->config.zone;
    report->made_ms = clock_now(learn->config.clock);
    report->alarms = arena_alloc(arena, REPORT_ALARMS_MAX, sizeof(*report->alarms));
    report->tickets = arena_alloc(arena, REPORT_TICKETS_MAX, sizeof(*report->tickets));
    if (!report->alarms || !report->tickets)
        return err_nomem(err);
    rc = month_set(report, learn->config.zone, month, arena, err);
    if (rc)
        return rc;
    /* the newest days are not rolled up yet, or not for the last time */
    today = zone_day(learn->config.zone, report->made_ms) + 1;
    from = today - LATE_DAYS > report->from_day ? today - LATE_DAYS : report->from_day;
    rc = learn_roll_up(learn, service, from, today < report->to_day ? today : report->to_day, err);
    if (!rc)
        rc = store_read(learn->config.store, make_fn, &making, err);
    if (!rc)
        *out = report;
    return rc ? err_in(err, "report.make") : ERR_OK;
}

/* ---- JSON ---- */

/* The same figure as on paper: hundredths of a percent, cut. */
static json_t *share_json(int64_t part, int64_t whole)
{
    if (whole <= 0)
        return json_null();
    const int64_t hundredths = part / whole * 10000 + part % whole * 10000 / whole;
    return json_real((double)hundredths / 100.0);
}

static json_t *label_json(const struct report_view *view, const char *prefix, const char *name)
{
    char key[120];
    (void)snprintf(key, sizeof(key), "%s.%s", prefix, name);
    return json_str(words_has(view->words, view->lang, str_from(key))
                        ? words_get(view->words, view->lang, str_from(key))
                        : str_from(name));
}

static json_t *days_json(const struct report *report)
{
    json_t *list = json_array();
    for (int i = 0; i < report->days_count; i++) {
        char day[DAY_TEXT_SIZE];
        day_text(report->from_day + i, day);
        (void)json_array_append_new(list,
                                    json_pack("{s:s,s:o,s:i,s:i}", "day", day, "availability",
                                              share_json(report->days[i].up, report->days[i].total), "alarms",
                                              report->days[i].alarms, "tickets", report->days[i].tickets));
    }
    return list;
}

static json_t *tickets_json(const struct report *report, const struct report_view *view)
{
    json_t *list = json_array();
    for (int i = 0; i < report->tickets_count; i++) {
        const struct ticket_line *ticket = &report->tickets[i];
        json_t *clocks = json_array();
        char state[80];
        for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
            const struct ticket_clock *clock = &ticket->clocks[c];
            const char *name = sla_clock_name((enum sla_clock)c);
            if (clock->agreed)
                (void)json_array_append_new(
                    clocks,
                    json_pack("{s:s,s:o,s:s,s:o,s:I,s:I,s:o,s:o}", "clock", name, "label",
                              label_json(view, "sla.clock", name), "state", sla_state_name(clock->state),
                              "state_label", label_json(view, "sla.state", sla_state_name(clock->state)),
                              "limit_ms", (json_int_t)clock->limit_ms, "used_ms", (json_int_t)clock->used_ms,
                              "due_at", json_instant(clock->due_ms), "reached_at",
                              json_instant(clock->reached_ms)));
        }
        (void)snprintf(state, sizeof(state), "%.*s", (int)(ticket->state.len > 70 ? 70 : ticket->state.len),
                       ticket->state.ptr);
        (void)json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id",
                                                    json_id(ticket->id), "number", json_str(ticket->number),
                                                    "title", json_str(ticket->title), "level",
                                                    json_str(ticket->level), "state", json_str(ticket->state),
                                                    "state_label", label_json(view, "ops.state", state),
                                                    "opened_at", json_instant(ticket->opened_ms), "closed_at",
                                                    json_instant(ticket->closed_ms), "clocks", clocks));
    }
    return list;
}

enum err_code report_json(const struct report *report, const struct report_view *view, json_t **out,
                          struct err *err)
{
    json_t *checks = json_array(), *alarms = json_array(), *sla = json_array(), *duties = json_array();
    char from[DAY_TEXT_SIZE], to[DAY_TEXT_SIZE];
    for (int i = 0; i < report->checks_count; i++)
        (void)json_array_append_new(checks,
                                    json_pack("{s:o,s:o,s:o,s:I,s:I}", "id", json_id(report->checks[i].id),
                                              "name", json_str(report->checks[i].name), "availability",
                                              share_json(report->checks[i].up, report->checks[i].total),
                                              "samples", (json_int_t)report->checks[i].total, "no_data",
                                              (json_int_t)report->checks[i].no_data));
    for (int i = 0; i < report->alarms_count; i++) {
        const struct alarm_line *alarm = &report->alarms[i];
        (void)json_array_append_new(
            alarms, json_pack("{s:o,s:o,s:i,s:o,s:o,s:o,s:I,s:o}", "id", json_id(alarm->id), "title",
                              json_str(alarm->title), "grade", alarm->grade, "state", json_str(alarm->state),
                              "opened_at", json_instant(alarm->opened_ms), "cleared_at",
                              json_instant(alarm->cleared_ms), "count", (json_int_t)alarm->count, "minutes",
                              alarm->cleared_ms ? json_integer((alarm->cleared_ms - alarm->opened_ms) / 60000)
                                                : json_null()));
    }
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        const char *name = sla_clock_name((enum sla_clock)c);
        if (report->clocks[c].met + report->clocks[c].missed + report->clocks[c].running)
            (void)json_array_append_new(
                sla,
                json_pack(
                    "{s:s,s:o,s:I,s:I,s:I,s:o}", "clock", name, "label", label_json(view, "sla.clock", name),
                    "met", (json_int_t)report->clocks[c].met, "missed", (json_int_t)report->clocks[c].missed,
                    "running", (json_int_t)report->clocks[c].running, "percent",
                    share_json(report->clocks[c].met, report->clocks[c].met + report->clocks[c].missed)));
    }
    for (int i = 0; i < report->duties_count; i++)
        (void)json_array_append_new(
            duties, json_pack("{s:o,s:o,s:s,s:o,s:i,s:i,s:i}", "id", json_id(report->duties[i].id), "name",
                              json_str(report->duties[i].name), "kind",
                              report->duties[i].inspection ? "inspection" : "deliverable", "interval",
                              json_str(report->duties[i].interval), "done", report->duties[i].done, "due",
                              report->duties[i].due, "overdue", report->duties[i].overdue));
    day_text(report->from_day, from);
    day_text(report->to_day - 1, to);
    *out = json_pack(
        "{s:{s:o,s:o,s:o,s:o},s:o,s:s,s:s,s:o,s:{s:o,s:I,s:[I,I,I,I],s:{s:I,s:I,s:I},s:{s:I,s:I,s:o},s:{s:i,"
        "s:i,s:i}},"
        "s:o,s:o,s:o,s:o,s:o,s:o,s:{s:I,s:I},s:{s:s,s:o,s:I}}",
        "service", "id", json_id(report->service), "code", json_str(report->code), "name",
        json_str(report->name), "unit", json_str(report->unit), "month", json_str(report->month), "from",
        from, "to", to, "made_at", json_instant(report->made_ms), "summary", "availability",
        share_json(report->up, report->total), "alarms", (json_int_t)report->alarms_total, "alarms_by_grade",
        (json_int_t)report->by_grade[0], (json_int_t)report->by_grade[1], (json_int_t)report->by_grade[2],
        (json_int_t)report->by_grade[3], "tickets", "opened", (json_int_t)report->tickets_total, "closed",
        (json_int_t)report->closed, "open", (json_int_t)report->open, "sla", "met", (json_int_t)report->met,
        "missed", (json_int_t)report->missed, "percent",
        share_json(report->met, report->met + report->missed), "duties", "done", report->done, "due",
        report->due, "overdue", report->overdue, "days", days_json(report), "checks", checks, "sla", sla,
        "alarms", alarms, "tickets", tickets_json(report, view), "duties", duties, "more", "alarms",
        (json_int_t)(report->alarms_total - report->alarms_count), "tickets",
        (json_int_t)(report->tickets_total - report->tickets_count), "rule", "maintenance",
        report->counted ? "counted" : "excluded", "text", json_str(report_rule(report, view)), "samples",
        (json_int_t)report->maint_total);
    return *out ? ERR_OK : err_nomem(err);
}

/* ---- HTTP ---- */

static enum err_code report_get(struct request *req, struct reply *reply, struct err *err)
{
    struct learn *learn = req->ctx;
    const struct report_view view = { learn->config.words, req->lang, req->arena };
    const struct str format = request_query(req, "format");
    const bool pdf = str_eq(format, STR("pdf")), xlsx = str_eq(format, STR("xlsx"));
    const struct report *report;
    struct buf bytes;
    struct str copy;
    json_t *json;
    int64_t id;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc && format.len && !pdf && !xlsx && !str_eq(format, STR("json"))) {
        (void)err_set(err, ERR_INVALID, "report.format", ARG_STR("format", format), ARG_END);
        rc = err_pointer(err, STR("/format"));
    }
    if (!rc)
        rc = learn_report(learn, req->who, req->lang, id, request_query(req, "month"), req->arena, &report,
                          err);
    if (rc)
        return rc;
    if (!pdf && !xlsx) {
        rc = report_json(report, &view, &json, err);
        return rc ? rc : reply_json(reply, json, err);
    }
    buf_init(&bytes, FORMAT_MAX);
    rc = pdf ? report_paper(report, &view, &bytes, err) : report_sheet(report, &view, &bytes, err);
    copy = rc ? (struct str) { 0 } : arena_str(req->arena, buf_get(&bytes));
    buf_done(&bytes);
    if (!rc && !copy.ptr)
        rc = err_nomem(err);
    if (rc)
        return rc;
    reply_bytes(reply,
                pdf ? "application/pdf" : "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                copy);
    reply_download(reply, arena_printf(req->arena, "%.*s %.*s.%s", STR_ARG(report->name),
                                       STR_ARG(report->month), pdf ? "pdf" : "xlsx"));
    return ERR_OK;
}

/* clang-format off */
const struct route LEARN_ROUTES[] = {
    { "GET", "/api/v1/core/reports/service/{id}", "ops.service.read", report_get, ROUTE_LONG },
    { 0 },
};
/* clang-format on */
