/* store.c - see store.h: what both backends share.  Cache of statements, tokens, deadlines, outcomes. */
#include "store/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local int64_t deadline; /* of the request that this thread works on; 0 = none */

static struct stmt *cache_take(struct conn *conn, const char *sql, uint64_t hash);
static void cache_put(struct stmt *stmt);
static void after_run(struct tx *tx);

/* ---- open and close ---- */

static char *copy_or_null(const char *text, bool *failed)
{
    if (!text)
        return NULL;
    char *copy = mem_copy(text, strlen(text));
    *failed |= copy == NULL;
    return copy;
}

static void store_free(struct store *store)
{
    mem_free(store->url);
    mem_free(store->data_dir);
    mem_free(store->vfs);
    mem_free(store);
}

enum err_code store_open(const struct store_config *config, struct store **out_store, struct err *err)
{
    struct store *store = mem_alloc(1, sizeof *store);
    if (!store)
        return err_nomem(err);
    bool failed = false;
    store->url = copy_or_null(config->url, &failed);
    store->data_dir = copy_or_null(config->data_dir, &failed);
    store->vfs = copy_or_null(config->vfs, &failed);
    store->readers = config->readers ? config->readers : 4;
    store->writers = config->writers ? config->writers : 4;
    store->deadline_ms = config->deadline_ms ? config->deadline_ms : 15000;
    store->clock = config->clock ? config->clock : &CLOCK_SYSTEM;
    store->fail_at = -1;
    enum err_code rc = ERR_OK;
    const struct str url = str_from(store->url ? store->url : "sqlite:");
    if (failed) {
        rc = err_nomem(err);
    } else if (store->readers < 1 || store->readers > 64 || store->writers < 1 || store->writers > 64) {
        rc = err_set(err, ERR_INVALID, "store.pool_size", ARG_INT("max", 64), ARG_END);
    } else if (str_starts(url, STR("sqlite:")) && (store->url || store->data_dir)) {
        store->backend = STORE_SQLITE;
        store->ops = &STORE_SQLITE_OPS;
    } else if (str_starts(url, STR("postgresql://"))) {
        store->backend = STORE_POSTGRES;
        store->ops = &STORE_POSTGRES_OPS;
    } else {
        rc = err_set(err, ERR_INVALID, "store.url", ARG_END); /* not shown: it may hold a password */
    }
    if (!rc)
        rc = store->ops->open(store, err);
    if (rc) {
        store_free(store);
        return rc;
    }
    *out_store = store;
    return ERR_OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store->ops->close(store);
    store_free(store);
}

enum store_backend store_backend(const struct store *store)
{
    return store->backend;
}

const struct clock *store_clock(const struct store *store)
{
    return store->clock;
}

enum store_backend tx_backend(const struct tx *tx)
{
    return tx->store->backend;
}

const char *store_backend_name(enum store_backend backend)
{
    return backend == STORE_SQLITE ? "sqlite" : "postgres";
}

enum err_code store_ping(struct store *store, struct err *err)
{
    return store->ops->ping(store, err);
}

void store_deadline_set(int64_t mono_ms)
{
    deadline = mono_ms;
}

int64_t store_deadline_get(void)
{
    return deadline;
}

void store_stats(struct store *store, struct store_stats *out)
{
    *out = (struct store_stats) { .writes = store->writes,
                                  .commits = store->commits,
                                  .reads = store->reads,
                                  .retries = store->retries,
                                  .reconnects = store->reconnects,
                                  .timeouts = store->timeouts,
                                  .waiting = store->waiting };
}

void store_fail_at(struct store *store, long nth, enum err_code code)
{
    store->fail_code = (int)code;
    store->fail_at = nth;
}

enum err_code store_injected(struct store *store, struct err *err)
{
    if (store->fail_at < 0)
        return ERR_OK;
    if (store->fail_at-- != 0)
        return ERR_OK;
    return err_set(err, (enum err_code)store->fail_code, "store.injected", ARG_END);
}

/* ---- transactions ---- */

static void tx_init(struct tx *tx, struct store *store, bool write)
{
    *tx = (struct tx) { .store = store, .write = write, .serial = ++store->serials };
    tx->after_last = &tx->after_first;
    tx->deadline_ms = deadline ? deadline : clock_mono(&CLOCK_SYSTEM) + store->deadline_ms;
}

