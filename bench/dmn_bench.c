/* dmn_bench.c - decision tables at scale: what one evaluation costs, indexed and not, and rows by the batch
 * call.
 *
 * Prints the figures dmn.table.1000, dmn.table.1000.scan, dmn.table.1000.distinct, dmn.table.3700 and
 * dmn.many (docs: contracts, Figures); each is the median of ROUNDS rounds.  A peer is printed by bench/feel,
 * which runs it beside this program. */
#include "base/buf.h"
#include "base/clock.h"
#include "dmn/dmn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5
#define EVALUATIONS 100000
#define SCAN_EVALUATIONS 5000
#define ROWS 1000000

static double now_us(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static uint32_t random_state = 1;
static uint32_t below(uint32_t n)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % n;
}

static void die(const char *what, const struct err *err)
{
    (void)fprintf(stderr, "dmn_bench: %s: %s\n", what, err && err->id ? err->id : "?");
    exit(3);
}

static struct dmn_model *load(struct buf *text)
{
    const struct dmn_source source = { STR("bench"), buf_get(text) };
    struct dmn_model *model = NULL;
    struct err err = { 0 };
    if (buf_check(text, &err) || dmn_load(&source, 1, &model, NULL, &err))
        die("load", &err);
    if (dmn_findings(model)->count > 0)
        die("load", &dmn_findings(model)->items[0].err);
    buf_done(text);
    return model;
}

static void head(struct buf *text, const char *attributes)
{
    static const struct {
        const char *name, *type;
    } inputs[] = {
        { "age", "number" }, { "region", "string" }, { "amount", "number" }, { "grade", "string" }
    };
    buf_init(text, (size_t)64 << 20);
    buf_text(text, "<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' namespace='urn:b'>");
    for (int i = 0; i < 4; i++)
        buf_printf(text, "<inputData id='i%d' name='%s'><variable name='%s' typeRef='%s'/></inputData>", i,
                   inputs[i].name, inputs[i].name, inputs[i].type);
    buf_text(text, "<decision name='d'>");
    for (int i = 0; i < 4; i++)
        buf_printf(text, "<informationRequirement><requiredInput href='#i%d'/></informationRequirement>", i);
    buf_printf(text, "<decisionTable %s>", attributes);
    for (int i = 0; i < 4; i++)
        buf_printf(text, "<input><inputExpression typeRef='%s'><text>%s</text></inputExpression></input>",
                   inputs[i].type, inputs[i].name);
    buf_text(text, "<output/>");
}

static void cell(struct buf *text, const char *element, const char *format, int a, int b)
{
    buf_printf(text, "<%s><text><![CDATA[", element);
    if (b >= 0)
        buf_printf(text, format[0] == '[' ? "[%d..%d)" : "%d %d", a, b);
    else if (a >= 0 && format[0] == '"')
        buf_printf(text, "\"%c%d\"", format[1], a);
    else if (a >= 0 && format[0] == '>')
        buf_printf(text, ">= %d", a);
    else if (a >= 0)
        buf_printf(text, "%d", a);
    else
        buf_text(text, format);
    buf_printf(text, "]]></text></%s>", element);
}

/* Bands of age, regions, thresholds of amount, grades: every rule different, the last one holds always. */
static struct dmn_model *make_indexed(int rules)
{
    struct buf text;
    head(&text, "hitPolicy='FIRST'");
    for (int i = 0; i < rules; i++) {
        const bool last = i == rules - 1;
        buf_text(&text, "<rule>");
        cell(&text, "inputEntry", last ? "-" : "[", last ? -1 : (i * 7) % 90,
             last ? -1 : (i * 7) % 90 + 5 + i % 20);
        cell(&text, "inputEntry", last ? "-" : "\"r", last ? -1 : i % 200, -1);
        cell(&text, "inputEntry", last ? "-" : ">", last ? -1 : (i * 37) % 10000, -1);
        cell(&text, "inputEntry", last || i % 3 == 0 ? "-" : "\"g", last || i % 3 == 0 ? -1 : i % 5, -1);
        cell(&text, "outputEntry", "", i, -1);
        buf_text(&text, "</rule>");
    }
    buf_text(&text, "</decisionTable></decision></definitions>");
    return load(&text);
}

/* Cells that no index can answer: they compute with other inputs or call functions.  As in the table above
 * most rules fail at their first cells.  With `distinct` no two rules share a cell. */
static struct dmn_model *make_scanned(int rules, bool distinct)
{
    struct buf text;
    head(&text, "hitPolicy='FIRST'");
    for (int i = 0; i < rules; i++) {
        char cells[4][60] = { "-", "-", "-", "-" };
        if (i < rules - 1) {
            (void)snprintf(cells[0], sizeof cells[0], "? > amount / %d + 120", i + 1);
            (void)snprintf(cells[1], sizeof cells[1],
                           distinct ? "ends with(?, \"z%d\")" : "starts with(?, \"r%d\")",
                           distinct ? i : i % 200);
            (void)snprintf(cells[2], sizeof cells[2], distinct ? ">= age * %d.5 + 20000" : ">= age * %d", i);
            (void)snprintf(cells[3], sizeof cells[3],
                           distinct ? "contains(?, \"z%d\")" : "contains(?, \"%d\")", distinct ? i : i % 5);
        }
        buf_text(&text, "<rule>");
        for (int n = 0; n < 4; n++)
            buf_printf(&text, "<inputEntry><text><![CDATA[%s]]></text></inputEntry>", cells[n]);
        cell(&text, "outputEntry", "", i, -1);
        buf_text(&text, "</rule>");
    }
    buf_text(&text, "</decisionTable></decision></definitions>");
    return load(&text);
}

