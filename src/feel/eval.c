/* eval.c - the walk over a program, and its limits. */
#include "feel/eval.h"
#include "feel/parse_more.h"

#define LOCALS_ON_STACK 16
#define FIRST_ITEMS 8

const struct feel_limits FEEL_LIMITS = {
    .steps = 20000000, .depth = 4000, .list_max = 1000000, .text_max = (size_t)8 << 20
};

/* ---------------------------------------------------------------- limits and warnings */

void feel_eval_init(struct feel_eval *ev, struct arena *arena)
{
    ev->arena = arena;
    ev->limits = FEEL_LIMITS;
    ev->warnings_count = ev->warnings_more = 0;
    ev->now_ms = 0;
    ev->zone = (struct str) { 0 };
    ev->steps = 0;
    ev->depth = 0;
    ev->stopped = ERR_OK;
    ev->stopped_id = NULL;
    ev->program = NULL;
    ev->node = NULL;
}

void ev_stop(struct feel_eval *ev, enum err_code code, const char *id)
{
    if (ev->stopped)
        return;
    ev->stopped = code;
    ev->stopped_id = id;
}

bool ev_steps(struct feel_eval *ev, int64_t steps)
{
    ev->steps += steps;
    if (ev->steps > ev->limits.steps)
        ev_stop(ev, ERR_LIMIT, "feel.steps");
    return !ev->stopped;
}

void *ev_alloc(struct feel_eval *ev, size_t count, size_t size)
{
    void *block = arena_alloc(ev->arena, count, size);
    if (!block)
        ev_stop(ev, ERR_NOMEM, "base.no_memory");
    return block;
}

static void warn_at(struct feel_eval *ev, const char *id, struct str what, const struct node *node)
{
    if (ev->warnings_count == FEEL_WARNINGS_MAX) {
        ev->warnings_more++;
        return;
    }
    struct feel_warning *warning = &ev->warnings[ev->warnings_count++];
    *warning = (struct feel_warning) { .id = id, .what = what };
    if (node && ev->program)
        feel_position(ev->program->tree->text, node->at, &warning->line, &warning->column);
}

void feel_warn(struct feel_eval *ev, const char *id, struct str what)
{
    warn_at(ev, id, what, ev->node);
}

void ev_warn(struct feel_eval *ev, const char *id, const char *what, const struct node *node)
{
    warn_at(ev, id, str_from(what), node);
}

void feel_warning_err(const struct feel_warning *warning, struct err *err)
{
    (void)err_set(err, ERR_INVALID, warning->id, ARG_STR("what", warning->what), ARG_END);
    (void)err_at(err, warning->line, warning->column);
}

bool grow(struct feel_eval *ev, struct growing *list, const struct feel_value *value)
{
    if (list->count == list->size) {
        if (list->count >= ev->limits.list_max) {
            ev_stop(ev, ERR_LIMIT, "feel.list_max");
            return false;
        }
        const size_t want = list->size ? list->size * 2 : FIRST_ITEMS;
        struct feel_value *more = ev_alloc(ev, want, sizeof *more);
        if (!more)
            return false;
        if (list->count)
            memcpy(more, list->items, list->count * sizeof *more);
        list->items = more;
        list->size = want;
    }
    list->items[list->count++] = *value;
    return true;
}

/* ---------------------------------------------------------------- leaves */

static void eval_const(const struct node *node, struct frame *frame, struct feel_value *out)
{
    (void)frame;
    *out = node->value;
}

static void eval_input(const struct node *node, struct frame *frame, struct feel_value *out)
{
    *out = frame->inputs[node->slot];
}

static void eval_local(const struct node *node, struct frame *frame, struct feel_value *out)
{
    *out = frame->locals[node->slot];
}

static void eval_item_name(const struct node *node, struct frame *frame, struct feel_value *out)
{
    const struct feel_value *entry = feel_context_get(&frame->locals[node->slot], node->name);
    if (entry)
        *out = *entry;
    else if (node->a->kind == NODE_UNKNOWN &&
             value_path(frame->ev, &frame->locals[node->slot], node->name, out))
        return;
    else
        node_eval(node->a, frame, out);
}

static void eval_unknown(const struct node *node, struct frame *frame, struct feel_value *out)
{
    warn_at(frame->ev, "feel.unknown_name_null", node->name, node);
    *out = feel_null();
}

/* ---------------------------------------------------------------- operators */

