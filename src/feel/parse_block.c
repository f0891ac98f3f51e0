/* parse_block.c - the forms that begin with a word: for, some, every, if, function; and contexts. */
#include "feel/parse_more.h"

#include <assert.h>

#define ITERATORS_MAX 16
#define PARAMS_MAX 100

/* ---------------------------------------------------------------- for, some, every */

/* What is iterated over: a list, or `low..high`. */
static struct node *parse_domain(struct parser *p)
{
    struct node *low = parse_expression(p);
    space(p);
    if (!low || look(p) != '.' || look_on(p, 1) != '.')
        return low;
    p->at += 2;
    struct node *high = parse_expression(p);
    struct node *node = parse_two(p, NODE_RANGE, OP_EQ, low, high, FEEL_T_ANY);
    if (!node)
        return NULL;
    node->flags |= NODE_LOW_CLOSED | NODE_HIGH_CLOSED | NODE_ITERATION;
    node->type = feel_type_list(p->arena, low->type);
    return node;
}

static bool parse_iterator(struct parser *p, struct iterator *out, uint16_t *io_height, uint8_t *io_flags)
{
    const struct str name = parse_words(p);
    if (!name.ptr)
        return false;
    if (!take_word(p, STR("in"))) {
        (void)parse_expected(p, "in");
        return false;
    }
    out->list = parse_domain(p);
    if (!out->list)
        return false;
    if (out->list->height > *io_height)
        *io_height = out->list->height;
    *io_flags |= out->list->flags & NODE_QUESTION;
    const struct binding *binding = bind_local(p, name, element_type(out->list->type));
    if (!binding)
        return false;
    out->slot = binding->slot;
    return true;
}

static struct node *parse_loop(struct parser *p, enum node_kind kind, struct str word)
{
    struct node *node = node_new(p, kind, p->at);
    struct binding *outer = p->bindings;
    struct iterator iterators[ITERATORS_MAX];
    uint32_t count = 0;
    uint16_t height = 0;
    uint8_t flags = 0;
    if (!node)
        return NULL;
    p->at += word.len;
    do {
        if (count == ITERATORS_MAX)
            return parse_fail(p, "feel.iterators", p->at);
        if (!parse_iterator(p, &iterators[count], &height, &flags))
            return NULL;
        count++;
    } while (take_char(p, ','));
    if (kind == NODE_FOR) {
        struct binding *partial = bind_local(p, STR("partial"), NULL);
        if (!partial)
            return NULL;
        node->slot = partial->slot;
    }
    const struct str next = kind == NODE_FOR ? STR("return") : STR("satisfies");
    if (!take_word(p, next))
        return parse_expected(p, kind == NODE_FOR ? "return" : "satisfies");
    struct node *body = parse_expression(p);
    p->bindings = outer;
    if (!body)
        return NULL;
    node->iterators = parse_alloc(p, count, sizeof *iterators);
    if (!node->iterators)
        return NULL;
    memcpy(node->iterators, iterators, count * sizeof *iterators);
    node->count = count;
    node->subject = body;
    node->height = (uint16_t)(height + 1);
    node->flags |= flags;
    node_over(node, body);
    node->type = kind == NODE_FOR ? feel_type_list(p->arena, body->type) : feel_type_basic(FEEL_T_BOOLEAN);
    return node;
}

/* ---------------------------------------------------------------- if */

static struct node *parse_if(struct parser *p)
{
    struct node *node = node_new(p, NODE_IF, p->at);
    p->at += 2;
    struct node *condition = node ? parse_expression(p) : NULL;
    if (!condition)
        return NULL;
    if (!take_word(p, STR("then")))
        return parse_expected(p, "then");
    struct node *yes = parse_expression(p);
    if (!yes)
        return NULL;
    if (!take_word(p, STR("else")))
        return parse_expected(p, "else");
    struct node *no = parse_expression(p);
    if (!no)
        return NULL;
    node->a = condition;
    node->b = yes;
    node->c = no;
    node_over(node, condition);
    node_over(node, yes);
    node_over(node, no);
    node->type = common_type(p, yes->type, no->type);
    return node;
}

/* ---------------------------------------------------------------- function */

static bool parse_params(struct parser *p, struct function_node *fn, struct feel_type_field *params)
{
    size_t count = 0;
    if (!take_char(p, ')')) {
        do {
            if (count == PARAMS_MAX) {
                (void)parse_fail(p, "feel.arguments", p->at);
                return false;
            }
            const struct str name = parse_raw_name(p, ":,)");
            const struct feel_type *type = NULL;
            if (!name.ptr || (take_char(p, ':') && !(type = parse_type(p))))
                return false;
            params[count] = (struct feel_type_field) { name, type };
            if (!bind_local(p, name, type))
                return false;
            count++;
        } while (take_char(p, ','));
        if (!want_char(p, ')', ")"))
            return false;
    }
    fn->params_count = (uint16_t)count;
    fn->params = parse_alloc(p, count, sizeof *params);
    if (fn->params && count)
        memcpy(fn->params, params, count * sizeof *params);
    return fn->params != NULL;
}

