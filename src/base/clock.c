/* clock.c - see clock.h */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_now(const struct clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono(const struct clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t test_now(const struct clock *clock)
{
    return clock->test_ms;
}

const struct clock CLOCK_SYSTEM = { system_now, system_mono, 0 };

void clock_test_init(struct clock *clock, int64_t now_ms)
{
    clock->now_ms = test_now;
    clock->mono_ms = test_now;
    clock->test_ms = now_ms;
}

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": eras of 400 years from 0000-03-01. */
int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void civil_from_days(int64_t days, int64_t *out_year, int *out_month, int *out_day)
{
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t doe = days - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153;
    *out_day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *out_month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *out_year = yoe + era * 400 + (*out_month <= 2);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

size_t clock_text(int64_t ms, int offset_minutes, char out[CLOCK_TEXT_SIZE])
{
    const int64_t local = ms + (int64_t)offset_minutes * 60000;
    const int64_t days = floor_div(local, 86400000);
    const int in_day = (int)(local - days * 86400000);
    int64_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    char part[8] = "", zone[8] = "Z";
    if (in_day % 1000)
        (void)snprintf(part, sizeof part, ".%03u", (unsigned)in_day % 1000u);
    if (offset_minutes) {
        const unsigned minutes = (unsigned)(offset_minutes < 0 ? -offset_minutes : offset_minutes) % 1440u;
        (void)snprintf(zone, sizeof zone, "%c%02u:%02u", offset_minutes < 0 ? '-' : '+', minutes / 60u,
                       minutes % 60u);
    }
    const int len = snprintf(out, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d%s%s", (int)year, month, day,
                             in_day / 3600000, in_day / 60000 % 60, in_day / 1000 % 60, part, zone);
    return (size_t)len;
}

/* Reads exactly `digits` decimal digits at *at. */
static bool read_digits(struct str text, size_t *at, int digits, int *out)
{
    int value = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (*at >= text.len || text.ptr[*at] < '0' || text.ptr[*at] > '9')
            return false;
        value = value * 10 + (text.ptr[*at] - '0');
    }
    *out = value;
    return true;
}

static bool read_char(struct str text, size_t *at, char c)
{
    if (*at >= text.len || (text.ptr[*at] | 0x20) != (c | 0x20))
        return false;
    ++*at;
    return true;
}

static bool read_zone(struct str text, size_t *at, int *out_minutes)
{
    if (read_char(text, at, 'Z')) {
        *out_minutes = 0;
        return true;
    }
    int hours, minutes;
    const bool minus = *at < text.len && text.ptr[*at] == '-';
    if (*at >= text.len || (!minus && text.ptr[*at] != '+'))
        return false;
    ++*at;
    if (!read_digits(text, at, 2, &hours) || !read_char(text, at, ':') ||
        !read_digits(text, at, 2, &minutes) || hours > 14 || minutes > 59)
        return false;
    *out_minutes = (minus ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

enum err_code clock_parse(struct str text, int64_t *out_ms, struct err *err)
{
    static const int month_days[13] = { 0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    size_t at = 0;
    int year, month, day, hour, minute, second, millis = 0, offset;
    bool ok =
        read_digits(text, &at, 4, &year) && read_char(text, &at, '-') && read_digits(text, &at, 2, &month) &&
        read_char(text, &at, '-') && read_digits(text, &at, 2, &day) && read_char(text, &at, 'T') &&
        read_digits(text, &at, 2, &hour) && read_char(text, &at, ':') && read_digits(text, &at, 2, &minute) &&
        read_char(text, &at, ':') && read_digits(text, &at, 2, &second);
    if (ok && at < text.len && text.ptr[at] == '.') {
        int digits = 0;
        for (at++; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++, digits++)
            if (digits < 3)
                millis = millis * 10 + (text.ptr[at] - '0');
        ok = digits > 0;
        for (; digits < 3; digits++)
            millis *= 10;
    }
    ok = ok && read_zone(text, &at, &offset) && at == text.len && month >= 1 && month <= 12 && day >= 1 &&
         day <= month_days[month] && hour <= 23 && minute <= 59 && second <= 60;
    if (ok && month == 2 && day == 29)
        ok = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (!ok)
        return err_set(err, ERR_INVALID, "base.instant", ARG_STR("text", text), ARG_END);
    *out_ms = days_from_civil(year, month, day) * 86400000 + hour * 3600000 + minute * 60000 + second * 1000 +
              millis - (int64_t)offset * 60000;
    return ERR_OK;
}
