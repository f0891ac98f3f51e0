/* clock.h - where the time comes from, so that tests can turn it.
 *
 * Instants are UTC milliseconds since 1970 in an int64.  Durations are milliseconds.
 * Threads: safe from any.  Layer: base. */
#pragma once
#include "base/err.h"

struct clock {
    int64_t (*now_ms)(const struct clock *clock);  /* the wall clock */
    int64_t (*mono_ms)(const struct clock *clock); /* never goes back; for time-outs */
    _Atomic int64_t test_ms;                       /* a test clock's time; both readings answer it */
};

/* The machine's clock. */
extern const struct clock CLOCK_SYSTEM;

/* A clock that stands still until test_ms is changed. */
void clock_test_init(struct clock *clock, int64_t now_ms);

static inline int64_t clock_now(const struct clock *clock)
{
    return clock->now_ms(clock);
}
static inline int64_t clock_mono(const struct clock *clock)
{
    return clock->mono_ms(clock);
}

/* RFC 3339 with milliseconds (left out when zero) and the given offset in minutes:
 * "2026-11-21T14:05:00+08:00".  `out` holds CLOCK_TEXT_SIZE bytes; returns the length. */
#define CLOCK_TEXT_SIZE 40
#define CLOCK_SHOWN_MINUTES 480 /* the offset in which instants are told to others */
size_t clock_text(int64_t ms, int offset_minutes, char out[CLOCK_TEXT_SIZE]);

/* Reads RFC 3339 with offset or Z; ERR_INVALID otherwise. */
MUST_CHECK enum err_code clock_parse(struct str text, int64_t *out_ms, struct err *err);

/* Days since 1970-01-01 in the proleptic Gregorian calendar, and back.  Any year within int32. */
int64_t days_from_civil(int64_t year, int month, int day);
void civil_from_days(int64_t days, int64_t *out_year, int *out_month, int *out_day);
