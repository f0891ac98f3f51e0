/* store.h - SQL on SQLite or PostgreSQL behind one set of calls.
 *
 * Invariants: a write that answered ERR_OK is on the disk; a write that failed left nothing behind; a
 * read sees one snapshot.  A function handed to store_write() may run twice (on PostgreSQL after a
 * serialization failure), on the thread of another waiting writer (on SQLite several waiting functions
 * share one sync), and so does nothing but use its tx: parse and check before, answer after.
 * Both backends give a write the isolation "serializable" (but see store_write_claim()).
 *
 * SQL is written in the dialect both speak: placeholders ?1, ?2 ...; ON CONFLICT ... DO UPDATE; RETURNING;
 * CAST(x AS type); no booleans (0 and 1 in an integer column); instants and money as integers.  What
 * differs is a token in braces, replaced before the statement is prepared:
 *     {i64}      INTEGER | BIGINT            {f64}   REAL | DOUBLE PRECISION      {blob}  BLOB | BYTEA
 *     {text}     TEXT    | TEXT COLLATE "C"  {json}  like {text}
 *     {strict}   STRICT  | (nothing)         {no_rowid_strict}   WITHOUT ROWID, STRICT | (nothing)
 *     {skip_locked}  (nothing) | FOR UPDATE SKIP LOCKED
 *     {for_update}   (nothing) | FOR UPDATE
 * Text columns compare by code point on both.  A primary key "id {i64} PRIMARY KEY" is the rowid on SQLite.
 *
 * Threads: store_* from any; a tx and its stmts belong to the function that got them, until it returns.
 * Layer: store; may use base/ and crypto/. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

struct store;
struct tx;
struct stmt;

enum store_backend { STORE_SQLITE, STORE_POSTGRES, STORE_BACKEND__COUNT };

struct store_config {
    const char *url;           /* NULL: SQLite in data_dir; "sqlite:PATH"; "sqlite::memory:" (tests: one
                                  connection); "postgresql://..." (its options= may set the search_path) */
    const char *data_dir;      /* DIR: the database is DIR/bihuan.db; not needed with a url */
    int readers;               /* pooled read connections, 1 to 64; 0 = 4 */
    int writers;               /* PostgreSQL: pooled write connections, 1 to 64; 0 = 4.  SQLite has one */
    int64_t deadline_ms;       /* for callers that set none; 0 = 15,000 */
    const struct clock *clock; /* NULL = CLOCK_SYSTEM; deadlines always run on the machine's clock */
    const char *vfs;           /* tests: name of an SQLite VFS (store/fault_vfs.h); NULL = the normal one */
};

/* Opens (and creates) the database; no tables are made, see store/migrate.h.
 * ERR_INVALID bad url.  ERR_STORE / ERR_IO cannot open or connect.  ERR_CORRUPT not a database.
 * ERR_NOMEM.  The store keeps copies of the config's texts.  Caller closes. */
MUST_CHECK enum err_code store_open(const struct store_config *config, struct store **out_store,
                                    struct err *err);
/* No call may be running.  Accepts NULL. */
void store_close(struct store *store);

enum store_backend store_backend(const struct store *store);
enum store_backend tx_backend(const struct tx *tx);
const struct clock *store_clock(const struct store *store);
/* "sqlite", "postgres" */
const char *store_backend_name(enum store_backend backend);

/* One cheap round trip: ERR_OK when the database answers. */
MUST_CHECK enum err_code store_ping(struct store *store, struct err *err);

/* The deadline of all store calls that this thread makes from now on, in clock_mono(&CLOCK_SYSTEM)
 * milliseconds; 0 = each call gets the config's default.  A request sets it once at its start and clears
 * it at its end.  Past it a statement is broken off with ERR_TIMEOUT; a commit that has begun is waited
 * for. */
void store_deadline_set(int64_t mono_ms);
int64_t store_deadline_get(void);

/* Work inside one transaction.  Any code but ERR_OK rolls it back and is handed to the caller. */
typedef enum err_code (*store_fn)(struct tx *tx, void *arg, struct err *err);

