/* routes.c - see routes.h: requests become calls of the engine, and answers become replies. */
#include "platform/entity/routes.h"

#include "platform/audit/audit.h"
#include "platform/entity/internal.h"
#include "platform/entity/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_REPLY_MAX ((size_t)32 << 20)

/* What a store function needs; lives in the request's arena. */
struct work {
    struct entity_call call;
    const struct entity_type *type;
    struct entity_list list;
    struct fact_window facts;
    int64_t id, version;
    const json_t *json;
    struct buf *out;
    json_t *made;
    int64_t count;
    bool exact, later; /* later: the answer is read behind the commit */
};

/* ---- what every handler does first and last ---- */

enum err_code entity_call_of(const struct entity_routes *routes, struct request *req, struct entity_call *out,
                             struct err *err)
{
    struct findings *findings = arena_alloc(req->arena, 1, sizeof *findings);
    const enum err_code rc = findings ? findings_init(findings, req->arena, err) : err_nomem(err);
    if (rc)
        return rc;
    const struct str labels = request_query(req, "labels");
    *out = (struct entity_call) {
        .entity = routes->entity,
        .who = req->who,
        .lang = req->lang,
        .arena = req->arena,
        .findings = findings,
        .labels = labels.len && !str_eq(labels, STR("0")),
        .remote = req->remote,
        .request_id = req->id,
    };
    return ERR_OK;
}

static enum err_code work_begin(struct request *req, struct work *work, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    char full[2 * PACK_NAME_MAX + 2];
    const struct str pack = request_path(req, "pack"), type = request_path(req, "type");
    *work = (struct work) { 0 };
    (void)snprintf(full, sizeof full, "%.*s.%.*s", STR_ARG(pack), STR_ARG(type));
    work->type =
        pack.len > PACK_NAME_MAX || type.len > PACK_NAME_MAX ? NULL : entity_type_find(routes->entity, full);
    if (!work->type)
        return err_set(err, ERR_NOT_FOUND, "entity.no_type", ARG_TEXT("type", full), ARG_END);
    return entity_call_of(routes, req, &work->call, err);
}

/* ?as_of=INSTANT&known_until=INSTANT: the facts that held then; the one that is absent is now. */
static enum err_code read_window(struct request *req, struct work *work, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    const char *given = request_query(req, "as_of").len         ? "/?as_of"
                        : request_query(req, "known_until").len ? "/?known_until"
                                                                : NULL;
    if (!given)
        return ERR_OK;
    if (work->type->kind != TYPE_FACT) {
        (void)err_set(err, ERR_INVALID, "entity.no_facts", ARG_STR("type", work->type->full), ARG_END);
        return err_pointer(err, str_from(given));
    }
    const int64_t now = clock_now(routes->entity->config.clock);
    const enum err_code rc = request_query_instant(req, "as_of", now, &work->facts.as_of, err);
    work->call.facts = &work->facts;
    return rc ? rc : request_query_instant(req, "known_until", now, &work->facts.known_until, err);
}

/* All faults of a record become errors[] of the problem. */
static enum err_code work_failed(struct request *req, const struct work *work, enum err_code rc,
                                 struct err *err)
{
    const struct findings *findings = work->call.findings;
    if (rc == ERR_INVALID && findings && findings->count) {
        for (int i = 0; i < findings->count; i++)
            request_finding(req, &findings->items[i]);
        return request_findings_end(req, err);
    }
    if (rc == ERR_STALE && err->args[0].name && err->args[1].name)
        return request_check_version(req, err->args[0].number, err->args[1].number, err);
    return rc;
}

static void clear_findings(struct work *work)
{
    work->call.findings->count = work->call.findings->more = 0; /* the function may run twice */
}

