/* dump.h - all rows of a database in a neutral form, for backup, restore and the move between backends.
 *
 * A row is one line of JSON, an array in the order of the table's columns: null, whole number, {"f":"1.5"} (a
 * floating number in 17 digits), text, {"b":"hex"} (bytes).  Left out are the store's own tables (they come
 * with the migrations), what belongs to a running process (lease, node), what describes generated tables of
 * this backend (entity_part), and search indexes, which are made anew. Threads: within the caller's tx.
 * Layer: store. */
#pragma once
#include "store/store.h"

#define DUMP_TABLES_MAX 2000
#define DUMP_COLUMNS_MAX 400

struct dump_column {
    struct str name;
    enum stmt_type type; /* as declared */
    bool not_null;
    int key; /* place in the primary key from 1; 0 = not in it */
};

struct dump_table {
    struct str name;
    struct dump_column *columns;
    int count;
};

/* All tables in the order of their names; a period table once, under its own name.  In the arena. */
MUST_CHECK enum err_code dump_tables(struct tx *tx, struct arena *arena, struct dump_table **out_tables,
                                     int *out_count, struct err *err);

/* Calls `put` for every row, in the order of the primary key.  `line` ends with a newline. */
typedef enum err_code (*dump_put)(void *arg, struct str line, struct err *err);
MUST_CHECK enum err_code dump_rows(struct tx *tx, const struct dump_table *table, dump_put put, void *arg,
                                   int64_t *out_rows, struct err *err);

/* Deletes all rows of a table that is there.  ERR_NOT_FOUND no such table. */
MUST_CHECK enum err_code dump_clear(struct tx *tx, struct str table, struct err *err);
/* Makes a plain table of these columns, when it is not there: rows of a type whose pack is missing stay. */
MUST_CHECK enum err_code dump_make(struct tx *tx, const struct dump_table *table, bool *out_made,
                                   struct err *err);
/* Inserts the rows of `lines` (each ends with a newline).  Columns that the table no longer has are an error:
 * ERR_CORRUPT "dump.column".  ERR_CORRUPT "dump.row" a line that is no row. */
MUST_CHECK enum err_code dump_load(struct tx *tx, const struct dump_table *table, struct str lines,
                                   int64_t *out_rows, struct err *err);
MUST_CHECK enum err_code dump_count(struct tx *tx, struct str table, int64_t *out_rows, struct err *err);
