#include "subject/duty.h"
#include "base/clock.h"
#include "test.h"

static int64_t day(int year, int month, int in_month)
{
    return days_from_civil(year, month, in_month);
}

static void test_intervals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code want;
        int months, days, times;
        bool by_event;
    } cases[] = {
        { "P1M", ERR_OK, 1, 0, 1, false },   { "P1W/2", ERR_OK, 0, 7, 2, false },
        { "P60D", ERR_OK, 0, 60, 1, false }, { "P2Y", ERR_OK, 24, 0, 1, false },
        { "P2W", ERR_OK, 0, 14, 1, false },  { "event", ERR_OK, 0, 0, 1, true },
        { "P0M", ERR_INVALID, 0, 0, 0, 0 },  { "P", ERR_INVALID, 0, 0, 0, 0 },
        { "", ERR_INVALID, 0, 0, 0, 0 },     { "PT12H", ERR_INVALID, 0, 0, 0, 0 },
        { "P1M/", ERR_INVALID, 0, 0, 0, 0 }, { "P1M/101", ERR_INVALID, 0, 0, 0, 0 },
        { "P1MD", ERR_INVALID, 0, 0, 0, 0 }, { "P99999D", ERR_INVALID, 0, 0, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct duty_interval got = { 0 };
        struct err err;
        test_ok(duty_interval_parse(str_from(cases[i].text), &got, &err) == cases[i].want, "%s",
                cases[i].text);
        test_ok(got.months == cases[i].months && got.days == cases[i].days && got.times == cases[i].times &&
                    got.by_event == cases[i].by_event,
                "parts of %s", cases[i].text);
    }
}

static struct duty_answer evaluate(struct arena *arena, const char *text, int64_t start, int64_t today,
                                   const int64_t *deeds, int count)
{
    struct duty_interval interval;
    struct duty_answer answer;
    struct err err;
    test_ok(duty_interval_parse(str_from(text), &interval, &err) == ERR_OK, "parses");
    test_ok(duty_evaluate(&interval, start, INT64_MAX, today, deeds, count, arena, &answer, &err) == ERR_OK,
            "evaluates");
    return answer;
}

static void test_states(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 22);
    const int64_t deeds[] = { day(2026, 1, 5), day(2026, 2, 2), day(2026, 2, 20), day(2026, 4, 30) };
    /* January, February (twice: nothing is paid in advance), April done; March overdue; May due */
    struct duty_answer answer = evaluate(arena, "P1M", day(2026, 1, 1), day(2026, 5, 3), deeds, 4);
    test_ok(answer.count == 5 && answer.done == 3 && answer.overdue == 1 && answer.due == 1, "%d %d %d %d",
            answer.count, answer.done, answer.overdue, answer.due);
    test_ok(answer.windows[2].state == DUTY_OVERDUE && answer.windows[4].state == DUTY_DUE, "which");
    test_ok(answer.next_day == day(2026, 5, 31), "until the end of the month");
    /* a deed too many later makes up for the oldest short window */
    const int64_t late[] = { day(2026, 1, 5), day(2026, 3, 2), day(2026, 3, 3) };
    answer = evaluate(arena, "P1M", day(2026, 1, 1), day(2026, 3, 9), late, 3);
    test_ok(answer.done == 3 && answer.overdue == 0, "made up");
    /* quarters of the calendar, though the contract began in between */
    answer = evaluate(arena, "P3M", day(2026, 2, 15), day(2026, 7, 1), NULL, 0);
    test_ok(answer.count == 3 && answer.windows[0].from_day == day(2026, 2, 15) &&
                answer.windows[0].to_day == day(2026, 4, 1) && answer.overdue == 2 && answer.due == 1,
            "quarters");
    /* twice a week, ISO weeks */
    const int64_t week[] = { day(2026, 11, 16), day(2026, 11, 18) };
    answer = evaluate(arena, "P1W/2", day(2026, 11, 9), day(2026, 11, 21), week, 2);
    test_ok(answer.count == 2 && answer.windows[0].state == DUTY_OVERDUE &&
                answer.windows[1].state == DUTY_DONE,
            "weeks");
    answer = evaluate(arena, "P60D", day(2026, 1, 1), day(2026, 3, 2), NULL, 0);
    test_ok(answer.count == 2 && answer.windows[1].from_day == day(2026, 3, 2), "from the start");
    answer = evaluate(arena, "event", day(2026, 1, 1), day(2026, 3, 2), NULL, 0);
    test_ok(answer.count == 0, "an event is never due");
    answer = evaluate(arena, "P1D", day(2026, 1, 1), day(2025, 3, 2), NULL, 0);
    test_ok(answer.count == 0, "not yet begun");
    arena_free(arena);
}

/* Windows cover every day once, whatever the interval and start. */
static void test_windows_have_no_holes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "P1D", "P1W", "P2W", "P60D", "P1M", "P3M", "P5M", "P6M", "P1Y", "P2Y"
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int64_t start = day(2023, 12, 20); start < day(2024, 3, 10); start += 3) {
            struct arena *arena = arena_new(1 << 22);
            const struct duty_answer answer = evaluate(arena, texts[i], start, day(2026, 11, 21), NULL, 0);
            test_ok(answer.count > 0 && answer.windows[0].from_day == start, "begins at the start");
            for (int w = 1; w < answer.count; w++)
                test_ok(answer.windows[w].from_day == answer.windows[w - 1].to_day, "%s: no hole", texts[i]);
            test_ok(answer.windows[answer.count - 1].to_day > day(2026, 11, 21), "reaches today");
            arena_free(arena);
        }
}

/* Every interval of the service catalogue is understood. */
static void test_catalogue(void **state)
{
    (void)state;
    static const char *const texts[] = { "P1D",   "P1M",   "P3M",   "P1W",   "P1Y", "P6M",   "P60D",
                                         "P1M/3", "P1W/2", "P1D/2", "P1M/2", "P2W", "event", "P2Y" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct duty_interval interval;
        struct err err;
        test_ok(duty_interval_parse(str_from(texts[i]), &interval, &err) == ERR_OK, "%s", texts[i]);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct duty_interval interval = { .days = 1, .times = 1 };
    struct duty_answer answer;
    struct err err;
    struct arena *arena = arena_new(1 << 22);
    test_ok(duty_evaluate(&interval, 0, INT64_MAX, 30000, NULL, 0, arena, &answer, &err) == ERR_LIMIT,
            "too many");
    arena_free(arena);
    arena = arena_new(64);
    test_ok(duty_evaluate(&interval, 0, INT64_MAX, 300, NULL, 0, arena, &answer, &err) == ERR_NOMEM,
            "no memory");
    arena_free(arena);
}

TEST_MAIN(TEST(test_intervals), TEST(test_states), TEST(test_windows_have_no_holes), TEST(test_catalogue),
          TEST(test_limits))
