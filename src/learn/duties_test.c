/* duties_test.c - what is owed over many services, against each service asked alone, on a real store. */
#include "learn/duties.h"
#include "rig.h"
#include "test.h"

#include <stdlib.h>

#define SERVICES 37

struct world {
    struct rig rig;
    int64_t services[SERVICES];
    int64_t today;
};

static void begin(struct world *world, const char *zone, const char *now)
{
    *world = (struct world) { .rig = { .shipped = "ops", .now = now, .zone = zone } };
    rig_begin(&world->rig);
    world->today = zone_day(world->rig.days, world->rig.clock.test_ms);
}

static int64_t deed(struct world *world, int64_t service, int64_t duty, const char *happened_at)
{
    return rig_add(&world->rig, NULL, "ops.deed",
                   "{\"subject\":\"%lld\",\"duty\":\"%lld\",\"result\":\"normal\",\"happened_at\":\"%s\"}",
                   (long long)service, (long long)duty, happened_at);
}

static int64_t service_from(struct world *world, const char *code, const char *table, const char *valid_from)
{
    return rig_add(&world->rig, NULL, "ops.service",
                   "{\"code\":\"%s\",\"name\":\"%s\",\"general_table\":\"%s\",\"valid_from\":\"%s\"}", code,
                   code, table, valid_from);
}

/* ---- asked alone: the other way to the same answer ---- */

struct alone {
    struct world *world;
    int64_t service;
    struct duty_of *duties;
    int count;
};

static enum err_code alone_fn(struct tx *tx, void *arg, struct err *err)
{
    struct alone *alone = arg;
    const struct entity_call call = { .entity = alone->world->rig.entity, .arena = alone->world->rig.arena };
    struct duty_rules *rules = NULL;
    json_t *record = NULL;
    enum err_code rc = duty_rules_load(&call, alone->world->rig.days, tx, &rules, err);
    if (!rc)
        rc = entity_get(&call, tx, entity_type_find(alone->world->rig.entity, "ops.service"), alone->service,
                        &record, err);
    if (!rc)
        rc = duties_of(rules, tx, record, alone->service, alone->world->today, alone->world->rig.arena,
                       &alone->duties, &alone->count, err);
    json_decref(record);
    return rc;
}

static struct alone ask_alone(struct world *world, int64_t service)
{
    struct alone alone = { .world = world, .service = service };
    struct err err = { 0 };
    teststore_ok(store_read(world->rig.store, alone_fn, &alone, &err), &err, "alone");
    return alone;
}

struct together {
    struct world *world;
    struct duties_page page;
};

static enum err_code together_fn(struct tx *tx, void *arg, struct err *err)
{
    struct together *together = arg;
    const struct entity_call call = { .entity = together->world->rig.entity,
                                      .arena = together->world->rig.arena };
    struct duty_rules *rules = NULL;
    const enum err_code rc = duty_rules_load(&call, together->world->rig.days, tx, &rules, err);
    return rc ? rc : duties_owed(rules, &call, tx, &together->page, err);
}

static enum err_code ask(struct world *world, int limit, bool due, bool overdue, struct str after,
                         struct duties_page *out, struct err *err)
{
    struct together together = {
        .world = world,
        .page = { .today = world->today, .due = due, .overdue = overdue, .limit = limit, .after = after }
    };
    const enum err_code rc = store_read(world->rig.store, together_fn, &together, err);
    *out = together.page;
    return rc;
}

