/* ids.h - 63-bit ids: 41 bits of milliseconds since 2020-01-01, 10 of node, 12 of sequence.
 *
 * Strictly growing within a process, also when the wall clock jumps back.
 * Threads: ids_next() from any.  Layer: base. */
#pragma once
#include "base/clock.h"

#define IDS_EPOCH_MS INT64_C(1577836800000) /* 2020-01-01T00:00:00Z */
#define IDS_NODE_MAX 1023

struct ids {
    const struct clock *clock;
    int node;
    _Atomic int64_t last; /* milliseconds << 12 | sequence of the newest id */
};

/* `node` is leased from the store, 0 to IDS_NODE_MAX. */
void ids_init(struct ids *ids, const struct clock *clock, int node);

/* A new id, greater than all before. */
int64_t ids_next(struct ids *ids);

/* The instant an id was made. */
int64_t ids_instant_ms(int64_t id);
/* The least id that could be made at that instant: for ranges over time. */
int64_t ids_floor(int64_t instant_ms);
