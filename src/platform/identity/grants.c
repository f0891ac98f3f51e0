/* grants.c - what users are granted: roles, each in a scope.
 *
 * Invariants: a grant is only written when the giver holds every permission of its role in a scope that
 * covers it; the last user who holds everything cannot be stripped. */
#include "platform/identity/identity_sql.h"
#include "platform/identity/people.h"

#include <inttypes.h>
#include <stdio.h>

enum err_code grant_add(struct tx *tx, const struct user_call *call, const struct given *given,
                        struct err *err)
{
    return tx_run(tx, SQL_USER_ROLE_ADD,
                  BINDS(bind_i64(ids_next(call->identity->config.ids)), bind_i64(call->id),
                        bind_i64(given->role_id), bind_i64(given->scope.all), bind_i64(given->scope.org_id),
                        bind_i64(given->scope.grid_id), bind_text(given->scope.grid_path),
                        bind_i64(given->scope.own), bind_text(given->subjects), bind_i64(tx_now_ms(tx)),
                        bind_i64(call->who->user_id)),
                  NULL, err);
}

/* Does the giver hold every permission of the role in a scope that covers this one? */
enum err_code grant_may_give(struct tx *tx, const struct principal *who, const struct given *given,
                             struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    enum err_code rc = tx_query(tx, SQL_ROLE_PERMISSIONS, BINDS(bind_i64(given->role_id)), &stmt, err);
    if (rc)
        return rc;
    while (!(rc = stmt_step(stmt, &row, err)) && row)
        if (!principal_may_grant(who, stmt_text(stmt, 0), &given->scope))
            return err_set(err, ERR_FORBIDDEN, "identity.grant_more",
                           ARG_STR("permission", stmt_text(stmt, 0)), ARG_END);
    return rc;
}

enum err_code users_keep_admin(struct tx *tx, struct err *err)
{
    int64_t left = 0;
    const enum err_code rc = tx_query_i64(tx, SQL_ADMINS, &left, err);
    if (!rc && !left)
        return err_set(err, ERR_CONFLICT, "identity.last_admin", ARG_END);
    return rc;
}

static json_t *subjects_json(struct str text)
{
    json_t *list = json_array();
    struct str part;
    while (text.len && str_cut(&text, ',', &part))
        (void)json_array_append_new(list, json_str(part));
    return list;
}

static enum err_code read_grants(struct tx *tx, int64_t user_id, json_t *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    enum err_code rc = tx_query(tx, SQL_USER_ROLES, BINDS(bind_i64(user_id)), &stmt, err);
    if (rc)
        return rc;
    while (!(rc = stmt_step(stmt, &row, err)) && row)
        (void)json_array_append_new(
            out, json_pack("{s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:b,s:o}", "id", json_id(stmt_i64(stmt, 0)),
                           "role", json_id(stmt_i64(stmt, 1)), "role_code", json_str(stmt_text(stmt, 2)),
                           "role_name", json_str(stmt_text(stmt, 3)), "all", stmt_i64(stmt, 4) != 0, "org",
                           json_id(stmt_i64(stmt, 5)), "org_name", json_str(stmt_text(stmt, 7)), "grid",
                           json_id(stmt_i64(stmt, 8)), "grid_name", json_str(stmt_text(stmt, 12)), "own",
                           stmt_i64(stmt, 10) != 0, "subjects", subjects_json(stmt_text(stmt, 11))));
    return rc;
}

/* What the user holds now must be no more than what the caller holds. */
enum err_code user_may_touch(struct tx *tx, const struct user_call *call, const struct user *user,
                             struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    if (user->id == call->who->user_id || principal_may_all(call->who, STR("*")))
        return ERR_OK;
    enum err_code rc = tx_query(tx, SQL_USER_ROLES, BINDS(bind_i64(user->id)), &stmt, err);
    if (rc)
        return rc;
    while (!(rc = stmt_step(stmt, &row, err)) && row) {
        struct given given = { .role_id = stmt_i64(stmt, 1),
                               .scope = { .all = stmt_i64(stmt, 4) != 0,
                                          .org_id = stmt_i64(stmt, 5),
                                          .org_path = arena_str(tx_arena(tx), stmt_text(stmt, 6)),
                                          .grid_id = stmt_i64(stmt, 8),
                                          .grid_path = arena_str(tx_arena(tx), stmt_text(stmt, 9)),
                                          .own = false } };
        if (given.scope.org_id == 0 && !given.scope.all && !given.scope.grid_id)
            given.scope.own = stmt_i64(stmt, 10) != 0;
        if (given.scope.own || stmt_text(stmt, 11).len)
            continue; /* single rows: their administrator is whoever has the organisation */
        rc = grant_may_give(tx, call->who, &given, err);
        if (rc == ERR_FORBIDDEN)
            return err_set(err, ERR_FORBIDDEN, "identity.holds_more", ARG_STR("name", user->name), ARG_END);
        if (rc)
            return rc;
    }
    return rc;
}

