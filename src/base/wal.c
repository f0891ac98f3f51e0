/* wal.c - see wal.h
 *
 * A segment is DIR/<16 hex digits of its first position>.wal: records one behind the other.
 *
 *     record:  u32 crc32c | u32 length | u64 position | payload | zeros up to a multiple of 8
 *
 * The checksum covers length, position and payload, so that neither a torn record nor an old one from a
 * reused block can pass.  Numbers are little-endian.
 *
 * A group is what gathers while the one before is being synced.  Its records get positions and checksums
 * by the leader, just before they are written: a group that failed has used up no position. */
#include "base/wal.h"
#include "base/crc.h"
#include "base/endian.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADER 16u
#define PATH_MAX_LEN 600
#define SEGMENT_DEFAULT ((size_t)64 << 20)
#define CURSOR_SLOT 512

struct group {
    struct buf bytes; /* records with empty checksums and positions */
    int refs;         /* tickets and the log itself */
    bool done;
    struct err failure; /* code ERR_OK = on the disk */
    uint64_t end;
};

/* A ticket is the group itself; the public type only keeps callers from looking inside. */
struct wal_ticket {
    struct group group;
};

struct segment {
    uint64_t first, end; /* positions; end of the newest is wal->end */
};

struct wal {
    struct disk *disk;
    char *dir;
    size_t segment_bytes, pending_max;
    pthread_mutex_t lock;
    pthread_cond_t turned; /* a group is done, or the leader's place is free */
    struct wal_ticket *pending;
    bool writing;           /* some waiter is the leader */
    bool damaged;           /* the newest segment could not be cut back; try again before writing */
    struct disk_file *file; /* the newest segment, or NULL; only the leader touches it */
    struct segment *segments;
    size_t segment_count, segment_room;
    uint64_t end; /* durable */
};

struct wal_reader {
    struct wal *wal;
    uint64_t at;
    struct disk_file *file;
    uint64_t first, end; /* of the segment that is open; end may grow while it is the newest */
    struct buf bytes;    /* a window of the segment */
    uint64_t window;     /* position of its first byte */
};

static enum err_code recover(struct wal *wal, struct err *err);
static enum err_code lead(struct wal *wal, struct wal_ticket *ticket, struct err *err);

static void path_of(const struct wal *wal, uint64_t first, char out[PATH_MAX_LEN])
{
    (void)snprintf(out, PATH_MAX_LEN, "%s/%016" PRIx64 ".wal", wal->dir, first);
}

static size_t padded(size_t len)
{
    return (HEADER + len + 7) & ~(size_t)7;
}

enum err_code wal_open(const struct wal_config *config, struct wal **out_wal, struct err *err)
{
    struct wal *wal = mem_alloc(1, sizeof *wal);
    if (!wal)
        return err_nomem(err);
    wal->disk = config->disk;
    wal->segment_bytes = config->segment_bytes ? config->segment_bytes : SEGMENT_DEFAULT;
    wal->pending_max = config->pending_max ? config->pending_max : SEGMENT_DEFAULT;
    (void)pthread_mutex_init(&wal->lock, NULL);
    (void)pthread_cond_init(&wal->turned, NULL);
    wal->dir = mem_copy(config->dir, strlen(config->dir));
    enum err_code rc = wal->dir ? ERR_OK : err_nomem(err);
    if (!rc && strlen(wal->dir) > PATH_MAX_LEN - 64)
        rc = err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", PATH_MAX_LEN - 64), ARG_END);
    if (!rc)
        rc = recover(wal, err);
    if (rc) {
        wal_close(wal);
        return err_in(err, "wal.open");
    }
    *out_wal = wal;
    return ERR_OK;
}

static void ticket_drop(struct wal_ticket *ticket)
{
    if (ticket && --ticket->group.refs == 0) {
        buf_done(&ticket->group.bytes);
        mem_free(ticket);
    }
}

void wal_close(struct wal *wal)
{
    if (!wal)
        return;
    if (wal->pending) {
        struct err ignored;
        if (wal_flush(wal, &ignored)) /* nobody waits any more; who needed to know has waited */
            ignored.code = ERR_OK;
    }
    disk_close(wal->file);
    ticket_drop(wal->pending);
    mem_free(wal->segments);
    mem_free(wal->dir);
    (void)pthread_cond_destroy(&wal->turned);
    (void)pthread_mutex_destroy(&wal->lock);
    mem_free(wal);
}

