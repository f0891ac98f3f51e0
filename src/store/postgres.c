/* postgres.c - the backend for PostgreSQL and what speaks its protocol.
 *
 * 1. Two pools of connections: writers (a slot each) and readers.  A connection serves one tx at a time.
 * 2. Nothing waits in libpq: we send, poll with the tx's deadline, and give a connection up that does not
 *    answer.  A pooled connection that died while idle costs one silent second try, never an error.
 * 3. A write is SERIALIZABLE and begins by inserting its own id into store_write.  Serialization failures
 *    and deadlocks run the function again.
 * 4. When the connection is lost during COMMIT, another one inserts the same id: that waits for a commit
 *    still going on; a duplicate says that it was committed; success says that it was not and never will be.
 * 5. What is posted is sent in pipeline mode and answered with the next statement that needs an answer, or
 * with the commit; so is BEGIN.  Its failure stays with the connection until the (sub)transaction is rolled
 * back.
 * 6. Parameters travel as text (blobs as bytes); the kinds bound at the first step are the declared types.
 *    A statement is prepared anew when a parameter is bound with another kind than before. */
#include "store/internal.h"

#include "crypto/secret.h"

#include <assert.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CONNECT_MS 5000
#define GRACE_MS 2000        /* the server's own time-out comes first */
#define COMMIT_WAIT_MS 20000 /* for a COMMIT and for finding out what became of it */
#define RUNS_MAX 100         /* the deadline of the tx usually comes first */
#define LOST_MAX 3
#define PARAMS_MAX 1000
#define FETCH_ROWS 500
#define POSTED_MAX 64
#define KEEP_WRITES 512 /* ids of writes a connection leaves in store_write */

enum { OID_I64 = 20, OID_F64 = 701, OID_TEXT = 25, OID_BLOB = 17 };

struct pconn {
    struct conn head;
    PGconn *pg;
    bool write, lost, again; /* again: a serialization failure was seen in this tx */
    int64_t first_id, last_id;
    int64_t timeout_ms; /* statement_timeout of the tx */
    unsigned serial;    /* names of statements and cursors */
    int posted;         /* statements sent whose answers are still to be read */
    struct err late;    /* of the first of them that failed; code ERR_OK = none */
    struct pconn *next_idle;
};

struct param {
    enum stmt_type kind;
    char number[32];
    char *copy; /* of a text, NUL behind; owned */
    size_t copy_size;
    const char *value; /* NULL = SQL NULL */
    size_t len;
};

struct pstmt {
    struct stmt head;
    char *sql; /* with $N; owned */
    int count;
    struct param *params; /* owned */
    Oid *declared;        /* owned; of the prepared statement */
    bool prepared;
    char name[24], cursor[24]; /* cursor: "" or the open one */
    PGresult *result;
    int row, rows;
    bool last; /* no further portion of the cursor */
    int64_t changes;
};

struct pool {
    struct pconn *idle;
    int made, max;
    pthread_cond_t free;
};

struct postgres {
    pthread_mutex_t lock; /* guards all below */
    struct pool writers, readers;
    bool slots[64];
    int64_t down_until_ms, backoff_ms; /* after a failed connect nobody tries before that */
    char down_reason[ERR_TEXT_MAX + 1];
};

static void conn_close(struct pconn *conn);
static enum err_code prepare_guessing(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err);

/* ---- errors ---- */

/* "Key (name, n)=(x, 5) already exists." gives "name,n". */
static void key_columns(const char *detail, const char *table, char *out, size_t size)
{
    const char *open = detail ? strchr(detail, '(') : NULL;
    size_t len = (size_t)snprintf(out, size, "%.40s", table ? table : "");
    if (open && len + 1 < size) {
        out[len++] = '.';
        for (open++; *open && !(open[0] == ')' && open[1] == '=') && len + 1 < size; open++)
            if (*open != ' ' && *open != '"')
                out[len++] = *open;
    }
    out[len] = 0;
}

static enum err_code away(struct err *err, const char *reason)
{
    char text[ERR_TEXT_MAX + 1];
    (void)snprintf(text, sizeof text, "%s", reason);
    text[strcspn(text, "\n")] = 0;
    return err_set(err, ERR_STORE, "store.away", ARG_TEXT("reason", text), ARG_END);
}

static enum err_code result_error(struct pconn *conn, const PGresult *result, struct err *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (!result || !state || PQstatus(conn->pg) == CONNECTION_BAD || strncmp(state, "57P", 3) == 0 ||
        strncmp(state, "08", 2) == 0) {
        conn->lost = true;
        return away(err, conn->pg ? PQerrorMessage(conn->pg) : "");
    }
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *table = PQresultErrorField(result, PG_DIAG_TABLE_NAME);
    char what[ERR_TEXT_MAX + 1];
    if (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0) {
        conn->again = true;
        return err_set(err, ERR_BUSY, "store.busy", ARG_END);
    }
    if (strcmp(state, "23505") == 0) {
        char stem[STORE_NAME_SIZE];
        (void)snprintf(stem, sizeof stem, "%s", table ? table : "");
        key_columns(PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL), stem, what, sizeof what);
        return err_set(err, ERR_CONFLICT, "store.duplicate", ARG_TEXT("what", what), ARG_END);
    }
    if (strcmp(state, "23503") == 0)
        return err_set(err, ERR_CONFLICT, "store.reference", ARG_END);
    if (strcmp(state, "23502") == 0) {
        const char *column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
        (void)snprintf(what, sizeof what, "%s.%s", table ? table : "", column ? column : "");
        return err_set(err, ERR_INVALID, "store.missing_value", ARG_TEXT("what", what), ARG_END);
    }
    if (strcmp(state, "23514") == 0)
        return err_set(err, ERR_INVALID, "store.check",
                       ARG_TEXT("what", PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME)), ARG_END);
    if (strcmp(state, "57014") == 0)
        return err_set(err, ERR_TIMEOUT, "store.timeout", ARG_END);
    if (strcmp(state, "25006") == 0)
        return err_set(err, ERR_INVALID, "store.read_only", ARG_END);
    if (strcmp(state, "53100") == 0)
        return err_set(err, ERR_DISK_FULL, "store.disk_full", ARG_END);
    if (strncmp(state, "53", 2) == 0 || strncmp(state, "55", 2) == 0)
        return err_set(err, ERR_BUSY, "store.busy", ARG_END);
    if (strcmp(state, "XX001") == 0 || strcmp(state, "XX002") == 0)
        return err_set(err, ERR_CORRUPT, "store.corrupt", ARG_TEXT("reason", message), ARG_END);
    if (strncmp(state, "58", 2) == 0 || strncmp(state, "XX", 2) == 0)
        return err_set(err, ERR_STORE, "store.failed", ARG_TEXT("reason", message), ARG_END);
    if (strncmp(state, "22", 2) == 0)
        return err_set(err, ERR_INVALID, "store.wrong_type", ARG_TEXT("reason", message), ARG_END);
    return err_set(err, ERR_INVALID, "store.sql", ARG_TEXT("reason", message), ARG_END);
}

