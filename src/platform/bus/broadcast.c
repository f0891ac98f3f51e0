/* broadcast.c - see broadcast.h.
 *
 * Ids are made before the commit, so a row may appear below one that was read already.  The follower reads
 * again what is younger than OVERLAP_MS and remembers which of those it has published. */
#include "platform/bus/broadcast.h"
#include "base/cond.h"

#include "base/log.h"
#include "platform/bus/bus_sql.h"
#include "platform/bus/lease.h"

#include <pthread.h>
#include <stdio.h>

#define POLL_MS 500
#define OVERLAP_MS 30000 /* twice the longest request */
#define SEEN_MAX 4096

struct broadcast {
    struct store *store;
    struct ids *ids;
    struct bus *bus;
    int64_t origin; /* of this process: its own rows are not published again */
    int64_t from;   /* ids above it are read */
    int64_t seen[SEEN_MAX];
    int seen_count;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, started;
};

struct heard {
    struct broadcast *broadcast;
    struct arena *arena;
    int count;
    struct bus_event events[1000];
    int64_t newest, now;
};

static bool was_seen(struct broadcast *broadcast, int64_t id)
{
    for (int i = 0; i < broadcast->seen_count; i++)
        if (broadcast->seen[i] == id)
            return true;
    return false;
}

static enum err_code follow_fn(struct tx *tx, void *arg, struct err *err)
{
    struct heard *heard = arg;
    struct broadcast *broadcast = heard->broadcast;
    struct stmt *stmt = NULL;
    bool row = true;
    heard->count = 0;
    arena_reset(heard->arena);
    enum err_code rc = lease_now(tx, &heard->now, err);
    if (!rc)
        rc = tx_query(tx, SQL_BROADCAST_FROM, BINDS(bind_i64(broadcast->from), bind_i64(broadcast->origin)),
                      &stmt, err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row && heard->count < 1000) {
        const int64_t id = stmt_i64(stmt, 0);
        if (was_seen(broadcast, id))
            continue;
        struct bus_event *event = &heard->events[heard->count];
        *event = (struct bus_event) { arena_str(heard->arena, stmt_text(stmt, 2)), stmt_i64(stmt, 3),
                                      arena_str(heard->arena, stmt_text(stmt, 4)) };
        if (!event->topic.ptr || !event->json.ptr)
            rc = err_nomem(err);
        if (broadcast->seen_count == SEEN_MAX) { /* a flood: forget the older half */
            broadcast->seen_count = SEEN_MAX / 2;
            memmove(broadcast->seen, broadcast->seen + SEEN_MAX / 2, sizeof broadcast->seen / 2);
        }
        broadcast->seen[broadcast->seen_count++] = id;
        heard->count++;
    }
    stmt_free(stmt);
    return rc;
}

static enum err_code follow(struct broadcast *broadcast, struct heard *heard, struct err *err)
{
    const int before = broadcast->seen_count;
    const enum err_code rc = store_read(broadcast->store, follow_fn, heard, err);
    if (rc) {
        broadcast->seen_count = before < broadcast->seen_count ? before : broadcast->seen_count;
        return rc;
    }
    for (int i = 0; i < heard->count; i++)
        bus_publish(broadcast->bus, &heard->events[i]);
    const int64_t from = ids_floor(heard->now - OVERLAP_MS);
    if (from > broadcast->from) {
        broadcast->from = from;
        int kept = 0;
        for (int i = 0; i < broadcast->seen_count; i++)
            if (broadcast->seen[i] > from)
                broadcast->seen[kept++] = broadcast->seen[i];
        broadcast->seen_count = kept;
    }
    return ERR_OK;
}

