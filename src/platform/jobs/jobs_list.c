/* jobs_list.c - see jobs.h: asking for jobs, looking at them, schedules. */
#include "platform/bus/lease.h"
#include "platform/jobs/cron.h"
#include "platform/jobs/internal.h"
#include "platform/jobs/jobs_sql.h"

static const char *const STATE_NAMES[JOB_STATE__COUNT] = { "waiting", "running", "done", "failed",
                                                           "cancelled" };

const char *job_state_name(enum job_state state)
{
    return STATE_NAMES[state];
}

/* ---- asking ---- */

enum err_code jobs_add(struct jobs *jobs, struct tx *tx, struct str kind, struct str params, int64_t user_id,
                       int64_t *out_id, struct err *err)
{
    int64_t now;
    const int64_t id = ids_next(jobs->ids);
    if (!jobs_kind(jobs, kind))
        return err_set(err, ERR_NOT_FOUND, "jobs.no_kind", ARG_STR("kind", kind), ARG_END);
    if (params.len > JOB_STATE_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", JOB_STATE_MAX), ARG_END);
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_run(tx, SQL_JOB_ADD,
                    BINDS(bind_i64(id), bind_text(kind), bind_i64(user_id),
                          bind_text(params.len ? params : STR("{}")), bind_i64(tx_now_ms(tx)), bind_i64(now)),
                    NULL, err);
    if (!rc)
        rc = jobs_changed(jobs, tx, id, kind, JOB_WAITING, err);
    if (!rc)
        *out_id = id;
    return rc;
}

static enum err_code state_get(struct tx *tx, int64_t id, int *out_state, struct str *out_kind,
                               struct err *err)
{
    struct stmt *stmt = NULL;
    struct arena *arena = tx_arena(tx);
    bool row = false;
    enum err_code rc = arena ? tx_prepare(tx, SQL_JOB_STATE, &stmt, err) : err_nomem(err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, id);
        rc = stmt_step(stmt, &row, err);
    }
    if (!rc && row) {
        *out_state = (int)stmt_i64(stmt, 0);
        *out_kind = arena_str(arena, stmt_text(stmt, 1));
        if (!out_kind->ptr)
            rc = err_nomem(err);
    }
    stmt_free(stmt);
    if (!rc && !row)
        rc = err_set(err, ERR_NOT_FOUND, "jobs.none", ARG_END);
    return rc;
}

static enum err_code set_state(struct tx *tx, const char *sql, int64_t id, struct err *err)
{
    struct stmt *stmt = NULL;
    int64_t now;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_prepare(tx, sql, &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, id);
        if (strstr(sql, "?2"))
            stmt_bind_i64(stmt, 2, now);
        rc = stmt_run(stmt, NULL, err);
    }
    stmt_free(stmt);
    return rc;
}

enum err_code jobs_cancel(struct jobs *jobs, struct tx *tx, int64_t id, struct err *err)
{
    int state = 0;
    struct str kind;
    enum err_code rc = state_get(tx, id, &state, &kind, err);
    if (rc)
        return rc;
    if (state > JOB_RUNNING)
        return err_set(err, ERR_CONFLICT, "jobs.ended", ARG_END);
    rc = set_state(tx, state == JOB_WAITING ? SQL_JOB_CANCEL_WAITING : SQL_JOB_CANCEL_RUNNING, id, err);
    return rc ? rc
              : jobs_changed(jobs, tx, id, kind, state == JOB_WAITING ? JOB_CANCELLED : JOB_RUNNING, err);
}

enum err_code jobs_again(struct jobs *jobs, struct tx *tx, int64_t id, struct err *err)
{
    int state = 0;
    struct str kind;
    enum err_code rc = state_get(tx, id, &state, &kind, err);
    if (rc)
        return rc;
    if (state <= JOB_RUNNING)
        return err_set(err, ERR_CONFLICT, "jobs.not_ended", ARG_END);
    rc = set_state(tx, SQL_JOB_AGAIN, id, err);
    return rc ? rc : jobs_changed(jobs, tx, id, kind, JOB_WAITING, err);
}

/* ---- looking ---- */

