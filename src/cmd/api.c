/* api.c - GET /api/v1/openapi.json: the routes of every room and the records of every type, in one document.
 *
 * The tables of routes are the source; what a route does is the word api.METHOD.SEGMENTS
 * ("api.get.core.orgs.id"). docs/api.md is made of this document (tools/api-docs). */
#include "cmd/app.h"
#include "platform/entity/routes.h"

#include <ctype.h>
#include <stdio.h>

#define RECORDS "/api/v1/{pack}/{type}"

struct making {
    const struct app *app;
    struct request *req;
    json_t *paths; /* borrowed */
    bool failed;
};

/* Calls `each` for every segment that tells routes apart: without "api" and "v1", braces and an extension. */
static void each_segment(struct str path, void (*each)(struct buf *out, struct str segment), struct buf *out)
{
    struct str segment;
    while (str_cut(&path, '/', &segment)) {
        const ptrdiff_t dot = str_find(segment, STR("."));
        if (dot > 0)
            segment = str_slice(segment, 0, (size_t)dot);
        if (str_starts(segment, STR("{")))
            segment = str_slice(segment, 1, segment.len - 1);
        if (segment.len && !str_eq(segment, STR("api")) && !str_eq(segment, STR("v1")))
            each(out, segment);
    }
}

static void put_word(struct buf *out, struct str segment)
{
    buf_char(out, '.');
    buf_str(out, segment);
}

static void put_name(struct buf *out, struct str segment)
{
    buf_char(out, '_');
    buf_str(out, segment);
}

static struct str what_it_does(const struct making *making, const struct route *route, enum lang lang)
{
    struct buf key;
    buf_init(&key, 300);
    buf_text(&key, "api.");
    for (const char *c = route->method; *c; c++)
        buf_char(&key, (char)tolower((unsigned char)*c));
    each_segment(str_from(route->path), put_word, &key);
    const struct str text = words_get(making->app->words, lang, buf_get(&key));
    const struct str kept = arena_str(making->req->arena, text); /* it may be the key itself */
    buf_done(&key);
    return kept;
}

static json_t *parameter(struct str name, const char *in, const char *what)
{
    return json_pack("{s:s%, s:s, s:b, s:{s:s}, s:s}", "name", name.ptr, name.len, "in", in, "required",
                     strcmp(in, "path") == 0, "schema", "type", "string", "description", what);
}

static json_t *parameters_of(const struct route *route, const char *path)
{
    json_t *list = json_array();
    struct str rest = str_from(path), segment;
    while (str_cut(&rest, '/', &segment))
        if (str_starts(segment, STR("{")))
            (void)json_array_append_new(
                list, parameter(str_slice(segment, 1, segment.len - 1), "path", "a segment of the path"));
    if (strcmp(route->method, "POST") == 0 && *route->permission)
        (void)json_array_append_new(
            list, parameter(STR("Idempotency-Key"), "header", "the same answer again for 24 h"));
    else if (strcmp(route->method, "GET") != 0 && *route->permission)
        (void)json_array_append_new(
            list, parameter(STR("If-Match"), "header", "\"version\", where the answer to GET has an ETag"));
    return list;
}

static json_t *body_of(const struct route *route)
{
    const char *type = route->flags & ROUTE_UPLOAD ? "multipart/form-data" : "application/json";
    return json_pack("{s:{s:{s:{s:s}}}}", "content", type, "schema", "type", "object");
}

/* An operation without the schema of its answer, which only record types have. */
static json_t *plain_operation(const struct route *route, const char *path)
{
    struct buf id;
    buf_init(&id, 300);
    for (const char *c = route->method; *c; c++)
        buf_char(&id, (char)tolower((unsigned char)*c));
    each_segment(str_from(path), put_name, &id);
    json_t *op = json_pack("{s:s%, s:o, s:{s:{s:s}, s:{s:s}}}", "operationId", id.ptr, id.len, "parameters",
                           parameters_of(route, path), "responses", "2XX", "description", "OK", "default",
                           "$ref", "#/components/responses/Problem");
    buf_done(&id);
    if (strcmp(route->method, "GET") != 0 && strcmp(route->method, "DELETE") != 0)
        (void)json_object_set_new(op, "requestBody", body_of(route));
    return op;
}