/* Runs `fn` in a transaction that may write.  ERR_OK: committed and synced.
 * What fn returned; ERR_CONFLICT "store.duplicate" (argument "what": TABLE.COLUMN,COLUMN) or
 * "store.reference"; ERR_INVALID "store.missing_value" / "store.check"; ERR_TIMEOUT; ERR_DISK_FULL (nothing
 * was written, reading goes on); ERR_BUSY (too many waiting); ERR_STORE "store.away" (not written) or
 * "store.commit_unknown" (PostgreSQL went away during COMMIT and did not come back before the deadline);
 * ERR_CORRUPT; ERR_NOMEM. */
MUST_CHECK enum err_code store_write(struct store *store, store_fn fn, void *arg, struct err *err);

/* As store_write(), for a short write as requests make them: several that wait share one transaction and one
 * sync on PostgreSQL too (on SQLite all writes do).  `fn` neither takes long nor changes the schema. */
MUST_CHECK enum err_code store_write_shared(struct store *store, store_fn fn, void *arg, struct err *err);

/* As store_write(), for claiming work from a queue: on PostgreSQL at READ COMMITTED, so that a claim with
 * {skip_locked} neither fails nor makes others fail.  `fn` must decide only by rows that it has locked. */
MUST_CHECK enum err_code store_write_claim(struct store *store, store_fn fn, void *arg, struct err *err);

/* Runs `fn` on one snapshot; a statement that writes fails. */
MUST_CHECK enum err_code store_read(struct store *store, store_fn fn, void *arg, struct err *err);

/* ---- inside a transaction ---- */

/* A statement from the connection's cache (PostgreSQL reads it at the first step, and refuses it then). `sql`
 * is one statement and must live as long as the store when it is a literal (it is the key of the cache by
 * content, so a built text may be freed at once). ERR_INVALID "store.sql" when the database refuses it
 * (position not known), ERR_LIMIT over 256 kB. Give it back with stmt_free(). After any statement of a tx
 * failed the whole tx has failed: the function returns the error (or the failure was inside tx_nested()). */
MUST_CHECK enum err_code tx_prepare(struct tx *tx, const char *sql, struct stmt **out_stmt, struct err *err);

/* `index` from 1.  Text and blob are borrowed until the statement is reset or freed.  A str with NULL ptr
 * binds NULL for stmt_bind_text_or_null(), the empty text for stmt_bind_text().  Text must not hold NUL.
 * All bindings are NULL after tx_prepare(); they stay over stmt_reset().  A failure (index, NUL) is kept
 * and comes out of the next stmt_step() or stmt_run(). */
void stmt_bind_i64(struct stmt *stmt, int index, int64_t value);
void stmt_bind_f64(struct stmt *stmt, int index, double value);
void stmt_bind_text(struct stmt *stmt, int index, struct str text);
void stmt_bind_text_or_null(struct stmt *stmt, int index, struct str text);
void stmt_bind_blob(struct stmt *stmt, int index, const void *bytes, size_t len);
void stmt_bind_null(struct stmt *stmt, int index);

/* Moves to the next row.  ERR_OK: *out_row tells whether there is one; the columns are valid until the
 * next stmt_ call on it. */
MUST_CHECK enum err_code stmt_step(struct stmt *stmt, bool *out_row, struct err *err);
/* Runs a statement to its end, dropping rows; *out_changes (may be NULL) = rows inserted, updated, deleted.
 */
MUST_CHECK enum err_code stmt_run(struct stmt *stmt, int64_t *out_changes, struct err *err);
/* Runs a statement whose rows and changes nobody asks for.  On PostgreSQL it travels with the next statement
 * or the commit, so it costs no round trip; when it fails the tx has failed, and the next call that needs an
 * answer says so: not for what a caller wants to explain. */
MUST_CHECK enum err_code stmt_post(struct stmt *stmt, struct err *err);
/* The same for what has to find or to change a row; when it does not the tx has failed, with ERR_NOT_FOUND.
 */
MUST_CHECK enum err_code stmt_post_found(struct stmt *stmt, struct err *err);
/* True: a statement that fails costs nothing but time, as the function will run once more, and then this is
 * false.  So what a caller would want to explain may be posted meanwhile.  Only in store_write_shared(). */
