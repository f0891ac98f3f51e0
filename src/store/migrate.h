/* migrate.h - brings a database to the tables that this program needs; forward only.
 *
 * Migrations lie in src/ROOM/migrations/NNNN-name.sql and src/platform/MODULE/migrations/NNNN-name.sql and
 * are embedded in the program in the order of floors (tools/migrations.py).  A migration that was applied
 * never changes: its checksum is kept and compared.
 *
 * Scripts use the tokens of store.h, and lines that stand alone:
 *     -- only sqlite        what follows is for that backend, until "-- only all"
 *     -- only postgres
 *     -- period TABLE by COLUMN ms|id      see store.h, period tables
 * A migration is additive when it holds nothing but CREATE TABLE / INDEX / VIEW / TRIGGER / FUNCTION,
 * ALTER TABLE ... ADD COLUMN, and INSERT.
 * Threads: any; nodes that start together wait for each other.  Layer: store. */
#pragma once
#include "store/store.h"

struct store_migration {
    const char *room; /* "store", "platform/audit" */
    const char *name; /* "0001-start" */
    const char *sql;
};

/* All of this program's, in order. */
extern const struct store_migration STORE_MIGRATIONS[];
extern const int STORE_MIGRATIONS_COUNT;

enum migrate_mode {
    MIGRATE_LOOK,     /* only tells what is pending */
    MIGRATE_ADDITIVE, /* `serve`: an empty database gets everything, else only what adds */
    MIGRATE_ALL,      /* `bihuan migrate` */
};

struct migrate_report {
    bool was_empty;       /* no migration had been applied */
    int applied, pending; /* pending: still to do afterwards */
    char next[128];       /* "room/name" of the first pending one, or "" */
    bool next_additive;
};

/* All pending ones in one transaction, so that a failure leaves the database as it was.
 * ERR_PRECONDITION "store.migrate_needed": MIGRATE_ADDITIVE and one is not additive; nothing was applied.
 * ERR_CORRUPT "store.migration_changed": an applied one is no longer what it was.
 * ERR_UNSUPPORTED "store.newer": the database holds a non-additive migration that this program lacks.
 * Errors of the SQL carry the migration's name in err->doing.  `out` may be NULL. */
MUST_CHECK enum err_code store_migrate(struct store *store, const struct store_migration *list, int count,
                                       enum migrate_mode mode, struct migrate_report *out, struct err *err);

/* True when the script (for that backend) holds only what adds. */
bool migration_is_additive(const char *sql);
