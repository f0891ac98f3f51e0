/* duties_sql.h - private: deeds and attainment as rows. */
#pragma once
#include "learn/duties.h"

struct deed_row {
    int64_t duty, day;
};

/* The deeds of one service or, with 0, of all: one statement whose rows are taken service by service, in the
 * order of their ids.  Superseded deeds are not among them.  Days are those of `zone`.  The cursor lives no
 * longer than the transaction; close takes NULL.  ERR_NOMEM; of the store. */
struct deeds;
MUST_CHECK enum err_code deeds_open(struct tx *tx, const struct zone *zone, int64_t service,
                                    struct deeds **out, struct err *err);
void deeds_close(struct deeds *deeds);
static inline void deeds_close_auto(struct deeds **deeds)
{
    deeds_close(*deeds);
}

/* Those of this service, which lies behind all asked before: by duty and day, in the arena; the first `max`
 * of them.  ERR_NOMEM; of the store. */
MUST_CHECK enum err_code deeds_of(struct deeds *deeds, int64_t service, struct arena *arena, int max,
                                  struct deed_row **out, int *out_count, struct err *err);

/* How many clocks of the service's cases opened in [from, to) were met, and how many not.
 * Errors of the store. */
MUST_CHECK enum err_code attainment_row(struct tx *tx, struct str service_code, int64_t from_ms,
                                        int64_t to_ms, int64_t *out_met, int64_t *out_missed,
                                        struct err *err);