/* The filter for the audit, without its texts where it speaks of sealed values: "phone = \"...\"". */
static struct str filter_told(struct request *req, const struct work *work)
{
    const struct str filter = work->list.filter;
    bool sealed = false;
    for (int i = 0; i < work->type->fields_count; i++)
        sealed = sealed || (work->type->fields[i].mask && str_find(filter, work->type->fields[i].name) >= 0);
    char *out = sealed ? arena_alloc(req->arena, filter.len * 2 + 8, 1) : NULL;
    if (!out)
        return sealed ? (struct str) { 0 } : filter;
    size_t len = 0;
    for (size_t i = 0; i < filter.len; i++) {
        out[len++] = filter.ptr[i];
        if (filter.ptr[i] != '"')
            continue;
        for (i++; i < filter.len && filter.ptr[i] != '"'; i++)
            i += filter.ptr[i] == '\\';
        memcpy(out + len, "...\"", 4);
        len += 4;
    }
    return (struct str) { out, len };
}

/* Reading what is sealed, in the clear, is an act. */
static enum err_code tell_reveal(struct request *req, const struct work *work, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    const struct principal *who = req->who;
    if (!routes->audit || !work->type->sensitive || !call_sees_plain(&work->call, work->type))
        return ERR_OK;
    const struct audit_line line = {
        .action = "reveal",
        .object_type = work->type->full,
        .object_id = work->id,
        .detail = work->id ? (struct str) { 0 } : filter_told(req, work),
        .user_id = who ? who->user_id : 0,
        .user_name = who ? who->login : (struct str) { 0 },
        .remote = req->remote,
        .request_id = req->id,
    };
    return audit_read(routes->audit, &line, err);
}

/* The text of a buffer that ends before the request does. */
static enum err_code reply_buf(struct request *req, struct reply *reply, const struct buf *out,
                               struct err *err)
{
    const struct str kept = arena_str(req->arena, buf_get(out));
    if (!kept.ptr)
        return err_nomem(err);
    reply_json_text(reply, kept);
    return ERR_OK;
}

/* ---- lists ---- */

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    buf_clear(work->out);
    return entity_list_json(&work->call, tx, work->type, &work->list, work->out, err);
}

static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    return entity_count(&work->call, tx, work->type, &work->list, &work->count, &work->exact, err);
}

static enum err_code reply_count(struct work *work, struct reply *reply, struct err *err)
{
    return reply_json(reply, json_pack("{s:I, s:b}", "count", (json_int_t)work->count, "exact", work->exact),
                      err);
}

/* GET /api/v1/{pack}/{type} */
static enum err_code records_list(struct request *req, struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    struct work work;
    struct buf out;
    int64_t limit = 0, count = 0;
    enum err_code rc = work_begin(req, &work, err);
    if (!rc)
        rc = request_query_i64(req, "limit", 1, ENTITY_PAGE_MAX, 50, &limit, err);
    if (!rc)
        rc = request_query_i64(req, "count", 0, 1, 0, &count, err);
    if (!rc)
        rc = read_window(req, &work, err);
    if (rc)
        return rc;
    work.list = (struct entity_list) { .filter = request_query(req, "filter"),
                                       .text = request_query(req, "q"),
                                       .sort = request_query(req, "sort"),
                                       .after = request_query(req, "after"),
                                       .limit = (int)limit };
    if (count) {
        work.list.after = (struct str) { 0 };
        rc = store_read(routes->store, count_fn, &work, err);
        return rc ? rc : reply_count(&work, reply, err);
    }
    buf_init(&out, LIST_REPLY_MAX);
    work.out = &out;
    rc = tell_reveal(req, &work, err);
    if (!rc)
        rc = store_read(routes->store, list_fn, &work, err);
    if (!rc)
        rc = reply_buf(req, reply, &out, err);
    buf_done(&out);
    return rc;
}

/* ---- one record ---- */

static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    buf_clear(work->out);
    return entity_get_json(&work->call, tx, work->type, work->id, &work->version, work->out, err);
}

/* The answer of a write is read within it, as what one may not read one may not write either.  Who reads all
 * records gets it read behind the commit: on PostgreSQL reading the newest row conflicts with all that are
 * being made beside it. */
