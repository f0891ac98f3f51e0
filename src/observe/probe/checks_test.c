#include "observe/probe/checks.h"
#include "observe/states.h"
#include "observe/probe/nodes.h"
#include "observe/routes.h"
#include "test.h"
#include "teststore.h"

#include <unistd.h>

#define NOW INT64_C(1795241100000)

static struct clock test_clock;
static int64_t fed[2000];
static int fed_count;

static void on_feed(void *ctx, int64_t node, const struct collect_result *results, size_t count)
{
    (void)ctx;
    (void)node;
    for (size_t i = 0; i < count && fed_count < 2000; i++)
        fed[fed_count++] = results[i].at_ms;
}

static struct check_turn turns[400];
static int turns_count;

static void on_turn(void *ctx, const struct check_turn *turn)
{
    test_ok(ctx == turns, "its own context");
    if (turns_count < 400)
        turns[turns_count++] = *turn;
}

struct room {
    struct series_store *series;
    struct checks *checks;
    char dir[160];
};

static enum err_code open_room(struct room *room, struct disk *disk, struct err *err)
{
    static int turn;
    if (!room->dir[0])
        (void)snprintf(room->dir, sizeof room->dir, "%s/checks-%d", teststore_dir(), turn++);
    fed_count = 0;
    const struct series_config series = { .disk = disk, .dir = room->dir, .clock = &test_clock };
    enum err_code rc = series_open(&series, &room->series, err);
    const struct checks_config config = {
        .clock = &test_clock, .series = room->series, .feed = on_feed, .turned = on_turn, .turned_ctx = turns
    };
    turns_count = 0;
    return rc ? rc : checks_new(&config, &room->checks, err);
}

static void close_room(struct room *room)
{
    checks_free(room->checks);
    series_close(room->series);
    room->checks = NULL;
    room->series = NULL;
}

static json_t *record(const char *nodes)
{
    json_error_t error;
    json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:I}", "name", "site", "kind", "http", "url",
                             "http://127.0.0.1/", "interval_s", 10, "version", (json_int_t)1);
    (void)json_object_set_new(json, "nodes", json_loads(nodes, 0, &error));
    return json;
}

static enum err_code put(struct checks *checks, int64_t id, const char *nodes, struct err *err)
{
    json_t *json = record(nodes);
    const enum err_code rc = checks_set(checks, id, json, err);
    json_decref(json);
    return rc;
}

static uint64_t missing; /* before the last batch */

/* Results of check 1 from `first` on: result n is at NOW + n seconds and takes n microseconds. */
static enum err_code take(struct checks *checks, int64_t node, int first, int count, uint64_t *acknowledged,
                          struct err *err)
{
    struct collect_result results[20] = { 0 };
    const struct series_sender sender = { node, node ? 7 : 0, (uint64_t)first };
    for (int i = 0; i < count; i++) {
        results[i].check_id = 1;
        results[i].at_ms = NOW + (first + i) * 1000;
        results[i].present = 1u << COLLECT_UP | 1u << COLLECT_TOTAL;
        results[i].values[COLLECT_UP] = 1;
        results[i].values[COLLECT_TOTAL] = first + i;
    }
    return checks_take(checks, &sender, results, (size_t)count, acknowledged, &missing, err);
}

/* How many points the series total_us of check 1 at the node has; each must be its own. */
static size_t stored(struct room *room, const char *node)
{
    struct err err = { 0 };
    const struct series_label labels[] = { { STR("check"), STR("1") },
                                           { STR("metric"), STR("total_us") },
                                           { STR("node"), str_from(node) } };
    struct series_point *points;
    size_t count = 0;
    int64_t id;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    if (series_find(room->series, labels, 3, &id, &err))
        return 0;
    test_ok(series_read(room->series, id, 0, NOW + 9999999, 0, SERIES_RAW, 1000, arena, &points, &count,
                        &err) == ERR_OK,
            "reads");
    for (size_t i = 0; i < count; i++)
        test_ok(points[i].at_ms == NOW + (int64_t)points[i].value * 1000, "its own");
    return count;
}

