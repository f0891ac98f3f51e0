/* routes.c - HTTP of decisions. */
#include "base/json.h"
#include "platform/decision/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define PAGE_MAX 200
#define MODEL_ARENA_MAX ((size_t)512 << 20)

static struct decision_act act_of(const struct request *req)
{
    return (struct decision_act) { req->who, req->remote, req->id };
}

static json_t *parsed(struct str text)
{
    json_t *json = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_DECODE_ANY, NULL);
    return json ? json : json_null();
}

static const char *state_name(enum decision_state state)
{
    static const char *const names[] = { "draft", "tested", "published", "retired" };
    return names[state];
}

static json_t *decision_json(const struct decision_row *row)
{
    return json_pack("{s:o,s:o,s:o,s:I,s:I,s:o,s:o,s:o,s:o}", "id", json_id(row->id), "code",
                     json_str(row->code), "title", json_str(row->title), "published",
                     (json_int_t)row->published, "version", (json_int_t)row->version, "created_at",
                     json_instant(row->created_at), "created_by", json_id(row->created_by), "updated_at",
                     json_instant(row->updated_at), "updated_by", json_id(row->updated_by));
}

static json_t *version_json(const struct decision_version_row *row)
{
    json_t *json = json_pack("{s:I,s:s,s:o,s:o,s:o,s:o,s:o,s:I,s:o,s:o}", "number", (json_int_t)row->number,
                             "state", state_name(row->state), "comment", json_str(row->comment), "tested_at",
                             json_instant(row->tested_at), "published_at", json_instant(row->published_at),
                             "published_by", json_id(row->published_by), "retired_at",
                             json_instant(row->retired_at), "version", (json_int_t)row->version, "updated_at",
                             json_instant(row->updated_at), "updated_by", json_id(row->updated_by));
    if (json && row->model.ptr)
        (void)json_object_set_new(json, "model", json_str(row->model));
    return json;
}

/* {id} and {number} of the path. */
static enum err_code path_version(const struct request *req, int64_t *out_id, int64_t *out_number,
                                  struct err *err)
{
    enum err_code rc = request_path_id(req, "id", out_id, err);
    if (rc == ERR_OK)
        rc = request_path_id(req, "number", out_number, err);
    return rc;
}

/* -- decisions ----------------------------------------------------------------------------------------- */

/* Lower-case ASCII, LIKE signs taken literally, between two %. */
static struct str pattern_of(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, 2 * text.len + 3, 1);
    size_t len = 0;
    if (!out || text.len == 0)
        return STR("");
    out[len++] = '%';
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if (c == '%' || c == '_' || c == '\\')
            out[len++] = '\\';
        out[len++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    out[len++] = '%';
    return (struct str) { out, len };
}

/* GET core/decisions?q=&after=&limit= */
static enum err_code list_get(struct request *req, struct reply *reply, struct err *err)
{
    struct decision_row *rows;
    int64_t limit;
    int count;
    const struct str after = request_query(req, "after"), q = request_query(req, "q");
    enum err_code rc = request_query_i64(req, "limit", 1, PAGE_MAX, 50, &limit, err);
    if (rc == ERR_OK)
        rc = decision_list(req->ctx, req->arena, pattern_of(req->arena, q.ptr ? q : STR("")),
                           after.ptr ? after : STR(""), (int)limit + 1, &rows, &count, err);
    if (rc)
        return rc;
    json_t *items = json_array();
    for (int i = 0; i < count && i < limit; i++)
        (void)json_array_append_new(items, decision_json(&rows[i]));
    return reply_json(reply,
                      json_pack("{s:o,s:o}", "items", items, "next",
                                count > limit ? json_str(rows[limit - 1].code) : json_null()),
                      err);
}

static enum err_code one_get(struct request *req, struct reply *reply, struct err *err)
{
    struct decision_row row;
    struct decision_version_row *versions;
    int64_t id;
    int count;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (rc == ERR_OK)
        rc = decision_read(req->ctx, req->arena, id, &row, &versions, &count, err);
    if (rc)
        return rc;
    json_t *json = decision_json(&row), *list = json_array();
    for (int i = 0; i < count; i++)
        (void)json_array_append_new(list, version_json(&versions[i]));
    (void)json_object_set_new(json, "versions", list);
    reply_version(reply, row.version);
    return reply_json(reply, json, err);
}

