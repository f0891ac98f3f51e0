/* jobs.c - see jobs.h: the threads that run jobs, the timer, and what a running job may call.
 *
 *   waiting --claim--> running --ERR_OK--> done
 *      ^  ^               | \--asked----> cancelled
 *      |  \--stopping,----|  \--else----> failed --again--> waiting
 *      |     try later    |
 *      \---lease runs out-/   (begun again while `tries` last, else failed)
 * Every change of a running job names the lease's owner, so a late worker changes nothing. */
#include "platform/jobs/jobs.h"
#include "base/cond.h"

#include "base/json.h"
#include "base/log.h"
#include "platform/bus/bus_sql.h"
#include "platform/bus/lease.h"
#include "platform/jobs/cron.h"
#include "platform/jobs/internal.h"
#include "platform/jobs/jobs_sql.h"

#include <assert.h>
#include <stdio.h>

#define LEASE_MS 60000
#define RENEW_MS 3000 /* how late a cancel from another node is heard */
#define POLL_MS 1000
#define PROGRESS_MS 1000
#define TRIES_DEFAULT 3
#define JOB_ARENA_MAX ((size_t)256 << 20)
#define END_TRIES 20

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

static void *job_thread(void *arg);
static void *timer_thread(void *arg);

/* ---- the service ---- */

enum err_code jobs_new(struct store *store, struct ids *ids, struct bus *bus, struct str owner,
                       struct jobs **out_jobs, struct err *err)
{
    struct jobs *jobs = mem_alloc(1, sizeof *jobs);
    char *copy = jobs ? mem_copy(owner.ptr, owner.len) : NULL;
    if (!copy) {
        mem_free(jobs);
        return err_nomem(err);
    }
    jobs->store = store;
    jobs->ids = ids;
    jobs->bus = bus;
    jobs->owner = (struct str) { copy, owner.len };
    (void)pthread_mutex_init(&jobs->lock, NULL);
    cond_init(&jobs->wake);
    cond_init(&jobs->timer_wake);
    const struct calendar_spec spec = { .hours = STR(CALENDAR_OFFICE_HOURS), .holidays_cn = true };
    const enum err_code rc = calendar_new(&spec, &jobs->calendar, err);
    if (rc) {
        jobs_free(jobs);
        return rc;
    }
    *out_jobs = jobs;
    return ERR_OK;
}

void jobs_free(struct jobs *jobs)
{
    if (!jobs)
        return;
    jobs_stop(jobs);
    calendar_free(jobs->calendar);
    (void)pthread_mutex_destroy(&jobs->lock);
    (void)pthread_cond_destroy(&jobs->wake);
    (void)pthread_cond_destroy(&jobs->timer_wake);
    mem_free((void *)(uintptr_t)jobs->owner.ptr);
    mem_free(jobs);
}

const char *jobs_kind_at(const struct jobs *jobs, int i)
{
    return i >= 0 && i < jobs->kind_count ? jobs->kinds[i].name : NULL;
}

const struct job_kind *jobs_kind(const struct jobs *jobs, struct str name)
{
    for (int i = 0; i < jobs->kind_count; i++)
        if (str_eq(str_from(jobs->kinds[i].name), name))
            return &jobs->kinds[i];
    return NULL;
}

enum err_code jobs_register(struct jobs *jobs, const struct job_kind *kind, struct err *err)
{
    struct cron cron;
    assert(kind->run && jobs->thread_count == 0);
    if (jobs_kind(jobs, str_from(kind->name)))
        return err_set(err, ERR_CONFLICT, "jobs.kind", ARG_TEXT("kind", kind->name), ARG_END);
    if (jobs->kind_count == JOB_KINDS_MAX)
        return err_set(err, ERR_LIMIT, "jobs.kinds", ARG_INT("max", JOB_KINDS_MAX), ARG_END);
    if (kind->schedule && cron_parse(str_from(kind->schedule), &cron, err))
        return err->code;
    struct job_kind *copy = &jobs->kinds[jobs->kind_count++];
    *copy = *kind;
    copy->tries = copy->tries ? copy->tries : TRIES_DEFAULT;
    return ERR_OK;
}

