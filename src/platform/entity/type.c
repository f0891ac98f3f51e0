/* type.c - see type.h
 *
 * One pass over a file by a table of keywords: each row says where a keyword may stand, what JSON it is
 * and which function reads it.  A keyword that is in no row is a finding.  Links between types are made
 * when all files are read. */
#include "platform/entity/reading.h"

#include "base/buf.h"
#include "base/json.h"

#define TYPES_BYTES_MAX ((size_t)256 << 20)

const struct entity_relation ENTITY_RELATIONS[] = {
    { "core.org", "org", "name", "code" },          { "core.user", "app_user", "name", "login" },
    { "core.subject", "subject", "name", "code" },  { "core.case", "cases", "title", "number" },
    { "core.probe", "probe_node", "name", "name" }, { 0 },
};

static int hash_slot(struct str name)
{
    return (int)(str_hash(name) & 255);
}

int type_field(const struct entity_type *type, struct str name)
{
    for (int slot = hash_slot(name), n = 0; n < 256 && type->slots[slot]; slot = (slot + 1) & 255, n++)
        if (str_eq(type->fields[type->slots[slot] - 1].name, name))
            return type->slots[slot] - 1;
    return -1;
}

static struct entity_field *add_field(struct reading *r, struct str name)
{
    struct entity_type *type = r->type;
    if (type->fields_count == TYPE_FIELDS_MAX) {
        reading_fault(r, "type.many_fields", name);
        return NULL;
    }
    struct entity_field *field = &type->fields[type->fields_count++];
    *field = (struct entity_field) { .name = name };
    field->column = arena_printf(r->arena, "\"%.*s\"", STR_ARG(name));
    if (!field->column.ptr && !r->rc)
        r->rc = err_nomem(r->err);
    int slot = hash_slot(name);
    while (type->slots[slot])
        slot = (slot + 1) & 255;
    type->slots[slot] = (uint8_t)type->fields_count;
    return field;
}

/* ---- fields that come by themselves ---- */

struct ready_field {
    const char *name;
    enum value_kind kind;
    const char *zh, *en;
    int max_length;
    bool required, read_only, filterable;
    const char *ref;
};

static const struct ready_field STANDARD[COLUMN_OWN] = {
    [COLUMN_ID] = { "id", VALUE_REF, "\xe5\x86\x85\xe9\x83\xa8\xe7\xbc\x96\xe5\x8f\xb7", "Id", 0, 0, 1, 1,
                    NULL },
    [COLUMN_VERSION] = { "version", VALUE_INTEGER, "\xe7\x89\x88\xe6\x9c\xac", "Version", 0, 0, 1, 0, NULL },
    [COLUMN_CREATED_AT] = { "created_at", VALUE_INSTANT, "\xe5\x88\x9b\xe5\xbb\xba\xe6\x97\xb6\xe9\x97\xb4",
                            "Created", 0, 0, 1, 1, NULL },
    [COLUMN_CREATED_BY] = { "created_by", VALUE_REF, "\xe5\x88\x9b\xe5\xbb\xba\xe4\xba\xba", "Created by", 0,
                            0, 1, 1, "core.user" },
    [COLUMN_UPDATED_AT] = { "updated_at", VALUE_INSTANT, "\xe6\x9b\xb4\xe6\x96\xb0\xe6\x97\xb6\xe9\x97\xb4",
                            "Updated", 0, 0, 1, 1, NULL },
    [COLUMN_UPDATED_BY] = { "updated_by", VALUE_REF, "\xe6\x9b\xb4\xe6\x96\xb0\xe4\xba\xba", "Updated by", 0,
                            0, 1, 1, "core.user" },
};