static enum err_code answer_fn(struct work *work, struct tx *tx, struct err *err)
{
    work->later =
        scope_is_all(&work->call, work->type, "read") && !call_may(&work->call, work->type, "read", NULL);
    return work->later ? ERR_OK : get_fn(tx, work, err);
}

static enum err_code create_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    bool shown = false;
    clear_findings(work);
    buf_clear(work->out);
    work->later = false;
    work->version = 1;
    const enum err_code rc =
        entity_create_json(&work->call, tx, work->type, work->json, &work->id, &shown, work->out, err);
    return rc || shown ? rc : answer_fn(work, tx, err);
}

static enum err_code update_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    int64_t version = 0;
    clear_findings(work);
    const enum err_code rc =
        entity_update(&work->call, tx, work->type, work->id, work->count, work->json, &version, err);
    return rc ? rc : get_fn(tx, arg, err);
}

static enum err_code delete_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    return entity_delete(&work->call, tx, work->type, work->id, work->count, err);
}

static enum err_code history_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    buf_clear(work->out);
    return entity_history_json(&work->call, tx, work->type, work->id, work->out, err);
}

/* Runs `fn` and replies with the record it left in work.out. */
static enum err_code run(struct request *req, struct work *work, store_fn fn, bool write, struct reply *reply,
                         struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    struct buf out;
    buf_init(&out, LIST_REPLY_MAX);
    work->out = &out;
    if (write)
        entity_wait_room(routes->entity, work->type);
    enum err_code rc =
        write ? store_write_shared(routes->store, fn, work, err) : store_read(routes->store, fn, work, err);
    if (!rc && work->later)
        rc = store_read(routes->store, get_fn, work, err);
    if (rc)
        rc = work_failed(req, work, rc, err);
    else
        rc = reply_buf(req, reply, &out, err);
    buf_done(&out);
    return rc;
}

/* GET /api/v1/{pack}/{type}/{id} */
static enum err_code record_get(struct request *req, struct reply *reply, struct err *err)
{
    struct work work;
    enum err_code rc = work_begin(req, &work, err);
    if (!rc)
        rc = request_path_id(req, "id", &work.id, err);
    if (!rc)
        rc = read_window(req, &work, err);
    if (!rc)
        rc = tell_reveal(req, &work, err);
    if (!rc)
        rc = run(req, &work, get_fn, false, reply, err);
    if (!rc)
        reply_version(reply, work.version);
    return rc;
}

/* GET /api/v1/{pack}/{type}/{id}/history */
static enum err_code record_history(struct request *req, struct reply *reply, struct err *err)
{
    struct work work;
    enum err_code rc = work_begin(req, &work, err);
    if (!rc)
        rc = request_path_id(req, "id", &work.id, err);
    return rc ? rc : run(req, &work, history_fn, false, reply, err);
}

/* POST /api/v1/{pack}/{type} */
static enum err_code record_create(struct request *req, struct reply *reply, struct err *err)
{
    struct work work;
    json_t *json = NULL;
    enum err_code rc = work_begin(req, &work, err);
    if (!rc)
        rc = request_json(req, &json, err);
    if (rc)
        return rc;
    work.json = json;
    rc = run(req, &work, create_fn, true, reply, err);
    if (rc)
        return rc;
    const struct str location = arena_printf(req->arena, "/api/v1/%.*s/%.*s/%lld", STR_ARG(work.type->pack),
                                             STR_ARG(work.type->name), (long long)work.id);
    if (!location.ptr)
        return err_nomem(err);
    reply_created(reply, location);
    reply_version(reply, work.version);
    return tell_reveal(req, &work, err);
}

/* The version of If-Match; "*" is whatever it is now. */
static enum err_code read_match(struct request *req, struct work *work, struct err *err)
{
    int64_t version = 0;
    enum err_code rc = request_path_id(req, "id", &work->id, err);
    if (!rc)
        rc = request_if_match(req, &version, err);
    work->count = version < 0 ? 0 : version;
    if (!rc && version == 0) /* no record has it, so it is stale */
        work->count = -1;
    return rc;
}

