/* people.c - users: listed, made, changed, reset; what they are granted is in grants.c.
 *
 * Invariants: who changes a user has the permission over that user's organisation; the last user who holds
 * everything cannot be switched off. */
#include "platform/identity/identity_sql.h"
#include "platform/identity/people.h"

#include <inttypes.h>
#include <stdio.h>

#define PAGE_MAX 200

static bool user_read(struct arena *arena, struct stmt *stmt, struct user *user)
{
    *user = (struct user) {
        .id = stmt_i64(stmt, 0),
        .org_id = stmt_i64(stmt, 1),
        .org_path = arena_str(arena, stmt_text(stmt, 2)),
        .org_name = arena_str(arena, stmt_text(stmt, 3)),
        .login = arena_str(arena, stmt_text(stmt, 4)),
        .name = arena_str(arena, stmt_text(stmt, 5)),
        .email = arena_str(arena, stmt_text(stmt, 6)),
        .phone = arena_str(arena, stmt_text(stmt, 7)),
        .lang = arena_str(arena, stmt_text(stmt, 8)),
        .active = stmt_i64(stmt, 9) != 0,
        .version = stmt_i64(stmt, 10),
        .created_at = stmt_i64(stmt, 11),
        .created_by = stmt_i64(stmt, 12),
        .updated_at = stmt_i64(stmt, 13),
        .updated_by = stmt_i64(stmt, 14),
        .locked_until = stmt_i64(stmt, 15),
        .totp_on = stmt_i64(stmt, 16) != 0,
        .last_login_at = stmt_i64(stmt, 17),
        .must_change = stmt_i64(stmt, 18) != 0,
    };
    return user->org_path.ptr && user->org_name.ptr && user->login.ptr && user->name.ptr && user->email.ptr &&
           user->phone.ptr && user->lang.ptr;
}

static json_t *user_json(const struct user *user, int64_t now)
{
    json_t *json =
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:b,s:b,s:b,s:I}", "id", json_id(user->id), "login",
                  json_str(user->login), "name", json_str(user->name), "org", json_id(user->org_id),
                  "org_name", json_str(user->org_name), "email", json_str(user->email), "phone",
                  json_str(user->phone), "lang", json_str(user->lang), "active", user->active, "totp",
                  user->totp_on, "locked", user->locked_until > now, "must_change_password",
                  user->must_change, "version", (json_int_t)user->version);
    (void)json_object_set_new(json, "last_login_at", json_instant(user->last_login_at));
    (void)json_object_set_new(json, "created_at", json_instant(user->created_at));
    (void)json_object_set_new(json, "created_by", json_id(user->created_by));
    (void)json_object_set_new(json, "updated_at", json_instant(user->updated_at));
    (void)json_object_set_new(json, "updated_by", json_id(user->updated_by));
    return json;
}

/* What everybody may see of a colleague: enough to name and to choose one. */
static json_t *user_brief(const struct user *user)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:b}", "id", json_id(user->id), "login", json_str(user->login),
                     "name", json_str(user->name), "org", json_id(user->org_id), "org_name",
                     json_str(user->org_name), "active", user->active);
}

static enum err_code no_user(int64_t id, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "identity.no_user", ARG_INT("id", id), ARG_END);
}

/* The user when `who` has the permission over their organisation; else as if absent. */
enum err_code user_find(struct tx *tx, struct arena *arena, const struct principal *who,
                        const char *permission, int64_t id, struct user *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_USER_GET, BINDS(bind_i64(id)), &stmt, &row, err);
    if (!rc && !row)
        rc = no_user(id, err);
    if (!rc && !user_read(arena, stmt, out))
        rc = err_nomem(err);
    if (!rc && !may_in_org(who, str_from(permission), out->org_path))
        rc = no_user(id, err);
    return rc;
}

/* ---- list, get ---- */