/* ---- talking ---- */

static bool wait_socket(struct pconn *conn, short events, int64_t until_ms)
{
    for (;;) {
        const int64_t left = until_ms - clock_mono(&CLOCK_SYSTEM);
        struct pollfd fd = { .fd = PQsocket(conn->pg), .events = events };
        if (fd.fd < 0)
            return false;
        const int n = poll(&fd, 1, left < 0 ? 0 : left > 60000 ? 60000 : (int)left);
        if (n > 0)
            return true;
        if (n == 0 && left <= 0)
            return false;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

/* The answer to what was sent: of several the last, or the first that failed.  NULL: none came in time or
 * the connection broke; then conn->lost. */
static PGresult *await(struct pconn *conn, int64_t until_ms)
{
    PGresult *answer = NULL;
    bool failed = false;
    for (int more; (more = PQflush(conn->pg)) != 0;) {
        if (more < 0 || !wait_socket(conn, POLLIN | POLLOUT, until_ms) || !PQconsumeInput(conn->pg))
            goto lost;
    }
    for (;;) {
        while (PQisBusy(conn->pg))
            if (!wait_socket(conn, POLLIN, until_ms) || !PQconsumeInput(conn->pg))
                goto lost;
        PGresult *next = PQgetResult(conn->pg);
        if (!next)
            break;
        if (failed) {
            PQclear(next);
            continue;
        }
        PQclear(answer);
        answer = next;
        const ExecStatusType status = PQresultStatus(next);
        failed = status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY;
    }
    if (answer)
        return answer;

lost:
    PQclear(answer);
    conn->lost = true;
    return NULL;
}

static bool is_good(const PGresult *result)
{
    const ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

/* The next answer alone. */
static PGresult *await_one(struct pconn *conn, int64_t until_ms)
{
    while (PQisBusy(conn->pg))
        if (!wait_socket(conn, POLLIN, until_ms) || !PQconsumeInput(conn->pg)) {
            conn->lost = true;
            return NULL;
        }
    return PQgetResult(conn->pg);
}

/* ---- posting ---- */

/* One more statement on its way: the caller sends it next. */
static bool pipeline_open(struct pconn *conn)
{
    return conn->posted || PQenterPipelineMode(conn->pg);
}

/* Sends the end of the pipeline and reads all answers; the last one, of a statement that was not posted, is
 * for the caller (`own` NULL = there is none).  The first failure of the posted ones goes to conn->late. */
static void pipeline_end(struct pconn *conn, int64_t until_ms, PGresult **own)
{
    const int count = conn->posted + (own ? 1 : 0);
    conn->posted = 0;
    if (conn->lost || !PQpipelineSync(conn->pg)) {
        conn->lost = true;
        return;
    }
    for (int i = 0; i < count; i++) {
        PGresult *result = await(conn, until_ms);
        if (conn->lost) {
            PQclear(result);
            return;
        }
        if (own && i == count - 1) {
            *own = result;
            break;
        }
        if (!is_good(result) && !conn->late.code)
            (void)result_error(conn, result, &conn->late);
        PQclear(result);
    }
    PGresult *end = await_one(conn, until_ms);
    if (!end || PQresultStatus(end) != PGRES_PIPELINE_SYNC || !PQexitPipelineMode(conn->pg))
        conn->lost = true;
    PQclear(end);
}

/* A statement without parameters that is on its way with the next. */
static enum err_code post_text(struct pconn *conn, const char *sql, struct err *err)
{
    if (conn->lost || !pipeline_open(conn) ||
        !PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL, 0)) {
        conn->lost = true;
        return away(err, PQerrorMessage(conn->pg));
    }
    conn->posted++;
    return ERR_OK;
}

/* Waits for what was posted. */
static enum err_code settle(struct pconn *conn, int64_t until_ms, struct err *err)
{
    if (conn->posted)
        pipeline_end(conn, until_ms, NULL);
    if (conn->lost)
        return away(err, "connection lost");
    if (conn->late.code)
        *err = conn->late;
    return conn->late.code;
}

/* Statements without parameters; *out_value, when asked for, is the first column of the last answer. */
static enum err_code simple(struct pconn *conn, const char *sql, int64_t until_ms, char out_value[64],
                            struct err *err)
{
    enum err_code rc = settle(conn, until_ms, err);
    if (rc)
        return rc;
    if (!PQsendQuery(conn->pg, sql)) {
        conn->lost = true;
        return away(err, PQerrorMessage(conn->pg));
    }
    PGresult *result = await(conn, until_ms);

    if (!is_good(result))
        rc = result_error(conn, result, err);
    else if (out_value)
        (void)snprintf(out_value, 64, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return rc;
}

/* ---- connections ---- */

static void on_notice(void *arg, const PGresult *result)
{
    (void)arg, (void)result; /* "already exists, skipping" and the like */
}

static enum err_code handshake(struct pconn *conn, int64_t until_ms)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED ||
            !wait_socket(conn, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms))
            return ERR_STORE;
        status = PQconnectPoll(conn->pg);
    }
    return ERR_OK;
}

