#include "observe/series/series.h"
#include "test.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>

#define NOW INT64_C(1795241100000)
#define DAY INT64_C(86400000)

static char dir[64], store_dir[80];
static struct clock test_clock;

static void fresh(void)
{
    (void)strcpy(dir, "/tmp/bihuan-series-XXXXXX");
    test_ok(mkdtemp(dir) != NULL, "temporary folder");
    (void)snprintf(store_dir, sizeof store_dir, "%s/series", dir);
    clock_test_init(&test_clock, NOW);
}

static void sweep(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    test_ok(system(command) == 0, "sweep");
}

static enum err_code try_open(struct disk *disk, const char *path, struct series_store **out, struct err *err)
{
    const struct series_config config = {
        .disk = disk, .dir = path, .clock = &test_clock, .retention_days = 30
    };
    return series_open(&config, out, err);
}

static struct series_store *open_store(struct disk *disk)
{
    struct series_store *store = NULL;
    struct err err = { 0 };
    test_ok(try_open(disk, store_dir, &store, &err) == ERR_OK, "opens: %s %s", err.id, err.args[0].text);
    return store;
}

static enum err_code name_id(struct series_store *store, int n, int64_t *out, struct err *err)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%d", n);
    const struct series_label labels[] = { { STR("metric"), STR("up") }, { STR("check"), str_from(text) } };
    return series_id(store, labels, 2, out, err);
}

static enum err_code put(struct series_store *store, int64_t id, int64_t at, int64_t value, struct err *err)
{
    const struct series_sample sample = { .id = id, .at_ms = at, .i64 = value };
    const struct series_batch batch = { .samples = &sample, .count = 1 };
    return series_append(store, &batch, NULL, err);
}

static struct series_point *read_points(struct series_store *store, struct arena *arena, int64_t id,
                                        int64_t from, int64_t to, int64_t step, enum series_aggregate how,
                                        size_t *count)
{
    struct series_point *points = NULL;
    struct err err = { 0 };
    *count = 0;
    const enum err_code rc =
        series_read(store, id, from, to, step, how, 1000000, arena, &points, count, &err);
    test_ok(rc == ERR_OK, "reads: %s", err.id);
    return points;
}

static void test_names(void **state)
{
    (void)state;
    fresh();
    struct err err = { 0 };
    struct series_store *store = open_store(NULL);
    const struct series_label a[] = { { STR("check"), STR("1") }, { STR("metric"), STR("up") } };
    const struct series_label b[] = { { STR("metric"), STR("up") }, { STR("check"), STR("1") } };
    const struct series_label twice[] = { { STR("check"), STR("1") }, { STR("check"), STR("2") } };
    int64_t first = 0, second = 0, ids[600];
    test_ok(series_id(store, a, 2, &first, &err) == ERR_OK && first == 1, "new");
    test_ok(series_id(store, b, 2, &second, &err) == ERR_OK && second == first, "any order");
    test_ok(series_id(store, twice, 2, &second, &err) == ERR_INVALID, "a name twice");
    test_ok(series_id(store, a, 0, &second, &err) == ERR_INVALID, "no label");
    for (int i = 0; i < 600; i++)
        test_ok(name_id(store, i, &ids[i], &err) == ERR_OK, "many");
    series_close(store);
    store = open_store(NULL);
    for (int i = 0; i < 600; i++)
        test_ok(name_id(store, i, &second, &err) == ERR_OK && second == ids[i], "known after a restart");
    struct arena *arena = arena_new(1 << 20);
    struct str text;
    test_ok(series_labels_get(store, ids[7], arena, &text, &err) == ERR_OK &&
                str_eq(text, STR("check=7\nmetric=up\n")),
            "labels");
    test_ok(series_select(store, a, 1, ids, 600) == 1 && series_select(store, b, 1, ids, 10) == 600,
            "select");
    test_ok(series_find(store, twice, 1, &second, &err) == ERR_NOT_FOUND, "not a part of the labels");
    test_ok(series_find(store, b, 2, &second, &err) == ERR_OK && second == 1, "finds");
    test_ok(series_labels_get(store, 99999, arena, &text, &err) == ERR_NOT_FOUND, "none");
    arena_free(arena);
    series_close(store);
    sweep();
}

