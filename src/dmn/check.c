/* check.c - gaps, overlaps and dead rules of decision tables, found on the pieces of each column.
 *
 * The pieces of index.c cut the domain of a column so finely that each rule's cell holds either in the whole
 * of a piece or nowhere in it.  A gap is a choice of one piece per column that no rule covers; the search
 * walks the columns from left to right with the set of rules that still hold and never looks twice at the
 * same set. Allowed values take part as further points, so that what may not occur is not reported as
 * missing. */
#include "dmn/table.h"

#include <assert.h>

#define CHECK_BYTES_MAX ((size_t)1 << 30)
#define CHECK_STEPS_MAX 400000 /* sets looked at per table */
#define DEAD_STEPS_MAX 4000    /* and per rule, when looking whether it can fire */
#define CHECK_RULES_MAX 20000
#define VISITED_SIZE (1 << 20)

struct column_view {
    const struct column *column;
    const struct column_index *index; /* NULL: cannot be analysed, every rule is taken to hold */
    uint32_t *domain;                 /* rows that can occur */
    struct feel_value *examples;      /* one for each of them */
    uint32_t domain_count;
    uint64_t **cells; /* one a distinct cell: bits over domain positions; NULL = not static */
    uint32_t words;
};

struct checking {
    struct arena *arena, *work; /* findings; everything else */
    struct dmn_findings *out;
    struct err *err;
    const struct dmn_model *model;
    const struct node *node;
    const struct dmn_expr *expr;
    const struct table_code *table; /* a copy with indexes of its own */
    struct column_view *views;
    uint32_t *chosen;  /* one a column: domain position */
    uint64_t *visited; /* hashes of (column, set) */
    int64_t steps, steps_max;
    bool stop_at_first, found; /* dead rules: any uncovered choice will do */
    int rule;                  /* only within this rule's cells; -1 = everywhere */
};

/* -- examples ------------------------------------------------------------------------------------------ */

static bool midpoint(const struct feel_value *a, const struct feel_value *b, struct feel_value *out)
{
    struct decimal sum, middle, whole;
    if (!decimal_add(a->number, b->number, &sum) || !decimal_div(sum, decimal_i64(2), &middle))
        return false;
    if (decimal_round(middle, 0, DECIMAL_FLOOR, &whole) && decimal_cmp(whole, a->number) > 0)
        middle = whole; /* a whole number reads better */
    *out = feel_number(middle);
    return decimal_cmp(middle, a->number) > 0 && decimal_cmp(middle, b->number) < 0;
}

static bool shift_number(const struct feel_value *from, int64_t by, struct feel_value *out)
{
    struct decimal sum;
    if (!decimal_add(from->number, decimal_i64(by), &sum))
        return false;
    *out = feel_number(sum);
    return true;
}

/* The next or previous day; the calendar's ends are far away. */
static bool shift_date(const struct feel_value *from, int by, struct feel_value *out)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct feel_date date = from->date;
    const bool leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
    if (date.year <= -999999999 || date.year >= 999999999)
        return false;
    if (by > 0) {
        const int last = date.month == 2 && leap ? 29 : days[date.month - 1];
        if (date.day < last) {
            date.day++;
        } else {
            date.day = 1;
            date.year += date.month == 12;
            date.month = (uint8_t)(date.month == 12 ? 1 : date.month + 1);
        }
    } else if (date.day > 1) {
        date.day--;
    } else {
        date.year -= date.month == 1;
        date.month = (uint8_t)(date.month == 1 ? 12 : date.month - 1);
        date.day = (uint8_t)(date.month == 2 && leap ? 29 : days[date.month - 1]);
    }
    *out = (struct feel_value) { .kind = FEEL_DATE, .date = date };
    return true;
}