enum err_code jobs_tick(struct jobs *jobs, const char *name, int64_t every_ms,
                        enum err_code (*tick)(void *arg, struct err *err), void *arg, struct err *err)
{
    if (jobs->tick_count == JOB_TICKS_MAX)
        return err_set(err, ERR_LIMIT, "jobs.kinds", ARG_INT("max", JOB_TICKS_MAX), ARG_END);
    jobs->ticks[jobs->tick_count++] =
        (struct tick) { .name = name, .every_ms = every_ms, .fn = tick, .arg = arg };
    return ERR_OK;
}

/* What broke off with a process of this home is due at once; on SQLite there is nobody else. */
static enum err_code free_own(struct tx *tx, const struct jobs *jobs, struct err *err)
{
    static const char *const SQL[] = { SQL_JOB_FREE_OWN, SQL_JOB_FREE_ALONE };
    char pattern[LEASE_PATTERN_SIZE];
    enum err_code rc = ERR_OK;
    lease_pattern(jobs->owner, pattern);
    for (size_t i = 0; i < sizeof SQL / sizeof *SQL && !rc; i++) {
        struct stmt *stmt = NULL;
        rc = tx_prepare(tx, SQL[i], &stmt, err);
        if (!rc) {
            stmt_bind_text(stmt, 1, tx_backend(tx) == STORE_SQLITE ? STR("%") : str_from(pattern));
            rc = stmt_run(stmt, NULL, err);
        }
        stmt_free(stmt);
    }
    return rc;
}

static enum err_code first_fn(struct tx *tx, void *arg, struct err *err)
{
    struct jobs *jobs = arg;
    enum err_code rc = free_own(tx, jobs, err);
    struct stmt *stmt = NULL;
    for (int i = 0; i < jobs->kind_count && !rc; i++) {
        const struct job_kind *kind = &jobs->kinds[i];
        const struct schedule schedule = { .spec = str_from(kind->schedule) };
        int64_t next;
        stmt = NULL;
        if (!kind->schedule)
            continue;
        rc = jobs_next(jobs, &schedule, tx_now_ms(tx), &next, err);
        if (!rc)
            rc = tx_prepare(tx, SQL_SCHEDULE_OWN, &stmt, err);
        if (!rc) {
            stmt_bind_i64(stmt, 1, ids_next(jobs->ids));
            stmt_bind_text(stmt, 2, str_from(kind->name));
            stmt_bind_text(stmt, 3, str_from(kind->schedule));
            stmt_bind_text(stmt, 4, kind->params ? str_from(kind->params) : STR("{}"));
            stmt_bind_i64(stmt, 5, next);
            rc = stmt_run(stmt, NULL, err);
        }
        stmt_free(stmt);
    }
    return rc;
}

enum err_code jobs_start(struct jobs *jobs, int threads, struct err *err)
{
    assert(threads >= 1 && threads <= JOB_THREADS_MAX && jobs->thread_count == 0);
    const enum err_code rc = store_write(jobs->store, first_fn, jobs, err);
    if (rc)
        return rc;
    jobs->stop = false;
    for (int i = 0; i < jobs->tick_count; i++)
        jobs->ticks[i].due_ms = clock_mono(&CLOCK_SYSTEM) + jobs->ticks[i].every_ms;
    jobs->timer_started = pthread_create(&jobs->timer, NULL, timer_thread, jobs) == 0;
    while (jobs->timer_started && jobs->thread_count < threads &&
           pthread_create(&jobs->threads[jobs->thread_count], NULL, job_thread, jobs) == 0)
        jobs->thread_count++;
    if (jobs->thread_count < threads) {
        jobs_stop(jobs);
        return err_nomem(err);
    }
    return ERR_OK;
}

void jobs_stop(struct jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->stop = true;
    (void)pthread_cond_broadcast(&jobs->wake);
    (void)pthread_cond_broadcast(&jobs->timer_wake);
    (void)pthread_mutex_unlock(&jobs->lock);
    while (jobs->thread_count)
        (void)pthread_join(jobs->threads[--jobs->thread_count], NULL);
    if (jobs->timer_started)
        (void)pthread_join(jobs->timer, NULL);
    jobs->timer_started = false;
}

