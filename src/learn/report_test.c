/* report_test.c - the figures of a month from a real store, and the same figures in all three forms. */
#include "base/xml.h"
#include "handle/flow/case_sql.h"
#include "handle/handle.h"
#include "learn/report.h"
#include "observe/series/series.h"
#include "rig.h"
#include "test.h"

#include <unistd.h>

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)

/* What fontconfig keeps for the life of the process is not ours. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\nleak:libpango\nleak:libcairo";
}

struct world {
    struct rig rig;
    struct handle *handle;
    struct series_store *series;
    struct learn *learn;
    int64_t service, check, host;
    char dir[300];
};

static bool stands_on(void *ctx, int64_t subject, int64_t base, int64_t at_ms)
{
    const struct world *world = ctx;
    (void)at_ms;
    return subject == world->service && base == world->host;
}

/* A learn whose days are those of `zone`. */
static struct learn *learn_in(struct world *world, const struct zone *zone)
{
    const struct learn_config config = { .store = world->rig.store,
                                         .entity = world->rig.entity,
                                         .series = world->series,
                                         .clock = &world->rig.clock,
                                         .words = world->rig.words,
                                         .zone = zone,
                                         .stands_on = stands_on,
                                         .stands_ctx = world };
    struct learn *learn = NULL;
    struct err err = { 0 };
    test_ok(!learn_new(&config, &learn, &err), "%s", err.id);
    return learn;
}

static void begin(struct world *world)
{
    struct err err = { 0 };
    *world =
        (struct world) { .rig = { .shipped = "ops", .now = "2026-11-10T09:00:00+08:00", .worded = true } };
    xml_init();
    rig_begin(&world->rig);
    world->service = rig_add(&world->rig, NULL, "ops.service",
                             "{\"code\":\"s1\",\"name\":\"门户网站\",\"general_table\":\"*business\"}");
    (void)rig_add(&world->rig, NULL, "ops.sla",
                  "{\"code\":\"g1\",\"general_table\":\"*business\",\"level\":\"1\",\"calendar\":"
                  "\"always\",\"respond_min\":10,\"restore_min\":60}");
    world->check = rig_add(&world->rig, NULL, "ops.check",
                           "{\"name\":\"首页\",\"kind\":\"http\",\"service\":\"%lld\",\"subject\":\"%lld\","
                           "\"url\":\"http://127.0.0.1/\"}",
                           (long long)world->service, (long long)world->service);
    const struct handle_config handle = { .store = world->rig.store,
                                          .ids = &world->rig.ids,
                                          .clock = &world->rig.clock,
                                          .words = world->rig.words,
                                          .entity = world->rig.entity,
                                          .packs = world->rig.packs };
    test_ok(!handle_new(&handle, &world->rig.findings, &world->handle, &err), "%s", err.id);
    (void)snprintf(world->dir, sizeof(world->dir), "%s-series", world->rig.root);
    const struct series_config series = { .dir = world->dir, .clock = &world->rig.clock };
    teststore_ok(series_open(&series, &world->series, &err), &err, "series");
    world->learn = learn_in(world, NULL);
}

static void end(struct world *world)
{
    learn_free(world->learn);
    series_close(world->series);
    handle_free(world->handle);
    rig_end(&world->rig);
}

/* A sample a minute of the last `minutes`; the first `down` of them are failures. */
static void samples(struct world *world, int minutes, int down)
{
    static struct series_sample list[3000];
    char id[24];
    const struct series_label labels[] = { { STR("check"), { id, 0 } },
                                           { STR("metric"), STR("up") },
                                           { STR("node"), STR("local") } };
    struct series_label with[3] = { labels[0], labels[1], labels[2] };
    struct err err = { 0 };
    int64_t series;
    with[0].value.len = (size_t)snprintf(id, sizeof(id), "%lld", (long long)world->check);
    teststore_ok(series_id(world->series, with, 3, &series, &err), &err, "series id");
    for (int i = 0; i < minutes; i++)
        list[i] = (struct series_sample) { .id = series,
                                           .at_ms = world->rig.clock.test_ms - (minutes - i) * MINUTE,
                                           .kind = SERIES_I64,
                                           .status = SERIES_GOOD,
                                           .i64 = i >= down };
    const struct series_batch batch = { .samples = list, .count = (size_t)minutes };
    teststore_ok(series_append(world->series, &batch, NULL, &err), &err, "append");
}

