/* dmn.h - decision models of DMN 1.1 to 1.5: files -> model -> values.
 *
 *     dmn_load(sources, 1, &model, err);                       // every expression is compiled once
 *     decision = dmn_find(model, DMN_DECISION, STR("Approval"));
 *     feel_eval_init(&ev, arena);
 *     dmn_evaluate(model, decision, &ev, given, count, NULL, &value, err);
 *
 * What stands in the way of loading (XML, references, cycles, something this engine does not execute) fails;
 * what is wrong inside one expression is a finding of the model, and that expression is null with a warning.
 * So a model with findings can be looked at and tried out; publishing one is the caller's no.
 * Invariant: a model never changes after dmn_load().
 * Threads: a model may be shared by any number of threads, each with its own struct feel_eval.
 * Pure code: no I/O, no globals.  Layer: dmn; may use base/ and feel/. */
#pragma once
#include "dmn/model.h"
#include "feel/feel.h"

struct dmn_model;

/* One file: the name is for messages, the text is borrowed during dmn_load() only. */
struct dmn_source {
    struct str name, text;
};

#define DMN_SOURCES_MAX 100
#define DMN_MODEL_BYTES_MAX ((size_t)1 << 30)

/* Reads, links and compiles.  The first source is the model; the others are what it imports, found by their
 * namespace; those that nothing imports are read and otherwise ignored.
 *
 * ERR_OK           *out_model is the caller's to free.
 * ERR_INVALID      not DMN; a reference to nothing (dmn.no_element {id}), a cycle (dmn.cycle {name}), an
 * import that is missing (dmn.no_import {namespace}) or goes round (dmn.import_cycle {namespace}).
 * ERR_UNSUPPORTED  names the element.   ERR_LIMIT.   ERR_NOMEM.
 * *out_source, when wanted, is the index of the source that err->at refers to. */
MUST_CHECK enum err_code dmn_load(const struct dmn_source *sources, size_t count,
                                  struct dmn_model **out_model, size_t *out_source, struct err *err);

/* Accepts NULL. */
void dmn_free(struct dmn_model *model);
void dmn_free_auto(struct dmn_model **model);

/* -- what is in it ------------------------------------------------------------------------------------- */

/* Something wrong or suspicious in one place. */
struct dmn_finding {
    bool is_error;      /* else worth a look */
    struct err err;     /* at: line and column in the expression's own text */
    struct str element; /* name of the decision, knowledge model or item definition */
    struct str id;      /* id of the XML element: a cell, a clause, an expression; may be "" */
    int source, line;   /* index of the source; line of the expression's first line in it */
    int rule, column;   /* of a decision table, from 1, inputs before outputs; 0 = not in a rule or column */
    struct feel_value input; /* of gaps and overlaps: a context with an example; else null */
};

struct dmn_findings {
    struct dmn_finding *items;
    int count, max, more; /* more: how many further ones were dropped */
};

/* What was found while loading.  Borrowed. */
const struct dmn_findings *dmn_findings(const struct dmn_model *model);

/* The file as it was read.  Source 0 is the model itself. */
const struct dmn_file *dmn_model_file(const struct dmn_model *model, size_t source);

/* Nodes: every input data, decision, knowledge model and service of every source has a number from 0. */
int dmn_node_count(const struct dmn_model *model);
/* By name in the model itself; or by name in the source of that namespace.  -1 when there is none. */
int dmn_find(const struct dmn_model *model, enum dmn_element_kind kind, struct str name);
int dmn_find_in(const struct dmn_model *model, struct str ns, enum dmn_element_kind kind, struct str name);
int dmn_find_id(const struct dmn_model *model, struct str id);
const struct dmn_element *dmn_node_element(const struct dmn_model *model, int node);
/* The namespace of the source it stands in. */
struct str dmn_node_namespace(const struct dmn_model *model, int node);
/* The type of its value (of a function: of its result); NULL = Any. */
const struct feel_type *dmn_node_type(const struct dmn_model *model, int node);
/* A business knowledge model or service as a function value; null for other nodes. */
struct feel_value dmn_node_function(const struct dmn_model *model, int node);

/* -- evaluating ---------------------------------------------------------------------------------------- */

/* A value for an input data; or for a decision, which then is not evaluated. */
struct dmn_given {
    int node;
    struct feel_value value;
};