static void test_aggregates(void **state)
{
    (void)state;
    static const struct {
        enum series_aggregate how;
        double want[3];
    } cases[] = { { SERIES_AVG, { 15, 40, NAN } }, { SERIES_MIN, { 10, 40, NAN } },
                  { SERIES_MAX, { 20, 40, NAN } }, { SERIES_SUM, { 30, 40, NAN } },
                  { SERIES_COUNT, { 2, 1, 0 } },   { SERIES_FIRST, { 10, 40, NAN } },
                  { SERIES_LAST, { 20, 40, NAN } } };
    fresh();
    struct err err = { 0 };
    struct series_store *store = open_store(NULL);
    struct arena *arena = arena_new(1 << 20);
    const int64_t base = NOW - NOW % 60000 - 600000;
    const struct series_sample samples[] = {
        { 1, base + 1000, SERIES_I64, SERIES_GOOD, 0, { 10 } },
        { 1, base + 31000, SERIES_F64, SERIES_GOOD, 0, { .f64 = 20 } },
        { 1, base + 41000, SERIES_I64, SERIES_FAILED, 0, { 99 } },
        { 1, base + 61000, SERIES_I64, SERIES_GOOD, 0, { 40 } },
        { 1, base + 180000, SERIES_I64, SERIES_NO_DATA, 0, { 0 } },
        { 1, base + 61000, SERIES_I64, SERIES_GOOD, 0, { 7777 } }, /* comes second */
        { 1, NOW - 8 * DAY, SERIES_I64, SERIES_GOOD, 0, { 1 } },   /* too late */
        { 1, NOW + 2 * 600000, SERIES_I64, SERIES_GOOD, 0, { 1 } },
        { 9, NOW, SERIES_I64, SERIES_GOOD, 0, { 1 } }, /* of no series */
    };
    const struct series_batch batch = { .samples = samples, .count = 9 };
    struct series_result result;
    int64_t id;
    test_ok(name_id(store, 1, &id, &err) == ERR_OK && id == 1, "id");
    test_ok(series_append(store, &batch, &result, &err) == ERR_OK, "append");
    test_ok(result.stored == 5 && result.duplicate == 1 && result.refused == 3, "%zu %zu %zu", result.stored,
            result.duplicate, result.refused);
    for (int round = 0; round < 3; round++) { /* from the head, from a block, after a restart */
        size_t count;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const struct series_point *points =
                read_points(store, arena, id, base, NOW, 60000, cases[i].how, &count);
            test_ok(count == 3 && points[0].at_ms == base && points[2].at_ms == base + 180000, "three steps");
            test_ok(points[0].failed == 1 && points[2].no_data == 1, "states");
            for (int k = 0; k < 3; k++)
                test_ok(points[k].value == cases[i].want[k] ||
                            (isnan(points[k].value) && isnan(cases[i].want[k])),
                        "aggregate %zu step %d: %f", i, k, points[k].value);
        }
        struct series_point *raw =
            read_points(store, arena, id, base + 31000, base + 61000, 0, SERIES_RAW, &count);
        test_ok(count == 2 && raw[0].value == 20 && raw[1].failed == 1, "half open range");
        struct series_sample last;
        test_ok(series_last(store, id, &last, &err) == ERR_OK && last.at_ms == base + 180000, "newest");
        struct series_point *points;
        test_ok(series_read(store, id, base, NOW, 60000, SERIES_AVG, 2, arena, &points, &count, &err) ==
                    ERR_LIMIT,
                "too many points");
        test_ok(series_read(store, id, NOW, base, 60000, SERIES_AVG, 2, arena, &points, &count, &err) ==
                    ERR_INVALID,
                "backwards");
        test_ok(series_read(store, 77, base, NOW, 1, SERIES_AVG, 2, arena, &points, &count, &err) ==
                    ERR_NOT_FOUND,
                "no series");
        if (round == 0)
            test_ok(series_flush(store, &err) == ERR_OK, "flush");
        if (round == 1) {
            series_close(store);
            store = open_store(NULL);
        }
    }
    arena_free(arena);
    series_close(store);
    sweep();
}

