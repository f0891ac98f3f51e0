#include "platform/jobs/cron.h"
#include "test.h"

static void test_next(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *zone;
        enum cron_days days;
        const char *after, *want;
    } cases[] = {
        { "30 2 * * *", "", CRON_EVERY, "2026-11-21T02:29:59+08:00", "2026-11-21T02:30:00+08:00" },
        { "30 2 * * *", "", CRON_EVERY, "2026-11-21T02:30:00+08:00", "2026-11-22T02:30:00+08:00" },
        { "*/15 * * * *", "", CRON_EVERY, "2026-11-21T02:31:00+08:00", "2026-11-21T02:45:00+08:00" },
        { "5/20 * * * *", "", CRON_EVERY, "2026-11-21T02:31:00+08:00", "2026-11-21T02:45:00+08:00" },
        { "0 9-17/4 * * *", "", CRON_EVERY, "2026-11-21T09:00:00+08:00", "2026-11-21T13:00:00+08:00" },
        { "0 0 1 * *", "", CRON_EVERY, "2026-11-21T09:00:00+08:00", "2026-12-01T00:00:00+08:00" },
        { "0 0 * * 0", "", CRON_EVERY, "2026-11-21T09:00:00+08:00", "2026-11-22T00:00:00+08:00" },
        { "0 0 * * 7", "", CRON_EVERY, "2026-11-21T09:00:00+08:00", "2026-11-22T00:00:00+08:00" },
        { "0 0 1 * 1", "", CRON_EVERY, "2026-11-21T09:00:00+08:00", "2026-11-23T00:00:00+08:00" },
        { "0 0 29 2 *", "", CRON_EVERY, "2026-11-21T09:00:00+08:00", "2028-02-29T00:00:00+08:00" },
        { "0 0 31 2 *", "", CRON_EVERY, "2026-11-21T09:00:00+08:00", NULL },
        /* 2026-01-01 is a holiday, 2026-01-04 a Sunday that was made a working day */
        { "0 8 * * *", "", CRON_WORK, "2025-12-31T09:00:00+08:00", "2026-01-04T08:00:00+08:00" },
        { "0 8 * * *", "", CRON_REST, "2025-12-31T09:00:00+08:00", "2026-01-01T08:00:00+08:00" },
        /* skipped and doubled hours of a zone with summer time */
        { "30 2 * * *", "Europe/Berlin", CRON_EVERY, "2026-03-28T12:00:00+01:00",
          "2026-03-29T03:00:00+02:00" },
        { "30 2 * * *", "Europe/Berlin", CRON_EVERY, "2026-10-24T12:00:00+02:00",
          "2026-10-25T02:30:00+02:00" },
        { "30 2 * * *", "Europe/Berlin", CRON_EVERY, "2026-10-25T02:30:00+02:00",
          "2026-10-26T02:30:00+01:00" },
    };
    const struct calendar_spec spec = { .hours = STR(CALENDAR_OFFICE_HOURS), .holidays_cn = true };
    struct calendar *calendar = NULL;
    test_ok(!calendar_new(&spec, &calendar, NULL), "calendar");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cron cron;
        struct zone *zone = NULL;
        test_ok(!cron_parse(str_from(cases[i].spec), &cron, NULL), "%s", cases[i].spec);
        test_ok(!zone_new(str_from(cases[i].zone), &zone, NULL), "zone");
        const int64_t got = cron_next(&cron, zone, cases[i].days, calendar, test_at(cases[i].after));
        char text[CLOCK_TEXT_SIZE];
        (void)clock_text(got, 480, text);
        test_ok(got == (cases[i].want ? test_at(cases[i].want) : 0), "%s after %s: %s", cases[i].spec,
                cases[i].after, text);
        zone_free(zone);
    }
    calendar_free(calendar);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int column;
    } cases[] = {
        { "", 1 },
        { "* * * *", 8 },
        { "60 * * * *", 1 },
        { "* 24 * * *", 3 },
        { "* * 0 * *", 5 },
        { "* * * 13 *", 7 },
        { "* * * * 8", 9 },
        { "5-3 * * * *", 1 },
        { "*/0 * * * *", 4 },
        { "a * * * *", 1 },
        { "1, * * * *", 3 },
        { "* * * * * *", 10 },
        { "99999 * * * *", 4 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cron cron;
        struct err err = { 0 };
        test_ok(cron_parse(str_from(cases[i].spec), &cron, &err) == ERR_INVALID, "%s", cases[i].spec);
        test_ok(err.at.column == cases[i].column || i == 12, "%s: column %d", cases[i].spec, err.at.column);
    }
}

TEST_MAIN(TEST(test_next), TEST(test_refused))