struct list {
    struct arena *arena;
    struct str kind;
    int64_t id; /* of one, or before */
    int limit, count;
    struct job_info *infos;
    bool one;
};

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct list *list = arg;
    struct stmt *stmt = NULL;
    bool row = true;
    list->count = 0;
    enum err_code rc = tx_prepare(tx,
                                  list->one        ? SQL_JOB_GET
                                  : list->kind.len ? SQL_JOB_LIST_KIND
                                                   : SQL_JOB_LIST,
                                  &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, list->id);
        if (!list->one)
            stmt_bind_i64(stmt, 2, list->limit);
        if (!list->one && list->kind.len)
            stmt_bind_text(stmt, 3, list->kind);
    }
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row && list->count < list->limit) {
        struct job_info *info = &list->infos[list->count++];
        *info = (struct job_info) { .id = stmt_i64(stmt, 0),
                                    .kind = arena_str(list->arena, stmt_text(stmt, 1)),
                                    .state = (enum job_state)stmt_i64(stmt, 2),
                                    .user_id = stmt_i64(stmt, 3),
                                    .params = arena_str(list->arena, stmt_text(stmt, 4)),
                                    .result = arena_str(list->arena, stmt_text(stmt, 5)),
                                    .error = arena_str(list->arena, stmt_text(stmt, 6)),
                                    .note = arena_str(list->arena, stmt_text(stmt, 7)),
                                    .done = stmt_i64(stmt, 8),
                                    .total = stmt_i64(stmt, 9),
                                    .starts = (int)stmt_i64(stmt, 10),
                                    .cancel_asked = stmt_i64(stmt, 11) != 0,
                                    .made_at = stmt_i64(stmt, 12),
                                    .started_at = stmt_i64(stmt, 13),
                                    .ended_at = stmt_i64(stmt, 14) };
        if (!info->kind.ptr || !info->params.ptr || !info->result.ptr || !info->error.ptr || !info->note.ptr)
            rc = err_nomem(err);
    }
    stmt_free(stmt);
    return rc;
}

enum err_code jobs_list(struct jobs *jobs, struct arena *arena, struct str kind, int64_t before, int limit,
                        struct job_info **out_infos, int *out_count, struct err *err)
{
    struct list list = { .arena = arena,
                         .kind = kind,
                         .id = before ? before : INT64_MAX,
                         .limit = limit,
                         .infos = arena_alloc(arena, (size_t)limit + 1, sizeof *list.infos) };
    const enum err_code rc = list.infos ? store_read(jobs->store, list_fn, &list, err) : err_nomem(err);
    if (!rc) {
        *out_infos = list.infos;
        *out_count = list.count;
    }
    return rc;
}

enum err_code jobs_get(struct jobs *jobs, struct arena *arena, int64_t id, struct job_info *out,
                       struct err *err)
{
    struct job_info info = { 0 };
    struct list list = { .arena = arena, .id = id, .limit = 1, .infos = &info, .one = true };
    const enum err_code rc = store_read(jobs->store, list_fn, &list, err);
    if (!rc && !list.count)
        return err_set(err, ERR_NOT_FOUND, "jobs.none", ARG_END);
    if (!rc)
        *out = info;
    return rc;
}

/* ---- schedules ---- */

enum err_code jobs_next(struct jobs *jobs, const struct schedule *schedule, int64_t after, int64_t *out_next,
                        struct err *err)
{
    struct cron cron;
    struct zone *zone = NULL;
    enum cron_days days = CRON_EVERY;
    if (str_eq(schedule->days, STR("work")))
        days = CRON_WORK;
    else if (str_eq(schedule->days, STR("rest")))
        days = CRON_REST;
    else if (schedule->days.len)
        return err_set(err, ERR_INVALID, "jobs.schedule_days", ARG_STR("days", schedule->days), ARG_END);
    enum err_code rc = cron_parse(schedule->spec, &cron, err);
    if (!rc)
        rc = zone_new(schedule->zone, &zone, err);
    if (!rc)
        *out_next = cron_next(&cron, zone, days, jobs->calendar, after);
    zone_free(zone);
    return rc;
}

struct schedules {
    struct arena *arena;
    struct schedule *list;
    int count;
};

#define SCHEDULES_MAX 1000

