/* tree.c - the organisation tree.
 *
 * Invariant: path is the parent's path followed by the own id and '/'; moving a subtree rewrites the paths of
 * the organisations in it and no row elsewhere. */
#include "platform/identity/identity_sql.h"
#include "platform/identity/internal.h"

#include <stdio.h>

#define DEPTH_MAX 16
#define PAGE_MAX 200

struct org {
    struct str id_text, parent_text, path, code, name;
    int64_t id, parent_id, sort, version;
    bool active;
    int64_t created_at, created_by, updated_at, updated_by;
};

static bool org_read(struct arena *arena, struct stmt *stmt, struct org *org)
{
    *org = (struct org) {
        .id = stmt_i64(stmt, 0),
        .parent_id = stmt_i64(stmt, 1),
        .path = arena_str(arena, stmt_text(stmt, 2)),
        .code = arena_str(arena, stmt_text(stmt, 3)),
        .name = arena_str(arena, stmt_text(stmt, 4)),
        .sort = stmt_i64(stmt, 5),
        .active = stmt_i64(stmt, 6) != 0,
        .version = stmt_i64(stmt, 7),
        .created_at = stmt_i64(stmt, 8),
        .created_by = stmt_i64(stmt, 9),
        .updated_at = stmt_i64(stmt, 10),
        .updated_by = stmt_i64(stmt, 11),
    };
    return org->path.ptr && org->code.ptr && org->name.ptr;
}

static json_t *org_json(const struct org *org)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:b,s:I,s:o,s:o,s:o,s:o}", "id", json_id(org->id), "parent",
                     json_id(org->parent_id), "path", json_str(org->path), "code", json_str(org->code),
                     "name", json_str(org->name), "sort", (json_int_t)org->sort, "active", org->active,
                     "version", (json_int_t)org->version, "created_at", json_instant(org->created_at),
                     "created_by", json_id(org->created_by), "updated_at", json_instant(org->updated_at),
                     "updated_by", json_id(org->updated_by));
}

static enum err_code org_find(struct tx *tx, struct arena *arena, int64_t id, struct org *out,
                              struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_ORG_GET, BINDS(bind_i64(id)), &stmt, &row, err);
    if (!rc && !row)
        rc = err_set(err, ERR_NOT_FOUND, "identity.no_org", ARG_INT("id", id), ARG_END);
    if (!rc && !org_read(arena, stmt, out))
        rc = err_nomem(err);
    return rc;
}

/* ---- list, get ---- */

struct org_list {
    struct request *req;
    struct str pattern, after;
    int64_t limit;
    bool count;
    json_t *items;
    int64_t number;
    struct str next;
};

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct org_list *list = arg;
    const struct principal *who = who_of(list->req);
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf sql;
    bool row = true;
    buf_init(&sql, 16384);
    buf_text(&sql, list->count ? "SELECT COUNT(*) FROM org o " : SQL_ORG_COLUMNS);
    buf_text(&sql,
             "WHERE (?1 = '' OR LOWER(o.name) LIKE ?1 ESCAPE '\\' OR LOWER(o.code) LIKE ?1 ESCAPE '\\') "
             "AND o.path > ?2 AND ");
    bool any = true;
    if (principal_may(who, STR("core.org.read")))
        any = scope_where(who, STR("core.org.read"), 4, &sql);
    else
        buf_text(&sql, "o.active = 1"); /* names of organisations are no secret within the house */
    buf_text(&sql, list->count ? " AND ?3 > 0" : " ORDER BY o.path LIMIT ?3");
    json_array_clear(list->items);
    enum err_code rc = any ? buf_check(&sql, err) : ERR_OK;
    if (!rc && any)
        rc = tx_prepare(tx, sql.ptr, &stmt, err);
    buf_done(&sql);
    if (rc || !any)
        return rc;
    stmt_bind_text(stmt, 1, list->pattern);
    stmt_bind_text(stmt, 2, list->after);
    stmt_bind_i64(stmt, 3, list->limit + 1);
    if (principal_may(who, STR("core.org.read")))
        scope_bind(who, STR("core.org.read"), 4, stmt);
    if (list->count) {
        rc = stmt_step(stmt, &row, err);
        list->number = rc || !row ? 0 : stmt_i64(stmt, 0);
        return rc;
    }
    struct org org = { 0 };
    while (!(rc = stmt_step(stmt, &row, err)) && row) {
        if ((int64_t)json_array_size(list->items) == list->limit) {
            list->next = org.path;
            break;
        }
        if (!org_read(tx_arena(tx), stmt, &org))
            return err_nomem(err);
        (void)json_array_append_new(list->items, org_json(&org));
    }
    if (list->next.ptr)
        list->next = arena_str(list->req->arena, list->next);
    return rc;
}

