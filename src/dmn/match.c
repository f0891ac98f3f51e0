/* match.c - which rules of a decision table hold for one set of inputs. */
#include "dmn/table.h"

enum err_code dmn_match_inputs(struct match *match, bool *out_ok)
{
    *out_ok = true;
    for (int i = 0; i < match->table->column_count; i++) {
        const struct column *column = &match->table->columns[i];
        struct feel_value *input = &match->looked[i].input;
        enum err_code rc = ERR_OK;
        if (column->slot >= 0)
            *input = match->slots[column->slot];
        else if (column->program)
            rc = feel_evaluate(column->program, match->run->ev, match->slots, input, NULL);
        if (rc)
            return rc;
        (void)dmn_coerce(match->run->ev, input, column->type, input);
        if (column->values) {
            enum feel_truth truth = FEEL_FALSE;
            match->slots[match->table->test_slot] = *input;
            rc = feel_test(column->values, match->run->ev, match->slots, &truth, NULL);
            if (rc)
                return rc;
            if (truth != FEEL_TRUE) {
                feel_warn(match->run->ev, "dmn.input_not_allowed",
                          column->input->label.len > 0 ? column->input->label : column->input->expr.text);
                *out_ok = false;
            }
        }
    }
    return ERR_OK;
}

void dmn_match_begin(struct match *match)
{
    match->by_index = false;
    match->plain = true;
    for (int i = 0; i < match->table->column_count; i++) {
        const struct column_index *index = match->table->columns[i].index;
        struct looked *looked = &match->looked[i];
        const int64_t row = index ? dmn_index_row(index, &looked->input) : -1;
        looked->row = row >= 0 ? &index->rows[row] : NULL;
        match->by_index = match->by_index || looked->row;
        match->plain = match->plain && looked->row && !index->rest;
    }
}

/* The inputs and the slots as doubles, for quick cells. */
static enum err_code make_quick(struct match *match, struct looked *looked)
{
    const int count = match->table->test_slot;
    if (!match->numbers) {
        match->numbers = arena_alloc(match->run->ev->arena, (size_t)count + 1, sizeof(*match->numbers));
        if (!match->numbers)
            return ERR_NOMEM;
        for (int i = 0; i < count; i++)
            match->numbers[i] = feel_double_of(&match->slots[i]);
    }
    looked->quick = (struct feel_quick_inputs) { .question = &looked->input,
                                                 .number = feel_double_of(&looked->input),
                                                 .numbers = match->numbers };
    return ERR_OK;
}

/* What doubles say of a cell; FEEL_QUICK_UNSURE leaves it to the program. */
static inline enum err_code ask_quick(struct match *match, struct looked *looked, const struct cell *cell,
                                      enum feel_quick_answer *out)
{
    *out = FEEL_QUICK_UNSURE;
    if (!cell->quick || match->run->trace) /* a trace tells false from unknown */
        return ERR_OK;
    if (!looked->quick.question) {
        const enum err_code rc = make_quick(match, looked);
        if (rc)
            return rc;
    }
    *out = feel_quick_test(cell->quick, &looked->quick);
    return ERR_OK;
}

enum err_code dmn_match_cell(struct match *match, int column, uint32_t cell, enum feel_truth *out)
{
    const struct column *of = &match->table->columns[column];
    struct looked *looked = &match->looked[column];
    if (!looked->known) {
        looked->known =
            arena_alloc(match->run->ev->arena, (size_t)of->cell_count + 1, sizeof(*looked->known));
        if (!looked->known)
            return ERR_NOMEM;
    }
    if (looked->known[cell] == 0) {
        enum feel_truth truth = FEEL_UNKNOWN;
        enum feel_quick_answer answer;
        const enum err_code quick = ask_quick(match, looked, &of->cells[cell], &answer);
        if (quick)
            return quick;
        if (answer != FEEL_QUICK_UNSURE) {
            truth = answer == FEEL_QUICK_TRUE ? FEEL_TRUE : FEEL_FALSE;
        } else if (of->cells[cell].any) {
            truth = FEEL_TRUE;
        } else if (of->cells[cell].program) {
            match->slots[match->table->test_slot] = looked->input;
            const enum err_code rc =
                feel_test(of->cells[cell].program, match->run->ev, match->slots, &truth, NULL);
            if (rc)
                return rc;
        }
        looked->known[cell] = (int8_t)((int)truth + 2);
    }
    *out = (enum feel_truth)(looked->known[cell] - 2);
    return ERR_OK;
}

