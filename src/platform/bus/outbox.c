/* outbox.c - see outbox.h.
 *
 * A row of outbox_todo is one delivery:
 *   due --claim--> leased --well--> gone
 *                    |  \--failed--> due again, later  --too often--> dead --retry--> due
 *                    \--the node dies, the lease runs out--> due
 * The lease is checked again by the statement that marks it done, so a late worker changes nothing. */
#include "platform/bus/outbox.h"
#include "base/cond.h"

#include "base/json.h"
#include "base/log.h"
#include "platform/bus/bus_sql.h"
#include "platform/bus/lease.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#define CONSUMERS_MAX 64
#define THREADS_MAX 16
#define CLAIM_MAX 16
#define POLL_MS 500
#define TRIES_DEFAULT 10
#define LEASE_DEFAULT_MS 60000
#define LEASE_TX_MS 20000 /* in a transaction: its deadline is 15 s, and a late one changes nothing */
#define CLAIM_ARENA_MAX (32 << 20)

struct outbox {
    struct store *store;
    struct ids *ids;
    struct bus *bus;
    struct str owner;
    struct outbox_consumer consumers[CONSUMERS_MAX];
    int consumer_count;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    bool stop;
    uint64_t news; /* grows with every commit that added a message */
    pthread_t threads[THREADS_MAX];
    int thread_count;
};

struct claim {
    struct outbox *outbox;
    const struct outbox_consumer *consumer;
    struct arena *arena;
    int max, count;
    struct outbox_message messages[CLAIM_MAX];
};

enum err_code outbox_new(struct store *store, struct ids *ids, struct bus *bus, struct str owner,
                         struct outbox **out_outbox, struct err *err)
{
    struct outbox *outbox = mem_alloc(1, sizeof *outbox);
    char *copy = outbox ? mem_copy(owner.ptr, owner.len) : NULL;
    if (!copy) {
        mem_free(outbox);
        return err_nomem(err);
    }
    outbox->store = store;
    outbox->ids = ids;
    outbox->bus = bus;
    outbox->owner = (struct str) { copy, owner.len };
    (void)pthread_mutex_init(&outbox->lock, NULL);
    cond_init(&outbox->wake);
    *out_outbox = outbox;
    return ERR_OK;
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    outbox_stop(outbox);
    (void)pthread_mutex_destroy(&outbox->lock);
    (void)pthread_cond_destroy(&outbox->wake);
    mem_free((void *)(uintptr_t)outbox->owner.ptr);
    mem_free(outbox);
}

enum err_code outbox_register(struct outbox *outbox, const struct outbox_consumer *consumer, struct err *err)
{
    assert((consumer->in_tx == NULL) != (consumer->outside == NULL) && outbox->thread_count == 0);
    for (int i = 0; i < outbox->consumer_count; i++)
        if (strcmp(outbox->consumers[i].name, consumer->name) == 0)
            return err_set(err, ERR_CONFLICT, "bus.consumer", ARG_TEXT("name", consumer->name), ARG_END);
    if (outbox->consumer_count == CONSUMERS_MAX)
        return err_set(err, ERR_LIMIT, "bus.consumers", ARG_INT("max", CONSUMERS_MAX), ARG_END);
    struct outbox_consumer *copy = &outbox->consumers[outbox->consumer_count++];
    *copy = *consumer;
    copy->tries = copy->tries ? copy->tries : TRIES_DEFAULT;
    if (!copy->lease_ms)
        copy->lease_ms = copy->in_tx ? LEASE_TX_MS : LEASE_DEFAULT_MS;
    return ERR_OK;
}

/* ---- adding ---- */

static void on_news(void *arg)
{
    struct outbox *outbox = arg;
    (void)pthread_mutex_lock(&outbox->lock);
    outbox->news++;
    (void)pthread_cond_signal(&outbox->wake);
    (void)pthread_mutex_unlock(&outbox->lock);
}

enum err_code outbox_add(struct outbox *outbox, struct tx *tx, struct str topic, int64_t subject_id,
                         struct str json, struct err *err)
{
    return outbox_add_once(outbox, tx, ids_next(outbox->ids), topic, subject_id, json, err);
}

