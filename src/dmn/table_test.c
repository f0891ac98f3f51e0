#include "test.h"

#include "dmn/models_test.h"
#include "dmn/table.h"

/* Rules as lines of "cells ; outputs", cells and outputs separated by '|'. */
static void add_rules(struct buf *out, const char *rules)
{
    struct str rest = str_from(rules), line;
    while (str_cut(&rest, '\n', &line)) {
        struct str inputs, part;
        buf_text(out, "<rule>");
        (void)str_cut(&line, ';', &inputs);
        while (str_cut(&inputs, '|', &part)) {
            buf_text(out, "<inputEntry><text><![CDATA[");
            buf_str(out, part);
            buf_text(out, "]]></text></inputEntry>");
        }
        while (str_cut(&line, '|', &part)) {
            buf_text(out, "<outputEntry><text><![CDATA[");
            buf_str(out, part);
            buf_text(out, "]]></text></outputEntry>");
        }
        buf_text(out, "</rule>");
    }
}

/* A model with the inputs n (number) and s (string) and one decision d with the table. */
static struct dmn_model *load_table(const char *attributes, const char *inputs, const char *outputs,
                                    const char *rules)
{
    struct buf text;
    buf_init(&text, 1 << 24);
    buf_text(&text, HEAD INPUT("n", "number") INPUT("s", "string")
                        INPUT("o", "Any") "<decision name='d'>" NEEDS("n") NEEDS("s") NEEDS("o"));
    buf_printf(&text, "<decisionTable %s>%s%s", attributes, inputs, outputs);
    add_rules(&text, rules);
    buf_text(&text, "</decisionTable></decision>" TAIL);
    struct dmn_model *model = load_text(buf_get(&text));
    buf_done(&text);
    return model;
}

#define COLUMN(expr) "<input><inputExpression><text>" expr "</text></inputExpression></input>"

static void test_hit_policies(void **state)
{
    (void)state;
    static const struct {
        const char *attributes, *outputs, *rules, *inputs, *want;
    } cases[] = {
        { "", "<output/>", "> 5;1\n< 3;2", "{n: 7}", "1" },
        { "", "<output/>", "> 5;1\n< 3;2", "{n: 4}", "null" },
        { "", "<output/>", "> 5;1\n> 6;1", "{n: 7}", "null" }, /* not unique */
        { "hitPolicy='FIRST'", "<output/>", "> 5;1\n> 6;2", "{n: 7}", "1" },
        { "hitPolicy='ANY'", "<output/>", "> 5;1\n> 6;1", "{n: 7}", "1" },
        { "hitPolicy='ANY'", "<output/>", "> 5;1\n> 6;2", "{n: 7}", "null" },
        { "hitPolicy='PRIORITY'", "<output><outputValues><text>\"hi\", \"lo\"</text></outputValues></output>",
          "> 5;\"lo\"\n> 6;\"hi\"", "{n: 7}", "\"hi\"" },
        { "hitPolicy='OUTPUT ORDER'", "<output><outputValues><text>3, 2, 1</text></outputValues></output>",
          "> 5;1\n> 6;3\n> 1;2", "{n: 7}", "[3,2,1]" },
        { "hitPolicy='RULE ORDER'", "<output/>", "> 5;1\n> 6;3\n> 1;2", "{n: 7}", "[1,3,2]" },
        { "hitPolicy='COLLECT'", "<output/>", "> 5;1\n> 6;3", "{n: 7}", "[1,3]" },
        { "hitPolicy='COLLECT'", "<output/>", "> 5;1\n> 6;3", "{n: 1}", "[]" },
        { "hitPolicy='COLLECT' aggregation='SUM'", "<output/>", "> 5;1.5\n> 6;3", "{n: 7}", "4.5" },
        { "hitPolicy='COLLECT' aggregation='MIN'", "<output/>", "> 5;1\n> 6;3", "{n: 7}", "1" },
        { "hitPolicy='COLLECT' aggregation='MAX'", "<output/>", "> 5;1\n> 6;3", "{n: 7}", "3" },
        { "hitPolicy='COLLECT' aggregation='COUNT'", "<output/>", "> 5;1\n> 6;3", "{n: 7}", "2" },
        { "hitPolicy='COLLECT' aggregation='SUM'", "<output/>", "> 5;1", "{n: 1}", "null" },
        { "", "<output><defaultOutputEntry><text>n * 2</text></defaultOutputEntry></output>", "> 5;1",
          "{n: 1}", "2" },
        { "",
          "<output name='a'/><output "
          "name='b'><defaultOutputEntry><text>9</text></defaultOutputEntry></output>",
          "> 5;1|2", "{n: 7}", "{\"a\":1,\"b\":2}" },
        { "",
          "<output name='a'/><output "
          "name='b'><defaultOutputEntry><text>9</text></defaultOutputEntry></output>",
          "> 5;1|2", "{n: 1}", "{\"a\":null,\"b\":9}" },
        { "", "<output typeRef='string'/>", "> 5;1", "{n: 7}", "null" }, /* not of the output's type */
        { "", "<output/>", "not(1, 2);1", "{n: 7}", "1" },
        { "", "<output/>", "? > n - 1;n + 1", "{n: 7}", "8" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 22);
        AUTO(dmn_free_auto)
        struct dmn_model *model =
            load_table(cases[i].attributes, COLUMN("n"), cases[i].outputs, cases[i].rules);
        expect(arena, model, "d", cases[i].inputs, cases[i].want);
    }
}

