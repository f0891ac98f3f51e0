/* temporal.c - see temporal.h */
#include "feel/temporal.h"

#include <stdio.h>
#include <unicode/ucal.h>

/* ---------------------------------------------------------------- calendar */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int days_in_month(int64_t year, int month)
{
    static const int DAYS[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && leap(year) ? 29 : DAYS[month - 1];
}

bool date_valid(int64_t year, int64_t month, int64_t day)
{
    return year >= -YEAR_MAX && year <= YEAR_MAX && month >= 1 && month <= 12 && day >= 1 &&
           day <= days_in_month(year, (int)month);
}

/* Days since 1970-01-01; eras of 400 years from 0000-03-01. */
int64_t date_to_days(struct feel_date date)
{
    const int64_t y = (int64_t)date.year - (date.month <= 2);
    const int64_t era = floor_div(y, 400), yoe = y - era * 400;
    const int64_t doy = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

bool date_from_days(int64_t days, struct feel_date *out)
{
    if (days < -400000000000LL || days > 400000000000LL)
        return false;
    days += 719468;
    const int64_t era = floor_div(days, 146097), doe = days - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    const int64_t month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
    if (year < -YEAR_MAX || year > YEAR_MAX)
        return false;
    *out = (struct feel_date) { (int32_t)year, (uint8_t)month, (uint8_t)(doy - (153 * mp + 2) / 5 + 1) };
    return true;
}

bool date_add_months(struct feel_date date, int64_t months, struct feel_date *out)
{
    if (months > 12LL * 3 * YEAR_MAX || months < -12LL * 3 * YEAR_MAX)
        return false;
    const int64_t total = (int64_t)date.year * 12 + date.month - 1 + months;
    const int64_t year = floor_div(total, 12);
    const int month = (int)(total - year * 12) + 1;
    if (year < -YEAR_MAX || year > YEAR_MAX)
        return false;
    const int last = days_in_month(year, month);
    *out = (struct feel_date) { (int32_t)year, (uint8_t)month, (uint8_t)(date.day < last ? date.day : last) };
    return true;
}

int date_weekday(struct feel_date date)
{
    const int64_t days = date_to_days(date) + 3; /* 1970-01-01 was a Thursday */
    return (int)(days - floor_div(days, 7) * 7) + 1;
}

int date_day_of_year(struct feel_date date)
{
    return (int)(date_to_days(date) - date_to_days((struct feel_date) { date.year, 1, 1 })) + 1;
}

static int weeks_in_year(int32_t year)
{
    const int first = date_weekday((struct feel_date) { year, 1, 1 });
    return first == 4 || (first == 3 && leap(year)) ? 53 : 52;
}

int date_week(struct feel_date date)
{
    const int week = (date_day_of_year(date) - date_weekday(date) + 10) / 7;
    if (week < 1)
        return weeks_in_year(date.year - 1);
    return week > weeks_in_year(date.year) ? 1 : week;
}

/* ---------------------------------------------------------------- zones */

#define ZONE_UNITS 64

static bool zone_units(struct str zone, UChar out[ZONE_UNITS])
{
    if (zone.len == 0 || zone.len >= ZONE_UNITS)
        return false;
    for (size_t i = 0; i < zone.len; i++) {
        const unsigned char c = (unsigned char)zone.ptr[i];
        if (c >= 0x80)
            return false;
        out[i] = c;
    }
    out[zone.len] = 0;
    return true;
}

bool zone_known(struct str zone)
{
    UChar units[ZONE_UNITS], canonical[ZONE_UNITS];
    UErrorCode status = U_ZERO_ERROR;
    UBool system = false;
    if (!zone_units(zone, units))
        return false;
    (void)ucal_getCanonicalTimeZoneID(units, -1, canonical, ZONE_UNITS, &system, &status);
    return U_SUCCESS(status) && system;
}

/* ICU counts in doubles of milliseconds; far years have the rules of a near year with the same calendar. */
static int64_t near(int64_t seconds)
{
    const int64_t cycle = 146097LL * DAY_SECONDS, limit = 10 * cycle;
    if (seconds > limit)
        return limit + seconds % cycle;
    return seconds < -limit ? -limit : seconds;
}

static int32_t zone_offset(struct str zone, int64_t seconds, bool local)
{
    UChar units[ZONE_UNITS];
    UErrorCode status = U_ZERO_ERROR;
    if (!zone_units(zone, units))
        return 0;
    UCalendar *calendar = ucal_open(units, -1, "", UCAL_GREGORIAN, &status);
    int32_t raw = 0, dst = 0;
    ucal_setMillis(calendar, (double)near(seconds) * 1000, &status);
    if (local) {
        ucal_getTimeZoneOffsetFromLocal(calendar, UCAL_TZ_LOCAL_FORMER, UCAL_TZ_LOCAL_FORMER, &raw, &dst,
                                        &status);
    } else {
        raw = ucal_get(calendar, UCAL_ZONE_OFFSET, &status);
        dst = ucal_get(calendar, UCAL_DST_OFFSET, &status);
    }
    ucal_close(calendar);
    return U_SUCCESS(status) ? (raw + dst) / 1000 : 0;
}

int32_t zone_offset_local(struct str zone, int64_t local_seconds)
{
    return zone_offset(zone, local_seconds, true);
}

int32_t zone_offset_utc(struct str zone, int64_t utc_seconds)
{
    return zone_offset(zone, utc_seconds, false);
}

/* ---------------------------------------------------------------- moments */

int64_t moment_local(const struct feel_moment *m)
{
    return date_to_days(m->date) * DAY_SECONDS + m->second;
}

int64_t moment_utc(const struct feel_moment *m)
{
    return moment_local(m) - m->offset;
}

nanos_t moment_nanos(const struct feel_moment *m)
{
    return (nanos_t)moment_utc(m) * NANOS + m->nanos;
}

nanos_t time_nanos(const struct feel_moment *m)
{
    return (nanos_t)(m->second - m->offset) * NANOS + m->nanos;
}

void moment_settle(struct feel_moment *m)
{
    if (m->zone_kind == FEEL_ZONE_NAMED)
        m->offset = zone_offset_local(m->zone, moment_local(m));
}

void time_settle(struct feel_moment *m)
{
    const int64_t winter = 946684800; /* 2000-01-01 */
    if (m->zone_kind == FEEL_ZONE_NAMED)
        m->offset = zone_offset_local(m->zone, winter);
}

bool moment_add(const struct feel_moment *m, nanos_t nanos, struct feel_moment *out)
{
    nanos_t total = moment_nanos(m) + nanos;
    const nanos_t limit = (nanos_t)400000000000LL * DAY_SECONDS * NANOS;
    if (total > limit || total < -limit)
        return false;
    int64_t utc = (int64_t)(total / NANOS);
    int64_t rest = (int64_t)(total % NANOS);
    if (rest < 0) {
        rest += NANOS;
        utc--;
    }
    struct feel_moment sum = *m;
    if (sum.zone_kind == FEEL_ZONE_NAMED)
        sum.offset = zone_offset_utc(sum.zone, utc);
    const int64_t local = utc + sum.offset, days = floor_div(local, DAY_SECONDS);
    if (!date_from_days(days, &sum.date))
        return false;
    sum.second = (int32_t)(local - days * DAY_SECONDS);
    sum.nanos = (int32_t)rest;
    *out = sum;
    return true;
}

bool days_from_nanos(nanos_t nanos, struct feel_days *out)
{
    const nanos_t seconds = nanos / NANOS;
    if (seconds > INT64_MAX || seconds < INT64_MIN + 1)
        return false;
    *out = (struct feel_days) { (int64_t)seconds, (int32_t)(nanos % NANOS) };
    return true;
}

/* ---------------------------------------------------------------- reading */

struct reader {
    struct str text;
    size_t at;
};

static char peek(const struct reader *r)
{
    return r->at < r->text.len ? r->text.ptr[r->at] : '\0';
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != c || r->at >= r->text.len)
        return false;
    r->at++;
    return true;
}

static bool digits(struct reader *r, size_t least, size_t most, int64_t *out)
{
    size_t count = 0;
    int64_t number = 0;
    while (r->at < r->text.len && peek(r) >= '0' && peek(r) <= '9' && count < most) {
        number = number * 10 + (peek(r) - '0');
        r->at++;
        count++;
    }
    *out = number;
    return count >= least;
}

static bool read_date(struct reader *r, struct feel_date *out)
{
    const bool negative = take(r, '-');
    const size_t start = r->at;
    int64_t year, month, day;
    if (!digits(r, 4, 9, &year) || (r->at - start > 4 && r->text.ptr[start] == '0') || !take(r, '-') ||
        !digits(r, 2, 2, &month) || !take(r, '-') || !digits(r, 2, 2, &day))
        return false;
    if (negative)
        year = -year;
    if (!date_valid(year, month, day))
        return false;
    *out = (struct feel_date) { (int32_t)year, (uint8_t)month, (uint8_t)day };
    return true;
}

/* Digits behind a point as nanoseconds; what is beyond nine is cut. */
static bool read_fraction(struct reader *r, size_t least, int32_t *out)
{
    int32_t nanos = 0, unit = NANOS / 10;
    const size_t start = r->at;
    for (; r->at < r->text.len && peek(r) >= '0' && peek(r) <= '9'; r->at++) {
        nanos += (peek(r) - '0') * unit;
        unit /= 10;
    }
    *out = nanos;
    return r->at - start >= least;
}

static bool read_zone(struct reader *r, struct feel_moment *m)
{
    m->zone_kind = FEEL_ZONE_NONE;
    m->offset = 0;
    m->zone = (struct str) { 0 };
    if (r->at == r->text.len)
        return true;
    if (take(r, 'Z') || take(r, 'z')) {
        m->zone_kind = FEEL_ZONE_OFFSET;
        return r->at == r->text.len;
    }
    if (take(r, '@')) {
        m->zone_kind = FEEL_ZONE_NAMED;
        m->zone = str_slice(r->text, r->at, r->text.len);
        r->at = r->text.len;
        return zone_known(m->zone);
    }
    const bool west = peek(r) == '-';
    int64_t hours, minutes, seconds = 0;
    if ((!take(r, '+') && !take(r, '-')) || !digits(r, 2, 2, &hours) || !take(r, ':') ||
        !digits(r, 2, 2, &minutes) || (take(r, ':') && !digits(r, 2, 2, &seconds)))
        return false;
    const int64_t offset = hours * 3600 + minutes * 60 + seconds;
    if (minutes > 59 || seconds > 59 || offset > OFFSET_MAX)
        return false;
    m->zone_kind = FEEL_ZONE_OFFSET;
    m->offset = (int32_t)(west ? -offset : offset);
    return r->at == r->text.len;
}

static bool read_time(struct reader *r, struct feel_moment *m)
{
    int64_t hour, minute, second;
    if (!digits(r, 2, 2, &hour) || !take(r, ':') || !digits(r, 2, 2, &minute) || !take(r, ':') ||
        !digits(r, 2, 2, &second) || hour > 23 || minute > 59 || second > 59)
        return false;
    m->nanos = 0;
    if (take(r, '.') && !read_fraction(r, 1, &m->nanos))
        return false;
    m->second = (int32_t)(hour * 3600 + minute * 60 + second);
    return read_zone(r, m);
}

bool date_parse(struct str text, struct feel_date *out)
{
    struct reader r = { text, 0 };
    struct feel_date date;
    if (!read_date(&r, &date) || r.at != text.len)
        return false;
    *out = date;
    return true;
}

bool moment_parse_time(struct str text, struct feel_moment *out)
{
    struct reader r = { text, 0 };
    struct feel_moment m = { 0 };
    if (!read_time(&r, &m) || r.at != text.len)
        return false;
    time_settle(&m);
    *out = m;
    return true;
}

bool moment_parse_date_time(struct str text, struct feel_moment *out)
{
    struct reader r = { text, 0 };
    struct feel_moment m = { 0 };
    if (!read_date(&r, &m.date) || !take(&r, 'T') || !read_time(&r, &m) || r.at != text.len)
        return false;
    moment_settle(&m);
    *out = m;
    return true;
}

static bool moment_value(struct arena *arena, enum feel_kind kind, const struct feel_moment *m,
                         struct feel_value *out)
{
    struct feel_moment *copy = arena_alloc(arena, 1, sizeof *copy);
    if (!copy)
        return false;
    *copy = *m;
    if (m->zone.len) {
        copy->zone = arena_str(arena, m->zone);
        if (!copy->zone.ptr)
            return false;
    }
    *out = (struct feel_value) { .kind = kind, .moment = copy };
    return true;
}

bool feel_date_parse(struct str text, struct feel_value *out)
{
    struct feel_date date;
    if (!date_parse(text, &date))
        return false;
    *out = (struct feel_value) { .kind = FEEL_DATE, .date = date };
    return true;
}

bool feel_time_parse(struct arena *arena, struct str text, struct feel_value *out)
{
    struct feel_moment m;
    return moment_parse_time(text, &m) && moment_value(arena, FEEL_TIME, &m, out);
}

bool feel_date_time_parse(struct arena *arena, struct str text, struct feel_value *out)
{
    struct feel_moment m;
    return moment_parse_date_time(text, &m) && moment_value(arena, FEEL_DATE_TIME, &m, out);
}

/* One "<digits><unit>" of a duration; `unit` must be the next in order. */
static bool part(struct reader *r, char unit, int64_t *io_number, bool *io_any)
{
    const size_t start = r->at;
    int64_t number;
    if (!digits(r, 1, 18, &number) || !take(r, unit)) {
        r->at = start;
        return false;
    }
    *io_number = number;
    *io_any = true;
    return true;
}

bool feel_duration_parse(struct str text, struct feel_value *out)
{
    struct reader r = { text, 0 };
    const bool negative = take(&r, '-');
    int64_t years = 0, months = 0, days = 0, hours = 0, minutes = 0, seconds = 0;
    int32_t nanos = 0;
    bool date = false, time = false, day = false;
    if (!take(&r, 'P'))
        return false;
    (void)part(&r, 'Y', &years, &date);
    (void)part(&r, 'M', &months, &date);
    if (!date) {
        (void)part(&r, 'D', &days, &day);
        if (take(&r, 'T')) {
            (void)part(&r, 'H', &hours, &time);
            (void)part(&r, 'M', &minutes, &time);
            const size_t start = r.at;
            if (digits(&r, 1, 18, &seconds) && (!take(&r, '.') || read_fraction(&r, 0, &nanos)) &&
                take(&r, 'S')) {
                time = true;
            } else {
                r.at = start;
                seconds = nanos = 0;
            }
            if (!time)
                return false;
        }
    }
    if (r.at != text.len || (!date && !day && !time))
        return false;
    if (date) {
        int64_t total;
        if (__builtin_mul_overflow(years, 12, &total) || __builtin_add_overflow(total, months, &total))
            return false;
        *out = (struct feel_value) { .kind = FEEL_MONTHS_DURATION, .months = negative ? -total : total };
        return true;
    }
    nanos_t total = (((nanos_t)days * 24 + hours) * 60 + minutes) * 60 + seconds;
    total = total * NANOS + nanos;
    struct feel_days result;
    if (!days_from_nanos(negative ? -total : total, &result))
        return false;
    *out = (struct feel_value) { .kind = FEEL_DAYS_DURATION, .days = result };
    return true;
}

bool feel_temporal_parse(struct arena *arena, struct str text, struct feel_value *out)
{
    if (text.len && (text.ptr[0] == 'P' || (text.len > 1 && text.ptr[1] == 'P')))
        return feel_duration_parse(text, out);
    return feel_date_parse(text, out) || feel_date_time_parse(arena, text, out) ||
           feel_time_parse(arena, text, out);
}

enum err_code feel_from_instant(struct arena *arena, int64_t utc_ms, struct str zone, struct feel_value *out,
                                struct err *err)
{
    const int64_t seconds = floor_div(utc_ms, 1000);
    struct feel_moment m = { .zone_kind = zone.len ? FEEL_ZONE_NAMED : FEEL_ZONE_OFFSET, .zone = zone };
    m.nanos = (int32_t)(utc_ms - seconds * 1000) * 1000000;
    if (zone.len && !zone_known(zone))
        return err_set(err, ERR_INVALID, "feel.zone", ARG_STR("zone", zone), ARG_END);
    m.offset = zone.len ? zone_offset_utc(zone, seconds) : 0;
    const int64_t local = seconds + m.offset, days = floor_div(local, DAY_SECONDS);
    if (!date_from_days(days, &m.date))
        return err_set(err, ERR_INVALID, "feel.instant", ARG_INT("ms", utc_ms), ARG_END);
    m.second = (int32_t)(local - days * DAY_SECONDS);
    return moment_value(arena, FEEL_DATE_TIME, &m, out) ? ERR_OK : err_nomem(err);
}

bool feel_to_instant(const struct feel_value *date_time, int64_t *out_utc_ms)
{
    if (date_time->kind != FEEL_DATE_TIME)
        return false;
    const struct feel_moment *m = date_time->moment;
    int64_t ms;
    if (__builtin_mul_overflow(moment_utc(m), 1000, &ms) ||
        __builtin_add_overflow(ms, m->nanos / 1000000, &ms))
        return false;
    *out_utc_ms = ms;
    return true;
}

/* ---------------------------------------------------------------- printing */

void date_print(struct buf *buf, struct feel_date date)
{
    buf_printf(buf, "%s%04d-%02d-%02d", date.year < 0 ? "-" : "", date.year < 0 ? -date.year : date.year,
               date.month, date.day);
}

static void fraction_print(struct buf *buf, int32_t nanos)
{
    if (!nanos)
        return;
    char text[16];
    int len = snprintf(text, sizeof text, ".%09d", nanos);
    while (text[len - 1] == '0')
        len--;
    buf_add(buf, text, (size_t)len);
}

void time_print(struct buf *buf, const struct feel_moment *m)
{
    buf_printf(buf, "%02d:%02d:%02d", m->second / 3600, m->second / 60 % 60, m->second % 60);
    fraction_print(buf, m->nanos);
    if (m->zone_kind == FEEL_ZONE_NAMED) {
        buf_char(buf, '@');
        buf_str(buf, m->zone);
    } else if (m->zone_kind == FEEL_ZONE_OFFSET) {
        const int offset = m->offset < 0 ? -m->offset : m->offset;
        if (!offset) {
            buf_char(buf, 'Z');
            return;
        }
        buf_printf(buf, "%c%02d:%02d", m->offset < 0 ? '-' : '+', offset / 3600, offset / 60 % 60);
        if (offset % 60)
            buf_printf(buf, ":%02d", offset % 60);
    }
}

void date_time_print(struct buf *buf, const struct feel_moment *m)
{
    date_print(buf, m->date);
    buf_char(buf, 'T');
    time_print(buf, m);
}

void days_print(struct buf *buf, struct feel_days days)
{
    const bool negative = days.seconds < 0 || days.nanos < 0;
    const int64_t all = negative ? -days.seconds : days.seconds;
    const int32_t nanos = days.nanos < 0 ? -days.nanos : days.nanos;
    const int64_t day = all / DAY_SECONDS, rest = all % DAY_SECONDS;
    if (!all && !nanos) {
        buf_text(buf, "PT0S");
        return;
    }
    buf_text(buf, negative ? "-P" : "P");
    if (day)
        buf_printf(buf, "%lldD", (long long)day);
    if (rest || nanos)
        buf_char(buf, 'T');
    if (rest / 3600)
        buf_printf(buf, "%lldH", (long long)(rest / 3600));
    if (rest / 60 % 60)
        buf_printf(buf, "%lldM", (long long)(rest / 60 % 60));
    if (rest % 60 || nanos) {
        buf_i64(buf, rest % 60);
        fraction_print(buf, nanos);
        buf_char(buf, 'S');
    }
}

void months_print(struct buf *buf, int64_t months)
{
    if (!months) {
        buf_text(buf, "P0M");
        return;
    }
    const uint64_t all = months < 0 ? -(uint64_t)months : (uint64_t)months;
    buf_text(buf, months < 0 ? "-P" : "P");
    if (all / 12)
        buf_printf(buf, "%lluY", (unsigned long long)(all / 12));
    if (all % 12)
        buf_printf(buf, "%lluM", (unsigned long long)(all % 12));
}