struct create_body {
    struct str code, title, model;
};

static enum err_code list_post(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "code", FIELD_TEXT, true, 1, DECISION_CODE_MAX, offsetof(struct create_body, code), 0 },
        { "title", FIELD_TEXT, true, 1, 200, offsetof(struct create_body, title), 0 },
        { "model", FIELD_TEXT, true, 1, (int64_t)DMN_BYTES_MAX, offsetof(struct create_body, model), 0 },
        { 0 },
    };
    struct create_body body = { 0 };
    const struct decision_act act = act_of(req);
    int64_t id;
    enum err_code rc = request_fields(req, fields, &body, err);
    if (rc == ERR_OK)
        rc = decision_create(req->ctx, &act, body.code, body.title, body.model, &id, err);
    if (rc)
        return rc;
    reply_created(reply, arena_printf(req->arena, "/api/v1/core/decisions/%" PRId64, id));
    return reply_json(reply, json_pack("{s:o,s:i}", "id", json_id(id), "number", 1), err);
}

/* -- versions ------------------------------------------------------------------------------------------ */

/* What the version imports: of a draft what is published now, of any other what it is pinned to. */
static json_t *imports_json(const struct imports *imports)
{
    json_t *list = json_array();
    for (int i = 0; i < imports->direct; i++) {
        const struct pin *pin = &imports->pins[i];
        (void)json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:I,s:I}", "namespace", json_str(pin->ns),
                                                    "id", json_id(pin->decision_id), "code",
                                                    json_str(pin->code), "number", (json_int_t)pin->number,
                                                    "published", (json_int_t)pin->published));
    }
    return list;
}

static enum err_code version_get(struct request *req, struct reply *reply, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(MODEL_ARENA_MAX);
    struct decision_version_row row;
    struct imports imports;
    int64_t id, number;
    if (!arena)
        return err_nomem(err);
    enum err_code rc = path_version(req, &id, &number, err);
    if (rc == ERR_OK)
        rc = decision_version_read(req->ctx, arena, id, number, &row, err);
    if (rc == ERR_OK)
        rc = imports_of_version(req->ctx, arena, &row, &imports, err);
    if (rc)
        return rc;
    json_t *json = version_json(&row);
    (void)json_object_set_new(json, "imports", imports_json(&imports));
    reply_version(reply, row.version);
    return reply_json(reply, json, err);
}

static enum err_code versions_post(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = { { "from", FIELD_I64, true, 1, INT32_MAX, 0, 0 }, { 0 } };
    const struct decision_act act = act_of(req);
    int64_t id, from = 0, number;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (rc == ERR_OK)
        rc = request_fields(req, fields, &from, err);
    if (rc == ERR_OK)
        rc = decision_draft(req->ctx, &act, id, from, &number, err);
    if (rc)
        return rc;
    reply_created(
        reply, arena_printf(req->arena, "/api/v1/core/decisions/%" PRId64 "/versions/%" PRId64, id, number));
    return reply_json(reply, json_pack("{s:I}", "number", (json_int_t)number), err);
}

struct save_body {
    struct str model, comment;
};

static enum err_code version_put(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "model", FIELD_TEXT, true, 1, (int64_t)DMN_BYTES_MAX, offsetof(struct save_body, model), 0 },
        { "comment", FIELD_TEXT, false, 0, 1000, offsetof(struct save_body, comment), 0 },
        { 0 },
    };
    struct save_body body = { .comment = STR("") };
    const struct decision_act act = act_of(req);
    int64_t id, number, version, saved;
    enum err_code rc = path_version(req, &id, &number, err);
    if (rc == ERR_OK)
        rc = request_if_match(req, &version, err);
    if (rc == ERR_OK)
        rc = request_fields(req, fields, &body, err);
    if (rc == ERR_OK)
        rc = decision_save(req->ctx, &act, id, number, version, body.model, body.comment, &saved, err);
    if (rc)
        return rc;
    reply_version(reply, saved);
    return reply_json(reply, json_pack("{s:I,s:s}", "version", (json_int_t)saved, "state", "draft"), err);
}

typedef enum err_code (*step_fn)(struct decisions *, const struct decision_act *, int64_t, int64_t,
                                 struct err *);

