/* query.h - named SQL queries of packs: packs/NAME/queries/NAME.sql (docs/packs.md, Queries).
 *
 * A query names record types, `FROM @ops.ticket t` (bare within the own pack), and engine relations; when it
 * runs, a scoped sub-select stands there, put in by tokens and not by text, without sensitive columns.  At
 * load every query is prepared against a mirror of the relations under SQLite's authorizer: a bare table, a
 * second statement, a write, a function that both databases do not know alike is refused.
 * Threads: does not change after loading; a run belongs to one thread.
 * Layer: platform/query; above entity. */
#pragma once
#include "platform/entity/entity.h"

#define QUERY_ROWS_DEFAULT 1000
#define QUERY_ROWS_MAX 10000
#define QUERY_PARAMS_MAX 20
#define QUERY_COLUMNS_MAX 60
#define QUERIES_MAX 1000

struct queries;

/* A relation of a room above, which hands it down at start: `@NAME`. */
struct query_relation {
    const char *name;    /* "alarm" */
    const char *select;  /* of the room's *_sql.c: "SELECT id, subject, ... FROM alarm" */
    const char *columns; /* what it selects, by blanks: "id subject grade" */
    const char *subject; /* the column that holds a subject: rows of subjects one may read; NULL: needs the
                            permission in a scope of everything */
    const char *cases;   /* the column that holds a case: rows of cases one may read; needs no permission */
    const char *permission; /* "core.alarm.read" */
};

enum query_kind {
    QUERY_TEXT,
    QUERY_INTEGER,
    QUERY_NUMBER,
    QUERY_BOOLEAN,
    QUERY_DATE,
    QUERY_INSTANT,
    QUERY_REFERENCE,
    QUERY_KIND__COUNT
};

/* Loads and checks the queries of all packs; what is wrong goes to `findings` with file and line.
 * `relations` ends with a NULL name, may be NULL, and must outlive it.  ERR_NOMEM, ERR_LIMIT. */
MUST_CHECK enum err_code queries_load(struct entity *entity, const struct packs *packs,
                                      const struct query_relation *relations, struct findings *findings,
                                      struct queries **out, struct err *err);
void queries_free(struct queries *queries);
int queries_count(const struct queries *queries);

struct query;
const struct query *queries_find(const struct queries *queries, struct str pack, struct str name);
const struct query *queries_at(const struct queries *queries, int i);
struct str query_name(const struct query *query); /* "ops.open_tickets" */

/* The text of a parameter, or a str with NULL ptr when it is not given. */
typedef struct str (*query_param_fn)(void *arg, const char *name);

/* Runs it on the transaction's snapshot for the caller of `call` and appends
 *     {"columns":[{"name","kind","title"}],"items":[{...}],"more":false}
 * `:now`, `:today`, `:me`, `:as_of` and `:known_until` are always there.  Types of kind fact hold the facts
 * that had happened by `as_of` and were known by `known_until`, corrected ones left out (`-- facts all`:
 * every fact); both are now unless they are given, and a given `as_of` is what `:now` and `:today` tell.
 * ERR_INVALID  a parameter is missing or of the wrong kind ("/?name").   ERR_FORBIDDEN.   ERR_TIMEOUT. */
MUST_CHECK enum err_code query_run(const struct queries *queries, const struct query *query,
                                   const struct entity_call *call, struct tx *tx, query_param_fn param,
                                   void *arg, struct buf *out, struct err *err);
