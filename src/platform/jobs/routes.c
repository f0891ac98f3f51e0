/* routes.c - see routes.h */
#include "platform/jobs/routes.h"

#include "base/json.h"
#include "base/zone.h"
#include "platform/identity/principal.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define V1 "/api/v1/core/"
#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200

static json_t *object_json(struct str text)
{
    json_t *json = text.len ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
    return json ? json : json_object();
}

/* The stored error as a sentence in the reader's language. */
static json_t *error_text(const struct request *req, struct str stored)
{
    const struct jobs_routes *ctx = req->ctx;
    struct err err = { 0 };
    if (!json_read_err(stored, req->arena, &err))
        return json_null();
    return json_str(err_text(req->arena, &err, ctx->words, req->lang));
}

static struct audit_line act(const struct request *req, const char *action, const char *type, int64_t id,
                             struct str name)
{
    const struct principal *who = req->who;
    return (struct audit_line) { .action = action,
                                 .object_type = str_from(type),
                                 .object_id = id,
                                 .object_name = name,
                                 .user_id = who ? who->user_id : 0,
                                 .user_name = who ? who->login : (struct str) { 0 },
                                 .remote = req->remote,
                                 .request_id = req->id };
}

/* ---- jobs ---- */

enum { ACT_ADD, ACT_CANCEL, ACT_AGAIN };

static json_t *job_json(const struct request *req, const struct job_info *info)
{
    const char *state =
        info->state == JOB_RUNNING && info->cancel_asked ? "cancelling" : job_state_name(info->state);
    return json_pack("{s:o, s:o, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:b}", "id",
                     json_id(info->id), "kind", json_str(info->kind), "state", state, "done",
                     (json_int_t)info->done, "total", info->total ? json_integer(info->total) : json_null(),
                     "note", json_str(info->note), "error", error_text(req, info->error), "params",
                     object_json(info->params), "result", object_json(info->result), "created_at",
                     json_instant(info->made_at), "started_at", json_instant(info->started_at), "ended_at",
                     json_instant(info->ended_at), "starts", info->starts, "cancellable",
                     info->state <= JOB_RUNNING && !info->cancel_asked);
}

static enum err_code jobs_get_list(struct request *req, struct reply *reply, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct job_info *infos;
    int64_t limit, before;
    int count;
    if (request_query_i64(req, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit, err) ||
        request_query_i64(req, "after", 1, INT64_MAX, 0, &before, err) ||
        jobs_list(ctx->jobs, req->arena, request_query(req, "kind"), before, (int)limit, &infos, &count, err))
        return err->code;
    json_t *items = json_array();
    for (int i = 0; i < count; i++)
        (void)json_array_append_new(items, job_json(req, &infos[i]));
    return reply_json(reply,
                      json_pack("{s:o, s:o}", "items", items, "next",
                                count == limit ? json_id(infos[count - 1].id) : json_null()),
                      err);
}

static enum err_code jobs_get_one(struct request *req, struct reply *reply, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct job_info info;
    int64_t id;
    if (request_path_id(req, "id", &id, err) || jobs_get(ctx->jobs, req->arena, id, &info, err))
        return err->code;
    return reply_json(reply, job_json(req, &info), err);
}

struct job_act {
    const struct jobs_routes *ctx;
    const struct request *req;
    int what; /* ACT_... */
    int64_t id;
    struct str kind, params;
};

static enum err_code job_act_fn(struct tx *tx, void *arg, struct err *err)
{
    struct job_act *one = arg;
    const struct principal *who = one->req->who;
    static const char *const actions[] = { "create", "cancel", "retry" };
    enum err_code rc = one->what == ACT_ADD      ? jobs_add(one->ctx->jobs, tx, one->kind, one->params,
                                                       who ? who->user_id : 0, &one->id, err)
                       : one->what == ACT_CANCEL ? jobs_cancel(one->ctx->jobs, tx, one->id, err)
                                                 : jobs_again(one->ctx->jobs, tx, one->id, err);
    struct audit_line line = act(one->req, actions[one->what], "core.job", one->id, one->kind);
    line.after = one->params;
    return rc ? rc : audit_write(one->ctx->audit, tx, &line, err);
}

