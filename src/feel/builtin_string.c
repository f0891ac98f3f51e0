/* builtin_string.c - strings count in code points, not in bytes. */
#include "feel/builtin.h"

#include <unicode/ucasemap.h>

void text_value(struct feel_eval *ev, struct buf *buf, struct feel_value *out)
{
    struct err err;
    const enum err_code rc = buf_check(buf, &err);
    if (rc) {
        ev_stop(ev, rc, rc == ERR_LIMIT ? "feel.text_max" : "base.no_memory");
    } else {
        const struct str copy = arena_str(ev->arena, buf_get(buf));
        if (copy.ptr)
            *out = feel_string(copy);
        else
            ev_stop(ev, ERR_NOMEM, "base.no_memory");
    }
    buf_done(buf);
}

bool whole(const struct feel_value *number, int64_t *out)
{
    struct decimal cut;
    return number->kind == FEEL_NUMBER && decimal_round(number->number, 0, DECIMAL_DOWN, &cut) &&
           decimal_to_i64(cut, out);
}

static bool ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    return true;
}

/* The byte offset of the n-th code point. */
static size_t offset_of(struct str text, int64_t n)
{
    size_t at = 0;
    for (; n > 0 && at < text.len; n--) {
        at++;
        while (at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80)
            at++;
    }
    return at;
}

BUILTIN(fn_substring)
{
    const struct str text = args->string;
    int64_t start, length = 0;
    if (!whole(&args[1], &start) || start == 0 || (count > 2 && !whole(&args[2], &length)) ||
        (count > 2 && length < 1) || !ev_steps(ev, (int64_t)text.len / 64))
        return;
    const bool bytes = ascii(text);
    const int64_t total = (int64_t)(bytes ? text.len : utf8_len(text));
    if (start > total || start < -total)
        return;
    const int64_t from = start > 0 ? start - 1 : total + start;
    const int64_t to = count > 2 && length < total - from ? from + length : total;
    if (bytes) {
        *out = feel_string(str_slice(text, (size_t)from, (size_t)to));
        return;
    }
    const size_t low = offset_of(text, from);
    const struct str tail = str_slice(text, low, text.len);
    *out = feel_string(str_slice(tail, 0, offset_of(tail, to - from)));
}

BUILTIN(fn_string_length)
{
    (void)count;
    if (ev_steps(ev, (int64_t)args->string.len / 64))
        *out = feel_i64((int64_t)utf8_len(args->string));
}

typedef int32_t (*case_fn)(const UCaseMap *map, char *dest, int32_t size, const char *src, int32_t len,
                           UErrorCode *status);

static void change_case(struct feel_eval *ev, struct str text, bool upper, struct feel_value *out)
{
    if (!ev_steps(ev, (int64_t)text.len / 16))
        return;
    if (ascii(text)) {
        char *copy = ev_alloc(ev, text.len + 1, 1);
        for (size_t i = 0; copy && i < text.len; i++) {
            const char c = text.ptr[i];
            copy[i] = upper ? (c >= 'a' && c <= 'z' ? (char)(c - 32) : c)
                            : (c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
        }
        if (copy)
            *out = feel_string((struct str) { copy, text.len });
        return;
    }
    if (text.len > INT32_MAX / 4)
        return;
    UErrorCode status = U_ZERO_ERROR;
    UCaseMap *map = ucasemap_open("", 0, &status);
    const case_fn change = upper ? ucasemap_utf8ToUpper : ucasemap_utf8ToLower;
    const size_t size = text.len * 3 + 1; /* no letter grows to more than three times its bytes */
    char *copy = U_SUCCESS(status) ? ev_alloc(ev, size, 1) : NULL;
    const int32_t len = copy ? change(map, copy, (int32_t)size, text.ptr, (int32_t)text.len, &status) : 0;
    if (copy && U_SUCCESS(status))
        *out = feel_string((struct str) { copy, (size_t)len });
    ucasemap_close(map);
}

BUILTIN(fn_upper_case)
{
    (void)count;
    change_case(ev, args->string, true, out);
}

BUILTIN(fn_lower_case)
{
    (void)count;
    change_case(ev, args->string, false, out);
}

static ptrdiff_t find(struct feel_eval *ev, const struct feel_value *args)
{
    if (args[1].string.len == 0)
        return 0;
    return ev_steps(ev, (int64_t)args[0].string.len / 16) ? str_find(args[0].string, args[1].string) : -1;
}

BUILTIN(fn_substring_before)
{
    (void)count;
    const ptrdiff_t at = find(ev, args);
    *out = feel_string(at < 0 ? STR("") : str_slice(args->string, 0, (size_t)at));
}

BUILTIN(fn_substring_after)
{
    (void)count;
    const ptrdiff_t at = find(ev, args);
    *out = feel_string(at < 0 ? STR("")
                              : str_slice(args->string, (size_t)at + args[1].string.len, args->string.len));
}

BUILTIN(fn_contains)
{
    (void)count;
    *out = feel_boolean(find(ev, args) >= 0);
}

BUILTIN(fn_starts_with)
{
    (void)ev;
    (void)count;
    *out = feel_boolean(str_starts(args[0].string, args[1].string));
}

BUILTIN(fn_ends_with)
{
    (void)ev;
    (void)count;
    *out = feel_boolean(str_ends(args[0].string, args[1].string));
}

BUILTIN(fn_string_join)
{
    const struct feel_list *list = &args->list;
    const struct str delimiter = count > 1 && args[1].kind == FEEL_STRING ? args[1].string : STR("");
    struct buf buf;
    bool first = true;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind != FEEL_STRING && list->items[i].kind != FEEL_NULL)
            return;
    buf_init(&buf, ev->limits.text_max);
    for (size_t i = 0; i < list->count && ev_steps(ev, 1) && !buf.failed; i++) {
        if (list->items[i].kind == FEEL_NULL)
            continue;
        if (!first)
            buf_str(&buf, delimiter);
        buf_str(&buf, list->items[i].string);
        first = false;
    }
    text_value(ev, &buf, out);
}
