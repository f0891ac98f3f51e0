/* entity.h - records of every type: create, update, delete, get, list, history, import, export.
 *
 * One engine for all types.  It adds to every statement what nobody may forget: the row scope of who
 * asks, masking, checks of references, history and audit in the same transaction, the search index,
 * numbers, the common row of subjects and cases, and the event record.* after the commit.
 *
 * Rooms of the engine call it from C inside a transaction of their own; the routes of
 * /api/v1/PACK/TYPE do the same.  A record is a JSON object as the API shows it: ids are strings,
 * instants RFC 3339, days YYYY-MM-DD; read it with json_* or with record_id() and friends below.
 *
 * Threads: the engine is shared and does not change after entity_open() but for its hooks, which are
 * added before serving; a call belongs to one thread.
 * Layer: platform/entity; above store, feel, net, identity, audit, bus. */
#pragma once
#include "base/buf.h"
#include "base/ids.h"
#include "base/zone.h"
#include "platform/entity/type.h"

struct store;
struct tx;
struct principal;
struct bus;
struct broadcast;
struct audit;
struct key_ring;
struct reseal_counts;
struct bulk;
struct entity;

struct entity_config {
    struct store *store; /* NULL = only to check packs */
    const struct packs *packs;
    struct ids *ids;
    const struct clock *clock;
    const struct zone *zone; /* of the days in numbers and queries; NULL: UTC+8 */
    const struct words *words;
    struct bus *bus;             /* NULL = no events */
    struct broadcast *broadcast; /* NULL = events of this node only */
    struct audit *audit;         /* NULL = nothing is audited (tests) */
    struct key_ring *keys;       /* NULL = types with sensitive fields are refused */
};

/* Compiles the types.  Nothing is read from the store.  ERR_INVALID when `findings` got any; ERR_NOMEM. */
MUST_CHECK enum err_code entity_open(const struct entity_config *config, struct findings *findings,
                                     struct entity **out, struct err *err);
void entity_free(struct entity *entity);
const struct types *entity_types(const struct entity *entity);
/* Of the config. */
const struct zone *entity_zone(const struct entity *entity);
/* By "pack.type", or NULL. */
const struct entity_type *entity_type_find(const struct entity *entity, const char *full);

/* Brings the tables to what the types say.  Only additions are applied (new table, column, index);
 * anything else is ERR_PRECONDITION "entity.needs_migration" with one finding each.  With `apply` false
 * nothing is changed and every difference is a finding. */
MUST_CHECK enum err_code entity_tables(struct entity *entity, bool apply, struct findings *findings,
                                       struct err *err);
/* `bihuan migrate`: the migrations that packs wrote down and what waits for it; all in one transaction, which
 * is undone again unless `apply`.  `news` tells what is done, `faults` what hinders.
 * ERR_PRECONDITION "entity.needs_migration" with faults: nothing was kept.
 * ERR_CORRUPT "entity.migration_changed". */
MUST_CHECK enum err_code entity_migrate(struct entity *entity, bool apply, struct findings *news,
                                        struct findings *faults, struct err *err);
/* Makes the search indexes anew from the records, one transaction a type: after a restore. */
MUST_CHECK enum err_code entity_search_rebuild(struct entity *entity, struct err *err);
/* Seals up to about `limit` values of records of the type behind id *after anew that another key than the
 * newest seals; *after moves on, *out_end tells that no records are behind it.  Version, history, events and
 * the time of the change stay; a value that somebody writes meanwhile is not touched.  Adds to `counts`.
 * Errors of the store, of seal(); the portion is then not written and *after stands. */
MUST_CHECK enum err_code entity_reseal(struct entity *entity, const struct entity_type *type, int limit,
                                       int64_t *after, bool *out_end, struct reseal_counts *counts,
                                       struct err *err);
/* Loads data/ (and demo/ when asked) of packs whose version or files are new in this store. */
MUST_CHECK enum err_code entity_load_data(struct entity *entity, bool demo, struct findings *findings,
                                          struct err *err);

/* The facts that hold at two instants: those that had happened by `as_of` and were known by `known_until`,
 * without those that a fact known by then corrects.  The same instants give the same facts for ever, since
 * facts are only added (one taken over with an earlier `known_at` belongs to what was known then). */
struct fact_window {
    int64_t as_of, known_until;
};

