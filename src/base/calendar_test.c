/* calendar_test.c - zones, days, holidays, working time; against a slow walk over minutes. */
#include "base/calendar.h"
#include "base/holidays.h"
#include "test.h"

#include <assert.h>

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)

static int64_t day(const char *text)
{
    int64_t d = 0;
    struct err err = { 0 };
    test_ok(!day_parse(str_from(text), &d, &err), "%s", text);
    return d;
}

static struct calendar *office(bool holidays)
{
    const struct calendar_spec spec = { .hours = STR(CALENDAR_OFFICE_HOURS), .holidays_cn = holidays };
    struct calendar *cal = NULL;
    struct err err = { 0 };
    test_ok(!calendar_new(&spec, &cal, &err), "office: %s", err.id);
    return cal;
}

static void test_days(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "2026-11-21", true },  { "2024-02-29", true },  { "2026-02-29", false }, { "2026-11-31", false },
        { "2026-13-01", false }, { "2026-00-01", false }, { "2026-1-01", false },  { "2026-11-2x", false },
        { "", false },           { "0000-01-01", false }, { "+026-01-01", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t d = -1;
        char back[DAY_TEXT_SIZE];
        struct err err = { 0 };
        const enum err_code rc = day_parse(str_from(cases[i].text), &d, &err);
        test_ok((rc == ERR_OK) == cases[i].good, "%s", cases[i].text);
        if (rc)
            continue;
        day_text(d, back);
        assert_string_equal(back, cases[i].text);
    }
    assert_int_equal(day_weekday(day("2026-11-21")), 6);
    assert_int_equal(day_weekday(day("1969-12-29")), 1);
    assert_int_equal(day_month_start(day("2026-11-21"), 0), day("2026-11-01"));
    assert_int_equal(day_month_start(day("2026-11-21"), 2), day("2027-01-01"));
    assert_int_equal(day_month_start(day("2026-01-31"), -1), day("2025-12-01"));
}