static enum err_code alarm_fn(struct tx *tx, void *arg, struct err *err)
{
    struct world *world = arg;
    char table[STORE_NAME_SIZE];
    struct str sql;
    const int64_t now = world->rig.clock.test_ms;
    enum err_code rc = tx_period(tx, "alarm", now, table, err);
    if (rc)
        return rc;
    sql = arena_printf(
        tx_arena(tx),
        "INSERT INTO %s (id, alarm_key, subject, source, service, org, grade, title, value, state, "
        "hold, hold_by, count, opened_ms, last_ms, cleared_ms, acked_ms, acked_by, told_ms, closed_ms, "
        "escalated, flaps) VALUES (%lld, 'k', 0, 0, %lld, 0, 2, '首页打不开', '', 'closed', 'free', 0, 3, "
        "%lld, %lld, %lld, 0, 0, 0, 0, 0, '');",
        table, (long long)ids_next(&world->rig.ids), (long long)world->service, (long long)now,
        (long long)now, (long long)now + 12 * MINUTE);
    return tx_exec(tx, sql.ptr, err);
}

static const struct report *report_of(struct world *world, const char *month)
{
    const struct report *report = NULL;
    struct err err = { 0 };
    teststore_ok(learn_report(world->learn, NULL, LANG_ZH, world->service, str_from(month), world->rig.arena,
                              &report, &err),
                 &err, "report");
    return report;
}

static void test_month(void **state)
{
    struct world world;
    struct err err = { 0 };
    (void)state;
    begin(&world);
    samples(&world, 1000, 10);
    teststore_ok(store_write(world.rig.store, alarm_fn, &world, &err), &err, "alarm");
    (void)rig_add(&world.rig, NULL, "ops.ticket", "{\"title\":\"a\",\"level\":\"1\",\"service\":\"%lld\"}",
                  (long long)world.service);
    world.rig.clock.test_ms += 2 * HOUR; /* both clocks of it are broken */
    (void)rig_add(&world.rig, NULL, "ops.ticket", "{\"title\":\"b\",\"level\":\"1\",\"service\":\"%lld\"}",
                  (long long)world.service);

    const struct report *report = report_of(&world, "2026-11");
    assert_int_equal(report->days_count, 30);
    assert_int_equal(report->total, 1000);
    assert_int_equal(report->up, 990);
    /* the night before 09:00 of the 10th: 540 samples of that day in China, the others of the 9th */
    assert_int_equal(report->days[9].total, 540);
    assert_int_equal(report->days[8].total, 460);
    assert_int_equal(report->days[8].up, 450);
    assert_int_equal(report->checks_count, 1);
    test_ok(str_eq(report->checks[0].name, STR("首页")), "name of the check: %.*s",
            STR_ARG(report->checks[0].name));
    assert_int_equal(report->alarms_total, 1);
    assert_int_equal(report->days[9].alarms, 1);
    assert_int_equal(report->by_grade[1], 1);
    assert_int_equal(report->tickets_total, 2);
    assert_int_equal(report->open, 2);
    assert_int_equal(report->missed, 2); /* of the first ticket, though no tick has told yet */
    assert_int_equal(report->clocks[SLA_RESPOND].running, 1);
    assert_int_equal(report_of(&world, "2026-10")->total, 0);
    assert_int_equal(report_of(&world, "")->total, 1000); /* this month */

    /* the same figures in all forms */
    const struct report_view view = { world.rig.words, LANG_ZH, world.rig.arena };
    json_t *json = NULL;
    struct buf bytes;
    test_ok(!report_json(report, &view, &json, &err), "%s", err.id);
    test_ok(json_real_value(json_object_get(json_object_get(json, "summary"), "availability")) == 99.0,
            "availability");
    assert_int_equal(json_array_size(json_object_get(json, "days")), 30);
    test_ok(json_is_null(json_object_get(json_array_get(json_object_get(json, "days"), 0), "availability")),
            "a day without samples is no 100 %%");
    json_decref(json);
    buf_init(&bytes, 32 << 20);
    test_ok(!report_paper(report, &view, &bytes, &err), "%s", err.id);
    test_ok(str_starts(buf_get(&bytes), STR("%PDF-")), "PDF");
    const char *keep = getenv("REPORT_TEST_FILE");
    FILE *file = keep ? fopen(keep, "w") : NULL;
    if (file) {
        (void)fwrite(bytes.ptr, 1, bytes.len, file);
        (void)fclose(file);
    }
    buf_clear(&bytes);
    test_ok(!report_sheet(report, &view, &bytes, &err), "%s", err.id);
    test_ok(str_starts(buf_get(&bytes), STR("PK")) &&
                str_find(buf_get(&bytes), STR("xl/charts/chart2.xml")) > 0,
            "a workbook with two charts");
    buf_done(&bytes);
    end(&world);
}