/* The cells of a rule that the rows of bits did not answer. */
static enum err_code look(struct match *match, int rule, bool *out_holds)
{
    const struct table_code *table = match->table;
    *out_holds = true;
    for (int at = 0; at < table->column_count && *out_holds; at++) {
        const int i = table->look_order[at];
        const struct column *column = &table->columns[i];
        const uint32_t cell = column->rule_cell[rule];
        enum feel_truth truth;
        if (column->cells[cell].any)
            continue;
        if (match->looked[i].row &&
            (!column->index->rest || !(column->index->rest[rule / 64] >> (rule % 64) & 1)))
            continue;
        enum err_code rc = ERR_OK;
        enum feel_quick_answer answer = FEEL_QUICK_UNSURE;
        if (column->distinct) /* asked once or twice: nothing to remember */
            rc = ask_quick(match, &match->looked[i], &column->cells[cell], &answer);
        if (rc)
            return rc;
        *out_holds = answer == FEEL_QUICK_TRUE;
        if (answer != FEEL_QUICK_UNSURE)
            continue;
        rc = dmn_match_cell(match, i, cell, &truth);
        if (rc)
            return rc;
        *out_holds = truth == FEEL_TRUE;
    }
    return ERR_OK;
}

/* The words in which every column can have a bit at all. */
static void span(const struct match *match, uint32_t *from, uint32_t *to)
{
    for (int i = 0; i < match->table->column_count; i++) {
        const struct row *row = match->looked[i].row;
        if (!row || match->table->columns[i].index->has_any)
            continue;
        if (row->first > *from)
            *from = row->first;
        if (row->first + row->count < *to)
            *to = row->first + row->count;
    }
}

static uint64_t candidates(const struct match *match, uint32_t word)
{
    const struct table_code *table = match->table;
    uint64_t all = ~UINT64_C(0);
    for (int i = 0; i < table->column_count && all; i++) {
        const struct row *row = match->looked[i].row;
        if (!row)
            continue;
        const struct column_index *index = table->columns[i].index;
        uint64_t bits = word - row->first < row->count ? row->bits[word - row->first] : 0;
        if (index->has_any)
            bits |= index->any[word];
        all &= bits;
    }
    return all;
}

enum err_code dmn_match_next(struct match *match, int rule, int *out_rule)
{
    const int rules = match->table->rule_count;
    uint32_t word = (uint32_t)rule / 64, to = (uint32_t)match->table->words;
    uint64_t mask = ~UINT64_C(0) << (rule % 64);
    uint32_t from = word;

    *out_rule = -1;
    if (rule >= rules)
        return ERR_OK;
    span(match, &from, &to);
    if (from > word) {
        word = from;
        mask = ~UINT64_C(0);
    }
    for (; word < to; word++, mask = ~UINT64_C(0))
        for (uint64_t bits = candidates(match, word) & mask; bits; bits &= bits - 1) {
            const int candidate = (int)word * 64 + __builtin_ctzll(bits);
            bool holds = true;
            if (candidate >= rules)
                return ERR_OK;
            if (!match->plain) {
                const enum err_code rc = look(match, candidate, &holds);
                if (rc)
                    return rc;
            }
            if (holds) {
                *out_rule = candidate;
                return ERR_OK;
            }
        }
    return ERR_OK;
}
