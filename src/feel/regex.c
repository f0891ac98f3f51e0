/* regex.c - the grammar of XPath is checked here and written anew for PCRE2: character class subtraction,
 * \i and \c, \p{IsBlock}, and the exact meaning of . ^ $ \s \d \w. */
#include "feel/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <unicode/uchar.h>
#include <unicode/uset.h>

#define PATTERN_MAX 10000
#define OUT_MAX 400000
#define MATCH_LIMIT 1000000
#define CLASS_DEPTH_MAX 20

struct regex {
    pcre2_code *code;
    pcre2_general_context *memory; /* of the compiling arena; unused afterwards */
    uint32_t groups;
    bool literal;
};

struct rewrite {
    struct str in;
    size_t at;
    struct buf out;
    bool dot_all, ignore_space, bad;
    uint32_t opened, closed[100], closed_count, stack[100], depth;
};

static const char NAME_START[] =
    ":A-Z_a-z\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{2FF}\\x{370}-\\x{37D}\\x{37F}-\\x{1FFF}\\x{200C}-\\x{"
    "200D}"
    "\\x{2070}-\\x{218F}\\x{2C00}-\\x{2FEF}\\x{3001}-\\x{D7FF}\\x{F900}-\\x{FDCF}\\x{FDF0}-\\x{FFFD}"
    "\\x{10000}-\\x{EFFFF}";
static const char NAME_MORE[] = "\\-.0-9\\x{B7}\\x{300}-\\x{36F}\\x{203F}-\\x{2040}";
/* What is in neither, and what is only in the second. */
static const char NO_NAME[] =
    "\\x{0}-,/;-@\\[-\\^`{-\\x{B6}\\x{B8}-\\x{BF}\\x{D7}\\x{F7}\\x{37E}\\x{2000}-\\x{200B}\\x{200E}-\\x{203E}"
    "\\x{2041}-\\x{206F}\\x{2190}-\\x{2BFF}\\x{2FF0}-\\x{3000}\\x{E000}-\\x{F8FF}\\x{FDD0}-\\x{FDEF}"
    "\\x{FFFE}-\\x{FFFF}\\x{F0000}-\\x{10FFFF}";

static void bad(struct rewrite *r)
{
    r->bad = true;
}

static bool more(const struct rewrite *r)
{
    return !r->bad && r->at < r->in.len;
}

static char peek(const struct rewrite *r)
{
    return r->at < r->in.len ? r->in.ptr[r->at] : '\0';
}

static char peek_on(const struct rewrite *r, size_t on)
{
    return r->at + on < r->in.len ? r->in.ptr[r->at + on] : '\0';
}

/* ---------------------------------------------------------------- \p{...} */

/* A range as it stands in a class; empty when there is nothing in it.  Surrogates are no characters. */
static void print_range(char *out, size_t size, UChar32 from, UChar32 to)
{
    from = from >= 0xd800 && from <= 0xdfff ? 0xe000 : from;
    to = to >= 0xd800 && to <= 0xdfff ? 0xd7ff : to;
    out[0] = '\0';
    if (from <= to)
        (void)snprintf(out, size, "\\x{%X}-\\x{%X}", (unsigned)from, (unsigned)to);
}

/* Ranges of a Unicode block, or of all that is outside of it, as they stand in a class. */
static bool block_ranges(struct str name, bool negated, char *out, size_t size)
{
    char wanted[64];
    size_t len = 0;
    for (size_t i = 0; i < name.len && len + 1 < sizeof wanted; i++)
        if (name.ptr[i] != ' ')
            wanted[len++] = name.ptr[i];
    wanted[len] = '\0';
    const int32_t block = u_getPropertyValueEnum(UCHAR_BLOCK, wanted);
    if (block < 0)
        return false;
    UErrorCode status = U_ZERO_ERROR;
    USet *set = uset_openEmpty();
    uset_applyIntPropertyValue(set, UCHAR_BLOCK, block, &status);
    UChar32 from, to;
    const bool ok = U_SUCCESS(status) && uset_getItemCount(set) > 0 &&
                    uset_getItem(set, 0, &from, &to, NULL, 0, &status) == 0 && U_SUCCESS(status);
    uset_close(set);
    if (!ok)
        return false;
    if (!negated) {
        print_range(out, size, from, to);
        return true;
    }
    print_range(out, size, 0, from - 1);
    const size_t used = strlen(out);
    print_range(out + used, size - used, to + 1, 0x10ffff);
    return true;
}

