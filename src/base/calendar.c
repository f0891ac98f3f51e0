/* calendar.c - compiled working time.
 *
 * Every day of the horizon has a pattern (its spans in minutes of wall time) and the working minutes of
 * all days before it, so that both questions are a binary search over days and a short walk in one day.
 *
 * 1. before[i] = working minutes of the days [0, i); before[DAYS] is the total.
 * 2. spans of a pattern are in order, apart from each other, within [0, 1440].
 * 3. A span's instants are made from wall time by the zone, so a day of 23 or 25 hours counts what it has. */
#include "base/calendar.h"
#include "base/holidays.h"

#include <assert.h>

#define MINUTE_MS INT64_C(60000)
#define FIRST_DAY INT64_C(10957) /* 2000-01-01 */
#define DAYS 36525               /* up to 2099-12-31 */
#define PATTERNS_MAX 200
#define PATTERN_NONE 0

struct pattern {
    int count;
    int16_t from[CALENDAR_SPANS_MAX], to[CALENDAR_SPANS_MAX]; /* minutes of wall time */
};

struct calendar {
    bool always;
    struct zone *zone; /* owned */
    uint8_t *pattern;  /* DAYS of them, owned; NULL when always */
    uint8_t *kind;     /* enum calendar_kind, DAYS of them, owned */
    int32_t *before;   /* DAYS + 1, owned */
    int patterns_count;
    struct pattern patterns[PATTERNS_MAX]; /* [0] is empty */
    int keys_count;
    struct calendar_key *keys; /* owned, names too */
};

static const char *const WEEKDAYS[7] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static enum err_code keys_copy(struct calendar *cal, const struct calendar_spec *spec, struct err *err);
static enum err_code days_compile(struct calendar *cal, const struct calendar_spec *spec, struct err *err);
static enum err_code week_parse(struct calendar *cal, struct str text, uint8_t week[7], struct err *err);
static enum err_code spans_parse(struct calendar *cal, struct str whole, struct str text, uint8_t *out_index,
                                 struct err *err);
static bool weekdays_parse(struct str word, int *out_first, int *out_last);
static bool minutes_parse(struct str text, int *out_minutes);
static enum err_code hours_bad(struct str whole, const char *at, struct err *err);
static struct calendar_span span_of(const struct calendar *cal, int64_t index, int i);
static int64_t day_worked(const struct calendar *cal, int64_t index);
static int64_t worked_before(const struct calendar *cal, int64_t at_ms);

enum err_code calendar_new(const struct calendar_spec *spec, struct calendar **out_calendar, struct err *err)
{
    enum err_code rc;
    struct calendar *cal;
    if (spec->days_count > CALENDAR_DAYS_MAX || spec->keys_count > CALENDAR_KEYS_MAX ||
        spec->hours.len > CALENDAR_HOURS_MAX)
        return err_set(err, ERR_LIMIT, "calendar.too_large", ARG_END);
    cal = mem_alloc(1, sizeof(*cal));
    if (!cal)
        return err_nomem(err);
    cal->always = spec->always;
    cal->patterns_count = 1;
    rc = zone_new(spec->zone, &cal->zone, err);
    if (!rc)
        rc = keys_copy(cal, spec, err);
    if (!rc && !cal->always)
        rc = days_compile(cal, spec, err);
    if (rc) {
        calendar_free(cal);
        return err_in(err, "calendar.compile");
    }
    *out_calendar = cal;
    return ERR_OK;
}

void calendar_free(struct calendar *calendar)
{
    if (!calendar)
        return;
    for (int i = 0; i < calendar->keys_count; i++)
        mem_free((void *)(uintptr_t)calendar->keys[i].name.ptr);
    mem_free(calendar->keys);
    mem_free(calendar->pattern);
    mem_free(calendar->kind);
    mem_free(calendar->before);
    zone_free(calendar->zone);
    mem_free(calendar);
}

const struct zone *calendar_zone(const struct calendar *calendar)
{
    return calendar->zone;
}

bool calendar_is_always(const struct calendar *calendar)
{
    return calendar->always;
}

