/* router.h - from method and path to a route: a tree of segments, the fixed one before {name}.
 *
 * Built before the server starts and never changed after, so that it needs no lock.  Layer: net. */
#pragma once
#include "net/http.h"

#define ROUTER_SEGMENTS_MAX 12
#define ROUTER_ROUTES_MAX 2000

struct router;

struct match {
    const struct route *route;
    void *ctx;
    int count; /* of {name} segments */
    struct str values[ROUTER_SEGMENTS_MAX];
};

struct router *router_new(void) MUST_CHECK;
void router_free(struct router *router);

/* ERR_CONFLICT: method and path are there; ERR_INVALID: not a path; ERR_LIMIT; ERR_NOMEM. */
MUST_CHECK enum err_code router_add(struct router *router, const struct route *route, void *ctx,
                                    struct err *err);

enum router_answer { ROUTER_NONE, ROUTER_OTHER_METHOD, ROUTER_FOUND };
/* HEAD finds GET.  The values point into `path`. */
enum router_answer router_find(const struct router *router, struct str method, struct str path,
                               struct match *out);
/* The methods that the path has, "GET, POST", for Allow. */
void router_methods(const struct router *router, struct str path, struct buf *out);

/* The value of {name} in a match; ptr NULL when the route has none. */
struct str match_value(const struct match *match, struct str name);
/* Puts the values into a permission such as "{pack}.{type}.read"; ptr NULL when the arena is full. */
struct str match_permission(const struct match *match, struct arena *arena);

/* All routes, sorted by path, then method. */
void router_each(const struct router *router, void (*each)(void *arg, const struct route *route), void *arg);
