/* observe.h - the room as a whole: series, checks, collectors, probe nodes, their routes.
 *
 * Routes: core/checks (state of all), core/checks/{id}/state, core/checks/{id}/run, core/series,
 * core/series/{id}, core/probes, and for nodes /api/probe/v1 (docs/probe.md).
 * Live events: topic "check" {"id","node","up","cause","subject"} when a check comes up, goes down or fails
 * for another cause; only {"id"} to those who do not see every check; {"many":true} when too much changes at
 * once. Threads: any.  Layer: observe. */
#pragma once
#include "net/http.h"
#include "observe/probe/checks.h"
#include "observe/probe/nodes.h"

struct observe;
struct entity;
struct bus;
struct audit;

struct observe_config {
    struct store *store;
    struct entity *entity;
    struct bus *bus;
    struct audit *audit;
    struct http_server *http;
    struct ids *ids;
    const struct clock *clock;
    const char *data_dir; /* DIR/series */
    struct disk *disk;    /* on which it lies; NULL: the machine's */
    const char *ca_file;  /* further trusted certificates for checks; NULL */
    /* See checks.h; both may be NULL. */
    void (*feed)(void *ctx, int64_t node, const struct collect_result *results, size_t count);
    void (*changed)(void *ctx, int64_t id, const struct check_info *info, bool removed);
    /* Once a second, on a thread of our own; may be NULL. */
    void (*tick)(void *ctx);
    void *ctx;
};

/* Hooks the type ops.check (what a collector would refuse is refused when it is written): before
 * observe_open(), while the entity engine still takes hooks. */
MUST_CHECK enum err_code observe_hook(struct entity *entity, struct err *err);

/* Opens the series, loads nodes and checks, starts to collect, adds the routes. */
MUST_CHECK enum err_code observe_open(const struct observe_config *config, struct observe **out,
                                      struct err *err);
/* Those who wait for news go home: before the HTTP server drains. */
void observe_wake(struct observe *observe);
/* Accepts NULL. */
void observe_close(struct observe *observe);

struct series_store *observe_series(struct observe *observe);
struct checks *observe_checks(struct observe *observe);
struct nodes *observe_nodes(struct observe *observe);
/* Lines for /metrics. */
void observe_metrics(struct observe *observe, struct buf *out);
