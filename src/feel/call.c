/* call.c - functions as values: made, called by position and by name. */
#include "feel/eval.h"
#include "feel/regex.h"

#define ARGS_ON_STACK 8
#define LOCALS_ON_STACK 8

/* ---------------------------------------------------------------- calling */

/* The arguments as the parameters want them; false when one does not conform. */
static bool bind_args(struct feel_eval *ev, const struct feel_function *fn, const struct feel_value *args,
                      struct feel_value *out)
{
    for (size_t i = 0; i < fn->count; i++) {
        if (!fn->params[i].type)
            out[i] = args[i];
        else if (!feel_coerce(ev, &args[i], fn->params[i].type, &out[i]))
            return false;
    }
    return true;
}

static void call_literal(struct feel_eval *ev, const struct feel_function *fn, const struct feel_value *args,
                         struct feel_value *out)
{
    const struct function_node *literal = fn->literal;
    struct feel_value few[LOCALS_ON_STACK], *locals = few;
    if (!literal->body) {
        feel_warn(ev, "feel.external", fn->name);
        return;
    }
    if (literal->locals_count > LOCALS_ON_STACK)
        locals = ev_alloc(ev, literal->locals_count, sizeof *locals);
    if (!locals || !bind_args(ev, fn, args, locals))
        return;
    for (size_t i = 0; i < fn->captured_count; i++)
        locals[literal->captures[i].slot] = fn->captured[i];
    const struct feel_program *outer = ev->program;
    const struct node *outer_node = ev->node;
    struct frame frame = { ev, NULL, locals };
    ev->program = fn->program;
    node_eval(literal->body, &frame, out);
    ev->program = outer;
    ev->node = outer_node;
}

static void call_program(struct feel_eval *ev, const struct feel_function *fn, const struct feel_value *args,
                         struct feel_value *out)
{
    struct feel_value *inputs = ev_alloc(ev, fn->count + fn->captured_count, sizeof *inputs);
    if (!inputs || !bind_args(ev, fn, args, inputs))
        return;
    if (fn->captured_count)
        memcpy(inputs + fn->count, fn->captured, fn->captured_count * sizeof *inputs);
    const struct feel_program *outer = ev->program;
    struct err err;
    if (!outer)
        ev->program = fn->program; /* the limits of the caller go on */
    if (feel_evaluate(fn->program, ev, inputs, out, &err) != ERR_OK)
        *out = feel_null();
    ev->program = outer;
}

static void call_native(struct feel_eval *ev, const struct feel_function *fn, const struct feel_value *args,
                        struct feel_value *out)
{
    struct feel_value few[ARGS_ON_STACK], *bound = few;
    if (fn->count > ARGS_ON_STACK)
        bound = ev_alloc(ev, fn->count, sizeof *bound);
    if (!bound || !bind_args(ev, fn, args, bound))
        return;
    struct feel_value result = feel_null();
    const enum err_code rc = fn->native(fn->arg, ev, bound, fn->count, &result);
    if (rc)
        ev_stop(ev, rc, rc == ERR_NOMEM ? "base.no_memory" : "feel.native");
    else
        *out = result;
}

static int height_of(const struct feel_function *fn)
{
    if (fn->kind == FUNCTION_LITERAL)
        return fn->literal->body ? fn->literal->body->height + 2 : 1;
    return fn->kind == FUNCTION_NATIVE ? 20 : 4;
}

void ev_call(struct feel_eval *ev, const struct feel_value *function, const struct feel_value *args,
             size_t count, struct feel_value *out)
{
    struct feel_value result = feel_null();
    *out = result;
    if (function->kind != FEEL_FUNCTION) {
        feel_warn(ev, "feel.no_function", str_from(kind_name(function->kind)));
        return;
    }
    const struct feel_function *fn = function->function;
    if (fn->kind == FUNCTION_BUILTIN) {
        builtin_call(ev, fn->builtin, args, count, out);
        return;
    }
    if (count != fn->count) {
        feel_warn(ev, "feel.arguments_count", fn->name);
        return;
    }
    const int height = height_of(fn);
    if (!ev_steps(ev, 1))
        return;
    if (ev->depth + height > ev->limits.depth) {
        ev_stop(ev, ERR_LIMIT, "feel.depth");
        return;
    }
    ev->depth += height;
    if (fn->kind == FUNCTION_LITERAL)
        call_literal(ev, fn, args, &result);
    else if (fn->kind == FUNCTION_PROGRAM)
        call_program(ev, fn, args, &result);
    else
        call_native(ev, fn, args, &result);
    ev->depth -= height;
    if (ev->stopped)
        return;
    if (fn->result)
        (void)feel_coerce(ev, &result, fn->result, out);
    else
        *out = result;
}

