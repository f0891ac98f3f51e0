/* reseal_sql.c - sealed values of one type under the newest key.
 *
 * A portion is read on a snapshot, sealed anew outside of any transaction, and written value by value only
 * where the sealed text is still the one that was read: what somebody wrote meanwhile stays.  Version,
 * history and events are of what a record says, which does not change here. */
#include "crypto/keyring.h"
#include "platform/entity/internal.h"

#define ROWS_MAX 500        /* of one read */
#define BYTES_MAX (4 << 20) /* of sealed text in one portion, and one row more */
#define ARENA_MAX ((size_t)256 << 20)

/* ---- SQL ---- */
static const char SQL_FROM[] = " FROM \"%.*s\" t WHERE t.\"id\" > ?1 ORDER BY t.\"id\" LIMIT ?2";
static const char SQL_SET[] = "UPDATE \"%.*s\" SET %.*s = ?3 WHERE \"id\" = ?1 AND %.*s = ?2";

struct stale {
    int64_t id;
    int field;
    struct str old, fresh;
};

struct portion {
    struct entity *entity;
    const struct entity_type *type;
    struct arena *arena;
    struct stale *stale;
    int limit, count;
    int64_t after, seen, newest, changed;
    bool end;
};

static enum err_code make_select(const struct portion *p, struct buf *sql, struct err *err)
{
    buf_text(sql, "SELECT t.\"id\"");
    for (int i = COLUMN_OWN; i < p->type->fields_count; i++)
        if (p->type->fields[i].mask)
            buf_printf(sql, ", t.%.*s", STR_ARG(p->type->fields[i].column));
    buf_printf(sql, SQL_FROM, STR_ARG(p->type->table));
    return buf_check(sql, err);
}

/* The values of the current row that another key seals. */
static enum err_code take_row(struct portion *p, struct stmt *stmt, size_t *bytes, struct err *err)
{
    int column = 1;
    p->after = stmt_i64(stmt, 0);
    for (int i = COLUMN_OWN; i < p->type->fields_count; i++) {
        if (!p->type->fields[i].mask)
            continue;
        const struct str text = stmt_text(stmt, column++);
        if (!text.ptr)
            continue;
        p->seen++;
        if (sealed_key(text) == p->newest)
            continue;
        struct stale *stale = &p->stale[p->count++];
        *stale = (struct stale) { .id = p->after, .field = i, .old = arena_str(p->arena, text) };
        if (!stale->old.ptr)
            return err_nomem(err);
        *bytes += text.len;
    }
    return ERR_OK;
}

static enum err_code read_fn(struct tx *tx, void *arg, struct err *err)
{
    struct portion *p = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf sql;
    size_t bytes = 0;
    int rows = 0;
    bool row = true;
    buf_init(&sql, SQL_BYTES_MAX);
    enum err_code rc = make_select(p, &sql, err);
    if (!rc)
        rc = tx_prepare(tx, sql.ptr, &stmt, err);
    buf_done(&sql);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, p->after);
    stmt_bind_i64(stmt, 2, ROWS_MAX);
    stmt_stream(stmt);
    while (p->count < p->limit && bytes < BYTES_MAX && !(rc = stmt_step(stmt, &row, err)) && row) {
        rc = take_row(p, stmt, &bytes, err);
        if (rc)
            return rc;
        rows++;
    }
    p->end = !row && rows < ROWS_MAX;
    return rc;
}

static enum err_code seal_all(struct portion *p, struct reseal_counts *counts, struct err *err)
{
    char context[ENTITY_SEAL_CONTEXT];
    struct buf fresh;
    enum err_code rc = ERR_OK;
    buf_init(&fresh, (size_t)TYPE_TEXT_LIMIT * 8);
    for (int i = 0; i < p->count && !rc; i++) {
        struct stale *stale = &p->stale[i];
        buf_clear(&fresh);
        rc = reseal(p->entity->config.keys, seal_context(p->type, stale->field, stale->id, context),
                    stale->old, &fresh, counts, err);
        if (!rc && fresh.len && !(stale->fresh = arena_str(p->arena, buf_get(&fresh))).ptr)
            rc = err_nomem(err);
    }
    buf_done(&fresh);
    return rc;
}

static enum err_code write_one(struct portion *p, struct tx *tx, const struct stale *stale, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct str column = p->type->fields[stale->field].column;
    struct buf sql;
    int64_t changes = 0;
    buf_init(&sql, SQL_BYTES_MAX);
    buf_printf(&sql, SQL_SET, STR_ARG(p->type->table), STR_ARG(column), STR_ARG(column));
    enum err_code rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_prepare(tx, sql.ptr, &stmt, err);
    buf_done(&sql);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, stale->id);
    stmt_bind_text(stmt, 2, stale->old);
    stmt_bind_text(stmt, 3, stale->fresh);
    rc = stmt_run(stmt, &changes, err);
    p->changed += changes;
    return rc;
}

static enum err_code write_fn(struct tx *tx, void *arg, struct err *err)
{
    struct portion *p = arg;
    enum err_code rc = ERR_OK;
    p->changed = 0;
    for (int i = 0; i < p->count && !rc; i++)
        if (p->stale[i].fresh.len)
            rc = write_one(p, tx, &p->stale[i], err);
    return rc;
}

enum err_code entity_reseal(struct entity *entity, const struct entity_type *type, int limit, int64_t *after,
                            bool *out_end, struct reseal_counts *counts, struct err *err)
{
    *out_end = true;
    if (!type->sensitive || !entity->config.keys)
        return ERR_OK;
    AUTO(arena_free_auto) struct arena *arena = arena_new(ARENA_MAX);
    struct portion p = { .entity = entity,
                         .type = type,
                         .arena = arena,
                         .limit = limit,
                         .after = *after,
                         .newest = key_ring_newest(entity->config.keys) };
    p.stale = arena ? arena_alloc(arena, (size_t)limit + TYPE_FIELDS_MAX, sizeof *p.stale) : NULL;
    if (!p.stale)
        return err_nomem(err);
    enum err_code rc = store_read(entity->config.store, read_fn, &p, err);
    if (!rc)
        rc = seal_all(&p, counts, err);
    if (!rc && p.count)
        rc = store_write(entity->config.store, write_fn, &p, err);
    if (rc)
        return err_in(err, "entity.reseal");
    counts->seen += p.seen;
    counts->resealed += p.changed;
    *after = p.after;
    *out_end = p.end;
    return ERR_OK;
}