static bool category(struct str name)
{
    static const char *const CATEGORIES =
        " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po Z Zs Zl "
        "Zp S Sm Sc Sk So C Cc Cf Co Cn ";
    char wanted[8];
    if (name.len < 1 || name.len > 2)
        return false;
    (void)snprintf(wanted, sizeof wanted, " %.*s ", STR_ARG(name));
    return strstr(CATEGORIES, wanted) != NULL;
}

static void property(struct rewrite *r, bool negated, bool in_class)
{
    if (peek(r) != '{') {
        bad(r);
        return;
    }
    const size_t start = ++r->at;
    while (more(r) && peek(r) != '}')
        r->at++;
    const struct str name = str_slice(r->in, start, r->at);
    if (peek(r) != '}') {
        bad(r);
        return;
    }
    r->at++;
    char ranges[64];
    if (category(name)) {
        buf_printf(&r->out, "\\%c{%.*s}", negated ? 'P' : 'p', STR_ARG(name));
    } else if (str_starts(name, STR("Is")) &&
               block_ranges(str_slice(name, 2, name.len), negated, ranges, sizeof ranges)) {
        buf_printf(&r->out, in_class ? "%s" : ranges[0] ? "[%s]" : "(?!)", ranges);
    } else {
        bad(r);
    }
}

/* ---------------------------------------------------------------- escapes */

/* \d \w \s \i \c and their opposites; false when `c` is none of these. */
static bool class_escape(struct rewrite *r, char c, bool in_class)
{
    static const struct {
        char c;
        const char *inside, *more;
    } CLASSES[] = {
        { 'd', "\\p{Nd}", "" },
        { 'D', "\\P{Nd}", "" },
        { 's', " \\t\\n\\r", "" },
        { 'S', "\\x{0}-\\x{8}\\x{B}\\x{C}\\x{E}-\\x{1F}\\x{21}-\\x{10FFFF}", "" },
        { 'w', "\\p{L}\\p{M}\\p{N}\\p{S}", "" },
        { 'W', "\\p{P}\\p{Z}\\p{C}", "" },
        { 'i', NAME_START, "" },
        { 'I', NO_NAME, NAME_MORE },
        { 'c', NAME_START, NAME_MORE },
        { 'C', NO_NAME, "" },
    };
    for (size_t i = 0; i < sizeof CLASSES / sizeof *CLASSES; i++) {
        if (CLASSES[i].c != c)
            continue;
        if (!in_class)
            buf_char(&r->out, '[');
        buf_text(&r->out, CLASSES[i].inside);
        buf_text(&r->out, CLASSES[i].more);
        if (!in_class)
            buf_char(&r->out, ']');
        return true;
    }
    return false;
}

static bool is_closed(const struct rewrite *r, uint32_t group)
{
    for (uint32_t i = 0; i < r->closed_count; i++)
        if (r->closed[i] == group)
            return true;
    return false;
}

static void back_reference(struct rewrite *r, char first)
{
    uint32_t group = (uint32_t)(first - '0');
    while (peek(r) >= '0' && peek(r) <= '9' && group * 10 + (uint32_t)(peek(r) - '0') <= r->opened)
        group = group * 10 + (uint32_t)(r->in.ptr[r->at++] - '0');
    if (!is_closed(r, group))
        bad(r);
    buf_printf(&r->out, "\\g{%u}", (unsigned)group);
}

/* One escape; a single character goes to *out_char (in a class it may begin a range). */
static bool escape(struct rewrite *r, bool in_class)
{
    const char c = peek(r);
    if (r->at >= r->in.len) {
        bad(r);
        return false;
    }
    r->at++;
    if (class_escape(r, c, in_class))
        return false;
    if (c == 'p' || c == 'P') {
        property(r, c == 'P', in_class);
        return false;
    }
    if (c >= '1' && c <= '9' && !in_class) {
        back_reference(r, c);
        return false;
    }
    if (!strchr("nrt\\|.?*+(){}-[]^$", c) || !c)
        bad(r);
    buf_char(&r->out, '\\');
    buf_char(&r->out, c);
    return true;
}

/* ---------------------------------------------------------------- classes */

static void copy_char(struct rewrite *r, bool protect)
{
    const size_t start = r->at;
    if (utf8_next(r->in, &r->at) < 0)
        bad(r);
    if (protect)
        buf_char(&r->out, '\\');
    buf_add(&r->out, r->in.ptr + start, r->at - start);
}

