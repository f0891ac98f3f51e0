#include "test.h"
#include "teststore.h"

#include "platform/decision/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define HEAD "<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' name='m' namespace='urn:m'>"
#define TABLE(first, out)                                                                                    \
    HEAD "<inputData id='n' name='n'><variable name='n' typeRef='number'/></inputData>"                      \
         "<decision id='d' name='grade'><variable name='grade' typeRef='string'/>"                           \
         "<informationRequirement><requiredInput href='#n'/></informationRequirement>"                       \
         "<decisionTable id='t'><input id='i'><inputExpression typeRef='number'><text>n</text>"              \
         "</inputExpression></input><output id='o'/><annotation name='why'/>"                                \
         "<rule id='r1'><inputEntry id='a'><text>" first "</text></inputEntry><outputEntry id='b'>"          \
         "<text>\"low\"</text></outputEntry><annotationEntry><text>x</text></annotationEntry></rule>"        \
         "<rule id='r2'><inputEntry id='c'><text>&gt;= 5</text></inputEntry><outputEntry id='e'><text>" out  \
         "</text></outputEntry><annotationEntry><text/></annotationEntry></rule>"                            \
         "</decisionTable></decision></definitions>"

struct fixture {
    struct store *store;
    struct ids ids;
    struct decisions *decisions;
    struct arena *arena;
    int64_t id;
};

static void set_up(struct fixture *f)
{
    *f = (struct fixture) { .store = teststore_new(), .arena = arena_new(1 << 28) };
    ids_init(&f->ids, &CLOCK_SYSTEM, 1);
    struct words *words = words_new();
    const struct decisions_config config = {
        .store = f->store, .ids = &f->ids, .clock = &CLOCK_SYSTEM, .words = words
    };
    f->decisions = decisions_new(&config);
    struct err err = { 0 };
    teststore_ok(decision_create(f->decisions, NULL, STR("grade"), STR("Grade"),
                                 STR(TABLE("&lt; 5", "\"high\"")), &f->id, &err),
                 &err, "create");
}

static void tear_down(struct fixture *f)
{
    words_free((struct words *)(uintptr_t)f->decisions->config.words);
    decisions_free(f->decisions);
    store_close(f->store);
    arena_free(f->arena);
}

static int64_t add_case(struct fixture *f, const char *input, const char *expected)
{
    struct err err = { 0 };
    int64_t id;
    const struct decision_case_row row = { .decision_id = f->id,
                                           .version = -1,
                                           .name = STR("case"),
                                           .target = STR("grade"),
                                           .input = str_from(input),
                                           .expected = str_from(expected) };
    teststore_ok(decision_case_save(f->decisions, NULL, &row, false, &id, &err), &err, "case");
    return id;
}

static enum decision_state state_of(struct fixture *f, int64_t number)
{
    struct decision_version_row row;
    struct err err = { 0 };
    teststore_ok(decision_version_read(f->decisions, f->arena, f->id, number, &row, &err), &err, "version");
    return row.state;
}