struct user_list {
    struct request *req;
    struct str pattern, after, next;
    int64_t limit, org, number, now;
    bool count, brief;
    json_t *items;
};

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct user_list *list = arg;
    const struct principal *who = who_of(list->req);
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf sql;
    bool row = true;
    buf_init(&sql, 16384);
    buf_text(&sql, list->count ? "SELECT COUNT(*) FROM app_user u JOIN org o ON o.id = u.org_id "
                               : SQL_USER_COLUMNS);
    buf_text(&sql,
             "WHERE (?1 = '' OR LOWER(u.name) LIKE ?1 ESCAPE '\\' OR LOWER(u.login) LIKE ?1 ESCAPE '\\') "
             "AND u.login > ?2 AND (?4 = 0 OR u.org_id = ?4) AND ");
    bool any = true;
    if (list->brief)
        buf_text(&sql, "u.active = 1");
    else
        any = scope_where(who, STR("core.user.read"), 5, &sql);
    buf_text(&sql, list->count ? " AND ?3 > 0" : " ORDER BY u.login LIMIT ?3");
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
    stmt_bind_i64(stmt, 4, list->org);
    if (!list->brief)
        scope_bind(who, STR("core.user.read"), 5, stmt);
    if (list->count) {
        rc = stmt_step(stmt, &row, err);
        list->number = rc || !row ? 0 : stmt_i64(stmt, 0);
        return rc;
    }
    struct user user = { 0 };
    while (!(rc = stmt_step(stmt, &row, err)) && row) {
        if ((int64_t)json_array_size(list->items) == list->limit) {
            list->next = arena_str(list->req->arena, user.login);
            break;
        }
        if (!user_read(tx_arena(tx), stmt, &user))
            return err_nomem(err);
        (void)json_array_append_new(list->items,
                                    list->brief ? user_brief(&user) : user_json(&user, list->now));
    }
    return rc;
}

/* GET /api/v1/core/users?q=&org=&after=&limit=&count=1 */
enum err_code users_list(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    struct user_list list = { .req = req, .now = clock_now(identity->config.clock) };
    enum err_code rc = request_query_i64(req, "limit", 1, PAGE_MAX, 50, &list.limit, err);
    if (!rc)
        rc = request_query_i64(req, "org", 1, INT64_MAX, 0, &list.org, err);
    if (rc)
        return rc;
    const struct str text = request_query(req, "q"), after = request_query(req, "after");
    list.pattern = text.len ? like_pattern(req->arena, text) : STR("");
    list.after = after.len ? after : STR("");
    list.count = str_eq(request_query(req, "count"), STR("1"));
    list.brief = !principal_may(who_of(req), STR("core.user.read"));
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

static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct user_call *call = arg;
    return user_find(tx, call->req->arena, call->who, call->permission, call->id, &call->user, err);
}

static enum err_code answer(struct user_call *call, struct reply *reply, struct err *err)
{
    json_t *json = user_json(&call->user, clock_now(call->identity->config.clock));
    if (call->password[0])
        (void)json_object_set_new(json, "password", json_string(call->password));
    reply_version(reply, call->user.version);
    return reply_json(reply, json, err);
}

struct user_call user_call_of(struct request *req, const char *permission)
{
    return (
        struct user_call) { .identity = req->ctx, .req = req, .who = who_of(req), .permission = permission };
}

/* GET /api/v1/core/users/{id}: whole for who looks after that organisation, else the brief form. */
enum err_code users_get(struct request *req, struct reply *reply, struct err *err)
{
    struct user_call call = user_call_of(req, "core.user.read");
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    call.who = &PRINCIPAL_SELF;
    if (!rc)
        rc = store_read(call.identity->config.store, get_fn, &call, err);
    if (rc)
        return rc;
    if (!may_in_org(who_of(req), STR("core.user.read"), call.user.org_path))
        return reply_json(reply, user_brief(&call.user), err);
    return answer(&call, reply, err);
}

/* ---- create ---- */

static const struct field USER_FIELDS[] = {
    { "login", FIELD_TEXT, false, 2, 64, offsetof(struct user_call, user.login), 0 },
    { "name", FIELD_TEXT, false, 1, 100, offsetof(struct user_call, user.name), 0 },
    { "email", FIELD_TEXT, false, 0, 200, offsetof(struct user_call, user.email),
      offsetof(struct user_call, has_email) + 1 },
    { "phone", FIELD_TEXT, false, 0, 40, offsetof(struct user_call, user.phone),
      offsetof(struct user_call, has_phone) + 1 },
    { "lang", FIELD_TEXT, false, 2, 5, offsetof(struct user_call, user.lang), 0 },
    { "org", FIELD_ID, false, 0, 0, offsetof(struct user_call, user.org_id),
      offsetof(struct user_call, has_org) + 1 },
    { "active", FIELD_BOOL, false, 0, 0, offsetof(struct user_call, user.active),
      offsetof(struct user_call, has_active) + 1 },
    { 0 },
};

