/* index.c - columns of a decision table as rows of bits over the pieces of their domain. */
#include "dmn/table.h"

#include <assert.h>
#include <stdlib.h>

#define INDEX_WORK_MAX INT64_C(400000000) /* bits to set; a column that needs more is not indexed */

static const enum feel_kind KINDS[] = {
    FEEL_NUMBER, FEEL_STRING,        FEEL_BOOLEAN,         FEEL_DATE,
    FEEL_TIME,   FEEL_DAYS_DURATION, FEEL_MONTHS_DURATION, FEEL_DATE_TIME
};

static bool indexable_kind(enum feel_kind kind)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (KINDS[i] == kind)
            return true;
    return false;
}

static bool is_moment(enum feel_kind kind)
{
    return kind == FEEL_TIME || kind == FEEL_DATE_TIME;
}

static bool is_zoned(const struct feel_value *value)
{
    return is_moment(value->kind) && value->moment->zone_kind != FEEL_ZONE_NONE;
}

/* The kind of a test's constants; FEEL_NULL for the test `null`; FEEL__COUNT when it cannot be indexed. */
static enum feel_kind kind_of_test(const struct feel_test *test)
{
    if (test->kind == FEEL_TEST_EQUAL)
        return test->value.kind == FEEL_NULL || indexable_kind(test->value.kind) ? test->value.kind
                                                                                 : FEEL__COUNT;
    const struct feel_range *range = test->range;
    if (range->low_none && range->high_none)
        return FEEL__COUNT;
    const enum feel_kind low = range->low_none ? range->high.kind : range->low.kind,
                         high = range->high_none ? low : range->high.kind;
    if (!range->low_none && !range->high_none && is_zoned(&range->low) != is_zoned(&range->high))
        return FEEL__COUNT;
    return low == high && low != FEEL_BOOLEAN && indexable_kind(low) ? low : FEEL__COUNT;
}

static bool test_zoned(const struct feel_test *test)
{
    if (test->kind == FEEL_TEST_EQUAL)
        return is_zoned(&test->value);
    return is_zoned(test->range->low_none ? &test->range->high : &test->range->low);
}

/* A cell is static when each of its tests can be placed, and a negated one is of a single kind whose values
 * all have an order. */
static bool cell_static(const struct cell *cell)
{
    if (!cell->is_static)
        return false;
    for (size_t i = 0; i < cell->tests.count; i++) {
        const enum feel_kind kind = kind_of_test(&cell->tests.items[i]);
        if (kind == FEEL__COUNT || (cell->tests.negated && (kind == FEEL_NULL || is_moment(kind) ||
                                                            kind != kind_of_test(&cell->tests.items[0]))))
            return false;
    }
    return true;
}

/* -- points ------------------------------------------------------------------------------------------- */

static int compare_values(const void *a, const void *b)
{
    int order = 0;
    const struct feel_value *x = a, *y = b;
    if (x->kind == FEEL_BOOLEAN)
        return (int)x->boolean - (int)y->boolean;
    (void)feel_compare(x, y, &order); /* of one ordered kind */
    return order;
}

static struct pieces *pieces_for(struct column_index *index, const struct feel_value *value)
{
    for (int i = 0; i < index->piece_count; i++)
        if (index->pieces[i].kind == value->kind && index->pieces[i].zoned == is_zoned(value))
            return &index->pieces[i];
    return NULL;
}

static void add_point(struct column_index *index, const struct feel_value *value, bool count_only)
{
    if (value->kind == FEEL_NULL)
        return;
    struct pieces *pieces = pieces_for(index, value);
    if (!pieces) {
        assert(index->piece_count < INDEX_PIECES_MAX);
        pieces = &index->pieces[index->piece_count++];
        *pieces = (struct pieces) { .kind = value->kind, .zoned = is_zoned(value) };
    }
    assert(count_only || pieces->points); /* made between the two passes */
    if (!count_only)
        pieces->points[pieces->count] = *value;
    pieces->count++;
}

/* Every constant of the column; returns whether strings stand in ranges. */
static bool add_points(const struct column *column, struct column_index *index, bool count_only)
{
    bool string_ranges = false;
    for (int i = 0; i < column->cell_count; i++) {
        const struct cell *cell = &column->cells[i];
        for (size_t j = 0; cell_static(cell) && j < cell->tests.count; j++) {
            const struct feel_test *test = &cell->tests.items[j];
            if (test->kind == FEEL_TEST_EQUAL) {
                add_point(index, &test->value, count_only);
                continue;
            }
            string_ranges = string_ranges || kind_of_test(test) == FEEL_STRING;
            if (!test->range->low_none)
                add_point(index, &test->range->low, count_only);
            if (!test->range->high_none)
                add_point(index, &test->range->high, count_only);
        }
    }
    return string_ranges;
}

