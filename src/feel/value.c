/* value.c - equality, order, copies, hashes.
 *
 * Values may share parts, so that walking one can take far more steps than it has bytes: every walk counts
 * its steps, against the evaluation's limit or WALK_MAX, and its depth against DEPTH_MAX. */
#include "feel/node.h"
#include "feel/temporal.h"

#define WALK_MAX 5000000
#define DEPTH_MAX 300

struct walk {
    struct feel_eval *ev; /* may be NULL */
    int64_t left;
};

static enum feel_truth equal(struct walk *walk, const struct feel_value *a, const struct feel_value *b,
                             int depth);

const char *kind_name(enum feel_kind kind)
{
    static const char *const NAMES[FEEL__COUNT] = {
        [FEEL_NULL] = "null",
        [FEEL_BOOLEAN] = "boolean",
        [FEEL_NUMBER] = "number",
        [FEEL_STRING] = "string",
        [FEEL_DATE] = "date",
        [FEEL_TIME] = "time",
        [FEEL_DATE_TIME] = "date and time",
        [FEEL_DAYS_DURATION] = "days and time duration",
        [FEEL_MONTHS_DURATION] = "years and months duration",
        [FEEL_LIST] = "list",
        [FEEL_CONTEXT] = "context",
        [FEEL_RANGE] = "range",
        [FEEL_FUNCTION] = "function",
    };
    return kind < FEEL__COUNT ? NAMES[kind] : "null";
}

const struct feel_value *feel_context_get(const struct feel_value *context, struct str key)
{
    if (context->kind != FEEL_CONTEXT)
        return NULL;
    for (size_t i = 0; i < context->context.count; i++) {
        const struct feel_entry *entry = &context->context.entries[i];
        if (entry->key.len == key.len && memcmp(entry->key.ptr, key.ptr, key.len) == 0)
            return &entry->value;
    }
    return NULL;
}

static bool step(struct walk *walk)
{
    if (walk->ev)
        return ev_steps(walk->ev, 1);
    return walk->left-- > 0;
}

static bool moments_order(enum feel_kind kind, const struct feel_moment *a, const struct feel_moment *b,
                          int *out)
{
    if (moment_zoned(a) != moment_zoned(b))
        return false;
    const nanos_t x = kind == FEEL_TIME ? time_nanos(a) : moment_nanos(a);
    const nanos_t y = kind == FEEL_TIME ? time_nanos(b) : moment_nanos(b);
    *out = (x > y) - (x < y);
    return true;
}

static int date_order(struct feel_date a, struct feel_date b)
{
    if (a.year != b.year)
        return a.year < b.year ? -1 : 1;
    if (a.month != b.month)
        return a.month < b.month ? -1 : 1;
    return (a.day > b.day) - (a.day < b.day);
}

bool feel_compare(const struct feel_value *a, const struct feel_value *b, int *out_order)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case FEEL_NUMBER:
        *out_order = decimal_cmp(a->number, b->number);
        return true;
    case FEEL_STRING:
        *out_order = str_cmp(a->string, b->string);
        return true;
    case FEEL_DATE:
        *out_order = date_order(a->date, b->date);
        return true;
    case FEEL_TIME:
    case FEEL_DATE_TIME:
        return moments_order(a->kind, a->moment, b->moment, out_order);
    case FEEL_DAYS_DURATION: {
        const nanos_t x = days_nanos(a->days), y = days_nanos(b->days);
        *out_order = (x > y) - (x < y);
        return true;
    }
    case FEEL_MONTHS_DURATION:
        *out_order = (a->months > b->months) - (a->months < b->months);
        return true;
    case FEEL_NULL:
    case FEEL_BOOLEAN:
    case FEEL_LIST:
    case FEEL_CONTEXT:
    case FEEL_RANGE:
    case FEEL_FUNCTION:
    case FEEL__COUNT:
        break;
    }
    return false;
}

