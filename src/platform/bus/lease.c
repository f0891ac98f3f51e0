/* lease.c - see lease.h. */
#include "platform/bus/lease.h"

#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "platform/bus/bus_sql.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum err_code lease_now(struct tx *tx, int64_t *out_ms, struct err *err)
{
    struct store *store = tx_store(tx);
    if (store_backend(store) == STORE_POSTGRES && store_clock(store) == &CLOCK_SYSTEM)
        return tx_query_i64(tx, SQL_NOW_POSTGRES, out_ms, err);
    *out_ms = tx_now_ms(tx);
    return ERR_OK;
}

enum err_code lease_owner_make(char out[LEASE_OWNER_SIZE], struct err *err)
{
    char host[24] = "", hex[17];
    unsigned char random[8];
    const enum err_code rc = random_bytes(random, sizeof random, err);
    if (rc)
        return rc;
    (void)gethostname(host, sizeof host - 1);
    hex_put(random, sizeof random, hex);
    (void)snprintf(out, LEASE_OWNER_SIZE, "%.20s/%d/%.16s", host, (int)getpid(), hex);
    return ERR_OK;
}

/* ---- named leases ---- */

struct take {
    struct str name, owner;
    int64_t ms, changes;
};

static enum err_code take_fn(struct tx *tx, void *arg, struct err *err)
{
    struct take *take = arg;
    struct stmt *stmt = NULL;
    int64_t now;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_LEASE_TAKE, &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, take->name);
        stmt_bind_text(stmt, 2, take->owner);
        stmt_bind_i64(stmt, 3, now + take->ms);
        stmt_bind_i64(stmt, 4, now);
        rc = stmt_run(stmt, &take->changes, err);
    }
    stmt_free(stmt);
    return rc;
}

enum err_code lease_take(struct store *store, struct str name, struct str owner, int64_t ms, bool *out_mine,
                         struct err *err)
{
    struct take take = { .name = name, .owner = owner, .ms = ms };
    const enum err_code rc = store_write_claim(store, take_fn, &take, err);
    if (!rc)
        *out_mine = take.changes > 0;
    return rc;
}

static enum err_code give_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct take *take = arg;
    struct stmt *stmt = NULL;
    enum err_code rc = tx_prepare(tx, SQL_LEASE_GIVE, &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, take->name);
        stmt_bind_text(stmt, 2, take->owner);
        rc = stmt_run(stmt, NULL, err);
    }
    stmt_free(stmt);
    return rc;
}

enum err_code lease_give(struct store *store, struct str name, struct str owner, struct err *err)
{
    struct take take = { .name = name, .owner = owner };
    return store_write_claim(store, give_fn, &take, err);
}

/* ---- nodes ---- */

struct node {
    struct store *store;
    char owner[LEASE_OWNER_SIZE];
    int number;
    void (*lost)(void *arg);
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, started;
};

static enum err_code node_take_fn(struct tx *tx, void *arg, struct err *err)
{
    struct node *node = arg;
    struct stmt *stmt = NULL;
    int64_t now, changes = 0;
    int free_number = -1, next = 0;
    bool row = true;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_NODE_LIST, &stmt, err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row && free_number < 0) {
        const int number = (int)stmt_i64(stmt, 0);
        if (number > next || stmt_i64(stmt, 1) <= now)
            free_number = number > next ? next : number;
        next = number + 1;
    }
    stmt_free(stmt);
    stmt = NULL;
    if (free_number < 0)
        free_number = next;
    if (!rc && free_number > IDS_NODE_MAX)
        return err_set(err, ERR_BUSY, "bus.no_node", ARG_END);
    if (!rc)
        rc = tx_prepare(tx, SQL_NODE_TAKE, &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, free_number);
        stmt_bind_text(stmt, 2, str_from(node->owner));
        stmt_bind_i64(stmt, 3, now + NODE_LEASE_MS);
        stmt_bind_i64(stmt, 4, now);
        rc = stmt_run(stmt, &changes, err);
    }
    stmt_free(stmt);
    if (!rc && changes == 0) /* another one was faster */
        return err_set(err, ERR_CONFLICT, "bus.no_node", ARG_END);
    node->number = free_number;
    return rc;
}

