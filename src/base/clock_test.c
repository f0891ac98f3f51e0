#include "base/clock.h"
#include "test.h"

static void test_text_and_back(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        int offset;
        const char *text;
    } cases[] = {
        { 0, 0, "1970-01-01T00:00:00Z" },
        { INT64_C(1795241100000), 480, "2026-11-21T14:05:00+08:00" },
        { INT64_C(1795241100007), -330, "2026-11-21T00:35:00.007-05:30" },
        { -1, 0, "1969-12-31T23:59:59.999Z" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CLOCK_TEXT_SIZE];
        struct err err;
        int64_t back = 0;
        test_ok(clock_text(cases[i].ms, cases[i].offset, text) == strlen(cases[i].text), "length");
        test_ok(strcmp(text, cases[i].text) == 0, "got %s", text);
        test_ok(clock_parse(str_from(text), &back, &err) == ERR_OK && back == cases[i].ms, "back from %s",
                text);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[] = { "",
                                         "2026-11-21",
                                         "2026-11-21T14:05:00",
                                         "2026-02-30T00:00:00Z",
                                         "2025-02-29T00:00:00Z",
                                         "2026-13-01T00:00:00Z",
                                         "2026-11-21T24:00:00Z",
                                         "2026-11-21T14:05:00.Z",
                                         "2026-11-21T14:05:00+25:00",
                                         "2026-11-21T14:05:00Zx" };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        int64_t ms = 42;
        test_ok(clock_parse(str_from(cases[i]), &ms, &err) == ERR_INVALID && ms == 42, "%s", cases[i]);
    }
}

static void test_days(void **state)
{
    (void)state;
    for (int64_t day = -800000; day < 800000; day += 13) {
        int64_t year;
        int month, in_month;
        civil_from_days(day, &year, &month, &in_month);
        test_ok(days_from_civil(year, month, in_month) == day, "day %lld", (long long)day);
    }
}

TEST_MAIN(TEST(test_text_and_back), TEST(test_refused), TEST(test_days))