static enum err_code add_message(struct tx *tx, int64_t id, struct str topic, int64_t subject_id,
                                 struct str json, int64_t *out_added, struct err *err)
{
    char table[STORE_NAME_SIZE], sql[256];
    enum err_code rc = tx_period(tx, "outbox", ids_instant_ms(id), table, err);
    if (rc)
        return rc;
    (void)snprintf(sql, sizeof sql, SQL_OUTBOX_ADD, table);
    rc = tx_run(
        tx, sql,
        BINDS(bind_i64(id), bind_text(topic), bind_i64(subject_id), bind_i64(tx_now_ms(tx)), bind_text(json)),
        out_added, err);
    return rc;
}

enum err_code outbox_add_once(struct outbox *outbox, struct tx *tx, int64_t id, struct str topic,
                              int64_t subject_id, struct str json, struct err *err)
{
    struct stmt *stmt = NULL;
    int64_t added = 0;
    bool wanted = false;
    enum err_code rc = ERR_OK;
    for (int i = 0; i < outbox->consumer_count && !rc; i++) {
        const struct outbox_consumer *consumer = &outbox->consumers[i];
        if (!bus_matches(str_from(consumer->pattern), topic))
            continue;
        if (!wanted) {
            wanted = true;
            rc = add_message(tx, id, topic, subject_id, json, &added, err);
            if (rc || !added) /* known already, and with it its deliveries */
                break;
            rc = tx_prepare(tx, SQL_TODO_ADD, &stmt, err);
        }
        if (!rc) {
            stmt_bind_text(stmt, 1, str_from(consumer->name));
            stmt_bind_i64(stmt, 2, id);
            stmt_bind_i64(stmt, 3, subject_id);
            stmt_bind_i64(stmt, 4, tx_now_ms(tx));
            rc = stmt_run(stmt, NULL, err);
            stmt_reset(stmt);
        }
    }
    stmt_free(stmt);
    if (!rc && added)
        rc = tx_after_commit(tx, on_news, outbox, err);
    return rc ? err_in(err, "outbox.add") : ERR_OK;
}

/* ---- claiming ---- */

static enum err_code message_get(struct tx *tx, struct arena *arena, struct outbox_message *message,
                                 bool *out_found, struct err *err)
{
    struct stmt *stmt = NULL;
    enum err_code rc = tx_prepare(tx, SQL_OUTBOX_GET, &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, message->id);
        rc = stmt_step(stmt, out_found, err);
    }
    if (!rc && *out_found) {
        message->topic = arena_str(arena, stmt_text(stmt, 0));
        message->subject_id = stmt_i64(stmt, 1);
        message->at_ms = stmt_i64(stmt, 2);
        message->json = arena_str(arena, stmt_text(stmt, 3));
        if (!message->topic.ptr || !message->json.ptr)
            rc = err_nomem(err);
    }
    stmt_free(stmt);
    return rc;
}

static enum err_code claim_fn(struct tx *tx, void *arg, struct err *err)
{
    struct claim *claim = arg;
    const struct str name = str_from(claim->consumer->name);
    struct stmt *stmt = NULL;
    int64_t now;
    bool row = true, found;
    claim->count = 0;
    arena_reset(claim->arena);
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_TODO_DUE, &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, name);
        stmt_bind_i64(stmt, 2, now);
        stmt_bind_i64(stmt, 3, claim->max);
    }
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row && claim->count < claim->max)
        claim->messages[claim->count++] =
            (struct outbox_message) { .id = stmt_i64(stmt, 0), .tries = (int)stmt_i64(stmt, 1) };
    stmt_free(stmt);
    for (int i = 0; i < claim->count && !rc; i++) {
        struct outbox_message *message = &claim->messages[i];
        stmt = NULL;
        rc = tx_prepare(tx, SQL_TODO_LEASE, &stmt, err);
        if (!rc) {
            stmt_bind_text(stmt, 1, name);
            stmt_bind_i64(stmt, 2, message->id);
            stmt_bind_text(stmt, 3, claim->outbox->owner);
            stmt_bind_i64(stmt, 4, now + claim->consumer->lease_ms);
            rc = stmt_run(stmt, NULL, err);
        }
        stmt_free(stmt);
        if (!rc)
            rc = message_get(tx, claim->arena, message, &found, err);
        if (!rc && !found) /* its month was dropped */
            message->topic = STR("");
    }
    return rc;
}

