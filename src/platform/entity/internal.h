/* internal.h - what the files of this folder share: the engine, statements made at load, SQL in pieces.
 *
 * SQL text is made in *_sql.c files only; values are always bound.
 * Layer: platform/entity, not for others. */
#pragma once
#include "platform/entity/entity.h"
#include "platform/entity/sql.h"
#include "platform/entity/value.h"
#include "platform/identity/principal.h"
#include "store/store.h"

#define ENTITY_HOOKS_MAX 64

struct hook {
    const struct entity_type *type; /* NULL = all */
    entity_hook_fn fn;
    void *arg;
    bool after;
};

/* Texts made once for each type. */
struct statements {
    const char *columns; /* t."id", t."version", ... in the order of the fields */
    const char *get;     /* columns of ?1 */
    const char *insert, *remove;
};

struct feel_program;

struct entity {
    struct entity_config config;
    struct arena *arena;
    struct types *types;
    struct statements *statements;      /* by number_in_types */
    const struct feel_program ***rules; /* by number_in_types, then by rule */
    struct feel_scope **scopes;         /* names of FEEL conditions by number_in_types */
    struct hook hooks[ENTITY_HOOKS_MAX];
    int hooks_count;
    struct text_tidy *tidy; /* NULL: nobody empties lists */
};

/* ---- rows ---- */

/* The fields of the current row from column `first` on; texts are borrowed until the next step. */
void row_values(const struct entity_type *type, struct stmt *stmt, int first, struct value *values);
/* The same with texts copied into the arena. */
MUST_CHECK enum err_code row_values_keep(const struct entity_type *type, struct stmt *stmt,
                                         struct arena *arena, struct value *values, struct err *err);
/* What a sealed value belongs to. */
#define ENTITY_SEAL_CONTEXT 140
struct str seal_context(const struct entity_type *type, int field, int64_t id, char out[ENTITY_SEAL_CONTEXT]);
/* Binds a value; sensitive ones are sealed into the arena first. */
MUST_CHECK enum err_code value_seal(const struct entity_call *call, const struct entity_type *type, int field,
                                    int64_t id, struct value *value, struct err *err);
/* Opens a sealed value in place, masked unless `plain`. */
MUST_CHECK enum err_code value_unseal(const struct entity_call *call, const struct entity_type *type,
                                      int field, int64_t id, bool plain, struct value *value,
                                      struct err *err);
void stmt_bind_value(struct stmt *stmt, int index, const struct entity_field *field,
                     const struct value *value);

/* Appends the record as a JSON object without the closing brace. */
MUST_CHECK enum err_code record_json_open(const struct entity_call *call, const struct entity_type *type,
                                          struct value *values, bool plain, struct buf *out, struct err *err);

/* One write going on: sensitive values are plain in here, sealed only on their way into the row. */
struct write {
    const struct entity_call *call;
    struct tx *tx;
    const struct entity_type *type;
    int64_t id;
    struct value before[TYPE_FIELDS_MAX], after[TYPE_FIELDS_MAX];
    bool changed[TYPE_FIELDS_MAX];
};

/* *out: the row is there and the caller may reach it by that permission. */
MUST_CHECK enum err_code row_reached(const struct entity_call *call, struct tx *tx,
                                     const struct entity_type *type, int64_t id, const char *action,
                                     bool *out, struct err *err);
/* ERR_FORBIDDEN "entity.out_of_scope" unless the caller may reach a row as it stands in w->after, which is
 * not looked for: on PostgreSQL reading a new row conflicts with all that are being made beside it. */
MUST_CHECK enum err_code values_must_reach(const struct write *w, const char *action, struct err *err);
/* Fills w->before within the caller's read scope: ERR_NOT_FOUND. */
MUST_CHECK enum err_code row_read(struct write *w, struct err *err);
/* A unique key that is taken: ERR_CONFLICT "entity.duplicate" {fields} with the field's pointer. */
MUST_CHECK enum err_code row_insert(struct write *w, struct err *err);
/* The changed fields, by id and version. */
MUST_CHECK enum err_code row_update(struct write *w, struct err *err);
MUST_CHECK enum err_code row_delete(struct write *w, struct err *err);

