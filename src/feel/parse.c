/* parse.c - text to typed tree, by precedence:
 *
 *     1 or   2 and   3 = != < <= > >= between in   4 + -   5 * /   6 **   7 unary -   8 instance of
 *     9 .name  [filter]  (call)
 *
 * `for`, `if`, `some`, `every` and `function` reach as far as they can. */
#include "feel/parse_more.h"

#define OR 1
#define AND 2
#define COMPARE 3
#define ADD 4
#define MULTIPLY 5
#define POWER 6

static struct node *parse_binary(struct parser *p, int least);

/* ---------------------------------------------------------------- helpers */

void *parse_alloc(struct parser *p, size_t count, size_t size)
{
    void *block = arena_alloc(p->arena, count, size);
    if (!block && !p->failed) {
        p->failed = true;
        (void)err_nomem(p->err);
    }
    return block;
}

struct node *node_new(struct parser *p, enum node_kind kind, size_t at)
{
    struct node *node = parse_alloc(p, 1, sizeof *node);
    if (node) {
        node->kind = (uint8_t)kind;
        node->at = (uint32_t)at;
        node->height = 1;
    }
    return node;
}

void node_over(struct node *node, const struct node *part)
{
    if (part && part->height >= node->height)
        node->height = (uint16_t)(part->height + 1);
    if (part)
        node->flags |= part->flags & NODE_QUESTION;
}

