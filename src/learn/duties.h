/* duties.h - the recurring duties of services: which rules hold for a service, and what is done, due,
 * overdue.
 *
 * Rules are records of ops.duty, deeds of ops.deed (facts; a corrected one supersedes).  A service's own
 * rules hold for it.  Where it has no inspection with an interval of its own, the general one of its
 * importance holds (`*core`, `*room`, `*link` for networks, else `*business`), as long as it is under those
 * general terms at all; `*wx` rules hold for the services of that table.  Rules of the whole project
 * (`*general`) belong to no service.  A duty counts from its own start, else from the service's, else from
 * the day on which the service was entered.  Days are those of one zone.
 * Threads: any.  Layer: learn. */
#pragma once
#include "base/zone.h"
#include "platform/entity/entity.h"
#include "store/store.h"
#include "subject/duty.h"

#define DUTIES_MAX 20000   /* rules in all */
#define SERVICES_MAX 50000 /* asked together */

struct duty_of {
    int64_t id, service;
    bool inspection;                 /* else a deliverable */
    bool general;                    /* a rule for many services */
    struct str name, interval, code; /* of the rule */
    struct duty_interval every;
    struct duty_answer answer; /* empty when by event */
    int events;                /* deeds in the asked span, of a duty by event */
};

/* The rules of all services, read once; they live in the call's arena.  `zone` (NULL: UTC+8) is that of the
 * days, and must outlive them.  ERR_LIMIT over DUTIES_MAX; ERR_NOMEM; of the store. */
struct duty_rules;
MUST_CHECK enum err_code duty_rules_load(const struct entity_call *call, const struct zone *zone,
                                         struct tx *tx, struct duty_rules **out, struct err *err);

/* All duties that hold for the service on `today` (days since 1970), with their windows, in `arena`.
 * `service` is its record.  ERR_LIMIT; ERR_NOMEM; of the store. */
MUST_CHECK enum err_code duties_of(const struct duty_rules *rules, struct tx *tx, const json_t *service,
                                   int64_t service_id, int64_t today, struct arena *arena,
                                   struct duty_of **out, int *out_count, struct err *err);

/* What is owed over many services: those overdue first, then by the day that matters, rule and service. */
struct duty_owed {
    struct duty_of duty; /* without its windows */
    struct str service_name;
    int64_t day; /* the last day of the oldest window overdue, else of the running one */
};
struct duties_page {
    int64_t today;
    bool due, overdue; /* which of them are wanted */
    int limit;
    struct str after; /* the cursor of the last page, or empty */
    /* the answer, in the arena */
    struct duty_owed *items;
    int count;
    struct str next; /* {NULL, 0} when nothing is left */
    /* of all pages, whatever is wanted; done: neither; due_today: of those due */
    int due_total, overdue_total, done_total, due_today;
};
/* One page over the services that the call's principal may read, with one query for the services and one for
 * the deeds, however many there are; memory grows with the services and the page, not with the deeds.
 * Answers none without the pack.  ERR_INVALID: not a cursor.  ERR_LIMIT over SERVICES_MAX; ERR_NOMEM; of the
 * store. */
MUST_CHECK enum err_code duties_owed(const struct duty_rules *rules, const struct entity_call *call,
                                     struct tx *tx, struct duties_page *page, struct err *err);
/* As in duty_owed. */
int64_t duty_day(const struct duty_of *duty);

/* A field "YYYY-MM-DD" of a record as a day; `otherwise` when it is not there. */
int64_t day_field(const json_t *record, const char *field, int64_t otherwise);
