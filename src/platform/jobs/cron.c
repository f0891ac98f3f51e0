/* cron.c - see cron.h */
#include "platform/jobs/cron.h"

#define DAYS_AHEAD (8 * 366)

struct reader {
    struct str text;
    size_t at;
};

static enum err_code refuse(const struct reader *reader, struct err *err)
{
    (void)err_set(err, ERR_INVALID, "jobs.schedule", ARG_END);
    return err_at(err, 1, (int)reader->at + 1);
}

static bool number(struct reader *reader, int *out)
{
    int value = 0;
    const size_t from = reader->at;
    while (reader->at < reader->text.len && reader->at - from < 3 && reader->text.ptr[reader->at] >= '0' &&
           reader->text.ptr[reader->at] <= '9')
        value = value * 10 + reader->text.ptr[reader->at++] - '0';
    *out = value;
    return reader->at > from;
}

static bool take(struct reader *reader, char c)
{
    if (reader->at >= reader->text.len || reader->text.ptr[reader->at] != c)
        return false;
    reader->at++;
    return true;
}

/* One of the five fields. */
static enum err_code field(struct reader *reader, int least, int most, uint64_t *out, bool *out_any,
                           struct err *err)
{
    uint64_t bits = 0;
    bool any = false;
    do {
        int from = least, to = most, step = 1;
        const size_t start = reader->at;
        if (take(reader, '*')) {
            any = true;
        } else {
            if (!number(reader, &from))
                return refuse(reader, err);
            to = from;
            if (take(reader, '-') && !number(reader, &to))
                return refuse(reader, err);
        }
        if (take(reader, '/')) {
            if (!number(reader, &step) || step == 0)
                return refuse(reader, err);
            any = false;
            to = to == from ? most : to;
        }
        if (from < least || to > most || from > to) {
            reader->at = start;
            return refuse(reader, err);
        }
        for (int i = from; i <= to; i += step)
            bits |= UINT64_C(1) << i;
    } while (take(reader, ','));
    *out = bits;
    *out_any = any;
    return ERR_OK;
}

static enum err_code space(struct reader *reader, struct err *err)
{
    if (!take(reader, ' '))
        return refuse(reader, err);
    while (take(reader, ' '))
        ;
    return ERR_OK;
}

enum err_code cron_parse(struct str text, struct cron *out, struct err *err)
{
    struct reader reader = { .text = str_trim(text) };
    struct cron cron;
    bool ignored;
    if (field(&reader, 0, 59, &cron.minutes, &ignored, err) || space(&reader, err) ||
        field(&reader, 0, 23, &cron.hours, &ignored, err) || space(&reader, err) ||
        field(&reader, 1, 31, &cron.days, &cron.any_day, err) || space(&reader, err) ||
        field(&reader, 1, 12, &cron.months, &ignored, err) || space(&reader, err) ||
        field(&reader, 0, 7, &cron.weekdays, &cron.any_weekday, err))
        return ERR_INVALID;
    if (reader.at != reader.text.len)
        return refuse(&reader, err);
    if (cron.weekdays >> 7 & 1)
        cron.weekdays |= 1;
    *out = cron;
    return ERR_OK;
}

static bool on_day(const struct cron *cron, int64_t day, enum cron_days days, const struct calendar *calendar)
{
    int64_t year;
    int month, day_of_month;
    civil_from_days(day, &year, &month, &day_of_month);
    if (!(cron->months >> month & 1))
        return false;
    const bool by_day = cron->days >> day_of_month & 1;
    const bool by_weekday = cron->weekdays >> (day_weekday(day) % 7) & 1;
    const bool due = cron->any_day ? by_weekday : cron->any_weekday ? by_day : by_day || by_weekday;
    if (!due || days == CRON_EVERY)
        return due;
    return calendar_works_on(calendar, day) == (days == CRON_WORK);
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, enum cron_days days,
                  const struct calendar *calendar, int64_t after_ms)
{
    const int64_t first = zone_day(zone, after_ms);
    for (int64_t day = first; day < first + DAYS_AHEAD; day++) {
        if (!on_day(cron, day, days, calendar))
            continue;
        for (int minute = 0; minute < 1440; minute++) {
            if (!(cron->hours >> (minute / 60) & 1) || !(cron->minutes >> (minute % 60) & 1))
                continue;
            const int64_t at = zone_utc(zone, day * DAY_MS + minute * INT64_C(60000));
            if (at > after_ms)
                return at;
        }
    }
    return 0;
}
