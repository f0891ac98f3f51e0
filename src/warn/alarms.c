/* alarms.c - see alarms.h
 *
 * Three threads: `handle` owns the order of changes (signals from the queue, a tick a second), `write`
 * follows the log into the tables, `tell` follows it to people.  The machine is guarded by `machine_lock`, so
 * that acts of people and lists need no message; whoever changes it adds to the log under that lock (the
 * order of the log is the order of the changes) and waits for the sync without it. When the log fails (disk
 * full), the machine is ahead of it: `relog` makes the next tick add a snapshot of every live alarm until
 * that succeeds. */
#include "warn/alarms.h"
#include "base/cond.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_MS 1000
#define WRITE_BATCH 200
#define RETRY_MS 1000
#define TRIM_BYTES ((uint64_t)8 << 20)

struct signal_node {
    struct signal_node *next;
    struct alarm_signal signal; /* its texts lie behind the node */
    bool clear;
};

struct alarms {
    struct alarms_config config;
    struct wal *wal;
    int64_t log_id; /* of this folder: numbers of nodes change hands, a log's cursor must not */

    pthread_mutex_t machine_lock;
    struct machine *machine;
    struct wal_ticket *ticket; /* of the newest change of the running call, under machine_lock */
    enum err_code add_failed;
    struct err add_err;
    struct alarm_record *pending; /* changes of the running batch, told to live screens once durable */
    int pending_count, pending_size;
    bool relog;

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_cond;
    struct signal_node *first, **last;
    int waiting;
    bool stop;

    pthread_mutex_t log_lock; /* of what the readers wait for */
    pthread_cond_t log_cond;
    uint64_t durable, written, told;

    struct alarms_stats stats; /* under queue_lock */
    pthread_t threads[3];
    int threads_count;
};

/* ---- changes go to the log ---- */

static void add_record(struct alarms *alarms, const struct alarm_record *record)
{
    struct buf bytes;
    struct wal_ticket *ticket = NULL;
    buf_init(&bytes, 65536);
    alarm_record_put(&bytes, record);
    enum err_code rc = buf_check(&bytes, &alarms->add_err);
    if (!rc)
        rc = wal_add(alarms->wal, bytes.ptr, bytes.len, &ticket, &alarms->add_err);
    buf_done(&bytes);
    if (rc) {
        alarms->add_failed = rc;
        return;
    }
    if (alarms->ticket)
        wal_forget(alarms->wal, alarms->ticket); /* the later one is synced with or after it */
    alarms->ticket = ticket;
}

static void remember(struct alarms *alarms, const struct alarm_record *record)
{
    if (!alarms->config.hooks.live)
        return;
    if (alarms->pending_count == alarms->pending_size) {
        const int size = alarms->pending_size ? alarms->pending_size * 2 : 16;
        struct alarm_record *grown = mem_realloc(alarms->pending, (size_t)size * sizeof *grown);
        if (!grown)
            return; /* a live screen misses one and shows it when it loads anew */
        alarms->pending = grown;
        alarms->pending_size = size;
    }
    alarms->pending[alarms->pending_count++] = *record;
}

static void on_change(void *ctx, const struct alarm_change *change)
{
    struct alarms *alarms = ctx;
    struct alarm_record record = { .id = ids_next(alarms->config.ids),
                                   .event = change->event,
                                   .first = change->first,
                                   .at_ms = change->at_ms,
                                   .by = change->by,
                                   .alarm = *change->alarm };
    (void)snprintf(record.text, sizeof record.text, "%.*s", STR_ARG(change->text));
    add_record(alarms, &record);
    remember(alarms, &record);
}

/* The state of every live alarm once more, because changes of theirs did not reach the log. */
static void add_snapshots(struct alarms *alarms)
{
    for (int i = 0; i < machine_count(alarms->machine); i++) {
        const struct alarm *alarm = machine_at(alarms->machine, i);
        const struct alarm_record record = { .id = ids_next(alarms->config.ids),
                                             .event = ALARM_RAISE,
                                             .snapshot = true,
                                             .at_ms = alarm->last_ms,
                                             .alarm = *alarm };
        add_record(alarms, &record);
    }
}

