/* sql.c - see sql.h */
#include "platform/entity/sql.h"

struct sql *sql_new(void)
{
    struct sql *sql = mem_alloc(1, sizeof *sql);
    if (sql)
        buf_init(&sql->text, SQL_BYTES_MAX);
    return sql;
}

void sql_free(struct sql *sql)
{
    if (!sql)
        return;
    buf_done(&sql->text);
    mem_free(sql);
}

void sql_free_auto(struct sql **sql)
{
    sql_free(*sql);
}

void sql_add(struct sql *sql, const char *text)
{
    buf_text(&sql->text, text);
}

void sql_str(struct sql *sql, struct str text)
{
    buf_str(&sql->text, text);
}

static struct sql_arg *add_arg(struct sql *sql)
{
    static _Thread_local struct sql_arg nowhere;
    if (sql->args_count == SQL_ARGS_MAX) {
        sql->full = true;
        return &nowhere;
    }
    buf_printf(&sql->text, "?%d", sql->args_count + 1);
    return &sql->args[sql->args_count++];
}

void sql_i64(struct sql *sql, int64_t value)
{
    *add_arg(sql) = (struct sql_arg) { .kind = SQL_I64, .i64 = value };
}

void sql_text(struct sql *sql, struct str value)
{
    *add_arg(sql) = (struct sql_arg) { .kind = SQL_TEXT, .text = value };
}

void sql_text_again(struct sql *sql, struct str value)
{
    for (int i = 0; i < sql->args_count; i++)
        if (sql->args[i].again && str_eq(sql->args[i].text, value)) {
            buf_printf(&sql->text, "?%d", i + 1);
            return;
        }
    *add_arg(sql) = (struct sql_arg) { .kind = SQL_TEXT, .again = true, .text = value };
}

void sql_arg(struct sql *sql, struct sql_arg value)
{
    *add_arg(sql) = value;
}

void sql_value(struct sql *sql, const struct entity_field *field, const struct value *value)
{
    struct sql_arg *arg = add_arg(sql);
    *arg = (struct sql_arg) { .kind = SQL_NULL };
    if (value->null)
        return;
    switch (field->kind) {
    case VALUE_TEXT:
    case VALUE_DATE:
    case VALUE_JSON:
        *arg = (struct sql_arg) { .kind = SQL_TEXT, .text = value->text };
        return;
    case VALUE_NUMBER:
        *arg = (struct sql_arg) { .kind = SQL_F64, .f64 = value->f64 };
        return;
    case VALUE_INTEGER:
    case VALUE_BOOLEAN:
    case VALUE_INSTANT:
    case VALUE_REF:
    case VALUE_KIND__COUNT:
        break;
    }
    *arg = (struct sql_arg) { .kind = SQL_I64, .i64 = value->i64 };
}

enum err_code sql_prepare(struct sql *sql, struct tx *tx, struct stmt **out, struct err *err)
{
    if (sql->full)
        return err_set(err, ERR_LIMIT, "entity.filter_long", ARG_END);
    enum err_code rc = buf_check(&sql->text, err);
    if (!rc)
        rc = tx_prepare(tx, sql->text.ptr, out, err);
    if (rc)
        return rc;
    for (int i = 0; i < sql->args_count; i++) {
        const struct sql_arg *arg = &sql->args[i];
        if (arg->kind == SQL_I64)
            stmt_bind_i64(*out, i + 1, arg->i64);
        else if (arg->kind == SQL_F64)
            stmt_bind_f64(*out, i + 1, arg->f64);
        else if (arg->kind == SQL_TEXT)
            stmt_bind_text(*out, i + 1, arg->text);
        else
            stmt_bind_null(*out, i + 1);
    }
    return ERR_OK;
}

enum err_code sql_fill(const char *pattern, struct str table, struct str column, char *out, size_t size,
                       struct err *err)
{
    size_t len = 0;
    for (const char *at = pattern; *at; at++) {
        const bool named = *at == '$' && (at[1] == 'T' || at[1] == 'C');
        const struct str piece = !named ? (struct str) { at, 1 } : *++at == 'T' ? table : column;
        if (len + piece.len >= size)
            return err_set(err, ERR_INTERNAL, "base.internal", ARG_END);
        if (piece.len)
            memcpy(out + len, piece.ptr, piece.len);
        len += piece.len;
    }
    out[len] = 0;
    return ERR_OK;
}