static void test_allowed_inputs(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 22);
    AUTO(dmn_free_auto)
    struct dmn_model *model = load_table(
        "",
        "<input><inputExpression><text>s</text></inputExpression><inputValues><text>\"a\",\"b\"</text>"
        "</inputValues></input>",
        "<output/>", "\"a\";1\n-;2");
    expect(arena, model, "d", "{s: \"b\"}", "2");
    expect(arena, model, "d", "{s: \"c\"}", "null");
}

static uint32_t seed = 12345;
static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void random_cell(struct buf *out, int column)
{
    const uint32_t a = random_below(20), b = a + random_below(6);
    switch (random_below(column == 2 ? 18 : 11)) {
    case 0:
        buf_text(out, "-");
        break;
    case 1:
        column == 1 ? buf_printf(out, "\"k%u\"", a) : buf_printf(out, "%u", a);
        break;
    case 2:
        column == 1 ? buf_printf(out, "\"k%u\", \"k%u\"", a, b) : buf_printf(out, "%u, > %u.5", a, b);
        break;
    case 3:
        column == 1 ? buf_printf(out, "not(\"k%u\", \"k%u\")", a, b)
                    : buf_printf(out, "not(%u, [%u..%u])", a, b, b + 2);
        break;
    case 4:
        column == 1 ? buf_printf(out, "\"k%u\"", b) : buf_printf(out, "< %u", a);
        break;
    case 5:
        column == 1 ? buf_text(out, "starts with(?, \"k1\")") : buf_printf(out, "[%u..%u)", a, b + 1);
        break;
    case 6:
        column == 1 ? buf_printf(out, "[\"k%u\"..\"k%u\"]", a, b) : buf_printf(out, "]%u..%u]", a, b + 1);
        break;
    case 7:
        column == 1 ? buf_text(out, "null") : buf_printf(out, ">= %u.25", a);
        break;
    case 8:
        column == 1 ? buf_text(out, "s") : buf_printf(out, "? > n - %u", a);
        break;
    case 9:
        column == 1 ? buf_text(out, "not(null)") : buf_text(out, "null");
        break;
    case 10:
        column == 1 ? buf_printf(out, "\"k%u\"", a) : buf_printf(out, "<= %u", b);
        break;
    case 11:
        buf_printf(out, "\"k%u\", %u", a, b);
        break;
    case 12:
        buf_printf(out, "[date(\"2026-01-%02u\")..date(\"2026-01-%02u\"))", a + 1, b + 2);
        break;
    case 13:
        buf_printf(out, "< @\"2026-01-%02u\"", a + 1);
        break;
    case 14:
        buf_printf(out, "> @\"P%uD\", @\"P%uM\"", a, b);
        break;
    case 15:
        buf_printf(out, "not(@\"P%uD\")", a);
        break;
    case 16:
        buf_text(out, "false");
        break;
    default:
        buf_printf(out, "not(\"k%u\")", a);
        break;
    }
}