static enum err_code conn_open(struct store *store, bool write, int64_t deadline_ms, struct pconn **out_conn,
                               struct err *err)
{
    struct postgres *impl = store->impl;
    const int64_t now = clock_mono(&CLOCK_SYSTEM);
    const int64_t until = deadline_ms < now + CONNECT_MS ? deadline_ms : now + CONNECT_MS;
    (void)pthread_mutex_lock(&impl->lock);
    const bool down = now < impl->down_until_ms;
    enum err_code rc = down ? away(err, impl->down_reason) : ERR_OK;
    (void)pthread_mutex_unlock(&impl->lock);
    if (down)
        return rc;
    struct pconn *conn = mem_alloc(1, sizeof *conn);
    if (!conn)
        return err_nomem(err);
    conn->head.store = store;
    conn->head.slot = -1;
    conn->write = write;
    const char *names[] = { "dbname",           "fallback_application_name", "client_encoding",
                            "tcp_user_timeout", "keepalives_idle",           NULL };
    const char *values[] = { store->url, "bihuan", "UTF8", "10000", "10", NULL };
    conn->pg = PQconnectStartParams(names, values, 1);
    if (!conn->pg) {
        mem_free(conn);
        return err_nomem(err);
    }
    rc = PQstatus(conn->pg) == CONNECTION_BAD ? ERR_STORE : handshake(conn, until);
    if (!rc) {
        (void)PQsetnonblocking(conn->pg, 1);
        (void)PQsetNoticeReceiver(conn->pg, on_notice, NULL);
        rc = simple(conn,
                    "SET synchronous_commit=on;SET TimeZone='UTC';"
                    "SET standard_conforming_strings=on;SET bytea_output=hex;SET extra_float_digits=1;"
                    "SET jit=off;SET idle_in_transaction_session_timeout=120000",
                    until, NULL, err);
    } else {
        const char *reason = PQerrorMessage(conn->pg);
        rc = away(err, reason[0] ? reason : "no answer");
    }
    /* a list's best way depends on its values; what a write runs finds rows by their keys */
    if (!rc && !write)
        rc = simple(conn, "SET plan_cache_mode=force_custom_plan", until, NULL, err);
    /* a table that is read whole in a SERIALIZABLE write conflicts with every other that writes to it, and
     * small ones (heads of audit chains) would be */
    if (!rc && write)
        rc = simple(conn, "SET enable_seqscan=off", until, NULL, err);
    if (!rc && write) {
        int64_t random;
        rc = random_bytes(&random, sizeof random, err);
        /* 39 random bits for the connection, 24 for its writes. */
        conn->first_id = conn->last_id = (int64_t)((uint64_t)random & (UINT64_C(0x7fffffffff) << 24));
    }
    (void)pthread_mutex_lock(&impl->lock);
    if (rc == ERR_STORE) {
        impl->backoff_ms = impl->backoff_ms ? impl->backoff_ms * 2 : 50;
        if (impl->backoff_ms > 1000)
            impl->backoff_ms = 1000;
        impl->down_until_ms = clock_mono(&CLOCK_SYSTEM) + impl->backoff_ms;
        (void)snprintf(impl->down_reason, sizeof impl->down_reason, "%s", err->args[0].text);
    } else if (!rc) {
        if (impl->backoff_ms)
            store->reconnects++;
        impl->backoff_ms = impl->down_until_ms = 0;
    }
    (void)pthread_mutex_unlock(&impl->lock);
    if (rc) {
        conn_close(conn);
        return rc;
    }
    *out_conn = conn;
    return ERR_OK;
}

static void conn_close(struct pconn *conn)
{
    conn_clear_cache(&conn->head);
    PQfinish(conn->pg);
    mem_free(conn);
}

static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static struct pool *pool_of(struct store *store, bool write)
{
    struct postgres *impl = store->impl;
    return write ? &impl->writers : &impl->readers;
}

static enum err_code conn_take(struct store *store, bool write, int64_t deadline_ms, struct pconn **out_conn,
                               struct err *err)
{
    struct postgres *impl = store->impl;
    struct pool *pool = pool_of(store, write);
    enum err_code rc = ERR_OK;
    int slot = -1;
    (void)pthread_mutex_lock(&impl->lock);
    if (store->waiting >= STORE_WAITING_MAX)
        rc = err_set(err, ERR_BUSY, "store.busy", ARG_END);
    store->waiting++;
    while (!rc && !pool->idle && pool->made >= pool->max) {
        const struct timespec until = { .tv_sec = deadline_ms / 1000,
                                        .tv_nsec = deadline_ms % 1000 * 1000000 };
        if (pthread_cond_timedwait(&pool->free, &impl->lock, &until) == ETIMEDOUT && !pool->idle &&
            pool->made >= pool->max)
            rc = err_set(err, ERR_TIMEOUT, "store.timeout", ARG_END);
    }
    store->waiting--;
    struct pconn *conn = rc ? NULL : pool->idle;
    if (conn) {
        pool->idle = conn->next_idle;
    } else if (!rc) {
        pool->made++;
        for (slot = 0; write && impl->slots[slot]; slot++)
            ;
        if (write)
            impl->slots[slot] = true;
    }
    (void)pthread_mutex_unlock(&impl->lock);
    if (!rc && !conn) {
        rc = conn_open(store, write, deadline_ms, &conn, err);
        if (rc) {
            (void)pthread_mutex_lock(&impl->lock);
            pool->made--;
            if (write)
                impl->slots[slot] = false;
            (void)pthread_cond_signal(&pool->free);
            (void)pthread_mutex_unlock(&impl->lock);
            return rc;
        }
        assert(conn);
        conn->head.slot = write ? slot : -1;
    }
    if (!rc)
        *out_conn = conn;
    return rc;
}

/* Back to the pool, or closed when it was lost. */
static void conn_give(struct store *store, struct pconn *conn)
{
    struct postgres *impl = store->impl;
    struct pool *pool = pool_of(store, conn->write);
    const int slot = conn->head.slot;
    const bool lost = conn->lost, write = conn->write;
    if (lost)
        conn_close(conn);
    (void)pthread_mutex_lock(&impl->lock);
    if (lost) {
        pool->made--;
        if (write)
            impl->slots[slot] = false;
    } else {
        conn->next_idle = pool->idle;
        pool->idle = conn;
    }
    (void)pthread_cond_signal(&pool->free);
    (void)pthread_mutex_unlock(&impl->lock);
}