static void test_life(void **state)
{
    (void)state;
    struct fixture f;
    struct decision_test test;
    struct err err = { 0 };
    const struct decision_held *held, *later;
    int64_t number, version;
    set_up(&f);

    test_ok(decision_publish(f.decisions, NULL, f.id, 1, &err) == ERR_CONFLICT &&
                strcmp(err.id, "decision.not_tested") == 0,
            "an untested one is not published: %s", err.id);
    teststore_ok(decision_test(f.decisions, NULL, f.arena, f.id, 1, LANG_EN, &test, &err), &err, "test");
    test_ok(!test.tested && test.count == 0, "without cases nothing is tested");
    const int64_t wrong = add_case(&f, "{\"n\":1}", "\"high\"");
    (void)add_case(&f, "{\"n\":7}", "\"high\"");
    teststore_ok(decision_test(f.decisions, NULL, f.arena, f.id, 1, LANG_EN, &test, &err), &err, "test");
    test_ok(!test.tested && test.failed == 1 && str_eq(test.results[0].got, STR("\"low\"")),
            "one case fails: %.*s", STR_ARG(test.results[0].got));
    const struct decision_case_row gone = {
        .id = wrong, .decision_id = f.id, .version = -1, .name = STR("case")
    };
    teststore_ok(decision_case_save(f.decisions, NULL, &gone, true, &number, &err), &err, "remove");
    teststore_ok(decision_test(f.decisions, NULL, f.arena, f.id, 1, LANG_EN, &test, &err), &err, "test");
    test_ok(test.tested && state_of(&f, 1) == DECISION_TESTED, "tested");
    (void)add_case(&f, "{\"n\":1}", "\"low\"");
    test_ok(state_of(&f, 1) == DECISION_DRAFT, "another case makes it a draft again");
    teststore_ok(decision_test(f.decisions, NULL, f.arena, f.id, 1, LANG_EN, &test, &err), &err, "test");
    test_ok(test.tested, "tested again");
    test_ok(decision_get(f.decisions, STR("grade"), 0, &held, &err) == ERR_NOT_FOUND,
            "nothing is published yet");
    teststore_ok(decision_publish(f.decisions, NULL, f.id, 1, &err), &err, "publish");
    teststore_ok(decision_get(f.decisions, STR("grade"), 0, &held, &err), &err, "get");
    test_ok(held->number == 1 && dmn_find(held->model, DMN_DECISION, STR("grade")) >= 0, "the model");

    test_ok(decision_save(f.decisions, NULL, f.id, 1, -1, STR("<x/>"), STR(""), &version, &err) ==
                    ERR_CONFLICT &&
                strcmp(err.id, "decision.fixed") == 0,
            "a published one never changes: %s", err.id);
    test_ok(decision_discard(f.decisions, NULL, f.id, 1, &err) == ERR_CONFLICT, "nor goes away");
    teststore_ok(decision_draft(f.decisions, NULL, f.id, 1, &number, &err), &err, "draft");
    test_ok(number == 2 && decision_draft(f.decisions, NULL, f.id, 1, &number, &err) == ERR_CONFLICT,
            "one draft");
    test_ok(decision_save(f.decisions, NULL, f.id, 2, 99, STR("<x/>"), STR(""), &version, &err) == ERR_STALE,
            "stale");
    teststore_ok(decision_save(f.decisions, NULL, f.id, 2, 1, STR(TABLE("&lt; 5", "\"HIGH\"")), STR("louder"),
                               &version, &err),
                 &err, "save");
    teststore_ok(decision_test(f.decisions, NULL, f.arena, f.id, 2, LANG_EN, &test, &err), &err, "test");
    test_ok(!test.tested && test.failed == 1, "the old case fails on the new model");
    teststore_ok(decision_save(f.decisions, NULL, f.id, 2, version, STR(TABLE("&lt;= 4", "\"high\"")),
                               STR(""), &version, &err),
                 &err, "save");
    teststore_ok(decision_test(f.decisions, NULL, f.arena, f.id, 2, LANG_EN, &test, &err), &err, "test");
    teststore_ok(decision_publish(f.decisions, NULL, f.id, 2, &err), &err, "publish");
    test_ok(state_of(&f, 1) == DECISION_RETIRED && state_of(&f, 2) == DECISION_PUBLISHED,
            "the first one retires");
    teststore_ok(decision_get(f.decisions, STR("grade"), 0, &later, &err), &err, "get");
    test_ok(later->number == 2 && held->number == 1, "who holds the old one keeps it");
    decision_release(f.decisions, later);
    teststore_ok(decision_get(f.decisions, STR("grade"), 1, &later, &err), &err, "a pinned version");
    test_ok(later == held, "compiled once");
    decision_release(f.decisions, later);
    decision_release(f.decisions, held);
    teststore_ok(decision_retire(f.decisions, NULL, f.id, 2, &err), &err, "retire");
    test_ok(decision_get(f.decisions, STR("grade"), 0, &held, &err) == ERR_NOT_FOUND, "nothing is published");
    tear_down(&f);
}