/* Services of all kinds, with rules and deeds by chance. */
static void fill(struct world *world)
{
    static const char *const tables[] = { "*business", "*link", "*wx" };
    unsigned seed = 7;
    begin(world, "", "2026-11-30T09:00:00+08:00"); /* the last day of its month */
    const int64_t inspection = rig_add(&world->rig, NULL, "ops.duty",
                                       "{\"code\":\"g1\",\"name\":\"general inspection\",\"kind\":"
                                       "\"inspection\",\"general\":\"*business\",\"interval\":\"P1M\"}");
    const int64_t link = rig_add(&world->rig, NULL, "ops.duty",
                                 "{\"code\":\"g2\",\"name\":\"line inspection\",\"kind\":\"inspection\","
                                 "\"general\":\"*link\",\"interval\":\"P1W/2\"}");
    for (int i = 0; i < SERVICES; i++) {
        char code[16], day[32];
        (void)snprintf(code, sizeof code, "s%02d", i);
        world->services[i] = service_from(world, code, tables[i % 3], i % 5 ? "2026-08-01" : "2026-11-20");
        int64_t own = 0;
        if (i % 4 == 0)
            own = rig_add(&world->rig, NULL, "ops.duty",
                          "{\"code\":\"o%d\",\"name\":\"own\",\"kind\":\"%s\",\"service\":\"%lld\","
                          "\"interval\":\"P1M\"}",
                          i, i % 8 ? "deliverable" : "inspection", (long long)world->services[i]);
        if (i % 5 == 0)
            (void)deed(world, world->services[i], inspection, "2026-11-25T10:00:00+08:00");
        for (int k = 0; k < i % 7; k++) {
            seed = seed * 1103515245 + 12345;
            (void)snprintf(day, sizeof day, "2026-%02u-%02uT10:00:00+08:00", 8 + (seed >> 16) % 3,
                           1 + (seed >> 20) % 28);
            (void)deed(world, world->services[i], own && k % 2 ? own : i % 3 == 1 ? link : inspection, day);
        }
    }
}

static void test_together_as_alone(void **state)
{
    struct world world;
    struct duties_page page;
    struct err err = { 0 };
    int due = 0, overdue = 0, matched = 0, done = 0, today = 0;
    (void)state;
    fill(&world);
    teststore_ok(ask(&world, 1000, true, true, STR(""), &page, &err), &err, "all");
    for (int i = 0; i < SERVICES; i++) {
        const struct alone alone = ask_alone(&world, world.services[i]);
        for (int k = 0; k < alone.count; k++) {
            const struct duty_of *duty = &alone.duties[k];
            if (!duty->answer.overdue && !duty->answer.due) {
                done += !duty->every.by_event;
                continue;
            }
            today += !duty->answer.overdue && duty_day(duty) <= world.today;
            overdue += duty->answer.overdue > 0;
            due += !duty->answer.overdue;
            for (int p = 0; p < page.count; p++)
                matched += page.items[p].duty.id == duty->id && page.items[p].duty.service == duty->service &&
                           page.items[p].duty.answer.overdue == duty->answer.overdue &&
                           page.items[p].day == duty_day(duty);
        }
    }
    test_ok(due > 2 && overdue > 2 && done > 0 && today > 0,
            "the case is no empty one: %d due, %d overdue, %d done, %d today", due, overdue, done, today);
    assert_int_equal(page.count, due + overdue);
    assert_int_equal(matched, due + overdue);
    assert_int_equal(page.due_total, due);
    assert_int_equal(page.overdue_total, overdue);
    assert_int_equal(page.done_total, done);
    assert_int_equal(page.due_today, today);
    test_ok(!page.next.len, "nothing is left");
    test_ok(str_starts(page.items[0].service_name, STR("s")), "it knows whose it is");
    rig_end(&world.rig);
}

static void test_pages(void **state)
{
    struct world world;
    struct duties_page whole, page;
    struct err err = { 0 };
    (void)state;
    fill(&world);
    for (int which = 0; which < 3; which++) {
        const bool due = which != 1, overdue = which != 2;
        teststore_ok(ask(&world, 1000, due, overdue, STR(""), &whole, &err), &err, "whole");
        assert_int_equal(whole.count, (due ? whole.due_total : 0) + (overdue ? whole.overdue_total : 0));
        for (int limit = 1; limit <= 20; limit += 6) {
            struct str after = STR("");
            int seen = 0;
            do {
                teststore_ok(ask(&world, limit, due, overdue, after, &page, &err), &err, "page");
                assert_int_equal(page.due_total, whole.due_total);
                for (int i = 0; i < page.count; i++, seen++)
                    test_ok(seen < whole.count && page.items[i].duty.id == whole.items[seen].duty.id &&
                                page.items[i].duty.service == whole.items[seen].duty.service,
                            "the %dth, by %d", seen, limit);
                test_ok(page.count == limit || !page.next.len, "only the last is short");
                after = page.next;
            } while (after.len);
            assert_int_equal(seen, whole.count);
        }
    }
    for (int i = 1; i < whole.count; i++)
        test_ok(whole.items[i - 1].day <= whole.items[i].day, "in the order of days");
    const char *const bad[] = { "x", "1", "1.2.3", "1.2.3.x", "1.2.3." };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        test_ok(ask(&world, 10, true, true, str_from(bad[i]), &page, &err) == ERR_INVALID, "%s", bad[i]);
    rig_end(&world.rig);
}

