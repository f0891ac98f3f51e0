#include "test.h"
#include "teststore.h"
#include "warn/alarms.h"

#include <pthread.h>
#include <unistd.h>

static struct ids ids;

/* What people were told, and what others heard through the transaction. */
struct world {
    pthread_mutex_t lock;
    char told[20000];
    int tell_calls, tell_fails; /* the next so many calls fail */
    int opened, cleared, closed, live;
};

static enum err_code on_tell(void *ctx, const struct alarm_record *record, struct err *err)
{
    struct world *world = ctx;
    enum err_code rc = ERR_OK;
    (void)pthread_mutex_lock(&world->lock);
    world->tell_calls++;
    if (world->tell_fails > 0) {
        world->tell_fails--;
        rc = err_set(err, ERR_NET, "base.internal", ARG_END);
    } else {
        const size_t len = strlen(world->told);
        (void)snprintf(world->told + len, sizeof world->told - len, "%s:%s ", alarm_event_name(record->event),
                       record->alarm.key);
    }
    (void)pthread_mutex_unlock(&world->lock);
    return rc;
}

static enum err_code on_event(void *ctx, struct tx *tx, const char *topic, const struct alarm_record *record,
                              struct err *err)
{
    struct world *world = ctx;
    (void)tx, (void)record, (void)err;
    (void)pthread_mutex_lock(&world->lock);
    world->opened += strcmp(topic, "alarm.opened") == 0;
    world->cleared += strcmp(topic, "alarm.cleared") == 0;
    world->closed += strcmp(topic, "alarm.closed") == 0;
    (void)pthread_mutex_unlock(&world->lock);
    return ERR_OK;
}

static void on_live(void *ctx, const struct alarm_record *record)
{
    struct world *world = ctx;
    (void)record;
    (void)pthread_mutex_lock(&world->lock);
    world->live++;
    (void)pthread_mutex_unlock(&world->lock);
}

static const char *log_dir(void)
{
    static char dir[128];
    static int number;
    (void)snprintf(dir, sizeof dir, "%s/alarm-%d", teststore_dir(), number++);
    return dir;
}

static struct alarms *open_alarms(struct world *world, struct store *store, const char *dir,
                                  struct disk *disk)
{
    struct alarms *alarms = NULL;
    struct err err;
    ids_init(&ids, &CLOCK_SYSTEM, 1);
    const struct alarms_config config = {
        .dir = dir,
        .disk = disk,
        .store = store,
        .ids = &ids,
        .clock = &CLOCK_SYSTEM,
        .hooks = { .ctx = world, .tell = on_tell, .event = on_event, .live = on_live }
    };
    teststore_ok(alarms_open(&config, &alarms, &err), &err, "opens");
    return alarms;
}

static void init_world(struct world *world)
{
    *world = (struct world) { 0 };
    (void)pthread_mutex_init(&world->lock, NULL);
}

static void raise_key(struct alarms *alarms, const char *key, int grade)
{
    struct err err;
    const struct alarm_signal signal = { .key = str_from(key),
                                         .subject = 5,
                                         .grade = grade,
                                         .title = STR("网站打不开"),
                                         .value = STR("502"),
                                         .at_ms = clock_now(&CLOCK_SYSTEM) };
    teststore_ok(alarms_raise(alarms, &signal, &err), &err, "raises");
}

static void clear_key(struct alarms *alarms, const char *key)
{
    struct err err;
    teststore_ok(alarms_clear(alarms, str_from(key), STR("200"), clock_now(&CLOCK_SYSTEM), &err), &err,
                 "clears");
}

static void settle(struct alarms *alarms)
{
    test_ok(alarms_settle(alarms, 60000), "settles");
}

static int page_of(struct alarms *alarms, struct arena *arena, struct alarm_row_filter filter,
                   const struct alarm **out)
{
    int count = -1;
    struct err err;
    filter.limit = filter.limit ? filter.limit : 50;
    teststore_ok(alarms_page(alarms, &filter, arena, out, &count, &err), &err, "lists");
    return count;
}

/* The newest of so many live alarms. */
static int64_t newest_live(struct alarms *alarms, int want)
{
    struct arena *arena = arena_new(1 << 20);
    const struct alarm *live;
    const int count = page_of(alarms, arena, (struct alarm_row_filter) { 0 }, &live);
    test_ok(count == want, "%d live", count);
    const int64_t id = live[0].id;
    arena_free(arena);
    return id;
}

static int64_t only_live(struct alarms *alarms)
{
    return newest_live(alarms, 1);
}

struct rows {
    int alarms, events;
    struct alarm last;
};

static enum err_code count_alarm(void *arg, const struct alarm *alarm, struct err *err)
{
    struct rows *rows = arg;
    (void)err;
    rows->alarms++;
    rows->last = *alarm;
    return ERR_OK;
}

