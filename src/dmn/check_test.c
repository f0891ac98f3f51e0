#include "test.h"

#include "dmn/models_test.h"

static struct dmn_model *load_rules(const char *policy, const char *columns, const char *rules)
{
    struct buf text;
    struct str rest = str_from(rules), line;
    buf_init(&text, 1 << 24);
    buf_text(&text, HEAD INPUT("n", "number") INPUT("s", "string") INPUT("b", "boolean") INPUT("d", "date")
                        INPUT("t", "time") "<decision name='t'>" NEEDS("n") NEEDS("s") NEEDS("b") NEEDS("d")
                            NEEDS("t"));
    buf_printf(&text, "<decisionTable hitPolicy='%s'>%s<output/>", policy, columns);
    while (str_cut(&rest, '\n', &line)) {
        struct str inputs, part;
        buf_text(&text, "<rule>");
        (void)str_cut(&line, ';', &inputs);
        while (str_cut(&inputs, '|', &part)) {
            buf_text(&text, "<inputEntry><text><![CDATA[");
            buf_str(&text, part);
            buf_text(&text, "]]></text></inputEntry>");
        }
        buf_text(&text, "<outputEntry><text>");
        buf_str(&text, line);
        buf_text(&text, "</text></outputEntry></rule>");
    }
    buf_text(&text, "</decisionTable></decision>" TAIL);
    struct dmn_model *model = load_text(buf_get(&text));
    buf_done(&text);
    return model;
}

#define N "<input><inputExpression typeRef='number'><text>n</text></inputExpression></input>"
#define S "<input><inputExpression typeRef='string'><text>s</text></inputExpression></input>"
#define B "<input><inputExpression typeRef='boolean'><text>b</text></inputExpression></input>"
#define D "<input><inputExpression typeRef='date'><text>d</text></inputExpression></input>"
#define S_AB                                                                                                 \
    "<input><inputExpression typeRef='string'><text>s</text></inputExpression><inputValues>"                 \
    "<text>\"a\",\"b\"</text></inputValues></input>"
#define N_0_100                                                                                              \
    "<input><inputExpression typeRef='number'><text>n</text></inputExpression><inputValues>"                 \
    "<text>[0..100]</text></inputValues></input>"

#define T "<input><inputExpression typeRef='time'><text>t</text></inputExpression></input>"

static void print_all(const struct dmn_findings *found, struct buf *out)
{
    for (int i = 0; i < found->count; i++) {
        const struct dmn_finding *one = &found->items[i];
        if (i > 0)
            buf_text(out, " ");
        buf_text(out, one->err.id + 4);
        if (one->rule > 0)
            buf_printf(out, "%d", one->rule);
        if (one->input.kind == FEEL_CONTEXT)
            feel_print_json(out, &one->input);
    }
}

