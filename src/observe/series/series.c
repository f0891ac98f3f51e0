/* series.c - names, senders, the way of a batch through log and head.  See series.h, store.h.
 *
 * A batch is queued under the lock in the order of the log, waits for its sync without the lock, and is
 * applied in the order of the queue by whoever comes first: so the head is always what a replay of the log
 * would give.  Log records:
 *     'N' then for each new series: varint id | varint length | text
 *     'B' | node | epoch | first sequence | varint count of sequence numbers | samples:
 *         varint zigzag(id - id before) | varint zigzag(at - at before) | kind + 2 * status | value */
#include "observe/series/store.h"
#include "base/endian.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SENDERS_MAX 10000

static enum err_code open_files(struct series_store *store, struct err *err);

enum err_code series_open(const struct series_config *config, struct series_store **out_store,
                          struct err *err)
{
    struct series_store *store = mem_alloc(1, sizeof *store);
    if (!store)
        return err_nomem(err);
    store->disk = config->disk;
    store->clock = config->clock;
    store->head_bytes_max = config->head_bytes_max ? config->head_bytes_max : (size_t)64 << 20;
    store->head_age_ms = config->head_age_ms ? config->head_age_ms : 7200000;
    store->retention_days = config->retention_days ? config->retention_days : 400;
    store->series_max = config->series_max ? config->series_max : 4000000;
    store->next_number = 1;
    (void)pthread_mutex_init(&store->upkeep, NULL);
    (void)pthread_rwlock_init(&store->blocks_lock, NULL);
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->moved, NULL);
    store->dir = mem_copy(config->dir, strlen(config->dir));
    enum err_code rc = store->dir ? ERR_OK : err_nomem(err);
    if (!rc && strlen(store->dir) > 480)
        rc = err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", 480), ARG_END);
    if (!rc)
        rc = open_files(store, err);
    if (rc) {
        series_close(store);
        return err_in(err, "series.open");
    }
    *out_store = store;
    return ERR_OK;
}

static enum err_code open_files(struct series_store *store, struct err *err)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/log", store->dir);
    const struct wal_config log = { .disk = store->disk, .dir = path, .segment_bytes = (size_t)16 << 20 };
    enum err_code rc = disk_mkdir(store->disk, store->dir, err);
    if (!rc)
        rc = wal_open(&log, &store->wal, err);
    if (!rc)
        rc = manifest_read(store, err);
    if (!rc) {
        manifest_sweep(store);
        store->head = head_new(store->from);
        rc = store->head ? series_replay(store, err) : err_nomem(err);
    }
    return rc;
}

void series_close(struct series_store *store)
{
    if (!store)
        return;
    wal_close(store->wal);
    head_free(store->head);
    head_free(store->flushing);
    for (size_t i = 0; i < store->block_count; i++)
        block_close(&store->blocks[i]);
    for (size_t i = 1; i <= store->name_count; i++)
        if (store->names[i]) {
            mem_free(store->names[i]->text);
            mem_free(store->names[i]);
        }
    mem_free(store->blocks);
    mem_free(store->names);
    mem_free(store->hash);
    mem_free(store->senders);
    mem_free(store->dir);
    (void)pthread_mutex_destroy(&store->upkeep);
    (void)pthread_rwlock_destroy(&store->blocks_lock);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_cond_destroy(&store->moved);
    mem_free(store);
}

/* ---- names ---- */

struct name *series_name(struct series_store *store, int64_t id)
{
    return id > 0 && (size_t)id <= store->name_count ? store->names[id] : NULL;
}

static void hash_put(struct series_store *store, uint32_t id)
{
    const struct name *name = store->names[id];
    size_t at = str_hash((struct str) { name->text, name->len }) & (store->hash_size - 1);
    while (store->hash[at])
        at = (at + 1) & (store->hash_size - 1);
    store->hash[at] = id;
}

static int64_t hash_find(const struct series_store *store, struct str text)
{
    if (!store->hash_size)
        return 0;
    for (size_t at = str_hash(text) & (store->hash_size - 1); store->hash[at];
         at = (at + 1) & (store->hash_size - 1)) {
        const struct name *name = store->names[store->hash[at]];
        if (str_eq((struct str) { name->text, name->len }, text))
            return store->hash[at];
    }
    return 0;
}

