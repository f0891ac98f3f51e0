/* routes.h - GET /api/v1/core/queries/{pack}/{name}?param=...
 * Layer: platform/query. */
#pragma once
#include "net/http.h"
#include "platform/query/query.h"

/* Plain data; must outlive the server. */
struct query_routes {
    struct queries *queries;
    struct entity *entity;
    struct store *store;
};
MUST_CHECK enum err_code query_routes_add(struct http_server *server, struct query_routes *routes,
                                          struct err *err);
