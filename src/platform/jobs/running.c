/* running.c - see jobs.h: what a running job may call. */
#include "base/log.h"
#include "platform/jobs/internal.h"
#include "platform/jobs/jobs_sql.h"

#define PROGRESS_MS 1000

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
    if (job->asked || job->lost || jobs_stopping(job->jobs))
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
