/* scope_sql.c - which rows of a type somebody may reach: the only place where row scope becomes SQL.
 *
 * A grant is an AND over the dimensions that the type carries; several grants are ORed; a dimension that the
 * type does not carry limits nothing, but a type without any is reached only under a scope of everything. */
#include "platform/entity/internal.h"

bool call_is_engine(const struct entity_call *call)
{
    return !call->who || call->who->kind == PRINCIPAL_SYSTEM;
}

struct str permission_of(const struct entity_type *type, const char *action, char out[ERR_TEXT_MAX])
{
    const int len = snprintf(out, ERR_TEXT_MAX, "%.*s.%s", STR_ARG(type->full), action);
    return (struct str) { out, len < ERR_TEXT_MAX ? (size_t)len : ERR_TEXT_MAX - 1 };
}

enum err_code call_may(const struct entity_call *call, const struct entity_type *type, const char *action,
                       struct err *err)
{
    char text[ERR_TEXT_MAX];
    if (call_is_engine(call))
        return ERR_OK;
    const struct str permission = permission_of(type, action, text);
    if (principal_may(call->who, permission))
        return ERR_OK;
    return err_set(err, ERR_FORBIDDEN, "entity.forbidden", ARG_STR("permission", permission), ARG_END);
}

bool call_sees_plain(const struct entity_call *call, const struct entity_type *type)
{
    return !type->sensitive || !call_may(call, type, "sensitive", NULL);
}

enum sees call_sees(const struct entity_call *call, const struct entity_type *type)
{
    if (!type->sensitive || call_is_engine(call))
        return SEES_PLAIN;
    if (call_may(call, type, "sensitive", NULL))
        return SEES_MASKED;
    return scope_is_all(call, type, "sensitive") ? SEES_PLAIN : SEES_BY_ROW;
}

void plain_sql(const struct entity_call *call, const struct entity_type *type, struct sql *sql)
{
    if (call_sees(call, type) != SEES_BY_ROW)
        return;
    sql_add(sql, ", CASE WHEN 1 = 1");
    if (scope_sql(call, type, "sensitive", sql, NULL))
        sql_add(sql, " AND 1 = 0");
    sql_add(sql, " THEN 1 ELSE 0 END");
}

bool row_plain(const struct entity_call *call, const struct entity_type *type, struct stmt *stmt, int column)
{
    const enum sees sees = call_sees(call, type);
    return sees == SEES_PLAIN || (sees == SEES_BY_ROW && stmt_i64(stmt, column) != 0);
}

static bool scope_reaches_all(const struct entity_type *type, const struct scope *scope)
{
    if (scope->all || type->everyone)
        return true;
    if (!type->scoped)
        return false;
    return !(scope->org_id && type->scope_org >= 0) && !(scope->grid_id && type->scope_grid >= 0) &&
           !(scope->subjects && type->scope_subject >= 0) && !(scope->own && type->scope_own >= 0);
}

bool scope_is_all(const struct entity_call *call, const struct entity_type *type, const char *action)
{
    char text[ERR_TEXT_MAX];
    const struct scope *scope = NULL;
    if (call_is_engine(call))
        return true;
    const struct str permission = permission_of(type, action, text);
    for (int at = 0; principal_scope(call->who, permission, &at, &scope);)
        if (scope_reaches_all(type, scope))
            return true;
    return false;
}

/* How the rows of a scope are told. */
struct how {
    const char *org; /* what carries the organisation: "t." or another that stands beside it */
    bool check;      /* a test of each row, which the planner cannot take for a way to the rows */
};

static void add_and(struct sql *sql, bool *any, const char *before, struct str column)
{
    sql_add(sql, *any ? " AND " : "");
    *any = true;
    sql_add(sql, before);
    sql_str(sql, column);
}

/* "path >= '/1/5/' AND path < '/1/50'": everything below, as one range of the index of paths. */
static void add_range(struct sql *sql, struct str path, struct arena *arena)
{
    const struct str end = path_end(path, arena);
    sql_add(sql, "(o.path >= ");
    sql_text_again(sql, path);
    sql_add(sql, " AND o.path < ");
    sql_text_again(sql, end);
    sql_add(sql, ")");
}

static bool only_org(const struct entity_type *type, const struct scope *scope)
{
    return scope->org_id && type->scope_org >= 0 && !(scope->grid_id && type->scope_grid >= 0) &&
           !(scope->subjects && type->scope_subject >= 0) && !(scope->own && type->scope_own >= 0);
}