static void test_each_result_counts_once(void **state)
{
    (void)state;
    struct room room = { 0 };
    struct err err = { 0 };
    uint64_t acknowledged = 0;
    clock_test_init(&test_clock, NOW);
    teststore_ok(open_room(&room, NULL, &err), &err, "open");
    teststore_ok(put(room.checks, 1, "[\"1\",\"42\"]", &err), &err, "check");
    teststore_ok(take(room.checks, 42, 1, 10, &acknowledged, &err), &err, "first");
    test_ok(acknowledged == 10 && fed_count == 10 && stored(&room, "42") == 10, "ten");
    teststore_ok(take(room.checks, 42, 1, 10, &acknowledged, &err), &err, "again");
    test_ok(acknowledged == 10 && fed_count == 10 && stored(&room, "42") == 10, "told and stored once");
    teststore_ok(take(room.checks, 42, 6, 10, &acknowledged, &err), &err, "overlap");
    test_ok(acknowledged == 15 && fed_count == 15 && stored(&room, "42") == 15 && !missing, "the rest of it");
    close_room(&room);
    teststore_ok(open_room(&room, NULL, &err), &err, "open again");
    teststore_ok(put(room.checks, 1, "[\"1\",\"42\"]", &err), &err, "check");
    teststore_ok(take(room.checks, 42, 11, 6, &acknowledged, &err), &err, "after a restart");
    test_ok(acknowledged == 16 && fed_count == 1 && stored(&room, "42") == 16 && !missing, "one is new");
    teststore_ok(take(room.checks, 42, 20, 2, &acknowledged, &err), &err, "17 to 19 never came");
    test_ok(acknowledged == 21 && missing == 3, "three are missing: %d", (int)missing);
    teststore_ok(take(room.checks, 42, 20, 2, &acknowledged, &err), &err, "again");
    test_ok(acknowledged == 21 && !missing, "told once");
    /* a node that does not run the check is acknowledged, and its results are dropped */
    teststore_ok(take(room.checks, 77, 1, 5, &acknowledged, &err), &err, "stranger");
    test_ok(acknowledged == 5 && stored(&room, "77") == 0, "not kept");
    teststore_ok(take(room.checks, CHECK_LOCAL, 1, 5, &acknowledged, &err), &err, "local");
    test_ok(stored(&room, "local") == 5, "our own");
    close_room(&room);
}

static void test_state_and_sets(void **state)
{
    (void)state;
    struct room room = { 0 };
    struct err err = { 0 };
    uint64_t acknowledged;
    json_t *json = NULL;
    clock_test_init(&test_clock, NOW);
    teststore_ok(open_room(&room, NULL, &err), &err, "open");
    teststore_ok(put(room.checks, 1, "[\"42\"]", &err), &err, "check");
    teststore_ok(put(room.checks, 2, "[]", &err), &err, "check");
    test_ok(put(room.checks, 3, "[\"x\"]", &err) == ERR_INVALID && strcmp(err.at.pointer, "/nodes") == 0,
            "bad node");
    teststore_ok(checks_of_node(room.checks, 42, 0, 0, &json, &err), &err, "set");
    const int64_t version = json_integer_value(json_object_get(json, "version"));
    test_ok(json_array_size(json_object_get(json, "checks")) == 1 && version > 0, "its own only");
    json_decref(json);
    teststore_ok(checks_of_node(room.checks, 42, version, 10, &json, &err), &err, "no news");
    test_ok(json == NULL, "nothing new");
    teststore_ok(take(room.checks, 42, 1, 3, &acknowledged, &err), &err, "results");
    teststore_ok(checks_state(room.checks, 1, &json, &err), &err, "state");
    const json_t *place = json_array_get(json_object_get(json, "nodes"), 0);
    test_ok(json_is_true(json_object_get(place, "up")) &&
                json_integer_value(json_object_get(json_object_get(place, "values"), "total_us")) == 3,
            "the newest");
    json_decref(json);
    teststore_ok(put(room.checks, 1, "[\"1\"]", &err), &err, "moved");
    teststore_ok(checks_of_node(room.checks, 42, version, 0, &json, &err), &err, "set");
    test_ok(json_array_size(json_object_get(json, "checks")) == 0, "taken off");
    json_decref(json);
    teststore_ok(checks_state(room.checks, 1, &json, &err), &err, "state");
    place = json_array_get(json_object_get(json, "nodes"), 0);
    test_ok(json_is_null(json_object_get(place, "up")), "unknown at the new place");
    json_decref(json);
    checks_remove(room.checks, 1);
    test_ok(checks_state(room.checks, 1, &json, &err) == ERR_NOT_FOUND && checks_count(room.checks) == 1,
            "gone");
    close_room(&room);
}