static void eval_neg(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value room;
    const struct feel_value *a = operand(node->a, frame, &room);
    value_negate(frame->ev, a, out);
    if (out->kind == FEEL_NULL)
        ev_warn(frame->ev, "feel.operands", "-", node);
}

static void eval_arith(const struct node *node, struct frame *frame, struct feel_value *out)
{
    static const char *const SIGNS[] = { "+", "-", "*", "/", "**" };
    struct feel_value room_a, room_b, result;
    const struct feel_value *a = operand(node->a, frame, &room_a), *b = operand(node->b, frame, &room_b);
    if (a->kind == FEEL_NUMBER && b->kind == FEEL_NUMBER) {
        bool ok = false;
        result.kind = FEEL_NUMBER;
        switch (node->op) {
        case OP_ADD:
            ok = decimal_add(a->number, b->number, &result.number);
            break;
        case OP_SUB:
            ok = decimal_sub(a->number, b->number, &result.number);
            break;
        case OP_MUL:
            ok = decimal_mul(a->number, b->number, &result.number);
            break;
        case OP_DIV:
            ok = decimal_div(a->number, b->number, &result.number);
            break;
        default:
            ok = decimal_pow(a->number, b->number, &result.number);
            break;
        }
        if (ok) {
            *out = result;
            return;
        }
        result.kind = FEEL_NULL;
    } else {
        value_arith(frame->ev, (enum op)node->op, a, b, &result);
    }
    if (result.kind == FEEL_NULL)
        ev_warn(frame->ev, "feel.operands", SIGNS[node->op], node);
    *out = result;
}

static bool order_holds(enum op op, int order)
{
    switch (op) {
    case OP_LT:
        return order < 0;
    case OP_LE:
        return order <= 0;
    case OP_GT:
        return order > 0;
    case OP_GE:
        return order >= 0;
    case OP_EQ:
        return order == 0;
    case OP_NE:
        return order != 0;
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_POW:
        break;
    }
    return false;
}