#define COMMON_MAX 8
static const struct ready_field COMMON[TYPE_KIND__COUNT][COMMON_MAX + 1] = {
    [TYPE_SUBJECT] = {
        { "code", VALUE_TEXT, "\xe7\xbc\x96\xe7\xa0\x81", "Code", 64, 1, 0, 1, NULL },
        { "name", VALUE_TEXT, "\xe5\x90\x8d\xe7\xa7\xb0", "Name", 200, 1, 0, 1, NULL },
        { "org", VALUE_REF, "\xe7\xbb\x84\xe7\xbb\x87", "Organisation", 0, 0, 0, 1, "core.org" },
        { "grid", VALUE_REF, "\xe7\xbd\x91\xe6\xa0\xbc", "Grid", 0, 0, 0, 1, "core.grid" },
        { "valid_from", VALUE_DATE, "\xe7\x94\x9f\xe6\x95\x88\xe6\x97\xa5\xe6\x9c\x9f", "Valid from", 0, 0, 0, 1, NULL },
        { "valid_to", VALUE_DATE, "\xe5\xa4\xb1\xe6\x95\x88\xe6\x97\xa5\xe6\x9c\x9f", "Valid to", 0, 0, 0, 1, NULL },
    },
    [TYPE_FACT] = {
        { "subject", VALUE_REF, "\xe5\xaf\xb9\xe8\xb1\xa1", "Subject", 0, 1, 0, 1, "core.subject" },
        { "happened_at", VALUE_INSTANT, "\xe5\x8f\x91\xe7\x94\x9f\xe6\x97\xb6\xe9\x97\xb4", "Happened", 0, 1, 0, 1, NULL },
        { "known_at", VALUE_INSTANT, "\xe8\x8e\xb7\xe7\x9f\xa5\xe6\x97\xb6\xe9\x97\xb4", "Known", 0, 0, 0, 1, NULL },
        { "source", VALUE_TEXT, "\xe6\x9d\xa5\xe6\xba\x90", "Source", 100, 0, 0, 1, NULL },
        { "batch", VALUE_TEXT, "\xe6\x89\xb9\xe6\xac\xa1", "Batch", 100, 0, 0, 1, NULL },
        { "supersedes", VALUE_REF, "\xe6\x9b\xb4\xe6\xad\xa3", "Supersedes", 0, 0, 0, 1, "" },
    },
    [TYPE_CASE] = {
        { "number", VALUE_TEXT, "\xe7\xbc\x96\xe5\x8f\xb7", "Number", 64, 0, 1, 1, NULL },
        { "title", VALUE_TEXT, "\xe6\xa0\x87\xe9\xa2\x98", "Title", 200, 1, 0, 1, NULL },
        { "subject", VALUE_REF, "\xe5\xaf\xb9\xe8\xb1\xa1", "Subject", 0, 0, 0, 1, "core.subject" },
        { "org", VALUE_REF, "\xe7\xbb\x84\xe7\xbb\x87", "Organisation", 0, 0, 0, 1, "core.org" },
        { "grid", VALUE_REF, "\xe7\xbd\x91\xe6\xa0\xbc", "Grid", 0, 0, 0, 1, "core.grid" },
        { "state", VALUE_TEXT, "\xe7\x8a\xb6\xe6\x80\x81", "State", 40, 0, 1, 1, NULL },
        { "opened_at", VALUE_INSTANT, "\xe5\xbc\x80\xe7\xab\x8b\xe6\x97\xb6\xe9\x97\xb4", "Opened", 0, 0, 1, 1, NULL },
        { "closed_at", VALUE_INSTANT, "\xe5\x85\xb3\xe9\x97\xad\xe6\x97\xb6\xe9\x97\xb4", "Closed", 0, 0, 1, 1, NULL },
    },
};

static const struct ready_field *common_find(enum type_kind kind, struct str name)
{
    for (const struct ready_field *ready = COMMON[kind]; ready->name; ready++)
        if (str_eq(str_from(ready->name), name))
            return ready;
    return NULL;
}

static void shape_of_kind(struct shape *shape, enum value_kind kind)
{
    shape->type = kind == VALUE_INTEGER   ? SHAPE_INTEGER
                  : kind == VALUE_NUMBER  ? SHAPE_NUMBER
                  : kind == VALUE_BOOLEAN ? SHAPE_BOOLEAN
                                          : SHAPE_STRING;
    shape->format = kind == VALUE_DATE ? FORMAT_DATE : kind == VALUE_INSTANT ? FORMAT_INSTANT : FORMAT_NONE;
    shape->max_length = TYPE_TEXT_DEFAULT;
    shape->max_items = TYPE_ITEMS_DEFAULT;
}

static void add_ready(struct reading *r, const struct ready_field *ready, bool standard)
{
    struct entity_field *field = add_field(r, str_from(ready->name));
    if (!field)
        return;
    field->kind = ready->kind;
    field->title[LANG_ZH] = str_from(ready->zh);
    field->title[LANG_EN] = str_from(ready->en);
    field->required = ready->required;
    field->read_only = ready->read_only;
    field->filterable = ready->filterable;
    field->standard = standard;
    field->common = !standard;
    shape_of_kind(&field->shape, ready->kind);
    if (ready->max_length)
        field->shape.max_length = ready->max_length;
    if (ready->ref) /* a fact supersedes one of its own type */
        field->shape.ref = *ready->ref ? str_from(ready->ref) : r->type->full;
    field->indexed = !standard && field->kind == VALUE_REF;
}

/* ---- a field ---- */

static const char *const MASK_NAMES[MASK__COUNT] = { "", "phone", "id", "name", "all" };
static const char *const KIND_NAMES[TYPE_KIND__COUNT] = { "plain", "subject", "fact", "case" };