/* PATCH /api/v1/{pack}/{type}/{id} */
static enum err_code record_update(struct request *req, struct reply *reply, struct err *err)
{
    struct work work;
    json_t *json = NULL;
    enum err_code rc = work_begin(req, &work, err);
    if (!rc)
        rc = read_match(req, &work, err);
    if (!rc)
        rc = request_json(req, &json, err);
    work.json = json;
    if (!rc)
        rc = run(req, &work, update_fn, true, reply, err);
    if (!rc)
        reply_version(reply, work.version);
    return rc ? rc : tell_reveal(req, &work, err); /* the answer holds the whole record */
}

/* DELETE /api/v1/{pack}/{type}/{id} */
static enum err_code record_delete(struct request *req, struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    struct work work;
    enum err_code rc = work_begin(req, &work, err);
    if (!rc)
        rc = read_match(req, &work, err);
    if (!rc)
        rc = store_write_shared(routes->store, delete_fn, &work, err);
    if (rc)
        return work_failed(req, &work, rc, err);
    reply_empty(reply);
    return ERR_OK;
}

/* ---- tables ---- */

static json_t *finding_json(const struct entity_routes *routes, struct request *req, const struct err *one)
{
    struct err bare = *one;
    bare.at.line = bare.at.column = 0; /* they stand beside the message, not in it */
    const struct str message = err_text(req->arena, &bare, routes->words, req->lang);
    return json_pack("{s:i, s:i, s:s, s:s, s:s}", "line", one->at.line, "column", one->at.column, "pointer",
                     one->at.pointer, "code", one->id, "message", message.ptr ? message.ptr : one->id);
}

static enum err_code read_upload(struct request *req, struct arena *arena, struct str *out, struct err *err)
{
    struct upload upload;
    struct buf text;
    enum err_code rc = request_upload(req, "file", &upload, NULL);
    if (rc)
        rc = request_upload(req, "", &upload, err);
    if (rc)
        return rc;
    buf_init(&text, TABLE_BYTES_MAX);
    rc = buf_read_fd(&text, upload.fd, err);
    if (!rc) {
        *out = arena_str(arena, buf_get(&text));
        if (!out->ptr)
            rc = err_nomem(err);
    }
    buf_done(&text);
    return rc;
}

static enum err_code import_with(struct request *req, struct work *work, struct arena *arena,
                                 struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    struct table_import import = { .dry_run = request_query(req, "dry_run").len > 0 };
    enum err_code rc = read_upload(req, arena, &import.text, err);
    if (rc)
        return rc;
    work->call.arena = arena;
    rc = entity_import(&work->call, work->type, &import, err);
    const struct findings *findings = work->call.findings;
    if (rc && (rc != ERR_INVALID || !findings->count))
        return rc;
    if (rc && !import.dry_run)
        return work_failed(req, work, rc, err);
    json_t *errors = json_array();
    for (int i = 0; i < findings->count; i++)
        json_array_append_new(errors, finding_json(routes, req, &findings->items[i]));
    return reply_json(reply,
                      json_pack("{s:s?, s:I, s:I, s:I, s:I, s:o, s:i}", "charset", import.charset, "rows",
                                (json_int_t)import.rows, "created", (json_int_t)import.created, "updated",
                                (json_int_t)import.updated, "unchanged", (json_int_t)import.unchanged,
                                "errors", errors, "more", findings->more),
                      err);
}

/* POST /api/v1/{pack}/{type}/import?dry_run=1: the CSV as body, or as part `file`; ?job=1: import_routes.c */
static enum err_code records_import(struct request *req, struct reply *reply, struct err *err)
{
    struct work work;
    enum err_code rc = work_begin(req, &work, err);
    if (!rc && request_query(req, "job").len)
        return import_begin(req, &work.call, work.type, reply, err);
    if (rc)
        return rc;
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)512 << 20);
    return arena ? import_with(req, &work, arena, reply, err) : err_nomem(err);
}