/* ---- news ---- */

struct changed {
    struct jobs *jobs;
    int64_t id;
    struct str kind;
    enum job_state state;
};

static void on_changed(void *arg)
{
    const struct changed *changed = arg;
    struct jobs *jobs = changed->jobs;
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->news++;
    (void)pthread_cond_signal(&jobs->wake);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (!jobs->bus)
        return;
    char json[200];
    const int len = snprintf(json, sizeof json, "{\"id\":\"%lld\",\"kind\":\"%.*s\",\"state\":\"%s\"}",
                             (long long)changed->id, STR_ARG(changed->kind), job_state_name(changed->state));
    const struct bus_event event = { changed->state == JOB_FAILED ? STR("job.failed") : STR("job.changed"),
                                     changed->id,
                                     { json, (size_t)len } };
    bus_publish(jobs->bus, &event);
}

enum err_code jobs_changed(struct jobs *jobs, struct tx *tx, int64_t id, struct str kind,
                           enum job_state state, struct err *err)
{
    struct arena *arena = tx_arena(tx);
    struct changed *changed = arena ? arena_alloc(arena, 1, sizeof *changed) : NULL;
    if (!changed)
        return err_nomem(err);
    *changed = (struct changed) { jobs, id, arena_str(arena, str_slice(kind, 0, BUS_TOPIC_MAX)), state };
    if (!changed->kind.ptr)
        return err_nomem(err);
    return tx_after_commit(tx, on_changed, changed, err);
}

/* ---- claiming ---- */

struct claim {
    struct jobs *jobs;
    struct job *job;
    bool found;
};

static const struct str BROKE_OFF = { "{\"code\":\"internal\",\"id\":\"jobs.broke_off\",\"args\":{}}", 56 };

static enum err_code give_up(struct tx *tx, struct jobs *jobs, int64_t id, struct str kind,
                             enum job_state state, int64_t now, struct err *err)
{
    enum err_code rc = tx_run(tx, SQL_JOB_GIVE_UP,
                              BINDS(bind_i64(id), bind_i64(state), bind_i64(now),
                                    bind_text(state == JOB_FAILED ? BROKE_OFF : STR(""))),
                              NULL, err);
    return rc ? rc : jobs_changed(jobs, tx, id, kind, state, err);
}

/* One of a kind: a lease of the kind's name, held by the job's owner. */
static enum err_code take_alone(struct tx *tx, const struct job *job, int64_t now, bool *out_mine,
                                struct err *err)
{
    char name[96];
    int64_t changes = 0;
    (void)snprintf(name, sizeof name, "job.%.80s", job->kind->name);
    enum err_code rc = tx_run(tx, SQL_LEASE_TAKE,
                              BINDS(bind_text(str_from(name)), bind_text(str_from(job->owner)),
                                    bind_i64(now + LEASE_MS), bind_i64(now)),
                              &changes, err);
    *out_mine = changes > 0;
    return rc;
}

static enum err_code give_alone(struct tx *tx, const struct job *job, struct err *err)
{
    char name[96];
    if (!job->kind->alone)
        return ERR_OK;
    (void)snprintf(name, sizeof name, "job.%.80s", job->kind->name);
    return tx_run(tx, SQL_LEASE_GIVE, BINDS(bind_text(str_from(name)), bind_text(str_from(job->owner))), NULL,
                  err);
}

static enum err_code begin_job(struct tx *tx, struct job *job, int64_t now, struct err *err)
{
    enum err_code rc = tx_run(
        tx, SQL_JOB_BEGIN,
        BINDS(bind_i64(job->id), bind_i64(now), bind_text(str_from(job->owner)), bind_i64(now + LEASE_MS)),
        NULL, err);
    return rc ? rc : jobs_changed(job->jobs, tx, job->id, str_from(job->kind->name), JOB_RUNNING, err);
}

struct due {
    int64_t id, user_id;
    struct str kind, params, saved;
    int state, starts;
    bool asked;
};

