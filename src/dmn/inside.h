/* inside.h - the compiled model, as the files of this room share it; nobody else includes it.
 *
 * Every expression sees an array of slots, one a name in its scope.  Slots of a decision: first what it
 * requires, then what its boxed expressions bind on the way down; siblings use the same slots again, so an
 * array of slot_count values serves the whole decision.  A function definition copies the slots it can see.
 * Layer: dmn. */
#pragma once
#include "dmn/dmn.h"

struct table_code;
struct node;

/* A compiled boxed expression. */
struct code {
    enum dmn_expr_kind kind;
    const struct dmn_expr *expr;
    struct node *node;                  /* whose logic it is part of */
    const struct feel_type *type;       /* declared: the result is coerced to it; NULL = Any */
    const struct feel_type *known;      /* what is known of the result while compiling; NULL = nothing */
    const struct feel_program *program; /* LITERAL; NULL = there is none, or it is broken */
    bool broken;                        /* its text did not compile: null with a warning */
    int slot;            /* CONTEXT first entry, FUNCTION first parameter, FILTER `item`, FOR ... */
    int slot_count;      /* FUNCTION: slots of the body's array */
    int own_slot;        /* of the context entry whose function this is, so that it may call itself; -1 */
    struct code **parts; /* entries, items, cells, parts; NULL where the file has nothing */
    int part_count;
    const struct feel_type **types; /* CONTEXT, INVOCATION: declared type of each entry */
    struct feel_type_field *params; /* FUNCTION parameters; RELATION columns; CONTEXT entries */
    int param_count;
    struct str *dynamic; /* FILTER: names looked up in each item, in the slots behind `item` */
    int dynamic_count;
    struct table_code *table;
};

/* What a node requires, and in which slot it finds it. */
struct use {
    int slot;
    int node;   /* -1: the slot holds a context of what an import has */
    int *nodes; /* of the import */
    struct str *names;
    int count;
};

struct node {
    const struct dmn_model *model;
    const struct dmn_element *element;
    int index, unit;
    const struct feel_type *type;  /* declared type of the value (of the result of a function); NULL = Any */
    const struct feel_type *known; /* the same, or what its logic gives */
    int *requires;                 /* node indexes, parallel to element->refs */
    struct use *uses;
    int use_count;
    int slot_count;
    struct code *code;
    struct feel_value function; /* knowledge models and services */
    /* Services. */
    int *inputs; /* nodes of the parameters */
    int input_count;
    int *outputs;
    int output_count;
    enum { NODE_NEW, NODE_OPEN, NODE_DONE } state; /* while compiling, for cycles */
};

struct named_type {
    struct str name;
    const struct feel_type *type;
    const struct dmn_item *item; /* NULL for those imported under a name */
    enum { TYPE_NEW, TYPE_OPEN, TYPE_DONE } state;
};

/* One file. */
struct unit {
    const struct dmn_file *file;
    struct str source_name;
    int source;
    struct named_type *types;
    int type_count;
    int *imports; /* unit of each import */
    int first_node, node_count;
    bool wanted; /* the main model and what it imports */
    enum { UNIT_NEW, UNIT_OPEN, UNIT_DONE } state;
};

struct dmn_model {
    struct arena *arena; /* owned, and everything in it */
    struct unit *units;
    int unit_count;
    struct node *nodes;
    int node_count;
    struct dmn_findings findings;
    const struct feel_program *each; /* for x in x return x: whatever can be iterated, as a list */
};

/* One call of dmn_evaluate(), reachable from native functions by ev->host. */
struct run {
    const struct dmn_model *model;
    struct feel_eval *ev;
    struct dmn_trace *trace;
    int depth;
};

#define DMN_CALL_DEPTH_MAX 100 /* services and knowledge models within each other, at evaluation */

/* -- compile.c: files -> code */

struct compiler {
    struct dmn_model *model;
    struct arena *arena;
    struct err *err;
    /* Where findings belong. */
    struct unit *unit;
    struct node *node;
    struct str element;
    int rule, column;
    /* The names in sight; names[i] has slot i. */
    struct feel_type_field *names;
    int name_count, name_max, slot_high;
    struct feel_scope *scope; /* made from the names on demand; NULL = none yet */
};

void compiler_finding(struct compiler *compiler, const struct dmn_text *text, const struct err *err);
MUST_CHECK enum err_code compiler_name(struct compiler *compiler, struct str name,
                                       const struct feel_type *type, int *out_slot);
void compiler_leave(struct compiler *compiler, int name_count);
/* NULL after an error. */
const struct feel_scope *compiler_scope(struct compiler *compiler);
/* Compiles a text; a text that does not compile gives a finding and *out_broken. */
MUST_CHECK enum err_code compiler_text(struct compiler *compiler, const struct dmn_text *text,
                                       enum feel_mode mode, const struct feel_program **out,
                                       bool *out_broken);
/* All nodes, each after what it requires; a cycle fails.  compiler->unit is where it failed. */
MUST_CHECK enum err_code dmn_compile_nodes(struct compiler *compiler);
MUST_CHECK enum err_code dmn_compile_table(struct compiler *compiler, const struct dmn_expr *expr,
                                           struct code *code);

/* -- types.c */

/* Types of all item definitions of the unit; its imports are done. */
MUST_CHECK enum err_code dmn_types_build(struct compiler *compiler);
/* The type a typeRef names, NULL for Any; a name that is none gives a finding and NULL. */
const struct feel_type *dmn_type_of(struct compiler *compiler, struct str ref, int line, struct str id);

/* -- eval.c */

MUST_CHECK enum err_code dmn_code_evaluate(struct run *run, const struct code *code, struct feel_value *slots,
                                           struct feel_value *out);
/* A decision or service with these values given. */
MUST_CHECK enum err_code dmn_run_evaluate(struct run *run, const struct node *node,
                                          const struct dmn_given *given, size_t count,
                                          struct feel_value *out);
/* feel_coerce with a short way for the commonest types. */
bool dmn_coerce(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type,
                struct feel_value *out);
enum err_code dmn_bkm_call(void *arg, struct feel_eval *ev, const struct feel_value *args, size_t count,
                           struct feel_value *out);
enum err_code dmn_service_call(void *arg, struct feel_eval *ev, const struct feel_value *args, size_t count,
                               struct feel_value *out);

/* The code of an evaluation that was stopped, as an error. */
enum err_code dmn_stopped(const struct feel_eval *ev, enum err_code rc, struct err *err);

/* -- table.c */

MUST_CHECK enum err_code dmn_table_evaluate(struct run *run, const struct code *code,
                                            struct feel_value *slots, struct feel_value *out);
