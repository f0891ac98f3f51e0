/* quick.c - unary tests over numbers in double arithmetic, each value with a bound of its error.
 *
 * A cell like `? > amount / 7 + 120` costs a decimal division each time it is asked.  Doubles tell as well,
 * unless the two sides are closer to each other than their errors: then the answer is FEEL_QUICK_UNSURE and
 * the caller asks the program itself.  Invariant: an answer other than UNSURE is what the program would say.
 * Tests of texts against constants are here for the same reason: no call, no allocation. */
#include "feel/node.h"

#include <math.h>

#define QUICK_NODES_MAX 100
#define EPSILON 0x1p-51 /* twice the rounding of a double: decimals round at 34 digits, far below */
#define EXACT_MAX 0x1p53
#define TINY 1e-290 /* below, doubles lose digits */

enum quick_op {
    QUICK_NUMBER,   /* value, error */
    QUICK_SLOT,     /* an input */
    QUICK_QUESTION, /* the value under test */
    QUICK_ADD,
    QUICK_SUB,
    QUICK_MUL,
    QUICK_DIV,
    QUICK_NEG,
    /* What follows answers a question. */
    QUICK_COMPARE, /* a cmp b */
    QUICK_AND,
    QUICK_OR,
    QUICK_STARTS,
    QUICK_ENDS,
    QUICK_CONTAINS,
};

/* Parts stand before what they are part of; a and b are their places. */
struct quick {
    uint8_t op, cmp, a, b;
    uint16_t slot;
    union {
        struct feel_double number;
        struct str text;
    };
};

struct feel_quick {
    uint32_t count;
    struct quick code[]; /* the last one is the whole */
};

/* ---------------------------------------------------------------- values */

/* Errors that are not known make an answer unsure: NaN goes through every operation. */
static const struct feel_double UNKNOWN = { 0, NAN };

struct feel_double feel_double_of(const struct feel_value *value)
{
    struct feel_double out;
    if (value->kind != FEEL_NUMBER)
        return UNKNOWN;
    if (decimal_is_small(value->number) && decimal_small_scale(value->number) == 0) {
        out.value = (double)decimal_small_coefficient(value->number);
        out.error = fabs(out.value) < EXACT_MAX ? 0 : fabs(out.value) * EPSILON;
        return out;
    }
    out.value = decimal_to_double(value->number);
    out.error = fabs(out.value) * EPSILON;
    return isfinite(out.value) && (fabs(out.value) > TINY || decimal_sign(value->number) == 0) ? out
                                                                                               : UNKNOWN;
}

static struct feel_double operation(const struct quick *code, const struct quick *q,
                                    const struct feel_quick_inputs *in);

static inline struct feel_double number(const struct quick *code, const struct quick *q,
                                        const struct feel_quick_inputs *in)
{
    return q->op == QUICK_NUMBER     ? q->number
           : q->op == QUICK_SLOT     ? in->numbers[q->slot]
           : q->op == QUICK_QUESTION ? in->number
                                     : operation(code, q, in);
}

/* Whole numbers below 2^53 have no error, and neither have their sums and products. */
static struct feel_double rounded(double value, double error)
{
    if (error != 0 || fabs(value) >= EXACT_MAX)
        error += fabs(value) * EPSILON;
    return (struct feel_double) { value, error };
}

static struct feel_double multiply(struct feel_double x, struct feel_double y)
{
    const double value = x.value * y.value;
    if (fabs(value) < TINY && x.value != 0 && y.value != 0)
        return UNKNOWN;
    return rounded(value, fabs(x.value) * y.error + fabs(y.value) * x.error + x.error * y.error);
}

static struct feel_double divide(struct feel_double x, struct feel_double y)
{
    const double value = x.value / y.value, least = fabs(y.value) - y.error;
    if (!(least > TINY) || (fabs(value) < TINY && x.value != 0))
        return UNKNOWN;
    return (struct feel_double) { value, (x.error + fabs(value) * y.error) / least + fabs(value) * EPSILON };
}

static struct feel_double operation(const struct quick *code, const struct quick *q,
                                    const struct feel_quick_inputs *in)
{
    const struct feel_double x = number(code, code + q->a, in);
    if (q->op == QUICK_NEG)
        return (struct feel_double) { -x.value, x.error };
    const struct feel_double y = number(code, code + q->b, in);
    if (q->op == QUICK_ADD)
        return rounded(x.value + y.value, x.error + y.error);
    if (q->op == QUICK_SUB)
        return rounded(x.value - y.value, x.error + y.error);
    return q->op == QUICK_MUL ? multiply(x, y) : divide(x, y);
}

/* ---------------------------------------------------------------- answers */

