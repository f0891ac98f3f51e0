/* dump_sql.c - see dump.h.  Names come from the catalogue or from an archive; the latter are checked before
 * they stand in a statement. */
#include "base/json.h"
#include "store/dump.h"

#include "base/ids.h"
#include "crypto/digest.h"
#include "store/internal.h"
#include "store/period.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX ((size_t)256 << 20)

/* Tables and what is no table of rows: name, kind ('t' table, 'v' virtual).  Partitions are left out. */
static const char *const SQL_TABLES[STORE_BACKEND__COUNT] = {
    [STORE_SQLITE] =
        "SELECT name, CASE WHEN sql LIKE 'CREATE VIRTUAL%' THEN 'v' ELSE 't' END FROM sqlite_master"
        " WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name",
    [STORE_POSTGRES] =
        "SELECT CAST(c.relname AS TEXT) COLLATE \"C\", CASE WHEN EXISTS (SELECT 1 FROM pg_attribute a"
        " WHERE a.attrelid = c.oid AND a.atttypid = CAST('tsvector' AS regtype) AND NOT a.attisdropped)"
        " THEN 'v' ELSE 't' END FROM pg_class c"
        " WHERE c.relnamespace = CAST(quote_ident(current_schema()) AS regnamespace)"
        " AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1",
};
static const char SQL_PERIODS[] = "SELECT name FROM store_period ORDER BY name";
/* name, declared type, not null, place in the primary key */
static const char *const SQL_COLUMNS[STORE_BACKEND__COUNT] = {
    [STORE_SQLITE] = "SELECT name, lower(type), \"notnull\", pk FROM pragma_table_info(?1) ORDER BY cid",
    [STORE_POSTGRES] =
        "SELECT CAST(a.attname AS TEXT), format_type(a.atttypid, NULL), CASE WHEN a.attnotnull THEN 1 ELSE 0 "
        "END,"
        " coalesce((SELECT array_position(CAST(i.indkey AS int2[]), a.attnum) + 1 FROM pg_index i"
        " WHERE i.indrelid = a.attrelid AND i.indisprimary), 0)"
        " FROM pg_attribute a WHERE a.attrelid = to_regclass(quote_ident(?1)) AND a.attnum > 0"
        " AND NOT a.attisdropped ORDER BY a.attnum",
};
static const char SQL_PERIOD[] = "SELECT by_column, kind FROM store_period WHERE name = ?1";
static const char SQL_PARTS[] = "SELECT month FROM store_period_part WHERE name = ?1 ORDER BY month";

/* ---- the catalogue ---- */

static bool is_own(struct str name)
{
    static const char *const own[] = { "lease", "node", "entity_part" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_eq(name, str_from(own[i])))
            return true;
    return str_starts(name, STR("store_"));
}

struct names {
    struct str *list;
    char *kinds;
    int count;
};

static bool has(const struct names *names, struct str name, char kind)
{
    for (int i = 0; i < names->count; i++)
        if (names->kinds[i] == kind && str_eq(names->list[i], name))
            return true;
    return false;
}

static enum err_code names_get(struct tx *tx, struct arena *arena, const char *sql, char kind,
                               struct names *names, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    enum err_code rc = tx_prepare(tx, sql, &stmt, err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row) {
        if (names->count == DUMP_TABLES_MAX)
            return err_set(err, ERR_LIMIT, "dump.tables", ARG_INT("max", DUMP_TABLES_MAX), ARG_END);
        names->kinds[names->count] = kind ? kind : stmt_text(stmt, 1).ptr[0];
        names->list[names->count] = arena_str(arena, stmt_text(stmt, 0));
        if (!names->list[names->count++].ptr)
            return err_nomem(err);
    }
    return rc;
}

/* A month of a period table, a shadow of a virtual one, or the numbers beside a search index. */
static bool is_derived(const struct names *names, struct str name)
{
    const size_t stem = period_stem(name.ptr);
    if (stem && has(names, str_slice(name, 0, stem), 'p'))
        return true;
    for (int i = 0; i < names->count; i++) {
        const struct str virtual = names->list[i];
        if (names->kinds[i] != 'v')
            continue;
        if (str_starts(name, virtual) && name.len > virtual.len && name.ptr[virtual.len] == '_')
            return true;
        if (str_ends(virtual, STR("_fts")) && str_ends(name, STR("_doc")) && name.len == virtual.len &&
            memcmp(name.ptr, virtual.ptr, name.len - 4) == 0)
            return true;
    }
    return false;
}

