/* sqlite.c - the embedded backend.
 *
 * 1. There is one write connection.  Whoever leads the crowd of writers owns it.
 * 2. A writer queues up.  The first becomes the leader, runs the functions of those that wait behind it,
 *    commits them with one sync, wakes them and hands the lead to the next.  So a lone writer pays no thread
 *    switch and a crowd pays one sync together.
 * 3. A function that fails before it changed anything is simply answered.  One that fails later takes the
 *    transaction with it: it is answered and not run again, and those that had ended well run again in a new
 *    transaction, from then on each in a savepoint, so that this happens once a batch.  (Not at first: at
 * every savepoint a full-text index writes out what it holds.)
 * 4. Readers have connections of their own and see a snapshot (WAL); they never wait for the writer.
 * 5. In memory there is one connection, and reads queue up like writes. */
#include "store/crowd.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

#define BATCH_MAX 64
#define BATCH_MS 20 /* no further function is begun after that */
#define BUSY_MS 5000

struct sconn {
    struct conn head;
    sqlite3 *db;
    sqlite3_stmt *begin, *begin_write, *commit;
    bool changed; /* since the function began, perhaps */
    struct sconn *next_idle;
};

struct sstmt {
    struct stmt head;
    sqlite3_stmt *sql;
    bool is_read;
    int64_t total_before; /* sqlite3_total_changes64 before the run */
};

struct sqlite {
    char *path;
    bool memory;
    pthread_mutex_t lock; /* guards all below */
    struct crowd crowd;   /* of one leader, who owns the writer */
    struct sconn *writer;
    struct sconn *idle; /* readers */
    int readers_made;
    pthread_cond_t reader_free;
};

static void lead(struct store *store, struct waiter *self);
static void run_one(struct store *store, struct waiter *w, bool savepoint);

/* ---- errors ---- */

/* "UNIQUE constraint failed: t.a, t.b" gives "t.a,b". */
static void constraint_columns(const char *message, char out[ERR_TEXT_MAX + 1])
{
    const char *at = strstr(message, ": ");
    size_t len = 0;
    out[0] = 0;
    for (at = at ? at + 2 : ""; *at && len < ERR_TEXT_MAX;) {
        size_t part = strcspn(at, ",");
        const char *dot = memchr(at, '.', part);
        if (len && dot) { /* the table's name only once */
            part -= (size_t)(dot + 1 - at);
            at = dot + 1;
        }
        if (len)
            out[len++] = ',';
        for (size_t i = 0; i < part && len < ERR_TEXT_MAX; i++)
            out[len++] = at[i];
        out[len] = 0;
        at += part;
        at += strspn(at, ", ");
    }
}

static enum err_code sqlite_error(sqlite3 *db, int rc, struct err *err)
{
    char what[ERR_TEXT_MAX + 1];
    const char *message = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    const int system = db ? sqlite3_system_errno(db) : 0;
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        constraint_columns(message, what);
        return err_set(err, ERR_CONFLICT, "store.duplicate", ARG_TEXT("what", what), ARG_END);
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return err_set(err, ERR_CONFLICT, "store.reference", ARG_END);
    case SQLITE_CONSTRAINT_NOTNULL:
        constraint_columns(message, what);
        return err_set(err, ERR_INVALID, "store.missing_value", ARG_TEXT("what", what), ARG_END);
    case SQLITE_CONSTRAINT_CHECK:
        constraint_columns(message, what);
        return err_set(err, ERR_INVALID, "store.check", ARG_TEXT("what", what), ARG_END);
    case SQLITE_CONSTRAINT_DATATYPE:
        return err_set(err, ERR_INVALID, "store.wrong_type", ARG_TEXT("reason", message), ARG_END);
    default:
        break;
    }
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return err_set(err, ERR_DISK_FULL, "store.disk_full", ARG_END);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        if (rc == SQLITE_IOERR_NOMEM)
            return err_nomem(err);
        if (system == ENOSPC || system == EDQUOT)
            return err_set(err, ERR_DISK_FULL, "store.disk_full", ARG_END);
        return err_set(err, ERR_IO, "store.io", ARG_TEXT("reason", message), ARG_INT("code", rc), ARG_END);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(err, ERR_CORRUPT, "store.corrupt", ARG_TEXT("reason", message), ARG_END);
    case SQLITE_NOMEM:
        return err_nomem(err);
    case SQLITE_INTERRUPT:
        return err_set(err, ERR_TIMEOUT, "store.timeout", ARG_END);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, ERR_BUSY, "store.busy", ARG_END);
    case SQLITE_TOOBIG:
        return err_set(err, ERR_LIMIT, "store.too_big", ARG_END);
    default:
        return err_set(err, ERR_INVALID, "store.sql", ARG_TEXT("reason", message), ARG_END);
    }
}