static enum value_kind kind_of(const struct shape *shape)
{
    switch (shape->type) {
    case SHAPE_INTEGER:
        return VALUE_INTEGER;
    case SHAPE_NUMBER:
        return VALUE_NUMBER;
    case SHAPE_BOOLEAN:
        return VALUE_BOOLEAN;
    case SHAPE_ARRAY:
    case SHAPE_OBJECT:
        return VALUE_JSON;
    case SHAPE_STRING:
    case SHAPE__COUNT:
        break;
    }
    return shape->ref.len                    ? VALUE_REF
           : shape->format == FORMAT_DATE    ? VALUE_DATE
           : shape->format == FORMAT_INSTANT ? VALUE_INSTANT
                                             : VALUE_TEXT;
}

static bool fallback_fits(const struct shape *shape, json_t *value)
{
    switch (shape->type) {
    case SHAPE_STRING:
        break;
    case SHAPE_INTEGER:
        return json_is_integer(value);
    case SHAPE_NUMBER:
        return json_is_number(value);
    case SHAPE_BOOLEAN:
        return json_is_boolean(value);
    case SHAPE_ARRAY:
        return json_is_array(value);
    case SHAPE_OBJECT:
    case SHAPE__COUNT:
        return json_is_object(value);
    }
    return json_is_string(value);
}

/* A field that comes with the kind and is written in the file too: the file may tell title, length,
 * required, search, but the kind of value stays. */
static void merge_common(struct reading *r, struct entity_field *field, const struct ready_field *ready)
{
    field->common = true;
    field->read_only = field->read_only || ready->read_only;
    field->filterable = true;
    if (ready->ref && !field->shape.ref.len) {
        field->shape.ref = *ready->ref ? str_from(ready->ref) : r->type->full;
        field->kind = VALUE_REF;
    }
    if (!field->title[LANG_ZH].len) {
        field->title[LANG_ZH] = str_from(ready->zh);
        field->title[LANG_EN] = str_from(ready->en);
    }
    if (ready->required)
        field->required = true;
    if (field->kind != ready->kind)
        reading_fault(r, "type.common_kind", field->name);
}

static void read_sensitive(struct reading *r, json_t *json, struct entity_field *field)
{
    json_t *value = json_object_get(json, "x-sensitive");
    if (!value)
        return;
    const size_t mark = reading_enter(r, "x-sensitive");
    const int mask = reading_index(MASK_NAMES, MASK__COUNT, json_string_value(value));
    if (mask < 0)
        reading_fault(r, "type.expected", STR("phone / id / name / all"));
    else if (field->kind != VALUE_TEXT || field->unique || field->indexed)
        reading_fault(r, "type.sensitive_use", field->name);
    else
        field->mask = (enum field_mask)mask;
    r->type->sensitive = true;
    reading_leave(r, mark);
}

static void read_field(struct reading *r, const char *name, json_t *json)
{
    const struct str text = reading_keep(r, name);
    const struct ready_field *ready = common_find(r->type->kind, text);
    if (json_is_false(json) && ready && !ready->required && !ready->read_only)
        return; /* left out on purpose */
    if (!pack_name_ok(text)) {
        reading_fault(r, "type.name", text);
        return;
    }
    if (type_field(r->type, text) >= 0) {
        reading_fault(r, "type.name_taken", text);
        return;
    }
    struct entity_field *field = add_field(r, text);
    if (!field)
        return;
    field->schema = json;
    reading_shape(r, json, &field->shape, 0);
    field->kind = kind_of(&field->shape);
    json_t *title = json_object_get(json, "x-title"), *help = json_object_get(json, "x-help");
    const size_t mark = reading_enter(r, "x-title");
    if (title || !ready)
        reading_titles(r, title, field->title);
    reading_leave(r, mark);
    if (help)
        reading_titles(r, help, field->help);
    field->read_only = reading_flag(r, json, "readOnly", false);
    field->unique = reading_flag(r, json, "x-unique", false);
    field->indexed = reading_flag(r, json, "x-index", false) || field->kind == VALUE_REF;
    field->money = reading_flag(r, json, "x-money", false);
    field->hidden = reading_flag(r, json, "x-hidden", false);
    field->filterable = field->indexed || field->unique || field->shape.codes || field->shape.dictionary.len;
    read_sensitive(r, json, field);
    field->fallback = json_object_get(json, "default");
    if (field->fallback && !fallback_fits(&field->shape, field->fallback)) {
        const size_t at = reading_enter(r, "default");
        reading_fault(r, "type.default", text);
        reading_leave(r, at);
    }
    if (ready)
        merge_common(r, field, ready);
}

/* ---- the type ---- */