void ev_call_named(struct feel_eval *ev, const struct feel_value *function, const struct str *names,
                   const struct feel_value *args, size_t count, struct feel_value *out)
{
    *out = feel_null();
    if (function->kind != FEEL_FUNCTION) {
        feel_warn(ev, "feel.no_function", str_from(kind_name(function->kind)));
        return;
    }
    const struct feel_function *fn = function->function;
    uint8_t order[256];
    size_t places = fn->count;
    if (count > sizeof order ||
        (fn->kind == FUNCTION_BUILTIN && !builtin_named(fn->builtin, names, count, order, &places))) {
        feel_warn(ev, "feel.arguments_names", fn->name);
        return;
    }
    struct feel_value *ordered = ev_alloc(ev, places, sizeof *ordered);
    for (size_t i = 0; ordered && i < places; i++)
        ordered[i] = feel_null();
    for (size_t i = 0; ordered && i < count; i++) {
        size_t place = 0;
        if (fn->kind == FUNCTION_BUILTIN) {
            place = order[i];
        } else {
            while (place < fn->count && !str_eq(fn->params[place].name, names[i]))
                place++;
        }
        if (place >= places) {
            feel_warn(ev, "feel.arguments_names", fn->name);
            return;
        }
        ordered[place] = args[i];
    }
    if (ordered)
        ev_call(ev, function, ordered, places, out);
}

static enum err_code result_code(struct feel_eval *ev, struct feel_value *out, struct err *err)
{
    if (!ev->stopped)
        return ERR_OK;
    *out = feel_null();
    return err_set(err, ev->stopped, ev->stopped_id, ARG_END);
}

static void start(struct feel_eval *ev)
{
    if (!ev->program && ev->depth == 0) {
        ev->steps = 0;
        ev->stopped = ERR_OK;
    }
}

enum err_code feel_call(struct feel_eval *ev, const struct feel_value *function,
                        const struct feel_value *args, size_t count, struct feel_value *out, struct err *err)
{
    start(ev);
    ev_call(ev, function, args, count, out);
    return result_code(ev, out, err);
}

enum err_code feel_call_named(struct feel_eval *ev, const struct feel_value *function,
                              const struct feel_entry *args, size_t count, struct feel_value *out,
                              struct err *err)
{
    start(ev);
    struct str *names = ev_alloc(ev, count, sizeof *names);
    struct feel_value *values = ev_alloc(ev, count, sizeof *values);
    *out = feel_null();
    for (size_t i = 0; names && values && i < count; i++) {
        names[i] = args[i].key;
        values[i] = args[i].value;
    }
    if (names && values)
        ev_call_named(ev, function, names, values, count, out);
    return result_code(ev, out, err);
}

/* ---------------------------------------------------------------- nodes */

/* Evaluates the arguments into `few`, or into the arena when there are more. */
static const struct feel_value *eval_args(const struct node *node, struct frame *frame,
                                          struct feel_value *few)
{
    struct feel_value *args = few;
    if (node->count > ARGS_ON_STACK)
        args = ev_alloc(frame->ev, node->count, sizeof *args);
    for (uint32_t i = 0; args && i < node->count; i++)
        node_eval(node->items[i], frame, &args[i]);
    return args;
}

void eval_builtin(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value few[ARGS_ON_STACK];
    const struct feel_value *args = eval_args(node, frame, few);
    struct feel_value result = feel_null();
    frame->ev->node = node;
    if (args && !frame->ev->stopped) {
        if (node->regex)
            regex_call(frame->ev, node->regex, node->builtin, args, node->count, &result);
        else
            builtin_call(frame->ev, node->builtin, args, node->count, &result);
    }
    *out = result;
}