/* ---- connections ---- */

static int on_progress(void *arg)
{
    const struct sconn *conn = arg;
    return conn->head.tx && clock_mono(&CLOCK_SYSTEM) >= conn->head.tx->deadline_ms;
}

static void conn_close(struct sconn *conn)
{
    if (!conn)
        return;
    conn_clear_cache(&conn->head);
    (void)sqlite3_finalize(conn->begin);
    (void)sqlite3_finalize(conn->begin_write);
    (void)sqlite3_finalize(conn->commit);
    const int rc = sqlite3_close(conn->db);
    assert(rc == SQLITE_OK); /* every statement was given back */
    mem_free(conn);
}

static enum err_code conn_open(struct store *store, int slot, struct sconn **out_conn, struct err *err)
{
    struct sqlite *impl = store->impl;
    struct sconn *conn = mem_alloc(1, sizeof *conn);
    if (!conn)
        return err_nomem(err);
    conn->head.store = store;
    conn->head.slot = slot;
    int rc = sqlite3_open_v2(
        impl->memory ? ":memory:" : impl->path, &conn->db,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, store->vfs);
    if (rc)
        goto fail;
    (void)sqlite3_busy_timeout(conn->db, BUSY_MS); /* before the first pragma */
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* the writer comes first and makes the file; a checkpoint writes a page that changed often only once, so
     * it comes seldom: 64 MB of log made a quarter more creations a second than 8 */
    if (slot >= 0)
        rc = sqlite3_exec(conn->db,
                          "PRAGMA journal_mode=WAL;PRAGMA journal_size_limit=134217728;"
                          "PRAGMA wal_autocheckpoint=16000",
                          NULL, NULL, NULL);
    if (!rc)
        rc = sqlite3_exec(conn->db,
                          "PRAGMA synchronous=FULL;PRAGMA secure_delete=OFF;PRAGMA foreign_keys=ON;"
                          "PRAGMA case_sensitive_like=ON;PRAGMA temp_store=MEMORY;"
                          "PRAGMA trusted_schema=OFF;PRAGMA cache_size=-8000",
                          NULL, NULL, NULL);
    if (!rc)
        rc = sqlite3_prepare_v3(conn->db, "BEGIN", -1, SQLITE_PREPARE_PERSISTENT, &conn->begin, NULL);
    if (!rc)
        rc = sqlite3_prepare_v3(conn->db, "BEGIN IMMEDIATE", -1, SQLITE_PREPARE_PERSISTENT,
                                &conn->begin_write, NULL);
    if (!rc)
        rc = sqlite3_prepare_v3(conn->db, "COMMIT", -1, SQLITE_PREPARE_PERSISTENT, &conn->commit, NULL);
    if (rc)
        goto fail;
    sqlite3_progress_handler(conn->db, 4000, on_progress, conn);
    *out_conn = conn;
    return ERR_OK;

fail : {
    const enum err_code code = sqlite_error(conn->db, rc, err);
    conn_close(conn);
    return code;
}
}

static enum err_code run_plain(struct sconn *conn, sqlite3_stmt *stmt, struct err *err)
{
    int rc = sqlite3_step(stmt);
    const enum err_code code =
        rc == SQLITE_DONE || rc == SQLITE_ROW ? ERR_OK : sqlite_error(conn->db, rc, err);
    (void)sqlite3_reset(stmt);
    return code;
}

