/* routes.h - the routes of the room; see observe.h.  Layer: observe. */
#pragma once
#include "net/http.h"
#include "observe/probe/checks.h"
#include "observe/probe/nodes.h"

struct entity;

struct routes_ctx {
    struct store *store;
    struct entity *entity; /* NULL (tests): no row scope */
    struct series_store *series;
    struct checks *checks;
    struct nodes *nodes;
    const struct clock *clock;
    struct collect *collect;
    _Atomic int waiting; /* nodes in a long poll */
};

extern const struct route OBSERVE_ROUTES[];

/* One result as a node sends it, and back. */
MUST_CHECK enum err_code result_from_json(const json_t *json, struct collect_result *out, struct err *err);
json_t *result_to_json(const struct collect_result *result) MUST_CHECK; /* NULL: no memory */
