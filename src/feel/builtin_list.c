/* builtin_list.c - lists. */
#include "feel/builtin.h"

#define SET_LEAST 16 /* from here on a hash set is worth it */

/* A position from 1, or from the end when negative, as an index below `count`. */
static bool position(const struct feel_value *number, size_t count, size_t *out)
{
    int64_t n;
    if (!whole(number, &n))
        return false;
    if (n < 0)
        n += (int64_t)count + 1;
    if (n < 1 || (uint64_t)n > count)
        return false;
    *out = (size_t)n - 1;
    return true;
}

static bool add_all(struct feel_eval *ev, struct growing *list, const struct feel_value *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!ev_steps(ev, 1) || !grow(ev, list, &items[i]))
            return false;
    return true;
}

static void give(const struct growing *list, struct feel_value *out)
{
    *out = feel_list(list->items, list->count);
}

BUILTIN(fn_list_contains)
{
    (void)count;
    for (size_t i = 0; i < args->list.count; i++) {
        if (!ev_steps(ev, 1))
            return;
        if (value_equal(ev, &args->list.items[i], &args[1]) == FEEL_TRUE) {
            *out = feel_boolean(true);
            return;
        }
    }
    *out = feel_boolean(false);
}

BUILTIN(fn_count)
{
    (void)ev;
    (void)count;
    *out = feel_i64((int64_t)args->list.count);
}

BUILTIN(fn_sublist)
{
    const struct feel_list list = args->list;
    size_t from;
    int64_t length;
    (void)ev;
    if (!position(&args[1], list.count, &from))
        return;
    if (count < 3)
        length = (int64_t)(list.count - from);
    else if (!whole(&args[2], &length) || length < 1 || (uint64_t)length > list.count - from)
        return;
    *out = feel_list(list.items + from, (size_t)length);
}

BUILTIN(fn_append)
{
    struct growing list = { 0 };
    if (add_all(ev, &list, args->list.items, args->list.count) && add_all(ev, &list, args + 1, count - 1))
        give(&list, out);
}

static bool concatenate(struct feel_eval *ev, const struct feel_value *args, size_t count,
                        struct growing *list)
{
    for (size_t i = 0; i < count; i++) {
        if (args[i].kind == FEEL_NULL)
            return false;
        if (args[i].kind == FEEL_LIST ? !add_all(ev, list, args[i].list.items, args[i].list.count)
                                      : !grow(ev, list, &args[i]))
            return false;
    }
    return true;
}

BUILTIN(fn_concatenate)
{
    struct growing list = { 0 };
    if (concatenate(ev, args, count, &list))
        give(&list, out);
}

BUILTIN(fn_insert_before)
{
    struct growing list = { 0 };
    size_t at;
    (void)count;
    if (position(&args[1], args->list.count, &at) && add_all(ev, &list, args->list.items, at) &&
        grow(ev, &list, &args[2]) && add_all(ev, &list, args->list.items + at, args->list.count - at))
        give(&list, out);
}

BUILTIN(fn_remove)
{
    struct growing list = { 0 };
    size_t at;
    (void)count;
    if (position(&args[1], args->list.count, &at) && add_all(ev, &list, args->list.items, at) &&
        add_all(ev, &list, args->list.items + at + 1, args->list.count - at - 1))
        give(&list, out);
}

BUILTIN(fn_reverse)
{
    struct growing list = { 0 };
    (void)count;
    for (size_t i = args->list.count; i-- > 0;)
        if (!ev_steps(ev, 1) || !grow(ev, &list, &args->list.items[i]))
            return;
    give(&list, out);
}

BUILTIN(fn_index_of)
{
    struct growing list = { 0 };
    (void)count;
    for (size_t i = 0; i < args->list.count; i++) {
        const struct feel_value index = feel_i64((int64_t)i + 1);
        if (!ev_steps(ev, 1))
            return;
        if (value_equal(ev, &args->list.items[i], &args[1]) == FEEL_TRUE && !grow(ev, &list, &index))
            return;
    }
    give(&list, out);
}

/* ---------------------------------------------------------------- distinct */

static bool among(struct feel_eval *ev, const struct growing *list, const struct feel_value *value)
{
    for (size_t i = 0; i < list->count; i++)
        if (!ev_steps(ev, 1) || value_equal(ev, &list->items[i], value) == FEEL_TRUE)
            return true;
    return false;
}

/* Open addressing over indexes + 1 of the list that is kept. */
static bool distinct_large(struct feel_eval *ev, const struct feel_value *items, size_t count,
                           struct growing *kept)
{
    size_t size = 64;
    while (size < count * 2)
        size *= 2;
    uint32_t *slots = ev_alloc(ev, size, sizeof *slots);
    for (size_t i = 0; slots && i < count; i++) {
        size_t at = feel_hash(&items[i]) & (size - 1);
        if (!ev_steps(ev, 2))
            return false;
        while (slots[at] && value_equal(ev, &kept->items[slots[at] - 1], &items[i]) != FEEL_TRUE) {
            if (!ev_steps(ev, 1))
                return false;
            at = (at + 1) & (size - 1);
        }
        if (slots[at])
            continue;
        if (!grow(ev, kept, &items[i]))
            return false;
        slots[at] = (uint32_t)kept->count;
    }
    return slots != NULL;
}

