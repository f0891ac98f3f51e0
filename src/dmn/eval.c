/* eval.c - the values of decisions: the requirements graph with a memory, and boxed expressions. */
#include "dmn/inside.h"

/* The values of one evaluation of the graph; a decision service has one of its own. */
struct frame {
    struct run *run;
    struct feel_value *values; /* one a node */
    bool *done;
};

/* A boxed function definition as a value. */
struct closure {
    const struct code *code;
    struct feel_value *slots;
};

static enum err_code node_value(struct frame *frame, int index, struct feel_value *out);

/* -- coercion ------------------------------------------------------------------------------------------ */

static const enum feel_kind KIND_OF_TYPE[FEEL_T__COUNT] = {
    [FEEL_T_BOOLEAN] = FEEL_BOOLEAN,
    [FEEL_T_NUMBER] = FEEL_NUMBER,
    [FEEL_T_STRING] = FEEL_STRING,
    [FEEL_T_DATE] = FEEL_DATE,
    [FEEL_T_TIME] = FEEL_TIME,
    [FEEL_T_DATE_TIME] = FEEL_DATE_TIME,
    [FEEL_T_DAYS_DURATION] = FEEL_DAYS_DURATION,
    [FEEL_T_MONTHS_DURATION] = FEEL_MONTHS_DURATION,
};

bool dmn_coerce(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type,
                struct feel_value *out)
{
    if (!type || value->kind == FEEL_NULL ||
        (!type->allowed && !type->also && value->kind == KIND_OF_TYPE[type->kind])) {
        *out = *value;
        return true;
    }
    return feel_coerce(ev, value, type, out);
}

/* The run a native function is called in.  Called from outside of any (a function value that a caller kept),
 * it gets one of its own; ev->host is nobody else's while decision models are in use. */
static struct run *run_of(struct feel_eval *ev, const struct dmn_model *model, struct run *own)
{
    *own = (struct run) { .model = model, .ev = ev };
    return ev->host ? ev->host : own;
}

static void *room(struct run *run, size_t count, size_t size)
{
    return arena_alloc(run->ev->arena, count + 1, size);
}

/* -- boxed expressions --------------------------------------------------------------------------------- */

static enum err_code part(struct run *run, const struct code *code, struct feel_value *slots,
                          struct feel_value *out)
{
    *out = feel_null();
    return code ? dmn_code_evaluate(run, code, slots, out) : ERR_OK;
}

static enum err_code eval_literal(struct run *run, const struct code *code, struct feel_value *slots,
                                  struct feel_value *out)
{
    if (code->program) {
        if (code->own_slot >= 0)
            slots[code->own_slot] = feel_null();
        const enum err_code rc = feel_evaluate(code->program, run->ev, slots, out, NULL);
        if (rc == ERR_OK && code->own_slot >= 0)
            feel_function_own(out, (size_t)code->own_slot);
        return rc;
    }
    if (code->broken)
        feel_warn(run->ev, "dmn.broken", code->node->element->name);
    return ERR_OK;
}

static enum err_code eval_context(struct run *run, const struct code *code, struct feel_value *slots,
                                  struct feel_value *out)
{
    struct feel_entry *entries = room(run, (size_t)code->part_count, sizeof(*entries));
    size_t count = 0;
    if (!entries)
        return ERR_NOMEM;
    for (int i = 0; i < code->part_count; i++) {
        const struct str name = code->expr->entries[i].variable.name;
        struct feel_value value;
        const enum err_code rc = part(run, code->parts[i], slots, &value);
        if (rc)
            return rc;
        (void)dmn_coerce(run->ev, &value, code->types[i], &value);
        if (name.len == 0) { /* the result entry */
            if (i == code->part_count - 1) {
                *out = value;
                return ERR_OK;
            }
            continue;
        }
        slots[code->slot + (int)count] = value;
        entries[count++] = (struct feel_entry) { name, value };
    }
    *out = feel_context(entries, count);
    return ERR_OK;
}