enum write_kind { WRITE_ALONE, WRITE_SHARED, WRITE_CLAIM };

static enum err_code write_as(struct store *store, enum write_kind kind, store_fn fn, void *arg,
                              struct err *err)
{
    struct tx tx;
    tx_init(&tx, store, true);
    tx.claim = kind == WRITE_CLAIM;
    struct err own = { 0 };
    const bool shared = kind == WRITE_SHARED && store->ops->write_shared;
    const enum err_code rc =
        (shared ? store->ops->write_shared : store->ops->write)(store, &tx, fn, arg, err ? err : &own);
    if (rc == ERR_OK) {
        store->writes++;
        after_run(&tx);
    } else if (rc == ERR_TIMEOUT) {
        store->timeouts++;
    }
    arena_free(tx.arena);
    return rc;
}

enum err_code store_write(struct store *store, store_fn fn, void *arg, struct err *err)
{
    return write_as(store, WRITE_ALONE, fn, arg, err);
}

enum err_code store_write_shared(struct store *store, store_fn fn, void *arg, struct err *err)
{
    return write_as(store, WRITE_SHARED, fn, arg, err);
}

enum err_code store_write_claim(struct store *store, store_fn fn, void *arg, struct err *err)
{
    return write_as(store, WRITE_CLAIM, fn, arg, err);
}

enum err_code store_read(struct store *store, store_fn fn, void *arg, struct err *err)
{
    struct tx tx;
    tx_init(&tx, store, false);
    struct err own = { 0 };
    const enum err_code rc = store->ops->read(store, &tx, fn, arg, err ? err : &own);
    if (rc == ERR_OK) {
        store->reads++;
        after_run(&tx);
    } else if (rc == ERR_TIMEOUT) {
        store->timeouts++;
    }
    arena_free(tx.arena);
    return rc;
}

static void after_run(struct tx *tx)
{
    for (const struct after_commit *after = tx->after_first; after; after = after->next)
        after->call(after->arg);
}

void tx_restart(struct tx *tx)
{
    tx->has_failed = false;
    tx->savepoints = 0;
    tx->serial = ++tx->store->serials;
    tx->after_first = NULL;
    tx->after_last = &tx->after_first;
    tx->after_count = 0;
    if (tx->arena)
        arena_reset(tx->arena);
}

enum err_code tx_fail(struct tx *tx, const struct err *err)
{
    if (!tx->has_failed) {
        tx->has_failed = true;
        tx->failure = *err;
    }
    return err->code;
}

