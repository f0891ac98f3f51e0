/* routes.c - see routes.h */
#include "platform/query/routes.h"

#include "platform/entity/routes.h"
#include "store/store.h"

struct asked {
    const struct query_routes *routes;
    const struct query *query;
    struct entity_call call;
    struct request *req;
    struct buf *out;
};

static struct str param_of(void *arg, const char *name)
{
    const struct asked *asked = arg;
    return request_query(asked->req, name);
}

static enum err_code run_fn(struct tx *tx, void *arg, struct err *err)
{
    struct asked *asked = arg;
    buf_clear(asked->out);
    return query_run(asked->routes->queries, asked->query, &asked->call, tx, param_of, asked, asked->out,
                     err);
}

/* GET /api/v1/core/queries/{pack}/{name} */
static enum err_code query_get(struct request *req, struct reply *reply, struct err *err)
{
    struct asked asked = { .routes = req->ctx, .req = req };
    const struct entity_routes entity = { .entity = asked.routes->entity };
    struct buf out;
    asked.query = queries_find(asked.routes->queries, request_path(req, "pack"), request_path(req, "name"));
    if (!asked.query)
        return err_set(err, ERR_NOT_FOUND, "query.absent", ARG_STR("query", request_path(req, "name")),
                       ARG_END);
    enum err_code rc = entity_call_of(&entity, req, &asked.call, err);
    if (rc)
        return rc;
    buf_init(&out, (size_t)16 << 20);
    asked.out = &out;
    rc = store_read(asked.routes->store, run_fn, &asked, err);
    if (!rc) {
        const struct str kept = arena_str(req->arena, buf_get(&out));
        if (kept.ptr)
            reply_json_text(reply, kept);
        else
            rc = err_nomem(err);
    }
    buf_done(&out);
    return rc;
}

static const struct route ROUTES[] = {
    { "GET", "/api/v1/core/queries/{pack}/{name}", "*", query_get, 0 },
    { 0 },
};

enum err_code query_routes_add(struct http_server *server, struct query_routes *routes, struct err *err)
{
    return http_add_routes(server, ROUTES, routes, err);
}
