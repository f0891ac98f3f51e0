/* admin.c - sessions that are open, API keys, settings; the route table of this room. */
#include "base/zone.h"
#include "platform/identity/identity_sql.h"
#include "platform/identity/internal.h"

#include <inttypes.h>
#include <stdio.h>

#define KEY_PREFIX "bh_"
#define KEY_PATTERNS_MAX 200

/* ---- open sessions ---- */

struct session_call {
    struct identity *identity;
    struct request *req;
    int64_t id, user_id;
    json_t *items;
};

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct session_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf sql;
    bool row = true;
    const bool admin = principal_may(who_of(call->req), STR("core.session.read"));
    buf_init(&sql, 16384);
    buf_text(&sql, SQL_SESSIONS_OPEN);
    if (!admin || !scope_where(who_of(call->req), STR("core.session.read"), 4, &sql))
        buf_text(&sql, "1 = 0");
    buf_text(&sql, ") ORDER BY t.seen_at DESC LIMIT 1000");
    json_array_clear(call->items);
    enum err_code rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_prepare(tx, sql.ptr, &stmt, err);
    buf_done(&sql);
    if (rc)
        return rc;
    const int64_t now = tx_now_ms(tx);
    const int64_t idle = settings_i64(call->identity->config.settings, "identity.session.idle_min") * 60000;
    stmt_bind_i64(stmt, 1, now);
    stmt_bind_i64(stmt, 2, now - idle - 60000);
    stmt_bind_i64(stmt, 3, who_of(call->req)->user_id);
    if (admin)
        scope_bind(who_of(call->req), STR("core.session.read"), 4, stmt);
    while (!(rc = stmt_step(stmt, &row, err)) && row)
        (void)json_array_append_new(
            call->items,
            json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b}", "id", json_id(stmt_i64(stmt, 0)), "user",
                      json_id(stmt_i64(stmt, 1)), "login", json_str(stmt_text(stmt, 2)), "name",
                      json_str(stmt_text(stmt, 3)), "created_at", json_instant(stmt_i64(stmt, 4)), "seen_at",
                      json_instant(stmt_i64(stmt, 5)), "ends_at", json_instant(stmt_i64(stmt, 6)), "remote",
                      json_str(stmt_text(stmt, 7)), "agent", json_str(stmt_text(stmt, 8)), "mine",
                      stmt_i64(stmt, 0) == who_of(call->req)->session_id));
    return rc;
}

/* GET /api/v1/core/sessions: one's own, and those of the organisations one looks after. */
enum err_code sessions_list(struct request *req, struct reply *reply, struct err *err)
{
    struct session_call call = { .identity = req->ctx, .req = req, .items = json_array() };
    enum err_code rc = store_read(call.identity->config.store, list_fn, &call, err);
    if (!rc)
        rc = reply_json(reply, json_pack("{s:O,s:n}", "items", call.items, "next"), err);
    json_decref(call.items);
    return rc;
}

static enum err_code kick_fn(struct tx *tx, void *arg, struct err *err)
{
    struct session_call *call = arg;
    const struct principal *who = who_of(call->req);
    AUTO(stmt_free_auto) struct stmt *get = NULL;
    AUTO(stmt_free_auto) struct stmt *end = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_SESSION_GET, BINDS(bind_i64(call->id)), &get, &row, err);
    if (rc)
        return rc;
    const bool own = row && stmt_i64(get, 0) == who->user_id;
    if (!row || (!own && !may_in_org(who, STR("core.session.delete"), stmt_text(get, 2))))
        return err_set(err, ERR_NOT_FOUND, "identity.no_session", ARG_END);
    call->user_id = stmt_i64(get, 0);
    const struct act act = { .action = "kick",
                             .type = "core.user",
                             .id = call->user_id,
                             .name = arena_str(tx_arena(tx), stmt_text(get, 1)) };
    rc = tx_prepare(tx, SQL_SESSION_END, &end, err);
    if (rc)
        return rc;
    stmt_bind_i64(end, 1, call->id);
    stmt_bind_i64(end, 2, tx_now_ms(tx));
    rc = stmt_run(end, NULL, err);
    return rc ? rc : identity_audit(call->identity, tx, call->req, &act, err);
}

/* DELETE /api/v1/core/sessions/{id} */
enum err_code sessions_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct session_call call = { .identity = req->ctx, .req = req };
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc && who_of(req)->kind == PRINCIPAL_KEY)
        rc = err_set(err, ERR_CONFLICT, "identity.not_for_keys", ARG_END);
    if (!rc)
        rc = store_write(call.identity->config.store, kick_fn, &call, err);
    if (rc)
        return rc;
    identity_forget(call.identity, call.id, 0);
    reply_empty(reply);
    return ERR_OK;
}

