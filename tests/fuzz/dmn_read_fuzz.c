/* dmn_read_fuzz.c - a decision model of arbitrary bytes: read or refused; every decision of what was read is
 * evaluated, its tables are analysed, and it differs in nothing from itself. */
#include "dmn/dmn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void evaluate_all(const struct dmn_model *model)
{
    struct err err;
    for (int i = 0; i < dmn_node_count(model) && i < 50; i++) {
        const enum dmn_element_kind kind = dmn_node_element(model, i)->kind;
        struct arena *arena = arena_new(16 << 20);
        struct feel_eval ev;
        struct feel_value out;
        struct dmn_trace trace = { 0 };
        struct dmn_given given = { .node = 0, .value = feel_i64(i) };
        if (arena && (kind == DMN_DECISION || kind == DMN_SERVICE)) {
            feel_eval_init(&ev, arena);
            ev.limits.steps = 100000;
            (void)!dmn_evaluate(model, i, &ev, &given, 1, &trace, &out, &err);
        }
        arena_free(arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct dmn_source source = { STR("fuzz.dmn"), { (const char *)data, size } };
    struct dmn_model *model = NULL;
    struct dmn_findings findings;
    struct dmn_changes changes;
    struct err err;
    struct arena *arena = arena_new(64 << 20);
    xml_init();
    if (arena && dmn_load(&source, 1, &model, NULL, &err) == ERR_OK) {
        evaluate_all(model);
        (void)!dmn_check(model, arena, 10, &findings, &err);
        if (dmn_diff(dmn_model_file(model, 0), dmn_model_file(model, 0), arena, &changes, &err) == ERR_OK &&
            changes.count > 0)
            __builtin_trap();
    }
    dmn_free(model);
    arena_free(arena);
    return 0;
}
