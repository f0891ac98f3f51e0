/* ids.c - see ids.h.  `last` counts in 1/4096 ms; a burst past 4,096 a millisecond borrows from the next. */
#include "base/ids.h"

#include <assert.h>
#include <stdatomic.h>

void ids_init(struct ids *ids, const struct clock *clock, int node)
{
    assert(node >= 0 && node <= IDS_NODE_MAX);
    ids->clock = clock;
    ids->node = node;
    ids->last = 0;
}

int64_t ids_next(struct ids *ids)
{
    const int64_t now = (clock_now(ids->clock) - IDS_EPOCH_MS) << 12;
    int64_t last = ids->last, next;
    do
        next = now > last ? now : last + 1;
    while (!atomic_compare_exchange_weak(&ids->last, &last, next));
    return (next >> 12) << 22 | (int64_t)ids->node << 12 | (next & 0xfff);
}

int64_t ids_instant_ms(int64_t id)
{
    return (id >> 22) + IDS_EPOCH_MS;
}

int64_t ids_floor(int64_t instant_ms)
{
    return instant_ms <= IDS_EPOCH_MS ? 0 : (instant_ms - IDS_EPOCH_MS) << 22;
}
