/* names.c - what a name is made of (DMN 1.5, 10.3.1.2, rules 25 to 30), and white space. */
#include "feel/node.h"

/* Bits of an ASCII character. */
enum { START = 1, PART = 2, SPACE = 4 };

/* clang-format off */
static const uint8_t ASCII[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 3,
    0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 3,
    0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0,
};
/* clang-format on */

static const struct {
    int32_t from, to;
} STARTS[] = {
    { 0xc0, 0xd6 },     { 0xd8, 0xf6 },     { 0xf8, 0x2ff },    { 0x370, 0x37d },
    { 0x37f, 0x1fff },  { 0x200c, 0x200d }, { 0x2070, 0x218f }, { 0x2c00, 0x2fef },
    { 0x3001, 0xd7ff }, { 0xf900, 0xfdcf }, { 0xfdf0, 0xfffd }, { 0x10000, 0xeffff },
};

bool is_space(int32_t c)
{
    if (c < 128)
        return c >= 0 && ASCII[c] & SPACE;
    return c == 0x85 || c == 0xa0 || c == 0x1680 || c == 0x180e || (c >= 0x2000 && c <= 0x200b) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000 || c == 0xfeff;
}

bool name_start(int32_t c)
{
    if (c < 128)
        return c >= 0 && ASCII[c] & START;
    if (is_space(c))
        return false;
    for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++)
        if (c >= STARTS[i].from && c <= STARTS[i].to)
            return true;
    return false;
}

bool name_part(int32_t c)
{
    if (c < 128)
        return c >= 0 && ASCII[c] & PART;
    return c == 0xb7 || (c >= 0x300 && c <= 0x36f) || c == 0x203f || c == 0x2040 || name_start(c);
}

static int32_t code_at(struct str text, size_t at, size_t *out_next)
{
    if (at >= text.len)
        return -1;
    const unsigned char c = (unsigned char)text.ptr[at];
    *out_next = at + 1;
    if (c < 0x80)
        return c;
    *out_next = at;
    return utf8_next(text, out_next);
}

static size_t skip_comment(struct str text, size_t at)
{
    if (at + 1 >= text.len || text.ptr[at] != '/')
        return at;
    if (text.ptr[at + 1] == '/') {
        while (at < text.len && text.ptr[at] != '\n')
            at++;
    } else if (text.ptr[at + 1] == '*') {
        for (size_t end = at + 2; end + 1 < text.len; end++)
            if (text.ptr[end] == '*' && text.ptr[end + 1] == '/')
                return end + 2;
    }
    return at;
}

size_t skip_space(struct str text, size_t at)
{
    while (at < text.len) {
        size_t next = at;
        const unsigned char c = (unsigned char)text.ptr[at];
        if (c < 128 && !(ASCII[c] & SPACE) && c != '/')
            return at;
        if (is_space(code_at(text, at, &next))) {
            at = next;
            continue;
        }
        next = skip_comment(text, at);
        if (next == at)
            return at;
        at = next;
    }
    return at;
}

/* True when the character of `text` at `at` can go on a name. */
static bool part_at(struct str text, size_t at)
{
    size_t next;
    return name_part(code_at(text, at, &next));
}

static bool part_before(struct str text, size_t at)
{
    if (at == 0)
        return false;
    const unsigned char c = (unsigned char)text.ptr[at - 1];
    return c >= 0x80 || ASCII[c] & PART;
}

size_t name_match(struct str text, size_t at, struct str name)
{
    size_t i = at, j = 0;
    while (j < name.len) {
        if (i < text.len && text.ptr[i] == name.ptr[j] && name.ptr[j] != ' ') {
            i++;
            j++;
            continue;
        }
        size_t next = i;
        bool space = false;
        while (is_space(code_at(text, i, &next))) {
            i = next;
            space = true;
        }
        if (name.ptr[j] == ' ') {
            if (!space && part_before(name, j) && part_at(name, j + 1))
                return 0;
            j++;
        } else if (!space || j == 0 || (part_before(name, j) && part_at(name, j))) {
            return 0;
        }
    }
    return name.len && part_before(name, name.len) && part_at(text, i) ? 0 : i;
}
