/* postgres.c - the backend for PostgreSQL and what speaks its protocol.
 *
 * 1. Two pools of connections: writers (a slot each) and readers.  A connection serves one transaction at a
 *    time.
 * 2. Nothing waits in libpq: we send, poll with the tx's deadline, and give a connection up that does not
 *    answer.  A pooled connection that died while idle costs one silent second try, never an error.
 * 3. A write is SERIALIZABLE and begins by inserting its own id into store_write.  Serialization failures
 *    and deadlocks run the function again.
 * 4. When the connection is lost during COMMIT, another one inserts the same id: that waits for a commit
 *    still going on; a duplicate says that it was committed; success says that it was not and never will be.
 * 5. What is posted is sent in pipeline mode and answered with the next statement that needs an answer, or
 *    with the commit; so is BEGIN.  Its failure stays with the connection until the (sub)transaction is
 * rolled back.
 * 6. Parameters travel as text (blobs as bytes); the kinds bound at the first step are the declared types.
 *    A statement is prepared anew when a parameter is bound with another kind than before.
 * 7. Short writes that wait share a transaction, one after the other in it (crowd.h): a group.  In it they
 * are hopeful: they post what they would else explain.  One that fails before it changed anything is answered
 *    with the others.  Any other failure, but a serialization failure, ends the group: nothing of it was
 *    committed, and each runs again in a transaction of its own, on its own thread, no longer hopeful. */
#include "store/postgres.h"

#include <stdio.h>
#include <time.h>

#define COMMIT_WAIT_MS 20000 /* for a COMMIT and for finding out what became of it */
#define RUNS_MAX 100         /* the deadline of the tx usually comes first */
#define LOST_MAX 3
#define KEEP_WRITES 512 /* ids of writes a connection leaves in store_write */
#define GROUP_MAX 64
#define GROUP_MS 20      /* no further function is begun after that */
#define GROUP_RUNS_MAX 3 /* of a group that meets serialization failures */

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
    enum err_code rc = pconn_post(conn,
                                  !tx->write  ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                                  : tx->claim ? "BEGIN ISOLATION LEVEL READ COMMITTED"
                                              : "BEGIN ISOLATION LEVEL SERIALIZABLE",
                                  err);
    (void)snprintf(sql, sizeof sql, "SET LOCAL statement_timeout=%lld", (long long)conn->timeout_ms);
    if (!rc)
        rc = pconn_post(conn, sql, err);
    if (rc || !tx->write)
        return rc;
    tx->write_id = ++conn->last_id;
    (void)snprintf(sql, sizeof sql, "INSERT INTO store_write (id, at) VALUES (%lld, %lld)",
                   (long long)tx->write_id, (long long)clock_now(tx->store->clock));
    return pconn_post(conn, sql, err);
}

/* COMMIT, behind what is posted: a statement that failed stops it.  A query that found no row does not, so
 * those are waited for. */
static enum err_code commit(struct pconn *conn, int64_t until_ms, struct err *err)
{
    PGresult *result = NULL;
    bool wants = false;
    for (int i = 0; i < conn->posted; i++)
        wants = wants || conn->wants[i];
    if (!conn->posted || wants)
        return pconn_simple(conn, "COMMIT", until_ms, NULL, err); /* waits for what is posted */
    if (PQsendQueryParams(conn->pg, "COMMIT", 0, NULL, NULL, NULL, NULL, 0))
        pconn_pipeline_end(conn, until_ms, &result);
    else
        conn->lost = true;
    enum err_code rc = ERR_OK;
    if (conn->late.code) {
        *err = conn->late;
        rc = err->code;
    } else if (conn->lost || !pconn_is_good(result)) {
        rc = pconn_error(conn, result, err);
    }
    PQclear(result);
    return rc;
}

/* After each run; `failed`: what it did does not stand, also where the failing COMMIT has ended it already.
 */