static void roll_back(struct sconn *conn)
{
    if (!sqlite3_get_autocommit(conn->db))
        (void)sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
}

static void sqlite_close(struct store *store)
{
    struct sqlite *impl = store->impl;
    if (!impl)
        return;
    assert(!impl->crowd.leaders && !impl->crowd.first);
    while (impl->idle) {
        struct sconn *conn = impl->idle;
        impl->idle = conn->next_idle;
        conn_close(conn);
    }
    conn_close(impl->writer);
    (void)pthread_mutex_destroy(&impl->lock);
    (void)pthread_cond_destroy(&impl->reader_free);
    mem_free(impl->path);
    mem_free(impl);
    store->impl = NULL;
}

static enum err_code sqlite_open(struct store *store, struct err *err)
{
    struct sqlite *impl = mem_alloc(1, sizeof *impl);
    if (!impl)
        return err_nomem(err);
    store->impl = impl;
    (void)pthread_mutex_init(&impl->lock, NULL);
    cond_init(&impl->reader_free);
    crowd_init(&impl->crowd, 1);
    enum err_code rc = ERR_OK;
    if (store->url) {
        const char *path = store->url + strlen("sqlite:");
        impl->memory = strcmp(path, ":memory:") == 0;
        impl->path = mem_copy(path, strlen(path));
    } else {
        const size_t size = strlen(store->data_dir) + sizeof "/bihuan.db";
        impl->path = mem_alloc(size, 1);
        if (impl->path)
            (void)snprintf(impl->path, size, "%s/bihuan.db", store->data_dir);
    }
    if (!impl->path)
        rc = err_nomem(err);
    if (!rc)
        rc = conn_open(store, 0, &impl->writer, err);
    if (rc)
        sqlite_close(store);
    return rc;
}

/* ---- writing ---- */

static enum err_code sqlite_write(struct store *store, struct tx *tx, store_fn fn, void *arg, struct err *err)
{
    struct sqlite *impl = store->impl;
    struct waiter self = { .tx = tx, .fn = fn, .arg = arg, .err = err };
    return crowd_wait(store, &impl->crowd, &impl->lock, &self, lead);
}

static struct waiter *take(struct store *store)
{
    struct sqlite *impl = store->impl;
    (void)pthread_mutex_lock(&impl->lock);
    struct waiter *w = crowd_take(store, &impl->crowd);
    (void)pthread_mutex_unlock(&impl->lock);
    return w;
}

/* Runs one function in the open transaction.  Afterwards, when the connection is in autocommit mode,
 * everything done so far is gone. */
static void run_one(struct store *store, struct waiter *w, bool savepoint)
{
    struct sconn *conn = ((struct sqlite *)store->impl)->writer;
    tx_restart(w->tx);
    w->tx->conn = &conn->head;
    conn->changed = false;
    w->rc = savepoint && sqlite3_exec(conn->db, "SAVEPOINT g", NULL, NULL, NULL)
                ? sqlite_error(conn->db, sqlite3_extended_errcode(conn->db), w->err)
                : ERR_OK;
    if (!w->rc) {
        conn->head.tx = w->tx;
        w->rc = tx_outcome(w->tx, w->fn(w->tx, w->arg, w->err), w->err);
        conn->head.tx = NULL;
    }
    if (sqlite3_get_autocommit(conn->db)) {
        if (!w->rc)
            w->rc = err_set(w->err, ERR_STORE, "store.failed", ARG_TEXT("reason", "rolled back"), ARG_END);
        return;
    }
    if (w->rc && !savepoint && conn->changed) {
        roll_back(conn);
    } else if (savepoint) {
        const char *end = w->rc ? "ROLLBACK TO g;RELEASE g" : "RELEASE g";
        const int rc = sqlite3_exec(conn->db, end, NULL, NULL, NULL);
        if (rc && !w->rc)
            w->rc = sqlite_error(conn->db, rc, w->err);
        if (rc)
            roll_back(conn);
    }
}

