/* graph.c - see graph.h
 *
 * Invariants: 1. edges[] and nodes[] grow only; a removed edge is on the free list and in no adjacency list.
 * 2. an edge stands in exactly two lists: out of nodes[from], in of nodes[to].  3. both maps are open
 * addressing, a power of two, at most half full; a slot holds index + 1, 0 is empty. */
#include "subject/graph.h"

#include <pthread.h>
#include <stdlib.h>

#define PARENT_DEPTH_MAX 8

enum { OUT, IN, ENDS };

struct edge {
    struct relation relation;
    int32_t next[ENDS], prev[ENDS]; /* in the list of from's out, of to's in; -1 ends */
    bool live;
};

struct node {
    int64_t subject;
    int32_t head[ENDS];
};

struct map {
    uint32_t *slots;
    size_t size;
};

struct graph {
    pthread_rwlock_t lock;
    struct edge *edges;
    struct node *nodes;
    size_t edges_count, edges_size, nodes_count, nodes_size, live;
    int32_t free_edge; /* linked by next[OUT] */
    struct map by_relation, by_subject;
};

static const struct {
    const char *name;
    int carries; /* 1: trouble of `to` is trouble of `from`; -1: the other way; 0: none */
} KINDS[RELATION__COUNT] = {
    [RELATION_RUNS_ON] = { "runs_on", 1 },         [RELATION_DEPENDS_ON] = { "depends_on", 1 },
    [RELATION_CONNECTS_BY] = { "connects_by", 1 }, [RELATION_PART_OF] = { "part_of", -1 },
    [RELATION_SERVED_BY] = { "served_by", 1 },     [RELATION_LOCATED_AT] = { "located_at", 1 },
    [RELATION_OWNED_BY] = { "owned_by", 0 },       [RELATION_EXCHANGES] = { "exchanges", 0 },
};

const char *relation_name(enum relation_kind kind)
{
    return KINDS[kind].name;
}

bool relation_from_name(struct str name, enum relation_kind *out_kind)
{
    for (int kind = 0; kind < RELATION__COUNT; kind++)
        if (str_eq(name, str_from(KINDS[kind].name))) {
            *out_kind = (enum relation_kind)kind;
            return true;
        }
    return false;
}

struct graph *graph_new(void)
{
    struct graph *graph = mem_alloc(1, sizeof *graph);
    if (graph) {
        graph->free_edge = -1;
        (void)pthread_rwlock_init(&graph->lock, NULL);
    }
    return graph;
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    (void)pthread_rwlock_destroy(&graph->lock);
    mem_free(graph->edges);
    mem_free(graph->nodes);
    mem_free(graph->by_relation.slots);
    mem_free(graph->by_subject.slots);
    mem_free(graph);
}

size_t graph_size(const struct graph *graph)
{
    return graph->live;
}

static size_t spread(int64_t id)
{
    uint64_t x = (uint64_t)id * 0x9e3779b97f4a7c15u;
    return (size_t)(x ^ x >> 32);
}

static int64_t key_of(const struct graph *graph, const struct map *map, uint32_t slot)
{
    return map == &graph->by_relation ? graph->edges[slot - 1].relation.id : graph->nodes[slot - 1].subject;
}

/* The slot of a key: filled, or the empty one where it would go. */
static uint32_t *slot_of(const struct graph *graph, const struct map *map, int64_t key)
{
    size_t at = spread(key) & (map->size - 1);
    while (map->slots[at] && key_of(graph, map, map->slots[at]) != key)
        at = (at + 1) & (map->size - 1);
    return &map->slots[at];
}

static int32_t find(const struct graph *graph, const struct map *map, int64_t key)
{
    return map->size ? (int32_t)*slot_of(graph, map, key) - 1 : -1;
}

static bool map_reserve(const struct graph *graph, struct map *map, size_t count)
{
    if ((count + 1) * 2 <= map->size)
        return true;
    const struct map old = *map;
    const size_t size = old.size ? old.size * 2 : 64;
    uint32_t *slots = mem_alloc(size, sizeof *slots);
    if (!slots)
        return false;
    map->slots = slots;
    map->size = size;
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i])
            *slot_of(graph, map, key_of(graph, map, old.slots[i])) = old.slots[i];
    mem_free(old.slots);
    return true;
}