static void pool_close(struct pool *pool)
{
    while (pool->idle) {
        struct pconn *conn = pool->idle;
        pool->idle = conn->next_idle;
        conn_close(conn);
    }
    (void)pthread_cond_destroy(&pool->free);
}

static void postgres_close(struct store *store)
{
    struct postgres *impl = store->impl;
    if (!impl)
        return;
    pool_close(&impl->writers);
    pool_close(&impl->readers);
    (void)pthread_mutex_destroy(&impl->lock);
    mem_free(impl);
    store->impl = NULL;
}

/* The tenant's schema and the table of write ids; nodes that start together wait for each other. */
static enum err_code first_tables(struct pconn *conn, int64_t until_ms, struct err *err)
{
    char value[64] = "";
    enum err_code rc = simple(conn, "SELECT pg_advisory_lock(6245118123071)", until_ms, NULL, err);
    if (!rc)
        rc = simple(conn, "SELECT coalesce(current_schema(), '')", until_ms, value, err);
    if (!rc && !value[0]) {
        rc = simple(
            conn,
            "SELECT quote_ident(trim(both ' \"' from split_part(current_setting('search_path'), ',', 1)))",
            until_ms, value, err);
        char sql[128];
        (void)snprintf(sql, sizeof sql, "CREATE SCHEMA IF NOT EXISTS %s", value);
        if (!rc)
            rc = simple(conn, sql, until_ms, NULL, err);
    }
    if (!rc)
        rc = simple(conn,
                    "CREATE TABLE IF NOT EXISTS store_write (id BIGINT PRIMARY KEY, at BIGINT NOT NULL);"
                    "DELETE FROM store_write WHERE at < extract(epoch FROM now() - interval '1 day') * 1000",
                    until_ms, NULL, err);
    if (!rc)
        rc = simple(conn, "SELECT pg_advisory_unlock(6245118123071)", until_ms, NULL, err);
    return rc;
}

static enum err_code postgres_open(struct store *store, struct err *err)
{
    struct err own = { 0 };
    err = err ? err : &own;
    struct postgres *impl = mem_alloc(1, sizeof *impl);
    if (!impl)
        return err_nomem(err);
    store->impl = impl;
    (void)pthread_mutex_init(&impl->lock, NULL);
    cond_init(&impl->writers.free);
    cond_init(&impl->readers.free);
    impl->writers.max = store->writers;
    impl->readers.max = store->readers;
    struct pconn *conn = NULL;
    const int64_t until = clock_mono(&CLOCK_SYSTEM) + store->deadline_ms;
    enum err_code rc = conn_take(store, true, until, &conn, err);
    if (!rc) {
        rc = first_tables(conn, until, err);
        conn_give(store, conn);
    }
    if (rc)
        postgres_close(store);
    return rc;
}

/* ---- transactions ---- */

static enum err_code begin(struct pconn *conn, struct tx *tx, struct err *err)
{
    const int64_t now = clock_mono(&CLOCK_SYSTEM);
    char sql[128];
    conn->again = false;
    conn->late.code = ERR_OK;
    conn->timeout_ms = tx->deadline_ms - now;
    if (conn->timeout_ms < 1)
        return err_set(err, ERR_TIMEOUT, "store.timeout", ARG_END);
    enum err_code rc = post_text(conn,
                                 !tx->write  ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                                 : tx->claim ? "BEGIN ISOLATION LEVEL READ COMMITTED"
                                             : "BEGIN ISOLATION LEVEL SERIALIZABLE",
                                 err);
    (void)snprintf(sql, sizeof sql, "SET LOCAL statement_timeout=%lld", (long long)conn->timeout_ms);
    if (!rc)
        rc = post_text(conn, sql, err);
    if (rc || !tx->write)
        return rc;
    tx->write_id = ++conn->last_id;
    (void)snprintf(sql, sizeof sql, "INSERT INTO store_write (id, at) VALUES (%lld, %lld)",
                   (long long)tx->write_id, (long long)clock_now(tx->store->clock));
    return post_text(conn, sql, err);
}

/* COMMIT, behind what is posted. */
static enum err_code commit(struct pconn *conn, int64_t until_ms, struct err *err)
{
    PGresult *result = NULL;
    if (!conn->posted)
        return simple(conn, "COMMIT", until_ms, NULL, err);
    if (PQsendQueryParams(conn->pg, "COMMIT", 0, NULL, NULL, NULL, NULL, 0))
        pipeline_end(conn, until_ms, &result);
    else
        conn->lost = true;
    enum err_code rc = ERR_OK;
    if (conn->late.code) {
        *err = conn->late;
        rc = err->code;
    } else if (conn->lost || !is_good(result)) {
        rc = result_error(conn, result, err);
    }
    PQclear(result);
    return rc;
}

static void roll_back(struct pconn *conn)
{
    struct err ignored;
    (void)!settle(conn, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, &ignored);
    conn->late.code = ERR_OK;
    if (!conn->lost && PQtransactionStatus(conn->pg) != PQTRANS_IDLE &&
        simple(conn, "ROLLBACK", clock_mono(&CLOCK_SYSTEM) + GRACE_MS, NULL, &ignored))
        conn->lost = true;
}

static void pause_ms(int64_t ms)
{
    const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    (void)nanosleep(&time, NULL);
}

/* Invariant 4.  ERR_OK: *out_committed is the truth. */
static enum err_code find_out(struct store *store, int64_t write_id, int64_t until_ms, bool *out_committed,
                              struct err *err)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "INSERT INTO store_write (id, at) VALUES (%lld, %lld)",
                   (long long)write_id, (long long)clock_now(store->clock));
    for (;;) {
        struct pconn *conn = NULL;
        struct err now = { 0 };
        enum err_code rc = conn_take(store, true, until_ms, &conn, &now);
        if (!rc) {
            rc = simple(conn, sql, until_ms, NULL, &now);
            if (rc && !conn->lost && rc != ERR_CONFLICT)
                conn->lost = true; /* say, a time-out while it waits: never leave it half done */
            conn_give(store, conn);
            if (rc == ERR_OK || rc == ERR_CONFLICT) {
                *out_committed = rc == ERR_CONFLICT;
                return ERR_OK;
            }
        }
        if (clock_mono(&CLOCK_SYSTEM) >= until_ms)
            return err_set(err, ERR_STORE, "store.commit_unknown", ARG_END);
        pause_ms(50);
    }
}

