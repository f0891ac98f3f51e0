/* compile.c - typed tree to program: every node gets its eval function; what is constant is computed once.
 *
 * Folding happens with tight limits, and only when it gives no warning, so that warnings stay with the
 * evaluation.  Invariant: a folded value lives in the program's arena. */
#include "feel/node.h"
#include "feel/regex.h"

#define FOLD_STEPS 2000
#define FOLD_TEXT_MAX 10000
#define FOLD_LIST_MAX 1000

struct compiler {
    struct arena *arena;
    const struct feel_program *program;
};

static bool compile(struct compiler *c, struct node *node);

bool is_constant(const struct node *node)
{
    return !node || node->kind == NODE_CONST;
}

static bool all_constant(const struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (!is_constant(node->items[i]))
            return false;
    return true;
}

/* Whether the value depends on nothing but constants. */
static bool foldable(const struct node *node)
{
    switch ((enum node_kind)node->kind) {
    case NODE_NEG:
    case NODE_ARITH:
    case NODE_COMPARE:
    case NODE_AND:
    case NODE_OR:
    case NODE_BETWEEN:
    case NODE_PATH:
    case NODE_RANGE:
        return is_constant(node->a) &&
               (node->kind == NODE_NEG || node->kind == NODE_PATH || is_constant(node->b)) &&
               (node->kind != NODE_BETWEEN || is_constant(node->c)) &&
               !(node->kind == NODE_RANGE && node->flags & NODE_ITERATION);
    case NODE_FILTER:
        return is_constant(node->a) && is_constant(node->b) && node->b->value.kind == FEEL_NUMBER;
    case NODE_LIST:
        return all_constant(node);
    case NODE_BUILTIN:
        return node->builtin->pure && all_constant(node);
    case NODE_INSTANCE:
        return is_constant(node->value_of);
    case NODE_CONST:
    case NODE_INPUT:
    case NODE_LOCAL:
    case NODE_ITEM_NAME:
    case NODE_UNKNOWN:
    case NODE_IN:
    case NODE_IF:
    case NODE_FOR:
    case NODE_SOME:
    case NODE_EVERY:
    case NODE_CONTEXT:
    case NODE_TEST_NOT_EQUAL:
    case NODE_CALL:
    case NODE_FUNCTION:
    case NODE_TESTS:
        break;
    }
    return false;
}

static void fold(struct compiler *c, struct node *node)
{
    struct feel_eval ev;
    struct feel_value value;
    const struct arena_mark mark = arena_mark(c->arena);
    feel_eval_init(&ev, c->arena);
    ev.limits.steps = FOLD_STEPS;
    ev.limits.text_max = FOLD_TEXT_MAX;
    ev.limits.list_max = FOLD_LIST_MAX;
    ev.program = c->program;
    struct frame frame = { &ev, NULL, NULL };
    node_eval(node, &frame, &value);
    if (ev.stopped || ev.warnings_count) {
        arena_release(c->arena, mark);
        return;
    }
    node->kind = NODE_CONST;
    node->flags |= NODE_FOLDED;
    node->value = value;
    node_bind(node);
}

static bool compile_items(struct compiler *c, const struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (!compile(c, node->items[i]))
            return false;
    return true;
}

static bool compile_function(struct compiler *c, const struct function_node *fn)
{
    for (size_t i = 0; i < fn->captures_count; i++)
        if (!compile(c, fn->captures[i].from))
            return false;
    return !fn->body || compile(c, fn->body);
}

static bool compile_parts(struct compiler *c, struct node *node)
{
    switch ((enum node_kind)node->kind) {
    case NODE_NEG:
    case NODE_ARITH:
    case NODE_COMPARE:
    case NODE_AND:
    case NODE_OR:
    case NODE_BETWEEN:
    case NODE_PATH:
    case NODE_RANGE:
    case NODE_FILTER:
    case NODE_IF:
    case NODE_ITEM_NAME:
    case NODE_TEST_NOT_EQUAL:
        return (!node->a || compile(c, node->a)) && (!node->b || compile(c, node->b)) &&
               (!node->c || compile(c, node->c));
    case NODE_IN:
    case NODE_CALL:
        return compile(c, node->subject) && compile_items(c, node);
    case NODE_LIST:
    case NODE_CONTEXT:
    case NODE_BUILTIN:
    case NODE_TESTS:
        return compile_items(c, node);
    case NODE_FOR:
    case NODE_SOME:
    case NODE_EVERY:
        for (uint32_t i = 0; i < node->count; i++)
            if (!compile(c, node->iterators[i].list))
                return false;
        return compile(c, node->subject);
    case NODE_FUNCTION:
        return compile_function(c, node->function);
    case NODE_INSTANCE:
        return compile(c, node->value_of);
    case NODE_CONST:
    case NODE_INPUT:
    case NODE_LOCAL:
    case NODE_UNKNOWN:
        break;
    }
    return true;
}

static bool compile(struct compiler *c, struct node *node)
{
    if (node->eval) /* shared by two parents */
        return true;
    node_bind(node);
    if (!compile_parts(c, node))
        return false;
    if (node->kind == NODE_IF && is_constant(node->a)) {
        *node = feel_is_true(&node->a->value) ? *node->b : *node->c;
        return true;
    }
    if (foldable(node))
        fold(c, node);
    if (node->kind == NODE_BUILTIN)
        node->regex = regex_of_call(c->arena, node);
    return true;
}

enum err_code feel_compile(struct arena *arena, const struct feel_tree *tree, const struct feel_program **out,
                           struct err *err)
{
    struct feel_program *program = arena_alloc(arena, 1, sizeof *program);
    if (!program)
        return err_nomem(err);
    program->tree = tree;
    program->root = tree->root;
    program->locals_count = tree->locals_count;
    struct compiler c = { arena, program };
    if (!compile(&c, tree->root))
        return err_nomem(err);
    *out = program;
    return ERR_OK;
}

enum err_code feel_prepare(struct arena *arena, const struct feel_scope *scope, struct str text,
                           enum feel_mode mode, unsigned flags, const struct feel_program **out,
                           struct err *err)
{
    const struct feel_tree *tree;
    const enum err_code rc = feel_parse(arena, scope, text, mode, flags, &tree, err);
    return rc ? rc : feel_compile(arena, tree, out, err);
}

const struct feel_type *feel_program_type(const struct feel_program *program)
{
    return program->root->type;
}

bool feel_program_constant(const struct feel_program *program, struct feel_value *out)
{
    if (program->root->kind != NODE_CONST)
        return false;
    *out = program->root->value;
    return true;
}

bool feel_program_uses(const struct feel_program *program, size_t slot)
{
    return slot < program->tree->inputs_count && program->tree->uses[slot];
}

struct str feel_program_text(const struct feel_program *program)
{
    return program->tree->text;
}