/* A list of field names; a leading '-' is taken off the first one when `down` is given. */
static int read_names(struct reading *r, json_t *list, const char *keyword, int **out, bool *down)
{
    if (!list)
        return 0;
    const size_t mark = reading_enter(r, keyword);
    int count = 0;
    size_t i;
    json_t *item;
    *out = reading_take(r, json_array_size(list), sizeof **out);
    if (!json_is_array(list))
        reading_fault(r, "type.expected", STR("[\"field\"]"));
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(item);
        const size_t at = reading_enter_item(r, i);
        if (down && i == 0 && name && *name == '-') {
            *down = true;
            name++;
        }
        const int field = type_field(r->type, str_from(name));
        if (field < 0)
            reading_fault(r, "type.no_field", str_from(name ? name : "?"));
        else if (*out)
            (*out)[count++] = field;
        reading_leave(r, at);
    }
    reading_leave(r, mark);
    return count;
}

static void read_group(struct reading *r, json_t *list, struct field_group *out)
{
    int *names = NULL;
    json_t *one = json_is_string(list) ? json_pack("[O]", list) : json_incref(list);
    if (json_array_size(one) < 1 || json_array_size(one) > TYPE_GROUP_MAX)
        reading_fault(r, "type.group", STR(""));
    else {
        const int count = read_names(r, one, "", &names, NULL);
        for (int i = 0; i < count; i++) {
            if (r->type->fields[names[i]].mask || r->type->fields[names[i]].kind == VALUE_JSON)
                reading_fault(r, "type.not_indexable", r->type->fields[names[i]].name);
            out->fields[out->count++] = names[i];
        }
    }
    json_decref(one);
}

static int read_groups(struct reading *r, json_t *schema, const char *keyword, struct field_group **out,
                       int extra)
{
    json_t *list = json_object_get(schema, keyword), *item;
    size_t i;
    int count = 0;
    const size_t mark = reading_enter(r, keyword);
    *out = reading_take(r, json_array_size(list) + (size_t)extra, sizeof **out);
    if (list && !json_is_array(list))
        reading_fault(r, "type.expected", STR("[[\"field\", ...]]"));
    json_array_foreach(list, i, item)
    {
        const size_t at = reading_enter_item(r, i);
        if (*out)
            read_group(r, item, &(*out)[count++]);
        reading_leave(r, at);
    }
    reading_leave(r, mark);
    return count;
}

static int scope_field(struct reading *r, json_t *scope, const char *dimension, bool user)
{
    const char *name = json_string_value(json_object_get(scope, dimension));
    if (!name)
        return -1;
    const size_t mark = reading_enter(r, dimension);
    const int field = type_field(r->type, str_from(name));
    if (field < 0 || r->type->fields[field].kind != VALUE_REF || (user && field == COLUMN_ID))
        reading_fault(r, "type.scope_field", str_from(name));
    else
        r->type->fields[field].indexed = true;
    reading_leave(r, mark);
    return field;
}

static void read_scope(struct reading *r, json_t *schema)
{
    struct entity_type *type = r->type;
    json_t *scope = json_object_get(schema, "x-scope"), *value;
    const char *name;
    type->scope_org = type->scope_grid = type->scope_subject = type->scope_own = -1;
    if (!scope)
        return;
    const size_t mark = reading_enter(r, "x-scope");
    json_object_foreach(scope, name, value)
    {
        static const char *const known[] = { "org", "grid", "subject", "own", "everyone" };
        const size_t at = reading_enter(r, name);
        if (reading_index(known, 5, name) < 0)
            reading_fault(r, "type.unknown_keyword", str_from(name));
        reading_leave(r, at);
    }
    type->everyone = json_is_true(json_object_get(scope, "everyone"));
    type->scope_org = scope_field(r, scope, "org", false);
    type->scope_grid = scope_field(r, scope, "grid", false);
    type->scope_subject = scope_field(r, scope, "subject", false);
    type->scope_own = scope_field(r, scope, "own", true);
    type->scoped =
        type->scope_org >= 0 || type->scope_grid >= 0 || type->scope_subject >= 0 || type->scope_own >= 0;
    if (!json_is_object(scope) || (!type->scoped && !type->everyone))
        reading_fault(r, "type.expected", STR("{\"org\": FIELD, ...} / {\"everyone\": true}"));
    reading_leave(r, mark);
}

static void read_rules(struct reading *r, json_t *schema)
{
    json_t *list = json_object_get(schema, "x-rules"), *item;
    size_t i;
    const size_t mark = reading_enter(r, "x-rules");
    r->type->rules = reading_take(r, json_array_size(list), sizeof *r->type->rules);
    json_array_foreach(list, i, item)
    {
        const size_t at = reading_enter_item(r, i);
        const char *condition = json_string_value(json_object_get(item, "if"));
        const char *field = json_string_value(json_object_get(item, "field"));
        struct type_rule *rule = r->type->rules ? &r->type->rules[r->type->rules_count++] : NULL;
        if (!condition)
            reading_fault(r, "type.expected", STR("{\"if\": FEEL, \"field\": FIELD, \"title\": {}}"));
        if (rule) {
            rule->condition = reading_keep(r, condition);
            rule->field = field ? type_field(r->type, str_from(field)) : -1;
            if (field && rule->field < 0)
                reading_fault(r, "type.no_field", str_from(field));
            reading_titles(r, json_object_get(item, "title"), rule->title);
            rule->offset = json_pointer_offset(r->type->file->text, str_from(r->pointer));
        }
        reading_leave(r, at);
    }
    reading_leave(r, mark);
}