static void map_remove(const struct graph *graph, struct map *map, int64_t key)
{
    uint32_t *slot = slot_of(graph, map, key);
    if (!*slot)
        return;
    *slot = 0;
    /* put back what stood behind it, so that no search ends early */
    for (size_t at = ((size_t)(slot - map->slots) + 1) & (map->size - 1); map->slots[at];
         at = (at + 1) & (map->size - 1)) {
        const uint32_t moved = map->slots[at];
        map->slots[at] = 0;
        *slot_of(graph, map, key_of(graph, map, moved)) = moved;
    }
}

static bool array_reserve(void **array, size_t *size, size_t count, size_t item)
{
    if (count < *size)
        return true;
    const size_t want = *size ? *size * 2 : 64;
    void *grown = mem_realloc(*array, want * item);
    if (!grown)
        return false;
    *array = grown;
    *size = want;
    return true;
}

/* Index of the subject's node, made when it is missing; -1 when there is no memory. */
static int32_t node_of(struct graph *graph, int64_t subject)
{
    const int32_t known = find(graph, &graph->by_subject, subject);
    if (known >= 0)
        return known;
    if (!array_reserve((void **)&graph->nodes, &graph->nodes_size, graph->nodes_count,
                       sizeof *graph->nodes) ||
        !map_reserve(graph, &graph->by_subject, graph->nodes_count))
        return -1;
    graph->nodes[graph->nodes_count] = (struct node) { subject, { -1, -1 } };
    graph->nodes_count++;
    *slot_of(graph, &graph->by_subject, subject) = (uint32_t)graph->nodes_count;
    return (int32_t)graph->nodes_count - 1;
}

static void list_edge(struct graph *graph, int32_t index, int end, int32_t node)
{
    struct edge *edge = &graph->edges[index];
    int32_t *head = &graph->nodes[node].head[end];
    edge->prev[end] = -1;
    edge->next[end] = *head;
    if (*head >= 0)
        graph->edges[*head].prev[end] = index;
    *head = index;
}

static void unlist_edge(struct graph *graph, int32_t index, int end)
{
    const struct edge *edge = &graph->edges[index];
    const int64_t subject = end == OUT ? edge->relation.from : edge->relation.to;
    if (edge->prev[end] >= 0)
        graph->edges[edge->prev[end]].next[end] = edge->next[end];
    else
        graph->nodes[find(graph, &graph->by_subject, subject)].head[end] = edge->next[end];
    if (edge->next[end] >= 0)
        graph->edges[edge->next[end]].prev[end] = edge->prev[end];
}

static void remove_edge(struct graph *graph, int32_t index)
{
    struct edge *edge = &graph->edges[index];
    map_remove(graph, &graph->by_relation, edge->relation.id);
    unlist_edge(graph, index, OUT);
    unlist_edge(graph, index, IN);
    edge->live = false;
    edge->next[OUT] = graph->free_edge;
    graph->free_edge = index;
    graph->live--;
}

static enum err_code put_locked(struct graph *graph, const struct relation *relation, struct err *err)
{
    const int32_t old = find(graph, &graph->by_relation, relation->id);
    if (old < 0 && graph->live == GRAPH_RELATIONS_MAX)
        return err_set(err, ERR_LIMIT, "subject.relations_max", ARG_INT("max", GRAPH_RELATIONS_MAX), ARG_END);
    /* everything that can fail comes before the first change */
    const int32_t from = node_of(graph, relation->from), to = node_of(graph, relation->to);
    if (from < 0 || to < 0 || !map_reserve(graph, &graph->by_relation, graph->live) ||
        (graph->free_edge < 0 && old < 0 &&
         !array_reserve((void **)&graph->edges, &graph->edges_size, graph->edges_count,
                        sizeof *graph->edges)))
        return err_nomem(err);
    if (old >= 0)
        remove_edge(graph, old);
    const int32_t index = graph->free_edge >= 0 ? graph->free_edge : (int32_t)graph->edges_count;
    if (graph->free_edge >= 0)
        graph->free_edge = graph->edges[index].next[OUT];
    else
        graph->edges_count++;
    graph->edges[index].relation = *relation;
    graph->edges[index].live = true;
    list_edge(graph, index, OUT, from);
    list_edge(graph, index, IN, to);
    *slot_of(graph, &graph->by_relation, relation->id) = (uint32_t)index + 1;
    graph->live++;
    return ERR_OK;
}

