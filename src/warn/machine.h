/* machine.h - the life of alarms, in memory: raised, acknowledged, cleared, closed; counted, held, escalated.
 *
 *            RAISE            ACK              CLEAR            CLOSE      EXPIRE
 *   (none)   open             -                -                -          -
 *   open     open, count+1    acknowledged     cleared          closed     -
 *   acked    acked, count+1   -                cleared          closed     -
 *   cleared  open, count+1    -                -                closed     closed
 *   closed   leaves the machine
 *
 * An alarm is known by its key (subject and source).  Beside its state it may be held: a maintenance window,
 * a parent that is down, flapping.  A held alarm is shown and counted but tells nobody; why it is held is
 * part of it.  Holds are looked at again at each tick and end by themselves. Every change goes to one
 * function, in order; whoever owns the machine writes it to the log before it acts. The machine does no I/O
 * and takes the time from its caller. Threads: one owner.  Layer: warn. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/ids.h"

#define ALARM_KEY_MAX 120   /* bytes */
#define ALARM_TITLE_MAX 400 /* bytes; longer is cut at a character */
#define ALARM_VALUE_MAX 200
#define ALARMS_MAX 200000 /* live at a time */
#define ALARM_FLAPS_MAX 8

enum alarm_state { ALARM_OPEN, ALARM_ACKED, ALARM_CLEARED, ALARM_CLOSED, ALARM_STATE__COUNT };
enum alarm_event {
    ALARM_RAISE,    /* the first time, again while open (counted), or again after it had cleared */
    ALARM_CLEAR,    /* the source says it is over */
    ALARM_ACK,      /* somebody has it */
    ALARM_CLOSE,    /* somebody ends it */
    ALARM_EXPIRE,   /* cleared for long enough */
    ALARM_HOLD,     /* somebody need not be told, and why */
    ALARM_RELEASE,  /* the reason is gone */
    ALARM_ESCALATE, /* nobody took it in time */
    ALARM_EVENT__COUNT
};
enum alarm_hold { ALARM_FREE, ALARM_MAINTENANCE, ALARM_PARENT, ALARM_FLAPPING, ALARM_HOLD__COUNT };

/* Stable lower-case names, and back (-1 when unknown). */
const char *alarm_state_name(enum alarm_state state);
const char *alarm_event_name(enum alarm_event event);
const char *alarm_hold_name(enum alarm_hold hold);
int alarm_state_from(struct str name);
int alarm_event_from(struct str name);
int alarm_hold_from(struct str name);

struct alarm {
    int64_t id;
    char key[ALARM_KEY_MAX + 1]; /* "TRIGGER:SUBJECT" or what an outside source calls it */
    int64_t subject, source;     /* source: the trigger's id, 0 for outside ones */
    int64_t service, org;        /* 0: none */
    int grade;                   /* 1 (worst) to 4 */
    char title[ALARM_TITLE_MAX + 1], value[ALARM_VALUE_MAX + 1];
    enum alarm_state state;
    enum alarm_hold hold;
    int64_t hold_by;                                             /* the window, or the parent's subject */
    int64_t count;                                               /* raises since it opened */
    int64_t opened_ms, last_ms, cleared_ms, acked_ms, closed_ms; /* 0: not yet */
    int64_t acked_by;
    int64_t told_ms;                /* since when people could know of it: opened or released; 0 while held */
    int escalated;                  /* 0, or 1 after its one step */
    int flaps_count;                /* how many of flaps[] hold */
    int64_t flaps[ALARM_FLAPS_MAX]; /* the newest instants at which it went from cleared to open */
};

struct alarm_signal {
    struct str key;
    int64_t subject, source, service, org;
    int grade;
    struct str title, value;
    int64_t at_ms; /* of the sample */
};

/* One change: the alarm as it is afterwards. */
struct alarm_change {
    enum alarm_event event;
    bool first; /* RAISE that made a new alarm, or opened a cleared one again */
    const struct alarm *alarm;
    int64_t at_ms, by; /* by: the user, 0 the machine */
    struct str text;   /* a comment of people, or empty */
};

/* What the machine asks; all must answer at once, from memory. */
struct machine_hooks {
    void *change_ctx; /* who owns the machine */
    void (*change)(void *change_ctx, const struct alarm_change *change);
    void *ctx; /* of those below */
    /* The maintenance window that covers them now, or 0; may be NULL. */
    int64_t (*window)(void *ctx, int64_t subject, int64_t service, int64_t at_ms);
    /* The subject that is down and on which this one stands, or 0; may be NULL.  `down` tells which are. */
    int64_t (*parent)(void *ctx, int64_t subject, int64_t at_ms, bool (*down)(void *arg, int64_t subject),
                      void *arg);
    /* After how long without acknowledgement it is escalated; 0: never; may be NULL. */
    int64_t (*escalate_ms)(void *ctx, const struct alarm *alarm);
};

struct machine_times {
    int64_t expire_ms;  /* cleared this long: closed; default 10 min */
    int64_t settle_ms;  /* a parent's failure may be seen this much later than its children's; default 60 s */
    int64_t release_ms; /* the parent up again this long and the child still down: released; default 30 s */
    int64_t flap_window_ms; /* this many re-openings ... default 10 min */
    int flap_count;         /* ... within it: flapping; default 4 */
};
extern const struct machine_times MACHINE_TIMES;

struct machine;

/* NULL when there is no memory.  `ids` is borrowed.  Caller frees. */
struct machine *machine_new(struct ids *ids, const struct machine_times *times,
                            const struct machine_hooks *hooks) MUST_CHECK;
void machine_free(struct machine *machine);

/* Puts a live alarm back as it was (start-up); an alarm of the same id is replaced; a closed one is taken
 * out.  No change is told. */
MUST_CHECK enum err_code machine_restore(struct machine *machine, const struct alarm *alarm, struct err *err);

/* The source says that it is so (raise) or that it is over (clear; nothing happens when nothing is open).
 * ERR_INVALID  key or grade.  ERR_LIMIT  ALARMS_MAX live alarms.  ERR_NOMEM. */
MUST_CHECK enum err_code machine_raise(struct machine *machine, const struct alarm_signal *signal,
                                       int64_t now_ms, struct err *err);
void machine_clear(struct machine *machine, struct str key, struct str value, int64_t at_ms);

/* A person acts.  ERR_NOT_FOUND no such live alarm; ERR_CONFLICT "warn.state" not in this state. */
MUST_CHECK enum err_code machine_ack(struct machine *machine, int64_t id, int64_t user, struct str text,
                                     int64_t now_ms, struct err *err);
MUST_CHECK enum err_code machine_close(struct machine *machine, int64_t id, int64_t user, struct str text,
                                       int64_t now_ms, struct err *err);

/* What time alone changes: holds that begin or end, escalation, expiry.  Once a second. */
void machine_tick(struct machine *machine, int64_t now_ms);

int machine_count(const struct machine *machine);
const struct alarm *machine_at(const struct machine *machine, int i); /* in no order; valid until a change */
const struct alarm *machine_find(const struct machine *machine, int64_t id);
/* The newest one older than `id` (INT64_MAX: of all), or NULL: for reading in order, newest first.  Costs a
 * search. */
const struct alarm *machine_below(struct machine *machine, int64_t id);
