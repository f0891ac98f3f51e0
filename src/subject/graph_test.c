#include "subject/graph.h"
#include "test.h"

#define OPEN INT64_MIN, INT64_MAX

static void put(struct graph *graph, int64_t id, int64_t from, enum relation_kind kind, int64_t to)
{
    struct err err;
    test_ok(graph_put(graph, &(struct relation) { id, from, to, kind, OPEN }, &err) == ERR_OK, "put %d",
            (int)id);
}

/* site 1 runs on server 2, server 2 stands at room 3 and is connected by link 4; disk 5 is part of server 2;
 * service 6 is served by site 1; unit 7 owns site 1. */
static struct graph *sample(void)
{
    struct graph *graph = graph_new();
    put(graph, 101, 1, RELATION_RUNS_ON, 2);
    put(graph, 102, 2, RELATION_LOCATED_AT, 3);
    put(graph, 103, 2, RELATION_CONNECTS_BY, 4);
    put(graph, 104, 5, RELATION_PART_OF, 2);
    put(graph, 105, 6, RELATION_SERVED_BY, 1);
    put(graph, 106, 1, RELATION_OWNED_BY, 7);
    return graph;
}

/* What the walk gives: "depth:subject ", or with `more` "subject+more ". */
static void check(struct graph *graph, enum graph_walk walk, int64_t start, int depth, bool more,
                  const char *want)
{
    struct arena *arena = arena_new(1 << 20);
    struct graph_answer answer;
    struct err err;
    char got[200] = "";
    test_ok(graph_walk(graph, walk, start, depth, 0, arena, &answer, &err) == ERR_OK, "walks");
    for (int i = 0; i < answer.count; i++) {
        const struct graph_step *step = &answer.steps[i];
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), more ? "%d+%d " : "%d:%d ",
                       more ? (int)step->subject : step->depth, more ? step->more : (int)step->subject);
    }
    test_ok(strcmp(got, want) == 0, "from %d got '%s', not '%s'", (int)start, got, want);
    arena_free(arena);
}

static void expect(struct graph *graph, enum graph_walk walk, int64_t start, int depth, const char *want)
{
    check(graph, walk, start, depth, false, want);
}

static void expect_more(struct graph *graph, enum graph_walk walk, int64_t start, int depth, const char *want)
{
    check(graph, walk, start, depth, true, want);
}

static void test_walks(void **state)
{
    (void)state;
    struct graph *graph = sample();
    expect(graph, GRAPH_CAUSES, 1, 9, "1:2 2:3 2:4 2:5 ");
    expect(graph, GRAPH_IMPACT, 3, 9, "1:2 2:1 3:6 ");
    expect(graph, GRAPH_IMPACT, 5, 9, "1:2 2:1 3:6 ");
    expect(graph, GRAPH_IMPACT, 7, 9, "");
    expect(graph, GRAPH_AROUND, 1, 1, "1:2 1:6 1:7 ");
    expect(graph, GRAPH_AROUND, 99, 3, "");
    put(graph, 107, 3, RELATION_DEPENDS_ON, 1); /* a cycle */
    expect(graph, GRAPH_CAUSES, 1, 9, "1:2 2:3 2:4 2:5 ");
    graph_remove(graph, 101);
    graph_remove(graph, 101);
    expect(graph, GRAPH_CAUSES, 1, 9, "");
    test_ok(graph_size(graph) == 6, "size");
    graph_free(graph);
}

/* What lies past the depth is counted at the node behind which it lies, in the direction of the walk. */
static void test_more(void **state)
{
    (void)state;
    struct graph *graph = sample();
    expect_more(graph, GRAPH_AROUND, 1, 1, "2+3 6+0 7+0 ");
    expect_more(graph, GRAPH_CAUSES, 1, 1, "2+3 ");
    expect_more(graph, GRAPH_IMPACT, 3, 1, "2+1 ");
    expect_more(graph, GRAPH_IMPACT, 3, 2, "2+0 1+1 ");
    expect_more(graph, GRAPH_AROUND, 1, 2, "2+0 6+0 7+0 3+0 4+0 5+0 ");
    graph_free(graph);
}