static void send_one(struct checks *checks, int64_t id, int second, enum collect_cause cause)
{
    struct collect_result result = { .check_id = id, .at_ms = NOW + second * 1000, .cause = (uint8_t)cause };
    checks_sink(checks, &result, 1);
}

/* Live pages hear of each change of state or cause once, and of nothing else. */
static void test_turns(void **state)
{
    (void)state;
    struct room room = { 0 };
    struct err err = { 0 };
    clock_test_init(&test_clock, NOW);
    teststore_ok(open_room(&room, NULL, &err), &err, "open");
    teststore_ok(put(room.checks, 1, "[\"1\"]", &err), &err, "check");
    send_one(room.checks, 1, 1, CAUSE_NONE);
    send_one(room.checks, 1, 2, CAUSE_NONE);
    send_one(room.checks, 1, 3, CAUSE_TIMEOUT);
    send_one(room.checks, 1, 4, CAUSE_TIMEOUT);
    send_one(room.checks, 1, 5, CAUSE_REFUSED);
    send_one(room.checks, 1, 4, CAUSE_NONE); /* late: not news */
    send_one(room.checks, 1, 6, CAUSE_LOCAL);
    send_one(room.checks, 1, 7, CAUSE_NONE);
    static const struct {
        int state;
        const char *cause;
    } want[] = { { CHECK_UP, "" },
                 { CHECK_DOWN, "timeout" },
                 { CHECK_DOWN, "refused" },
                 { CHECK_NO_DATA, "local" },
                 { CHECK_UP, "" } };
    assert_int_equal(turns_count, 5);
    for (int i = 0; i < 5; i++)
        test_ok((int)turns[i].state == want[i].state && strcmp(turns[i].cause, want[i].cause) == 0 &&
                    turns[i].id == 1,
                "turn %d: %d %s", i, (int)turns[i].state, turns[i].cause);
    /* a hundred by name, then that there are more */
    struct collect_result results[CHECK_TURNS_MAX + 20] = { 0 };
    for (int i = 0; i < CHECK_TURNS_MAX + 20; i++) {
        teststore_ok(put(room.checks, 100 + i, "[\"1\"]", &err), &err, "check");
        results[i] = (struct collect_result) { .check_id = 100 + i, .at_ms = NOW + 9000 };
    }
    turns_count = 0;
    checks_sink(room.checks, results, CHECK_TURNS_MAX + 20);
    test_ok(turns_count == CHECK_TURNS_MAX + 1 && turns[CHECK_TURNS_MAX].id == 0, "many: %d", turns_count);
    close_room(&room);
}

/* What was known of a check is known again after a restart; what is newer wins, and what is the same is no
 * news. */
