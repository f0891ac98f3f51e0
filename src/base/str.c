/* str.c - see str.h */
#include "base/str.h"

#include <limits.h>

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || (a.ptr && b.ptr && memcmp(a.ptr, b.ptr, a.len) == 0));
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

int str_cmp(struct str a, struct str b)
{
    const size_t common = a.len < b.len ? a.len : b.len;
    const int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool str_starts(struct str text, struct str prefix)
{
    return text.len >= prefix.len && str_eq(str_slice(text, 0, prefix.len), prefix);
}

bool str_ends(struct str text, struct str suffix)
{
    return text.len >= suffix.len && str_eq(str_slice(text, text.len - suffix.len, text.len), suffix);
}

ptrdiff_t str_find(struct str text, struct str what)
{
    if (what.len == 0)
        return 0;
    if (what.len > text.len)
        return -1;
    const char *found = memmem(text.ptr, text.len, what.ptr, what.len);
    return found ? found - text.ptr : -1;
}

struct str str_slice(struct str text, size_t from, size_t to)
{
    if (to > text.len)
        to = text.len;
    if (from > to)
        from = to;
    return (struct str) { text.ptr ? text.ptr + from : NULL, to - from };
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str text)
{
    while (text.len && is_space(text.ptr[0]))
        text = str_slice(text, 1, text.len);
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

bool str_cut(struct str *rest, char separator, struct str *out_part)
{
    if (!rest->ptr)
        return false;
    const char *found = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    if (!found) {
        *out_part = *rest;
        *rest = (struct str) { 0 };
        return true;
    }
    const size_t len = (size_t)(found - rest->ptr);
    *out_part = str_slice(*rest, 0, len);
    *rest = str_slice(*rest, len + 1, rest->len);
    return true;
}

bool str_i64(struct str text, int64_t *out)
{
    const bool negative = text.len && text.ptr[0] == '-';
    size_t at = text.len && (negative || text.ptr[0] == '+');
    if (at == text.len)
        return false;
    int64_t value = 0;
    for (; at < text.len; at++) {
        const char c = text.ptr[at];
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, c - '0', &value)) /* negative: it has the wider range */
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *out = negative ? value : -value;
    return true;
}

uint64_t str_hash(struct str text)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

int32_t utf8_next(struct str text, size_t *at)
{
    if (*at >= text.len)
        return -1;
    const unsigned char *s = (const unsigned char *)text.ptr + *at;
    const size_t left = text.len - *at;
    if (s[0] < 0x80) {
        *at += 1;
        return s[0];
    }
    const size_t need = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    static const int32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < need)
        return -1;
    int32_t code = s[0] & (0x7f >> need);
    for (size_t i = 1; i < need; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return -1;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return -1;
    *at += need;
    return code;
}

size_t utf8_put(char out[4], int32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    const size_t need = code >= 0x10000 ? 4 : code >= 0x800 ? 3 : 2;
    static const int32_t head[5] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = need - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(head[need] | code);
    return need;
}

bool utf8_valid(struct str text)
{
    for (size_t at = 0; at < text.len;)
        if (utf8_next(text, &at) < 0)
            return false;
    return true;
}

size_t utf8_len(struct str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}
