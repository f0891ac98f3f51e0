/* jobs.h - long work with progress, and work by the calendar.
 *
 * A job is a row: whoever asks gets its id at once; a thread of some node runs it under a lease.  A job whose
 * node died is run again by another, from the state that it saved last; after `tries` starts it has failed.
 * Kinds are code, registered before the start; schedules are rows that people may change: minute hour day
 * month weekday in a zone, by the calendar of working days if wanted.  Of several nodes one makes the job.
 * A tick is work that every process does by itself in memory (flush, checkpoint); nothing is stored of it.
 * Threads: any; run() is on a thread of its own and may take long.  Layer: platform/jobs. */
#pragma once
#include "base/ids.h"
#include "platform/bus/bus.h"

#define JOB_STATE_MAX 65536 /* bytes of params, state and result each */

struct jobs;
struct job;

struct job_kind {
    const char *name; /* stable, "core.backup" */
    /* Runs the job.  ERR_OK: done.  ERR_CANCELLED when job_check() said so.  ERR_STORE, ERR_NET, ERR_BUSY,
     * ERR_TIMEOUT: tried again later while `tries` last; other codes: failed. */
    enum err_code (*run)(void *arg, struct job *job, struct err *err);
    void *arg;
    int tries;            /* starts at most; 0 = 3 */
    bool alone;           /* never two of this kind at once, on any node */
    const char *schedule; /* made with it when the kind is first seen: "30 2 * * *"; NULL none */
    const char *params;   /* of the scheduled jobs; NULL = {} */
};

/* ---- the service ---- */

/* `owner` names the process in leases.  `bus` may be NULL; there "job.changed" tells of every change of state
 * {"id","kind","state"}, and "job.failed" of the last failure.  Caller frees. */
MUST_CHECK enum err_code jobs_new(struct store *store, struct ids *ids, struct bus *bus, struct str owner,
                                  struct jobs **out_jobs, struct err *err);
void jobs_free(struct jobs *jobs); /* accepts NULL; stops first */

/* Before jobs_start().  ERR_CONFLICT; ERR_LIMIT over 64; ERR_INVALID a bad schedule. */
MUST_CHECK enum err_code jobs_register(struct jobs *jobs, const struct job_kind *kind, struct err *err);

/* The names of the kinds, from 0 on; NULL behind the last. */
const char *jobs_kind_at(const struct jobs *jobs, int i);

/* Calls `tick` every `every_ms` on one thread of this process, first after that time; it should be quick.  A
 * failure is logged when it begins, not each time.  Before jobs_start().  ERR_LIMIT over 32. */
MUST_CHECK enum err_code jobs_tick(struct jobs *jobs, const char *name, int64_t every_ms,
                                   enum err_code (*tick)(void *arg, struct err *err), void *arg,
                                   struct err *err);

/* With that many threads for jobs (1 to 16). */
MUST_CHECK enum err_code jobs_start(struct jobs *jobs, int threads, struct err *err);
/* Asks running jobs to stop (they are resumed later, by whoever starts next) and waits for them. */
void jobs_stop(struct jobs *jobs);

/* ---- asking for work ---- */

/* In the caller's tx.  `params` is a JSON object or empty.  ERR_NOT_FOUND "jobs.no_kind". */
MUST_CHECK enum err_code jobs_add(struct jobs *jobs, struct tx *tx, struct str kind, struct str params,
                                  int64_t user_id, int64_t *out_id, struct err *err);
/* A waiting job ends at once, a running one is asked to.  ERR_NOT_FOUND; ERR_CONFLICT it has ended. */
MUST_CHECK enum err_code jobs_cancel(struct jobs *jobs, struct tx *tx, int64_t id, struct err *err);
/* One that has ended (failed, cancelled, done) again, from the start.  ERR_NOT_FOUND; ERR_CONFLICT it has not
 * ended. */
MUST_CHECK enum err_code jobs_again(struct jobs *jobs, struct tx *tx, int64_t id, struct err *err);

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED, JOB_STATE__COUNT };
const char *job_state_name(enum job_state state);

struct job_info {
    int64_t id, user_id, made_at, started_at, ended_at; /* 0: not yet */
    struct str kind, params, result, note, error;       /* error: JSON {"code","id","args"} */
    enum job_state state;
    int64_t done, total; /* progress; total 0: not known */
    int starts;
    bool cancel_asked;
};
/* In the arena.  ERR_NOT_FOUND. */
MUST_CHECK enum err_code jobs_get(struct jobs *jobs, struct arena *arena, int64_t id, struct job_info *out,
                                  struct err *err);
/* Newest first, at most `limit`, ids below `before` (0: from the newest); `kind` empty: all. */
MUST_CHECK enum err_code jobs_list(struct jobs *jobs, struct arena *arena, struct str kind, int64_t before,
                                   int limit, struct job_info **out_infos, int *out_count, struct err *err);

/* ---- inside run() ---- */

int64_t job_id(const struct job *job);
int64_t job_user(const struct job *job);
/* What it was asked with, and what an earlier start saved with job_save() ("" when none). */
struct str job_params(const struct job *job);
struct str job_saved(const struct job *job);
/* True when this start follows one that broke off. */
bool job_is_resumed(const struct job *job);
struct arena *job_arena(struct job *job); /* 256 MB at most, for this start */

/* Between two steps: ERR_CANCELLED when somebody asked to stop or the process ends; else ERR_OK. */
MUST_CHECK enum err_code job_check(struct job *job, struct err *err);
/* Shown to people; written at most once a second, so call it as often as you like.  `note` may be empty. */
void job_progress(struct job *job, int64_t done, int64_t total, struct str note);
/* Where to go on after a crash; durable when it returns ERR_OK.  Within a tx: job_save_tx, so that the step
 * and its memory commit together. */
MUST_CHECK enum err_code job_save(struct job *job, struct str json, struct err *err);
MUST_CHECK enum err_code job_save_tx(struct job *job, struct tx *tx, struct str json, struct err *err);
/* What came out, JSON; kept with the end of the job.  Copied. */
MUST_CHECK enum err_code job_result(struct job *job, struct str json, struct err *err);

/* ---- schedules ---- */

struct schedule {
    int64_t id, version;
    struct str kind,
        spec;        /* "30 2 * * *": minute hour day month weekday (0 or 7 = Sunday); lists, ranges, steps */
    struct str zone; /* "" = Asia/Shanghai */
    struct str days; /* "" every day; "work" or "rest": only on such days by the Chinese calendar */
    struct str params;
    bool enabled;
    int64_t next_at; /* 0: never again */
};
/* In the arena. */
MUST_CHECK enum err_code schedules_list(struct jobs *jobs, struct arena *arena, struct schedule **out,
                                        int *out_count, struct err *err);
/* id 0 makes a new one.  ERR_INVALID with the column; ERR_STALE; ERR_NOT_FOUND kind or schedule. */
MUST_CHECK enum err_code schedule_put(struct jobs *jobs, struct tx *tx, struct schedule *schedule,
                                      struct err *err);
MUST_CHECK enum err_code schedule_delete(struct jobs *jobs, struct tx *tx, int64_t id, int64_t version,
                                         struct err *err);
