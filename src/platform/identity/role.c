/* role.c - roles: named sets of permissions.
 *
 * Who writes a permission into a role holds it everywhere: a role may be given in any scope. */
#include "platform/identity/identity_sql.h"
#include "platform/identity/internal.h"

#include <inttypes.h>
#include <stdio.h>

#define PERMISSIONS_MAX 2000

struct role {
    int64_t id, version, created_at, created_by, updated_at, updated_by;
    struct str code, name, note;
    bool builtin;
};

struct role_call {
    struct identity *identity;
    struct request *req;
    int64_t id, version;
    struct role role;
    json_t *permissions; /* borrowed from the body; NULL = not given */
    bool has_note;
    json_t *answer; /* owned */
};

static bool role_read(struct arena *arena, struct stmt *stmt, struct role *role)
{
    *role = (struct role) {
        .id = stmt_i64(stmt, 0),
        .code = arena_str(arena, stmt_text(stmt, 1)),
        .name = arena_str(arena, stmt_text(stmt, 2)),
        .note = arena_str(arena, stmt_text(stmt, 3)),
        .builtin = stmt_i64(stmt, 4) != 0,
        .version = stmt_i64(stmt, 5),
        .created_at = stmt_i64(stmt, 6),
        .created_by = stmt_i64(stmt, 7),
        .updated_at = stmt_i64(stmt, 8),
        .updated_by = stmt_i64(stmt, 9),
    };
    return role->code.ptr && role->name.ptr && role->note.ptr;
}

static enum err_code permissions_of(struct tx *tx, int64_t id, json_t *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    enum err_code rc = tx_query(tx, SQL_ROLE_PERMISSIONS, BINDS(bind_i64(id)), &stmt, err);
    if (rc)
        return rc;
    while (!(rc = stmt_step(stmt, &row, err)) && row)
        (void)json_array_append_new(out, json_str(stmt_text(stmt, 0)));
    return rc;
}

static enum err_code role_json(struct tx *tx, const struct role *role, json_t **out, struct err *err)
{
    json_t *permissions = json_array();
    const enum err_code rc = permissions_of(tx, role->id, permissions, err);
    if (rc) {
        json_decref(permissions);
        return rc;
    }
    *out =
        json_pack("{s:o,s:o,s:o,s:o,s:b,s:o,s:I,s:o,s:o,s:o,s:o}", "id", json_id(role->id), "code",
                  json_str(role->code), "name", json_str(role->name), "note", json_str(role->note), "builtin",
                  role->builtin, "permissions", permissions, "version", (json_int_t)role->version,
                  "created_at", json_instant(role->created_at), "created_by", json_id(role->created_by),
                  "updated_at", json_instant(role->updated_at), "updated_by", json_id(role->updated_by));
    return ERR_OK;
}

static enum err_code role_find(struct tx *tx, int64_t id, struct role *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_ROLE_GET, BINDS(bind_i64(id)), &stmt, &row, err);
    if (!rc && !row)
        rc = err_set(err, ERR_NOT_FOUND, "identity.no_role", ARG_INT("id", id), ARG_END);
    if (!rc && !role_read(tx_arena(tx), stmt, out))
        rc = err_nomem(err);
    return rc;
}

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct role_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct role roles[1000];
    bool row = true;
    int count = 0;
    json_array_clear(call->answer);
    enum err_code rc = tx_prepare(tx, SQL_ROLES, &stmt, err);
    while (!rc && count < 1000 && !(rc = stmt_step(stmt, &row, err)) && row)
        if (!role_read(tx_arena(tx), stmt, &roles[count++]))
            return err_nomem(err);
    for (int i = 0; i < count && !rc; i++) {
        json_t *one = NULL;
        rc = role_json(tx, &roles[i], &one, err);
        if (!rc)
            (void)json_array_append_new(call->answer, one);
    }
    return rc;
}

