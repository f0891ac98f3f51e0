/* feel_test.c - expressions in tables: what they give, what they refuse; limits; functions from C; memory. */
#include "test.h"

#include "feel/cases_test.h"

struct bench {
    struct arena *arena;
    struct feel_scope *scope;
    struct feel_eval ev;
};

static void setup(struct bench *bench)
{
    bench->arena = arena_new((size_t)64 << 20);
    bench->scope = feel_scope_new(bench->arena);
    feel_eval_init(&bench->ev, bench->arena);
    bench->ev.now_ms = 1763733600000; /* 2025-11-21T14:00:00Z */
}

static const char *evaluate(struct bench *bench, const char *text, unsigned flags,
                            const struct feel_value *inputs)
{
    return feel_case_value(&bench->ev, bench->scope, text, flags, inputs);
}

static void test_arithmetic(void **state)
{
    (void)state;
    static const struct feel_case cases[] = {
        { "1 + 2 * 3", "7" },
        { "(1 + 2) * 3", "9" },
        { "2 ** 3 ** 2", "64" },
        { "-3 ** 2", "9" },
        { "2 ** -1", "0.5" },
        { "--10", "10" },
        { "10 - 2 - 3", "5" },
        { "0.1 + 0.2", "0.3" },
        { "1 / 3", "0.3333333333333333333333333333333333" },
        { "2 / 3", "0.6666666666666666666666666666666667" },
        { "1 / 0", "null" },
        { "1.50 * 2", "3" },
        { ".5 + 1e3", "1000.5" },
        { "9223372036854775807 + 1", "9223372036854775808" },
        { "10 ** 33 + 0.1", "1000000000000000000000000000000000" },
        { "\"a\" + \"b\"", "\"ab\"" },
        { "1 + \"b\"", "null" },
        { "null + 1", "null" },
    };
    CHECK_CASES(cases);
}

static void test_logic(void **state)
{
    (void)state;
    static const struct feel_case cases[] = {
        { "true and null", "null" },
        { "false and null", "false" },
        { "null and false", "false" },
        { "true or \"x\"", "true" },
        { "false or 1", "null" },
        { "not(null)", "null" },
        { "1 = null", "false" },
        { "null = null", "true" },
        { "1 = \"1\"", "null" },
        { "1 != \"1\"", "null" },
        { "1 < null", "null" },
        { "[1, 2] = [1, 2.0]", "true" },
        { "{a: 1, b: 2} = {b: 2, a: 1}", "true" },
        { "5 between 1 and 10", "true" },
        { "5 in [1..10]", "true" },
        { "5 in ]5..10]", "false" },
        { "5 in (1..5)", "false" },
        { "5 in (< 3, > 4)", "true" },
        { "5 in (!= 5)", "false" },
        { "5 in (= 5)", "true" },
        { "5 in (1, 2, 5)", "true" },
        { "5 in [1, 5]", "true" },
        { "null in (null, 1)", "true" },
        { "3 in (? > 2)", "true" },
        { "if null then 1 else 2", "2" },
        { "if 1 < 2 and 2 < 3 then \"yes\" else \"no\"", "\"yes\"" },
        { "some x in [1, 2], y in [2, 3] satisfies x > y", "false" },
        { "some x in [null, 3] satisfies x > 2", "true" },
        { "every x in [] satisfies x > 2", "true" },
        { "every x in [null, 3] satisfies x > 2", "null" },
    };
    CHECK_CASES(cases);
}

static void test_names(void **state)
{
    (void)state;
    static const struct feel_case cases[] = {
        { "{first name: \"A\", x: first name + \"!\"}.x", "\"A!\"" },
        { "{a-b: 5, a: 3, b: 2, r: a-b}.r", "5" },
        { "{a: 3, b: 2, r: a-b}.r", "1" },
        { "{\"a b\": {c d: 7}}.a b.c d", "7" },
        { "{for sale: 2}.for sale", "2" },
        { "{\xe6\x9c\x88\xe6\x94\xb6\xe5\x85\xa5: 5, b: \xe6\x9c\x88\xe6\x94\xb6\xe5\x85\xa5 * 12}.b", "60" },
        { "[{a b: 1}, {a b: 2}][a b = 2].a b", "[2]" },
        { "[{item: 1}, {item: 2}][item > 1]", "[{\"item\":2}]" },
        { "[1, 2, 3][item > 1]", "[2,3]" },
        { "unknown thing + 1", "null" },
        { "1 + /* a /* comment */ 2 // rest", "3" },
        { "date and time(\"2020-01-01T00:00:00\").year", "2020" },
        { "@\"2020-01-01\".month", "1" },
        { "[1..5].start included", "true" },
        { "(< 5).end", "5" },
        { "\"\\u0041\\U01F600\\\"\\n\"", "\"A\xf0\x9f\x98\x80\\\"\\n\"" },
        { "string length(\"\\uD83D\\uDE00\")", "1" },
    };
    CHECK_CASES(cases);
}

