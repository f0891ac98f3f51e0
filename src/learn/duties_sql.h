/* duties_sql.h - private: deeds and attainment as rows. */
#pragma once
#include "learn/duties.h"

/* Days of the deeds of one service, ordered by duty and day; in the arena; at most `max`; superseded ones are
 * not counted.
 */
struct deed_row {
    int64_t duty, day;
};
MUST_CHECK enum err_code deed_rows(struct tx *tx, int64_t service, struct arena *arena, int max,
                                   struct deed_row **out, int *out_count, struct err *err);

/* How many clocks of the service's cases opened in [from, to) were met, and how many not. */
MUST_CHECK enum err_code attainment_row(struct tx *tx, struct str service_code, int64_t from_ms,
                                        int64_t to_ms, int64_t *out_met, int64_t *out_missed,
                                        struct err *err);