static void test_zones(void **state)
{
    static const struct {
        const char *zone, *utc, *local;
    } cases[] = {
        { "Asia/Shanghai", "2026-11-21T00:00:00Z", "2026-11-21T08:00:00Z" },
        { "Asia/Shanghai", "1990-07-01T00:00:00Z", "1990-07-01T09:00:00Z" }, /* summer time then */
        { "", "2099-07-01T16:00:00Z", "2099-07-02T00:00:00Z" },
        { "Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29T01:59:59Z" },
        { "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z" },
        { "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z" },
        { "America/New_York", "2026-01-01T12:00:00Z", "2026-01-01T07:00:00Z" },
        { "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T05:45:00Z" },
        { "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct zone *zone = NULL;
        struct err err = { 0 };
        test_ok(!zone_new(str_from(cases[i].zone), &zone, &err), "%s", cases[i].zone);
        test_ok(zone_local(zone, test_at(cases[i].utc)) == test_at(cases[i].local), "%s %s", cases[i].zone,
                cases[i].utc);
        test_ok(zone_utc(zone, test_at(cases[i].local)) == test_at(cases[i].utc), "%s back %s", cases[i].zone,
                cases[i].local);
        zone_free(zone);
    }

    struct zone *berlin = NULL;
    struct err err = { 0 };
    test_ok(!zone_new(STR("Europe/Berlin"), &berlin, &err), "berlin");
    /* skipped: the instant of the jump; twice: the first */
    assert_int_equal(zone_utc(berlin, test_at("2026-03-29T02:30:00Z")), test_at("2026-03-29T01:00:00Z"));
    assert_int_equal(zone_utc(berlin, test_at("2026-10-25T02:30:00Z")), test_at("2026-10-25T00:30:00Z"));
    assert_int_equal(zone_day(berlin, test_at("2026-10-24T21:59:59Z")), day("2026-10-24"));
    assert_int_equal(zone_day(berlin, test_at("2026-10-24T22:00:00Z")), day("2026-10-25"));
    assert_int_equal(zone_day_start(berlin, day("2026-10-26")), test_at("2026-10-25T23:00:00Z"));
    zone_free(berlin);

    struct zone *none = NULL;
    assert_int_equal(zone_new(STR("Asia/Xuchang"), &none, &err), ERR_INVALID);
    assert_int_equal(zone_new(STR("GMT+08:00 x"), &none, &err), ERR_INVALID);
    assert_null(none);
}

static void test_holidays(void **state)
{
    static const struct {
        const char *day;
        bool works;
        enum calendar_kind kind;
    } cases[] = {
        { "2024-02-04", true, CALENDAR_MOVED_WORK }, { "2024-02-12", false, CALENDAR_HOLIDAY },
        { "2025-01-27", true, CALENDAR_WORK },       { "2025-10-08", false, CALENDAR_HOLIDAY },
        { "2025-10-11", true, CALENDAR_MOVED_WORK }, { "2026-01-02", false, CALENDAR_HOLIDAY },
        { "2026-01-04", true, CALENDAR_MOVED_WORK }, { "2026-02-14", true, CALENDAR_MOVED_WORK },
        { "2026-02-23", false, CALENDAR_HOLIDAY },   { "2026-02-24", true, CALENDAR_WORK },
        { "2026-09-20", true, CALENDAR_MOVED_WORK }, { "2026-09-26", false, CALENDAR_HOLIDAY },
        { "2026-10-10", true, CALENDAR_MOVED_WORK }, { "2026-11-21", false, CALENDAR_REST },
        { "2027-02-08", false, CALENDAR_HOLIDAY },   { "1999-12-31", false, CALENDAR_REST },
        { "2100-01-01", false, CALENDAR_REST },
    };
    struct calendar *cal = office(true);
    int count = 0;
    const struct holiday *table = holidays_cn(&count);
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int64_t d = day(cases[i].day);
        test_ok(calendar_works_on(cal, d) == cases[i].works, "%s", cases[i].day);
        test_ok(calendar_kind_on(cal, d) == cases[i].kind, "%s kind", cases[i].day);
    }
    /* invariants of the table: in order, moved working days are weekends */
    for (int i = 0; i < count; i++) {
        test_ok(table[i].first_day <= table[i].last_day, "entry %d", i);
        test_ok(!i || table[i - 1].last_day < table[i].first_day, "order of entry %d", i);
        test_ok(!table[i].working || day_weekday(table[i].first_day) >= 6, "moved day %d", i);
    }
    assert_true(holidays_cn_published(2026));
    assert_false(holidays_cn_published(2027));
    assert_int_equal(calendar_next_day(cal, day("2026-09-30"), 1), day("2026-10-08"));
    assert_int_equal(calendar_next_day(cal, day("2026-09-30"), 3), day("2026-10-10"));
    assert_int_equal(calendar_next_day(cal, day("2099-12-31"), 1), CALENDAR_NEVER);
    calendar_free(cal);
}