static void test_functions(void **state)
{
    (void)state;
    static const struct feel_case cases[] = {
        { "(function(a, b) a - b)(b: 1, a: 5)", "4" },
        { "{add: function(n) function(m) n + m, r: add(2)(3)}.r", "5" },
        { "{f: function(n) if n < 2 then 1 else n * f(n - 1), r: f(20)}.r", "2432902008176640000" },
        { "{k: 10, f: function(x: number) x * k, r: for i in 1..3 return f(i)}.r", "[10,20,30]" },
        { "(function(x: number) x)(\"a\")", "null" },
        { "(function(x: number) x)([7])", "7" },
        { "(function(x) x)()", "null" },
        { "(function(x) x)(y: 1)", "null" },
        { "sort([3, 1, 2], function(a, b) a > b)", "[3,2,1]" },
        { "{apply: function(f, x) f(x), r: apply(abs, -3)}.r", "3" },
        { "for i in 1..3, j in i..1 return i * 10 + j", "[11,22,21,33,32,31]" },
        { "for i in 0..4 return if i = 0 then 1 else i * partial[-1]", "[1,1,2,6,24]" },
        { "for d in @\"2020-02-28\"..@\"2020-03-01\" return d",
          "[\"2020-02-28\",\"2020-02-29\",\"2020-03-01\"]" },
        { "for i in (1..4) return i", "[2,3]" },
        { "substring(start position: 2, string: \"abc\")", "\"bc\"" },
        { "substring(strin: \"abc\", start position: 2)", "null" },
        { "abs()", "null" },
        { "abs(1, 2)", "null" },
        { "1(2)", "null" },
    };
    CHECK_CASES(cases);
}

static void test_temporal(void **state)
{
    (void)state;
    static const struct feel_case cases[] = {
        { "@\"2020-01-31\" + @\"P1M\"", "\"2020-02-29\"" },
        { "@\"2020-03-01\" - @\"P1D\"", "\"2020-02-29\"" },
        { "@\"2020-03-01\" - @\"2020-02-01\"", "\"P29D\"" },
        { "@\"2021-03-28T01:30:00@Europe/Paris\" + @\"PT1H\"", "\"2021-03-28T03:30:00@Europe/Paris\"" },
        { "@\"2021-01-01T00:00:00Z\" = @\"2021-01-01T08:00:00+08:00\"", "true" },
        { "@\"2021-01-01T08:00:00@Asia/Shanghai\" = @\"2021-01-01T00:00:00Z\"", "true" },
        { "@\"10:00:00\" + @\"PT15H\"", "\"01:00:00\"" },
        { "@\"10:00:00\" - @\"09:30:00\"", "\"PT30M\"" },
        { "@\"P1Y\" * 1.5", "\"P1Y6M\"" },
        { "@\"PT1H\" / @\"PT15M\"", "4" },
        { "@\"P1D\" / 2", "\"PT12H\"" },
        { "@\"P1Y\" + @\"P1D\"", "null" },
        { "-@\"P1DT2H\"", "\"-P1DT2H\"" },
        { "date(2023, 2, 29)", "null" },
        { "date(\"-999999999-01-01\") - @\"P1D\"", "null" },
        { "time(11, 59, 45.5, @\"-PT2H\")", "\"11:59:45.5-02:00\"" },
        { "date and time(2020, 1, 2, 3, 4, 5)", "\"2020-01-02T03:04:05\"" },
        { "years and months duration(@\"2020-01-31\", @\"2021-01-30\")", "\"P11M\"" },
        { "day of week(@\"2026-11-21\")", "\"Saturday\"" },
        { "week of year(@\"2021-01-03\")", "53" },
        { "day of year(@\"2020-12-31\")", "366" },
        { "month of year(@\"2019-09-17\")", "\"September\"" },
        { "today()", "\"2025-11-21\"" },
        { "now() - @\"2025-11-21T13:00:00Z\"", "\"PT1H\"" },
        { "duration(\"P1Y2D\")", "null" },
        { "@\"2021-02-30\"", "null" },
    };
    CHECK_CASES(cases);
}

