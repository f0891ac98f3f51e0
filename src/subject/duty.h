/* duty.h - what is owed again and again: from an interval and what was done, what is done, due, overdue.
 *
 * An interval is an ISO 8601 duration of whole days, weeks, months or years, with how often within it:
 * "P1M" once a month, "P1W/2" twice a week; "event" is owed when its event happens and never falls due.
 * Windows are aligned to the calendar (month, quarter, half-year, year, ISO week) where the length divides
 * it, else counted from the start of the contract.  A window is done when it has as many deeds as it asks
 * for; the running one is due until then; one that ended short is overdue, until its missing deeds are made
 * up: deeds beyond a window's need fill the oldest short one.
 * Days are days since 1970-01-01 in the zone of the subject.  Threads: values only.  Layer: subject. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define DUTY_TIMES_MAX 100
#define DUTY_WINDOWS_MAX 20000 /* from the start of the contract to today */

struct duty_interval {
    int months, days; /* exactly one is not 0, unless by_event */
    int times;        /* deeds a window asks for */
    bool by_event;
};

/* ERR_INVALID "subject.interval": none of the forms above, or a time part. */
MUST_CHECK enum err_code duty_interval_parse(struct str text, struct duty_interval *out, struct err *err);

enum duty_state { DUTY_DONE, DUTY_DUE, DUTY_OVERDUE };

struct duty_window {
    int64_t from_day, to_day; /* [from, to) */
    int done;                 /* deeds counted to it */
    enum duty_state state;
};

struct duty_answer {
    struct duty_window
        *windows; /* oldest first, from the start to the one that holds `today`; in the arena */
    int count;
    int done, due, overdue; /* windows in each state */
    int64_t next_day;       /* the last day of the running window; of an event: 0 */
};

/* `deeds` are the days on which it was done, ascending; those before `start_day` are not counted.
 * `end_day` is the last day of the contract (INT64_MAX when open): windows begin no later.
 * An interval by event answers no windows.  ERR_LIMIT past DUTY_WINDOWS_MAX; ERR_NOMEM. */
MUST_CHECK enum err_code duty_evaluate(const struct duty_interval *interval, int64_t start_day,
                                       int64_t end_day, int64_t today, const int64_t *deeds, int deeds_count,
                                       struct arena *arena, struct duty_answer *out, struct err *err);

/* The first day of the window that holds `day`. */
int64_t duty_window_start(const struct duty_interval *interval, int64_t start_day, int64_t day);
