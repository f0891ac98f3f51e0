/* builtin_statistics.c - functions that make one value of a list; `args` are its items. */
#include "feel/builtin.h"

static bool numbers(const struct feel_value *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].kind != FEEL_NUMBER)
            return false;
    return true;
}

static void extreme(struct feel_eval *ev, const struct feel_value *items, size_t count, int sign,
                    struct feel_value *out)
{
    const struct feel_value *best = items;
    int order;
    if (!count || !ev_steps(ev, (int64_t)count))
        return;
    if (count == 1 && !feel_compare(items, items, &order))
        return;
    for (size_t i = 1; i < count; i++) {
        if (!feel_compare(&items[i], best, &order))
            return;
        if (order * sign > 0)
            best = &items[i];
    }
    *out = *best;
}

BUILTIN(fn_min)
{
    extreme(ev, args, count, -1, out);
}

BUILTIN(fn_max)
{
    extreme(ev, args, count, 1, out);
}

static bool sum(struct feel_eval *ev, const struct feel_value *items, size_t count, struct decimal *out)
{
    struct decimal total = decimal_i64(0);
    if (!numbers(items, count) || !count || !ev_steps(ev, (int64_t)count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!decimal_add(total, items[i].number, &total))
            return false;
    *out = total;
    return true;
}

BUILTIN(fn_sum)
{
    struct decimal total;
    if (sum(ev, args, count, &total))
        *out = feel_number(total);
}

BUILTIN(fn_mean)
{
    struct decimal total;
    if (sum(ev, args, count, &total) && decimal_div(total, decimal_i64((int64_t)count), &total))
        *out = feel_number(total);
}

BUILTIN(fn_product)
{
    struct decimal total = decimal_i64(1);
    if (!numbers(args, count) || !count || !ev_steps(ev, (int64_t)count))
        return;
    for (size_t i = 0; i < count; i++)
        if (!decimal_mul(total, args[i].number, &total))
            return;
    *out = feel_number(total);
}

/* `all` looks for false, `any` for true. */
static void booleans(const struct feel_value *items, size_t count, bool wanted, struct feel_value *out)
{
    bool unknown = false, found = false;
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind == FEEL_BOOLEAN)
            found = found || items[i].boolean == wanted;
        else
            unknown = true;
        if (items[i].kind != FEEL_BOOLEAN && items[i].kind != FEEL_NULL)
            return;
    }
    if (found)
        *out = feel_boolean(wanted);
    else if (!unknown)
        *out = feel_boolean(!wanted);
}

BUILTIN(fn_all)
{
    (void)ev;
    booleans(args, count, false, out);
}

BUILTIN(fn_any)
{
    (void)ev;
    booleans(args, count, true, out);
}

static bool less_number(struct feel_eval *ev, void *arg, const struct feel_value *a,
                        const struct feel_value *b)
{
    (void)ev;
    (void)arg;
    return decimal_cmp(a->number, b->number) < 0;
}

static struct feel_value *sorted(struct feel_eval *ev, const struct feel_value *items, size_t count)
{
    if (!numbers(items, count) || !count)
        return NULL;
    struct feel_value *copy = ev_alloc(ev, count, sizeof *copy);
    if (!copy)
        return NULL;
    memcpy(copy, items, count * sizeof *copy);
    return sort_values(ev, copy, count, less_number, NULL) ? copy : NULL;
}

BUILTIN(fn_median)
{
    struct decimal middle;
    const struct feel_value *items = sorted(ev, args, count);
    if (!items)
        return;
    if (count % 2)
        *out = items[count / 2];
    else if (decimal_add(items[count / 2 - 1].number, items[count / 2].number, &middle) &&
             decimal_div(middle, decimal_i64(2), &middle))
        *out = feel_number(middle);
}

/* The standard deviation of a sample. */
BUILTIN(fn_stddev)
{
    struct decimal mean, total = decimal_i64(0), d;
    if (count < 2 || !sum(ev, args, count, &mean) || !decimal_div(mean, decimal_i64((int64_t)count), &mean))
        return;
    for (size_t i = 0; i < count; i++)
        if (!decimal_sub(args[i].number, mean, &d) || !decimal_mul(d, d, &d) ||
            !decimal_add(total, d, &total))
            return;
    if (decimal_div(total, decimal_i64((int64_t)count - 1), &total) && decimal_sqrt(total, &total))
        *out = feel_number(total);
}

BUILTIN(fn_mode)
{
    struct growing modes = { 0 };
    size_t most = 0;
    if (!count) {
        *out = feel_list(NULL, 0);
        return;
    }
    const struct feel_value *items = sorted(ev, args, count);
    for (size_t i = 0, next; items && i < count; i = next) {
        for (next = i + 1; next < count && decimal_cmp(items[i].number, items[next].number) == 0; next++)
            ;
        if (next - i > most) {
            most = next - i;
            modes.count = 0;
        }
        if (next - i == most && !grow(ev, &modes, &items[i]))
            return;
    }
    if (items)
        *out = feel_list(modes.items, modes.count);
}
