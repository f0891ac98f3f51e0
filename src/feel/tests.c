/* tests.c - unary tests and `in`. */
#include "feel/eval.h"

/* Whether `subject` passes one test.  In a cell (`free`) an expression that gives a boolean about something
 * else than a boolean is the answer itself; the constants true and false are always compared. */
static enum feel_truth pass(const struct node *test, struct frame *frame, const struct feel_value *subject,
                            bool free)
{
    struct feel_value room;
    if (test->kind == NODE_TEST_NOT_EQUAL) {
        const enum feel_truth truth = value_equal(frame->ev, subject, operand(test->a, frame, &room));
        return truth == FEEL_UNKNOWN ? FEEL_UNKNOWN : truth == FEEL_TRUE ? FEEL_FALSE : FEEL_TRUE;
    }
    const struct feel_value *value = operand(test, frame, &room);
    if (test->flags & NODE_TEST_OP && value->kind == FEEL_RANGE && !value->range->low_none &&
        !value->range->high_none)
        return value_equal(frame->ev, subject, &value->range->low); /* `= x` */
    if (test->flags & NODE_QUESTION && test->kind != NODE_RANGE) {
        if (value->kind == FEEL_BOOLEAN)
            return value->boolean ? FEEL_TRUE : FEEL_FALSE;
        if (value->kind == FEEL_NULL)
            return FEEL_UNKNOWN;
    }
    const bool literal = test->kind == NODE_CONST && !(test->flags & NODE_FOLDED);
    if (free && !literal && value->kind == FEEL_BOOLEAN && subject->kind != FEEL_BOOLEAN)
        return value->boolean ? FEEL_TRUE : FEEL_FALSE;
    return value_in(frame->ev, subject, value);
}

void eval_in(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_value subject;
    enum feel_truth result = FEEL_FALSE;
    node_eval(node->subject, frame, &subject);
    frame->locals[node->slot] = subject;
    for (uint32_t i = 0; i < node->count && result != FEEL_TRUE; i++) {
        const enum feel_truth one = pass(node->items[i], frame, &subject, false);
        if (one != FEEL_FALSE)
            result = one;
    }
    if (result == FEEL_UNKNOWN)
        ev_warn(frame->ev, "feel.operands", "in", node);
    *out = from_truth(result);
}

void eval_tests(const struct node *node, struct frame *frame, struct feel_value *out)
{
    const int slot = frame->ev->program ? frame->ev->program->tree->question_slot : -1;
    const struct feel_value null = feel_null();
    const struct feel_value *subject = slot < 0 ? &null : &frame->inputs[slot];
    enum feel_truth result = node->flags & NODE_ANY ? FEEL_TRUE : FEEL_FALSE;
    for (uint32_t i = 0; i < node->count && result != FEEL_TRUE; i++) {
        const enum feel_truth one = pass(node->items[i], frame, subject, true);
        if (one != FEEL_FALSE)
            result = one;
    }
    if (node->flags & NODE_NEGATED && result != FEEL_UNKNOWN)
        result = result == FEEL_TRUE ? FEEL_FALSE : FEEL_TRUE;
    *out = from_truth(result);
}

/* ---------------------------------------------------------------- for those who index cells */

static bool scalar(const struct feel_value *value)
{
    return value->kind < FEEL_LIST;
}

static bool simple(const struct node *node, struct feel_test *out)
{
    if (node->kind != NODE_CONST)
        return false;
    if (node->value.kind == FEEL_RANGE) {
        const struct feel_range *range = node->value.range;
        if (!scalar(&range->low) || !scalar(&range->high) ||
            (range->low.kind == FEEL_NULL && !range->low_none) ||
            (range->high.kind == FEEL_NULL && !range->high_none))
            return false;
        if (node->flags & NODE_TEST_OP && !range->low_none && !range->high_none) /* `= x` */
            *out = (struct feel_test) { .kind = FEEL_TEST_EQUAL, .value = range->low };
        else
            *out = (struct feel_test) { .kind = FEEL_TEST_RANGE, .range = range };
        return true;
    }
    *out = (struct feel_test) { .kind = FEEL_TEST_EQUAL, .value = node->value };
    return scalar(&node->value);
}

/* ---- expressions about `?` that are such tests all the same */