static void lead(struct store *store, struct waiter *self)
{
    struct sqlite *impl = store->impl;
    struct sconn *conn = impl->writer;
    struct waiter *todo = self, *ok = NULL, *ended = NULL; /* to run; done well; answered */
    crowd_take_self(store, &impl->crowd, self);
    (void)pthread_mutex_unlock(&impl->lock);
    const int64_t start = clock_mono(&CLOCK_SYSTEM);
    bool open = false, careful = false;
    int taken = 1;
    for (;;) {
        struct waiter *w = todo;
        if (w)
            todo = w->next;
        else if (taken < BATCH_MAX && clock_mono(&CLOCK_SYSTEM) < start + BATCH_MS)
            w = take(store), taken += w != NULL;
        if (!w)
            break;
        struct err begin_err = { 0 };
        if (!open) {
            const enum err_code rc = run_plain(conn, conn->begin_write, &begin_err);
            if (rc) {
                w->rc = rc;
                *w->err = begin_err;
                w->next = ended, ended = w;
                continue;
            }
            open = true;
        }
        run_one(store, w, careful && ok);
        open = !sqlite3_get_autocommit(conn->db);
        if (w->rc)
            w->next = ended, ended = w;
        else
            w->next = ok, ok = w;
        if (!open) { /* what had ended well is gone with it */
            careful = true;
            while (ok) {
                struct waiter *again = ok;
                ok = again->next;
                again->next = todo, todo = again;
            }
        }
    }
    if (open) {
        struct err err = { 0 };
        enum err_code rc = store_injected(store, &err);
        if (!rc)
            rc = run_plain(conn, conn->commit, &err);
        if (rc) {
            roll_back(conn);
            for (struct waiter *w = ok; w; w = w->next) {
                w->rc = rc;
                *w->err = err;
            }
        } else if (ok) {
            store->commits++;
        }
    }
    (void)pthread_mutex_lock(&impl->lock);
    crowd_answer(ok, self);
    crowd_answer(ended, self);
    crowd_pass(&impl->crowd);
}

/* ---- reading ---- */

static enum err_code reader_take(struct store *store, int64_t deadline_ms, struct sconn **out_conn,
                                 struct err *err)
{
    struct sqlite *impl = store->impl;
    (void)pthread_mutex_lock(&impl->lock);
    while (!impl->idle && impl->readers_made >= store->readers) {
        if (!cond_wait_until(&impl->reader_free, &impl->lock, deadline_ms) && !impl->idle) {
            (void)pthread_mutex_unlock(&impl->lock);
            return err_set(err, ERR_TIMEOUT, "store.timeout", ARG_END);
        }
    }
    struct sconn *conn = impl->idle;
    if (conn)
        impl->idle = conn->next_idle;
    else
        impl->readers_made++;
    (void)pthread_mutex_unlock(&impl->lock);
    if (!conn) {
        const enum err_code rc = conn_open(store, -1, &conn, err);
        if (rc) {
            (void)pthread_mutex_lock(&impl->lock);
            impl->readers_made--;
            (void)pthread_cond_signal(&impl->reader_free);
            (void)pthread_mutex_unlock(&impl->lock);
            return rc;
        }
    }
    *out_conn = conn;
    return ERR_OK;
}

static void reader_give(struct store *store, struct sconn *conn)
{
    struct sqlite *impl = store->impl;
    (void)pthread_mutex_lock(&impl->lock);
    conn->next_idle = impl->idle;
    impl->idle = conn;
    (void)pthread_cond_signal(&impl->reader_free);
    (void)pthread_mutex_unlock(&impl->lock);
}

static enum err_code sqlite_read(struct store *store, struct tx *tx, store_fn fn, void *arg, struct err *err)
{
    struct sqlite *impl = store->impl;
    if (impl->memory)
        return sqlite_write(store, tx, fn, arg, err);
    struct sconn *conn = NULL;
    enum err_code rc = reader_take(store, tx->deadline_ms, &conn, err);
    if (rc)
        return rc;
    rc = run_plain(conn, conn->begin, err);
    if (!rc) {
        tx->conn = &conn->head;
        conn->head.tx = tx;
        rc = tx_outcome(tx, fn(tx, arg, err), err);
        conn->head.tx = NULL;
        roll_back(conn); /* nothing was written: it only ends the snapshot */
    }
    reader_give(store, conn);
    return rc;
}