void eval_call(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value few[ARGS_ON_STACK], function, result = feel_null();
    node_eval(node->subject, frame, &function);
    const struct feel_value *args = eval_args(node, frame, few);
    frame->ev->node = node;
    if (args && !frame->ev->stopped) {
        if (node->names)
            ev_call_named(frame->ev, &function, node->names, args, node->count, &result);
        else
            ev_call(frame->ev, &function, args, node->count, &result);
    }
    *out = result;
}

void eval_function(const struct node *node, struct frame *frame, struct feel_value *out)
{
    const struct function_node *literal = node->function;
    struct feel_function *fn = ev_alloc(frame->ev, 1, sizeof *fn);
    struct feel_value *captured = ev_alloc(frame->ev, literal->captures_count, sizeof *captured);
    *out = feel_null();
    if (!fn || !captured)
        return;
    for (size_t i = 0; i < literal->captures_count; i++)
        node_eval(literal->captures[i].from, frame, &captured[i]);
    *fn = (struct feel_function) { .kind = FUNCTION_LITERAL,
                                   .params = literal->params,
                                   .count = literal->params_count,
                                   .result = NULL,
                                   .program = frame->ev->program,
                                   .literal = literal,
                                   .captured = captured,
                                   .captured_count = literal->captures_count };
    *out = (struct feel_value) { .kind = FEEL_FUNCTION, .function = fn };
}

void feel_function_own(const struct feel_value *function, size_t slot)
{
    if (function->kind != FEEL_FUNCTION || function->function->kind != FUNCTION_LITERAL)
        return;
    for (size_t i = 0; i < function->function->captured_count; i++) {
        const struct node *from = function->function->literal->captures[i].from;
        if (from->kind == NODE_INPUT && from->slot == slot)
            function->function->captured[i] = *function;
    }
}

/* ---------------------------------------------------------------- making */

static enum err_code make(struct arena *arena, struct feel_function from, struct feel_value *out,
                          struct err *err)
{
    struct feel_function *fn = arena_alloc(arena, 1, sizeof *fn);
    if (!fn)
        return err_nomem(err);
    *fn = from;
    *out = (struct feel_value) { .kind = FEEL_FUNCTION, .function = fn };
    return ERR_OK;
}

enum err_code feel_function_native(struct arena *arena, struct str name, const struct feel_type_field *params,
                                   size_t count, const struct feel_type *result, feel_native fn, void *arg,
                                   struct feel_value *out, struct err *err)
{
    return make(arena,
                (struct feel_function) { .kind = FUNCTION_NATIVE,
                                         .name = name,
                                         .params = params,
                                         .count = count,
                                         .result = result,
                                         .native = fn,
                                         .arg = arg },
                out, err);
}

enum err_code feel_function_program(struct arena *arena, struct str name,
                                    const struct feel_type_field *params, size_t count,
                                    const struct feel_type *result, const struct feel_program *body,
                                    const struct feel_value *captured, size_t captured_count,
                                    struct feel_value *out, struct err *err)
{
    struct feel_value *copy = arena_alloc(arena, captured_count, sizeof *copy);
    if (!copy)
        return err_nomem(err);
    if (captured_count)
        memcpy(copy, captured, captured_count * sizeof *copy);
    return make(arena,
                (struct feel_function) { .kind = FUNCTION_PROGRAM,
                                         .name = name,
                                         .params = params,
                                         .count = count,
                                         .result = result,
                                         .program = body,
                                         .captured = copy,
                                         .captured_count = captured_count },
                out, err);
}

bool feel_function_builtin(struct arena *arena, struct str name, struct feel_value *out)
{
    const struct builtin *builtin = builtin_find(name);
    struct err err;
    return builtin &&
           make(arena,
                (struct feel_function) {
                    .kind = FUNCTION_BUILTIN, .name = str_from(builtin->name), .builtin = builtin },
                out, &err) == ERR_OK;
}

size_t feel_function_params(const struct feel_value *function, const struct feel_type_field **out)
{
    if (function->kind != FEEL_FUNCTION)
        return 0;
    *out = function->function->params;
    return function->function->count;
}

const struct feel_type *feel_function_result(const struct feel_value *function)
{
    return function->kind == FEEL_FUNCTION ? function->function->result : NULL;
}