static void test_validity_and_replacement(void **state)
{
    (void)state;
    struct graph *graph = graph_new();
    struct err err;
    struct relation relation = { 1, 10, 20, RELATION_RUNS_ON, 100, 200 };
    test_ok(graph_put(graph, &relation, &err) == ERR_OK, "put");
    expect(graph, GRAPH_CAUSES, 10, 9, ""); /* at 0 it is not yet valid */
    relation.valid_from_ms = 0;
    relation.to = 30;
    test_ok(graph_put(graph, &relation, &err) == ERR_OK, "replaced");
    expect(graph, GRAPH_CAUSES, 10, 9, "1:30 ");
    expect(graph, GRAPH_IMPACT, 20, 9, "");
    relation.valid_to_ms = 0;
    test_ok(graph_put(graph, &relation, &err) == ERR_OK, "ended");
    expect(graph, GRAPH_CAUSES, 10, 9, "");
    relation.to = relation.from;
    test_ok(graph_put(graph, &relation, &err) == ERR_INVALID, "no relation to itself");
    graph_free(graph);
}

static bool is_one_of(void *arg, int64_t subject)
{
    for (const int64_t *down = arg; *down; down++)
        if (*down == subject)
            return true;
    return false;
}

static void test_parent_down(void **state)
{
    (void)state;
    struct graph *graph = sample();
    int64_t link_and_room[] = { 4, 3, 0 }, site[] = { 1, 0 }, nothing[] = { 0 };
    test_ok(graph_parent_down(graph, 1, 0, is_one_of, link_and_room) == 3, "the nearest, then the lower id");
    test_ok(graph_parent_down(graph, 6, 0, is_one_of, site) == 1, "direct");
    test_ok(graph_parent_down(graph, 1, 0, is_one_of, site) == 0, "not itself");
    test_ok(graph_parent_down(graph, 1, 0, is_one_of, nothing) == 0, "none");
    graph_free(graph);
}

/* Random changes against a plain list of relations. */
static void test_against_a_plain_list(void **state)
{
    (void)state;
    enum { IDS = 120, SUBJECTS = 30 };
    struct relation list[IDS] = { 0 };
    struct graph *graph = graph_new();
    struct err err;
    srand(7);
    for (int round = 0; round < 4000; round++) {
        const int id = rand() % IDS;
        const int64_t from = 1 + rand() % SUBJECTS, to = 1 + rand() % SUBJECTS;
        if (rand() % 3 == 0 || from == to) {
            graph_remove(graph, id + 1000);
            list[id].id = 0;
        } else {
            list[id] = (struct relation) { id + 1000, from, to,
                                           (enum relation_kind)(rand() % RELATION__COUNT), OPEN };
            test_ok(graph_put(graph, &list[id], &err) == ERR_OK, "put");
        }
        if (round % 16)
            continue;
        bool seen[SUBJECTS + 1] = { false };
        const int64_t start = 1 + rand() % SUBJECTS;
        seen[start] = true;
        int reached = 0;
        for (bool changed = true; changed;) {
            changed = false;
            for (int i = 0; i < IDS; i++) {
                if (!list[i].id || list[i].kind == RELATION_OWNED_BY || list[i].kind == RELATION_EXCHANGES)
                    continue;
                const bool part = list[i].kind == RELATION_PART_OF;
                const int64_t victim = part ? list[i].to : list[i].from,
                              cause = part ? list[i].from : list[i].to;
                if (seen[cause] && !seen[victim]) {
                    seen[victim] = changed = true;
                    reached++;
                }
            }
        }
        struct arena *arena = arena_new(1 << 20);
        struct graph_answer answer;
        test_ok(graph_walk(graph, GRAPH_IMPACT, start, 1000, 0, arena, &answer, &err) == ERR_OK, "walks");
        test_ok(answer.count == reached, "round %d: %d, not %d", round, answer.count, reached);
        for (int i = 0; i < answer.count; i++)
            test_ok(seen[answer.steps[i].subject], "subject");
        arena_free(arena);
    }
    graph_free(graph);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        const long before = mem_live();
        struct err err;
        mem_fail_at(nth);
        struct graph *graph = graph_new();
        struct arena *arena = arena_new(1 << 20);
        enum err_code rc = graph && arena ? ERR_OK : ERR_NOMEM;
        for (int64_t i = 1; !rc && i <= 100; i++)
            rc = graph_put(graph, &(struct relation) { i, i, i + 1, RELATION_RUNS_ON, OPEN }, &err);
        struct graph_answer answer;
        if (!rc)
            rc = graph_walk(graph, GRAPH_CAUSES, 1, 200, 0, arena, &answer, &err);
        arena_free(arena);
        graph_free(graph);
        mem_fail_at(-1);
        test_ok(mem_live() == before && (rc == ERR_OK || rc == ERR_NOMEM), "at %ld", nth);
        if (!rc)
            return;
    }
}

TEST_MAIN(TEST(test_walks), TEST(test_more), TEST(test_validity_and_replacement), TEST(test_parent_down),
          TEST(test_against_a_plain_list), TEST(test_out_of_memory))
