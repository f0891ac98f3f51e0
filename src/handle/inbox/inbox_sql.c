/* inbox_sql.c - statements built for one reader: permission by permission, scope by scope.
 *
 * What is built are fixed pieces of SQL; every value is bound. */
#include "handle/inbox/inbox_sql.h"
#include "platform/entity/sql.h"

#define PERMISSIONS_MAX 200
#define COUNT_MAX 10000
#define NO_DUE INT64_C(4102444800000) /* 2100: after all that are due */
#define BY_DUE "CASE WHEN t.due_ms = 0 THEN 4102444800000 ELSE t.due_ms END"

/* A subtree by the range of its paths: [path, path with its last '/' made '0'). */
static void subtree(struct sql *sql, struct tx *tx, const char *column, const char *table, struct str path)
{
    struct str end = arena_str(tx_arena(tx), path);
    if (!end.ptr || !end.len) {
        sql_add(sql, "1 = 0");
        return;
    }
    ((char *)(uintptr_t)end.ptr)[end.len - 1]++;
    buf_printf(&sql->text, "%s IN (SELECT o.id FROM %s o WHERE o.path >= ", column, table);
    sql_text_again(sql, path);
    sql_add(sql, " AND o.path < ");
    sql_text_again(sql, end);
    sql_add(sql, ")");
}

/* (scope OR scope ...) over the case `c` and its run `r`; "1 = 1" when a scope has no limit. */
static void scopes(struct sql *sql, struct tx *tx, const struct principal *who, struct str permission)
{
    const struct scope *scope;
    bool any = false;
    if (who->kind == PRINCIPAL_SYSTEM || principal_may_all(who, permission)) {
        sql_add(sql, "1 = 1");
        return;
    }
    sql_add(sql, "(");
    for (int at = 0; principal_scope(who, permission, &at, &scope);) {
        sql_add(sql, any ? " OR (1 = 1" : "(1 = 1");
        any = true;
        if (scope->org_id) {
            sql_add(sql, " AND ");
            subtree(sql, tx, "c.org", "org", scope->org_path);
        }
        if (scope->grid_id) {
            sql_add(sql, " AND ");
            subtree(sql, tx, "c.grid", "grid_cell", scope->grid_path);
        }
        if (scope->subjects) {
            sql_add(sql, " AND c.subject IN (0");
            for (int i = 0; i < scope->subject_count; i++) {
                sql_add(sql, ", ");
                sql_i64(sql, scope->subjects[i]);
            }
            sql_add(sql, ")");
        }
        if (scope->own) {
            sql_add(sql, " AND r.starter_id = ");
            sql_i64(sql, who->user_id);
        }
        sql_add(sql, ")");
    }
    sql_add(sql, any ? ")" : "1 = 0)");
}

/* Each text of an indexed column once: one step of the index each. `sql` gives the least above ?1. */
static enum err_code distinct(struct tx *tx, const char *sql, struct str out[PERMISSIONS_MAX], int *out_count,
                              struct err *err)
{
    struct str last = STR("");
    int count = 0;
    for (;;) {
        AUTO(stmt_free_auto) struct stmt *stmt = NULL;
        bool row = false;
        const enum err_code rc = tx_query_row(tx, sql, BINDS(bind_text(last)), &stmt, &row, err);
        if (rc)
            return rc;
        if (!row || stmt_is_null(stmt, 0) || count == PERMISSIONS_MAX)
            break;
        last = arena_str(tx_arena(tx), stmt_text(stmt, 0));
        if (!last.ptr)
            return err_nomem(err);
        out[count++] = last;
    }
    *out_count = count;
    return ERR_OK;
}

/* (c.type = ? AND scopes) OR ... for the permission `type.read`. */
static enum err_code readable(struct sql *sql, struct tx *tx, const struct principal *who, struct err *err)
{
    struct str types[PERMISSIONS_MAX];
    int count = 0;
    const enum err_code rc = distinct(tx, "SELECT MIN(type) FROM cases WHERE type > ?1", types, &count, err);
    if (rc)
        return rc;
    sql_add(sql, "(1 = 0");
    for (int i = 0; i < count; i++) {
        const struct str permission = arena_printf(tx_arena(tx), "%.*s.read", STR_ARG(types[i]));
        if (!permission.ptr)
            return err_nomem(err);
        if (who->kind != PRINCIPAL_SYSTEM && !principal_may(who, permission))
            continue;
        sql_add(sql, " OR (c.type = ");
        sql_text(sql, types[i]);
        sql_add(sql, " AND ");
        scopes(sql, tx, who, permission);
        sql_add(sql, ")");
    }
    sql_add(sql, ")");
    return ERR_OK;
}