/* Cells that say something of `?`: some are simple tests after all, some only doubles or the program can
 * tell.  `#` is a number. */
static void random_question(struct buf *out, int column)
{
    const uint32_t a = random_below(20), b = random_below(20);
    static const char *const TEXTS[] = {
        "starts with(?, \"k#\")",
        "contains(?, \"#\")",
        "ends with(?, \"#\")",
        "? = \"k#\"",
        "? != \"k#\"",
        "? in (\"k#\", < \"k2\")",
        "? between \"k1\" and \"k#\"",
        "? > \"k#\" and starts with(?, \"k\")",
    };
    static const char *const NUMBERS[] = {
        "? > #",
        "# >= ?",
        "? != #",
        "? > # and ? <= 15",
        "? < 3 or ? > #",
        "? between 2 and #",
        "? in (#, [8..9))",
        "? > n / # + 1",
        ">= n * #",
        "[n - #..n + 3)",
        "= n + #",
        "n / 3 * #",
        "? > n and ? < #",
        "? * 3 > n - #",
        "? = n or ? = #",
    };
    static const char *const MOMENTS[] = {
        "< @\"10:#:00\"",
        "@\"10:#:00Z\"",
        "[@\"2026-01-01T10:#:00Z\"..@\"2026-01-01T12:00:00+01:00\")",
        "not(@\"2026-01-01T10:#:00\")",
        "? >= @\"2026-01-01T10:#:00@Asia/Shanghai\"",
        "? != @\"10:#:00\"",
    };
    const char *text = column == 1             ? TEXTS[random_below(sizeof TEXTS / sizeof *TEXTS)]
                       : column == 2 && b < 10 ? MOMENTS[random_below(sizeof MOMENTS / sizeof *MOMENTS)]
                                               : NUMBERS[random_below(sizeof NUMBERS / sizeof *NUMBERS)];
    for (; *text; text++)
        if (*text == '#')
            buf_printf(out, column == 2 && b < 10 ? "%02u" : "%u", a);
        else
            buf_char(out, *text);
}

static void random_value(struct arena *arena, int column, struct feel_value *out)
{
    const uint32_t pick = random_below(12), a = random_below(24);
    if (pick == 0)
        *out = feel_null();
    else if (column == 1 || (column == 2 && pick < 5))
        *out = feel_string(arena_printf(arena, "k%u", a));
    else if (column == 2 && pick < 6)
        *out = feel_boolean(a % 2 == 0);
    else if (column == 2 && pick > 9)
        *out = value_of(arena, arena_printf(arena,
                                            a % 4 == 0   ? "@\"10:%02u:00\""
                                            : a % 4 == 1 ? "@\"11:%02u:00+01:00\""
                                            : a % 4 == 2 ? "@\"2026-01-01T10:%02u:00\""
                                                         : "@\"2026-01-01T10:%02u:00Z\"",
                                            a)
                                   .ptr);
    else if (column == 2 && pick < 8)
        *out = value_of(arena, arena_printf(arena,
                                            pick == 6    ? "@\"2026-01-%02u\""
                                            : a % 2 == 0 ? "@\"P%uD\""
                                                         : "@\"P%uM\"",
                                            a + 1)
                                   .ptr);
    else
        *out = pick < 9 ? feel_i64((int64_t)a - 2) : feel_number(decimal_small((int64_t)a * 25, 2));
}