/* Letters, digits, . _ - @ and all beyond ASCII. */
static bool login_fits(struct str login)
{
    for (size_t i = 0; i < login.len; i++) {
        const char c = login.ptr[i];
        const bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          c == '.' || c == '_' || c == '-' || c == '@' || (unsigned char)c >= 0x80;
        if (!fine)
            return false;
    }
    return login.len >= 2 && login.len <= 64 && utf8_valid(login);
}

static bool email_fits(struct str email)
{
    const ptrdiff_t at = str_find(email, STR("@"));
    if (!email.len)
        return true;
    for (size_t i = 0; i < email.len; i++)
        if ((unsigned char)email.ptr[i] <= ' ' || email.ptr[i] == '<' || email.ptr[i] == '>' ||
            email.ptr[i] == ',')
            return false;
    return at > 0 && (size_t)at + 1 < email.len &&
           str_find(str_slice(email, (size_t)at + 1, email.len), STR("@")) < 0;
}

static enum err_code check_user(const struct user_call *call, bool create, struct err *err)
{
    const struct user *user = &call->user;
    if (create && !login_fits(user->login)) {
        (void)err_set(err, ERR_INVALID, "identity.login", ARG_END);
        return err_pointer(err, STR("/login"));
    }
    if (create && !user->name.len) {
        (void)err_set(err, ERR_INVALID, "http.field_missing", ARG_TEXT("name", "name"), ARG_END);
        return err_pointer(err, STR("/name"));
    }
    if (!email_fits(user->email)) {
        (void)err_set(err, ERR_INVALID, "identity.email", ARG_END);
        return err_pointer(err, STR("/email"));
    }
    if (user->lang.len && !str_eq(user->lang, STR("zh-CN")) && !str_eq(user->lang, STR("en"))) {
        (void)err_set(err, ERR_INVALID, "identity.lang", ARG_END);
        return err_pointer(err, STR("/lang"));
    }
    return ERR_OK;
}

static enum err_code find_id(struct tx *tx, const char *sql, struct str key, const char *missing,
                             int64_t *out_id, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, sql, BINDS(bind_text(key)), &stmt, &row, err);
    if (!rc && !row)
        return err_set(err, ERR_NOT_FOUND, missing, ARG_STR("value", key), ARG_END);
    if (!rc)
        *out_id = stmt_i64(stmt, 0);
    return rc;
}

/* The path of an organisation within which `who` has the permission. */
static enum err_code org_path(struct tx *tx, const struct principal *who, const char *permission,
                              int64_t org_id, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_ORG_GET, BINDS(bind_i64(org_id)), &stmt, &row, err);
    if (!rc && (!row || !may_in_org(who, str_from(permission), stmt_text(stmt, 2)))) {
        (void)err_set(err, ERR_FORBIDDEN, "identity.org_outside", ARG_END);
        return err_pointer(err, STR("/org"));
    }
    return rc;
}

static enum err_code audit_user(struct user_call *call, struct tx *tx, const char *action,
                                const struct user *before, const struct user *after, struct err *err)
{
    const int64_t now = tx_now_ms(tx);
    const struct act act = {
        .action = action,
        .type = "core.user",
        .id = call->id,
        .name = after ? after->login : before->login,
        .before = before ? json_text(tx_arena(tx), user_json(before, now)) : (struct str) { 0 },
        .after = after ? json_text(tx_arena(tx), user_json(after, now)) : (struct str) { 0 }
    };
    return identity_audit(call->identity, tx, call->req, &act, err);
}

static enum err_code add_secret(struct tx *tx, const struct user_call *call, struct err *err)
{
    return tx_run(tx, SQL_SECRET_ADD,
                  BINDS(bind_i64(call->id), bind_text(str_from(call->hash)), bind_i64(tx_now_ms(tx))), NULL,
                  err);
}

