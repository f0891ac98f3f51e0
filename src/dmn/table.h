/* table.h - compiled decision tables, inside the room.
 *
 * Each column of inputs keeps every distinct cell once.  A cell of constants and constant ranges is static:
 * the column's index tells by binary search or hash in which elementary piece of its domain a value lies, and
 * every piece has a row of bits, one a rule.  Matching is the AND of one row per column; rules whose cell is
 * not static have their bit set in every row and are looked at afterwards.
 * Layer: dmn, inside. */
#pragma once
#include "dmn/inside.h"

#define TABLE_INDEX_RULES_MIN 8                  /* below, looking at each rule is as fast */
#define TABLE_INDEX_BYTES_MAX ((size_t)64 << 20) /* of one column's rows */

#define INDEX_PIECES_MAX 10 /* the kinds, two of them twice */

struct cell {
    const struct feel_program *program; /* NULL: any ("-"), or broken */
    bool any, broken;
    bool is_static; /* tests is set */
    struct feel_tests tests;
    const struct feel_quick *quick; /* of one that is not static; NULL: only the program can tell */
};

/* A run of set bits [first, first + count) in words. */
struct row {
    uint32_t first, count;
    uint64_t *bits; /* words first .. first + count - 1 */
};

/* The pieces of one kind: below p0, p0, between p0 and p1, p1, ... above: 2 n + 1 of them. */
struct pieces {
    enum feel_kind kind;
    bool zoned;                /* times and date and times with a zone have no order among those without */
    struct feel_value *points; /* sorted, distinct */
    int count;
    uint32_t base; /* first row */
    /* Numbers that are all integers at one scale. */
    int64_t *scaled;
    int scale;
    /* Strings without ranges: slots of point + 1, 0 = free. */
    uint32_t *hash;
    uint32_t hash_mask;
};

struct column_index {
    struct pieces pieces[INDEX_PIECES_MAX];
    int piece_count;
    struct row *rows;
    uint32_t row_count;
    uint32_t null_row;   /* for the value null */
    const uint64_t *any; /* rules with "-": belong to every row */
    bool has_any;
    const uint64_t *rest; /* rules whose cell must be evaluated; NULL = none */
};

struct column {
    const struct dmn_input *input;
    const struct feel_program *program; /* of the input expression; NULL when it is a mere name or missing */
    int slot;                           /* of the mere name; -1 */
    bool broken;
    const struct feel_type *type;
    const struct feel_program *values; /* allowed values; NULL = all */
    struct cell *cells;                /* distinct ones */
    int cell_count;
    uint32_t *rule_cell;        /* one a rule */
    bool distinct;              /* most rules have a cell of their own */
    struct column_index *index; /* NULL: not indexed */
};

struct output {
    const struct dmn_output *output;
    const struct feel_type *type;
    const struct feel_program **programs; /* one a rule; NULL = null */
    const struct feel_program *fallback;
    bool has_fallback;
    struct feel_value *order; /* of the output values, best first; for PRIORITY and OUTPUT ORDER */
    size_t order_count;
};

struct table_code {
    const struct dmn_table *table;
    struct column *columns;
    struct output *outputs;
    int test_slot;   /* of "?" */
    int *look_order; /* columns, those with the least to evaluate first */
    int column_count, output_count, rule_count;
    int words;                        /* of a row of bits */
    bool broken;                      /* some text did not compile: the result is null */
    bool indexed;                     /* at least one column is */
    const struct feel_value *results; /* one a rule, when all outputs are constants and no coercion is due */
};

/* What is known of one column in one evaluation. */
struct looked {
    struct feel_value input;
    const struct row *row;          /* of the index; NULL: every cell must be looked at */
    int8_t *known;                  /* truth + 2 of each distinct cell, 0 = not yet; NULL = none yet */
    struct feel_quick_inputs quick; /* question NULL: not yet */
};

/* One evaluation of one table. */
struct match {
    struct run *run;
    const struct table_code *table;
    struct feel_value *slots;
    struct looked *looked;       /* one a column */
    struct feel_double *numbers; /* of the slots, for quick cells; NULL = none yet */
    bool by_index;               /* at least one column has a row */
    bool plain;                  /* nothing is left to look at behind the rows */
};

/* -- index.c */

/* Builds the indexes of all columns that allow it.  ERR_NOMEM. */
MUST_CHECK enum err_code dmn_index_build(struct table_code *table, struct arena *arena, struct err *err);
/* The row of a value, or -1 when the index cannot tell (another kind of value than its constants). */
int64_t dmn_index_row(const struct column_index *index, const struct feel_value *value);
/* The piece among `pieces` (0 .. 2 n). */
uint32_t dmn_pieces_find(const struct pieces *pieces, const struct feel_value *value);
/* The pieces [*low, *high] that a test holds in; false when it holds nowhere or is of another kind. */
bool dmn_pieces_of_test(const struct pieces *pieces, const struct feel_test *test, uint32_t *low,
                        uint32_t *high);

/* -- match.c */

/* Evaluates the input expressions.  *out_ok is false when a value is not among the allowed ones. */
MUST_CHECK enum err_code dmn_match_inputs(struct match *match, bool *out_ok);
/* Finds the rows of bits of the inputs. */
void dmn_match_begin(struct match *match);
/* The first rule from `rule` on that matches, or -1. */
MUST_CHECK enum err_code dmn_match_next(struct match *match, int rule, int *out_rule);
/* One cell against its column's input. */
MUST_CHECK enum err_code dmn_match_cell(struct match *match, int column, uint32_t cell, enum feel_truth *out);