static enum err_code node_renew_fn(struct tx *tx, void *arg, struct err *err)
{
    struct node *node = arg;
    struct stmt *stmt = NULL;
    int64_t now, changes = 0;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_NODE_RENEW, &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, node->number);
        stmt_bind_text(stmt, 2, str_from(node->owner));
        stmt_bind_i64(stmt, 3, now + NODE_LEASE_MS);
        rc = stmt_run(stmt, &changes, err);
    }
    stmt_free(stmt);
    if (!rc && changes == 0)
        return err_set(err, ERR_STALE, "bus.node_lost", ARG_INT("node", node->number), ARG_END);
    return rc;
}

static enum err_code node_give_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct node *node = arg;
    struct stmt *stmt = NULL;
    enum err_code rc = tx_prepare(tx, SQL_NODE_GIVE, &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, node->number);
        stmt_bind_text(stmt, 2, str_from(node->owner));
        rc = stmt_run(stmt, NULL, err);
    }
    stmt_free(stmt);
    return rc;
}

static void *node_run(void *arg)
{
    struct node *node = arg;
    bool away = false;
    (void)pthread_mutex_lock(&node->lock);
    while (!node->stop) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += NODE_RENEW_MS / 1000;
        while (!node->stop && pthread_cond_timedwait(&node->wake, &node->lock, &until) != ETIMEDOUT)
            ;
        if (node->stop)
            break;
        (void)pthread_mutex_unlock(&node->lock);
        struct err err = { 0 };
        const enum err_code rc = store_write_claim(node->store, node_renew_fn, node, &err);
        if (rc && rc != ERR_STALE && !away)
            log_err(&err, "node.renew", "node %d", node->number);
        away = rc != ERR_OK;
        if (rc == ERR_STALE) {
            log_err(&err, "node.lost", "node %d", node->number);
            node->lost(node->arg);
            return NULL;
        }
        (void)pthread_mutex_lock(&node->lock);
    }
    (void)pthread_mutex_unlock(&node->lock);
    return NULL;
}

enum err_code node_start(struct store *store, void (*lost)(void *arg), void *arg, struct node **out_node,
                         struct err *err)
{
    struct node *node = mem_alloc(1, sizeof *node);
    if (!node)
        return err_nomem(err);
    node->store = store;
    node->lost = lost;
    node->arg = arg;
    (void)pthread_mutex_init(&node->lock, NULL);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&node->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    enum err_code rc = lease_owner_make(node->owner, err);
    for (int tries = 0; !rc && tries < 10; tries++) {
        rc = store_write_claim(store, node_take_fn, node, err);
        if (rc != ERR_CONFLICT)
            break;
        rc = tries < 9 ? ERR_OK : rc;
    }
    if (!rc) {
        const int failed = pthread_create(&node->thread, NULL, node_run, node);
        if (failed)
            rc = err_set(err, ERR_NOMEM, "base.no_memory", ARG_END);
        node->started = failed == 0;
    }
    if (rc) {
        node_stop(node);
        return rc;
    }
    *out_node = node;
    return ERR_OK;
}

int node_number(const struct node *node)
{
    return node->number;
}

struct str node_owner(const struct node *node)
{
    return str_from(node->owner);
}

void node_stop(struct node *node)
{
    if (!node)
        return;
    if (node->started) {
        (void)pthread_mutex_lock(&node->lock);
        node->stop = true;
        (void)pthread_cond_signal(&node->wake);
        (void)pthread_mutex_unlock(&node->lock);
        (void)pthread_join(node->thread, NULL);
        struct err err = { 0 };
        if (store_write_claim(node->store, node_give_fn, node, &err))
            log_err(&err, "node.give", "node %d keeps its lease until it runs out", node->number);
    }
    (void)pthread_mutex_destroy(&node->lock);
    (void)pthread_cond_destroy(&node->wake);
    mem_free(node);
}
