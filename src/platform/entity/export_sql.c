/* export_sql.c - see table.h: rows of a list written to a file, read in portions from one snapshot. */
#include "base/csv.h"
#include "platform/entity/internal.h"
#include "platform/entity/table.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <xlsxwriter.h>

#define CELL_MAX ((size_t)2 << 20)
#define XLSX_TEXT_MAX 32767 /* of a cell, by the format */

static const struct {
    const char *name, *type;
} FORMATS[TABLE_FORMAT__COUNT] = {
    [TABLE_CSV] = { "csv", "text/csv; charset=utf-8" },
    [TABLE_XLSX] = { "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
    [TABLE_JSON] = { "json", "application/json; charset=utf-8" },
};

bool table_format_read(struct str name, enum table_format *out)
{
    for (int i = 0; i < TABLE_FORMAT__COUNT; i++)
        if (str_eq(name, str_from(FORMATS[i].name))) {
            *out = (enum table_format)i;
            return true;
        }
    return false;
}

const char *table_format_type(enum table_format format)
{
    return FORMATS[format].type;
}

/* One export going on. */
struct exporting {
    struct entity_call call;
    const struct entity_type *type;
    const struct entity_list *list;
    enum table_format format;
    bool header_only;
    bool shown[TYPE_FIELDS_MAX]; /* the field has a further column: its title or key */
    int shown_count;
    int64_t rows;
    FILE *file;
    lxw_workbook *book;
    lxw_worksheet *sheet;
    struct buf line, cell;
};

/* ---- references as people and as imports write them ---- */

/* The natural key of what a column refers to: a scalar sub-select over table alias `outer`. */
static bool key_sql(const struct entity_call *call, const struct shape *shape, const char *outer,
                    struct str column, int depth, struct sql *sql)
{
    struct buf *out = &sql->text;
    char alias[16];
    (void)snprintf(alias, sizeof alias, "k%d", depth);
    if (shape->ref_relation) {
        buf_printf(out, "(SELECT %s.\"%s\" FROM ", alias, shape->ref_relation->code);
        if (!reference_rows_sql(call, shape, sql))
            return false;
        buf_printf(out, " %s WHERE %s.\"id\" = %s.%.*s)", alias, alias, outer, STR_ARG(column));
        return true;
    }
    const struct entity_type *type = shape->ref_type;
    if (!type || !type->key.count || depth > 3)
        return false;
    buf_text(out, "(SELECT ");
    for (int i = 0; i < type->key.count; i++) {
        const struct entity_field *field = &type->fields[type->key.fields[i]];
        if (i)
            buf_text(out, " || '|' || ");
        if (field->kind == VALUE_REF) {
            if (!key_sql(call, &field->shape, alias, field->column, depth + 1, sql))
                return false;
        } else if (field->kind == VALUE_TEXT || field->kind == VALUE_DATE) {
            buf_printf(out, "%s.%.*s", alias, STR_ARG(field->column));
        } else {
            buf_printf(out, "CAST(%s.%.*s AS TEXT)", alias, STR_ARG(field->column));
        }
    }
    buf_text(out, " FROM ");
    if (!reference_rows_sql(call, shape, sql))
        return false;
    buf_printf(out, " %s WHERE %s.\"id\" = %s.%.*s)", alias, alias, outer, STR_ARG(column));
    return true;
}

/* The further column of a field: its title or key; nothing for one that shows itself. */
static bool shown_sql(const struct exporting *x, const struct entity_field *field, struct sql *sql)
{
    if (x->format == TABLE_XLSX && label_there(field)) {
        sql_add(sql, ", ");
        label_sql(&x->call, field, sql);
        return true;
    }
    const struct shape *items = list_of_references(field);
    if (x->format == TABLE_XLSX || (!items && (field->kind != VALUE_REF || !field->shape.ref.len)))
        return false;
    const size_t mark = sql->text.len;
    const int args = sql->args_count;
    sql_add(sql, ", ");
    if (items) { /* "a;b", as an import reads it */
        buf_printf(&sql->text, "(SELECT %s(x.code, ';') FROM (SELECT ", list_join_sql(&x->call));
        if (key_sql(&x->call, items, "e", STR("value"), 0, sql)) {
            sql_add(sql, " AS code FROM ");
            list_items_sql(&x->call, field->column, &sql->text);
            sql_add(sql, " ORDER BY e.place) x)");
            return true;
        }
    } else if (key_sql(&x->call, &field->shape, "t", field->column, 0, sql))
        return true;
    if (!sql->text.failed) {
        sql->text.len = mark;
        sql->text.ptr[mark] = 0;
        sql->args_count = args;
    }
    return false;
}

/* ---- cells ---- */

static bool exported(const struct exporting *x, int i)
{
    return x->header_only ? !x->type->fields[i].standard && !x->type->fields[i].read_only : true;
}

/* Texts as they are, everything else as its JSON without quotes. */
static void cell_text(const struct entity_field *field, const struct value *value, struct buf *out)
{
    if (value->null)
        return;
    if (field->kind == VALUE_TEXT || field->kind == VALUE_DATE) {
        buf_str(out, value->text);
        return;
    }
    const size_t from = out->len;
    value_json(field, value, out);
    if (!out->failed && out->len - from >= 2 && out->ptr[from] == '"') {
        memmove(out->ptr + from, out->ptr + from + 1, out->len - from - 2);
        out->len -= 2;
        out->ptr[out->len] = 0;
    }
}

static void xlsx_put(struct exporting *x, const struct entity_field *field, const struct value *value,
                     struct str shown, lxw_row_t row, lxw_col_t column)
{
    if (value->null)
        return;
    buf_clear(&x->cell);
    if (shown.ptr)
        buf_str(&x->cell, shown);
    else if (field->shape.codes)
        for (int i = 0; i < field->shape.codes_count; i++) {
            const struct field_code *code = &field->shape.codes[i];
            if (field->kind == VALUE_INTEGER ? code->number == value->i64 : str_eq(code->code, value->text))
                buf_str(&x->cell, code->title[x->call.lang]);
        }
    if (!x->cell.len && (field->kind == VALUE_INTEGER || field->kind == VALUE_NUMBER)) {
        const double number = field->kind == VALUE_NUMBER ? value->f64 : (double)value->i64;
        (void)worksheet_write_number(x->sheet, row, column, field->money ? number / 100 : number, NULL);
        return;
    }
    if (!x->cell.len)
        cell_text(field, value, &x->cell);
    size_t len = x->cell.len;
    if (utf8_len(buf_get(&x->cell)) > XLSX_TEXT_MAX)
        for (len = XLSX_TEXT_MAX; len && ((unsigned char)x->cell.ptr[len] & 0xc0) == 0x80;)
            len--;
    if (x->cell.ptr) {
        x->cell.ptr[len] = 0;
        (void)worksheet_write_string(x->sheet, row, column, x->cell.ptr, NULL);
    }
}

static void put_header(struct exporting *x)
{
    bool first = true;
    lxw_col_t column = 0;
    lxw_format *bold = x->book ? workbook_add_format(x->book) : NULL;
    if (bold)
        format_set_bold(bold);
    for (int i = 0; i < x->type->fields_count; i++) {
        const struct entity_field *field = &x->type->fields[i];
        if (!exported(x, i))
            continue;
        if (x->format == TABLE_CSV)
            csv_put(&x->line, field->name, first, true);
        else if (x->format == TABLE_XLSX)
            (void)worksheet_write_string(x->sheet, 0, column, field->title[x->call.lang].ptr, bold);
        first = false;
        column++;
    }
    if (x->format == TABLE_CSV)
        csv_end(&x->line);
    else if (x->format == TABLE_JSON)
        buf_char(&x->line, '[');
    else
        worksheet_freeze_panes(x->sheet, 1, 0);
}

static enum err_code put_row(struct exporting *x, struct stmt *stmt, struct err *err)
{
    struct value values[TYPE_FIELDS_MAX];
    int shown_at = x->type->fields_count;
    lxw_col_t column = 0;
    const bool plain = row_plain(&x->call, x->type, stmt, x->type->fields_count + x->shown_count);
    row_values(x->type, stmt, 0, values);
    if (x->format == TABLE_JSON) {
        buf_text(&x->line, x->rows ? ",\n" : "\n");
        const enum err_code rc = record_json_open(&x->call, x->type, values, plain, &x->line, err);
        buf_char(&x->line, '}');
        return rc;
    }
    for (int i = 0; i < x->type->fields_count; i++) {
        const struct entity_field *field = &x->type->fields[i];
        struct str shown = { 0 };
        if (x->shown[i])
            shown = stmt_text(stmt, shown_at++);
        if (field->mask) {
            const enum err_code rc =
                value_unseal(&x->call, x->type, i, values[COLUMN_ID].i64, plain, &values[i], err);
            if (rc)
                return rc;
        }
        if (x->format == TABLE_XLSX) {
            xlsx_put(x, field, &values[i], shown, (lxw_row_t)(x->rows + 1), column++);
            continue;
        }
        buf_clear(&x->cell);
        if (shown.ptr)
            buf_str(&x->cell, shown);
        else
            cell_text(field, &values[i], &x->cell);
        csv_put(&x->line, buf_get(&x->cell), i == 0, true);
    }
    if (x->format == TABLE_CSV)
        csv_end(&x->line);
    return buf_check(&x->cell, err);
}

static enum err_code flush(struct exporting *x, struct err *err)
{
    const enum err_code rc = buf_check(&x->line, err);
    if (rc || !x->line.len || !x->file)
        return rc;
    if (fwrite(x->line.ptr, 1, x->line.len, x->file) != x->line.len)
        return err_set(err, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "file.write", ARG_ERRNO(errno),
                       ARG_END);
    buf_clear(&x->line);
    return ERR_OK;
}

/* ---- all rows ---- */

static enum err_code rows_fn(struct tx *tx, void *arg, struct err *err)
{
    struct exporting *x = arg;
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "SELECT ");
    sql_add(sql, x->call.entity->statements[x->type->number_in_types].columns);
    x->shown_count = 0;
    for (int i = 0; i < x->type->fields_count; i++) {
        x->shown[i] = shown_sql(x, &x->type->fields[i], sql);
        x->shown_count += x->shown[i];
    }
    plain_sql(&x->call, x->type, sql);
    enum err_code rc = list_rest_sql(&x->call, tx, x->type, x->list, sql, err);
    if (!rc)
        rc = sql_prepare(sql, tx, &stmt, err);
    if (rc)
        return rc;
    stmt_stream(stmt);
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row; x->rows++) {
        const struct arena_mark mark = arena_mark(x->call.arena);
        if (x->rows == TABLE_ROWS_MAX)
            return err_set(err, ERR_LIMIT, "entity.too_many_rows", ARG_INT("max", TABLE_ROWS_MAX), ARG_END);
        rc = put_row(x, stmt, err);
        arena_release(x->call.arena, mark);
        if (!rc && x->line.len > 60000)
            rc = flush(x, err);
    }
    return rc;
}

