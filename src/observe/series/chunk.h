/* chunk.h - samples of one series in a stream of bits: delta of delta for instants, differences for whole
 * numbers, XOR for floating ones; a regular series of slowly changing values takes 1 to 3 bytes a sample.
 *
 * Invariant: instants grow strictly.  Threads: one owner.  Layer: observe (uses base). */
#pragma once
#include "observe/series/series.h"

#define CHUNK_BYTES_MAX ((size_t)8 << 20)

struct chunk_state { /* what the next sample is written against */
    int64_t at, delta;
    int64_t i64;
    uint64_t f64;
    uint8_t kind, status, lead, trail; /* lead 255 = no window yet */
};

struct chunk {
    unsigned char *bytes; /* owned by an encoder */
    size_t size;          /* allocated */
    uint64_t bits;        /* used */
    uint32_t count;
    int64_t first_at;
    struct chunk_state state; /* state.at is the newest instant */
};

/* Adds a sample with at_ms > state.at (or the first).  ERR_NOMEM, ERR_LIMIT (chunk full). */
MUST_CHECK enum err_code chunk_add(struct chunk *chunk, const struct series_sample *sample, struct err *err);
void chunk_done(struct chunk *chunk);
static inline size_t chunk_len(const struct chunk *chunk)
{
    return (size_t)((chunk->bits + 7) / 8);
}

struct chunk_reader {
    const unsigned char *bytes;
    uint64_t bits, at_bit;
    uint32_t left;
    bool first, damaged;
    struct chunk_state state;
};
void chunk_read(struct chunk_reader *reader, const unsigned char *bytes, size_t len, uint32_t count);
/* The next sample (without its id); false at the end or when the bits run out (`damaged`). */
bool chunk_next(struct chunk_reader *reader, struct series_sample *out);