static void forget_old_ids(struct pconn *conn)
{
    char sql[128];
    struct err ignored;
    if (conn->last_id - conn->first_id < KEEP_WRITES)
        return;
    (void)snprintf(sql, sizeof sql, "DELETE FROM store_write WHERE id BETWEEN %lld AND %lld",
                   (long long)conn->first_id, (long long)conn->last_id - 1);
    if (simple(conn, sql, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, NULL, &ignored) == ERR_OK)
        conn->first_id = conn->last_id;
}

/* One run of a transaction.  *out_again: nothing was committed and it may run again. */
static enum err_code run_once(struct store *store, struct tx *tx, store_fn fn, void *arg, bool *out_again,
                              bool *out_lost, struct err *err)
{
    struct pconn *conn = NULL;
    enum err_code rc = conn_take(store, tx->write, tx->deadline_ms, &conn, err);
    *out_again = *out_lost = false;
    if (rc)
        return rc;
    tx_restart(tx);
    tx->conn = &conn->head;
    conn->head.tx = tx;
    rc = begin(conn, tx, err);
    if (!rc)
        rc = tx_outcome(tx, fn(tx, arg, err), err);
    if (!rc && (conn->again || conn->lost)) /* hidden inside a savepoint */
        rc = err_set(err, ERR_BUSY, "store.busy", ARG_END);
    if (!rc && tx->write)
        rc = store_injected(store, err);
    if (!rc) {
        const int64_t now = clock_mono(&CLOCK_SYSTEM);
        const int64_t until = now + COMMIT_WAIT_MS > tx->deadline_ms ? now + COMMIT_WAIT_MS : tx->deadline_ms;
        rc = commit(conn, until, err);
        if (rc && conn->lost && tx->write) {
            bool committed = false;
            conn->head.tx = NULL;
            conn_give(store, conn);
            conn = NULL;
            rc = find_out(store, tx->write_id, until, &committed, err);
            if (!rc && !committed) {
                *out_again = *out_lost = true;
                rc = away(err, "connection lost");
            }
        } else if (rc && conn->lost) {
            rc = ERR_OK; /* a read has all it wanted */
        }
        if (!rc && tx->write)
            store->commits++;
    }
    if (conn) {
        *out_again = rc != ERR_OK && (conn->again || conn->lost);
        *out_lost = conn->lost;
        roll_back(conn);
        conn->head.tx = NULL;
        if (tx->write && !conn->lost)
            forget_old_ids(conn);
        conn_give(store, conn);
    }
    return rc;
}

static enum err_code run(struct store *store, struct tx *tx, store_fn fn, void *arg, struct err *err)
{
    int losses = 0;
    for (int runs = 1;; runs++) {
        bool again, lost;
        const enum err_code rc = run_once(store, tx, fn, arg, &again, &lost, err);
        if (!again || runs == RUNS_MAX || clock_mono(&CLOCK_SYSTEM) >= tx->deadline_ms)
            return rc;
        if (lost && ++losses == LOST_MAX)
            return rc;
        store->retries++;
        if (!lost && runs > 1) /* growing, never in step with the others */
            pause_ms(1 + (int64_t)((uint64_t)clock_now(&CLOCK_SYSTEM) * 2654435761u % (uint64_t)(2 * runs)));
    }
}

static enum err_code ping_fn(struct tx *tx, void *arg, struct err *err)
{
    int64_t *one = arg;
    return tx_query_i64(tx, "SELECT 1", one, err);
}

static enum err_code postgres_ping(struct store *store, struct err *err)
{
    int64_t one = 0;
    return store_read(store, ping_fn, &one, err);
}

/* ---- statements ---- */

static struct pstmt *own(struct stmt *stmt)
{
    return (struct pstmt *)stmt;
}

static struct pconn *conn_of(struct stmt *stmt)
{
    return (struct pconn *)stmt->conn;
}

/* ?N becomes $N outside of quotes and comments; *out_count = the greatest N. */
static void with_dollars(const char *sql, struct buf *out, int *out_count)
{
    *out_count = 0;
    while (*sql) {
        size_t len = 1;
        if (*sql == '\'' || *sql == '"') {
            const char *close = strchr(sql + 1, *sql);
            len = close ? (size_t)(close - sql) + 1 : strlen(sql);
        } else if (sql[0] == '-' && sql[1] == '-') {
            len = strcspn(sql, "\n");
        } else if (sql[0] == '/' && sql[1] == '*') {
            const char *close = strstr(sql + 2, "*/");
            len = close ? (size_t)(close - sql) + 2 : strlen(sql);
        } else if (sql[0] == '?' && sql[1] >= '1' && sql[1] <= '9') {
            const int n = atoi(sql + 1);
            if (n > *out_count)
                *out_count = n;
            buf_char(out, '$');
            sql++;
            continue;
        }
        buf_add(out, sql, len);
        sql += len;
    }
}

static void postgres_destroy(struct stmt *stmt)
{
    struct pstmt *s = own(stmt);
    struct pconn *conn = conn_of(stmt);
    struct err ignored_late; /* stays with the connection */
    PQclear(s->result);
    if (s->prepared && conn->posted)
        (void)!settle(conn, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, &ignored_late);
    if (s->prepared && !conn->lost && !conn->late.code && PQtransactionStatus(conn->pg) == PQTRANS_INTRANS) {
        char sql[64];
        struct err ignored;
        (void)snprintf(sql, sizeof sql, "DEALLOCATE %s", s->name);
        if (simple(conn, sql, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, NULL, &ignored))
            conn->lost = true;
    }
    for (int i = 0; i < s->count && s->params; i++)
        mem_free(s->params[i].copy);
    mem_free(s->params);
    mem_free(s->declared);
    mem_free(s->sql);
    mem_free(s);
}

