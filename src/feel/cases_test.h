/* cases_test.h - tables of expressions and what they give, for the tests of this room.  Include "test.h"
 * before. */
#pragma once
#include "feel/feel.h"

struct feel_case {
    const char *text, *want; /* want: as JSON; "!id" when it is refused or stopped */
};

/* The value as JSON text, "!id" when it was refused or stopped; it lives until the next call. */
static inline const char *feel_case_value(struct feel_eval *ev, struct feel_scope *scope, const char *text,
                                          unsigned flags, const struct feel_value *inputs)
{
    static char out[4000];
    const struct feel_program *program;
    struct feel_value value;
    struct err err = { 0 };
    struct buf buf;
    if (feel_prepare(ev->arena, scope, str_from(text), FEEL_EXPRESSION, flags, &program, &err) ||
        feel_evaluate(program, ev, inputs, &value, &err)) {
        (void)snprintf(out, sizeof out, "!%s", err.id);
        return out;
    }
    buf_init(&buf, sizeof out);
    feel_print_json(&buf, &value);
    (void)snprintf(out, sizeof out, "%s", buf.failed ? "!too long" : buf.ptr);
    buf_done(&buf);
    return out;
}

/* The same of a text without inputs, on 2025-11-21T14:00:00Z. */
static inline const char *feel_case_run(const char *text)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)64 << 20);
    struct feel_eval ev;
    feel_eval_init(&ev, arena);
    ev.now_ms = 1763733600000;
    return feel_case_value(&ev, NULL, text, FEEL_NAMES_OPEN, NULL);
}

static inline void feel_case_check(const struct feel_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *got = feel_case_run(cases[i].text);
        test_ok(strcmp(got, cases[i].want) == 0, "%s\n  gives %s\n  want  %s", cases[i].text, got,
                cases[i].want);
    }
}
#define CHECK_CASES(cases) feel_case_check(cases, sizeof(cases) / sizeof *(cases))
