/* eval.h - shared by the files that evaluate.  Layer: feel, inside. */
#pragma once
#include "feel/node.h"

/* The value of an operand without a copy where it has a place; `room` is used otherwise. */
static inline const struct feel_value *operand(const struct node *node, struct frame *frame,
                                               struct feel_value *room)
{
    switch (node->kind) {
    case NODE_CONST:
        return &node->value;
    case NODE_INPUT:
        return &frame->inputs[node->slot];
    case NODE_LOCAL:
        return &frame->locals[node->slot];
    default:
        node->eval(node, frame, room);
        return room;
    }
}

static inline struct feel_value from_truth(enum feel_truth truth)
{
    return truth == FEEL_UNKNOWN ? feel_null() : feel_boolean(truth == FEEL_TRUE);
}

/* A list that grows while it is made. */
struct growing {
    struct feel_value *items;
    size_t count, size;
};
bool grow(struct feel_eval *ev, struct growing *list, const struct feel_value *value);

/* eval_loop.c */
void eval_for(const struct node *node, struct frame *frame, struct feel_value *out);
void eval_some(const struct node *node, struct frame *frame, struct feel_value *out);
void eval_every(const struct node *node, struct frame *frame, struct feel_value *out);
void eval_filter(const struct node *node, struct frame *frame, struct feel_value *out);
/* The items of a range of whole numbers or days, for those who want a list. */
bool range_items(struct feel_eval *ev, const struct feel_range *range, struct growing *list);

/* call.c */
void eval_call(const struct node *node, struct frame *frame, struct feel_value *out);
void eval_builtin(const struct node *node, struct frame *frame, struct feel_value *out);
void eval_function(const struct node *node, struct frame *frame, struct feel_value *out);

/* tests.c */
void eval_in(const struct node *node, struct frame *frame, struct feel_value *out);
void eval_tests(const struct node *node, struct frame *frame, struct feel_value *out);