/* GET /api/v1/core/roles */
enum err_code roles_list(struct request *req, struct reply *reply, struct err *err)
{
    struct role_call call = { .identity = req->ctx, .req = req, .answer = json_array() };
    enum err_code rc = store_read(call.identity->config.store, list_fn, &call, err);
    if (!rc)
        rc = reply_json(reply, json_pack("{s:O,s:n}", "items", call.answer, "next"), err);
    json_decref(call.answer);
    return rc;
}

static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct role_call *call = arg;
    json_decref(call->answer);
    call->answer = NULL;
    const enum err_code rc = role_find(tx, call->id, &call->role, err);
    return rc ? rc : role_json(tx, &call->role, &call->answer, err);
}

static enum err_code answer(struct role_call *call, struct reply *reply, struct err *err)
{
    enum err_code rc = store_read(call->identity->config.store, get_fn, call, err);
    if (!rc) {
        reply_version(reply, call->role.version);
        rc = reply_json(reply, json_incref(call->answer), err);
    }
    json_decref(call->answer);
    return rc;
}

/* GET /api/v1/core/roles/{id} */
enum err_code roles_get(struct request *req, struct reply *reply, struct err *err)
{
    struct role_call call = { .identity = req->ctx, .req = req };
    const enum err_code rc = request_path_id(req, "id", &call.id, err);
    return rc ? rc : answer(&call, reply, err);
}

static const struct field ROLE_FIELDS[] = {
    { "code", FIELD_TEXT, false, 1, 64, offsetof(struct role_call, role.code), 0 },
    { "name", FIELD_TEXT, false, 1, 100, offsetof(struct role_call, role.name), 0 },
    { "note", FIELD_TEXT, false, 0, 1000, offsetof(struct role_call, role.note),
      offsetof(struct role_call, has_note) + 1 },
    { "permissions", FIELD_JSON, false, 0, 0, offsetof(struct role_call, permissions), 0 },
    { 0 },
};

/* "*", "ops.*", "ops.ticket.*", "ops.ticket.read" */
bool permission_fits(struct str text)
{
    int dots = 0;
    if (str_eq(text, STR("*")))
        return true;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        dots += c == '.';
        const bool star = c == '*' && i + 1 == text.len && i && text.ptr[i - 1] == '.';
        if (!star && c != '.' && c != '_' && c != '-' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return text.len >= 3 && text.len <= 200 && dots >= 1 && dots <= 3 && text.ptr[0] != '.' &&
           text.ptr[text.len - 1] != '.';
}

static enum err_code check_permissions(struct role_call *call, struct err *err)
{
    const struct principal *who = who_of(call->req);
    size_t i;
    json_t *one;
    if (!call->permissions)
        return ERR_OK;
    if (!json_is_array(call->permissions) || json_array_size(call->permissions) > PERMISSIONS_MAX) {
        (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "array"), ARG_END);
        return err_pointer(err, STR("/permissions"));
    }
    json_array_foreach(call->permissions, i, one)
    {
        char pointer[40];
        const struct str text = json_to_str(one);
        (void)snprintf(pointer, sizeof pointer, "/permissions/%zu", i);
        if (!json_is_string(one) || !permission_fits(text)) {
            (void)err_set(err, ERR_INVALID, "identity.permission", ARG_STR("text", text), ARG_END);
            return err_pointer(err, str_from(pointer));
        }
        if (!principal_may_all(who, text)) {
            (void)err_set(err, ERR_FORBIDDEN, "identity.grant_more", ARG_STR("permission", text), ARG_END);
            return err_pointer(err, str_from(pointer));
        }
    }
    return ERR_OK;
}

static enum err_code put_permissions(struct tx *tx, const struct role_call *call, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *add = NULL;
    size_t i;
    json_t *one;
    enum err_code rc = tx_run(tx, SQL_ROLE_PERMISSIONS_DROP, BINDS(bind_i64(call->id)), NULL, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_ROLE_PERMISSION_ADD, &add, err);
    json_array_foreach(call->permissions, i, one)
    {
        if (rc)
            break;
        stmt_bind_i64(add, 1, call->id);
        stmt_bind_text(add, 2, str_from(json_string_value(one)));
        rc = stmt_run(add, NULL, err);
        stmt_reset(add);
    }
    return rc;
}