static void test_sender_counts_once(void **state)
{
    (void)state;
    fresh();
    struct err err = { 0 };
    struct series_store *store = open_store(NULL);
    struct series_sample samples[10];
    struct series_result result;
    int64_t id;
    uint64_t sequence;
    test_ok(name_id(store, 1, &id, &err) == ERR_OK, "id");
    for (int i = 0; i < 10; i++)
        samples[i] = (struct series_sample) { .id = id, .at_ms = NOW + i, .i64 = i };
    struct series_batch batch = { { 5, 100, 1 }, samples, 10, 0 };
    test_ok(!series_acknowledged(store, 5, 100, &sequence), "nothing yet");
    test_ok(series_append(store, &batch, &result, &err) == ERR_OK && result.stored == 10, "first time");
    for (int round = 0; round < 3; round++) {
        test_ok(series_append(store, &batch, &result, &err) == ERR_OK && result.repeated == 10 &&
                    !result.stored,
                "again");
        test_ok(series_acknowledged(store, 5, 100, &sequence) && sequence == 10, "cursor");
        if (round == 0)
            test_ok(series_flush(store, &err) == ERR_OK, "flush");
        if (round == 1) {
            series_close(store);
            store = open_store(NULL);
        }
    }
    batch.sender.sequence = 6; /* overlaps by five */
    for (int i = 0; i < 10; i++)
        samples[i].at_ms = NOW + 5 + i;
    test_ok(series_append(store, &batch, &result, &err) == ERR_OK && result.repeated == 5 &&
                result.stored == 5,
            "the rest of it");
    batch.sender.sequence = 20;
    test_ok(series_append(store, &batch, &result, &err) == ERR_OK && result.gap == 4, "gap %zu", result.gap);
    /* three sequence numbers with several samples each, of which the first is known */
    for (int i = 0; i < 10; i++) {
        samples[i].at_ms = NOW + 1000 + i;
        samples[i].step = (uint32_t)i / 4;
    }
    batch.sender.sequence = 29;
    batch.steps = 3;
    test_ok(series_append(store, &batch, &result, &err) == ERR_OK && result.repeated == 1 &&
                result.stored == 6,
            "steps: %zu %zu", result.repeated, result.stored);
    test_ok(series_acknowledged(store, 5, 100, &sequence) && sequence == 31, "cursor by steps");
    batch.steps = 0;
    batch.sender = (struct series_sender) { 5, 101, 1 };
    test_ok(series_append(store, &batch, &result, &err) == ERR_OK && !result.repeated, "a later epoch");
    batch.sender.epoch = 100;
    test_ok(series_append(store, &batch, &result, &err) == ERR_CONFLICT, "an earlier one");
    series_close(store);
    sweep();
}

/* A random history against a plain table: appends in and out of order, flushes, merges, restarts. */
#define SERIES 4
#define SLOTS 2000

static void compare(struct series_store *store, int64_t table[SERIES][SLOTS], int64_t base)
{
    for (int s = 0; s < SERIES; s++) {
        struct arena *arena = arena_new(1 << 24);
        size_t count, want = 0, at = 0;
        struct series_point *points =
            read_points(store, arena, s + 1, base, base + (int64_t)SLOTS * 300000, 0, SERIES_RAW, &count);
        for (int i = 0; i < SLOTS; i++) {
            if (table[s][i] < 0)
                continue;
            want++;
            test_ok(at < count && points[at].at_ms == base + (int64_t)i * 300000 &&
                        points[at].value == (double)table[s][i],
                    "series %d slot %d", s, i);
            at++;
        }
        test_ok(count == want, "series %d has %zu of %zu", s, count, want);
        arena_free(arena);
    }
}