/* Under the lock, before finish(): what did not reach the log goes with what is being written now. */
static bool catch_up(struct alarms *alarms)
{
    const bool behind = alarms->relog;
    alarms->relog = false;
    if (behind)
        add_snapshots(alarms);
    return behind;
}

/* Called with machine_lock, gives it back: waits until what was added is durable, then tells live screens. */
static enum err_code finish(struct alarms *alarms, struct err *err)
{
    struct wal_ticket *ticket = alarms->ticket;
    enum err_code rc = alarms->add_failed;
    struct alarm_record *records = alarms->pending;
    const int count = alarms->pending_count;
    if (rc && err)
        *err = alarms->add_err;
    alarms->ticket = NULL;
    alarms->add_failed = ERR_OK;
    alarms->pending = NULL;
    alarms->pending_count = alarms->pending_size = 0;
    (void)pthread_mutex_unlock(&alarms->machine_lock);
    struct err waiting;
    if (ticket) {
        const enum err_code waited = wal_wait(alarms->wal, ticket, NULL, &waiting);
        if (waited && !rc) {
            rc = waited;
            if (err)
                *err = waiting;
        }
    }
    for (int i = 0; i < count && !rc; i++)
        alarms->config.hooks.live(alarms->config.hooks.ctx, &records[i]);
    mem_free(records);
    (void)pthread_mutex_lock(&alarms->log_lock);
    alarms->durable = wal_end(alarms->wal);
    (void)pthread_cond_broadcast(&alarms->log_cond);
    (void)pthread_mutex_unlock(&alarms->log_lock);
    return rc;
}

static void count_stat(struct alarms *alarms, int64_t *stat, int64_t by)
{
    (void)pthread_mutex_lock(&alarms->queue_lock);
    *stat += by;
    (void)pthread_mutex_unlock(&alarms->queue_lock);
}

/* ---- the handling thread ---- */

static struct signal_node *take_signals(struct alarms *alarms, int64_t until_ms, bool *out_stop)
{
    (void)pthread_mutex_lock(&alarms->queue_lock);
    while (!alarms->first && !alarms->stop)
        if (!cond_wait_until(&alarms->queue_cond, &alarms->queue_lock, until_ms))
            break;
    struct signal_node *first = alarms->first;
    alarms->first = NULL;
    alarms->last = &alarms->first;
    alarms->waiting = 0;
    *out_stop = alarms->stop;
    (void)pthread_mutex_unlock(&alarms->queue_lock);
    return first;
}

static void apply_signal(struct alarms *alarms, const struct signal_node *node)
{
    struct err err;
    if (node->clear)
        machine_clear(alarms->machine, node->signal.key, node->signal.value, node->signal.at_ms);
    else if (machine_raise(alarms->machine, &node->signal, clock_now(alarms->config.clock), &err))
        log_err(&err, "alarm.raise", "%.*s", STR_ARG(node->signal.key));
}

static void settle(const struct alarms *alarms)
{
    if (alarms->config.hooks.settle)
        alarms->config.hooks.settle(alarms->config.hooks.ctx);
}

static void apply(struct alarms *alarms, struct signal_node *node, bool tick)
{
    int64_t signals = 0;
    if (node)
        settle(alarms);
    (void)pthread_mutex_lock(&alarms->machine_lock);
    while (node) {
        struct signal_node *next = node->next;
        apply_signal(alarms, node);
        mem_free(node);
        node = next;
        signals++;
    }
    if (tick)
        machine_tick(alarms->machine, clock_now(alarms->config.clock));
    if (tick)
        (void)catch_up(alarms);
    const bool changed = alarms->ticket || alarms->add_failed;
    if (!changed) {
        (void)pthread_mutex_unlock(&alarms->machine_lock);
    } else {
        struct err err;
        if (finish(alarms, &err)) {
            log_err(&err, "alarm.log", "changes are repeated when the log can be written again");
            (void)pthread_mutex_lock(&alarms->machine_lock);
            alarms->relog = true;
            (void)pthread_mutex_unlock(&alarms->machine_lock);
            count_stat(alarms, &alarms->stats.log_failures, 1);
        }
    }
    count_stat(alarms, &alarms->stats.raised, signals);
}