/* Many records in one transaction that fails as a whole: rows are posted, and a reference that was found once
 * is not looked for again. */
#define BULK_KNOWN 1024
struct bulk {
    struct {
        const char *table;
        int64_t id;
    } there[BULK_KNOWN]; /* by hash; the newer one stays */
    struct {
        const struct shape *shape;
        char key[48];
        int64_t id;
    } keys[BULK_KNOWN];
};

/* ---- who ---- */

bool call_is_engine(const struct entity_call *call);
/* "ops.ticket.read" */
struct str permission_of(const struct entity_type *type, const char *action, char out[ERR_TEXT_MAX]);
/* ERR_FORBIDDEN "entity.forbidden" {permission} unless some grant has it. */
MUST_CHECK enum err_code call_may(const struct entity_call *call, const struct entity_type *type,
                                  const char *action, struct err *err);
bool call_sees_plain(const struct entity_call *call, const struct entity_type *type);
/* Whether sensitive values are shown: PACK.TYPE.sensitive has a scope as every permission has. */
enum sees { SEES_MASKED, SEES_PLAIN, SEES_BY_ROW };
enum sees call_sees(const struct entity_call *call, const struct entity_type *type);
/* SEES_BY_ROW: appends ", 1 or 0" for the row t; else nothing.  row_plain() reads it from that column. */
void plain_sql(const struct entity_call *call, const struct entity_type *type, struct sql *sql);
bool row_plain(const struct entity_call *call, const struct entity_type *type, struct stmt *stmt, int column);

/* What a reference points to, as far as the caller may read it: a table or sub-select for a FROM; false when
 * nothing may be read.  Organisations, people and probe nodes have names that everybody may know. */
bool reference_rows_sql(const struct entity_call *call, const struct shape *shape, struct sql *sql);
bool reference_limited(const struct entity_call *call, const struct shape *shape);
MUST_CHECK enum err_code reference_reached(const struct entity_call *call, struct tx *tx,
                                           const struct shape *shape, int64_t id, bool *out, struct err *err);

/* Appends " AND (...)" for the rows (alias t) that the caller may reach by that permission.
 * ERR_FORBIDDEN when there is no grant at all. */
MUST_CHECK enum err_code scope_sql(const struct entity_call *call, const struct entity_type *type,
                                   const char *action, struct sql *sql, struct err *err);
/* The same as a test of each row, which leaves the planner no way to the rows by the organisation: for a walk
 * along another index.  `org` is the alias that carries the organisation ("t."); another than t. only where
 * scope_is_orgs(). */
MUST_CHECK enum err_code scope_check_sql(const struct entity_call *call, const struct entity_type *type,
                                         const char *action, const char *org, struct sql *sql,
                                         struct err *err);
/* True when the scope limits the organisation and nothing else. */
bool scope_is_orgs(const struct entity_call *call, const struct entity_type *type, const char *action);
/* True when scope_sql() would add nothing. */
bool scope_is_all(const struct entity_call *call, const struct entity_type *type, const char *action);

/* The organisations of a scope that limits nothing else and holds at most SCOPE_ORGS_MAX; *out_count is 0 for
 * every other scope. */
#define SCOPE_ORGS_MAX 64
MUST_CHECK enum err_code scope_orgs(const struct entity_call *call, struct tx *tx,
                                    const struct entity_type *type, const char *action, int64_t *out,
                                    int *out_count, struct err *err);

/* The end of the range of texts that begin with `path`, which ends with '/'; NULL ptr without memory. */
struct str path_end(struct str path, struct arena *arena);
/* grid_sql.c: the tree of core.grid follows its records from now on. */
MUST_CHECK enum err_code grid_watch(struct entity *entity, struct err *err);
/* Puts cells into the tree that were there before it. */
MUST_CHECK enum err_code grid_fill(struct entity *entity, struct tx *tx, struct err *err);

