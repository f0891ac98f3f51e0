/* many.c - one decision for many rows: slots are filled once, rows only change the inputs. */
#include "dmn/inside.h"

#define ROW_BYTES_MAX ((size_t)256 << 20)

struct many {
    const struct node *node;
    const struct dmn_column *columns;
    size_t count;
    struct feel_value *slots; /* of the decision; NULL when the graph must be walked */
    int *slot_of;             /* one a column; -1 = not needed */
    struct dmn_given *given;
};

/* A decision that requires nothing but given inputs and functions can be evaluated on the slots themselves.
 */
static bool is_direct(const struct dmn_model *model, const struct many *many)
{
    if (many->node->element->kind != DMN_DECISION || !many->node->code)
        return false;
    for (size_t i = 0; i < many->count; i++)
        if (many->columns[i].node == many->node->index)
            return false;
    for (int i = 0; i < many->node->use_count; i++) {
        const struct use *use = &many->node->uses[i];
        if (use->node < 0 || model->nodes[use->node].element->kind == DMN_DECISION)
            return false;
    }
    return true;
}

static enum err_code prepare(const struct dmn_model *model, struct many *many, struct arena *arena)
{
    many->given = arena_alloc(arena, many->count + 1, sizeof(*many->given));
    many->slot_of = arena_alloc(arena, many->count + 1, sizeof(*many->slot_of));
    if (!many->given || !many->slot_of)
        return ERR_NOMEM;
    if (!is_direct(model, many))
        return ERR_OK;
    many->slots = arena_alloc(arena, (size_t)many->node->slot_count + 1, sizeof(*many->slots));
    if (!many->slots)
        return ERR_NOMEM;
    for (size_t i = 0; i < many->count; i++)
        many->slot_of[i] = -1;
    for (int i = 0; i < many->node->use_count; i++) {
        const struct use *use = &many->node->uses[i];
        many->slots[use->slot] = model->nodes[use->node].function;
        for (size_t j = 0; j < many->count; j++)
            if (many->columns[j].node == use->node)
                many->slot_of[j] = use->slot;
    }
    return ERR_OK;
}

static enum err_code direct_row(struct run *run, const struct many *many, size_t row, struct feel_value *out)
{
    for (size_t i = 0; i < many->count; i++) {
        const struct node *input = &run->model->nodes[many->columns[i].node];
        if (many->slot_of[i] >= 0 &&
            !dmn_coerce(run->ev, &many->columns[i].values[row], input->type, &many->slots[many->slot_of[i]]))
            feel_warn(run->ev, "dmn.input_type", input->element->name);
    }
    const enum err_code rc = dmn_code_evaluate(run, many->node->code, many->slots, out);
    if (rc == ERR_OK && !dmn_coerce(run->ev, out, many->node->type, out))
        feel_warn(run->ev, "dmn.result_type", many->node->element->name);
    return rc;
}

static enum err_code graph_row(struct run *run, const struct many *many, size_t row, struct feel_value *out)
{
    for (size_t i = 0; i < many->count; i++)
        many->given[i] = (struct dmn_given) { many->columns[i].node, many->columns[i].values[row] };
    return dmn_run_evaluate(run, many->node, many->given, many->count, out);
}

static bool holds_pointers(const struct feel_value *value)
{
    return value->kind == FEEL_STRING || value->kind == FEEL_LIST || value->kind == FEEL_CONTEXT ||
           value->kind == FEEL_TIME || value->kind == FEEL_DATE_TIME || value->kind == FEEL_RANGE ||
           value->kind == FEEL_FUNCTION;
}

static enum err_code each_row(struct run *run, const struct many *many, struct arena *results, size_t rows,
                              struct feel_value *out, struct err *err)
{
    const struct arena_mark start = arena_mark(run->ev->arena);
    for (size_t row = 0; row < rows; row++) {
        struct feel_value value = feel_null();
        run->ev->steps = 0; /* the limit is one of each row */
        run->depth = 0;
        enum err_code rc =
            many->slots ? direct_row(run, many, row, &value) : graph_row(run, many, row, &value);
        if (rc)
            return dmn_stopped(run->ev, rc, err);
        out[row] = value;
        if (holds_pointers(&value))
            rc = feel_copy(results, &value, &out[row], err);
        if (rc)
            return rc;
        arena_release(run->ev->arena, start);
    }
    return ERR_OK;
}

enum err_code dmn_evaluate_many(const struct dmn_model *model, int node, struct feel_eval *ev,
                                const struct dmn_column *columns, size_t count, size_t rows,
                                struct feel_value *out, struct err *err)
{
    struct arena *results = ev->arena;
    AUTO(arena_free_auto) struct arena *scratch = arena_new(ROW_BYTES_MAX);
    AUTO(arena_free_auto) struct arena *fixed = arena_new(ROW_BYTES_MAX);
    struct many many = { .node = &model->nodes[node], .columns = columns, .count = count };
    struct run run = { .model = model, .ev = ev };
    void *host = ev->host;
    if (!scratch || !fixed || prepare(model, &many, fixed))
        return err_nomem(err);
    ev->host = &run;
    ev->arena = scratch;
    const enum err_code rc = each_row(&run, &many, results, rows, out, err);
    ev->arena = results;
    ev->host = host;
    return rc;
}
