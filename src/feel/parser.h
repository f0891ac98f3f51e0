/* parser.h - the state of a parse, shared by the files parse*.c.
 *
 * There is no token stream: names contain spaces and operators, so what stands at an offset depends on the
 * names known there.  Every parse function takes the offset on and answers NULL after the first error.
 * Layer: feel, inside. */
#pragma once
#include "feel/node.h"
#include "feel/scope.h"

/* One function literal, or the whole expression. */
struct body {
    struct body *outer;
    uint16_t locals;
    struct capture_link *captures;
    uint16_t captures_count;
};

enum binding_kind { BINDING_LOCAL, BINDING_ITEM };

/* A name that is in force, innermost first. */
struct binding {
    struct binding *next;
    enum binding_kind kind;
    struct str name; /* LOCAL */
    const struct feel_type *type;
    struct body *body;
    uint16_t slot;
};

struct capture_link {
    struct capture_link *next;
    const void *key; /* the binding or the scope's entry */
    struct node *from;
    uint16_t slot;
};

struct parser {
    struct arena *arena;
    const struct feel_scope *scope;
    struct str text;
    size_t at;
    unsigned flags;
    int depth;
    int nest;       /* brackets that are open */
    int tries;      /* second readings of a text so far */
    int range_nest; /* the nesting in which `[` may close a range; -1 */
    struct binding *bindings;
    struct body *body;
    bool *uses;
    struct err *err;
    bool failed;
    bool question; /* `?` was read since this was last cleared */
};

struct node *parse_expression(struct parser *p);
struct node *parse_arithmetic(struct parser *p);
/* What may stand in `in (...)` and in a cell. */
struct node *parse_test(struct parser *p);

/* ---- helpers of parse.c */
void *parse_alloc(struct parser *p, size_t count, size_t size);
struct node *node_new(struct parser *p, enum node_kind kind, size_t at);
void node_over(struct node *node, const struct node *part); /* height and flags from a part */
void *parse_fail(struct parser *p, const char *id, size_t at);
/* feel.expected {what} {found} */
void *parse_expected(struct parser *p, const char *what);
static inline void space(struct parser *p)
{
    if (p->at < p->text.len && ((unsigned char)p->text.ptr[p->at] <= ' ' || p->text.ptr[p->at] == '/' ||
                                (unsigned char)p->text.ptr[p->at] >= 0x80))
        p->at = skip_space(p->text, p->at);
}
static inline char look(const struct parser *p)
{
    return p->at < p->text.len ? p->text.ptr[p->at] : '\0';
}
static inline char look_on(const struct parser *p, size_t on)
{
    return p->at + on < p->text.len ? p->text.ptr[p->at + on] : '\0';
}
/* After white space: takes the character and answers true. */
bool take_char(struct parser *p, char c);
bool want_char(struct parser *p, char c, const char *what);
/* A keyword that is not the beginning of a longer name. */
bool at_word(const struct parser *p, struct str word);
bool take_word(struct parser *p, struct str word);

/* ---- parse_name.c */
/* The name at p->at against all that is known; *out_builtin is set when it is a built-in function. */
struct node *parse_name(struct parser *p, const struct builtin **out_builtin);
/* A run of words that are no keywords; empty with an error when there is none. */
struct str parse_words(struct parser *p);
/* The field behind a point, by the type of what stands before it. */
struct str parse_field(struct parser *p, const struct feel_type *type, const struct feel_type **out_type);
/* The text up to one of the characters in `stops` as a name with single spaces (keys, parameters). */
struct str parse_raw_name(struct parser *p, const char *stops);
struct binding *bind_local(struct parser *p, struct str name, const struct feel_type *type);
struct binding *bind_item(struct parser *p, uint16_t slot, const struct feel_type *type);
uint16_t new_slot(struct parser *p);

/* ---- parse_literal.c */
struct node *parse_number(struct parser *p);
struct node *parse_string(struct parser *p);
struct node *parse_at_literal(struct parser *p);
bool parse_string_text(struct parser *p, struct str *out);

/* ---- parse_type.c */
const struct feel_type *parse_type(struct parser *p);
/* The type of the elements when it is iterated over or filtered. */
const struct feel_type *element_type(const struct feel_type *type);
const struct feel_type *common_type(struct parser *p, const struct feel_type *a, const struct feel_type *b);