enum err_code series_name_put(struct series_store *store, int64_t id, const char *text, size_t len,
                              bool durable, struct err *err)
{
    if (series_name(store, id)) {
        store->names[id]->durable |= durable;
        return ERR_OK;
    }
    if (id <= 0 || (size_t)id > store->series_max)
        return err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", store->series_max), ARG_END);
    if ((size_t)id >= store->name_room) {
        size_t room = store->name_room ? store->name_room : 256;
        while (room <= (size_t)id)
            room *= 2;
        struct name **grown = mem_realloc(store->names, room * sizeof *grown);
        if (!grown)
            return err_nomem(err);
        memset(grown + store->name_room, 0, (room - store->name_room) * sizeof *grown);
        store->names = grown;
        store->name_room = room;
    }
    if (store->hash_size < store->name_room * 2) {
        const size_t size = store->name_room * 2;
        uint32_t *hash = mem_alloc(size, sizeof *hash);
        if (!hash)
            return err_nomem(err);
        mem_free(store->hash);
        store->hash = hash;
        store->hash_size = size;
        for (size_t i = 1; i <= store->name_count; i++)
            if (store->names[i])
                hash_put(store, (uint32_t)i);
    }
    struct name *name = mem_alloc(1, sizeof *name);
    if (name)
        name->text = mem_copy(text, len);
    if (!name || !name->text) {
        mem_free(name);
        return err_nomem(err);
    }
    name->len = len;
    name->durable = durable;
    store->names[id] = name;
    if ((size_t)id > store->name_count)
        store->name_count = (size_t)id;
    hash_put(store, (uint32_t)id);
    return ERR_OK;
}

/* "name=value\n" in order of name. */
static enum err_code canonical(const struct series_label *labels, size_t count, char out[SERIES_LABELS_BYTES],
                               size_t *out_len, struct err *err)
{
    const struct series_label *sorted[SERIES_LABELS_MAX];
    size_t len = 0;
    if (count > SERIES_LABELS_MAX)
        return err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", SERIES_LABELS_MAX), ARG_END);
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        /* cppcheck-suppress uninitvar ; filled up to i */
        for (; at > 0 && str_cmp(sorted[at - 1]->name, labels[i].name) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &labels[i];
        const bool bad = labels[i].name.len == 0 || memchr(labels[i].name.ptr, '=', labels[i].name.len) ||
                         memchr(labels[i].name.ptr, '\n', labels[i].name.len) ||
                         (labels[i].value.len && memchr(labels[i].value.ptr, '\n', labels[i].value.len)) ||
                         (at > 0 && str_eq(sorted[at - 1]->name, labels[i].name));
        if (bad)
            return err_set(err, ERR_INVALID, "series.labels", ARG_END);
        len += labels[i].name.len + labels[i].value.len + 2;
    }
    if (count == 0)
        return err_set(err, ERR_INVALID, "series.labels", ARG_END);
    if (len > SERIES_LABELS_BYTES)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", SERIES_LABELS_BYTES), ARG_END);
    char *to = out;
    for (size_t i = 0; i < count; i++) {
        memcpy(to, sorted[i]->name.ptr, sorted[i]->name.len);
        to += sorted[i]->name.len;
        *to++ = '=';
        if (sorted[i]->value.len)
            memcpy(to, sorted[i]->value.ptr, sorted[i]->value.len);
        to += sorted[i]->value.len;
        *to++ = '\n';
    }
    *out_len = len;
    return ERR_OK;
}

enum err_code series_id(struct series_store *store, const struct series_label *labels, size_t count,
                        int64_t *out_id, struct err *err)
{
    const struct series_labels set = { labels, count };
    return series_ids(store, &set, 1, out_id, err);
}

static void put_varint(struct buf *buf, uint64_t n)
{
    char bytes[10];
    size_t len = 0;
    for (; n >= 0x80; n >>= 7)
        bytes[len++] = (char)(n | 0x80);
    bytes[len++] = (char)n;
    buf_add(buf, bytes, len);
}

