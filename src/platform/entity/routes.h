/* routes.h - the HTTP side of records, of their types, and of what packs show.
 *
 *   /api/v1/{pack}/{type}[/{id}[/history]], .../import, .../export
 *   /api/v1/{pack}/{type}/{id}/files[/{file}]   attachments (attach.c)
 *   /api/v1/core/imports/{id}[/cancel|/faults]   imports that run as jobs (import_routes.c)
 *   /api/v1/core/types[/{pack}/{type}]   core/pages/{pack}/{name}
 * Layer: platform/entity. */
#pragma once
#include "net/http.h"
#include "platform/entity/entity.h"

struct files;
struct import_jobs;

/* The context of the routes; plain data, must outlive the server. */
struct entity_routes {
    struct entity *entity;
    struct store *store;
    const struct packs *packs;
    const struct words *words;
    struct files *files;         /* attachments; NULL: no routes for them */
    const char *temp_dir;        /* of exports being written; NULL: /tmp */
    struct audit *audit;         /* reads of sensitive fields; may be NULL */
    struct import_jobs *imports; /* tables of any length; NULL: no routes for them */
};
MUST_CHECK enum err_code entity_routes_add(struct http_server *server, struct entity_routes *routes,
                                           struct err *err);

extern const struct route ENTITY_FILE_ROUTES[];   /* attach.c */
extern const struct route ENTITY_IMPORT_ROUTES[]; /* import_routes.c */

/* The upload of the request becomes an import job: {"job": id}. */
MUST_CHECK enum err_code import_begin(struct request *req, const struct entity_call *call,
                                      const struct entity_type *type, struct reply *reply, struct err *err);

/* The call of a request: who, language, arena, findings. */
MUST_CHECK enum err_code entity_call_of(const struct entity_routes *routes, struct request *req,
                                        struct entity_call *out, struct err *err);

/* A type as the browser draws it: JSON Schema with titles in one language, code lists expanded, and the
 * actions that `who` may do in x-permissions.  `tx` reads dictionaries; NULL leaves them out. */
MUST_CHECK enum err_code entity_type_json(const struct entity_call *call, struct tx *tx,
                                          const struct entity_type *type, json_t **out, struct err *err);
/* The interface of records as OpenAPI 3.1, to which others add theirs; types the caller may not read are left
 * out. */
MUST_CHECK enum err_code entity_openapi(const struct entity_call *call, json_t **out, struct err *err);
