/* models_test.h - what the tests of this room share: models made of short texts.  Include "test.h" before. */
#pragma once
#include "base/buf.h"
#include "dmn/dmn.h"

#define HEAD "<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' name='m' namespace='urn:m'>\n"
#define TAIL "</definitions>"
#define L(text) "<literalExpression><text>" text "</text></literalExpression>"
#define INPUT(name, type)                                                                                    \
    "<inputData id='" name "' name='" name "'><variable name='" name "' typeRef='" type "'/></inputData>"
#define NEEDS(id) "<informationRequirement><requiredInput href='#" id "'/></informationRequirement>"
#define NEEDS_DECISION(id)                                                                                   \
    "<informationRequirement><requiredDecision href='#" id "'/></informationRequirement>"
#define KNOWS(id) "<knowledgeRequirement><requiredKnowledge href='#" id "'/></knowledgeRequirement>"

/* Loads one model; fails the test when that is not possible. */
static inline struct dmn_model *load_text(struct str text)
{
    const struct dmn_source source = { STR("test.dmn"), text };
    struct dmn_model *model = NULL;
    struct err err = { 0 };
    const enum err_code rc = dmn_load(&source, 1, &model, NULL, &err);
    test_ok(rc == ERR_OK, "load: %d %s %s line %d", (int)rc, err.id ? err.id : "-", err.args[0].text,
            err.at.line);
    return model;
}

/* A value from FEEL text without names. */
static inline struct feel_value value_of(struct arena *arena, const char *text)
{
    struct feel_scope *scope = feel_scope_new(arena);
    const struct feel_program *program = NULL;
    struct feel_value value;
    struct feel_eval ev;
    struct err err = { 0 };
    test_ok(scope && feel_prepare(arena, scope, str_from(text), FEEL_EXPRESSION, 0, &program, &err) == ERR_OK,
            "%s: %s", text, err.id);
    feel_eval_init(&ev, arena);
    test_ok(feel_evaluate(program, &ev, NULL, &value, &err) == ERR_OK, "%s: %s", text, err.id);
    return value;
}

/* The value of a decision or service for a context of inputs, as FEEL text. */
static inline const char *result_of(struct arena *arena, const struct dmn_model *model, const char *name,
                                    const char *inputs)
{
    struct feel_value context = value_of(arena, inputs), value;
    struct dmn_given *given = NULL;
    struct feel_eval ev;
    struct err err = { 0 };
    struct buf out;
    size_t count = 0;
    int node = dmn_find(model, DMN_DECISION, str_from(name));
    if (node < 0)
        node = dmn_find(model, DMN_SERVICE, str_from(name));
    test_ok(node >= 0, "no decision %s", name);
    feel_eval_init(&ev, arena);
    test_ok(dmn_given_from(model, arena, &context, &given, &count, &err) == ERR_OK, "given");
    const enum err_code rc = dmn_evaluate(model, node, &ev, given, count, NULL, &value, &err);
    if (rc)
        return err.id;
    buf_init(&out, 1 << 20);
    feel_print_json(&out, &value);
    const struct str text = arena_str(arena, buf_get(&out));
    buf_done(&out);
    return text.ptr;
}

#define expect(arena, model, name, inputs, want)                                                             \
    do {                                                                                                     \
        const char *got_ = result_of(arena, model, name, inputs);                                            \
        test_ok(strcmp(got_, want) == 0, "%s %s: got %s, want %s", name, inputs, got_, want);                \
    } while (0)
