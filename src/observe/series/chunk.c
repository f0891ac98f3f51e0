/* chunk.c - see chunk.h
 *
 * A sample is: instant, change of kind and status, value (none for SERIES_NO_DATA).
 *   first instant      64 bits
 *   delta of delta     0 | 10 + 7 | 110 + 12 | 1110 + 20 | 1111 + 64 bits (zigzag)
 *   kind and status    0 as before | 1 + 1 + 2 bits
 *   whole number       difference: 0 none | 10 + 8 | 110 + 16 | 1110 + 32 | 1111 + 64 bits (zigzag)
 *   floating           XOR: 0 none | 10 in the window before | 11 + 6 lead + 6 length-1 + bits */
#include "observe/series/chunk.h"
#include "base/endian.h"

#include <assert.h>
#include <string.h>

static int64_t minus(int64_t a, int64_t b) /* wraps: exact again when added */
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static void put_bits(struct chunk *chunk, uint64_t value, unsigned count)
{
    while (count) {
        const unsigned used = (unsigned)(chunk->bits & 7), room = 8 - used;
        const unsigned take = count < room ? count : room;
        assert(take >= 1 && take <= 8);
        const unsigned part = (unsigned)(value >> (count - take)) & ((1u << take) - 1);
        unsigned char *byte = &chunk->bytes[chunk->bits / 8];
        *byte = (unsigned char)((used ? *byte : 0u) | part << (room - take));
        chunk->bits += take;
        count -= take;
    }
}

static void put_classes(struct chunk *chunk, uint64_t value, const unsigned sizes[3])
{
    if (value == 0)
        put_bits(chunk, 0, 1);
    else if (value >> sizes[0] == 0)
        put_bits(chunk, (uint64_t)2 << sizes[0] | value, 2 + sizes[0]);
    else if (value >> sizes[1] == 0)
        put_bits(chunk, (uint64_t)6 << sizes[1] | value, 3 + sizes[1]);
    else if (value >> sizes[2] == 0)
        put_bits(chunk, (uint64_t)14 << sizes[2] | value, 4 + sizes[2]);
    else {
        put_bits(chunk, 15, 4);
        put_bits(chunk, value, 64);
    }
}

static const unsigned TIME_SIZES[3] = { 7, 12, 20 }, VALUE_SIZES[3] = { 8, 16, 32 };

static void put_f64(struct chunk *chunk, uint64_t bits)
{
    struct chunk_state *state = &chunk->state;
    const uint64_t xor = bits ^ state->f64;
    state->f64 = bits;
    if (!xor) {
        put_bits(chunk, 0, 1);
        return;
    }
    const unsigned lead = (unsigned)__builtin_clzll(xor), trail = (unsigned)__builtin_ctzll(xor);
    if (state->lead != 255 && lead >= state->lead && trail >= state->trail) {
        put_bits(chunk, 2, 2);
        put_bits(chunk, xor >> state->trail, 64u - state->lead - state->trail);
        return;
    }
    state->lead = (uint8_t)lead;
    state->trail = (uint8_t)trail;
    put_bits(chunk, 3, 2);
    put_bits(chunk, lead, 6);
    put_bits(chunk, 63u - lead - trail, 6);
    put_bits(chunk, xor >> trail, 64u - lead - trail);
}

