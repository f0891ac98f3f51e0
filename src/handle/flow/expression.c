/* expression.c - names of a record as a FEEL scope; slots: case, task, the fields, the variables. */
#include "handle/flow/expression.h"
#include "feel/feel.h"

#include <assert.h>

#define EVAL_ARENA_MAX ((size_t)16 << 20)
#define ZONE "Asia/Shanghai"
#define DURATION_MAX_S (INT64_C(100) * 366 * 86400)

struct timer {
    const struct feel_program *program; /* NULL: the literal */
    struct flow_timer literal;
    bool bad; /* of a version from before this was checked */
};

struct flow_expressions {
    const struct flow_model *model;
    const struct flow_name *names;
    int names_count;
    const struct feel_program **edges; /* by edge; NULL = no condition */
    struct timer *timers;              /* by node */
};

struct compiling {
    struct arena *arena;
    struct flow_expressions *made;
    const struct feel_scope *scope;
    unsigned flags;
    bool pinned;
    struct findings *findings;
    struct err first;
    bool bad;
};

static enum err_code scope_make(struct compiling *compiling, struct err *err);
static enum err_code names_copy(struct compiling *compiling, const struct flow_name *names, int count,
                                struct err *err);
static enum err_code compile(struct compiling *compiling, struct str text, struct str element, int line,
                             const struct feel_program **out, struct err *err);
static enum err_code timer_compile(struct compiling *compiling, int node, struct err *err);
static enum err_code evaluate(const struct flow_expressions *expressions, const struct feel_program *program,
                              struct arena *arena, const json_t *vars, int64_t now_ms, struct feel_value *out,
                              struct err *err);
static void found(struct compiling *compiling, const struct err *one, int line);

enum err_code flow_expressions_new(struct arena *arena, const struct flow_model *model,
                                   const struct flow_name *names, int names_count, bool pinned,
                                   struct findings *findings, const struct flow_expressions **out,
                                   struct err *err)
{
    struct flow_expressions *made = arena_alloc(arena, 1, sizeof(*made));
    struct compiling compiling = { .arena = arena,
                                   .made = made,
                                   .flags = pinned ? FEEL_NAMES_OPEN : 0,
                                   .pinned = pinned,
                                   .findings = findings };
    enum err_code rc;
    if (!made)
        return err_nomem(err);
    if (names_count > FLOW_NAMES_MAX)
        return err_set(err, ERR_LIMIT, "flow.too_large", ARG_INT("max", FLOW_NAMES_MAX), ARG_END);
    made->model = model;
    made->edges = arena_alloc(arena, (size_t)model->edges_count + 1, sizeof(const struct feel_program *));
    made->timers = arena_alloc(arena, (size_t)model->nodes_count + 1, sizeof(*made->timers));
    if (!made->edges || !made->timers)
        return err_nomem(err);
    rc = names_copy(&compiling, names, names_count, err);
    if (!rc)
        rc = scope_make(&compiling, err);
    for (int e = 0; !rc && e < model->edges_count; e++)
        if (model->edges[e].condition.len)
            rc = compile(&compiling, model->edges[e].condition, model->edges[e].id, model->edges[e].line,
                         &made->edges[e], err);
    for (int n = 0; !rc && n < model->nodes_count; n++)
        if (model->nodes[n].kind == FLOW_BOUNDARY_TIMER)
            rc = timer_compile(&compiling, n, err);
    if (!rc && compiling.bad) {
        if (err)
            *err = compiling.first;
        rc = ERR_INVALID;
    }
    if (!rc)
        *out = made;
    return rc;
}

enum err_code flow_condition(const struct flow_expressions *expressions, int edge, const json_t *vars,
                             int64_t now_ms, bool *out_true, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(EVAL_ARENA_MAX);
    struct feel_value value;
    enum err_code rc = arena ? ERR_OK : err_nomem(err);
    assert(edge >= 0 && edge < expressions->model->edges_count && expressions->edges[edge]);
    if (!rc)
        rc = evaluate(expressions, expressions->edges[edge], arena, vars, now_ms, &value, err);
    if (!rc)
        *out_true = feel_is_true(&value);
    return rc ? err_in(err, "flow.condition") : ERR_OK;
}

