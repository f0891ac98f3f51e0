/* checks.h - the checks of this installation: which there are, who runs them, and what came of them.
 *
 * Configuration is a copy in memory of the records ops.check, changed by increments; each change raises the
 * version, which is what probe nodes ask for.  Results of our own collectors and of probe nodes take one way:
 * series store (durable), state, triggers.  The series of a check carry the labels check, node, metric.
 * Invariant: nothing here waits for SQL.
 * Threads: any; the feed function is called from several at once.  Layer: observe. */
#pragma once
#include "observe/collect/collect.h"
#include "observe/series/series.h"

#include <jansson.h>

#define CHECK_NODES_MAX 50
#define CHECK_LOCAL 0     /* the node that is this server ... */
#define CHECK_LOCAL_ROW 1 /* ... which records name by this id, so that it can be chosen like the others */

struct checks;
struct check_info;

/* A change of state, for live pages. */
#define CHECK_TURNS_MAX 100
struct check_turn {
    int64_t id, node, org, subject, at_ms; /* id 0: more changed than are told */
    enum { CHECK_DOWN, CHECK_UP, CHECK_NO_DATA } state;
    const char *cause; /* name of it; "" when up */
};

struct checks_config {
    const struct clock *clock;
    struct series_store *series;
    struct collect *collect; /* of this server; NULL: it runs none */
    /* Results in the order of their instants, after they were stored (or could not be: detection goes on). */
    void (*feed)(void *ctx, int64_t node, const struct collect_result *results, size_t count);
    /* A check came up or went down at a node, or fails for another cause: after its state was changed, never
     * under a lock.  At most CHECK_TURNS_MAX of one batch are told by name; then once more with id 0: many.
     */
    void (*turned)(void *ctx, const struct check_turn *turn);
    void *turned_ctx;
    /* A check was added, changed or (`removed`) taken away. */
    void (*changed)(void *ctx, int64_t id, const struct check_info *info, bool removed);
    void *ctx;
};

/* What others want to know of a check. */
struct check_info {
    int64_t id, subject, service, org;
    enum collect_kind kind;
    int64_t interval_ms;
    int nodes;
    struct str name;
};

MUST_CHECK enum err_code checks_new(const struct checks_config *config, struct checks **out, struct err *err);
void checks_free(struct checks *checks);
/* The collector begins after checks_new(), since its sink is checks_sink(). */
void checks_collect_set(struct checks *checks, struct collect *collect);
/* As collect_config.sink, with the checks as its ctx. */
void checks_sink(void *ctx, const struct collect_result *results, size_t count);

/* Turns a record of type ops.check into what collect_set() takes; ERR_INVALID with the record's pointer. */
MUST_CHECK enum err_code check_spec(const json_t *record, json_t **out_spec, struct err *err);

/* Everything that checks_set() would refuse. */
MUST_CHECK enum err_code check_validate(const json_t *record, struct err *err);

/* Adds or replaces; a disabled one is removed.  ERR_INVALID, ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err_code checks_set(struct checks *checks, int64_t id, const json_t *record, struct err *err);
void checks_remove(struct checks *checks, int64_t id);

/* Results of one node, each with a sequence number, the first `sequence`; durable on return.
 * `*out_acknowledged` is the highest number that need not come again, `*out_missing` how many numbers before
 * the first one never came.  Node CHECK_LOCAL keeps no count.
 * ERR_DISK_FULL, ERR_IO, ERR_BUSY, ERR_NOMEM: to be sent again.  ERR_CONFLICT: see series_append(). */
MUST_CHECK enum err_code checks_take(struct checks *checks, const struct series_sender *sender,
                                     const struct collect_result *results, size_t count,
                                     uint64_t *out_acknowledged, uint64_t *out_missing, struct err *err);

/* The whole set of a node with its version as {"version":n,"checks":[{"id","version","spec"}]}, a new
 * reference; waits up to `wait_ms` while the version is still `known`, then *out is NULL. */
MUST_CHECK enum err_code checks_of_node(struct checks *checks, int64_t node, int64_t known, int wait_ms,
                                        json_t **out, struct err *err);
/* Those who wait go home (the process ends). */
void checks_wake(struct checks *checks);

/* What is known of a check now: {"id","nodes":[{"node","at","up","cause","detail","certificate","values":{},
 * "series":{}}]}, a new reference.  ERR_NOT_FOUND. */
MUST_CHECK enum err_code checks_state(struct checks *checks, int64_t id, json_t **out, struct err *err);
/* One line for each check: {"id","up":true|false|null,"at","cause","nodes":n,"nodes_up":m}. */
MUST_CHECK enum err_code checks_overview(struct checks *checks, json_t **out, struct err *err);
bool checks_has(struct checks *checks, int64_t id);
int checks_count(struct checks *checks);
/* True when the node runs a check. */
bool checks_node_used(struct checks *checks, int64_t node);

/* How each check stands at each node that has answered, until `each` returns false (then false).  With the
 * lock held: `each` only copies. */
bool checks_places(struct checks *checks,
                   bool (*each)(void *arg, int64_t node, int64_t since_ms, const struct collect_result *last),
                   void *arg);
/* As it stood before a restart; nothing is told.  Without effect where there is a result already, but for how
 * long it has been so, or where the check does not run there any more. */
void checks_restore(struct checks *checks, int64_t node, int64_t since_ms, const struct collect_result *last);
/* Has any come up, gone down or changed its cause since this was last asked? */
bool checks_turned(struct checks *checks);