static enum err_code where(struct sql *sql, struct tx *tx, const struct inbox_query *query, struct err *err)
{
    sql_add(sql, " WHERE t.state = ");
    sql_text(sql, str_from(task_state_name(query->state)));
    if (!query->mine) {
        sql_add(sql, " AND ");
        return readable(sql, tx, query->who, err);
    }
    sql_add(sql, " AND (t.assignee = ");
    sql_i64(sql, query->who->user_id);
    if (query->state == TASK_OPEN) {
        struct str list[PERMISSIONS_MAX];
        int count = 0;
        const enum err_code rc =
            distinct(tx, "SELECT MIN(may) FROM task WHERE state = 'open' AND may > ?1", list, &count, err);
        if (rc)
            return rc;
        sql_add(sql, " OR (t.assignee = 0 AND (EXISTS (SELECT 1 FROM task_user u WHERE u.task_id = t.id AND "
                     "u.user_id = ");
        sql_i64(sql, query->who->user_id);
        sql_add(sql, ")");
        for (int i = 0; i < count; i++) {
            if (!principal_may(query->who, list[i]))
                continue;
            sql_add(sql, " OR (t.may = ");
            sql_text(sql, list[i]);
            sql_add(sql, " AND ");
            scopes(sql, tx, query->who, list[i]);
            sql_add(sql, ")");
        }
        sql_add(sql, "))");
    }
    sql_add(sql, ")");
    return ERR_OK;
}

static enum err_code prepare(struct sql *sql, struct tx *tx, struct stmt **out, struct err *err)
{
    return sql->full ? err_set(err, ERR_LIMIT, "inbox.too_many_scopes", ARG_END)
                     : sql_prepare(sql, tx, out, err);
}

enum err_code inbox_list(struct tx *tx, const struct inbox_query *query, struct inbox_item *out,
                         int *out_count, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const bool open = query->state == TASK_OPEN;
    int count = 0;
    enum err_code rc;
    if (!sql)
        return err_nomem(err);
    buf_printf(
        &sql->text,
        "SELECT t.id, t.case_id, t.token, t.node, t.name, t.may, t.assignee, t.assignee_name, t.opened_ms, "
        "t.due_ms, t.done_ms, t.action, c.type, c.number, c.title, c.state, r.level, r.service, %s, s.name "
        "FROM task t JOIN cases c ON c.id = t.case_id JOIN case_run r ON r.id = t.case_id LEFT JOIN subject "
        "s "
        "ON s.id = CAST(CASE WHEN r.service = '' THEN '0' ELSE r.service END AS {i64})",
        open ? BY_DUE : "t.done_ms");
    rc = where(sql, tx, query, err);
    if (!rc && (query->after_due || query->after_id)) {
        const char *order = open ? BY_DUE : "t.done_ms";
        buf_printf(&sql->text, " AND (%s %s ", order, open ? ">" : "<");
        sql_i64(sql, query->after_due);
        buf_printf(&sql->text, " OR (%s = ", order);
        sql_i64(sql, query->after_due);
        buf_printf(&sql->text, " AND t.id %s ", open ? ">" : "<");
        sql_i64(sql, query->after_id);
        sql_add(sql, "))");
    }
    if (!rc) {
        buf_printf(&sql->text, " ORDER BY %s LIMIT ", open ? BY_DUE ", t.id" : "t.done_ms DESC, t.id DESC");
        sql_i64(sql, query->limit);
        rc = prepare(sql, tx, &stmt, err);
    }
    while (!rc && count < query->limit) {
        struct inbox_item *row = &out[count];
        bool more = false;
        rc = stmt_step(stmt, &more, err);
        if (rc || !more)
            break;
        *row = (struct inbox_item) {
            .task = { .id = stmt_i64(stmt, 0),
                      .case_id = stmt_i64(stmt, 1),
                      .token = stmt_i64(stmt, 2),
                      .node = stmt_keep(stmt, 3),
                      .name = stmt_keep(stmt, 4),
                      .state = query->state,
                      .may = stmt_keep(stmt, 5),
                      .assignee = stmt_i64(stmt, 6),
                      .assignee_name = stmt_keep(stmt, 7),
                      .opened_ms = stmt_i64(stmt, 8),
                      .due_ms = stmt_i64(stmt, 9),
                      .done_ms = stmt_i64(stmt, 10),
                      .action = stmt_keep(stmt, 11) },
            .type = stmt_keep(stmt, 12),
            .number = stmt_keep(stmt, 13),
            .title = stmt_keep(stmt, 14),
            .case_state = stmt_keep(stmt, 15),
            .level = stmt_keep(stmt, 16),
            .order = stmt_i64(stmt, 18),
            .service_name = stmt_keep(stmt, 19),
        };
        row->claimable = query->mine && open && !row->task.assignee;
        count++;
    }
    if (!rc)
        *out_count = count;
    return rc;
}