enum dmn_cell { DMN_CELL_FALSE, DMN_CELL_TRUE, DMN_CELL_UNKNOWN, DMN_CELL_ANY };

/* What one evaluation of one decision table looked at. */
struct dmn_trace_table {
    struct dmn_trace_table *next;
    struct str element; /* name of the decision or knowledge model */
    struct str id;      /* of the table */
    const struct dmn_table *table;
    const struct feel_value *inputs; /* one a column */
    const enum dmn_cell *cells;      /* rules x columns of input; NULL past DMN_TRACE_CELLS_MAX */
    const bool *matched;             /* one a rule: all its cells hold */
    const bool *fired;               /* one a rule: it is part of the result */
    struct feel_value output;
};

#define DMN_TRACE_CELLS_MAX 1000000

struct dmn_trace_value {
    struct dmn_trace_value *next;
    int node;
    bool given;
    struct feel_value value;
};

/* Filled in the order of evaluation; start with {0}.  Everything lies in the arena of the evaluation. */
struct dmn_trace {
    struct dmn_trace_table *tables;
    struct dmn_trace_value *values;
    struct dmn_trace_table **tables_end; /* internal */
    struct dmn_trace_value **values_end;
    int cells;
};

/* The value of a decision, or of a decision service (of one output decision its value, else a context).
 *
 * ERR_OK     *out is set, perhaps null with warnings in *ev.
 * ERR_LIMIT  an evaluation limit was reached.   ERR_NOMEM  ev->arena is full.
 * `trace` may be NULL. */
MUST_CHECK enum err_code dmn_evaluate(const struct dmn_model *model, int node, struct feel_eval *ev,
                                      const struct dmn_given *given, size_t count, struct dmn_trace *trace,
                                      struct feel_value *out, struct err *err);

/* Pairs the entries of a context with the input data and decisions of the model by name; an import's stand in
 * a context of its name.  Entries that nothing is called by are ignored.  The array lies in `arena`. */
MUST_CHECK enum err_code dmn_given_from(const struct dmn_model *model, struct arena *arena,
                                        const struct feel_value *context, struct dmn_given **out_given,
                                        size_t *out_count, struct err *err);

/* The same decision for many rows: columns[i].values[row].  Result in out[row]. */
struct dmn_column {
    int node;
    const struct feel_value *values;
};
MUST_CHECK enum err_code dmn_evaluate_many(const struct dmn_model *model, int node, struct feel_eval *ev,
                                           const struct dmn_column *columns, size_t count, size_t rows,
                                           struct feel_value *out, struct err *err);

/* -- analysis ------------------------------------------------------------------------------------------ */

/* Gaps, overlaps and rules that can never fire, of every decision table of the model; each with an example.
 * Cells that are no constants or constant ranges are taken to hold when looking for gaps and not to hold when
 * looking for overlaps, so that what is found is true.  `out` lies in the arena, at most `max` items.
 * ERR_OK, ERR_NOMEM. */
MUST_CHECK enum err_code dmn_check(const struct dmn_model *model, struct arena *arena, int max,
                                   struct dmn_findings *out, struct err *err);

enum dmn_change_kind { DMN_ADDED, DMN_REMOVED, DMN_CHANGED };

struct dmn_change {
    enum dmn_change_kind kind;
    enum dmn_element_kind element_kind;
    bool of_item;       /* an item definition instead of an element */
    struct str element; /* its name (the new one) */
    struct str what; /* "inputEntry", "text", "typeRef", "hitPolicy", "rule", "informationRequirement" ... */
    int rule_before, rule_after; /* from 1; 0 = not in a rule */
    int column;                  /* of a table, from 1, inputs before outputs; else 0 */
    struct str path;             /* inside the expression: "context entry names joined by /" */
    struct str before, after;
};

struct dmn_changes {
    struct dmn_change *items;
    size_t count;
};

/* What is different in `after`, cell by cell.  Elements are paired by id, then by name; rules by id, then by
 * their cells.  Diagrams do not count.  Texts are borrowed from the files.  ERR_OK, ERR_NOMEM. */
MUST_CHECK enum err_code dmn_diff(const struct dmn_file *before, const struct dmn_file *after,
                                  struct arena *arena, struct dmn_changes *out, struct err *err);
