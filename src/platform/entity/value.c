/* value.c - see value.h */
#include "platform/entity/value.h"

#include "base/clock.h"
#include "base/json.h"

#include <assert.h>
#include <math.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#define POINTER_MAX 160

/* One record being read. */
struct check {
    struct arena *arena;
    struct findings *findings;
    struct err *err;
    enum err_code rc; /* the first fault, or ERR_NOMEM */
    char pointer[POINTER_MAX];
};

static void report(struct check *c, struct err *one)
{
    (void)err_pointer(one, str_from(c->pointer));
    if (c->findings)
        findings_add(c->findings, one);
    if (!c->rc) {
        c->rc = one->code;
        if (c->err)
            *c->err = *one;
    }
}

static bool fault(struct check *c, const char *id)
{
    struct err one;
    (void)err_set(&one, ERR_INVALID, id, ARG_END);
    report(c, &one);
    return false;
}

static bool fault_text(struct check *c, const char *id, const char *name, struct str text)
{
    struct err one;
    (void)err_set(&one, ERR_INVALID, id, ARG_STR(name, text), ARG_END);
    report(c, &one);
    return false;
}

static bool fault_number(struct check *c, const char *id, const char *name, int64_t number)
{
    struct err one;
    (void)err_set(&one, ERR_INVALID, id, ARG_INT(name, number), ARG_END);
    report(c, &one);
    return false;
}

static bool no_memory(struct check *c)
{
    if (c->rc != ERR_NOMEM)
        c->rc = err_nomem(c->err);
    return false;
}

static size_t enter(struct check *c, struct str name)
{
    const size_t len = strlen(c->pointer);
    snprintf(c->pointer + len, sizeof c->pointer - len, "/%.*s", STR_ARG(name));
    return len;
}

static size_t enter_item(struct check *c, size_t i)
{
    char number[24];
    const int len = snprintf(number, sizeof number, "%zu", i);
    return enter(c, (struct str) { number, (size_t)len });
}

/* ---- text ---- */

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    return true;
}

/* A copy in the arena, in NFC. */
static bool keep_nfc(struct check *c, struct str text, struct str *out)
{
    if (is_ascii(text)) {
        *out = arena_str(c->arena, text);
        return out->ptr || no_memory(c);
    }
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&status);
    const int32_t size = (int32_t)text.len * 3 + 8;
    UChar *wide = mem_alloc((size_t)size * 2, sizeof *wide);
    if (!wide)
        return no_memory(c);
    UChar *done = wide + size;
    int32_t len = 0, bytes = 0;
    u_strFromUTF8(wide, size, &len, text.ptr, (int32_t)text.len, &status);
    bool same = U_SUCCESS(status) && unorm2_isNormalized(nfc, wide, len, &status);
    if (same) {
        *out = arena_str(c->arena, text);
    } else {
        len = unorm2_normalize(nfc, wide, len, done, size, &status);
        char *utf8 = arena_alloc(c->arena, (size_t)len * 3 + 1, 1);
        if (utf8)
            u_strToUTF8(utf8, len * 3 + 1, &bytes, done, len, &status);
        *out = (struct str) { utf8, (size_t)bytes };
    }
    mem_free(wide);
    if (U_FAILURE(status))
        return fault(c, "entity.text");
    return out->ptr || no_memory(c);
}

