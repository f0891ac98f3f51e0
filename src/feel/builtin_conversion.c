/* builtin_conversion.c - conversion, not, is, and the functions of dates. */
#include "feel/builtin.h"

static bool part(const struct feel_value *v, int64_t least, int64_t most, int64_t *out)
{
    return v->kind == FEEL_NUMBER && decimal_to_i64(v->number, out) && *out >= least && *out <= most;
}

/* A single item of a list where a temporal value or text is wanted. */
static const struct feel_value *single(const struct feel_value *v)
{
    return v->kind == FEEL_LIST && v->list.count == 1 ? &v->list.items[0] : v;
}

/* Seconds with a fraction. */
static bool second_part(const struct feel_value *v, int32_t *out_second, int32_t *out_nanos)
{
    struct decimal whole_part, rest;
    int64_t second, nanos;
    if (v->kind != FEEL_NUMBER || !decimal_round(v->number, 0, DECIMAL_FLOOR, &whole_part) ||
        !decimal_to_i64(whole_part, &second) || second < 0 || second > 59 ||
        !decimal_sub(v->number, whole_part, &rest) || !decimal_mul(rest, decimal_i64(NANOS), &rest) ||
        !decimal_round(rest, 0, DECIMAL_DOWN, &rest) || !decimal_to_i64(rest, &nanos))
        return false;
    *out_second = (int32_t)second;
    *out_nanos = (int32_t)nanos;
    return true;
}

static bool offset_part(const struct feel_value *v, struct feel_moment *m)
{
    if (v->kind == FEEL_NULL)
        return true;
    if (v->kind == FEEL_STRING) {
        m->zone_kind = FEEL_ZONE_NAMED;
        m->zone = v->string;
        return zone_known(v->string);
    }
    if (v->kind != FEEL_DAYS_DURATION || v->days.nanos || v->days.seconds > OFFSET_MAX ||
        v->days.seconds < -OFFSET_MAX)
        return false;
    m->zone_kind = FEEL_ZONE_OFFSET;
    m->offset = (int32_t)v->days.seconds;
    return true;
}

static bool clock_part(const struct feel_value *args, struct feel_moment *m)
{
    int64_t hour, minute;
    int32_t second;
    if (!part(&args[0], 0, 23, &hour) || !part(&args[1], 0, 59, &minute) ||
        !second_part(&args[2], &second, &m->nanos))
        return false;
    m->second = (int32_t)(hour * 3600 + minute * 60) + second;
    return true;
}

static bool date_part(const struct feel_value *args, struct feel_date *out)
{
    int64_t year, month, day;
    if (!part(&args[0], -YEAR_MAX, YEAR_MAX, &year) || !part(&args[1], 1, 12, &month) ||
        !part(&args[2], 1, 31, &day) || !date_valid(year, month, day))
        return false;
    *out = (struct feel_date) { (int32_t)year, (uint8_t)month, (uint8_t)day };
    return true;
}

static struct feel_value date_value(struct feel_date date)
{
    return (struct feel_value) { .kind = FEEL_DATE, .date = date };
}

BUILTIN(fn_date)
{
    struct feel_date date;
    (void)ev;
    if (count == 3) {
        if (date_part(args, &date))
            *out = date_value(date);
        return;
    }
    const struct feel_value *from = single(args);
    if (count != 1)
        return;
    if (from->kind == FEEL_STRING)
        (void)feel_date_parse(from->string, out);
    else if (from->kind == FEEL_DATE)
        *out = *from;
    else if (from->kind == FEEL_DATE_TIME)
        *out = date_value(from->moment->date);
}