#define STATIC_DEPTH_MAX 30
#define STATIC_TESTS_MAX 64

struct test_list {
    struct arena *arena;
    const struct feel_tree *tree;
    struct feel_test items[STATIC_TESTS_MAX];
    size_t count;
};

static bool about(struct test_list *list, const struct node *node, int depth);

static bool add_test(struct test_list *list, const struct feel_test *test)
{
    if (list->count == STATIC_TESTS_MAX)
        return false;
    list->items[list->count++] = *test;
    return true;
}

static bool add_range(struct test_list *list, struct feel_range range)
{
    struct feel_range *copy = arena_alloc(list->arena, 1, sizeof *copy);
    if (!copy)
        return false;
    *copy = range;
    return add_test(list, &(struct feel_test) { .kind = FEEL_TEST_RANGE, .range = copy });
}

static bool is_question(const struct test_list *list, const struct node *node)
{
    return node->kind == NODE_INPUT && (int)node->slot == list->tree->question_slot;
}

/* Kinds in which every two values have an order. */
static bool ordered(const struct feel_value *value)
{
    return value->kind == FEEL_NUMBER || value->kind == FEEL_STRING || value->kind == FEEL_DATE ||
           value->kind == FEEL_DAYS_DURATION || value->kind == FEEL_MONTHS_DURATION;
}

static bool add_above(struct test_list *list, const struct feel_value *value, bool closed)
{
    return add_range(list, (struct feel_range) { .low = *value, .low_closed = closed, .high_none = true });
}

static bool add_below(struct test_list *list, const struct feel_value *value, bool closed)
{
    return add_range(list, (struct feel_range) { .high = *value, .high_closed = closed, .low_none = true });
}

/* `? op constant`, or the other way round. */
static bool about_compare(struct test_list *list, const struct node *node)
{
    static const enum op TURNED[] = {
        [OP_EQ] = OP_EQ, [OP_NE] = OP_NE, [OP_LT] = OP_GT, [OP_LE] = OP_GE, [OP_GT] = OP_LT, [OP_GE] = OP_LE
    };
    const bool turned = is_question(list, node->b);
    const struct node *other = turned ? node->a : node->b;
    if (!(turned || is_question(list, node->a)) || other->kind != NODE_CONST || !scalar(&other->value))
        return false;
    const struct feel_value *value = &other->value;
    switch (turned ? TURNED[node->op] : (enum op)node->op) {
    case OP_EQ:
        return add_test(list, &(struct feel_test) { .kind = FEEL_TEST_EQUAL, .value = *value });
    case OP_NE:
        return ordered(value) && add_below(list, value, false) && add_above(list, value, false);
    case OP_LT:
    case OP_LE:
        return value->kind > FEEL_BOOLEAN && add_below(list, value, node->op == OP_LE || node->op == OP_GE);
    case OP_GT:
    case OP_GE:
        return value->kind > FEEL_BOOLEAN && add_above(list, value, node->op == OP_LE || node->op == OP_GE);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_POW:
        break;
    }
    return false;
}

static struct feel_range range_of(const struct feel_test *test)
{
    if (test->kind == FEEL_TEST_RANGE)
        return *test->range;
    return (struct feel_range) {
        .low = test->value, .high = test->value, .low_closed = true, .high_closed = true
    };
}

/* What both say: one range; false when their ends have no order. */
static bool both(struct test_list *list, const struct feel_test *a, const struct feel_test *b)
{
    struct feel_range x = range_of(a);
    const struct feel_range y = range_of(b);
    int order;
    if (!y.low_none && x.low_none) {
        x.low = y.low;
        x.low_closed = y.low_closed;
        x.low_none = false;
    } else if (!y.low_none) {
        if (!feel_compare(&y.low, &x.low, &order))
            return false;
        x.low_closed = order == 0 ? x.low_closed && y.low_closed : order > 0 ? y.low_closed : x.low_closed;
        x.low = order > 0 ? y.low : x.low;
    }
    if (!y.high_none && x.high_none) {
        x.high = y.high;
        x.high_closed = y.high_closed;
        x.high_none = false;
    } else if (!y.high_none) {
        if (!feel_compare(&y.high, &x.high, &order))
            return false;
        x.high_closed = order == 0  ? x.high_closed && y.high_closed
                        : order < 0 ? y.high_closed
                                    : x.high_closed;
        x.high = order < 0 ? y.high : x.high;
    }
    return add_range(list, x);
}