static void *broadcast_run(void *arg)
{
    struct broadcast *broadcast = arg;
    struct arena *arena = NULL;
    struct heard *heard = NULL;
    bool away = false;
    (void)pthread_mutex_lock(&broadcast->lock);
    while (!broadcast->stop) {
        (void)pthread_mutex_unlock(&broadcast->lock);
        struct err err = { 0 };
        arena = arena ? arena : arena_new(16 << 20);
        heard = heard ? heard : mem_alloc(1, sizeof *heard);
        enum err_code rc = arena && heard ? ERR_OK : err_nomem(&err);
        if (!rc) {
            heard->broadcast = broadcast;
            heard->arena = arena;
            rc = follow(broadcast, heard, &err);
        }
        if (rc && !away)
            log_err(&err, "broadcast.follow", "news of other nodes wait");
        away = rc != ERR_OK;
        (void)pthread_mutex_lock(&broadcast->lock);
        if (!broadcast->stop)
            (void)cond_wait_ms(&broadcast->wake, &broadcast->lock, POLL_MS);
    }
    (void)pthread_mutex_unlock(&broadcast->lock);
    arena_free(arena);
    mem_free(heard);
    return NULL;
}

static enum err_code now_fn(struct tx *tx, void *arg, struct err *err)
{
    return lease_now(tx, arg, err);
}

enum err_code broadcast_start(struct store *store, struct ids *ids, struct bus *bus,
                              struct broadcast **out_broadcast, struct err *err)
{
    struct broadcast *broadcast = mem_alloc(1, sizeof *broadcast);
    int64_t now = 0;
    if (!broadcast)
        return err_nomem(err);
    broadcast->store = store;
    broadcast->ids = ids;
    broadcast->bus = bus;
    broadcast->origin = ids_next(ids);
    (void)pthread_mutex_init(&broadcast->lock, NULL);
    cond_init(&broadcast->wake);
    enum err_code rc = ERR_OK;
    if (store_backend(store) == STORE_POSTGRES) {
        rc = store_read(store, now_fn, &now, err);
        broadcast->from = ids_floor(now - 1000);
        if (!rc && pthread_create(&broadcast->thread, NULL, broadcast_run, broadcast))
            rc = err_nomem(err);
        broadcast->started = !rc;
    }
    if (rc) {
        broadcast_stop(broadcast);
        return rc;
    }
    *out_broadcast = broadcast;
    return ERR_OK;
}

void broadcast_stop(struct broadcast *broadcast)
{
    if (!broadcast)
        return;
    if (broadcast->started) {
        (void)pthread_mutex_lock(&broadcast->lock);
        broadcast->stop = true;
        (void)pthread_cond_signal(&broadcast->wake);
        (void)pthread_mutex_unlock(&broadcast->lock);
        (void)pthread_join(broadcast->thread, NULL);
    }
    (void)pthread_mutex_destroy(&broadcast->lock);
    (void)pthread_cond_destroy(&broadcast->wake);
    mem_free(broadcast);
}

enum err_code broadcast_add(struct broadcast *broadcast, struct tx *tx, const struct bus_event *event,
                            struct err *err)
{
    if (tx_backend(tx) == STORE_POSTGRES) {
        char table[STORE_NAME_SIZE], sql[256];
        struct stmt *stmt = NULL;
        const int64_t id = ids_next(broadcast->ids);
        enum err_code rc = tx_period(tx, "broadcast", ids_instant_ms(id), table, err);
        if (rc)
            return rc;
        (void)snprintf(sql, sizeof sql, SQL_BROADCAST_ADD, table);
        rc = tx_prepare(tx, sql, &stmt, err);
        if (!rc) {
            stmt_bind_i64(stmt, 1, id);
            stmt_bind_i64(stmt, 2, broadcast->origin);
            stmt_bind_text(stmt, 3, event->topic);
            stmt_bind_i64(stmt, 4, event->subject_id);
            stmt_bind_text(stmt, 5, event->json);
            rc = stmt_post(stmt, err);
        }
        stmt_free(stmt);
        if (rc)
            return err_in(err, "broadcast.add");
    }
    return bus_publish_after(broadcast->bus, tx, event, err);
}