struct job_body {
    struct str kind;
    json_t *params;
};

static enum err_code job_post(struct request *req, struct reply *reply, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct job_body body = { 0 };
    static const struct field fields[] = {
        { .name = "kind",
          .kind = FIELD_TEXT,
          .needed = true,
          .least = 1,
          .most = 64,
          .offset = offsetof(struct job_body, kind) },
        { .name = "params", .kind = FIELD_JSON, .offset = offsetof(struct job_body, params) },
        { 0 },
    };
    enum err_code rc = request_fields(req, fields, &body, err);
    if (rc)
        return rc;
    struct job_act one = { .ctx = ctx, .req = req, .what = ACT_ADD, .kind = body.kind };
    if (body.params) {
        char *text = json_is_object(body.params) ? json_dumps(body.params, JSON_COMPACT) : NULL;
        if (!text) {
            (void)err_set(err, ERR_INVALID, "jobs.params", ARG_END);
            return err_pointer(err, STR("/params"));
        }
        one.params = arena_str(req->arena, str_from(text));
        free(text);
        if (!one.params.ptr)
            return err_nomem(err);
    }
    rc = store_write(ctx->store, job_act_fn, &one, err);
    if (rc)
        return rc;
    reply->status = 202;
    return reply_json(reply, json_pack("{s:o}", "id", json_id(one.id)), err);
}

static enum err_code job_change(struct request *req, struct reply *reply, int what, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct job_act one = { .ctx = ctx, .req = req };
    struct job_info info;
    one.what = what;
    if (request_path_id(req, "id", &one.id, err) || jobs_get(ctx->jobs, req->arena, one.id, &info, err))
        return err->code;
    one.kind = info.kind;
    if (store_write(ctx->store, job_act_fn, &one, err) || jobs_get(ctx->jobs, req->arena, one.id, &info, err))
        return err->code;
    return reply_json(reply, job_json(req, &info), err);
}

static enum err_code job_cancel(struct request *req, struct reply *reply, struct err *err)
{
    return job_change(req, reply, ACT_CANCEL, err);
}

static enum err_code job_again(struct request *req, struct reply *reply, struct err *err)
{
    return job_change(req, reply, ACT_AGAIN, err);
}

/* ---- schedules ---- */

static json_t *schedule_json(const struct schedule *one)
{
    return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "id", json_id(one->id), "version",
                     (json_int_t)one->version, "kind", json_str(one->kind), "spec", json_str(one->spec),
                     "zone", json_str(one->zone.len ? one->zone : STR(ZONE_DEFAULT)), "days",
                     json_str(one->days), "params", object_json(one->params), "enabled", one->enabled,
                     "next_at", json_instant(one->next_at));
}

static enum err_code schedules_get(struct request *req, struct reply *reply, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct schedule *list;
    int count;
    const enum err_code rc = schedules_list(ctx->jobs, req->arena, &list, &count, err);
    if (rc)
        return rc;
    json_t *items = json_array();
    for (int i = 0; i < count; i++)
        (void)json_array_append_new(items, schedule_json(&list[i]));
    json_t *kinds = json_array(); /* that a new one may name */
    for (int i = 0; jobs_kind_at(ctx->jobs, i); i++)
        (void)json_array_append_new(kinds, json_string(jobs_kind_at(ctx->jobs, i)));
    return reply_json(reply, json_pack("{s:o, s:o}", "items", items, "kinds", kinds), err);
}

struct schedule_act {
    const struct jobs_routes *ctx;
    const struct request *req;
    struct schedule schedule, result;
    bool delete;
};