static enum stmt_type type_of(struct str declared)
{
    if (str_starts(declared, STR("int")) || str_starts(declared, STR("bigint")) ||
        str_starts(declared, STR("smallint")))
        return STMT_I64;
    if (str_starts(declared, STR("real")) || str_starts(declared, STR("double")))
        return STMT_F64;
    if (str_starts(declared, STR("blob")) || str_starts(declared, STR("bytea")))
        return STMT_BLOB;
    return STMT_TEXT;
}

static enum err_code columns_get(struct tx *tx, struct arena *arena, struct dump_table *table,
                                 struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    struct str read = table->name;
    int64_t month = 0;
    char part[STORE_NAME_SIZE];
    table->columns = arena_alloc(arena, DUMP_COLUMNS_MAX, sizeof *table->columns);
    table->count = 0;
    if (!table->columns)
        return err_nomem(err);
    enum err_code rc = ERR_OK;
    if (tx_backend(tx) == STORE_SQLITE) { /* a view knows no key: ask a month of it */
        rc = tx_prepare(tx, SQL_PARTS, &stmt, err);
        if (rc)
            return rc;
        stmt_bind_text(stmt, 1, table->name);
        rc = stmt_step(stmt, &row, err);
        if (!rc && row) {
            month = stmt_i64(stmt, 0);
            (void)snprintf(part, sizeof part, "%.*s_%04d%02d", STR_ARG(table->name), (int)(month / 12),
                           (int)(month % 12) + 1);
            read = str_from(part);
        }
        stmt_free(stmt);
        stmt = NULL;
    }
    if (!rc)
        rc = tx_prepare(tx, SQL_COLUMNS[tx_backend(tx)], &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, read);
    while (!(rc = stmt_step(stmt, &row, err)) && row) {
        if (table->count == DUMP_COLUMNS_MAX)
            return err_set(err, ERR_LIMIT, "dump.tables", ARG_INT("max", DUMP_COLUMNS_MAX), ARG_END);
        struct dump_column *column = &table->columns[table->count++];
        *column = (struct dump_column) { .name = arena_str(arena, stmt_text(stmt, 0)),
                                         .type = type_of(stmt_text(stmt, 1)),
                                         .not_null = stmt_i64(stmt, 2) != 0,
                                         .key = (int)stmt_i64(stmt, 3) };
        if (!column->name.ptr)
            return err_nomem(err);
    }
    return rc;
}

static int by_name(const void *a, const void *b)
{
    const struct dump_table *left = a, *right = b;
    return str_cmp(left->name, right->name);
}

enum err_code dump_tables(struct tx *tx, struct arena *arena, struct dump_table **out_tables, int *out_count,
                          struct err *err)
{
    struct names names = { .list = arena_alloc(arena, DUMP_TABLES_MAX, sizeof *names.list),
                           .kinds = arena_alloc(arena, DUMP_TABLES_MAX, 1) };
    struct dump_table *tables = arena_alloc(arena, DUMP_TABLES_MAX, sizeof *tables);
    int count = 0;
    if (!names.list || !names.kinds || !tables)
        return err_nomem(err);
    enum err_code rc = names_get(tx, arena, SQL_TABLES[tx_backend(tx)], 0, &names, err);
    if (!rc)
        rc = names_get(tx, arena, SQL_PERIODS, 'p', &names, err);
    for (int i = 0; i < names.count && !rc; i++) {
        const struct str name = names.list[i];
        if (names.kinds[i] == 'v' || is_own(name) || is_derived(&names, name) ||
            (names.kinds[i] == 't' && has(&names, name, 'p'))) /* listed under its kind 'p' */
            continue;
        tables[count] = (struct dump_table) { .name = name };
        rc = columns_get(tx, arena, &tables[count++], err);
    }
    if (rc)
        return rc;
    qsort(tables, (size_t)count, sizeof *tables, by_name);
    *out_tables = tables;
    *out_count = count;
    return ERR_OK;
}

