/* parse_primary.c - names, literals, brackets, and what follows them: .name, [filter], (call). */
#include "feel/parse_more.h"

#define ARGS_MAX 250
#define TRIES_MAX 100

bool node_list_add(struct parser *p, struct node_list *list, struct node *node)
{
    if (!node)
        return false;
    if (list->count == list->size) {
        const uint32_t want = list->size ? list->size * 2 : 4;
        struct node **more = parse_alloc(p, want, sizeof(struct node *));
        if (!more)
            return false;
        for (uint32_t i = 0; i < list->count; i++)
            more[i] = list->items[i];
        list->items = more;
        list->size = want;
    }
    list->items[list->count++] = node;
    if (node->height > list->height)
        list->height = node->height;
    list->flags |= node->flags & NODE_QUESTION;
    return true;
}

void node_list_take(const struct node_list *list, struct node *node)
{
    node->items = list->items;
    node->count = list->count;
    if (list->height >= node->height)
        node->height = (uint16_t)(list->height + 1);
    node->flags |= list->flags;
}

/* ---------------------------------------------------------------- ranges and tests */

struct node *parse_range_rest(struct parser *p, struct node *low, bool low_closed, size_t at)
{
    space(p);
    if (look(p) != '.' || look_on(p, 1) != '.')
        return parse_expected(p, "..");
    p->at += 2;
    const int outer = p->range_nest;
    p->range_nest = p->nest;
    struct node *high = parse_arithmetic(p);
    p->range_nest = outer;
    struct node *node = parse_two(p, NODE_RANGE, OP_EQ, low, high, FEEL_T_ANY);
    if (!node)
        return NULL;
    node->at = (uint32_t)at;
    node->flags |= low_closed ? NODE_LOW_CLOSED : 0;
    space(p);
    if (look(p) == ']')
        node->flags |= NODE_HIGH_CLOSED;
    else if (look(p) != ')' && look(p) != '[')
        return parse_expected(p, "]");
    p->at++;
    node->type = feel_type_range(p->arena, low->type ? low->type : high->type);
    return node;
}

/* The comparison sign at p->at, which begins a unary test; false when there is none. */
static bool test_sign(struct parser *p, enum op *out)
{
    const char c = look(p), d = look_on(p, 1);
    if (c == '<')
        *out = d == '=' ? OP_LE : OP_LT;
    else if (c == '>')
        *out = d == '=' ? OP_GE : OP_GT;
    else if (c == '=')
        *out = OP_EQ;
    else if (c == '!' && d == '=')
        *out = OP_NE;
    else
        return false;
    p->at += d == '=' && c != '=' ? 2 : 1;
    return true;
}

static struct node *parse_sign_test(struct parser *p, enum op op, size_t at)
{
    struct node *end = parse_arithmetic(p);
    if (!end)
        return NULL;
    struct node *node = node_new(p, op == OP_NE ? NODE_TEST_NOT_EQUAL : NODE_RANGE, at);
    if (!node)
        return NULL;
    node_over(node, end);
    node->flags |= NODE_TEST_OP;
    if (op == OP_NE) {
        node->a = end;
        return node;
    }
    if (op == OP_EQ || op == OP_GT || op == OP_GE)
        node->a = end;
    if (op == OP_EQ || op == OP_LT || op == OP_LE)
        node->b = end;
    node->flags |= (uint8_t)((op == OP_EQ || op == OP_GE ? NODE_LOW_CLOSED : 0) |
                             (op == OP_EQ || op == OP_LE ? NODE_HIGH_CLOSED : 0) |
                             (node->a ? 0 : NODE_LOW_NONE) | (node->b ? 0 : NODE_HIGH_NONE));
    node->type = feel_type_range(p->arena, end->type);
    return node;
}

struct node *parse_test(struct parser *p)
{
    enum op op;
    space(p);
    const size_t at = p->at;
    return test_sign(p, &op) ? parse_sign_test(p, op, at) : parse_expression(p);
}