enum err_code series_ids(struct series_store *store, const struct series_labels *sets, size_t count,
                         int64_t *out_ids, struct err *err)
{
    char text[SERIES_LABELS_BYTES];
    size_t len;
    struct buf record;
    struct wal_ticket *ticket = NULL;
    enum err_code rc = ERR_OK;
    int64_t *ids = mem_alloc(count ? count : 1, sizeof *ids);
    if (!ids)
        return err_nomem(err);
    buf_init(&record, WAL_RECORD_MAX);
    buf_char(&record, 'N');
    (void)pthread_mutex_lock(&store->lock);
    for (size_t i = 0; !rc && i < count; i++) {
        rc = canonical(sets[i].labels, sets[i].count, text, &len, err);
        if (rc)
            break;
        ids[i] = hash_find(store, (struct str) { text, len });
        if (!ids[i]) {
            const int64_t id = (int64_t)store->name_count + 1;
            rc = series_name_put(store, id, text, len, false, err);
            ids[i] = id;
        }
        if (!rc && !store->names[ids[i]]->durable) {
            put_varint(&record, (uint64_t)ids[i]);
            put_varint(&record, len);
            buf_add(&record, text, len);
        }
    }
    if (!rc)
        rc = buf_check(&record, err);
    const bool fresh = !rc && record.len > 1;
    if (fresh)
        rc = wal_add(store->wal, record.ptr, record.len, &ticket, err);
    (void)pthread_mutex_unlock(&store->lock);
    if (!rc && fresh)
        rc = wal_wait(store->wal, ticket, NULL, err);
    if (!rc) {
        (void)pthread_mutex_lock(&store->lock);
        for (size_t i = 0; i < count; i++) {
            store->names[ids[i]]->durable = true;
            out_ids[i] = ids[i];
        }
        (void)pthread_mutex_unlock(&store->lock);
    }
    buf_done(&record);
    mem_free(ids);
    return rc;
}

enum err_code series_find(struct series_store *store, const struct series_label *labels, size_t count,
                          int64_t *out_id, struct err *err)
{
    char text[SERIES_LABELS_BYTES];
    size_t len;
    const enum err_code rc = canonical(labels, count, text, &len, err);
    if (rc)
        return rc;
    (void)pthread_mutex_lock(&store->lock);
    const int64_t id = hash_find(store, (struct str) { text, len });
    (void)pthread_mutex_unlock(&store->lock);
    if (!id)
        return err_set(err, ERR_NOT_FOUND, "series.not_found", ARG_END);
    *out_id = id;
    return ERR_OK;
}

static bool carries(const struct name *name, const struct series_label *label)
{
    struct str rest = { name->text, name->len }, line;
    while (str_cut(&rest, '\n', &line))
        if (line.len == label->name.len + 1 + label->value.len && line.ptr[label->name.len] == '=' &&
            str_starts(line, label->name) && str_ends(line, label->value))
            return true;
    return false;
}