bool flow_timer_reads(const struct flow_expressions *expressions, int node)
{
    return expressions->timers[node].program != NULL;
}

static bool timer_value(struct arena *arena, const struct feel_value *value, struct flow_timer *out)
{
    struct feel_value parsed;
    if (value->kind == FEEL_STRING)
        return feel_temporal_parse(arena, value->string, &parsed) && parsed.kind != FEEL_STRING &&
               timer_value(arena, &parsed, out);
    if (value->kind == FEEL_NULL) {
        *out = (struct flow_timer) { FLOW_TIMER_NONE, 0 };
        return true;
    }
    if (value->kind == FEEL_DAYS_DURATION) {
        if (value->days.seconds < 0 || value->days.nanos < 0 || value->days.seconds > DURATION_MAX_S)
            return false;
        *out = (struct flow_timer) { FLOW_TIMER_AFTER,
                                     value->days.seconds * 1000 + value->days.nanos / 1000000 };
        return true;
    }
    out->kind = FLOW_TIMER_AT;
    return value->kind == FEEL_DATE_TIME && feel_to_instant(value, &out->ms);
}

enum err_code flow_timer(const struct flow_expressions *expressions, int node, const json_t *vars,
                         int64_t now_ms, struct flow_timer *out, struct err *err)
{
    const struct timer *timer = &expressions->timers[node];
    struct feel_value value;
    if (timer->bad)
        return err_set(err, ERR_INVALID, "flow.timer", ARG_STR("what", expressions->model->nodes[node].id),
                       ARG_END);
    if (!timer->program) {
        *out = timer->literal;
        return ERR_OK;
    }
    AUTO(arena_free_auto) struct arena *arena = arena_new(EVAL_ARENA_MAX);
    if (!arena)
        return err_nomem(err);
    const enum err_code rc = evaluate(expressions, timer->program, arena, vars, now_ms, &value, err);
    if (rc)
        return err_in(err, "flow.timer");
    if (timer_value(arena, &value, out))
        return ERR_OK;
    return err_set(err, ERR_INVALID, "flow.timer", ARG_STR("what", expressions->model->nodes[node].id),
                   ARG_END);
}

/* ---- compiling ---- */

/* A variable that a field hides is the field. */
static enum err_code names_copy(struct compiling *compiling, const struct flow_name *names, int count,
                                struct err *err)
{
    const struct flow_model *model = compiling->made->model;
    struct flow_name *copy =
        arena_alloc(compiling->arena, (size_t)count + (size_t)model->variables_count + 1, sizeof(*copy));
    int made = 0;
    if (!copy)
        return err_nomem(err);
    for (int v = 0; v < model->variables_count; v++)
        copy[made++] = (struct flow_name) { model->variables[v].name, model->variables[v].type };
    for (int i = 0; i < count; i++) {
        copy[made] = (struct flow_name) { arena_str(compiling->arena, names[i].name),
                                          arena_str(compiling->arena, names[i].type) };
        if (!copy[made].name.ptr || !copy[made++].type.ptr)
            return err_nomem(err);
    }
    compiling->made->names = copy;
    compiling->made->names_count = made;
    return ERR_OK;
}

static enum err_code scope_make(struct compiling *compiling, struct err *err)
{
    const struct flow_expressions *made = compiling->made;
    struct feel_scope *scope = feel_scope_new(compiling->arena);
    enum err_code rc = scope ? feel_scope_add(scope, STR("case"), NULL, NULL, err) : err_nomem(err);
    if (!rc)
        rc = feel_scope_add(scope, STR("task"), NULL, NULL, err);
    for (int i = 0; !rc && i < made->names_count; i++)
        rc = feel_scope_add(scope, made->names[i].name,
                            made->names[i].type.len ? feel_type_named(made->names[i].type) : NULL, NULL, err);
    compiling->scope = scope;
    return rc;
}