/* The data files of all packs against their types, without a store; what is wrong goes to `findings` with
 * file, line and column.  ERR_NOMEM. */
MUST_CHECK enum err_code entity_check_data(struct entity *entity, struct findings *findings, struct err *err);

/* Who does it, and where answers live. */
struct entity_call {
    struct entity *entity;
    const struct principal *who; /* NULL = the engine itself: no scope, no permission asked, not masked */
    enum lang lang;
    struct arena *arena;
    struct findings *findings; /* every fault of a record, with pointers; NULL = only the first, in err */
    bool labels;               /* answers carry "_labels": titles of codes and references */
    const struct fact_window *facts; /* of types of kind fact; NULL = every fact, corrected ones too */
    bool quiet;                      /* no event for each record (large imports) */
    struct str remote, request_id;   /* for the audit; may be empty */
    struct bulk *bulk;               /* of an import; NULL for everybody else */
};

/* PostgreSQL: from now on the pending entries of the search indexes are merged beside the writers, by a
 * thread that ends with entity_free().  Nothing to do on SQLite.  ERR_NOMEM and those of the store. */
MUST_CHECK enum err_code entity_tidy_start(struct entity *entity, struct err *err);
/* Before a transaction that makes or changes records of that type: waits, at most until the thread's
 * deadline, while far too much is still to be merged. */
void entity_wait_room(struct entity *entity, const struct entity_type *type);

/* Creates a record within `tx`.  `fields` is borrowed.
 * ERR_OK         *out_id is set.
 * ERR_INVALID    a field is wrong; err->at.pointer names it.     ERR_CONFLICT  breaks a unique key.
 * ERR_FORBIDDEN  no permission, or outside the caller's scope.   ERR_STORE and others of the store. */
MUST_CHECK enum err_code entity_create(const struct entity_call *call, struct tx *tx,
                                       const struct entity_type *type, const json_t *fields, int64_t *out_id,
                                       struct err *err);

/* The same; *out_shown tells that the record, as entity_get_json() would give it now, was appended to `out`
 * without reading it. */
MUST_CHECK enum err_code entity_create_json(const struct entity_call *call, struct tx *tx,
                                            const struct entity_type *type, const json_t *fields,
                                            int64_t *out_id, bool *out_shown, struct buf *out,
                                            struct err *err);

/* Merge patch (RFC 7396) of one record.  `version` is the one the caller saw; 0 = whatever it is now.
 * Also ERR_NOT_FOUND (absent or out of scope) and ERR_STALE (arguments "yours" and "now").
 * A patch that changes nothing leaves the version alone. */
MUST_CHECK enum err_code entity_update(const struct entity_call *call, struct tx *tx,
                                       const struct entity_type *type, int64_t id, int64_t version,
                                       const json_t *patch, int64_t *out_version, struct err *err);

/* ERR_CONFLICT "entity.referenced" while another record refers to it. */
MUST_CHECK enum err_code entity_delete(const struct entity_call *call, struct tx *tx,
                                       const struct entity_type *type, int64_t id, int64_t version,
                                       struct err *err);

/* *out is a new JSON object the caller owns.  ERR_NOT_FOUND. */
MUST_CHECK enum err_code entity_get(const struct entity_call *call, struct tx *tx,
                                    const struct entity_type *type, int64_t id, json_t **out,
                                    struct err *err);

/* Appends the same as JSON text; *out_version (may be NULL) for the ETag. */
MUST_CHECK enum err_code entity_get_json(const struct entity_call *call, struct tx *tx,
                                         const struct entity_type *type, int64_t id, int64_t *out_version,
                                         struct buf *out, struct err *err);

/* Appends {"items":[{"version","at","by","by_name","action","changes"}]}, newest first.  ERR_NOT_FOUND. */
MUST_CHECK enum err_code entity_history_json(const struct entity_call *call, struct tx *tx,
                                             const struct entity_type *type, int64_t id, struct buf *out,
                                             struct err *err);