static enum err_code audit_role(struct role_call *call, struct tx *tx, const char *action, json_t *before,
                                struct err *err)
{
    struct role role = { .name = STR("") };
    json_t *after = NULL;
    const bool gone = strcmp(action, "delete") == 0;
    enum err_code rc = gone ? ERR_OK : role_find(tx, call->id, &role, err);
    if (!rc && !gone)
        rc = role_json(tx, &role, &after, err);
    const struct act act = { .action = action,
                             .type = "core.role",
                             .id = call->id,
                             .name = gone ? call->role.name : role.name,
                             .before = json_text(tx_arena(tx), before),
                             .after = json_text(tx_arena(tx), after) };
    return rc ? rc : identity_audit(call->identity, tx, call->req, &act, err);
}

static enum err_code post_fn(struct tx *tx, void *arg, struct err *err)
{
    struct role_call *call = arg;
    enum err_code rc = tx_run(tx, SQL_ROLE_ADD,
                              BINDS(bind_i64(call->id), bind_text(call->role.code),
                                    bind_text(call->role.name), bind_text(call->role.note), bind_i64(0),
                                    bind_i64(tx_now_ms(tx)), bind_i64(who_of(call->req)->user_id)),
                              NULL, err);
    if (!rc && call->permissions)
        rc = put_permissions(tx, call, err);
    return rc ? rc : audit_role(call, tx, "create", NULL, err);
}

/* POST /api/v1/core/roles {code, name, note?, permissions:[...]} */
enum err_code roles_post(struct request *req, struct reply *reply, struct err *err)
{
    struct role_call call = { .identity = req->ctx, .req = req };
    enum err_code rc = request_fields(req, ROLE_FIELDS, &call, err);
    if (!rc && (!call.role.code.len || !call.role.name.len)) {
        (void)err_set(err, ERR_INVALID, "http.field_missing",
                      ARG_TEXT("name", call.role.code.len ? "name" : "code"), ARG_END);
        rc = err_pointer(err, call.role.code.len ? STR("/name") : STR("/code"));
    }
    if (!rc)
        rc = check_permissions(&call, err);
    if (rc)
        return rc;
    const struct str code = call.role.code;
    call.id = ids_next(call.identity->config.ids);
    rc = store_write(call.identity->config.store, post_fn, &call, err);
    if (rc == ERR_CONFLICT && err->id && strcmp(err->id, "store.duplicate") == 0) {
        (void)err_set(err, ERR_CONFLICT, "identity.code_there", ARG_STR("value", code), ARG_END);
        return err_pointer(err, STR("/code"));
    }
    if (rc)
        return rc;
    reply_created(reply, arena_printf(req->arena, "/api/v1/core/roles/%" PRId64, call.id));
    return answer(&call, reply, err);
}

/* A role that holds more than the caller must not be changed by the caller. */
static enum err_code may_change(struct tx *tx, const struct role_call *call, const struct role *role,
                                struct err *err)
{
    json_t *held = json_array(), *one;
    size_t i;
    enum err_code rc = role->builtin ? err_set(err, ERR_CONFLICT, "identity.role_builtin", ARG_END)
                                     : permissions_of(tx, role->id, held, err);
    json_array_foreach(
        held, i, one) if (!rc && !principal_may_all(who_of(call->req), str_from(json_string_value(one)))) rc =
        err_set(err, ERR_FORBIDDEN, "identity.grant_more", ARG_TEXT("permission", json_string_value(one)),
                ARG_END);
    json_decref(held);
    return rc;
}

