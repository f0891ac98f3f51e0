/* node.h - the inside of a program: nodes, functions, the state of a running evaluation.
 *
 * The parser makes nodes, the compiler folds constants and gives each its `eval` function; evaluation is a
 * walk over those pointers.  Invariants: 1. nodes never change after feel_compile().  2. an eval function
 * writes *out last and only once, so that `out` may be a slot its operands read.  3. `height` bounds the C
 * stack that a node needs; calls add it to ev->depth.  Layer: feel, inside. */
#pragma once
#include "feel/feel.h"

#define PARSE_DEPTH_MAX 256
#define NODE_HEIGHT_MAX 1500

struct node;
struct builtin;
struct regex;

struct frame {
    struct feel_eval *ev;
    const struct feel_value *inputs;
    struct feel_value *locals;
};

typedef void (*node_fn)(const struct node *node, struct frame *frame, struct feel_value *out);
typedef void (*builtin_fn)(struct feel_eval *ev, const struct feel_value *args, size_t count,
                           struct feel_value *out);

enum node_kind {
    NODE_CONST,
    NODE_INPUT,
    NODE_LOCAL,
    NODE_ITEM_NAME, /* in a filter: the item's entry of that name, else `a` */
    NODE_UNKNOWN,   /* a name nobody knows: null */
    NODE_NEG,
    NODE_ARITH,   /* op */
    NODE_COMPARE, /* op */
    NODE_AND,
    NODE_OR,
    NODE_BETWEEN,
    NODE_IN, /* a in list.items */
    NODE_IF,
    NODE_FOR,
    NODE_SOME,
    NODE_EVERY,
    NODE_LIST,
    NODE_CONTEXT,
    NODE_PATH,
    NODE_FILTER,
    NODE_RANGE,
    NODE_TEST_NOT_EQUAL, /* `!= a` as a unary test */
    NODE_BUILTIN,        /* call of a built-in function, arguments in order */
    NODE_CALL,           /* call of a value */
    NODE_FUNCTION,
    NODE_INSTANCE,
    NODE_TESTS, /* unary tests */
};

enum op { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_POW, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE };

/* Flags of nodes. */
#define NODE_LOW_CLOSED 1
#define NODE_HIGH_CLOSED 2
#define NODE_LOW_NONE 4
#define NODE_HIGH_NONE 8
#define NODE_NEGATED 1    /* NODE_TESTS: not(...) */
#define NODE_ANY 2        /* NODE_TESTS: "-" */
#define NODE_QUESTION 16  /* any node: reads `?` */
#define NODE_PARENS 32    /* stood in parentheses */
#define NODE_TEST_OP 64   /* NODE_RANGE, NODE_TEST_NOT_EQUAL: written as a unary test without parentheses */
#define NODE_FOLDED 128   /* NODE_CONST: an expression that was computed while compiling */
#define NODE_ITERATION 32 /* NODE_RANGE: `a..b` of a for, may go down */

struct iterator {
    struct node *list;
    uint16_t slot;
};

struct capture {
    struct node *from; /* evaluated where the function is made */
    uint16_t slot;     /* where the body reads it */
};

struct function_node {
    struct feel_type_field *params;
    uint16_t params_count, locals_count, captures_count;
    struct capture *captures;
    struct node *body; /* NULL: external */
    struct str text;   /* parameters and body as they were written */
    const struct feel_type *type;
    int own_slot; /* slot of the context entry it is the value of, for recursion; -1 */
};

struct node {
    node_fn eval;
    uint8_t kind, op, flags;
    uint16_t height;
    uint16_t slot; /* INPUT, LOCAL, ITEM_NAME, FILTER (of the item), FOR (partial), IN/TESTS (of `?`) */
    uint32_t at;   /* offset in the text */
    const struct feel_type *type;
    union {
        struct feel_value value; /* CONST */
        struct {
            struct node *a, *b, *c;
            struct str name; /* ITEM_NAME, UNKNOWN, PATH */
        };
        struct {
            struct node *subject; /* IN, CALL, FOR/SOME/EVERY (the body) */
            struct node **items;
            const struct builtin *builtin;
            struct str *names;          /* CALL with named arguments; CONTEXT keys */
            struct iterator *iterators; /* FOR, SOME, EVERY; CONTEXT: slots of entries */
            uint32_t count;
            const struct regex *regex; /* BUILTIN with a constant pattern */
        };
        struct function_node *function;
        struct {
            struct node *value_of; /* INSTANCE */
            const struct feel_type *wanted;
        };
    };
};

