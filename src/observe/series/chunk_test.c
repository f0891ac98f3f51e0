#include "observe/series/chunk.h"
#include "test.h"

#include <math.h>

static uint64_t seed = 1;

static uint64_t chance(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int64_t wild(void)
{
    static const int64_t edges[] = { 0, 1, -1, 127, 128, -128, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
    return chance() % 4 ? (int64_t)(chance() >> (chance() % 64)) : edges[chance() % 10];
}

static void test_all_kinds_come_back(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct chunk chunk = { 0 };
        struct chunk_reader reader;
        struct series_sample in[200], out;
        struct err err;
        int64_t at = (int64_t)(chance() >> 22) - (INT64_C(1) << 40);
        const int count = 1 + (int)(chance() % 200), style = round % 4;
        for (int i = 0; i < count; i++) {
            at += style == 0 ? 60000 : 1 + (int64_t)(chance() >> (24 + chance() % 39));
            in[i] = (struct series_sample) { .at_ms = at,
                                             .kind = (uint8_t)(style == 3 ? chance() % 2 : style == 1),
                                             .status = (uint8_t)(chance() % 7 ? 0 : chance() % 3) };
            if (in[i].kind == SERIES_I64)
                in[i].i64 = wild();
            else
                in[i].f64 = chance() % 3 ? (double)(chance() % 1000) / 8 : chance() % 2 ? NAN : -INFINITY;
            test_ok(chunk_add(&chunk, &in[i], &err) == ERR_OK, "add");
        }
        chunk_read(&reader, chunk.bytes, chunk_len(&chunk), chunk.count);
        for (int i = 0; i < count; i++) {
            test_ok(chunk_next(&reader, &out), "sample %d of %d", i, count);
            test_ok(out.at_ms == in[i].at_ms && out.kind == in[i].kind && out.status == in[i].status,
                    "instant, kind and status of %d", i);
            test_ok(in[i].status == SERIES_NO_DATA || out.i64 == in[i].i64, "value of %d", i);
        }
        test_ok(!chunk_next(&reader, &out) && !reader.damaged, "ends");
        /* cut short it says so and does not read on */
        chunk_read(&reader, chunk.bytes, chunk_len(&chunk) / 2, chunk.count);
        while (chunk_next(&reader, &out))
            ;
        test_ok(reader.damaged || count == 1, "damage is seen");
        chunk_done(&chunk);
    }
}

static void test_regular_series_is_small(void **state)
{
    (void)state;
    struct chunk chunk = { 0 };
    struct err err;
    for (int i = 0; i < 8640; i++) {
        const struct series_sample sample = { .at_ms = INT64_C(1795241100000) + i * 10000, .i64 = 1 };
        test_ok(chunk_add(&chunk, &sample, &err) == ERR_OK, "add");
    }
    test_ok(chunk_len(&chunk) < 8640 * 3 / 8 + 64, "a day of 'up' takes %zu bytes", chunk_len(&chunk));
    chunk_done(&chunk);
}

TEST_MAIN(TEST(test_all_kinds_come_back), TEST(test_regular_series_is_small))
