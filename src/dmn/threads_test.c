#include "test.h"

#include "dmn/models_test.h"

#include <pthread.h>

enum { THREADS = 4, EVALUATIONS = 2000 };

struct worker {
    const struct dmn_model *model;
    int first;
    long wrong;
};

/* A decision that uses a table with an index, a function and a boxed context. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    const int decision = dmn_find(worker->model, DMN_DECISION, STR("d")),
              input = dmn_find(worker->model, DMN_INPUT_DATA, STR("n"));
    struct arena *arena = arena_new(1 << 22);
    struct feel_eval ev;
    if (!arena) {
        worker->wrong = EVALUATIONS;
        return NULL;
    }
    for (int i = 0; i < EVALUATIONS; i++) {
        const int n = (worker->first + i) % 40;
        const struct dmn_given given = { input, feel_i64(n) };
        struct feel_value out;
        struct err err;
        feel_eval_init(&ev, arena);
        const enum err_code rc = dmn_evaluate(worker->model, decision, &ev, &given, 1, NULL, &out, &err);
        worker->wrong += rc != ERR_OK || out.kind != FEEL_NUMBER ||
                         decimal_cmp(out.number, decimal_i64(n < 20 ? n * 2 + 1 : n + 1)) != 0;
        arena_reset(arena);
    }
    arena_free(arena);
    return NULL;
}

static void test_shared_model(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_text(
        &text,
        HEAD INPUT("n", "number") "<businessKnowledgeModel id='f' name='add'><encapsulatedLogic>"
                                  "<formalParameter name='x'/>" L(
                                      "x + 1") "</encapsulatedLogic>"
                                               "</businessKnowledgeModel><decision id='t' name='t'>" NEEDS(
                                                   "n") "<decisionTable "
                                                        "hitPolicy='FIRST'><input><inputExpression><text>n</"
                                                        "text></inputExpression>"
                                                        "</input><output/>");
    for (int i = 0; i < 20; i++)
        buf_printf(&text,
                   "<rule><inputEntry><text>%d</text></inputEntry><outputEntry><text>n * 2</text>"
                   "</outputEntry></rule>",
                   i);
    buf_text(
        &text,
        "<rule><inputEntry><text>? >= n</text></inputEntry><outputEntry><text>n</text></outputEntry></rule>"
        "</decisionTable></decision><decision id='d' name='d'>" NEEDS_DECISION("t")
            KNOWS("f") "<context><contextEntry><variable name='y'/>" L(
                "add(t)") "</contextEntry><contextEntry>" L("y") "</contextEntry></context></decision>" TAIL);
    AUTO(dmn_free_auto) struct dmn_model *model = load_text(buf_get(&text));
    buf_done(&text);
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker) { .model = model, .first = i * 7 };
        test_ok(pthread_create(&threads[i], NULL, work, &workers[i]) == 0, "thread");
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        test_ok(workers[i].wrong == 0, "thread %d: %ld wrong results", i, workers[i].wrong);
    }
}

TEST_MAIN(TEST(test_shared_model))