enum err_code graph_put(struct graph *graph, const struct relation *relation, struct err *err)
{
    if (relation->from == relation->to)
        return err_set(err, ERR_INVALID, "subject.relation_self", ARG_END);
    (void)pthread_rwlock_wrlock(&graph->lock);
    const enum err_code rc = put_locked(graph, relation, err);
    (void)pthread_rwlock_unlock(&graph->lock);
    return rc;
}

void graph_remove(struct graph *graph, int64_t relation_id)
{
    (void)pthread_rwlock_wrlock(&graph->lock);
    const int32_t index = find(graph, &graph->by_relation, relation_id);
    if (index >= 0)
        remove_edge(graph, index);
    (void)pthread_rwlock_unlock(&graph->lock);
}

/* May this walk go over the edge, coming from the side `end` (OUT: we stand at its `from`)? */
static bool passes(const struct edge *edge, enum graph_walk walk, int end, int64_t at_ms)
{
    if (at_ms < edge->relation.valid_from_ms || at_ms >= edge->relation.valid_to_ms)
        return false;
    const int carries = KINDS[edge->relation.kind].carries;
    if (walk == GRAPH_AROUND)
        return true;
    /* causes: from the one that suffers to the one that fails; impact: the other way */
    const int towards_cause = end == OUT ? 1 : -1;
    return carries != 0 && (walk == GRAPH_CAUSES ? carries == towards_cause : carries == -towards_cause);
}

struct frontier {
    struct graph_step *steps;
    int32_t *nodes; /* nodes[0] is the start, nodes[i + 1] belongs to steps[i] */
    uint8_t *seen;  /* a bit a node of the graph */
    int count;
    bool cut;
};

static bool mark_seen(struct frontier *frontier, int32_t node)
{
    const uint8_t bit = (uint8_t)(1u << (node & 7));
    const bool first = !(frontier->seen[node >> 3] & bit);
    frontier->seen[node >> 3] |= bit;
    return first;
}

static void visit(const struct graph *graph, enum graph_walk walk, int32_t node, int depth, int64_t at_ms,
                  struct frontier *frontier)
{
    for (int end = 0; end < ENDS; end++)
        for (int32_t at = graph->nodes[node].head[end]; at >= 0; at = graph->edges[at].next[end]) {
            const struct edge *edge = &graph->edges[at];
            if (!passes(edge, walk, end, at_ms))
                continue;
            const int64_t subject = end == OUT ? edge->relation.to : edge->relation.from;
            const int32_t other = find(graph, &graph->by_subject, subject);
            if (!mark_seen(frontier, other))
                continue;
            if (frontier->count == GRAPH_WALK_MAX) {
                frontier->cut = true;
                return;
            }
            frontier->steps[frontier->count] = (struct graph_step) { subject, depth, &edge->relation, 0 };
            frontier->nodes[++frontier->count] = other;
        }
}

/* Neighbours of a node at the rim that are not in the answer. */
static int count_beyond(const struct graph *graph, enum graph_walk walk, int32_t node, int64_t at_ms,
                        const struct frontier *frontier)
{
    int count = 0;
    for (int end = 0; end < ENDS; end++)
        for (int32_t at = graph->nodes[node].head[end]; at >= 0; at = graph->edges[at].next[end]) {
            const struct edge *edge = &graph->edges[at];
            if (!passes(edge, walk, end, at_ms))
                continue;
            const int32_t other =
                find(graph, &graph->by_subject, end == OUT ? edge->relation.to : edge->relation.from);
            count += !(frontier->seen[other >> 3] & 1u << (other & 7));
        }
    return count;
}

static int by_depth_and_subject(const void *a, const void *b)
{
    const struct graph_step *x = a, *y = b;
    return x->depth != y->depth ? x->depth - y->depth : (x->subject > y->subject) - (x->subject < y->subject);
}