static void test_broken_models(void **state)
{
    (void)state;
    struct fixture f;
    struct decision_test test;
    struct err err = { 0 };
    int64_t version;
    set_up(&f);
    (void)add_case(&f, "{\"n\":7}", "\"high\"");
    teststore_ok(decision_save(f.decisions, NULL, f.id, 1, -1, STR(TABLE("&lt; ", "\"high\"")), STR(""),
                               &version, &err),
                 &err, "a draft may be wrong");
    teststore_ok(decision_test(f.decisions, NULL, f.arena, f.id, 1, LANG_EN, &test, &err), &err, "test");
    test_ok(!test.tested && test.errors == 1, "errors: %d", test.errors);
    teststore_ok(decision_save(f.decisions, NULL, f.id, 1, -1, STR("no model"), STR(""), &version, &err),
                 &err, "any");
    test_ok(decision_test(f.decisions, NULL, f.arena, f.id, 1, LANG_EN, &test, &err) == ERR_INVALID,
            "no model");
    tear_down(&f);
}

static void test_failing_statements(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct fixture f;
        struct err err = { 0 };
        int64_t version;
        set_up(&f);
        store_fail_at(f.store, nth, ERR_STORE);
        const enum err_code rc =
            decision_save(f.decisions, NULL, f.id, 1, 1, STR(TABLE("1", "2")), STR("new"), &version, &err);
        store_fail_at(f.store, -1, ERR_OK);
        struct decision_version_row row;
        teststore_ok(decision_version_read(f.decisions, f.arena, f.id, 1, &row, &err), &err, "read");
        test_ok(rc == ERR_OK ? row.version == 2 && str_eq(row.comment, STR("new"))
                             : row.version == 1 && str_eq(row.comment, STR("")),
                "all or nothing at %ld", nth);
        tear_down(&f);
        if (rc == ERR_OK)
            return;
        test_ok(nth < 50, "ends");
    }
}

static void test_xlsx(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 28);
    const struct str model = STR(TABLE("&lt; 5", "\"high\""));
    struct err err = { 0 };
    struct str back = { 0 };
    const struct dmn_file *a, *b;
    struct dmn_changes changes;
    char path[400];
    (void)snprintf(path, sizeof path, "%s/table.xlsx", teststore_dir());
    teststore_ok(decision_table_to_xlsx(model, STR("grade"), path, &err), &err, "write");
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    test_ok(fd >= 0, "file");
    teststore_ok(decision_table_from_xlsx(arena, model, STR("grade"), fd, &back, &err), &err, "read");
    (void)close(fd);
    teststore_ok(dmn_read(arena, model, &a, &err), &err, "before");
    teststore_ok(dmn_read(arena, back, &b, &err), &err, "after");
    teststore_ok(dmn_diff(a, b, arena, &changes, &err), &err, "diff");
    test_ok(changes.count == 0, "nothing is lost: %zu changes, first %.*s", changes.count,
            STR_ARG(changes.count ? changes.items[0].what : STR("")));
    test_ok(b->elements[1].expr->table->rule_count == 2, "rules");
    const int not_xlsx = open(test_file("meson.build"), O_RDONLY | O_CLOEXEC);
    test_ok(decision_table_from_xlsx(arena, model, STR("grade"), not_xlsx, &back, &err) == ERR_INVALID, "%s",
            err.id);
    (void)close(not_xlsx);
    test_ok(decision_table_to_xlsx(model, STR("other"), path, &err) == ERR_NOT_FOUND, "%s", err.id);
}

static void test_views(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    json_t *json, *input = json_pack("{s:i}", "n", 7);
    set_up(&f);
    teststore_ok(
        decision_check_json(f.decisions, f.arena, STR(TABLE("&lt; 3", "\"high\"")), LANG_EN, &json, &err),
        &err, "check");
    const json_t *finding = json_array_get(json_object_get(json, "findings"), 0);
    test_ok(json_is_true(json_object_get(json, "loads")) &&
                strcmp(json_string_value(json_object_get(finding, "code")), "dmn.gap") == 0 &&
                json_integer_value(json_object_get(json_object_get(finding, "input"), "n")) == 3,
            "a gap with its example");
    json_decref(json);
    teststore_ok(decision_evaluate_json(f.decisions, STR(TABLE("&lt; 5", "\"high\"")), STR("grade"), input,
                                        LANG_EN, &json, &err),
                 &err, "evaluate");
    const json_t *rules = json_object_get(json_array_get(json_object_get(json, "tables"), 0), "rules");
    test_ok(strcmp(json_string_value(json_object_get(json, "value")), "high") == 0 &&
                strcmp(json_string_value(json_array_get(rules, 0)), "0") == 0 &&
                strcmp(json_string_value(json_array_get(rules, 1)), "1!") == 0,
            "value and trace");
    json_decref(json);
    json_decref(input);
    tear_down(&f);
}