static const struct {
    const char *name;
    json_type type;
} TYPE_KEYWORDS[] = {
    { "$schema", JSON_STRING },     { "$id", JSON_STRING },      { "$comment", JSON_STRING },
    { "description", JSON_STRING }, { "type", JSON_STRING },     { "properties", JSON_OBJECT },
    { "required", JSON_ARRAY },     { "x-kind", JSON_STRING },   { "x-title", JSON_OBJECT },
    { "x-help", JSON_OBJECT },      { "x-table", JSON_STRING },  { "x-list", JSON_ARRAY },
    { "x-sort", JSON_ARRAY },       { "x-filter", JSON_ARRAY },  { "x-index", JSON_ARRAY },
    { "x-search", JSON_ARRAY },     { "x-label", JSON_STRING },  { "x-key", JSON_ARRAY },
    { "x-unique", JSON_ARRAY },     { "x-scope", JSON_OBJECT },  { "x-number", JSON_STRING },
    { "x-flow", JSON_STRING },      { "x-reopen", JSON_STRING }, { "x-clocks", JSON_NULL },
    { "x-rules", JSON_ARRAY },      { "x-form", JSON_ARRAY },
};

static void check_type_keywords(struct reading *r, json_t *schema)
{
    const char *name;
    json_t *value;
    json_object_foreach(schema, name, value)
    {
        int row = -1;
        for (size_t i = 0; i < sizeof TYPE_KEYWORDS / sizeof *TYPE_KEYWORDS; i++)
            if (!strcmp(TYPE_KEYWORDS[i].name, name))
                row = (int)i;
        static const char *const json_names[] = { "{...}", "[...]", "\"text\"" };
        const size_t mark = reading_enter(r, name);
        if (row < 0)
            reading_fault(r, "type.unknown_keyword", str_from(name));
        else if (TYPE_KEYWORDS[row].type != JSON_NULL && json_typeof(value) != TYPE_KEYWORDS[row].type)
            reading_fault(r, "type.expected", str_from(json_names[TYPE_KEYWORDS[row].type]));
        reading_leave(r, mark);
    }
}

/* {yyyy} {yy} {MM} {dd} {seq:N}, and exactly one {seq}. */
static void check_number(struct reading *r, struct str pattern)
{
    static const char *const parts[] = { "{yyyy}", "{yy}", "{MM}", "{dd}" };
    int sequences = 0;
    for (size_t at = 0; at < pattern.len;) {
        const struct str rest = str_slice(pattern, at, pattern.len);
        size_t len = 1;
        if (*rest.ptr == '{') {
            len = 0;
            for (size_t i = 0; i < 4; i++)
                if (str_starts(rest, str_from(parts[i])))
                    len = strlen(parts[i]);
            if (rest.len >= 7 && str_starts(rest, STR("{seq:")) && rest.ptr[5] >= '1' && rest.ptr[5] <= '9' &&
                rest.ptr[6] == '}') {
                len = 7;
                sequences++;
            }
        }
        if (!len) {
            reading_fault(r, "type.number", pattern);
            return;
        }
        at += len;
    }
    if (sequences != 1 || pattern.len > 40)
        reading_fault(r, "type.number", pattern);
}

static void read_search(struct reading *r, json_t *schema)
{
    struct entity_type *type = r->type;
    type->search_count = read_names(r, json_object_get(schema, "x-search"), "x-search", &type->search, NULL);
    for (int i = 0; i < type->search_count; i++) {
        struct entity_field *field = &type->fields[type->search[i]];
        if (field->kind != VALUE_TEXT || field->mask) {
            const size_t mark = reading_enter(r, "x-search");
            reading_fault(r, "type.not_searchable", field->name);
            reading_leave(r, mark);
        }
        field->searched = true;
    }
}

