/* eval_loop.c - for, some, every, and filters.
 *
 * What a condition allocates is given back after each item; the body of a `for` keeps its values. */
#include "feel/eval.h"
#include "feel/temporal.h"

struct loop;
typedef bool (*loop_fn)(struct loop *loop);

struct loop {
    const struct node *node;
    struct frame *frame;
    loop_fn each; /* false: enough */
    struct growing list;
    bool some, unknown;
    bool failed; /* a domain that cannot be iterated over */
};

static bool iterate(struct loop *loop, uint32_t level);

static bool one(struct loop *loop, uint32_t level, const struct feel_value *item)
{
    if (!ev_steps(loop->frame->ev, 1))
        return false;
    loop->frame->locals[loop->node->iterators[level].slot] = *item;
    return level + 1 < loop->node->count ? iterate(loop, level + 1) : loop->each(loop);
}

/* Whole numbers or dates from low to high, upwards or downwards. */
static bool span(struct loop *loop, uint32_t level, const struct feel_value *low,
                 const struct feel_value *high, int skip_low, int skip_high)
{
    int64_t from, to;
    const bool dates = low->kind == FEEL_DATE && high->kind == FEEL_DATE;
    if (dates) {
        from = date_to_days(low->date);
        to = date_to_days(high->date);
    } else if (low->kind != FEEL_NUMBER || high->kind != FEEL_NUMBER || !decimal_to_i64(low->number, &from) ||
               !decimal_to_i64(high->number, &to)) {
        loop->failed = true;
        return false;
    }
    const int64_t step = from <= to ? 1 : -1;
    if (from == to && (skip_low || skip_high))
        return true;
    if (skip_low)
        from += step;
    if (skip_high)
        to -= step;
    if (step > 0 ? from > to : from < to)
        return true;
    for (int64_t i = from;; i += step) {
        struct feel_value item = feel_i64(i);
        if (dates) {
            item.kind = FEEL_DATE;
            if (!date_from_days(i, &item.date))
                return false;
        }
        if (!one(loop, level, &item))
            return false;
        if (i == to)
            return true;
    }
}

static bool iterate(struct loop *loop, uint32_t level)
{
    struct frame *frame = loop->frame;
    const struct node *domain = loop->node->iterators[level].list;
    struct feel_value room, low, high;
    if (domain->kind == NODE_RANGE && domain->flags & NODE_ITERATION) {
        node_eval(domain->a, frame, &low);
        node_eval(domain->b, frame, &high);
        return span(loop, level, &low, &high, 0, 0);
    }
    const struct feel_value *value = operand(domain, frame, &room);
    if (value->kind == FEEL_RANGE && !value->range->low_none && !value->range->high_none)
        return span(loop, level, &value->range->low, &value->range->high, !value->range->low_closed,
                    !value->range->high_closed);
    if (value->kind == FEEL_NULL || value->kind == FEEL_RANGE) {
        loop->failed = true;
        return false;
    }
    if (value->kind != FEEL_LIST) {
        const struct feel_value item = *value;
        return one(loop, level, &item);
    }
    const struct feel_list list = value->list;
    for (size_t i = 0; i < list.count; i++)
        if (!one(loop, level, &list.items[i]))
            return false;
    return true;
}

static bool collect(struct loop *loop)
{
    struct frame *frame = loop->frame;
    struct feel_value value;
    frame->locals[loop->node->slot] = feel_list(loop->list.items, loop->list.count);
    node_eval(loop->node->subject, frame, &value);
    return !frame->ev->stopped && grow(frame->ev, &loop->list, &value);
}

void eval_for(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct loop loop = { .node = node, .frame = frame, .each = collect };
    (void)iterate(&loop, 0);
    if (loop.failed) {
        ev_warn(frame->ev, "feel.operands", "for", node);
        *out = feel_null();
        return;
    }
    *out = feel_list(loop.list.items, loop.list.count);
}

