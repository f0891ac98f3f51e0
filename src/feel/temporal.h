/* temporal.h - dates, times, zones and durations: texts, arithmetic on the calendar, order.
 *
 * The calendar is proleptic Gregorian with years -999999999 .. 999999999.  A named zone's offset comes from
 * ICU's copy of the IANA data base.  Threads: values only.  Layer: feel, inside. */
#pragma once
#include "feel/feel.h"

#define YEAR_MAX 999999999
#define DAY_SECONDS 86400
#define NANOS 1000000000
#define OFFSET_MAX (18 * 3600)

/* Nanoseconds of a duration or between two instants. */
__extension__ typedef __int128 nanos_t;

int64_t date_to_days(struct feel_date date);
/* False outside of the years. */
bool date_from_days(int64_t days, struct feel_date *out);
bool date_valid(int64_t year, int64_t month, int64_t day);
int days_in_month(int64_t year, int month);
/* Adds months, the day cut to the length of the month. */
bool date_add_months(struct feel_date date, int64_t months, struct feel_date *out);

bool zone_known(struct str zone);
/* Seconds east of a named zone at a local instant (seconds since 1970-01-01T00:00 on its wall clock). */
int32_t zone_offset_local(struct str zone, int64_t local_seconds);
int32_t zone_offset_utc(struct str zone, int64_t utc_seconds);

static inline bool moment_zoned(const struct feel_moment *m)
{
    return m->zone_kind != FEEL_ZONE_NONE;
}
/* Seconds since 1970 on the wall clock, and in UTC (the same without a zone). */
int64_t moment_local(const struct feel_moment *m);
int64_t moment_utc(const struct feel_moment *m);
nanos_t moment_nanos(const struct feel_moment *m); /* of a date and time, UTC */
nanos_t time_nanos(const struct feel_moment *m);   /* of a time, UTC; may be negative */
/* The moment plus nanoseconds in the same zone; false outside of the years. */
bool moment_add(const struct feel_moment *m, nanos_t nanos, struct feel_moment *out);
/* Fills the offset of a named zone. */
void moment_settle(struct feel_moment *m);
/* The same for a time without a date: the offset without summer time. */
void time_settle(struct feel_moment *m);

static inline nanos_t days_nanos(struct feel_days d)
{
    return (nanos_t)d.seconds * NANOS + d.nanos;
}
bool days_from_nanos(nanos_t nanos, struct feel_days *out);

/* Results of these need no arena: texts only point into `text`. */
bool moment_parse_time(struct str text, struct feel_moment *out);
bool moment_parse_date_time(struct str text, struct feel_moment *out);
bool date_parse(struct str text, struct feel_date *out);

void date_print(struct buf *buf, struct feel_date date);
void time_print(struct buf *buf, const struct feel_moment *m);
void date_time_print(struct buf *buf, const struct feel_moment *m);
void days_print(struct buf *buf, struct feel_days days);
void months_print(struct buf *buf, int64_t months);

/* Monday = 1 .. Sunday = 7; ISO 8601 week. */
int date_weekday(struct feel_date date);
int date_day_of_year(struct feel_date date);
int date_week(struct feel_date date);