static void test_findings(void **state)
{
    (void)state;
    static const struct {
        const char *policy, *columns, *rules, *want;
    } cases[] = {
        { "UNIQUE", N, "< 5;1\n>= 5;2", "" },
        { "UNIQUE", N, "< 5;1\n> 5;2", "gap{\"n\":5}" },
        { "UNIQUE", N, "< 5;1\n>= 8;2", "gap{\"n\":5}" },
        { "UNIQUE", N, "[0..5];1\n[6..9];2", "gap{\"n\":-1}" },
        { "UNIQUE", N_0_100, "[0..50];1\n]50..100];2", "" },
        { "UNIQUE", N_0_100, "[0..50];1\n]50..99];2", "gap{\"n\":99.5}" },
        { "UNIQUE", N_0_100, "[0..50];1\n[50..100];2", "overlap2{\"n\":50}" },
        { "ANY", N_0_100, "[0..50];1\n[50..100];1", "" },
        { "ANY", N_0_100, "[0..50];1\n[50..100];2", "overlap2{\"n\":50}" },
        { "FIRST", N, "< 5;1\n-;2", "" },
        { "FIRST", N, "< 5;1\n< 3;3\n-;2", "dead_rule2" },
        { "FIRST", N, "-;1\n< 3;2", "dead_rule2" },
        { "FIRST", N B, "< 5|true;1\n< 5|false;2\n[1..2]|-;3\n-|-;4", "dead_rule3" },
        { "UNIQUE", B, "true;1", "gap{\"b\":false}" },
        { "UNIQUE", B, "true;1\nfalse;2", "" },
        { "UNIQUE", S, "\"a\";1\n\"b\";2", "gap{\"s\":\"b!\"}" },
        { "UNIQUE", S, "\"a\";1\nnot(\"a\");2", "" },
        { "UNIQUE", S_AB, "\"a\";1\n\"b\";2", "" },
        { "UNIQUE", S_AB, "\"a\";1", "gap{\"s\":\"b\"}" },
        { "UNIQUE", N S_AB, "< 5|\"a\";1\n>= 5|-;2", "gap{\"n\":4,\"s\":\"b\"}" },
        { "UNIQUE", N S_AB, "< 5|\"a\";1\n>= 5|-;2\n-|\"b\";3", "overlap3{\"n\":5,\"s\":\"b\"}" },
        { "UNIQUE", D, "< date(\"2026-01-01\");1\n> date(\"2026-01-01\");2", "gap{\"d\":\"2026-01-01\"}" },
        { "UNIQUE", D, "<= date(\"2026-01-31\");1\n>= date(\"2026-02-01\");2", "" },
        { "COLLECT", N, "> 5;1\n> 6;2", "" },
        { "UNIQUE", N, "? > n - 1;1\n5;2", "check_computed" }, /* what is not known is not claimed */
        { "COLLECT", N, "? > n - 1;1\n5;2", "" },
        { "UNIQUE", N, "? < 5;1\n? >= 5 and ? < 7;2\n? > 7;3", "gap{\"n\":7}" },
        { "UNIQUE", T, "< @\"10:00:00\";1\n> @\"10:00:00\";2", "gap{\"t\":\"10:00:00\"}" },
        { "UNIQUE", T, "< @\"10:00:00\";1\n>= @\"10:00:05\";2", "gap{\"t\":\"10:00:00\"}" },
        { "UNIQUE", T, "<= @\"10:00:00\";1\n>= @\"10:00:05\";2", "gap{\"t\":\"10:00:01\"}" },
        { "UNIQUE", T, "<= @\"10:00:00\";1\n> @\"10:00:00\";2", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
        AUTO(dmn_free_auto)
        struct dmn_model *model = load_rules(cases[i].policy, cases[i].columns, cases[i].rules);
        struct dmn_findings found;
        struct err err = { 0 };
        struct buf out;
        test_ok(dmn_check(model, arena, 1, &found, &err) == ERR_OK, "%s", err.id);
        buf_init(&out, 1 << 16);
        print_all(&found, &out);
        test_ok(str_eq(buf_get(&out), str_from(cases[i].want)), "%zu %s %s: got %s, want %s", i,
                cases[i].policy, cases[i].rules, out.ptr ? out.ptr : "", cases[i].want);
        buf_done(&out);
    }
}

/* A table that is too large to look at is not passed over in silence. */
static void test_too_large(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
    struct buf rules;
    struct dmn_findings found;
    struct err err = { 0 };
    buf_init(&rules, 1 << 22);
    for (int i = 0; i <= 20000; i++)
        buf_printf(&rules, "%d;1%s", i, i < 20000 ? "\n" : "");
    AUTO(dmn_free_auto) struct dmn_model *model = load_rules("UNIQUE", N, rules.ptr);
    test_ok(dmn_check(model, arena, 5, &found, &err) == ERR_OK, "%s", err.id);
    test_ok(found.count == 1 && strcmp(found.items[0].err.id, "dmn.check_rules") == 0, "%d: %s", found.count,
            found.count ? found.items[0].err.id : "-");
    buf_done(&rules);
}

/* Every example of a gap is an input for which the table itself finds no rule; of an overlap, two. */
static void test_examples_are_true(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int round = 0; round < 30; round++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 26);
        struct buf rules;
        buf_init(&rules, 1 << 16);
        for (int i = 0; i < 12; i++) {
            seed = seed * 1664525 + 1013904223;
            const unsigned a = (seed >> 8) % 10, b = (seed >> 16) % 6, c = (seed >> 24) % 3;
            buf_printf(&rules,
                       c == 0   ? "[%u..%u]|\"%c\";%d\n"
                       : c == 1 ? "< %u, > %u|not(\"%c\");%d\n"
                                : "(%u..%u]|-,\"%c\";%d\n",
                       a, a + b, 'a' + (int)b, i);
        }
        for (size_t i = 0; i + 1 < rules.len; i++) /* "-,x" is no test: make it "-" */
            if (rules.ptr[i] == '-' && rules.ptr[i + 1] == ',')
                memmove(rules.ptr + i + 1, rules.ptr + i + 5, rules.len - i - 4), rules.len -= 4;
        rules.ptr[--rules.len] = 0;
        AUTO(dmn_free_auto) struct dmn_model *model = load_rules("UNIQUE", N S, rules.ptr);
        test_ok(dmn_findings(model)->count == 0, "compiles: %s", rules.ptr);
        struct dmn_findings found;
        struct err err = { 0 };
        test_ok(dmn_check(model, arena, 200, &found, &err) == ERR_OK, "%s", err.id);
        for (int i = 0; i < found.count; i++) {
            struct dmn_given *given;
            struct dmn_trace trace = { 0 };
            struct feel_value out;
            struct feel_eval ev;
            size_t count;
            int matched = 0;
            feel_eval_init(&ev, arena);
            test_ok(dmn_given_from(model, arena, &found.items[i].input, &given, &count, &err) == ERR_OK,
                    "given");
            test_ok(dmn_evaluate(model, dmn_find(model, DMN_DECISION, STR("t")), &ev, given, count, &trace,
                                 &out, &err) == ERR_OK,
                    "%s", err.id);
            for (int r = 0; r < trace.tables->table->rule_count; r++)
                matched += trace.tables->matched[r];
            test_ok(strcmp(found.items[i].err.id, "dmn.gap") == 0 ? matched == 0 : matched >= 2,
                    "round %d: %s with %d rules", round, found.items[i].err.id, matched);
        }
        buf_done(&rules);
    }
}

TEST_MAIN(TEST(test_findings), TEST(test_too_large), TEST(test_examples_are_true))