struct patch {
    struct world *world;
    const char *json;
};

static enum err_code patch_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct patch *patch = arg;
    const struct entity_call call = { .entity = patch->world->rig.entity, .arena = tx_arena(tx) };
    json_t *fields = json_loads(patch->json, 0, NULL);
    int64_t version;
    const enum err_code rc =
        entity_update(&call, tx, entity_type_find(patch->world->rig.entity, "ops.service"),
                      patch->world->service, 0, fields, &version, err);
    json_decref(fields);
    return rc;
}

/* 1,000 samples up to the 10th 09:00, the first ten down (from the 9th 16:20 on). */
static void test_maintenance(void **state)
{
    static const struct {
        const char *what, *json;
        int64_t total, up, maint;
    } cases[] = {
        { "of the service",
          "\"service\":\"S\",\"begins\":\"2026-11-09T16:00:00+08:00\",\"ends\":"
          "\"2026-11-09T16:30:00+08:00\"",
          990, 990, 10 },
        { "overlapping it",
          "\"service\":\"S\",\"begins\":\"2026-11-09T16:15:00+08:00\",\"ends\":"
          "\"2026-11-09T16:40:00+08:00\"",
          980, 980, 20 },
        { "over midnight, of the subject",
          "\"subject\":\"S\",\"begins\":\"2026-11-09T23:30:00+08:00\","
          "\"ends\":\"2026-11-10T00:30:00+08:00\"",
          920, 920, 80 },
        { "of what it stands on",
          "\"subject\":\"H\",\"with_children\":true,\"begins\":"
          "\"2026-11-10T08:00:00+08:00\",\"ends\":\"2026-11-10T12:00:00+08:00\"",
          860, 860, 140 },
        { "of that alone",
          "\"subject\":\"H\",\"with_children\":false,\"begins\":"
          "\"2026-11-10T05:00:00+08:00\",\"ends\":\"2026-11-10T06:00:00+08:00\"",
          860, 860, 140 },
        { "of another service",
          "\"service\":\"H\",\"begins\":\"2026-11-10T05:00:00+08:00\",\"ends\":"
          "\"2026-11-10T06:00:00+08:00\"",
          860, 860, 140 },
    };
    struct world world;
    struct err err = { 0 };
    (void)state;
    begin(&world);
    world.host = rig_add(&world.rig, NULL, "ops.service", "{\"code\":\"h\",\"name\":\"host\"}");
    samples(&world, 1000, 10);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[600], id[24];
        size_t n = 0;
        for (const char *c = cases[i].json; *c; c++) {
            const bool place = (*c == 'S' || *c == 'H') && c[-1] == '"' && c[1] == '"';
            (void)snprintf(id, sizeof(id), "%lld", (long long)(*c == 'S' ? world.service : world.host));
            n += (size_t)snprintf(json + n, sizeof(json) - n, place ? "%s" : "%.1s", place ? id : c);
        }
        (void)rig_add(&world.rig, NULL, "ops.maintenance", "{\"name\":\"w\",%s}", json);
        const struct report *report = report_of(&world, "2026-11");
        test_ok(report->total == cases[i].total && report->up == cases[i].up &&
                    report->maint_total == cases[i].maint,
                "%s: %lld of %lld, %lld left out", cases[i].what, (long long)report->up,
                (long long)report->total, (long long)report->maint_total);
    }
    assert_int_equal(report_of(&world, "2026-11")->checks[0].total, 860);
    struct patch patch = { &world, "{\"maintenance\":\"counted\"}" };
    teststore_ok(store_write(world.rig.store, patch_fn, &patch, &err), &err, "terms");
    const struct report *report = report_of(&world, "2026-11");
    test_ok(report->total == 1000 && report->up == 990 && report->counted, "maintenance counts: %lld of %lld",
            (long long)report->up, (long long)report->total);
    end(&world);
}