/* A second further, on the same day. */
static bool shift_moment(struct arena *arena, const struct feel_value *from, int by, struct feel_value *out)
{
    struct feel_moment *moment = arena_alloc(arena, 1, sizeof(*moment));
    if (!moment || from->moment->second + by < 0 || from->moment->second + by > 86399)
        return false;
    *moment = *from->moment;
    moment->second += by;
    *out = (struct feel_value) { .kind = from->kind, .moment = moment };
    return true;
}

static bool shift(struct arena *arena, const struct feel_value *from, int by, struct feel_value *out)
{
    *out = *from;
    if (from->kind == FEEL_TIME || from->kind == FEEL_DATE_TIME)
        return shift_moment(arena, from, by, out);
    if (from->kind == FEEL_NUMBER)
        return shift_number(from, by, out);
    if (from->kind == FEEL_DATE)
        return shift_date(from, by, out);
    if (from->kind == FEEL_MONTHS_DURATION) {
        out->months = from->months + by;
        return true;
    }
    if (from->kind == FEEL_DAYS_DURATION) {
        out->days = (struct feel_days) { .seconds = from->days.seconds + by };
        return true;
    }
    return false;
}

/* A text that stands behind `from` in the order, before `to` (NULL: anywhere behind). */
static bool text_behind(struct arena *arena, struct str from, const struct feel_value *to,
                        struct feel_value *out)
{
    static const char *const tails[] = { "!", "", " ", "\x01" };
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        const struct str text = arena_printf(arena, "%.*s%s", STR_ARG(from), tails[i]);
        if (!text.ptr || text.len == from.len)
            continue;
        *out = feel_string(text);
        if (!to || str_cmp(text, to->string) < 0)
            return true;
    }
    return false;
}

/* A value within a gap of one kind's points; false when there is none. */
static bool value_between(struct checking *checking, const struct pieces *pieces, uint32_t piece,
                          struct feel_value *out)
{
    const struct feel_value *below = piece > 0 ? &pieces->points[piece / 2 - 1] : NULL;
    const struct feel_value *above = piece / 2 < (uint32_t)pieces->count ? &pieces->points[piece / 2] : NULL;
    int order = 0;
    if (!below && !above)
        return false; /* no points: there is no such index */
    if (pieces->kind == FEEL_BOOLEAN) {
        *out = feel_boolean(below != NULL);
        return below ? !below->boolean && !above : above->boolean;
    }
    if (pieces->kind == FEEL_STRING && pieces->hash) /* equality only: the first gap stands for all others */
        return piece == 0 && text_behind(checking->work, pieces->points[pieces->count - 1].string, NULL, out);
    if (pieces->kind == FEEL_STRING) {
        *out = feel_string(STR(""));
        return below ? text_behind(checking->work, below->string, above, out) : above->string.len > 0;
    }
    if (below && above && pieces->kind == FEEL_NUMBER)
        return midpoint(below, above, out);
    if (!shift(checking->work, below ? below : above, below ? 1 : -1, out))
        return false;
    if (!below || !above)
        return true;
    if (feel_compare(out, above, &order) && order < 0)
        return true;
    if (pieces->kind == FEEL_DAYS_DURATION && below->days.seconds + 1 == above->days.seconds &&
        below->days.nanos == 0) {
        out->days = (struct feel_days) { below->days.seconds, 500000000 };
        return true;
    }
    return false;
}

/* -- domains ------------------------------------------------------------------------------------------- */

static const struct feel_program *allowed_of(const struct column *column, const struct feel_type **out_type)
{
    *out_type = column->type;
    if (column->values)
        return column->values;
    return column->type ? column->type->allowed : NULL;
}

static bool kind_possible(const struct feel_type *type, enum feel_kind kind)
{
    static const enum feel_type_kind types[FEEL__COUNT] = {
        [FEEL_BOOLEAN] = FEEL_T_BOOLEAN,
        [FEEL_NUMBER] = FEEL_T_NUMBER,
        [FEEL_STRING] = FEEL_T_STRING,
        [FEEL_DATE] = FEEL_T_DATE,
        [FEEL_TIME] = FEEL_T_TIME,
        [FEEL_DATE_TIME] = FEEL_T_DATE_TIME,
        [FEEL_DAYS_DURATION] = FEEL_T_DAYS_DURATION,
        [FEEL_MONTHS_DURATION] = FEEL_T_MONTHS_DURATION,
    };
    return !type || type->kind == FEEL_T_ANY || type->kind == types[kind];
}