/* `in (a, < 5, [1..2])`, `in [1..5]`, `in list`, `in < 5`; `?` stands for the subject within. */
struct node *parse_in(struct parser *p, struct node *subject)
{
    struct node *node = node_new(p, NODE_IN, subject->at);
    struct binding *outer = p->bindings;
    struct node_list list = { 0 };
    if (!node)
        return NULL;
    struct binding *question = bind_local(p, STR("?"), subject->type);
    if (!question)
        return NULL;
    const bool seen = p->question;
    space(p);
    const size_t at = p->at;
    if (look(p) == '(') {
        p->at++;
        p->nest++;
        struct node *first = parse_test(p);
        space(p);
        if (first && look(p) == '.' && look_on(p, 1) == '.') {
            p->nest--;
            first = parse_range_rest(p, first, false, at);
            p->nest++;
            if (!node_list_add(p, &list, first))
                return NULL;
        } else {
            if (!node_list_add(p, &list, first))
                return NULL;
            while (take_char(p, ','))
                if (!node_list_add(p, &list, parse_test(p)))
                    return NULL;
            if (!want_char(p, ')', ")"))
                return NULL;
        }
        p->nest--;
    } else {
        enum op op;
        struct node *test = test_sign(p, &op) ? parse_sign_test(p, op, at) : parse_arithmetic(p);
        if (!node_list_add(p, &list, test))
            return NULL;
    }
    p->bindings = outer;
    p->question = seen;
    node->slot = question->slot;
    node->subject = subject;
    list.flags = 0; /* its own `?` */
    node_list_take(&list, node);
    node_over(node, subject);
    node->type = feel_type_basic(FEEL_T_BOOLEAN);
    return node;
}

/* ---------------------------------------------------------------- brackets */

static struct node *parse_parens(struct parser *p)
{
    const size_t at = p->at++;
    enum op op;
    struct node *node;
    p->nest++;
    space(p);
    const size_t inner = p->at;
    if (test_sign(p, &op)) {
        node = parse_sign_test(p, op, inner);
        if (node)
            node->flags &= (uint8_t)~NODE_TEST_OP;
    } else {
        node = parse_expression(p);
        space(p);
        if (node && look(p) == '.' && look_on(p, 1) == '.') {
            p->nest--;
            return parse_range_rest(p, node, false, at);
        }
    }
    p->nest--;
    return node && want_char(p, ')', ")") ? node : NULL;
}

static struct node *parse_brackets(struct parser *p)
{
    const size_t at = p->at++;
    struct node_list list = { 0 };
    const struct feel_type *element = NULL;
    p->nest++;
    if (!take_char(p, ']')) {
        struct node *item = parse_expression(p);
        space(p);
        if (item && look(p) == '.' && look_on(p, 1) == '.') {
            p->nest--;
            return parse_range_rest(p, item, true, at);
        }
        element = item ? item->type : NULL;
        if (!node_list_add(p, &list, item))
            return NULL;
        while (take_char(p, ',')) {
            item = parse_expression(p);
            if (!node_list_add(p, &list, item))
                return NULL;
            element = common_type(p, element, item->type);
        }
        if (!want_char(p, ']', "]"))
            return NULL;
    }
    p->nest--;
    struct node *node = node_new(p, NODE_LIST, at);
    if (!node)
        return NULL;
    node_list_take(&list, node);
    node->type = feel_type_list(p->arena, element);
    return node;
}

static struct node *parse_open_range(struct parser *p)
{
    const size_t at = p->at++;
    struct node *low = parse_arithmetic(p);
    return low ? parse_range_rest(p, low, false, at) : NULL;
}

/* ---------------------------------------------------------------- calls */

/* A name with a colon behind it begins a named argument. */
static bool named_argument(struct parser *p, struct str *out)
{
    space(p);
    for (size_t at = p->at; at < p->text.len; at++) {
        const char c = p->text.ptr[at];
        if (strchr("\"(){}[]<>=!;,@", c))
            return false;
        if (c == ':') {
            *out = parse_raw_name(p, ":");
            return out->ptr && want_char(p, ':', ":");
        }
    }
    return false;
}

struct arguments {
    struct node_list list;
    struct str names[ARGS_MAX];
    bool named;
};