static void read_sort(struct reading *r, json_t *schema)
{
    struct entity_type *type = r->type;
    json_t *list = json_object_get(schema, "x-sort");
    type->sort = COLUMN_ID;
    type->sort_down = true;
    bool down = false;
    type->sortable_count = read_names(r, list, "x-sort", &type->sortable, &down);
    for (int i = 0; i < type->sortable_count; i++) {
        struct entity_field *field = &type->fields[type->sortable[i]];
        if (field->mask || field->kind == VALUE_JSON) {
            const size_t mark = reading_enter(r, "x-sort");
            reading_fault(r, "type.not_indexable", field->name);
            reading_leave(r, mark);
        }
        field->sortable = field->filterable = true;
    }
    type->fields[COLUMN_ID].sortable = true;
    if (type->sortable_count) {
        type->sort = type->sortable[0];
        type->sort_down = down;
    }
    int *names = NULL;
    const int count = read_names(r, json_object_get(schema, "x-filter"), "x-filter", &names, NULL);
    for (int i = 0; i < count; i++) {
        struct entity_field *field = &type->fields[names[i]];
        if (field->mask || field->kind == VALUE_JSON) {
            const size_t mark = reading_enter(r, "x-filter");
            reading_fault(r, "type.not_indexable", field->name);
            reading_leave(r, mark);
        }
        field->filterable = true;
    }
}

static void read_label(struct reading *r, json_t *schema)
{
    static const char *const usual[] = { "name", "title", "number", "code" };
    const char *name = json_string_value(json_object_get(schema, "x-label"));
    int field = name ? type_field(r->type, str_from(name)) : -1;
    if (name && (field < 0 || r->type->fields[field].mask)) {
        const size_t mark = reading_enter(r, "x-label");
        reading_fault(r, "type.no_field", str_from(name));
        reading_leave(r, mark);
    }
    for (int i = 0; !name && field < 0 && i < 4; i++) {
        field = type_field(r->type, str_from(usual[i]));
        if (field >= 0 && r->type->fields[field].mask)
            field = -1;
    }
    r->type->label = field < 0 ? COLUMN_ID : field;
}

static void read_keys(struct reading *r, json_t *schema)
{
    struct entity_type *type = r->type;
    json_t *key = json_object_get(schema, "x-key");
    const size_t mark = reading_enter(r, "x-key");
    if (key)
        read_group(r, key, &type->key);
    else if (type->kind == TYPE_SUBJECT || type->kind == TYPE_CASE)
        type->key.fields[type->key.count++] =
            type_field(type, type->kind == TYPE_SUBJECT ? STR("code") : STR("number"));
    reading_leave(r, mark);
    for (int i = 0; i < type->key.count; i++)
        type->fields[type->key.fields[i]].filterable = true;
    type->uniques_count = read_groups(r, schema, "x-unique", &type->uniques, type->fields_count);
    for (int i = COLUMN_OWN; i < type->fields_count && type->uniques; i++)
        if (type->fields[i].unique)
            type->uniques[type->uniques_count++] = (struct field_group) { { i }, 1 };
    type->indexes_count = read_groups(r, schema, "x-index", &type->indexes, 0);
    for (int i = 0; i < type->indexes_count; i++)
        for (int n = 0; n < type->indexes[i].count; n++)
            type->fields[type->indexes[i].fields[n]].filterable = true;
}

/* {"field": FIELD, "in": [CODE, ...]}: the field is there, and so are its codes where it lists them. */
static void read_when(struct reading *r, json_t *when)
{
    json_t *codes = json_object_get(when, "in"), *code;
    const char *name = json_string_value(json_object_get(when, "field"));
    const int field = name ? type_field(r->type, str_from(name)) : -1;
    size_t i;
    if (!json_is_object(when) || json_object_size(when) != 2 || !name || !json_array_size(codes)) {
        reading_fault(r, "type.expected", STR("{\"field\": FIELD, \"in\": [CODE, ...]}"));
        return;
    }
    if (field < 0) {
        reading_fault(r, "type.no_field", str_from(name));
        return;
    }
    const struct shape *shape = &r->type->fields[field].shape;
    json_array_foreach(codes, i, code)
    {
        bool known = !shape->codes;
        for (int n = 0; n < shape->codes_count; n++)
            known = known || (json_is_string(code) && str_eq(shape->codes[n].code, json_to_str(code))) ||
                    (json_is_integer(code) && shape->type == SHAPE_INTEGER &&
                     shape->codes[n].number == json_integer_value(code));
        if (!known)
            reading_fault(r, "type.form_code", json_is_string(code) ? json_to_str(code) : str_from(name));
    }
}

