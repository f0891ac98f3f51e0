#include "warn/routing.h"
#include "test.h"

#define DAY INT64_C(86400000)
#define T0 INT64_C(1795190400000) /* 2026-11-21T00:00:00+08:00 */

static void set(struct routing *routing, enum routing_kind kind, int64_t id, const char *text)
{
    struct err err;
    json_t *record = json_loads(text, 0, NULL);
    test_ok(record != NULL, "test data: %s", text);
    test_ok(routing_set(routing, kind, id, record, &err) == ERR_OK, "set");
    json_decref(record);
}

static bool stands_on(void *ctx, int64_t subject, int64_t base, int64_t at_ms)
{
    (void)ctx, (void)at_ms;
    return subject == 2 && base == 1;
}

static struct routing *sample(void)
{
    struct routing *routing = routing_new(stands_on, NULL);
    struct err err;
    const struct routing_person people[] = { { 12, "李工", "li@b", LANG_ZH },
                                             { 11, "王工", "wang@b", LANG_ZH },
                                             { 13, "Chief", "chief@b", LANG_EN } };
    test_ok(routing_people(routing, people, 3, &err) == ERR_OK, "people");
    set(routing, ROUTING_ROTA, 30, "{\"name\":\"值班\",\"fallback\":\"13\"}");
    /* Wang from 08:00 to 20:00 each day, Li nights from Saturday 20:00 each week */
    set(routing, ROUTING_SHIFT, 40,
        "{\"rota\":\"30\",\"person\":\"11\",\"starts_at\":\"2026-11-21T08:00:00+08:00\",\"ends_at\":\"2026-"
        "11-21T20:00:00+08:00\",\"repeat_days\":1}");
    set(routing, ROUTING_SHIFT, 41,
        "{\"rota\":\"30\",\"person\":\"12\",\"starts_at\":\"2026-11-21T20:00:00+08:00\",\"ends_at\":\"2026-"
        "11-22T08:00:00+08:00\",\"repeat_days\":7}");
    return routing;
}

static void test_duty(void **state)
{
    (void)state;
    static const struct {
        int64_t at, person;
    } cases[] = {
        { T0 + DAY / 3 - 1, 13 },
        { T0 + DAY / 3, 11 },
        { T0 + 20 * DAY / 24 - 1, 11 },
        { T0 + 20 * DAY / 24, 12 },
        { T0 + DAY + DAY / 3 - 1, 12 },
        { T0 + DAY + DAY / 3, 11 },
        { T0 + DAY + 22 * DAY / 24, 13 },
        { T0 + 7 * DAY + 22 * DAY / 24, 12 },
        { T0 + 700 * DAY + 10 * DAY / 24, 11 },
    };
    struct routing *routing = sample();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_ok(routing_on_duty(routing, 30, cases[i].at) == cases[i].person, "case %zu: %d", i,
                (int)routing_on_duty(routing, 30, cases[i].at));
    set(routing, ROUTING_SHIFT, 42,
        "{\"rota\":\"30\",\"person\":\"12\",\"starts_at\":\"2026-11-21T10:00:00+08:00\",\"ends_at\":\"2026-"
        "11-21T12:00:00+08:00\"}");
    test_ok(routing_on_duty(routing, 30, T0 + 11 * DAY / 24) == 12, "a swap wins");
    test_ok(routing_on_duty(routing, 30, T0 + DAY + 11 * DAY / 24) == 11, "once");
    struct duty_now now[4];
    test_ok(routing_duties(routing, T0 + 11 * DAY / 24, now, 4) == 1 && now[0].person == 12 &&
                now[0].until_ms == T0 + DAY / 2,
            "with its end");
    routing_free(routing);
}

static void expect(struct routing *routing, const struct alarm *alarm, enum alarm_event event,
                   const char *want)
{
    struct arena *arena = arena_new(1 << 16);
    struct notice_person people[NOTICE_PEOPLE_MAX];
    char got[200] = "";
    const int count = routing_recipients(routing, alarm, event, T0 + 10 * DAY / 24, arena, people);
    for (int i = 0; i < count; i++)
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%d/%d ", (int)people[i].user_id,
                       (int)people[i].channel);
    test_ok(strcmp(got, want) == 0, "got '%s', not '%s'", got, want);
    arena_free(arena);
}

static void test_recipients(void **state)
{
    (void)state;
    struct routing *routing = sample();
    struct alarm alarm = { .grade = 1, .service = 7 };
    set(routing, ROUTING_ROUTE, 50,
        "{\"worst_grade\":1,\"least_grade\":2,\"rota\":\"30\",\"channel\":\"9\",\"escalate_min\":15,"
        "\"escalate_to\":\"13\"}");
    set(routing, ROUTING_ROUTE, 51,
        "{\"service\":\"7\",\"person\":\"11\",\"channel\":\"9\",\"on_clear\":false}");
    set(routing, ROUTING_ROUTE, 52, "{\"service\":\"7\",\"person\":\"12\",\"enabled\":false}");
    set(routing, ROUTING_ROUTE, 53, "{\"person\":\"99\"}");
    expect(routing, &alarm, ALARM_RAISE, "11/9 "); /* by both routes, told once */
    expect(routing, &alarm, ALARM_ESCALATE, "13/9 ");
    alarm.grade = 3;
    expect(routing, &alarm, ALARM_RAISE, "11/9 ");
    expect(routing, &alarm, ALARM_CLEAR, "");
    alarm.service = 8;
    expect(routing, &alarm, ALARM_RAISE, "");
    test_ok(routing_escalate_ms(routing, &alarm) == 0, "grade 3 is not escalated");
    alarm.grade = 2;
    test_ok(routing_escalate_ms(routing, &alarm) == 900000, "grade 2 is");
    routing_remove(routing, ROUTING_ROUTE, 50);
    expect(routing, &alarm, ALARM_RAISE, "");
    routing_free(routing);
}