static void test_states_survive(void **state)
{
    (void)state;
    struct room room = { 0 };
    struct err err = { 0 };
    char path[400];
    json_t *json = NULL;
    clock_test_init(&test_clock, NOW);
    teststore_ok(open_room(&room, NULL, &err), &err, "open");
    (void)snprintf(path, sizeof path, "%s/states.json", room.dir);
    for (int id = 1; id <= 3; id++)
        teststore_ok(put(room.checks, id, "[\"1\"]", &err), &err, "check");
    send_one(room.checks, 1, 1, CAUSE_NONE);
    send_one(room.checks, 1, 2, CAUSE_TIMEOUT);
    send_one(room.checks, 1, 3, CAUSE_TIMEOUT);
    send_one(room.checks, 2, 3, CAUSE_REFUSED);
    send_one(room.checks, 3, 3, CAUSE_NONE);
    test_ok(checks_turned(room.checks) && !checks_turned(room.checks), "something turned, once");
    teststore_ok(states_save(NULL, path, room.checks, &err), &err, "save");
    close_room(&room);

    teststore_ok(open_room(&room, NULL, &err), &err, "open again");
    teststore_ok(put(room.checks, 1, "[\"1\"]", &err), &err, "check");
    teststore_ok(put(room.checks, 2, "[\"1\"]", &err), &err, "check");
    send_one(room.checks, 2, 9, CAUSE_REFUSED); /* faster than the file */
    turns_count = 0;
    teststore_ok(states_load(path, room.checks, &err), &err, "load");
    test_ok(turns_count == 0, "nothing is told");
    teststore_ok(checks_state(room.checks, 1, &json, &err), &err, "state");
    const json_t *place = json_array_get(json_object_get(json, "nodes"), 0);
    int64_t since = 0;
    test_ok(json_is_false(json_object_get(place, "up")) &&
                strcmp(json_string_value(json_object_get(place, "cause")), "timeout") == 0 &&
                !clock_parse(str_from(json_string_value(json_object_get(place, "since"))), &since, &err) &&
                since == NOW + 2000,
            "down by timeout since the second result: %lld", (long long)(since - NOW));
    json_decref(json);
    teststore_ok(checks_state(room.checks, 2, &json, &err), &err, "state");
    place = json_array_get(json_object_get(json, "nodes"), 0);
    int64_t at = 0;
    test_ok(!clock_parse(str_from(json_string_value(json_object_get(place, "at"))), &at, &err) &&
                at == NOW + 9000 &&
                !clock_parse(str_from(json_string_value(json_object_get(place, "since"))), &since, &err) &&
                since == NOW + 3000,
            "the newer result, down for as long as before: %lld", (long long)(since - NOW));
    json_decref(json);
    test_ok(checks_state(room.checks, 3, &json, &err) == ERR_NOT_FOUND, "a check that is gone stays gone");
    turns_count = 0;
    send_one(room.checks, 1, 10, CAUSE_TIMEOUT);
    test_ok(turns_count == 0, "the same again is no news");
    send_one(room.checks, 1, 11, CAUSE_NONE);
    test_ok(turns_count == 1, "up is");
    static const char damaged[] = "{\"places\":[{\"node\":7}]}";
    teststore_ok(disk_replace(NULL, path, damaged, sizeof damaged - 1, &err), &err, "damage");
    test_ok(states_load(path, room.checks, &err) == ERR_CORRUPT, "damaged: %s", err.id);
    (void)unlink(path);
    teststore_ok(states_load(path, room.checks, &err), &err, "none");
    close_room(&room);
}

static void test_full_disk_still_tells(void **state)
{
    (void)state;
    struct room room = { 0 };
    struct err err = { 0 };
    uint64_t acknowledged = 0;
    struct disk *disk = disk_faulty_new(1);
    clock_test_init(&test_clock, NOW);
    teststore_ok(open_room(&room, disk, &err), &err, "open");
    teststore_ok(put(room.checks, 1, "[\"42\"]", &err), &err, "check");
    disk_full_set(disk, true);
    test_ok(take(room.checks, 42, 1, 3, &acknowledged, &err) == ERR_DISK_FULL && fed_count == 3,
            "detection goes on, the node keeps its results");
    disk_full_set(disk, false);
    teststore_ok(take(room.checks, 42, 1, 3, &acknowledged, &err), &err, "sent again");
    test_ok(acknowledged == 3 && stored(&room, "42") == 3, "nothing is lost");
    close_room(&room);
    disk_faulty_free(disk);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct room room = { 0 };
        struct err err = { 0 };
        uint64_t acknowledged = 0;
        clock_test_init(&test_clock, NOW);
        const long live = mem_live();
        mem_fail_at(nth);
        enum err_code rc = open_room(&room, NULL, &err);
        if (!rc)
            rc = put(room.checks, 1, "[\"42\"]", &err);
        if (!rc)
            rc = take(room.checks, 42, 1, 2, &acknowledged, &err);
        mem_fail_at(-1);
        const bool whole = !rc;
        if (room.checks && !rc) /* the rest must go on as if nothing had been */
            test_ok(take(room.checks, 42, 3, 2, &acknowledged, &err) == ERR_OK && acknowledged == 4,
                    "goes on");
        close_room(&room);
        test_ok(mem_live() == live && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld: %d", nth,
                (int)rc);
        if (whole && nth > 100)
            return;
    }
}