static void test_percent(void **state)
{
    static const struct {
        int64_t part, whole;
        const char *want;
    } cases[] = { { 1, 1, "100.00" },
                  { 99999, 100000, "99.99" },
                  { 0, 5, "0.00" },
                  { 0, 0, "" },
                  { 1, 3, "33.33" },
                  { 2, 3, "66.66" },
                  { INT64_C(9000000000000), INT64_C(9000000000001), "99.99" } };
    struct arena *arena = arena_new(1 << 16);
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct str got = report_percent(arena, cases[i].part, cases[i].whole);
        test_ok(str_eq(got, str_from(cases[i].want)), "%.*s, want %s", STR_ARG(got), cases[i].want);
    }
    arena_free(arena);
}

static void test_bad(void **state)
{
    static const char *const months[] = { "2026", "2026-13", "2026-1", "x", "2026-11-01" };
    struct world world;
    (void)state;
    begin(&world);
    for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++) {
        const struct report *report = NULL;
        struct err err = { 0 };
        test_ok(learn_report(world.learn, NULL, LANG_ZH, world.service, str_from(months[i]), world.rig.arena,
                             &report, &err) == ERR_INVALID,
                "%s", months[i]);
        assert_string_equal(err.at.pointer, "/month");
    }
    const struct report *report = NULL;
    struct err err = { 0 };
    assert_int_equal(
        learn_report(world.learn, NULL, LANG_ZH, 12345, STR("2026-11"), world.rig.arena, &report, &err),
        ERR_NOT_FOUND);
    end(&world);
}

/* The same samples fall on other days elsewhere: with summer time, and where the hour begins at half past. */
static void test_zones(void **state)
{
    static const struct {
        const char *zone, *now, *month;
        int minutes; /* of samples before now */
        int day, total;
        int other, other_total;
        const char *from, *to;
    } cases[] = {
        /* the clocks go back in the night to Sunday the 25th of October: that day has 25 hours */
        { "Europe/Berlin", "2026-10-26T00:00:00+01:00", "2026-10", 1600, 24, 25 * 60, 23, 100,
          "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00" },
        /* and forward on the 29th of March: 23 hours */
        { "Europe/Berlin", "2026-03-30T00:00:00+02:00", "2026-03", 1600, 28, 23 * 60, 27, 220,
          "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00" },
        { "Asia/Kolkata", "2026-11-10T02:00:00+05:30", "2026-11", 300, 9, 120, 8, 180,
          "2026-11-01T00:00:00+05:30", "2026-12-01T00:00:00+05:30" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world world;
        struct zone *zone = NULL;
        const struct report *report = NULL;
        struct err err = { 0 };
        begin(&world);
        test_ok(!zone_new(str_from(cases[i].zone), &zone, &err), "%s", cases[i].zone);
        world.rig.clock.test_ms = test_at(cases[i].now);
        samples(&world, cases[i].minutes, 0);
        struct learn *learn = learn_in(&world, zone);
        teststore_ok(learn_report(learn, NULL, LANG_ZH, world.service, str_from(cases[i].month),
                                  world.rig.arena, &report, &err),
                     &err, "report");
        test_ok(report->from_ms == test_at(cases[i].from) && report->to_ms == test_at(cases[i].to),
                "span of %s", cases[i].zone);
        assert_int_equal(report->days[cases[i].day].total, cases[i].total);
        assert_int_equal(report->days[cases[i].other].total, cases[i].other_total);
        assert_int_equal(report->total, cases[i].total + cases[i].other_total);
        test_ok(str_eq(report_instant(report, world.rig.arena, test_at(cases[i].to)),
                       i == 0   ? STR("11-01 00:00")
                       : i == 1 ? STR("04-01 00:00")
                                : STR("12-01 00:00")),
                "an instant on paper is that of the wall");
        learn_free(learn);
        zone_free(zone);
        end(&world);
    }
}

TEST_MAIN(TEST(test_month), TEST(test_maintenance), TEST(test_zones), TEST(test_percent), TEST(test_bad))