static void add_scope(const struct entity_call *call, const struct entity_type *type,
                      const struct scope *scope, struct sql *sql)
{
    bool any = false;
    sql_add(sql, "(");
    if (scope->org_id && type->scope_org >= 0) {
        add_and(sql, &any, "t.", type->fields[type->scope_org].column);
        sql_add(sql, " IN (SELECT o.id FROM org o WHERE ");
        add_range(sql, scope->org_path, call->arena);
        sql_add(sql, ")");
    }
    if (scope->grid_id && type->scope_grid >= 0) {
        add_and(sql, &any, "t.", type->fields[type->scope_grid].column);
        sql_add(sql, " IN (SELECT o.id FROM grid_cell o WHERE ");
        add_range(sql, scope->grid_path, call->arena);
        sql_add(sql, ")");
    }
    if (scope->subjects && type->scope_subject >= 0) {
        add_and(sql, &any, "t.", type->fields[type->scope_subject].column);
        sql_add(sql, " IN (");
        for (int i = 0; i < scope->subject_count; i++) {
            sql_add(sql, i ? ", " : "");
            sql_i64(sql, scope->subjects[i]);
        }
        sql_add(sql, scope->subject_count ? ")" : "NULL)");
    }
    if (scope->own && type->scope_own >= 0) {
        add_and(sql, &any, "t.", type->fields[type->scope_own].column);
        sql_add(sql, " = ");
        sql_i64(sql, call->who->user_id);
    }
    sql_add(sql, ")");
}

/* All scopes that limit nothing but the organisation become one set of organisations. */
static bool add_orgs(const struct entity_call *call, const struct entity_type *type, struct str permission,
                     const char *alias, struct sql *sql)
{
    const struct scope *scope = NULL;
    bool any = false;
    for (int at = 0; principal_scope(call->who, permission, &at, &scope);) {
        if (!only_org(type, scope))
            continue;
        if (!any) {
            sql_add(sql, alias);
            sql_str(sql, type->fields[type->scope_org].column);
        }
        sql_add(sql, any ? " OR " : " IN (SELECT o.id FROM org o WHERE ");
        any = true;
        add_range(sql, scope->org_path, call->arena);
    }
    if (any)
        sql_add(sql, ")");
    return any;
}

static enum err_code add_scopes(const struct entity_call *call, const struct entity_type *type,
                                const char *action, struct how how, struct sql *sql, struct err *err)
{
    char text[ERR_TEXT_MAX];
    const struct scope *scope = NULL;
    const enum err_code rc = call_may(call, type, action, err);
    if (rc || scope_is_all(call, type, action))
        return rc;
    const struct str permission = permission_of(type, action, text);
    sql_add(sql, how.check ? " AND ((" : " AND (");
    bool any = type->scoped && add_orgs(call, type, permission, how.org, sql);
    for (int at = 0; type->scoped && principal_scope(call->who, permission, &at, &scope);) {
        if (only_org(type, scope))
            continue;
        sql_add(sql, any ? " OR " : "");
        any = true;
        add_scope(call, type, scope, sql);
    }
    sql_add(sql, any ? ")" : "1 = 0)");
    sql_add(sql, how.check ? " IS TRUE)" : "");
    return ERR_OK;
}

enum err_code scope_sql(const struct entity_call *call, const struct entity_type *type, const char *action,
                        struct sql *sql, struct err *err)
{
    return add_scopes(call, type, action, (struct how) { "t.", false }, sql, err);
}

bool scope_is_orgs(const struct entity_call *call, const struct entity_type *type, const char *action)
{
    char text[ERR_TEXT_MAX];
    const struct scope *scope = NULL;
    bool any = false;
    if (!type->scoped || type->scope_org < 0 || scope_is_all(call, type, action))
        return false;
    const struct str permission = permission_of(type, action, text);
    for (int at = 0; principal_scope(call->who, permission, &at, &scope); any = true)
        if (!only_org(type, scope))
            return false;
    return any;
}

enum err_code scope_check_sql(const struct entity_call *call, const struct entity_type *type,
                              const char *action, const char *org, struct sql *sql, struct err *err)
{
    return add_scopes(call, type, action, (struct how) { org, true }, sql, err);
}

enum err_code scope_orgs(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                         const char *action, int64_t *out, int *out_count, struct err *err)
{
    char text[ERR_TEXT_MAX];
    const struct scope *scope = NULL;
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    int count = 0;
    bool any = false;
    *out_count = 0;
    if (!sql)
        return err_nomem(err);
    if (!type->scoped || scope_is_all(call, type, action))
        return ERR_OK;
    const struct str permission = permission_of(type, action, text);
    sql_add(sql, "SELECT o.id FROM org o WHERE ");
    for (int at = 0; principal_scope(call->who, permission, &at, &scope);) {
        if (!only_org(type, scope))
            return ERR_OK;
        sql_add(sql, any ? " OR " : "");
        any = true;
        add_range(sql, scope->org_path, call->arena);
    }
    if (!any)
        return ERR_OK;
    sql_add(sql, " LIMIT ");
    sql_i64(sql, SCOPE_ORGS_MAX + 1);
    enum err_code rc = sql_prepare(sql, tx, &stmt, err);
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row;) {
        if (count == SCOPE_ORGS_MAX)
            return ERR_OK; /* broad: most rows pass anyway */
        out[count++] = stmt_i64(stmt, 0);
    }
    if (!rc)
        *out_count = count;
    return rc;
}

/* ---- rows for queries ---- */

const char *const ENTITY_SUBJECT_COLUMNS[] = { "id",   "type",       "code",     "name", "org",
                                               "grid", "valid_from", "valid_to", NULL };