static enum err_code due_list(struct tx *tx, int64_t now, struct due *due, int *out_count, struct err *err)
{
    struct stmt *stmt = NULL;
    bool row = true;
    int count = 0;
    enum err_code rc = tx_query(tx, SQL_JOB_DUE, BINDS(bind_i64(now)), &stmt, err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row && count < 32) {
        struct due *one = &due[count++];
        *one = (struct due) { .id = stmt_i64(stmt, 0),
                              .kind = stmt_keep(stmt, 1),
                              .state = (int)stmt_i64(stmt, 2),
                              .user_id = stmt_i64(stmt, 3),
                              .params = stmt_keep(stmt, 4),
                              .saved = stmt_keep(stmt, 5),
                              .starts = (int)stmt_i64(stmt, 6),
                              .asked = stmt_i64(stmt, 7) != 0 };
    }
    stmt_free(stmt);
    *out_count = count;
    return rc ? rc : tx_failed(tx, err);
}

static enum err_code claim_fn(struct tx *tx, void *arg, struct err *err)
{
    struct claim *claim = arg;
    struct job *job = claim->job;
    struct due due[32];
    int count = 0;
    int64_t now;
    claim->found = false;
    arena_reset(job->arena);
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = due_list(tx, now, due, &count, err);
    for (int i = 0; i < count && !rc && !claim->found; i++) {
        const struct job_kind *kind = jobs_kind(claim->jobs, due[i].kind);
        bool mine = true;
        if (!kind) /* of another version of the program */
            continue;
        if (due[i].asked || due[i].starts >= kind->tries) {
            rc = give_up(tx, claim->jobs, due[i].id, due[i].kind, due[i].asked ? JOB_CANCELLED : JOB_FAILED,
                         now, err);
            continue;
        }
        job->kind = kind;
        if (kind->alone)
            rc = take_alone(tx, job, now, &mine, err);
        if (rc || !mine)
            continue;
        job->id = due[i].id;
        job->user_id = due[i].user_id;
        job->starts = due[i].starts + 1;
        job->resumed = due[i].starts > 0;
        job->params = arena_str(job->arena, due[i].params);
        job->saved = arena_str(job->arena, due[i].saved);
        if (!job->params.ptr || !job->saved.ptr)
            rc = err_nomem(err);
        if (!rc)
            rc = begin_job(tx, job, now, err);
        claim->found = true;
    }
    return rc;
}

/* ---- ending ---- */

struct ending {
    struct job *job;
    enum job_state state; /* JOB_WAITING: again later */
    int64_t wait_ms;
    bool keep_start; /* the start does not count: the process stops */
    struct str error;
};

static enum err_code end_fn(struct tx *tx, void *arg, struct err *err)
{
    struct ending *ending = arg;
    struct job *job = ending->job;
    const struct bind id = bind_i64(job->id), owner = bind_text(str_from(job->owner)),
                      error = bind_text(ending->error);
    int64_t now, changes = 0;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc && ending->state == JOB_WAITING)
        rc = tx_run(tx, SQL_JOB_LATER,
                    BINDS(id, owner, bind_i64(now + ending->wait_ms), bind_i64(ending->keep_start), error),
                    &changes, err);
    else if (!rc)
        rc = tx_run(tx, SQL_JOB_END,
                    BINDS(id, owner, bind_i64(ending->state), bind_i64(now), bind_text(buf_get(&job->result)),
                          error, bind_i64(job->done), bind_i64(job->total), bind_text(str_from(job->note))),
                    &changes, err);
    if (!rc)
        rc = give_alone(tx, job, err);
    if (!rc && changes)
        rc = jobs_changed(job->jobs, tx, job->id, str_from(job->kind->name), ending->state, err);
    return rc;
}

static bool is_stopping(struct jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    const bool stop = jobs->stop;
    (void)pthread_mutex_unlock(&jobs->lock);
    return stop;
}

static bool helps_later(enum err_code code)
{
    return code == ERR_STORE || code == ERR_NET || code == ERR_BUSY || code == ERR_TIMEOUT ||
           code == ERR_DISK_FULL;
}