static void test_lists(void **state)
{
    (void)state;
    static const struct feel_case cases[] = {
        { "[1, 2, 3][-1]", "3" },
        { "[1, 2, 3][4]", "null" },
        { "7[1]", "7" },
        { "[][1]", "null" },
        { "[{x: 1, y: 2}, {x: 2}].y", "[2,null]" },
        { "concatenate([1], [2, 3], 4)", "[1,2,3,4]" },
        { "union([1, 2], [2, 3])", "[1,2,3]" },
        { "distinct values(for i in 1..40 return i - 2 * floor(i / 2))", "[1,0]" },
        { "flatten([1, [2, [3, []]]])", "[1,2,3]" },
        { "insert before([1, 3], 2, 2)", "[1,2,3]" },
        { "remove([1, 2, 3], -1)", "[1,2]" },
        { "index of([1, null, 1], 1)", "[1,3]" },
        { "sublist([1, 2, 3], -2)", "[2,3]" },
        { "list replace([1, 2, 3], function(i, n) i > n, 2)", "[1,2,2]" },
        { "median([3, 1, 2, 4])", "2.5" },
        { "mode([1, 2, 2, 1, 3])", "[1,2]" },
        { "stddev(2, 4, 7, 5)", "2.081665999466132735282297706979931" },
        { "max([\"a\", \"b\"])", "\"b\"" },
        { "min([])", "null" },
        { "sum([1, null])", "null" },
        { "all([true, null])", "null" },
        { "any([true, null])", "true" },
        { "count([1, [2, 3]])", "2" },
        { "context put({a: {b: 1}}, [\"a\", \"c\"], 2)", "{\"a\":{\"b\":1,\"c\":2}}" },
        { "context merge([{a: 1}, {a: 2, b: 3}])", "{\"a\":2,\"b\":3}" },
        { "context([{key: \"a\", value: 1}, {key: \"a\", value: 2}])", "null" },
        { "get entries({a: 1})", "[{\"key\":\"a\",\"value\":1}]" },
        { "{a: 1, a: 2}", "null" },
    };
    CHECK_CASES(cases);
}

static void test_text(void **state)
{
    (void)state;
    static const struct feel_case cases[] = {
        { "upper case(\"stra\xc3\x9f"
          "e\")",
          "\"STRASSE\"" },
        { "substring(\"\xe4\xb8\xad\xe6\x96\x87"
          "ab\", 2, 2)",
          "\"\xe6\x96\x87"
          "a\"" },
        { "string([1, \"a\", {b c: null, \"{\": 2}])", "\"[1, \\\"a\\\", {b c: null, \\\"{\\\": 2}]\"" },
        { "string(1.10)", "\"1.1\"" },
        { "number(\"1.000.000,01\", \".\", \",\")", "1000000.01" },
        { "number(\"x\")", "null" },
        { "string length(string(number(string join(for i in 1..300 return \".\"))))", "null" },
        { "replace(\"abracadabra\", \"a(.)\", \"a$1$1\")", "\"abbraccaddabbra\"" },
        { "replace(\"a.b\", \".\", \"-\", \"q\")", "\"a-b\"" },
        { "replace(\"abc\", \"x*\", \"-\")", "null" },
        { "matches(\"a\\nb\", \"a.b\")", "false" },
        { "matches(\"a\\nb\", \"a.b\", \"s\")", "true" },
        { "matches(\"foo\", \"^f\\io$\")", "true" },
        { "matches(\"x\", \"[a-z-[x]]\")", "false" },
        { "matches(\"\xce\xb1\", \"\\p{IsGreekandCoptic}\")", "true" },
        { "matches(\"a\", \"(?=a)\")", "null" },
        { "matches(\"a\", \"[a\")", "null" },
        { "split(\"a;b;;\", \";\")", "[\"a\",\"b\",\"\",\"\"]" },
        { "string join([\"a\", null, \"b\"], \"-\")", "\"a-b\"" },
        { "round half up(2.5, 0)", "3" },
        { "round half down(-2.5)", "-2" },
        { "decimal(2.5, 0)", "2" },
        { "decimal(1234.5, -2)", "1200" },
        { "floor(-1.5)", "-2" },
        { "modulo(-12, 5)", "3" },
        { "modulo(10.1, -4.5)", "-3.4" },
        { "sqrt(-1)", "null" },
        { "even(0)", "true" },
    };
    CHECK_CASES(cases);
}

