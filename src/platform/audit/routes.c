/* routes.c - see routes.h */
#include "platform/audit/routes.h"

#include "base/json.h"
#include "platform/audit/audit_sql.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200

struct find {
    struct str user, action, object_type;
    int64_t user_id, object_id, from_ms, to_ms, before, limit;
    json_t *items; /* made in the read, owned by the handler */
    int64_t last;
    int count;
};

/* before, after, detail: JSON where it is JSON, else the text. */
static json_t *data_json(struct str text)
{
    if (!text.len)
        return json_null();
    json_t *json = json_loadb(text.ptr, text.len, JSON_DECODE_ANY, NULL);
    return json ? json : json_str(text);
}

static json_t *line_json(struct stmt *stmt)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
                     json_id(stmt_i64(stmt, 0)), "at", json_instant(stmt_i64(stmt, 1)), "user_id",
                     json_id(stmt_i64(stmt, 2)), "user_name", json_str(stmt_text(stmt, 3)), "remote",
                     json_str(stmt_text(stmt, 4)), "request_id", json_str(stmt_text(stmt, 5)), "action",
                     json_str(stmt_text(stmt, 6)), "object_type", json_str(stmt_text(stmt, 7)), "object_id",
                     json_id(stmt_i64(stmt, 8)), "object_name", json_str(stmt_text(stmt, 9)), "before",
                     data_json(stmt_text(stmt, 10)), "after", data_json(stmt_text(stmt, 11)), "detail",
                     data_json(stmt_text(stmt, 12)));
}

static enum err_code find_fn(struct tx *tx, void *arg, struct err *err)
{
    struct find *find = arg;
    struct stmt *stmt = NULL;
    bool row = true;
    /* The statement follows what is asked for, so that each has its index. */
    const char *sql = find->object_type.len && find->object_id ? SQL_AUDIT_FIND_OBJECT
                      : find->user_id                          ? SQL_AUDIT_FIND_USER
                                                               : SQL_AUDIT_FIND;
    (void)json_array_clear(find->items);
    find->count = 0;
    enum err_code rc = tx_prepare(tx, sql, &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, find->before);
        stmt_bind_i64(stmt, 2, find->limit);
        stmt_bind_i64(stmt, 3, find->from_ms);
        stmt_bind_i64(stmt, 4, find->to_ms);
        stmt_bind_text(stmt, 5, find->user);
        stmt_bind_text(stmt, 6, find->action);
        stmt_bind_text(stmt, 7, find->object_type);
        stmt_bind_i64(stmt, 8, find->object_id);
        stmt_bind_i64(stmt, 9, find->user_id);
    }
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row) {
        json_t *line = line_json(stmt);
        if (!line || json_array_append_new(find->items, line))
            rc = err_nomem(err);
        find->last = stmt_i64(stmt, 0);
        find->count++;
    }
    stmt_free(stmt);
    return rc;
}

static enum err_code audit_get(struct request *req, struct reply *reply, struct err *err)
{
    const struct audit_routes *ctx = req->ctx;
    const struct str user = request_query(req, "user");
    struct find find = { .action = request_query(req, "action"),
                         .object_type = request_query(req, "object_type") };
    if (request_query_i64(req, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &find.limit, err) ||
        request_query_i64(req, "after", 1, INT64_MAX, INT64_MAX, &find.before, err) ||
        request_query_i64(req, "object_id", 0, INT64_MAX, 0, &find.object_id, err) ||
        request_query_instant(req, "from", 0, &find.from_ms, err) ||
        request_query_instant(req, "to", INT64_MAX, &find.to_ms, err))
        return err->code;
    if (user.len && !str_i64(user, &find.user_id))
        find.user = user; /* a login name */
    find.items = json_array();
    if (!find.items)
        return err_nomem(err);
    const enum err_code rc = store_read(ctx->store, find_fn, &find, err);
    if (rc) {
        json_decref(find.items);
        return rc;
    }
    return reply_json(reply,
                      json_pack("{s:o, s:o}", "items", find.items, "next",
                                find.count == find.limit ? json_id(find.last) : json_null()),
                      err);
}

const struct route AUDIT_ROUTES[] = {
    { "GET", "/api/v1/core/audit", "core.audit.read", audit_get, 0 },
    { 0 },
};