static enum err_code patch_fn(struct tx *tx, void *arg, struct err *err)
{
    struct role_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct role before;
    json_t *was = NULL;
    enum err_code rc = role_find(tx, call->id, &before, err);
    if (!rc)
        rc = request_check_version(call->req, call->version, before.version, err);
    if (!rc)
        rc = may_change(tx, call, &before, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_ROLE_SET, &stmt, err);
    if (!rc)
        rc = role_json(tx, &before, &was, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, call->id);
    stmt_bind_i64(stmt, 2, before.version);
    stmt_bind_text(stmt, 3, call->role.name.len ? call->role.name : before.name);
    stmt_bind_text(stmt, 4, call->has_note ? call->role.note : before.note);
    stmt_bind_i64(stmt, 5, tx_now_ms(tx));
    stmt_bind_i64(stmt, 6, who_of(call->req)->user_id);
    rc = stmt_run(stmt, NULL, err);
    if (!rc && call->permissions)
        rc = put_permissions(tx, call, err);
    if (rc) {
        json_decref(was);
        return rc;
    }
    return audit_role(call, tx, "update", was, err);
}

/* PATCH /api/v1/core/roles/{id} */
enum err_code roles_patch(struct request *req, struct reply *reply, struct err *err)
{
    struct role_call call = { .identity = req->ctx, .req = req };
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc)
        rc = request_if_match(req, &call.version, err);
    if (!rc)
        rc = request_fields(req, ROLE_FIELDS, &call, err);
    if (!rc && call.role.code.len) {
        (void)err_set(err, ERR_INVALID, "identity.code_fixed", ARG_END);
        rc = err_pointer(err, STR("/code"));
    }
    if (!rc)
        rc = check_permissions(&call, err);
    if (!rc)
        rc = store_write(call.identity->config.store, patch_fn, &call, err);
    if (rc)
        return rc;
    identity_changed(call.identity);
    return answer(&call, reply, err);
}

static enum err_code delete_fn(struct tx *tx, void *arg, struct err *err)
{
    struct role_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *used = NULL;
    bool row = false;
    json_t *was = NULL;
    enum err_code rc = role_find(tx, call->id, &call->role, err);
    if (!rc)
        rc = request_check_version(call->req, call->version, call->role.version, err);
    if (!rc)
        rc = may_change(tx, call, &call->role, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_ROLE_USED, &used, err);
    if (rc)
        return rc;
    stmt_bind_i64(used, 1, call->id);
    rc = stmt_step(used, &row, err);
    if (!rc && row && stmt_i64(used, 0))
        rc = err_set(err, ERR_CONFLICT, "identity.role_used", ARG_INT("count", stmt_i64(used, 0)), ARG_END);
    if (!rc)
        rc = role_json(tx, &call->role, &was, err);
    if (!rc)
        rc = tx_run(tx, SQL_ROLE_PERMISSIONS_DROP, BINDS(bind_i64(call->id)), NULL, err);
    if (!rc)
        rc = tx_run(tx, SQL_ROLE_DROP, BINDS(bind_i64(call->id)), NULL, err);
    if (rc) {
        json_decref(was);
        return rc;
    }
    return audit_role(call, tx, "delete", was, err);
}

/* DELETE /api/v1/core/roles/{id} */
enum err_code roles_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct role_call call = { .identity = req->ctx, .req = req };
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc)
        rc = request_if_match(req, &call.version, err);
    if (!rc)
        rc = store_write(call.identity->config.store, delete_fn, &call, err);
    if (rc)
        return rc;
    reply_empty(reply);
    return ERR_OK;
}

/* ---- the catalogue ---- */

static void add_name(void *arg, struct str permission)
{
    char key[256];
    if (permission.len && permission.len < sizeof key && !memchr(permission.ptr, '{', permission.len) &&
        !str_eq(permission, STR("*"))) {
        (void)snprintf(key, sizeof key, "%.*s", STR_ARG(permission));
        (void)json_object_set_new(arg, key, json_true());
    }
}

static void add_route(void *arg, const struct route *route)
{
    add_name(arg, str_from(route->permission));
}

/* GET /api/v1/core/permissions: every permission a role can hold, by name. */
enum err_code permissions_list(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    json_t *names = json_object(), *items = json_array(), *value;
    const char *name;
    if (identity->config.http)
        http_routes_each(identity->config.http, add_route, names);
    if (identity->list)
        identity->list(identity->list_ctx, add_name, names);
    json_object_foreach(names, name, value)(void) json_array_append_new(items, json_string(name));
    json_decref(names);
    return reply_json(reply, json_pack("{s:o}", "items", items), err);
}