static bool scale_to(struct decimal number, int scale, int64_t *out)
{
    int64_t value;
    if (!decimal_is_small(number) || decimal_small_scale(number) > scale)
        return false;
    value = decimal_small_coefficient(number);
    for (int i = decimal_small_scale(number); i < scale; i++)
        if (__builtin_mul_overflow(value, INT64_C(10), &value))
            return false;
    *out = value;
    return true;
}

static enum err_code make_scaled(struct pieces *pieces, struct arena *arena)
{
    int scale = 0;
    for (int i = 0; i < pieces->count; i++) {
        if (!decimal_is_small(pieces->points[i].number))
            return ERR_OK;
        if (decimal_small_scale(pieces->points[i].number) > scale)
            scale = decimal_small_scale(pieces->points[i].number);
    }
    int64_t *scaled = arena_alloc(arena, (size_t)pieces->count, sizeof(*scaled));
    if (!scaled)
        return ERR_NOMEM;
    for (int i = 0; i < pieces->count; i++)
        if (!scale_to(pieces->points[i].number, scale, &scaled[i]))
            return ERR_OK;
    pieces->scaled = scaled;
    pieces->scale = scale;
    return ERR_OK;
}

static enum err_code make_hash(struct pieces *pieces, struct arena *arena)
{
    uint32_t size = 4;
    while (size < (uint32_t)pieces->count * 2)
        size *= 2;
    pieces->hash = arena_alloc(arena, size, sizeof(*pieces->hash));
    if (!pieces->hash)
        return ERR_NOMEM;
    pieces->hash_mask = size - 1;
    for (int i = 0; i < pieces->count; i++) {
        uint32_t at = (uint32_t)str_hash(pieces->points[i].string) & pieces->hash_mask;
        while (pieces->hash[at])
            at = (at + 1) & pieces->hash_mask;
        pieces->hash[at] = (uint32_t)i + 1;
    }
    return ERR_OK;
}

static enum err_code collect_points(const struct column *column, struct column_index *index,
                                    struct arena *arena)
{
    (void)add_points(column, index, true);
    for (int i = 0; i < index->piece_count; i++) {
        struct pieces *pieces = &index->pieces[i];
        pieces->points = arena_alloc(arena, (size_t)pieces->count, sizeof(*pieces->points));
        if (!pieces->points)
            return ERR_NOMEM;
        pieces->count = 0;
    }
    const bool string_ranges = add_points(column, index, false);
    for (int i = 0; i < index->piece_count; i++) {
        struct pieces *pieces = &index->pieces[i];
        int distinct = 0;
        enum err_code rc = ERR_OK;
        qsort(pieces->points, (size_t)pieces->count, sizeof(*pieces->points), compare_values);
        for (int j = 0; j < pieces->count; j++)
            if (distinct == 0 || compare_values(&pieces->points[distinct - 1], &pieces->points[j]) != 0)
                pieces->points[distinct++] = pieces->points[j];
        pieces->count = distinct;
        pieces->base = index->row_count;
        index->row_count += 2 * (uint32_t)distinct + 1;
        if (pieces->kind == FEEL_NUMBER)
            rc = make_scaled(pieces, arena);
        else if (pieces->kind == FEEL_STRING && !string_ranges)
            rc = make_hash(pieces, arena);
        if (rc)
            return rc;
    }
    index->null_row = index->row_count++;
    return ERR_OK;
}

/* -- finding ------------------------------------------------------------------------------------------- */

static uint32_t find_scaled(const struct pieces *pieces, int64_t value, bool above)
{
    const int64_t *base = pieces->scaled;
    int n = pieces->count;
    while (n > 1) { /* branchless: the last point <= value */
        const int half = n / 2;
        base = base[half] <= value ? base + half : base;
        n -= half;
    }
    const uint32_t at = (uint32_t)(base - pieces->scaled);
    if (*base > value)
        return 2 * at;
    return *base == value && !above ? 2 * at + 1 : 2 * at + 2;
}

static uint32_t find_number(const struct pieces *pieces, struct decimal number, bool *out_done)
{
    int64_t value;
    *out_done = true;
    if (scale_to(number, pieces->scale, &value))
        return find_scaled(pieces, value, false);
    if (decimal_is_small(number) && decimal_small_scale(number) > pieces->scale) {
        int64_t coefficient = decimal_small_coefficient(number), unit = 1;
        for (int i = pieces->scale; i < decimal_small_scale(number); i++)
            unit *= 10; /* scales are at most 18 */
        int64_t floor = coefficient / unit;
        const int64_t left = coefficient % unit;
        if (left < 0)
            floor--;
        return find_scaled(pieces, floor, left != 0);
    }
    *out_done = false;
    return 0;
}