static enum feel_truth lists_equal(struct walk *walk, const struct feel_list *a, const struct feel_list *b,
                                   int depth)
{
    if (a->count != b->count)
        return FEEL_FALSE;
    for (size_t i = 0; i < a->count; i++)
        if (equal(walk, &a->items[i], &b->items[i], depth) != FEEL_TRUE)
            return FEEL_FALSE;
    return FEEL_TRUE;
}

static enum feel_truth contexts_equal(struct walk *walk, const struct feel_value *a,
                                      const struct feel_value *b, int depth)
{
    if (a->context.count != b->context.count)
        return FEEL_FALSE;
    for (size_t i = 0; i < a->context.count; i++) {
        const struct feel_value *other = feel_context_get(b, a->context.entries[i].key);
        if (!other || equal(walk, &a->context.entries[i].value, other, depth) != FEEL_TRUE)
            return FEEL_FALSE;
    }
    return FEEL_TRUE;
}

static enum feel_truth ranges_equal(struct walk *walk, const struct feel_range *a, const struct feel_range *b,
                                    int depth)
{
    return a->low_closed == b->low_closed && a->high_closed == b->high_closed && a->low_none == b->low_none &&
                   a->high_none == b->high_none && equal(walk, &a->low, &b->low, depth) == FEEL_TRUE &&
                   equal(walk, &a->high, &b->high, depth) == FEEL_TRUE
               ? FEEL_TRUE
               : FEEL_FALSE;
}

/* Equal are functions with the same parameters, body and scope. */
static enum feel_truth functions_equal(struct walk *walk, const struct feel_function *a,
                                       const struct feel_function *b, int depth)
{
    bool same = a->kind == b->kind && a->count == b->count && a->captured_count == b->captured_count;
    if (a == b)
        return FEEL_TRUE;
    if (depth >= DEPTH_MAX || !step(walk))
        return FEEL_UNKNOWN;
    switch (a->kind) {
    case FUNCTION_BUILTIN:
        same = same && a->builtin == b->builtin;
        break;
    case FUNCTION_NATIVE:
        same = same && a->native == b->native && a->arg == b->arg;
        break;
    case FUNCTION_PROGRAM:
        same = same && a->program == b->program;
        break;
    case FUNCTION_LITERAL:
        same = same && (a->literal == b->literal || str_eq(a->literal->text, b->literal->text));
        break;
    }
    for (size_t i = 0; same && i < a->captured_count; i++)
        same = equal(walk, &a->captured[i], &b->captured[i], depth) == FEEL_TRUE;
    return same ? FEEL_TRUE : FEEL_FALSE;
}

static enum feel_truth equal(struct walk *walk, const struct feel_value *a, const struct feel_value *b,
                             int depth)
{
    int order;
    if (a->kind != b->kind)
        return a->kind == FEEL_NULL || b->kind == FEEL_NULL ? FEEL_FALSE : FEEL_UNKNOWN;
    switch (a->kind) {
    case FEEL_NULL:
        return FEEL_TRUE;
    case FEEL_BOOLEAN:
        return a->boolean == b->boolean ? FEEL_TRUE : FEEL_FALSE;
    case FEEL_NUMBER:
        return decimal_cmp(a->number, b->number) == 0 ? FEEL_TRUE : FEEL_FALSE;
    case FEEL_STRING:
        return str_eq(a->string, b->string) ? FEEL_TRUE : FEEL_FALSE;
    case FEEL_DATE:
    case FEEL_TIME:
    case FEEL_DATE_TIME:
    case FEEL_DAYS_DURATION:
    case FEEL_MONTHS_DURATION:
        return feel_compare(a, b, &order) && order == 0 ? FEEL_TRUE : FEEL_FALSE;
    case FEEL_LIST:
    case FEEL_CONTEXT:
    case FEEL_RANGE:
        if (depth >= DEPTH_MAX || !step(walk))
            return FEEL_UNKNOWN;
        return a->kind == FEEL_LIST      ? lists_equal(walk, &a->list, &b->list, depth + 1)
               : a->kind == FEEL_CONTEXT ? contexts_equal(walk, a, b, depth + 1)
                                         : ranges_equal(walk, a->range, b->range, depth + 1);
    case FEEL_FUNCTION:
        return functions_equal(walk, a->function, b->function, depth + 1);
    case FEEL__COUNT:
        break;
    }
    return FEEL_UNKNOWN;
}