static enum err_code postgres_prepare(struct tx *tx, const char *sql, struct stmt **out_stmt, struct err *err)
{
    struct pstmt *stmt = mem_alloc(1, sizeof *stmt);
    if (!stmt)
        return err_nomem(err);
    struct buf text;
    buf_init(&text, STORE_SQL_MAX * 2);
    with_dollars(sql, &text, &stmt->count);
    stmt->head.conn = tx->conn;
    enum err_code rc = stmt->count > PARAMS_MAX ? err_set(err, ERR_LIMIT, "store.parameter", ARG_END)
                                                : buf_check(&text, err);
    if (!rc) {
        stmt->sql = text.ptr; /* taken */
        stmt->params = mem_alloc((size_t)stmt->count + 1, sizeof *stmt->params);
        stmt->declared = mem_alloc((size_t)stmt->count + 1, sizeof *stmt->declared);
        if (!stmt->params || !stmt->declared)
            rc = err_nomem(err);
    } else {
        stmt->count = 0;
        buf_done(&text);
    }
    if (rc) {
        postgres_destroy(&stmt->head);
        return rc;
    }
    *out_stmt = &stmt->head;
    return ERR_OK;
}

static void postgres_reset(struct stmt *stmt, bool clear)
{
    struct pstmt *s = own(stmt);
    struct pconn *conn = conn_of(stmt);
    PQclear(s->result);
    s->result = NULL;
    s->row = s->rows = 0;
    if (s->cursor[0]) {
        struct err ignored_late; /* stays with the connection */
        (void)!settle(conn, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, &ignored_late);
        if (!conn->lost && !conn->late.code && PQtransactionStatus(conn->pg) == PQTRANS_INTRANS) {
            char sql[64];
            struct err ignored;
            (void)snprintf(sql, sizeof sql, "CLOSE %s", s->cursor);
            (void)!simple(conn, sql, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, NULL, &ignored);
        }
        s->cursor[0] = 0;
    }
    for (int i = 0; clear && i < s->count; i++) {
        s->params[i].kind = STMT_NULL;
        s->params[i].value = NULL;
        if (s->params[i].copy_size > 4096) { /* do not sit on a large text */
            mem_free(s->params[i].copy);
            s->params[i].copy = NULL;
            s->params[i].copy_size = 0;
        }
    }
}

static struct param *param_at(struct stmt *stmt, int index)
{
    if (index >= 1 && index <= own(stmt)->count)
        return &own(stmt)->params[index - 1];
    stmt->bind_failed = ERR_INVALID;
    return NULL;
}

static void postgres_bind_i64(struct stmt *stmt, int index, int64_t value)
{
    struct param *param = param_at(stmt, index);
    if (!param)
        return;
    param->kind = STMT_I64;
    param->len = (size_t)snprintf(param->number, sizeof param->number, "%lld", (long long)value);
    param->value = param->number;
}

static void postgres_bind_f64(struct stmt *stmt, int index, double value)
{
    struct param *param = param_at(stmt, index);
    if (!param)
        return;
    param->kind = STMT_F64;
    param->len = (size_t)snprintf(param->number, sizeof param->number, "%.17g", value);
    param->value = param->number;
}

static void postgres_bind_text(struct stmt *stmt, int index, struct str text)
{
    struct param *param = param_at(stmt, index);
    if (!param)
        return;
    param->kind = text.ptr ? STMT_TEXT : STMT_NULL;
    param->value = NULL;
    if (!text.ptr)
        return;
    if (param->copy_size < text.len + 1) {
        char *copy = mem_realloc(param->copy, text.len + 1);
        if (!copy) {
            stmt->bind_failed = ERR_NOMEM;
            return;
        }
        param->copy = copy;
        param->copy_size = text.len + 1;
    }
    memcpy(param->copy, text.ptr, text.len);
    param->copy[text.len] = 0;
    param->value = param->copy;
    param->len = text.len;
}

static void postgres_bind_blob(struct stmt *stmt, int index, const void *bytes, size_t len)
{
    struct param *param = param_at(stmt, index);
    if (!param)
        return;
    param->kind = STMT_BLOB;
    param->value = bytes;
    param->len = len;
    if (len > INT32_MAX / 2)
        stmt->bind_failed = ERR_LIMIT;
}

static Oid oid_of(enum stmt_type kind)
{
    switch (kind) {
    case STMT_I64:
        return OID_I64;
    case STMT_F64:
        return OID_F64;
    case STMT_TEXT:
        return OID_TEXT;
    case STMT_BLOB:
        return OID_BLOB;
    case STMT_NULL:
        break;
    }
    return 0;
}

/* The timeout of the tx shrinks with its time: set anew when the server's is far behind. */
static enum err_code refresh_timeout(struct pconn *conn, struct tx *tx, struct err *err)
{
    const int64_t left = tx->deadline_ms - clock_mono(&CLOCK_SYSTEM);
    if (left > conn->timeout_ms / 2 || conn->timeout_ms - left < 500)
        return ERR_OK;
    char sql[64];
    conn->timeout_ms = left > 0 ? left : 1;
    (void)snprintf(sql, sizeof sql, "SET LOCAL statement_timeout=%lld", (long long)conn->timeout_ms);
    return simple(conn, sql, tx->deadline_ms + GRACE_MS, NULL, err);
}

static enum err_code make_prepared(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err)
{
    bool fits = s->prepared;
    for (int i = 0; i < s->count; i++) {
        const Oid oid = oid_of(s->params[i].kind);
        if (oid && oid != s->declared[i])
            fits = false;
    }
    if (fits)
        return ERR_OK;
    const enum err_code late = settle(conn, until_ms, err);
    if (late)
        return late;
    if (s->prepared) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "DEALLOCATE %s", s->name);
        const enum err_code rc = simple(conn, sql, until_ms, NULL, err);
        if (rc)
            return rc;
        s->prepared = false;
    }
    for (int i = 0; i < s->count; i++) {
        const Oid oid = oid_of(s->params[i].kind);
        if (oid)
            s->declared[i] = oid;
    }
    return prepare_guessing(s, conn, until_ms, err);
}