BUILTIN(fn_date_and_time)
{
    struct feel_moment m = { 0 };
    const struct feel_value *a = single(args), *b = count > 1 ? single(&args[1]) : NULL;
    if (count == 1) {
        if (a->kind == FEEL_STRING) {
            if (moment_parse_date_time(a->string, &m) || date_parse(a->string, &m.date))
                (void)value_moment(ev, FEEL_DATE_TIME, &m, out);
        } else if (a->kind == FEEL_DATE_TIME) {
            *out = *a;
        } else if (a->kind == FEEL_DATE) {
            m.date = a->date;
            m.zone_kind = FEEL_ZONE_OFFSET;
            (void)value_moment(ev, FEEL_DATE_TIME, &m, out);
        }
        return;
    }
    if (count == 2) {
        if ((a->kind != FEEL_DATE && a->kind != FEEL_DATE_TIME) || b->kind != FEEL_TIME)
            return;
        m = *b->moment;
        m.date = a->kind == FEEL_DATE ? a->date : a->moment->date;
        moment_settle(&m);
        (void)value_moment(ev, FEEL_DATE_TIME, &m, out);
        return;
    }
    if (count < 6 || !date_part(args, &m.date) || !clock_part(args + 3, &m) ||
        (count == 7 && !offset_part(&args[6], &m)))
        return;
    moment_settle(&m);
    (void)value_moment(ev, FEEL_DATE_TIME, &m, out);
}

BUILTIN(fn_time)
{
    struct feel_moment m = { 0 };
    const struct feel_value *from = single(args);
    if (count >= 3) {
        if (clock_part(args, &m) && (count == 3 || offset_part(&args[3], &m))) {
            time_settle(&m);
            (void)value_moment(ev, FEEL_TIME, &m, out);
        }
        return;
    }
    if (count != 1)
        return;
    if (from->kind == FEEL_STRING) {
        if (moment_parse_time(from->string, &m))
            (void)value_moment(ev, FEEL_TIME, &m, out);
    } else if (from->kind == FEEL_TIME) {
        *out = *from;
    } else if (from->kind == FEEL_DATE_TIME) {
        m = *from->moment;
        m.date = (struct feel_date) { 0 };
        time_settle(&m);
        (void)value_moment(ev, FEEL_TIME, &m, out);
    } else if (from->kind == FEEL_DATE) {
        m.zone_kind = FEEL_ZONE_OFFSET;
        (void)value_moment(ev, FEEL_TIME, &m, out);
    }
}

/* Group separators go, the decimal one becomes a point. */
BUILTIN(fn_number)
{
    char text[256];
    size_t len = 0;
    char group = '\0', point = '.';
    (void)ev;
    for (size_t i = 1; i < count; i++) {
        if (args[i].kind == FEEL_NULL)
            continue;
        if (args[i].string.len != 1)
            return;
        const char c = args[i].string.ptr[0];
        if (i == 1 && c != ' ' && c != ',' && c != '.')
            return;
        if (i == 2 && c != ',' && c != '.')
            return;
        *(i == 1 ? &group : &point) = c;
    }
    if (group == '.' && count < 3)
        point = '\0';
    if (group && group == point && (count > 2 && args[2].kind != FEEL_NULL))
        return;
    if (group == point)
        point = '\0';
    for (size_t i = 0; i < args->string.len; i++) {
        char c = args->string.ptr[i];
        if (c == group && group)
            continue;
        if (len + 1 == sizeof text || c == '+' || (c == '.' && c != point))
            return;
        if (c == point)
            c = '.';
        text[len++] = c;
    }
    struct decimal number;
    if (len && text[len - 1] != '.' && decimal_parse((struct str) { text, len }, &number))
        *out = feel_number(number);
}

BUILTIN(fn_string)
{
    struct buf buf;
    (void)count;
    if (args->kind == FEEL_STRING) {
        *out = *args;
        return;
    }
    if (args->kind == FEEL_NUMBER) { /* the common case needs no heap */
        char text[128];
        const size_t len = decimal_text(args->number, text, sizeof text);
        const struct str copy = arena_str(ev->arena, (struct str) { text, len });
        if (copy.ptr)
            *out = feel_string(copy);
        else
            ev_stop(ev, ERR_NOMEM, "base.no_memory");
        return;
    }
    buf_init(&buf, ev->limits.text_max);
    feel_print(&buf, args);
    text_value(ev, &buf, out);
}