/* GET /api/v1/core/orgs?q=&after=&limit=&count=1 */
enum err_code orgs_list(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    struct org_list list = { .req = req };
    enum err_code rc = request_query_i64(req, "limit", 1, PAGE_MAX, PAGE_MAX, &list.limit, err);
    if (rc)
        return rc;
    const struct str text = request_query(req, "q"), after = request_query(req, "after");
    list.pattern = text.len ? like_pattern(req->arena, text) : STR("");
    list.after = after.len ? after : STR("");
    list.count = str_eq(request_query(req, "count"), STR("1"));
    list.items = json_array();
    rc = store_read(identity->config.store, list_fn, &list, err);
    if (!rc && list.count)
        rc = reply_json(reply, json_pack("{s:I,s:b}", "count", (json_int_t)list.number, "exact", 1), err);
    else if (!rc)
        rc = reply_json(reply,
                        json_pack("{s:O,s:o}", "items", list.items, "next",
                                  list.next.ptr ? json_str(list.next) : json_null()),
                        err);
    json_decref(list.items);
    return rc;
}

struct org_call {
    struct identity *identity;
    struct request *req;
    int64_t id, version;
    struct org org; /* what is answered */
    bool has_code, has_name, has_sort, has_active, has_parent;
};

static const struct field ORG_FIELDS[] = {
    { "code", FIELD_TEXT, false, 1, 64, offsetof(struct org_call, org.code),
      offsetof(struct org_call, has_code) + 1 },
    { "name", FIELD_TEXT, false, 1, 200, offsetof(struct org_call, org.name),
      offsetof(struct org_call, has_name) + 1 },
    { "sort", FIELD_I64, false, 0, 1000000, offsetof(struct org_call, org.sort),
      offsetof(struct org_call, has_sort) + 1 },
    { "active", FIELD_BOOL, false, 0, 0, offsetof(struct org_call, org.active),
      offsetof(struct org_call, has_active) + 1 },
    { "parent", FIELD_ID, false, 0, 0, offsetof(struct org_call, org.parent_id),
      offsetof(struct org_call, has_parent) + 1 },
    { 0 },
};

static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct org_call *call = arg;
    return org_find(tx, call->req->arena, call->id, &call->org, err);
}

static enum err_code answer(struct org_call *call, struct reply *reply, struct err *err)
{
    reply_version(reply, call->org.version);
    return reply_json(reply, org_json(&call->org), err);
}

/* GET /api/v1/core/orgs/{id} */
enum err_code orgs_get(struct request *req, struct reply *reply, struct err *err)
{
    struct org_call call = { .identity = req->ctx, .req = req };
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc)
        rc = store_read(call.identity->config.store, get_fn, &call, err);
    return rc ? rc : answer(&call, reply, err);
}

/* ---- create ---- */

static int depth_of(struct str path)
{
    int depth = -1;
    for (size_t i = 0; i < path.len; i++)
        depth += path.ptr[i] == '/';
    return depth;
}

static enum err_code parent_for(struct tx *tx, const struct org_call *call, const char *permission,
                                int64_t parent, struct org *out, struct err *err)
{
    const enum err_code rc = org_find(tx, tx_arena(tx), parent, out, err);
    if (rc == ERR_NOT_FOUND || (!rc && !may_in_org(who_of(call->req), str_from(permission), out->path))) {
        (void)err_set(err, ERR_FORBIDDEN, "identity.org_outside", ARG_END);
        return err_pointer(err, STR("/parent"));
    }
    if (!rc && depth_of(out->path) >= DEPTH_MAX) {
        (void)err_set(err, ERR_LIMIT, "identity.org_deep", ARG_INT("max", DEPTH_MAX), ARG_END);
        return err_pointer(err, STR("/parent"));
    }
    return rc;
}

