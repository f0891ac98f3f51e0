/* zone.h - time zones and calendar days.
 *
 * A zone is a table of its offsets from 1970 to 2100, read once from ICU, so that a look-up needs no
 * lock and no library; Asia/Shanghai from 1992 on is answered without the table.  A day is a number of
 * days since 1970-01-01 in the calendar of some zone.  Where a zone is asked something, NULL is UTC+8, which
 * is what Asia/Shanghai has been since 1992.
 * Threads: a zone never changes; safe from any.  Layer: base. */
#pragma once
#include "base/clock.h"

#define ZONE_DEFAULT "Asia/Shanghai"
#define ZONE_NAME_MAX 63
#define DAY_TEXT_SIZE 16
#define DAY_MS INT64_C(86400000)

struct zone;

/* A zone by its IANA name ("" = Asia/Shanghai); caller frees.
 * ERR_INVALID unknown name; ERR_NOMEM. */
MUST_CHECK enum err_code zone_new(struct str name, struct zone **out_zone, struct err *err);
void zone_free(struct zone *zone);
struct str zone_name(const struct zone *zone);

/* Offset from UTC at an instant (milliseconds, east is positive). */
int64_t zone_offset_ms(const struct zone *zone, int64_t utc_ms);

/* Wall time (milliseconds as if it were UTC) and back.  A wall time that is skipped gives the instant of
 * the jump; one that comes twice gives the first. */
int64_t zone_local(const struct zone *zone, int64_t utc_ms);
int64_t zone_utc(const struct zone *zone, int64_t local_ms);

/* The day an instant lies in, and the instant at which a day begins. */
int64_t zone_day(const struct zone *zone, int64_t utc_ms);
int64_t zone_day_start(const struct zone *zone, int64_t day);

/* "2026-11-21" and back; ERR_INVALID for anything else, also for 02-30.  Years 1 to 9999. */
void day_text(int64_t day, char out[DAY_TEXT_SIZE]);
MUST_CHECK enum err_code day_parse(struct str text, int64_t *out_day, struct err *err);
/* 1 = Monday ... 7 = Sunday. */
int day_weekday(int64_t day);
/* The first day of the month that lies `months` after the month of `day` (0 = its own). */
int64_t day_month_start(int64_t day, int months);
