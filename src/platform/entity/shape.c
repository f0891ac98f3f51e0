/* shape.c - see reading.h: what a value must look like, from the keywords of JSON Schema that we know. */
#include "platform/entity/reading.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* ---- small helpers ---- */

void reading_fault(struct reading *r, const char *id, struct str detail)
{
    r->faults++;
    pack_finding(r->findings, r->type->from, r->type->file,
                 json_pointer_offset(r->type->file->text, str_from(r->pointer)), ERR_INVALID, id, detail);
}

void *reading_take(struct reading *r, size_t count, size_t size)
{
    void *block = arena_alloc(r->arena, count ? count : 1, size);
    if (!block && !r->rc)
        r->rc = err_nomem(r->err);
    return block;
}

struct str reading_keep(struct reading *r, const char *text)
{
    const struct str kept = arena_str(r->arena, str_from(text ? text : ""));
    if (!kept.ptr && !r->rc)
        r->rc = err_nomem(r->err);
    return kept;
}

/* Enters a member; reading_leave() with what it returns goes back. */
size_t reading_enter(struct reading *r, const char *name)
{
    const size_t len = strlen(r->pointer);
    snprintf(r->pointer + len, sizeof r->pointer - len, "/%s", name);
    return len;
}

size_t reading_enter_item(struct reading *r, size_t i)
{
    char name[24];
    snprintf(name, sizeof name, "%zu", i);
    return reading_enter(r, name);
}

void reading_leave(struct reading *r, size_t mark)
{
    r->pointer[mark] = 0;
}

void reading_titles(struct reading *r, json_t *json, struct str out[LANG__COUNT])
{
    if (!json_is_object(json) || json_object_size(json) != LANG__COUNT) {
        reading_fault(r, "type.titles", STR(""));
        return;
    }
    for (int lang = 0; lang < LANG__COUNT; lang++) {
        const char *text = json_string_value(json_object_get(json, lang_name((enum lang)lang)));
        if (!text || !*text)
            reading_fault(r, "type.titles", str_from(lang_name((enum lang)lang)));
        out[lang] = reading_keep(r, text);
    }
}

/* ---- the shape of a value ---- */

static const char *const TYPE_NAMES[SHAPE__COUNT] = { "string",  "integer", "number",
                                                      "boolean", "array",   "object" };
static const char *const FORMAT_NAMES[FORMAT__COUNT] = { "",      "date", "date-time", "time",
                                                         "email", "uri",  "uuid",      "duration" };

/* The place of a text in a list of names, or -1. */
int reading_index(const char *const *names, int count, const char *name)
{
    for (int i = 0; name && i < count; i++)
        if (*names[i] && !strcmp(names[i], name))
            return i;
    return -1;
}

static int reading_count(struct reading *r, json_t *json, const char *name, int fallback, int max)
{
    json_t *value = json_object_get(json, name);
    if (!value)
        return fallback;
    const size_t mark = reading_enter(r, name);
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > max) {
        char range[40];
        snprintf(range, sizeof range, "0 - %d", max);
        reading_fault(r, "type.range", str_from(range));
    }
    reading_leave(r, mark);
    return json_is_integer(value) && number >= 0 && number <= max ? (int)number : fallback;
}

bool reading_flag(struct reading *r, json_t *json, const char *name, bool fallback)
{
    json_t *value = json_object_get(json, name);
    if (!value)
        return fallback;
    if (!json_is_boolean(value)) {
        const size_t mark = reading_enter(r, name);
        reading_fault(r, "type.expected", STR("true / false"));
        reading_leave(r, mark);
    }
    return json_is_true(value);
}

static void read_bound(struct reading *r, json_t *json, const char *name, bool *has, double *out)
{
    json_t *value = json_object_get(json, name);
    if (!value)
        return;
    const size_t mark = reading_enter(r, name);
    if (!json_is_number(value))
        reading_fault(r, "type.expected", STR("number"));
    reading_leave(r, mark);
    *has = json_is_number(value);
    *out = json_number_value(value);
}

