/* parse_more.h - what parse.c and parse_primary.c call of each other.  Layer: feel, inside. */
#pragma once
#include "feel/parser.h"

/* A list of nodes that grows in the arena. */
struct node_list {
    struct node **items;
    uint32_t count, size;
    uint16_t height;
    uint8_t flags;
};
bool node_list_add(struct parser *p, struct node_list *list, struct node *node);
/* Gives the items to a node. */
void node_list_take(const struct node_list *list, struct node *node);

struct node *parse_two(struct parser *p, enum node_kind kind, enum op op, struct node *a, struct node *b,
                       enum feel_type_kind type);
struct node *parse_unary(struct parser *p);
struct node *parse_postfix(struct parser *p);
struct node *parse_in(struct parser *p, struct node *subject);
/* parse_block.c: for, some, every, if, function, context; NULL and *out_none when none of them stands here.
 */
struct node *parse_block(struct parser *p, bool *out_none);
struct node *parse_context(struct parser *p);
/* Behind the low end of a range: `..`, the high end and the closing bracket. */
struct node *parse_range_rest(struct parser *p, struct node *low, bool low_closed, size_t at);
void feel_position(struct str text, size_t at, int *out_line, int *out_column);