static enum err_code audit_org(struct org_call *call, struct tx *tx, const char *action,
                               const struct org *before, const struct org *after, struct err *err)
{
    const struct act act = { .action = action,
                             .type = "core.org",
                             .id = call->id,
                             .name = after ? after->name : before->name,
                             .before =
                                 before ? json_text(tx_arena(tx), org_json(before)) : (struct str) { 0 },
                             .after = after ? json_text(tx_arena(tx), org_json(after)) : (struct str) { 0 } };
    return identity_audit(call->identity, tx, call->req, &act, err);
}

static enum err_code post_fn(struct tx *tx, void *arg, struct err *err)
{
    struct org_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct org parent;
    enum err_code rc = parent_for(tx, call, "core.org.create", call->org.parent_id, &parent, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_ORG_ADD, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, call->id);
    stmt_bind_i64(stmt, 2, parent.id);
    stmt_bind_text(stmt, 3,
                   arena_printf(tx_arena(tx), "%.*s%lld/", STR_ARG(parent.path), (long long)call->id));
    stmt_bind_text(stmt, 4, call->org.code);
    stmt_bind_text(stmt, 5, call->org.name);
    stmt_bind_i64(stmt, 6, call->org.sort);
    stmt_bind_i64(stmt, 7, call->has_active ? call->org.active : 1);
    stmt_bind_i64(stmt, 8, tx_now_ms(tx));
    stmt_bind_i64(stmt, 9, who_of(call->req)->user_id);
    rc = stmt_run(stmt, NULL, err);
    struct org made = { 0 };
    if (!rc)
        rc = org_find(tx, call->req->arena, call->id, &made, err);
    if (!rc)
        rc = audit_org(call, tx, "create", NULL, &made, err);
    if (!rc)
        call->org = made;
    return rc;
}

/* Duplicate code in words of this room. */
static enum err_code told(enum err_code rc, const char *pointer, const char *id, struct str value,
                          struct err *err)
{
    if (rc != ERR_CONFLICT || !err->id || strcmp(err->id, "store.duplicate") != 0)
        return rc;
    (void)err_set(err, ERR_CONFLICT, id, ARG_STR("value", value), ARG_END);
    return err_pointer(err, str_from(pointer));
}

static void need(struct request *req, bool given, const char *name)
{
    struct err one;
    char pointer[64];
    if (given)
        return;
    (void)err_set(&one, ERR_INVALID, "http.field_missing", ARG_TEXT("name", name), ARG_END);
    (void)snprintf(pointer, sizeof pointer, "/%s", name);
    (void)err_pointer(&one, str_from(pointer));
    request_finding(req, &one);
}

/* POST /api/v1/core/orgs */
enum err_code orgs_post(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    struct org_call call = { .identity = identity, .req = req };
    enum err_code rc = request_fields(req, ORG_FIELDS, &call, err);
    if (rc)
        return rc;
    need(req, call.org.code.len, "code");
    need(req, call.org.name.len, "name");
    need(req, call.org.parent_id, "parent");
    rc = request_findings_end(req, err);
    if (rc)
        return rc;
    const struct str code = call.org.code;
    call.id = ids_next(identity->config.ids);
    rc = told(store_write(identity->config.store, post_fn, &call, err), "/code", "identity.code_there", code,
              err);
    if (rc)
        return rc;
    identity_changed(identity);
    reply_created(reply, arena_printf(req->arena, "/api/v1/core/orgs/%lld", (long long)call.id));
    return answer(&call, reply, err);
}

/* ---- change, move ---- */

static enum err_code move(struct tx *tx, const struct org *org, const struct org *parent, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct str to = arena_printf(tx_arena(tx), "%.*s%lld/", STR_ARG(parent->path), (long long)org->id);
    const enum err_code rc = to.ptr ? tx_prepare(tx, SQL_ORG_MOVE, &stmt, err) : err_nomem(err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, org->path);
    stmt_bind_text(stmt, 2, to);
    stmt_bind_i64(stmt, 3, (int64_t)org->path.len + 1);
    stmt_bind_i64(stmt, 4, (int64_t)org->path.len);
    return stmt_run(stmt, NULL, err);
}

