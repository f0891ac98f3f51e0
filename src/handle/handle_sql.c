/* handle_sql.c - reads of identity's and the entity layer's tables. */
#include "handle/handle_sql.h"

struct str user_name_sql(struct tx *tx, int64_t user, struct arena *arena)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    struct err err;
    if (tx_prepare(tx, "SELECT name, login FROM app_user WHERE id = ?1 AND active = 1", &stmt, &err))
        return STR("");
    stmt_bind_i64(stmt, 1, user);
    if (stmt_step(stmt, &row, &err) || !row)
        return STR("");
    const struct str name =
        arena_str(arena, stmt_text(stmt, 0).len ? stmt_text(stmt, 0) : stmt_text(stmt, 1));
    return name.ptr ? name : STR("");
}

int64_t user_by_login_sql(struct tx *tx, struct str login)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    struct err err;
    if (tx_prepare(tx, "SELECT id FROM app_user WHERE login = ?1 AND active = 1", &stmt, &err))
        return 0;
    stmt_bind_text(stmt, 1, login);
    return stmt_step(stmt, &row, &err) || !row ? 0 : stmt_i64(stmt, 0);
}

enum lang user_lang_sql(struct tx *tx, int64_t user)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    struct err err;
    if (tx_prepare(tx, "SELECT lang FROM app_user WHERE id = ?1", &stmt, &err))
        return LANG_ZH;
    stmt_bind_i64(stmt, 1, user);
    return stmt_step(stmt, &row, &err) || !row ? LANG_ZH : lang_from(stmt_text(stmt, 0));
}

int role_users_sql(struct tx *tx, struct str role, int64_t *out_users, int max)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct err err;
    int count = 0;
    if (tx_prepare(
            tx,
            "SELECT DISTINCT u.id FROM app_user u JOIN user_role g ON g.user_id = u.id JOIN role r ON r.id = "
            "g.role_id WHERE r.code = ?1 AND u.active = 1 ORDER BY u.id LIMIT ?2",
            &stmt, &err))
        return 0;
    stmt_bind_text(stmt, 1, role);
    stmt_bind_i64(stmt, 2, max);
    while (count < max) {
        bool row = false;
        if (stmt_step(stmt, &row, &err) || !row)
            break;
        out_users[count++] = stmt_i64(stmt, 0);
    }
    return count;
}

bool case_scope_sql(struct tx *tx, int64_t id, struct scope_row *out)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    struct err err;
    if (tx_prepare(
            tx,
            "SELECT c.org, o.path, c.grid, c.subject, r.starter_id, g.path FROM cases c JOIN case_run r ON "
            "r.id = "
            "c.id LEFT JOIN org o ON o.id = c.org LEFT JOIN grid_cell g ON g.id = c.grid WHERE c.id = ?1",
            &stmt, &err))
        return false;
    stmt_bind_i64(stmt, 1, id);
    if (stmt_step(stmt, &row, &err) || !row)
        return false;
    out->org_id = stmt_i64(stmt, 0);
    out->org_path = arena_str(tx_arena(tx), stmt_text(stmt, 1));
    out->grid_id = stmt_i64(stmt, 2);
    out->subject_id = stmt_i64(stmt, 3);
    out->owner_id = stmt_i64(stmt, 4);
    out->grid_path = arena_str(tx_arena(tx), stmt_text(stmt, 5));
    return out->org_path.ptr && out->grid_path.ptr;
}

enum err_code case_pins_sql(struct tx *tx, int64_t id, struct err *err)
{
    return tx_run(tx,
                  "UPDATE cases SET flow_version = (SELECT flow_version FROM case_run r WHERE r.id = "
                  "cases.id), sla_version = (SELECT sla_version FROM case_run r WHERE r.id = "
                  "cases.id), flow = (SELECT v.flow FROM case_run r JOIN flow_version v ON v.id = "
                  "r.flow_version WHERE r.id = cases.id) WHERE id = ?1",
                  BINDS(bind_i64(id)), NULL, err);
}
