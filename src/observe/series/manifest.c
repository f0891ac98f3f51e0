/* manifest.c - the one small file that says which block files count and from where the log counts.
 *
 *     "BHSM0001" | from | next number | counts of blocks, senders, names
 *     blocks: day, number | senders: node, epoch, acknowledged | names: id, length, text | u32 crc
 * All numbers are u64.  It is replaced whole, so that a flush, a merge or a drop happens at one instant. */
#include "base/crc.h"
#include "base/endian.h"
#include "base/log.h"
#include "observe/series/store.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MANIFEST_MAX ((size_t)4 << 30)

void block_path(const struct series_store *store, int64_t day, int64_t number, char out[600])
{
    int64_t year;
    int month, in_month;
    civil_from_days(day, &year, &month, &in_month);
    (void)snprintf(out, 600, "%s/%04d%02d%02d-%08" PRId64 ".blk", store->dir, (int)year, month, in_month,
                   number);
}

static void put(struct buf *buf, uint64_t n)
{
    char bytes[8];
    put_u64(bytes, n);
    buf_add(buf, bytes, 8);
}

enum err_code manifest_write(struct series_store *store, const struct block *blocks, size_t count,
                             uint64_t from, struct err *err)
{
    char path[600], crc[4];
    struct buf buf;
    buf_init(&buf, MANIFEST_MAX);
    buf_text(&buf, "BHSM0001");
    (void)pthread_mutex_lock(&store->lock);
    size_t names = 0;
    for (size_t i = 1; i <= store->name_count; i++)
        names += store->names[i] != NULL;
    put(&buf, from);
    put(&buf, (uint64_t)store->next_number);
    put(&buf, count);
    put(&buf, store->sender_count);
    put(&buf, names);
    for (size_t i = 0; i < count; i++) {
        put(&buf, (uint64_t)blocks[i].day);
        put(&buf, (uint64_t)blocks[i].number);
    }
    for (size_t i = 0; i < store->sender_count; i++) {
        put(&buf, (uint64_t)store->senders[i].node);
        put(&buf, (uint64_t)store->senders[i].epoch);
        put(&buf, store->senders[i].acknowledged);
    }
    for (size_t i = 1; i <= store->name_count; i++) {
        const struct name *name = store->names[i];
        if (!name)
            continue;
        put(&buf, i);
        put(&buf, name->len);
        buf_add(&buf, name->text, name->len);
    }
    (void)pthread_mutex_unlock(&store->lock);
    put_u32(crc, crc32c(0, buf.ptr, buf.len));
    buf_add(&buf, crc, 4);
    (void)snprintf(path, sizeof path, "%s/manifest", store->dir);
    enum err_code rc = buf_check(&buf, err);
    if (!rc)
        rc = disk_replace(store->disk, path, buf.ptr, buf.len, err);
    buf_done(&buf);
    return rc;
}

struct taker {
    const char *at, *end;
    bool bad;
};

static uint64_t take(struct taker *taker)
{
    if (taker->end - taker->at < 8) {
        taker->bad = true;
        return 0;
    }
    taker->at += 8;
    return get_u64(taker->at - 8);
}

static enum err_code take_all(struct series_store *store, struct taker *taker, struct err *err)
{
    char path[600];
    enum err_code rc = ERR_OK;
    store->from = take(taker);
    store->next_number = (int64_t)take(taker);
    const uint64_t blocks = take(taker), senders = take(taker), names = take(taker);
    if (taker->bad || blocks > (uint64_t)(taker->end - taker->at) / 16)
        return ERR_OK;
    store->blocks = mem_alloc(blocks ? blocks : 1, sizeof *store->blocks);
    if (!store->blocks)
        return err_nomem(err);
    for (uint64_t i = 0; !rc && i < blocks; i++) {
        const int64_t day = (int64_t)take(taker), number = (int64_t)take(taker);
        struct block *block = &store->blocks[store->block_count];
        block_path(store, day, number, path);
        rc = block_open(store->disk, path, block, err);
        if (rc)
            break;
        block->number = number;
        store->block_count++;
    }
    for (uint64_t i = 0; !rc && i < senders && !taker->bad; i++) {
        struct sender *sender;
        const int64_t node = (int64_t)take(taker), epoch = (int64_t)take(taker);
        const uint64_t acknowledged = take(taker);
        rc = series_sender_put(store, node, &sender, err);
        if (!rc) {
            sender->epoch = epoch;
            sender->acknowledged = acknowledged;
        }
    }
    for (uint64_t i = 0; !rc && i < names && !taker->bad; i++) {
        const uint64_t id = take(taker), len = take(taker);
        if (taker->bad || len > (uint64_t)(taker->end - taker->at)) {
            taker->bad = true;
            break;
        }
        rc = series_name_put(store, (int64_t)id, taker->at, len, true, err);
        taker->at += len;
    }
    taker->bad |= !rc && taker->at != taker->end;
    return rc;
}

enum err_code manifest_read(struct series_store *store, struct err *err)
{
    char path[600];
    struct buf buf;
    buf_init(&buf, MANIFEST_MAX);
    (void)snprintf(path, sizeof path, "%s/manifest", store->dir);
    enum err_code rc = buf_read_file(&buf, path, err);
    if (rc == ERR_NOT_FOUND) { /* a new store: all there is stands in the log */
        store->from = wal_begin(store->wal);
        buf_done(&buf);
        return ERR_OK;
    }
    if (!rc) {
        struct taker taker = { buf.ptr + 8, buf.ptr + buf.len - 4, false };
        if (buf.len < 12 || memcmp(buf.ptr, "BHSM0001", 8) != 0 ||
            crc32c(0, buf.ptr, buf.len - 4) != get_u32(buf.ptr + buf.len - 4))
            taker.bad = true;
        else
            rc = take_all(store, &taker, err);
        if (!rc && taker.bad)
            rc = err_set(err, ERR_CORRUPT, "series.corrupt", ARG_TEXT("path", path), ARG_INT("at", 0),
                         ARG_END);
    }
    buf_done(&buf);
    return rc;
}

void manifest_sweep(struct series_store *store)
{
    DIR *dir = opendir(store->dir);
    char path[600], full[900];
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const size_t len = strlen(entry->d_name);
        bool named = false;
        if (len < 5 || strcmp(entry->d_name + len - 4, ".blk") != 0)
            continue;
        (void)snprintf(full, sizeof full, "%s/%s", store->dir, entry->d_name);
        for (size_t i = 0; i < store->block_count && !named; i++) {
            block_path(store, store->blocks[i].day, store->blocks[i].number, path);
            named = strcmp(path, full) == 0;
        }
        struct err err;
        if (!named && disk_unlink(store->disk, full, &err))
            log_line(LOG_DEBUG, "series.sweep", "cannot unlink %s", full);
    }
    if (dir)
        (void)closedir(dir);
}
