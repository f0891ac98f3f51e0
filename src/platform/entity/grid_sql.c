/* grid_sql.c - the grid as a dimension of scope: the records of core.grid kept as a tree of paths.
 *
 * Invariant: grid_cell has one row for each record of core.grid, and its path is the path of the cell above
 * followed by the own id and '/'.  Both stand in one transaction, so a grant never sees half a move.  Moving
 * a cell rewrites the paths below it and no other row. */
#include "platform/entity/internal.h"

#define GRID_TYPE "core.grid"
#define GRID_PATH_MAX 330 /* bytes: sixteen levels of ids of twenty digits */

static const char SQL_PATH[] = "SELECT path FROM grid_cell WHERE id = ?1";
static const char SQL_PUT[] = "INSERT INTO grid_cell (id, parent_id, path, name) VALUES (?1, ?2, ?3, ?4)"
                              " ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id,"
                              " name = excluded.name";
static const char SQL_MOVE[] = "UPDATE grid_cell SET path = ?1 || SUBSTR(path, CAST(?2 AS INTEGER))"
                               " WHERE path >= ?3 AND path < ?4";
static const char SQL_SHOW[] =
    "UPDATE core_grid SET path = (SELECT g.path FROM grid_cell g WHERE g.id = core_grid.id)"
    " WHERE id IN (SELECT c.id FROM grid_cell c WHERE c.path >= ?1 AND c.path < ?2)";
static const char SQL_DROP[] = "DELETE FROM grid_cell WHERE id = ?1";
static const char SQL_GRANTED[] = "SELECT COUNT(*) FROM user_role WHERE grid_id = ?1";
static const char SQL_MISSING[] =
    "SELECT COUNT(*) FROM core_grid g WHERE NOT EXISTS (SELECT 1 FROM grid_cell c WHERE c.id = g.id)";
/* One level of what is missing: cells whose cell above is there, or that have none. */
static const char SQL_LEVEL[] =
    "INSERT INTO grid_cell (id, parent_id, path, name) SELECT g.id, g.parent,"
    " COALESCE(p.path, '/') || CAST(g.id AS TEXT) || '/', g.name FROM core_grid g"
    " LEFT JOIN grid_cell p ON p.id = g.parent WHERE (g.parent IS NULL OR p.id IS NOT NULL)"
    " AND NOT EXISTS (SELECT 1 FROM grid_cell c WHERE c.id = g.id)";
static const char SQL_SHOW_ALL[] =
    "UPDATE core_grid SET path = (SELECT g.path FROM grid_cell g WHERE g.id = core_grid.id)"
    " WHERE path IS NULL";

struct str path_end(struct str path, struct arena *arena)
{
    const struct str end = arena_str(arena, path);
    if (end.ptr && end.len) {
        char *last = (char *)(uintptr_t)&end.ptr[end.len - 1];
        *last = (char)(*last + 1); /* '/' becomes '0' */
    }
    return end;
}

static enum err_code path_of(struct tx *tx, int64_t id, struct arena *arena, struct str *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, SQL_PATH, &stmt, err);
    *out = STR("");
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    rc = stmt_step(stmt, &row, err);
    if (rc || !row)
        return rc;
    *out = arena_str(arena, stmt_text(stmt, 0));
    return out->ptr ? ERR_OK : err_nomem(err);
}

static enum err_code put(struct tx *tx, int64_t id, int64_t parent, struct str path, struct str name,
                         struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, SQL_PUT, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    if (parent)
        stmt_bind_i64(stmt, 2, parent);
    stmt_bind_text(stmt, 3, path);
    stmt_bind_text(stmt, 4, name);
    return stmt_run(stmt, NULL, err);
}

static enum err_code move(struct tx *tx, struct str from, struct str to, struct arena *arena, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct str end = path_end(from, arena);
    const enum err_code rc = end.ptr ? tx_prepare(tx, SQL_MOVE, &stmt, err) : err_nomem(err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, to);
    stmt_bind_i64(stmt, 2, (int64_t)from.len + 1);
    stmt_bind_text(stmt, 3, from);
    stmt_bind_text(stmt, 4, end);
    return stmt_run(stmt, NULL, err);
}

