/* request.c - what handlers read of a request. */
#include "base/json.h"
#include "net/exchange.h"

#include <stdio.h>

/* ---- path, query, headers ---- */

struct str request_path(const struct request *req, const char *name)
{
    const struct exchange *x = exchange_of(req);
    return x->match.route ? match_value(&x->match, str_from(name)) : (struct str) { 0 };
}

enum err_code request_path_id(const struct request *req, const char *name, int64_t *out_id, struct err *err)
{
    int64_t id;
    if (!str_i64(request_path(req, name), &id) || id <= 0)
        return err_set(err, ERR_NOT_FOUND, "http.not_found", ARG_STR("path", req->path), ARG_END);
    *out_id = id;
    return ERR_OK;
}

static struct str look_up(const struct request *req, enum MHD_ValueKind kind, const char *name)
{
    const char *value = NULL;
    size_t len = 0;
    if (MHD_lookup_connection_value_n(exchange_of(req)->connection, kind, name, strlen(name), &value, &len) !=
        MHD_YES)
        return (struct str) { 0 };
    return value ? (struct str) { value, len } : STR("");
}

struct str request_query(const struct request *req, const char *name)
{
    return look_up(req, MHD_GET_ARGUMENT_KIND, name);
}

struct str request_header(const struct request *req, const char *name)
{
    return look_up(req, MHD_HEADER_KIND, name);
}

struct str request_cookie(const struct request *req, const char *name)
{
    return look_up(req, MHD_COOKIE_KIND, name);
}

enum err_code request_query_i64(const struct request *req, const char *name, int64_t least, int64_t most,
                                int64_t otherwise, int64_t *out, struct err *err)
{
    const struct str text = request_query(req, name);
    int64_t number = otherwise;
    if (text.ptr && (!str_i64(text, &number) || number < least || number > most)) {
        char pointer[80];
        const int len = snprintf(pointer, sizeof pointer, "/?%.70s", name);
        (void)err_set(err, ERR_INVALID, "http.number_range", ARG_INT("least", least), ARG_INT("most", most),
                      ARG_END);
        return err_pointer(err, (struct str) { pointer, (size_t)len });
    }
    *out = number;
    return ERR_OK;
}

enum err_code request_query_instant(const struct request *req, const char *name, int64_t otherwise,
                                    int64_t *out, struct err *err)
{
    const struct str text = request_query(req, name);
    char pointer[80];
    if (!text.len) {
        *out = otherwise;
        return ERR_OK;
    }
    if (!clock_parse(text, out, err))
        return ERR_OK;
    const int len = snprintf(pointer, sizeof pointer, "/?%.70s", name);
    return err_pointer(err, (struct str) { pointer, (size_t)len });
}

struct each_query {
    void (*each)(void *arg, struct str name, struct str text);
    void *arg;
};

static enum MHD_Result on_query(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                const char *value, size_t value_size)
{
    (void)kind;
    const struct each_query *query = cls;
    query->each(query->arg, (struct str) { key, key_size }, (struct str) { value ? value : "", value_size });
    return MHD_YES;
}

void request_query_each(const struct request *req, void (*each)(void *arg, struct str name, struct str text),
                        void *arg)
{
    struct each_query query = { each, arg };
    (void)MHD_get_connection_values_n(exchange_of(req)->connection, MHD_GET_ARGUMENT_KIND, on_query, &query);
}

/* ---- JSON body ---- */

struct str request_body(const struct request *req)
{
    return buf_get(&exchange_of(req)->body);
}

/* The deepest nesting outside of texts: the parser below would recurse that far. */
static int json_depth(struct str text)
{
    int depth = 0, deepest = 0;
    bool in_text = false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if (in_text && c == '\\')
            i++;
        else if (c == '"')
            in_text = !in_text;
        else if (!in_text && (c == '{' || c == '['))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!in_text && (c == '}' || c == ']'))
            depth--;
    }
    return deepest;
}

static bool is_json_type(struct str type)
{
    const ptrdiff_t semicolon = str_find(type, STR(";"));
    const struct str name = str_trim(semicolon < 0 ? type : str_slice(type, 0, (size_t)semicolon));
    return str_eq_nocase(name, STR("application/json")) ||
           (str_starts(name, STR("application/")) && str_ends(name, STR("+json")));
}