/* ---- delivering ---- */

struct delivery {
    struct outbox *outbox;
    const struct outbox_consumer *consumer;
    const struct outbox_message *message;
    bool mine;
    const struct err *failure;
    bool dead;
    int64_t due_in_ms;
    struct str error;
};

static enum err_code done_fn(struct tx *tx, void *arg, struct err *err)
{
    struct delivery *delivery = arg;
    int64_t changes = 0;
    enum err_code rc = tx_run(tx, SQL_TODO_DONE,
                              BINDS(bind_text(str_from(delivery->consumer->name)),
                                    bind_i64(delivery->message->id), bind_text(delivery->outbox->owner)),
                              &changes, err);
    delivery->mine = changes > 0;
    if (!rc && delivery->mine && delivery->consumer->in_tx && delivery->message->topic.len)
        rc = delivery->consumer->in_tx(delivery->consumer->arg, tx, delivery->message, err);
    return rc;
}

static enum err_code failed_fn(struct tx *tx, void *arg, struct err *err)
{
    struct delivery *delivery = arg;
    struct stmt *stmt = NULL;
    int64_t now;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_TODO_FAILED, &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, str_from(delivery->consumer->name));
        stmt_bind_i64(stmt, 2, delivery->message->id);
        stmt_bind_text(stmt, 3, delivery->outbox->owner);
        stmt_bind_i64(stmt, 4, now + delivery->due_in_ms);
        stmt_bind_text(stmt, 5, delivery->error);
        if (delivery->dead)
            stmt_bind_i64(stmt, 6, now);
        else
            stmt_bind_null(stmt, 6);
        rc = stmt_run(stmt, NULL, err);
    }
    stmt_free(stmt);
    return rc;
}

/* 1 s, 4 s, 16 s ... up to an hour. */
static int64_t wait_ms(int tries)
{
    return tries > 5 ? 3600000 : INT64_C(1000) << (2 * tries);
}

static void deliver_failed(struct delivery *delivery, const struct err *failure)
{
    const struct outbox_consumer *consumer = delivery->consumer;
    const struct outbox_message *message = delivery->message;
    const enum err_code code = failure->code;
    const bool hopeless = code == ERR_INVALID || code == ERR_UNSUPPORTED || code == ERR_CORRUPT;
    const bool surroundings = code == ERR_STORE || code == ERR_BUSY || code == ERR_DISK_FULL;
    struct buf error;
    struct err err = { 0 };
    buf_init(&error, 8192);
    json_put_err(failure, &error);
    delivery->error = buf_get(&error);
    delivery->dead = hopeless || (message->tries + 1 >= consumer->tries && !surroundings);
    delivery->due_in_ms = wait_ms(message->tries);
    log_err(failure, delivery->dead ? "outbox.dead" : "outbox.failed",
            "consumer %s message %lld topic %.*s try %d", consumer->name, (long long)message->id,
            STR_ARG(message->topic), message->tries + 1);
    if (store_write_claim(delivery->outbox->store, failed_fn, delivery, &err)) {
        log_err(&err, "outbox.mark", "message %lld waits for its lease to run out", (long long)message->id);
    } else if (delivery->dead && delivery->outbox->bus) {
        char json[160];
        const int len = snprintf(json, sizeof json, "{\"consumer\":\"%.60s\",\"id\":\"%lld\"}",
                                 consumer->name, (long long)message->id);
        const struct bus_event event = { STR("deadletter.new"), message->id, { json, (size_t)len } };
        bus_publish(delivery->outbox->bus, &event);
    }
    buf_done(&error);
}

static void deliver(struct outbox *outbox, const struct outbox_consumer *consumer,
                    const struct outbox_message *message)
{
    struct delivery delivery = { .outbox = outbox, .consumer = consumer, .message = message };
    struct err err = { 0 };
    enum err_code rc = ERR_OK;
    if (consumer->outside && message->topic.len)
        rc = consumer->outside(consumer->arg, message, &err);
    if (!rc)
        rc = store_write(outbox->store, done_fn, &delivery, &err);
    if (rc)
        deliver_failed(&delivery, &err);
}