static void *handle_main(void *arg)
{
    struct alarms *alarms = arg;
    int64_t next_tick = clock_mono(&CLOCK_SYSTEM) + TICK_MS;
    for (bool stop = false; !stop;) {
        /* the condition waits on the monotonic clock; the machine's instants come from the config's */
        struct signal_node *signals = take_signals(alarms, next_tick, &stop);
        const bool tick = clock_mono(&CLOCK_SYSTEM) >= next_tick;
        if (tick)
            next_tick = clock_mono(&CLOCK_SYSTEM) + TICK_MS;
        apply(alarms, signals, tick);
    }
    return NULL;
}

/* ---- readers of the log ---- */

/* Waits for records behind `position`; false when the process ends and there are none. */
static bool wait_for_log(struct alarms *alarms, uint64_t position)
{
    (void)pthread_mutex_lock(&alarms->log_lock);
    while (alarms->durable <= position && !alarms->stop)
        (void)pthread_cond_wait(&alarms->log_cond, &alarms->log_lock);
    const bool more = alarms->durable > position;
    (void)pthread_mutex_unlock(&alarms->log_lock);
    return more;
}

/* After a failure; false when the process ends. */
static bool wait_to_retry(struct alarms *alarms)
{
    const int64_t until_ms = clock_mono(&CLOCK_SYSTEM) + RETRY_MS;
    (void)pthread_mutex_lock(&alarms->log_lock);
    while (!alarms->stop && cond_wait_until(&alarms->log_cond, &alarms->log_lock, until_ms))
        ;
    const bool stop = alarms->stop;
    (void)pthread_mutex_unlock(&alarms->log_lock);
    return !stop;
}

static void set_progress(struct alarms *alarms, uint64_t *which, uint64_t position)
{
    (void)pthread_mutex_lock(&alarms->log_lock);
    *which = position;
    (void)pthread_cond_broadcast(&alarms->log_cond);
    (void)pthread_mutex_unlock(&alarms->log_lock);
}

struct batch {
    struct alarms *alarms;
    struct alarm_record *records;
    int count;
    uint64_t position; /* behind the batch */
};

/* The outbox hears what others act on: opened when people may know of it, cleared, closed. */
static const char *topic_of(const struct alarm_record *record)
{
    const bool known = record->alarm.hold == ALARM_FREE;
    if (record->snapshot)
        return NULL;
    if ((record->event == ALARM_RAISE && record->first && known) || record->event == ALARM_RELEASE)
        return "alarm.opened";
    if (record->event == ALARM_CLEAR)
        return "alarm.cleared";
    return record->alarm.state == ALARM_CLOSED ? "alarm.closed" : NULL;
}

static enum err_code write_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct batch *batch = arg;
    const struct alarms_hooks *hooks = &batch->alarms->config.hooks;
    for (int i = 0; i < batch->count; i++) {
        const char *topic = topic_of(&batch->records[i]);
        enum err_code rc = alarm_record_write(tx, &batch->records[i], err);
        if (!rc && topic && hooks->event)
            rc = hooks->event(hooks->ctx, tx, topic, &batch->records[i], err);
        if (rc)
            return err_in(err, "alarm.write");
    }
    return alarm_cursor_set(tx, batch->alarms->log_id, (int64_t)batch->position, err);
}