static bool is_allowed(const struct feel_tests *allowed, const struct pieces *pieces, uint32_t piece)
{
    bool holds = false;
    for (size_t i = 0; i < allowed->count && !holds; i++) {
        uint32_t low, high;
        holds = dmn_pieces_of_test(pieces, &allowed->items[i], &low, &high) && low <= piece && piece <= high;
    }
    return holds != allowed->negated;
}

static enum err_code make_domain(struct checking *checking, struct column_view *view,
                                 const struct feel_tests *allowed, const struct feel_type *type)
{
    const struct column_index *index = view->index;
    const uint32_t max = index ? index->row_count : 1;
    view->domain = arena_alloc(checking->work, (size_t)max + 1, sizeof(*view->domain));
    view->examples = arena_alloc(checking->work, (size_t)max + 1, sizeof(*view->examples));
    if (!view->domain || !view->examples)
        return ERR_NOMEM;
    if (!index) {
        view->domain_count = 1;
        return ERR_OK;
    }
    for (int k = 0; k < index->piece_count; k++) {
        const struct pieces *pieces = &index->pieces[k];
        if (!kind_possible(type, pieces->kind))
            continue;
        for (uint32_t piece = 0; piece <= 2 * (uint32_t)pieces->count; piece++) {
            struct feel_value *example = &view->examples[view->domain_count];
            if (allowed && !allowed->any && !is_allowed(allowed, pieces, piece))
                continue;
            if (piece % 2 == 1)
                *example = pieces->points[piece / 2];
            else if (!value_between(checking, pieces, piece, example))
                continue;
            view->domain[view->domain_count++] = pieces->base + piece;
        }
    }
    return ERR_OK;
}

static bool row_has(const struct column_index *index, uint32_t row, int rule)
{
    const uint32_t word = (uint32_t)rule / 64;
    const struct row *bits = &index->rows[row];
    uint64_t all = word - bits->first < bits->count ? bits->bits[word - bits->first] : 0;
    if (index->has_any)
        all |= index->any[word];
    return all >> (rule % 64) & 1;
}

/* For each distinct cell, the domain positions where it holds. */
static enum err_code make_cells(struct checking *checking, struct column_view *view)
{
    const struct column *column = view->column;
    view->words = (view->domain_count + 63) / 64;
    view->cells = arena_alloc(checking->work, (size_t)column->cell_count + 1, sizeof(uint64_t *));
    if (!view->cells)
        return ERR_NOMEM;
    for (int rule = 0; rule < checking->table->rule_count; rule++) {
        const uint32_t cell = column->rule_cell[rule];
        const bool dynamic = view->index
                                 ? view->index->rest && view->index->rest[rule / 64] >> (rule % 64) & 1
                                 : !column->cells[cell].any;
        if (view->cells[cell] || dynamic)
            continue;
        uint64_t *bits = arena_alloc(checking->work, (size_t)view->words + 1, sizeof(*bits));
        if (!bits)
            return ERR_NOMEM;
        for (uint32_t i = 0; i < view->domain_count; i++)
            if (!view->index || row_has(view->index, view->domain[i], rule))
                bits[i / 64] |= UINT64_C(1) << (i % 64);
        view->cells[cell] = bits;
    }
    return ERR_OK;
}