/* ---- out ---- */

static void put_name(struct buf *sql, struct str name)
{
    buf_char(sql, '"');
    buf_str(sql, name);
    buf_char(sql, '"');
}

static void put_value(struct buf *line, struct stmt *stmt, int column)
{
    char hex[2 * 1024 + 1];
    struct str bytes;
    switch (stmt_type(stmt, column)) {
    case STMT_NULL:
        buf_text(line, "null");
        break;
    case STMT_I64:
        buf_i64(line, stmt_i64(stmt, column));
        break;
    case STMT_F64:
        buf_printf(line, "{\"f\":\"%.17g\"}", stmt_f64(stmt, column));
        break;
    case STMT_TEXT:
        bytes = stmt_text(stmt, column);
        if (utf8_valid(bytes)) {
            buf_json(line, bytes);
            break;
        }
        buf_text(line, "{\"t\":\""); /* kept as it is, byte by byte */
        goto hex_digits;
    case STMT_BLOB:
        bytes = stmt_blob(stmt, column);
        buf_text(line, "{\"b\":\"");
    hex_digits:
        for (size_t at = 0; at < bytes.len; at += 1024) {
            const struct str part = str_slice(bytes, at, at + 1024);
            hex_put((const unsigned char *)part.ptr, part.len, hex);
            buf_text(line, hex);
        }
        buf_text(line, "\"}");
        break;
    }
}

enum err_code dump_rows(struct tx *tx, const struct dump_table *table, dump_put put, void *arg,
                        int64_t *out_rows, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf sql, line;
    bool row = true;
    int64_t rows = 0;
    buf_init(&sql, STORE_SQL_MAX);
    buf_init(&line, LINE_MAX);
    buf_text(&sql, "SELECT ");
    for (int i = 0; i < table->count; i++) {
        buf_text(&sql, i ? ", " : "");
        put_name(&sql, table->columns[i].name);
    }
    buf_text(&sql, " FROM ");
    put_name(&sql, table->name);
    for (int key = 1, first = 1; key <= table->count; key++) {
        for (int i = 0; i < table->count; i++) {
            if (table->columns[i].key != key)
                continue;
            buf_text(&sql, first ? " ORDER BY " : ", ");
            put_name(&sql, table->columns[i].name);
            first = 0;
        }
    }
    enum err_code rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_prepare(tx, sql.ptr, &stmt, err);
    if (!rc)
        stmt_stream(stmt);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row) {
        buf_clear(&line);
        for (int i = 0; i < table->count; i++) {
            buf_char(&line, i ? ',' : '[');
            put_value(&line, stmt, i);
        }
        buf_text(&line, "]\n");
        rc = buf_check(&line, err);
        if (!rc)
            rc = put(arg, buf_get(&line), err);
        rows++;
    }
    buf_done(&sql);
    buf_done(&line);
    if (!rc)
        *out_rows = rows;
    return rc;
}

/* ---- in ---- */

static bool is_name(struct str name)
{
    if (!name.len || name.len >= STORE_NAME_SIZE)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        if (!(c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return true;
}

static enum err_code bad_name(struct str name, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "dump.name", ARG_STR("name", name), ARG_END);
}

struct period_of {
    bool is_period, by_id;
    struct str by_column;
};

static enum err_code period_of(struct tx *tx, struct str table, struct period_of *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, SQL_PERIOD, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, table);
    rc = stmt_step(stmt, &row, err);
    *out = (struct period_of) { .is_period = row };
    if (!rc && row) {
        out->by_column = arena_str(tx_arena(tx), stmt_text(stmt, 0));
        out->by_id = str_eq(stmt_text(stmt, 1), STR("id"));
        if (!out->by_column.ptr)
            rc = err_nomem(err);
    }
    return rc;
}

static enum err_code exec_name(struct tx *tx, const char *before, struct str name, const char *after,
                               struct err *err)
{
    struct buf sql;
    buf_init(&sql, 4096);
    buf_text(&sql, before);
    put_name(&sql, name);
    buf_text(&sql, after);
    enum err_code rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_exec(tx, sql.ptr, err);
    buf_done(&sql);
    return rc;
}

