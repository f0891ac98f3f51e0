#include "base/buf.h"
#include "dmn/model.h"
#include "test.h"

#define HEAD "<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' name='m' namespace='urn:m'>\n"
#define TAIL "</definitions>"

static enum err_code read_text(struct arena *arena, const char *text, const struct dmn_file **file,
                               struct err *err)
{
    return dmn_read(arena, str_from(text), file, err);
}

static void test_table(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 22);
    const struct dmn_file *file = NULL;
    struct err err = { 0 };
    const char *text = HEAD
        "<import name='other' namespace='urn:o' importType='x'/>"
        "<itemDefinition name='tGrade'><typeRef>feel:string</typeRef><allowedValues><text>\"A\",\"B\"</text>"
        "</allowedValues></itemDefinition>"
        "<inputData id='i' name='Score'><variable name='Score' typeRef='number'/></inputData>"
        "<decision id='d' name='Grade'><variable name='Grade' typeRef='tGrade'/>"
        "<informationRequirement><requiredInput href='#i'/></informationRequirement>"
        "<knowledgeRequirement><requiredKnowledge href='urn:o#k'/></knowledgeRequirement>\n"
        "<decisionTable hitPolicy='COLLECT' aggregation='MAX'>"
        "<input id='c1'><inputExpression typeRef='number'><text>Score</text></inputExpression></input>"
        "<output id='o1'><defaultOutputEntry><text>0</text></defaultOutputEntry></output>"
        "<annotation name='why'/>"
        "<rule id='r1'><description>first</description><inputEntry id='e1'>\n<text>&lt; 5</text></inputEntry>"
        "<outputEntry id='e2'><text>1</text></outputEntry>"
        "<annotationEntry><text>low</text></annotationEntry></rule>"
        "</decisionTable></decision>"
        "<businessKnowledgeModel id='b' name='F'><encapsulatedLogic><formalParameter name='x'/>"
        "<literalExpression typeRef='number'><text>x + 1</text></literalExpression></encapsulatedLogic>"
        "</businessKnowledgeModel>"
        "<decisionService id='s' name='S'><outputDecision href='#d'/><inputData href='#i'/></decisionService>"
        "<textAnnotation/><q:any xmlns:q='urn:q'/>" TAIL;

    test_ok(read_text(arena, text, &file, &err) == ERR_OK, "reads: %s %s", err.id, err.args[0].text);
    test_ok(file->version == DMN_1_5 && file->element_count == 4 && file->item_count == 1 &&
                file->import_count == 1,
            "counts %d %d %d", file->element_count, file->item_count, file->import_count);
    test_ok(str_eq(file->items[0].type_ref, STR("string")), "prefix of types is dropped");
    const struct dmn_element *grade = &file->elements[1];
    test_ok(grade->kind == DMN_DECISION && grade->ref_count == 2 &&
                grade->refs[1].kind == DMN_REF_KNOWLEDGE && str_eq(grade->refs[1].ns, STR("urn:o")) &&
                str_eq(grade->refs[1].id, STR("k")),
            "requirements");
    const struct dmn_table *table = grade->expr->table;
    test_ok(table->hit_policy == DMN_HIT_COLLECT && table->aggregation == DMN_AGG_MAX &&
                table->rule_count == 1,
            "table");
    test_ok(str_eq(table->rules[0].inputs[0].text, STR("< 5")) && table->rules[0].inputs[0].line == 4 &&
                str_eq(table->rules[0].inputs[0].id, STR("e1")) &&
                str_eq(table->outputs[0].fallback.text, STR("0")) &&
                str_eq(table->rules[0].annotations[0], STR("low")),
            "cells; line %d", table->rules[0].inputs[0].line);
    const struct dmn_expr *function = file->elements[2].expr;
    test_ok(function->kind == DMN_EXPR_FUNCTION && function->column_count == 1 &&
                function->items[0]->kind == DMN_EXPR_LITERAL,
            "knowledge model");
    test_ok(file->elements[3].ref_count == 2 && file->elements[3].refs[0].kind == DMN_REF_OUTPUT, "service");
}

static void test_boxed(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 22);
    const struct dmn_file *file = NULL;
    struct err err = { 0 };