/* ---- API keys ---- */

struct key_call {
    struct identity *identity;
    struct request *req;
    int64_t id, days, org_id;
    struct str name, permissions; /* patterns by blanks */
    json_t *patterns;             /* of the body */
    char hash[DIGEST_HEX_SIZE];
    json_t *items;
    bool all;
};

/* "a.b c.d" as a list */
static json_t *words_json(struct str text)
{
    json_t *list = json_array();
    struct str one;
    while (text.len && str_cut(&text, ' ', &one))
        (void)json_array_append_new(list, json_str(one));
    return list;
}

static enum err_code keys_fn(struct tx *tx, void *arg, struct err *err)
{
    struct key_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    json_array_clear(call->items);
    enum err_code rc =
        tx_query(tx, SQL_KEYS, BINDS(bind_i64(call->all ? 0 : who_of(call->req)->user_id)), &stmt, err);
    if (rc)
        return rc;
    while (!(rc = stmt_step(stmt, &row, err)) && row)
        (void)json_array_append_new(
            call->items,
            json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id", json_id(stmt_i64(stmt, 0)), "name",
                      json_str(stmt_text(stmt, 1)), "user", json_id(stmt_i64(stmt, 2)), "login",
                      json_str(stmt_text(stmt, 3)), "created_at", json_instant(stmt_i64(stmt, 4)), "ends_at",
                      json_instant(stmt_i64(stmt, 5)), "used_at", json_instant(stmt_i64(stmt, 6)),
                      "permissions", words_json(stmt_text(stmt, 7)), "org", json_id(stmt_i64(stmt, 8)),
                      "org_name", json_str(stmt_text(stmt, 9))));
    return rc;
}

/* GET /api/v1/core/keys: one's own; all with core.key.read over everything. */
enum err_code keys_list(struct request *req, struct reply *reply, struct err *err)
{
    struct key_call call = { .identity = req->ctx,
                             .req = req,
                             .items = json_array(),
                             .all = principal_may_all(who_of(req), STR("core.key.read")) };
    enum err_code rc = store_read(call.identity->config.store, keys_fn, &call, err);
    if (!rc)
        rc = reply_json(reply, json_pack("{s:O,s:n}", "items", call.items, "next"), err);
    json_decref(call.items);
    return rc;
}

/* A key can hold no more than its user: told here, and true at each of its requests. */
static enum err_code key_limits(struct key_call *call, struct err *err)
{
    const struct principal *who = who_of(call->req);
    struct buf all;
    size_t i;
    json_t *one;
    if (!call->patterns)
        return ERR_OK;
    if (!json_is_array(call->patterns) || json_array_size(call->patterns) > KEY_PATTERNS_MAX) {
        (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "array"), ARG_END);
        return err_pointer(err, STR("/permissions"));
    }
    buf_init(&all, KEY_PATTERNS_MAX * (size_t)201);
    enum err_code rc = ERR_OK;
    json_array_foreach(call->patterns, i, one)
    {
        const struct str text = { json_string_value(one), json_string_length(one) };
        if (!json_is_string(one) || !permission_fits(text))
            rc = err_set(err, ERR_INVALID, "identity.permission", ARG_STR("text", text), ARG_END);
        else if (!principal_may(who, text))
            rc = err_set(err, ERR_FORBIDDEN, "identity.grant_more", ARG_STR("permission", text), ARG_END);
        if (rc)
            break;
        buf_text(&all, i ? " " : "");
        buf_str(&all, text);
    }
    if (rc)
        (void)err_pointer(err, STR("/permissions"));
    else
        rc = buf_check(&all, err);
    if (!rc)
        call->permissions = arena_str(call->req->arena, buf_get(&all));
    buf_done(&all);
    return rc;
}

static enum err_code key_org(struct tx *tx, const struct key_call *call, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_ORG_GET, BINDS(bind_i64(call->org_id)), &stmt, &row, err);
    if (!rc && !row) {
        (void)err_set(err, ERR_INVALID, "identity.org_outside", ARG_END);
        return err_pointer(err, STR("/org"));
    }
    return rc;
}