static enum feel_quick_answer compare(const struct quick *code, const struct quick *q,
                                      const struct feel_quick_inputs *in)
{
    const struct feel_double x = number(code, code + q->a, in), y = number(code, code + q->b, in);
    const double distance = x.value - y.value, error = x.error + y.error;
    if (!(fabs(distance) > error * 2 || error == 0))
        return FEEL_QUICK_UNSURE;
    bool holds = false;
    switch ((enum op)q->cmp) {
    case OP_LT:
        holds = distance < 0;
        break;
    case OP_LE:
        holds = distance <= 0;
        break;
    case OP_GT:
        holds = distance > 0;
        break;
    case OP_GE:
        holds = distance >= 0;
        break;
    case OP_EQ:
        holds = distance == 0;
        break;
    case OP_NE:
        holds = distance != 0;
        break;
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_POW:
        return FEEL_QUICK_UNSURE;
    }
    return holds ? FEEL_QUICK_TRUE : FEEL_QUICK_NOT;
}

static enum feel_quick_answer answer(const struct quick *code, const struct quick *q,
                                     const struct feel_quick_inputs *in)
{
    enum feel_quick_answer a, b;
    switch (q->op) {
    case QUICK_COMPARE:
        return compare(code, q, in);
    case QUICK_AND:
        a = answer(code, code + q->a, in);
        if (a == FEEL_QUICK_NOT)
            return a;
        b = answer(code, code + q->b, in);
        return b == FEEL_QUICK_NOT || a == FEEL_QUICK_TRUE ? b : a;
    case QUICK_OR:
        a = answer(code, code + q->a, in);
        if (a == FEEL_QUICK_TRUE)
            return a;
        b = answer(code, code + q->b, in);
        return b == FEEL_QUICK_TRUE || a == FEEL_QUICK_NOT ? b : a;
    case QUICK_STARTS:
    case QUICK_ENDS:
    case QUICK_CONTAINS:
        break;
    default:
        return FEEL_QUICK_UNSURE;
    }
    if (in->question->kind != FEEL_STRING)
        return FEEL_QUICK_UNSURE;
    const struct str text = in->question->string;
    const bool holds = q->op == QUICK_STARTS ? str_starts(text, q->text)
                       : q->op == QUICK_ENDS ? str_ends(text, q->text)
                                             : q->text.len == 0 || str_find(text, q->text) >= 0;
    return holds ? FEEL_QUICK_TRUE : FEEL_QUICK_NOT;
}

enum feel_quick_answer feel_quick_test(const struct feel_quick *quick, const struct feel_quick_inputs *in)
{
    return answer(quick->code, quick->code + quick->count - 1, in);
}

/* ---------------------------------------------------------------- making */

#define NONE (-1) /* not of this form, or too long */

struct making {
    int question_slot, count;
    struct quick code[QUICK_NODES_MAX];
};

static int keep(struct making *m, struct quick from)
{
    if (m->count == QUICK_NODES_MAX)
        return NONE;
    m->code[m->count] = from;
    return m->count++;
}

static int keep_pair(struct making *m, struct quick from, int a, int b)
{
    if (a < 0 || b < 0)
        return NONE;
    from.a = (uint8_t)a;
    from.b = (uint8_t)b;
    return keep(m, from);
}

static int make_number(struct making *m, const struct node *node)
{
    static const uint8_t OPS[] = {
        [OP_ADD] = QUICK_ADD, [OP_SUB] = QUICK_SUB, [OP_MUL] = QUICK_MUL, [OP_DIV] = QUICK_DIV
    };
    struct quick q = { .op = QUICK_NUMBER };
    if (!node || m->count == QUICK_NODES_MAX)
        return NONE;
    if (node->kind == NODE_CONST) {
        q.number = feel_double_of(&node->value);
        return isnan(q.number.error) ? NONE : keep(m, q);
    }
    if (node->kind == NODE_INPUT) {
        q.op = (int)node->slot == m->question_slot ? QUICK_QUESTION : QUICK_SLOT;
        q.slot = node->slot;
        return keep(m, q);
    }
    if (node->kind == NODE_NEG) {
        q.op = QUICK_NEG;
        const int of = make_number(m, node->a); /* as deep as the parser lets it be */
        return keep_pair(m, q, of, of);
    }
    if (node->kind != NODE_ARITH || node->op == OP_POW)
        return NONE;
    q.op = OPS[node->op];
    const int a = make_number(m, node->a), b = a < 0 ? NONE : make_number(m, node->b);
    if (b >= 0 && q.op == QUICK_DIV && m->code[b].op == QUICK_NUMBER) { /* a product is faster */
        m->code[b].number = divide((struct feel_double) { 1, 0 }, m->code[b].number);
        q.op = QUICK_MUL;
        if (isnan(m->code[b].number.error))
            return NONE;
    }
    return keep_pair(m, q, a, b);
}

