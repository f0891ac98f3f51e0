/* threads_test.c - many threads share compiled expressions; meant for TSan, and true without it too. */
#include "feel/feel.h"
#include "test.h"

#include <pthread.h>

#define THREADS 8
#define ROUNDS 200

static const char *const TEXTS[] = {
    "x * 2 + count([x, 1])",
    "{f: function(n) if n < 2 then 1 else n * f(n - 1), r: f(x)}.r",
    "replace(string(x) + \"abc\", \"[a-c]\", \"-\")",
    "for i in 1..x return i ** 2",
    "sort([3, x, 1], function(a, b) a < b)",
    "@\"2020-01-01T00:00:00@Europe/Paris\" + @\"P1D\" * x",
    "some y in [1, 2, x] satisfies y > 2",
    "if x in [1..5] then upper case(\"\xc3\xa4\") else \"b\"",
};
#define TEXTS_COUNT (sizeof TEXTS / sizeof *TEXTS)

struct shared {
    const struct feel_program *programs[TEXTS_COUNT];
    char want[TEXTS_COUNT][10][200];
};

static bool answer(const struct shared *shared, size_t text, int64_t x, char out[200])
{
    struct arena *arena = arena_new(1 << 20);
    const struct feel_value input = feel_i64(x);
    struct feel_eval ev;
    struct feel_value value;
    struct buf buf;
    struct err err;
    feel_eval_init(&ev, arena);
    const bool ok = feel_evaluate(shared->programs[text], &ev, &input, &value, &err) == ERR_OK;
    buf_init(&buf, 199);
    if (ok)
        feel_print(&buf, &value);
    (void)snprintf(out, 200, "%s", ok && buf.ptr ? buf.ptr : "!");
    buf_done(&buf);
    arena_free(arena);
    return ok;
}

static void *work(void *arg)
{
    const struct shared *shared = arg;
    char out[200];
    for (int round = 0; round < ROUNDS; round++) {
        const size_t text = (size_t)round % TEXTS_COUNT;
        const int x = round % 10;
        if (!answer(shared, text, x, out) || strcmp(out, shared->want[text][x]) != 0)
            return (char *)(uintptr_t)TEXTS[text];
    }
    return NULL;
}

static void test_shared_programs(void **state)
{
    (void)state;
    static struct shared shared;
    struct arena *arena = arena_new(1 << 20);
    struct feel_scope *scope = feel_scope_new(arena);
    struct err err;
    test_ok(!feel_scope_add(scope, STR("x"), feel_type_basic(FEEL_T_NUMBER), NULL, &err), "scope");
    for (size_t i = 0; i < TEXTS_COUNT; i++) {
        test_ok(
            !feel_prepare(arena, scope, str_from(TEXTS[i]), FEEL_EXPRESSION, 0, &shared.programs[i], &err),
            "%s: %s", TEXTS[i], err.id);
        for (int x = 0; x < 10; x++)
            test_ok(answer(&shared, i, x, shared.want[i][x]), "%s", TEXTS[i]);
    }
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        test_ok(pthread_create(&threads[i], NULL, work, &shared) == 0, "thread");
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        test_ok(pthread_join(threads[i], &failed) == 0, "join");
        test_ok(!failed, "another answer: %s", (const char *)failed);
    }
    arena_free(arena);
}

TEST_MAIN(TEST(test_shared_programs))