/* No control characters but tab and line breaks. */
static bool text_clean(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char byte = (unsigned char)text.ptr[i];
        if ((byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r') || byte == 0x7f)
            return false;
    }
    return true;
}

/* ---- formats ---- */

static bool digits(struct str text, size_t from, size_t count, int *out)
{
    int number = 0;
    if (from + count > text.len)
        return false;
    for (size_t i = from; i < from + count; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = number * 10 + (text.ptr[i] - '0');
    }
    *out = number;
    return true;
}

static bool date_ok(struct str text)
{
    int year, month, day, month_back, day_back;
    int64_t year_back;
    if (text.len != 10 || text.ptr[4] != '-' || text.ptr[7] != '-' || !digits(text, 0, 4, &year) ||
        !digits(text, 5, 2, &month) || !digits(text, 8, 2, &day) || month < 1 || month > 12 || day < 1 ||
        day > 31)
        return false;
    civil_from_days(days_from_civil(year, month, day), &year_back, &month_back, &day_back);
    return year_back == year && month_back == month && day_back == day;
}

static bool time_ok(struct str text)
{
    int hour, minute, second = 0;
    return (text.len == 5 || text.len == 8) && text.ptr[2] == ':' && digits(text, 0, 2, &hour) && hour < 24 &&
           digits(text, 3, 2, &minute) && minute < 60 &&
           (text.len == 5 || (text.ptr[5] == ':' && digits(text, 6, 2, &second) && second < 60));
}

static bool email_ok(struct str text)
{
    const ptrdiff_t at = str_find(text, STR("@"));
    if (at <= 0 || (size_t)at + 2 > text.len ||
        str_find(str_slice(text, (size_t)at + 1, text.len), STR("@")) >= 0)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (strchr(" \t\r\n<>\",;", text.ptr[i]))
            return false;
    return text.ptr[at + 1] != '.' && text.ptr[text.len - 1] != '.';
}

static bool uri_ok(struct str text)
{
    size_t at = 0;
    while (at < text.len && ((text.ptr[at] | 32) >= 'a' && (text.ptr[at] | 32) <= 'z'))
        at++;
    if (at < 2 || at + 1 >= text.len || text.ptr[at] != ':')
        return false;
    for (size_t i = at; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || strchr("<>\"{}|\\^`", text.ptr[i]))
            return false;
    return true;
}

static bool uuid_ok(struct str text)
{
    if (text.len != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        const char c = text.ptr[i];
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? c != '-' : !((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f')))
            return false;
    }
    return true;
}

/* P[nY][nM][nW][nD][T[nH][nM][nS]], at least one part. */
static bool duration_ok(struct str text)
{
    const char *units = "YMWD";
    size_t at = 1;
    bool any = false, timed = false;
    if (text.len < 3 || text.ptr[0] != 'P')
        return false;
    while (at < text.len) {
        if (text.ptr[at] == 'T' && !timed) {
            timed = true;
            any = false;
            units = "HMS";
            at++;
            continue;
        }
        const size_t from = at;
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            at++;
        const char *unit = at < text.len && text.ptr[at] ? strchr(units, text.ptr[at]) : NULL;
        if (at == from || !unit)
            return false;
        units = unit + 1;
        any = true;
        at++;
    }
    return any;
}

static bool (*const FORMATS[FORMAT__COUNT])(struct str text) = {
    [FORMAT_DATE] = date_ok, [FORMAT_TIME] = time_ok, [FORMAT_EMAIL] = email_ok,
    [FORMAT_URI] = uri_ok,   [FORMAT_UUID] = uuid_ok, [FORMAT_DURATION] = duration_ok,
};
static const char *const FORMAT_HINTS[FORMAT__COUNT] = {
    [FORMAT_DATE] = "2026-11-21",     [FORMAT_INSTANT] = "2026-11-21T14:05:00+08:00",
    [FORMAT_TIME] = "14:05",          [FORMAT_EMAIL] = "name@example.org",
    [FORMAT_URI] = "https://...",     [FORMAT_UUID] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    [FORMAT_DURATION] = "P1M, PT30M",
};

/* ---- shapes ---- */

static bool check_codes(struct check *c, const struct shape *shape, struct str text, int64_t number)
{
    if (!shape->codes)
        return true;
    for (int i = 0; i < shape->codes_count; i++)
        if (shape->type == SHAPE_INTEGER ? shape->codes[i].number == number
                                         : str_eq(shape->codes[i].code, text))
            return true;
    char shown[24];
    if (shape->type == SHAPE_INTEGER)
        text = (struct str) { shown, (size_t)snprintf(shown, sizeof shown, "%lld", (long long)number) };
    return fault_text(c, "entity.no_code", "value", text);
}

static bool check_text(struct check *c, const struct shape *shape, struct str text)
{
    const size_t len = utf8_len(text);
    if (len > (size_t)shape->max_length)
        return fault_number(c, "entity.too_long", "max", shape->max_length);
    if (len < (size_t)shape->min_length)
        return fault_number(c, "entity.too_short", "min", shape->min_length);
    if (!text_clean(text))
        return fault(c, "entity.control");
    if (FORMATS[shape->format] && !FORMATS[shape->format](text))
        return fault_text(c, "entity.format", "want", str_from(FORMAT_HINTS[shape->format]));
    if (shape->pattern) {
        pcre2_match_data *match = pcre2_match_data_create(1, NULL);
        if (!match)
            return no_memory(c);
        const int rc =
            pcre2_match(shape->pattern, (PCRE2_SPTR)text.ptr, text.len, 0, PCRE2_NO_UTF_CHECK, match, NULL);
        pcre2_match_data_free(match);
        if (rc < 0)
            return fault_text(c, "entity.pattern", "want", shape->pattern_text);
    }
    return check_codes(c, shape, text, 0);
}

static bool check_range(struct check *c, const struct shape *shape, double number)
{
    if (shape->has_min && number < shape->min)
        return fault_number(c, "entity.least", "min", (int64_t)shape->min);
    if (shape->has_max && number > shape->max)
        return fault_number(c, "entity.most", "max", (int64_t)shape->max);
    return true;
}

static const char *const WANTS[SHAPE__COUNT] = {
    "text", "integer", "number", "true / false", "[...]", "{...}"
};

static bool wrong_type(struct check *c, const struct shape *shape)
{
    assert(shape->type < SHAPE__COUNT);
    return fault_text(c, "entity.wrong_type", "want", str_from(WANTS[shape->type]));
}

static bool check_shape(struct check *c, const struct shape *shape, const json_t *json);

static bool check_array(struct check *c, const struct shape *shape, const json_t *json)
{
    const size_t count = json_array_size(json);
    if (count > (size_t)shape->max_items)
        return fault_number(c, "entity.too_many", "max", shape->max_items);
    if (count < (size_t)shape->min_items)
        return fault_number(c, "entity.too_few", "min", shape->min_items);
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(json, i);
        const size_t mark = enter_item(c, i);
        if (shape->items)
            ok = check_shape(c, shape->items, item) && ok;
        for (size_t n = 0; shape->unique_items && n < i; n++)
            if (json_equal(json_array_get(json, n), item)) {
                ok = fault(c, "entity.repeated");
                break;
            }
        c->pointer[mark] = 0;
    }
    return ok;
}

static bool check_object(struct check *c, const struct shape *shape, const json_t *json)
{
    bool ok = true;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        const struct shape_member *member = NULL;
        for (int i = 0; i < shape->members_count && !member; i++)
            if (str_eq(shape->members[i].name, str_from(name)))
                member = &shape->members[i];
        const size_t mark = enter(c, str_from(name));
        if (!member && !shape->open)
            ok = fault(c, "entity.unknown_field");
        else if (member && !json_is_null(value))
            ok = check_shape(c, &member->shape, value) && ok;
        c->pointer[mark] = 0;
    }
    for (int i = 0; i < shape->members_count; i++) {
        const json_t *member = json_object_get(json, shape->members[i].name.ptr);
        const size_t mark = enter(c, shape->members[i].name);
        if (shape->members[i].required && (!member || json_is_null(member)))
            ok = fault(c, "entity.required");
        c->pointer[mark] = 0;
    }
    return ok;
}

static bool check_shape(struct check *c, const struct shape *shape, const json_t *json)
{
    struct str text;
    int64_t ms;
    switch (shape->type) {
    case SHAPE_STRING:
        text = json_to_str(json);
        if (!json_is_string(json))
            return wrong_type(c, shape);
        if (shape->format == FORMAT_INSTANT)
            return !clock_parse(text, &ms, NULL) ||
                   fault_text(c, "entity.format", "want", str_from(FORMAT_HINTS[FORMAT_INSTANT]));
        if (shape->ref.len)
            return (str_i64(text, &ms) && ms > 0) || fault(c, "entity.reference");
        return check_text(c, shape, text);
    case SHAPE_INTEGER:
        if (!json_is_integer(json))
            return wrong_type(c, shape);
        return check_range(c, shape, (double)json_integer_value(json)) &&
               check_codes(c, shape, (struct str) { 0 }, json_integer_value(json));
    case SHAPE_NUMBER:
        if (!json_is_number(json) || !isfinite(json_number_value(json)))
            return wrong_type(c, shape);
        return check_range(c, shape, json_number_value(json));
    case SHAPE_BOOLEAN:
        return json_is_boolean(json) || wrong_type(c, shape);
    case SHAPE_ARRAY:
        return json_is_array(json) ? check_array(c, shape, json) : wrong_type(c, shape);
    case SHAPE_OBJECT:
    case SHAPE__COUNT:
        break;
    }
    return json_is_object(json) ? check_object(c, shape, json) : wrong_type(c, shape);
}

/* ---- fields ---- */

static void keep_value(struct check *c, const struct entity_field *field, const json_t *json,
                       struct value *out)
{
    const struct str text = json_to_str(json);
    switch (field->kind) {
    case VALUE_TEXT:
        (void)keep_nfc(c, text, &out->text);
        return;
    case VALUE_DATE:
        out->text = arena_str(c->arena, text);
        if (!out->text.ptr)
            (void)no_memory(c);
        return;
    case VALUE_INTEGER:
        out->i64 = json_integer_value(json);
        return;
    case VALUE_NUMBER:
        out->f64 = json_number_value(json);
        return;
    case VALUE_BOOLEAN:
        out->i64 = json_is_true(json);
        return;
    case VALUE_INSTANT:
        if (clock_parse(text, &out->i64, NULL)) /* it was checked */
            out->null = true;
        return;
    case VALUE_REF:
        (void)str_i64(text, &out->i64);
        return;
    case VALUE_JSON:
    case VALUE_KIND__COUNT:
        break;
    }
    char *dump = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!dump) {
        (void)no_memory(c);
        return;
    }
    if (strlen(dump) > TYPE_JSON_LIMIT)
        (void)fault_number(c, "entity.too_large", "max", TYPE_JSON_LIMIT);
    else {
        out->text = arena_str(c->arena, str_from(dump));
        if (!out->text.ptr)
            (void)no_memory(c);
    }
    free(dump); /* jansson's heap */
}

