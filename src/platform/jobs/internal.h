/* internal.h - what the files of the jobs share. */
#pragma once
#include "base/calendar.h"
#include "platform/bus/lease.h"
#include "platform/jobs/jobs.h"

#include <pthread.h>

#define JOB_KINDS_MAX 64
#define JOB_TICKS_MAX 32
#define JOB_THREADS_MAX 16
#define JOB_LEASE_MS 60000

struct tick {
    const char *name;
    int64_t every_ms, due_ms;
    enum err_code (*fn)(void *arg, struct err *err);
    void *arg;
    bool failing;
};

struct jobs {
    struct store *store;
    struct ids *ids;
    struct bus *bus;
    struct str owner;
    struct job_kind kinds[JOB_KINDS_MAX];
    int kind_count;
    struct tick ticks[JOB_TICKS_MAX];
    int tick_count;
    struct calendar *calendar; /* working days of the country */
    pthread_mutex_t lock;      /* guards what follows */
    pthread_cond_t wake, timer_wake;
    bool stop;
    uint64_t news, owners; /* owners: gives each thread a name in leases of its own */
    struct job *running;   /* list */
    pthread_t threads[JOB_THREADS_MAX], timer;
    int thread_count;
    bool timer_started;
};

struct job {
    struct jobs *jobs;
    const struct job_kind *kind;
    int64_t id, user_id;
    char owner[LEASE_OWNER_SIZE + 24]; /* of the lease: process and thread */
    struct str params, saved;
    struct buf result, saved_now;
    int starts;
    bool resumed;
    struct arena *arena;
    _Atomic bool asked, lost; /* cancel asked; the lease is no longer ours */
    int64_t done, total, written_ms, renewed_ms;
    char note[200];
    struct job *next; /* in jobs->running */
};

const struct job_kind *jobs_kind(const struct jobs *jobs, struct str name);
/* After the commit: wakes the threads, tells the bus. */
MUST_CHECK enum err_code jobs_changed(struct jobs *jobs, struct tx *tx, int64_t id, struct str kind,
                                      enum job_state state, struct err *err);
/* The next instant of a schedule after `after`; 0 never.  ERR_INVALID. */
MUST_CHECK enum err_code jobs_next(struct jobs *jobs, const struct schedule *schedule, int64_t after,
                                   int64_t *out_next, struct err *err);
/* Asked to stop. */
bool jobs_stopping(struct jobs *jobs);
/* One of a kind: takes, or keeps, the lease of the kind's name for the job's owner. */
MUST_CHECK enum err_code job_take_alone(struct tx *tx, const struct job *job, int64_t now, bool *out_mine,
                                        struct err *err);
/* The timer's thread, until jobs->stop. */
void *jobs_timer(void *jobs);