/* A correction takes the place of what it names. */
static void test_superseded(void **state)
{
    struct world world;
    struct duties_page page;
    struct err err = { 0 };
    (void)state;
    begin(&world, "", "2026-11-10T09:00:00+08:00");
    const int64_t service = service_from(&world, "s", "*business", "2026-11-01");
    const int64_t duty =
        rig_add(&world.rig, NULL, "ops.duty",
                "{\"code\":\"d\",\"name\":\"d\",\"kind\":\"deliverable\",\"service\":\"%lld\","
                "\"interval\":\"P1M\"}",
                (long long)service);
    const int64_t wrong = deed(&world, service, duty, "2026-11-05T10:00:00+08:00");
    teststore_ok(ask(&world, 10, true, true, STR(""), &page, &err), &err, "done");
    assert_int_equal(page.count, 0);
    (void)rig_add(&world.rig, NULL, "ops.deed",
                  "{\"subject\":\"%lld\",\"duty\":\"%lld\",\"result\":\"normal\",\"happened_at\":"
                  "\"2026-10-31T10:00:00+08:00\",\"supersedes\":\"%lld\"}",
                  (long long)service, (long long)duty, (long long)wrong);
    teststore_ok(ask(&world, 10, true, true, STR(""), &page, &err), &err, "was done in another month");
    assert_int_equal(page.due_total, 1);
    assert_int_equal(ask_alone(&world, service).duties[0].answer.due, 1);
    rig_end(&world.rig);
}

/* The same deed lies in another month elsewhere, also over the end of summer time. */
static void test_zones(void **state)
{
    static const struct {
        const char *zone, *now, *deed;
        bool done; /* in the month of now */
    } cases[] = {
        { "Asia/Shanghai", "2026-11-10T09:00:00+08:00", "2026-10-31T16:30:00Z", true }, /* 00:30 of the 1st */
        { "Asia/Shanghai", "2026-11-10T09:00:00+08:00", "2026-10-31T15:30:00Z", false }, /* 23:30 */
        { "Europe/Berlin", "2026-11-10T09:00:00+01:00", "2026-10-31T23:30:00Z", true },  /* winter: +1 */
        { "Europe/Berlin", "2026-11-10T09:00:00+01:00", "2026-10-31T22:30:00Z", false },
        { "Europe/Berlin", "2026-07-10T09:00:00+02:00", "2026-06-30T22:30:00Z", true }, /* summer: +2 */
        { "Europe/Berlin", "2026-07-10T09:00:00+02:00", "2026-06-30T21:30:00Z", false },
        { "America/New_York", "2026-11-10T09:00:00-05:00", "2026-11-01T03:30:00Z", false }, /* still summer */
        { "America/New_York", "2026-11-10T09:00:00-05:00", "2026-11-01T04:30:00Z", true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world world;
        struct duties_page page;
        struct err err = { 0 };
        begin(&world, cases[i].zone, cases[i].now);
        char first[DAY_TEXT_SIZE];
        day_text(day_month_start(world.today, 0), first);
        const int64_t service = service_from(&world, "s", "*business", first);
        const int64_t duty = rig_add(&world.rig, NULL, "ops.duty",
                                     "{\"code\":\"d\",\"name\":\"d\",\"kind\":\"deliverable\",\"service\":"
                                     "\"%lld\",\"interval\":\"P1M\"}",
                                     (long long)service);
        (void)deed(&world, service, duty, cases[i].deed);
        teststore_ok(ask(&world, 10, true, true, STR(""), &page, &err), &err, "owed");
        test_ok(page.due_total == !cases[i].done, "%s in %s", cases[i].deed, cases[i].zone);
        rig_end(&world.rig);
    }
}

TEST_MAIN(TEST(test_together_as_alone), TEST(test_pages), TEST(test_superseded), TEST(test_zones))
