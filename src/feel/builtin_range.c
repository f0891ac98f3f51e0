/* builtin_range.c - range(), and how points and ranges lie to each other (DMN 1.5, table 78). */
#include "feel/builtin.h"

/* One end of a range, or a point; `infinite` where the end is absent. */
struct end {
    const struct feel_value *value;
    int infinite; /* -1 before everything, 1 after everything */
    bool closed;
};

struct span {
    struct end low, high;
    bool point;
};

static struct span span_of(const struct feel_value *v)
{
    if (v->kind != FEEL_RANGE)
        return (struct span) { { v, 0, true }, { v, 0, true }, true };
    const struct feel_range *r = v->range;
    return (struct span) { { &r->low, r->low_none ? -1 : 0, r->low_closed },
                           { &r->high, r->high_none ? 1 : 0, r->high_closed },
                           false };
}

/* Two spans whose ends all have an order among each other. */
struct pair {
    struct span a, b;
};

static bool comparable(const struct end *x, const struct end *y)
{
    int order;
    return x->infinite || y->infinite || feel_compare(x->value, y->value, &order);
}

static bool pair_of(const struct feel_value *args, struct pair *out)
{
    *out = (struct pair) { span_of(&args[0]), span_of(&args[1]) };
    return comparable(&out->a.low, &out->b.low) && comparable(&out->a.low, &out->b.high) &&
           comparable(&out->a.high, &out->b.low) && comparable(&out->a.high, &out->b.high);
}

static int cmp(const struct end *x, const struct end *y)
{
    int order = 0;
    if (x->infinite || y->infinite)
        return (x->infinite > y->infinite) - (x->infinite < y->infinite);
    (void)feel_compare(x->value, y->value, &order);
    return order;
}

static bool eq(const struct end *x, const struct end *y)
{
    return cmp(x, y) == 0 && !x->infinite && !y->infinite;
}

/* ---------------------------------------------------------------- relations */

static bool before(const struct span *a, const struct span *b)
{
    const int order = cmp(&a->high, &b->low);
    return order < 0 || (order == 0 && (!a->high.closed || !b->low.closed));
}

static bool meets(const struct span *a, const struct span *b)
{
    return a->high.closed && b->low.closed && eq(&a->high, &b->low);
}

/* x ends where y begins, or behind it. */
static bool reaches(const struct end *x, const struct end *y)
{
    const int order = cmp(x, y);
    return order > 0 || (order == 0 && x->closed && y->closed);
}

static bool overlaps(const struct span *a, const struct span *b)
{
    return reaches(&a->high, &b->low) && reaches(&b->high, &a->low);
}

static bool overlaps_before(const struct span *a, const struct span *b)
{
    const int start = cmp(&a->low, &b->low), end = cmp(&a->high, &b->high);
    return (start < 0 || (start == 0 && a->low.closed && !b->low.closed)) && reaches(&a->high, &b->low) &&
           (end < 0 || (end == 0 && (!a->high.closed || b->high.closed)));
}

/* a begins within b's begin, and so at the other end. */
static bool low_within(const struct span *a, const struct span *b)
{
    const int order = cmp(&a->low, &b->low);
    return order > 0 || (order == 0 && (!a->low.closed || b->low.closed));
}

static bool high_within(const struct span *a, const struct span *b)
{
    const int order = cmp(&a->high, &b->high);
    return order < 0 || (order == 0 && (!a->high.closed || b->high.closed));
}

static bool finishes(const struct span *a, const struct span *b)
{
    if (a->point)
        return b->high.closed && eq(&b->high, &a->high);
    return a->high.closed == b->high.closed && eq(&a->high, &b->high) && low_within(a, b);
}

static bool starts(const struct span *a, const struct span *b)
{
    if (a->point)
        return b->low.closed && eq(&b->low, &a->low);
    return a->low.closed == b->low.closed && eq(&a->low, &b->low) && high_within(a, b);
}

static bool during(const struct span *a, const struct span *b)
{
    return low_within(a, b) && high_within(a, b);
}

static bool coincides(const struct span *a, const struct span *b)
{
    return cmp(&a->low, &b->low) == 0 && cmp(&a->high, &b->high) == 0 && a->low.closed == b->low.closed &&
           a->high.closed == b->high.closed;
}

/* ---------------------------------------------------------------- functions */

typedef bool (*relation_fn)(const struct span *a, const struct span *b);

/* Which arguments may be points. */
enum points { POINTS_ANY, POINTS_NONE, POINTS_FIRST, POINTS_BOTH_OR_NONE };