int64_t calendar_add(const struct calendar *calendar, int64_t from_ms, int64_t duration_ms)
{
    int64_t low = 0, high = DAYS, want;
    if (duration_ms <= 0)
        return from_ms;
    if (calendar->always)
        return from_ms > CALENDAR_NEVER - duration_ms ? CALENDAR_NEVER : from_ms + duration_ms;
    want = worked_before(calendar, from_ms); /* at most 100 years of milliseconds: no overflow below */
    if (duration_ms > calendar->before[DAYS] * MINUTE_MS - want)
        return CALENDAR_NEVER;
    want += duration_ms;
    /* the day in which the total reaches `want`: before[low] < want <= before[low + 1] */
    while (high - low > 1) {
        const int64_t mid = (low + high) / 2;
        if (calendar->before[mid] * MINUTE_MS < want)
            low = mid;
        else
            high = mid;
    }
    want -= calendar->before[low] * MINUTE_MS;
    for (int i = 0; i < calendar->patterns[calendar->pattern[low]].count; i++) {
        const struct calendar_span span = span_of(calendar, low, i);
        if (want <= span.to_ms - span.from_ms)
            return span.from_ms + want;
        want -= span.to_ms - span.from_ms;
    }
    assert(false); /* the day holds what its sum says */
    return CALENDAR_NEVER;
}

int64_t calendar_between(const struct calendar *calendar, int64_t from_ms, int64_t to_ms)
{
    if (to_ms <= from_ms)
        return 0;
    if (calendar->always)
        return from_ms < 0 && to_ms > INT64_MAX + from_ms ? INT64_MAX : to_ms - from_ms;
    return worked_before(calendar, to_ms) - worked_before(calendar, from_ms);
}

bool calendar_works_at(const struct calendar *calendar, int64_t at_ms)
{
    struct calendar_span span;
    return calendar_span_at(calendar, at_ms, &span) && span.from_ms <= at_ms;
}

bool calendar_works_on(const struct calendar *calendar, int64_t day)
{
    if (calendar->always)
        return true;
    return day >= FIRST_DAY && day < FIRST_DAY + DAYS && calendar->pattern[day - FIRST_DAY] != PATTERN_NONE;
}

int64_t calendar_next_day(const struct calendar *calendar, int64_t day, int nth)
{
    if (nth < 1)
        return day;
    if (calendar->always)
        return day + nth;
    if (day < FIRST_DAY)
        day = FIRST_DAY - 1;
    for (day++; day < FIRST_DAY + DAYS; day++)
        if (calendar->pattern[day - FIRST_DAY] != PATTERN_NONE && --nth == 0)
            return day;
    return CALENDAR_NEVER;
}

bool calendar_span_at(const struct calendar *calendar, int64_t at_ms, struct calendar_span *out_span)
{
    int64_t index;
    if (calendar->always) {
        *out_span = (struct calendar_span) { INT64_MIN, INT64_MAX };
        return true;
    }
    index = zone_day(calendar->zone, at_ms) - FIRST_DAY;
    for (index = index < 0 ? 0 : index; index < DAYS; index++) {
        for (int i = 0; i < calendar->patterns[calendar->pattern[index]].count; i++) {
            const struct calendar_span span = span_of(calendar, index, i);
            if (span.to_ms > at_ms && span.to_ms > span.from_ms) {
                *out_span = span;
                return true;
            }
        }
    }
    return false;
}

const struct calendar_key *calendar_key_at(const struct calendar *calendar, int64_t at_ms)
{
    const int64_t day = zone_day(calendar->zone, at_ms);
    for (int i = 0; i < calendar->keys_count; i++)
        if (calendar->keys[i].first_day <= day && day <= calendar->keys[i].last_day)
            return &calendar->keys[i];
    return NULL;
}

enum calendar_kind calendar_kind_on(const struct calendar *calendar, int64_t day)
{
    if (calendar->always)
        return CALENDAR_WORK;
    if (day < FIRST_DAY || day >= FIRST_DAY + DAYS)
        return CALENDAR_REST;
    return (enum calendar_kind)calendar->kind[day - FIRST_DAY];
}

static enum err_code keys_copy(struct calendar *cal, const struct calendar_spec *spec, struct err *err)
{
    if (!spec->keys_count)
        return ERR_OK;
    cal->keys = mem_alloc((size_t)spec->keys_count, sizeof(*cal->keys));
    if (!cal->keys)
        return err_nomem(err);
    for (int i = 0; i < spec->keys_count; i++) {
        struct calendar_key *key = &cal->keys[cal->keys_count];
        *key = spec->keys[i];
        key->name.ptr =
            mem_copy(spec->keys[i].name.ptr ? spec->keys[i].name.ptr : "", spec->keys[i].name.len);
        if (!key->name.ptr)
            return err_nomem(err);
        cal->keys_count++;
    }
    return ERR_OK;
}