bool tx_is_hopeful(const struct tx *tx);
/* The outcome of all that was posted so far. */
MUST_CHECK enum err_code tx_settle(struct tx *tx, struct err *err);
/* The first failure in this tx, or ERR_OK. */
MUST_CHECK enum err_code tx_failed(const struct tx *tx, struct err *err);
/* Ready to be run again with the same bindings. */
void stmt_reset(struct stmt *stmt);
/* Before the first step: rows are fetched in portions, so that a result of any length needs little memory.
 * Other statements may run in between. */
void stmt_stream(struct stmt *stmt);
/* Accepts NULL. */
void stmt_free(struct stmt *stmt);
void stmt_free_auto(struct stmt **stmt);

enum stmt_type { STMT_NULL, STMT_I64, STMT_F64, STMT_TEXT, STMT_BLOB };

/* Columns of the current row, from 0.  A value of another type is converted as SQL would; NULL reads as 0
 * and as a str with NULL ptr. */
int64_t stmt_i64(struct stmt *stmt, int column);
double stmt_f64(struct stmt *stmt, int column);
struct str stmt_text(struct stmt *stmt, int column);
struct str stmt_blob(struct stmt *stmt, int column);
/* A copy of the text in tx_arena(), "" for NULL.  Without memory it is "" and the tx has failed: asked by
 * tx_failed() once for a row or a list. */
struct str stmt_keep(struct stmt *stmt, int column);
bool stmt_is_null(struct stmt *stmt, int column);
enum stmt_type stmt_type(struct stmt *stmt, int column);
int stmt_columns(struct stmt *stmt);
/* The column's name (or alias); "" past the end. */
struct str stmt_column_name(struct stmt *stmt, int column);

/* A script of several statements, no parameters, tokens replaced: DDL of generated tables, migrations.
 * Statements end with ';' at the top level. */
MUST_CHECK enum err_code tx_exec(struct tx *tx, const char *sql, struct err *err);

/* Runs `fn` in a savepoint: when it fails, what it did is undone and the tx goes on. */
MUST_CHECK enum err_code tx_nested(struct tx *tx, store_fn fn, void *arg, struct err *err);

/* Memory until store_write() / store_read() returns, after-commit calls included; starts afresh when the
 * function is run again.  At most 64 MB. */
struct arena *tx_arena(struct tx *tx);

/* `call` runs once on the caller's thread after the commit, before store_write() returns, in the order of
 * registration; never when the tx failed.  It may use tx_arena() memory, not the tx.
 * ERR_LIMIT over 10,000; ERR_NOMEM. */
MUST_CHECK enum err_code tx_after_commit(struct tx *tx, void (*call)(void *arg), void *arg, struct err *err);

/* `fn` runs once within the tx when its function has ended well (or those that share its transaction), and
 * before the beginning and the end of every tx_nested(): for a row that would else be written over and over.
 * Its arg outlives the tx.  ERR_LIMIT over 8 at a time. */
MUST_CHECK enum err_code tx_before_commit(struct tx *tx, store_fn fn, void *arg, struct err *err);
/* A number that no other transaction of the store has, nor this one after anything in it was undone: what was
 * read from rows that only this writer's slot changes still holds while it is the same. */
int64_t tx_serial(const struct tx *tx);
/* The same over transactions, where the backend can tell (PostgreSQL): the one of that number was committed
 * on the connection of this tx, or is this tx, and nothing was undone on it since. */
bool tx_still_holds(const struct tx *tx, int64_t serial);

/* Which writer this is, 0 .. writers-1: the slot of its audit chain.  -1 in a read. */
int tx_writer_slot(const struct tx *tx);
struct store *tx_store(const struct tx *tx);
/* The wall clock of the store's config. */
int64_t tx_now_ms(const struct tx *tx);

/* ---- shorthands ---- */

/* Values of a statement's parameters, from ?1 on: BINDS(bind_i64(id), bind_text(name)). */
struct bind {
    enum stmt_type type;
    int64_t i64;
    double f64;
    struct str text;
};
struct binds {
    const struct bind *items;
    int count;
};
#define BINDS(...)                                                                                           \
    ((struct binds) { (const struct bind[]) { __VA_ARGS__ },                                                 \
                      (int)(sizeof((const struct bind[]) { __VA_ARGS__ }) / sizeof(struct bind)) })