static void read_member(struct check *c, const struct entity_type *type, const char *name, const json_t *json,
                        unsigned mode, struct value *values)
{
    const int i = type_field(type, str_from(name));
    if (i < 0) {
        (void)fault(c, "entity.unknown_field");
        return;
    }
    const struct entity_field *field = &type->fields[i];
    if (field->standard || (field->read_only && !(mode & FIELDS_ENGINE))) {
        (void)fault(c, "entity.read_only");
        return;
    }
    struct value *value = &values[i];
    value->given = true;
    value->null = json_is_null(json) || (json_is_string(json) && !json_string_length(json));
    if (!value->null && check_shape(c, &field->shape, json))
        keep_value(c, field, json, value);
}

enum err_code fields_required(const struct entity_type *type, const struct value *values,
                              struct findings *findings, struct err *err)
{
    struct check c = { .findings = findings, .err = err };
    for (int i = COLUMN_OWN; i < type->fields_count; i++)
        if (type->fields[i].required && values[i].null) {
            const size_t mark = enter(&c, type->fields[i].name);
            (void)fault(&c, "entity.required");
            c.pointer[mark] = 0;
        }
    return c.rc;
}

enum err_code fields_read(const struct entity_type *type, const json_t *object, unsigned mode,
                          struct arena *arena, struct findings *findings, struct value *values,
                          struct err *err)
{
    struct check c = { .arena = arena, .findings = findings, .err = err };
    const char *name;
    json_t *json;
    memset(values, 0, (size_t)type->fields_count * sizeof *values);
    if (!json_is_object(object)) {
        (void)fault_text(&c, "entity.wrong_type", "want", STR("{...}"));
        return c.rc;
    }
    json_object_foreach((json_t *)(uintptr_t)object, name, json)
    {
        const size_t mark = enter(&c, str_from(name));
        read_member(&c, type, name, json, mode, values);
        c.pointer[mark] = 0;
    }
    if (!(mode & FIELDS_CREATE))
        return c.rc;
    for (int i = COLUMN_OWN; i < type->fields_count; i++) {
        struct value *value = &values[i];
        const struct entity_field *field = &type->fields[i];
        if (!value->given) {
            value->given = value->null = true;
            if (field->fallback) {
                value->null = false;
                keep_value(&c, field, field->fallback, value);
            }
        }
    }
    return c.rc;
}

