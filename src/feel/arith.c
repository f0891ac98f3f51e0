/* arith.c - arithmetic on what is not two numbers, and the properties of values (DMN 1.5, 10.3.2.3). */
#include "feel/node.h"
#include "feel/temporal.h"

/* ---------------------------------------------------------------- durations as numbers */

static bool days_decimal(struct feel_days days, struct decimal *out)
{
    return decimal_add(decimal_i64(days.seconds), decimal_small(days.nanos, 9), out);
}

static bool days_from_decimal(struct decimal seconds, struct feel_value *out)
{
    struct decimal whole, rest, scaled;
    int64_t s, n;
    if (!decimal_round(seconds, 9, DECIMAL_HALF_EVEN, &seconds) ||
        !decimal_round(seconds, 0, DECIMAL_DOWN, &whole) || !decimal_sub(seconds, whole, &rest) ||
        !decimal_mul(rest, decimal_i64(NANOS), &scaled) || !decimal_to_i64(whole, &s) ||
        !decimal_to_i64(scaled, &n) || s == INT64_MIN)
        return false;
    *out = (struct feel_value) { .kind = FEEL_DAYS_DURATION, .days = { s, (int32_t)n } };
    return true;
}

static bool months_from_decimal(struct decimal months, struct feel_value *out)
{
    int64_t n;
    if (!decimal_round(months, 0, DECIMAL_DOWN, &months) || !decimal_to_i64(months, &n) || n == INT64_MIN)
        return false;
    *out = (struct feel_value) { .kind = FEEL_MONTHS_DURATION, .months = n };
    return true;
}

static bool duration_decimal(const struct feel_value *v, struct decimal *out)
{
    if (v->kind == FEEL_MONTHS_DURATION)
        *out = decimal_i64(v->months);
    else
        return days_decimal(v->days, out);
    return true;
}

static bool duration_from(enum feel_kind kind, struct decimal number, struct feel_value *out)
{
    return kind == FEEL_MONTHS_DURATION ? months_from_decimal(number, out) : days_from_decimal(number, out);
}

static bool is_duration(const struct feel_value *v)
{
    return v->kind == FEEL_DAYS_DURATION || v->kind == FEEL_MONTHS_DURATION;
}

static bool scale(enum op op, const struct feel_value *a, const struct feel_value *b, struct feel_value *out)
{
    struct decimal x, y, result;
    if (is_duration(a) && is_duration(b)) {
        if (op != OP_DIV || a->kind != b->kind || !duration_decimal(a, &x) || !duration_decimal(b, &y) ||
            !decimal_div(x, y, &result))
            return false;
        *out = feel_number(result);
        return true;
    }
    if (a->kind == FEEL_NUMBER && is_duration(b) && op == OP_MUL)
        return duration_decimal(b, &x) && decimal_mul(x, a->number, &result) &&
               duration_from(b->kind, result, out);
    if (!is_duration(a) || b->kind != FEEL_NUMBER || !duration_decimal(a, &x))
        return false;
    return (op == OP_MUL ? decimal_mul(x, b->number, &result) : decimal_div(x, b->number, &result)) &&
           duration_from(a->kind, result, out);
}

/* ---------------------------------------------------------------- moments and durations */

static bool negative(const struct feel_value *duration, struct feel_value *out)
{
    *out = *duration;
    if (duration->kind == FEEL_MONTHS_DURATION) {
        out->months = -duration->months;
        return duration->months != INT64_MIN;
    }
    out->days = (struct feel_days) { -duration->days.seconds, -duration->days.nanos };
    return duration->days.seconds != INT64_MIN;
}

static bool add_durations(const struct feel_value *a, const struct feel_value *b, struct feel_value *out)
{
    *out = *a;
    if (a->kind == FEEL_MONTHS_DURATION)
        return !__builtin_add_overflow(a->months, b->months, &out->months) && out->months != INT64_MIN;
    return days_from_nanos(days_nanos(a->days) + days_nanos(b->days), &out->days);
}

static bool date_plus(const struct feel_value *date, const struct feel_value *duration,
                      struct feel_value *out)
{
    out->kind = FEEL_DATE;
    if (duration->kind == FEEL_MONTHS_DURATION)
        return date_add_months(date->date, duration->months, &out->date);
    const struct feel_moment midnight = { .date = date->date };
    struct feel_moment sum;
    if (!moment_add(&midnight, days_nanos(duration->days), &sum))
        return false;
    out->date = sum.date;
    return true;
}