static enum err_code write_file(struct exporting *x, struct err *err)
{
    put_header(x);
    enum err_code rc = x->header_only ? ERR_OK : store_read(x->call.entity->config.store, rows_fn, x, err);
    if (!rc && x->format == TABLE_JSON)
        buf_text(&x->line, "\n]\n");
    return rc ? rc : flush(x, err);
}

enum err_code entity_export(const struct entity_call *call, const struct entity_type *type,
                            const struct entity_list *list, enum table_format format, const char *path,
                            bool header_only, int64_t *out_rows, struct err *err)
{
    struct entity_list within = *list;
    within.also = "export";
    struct exporting x = {
        .call = *call, .type = type, .list = &within, .format = format, .header_only = header_only
    };
    enum err_code rc = call_may(call, type, "export", err);
    if (rc)
        return rc;
    buf_init(&x.line, (size_t)16 << 20);
    buf_init(&x.cell, CELL_MAX);
    if (format == TABLE_XLSX) {
        lxw_workbook_options options = { .constant_memory = LXW_TRUE };
        x.book = workbook_new_opt(path, &options);
        x.sheet = x.book ? workbook_add_worksheet(x.book, NULL) : NULL;
        rc = x.sheet ? write_file(&x, err) : err_nomem(err);
        if (x.book && workbook_close(x.book) != LXW_NO_ERROR && !rc)
            rc = err_set(err, ERR_IO, "file.write", ARG_ERRNO(errno), ARG_END);
    } else {
        x.file = fopen(path, "we");
        if (x.file && format == TABLE_CSV)
            buf_text(&x.line, "\xef\xbb\xbf"); /* spreadsheets take it for UTF-8 then */
        rc = x.file ? write_file(&x, err)
                    : err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
        if (x.file && fclose(x.file) && !rc)
            rc = err_set(err, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "file.write", ARG_ERRNO(errno),
                         ARG_END);
    }
    buf_done(&x.line);
    buf_done(&x.cell);
    if (!rc && out_rows)
        *out_rows = x.rows;
    return rc;
}
