/* wal.h - an append-only durable log: what it has acknowledged is on the disk.
 *
 * Records are bytes; each gets a position (a byte offset over the whole life of the log).  Segments are
 * files named by their first position.  Many writers share one fdatasync: the first that waits writes
 * everything gathered so far, the others wait for it.
 *
 * Invariants: 1. a record is readable if and only if its group was synced.  2. records stand in the order
 * in which wal_add() was called.  3. a group that could not be synced leaves no trace: the file is cut back
 * to the last synced byte, its writers get the error, and the next group tries again (a full disk recovers
 * by itself).  4. opening cuts a torn tail off the newest segment; damage anywhere else is ERR_CORRUPT.
 * Threads: any, but for wal_open/close and a reader (one owner).  Layer: base. */
#pragma once
#include "base/buf.h"
#include "base/disk.h"

#define WAL_RECORD_MAX ((size_t)16 << 20)
#define WAL_CURSORS_MAX 8

struct wal;

struct wal_config {
    struct disk *disk;    /* NULL = the machine's; borrowed */
    const char *dir;      /* created when missing; copied */
    size_t segment_bytes; /* a new segment begins past it; 0 = 64 MiB */
    size_t pending_max;   /* bytes that may wait for a sync; 0 = 64 MiB; more is ERR_BUSY */
};

/* Opens or creates.  ERR_CORRUPT, ERR_IO, ERR_DISK_FULL, ERR_NOMEM. */
MUST_CHECK enum err_code wal_open(const struct wal_config *config, struct wal **out_wal, struct err *err);
/* Waits for what was added, then closes.  Accepts NULL. */
void wal_close(struct wal *wal);

/* A promise that is kept when its group has been synced. */
struct wal_ticket;

/* Queues a record (1 to WAL_RECORD_MAX bytes) and returns a ticket that must go to wal_wait() or
 * wal_forget().  ERR_LIMIT, ERR_BUSY, ERR_NOMEM. */
MUST_CHECK enum err_code wal_add(struct wal *wal, const void *bytes, size_t len,
                                 struct wal_ticket **out_ticket, struct err *err);
/* Returns when the ticket's group is on the disk (ERR_OK) or was refused (ERR_DISK_FULL, ERR_IO).  The
 * ticket is gone afterwards.  `out_end` (may be NULL) is the position behind the whole group. */
MUST_CHECK enum err_code wal_wait(struct wal *wal, struct wal_ticket *ticket, uint64_t *out_end,
                                  struct err *err);
/* The record goes out with the next group; nobody asks how it went. */
void wal_forget(struct wal *wal, struct wal_ticket *ticket);
/* wal_add() and wal_wait() in one. */
MUST_CHECK enum err_code wal_append(struct wal *wal, const void *bytes, size_t len, struct err *err);
/* Everything added so far is on the disk. */
MUST_CHECK enum err_code wal_flush(struct wal *wal, struct err *err);

/* The position of the oldest record kept, and behind the newest durable one. */
uint64_t wal_begin(const struct wal *wal);
uint64_t wal_end(struct wal *wal);
/* Bytes on the disk. */
uint64_t wal_bytes(struct wal *wal);

/* Unlinks whole segments that end at or before `position`. */
MUST_CHECK enum err_code wal_trim(struct wal *wal, uint64_t position, struct err *err);

/* Reading, from any position that a reader or wal_begin() has named.  Sees what is durable, also what
 * becomes durable later. */
struct wal_reader;
MUST_CHECK enum err_code wal_reader_new(struct wal *wal, uint64_t position, struct wal_reader **out_reader,
                                        struct err *err);
void wal_reader_free(struct wal_reader *reader);
/* The next record; `bytes` lives until the next call.  ERR_NOT_FOUND (err untouched): no more for now.
 * ERR_CORRUPT, ERR_IO, ERR_NOMEM. */
MUST_CHECK enum err_code wal_next(struct wal_reader *reader, struct str *out_bytes, struct err *err);
/* The position behind the record that wal_next() gave last. */
uint64_t wal_reader_at(const struct wal_reader *reader);

/* A durable cursor of one of several readers, a small file beside the log.  A name not yet known stands at
 * wal_begin().  Setting is durable on return; a torn write leaves the one before. */
MUST_CHECK enum err_code wal_cursor_get(struct wal *wal, const char *name, uint64_t *out_position,
                                        struct err *err);
MUST_CHECK enum err_code wal_cursor_set(struct wal *wal, const char *name, uint64_t position,
                                        struct err *err);