enum err_code dump_clear(struct tx *tx, struct str table, struct err *err)
{
    struct dump_table now = { .name = table };
    struct period_of period;
    if (!is_name(table))
        return bad_name(table, err);
    enum err_code rc = tx_arena(tx) ? columns_get(tx, tx_arena(tx), &now, err) : err_nomem(err);
    if (!rc && !now.count)
        return err_set(err, ERR_NOT_FOUND, "dump.no_table", ARG_STR("name", table), ARG_END);
    if (!rc)
        rc = period_of(tx, table, &period, err);
    if (rc || !period.is_period || tx_backend(tx) == STORE_POSTGRES)
        return rc ? rc : exec_name(tx, "DELETE FROM ", table, "", err);
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    rc = tx_prepare(tx, SQL_PARTS, &stmt, err);
    if (!rc)
        stmt_bind_text(stmt, 1, table);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row) {
        char part[STORE_NAME_SIZE];
        const int64_t month = stmt_i64(stmt, 0);
        (void)snprintf(part, sizeof part, "%.*s_%04d%02d", STR_ARG(table), (int)(month / 12),
                       (int)(month % 12) + 1);
        rc = exec_name(tx, "DELETE FROM ", str_from(part), "", err);
    }
    return rc;
}

enum err_code dump_make(struct tx *tx, const struct dump_table *table, bool *out_made, struct err *err)
{
    static const char *const types[] = {
        [STMT_I64] = "{i64}", [STMT_F64] = "{f64}", [STMT_TEXT] = "{text}", [STMT_BLOB] = "{blob}"
    };
    struct dump_table now = { .name = table->name };
    struct buf sql;
    if (!is_name(table->name))
        return bad_name(table->name, err);
    enum err_code rc = tx_arena(tx) ? columns_get(tx, tx_arena(tx), &now, err) : err_nomem(err);
    *out_made = false;
    if (rc || now.count)
        return rc;
    buf_init(&sql, STORE_SQL_MAX);
    buf_text(&sql, "CREATE TABLE ");
    put_name(&sql, table->name);
    int keys = 0;
    for (int i = 0; i < table->count && !rc; i++) {
        const struct dump_column *column = &table->columns[i];
        if (!is_name(column->name) || column->type < STMT_I64 || column->type > STMT_BLOB)
            rc = bad_name(column->name, err);
        buf_text(&sql, i ? ", " : " (");
        put_name(&sql, column->name);
        buf_printf(&sql, " %s%s", rc ? "" : types[column->type], column->not_null ? " NOT NULL" : "");
        keys += column->key > 0;
    }
    for (int key = 1; key <= keys; key++)
        for (int i = 0; i < table->count; i++)
            if (table->columns[i].key == key) {
                buf_text(&sql, key == 1 ? ", PRIMARY KEY (" : ", ");
                put_name(&sql, table->columns[i].name);
            }
    buf_text(&sql, keys ? ")) {strict}" : ") {strict}");
    if (!rc)
        rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_exec(tx, sql.ptr, err);
    buf_done(&sql);
    *out_made = !rc;
    return rc;
}

static enum err_code bad_row(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "dump.row", ARG_END);
}

static enum err_code bind(struct stmt *stmt, int index, const json_t *value, struct arena *arena,
                          struct err *err)
{
    if (json_is_null(value)) {
        stmt_bind_null(stmt, index);
    } else if (json_is_integer(value)) {
        stmt_bind_i64(stmt, index, json_integer_value(value));
    } else if (json_is_string(value)) {
        stmt_bind_text(stmt, index, json_to_str(value));
    } else if (json_is_object(value)) {
        const char *number = json_string_value(json_object_get(value, "f"));
        const json_t *bytes = json_object_get(value, "b"), *text = json_object_get(value, "t");
        const json_t *hex = bytes ? bytes : text;
        if (number) {
            stmt_bind_f64(stmt, index, strtod(number, NULL));
        } else if (json_is_string(hex)) {
            const size_t len = json_string_length(hex) / 2;
            unsigned char *out = arena_alloc(arena, 1, len + 1);
            if (!out)
                return err_nomem(err);
            if (!hex_get(json_to_str(hex), out, len))
                return bad_row(err);
            if (bytes)
                stmt_bind_blob(stmt, index, out, len);
            else
                stmt_bind_text(stmt, index, (struct str) { (const char *)out, len });
        } else {
            return bad_row(err);
        }
    } else {
        return bad_row(err);
    }
    return ERR_OK;
}

