/* condition.c - names of a record as a FEEL scope. */
#include "handle/flow/condition.h"
#include "feel/feel.h"

#define ARENA_MAX ((size_t)16 << 20)
#define NAMES_MAX 400

static enum err_code compile(struct arena *arena, const struct flow_model *model, int edge,
                             const struct flow_name *names, int names_count, const struct feel_program **out,
                             struct err *err);

enum err_code flow_conditions_check(const struct flow_model *model, const struct flow_name *names,
                                    int names_count, struct findings *findings, struct err *err)
{
    bool bad = false;
    for (int e = 0; e < model->edges_count; e++) {
        struct arena *arena;
        const struct feel_program *program;
        struct err one;
        enum err_code rc;
        if (!model->edges[e].condition.len)
            continue;
        arena = arena_new(ARENA_MAX);
        rc = arena ? compile(arena, model, e, names, names_count, &program, &one) : err_nomem(&one);
        arena_free(arena);
        if (rc == ERR_NOMEM)
            return err_nomem(err);
        if (rc) {
            struct err found;
            (void)err_set(&found, ERR_INVALID, "flow.condition_bad", ARG_STR("what", model->edges[e].id),
                          ARG_TEXT("reason", one.id), ARG_INT("column", one.at.column), ARG_END);
            (void)err_at(&found, model->edges[e].line, 0);
            findings_add(findings, &found);
            if (!bad && err)
                *err = found;
            bad = true;
        }
    }
    return bad ? ERR_INVALID : ERR_OK;
}

enum err_code flow_condition(const struct flow_model *model, int edge, const json_t *vars, int64_t now_ms,
                             bool *out_true, struct err *err)
{
    struct arena *arena = arena_new(ARENA_MAX);
    struct flow_name *names = arena ? arena_alloc(arena, NAMES_MAX, sizeof(*names)) : NULL;
    struct feel_value *inputs = arena ? arena_alloc(arena, NAMES_MAX + 8, sizeof(*inputs)) : NULL;
    const struct feel_program *program = NULL;
    struct feel_eval eval;
    struct feel_value value;
    const char *name;
    json_t *field;
    int count = 0;
    enum err_code rc = names && inputs ? ERR_OK : err_nomem(err);
    /* slots: case, task, then the record's fields in the order compile() declares them */
    if (!rc)
        rc = feel_from_json(arena, json_object_get(vars, "case"), &inputs[0], err);
    if (!rc)
        rc = feel_from_json(arena, json_object_get(vars, "task"), &inputs[1], err);
    json_object_foreach(json_object_get(vars, "record"), name, field)
    {
        if (rc || count == NAMES_MAX || name[0] == '_')
            continue;
        names[count].name = arena_str(arena, str_from(name));
        rc = names[count].name.ptr ? feel_from_json(arena, field, &inputs[2 + count], err) : err_nomem(err);
        count++;
    }
    if (!rc)
        rc = compile(arena, model, edge, names, count, &program, err);
    if (!rc) {
        feel_eval_init(&eval, arena);
        eval.now_ms = now_ms;
        eval.zone = STR("Asia/Shanghai");
        rc = feel_evaluate(program, &eval, inputs, &value, err);
    }
    if (!rc)
        *out_true = feel_is_true(&value);
    arena_free(arena);
    return rc ? err_in(err, "flow.condition") : ERR_OK;
}

/* A field that the record does not have, and a declared variable, are null: names stay open. */
static enum err_code compile(struct arena *arena, const struct flow_model *model, int edge,
                             const struct flow_name *names, int names_count, const struct feel_program **out,
                             struct err *err)
{
    struct feel_scope *scope = feel_scope_new(arena);
    size_t slot;
    enum err_code rc = scope ? feel_scope_add(scope, STR("case"), NULL, &slot, err) : err_nomem(err);
    if (!rc)
        rc = feel_scope_add(scope, STR("task"), NULL, &slot, err);
    for (int i = 0; !rc && i < names_count; i++)
        rc = feel_scope_add(scope, names[i].name, names[i].type.len ? feel_type_named(names[i].type) : NULL,
                            &slot, err);
    if (!rc)
        rc = feel_prepare(arena, scope, model->edges[edge].condition, FEEL_EXPRESSION, FEEL_NAMES_OPEN, out,
                          err);
    return rc;
}