enum err_code request_json(struct request *req, json_t **out_json, struct err *err)
{
    struct exchange *x = exchange_of(req);
    if (x->json) {
        *out_json = x->json;
        return ERR_OK;
    }
    const struct str body = request_body(req);
    if (!body.len)
        return err_set(err, ERR_INVALID, "http.body_missing", ARG_END);
    if (!is_json_type(request_header(req, "Content-Type")))
        return err_set(err, ERR_INVALID, "http.content_type", ARG_TEXT("type", "application/json"), ARG_END);
    if (json_depth(body) > JSON_DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "http.json_depth", ARG_INT("max", JSON_DEPTH_MAX), ARG_END);
    json_error_t where;
    json_t *json = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (!json) {
        const enum json_error_code code = json_error_code(&where);
        const char *id = code == json_error_duplicate_key  ? "http.json_duplicate"
                         : code == json_error_invalid_utf8 ? "http.json_utf8"
                                                           : "base.json";
        (void)err_set(err, code == json_error_out_of_memory ? ERR_NOMEM : ERR_INVALID, id,
                      ARG_TEXT("reason", where.text), ARG_END);
        return err_at(err, where.line > 0 ? where.line : 1, where.column > 0 ? where.column : 1);
    }
    *out_json = x->json = json;
    return ERR_OK;
}

/* ---- findings ---- */

void request_finding(struct request *req, const struct err *one)
{
    struct err ignored;
    if (!req->findings) {
        struct findings *findings = arena_alloc(req->arena, 1, sizeof *findings);
        if (!findings || findings_init(findings, req->arena, &ignored))
            return;
        req->findings = findings;
    }
    findings_add(req->findings, one);
}

enum err_code request_findings_end(struct request *req, struct err *err)
{
    if (!req->findings || !req->findings->count)
        return ERR_OK;
    const int count = req->findings->count + req->findings->more;
    if (count == 1) {
        *err = req->findings->items[0];
        return err->code;
    }
    return err_set(err, ERR_INVALID, "http.findings", ARG_INT("count", count), ARG_END);
}

/* ---- fields ---- */

static void field_error(struct request *req, const char *base, const char *name, struct err *err)
{
    char pointer[160];
    const int len = snprintf(pointer, sizeof pointer, "%s/%s", base, name);
    (void)err_pointer(err, (struct str) { pointer, len < 0                        ? 0
                                                   : (size_t)len < sizeof pointer ? (size_t)len
                                                                                  : sizeof pointer - 1 });
    request_finding(req, err);
}

static bool take_text(const struct field *field, json_t *value, void *place, struct err *err)
{
    if (!json_is_string(value)) {
        (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "string"), ARG_END);
        return false;
    }
    const struct str text = json_to_str(value);
    const size_t most = field->most ? (size_t)field->most : 1000, len = utf8_len(text);
    if (len > most) {
        (void)err_set(err, ERR_LIMIT, "http.field_long", ARG_INT("max", most), ARG_END);
        return false;
    }
    if (len < (size_t)field->least) {
        (void)err_set(err, ERR_INVALID, "http.field_short", ARG_INT("min", field->least), ARG_END);
        return false;
    }
    *(struct str *)place = text;
    return true;
}

static bool take_number(const struct field *field, json_t *value, void *place, struct err *err)
{
    if (!json_is_integer(value)) {
        (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "integer"), ARG_END);
        return false;
    }
    const int64_t number = json_integer_value(value);
    if ((field->least || field->most) && (number < field->least || number > field->most)) {
        (void)err_set(err, ERR_INVALID, "http.number_range", ARG_INT("least", field->least),
                      ARG_INT("most", field->most), ARG_END);
        return false;
    }
    *(int64_t *)place = number;
    return true;
}

static bool take_id(json_t *value, void *place, struct err *err)
{
    const int64_t id = json_to_id(value);
    if (!id) {
        (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "id"), ARG_END);
        return false;
    }
    *(int64_t *)place = id;
    return true;
}