/* Reads up to WRITE_BATCH records. */
static enum err_code read_batch(struct wal_reader *reader, struct batch *batch, struct err *err)
{
    batch->count = 0;
    while (batch->count < WRITE_BATCH) {
        struct str bytes;
        enum err_code rc = wal_next(reader, &bytes, err);
        if (rc == ERR_NOT_FOUND)
            break;
        if (!rc)
            rc = alarm_record_get(bytes, &batch->records[batch->count], err);
        if (rc)
            return rc;
        batch->count++;
    }
    batch->position = wal_reader_at(reader);
    return ERR_OK;
}

static void trim(struct alarms *alarms)
{
    (void)pthread_mutex_lock(&alarms->log_lock);
    const uint64_t done = alarms->written < alarms->told ? alarms->written : alarms->told;
    (void)pthread_mutex_unlock(&alarms->log_lock);
    struct err err;
    if (done - wal_begin(alarms->wal) > TRIM_BYTES && wal_trim(alarms->wal, done, &err))
        log_err(&err, "alarm.trim", "the log keeps what it has");
}

static void *write_main(void *arg)
{
    struct alarms *alarms = arg;
    struct err err;
    struct wal_reader *reader = NULL;
    struct batch batch = { .alarms = alarms,
                           .records = mem_alloc(WRITE_BATCH, sizeof *batch.records),
                           .position = alarms->written };
    if (!batch.records || wal_reader_new(alarms->wal, alarms->written, &reader, &err)) {
        log_line(LOG_ERROR, "alarm.write", "the tables are not written");
        mem_free(batch.records);
        return NULL;
    }
    while (wait_for_log(alarms, batch.position)) {
        if (read_batch(reader, &batch, &err)) {
            log_err(&err, "alarm.write", "the log cannot be read");
            break;
        }
        bool logged = false, stop = false;
        while (batch.count && !stop && store_write(alarms->config.store, write_fn, &batch, &err)) {
            if (!logged)
                log_err(&err, "alarm.write", "%d changes wait in the log", batch.count);
            logged = true;
            count_stat(alarms, &alarms->stats.sql_failures, 1);
            stop = !wait_to_retry(alarms);
        }
        if (stop)
            break;
        set_progress(alarms, &alarms->written, batch.position);
        trim(alarms);
    }
    wal_reader_free(reader);
    mem_free(batch.records);
    return NULL;
}

static bool is_told(const struct alarm_record *record)
{
    if (record->snapshot)
        return false;
    return record->event != ALARM_RAISE || record->first;
}

static void *tell_main(void *arg)
{
    struct alarms *alarms = arg;
    const struct alarms_hooks *hooks = &alarms->config.hooks;
    struct err err;
    struct wal_reader *reader = NULL;
    uint64_t position = alarms->told;
    if (wal_reader_new(alarms->wal, position, &reader, &err)) {
        log_err(&err, "alarm.tell", "nobody is told");
        return NULL;
    }
    while (wait_for_log(alarms, position)) {
        struct str bytes;
        struct alarm_record record;
        enum err_code rc = wal_next(reader, &bytes, &err);
        if (rc == ERR_NOT_FOUND)
            continue;
        if (!rc)
            rc = alarm_record_get(bytes, &record, &err);
        if (rc) {
            log_err(&err, "alarm.tell", "the log cannot be read");
            break;
        }
        bool stop = false, logged = false;
        while (hooks->tell && is_told(&record) && !stop && hooks->tell(hooks->ctx, &record, &err)) {
            if (!logged)
                log_err(&err, "alarm.tell", "tried again");
            logged = true;
            count_stat(alarms, &alarms->stats.tell_failures, 1);
            stop = !wait_to_retry(alarms);
        }
        if (stop)
            break;
        position = wal_reader_at(reader);
        if (wal_cursor_set(alarms->wal, "tell", position, &err))
            log_err(&err, "alarm.tell", "the cursor stays; the change may be told twice");
        set_progress(alarms, &alarms->told, position);
    }
    wal_reader_free(reader);
    return NULL;
}

/* ---- start and end ---- */