static enum err_code count_event(void *arg, const struct alarm_event_row *row, struct err *err)
{
    (void)row, (void)err;
    ((struct rows *)arg)->events++;
    return ERR_OK;
}

static enum err_code read_rows(struct tx *tx, void *arg, struct err *err)
{
    struct rows *rows = arg;
    *rows = (struct rows) { 0 };
    const struct alarm_row_filter all = { .limit = 1000 }, narrow = {
        .state = rows->alarms ? STR("closed") : STR(""), .subject = 5, .grade = 2, .limit = 1000
    };
    enum err_code rc = alarm_rows(tx, &narrow, count_alarm, rows, err);
    *rows = (struct rows) { 0 };
    if (!rc)
        rc = alarm_rows(tx, &all, count_alarm, rows, err);
    if (!rc && rows->alarms)
        rc = alarm_event_rows(tx, rows->last.id, 1000, count_event, rows, err);
    return rc;
}

static struct rows rows_of(struct store *store)
{
    struct rows rows = { 0 };
    struct err err;
    teststore_ok(store_read(store, read_rows, &rows, &err), &err, "reads");
    return rows;
}

/* One person, one alarm. */
static enum err_code act(struct alarms *alarms, bool close, int64_t id, struct str text, struct err *err)
{
    struct alarm_act one = { .id = id };
    const enum err_code rc = alarms_act(alarms, close, &one, 1, 7, text, err);
    if (!rc && one.rc)
        *err = one.err;
    return rc ? rc : one.rc;
}

static void test_from_signal_to_table(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    init_world(&world);
    struct store *store = teststore_new();
    struct alarms *alarms = open_alarms(&world, store, log_dir(), NULL);
    raise_key(alarms, "9:5", 2);
    raise_key(alarms, "9:5", 2);
    settle(alarms);
    const int64_t id = only_live(alarms);
    teststore_ok(act(alarms, false, id, STR("我来"), &err), &err, "acknowledges");
    test_ok(act(alarms, false, id, STR("我来"), &err) == ERR_CONFLICT, "once");
    clear_key(alarms, "9:5");
    settle(alarms);
    teststore_ok(act(alarms, true, id, STR("已恢复"), &err), &err, "closes");
    settle(alarms);
    test_ok(strcmp(world.told, "raise:9:5 ack:9:5 clear:9:5 close:9:5 ") == 0, "told %s", world.told);
    test_ok(world.opened == 1 && world.cleared == 1 && world.closed == 1, "%d %d %d", world.opened,
            world.cleared, world.closed);
    test_ok(world.live == 5, "live screens heard %d", world.live);
    const struct rows rows = rows_of(store);
    test_ok(rows.alarms == 1 && rows.events == 5 && rows.last.state == ALARM_CLOSED && rows.last.count == 2 &&
                rows.last.acked_by == 7,
            "%d alarms, %d events", rows.alarms, rows.events);
    alarms_close(alarms);
    store_close(store);
}

static void test_restart_puts_back_what_is_live(void **state)
{
    (void)state;
    struct world world;
    init_world(&world);
    struct store *store = teststore_new();
    const char *dir = log_dir();
    struct alarms *alarms = open_alarms(&world, store, dir, NULL);
    raise_key(alarms, "a", 1);
    raise_key(alarms, "b", 2);
    clear_key(alarms, "b");
    settle(alarms);
    struct arena *arena = arena_new(1 << 20);
    const struct alarm *live;
    alarms_close(alarms);
    alarms = open_alarms(&world, store, dir, NULL);
    const int count = page_of(alarms, arena, (struct alarm_row_filter) { 0 }, &live);
    test_ok(count == 2, "%d live after the restart", count);
    raise_key(alarms, "a", 1);
    settle(alarms);
    test_ok(strcmp(world.told, "raise:a raise:b clear:b ") == 0, "nobody is told again: %s", world.told);
    test_ok(rows_of(store).alarms == 2, "no double");
    alarms_close(alarms);
    arena_free(arena);
    store_close(store);
}