static void distinct(struct feel_eval *ev, const struct feel_value *items, size_t count,
                     struct feel_value *out)
{
    struct growing kept = { 0 };
    if (count >= SET_LEAST) {
        if (!distinct_large(ev, items, count, &kept))
            return;
    } else {
        for (size_t i = 0; i < count; i++)
            if (!among(ev, &kept, &items[i]) && !grow(ev, &kept, &items[i]))
                return;
    }
    if (!ev->stopped)
        give(&kept, out);
}

BUILTIN(fn_union)
{
    struct growing list = { 0 };
    if (concatenate(ev, args, count, &list))
        distinct(ev, list.items, list.count, out);
}

BUILTIN(fn_distinct_values)
{
    (void)count;
    distinct(ev, args->list.items, args->list.count, out);
}

static bool flatten(struct feel_eval *ev, const struct feel_list *from, struct growing *list, int depth)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct feel_value *item = &from->items[i];
        if (!ev_steps(ev, 1) || depth > 500)
            return false;
        if (item->kind == FEEL_LIST ? !flatten(ev, &item->list, list, depth + 1) : !grow(ev, list, item))
            return false;
    }
    return true;
}

BUILTIN(fn_flatten)
{
    struct growing list = { 0 };
    (void)count;
    if (flatten(ev, &args->list, &list, 0))
        give(&list, out);
}

/* ---------------------------------------------------------------- list replace */

static bool takes(const struct feel_value *function, size_t count)
{
    const struct feel_function *fn = function->function;
    if (fn->kind == FUNCTION_BUILTIN)
        return fn->builtin->least <= (int)count && (fn->builtin->most < 0 || fn->builtin->most >= (int)count);
    return fn->count == count;
}

BUILTIN(fn_list_replace)
{
    struct growing list = { 0 };
    size_t at = 0;
    (void)count;
    const bool matching = args[1].kind == FEEL_FUNCTION;
    if (matching ? !takes(&args[1], 2) : !position(&args[1], args->list.count, &at))
        return;
    for (size_t i = 0; i < args->list.count; i++) {
        bool hit = i == at;
        if (matching) {
            const struct feel_value pair[2] = { args->list.items[i], args[2] };
            struct feel_value answer;
            ev_call(ev, &args[1], pair, 2, &answer);
            if (answer.kind != FEEL_BOOLEAN)
                return;
            hit = answer.boolean;
        }
        if (!ev_steps(ev, 1) || !grow(ev, &list, hit ? &args[2] : &args->list.items[i]))
            return;
    }
    give(&list, out);
}

/* ---------------------------------------------------------------- sort */

static bool merge_sort(struct feel_eval *ev, struct feel_value *items, struct feel_value *room, size_t count,
                       less_fn less, void *arg)
{
    if (count < 2)
        return true;
    const size_t half = count / 2;
    if (!merge_sort(ev, items, room, half, less, arg) ||
        !merge_sort(ev, items + half, room, count - half, less, arg))
        return false;
    size_t i = 0, j = half, n = 0;
    while (i < half && j < count) {
        const bool second = less(ev, arg, &items[j], &items[i]);
        if (!ev_steps(ev, 1))
            return false;
        room[n++] = second ? items[j++] : items[i++];
    }
    while (i < half)
        room[n++] = items[i++];
    memcpy(items, room, n * sizeof *items); /* what is left of the second half is in place */
    return true;
}

bool sort_values(struct feel_eval *ev, struct feel_value *items, size_t count, less_fn less, void *arg)
{
    struct feel_value *room = ev_alloc(ev, count, sizeof *room);
    return room && merge_sort(ev, items, room, count, less, arg);
}

struct sorting {
    const struct feel_value *function;
    bool failed;
};

static bool by_function(struct feel_eval *ev, void *arg, const struct feel_value *a,
                        const struct feel_value *b)
{
    struct sorting *sorting = arg;
    struct feel_value answer;
    if (!sorting->function) {
        int order;
        if (feel_compare(a, b, &order))
            return order < 0;
        sorting->failed = true;
        return false;
    }
    const struct feel_value pair[2] = { *a, *b };
    ev_call(ev, sorting->function, pair, 2, &answer);
    if (answer.kind != FEEL_BOOLEAN)
        sorting->failed = true;
    return feel_is_true(&answer);
}

BUILTIN(fn_sort)
{
    struct growing list = { 0 };
    struct sorting sorting = { NULL, false };
    if (count > 1) {
        if (!takes(&args[1], 2))
            return;
        sorting.function = &args[1];
    }
    if (add_all(ev, &list, args->list.items, args->list.count) &&
        sort_values(ev, list.items, list.count, by_function, &sorting) && !sorting.failed)
        give(&list, out);
}