static json_t *text(struct str s)
{
    return json_stringn(s.ptr ? s.ptr : "", s.len);
}

static void describe(struct making *making, const struct route *route, const char *path, struct str tag,
                     struct str permission, struct str summary)
{
    char method[16] = "";
    for (size_t i = 0; i + 1 < sizeof method && route->method[i]; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    json_t *item = json_object_get(making->paths, path);
    if (!item) {
        (void)json_object_set_new(making->paths, path, json_object());
        item = json_object_get(making->paths, path);
    }
    json_t *op = json_object_get(item, method);
    if (!op) {
        (void)json_object_set_new(item, method, plain_operation(route, path));
        op = json_object_get(item, method);
        /* what the path says of all its operations is not said twice */
        if (json_object_get(item, "parameters"))
            (void)json_object_del(op, "parameters");
    }
    (void)json_object_set_new(op, "summary", text(summary));
    (void)json_object_set_new(op, "tags", json_pack("[o]", text(tag)));
    (void)json_object_set_new(op, "x-permission", text(permission));
    if (!permission.len)
        (void)json_object_set_new(op, "security", json_array());
    making->failed = making->failed || !op || !json_object_get(op, "x-permission");
}

/* "/api/v1/{pack}/{type}/..." once for every type whose records are in the document already. */
static void expand(struct making *making, const struct route *route)
{
    const struct types *types = entity_types(making->app->entity);
    const struct str rest = str_from(route->path + sizeof RECORDS - 1);
    const char *action = strrchr(route->permission, '.');
    const struct str does = what_it_does(making, route, making->req->lang);
    for (int i = 0; i < types_count(types); i++) {
        const struct entity_type *type = types_at(types, i);
        struct arena *arena = making->req->arena;
        const struct str base =
            arena_printf(arena, "/api/v1/%.*s/%.*s", STR_ARG(type->pack), STR_ARG(type->name));
        const struct str path = arena_printf(arena, "%.*s%.*s", STR_ARG(base), STR_ARG(rest));
        const struct str permission = arena_printf(arena, "%.*s%s", STR_ARG(type->full), action);
        const struct str summary =
            arena_printf(arena, "%.*s: %.*s", STR_ARG(type->title[making->req->lang]), STR_ARG(does));
        making->failed = making->failed || !base.ptr || !path.ptr || !permission.ptr || !summary.ptr;
        if (making->failed || !json_object_get(making->paths, base.ptr))
            continue;
        const bool changes = strcmp(route->method, "PATCH") == 0 || strcmp(route->method, "DELETE") == 0;
        if (type->kind == TYPE_FACT && changes && str_eq(rest, STR("/{id}")))
            continue; /* facts are only added */
        describe(making, route, path.ptr, type->full, permission, summary);
    }
}

static void add_route(void *arg, const struct route *route)
{
    struct making *making = arg;
    if (strncmp(route->path, RECORDS, sizeof RECORDS - 1) == 0) {
        expand(making, route);
        return;
    }
    struct str rest = str_from(route->path), segment, tag = STR("self");
    while (str_cut(&rest, '/', &segment))
        if (segment.len && !str_eq(segment, STR("api")) && !str_eq(segment, STR("v1"))) {
            tag = segment;
            if (!str_eq(segment, STR("core")))
                break;
        }
    describe(making, route, route->path, tag, str_from(route->permission),
             what_it_does(making, route, making->req->lang));
}

/* GET /api/v1/openapi.json */
static enum err_code openapi_get(struct request *req, struct reply *reply, struct err *err)
{
    const struct app *app = req->ctx;
    struct entity_call call;
    json_t *json = NULL;
    enum err_code rc = entity_call_of(app->entity_routes, req, &call, err);
    if (!rc)
        rc = entity_openapi(&call, &json, err);
    if (rc)
        return rc;
    struct making making = { .app = app, .req = req, .paths = json_object_get(json, "paths") };
    http_routes_each(app->http, add_route, &making);
    if (making.failed) {
        json_decref(json);
        return err_nomem(err);
    }
    return reply_json(reply, json, err);
}

const struct route API_ROUTES[] = {
    { "GET", "/api/v1/openapi.json", "*", openapi_get, 0 },
    { 0 },
};
