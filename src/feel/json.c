/* json.c - values from and to JSON documents. */
#include "base/json.h"
#include "feel/node.h"
#include "feel/temporal.h"

#define DEPTH_MAX 200
#define NODES_MAX 2000000

/* ---------------------------------------------------------------- reading */

static enum err_code from_json(struct arena *arena, const json_t *json, const struct feel_type *type,
                               struct feel_value *out, int depth, struct err *err);

static enum err_code read_text(struct arena *arena, const json_t *json, const struct feel_type *type,
                               struct feel_value *out, struct err *err)
{
    const struct str text = json_to_str(json);
    const enum feel_type_kind kind = type ? type->kind : FEEL_T_ANY;
    const struct str copy = arena_str(arena, text);
    struct decimal number;
    if (!copy.ptr)
        return err_nomem(err);
    *out = feel_string(copy);
    bool ok = true;
    if (kind == FEEL_T_DATE)
        ok = feel_date_parse(copy, out);
    else if (kind == FEEL_T_TIME)
        ok = feel_time_parse(arena, copy, out);
    else if (kind == FEEL_T_DATE_TIME)
        ok = feel_date_time_parse(arena, copy, out);
    else if (kind == FEEL_T_DAYS_DURATION || kind == FEEL_T_MONTHS_DURATION)
        ok = feel_duration_parse(copy, out);
    else if (kind == FEEL_T_NUMBER && (ok = decimal_parse(copy, &number)))
        *out = feel_number(number);
    return ok ? ERR_OK : err_set(err, ERR_INVALID, "feel.json_value", ARG_STR("text", text), ARG_END);
}

static enum err_code read_array(struct arena *arena, const json_t *json, const struct feel_type *type,
                                struct feel_value *out, int depth, struct err *err)
{
    const size_t count = json_array_size(json);
    struct feel_value *items = arena_alloc(arena, count, sizeof *items);
    if (!items)
        return err_nomem(err);
    const struct feel_type *element = type && type->kind == FEEL_T_LIST ? type->element : NULL;
    for (size_t i = 0; i < count; i++) {
        const enum err_code rc =
            from_json(arena, json_array_get(json, i), element, &items[i], depth + 1, err);
        if (rc)
            return rc;
    }
    *out = feel_list(items, count);
    return ERR_OK;
}

static const struct feel_type *field_type(const struct feel_type *type, struct str name)
{
    for (size_t i = 0; type && type->kind == FEEL_T_CONTEXT && i < type->count; i++)
        if (str_eq(type->fields[i].name, name))
            return type->fields[i].type;
    return NULL;
}

static enum err_code read_object(struct arena *arena, const json_t *json, const struct feel_type *type,
                                 struct feel_value *out, int depth, struct err *err)
{
    struct feel_entry *entries = arena_alloc(arena, json_object_size(json), sizeof *entries);
    size_t count = 0;
    if (!entries)
        return err_nomem(err);
    /* The iterator of jansson wants a pointer that is not const, and changes nothing. */
    union {
        const json_t *in;
        json_t *out;
    } object = { .in = json };
    for (void *at = json_object_iter(object.out); at; at = json_object_iter_next(object.out, at)) {
        const struct str key = arena_str(arena, str_from(json_object_iter_key(at)));
        if (!key.ptr)
            return err_nomem(err);
        entries[count].key = key;
        const enum err_code rc = from_json(arena, json_object_iter_value(at), field_type(type, key),
                                           &entries[count].value, depth + 1, err);
        if (rc)
            return rc;
        count++;
    }
    *out = feel_context(entries, count);
    return ERR_OK;
}