static struct packs *packs_of(struct fixture *f, const char *dir, struct findings *findings)
{
    const struct packs_config config = { 0 };
    struct packs *packs = NULL;
    struct err err = { 0 };
    teststore_ok(findings_init(findings, f->arena, &err), &err, "findings");
    teststore_ok(packs_load_dir(dir, &config, findings, &packs, &err), &err, "packs");
    return packs;
}

static void take_pack(struct fixture *f, const char *dir, enum err_code want)
{
    struct findings findings;
    struct packs *packs = packs_of(f, dir, &findings);
    struct err err = { 0 };
    const enum err_code rc = decisions_take_packs(f->decisions, packs, &err);
    test_ok(rc == want, "take: %d %s", (int)rc, err.id ? err.id : "");
    packs_free(packs);
}

/* Without a store: the file, the line, the decision, and the cell in words. */
static void check_pack(struct fixture *f, const char *dir)
{
    struct findings findings;
    struct packs *packs = packs_of(f, dir, &findings);
    struct err err = { 0 };
    teststore_ok(decisions_check_packs(packs, f->decisions->config.words, LANG_EN, &findings, &err), &err,
                 "check");
    test_ok(findings.count == 1, "%d findings", findings.count);
    const struct err *one = &findings.items[0];
    test_ok(strcmp(one->id, "decision.pack_cell") == 0 &&
                strncmp(one->args[0].text, "trial/decisions/level.dmn:", 26) == 0 &&
                strcmp(one->args[1].text, "grade") == 0 && strcmp(one->args[2].text, "1:1") == 0,
            "%s %s %s %s", one->id, one->args[0].text, one->args[1].text, one->args[2].text);
    packs_free(packs);
}

static void test_packs(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    const struct decision_held *held;
    struct decision_row row;
    struct decision_version_row *versions;
    char dir[400];
    int count;
    set_up(&f);
    (void)snprintf(dir, sizeof dir, "%s/trial", teststore_dir());
    test_put(teststore_dir(), "trial/pack.json",
             "{\"name\":\"trial\",\"version\":\"0.1.0\",\"title\":{\"zh-CN\":\"t\",\"en\":\"t\"}}");
    test_put(dir, "decisions/level.dmn", TABLE("&lt; 5", "\"high\""));
    take_pack(&f, dir, ERR_OK);
    take_pack(&f, dir, ERR_OK); /* again: nothing new */
    teststore_ok(decision_get(f.decisions, STR("trial.level"), 0, &held, &err), &err, "published at once");
    test_ok(held->number == 1, "version 1");
    test_put(dir, "decisions/level.dmn", TABLE("&lt; 5", "\"HIGH\""));
    take_pack(&f, dir, ERR_OK);
    teststore_ok(decision_read(f.decisions, f.arena, held->decision_id, &row, &versions, &count, &err), &err,
                 "read");
    test_ok(count == 2 && row.published == 1 && versions[1].state == DECISION_DRAFT,
            "an upgrade is only offered");
    decision_release(f.decisions, held);
    test_put(dir, "decisions/level.dmn", TABLE("&lt; ", "1"));
    take_pack(&f, dir, ERR_INVALID);
    check_pack(&f, dir);
    tear_down(&f);
}

#define IMPORTS(ns, of, expression)                                                                          \
    "<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' name='m' namespace='urn:" ns "'>"     \
    "<import name='of' namespace='urn:" of "' importType='https://www.omg.org/spec/DMN/20230324/MODEL/'/>"   \
    "<decision id='d' name='" ns "'><variable name='" ns "'/>"                                               \
    "<informationRequirement><requiredDecision href='urn:" of "#d'/></informationRequirement>"               \
    "<literalExpression><text>" expression "</text></literalExpression></decision></definitions>"
