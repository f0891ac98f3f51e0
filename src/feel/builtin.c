/* builtin.c - the table of built-in functions, and how a call finds and feeds them.
 *
 * Letters of `kinds`, one a parameter, the last repeated for further arguments:
 *     n number   s string   b boolean   l list   c context   d date or date and time   f function
 *     a anything but null    x anything, null too
 *     N, S, L    as n, s, l, and null is let through
 *     v          the first of any number of arguments that stand for a list */
#include "feel/builtin.h"

/* clang-format off */
#define T(kind) FEEL_T_##kind
static const struct builtin TABLE[] = { /* sorted by name */
    { "abs", fn_abs, 1, 1, "a", "n: number | n: duration", "number", "number", T(ANY), true },
    { "after", fn_after, 2, 2, "aa", "point1: point, point2: point | point: point, range: range | range: range, point: point | range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "all", fn_all, 1, -1, "v", "list: list | b: boolean ...", "boolean", "list", T(BOOLEAN), true },
    { "any", fn_any, 1, -1, "v", "list: list | b: boolean ...", "boolean", "list", T(BOOLEAN), true },
    { "append", fn_append, 1, -1, "lx", "list: list, item: Any ...", "list", "list", T(LIST), true },
    { "before", fn_before, 2, 2, "aa", "point1: point, point2: point | point: point, range: range | range: range, point: point | range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "ceiling", fn_ceiling, 1, 2, "nn", "n: number, scale?: number", "number", "number", T(NUMBER), true },
    { "coincides", fn_coincides, 2, 2, "aa", "point1: point, point2: point | range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "concatenate", fn_concatenate, 1, -1, "x", "list: list ...", "list", "list", T(LIST), true },
    { "contains", fn_contains, 2, 2, "ss", "string: string, match: string", "boolean", "string", T(BOOLEAN), true },
    { "context", fn_context, 1, 1, "l", "entries: list<context<key: string, value: Any>>", "context", "context", T(ANY), true },
    { "context merge", fn_context_merge, 1, 1, "l", "contexts: list<context>", "context", "context", T(ANY), true },
    { "context put", fn_context_put, 3, 3, "cax", "context: context, key: string, value: Any | context: context, keys: list<string>, value: Any", "context", "context", T(ANY), true },
    { "count", fn_count, 1, 1, "l", "list: list", "number", "list", T(NUMBER), true },
    { "date", fn_date, 1, 3, "aaa", "from: string | from: date and time | year: number, month: number, day: number", "date", "conversion", T(DATE), true },
    { "date and time", fn_date_and_time, 1, 7, "aaaaaax", "from: string | date: date, time: time | year: number, month: number, day: number, hour: number, minute: number, second: number, offset?: days and time duration | year: number, month: number, day: number, hour: number, minute: number, second: number, timezone?: string", "date and time", "conversion", T(DATE_TIME), true },
    { "day of week", fn_day_of_week, 1, 1, "d", "date: date", "string", "temporal", T(STRING), true },
    { "day of year", fn_day_of_year, 1, 1, "d", "date: date", "number", "temporal", T(NUMBER), true },
    { "decimal", fn_decimal, 2, 2, "nn", "n: number, scale: number", "number", "number", T(NUMBER), true },
    { "distinct values", fn_distinct_values, 1, 1, "l", "list: list", "list", "list", T(LIST), true },
    { "duration", fn_duration, 1, 1, "s", "from: string", "duration", "conversion", T(ANY), true },
    { "during", fn_during, 2, 2, "aa", "point: point, range: range | range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "ends with", fn_ends_with, 2, 2, "ss", "string: string, match: string", "boolean", "string", T(BOOLEAN), true },
    { "even", fn_even, 1, 1, "n", "number: number", "boolean", "number", T(BOOLEAN), true },
    { "exp", fn_exp, 1, 1, "n", "number: number", "number", "number", T(NUMBER), true },
    { "finished by", fn_finished_by, 2, 2, "aa", "range: range, point: point | range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "finishes", fn_finishes, 2, 2, "aa", "point: point, range: range | range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "flatten", fn_flatten, 1, 1, "l", "list: list", "list", "list", T(ANY), true },
    { "floor", fn_floor, 1, 2, "nn", "n: number, scale?: number", "number", "number", T(NUMBER), true },
    { "get entries", fn_get_entries, 1, 1, "c", "m: context", "list<context<key: string, value: Any>>", "context", T(ANY), true },
    { "get value", fn_get_value, 2, 2, "ca", "m: context, key: string", "Any", "context", T(ANY), true },
    { "includes", fn_includes, 2, 2, "aa", "range: range, point: point | range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "index of", fn_index_of, 2, 2, "lx", "list: list, match: Any", "list<number>", "list", T(ANY), true },
    { "insert before", fn_insert_before, 3, 3, "lnx", "list: list, position: number, newItem: Any", "list", "list", T(LIST), true },
    { "is", fn_is, 2, 2, "xx", "value1: Any, value2: Any", "boolean", "temporal", T(BOOLEAN), true },
    { "list contains", fn_list_contains, 2, 2, "lx", "list: list, element: Any", "boolean", "list", T(BOOLEAN), true },
    { "list replace", fn_list_replace, 3, 3, "lax", "list: list, position: number, newItem: Any | list: list, match: function<Any, Any>->boolean, newItem: Any", "list", "list", T(LIST), true },
    { "log", fn_log, 1, 1, "n", "number: number", "number", "number", T(NUMBER), true },
    { "lower case", fn_lower_case, 1, 1, "s", "string: string", "string", "string", T(STRING), true },
    { "matches", fn_matches, 2, 3, "ssS", "input: string, pattern: string, flags?: string", "boolean", "string", T(BOOLEAN), true },
    { "max", fn_max, 1, -1, "v", "list: list | c: Any ...", "Any", "list", T(ANY), true },
    { "mean", fn_mean, 1, -1, "v", "list: list<number> | n: number ...", "number", "list", T(NUMBER), true },
    { "median", fn_median, 1, -1, "v", "list: list<number> | n: number ...", "number", "list", T(NUMBER), true },
    { "meets", fn_meets, 2, 2, "aa", "range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "met by", fn_met_by, 2, 2, "aa", "range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "min", fn_min, 1, -1, "v", "list: list | c: Any ...", "Any", "list", T(ANY), true },
    { "mode", fn_mode, 1, -1, "v", "list: list<number> | n: number ...", "list<number>", "list", T(ANY), true },
    { "modulo", fn_modulo, 2, 2, "nn", "dividend: number, divisor: number", "number", "number", T(NUMBER), true },
    { "month of year", fn_month_of_year, 1, 1, "d", "date: date", "string", "temporal", T(STRING), true },
    { "not", fn_not, 1, 1, "x", "negand: boolean", "boolean", "boolean", T(BOOLEAN), true },
    { "now", fn_now, 0, 0, "", "", "date and time", "temporal", T(DATE_TIME), false },
    { "number", fn_number, 1, 3, "sSS", "from: string, grouping separator?: string, decimal separator?: string", "number", "conversion", T(NUMBER), true },
    { "odd", fn_odd, 1, 1, "n", "number: number", "boolean", "number", T(BOOLEAN), true },
    { "overlaps", fn_overlaps, 2, 2, "aa", "range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "overlaps after", fn_overlaps_after, 2, 2, "aa", "range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "overlaps before", fn_overlaps_before, 2, 2, "aa", "range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "product", fn_product, 1, -1, "v", "list: list<number> | n: number ...", "number", "list", T(NUMBER), true },
    { "range", fn_range, 1, 1, "s", "from: string", "range", "conversion", T(ANY), true },
    { "remove", fn_remove, 2, 2, "ln", "list: list, position: number", "list", "list", T(LIST), true },
    { "replace", fn_replace, 3, 4, "sssS", "input: string, pattern: string, replacement: string, flags?: string", "string", "string", T(STRING), true },
    { "reverse", fn_reverse, 1, 1, "l", "list: list", "list", "list", T(LIST), true },
    { "round down", fn_round_down, 1, 2, "nn", "n: number, scale?: number", "number", "number", T(NUMBER), true },
    { "round half down", fn_round_half_down, 1, 2, "nn", "n: number, scale?: number", "number", "number", T(NUMBER), true },
    { "round half up", fn_round_half_up, 1, 2, "nn", "n: number, scale?: number", "number", "number", T(NUMBER), true },
    { "round up", fn_round_up, 1, 2, "nn", "n: number, scale?: number", "number", "number", T(NUMBER), true },
    { "sort", fn_sort, 1, 2, "lf", "list: list, precedes?: function<Any, Any>->boolean", "list", "list", T(LIST), true },
    { "split", fn_split, 2, 2, "ss", "string: string, delimiter: string", "list<string>", "string", T(ANY), true },
    { "sqrt", fn_sqrt, 1, 1, "n", "number: number", "number", "number", T(NUMBER), true },
    { "started by", fn_started_by, 2, 2, "aa", "range: range, point: point | range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "starts", fn_starts, 2, 2, "aa", "point: point, range: range | range1: range, range2: range", "boolean", "range", T(BOOLEAN), true },
    { "starts with", fn_starts_with, 2, 2, "ss", "string: string, match: string", "boolean", "string", T(BOOLEAN), true },
    { "stddev", fn_stddev, 1, -1, "v", "list: list<number> | n: number ...", "number", "list", T(NUMBER), true },
    { "string", fn_string, 1, 1, "a", "from: Any", "string", "conversion", T(STRING), true },
    { "string join", fn_string_join, 1, 2, "lS", "list: list<string>, delimiter?: string", "string", "string", T(STRING), true },
    { "string length", fn_string_length, 1, 1, "s", "string: string", "number", "string", T(NUMBER), true },
    { "sublist", fn_sublist, 2, 3, "lnn", "list: list, start position: number, length?: number", "list", "list", T(LIST), true },
    { "substring", fn_substring, 2, 3, "snn", "string: string, start position: number, length?: number", "string", "string", T(STRING), true },
    { "substring after", fn_substring_after, 2, 2, "ss", "string: string, match: string", "string", "string", T(STRING), true },
    { "substring before", fn_substring_before, 2, 2, "ss", "string: string, match: string", "string", "string", T(STRING), true },
    { "sum", fn_sum, 1, -1, "v", "list: list<number> | n: number ...", "number", "list", T(NUMBER), true },
    { "time", fn_time, 1, 4, "aaax", "from: string | from: date and time | hour: number, minute: number, second: number, offset?: days and time duration", "time", "conversion", T(TIME), true },
    { "today", fn_today, 0, 0, "", "", "date", "temporal", T(DATE), false },
    { "union", fn_union, 1, -1, "x", "list: list ...", "list", "list", T(LIST), true },
    { "upper case", fn_upper_case, 1, 1, "s", "string: string", "string", "string", T(STRING), true },
    { "week of year", fn_week_of_year, 1, 1, "d", "date: date", "number", "temporal", T(NUMBER), true },
    { "years and months duration", fn_years_and_months_duration, 2, 2, "dd", "from: date, to: date", "years and months duration", "conversion", T(MONTHS_DURATION), true },
};
/* clang-format on */
#define TABLE_COUNT (sizeof TABLE / sizeof *TABLE)

/* Where the names of each first letter begin in the table. */
static size_t first_of(char letter)
{
    size_t low = 0, high = TABLE_COUNT;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (TABLE[middle].name[0] < letter)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct builtin *builtin_match(struct str text, size_t at, size_t *out_end)
{
    const char c = text.ptr[at], d = at + 1 < text.len ? text.ptr[at + 1] : '\0';
    const struct builtin *found = NULL;
    *out_end = 0;
    if (c < 'a' || c > 'y')
        return NULL;
    for (size_t i = first_of(c); i < TABLE_COUNT && TABLE[i].name[0] == c; i++) {
        if (TABLE[i].name[1] != d)
            continue;
        const size_t end = name_match(text, at, str_from(TABLE[i].name));
        if (end > *out_end) {
            *out_end = end;
            found = &TABLE[i];
        }
    }
    return found;
}

const struct builtin *builtin_find(struct str name)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (str_eq(name, str_from(TABLE[i].name)))
            return &TABLE[i];
    return NULL;
}

bool feel_builtin(size_t index, struct feel_builtin_info *out)
{
    if (index >= TABLE_COUNT)
        return false;
    *out = (struct feel_builtin_info) { TABLE[index].name, TABLE[index].signatures, TABLE[index].result,
                                        TABLE[index].group };
    return true;
}

/* ---------------------------------------------------------------- named arguments */

/* The parameters of one alternative of the signatures: names and whether they may be left out. */
struct parameter {
    struct str name;
    bool optional;
};

static size_t parameters(struct str alternative, struct parameter *out, size_t max)
{
    size_t count = 0;
    int angle = 0;
    size_t start = 0;
    for (size_t i = 0; i <= alternative.len && count < max; i++) {
        const char c = i < alternative.len ? alternative.ptr[i] : ',';
        angle += c == '<' ? 1 : c == '>' && alternative.ptr[i - 1] != '-' ? -1 : 0;
        if (c != ',' || angle > 0)
            continue;
        const struct str one = str_slice(alternative, start, i);
        const ptrdiff_t colon = str_find(one, STR(":"));
        if (colon > 0) {
            struct str name = str_trim(str_slice(one, 0, (size_t)colon));
            const bool optional = name.ptr[name.len - 1] == '?';
            if (optional)
                name.len--;
            out[count++] = (struct parameter) { name, optional };
        }
        start = i + 1;
    }
    return count;
}

static bool fits_alternative(const struct parameter *params, size_t params_count, const struct str *names,
                             size_t count, uint8_t *order, size_t *out_count)
{
    size_t last = 0;
    for (size_t i = 0; i < count; i++) {
        size_t place = 0;
        while (place < params_count && !str_eq(params[place].name, names[i]))
            place++;
        if (place == params_count)
            return false;
        for (size_t j = 0; j < i; j++)
            if (order[j] == place)
                return false;
        order[i] = (uint8_t)place;
        if (place + 1 > last)
            last = place + 1;
    }
    *out_count = last;
    return true;
}

bool builtin_named(const struct builtin *builtin, const struct str *names, size_t count, uint8_t *order,
                   size_t *out_count)
{
    struct str rest = str_from(builtin->signatures), alternative;
    while (str_cut(&rest, '|', &alternative)) {
        struct parameter params[8];
        const size_t params_count = parameters(alternative, params, sizeof params / sizeof *params);
        if (!fits_alternative(params, params_count, names, count, order, out_count))
            continue;
        size_t least = 0;
        for (size_t i = 0; i < params_count; i++)
            if (!params[i].optional)
                least = i + 1;
        if (*out_count < least)
            *out_count = least; /* a missing argument is null */
        return true;
    }
    return false;
}

/* ---------------------------------------------------------------- calls */

static bool is_kind(const struct feel_value *value, char letter)
{
    switch (letter) {
    case 'n':
    case 'N':
        return value->kind == FEEL_NUMBER;
    case 's':
    case 'S':
        return value->kind == FEEL_STRING;
    case 'b':
        return value->kind == FEEL_BOOLEAN;
    case 'l':
    case 'L':
        return value->kind == FEEL_LIST;
    case 'c':
        return value->kind == FEEL_CONTEXT;
    case 'd':
        return value->kind == FEEL_DATE || value->kind == FEEL_DATE_TIME;
    case 'f':
        return value->kind == FEEL_FUNCTION;
    default:
        return true;
    }
}

/* The value as its parameter wants it: a list of one is its item, a single value is a list of one. */
static bool convert(struct feel_eval *ev, const struct feel_value *from, char letter, struct feel_value *to)
{
    if (from->kind == FEEL_NULL) {
        *to = *from;
        return letter == 'x' || letter == 'N' || letter == 'S' || letter == 'L';
    }
    *to = *from;
    if (is_kind(from, letter))
        return true;
    if (letter == 'l' || letter == 'L') {
        struct feel_value *item = ev_alloc(ev, 1, sizeof *item);
        if (!item)
            return false;
        *item = *from;
        *to = feel_list(item, 1);
        return true;
    }
    if (from->kind == FEEL_LIST && from->list.count == 1 && is_kind(&from->list.items[0], letter)) {
        *to = from->list.items[0];
        return true;
    }
    return false;
}

static void call_variadic(struct feel_eval *ev, const struct builtin *builtin, const struct feel_value *args,
                          size_t count, struct feel_value *out)
{
    if (count == 1 && args->kind == FEEL_LIST)
        builtin->fn(ev, args->list.items, args->list.count, out);
    else if (count > 1 || args->kind != FEEL_NULL)
        builtin->fn(ev, args, count, out);
}

#define ARGS_MAX 8

static void call_converted(struct feel_eval *ev, const struct builtin *builtin, const struct feel_value *args,
                           size_t count, struct feel_value *out)
{
    struct feel_value few[ARGS_MAX], *converted = few;
    char letter = 'x';
    if (count > ARGS_MAX)
        converted = ev_alloc(ev, count, sizeof *converted);
    if (!converted)
        return;
    const char *kinds = builtin->kinds;
    for (size_t i = 0; i < count; i++) {
        if (*kinds)
            letter = *kinds++;
        if (!convert(ev, &args[i], letter, &converted[i]))
            return;
    }
    builtin->fn(ev, converted, count, out);
}

void builtin_call(struct feel_eval *ev, const struct builtin *builtin, const struct feel_value *args,
                  size_t count, struct feel_value *out)
{
    struct feel_value result = feel_null();
    if ((int)count < builtin->least || (builtin->most >= 0 && (int)count > builtin->most))
        feel_warn(ev, "feel.arguments_count", str_from(builtin->name));
    else if (builtin->kinds[0] == 'v')
        call_variadic(ev, builtin, args, count, &result);
    else
        call_converted(ev, builtin, args, count, &result);
    if (result.kind == FEEL_NULL)
        feel_warn(ev, "feel.no_result", str_from(builtin->name));
    *out = result;
}