size_t series_select(struct series_store *store, const struct series_label *labels, size_t count,
                     int64_t *out_ids, size_t max)
{
    size_t found = 0;
    (void)pthread_mutex_lock(&store->lock);
    for (size_t id = 1; id <= store->name_count; id++) {
        const struct name *name = store->names[id];
        size_t i = 0;
        while (name && i < count && carries(name, &labels[i]))
            i++;
        if (!name || i < count)
            continue;
        if (found < max)
            out_ids[found] = (int64_t)id;
        found++;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return found;
}

enum err_code series_labels_get(struct series_store *store, int64_t id, struct arena *arena,
                                struct str *out_text, struct err *err)
{
    enum err_code rc = ERR_OK;
    (void)pthread_mutex_lock(&store->lock);
    const struct name *name = series_name(store, id);
    if (!name) {
        rc = err_set(err, ERR_NOT_FOUND, "series.not_found", ARG_END);
    } else {
        const struct str copy = arena_str(arena, (struct str) { name->text, name->len });
        if (copy.ptr)
            *out_text = copy;
        else
            rc = err_nomem(err);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

/* ---- senders ---- */

static struct sender *sender_find(struct series_store *store, int64_t node)
{
    for (size_t i = 0; i < store->sender_count; i++)
        if (store->senders[i].node == node)
            return &store->senders[i];
    return NULL;
}

enum err_code series_sender_put(struct series_store *store, int64_t node, struct sender **out,
                                struct err *err)
{
    *out = sender_find(store, node);
    if (*out)
        return ERR_OK;
    if (store->sender_count == SENDERS_MAX)
        return err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", SENDERS_MAX), ARG_END);
    struct sender *grown = mem_realloc(store->senders, (store->sender_count + 1) * sizeof *grown);
    if (!grown)
        return err_nomem(err);
    store->senders = grown;
    *out = &grown[store->sender_count++];
    **out = (struct sender) { .node = node, .epoch = INT64_MIN };
    return ERR_OK;
}

bool series_acknowledged(struct series_store *store, int64_t node, int64_t epoch, uint64_t *out_sequence)
{
    (void)pthread_mutex_lock(&store->lock);
    const struct sender *sender = sender_find(store, node);
    const bool known = sender && sender->epoch == epoch;
    if (known)
        *out_sequence = sender->acknowledged;
    (void)pthread_mutex_unlock(&store->lock);
    return known;
}

static size_t steps_of(const struct series_batch *batch)
{
    return batch->steps ? batch->steps : batch->count;
}

/* Waits for its turn and looks what is known of the batch; with the lock held.  *out_skip sequence numbers of
 * it are acknowledged already. */
static enum err_code sender_begin(struct series_store *store, const struct series_batch *batch,
                                  size_t *out_skip, struct series_result *result, struct err *err)
{
    const struct series_sender *from = &batch->sender;
    struct sender *sender;
    *out_skip = 0;
    if (from->node == 0)
        return ERR_OK;
    enum err_code rc = series_sender_put(store, from->node, &sender, err);
    if (rc)
        return rc;
    while (sender->busy) {
        (void)pthread_cond_wait(&store->moved, &store->lock);
        sender = sender_find(store, from->node); /* the table may have moved */
    }
    if (from->epoch < sender->epoch)
        return err_set(err, ERR_CONFLICT, "series.epoch", ARG_INT("epoch", sender->epoch), ARG_END);
    if (from->epoch == sender->epoch) {
        const uint64_t next = sender->acknowledged + 1;
        if (from->sequence < next)
            *out_skip =
                next - from->sequence < steps_of(batch) ? (size_t)(next - from->sequence) : steps_of(batch);
        else
            result->gap = (size_t)(from->sequence - next);
    }
    sender->busy = true;
    return ERR_OK;
}

static void sender_end(struct series_store *store, const struct series_batch *batch)
{
    struct sender *sender = batch->sender.node ? sender_find(store, batch->sender.node) : NULL;
    if (sender)
        sender->busy = false;
    (void)pthread_cond_broadcast(&store->moved);
}

/* ---- a batch as a log record, and back ---- */

static void encode(struct buf *record, const struct series_batch *batch, size_t skip, int64_t now_ms,
                   size_t name_count, struct series_result *result)
{
    char head[24];
    put_u64(head, (uint64_t)batch->sender.node);
    put_u64(head + 8, (uint64_t)batch->sender.epoch);
    put_u64(head + 16, batch->sender.sequence);
    buf_char(record, 'B');
    buf_add(record, head, sizeof head);
    put_varint(record, steps_of(batch));
    int64_t id = 0, at = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct series_sample *sample = &batch->samples[i];
        char value[9];
        if ((batch->steps ? sample->step : i) < skip)
            continue;
        if (sample->id <= 0 || (size_t)sample->id > name_count || sample->at_ms < now_ms - SERIES_LATE_MS ||
            sample->at_ms > now_ms + SERIES_AHEAD_MS || sample->kind > SERIES_F64 ||
            sample->status >= SERIES_STATUS__COUNT) {
            result->refused++;
            continue;
        }
        put_varint(record, zigzag((int64_t)((uint64_t)sample->id - (uint64_t)id)));
        put_varint(record, zigzag((int64_t)((uint64_t)sample->at_ms - (uint64_t)at)));
        id = sample->id;
        at = sample->at_ms;
        value[0] = (char)(sample->kind | sample->status << 1);
        if (sample->kind == SERIES_I64) {
            buf_add(record, value, 1);
            put_varint(record, zigzag(sample->i64));
        } else {
            memcpy(value + 1, &sample->f64, 8);
            buf_add(record, value, 9);
        }
    }
}

struct cursor {
    const unsigned char *at, *end;
    bool bad;
};

static uint64_t take_varint(struct cursor *cursor)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (cursor->at == cursor->end)
            break;
        const unsigned char byte = *cursor->at++;
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return n;
    }
    cursor->bad = true;
    return 0;
}

static int64_t take_zigzag(struct cursor *cursor)
{
    return unzigzag(take_varint(cursor));
}

