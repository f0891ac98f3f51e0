/* text_sql.c - the search index of a type, beside its table.
 *
 *   SQLite      T_doc gives each record a dense number in the order of creation; T_fts is a contentless FTS5
 *               over it: grams, and the organisation as a token of a second column.  Such a table can only
 *               forget a row when told its old text, which the record before the change gives.
 *   PostgreSQL  T_text holds the normal form and its grams as a tsvector without positions, with a GIN.  Its
 *               list of pending entries makes a new row cost a third (text_tidy_sql.c empties it); usual rows
 *               lie in the table uncompressed. */
#include "platform/entity/gram.h"
#include "platform/entity/internal.h"

#define TEXT_MAX ((size_t)8 << 20)

/* ---- SQL; $T is the table's name ---- */
static const char *const SQL_CREATE[STORE_BACKEND__COUNT] = {
    [STORE_SQLITE] = "CREATE TABLE \"$T_doc\" (doc INTEGER PRIMARY KEY, id INTEGER NOT NULL UNIQUE) STRICT;"
                     "CREATE VIRTUAL TABLE \"$T_fts\" USING fts5(grams, org, content='', columnsize=0,"
                     " tokenize='ascii');",
    [STORE_POSTGRES] = "CREATE TABLE \"$T_text\" (id BIGINT PRIMARY KEY, normal TEXT COLLATE \"C\" NOT NULL,"
                       " grams TSVECTOR NOT NULL) WITH (toast_tuple_target = 8160);"
                       "CREATE INDEX \"$T_text_gin\" ON \"$T_text\" USING GIN (grams)"
                       " WITH (fastupdate = on, gin_pending_list_limit = 8192);",
};
static const char *const SQL_DROP[STORE_BACKEND__COUNT] = {
    [STORE_SQLITE] = "DROP TABLE \"$T_fts\"; DROP TABLE \"$T_doc\";",
    [STORE_POSTGRES] = "DROP TABLE \"$T_text\";",
};
/* Without RETURNING, which opens a statement journal: at each of those FTS5 writes out all it holds. */
static const char SQL_DOC_NEW[] = "INSERT INTO \"$T_doc\" (id) VALUES (?1)";
static const char SQL_DOC_LAST[] = "SELECT last_insert_rowid()";
static const char SQL_DOC_GET[] = "SELECT doc FROM \"$T_doc\" WHERE id = ?1";
static const char SQL_DOC_DELETE[] = "DELETE FROM \"$T_doc\" WHERE id = ?1";
static const char SQL_FTS_ADD[] = "INSERT INTO \"$T_fts\" (rowid, grams, org) VALUES (?1, ?2, ?3)";
static const char SQL_FTS_DELETE[] =
    "INSERT INTO \"$T_fts\" (\"$T_fts\", rowid, grams, org) VALUES ('delete', ?1, ?2, ?3)";
static const char SQL_TEXT_PUT[] =
    "INSERT INTO \"$T_text\" (id, normal, grams) VALUES (?1, ?2, array_to_tsvector(string_to_array(?3, ' ')))"
    " ON CONFLICT (id) DO UPDATE SET normal = excluded.normal, grams = excluded.grams";
static const char SQL_TEXT_DELETE[] = "DELETE FROM \"$T_text\" WHERE id = ?1";

/* The pattern with the table's name in each place, prepared. */
static enum err_code prepare(struct tx *tx, const char *pattern, const char *table, struct stmt **out,
                             struct err *err)
{
    char sql[512];
    const enum err_code rc = sql_fill(pattern, str_from(table), (struct str) { 0 }, sql, sizeof sql, err);
    if (rc)
        return rc;
    return tx_prepare(tx, sql, out, err);
}

static enum err_code run_script(struct tx *tx, const char *pattern, const char *table, struct err *err)
{
    char sql[800];
    const enum err_code rc = sql_fill(pattern, str_from(table), (struct str) { 0 }, sql, sizeof sql, err);
    if (rc)
        return rc;
    return tx_exec(tx, sql, err);
}

enum err_code text_create(struct tx *tx, const struct entity_type *type, struct err *err)
{
    return run_script(tx, SQL_CREATE[tx_backend(tx)], type->table.ptr, err);
}

enum err_code text_drop(struct tx *tx, const char *table, struct err *err)
{
    return run_script(tx, SQL_DROP[tx_backend(tx)], table, err);
}

/* What a record's searched fields come to. */
struct indexed {
    struct buf normal, grams;
    char org[24];
};

static enum err_code indexed_make(const struct entity_type *type, const struct value *values,
                                  struct indexed *out, struct err *err)
{
    enum err_code rc = ERR_OK;
    buf_init(&out->normal, TEXT_MAX);
    buf_init(&out->grams, TEXT_MAX);
    out->org[0] = 0;
    bool first = true;
    for (int i = 0; !rc && i < type->search_count; i++) {
        const struct value *value = &values[type->search[i]];
        if (value->null || !value->text.len)
            continue;
        if (!first)
            buf_text(&out->normal, " " GRAM_FIELD_SEPARATOR);
        first = false;
        rc = gram_normal(value->text, &out->normal, err);
    }
    if (!rc) {
        gram_text(buf_get(&out->normal), &out->grams);
        rc = buf_check(&out->grams, err);
    }
    if (type->scope_org >= 0 && !values[type->scope_org].null)
        (void)snprintf(out->org, sizeof out->org, "o%lld", (long long)values[type->scope_org].i64);
    return rc;
}

