/* builtin_regex.c - matches, replace, split. */
#include "feel/builtin.h"
#include "feel/regex.h"

/* args[1] is the pattern, args[flags_at] the flags where there are so many arguments. */
static const struct regex *compile(struct feel_eval *ev, const struct feel_value *args, size_t count,
                                   size_t flags_at)
{
    struct regex *regex = NULL;
    const struct str pattern = args[1].string;
    const struct str letters =
        count > flags_at && args[flags_at].kind == FEEL_STRING ? args[flags_at].string : STR("");
    if (!ev_steps(ev, 100 + (int64_t)pattern.len))
        return NULL;
    if (regex_compile(ev->arena, pattern, letters, &regex) == ERR_NOMEM)
        ev_stop(ev, ERR_NOMEM, "base.no_memory");
    return regex;
}

static void matches(struct feel_eval *ev, const struct regex *regex, struct str text, struct feel_value *out)
{
    struct regex_match match;
    const struct arena_mark mark = arena_mark(ev->arena);
    const bool found = regex_next(ev, regex, text, 0, &match);
    arena_release(ev->arena, mark);
    *out = feel_boolean(found);
}

/* An expression that matches nothing at all is an error in replace and split. */
static bool matches_empty(struct feel_eval *ev, const struct regex *regex)
{
    struct regex_match match;
    return regex_next(ev, regex, STR(""), 0, &match);
}

/* "$1 \$" with the groups of a match; false when it is not in the grammar. */
static bool substitute(struct buf *buf, struct str with, struct str text, const struct regex *regex,
                       const struct regex_match *match)
{
    for (size_t i = 0; i < with.len;) {
        const char c = with.ptr[i++];
        if (c == '\\') {
            if (i == with.len || (with.ptr[i] != '\\' && with.ptr[i] != '$'))
                return false;
            buf_char(buf, with.ptr[i++]);
        } else if (c == '$') {
            if (i == with.len || with.ptr[i] < '0' || with.ptr[i] > '9')
                return false;
            uint32_t group = (uint32_t)(with.ptr[i++] - '0');
            while (i < with.len && with.ptr[i] >= '0' && with.ptr[i] <= '9' &&
                   group * 10 + (uint32_t)(with.ptr[i] - '0') <= regex_groups(regex))
                group = group * 10 + (uint32_t)(with.ptr[i++] - '0');
            if (group < match->groups_count && match->groups[2 * group] != SIZE_MAX)
                buf_str(buf, str_slice(text, match->groups[2 * group], match->groups[2 * group + 1]));
        } else {
            buf_char(buf, c);
        }
    }
    return true;
}

static void replace(struct feel_eval *ev, const struct regex *regex, struct str text, struct str with,
                    struct feel_value *out)
{
    struct regex_match match;
    struct buf buf;
    size_t at = 0;
    bool ok = true;
    if (matches_empty(ev, regex) || ev->stopped)
        return;
    buf_init(&buf, ev->limits.text_max);
    while (ok && !buf.failed) {
        const struct arena_mark mark = arena_mark(ev->arena);
        if (!regex_next(ev, regex, text, at, &match)) {
            arena_release(ev->arena, mark);
            break;
        }
        buf_str(&buf, str_slice(text, at, match.from));
        if (regex_literal(regex))
            buf_str(&buf, with);
        else
            ok = substitute(&buf, with, text, regex, &match);
        at = match.to;
        arena_release(ev->arena, mark);
        if (match.to == match.from) /* cannot be, but must not loop */
            break;
    }
    buf_str(&buf, str_slice(text, at, text.len));
    if (ok)
        text_value(ev, &buf, out);
    else
        buf_done(&buf);
}

static void split(struct feel_eval *ev, const struct regex *regex, struct str text, struct feel_value *out)
{
    struct growing list = { 0 };
    struct regex_match match;
    size_t at = 0;
    if (matches_empty(ev, regex) || ev->stopped)
        return;
    while (regex_next(ev, regex, text, at, &match) && match.to > match.from) {
        const struct feel_value part = feel_string(str_slice(text, at, match.from));
        if (!grow(ev, &list, &part))
            return;
        at = match.to;
    }
    const struct feel_value part = feel_string(str_slice(text, at, text.len));
    if (grow(ev, &list, &part))
        *out = feel_list(list.items, list.count);
}

BUILTIN(fn_matches)
{
    const struct regex *regex = compile(ev, args, count, 2);
    if (regex)
        matches(ev, regex, args->string, out);
}

BUILTIN(fn_replace)
{
    const struct regex *regex = compile(ev, args, count, 3);
    if (regex)
        replace(ev, regex, args->string, args[2].string, out);
}

BUILTIN(fn_split)
{
    const struct regex *regex = compile(ev, args, count, 3);
    if (regex)
        split(ev, regex, args->string, out);
}

const struct regex *regex_of_call(struct arena *arena, const struct node *call)
{
    const builtin_fn fn = call->builtin->fn;
    if ((fn != fn_matches && fn != fn_replace && fn != fn_split) || (int)call->count < call->builtin->least ||
        (int)call->count > call->builtin->most)
        return NULL;
    const struct node *pattern = call->items[1];
    const uint32_t flags_at = fn == fn_matches ? 2 : 3;
    const struct node *flags = call->count > flags_at ? call->items[flags_at] : NULL;
    struct regex *regex = NULL;
    if (!is_constant(pattern) || pattern->value.kind != FEEL_STRING || !is_constant(flags) ||
        (flags && flags->value.kind != FEEL_STRING && flags->value.kind != FEEL_NULL))
        return NULL;
    const struct str letters = flags && flags->value.kind == FEEL_STRING ? flags->value.string : STR("");
    return regex_compile(arena, pattern->value.string, letters, &regex) == ERR_OK ? regex : NULL;
}

void regex_call(struct feel_eval *ev, const struct regex *regex, const struct builtin *builtin,
                const struct feel_value *args, size_t count, struct feel_value *out)
{
    const bool text = args->kind == FEEL_STRING;
    if (!text || (builtin->fn == fn_replace && args[2].kind != FEEL_STRING)) {
        builtin_call(ev, builtin, args, count, out); /* the conversions, or null */
        return;
    }
    *out = feel_null();
    if (!ev_steps(ev, 20))
        return;
    if (builtin->fn == fn_matches)
        matches(ev, regex, args->string, out);
    else if (builtin->fn == fn_replace)
        replace(ev, regex, args->string, args[2].string, out);
    else
        split(ev, regex, args->string, out);
}
