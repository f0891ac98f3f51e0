/* replay.h - the clocks of a case, derived from its events.
 *
 * Nothing about a deadline is stored and patched: the events of a case are the truth, and this function
 * walks over them with the calendars.  Equal events, terms and calendars give equal answers.  The rules:
 *
 * 1. All clocks start when the case opens.  A clock has used up the working time (of its term's calendar)
 *    that passed while it was running: not paused, not reached.
 * 2. It is due at the first instant at which used >= limit.  An edit of service or level changes the limit
 *    and the calendar from there on, what is used stays used: a shorter limit that is used up already is
 *    due at the edit; a longer one lifts a breach.
 * 3. Reaching a step reaches what it implies (IMPLIES in replay.c).  It is late when reached after due.
 *    A reached clock keeps the term it had.
 * 4. Closing reaches every clock but the report.  Re-opening (of a closed case, or of work that the customer
 *    did not accept) lets restore and solve run on from there; the time between does not count, what was used
 *    before does.
 * 5. A workaround reaches restore only where the term accepts one; solving goes on.
 * 6. An event may void an earlier one (a wrong time is corrected by a new event); events count in order of
 *    (at, id), and none counts before the opening.
 *
 * Pure: no I/O.  Threads: any.  Layer: handle/sla; may use base/ only. */
#pragma once
#include "base/calendar.h"

enum sla_clock {
    SLA_RESPOND,
    SLA_CONTACT,
    SLA_START,
    SLA_ARRIVE,
    SLA_PLAN,
    SLA_RESTORE, /* restored, or an accepted workaround */
    SLA_SOLVE,
    SLA_REPORT,
    SLA_CLOCK__COUNT
};
#define SLA_ALL_CLOCKS ((1u << SLA_CLOCK__COUNT) - 1)
/* "respond", "contact" ...; also the words sla.clock.NAME. */
const char *sla_clock_name(enum sla_clock clock);
/* false when it is none. */
bool sla_clock_from(struct str name, enum sla_clock *out_clock);

enum sla_event_kind {
    SLA_OPENED,  /* service, level */
    SLA_EDITED,  /* service, level: both as they are now */
    SLA_REACHED, /* clocks; workaround */
    SLA_WAIVED,  /* clocks: not needed here (no visit on site) */
    SLA_PAUSED,  /* clocks */
    SLA_RESUMED, /* clocks */
    SLA_CLOSED,
    SLA_REOPENED,
    SLA_VOIDED, /* voids, nothing else */
    SLA_NOTED,  /* everything that moves no clock */
    SLA_EVENT__COUNT
};
const char *sla_event_name(enum sla_event_kind kind);
bool sla_event_from(struct str name, enum sla_event_kind *out_kind);

struct sla_event {
    int64_t id;
    int64_t at_ms; /* when it happened, not when it was written down */
    enum sla_event_kind kind;
    unsigned clocks; /* bits 1 << enum sla_clock */
    bool workaround;
    struct str service, level;
    int64_t voids; /* id of an event that no longer counts; 0 = none */
};

/* Where a limit comes from. */
enum sla_source { SLA_NOT_AGREED, SLA_OWN, SLA_ANY, SLA_GENERAL, SLA_SOURCE__COUNT };
const char *sla_source_name(enum sla_source source);

struct sla_term {
    enum sla_source source;
    int64_t limit_ms; /* of working time in `calendar`; only when agreed */
    const struct calendar *calendar;
    struct str calendar_name; /* as in the matrix: "always", "working", "key" ... */
    int64_t row_id;           /* of the matrix */
    bool workaround_ok;
};

/* Finds the terms of all clocks: `opened_ms` decides which of paired rows holds (key, working). */
typedef enum err_code (*sla_terms_fn)(void *ctx, struct str service, struct str level, int64_t opened_ms,
                                      struct sla_term out_terms[SLA_CLOCK__COUNT], struct err *err);

enum sla_state {
    SLA_STATE_NONE,    /* not agreed */
    SLA_STATE_RUNNING, /* due lies ahead */
    SLA_STATE_PAUSED,
    SLA_STATE_BREACHED, /* due has passed and it is not reached */
    SLA_STATE_MET,
    SLA_STATE_LATE, /* reached after due */
    SLA_STATE_WAIVED,
    SLA_STATE__COUNT
};
const char *sla_state_name(enum sla_state state);

enum sla_piece_kind {
    SLA_PIECE_RUN,   /* counts in the calendar's working time */
    SLA_PIECE_PAUSE, /* paused */
    SLA_PIECE_ENDED, /* reached or closed, before a re-opening */
    SLA_PIECE_AHEAD, /* from now to the deadline, as it stands */
    SLA_PIECE__COUNT
};

/* One stretch of a clock's life, for the page that explains a deadline. */
struct sla_piece {
    enum sla_clock clock;
    enum sla_piece_kind kind;
    int64_t from_ms, to_ms;
    int64_t counted_ms, used_ms; /* counted in this piece; used at its end */
    struct sla_term term;
    int64_t event_id; /* with which it began */
};
#define SLA_PIECES_MAX 4000
struct sla_pieces {
    struct sla_piece *items; /* in the arena */
    int count, size;
};

struct sla_clock_state {
    enum sla_state state;
    struct sla_term term;
    int64_t used_ms;    /* until now, or until reached */
    int64_t due_ms;     /* 0 = none: not agreed, waived, or paused before it was due */
    int64_t warn_ms;    /* the instant at which warn_percent of the limit is used; 0 as above */
    int64_t reached_ms; /* 0 = not reached */
    bool workaround;
};

struct sla_result {
    struct sla_clock_state clocks[SLA_CLOCK__COUNT];
    int64_t opened_ms, closed_ms; /* closed: 0 while open */
    struct str service, level;    /* as they are now; borrowed from the events */
};

#define SLA_WARN_PERCENT 80
#define SLA_EVENTS_MAX 10000

/* Replays `events` (any order; the array is sorted in place) up to `now_ms`; later events do not count.
 * `pieces` may be NULL; else they are filled, memory from `arena`.
 * ERR_INVALID no opening; ERR_LIMIT too many events; ERR_NOMEM; what `terms` returns. */
MUST_CHECK enum err_code sla_replay(struct sla_event *events, int count, int64_t now_ms, sla_terms_fn terms,
                                    void *ctx, struct arena *arena, struct sla_pieces *pieces,
                                    struct sla_result *out_result, struct err *err);

/* The next instant at which somebody must be told: the earliest of the warnings and deadlines after those
 * already told (bit masks of clocks); 0 = none. */
int64_t sla_next_due(const struct sla_result *result, unsigned warned, unsigned breached);
