/* import_routes.c - imports that run as jobs: asked for, watched, cancelled, and what was wrong with their
 * rows
 *
 * Whoever asked sees their own import; others need the right to see jobs. */
#include "base/csv.h"
#include "base/json.h"
#include "platform/audit/audit.h"
#include "platform/entity/import_job.h"
#include "platform/entity/internal.h"
#include "platform/entity/routes.h"
#include "platform/jobs/jobs.h"

#define SHOWN_MAX 100
#define LIST_BYTES_MAX ((size_t)16 << 20)

/* A list of faults being made: JSON for the page, or lines of a table. */
struct telling {
    struct request *req;
    const struct entity_routes *routes;
    int64_t job;
    int limit;
    json_t *items; /* NULL: lines */
    struct buf *lines;
};

enum err_code import_begin(struct request *req, const struct entity_call *call,
                           const struct entity_type *type, struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    const struct principal *who = req->who;
    struct upload upload;
    int64_t job = 0;
    enum err_code rc = call_may(call, type, "import", err);
    if (!rc &&
        (!routes->imports || !who || who->kind != PRINCIPAL_USER)) /* a key may do less than its user */
        rc = err_set(err, ERR_FORBIDDEN, "entity.import_user", ARG_END);
    if (!rc && request_upload(req, "file", &upload, NULL))
        rc = request_upload(req, "", &upload, err);
    if (!rc)
        rc = import_job_add(routes->imports, type, upload.fd, upload.size, upload.file_name, who->user_id,
                            &job, err);
    if (rc)
        return rc;
    reply->status = 202;
    return reply_json(reply, json_pack("{s:o}", "job", json_id(job)), err);
}

static enum err_code find_job(struct request *req, struct job_info *out, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    const struct principal *who = req->who;
    int64_t id = 0;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc)
        rc = jobs_get(routes->imports->jobs, req->arena, id, out, err);
    if (rc)
        return rc;
    const bool own = who->kind == PRINCIPAL_USER && who->user_id == out->user_id;
    if (!str_eq(out->kind, STR(IMPORT_KIND)) || (!own && !principal_may(who, STR("core.job.read"))))
        return err_set(err, ERR_NOT_FOUND, "jobs.none", ARG_END);
    return ERR_OK;
}

/* "happened_at" of "/happened_at/0". */
static struct str field_of(const struct err *fault)
{
    struct str rest = str_from(fault->at.pointer), name = { 0 };
    if (rest.len && rest.ptr[0] == '/') {
        rest = str_slice(rest, 1, rest.len);
        (void)str_cut(&rest, '/', &name);
    }
    return name;
}

static enum err_code add_fault(void *arg, int64_t number, const struct err *fault, struct err *err)
{
    const struct telling *t = arg;
    struct err bare = *fault;
    char line[24];
    (void)number;
    bare.at.line = bare.at.column = 0; /* they stand beside the message, not in it */
    const struct str said = err_text(t->req->arena, &bare, t->routes->words, t->req->lang);
    if (t->items) {
        const int failed = json_array_append_new(
            t->items,
            json_pack("{s:i, s:i, s:s, s:s, s:o}", "line", fault->at.line, "column", fault->at.column,
                      "pointer", fault->at.pointer, "code", fault->id, "message", json_str(said)));
        return failed ? err_nomem(err) : ERR_OK;
    }
    csv_put(t->lines, (struct str) { line, (size_t)snprintf(line, sizeof line, "%d", fault->at.line) }, true,
            true);
    csv_put(t->lines, (struct str) { line, (size_t)snprintf(line, sizeof line, "%d", fault->at.column) },
            false, true);
    csv_put(t->lines, field_of(fault), false, true);
    csv_put(t->lines, str_from(fault->id), false, true);
    csv_put(t->lines, said, false, true);
    csv_end(t->lines);
    return buf_check(t->lines, err);
}

static enum err_code faults_fn(struct tx *tx, void *arg, struct err *err)
{
    struct telling *t = arg;
    if (t->items)
        json_array_clear(t->items);
    if (t->lines) {
        buf_clear(t->lines);
        buf_text(t->lines, "\xef\xbb\xbfline,column,field,code,message\r\n");
    }
    return import_faults_each(tx, t->job, 0, t->limit, t->req->arena, add_fault, t, err);
}

static json_t *object_json(struct str text)
{
    json_t *json = text.len ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
    return json ? json : json_object();
}