enum err_code chunk_add(struct chunk *chunk, const struct series_sample *sample, struct err *err)
{
    struct chunk_state *state = &chunk->state;
    const size_t need = chunk_len(chunk) + 32; /* more than any sample takes */
    if (need > CHUNK_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", CHUNK_BYTES_MAX), ARG_END);
    if (need > chunk->size) {
        const size_t size = chunk->size ? chunk->size + chunk->size / 2 + 32 : 64;
        unsigned char *grown = mem_realloc(chunk->bytes, size);
        if (!grown)
            return err_nomem(err);
        chunk->bytes = grown;
        chunk->size = size;
    }
    if (chunk->count == 0) {
        *state = (struct chunk_state) { .at = sample->at_ms, .lead = 255 };
        chunk->first_at = sample->at_ms;
        put_bits(chunk, (uint64_t)sample->at_ms, 64);
    } else {
        const int64_t delta = minus(sample->at_ms, state->at);
        put_classes(chunk, zigzag(minus(delta, state->delta)), TIME_SIZES);
        state->delta = delta;
        state->at = sample->at_ms;
    }
    if (sample->kind == state->kind && sample->status == state->status) {
        put_bits(chunk, 0, 1);
    } else {
        put_bits(chunk, 8u | (sample->kind & 1u) << 2 | (sample->status & 3u), 4);
        state->kind = sample->kind;
        state->status = sample->status;
    }
    if (sample->status == SERIES_NO_DATA) {
        /* no value */
    } else if (sample->kind == SERIES_I64) {
        put_classes(chunk, zigzag(minus(sample->i64, state->i64)), VALUE_SIZES);
        state->i64 = sample->i64;
    } else {
        uint64_t bits;
        memcpy(&bits, &sample->f64, 8);
        put_f64(chunk, bits);
    }
    chunk->count++;
    return ERR_OK;
}

void chunk_done(struct chunk *chunk)
{
    mem_free(chunk->bytes);
    *chunk = (struct chunk) { 0 };
}

void chunk_read(struct chunk_reader *reader, const unsigned char *bytes, size_t len, uint32_t count)
{
    *reader =
        (struct chunk_reader) { .bytes = bytes, .bits = (uint64_t)len * 8, .left = count, .first = true };
    reader->state.lead = 255;
}

static uint64_t take_bits(struct chunk_reader *reader, unsigned count)
{
    uint64_t value = 0;
    if (count > reader->bits - reader->at_bit) {
        reader->damaged = true;
        return 0;
    }
    while (count) {
        const unsigned used = (unsigned)(reader->at_bit & 7), room = 8 - used;
        const unsigned take = count < room ? count : room;
        assert(take >= 1 && take <= 8);
        const unsigned byte = reader->bytes[reader->at_bit / 8];
        value = value << take | (byte >> (room - take) & ((1u << take) - 1));
        reader->at_bit += take;
        count -= take;
    }
    return value;
}

static uint64_t take_classes(struct chunk_reader *reader, const unsigned sizes[3])
{
    if (!take_bits(reader, 1))
        return 0;
    if (!take_bits(reader, 1))
        return take_bits(reader, sizes[0]);
    if (!take_bits(reader, 1))
        return take_bits(reader, sizes[1]);
    return take_bits(reader, take_bits(reader, 1) ? 64 : sizes[2]);
}

static uint64_t take_f64(struct chunk_reader *reader)
{
    struct chunk_state *state = &reader->state;
    if (!take_bits(reader, 1))
        return state->f64;
    if (take_bits(reader, 1)) {
        const unsigned lead = (unsigned)take_bits(reader, 6), length = (unsigned)take_bits(reader, 6) + 1;
        if (lead + length > 64) {
            reader->damaged = true;
            return 0;
        }
        state->lead = (uint8_t)lead;
        state->trail = (uint8_t)(64 - lead - length);
    } else if (state->lead == 255) {
        reader->damaged = true;
        return 0;
    }
    return state->f64 ^ take_bits(reader, 64u - state->lead - state->trail) << state->trail;
}

bool chunk_next(struct chunk_reader *reader, struct series_sample *out)
{
    struct chunk_state *state = &reader->state;
    if (!reader->left || reader->damaged)
        return false;
    if (reader->first) {
        state->at = (int64_t)take_bits(reader, 64);
        reader->first = false;
    } else {
        state->delta = plus(state->delta, unzigzag(take_classes(reader, TIME_SIZES)));
        state->at = plus(state->at, state->delta);
    }
    if (take_bits(reader, 1)) {
        state->kind = (uint8_t)take_bits(reader, 1);
        state->status = (uint8_t)take_bits(reader, 2);
    }
    *out = (struct series_sample) { .at_ms = state->at, .kind = state->kind, .status = state->status };
    if (state->status == SERIES_NO_DATA) {
        /* no value */
    } else if (state->kind == SERIES_I64) {
        state->i64 = plus(state->i64, unzigzag(take_classes(reader, VALUE_SIZES)));
        out->i64 = state->i64;
    } else {
        state->f64 = take_f64(reader);
        memcpy(&out->f64, &state->f64, 8);
    }
    reader->left--;
    return !reader->damaged;
}