static enum err_code schedules_fn(struct tx *tx, void *arg, struct err *err)
{
    struct schedules *all = arg;
    struct stmt *stmt = NULL;
    bool row = true;
    all->count = 0;
    enum err_code rc = tx_prepare(tx, SQL_SCHEDULE_LIST, &stmt, err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row && all->count < SCHEDULES_MAX) {
        struct schedule *one = &all->list[all->count++];
        *one = (struct schedule) { .id = stmt_i64(stmt, 0),
                                   .version = stmt_i64(stmt, 1),
                                   .kind = arena_str(all->arena, stmt_text(stmt, 2)),
                                   .spec = arena_str(all->arena, stmt_text(stmt, 3)),
                                   .zone = arena_str(all->arena, stmt_text(stmt, 4)),
                                   .days = arena_str(all->arena, stmt_text(stmt, 5)),
                                   .params = arena_str(all->arena, stmt_text(stmt, 6)),
                                   .enabled = stmt_i64(stmt, 7) != 0,
                                   .next_at = stmt_i64(stmt, 8) };
        if (!one->kind.ptr || !one->spec.ptr || !one->zone.ptr || !one->days.ptr || !one->params.ptr)
            rc = err_nomem(err);
    }
    stmt_free(stmt);
    return rc;
}

enum err_code schedules_list(struct jobs *jobs, struct arena *arena, struct schedule **out, int *out_count,
                             struct err *err)
{
    struct schedules all = { .arena = arena, .list = arena_alloc(arena, SCHEDULES_MAX, sizeof *all.list) };
    const enum err_code rc = all.list ? store_read(jobs->store, schedules_fn, &all, err) : err_nomem(err);
    if (!rc) {
        *out = all.list;
        *out_count = all.count;
    }
    return rc;
}

static enum err_code schedule_has(struct tx *tx, int64_t id, bool *out_own, struct err *err)
{
    struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, SQL_SCHEDULE_HAS, &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, id);
        rc = stmt_step(stmt, &row, err);
    }
    if (!rc && !row)
        rc = err_set(err, ERR_NOT_FOUND, "jobs.no_schedule", ARG_END);
    if (!rc)
        *out_own = !stmt_is_null(stmt, 0);
    stmt_free(stmt);
    return rc;
}

enum err_code schedule_put(struct jobs *jobs, struct tx *tx, struct schedule *schedule, struct err *err)
{
    struct stmt *stmt = NULL;
    int64_t next = 0, changes = 0;
    bool own = false;
    if (!jobs_kind(jobs, schedule->kind))
        return err_set(err, ERR_NOT_FOUND, "jobs.no_kind", ARG_STR("kind", schedule->kind), ARG_END);
    const bool is_new = schedule->id == 0;
    enum err_code rc = jobs_next(jobs, schedule, tx_now_ms(tx), &next, err);
    if (!rc && !is_new)
        rc = schedule_has(tx, schedule->id, &own, err);
    if (!rc)
        rc = tx_prepare(tx, is_new ? SQL_SCHEDULE_ADD : SQL_SCHEDULE_SET, &stmt, err);
    if (!rc) {
        const int64_t id = is_new ? ids_next(jobs->ids) : schedule->id;
        stmt_bind_i64(stmt, 1, id);
        stmt_bind_text(stmt, 2, schedule->kind);
        stmt_bind_text(stmt, 3, schedule->spec);
        stmt_bind_text(stmt, 4, schedule->zone);
        stmt_bind_text(stmt, 5, schedule->days);
        stmt_bind_text(stmt, 6, schedule->params.len ? schedule->params : STR("{}"));
        stmt_bind_i64(stmt, 7, schedule->enabled);
        stmt_bind_i64(stmt, 8, schedule->enabled ? next : 0);
        if (!is_new)
            stmt_bind_i64(stmt, 9, schedule->version);
        rc = stmt_run(stmt, &changes, err);
        if (!rc && changes) {
            schedule->id = id;
            schedule->version = is_new ? 1 : schedule->version + 1;
            schedule->next_at = schedule->enabled ? next : 0;
        }
    }
    stmt_free(stmt);
    if (!rc && !changes)
        rc = err_set(err, ERR_STALE, "store.changed_meanwhile", ARG_END);
    return rc;
}

enum err_code schedule_delete(struct jobs *jobs, struct tx *tx, int64_t id, int64_t version, struct err *err)
{
    int64_t changes = 0;
    bool own = false;
    (void)jobs;
    enum err_code rc = schedule_has(tx, id, &own, err);
    if (!rc && own)
        rc = err_set(err, ERR_CONFLICT, "jobs.own_schedule", ARG_END);
    if (!rc)
        rc = tx_run(tx, SQL_SCHEDULE_DELETE, BINDS(bind_i64(id), bind_i64(version)), &changes, err);
    if (!rc && !changes)
        rc = err_set(err, ERR_STALE, "store.changed_meanwhile", ARG_END);
    return rc;
}
