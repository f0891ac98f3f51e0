/* limit.c - what a field takes, as JSON, and whether one limit is wider than another; see migrate.h. */
#include "platform/entity/migrate.h"

static json_t *shape_limit(const struct shape *shape)
{
    json_t *out = json_object();
    json_object_set_new(out, "type", json_integer(shape->type));
    if (shape->format)
        json_object_set_new(out, "format", json_integer(shape->format));
    if (shape->type == SHAPE_STRING && !shape->codes) {
        json_object_set_new(out, "longest", json_integer(shape->max_length));
        json_object_set_new(out, "shortest", json_integer(shape->min_length));
    }
    if (shape->type == SHAPE_ARRAY) {
        json_object_set_new(out, "longest", json_integer(shape->max_items));
        json_object_set_new(out, "shortest", json_integer(shape->min_items));
        if (shape->unique_items)
            json_object_set_new(out, "distinct", json_true());
    }
    if (shape->has_max)
        json_object_set_new(out, "most", json_real(shape->max));
    if (shape->has_min)
        json_object_set_new(out, "least", json_real(shape->min));
    if (shape->pattern_text.len)
        json_object_set_new(out, "pattern", json_stringn(shape->pattern_text.ptr, shape->pattern_text.len));
    if (shape->dictionary.len)
        json_object_set_new(out, "dictionary", json_stringn(shape->dictionary.ptr, shape->dictionary.len));
    if (shape->ref.len)
        json_object_set_new(out, "ref", json_stringn(shape->ref.ptr, shape->ref.len));
    json_t *codes = shape->codes ? json_object() : NULL;
    for (int i = 0; codes && i < shape->codes_count; i++)
        json_object_set_new(codes, shape->codes[i].code.ptr, json_true());
    if (codes)
        json_object_set_new(out, "codes", codes);
    if (shape->items)
        json_object_set_new(out, "items", shape_limit(shape->items));
    json_t *members = shape->type == SHAPE_OBJECT ? json_object() : NULL;
    for (int i = 0; i < shape->members_count; i++) {
        json_t *one = shape_limit(&shape->members[i].shape);
        if (shape->members[i].required)
            json_object_set_new(one, "required", json_true());
        json_object_set_new(members, shape->members[i].name.ptr, one);
    }
    if (members) {
        json_object_set_new(out, "members", members);
        if (!shape->open)
            json_object_set_new(out, "closed", json_true());
    }
    return out;
}

struct str field_limit(const struct entity_field *field, struct arena *arena)
{
    json_t *json = shape_limit(&field->shape);
    if (field->required)
        json_object_set_new(json, "required", json_true());
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    const struct str out = text ? arena_str(arena, str_from(text)) : (struct str) { 0 };
    free(text);
    json_decref(json);
    return out;
}

static bool widens(const json_t *old, const json_t *new);

/* Codes: none may go.  Members: none may go where others are refused, and none may come that must be there.
 */
static bool sets_widen(const json_t *old, const json_t *new, bool members, bool closed)
{
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)(uintptr_t)old, name, one)
    {
        const json_t *other = json_object_get(new, name);
        if (other ? members && !widens(one, other) : !members || closed)
            return false;
    }
    json_object_foreach((json_t *)(uintptr_t) new, name,
                        one) if (members && json_is_true(json_object_get(one, "required")) &&
                                 !json_object_get(old, name)) return false;
    return true;
}

static bool widens(const json_t *old, const json_t *new)
{
    const char *name;
    json_t *now;
    const bool closed = json_is_true(json_object_get(new, "closed"));
    json_object_foreach((json_t *)(uintptr_t) new, name, now)
    {
        const json_t *was = json_object_get(old, name);
        bool wide = was && json_equal(was, now);
        if (!strcmp(name, "codes"))
            wide = was && sets_widen(was, now, false, false);
        else if (!strcmp(name, "members"))
            wide = was && sets_widen(was, now, true, closed);
        else if (!strcmp(name, "items"))
            wide = was && widens(was, now);
        else if (was && (!strcmp(name, "longest") || !strcmp(name, "most")))
            wide = json_number_value(now) >= json_number_value(was);
        else if (was && (!strcmp(name, "shortest") || !strcmp(name, "least")))
            wide = json_number_value(now) <= json_number_value(was);
        else if (!strcmp(name, "shortest"))
            wide = json_integer_value(now) == 0;
        else if (!strcmp(name, "longest")) /* codes became open text */
            wide = json_object_get(old, "codes") != NULL;
        if (!wide)
            return false;
    }
    return true;
}

bool limit_widens(struct str old, struct str new)
{
    if (str_eq(old, new))
        return true;
    json_t *was = json_loadb(old.ptr, old.len, 0, NULL), *now = json_loadb(new.ptr, new.len, 0, NULL);
    const bool wide = was && now && widens(was, now);
    json_decref(was);
    json_decref(now);
    return wide;
}