/* A name for a temporary file, in the folder of the server's own. */
static enum err_code export_to(struct request *req, struct work *work, enum table_format format,
                               bool header_only, struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    char path[4100];
    struct stat st;
    (void)snprintf(path, sizeof path, "%.4000s/export-XXXXXX", routes->temp_dir ? routes->temp_dir : "/tmp");
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    (void)close(fd);
    enum err_code rc =
        entity_export(&work->call, work->type, &work->list, format, path, header_only, NULL, err);
    fd = rc ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    (void)unlink(path);
    if (rc)
        return rc;
    if (fd < 0 || fstat(fd, &st)) {
        if (fd >= 0)
            (void)close(fd);
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    }
    reply_fd(reply, table_format_type(format), fd, st.st_size);
    return ERR_OK;
}

static enum err_code tell_export(struct request *req, const struct work *work, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    const struct principal *who = req->who;
    if (!routes->audit)
        return ERR_OK;
    const struct audit_line line = { .action = "export",
                                     .object_type = work->type->full,
                                     .detail = filter_told(req, work),
                                     .user_id = who ? who->user_id : 0,
                                     .user_name = who ? who->login : (struct str) { 0 },
                                     .remote = req->remote,
                                     .request_id = req->id };
    return audit_read(routes->audit, &line, err);
}

/* GET /api/v1/{pack}/{type}/export?format=csv|xlsx|json&filter&q&sort[&template=1] */
static enum err_code records_export(struct request *req, struct reply *reply, struct err *err)
{
    struct work work;
    enum table_format format = TABLE_CSV;
    const struct str name = request_query(req, "format");
    enum err_code rc = work_begin(req, &work, err);
    if (!rc && name.len && !table_format_read(name, &format)) {
        (void)err_set(err, ERR_INVALID, "entity.format", ARG_TEXT("want", "csv, xlsx, json"), ARG_END);
        return err_pointer(err, STR("/?format"));
    }
    if (!rc)
        rc = read_window(req, &work, err);
    if (rc)
        return rc;
    work.list = (struct entity_list) { .filter = request_query(req, "filter"),
                                       .text = request_query(req, "q"),
                                       .sort = request_query(req, "sort"),
                                       .limit = 1 };
    rc = tell_export(req, &work, err);
    if (!rc)
        rc = tell_reveal(req, &work, err);
    if (!rc)
        rc = export_to(req, &work, format, request_query(req, "template").len > 0, reply, err);
    if (rc)
        return rc;
    const struct str file = arena_printf(req->arena, "%.*s.%s", STR_ARG(work.type->title[req->lang]),
                                         format == TABLE_CSV    ? "csv"
                                         : format == TABLE_XLSX ? "xlsx"
                                                                : "json");
    if (!file.ptr)
        return err_nomem(err);
    reply_download(reply, file);
    return ERR_OK;
}

/* ---- types ---- */

static enum err_code types_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    json_decref(work->made);
    work->made = NULL;
    return entity_type_json(&work->call, tx, work->type, &work->made, err);
}

/* GET /api/v1/core/types/{pack}/{type} */
static enum err_code type_get(struct request *req, struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    struct work work;
    enum err_code rc = work_begin(req, &work, err);
    if (!rc && call_may(&work.call, work.type, "read", err))
        rc = err_set(err, ERR_NOT_FOUND, "entity.no_type", ARG_STR("type", work.type->full), ARG_END);
    if (!rc)
        rc = store_read(routes->store, types_fn, &work, err);
    if (rc) {
        json_decref(work.made);
        return rc;
    }
    return reply_json(reply, work.made, err);
}