#define GIVES(ns, value)                                                                                     \
    "<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' name='m' namespace='urn:" ns "'>"     \
    "<decision id='d' name='" ns "'><variable name='" ns "'/><literalExpression><text>" value                \
    "</text></literalExpression></decision></definitions>"

/* Adds the case that `target` gives `want`, tests and publishes that version. */
static void publish(struct fixture *f, int64_t id, int64_t number, const char *target, const char *want)
{
    struct decision_test test;
    struct err err = { 0 };
    int64_t one;
    const struct decision_case_row row = { .decision_id = id,
                                           .version = -1,
                                           .name = str_from(want),
                                           .target = str_from(target),
                                           .input = STR("{}"),
                                           .expected = str_from(want) };
    teststore_ok(decision_case_save(f->decisions, NULL, &row, false, &one, &err), &err, "case");
    teststore_ok(decision_test(f->decisions, NULL, f->arena, id, number, LANG_EN, &test, &err), &err, "test");
    test_ok(test.tested, "%s is tested: %.*s", target, STR_ARG(test.results[0].got));
    const struct decision_case_row gone = { .id = one, .decision_id = id, .version = -1, .name = STR("x") };
    teststore_ok(decision_publish(f->decisions, NULL, id, number, &err), &err, "publish");
    teststore_ok(decision_case_save(f->decisions, NULL, &gone, true, &one, &err), &err, "remove");
}

static int64_t create(struct fixture *f, const char *code, const char *model)
{
    struct err err = { 0 };
    int64_t id;
    teststore_ok(
        decision_create(f->decisions, NULL, str_from(code), str_from(code), str_from(model), &id, &err), &err,
        "create");
    return id;
}

static int64_t redraft(struct fixture *f, int64_t id, int64_t from, const char *model)
{
    struct err err = { 0 };
    int64_t number, version;
    teststore_ok(decision_draft(f->decisions, NULL, id, from, &number, &err), &err, "draft");
    teststore_ok(decision_save(f->decisions, NULL, id, number, -1, str_from(model), STR(""), &version, &err),
                 &err, "save");
    return number;
}

/* What a version of a decision gives, as text. */
static void expect(struct fixture *f, const char *code, int64_t number, int64_t want)
{
    struct err err = { 0 };
    const struct decision_held *held = NULL;
    struct feel_value value = { 0 };
    struct feel_eval ev;
    int64_t got = -1;
    teststore_ok(decision_get(f->decisions, str_from(code), number, &held, &err), &err, "get");
    feel_eval_init(&ev, f->arena);
    teststore_ok(dmn_evaluate(held->model, dmn_find(held->model, DMN_DECISION, str_from(code)), &ev, NULL, 0,
                              NULL, &value, &err),
                 &err, "evaluate");
    test_ok(value.kind == FEEL_NUMBER && decimal_to_i64(value.number, &got) && got == want, "%s %d gives %d",
            code, (int)number, (int)got);
    decision_release(f->decisions, held);
}