static struct node *parse_function(struct parser *p)
{
    struct node *node = node_new(p, NODE_FUNCTION, p->at);
    struct function_node *fn = parse_alloc(p, 1, sizeof *fn);
    struct feel_type_field params[PARAMS_MAX];
    struct binding *outer = p->bindings;
    struct body body = { .outer = p->body };
    if (!node || !fn)
        return NULL;
    fn->own_slot = -1;
    p->at += 8;
    const size_t start = p->at;
    if (!want_char(p, '(', "("))
        return NULL;
    /* cppcheck-suppress autoVariables ; until the body is read */
    p->body = &body;
    const bool ok = parse_params(p, fn, params);
    const bool external = ok && take_word(p, STR("external"));
    struct node *code = ok ? parse_expression(p) : NULL;
    p->body = body.outer;
    p->bindings = outer;
    if (!code)
        return NULL;
    fn->body = external ? NULL : code;
    fn->text = str_trim(str_slice(p->text, start, p->at));
    fn->locals_count = body.locals;
    fn->captures_count = body.captures_count;
    fn->captures = parse_alloc(p, body.captures_count, sizeof *fn->captures);
    if (!fn->captures)
        return NULL;
    size_t i = 0;
    for (const struct capture_link *link = body.captures; link; link = link->next)
        fn->captures[i++] = (struct capture) { link->from, link->slot };
    fn->type = feel_type_function(p->arena, fn->params, fn->params_count, code->type);
    node->function = fn;
    node->type = fn->type;
    node_over(node, code);
    return node;
}

/* ---------------------------------------------------------------- context */

static bool parse_key(struct parser *p, struct str *out)
{
    space(p);
    if (look(p) == '"') {
        if (!parse_string_text(p, out))
            return false;
        if (!out->ptr)
            out->ptr = "";
        return true;
    }
    *out = parse_raw_name(p, ":");
    return out->ptr != NULL;
}

struct node *parse_context(struct parser *p)
{
    struct node *node = node_new(p, NODE_CONTEXT, p->at);
    struct binding *outer = p->bindings;
    struct node_list list = { 0 };
    struct str *names = NULL;
    struct iterator *slots = NULL;
    uint32_t size = 0;
    if (!node)
        return NULL;
    p->at++;
    p->nest++;
    if (!take_char(p, '}')) {
        do {
            struct str key;
            if (!parse_key(p, &key) || !want_char(p, ':', ":"))
                return NULL;
            if (list.count == size) {
                const uint32_t want = size ? size * 2 : 4;
                struct str *more = parse_alloc(p, want, sizeof *more);
                struct iterator *more_slots = parse_alloc(p, want, sizeof *more_slots);
                if (!more || !more_slots)
                    return NULL;
                if (size) {
                    memcpy(more, names, size * sizeof *more);
                    memcpy(more_slots, slots, size * sizeof *more_slots);
                }
                names = more;
                slots = more_slots;
                size = want;
            }
            space(p);
            const bool function = at_word(p, STR("function"));
            struct binding *binding = NULL;
            if (function && key.len && !(binding = bind_local(p, key, NULL)))
                return NULL;
            struct node *value = parse_expression(p);
            if (!node_list_add(p, &list, value))
                return NULL;
            if (!binding && key.len && !(binding = bind_local(p, key, value->type)))
                return NULL;
            if (binding)
                binding->type = value->type;
            if (function && binding && value->kind == NODE_FUNCTION)
                value->function->own_slot = binding->slot;
            assert(names && slots);
            names[list.count - 1] = key;
            slots[list.count - 1].slot = binding ? binding->slot : new_slot(p);
        } while (take_char(p, ','));
        if (!want_char(p, '}', "}"))
            return NULL;
    }
    p->nest--;
    p->bindings = outer;
    node_list_take(&list, node);
    node->names = names;
    node->iterators = slots;
    struct feel_type_field *fields = parse_alloc(p, list.count, sizeof *fields);
    if (!fields)
        return NULL;
    for (uint32_t i = 0; names && i < list.count; i++)
        fields[i] = (struct feel_type_field) { names[i], list.items[i]->type };
    node->type = feel_type_context(p->arena, fields, list.count);
    return node;
}

/* ---------------------------------------------------------------- by the first word */

static struct node *literal(struct parser *p, size_t len, struct feel_value value, enum feel_type_kind type)
{
    struct node *node = node_new(p, NODE_CONST, p->at);
    if (node) {
        node->value = value;
        node->type = feel_type_basic(type);
        p->at += len;
    }
    return node;
}

/* A known name that is longer than the word goes before the word. */
static bool hidden(struct parser *p, size_t len)
{
    for (const struct binding *b = p->bindings; b; b = b->next)
        if (b->kind == BINDING_LOCAL && name_match(p->text, p->at, b->name) > p->at + len)
            return true;
    for (size_t i = p->scope ? p->scope->count : 0; i-- > 0;)
        if (name_match(p->text, p->at, p->scope->names[i].name) > p->at + len)
            return true;
    return false;
}

struct node *parse_block(struct parser *p, bool *out_none)
{
    *out_none = false;
    switch (look(p)) {
    case 'f':
        if (at_word(p, STR("false")) && !hidden(p, 5))
            return literal(p, 5, feel_boolean(false), FEEL_T_BOOLEAN);
        if (at_word(p, STR("for")) && !hidden(p, 3))
            return parse_loop(p, NODE_FOR, STR("for"));
        if (at_word(p, STR("function")) && !hidden(p, 8))
            return parse_function(p);
        break;
    case 't':
        if (at_word(p, STR("true")) && !hidden(p, 4))
            return literal(p, 4, feel_boolean(true), FEEL_T_BOOLEAN);
        break;
    case 'n':
        if (at_word(p, STR("null")) && !hidden(p, 4))
            return literal(p, 4, feel_null(), FEEL_T_NULL);
        break;
    case 'i':
        if (at_word(p, STR("if")) && !hidden(p, 2))
            return parse_if(p);
        break;
    case 's':
        if (at_word(p, STR("some")) && !hidden(p, 4))
            return parse_loop(p, NODE_SOME, STR("some"));
        break;
    case 'e':
        if (at_word(p, STR("every")) && !hidden(p, 5))
            return parse_loop(p, NODE_EVERY, STR("every"));
        break;
    default:
        break;
    }
    *out_none = true;
    return NULL;
}
