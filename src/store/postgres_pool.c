/* postgres_pool.c - connections: opened, pooled, closed; see postgres.c, invariants 1 and 2. */
#include "store/postgres.h"

#include "crypto/secret.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>

#define CONNECT_MS 5000
#define SHARING_MAX 3 /* groups of short writes at a time */

static void conn_close(struct pconn *conn);

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
            !pconn_wait(conn, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms))
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
    enum err_code rc = down ? pconn_away(err, impl->down_reason) : ERR_OK;
    (void)pthread_mutex_unlock(&impl->lock);
    if (down)
        return rc;
    struct pconn *conn = mem_alloc(1, sizeof *conn);
    if (!conn)
        return err_nomem(err);
    conn->head.store = store;
    conn->head.slot = -1;
    conn_undone(&conn->head);
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
        rc = pconn_simple(conn,
                          "SET synchronous_commit=on;SET TimeZone='UTC';"
                          "SET standard_conforming_strings=on;SET bytea_output=hex;SET extra_float_digits=1;"
                          "SET jit=off;SET idle_in_transaction_session_timeout=120000",
                          until, NULL, err);
    } else {
        const char *reason = PQerrorMessage(conn->pg);
        rc = pconn_away(err, reason[0] ? reason : "no answer");
    }
    /* a list's best way depends on its values; what a write runs finds rows by their keys */
    if (!rc && !write)
        rc = pconn_simple(conn, "SET plan_cache_mode=force_custom_plan", until, NULL, err);
    /* a table that is read whole in a SERIALIZABLE write conflicts with every other that writes to it, and
     * small ones (heads of audit chains) would be; a writer that merges the pending entries of a GIN does it
     * in portions of work_mem, and larger ones cost half */
    if (!rc && write)
        rc = pconn_simple(conn, "SET enable_seqscan=off;SET work_mem='64MB'", until, NULL, err);
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

static struct pool *pool_of(struct store *store, bool write)
{
    struct postgres *impl = store->impl;
    return write ? &impl->writers : &impl->readers;
}

enum err_code pconn_take(struct store *store, bool write, int64_t deadline_ms, struct pconn **out_conn,
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
        if (!cond_wait_until(&pool->free, &impl->lock, deadline_ms) && !pool->idle && pool->made >= pool->max)
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

void pconn_give(struct store *store, struct pconn *conn)
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

void postgres_close(struct store *store)
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
    enum err_code rc = pconn_simple(conn, "SELECT pg_advisory_lock(6245118123071)", until_ms, NULL, err);
    if (!rc)
        rc = pconn_simple(conn, "SELECT coalesce(current_schema(), '')", until_ms, value, err);
    if (!rc && !value[0]) {
        rc = pconn_simple(
            conn,
            "SELECT quote_ident(trim(both ' \"' from split_part(current_setting('search_path'), ',', 1)))",
            until_ms, value, err);
        char sql[128];
        (void)snprintf(sql, sizeof sql, "CREATE SCHEMA IF NOT EXISTS %s", value);
        if (!rc)
            rc = pconn_simple(conn, sql, until_ms, NULL, err);
    }
    if (!rc)
        rc = pconn_simple(
            conn,
            "CREATE TABLE IF NOT EXISTS store_write (id BIGINT PRIMARY KEY, at BIGINT NOT NULL);"
            "DELETE FROM store_write WHERE at < extract(epoch FROM now() - interval '1 day') * 1000",
            until_ms, NULL, err);
    if (!rc)
        rc = pconn_simple(conn, "SELECT pg_advisory_unlock(6245118123071)", until_ms, NULL, err);
    return rc;
}

enum err_code postgres_open(struct store *store, struct err *err)
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
    crowd_init(&impl->crowd, store->writers < SHARING_MAX ? store->writers : SHARING_MAX);
    struct pconn *conn = NULL;
    const int64_t until = clock_mono(&CLOCK_SYSTEM) + store->deadline_ms;
    enum err_code rc = pconn_take(store, true, until, &conn, err);
    if (!rc) {
        rc = first_tables(conn, until, err);
        pconn_give(store, conn);
    }
    if (rc)
        postgres_close(store);
    return rc;
}