/* ---- back to JSON ---- */

void value_json(const struct entity_field *field, const struct value *value, struct buf *out)
{
    char text[CLOCK_TEXT_SIZE];
    if (value->null) {
        buf_text(out, "null");
        return;
    }
    switch (field->kind) {
    case VALUE_TEXT:
    case VALUE_DATE:
        buf_json(out, value->text);
        return;
    case VALUE_INTEGER:
        buf_i64(out, value->i64);
        return;
    case VALUE_NUMBER:
        buf_printf(out, "%.17g", value->f64);
        return;
    case VALUE_BOOLEAN:
        buf_text(out, value->i64 ? "true" : "false");
        return;
    case VALUE_INSTANT:
        buf_char(out, '"');
        buf_add(out, text, clock_text(value->i64, CLOCK_SHOWN_MINUTES, text));
        buf_char(out, '"');
        return;
    case VALUE_REF:
        buf_char(out, '"');
        buf_i64(out, value->i64);
        buf_char(out, '"');
        return;
    case VALUE_JSON:
    case VALUE_KIND__COUNT:
        break;
    }
    buf_str(out, value->text);
}

void value_mask(enum field_mask mask, struct str plain, struct buf *out)
{
    const size_t len = utf8_len(plain);
    /* characters left at both ends */
    size_t head = 0, tail = 0;
    if (mask == MASK_PHONE && len >= 7)
        head = 3, tail = len >= 11 ? 4 : 2;
    else if (mask == MASK_ID && len >= 8)
        head = len >= 15 ? 6 : 2, tail = 2;
    else if (mask == MASK_NAME && len >= 1)
        head = 1, tail = len >= 3 && len <= 4 ? 1 : 0;
    size_t at = 0, n = 0;
    while (at < plain.len) {
        const size_t from = at;
        if (utf8_next(plain, &at) < 0)
            break;
        if (n < head || n >= len - tail)
            buf_add(out, plain.ptr + from, at - from);
        else if (mask != MASK_ALL)
            buf_char(out, '*');
        n++;
    }
    if (mask == MASK_ALL && len)
        buf_text(out, "******");
}