enum err_code inbox_count(struct tx *tx, const struct inbox_query *query, int64_t *out_count, bool *out_exact,
                          struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc;
    if (!sql)
        return err_nomem(err);
    sql_add(sql,
            "SELECT COUNT(*) FROM (SELECT t.id FROM task t JOIN cases c ON c.id = t.case_id JOIN case_run r "
            "ON r.id = t.case_id");
    rc = where(sql, tx, query, err);
    if (!rc) {
        sql_add(sql, " LIMIT ");
        sql_i64(sql, COUNT_MAX + 1);
        sql_add(sql, ") q");
        rc = prepare(sql, tx, &stmt, err);
    }
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc) {
        *out_exact = stmt_i64(stmt, 0) <= COUNT_MAX;
        *out_count = *out_exact ? stmt_i64(stmt, 0) : COUNT_MAX;
    }
    return rc;
}

enum err_code inbox_due(struct tx *tx, const struct due_query *query, struct due_row *out, int *out_count,
                        struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    int count = 0;
    enum err_code rc;
    if (!sql)
        return err_nomem(err);
    buf_text(
        &sql->text,
        "SELECT k.case_id, k.due_ms, k.clock, k.state, c.type, c.number, c.title, c.state, r.level, s.name, "
        "k.warn_ms, k.limit_ms FROM case_clock k JOIN cases c ON c.id = k.case_id JOIN case_run r ON r.id = "
        "k.case_id LEFT "
        "JOIN subject s ON s.id = CAST(CASE WHEN r.service = '' THEN '0' ELSE r.service END AS {i64}) "
        "WHERE k.state IN ('running', 'breached') AND k.due_ms >= ");
    sql_i64(sql, query->from_ms > 1 ? query->from_ms : 1);
    sql_add(sql, " AND k.due_ms < ");
    sql_i64(sql, query->to_ms < NO_DUE ? query->to_ms : NO_DUE);
    sql_add(sql, " AND ");
    rc = readable(sql, tx, query->who, err);
    if (!rc) {
        sql_add(sql, query->backwards ? " ORDER BY k.due_ms DESC, k.case_id DESC LIMIT "
                                      : " ORDER BY k.due_ms, k.case_id LIMIT ");
        sql_i64(sql, query->limit);
        rc = prepare(sql, tx, &stmt, err);
    }
    while (!rc && count < query->limit) {
        bool more = false;
        rc = stmt_step(stmt, &more, err);
        if (rc || !more)
            break;
        out[count++] = (struct due_row) {
            .warn_ms = stmt_i64(stmt, 10),
            .limit_ms = stmt_i64(stmt, 11),
            .case_id = stmt_i64(stmt, 0),
            .due_ms = stmt_i64(stmt, 1),
            .clock = stmt_keep(stmt, 2),
            .clock_state = stmt_keep(stmt, 3),
            .type = stmt_keep(stmt, 4),
            .number = stmt_keep(stmt, 5),
            .title = stmt_keep(stmt, 6),
            .case_state = stmt_keep(stmt, 7),
            .level = stmt_keep(stmt, 8),
            .service_name = stmt_keep(stmt, 9),
        };
    }
    if (!rc)
        *out_count = count;
    return rc;
}