enum err_code tx_run_before(struct tx *tx, struct err *err)
{
    struct conn *conn = tx->conn;
    const int count = conn->before_count;
    conn->before_count = 0;
    for (int i = 0; i < count; i++) {
        const enum err_code rc = conn->before[i].fn(tx, conn->before[i].arg, err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

enum err_code tx_failed(const struct tx *tx, struct err *err)
{
    if (!tx->has_failed)
        return ERR_OK;
    if (err)
        *err = tx->failure;
    return tx->failure.code;
}

enum err_code tx_outcome(struct tx *tx, enum err_code rc, struct err *err)
{
    const bool waits = tx->grouped && !tx->savepoints; /* for the end of the group */
    if (rc == ERR_OK && !tx->has_failed && !waits)
        rc = tx_run_before(tx, err);
    if (!waits)
        tx->conn->before_count = 0;
    assert(tx->savepoints > 0 || tx->conn->busy == 0); /* the function freed its statements */
    if (rc == ERR_OK && tx->has_failed) { /* the function swallowed a failure: nothing it did may stay */
        *err = tx->failure;
        return tx->failure.code;
    }
    return rc;
}

enum err_code tx_check_deadline(struct tx *tx, struct err *err)
{
    if (clock_mono(&CLOCK_SYSTEM) < tx->deadline_ms)
        return ERR_OK;
    return err_set(err, ERR_TIMEOUT, "store.timeout", ARG_END);
}

struct arena *tx_arena(struct tx *tx)
{
    if (!tx->arena)
        tx->arena = arena_new(STORE_ARENA_MAX);
    return tx->arena;
}

enum err_code tx_after_commit(struct tx *tx, void (*call)(void *arg), void *arg, struct err *err)
{
    struct arena *arena = tx_arena(tx);
    if (tx->after_count >= STORE_AFTER_MAX)
        return err_set(err, ERR_LIMIT, "store.after_commit", ARG_INT("max", STORE_AFTER_MAX), ARG_END);
    struct after_commit *after = arena ? arena_alloc(arena, 1, sizeof *after) : NULL;
    if (!after)
        return err_nomem(err);
    *after = (struct after_commit) { .call = call, .arg = arg };
    *tx->after_last = after;
    tx->after_last = &after->next;
    tx->after_count++;
    return ERR_OK;
}

enum err_code tx_before_commit(struct tx *tx, store_fn fn, void *arg, struct err *err)
{
    struct conn *conn = tx->conn;
    if (conn->before_count == STORE_BEFORE_MAX)
        return err_set(err, ERR_LIMIT, "store.after_commit", ARG_INT("max", STORE_BEFORE_MAX), ARG_END);
    conn->before[conn->before_count++] = (struct before_commit) { fn, arg };
    return ERR_OK;
}

bool tx_is_hopeful(const struct tx *tx)
{
    return tx->grouped;
}

int64_t tx_serial(const struct tx *tx)
{
    return tx->serial;
}

bool tx_still_holds(const struct tx *tx, int64_t serial)
{
    if (serial == tx->serial)
        return true;
    return tx->store->backend == STORE_POSTGRES && serial >= tx->conn->good_from;
}

void conn_undone(struct conn *conn)
{
    conn->good_from = ++conn->store->serials;
}

int tx_writer_slot(const struct tx *tx)
{
    return tx->write ? tx->conn->slot : -1;
}

struct store *tx_store(const struct tx *tx)
{
    return tx->store;
}

int64_t tx_now_ms(const struct tx *tx)
{
    return clock_now(tx->store->clock);
}

enum err_code tx_nested(struct tx *tx, store_fn fn, void *arg, struct err *err)
{
    struct err own = { 0 };
    err = err ? err : &own;
    if (tx->has_failed) {
        *err = tx->failure;
        return tx->failure.code;
    }
    struct after_commit **const after_last = tx->after_last;
    enum err_code rc = tx_run_before(tx, err);
    if (rc)
        return rc;
    const int after_count = tx->after_count, depth = ++tx->savepoints;
    char sql[32];
    (void)snprintf(sql, sizeof sql, "SAVEPOINT n%d", depth);
    rc = tx->store->ops->exec(tx, sql, err);
    if (!rc) {
        rc = tx_outcome(tx, fn(tx, arg, err), err);
        if (tx->store->ops->settle) {
            struct err late = { 0 };
            const enum err_code posted = tx->store->ops->settle(tx, &late);
            if (!rc && posted) {
                rc = posted;
                *err = late;
            }
        }
        (void)snprintf(sql, sizeof sql, rc ? "ROLLBACK TO n%d" : "RELEASE n%d", depth);
        struct err undo = { 0 };
        tx->has_failed = false;                     /* what failed is undone by the rollback */
        if (tx->store->ops->exec(tx, sql, &undo)) { /* the transaction itself is gone */
            rc = tx_fail(tx, rc ? err : &undo);
            *err = tx->failure;
        }
        if (rc) {
            conn_undone(tx->conn);
            tx->serial = ++tx->store->serials;
            *after_last = NULL;
            tx->after_last = after_last;
            tx->after_count = after_count;
        }
    }
    tx->savepoints--;
    return rc;
}

/* ---- statements ---- */

/* One that the connection does not keep yet. */
static enum err_code stmt_make(struct tx *tx, struct str sql, uint64_t hash, struct stmt **out,
                               struct err *err)
{
    if (sql.len > STORE_SQL_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", STORE_SQL_MAX), ARG_END);
    char *key = mem_copy(sql.ptr, sql.len);
    if (!key)
        return tx_fail(tx, (err_nomem(err), err));
    struct stmt *stmt = NULL;
    struct buf buf;
    buf_init(&buf, STORE_SQL_MAX + 4096);
    const char *expanded = store_expand(tx->store->backend, key, &buf);
    const enum err_code rc = expanded ? tx->store->ops->prepare(tx, expanded, &stmt, err) : err_nomem(err);
    buf_done(&buf);
    if (rc) {
        mem_free(key);
        return tx_fail(tx, err);
    }
    stmt->sql = key;
    stmt->hash = hash;
    stmt->conn = tx->conn;
    *out = stmt;
    return ERR_OK;
}

enum err_code tx_prepare(struct tx *tx, const char *sql, struct stmt **out_stmt, struct err *err)
{
    struct err own = { 0 };
    err = err ? err : &own;
    if (tx->has_failed) {
        assert(tx->failure.code);
        *err = tx->failure;
        return tx->failure.code;
    }
    const struct str text = str_from(sql);
    const uint64_t hash = str_hash(text);
    struct stmt *stmt = cache_take(tx->conn, sql, hash);
    const enum err_code rc = stmt ? ERR_OK : stmt_make(tx, text, hash, &stmt, err);
    if (rc)
        return rc;
    assert(stmt);
    stmt->tx = tx;
    stmt->busy = true;
    tx->conn->busy++;
    stmt->streaming = stmt->started = false;
    stmt->bind_failed = ERR_OK;
    *out_stmt = stmt;
    return ERR_OK;
}

void stmt_free(struct stmt *stmt)
{
    if (!stmt)
        return;
    stmt->conn->store->ops->reset(stmt, true);
    assert(stmt->busy);
    stmt->busy = stmt->streaming = stmt->started = false;
    stmt->tx = NULL;
    stmt->conn->busy--;
    cache_put(stmt);
}

void stmt_free_auto(struct stmt **stmt)
{
    stmt_free(*stmt);
}

static void destroy(struct stmt *stmt)
{
    mem_free(stmt->sql);
    stmt->conn->store->ops->destroy(stmt);
}

static void unlink_idle(struct stmt *stmt)
{
    struct conn *conn = stmt->conn;
    *(stmt->newer ? &stmt->newer->older : &conn->newest) = stmt->older;
    *(stmt->older ? &stmt->older->newer : &conn->oldest) = stmt->newer;
    stmt->newer = stmt->older = NULL;
    struct stmt **link = &conn->buckets[stmt->hash % 64];
    while (*link != stmt)
        link = &(*link)->chain;
    *link = stmt->chain;
    stmt->chain = NULL;
    conn->cached--;
}

static struct stmt *cache_take(struct conn *conn, const char *sql, uint64_t hash)
{
    for (struct stmt *stmt = conn->buckets[hash % 64]; stmt; stmt = stmt->chain) {
        if (stmt->hash == hash && strcmp(stmt->sql, sql) == 0) {
            unlink_idle(stmt);
            return stmt;
        }
    }
    return NULL;
}

static void cache_put(struct stmt *stmt)
{
    struct conn *conn = stmt->conn;
    while (conn->cached >= STORE_CACHE_MAX) {
        struct stmt *oldest = conn->oldest;
        unlink_idle(oldest);
        destroy(oldest);
    }
    stmt->older = conn->newest;
    *(conn->newest ? &conn->newest->newer : &conn->oldest) = stmt;
    conn->newest = stmt;
    stmt->chain = conn->buckets[stmt->hash % 64];
    conn->buckets[stmt->hash % 64] = stmt;
    conn->cached++;
}

void conn_clear_cache(struct conn *conn)
{
    while (conn->oldest) {
        struct stmt *oldest = conn->oldest;
        unlink_idle(oldest);
        destroy(oldest);
    }
}

static const struct store_ops *ops_of(const struct stmt *stmt)
{
    assert(stmt); /* tx_prepare() gave it */
    return stmt->conn->store->ops;
}

void stmt_bind_i64(struct stmt *stmt, int index, int64_t value)
{
    ops_of(stmt)->bind_i64(stmt, index, value);
}

void stmt_bind_f64(struct stmt *stmt, int index, double value)
{
    ops_of(stmt)->bind_f64(stmt, index, value);
}

void stmt_bind_text_or_null(struct stmt *stmt, int index, struct str text)
{
    if (text.len && memchr(text.ptr, 0, text.len))
        stmt->bind_failed = ERR_INVALID;
    else
        ops_of(stmt)->bind_text(stmt, index, text);
}

void stmt_bind_text(struct stmt *stmt, int index, struct str text)
{
    if (!text.ptr)
        text.ptr = "";
    stmt_bind_text_or_null(stmt, index, text);
}

void stmt_bind_blob(struct stmt *stmt, int index, const void *bytes, size_t len)
{
    ops_of(stmt)->bind_blob(stmt, index, bytes ? bytes : "", len);
}

void stmt_bind_null(struct stmt *stmt, int index)
{
    ops_of(stmt)->bind_text(stmt, index, (struct str) { 0 });
}

static enum err_code may_start(struct stmt *stmt, struct err *err)
{
    struct tx *tx = stmt->tx;
    if (tx->has_failed) {
        *err = tx->failure;
        return tx->failure.code;
    }
    enum err_code rc = ERR_OK;
    if (stmt->bind_failed)
        rc = err_set(err, stmt->bind_failed, "store.parameter", ARG_END);
    if (!rc)
        rc = store_injected(tx->store, err);
    if (!rc)
        rc = tx_check_deadline(tx, err);
    return rc ? tx_fail(tx, err) : ERR_OK;
}

enum err_code stmt_step(struct stmt *stmt, bool *out_row, struct err *err)
{
    assert(stmt);
    struct tx *tx = stmt->tx;
    struct err own = { 0 };
    err = err ? err : &own;
    if (tx->has_failed) {
        *err = tx->failure;
        return tx->failure.code;
    }
    enum err_code rc = stmt->started ? ERR_OK : may_start(stmt, err);
    if (rc)
        return rc;
    bool row = false;
    stmt->started = true;
    if (ops_of(stmt)->step(stmt, &row, err))
        return tx_fail(tx, err);
    if (!row)
        stmt->started = false;
    *out_row = row;
    return ERR_OK;
}

enum err_code stmt_run(struct stmt *stmt, int64_t *out_changes, struct err *err)
{
    for (bool row = true; row;) {
        const enum err_code rc = stmt_step(stmt, &row, err);
        if (rc)
            return rc;
    }
    if (out_changes)
        *out_changes = ops_of(stmt)->changes(stmt);
    return ERR_OK;
}

static enum err_code post(struct stmt *stmt, bool wants_row, struct err *err)
{
    struct tx *tx = stmt->tx;
    const enum err_code rc = may_start(stmt, err);
    if (rc)
        return rc;
    return ops_of(stmt)->post(stmt, wants_row, err) ? tx_fail(tx, err) : ERR_OK;
}

enum err_code stmt_post(struct stmt *stmt, struct err *err)
{
    struct err own = { 0 };
    err = err ? err : &own;
    if (!ops_of(stmt)->post || stmt->streaming)
        return stmt_run(stmt, NULL, err);
    return post(stmt, false, err);
}

enum err_code stmt_post_found(struct stmt *stmt, struct err *err)
{
    struct err own = { 0 };
    bool row = false;
    err = err ? err : &own;
    if (ops_of(stmt)->post)
        return post(stmt, true, err);
    const enum err_code rc = stmt_step(stmt, &row, err);
    if (rc || row || ops_of(stmt)->changes(stmt) > 0)
        return rc;
    return tx_fail(stmt->tx, (err_set(err, ERR_NOT_FOUND, "store.no_row", ARG_END), err));
}

enum err_code tx_settle(struct tx *tx, struct err *err)
{
    struct err own = { 0 };
    err = err ? err : &own;
    if (tx->has_failed) {
        *err = tx->failure;
        return tx->failure.code;
    }
    if (!tx->store->ops->settle || !tx->store->ops->settle(tx, err))
        return ERR_OK;
    return tx_fail(tx, err);
}

void stmt_reset(struct stmt *stmt)
{
    stmt->started = false;
    ops_of(stmt)->reset(stmt, false);
}

void stmt_stream(struct stmt *stmt)
{
    stmt->streaming = true;
}

int64_t stmt_i64(struct stmt *stmt, int column)
{
    return ops_of(stmt)->get_i64(stmt, column);
}

double stmt_f64(struct stmt *stmt, int column)
{
    return ops_of(stmt)->get_f64(stmt, column);
}

struct str stmt_text(struct stmt *stmt, int column)
{
    return ops_of(stmt)->get_text(stmt, column);
}

struct str stmt_keep(struct stmt *stmt, int column)
{
    const struct str text = stmt_text(stmt, column);
    if (!text.len)
        return STR("");
    const struct str copy = arena_str(tx_arena(stmt->tx), text);
    if (copy.ptr)
        return copy;
    struct err err;
    (void)tx_fail(stmt->tx, (err_nomem(&err), &err));
    return STR("");
}

struct str stmt_blob(struct stmt *stmt, int column)
{
    return ops_of(stmt)->get_blob(stmt, column);
}

bool stmt_is_null(struct stmt *stmt, int column)
{
    return ops_of(stmt)->type(stmt, column) == STMT_NULL;
}

enum stmt_type stmt_type(struct stmt *stmt, int column)
{
    return ops_of(stmt)->type(stmt, column);
}

int stmt_columns(struct stmt *stmt)
{
    return ops_of(stmt)->columns(stmt);
}

struct str stmt_column_name(struct stmt *stmt, int column)
{
    const char *name = ops_of(stmt)->column_name(stmt, column);
    return str_from(name ? name : "");
}

void stmt_binds(struct stmt *stmt, struct binds binds)
{
    for (int i = 0; i < binds.count; i++) {
        const struct bind *bind = &binds.items[i];
        switch (bind->type) {
        case STMT_I64:
            stmt_bind_i64(stmt, i + 1, bind->i64);
            break;
        case STMT_F64:
            stmt_bind_f64(stmt, i + 1, bind->f64);
            break;
        case STMT_TEXT:
            stmt_bind_text(stmt, i + 1, bind->text);
            break;
        case STMT_BLOB: /* has no maker: it needs its length */
        case STMT_NULL:
            stmt_bind_null(stmt, i + 1);
            break;
        }
    }
}

enum err_code tx_query(struct tx *tx, const char *sql, struct binds binds, struct stmt **out_stmt,
                       struct err *err)
{
    const enum err_code rc = tx_prepare(tx, sql, out_stmt, err);
    if (!rc)
        stmt_binds(*out_stmt, binds);
    return rc;
}

enum err_code tx_query_row(struct tx *tx, const char *sql, struct binds binds, struct stmt **out_stmt,
                           bool *out_row, struct err *err)
{
    const enum err_code rc = tx_query(tx, sql, binds, out_stmt, err);
    return rc ? rc : stmt_step(*out_stmt, out_row, err);
}

enum err_code tx_run(struct tx *tx, const char *sql, struct binds binds, int64_t *out_changes,
                     struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_query(tx, sql, binds, &stmt, err);
    return rc ? rc : stmt_run(stmt, out_changes, err);
}

enum err_code tx_post(struct tx *tx, const char *sql, struct binds binds, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_query(tx, sql, binds, &stmt, err);
    return rc ? rc : stmt_post(stmt, err);
}

enum err_code tx_query_i64(struct tx *tx, const char *sql, int64_t *out_value, struct err *err)
{
    struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, sql, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc)
        *out_value = row ? stmt_i64(stmt, 0) : 0;
    stmt_free(stmt);
    return rc;
}

/* ---- scripts and tokens ---- */

enum err_code tx_exec(struct tx *tx, const char *sql, struct err *err)
{
    struct err own = { 0 };
    err = err ? err : &own;
    struct buf expanded, one;
    buf_init(&expanded, 4 << 20);
    buf_init(&one, 4 << 20);
    const char *at = store_expand(tx->store->backend, sql, &expanded);
    enum err_code rc = at ? ERR_OK : err_nomem(err);
    while (!rc && *at) {
        const char *end = store_statement_end(at);
        const struct str text = str_trim((struct str) { at, (size_t)(end - at) });
        at = *end ? end + 1 : end;
        if (!text.len)
            continue;
        if (tx->has_failed) {
            *err = tx->failure;
            rc = tx->failure.code;
            break;
        }
        buf_clear(&one);
        buf_str(&one, text);
        rc = buf_check(&one, err);
        if (!rc)
            rc = store_injected(tx->store, err);
        if (!rc)
            rc = tx_check_deadline(tx, err);
        if (!rc)
            rc = tx->store->ops->exec(tx, one.ptr, err);
        if (rc)
            rc = tx_fail(tx, err);
    }
    buf_done(&one);
    buf_done(&expanded);
    return rc;
}

static const struct {
    const char *token, *text[STORE_BACKEND__COUNT];
} TOKENS[] = {
    { "{i64}", { "INTEGER", "BIGINT" } },
    { "{f64}", { "REAL", "DOUBLE PRECISION" } },
    { "{blob}", { "BLOB", "BYTEA" } },
    { "{text}", { "TEXT", "TEXT COLLATE \"C\"" } },
    { "{json}", { "TEXT", "TEXT COLLATE \"C\"" } },
    { "{strict}", { "STRICT", "" } },
    { "{no_rowid_strict}", { "WITHOUT ROWID, STRICT", "" } },
    { "{skip_locked}", { "", "FOR UPDATE SKIP LOCKED" } },
    { "{for_update}", { "", "FOR UPDATE" } },
};

const char *store_expand(enum store_backend backend, const char *sql, struct buf *buf)
{
    if (!strchr(sql, '{'))
        return sql;
    while (*sql) {
        const size_t plain = strcspn(sql, "{");
        buf_add(buf, sql, plain);
        sql += plain;
        if (!*sql)
            break;
        size_t skip = 0;
        for (size_t i = 0; i < sizeof TOKENS / sizeof *TOKENS && !skip; i++) {
            if (str_starts(str_from(sql), str_from(TOKENS[i].token))) {
                skip = strlen(TOKENS[i].token);
                buf_text(buf, TOKENS[i].text[backend]);
            }
        }
        if (!skip)
            buf_char(buf, *sql), skip = 1;
        sql += skip;
    }
    return buf_check(buf, NULL) ? NULL : buf->ptr;
}

static bool word_at(const char *sql, const char *start, const char *word)
{
    const size_t len = strlen(word);
    if (sql > start && (sql[-1] == '_' || ((sql[-1] | 32) >= 'a' && (sql[-1] | 32) <= 'z')))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((sql[i] | 32) != word[i])
            return false;
    const char after = sql[len];
    return !(after == '_' || (after >= '0' && after <= '9') || ((after | 32) >= 'a' && (after | 32) <= 'z'));
}

const char *store_statement_end(const char *sql)
{
    const char *start = sql;
    bool trigger = false, body = false; /* a trigger with a body ends with END; */
    int words = 0;
    for (; *sql; sql++) {
        if (*sql == '\'' || *sql == '"') {
            const char *close = strchr(sql + 1, *sql);
            if (!close)
                return sql + strlen(sql);
            sql = close;
        } else if (sql[0] == '-' && sql[1] == '-') {
            sql += strcspn(sql, "\n");
            if (!*sql)
                return sql;
        } else if (sql[0] == '/' && sql[1] == '*') {
            const char *close = strstr(sql + 2, "*/");
            if (!close)
                return sql + strlen(sql);
            sql = close + 1;
        } else if (sql[0] == '$' && sql[1] == '$') { /* the body of a function */
            const char *close = strstr(sql + 2, "$$");
            if (!close)
                return sql + strlen(sql);
            sql = close + 1;
        } else if (*sql == ';') {
            if (!body || (sql - start >= 3 && word_at(sql - 3, start, "end")))
                return sql;
        } else if ((*sql | 32) >= 'a' && (*sql | 32) <= 'z') {
            if (words < 4 && word_at(sql, start, "trigger"))
                trigger = true;
            if (trigger && word_at(sql, start, "begin"))
                body = true;
            while (sql[1] == '_' || (sql[1] >= '0' && sql[1] <= '9') ||
                   ((sql[1] | 32) >= 'a' && (sql[1] | 32) <= 'z'))
                sql++;
            words++;
        }
    }
    return sql;
}