static enum err_code days_compile(struct calendar *cal, const struct calendar_spec *spec, struct err *err)
{
    uint8_t week[7] = { 0 };
    uint8_t workday = PATTERN_NONE; /* the hours of a moved working day: Monday's, else the first there are */
    int holidays_count = 0;
    const struct holiday *holidays = holidays_cn(&holidays_count);
    enum err_code rc;

    cal->pattern = mem_alloc(DAYS, sizeof(*cal->pattern));
    cal->kind = mem_alloc(DAYS, sizeof(*cal->kind));
    cal->before = mem_alloc(DAYS + 1, sizeof(*cal->before));
    if (!cal->pattern || !cal->kind || !cal->before)
        return err_nomem(err);
    rc = week_parse(cal, spec->hours, week, err);
    if (rc)
        return rc;
    for (int i = 6; i >= 0; i--)
        workday = week[i] ? week[i] : workday;

    for (int64_t i = 0; i < DAYS; i++) {
        cal->pattern[i] = week[day_weekday(FIRST_DAY + i) - 1];
        cal->kind[i] = cal->pattern[i] ? CALENDAR_WORK : CALENDAR_REST;
    }
    for (int h = 0; spec->holidays_cn && h < holidays_count; h++) {
        for (int64_t day = holidays[h].first_day; day <= holidays[h].last_day; day++) {
            cal->pattern[day - FIRST_DAY] = holidays[h].working ? workday : PATTERN_NONE;
            cal->kind[day - FIRST_DAY] = holidays[h].working ? CALENDAR_MOVED_WORK : CALENDAR_HOLIDAY;
        }
    }
    for (int d = 0; d < spec->days_count; d++) {
        const int64_t index = spec->days[d].day - FIRST_DAY;
        uint8_t pattern = PATTERN_NONE;
        if (index < 0 || index >= DAYS)
            continue; /* nothing counts there anyway */
        if (str_eq(spec->days[d].hours, STR("work")))
            pattern = workday;
        else if (spec->days[d].hours.len > CALENDAR_HOURS_MAX)
            return err_set(err, ERR_LIMIT, "calendar.too_large", ARG_END);
        else if ((rc = spans_parse(cal, spec->days[d].hours, spec->days[d].hours, &pattern, err)))
            return rc;
        cal->pattern[index] = pattern;
        cal->kind[index] = CALENDAR_EXCEPTION;
    }
    for (int64_t i = 0; i < DAYS; i++)
        cal->before[i + 1] = cal->before[i] + (int32_t)(day_worked(cal, i) / MINUTE_MS);
    return ERR_OK;
}

/* "mon-fri 08:00-12:00 14:00-18:00; sat 09:00-12:00"; a later part replaces an earlier one's day. */
static enum err_code week_parse(struct calendar *cal, struct str text, uint8_t week[7], struct err *err)
{
    struct str rest = text, part;
    while (rest.ptr && str_cut(&rest, ';', &part)) {
        struct str spans = str_trim(part), days;
        int first, last;
        uint8_t pattern = PATTERN_NONE;
        enum err_code rc;
        if (!spans.len)
            continue;
        if (!str_cut(&spans, ' ', &days) || !weekdays_parse(days, &first, &last))
            return hours_bad(text, str_trim(part).ptr, err);
        if (!spans.ptr || !str_trim(spans).len)
            return hours_bad(text, days.ptr + days.len, err);
        rc = spans_parse(cal, text, spans, &pattern, err);
        if (rc)
            return rc;
        for (int i = first; i <= last; i++)
            week[i] = pattern;
    }
    return ERR_OK;
}

