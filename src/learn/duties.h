/* duties.h - the recurring duties of services: which rules hold for a service, and what is done, due,
 * overdue.
 *
 * Rules are records of ops.duty, deeds of ops.deed (facts; a corrected one supersedes).  A service's own
 * rules hold for it.  Where it has no inspection with an interval of its own, the general one of its
 * importance holds
 * (`*core`, `*room`, `*link` for networks, else `*business`), as long as it is under those general terms at
 * all;
 * `*wx` rules hold for the services of that table.  Rules of the whole project (`*general`) belong to no
 * service. A duty counts from its own start, else from the service's, else from the day on which the service
 * was entered. Threads: any.  Layer: learn. */
#pragma once
#include "platform/entity/entity.h"
#include "store/store.h"
#include "subject/duty.h"

#define DUTIES_MAX 20000 /* rules in all */

struct duty_of {
    int64_t id, service;
    bool inspection;                 /* else a deliverable */
    bool general;                    /* a rule for many services */
    struct str name, interval, code; /* in the arena */
    struct duty_interval every;
    struct duty_answer answer; /* empty when by event */
    int events;                /* deeds in the asked span, of a duty by event */
};

/* The rules of all services, read once; they live in the call's arena. */
struct duty_rules;
MUST_CHECK enum err_code duty_rules_load(const struct entity_call *call, struct tx *tx,
                                         struct duty_rules **out, struct err *err);

/* All duties that hold for the service on `today` (days since 1970), with their windows, in `arena`.
 * `service` is its record.  ERR_LIMIT over DUTIES_MAX; ERR_NOMEM; of the store. */
MUST_CHECK enum err_code duties_of(const struct duty_rules *rules, struct tx *tx, const json_t *service,
                                   int64_t service_id, int64_t today, struct arena *arena,
                                   struct duty_of **out, int *out_count, struct err *err);

/* The day in China of an instant. */
int64_t day_of(int64_t ms);
/* A field "YYYY-MM-DD" of a record as a day; `otherwise` when it is not there. */
int64_t day_field(const json_t *record, const char *field, int64_t otherwise);