bool value_same(const struct entity_field *field, const struct value *a, const struct value *b)
{
    if (a->null || b->null)
        return a->null == b->null;
    if (field->kind == VALUE_NUMBER)
        return a->f64 == b->f64;
    if (field->kind == VALUE_TEXT || field->kind == VALUE_DATE || field->kind == VALUE_JSON)
        return str_eq(a->text, b->text);
    return a->i64 == b->i64;
}

/* ---- cells of tables ---- */

static enum err_code cell_fault(struct err *err, const char *want)
{
    return err_set(err, ERR_INVALID, "entity.wrong_type", ARG_TEXT("want", want), ARG_END);
}

static bool cell_flag(struct str cell, bool *out)
{
    static const char *const yes[] = { "true", "1", "yes", "y", "\xe6\x98\xaf" };
    static const char *const no[] = { "false", "0", "no", "n", "\xe5\x90\xa6" };
    for (int i = 0; i < 5; i++) {
        if (str_eq_nocase(cell, str_from(yes[i])))
            return *out = true, true;
        if (str_eq_nocase(cell, str_from(no[i])))
            return *out = false, true;
    }
    return false;
}

/* A code may be written as its title in either language. */
static struct str cell_code(const struct entity_field *field, struct str cell)
{
    for (int i = 0; i < field->shape.codes_count; i++)
        if (str_eq(field->shape.codes[i].code, cell))
            return cell;
    for (int i = 0; i < field->shape.codes_count; i++)
        for (int lang = 0; lang < LANG__COUNT; lang++)
            if (str_eq(field->shape.codes[i].title[lang], cell))
                return field->shape.codes[i].code;
    return cell;
}

enum err_code cell_json(const struct entity_field *field, struct str cell, json_t **out, struct err *err)
{
    json_t *json = NULL;
    int64_t number;
    bool flag;
    cell = str_trim(cell);
    if (!cell.len) {
        *out = json_null();
        return ERR_OK;
    }
    switch (field->shape.type) {
    case SHAPE_STRING:
        cell = cell_code(field, cell);
        json = json_stringn(cell.ptr, cell.len);
        break;
    case SHAPE_INTEGER:
        cell = cell_code(field, cell);
        if (!str_i64(cell, &number))
            return cell_fault(err, "integer");
        json = json_integer(number);
        break;
    case SHAPE_NUMBER: {
        char text[64], *end = text;
        if (cell.len >= sizeof text)
            return cell_fault(err, "number");
        memcpy(text, cell.ptr, cell.len);
        text[cell.len] = 0;
        const double real = strtod(text, &end);
        if (*end || !isfinite(real) || strpbrk(text, "xXnN"))
            return cell_fault(err, "number");
        json = json_real(real);
        break;
    }
    case SHAPE_BOOLEAN:
        if (!cell_flag(cell, &flag))
            return cell_fault(err, "true / false");
        json = json_boolean(flag);
        break;
    case SHAPE_ARRAY: /* texts may be written a;b;c */
        if (cell.ptr[0] != '[' && field->shape.items && field->shape.items->type == SHAPE_STRING) {
            struct str part;
            json = json_array();
            while (json && cell.len && str_cut(&cell, ';', &part)) {
                part = str_trim(part);
                if (part.len)
                    json_array_append_new(json, json_stringn(part.ptr, part.len));
            }
            break;
        }
        json = json_loadb(cell.ptr, cell.len, JSON_REJECT_DUPLICATES, NULL);
        if (!json)
            return cell_fault(err, "JSON");
        break;
    case SHAPE_OBJECT:
    case SHAPE__COUNT:
        json = json_loadb(cell.ptr, cell.len, JSON_REJECT_DUPLICATES, NULL);
        if (!json)
            return cell_fault(err, "JSON");
        break;
    }
    if (!json)
        return utf8_valid(cell) ? err_nomem(err) : err_set(err, ERR_INVALID, "entity.text", ARG_END);
    *out = json;
    return ERR_OK;
}
