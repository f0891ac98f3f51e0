/* temporal_test.c - the calendar against itself over long spans, zones at their turns, texts and their edges.
 */
#include "feel/temporal.h"
#include "test.h"

static void test_calendar(void **state)
{
    (void)state;
    static const int64_t STARTS[] = { -365242000000, -800000, -1000, 0, 10000, 365241000000 };
    for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++) {
        struct feel_date last = { 0 };
        for (int64_t days = STARTS[i]; days < STARTS[i] + 1500; days++) {
            struct feel_date date = { 0 };
            test_ok(date_from_days(days, &date) && date_to_days(date) == days &&
                        date_valid(date.year, date.month, date.day),
                    "day %lld", (long long)days);
            test_ok(days == STARTS[i] || date.day == 1 || date.day == last.day + 1, "days follow each other");
            last = date;
        }
    }
    struct feel_date date;
    test_ok(!date_from_days(INT64_MAX, &date) && !date_from_days(366000000000, &date), "past the years");
    test_ok(date_weekday((struct feel_date) { 2026, 11, 21 }) == 6, "a Saturday");
    test_ok(date_week((struct feel_date) { 2020, 12, 31 }) == 53 &&
                date_week((struct feel_date) { 2021, 1, 3 }) == 53 &&
                date_week((struct feel_date) { 2019, 12, 30 }) == 1,
            "weeks of ISO 8601");
    test_ok(date_add_months((struct feel_date) { 2020, 1, 31 }, 1, &date) && date.day == 29 &&
                date_add_months((struct feel_date) { 2020, 3, 31 }, -13, &date) && date.month == 2 &&
                date.day == 28 && !date_add_months((struct feel_date) { YEAR_MAX, 12, 1 }, 1, &date),
            "months");
}

static void test_zones(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t offset;
    } cases[] = {
        { "2021-03-28T01:59:59@Europe/Paris", 3600 },
        { "2021-03-28T03:00:00@Europe/Paris", 7200 },
        { "2021-10-31T02:30:00@Europe/Paris", 7200 }, /* twice: the first one */
        { "1989-07-01T00:00:00@Asia/Shanghai", 9 * 3600 },
        { "2021-07-01T00:00:00@Asia/Shanghai", 8 * 3600 },
        { "1900-01-01T00:00:00@Asia/Shanghai", 29143 },
        { "999999999-07-01T00:00:00@Europe/Paris", 7200 },
        { "2021-07-01T00:00:00@Etc/UTC", 0 },
        { "2021-07-01T00:00:00+05:45", 20700 },
        { "2021-07-01T00:00:00Z", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct feel_moment m = { 0 };
        test_ok(moment_parse_date_time(str_from(cases[i].text), &m) && m.offset == cases[i].offset, "%s: %d",
                cases[i].text, (int)m.offset);
    }
    test_ok(!zone_known(STR("Nowhere/City")) && !zone_known(STR("")) && zone_known(STR("Asia/Shanghai")),
            "names");
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: refused */
    } cases[] = {
        { "2020-02-29", "2020-02-29" },
        { "2021-02-29", NULL },
        { "-0001-01-01", "-0001-01-01" },
        { "12345-01-01", "12345-01-01" },
        { "02345-01-01", NULL },
        { "2020-1-01", NULL },
        { "10:00:00.100", "10:00:00.1" },
        { "10:00:00.", NULL },
        { "24:00:00", NULL },
        { "10:00", NULL },
        { "10:00:00+18:00", "10:00:00+18:00" },
        { "10:00:00+18:01", NULL },
        { "10:00:00+01:00:30", "10:00:00+01:00:30" },
        { "2020-01-01T10:00:00-00:00", "2020-01-01T10:00:00Z" },
        { "2020-01-01T10:00:00@Europe/Paris", "2020-01-01T10:00:00@Europe/Paris" },
        { "2020-01-01t10:00:00", NULL },
        { "P1Y2M", "P1Y2M" },
        { "-P14M", "-P1Y2M" },
        { "P0Y", "P0M" },
        { "P1DT25H61M61.5S", "P2DT2H2M1.5S" },
        { "PT0S", "PT0S" },
        { "-PT0.5S", "-PT0.5S" },
        { "P", NULL },
        { "PT", NULL },
        { "P1DT", NULL },
        { "P1M1D", NULL },
        { "P1S", NULL },
        { "PT1.5M", NULL },
        { "P99999999999999999999Y", NULL },
        { "P999999999999999999Y", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *arena = arena_new(1 << 16);
        struct feel_value value;
        struct buf buf;
        buf_init(&buf, 200);
        const bool ok = feel_temporal_parse(arena, str_from(cases[i].text), &value);
        if (ok)
            feel_print(&buf, &value);
        test_ok(ok == (cases[i].want != NULL) && (!ok || strcmp(buf.ptr, cases[i].want) == 0), "%s gives %s",
                cases[i].text, ok ? buf.ptr : "nothing");
        buf_done(&buf);
        arena_free(arena);
    }
}

static void test_instants(void **state)
{
    (void)state;
    static const int64_t INSTANTS[] = { 0, -1, 1763733600123, -62135596800000, 253402300799999 };
    for (size_t i = 0; i < sizeof INSTANTS / sizeof *INSTANTS; i++) {
        struct arena *arena = arena_new(1 << 16);
        struct feel_value value;
        struct err err;
        int64_t back = 0;
        test_ok(!feel_from_instant(arena, INSTANTS[i], STR("Asia/Shanghai"), &value, &err) &&
                    feel_to_instant(&value, &back) && back == INSTANTS[i],
                "%lld comes back as %lld", (long long)INSTANTS[i], (long long)back);
        arena_free(arena);
    }
    struct arena *arena = arena_new(1 << 16);
    struct feel_value value;
    struct err err;
    test_ok(feel_from_instant(arena, 0, STR("Mars/Base"), &value, &err) == ERR_INVALID, "an unknown zone");
    test_ok(feel_from_instant(arena, INT64_MAX, STR(""), &value, &err) == ERR_OK, "the last millisecond");
    arena_free(arena);
}

TEST_MAIN(TEST(test_calendar), TEST(test_zones), TEST(test_texts), TEST(test_instants))
