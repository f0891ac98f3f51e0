/* head.h - the newest samples in memory: for each series its compressed chunks by UTC day, and the few that
 * came out of order.
 *
 * Threads: one owner (the store's lock).  Layer: observe (uses base). */
#pragma once
#include "base/zone.h"
#include "observe/series/chunk.h"

static inline int64_t day_of(int64_t at_ms)
{
    return at_ms / DAY_MS - (at_ms % DAY_MS < 0);
}

struct head_series {
    struct chunk *chunks; /* by day, growing; the last one is open */
    size_t chunk_count;
    struct series_sample *late; /* sorted by instant */
    size_t late_count, late_room;
};

struct head {
    struct head_series **by_id;
    size_t room; /* ids below it have a place */
    size_t bytes, samples;
    int64_t since_ms; /* monotonic, of the first sample */
    uint64_t from;    /* the log's position of the first record in it */
};

struct head *head_new(uint64_t from) MUST_CHECK;
void head_free(struct head *head);
/* Adds one; *out_new is false when the instant is there already.  ERR_NOMEM, ERR_LIMIT. */
MUST_CHECK enum err_code head_add(struct head *head, const struct series_sample *sample, bool *out_new,
                                  struct err *err);
static inline const struct head_series *head_get(const struct head *head, int64_t id)
{
    return head && id > 0 && (size_t)id < head->room ? head->by_id[id] : NULL;
}