/* ---- writing ---- */

enum err_code wal_add(struct wal *wal, const void *bytes, size_t len, struct wal_ticket **out_ticket,
                      struct err *err)
{
    if (len == 0 || len > WAL_RECORD_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", WAL_RECORD_MAX), ARG_END);
    (void)pthread_mutex_lock(&wal->lock);
    enum err_code rc = ERR_OK;
    struct wal_ticket *ticket = wal->pending;
    if (!ticket) {
        ticket = mem_alloc(1, sizeof *ticket);
        if (!ticket) {
            rc = err_nomem(err);
            goto out;
        }
        /* one record more than pending_max always fits, so that a large one is not refused for ever */
        buf_init(&ticket->group.bytes, wal->pending_max + padded(WAL_RECORD_MAX));
        ticket->group.refs = 1;
    }
    struct buf *buf = &ticket->group.bytes;
    const size_t whole = padded(len);
    if (buf->len > wal->pending_max) {
        rc = err_set(err, ERR_BUSY, "wal.busy", ARG_END);
        goto out;
    }
    char *room = buf_room(buf, whole);
    if (!room) {
        rc = err_nomem(err);
        buf->failed = ERR_OK; /* what is in it stays good */
        if (!wal->pending)
            ticket_drop(ticket);
        goto out;
    }
    memset(room, 0, HEADER);
    put_u32(room + 4, (uint32_t)len);
    memcpy(room + HEADER, bytes, len);
    memset(room + HEADER + len, 0, whole - HEADER - len);
    buf->len += whole;
    ticket->group.refs++;
    wal->pending = ticket;
    *out_ticket = ticket;
out:
    (void)pthread_mutex_unlock(&wal->lock);
    return rc;
}

/* With the lock held: until the group is done, be the leader or wait for him. */
static enum err_code wait_locked(struct wal *wal, struct wal_ticket *ticket, struct err *err)
{
    while (!ticket->group.done) {
        if (wal->writing) {
            (void)pthread_cond_wait(&wal->turned, &wal->lock);
            continue;
        }
        assert(wal->pending == ticket); /* an older group would be done, a newer one cannot be */
        wal->pending = NULL;
        wal->writing = true;
        (void)pthread_mutex_unlock(&wal->lock);
        struct err failure = { 0 };
        failure.code = lead(wal, ticket, &failure);
        (void)pthread_mutex_lock(&wal->lock);
        ticket->group.failure = failure;
        ticket->group.end = wal->end;
        ticket->group.done = true;
        wal->writing = false;
        ticket->group.refs--; /* the log's own; ours is still there */
        (void)pthread_cond_broadcast(&wal->turned);
    }
    if (ticket->group.failure.code && err)
        *err = ticket->group.failure;
    return ticket->group.failure.code;
}

enum err_code wal_wait(struct wal *wal, struct wal_ticket *ticket, uint64_t *out_end, struct err *err)
{
    (void)pthread_mutex_lock(&wal->lock);
    const enum err_code rc = wait_locked(wal, ticket, err);
    if (!rc && out_end)
        *out_end = ticket->group.end;
    ticket_drop(ticket);
    (void)pthread_mutex_unlock(&wal->lock);
    return rc ? err_in(err, "wal.wait") : ERR_OK;
}

void wal_forget(struct wal *wal, struct wal_ticket *ticket)
{
    (void)pthread_mutex_lock(&wal->lock);
    ticket_drop(ticket);
    (void)pthread_mutex_unlock(&wal->lock);
}

enum err_code wal_append(struct wal *wal, const void *bytes, size_t len, struct err *err)
{
    struct wal_ticket *ticket;
    const enum err_code rc = wal_add(wal, bytes, len, &ticket, err);
    return rc ? rc : wal_wait(wal, ticket, NULL, err);
}

enum err_code wal_flush(struct wal *wal, struct err *err)
{
    enum err_code rc = ERR_OK;
    (void)pthread_mutex_lock(&wal->lock);
    struct wal_ticket *ticket = wal->pending;
    if (ticket) {
        ticket->group.refs++;
        rc = wait_locked(wal, ticket, err);
        ticket_drop(ticket);
    } else {
        while (wal->writing)
            (void)pthread_cond_wait(&wal->turned, &wal->lock);
    }
    (void)pthread_mutex_unlock(&wal->lock);
    return rc;
}

/* A new newest segment that begins at wal->end; its name is durable on return. */
static enum err_code segment_new(struct wal *wal, struct err *err)
{
    char path[PATH_MAX_LEN];
    if (wal->segment_count == wal->segment_room) {
        const size_t room = wal->segment_room ? wal->segment_room * 2 : 16;
        /* readers look at the list under the lock */
        (void)pthread_mutex_lock(&wal->lock);
        struct segment *grown = mem_realloc(wal->segments, room * sizeof *grown);
        if (grown) {
            wal->segments = grown;
            wal->segment_room = room;
        }
        (void)pthread_mutex_unlock(&wal->lock);
        if (!grown)
            return err_nomem(err);
    }
    struct disk_file *file = NULL;
    path_of(wal, wal->end, path);
    enum err_code rc = disk_open(wal->disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file, err);
    if (!rc)
        rc = disk_sync_dir(wal->disk, wal->dir, err);
    if (rc) {
        disk_close(file);
        return rc;
    }
    disk_close(wal->file);
    wal->file = file;
    (void)pthread_mutex_lock(&wal->lock);
    wal->segments[wal->segment_count++] = (struct segment) { wal->end, wal->end };
    (void)pthread_mutex_unlock(&wal->lock);
    return ERR_OK;
}

/* Writes and syncs one group; called without the lock, by one leader at a time. */
static enum err_code lead(struct wal *wal, struct wal_ticket *ticket, struct err *err)
{
    struct buf *bytes = &ticket->group.bytes;
    const struct segment *newest = wal->segment_count ? &wal->segments[wal->segment_count - 1] : NULL;
    enum err_code rc = ERR_OK;
    if (wal->damaged && newest) {
        rc = disk_truncate(wal->file, (int64_t)(wal->end - newest->first), err);
        if (rc)
            return rc;
        wal->damaged = false;
    }
    if (!newest || (wal->end - newest->first >= wal->segment_bytes)) {
        rc = segment_new(wal, err);
        if (rc)
            return rc;
        newest = &wal->segments[wal->segment_count - 1];
    }
    for (size_t at = 0; at < bytes->len;) {
        char *record = bytes->ptr + at;
        const size_t len = get_u32(record + 4);
        put_u64(record + 8, wal->end + at);
        put_u32(record, crc32c(0, record + 4, HEADER - 4 + len));
        at += padded(len);
    }
    rc = disk_write(wal->file, (int64_t)(wal->end - newest->first), bytes->ptr, bytes->len, err);
    if (!rc)
        rc = disk_sync(wal->file, err);
    if (rc) {
        struct err ignored;
        wal->damaged = disk_truncate(wal->file, (int64_t)(wal->end - newest->first), &ignored) != ERR_OK;
        return rc;
    }
    (void)pthread_mutex_lock(&wal->lock);
    wal->end += bytes->len;
    wal->segments[wal->segment_count - 1].end = wal->end;
    (void)pthread_mutex_unlock(&wal->lock);
    return ERR_OK;
}

/* ---- opening ---- */

static int by_first(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static enum err_code list_segments(struct wal *wal, struct err *err)
{
    DIR *dir = opendir(wal->dir);
    if (!dir)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", wal->dir), ARG_ERRNO(errno), ARG_END);
    enum err_code rc = ERR_OK;
    for (struct dirent *entry; !rc && (entry = readdir(dir));) {
        char *rest;
        if (strlen(entry->d_name) != 20 || strcmp(entry->d_name + 16, ".wal") != 0)
            continue;
        const uint64_t first = strtoull(entry->d_name, &rest, 16);
        if (rest != entry->d_name + 16)
            continue;
        if (wal->segment_count == wal->segment_room) {
            const size_t room = wal->segment_room ? wal->segment_room * 2 : 16;
            struct segment *grown = mem_realloc(wal->segments, room * sizeof *grown);
            if (!grown) {
                rc = err_nomem(err);
                break;
            }
            wal->segments = grown;
            wal->segment_room = room;
        }
        wal->segments[wal->segment_count++] = (struct segment) { first, first };
    }
    (void)closedir(dir);
    if (wal->segment_count)
        qsort(wal->segments, wal->segment_count, sizeof *wal->segments, by_first);
    return rc;
}

/* Reads exactly `len` bytes; ERR_CORRUPT past the end. */
static enum err_code read_all(struct disk_file *file, char *out, size_t len, uint64_t offset, struct err *err)
{
    size_t got = 0;
    const enum err_code rc = disk_read(file, (int64_t)offset, out, len, &got, err);
    if (!rc && got < len)
        return err_set(err, ERR_CORRUPT, "wal.corrupt", ARG_TEXT("path", ""), ARG_INT("at", (int64_t)offset),
                       ARG_END);
    return rc;
}

/* How many bytes of a segment are whole records; sets *out_size to the size of the file. */
static enum err_code scan_segment(struct disk_file *file, uint64_t first, uint64_t size, uint64_t *out_good,
                                  struct err *err)
{
    char head[HEADER];
    struct buf payload;
    buf_init(&payload, WAL_RECORD_MAX + HEADER + 16);
    uint64_t good = 0;
    enum err_code rc = ERR_OK;
    while (good + HEADER <= size) {
        rc = read_all(file, head, HEADER, good, err);
        const size_t len = get_u32(head + 4);
        if (rc || len == 0 || len > WAL_RECORD_MAX || get_u64(head + 8) != first + good ||
            good + padded(len) > size)
            break;
        buf_clear(&payload);
        char *room = buf_room(&payload, len);
        rc = room ? read_all(file, room, len, good + HEADER, err) : err_nomem(err);
        if (rc || crc32c(crc32c(0, head + 4, HEADER - 4), room, len) != get_u32(head))
            break;
        good += padded(len);
    }
    buf_done(&payload);
    *out_good = good;
    return rc;
}

/* Finds the segments, checks that they join, cuts the torn tail off the newest. */
static enum err_code recover(struct wal *wal, struct err *err)
{
    char path[PATH_MAX_LEN];
    enum err_code rc = disk_mkdir(wal->disk, wal->dir, err);
    if (!rc)
        rc = list_segments(wal, err);
    for (size_t i = 0; !rc && i < wal->segment_count; i++) {
        struct segment *segment = &wal->segments[i];
        const bool newest = i + 1 == wal->segment_count;
        uint64_t good = 0;
        int64_t size = 0;
        struct disk_file *file = NULL;
        path_of(wal, segment->first, path);
        rc = disk_open(wal->disk, path, DISK_WRITE, &file, err);
        if (!rc)
            rc = disk_size(file, &size, err);
        if (!rc && newest) {
            rc = scan_segment(file, segment->first, (uint64_t)size, &good, err);
            if (!rc && (uint64_t)size > good)
                rc = disk_truncate(file, (int64_t)good, err);
            if (!rc && (uint64_t)size > good)
                rc = disk_sync(file, err);
        } else if (!rc) {
            /* older segments are read when somebody wants them; here it counts that nothing is missing */
            good = wal->segments[i + 1].first - segment->first;
            if ((uint64_t)size < good)
                rc = err_set(err, ERR_CORRUPT, "wal.corrupt", ARG_TEXT("path", path), ARG_INT("at", size),
                             ARG_END);
        }
        segment->end = segment->first + good;
        if (!rc && newest) {
            wal->file = file;
            wal->end = segment->end;
        } else {
            disk_close(file);
        }
    }
    return rc;
}

/* ---- positions and trimming ---- */

uint64_t wal_begin(const struct wal *wal)
{
    struct wal *held = (struct wal *)(uintptr_t)wal; /* only its lock is changed */
    (void)pthread_mutex_lock(&held->lock);
    const uint64_t begin = wal->segment_count ? wal->segments[0].first : wal->end;
    (void)pthread_mutex_unlock(&held->lock);
    return begin;
}

uint64_t wal_end(struct wal *wal)
{
    (void)pthread_mutex_lock(&wal->lock);
    const uint64_t end = wal->end;
    (void)pthread_mutex_unlock(&wal->lock);
    return end;
}

uint64_t wal_bytes(struct wal *wal)
{
    return wal_end(wal) - wal_begin(wal);
}

enum err_code wal_trim(struct wal *wal, uint64_t position, struct err *err)
{
    char path[PATH_MAX_LEN];
    for (;;) {
        (void)pthread_mutex_lock(&wal->lock);
        /* the newest stays: its name is what tells the next start where we are */
        const bool any = wal->segment_count > 1 && wal->segments[0].end <= position;
        const uint64_t first = any ? wal->segments[0].first : 0;
        if (any && !wal->writing)
            memmove(wal->segments, wal->segments + 1, --wal->segment_count * sizeof *wal->segments);
        else if (any)
            (void)pthread_cond_wait(&wal->turned, &wal->lock);
        const bool again = any && wal->segment_count && wal->segments[0].first == first;
        (void)pthread_mutex_unlock(&wal->lock);
        if (!any)
            return ERR_OK;
        if (again)
            continue;
        path_of(wal, first, path);
        const enum err_code rc = disk_unlink(wal->disk, path, err);
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
    }
}

/* ---- reading ---- */

enum err_code wal_reader_new(struct wal *wal, uint64_t position, struct wal_reader **out_reader,
                             struct err *err)
{
    struct wal_reader *reader = mem_alloc(1, sizeof *reader);
    if (!reader)
        return err_nomem(err);
    reader->wal = wal;
    reader->at = position;
    buf_init(&reader->bytes, WAL_RECORD_MAX + HEADER + 16);
    *out_reader = reader;
    return ERR_OK;
}

void wal_reader_free(struct wal_reader *reader)
{
    if (!reader)
        return;
    disk_close(reader->file);
    buf_done(&reader->bytes);
    mem_free(reader);
}

uint64_t wal_reader_at(const struct wal_reader *reader)
{
    return reader->at;
}

/* Opens the segment that holds reader->at; ERR_NOT_FOUND at the end. */
static enum err_code reader_segment(struct wal_reader *reader, struct err *err)
{
    struct wal *wal = reader->wal;
    struct segment found = { 0, 0 };
    bool any = false;
    (void)pthread_mutex_lock(&wal->lock);
    if (wal->segment_count && reader->at < wal->segments[0].first)
        reader->at = wal->segments[0].first; /* trimmed away meanwhile */
    for (size_t i = 0; i < wal->segment_count && !any; i++) {
        found = wal->segments[i];
        any = reader->at >= found.first && reader->at < found.end;
    }
    (void)pthread_mutex_unlock(&wal->lock);
    if (!any)
        return ERR_NOT_FOUND;
    if (!reader->file || reader->first != found.first) {
        char path[PATH_MAX_LEN];
        path_of(wal, found.first, path);
        disk_close(reader->file);
        reader->file = NULL;
        const enum err_code rc = disk_open(wal->disk, path, DISK_READ, &reader->file, err);
        if (rc)
            return rc == ERR_NOT_FOUND ? err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_END)
                                       : rc;
        reader->first = found.first;
        buf_clear(&reader->bytes);
        reader->window = reader->at;
    }
    reader->end = found.end;
    return ERR_OK;
}

/* At least `need` bytes from reader->at in the window (within fd_end). */
static enum err_code reader_fill(struct wal_reader *reader, size_t need, struct err *err)
{
    const size_t window_max = 256 * 1024;
    if (reader->at >= reader->window && reader->at + need <= reader->window + reader->bytes.len)
        return ERR_OK;
    if (reader->at + need > reader->end)
        return err_set(err, ERR_CORRUPT, "wal.corrupt", ARG_TEXT("path", reader->wal->dir),
                       ARG_INT("at", (int64_t)reader->at), ARG_END);
    const uint64_t left = reader->end - reader->at;
    const size_t want = need > window_max ? need : left < window_max ? (size_t)left : window_max;
    buf_clear(&reader->bytes);
    reader->window = reader->at;
    char *room = buf_room(&reader->bytes, want);
    if (!room)
        return err_nomem(err);
    const enum err_code rc = read_all(reader->file, room, want, reader->at - reader->first, err);
    if (!rc)
        reader->bytes.len = want;
    return rc;
}

enum err_code wal_next(struct wal_reader *reader, struct str *out_bytes, struct err *err)
{
    if (!reader->file || reader->at < reader->first || reader->at >= reader->end) {
        const enum err_code rc = reader_segment(reader, err);
        if (rc)
            return rc;
    }
    enum err_code rc = reader_fill(reader, HEADER, err);
    if (rc)
        return rc;
    const char *head = reader->bytes.ptr + (reader->at - reader->window);
    const size_t len = get_u32(head + 4);
    bool good = len > 0 && len <= WAL_RECORD_MAX && get_u64(head + 8) == reader->at;
    if (good) {
        rc = reader_fill(reader, padded(len), err);
        if (rc)
            return rc;
        head = reader->bytes.ptr + (reader->at - reader->window);
        good = crc32c(0, head + 4, HEADER - 4 + len) == get_u32(head);
    }
    if (!good)
        return err_set(err, ERR_CORRUPT, "wal.corrupt", ARG_TEXT("path", reader->wal->dir),
                       ARG_INT("at", (int64_t)reader->at), ARG_END);
    *out_bytes = (struct str) { head + HEADER, len };
    reader->at += padded(len);
    return ERR_OK;
}

/* ---- cursors: two slots of u32 crc | u32 0 | u64 serial | u64 position, written in turn ---- */

static enum err_code cursor_path(struct wal *wal, const char *name, char out[PATH_MAX_LEN], struct err *err)
{
    if (strlen(name) > 40 || strchr(name, '/'))
        return err_set(err, ERR_INVALID, "base.too_long", ARG_INT("max", 40), ARG_END);
    (void)snprintf(out, PATH_MAX_LEN, "%s/%s.cursor", wal->dir, name);
    return ERR_OK;
}

/* The newest good slot: its index, or -1. */
static int cursor_read(struct disk_file *file, uint64_t *out_serial, uint64_t *out_position)
{
    int best = -1;
    *out_serial = 0;
    for (int i = 0; i < 2; i++) {
        char slot[24];
        struct err ignored;
        if (read_all(file, slot, sizeof slot, (uint64_t)i * CURSOR_SLOT, &ignored))
            continue;
        const uint64_t serial = get_u64(slot + 8);
        if (crc32c(0, slot + 8, 16) != get_u32(slot) || (best >= 0 && serial < *out_serial))
            continue;
        best = i;
        *out_serial = serial;
        *out_position = get_u64(slot + 16);
    }
    return best;
}

enum err_code wal_cursor_get(struct wal *wal, const char *name, uint64_t *out_position, struct err *err)
{
    char path[PATH_MAX_LEN];
    uint64_t serial, position = 0;
    int slot = -1;
    struct disk_file *file = NULL;
    enum err_code rc = cursor_path(wal, name, path, err);
    if (!rc)
        rc = disk_open(wal->disk, path, DISK_READ, &file, err);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    if (file)
        slot = cursor_read(file, &serial, &position);
    disk_close(file);
    const uint64_t begin = wal_begin(wal);
    *out_position = slot < 0 || position < begin ? begin : position;
    return ERR_OK;
}

enum err_code wal_cursor_set(struct wal *wal, const char *name, uint64_t position, struct err *err)
{
    char path[PATH_MAX_LEN], bytes[24] = { 0 };
    uint64_t serial = 0, old;
    int64_t size = 0;
    struct disk_file *file = NULL;
    enum err_code rc = cursor_path(wal, name, path, err);
    if (!rc)
        rc = disk_open(wal->disk, path, DISK_WRITE | DISK_CREATE, &file, err);
    if (!rc)
        rc = disk_size(file, &size, err);
    if (rc)
        goto out;
    const int slot = cursor_read(file, &serial, &old);
    put_u64(bytes + 8, serial + 1);
    put_u64(bytes + 16, position);
    put_u32(bytes, crc32c(0, bytes + 8, 16));
    rc = disk_write(file, slot == 0 ? CURSOR_SLOT : 0, bytes, sizeof bytes, err);
    if (!rc)
        rc = disk_sync(file, err);
    if (!rc && size == 0)
        rc = disk_sync_dir(wal->disk, wal->dir, err);
out:
    disk_close(file);
    return rc;
}