static bool time_plus(struct feel_eval *ev, const struct feel_value *time, const struct feel_value *duration,
                      struct feel_value *out)
{
    const nanos_t day = (nanos_t)DAY_SECONDS * NANOS;
    if (duration->kind != FEEL_DAYS_DURATION)
        return false;
    struct feel_moment sum = *time->moment;
    nanos_t total = ((nanos_t)sum.second * NANOS + sum.nanos + days_nanos(duration->days)) % day;
    if (total < 0)
        total += day;
    sum.second = (int32_t)(total / NANOS);
    sum.nanos = (int32_t)(total % NANOS);
    return value_moment(ev, FEEL_TIME, &sum, out);
}

static bool date_time_plus(struct feel_eval *ev, const struct feel_value *moment,
                           const struct feel_value *duration, struct feel_value *out)
{
    struct feel_moment sum = *moment->moment;
    if (duration->kind == FEEL_MONTHS_DURATION) {
        if (!date_add_months(sum.date, duration->months, &sum.date))
            return false;
        moment_settle(&sum);
    } else if (!moment_add(moment->moment, days_nanos(duration->days), &sum)) {
        return false;
    }
    return value_moment(ev, FEEL_DATE_TIME, &sum, out);
}

static bool plus(struct feel_eval *ev, const struct feel_value *a, const struct feel_value *duration,
                 struct feel_value *out)
{
    switch (a->kind) {
    case FEEL_DATE:
        return date_plus(a, duration, out);
    case FEEL_TIME:
        return time_plus(ev, a, duration, out);
    case FEEL_DATE_TIME:
        return date_time_plus(ev, a, duration, out);
    case FEEL_DAYS_DURATION:
    case FEEL_MONTHS_DURATION:
        return a->kind == duration->kind && add_durations(a, duration, out);
    case FEEL_NULL:
    case FEEL_BOOLEAN:
    case FEEL_NUMBER:
    case FEEL_STRING:
    case FEEL_LIST:
    case FEEL_CONTEXT:
    case FEEL_RANGE:
    case FEEL_FUNCTION:
    case FEEL__COUNT:
        break;
    }
    return false;
}

/* A date among date and times is its midnight in UTC. */
static struct feel_moment as_moment(const struct feel_value *v)
{
    if (v->kind == FEEL_DATE_TIME)
        return *v->moment;
    return (struct feel_moment) { .date = v->date, .zone_kind = FEEL_ZONE_OFFSET };
}

static bool difference(const struct feel_value *a, const struct feel_value *b, struct feel_value *out)
{
    nanos_t nanos;
    if (a->kind == FEEL_TIME && b->kind == FEEL_TIME) {
        if (moment_zoned(a->moment) != moment_zoned(b->moment))
            return false;
        nanos = time_nanos(a->moment) - time_nanos(b->moment);
    } else if ((a->kind == FEEL_DATE || a->kind == FEEL_DATE_TIME) &&
               (b->kind == FEEL_DATE || b->kind == FEEL_DATE_TIME)) {
        const struct feel_moment x = as_moment(a);
        const struct feel_moment y = as_moment(b);
        if (moment_zoned(&x) != moment_zoned(&y))
            return false;
        nanos = moment_nanos(&x) - moment_nanos(&y);
    } else {
        return false;
    }
    out->kind = FEEL_DAYS_DURATION;
    return days_from_nanos(nanos, &out->days);
}

static bool concatenate(struct feel_eval *ev, struct str a, struct str b, struct feel_value *out)
{
    if (a.len + b.len > ev->limits.text_max) {
        ev_stop(ev, ERR_LIMIT, "feel.text_max");
        return false;
    }
    char *text = ev_alloc(ev, a.len + b.len + 1, 1);
    if (!text)
        return false;
    if (a.len)
        memcpy(text, a.ptr, a.len);
    if (b.len)
        memcpy(text + a.len, b.ptr, b.len);
    *out = feel_string((struct str) { text, a.len + b.len });
    return ev_steps(ev, (int64_t)(a.len + b.len) / 64);
}

void value_arith(struct feel_eval *ev, enum op op, const struct feel_value *a, const struct feel_value *b,
                 struct feel_value *out)
{
    struct feel_value result, minus;
    bool ok = false;
    if (op == OP_ADD) {
        if (a->kind == FEEL_STRING && b->kind == FEEL_STRING)
            ok = concatenate(ev, a->string, b->string, &result);
        else if (is_duration(b))
            ok = plus(ev, a, b, &result);
        else if (is_duration(a))
            ok = plus(ev, b, a, &result);
    } else if (op == OP_SUB) {
        ok = is_duration(b) ? negative(b, &minus) && plus(ev, a, &minus, &result) : difference(a, b, &result);
    } else if (op == OP_MUL || op == OP_DIV) {
        ok = scale(op, a, b, &result);
    }
    *out = ok ? result : feel_null();
}

void value_negate(struct feel_eval *ev, const struct feel_value *a, struct feel_value *out)
{
    struct feel_value result;
    (void)ev;
    if (a->kind == FEEL_NUMBER)
        *out = feel_number(decimal_neg(a->number));
    else if (is_duration(a) && negative(a, &result))
        *out = result;
    else
        *out = feel_null();
}