static void test_add(void **state)
{
    static const struct {
        const char *from;
        int64_t minutes;
        const char *want;
    } cases[] = {
        { "2026-11-20T10:00:00+08:00", 0, "2026-11-20T10:00:00+08:00" },
        { "2026-11-20T10:00:00+08:00", 60, "2026-11-20T11:00:00+08:00" },
        { "2026-11-20T10:00:00+08:00", 120, "2026-11-20T12:00:00+08:00" }, /* exactly the end of a span */
        { "2026-11-20T10:00:00+08:00", 121, "2026-11-20T14:01:00+08:00" },
        { "2026-11-20T17:30:00+08:00", 60, "2026-11-23T08:30:00+08:00" },  /* over the weekend */
        { "2026-11-21T03:00:00+08:00", 480, "2026-11-23T18:00:00+08:00" }, /* one working day */
        { "2026-09-30T17:00:00+08:00", 120, "2026-10-08T09:00:00+08:00" }, /* over the national holiday */
        { "2026-02-13T17:00:00+08:00", 120, "2026-02-14T09:00:00+08:00" }, /* a moved Saturday */
        { "2026-11-20T10:00:30+08:00", 1, "2026-11-20T10:01:30+08:00" },   /* seconds are kept */
        { "1990-01-01T00:00:00+08:00", 1, "2000-01-03T08:01:00+08:00" },   /* before the horizon */
    };
    struct calendar *cal = office(true), *always = NULL;
    const struct calendar_spec spec = { .always = true };
    struct err err = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int64_t got = calendar_add(cal, test_at(cases[i].from), cases[i].minutes * MINUTE);
        test_ok(got == test_at(cases[i].want), "%s + %d", cases[i].from, (int)cases[i].minutes);
        test_ok(calendar_between(cal, test_at(cases[i].from), got) == cases[i].minutes * MINUTE, "%s between",
                cases[i].from);
    }
    assert_int_equal(calendar_add(cal, test_at("2099-12-31T10:00:00+08:00"), 1000 * HOUR), CALENDAR_NEVER);
    assert_int_equal(calendar_add(cal, 0, INT64_MAX), CALENDAR_NEVER);
    assert_int_equal(calendar_between(cal, 5, 4), 0);
    assert_int_equal(calendar_between(cal, INT64_MIN, INT64_MAX) % (8 * HOUR), 0);

    test_ok(!calendar_new(&spec, &always, &err), "always");
    assert_int_equal(calendar_add(always, 1000, 7), 1007);
    assert_int_equal(calendar_between(always, 1000, 1007), 7);
    assert_true(calendar_works_at(always, 0));
    calendar_free(always);
    calendar_free(cal);
}