static enum err_code add_user(struct tx *tx, struct user_call *call, struct err *err)
{
    const struct user *user = &call->user;
    return tx_run(tx, SQL_USER_ADD,
                  BINDS(bind_i64(call->id), bind_i64(user->org_id), bind_text(user->login),
                        bind_text(user->name), bind_text(user->email), bind_text(user->phone),
                        bind_text(user->lang.len ? user->lang : STR("zh-CN")),
                        bind_i64(call->has_active ? user->active : 1), bind_i64(tx_now_ms(tx)),
                        bind_i64(call->who->user_id)),
                  NULL, err);
}

static enum err_code create_fn(struct tx *tx, void *arg, struct err *err)
{
    struct user_call *call = arg;
    struct user_call work = *call; /* fn may run twice: what the body said stays */
    struct given given = { .scope = { .all = true } };
    struct user made;
    enum err_code rc = ERR_OK;
    if (call->org_code.len)
        rc = find_id(tx, SQL_ORG_BY_CODE, call->org_code, "identity.no_org_code", &work.user.org_id, err);
    else if (!call->user.org_id && call->who->kind == PRINCIPAL_SYSTEM)
        rc = tx_query_i64(tx, SQL_ORG_ROOT, &work.user.org_id, err);
    if (!rc)
        rc = org_path(tx, call->who, "core.user.create", work.user.org_id, err);
    if (!rc)
        rc = add_user(tx, &work, err);
    if (!rc)
        rc = add_secret(tx, &work, err);
    if (!rc && call->role_code.len) {
        rc = find_id(tx, SQL_ROLE_BY_CODE, call->role_code, "identity.no_role_code", &given.role_id, err);
        if (!rc)
            rc = grant_may_give(tx, call->who, &given, err);
        if (!rc)
            rc = grant_add(tx, &work, &given, err);
    }
    if (!rc)
        rc = user_find(tx, call->req ? call->req->arena : tx_arena(tx), &PRINCIPAL_SELF, "*", call->id, &made,
                       err);
    if (!rc)
        rc = audit_user(call, tx, "create", NULL, &made, err);
    return rc;
}

static enum err_code told(enum err_code rc, struct str login, struct err *err)
{
    if (rc != ERR_CONFLICT || !err->id || strcmp(err->id, "store.duplicate") != 0)
        return rc;
    (void)err_set(err, ERR_CONFLICT, "identity.login_there", ARG_STR("value", login), ARG_END);
    return err_pointer(err, STR("/login"));
}

static enum err_code make_password(struct user_call *call, struct err *err)
{
    enum err_code rc = password_once(call->password, err);
    if (!rc)
        rc = password_hash_slowly(call->identity, str_from(call->password), call->hash, err);
    return rc;
}

/* POST /api/v1/core/users: answers the password for one login, once. */
enum err_code users_post(struct request *req, struct reply *reply, struct err *err)
{
    struct user_call call = user_call_of(req, "core.user.read");
    struct identity *identity = call.identity;
    enum err_code rc = request_fields(req, USER_FIELDS, &call, err);
    if (!rc)
        rc = check_user(&call, true, err);
    if (!rc && !call.user.org_id) {
        (void)err_set(err, ERR_INVALID, "http.field_missing", ARG_TEXT("name", "org"), ARG_END);
        rc = err_pointer(err, STR("/org"));
    }
    if (!rc)
        rc = make_password(&call, err);
    call.id = ids_next(identity->config.ids);
    const struct str login = call.user.login;
    if (!rc)
        rc = told(store_write(identity->config.store, create_fn, &call, err), login, err);
    if (!rc) {
        call.who = &PRINCIPAL_SELF;
        rc = store_read(identity->config.store, get_fn, &call, err);
    }
    if (!rc) {
        reply_created(reply, arena_printf(req->arena, "/api/v1/core/users/%" PRId64, call.id));
        rc = answer(&call, reply, err);
    }
    explicit_bzero(call.password, sizeof call.password);
    return rc;
}