static enum err_code eval_list(struct run *run, const struct code *code, struct feel_value *slots,
                               struct feel_value *out)
{
    struct feel_value *items = room(run, (size_t)code->part_count, sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    for (int i = 0; i < code->part_count; i++) {
        const enum err_code rc = part(run, code->parts[i], slots, &items[i]);
        if (rc)
            return rc;
    }
    *out = feel_list(items, (size_t)code->part_count);
    return ERR_OK;
}

static enum err_code eval_relation(struct run *run, const struct code *code, struct feel_value *slots,
                                   struct feel_value *out)
{
    const int columns = code->param_count, rows = columns > 0 ? code->part_count / columns : 0;
    struct feel_value *items = room(run, (size_t)rows, sizeof(*items));
    struct feel_entry *entries = room(run, (size_t)code->part_count, sizeof(*entries));
    if (!items || !entries)
        return ERR_NOMEM;
    for (int i = 0; i < rows * columns; i++) {
        struct feel_value value;
        const enum err_code rc = part(run, code->parts[i], slots, &value);
        if (rc)
            return rc;
        (void)dmn_coerce(run->ev, &value, code->types[i % columns], &value);
        entries[i] = (struct feel_entry) { code->params[i % columns].name, value };
    }
    for (int i = 0; i < rows; i++)
        items[i] = feel_context(entries + (size_t)i * (size_t)columns, (size_t)columns);
    *out = feel_list(items, (size_t)rows);
    return ERR_OK;
}

/* Calls of C within each other have a limit of their own, far below what the stack holds. */
static enum err_code enter(struct run *run)
{
    if (run->depth >= DMN_CALL_DEPTH_MAX) {
        run->ev->stopped_id = "dmn.call_depth";
        return ERR_LIMIT;
    }
    run->depth++;
    return ERR_OK;
}

static enum err_code call_body(struct run *run, const struct code *code, const struct feel_value *args,
                               size_t count, struct feel_value *slots, struct feel_value *out)
{
    enum err_code rc = enter(run);
    if (rc)
        return rc;
    for (int i = 0; i < code->param_count; i++)
        slots[code->slot + i] = (size_t)i < count ? args[i] : feel_null();
    rc = part(run, code->parts[0], slots, out);
    if (rc == ERR_OK)
        (void)dmn_coerce(run->ev, out, code->type, out);
    run->depth--;
    return rc;
}

static enum err_code closure_call(void *arg, struct feel_eval *ev, const struct feel_value *args,
                                  size_t count, struct feel_value *out)
{
    const struct closure *closure = arg;
    void *host = ev->host;
    struct run own, *run = ev->host = run_of(ev, closure->code->node->model, &own);
    struct feel_value *slots = room(run, (size_t)closure->code->slot_count, sizeof(*slots));
    enum err_code rc = slots ? ERR_OK : ERR_NOMEM;
    if (slots && closure->code->slot > 0)
        memcpy(slots, closure->slots, (size_t)closure->code->slot * sizeof(*slots));
    if (rc == ERR_OK)
        rc = call_body(run, closure->code, args, count, slots, out);
    ev->host = host;
    return rc;
}

static enum err_code eval_function(struct run *run, const struct code *code, struct feel_value *slots,
                                   struct feel_value *out)
{
    struct closure *closure = room(run, 1, sizeof(*closure));
    struct feel_value *copy = room(run, (size_t)code->slot, sizeof(*copy));
    if (!closure || !copy)
        return ERR_NOMEM;
    if (code->slot > 0)
        memcpy(copy, slots, (size_t)code->slot * sizeof(*copy));
    *closure = (struct closure) { code, copy };
    const enum err_code rc = feel_function_native(
        run->ev->arena, STR(""), code->params, (size_t)code->param_count,
        code->known && code->known->kind == FEEL_T_FUNCTION ? code->known->element : NULL, closure_call,
        closure, out, NULL);
    if (rc == ERR_OK && code->own_slot >= 0)
        copy[code->own_slot] = *out;
    return rc;
}

static enum err_code eval_invocation(struct run *run, const struct code *code, struct feel_value *slots,
                                     struct feel_value *out)
{
    const int count = code->part_count - 1;
    struct feel_entry *args = room(run, (size_t)count, sizeof(*args));
    struct feel_value function;
    if (!args)
        return ERR_NOMEM;
    enum err_code rc = part(run, code->parts[0], slots, &function);
    for (int i = 0; i < count && rc == ERR_OK; i++) {
        args[i].key = code->expr->entries[i].variable.name;
        rc = part(run, code->parts[i + 1], slots, &args[i].value);
        if (rc == ERR_OK)
            (void)dmn_coerce(run->ev, &args[i].value, code->types[i], &args[i].value);
    }
    return rc ? rc : feel_call_named(run->ev, &function, args, (size_t)count, out, NULL);
}

static enum err_code eval_conditional(struct run *run, const struct code *code, struct feel_value *slots,
                                      struct feel_value *out)
{
    struct feel_value condition;
    const enum err_code rc = part(run, code->parts[0], slots, &condition);
    if (rc)
        return rc;
    if (condition.kind != FEEL_BOOLEAN && condition.kind != FEEL_NULL) {
        feel_warn(run->ev, "dmn.not_boolean", STR("if"));
        return ERR_OK; /* null */
    }
    return part(run, code->parts[feel_is_true(&condition) ? 1 : 2], slots, out);
}

/* What can be iterated, as a list; *out_ok is false (and a warning given) when it cannot. */
static enum err_code items_of(struct run *run, const struct code *code, struct feel_value *slots,
                              struct feel_list *out, bool *out_ok)
{
    struct feel_value value;
    enum err_code rc = part(run, code, slots, &value);
    *out_ok = rc == ERR_OK && value.kind != FEEL_NULL;
    if (rc || !*out_ok)
        return rc;
    if (value.kind != FEEL_LIST) {
        const struct feel_value input = value;
        rc = feel_evaluate(run->model->each, run->ev, &input, &value, NULL);
        if (rc)
            return rc;
    }
    *out_ok = value.kind == FEEL_LIST;
    if (*out_ok)
        *out = value.list;
    return ERR_OK;
}

static enum err_code eval_filter(struct run *run, const struct code *code, struct feel_value *slots,
                                 struct feel_value *out)
{
    struct feel_list list;
    size_t count = 0;
    bool ok;
    enum err_code rc = items_of(run, code->parts[0], slots, &list, &ok);
    if (rc || !ok)
        return rc;
    struct feel_value *items = room(run, list.count, sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    for (size_t i = 0; i < list.count; i++) {
        struct feel_value match;
        slots[code->slot] = list.items[i];
        for (int j = 0; j < code->dynamic_count; j++) {
            const struct feel_value *field = list.items[i].kind == FEEL_CONTEXT
                                                 ? feel_context_get(&list.items[i], code->dynamic[j])
                                                 : NULL;
            slots[code->slot + 1 + j] = field ? *field : feel_null();
        }
        rc = part(run, code->parts[1], slots, &match);
        if (rc)
            return rc;
        if (match.kind != FEEL_BOOLEAN && match.kind != FEEL_NULL) {
            feel_warn(run->ev, "dmn.not_boolean", STR("match"));
            return ERR_OK; /* null */
        }
        if (feel_is_true(&match))
            items[count++] = list.items[i];
    }
    *out = feel_list(items, count);
    return ERR_OK;
}

static enum err_code eval_for(struct run *run, const struct code *code, struct feel_value *slots,
                              struct feel_value *out)
{
    struct feel_list list;
    bool ok;
    enum err_code rc = items_of(run, code->parts[0], slots, &list, &ok);
    if (rc || !ok)
        return rc;
    struct feel_value *items = room(run, list.count, sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    for (size_t i = 0; i < list.count; i++) {
        slots[code->slot] = list.items[i];
        slots[code->slot + 1] = feel_list(items, i);
        rc = part(run, code->parts[1], slots, &items[i]);
        if (rc)
            return rc;
    }
    *out = feel_list(items, list.count);
    return ERR_OK;
}

/* some, every: three-valued; one value that is no boolean makes the whole null, wherever it stands. */
static enum err_code eval_quantified(struct run *run, const struct code *code, struct feel_value *slots,
                                     struct feel_value *out)
{
    const bool decides = code->kind == DMN_EXPR_SOME;
    bool decided = false, unknown = false, ok;
    struct feel_list list;
    enum err_code rc = items_of(run, code->parts[0], slots, &list, &ok);
    if (rc || !ok)
        return rc;
    for (size_t i = 0; i < list.count; i++) {
        struct feel_value value;
        slots[code->slot] = list.items[i];
        rc = part(run, code->parts[1], slots, &value);
        if (rc)
            return rc;
        if (value.kind != FEEL_BOOLEAN && value.kind != FEEL_NULL) {
            feel_warn(run->ev, "dmn.not_boolean", STR("satisfies"));
            return ERR_OK; /* null */
        }
        decided = decided || (value.kind == FEEL_BOOLEAN && value.boolean == decides);
        unknown = unknown || value.kind == FEEL_NULL;
    }
    *out = decided ? feel_boolean(decides) : unknown ? feel_null() : feel_boolean(!decides);
    return ERR_OK;
}

enum err_code dmn_code_evaluate(struct run *run, const struct code *code, struct feel_value *slots,
                                struct feel_value *out)
{
    typedef enum err_code (*eval_fn)(struct run *, const struct code *, struct feel_value *,
                                     struct feel_value *);
    static const eval_fn EVALUATE[DMN_EXPR__COUNT] = {
        eval_literal,       eval_context,     eval_list,   eval_relation, eval_function,   eval_invocation,
        dmn_table_evaluate, eval_conditional, eval_filter, eval_for,      eval_quantified, eval_quantified,
    };
    struct feel_value value = feel_null();
    const enum err_code rc = EVALUATE[code->kind](run, code, slots, &value);
    if (rc)
        return rc;
    (void)dmn_coerce(run->ev, &value, code->type, out);
    return ERR_OK;
}

/* -- functions ----------------------------------------------------------------------------------------- */

/* What a node requires, into its slots. */
static enum err_code fill_uses(struct frame *frame, const struct node *node, struct feel_value *slots)
{
    for (int i = 0; i < node->use_count; i++) {
        const struct use *use = &node->uses[i];
        enum err_code rc = ERR_OK;
        if (use->node >= 0) {
            rc = node_value(frame, use->node, &slots[use->slot]);
        } else {
            struct feel_entry *entries = room(frame->run, (size_t)use->count, sizeof(*entries));
            if (!entries)
                return ERR_NOMEM;
            for (int j = 0; j < use->count && rc == ERR_OK; j++) {
                entries[j].key = use->names[j];
                rc = node_value(frame, use->nodes[j], &entries[j].value);
            }
            slots[use->slot] = feel_context(entries, (size_t)use->count);
        }
        if (rc)
            return rc;
    }
    return ERR_OK;
}

enum err_code dmn_bkm_call(void *arg, struct feel_eval *ev, const struct feel_value *args, size_t count,
                           struct feel_value *out)
{
    const struct node *node = arg;
    void *host = ev->host;
    struct run own, *run = ev->host = run_of(ev, node->model, &own);
    struct frame frame = { .run = run }; /* a knowledge model requires functions only */
    struct feel_value *slots = room(run, (size_t)node->slot_count, sizeof(*slots));
    enum err_code rc = slots ? ERR_OK : ERR_NOMEM;
    if (rc == ERR_OK) {
        slots[0] = node->function;
        rc = fill_uses(&frame, node, slots);
    }
    if (rc == ERR_OK)
        rc = call_body(run, node->code, args, count, slots, out);
    if (rc == ERR_OK)
        (void)dmn_coerce(ev, out, node->type, out);
    ev->host = host;
    return rc;
}

static enum err_code frame_init(struct frame *frame, struct run *run)
{
    frame->run = run;
    frame->values = room(run, (size_t)run->model->node_count, sizeof(*frame->values));
    frame->done = room(run, (size_t)run->model->node_count, sizeof(*frame->done));
    return frame->values && frame->done ? ERR_OK : ERR_NOMEM;
}

static enum err_code service_value(struct frame *frame, const struct node *node, struct feel_value *out)
{
    if (node->output_count == 1) {
        const enum err_code rc = node_value(frame, node->outputs[0], out);
        if (rc)
            return rc;
    } else {
        struct feel_entry *entries = room(frame->run, (size_t)node->output_count, sizeof(*entries));
        if (!entries)
            return ERR_NOMEM;
        for (int i = 0; i < node->output_count; i++) {
            entries[i].key = frame->run->model->nodes[node->outputs[i]].element->variable.name;
            const enum err_code rc = node_value(frame, node->outputs[i], &entries[i].value);
            if (rc)
                return rc;
        }
        *out = feel_context(entries, (size_t)node->output_count);
    }
    (void)dmn_coerce(frame->run->ev, out, node->type, out);
    return ERR_OK;
}

enum err_code dmn_service_call(void *arg, struct feel_eval *ev, const struct feel_value *args, size_t count,
                               struct feel_value *out)
{
    const struct node *node = arg;
    void *host = ev->host;
    struct run own, *run = ev->host = run_of(ev, node->model, &own);
    struct frame frame;
    enum err_code rc = enter(run);
    if (rc == ERR_OK) {
        rc = frame_init(&frame, run);
        for (int i = 0; rc == ERR_OK && i < node->input_count; i++) {
            frame.values[node->inputs[i]] = (size_t)i < count ? args[i] : feel_null();
            frame.done[node->inputs[i]] = true;
        }
        if (rc == ERR_OK)
            rc = service_value(&frame, node, out);
        run->depth--;
    }
    ev->host = host;
    return rc;
}

/* -- the graph ----------------------------------------------------------------------------------------- */

static enum err_code trace_value(struct run *run, int index, bool given, const struct feel_value *value)
{
    if (!run->trace)
        return ERR_OK;
    struct dmn_trace_value *one = room(run, 1, sizeof(*one));
    if (!one)
        return ERR_NOMEM;
    *one = (struct dmn_trace_value) { .node = index, .given = given, .value = *value };
    *run->trace->values_end = one;
    run->trace->values_end = &one->next;
    return ERR_OK;
}

static enum err_code decision_value(struct frame *frame, const struct node *node, struct feel_value *out)
{
    struct run *run = frame->run;
    struct feel_value value = feel_null();
    struct feel_value *slots = room(run, (size_t)node->slot_count, sizeof(*slots));
    if (!slots)
        return ERR_NOMEM;
    enum err_code rc = fill_uses(frame, node, slots); /* as deep as the graph, which is checked */
    if (rc == ERR_OK && node->code)
        rc = dmn_code_evaluate(run, node->code, slots, &value);
    if (rc)
        return rc;
    if (!dmn_coerce(run->ev, &value, node->type, out))
        feel_warn(run->ev, "dmn.result_type", node->element->name);
    return trace_value(run, node->index, false, out);
}

static enum err_code node_value(struct frame *frame, int index, struct feel_value *out)
{
    const struct node *node = &frame->run->model->nodes[index];
    enum err_code rc = ERR_OK;
    if (node->element->kind == DMN_BKM || node->element->kind == DMN_SERVICE) {
        *out = node->function;
        return ERR_OK;
    }
    if (!frame->done[index]) {
        if (node->element->kind == DMN_DECISION)
            rc = decision_value(frame, node, &frame->values[index]);
        frame->done[index] = rc == ERR_OK;
    }
    *out = frame->values[index];
    return rc;
}

enum err_code dmn_run_evaluate(struct run *run, const struct node *node, const struct dmn_given *given,
                               size_t count, struct feel_value *out)
{
    struct frame frame;
    enum err_code rc = frame_init(&frame, run);
    for (size_t i = 0; i < count && rc == ERR_OK; i++) {
        const int index = given[i].node;
        if (!dmn_coerce(run->ev, &given[i].value, run->model->nodes[index].type, &frame.values[index]))
            feel_warn(run->ev, "dmn.input_type", run->model->nodes[index].element->name);
        frame.done[index] = true;
        rc = trace_value(run, index, true, &frame.values[index]);
    }
    if (rc)
        return rc;
    for (int i = 0; i < node->input_count; i++)
        frame.done[node->inputs[i]] = true; /* an input decision that is not given is null, never evaluated */
    return node->element->kind == DMN_SERVICE ? service_value(&frame, node, out)
                                              : node_value(&frame, node->index, out);
}

/* The code of an evaluation that was stopped, as an error. */
enum err_code dmn_stopped(const struct feel_eval *ev, enum err_code rc, struct err *err)
{
    if (rc == ERR_NOMEM)
        return err_nomem(err);
    return err_set(err, rc, ev->stopped_id ? ev->stopped_id : "dmn.call_depth", ARG_END);
}

enum err_code dmn_evaluate(const struct dmn_model *model, int node, struct feel_eval *ev,
                           const struct dmn_given *given, size_t count, struct dmn_trace *trace,
                           struct feel_value *out, struct err *err)
{
    struct run run = { .model = model, .ev = ev, .trace = trace };
    struct feel_value value = feel_null();
    void *host = ev->host;
    if (trace && !trace->values_end) {
        trace->values_end = &trace->values;
        trace->tables_end = &trace->tables;
    }
    ev->host = &run;
    const enum err_code rc = dmn_run_evaluate(&run, &model->nodes[node], given, count, &value);
    ev->host = host;
    *out = rc ? feel_null() : value;
    return rc ? dmn_stopped(ev, rc, err) : ERR_OK;
}

static void give(const struct dmn_model *model, int unit, const struct feel_value *context,
                 struct dmn_given *given, size_t *count)
{
    const struct unit *from = &model->units[unit];
    for (size_t i = 0; i < context->context.count; i++) {
        const struct feel_entry *entry = &context->context.entries[i];
        for (int node = from->first_node; node < from->first_node + from->node_count; node++) {
            const struct dmn_element *element = model->nodes[node].element;
            if ((element->kind == DMN_INPUT_DATA || element->kind == DMN_DECISION) &&
                str_eq(element->variable.name, entry->key))
                given[(*count)++] = (struct dmn_given) { node, entry->value };
        }
    }
}

enum err_code dmn_given_from(const struct dmn_model *model, struct arena *arena,
                             const struct feel_value *context, struct dmn_given **out_given,
                             size_t *out_count, struct err *err)
{
    struct dmn_given *given = arena_alloc(arena, (size_t)model->node_count * 2 + 1, sizeof(*given));
    size_t count = 0;
    if (!given)
        return err_nomem(err);
    if (context->kind == FEEL_CONTEXT) {
        give(model, 0, context, given, &count);
        for (int i = 0; i < model->units[0].file->import_count; i++) {
            const struct feel_value *inner = feel_context_get(context, model->units[0].file->imports[i].name);
            if (inner && inner->kind == FEEL_CONTEXT &&
                count + (size_t)model->node_count <= (size_t)model->node_count * 2)
                give(model, model->units[0].imports[i], inner, given, &count);
        }
    }
    *out_given = given;
    *out_count = count;
    return ERR_OK;
}