static bool judge(struct loop *loop)
{
    struct feel_eval *ev = loop->frame->ev;
    const struct arena_mark mark = arena_mark(ev->arena);
    struct feel_value value;
    node_eval(loop->node->subject, loop->frame, &value);
    arena_release(ev->arena, mark);
    if (value.kind != FEEL_BOOLEAN) {
        loop->unknown = true;
        return !ev->stopped;
    }
    if (value.boolean == loop->some) {
        loop->unknown = false;
        loop->list.count = 1; /* decided */
        return false;
    }
    return !ev->stopped;
}

static void quantify(const struct node *node, struct frame *frame, bool some, struct feel_value *out)
{
    struct loop loop = { .node = node, .frame = frame, .each = judge, .some = some };
    (void)iterate(&loop, 0);
    if (loop.list.count) {
        *out = feel_boolean(some);
        return;
    }
    if (loop.failed || loop.unknown) {
        ev_warn(frame->ev, "feel.operands", some ? "some" : "every", node);
        *out = feel_null();
        return;
    }
    *out = feel_boolean(!some);
}

void eval_some(const struct node *node, struct frame *frame, struct feel_value *out)
{
    quantify(node, frame, true, out);
}

void eval_every(const struct node *node, struct frame *frame, struct feel_value *out)
{
    quantify(node, frame, false, out);
}

bool range_items(struct feel_eval *ev, const struct feel_range *range, struct growing *list)
{
    int64_t from, to;
    if (range->low.kind != FEEL_NUMBER || range->high.kind != FEEL_NUMBER ||
        !decimal_to_i64(range->low.number, &from) || !decimal_to_i64(range->high.number, &to))
        return false;
    for (int64_t i = from + !range->low_closed; i <= to - !range->high_closed; i++) {
        const struct feel_value item = feel_i64(i);
        if (!ev_steps(ev, 1) || !grow(ev, list, &item))
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- filters */

static void by_index(const struct node *node, struct frame *frame, const struct feel_list *list,
                     struct decimal number, struct feel_value *out)
{
    int64_t index;
    *out = feel_null();
    if (decimal_to_i64(number, &index)) {
        if (index < 0)
            index += (int64_t)list->count + 1;
        if (index >= 1 && (uint64_t)index <= list->count) {
            *out = list->items[index - 1];
            return;
        }
    }
    ev_warn(frame->ev, "feel.index", "[]", node);
}

void eval_filter(const struct node *node, struct frame *frame, struct feel_value *out)
{
    struct feel_eval *ev = frame->ev;
    struct feel_value value, condition;
    struct growing kept = { 0 };
    node_eval(node->a, frame, &value);
    struct feel_list list = { &value, 1 };
    if (value.kind == FEEL_LIST)
        list = value.list;
    else if (value.kind == FEEL_NULL)
        list.count = 0;
    if (node->b->kind == NODE_CONST && node->b->value.kind == FEEL_NUMBER) {
        by_index(node, frame, &list, node->b->value.number, out);
        return;
    }
    struct feel_value *item = &frame->locals[node->slot];
    *item = list.count ? list.items[0] : feel_null();
    if (!list.count) {
        const int warnings = ev->warnings_count, more = ev->warnings_more;
        node_eval(node->b, frame, &condition);
        ev->warnings_count = warnings; /* about an item that is not there */
        ev->warnings_more = more;
        *out = condition.kind == FEEL_NUMBER || value.kind == FEEL_NULL ? feel_null() : feel_list(NULL, 0);
        return;
    }
    /* The single value lives on this frame: the list that is kept needs its own. */
    for (size_t i = 0; i < list.count; i++) {
        if (!ev_steps(ev, 1))
            break;
        *item = list.items[i];
        const struct arena_mark mark = arena_mark(ev->arena);
        node_eval(node->b, frame, &condition);
        arena_release(ev->arena, mark);
        if (i == 0 && condition.kind == FEEL_NUMBER) {
            by_index(node, frame, &list, condition.number, out);
            return;
        }
        if (condition.kind != FEEL_BOOLEAN && condition.kind != FEEL_NULL && i == 0) {
            ev_warn(ev, "feel.operands", "[]", node);
            *out = feel_null();
            return;
        }
        if (feel_is_true(&condition) && !grow(ev, &kept, &list.items[i]))
            break;
    }
    *out = feel_list(kept.items, kept.count);
}