/* "08:00-12:00 14:00-18:00" into a new pattern (or the same one that is there already). */
static enum err_code spans_parse(struct calendar *cal, struct str whole, struct str text, uint8_t *out_index,
                                 struct err *err)
{
    struct pattern pattern = { 0 };
    struct str rest = text, word;
    while (rest.ptr && str_cut(&rest, ' ', &word)) {
        int from, to;
        const ptrdiff_t dash = str_find(word, STR("-"));
        if (!word.len)
            continue;
        if (dash < 0 || !minutes_parse(str_slice(word, 0, (size_t)dash), &from) ||
            !minutes_parse(str_slice(word, (size_t)dash + 1, word.len), &to) || from >= to ||
            pattern.count == CALENDAR_SPANS_MAX || (pattern.count && pattern.to[pattern.count - 1] > from))
            return hours_bad(whole, word.ptr, err);
        if (pattern.count && pattern.to[pattern.count - 1] == from) {
            pattern.to[pattern.count - 1] = (int16_t)to;
            continue;
        }
        pattern.from[pattern.count] = (int16_t)from;
        pattern.to[pattern.count++] = (int16_t)to;
    }
    for (int i = 0; i < cal->patterns_count; i++) {
        if (!memcmp(&cal->patterns[i], &pattern, sizeof(pattern))) {
            *out_index = (uint8_t)i;
            return ERR_OK;
        }
    }
    if (cal->patterns_count == PATTERNS_MAX)
        return err_set(err, ERR_LIMIT, "calendar.too_large", ARG_END);
    cal->patterns[cal->patterns_count] = pattern;
    *out_index = (uint8_t)cal->patterns_count++;
    return ERR_OK;
}

static bool weekdays_parse(struct str word, int *out_first, int *out_last)
{
    struct str ends[2] = { word, word };
    int found[2] = { -1, -1 };
    const ptrdiff_t dash = str_find(word, STR("-"));
    if (dash >= 0) {
        ends[0] = str_slice(word, 0, (size_t)dash);
        ends[1] = str_slice(word, (size_t)dash + 1, word.len);
    }
    for (int e = 0; e < 2; e++)
        for (int i = 0; i < 7; i++)
            if (str_eq_nocase(ends[e], str_from(WEEKDAYS[i])))
                found[e] = i;
    if (found[0] < 0 || found[1] < found[0])
        return false;
    *out_first = found[0];
    *out_last = found[1];
    return true;
}

/* "HH:MM", 00:00 to 24:00. */
static bool minutes_parse(struct str text, int *out_minutes)
{
    int value[4];
    if (text.len != 5 || text.ptr[2] != ':')
        return false;
    for (int i = 0; i < 4; i++) {
        const char c = text.ptr[i < 2 ? i : i + 1];
        if (c < '0' || c > '9')
            return false;
        value[i] = c - '0';
    }
    const int hour = value[0] * 10 + value[1], minute = value[2] * 10 + value[3];
    if (minute > 59 || hour * 60 + minute > 1440)
        return false;
    *out_minutes = hour * 60 + minute;
    return true;
}

static enum err_code hours_bad(struct str whole, const char *at, struct err *err)
{
    const int column = at && at >= whole.ptr ? (int)(at - whole.ptr) + 1 : 1;
    (void)err_set(err, ERR_INVALID, "calendar.hours", ARG_STR("text", whole), ARG_END);
    return err_at(err, 1, column);
}

static struct calendar_span span_of(const struct calendar *cal, int64_t index, int i)
{
    const struct pattern *pattern = &cal->patterns[cal->pattern[index]];
    const int64_t midnight = (FIRST_DAY + index) * DAY_MS;
    return (struct calendar_span) { zone_utc(cal->zone, midnight + pattern->from[i] * MINUTE_MS),
                                    zone_utc(cal->zone, midnight + pattern->to[i] * MINUTE_MS) };
}

static int64_t day_worked(const struct calendar *cal, int64_t index)
{
    int64_t sum = 0;
    for (int i = 0; i < cal->patterns[cal->pattern[index]].count; i++) {
        const struct calendar_span span = span_of(cal, index, i);
        sum += span.to_ms - span.from_ms;
    }
    return sum;
}

/* Working milliseconds from the start of the horizon up to `at`. */
static int64_t worked_before(const struct calendar *cal, int64_t at_ms)
{
    const int64_t horizon_ms = (FIRST_DAY - 1) * DAY_MS; /* a day of slack for any offset */
    int64_t index, sum;
    if (at_ms < horizon_ms)
        return 0;
    if (at_ms > (FIRST_DAY + DAYS + 1) * DAY_MS)
        return cal->before[DAYS] * MINUTE_MS;
    index = zone_day(cal->zone, at_ms) - FIRST_DAY;
    if (index < 0)
        return 0;
    if (index >= DAYS)
        return cal->before[DAYS] * MINUTE_MS;
    sum = cal->before[index] * MINUTE_MS;
    for (int i = 0; i < cal->patterns[cal->pattern[index]].count; i++) {
        const struct calendar_span span = span_of(cal, index, i);
        if (at_ms >= span.to_ms)
            sum += span.to_ms - span.from_ms;
        else if (at_ms > span.from_ms)
            sum += at_ms - span.from_ms;
    }
    return sum;
}