/* ---------------------------------------------------------------- properties */

static struct feel_value seconds_value(int64_t seconds)
{
    return (struct feel_value) { .kind = FEEL_DAYS_DURATION, .days = { seconds, 0 } };
}

static bool date_property(struct feel_date date, struct str name, struct feel_value *out)
{
    if (str_eq(name, STR("year")))
        *out = feel_i64(date.year);
    else if (str_eq(name, STR("month")))
        *out = feel_i64(date.month);
    else if (str_eq(name, STR("day")))
        *out = feel_i64(date.day);
    else if (str_eq(name, STR("weekday")))
        *out = feel_i64(date_weekday(date));
    else
        return false;
    return true;
}

static bool time_property(const struct feel_moment *m, struct str name, struct feel_value *out)
{
    if (str_eq(name, STR("hour")))
        *out = feel_i64(m->second / 3600);
    else if (str_eq(name, STR("minute")))
        *out = feel_i64(m->second / 60 % 60);
    else if (str_eq(name, STR("second")))
        *out = feel_i64(m->second % 60);
    else if (str_eq(name, STR("time offset")))
        *out = moment_zoned(m) ? seconds_value(m->offset) : feel_null();
    else if (str_eq(name, STR("timezone")))
        *out = m->zone_kind == FEEL_ZONE_NAMED ? feel_string(m->zone) : feel_null();
    else
        return false;
    return true;
}

static bool duration_property(const struct feel_value *v, struct str name, struct feel_value *out)
{
    if (v->kind == FEEL_MONTHS_DURATION) {
        if (str_eq(name, STR("years")))
            *out = feel_i64(v->months / 12);
        else if (str_eq(name, STR("months")))
            *out = feel_i64(v->months % 12);
        else
            return false;
        return true;
    }
    const int64_t s = v->days.seconds;
    if (str_eq(name, STR("days")))
        *out = feel_i64(s / DAY_SECONDS);
    else if (str_eq(name, STR("hours")))
        *out = feel_i64(s % DAY_SECONDS / 3600);
    else if (str_eq(name, STR("minutes")))
        *out = feel_i64(s % 3600 / 60);
    else if (str_eq(name, STR("seconds")))
        *out = feel_i64(s % 60);
    else
        return false;
    return true;
}

static bool range_property(const struct feel_range *range, struct str name, struct feel_value *out)
{
    if (str_eq(name, STR("start")))
        *out = range->low;
    else if (str_eq(name, STR("end")))
        *out = range->high;
    else if (str_eq(name, STR("start included")))
        *out = feel_boolean(range->low_closed);
    else if (str_eq(name, STR("end included")))
        *out = feel_boolean(range->high_closed);
    else
        return false;
    return true;
}

#define LISTS_DEPTH_MAX 500

static bool list_property(struct feel_eval *ev, const struct feel_list *list, struct str name, int depth,
                          struct feel_value *out)
{
    if (depth > LISTS_DEPTH_MAX)
        return false;
    struct feel_value *items = ev_alloc(ev, list->count, sizeof *items);
    if (!items)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        if (!ev_steps(ev, 1))
            return false;
        const struct feel_value *item = &list->items[i];
        const struct feel_value *entry = feel_context_get(item, name);
        if (entry)
            items[i] = *entry;
        else if (item->kind == FEEL_LIST ? !list_property(ev, &item->list, name, depth + 1, &items[i])
                                         : !value_path(ev, item, name, &items[i]))
            items[i] = feel_null();
    }
    *out = feel_list(items, list->count);
    return true;
}

bool value_path(struct feel_eval *ev, const struct feel_value *value, struct str name, struct feel_value *out)
{
    switch (value->kind) {
    case FEEL_CONTEXT: {
        const struct feel_value *entry = feel_context_get(value, name);
        if (entry)
            *out = *entry;
        return entry != NULL;
    }
    case FEEL_LIST:
        return list_property(ev, &value->list, name, 0, out);
    case FEEL_DATE:
        return date_property(value->date, name, out);
    case FEEL_TIME:
        return time_property(value->moment, name, out);
    case FEEL_DATE_TIME:
        return date_property(value->moment->date, name, out) || time_property(value->moment, name, out);
    case FEEL_DAYS_DURATION:
    case FEEL_MONTHS_DURATION:
        return duration_property(value, name, out);
    case FEEL_RANGE:
        return range_property(value->range, name, out);
    case FEEL_NULL:
    case FEEL_BOOLEAN:
    case FEEL_NUMBER:
    case FEEL_STRING:
    case FEEL_FUNCTION:
    case FEEL__COUNT:
        break;
    }
    return false;
}