/* A copy of the table whose columns have a further cell, used by no rule, of the allowed values. */
static enum err_code make_views(struct checking *checking, const struct table_code *table)
{
    struct arena *work = checking->work;
    struct table_code *copy = arena_alloc(work, 1, sizeof(*copy));
    struct column *columns = arena_alloc(work, (size_t)table->column_count + 1, sizeof(*columns));
    struct feel_tests *allowed = arena_alloc(work, (size_t)table->column_count + 1, sizeof(*allowed));
    checking->views = arena_alloc(work, (size_t)table->column_count + 1, sizeof(*checking->views));
    checking->chosen = arena_alloc(work, (size_t)table->column_count + 1, sizeof(*checking->chosen));
    checking->visited = arena_alloc(work, VISITED_SIZE, sizeof(*checking->visited));
    if (!copy || !columns || !allowed || !checking->views || !checking->chosen || !checking->visited)
        return err_nomem(checking->err);
    *copy = *table;
    copy->columns = columns;
    for (int i = 0; i < table->column_count; i++) {
        const struct feel_type *type;
        columns[i] = table->columns[i];
        columns[i].index = NULL;
        const struct feel_program *program = allowed_of(&table->columns[i], &type);
        columns[i].cells = arena_alloc(work, (size_t)columns[i].cell_count + 1, sizeof(*columns[i].cells));
        if (!columns[i].cells)
            return err_nomem(checking->err);
        memcpy(columns[i].cells, table->columns[i].cells,
               (size_t)columns[i].cell_count * sizeof(struct cell));
        if (program && feel_program_tests(program, work, &allowed[i])) {
            columns[i].cells[columns[i].cell_count++] =
                (struct cell) { .program = program, .is_static = true, .tests = allowed[i] };
        } else {
            allowed[i].any = true;
        }
    }
    enum err_code rc = dmn_index_build(copy, work, checking->err);
    checking->table = copy;
    for (int i = 0; i < table->column_count && rc == ERR_OK; i++) {
        checking->views[i].column = &columns[i];
        checking->views[i].index = columns[i].index;
        rc = make_domain(checking, &checking->views[i], &allowed[i], columns[i].type);
        if (rc == ERR_OK)
            rc = make_cells(checking, &checking->views[i]);
        if (rc == ERR_NOMEM)
            rc = err_nomem(checking->err);
    }
    return rc;
}

/* -- findings ------------------------------------------------------------------------------------------ */

/* The chosen values as a context: the text of each input expression and its value. */
static enum err_code example(struct checking *checking, struct feel_value *out)
{
    const struct table_code *table = checking->table;
    struct feel_entry *entries =
        arena_alloc(checking->arena, (size_t)table->column_count + 1, sizeof(*entries));
    size_t count = 0;
    if (!entries)
        return err_nomem(checking->err);
    for (int i = 0; i < table->column_count; i++) {
        const struct column_view *view = &checking->views[i];
        if (!view->index)
            continue; /* nothing is known of it */
        entries[count].key = str_trim(view->column->input->expr.text);
        const enum err_code rc = feel_copy(checking->arena, &view->examples[checking->chosen[i]],
                                           &entries[count].value, checking->err);
        if (rc)
            return rc;
        count++;
    }
    *out = feel_context(entries, count);
    return ERR_OK;
}

static enum err_code report(struct checking *checking, const char *id, bool is_error, int rule, int other)
{
    struct dmn_findings *out = checking->out;
    struct feel_value input = feel_null();
    if (out->count == out->max) {
        out->more++;
        return ERR_OK;
    }
    if (rule < 0 || other >= 0) {
        const enum err_code rc = example(checking, &input);
        if (rc)
            return rc;
    }
    struct dmn_finding *one = &out->items[out->count++];
    *one = (struct dmn_finding) { .is_error = is_error,
                                  .element = checking->node->element->name,
                                  .id = checking->expr->id,
                                  .source = checking->model->units[checking->node->unit].source,
                                  .line = checking->expr->line,
                                  .rule = rule + 1,
                                  .input = input };
    if (rule >= 0) {
        one->id = checking->table->table->rules[rule].id;
        one->line = checking->table->table->rules[rule].line;
    }
    (void)err_set(&one->err, ERR_INVALID, id, ARG_INT("rule", rule + 1), ARG_INT("other", other + 1),
                  ARG_END);
    return ERR_OK;
}