static enum err_code patch_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct org_call *call = arg;
    const struct principal *who = who_of(call->req);
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct org before = { 0 }, after, parent = { 0 };
    enum err_code rc = org_find(tx, tx_arena(tx), call->id, &before, err);
    if (!rc && !may_in_org(who, STR("core.org.update"), before.path))
        rc = err_set(err, ERR_NOT_FOUND, "identity.no_org", ARG_INT("id", call->id), ARG_END);
    if (!rc)
        rc = request_check_version(call->req, call->version, before.version, err);
    const bool moves = call->has_parent && call->org.parent_id != before.parent_id;
    if (!rc && moves && before.parent_id == 0)
        rc = err_set(err, ERR_CONFLICT, "identity.org_root", ARG_END);
    if (!rc && moves)
        rc = parent_for(tx, call, "core.org.update", call->org.parent_id, &parent, err);
    if (!rc && moves && str_starts(parent.path, before.path)) {
        (void)err_set(err, ERR_CONFLICT, "identity.org_cycle", ARG_END);
        rc = err_pointer(err, STR("/parent"));
    }
    if (!rc)
        rc = tx_prepare(tx, SQL_ORG_SET, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, before.id);
    stmt_bind_i64(stmt, 2, before.version);
    stmt_bind_text(stmt, 3, call->org.code.len ? call->org.code : before.code);
    stmt_bind_text(stmt, 4, call->org.name.len ? call->org.name : before.name);
    stmt_bind_i64(stmt, 5, call->has_sort ? call->org.sort : before.sort);
    stmt_bind_i64(stmt, 6, call->has_active ? call->org.active : before.active);
    if (before.parent_id)
        stmt_bind_i64(stmt, 7, moves ? parent.id : before.parent_id);
    stmt_bind_i64(stmt, 8, tx_now_ms(tx));
    stmt_bind_i64(stmt, 9, who->user_id);
    rc = stmt_run(stmt, NULL, err);
    if (!rc && moves)
        rc = move(tx, &before, &parent, err);
    if (!rc)
        rc = org_find(tx, call->req->arena, call->id, &after, err);
    if (!rc)
        rc = audit_org((struct org_call *)arg, tx, "update", &before, &after, err);
    if (!rc)
        ((struct org_call *)arg)->org.version = after.version;
    return rc;
}

/* PATCH /api/v1/core/orgs/{id} */
enum err_code orgs_patch(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    struct org_call call = { .identity = identity, .req = req };
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc)
        rc = request_if_match(req, &call.version, err);
    if (!rc)
        rc = request_fields(req, ORG_FIELDS, &call, err);
    if (rc)
        return rc;
    const struct str code = call.org.code;
    rc = told(store_write(identity->config.store, patch_fn, &call, err), "/code", "identity.code_there", code,
              err);
    if (!rc)
        identity_changed(identity);
    if (!rc)
        rc = store_read(identity->config.store, get_fn, &call, err);
    return rc ? rc : answer(&call, reply, err);
}

/* ---- delete ---- */

static enum err_code delete_fn(struct tx *tx, void *arg, struct err *err)
{
    struct org_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *used = NULL;
    AUTO(stmt_free_auto) struct stmt *drop = NULL;
    struct org before;
    bool row = false;
    enum err_code rc = org_find(tx, tx_arena(tx), call->id, &before, err);
    if (!rc && !may_in_org(who_of(call->req), STR("core.org.delete"), before.path))
        rc = err_set(err, ERR_NOT_FOUND, "identity.no_org", ARG_INT("id", call->id), ARG_END);
    if (!rc)
        rc = request_check_version(call->req, call->version, before.version, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_ORG_USED, &used, err);
    if (rc)
        return rc;
    stmt_bind_i64(used, 1, call->id);
    rc = stmt_step(used, &row, err);
    if (!rc && (!before.parent_id || (row && stmt_i64(used, 0) > 0)))
        rc = err_set(err, ERR_CONFLICT, "identity.org_used", ARG_END);
    if (!rc)
        rc = tx_prepare(tx, SQL_ORG_DROP, &drop, err);
    if (rc)
        return rc;
    stmt_bind_i64(drop, 1, call->id);
    rc = stmt_run(drop, NULL, err);
    return rc ? rc : audit_org(call, tx, "delete", &before, NULL, err);
}

/* DELETE /api/v1/core/orgs/{id} */
enum err_code orgs_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    struct org_call call = { .identity = identity, .req = req };
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc)
        rc = request_if_match(req, &call.version, err);
    if (!rc)
        rc = store_write(identity->config.store, delete_fn, &call, err);
    if (rc)
        return rc;
    identity_changed(identity);
    reply_empty(reply);
    return ERR_OK;
}