static void roll_back(struct pconn *conn, bool failed)
{
    struct err ignored;
    if (failed)
        conn_undone(&conn->head);
    (void)!pconn_settle(conn, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, &ignored);
    conn->late.code = ERR_OK;
    if (conn->lost || PQtransactionStatus(conn->pg) == PQTRANS_IDLE)
        return;
    if (pconn_simple(conn, "ROLLBACK", clock_mono(&CLOCK_SYSTEM) + GRACE_MS, NULL, &ignored))
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
        enum err_code rc = pconn_take(store, true, until_ms, &conn, &now);
        if (!rc) {
            rc = pconn_simple(conn, sql, until_ms, NULL, &now);
            if (rc && !conn->lost && rc != ERR_CONFLICT)
                conn->lost = true; /* say, a time-out while it waits: never leave it half done */
            pconn_give(store, conn);
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
    if (pconn_simple(conn, sql, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, NULL, &ignored) == ERR_OK)
        conn->first_id = conn->last_id;
}

/* One run of a transaction.  *out_again: nothing was committed and it may run again. */
static enum err_code run_once(struct store *store, struct tx *tx, store_fn fn, void *arg, bool *out_again,
                              bool *out_lost, struct err *err)
{
    struct pconn *conn = NULL;
    enum err_code rc = pconn_take(store, tx->write, tx->deadline_ms, &conn, err);
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
            pconn_give(store, conn);
            conn = NULL;
            rc = find_out(store, tx->write_id, until, &committed, err);
            if (!rc && !committed) {
                *out_again = *out_lost = true;
                rc = pconn_away(err, "connection lost");
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
        roll_back(conn, rc != ERR_OK);
        conn->head.tx = NULL;
        if (tx->write && !conn->lost)
            forget_old_ids(conn);
        pconn_give(store, conn);
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

/* ---- groups of short writes ---- */

struct group {
    struct waiter *first, **last; /* in the order in which they run */
    int count;
    int64_t serial; /* see tx_serial(): one for all, as they are in one transaction */
    bool again;     /* it may run again as it is */
};

/* A timeout that was cut short for one is not for the next. */
static enum err_code widen_timeout(struct pconn *conn, const struct tx *tx, struct err *err)
{
    const int64_t left = tx->deadline_ms - clock_mono(&CLOCK_SYSTEM);
    char sql[64];
    if (left < conn->timeout_ms * 2)
        return ERR_OK;
    conn->timeout_ms = left;
    (void)snprintf(sql, sizeof sql, "SET LOCAL statement_timeout=%lld", (long long)left);
    return pconn_post(conn, sql, err);
}

/* Runs one function in the open transaction; false: that cannot go on. */
static bool group_run_one(struct pconn *conn, struct group *group, struct waiter *w)
{
    struct tx *tx = w->tx;
    tx->conn = &conn->head;
    tx_restart(tx);
    tx->grouped = true;
    tx->serial = group->serial;
    conn->head.tx = tx;
    conn->changed = false;
    if (widen_timeout(conn, tx, w->err))
        return false;
    w->rc = tx_outcome(tx, w->fn(tx, w->arg, w->err), w->err);
    group->serial = tx->serial;
    if (!conn->lost && conn->posted && PQflush(conn->pg) < 0) /* the server begins while we go on */
        conn->lost = true;
    return !conn->again && !conn->lost && !conn->late.code && !tx->has_failed && !(w->rc && conn->changed);
}

static bool group_run_all(struct store *store, struct pconn *conn, struct group *group)
{
    struct postgres *impl = store->impl;
    const int64_t start = clock_mono(&CLOCK_SYSTEM);
    for (struct waiter *w = group->first; w; w = w->next)
        if (!group_run_one(conn, group, w))
            return false;
    while (group->count < GROUP_MAX && clock_mono(&CLOCK_SYSTEM) < start + GROUP_MS) {
        (void)pthread_mutex_lock(&impl->lock);
        struct waiter *w = crowd_take(store, &impl->crowd);
        (void)pthread_mutex_unlock(&impl->lock);
        if (!w)
            return true;
        *group->last = w;
        group->last = &w->next;
        group->count++;
        if (!group_run_one(conn, group, w))
            return false;
    }
    return true;
}

/* The connection went away during COMMIT; as group_once(). */
static bool group_find_out(struct store *store, struct group *group, int64_t write_id, int64_t until_ms)
{
    struct err err = { 0 };
    bool committed = false;
    const enum err_code rc = find_out(store, write_id, until_ms, &committed, &err);
    group->again = !rc && !committed;
    store->commits += committed;
    for (struct waiter *w = group->first; w && rc; w = w->next) {
        if (w->rc)
            continue;
        w->rc = rc;
        *w->err = err;
    }
    return rc || committed;
}

static bool group_any_good(const struct group *group)
{
    for (const struct waiter *w = group->first; w; w = w->next)
        if (!w->rc)
            return true;
    return false;
}

/* One run of a group by its leader.  True: all of it is answered, by w->rc. */
static bool group_once(struct store *store, struct group *group, struct tx *tx)
{
    struct pconn *conn = NULL;
    struct err err = { 0 };
    bool answered = false;
    group->again = false;
    if (pconn_take(store, true, tx->deadline_ms, &conn, &err))
        return false;
    conn->head.before_count = 0;
    group->serial = ++store->serials;
    enum err_code rc = begin(conn, tx, &err);
    if (!rc && !group_run_all(store, conn, group))
        rc = ERR_BUSY;
    conn->head.tx = tx;
    if (!rc && !group_any_good(group)) { /* nothing was changed, so there is nothing to commit */
        rc = pconn_settle(conn, tx->deadline_ms + GRACE_MS, &err);
        answered = rc == ERR_OK;
        rc = ERR_CANCELLED;
    }
    if (!rc)
        rc = tx_run_before(tx, &err);
    if (!rc)
        rc = store_injected(store, &err);
    if (!rc) {
        const int64_t until = clock_mono(&CLOCK_SYSTEM) + COMMIT_WAIT_MS;
        rc = commit(conn, until, &err);
        store->commits += rc == ERR_OK;
        answered = rc == ERR_OK;
        if (rc && conn->lost) {
            conn->head.tx = NULL;
            conn->head.before_count = 0;
            pconn_give(store, conn);
            return group_find_out(store, group, tx->write_id, until);
        }
    }
    group->again = conn->again && !conn->lost;
    roll_back(conn, !answered);
    conn->head.tx = NULL;
    conn->head.before_count = 0;
    if (!conn->lost)
        forget_old_ids(conn);
    pconn_give(store, conn);
    return answered;
}

/* With the lock, which it gives away while it works. */
static void lead(struct store *store, struct waiter *self)
{
    struct postgres *impl = store->impl;
    struct group group = { .first = self, .last = &self->next, .count = 1 };
    crowd_take_self(store, &impl->crowd, self);
    (void)pthread_mutex_unlock(&impl->lock);
    bool answered = false;
    for (int runs = 1; !answered; runs++) {
        answered = group_once(store, &group, self->tx);
        if (answered || !group.again || runs == GROUP_RUNS_MAX)
            break;
        store->retries++;
        pause_ms(runs);
    }
    for (struct waiter *w = group.first; w && !answered; w = w->next)
        w->alone = true;
    (void)pthread_mutex_lock(&impl->lock);
    crowd_answer(group.first, self);
    crowd_pass(&impl->crowd);
}

static enum err_code write_shared(struct store *store, struct tx *tx, store_fn fn, void *arg, struct err *err)
{
    struct postgres *impl = store->impl;
    struct waiter self = { .tx = tx, .fn = fn, .arg = arg, .err = err };
    const enum err_code rc = crowd_wait(store, &impl->crowd, &impl->lock, &self, lead);
    if (!self.alone)
        return rc;
    tx->grouped = false;
    return run(store, tx, fn, arg, err);
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

static enum err_code postgres_exec(struct tx *tx, const char *sql, struct err *err)
{
    struct pconn *conn = (struct pconn *)tx->conn;
    if (strncmp(sql, "ROLLBACK TO", 11) == 0) { /* what was posted behind the savepoint goes with it */
        struct err ignored;
        (void)!pconn_settle(conn, tx->deadline_ms + GRACE_MS, &ignored);
        conn->late.code = ERR_OK;
    }
    return pconn_simple(conn, sql, tx->deadline_ms + GRACE_MS, NULL, err);
}

const struct store_ops STORE_POSTGRES_OPS = {
    .open = postgres_open,
    .close = postgres_close,
    .write = run,
    .write_shared = write_shared,
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