static void indexed_done(struct indexed *indexed)
{
    buf_done(&indexed->normal);
    buf_done(&indexed->grams);
}

static bool same_text(const struct entity_type *type, const struct value *a, const struct value *b)
{
    for (int i = 0; i < type->search_count; i++)
        if (!value_same(&type->fields[type->search[i]], &a[type->search[i]], &b[type->search[i]]))
            return false;
    const int org = type->scope_org;
    return org < 0 || value_same(&type->fields[org], &a[org], &b[org]);
}

/* ---- SQLite ---- */

static enum err_code doc_number(struct tx *tx, const char *pattern, const char *table, int64_t id,
                                int64_t *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = prepare(tx, pattern, table, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    rc = stmt_step(stmt, &row, err);
    if (!rc && !row)
        rc = err_set(err, ERR_CORRUPT, "entity.index_lost", ARG_TEXT("what", table), ARG_END);
    if (!rc)
        *out = stmt_i64(stmt, 0);
    return rc;
}

static enum err_code run_by_id(struct tx *tx, const char *pattern, const char *table, int64_t id,
                               struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = prepare(tx, pattern, table, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    return stmt_run(stmt, NULL, err);
}

static enum err_code doc_new(struct tx *tx, const char *table, int64_t id, int64_t *out, struct err *err)
{
    const enum err_code rc = run_by_id(tx, SQL_DOC_NEW, table, id, err);
    return rc ? rc : tx_query_i64(tx, SQL_DOC_LAST, out, err);
}

static enum err_code fts_write(struct tx *tx, const char *pattern, const char *table, int64_t doc,
                               const struct indexed *indexed, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = prepare(tx, pattern, table, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, doc);
    stmt_bind_text(stmt, 2, buf_get(&indexed->grams));
    stmt_bind_text(stmt, 3, str_from(indexed->org));
    return stmt_run(stmt, NULL, err);
}

static enum err_code put_sqlite(struct tx *tx, const struct entity_type *type, int64_t id,
                                const struct indexed *before, const struct indexed *after, struct err *err)
{
    const char *table = type->table.ptr;
    int64_t doc = 0;
    enum err_code rc =
        before ? doc_number(tx, SQL_DOC_GET, table, id, &doc, err) : doc_new(tx, table, id, &doc, err);
    if (!rc && before)
        rc = fts_write(tx, SQL_FTS_DELETE, table, doc, before, err);
    if (!rc && after)
        rc = fts_write(tx, SQL_FTS_ADD, table, doc, after, err);
    if (!rc && !after)
        rc = run_by_id(tx, SQL_DOC_DELETE, table, id, err);
    return rc;
}

/* ---- PostgreSQL ---- */

static enum err_code put_postgres(struct tx *tx, const struct entity_type *type, int64_t id,
                                  const struct indexed *after, struct err *err)
{
    if (!after)
        return run_by_id(tx, SQL_TEXT_DELETE, type->table.ptr, id, err);
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = prepare(tx, SQL_TEXT_PUT, type->table.ptr, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    stmt_bind_text(stmt, 2, buf_get(&after->normal));
    stmt_bind_text(stmt, 3, buf_get(&after->grams));
    return stmt_post(stmt, err);
}

enum err_code text_put(struct tx *tx, const struct entity_type *type, int64_t id, const struct value *before,
                       const struct value *after, struct err *err)
{
    if (!type->search_count || (before && after && same_text(type, before, after)))
        return ERR_OK;
    struct indexed old = { 0 }, new = { 0 };
    const bool sqlite = tx_backend(tx) == STORE_SQLITE;
    enum err_code rc = before && sqlite ? indexed_make(type, before, &old, err) : ERR_OK;
    if (!rc && after)
        rc = indexed_make(type, after, &new, err);
    if (!rc)
        rc = sqlite ? put_sqlite(tx, type, id, before ? &old : NULL, after ? &new : NULL, err)
                    : put_postgres(tx, type, id, after ? &new : NULL, err);
    indexed_done(&old);
    indexed_done(&new);
    return rc;
}

/* All records that are there, in the order of their ids. */
enum err_code text_fill(struct tx *tx, const struct entity_type *type, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "SELECT ");
    for (int i = 0; i < type->fields_count; i++) {
        sql_add(sql, i ? ", " : "");
        sql_str(sql, type->fields[i].column);
    }
    sql_add(sql, " FROM \"");
    sql_str(sql, type->table);
    sql_add(sql, "\" ORDER BY \"id\"");
    enum err_code rc = sql_prepare(sql, tx, &stmt, err);
    if (rc)
        return rc;
    stmt_stream(stmt);
    struct value values[TYPE_FIELDS_MAX];
    for (bool row = false; !(rc = stmt_step(stmt, &row, err)) && row;) {
        row_values(type, stmt, 0, values);
        rc = text_put(tx, type, values[COLUMN_ID].i64, NULL, values, err);
        if (rc)
            return rc;
    }
    return rc;
}