static void end_job(struct job *job, enum err_code rc, const struct err *failure)
{
    struct jobs *jobs = job->jobs;
    struct ending ending = { .job = job, .state = JOB_DONE };
    struct buf error;
    buf_init(&error, 16384);
    const bool stopping = is_stopping(jobs);
    if (rc == ERR_CANCELLED && job->asked) {
        ending.state = JOB_CANCELLED;
    } else if (rc == ERR_CANCELLED && stopping) {
        ending.state = JOB_WAITING;
        ending.keep_start = true;
    } else if (rc) {
        log_err(failure, "job.failed", "job %lld kind %s start %d", (long long)job->id, job->kind->name,
                job->starts);
        json_put_err(failure, &error);
        const bool again = helps_later(rc) && job->starts < job->kind->tries;
        ending.state = again ? JOB_WAITING : JOB_FAILED;
        ending.wait_ms = INT64_C(10000) << (2 * (job->starts < 6 ? job->starts - 1 : 5));
    }
    ending.error = buf_get(&error);
    for (int tries = 0; tries < END_TRIES; tries++) {
        struct err err = { 0 };
        if (store_write_claim(jobs->store, end_fn, &ending, &err) == ERR_OK)
            break;
        if (tries == 0 || tries == END_TRIES - 1)
            log_err(&err, "job.end", "job %lld: its end is not written yet", (long long)job->id);
        (void)pthread_mutex_lock(&jobs->lock);
        if (!jobs->stop)
            (void)cond_wait_ms(&jobs->timer_wake, &jobs->lock, 500);
        else
            tries = END_TRIES; /* its lease runs out, or is freed at the next start */
        (void)pthread_mutex_unlock(&jobs->lock);
    }
    buf_done(&error);
}

/* ---- threads ---- */

static void set_running(struct job *job, bool running)
{
    struct jobs *jobs = job->jobs;
    (void)pthread_mutex_lock(&jobs->lock);
    if (running) {
        job->next = jobs->running;
        jobs->running = job;
    } else {
        struct job **link = &jobs->running;
        while (*link != job)
            link = &(*link)->next;
        *link = job->next;
    }
    (void)pthread_mutex_unlock(&jobs->lock);
}

/* Claims one job and runs it; false when none was due. */
static bool run_one(struct jobs *jobs, struct job *job, bool *away)
{
    struct claim claim = { .jobs = jobs, .job = job };
    struct err err = { 0 };
    job->asked = job->lost = false;
    job->done = job->total = job->written_ms = 0;
    job->renewed_ms = clock_mono(&CLOCK_SYSTEM);
    job->note[0] = 0;
    buf_clear(&job->result);
    buf_clear(&job->saved_now);
    const enum err_code claimed = store_write_claim(jobs->store, claim_fn, &claim, &err);
    if (claimed && !*away)
        log_err(&err, "job.claim", "jobs wait");
    *away = claimed != ERR_OK;
    if (claimed || !claim.found)
        return false;
    set_running(job, true);
    log_line(LOG_INFO, "job.begun", "job %lld kind %s start %d", (long long)job->id, job->kind->name,
             job->starts);
    const int64_t start = clock_mono(&CLOCK_SYSTEM);
    err = (struct err) { 0 };
    const enum err_code rc = job->kind->run(job->kind->arg, job, &err);
    set_running(job, false);
    if (!rc)
        log_line(LOG_INFO, "job.done", "job %lld kind %s in %lld ms", (long long)job->id, job->kind->name,
                 (long long)(clock_mono(&CLOCK_SYSTEM) - start));
    if (!job->lost)
        end_job(job, rc, &err);
    return true;
}

