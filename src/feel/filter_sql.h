/* filter_sql.h - a FEEL filter as SQL: the subset that means exactly the same in the evaluator, in SQLite and
 * in PostgreSQL; anything else is refused with its position, never evaluated by fetching everything.
 *
 * The subset, over columns and constants:
 *   = != < <= > >=       a column with a constant or with a column of its type; text by code points
 *   x = null, x != null
 *   x between a and b, x in [a..b], x in (1, 2, < 3, [5..7]), x in [1, 2]     with constants
 *   and, or, not(...), true, false, boolean columns
 *   contains(x, "t"), starts with(x, "t"), ends with(x, "t"), string length(x)
 *   x = "t", x != "t", x in ("t", "u"), x = null     of a sealed column, and nothing else
 *   x.year, x.month, x.day of date columns (years 0000 to 9999)
 * Arithmetic is left out (the two databases overflow differently), and so is upper and lower case (they know
 * different letters).
 * The SQL is a condition whose truth is that of the expression: rows where it is null are left out as well.
 * Threads: values only.  Layer: feel. */
#pragma once
#include "feel/feel.h"

enum filter_dialect { FILTER_SQLITE, FILTER_POSTGRES };

/* How a column stores its values. */
enum filter_type {
    FILTER_BOOLEAN, /* integer 0/1 */
    FILTER_INTEGER, /* int64 */
    FILTER_REAL,    /* double: compared with numbers that are exact as a double, no arithmetic */
    FILTER_TEXT,    /* UTF-8 text */
    FILTER_DATE,    /* text YYYY-MM-DD */
    FILTER_INSTANT, /* int64, UTC milliseconds */
    FILTER_SEALED,  /* digests of texts: = and != with texts, in (...) of texts, null, and nothing else */
};

struct filter_column {
    struct str sql; /* what to write for it, quoted and qualified by the caller, as in t."name" */
    enum filter_type type;
    /* FILTER_SEALED: the digest of a text, in the arena of the caller; ptr NULL without memory. */
    struct str (*digest)(void *arg, size_t slot, struct str text);
    void *arg;
    size_t slot;
};

/* The column of a name of the scope; false: may not be filtered by (refused with feel.filter_column). */
typedef bool (*filter_columns)(void *arg, size_t slot, struct filter_column *out);

struct filter_bind {
    enum { FILTER_BIND_I64, FILTER_BIND_F64, FILTER_BIND_TEXT } kind;
    int64_t i64;
    double f64;
    struct str text;
};

#define FILTER_BINDS_MAX 200
#define FILTER_SQL_MAX 65536

struct filter_sql {
    struct str sql; /* with placeholders ?N from `first_bind` on */
    const struct filter_bind *binds;
    size_t binds_count;
};

/* Text of a filter -> SQL.  `scope` has the names a filter may use (their slots are given to `columns`),
 * built with feel_scope_add(); their FEEL types are the caller's: number, string, boolean, date, date and
 * time. ERR_INVALID      a syntax error or a wrong type, with line and column. ERR_UNSUPPORTED  outside of
 * the subset: feel.filter_unsupported {what}, or feel.filter_sealed, with line and column. ERR_LIMIT too many
 * constants or too long.   ERR_NOMEM. *out lives in the arena. */
MUST_CHECK enum err_code filter_sql(struct arena *arena, const struct feel_scope *scope, struct str text,
                                    enum filter_dialect dialect, filter_columns columns, void *arg,
                                    int first_bind, struct filter_sql *out, struct err *err);
