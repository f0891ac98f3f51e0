/* jobs.c - see jobs.h: the threads that run jobs.
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
#include "platform/jobs/cron.h"
#include "platform/jobs/internal.h"
#include "platform/jobs/jobs_sql.h"

#include <assert.h>
#include <stdio.h>

#define POLL_MS 1000
#define TRIES_DEFAULT 3
#define JOB_ARENA_MAX ((size_t)256 << 20)
#define END_TRIES 20

static void *job_thread(void *arg);

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
    jobs->timer_started = pthread_create(&jobs->timer, NULL, jobs_timer, jobs) == 0;
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

enum err_code job_take_alone(struct tx *tx, const struct job *job, int64_t now, bool *out_mine,
                             struct err *err)
{
    char name[96];
    int64_t changes = 0;
    (void)snprintf(name, sizeof name, "job.%.80s", job->kind->name);
    enum err_code rc = tx_run(tx, SQL_LEASE_TAKE,
                              BINDS(bind_text(str_from(name)), bind_text(str_from(job->owner)),
                                    bind_i64(now + JOB_LEASE_MS), bind_i64(now)),
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
    enum err_code rc = tx_run(tx, SQL_JOB_BEGIN,
                              BINDS(bind_i64(job->id), bind_i64(now), bind_text(str_from(job->owner)),
                                    bind_i64(now + JOB_LEASE_MS)),
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
            rc = job_take_alone(tx, job, now, &mine, err);
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

bool jobs_stopping(struct jobs *jobs)
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
    const bool stopping = jobs_stopping(jobs);
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