/* Whatever the cells are: the index finds the rules that looking at every cell finds. */
static void test_index_agrees_with_looking(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 26);
        struct buf rules;
        buf_init(&rules, 1 << 20);
        const int count = 8 + (int)random_below(round % 4 == 0 ? 300 : 30);
        for (int i = 0; i < count; i++) {
            for (int column = 0; column < 3; column++) {
                if (column > 0)
                    buf_char(&rules, '|');
                if (round % 2 == 0 && random_below(3) > 0)
                    random_question(&rules, column);
                else
                    random_cell(&rules, column);
            }
            buf_printf(&rules, ";%d%s", i, i + 1 < count ? "\n" : "");
        }
        AUTO(dmn_free_auto)
        struct dmn_model *model =
            load_table("hitPolicy='RULE ORDER'", COLUMN("n") COLUMN("s") COLUMN("o"), "<output/>", rules.ptr);
        const int decision = dmn_find(model, DMN_DECISION, STR("d"));
        test_ok(dmn_findings(model)->count == 0, "cells compile: %s", dmn_findings(model)->items[0].err.id);
        for (int row = 0; row < 60; row++) {
            struct dmn_given given[3];
            struct dmn_trace trace = { 0 };
            struct feel_value fast, slow;
            struct feel_eval ev;
            struct err err = { 0 };
            for (int i = 0; i < 3; i++) {
                static const char *const names[] = { "n", "s", "o" };
                given[i].node = dmn_find(model, DMN_INPUT_DATA, str_from(names[i]));
                random_value(arena, i, &given[i].value);
            }
            feel_eval_init(&ev, arena);
            test_ok(dmn_evaluate(model, decision, &ev, given, 3, NULL, &fast, &err) == ERR_OK, "%s", err.id);
            test_ok(dmn_evaluate(model, decision, &ev, given, 3, &trace, &slow, &err) == ERR_OK, "%s",
                    err.id);
            size_t at = 0;
            for (int i = 0; i < count; i++) {
                const bool fired = fast.kind == FEEL_LIST && at < fast.list.count &&
                                   decimal_cmp(fast.list.items[at].number, decimal_i64(i)) == 0;
                at += fired;
                if (fired != trace.tables->matched[i]) {
                    struct buf text;
                    buf_init(&text, 4096);
                    for (int k = 0; k < 3; k++) {
                        buf_str(&text, trace.tables->table->rules[i].inputs[k].text);
                        buf_text(&text, " of ");
                        feel_print(&text, &trace.tables->inputs[k]);
                        buf_text(&text, "; ");
                    }
                    test_ok(false, "round %d rule %d: index says %d: %s", round, i, fired, text.ptr);
                }
            }
        }
        buf_done(&rules);
    }
}

static void test_many(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 26);
    AUTO(dmn_free_auto)
    struct dmn_model *model = load_table("hitPolicy='FIRST'", COLUMN("n") COLUMN("s"), "<output/>",
                                         "< 10|\"a\";\"low\"\n>= 10|\"a\";\"high\"\n-|-;\"other \" + s");
    enum { ROWS = 1000 };
    struct feel_value *n = arena_alloc(arena, ROWS, sizeof(*n)), *s = arena_alloc(arena, ROWS, sizeof(*s)),
                      *out = arena_alloc(arena, ROWS, sizeof(*out));
    const struct dmn_column columns[] = { { dmn_find(model, DMN_INPUT_DATA, STR("n")), n },
                                          { dmn_find(model, DMN_INPUT_DATA, STR("s")), s } };
    const int decision = dmn_find(model, DMN_DECISION, STR("d"));
    struct feel_eval ev;
    struct err err = { 0 };
    for (int i = 0; i < ROWS; i++) {
        n[i] = feel_i64(i % 20);
        s[i] = feel_string(i % 3 ? STR("a") : STR("b"));
    }
    feel_eval_init(&ev, arena);
    test_ok(dmn_evaluate_many(model, decision, &ev, columns, 2, ROWS, out, &err) == ERR_OK, "%s", err.id);
    for (int i = 0; i < ROWS; i++) {
        const struct dmn_given given[] = { { columns[0].node, n[i] }, { columns[1].node, s[i] } };
        struct feel_value one;
        test_ok(dmn_evaluate(model, decision, &ev, given, 2, NULL, &one, &err) == ERR_OK, "%s", err.id);
        test_ok(feel_equal(&one, &out[i]) == FEEL_TRUE, "row %d", i);
    }
}

TEST_MAIN(TEST(test_hit_policies), TEST(test_allowed_inputs), TEST(test_index_agrees_with_looking),
          TEST(test_many))