static enum err_code restore_one(void *arg, const struct alarm *alarm, struct err *err)
{
    struct alarms *alarms = arg;
    return machine_restore(alarms->machine, alarm, err);
}

static enum err_code restore_fn(struct tx *tx, void *arg, struct err *err)
{
    struct alarms *alarms = arg;
    int64_t position;
    const struct alarm_row_filter live = { .state = STR("live"), .limit = ALARMS_MAX };
    enum err_code rc = alarm_cursor_get(tx, alarms->log_id, &position, err);
    if (!rc)
        rc = alarm_rows(tx, &live, restore_one, alarms, err);
    if (!rc)
        alarms->written = position < 0 ? wal_begin(alarms->wal) : (uint64_t)position;
    return rc;
}

/* What the log holds behind the tables. */
static enum err_code restore_log(struct alarms *alarms, struct err *err)
{
    struct wal_reader *reader = NULL;
    if (alarms->written < wal_begin(alarms->wal) || alarms->written > wal_end(alarms->wal))
        alarms->written = wal_begin(alarms->wal); /* a log of another life: its ids make rewriting harmless */
    enum err_code rc = wal_reader_new(alarms->wal, alarms->written, &reader, err);
    while (!rc) {
        struct str bytes;
        struct alarm_record record;
        rc = wal_next(reader, &bytes, err);
        if (!rc)
            rc = alarm_record_get(bytes, &record, err);
        if (!rc)
            rc = machine_restore(alarms->machine, &record.alarm, err);
    }
    wal_reader_free(reader);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* The id in the folder of the log; made with the first start. */
static enum err_code read_log_id(struct alarms *alarms, struct err *err)
{
    char path[2300], text[24];
    (void)snprintf(path, sizeof path, "%.2200s/id", alarms->config.dir);
    struct disk_file *file = NULL;
    size_t len = 0;
    enum err_code rc = disk_open(alarms->config.disk, path, DISK_READ, &file, err);
    if (rc == ERR_NOT_FOUND) {
        alarms->log_id = ids_next(alarms->config.ids);
        const int made = snprintf(text, sizeof text, "%lld", (long long)alarms->log_id);
        return disk_replace(alarms->config.disk, path, text, (size_t)made, err);
    }
    if (!rc)
        rc = disk_read(file, 0, text, sizeof text, &len, err);
    disk_close(file);
    if (!rc && !str_i64((struct str) { text, len }, &alarms->log_id))
        rc = err_set(err, ERR_CORRUPT, "warn.record", ARG_END);
    return rc;
}

static enum err_code start_threads(struct alarms *alarms, struct err *err)
{
    static void *(*const mains[])(void *) = { handle_main, write_main, tell_main };
    for (int i = 0; i < 3; i++) {
        if (pthread_create(&alarms->threads[i], NULL, mains[i], alarms) != 0)
            return err_nomem(err);
        alarms->threads_count++;
    }
    return ERR_OK;
}

static void init_locks(struct alarms *alarms)
{
    (void)pthread_mutex_init(&alarms->machine_lock, NULL);
    (void)pthread_mutex_init(&alarms->queue_lock, NULL);
    (void)pthread_mutex_init(&alarms->log_lock, NULL);
    cond_init(&alarms->queue_cond);
    cond_init(&alarms->log_cond);
}

enum err_code alarms_open(const struct alarms_config *config, struct alarms **out, struct err *err)
{
    struct alarms *alarms = mem_alloc(1, sizeof *alarms);
    if (!alarms)
        return err_nomem(err);
    alarms->config = *config;
    alarms->last = &alarms->first;
    init_locks(alarms);
    const struct alarms_hooks *hooks = &config->hooks;
    alarms->machine = machine_new(config->ids, config->times,
                                  &(struct machine_hooks) { .ctx = hooks->ctx,
                                                            .window = hooks->window,
                                                            .parent = hooks->parent,
                                                            .escalate_ms = hooks->escalate_ms,
                                                            .change = on_change,
                                                            .change_ctx = alarms });
    enum err_code rc = alarms->machine ? ERR_OK : err_nomem(err);
    if (!rc)
        rc = wal_open(&(struct wal_config) { .disk = config->disk, .dir = config->dir }, &alarms->wal, err);
    if (!rc)
        rc = read_log_id(alarms, err);
    if (!rc)
        rc = store_read(config->store, restore_fn, alarms, err);
    if (!rc)
        rc = restore_log(alarms, err);
    if (!rc)
        rc = wal_cursor_get(alarms->wal, "tell", &alarms->told, err);
    if (!rc) {
        alarms->durable = wal_end(alarms->wal);
        rc = start_threads(alarms, err);
    }
    if (rc) {
        alarms_close(alarms);
        return err_in(err, "alarms.open");
    }
    *out = alarms;
    return ERR_OK;
}

void alarms_close(struct alarms *alarms)
{
    if (!alarms)
        return;
    (void)pthread_mutex_lock(&alarms->queue_lock);
    (void)pthread_mutex_lock(&alarms->log_lock);
    alarms->stop = true;
    (void)pthread_cond_broadcast(&alarms->queue_cond);
    (void)pthread_cond_broadcast(&alarms->log_cond);
    (void)pthread_mutex_unlock(&alarms->log_lock);
    (void)pthread_mutex_unlock(&alarms->queue_lock);
    for (int i = 0; i < alarms->threads_count; i++)
        (void)pthread_join(alarms->threads[i], NULL);
    while (alarms->first) {
        struct signal_node *next = alarms->first->next;
        mem_free(alarms->first);
        alarms->first = next;
    }
    wal_close(alarms->wal);
    machine_free(alarms->machine);
    mem_free(alarms->pending);
    (void)pthread_mutex_destroy(&alarms->machine_lock);
    (void)pthread_mutex_destroy(&alarms->queue_lock);
    (void)pthread_mutex_destroy(&alarms->log_lock);
    (void)pthread_cond_destroy(&alarms->queue_cond);
    (void)pthread_cond_destroy(&alarms->log_cond);
    mem_free(alarms);
}

/* ---- signals ---- */

static struct str put_text(char **at, struct str text)
{
    struct str copy = { *at, text.len };
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static enum err_code enqueue(struct alarms *alarms, const struct alarm_signal *signal, bool clear,
                             struct err *err)
{
    if (!signal->key.len || signal->key.len > ALARM_KEY_MAX)
        return err_set(err, ERR_INVALID, "warn.key", ARG_INT("max", ALARM_KEY_MAX), ARG_END);
    struct alarm_signal bounded = *signal;
    bounded.title = str_slice(signal->title, 0, ALARM_TITLE_MAX);
    bounded.value = str_slice(signal->value, 0, ALARM_VALUE_MAX);
    struct signal_node *node =
        mem_alloc(1, sizeof *node + bounded.key.len + bounded.title.len + bounded.value.len);
    if (!node)
        return err_nomem(err);
    char *at = (char *)(node + 1);
    node->signal = bounded;
    node->clear = clear;
    node->signal.key = put_text(&at, bounded.key);
    node->signal.title = put_text(&at, bounded.title);
    node->signal.value = put_text(&at, bounded.value);
    (void)pthread_mutex_lock(&alarms->queue_lock);
    const bool full = alarms->waiting >= ALARMS_QUEUE_MAX;
    if (!full) {
        *alarms->last = node;
        alarms->last = &node->next;
        alarms->waiting++;
        (void)pthread_cond_signal(&alarms->queue_cond);
    }
    (void)pthread_mutex_unlock(&alarms->queue_lock);
    if (!full)
        return ERR_OK;
    mem_free(node);
    return err_set(err, ERR_BUSY, "warn.busy", ARG_INT("max", ALARMS_QUEUE_MAX), ARG_END);
}

enum err_code alarms_raise(struct alarms *alarms, const struct alarm_signal *signal, struct err *err)
{
    if (signal->grade < 1 || signal->grade > 4)
        return err_set(err, ERR_INVALID, "warn.grade", ARG_INT("grade", signal->grade), ARG_END);
    return enqueue(alarms, signal, false, err);
}

enum err_code alarms_clear(struct alarms *alarms, struct str key, struct str value, int64_t at_ms,
                           struct err *err)
{
    return enqueue(alarms, &(struct alarm_signal) { .key = key, .value = value, .at_ms = at_ms, .grade = 4 },
                   true, err);
}

enum err_code alarms_signal(struct alarms *alarms, const struct alarm_signal *signal, bool clear,
                            struct err *err)
{
    if (!signal->key.len || signal->key.len > ALARM_KEY_MAX)
        return err_set(err, ERR_INVALID, "warn.key", ARG_INT("max", ALARM_KEY_MAX), ARG_END);
    enum err_code rc = ERR_OK;
    settle(alarms);
    (void)pthread_mutex_lock(&alarms->machine_lock);
    if (clear)
        machine_clear(alarms->machine, signal->key, signal->value, signal->at_ms);
    else
        rc = machine_raise(alarms->machine, signal, clock_now(alarms->config.clock), err);
    if (rc) {
        (void)pthread_mutex_unlock(&alarms->machine_lock);
        return rc;
    }
    (void)catch_up(alarms);
    rc = finish(alarms, err);
    count_stat(alarms, &alarms->stats.raised, 1);
    if (!rc)
        return ERR_OK;
    /* The source hears that it did not work; should it never come again, the alarm still stands in memory. */
    (void)pthread_mutex_lock(&alarms->machine_lock);
    alarms->relog = true;
    (void)pthread_mutex_unlock(&alarms->machine_lock);
    count_stat(alarms, &alarms->stats.log_failures, 1);
    return rc;
}

/* ---- people ---- */

/* Under the lock. */
static void act_one(struct alarms *alarms, bool close, struct alarm_act *act, int64_t user, struct str text)
{
    const int64_t now = clock_now(alarms->config.clock);
    const struct alarm *found = machine_find(alarms->machine, act->id);
    act->before = found ? *found : (struct alarm) { 0 };
    act->rc = close ? machine_close(alarms->machine, act->id, user, text, now, &act->err)
                    : machine_ack(alarms->machine, act->id, user, text, now, &act->err);
}

enum err_code alarms_act(struct alarms *alarms, bool close, struct alarm_act *acts, int count, int64_t user,
                         struct str text, struct err *err)
{
    (void)pthread_mutex_lock(&alarms->machine_lock);
    for (int i = 0; i < count; i++)
        act_one(alarms, close, &acts[i], user, text);
    const bool behind = catch_up(alarms);
    const enum err_code rc = finish(alarms, err);
    if (!rc)
        return ERR_OK;
    /* not durable: nothing happened */
    struct err again;
    (void)pthread_mutex_lock(&alarms->machine_lock);
    alarms->relog |= behind;
    for (int i = count - 1; i >= 0; i--)
        if (!acts[i].rc && machine_restore(alarms->machine, &acts[i].before, &again))
            log_err(&again, "alarm.undo", "alarm stays as it was in the log");
    (void)pthread_mutex_unlock(&alarms->machine_lock);
    return rc;
}

static bool passes(const struct alarm *alarm, const struct alarm_row_filter *filter)
{
    const bool any = !filter->state.len || str_eq(filter->state, STR("live"));
    return (any || str_eq(filter->state, str_from(alarm_state_name(alarm->state)))) &&
           (!filter->grade || filter->grade == alarm->grade) &&
           (!filter->subject || filter->subject == alarm->subject) &&
           (!filter->service || filter->service == alarm->service);
}

enum err_code alarms_page(struct alarms *alarms, const struct alarm_row_filter *filter, struct arena *arena,
                          const struct alarm **out, int *out_count, struct err *err)
{
    struct alarm *copies = arena_alloc(arena, (size_t)filter->limit, sizeof *copies);
    int64_t below = filter->after ? filter->after : INT64_MAX;
    const struct alarm *alarm;
    int count = 0;
    if (!copies)
        return err_nomem(err);
    (void)pthread_mutex_lock(&alarms->machine_lock);
    for (; count < filter->limit && (alarm = machine_below(alarms->machine, below)); below = alarm->id)
        if (passes(alarm, filter))
            copies[count++] = *alarm;
    (void)pthread_mutex_unlock(&alarms->machine_lock);
    *out = copies;
    *out_count = count;
    return ERR_OK;
}

enum err_code alarms_brief(struct alarms *alarms, struct arena *arena, const struct alarm_brief **out,
                           int *out_count, struct err *err)
{
    (void)pthread_mutex_lock(&alarms->machine_lock);
    const int count = machine_count(alarms->machine);
    struct alarm_brief *briefs = arena_alloc(arena, (size_t)count, sizeof *briefs);
    for (int i = 0; briefs && i < count; i++) {
        const struct alarm *alarm = machine_at(alarms->machine, i);
        briefs[i] = (struct alarm_brief) { alarm->subject, alarm->service, alarm->org,
                                           alarm->grade,   alarm->state,   alarm->hold };
    }
    (void)pthread_mutex_unlock(&alarms->machine_lock);
    if (!briefs)
        return err_nomem(err);
    *out = briefs;
    *out_count = count;
    return ERR_OK;
}

bool alarms_find(struct alarms *alarms, int64_t id, struct alarm *out)
{
    (void)pthread_mutex_lock(&alarms->machine_lock);
    const struct alarm *found = machine_find(alarms->machine, id);
    if (found)
        *out = *found;
    (void)pthread_mutex_unlock(&alarms->machine_lock);
    return found != NULL;
}

bool alarms_settle(struct alarms *alarms, int timeout_ms)
{
    const int64_t until_ms = clock_mono(&CLOCK_SYSTEM) + timeout_ms;
    const struct timespec moment = { 0, 2000000 };
    for (bool idle = false; !idle;) { /* first the queue, which has no end of its own to wait for */
        (void)pthread_mutex_lock(&alarms->queue_lock);
        idle = alarms->waiting == 0;
        (void)pthread_mutex_unlock(&alarms->queue_lock);
        if (clock_mono(&CLOCK_SYSTEM) > until_ms)
            return false;
        (void)nanosleep(&moment, NULL);
    }
    (void)pthread_mutex_lock(&alarms->machine_lock); /* the batch that was taken is in the log's buffer */
    (void)pthread_mutex_unlock(&alarms->machine_lock);
    struct err err;
    if (wal_flush(alarms->wal, &err))
        return false;
    const uint64_t end = wal_end(alarms->wal);
    bool in_time = true;
    (void)pthread_mutex_lock(&alarms->log_lock);
    alarms->durable = end;
    (void)pthread_cond_broadcast(&alarms->log_cond);
    while (in_time && (alarms->written < end || alarms->told < end))
        in_time = cond_wait_until(&alarms->log_cond, &alarms->log_lock, until_ms);
    (void)pthread_mutex_unlock(&alarms->log_lock);
    return in_time;
}

void alarms_stats(struct alarms *alarms, struct alarms_stats *out)
{
    (void)pthread_mutex_lock(&alarms->queue_lock);
    *out = alarms->stats;
    out->waiting = alarms->waiting;
    (void)pthread_mutex_unlock(&alarms->queue_lock);
    (void)pthread_mutex_lock(&alarms->machine_lock);
    out->live = machine_count(alarms->machine);
    (void)pthread_mutex_unlock(&alarms->machine_lock);
    (void)pthread_mutex_lock(&alarms->log_lock);
    out->sql_behind = (int64_t)(alarms->durable - alarms->written);
    out->tell_behind = (int64_t)(alarms->durable - alarms->told);
    (void)pthread_mutex_unlock(&alarms->log_lock);
}