enum err_code identity_user_add(struct identity *identity, const struct principal *who,
                                const struct identity_user *user, int64_t *out_id,
                                char out_password[IDENTITY_PASSWORD_SIZE], struct err *err)
{
    struct user_call call = {
        .identity = identity,
        .who = who,
        .org_code = user->org_code,
        .role_code = user->role_code,
        .user = { .login = user->login, .name = user->name, .email = user->email, .phone = user->phone }
    };
    enum err_code rc = check_user(&call, true, err);
    if (!rc)
        rc = make_password(&call, err);
    call.id = ids_next(identity->config.ids);
    if (!rc)
        rc = told(store_write(identity->config.store, create_fn, &call, err), user->login, err);
    if (!rc) {
        *out_id = call.id;
        (void)snprintf(out_password, IDENTITY_PASSWORD_SIZE, "%s", call.password);
    }
    explicit_bzero(call.password, sizeof call.password);
    return rc;
}

/* ---- change ---- */

static enum err_code end_all(struct tx *tx, int64_t user_id, struct err *err)
{
    static const char *const statements[] = { SQL_SESSIONS_END_USER, SQL_KEYS_END_USER };
    for (int i = 0; i < 2; i++) {
        AUTO(stmt_free_auto) struct stmt *stmt = NULL;
        enum err_code rc = tx_prepare(tx, statements[i], &stmt, err);
        if (rc)
            return rc;
        stmt_bind_i64(stmt, 1, user_id);
        stmt_bind_i64(stmt, 2, tx_now_ms(tx));
        if (i == 0)
            stmt_bind_i64(stmt, 3, 0);
        rc = stmt_run(stmt, NULL, err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code set_user(struct tx *tx, const struct user_call *call, const struct user *before,
                              struct err *err)
{
    const struct user *user = &call->user;
    return tx_run(tx, SQL_USER_SET,
                  BINDS(bind_i64(call->id), bind_i64(before->version),
                        bind_i64(user->org_id ? user->org_id : before->org_id),
                        bind_text(user->name.len ? user->name : before->name),
                        bind_text(call->has_email ? user->email : before->email),
                        bind_text(call->has_phone ? user->phone : before->phone),
                        bind_text(user->lang.len ? user->lang : before->lang),
                        bind_i64(call->has_active ? user->active : before->active), bind_i64(tx_now_ms(tx)),
                        bind_i64(call->who->user_id)),
                  NULL, err);
}

static enum err_code patch_fn(struct tx *tx, void *arg, struct err *err)
{
    struct user_call *call = arg;
    struct user before = { 0 }, after;
    enum err_code rc = user_find(tx, tx_arena(tx), call->who, "core.user.update", call->id, &before, err);
    if (!rc)
        rc = request_check_version(call->req, call->version, before.version, err);
    if (!rc)
        rc = user_may_touch(tx, call, &before, err);
    if (!rc && call->user.org_id && call->user.org_id != before.org_id)
        rc = org_path(tx, call->who, "core.user.update", call->user.org_id, err);
    if (!rc)
        rc = set_user(tx, call, &before, err);
    const bool goes = call->has_active && !call->user.active && before.active;
    if (!rc && goes)
        rc = end_all(tx, call->id, err);
    if (!rc && goes)
        rc = users_keep_admin(tx, err);
    if (!rc)
        rc = user_find(tx, tx_arena(tx), &PRINCIPAL_SELF, "*", call->id, &after, err);
    return rc ? rc : audit_user(call, tx, "update", &before, &after, err);
}

/* PATCH /api/v1/core/users/{id} */
enum err_code users_patch(struct request *req, struct reply *reply, struct err *err)
{
    struct user_call call = user_call_of(req, "core.user.read");
    struct identity *identity = call.identity;
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc)
        rc = request_if_match(req, &call.version, err);
    if (!rc)
        rc = request_fields(req, USER_FIELDS, &call, err);
    if (!rc && call.user.login.len) {
        (void)err_set(err, ERR_INVALID, "identity.login_fixed", ARG_END);
        rc = err_pointer(err, STR("/login"));
    }
    if (!rc)
        rc = check_user(&call, false, err);
    if (!rc)
        rc = store_write(identity->config.store, patch_fn, &call, err);
    if (rc)
        return rc;
    if (call.has_active && !call.user.active)
        identity_forget(identity, 0, call.id);
    identity_changed(identity);
    rc = store_read(identity->config.store, get_fn, &call, err);
    return rc ? rc : answer(&call, reply, err);
}

/* ---- reset, unlock ---- */

static enum err_code clear_totp(struct tx *tx, int64_t user_id, struct err *err)
{
    return tx_run(tx, SQL_TOTP_SET, BINDS(bind_i64(user_id), bind_text(STR("")), bind_i64(0), bind_i64(0)),
                  NULL, err)
               ? err->code
               : recovery_forget(tx, user_id, err);
}

static enum err_code reset_fn(struct tx *tx, void *arg, struct err *err)
{
    struct user_call *call = arg;
    struct user user = { 0 };
    int64_t id = call->id;
    enum err_code rc = ERR_OK;
    if (!id)
        rc = find_id(tx, SQL_USER_BY_LOGIN, call->user.login, "identity.no_login", &id, err);
    if (!rc)
        rc = user_find(tx, tx_arena(tx), call->who, "core.user.reset", id, &user, err);
    if (!rc)
        rc = user_may_touch(tx, call, &user, err);
    if (!rc)
        rc = password_write(tx, id, call->hash, true, err);
    if (!rc)
        rc = clear_totp(tx, id, err);
    if (!rc)
        rc = end_all(tx, id, err);
    const struct act act = { .action = "password_reset", .type = "core.user", .id = id, .name = user.login };
    if (!rc)
        rc = identity_audit(call->identity, tx, call->req, &act, err);
    if (!rc)
        call->user.id = id;
    return rc;
}

enum err_code identity_user_reset(struct identity *identity, const struct principal *who, struct str login,
                                  char out_password[IDENTITY_PASSWORD_SIZE], struct err *err)
{
    struct user_call call = { .identity = identity, .who = who, .user = { .login = login } };
    enum err_code rc = make_password(&call, err);
    if (!rc)
        rc = store_write(identity->config.store, reset_fn, &call, err);
    if (!rc) {
        identity_forget(identity, 0, call.user.id);
        identity_changed(identity);
        (void)snprintf(out_password, IDENTITY_PASSWORD_SIZE, "%s", call.password);
    }
    explicit_bzero(call.password, sizeof call.password);
    return rc;
}

/* POST /api/v1/core/users/{id}/password: a new one for one login, answered once. */
enum err_code users_reset(struct request *req, struct reply *reply, struct err *err)
{
    struct user_call call = user_call_of(req, "core.user.reset");
    struct identity *identity = call.identity;
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc)
        rc = make_password(&call, err);
    if (!rc)
        rc = store_write(identity->config.store, reset_fn, &call, err);
    if (!rc) {
        identity_forget(identity, 0, call.id);
        identity_changed(identity);
        rc = reply_json(reply, json_pack("{s:s}", "password", call.password), err);
    }
    explicit_bzero(call.password, sizeof call.password);
    return rc;
}

static enum err_code unlock_fn(struct tx *tx, void *arg, struct err *err)
{
    struct user_call *call = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct user user;
    enum err_code rc = user_find(tx, tx_arena(tx), call->who, "core.user.reset", call->id, &user, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_UNLOCK, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, call->id);
    rc = stmt_run(stmt, NULL, err);
    const struct act act = { .action = "unlock", .type = "core.user", .id = call->id, .name = user.login };
    return rc ? rc : identity_audit(call->identity, tx, call->req, &act, err);
}

/* POST /api/v1/core/users/{id}/unlock */
enum err_code users_unlock(struct request *req, struct reply *reply, struct err *err)
{
    struct user_call call = user_call_of(req, "core.user.reset");
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (!rc)
        rc = store_write(call.identity->config.store, unlock_fn, &call, err);
    if (!rc)
        reply_empty(reply);
    return rc;
}

/* ---- command line ---- */

static enum err_code dump_fn(struct tx *tx, void *arg, struct err *err)
{
    json_t *out = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    struct user user;
    json_array_clear(out);
    enum err_code rc = tx_prepare(tx, SQL_USER_COLUMNS "ORDER BY u.login", &stmt, err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row)
        (void)(user_read(tx_arena(tx), stmt, &user) &&
               !json_array_append_new(out, user_json(&user, tx_now_ms(tx))));
    return rc;
}

enum err_code identity_user_list(struct identity *identity, json_t **out, struct err *err)
{
    json_t *list = json_array();
    const enum err_code rc = store_read(identity->config.store, dump_fn, list, err);
    if (rc)
        json_decref(list);
    else
        *out = list;
    return rc;
}