BUILTIN(fn_duration)
{
    (void)ev;
    (void)count;
    (void)feel_duration_parse(args->string, out);
}

BUILTIN(fn_years_and_months_duration)
{
    (void)ev;
    (void)count;
    const struct feel_date a = args[0].kind == FEEL_DATE ? args[0].date : args[0].moment->date;
    const struct feel_date b = args[1].kind == FEEL_DATE ? args[1].date : args[1].moment->date;
    int64_t months = ((int64_t)b.year - a.year) * 12 + b.month - a.month;
    const int order = (b.day > a.day) - (b.day < a.day);
    if (months > 0 && order < 0)
        months--;
    else if (months < 0 && order > 0)
        months++;
    *out = (struct feel_value) { .kind = FEEL_MONTHS_DURATION, .months = months };
}

BUILTIN(fn_not)
{
    (void)ev;
    (void)count;
    const struct feel_value *v = single(args);
    if (v->kind == FEEL_BOOLEAN)
        *out = feel_boolean(!v->boolean);
}

/* ---------------------------------------------------------------- is */

static bool same_moment(enum feel_kind kind, const struct feel_moment *a, const struct feel_moment *b)
{
    return (kind == FEEL_TIME ||
            (a->date.year == b->date.year && a->date.month == b->date.month && a->date.day == b->date.day)) &&
           a->second == b->second && a->nanos == b->nanos && a->zone_kind == b->zone_kind &&
           (a->zone_kind == FEEL_ZONE_NAMED ? str_eq(a->zone, b->zone) : a->offset == b->offset);
}

BUILTIN(fn_is)
{
    (void)count;
    bool same = args[0].kind == args[1].kind;
    if (same && (args[0].kind == FEEL_TIME || args[0].kind == FEEL_DATE_TIME))
        same = same_moment(args[0].kind, args[0].moment, args[1].moment);
    else if (same)
        same = value_equal(ev, &args[0], &args[1]) == FEEL_TRUE;
    *out = feel_boolean(same);
}

/* ---------------------------------------------------------------- dates */

BUILTIN(fn_now)
{
    struct err err;
    (void)args;
    (void)count;
    if (feel_from_instant(ev->arena, ev->now_ms, ev->zone, out, &err) == ERR_NOMEM)
        ev_stop(ev, ERR_NOMEM, "base.no_memory");
}

BUILTIN(fn_today)
{
    struct feel_value now = feel_null();
    fn_now(ev, args, count, &now);
    if (now.kind == FEEL_DATE_TIME)
        *out = date_value(now.moment->date);
}

static struct feel_date date_of(const struct feel_value *v)
{
    return v->kind == FEEL_DATE ? v->date : v->moment->date;
}

BUILTIN(fn_day_of_week)
{
    static const char *const NAMES[] = { "Monday", "Tuesday",  "Wednesday", "Thursday",
                                         "Friday", "Saturday", "Sunday" };
    (void)ev;
    (void)count;
    *out = feel_string(str_from(NAMES[date_weekday(date_of(args)) - 1]));
}

BUILTIN(fn_day_of_year)
{
    (void)ev;
    (void)count;
    *out = feel_i64(date_day_of_year(date_of(args)));
}

BUILTIN(fn_week_of_year)
{
    (void)ev;
    (void)count;
    *out = feel_i64(date_week(date_of(args)));
}

BUILTIN(fn_month_of_year)
{
    static const char *const NAMES[] = {
        "January", "February", "March",     "April",   "May",      "June",
        "July",    "August",   "September", "October", "November", "December"
    };
    (void)ev;
    (void)count;
    *out = feel_string(str_from(NAMES[date_of(args).month - 1]));
}
