/* schema.c - see schema.h */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "platform/pack/schema.h"

#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#define POINTER_MAX 120

struct checking {
    const json_t *root;
    schema_fault_fn fault; /* NULL: only count */
    void *arg;
    char pointer[POINTER_MAX];
    int faults, depth;
    struct err *err;
};

static enum err_code check(struct checking *c, const json_t *schema, const json_t *value);

static void tell(struct checking *c, const char *id, const char *what)
{
    c->faults++;
    if (c->fault)
        c->fault(c->arg, c->pointer, id, what);
}

/* Into a member or an item; the length of the pointer before. */
static size_t enter(struct checking *c, const char *name, size_t index)
{
    const size_t mark = strlen(c->pointer);
    if (name)
        (void)snprintf(c->pointer + mark, sizeof c->pointer - mark, "/%s", name);
    else
        (void)snprintf(c->pointer + mark, sizeof c->pointer - mark, "/%zu", index);
    return mark;
}

static enum err_code unknown(struct checking *c, const char *what)
{
    return err_set(c->err, ERR_INTERNAL, "pack.schema_unknown", ARG_TEXT("what", what), ARG_END);
}

static bool is_type(const char *type, const json_t *value)
{
    return !strcmp(type, "string")    ? json_is_string(value)
           : !strcmp(type, "integer") ? json_is_integer(value)
           : !strcmp(type, "number")  ? json_is_number(value)
           : !strcmp(type, "boolean") ? json_is_boolean(value)
           : !strcmp(type, "array")   ? json_is_array(value)
           : !strcmp(type, "object")  ? json_is_object(value)
                                      : json_is_null(value);
}

static void check_enum(struct checking *c, const json_t *list, const json_t *value)
{
    bool found = false;
    char said[200] = "";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        found = found || json_equal(one, value);
        if (json_is_string(one) && strlen(said) + json_string_length(one) + 3 < sizeof said)
            (void)snprintf(said + strlen(said), sizeof said - strlen(said), "%s%s", *said ? ", " : "",
                           json_string_value(one));
    }
    if (!found)
        tell(c, "pack.schema_enum", said);
}

static enum err_code check_pattern(struct checking *c, const char *pattern, const char *text)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, NULL);
    if (!compiled)
        return unknown(c, pattern);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (match && pcre2_match(compiled, (PCRE2_SPTR)text, strlen(text), 0, 0, match, NULL) < 0)
        tell(c, "pack.schema_pattern", pattern);
    pcre2_match_data_free(match);
    pcre2_code_free(compiled);
    return match ? ERR_OK : err_nomem(c->err);
}

static enum err_code check_object(struct checking *c, const json_t *schema, const json_t *value)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    const char *name;
    json_t *member;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *want = json_string_value(json_array_get(required, i));
        if (want && !json_object_get(value, want))
            tell(c, "pack.schema_required", want);
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        const json_t *of = json_object_get(properties, name);
        const size_t mark = enter(c, name, 0);
        if (of)
            rc = check(c, of, member);
        else if (json_is_false(json_object_get(schema, "additionalProperties")))
            tell(c, "pack.schema_member", name);
        c->pointer[mark] = 0;
        if (rc)
            break;
    }
    return rc;
}

static enum err_code check_array(struct checking *c, const json_t *schema, const json_t *value)
{
    const json_t *items = json_object_get(schema, "items");
    const json_t *least = json_object_get(schema, "minItems"), *most = json_object_get(schema, "maxItems");
    const json_int_t size = (json_int_t)json_array_size(value);
    char text[30];
    enum err_code rc = ERR_OK;
    if ((least && size < json_integer_value(least)) || (most && size > json_integer_value(most))) {
        (void)snprintf(text, sizeof text, "%lld..%lld", (long long)json_integer_value(least),
                       most ? (long long)json_integer_value(most) : 0LL);
        tell(c, "pack.schema_items", text);
    }
    for (size_t i = 0; items && !rc && i < json_array_size(value); i++) {
        const size_t mark = enter(c, NULL, i);
        rc = check(c, items, json_array_get(value, i));
        c->pointer[mark] = 0;
    }
    return rc;
}