enum feel_truth value_equal(struct feel_eval *ev, const struct feel_value *a, const struct feel_value *b)
{
    struct walk walk = { ev, WALK_MAX };
    return equal(&walk, a, b, 0);
}

enum feel_truth feel_equal(const struct feel_value *a, const struct feel_value *b)
{
    return value_equal(NULL, a, b);
}

enum feel_truth feel_in_range(const struct feel_value *value, const struct feel_range *range)
{
    int order;
    if (!range->low_none) {
        if (!feel_compare(value, &range->low, &order))
            return FEEL_UNKNOWN;
        if (order < 0 || (order == 0 && !range->low_closed))
            return FEEL_FALSE;
    }
    if (!range->high_none) {
        if (!feel_compare(value, &range->high, &order))
            return FEEL_UNKNOWN;
        if (order > 0 || (order == 0 && !range->high_closed))
            return FEEL_FALSE;
    }
    return FEEL_TRUE;
}

static enum feel_truth one_in(struct walk *walk, const struct feel_value *value,
                              const struct feel_value *test)
{
    if (test->kind == FEEL_RANGE && value->kind != FEEL_RANGE)
        return feel_in_range(value, test->range);
    return equal(walk, value, test, 0);
}

enum feel_truth value_in(struct feel_eval *ev, const struct feel_value *value, const struct feel_value *tests)
{
    struct walk walk = { ev, WALK_MAX };
    if (tests->kind != FEEL_LIST)
        return one_in(&walk, value, tests);
    enum feel_truth result = FEEL_FALSE;
    for (size_t i = 0; i < tests->list.count; i++) {
        if (!step(&walk))
            return FEEL_UNKNOWN;
        if (one_in(&walk, value, &tests->list.items[i]) == FEEL_TRUE)
            return FEEL_TRUE;
    }
    if (value->kind == FEEL_LIST)
        result = equal(&walk, value, tests, 0);
    return result == FEEL_TRUE ? FEEL_TRUE : FEEL_FALSE;
}

enum feel_truth feel_in(const struct feel_value *value, const struct feel_value *tests)
{
    return value_in(NULL, value, tests);
}

/* ---------------------------------------------------------------- hash */

static uint64_t mix(uint64_t h, uint64_t x)
{
    h ^= x + 0x9e3779b97f4a7c15ULL + (h << 6) + (h >> 2);
    h *= 0xbf58476d1ce4e5b9ULL;
    return h ^ h >> 29;
}

static uint64_t hash(struct walk *walk, const struct feel_value *v, int depth)
{
    uint64_t h = (uint64_t)v->kind * 0x9e3779b97f4a7c15ULL;
    switch (v->kind) {
    case FEEL_BOOLEAN:
        return mix(h, v->boolean);
    case FEEL_NUMBER:
        return mix(h, decimal_hash(v->number));
    case FEEL_STRING:
        return mix(h, str_hash(v->string));
    case FEEL_DATE:
        return mix(h, (uint64_t)date_to_days(v->date));
    case FEEL_TIME:
        return mix(h, (uint64_t)time_nanos(v->moment));
    case FEEL_DATE_TIME:
        return mix(h, (uint64_t)moment_nanos(v->moment));
    case FEEL_DAYS_DURATION:
        return mix(h, (uint64_t)days_nanos(v->days));
    case FEEL_MONTHS_DURATION:
        return mix(h, (uint64_t)v->months);
    case FEEL_LIST:
        for (size_t i = 0; depth < DEPTH_MAX && i < v->list.count && step(walk); i++)
            h = mix(h, hash(walk, &v->list.items[i], depth + 1));
        return h;
    case FEEL_CONTEXT: /* the order of entries does not matter */
        for (size_t i = 0; depth < DEPTH_MAX && i < v->context.count && step(walk); i++)
            h +=
                mix(str_hash(v->context.entries[i].key), hash(walk, &v->context.entries[i].value, depth + 1));
        return h;
    case FEEL_RANGE:
        return mix(mix(h, hash(walk, &v->range->low, depth + 1)), hash(walk, &v->range->high, depth + 1));
    case FEEL_NULL:
    case FEEL_FUNCTION:
    case FEEL__COUNT:
        break;
    }
    return h;
}