static enum err_code key_add_fn(struct tx *tx, void *arg, struct err *err)
{
    struct key_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = call->org_id ? key_org(tx, call, err) : ERR_OK;
    if (!rc)
        rc = tx_prepare(tx, SQL_KEY_ADD, &stmt, err);
    if (rc)
        return rc;
    const int64_t now = tx_now_ms(tx);
    stmt_bind_i64(stmt, 1, call->id);
    stmt_bind_text(stmt, 2, call->name);
    stmt_bind_text(stmt, 3, str_from(call->hash));
    stmt_bind_i64(stmt, 4, who_of(call->req)->user_id);
    stmt_bind_i64(stmt, 5, now);
    stmt_bind_i64(stmt, 6, who_of(call->req)->user_id);
    stmt_bind_i64(stmt, 7, now + call->days * DAY_MS);
    stmt_bind_text(stmt, 8, call->permissions.ptr ? call->permissions : STR(""));
    stmt_bind_i64(stmt, 9, call->org_id);
    rc = stmt_run(stmt, NULL, err);
    json_t *after = json_pack("{s:I,s:o,s:o}", "days", (json_int_t)call->days, "permissions",
                              words_json(call->permissions), "org", json_id(call->org_id));
    const struct act act = { .action = "create",
                             .type = "core.key",
                             .id = call->id,
                             .name = call->name,
                             .after = json_text(tx_arena(tx), after) };
    return rc ? rc : identity_audit(call->identity, tx, call->req, &act, err);
}

/* POST /api/v1/core/keys {name, days, permissions?, org?}: a key that acts as oneself, within what it was
 * made for; its text is answered once. */
enum err_code keys_post(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "name", FIELD_TEXT, true, 1, 100, offsetof(struct key_call, name), 0 },
        { "days", FIELD_I64, false, 1, 3650, offsetof(struct key_call, days), 0 },
        { "permissions", FIELD_JSON, false, 0, 0, offsetof(struct key_call, patterns), 0 },
        { "org", FIELD_ID, false, 0, 0, offsetof(struct key_call, org_id), 0 },
        { 0 },
    };
    struct key_call call = { .identity = req->ctx, .req = req, .days = 365 };
    char token[TOKEN_SIZE], text[TOKEN_SIZE + sizeof KEY_PREFIX];
    enum err_code rc = request_fields(req, fields, &call, err);
    if (!rc && who_of(req)->kind == PRINCIPAL_KEY)
        rc = err_set(err, ERR_CONFLICT, "identity.not_for_keys", ARG_END);
    if (!rc)
        rc = key_limits(&call, err);
    if (!rc)
        rc = token_make(token, err);
    if (rc)
        return rc;
    (void)snprintf(text, sizeof text, KEY_PREFIX "%s", token);
    token_hash(str_from(text), call.hash);
    call.id = ids_next(call.identity->config.ids);
    rc = store_write(call.identity->config.store, key_add_fn, &call, err);
    if (rc)
        return rc;
    reply_created(reply, arena_printf(req->arena, "/api/v1/core/keys/%" PRId64, call.id));
    rc = reply_json(
        reply, json_pack("{s:o,s:o,s:s}", "id", json_id(call.id), "name", json_str(call.name), "key", text),
        err);
    explicit_bzero(text, sizeof text);
    explicit_bzero(token, sizeof token);
    return rc;
}

static enum err_code key_end_fn(struct tx *tx, void *arg, struct err *err)
{
    struct key_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *get = NULL;
    AUTO(stmt_free_auto) struct stmt *end = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_KEY_GET, BINDS(bind_i64(call->id)), &get, &row, err);
    if (!rc && (!row || (stmt_i64(get, 0) != who_of(call->req)->user_id &&
                         !principal_may_all(who_of(call->req), STR("core.key.delete")))))
        rc = err_set(err, ERR_NOT_FOUND, "identity.no_key", ARG_END);
    if (rc)
        return rc;
    const struct act act = { .action = "delete",
                             .type = "core.key",
                             .id = call->id,
                             .name = arena_str(tx_arena(tx), stmt_text(get, 1)) };
    rc = tx_prepare(tx, SQL_KEY_END, &end, err);
    if (rc)
        return rc;
    stmt_bind_i64(end, 1, call->id);
    stmt_bind_i64(end, 2, tx_now_ms(tx));
    rc = stmt_run(end, NULL, err);
    return rc ? rc : identity_audit(call->identity, tx, call->req, &act, err);
}

/* DELETE /api/v1/core/keys/{id} */
enum err_code keys_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct key_call call = { .identity = req->ctx, .req = req };
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc && who_of(req)->kind == PRINCIPAL_KEY)
        rc = err_set(err, ERR_CONFLICT, "identity.not_for_keys", ARG_END);
    if (!rc)
        rc = store_write(call.identity->config.store, key_end_fn, &call, err);
    if (rc)
        return rc;
    identity_forget(call.identity, call.id, 0);
    identity_changed(call.identity);
    reply_empty(reply);
    return ERR_OK;
}

/* ---- settings ---- */

/* GET /api/v1/core/settings */
enum err_code settings_get(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    reply_version(reply, settings_version(identity->config.settings));
    return reply_json(reply, settings_json(identity->config.settings), err);
}

struct settings_call {
    struct identity *identity;
    struct request *req;
    json_t *change;
    int64_t version;
    struct str before;
};