static enum err_code grants_fn(struct tx *tx, void *arg, struct err *err)
{
    struct user_call *call = arg;
    struct user user;
    json_array_clear(call->grants);
    const enum err_code rc =
        user_find(tx, call->req->arena, call->who, "core.user.read", call->id, &user, err);
    call->user = user;
    return rc ? rc : read_grants(tx, call->id, call->grants, err);
}

/* GET /api/v1/core/users/{id}/grants */
enum err_code users_grants(struct request *req, struct reply *reply, struct err *err)
{
    struct user_call call = user_call_of(req, "core.user.read");
    enum err_code rc = request_path_id(req, "id", &call.id, err);
    if (rc)
        return rc;
    call.grants = json_array();
    rc = store_read(call.identity->config.store, grants_fn, &call, err);
    if (!rc) {
        reply_version(reply, call.user.version);
        rc = reply_json(reply, json_pack("{s:O}", "items", call.grants), err);
    }
    json_decref(call.grants);
    return rc;
}

struct put {
    struct user_call call; /* first */
    struct given given[GRANTS_MAX];
    int count;
};

static enum err_code fill_grid(struct tx *tx, struct given *given, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc =
        tx_query_row(tx, SQL_GRID_PATH, BINDS(bind_i64(given->scope.grid_id)), &stmt, &row, err);
    if (!rc && !row)
        return err_set(err, ERR_INVALID, "identity.no_grid", ARG_INT("id", given->scope.grid_id), ARG_END);
    if (!rc)
        given->scope.grid_path = arena_str(tx_arena(tx), stmt_text(stmt, 0));
    return rc || given->scope.grid_path.ptr ? rc : err_nomem(err);
}

static enum err_code fill_scope(struct tx *tx, struct given *given, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *role = NULL;
    AUTO(stmt_free_auto) struct stmt *org = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_ROLE_GET, BINDS(bind_i64(given->role_id)), &role, &row, err);
    if (!rc && !row)
        rc = err_set(err, ERR_INVALID, "identity.no_role", ARG_INT("id", given->role_id), ARG_END);
    if (!rc && given->scope.grid_id)
        rc = fill_grid(tx, given, err);
    if (rc || !given->scope.org_id)
        return rc;
    rc = tx_prepare(tx, SQL_ORG_GET, &org, err);
    if (rc)
        return rc;
    stmt_bind_i64(org, 1, given->scope.org_id);
    rc = stmt_step(org, &row, err);
    if (!rc && !row)
        return err_set(err, ERR_INVALID, "identity.no_org", ARG_INT("id", given->scope.org_id), ARG_END);
    if (!rc)
        given->scope.org_path = arena_str(tx_arena(tx), stmt_text(org, 2));
    return rc;
}

static enum err_code put_fn(struct tx *tx, void *arg, struct err *err)
{
    struct put *put = arg;
    struct user_call *call = &put->call;
    struct user user;
    json_t *before = json_array(), *after = json_array();
    enum err_code rc = user_find(tx, tx_arena(tx), call->who, "core.user.grant", call->id, &user, err);
    if (!rc)
        rc = request_check_version(call->req, call->version, user.version, err);
    if (!rc)
        rc = user_may_touch(tx, call, &user, err);
    if (!rc)
        rc = read_grants(tx, call->id, before, err);
    if (!rc)
        rc = tx_run(tx, SQL_USER_ROLES_DROP, BINDS(bind_i64(call->id)), NULL, err);
    for (int i = 0; i < put->count && !rc; i++) {
        struct given given = put->given[i];
        rc = fill_scope(tx, &given, err);
        if (!rc)
            rc = grant_may_give(tx, call->who, &given, err);
        if (!rc)
            rc = grant_add(tx, call, &given, err);
    }
    if (!rc)
        rc = users_keep_admin(tx, err);
    if (!rc)
        rc = tx_run(tx, SQL_USER_TOUCH,
                    BINDS(bind_i64(call->id), bind_i64(tx_now_ms(tx)), bind_i64(call->who->user_id)), NULL,
                    err);
    if (!rc)
        rc = read_grants(tx, call->id, after, err);
    const struct act act = { .action = "grant",
                             .type = "core.user",
                             .id = call->id,
                             .name = rc ? STR("") : user.login,
                             .before = json_text(tx_arena(tx), before),
                             .after = json_text(tx_arena(tx), after) };
    return rc ? rc : identity_audit(call->identity, tx, call->req, &act, err);
}