static bool about_and(struct test_list *list, const struct node *node, int depth)
{
    const size_t start = list->count;
    if (!about(list, node->a, depth + 1) || list->count != start + 1 || !about(list, node->b, depth + 1) ||
        list->count != start + 2)
        return false;
    const struct feel_test a = list->items[start], b = list->items[start + 1];
    const struct feel_range x = range_of(&a), y = range_of(&b);
    list->count = start;
    return ordered(x.low_none ? &x.high : &x.low) && ordered(y.low_none ? &y.high : &y.low) &&
           both(list, &a, &b);
}

/* Texts that start with `prefix` stand from it up to the text whose last code point is one further. */
static bool about_prefix(struct test_list *list, struct str prefix)
{
    size_t last = prefix.len;
    while (last > 0 && ((unsigned char)prefix.ptr[last - 1] & 0xc0) == 0x80)
        last--;
    if (last == 0)
        return false;
    size_t next = --last;
    int32_t code = utf8_next(prefix, &next) + 1;
    code = code == 0xd800 ? 0xe000 : code;
    char *end = arena_alloc(list->arena, last + 5, 1);
    if (!end || code <= 0 || code > 0x10ffff)
        return false;
    memcpy(end, prefix.ptr, last);
    const struct str high = { end, last + utf8_put(end + last, code) };
    return add_range(list, (struct feel_range) {
                               .low = feel_string(prefix), .low_closed = true, .high = feel_string(high) });
}

/* True when `node` holds for `?` exactly when one of the tests that it added does. */
static bool about(struct test_list *list, const struct node *node, int depth)
{
    struct feel_test test;
    if (depth > STATIC_DEPTH_MAX)
        return false;
    switch (node->kind) {
    case NODE_COMPARE:
        return about_compare(list, node);
    case NODE_BETWEEN:
        return is_question(list, node->a) && node->b->kind == NODE_CONST && node->c->kind == NODE_CONST &&
               ordered(&node->b->value) && node->b->value.kind == node->c->value.kind &&
               add_range(list, (struct feel_range) { .low = node->b->value,
                                                     .low_closed = true,
                                                     .high = node->c->value,
                                                     .high_closed = true });
    case NODE_IN:
        if (!is_question(list, node->subject))
            return false;
        for (uint32_t i = 0; i < node->count; i++)
            if (!simple(node->items[i], &test) || !add_test(list, &test))
                return false;
        return true;
    case NODE_OR:
        return about(list, node->a, depth + 1) && about(list, node->b, depth + 1);
    case NODE_AND:
        return about_and(list, node, depth);
    case NODE_BUILTIN:
        return node->count == 2 && strcmp(node->builtin->name, "starts with") == 0 &&
               is_question(list, node->items[0]) && node->items[1]->kind == NODE_CONST &&
               node->items[1]->value.kind == FEEL_STRING && about_prefix(list, node->items[1]->value.string);
    default:
        return false;
    }
}

bool feel_program_tests(const struct feel_program *program, struct arena *arena, struct feel_tests *out)
{
    const struct node *root = program->root;
    struct test_list list;
    if (root->kind != NODE_TESTS)
        return false;
    const bool negated = (root->flags & NODE_NEGATED) != 0;
    list.arena = arena;
    list.tree = program->tree;
    list.count = 0;
    struct feel_test *items = arena_alloc(arena, root->count + (size_t)STATIC_TESTS_MAX, sizeof *items);
    size_t count = 0;
    if (!items)
        return false;
    for (uint32_t i = 0; i < root->count; i++) {
        if (simple(root->items[i], &items[count])) {
            count++;
            continue;
        }
        /* A negation would turn what is unknown into what is false. */
        if (negated || list.tree->question_slot < 0 || !about(&list, root->items[i], 0))
            return false;
    }
    for (size_t i = 0; i < list.count; i++)
        items[count++] = list.items[i];
    *out = (struct feel_tests) {
        .any = (root->flags & NODE_ANY) != 0, .negated = negated, .items = items, .count = count
    };
    return true;
}