static void test_random_history(void **state)
{
    (void)state;
    static int64_t table[SERIES][SLOTS];
    fresh();
    struct err err = { 0 };
    struct series_store *store = open_store(NULL);
    const int64_t base = NOW - (int64_t)SLOTS * 300000;
    unsigned seed = 42;
    memset(table, -1, sizeof table);
    for (int s = 0; s < SERIES; s++) {
        int64_t id;
        test_ok(name_id(store, s, &id, &err) == ERR_OK && id == s + 1, "id");
    }
    for (int round = 0; round < 150; round++) {
        struct series_sample samples[40];
        const int start = round * 12;
        for (int i = 0; i < 40; i++) {
            const int s = rand_r(&seed) % SERIES;
            const int slot = rand_r(&seed) % 5 ? start + i : rand_r(&seed) % (start + 40);
            samples[i] = (struct series_sample) { .id = s + 1,
                                                  .at_ms = base + (int64_t)slot * 300000,
                                                  .i64 = rand_r(&seed) % 1000 };
            if (table[s][slot] < 0)
                table[s][slot] = samples[i].i64;
        }
        const struct series_batch batch = { .samples = samples, .count = 40 };
        test_ok(series_append(store, &batch, NULL, &err) == ERR_OK, "append");
        if (rand_r(&seed) % 12 == 0)
            test_ok(series_flush(store, &err) == ERR_OK, "flush");
        if (rand_r(&seed) % 20 == 0)
            test_ok(series_maintain(store, &err) == ERR_OK, "maintain");
        if (rand_r(&seed) % 20 == 0) {
            series_close(store);
            store = open_store(NULL);
        }
        if (round % 10 == 9)
            compare(store, table, base);
    }
    struct series_stats stats;
    test_ok(series_flush(store, &err) == ERR_OK && series_maintain(store, &err) == ERR_OK, "merged");
    series_stats_get(store, &stats);
    test_ok(stats.blocks > 3 && stats.blocks < 40, "a file or few a day: %zu", stats.blocks);
    compare(store, table, base);
    /* a copy reads the same */
    char copy[100];
    struct series_store *second = NULL;
    (void)snprintf(copy, sizeof copy, "%s/copy", dir);
    test_ok(series_backup(store, copy, &err) == ERR_OK && try_open(NULL, copy, &second, &err) == ERR_OK,
            "backup");
    compare(second, table, base);
    series_close(second);
    /* days go as files */
    const int64_t cut = base + (int64_t)(SLOTS / 2) * 300000, first = cut - cut % DAY;
    test_ok(series_drop_before(store, cut, &err) == ERR_OK, "drop");
    for (int s = 0; s < SERIES; s++)
        for (int i = 0; i < SLOTS; i++)
            if (base + (int64_t)i * 300000 < first)
                table[s][i] = -1;
    compare(store, table, base);
    clock_test_init(&test_clock, NOW + 60 * DAY);
    test_ok(series_maintain(store, &err) == ERR_OK, "retention");
    series_stats_get(store, &stats);
    test_ok(stats.blocks == 0, "all are older than 30 days");
    series_close(store);
    sweep();
}

static void test_power_cuts(void **state)
{
    (void)state;
    for (long nth = 0; nth < 90; nth++) {
        fresh();
        struct err err = { 0 };
        struct series_store *store = NULL;
        struct disk *disk = disk_faulty_new((uint64_t)nth * 31 + 5);
        int acknowledged = 0;
        int64_t id = 0;
        disk_cut_at(disk, nth);
        if (try_open(disk, store_dir, &store, &err) == ERR_OK) {
            bool alive = name_id(store, 1, &id, &err) == ERR_OK;
            for (; alive; acknowledged++) {
                if (put(store, id, NOW - 3 * DAY + acknowledged * (DAY / 20), acknowledged, &err))
                    break;
                if (acknowledged % 7 == 6 && series_flush(store, &err) && disk_is_cut(disk))
                    alive = false;
                if (acknowledged % 20 == 19 && series_maintain(store, &err) && disk_is_cut(disk))
                    alive = false;
            }
            series_close(store);
        }
        test_ok(disk_is_cut(disk), "cut at %ld", nth);
        disk_settle(disk);
        store = NULL;
        test_ok(try_open(disk, store_dir, &store, &err) == ERR_OK, "opens again after %ld: %s %s", nth,
                err.id, err.args[0].text);
        if (acknowledged) {
            struct arena *arena = arena_new(1 << 20);
            size_t count;
            struct series_point *points =
                read_points(store, arena, id, 0, NOW + 10 * DAY, 0, SERIES_RAW, &count);
            test_ok(count >= (size_t)acknowledged && count <= (size_t)acknowledged + 1, "%zu of %d at %ld",
                    count, acknowledged, nth);
            for (size_t i = 0; i < count; i++)
                test_ok(points[i].value == (double)i, "in order");
            test_ok(put(store, id, NOW, 5, &err) == ERR_OK, "goes on");
            arena_free(arena);
        }
        series_close(store);
        disk_faulty_free(disk);
        sweep();
    }
}