/* ---- parts ---- */

MUST_CHECK enum err_code statements_make(struct entity *entity, struct err *err);
/* table_sql.c */
struct migrating; /* migrate.h */
/* Migrations of packs first; then tables are made to be what the types say.
 * ERR_PRECONDITION "entity.needs_migration" with faults; nothing may then be kept. */
MUST_CHECK enum err_code tables_sync(struct migrating *m, struct err *err);
/* Only tells the differences. */
MUST_CHECK enum err_code tables_look(struct entity *entity, struct tx *tx, struct findings *findings,
                                     struct err *err);
/* text_sql.c: the search index of a type.  `before` NULL = the record is new; `after` NULL = it goes. */
MUST_CHECK enum err_code text_create(struct tx *tx, const struct entity_type *type, struct err *err);
MUST_CHECK enum err_code text_drop(struct tx *tx, const char *table, struct err *err);
MUST_CHECK enum err_code text_fill(struct tx *tx, const struct entity_type *type, struct err *err);
MUST_CHECK enum err_code text_put(struct tx *tx, const struct entity_type *type, int64_t id,
                                  const struct value *before, const struct value *after, struct err *err);
/* text_tidy_sql.c: tells that a record with these values was put into the index; tidy may be NULL. */
struct text_tidy;
void text_tidy_note(struct text_tidy *tidy, const struct entity_type *type, const struct value *values);
void text_tidy_free(struct entity *entity);
/* common_sql.c: the row in `subject` or `cases`, history, numbers, references. */
MUST_CHECK enum err_code common_put(struct tx *tx, const struct entity_type *type, int64_t id,
                                    const struct value *values, struct err *err);
MUST_CHECK enum err_code common_delete(struct tx *tx, const struct entity_type *type, int64_t id,
                                       struct err *err);
MUST_CHECK enum err_code history_add(const struct entity_call *call, struct tx *tx,
                                     const struct entity_type *type, int64_t id, int64_t version,
                                     const char *action, struct str changes, struct err *err);
MUST_CHECK enum err_code number_next(struct tx *tx, const struct entity_type *type, int64_t day,
                                     struct arena *arena, struct str *out, struct err *err);
/* Every given reference and dictionary code of `values` is there; faults go to call->findings.  Those that
 * the caller gave himself (members of `by_caller`) must be within what he may read. */
MUST_CHECK enum err_code references_check(const struct entity_call *call, struct tx *tx,
                                          const struct entity_type *type, const struct value *values,
                                          const json_t *by_caller, struct err *err);
/* ERR_CONFLICT "entity.referenced" {what} when a record of any type refers to this one. */
MUST_CHECK enum err_code references_none(const struct entity *entity, struct tx *tx,
                                         const struct entity_type *type, int64_t id, struct err *err);
/* The id behind a natural key as an import writes it; *out_found false when there is none. */
MUST_CHECK enum err_code reference_find(struct tx *tx, const struct shape *shape, struct str key,
                                        int64_t *out_id, bool *out_found, struct err *err);
/* reference_sql.c.  Of a list of references the shape of its items, else NULL. */
const struct shape *list_of_references(const struct entity_field *field);
/* "(...) e": the items of the list in that column of t, as ids e.value in the order of e.place; the aggregate
 * that joins texts; the names of such a list, in its order, without those that the caller may not read. */
void list_items_sql(const struct entity_call *call, struct str column, struct buf *out);
const char *list_join_sql(const struct entity_call *call);
void list_label_sql(const struct entity_call *call, const struct entity_field *field, struct sql *sql);
/* Can a value of that shape refer to a record of the type, at any depth?  Does some record of `other` do so
 * in an array or object field? */
bool shape_may_refer(const struct shape *shape, const struct entity_type *type);
MUST_CHECK enum err_code referred_inside(struct tx *tx, const struct entity_type *other, int field,
                                         const struct entity_type *type, int64_t id, bool *out,
                                         struct err *err);