uint64_t feel_hash(const struct feel_value *value)
{
    struct walk walk = { NULL, WALK_MAX };
    return hash(&walk, value, 0);
}

/* ---------------------------------------------------------------- copies */

bool value_moment(struct feel_eval *ev, enum feel_kind kind, const struct feel_moment *m,
                  struct feel_value *out)
{
    struct feel_moment *copy = ev_alloc(ev, 1, sizeof *copy);
    if (!copy)
        return false;
    *copy = *m;
    *out = (struct feel_value) { .kind = kind, .moment = copy };
    return true;
}

static bool copy_value(struct arena *arena, const struct feel_value *from, struct feel_value *to, int depth);

static bool copy_list(struct arena *arena, const struct feel_value *from, struct feel_value *to, int depth)
{
    struct feel_value *items = arena_alloc(arena, from->list.count, sizeof *items);
    for (size_t i = 0; items && i < from->list.count; i++)
        if (!copy_value(arena, &from->list.items[i], &items[i], depth + 1))
            return false;
    *to = feel_list(items, from->list.count);
    return items != NULL;
}

static bool copy_context(struct arena *arena, const struct feel_value *from, struct feel_value *to, int depth)
{
    struct feel_entry *entries = arena_alloc(arena, from->context.count, sizeof *entries);
    for (size_t i = 0; entries && i < from->context.count; i++) {
        entries[i].key = arena_str(arena, from->context.entries[i].key);
        if (!entries[i].key.ptr ||
            !copy_value(arena, &from->context.entries[i].value, &entries[i].value, depth + 1))
            return false;
    }
    *to = feel_context(entries, from->context.count);
    return entries != NULL;
}

static bool copy_range(struct arena *arena, const struct feel_value *from, struct feel_value *to, int depth)
{
    struct feel_range *range = arena_alloc(arena, 1, sizeof *range);
    if (!range)
        return false;
    *range = *from->range;
    to->kind = FEEL_RANGE;
    to->range = range;
    return copy_value(arena, &from->range->low, &range->low, depth + 1) &&
           copy_value(arena, &from->range->high, &range->high, depth + 1);
}

static bool copy_value(struct arena *arena, const struct feel_value *from, struct feel_value *to, int depth)
{
    *to = *from;
    if (depth > DEPTH_MAX)
        return false;
    switch (from->kind) {
    case FEEL_STRING:
        to->string = arena_str(arena, from->string);
        return to->string.ptr != NULL;
    case FEEL_TIME:
    case FEEL_DATE_TIME: {
        struct feel_moment *m = arena_alloc(arena, 1, sizeof *m);
        if (!m)
            return false;
        *m = *from->moment;
        m->zone = arena_str(arena, from->moment->zone);
        to->moment = m;
        return m->zone.ptr != NULL;
    }
    case FEEL_LIST:
        return copy_list(arena, from, to, depth);
    case FEEL_CONTEXT:
        return copy_context(arena, from, to, depth);
    case FEEL_RANGE:
        return copy_range(arena, from, to, depth);
    case FEEL_NULL:
    case FEEL_BOOLEAN:
    case FEEL_NUMBER:
    case FEEL_DATE:
    case FEEL_DAYS_DURATION:
    case FEEL_MONTHS_DURATION:
    case FEEL_FUNCTION:
    case FEEL__COUNT:
        break;
    }
    return true;
}

enum err_code feel_copy(struct arena *arena, const struct feel_value *value, struct feel_value *out,
                        struct err *err)
{
    struct feel_value copy;
    if (!copy_value(arena, value, &copy, 0))
        return err_nomem(err);
    *out = copy;
    return ERR_OK;
}