const char *const ENTITY_CASE_COLUMNS[] = { "id",        "type",         "number",      "title", "subject",
                                            "flow",      "flow_version", "sla_version", "state", "opened_at",
                                            "closed_at", "org",          "grid",        NULL };

enum err_code entity_rows_sql(const struct entity_call *call, const struct entity_type *type, struct sql *sql,
                              struct err *err)
{
    bool any = false;
    sql_add(sql, "(SELECT ");
    for (int i = 0; i < type->fields_count; i++) {
        if (type->fields[i].mask)
            continue;
        sql_add(sql, any ? ", t." : "t.");
        any = true;
        sql_str(sql, type->fields[i].column);
    }
    sql_add(sql, " FROM \"");
    sql_str(sql, type->table);
    sql_add(sql, "\" t WHERE 1 = 1");
    facts_sql(call, type, sql);
    const enum err_code rc = scope_sql(call, type, "read", sql, err);
    sql_add(sql, ")");
    return rc;
}

enum err_code entity_common_sql(const struct entity_call *call, bool cases, struct sql *sql, struct err *err)
{
    const struct types *types = call->entity->types;
    const char *const *columns = cases ? ENTITY_CASE_COLUMNS : ENTITY_SUBJECT_COLUMNS;
    bool any = false;
    sql_add(sql, "(SELECT ");
    for (int i = 0; columns[i]; i++) {
        sql_add(sql, i ? ", c." : "c.");
        sql_add(sql, columns[i]);
    }
    sql_add(sql, cases ? " FROM cases c WHERE " : " FROM subject c WHERE ");
    for (int i = 0; i < types_count(types); i++) {
        const struct entity_type *type = types_at(types, i);
        if (type->kind != (cases ? TYPE_CASE : TYPE_SUBJECT) || call_may(call, type, "read", NULL))
            continue;
        sql_add(sql, any ? " OR (c.type = " : "((c.type = ");
        any = true;
        sql_text(sql, type->full);
        if (!scope_is_all(call, type, "read")) {
            sql_add(sql, " AND c.id IN (SELECT t.\"id\" FROM \"");
            sql_str(sql, type->table);
            sql_add(sql, "\" t WHERE 1 = 1");
            const enum err_code rc = scope_sql(call, type, "read", sql, err);
            if (rc)
                return rc;
            sql_add(sql, ")");
        }
        sql_add(sql, ")");
    }
    sql_add(sql, any ? "))" : "1 = 0)");
    return ERR_OK;
}

/* True when the caller may read every row that entity_common_sql() would give. */
static bool common_is_all(const struct entity_call *call, bool cases)
{
    const struct types *types = call->entity->types;
    for (int i = 0; i < types_count(types); i++) {
        const struct entity_type *type = types_at(types, i);
        if (type->kind == (cases ? TYPE_CASE : TYPE_SUBJECT) && !scope_is_all(call, type, "read"))
            return false;
    }
    return true;
}

static bool is_common(const struct entity_relation *relation, bool *out_cases)
{
    *out_cases = !strcmp(relation->name, "core.case");
    return *out_cases || !strcmp(relation->name, "core.subject");
}

/* Names of a type that is open to everyone are no secret, with or without its permission. */
static bool type_limited(const struct entity_call *call, const struct entity_type *type)
{
    return !type->everyone && !scope_is_all(call, type, "read");
}

bool reference_limited(const struct entity_call *call, const struct shape *shape)
{
    bool cases;
    if (shape->ref_type)
        return type_limited(call, shape->ref_type);
    return shape->ref_relation && is_common(shape->ref_relation, &cases) && !common_is_all(call, cases);
}

bool reference_rows_sql(const struct entity_call *call, const struct shape *shape, struct sql *sql)
{
    bool cases;
    if (!shape->ref_type && is_common(shape->ref_relation, &cases) && !common_is_all(call, cases))
        return !entity_common_sql(call, cases, sql, NULL);
    if (!shape->ref_type || !type_limited(call, shape->ref_type)) {
        sql_add(sql, "\"");
        sql_str(sql, shape->ref_type ? shape->ref_type->table : str_from(shape->ref_relation->table));
        sql_add(sql, "\"");
        return true;
    }
    const size_t mark = sql->text.len;
    sql_add(sql, "(SELECT * FROM \"");
    sql_str(sql, shape->ref_type->table);
    sql_add(sql, "\" t WHERE 1 = 1");
    if (!scope_sql(call, shape->ref_type, "read", sql, NULL)) {
        sql_add(sql, ")");
        return true;
    }
    if (!sql->text.failed) {
        sql->text.len = mark;
        sql->text.ptr[mark] = 0;
    }
    return false;
}

enum err_code reference_reached(const struct entity_call *call, struct tx *tx, const struct shape *shape,
                                int64_t id, bool *out, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    if (!sql)
        return err_nomem(err);
    *out = false;
    sql_add(sql, "SELECT 1 FROM ");
    if (!reference_rows_sql(call, shape, sql))
        return ERR_OK;
    sql_add(sql, " r WHERE r.\"id\" = ");
    sql_i64(sql, id);
    const enum err_code rc = sql_prepare(sql, tx, &stmt, err);
    return rc ? rc : stmt_step(stmt, out, err);
}
