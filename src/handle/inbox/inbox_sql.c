/* inbox_sql.c - statements built for one reader: permission by permission, scope by scope.
 *
 * What is built are fixed pieces of SQL; every value is bound. */
#include "handle/inbox/inbox_sql.h"

#define SQL_MAX ((size_t)200 << 10)
#define ARGS_MAX 900
#define PERMISSIONS_MAX 200
#define COUNT_MAX 10000
#define NO_DUE INT64_C(4102444800000) /* 2100: after all that are due */

struct arg {
    bool is_text;
    int64_t number;
    struct str text;
};
struct build {
    struct buf sql;
    struct arg args[ARGS_MAX];
    int count;
    bool full;
};

static void bind_i64(struct build *b, int64_t number)
{
    if (b->count == ARGS_MAX) {
        b->full = true;
        return;
    }
    b->args[b->count++] = (struct arg) { .number = number };
    buf_printf(&b->sql, "?%d", b->count);
}

static void bind_text(struct build *b, struct str text)
{
    if (b->count == ARGS_MAX) {
        b->full = true;
        return;
    }
    b->args[b->count++] = (struct arg) { .is_text = true, .text = text };
    buf_printf(&b->sql, "?%d", b->count);
}

static enum err_code build_prepare(struct build *b, struct tx *tx, struct stmt **out, struct err *err)
{
    enum err_code rc = buf_check(&b->sql, err);
    if (!rc && b->full)
        rc = err_set(err, ERR_LIMIT, "inbox.too_many_scopes", ARG_END);
    if (!rc)
        rc = tx_prepare(tx, b->sql.ptr, out, err);
    for (int i = 0; !rc && i < b->count; i++) {
        if (b->args[i].is_text)
            stmt_bind_text(*out, i + 1, b->args[i].text);
        else
            stmt_bind_i64(*out, i + 1, b->args[i].number);
    }
    return rc;
}

/* A subtree by the range of its paths: [path, path with its last '/' made '0'). */
static void subtree(struct build *b, struct tx *tx, const char *column, const char *table, struct str path)
{
    struct str end = arena_str(tx_arena(tx), path);
    if (!end.ptr || !end.len) {
        buf_text(&b->sql, "1 = 0");
        return;
    }
    ((char *)(uintptr_t)end.ptr)[end.len - 1]++;
    buf_printf(&b->sql, "%s IN (SELECT o.id FROM %s o WHERE o.path >= ", column, table);
    bind_text(b, path);
    buf_text(&b->sql, " AND o.path < ");
    bind_text(b, end);
    buf_text(&b->sql, ")");
}

/* (scope OR scope ...) over the case `c` and its run `r`; "1 = 1" when a scope has no limit. */
static void scopes(struct build *b, struct tx *tx, const struct principal *who, struct str permission)
{
    const struct scope *scope;
    bool any = false;
    if (who->kind == PRINCIPAL_SYSTEM || principal_may_all(who, permission)) {
        buf_text(&b->sql, "1 = 1");
        return;
    }
    buf_text(&b->sql, "(");
    for (int at = 0; principal_scope(who, permission, &at, &scope);) {
        buf_text(&b->sql, any ? " OR (1 = 1" : "(1 = 1");
        any = true;
        if (scope->org_id) {
            buf_text(&b->sql, " AND ");
            subtree(b, tx, "c.org", "org", scope->org_path);
        }
        if (scope->grid_id) {
            buf_text(&b->sql, " AND ");
            subtree(b, tx, "c.grid", "grid_cell", scope->grid_path);
        }
        if (scope->subjects) {
            buf_text(&b->sql, " AND c.subject IN (0");
            for (int i = 0; i < scope->subject_count; i++) {
                buf_text(&b->sql, ", ");
                bind_i64(b, scope->subjects[i]);
            }
            buf_text(&b->sql, ")");
        }
        if (scope->own) {
            buf_text(&b->sql, " AND r.starter_id = ");
            bind_i64(b, who->user_id);
        }
        buf_text(&b->sql, ")");
    }
    buf_text(&b->sql, any ? ")" : "1 = 0)");
}