static void *job_thread(void *arg)
{
    struct jobs *jobs = arg;
    struct job job = { .jobs = jobs };
    bool away = false;
    (void)pthread_mutex_lock(&jobs->lock);
    (void)snprintf(job.owner, sizeof job.owner, "%.*s#%llu", STR_ARG(jobs->owner),
                   (unsigned long long)++jobs->owners);
    buf_init(&job.result, JOB_STATE_MAX);
    buf_init(&job.saved_now, JOB_STATE_MAX);
    while (!jobs->stop) {
        const uint64_t news = jobs->news;
        (void)pthread_mutex_unlock(&jobs->lock);
        if (!job.arena)
            job.arena = arena_new(JOB_ARENA_MAX);
        const bool ran = job.arena && run_one(jobs, &job, &away);
        (void)pthread_mutex_lock(&jobs->lock);
        if (!ran && news == jobs->news && !jobs->stop)
            (void)cond_wait_ms(&jobs->wake, &jobs->lock, POLL_MS);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    buf_done(&job.result);
    buf_done(&job.saved_now);
    arena_free(job.arena);
    return NULL;
}

/* ---- the timer: leases, schedules, ticks ---- */

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
        rc = tx_run(tx, SQL_JOB_RENEW,
                    BINDS(bind_i64(renew->id), bind_text(str_from(renew->owner)), bind_i64(now + LEASE_MS)),
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
        rc = take_alone(tx, &job, now, &mine, err);
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

static void *timer_thread(void *arg)
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

/* ---- inside run() ---- */

int64_t job_id(const struct job *job)
{
    return job->id;
}

int64_t job_user(const struct job *job)
{
    return job->user_id;
}

struct str job_params(const struct job *job)
{
    return job->params;
}

struct str job_saved(const struct job *job)
{
    return job->saved;
}

bool job_is_resumed(const struct job *job)
{
    return job->resumed;
}

struct arena *job_arena(struct job *job)
{
    return job->arena;
}

enum err_code job_check(struct job *job, struct err *err)
{
    if (job->asked || job->lost || is_stopping(job->jobs))
        return err_set(err, ERR_CANCELLED, "jobs.cancelled", ARG_END);
    return ERR_OK;
}

static enum err_code progress_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct job *job = arg;
    enum err_code rc = tx_run(tx, SQL_JOB_PROGRESS,
                              BINDS(bind_i64(job->id), bind_text(str_from(job->owner)), bind_i64(job->done),
                                    bind_i64(job->total), bind_text(str_from(job->note))),
                              NULL, err);
    return rc ? rc : jobs_changed(job->jobs, tx, job->id, str_from(job->kind->name), JOB_RUNNING, err);
}

void job_progress(struct job *job, int64_t done, int64_t total, struct str note)
{
    job->done = done;
    job->total = total;
    if (note.len) {
        size_t len = note.len < sizeof job->note - 1 ? note.len : sizeof job->note - 1;
        while (len < note.len && len && ((unsigned char)note.ptr[len] & 0xc0) == 0x80)
            len--; /* at a character */
        memcpy(job->note, note.ptr, len);
        job->note[len] = 0;
    }
    const int64_t now = clock_mono(&CLOCK_SYSTEM);
    if (now - job->written_ms < PROGRESS_MS)
        return;
    struct err err = { 0 };
    job->written_ms = now;
    if (store_write_claim(job->jobs->store, progress_fn, job, &err))
        log_line(LOG_DEBUG, "job.progress", "job %lld: %s", (long long)job->id, err_name(err.code));
}

enum err_code job_save_tx(struct job *job, struct tx *tx, struct str json, struct err *err)
{
    int64_t changes = 0;
    if (json.len > JOB_STATE_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", JOB_STATE_MAX), ARG_END);
    enum err_code rc =
        tx_run(tx, SQL_JOB_SAVE, BINDS(bind_i64(job->id), bind_text(str_from(job->owner)), bind_text(json)),
               &changes, err);
    if (!rc && !changes) { /* another one runs it: nothing of ours may stay */
        job->lost = true;
        rc = err_set(err, ERR_CANCELLED, "jobs.cancelled", ARG_END);
    }
    return rc;
}

struct save {
    struct job *job;
    struct str json;
};

static enum err_code save_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct save *save = arg;
    return job_save_tx(save->job, tx, save->json, err);
}

enum err_code job_save(struct job *job, struct str json, struct err *err)
{
    struct save save = { job, json };
    return store_write_claim(job->jobs->store, save_fn, &save, err);
}

enum err_code job_result(struct job *job, struct str json, struct err *err)
{
    buf_clear(&job->result);
    buf_str(&job->result, json);
    return buf_check(&job->result, err);
}
