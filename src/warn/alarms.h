/* alarms.h - the alarm centre: the machine, its durable log, and what follows from the log.
 *
 * Signals are taken at once and handled by one thread; each change is in the log, synced, before anybody
 * hears of it.  Two readers follow the log, each with a durable cursor of its own: the writer of the SQL
 * tables (the cursor moves in the same transaction, so a change is written exactly once) and the teller, who
 * hands changes to people (at least once).  While SQL is away alarms go on, people are told, and what was
 * logged is written when it returns. Guarantees: no acknowledged change is lost; a change is told at least
 * once. Threads: any.  Layer: warn. */
#pragma once
#include "base/wal.h"
#include "store/store.h"
#include "warn/record.h"

#define ALARMS_QUEUE_MAX 200000 /* signals waiting */

struct alarms;

/* What alarms ask of those above and beside; all may be NULL but `told` needs a teller. */
struct alarms_hooks {
    void *ctx;
    /* Before signals are judged, without any lock held: lets windows and routes that were saved before be
     * heard.  Must end soon, also while the store is away. */
    void (*settle)(void *ctx);
    /* From memory, at once: see machine_hooks. */
    int64_t (*window)(void *ctx, int64_t subject, int64_t service, int64_t at_ms);
    int64_t (*parent)(void *ctx, int64_t subject, int64_t at_ms, bool (*down)(void *arg, int64_t subject),
                      void *arg);
    int64_t (*escalate_ms)(void *ctx, const struct alarm *alarm);
    /* Live screens: after the change is durable, on the alarm thread; must not wait. */
    void (*live)(void *ctx, const struct alarm_record *record);
    /* Within the transaction that writes the change: "alarm.opened", "alarm.cleared", "alarm.closed" to the
     * outbox. */
    enum err_code (*event)(void *ctx, struct tx *tx, const char *topic, const struct alarm_record *record,
                           struct err *err);
    /* Tells people; on a thread of its own, may wait.  ERR_OK when it is in safe hands; else it is tried
     * again, the ones behind it wait. */
    enum err_code (*tell)(void *ctx, const struct alarm_record *record, struct err *err);
};

struct alarms_config {
    const char *dir;   /* of the log */
    struct disk *disk; /* NULL: the machine's */
    struct store *store;
    struct ids *ids;
    const struct clock *clock;
    int node;                          /* whose log this is in the tables */
    const struct machine_times *times; /* NULL: MACHINE_TIMES */
    struct alarms_hooks hooks;
};

/* Opens the log, puts back what is live (tables, then the log behind them) and starts the threads.
 * ERR_CORRUPT, ERR_IO, ERR_STORE, ERR_NOMEM. */
MUST_CHECK enum err_code alarms_open(const struct alarms_config *config, struct alarms **out,
                                     struct err *err);
/* Handles what waits, stops the threads, closes.  Accepts NULL. */
void alarms_close(struct alarms *alarms);

/* From triggers and outside sources; returns at once, texts are copied.
 * ERR_BUSY the queue is full; ERR_INVALID key or grade; ERR_NOMEM. */
MUST_CHECK enum err_code alarms_raise(struct alarms *alarms, const struct alarm_signal *signal,
                                      struct err *err);
MUST_CHECK enum err_code alarms_clear(struct alarms *alarms, struct str key, struct str value, int64_t at_ms,
                                      struct err *err);

/* The same from a source that wants an answer: durable when it returns, then the source may forget it.
 * ERR_INVALID key or grade; ERR_LIMIT; errors of the log (the source sends it again). */
MUST_CHECK enum err_code alarms_signal(struct alarms *alarms, const struct alarm_signal *signal, bool clear,
                                       struct err *err);

/* What a person does with one alarm, and what came of it. */
struct alarm_act {
    int64_t id;
    enum err_code rc; /* see machine_ack(), machine_close(); `err` says it */
    struct err err;
    struct alarm before; /* as it was */
};
/* A person acknowledges or closes alarms, each for itself but with one write to the log; durable when it
 * returns.  Errors of the log: then nothing happened to any. */
MUST_CHECK enum err_code alarms_act(struct alarms *alarms, bool close, struct alarm_act *acts, int count,
                                    int64_t user, struct str text, struct err *err);

/* Live alarms that pass, newest first, at most filter->limit; "live" or "" is any state.  Copies in the
 * arena.  ERR_NOMEM. */
struct alarm_row_filter;
MUST_CHECK enum err_code alarms_page(struct alarms *alarms, const struct alarm_row_filter *filter,
                                     struct arena *arena, const struct alarm **out, int *out_count,
                                     struct err *err);
/* All live alarms without their texts, in no order: for counting.  In the arena.  ERR_NOMEM. */
struct alarm_brief {
    int64_t subject, service, org;
    int grade;
    enum alarm_state state;
    enum alarm_hold hold;
};
MUST_CHECK enum err_code alarms_brief(struct alarms *alarms, struct arena *arena,
                                      const struct alarm_brief **out, int *out_count, struct err *err);
bool alarms_find(struct alarms *alarms, int64_t id, struct alarm *out);

/* Waits until everything logged so far is in the tables and told; false after `timeout_ms`.  For the end of
 * the process and for tests. */
bool alarms_settle(struct alarms *alarms, int timeout_ms);

struct alarms_stats {
    int64_t raised, changes, log_failures, sql_failures, tell_failures;
    int live, waiting;
    int64_t sql_behind, tell_behind; /* bytes of the log */
};
void alarms_stats(struct alarms *alarms, struct alarms_stats *out);

/* ---- alarms_sql.c: the tables ---- */

struct alarm_row_filter {
    struct str state;                /* "" = any */
    int64_t subject, service, after; /* 0 = any; after: older than that id */
    int grade, limit;
    int64_t from_ms, to_ms; /* opened in [from, to); 0 = open */
};
/* Calls `each` for alarms of the tables, newest first. */
MUST_CHECK enum err_code alarm_rows(struct tx *tx, const struct alarm_row_filter *filter,
                                    enum err_code (*each)(void *arg, const struct alarm *alarm,
                                                          struct err *err),
                                    void *arg, struct err *err);
MUST_CHECK enum err_code alarm_row_get(struct tx *tx, int64_t id, struct alarm *out, struct err *err);
struct alarm_event_row {
    int64_t id, at_ms, by, hold_by;
    struct str event, state, hold, value, text; /* live until `each` returns */
};
MUST_CHECK enum err_code alarm_event_rows(struct tx *tx, int64_t alarm_id, int limit,
                                          enum err_code (*each)(void *arg, const struct alarm_event_row *row,
                                                                struct err *err),
                                          void *arg, struct err *err);
/* Writes one change into the tables; writing it twice changes nothing. */
MUST_CHECK enum err_code alarm_record_write(struct tx *tx, const struct alarm_record *record,
                                            struct err *err);
MUST_CHECK enum err_code alarm_cursor_get(struct tx *tx, int64_t log, int64_t *out_position, struct err *err);
MUST_CHECK enum err_code alarm_cursor_set(struct tx *tx, int64_t log, int64_t position, struct err *err);