static enum err_code ping_fn(struct tx *tx, void *arg, struct err *err)
{
    int64_t *one = arg;
    return tx_query_i64(tx, "SELECT 1", one, err);
}

static enum err_code sqlite_ping(struct store *store, struct err *err)
{
    int64_t one = 0;
    return store_read(store, ping_fn, &one, err);
}

/* ---- statements ---- */

static struct sstmt *own(struct stmt *stmt)
{
    return (struct sstmt *)stmt;
}

static enum err_code sqlite_prepare(struct tx *tx, const char *sql, struct stmt **out_stmt, struct err *err)
{
    struct sconn *conn = (struct sconn *)tx->conn;
    struct sstmt *stmt = mem_alloc(1, sizeof *stmt);
    if (!stmt)
        return err_nomem(err);
    const char *tail = NULL;
    const int rc = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt->sql, &tail);
    enum err_code code = ERR_OK;
    if (rc)
        code = sqlite_error(conn->db, rc, err);
    else if (!stmt->sql || str_trim(str_from(tail)).len)
        code = err_set(err, ERR_INVALID, "store.one_statement", ARG_END);
    else if (!tx->write && !sqlite3_stmt_readonly(stmt->sql))
        code = err_set(err, ERR_INVALID, "store.read_only", ARG_END);
    if (code) {
        (void)sqlite3_finalize(stmt->sql);
        mem_free(stmt);
        return code;
    }
    *out_stmt = &stmt->head;
    return ERR_OK;
}

static void sqlite_destroy(struct stmt *stmt)
{
    (void)sqlite3_finalize(own(stmt)->sql);
    mem_free(stmt);
}

static void sqlite_reset(struct stmt *stmt, bool clear)
{
    (void)sqlite3_reset(own(stmt)->sql);
    if (clear)
        (void)sqlite3_clear_bindings(own(stmt)->sql);
}

static void keep(struct stmt *stmt, int rc)
{
    if (rc && !stmt->bind_failed)
        stmt->bind_failed = rc == SQLITE_NOMEM ? ERR_NOMEM : rc == SQLITE_TOOBIG ? ERR_LIMIT : ERR_INVALID;
}

static void sqlite_bind_i64(struct stmt *stmt, int index, int64_t value)
{
    keep(stmt, sqlite3_bind_int64(own(stmt)->sql, index, value));
}

static void sqlite_bind_f64(struct stmt *stmt, int index, double value)
{
    keep(stmt, sqlite3_bind_double(own(stmt)->sql, index, value));
}

static void sqlite_bind_text(struct stmt *stmt, int index, struct str text)
{
    keep(stmt,
         text.ptr ? sqlite3_bind_text64(own(stmt)->sql, index, text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8)
                  : sqlite3_bind_null(own(stmt)->sql, index));
}

static void sqlite_bind_blob(struct stmt *stmt, int index, const void *bytes, size_t len)
{
    keep(stmt, sqlite3_bind_blob64(own(stmt)->sql, index, bytes, len, SQLITE_STATIC));
}

static enum err_code sqlite_step(struct stmt *stmt, bool *out_row, struct err *err)
{
    struct sconn *conn = (struct sconn *)stmt->conn;
    if (!stmt->tx->write && !sqlite3_stmt_readonly(own(stmt)->sql)) /* cached by a write, in memory */
        return err_set(err, ERR_INVALID, "store.read_only", ARG_END);
    if (!sqlite3_stmt_busy(own(stmt)->sql)) {
        own(stmt)->total_before = sqlite3_total_changes64(conn->db);
        conn->changed = conn->changed || !sqlite3_stmt_readonly(own(stmt)->sql);
    }
    const int rc = sqlite3_step(own(stmt)->sql);
    if (rc == SQLITE_ROW) {
        *out_row = true;
        return ERR_OK;
    }
    enum err_code code = ERR_OK;
    if (rc != SQLITE_DONE) {
        code = sqlite_error(conn->db, rc, err);
        if (code == ERR_INVALID && rc == SQLITE_ERROR)
            code =
                err_set(err, ERR_INVALID, "store.sql", ARG_TEXT("reason", sqlite3_errmsg(conn->db)), ARG_END);
    }
    (void)sqlite3_reset(own(stmt)->sql);
    *out_row = false;
    return code;
}

