/* describe.c - types as others see them: the schema for the browser, OpenAPI for programs. */
#include "base/json.h"
#include "platform/entity/internal.h"
#include "platform/entity/routes.h"

static const char *const ACTIONS[] = {
    "read", "create", "update", "delete", "import", "export", "sensitive"
};
static const char *const KINDS[TYPE_KIND__COUNT] = { "plain", "subject", "fact", "case" };
static const char *const SHAPES[SHAPE__COUNT] = {
    "string", "integer", "number", "boolean", "array", "object"
};

static json_t *names(const struct entity_type *type, const int *fields, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_str(type->fields[fields[i]].name));
    return list;
}

static json_t *labels_of(const struct shape *shape, enum lang lang)
{
    json_t *labels = json_object();
    for (int i = 0; i < shape->codes_count; i++)
        json_object_set_new(labels, shape->codes[i].code.ptr, json_str(shape->codes[i].title[lang]));
    return labels;
}

/* Titles inside: {"zh-CN": .., "en": ..} becomes the text of one language, at any depth. */
static json_t *localise(const json_t *json, const char *lang)
{
    const char *name;
    json_t *value;
    size_t i;
    if (json_is_array(json)) {
        json_t *list = json_array();
        json_array_foreach(json, i, value) json_array_append_new(list, localise(value, lang));
        return list;
    }
    if (!json_is_object(json))
        return json_deep_copy(json);
    json_t *one = json_object_get(json, lang);
    if (json_is_string(one) && json_object_size(json) == LANG__COUNT)
        return json_incref(one);
    json_t *out = json_object();
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        const char *as = !strcmp(name, "x-title") ? "title" : !strcmp(name, "x-help") ? "description" : name;
        json_object_set_new(out, as, localise(value, lang));
    }
    return out;
}

/* ---- a field ---- */

/* A sealed field is compared by its digest, for those who may see it. */
static bool may_filter(const struct entity_call *call, const struct entity_type *type,
                       const struct entity_field *field)
{
    return field->filterable || (field->mask && call_sees(call, type) != SEES_MASKED);
}

static json_t *field_json(const struct entity_call *call, const struct entity_type *type,
                          const struct entity_field *field)
{
    const enum lang lang = call->lang;
    json_t *out = field->schema ? localise(field->schema, lang_name(lang)) : json_object();
    const struct shape *shape = &field->shape;
    json_object_set_new(out, "type", json_string(SHAPES[shape->type]));
    json_object_set_new(out, "title", json_str(field->title[lang]));
    if (field->kind == VALUE_DATE || field->kind == VALUE_INSTANT)
        json_object_set_new(out, "format", json_string(field->kind == VALUE_DATE ? "date" : "date-time"));
    if (field->kind == VALUE_TEXT)
        json_object_set_new(out, "maxLength", json_integer(shape->max_length));
    if (field->kind == VALUE_REF && shape->ref.len)
        json_object_set_new(out, "x-ref", json_str(shape->ref));
    if (field->read_only)
        json_object_set_new(out, "readOnly", json_true());
    if (shape->codes)
        json_object_set_new(out, "x-labels", labels_of(shape, lang));
    if (may_filter(call, type, field))
        json_object_set_new(out, "x-filterable", json_true());
    if (field->mask && may_filter(call, type, field))
        json_object_set_new(out, "x-operators", json_pack("[s,s,s]", "=", "!=", "in"));
    return out;
}

static const struct str *dictionary_of(const struct entity_field *field)
{
    if (field->shape.dictionary.len)
        return &field->shape.dictionary;
    return field->shape.items && field->shape.items->dictionary.len ? &field->shape.items->dictionary : NULL;
}

static enum err_code add_fields(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                                json_t *out, struct err *err)
{
    json_t *properties = json_object(), *required = json_array(), *filter = json_array();
    enum err_code rc = ERR_OK;
    for (int i = 0; !rc && i < type->fields_count; i++) {
        const struct entity_field *field =
            &type->fields[(i + COLUMN_OWN) % type->fields_count]; /* own ones first */
        json_t *one = field_json(call, type, field);
        const struct str *dictionary = dictionary_of(field);
        if (dictionary && tx) {
            json_t *labels = json_object();
            rc = dictionary_labels(tx, *dictionary, call->lang, labels, err);
            json_object_set_new(one, "x-labels", labels);
        }
        json_object_set_new(properties, field->name.ptr, one);
        if (field->required && !field->read_only)
            json_array_append_new(required, json_str(field->name));
        if (may_filter(call, type, field))
            json_array_append_new(filter, json_str(field->name));
    }
    json_object_set_new(out, "properties", properties);
    json_object_set_new(out, "required", required);
    json_object_set_new(out, "x-filter", filter);
    return rc;
}