static void test_pages(void **state)
{
    (void)state;
    enum { ALARMS = 120 };
    struct world world;
    init_world(&world);
    struct store *store = teststore_new();
    struct alarms *alarms = open_alarms(&world, store, log_dir(), NULL);
    struct arena *arena = arena_new(4 << 20);
    const struct alarm *live;
    for (int i = 0; i < ALARMS; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        raise_key(alarms, key, 1 + i % 4);
    }
    clear_key(alarms, "k7");
    settle(alarms);
    struct alarm_row_filter filter = { .grade = 2, .limit = 7 };
    int seen = 0, count;
    for (int64_t last = INT64_MAX; (count = page_of(alarms, arena, filter, &live)); filter.after = last) {
        for (int i = 0; i < count; i++, seen++) {
            test_ok(live[i].grade == 2 && live[i].id < last, "newest first, of that grade");
            last = live[i].id;
        }
    }
    test_ok(seen == ALARMS / 4, "%d of that grade", seen);
    count = page_of(alarms, arena, (struct alarm_row_filter) { .state = STR("cleared") }, &live);
    test_ok(count == 1 && strstr(live[0].key, "k7"), "%d cleared", count);
    const struct alarm_brief *briefs;
    int grades[5] = { 0 };
    struct err err;
    teststore_ok(alarms_brief(alarms, arena, &briefs, &count, &err), &err, "counts");
    for (int i = 0; i < count; i++)
        grades[briefs[i].grade]++;
    test_ok(count == ALARMS && grades[1] == ALARMS / 4 && grades[4] == ALARMS / 4, "%d in all", count);
    alarms_close(alarms);
    arena_free(arena);
    store_close(store);
}

/* Has somebody been told by now?  With the lock, since the teller writes meanwhile. */
static bool was_told(struct world *world, const char *what)
{
    (void)pthread_mutex_lock(&world->lock);
    const bool told = strcmp(world->told, what) == 0;
    (void)pthread_mutex_unlock(&world->lock);
    return told;
}

/* SQL is away: alarms go on and people are told; the tables follow when it is back. */
static void test_alarms_go_on_without_sql(void **state)
{
    (void)state;
    struct world world;
    init_world(&world);
    struct store *store = teststore_new();
    struct alarms *alarms = open_alarms(&world, store, log_dir(), NULL);
    store_fail_at(store, 0, ERR_STORE);
    raise_key(alarms, "x", 1);
    for (int i = 0; i < 6000 && !was_told(&world, "raise:x "); i++)
        (void)usleep(10000);
    test_ok(was_told(&world, "raise:x "), "told at once");
    settle(alarms);
    test_ok(rows_of(store).alarms == 1 && world.opened >= 1, "written later");
    alarms_close(alarms);
    store_close(store);
}

static void test_a_failing_teller_is_asked_again(void **state)
{
    (void)state;
    struct world world;
    init_world(&world);
    world.tell_fails = 1;
    struct store *store = teststore_new();
    struct alarms *alarms = open_alarms(&world, store, log_dir(), NULL);
    raise_key(alarms, "x", 1);
    clear_key(alarms, "x");
    settle(alarms);
    test_ok(strcmp(world.told, "raise:x clear:x ") == 0, "in order: %s", world.told);
    alarms_close(alarms);
    store_close(store);
}

/* The disk is full: an act of a person fails and changes nothing; signals are kept and reach the log later.
 */
static void test_full_disk(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    init_world(&world);
    struct store *store = teststore_new();
    struct disk *disk = disk_faulty_new(1);
    struct alarms *alarms = open_alarms(&world, store, log_dir(), disk);
    raise_key(alarms, "x", 1);
    settle(alarms);
    const int64_t id = only_live(alarms);
    disk_full_set(disk, true);
    test_ok(act(alarms, false, id, STR(""), &err) != ERR_OK, "refused");
    struct alarm alarm;
    test_ok(alarms_find(alarms, id, &alarm) && alarm.state == ALARM_OPEN, "still open");
    raise_key(alarms, "y", 2);
    for (int i = 0; i < 6000; i++) {
        struct alarms_stats stats;
        alarms_stats(alarms, &stats);
        if (stats.log_failures)
            break;
        (void)usleep(10000);
    }
    disk_full_set(disk, false);
    for (int i = 0; i < 6000 && rows_of(store).alarms < 2; i++)
        (void)usleep(10000);
    test_ok(rows_of(store).alarms == 2, "the second is in the tables after all");
    teststore_ok(act(alarms, false, id, STR(""), &err), &err, "and acts go on");
    alarms_close(alarms);
    disk_faulty_free(disk);
    store_close(store);
}

