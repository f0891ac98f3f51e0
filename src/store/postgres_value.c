/* postgres_value.c - the columns of the current row. */
#include "store/postgres.h"

#include <stdlib.h>

int64_t postgres_changes(struct stmt *stmt)
{
    return pstmt_of(stmt)->changes;
}

static const char *cell(struct stmt *stmt, int column, size_t *out_len)
{
    struct pstmt *s = pstmt_of(stmt);
    if (!s->result || s->row >= s->rows || column < 0 || column >= PQnfields(s->result) ||
        PQgetisnull(s->result, s->row, column))
        return NULL;
    *out_len = (size_t)PQgetlength(s->result, s->row, column);
    return PQgetvalue(s->result, s->row, column);
}

int64_t postgres_i64(struct stmt *stmt, int column)
{
    size_t len;
    const char *text = cell(stmt, column, &len);
    if (!text)
        return 0;
    if (text[0] == 't')
        return 1; /* a boolean */
    char *end;
    const int64_t value = strtoll(text, &end, 10);
    return *end ? (int64_t)strtod(text, NULL) : value;
}

double postgres_f64(struct stmt *stmt, int column)
{
    size_t len;
    const char *text = cell(stmt, column, &len);
    return text ? strtod(text, NULL) : 0;
}

struct str postgres_text(struct stmt *stmt, int column)
{
    size_t len = 0;
    const char *text = cell(stmt, column, &len);
    return (struct str) { text, len };
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

struct str postgres_blob(struct stmt *stmt, int column)
{
    struct pstmt *s = pstmt_of(stmt);
    size_t len;
    const char *text = cell(stmt, column, &len);
    if (!text)
        return (struct str) { 0 };
    if (PQftype(s->result, column) != OID_BLOB || len < 2)
        return (struct str) { text, len };
    /* "\x0041": decoded in place, the result is ours; a leading byte 0 marks that it is done. */
    char *bytes = (char *)(uintptr_t)text;
    const size_t count = (len - 2) / 2;
    if (bytes[0] != '\\')
        return (struct str) { bytes + 1, count };
    for (size_t i = 0; i < count; i++)
        bytes[i + 1] = (char)(hex_digit(bytes[2 + 2 * i]) << 4 | hex_digit(bytes[3 + 2 * i]));
    bytes[0] = 0;
    return (struct str) { bytes + 1, count };
}

enum stmt_type postgres_type(struct stmt *stmt, int column)
{
    size_t len;
    const char *text = cell(stmt, column, &len);
    if (!text)
        return STMT_NULL;
    switch (PQftype(pstmt_of(stmt)->result, column)) {
    case 16: /* boolean */
    case 20:
    case 21:
    case 23:
    case 26:
        return STMT_I64;
    case 1700: /* numeric: what sum() of whole numbers gives */
        return memchr(text, '.', len) ? STMT_F64 : STMT_I64;
    case 700:
    case 701:
        return STMT_F64;
    case OID_BLOB:
        return STMT_BLOB;
    default:
        return STMT_TEXT;
    }
}

int postgres_columns(struct stmt *stmt)
{
    return pstmt_of(stmt)->result ? PQnfields(pstmt_of(stmt)->result) : 0;
}

const char *postgres_column_name(struct stmt *stmt, int column)
{
    return pstmt_of(stmt)->result ? PQfname(pstmt_of(stmt)->result, column) : NULL;
}