/* What was not looked at, so that silence means that all is well. */
static void report_left(struct checking *checking, const char *id, int64_t count)
{
    struct dmn_findings *out = checking->out;
    if (out->count == out->max) {
        out->more++;
        return;
    }
    struct dmn_finding *one = &out->items[out->count++];
    *one = (struct dmn_finding) { .element = checking->node->element->name,
                                  .id = checking->expr->id,
                                  .source = checking->model->units[checking->node->unit].source,
                                  .line = checking->expr->line,
                                  .input = feel_null() };
    (void)err_set(&one->err, ERR_LIMIT, id, ARG_INT("count", count), ARG_INT("max", CHECK_RULES_MAX),
                  ARG_END);
}

/* -- gaps ---------------------------------------------------------------------------------------------- */

static uint64_t hash_set(int column, const uint64_t *set, int words)
{
    uint64_t hash = UINT64_C(1469598103934665603) + (uint64_t)column;
    for (int i = 0; i < words; i++) {
        hash ^= set[i];
        hash *= UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return hash | 1;
}

/* True the first time; a full table forgets, which costs time and nothing else. */
static bool visit(struct checking *checking, uint64_t hash)
{
    for (size_t i = 0; i < 8; i++) {
        uint64_t *slot = &checking->visited[(hash + i) & (VISITED_SIZE - 1)];
        if (*slot == hash)
            return false;
        if (*slot == 0) {
            *slot = hash;
            return true;
        }
    }
    checking->visited[hash & (VISITED_SIZE - 1)] = hash;
    return true;
}

static bool within_rule(const struct checking *checking, int column, uint32_t position)
{
    if (checking->rule < 0)
        return true;
    const struct column_view *view = &checking->views[column];
    const uint64_t *bits = view->cells[view->column->rule_cell[checking->rule]];
    return !bits || (bits[position / 64] >> (position % 64) & 1);
}

static void narrow(const struct column_view *view, uint32_t position, const uint64_t *set, uint64_t *out,
                   int words)
{
    if (!view->index) {
        memcpy(out, set, (size_t)words * sizeof(*out));
        return;
    }
    const struct row *row = &view->index->rows[view->domain[position]];
    for (int i = 0; i < words; i++) {
        uint64_t bits = (uint32_t)i - row->first < row->count ? row->bits[(uint32_t)i - row->first] : 0;
        if (view->index->has_any)
            bits |= view->index->any[i];
        out[i] = set[i] & bits;
    }
}

static bool is_empty(const uint64_t *set, int words)
{
    for (int i = 0; i < words; i++)
        if (set[i])
            return false;
    return true;
}

/* Columns from `column` on with the rules of `set` still holding: is there a choice that none covers? */
static enum err_code find_gaps(struct checking *checking, int column, const uint64_t *set)
{
    const struct table_code *table = checking->table;
    const int words = table->words > 0 ? table->words : 1;
    if (is_empty(set, words)) {
        for (int i = column; i < table->column_count; i++) {
            uint32_t position = 0;
            while (position < checking->views[i].domain_count && !within_rule(checking, i, position))
                position++;
            if (position >= checking->views[i].domain_count)
                return ERR_OK;
            checking->chosen[i] = position;
        }
        checking->found = true;
        return checking->stop_at_first ? ERR_OK : report(checking, "dmn.gap", false, -1, -1);
    }
    if (column == table->column_count)
        return ERR_OK;
    const struct column_view *view = &checking->views[column];
    const struct arena_mark start = arena_mark(checking->work);
    uint64_t *inner = arena_alloc(checking->work, (size_t)words, sizeof(*inner));
    enum err_code rc = ERR_OK;
    if (!inner)
        return err_nomem(checking->err);
    for (uint32_t i = 0; rc == ERR_OK && i < view->domain_count && checking->steps < checking->steps_max;
         i++) {
        if (!within_rule(checking, column, i) || (checking->found && checking->stop_at_first))
            continue;
        checking->steps++;
        checking->chosen[column] = i;
        narrow(view, i, set, inner, words);
        if (visit(checking, hash_set(column, inner, words)))
            rc = find_gaps(checking, column + 1, inner); /* as deep as there are columns */
    }
    arena_release(checking->work, start);
    return rc;
}

static enum err_code search(struct checking *checking, int rule, int rules, bool stop_at_first,
                            int64_t steps_max)
{
    const int words = checking->table->words > 0 ? checking->table->words : 1;
    const struct arena_mark start = arena_mark(checking->work);
    uint64_t *all = arena_alloc(checking->work, (size_t)words, sizeof(*all));
    if (!all)
        return err_nomem(checking->err);
    for (int i = 0; i < rules; i++)
        all[i / 64] |= UINT64_C(1) << (i % 64);
    memset(checking->visited, 0, VISITED_SIZE * sizeof(*checking->visited));
    checking->steps = 0;
    checking->steps_max = steps_max;
    checking->rule = rule;
    checking->stop_at_first = stop_at_first;
    checking->found = false;
    const enum err_code rc = find_gaps(checking, 0, all);
    arena_release(checking->work, start);
    return rc;
}

static bool has_fallback(const struct table_code *table)
{
    for (int i = 0; i < table->output_count; i++)
        if (table->outputs[i].has_fallback)
            return true;
    return false;
}

static enum err_code check_gaps(struct checking *checking)
{
    const enum dmn_hit_policy policy = checking->table->table->hit_policy;
    if (has_fallback(checking->table) || policy == DMN_HIT_COLLECT)
        return ERR_OK; /* nothing that holds is an answer there */
    enum err_code rc = search(checking, -1, checking->table->rule_count, false, CHECK_STEPS_MAX);
    if (rc == ERR_OK && checking->steps >= checking->steps_max)
        report_left(checking, "dmn.check_limit", checking->steps);
    return rc;
}

/* -- overlaps ------------------------------------------------------------------------------------------ */

/* Whether two rules hold together somewhere; sets the choice. */
static bool overlap(struct checking *checking, int a, int b)
{
    for (int i = 0; i < checking->table->column_count; i++) {
        const struct column_view *view = &checking->views[i];
        const uint64_t *x = view->cells[view->column->rule_cell[a]],
                       *y = view->cells[view->column->rule_cell[b]];
        uint32_t word = 0;
        if (!x || !y)
            return false; /* not known: not claimed */
        while (word < view->words && !(x[word] & y[word]))
            word++;
        if (word == view->words)
            return false;
        checking->chosen[i] = word * 64 + (uint32_t)__builtin_ctzll(x[word] & y[word]);
    }
    return true;
}

static bool same_outputs(const struct table_code *table, int a, int b)
{
    if (table->results)
        return feel_equal(&table->results[a], &table->results[b]) == FEEL_TRUE;
    for (int i = 0; i < table->output_count; i++)
        if (!str_eq(str_trim(table->table->rules[a].outputs[i].text),
                    str_trim(table->table->rules[b].outputs[i].text)))
            return false;
    return true;
}

static enum err_code check_overlaps(struct checking *checking)
{
    const struct table_code *table = checking->table;
    const enum dmn_hit_policy policy = table->table->hit_policy;
    if (policy != DMN_HIT_UNIQUE && policy != DMN_HIT_ANY)
        return ERR_OK;
    for (int b = 1; b < table->rule_count; b++)
        for (int a = 0; a < b; a++)
            if (overlap(checking, a, b) && (policy == DMN_HIT_UNIQUE || !same_outputs(table, a, b))) {
                const enum err_code rc = report(checking, "dmn.overlap", true, b, a);
                if (rc)
                    return rc;
            }
    return ERR_OK;
}

/* FIRST: a rule that those before it cover wholly. */
static enum err_code check_dead(struct checking *checking)
{
    const struct table_code *table = checking->table;
    enum err_code rc = ERR_OK;
    int undecided = 0;
    if (table->table->hit_policy != DMN_HIT_FIRST)
        return ERR_OK;
    for (int rule = 1; rule < table->rule_count && rc == ERR_OK; rule++) {
        bool known = true;
        for (int i = 0; i < table->column_count && known; i++)
            known = checking->views[i].cells[checking->views[i].column->rule_cell[rule]] != NULL;
        if (!known)
            continue;
        rc = search(checking, rule, rule, true, DEAD_STEPS_MAX);
        if (checking->found)
            continue;
        if (checking->steps >= checking->steps_max)
            undecided++;
        else if (rc == ERR_OK)
            rc = report(checking, "dmn.dead_rule", false, rule, -1);
    }
    if (undecided > 0)
        report_left(checking, "dmn.check_dead_limit", undecided);
    return rc;
}

/* Cells whose domain is not known, since they compute: gaps take them to hold, overlaps are not claimed, and
 * tables with such cells are not searched for dead rules, where living ones would be taken for dead. */
static int unknown_cells(const struct checking *checking)
{
    int count = 0;
    for (int i = 0; i < checking->table->column_count; i++)
        for (int rule = 0; rule < checking->table->rule_count; rule++)
            count += !checking->views[i].cells[checking->views[i].column->rule_cell[rule]];
    return count;
}

static enum err_code check_table(struct checking *checking, const struct code *code)
{
    const struct table_code *table = code->table;
    checking->expr = code->expr;
    if (table->broken || table->rule_count == 0) /* loading has told what is broken */
        return ERR_OK;
    if (table->rule_count > CHECK_RULES_MAX) {
        report_left(checking, "dmn.check_rules", table->rule_count);
        return ERR_OK;
    }
    checking->work = arena_new(CHECK_BYTES_MAX);
    if (!checking->work)
        return err_nomem(checking->err);
    enum err_code rc = make_views(checking, table);
    assert(rc || checking->table);
    if (rc == ERR_OK)
        rc = check_gaps(checking);
    if (rc == ERR_OK)
        rc = check_overlaps(checking);
    const int unknown = rc == ERR_OK ? unknown_cells(checking) : 0;
    if (unknown > 0 && table->table->hit_policy != DMN_HIT_COLLECT)
        report_left(checking, "dmn.check_computed", unknown);
    else if (rc == ERR_OK && unknown == 0)
        rc = check_dead(checking);
    arena_free(checking->work);
    return rc;
}

static enum err_code check_code(struct checking *checking, const struct code *code)
{
    enum err_code rc = ERR_OK;
    if (!code)
        return ERR_OK;
    if (code->kind == DMN_EXPR_TABLE)
        return check_table(checking, code);
    for (int i = 0; i < code->part_count && rc == ERR_OK; i++)
        rc = check_code(checking, code->parts[i]); /* depth: the reader's */
    return rc;
}

enum err_code dmn_check(const struct dmn_model *model, struct arena *arena, int max, struct dmn_findings *out,
                        struct err *err)
{
    struct dmn_findings findings = { .max = max };
    struct checking checking = { .arena = arena, .out = &findings, .err = err, .model = model };
    enum err_code rc = ERR_OK;
    findings.items = arena_alloc(arena, (size_t)max + 1, sizeof(*findings.items));
    if (!findings.items)
        return err_nomem(err);
    for (int i = 0; i < model->node_count && rc == ERR_OK; i++) {
        checking.node = &model->nodes[i];
        if (model->nodes[i].unit == 0)
            rc = check_code(&checking, model->nodes[i].code);
    }
    if (rc == ERR_OK)
        *out = findings;
    return rc;
}