/* ---- the type ---- */

static json_t *permissions(const struct entity_call *call, const struct entity_type *type)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++)
        if (!call_may(call, type, ACTIONS[i], NULL))
            json_array_append_new(list, json_string(ACTIONS[i]));
    return list;
}

static json_t *sort_names(const struct entity_type *type)
{
    json_t *list = names(type, type->sortable, type->sortable_count);
    if (type->sortable_count && type->sort_down) {
        char name[PACK_NAME_MAX + 2];
        (void)snprintf(name, sizeof name, "-%.*s", STR_ARG(type->fields[type->sort].name));
        json_array_set_new(list, 0, json_string(name));
    }
    return list;
}

enum err_code entity_type_json(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                               json_t **out, struct err *err)
{
    json_t *json = json_object();
    if (!json)
        return err_nomem(err);
    json_object_set_new(json, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(json, "type", json_string("object"));
    json_object_set_new(json, "title", json_str(type->title[call->lang]));
    if (type->help[call->lang].len)
        json_object_set_new(json, "description", json_str(type->help[call->lang]));
    json_object_set_new(json, "x-pack", json_str(type->pack));
    json_object_set_new(json, "x-type", json_str(type->name));
    json_object_set_new(json, "x-kind", json_string(KINDS[type->kind]));
    json_object_set_new(json, "x-label", json_str(type->fields[type->label].name));
    json_object_set_new(json, "x-list", names(type, type->list, type->list_count));
    json_object_set_new(json, "x-sort", sort_names(type));
    json_object_set_new(json, "x-search", names(type, type->search, type->search_count));
    json_object_set_new(json, "x-key", names(type, type->key.fields, type->key.count));
    json_object_set_new(json, "x-permissions", permissions(call, type));
    json_t *form = json_object_get(type->schema, "x-form");
    if (form)
        json_object_set_new(json, "x-form", localise(form, lang_name(call->lang)));
    if (type->flow.len)
        json_object_set_new(json, "x-flow", json_str(type->flow));
    json_object_set_new(json, "additionalProperties", json_false());
    const enum err_code rc = add_fields(call, tx, type, json, err);
    if (rc)
        json_decref(json);
    else
        *out = json;
    return rc;
}

/* ---- OpenAPI 3.1 ---- */

static json_t *parameter(const char *name, const char *in, bool required, const char *type, const char *what)
{
    return json_pack("{s:s, s:s, s:b, s:{s:s}, s:s}", "name", name, "in", in, "required", required, "schema",
                     "type", type, "description", what);
}

static json_t *reference(const char *prefix, const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s%s", prefix, name);
    return json_pack("{s:s}", "$ref", path);
}

static json_t *content(json_t *schema)
{
    return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

/* An operation with its good answer and the problems it may give. */
static json_t *operation(const struct entity_type *type, const char *action, enum lang lang,
                         const char *status, json_t *answer)
{
    char id[120];
    (void)snprintf(id, sizeof id, "%.*s_%.*s_%s", STR_ARG(type->pack), STR_ARG(type->name), action);
    json_t *good = json_pack("{s:s}", "description", "OK");
    if (answer)
        json_object_set_new(good, "content", content(answer));
    json_t *responses = json_object();
    json_object_set_new(responses, status, good);
    json_object_set_new(responses, "default", reference("#/components/responses/", "Problem"));
    json_t *out = json_pack("{s:s, s:o}", "operationId", id, "responses", responses);
    json_object_set_new(out, "summary", json_str(type->title[lang]));
    json_t *tags = json_array();
    json_array_append_new(tags, json_str(type->pack));
    json_object_set_new(out, "tags", tags);
    return out;
}

static void set_body(json_t *op, const char *schema)
{
    json_object_set_new(op, "requestBody",
                        json_pack("{s:b, s:o}", "required", 1, "content",
                                  content(reference("#/components/schemas/", schema))));
}

/* Which facts: of a list and of one. */
static void add_window(json_t *parameters)
{
    json_array_append_new(parameters, parameter("as_of", "query", false, "string",
                                                "instant: only facts that had happened by then"));
    json_array_append_new(parameters, parameter("known_until", "query", false, "string",
                                                "instant: as it was known then, without what was corrected"));
}

static void add_paths(json_t *paths, const struct entity_type *type, enum lang lang)
{
    char path[140], one[160];
    const char *full = type->full.ptr;
    (void)snprintf(path, sizeof path, "/api/v1/%.*s/%.*s", STR_ARG(type->pack), STR_ARG(type->name));
    (void)snprintf(one, sizeof one, "%s/{id}", path);
    json_t *list =
        operation(type, "list", lang, "200",
                  json_pack("{s:s, s:{s:{s:s, s:o}, s:{s:[s,s]}}}", "type", "object", "properties", "items",
                            "type", "array", "items", reference("#/components/schemas/", full), "next",
                            "type", "string", "null"));
    json_t *parameters = json_array();
    json_array_append_new(parameters, parameter("filter", "query", false, "string", "FEEL over the fields"));
    if (type->search_count)
        json_array_append_new(parameters, parameter("q", "query", false, "string", "full-text search"));
    json_array_append_new(parameters, parameter("sort", "query", false, "string", "field or -field"));
    json_array_append_new(parameters,
                          parameter("after", "query", false, "string", "cursor: next of the page before"));
    json_array_append_new(parameters, parameter("limit", "query", false, "integer", "1 to 200"));
    json_array_append_new(parameters, parameter("count", "query", false, "integer", "1: only count"));
    json_array_append_new(parameters, parameter("labels", "query", false, "integer", "1: with _labels"));
    if (type->kind == TYPE_FACT)
        add_window(parameters);
    json_object_set_new(list, "parameters", parameters);
    json_t *create = operation(type, "create", lang, "201", reference("#/components/schemas/", full));
    json_object_set_new(create, "parameters",
                        json_pack("[o]", parameter("Idempotency-Key", "header", false, "string",
                                                   "the same answer again for 24 h")));
    set_body(create, full);
    json_t *get = operation(type, "get", lang, "200", reference("#/components/schemas/", full));
    json_t *many = json_pack("{s:o, s:o}", "get", list, "post", create);
    json_t *single =
        json_pack("{s:[o], s:o}", "parameters", parameter("id", "path", true, "string", "id"), "get", get);
    if (type->kind == TYPE_FACT) {
        json_t *window = json_array();
        add_window(window);
        json_object_set_new(get, "parameters", window);
    } else {
        json_t *match = parameter("If-Match", "header", true, "string", "\"version\"");
        json_t *update = operation(type, "update", lang, "200", reference("#/components/schemas/", full));
        json_t *body = content(json_pack("{s:s}", "type", "object"));
        json_object_set_new(update, "parameters", json_pack("[O]", match));
        json_object_set_new(update, "requestBody", json_pack("{s:b, s:o}", "required", 1, "content", body));
        json_t *remove = operation(type, "delete", lang, "204", NULL);
        json_object_set_new(remove, "parameters", json_pack("[o]", match));
        json_object_set_new(single, "patch", update);
        json_object_set_new(single, "delete", remove);
    }
    json_object_set_new(paths, path, many);
    json_object_set_new(paths, one, single);
}

enum err_code entity_openapi(const struct entity_call *call, json_t **out, struct err *err)
{
    json_t *paths = json_object(), *schemas = json_object();
    const struct types *types = call->entity->types;
    enum err_code rc = ERR_OK;
    for (int i = 0; !rc && i < types_count(types); i++) {
        const struct entity_type *type = types_at(types, i);
        json_t *schema = NULL;
        if (call_may(call, type, "read", NULL))
            continue;
        rc = entity_type_json(call, NULL, type, &schema, err);
        if (rc)
            break;
        json_object_del(schema, "$schema");
        json_object_set_new(schemas, type->full.ptr, schema);
        add_paths(paths, type, call->lang);
    }
    json_object_set_new(schemas, "Problem",
                        json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s, s:{s:s}}}}",
                                  "type", "object", "properties", "type", "type", "string", "title", "type",
                                  "string", "status", "type", "integer", "detail", "type", "string",
                                  "instance", "type", "string", "errors", "type", "array", "items", "type",
                                  "object"));
    json_t *problem =
        json_pack("{s:s, s:{s:{s:o}}}", "description", "RFC 9457", "content", "application/problem+json",
                  "schema", reference("#/components/schemas/", "Problem"));
    json_t *json = json_pack(
        "{s:s, s:{s:s, s:s}, s:o, s:{s:o, s:{s:o}, s:{s:{s:s, s:s}, s:{s:s, s:s, s:s}}}, s:[{s:[]}, {s:[]}]}",
        "openapi", "3.1.0", "info", "title", "bihuan", "version", BIHUAN_VERSION, "paths", paths,
        "components", "schemas", schemas, "responses", "Problem", problem, "securitySchemes", "key", "type",
        "http", "scheme", "bearer", "session", "type", "apiKey", "in", "cookie", "name", "bihuan_session",
        "security", "key", "session");
    if (!json && !rc)
        rc = err_nomem(err);
    if (rc)
        json_decref(json);
    else
        *out = json;
    return rc;
}