struct grant_body {
    int64_t role, org, grid;
    bool all, own;
    json_t *subjects;
};

static enum err_code read_subjects(struct request *req, const struct grant_body *body, struct given *given,
                                   struct err *err)
{
    struct buf text;
    size_t i;
    json_t *one;
    int64_t id;
    if (!body->subjects || json_is_null(body->subjects) || !json_array_size(body->subjects))
        return ERR_OK;
    buf_init(&text, 65536);
    json_array_foreach(body->subjects, i, one)
    {
        const struct str value = json_to_str(one);
        if (!json_is_string(one) || !str_i64(value, &id) || id <= 0) {
            buf_done(&text);
            (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "id"), ARG_END);
            return err_pointer(err, STR("/subjects"));
        }
        buf_printf(&text, "%s%" PRId64, i ? "," : "", id);
    }
    given->subjects = text.failed ? (struct str) { 0 } : arena_str(req->arena, buf_get(&text));
    buf_done(&text);
    given->scope.subject_count = (int)json_array_size(body->subjects);
    int64_t *ids = arena_alloc(req->arena, (size_t)given->scope.subject_count, sizeof *ids);
    if (!ids || !given->subjects.ptr)
        return err_nomem(err);
    for (int k = 0; k < given->scope.subject_count; k++)
        (void)str_i64(str_from(json_string_value(json_array_get(body->subjects, (size_t)k))), &ids[k]);
    given->scope.subjects = ids;
    return ERR_OK;
}

static enum err_code read_body(struct put *put, struct request *req, struct err *err)
{
    static const struct field fields[] = {
        { "role", FIELD_ID, true, 0, 0, offsetof(struct grant_body, role), 0 },
        { "all", FIELD_BOOL, false, 0, 0, offsetof(struct grant_body, all), 0 },
        { "org", FIELD_ID, false, 0, 0, offsetof(struct grant_body, org), 0 },
        { "grid", FIELD_ID, false, 0, 0, offsetof(struct grant_body, grid), 0 },
        { "own", FIELD_BOOL, false, 0, 0, offsetof(struct grant_body, own), 0 },
        { "subjects", FIELD_JSON, false, 0, 0, offsetof(struct grant_body, subjects), 0 },
        { 0 },
    };
    json_t *json = NULL, *items;
    enum err_code rc = request_json(req, &json, err);
    if (rc)
        return rc;
    items = json_object_get(json, "items");
    if (!json_is_array(items) || json_object_size(json) != 1)
        return err_set(err, ERR_INVALID, "http.field_missing", ARG_TEXT("name", "items"), ARG_END);
    if (json_array_size(items) > GRANTS_MAX)
        return err_set(err, ERR_LIMIT, "identity.grants_max", ARG_INT("max", GRANTS_MAX), ARG_END);
    for (size_t i = 0; i < json_array_size(items) && !rc; i++) {
        struct grant_body body = { 0 };
        char pointer[32];
        (void)snprintf(pointer, sizeof pointer, "/items/%zu", i);
        rc = request_fields_of(req, json_array_get(items, i), pointer, fields, &body, err);
        struct given *given = &put->given[put->count++];
        *given = (struct given) {
            .role_id = body.role,
            .scope = { .all = body.all, .org_id = body.org, .grid_id = body.grid, .own = body.own }
        };
        if (!rc)
            rc = read_subjects(req, &body, given, err);
        const bool limited = body.org || body.grid || body.own || given->scope.subjects;
        if (!rc && body.all == limited) { /* neither, or both */
            (void)err_set(err, ERR_INVALID, "identity.grant_scope", ARG_END);
            rc = err_pointer(err, str_from(pointer));
        }
    }
    return rc;
}

/* PUT /api/v1/core/users/{id}/grants {items:[{role, all | org, grid, own, subjects}]} */
enum err_code users_grants_put(struct request *req, struct reply *reply, struct err *err)
{
    struct put *put = arena_alloc(req->arena, 1, sizeof *put);
    if (!put)
        return err_nomem(err);
    put->call = user_call_of(req, "core.user.read");
    struct identity *identity = put->call.identity;
    enum err_code rc = request_path_id(req, "id", &put->call.id, err);
    if (!rc)
        rc = request_if_match(req, &put->call.version, err);
    if (!rc)
        rc = read_body(put, req, err);
    if (!rc)
        rc = store_write(identity->config.store, put_fn, put, err);
    if (rc)
        return rc;
    identity_changed(identity);
    return users_grants(req, reply, err);
}