/* Thirty rules that add points. */
static struct dmn_model *make_scorecard(void)
{
    struct buf text;
    head(&text, "hitPolicy='COLLECT' aggregation='SUM'");
    for (int i = 0; i < 30; i++) {
        const int column = i % 4;
        buf_text(&text, "<rule>");
        for (int j = 0; j < 4; j++) {
            if (j != column)
                cell(&text, "inputEntry", "-", -1, -1);
            else if (j == 0)
                cell(&text, "inputEntry", "[", 12 * (i / 4), 12 * (i / 4) + 12);
            else if (j == 2)
                cell(&text, "inputEntry", ">", 1200 * (i / 4), -1);
            else
                cell(&text, "inputEntry", j == 1 ? "\"r" : "\"g", i / 4, -1);
        }
        cell(&text, "outputEntry", "", 5 + i, -1);
        buf_text(&text, "</rule>");
    }
    buf_text(&text, "</decisionTable></decision></definitions>");
    return load(&text);
}

#define INPUTS 1024
static struct dmn_given inputs[INPUTS][4];
static char texts[200 + 5][8];

static void make_inputs(const struct dmn_model *model)
{
    static const char *const names[] = { "age", "region", "amount", "grade" };
    int nodes[4];
    for (int i = 0; i < 4; i++)
        nodes[i] = dmn_find(model, DMN_INPUT_DATA, str_from(names[i]));
    for (int i = 0; i < 205; i++)
        (void)snprintf(texts[i], sizeof texts[i], i < 200 ? "r%d" : "g%d", i < 200 ? i : i - 200);
    for (int i = 0; i < INPUTS; i++) {
        inputs[i][0].value = feel_i64(below(100));
        inputs[i][1].value = feel_string(str_from(texts[below(200)]));
        inputs[i][2].value = feel_number(decimal_small((int64_t)below(1000000), 2));
        inputs[i][3].value = feel_string(str_from(texts[200 + below(5)]));
        for (int j = 0; j < 4; j++)
            inputs[i][j].node = nodes[j];
    }
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Microseconds of one evaluation. */
static double measure(const struct dmn_model *model, int evaluations)
{
    struct arena *arena = arena_new((size_t)64 << 20);
    const int decision = dmn_find(model, DMN_DECISION, STR("d"));
    double rounds[ROUNDS];
    struct feel_eval ev;
    struct err err = { 0 };
    if (!arena)
        die("memory", NULL);
    feel_eval_init(&ev, arena);
    const struct arena_mark start = arena_mark(arena);
    for (int round = 0; round < ROUNDS; round++) {
        const double from = now_us();
        for (int i = 0; i < evaluations; i++) {
            struct feel_value out;
            ev.steps = 0;
            if (dmn_evaluate(model, decision, &ev, inputs[i % INPUTS], 4, NULL, &out, &err) ||
                out.kind != FEEL_NUMBER)
                die("evaluate", &err);
            arena_release(arena, start);
        }
        rounds[round] = (now_us() - from) / evaluations;
    }
    arena_free(arena);
    qsort(rounds, ROUNDS, sizeof *rounds, compare_doubles);
    return rounds[ROUNDS / 2];
}

static double measure_many(const struct dmn_model *model)
{
    struct arena *arena = arena_new((size_t)1 << 30);
    struct feel_value *columns[4], *out = arena ? arena_alloc(arena, ROWS, sizeof(*out)) : NULL;
    struct dmn_column given[4];
    double rounds[ROUNDS];
    struct feel_eval ev;
    struct err err = { 0 };
    for (int i = 0; i < 4 && out; i++) {
        columns[i] = arena_alloc(arena, ROWS, sizeof(**columns));
        if (!columns[i])
            die("memory", NULL);
        for (int row = 0; row < ROWS; row++)
            columns[i][row] = inputs[below(INPUTS)][i].value;
        given[i] = (struct dmn_column) { inputs[0][i].node, columns[i] };
    }
    if (!out)
        die("memory", NULL);
    feel_eval_init(&ev, arena);
    for (int round = 0; round < ROUNDS; round++) {
        const double from = now_us();
        if (dmn_evaluate_many(model, dmn_find(model, DMN_DECISION, STR("d")), &ev, given, 4, ROWS, out, &err))
            die("many", &err);
        rounds[round] = (now_us() - from) / 1e6;
    }
    arena_free(arena);
    qsort(rounds, ROUNDS, sizeof *rounds, compare_doubles);
    return rounds[ROUNDS / 2];
}

static void print(const char *id, double value, const char *unit, const char *op, double goal)
{
    const bool met = op[0] == '<' ? value < goal : value >= goal;
    (void)printf("bench %s ours %.4g %s peer - - ratio - goal %s %g %s\n", id, value, unit, op, goal,
                 met ? "met" : "short");
}

int main(void)
{
    struct dmn_model *model = make_indexed(1000);
    make_inputs(model);
    print("dmn.table.1000", measure(model, EVALUATIONS), "us", "<", 2);
    dmn_free(model);
    model = make_scanned(1000, false);
    make_inputs(model);
    print("dmn.table.1000.scan", measure(model, SCAN_EVALUATIONS), "us", "<", 20);
    dmn_free(model);
    model = make_scanned(1000, true);
    make_inputs(model);
    print("dmn.table.1000.distinct", measure(model, SCAN_EVALUATIONS), "us", "<", 20);
    dmn_free(model);
    model = make_indexed(3700);
    make_inputs(model);
    print("dmn.table.3700", 1e6 / measure(model, EVALUATIONS), "1/s", ">=", 100000);
    dmn_free(model);
    model = make_scorecard();
    make_inputs(model);
    print("dmn.many", measure_many(model), "s", "<", 1);
    dmn_free(model);
    return 0;
}