static void read_form_group(struct reading *r, json_t *group, bool *placed)
{
    static const char *const known[] = { "title", "fields", "when", "help" };
    const char *name;
    json_t *value, *when = json_object_get(group, "when");
    int *fields = NULL;
    json_object_foreach(group, name, value)
    {
        const size_t at = reading_enter(r, name);
        if (reading_index(known, 4, name) < 0)
            reading_fault(r, "type.unknown_keyword", str_from(name));
        reading_leave(r, at);
    }
    if (json_object_get(group, "title"))
        reading_titles(r, json_object_get(group, "title"), (struct str[LANG__COUNT]) { { 0 } });
    if (!json_is_object(group) || !json_array_size(json_object_get(group, "fields")))
        reading_fault(r, "type.expected", STR("{\"title\": {}, \"fields\": [FIELD, ...]}"));
    const int count = read_names(r, json_object_get(group, "fields"), "fields", &fields, NULL);
    for (int i = 0; i < count; i++) {
        if (placed[fields[i]] && !when)
            reading_fault(r, "type.form_twice", r->type->fields[fields[i]].name);
        placed[fields[i]] = placed[fields[i]] || !when;
    }
    const size_t at = reading_enter(r, "when");
    if (when)
        read_when(r, when);
    reading_leave(r, at);
}

/* The form is drawn by the pages; here it is only checked. */
static void read_form(struct reading *r, json_t *schema)
{
    json_t *list = json_object_get(schema, "x-form"), *group;
    bool placed[TYPE_FIELDS_MAX] = { false };
    size_t i;
    const size_t mark = reading_enter(r, "x-form");
    json_array_foreach(list, i, group)
    {
        const size_t at = reading_enter_item(r, i);
        read_form_group(r, group, placed);
        reading_leave(r, at);
    }
    reading_leave(r, mark);
}

static void read_required(struct reading *r, json_t *schema)
{
    int *names = NULL;
    const int count = read_names(r, json_object_get(schema, "required"), "required", &names, NULL);
    for (int i = 0; i < count; i++)
        r->type->fields[names[i]].required = true;
}

static void read_type(struct reading *r, json_t *schema)
{
    struct entity_type *type = r->type;
    json_t *properties = json_object_get(schema, "properties"), *value,
           *help = json_object_get(schema, "x-help");
    const char *name, *table = json_string_value(json_object_get(schema, "x-table"));
    check_type_keywords(r, schema);
    json_t *kind_json = json_object_get(schema, "x-kind");
    const int kind =
        kind_json ? reading_index(KIND_NAMES, TYPE_KIND__COUNT, json_string_value(kind_json)) : TYPE_PLAIN;
    size_t mark = reading_enter(r, "x-kind");
    if (kind < 0)
        reading_fault(r, "type.expected", STR("plain / subject / fact / case"));
    reading_leave(r, mark);
    type->kind = kind < 0 ? TYPE_PLAIN : (enum type_kind)kind;
    if (!str_eq(str_from(json_string_value(json_object_get(schema, "type"))), STR("object")))
        reading_fault(r, "type.expected", STR("\"type\": \"object\""));
    mark = reading_enter(r, "x-title");
    reading_titles(r, json_object_get(schema, "x-title"), type->title);
    reading_leave(r, mark);
    if (help)
        reading_titles(r, help, type->help);
    type->table = table ? reading_keep(r, table)
                        : arena_printf(r->arena, "%.*s_%.*s", STR_ARG(type->pack), STR_ARG(type->name));
    if (!type->table.ptr)
        r->rc = err_nomem(r->err);
    else if (!pack_name_ok(str_slice(type->table, 0, PACK_NAME_MAX)) || type->table.len > 50)
        reading_fault(r, "type.table", type->table);
    type->fields = reading_take(r, TYPE_FIELDS_MAX, sizeof *type->fields);
    if (r->rc)
        return;
    for (int i = 0; i < COLUMN_OWN; i++)
        add_ready(r, &STANDARD[i], true);
    for (const struct ready_field *ready = COMMON[type->kind]; ready->name; ready++)
        if (!json_object_get(properties, ready->name))
            add_ready(r, ready, false);
    mark = reading_enter(r, "properties");
    json_object_foreach(properties, name, value)
    {
        const size_t at = reading_enter(r, name);
        read_field(r, name, value);
        reading_leave(r, at);
    }
    reading_leave(r, mark);
    read_required(r, schema);
    read_sort(r, schema);
    read_search(r, schema);
    read_keys(r, schema);
    read_label(r, schema);
    read_scope(r, schema);
    read_rules(r, schema);
    read_form(r, schema);
    type->list_count = read_names(r, json_object_get(schema, "x-list"), "x-list", &type->list, NULL);
    type->number = reading_keep(r, json_string_value(json_object_get(schema, "x-number")));
    mark = reading_enter(r, "x-number");
    if (type->number.len && type_field(type, STR("number")) < 0)
        reading_fault(r, "type.no_field", STR("number"));
    if (type->number.len)
        check_number(r, type->number);
    reading_leave(r, mark);
    type->flow = reading_keep(r, json_string_value(json_object_get(schema, "x-flow")));
    type->reopen = reading_keep(r, json_string_value(json_object_get(schema, "x-reopen")));
    type->clocks = json_object_get(schema, "x-clocks");
}

