/* store.h - the inside of a series store, shared by the files of this folder only.
 *
 * Locks, in the order in which they may be taken: upkeep (one flush, merge or drop at a time), blocks (the
 * list of block files), lock (names, senders, queue, heads). */
#pragma once
#include "observe/series/block.h"
#include "observe/series/head.h"

#include <pthread.h>

struct name {
    char *text; /* "name=value\n" in order of name */
    size_t len;
    bool durable;
    bool has_last;
    struct series_sample last;
};

struct sender {
    int64_t node, epoch;
    uint64_t acknowledged; /* the highest sequence */
    bool busy;             /* a batch of it is on its way to the disk */
};

/* A batch between the log and the head; lies on its writer's stack. */
struct pending {
    struct pending *next;
    const char *record;
    size_t len;
    enum { PENDING_WAITS, PENDING_DURABLE, PENDING_REFUSED, PENDING_APPLIED } state;
    struct series_result *result;
};

struct series_store {
    struct disk *disk;
    const struct clock *clock;
    char *dir;
    size_t head_bytes_max, series_max;
    int64_t head_age_ms;
    int retention_days;
    struct wal *wal;

    pthread_mutex_t upkeep;

    pthread_rwlock_t blocks_lock;
    struct block *blocks; /* by day, then by number */
    size_t block_count;

    pthread_mutex_t lock;
    pthread_cond_t moved; /* the queue, a sender or `swapping` has changed */
    struct name **names;  /* by id; [0] is not used */
    size_t name_count, name_room;
    uint32_t *hash; /* ids by text; 0 = free */
    size_t hash_size;
    struct sender *senders;
    size_t sender_count;
    struct pending *first, *last;
    bool swapping;   /* appends wait: the heads are about to change places */
    bool incomplete; /* memory ran out after the log had a batch: the head is built anew from the log */
    struct head *head, *flushing;
    uint64_t flushing_end; /* the log's position behind `flushing` */
    int64_t next_number;   /* of a block file */
    uint64_t from;         /* the log counts from here, says the manifest */
    uint64_t appended, duplicate, refused;
};

/* Applies a log record to names, senders and head; with the lock held. */
MUST_CHECK enum err_code series_apply(struct series_store *store, const char *record, size_t len,
                                      struct series_result *result, struct err *err);
/* Builds the head anew when it is incomplete; with the lock held. */
MUST_CHECK enum err_code series_heal(struct series_store *store, struct err *err);
/* Puts every record of the log from head->from on into the head; with the lock held. */
MUST_CHECK enum err_code series_replay(struct series_store *store, struct err *err);
/* Adds a name under an id (the text is copied); with the lock held. */
MUST_CHECK enum err_code series_name_put(struct series_store *store, int64_t id, const char *text, size_t len,
                                         bool durable, struct err *err);
MUST_CHECK enum err_code series_sender_put(struct series_store *store, int64_t node, struct sender **out,
                                           struct err *err);
struct name *series_name(struct series_store *store, int64_t id);

/* manifest.c */
MUST_CHECK enum err_code manifest_read(struct series_store *store, struct err *err);
/* Writes it with `blocks` as the list; `from` is where the log counts from. */
MUST_CHECK enum err_code manifest_write(struct series_store *store, const struct block *blocks, size_t count,
                                        uint64_t from, struct err *err);
/* Unlinks block files that no manifest names. */
void manifest_sweep(struct series_store *store);
void block_path(const struct series_store *store, int64_t day, int64_t number, char out[600]);