/* A parameter that is NULL at the first run and stands where PostgreSQL cannot tell its type ("?1 IS NULL OR
 * n = ?1") gets one by trial, each in a savepoint; a value bound later corrects a wrong guess. */
static enum err_code prepare_guessing(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err)
{
    static const Oid guesses[] = { OID_I64, OID_TEXT, OID_F64, OID_BLOB };
    bool unknown = false;
    int guessed = -1; /* the parameter that is being tried */
    size_t next = 0;
    for (int i = 0; i < s->count; i++)
        unknown |= s->declared[i] == 0;
    (void)snprintf(s->name, sizeof s->name, "s%u", ++conn->serial);
    for (;;) {
        enum err_code rc = unknown ? simple(conn, "SAVEPOINT guess", until_ms, NULL, err) : ERR_OK;
        if (rc)
            return rc;
        if (!PQsendPrepare(conn->pg, s->name, s->sql, s->count, s->declared)) {
            conn->lost = true;
            return away(err, PQerrorMessage(conn->pg));
        }
        PGresult *result = await(conn, until_ms);
        if (is_good(result)) {
            PQclear(result);
            s->prepared = true;
            return unknown ? simple(conn, "RELEASE guess", until_ms, NULL, err) : ERR_OK;
        }
        const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
        const char *message = state ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
        bool again = false;
        const bool untyped = state && (strcmp(state, "42P18") == 0 || strcmp(state, "42P08") == 0);
        if (unknown && untyped && message && strchr(message, '$')) {
            const int n = atoi(strchr(message, '$') + 1) - 1;
            if (n >= 0 && n < s->count && s->declared[n] == 0) {
                guessed = n;
                next = 1;
                s->declared[n] = guesses[0];
                again = true;
            }
        } else if (guessed >= 0 && state && next < sizeof guesses / sizeof *guesses &&
                   (strcmp(state, "42883") == 0 || strcmp(state, "42804") == 0)) {
            s->declared[guessed] = guesses[next++];
            again = true;
        }
        rc = result_error(conn, result, err);
        PQclear(result);
        if (!again)
            return rc;
        rc = simple(conn, "ROLLBACK TO guess", until_ms, NULL, err);
        if (rc)
            return rc;
    }
}

/* The parameters as libpq takes them. */
struct sending {
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
    Oid types[PARAMS_MAX];
};

static void collect(const struct pstmt *s, struct sending *out)
{
    for (int i = 0; i < s->count; i++) {
        const struct param *param = &s->params[i];
        out->values[i] = param->value;
        out->lengths[i] = (int)param->len;
        out->formats[i] = param->kind == STMT_BLOB;
        out->types[i] = oid_of(param->kind);
    }
}

static enum err_code postgres_post(struct stmt *stmt, struct err *err)
{
    struct pstmt *s = own(stmt);
    struct pconn *conn = conn_of(stmt);
    struct sending with;
    const int64_t until = stmt->tx->deadline_ms + GRACE_MS;
    enum err_code rc = conn->late.code || conn->posted >= POSTED_MAX ? settle(conn, until, err) : ERR_OK;
    if (!rc && conn->lost)
        rc = away(err, "connection lost");
    if (!rc)
        rc = refresh_timeout(conn, stmt->tx, err);
    if (!rc)
        rc = make_prepared(s, conn, until, err);
    if (rc)
        return rc;
    collect(s, &with);
    if (!pipeline_open(conn) ||
        !PQsendQueryPrepared(conn->pg, s->name, s->count, with.values, with.lengths, with.formats, 0)) {
        conn->lost = true;
        return away(err, PQerrorMessage(conn->pg));
    }
    conn->posted++;
    return ERR_OK;
}

static enum err_code postgres_settle(struct tx *tx, struct err *err)
{
    return settle((struct pconn *)tx->conn, tx->deadline_ms + GRACE_MS, err);
}

static enum err_code send(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err)
{
    struct sending with;
    PGresult *result = NULL;
    collect(s, &with);
    int sent;
    if (s->head.streaming) {
        const enum err_code late = settle(conn, until_ms, err);
        if (late)
            return late;
        struct buf sql;
        buf_init(&sql, STORE_SQL_MAX * 2 + 128);
        (void)snprintf(s->cursor, sizeof s->cursor, "c%u", ++conn->serial);
        buf_printf(&sql, "DECLARE %s NO SCROLL CURSOR FOR %s", s->cursor, s->sql);
        enum err_code rc = buf_check(&sql, err);
        sent = !rc && PQsendQueryParams(conn->pg, sql.ptr, s->count, with.types, with.values, with.lengths,
                                        with.formats, 0);
        buf_done(&sql);
        if (rc)
            return rc;
    } else {
        const enum err_code rc = make_prepared(s, conn, until_ms, err);
        if (rc)
            return rc;
        sent = PQsendQueryPrepared(conn->pg, s->name, s->count, with.values, with.lengths, with.formats, 0);
    }
    if (!sent) {
        conn->lost = true;
        return away(err, PQerrorMessage(conn->pg));
    }
    if (conn->posted)
        pipeline_end(conn, until_ms, &result);
    else
        result = await(conn, until_ms);
    if (conn->late.code || !is_good(result)) {
        if (conn->late.code)
            *err = conn->late;
        else
            (void)result_error(conn, result, err);
        PQclear(result);
        return err->code;
    }
    s->result = result;
    return ERR_OK;
}

static enum err_code fetch(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err)
{
    char sql[64];
    const enum err_code late = settle(conn, until_ms, err);
    if (late)
        return late;
    PQclear(s->result);
    s->result = NULL;
    (void)snprintf(sql, sizeof sql, "FETCH %d FROM %s", FETCH_ROWS, s->cursor);
    if (!PQsendQuery(conn->pg, sql)) {
        conn->lost = true;
        return away(err, PQerrorMessage(conn->pg));
    }
    PGresult *result = await(conn, until_ms);
    if (!is_good(result)) {
        const enum err_code rc = result_error(conn, result, err);
        PQclear(result);
        return rc;
    }
    s->result = result;
    s->rows = PQntuples(result);
    s->row = 0;
    s->last = s->rows < FETCH_ROWS;
    return ERR_OK;
}

