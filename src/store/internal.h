/* internal.h - what the two backends of the store share; not for other rooms.
 *
 * A store has connections; a connection has a cache of statements and runs one tx at a time; a tx is on the
 * stack of store_write() / store_read().  Layer: store. */
#pragma once
#include "store/store.h"

#include <pthread.h>

#define STORE_SQL_MAX (256 * 1024)
#define STORE_CACHE_MAX 256        /* statements a connection keeps */
#define STORE_ARENA_MAX (64 << 20) /* of one tx */
#define STORE_AFTER_MAX 10000
#define STORE_WAITING_MAX 4096
#define STORE_PERIODS_KNOWN 128

struct after_commit {
    void (*call)(void *arg);
    void *arg;
    struct after_commit *next;
};

#define STORE_BEFORE_MAX 8

struct before_commit {
    store_fn fn;
    void *arg;
};

struct tx {
    struct store *store;
    struct conn *conn;
    bool write, claim;
    bool grouped; /* PostgreSQL: others share the transaction; see tx_is_hopeful() */
    bool has_failed;
    struct err failure; /* of the statement that failed first */
    int64_t deadline_ms;
    int64_t write_id; /* PostgreSQL: names this write in store_writer */
    int savepoints;   /* depth */
    struct arena *arena;
    struct after_commit *after_first, **after_last;
    int after_count;
    int64_t serial;
};

/* The common head of a backend's connection. */
struct conn {
    struct store *store;
    struct tx *tx; /* now running, or NULL */
    int slot;
    struct stmt *buckets[64];
    struct stmt *newest, *oldest;                  /* idle statements by last use */
    int cached, busy;                              /* statements idle, and in somebody's hands */
    struct before_commit before[STORE_BEFORE_MAX]; /* what waits for the end of the tx, or of its group */
    int before_count;
    int64_t good_from; /* no work of a tx of this connection with an older tx_serial() surely stands */
};

/* The common head of a backend's statement. */
struct stmt {
    struct conn *conn;
    struct tx *tx; /* while somebody holds it */
    char *sql;     /* as written by the caller: the cache's key; owned */
    uint64_t hash;
    bool busy, streaming, started;
    enum err_code bind_failed; /* kept until the next step */
    struct stmt *chain;        /* next in the bucket */
    struct stmt *newer, *older;
};

struct store_ops {
    enum err_code (*open)(struct store *store, struct err *err);
    void (*close)(struct store *store);
    enum err_code (*write)(struct store *store, struct tx *tx, store_fn fn, void *arg, struct err *err);
    /* Functions that may share a transaction; NULL = all writes do. */
    enum err_code (*write_shared)(struct store *store, struct tx *tx, store_fn fn, void *arg,
                                  struct err *err);
    enum err_code (*read)(struct store *store, struct tx *tx, store_fn fn, void *arg, struct err *err);
    enum err_code (*ping)(struct store *store, struct err *err);

    /* Makes a backend's statement; the front fills the common head's key and the cache. */
    enum err_code (*prepare)(struct tx *tx, const char *sql, struct stmt **out_stmt, struct err *err);
    void (*destroy)(struct stmt *stmt);
    /* Forgets position and bindings (clear) or only the position. */
    void (*reset)(struct stmt *stmt, bool clear);
    void (*bind_i64)(struct stmt *stmt, int index, int64_t value);
    void (*bind_f64)(struct stmt *stmt, int index, double value);
    void (*bind_text)(struct stmt *stmt, int index, struct str text); /* ptr NULL = SQL NULL */
    void (*bind_blob)(struct stmt *stmt, int index, const void *bytes, size_t len);
    enum err_code (*step)(struct stmt *stmt, bool *out_row, struct err *err);
    /* Sends it with the next statement; NULL = the backend has nothing better than to run it. */
    enum err_code (*post)(struct stmt *stmt, bool wants_row, struct err *err);
    /* Waits for what was posted; NULL where there is no post. */
    enum err_code (*settle)(struct tx *tx, struct err *err);
    int64_t (*changes)(struct stmt *stmt);
    int64_t (*get_i64)(struct stmt *stmt, int column);
    double (*get_f64)(struct stmt *stmt, int column);
    struct str (*get_text)(struct stmt *stmt, int column);
    struct str (*get_blob)(struct stmt *stmt, int column);
    enum stmt_type (*type)(struct stmt *stmt, int column);
    int (*columns)(struct stmt *stmt);
    const char *(*column_name)(struct stmt *stmt, int column);
    /* One statement without parameters or rows. */
    enum err_code (*exec)(struct tx *tx, const char *sql, struct err *err);
};

struct store {
    const struct store_ops *ops;
    enum store_backend backend;
    char *url, *data_dir, *vfs; /* owned */
    int readers, writers;
    int64_t deadline_ms;
    const struct clock *clock;
    void *impl; /* the backend's own */
    _Atomic long fail_at;
    _Atomic int fail_code;
    _Atomic int64_t writes, commits, reads, retries, reconnects, timeouts;
    _Atomic int waiting;
    _Atomic int64_t serials;                             /* see tx_serial() */
    _Atomic uint64_t periods_known[STORE_PERIODS_KNOWN]; /* hashes of months that surely exist */
};

extern const struct store_ops STORE_SQLITE_OPS, STORE_POSTGRES_OPS;

/* Counts one statement; fails it when the test's seam says so. */
enum err_code store_injected(struct store *store, struct err *err);
/* ERR_TIMEOUT when the tx's deadline has passed. */
enum err_code tx_check_deadline(struct tx *tx, struct err *err);
/* Marks the tx as failed with a copy of *err; returns the code. */
enum err_code tx_fail(struct tx *tx, const struct err *err);
/* Before a function runs again: forgets failure, after-commit calls and the arena's content. */
void tx_restart(struct tx *tx);
/* The outcome of fn: its own code, or the failure that it hid. */
enum err_code tx_outcome(struct tx *tx, enum err_code rc, struct err *err);
/* What waits for the end of the function, or of the group that it runs in. */
enum err_code tx_run_before(struct tx *tx, struct err *err);
/* Something that was done on the connection was undone: see tx_still_holds(). */
void conn_undone(struct conn *conn);
/* Destroys all cached statements of a connection. */
void conn_clear_cache(struct conn *conn);
/* Replaces the {tokens}; the answer is `sql` itself or stands in `buf`. */
const char *store_expand(enum store_backend backend, const char *sql, struct buf *buf);
/* The end of the statement that begins at `sql`: its ';' or the final NUL, minding quotes, comments and
 * CREATE TRIGGER ... END. */
const char *store_statement_end(const char *sql);