/* The path stands in the record too, for lists in the order of the tree. */
static enum err_code show(struct tx *tx, struct str path, struct arena *arena, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct str end = path_end(path, arena);
    const enum err_code rc = end.ptr ? tx_prepare(tx, SQL_SHOW, &stmt, err) : err_nomem(err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, path);
    stmt_bind_text(stmt, 2, end);
    return stmt_run(stmt, NULL, err);
}

static enum err_code refuse(const char *id, struct err *err)
{
    (void)err_set(err, ERR_INVALID, id, ARG_END);
    return err_pointer(err, STR("/parent"));
}

static enum err_code place(const struct entity_call *call, struct tx *tx, const struct entity_change *change,
                           struct err *err)
{
    const int64_t parent = record_id(change->after, "parent");
    struct str above = STR("/"), old = { 0 };
    enum err_code rc = parent ? path_of(tx, parent, call->arena, &above, err) : ERR_OK;
    if (!rc)
        rc = path_of(tx, change->id, call->arena, &old, err);
    if (rc)
        return rc;
    if (parent && !above.len)
        return refuse("entity.grid_parent", err);
    if (old.len && str_starts(above, old))
        return refuse("entity.grid_circle", err);
    const struct str path = arena_printf(call->arena, "%.*s%lld/", STR_ARG(above), (long long)change->id);
    if (!path.ptr)
        return err_nomem(err);
    if (path.len > GRID_PATH_MAX)
        return refuse("entity.grid_deep", err);
    rc = put(tx, change->id, parent, path, record_str(change->after, "name"), err);
    if (!rc && old.len && !str_eq(old, path))
        rc = move(tx, old, path, call->arena, err);
    return rc || str_eq(old, path) ? rc : show(tx, path, call->arena, err);
}

static enum err_code on_change(void *arg, const struct entity_call *call, struct tx *tx,
                               struct entity_change *change, struct err *err)
{
    (void)arg;
    if (change->op != ENTITY_DELETE)
        return place(call, tx, change, err);
    AUTO(stmt_free_auto) struct stmt *used = NULL;
    AUTO(stmt_free_auto) struct stmt *drop = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, SQL_GRANTED, &used, err);
    if (rc)
        return rc;
    stmt_bind_i64(used, 1, change->id);
    rc = stmt_step(used, &row, err);
    if (!rc && row && stmt_i64(used, 0))
        return err_set(err, ERR_CONFLICT, "entity.referenced", ARG_TEXT("type", "core.user"),
                       ARG_TEXT("field", "grants"), ARG_END);
    if (!rc)
        rc = tx_prepare(tx, SQL_DROP, &drop, err);
    if (rc)
        return rc;
    stmt_bind_i64(drop, 1, change->id);
    return stmt_run(drop, NULL, err);
}

static bool is_grid(const struct entity_type *type)
{
    return type && str_eq(type->table, STR("core_grid")) && type_field(type, STR("parent")) >= 0 &&
           type_field(type, STR("path")) >= 0 && type_field(type, STR("name")) >= 0;
}

enum err_code grid_watch(struct entity *entity, struct err *err)
{
    return is_grid(entity_type_find(entity, GRID_TYPE))
               ? entity_hook_after_add(entity, GRID_TYPE, on_change, NULL, err)
               : ERR_OK;
}

static enum err_code run(struct tx *tx, const char *sql, int64_t *out_changes, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, sql, &stmt, err);
    return rc ? rc : stmt_run(stmt, out_changes, err);
}

enum err_code grid_fill(struct entity *entity, struct tx *tx, struct err *err)
{
    int64_t missing = 0, changes = 1;
    if (!is_grid(entity_type_find(entity, GRID_TYPE)))
        return ERR_OK;
    enum err_code rc = tx_query_i64(tx, SQL_MISSING, &missing, err);
    if (rc || !missing)
        return rc;
    while (!rc && changes) /* ends: cells in a circle are never reached, and stay out of every grant */
        rc = run(tx, SQL_LEVEL, &changes, err);
    return rc ? rc : run(tx, SQL_SHOW_ALL, NULL, err);
}