static enum err_code schedule_act_fn(struct tx *tx, void *arg, struct err *err)
{
    struct schedule_act *one = arg;
    struct schedule copy = one->schedule; /* may run twice */
    const bool is_new = copy.id == 0;
    enum err_code rc = one->delete ? schedule_delete(one->ctx->jobs, tx, copy.id, copy.version, err)
                                   : schedule_put(one->ctx->jobs, tx, &copy, err);
    struct audit_line line = act(one->req,
                                 one->delete ? "delete"
                                 : is_new    ? "create"
                                             : "update",
                                 "core.schedule", copy.id, copy.kind);
    if (!rc && !one->delete) {
        json_t *json = schedule_json(&copy);
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
        line.after = text ? arena_str(tx_arena(tx), str_from(text)) : (struct str) { 0 };
        free(text);
    }
    if (!rc)
        rc = audit_write(one->ctx->audit, tx, &line, err);
    if (!rc)
        one->result = copy;
    return rc;
}

struct schedule_body {
    struct str kind, spec, zone, days;
    json_t *params;
    bool enabled;
};

static enum err_code schedule_read(struct request *req, struct schedule *out, struct err *err)
{
    static const struct field fields[] = {
        { .name = "kind",
          .kind = FIELD_TEXT,
          .needed = true,
          .least = 1,
          .most = 64,
          .offset = offsetof(struct schedule_body, kind) },
        { .name = "spec",
          .kind = FIELD_TEXT,
          .needed = true,
          .least = 9,
          .most = 100,
          .offset = offsetof(struct schedule_body, spec) },
        { .name = "zone",
          .kind = FIELD_TEXT,
          .most = ZONE_NAME_MAX,
          .offset = offsetof(struct schedule_body, zone) },
        { .name = "days", .kind = FIELD_TEXT, .most = 4, .offset = offsetof(struct schedule_body, days) },
        { .name = "params", .kind = FIELD_JSON, .offset = offsetof(struct schedule_body, params) },
        { .name = "enabled", .kind = FIELD_BOOL, .offset = offsetof(struct schedule_body, enabled) },
        { 0 },
    };
    struct schedule_body body = { .enabled = true };
    const enum err_code rc = request_fields(req, fields, &body, err);
    if (rc)
        return rc;
    *out = (struct schedule) {
        .kind = body.kind, .spec = body.spec, .zone = body.zone, .days = body.days, .enabled = body.enabled
    };
    if (body.params) {
        char *text = json_is_object(body.params) ? json_dumps(body.params, JSON_COMPACT) : NULL;
        if (!text) {
            (void)err_set(err, ERR_INVALID, "jobs.params", ARG_END);
            return err_pointer(err, STR("/params"));
        }
        out->params = arena_str(req->arena, str_from(text));
        free(text);
        if (!out->params.ptr)
            return err_nomem(err);
    }
    return ERR_OK;
}

static enum err_code schedule_post(struct request *req, struct reply *reply, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct schedule_act one = { .ctx = ctx, .req = req };
    if (schedule_read(req, &one.schedule, err) || store_write(ctx->store, schedule_act_fn, &one, err))
        return err->code;
    reply->status = 201;
    reply_version(reply, one.result.version);
    return reply_json(reply, schedule_json(&one.result), err);
}

static enum err_code schedule_change(struct request *req, struct reply *reply, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct schedule_act one = { .ctx = ctx, .req = req };
    int64_t id;
    if (request_path_id(req, "id", &id, err) || schedule_read(req, &one.schedule, err) ||
        request_if_match(req, &one.schedule.version, err))
        return err->code;
    one.schedule.id = id;
    if (store_write(ctx->store, schedule_act_fn, &one, err))
        return err->code;
    reply_version(reply, one.result.version);
    return reply_json(reply, schedule_json(&one.result), err);
}

static enum err_code schedule_remove(struct request *req, struct reply *reply, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct schedule_act one = { .ctx = ctx, .req = req, .delete = true };
    if (request_path_id(req, "id", &one.schedule.id, err) ||
        request_if_match(req, &one.schedule.version, err) ||
        store_write(ctx->store, schedule_act_fn, &one, err))
        return err->code;
    reply_empty(reply);
    return ERR_OK;
}

/* ---- dead letters ---- */

