/* parse_literal.c - numbers, strings, `@"..."`. */
#include "feel/parser.h"
#include "feel/temporal.h"

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct node *constant(struct parser *p, size_t at, struct feel_value value, enum feel_type_kind type)
{
    struct node *node = node_new(p, NODE_CONST, at);
    if (node) {
        node->value = value;
        node->type = feel_type_basic(type);
    }
    return node;
}

struct node *parse_number(struct parser *p)
{
    const size_t start = p->at;
    struct decimal number;
    int64_t small = 0;
    size_t at = p->at;
    const char *text = p->text.ptr;
    for (; at < p->text.len && digit(text[at]); at++)
        if (at - start < 18)
            small = small * 10 + (text[at] - '0');
    bool plain = at - start <= 18 && at > start;
    if (at + 1 < p->text.len && text[at] == '.' && digit(text[at + 1])) {
        plain = false;
        for (at++; at < p->text.len && digit(text[at]); at++)
            ;
    }
    if (at < p->text.len && (text[at] == 'e' || text[at] == 'E')) {
        size_t e = at + 1;
        if (e < p->text.len && (text[e] == '+' || text[e] == '-'))
            e++;
        if (e < p->text.len && digit(text[e])) {
            plain = false;
            for (at = e; at < p->text.len && digit(text[at]); at++)
                ;
        }
    }
    if (plain)
        number = decimal_i64(small);
    else if (!decimal_parse(str_slice(p->text, start, at), &number))
        return parse_fail(p, "feel.number", start);
    p->at = at;
    return constant(p, start, feel_number(number), FEEL_T_NUMBER);
}

static int hex(char c)
{
    return digit(c)               ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* `count` hexadecimal digits at `at`, or -1. */
static int32_t hexes(struct str text, size_t at, size_t count)
{
    int32_t code = 0;
    for (size_t i = 0; i < count; i++) {
        const int h = at + i < text.len ? hex(text.ptr[at + i]) : -1;
        if (h < 0)
            return -1;
        code = code * 16 + h;
    }
    return code;
}

/* The escape behind the backslash at `at`; returns the offset behind it, 0 when it is none. */
static size_t unescape(struct str text, size_t at, char *out, size_t *len)
{
    static const char FROM[] = "\"\\'nrt", TO[] = "\"\\'\n\r\t";
    const char c = at + 1 < text.len ? text.ptr[at + 1] : '\0';
    const char *known = c ? strchr(FROM, c) : NULL;
    if (known) {
        out[(*len)++] = TO[known - FROM];
        return at + 2;
    }
    if (c != 'u' && c != 'U')
        return 0;
    const size_t count = c == 'u' ? 4 : 6;
    int32_t code = hexes(text, at + 2, count);
    size_t next = at + 2 + count;
    if (code >= 0xd800 && code < 0xdc00 && next + 1 < text.len && text.ptr[next] == '\\' &&
        text.ptr[next + 1] == 'u') {
        const int32_t low = hexes(text, next + 2, 4);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            next += 6;
        }
    }
    if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    *len += utf8_put(out + *len, code);
    return next;
}

bool parse_string_text(struct parser *p, struct str *out)
{
    const size_t start = p->at;
    const char *text = p->text.ptr;
    bool escapes = false;
    size_t at = start + 1;
    for (; at < p->text.len && text[at] != '"'; at++)
        if (text[at] == '\\') {
            escapes = true;
            at++;
        }
    if (at >= p->text.len) {
        (void)parse_fail(p, "feel.string_open", start);
        return false;
    }
    p->at = at + 1;
    *out = str_slice(p->text, start + 1, at);
    if (!escapes)
        return true;
    char *copy = parse_alloc(p, out->len + 1, 1);
    if (!copy)
        return false;
    size_t len = 0;
    for (size_t i = start + 1; i < at;) {
        if (text[i] != '\\') {
            copy[len++] = text[i++];
            continue;
        }
        const size_t next = unescape(p->text, i, copy, &len);
        if (!next || next > at) { /* an unknown escape stands for itself */
            copy[len++] = text[i++];
            continue;
        }
        i = next;
    }
    *out = (struct str) { copy, len };
    return true;
}

struct node *parse_string(struct parser *p)
{
    const size_t start = p->at;
    struct str text;
    return parse_string_text(p, &text) ? constant(p, start, feel_string(text), FEEL_T_STRING) : NULL;
}

struct node *parse_at_literal(struct parser *p)
{
    static const uint8_t TYPES[FEEL__COUNT] = {
        [FEEL_DATE] = FEEL_T_DATE,
        [FEEL_TIME] = FEEL_T_TIME,
        [FEEL_DATE_TIME] = FEEL_T_DATE_TIME,
        [FEEL_DAYS_DURATION] = FEEL_T_DAYS_DURATION,
        [FEEL_MONTHS_DURATION] = FEEL_T_MONTHS_DURATION,
    };
    const size_t start = p->at++;
    struct str text;
    struct feel_value value;
    space(p);
    if (look(p) != '"')
        return parse_expected(p, "\"");
    if (!parse_string_text(p, &text))
        return NULL;
    if (feel_temporal_parse(p->arena, text, &value))
        return constant(p, start, value, (enum feel_type_kind)TYPES[value.kind]);
    struct feel_moment moment;
    if (moment_parse_time(text, &moment) || moment_parse_date_time(text, &moment))
        return parse_alloc(p, 1, SIZE_MAX); /* it was the memory */
    if (!(p->flags & FEEL_NAMES_OPEN))
        return parse_fail(p, "feel.at_literal", start);
    return constant(p, start, feel_null(), FEEL_T_NULL);
}