static void eval_compare(const struct node *node, struct frame *frame, struct feel_value *out)
{
    static const char *const SIGNS[] = {
        [OP_EQ] = "=", [OP_NE] = "!=", [OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">="
    };
    struct feel_value room_a, room_b;
    const struct feel_value *a = operand(node->a, frame, &room_a), *b = operand(node->b, frame, &room_b);
    const enum op op = (enum op)node->op;
    if (a->kind == FEEL_NUMBER && b->kind == FEEL_NUMBER) {
        *out = feel_boolean(order_holds(op, decimal_cmp(a->number, b->number)));
        return;
    }
    if (op == OP_EQ || op == OP_NE) {
        const enum feel_truth truth = value_equal(frame->ev, a, b);
        if (truth == FEEL_UNKNOWN)
            ev_warn(frame->ev, "feel.operands", SIGNS[op], node);
        *out = truth == FEEL_UNKNOWN ? feel_null() : feel_boolean((truth == FEEL_TRUE) == (op == OP_EQ));
        return;
    }
    int order;
    if (!feel_compare(a, b, &order)) {
        ev_warn(frame->ev, "feel.operands", SIGNS[op], node);
        *out = feel_null();
        return;
    }
    *out = feel_boolean(order_holds(op, order));
}

static void eval_and(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value room;
    const struct feel_value *a = operand(node->a, frame, &room);
    const bool a_boolean = a->kind == FEEL_BOOLEAN;
    if (a_boolean && !a->boolean) {
        *out = feel_boolean(false);
        return;
    }
    const struct feel_value *b = operand(node->b, frame, &room);
    if (b->kind == FEEL_BOOLEAN && !b->boolean)
        *out = feel_boolean(false);
    else
        *out = a_boolean && b->kind == FEEL_BOOLEAN ? feel_boolean(true) : feel_null();
}

static void eval_or(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value room;
    const struct feel_value *a = operand(node->a, frame, &room);
    const bool a_boolean = a->kind == FEEL_BOOLEAN;
    if (a_boolean && a->boolean) {
        *out = feel_boolean(true);
        return;
    }
    const struct feel_value *b = operand(node->b, frame, &room);
    if (b->kind == FEEL_BOOLEAN && b->boolean)
        *out = feel_boolean(true);
    else
        *out = a_boolean && b->kind == FEEL_BOOLEAN ? feel_boolean(false) : feel_null();
}

static void eval_between(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value room[3];
    const struct feel_value *a = operand(node->a, frame, &room[0]);
    const struct feel_value *low = operand(node->b, frame, &room[1]),
                            *high = operand(node->c, frame, &room[2]);
    int from, to;
    if (feel_compare(a, low, &from) && feel_compare(a, high, &to)) {
        *out = feel_boolean(from >= 0 && to <= 0);
        return;
    }
    ev_warn(frame->ev, "feel.operands", "between", node);
    *out = feel_null();
}

static void eval_if(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value room;
    const struct feel_value *condition = operand(node->a, frame, &room);
    node_eval(feel_is_true(condition) ? node->b : node->c, frame, out);
}

static void eval_instance(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value room;
    const struct feel_value *value = operand(node->value_of, frame, &room);
    *out = feel_boolean(feel_instance_of(frame->ev, value, node->wanted));
}

/* ---------------------------------------------------------------- lists, contexts, ranges, paths */

static void eval_list(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value *items = ev_alloc(frame->ev, node->count, sizeof *items);
    if (!items) {
        *out = feel_null();
        return;
    }
    for (uint32_t i = 0; i < node->count; i++)
        node_eval(node->items[i], frame, &items[i]);
    *out = feel_list(items, node->count);
}

/* A function may call itself by the name of its entry: it captures itself. */
static void tie_knot(const struct node *item, uint16_t slot, struct feel_value *value)
{
    if (item->kind != NODE_FUNCTION || item->function->own_slot != slot || value->kind != FEEL_FUNCTION)
        return;
    for (size_t i = 0; i < item->function->captures_count; i++) {
        const struct node *from = item->function->captures[i].from;
        if (from->kind == NODE_LOCAL && from->slot == slot)
            value->function->captured[i] = *value;
    }
}

static void eval_context(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_entry *entries = ev_alloc(frame->ev, node->count, sizeof *entries);
    if (!entries) {
        *out = feel_null();
        return;
    }
    for (uint32_t i = 0; i < node->count; i++) {
        for (uint32_t j = 0; j < i; j++)
            if (str_eq(entries[j].key, node->names[i])) {
                ev_warn(frame->ev, "feel.duplicate_key", "", node);
                *out = feel_null();
                return;
            }
        const uint16_t slot = node->iterators[i].slot;
        frame->locals[slot] = feel_null();
        node_eval(node->items[i], frame, &entries[i].value);
        tie_knot(node->items[i], slot, &entries[i].value);
        entries[i].key = node->names[i];
        frame->locals[slot] = entries[i].value;
    }
    *out = feel_context(entries, node->count);
}

static void eval_path(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value room, result;
    const struct feel_value *a = operand(node->a, frame, &room);
    if (a->kind == FEEL_CONTEXT) {
        const struct feel_value *entry = feel_context_get(a, node->name);
        if (entry) {
            *out = *entry;
            return;
        }
    } else if (value_path(frame->ev, a, node->name, &result)) {
        *out = result;
        return;
    }
    warn_at(frame->ev, "feel.no_field", node->name, node);
    *out = feel_null();
}

static void eval_range(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_range *range = ev_alloc(frame->ev, 1, sizeof *range);
    *out = feel_null();
    if (!range)
        return;
    range->low = range->high = feel_null();
    if (node->a)
        node_eval(node->a, frame, &range->low);
    if (node->b)
        node_eval(node->b, frame, &range->high);
    range->low_closed = (node->flags & NODE_LOW_CLOSED) != 0;
    range->high_closed = (node->flags & NODE_HIGH_CLOSED) != 0;
    range->low_none = !node->a;
    range->high_none = !node->b;
    const enum feel_kind low = range->low.kind, high = range->high.kind;
    if (low == FEEL_LIST || low == FEEL_CONTEXT || low == FEEL_FUNCTION || low == FEEL_RANGE) {
        if (!(node->flags & NODE_TEST_OP) || high != low) {
            ev_warn(frame->ev, "feel.operands", "..", node);
            return;
        }
    } else if (low != high && low != FEEL_NULL && high != FEEL_NULL) {
        ev_warn(frame->ev, "feel.operands", "..", node);
        return;
    }
    *out = (struct feel_value) { .kind = FEEL_RANGE, .range = range };
}

static void eval_not_equal(const struct node *node, struct frame *frame, struct feel_value *out)
{
    ev_warn(frame->ev, "feel.operands", "!=", node); /* has a meaning only where a value is tested */
    *out = feel_null();
}

/* ---------------------------------------------------------------- binding */

static const node_fn EVAL[] = {
    [NODE_CONST] = eval_const,
    [NODE_INPUT] = eval_input,
    [NODE_LOCAL] = eval_local,
    [NODE_ITEM_NAME] = eval_item_name,
    [NODE_UNKNOWN] = eval_unknown,
    [NODE_NEG] = eval_neg,
    [NODE_ARITH] = eval_arith,
    [NODE_COMPARE] = eval_compare,
    [NODE_AND] = eval_and,
    [NODE_OR] = eval_or,
    [NODE_BETWEEN] = eval_between,
    [NODE_IN] = eval_in,
    [NODE_IF] = eval_if,
    [NODE_FOR] = eval_for,
    [NODE_SOME] = eval_some,
    [NODE_EVERY] = eval_every,
    [NODE_LIST] = eval_list,
    [NODE_CONTEXT] = eval_context,
    [NODE_PATH] = eval_path,
    [NODE_FILTER] = eval_filter,
    [NODE_RANGE] = eval_range,
    [NODE_TEST_NOT_EQUAL] = eval_not_equal,
    [NODE_BUILTIN] = eval_builtin,
    [NODE_CALL] = eval_call,
    [NODE_FUNCTION] = eval_function,
    [NODE_INSTANCE] = eval_instance,
    [NODE_TESTS] = eval_tests,
};

void node_bind(struct node *node)
{
    node->eval = EVAL[node->kind];
}

/* ---------------------------------------------------------------- entry points */

static void run(const struct feel_program *program, struct feel_eval *ev, const struct feel_value *inputs,
                struct feel_value *out)
{
    struct feel_value few[LOCALS_ON_STACK], *locals = few, result;
    const struct feel_program *outer = ev->program;
    const struct node *outer_node = ev->node;
    if (!outer) {
        ev->steps = 0;
        ev->depth = 0;
        ev->stopped = ERR_OK;
    }
    if (program->locals_count > LOCALS_ON_STACK)
        locals = ev_alloc(ev, program->locals_count, sizeof *locals);
    if (locals && ev->depth + program->root->height > ev->limits.depth)
        ev_stop(ev, ERR_LIMIT, "feel.depth");
    if (!ev->stopped) {
        struct frame frame = { ev, inputs, locals };
        ev->program = program;
        ev->node = NULL;
        ev->depth += program->root->height;
        node_eval(program->root, &frame, &result);
        ev->depth -= program->root->height;
        ev->program = outer;
        ev->node = outer_node;
    }
    *out = ev->stopped ? feel_null() : result;
}

enum err_code feel_evaluate(const struct feel_program *program, struct feel_eval *ev,
                            const struct feel_value *inputs, struct feel_value *out, struct err *err)
{
    run(program, ev, inputs, out);
    if (!ev->stopped)
        return ERR_OK;
    return err_set(err, ev->stopped, ev->stopped_id, ARG_END);
}

static bool has_pointers(const struct feel_value *value)
{
    return value->kind == FEEL_STRING || value->kind == FEEL_TIME || value->kind == FEEL_DATE_TIME ||
           value->kind >= FEEL_LIST;
}

enum err_code feel_evaluate_many(const struct feel_program *program, struct feel_eval *ev,
                                 const struct feel_value *const *columns, size_t rows, struct feel_value *out,
                                 struct err *err)
{
    const size_t count = program->tree->inputs_count;
    struct feel_value *inputs = ev_alloc(ev, count, sizeof *inputs);
    if (!inputs)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++)
        inputs[i] = feel_null();
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < count; i++)
            if (columns[i] && program->tree->uses[i])
                inputs[i] = columns[i][row];
        const struct arena_mark mark = arena_mark(ev->arena);
        run(program, ev, inputs, &out[row]);
        if (ev->stopped)
            return err_set(err, ev->stopped, ev->stopped_id, ARG_END);
        if (!has_pointers(&out[row]))
            arena_release(ev->arena, mark);
    }
    return ERR_OK;
}

enum err_code feel_test(const struct feel_program *tests, struct feel_eval *ev,
                        const struct feel_value *inputs, enum feel_truth *out, struct err *err)
{
    struct feel_value value;
    const enum err_code rc = feel_evaluate(tests, ev, inputs, &value, err);
    if (rc)
        return rc;
    *out = value.kind != FEEL_BOOLEAN ? FEEL_UNKNOWN : value.boolean ? FEEL_TRUE : FEEL_FALSE;
    return ERR_OK;
}