/* Does the field have a title or name of its own beside its value? */
bool label_there(const struct entity_field *field);
/* Then: appends the scalar sub-select for it; NULL for what the caller may not read. */
void label_sql(const struct entity_call *call, const struct entity_field *field, struct sql *sql);

/* Adds {CODE: title} of the active items in their order. */
MUST_CHECK enum err_code dictionary_labels(struct tx *tx, struct str dictionary, enum lang lang, json_t *out,
                                           struct err *err);

/* rule.c: FEEL over a record */
struct feel_value;
MUST_CHECK enum err_code value_feel(const struct entity_call *call, const struct entity_field *field,
                                    const struct value *value, struct feel_value *out, struct err *err);
MUST_CHECK enum err_code rules_compile(struct entity *entity, struct findings *findings, struct err *err);
MUST_CHECK enum err_code rules_check(const struct entity_call *call, const struct entity_type *type,
                                     const struct value *values, struct err *err);
/* Appends " AND (...)" for a FEEL filter. */
MUST_CHECK enum err_code filter_add(const struct entity_call *call, struct tx *tx,
                                    const struct entity_type *type, struct str filter, struct sql *sql,
                                    struct err *err);

/* blind_sql.c: the digest of a sealed value, in hexadecimal, and the column beside it that holds it. */
#define BLIND_SIZE 33
#define BLIND_COLUMN_SIZE (PACK_NAME_MAX + 10)
void blind_digest(const struct entity *entity, const struct entity_type *type, int field, struct str plain,
                  char out[BLIND_SIZE]);
struct str blind_column(const struct entity_field *field, char out[BLIND_COLUMN_SIZE]);
/* Where there is a value and no digest yet. */
MUST_CHECK enum err_code blind_fill(struct entity *entity, struct tx *tx, const struct entity_type *type,
                                    int field, struct err *err);

/* fact_sql.c: appends " AND ..." for the window of the call; nothing where there is none. */
bool facts_limited(const struct entity_call *call, const struct entity_type *type);
void facts_sql(const struct entity_call *call, const struct entity_type *type, struct sql *sql);

/* list_sql.c: FROM, WHERE and ORDER BY of a list without its pages, behind "SELECT columns". */
MUST_CHECK enum err_code list_rest_sql(const struct entity_call *call, struct tx *tx,
                                       const struct entity_type *type, const struct entity_list *list,
                                       struct sql *sql, struct err *err);

/* data_sql.c */
MUST_CHECK enum err_code pack_data_seen(struct entity *entity, struct str pack, struct str path,
                                        struct str checksum, bool *out_known, bool *out_same,
                                        struct err *err);
MUST_CHECK enum err_code pack_data_put(struct entity *entity, struct str pack, struct str path,
                                       struct str checksum, int64_t rows, struct err *err);
MUST_CHECK enum err_code pack_record_put(struct tx *tx, int64_t id, struct str pack, int64_t version,
                                         struct err *err);
MUST_CHECK enum err_code pack_record_edited(struct tx *tx, const struct entity_type *type, int64_t id,
                                            bool *out, struct err *err);

/* record.c: entity_update() that also tells whether anything changed. */
MUST_CHECK enum err_code record_change(const struct entity_call *call, struct tx *tx,
                                       const struct entity_type *type, int64_t id, int64_t version,
                                       const json_t *patch, int64_t *out_version, bool *out_changed,
                                       struct err *err);

/* event.c */
MUST_CHECK enum err_code event_after(const struct entity_call *call, struct tx *tx,
                                     const struct entity_type *type, const char *what, int64_t id,
                                     int64_t version, struct err *err);
MUST_CHECK enum err_code audit_record(const struct entity_call *call, struct tx *tx,
                                      const struct entity_type *type, const char *action, int64_t id,
                                      struct str name, struct str before, struct str after, struct err *err);