static enum err_code letters_get(struct request *req, struct reply *reply, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct dead_letter *letters;
    int64_t limit, after;
    int count;
    if (request_query_i64(req, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit, err) ||
        request_query_i64(req, "after", 1, INT64_MAX, 0, &after, err) ||
        outbox_dead(ctx->outbox, req->arena, after, (int)limit, &letters, &count, err))
        return err->code;
    json_t *items = json_array();
    for (int i = 0; i < count; i++) {
        const struct dead_letter *one = &letters[i];
        (void)json_array_append_new(
            items,
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "id", json_id(one->message.id),
                      "consumer", json_str(one->consumer), "topic", json_str(one->message.topic),
                      "subject_id", json_id(one->message.subject_id), "at", json_instant(one->message.at_ms),
                      "dead_at", json_instant(one->failed_at_ms), "tries", one->message.tries, "error",
                      error_text(req, one->error), "body", object_json(one->message.json)));
    }
    return reply_json(reply,
                      json_pack("{s:o, s:o}", "items", items, "next",
                                count == limit ? json_id(letters[count - 1].message.id) : json_null()),
                      err);
}

struct letter_act {
    const struct jobs_routes *ctx;
    const struct request *req;
    int64_t id;
    struct str consumer;
    bool drop;
};

static enum err_code letter_act_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct letter_act *one = arg;
    const enum err_code rc = one->drop ? outbox_drop(one->ctx->outbox, tx, one->consumer, one->id, err)
                                       : outbox_retry(one->ctx->outbox, tx, one->consumer, one->id, err);
    const struct audit_line line =
        act(one->req, one->drop ? "drop" : "retry", "core.deadletter", one->id, one->consumer);
    return rc ? rc : audit_write(one->ctx->audit, tx, &line, err);
}

static enum err_code letter_change(struct request *req, struct reply *reply, bool drop, struct err *err)
{
    const struct jobs_routes *ctx = req->ctx;
    struct letter_act one = { .ctx = ctx, .req = req, .drop = drop };
    static const struct field fields[] = {
        { .name = "consumer",
          .kind = FIELD_TEXT,
          .needed = true,
          .least = 1,
          .most = 64,
          .offset = offsetof(struct letter_act, consumer) },
        { 0 },
    };
    if (request_path_id(req, "id", &one.id, err) || request_fields(req, fields, &one, err) ||
        store_write(ctx->store, letter_act_fn, &one, err))
        return err->code;
    reply_empty(reply);
    return ERR_OK;
}

static enum err_code letter_retry(struct request *req, struct reply *reply, struct err *err)
{
    return letter_change(req, reply, false, err);
}

static enum err_code letter_drop(struct request *req, struct reply *reply, struct err *err)
{
    return letter_change(req, reply, true, err);
}

/* clang-format off */
const struct route JOBS_ROUTES[] = {
    { "GET",    V1 "jobs",                   "core.job.read",          jobs_get_list,   0 },
    { "POST",   V1 "jobs",                   "core.job.create",        job_post,        0 },
    { "GET",    V1 "jobs/{id}",              "core.job.read",          jobs_get_one,    0 },
    { "POST",   V1 "jobs/{id}/cancel",       "core.job.update",        job_cancel,      0 },
    { "POST",   V1 "jobs/{id}/again",        "core.job.update",        job_again,       0 },
    { "GET",    V1 "schedules",              "core.schedule.read",     schedules_get,   0 },
    { "POST",   V1 "schedules",              "core.schedule.create",   schedule_post,   0 },
    { "PUT",    V1 "schedules/{id}",         "core.schedule.update",   schedule_change, 0 },
    { "DELETE", V1 "schedules/{id}",         "core.schedule.delete",   schedule_remove, 0 },
    { "GET",    V1 "deadletters",            "core.deadletter.read",   letters_get,     0 },
    { "POST",   V1 "deadletters/{id}/retry", "core.deadletter.update", letter_retry,    0 },
    { "POST",   V1 "deadletters/{id}/drop",  "core.deadletter.update", letter_drop,     0 },
    { 0 },
};
/* clang-format on */