/* Behind `[`: writes the class with its brackets; a subtraction becomes a look-ahead before it. */
static void char_class(struct rewrite *r, int depth)
{
    struct buf outer = r->out;
    struct buf subtracted;
    bool empty = true;
    if (depth > CLASS_DEPTH_MAX) {
        bad(r);
        return;
    }
    buf_init(&subtracted, OUT_MAX);
    buf_init(&r->out, OUT_MAX);
    buf_char(&r->out, '[');
    if (peek(r) == '^') {
        buf_char(&r->out, '^');
        r->at++;
    }
    while (more(r) && peek(r) != ']') {
        const char c = peek(r);
        if (c == '-' && peek_on(r, 1) == '[' && !empty) {
            r->at += 2;
            struct buf mine = r->out;
            buf_init(&r->out, OUT_MAX);
            char_class(r, depth + 1);
            buf_done(&subtracted);
            subtracted = r->out;
            r->out = mine;
            break;
        }
        if (c == '[') {
            bad(r);
            break;
        }
        empty = false;
        if (c == '\\') {
            r->at++;
            (void)escape(r, true);
        } else if (c == '-') { /* a range when it stands between two characters */
            const bool range = r->out.len > 1 && peek_on(r, 1) != ']' && peek_on(r, 1) != '\0' &&
                               r->out.ptr[r->out.len - 1] != '^' && r->out.ptr[r->out.len - 1] != '}';
            r->at++;
            buf_text(&r->out, range ? "-" : "\\-");
        } else {
            copy_char(r, c == '&' || c == '~' || c == '^' || c == ':' || c == '=');
        }
    }
    if (peek(r) != ']' || empty)
        bad(r);
    r->at++;
    buf_char(&r->out, ']');
    if (subtracted.len) {
        buf_text(&outer, "(?:(?!");
        buf_str(&outer, buf_get(&subtracted));
        buf_char(&outer, ')');
    }
    buf_str(&outer, buf_get(&r->out));
    if (subtracted.len)
        buf_char(&outer, ')');
    buf_done(&subtracted);
    buf_done(&r->out);
    r->out = outer;
}

/* ---------------------------------------------------------------- the whole */

static void quantity(struct rewrite *r)
{
    const size_t start = r->at++;
    size_t digits = 0;
    while (peek(r) >= '0' && peek(r) <= '9') {
        r->at++;
        digits++;
    }
    if (peek(r) == ',') {
        r->at++;
        while (peek(r) >= '0' && peek(r) <= '9')
            r->at++;
    }
    if (peek(r) != '}' || !digits)
        bad(r);
    else
        r->at++;
    buf_add(&r->out, r->in.ptr + start, r->at - start);
}

static void open_group(struct rewrite *r)
{
    r->at++;
    uint32_t group = 0;
    if (peek(r) == '?') {
        if (peek_on(r, 1) != ':') {
            bad(r);
            return;
        }
        r->at += 2;
        buf_text(&r->out, "(?:");
    } else {
        group = ++r->opened;
        buf_char(&r->out, '(');
    }
    if (r->depth == sizeof r->stack / sizeof *r->stack)
        bad(r);
    else
        r->stack[r->depth++] = group;
}

static void close_group(struct rewrite *r)
{
    r->at++;
    buf_char(&r->out, ')');
    if (!r->depth || r->closed_count == sizeof r->closed / sizeof *r->closed) {
        bad(r);
        return;
    }
    const uint32_t group = r->stack[--r->depth];
    if (group)
        r->closed[r->closed_count++] = group;
}

static void rewrite_pattern(struct rewrite *r)
{
    while (more(r)) {
        switch (peek(r)) {
        case '\\':
            r->at++;
            (void)escape(r, false);
            break;
        case '[':
            r->at++;
            char_class(r, 0);
            break;
        case '(':
            open_group(r);
            break;
        case ')':
            close_group(r);
            break;
        case '{':
            quantity(r);
            break;
        case '.':
            r->at++;
            buf_text(&r->out, r->dot_all ? "(?s:.)" : "[^\\n\\r]");
            break;
        case ']':
        case '}':
            bad(r);
            break;
        default:
            copy_char(r, peek(r) == '#');
            break;
        }
    }
    if (r->depth)
        bad(r);
}

/* With flag x white space goes, but for classes. */
static bool without_space(struct str pattern, struct buf *out)
{
    int depth = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        const char c = pattern.ptr[i];
        const bool escaped = i > 0 && pattern.ptr[i - 1] == '\\' && (i < 2 || pattern.ptr[i - 2] != '\\');
        if (!escaped)
            depth += c == '[' ? 1 : c == ']' && depth ? -1 : 0;
        if (!depth && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            continue;
        buf_char(out, c);
    }
    return !out->failed;
}

static bool read_flags(struct str flags, uint32_t *options, struct rewrite *r, bool *literal)
{
    for (size_t i = 0; i < flags.len; i++) {
        switch (flags.ptr[i]) {
        case 's':
            r->dot_all = true;
            break;
        case 'm':
            *options |= PCRE2_MULTILINE;
            break;
        case 'i':
            *options |= PCRE2_CASELESS;
            break;
        case 'x':
            r->ignore_space = true;
            break;
        case 'q':
            *literal = true;
            break;
        default:
            return false;
        }
    }
    return true;
}