static enum err_code step(struct request *req, struct reply *reply, step_fn fn, struct err *err)
{
    const struct decision_act act = act_of(req);
    int64_t id, number;
    enum err_code rc = path_version(req, &id, &number, err);
    if (rc == ERR_OK)
        rc = fn(req->ctx, &act, id, number, err);
    if (rc == ERR_OK)
        reply_empty(reply);
    return rc;
}

static enum err_code version_delete(struct request *req, struct reply *reply, struct err *err)
{
    return step(req, reply, decision_discard, err);
}

static enum err_code version_publish(struct request *req, struct reply *reply, struct err *err)
{
    return step(req, reply, decision_publish, err);
}

static enum err_code version_retire(struct request *req, struct reply *reply, struct err *err)
{
    return step(req, reply, decision_retire, err);
}

static enum err_code version_test(struct request *req, struct reply *reply, struct err *err)
{
    struct decision_test test;
    const struct decision_act act = act_of(req);
    int64_t id, number;
    enum err_code rc = path_version(req, &id, &number, err);
    if (rc == ERR_OK)
        rc = decision_test(req->ctx, &act, req->arena, id, number, req->lang, &test, err);
    if (rc)
        return rc;
    json_t *cases = json_array();
    for (int i = 0; i < test.count; i++)
        (void)json_array_append_new(
            cases, json_pack("{s:o,s:o,s:b,s:o,s:o}", "id", json_id(test.results[i].id), "name",
                             json_str(test.results[i].name), "passed", test.results[i].passed, "got",
                             parsed(test.results[i].got), "message", json_str(test.results[i].message)));
    return reply_json(reply,
                      json_pack("{s:b,s:i,s:i,s:i,s:o}", "tested", test.tested, "errors", test.errors,
                                "passed", test.count - test.failed, "failed", test.failed, "cases", cases),
                      err);
}

static enum err_code diff_get(struct request *req, struct reply *reply, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(MODEL_ARENA_MAX);
    struct decision_version_row before, after;
    json_t *json;
    int64_t id, from, to;
    if (!arena)
        return err_nomem(err);
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (rc == ERR_OK)
        rc = request_query_i64(req, "from", 1, INT32_MAX, 1, &from, err);
    if (rc == ERR_OK)
        rc = request_query_i64(req, "to", 1, INT32_MAX, 1, &to, err);
    if (rc == ERR_OK)
        rc = decision_version_read(req->ctx, arena, id, from, &before, err);
    if (rc == ERR_OK)
        rc = decision_version_read(req->ctx, arena, id, to, &after, err);
    if (rc == ERR_OK)
        rc = decision_diff_json(arena, before.model, after.model, &json, err);
    return rc ? rc : reply_json(reply, json, err);
}

/* -- looking at a model that need not be saved ---------------------------------------------------------- */

struct try_body {
    struct str model, decision;
    json_t *input;
};

static enum err_code check_post(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "model", FIELD_TEXT, true, 1, (int64_t)DMN_BYTES_MAX, offsetof(struct try_body, model), 0 },
        { 0 },
    };
    struct try_body body = { 0 };
    json_t *json;
    enum err_code rc = request_fields(req, fields, &body, err);
    if (rc == ERR_OK)
        rc = decision_check_json(req->ctx, req->arena, body.model, req->lang, &json, err);
    return rc ? rc : reply_json(reply, json, err);
}

static enum err_code evaluate_post(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "model", FIELD_TEXT, true, 1, (int64_t)DMN_BYTES_MAX, offsetof(struct try_body, model), 0 },
        { "decision", FIELD_TEXT, true, 1, 1000, offsetof(struct try_body, decision), 0 },
        { "input", FIELD_JSON, true, 0, 0, offsetof(struct try_body, input), 0 },
        { 0 },
    };
    struct try_body body = { 0 };
    json_t *json;
    enum err_code rc = request_fields(req, fields, &body, err);
    if (rc == ERR_OK)
        rc = decision_evaluate_json(req->ctx, body.model, body.decision, body.input, req->lang, &json, err);
    return rc ? rc : reply_json(reply, json, err);
}

/* GET core/feel: what an editor completes. */
static enum err_code feel_get(struct request *req, struct reply *reply, struct err *err)
{
    struct feel_builtin_info info;
    json_t *list = json_array();
    (void)req;
    for (size_t i = 0; feel_builtin(i, &info); i++)
        (void)json_array_append_new(list,
                                    json_pack("{s:s,s:s,s:s,s:s}", "name", info.name, "signatures",
                                              info.signatures, "result", info.result, "group", info.group));
    return reply_json(reply, json_pack("{s:o}", "functions", list), err);
}