#define NO_BINDS ((struct binds) { NULL, 0 })

static inline struct bind bind_i64(int64_t value)
{
    return (struct bind) { .type = STMT_I64, .i64 = value };
}
static inline struct bind bind_f64(double value)
{
    return (struct bind) { .type = STMT_F64, .f64 = value };
}
static inline struct bind bind_text(struct str text) /* ptr NULL is the empty text */
{
    return (struct bind) { .type = STMT_TEXT, .text = text };
}
static inline struct bind bind_null(void)
{
    return (struct bind) { .type = STMT_NULL };
}
/* 0 is NULL: an id, or an instant, that is not there. */
static inline struct bind bind_i64_or_null(int64_t value)
{
    return (struct bind) { .type = value ? STMT_I64 : STMT_NULL, .i64 = value };
}
static inline struct bind bind_text_or_null(struct str text) /* "" is NULL */
{
    return (struct bind) { .type = text.len ? STMT_TEXT : STMT_NULL, .text = text };
}

/* stmt_bind_*() for all of them. */
void stmt_binds(struct stmt *stmt, struct binds binds);
/* tx_prepare() with its parameters: rows are to be read by stmt_step(). */
MUST_CHECK enum err_code tx_query(struct tx *tx, const char *sql, struct binds binds, struct stmt **out_stmt,
                                  struct err *err);
/* The same, at its first row; *out_row false: there is none. */
MUST_CHECK enum err_code tx_query_row(struct tx *tx, const char *sql, struct binds binds,
                                      struct stmt **out_stmt, bool *out_row, struct err *err);
/* A statement whole: prepared, bound, stmt_run(). */
MUST_CHECK enum err_code tx_run(struct tx *tx, const char *sql, struct binds binds, int64_t *out_changes,
                                struct err *err);
/* The same with stmt_post(). */
MUST_CHECK enum err_code tx_post(struct tx *tx, const char *sql, struct binds binds, struct err *err);
/* The first column of the first row of a statement without parameters; 0 when there is no row. */
MUST_CHECK enum err_code tx_query_i64(struct tx *tx, const char *sql, int64_t *out_value, struct err *err);

/* ---- period tables: histories that are dropped whole, by month (UTC) ----
 *
 * Declared in a migration by a line before its CREATE TABLE:
 *     -- period TABLE by COLUMN ms       (COLUMN holds an instant)
 *     -- period TABLE by COLUMN id       (COLUMN holds an id of base/ids)
 * Its indexes follow as ordinary CREATE INDEX statements on TABLE.  A primary key or unique index must
 * contain COLUMN.  Read through TABLE; write through the name that tx_period() gives. */
#define STORE_NAME_SIZE 64

/* The table to write rows of that instant to ("audit_202611"), made when it is missing.
 * ERR_NOT_FOUND no such period table. */
MUST_CHECK enum err_code tx_period(struct tx *tx, const char *table, int64_t instant_ms,
                                   char out_name[STORE_NAME_SIZE], struct err *err);
/* Makes the tables of this month and the next for all period tables: at start and once a day. */
MUST_CHECK enum err_code store_periods_ensure(struct store *store, struct err *err);
/* Drops the months that ended before `before_ms`; *out_dropped = how many. */
MUST_CHECK enum err_code store_period_drop(struct store *store, const char *table, int64_t before_ms,
                                           int *out_dropped, struct err *err);

/* ---- what the store tells about itself ---- */
struct store_stats {
    int64_t writes, commits; /* functions that ended well, and the transactions (syncs) they shared */
    int64_t reads, retries, reconnects, timeouts;
    int waiting; /* writers in the queue now */
};
void store_stats(struct store *store, struct store_stats *out);

/* ---- seams for tests ---- */

/* The nth statement (0 = the next) that any tx of this store runs from now on fails with `code`
 * "store.injected"; commits count as statements.  -1 = none. */
void store_fail_at(struct store *store, long nth, enum err_code code);
