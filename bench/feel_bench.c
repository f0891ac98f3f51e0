/* feel_bench.c - evaluations a second over a file of expressions, on one core.
 * usage: feel_bench parse|compiled EXPRESSIONS CONTEXT.json SECONDS      prints one number */
#include "feel/feel.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define EXPRESSIONS_MAX 200
#define INPUTS_MAX 64

struct bench {
    struct arena *arena;
    struct feel_scope *scope;
    struct feel_value inputs[INPUTS_MAX];
    struct str texts[EXPRESSIONS_MAX];
    const struct feel_program *programs[EXPRESSIONS_MAX];
    size_t count;
};

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int fail(const char *what, const struct err *err)
{
    (void)fprintf(stderr, "feel_bench: %s: %s %d:%d\n", what, err->id ? err->id : "", err->at.line,
                  err->at.column);
    return 3;
}

static enum err_code load(struct bench *bench, const char *expressions, const char *context, struct err *err)
{
    struct buf text;
    buf_init(&text, (size_t)1 << 20);
    enum err_code rc = buf_read_file(&text, context, err);
    json_t *json = rc ? NULL : json_loadb(text.ptr, text.len, 0, NULL);
    struct feel_value value;
    if (!rc && !json)
        rc = err_set(err, ERR_INVALID, "base.json", ARG_END);
    if (!rc)
        rc = feel_from_json(bench->arena, json, &value, err);
    json_decref(json);
    for (size_t i = 0; !rc && i < value.context.count && i < INPUTS_MAX; i++) {
        bench->inputs[i] = value.context.entries[i].value;
        rc = feel_scope_add(bench->scope, value.context.entries[i].key,
                            feel_type_of(bench->arena, &bench->inputs[i]), NULL, err);
    }
    buf_clear(&text);
    if (!rc)
        rc = buf_read_file(&text, expressions, err);
    struct str rest = arena_str(bench->arena, buf_get(&text)), line;
    while (!rc && str_cut(&rest, '\n', &line) && bench->count < EXPRESSIONS_MAX)
        if (line.len)
            bench->texts[bench->count++] = line;
    buf_done(&text);
    return rc;
}

static enum err_code run(struct bench *bench, bool compiled, double seconds, double *out_rate,
                         struct err *err)
{
    struct arena *arena = arena_new((size_t)64 << 20);
    struct feel_eval ev;
    struct feel_value out;
    enum err_code rc = arena ? ERR_OK : err_nomem(err);
    const double start = seconds_now();
    double now = start;
    size_t done = 0;
    while (!rc && now - start < seconds) {
        for (size_t i = 0; !rc && i < bench->count; i++) {
            const struct feel_program *program = bench->programs[i];
            arena_reset(arena);
            feel_eval_init(&ev, arena);
            if (!compiled)
                rc = feel_prepare(arena, bench->scope, bench->texts[i], FEEL_EXPRESSION, 0, &program, err);
            if (!rc)
                rc = feel_evaluate(program, &ev, bench->inputs, &out, err);
            if (!rc && out.kind == FEEL_NULL)
                rc = err_set(err, ERR_INVALID, "feel.no_result", ARG_INT("line", (int64_t)i + 1), ARG_END);
        }
        done += bench->count;
        now = seconds_now();
    }
    arena_free(arena);
    *out_rate = (double)done / (now - start);
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = { 0 };
    if (argc != 5) {
        (void)fprintf(stderr, "usage: feel_bench parse|compiled EXPRESSIONS CONTEXT.json SECONDS\n");
        return 2;
    }
    const bool compiled = strcmp(argv[1], "compiled") == 0;
    struct bench bench = { .arena = arena_new((size_t)64 << 20) };
    bench.scope = bench.arena ? feel_scope_new(bench.arena) : NULL;
    if (!bench.scope || load(&bench, argv[2], argv[3], &err))
        return fail("load", &err);
    for (size_t i = 0; i < bench.count; i++)
        if (feel_prepare(bench.arena, bench.scope, bench.texts[i], FEEL_EXPRESSION, 0, &bench.programs[i],
                         &err))
            return fail(argv[2], &err);
    double rate;
    if (run(&bench, compiled, strtod(argv[4], NULL), &rate, &err))
        return fail(argv[1], &err);
    (void)printf("%.0f\n", rate);
    arena_free(bench.arena);
    return 0;
}