struct feel_tree {
    struct node *root;
    struct str text;
    enum feel_mode mode;
    uint32_t inputs_count, locals_count;
    int question_slot; /* input slot of `?`, -1 */
    bool *uses;        /* by input slot */
};

struct feel_program {
    const struct feel_tree *tree;
    const struct node *root;
    uint32_t locals_count;
};

enum function_kind { FUNCTION_NATIVE, FUNCTION_PROGRAM, FUNCTION_LITERAL, FUNCTION_BUILTIN };

struct feel_function {
    enum function_kind kind;
    struct str name;
    const struct feel_type_field *params;
    size_t count;
    const struct feel_type *result;
    feel_native native;
    void *arg;
    const struct feel_program *program; /* PROGRAM; LITERAL: the text it stands in */
    const struct function_node *literal;
    struct feel_value *captured;
    size_t captured_count;
    const struct builtin *builtin;
};

/* A built-in function.  `kinds` has one letter a parameter: what it accepts (builtin.c). */
struct builtin {
    const char *name;
    builtin_fn fn;
    int8_t least, most; /* arguments; most -1: any number */
    const char *kinds;
    const char *signatures, *result, *group;
    uint8_t type; /* enum feel_type_kind of the result */
    bool pure;    /* may be folded */
};

/* ---- eval.c */
static inline void node_eval(const struct node *node, struct frame *frame, struct feel_value *out)
{
    node->eval(node, frame, out);
}
/* Gives every node its eval function. */
void node_bind(struct node *node);
/* Counts work; false when the evaluation is stopped. */
bool ev_steps(struct feel_eval *ev, int64_t steps);
void ev_stop(struct feel_eval *ev, enum err_code code, const char *id);
/* arena_alloc() that stops the evaluation when there is none. */
void *ev_alloc(struct feel_eval *ev, size_t count, size_t size);
/* A warning at a node. */
void ev_warn(struct feel_eval *ev, const char *id, const char *what, const struct node *node);
void ev_call(struct feel_eval *ev, const struct feel_value *function, const struct feel_value *args,
             size_t count, struct feel_value *out);
void ev_call_named(struct feel_eval *ev, const struct feel_value *function, const struct str *names,
                   const struct feel_value *args, size_t count, struct feel_value *out);

/* ---- arith.c */
void value_arith(struct feel_eval *ev, enum op op, const struct feel_value *a, const struct feel_value *b,
                 struct feel_value *out);
void value_negate(struct feel_eval *ev, const struct feel_value *a, struct feel_value *out);
/* `value.name`, also the properties of temporal values and ranges; false: there is none. */
bool value_path(struct feel_eval *ev, const struct feel_value *value, struct str name,
                struct feel_value *out);

/* ---- value.c */
enum feel_truth value_equal(struct feel_eval *ev, const struct feel_value *a, const struct feel_value *b);
enum feel_truth value_in(struct feel_eval *ev, const struct feel_value *value,
                         const struct feel_value *tests);
const char *kind_name(enum feel_kind kind);
bool value_moment(struct feel_eval *ev, enum feel_kind kind, const struct feel_moment *m,
                  struct feel_value *out);

/* ---- compile.c */
bool is_constant(const struct node *node);

/* ---- builtin.c */
/* The longest built-in name that `text` begins with at `at`; *out_end is behind it. */
const struct builtin *builtin_match(struct str text, size_t at, size_t *out_end);
const struct builtin *builtin_find(struct str name);
/* Puts named arguments in order: order[i] = parameter of the i-th argument; *out_count parameters; false:
 * no signature has these names. */
bool builtin_named(const struct builtin *builtin, const struct str *names, size_t count, uint8_t *order,
                   size_t *out_count);
/* Checks and converts the arguments, then calls. */
void builtin_call(struct feel_eval *ev, const struct builtin *builtin, const struct feel_value *args,
                  size_t count, struct feel_value *out);

/* ---- names.c */
/* The character class of a name: start and part; whitespace as FEEL counts it. */
bool name_start(int32_t c);
bool name_part(int32_t c);
bool is_space(int32_t c);
/* Where white space and comments end. */
size_t skip_space(struct str text, size_t at);
/* If the known `name` stands at `at` (white space between its parts may differ), the offset behind it, else
 * 0. */
size_t name_match(struct str text, size_t at, struct str name);
