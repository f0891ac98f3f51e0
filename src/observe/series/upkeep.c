/* upkeep.c - from the head into block files, merging the files of a day, dropping old days, backup.
 *
 * A flush: 1. appending pauses until the queue is empty, then the heads change places and the log's end is
 * noted; 2. the old head is written as one file a day; 3. a new manifest names them and says that the log
 * counts from that end; 4. the old head goes, the log is cut.  A failure before 3 leaves everything as it
 * was: the old head stays readable as `flushing` and the next flush begins at 2. */
#include "observe/series/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- one series of one day, sorted, the first of each instant ---- */

struct samples {
    struct series_sample *items;
    size_t count, room;
};

static enum err_code samples_add(struct samples *list, const struct series_sample *sample, struct err *err)
{
    if (list->count == list->room) {
        const size_t room = list->room ? list->room * 2 : 256;
        struct series_sample *grown = mem_realloc(list->items, room * sizeof *grown);
        if (!grown)
            return err_nomem(err);
        list->items = grown;
        list->room = room;
    }
    list->items[list->count++] = *sample;
    return ERR_OK;
}

/* `id` is free here: it carries the order of arrival, so that the sort can put the first one first. */
static int by_instant_then_order(const void *a, const void *b)
{
    const struct series_sample *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Adds all of a reader with `order`. */
static enum err_code samples_take(struct samples *list, struct chunk_reader *reader, int64_t order,
                                  struct err *err)
{
    struct series_sample sample;
    enum err_code rc = ERR_OK;
    while (!rc && chunk_next(reader, &sample)) {
        sample.id = order;
        rc = samples_add(list, &sample, err);
    }
    if (!rc && reader->damaged)
        rc =
            err_set(err, ERR_CORRUPT, "series.corrupt", ARG_TEXT("path", "chunk"), ARG_INT("at", 0), ARG_END);
    return rc;
}

/* Sorts, drops repeated instants, writes the rest as one chunk. */
static enum err_code samples_write(struct samples *list, int64_t id, struct block_writer *writer,
                                   struct err *err)
{
    struct chunk chunk = { 0 };
    enum err_code rc = ERR_OK;
    if (list->count)
        qsort(list->items, list->count, sizeof *list->items, by_instant_then_order);
    for (size_t i = 0; !rc && i < list->count; i++)
        if (i == 0 || list->items[i].at_ms != list->items[i - 1].at_ms)
            rc = chunk_add(&chunk, &list->items[i], err);
    if (!rc && chunk.count)
        rc = block_write(writer, id, &chunk, err);
    chunk_done(&chunk);
    list->count = 0;
    return rc;
}

/* ---- flush ---- */

static enum err_code write_series(const struct head_series *series, int64_t id, int64_t day,
                                  struct samples *list, struct block_writer *writer, struct err *err)
{
    const struct chunk *only = NULL;
    size_t late_from = 0, late_to;
    for (size_t i = 0; i < series->chunk_count; i++)
        if (day_of(series->chunks[i].first_at) == day)
            only = &series->chunks[i];
    while (late_from < series->late_count && day_of(series->late[late_from].at_ms) < day)
        late_from++;
    late_to = late_from;
    while (late_to < series->late_count && day_of(series->late[late_to].at_ms) == day)
        late_to++;
    if (late_from == late_to)
        return only ? block_write(writer, id, only, err) : ERR_OK;
    enum err_code rc = ERR_OK;
    if (only) {
        struct chunk_reader reader;
        chunk_read(&reader, only->bytes, chunk_len(only), only->count);
        rc = samples_take(list, &reader, 0, err);
    }
    for (size_t i = late_from; !rc && i < late_to; i++) {
        rc = samples_add(list, &series->late[i], err);
        if (!rc && list->count)
            list->items[list->count - 1].id = 1;
    }
    return rc ? rc : samples_write(list, id, writer, err);
}

/* A file for one day of the head; opened as *out_block. */
static enum err_code write_day(struct series_store *store, const struct head *head, int64_t day,
                               int64_t number, struct block *out_block, struct err *err)
{
    char path[600];
    struct block_writer *writer;
    struct samples list = { 0 };
    block_path(store, day, number, path);
    enum err_code rc = block_writer_new(store->disk, path, day, &writer, err);
    if (rc)
        return rc;
    for (size_t id = 1; !rc && id < head->room; id++)
        if (head->by_id[id])
            rc = write_series(head->by_id[id], (int64_t)id, day, &list, writer, err);
    if (!rc)
        rc = block_finish(writer, err);
    block_writer_free(writer);
    mem_free(list.items);
    if (!rc)
        rc = block_open(store->disk, path, out_block, err);
    if (!rc)
        out_block->number = number;
    return rc;
}

struct days {
    int64_t items[64];
    size_t count;
};

static void days_add(struct days *days, int64_t day)
{
    for (size_t i = 0; i < days->count; i++)
        if (days->items[i] == day)
            return;
    if (days->count < sizeof days->items / sizeof *days->items)
        days->items[days->count++] = day;
}

/* The days in a head: at most 7 days of late samples and one ahead when it filled, and as long as it took. */
static void days_of(const struct head *head, struct days *days)
{
    days->count = 0;
    for (size_t id = 1; id < head->room; id++) {
        const struct head_series *series = head->by_id[id];
        for (size_t i = 0; series && i < series->chunk_count; i++)
            days_add(days, day_of(series->chunks[i].first_at));
        for (size_t i = 0; series && i < series->late_count; i++)
            days_add(days, day_of(series->late[i].at_ms));
    }
}

static int by_day(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Makes `list` (owned, taken on success) the list of blocks, durably. */
static enum err_code publish(struct series_store *store, struct block *list, size_t count, uint64_t from,
                             struct err *err)
{
    qsort(list, count, sizeof *list, by_day);
    const enum err_code rc = manifest_write(store, list, count, from, err);
    if (rc)
        return rc;
    (void)pthread_rwlock_wrlock(&store->blocks_lock);
    mem_free(store->blocks);
    store->blocks = list;
    store->block_count = count;
    (void)pthread_mutex_lock(&store->lock);
    if (from != store->from) {
        store->from = from;
        head_free(store->flushing);
        store->flushing = NULL;
    }
    (void)pthread_mutex_unlock(&store->lock);
    (void)pthread_rwlock_unlock(&store->blocks_lock);
    return ERR_OK;
}

/* Step 1. */
static enum err_code swap_heads(struct series_store *store, struct err *err)
{
    enum err_code rc = ERR_OK;
    (void)pthread_mutex_lock(&store->lock);
    store->swapping = true;
    while (store->first)
        (void)pthread_cond_wait(&store->moved, &store->lock);
    rc = series_heal(store, err);
    if (!rc && store->head->samples) {
        const uint64_t end = wal_end(store->wal);
        struct head *fresh = head_new(end);
        if (fresh) {
            store->flushing = store->head;
            store->flushing_end = end;
            store->head = fresh;
        } else {
            rc = err_nomem(err);
        }
    }
    store->swapping = false;
    (void)pthread_cond_broadcast(&store->moved);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

static void unlink_block(struct series_store *store, int64_t day, int64_t number)
{
    char path[600];
    struct err ignored;
    block_path(store, day, number, path);
    if (disk_unlink(store->disk, path, &ignored))
        ignored.code = ERR_OK; /* no manifest names it: the next start sweeps it */
}

static enum err_code flush_held(struct series_store *store, struct err *err)
{
    struct days days;
    enum err_code rc = store->flushing ? ERR_OK : swap_heads(store, err);
    if (rc || !store->flushing)
        return rc;
    days_of(store->flushing, &days);
    struct block *list = mem_alloc(store->block_count + days.count, sizeof *list);
    if (!list)
        return err_nomem(err);
    size_t count = store->block_count;
    if (count)
        memcpy(list, store->blocks, count * sizeof *list);
    for (size_t i = 0; !rc && i < days.count; i++) {
        rc = write_day(store, store->flushing, days.items[i], store->next_number, &list[count], err);
        store->next_number++;
        count += rc == ERR_OK;
    }
    if (!rc)
        rc = disk_sync_dir(store->disk, store->dir, err);
    const uint64_t from = store->flushing_end;
    if (!rc)
        rc = publish(store, list, count, from, err);
    if (rc) {
        for (size_t i = store->block_count; i < count; i++) {
            const int64_t day = list[i].day, number = list[i].number;
            block_close(&list[i]);
            unlink_block(store, day, number);
        }
        mem_free(list);
        return rc;
    }
    return wal_trim(store->wal, from, err);
}

enum err_code series_flush(struct series_store *store, struct err *err)
{
    (void)pthread_mutex_lock(&store->upkeep);
    enum err_code rc = flush_held(store, err);
    (void)pthread_mutex_unlock(&store->upkeep);
    return rc ? err_in(err, "series.flush") : ERR_OK;
}

/* ---- merging and dropping ---- */

/* Writes blocks [first, first + parts) of a day as one file, opened as *out. */
static enum err_code merge_write(struct series_store *store, size_t first, size_t parts, struct block *out,
                                 struct err *err)
{
    char path[600];
    struct block_writer *writer = NULL;
    struct samples list = { 0 };
    struct block *blocks = store->blocks + first;
    const int64_t day = blocks->day, number = store->next_number++;
    size_t *at = mem_alloc(parts, sizeof *at);
    if (!at)
        return err_nomem(err);
    block_path(store, day, number, path);
    enum err_code rc = block_writer_new(store->disk, path, day, &writer, err);
    while (!rc) {
        struct block_entry entry;
        int64_t id = INT64_MAX;
        for (size_t i = 0; !rc && i < parts; i++)
            if (at[i] < blocks[i].entry_count) {
                rc = block_entry(&blocks[i], at[i], &entry, err);
                if (!rc && entry.id < id)
                    id = entry.id;
            }
        if (rc || id == INT64_MAX)
            break;
        for (size_t i = 0; !rc && i < parts; i++) {
            struct chunk_reader reader;
            if (at[i] == blocks[i].entry_count)
                continue;
            rc = block_entry(&blocks[i], at[i], &entry, err);
            if (rc || entry.id != id)
                continue;
            rc = block_read(&blocks[i], &entry, &reader, err);
            if (!rc)
                rc = samples_take(&list, &reader, (int64_t)i, err);
            at[i]++;
        }
        if (!rc)
            rc = samples_write(&list, id, writer, err);
    }
    if (!rc)
        rc = block_finish(writer, err);
    block_writer_free(writer);
    if (!rc)
        rc = disk_sync_dir(store->disk, store->dir, err);
    if (!rc)
        rc = block_open(store->disk, path, out, err);
    if (!rc)
        out->number = number;
    mem_free(list.items);
    mem_free(at);
    return rc;
}

/* Replaces blocks [first, first + parts) by `instead` (NULL = by nothing). */
static enum err_code replace(struct series_store *store, size_t first, size_t parts, struct block *instead,
                             struct err *err)
{
    const size_t count = store->block_count - parts + (instead != NULL);
    struct block *list = mem_alloc(count ? count : 1, sizeof *list);
    struct block *old = mem_alloc(parts, sizeof *old);
    enum err_code rc = list && old ? ERR_OK : err_nomem(err);
    if (!rc) {
        memcpy(list, store->blocks, first * sizeof *list);
        memcpy(old, store->blocks + first, parts * sizeof *old);
        memcpy(list + first, store->blocks + first + parts,
               (store->block_count - first - parts) * sizeof *list);
        if (instead)
            list[count - 1] = *instead;
        rc = publish(store, list, count, store->from, err);
    }
    if (rc)
        mem_free(list);
    for (size_t i = 0; !rc && i < parts; i++) {
        /* publish() has waited for every reader of the old list */
        block_close(&old[i]);
        unlink_block(store, old[i].day, old[i].number);
    }
    mem_free(old);
    return rc;
}

static enum err_code merge_held(struct series_store *store, struct err *err)
{
    const int64_t today = day_of(clock_now(store->clock));
    for (size_t i = 0; i < store->block_count;) {
        size_t parts = 1;
        while (i + parts < store->block_count && store->blocks[i + parts].day == store->blocks[i].day)
            parts++;
        if (parts > 1 && (store->blocks[i].day < today - 1 || parts > 32)) {
            struct block merged = { 0 };
            enum err_code rc = merge_write(store, i, parts, &merged, err);
            if (!rc)
                rc = replace(store, i, parts, &merged, err);
            if (rc) {
                const bool written = merged.map != NULL;
                block_close(&merged);
                if (written)
                    unlink_block(store, merged.day, merged.number);
                return rc;
            }
            i = 0;
        } else {
            i += parts;
        }
    }
    return ERR_OK;
}

static enum err_code drop_held(struct series_store *store, int64_t day, struct err *err)
{
    size_t parts = 0;
    while (parts < store->block_count && store->blocks[parts].day < day)
        parts++;
    return parts ? replace(store, 0, parts, NULL, err) : ERR_OK;
}

enum err_code series_drop_before(struct series_store *store, int64_t before_ms, struct err *err)
{
    (void)pthread_mutex_lock(&store->upkeep);
    const enum err_code rc = drop_held(store, day_of(before_ms), err);
    (void)pthread_mutex_unlock(&store->upkeep);
    return rc ? err_in(err, "series.drop") : ERR_OK;
}

enum err_code series_maintain(struct series_store *store, struct err *err)
{
    (void)pthread_mutex_lock(&store->upkeep);
    (void)pthread_mutex_lock(&store->lock);
    const bool due =
        store->flushing || store->incomplete || store->head->bytes > store->head_bytes_max ||
        (store->head->samples && clock_mono(store->clock) - store->head->since_ms >= store->head_age_ms);
    (void)pthread_mutex_unlock(&store->lock);
    enum err_code rc = due ? flush_held(store, err) : ERR_OK;
    if (!rc)
        rc = drop_held(store, day_of(clock_now(store->clock)) - store->retention_days, err);
    if (!rc)
        rc = merge_held(store, err);
    (void)pthread_mutex_unlock(&store->upkeep);
    return rc ? err_in(err, "series.maintain") : ERR_OK;
}

/* ---- backup ---- */

static enum err_code link_file(const char *from, const char *to, struct err *err)
{
    if (link(from, to))
        return err_set(err, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "file.write", ARG_TEXT("path", to),
                       ARG_ERRNO(errno), ARG_END);
    return ERR_OK;
}

enum err_code series_backup(struct series_store *store, const char *dir, struct err *err)
{
    char from[600], to[900];
    (void)pthread_mutex_lock(&store->upkeep);
    enum err_code rc = disk_mkdir(store->disk, dir, err);
    if (!rc)
        rc = flush_held(store, err); /* all that is durable now lies in blocks */
    for (size_t i = 0; !rc && i < store->block_count; i++) {
        block_path(store, store->blocks[i].day, store->blocks[i].number, from);
        (void)snprintf(to, sizeof to, "%s%s", dir, strrchr(from, '/'));
        rc = link_file(from, to, err);
    }
    if (!rc) {
        /* the copy has no log: it counts from 0 of a new one */
        char *home = store->dir;
        char *copy = mem_copy(dir, strlen(dir));
        if (copy) {
            (void)pthread_mutex_lock(&store->lock); /* nobody else reads `dir` without upkeep */
            store->dir = copy;
            (void)pthread_mutex_unlock(&store->lock);
            rc = manifest_write(store, store->blocks, store->block_count, 0, err);
            store->dir = home;
            mem_free(copy);
        } else {
            rc = err_nomem(err);
        }
    }
    (void)pthread_mutex_unlock(&store->upkeep);
    return rc ? err_in(err, "series.backup") : ERR_OK;
}