/* A version keeps the versions that it was tested with, whatever is published later. */
static void test_imports(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 }, why = { 0 };
    struct dmn_model *model = NULL;
    struct decision_version_row row;
    struct decision_test test;
    struct imports imports;
    set_up(&f);
    const int64_t upper = create(&f, "upper", IMPORTS("upper", "lower", "of.lower * 10"));
    test_ok(decision_test(f.decisions, NULL, f.arena, upper, 1, LANG_EN, &test, &err) == ERR_INVALID &&
                strcmp(err.id, "dmn.no_import") == 0,
            "nothing is published by that namespace: %s", err.id);
    const int64_t lower = create(&f, "lower", GIVES("lower", "1"));
    test_ok(decision_test(f.decisions, NULL, f.arena, upper, 1, LANG_EN, &test, &err) == ERR_INVALID,
            "a draft is no published one");
    publish(&f, lower, 1, "lower", "1");
    publish(&f, upper, 1, "upper", "10");
    expect(&f, "upper", 0, 10);

    const int64_t second = redraft(&f, lower, 1, GIVES("lower", "2"));
    publish(&f, lower, second, "lower", "2");
    expect(&f, "lower", 0, 2);
    expect(&f, "upper", 1, 10); /* held in memory */
    struct decisions *fresh = decisions_new(&f.decisions->config);
    struct decisions *old = f.decisions;
    f.decisions = fresh;
    expect(&f, "upper", 1, 10); /* and compiled anew: still with the retired one */
    f.decisions = old;
    decisions_free(fresh);
    teststore_ok(decision_version_read(f.decisions, f.arena, upper, 1, &row, &err), &err, "read");
    teststore_ok(imports_of_version(f.decisions, f.arena, &row, &imports, &err), &err, "imports");
    test_ok(imports.direct == 1 && imports.pins[0].number == 1 && imports.pins[0].published == 2 &&
                imports.pins[0].decision_id == lower,
            "pinned to 1 while 2 is published");

    const int64_t taken = redraft(&f, upper, 1, IMPORTS("upper", "lower", "of.lower * 10"));
    publish(&f, upper, taken, "upper", "20");
    expect(&f, "upper", 0, 20);

    /* two ways to one namespace go together only in one version */
    const int64_t top = create(&f, "top", IMPORTS("top", "upper", "of.upper + 1"));
    publish(&f, top, 1, "top", "21");
    const int64_t third = redraft(&f, lower, second, GIVES("lower", "3"));
    publish(&f, lower, third, "lower", "3");
    static const char both[] =
        "<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' name='m' namespace='urn:both'>"
        "<import name='a' namespace='urn:upper' importType=''/><import name='b' namespace='urn:lower' "
        "importType=''/></definitions>";
    teststore_ok(decision_load_text(f.decisions, str_from(both), &model, &why, &err), &err, "load");
    test_ok(!model && strcmp(why.id, "decision.import_two") == 0, "lower 2 and lower 3: %s", why.id);

    /* an import that comes back to the model itself */
    const int64_t round = redraft(&f, lower, third, IMPORTS("lower", "top", "of.top"));
    test_ok(decision_test(f.decisions, NULL, f.arena, lower, round, LANG_EN, &test, &err) == ERR_INVALID &&
                strcmp(err.id, "dmn.import_cycle") == 0,
            "round: %s", err.id);
    tear_down(&f);
}

/* Models of packs that import one another, in whatever order their files come. */
static void test_pack_imports(void **state)
{
    (void)state;
    struct fixture f;
    char dir[400];
    set_up(&f);
    (void)snprintf(dir, sizeof dir, "%s/chain", teststore_dir());
    test_put(teststore_dir(), "chain/pack.json",
             "{\"name\":\"chain\",\"version\":\"0.1.0\",\"title\":{\"zh-CN\":\"t\",\"en\":\"t\"}}");
    test_put(dir, "decisions/a.dmn", IMPORTS("chain.a", "chain.b", "of.chain.b + 1"));
    take_pack(&f, dir, ERR_INVALID);
    test_put(dir, "decisions/b.dmn", IMPORTS("chain.b", "chain.c", "of.chain.c + 1"));
    test_put(dir, "decisions/c.dmn", GIVES("chain.c", "1"));
    take_pack(&f, dir, ERR_OK);
    expect(&f, "chain.a", 0, 3);

    struct findings findings;
    struct packs *packs = packs_of(&f, dir, &findings);
    struct err err = { 0 };
    teststore_ok(decisions_check_packs(packs, f.decisions->config.words, LANG_EN, &findings, &err), &err,
                 "check");
    test_ok(findings.count == 0, "%d findings: %s", findings.count,
            findings.count ? findings.items[0].id : "");
    packs_free(packs);
    tear_down(&f);
}

TEST_MAIN(TEST(test_life), TEST(test_imports), TEST(test_pack_imports), TEST(test_broken_models),
          TEST(test_failing_statements), TEST(test_xlsx), TEST(test_views), TEST(test_packs))