static bool parse_arguments(struct parser *p, struct arguments *args)
{
    p->at++;
    p->nest++;
    if (!take_char(p, ')')) {
        do {
            struct str name = { 0 };
            if (args->list.count == ARGS_MAX)
                return parse_fail(p, "feel.arguments", p->at) != NULL;
            const bool named = named_argument(p, &name);
            if (p->failed)
                return false;
            if (args->list.count && named != args->named)
                return parse_fail(p, "feel.mixed_arguments", p->at) != NULL;
            args->named = named;
            args->names[args->list.count] = name;
            if (!node_list_add(p, &args->list, parse_expression(p)))
                return false;
        } while (take_char(p, ','));
        if (!want_char(p, ')', ")"))
            return false;
    }
    p->nest--;
    return true;
}

/* Puts the arguments of a built-in function in the order of its parameters; absent ones are null. */
static bool order_arguments(struct parser *p, struct node *call, struct arguments *args)
{
    uint8_t order[ARGS_MAX];
    size_t count;
    if (!builtin_named(call->builtin, args->names, args->list.count, order, &count)) {
        call->kind = NODE_UNKNOWN;
        call->name = str_from(call->builtin->name);
        return true;
    }
    struct node **items = parse_alloc(p, count + 1, sizeof(struct node *));
    if (!items)
        return false;
    for (uint32_t i = 0; i < args->list.count; i++)
        items[order[i]] = args->list.items[i];
    for (size_t i = 0; i < count; i++)
        if (!items[i] && !(items[i] = node_new(p, NODE_CONST, call->at)))
            return false;
    call->items = items;
    call->count = (uint32_t)count;
    return true;
}

/* The static type of what a call gives. */
static const struct feel_type *call_type(const struct node *call)
{
    if (call->kind == NODE_BUILTIN && call->builtin && call->builtin->type != FEEL_T_ANY) {
        if (call->builtin->type != FEEL_T_LIST)
            return feel_type_basic((enum feel_type_kind)call->builtin->type);
        /* Lists in, list out: the elements stay what they were. */
        return call->count && call->items[0]->type && call->items[0]->type->kind == FEEL_T_LIST
                   ? call->items[0]->type
                   : NULL;
    }
    if (call->kind == NODE_CALL && call->subject->type && call->subject->type->kind == FEEL_T_FUNCTION)
        return call->subject->type->element;
    return NULL;
}

static struct node *parse_call(struct parser *p, struct node *callee, const struct builtin *builtin)
{
    struct arguments args;
    args.list = (struct node_list) { 0 };
    args.named = false;
    struct node *call = builtin ? callee : node_new(p, NODE_CALL, callee->at);
    if (!call || !parse_arguments(p, &args))
        return NULL;
    if (!builtin) {
        call->subject = callee;
        node_over(call, callee);
    }
    call->builtin = builtin;
    node_list_take(&args.list, call);
    if (args.named && builtin) {
        if (!order_arguments(p, call, &args))
            return NULL;
    } else if (args.named) {
        call->names = parse_alloc(p, args.list.count, sizeof *call->names);
        if (!call->names)
            return NULL;
        memcpy(call->names, args.names, args.list.count * sizeof *call->names);
    }
    if (call->kind != NODE_UNKNOWN)
        call->type = call_type(call);
    return call;
}

/* ---------------------------------------------------------------- filters and paths */

static struct node *parse_filter(struct parser *p, struct node *list)
{
    struct binding *outer = p->bindings;
    p->at++;
    p->nest++;
    const struct feel_type *element = element_type(list->type);
    struct binding *item = bind_local(p, STR("item"), element);
    if (!item || !bind_item(p, item->slot, element))
        return NULL;
    struct node *condition = parse_expression(p);
    p->bindings = outer;
    p->nest--;
    if (!condition || !want_char(p, ']', "]"))
        return NULL;
    struct node *node = parse_two(p, NODE_FILTER, OP_EQ, list, condition, FEEL_T_ANY);
    if (!node)
        return NULL;
    node->slot = item->slot;
    if (condition->type && condition->type->kind == FEEL_T_NUMBER)
        node->type = element;
    else if (list->type)
        node->type = list->type->kind == FEEL_T_LIST ? list->type : feel_type_list(p->arena, list->type);
    return node;
}

/* Within the high end of a range, `[` may open a filter or close the range: a filter must be followed by
 * what closes the range. */
