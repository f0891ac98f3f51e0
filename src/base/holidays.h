/* holidays.h - the public holidays of China and the working days moved for them, as the State Council
 * published them, year by year.
 *
 * A year that is not yet published holds the days that the law itself names (`provisional`); what the
 * notice then says is entered as single days of a calendar, which win over this table.
 * Threads: constant data.  Layer: base. */
#pragma once
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct holiday {
    int32_t first_day, last_day; /* days since 1970-01-01, both included */
    const char *name;            /* a key of words/ */
    bool working;                /* a Saturday or Sunday that is worked instead */
};

/* The table, in order of days. */
const struct holiday *holidays_cn(int *out_count);
/* True when the notice for that year is in the table. */
bool holidays_cn_published(int year);