static void test_hours(void **state)
{
    static const struct {
        const char *text;
        enum err_code want;
        int column;
    } cases[] = {
        { "mon-fri 08:00-12:00 14:00-18:00", ERR_OK, 0 },
        { "", ERR_OK, 0 },
        { "mon-sun 00:00-24:00;", ERR_OK, 0 },
        { "Sat 09:00-12:00; sun 10:00-11:00", ERR_OK, 0 },
        { "mon-fri", ERR_INVALID, 8 },
        { "fri-mon 08:00-12:00", ERR_INVALID, 1 },
        { "mon-fri 12:00-08:00", ERR_INVALID, 9 },
        { "mon 08:00-12:00 11:00-13:00", ERR_INVALID, 17 },
        { "mon 08:00-24:01", ERR_INVALID, 5 },
        { "mon 8:00-12:00", ERR_INVALID, 5 },
        { "mon 08:00-12:00; xyz 08:00-09:00", ERR_INVALID, 18 },
        { "mon 08:0x-12:00", ERR_INVALID, 5 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct calendar_spec spec = { .hours = str_from(cases[i].text) };
        struct calendar *cal = NULL;
        struct err err = { 0 };
        const enum err_code rc = calendar_new(&spec, &cal, &err);
        test_ok(rc == cases[i].want, "%s: %d", cases[i].text, (int)rc);
        test_ok(!rc || err.at.column == cases[i].column, "%s: column %d", cases[i].text, err.at.column);
        calendar_free(cal);
    }
}

static void test_exceptions_and_keys(void **state)
{
    const struct calendar_day days[] = {
        { day("2026-11-20"), STR("") },
        { day("2026-11-21"), STR("work") },
        { day("2026-11-22"), STR("10:00-11:00") },
        { day("2026-10-01"), STR("08:00-09:00") },
    };
    const struct calendar_key keys[] = { { day("2026-10-01"), day("2026-10-07"),
                                           STR("National Day guard") } };
    const struct calendar_spec spec = { .hours = STR(CALENDAR_OFFICE_HOURS),
                                        .holidays_cn = true,
                                        .days = days,
                                        .days_count = 4,
                                        .keys = keys,
                                        .keys_count = 1 };
    struct calendar *cal = NULL;
    struct err err = { 0 };
    struct calendar_span span;
    (void)state;
    test_ok(!calendar_new(&spec, &cal, &err), "%s", err.id);
    assert_false(calendar_works_on(cal, day("2026-11-20")));
    assert_int_equal(
        calendar_between(cal, test_at("2026-11-20T00:00:00+08:00"), test_at("2026-11-23T00:00:00+08:00")),
        9 * HOUR);
    assert_int_equal(
        calendar_between(cal, test_at("2026-10-01T00:00:00+08:00"), test_at("2026-10-08T00:00:00+08:00")),
        HOUR);
    assert_null(calendar_key_at(cal, test_at("2026-09-30T23:59:59+08:00")));
    assert_non_null(calendar_key_at(cal, test_at("2026-10-01T00:00:00+08:00")));
    assert_non_null(calendar_key_at(cal, test_at("2026-10-07T23:59:59+08:00")));
    assert_null(calendar_key_at(cal, test_at("2026-10-08T00:00:00+08:00")));
    assert_true(calendar_span_at(cal, test_at("2026-11-22T10:30:00+08:00"), &span));
    assert_int_equal(span.from_ms, test_at("2026-11-22T10:00:00+08:00"));
    assert_true(calendar_span_at(cal, test_at("2026-11-22T11:00:00+08:00"), &span));
    assert_int_equal(span.from_ms, test_at("2026-11-23T08:00:00+08:00"));
    assert_false(calendar_works_at(cal, test_at("2026-11-22T11:00:00+08:00")));
    calendar_free(cal);
}

/* Random hours, days and zones; every answer is compared with a walk over minutes that only asks for the
 * wall time of each minute. */
static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

struct slow {
    bool week[7][1440];
    int days_count;
    struct {
        int64_t day;
        bool minutes[1440];
    } days[8];
};

static bool slow_works(const struct slow *slow, const struct zone *zone, int64_t at_ms)
{
    const int64_t local = zone_local(zone, at_ms), d = local / DAY_MS;
    const int minute = (int)((local % DAY_MS) / MINUTE);
    for (int i = slow->days_count - 1; i >= 0; i--)
        if (slow->days[i].day == d)
            return slow->days[i].minutes[minute];
    return slow->week[day_weekday(d) - 1][minute];
}

static void random_spans(uint64_t *seed, bool minutes[1440], char *text, size_t size)
{
    int from = 0;
    assert(minutes);
    text[0] = 0;
    for (int s = 0; s < 3; s++) {
        from += 30 + (int)(random_next(seed) % 400);
        const int to = from + 1 + (int)(random_next(seed) % 300);
        if (to > 1440)
            break;
        for (int m = from; m < to; m++)
            minutes[m] = true;
        const size_t used = strlen(text);
        (void)snprintf(text + used, size - used, "%02d:%02d-%02d:%02d ", from / 60, from % 60, to / 60,
                       to % 60);
        from = to;
    }
}

static void test_against_minutes(void **state)
{
    static const char *const zones[] = { "Asia/Shanghai", "Asia/Kathmandu", "America/Sao_Paulo", "UTC" };
    static const char *const names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    uint64_t seed = 20261121;
    (void)state;
    for (int round = 0; round < 60; round++) {
        struct slow *slow = mem_alloc(1, sizeof(*slow));
        char hours[CALENDAR_HOURS_MAX] = "", texts[8][80];
        struct calendar_day days[8];
        struct calendar *cal = NULL;
        struct err err = { 0 };
        const int64_t base = test_at("2026-11-16T00:00:00Z");
        test_ok(slow != NULL, "memory");
        for (int w = 0; w < 7; w++) {
            char spans[80];
            if (random_next(&seed) % 3 == 0)
                continue;
            random_spans(&seed, slow->week[w], spans, sizeof(spans));
            if (!spans[0])
                continue;
            const size_t used = strlen(hours);
            (void)snprintf(hours + used, sizeof(hours) - used, "%s %s;", names[w], spans);
        }
        slow->days_count = (int)(random_next(&seed) % 6);
        for (int i = 0; i < slow->days_count; i++) {
            slow->days[i].day = base / DAY_MS + (int64_t)(random_next(&seed) % 10);
            random_spans(&seed, slow->days[i].minutes, texts[i], sizeof(texts[i]));
            days[i] = (struct calendar_day) { slow->days[i].day, str_from(texts[i]) };
        }
        const struct calendar_spec spec = { .zone = str_from(zones[round % 4]),
                                            .hours = str_from(hours),
                                            .days = days,
                                            .days_count = slow->days_count };
        test_ok(!calendar_new(&spec, &cal, &err), "%s: %s", hours, err.id);
        for (int q = 0; q < 4; q++) {
            const int64_t from = base + (int64_t)(random_next(&seed) % 7000) * MINUTE;
            const int64_t want = (int64_t)(random_next(&seed) % 900) + 1;
            int64_t t = from, worked = 0;
            while (worked < want && t < from + 20 * DAY_MS) {
                test_ok(slow_works(slow, calendar_zone(cal), t) == calendar_works_at(cal, t), "works at");
                worked += slow_works(slow, calendar_zone(cal), t);
                t += MINUTE;
            }
            test_ok(calendar_between(cal, from, t) == worked * MINUTE, "%s between", hours);
            if (worked == want)
                test_ok(calendar_add(cal, from, want * MINUTE) == t, "%s add %d", hours, (int)want);
        }
        calendar_free(cal);
        mem_free(slow);
    }
}

static void test_summer_time(void **state)
{
    const struct calendar_spec spec = { .zone = STR("Europe/Berlin"), .hours = STR("mon-sun 00:00-24:00") };
    struct calendar *cal = NULL;
    struct err err = { 0 };
    (void)state;
    test_ok(!calendar_new(&spec, &cal, &err), "%s", err.id);
    const struct zone *zone = calendar_zone(cal);
    const int64_t spring = day("2026-03-29"), autumn = day("2026-10-25");
    assert_int_equal(calendar_between(cal, zone_day_start(zone, spring), zone_day_start(zone, spring + 1)),
                     23 * HOUR);
    assert_int_equal(calendar_between(cal, zone_day_start(zone, autumn), zone_day_start(zone, autumn + 1)),
                     25 * HOUR);
    assert_int_equal(calendar_add(cal, zone_day_start(zone, autumn), 25 * HOUR),
                     zone_day_start(zone, autumn + 1));
    calendar_free(cal);
}

static void test_out_of_memory(void **state)
{
    const struct calendar_key keys[] = { { 20000, 20001, STR("a") } };
    const struct calendar_spec spec = {
        .zone = STR("Europe/Berlin"), .hours = STR(CALENDAR_OFFICE_HOURS), .keys = keys, .keys_count = 1
    };
    (void)state;
    for (long nth = 0;; nth++) {
        struct calendar *cal = NULL;
        struct err err = { 0 };
        const long before = mem_live();
        mem_fail_at(nth);
        const enum err_code rc = calendar_new(&spec, &cal, &err);
        mem_fail_at(-1);
        calendar_free(cal);
        test_ok(mem_live() == before && (rc == ERR_OK || rc == ERR_NOMEM), "at %ld", nth);
        if (rc == ERR_OK) {
            test_ok(nth >= 5, "allocations counted");
            return;
        }
    }
}

TEST_MAIN(TEST(test_days), TEST(test_zones), TEST(test_holidays), TEST(test_add), TEST(test_hours),
          TEST(test_exceptions_and_keys), TEST(test_against_minutes), TEST(test_summer_time),
          TEST(test_out_of_memory))
