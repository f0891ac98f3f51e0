/* cron.h - when something is due by the calendar: "30 2 * * 1-5".
 *
 * Minute hour day month weekday; each a list of numbers, ranges a-b and steps a-b/n or asterisk/n; weekday 0
 * and 7 are Sunday; when both day and weekday are limited, either is enough, as in cron.  A wall time that a
 * zone skips is taken at the jump; one that comes twice runs once. Threads: values only.  Layer:
 * platform/jobs. */
#pragma once
#include "base/calendar.h"

struct cron {
    uint64_t minutes, hours, days, months, weekdays; /* bit n = n; weekday 0 = Sunday */
    bool any_day, any_weekday;
};

enum cron_days { CRON_EVERY, CRON_WORK, CRON_REST };

/* ERR_INVALID "jobs.schedule" with the column. */
MUST_CHECK enum err_code cron_parse(struct str text, struct cron *out, struct err *err);
/* The first due instant after `after_ms`; 0 when there is none within eight years.  `calendar` tells working
 * days and may be NULL for CRON_EVERY. */
int64_t cron_next(const struct cron *cron, const struct zone *zone, enum cron_days days,
                  const struct calendar *calendar, int64_t after_ms);