static void test_ranges_and_types(void **state)
{
    (void)state;
    static const struct feel_case cases[] = {
        { "before([1..5], [5..8])", "false" },
        { "before([1..5[, [5..8])", "true" },
        { "meets([1..5], [5..8])", "true" },
        { "overlaps([1..5], [3..8])", "true" },
        { "overlaps after([3..8], [1..5])", "true" },
        { "finishes(10, [1..10])", "true" },
        { "during([2..3], (1..4))", "true" },
        { "includes([1..10], (< 5))", "false" },
        { "coincides([1..5], [1..5])", "true" },
        { "before(1, \"a\")", "null" },
        { "range(\"[1..3]\") = [1..3]", "true" },
        { "range(\"[3..1]\")", "null" },
        { "1 instance of number", "true" },
        { "null instance of Any", "false" },
        { "[1, \"a\"] instance of list<number>", "false" },
        { "{a: 1} instance of context<a: number>", "true" },
        { "{a: 1} instance of context<b: number>", "false" },
        { "[1..2] instance of range<number>", "true" },
        { "(function(a: number) \"x\") instance of function<number>->Any", "true" },
        { "@\"P1D\" instance of days and time duration", "true" },
    };
    CHECK_CASES(cases);
}

/* ---------------------------------------------------------------- errors, limits */

static void test_syntax_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *id;
        int line, column;
    } cases[] = {
        { "1 +", "feel.expected_at_end", 1, 4 },
        { "(1", "feel.expected_at_end", 1, 3 },
        { "if 1 then 2", "feel.expected_at_end", 1, 12 },
        { "\xe4\xb8\xad + 1", "feel.unknown_name", 1, 1 },
        { "1 +\n  foo", "feel.unknown_name", 2, 3 },
        { "1 2", "feel.rest", 1, 3 },
        { "\"abc", "feel.string_open", 1, 1 },
        { "@\"x\"", "feel.at_literal", 1, 1 },
        { "1 instance of nothing", "feel.unknown_type", 1, 15 },
        { "f(a: 1, 2)", "feel.unknown_name", 1, 1 },
        { "abs(n: 1, 2)", "feel.mixed_arguments", 1, 11 },
        { "", "feel.expected_at_end", 1, 1 },
        { "{a 1}", "feel.expected", 1, 5 },
        { "1e99999", "feel.number", 1, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench bench;
        const struct feel_program *program = NULL;
        struct err err = { 0 };
        setup(&bench);
        const enum err_code rc = feel_prepare(bench.arena, bench.scope, str_from(cases[i].text),
                                              FEEL_EXPRESSION, 0, &program, &err);
        test_ok(rc == ERR_INVALID && strcmp(err.id, cases[i].id) == 0 && err.at.line == cases[i].line &&
                    err.at.column == cases[i].column && !program,
                "%s: %s %d:%d", cases[i].text, rc ? err.id : "accepted", err.at.line, err.at.column);
        arena_free(bench.arena);
    }
}