/* Claims once for every consumer; *out_done = how many were handled. */
static enum err_code round_of(struct outbox *outbox, struct arena *arena, int *out_done, struct err *err)
{
    *out_done = 0;
    for (int i = 0; i < outbox->consumer_count; i++) {
        const struct outbox_consumer *consumer = &outbox->consumers[i];
        struct claim claim = {
            .outbox = outbox, .consumer = consumer, .arena = arena, .max = consumer->in_tx ? CLAIM_MAX : 1
        };
        const enum err_code rc = store_write_claim(outbox->store, claim_fn, &claim, err);
        if (rc)
            return rc;
        for (int j = 0; j < claim.count; j++)
            deliver(outbox, consumer, &claim.messages[j]);
        *out_done += claim.count;
    }
    return ERR_OK;
}

enum err_code outbox_run_due(struct outbox *outbox, int *out_done, struct err *err)
{
    struct arena *arena = arena_new(CLAIM_ARENA_MAX);
    int done = 1, sum = 0;
    enum err_code rc = arena ? ERR_OK : err_nomem(err);
    while (!rc && done) {
        rc = round_of(outbox, arena, &done, err);
        sum += done;
    }
    arena_free(arena);
    *out_done = sum;
    return rc;
}

/* ---- threads ---- */

static void *outbox_thread(void *arg)
{
    struct outbox *outbox = arg;
    struct arena *arena = NULL;
    bool away = false;
    (void)pthread_mutex_lock(&outbox->lock);
    while (!outbox->stop) {
        const uint64_t news = outbox->news;
        (void)pthread_mutex_unlock(&outbox->lock);
        struct err err = { 0 };
        int done = 0;
        if (!arena)
            arena = arena_new(CLAIM_ARENA_MAX);
        const enum err_code rc = arena ? round_of(outbox, arena, &done, &err) : err_nomem(&err);
        if (rc && !away) /* once, not twice a second */
            log_err(&err, "outbox.claim", "deliveries wait");
        away = rc != ERR_OK;
        (void)pthread_mutex_lock(&outbox->lock);
        if (!done && news == outbox->news && !outbox->stop)
            (void)cond_wait_ms(&outbox->wake, &outbox->lock, POLL_MS);
    }
    (void)pthread_mutex_unlock(&outbox->lock);
    arena_free(arena);
    return NULL;
}

/* What died with a process of this home is due at once; on SQLite there is nobody else. */
static enum err_code free_own_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct outbox *outbox = arg;
    char pattern[LEASE_PATTERN_SIZE];
    lease_pattern(outbox->owner, pattern);
    return tx_run(tx, SQL_TODO_FREE_OWN,
                  BINDS(bind_text(tx_backend(tx) == STORE_SQLITE ? STR("%") : str_from(pattern))), NULL, err);
}

enum err_code outbox_start(struct outbox *outbox, int threads, struct err *err)
{
    assert(threads >= 1 && threads <= THREADS_MAX && outbox->thread_count == 0);
    const enum err_code rc = store_write_claim(outbox->store, free_own_fn, outbox, err);
    if (rc)
        return rc;
    outbox->stop = false;
    while (outbox->thread_count < threads) {
        if (pthread_create(&outbox->threads[outbox->thread_count], NULL, outbox_thread, outbox)) {
            outbox_stop(outbox);
            return err_nomem(err);
        }
        outbox->thread_count++;
    }
    return ERR_OK;
}

void outbox_stop(struct outbox *outbox)
{
    (void)pthread_mutex_lock(&outbox->lock);
    outbox->stop = true;
    (void)pthread_cond_broadcast(&outbox->wake);
    (void)pthread_mutex_unlock(&outbox->lock);
    while (outbox->thread_count)
        (void)pthread_join(outbox->threads[--outbox->thread_count], NULL);
}

/* ---- dead letters ---- */

struct dead_list {
    struct arena *arena;
    int64_t after;
    int limit, count;
    struct dead_letter *letters;
};