static void test_results_as_json(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "{\"check\":1,\"at\":1,\"values\":{}}",
        "{\"check\":\"0\",\"at\":1,\"values\":{}}",
        "{\"check\":\"-1\",\"at\":1,\"values\":{}}",
        "{\"check\":\"1\",\"at\":\"x\",\"values\":{}}",
        "{\"check\":\"1\",\"at\":1,\"values\":[]}",
        "{\"check\":\"1\",\"at\":1,\"values\":{\"up\":true}}",
        "{\"check\":\"1\",\"at\":1,\"values\":{},\"cause\":\"bored\"}",
        "{\"check\":\"1\",\"at\":-5,\"values\":{}}",
    };
    struct collect_result in = { .check_id = 77,
                                 .version = 3,
                                 .at_ms = NOW,
                                 .lag_us = 12,
                                 .present = 1u << COLLECT_UP,
                                 .cause = CAUSE_STATUS,
                                 .step = 2,
                                 .detail = "status 500",
                                 .subject = "a; b; 2027-01-01" };
    struct collect_result out = { 0 };
    struct err err;
    json_t *json = result_to_json(&in);
    test_ok(json && result_from_json(json, &out, &err) == ERR_OK, "there and back");
    test_ok(out.check_id == 77 && out.at_ms == NOW && out.cause == CAUSE_STATUS && out.step == 2 &&
                out.present == in.present && strcmp(out.detail, in.detail) == 0 &&
                strcmp(out.subject, in.subject) == 0,
            "the same");
    json_decref(json);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json = json_loads(bad[i], 0, NULL);
        test_ok(json && result_from_json(json, &out, &err) == ERR_INVALID, "%s", bad[i]);
        json_decref(json);
    }
}