/* GET /api/v1/core/types */
static enum err_code types_list(struct request *req, struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    static const char *const kinds[TYPE_KIND__COUNT] = { "plain", "subject", "fact", "case" };
    static const char *const actions[] = { "read",   "create", "update",   "delete",
                                           "import", "export", "sensitive" };
    struct entity_call call;
    const enum err_code rc = entity_call_of(routes, req, &call, err);
    if (rc)
        return rc;
    json_t *items = json_array();
    for (int i = 0; i < types_count(entity_types(routes->entity)); i++) {
        const struct entity_type *type = types_at(entity_types(routes->entity), i);
        json_t *permissions = json_array();
        if (call_may(&call, type, "read", NULL)) {
            json_decref(permissions);
            continue;
        }
        for (size_t n = 0; n < sizeof actions / sizeof *actions; n++)
            if (!call_may(&call, type, actions[n], NULL))
                json_array_append_new(permissions, json_string(actions[n]));
        json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "pack", type->pack.ptr,
                                               "type", type->name.ptr, "kind", kinds[type->kind], "title",
                                               type->title[req->lang].ptr, "search", type->search_count > 0,
                                               "permissions", permissions));
    }
    return reply_json(reply, json_pack("{s:o}", "items", items), err);
}

/* ---- what packs show ---- */

/* GET /api/v1/core/pages/{pack}/{name} */
static enum err_code page_get(struct request *req, struct reply *reply, struct err *err)
{
    const struct entity_routes *routes = req->ctx;
    const struct pack *pack = packs_find(routes->packs, request_path(req, "pack"));
    const struct pack_file *file = pack ? pack_file_find(pack, PACK_PAGES, request_path(req, "name")) : NULL;
    if (!file || !file->json)
        return err_set(err, ERR_NOT_FOUND, "entity.no_page", ARG_STR("page", request_path(req, "name")),
                       ARG_END);
    const char *permission = json_string_value(json_object_get(file->json, "permission"));
    if (permission && !principal_may(req->who, str_from(permission)))
        return err_set(err, ERR_FORBIDDEN, "entity.forbidden", ARG_TEXT("permission", permission), ARG_END);
    return reply_json(reply, json_incref(file->json), err);
}

/* clang-format off */
static const struct route ROUTES[] = {
    { "GET",    "/api/v1/core/types",                     "*",                      types_list,     0 },
    { "GET",    "/api/v1/core/types/{pack}/{type}",       "*",                      type_get,       0 },
    { "GET",    "/api/v1/core/pages/{pack}/{name}",       "*",                      page_get,       0 },
    { "GET",    "/api/v1/{pack}/{type}",                  "{pack}.{type}.read",     records_list,   0 },
    { "POST",   "/api/v1/{pack}/{type}",                  "{pack}.{type}.create",   record_create,  0 },
    { "POST",   "/api/v1/{pack}/{type}/import",           "{pack}.{type}.import",   records_import, ROUTE_UPLOAD | ROUTE_LONG },
    { "GET",    "/api/v1/{pack}/{type}/export",           "{pack}.{type}.export",   records_export, ROUTE_LONG },
    { "GET",    "/api/v1/{pack}/{type}/{id}",             "{pack}.{type}.read",     record_get,     0 },
    { "PATCH",  "/api/v1/{pack}/{type}/{id}",             "{pack}.{type}.update",   record_update,  0 },
    { "DELETE", "/api/v1/{pack}/{type}/{id}",             "{pack}.{type}.delete",   record_delete,  0 },
    { "GET",    "/api/v1/{pack}/{type}/{id}/history",     "{pack}.{type}.read",     record_history, 0 },
    { 0 },
};
/* clang-format on */

enum err_code entity_routes_add(struct http_server *server, struct entity_routes *routes, struct err *err)
{
    enum err_code rc = http_add_routes(server, ROUTES, routes, err);
    if (!rc && routes->imports)
        rc = http_add_routes(server, ENTITY_IMPORT_ROUTES, routes, err);
    return rc || !routes->files ? rc : http_add_routes(server, ENTITY_FILE_ROUTES, routes, err);
}