static void read_pattern(struct reading *r, json_t *json, struct shape *shape)
{
    json_t *value = json_object_get(json, "pattern");
    if (!value)
        return;
    const size_t mark = reading_enter(r, "pattern");
    shape->pattern_text = reading_keep(r, json_string_value(value));
    int code = 0;
    PCRE2_SIZE at = 0;
    struct pattern *pattern = reading_take(r, 1, sizeof *pattern);
    if (pattern && !r->rc) {
        pattern->code = pcre2_compile((PCRE2_SPTR)shape->pattern_text.ptr, shape->pattern_text.len,
                                      PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &code, &at, NULL);
        if (!pattern->code) {
            PCRE2_UCHAR message[120] = "";
            pcre2_get_error_message(code, message, sizeof message);
            reading_fault(r, "type.pattern", str_from((const char *)message));
        } else {
            pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
            pattern->next = r->types->patterns;
            r->types->patterns = pattern;
            shape->pattern = pattern->code;
        }
    }
    reading_leave(r, mark);
}

static void read_enum(struct reading *r, json_t *json, struct shape *shape)
{
    json_t *list = json_object_get(json, "enum"), *labels = json_object_get(json, "x-labels"), *code;
    size_t i;
    if (!list) {
        if (labels)
            reading_fault(r, "type.labels_without_enum", STR(""));
        return;
    }
    const size_t mark = reading_enter(r, "enum");
    if (!json_array_size(list) || (shape->type != SHAPE_STRING && shape->type != SHAPE_INTEGER))
        reading_fault(r, "type.expected", STR("[texts] / [integers]"));
    shape->codes = reading_take(r, json_array_size(list), sizeof *shape->codes);
    json_array_foreach(list, i, code)
    {
        const size_t item = reading_enter_item(r, i);
        struct field_code *to = shape->codes ? &shape->codes[shape->codes_count] : NULL;
        char number[24];
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(code));
        if (shape->type == SHAPE_INTEGER ? !json_is_integer(code) : !json_is_string(code))
            reading_fault(r, "type.expected", str_from(TYPE_NAMES[shape->type]));
        else if (to) {
            shape->codes_count++;
            to->code = reading_keep(r, json_is_string(code) ? json_string_value(code) : number);
            to->number = json_integer_value(code);
            json_t *title = json_object_get(labels, to->code.ptr ? to->code.ptr : "");
            if (labels && !title)
                reading_fault(r, "type.label_missing", to->code);
            else if (title)
                reading_titles(r, title, to->title);
            else
                to->title[LANG_ZH] = to->title[LANG_EN] = to->code;
        }
        reading_leave(r, item);
    }
    reading_leave(r, mark);
    const char *key;
    json_object_foreach(labels, key, code)
    {
        bool known = false;
        for (int n = 0; shape->codes && n < shape->codes_count; n++)
            known = known || str_eq(shape->codes[n].code, str_from(key));
        const size_t at = reading_enter(r, "x-labels");
        if (!known)
            reading_fault(r, "type.label_unknown", str_from(key));
        reading_leave(r, at);
    }
}

static void read_members(struct reading *r, json_t *json, struct shape *shape, int depth)
{
    json_t *members = json_object_get(json, "properties"), *required = json_object_get(json, "required"),
           *value;
    const char *name;
    size_t i;
    shape->open = reading_flag(r, json, "additionalProperties", !members);
    shape->members = reading_take(r, json_object_size(members), sizeof *shape->members);
    size_t mark = reading_enter(r, "properties");
    json_object_foreach(members, name, value)
    {
        const size_t item = reading_enter(r, name);
        struct shape_member *member = shape->members ? &shape->members[shape->members_count++] : NULL;
        if (member) {
            member->name = reading_keep(r, name);
            reading_shape(r, value, &member->shape, depth + 1);
        }
        reading_leave(r, item);
    }
    reading_leave(r, mark);
    if (!shape->members)
        return; /* r->rc tells */
    mark = reading_enter(r, "required");
    json_array_foreach(required, i, value)
    {
        bool known = false;
        for (int n = 0; n < shape->members_count; n++)
            if (str_eq(shape->members[n].name, str_from(json_string_value(value))))
                known = shape->members[n].required = true;
        if (!known)
            reading_fault(r, "type.no_field", str_from(json_string_value(value)));
    }
    reading_leave(r, mark);
}

