/* sql.h - SQL in pieces: text and what is bound, in order.
 *
 * SQL text is made in *_sql.c files only; values are always bound.
 * Threads: one owner.  Layer: platform/entity. */
#pragma once
#include "base/buf.h"
#include "platform/entity/value.h"
#include "store/store.h"

#define SQL_BYTES_MAX ((size_t)200 << 10)
#define SQL_ARGS_MAX 600

struct sql_arg {
    enum { SQL_I64, SQL_F64, SQL_TEXT, SQL_NULL } kind;
    int64_t i64;
    double f64;
    struct str text;
    bool again; /* may be named by several placeholders */
};
struct sql {
    struct buf text;
    struct sql_arg args[SQL_ARGS_MAX];
    int args_count;
    bool full; /* more than SQL_ARGS_MAX */
};
/* Heap, because it is large: free with sql_free(). */
struct sql *sql_new(void) MUST_CHECK;
void sql_free(struct sql *sql);
void sql_free_auto(struct sql **sql);
void sql_add(struct sql *sql, const char *text);
void sql_str(struct sql *sql, struct str text);
/* Appends a placeholder for the value. */
void sql_i64(struct sql *sql, int64_t value);
void sql_text(struct sql *sql, struct str value);
/* The same; a text that was given before in this way is bound once. */
void sql_text_again(struct sql *sql, struct str value);
void sql_arg(struct sql *sql, struct sql_arg value);
void sql_value(struct sql *sql, const struct entity_field *field, const struct value *value);
/* Prepares and binds. */
MUST_CHECK enum err_code sql_prepare(struct sql *sql, struct tx *tx, struct stmt **out, struct err *err);
/* The pattern with $T as the table and $C as the column.  ERR_INTERNAL when `out` is too small. */
MUST_CHECK enum err_code sql_fill(const char *pattern, struct str table, struct str column, char *out,
                                  size_t size, struct err *err);
