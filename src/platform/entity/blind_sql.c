/* blind_sql.c - the column beside a sealed field that finds equal values without opening them.
 *
 * "phone$blind" (no name of a pack holds a dollar) is a keyed digest of the plain text, made with the oldest
 * key of the ring and with the name of the field: it stays over a change of keys, and equal texts in two
 * fields are not to be told from each other's digests.  NULL exactly where the value is NULL, or could not be
 * opened when the column came. */
#include "crypto/digest.h"
#include "crypto/keyring.h"
#include "platform/entity/internal.h"

#define ROWS 500
#define DIGEST_BYTES 16

/* ---- SQL ---- */
static const char SQL_OPEN[] = "SELECT \"id\", %.*s FROM \"%.*s\" WHERE %.*s IS NOT NULL AND %.*s IS NULL"
                               " AND \"id\" > ?1 ORDER BY \"id\" LIMIT ?2";
static const char SQL_SET[] = "UPDATE \"%.*s\" SET %.*s = ?2 WHERE \"id\" = ?1";

void blind_digest(const struct entity *entity, const struct entity_type *type, int field, struct str plain,
                  char out[BLIND_SIZE])
{
    char label[ENTITY_SEAL_CONTEXT];
    unsigned char bytes[DIGEST_SIZE];
    const int len = snprintf(label, sizeof label, "blind:%.*s.%.*s", STR_ARG(type->full),
                             STR_ARG(type->fields[field].name));
    key_ring_blind(entity->config.keys, (struct str) { label, (size_t)len }, plain, bytes);
    hex_put(bytes, DIGEST_BYTES, out);
}

struct str blind_column(const struct entity_field *field, char out[BLIND_COLUMN_SIZE])
{
    const int len = snprintf(out, BLIND_COLUMN_SIZE, "\"%.*s$blind\"", STR_ARG(field->name));
    return (struct str) { out, (size_t)len };
}

/* ---- rows that were there before the column ---- */

struct filling {
    struct entity *entity;
    struct tx *tx;
    const struct entity_type *type;
    struct arena *arena;
    int field;
    int64_t after, ids[ROWS];
    struct str sealed[ROWS];
    int count;
};

static enum err_code read_rows(struct filling *f, const char *sql, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    f->count = 0;
    arena_reset(f->arena);
    enum err_code rc = tx_prepare(f->tx, sql, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, f->after);
    stmt_bind_i64(stmt, 2, ROWS);
    while (f->count < ROWS && !(rc = stmt_step(stmt, &row, err)) && row) {
        f->after = f->ids[f->count] = stmt_i64(stmt, 0);
        f->sealed[f->count] = arena_str(f->arena, stmt_text(stmt, 1));
        if (!f->sealed[f->count++].ptr)
            return err_nomem(err);
    }
    return rc;
}

/* What cannot be opened stays without: nobody can read it either. */
static enum err_code write_rows(struct filling *f, const char *sql, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char context[ENTITY_SEAL_CONTEXT], digest[BLIND_SIZE];
    struct buf plain;
    enum err_code rc = tx_prepare(f->tx, sql, &stmt, err);
    buf_init(&plain, (size_t)TYPE_TEXT_LIMIT * 4);
    for (int i = 0; !rc && i < f->count; i++) {
        buf_clear(&plain);
        if (unseal(f->entity->config.keys, seal_context(f->type, f->field, f->ids[i], context), f->sealed[i],
                   &plain, NULL))
            continue;
        blind_digest(f->entity, f->type, f->field, buf_get(&plain), digest);
        stmt_bind_i64(stmt, 1, f->ids[i]);
        stmt_bind_text(stmt, 2, str_from(digest));
        rc = stmt_run(stmt, NULL, err);
        stmt_reset(stmt);
    }
    buf_done(&plain);
    return rc;
}

enum err_code blind_fill(struct entity *entity, struct tx *tx, const struct entity_type *type, int field,
                         struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)256 << 20);
    struct filling *f = mem_alloc(1, sizeof *f);
    const struct str table = type->table, column = type->fields[field].column;
    char name[BLIND_COLUMN_SIZE], read[600], write[400];
    const struct str blind = blind_column(&type->fields[field], name);
    if (!arena || !f) {
        mem_free(f);
        return err_nomem(err);
    }
    *f = (struct filling) { .entity = entity, .tx = tx, .type = type, .arena = arena, .field = field };
    (void)snprintf(read, sizeof read, SQL_OPEN, STR_ARG(column), STR_ARG(table), STR_ARG(column),
                   STR_ARG(blind));
    (void)snprintf(write, sizeof write, SQL_SET, STR_ARG(table), STR_ARG(blind));
    enum err_code rc = ERR_OK;
    do {
        rc = read_rows(f, read, err);
        if (!rc)
            rc = write_rows(f, write, err);
    } while (!rc && f->count == ROWS);
    mem_free(f);
    return rc;
}