static void test_windows(void **state)
{
    (void)state;
    struct routing *routing = sample();
    set(routing, ROUTING_WINDOW, 60,
        "{\"service\":\"7\",\"begins\":\"2026-11-21T01:00:00+08:00\",\"ends\":\"2026-11-21T02:00:00+08:"
        "00\"}");
    set(routing, ROUTING_WINDOW, 61,
        "{\"subject\":\"1\",\"begins\":\"2026-11-21T01:00:00+08:00\",\"ends\":\"2026-11-21T02:00:00+08:"
        "00\"}");
    const int64_t in = T0 + DAY / 16, hour = DAY / 24;
    test_ok(routing_window(routing, 5, 7, in) == 60, "by service");
    test_ok(routing_window(routing, 1, 0, in) == 61, "by subject");
    test_ok(routing_window(routing, 2, 0, in) == 61, "by one it stands on");
    test_ok(routing_window(routing, 3, 8, in) == 0, "another");
    test_ok(routing_window(routing, 5, 7, T0 + hour - 1) == 0 &&
                routing_window(routing, 5, 7, T0 + 2 * hour) == 0,
            "its ends");
    set(routing, ROUTING_WINDOW, 61,
        "{\"subject\":\"1\",\"with_children\":false,\"begins\":\"2026-11-21T01:00:00+08:00\",\"ends\":\"2026-"
        "11-21T02:00:00+08:00\"}");
    test_ok(routing_window(routing, 2, 0, in) == 0, "without children");
    routing_free(routing);
}

/* Random shifts: the calendar has no holes, and names at each hour whom routing_on_duty() names. */
static void test_calendar(void **state)
{
    (void)state;
    static const int repeats[] = { 0, 1, 7, 14 };
    struct arena *arena = arena_new((size_t)8 << 20);
    struct err err;
    struct duty_span *spans;
    int count;
    bool cut;
    srand(3);
    for (int round = 0; round < 40; round++) {
        struct routing *routing = sample();
        for (int i = 0; i < 12; i++) {
            char text[240], from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
            const int64_t begins = T0 + (rand() % 240 - 120) * (DAY / 24);
            (void)clock_text(begins, 480, from);
            (void)clock_text(begins + (1 + rand() % 20) * (DAY / 24), 480, to);
            (void)snprintf(text, sizeof text,
                           "{\"rota\":\"30\",\"person\":\"%d\",\"starts_at\":\"%s\",\"ends_at\":\"%s\","
                           "\"repeat_days\":%d}",
                           11 + rand() % 3, from, to, repeats[rand() % 4]);
            set(routing, ROUTING_SHIFT, 50 + i, text);
        }
        const int64_t from_ms = T0 - 3 * DAY, to_ms = T0 + 11 * DAY;
        test_ok(routing_calendar(routing, from_ms, to_ms, arena, &spans, &count, &cut, &err) == ERR_OK &&
                    !cut,
                "calendar");
        test_ok(count > 0 && spans[0].from_ms == from_ms && spans[count - 1].to_ms == to_ms,
                "from end to end");
        int at = 0;
        for (int64_t ms = from_ms; ms < to_ms; ms += DAY / 48) {
            while (spans[at].to_ms <= ms) {
                test_ok(at + 1 < count && spans[at + 1].from_ms == spans[at].to_ms, "no holes");
                at++;
            }
            test_ok(routing_on_duty(routing, 30, ms) == spans[at].person, "round %d: at %lld", round,
                    (long long)ms);
        }
        routing_free(routing);
        arena_reset(arena);
    }
    struct routing *routing = sample();
    set(routing, ROUTING_SHIFT, 42,
        "{\"rota\":\"30\",\"person\":\"12\",\"starts_at\":\"2026-11-21T10:00:00+08:00\",\"ends_at\":\"2026-"
        "11-21T12:00:00+08:00\"}");
    test_ok(routing_calendar(routing, T0, T0 + DAY, arena, &spans, &count, &cut, &err) == ERR_OK &&
                count == 5,
            "night by fallback, day, swap, day, night: %d", count);
    test_ok(spans[0].shift == 0 && spans[0].person == 13, "the fallback");
    test_ok(spans[2].shift == 42 && spans[2].instead_of == 11 && spans[2].from_ms == T0 + 10 * DAY / 24,
            "a swap names whom it replaces");
    test_ok(spans[3].shift == 40 && !spans[3].instead_of, "then the usual one");
    routing_free(routing);
    arena_free(arena);
}

TEST_MAIN(TEST(test_duty), TEST(test_calendar), TEST(test_recipients), TEST(test_windows))