uint32_t dmn_pieces_find(const struct pieces *pieces, const struct feel_value *value)
{
    if (pieces->scaled) {
        bool done;
        const uint32_t at = find_number(pieces, value->number, &done);
        if (done)
            return at;
    }
    if (pieces->hash) {
        uint32_t at = (uint32_t)str_hash(value->string) & pieces->hash_mask;
        for (; pieces->hash[at]; at = (at + 1) & pieces->hash_mask)
            if (str_eq(pieces->points[pieces->hash[at] - 1].string, value->string))
                return 2 * pieces->hash[at] - 1;
        return 0; /* none of them: every gap is like every other */
    }
    int low = 0, high = pieces->count; /* the first point > value is at `high` */
    while (low < high) {
        const int middle = low + (high - low) / 2, order = compare_values(&pieces->points[middle], value);
        if (order == 0)
            return 2 * (uint32_t)middle + 1;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 2 * (uint32_t)low;
}

int64_t dmn_index_row(const struct column_index *index, const struct feel_value *value)
{
    if (value->kind == FEEL_NULL)
        return index->null_row;
    for (int i = 0; i < index->piece_count; i++)
        if (index->pieces[i].kind == value->kind && index->pieces[i].zoned == is_zoned(value))
            return (int64_t)index->pieces[i].base + dmn_pieces_find(&index->pieces[i], value);
    return -1;
}

bool dmn_pieces_of_test(const struct pieces *pieces, const struct feel_test *test, uint32_t *low,
                        uint32_t *high)
{
    if (kind_of_test(test) != pieces->kind || test_zoned(test) != pieces->zoned)
        return false;
    if (test->kind == FEEL_TEST_EQUAL) {
        *low = *high = dmn_pieces_find(pieces, &test->value);
        return true;
    }
    const struct feel_range *range = test->range;
    *low = range->low_none ? 0 : dmn_pieces_find(pieces, &range->low) + !range->low_closed;
    *high = range->high_none ? 2 * (uint32_t)pieces->count
                             : dmn_pieces_find(pieces, &range->high) - !range->high_closed;
    return *low <= *high; /* the ends are points: odd, so the subtraction stays in */
}

/* -- rows ---------------------------------------------------------------------------------------------- */

/* Calls fn for every run of rows in which the static cell holds. */
struct building {
    struct column_index *index;
    const struct column *column;
    const struct table_code *table;
    int64_t work;
    bool fill;
    const bool *holds_null; /* one a cell */
};

static void mark(struct building *building, uint32_t low, uint32_t high, int rule)
{
    const uint32_t word = (uint32_t)rule / 64;
    building->work += (int64_t)high - low + 1;
    if (building->work > INDEX_WORK_MAX)
        return;
    for (uint32_t i = low; i <= high; i++) {
        struct row *row = &building->index->rows[i];
        if (building->fill) {
            row->bits[word - row->first] |= UINT64_C(1) << (rule % 64);
        } else if (row->count == 0) {
            row->first = word;
            row->count = 1;
        } else { /* rules come in order: only the end moves */
            row->count = word - row->first + 1;
        }
    }
}

/* The complement of the tests within one kind's pieces. */
static void mark_negated(struct building *building, const struct cell *cell, const struct pieces *pieces,
                         int rule)
{
    const uint32_t end = 2 * (uint32_t)pieces->count;
    for (uint32_t piece = 0; piece <= end; piece++) {
        bool holds = false;
        for (size_t i = 0; i < cell->tests.count && !holds; i++) {
            uint32_t low, high;
            holds = dmn_pieces_of_test(pieces, &cell->tests.items[i], &low, &high) && low <= piece &&
                    piece <= high;
        }
        if (!holds)
            mark(building, pieces->base + piece, pieces->base + piece, rule);
    }
}

static void mark_cell(struct building *building, uint32_t cell_index, int rule)
{
    const struct cell *cell = &building->column->cells[cell_index];
    for (int k = 0; k < building->index->piece_count; k++) {
        const struct pieces *pieces = &building->index->pieces[k];
        if (cell->tests.negated) {
            if (cell->tests.count > 0 && kind_of_test(&cell->tests.items[0]) == pieces->kind)
                mark_negated(building, cell, pieces, rule);
            continue;
        }
        for (size_t i = 0; i < cell->tests.count; i++) {
            uint32_t low, high;
            if (dmn_pieces_of_test(pieces, &cell->tests.items[i], &low, &high))
                mark(building, pieces->base + low, pieces->base + high, rule);
        }
    }
    if (building->holds_null[cell_index])
        mark(building, building->index->null_row, building->index->null_row, rule);
}

static void mark_all(struct building *building)
{
    for (int rule = 0; rule < building->table->rule_count && building->work <= INDEX_WORK_MAX; rule++) {
        const uint32_t cell = building->column->rule_cell[rule];
        if (!building->column->cells[cell].any && cell_static(&building->column->cells[cell]))
            mark_cell(building, cell, rule);
    }
}

/* What each static cell says to null: asked of the cell itself. */
static enum err_code ask_null(const struct table_code *table, const struct column *column, bool *holds)
{
    enum err_code rc = ERR_OK;
    struct arena *scratch = arena_new((size_t)16 << 20);
    struct feel_value *slots =
        scratch ? arena_alloc(scratch, (size_t)table->test_slot + 1, sizeof(*slots)) : NULL;
    struct feel_eval *ev = scratch ? arena_alloc(scratch, 1, sizeof(*ev)) : NULL;
    if (!slots || !ev) {
        arena_free(scratch);
        return ERR_NOMEM;
    }
    const struct arena_mark start = arena_mark(scratch);
    for (int i = 0; i < column->cell_count && rc == ERR_OK; i++) {
        enum feel_truth truth = FEEL_UNKNOWN;
        if (!cell_static(&column->cells[i]))
            continue;
        feel_eval_init(ev, scratch);
        rc = feel_test(column->cells[i].program, ev, slots, &truth, NULL);
        holds[i] = truth == FEEL_TRUE;
        arena_release(scratch, start);
    }
    arena_free(scratch);
    return rc;
}

static enum err_code set_bits(const struct table_code *table, const struct column *column,
                              struct column_index *index, struct arena *arena)
{
    uint64_t *any = arena_alloc(arena, (size_t)table->words, sizeof(*any));
    uint64_t *rest = arena_alloc(arena, (size_t)table->words, sizeof(*rest));
    bool has_rest = false;
    if (!any || !rest)
        return ERR_NOMEM;
    for (int rule = 0; rule < table->rule_count; rule++) {
        const struct cell *cell = &column->cells[column->rule_cell[rule]];
        const uint64_t bit = UINT64_C(1) << (rule % 64);
        if (cell->any) {
            any[rule / 64] |= bit;
            index->has_any = true;
        } else if (!cell_static(cell)) { /* a candidate everywhere, looked at afterwards */
            any[rule / 64] |= bit;
            rest[rule / 64] |= bit;
            index->has_any = has_rest = true;
        }
    }
    index->any = any;
    index->rest = has_rest ? rest : NULL;
    return ERR_OK;
}

static enum err_code build_rows(const struct table_code *table, const struct column *column,
                                struct column_index *index, struct arena *arena, bool *out_fits)
{
    size_t words = 0;
    bool *holds_null = arena_alloc(arena, (size_t)column->cell_count + 1, sizeof(*holds_null));
    index->rows = arena_alloc(arena, index->row_count, sizeof(*index->rows));
    if (!holds_null || !index->rows)
        return ERR_NOMEM;
    enum err_code rc = ask_null(table, column, holds_null);
    if (rc)
        return rc;
    struct building building = { .index = index, .column = column, .table = table, .holds_null = holds_null };
    mark_all(&building);
    for (uint32_t i = 0; i < index->row_count; i++)
        words += index->rows[i].count;
    *out_fits = building.work <= INDEX_WORK_MAX && words * sizeof(uint64_t) <= TABLE_INDEX_BYTES_MAX;
    if (!*out_fits)
        return ERR_OK;
    uint64_t *bits = arena_alloc(arena, words + 1, sizeof(*bits));
    if (!bits)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < index->row_count; i++) {
        index->rows[i].bits = bits;
        bits += index->rows[i].count;
    }
    building.fill = true;
    building.work = 0;
    mark_all(&building);
    return set_bits(table, column, index, arena);
}

static enum err_code build_column(struct table_code *table, struct column *column, struct arena *arena)
{
    bool fits = false;
    int statics = 0;
    for (int i = 0; i < column->cell_count; i++)
        statics += !column->cells[i].any && cell_static(&column->cells[i]);
    if (statics == 0)
        return ERR_OK;
    struct column_index *index = arena_alloc(arena, 1, sizeof(*index));
    if (!index)
        return ERR_NOMEM;
    enum err_code rc = collect_points(column, index, arena);
    if (rc == ERR_OK)
        rc = build_rows(table, column, index, arena, &fits);
    if (rc == ERR_OK && fits) {
        column->index = index;
        table->indexed = true;
    }
    return rc;
}

enum err_code dmn_index_build(struct table_code *table, struct arena *arena, struct err *err)
{
    for (int i = 0; i < table->column_count; i++) {
        const enum err_code rc = build_column(table, &table->columns[i], arena);
        if (rc)
            return rc == ERR_NOMEM ? err_nomem(err) : err_set(err, rc, "dmn.call_depth", ARG_END);
    }
    return ERR_OK;
}