static int64_t sqlite_changes(struct stmt *stmt)
{
    struct sconn *conn = (struct sconn *)stmt->conn;
    if (sqlite3_total_changes64(conn->db) == own(stmt)->total_before)
        return 0;
    return sqlite3_changes64(conn->db);
}

static int64_t sqlite_i64(struct stmt *stmt, int column)
{
    return sqlite3_column_int64(own(stmt)->sql, column);
}

static double sqlite_f64(struct stmt *stmt, int column)
{
    return sqlite3_column_double(own(stmt)->sql, column);
}

static struct str sqlite_text(struct stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(own(stmt)->sql, column);
    if (!text)
        return (struct str) { 0 };
    return (struct str) { (const char *)text, (size_t)sqlite3_column_bytes(own(stmt)->sql, column) };
}

static struct str sqlite_blob(struct stmt *stmt, int column)
{
    if (sqlite3_column_type(own(stmt)->sql, column) == SQLITE_NULL)
        return (struct str) { 0 };
    const void *bytes = sqlite3_column_blob(own(stmt)->sql, column);
    const size_t len = (size_t)sqlite3_column_bytes(own(stmt)->sql, column);
    return (struct str) { bytes ? bytes : "", len };
}

static enum stmt_type sqlite_type(struct stmt *stmt, int column)
{
    switch (sqlite3_column_type(own(stmt)->sql, column)) {
    case SQLITE_INTEGER:
        return STMT_I64;
    case SQLITE_FLOAT:
        return STMT_F64;
    case SQLITE_TEXT:
        return STMT_TEXT;
    case SQLITE_BLOB:
        return STMT_BLOB;
    default:
        return STMT_NULL;
    }
}

static int sqlite_columns(struct stmt *stmt)
{
    return sqlite3_column_count(own(stmt)->sql);
}

static const char *sqlite_column_name(struct stmt *stmt, int column)
{
    return sqlite3_column_name(own(stmt)->sql, column);
}

static enum err_code sqlite_exec(struct tx *tx, const char *sql, struct err *err)
{
    struct sconn *conn = (struct sconn *)tx->conn;
    if (!tx->write && strncmp(sql, "SAVEPOINT n", 11) && strncmp(sql, "RELEASE n", 9) &&
        strncmp(sql, "ROLLBACK TO n", 13))
        return err_set(err, ERR_INVALID, "store.read_only", ARG_END);
    conn->changed = true;
    const int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    return rc ? sqlite_error(conn->db, rc, err) : ERR_OK;
}

const struct store_ops STORE_SQLITE_OPS = {
    .open = sqlite_open,
    .close = sqlite_close,
    .write = sqlite_write,
    .read = sqlite_read,
    .ping = sqlite_ping,
    .prepare = sqlite_prepare,
    .destroy = sqlite_destroy,
    .reset = sqlite_reset,
    .bind_i64 = sqlite_bind_i64,
    .bind_f64 = sqlite_bind_f64,
    .bind_text = sqlite_bind_text,
    .bind_blob = sqlite_bind_blob,
    .step = sqlite_step,
    .changes = sqlite_changes,
    .get_i64 = sqlite_i64,
    .get_f64 = sqlite_f64,
    .get_text = sqlite_text,
    .get_blob = sqlite_blob,
    .type = sqlite_type,
    .columns = sqlite_columns,
    .column_name = sqlite_column_name,
    .exec = sqlite_exec,
};
