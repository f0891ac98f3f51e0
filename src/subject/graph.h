/* graph.h - what hangs on what: relations between subjects, held in memory.
 *
 * A relation runs from one subject to another, has a kind and a time of validity.  A kind either carries
 * failure or not: when it does, trouble of `to` is trouble of `from` ("web site runs on server").
 * impact walks against such relations (who suffers when this fails), causes walks along them (what may be
 * the reason that this fails).  Changes are increments; nothing is rebuilt.
 * Threads: any number of readers, one change at a time; a walk sees one state.  Layer: subject. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define GRAPH_RELATIONS_MAX 5000000
#define GRAPH_WALK_MAX 5000 /* subjects one walk returns; the rest is counted, not listed */

enum relation_kind {
    RELATION_RUNS_ON,     /* 运行于: carries failure */
    RELATION_DEPENDS_ON,  /* 依赖: carries failure */
    RELATION_CONNECTS_BY, /* 经由(链路): carries failure */
    RELATION_PART_OF, /* 组成: the whole suffers; `from` is the part, so failure runs from `from` to `to` */
    RELATION_SERVED_BY,  /* 由…服务: carries failure */
    RELATION_LOCATED_AT, /* 位于: carries failure (a site without power) */
    RELATION_OWNED_BY,   /* 归属: does not */
    RELATION_EXCHANGES,  /* 数据交换: does not */
    RELATION__COUNT
};

/* The stable lower-case name ("runs_on"), and back; false when there is no such kind. */
const char *relation_name(enum relation_kind kind);
bool relation_from_name(struct str name, enum relation_kind *out_kind);

struct relation {
    int64_t id, from, to;
    enum relation_kind kind;
    int64_t valid_from_ms, valid_to_ms; /* [from, to); INT64_MIN and INT64_MAX where open */
};

struct graph;

/* An empty graph; NULL when there is no memory.  Caller frees. */
struct graph *graph_new(void) MUST_CHECK;
void graph_free(struct graph *graph);

/* Adds a relation, or replaces the one of the same id.
 * ERR_INVALID  from and to are the same subject.   ERR_LIMIT  GRAPH_RELATIONS_MAX.   ERR_NOMEM. */
MUST_CHECK enum err_code graph_put(struct graph *graph, const struct relation *relation, struct err *err);
/* Takes a relation out; nothing happens when it is not there. */
void graph_remove(struct graph *graph, int64_t relation_id);
size_t graph_size(const struct graph *graph);

enum graph_walk {
    GRAPH_AROUND, /* every relation, both ways: the picture of a neighbourhood */
    GRAPH_IMPACT, /* who suffers when the start fails */
    GRAPH_CAUSES, /* on what the start stands */
    GRAPH_WALK__COUNT
};

struct graph_step {
    int64_t subject;
    int depth;                       /* 1 = next to the start */
    const struct relation *relation; /* by which it was reached first; lives in the arena */
    int more; /* neighbours that the walk would have gone on to, had the depth allowed */
};

struct graph_answer {
    struct graph_step *steps; /* nearest first, ties by subject id; without the start; in the arena */
    int count;
    bool cut;                   /* more than GRAPH_WALK_MAX would have been found */
    struct relation *relations; /* all valid relations among start and steps, by id; in the arena */
    int relations_count;
};

/* Walks breadth first from `start`, at most `depth_max` steps far, over relations valid at `at_ms`.  Cycles
 * do no harm.  An unknown start answers no steps.  ERR_NOMEM when the arena is full. */
MUST_CHECK enum err_code graph_walk(struct graph *graph, enum graph_walk walk, int64_t start, int depth_max,
                                    int64_t at_ms, struct arena *arena, struct graph_answer *out_answer,
                                    struct err *err);

/* The nearest subject on which `start` stands for which `is_down` holds, or 0: the parent whose failure
 * explains this one.  `is_down` must not call back into the graph. */
int64_t graph_parent_down(struct graph *graph, int64_t start, int64_t at_ms,
                          bool (*is_down)(void *arg, int64_t subject), void *arg);