static void test_nodes(void **state)
{
    (void)state;
    struct store *store = teststore_new();
    struct nodes *nodes = NULL;
    struct err err = { 0 };
    struct ids ids;
    char token[NODE_TOKEN_SIZE], key[NODE_KEY_SIZE], second[NODE_KEY_SIZE];
    int64_t id = 0, who = 0;
    clock_test_init(&test_clock, NOW);
    ids_init(&ids, &test_clock, 1);
    teststore_ok(nodes_open(store, &ids, &test_clock, NULL, &nodes, &err), &err, "open");
    teststore_ok(nodes_create(nodes, STR(" east "), NULL, &id, token, &err), &err, "create");
    test_ok(nodes_create(nodes, STR("east"), NULL, &who, second, &err) == ERR_CONFLICT, "the name is taken");
    test_ok(nodes_create(nodes, STR("  "), NULL, &who, second, &err) == ERR_INVALID, "no name");
    test_ok(nodes_register(nodes, STR("x"), STR("1"), STR("::1"), &who, key, &err) == ERR_NO_LOGIN,
            "no token");
    test_clock.test_ms += NODE_TOKEN_MS;
    test_ok(nodes_register(nodes, str_from(token), STR("1"), STR("::1"), &who, key, &err) == ERR_NO_LOGIN,
            "too old");
    test_clock.test_ms -= NODE_TOKEN_MS;
    teststore_ok(nodes_register(nodes, str_from(token), STR("1"), STR("::1"), &who, key, &err), &err,
                 "register");
    test_ok(who == id && nodes_register(nodes, str_from(token), STR("1"), STR("::1"), &who, second, &err) ==
                             ERR_NO_LOGIN,
            "only once");
    teststore_ok(nodes_check(nodes, str_from(key), &who, &err), &err, "key");
    test_ok(who == id && nodes_check(nodes, STR("1."), &who, &err) == ERR_NO_LOGIN &&
                nodes_check(nodes, STR("nonsense"), &who, &err) == ERR_NO_LOGIN,
            "no other key");
    test_ok(nodes_seen(nodes, id, NOW + 4000, STR("::1"), 0, 0) == 0 &&
                nodes_seen(nodes, id, NOW + 60000, STR("::1"), 0, 0) == -60000,
            "skew beyond 5 s is corrected");
    nodes_close(nodes);
    teststore_ok(nodes_open(store, &ids, &test_clock, NULL, &nodes, &err), &err, "open again");
    teststore_ok(nodes_check(nodes, str_from(key), &who, &err), &err, "key after a restart");
    teststore_ok(nodes_token(nodes, id, NULL, token, &err), &err, "a new token");
    teststore_ok(nodes_check(nodes, str_from(key), &who, &err), &err, "the old key until then");
    teststore_ok(nodes_register(nodes, str_from(token), STR("1"), STR("::1"), &who, second, &err), &err,
                 "register");
    test_ok(nodes_check(nodes, str_from(key), &who, &err) == ERR_NO_LOGIN, "not after it");
    for (long nth = 0; nth < 4; nth++) { /* a statement that fails leaves what was */
        store_fail_at(store, nth, ERR_STORE);
        const enum err_code rc = nodes_token(nodes, id, NULL, token, &err);
        store_fail_at(store, -1, ERR_OK);
        test_ok(rc == ERR_STORE || rc == ERR_OK, "statement %ld", nth);
        teststore_ok(nodes_check(nodes, str_from(second), &who, &err), &err, "the key stands");
    }
    /* a gap is told while SQL is away, and is there when it is back */
    json_t *gaps = NULL;
    const struct node_gap gap = { .epoch = 7, .first = 11, .count = 5, .until_ms = NOW + 16000 };
    nodes_acknowledged(nodes, id, 10, NOW + 10000);
    store_fail_at(store, 0, ERR_STORE);
    nodes_gap(nodes, id, &gap);
    store_fail_at(store, -1, ERR_OK);
    teststore_ok(nodes_gaps_json(nodes, id, &gaps, &err), &err, "gaps");
    const json_t *one = json_array_get(json_object_get(gaps, "items"), 0);
    test_ok(json_array_size(json_object_get(gaps, "items")) == 1 &&
                json_integer_value(json_object_get(one, "count")) == 5 &&
                json_string_value(json_object_get(one, "from")) &&
                json_string_value(json_object_get(one, "until")),
            "one gap of five, with its two ends");
    json_decref(gaps);
    test_ok(nodes_gaps_json(nodes, 17, &gaps, &err) == ERR_NOT_FOUND, "of no node");
    test_ok(nodes_remove(nodes, 1, NULL, &err) == ERR_NOT_FOUND, "this server is not removed");
    teststore_ok(nodes_remove(nodes, id, NULL, &err), &err, "remove");
    test_ok(nodes_check(nodes, str_from(second), &who, &err) == ERR_NO_LOGIN &&
                nodes_remove(nodes, id, NULL, &err) == ERR_NOT_FOUND,
            "gone");
    nodes_close(nodes);
    store_close(store);
}

TEST_MAIN(TEST(test_each_result_counts_once), TEST(test_state_and_sets), TEST(test_turns),
          TEST(test_states_survive), TEST(test_full_disk_still_tells), TEST(test_out_of_memory),
          TEST(test_results_as_json), TEST(test_nodes))