static void test_warnings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *id, *what;
        int line, column;
    } cases[] = {
        { "1 +\n  \"a\"", "feel.operands", "+", 1, 1 },
        { "[1,\n number(\"x\")]", "feel.no_result", "number", 2, 2 },
        { "sort([1, 2], function(a, b)\n a + substring(b, 1))", "feel.no_result", "substring", 2, 6 },
        { "{a: 1}.b", "feel.no_field", "b", 1, 1 },
        { "2 * nobody", "feel.unknown_name_null", "nobody", 1, 5 },
        { "1(2)", "feel.no_function", "number", 1, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench bench;
        setup(&bench);
        (void)evaluate(&bench, cases[i].text, FEEL_NAMES_OPEN, NULL);
        const struct feel_warning *warning = bench.ev.warnings;
        test_ok(bench.ev.warnings_count > 0 && strcmp(warning->id, cases[i].id) == 0 &&
                    str_eq(warning->what, str_from(cases[i].what)) && warning->line == cases[i].line &&
                    warning->column == cases[i].column,
                "%s: %s %.*s %d:%d", cases[i].text, bench.ev.warnings_count ? warning->id : "none",
                STR_ARG(warning->what), warning->line, warning->column);
        arena_free(bench.arena);
    }
}

static void repeated(struct buf *buf, const char *text, int count)
{
    for (int i = 0; i < count; i++)
        buf_text(buf, text);
}

/* `[` behind the high end of a range is read twice: not twice at each level. */
static void test_range_backtracking(void **state)
{
    (void)state;
    struct bench bench;
    struct buf buf;
    setup(&bench);
    buf_init(&buf, 1 << 16);
    repeated(&buf, "]1..y[", 100);
    const char *got = evaluate(&bench, buf.ptr, FEEL_NAMES_OPEN, NULL);
    test_ok(got[0] == '!', "%s", got); /* refused, and soon */
    buf_done(&buf);
    arena_free(bench.arena);
}

static void test_limits(void **state)
{
    (void)state;
    static const struct feel_case cases[] = {
        { "for i in 1..1000000, j in 1..1000000 return 1", "!feel.list_max" },
        { "some i in 1..100000000, j in 1..100000000 satisfies i < 0", "!feel.steps" },
        { "{f: function(n) f(n + 1), r: f(0)}.r", "!feel.depth" },
        { "count(for i in 1..60 return [partial, partial])", "60" },
        { "string length(string((for i in 1..60 return [partial, partial])[-1]))", "!feel.text_max" },
        { "(for i in 1..60 return [partial, partial]) = (for i in 1..60 return [partial, partial])",
          "!feel.steps" },
        { "matches(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\", \"(a*)*c\")", "false" },
    };
    CHECK_CASES(cases);
    static const char *const DEEP[] = { "(", "[", "-", "{a:", "1+(", "if true then 1 else ", "function(a) " };
    for (size_t i = 0; i < sizeof DEEP / sizeof *DEEP; i++) {
        struct bench bench;
        struct buf buf;
        setup(&bench);
        buf_init(&buf, (size_t)1 << 20);
        repeated(&buf, DEEP[i], 20000);
        const char *got = evaluate(&bench, buf.ptr, 0, NULL);
        test_ok(strcmp(got, "!feel.depth") == 0, "%s... gives %s", DEEP[i], got);
        buf_clear(&buf);
        repeated(&buf, "1+", 20000);
        buf_char(&buf, '1');
        got = evaluate(&bench, buf.ptr, 0, NULL);
        test_ok(strcmp(got, "!feel.depth") == 0, "a long sum gives %s", got);
        buf_done(&buf);
        arena_free(bench.arena);
    }
}

/* ---------------------------------------------------------------- from C */

static enum err_code twice(void *arg, struct feel_eval *ev, const struct feel_value *args, size_t count,
                           struct feel_value *out)
{
    (void)ev;
    (void)count;
    ++*(int *)arg;
    struct decimal number;
    if (decimal_add(args->number, args->number, &number))
        *out = feel_number(number);
    return ERR_OK;
}