/* Several at once: each for itself, but one write; when that fails none is changed. */
static void test_acts_at_once(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    init_world(&world);
    struct store *store = teststore_new();
    struct disk *disk = disk_faulty_new(1);
    struct alarms *alarms = open_alarms(&world, store, log_dir(), disk);
    struct alarm_act acts[4] = { 0 };
    raise_key(alarms, "a", 1);
    settle(alarms);
    acts[0].id = only_live(alarms);
    raise_key(alarms, "b", 1);
    settle(alarms);
    acts[1].id = newest_live(alarms, 2);
    acts[2].id = 17;
    acts[3].id = acts[0].id;
    disk_full_set(disk, true);
    test_ok(alarms_act(alarms, false, acts, 4, 7, STR(""), &err) != ERR_OK, "the log is full");
    struct alarm alarm;
    for (int i = 0; i < 2; i++)
        test_ok(alarms_find(alarms, acts[i].id, &alarm) && alarm.state == ALARM_OPEN && !alarm.acked_by,
                "%d is open as before", i);
    disk_full_set(disk, false);
    teststore_ok(alarms_act(alarms, false, acts, 4, 7, STR(""), &err), &err, "acknowledges");
    test_ok(!acts[0].rc && !acts[1].rc && acts[2].rc == ERR_NOT_FOUND && acts[3].rc == ERR_CONFLICT,
            "each for itself: %d %d %d %d", acts[0].rc, acts[1].rc, acts[2].rc, acts[3].rc);
    for (int i = 0; i < 2; i++)
        test_ok(alarms_find(alarms, acts[i].id, &alarm) && alarm.state == ALARM_ACKED && alarm.acked_by == 7,
                "%d is acknowledged", i);
    alarms_close(alarms);
    disk_faulty_free(disk);
    store_close(store);
}

/* The power goes at a random change: every acknowledged act is there afterwards, and no alarm twice. */
static void test_power_cuts(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 25; round++) {
        struct world world;
        struct err err;
        init_world(&world);
        struct store *store = teststore_new();
        const char *dir = log_dir();
        struct disk *disk = disk_faulty_new(round);
        struct alarms *alarms = open_alarms(&world, store, dir, disk);
        raise_key(alarms, "k", 1);
        settle(alarms);
        const int64_t id = only_live(alarms);
        disk_cut_at(disk, (long)(round % 12));
        const bool acked = act(alarms, false, id, STR("我来"), &err) == ERR_OK;
        const struct alarm_signal other = {
            .key = STR("other"), .grade = 2, .title = STR("other"), .at_ms = clock_now(&CLOCK_SYSTEM)
        };
        const bool taken = alarms_signal(alarms, &other, false, &err) == ERR_OK;
        if (round % 2)
            (void)usleep(20000);
        disk_cut_now(disk);
        alarms_close(alarms);
        disk_settle(disk);
        alarms = open_alarms(&world, store, dir, disk);
        struct alarm alarm;
        test_ok(alarms_find(alarms, id, &alarm), "round %u: the alarm is there", round);
        test_ok(!acked || alarm.state == ALARM_ACKED, "round %u: an acknowledged act is there", round);
        struct alarms_stats stats;
        alarms_stats(alarms, &stats);
        test_ok(!taken || stats.live == 2, "round %u: a signal that was answered is there", round);
        alarms_close(alarms);
        disk_faulty_free(disk);
        store_close(store);
    }
}

static void test_records(void **state)
{
    (void)state;
    struct alarm_record record = {
        .id = 3, .event = ALARM_HOLD, .first = true, .at_ms = 9, .by = 7, .text = "引\"号\n"
    };
    struct alarm_record back;
    struct err err;
    struct buf bytes;
    record.alarm = (struct alarm) { .id = INT64_C(9007199254740993),
                                    .key = "a:b",
                                    .grade = 3,
                                    .title = "闭环",
                                    .hold = ALARM_PARENT,
                                    .hold_by = 4,
                                    .flaps_count = 2,
                                    .flaps = { 5, 6 },
                                    .state = ALARM_ACKED,
                                    .count = 8 };
    buf_init(&bytes, 65536);
    alarm_record_put(&bytes, &record);
    test_ok(alarm_record_get(buf_get(&bytes), &back, &err) == ERR_OK, "reads %s", bytes.ptr);
    struct buf again;
    buf_init(&again, 65536);
    alarm_record_put(&again, &back);
    test_ok(str_eq(buf_get(&again), buf_get(&bytes)), "the same alarm");
    buf_done(&again);
    test_ok(back.alarm.id == record.alarm.id && back.alarm.flaps[1] == 6 && back.alarm.state == ALARM_ACKED &&
                strcmp(back.alarm.title, record.alarm.title) == 0,
            "its fields");
    test_ok(back.id == 3 && back.event == ALARM_HOLD && back.first && !back.snapshot &&
                strcmp(back.text, record.text) == 0,
            "the same change");
    for (size_t len = 0; len < bytes.len; len++)
        test_ok(alarm_record_get((struct str) { bytes.ptr, len }, &back, &err) == ERR_CORRUPT, "cut at %zu",
                len);
    buf_done(&bytes);
}

TEST_MAIN(TEST(test_records), TEST(test_from_signal_to_table), TEST(test_restart_puts_back_what_is_live),
          TEST(test_alarms_go_on_without_sql), TEST(test_a_failing_teller_is_asked_again), TEST(test_pages),
          TEST(test_full_disk), TEST(test_acts_at_once), TEST(test_power_cuts))