static void relate(const struct feel_value *args, relation_fn relation, enum points points, bool swap,
                   struct feel_value *out)
{
    struct pair pair;
    const struct feel_value turned[2] = { args[swap ? 1 : 0], args[swap ? 0 : 1] };
    if (!pair_of(turned, &pair))
        return;
    const bool a = pair.a.point, b = pair.b.point;
    if ((points == POINTS_NONE && (a || b)) || (points == POINTS_FIRST && b) ||
        (points == POINTS_BOTH_OR_NONE && a != b))
        return;
    *out = feel_boolean(relation(&pair.a, &pair.b));
}

#define RELATION(name, relation, points, swap)                                                               \
    BUILTIN(name)                                                                                            \
    {                                                                                                        \
        (void)ev;                                                                                            \
        (void)count;                                                                                         \
        relate(args, relation, points, swap, out);                                                           \
    }

RELATION(fn_before, before, POINTS_ANY, false)
RELATION(fn_after, before, POINTS_ANY, true)
RELATION(fn_meets, meets, POINTS_NONE, false)
RELATION(fn_met_by, meets, POINTS_NONE, true)
RELATION(fn_overlaps, overlaps, POINTS_NONE, false)
RELATION(fn_overlaps_before, overlaps_before, POINTS_NONE, false)
RELATION(fn_overlaps_after, overlaps_before, POINTS_NONE, true)
RELATION(fn_finishes, finishes, POINTS_FIRST, false)
RELATION(fn_finished_by, finishes, POINTS_FIRST, true)
RELATION(fn_includes, during, POINTS_FIRST, true)
RELATION(fn_during, during, POINTS_FIRST, false)
RELATION(fn_starts, starts, POINTS_FIRST, false)
RELATION(fn_started_by, starts, POINTS_FIRST, true)
RELATION(fn_coincides, coincides, POINTS_BOTH_OR_NONE, false)

/* ---------------------------------------------------------------- range() */

/* A literal: number, string, `@`, or date("..."), time("..."), date and time("..."), duration("..."). */
static bool literal(const struct node *node)
{
    if (!node)
        return false;
    if (node->kind == NODE_NEG)
        node = node->a;
    if (node->kind == NODE_CONST)
        return node->value.kind != FEEL_NULL && node->value.kind != FEEL_BOOLEAN;
    return node->kind == NODE_BUILTIN && node->count == 1 && node->items[0]->kind == NODE_CONST &&
           strcmp(node->builtin->group, "conversion") == 0 && node->items[0]->value.kind == FEEL_STRING;
}

/* "(..5]" and "[5..)" as the tests they stand for; empty when the text is neither. */
static struct str open_range(struct feel_eval *ev, struct str text)
{
    text = str_trim(text);
    if (text.len < 4)
        return (struct str) { 0 };
    const char first = text.ptr[0], last = text.ptr[text.len - 1];
    const struct str inner = str_trim(str_slice(text, 1, text.len - 1));
    if (str_starts(inner, STR("..")) && (first == '(' || first == ']') && strchr("])[", last))
        return arena_printf(ev->arena, "(%s %.*s)", last == ']' ? "<=" : "<",
                            STR_ARG(str_slice(inner, 2, inner.len)));
    if (str_ends(inner, STR("..")) && (last == ')' || last == '[') && strchr("[(]", first))
        return arena_printf(ev->arena, "(%s %.*s)", first == '[' ? ">=" : ">",
                            STR_ARG(str_slice(inner, 0, inner.len - 2)));
    return (struct str) { 0 };
}

BUILTIN(fn_range)
{
    const struct feel_tree *tree;
    const struct feel_program *program;
    struct feel_value value;
    struct err err;
    int order;
    (void)count;
    if (!ev_steps(ev, 10 + (int64_t)args->string.len))
        return;
    const struct str open = open_range(ev, args->string);
    enum err_code rc =
        feel_parse(ev->arena, NULL, open.ptr ? open : args->string, FEEL_EXPRESSION, 0, &tree, &err);
    if (rc == ERR_OK && (tree->root->kind != NODE_RANGE || tree->root->flags & NODE_TEST_OP ||
                         (open.ptr ? !literal(tree->root->a) && !literal(tree->root->b)
                                   : !literal(tree->root->a) || !literal(tree->root->b))))
        return;
    if (rc == ERR_OK)
        rc = feel_compile(ev->arena, tree, &program, &err);
    if (rc == ERR_NOMEM)
        ev_stop(ev, rc, "base.no_memory");
    if (rc || !feel_program_constant(program, &value) || value.kind != FEEL_RANGE)
        return;
    if (open.ptr || (feel_compare(&value.range->low, &value.range->high, &order) && order <= 0))
        *out = value;
}