/* Do the members that the alternative fixes say what it fixes them to? */
static bool constants_fit(const json_t *schema, const json_t *value)
{
    const char *name;
    json_t *of;
    bool any = false;
    json_object_foreach(json_object_get(schema, "properties"), name, of)
    {
        const json_t *fixed = json_object_get(of, "const");
        if (fixed && !json_equal(fixed, json_object_get(value, name)))
            return false;
        any = any || fixed;
    }
    return any;
}

static enum err_code check_one_of(struct checking *c, const json_t *list, const json_t *value)
{
    int fits = 0;
    const json_t *meant = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct checking quiet = { .root = c->root, .depth = c->depth, .err = c->err };
        const enum err_code rc = check(&quiet, one, value);
        if (rc)
            return rc;
        fits += !quiet.faults;
        if (constants_fit(one, value))
            meant = one;
    }
    if (fits == 1)
        return ERR_OK;
    if (!fits && meant)
        return check(c, meant, value);
    tell(c, fits ? "pack.schema_several" : "pack.schema_none", "");
    return ERR_OK;
}

static bool known(const char *keyword)
{
    static const char *const names[] = {
        "$schema",  "$id",      "$defs",    "$comment", "title",   "description", "default",
        "type",     "enum",     "const",    "pattern",  "minimum", "maximum",     "items",
        "minItems", "maxItems", "required", "oneOf",    "$ref",    "properties",  "additionalProperties"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(keyword, names[i]))
            return true;
    return false;
}

static enum err_code check_scalar(struct checking *c, const json_t *schema, const json_t *value)
{
    const json_t *fixed = json_object_get(schema, "const"), *list = json_object_get(schema, "enum");
    const json_t *least = json_object_get(schema, "minimum"), *most = json_object_get(schema, "maximum");
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));
    char text[80];
    if (fixed && !json_equal(fixed, value))
        tell(c, "pack.schema_enum", json_string_value(fixed) ? json_string_value(fixed) : "?");
    if (list)
        check_enum(c, list, value);
    if (json_is_number(value) && ((least && json_number_value(value) < json_number_value(least)) ||
                                  (most && json_number_value(value) > json_number_value(most)))) {
        (void)snprintf(text, sizeof text, "%g..%g", json_number_value(least), json_number_value(most));
        tell(c, "pack.schema_range", text);
    }
    return pattern && json_is_string(value) ? check_pattern(c, pattern, json_string_value(value)) : ERR_OK;
}

static enum err_code check_here(struct checking *c, const json_t *schema, const json_t *value)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    const char *ref = json_string_value(json_object_get(schema, "$ref")), *keyword;
    const json_t *one_of = json_object_get(schema, "oneOf");
    json_t *ignored;
    json_object_foreach((json_t *)(uintptr_t)schema, keyword, ignored)
    {
        if (!known(keyword))
            return unknown(c, keyword);
    }
    if (ref) {
        const json_t *to =
            strncmp(ref, "#/$defs/", 8) ? NULL : json_object_get(json_object_get(c->root, "$defs"), ref + 8);
        return to ? check(c, to, value) : unknown(c, ref);
    }
    if (type && !is_type(type, value)) {
        tell(c, "pack.schema_type", type);
        return ERR_OK;
    }
    enum err_code rc = check_scalar(c, schema, value);
    if (!rc && json_is_object(value))
        rc = check_object(c, schema, value);
    if (!rc && json_is_array(value))
        rc = check_array(c, schema, value);
    return rc || !one_of ? rc : check_one_of(c, one_of, value);
}

static enum err_code check(struct checking *c, const json_t *schema, const json_t *value)
{
    if (c->depth == SCHEMA_DEPTH_MAX)
        return err_set(c->err, ERR_LIMIT, "pack.schema_deep", ARG_INT("max", SCHEMA_DEPTH_MAX), ARG_END);
    c->depth++;
    const enum err_code rc = check_here(c, schema, value);
    c->depth--;
    return rc;
}

enum err_code schema_check(const json_t *schema, const json_t *value, schema_fault_fn fault, void *arg,
                           struct err *err)
{
    struct checking c = { .root = schema, .fault = fault, .arg = arg, .err = err };
    return check(&c, schema, value);
}
