/* migrate.h - migrations of packs: what tables_sync() does, and what a pack writes down to be done.
 *
 * migrations/NNNN-name.json = {"steps": [STEP, ...]}, run once, in the order of their names, before the
 * tables are compared with the types:
 *     {"type": "call", "rename": "phone", "to": "mobile"}
 *     {"type": "call", "drop": "fax"}
 *     {"type": "call", "change": "level", "using": FEEL over the record as it was}   using: may be left out
 *     {"type": "call", "codes": "state", "map": {"hold": "open", "old": null}}
 *     {"type": "call", "fill": "short", "using": FEEL}     where it is empty
 * A file of nothing but fills only adds.  Everything of one run is one transaction.
 * Layer: platform/entity, not for others. */
#pragma once
#include "platform/entity/internal.h"

enum tables_mode {
    TABLES_ADD, /* serve: what only adds */
    TABLES_ALL, /* bihuan migrate: what is written down, and what the rows bear */
};

struct migrating {
    struct entity *entity;
    struct tx *tx;
    enum tables_mode mode;
    struct findings *news;   /* what is done; NULL = nobody asks */
    struct findings *faults; /* what hinders */
};

/* Runs what is pending.  Faults of a file or of rows go to m->faults; the caller then gives up.
 * ERR_CORRUPT "entity.migration_changed": one that was run is no longer what it was. */
MUST_CHECK enum err_code pack_migrations_run(struct migrating *m, struct err *err);
/* True when the store was already brought to a newer version of the pack. */
MUST_CHECK enum err_code pack_is_older(struct tx *tx, const struct pack *pack, bool *out, struct err *err);
MUST_CHECK enum err_code pack_states_put(struct migrating *m, struct err *err);

/* ---- limits: what a field takes, as text for entity_part ---- */

/* Compact JSON of everything that narrows the values of a field; NULL ptr without memory. */
struct str field_limit(const struct entity_field *field, struct arena *arena);
/* True when whatever `old` takes is taken by `new`, too. */
bool limit_widens(struct str old, struct str new);
/* How many rows hold a value that the field does not take. */
MUST_CHECK enum err_code field_unfit(struct migrating *m, const struct entity_type *type, int field,
                                     int64_t *out_rows, struct err *err);

/* The parts of a table (table_sql.c). */
MUST_CHECK enum err_code parts_loosen(struct tx *tx, const struct entity_type *type, struct err *err);
MUST_CHECK enum err_code part_rename(struct tx *tx, struct str table, struct str from, struct str to,
                                     struct err *err);
MUST_CHECK enum err_code part_forget(struct tx *tx, struct str table, struct str name, struct err *err);
MUST_CHECK enum err_code part_define(struct tx *tx, const struct entity_type *type, int field,
                                     struct err *err);
/* The kind of value behind a definition ("text", "sealed" ...); false when it is none. */
bool part_kind_read(struct str definition, enum value_kind *out_kind, bool *out_sealed);
const char *column_sql_type(enum value_kind kind);