static enum err_code compile(struct compiling *compiling, struct str text, struct str element, int line,
                             const struct feel_program **out, struct err *err)
{
    struct err one = { 0 }, finding = { 0 };
    const enum err_code rc =
        feel_prepare(compiling->arena, compiling->scope, text, FEEL_EXPRESSION, compiling->flags, out, &one);
    if (!rc)
        return ERR_OK;
    if (rc == ERR_NOMEM)
        return err_nomem(err);
    if (!strcmp(one.id, "feel.unknown_name") && one.args[0].is_text)
        (void)err_set(&finding, ERR_INVALID, "flow.name_unknown", ARG_STR("what", element),
                      ARG_TEXT("name", one.args[0].text), ARG_END);
    else
        (void)err_set(&finding, ERR_INVALID, "flow.condition_bad", ARG_STR("what", element),
                      ARG_TEXT("reason", one.id), ARG_INT("column", one.at.column), ARG_END);
    found(compiling, &finding, line);
    return ERR_OK;
}

/* What begins like an ISO 8601 duration is one or wrong: it is never taken for a name. */
static enum err_code timer_compile(struct compiling *compiling, int n, struct err *err)
{
    const struct flow_node *node = &compiling->made->model->nodes[n];
    struct timer *timer = &compiling->made->timers[n];
    struct str text = node->timer.len ? node->timer : node->timer_date;
    struct feel_value value;
    if (str_starts(text, STR("=")))
        return compile(compiling, str_trim(str_slice(text, 1, text.len)), node->id, node->line,
                       &timer->program, err);
    const bool number = text.len && text.ptr[0] >= '0' && text.ptr[0] <= '9';
    const bool iso = text.len > 1 && text.ptr[0] == 'P' &&
                     (text.ptr[1] == 'T' || (text.ptr[1] >= '0' && text.ptr[1] <= '9'));
    if (!number && !iso)
        return compile(compiling, text, node->id, node->line, &timer->program, err);
    timer->literal.kind = FLOW_TIMER_AFTER;
    if (node->timer.len && flow_duration_parse(text, &timer->literal.ms))
        return ERR_OK;
    if (node->timer_date.len && feel_date_time_parse(compiling->arena, text, &value) &&
        timer_value(compiling->arena, &value, &timer->literal))
        return ERR_OK;
    timer->bad = compiling->pinned;
    if (timer->bad)
        return ERR_OK;
    struct err finding;
    (void)err_set(&finding, ERR_INVALID, "flow.timer", ARG_STR("what", node->id), ARG_END);
    found(compiling, &finding, node->line);
    return ERR_OK;
}

static void found(struct compiling *compiling, const struct err *one, int line)
{
    struct err finding = *one;
    (void)err_at(&finding, line, 0);
    findings_add(compiling->findings, &finding);
    if (!compiling->bad)
        compiling->first = finding;
    compiling->bad = true;
}

/* ---- evaluating ---- */

static enum err_code evaluate(const struct flow_expressions *expressions, const struct feel_program *program,
                              struct arena *arena, const json_t *vars, int64_t now_ms, struct feel_value *out,
                              struct err *err)
{
    const json_t *record = json_object_get(vars, "record");
    struct feel_value *inputs = arena_alloc(arena, (size_t)expressions->names_count + 2, sizeof(*inputs));
    struct feel_eval eval;
    enum err_code rc = inputs ? ERR_OK : err_nomem(err);
    if (!rc)
        rc = feel_from_json(arena, json_object_get(vars, "case"), &inputs[0], err);
    if (!rc)
        rc = feel_from_json(arena, json_object_get(vars, "task"), &inputs[1], err);
    for (int i = 0; !rc && i < expressions->names_count; i++) {
        const struct flow_name *name = &expressions->names[i];
        const json_t *field = json_object_getn(record, name->name.ptr, name->name.len);
        const struct feel_type *type = name->type.len ? feel_type_named(name->type) : NULL;
        inputs[2 + i] = feel_null();
        if (field && type)
            rc = feel_from_json_typed(arena, field, type, &inputs[2 + i], err);
        else if (field)
            rc = feel_from_json(arena, field, &inputs[2 + i], err);
    }
    if (rc)
        return rc;
    feel_eval_init(&eval, arena);
    eval.now_ms = now_ms;
    eval.zone = STR(ZONE);
    return feel_evaluate(program, &eval, inputs, out, err);
}
