/* timer.c - see jobs.h: leases, schedules and ticks, on a thread of their own. */
#include "base/cond.h"
#include "base/log.h"
#include "platform/bus/lease.h"
#include "platform/jobs/internal.h"
#include "platform/jobs/jobs_sql.h"

#define RENEW_MS 3000 /* how late a cancel from another node is heard */

struct renew {
    int64_t id;
    char owner[LEASE_OWNER_SIZE + 24];
    const struct job_kind *kind;
    bool asked, lost;
};

static enum err_code renew_fn(struct tx *tx, void *arg, struct err *err)
{
    struct renew *renew = arg;
    struct stmt *stmt = NULL;
    int64_t now, changes = 0;
    bool row = false;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_run(
            tx, SQL_JOB_RENEW,
            BINDS(bind_i64(renew->id), bind_text(str_from(renew->owner)), bind_i64(now + JOB_LEASE_MS)),
            &changes, err);
    renew->lost = !rc && changes == 0;
    if (!rc)
        rc = tx_query_row(tx, SQL_JOB_ASKED, BINDS(bind_i64(renew->id)), &stmt, &row, err);
    renew->asked = !rc && row && stmt_i64(stmt, 0) != 0;
    stmt_free(stmt);
    if (!rc && renew->kind->alone) {
        struct job job = { .kind = renew->kind };
        bool mine;
        memcpy(job.owner, renew->owner, sizeof job.owner);
        rc = job_take_alone(tx, &job, now, &mine, err);
    }
    return rc;
}

/* The list is copied, so that no lock is held while the database is asked. */
static void renew_leases(struct jobs *jobs)
{
    struct renew due[JOB_THREADS_MAX];
    int count = 0;
    const int64_t mono = clock_mono(&CLOCK_SYSTEM);
    (void)pthread_mutex_lock(&jobs->lock);
    for (struct job *job = jobs->running; job && count < JOB_THREADS_MAX; job = job->next) {
        if (mono - job->renewed_ms < RENEW_MS)
            continue;
        job->renewed_ms = mono;
        due[count] = (struct renew) { .id = job->id, .kind = job->kind };
        memcpy(due[count++].owner, job->owner, sizeof job->owner);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    for (int i = 0; i < count; i++) {
        struct err err = { 0 };
        if (store_write_claim(jobs->store, renew_fn, &due[i], &err)) {
            log_line(LOG_DEBUG, "job.renew", "job %lld: %s", (long long)due[i].id, err_name(err.code));
            continue;
        }
        (void)pthread_mutex_lock(&jobs->lock);
        for (struct job *job = jobs->running; job; job = job->next) {
            if (job->id == due[i].id) {
                job->asked = job->asked || due[i].asked;
                job->lost = due[i].lost;
            }
        }
        (void)pthread_mutex_unlock(&jobs->lock);
    }
}

static enum err_code schedule_one(struct tx *tx, struct jobs *jobs, const struct schedule *schedule,
                                  int64_t now, struct err *err)
{
    struct stmt *stmt = NULL;
    int64_t next = 0, id, changes = 0;
    bool open = false;
    enum err_code rc = jobs_next(jobs, schedule, now, &next, err);
    if (!rc)
        rc =
            tx_run(tx, SQL_SCHEDULE_NEXT,
                   BINDS(bind_i64(schedule->id), bind_i64(schedule->next_at), bind_i64(next)), &changes, err);
    if (rc || !changes)
        return rc;
    rc = tx_query_row(tx, SQL_SCHEDULE_OPEN, BINDS(bind_text(schedule->kind), bind_text(schedule->params)),
                      &stmt, &open, err);
    stmt_free(stmt);
    return rc || open ? rc : jobs_add(jobs, tx, schedule->kind, schedule->params, 0, &id, err);
}

static enum err_code schedules_fn(struct tx *tx, void *arg, struct err *err)
{
    struct jobs *jobs = arg;
    struct stmt *stmt = NULL;
    struct schedule due[32];
    int count = 0;
    bool row = true;
    const int64_t now = tx_now_ms(tx);
    enum err_code rc = tx_query(tx, SQL_SCHEDULE_DUE, BINDS(bind_i64(now)), &stmt, err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row && count < 32) {
        struct schedule *one = &due[count++];
        *one = (struct schedule) { .id = stmt_i64(stmt, 0),
                                   .kind = stmt_keep(stmt, 1),
                                   .spec = stmt_keep(stmt, 2),
                                   .zone = stmt_keep(stmt, 3),
                                   .days = stmt_keep(stmt, 4),
                                   .params = stmt_keep(stmt, 5),
                                   .next_at = stmt_i64(stmt, 6) };
    }
    stmt_free(stmt);
    if (!rc)
        rc = tx_failed(tx, err);
    for (int i = 0; i < count && !rc; i++)
        if (jobs_kind(jobs, due[i].kind))
            rc = schedule_one(tx, jobs, &due[i], now, err);
    return rc;
}

static void run_ticks(struct jobs *jobs)
{
    for (int i = 0; i < jobs->tick_count; i++) {
        struct tick *tick = &jobs->ticks[i];
        struct err err = { 0 };
        const int64_t now = clock_mono(&CLOCK_SYSTEM);
        if (now < tick->due_ms)
            continue;
        const enum err_code rc = tick->fn(tick->arg, &err);
        if (rc && !tick->failing)
            log_err(&err, "tick.failed", "%s", tick->name);
        else if (!rc && tick->failing)
            log_line(LOG_INFO, "tick.recovered", "%s", tick->name);
        tick->failing = rc != ERR_OK;
        tick->due_ms += tick->every_ms;
        if (tick->due_ms < now)
            tick->due_ms = now + tick->every_ms;
    }
}

void *jobs_timer(void *arg)
{
    struct jobs *jobs = arg;
    bool away = false;
    int64_t schedules_ms = 0;
    (void)pthread_mutex_lock(&jobs->lock);
    while (!jobs->stop) {
        (void)pthread_mutex_unlock(&jobs->lock);
        renew_leases(jobs);
        if (clock_mono(&CLOCK_SYSTEM) >= schedules_ms) {
            struct err err = { 0 };
            const enum err_code rc = store_write_claim(jobs->store, schedules_fn, jobs, &err);
            if (rc && !away)
                log_err(&err, "job.schedules", "schedules wait");
            away = rc != ERR_OK;
            schedules_ms = clock_mono(&CLOCK_SYSTEM) + 1000;
        }
        run_ticks(jobs);
        (void)pthread_mutex_lock(&jobs->lock);
        if (!jobs->stop)
            (void)cond_wait_ms(&jobs->timer_wake, &jobs->lock, 200);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return NULL;
}