/* -- test cases ---------------------------------------------------------------------------------------- */

static enum err_code cases_get(struct request *req, struct reply *reply, struct err *err)
{
    struct decision_case_row *rows;
    int64_t id;
    int count;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (rc == ERR_OK)
        rc = decision_cases(req->ctx, req->arena, id, &rows, &count, err);
    if (rc)
        return rc;
    json_t *items = json_array();
    for (int i = 0; i < count; i++)
        (void)json_array_append_new(
            items, json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:o}", "id", json_id(rows[i].id), "name",
                             json_str(rows[i].name), "decision", json_str(rows[i].target), "input",
                             parsed(rows[i].input), "expected", parsed(rows[i].expected), "version",
                             (json_int_t)rows[i].version, "updated_at", json_instant(rows[i].updated_at)));
    return reply_json(reply, json_pack("{s:o}", "items", items), err);
}

struct case_body {
    struct str name, target;
    json_t *input, *expected;
    bool expected_given;
};

static enum err_code json_text_of(struct arena *arena, const json_t *json, struct str *out, struct err *err)
{
    char *text = json_dumps(json ? json : json_null(), JSON_ENCODE_ANY | JSON_COMPACT);
    *out = text ? arena_str(arena, str_from(text)) : (struct str) { 0 };
    free(text);
    return out->ptr ? ERR_OK : err_nomem(err);
}

static enum err_code save_case(struct request *req, struct reply *reply, int64_t case_id, int64_t version,
                               struct err *err)
{
    static const struct field fields[] = {
        { "name", FIELD_TEXT, true, 1, 200, offsetof(struct case_body, name), 0 },
        { "decision", FIELD_TEXT, true, 1, 1000, offsetof(struct case_body, target), 0 },
        { "input", FIELD_JSON, true, 0, 0, offsetof(struct case_body, input), 0 },
        { "expected", FIELD_JSON, false, 0, 0, offsetof(struct case_body, expected), 0 },
        { 0 },
    };
    struct case_body body = { 0 };
    struct decision_case_row row = { .id = case_id, .version = version };
    const struct decision_act act = act_of(req);
    int64_t saved;
    enum err_code rc = request_path_id(req, "id", &row.decision_id, err);
    if (rc == ERR_OK)
        rc = request_fields(req, fields, &body, err);
    if (rc == ERR_OK && !json_is_object(body.input)) {
        (void)err_set(err, ERR_INVALID, "dmn.input_object", ARG_END);
        return err_pointer(err, STR("/input"));
    }
    row.name = body.name;
    row.target = body.target;
    if (rc == ERR_OK)
        rc = json_text_of(req->arena, body.input, &row.input, err);
    if (rc == ERR_OK)
        rc = json_text_of(req->arena, body.expected, &row.expected, err);
    if (rc == ERR_OK)
        rc = decision_case_save(req->ctx, &act, &row, false, &saved, err);
    return rc ? rc : reply_json(reply, json_pack("{s:o}", "id", json_id(saved)), err);
}

static enum err_code cases_post(struct request *req, struct reply *reply, struct err *err)
{
    const enum err_code rc = save_case(req, reply, 0, -1, err);
    if (rc == ERR_OK)
        reply->status = 201;
    return rc;
}

static enum err_code case_put(struct request *req, struct reply *reply, struct err *err)
{
    int64_t case_id, version;
    enum err_code rc = request_path_id(req, "case", &case_id, err);
    if (rc == ERR_OK)
        rc = request_if_match(req, &version, err);
    return rc ? rc : save_case(req, reply, case_id, version, err);
}

static enum err_code case_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct decision_case_row row = { .version = -1, .name = STR("") };
    const struct decision_act act = act_of(req);
    int64_t gone;
    enum err_code rc = request_path_id(req, "id", &row.decision_id, err);
    if (rc == ERR_OK)
        rc = request_path_id(req, "case", &row.id, err);
    if (rc == ERR_OK)
        rc = decision_case_save(req->ctx, &act, &row, true, &gone, err);
    if (rc == ERR_OK)
        reply_empty(reply);
    return rc;
}

