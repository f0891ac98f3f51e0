/* attach.c - attachments of records: who may read the record may read them, who may change it may change
 * them. */
#include "base/json.h"
#include "platform/audit/audit.h"
#include "platform/entity/internal.h"
#include "platform/entity/routes.h"
#include "platform/files/files.h"

#include <stdio.h>
#include <unistd.h>

struct attaching {
    const struct entity_routes *routes;
    struct entity_call call;
    const struct entity_type *type;
    int64_t id, file;
    const char *action; /* what the caller must be allowed to do with the record */
    struct file_info info, *list;
    int count;
};

static enum err_code begin(struct request *req, const char *action, struct attaching *a, struct err *err)
{
    char full[2 * PACK_NAME_MAX + 2];
    const struct str pack = request_path(req, "pack"), type = request_path(req, "type");
    *a = (struct attaching) { .routes = req->ctx, .action = action };
    (void)snprintf(full, sizeof full, "%.*s.%.*s", STR_ARG(str_slice(pack, 0, PACK_NAME_MAX)),
                   STR_ARG(str_slice(type, 0, PACK_NAME_MAX)));
    a->type = entity_type_find(a->routes->entity, full);
    if (!a->type)
        return err_set(err, ERR_NOT_FOUND, "entity.no_type", ARG_TEXT("type", full), ARG_END);
    enum err_code rc = request_path_id(req, "id", &a->id, err);
    if (!rc && request_path(req, "file").len)
        rc = request_path_id(req, "file", &a->file, err);
    return rc ? rc : entity_call_of(a->routes, req, &a->call, err);
}

/* The record is there within the caller's read scope (404), and within that of the action (403). */
static enum err_code reach(struct attaching *a, struct tx *tx, struct err *err)
{
    bool found = false;
    enum err_code rc = row_reached(&a->call, tx, a->type, a->id, "read", &found, err);
    if (!rc && !found)
        return err_set(err, ERR_NOT_FOUND, "entity.not_found", ARG_END);
    if (!rc)
        rc = row_reached(&a->call, tx, a->type, a->id, a->action, &found, err);
    return rc || found ? rc : err_set(err, ERR_FORBIDDEN, "entity.out_of_scope", ARG_END);
}

static enum err_code reach_fn(struct tx *tx, void *arg, struct err *err)
{
    return reach(arg, tx, err);
}

/* The file is one of this record's. */
static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct attaching *a = arg;
    enum err_code rc = reach(a, tx, err);
    if (!rc)
        rc = files_get(tx, a->file, a->call.arena, &a->info, err);
    if (!rc && (a->info.owner != a->id || !str_eq(a->info.owner_type, a->type->full)))
        rc = err_set(err, ERR_NOT_FOUND, "files.absent", ARG_END);
    return rc;
}

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct attaching *a = arg;
    const enum err_code rc = reach(a, tx, err);
    return rc ? rc : files_list(tx, a->type->full, a->id, a->call.arena, &a->list, &a->count, err);
}

static enum err_code delete_fn(struct tx *tx, void *arg, struct err *err)
{
    struct attaching *a = arg;
    enum err_code rc = get_fn(tx, arg, err);
    if (!rc)
        rc = files_delete(tx, a->file, err);
    return rc ? rc
              : audit_record(&a->call, tx, a->type, "detach", a->id, a->info.name, (struct str) { 0 },
                             (struct str) { 0 }, err);
}

static enum err_code added_fn(struct tx *tx, void *arg, struct err *err)
{
    struct attaching *a = arg;
    return audit_record(&a->call, tx, a->type, "attach", a->id, a->info.name, (struct str) { 0 },
                        (struct str) { 0 }, err);
}

static json_t *info_json(const struct file_info *info)
{
    return json_pack("{s:o, s:o, s:o, s:I, s:s, s:o, s:o}", "id", json_id(info->id), "name",
                     json_str(info->name), "type", json_str(info->type), "size", (json_int_t)info->size,
                     "sha256", info->digest, "created_at", json_instant(info->created_at), "created_by",
                     json_id(info->created_by));
}

/* GET /api/v1/{pack}/{type}/{id}/files */
static enum err_code files_get_all(struct request *req, struct reply *reply, struct err *err)
{
    struct attaching a;
    enum err_code rc = begin(req, "read", &a, err);
    if (!rc)
        rc = store_read(a.routes->store, list_fn, &a, err);
    if (rc)
        return rc;
    json_t *items = json_array();
    for (int i = 0; i < a.count; i++)
        json_array_append_new(items, info_json(&a.list[i]));
    return reply_json(reply, json_pack("{s:o}", "items", items), err);
}

/* POST /api/v1/{pack}/{type}/{id}/files: a part `file` of multipart/form-data */
static enum err_code file_add(struct request *req, struct reply *reply, struct err *err)
{
    struct attaching a;
    struct upload upload;
    enum err_code rc = begin(req, "update", &a, err);
    if (!rc)
        rc = store_read(a.routes->store, reach_fn, &a, err);
    if (!rc)
        rc = request_upload(req, "file", &upload, err);
    if (rc)
        return rc;
    const struct principal *who = req->who;
    a.info = (struct file_info) { .name = upload.file_name,
                                  .owner_type = a.type->full,
                                  .owner = a.id,
                                  .created_by = who ? who->user_id : 0 };
    rc = files_put(a.routes->files, upload.fd, upload.size, &a.info, err);
    if (!rc)
        rc = store_write(a.routes->store, added_fn, &a, err);
    if (rc)
        return rc;
    const struct str location =
        arena_printf(req->arena, "/api/v1/%.*s/%.*s/%lld/files/%lld", STR_ARG(a.type->pack),
                     STR_ARG(a.type->name), (long long)a.id, (long long)a.info.id);
    if (!location.ptr)
        return err_nomem(err);
    reply_created(reply, location);
    return reply_json(reply, info_json(&a.info), err);
}

/* GET /api/v1/{pack}/{type}/{id}/files/{file}: always as a download, so that no content runs in our pages */
static enum err_code file_get(struct request *req, struct reply *reply, struct err *err)
{
    struct attaching a;
    int fd = -1;
    enum err_code rc = begin(req, "read", &a, err);
    if (!rc)
        rc = store_read(a.routes->store, get_fn, &a, err);
    if (!rc)
        rc = files_content(a.routes->files, &a.info, &fd, err);
    if (rc)
        return rc;
    reply_fd(reply, a.info.type.ptr, fd, a.info.size);
    reply_download(reply, a.info.name);
    return ERR_OK;
}

/* DELETE /api/v1/{pack}/{type}/{id}/files/{file} */
static enum err_code file_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct attaching a;
    enum err_code rc = begin(req, "update", &a, err);
    if (!rc)
        rc = store_write(a.routes->store, delete_fn, &a, err);
    if (!rc)
        reply_empty(reply);
    return rc;
}

/* clang-format off */
const struct route ENTITY_FILE_ROUTES[] = {
    { "GET",    "/api/v1/{pack}/{type}/{id}/files",        "{pack}.{type}.read",   files_get_all, 0 },
    { "POST",   "/api/v1/{pack}/{type}/{id}/files",        "{pack}.{type}.update", file_add,      ROUTE_UPLOAD | ROUTE_LONG },
    { "GET",    "/api/v1/{pack}/{type}/{id}/files/{file}", "{pack}.{type}.read",   file_get,      ROUTE_LONG },
    { "DELETE", "/api/v1/{pack}/{type}/{id}/files/{file}", "{pack}.{type}.update", file_delete,   0 },
    { 0 },
};
/* clang-format on */