static enum err_code from_json(struct arena *arena, const json_t *json, const struct feel_type *type,
                               struct feel_value *out, int depth, struct err *err)
{
    struct decimal number;
    if (depth > DEPTH_MAX)
        return err_set(err, ERR_INVALID, "feel.json_depth", ARG_INT("max", DEPTH_MAX), ARG_END);
    switch (json_typeof(json)) {
    case JSON_NULL:
        *out = feel_null();
        return ERR_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = feel_boolean(json_is_true(json));
        return ERR_OK;
    case JSON_INTEGER:
        *out = feel_i64(json_integer_value(json));
        return ERR_OK;
    case JSON_REAL:
        if (!decimal_from_double(json_real_value(json), &number))
            return err_set(err, ERR_INVALID, "feel.json_value", ARG_TEXT("text", "number"), ARG_END);
        *out = feel_number(number);
        return ERR_OK;
    case JSON_STRING:
        return read_text(arena, json, type, out, err);
    case JSON_ARRAY:
        return read_array(arena, json, type, out, depth, err);
    case JSON_OBJECT:
        return read_object(arena, json, type, out, depth, err);
    default:
        return err_set(err, ERR_INVALID, "feel.json_value", ARG_TEXT("text", "?"), ARG_END);
    }
}

enum err_code feel_from_json_typed(struct arena *arena, const json_t *json, const struct feel_type *type,
                                   struct feel_value *out, struct err *err)
{
    struct feel_value value;
    const enum err_code rc = from_json(arena, json, type, &value, 0, err);
    if (rc == ERR_OK)
        *out = value;
    return rc;
}

enum err_code feel_from_json(struct arena *arena, const json_t *json, struct feel_value *out, struct err *err)
{
    return feel_from_json_typed(arena, json, NULL, out, err);
}

/* ---------------------------------------------------------------- writing */

static json_t *to_json(const struct feel_value *v, int depth, int64_t *left);

static json_t *number_json(struct decimal number)
{
    int64_t whole_number;
    return decimal_to_i64(number, &whole_number) ? json_integer(whole_number)
                                                 : json_real(decimal_to_double(number));
}

static json_t *list_json(const struct feel_list *list, int depth, int64_t *left)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < list->count; i++)
        if (json_array_append_new(array, to_json(&list->items[i], depth + 1, left))) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *context_json(const struct feel_context *context, int depth, int64_t *left)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < context->count; i++) {
        const struct feel_entry *entry = &context->entries[i];
        char *key = mem_copy(entry->key.ptr, entry->key.len);
        const bool ok = key && !json_object_set_new(object, key, to_json(&entry->value, depth + 1, left));
        mem_free(key);
        if (!ok) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *text_json(const struct feel_value *v)
{
    struct buf buf;
    buf_init(&buf, (size_t)1 << 24);
    feel_print(&buf, v);
    json_t *json = buf.failed ? NULL : json_stringn(buf.len ? buf.ptr : "", buf.len);
    buf_done(&buf);
    return json;
}

static json_t *to_json(const struct feel_value *v, int depth, int64_t *left)
{
    if (depth > DEPTH_MAX || --*left < 0)
        return NULL;
    switch (v->kind) {
    case FEEL_NULL:
    case FEEL__COUNT:
        return json_null();
    case FEEL_BOOLEAN:
        return json_boolean(v->boolean);
    case FEEL_NUMBER:
        return number_json(v->number);
    case FEEL_STRING:
        return json_stringn(v->string.len ? v->string.ptr : "", v->string.len);
    case FEEL_LIST:
        return list_json(&v->list, depth, left);
    case FEEL_CONTEXT:
        return context_json(&v->context, depth, left);
    case FEEL_DATE:
    case FEEL_TIME:
    case FEEL_DATE_TIME:
    case FEEL_DAYS_DURATION:
    case FEEL_MONTHS_DURATION:
    case FEEL_RANGE:
    case FEEL_FUNCTION:
        break;
    }
    return text_json(v);
}

enum err_code feel_to_json(const struct feel_value *value, json_t **out, struct err *err)
{
    int64_t left = NODES_MAX;
    json_t *json = to_json(value, 0, &left);
    if (!json)
        return left < 0 ? err_set(err, ERR_LIMIT, "feel.list_max", ARG_END) : err_nomem(err);
    *out = json;
    return ERR_OK;
}