static int make_compare(struct making *m, int cmp, int a, int b)
{
    return keep_pair(m, (struct quick) { .op = QUICK_COMPARE, .cmp = (uint8_t)cmp }, a, b);
}

static bool is_question(const struct making *m, const struct node *node)
{
    return node->kind == NODE_INPUT && (int)node->slot == m->question_slot;
}

/* `starts with(?, "a")` and its like. */
static int make_text(struct making *m, const struct node *node)
{
    static const struct {
        const char *name;
        uint8_t op;
    } FUNCTIONS[] = { { "starts with", QUICK_STARTS },
                      { "ends with", QUICK_ENDS },
                      { "contains", QUICK_CONTAINS } };
    if (node->count != 2 || !is_question(m, node->items[0]) || node->items[1]->kind != NODE_CONST ||
        node->items[1]->value.kind != FEEL_STRING)
        return NONE;
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++)
        if (strcmp(node->builtin->name, FUNCTIONS[i].name) == 0)
            return keep(m, (struct quick) { .op = FUNCTIONS[i].op, .text = node->items[1]->value.string });
    return NONE;
}

/* An expression that gives a boolean. */
static int make_boolean(struct making *m, const struct node *node)
{
    int a, b;
    switch (node->kind) {
    case NODE_COMPARE:
        a = make_number(m, node->a);
        b = a < 0 ? NONE : make_number(m, node->b);
        return make_compare(m, node->op, a, b);
    case NODE_BETWEEN:
        a = make_compare(m, OP_GE, make_number(m, node->a), make_number(m, node->b));
        b = a < 0 ? NONE : make_compare(m, OP_LE, make_number(m, node->a), make_number(m, node->c));
        return keep_pair(m, (struct quick) { .op = QUICK_AND }, a, b);
    case NODE_AND:
    case NODE_OR:
        a = make_boolean(m, node->a);
        b = a < 0 ? NONE : make_boolean(m, node->b);
        return keep_pair(m, (struct quick) { .op = node->kind == NODE_AND ? QUICK_AND : QUICK_OR }, a, b);
    case NODE_BUILTIN:
        return make_text(m, node);
    default:
        return NONE;
    }
}

static int make_range(struct making *m, const struct node *node)
{
    const int question = keep(m, (struct quick) { .op = QUICK_QUESTION });
    const int low = node->a ? make_number(m, node->a) : NONE;
    const int high = node->b ? make_number(m, node->b) : NONE;
    if ((node->a && low < 0) || (node->b && high < 0))
        return NONE;
    const int from =
        node->a ? make_compare(m, node->flags & NODE_LOW_CLOSED ? OP_GE : OP_GT, question, low) : NONE;
    const int to =
        node->b ? make_compare(m, node->flags & NODE_HIGH_CLOSED ? OP_LE : OP_LT, question, high) : NONE;
    if (node->a && node->b)
        return keep_pair(m, (struct quick) { .op = QUICK_AND }, from, to);
    return node->a ? from : to;
}

static int make_test(struct making *m, const struct node *node)
{
    if (node->kind == NODE_RANGE && !(node->flags & NODE_QUESTION))
        return make_range(m, node);
    if (node->flags & NODE_QUESTION)
        return make_boolean(m, node);
    if (node->kind != NODE_ARITH && node->kind != NODE_NEG)
        return NONE;
    const int amount = make_number(m, node); /* that it must equal */
    return make_compare(m, OP_EQ, keep(m, (struct quick) { .op = QUICK_QUESTION }), amount);
}

const struct feel_quick *feel_quick_new(const struct feel_program *program, struct arena *arena)
{
    const struct node *root = program->root;
    struct making m = { .question_slot = program->tree->question_slot };
    int all = NONE;
    if (root->kind != NODE_TESTS || root->flags & (NODE_NEGATED | NODE_ANY) || m.question_slot < 0)
        return NULL;
    for (uint32_t i = 0; i < root->count; i++) {
        const int one = make_test(&m, root->items[i]);
        all = i == 0 ? one : keep_pair(&m, (struct quick) { .op = QUICK_OR }, all, one);
        if (all < 0)
            return NULL;
    }
    struct feel_quick *quick =
        all < 0 ? NULL : arena_alloc(arena, 1, sizeof *quick + (size_t)m.count * sizeof *m.code);
    if (!quick)
        return NULL;
    quick->count = (uint32_t)m.count;
    memcpy(quick->code, m.code, (size_t)m.count * sizeof *m.code);
    return quick;
}