static enum err_code insert_prepare(struct tx *tx, const struct dump_table *table, struct str into,
                                    struct stmt **out, struct err *err)
{
    struct buf sql;
    buf_init(&sql, STORE_SQL_MAX);
    buf_text(&sql, "INSERT INTO ");
    put_name(&sql, into);
    for (int i = 0; i < table->count; i++) {
        buf_text(&sql, i ? ", " : " (");
        put_name(&sql, table->columns[i].name);
    }
    for (int i = 0; i < table->count; i++)
        buf_printf(&sql, "%s?%d", i ? ", " : ") VALUES (", i + 1);
    buf_char(&sql, ')');
    enum err_code rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_prepare(tx, sql.ptr, out, err);
    buf_done(&sql);
    return rc;
}

enum err_code dump_load(struct tx *tx, const struct dump_table *table, struct str lines, int64_t *out_rows,
                        struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    AUTO(arena_free_auto) struct arena *arena = arena_new(LINE_MAX);
    struct dump_table now = { .name = table->name };
    struct period_of period;
    char into[STORE_NAME_SIZE] = "";
    int by = -1;
    struct str line;
    int64_t rows = 0;
    if (!is_name(table->name))
        return bad_name(table->name, err);
    enum err_code rc = arena && tx_arena(tx) ? columns_get(tx, tx_arena(tx), &now, err) : err_nomem(err);
    for (int i = 0; i < table->count && !rc; i++) {
        bool known = false;
        for (int j = 0; j < now.count; j++)
            known |= str_eq(now.columns[j].name, table->columns[i].name);
        if (!known)
            rc = err_set(err, ERR_CORRUPT, "dump.column", ARG_STR("table", table->name),
                         ARG_STR("column", table->columns[i].name), ARG_END);
    }
    if (!rc)
        rc = period_of(tx, table->name, &period, err);
    if (rc)
        return rc;
    for (int i = 0; i < table->count && period.is_period; i++)
        if (str_eq(table->columns[i].name, period.by_column))
            by = i;
    while (!rc && str_cut(&lines, '\n', &line)) {
        if (!line.len)
            continue;
        json_t *row = json_loadb(line.ptr, line.len, JSON_ALLOW_NUL, NULL);
        if (!json_is_array(row) || json_array_size(row) != (size_t)table->count) {
            json_decref(row);
            return bad_row(err);
        }
        char part[STORE_NAME_SIZE];
        (void)snprintf(part, sizeof part, "%.*s", STR_ARG(table->name));
        if (by >= 0) {
            const int64_t key = json_integer_value(json_array_get(row, (size_t)by));
            rc = tx_period(tx, table->name.ptr, period.by_id ? ids_instant_ms(key) : key, part, err);
        }
        if (!rc && strcmp(part, into) != 0) {
            stmt_free(stmt);
            stmt = NULL;
            (void)strcpy(into, part);
            rc = insert_prepare(tx, table, str_from(into), &stmt, err);
        }
        for (int i = 0; i < table->count && !rc; i++)
            rc = bind(stmt, i + 1, json_array_get(row, (size_t)i), arena, err);
        if (!rc)
            rc = stmt_run(stmt, NULL, err);
        if (stmt)
            stmt_reset(stmt);
        json_decref(row);
        arena_reset(arena);
        rows += !rc;
    }
    if (!rc)
        *out_rows = rows;
    return rc;
}

enum err_code dump_count(struct tx *tx, struct str table, int64_t *out_rows, struct err *err)
{
    char sql[STORE_NAME_SIZE + 40];
    if (!is_name(table))
        return bad_name(table, err);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%.*s\"", STR_ARG(table));
    return tx_query_i64(tx, sql, out_rows, err);
}