static void *arena_malloc(size_t size, void *arena)
{
    return arena_alloc(arena, 1, size);
}

static void arena_no_free(void *block, void *arena)
{
    (void)block;
    (void)arena;
}

static enum err_code compile_code(struct arena *arena, struct str pattern, uint32_t options,
                                  struct regex *regex)
{
    int code = 0;
    PCRE2_SIZE offset;
    regex->memory = pcre2_general_context_create(arena_malloc, arena_no_free, arena);
    pcre2_compile_context *context = regex->memory ? pcre2_compile_context_create(regex->memory) : NULL;
    if (!context)
        return ERR_NOMEM;
    (void)pcre2_set_parens_nest_limit(context, 100);
    regex->code = pcre2_compile((PCRE2_SPTR)(pattern.ptr ? pattern.ptr : ""), pattern.len, options, &code,
                                &offset, context);
    if (!regex->code)
        return code == PCRE2_ERROR_HEAP_FAILED ? ERR_NOMEM : ERR_INVALID;
    (void)pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->groups);
    return ERR_OK;
}

enum err_code regex_compile(struct arena *arena, struct str pattern, struct str flags, struct regex **out)
{
    struct rewrite r = { .in = pattern };
    struct buf stripped;
    uint32_t options =
        PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_UTF_CHECK;
    struct regex *regex = arena_alloc(arena, 1, sizeof *regex);
    if (!regex)
        return ERR_NOMEM;
    if (pattern.len > PATTERN_MAX || !read_flags(flags, &options, &r, &regex->literal))
        return ERR_INVALID;
    if (regex->literal)
        return compile_code(arena, pattern,
                            (options & ~(uint32_t)PCRE2_DOLLAR_ENDONLY & ~(uint32_t)PCRE2_MULTILINE &
                             ~(uint32_t)PCRE2_UCP & ~(uint32_t)PCRE2_NEVER_BACKSLASH_C) |
                                PCRE2_LITERAL,
                            regex)
                   ? ERR_INVALID
                   : (*out = regex, ERR_OK);
    buf_init(&stripped, PATTERN_MAX + 1);
    buf_init(&r.out, OUT_MAX);
    if (r.ignore_space) {
        if (!without_space(pattern, &stripped))
            r.bad = stripped.failed != ERR_NOMEM;
        r.in = buf_get(&stripped);
    }
    rewrite_pattern(&r);
    enum err_code rc = r.out.failed == ERR_NOMEM || stripped.failed == ERR_NOMEM ? ERR_NOMEM
                       : r.bad || r.out.failed                                   ? ERR_INVALID
                                                                                 : ERR_OK;
    if (rc == ERR_OK)
        rc = compile_code(arena, buf_get(&r.out), options, regex);
    buf_done(&r.out);
    buf_done(&stripped);
    if (rc == ERR_OK)
        *out = regex;
    return rc;
}

bool regex_literal(const struct regex *regex)
{
    return regex->literal;
}

uint32_t regex_groups(const struct regex *regex)
{
    return regex->groups;
}

bool regex_next(struct feel_eval *ev, const struct regex *regex, struct str text, size_t at,
                struct regex_match *out)
{
    pcre2_general_context *memory = pcre2_general_context_create(arena_malloc, arena_no_free, ev->arena);
    pcre2_match_context *context = memory ? pcre2_match_context_create(memory) : NULL;
    pcre2_match_data *data = memory ? pcre2_match_data_create_from_pattern(regex->code, memory) : NULL;
    if (!context || !data) {
        ev_stop(ev, ERR_NOMEM, "base.no_memory");
        return false;
    }
    (void)pcre2_set_match_limit(context, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(context, 4096);
    const int rc = pcre2_match(regex->code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""), text.len, at,
                               PCRE2_NO_UTF_CHECK, data, context);
    if (rc < 0) {
        if (rc == PCRE2_ERROR_NOMEMORY)
            ev_stop(ev, ERR_NOMEM, "base.no_memory");
        else if (rc != PCRE2_ERROR_NOMATCH) /* it was given up: that was work */
            (void)ev_steps(ev, MATCH_LIMIT);
        return false;
    }
    const size_t *pairs = pcre2_get_ovector_pointer(data);
    *out = (struct regex_match) { pairs[0], pairs[1], pairs, pcre2_get_ovector_count(data) };
    return ev_steps(ev, 5 + (int64_t)(pairs[1] - at) / 16);
}