void feel_position(struct str text, size_t at, int *out_line, int *out_column)
{
    int line = 1, column = 1;
    for (size_t i = 0; i < at && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    *out_line = line;
    *out_column = column;
}

/* The word or character at `at`, for messages. */
static struct str found_at(struct str text, size_t at)
{
    size_t end = at;
    while (end < text.len && end - at < 40) {
        size_t next = end;
        const int32_t c = utf8_next(text, &next);
        if (c < 0 || (!name_part(c) && end > at))
            break;
        end = next;
        if (!name_part(c))
            break;
    }
    return str_slice(text, at, end);
}

static void *fail_with(struct parser *p, enum err_code code, const char *id, size_t at, const char *what)
{
    if (p->failed)
        return NULL;
    int line, column;
    p->failed = true;
    feel_position(p->text, at, &line, &column);
    const struct str found = found_at(p->text, at);
    if (what && at >= p->text.len)
        (void)err_set(p->err, code, "feel.expected_at_end", ARG_TEXT("what", what), ARG_END);
    else if (what)
        (void)err_set(p->err, code, id, ARG_TEXT("what", what), ARG_STR("found", found), ARG_END);
    else
        (void)err_set(p->err, code, id, ARG_STR("found", found), ARG_END);
    (void)err_at(p->err, line, column);
    return NULL;
}

void *parse_fail(struct parser *p, const char *id, size_t at)
{
    const bool limit = strcmp(id, "feel.depth") == 0;
    return fail_with(p, limit ? ERR_LIMIT : ERR_INVALID, id, at, NULL);
}

void *parse_expected(struct parser *p, const char *what)
{
    space(p);
    return fail_with(p, ERR_INVALID, "feel.expected", p->at, what);
}

bool take_char(struct parser *p, char c)
{
    space(p);
    if (look(p) != c || p->at >= p->text.len)
        return false;
    p->at++;
    return true;
}

bool want_char(struct parser *p, char c, const char *what)
{
    if (take_char(p, c))
        return true;
    (void)parse_expected(p, what);
    return false;
}

bool at_word(const struct parser *p, struct str word)
{
    if (p->text.len - p->at < word.len || memcmp(p->text.ptr + p->at, word.ptr, word.len) != 0)
        return false;
    size_t next = p->at + word.len;
    if (next >= p->text.len)
        return true;
    const unsigned char c = (unsigned char)p->text.ptr[next];
    return !name_part(c < 0x80 ? c : utf8_next(p->text, &next));
}

bool take_word(struct parser *p, struct str word)
{
    space(p);
    if (!at_word(p, word))
        return false;
    p->at += word.len;
    return true;
}

/* ---------------------------------------------------------------- expressions */

struct node *parse_expression(struct parser *p)
{
    return parse_binary(p, OR);
}

struct node *parse_arithmetic(struct parser *p)
{
    return parse_binary(p, ADD);
}

struct node *parse_two(struct parser *p, enum node_kind kind, enum op op, struct node *a, struct node *b,
                       enum feel_type_kind type)
{
    if (!a || !b)
        return NULL;
    struct node *node = node_new(p, kind, a->at);
    if (!node)
        return NULL;
    node->op = (uint8_t)op;
    node->a = a;
    node->b = b;
    node_over(node, a);
    node_over(node, b);
    node->type = type == FEEL_T_ANY ? NULL : feel_type_basic(type);
    if (node->height > NODE_HEIGHT_MAX)
        return parse_fail(p, "feel.depth", a->at);
    return node;
}

static enum feel_type_kind arith_type(enum op op, const struct node *a, const struct node *b)
{
    if (!a || !b || !a->type || !b->type)
        return FEEL_T_ANY;
    if (a->type->kind == FEEL_T_NUMBER && b->type->kind == FEEL_T_NUMBER)
        return FEEL_T_NUMBER;
    return op == OP_ADD && a->type->kind == FEEL_T_STRING && b->type->kind == FEEL_T_STRING ? FEEL_T_STRING
                                                                                            : FEEL_T_ANY;
}

/* The binary operator at p->at: its precedence and length, 0 when there is none. */
static int operator_at(const struct parser *p, enum op *out_op, size_t *out_len)
{
    const char c = look(p), d = look_on(p, 1);
    *out_len = 1;
    switch (c) {
    case '+':
        *out_op = OP_ADD;
        return ADD;
    case '-':
        *out_op = OP_SUB;
        return ADD;
    case '*':
        *out_op = d == '*' ? OP_POW : OP_MUL;
        *out_len = d == '*' ? 2 : 1;
        return d == '*' ? POWER : MULTIPLY;
    case '/':
        *out_op = OP_DIV;
        return MULTIPLY;
    case '=':
        *out_op = OP_EQ;
        return COMPARE;
    case '!':
        *out_op = OP_NE;
        *out_len = 2;
        return d == '=' ? COMPARE : 0;
    case '<':
    case '>':
        *out_len = d == '=' ? 2 : 1;
        *out_op = c == '<' ? (d == '=' ? OP_LE : OP_LT) : (d == '=' ? OP_GE : OP_GT);
        return COMPARE;
    default:
        return 0;
    }
}

static struct node *parse_between(struct parser *p, struct node *a)
{
    struct node *low = parse_arithmetic(p);
    if (!low)
        return NULL;
    if (!take_word(p, STR("and")))
        return parse_expected(p, "and");
    struct node *high = parse_arithmetic(p);
    struct node *node = parse_two(p, NODE_BETWEEN, OP_EQ, a, low, FEEL_T_BOOLEAN);
    if (!node || !high)
        return NULL;
    node->c = high;
    node_over(node, high);
    return node;
}

static struct node *parse_word_operator(struct parser *p, struct node *left, int least, bool *out_found)
{
    *out_found = true;
    if (least <= OR && take_word(p, STR("or")))
        return parse_two(p, NODE_OR, OP_EQ, left, parse_binary(p, AND), FEEL_T_BOOLEAN);
    if (least <= AND && take_word(p, STR("and")))
        return parse_two(p, NODE_AND, OP_EQ, left, parse_binary(p, COMPARE), FEEL_T_BOOLEAN);
    if (least <= COMPARE && take_word(p, STR("between")))
        return parse_between(p, left);
    if (least <= COMPARE && take_word(p, STR("in")))
        return parse_in(p, left);
    *out_found = false;
    return left;
}

static struct node *parse_binary(struct parser *p, int least)
{
    if (++p->depth > PARSE_DEPTH_MAX)
        return parse_fail(p, "feel.depth", p->at);
    struct node *left = parse_unary(p);
    while (left) {
        enum op op;
        size_t len;
        space(p);
        const char c = look(p);
        if (c >= 'a' && c <= 'z') {
            bool found;
            left = parse_word_operator(p, left, least, &found);
            if (!found)
                break;
            continue;
        }
        const int precedence = operator_at(p, &op, &len);
        if (!precedence || precedence < least)
            break;
        p->at += len;
        struct node *right = parse_binary(p, precedence + 1);
        left = precedence == COMPARE ? parse_two(p, NODE_COMPARE, op, left, right, FEEL_T_BOOLEAN)
                                     : parse_two(p, NODE_ARITH, op, left, right, arith_type(op, left, right));
    }
    p->depth--;
    return left;
}

struct node *parse_unary(struct parser *p)
{
    space(p);
    if (look(p) != '-')
        return parse_postfix(p);
    const size_t at = p->at++;
    if (++p->depth > PARSE_DEPTH_MAX)
        return parse_fail(p, "feel.depth", at);
    struct node *a = parse_unary(p);
    p->depth--;
    struct node *node = a ? node_new(p, NODE_NEG, at) : NULL;
    if (!node)
        return NULL;
    node->a = a;
    node->type = a->type && a->type->kind < FEEL_T_LIST ? a->type : NULL;
    node_over(node, a);
    return node;
}

/* ---------------------------------------------------------------- the whole text */

static struct node *parse_all_tests(struct parser *p)
{
    struct node *tests = node_new(p, NODE_TESTS, p->at);
    struct node_list list = { 0 };
    space(p);
    if (!tests)
        return NULL;
    if (look(p) == '-' && skip_space(p->text, p->at + 1) == p->text.len) {
        p->at++;
        tests->flags |= NODE_ANY;
    } else {
        const size_t start = p->at;
        const bool negated = take_word(p, STR("not")) && take_char(p, '(');
        if (!negated)
            p->at = start;
        do {
            if (!node_list_add(p, &list, parse_test(p)))
                return NULL;
        } while (take_char(p, ','));
        if (negated) {
            if (!want_char(p, ')', ")"))
                return NULL;
            space(p);
            if (p->at < p->text.len) { /* not(...) was the beginning of an expression */
                p->at = start;
                list = (struct node_list) { 0 };
                do {
                    if (!node_list_add(p, &list, parse_test(p)))
                        return NULL;
                } while (take_char(p, ','));
            } else {
                tests->flags |= NODE_NEGATED;
            }
        }
    }
    node_list_take(&list, tests);
    tests->type = feel_type_basic(FEEL_T_BOOLEAN);
    return tests;
}

static struct node *parse_text(struct parser *p, enum feel_mode mode)
{
    struct node *root = mode == FEEL_UNARY_TESTS ? parse_all_tests(p) : parse_expression(p);
    if (!root)
        return NULL;
    space(p);
    if (p->at < p->text.len)
        return parse_fail(p, "feel.rest", p->at);
    return root;
}

enum err_code feel_parse(struct arena *arena, const struct feel_scope *scope, struct str text,
                         enum feel_mode mode, unsigned flags, const struct feel_tree **out, struct err *err)
{
    if (text.len > FEEL_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "feel.too_long", ARG_INT("max", FEEL_TEXT_MAX), ARG_END);
    if (!utf8_valid(text))
        return err_set(err, ERR_INVALID, "feel.utf8", ARG_END);
    struct err local = { 0 };
    struct body body = { 0 };
    struct feel_tree *tree = arena_alloc(arena, 1, sizeof *tree);
    const size_t inputs = scope ? scope->count : 0;
    struct parser p = { .arena = arena,
                        .scope = scope,
                        .text = arena_str(arena, text),
                        .flags = flags,
                        .range_nest = -1,
                        .body = &body,
                        .uses = arena_alloc(arena, inputs + 1, sizeof *p.uses),
                        .err = err ? err : &local };
    if (!tree || !p.text.ptr || !p.uses)
        return err_nomem(err);
    tree->question_slot = -1;
    for (size_t i = 0; i < inputs; i++)
        if (str_eq(scope->names[i].name, STR("?")))
            tree->question_slot = (int)i;
    tree->root = parse_text(&p, mode);
    if (!tree->root)
        return p.err->code;
    tree->text = p.text;
    tree->mode = mode;
    tree->inputs_count = (uint32_t)inputs;
    tree->locals_count = body.locals;
    tree->uses = p.uses;
    *out = tree;
    return ERR_OK;
}