static enum err_code settings_fn(struct tx *tx, void *arg, struct err *err)
{
    struct settings_call *call = arg;
    json_t *after = json_object(), *value;
    const char *key;
    const enum err_code rc = settings_write(call->identity->config.settings, tx, call->change, call->version,
                                            who_of(call->req)->user_id, err);
    json_object_foreach(call->change, key, value) /* secrets are named, not told */
        (void) json_object_set(
            after, key, settings_is_secret(call->identity->config.settings, key) ? json_null() : value);
    const struct act act = { .action = "update",
                             .type = "core.settings",
                             .name = STR("settings"),
                             .after = json_text(tx_arena(tx), after) };
    return rc ? rc : identity_audit(call->identity, tx, call->req, &act, err);
}

/* PATCH /api/v1/core/settings {"key":value|null,...} with If-Match */
enum err_code settings_patch(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    struct settings_call call = { .identity = identity, .req = req };
    struct findings findings;
    enum err_code rc = request_if_match(req, &call.version, err);
    if (!rc)
        rc = request_json(req, &call.change, err);
    if (!rc)
        rc = findings_init(&findings, req->arena, err);
    if (rc)
        return rc;
    rc = settings_check(identity->config.settings, call.change, &findings, err);
    for (int i = 0; i < findings.count; i++)
        request_finding(req, &findings.items[i]);
    if (!rc)
        rc = store_write(identity->config.store, settings_fn, &call, err);
    if (!rc)
        rc = settings_refresh(identity->config.settings, NULL, err);
    if (rc)
        return rc;
    identity_changed(identity); /* rules of passwords and sessions may be other ones now */
    return settings_get(req, reply, err);
}

/* ---- the table ---- */

#define V1 "/api/v1/core/"
const struct route IDENTITY_ROUTES[] = {
    { "POST", V1 "session", "", session_post, ROUTE_NO_CSRF },
    { "GET", V1 "session", "*", session_get, ROUTE_EARLY },
    { "PATCH", V1 "session", "*", session_lang, ROUTE_EARLY },
    { "DELETE", V1 "session", "*", session_delete, ROUTE_EARLY },
    { "POST", V1 "session/password", "*", session_password, ROUTE_EARLY },
    { "GET", V1 "session/totp", "*", totp_get, ROUTE_EARLY },
    { "POST", V1 "session/totp", "*", totp_post, ROUTE_EARLY },
    { "POST", V1 "session/totp/confirm", "*", totp_confirm, ROUTE_EARLY },
    { "POST", V1 "session/totp/codes", "*", totp_codes, 0 },
    { "DELETE", V1 "session/totp", "*", totp_delete, 0 },
    { "GET", V1 "sessions", "*", sessions_list, 0 },
    { "DELETE", V1 "sessions/{id}", "*", sessions_delete, 0 },
    { "GET", V1 "orgs", "*", orgs_list, 0 },
    { "GET", V1 "orgs/{id}", "*", orgs_get, 0 },
    { "POST", V1 "orgs", "core.org.create", orgs_post, 0 },
    { "PATCH", V1 "orgs/{id}", "core.org.update", orgs_patch, 0 },
    { "DELETE", V1 "orgs/{id}", "core.org.delete", orgs_delete, 0 },
    { "GET", V1 "users", "*", users_list, 0 },
    { "GET", V1 "users/{id}", "*", users_get, 0 },
    { "POST", V1 "users", "core.user.create", users_post, 0 },
    { "PATCH", V1 "users/{id}", "core.user.update", users_patch, 0 },
    { "POST", V1 "users/{id}/password", "core.user.reset", users_reset, 0 },
    { "POST", V1 "users/{id}/unlock", "core.user.reset", users_unlock, 0 },
    { "GET", V1 "users/{id}/grants", "core.user.read", users_grants, 0 },
    { "PUT", V1 "users/{id}/grants", "core.user.grant", users_grants_put, 0 },
    { "GET", V1 "roles", "core.role.read", roles_list, 0 },
    { "GET", V1 "roles/{id}", "core.role.read", roles_get, 0 },
    { "POST", V1 "roles", "core.role.create", roles_post, 0 },
    { "PATCH", V1 "roles/{id}", "core.role.update", roles_patch, 0 },
    { "DELETE", V1 "roles/{id}", "core.role.delete", roles_delete, 0 },
    { "GET", V1 "permissions", "core.role.read", permissions_list, 0 },
    { "GET", V1 "keys", "*", keys_list, 0 },
    { "POST", V1 "keys", "core.key.create", keys_post, 0 },
    { "DELETE", V1 "keys/{id}", "*", keys_delete, 0 },
    { "GET", V1 "settings", "core.setting.read", settings_get, 0 },
    { "PATCH", V1 "settings", "core.setting.update", settings_patch, 0 },
    { 0 },
};