/* -- xlsx ---------------------------------------------------------------------------------------------- */

/* GET .../versions/{number}/table?decision=NAME */
static enum err_code table_get(struct request *req, struct reply *reply, struct err *err)
{
    struct decision_version_row row;
    int64_t id, number;
    char path[64];
    int fd = -1;
    const struct str decision = request_query(req, "decision");
    enum err_code rc = path_version(req, &id, &number, err);
    if (rc == ERR_OK)
        rc = decision_version_read(req->ctx, req->arena, id, number, &row, err);
    if (rc == ERR_OK)
        rc = http_spool(req->server, &fd, err);
    if (rc)
        return rc;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    rc = decision_table_to_xlsx(row.model, decision.ptr ? decision : STR(""), path, err);
    const off_t size = rc ? -1 : lseek(fd, 0, SEEK_END);
    if (rc == ERR_OK && size < 0)
        rc = err_set(err, ERR_IO, "file.read", ARG_TEXT("reason", "lseek"), ARG_END);
    if (rc) {
        (void)close(fd);
        return rc;
    }
    reply_download(reply, arena_printf(req->arena, "%.*s.xlsx", STR_ARG(decision)));
    reply_fd(reply, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", fd, size);
    return ERR_OK;
}

/* POST .../versions/{number}/table?decision=NAME with an xlsx file: the model with its rules, not yet saved.
 */
static enum err_code table_post(struct request *req, struct reply *reply, struct err *err)
{
    struct decision_version_row row;
    struct upload upload;
    struct str model;
    int64_t id, number;
    const struct str decision = request_query(req, "decision");
    enum err_code rc = path_version(req, &id, &number, err);
    if (rc == ERR_OK)
        rc = request_upload(req, request_upload_count(req) > 1 ? "file" : "", &upload, err);
    if (rc == ERR_OK)
        rc = decision_version_read(req->ctx, req->arena, id, number, &row, err);
    if (rc == ERR_OK)
        rc = decision_table_from_xlsx(req->arena, row.model, decision.ptr ? decision : STR(""), upload.fd,
                                      &model, err);
    return rc ? rc : reply_json(reply, json_pack("{s:o}", "model", json_str(model)), err);
}

/* clang-format off */
#define D "/api/v1/core/decisions"
#define V D "/{id}/versions/{number}"
const struct route DECISION_ROUTES[] = {
    { "GET",    D,                        "core.decision.read",    list_get,        0 },
    { "POST",   D,                        "core.decision.create",  list_post,       ROUTE_LARGE },
    { "POST",   D "/check",               "core.decision.read",    check_post,      ROUTE_LARGE | ROUTE_LONG },
    { "POST",   D "/evaluate",            "core.decision.read",    evaluate_post,   ROUTE_LARGE },
    { "GET",    D "/functions",           "core.decision.read",    feel_get,        0 },
    { "GET",    D "/{id}",                "core.decision.read",    one_get,         0 },
    { "GET",    D "/{id}/diff",           "core.decision.read",    diff_get,        0 },
    { "POST",   D "/{id}/versions",       "core.decision.update",  versions_post,   0 },
    { "GET",    V,                        "core.decision.read",    version_get,     0 },
    { "PUT",    V,                        "core.decision.update",  version_put,     ROUTE_LARGE },
    { "DELETE", V,                        "core.decision.update",  version_delete,  0 },
    { "POST",   V "/test",                "core.decision.update",  version_test,    ROUTE_LONG },
    { "POST",   V "/publish",             "core.decision.publish", version_publish, 0 },
    { "POST",   V "/retire",              "core.decision.publish", version_retire,  0 },
    { "GET",    V "/table",               "core.decision.read",    table_get,       ROUTE_LONG },
    { "POST",   V "/table",               "core.decision.update",  table_post,      ROUTE_UPLOAD | ROUTE_LONG },
    { "GET",    D "/{id}/cases",          "core.decision.read",    cases_get,       0 },
    { "POST",   D "/{id}/cases",          "core.decision.update",  cases_post,      0 },
    { "PUT",    D "/{id}/cases/{case}",   "core.decision.update",  case_put,        0 },
    { "DELETE", D "/{id}/cases/{case}",   "core.decision.update",  case_delete,     0 },
    { 0 },
};
/* clang-format on */