static bool take_field(const struct field *field, json_t *value, char *out, struct err *err)
{
    void *place = out + field->offset;
    switch (field->kind) {
    case FIELD_TEXT:
        return take_text(field, value, place, err);
    case FIELD_I64:
        return take_number(field, value, place, err);
    case FIELD_ID:
        return take_id(value, place, err);
    case FIELD_BOOL:
        if (!json_is_boolean(value)) {
            (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "boolean"), ARG_END);
            return false;
        }
        *(bool *)place = json_is_true(value);
        return true;
    case FIELD_JSON:
        *(json_t **)place = value;
        return true;
    }
    return false;
}

enum err_code request_fields_of(struct request *req, json_t *object, const char *pointer,
                                const struct field *fields, void *out, struct err *err)
{
    struct err one;
    if (!json_is_object(object)) {
        (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "object"), ARG_END);
        return err_pointer(err, str_from(pointer));
    }
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const struct field *field = fields;
        while (field->name && strcmp(field->name, key) != 0)
            field++;
        if (!field->name) {
            (void)err_set(&one, ERR_INVALID, "http.field_unknown", ARG_TEXT("name", key), ARG_END);
            field_error(req, pointer, key, &one);
            continue;
        }
        if (field->given)
            *((bool *)out + field->given - 1) = true;
        if (json_is_null(value) && !field->needed)
            continue;
        if (!take_field(field, value, out, &one))
            field_error(req, pointer, key, &one);
    }
    for (const struct field *field = fields; field->name; field++)
        if (field->needed && !json_object_get(object, field->name)) {
            (void)err_set(&one, ERR_INVALID, "http.field_missing", ARG_TEXT("name", field->name), ARG_END);
            field_error(req, pointer, field->name, &one);
        }
    return request_findings_end(req, err);
}

enum err_code request_fields(struct request *req, const struct field *fields, void *out, struct err *err)
{
    json_t *json = NULL;
    const enum err_code rc = request_json(req, &json, err);
    return rc ? rc : request_fields_of(req, json, "", fields, out, err);
}

/* ---- versions ---- */

enum err_code request_if_match(const struct request *req, int64_t *out_version, struct err *err)
{
    const struct str text = str_trim(request_header(req, "If-Match"));
    if (!text.len)
        return err_set(err, ERR_PRECONDITION, "http.if_match_missing", ARG_END);
    if (str_eq(text, STR("*"))) {
        *out_version = -1;
        return ERR_OK;
    }
    int64_t version;
    if (text.len < 3 || text.ptr[0] != '"' || text.ptr[text.len - 1] != '"' ||
        !str_i64(str_slice(text, 1, text.len - 1), &version) || version < 0)
        return err_set(err, ERR_INVALID, "http.if_match", ARG_STR("text", text), ARG_END);
    *out_version = version;
    return ERR_OK;
}

enum err_code request_check_version(struct request *req, int64_t given, int64_t current, struct err *err)
{
    if (given == -1 || given == current)
        return ERR_OK;
    (void)err_set(err, ERR_STALE, "http.stale", ARG_INT("given", given), ARG_INT("current", current),
                  ARG_END);
    (void)err_pointer(err, STR("/version"));
    (void)req;
    return ERR_STALE;
}

/* ---- uploads ---- */

int request_upload_count(const struct request *req)
{
    return exchange_of(req)->parts_count;
}

const struct upload *request_upload_at(const struct request *req, int i)
{
    return i >= 0 && i < exchange_of(req)->parts_count ? &exchange_of(req)->parts[i] : NULL;
}

enum err_code request_upload(const struct request *req, const char *part, struct upload *out, struct err *err)
{
    const struct exchange *x = exchange_of(req);
    for (int i = 0; i < x->parts_count; i++)
        if (!part || !x->parts[i].name.len || str_eq(x->parts[i].name, str_from(part))) {
            *out = x->parts[i];
            return ERR_OK;
        }
    (void)err_set(err, ERR_INVALID, "http.part_missing", ARG_TEXT("name", part ? part : "file"), ARG_END);
    return ERR_INVALID;
}