/* The permissions that open tasks ask for: one step of the index each. */
static enum err_code permissions(struct tx *tx, struct str out[PERMISSIONS_MAX], int *out_count,
                                 struct err *err)
{
    struct str last = STR("");
    int count = 0;
    for (;;) {
        AUTO(stmt_free_auto) struct stmt *stmt = NULL;
        bool row = false;
        enum err_code rc =
            tx_prepare(tx, "SELECT MIN(may) FROM task WHERE state = 'open' AND may > ?1", &stmt, err);
        if (rc)
            return rc;
        stmt_bind_text(stmt, 1, last);
        rc = stmt_step(stmt, &row, err);
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

/* The types of cases there are, likewise. */
static enum err_code case_types(struct tx *tx, struct str out[PERMISSIONS_MAX], int *out_count,
                                struct err *err)
{
    struct str last = STR("");
    int count = 0;
    for (;;) {
        AUTO(stmt_free_auto) struct stmt *stmt = NULL;
        bool row = false;
        enum err_code rc = tx_prepare(tx, "SELECT MIN(type) FROM cases WHERE type > ?1", &stmt, err);
        if (rc)
            return rc;
        stmt_bind_text(stmt, 1, last);
        rc = stmt_step(stmt, &row, err);
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
static enum err_code readable(struct build *b, struct tx *tx, const struct principal *who, struct err *err)
{
    struct str types[PERMISSIONS_MAX];
    int count = 0;
    const enum err_code rc = case_types(tx, types, &count, err);
    if (rc)
        return rc;
    buf_text(&b->sql, "(1 = 0");
    for (int i = 0; i < count; i++) {
        const struct str permission = arena_printf(tx_arena(tx), "%.*s.read", STR_ARG(types[i]));
        if (!permission.ptr)
            return err_nomem(err);
        if (who->kind != PRINCIPAL_SYSTEM && !principal_may(who, permission))
            continue;
        buf_text(&b->sql, " OR (c.type = ");
        bind_text(b, types[i]);
        buf_text(&b->sql, " AND ");
        scopes(b, tx, who, permission);
        buf_text(&b->sql, ")");
    }
    buf_text(&b->sql, ")");
    return ERR_OK;
}

static enum err_code where(struct build *b, struct tx *tx, const struct inbox_query *query, struct err *err)
{
    struct str list[PERMISSIONS_MAX];
    int count = 0;
    enum err_code rc = permissions(tx, list, &count, err);
    if (rc)
        return rc;
    buf_text(&b->sql, " WHERE t.state = ");
    bind_text(b, str_from(task_state_name(query->state)));
    if (!query->mine) {
        buf_text(&b->sql, " AND ");
        return readable(b, tx, query->who, err);
    }
    buf_text(&b->sql, " AND (t.assignee = ");
    bind_i64(b, query->who->user_id);
    if (query->state == TASK_OPEN) {
        buf_text(&b->sql,
                 " OR (t.assignee = 0 AND (EXISTS (SELECT 1 FROM task_user u WHERE u.task_id = t.id AND "
                 "u.user_id = ");
        bind_i64(b, query->who->user_id);
        buf_text(&b->sql, ")");
        for (int i = 0; i < count; i++) {
            if (!principal_may(query->who, list[i]))
                continue;
            buf_text(&b->sql, " OR (t.may = ");
            bind_text(b, list[i]);
            buf_text(&b->sql, " AND ");
            scopes(b, tx, query->who, list[i]);
            buf_text(&b->sql, ")");
        }
        buf_text(&b->sql, "))");
    }
    buf_text(&b->sql, ")");
    return ERR_OK;
}

static struct str kept(struct tx *tx, struct stmt *stmt, int column)
{
    const struct str text = stmt_text(stmt, column);
    const struct str copy = text.len ? arena_str(tx_arena(tx), text) : STR("");
    return copy.ptr ? copy : STR("");
}

enum err_code inbox_list(struct tx *tx, const struct inbox_query *query, struct inbox_item *out,
                         int *out_count, struct err *err)
{
    struct build *b = arena_alloc(tx_arena(tx), 1, sizeof(*b));
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const bool open = query->state == TASK_OPEN;
    int count = 0;
    enum err_code rc;
    if (!b)
        return err_nomem(err);
    buf_init(&b->sql, SQL_MAX);
    buf_printf(
        &b->sql,
        "SELECT t.id, t.case_id, t.token, t.node, t.name, t.may, t.assignee, t.assignee_name, t.opened_ms, "
        "t.due_ms, t.done_ms, t.action, c.type, c.number, c.title, c.state, r.level, r.service, %s, s.name "
        "FROM task t JOIN cases c ON c.id = t.case_id JOIN case_run r ON r.id = t.case_id LEFT JOIN subject "
        "s "
        "ON s.id = CAST(CASE WHEN r.service = '' THEN '0' ELSE r.service END AS {i64})",
        open ? "CASE WHEN t.due_ms = 0 THEN 4102444800000 ELSE t.due_ms END" : "t.done_ms");
    rc = where(b, tx, query, err);
    if (!rc && (query->after_due || query->after_id)) {
        const char *order =
            open ? "CASE WHEN t.due_ms = 0 THEN 4102444800000 ELSE t.due_ms END" : "t.done_ms";
        buf_printf(&b->sql, " AND (%s %s ", order, open ? ">" : "<");
        bind_i64(b, query->after_due);
        buf_printf(&b->sql, " OR (%s = ", order);
        bind_i64(b, query->after_due);
        buf_printf(&b->sql, " AND t.id %s ", open ? ">" : "<");
        bind_i64(b, query->after_id);
        buf_text(&b->sql, "))");
    }
    if (!rc) {
        buf_printf(&b->sql, " ORDER BY %s LIMIT ",
                   open ? "CASE WHEN t.due_ms = 0 THEN 4102444800000 ELSE t.due_ms END, t.id"
                        : "t.done_ms DESC, t.id DESC");
        bind_i64(b, query->limit);
        rc = build_prepare(b, tx, &stmt, err);
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
                      .node = kept(tx, stmt, 3),
                      .name = kept(tx, stmt, 4),
                      .state = query->state,
                      .may = kept(tx, stmt, 5),
                      .assignee = stmt_i64(stmt, 6),
                      .assignee_name = kept(tx, stmt, 7),
                      .opened_ms = stmt_i64(stmt, 8),
                      .due_ms = stmt_i64(stmt, 9),
                      .done_ms = stmt_i64(stmt, 10),
                      .action = kept(tx, stmt, 11) },
            .type = kept(tx, stmt, 12),
            .number = kept(tx, stmt, 13),
            .title = kept(tx, stmt, 14),
            .case_state = kept(tx, stmt, 15),
            .level = kept(tx, stmt, 16),
            .order = stmt_i64(stmt, 18),
            .service_name = kept(tx, stmt, 19),
        };
        row->claimable = query->mine && open && !row->task.assignee;
        count++;
    }
    buf_done(&b->sql);
    if (!rc)
        *out_count = count;
    return rc;
}

enum err_code inbox_count(struct tx *tx, const struct inbox_query *query, int64_t *out_count, bool *out_exact,
                          struct err *err)
{
    struct build *b = arena_alloc(tx_arena(tx), 1, sizeof(*b));
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc;
    if (!b)
        return err_nomem(err);
    buf_init(&b->sql, SQL_MAX);
    buf_text(&b->sql,
             "SELECT COUNT(*) FROM (SELECT t.id FROM task t JOIN cases c ON c.id = t.case_id JOIN case_run r "
             "ON r.id = t.case_id");
    rc = where(b, tx, query, err);
    if (!rc) {
        buf_text(&b->sql, " LIMIT ");
        bind_i64(b, COUNT_MAX + 1);
        buf_text(&b->sql, ") q");
        rc = build_prepare(b, tx, &stmt, err);
    }
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc) {
        *out_exact = stmt_i64(stmt, 0) <= COUNT_MAX;
        *out_count = *out_exact ? stmt_i64(stmt, 0) : COUNT_MAX;
    }
    buf_done(&b->sql);
    return rc;
}

enum err_code inbox_due(struct tx *tx, const struct due_query *query, struct due_row *out, int *out_count,
                        struct err *err)
{
    struct build *b = arena_alloc(tx_arena(tx), 1, sizeof(*b));
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    int count = 0;
    enum err_code rc;
    if (!b)
        return err_nomem(err);
    buf_init(&b->sql, SQL_MAX);
    buf_text(
        &b->sql,
        "SELECT k.case_id, k.due_ms, k.clock, k.state, c.type, c.number, c.title, c.state, r.level, s.name, "
        "k.warn_ms, k.limit_ms FROM case_clock k JOIN cases c ON c.id = k.case_id JOIN case_run r ON r.id = "
        "k.case_id LEFT "
        "JOIN subject s ON s.id = CAST(CASE WHEN r.service = '' THEN '0' ELSE r.service END AS {i64}) "
        "WHERE k.state IN ('running', 'breached') AND k.due_ms >= ");
    bind_i64(b, query->from_ms > 1 ? query->from_ms : 1);
    buf_text(&b->sql, " AND k.due_ms < ");
    bind_i64(b, query->to_ms < NO_DUE ? query->to_ms : NO_DUE);
    buf_text(&b->sql, " AND ");
    rc = readable(b, tx, query->who, err);
    if (!rc) {
        buf_text(&b->sql, query->backwards ? " ORDER BY k.due_ms DESC, k.case_id DESC LIMIT "
                                           : " ORDER BY k.due_ms, k.case_id LIMIT ");
        bind_i64(b, query->limit);
        rc = build_prepare(b, tx, &stmt, err);
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
            .clock = kept(tx, stmt, 2),
            .clock_state = kept(tx, stmt, 3),
            .type = kept(tx, stmt, 4),
            .number = kept(tx, stmt, 5),
            .title = kept(tx, stmt, 6),
            .case_state = kept(tx, stmt, 7),
            .level = kept(tx, stmt, 8),
            .service_name = kept(tx, stmt, 9),
        };
    }
    buf_done(&b->sql);
    if (!rc)
        *out_count = count;
    return rc;
}
