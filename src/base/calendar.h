/* calendar.h - working time: which minutes count, how much of it lies between two instants, when a
 * given amount of it is over.
 *
 * A calendar is compiled once from a description (weekly hours, holidays, single days, key periods) for
 * the years 2000 to 2099 and never changes; outside of these years no time counts.  All questions are
 * answered in O(log n) or less.  Boundaries are whole minutes of wall time.
 * Threads: immutable; safe from any.  Layer: base. */
#pragma once
#include "base/zone.h"

#define CALENDAR_HOURS_MAX 512 /* bytes of a description of hours */
#define CALENDAR_SPANS_MAX 8   /* spans of working time in one day */
#define CALENDAR_DAYS_MAX 4000 /* single days */
#define CALENDAR_KEYS_MAX 1000 /* key periods */
#define CALENDAR_NEVER INT64_MAX

struct calendar;

/* One day that differs from its week: `hours` as below without the weekday ("08:00-12:00 14:00-18:00"),
 * "" = no work that day, "work" = as a usual working day. */
struct calendar_day {
    int64_t day;
    struct str hours;
};

/* A period of importance (key), both days included. */
struct calendar_key {
    int64_t first_day, last_day;
    struct str name; /* borrowed while compiling, kept as a copy */
};

struct calendar_spec {
    struct str zone;  /* "" = Asia/Shanghai */
    bool always;      /* every minute counts; hours and days are not looked at, key periods are */
    struct str hours; /* "mon-fri 08:00-12:00 14:00-18:00; sat 09:00-12:00"; a span may end at 24:00 */
    bool holidays_cn; /* holidays and moved working days as the State Council published them */
    const struct calendar_day *days; /* win over holidays and weekly hours; the last of a day wins */
    int days_count;
    const struct calendar_key *keys;
    int keys_count;
};

/* The working hours of an office when nothing else is said: a working day of 480 minutes. */
#define CALENDAR_OFFICE_HOURS "mon-fri 08:00-12:00 14:00-18:00"

/* Compiles; caller frees.  ERR_INVALID with the column in `hours`, or an unknown zone; ERR_LIMIT;
 * ERR_NOMEM. */
MUST_CHECK enum err_code calendar_new(const struct calendar_spec *spec, struct calendar **out_calendar,
                                      struct err *err);
void calendar_free(struct calendar *calendar);
const struct zone *calendar_zone(const struct calendar *calendar);
bool calendar_is_always(const struct calendar *calendar);

/* The first instant t >= from at which `duration_ms` of working time lies in [from, t).  0 gives `from`
 * itself, also outside working time.  CALENDAR_NEVER when there is not so much before 2100. */
int64_t calendar_add(const struct calendar *calendar, int64_t from_ms, int64_t duration_ms);
/* Working time in [from, to); 0 when to <= from. */
int64_t calendar_between(const struct calendar *calendar, int64_t from_ms, int64_t to_ms);

bool calendar_works_at(const struct calendar *calendar, int64_t at_ms);
bool calendar_works_on(const struct calendar *calendar, int64_t day);
/* The `nth` working day (n >= 1) after `day`, not counting `day`; CALENDAR_NEVER when there is none. */
int64_t calendar_next_day(const struct calendar *calendar, int64_t day, int nth);

/* The span of working time that holds `at` or is the next one after it; false when there is none. */
struct calendar_span {
    int64_t from_ms, to_ms;
};
bool calendar_span_at(const struct calendar *calendar, int64_t at_ms, struct calendar_span *out_span);

/* The key period an instant lies in (the first declared that holds it), or NULL. */
const struct calendar_key *calendar_key_at(const struct calendar *calendar, int64_t at_ms);

/* What a day is, for the page that shows a calendar. */
enum calendar_kind {
    CALENDAR_REST,
    CALENDAR_WORK,
    CALENDAR_HOLIDAY,
    CALENDAR_MOVED_WORK,
    CALENDAR_EXCEPTION
};
enum calendar_kind calendar_kind_on(const struct calendar *calendar, int64_t day);
