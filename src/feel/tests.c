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

bool feel_program_tests(const struct feel_program *program, struct arena *arena, struct feel_tests *out)
{
    const struct node *root = program->root;
    if (root->kind != NODE_TESTS)
        return false;
    struct feel_test *items = arena_alloc(arena, root->count, sizeof *items);
    if (!items)
        return false;
    for (uint32_t i = 0; i < root->count; i++)
        if (!simple(root->items[i], &items[i]))
            return false;
    *out = (struct feel_tests) { .any = (root->flags & NODE_ANY) != 0,
                                 .negated = (root->flags & NODE_NEGATED) != 0,
                                 .items = items,
                                 .count = root->count };
    return true;
}