static enum err_code postgres_step(struct stmt *stmt, bool *out_row, struct err *err)
{
    struct pstmt *s = own(stmt);
    struct pconn *conn = conn_of(stmt);
    const int64_t until = stmt->tx->deadline_ms + GRACE_MS;
    if (conn->lost)
        return away(err, "connection lost");
    if (conn->late.code) {
        *err = conn->late;
        return err->code;
    }
    if (!s->result) {
        enum err_code rc = refresh_timeout(conn, stmt->tx, err);
        if (!rc)
            rc = send(s, conn, until, err);
        if (rc)
            return rc;
        if (s->cursor[0]) {
            rc = fetch(s, conn, until, err);
            if (rc)
                return rc;
        }
        s->rows = PQntuples(s->result);
        s->row = 0;
        s->changes = PQresultStatus(s->result) == PGRES_COMMAND_OK || !s->cursor[0]
                         ? strtoll(PQcmdTuples(s->result), NULL, 10)
                         : 0;
        if (strncmp(PQcmdStatus(s->result), "SELECT", 6) == 0)
            s->changes = 0;
    } else {
        s->row++;
        if (s->row >= s->rows && s->cursor[0] && !s->last) {
            const enum err_code rc = fetch(s, conn, until, err);
            if (rc)
                return rc;
        }
    }
    *out_row = s->row < s->rows;
    if (!*out_row)
        postgres_reset(stmt, false);
    return ERR_OK;
}

static int64_t postgres_changes(struct stmt *stmt)
{
    return own(stmt)->changes;
}

static const char *cell(struct stmt *stmt, int column, size_t *out_len)
{
    struct pstmt *s = own(stmt);
    if (!s->result || s->row >= s->rows || column < 0 || column >= PQnfields(s->result) ||
        PQgetisnull(s->result, s->row, column))
        return NULL;
    *out_len = (size_t)PQgetlength(s->result, s->row, column);
    return PQgetvalue(s->result, s->row, column);
}

static int64_t postgres_i64(struct stmt *stmt, int column)
{
    size_t len;
    const char *text = cell(stmt, column, &len);
    if (!text)
        return 0;
    if (text[0] == 't')
        return 1; /* a boolean */
    char *end;
    const int64_t value = strtoll(text, &end, 10);
    return *end ? (int64_t)strtod(text, NULL) : value;
}

static double postgres_f64(struct stmt *stmt, int column)
{
    size_t len;
    const char *text = cell(stmt, column, &len);
    return text ? strtod(text, NULL) : 0;
}

static struct str postgres_text(struct stmt *stmt, int column)
{
    size_t len = 0;
    const char *text = cell(stmt, column, &len);
    return (struct str) { text, len };
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static struct str postgres_blob(struct stmt *stmt, int column)
{
    struct pstmt *s = own(stmt);
    size_t len;
    const char *text = cell(stmt, column, &len);
    if (!text)
        return (struct str) { 0 };
    if (PQftype(s->result, column) != OID_BLOB || len < 2)
        return (struct str) { text, len };
    /* "\x0041": decoded in place, the result is ours; a leading byte 0 marks that it is done. */
    char *bytes = (char *)(uintptr_t)text;
    const size_t count = (len - 2) / 2;
    if (bytes[0] != '\\')
        return (struct str) { bytes + 1, count };
    for (size_t i = 0; i < count; i++)
        bytes[i + 1] = (char)(hex_digit(bytes[2 + 2 * i]) << 4 | hex_digit(bytes[3 + 2 * i]));
    bytes[0] = 0;
    return (struct str) { bytes + 1, count };
}

static enum stmt_type postgres_type(struct stmt *stmt, int column)
{
    size_t len;
    const char *text = cell(stmt, column, &len);
    if (!text)
        return STMT_NULL;
    switch (PQftype(own(stmt)->result, column)) {
    case 16: /* boolean */
    case 20:
    case 21:
    case 23:
    case 26:
        return STMT_I64;
    case 1700: /* numeric: what sum() of whole numbers gives */
        return memchr(text, '.', len) ? STMT_F64 : STMT_I64;
    case 700:
    case 701:
        return STMT_F64;
    case OID_BLOB:
        return STMT_BLOB;
    default:
        return STMT_TEXT;
    }
}

static int postgres_columns(struct stmt *stmt)
{
    return own(stmt)->result ? PQnfields(own(stmt)->result) : 0;
}

static const char *postgres_column_name(struct stmt *stmt, int column)
{
    return own(stmt)->result ? PQfname(own(stmt)->result, column) : NULL;
}

static enum err_code postgres_exec(struct tx *tx, const char *sql, struct err *err)
{
    struct pconn *conn = (struct pconn *)tx->conn;
    if (strncmp(sql, "ROLLBACK TO", 11) == 0) { /* what was posted behind the savepoint goes with it */
        struct err ignored;
        (void)!settle(conn, tx->deadline_ms + GRACE_MS, &ignored);
        conn->late.code = ERR_OK;
    }
    return simple(conn, sql, tx->deadline_ms + GRACE_MS, NULL, err);
}

const struct store_ops STORE_POSTGRES_OPS = {
    .open = postgres_open,
    .close = postgres_close,
    .write = run,
    .read = run,
    .ping = postgres_ping,
    .prepare = postgres_prepare,
    .destroy = postgres_destroy,
    .reset = postgres_reset,
    .bind_i64 = postgres_bind_i64,
    .bind_f64 = postgres_bind_f64,
    .bind_text = postgres_bind_text,
    .bind_blob = postgres_bind_blob,
    .step = postgres_step,
    .post = postgres_post,
    .settle = postgres_settle,
    .changes = postgres_changes,
    .get_i64 = postgres_i64,
    .get_f64 = postgres_f64,
    .get_text = postgres_text,
    .get_blob = postgres_blob,
    .type = postgres_type,
    .columns = postgres_columns,
    .column_name = postgres_column_name,
    .exec = postgres_exec,
};