static enum err_code reply_import(struct request *req, const struct job_info *info, struct reply *reply,
                                  struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    struct telling t = {
        .req = req, .routes = routes, .job = info->id, .limit = SHOWN_MAX, .items = json_array()
    };
    struct err failure = { 0 };
    const bool failed = json_read_err(info->error, req->arena, &failure);
    const enum err_code rc = t.items ? store_read(routes->store, faults_fn, &t, err) : err_nomem(err);
    if (rc) {
        json_decref(t.items);
        return rc;
    }
    const struct str said =
        failed ? err_text(req->arena, &failure, routes->words, req->lang) : (struct str) { 0 };
    return reply_json(
        reply,
        json_pack("{s:o, s:s, s:I, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "id", json_id(info->id), "state",
                  job_state_name(info->state), "done", (json_int_t)info->done, "total",
                  info->total ? json_integer(info->total) : json_null(), "cancel_asked", info->cancel_asked,
                  "result", object_json(info->result), "error", json_str_or_null(said), "created_at",
                  json_instant(info->made_at), "started_at", json_instant(info->started_at), "ended_at",
                  json_instant(info->ended_at), "errors", t.items),
        err);
}

/* GET /api/v1/core/imports/{id} */
static enum err_code import_get(struct request *req, struct reply *reply, struct err *err)
{
    struct job_info info;
    const enum err_code rc = find_job(req, &info, err);
    return rc ? rc : reply_import(req, &info, reply, err);
}

struct cancelling {
    const struct entity_routes *routes;
    const struct request *req;
    int64_t id;
};

static enum err_code cancel_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct cancelling *c = arg;
    const struct principal *who = c->req->who;
    const enum err_code rc = jobs_cancel(c->routes->imports->jobs, tx, c->id, err);
    if (rc || !c->routes->audit)
        return rc;
    const struct audit_line line = { .action = "cancel",
                                     .object_type = STR("core.job"),
                                     .object_id = c->id,
                                     .object_name = STR(IMPORT_KIND),
                                     .user_id = who->user_id,
                                     .user_name = who->login,
                                     .remote = c->req->remote,
                                     .request_id = c->req->id };
    return audit_write(c->routes->audit, tx, &line, err);
}

/* POST /api/v1/core/imports/{id}/cancel: what was written stays */
static enum err_code import_cancel(struct request *req, struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    const struct principal *who = req->who;
    struct job_info info;
    enum err_code rc = find_job(req, &info, err);
    if (!rc && who->user_id != info.user_id && !principal_may(who, STR("core.job.update")))
        rc = err_set(err, ERR_FORBIDDEN, "entity.forbidden", ARG_TEXT("permission", "core.job.update"),
                     ARG_END);
    struct cancelling c = { routes, req, info.id };
    if (!rc)
        rc = store_write(routes->store, cancel_fn, &c, err);
    if (!rc)
        rc = jobs_get(routes->imports->jobs, req->arena, info.id, &info, err);
    return rc ? rc : reply_import(req, &info, reply, err);
}

/* GET /api/v1/core/imports/{id}/faults: all that are kept, as a table */
static enum err_code import_faults(struct request *req, struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    struct job_info info;
    struct buf lines;
    enum err_code rc = find_job(req, &info, err);
    if (rc)
        return rc;
    buf_init(&lines, LIST_BYTES_MAX);
    struct telling t = {
        .req = req, .routes = routes, .job = info.id, .limit = IMPORT_FAULTS_MAX, .lines = &lines
    };
    rc = store_read(routes->store, faults_fn, &t, err);
    const struct str kept = rc ? (struct str) { 0 } : arena_str(req->arena, buf_get(&lines));
    buf_done(&lines);
    if (rc || !kept.ptr)
        return rc ? rc : err_nomem(err);
    reply_bytes(reply, "text/csv; charset=utf-8", kept);
    reply_download(reply, STR("faults.csv"));
    return ERR_OK;
}

/* clang-format off */
const struct route ENTITY_IMPORT_ROUTES[] = {
    { "GET",  "/api/v1/core/imports/{id}",        "*", import_get,    0 },
    { "POST", "/api/v1/core/imports/{id}/cancel", "*", import_cancel, 0 },
    { "GET",  "/api/v1/core/imports/{id}/faults", "*", import_faults, 0 },
    { 0 },
};
/* clang-format on */