static enum err_code dead_fn(struct tx *tx, void *arg, struct err *err)
{
    struct dead_list *list = arg;
    struct stmt *stmt = NULL;
    bool row = true;
    list->count = 0;
    enum err_code rc = tx_prepare(tx, SQL_DEAD_LIST, &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, list->after);
        stmt_bind_i64(stmt, 2, list->limit);
    }
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row && list->count < list->limit) {
        struct dead_letter *letter = &list->letters[list->count++];
        letter->consumer = arena_str(list->arena, stmt_text(stmt, 0));
        letter->message.id = stmt_i64(stmt, 1);
        letter->message.subject_id = stmt_i64(stmt, 2);
        letter->message.tries = (int)stmt_i64(stmt, 3);
        letter->failed_at_ms = stmt_i64(stmt, 4);
        letter->error = arena_str(list->arena, stmt_text(stmt, 5));
        letter->message.topic = arena_str(list->arena, stmt_text(stmt, 6));
        letter->message.at_ms = stmt_i64(stmt, 7);
        letter->message.json = arena_str(list->arena, stmt_text(stmt, 8));
        if (!letter->consumer.ptr || !letter->error.ptr || !letter->message.topic.ptr ||
            !letter->message.json.ptr)
            rc = err_nomem(err);
    }
    stmt_free(stmt);
    return rc;
}

enum err_code outbox_dead(struct outbox *outbox, struct arena *arena, int64_t after, int limit,
                          struct dead_letter **out_letters, int *out_count, struct err *err)
{
    struct dead_list list = { .arena = arena,
                              .after = after,
                              .limit = limit,
                              .letters = arena_alloc(arena, (size_t)limit + 1, sizeof *list.letters) };
    const enum err_code rc = list.letters ? store_read(outbox->store, dead_fn, &list, err) : err_nomem(err);
    if (!rc) {
        *out_letters = list.letters;
        *out_count = list.count;
    }
    return rc;
}

static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    return tx_query_i64(tx, SQL_STATS_DEAD, arg, err);
}

enum err_code outbox_dead_count(struct outbox *outbox, int64_t *out_count, struct err *err)
{
    return store_read(outbox->store, count_fn, out_count, err);
}

static enum err_code on_dead(struct tx *tx, const char *sql, bool with_due, struct str consumer, int64_t id,
                             struct err *err)
{
    struct stmt *stmt = NULL;
    int64_t changes = 0, now = 0;
    enum err_code rc = lease_now(tx, &now, err);
    if (!rc)
        rc = tx_prepare(tx, sql, &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, consumer);
        stmt_bind_i64(stmt, 2, id);
        if (with_due)
            stmt_bind_i64(stmt, 3, now);
        rc = stmt_run(stmt, &changes, err);
    }
    stmt_free(stmt);
    if (!rc && !changes)
        rc = err_set(err, ERR_NOT_FOUND, "bus.no_dead_letter", ARG_END);
    return rc;
}

enum err_code outbox_retry(struct outbox *outbox, struct tx *tx, struct str consumer, int64_t id,
                           struct err *err)
{
    const enum err_code rc = on_dead(tx, SQL_DEAD_RETRY, true, consumer, id, err);
    return rc ? rc : tx_after_commit(tx, on_news, outbox, err);
}

enum err_code outbox_drop(struct outbox *outbox, struct tx *tx, struct str consumer, int64_t id,
                          struct err *err)
{
    (void)outbox;
    return on_dead(tx, SQL_DEAD_DROP, false, consumer, id, err);
}

static enum err_code stats_fn(struct tx *tx, void *arg, struct err *err)
{
    struct outbox_stats *stats = arg;
    struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_i64(tx, SQL_STATS_DEAD, &stats->dead, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_STATS_WAITING, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc) {
        stats->waiting = stmt_i64(stmt, 0);
        stats->oldest_ms = stats->waiting ? tx_now_ms(tx) - ids_instant_ms(stmt_i64(stmt, 1)) : 0;
    }
    stmt_free(stmt);
    return rc;
}

enum err_code outbox_stats(struct outbox *outbox, struct outbox_stats *out, struct err *err)
{
    return store_read(outbox->store, stats_fn, out, err);
}