static const struct {
    const char *name;
    unsigned types; /* bits of the shape types it belongs to */
    bool inside;    /* also inside arrays and objects */
} FIELD_KEYWORDS[] = {
#define T(x) (1u << SHAPE_##x)
#define T_ALL 63u
    { "type", T_ALL, true },
    { "format", T(STRING), true },
    { "maxLength", T(STRING), true },
    { "minLength", T(STRING), true },
    { "pattern", T(STRING), true },
    { "minimum", T(INTEGER) | T(NUMBER), true },
    { "maximum", T(INTEGER) | T(NUMBER), true },
    { "enum", T(STRING) | T(INTEGER), true },
    { "x-labels", T(STRING) | T(INTEGER), true },
    { "x-codes", T(STRING), true },
    { "x-ref", T(STRING), true },
    { "items", T(ARRAY), true },
    { "minItems", T(ARRAY), true },
    { "maxItems", T(ARRAY), true },
    { "uniqueItems", T(ARRAY), true },
    { "properties", T(OBJECT), true },
    { "required", T(OBJECT), true },
    { "additionalProperties", T(OBJECT), true },
    { "x-title", T_ALL, true },
    { "x-help", T_ALL, true },
    { "x-unit", T_ALL, true },
    { "x-widget", T_ALL, true },
    { "description", T_ALL, true },
    { "$comment", T_ALL, true },
    { "default", T_ALL, false },
    { "readOnly", T_ALL, false },
    { "x-sensitive", T(STRING), false },
    { "x-unique", T(STRING) | T(INTEGER), false },
    { "x-index", T_ALL & ~(T(ARRAY) | T(OBJECT)), false },
    { "x-money", T(INTEGER), false },
    { "x-hidden", T_ALL, false },
};

static void check_keywords(struct reading *r, json_t *json, enum shape_type type, bool inside)
{
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        bool known = false;
        for (size_t i = 0; i < sizeof FIELD_KEYWORDS / sizeof *FIELD_KEYWORDS; i++)
            known =
                known || (!strcmp(FIELD_KEYWORDS[i].name, name) && FIELD_KEYWORDS[i].types & (1u << type) &&
                          (!inside || FIELD_KEYWORDS[i].inside));
        const size_t mark = reading_enter(r, name);
        if (!known)
            reading_fault(r, "type.unknown_keyword", str_from(name));
        reading_leave(r, mark);
    }
}

void reading_shape(struct reading *r, json_t *json, struct shape *shape, int depth)
{
    const char *name = json_is_object(json) ? json_string_value(json_object_get(json, "type")) : NULL;
    const int type = reading_index(TYPE_NAMES, SHAPE__COUNT, name);
    if (type < 0) {
        reading_fault(r, "type.expected",
                      STR("\"type\": string / integer / number / boolean / array / object"));
        return;
    }
    if (depth > TYPE_DEPTH_MAX) {
        reading_fault(r, "type.deep", STR(""));
        return;
    }
    check_keywords(r, json, (enum shape_type)type, depth > 0);
    shape->type = (enum shape_type)type;
    json_t *format = json_object_get(json, "format");
    const int known = reading_index(FORMAT_NAMES, FORMAT__COUNT, json_string_value(format));
    if (format && known < 0) {
        const size_t mark = reading_enter(r, "format");
        reading_fault(r, "type.expected", STR("date / date-time / time / email / uri / uuid / duration"));
        reading_leave(r, mark);
    }
    shape->format = known > 0 ? (enum shape_format)known : FORMAT_NONE;
    shape->max_length = reading_count(r, json, "maxLength", TYPE_TEXT_DEFAULT, TYPE_TEXT_LIMIT);
    shape->min_length = reading_count(r, json, "minLength", 0, TYPE_TEXT_LIMIT);
    shape->max_items = reading_count(r, json, "maxItems", TYPE_ITEMS_DEFAULT, TYPE_ITEMS_LIMIT);
    shape->min_items = reading_count(r, json, "minItems", 0, TYPE_ITEMS_LIMIT);
    shape->unique_items = reading_flag(r, json, "uniqueItems", false);
    read_bound(r, json, "minimum", &shape->has_min, &shape->min);
    read_bound(r, json, "maximum", &shape->has_max, &shape->max);
    read_pattern(r, json, shape);
    read_enum(r, json, shape);
    shape->dictionary = reading_keep(r, json_string_value(json_object_get(json, "x-codes")));
    shape->ref = reading_keep(r, json_string_value(json_object_get(json, "x-ref")));
    if (shape->type == SHAPE_OBJECT)
        read_members(r, json, shape, depth);
    json_t *items = json_object_get(json, "items");
    if (items && shape->type == SHAPE_ARRAY && (shape->items = reading_take(r, 1, sizeof *shape->items))) {
        const size_t mark = reading_enter(r, "items");
        reading_shape(r, items, shape->items, depth + 1);
        reading_leave(r, mark);
    }
}

void reading_patterns_free(struct types *types)
{
    for (struct pattern *pattern = types->patterns; pattern; pattern = pattern->next)
        pcre2_code_free(pattern->code);
}