static enum err_code apply_names(struct series_store *store, struct cursor *cursor, struct err *err)
{
    while (cursor->at < cursor->end && !cursor->bad) {
        const uint64_t id = take_varint(cursor), len = take_varint(cursor);
        if (cursor->bad || len > (size_t)(cursor->end - cursor->at))
            break;
        const enum err_code rc =
            series_name_put(store, (int64_t)id, (const char *)cursor->at, len, true, err);
        if (rc)
            return rc;
        cursor->at += len;
    }
    return ERR_OK;
}

static enum err_code apply_batch(struct series_store *store, struct cursor *cursor,
                                 struct series_result *result, struct err *err)
{
    if (cursor->end - cursor->at < 24) {
        cursor->bad = true;
        return ERR_OK;
    }
    const int64_t node = (int64_t)get_u64(cursor->at), epoch = (int64_t)get_u64(cursor->at + 8);
    const uint64_t sequence = get_u64(cursor->at + 16);
    cursor->at += 24;
    const uint64_t count = take_varint(cursor);
    struct sender *sender;
    enum err_code rc = node ? series_sender_put(store, node, &sender, err) : ERR_OK;
    if (rc)
        return rc;
    if (node && count) {
        if (epoch > sender->epoch) {
            sender->epoch = epoch;
            sender->acknowledged = 0;
        }
        if (epoch == sender->epoch && sequence + count - 1 > sender->acknowledged)
            sender->acknowledged = sequence + count - 1;
    }
    struct series_sample sample = { 0 };
    while (cursor->at < cursor->end) {
        sample.id = (int64_t)((uint64_t)sample.id + (uint64_t)take_zigzag(cursor));
        sample.at_ms = (int64_t)((uint64_t)sample.at_ms + (uint64_t)take_zigzag(cursor));
        if (cursor->bad || cursor->at == cursor->end)
            break;
        sample.kind = *cursor->at & 1;
        sample.status = *cursor->at++ >> 1 & 3;
        if (sample.kind == SERIES_I64) {
            sample.i64 = take_zigzag(cursor);
        } else if (cursor->end - cursor->at >= 8) {
            memcpy(&sample.f64, cursor->at, 8);
            cursor->at += 8;
        } else {
            cursor->bad = true;
        }
        struct name *name = series_name(store, sample.id);
        if (cursor->bad || !name)
            break;
        bool fresh;
        rc = head_add(store->head, &sample, &fresh, err);
        if (rc)
            return rc;
        if (store->head->samples == 1)
            store->head->since_ms = clock_mono(store->clock);
        result->stored += fresh;
        result->duplicate += !fresh;
        if (fresh && (!name->has_last || sample.at_ms > name->last.at_ms)) {
            name->last = sample;
            name->has_last = true;
        }
    }
    return ERR_OK;
}

enum err_code series_apply(struct series_store *store, const char *record, size_t len,
                           struct series_result *result, struct err *err)
{
    struct cursor cursor = { (const unsigned char *)record + 1, (const unsigned char *)record + len, false };
    enum err_code rc = ERR_OK;
    if (record[0] == 'N')
        rc = apply_names(store, &cursor, err);
    else if (record[0] == 'B')
        rc = apply_batch(store, &cursor, result, err);
    else
        cursor.bad = true;
    if (!rc && (cursor.bad || cursor.at != cursor.end))
        rc = err_set(err, ERR_CORRUPT, "series.corrupt", ARG_TEXT("path", "log"), ARG_INT("at", 0), ARG_END);
    return rc;
}