static void test_full_disk(void **state)
{
    (void)state;
    fresh();
    struct err err = { 0 };
    struct disk *disk = disk_faulty_new(3);
    struct series_store *store = open_store(disk);
    int64_t id;
    struct arena *arena = arena_new(1 << 20);
    size_t count;
    test_ok(name_id(store, 1, &id, &err) == ERR_OK && put(store, id, NOW, 1, &err) == ERR_OK, "before");
    disk_full_set(disk, true);
    test_ok(put(store, id, NOW + 1, 2, &err) == ERR_DISK_FULL, "refused");
    test_ok(series_flush(store, &err) == ERR_DISK_FULL, "no flush");
    int64_t other;
    test_ok(name_id(store, 2, &other, &err) == ERR_DISK_FULL, "no new name");
    (void)read_points(store, arena, id, 0, NOW + 9, 0, SERIES_RAW, &count);
    test_ok(count == 1, "reading goes on");
    disk_full_set(disk, false);
    test_ok(put(store, id, NOW + 1, 2, &err) == ERR_OK && series_flush(store, &err) == ERR_OK, "recovers");
    test_ok(name_id(store, 2, &other, &err) == ERR_OK && other == 2 &&
                put(store, other, NOW, 1, &err) == ERR_OK,
            "the name too");
    series_close(store);
    store = open_store(disk);
    (void)read_points(store, arena, id, 0, NOW + 9, 0, SERIES_RAW, &count);
    test_ok(count == 2, "both");
    arena_free(arena);
    series_close(store);
    disk_faulty_free(disk);
    sweep();
}

static void *appender(void *arg)
{
    struct series_store *store = arg;
    static _Atomic int next;
    const int me = next++;
    struct err err;
    int64_t id;
    if (name_id(store, me, &id, &err))
        return arg;
    for (int i = 0; i < 150; i++) {
        struct series_sample samples[20];
        for (int k = 0; k < 20; k++)
            samples[k] =
                (struct series_sample) { .id = id, .at_ms = NOW - DAY + i * 2000 + k * 100, .i64 = i };
        const struct series_batch batch = { { me + 1, 1, (uint64_t)i * 20 + 1 }, samples, 20, 0 };
        struct series_result result;
        if (series_append(store, &batch, &result, &err) || result.stored != 20)
            return arg;
        if (i % 50 == 49 && series_flush(store, &err))
            return arg;
    }
    return NULL;
}

static void test_many_senders(void **state)
{
    (void)state;
    fresh();
    struct series_store *store = open_store(NULL);
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        test_ok(pthread_create(&threads[i], NULL, appender, store) == 0, "thread");
    for (int i = 0; i < 6; i++) {
        void *answer;
        (void)pthread_join(threads[i], &answer);
        test_ok(!answer, "sender %d", i);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 1; i <= 6; i++) {
            struct arena *arena = arena_new(1 << 22);
            size_t count;
            (void)read_points(store, arena, i, 0, NOW, 0, SERIES_RAW, &count);
            test_ok(count == 3000, "series %d has %zu", i, count);
            arena_free(arena);
        }
        series_close(store);
        store = open_store(NULL);
    }
    series_close(store);
    sweep();
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        fresh();
        struct err err = { 0 };
        struct series_store *store = NULL;
        struct arena *arena = NULL;
        struct series_point *points;
        size_t count = 0;
        int64_t id = 0;
        const long live = mem_live();
        mem_fail_at(nth);
        int acknowledged = 0;
        enum err_code rc = try_open(NULL, store_dir, &store, &err);
        if (!rc)
            rc = name_id(store, 1, &id, &err);
        for (int i = 0; !rc && i < 12; i++) {
            rc = put(store, id, NOW - 2 * DAY + i * (DAY / 6), i, &err);
            acknowledged += rc == ERR_OK;
            if (!rc && i % 4 == 3)
                rc = series_flush(store, &err);
        }
        if (!rc)
            rc = put(store, id, NOW - 3 * DAY, 5, &err);
        acknowledged += rc == ERR_OK;
        if (!rc)
            rc = series_maintain(store, &err);
        mem_fail_at(-1);
        if (store && id) { /* whatever was acknowledged is readable at once, also without a restart */
            struct err second;
            arena = arena_new(1 << 20);
            test_ok(series_read(store, id, 0, NOW + 9, 0, SERIES_RAW, 100, arena, &points, &count, &second) ==
                            ERR_OK &&
                        count == (size_t)acknowledged,
                    "%zu of %d at %ld", count, acknowledged, nth);
            arena_free(arena);
        }
        series_close(store);
        sweep();
        test_ok(mem_live() == live && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld: %d", nth,
                (int)rc);
        if (rc == ERR_OK && nth > 200)
            return;
    }
}

TEST_MAIN(TEST(test_names), TEST(test_aggregates), TEST(test_sender_counts_once), TEST(test_random_history),
          TEST(test_power_cuts), TEST(test_full_disk), TEST(test_many_senders), TEST(test_out_of_memory))