static enum err_code compile_file(struct types *types, const struct pack *pack, const struct pack_file *file,
                                  struct findings *findings, struct err *err)
{
    if (types->count == TYPES_MAX)
        return err_set(err, ERR_LIMIT, "type.types", ARG_INT("max", TYPES_MAX), ARG_END);
    struct entity_type *type = arena_alloc(types->arena, 1, sizeof *type);
    if (!type)
        return err_nomem(err);
    type->pack = pack->name;
    type->name = file->name;
    type->from = pack;
    type->file = file;
    type->schema = file->json;
    type->full = arena_printf(types->arena, "%.*s.%.*s", STR_ARG(pack->name), STR_ARG(file->name));
    if (!type->full.ptr)
        return err_nomem(err);
    struct reading reading = {
        .types = types, .type = type, .findings = findings, .arena = types->arena, .err = err
    };
    if (!pack_name_ok(type->name))
        reading_fault(&reading, "type.name", type->name);
    else
        read_type(&reading, file->json);
    if (!reading.rc && !reading.faults) {
        type->number_in_types = types->count;
        types->items[types->count++] = type;
    }
    return reading.rc;
}

/* ---- links ---- */

static const struct entity_relation *relation_find(struct str name)
{
    for (const struct entity_relation *relation = ENTITY_RELATIONS; relation->name; relation++)
        if (str_eq(str_from(relation->name), name))
            return relation;
    return NULL;
}

static void link_shape(struct types *types, struct entity_type *type, struct shape *shape, const char *field,
                       struct findings *findings)
{
    if (shape->ref.len) {
        shape->ref_relation = relation_find(shape->ref);
        shape->ref_type = shape->ref_relation ? NULL : types_find(types, shape->ref);
        if (!shape->ref_relation && !shape->ref_type) {
            char pointer[POINTER_MAX];
            snprintf(pointer, sizeof pointer, "/properties/%s", field);
            pack_finding(findings, type->from, type->file,
                         json_pointer_offset(type->file->text, str_from(pointer)), ERR_INVALID,
                         "type.no_type", shape->ref);
        }
    }
    if (shape->items)
        link_shape(types, type, shape->items, field, findings);
    for (int i = 0; i < shape->members_count; i++)
        link_shape(types, type, &shape->members[i].shape, field, findings);
}

/* core.grid is a type of pack core; where that is not loaded, the field holds any id. */
static void link_type(struct types *types, struct entity_type *type, struct findings *findings)
{
    for (int i = 0; i < type->fields_count; i++) {
        struct entity_field *field = &type->fields[i];
        if (field->common && !field->schema && !relation_find(field->shape.ref) &&
            !types_find(types, field->shape.ref))
            field->shape.ref = (struct str) { 0 };
        link_shape(types, type, &field->shape, field->name.ptr, findings);
    }
    for (int i = 0; i < types->count; i++)
        if (types->items[i] != type && str_eq(types->items[i]->table, type->table) &&
            types->items[i]->number_in_types < type->number_in_types)
            pack_finding(findings, type->from, type->file, 0, ERR_INVALID, "type.table_taken", type->table);
}

enum err_code types_compile(const struct packs *packs, struct findings *findings, struct types **out,
                            struct err *err)
{
    struct types *types = mem_alloc(1, sizeof *types);
    if (!types)
        return err_nomem(err);
    types->arena = arena_new(TYPES_BYTES_MAX);
    types->items = types->arena ? arena_alloc(types->arena, TYPES_MAX, sizeof *types->items) : NULL;
    if (!types->items) {
        types_free(types);
        return err_nomem(err);
    }
    enum err_code rc = ERR_OK;
    for (int i = 0; !rc && i < packs_count(packs); i++) {
        const struct pack *pack = packs_at(packs, i);
        for (int n = 0; !rc && n < pack->files_count; n++)
            if (pack->files[n].folder == PACK_TYPES && pack->files[n].json)
                rc = compile_file(types, pack, &pack->files[n], findings, err);
    }
    if (rc) {
        types_free(types);
        return err_in(err, "types.compile");
    }
    for (int i = 0; i < types->count; i++)
        link_type(types, types->items[i], findings);
    *out = types;
    return ERR_OK;
}

void types_free(struct types *types)
{
    if (!types)
        return;
    reading_patterns_free(types);
    arena_free(types->arena);
    mem_free(types);
}

int types_count(const struct types *types)
{
    return types->count;
}

const struct entity_type *types_at(const struct types *types, int i)
{
    return types->items[i];
}

const struct entity_type *types_find(const struct types *types, struct str full)
{
    for (int i = 0; i < types->count; i++)
        if (str_eq(types->items[i]->full, full))
            return types->items[i];
    return NULL;
}
