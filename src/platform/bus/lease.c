/* lease.c - see lease.h. */
#include "platform/bus/lease.h"
#include "base/cond.h"

#include "base/disk.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "platform/bus/bus_sql.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum err_code lease_now(struct tx *tx, int64_t *out_ms, struct err *err)
{
    struct store *store = tx_store(tx);
    if (store_backend(store) == STORE_POSTGRES && store_clock(store) == &CLOCK_SYSTEM)
        return tx_query_i64(tx, SQL_NOW_POSTGRES, out_ms, err);
    *out_ms = tx_now_ms(tx);
    return ERR_OK;
}

/* ---- whose ---- */

static enum err_code random_hex(char out[17], struct err *err)
{
    unsigned char random[8];
    const enum err_code rc = random_bytes(random, sizeof random, err);
    if (!rc)
        hex_put(random, sizeof random, out);
    return rc;
}

/* What a copy of the folder would not share: the machine and the folder's place on its disk. */
static void place_of(const char *dir, char *out, size_t size)
{
    struct stat st = { 0 };
    char machine[72] = "";
    const int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? 0 : read(fd, machine, sizeof machine - 1);
    if (fd >= 0)
        (void)close(fd);
    machine[got > 0 ? (size_t)got : 0] = 0;
    machine[strcspn(machine, " \r\n")] = 0;
    if (!machine[0])
        (void)gethostname(machine, sizeof machine - 1);
    (void)stat(dir, &st);
    (void)snprintf(out, size, "%s %llu", machine, (unsigned long long)st.st_ino);
}