static void test_inputs_and_natives(void **state)
{
    (void)state;
    struct bench bench;
    struct err err;
    size_t slot = 99;
    int calls = 0;
    setup(&bench);
    const struct feel_type_field fields[] = { { STR("Monthly Income"), feel_type_basic(FEEL_T_NUMBER) } };
    const struct feel_type *applicant = feel_type_context(bench.arena, fields, 1);
    const struct feel_type_field params[] = { { STR("n"), feel_type_basic(FEEL_T_NUMBER) } };
    struct feel_value inputs[2];
    const struct feel_entry entry = { STR("Monthly Income"), feel_i64(100) };
    inputs[0] = feel_context(&entry, 1);
    test_ok(!feel_scope_add(bench.scope, STR(" Loan   Applicant "), applicant, &slot, &err) && slot == 0,
            "add");
    test_ok(!feel_scope_add(bench.scope, STR("twice"), NULL, &slot, &err) && slot == 1, "add");
    test_ok(
        !feel_function_native(bench.arena, STR("twice"), params, 1, NULL, twice, &calls, &inputs[1], &err),
        "native");
    static const struct feel_case cases[] = {
        { "Loan Applicant.Monthly Income * 12", "1200" },
        { "Loan  Applicant . Monthly Income - 1", "99" },
        { "twice(Loan Applicant.Monthly Income)", "200" },
        { "twice(n: 4) + twice([5])", "18" },
        { "twice(\"a\")", "null" },
        { "{f: function(x) twice(x) + Loan Applicant.Monthly Income, r: f(1)}.r", "102" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = evaluate(&bench, cases[i].text, 0, inputs);
        test_ok(strcmp(got, cases[i].want) == 0, "%s gives %s", cases[i].text, got);
    }
    test_ok(calls == 4, "%d calls", calls);
    arena_free(bench.arena);
}

static void test_unary_tests(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct feel_value value;
        enum feel_truth want;
    } cases[] = {
        { "-", { .kind = FEEL_NULL }, FEEL_TRUE },
        { "< 5, [7..9]", { .kind = FEEL_NUMBER, .number = { 8, DECIMAL_SMALL_TAG } }, FEEL_TRUE },
        { "< 5, [7..9]", { .kind = FEEL_NUMBER, .number = { 6, DECIMAL_SMALL_TAG } }, FEEL_FALSE },
        { "not(1, 2)", { .kind = FEEL_NUMBER, .number = { 3, DECIMAL_SMALL_TAG } }, FEEL_TRUE },
        { "not(< 5)", { .kind = FEEL_NUMBER, .number = { 3, DECIMAL_SMALL_TAG } }, FEEL_FALSE },
        { "? > 2 and ? < 4", { .kind = FEEL_NUMBER, .number = { 3, DECIMAL_SMALL_TAG } }, FEEL_TRUE },
        { "even(?)", { .kind = FEEL_NUMBER, .number = { 3, DECIMAL_SMALL_TAG } }, FEEL_FALSE },
        { "< 5", { .kind = FEEL_NULL }, FEEL_UNKNOWN },
        { "null", { .kind = FEEL_NULL }, FEEL_TRUE },
        { "true", { .kind = FEEL_NULL }, FEEL_FALSE },
        { "true", { .kind = FEEL_NUMBER, .number = { 1, DECIMAL_SMALL_TAG } }, FEEL_UNKNOWN },
        { "false", { .kind = FEEL_BOOLEAN, .boolean = false }, FEEL_TRUE },
        { "true", { .kind = FEEL_BOOLEAN, .boolean = false }, FEEL_FALSE },
        { "not(true) = false", { .kind = FEEL_NUMBER, .number = { 3, DECIMAL_SMALL_TAG } }, FEEL_TRUE },
        { "[1, 3]", { .kind = FEEL_NUMBER, .number = { 3, DECIMAL_SMALL_TAG } }, FEEL_TRUE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench bench;
        const struct feel_program *program;
        struct err err = { 0 };
        enum feel_truth truth = FEEL_UNKNOWN;
        setup(&bench);
        test_ok(!feel_scope_add(bench.scope, STR("?"), NULL, NULL, &err), "scope");
        test_ok(!feel_prepare(bench.arena, bench.scope, str_from(cases[i].text), FEEL_UNARY_TESTS, 0,
                              &program, &err) &&
                    !feel_test(program, &bench.ev, &cases[i].value, &truth, &err) && truth == cases[i].want,
                "%s: %d, %s", cases[i].text, truth, err.id ? err.id : "");
        arena_free(bench.arena);
    }
}

static void test_simple_tests(void **state)
{
    (void)state;
    struct bench bench;
    struct feel_tests tests = { 0 };
    const struct feel_program *program;
    struct err err;
    setup(&bench);
    test_ok(!feel_scope_add(bench.scope, STR("?"), NULL, NULL, &err), "scope");
    test_ok(!feel_prepare(bench.arena, bench.scope, STR("not(1, \"a\", [2..3[, > 7 + 1)"), FEEL_UNARY_TESTS,
                          0, &program, &err) &&
                feel_program_tests(program, bench.arena, &tests) && tests.count == 4 && tests.negated,
            "four simple tests");
    test_ok(tests.items && tests.items[0].kind == FEEL_TEST_EQUAL && tests.items[2].kind == FEEL_TEST_RANGE &&
                !tests.items[2].range->high_closed && tests.items[3].range->high_none &&
                decimal_cmp(tests.items[3].range->low.number, decimal_i64(8)) == 0,
            "their content");
    test_ok(!feel_prepare(bench.arena, bench.scope, STR("even(?)"), FEEL_UNARY_TESTS, 0, &program, &err) &&
                !feel_program_tests(program, bench.arena, &tests),
            "not simple");
    static const struct {
        const char *text;
        size_t count; /* 0: not simple */
    } cases[] = {
        { "? > 3", 1 },
        { "3 < ?, ? = 1", 2 },
        { "? > 3 and ? <= 7", 1 },
        { "? between 1 and 5 or ? = 9", 2 },
        { "? != 3", 2 },
        { "? in (1, [3..5])", 2 },
        { "starts with(?, \"ab\")", 1 },
        { "starts with(?, \"\")", 0 },
        { "contains(?, \"ab\")", 0 },
        { "not(? > 3)", 0 }, /* unknown would become false */
        { "? != null", 0 },
        { "? > ?", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tests.count = 0;
        const bool simple = !feel_prepare(bench.arena, bench.scope, str_from(cases[i].text), FEEL_UNARY_TESTS,
                                          0, &program, &err) &&
                            feel_program_tests(program, bench.arena, &tests);
        test_ok(simple == (cases[i].count > 0) && (!simple || tests.count == cases[i].count), "%s: %zu tests",
                cases[i].text, tests.count);
    }
    arena_free(bench.arena);
}

static void test_many(void **state)
{
    (void)state;
    enum { ROWS = 1000 };
    struct bench bench;
    struct err err;
    const struct feel_program *program;
    static struct feel_value column[ROWS], out[ROWS];
    setup(&bench);
    for (int i = 0; i < ROWS; i++)
        column[i] = feel_i64(i);
    test_ok(!feel_scope_add(bench.scope, STR("x"), NULL, NULL, &err) &&
                !feel_scope_add(bench.scope, STR("y"), NULL, NULL, &err),
            "scope");
    test_ok(!feel_prepare(bench.arena, bench.scope, STR("x * 2 + count([x, x])"), FEEL_EXPRESSION, 0,
                          &program, &err),
            "prepare");
    const struct feel_value *columns[] = { column, NULL };
    const size_t before = arena_used(bench.arena);
    test_ok(!feel_evaluate_many(program, &bench.ev, columns, ROWS, out, &err), "many");
    test_ok(arena_used(bench.arena) - before < 1000, "numbers leave nothing behind");
    for (int i = 0; i < ROWS; i++)
        test_ok(decimal_cmp(out[i].number, decimal_i64(2 * i + 2)) == 0, "row %d", i);
    arena_free(bench.arena);
}

static void test_json(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    const struct feel_type_field fields[] = { { STR("d"), feel_type_basic(FEEL_T_DATE) } };
    const struct feel_type *type = feel_type_context(arena, fields, 1);
    struct feel_value value;
    struct err err;
    json_t *json =
               json_loads("{\"d\":\"2020-01-02\",\"n\":0.1,\"i\":12345678901,\"l\":[true,null]}", 0, NULL),
           *back;
    test_ok(!feel_from_json_typed(arena, json, type, &value, &err), "from");
    const struct feel_value *day = feel_context_get(&value, STR("d"));
    test_ok(day && day->kind == FEEL_DATE, "a date by its type");
    test_ok(!feel_to_json(&value, &back, &err) && json_equal(json, back), "there and back");
    json_decref(back);
    json_decref(json);
    json = json_loads("{\"d\":\"2020-02-30\"}", 0, NULL);
    test_ok(feel_from_json_typed(arena, json, type, &value, &err) == ERR_INVALID, "no date");
    json_decref(json);
    arena_free(arena);
}

static void test_coerce(void **state)
{
    (void)state;
    struct bench bench;
    struct feel_value out;
    setup(&bench);
    const struct feel_type *number = feel_type_basic(FEEL_T_NUMBER);
    const struct feel_type *numbers = feel_type_list(bench.arena, number);
    const struct feel_value one = feel_i64(1), text = feel_string(STR("a")), list = feel_list(&one, 1);
    test_ok(feel_coerce(&bench.ev, &list, number, &out) && out.kind == FEEL_NUMBER,
            "a list of one is its item");
    test_ok(feel_coerce(&bench.ev, &one, numbers, &out) && out.kind == FEEL_LIST, "an item is a list of one");
    test_ok(!feel_coerce(&bench.ev, &text, number, &out) && out.kind == FEEL_NULL &&
                bench.ev.warnings_count == 1,
            "null and a warning");
    arena_free(bench.arena);
}

static void test_builtin_table(void **state)
{
    (void)state;
    struct feel_builtin_info info, last = { .name = "" };
    size_t count = 0;
    for (; feel_builtin(count, &info); count++) {
        test_ok(strcmp(last.name, info.name) < 0, "%s before %s", last.name, info.name);
        last = info;
    }
    test_ok(count > 80, "%zu", count);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "{a: [1, 2, 3][item > 1], f: function(x) x + count(a), r: f(2), s: replace(\"abc\", \"[a-b]\", "
        "\"$0$0\"), "
        "t: string(a) + upper case(\"\xc3\xa4\"), d: @\"2020-01-01T00:00:00@Europe/Paris\" + @\"P1D\", "
        "u: sort(union([3], a), function(p, q) p < q)}",
        "for i in 1..20 return distinct values(partial)",
    };
    for (size_t t = 0; t < sizeof TEXTS / sizeof *TEXTS; t++)
        for (long nth = 0;; nth++) {
            const struct feel_program *program;
            struct feel_value value;
            struct feel_eval ev;
            struct err err = { 0 };
            enum err_code rc = ERR_NOMEM;
            mem_fail_at(nth);
            struct arena *arena = arena_new(1 << 20);
            struct feel_scope *scope = arena ? feel_scope_new(arena) : NULL;
            if (scope) {
                rc = feel_prepare(arena, scope, str_from(TEXTS[t]), FEEL_EXPRESSION, 0, &program, &err);
                feel_eval_init(&ev, arena);
                if (!rc)
                    rc = feel_evaluate(program, &ev, NULL, &value, &err);
            }
            arena_free(arena);
            mem_fail_at(-1);
            test_ok(mem_live() == 0 && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld: %s", nth,
                    err.id ? err.id : "?");
            if (rc == ERR_OK)
                break;
        }
    /* The ceiling of the arena, at every size. */
    for (size_t size = 0; size < 60000; size += 97) {
        const struct feel_program *program;
        struct feel_value value;
        struct feel_eval ev;
        struct err err = { 0 };
        struct arena *arena = arena_new(size);
        struct feel_scope *scope = feel_scope_new(arena);
        enum err_code rc =
            scope ? feel_prepare(arena, scope, str_from(TEXTS[0]), FEEL_EXPRESSION, 0, &program, &err)
                  : ERR_NOMEM;
        feel_eval_init(&ev, arena);
        if (!rc)
            rc = feel_evaluate(program, &ev, NULL, &value, &err);
        arena_free(arena);
        test_ok(rc == ERR_OK || rc == ERR_NOMEM, "arena of %zu: %s", size, err.id ? err.id : "?");
    }
}

TEST_MAIN(TEST(test_arithmetic), TEST(test_logic), TEST(test_names), TEST(test_functions),
          TEST(test_temporal), TEST(test_lists), TEST(test_text), TEST(test_ranges_and_types),
          TEST(test_syntax_errors), TEST(test_warnings), TEST(test_limits), TEST(test_range_backtracking),
          TEST(test_inputs_and_natives), TEST(test_unary_tests), TEST(test_simple_tests), TEST(test_many),
          TEST(test_json), TEST(test_coerce), TEST(test_builtin_table), TEST(test_out_of_memory))
