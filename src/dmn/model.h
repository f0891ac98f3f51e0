/* model.h - a DMN file as it stands: what was read, nothing resolved, nothing compiled.
 *
 * Everything lies in the arena given to dmn_read() and never changes afterwards.  Every text is the text of
 * the file; an absent text is "" (a cell that says nothing is "" or "-").  Lines count in the file.
 * Threads: any.  Layer: dmn; may use base/. */
#pragma once
#include "base/err.h"
#include "base/xml.h"

#define DMN_BYTES_MAX ((size_t)32 << 20) /* of one file; a longer one is refused unread */
#define DMN_DEPTH_MAX 200                /* of elements, and so of boxed expressions */
#define DMN_NODES_MAX 2000000

enum dmn_version { DMN_1_1, DMN_1_2, DMN_1_3, DMN_1_4, DMN_1_5 };

/* A FEEL text, the id of the element that holds it (a cell, a clause) and where it stands. */
struct dmn_text {
    struct str text, id;
    int line;
};

enum dmn_expr_kind {
    DMN_EXPR_LITERAL,
    DMN_EXPR_CONTEXT,
    DMN_EXPR_LIST,
    DMN_EXPR_RELATION,
    DMN_EXPR_FUNCTION,
    DMN_EXPR_INVOCATION,
    DMN_EXPR_TABLE,
    DMN_EXPR_CONDITIONAL,
    DMN_EXPR_FILTER,
    DMN_EXPR_FOR,
    DMN_EXPR_SOME,
    DMN_EXPR_EVERY,
    DMN_EXPR__COUNT
};

/* A name with a type: a variable, a formal parameter, a column of a relation. */
struct dmn_variable {
    struct str id, name, type_ref;
    int line;
};

struct dmn_expr;
struct dmn_table;

/* A line of a context, a binding of an invocation. */
struct dmn_entry {
    struct dmn_variable variable; /* name "" for the result of a context */
    struct dmn_expr *expr;        /* NULL when the entry is empty */
};

struct dmn_expr {
    enum dmn_expr_kind kind;
    struct str id, type_ref;
    int line;
    struct dmn_text text;         /* LITERAL */
    struct dmn_entry *entries;    /* CONTEXT, INVOCATION */
    struct dmn_variable *columns; /* RELATION columns, FUNCTION parameters, the variable of FOR SOME EVERY */
    struct dmn_expr **items; /* LIST items; RELATION cells row by row; FUNCTION body; INVOCATION function;
                              * CONDITIONAL if then else; FILTER in match; FOR SOME EVERY in, body */
    int entry_count, column_count, item_count;
    struct dmn_table *table; /* TABLE */
};

enum dmn_hit_policy {
    DMN_HIT_UNIQUE,
    DMN_HIT_FIRST,
    DMN_HIT_PRIORITY,
    DMN_HIT_ANY,
    DMN_HIT_COLLECT,
    DMN_HIT_RULE_ORDER,
    DMN_HIT_OUTPUT_ORDER,
    DMN_HIT__COUNT
};

enum dmn_aggregation { DMN_AGG_NONE, DMN_AGG_SUM, DMN_AGG_COUNT, DMN_AGG_MIN, DMN_AGG_MAX, DMN_AGG__COUNT };

struct dmn_input {
    struct str id, label, type_ref;
    struct dmn_text expr, values; /* values: unary tests of the allowed values */
    int line;
};

struct dmn_output {
    struct str id, label, name, type_ref;
    struct dmn_text values, fallback; /* fallback: the default output entry */
    int line;
};

struct dmn_rule {
    struct str id, description;
    struct dmn_text *inputs, *outputs; /* one a column */
    struct str *annotations;           /* one a column of annotations */
    int line;
};

struct dmn_table {
    enum dmn_hit_policy hit_policy;
    enum dmn_aggregation aggregation;
    struct str output_label;
    struct dmn_input *inputs;
    struct dmn_output *outputs;
    struct str *annotations; /* names */
    struct dmn_rule *rules;
    int input_count, output_count, annotation_count, rule_count;
};

enum dmn_element_kind { DMN_INPUT_DATA, DMN_DECISION, DMN_BKM, DMN_SERVICE, DMN_SOURCE, DMN_ELEMENT__COUNT };

enum dmn_ref_kind {
    DMN_REF_INPUT,        /* requiredInput; of a service: inputData */
    DMN_REF_DECISION,     /* requiredDecision */
    DMN_REF_KNOWLEDGE,    /* requiredKnowledge */
    DMN_REF_OUTPUT,       /* of a service: outputDecision */
    DMN_REF_ENCAPSULATED, /* of a service */
    DMN_REF_IN_DECISION   /* of a service: inputDecision */
};

struct dmn_ref {
    enum dmn_ref_kind kind;
    struct str ns, id; /* ns "" = this file */
    int line;
};

struct dmn_element {
    enum dmn_element_kind kind;
    struct str id, name, label, description, question, answers;
    struct dmn_variable variable; /* name = the element's when the file has none */
    struct dmn_ref *refs;         /* in the order of the file */
    int ref_count;
    struct dmn_expr *expr; /* of a decision; of a BKM its function; NULL when it has no logic */
    int line;
};

struct dmn_item {
    struct str id, name, label, type_ref;
    bool is_collection, is_function;
    struct dmn_text allowed, constraint; /* allowedValues, typeConstraint */
    struct dmn_item *components;         /* of a structure; of a function its parameters */
    int component_count;
    struct str output_type_ref; /* of a function */
    int line;
};

struct dmn_import {
    struct str name, ns, type, location;
    int line;
};

struct dmn_file {
    enum dmn_version version;
    struct str id, name, ns, description;
    struct dmn_import *imports;
    struct dmn_item *items;
    struct dmn_element *elements;
    int import_count, item_count, element_count;
};

/* Reads one file into `arena`.
 *
 * ERR_OK           *out_file is set.
 * ERR_INVALID      not XML, not DMN 1.1 to 1.5, or against its schema; err->at has the line.
 * ERR_UNSUPPORTED  something this engine does not execute; err names the element.
 * ERR_LIMIT        larger or deeper than allowed.   ERR_NOMEM. */
MUST_CHECK enum err_code dmn_read(struct arena *arena, struct str text, const struct dmn_file **out_file,
                                  struct err *err);

/* The names used in the file: "decision", "UNIQUE", "C+" ... */
const char *dmn_element_name(enum dmn_element_kind kind);
const char *dmn_expr_name(enum dmn_expr_kind kind);
const char *dmn_hit_policy_name(enum dmn_hit_policy policy);
const char *dmn_aggregation_name(enum dmn_aggregation aggregation);