enum err_code series_replay(struct series_store *store, struct err *err)
{
    struct wal_reader *reader;
    struct str record;
    enum err_code rc = wal_reader_new(store->wal, store->head->from, &reader, err);
    if (rc)
        return rc;
    while ((rc = wal_next(reader, &record, err)) == ERR_OK) {
        struct series_result ignored = { 0 };
        rc = series_apply(store, record.ptr, record.len, &ignored, err);
        if (rc)
            break;
    }
    wal_reader_free(reader);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

enum err_code series_heal(struct series_store *store, struct err *err)
{
    if (!store->incomplete)
        return ERR_OK;
    struct head *fresh = head_new(store->head->from), *old = store->head;
    if (!fresh)
        return err_nomem(err);
    store->head = fresh;
    const enum err_code rc = series_replay(store, err);
    if (rc) { /* the old one shows more than a part of the new one would */
        store->head = old;
        head_free(fresh);
        return rc;
    }
    head_free(old);
    store->incomplete = false;
    return ERR_OK;
}

/* ---- appending ---- */

/* Applies what is durable at the front of the queue; with the lock held. */
static void drain(struct series_store *store)
{
    bool any = false;
    for (struct pending *one; (one = store->first) && one->state != PENDING_WAITS; any = true) {
        if (one->state == PENDING_DURABLE) {
            struct err ignored;
            one->state = PENDING_APPLIED;
            /* it is in the log, so it counts; without memory the head is built again from there */
            if (store->incomplete || series_apply(store, one->record, one->len, one->result, &ignored))
                store->incomplete = true;
            store->appended += one->result->stored;
            store->duplicate += one->result->duplicate;
        }
        store->first = one->next;
        if (!store->first)
            store->last = NULL;
        one->next = NULL;
    }
    if (any)
        (void)pthread_cond_broadcast(&store->moved);
}

static enum err_code through_log(struct series_store *store, const struct buf *record,
                                 struct series_result *result, struct err *err)
{
    struct wal_ticket *ticket;
    struct pending one = { .record = record->ptr, .len = record->len, .result = result };
    while (store->swapping)
        (void)pthread_cond_wait(&store->moved, &store->lock);
    enum err_code rc = wal_add(store->wal, record->ptr, record->len, &ticket, err);
    if (rc)
        return rc;
    if (store->last)
        store->last->next = &one;
    else                     /* it leaves the list before this function is left */
        store->first = &one; /* cppcheck-suppress autoVariables */
    store->last = &one;      /* cppcheck-suppress autoVariables */
    (void)pthread_mutex_unlock(&store->lock);
    rc = wal_wait(store->wal, ticket, NULL, err);
    (void)pthread_mutex_lock(&store->lock);
    one.state = rc ? PENDING_REFUSED : PENDING_DURABLE;
    drain(store);
    while (one.next || store->last == &one) /* an older batch has not been woken yet */
        (void)pthread_cond_wait(&store->moved, &store->lock);
    return rc;
}

enum err_code series_append(struct series_store *store, const struct series_batch *batch,
                            struct series_result *out_result, struct err *err)
{
    struct series_result result = { 0 };
    struct buf record;
    size_t skip = 0;
    if (batch->count > SERIES_BATCH_MAX)
        return err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", SERIES_BATCH_MAX), ARG_END);
    buf_init(&record, WAL_RECORD_MAX);
    (void)pthread_mutex_lock(&store->lock);
    struct err heal;
    if (series_heal(store, &heal))
        store->incomplete = true; /* still no memory: the log takes it all the same */
    enum err_code rc = sender_begin(store, batch, &skip, &result, err);
    if (!rc) {
        const size_t name_count = store->name_count;
        result.repeated = skip;
        (void)pthread_mutex_unlock(&store->lock);
        if (skip < steps_of(batch)) {
            encode(&record, batch, skip, clock_now(store->clock), name_count, &result);
            rc = buf_check(&record, err);
        }
        (void)pthread_mutex_lock(&store->lock);
        if (!rc && skip < steps_of(batch))
            rc = through_log(store, &record, &result, err);
        sender_end(store, batch);
        store->refused += rc ? 0 : result.refused;
    }
    (void)pthread_mutex_unlock(&store->lock);
    buf_done(&record);
    if (!rc && out_result)
        *out_result = result;
    return rc ? err_in(err, "series.append") : ERR_OK;
}

void series_stats_get(struct series_store *store, struct series_stats *out)
{
    (void)pthread_rwlock_rdlock(&store->blocks_lock);
    (void)pthread_mutex_lock(&store->lock);
    *out = (struct series_stats) {
        .series = store->name_count,
        .blocks = store->block_count,
        .head_bytes = store->head->bytes + (store->flushing ? store->flushing->bytes : 0),
        .samples_appended = store->appended,
        .samples_duplicate = store->duplicate,
        .samples_refused = store->refused,
        .log_bytes = wal_bytes(store->wal),
    };
    for (size_t i = 0; i < store->block_count; i++)
        out->block_bytes += store->blocks[i].bytes;
    (void)pthread_mutex_unlock(&store->lock);
    (void)pthread_rwlock_unlock(&store->blocks_lock);
}