static enum err_code home_read(struct disk *disk, const char *path, char *text, size_t size, struct err *err)
{
    struct disk_file *file = NULL;
    size_t got = 0;
    enum err_code rc = disk_open(disk, path, DISK_READ, &file, err);
    if (!rc)
        rc = disk_read(file, 0, text, size - 1, &got, err);
    disk_close(file);
    text[got] = 0;
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

enum err_code lease_home(struct disk *disk, const char *dir, char out[LEASE_HOME_SIZE], struct err *err)
{
    char path[2200], text[160] = "", place[128], made[160];
    (void)snprintf(path, sizeof path, "%.2100s/node", dir);
    place_of(dir, place, sizeof place);
    enum err_code rc = home_read(disk, path, text, sizeof text, err);
    if (rc)
        return rc;
    const size_t digits = strspn(text, "0123456789abcdef");
    if (digits == LEASE_HOME_SIZE - 1 && text[digits] == ' ' && strcmp(text + digits + 1, place) == 0) {
        (void)snprintf(out, LEASE_HOME_SIZE, "%.16s", text);
        return ERR_OK;
    }
    char home[LEASE_HOME_SIZE];
    rc = random_hex(home, err);
    if (!rc) {
        const int len = snprintf(made, sizeof made, "%s %s", home, place);
        rc = disk_replace(disk, path, made, (size_t)len, err);
    }
    if (!rc)
        (void)snprintf(out, LEASE_HOME_SIZE, "%s", home);
    return rc;
}

enum err_code lease_owner_make(struct str home, char out[LEASE_OWNER_SIZE], struct err *err)
{
    char hex[17];
    const enum err_code rc = random_hex(hex, err);
    if (!rc)
        (void)snprintf(out, LEASE_OWNER_SIZE, "%.*s/%d/%s", home.len > 16 ? 16 : (int)home.len, home.ptr,
                       (int)getpid(), hex);
    return rc;
}

void lease_pattern(struct str owner, char out[LEASE_PATTERN_SIZE])
{
    const ptrdiff_t slash = str_find(owner, STR("/"));
    const size_t len = slash < 0 ? owner.len : (size_t)slash + 1;
    (void)snprintf(out, LEASE_PATTERN_SIZE, "%.*s%s", len > LEASE_OWNER_SIZE ? LEASE_OWNER_SIZE : (int)len,
                   owner.ptr, slash < 0 ? "" : "%");
}

/* ---- named leases ---- */

struct take {
    struct str name, owner;
    int64_t ms, changes;
};

static enum err_code take_fn(struct tx *tx, void *arg, struct err *err)
{
    struct take *take = arg;
    int64_t now;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_run(
            tx, SQL_LEASE_TAKE,
            BINDS(bind_text(take->name), bind_text(take->owner), bind_i64(now + take->ms), bind_i64(now)),
            &take->changes, err);
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
    return tx_run(tx, SQL_LEASE_GIVE, BINDS(bind_text(take->name), bind_text(take->owner)), NULL, err);
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

/* The number of a dead process of this home, unless the clock has jumped back behind its last renewal: ids
 * might then come twice.  Else the least free one. */
static enum err_code number_find(struct tx *tx, const char *pattern, int64_t now, int *out_number,
                                 struct err *err)
{
    struct stmt *stmt = NULL;
    int own = -1, free_number = -1, next = 0;
    bool row = true;
    enum err_code rc = tx_prepare(tx, SQL_NODE_LIST, &stmt, err);
    if (!rc)
        stmt_bind_text(stmt, 1, str_from(pattern));
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row && own < 0) {
        const int number = (int)stmt_i64(stmt, 0);
        if (free_number < 0 && (number > next || stmt_i64(stmt, 1) <= now))
            free_number = number > next ? next : number;
        if (stmt_i64(stmt, 2) && stmt_i64(stmt, 1) <= now + NODE_LEASE_MS)
            own = number;
        next = number + 1;
    }
    stmt_free(stmt);
    *out_number = own >= 0 ? own : free_number >= 0 ? free_number : next;
    return rc;
}

/* What the dead processes of this home held by name. */
static enum err_code give_all(struct tx *tx, const char *pattern, struct err *err)
{
    return tx_run(tx, SQL_LEASE_GIVE_ALL, BINDS(bind_text(str_from(pattern))), NULL, err);
}

static enum err_code node_take_fn(struct tx *tx, void *arg, struct err *err)
{
    struct node *node = arg;
    char pattern[LEASE_PATTERN_SIZE];
    int64_t now, changes = 0;
    int free_number = 0;
    lease_pattern(str_from(node->owner), pattern);
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = number_find(tx, pattern, now, &free_number, err);
    if (!rc && free_number > IDS_NODE_MAX)
        return err_set(err, ERR_BUSY, "bus.no_node", ARG_END);
    if (!rc)
        rc = tx_run(tx, SQL_NODE_TAKE,
                    BINDS(bind_i64(free_number), bind_text(str_from(node->owner)),
                          bind_i64(now + NODE_LEASE_MS), bind_i64(now), bind_text(str_from(pattern))),
                    &changes, err);
    if (!rc && changes == 0) /* another one was faster */
        return err_set(err, ERR_CONFLICT, "bus.no_node", ARG_END);
    if (!rc)
        rc = give_all(tx, pattern, err);
    node->number = free_number;
    return rc;
}

static enum err_code node_renew_fn(struct tx *tx, void *arg, struct err *err)
{
    struct node *node = arg;
    int64_t now, changes = 0;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_run(
            tx, SQL_NODE_RENEW,
            BINDS(bind_i64(node->number), bind_text(str_from(node->owner)), bind_i64(now + NODE_LEASE_MS)),
            &changes, err);
    if (!rc && changes == 0)
        return err_set(err, ERR_STALE, "bus.node_lost", ARG_INT("node", node->number), ARG_END);
    return rc;
}

static enum err_code node_give_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct node *node = arg;
    return tx_run(tx, SQL_NODE_GIVE, BINDS(bind_i64(node->number), bind_text(str_from(node->owner))), NULL,
                  err);
}

static void *node_run(void *arg)
{
    struct node *node = arg;
    bool away = false;
    (void)pthread_mutex_lock(&node->lock);
    while (!node->stop) {
        const int64_t until_ms = clock_mono(&CLOCK_SYSTEM) + NODE_RENEW_MS;
        while (!node->stop && cond_wait_until(&node->wake, &node->lock, until_ms))
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

enum err_code node_start(struct store *store, struct str home, void (*lost)(void *arg), void *arg,
                         struct node **out_node, struct err *err)
{
    struct node *node = mem_alloc(1, sizeof *node);
    if (!node)
        return err_nomem(err);
    node->store = store;
    node->lost = lost;
    node->arg = arg;
    (void)pthread_mutex_init(&node->lock, NULL);
    cond_init(&node->wake);
    enum err_code rc = lease_owner_make(home, node->owner, err);
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