struct entity_list {
    struct str filter; /* FEEL over the fields, or empty */
    struct str text;   /* words that must all be found in the searched fields, or empty */
    struct str sort;   /* "field" or "-field", empty = the type's default */
    struct str after;  /* cursor of the page before, or empty */
    int limit;         /* 1 to ENTITY_PAGE_MAX; 0 = 50 */
    const char
        *where; /* engine rooms: a further condition on the columns (alias t) of a *_sql.c file, or NULL */
    const int64_t *where_args; /* bound to ?1 ... of `where` */
    int where_args_count;
    const char *also; /* a further permission in whose scope the rows must lie ("export"), or NULL */
};
#define ENTITY_PAGE_MAX 200
#define ENTITY_COUNT_MAX 10000

/* Appends {"items":[...],"next":CURSOR|null} to `out`. */
MUST_CHECK enum err_code entity_list_json(const struct entity_call *call, struct tx *tx,
                                          const struct entity_type *type, const struct entity_list *list,
                                          struct buf *out, struct err *err);
/* Exact up to ENTITY_COUNT_MAX, else that and *out_exact = false (PostgreSQL: also where a sample tells that
 * there are some four times as many). */
MUST_CHECK enum err_code entity_count(const struct entity_call *call, struct tx *tx,
                                      const struct entity_type *type, const struct entity_list *list,
                                      int64_t *out_count, bool *out_exact, struct err *err);

/* Calls `each` for all records in id order (engine rooms loading their configuration; exports).
 * `record` is borrowed.  A code other than ERR_OK stops and is returned. */
typedef enum err_code (*entity_each_fn)(void *arg, int64_t id, const json_t *record, struct err *err);
MUST_CHECK enum err_code entity_each(const struct entity_call *call, struct tx *tx,
                                     const struct entity_type *type, struct str filter, entity_each_fn each,
                                     void *arg, struct err *err);

/* The id of the record with that natural key (types with x-key of one field, or code); ERR_NOT_FOUND. */
MUST_CHECK enum err_code entity_find_key(const struct entity_call *call, struct tx *tx,
                                         const struct entity_type *type, struct str key, int64_t *out_id,
                                         struct err *err);

/* Hooks of engine rooms, in the transaction, before the row is written.  `before` is NULL on create,
 * `after` on delete; `after` may be changed (it is checked again).  An error refuses the write.
 * May run twice, so it only touches the store. */
enum entity_op { ENTITY_CREATE, ENTITY_UPDATE, ENTITY_DELETE };
struct entity_change {
    enum entity_op op;
    const struct entity_type *type;
    int64_t id;
    const json_t *before;
    json_t *after;
};
typedef enum err_code (*entity_hook_fn)(void *arg, const struct entity_call *call, struct tx *tx,
                                        struct entity_change *change, struct err *err);
/* `full` is "pack.type", or "*" for all.  Before serving only.  ERR_NOT_FOUND, ERR_LIMIT. */
MUST_CHECK enum err_code entity_hook_add(struct entity *entity, const char *full, entity_hook_fn fn,
                                         void *arg, struct err *err);
/* The same after the row is written (its common row, index and history too), still in the transaction. */
MUST_CHECK enum err_code entity_hook_after_add(struct entity *entity, const char *full, entity_hook_fn fn,
                                               void *arg, struct err *err);

/* After the commit the bus hears `record.created`, `record.updated`, `record.deleted` with
 * {"type":"ops.ticket","id":"...","version":n}. */

/* Reading a record.  Absent or null: 0, empty, false. */
int64_t record_id(const json_t *record, const char *field); /* ids are strings */
int64_t record_i64(const json_t *record, const char *field);
int64_t record_instant(const json_t *record, const char *field); /* RFC 3339 -> ms, INT64_MIN when null */
struct str record_str(const json_t *record, const char *field);
bool record_bool(const json_t *record, const char *field);

/* For queries: "(SELECT columns FROM table WHERE scope)", without sensitive columns, only the rows that the
 * caller may read.  ERR_FORBIDDEN without the permission. */
struct sql;
MUST_CHECK enum err_code entity_rows_sql(const struct entity_call *call, const struct entity_type *type,
                                         struct sql *sql, struct err *err);
/* The same over the common table of all subjects or all cases: rows of the types that the caller may read. */
MUST_CHECK enum err_code entity_common_sql(const struct entity_call *call, bool cases, struct sql *sql,
                                           struct err *err);
/* Columns of the common tables, NULL-terminated. */
extern const char *const ENTITY_SUBJECT_COLUMNS[];
extern const char *const ENTITY_CASE_COLUMNS[];