#define L(text) "<literalExpression><text>" text "</text></literalExpression>"
    const char *text = HEAD "<decision name='a'><context><contextEntry><variable name='x'/>" L(
        "1") "</contextEntry>"
             "<contextEntry>" L(
                 "x") "</contextEntry></context></decision>"
                      "<decision name='b'><list>" L(
                          "1") "<relation><column name='p'/><column name='q'/><row>" L("1")
                          L("2") "</row></relation></list></decision>"
                                 "<decision name='c'><invocation>" L("f") "<binding><parameter name='p'/>" L(
                                     "1") "</binding></invocation></decision>"
                                          "<decision name='d'><conditional><if>" L("true") "</if><then>" L("1") "</then><else>" L(
                                              "2") "</else></conditional></decision>"
                                                   "<decision name='e'><filter><in>" L(
                                                       "[1]") "</in><match>" L("item = 1") "</match></"
                                                                                           "filter></"
                                                                                           "decision>"
                                                                                           "<decision "
                                                                                           "name='f'><for "
                                                                                           "iteratorVariable="
                                                                                           "'"
                                                                                           "i'><in>" L("[1]") "</in><return>" L(
                                                                                               "i") "</"
                                                                                                    "return><"
                                                                                                    "/"
                                                                                                    "for></"
                                                                                                    "decision"
                                                                                                    ">"
                                                                                                    "<decisio"
                                                                                                    "n"
                                                                                                    " name='"
                                                                                                    "g'"
                                                                                                    "><every "
                                                                                                    "iterator"
                                                                                                    "V"
                                                                                                    "ariable="
                                                                                                    "'"
                                                                                                    "i'><"
                                                                                                    "in>" L(
                                                                                                        "["
                                                                                                        "1"
                                                                                                        "]") "</in><satisfies>" L("i = "
                                                                                                                                  "1") "</satisfies></every></decision><decision name='h'/>" TAIL;
    static const enum dmn_expr_kind kinds[] = { DMN_EXPR_CONTEXT,     DMN_EXPR_LIST,   DMN_EXPR_INVOCATION,
                                                DMN_EXPR_CONDITIONAL, DMN_EXPR_FILTER, DMN_EXPR_FOR,
                                                DMN_EXPR_EVERY };
    test_ok(read_text(arena, text, &file, &err) == ERR_OK, "reads: %s %s", err.id, err.args[0].text);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        test_ok(file->elements[i].expr->kind == kinds[i], "kind of %zu", i);
    test_ok(!file->elements[7].expr, "a decision without logic");
    const struct dmn_expr *relation = file->elements[1].expr->items[1];
    test_ok(relation->column_count == 2 && relation->item_count == 2, "relation");
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code want;
        const char *id, *arg;
    } cases[] = {
        { "<a/>", ERR_INVALID, "dmn.not_dmn", "a" },
        { "<definitions xmlns='http://www.omg.org/spec/DMN/20130901'/>", ERR_INVALID, "dmn.not_dmn",
          "definitions" },
        { "<!DOCTYPE x><definitions/>", ERR_INVALID, "xml.dtd", NULL },
        { HEAD "<decision name='d'><functionDefinition kind='Java'/></decision>" TAIL, ERR_UNSUPPORTED,
          "dmn.unsupported", "functionDefinition kind=\"Java\"" },
        { HEAD
          "<businessKnowledgeModel name='d'><encapsulatedLogic kind='PMML'/></businessKnowledgeModel>" TAIL,
          ERR_UNSUPPORTED, "dmn.unsupported", "encapsulatedLogic kind=\"PMML\"" },
        { HEAD "<decision name='d'><oracle/></decision>" TAIL, ERR_UNSUPPORTED, "dmn.unsupported", "oracle" },
        { HEAD "<oracle/>" TAIL, ERR_UNSUPPORTED, "dmn.unsupported", "oracle" },
        { HEAD "<decision name='d'><literalExpression expressionLanguage='urn:js'/></decision>" TAIL,
          ERR_UNSUPPORTED, "dmn.language", "literalExpression" },
        { HEAD "<decision name='d'><literalExpression/><list/></decision>" TAIL, ERR_INVALID,
          "dmn.second_expression", "list" },
        { HEAD "<decision name='d'><for iteratorVariable='i'><in>" L("1") "</in></for></decision>" TAIL,
          ERR_INVALID, "dmn.missing", "for" },
        { HEAD "<decision name='d'><decisionTable hitPolicy='BEST'><output/></decisionTable></decision>" TAIL,
          ERR_INVALID, "dmn.hit_policy", "decisionTable" },
        { HEAD "<decision name='d'><decisionTable><output/><rule/></decisionTable></decision>" TAIL,
          ERR_INVALID, "dmn.rule_length", NULL },
        { HEAD "<decision name='d'><informationRequirement/></decision>" TAIL, ERR_INVALID, "dmn.missing",
          "informationRequirement" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 22);
        const struct dmn_file *file = NULL;
        struct err err = { 0 };
        const enum err_code rc = read_text(arena, cases[i].text, &file, &err);
        test_ok(rc == cases[i].want && err.id && strcmp(err.id, cases[i].id) == 0 && !file &&
                    (!cases[i].arg || strcmp(err.args[0].text, cases[i].arg) == 0),
                "%s: %d %s %s", cases[i].text, (int)rc, err.id ? err.id : "-", err.args[0].text);
    }
}

static void test_deep(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
    const struct dmn_file *file = NULL;
    struct err err = { 0 };
    struct buf buf;
    buf_init(&buf, 1 << 22);
    buf_text(&buf, HEAD "<decision name='d'>");
    for (int i = 0; i < 100000; i++)
        buf_text(&buf, "<list>");
    test_ok(dmn_read(arena, buf_get(&buf), &file, &err) == ERR_LIMIT && strcmp(err.id, "xml.too_deep") == 0,
            "%s", err.id);
    buf_done(&buf);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        const struct dmn_file *file = NULL;
        mem_fail_at(nth);
        struct arena *arena = arena_new(1 << 22);
        const enum err_code rc =
            arena ? read_text(arena,
                              HEAD "<decision name='d'><context><contextEntry><variable name='x'/>" L(
                                  "1") "</contextEntry></context></decision>" TAIL,
                              &file, &err)
                  : ERR_NOMEM;
        arena_free(arena);
        mem_fail_at(-1);
        test_ok(mem_live() == 0 && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld: %d", nth, (int)rc);
        if (rc == ERR_OK)
            return;
    }
}

TEST_MAIN(TEST(test_table), TEST(test_boxed), TEST(test_refused), TEST(test_deep), TEST(test_out_of_memory))