static int by_relation_id(const void *a, const void *b)
{
    const struct relation *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* All valid relations between two subjects of the answer: each once, found at its `from`. */
static enum err_code collect_relations(const struct graph *graph, const struct frontier *frontier,
                                       int64_t at_ms, struct arena *arena, struct graph_answer *answer,
                                       struct err *err)
{
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1 && !(answer->relations = arena_alloc(arena, count, sizeof *answer->relations)))
            return err_nomem(err);
        for (int i = 0; i <= frontier->count; i++)
            for (int32_t at = graph->nodes[frontier->nodes[i]].head[OUT]; at >= 0;
                 at = graph->edges[at].next[OUT]) {
                const struct edge *edge = &graph->edges[at];
                const int32_t to = find(graph, &graph->by_subject, edge->relation.to);
                if (!passes(edge, GRAPH_AROUND, OUT, at_ms) || !(frontier->seen[to >> 3] & 1u << (to & 7)))
                    continue;
                if (pass == 0)
                    count++;
                else
                    answer->relations[answer->relations_count++] = edge->relation;
            }
    }
    qsort(answer->relations, count, sizeof *answer->relations, by_relation_id);
    return ERR_OK;
}

static enum err_code walk_locked(const struct graph *graph, enum graph_walk walk, int64_t start,
                                 int depth_max, int64_t at_ms, struct arena *arena,
                                 struct graph_answer *answer, struct err *err)
{
    const int32_t first = find(graph, &graph->by_subject, start);
    if (first < 0)
        return ERR_OK;
    struct frontier frontier = {
        .steps = arena_alloc(arena, GRAPH_WALK_MAX, sizeof *frontier.steps),
        .nodes = arena_alloc(arena, GRAPH_WALK_MAX + 1, sizeof *frontier.nodes),
        .seen = arena_alloc(arena, graph->nodes_count / 8 + 1, 1),
    };
    if (!frontier.steps || !frontier.nodes || !frontier.seen)
        return err_nomem(err);
    frontier.nodes[0] = first;
    (void)mark_seen(&frontier, first);
    for (int i = 0; i <= frontier.count; i++) {
        const int depth = i ? frontier.steps[i - 1].depth + 1 : 1;
        if (depth <= depth_max)
            visit(graph, walk, frontier.nodes[i], depth, at_ms, &frontier);
    }
    for (int i = 0; i < frontier.count; i++)
        if (frontier.steps[i].depth == depth_max)
            frontier.steps[i].more = count_beyond(graph, walk, frontier.nodes[i + 1], at_ms, &frontier);
    answer->steps = frontier.steps;
    answer->count = frontier.count;
    answer->cut = frontier.cut;
    const enum err_code rc = collect_relations(graph, &frontier, at_ms, arena, answer, err);
    for (int i = 0; !rc && i < answer->count; i++) { /* the graph may change once the lock is gone */
        struct relation *copy = arena_alloc(arena, 1, sizeof *copy);
        if (!copy)
            return err_nomem(err);
        *copy = *answer->steps[i].relation;
        answer->steps[i].relation = copy;
    }
    if (!rc)
        qsort(answer->steps, (size_t)answer->count, sizeof *answer->steps, by_depth_and_subject);
    return rc;
}

enum err_code graph_walk(struct graph *graph, enum graph_walk walk, int64_t start, int depth_max,
                         int64_t at_ms, struct arena *arena, struct graph_answer *out_answer, struct err *err)
{
    struct graph_answer answer = { 0 };
    (void)pthread_rwlock_rdlock(&graph->lock);
    const enum err_code rc = walk_locked(graph, walk, start, depth_max, at_ms, arena, &answer, err);
    (void)pthread_rwlock_unlock(&graph->lock);
    if (!rc)
        *out_answer = answer;
    return rc;
}

int64_t graph_parent_down(struct graph *graph, int64_t start, int64_t at_ms,
                          bool (*is_down)(void *arg, int64_t subject), void *arg)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)16 << 20);
    struct graph_answer answer;
    struct err err;
    /* without memory nothing is held back: an alarm too many is better than one too few */
    if (!arena || graph_walk(graph, GRAPH_CAUSES, start, PARENT_DEPTH_MAX, at_ms, arena, &answer, &err))
        return 0;
    for (int i = 0; i < answer.count; i++)
        if (is_down(arg, answer.steps[i].subject))
            return answer.steps[i].subject;
    return 0;
}
