/* duty.c - see duty.h */
#include "subject/duty.h"
#include "base/clock.h"

#define MONDAY (-3) /* 1969-12-29, a Monday */

static bool read_number(struct str text, size_t *at, int max, int *out)
{
    int value = 0;
    const size_t start = *at;
    for (; *at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9'; ++*at) {
        value = value * 10 + (text.ptr[*at] - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return *at > start && value > 0;
}

enum err_code duty_interval_parse(struct str text, struct duty_interval *out, struct err *err)
{
    struct duty_interval interval = { .times = 1 };
    size_t at = 1;
    int length;
    if (str_eq(text, STR("event"))) {
        interval.by_event = true;
        *out = interval;
        return ERR_OK;
    }
    if (text.len < 3 || text.ptr[0] != 'P' || !read_number(text, &at, 3650, &length) || at == text.len)
        goto refused;
    switch (text.ptr[at++]) {
    case 'D':
        interval.days = length;
        break;
    case 'W':
        interval.days = length * 7;
        break;
    case 'M':
        interval.months = length;
        break;
    case 'Y':
        interval.months = length * 12;
        break;
    default:
        goto refused;
    }
    if (at < text.len && (text.ptr[at++] != '/' || !read_number(text, &at, DUTY_TIMES_MAX, &interval.times)))
        goto refused;
    if (at != text.len)
        goto refused;
    *out = interval;
    return ERR_OK;
refused:
    return err_set(err, ERR_INVALID, "subject.interval", ARG_STR("text", text), ARG_END);
}

static int64_t floor_to(int64_t value, int64_t step, int64_t origin)
{
    const int64_t offset = value - origin;
    return origin + (offset / step - (offset % step < 0)) * step;
}

/* The first day of month number `month` (counted from January of year 0). */
static int64_t first_of(int64_t month)
{
    return days_from_civil(month / 12, (int)(month % 12) + 1, 1);
}

static int64_t month_of(int64_t day)
{
    int64_t year;
    int month, in_month;
    civil_from_days(day, &year, &month, &in_month);
    return year * 12 + month - 1;
}

/* Months from January of year 0 where they divide the year (or are whole years), else from the start. */
static int64_t month_origin(const struct duty_interval *interval, int64_t start_day)
{
    return 12 % interval->months == 0 ? 0 : month_of(start_day);
}

int64_t duty_window_start(const struct duty_interval *interval, int64_t start_day, int64_t day)
{
    if (interval->months)
        return first_of(floor_to(month_of(day), interval->months, month_origin(interval, start_day)));
    const bool weeks = interval->days == 7;
    return floor_to(day, interval->days, weeks ? MONDAY : start_day);
}

static int64_t window_end(const struct duty_interval *interval, int64_t from_day)
{
    return interval->months ? first_of(month_of(from_day) + interval->months) : from_day + interval->days;
}

/* Deeds go to the window they fall in while it lacks one; what is over fills the oldest short window. */
static void count_deeds(struct duty_answer *answer, int times, int64_t start_day, int64_t today,
                        const int64_t *deeds, int deeds_count)
{
    int at = 0, oldest_short = 0;
    for (int i = 0; i < deeds_count && deeds[i] <= today; i++) {
        if (deeds[i] < start_day)
            continue;
        while (at + 1 < answer->count && deeds[i] >= answer->windows[at].to_day)
            at++;
        if (deeds[i] >= answer->windows[at].to_day)
            continue; /* after the contract */
        struct duty_window *window = &answer->windows[at];
        if (window->done >= times) {
            while (oldest_short < at && answer->windows[oldest_short].done >= times)
                oldest_short++;
            window = &answer->windows[oldest_short];
        }
        window->done++;
    }
}

enum err_code duty_evaluate(const struct duty_interval *interval, int64_t start_day, int64_t end_day,
                            int64_t today, const int64_t *deeds, int deeds_count, struct arena *arena,
                            struct duty_answer *out, struct err *err)
{
    struct duty_answer answer = { 0 };
    const int64_t last = today < end_day ? today : end_day;
    if (interval->by_event || last < start_day) {
        *out = answer;
        return ERR_OK;
    }
    const int64_t first = duty_window_start(interval, start_day, start_day);
    for (int64_t day = first; day <= last; day = window_end(interval, day))
        if (++answer.count > DUTY_WINDOWS_MAX)
            return err_set(err, ERR_LIMIT, "subject.windows_max", ARG_INT("max", DUTY_WINDOWS_MAX), ARG_END);
    answer.windows = arena_alloc(arena, (size_t)answer.count, sizeof *answer.windows);
    if (!answer.windows)
        return err_nomem(err);
    int64_t day = first;
    for (int i = 0; i < answer.count; i++) {
        answer.windows[i].from_day = day;
        day = answer.windows[i].to_day = window_end(interval, day);
    }
    answer.windows[0].from_day = start_day;
    count_deeds(&answer, interval->times, start_day, today, deeds, deeds_count);
    for (int i = 0; i < answer.count; i++) {
        struct duty_window *window = &answer.windows[i];
        const bool running = today < window->to_day;
        window->state = window->done >= interval->times ? DUTY_DONE : running ? DUTY_DUE : DUTY_OVERDUE;
        answer.done += window->state == DUTY_DONE;
        answer.due += window->state == DUTY_DUE;
        answer.overdue += window->state == DUTY_OVERDUE;
    }
    answer.next_day = answer.windows[answer.count - 1].to_day - 1;
    *out = answer;
    return ERR_OK;
}