static struct node *filter_or_close(struct parser *p, struct node *node, bool *out_close)
{
    *out_close = false;
    if (p->range_nest != p->nest)
        return parse_filter(p, node);
    const struct parser saved = *p;
    struct err err;
    /* Each try may contain further ones; past the limit `[` closes the range. */
    if (node->kind != NODE_CONST && p->tries++ < TRIES_MAX) {
        p->err = &err;
        struct node *filter = parse_filter(p, node);
        p->err = saved.err;
        if (filter) {
            space(p);
            const char c = look(p);
            if (c == ']' || c == ')' || c == '[' || c == '.' || c == '+' || c == '-' || c == '*' || c == '/')
                return filter;
        }
    }
    const int tries = p->tries;
    *p = saved;
    p->tries = tries;
    *out_close = true;
    return node;
}

static const struct feel_type *property_type(const struct feel_type *type, struct str name)
{
    if (!type)
        return NULL;
    if (type->kind == FEEL_T_RANGE)
        return str_eq(name, STR("start")) || str_eq(name, STR("end")) ? type->element
                                                                      : feel_type_basic(FEEL_T_BOOLEAN);
    if (type->kind >= FEEL_T_DATE && type->kind <= FEEL_T_MONTHS_DURATION &&
        !str_eq(name, STR("time offset")) && !str_eq(name, STR("timezone")))
        return feel_type_basic(FEEL_T_NUMBER);
    return NULL;
}

static struct node *parse_path(struct parser *p, struct node *of)
{
    const struct feel_type *type;
    p->at++;
    const struct str name = parse_field(p, of->type, &type);
    struct node *node = name.ptr ? node_new(p, NODE_PATH, of->at) : NULL;
    if (!node)
        return NULL;
    node->a = of;
    node->name = name;
    node->type = type ? type : property_type(of->type, name);
    node_over(node, of);
    if (node->height > NODE_HEIGHT_MAX)
        return parse_fail(p, "feel.depth", of->at);
    return node;
}

static struct node *parse_instance(struct parser *p, struct node *value)
{
    const size_t start = p->at;
    if (!take_word(p, STR("instance")))
        return value;
    if (!take_word(p, STR("of"))) {
        p->at = start;
        return value;
    }
    struct node *node = node_new(p, NODE_INSTANCE, value->at);
    const struct feel_type *type = node ? parse_type(p) : NULL;
    if (!type)
        return NULL;
    node->value_of = value;
    node->wanted = type;
    node_over(node, value);
    node->type = feel_type_basic(FEEL_T_BOOLEAN);
    return node;
}

static struct node *parse_primary(struct parser *p, const struct builtin **out_builtin)
{
    bool none;
    *out_builtin = NULL;
    space(p);
    const char c = look(p);
    if ((c >= '0' && c <= '9') || (c == '.' && look_on(p, 1) >= '0' && look_on(p, 1) <= '9'))
        return parse_number(p);
    switch (c) {
    case '"':
        return parse_string(p);
    case '@':
        return parse_at_literal(p);
    case '(':
        return parse_parens(p);
    case '[':
        return parse_brackets(p);
    case ']':
        return parse_open_range(p);
    case '{':
        return parse_context(p);
    default:
        break;
    }
    struct node *node = parse_block(p, &none);
    if (!none)
        return node;
    size_t next = p->at;
    if (p->at < p->text.len && name_start(utf8_next(p->text, &next)))
        return parse_name(p, out_builtin);
    return parse_expected(p, "expression");
}

struct node *parse_postfix(struct parser *p)
{
    const struct builtin *builtin;
    struct node *node = parse_primary(p, &builtin);
    if (node && builtin)
        node = parse_call(p, node, builtin);
    while (node) {
        bool close = false;
        space(p);
        const char c = look(p);
        if (c == '.' && look_on(p, 1) != '.') {
            node = parse_path(p, node);
        } else if (c == '[') {
            node = filter_or_close(p, node, &close);
            if (close)
                return node;
        } else if (c == '(') {
            node = parse_call(p, node, NULL);
        } else if (c == 'i') {
            struct node *same = node;
            node = parse_instance(p, node);
            if (node == same)
                return node;
        } else {
            return node;
        }
        if (node && node->height > NODE_HEIGHT_MAX)
            return parse_fail(p, "feel.depth", node->at);
    }
    return NULL;
}
