/* table.c - decision tables: compiled by column, evaluated by hit policy. */
#include "dmn/table.h"

#include <stdlib.h>

/* -- compiling ----------------------------------------------------------------------------------------- */

static bool says_nothing(struct str text)
{
    text = str_trim(text);
    return text.len == 0 || str_eq(text, STR("-"));
}

/* The slot of a name that an input expression consists of; -1. */
static int slot_of(const struct compiler *compiler, struct str text)
{
    text = str_trim(text);
    for (int i = compiler->name_count - 1; i >= 0; i--)
        if (str_eq(compiler->names[i].name, text))
            return i;
    return -1;
}

static enum err_code compile_input(struct compiler *compiler, const struct dmn_input *input,
                                   struct column *column, struct table_code *table)
{
    const struct dmn_text text = { .text = input->expr.text,
                                   .id = input->expr.id.len > 0 ? input->expr.id : input->id,
                                   .line = input->expr.line };
    enum err_code rc = ERR_OK;
    column->input = input;
    column->type = dmn_type_of(compiler, input->type_ref, input->line, input->id);
    column->slot = slot_of(compiler, text.text);
    if (column->slot >= 0) {
        if (!column->type)
            column->type = NULL; /* the variable was coerced already */
        return ERR_OK;
    }
    if (str_trim(text.text).len == 0) {
        struct err err = { 0 };
        (void)err_set(&err, ERR_INVALID, "dmn.no_input", ARG_END);
        compiler_finding(compiler, &text, &err);
        return ERR_OK;
    }
    rc = compiler_text(compiler, &text, FEEL_EXPRESSION, &column->program, &column->broken);
    table->broken = table->broken || column->broken;
    return rc;
}

static const struct feel_type *column_type(const struct compiler *compiler, const struct column *column)
{
    if (column->type)
        return column->type;
    if (column->slot >= 0)
        return compiler->names[column->slot].type;
    return column->program ? feel_program_type(column->program) : NULL;
}

/* Distinct cells of a column by their text. */
struct seen {
    uint32_t *slots; /* cell + 1, 0 = free */
    struct str *texts;
    uint32_t mask;
};

static uint32_t seen_find(const struct seen *seen, struct str text)
{
    uint32_t at = (uint32_t)str_hash(text) & seen->mask;
    while (seen->slots[at] && !str_eq(seen->texts[seen->slots[at] - 1], text))
        at = (at + 1) & seen->mask;
    return at;
}

static enum err_code compile_cell(struct compiler *compiler, const struct dmn_text *text, struct cell *cell)
{
    if (says_nothing(text->text)) {
        cell->any = true;
        return ERR_OK;
    }
    const enum err_code rc = compiler_text(compiler, text, FEEL_UNARY_TESTS, &cell->program, &cell->broken);
    if (rc || !cell->program)
        return rc;
    cell->is_static = feel_program_tests(cell->program, compiler->arena, &cell->tests);
    cell->any = cell->is_static && cell->tests.any && !cell->tests.negated;
    return ERR_OK;
}

static enum err_code compile_column(struct compiler *compiler, const struct dmn_table *source, int index,
                                    struct table_code *table)
{
    struct column *column = &table->columns[index];
    struct seen seen = { .mask = 15 };
    while (seen.mask < 2 * (uint32_t)table->rule_count)
        seen.mask = 2 * seen.mask + 1;
    seen.slots = arena_alloc(compiler->arena, (size_t)seen.mask + 1, sizeof(*seen.slots));
    seen.texts = arena_alloc(compiler->arena, (size_t)table->rule_count + 1, sizeof(*seen.texts));
    column->cells = arena_alloc(compiler->arena, (size_t)table->rule_count + 1, sizeof(*column->cells));
    column->rule_cell =
        arena_alloc(compiler->arena, (size_t)table->rule_count + 1, sizeof(*column->rule_cell));
    if (!seen.slots || !seen.texts || !column->cells || !column->rule_cell)
        return err_nomem(compiler->err);
    compiler->column = index + 1;
    for (int rule = 0; rule < table->rule_count; rule++) {
        const struct dmn_text *text = &source->rules[rule].inputs[index];
        const uint32_t at = seen_find(&seen, text->text);
        if (!seen.slots[at]) {
            compiler->rule = rule + 1;
            const enum err_code rc = compile_cell(compiler, text, &column->cells[column->cell_count]);
            if (rc)
                return rc;
            table->broken = table->broken || column->cells[column->cell_count].broken;
            seen.texts[column->cell_count++] = text->text;
            seen.slots[at] = (uint32_t)column->cell_count;
        }
        column->rule_cell[rule] = seen.slots[at] - 1;
    }
    compiler->rule = 0;
    for (int i = 0; i < column->cell_count; i++) /* side by side in memory */
        if (column->cells[i].program && !column->cells[i].is_static)
            column->cells[i].quick = feel_quick_new(column->cells[i].program, compiler->arena);
    column->distinct = 2 * column->cell_count > table->rule_count;
    return ERR_OK;
}

static enum err_code compile_inputs(struct compiler *compiler, const struct dmn_table *source,
                                    struct table_code *table)
{
    enum err_code rc = ERR_OK;
    table->column_count = source->input_count;
    table->columns = arena_alloc(compiler->arena, (size_t)source->input_count + 1, sizeof(*table->columns));
    if (!table->columns)
        return err_nomem(compiler->err);
    for (int i = 0; i < source->input_count && rc == ERR_OK; i++) {
        compiler->column = i + 1;
        rc = compile_input(compiler, &source->inputs[i], &table->columns[i], table);
    }
    const int names = compiler->name_count;
    for (int i = 0; i < source->input_count && rc == ERR_OK; i++) {
        bool broken = false;
        rc = compiler_name(compiler, STR("?"), column_type(compiler, &table->columns[i]), &table->test_slot);
        if (rc == ERR_OK && !says_nothing(source->inputs[i].values.text)) {
            compiler->column = i + 1;
            rc = compiler_text(compiler, &source->inputs[i].values, FEEL_UNARY_TESTS,
                               &table->columns[i].values, &broken);
        }
        if (rc == ERR_OK)
            rc = compile_column(compiler, source, i, table);
        compiler_leave(compiler, names);
    }
    return rc;
}

/* A cell is evaluated once however many rules have it: columns with few distinct ones are the cheapest to
 * ask, and those whose cells doubles can answer. */
#define SLOW_COST 16 /* of a program, as a multiple of a quick cell */

static int64_t look_cost(const struct column *column)
{
    int64_t cost = 0;
    for (int i = 0; i < column->cell_count; i++)
        cost += column->cells[i].quick ? 1 : SLOW_COST;
    return cost;
}

static enum err_code order_columns(struct compiler *compiler, struct table_code *table)
{
    table->look_order = arena_alloc(compiler->arena, (size_t)table->column_count + 1, sizeof(int));
    if (!table->look_order)
        return err_nomem(compiler->err);
    for (int i = 0; i < table->column_count; i++) {
        int at = i;
        for (;
             at > 0 && look_cost(&table->columns[table->look_order[at - 1]]) > look_cost(&table->columns[i]);
             at--)
            table->look_order[at] = table->look_order[at - 1];
        table->look_order[at] = i;
    }
    return ERR_OK;
}

/* The values of an output, best first: of its clause, else of its type. */
static enum err_code output_order(struct compiler *compiler, struct output *output)
{
    const struct feel_program *program = NULL;
    struct feel_tests tests;
    bool broken = false;
    enum err_code rc = ERR_OK;
    int slot;
    if (!says_nothing(output->output->values.text)) {
        const int names = compiler->name_count;
        rc = compiler_name(compiler, STR("?"), output->type, &slot);
        if (rc == ERR_OK)
            rc = compiler_text(compiler, &output->output->values, FEEL_UNARY_TESTS, &program, &broken);
        compiler_leave(compiler, names);
    } else if (output->type) {
        program = output->type->allowed;
    }
    if (rc || !program || !feel_program_tests(program, compiler->arena, &tests) || tests.negated)
        return rc;
    output->order = arena_alloc(compiler->arena, tests.count + 1, sizeof(*output->order));
    if (!output->order)
        return err_nomem(compiler->err);
    for (size_t i = 0; i < tests.count; i++)
        if (tests.items[i].kind == FEEL_TEST_EQUAL)
            output->order[output->order_count++] = tests.items[i].value;
    return ERR_OK;
}

static enum err_code compile_output(struct compiler *compiler, const struct dmn_table *source, int index,
                                    const struct dmn_expr *expr, struct table_code *table)
{
    struct output *output = &table->outputs[index];
    bool broken = false;
    enum err_code rc = ERR_OK;
    output->output = &source->outputs[index];
    output->type = dmn_type_of(compiler, output->output->type_ref, output->output->line, output->output->id);
    (void)expr;
    output->programs =
        arena_alloc(compiler->arena, (size_t)source->rule_count + 1, sizeof(struct feel_program *));
    if (!output->programs)
        return err_nomem(compiler->err);
    compiler->column = source->input_count + index + 1;
    for (int rule = 0; rule < source->rule_count && rc == ERR_OK; rule++) {
        compiler->rule = rule + 1;
        if (!says_nothing(source->rules[rule].outputs[index].text))
            rc = compiler_text(compiler, &source->rules[rule].outputs[index], FEEL_EXPRESSION,
                               &output->programs[rule], &broken);
    }
    compiler->rule = 0;
    if (rc == ERR_OK && str_trim(output->output->fallback.text).len > 0) {
        output->has_fallback = true;
        rc = compiler_text(compiler, &output->output->fallback, FEEL_EXPRESSION, &output->fallback, &broken);
    }
    table->broken = table->broken || broken;
    return rc ? rc : output_order(compiler, output);
}

/* The result of a rule whose outputs are all constants. */
static bool constant_result(struct feel_eval *ev, const struct table_code *table, int rule,
                            struct feel_entry *entries, struct feel_value *out)
{
    for (int i = 0; i < table->output_count; i++) {
        const struct output *output = &table->outputs[i];
        struct feel_value value = feel_null();
        if (output->programs[rule] && !feel_program_constant(output->programs[rule], &value))
            return false;
        entries[i].key = output->output->name;
        if (!dmn_coerce(ev, &value, output->type, &entries[i].value))
            return false; /* said at each evaluation */
    }
    *out = table->output_count == 1 ? entries[0].value : feel_context(entries, (size_t)table->output_count);
    return true;
}

static enum err_code constant_results(struct compiler *compiler, struct table_code *table)
{
    const size_t rules = (size_t)table->rule_count, outputs = (size_t)table->output_count;
    struct feel_value *results = arena_alloc(compiler->arena, rules + 1, sizeof(*results));
    struct feel_entry *entries = arena_alloc(compiler->arena, rules * outputs + 1, sizeof(*entries));
    struct feel_eval *ev = arena_alloc(compiler->arena, 1, sizeof(*ev));
    if (!results || !entries || !ev)
        return err_nomem(compiler->err);
    feel_eval_init(ev, compiler->arena);
    for (int rule = 0; rule < table->rule_count; rule++)
        if (!constant_result(ev, table, rule, entries + (size_t)rule * outputs, &results[rule]))
            return ERR_OK;
    table->results = results;
    return ERR_OK;
}

/* What is known of the result while compiling. */
static const struct feel_type *known_type(struct compiler *compiler, const struct table_code *table,
                                          enum err_code *rc)
{
    const struct feel_type *one = NULL;
    const enum dmn_hit_policy policy = table->table->hit_policy;
    if (table->output_count == 1) {
        one = table->outputs[0].type;
    } else {
        struct feel_type_field *fields =
            arena_alloc(compiler->arena, (size_t)table->output_count, sizeof(*fields));
        for (int i = 0; fields && i < table->output_count; i++)
            fields[i] = (struct feel_type_field) { table->outputs[i].output->name, table->outputs[i].type };
        one = fields ? feel_type_context(compiler->arena, fields, (size_t)table->output_count) : NULL;
        *rc = one ? ERR_OK : err_nomem(compiler->err);
    }
    if (table->table->aggregation != DMN_AGG_NONE)
        return NULL;
    if (policy == DMN_HIT_COLLECT || policy == DMN_HIT_RULE_ORDER || policy == DMN_HIT_OUTPUT_ORDER)
        one = feel_type_list(compiler->arena, one);
    return one;
}

enum err_code dmn_compile_table(struct compiler *compiler, const struct dmn_expr *expr, struct code *code)
{
    const struct dmn_table *source = expr->table;
    struct table_code *table = arena_alloc(compiler->arena, 1, sizeof(*table));
    enum err_code rc;
    if (!table)
        return err_nomem(compiler->err);
    table->table = source;
    table->rule_count = source->rule_count;
    table->output_count = source->output_count;
    table->words = (source->rule_count + 63) / 64;
    table->outputs = arena_alloc(compiler->arena, (size_t)source->output_count, sizeof(*table->outputs));
    if (!table->outputs)
        return err_nomem(compiler->err);
    rc = compile_inputs(compiler, source, table);
    if (rc == ERR_OK)
        rc = order_columns(compiler, table);
    for (int i = 0; i < source->output_count && rc == ERR_OK; i++)
        rc = compile_output(compiler, source, i, expr, table);
    compiler->column = 0;
    if (rc == ERR_OK && !table->broken)
        rc = constant_results(compiler, table);
    if (rc == ERR_OK && !table->broken && table->rule_count >= TABLE_INDEX_RULES_MIN)
        rc = dmn_index_build(table, compiler->arena, compiler->err);
    code->table = table;
    code->broken = table->broken;
    if (rc == ERR_OK)
        code->known = known_type(compiler, table, &rc);
    return rc;
}

/* -- evaluating ---------------------------------------------------------------------------------------- */

/* The rules that hold, as far as the hit policy wants to know them. */
struct hits {
    int *rules;
    int count, max;
};

static enum err_code rule_output(struct match *match, int rule, struct feel_value *out)
{
    const struct table_code *table = match->table;
    if (table->results) {
        *out = table->results[rule];
        return ERR_OK;
    }
    struct feel_entry *entries =
        arena_alloc(match->run->ev->arena, (size_t)table->output_count, sizeof(*entries));
    if (!entries)
        return ERR_NOMEM;
    for (int i = 0; i < table->output_count; i++) {
        const struct output *output = &table->outputs[i];
        struct feel_value value = feel_null();
        if (output->programs[rule]) {
            const enum err_code rc =
                feel_evaluate(output->programs[rule], match->run->ev, match->slots, &value, NULL);
            if (rc)
                return rc;
        }
        entries[i].key = output->output->name;
        (void)dmn_coerce(match->run->ev, &value, output->type, &entries[i].value);
    }
    *out = table->output_count == 1 ? entries[0].value : feel_context(entries, (size_t)table->output_count);
    return ERR_OK;
}

static enum err_code add_hit(struct match *match, struct hits *hits, int rule)
{
    if (hits->count == hits->max) {
        const int max = hits->max > 0 ? 4 * hits->max : 16;
        int *rules = arena_alloc(match->run->ev->arena, (size_t)max, sizeof(*rules));
        if (!rules)
            return ERR_NOMEM;
        if (hits->count > 0)
            memcpy(rules, hits->rules, (size_t)hits->count * sizeof(*rules));
        hits->rules = rules;
        hits->max = max;
    }
    hits->rules[hits->count++] = rule;
    return ERR_OK;
}

/* FIRST needs one hit, UNIQUE two to say no, the others all. */
static enum err_code find_hits(struct match *match, struct hits *hits)
{
    const enum dmn_hit_policy policy = match->table->table->hit_policy;
    const int enough = policy == DMN_HIT_FIRST ? 1 : policy == DMN_HIT_UNIQUE ? 2 : INT32_MAX;
    int rule = 0;
    while (hits->count < enough) {
        enum err_code rc = dmn_match_next(match, rule, &rule);
        if (rc == ERR_OK && rule >= 0)
            rc = add_hit(match, hits, rule);
        if (rc || rule < 0)
            return rc;
        rule++;
    }
    return ERR_OK;
}

static size_t rank(const struct output *output, const struct feel_value *value)
{
    size_t i = 0;
    while (i < output->order_count && feel_equal(&output->order[i], value) != FEEL_TRUE)
        i++;
    return i;
}

static const struct feel_value *component(const struct table_code *table, const struct feel_value *result,
                                          int i)
{
    return table->output_count == 1 ? result : &result->context.entries[i].value;
}

/* Sorts the results by the priority of their outputs, from left to right; equal ones stay in rule order. */
static enum err_code sort_by_priority(struct match *match, struct feel_value *results, int *rules, int count)
{
    const struct table_code *table = match->table;
    const size_t width = (size_t)table->output_count;
    size_t *ranks = arena_alloc(match->run->ev->arena, (size_t)count * width + 1, sizeof(*ranks));
    if (!ranks)
        return ERR_NOMEM;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < table->output_count; j++)
            ranks[(size_t)i * width + (size_t)j] = rank(&table->outputs[j], component(table, &results[i], j));
    for (int i = 1; i < count; i++) /* insertion keeps the order of equals; hits are few */
        for (int j = i; j > 0; j--) {
            size_t *a = ranks + (size_t)(j - 1) * width, *b = ranks + (size_t)j * width, k = 0;
            while (k < width && a[k] == b[k])
                k++;
            if (k == width || a[k] < b[k])
                break;
            for (k = 0; k < width; k++) {
                const size_t swap = a[k];
                a[k] = b[k];
                b[k] = swap;
            }
            const struct feel_value value = results[j];
            results[j] = results[j - 1];
            results[j - 1] = value;
            const int rule = rules[j];
            rules[j] = rules[j - 1];
            rules[j - 1] = rule;
        }
    return ERR_OK;
}

static enum err_code aggregate(struct match *match, const struct feel_value *list, struct feel_value *out)
{
    static const struct {
        const char *ptr;
        size_t len;
    } names[DMN_AGG__COUNT] = { { "", 0 }, { "sum", 3 }, { "count", 5 }, { "min", 3 }, { "max", 3 } };
    const enum dmn_aggregation how = match->table->table->aggregation;
    struct decimal sum = decimal_i64(0);
    struct feel_value function;
    if (how == DMN_AGG_COUNT) {
        *out = feel_i64((int64_t)list->list.count);
        return ERR_OK;
    }
    bool plain = how == DMN_AGG_SUM && list->list.count > 0;
    for (size_t i = 0; i < list->list.count && plain; i++)
        plain = list->list.items[i].kind == FEEL_NUMBER && decimal_add(sum, list->list.items[i].number, &sum);
    if (plain) {
        *out = feel_number(sum);
        return ERR_OK;
    }
    const struct str name = { names[how].ptr, names[how].len };
    if (list->list.count == 0 || !feel_function_builtin(match->run->ev->arena, name, &function))
        return ERR_OK; /* null */
    return feel_call(match->run->ev, &function, list, 1, out, NULL);
}

/* One aggregate a column of outputs. */
static enum err_code aggregate_all(struct match *match, const struct feel_value *results, int count,
                                   struct feel_value *out)
{
    const struct table_code *table = match->table;
    const struct feel_value list = feel_list(results, (size_t)count);
    if (table->output_count == 1 || table->table->aggregation == DMN_AGG_COUNT)
        return aggregate(match, &list, out);
    struct arena *arena = match->run->ev->arena;
    struct feel_entry *entries = arena_alloc(arena, (size_t)table->output_count, sizeof(*entries));
    struct feel_value *column = arena_alloc(arena, (size_t)count + 1, sizeof(*column));
    if (!entries || !column)
        return ERR_NOMEM;
    for (int i = 0; i < table->output_count; i++) {
        for (int j = 0; j < count; j++)
            column[j] = *component(table, &results[j], i);
        const struct feel_value one = feel_list(column, (size_t)count);
        entries[i].key = table->outputs[i].output->name;
        const enum err_code rc = aggregate(match, &one, &entries[i].value);
        if (rc)
            return rc;
    }
    *out = feel_context(entries, (size_t)table->output_count);
    return ERR_OK;
}

static enum err_code fallback(struct match *match, struct feel_value *out, bool *out_given)
{
    const struct table_code *table = match->table;
    *out_given = false;
    for (int i = 0; i < table->output_count; i++)
        *out_given = *out_given || table->outputs[i].has_fallback;
    if (!*out_given)
        return ERR_OK;
    struct feel_entry *entries =
        arena_alloc(match->run->ev->arena, (size_t)table->output_count, sizeof(*entries));
    if (!entries)
        return ERR_NOMEM;
    for (int i = 0; i < table->output_count; i++) {
        const struct output *output = &table->outputs[i];
        struct feel_value value = feel_null();
        entries[i].key = output->output->name;
        if (output->fallback) {
            const enum err_code rc =
                feel_evaluate(output->fallback, match->run->ev, match->slots, &value, NULL);
            if (rc)
                return rc;
        }
        (void)dmn_coerce(match->run->ev, &value, output->type, &entries[i].value);
    }
    *out = table->output_count == 1 ? entries[0].value : feel_context(entries, (size_t)table->output_count);
    return ERR_OK;
}

static enum err_code no_hit(struct match *match, struct feel_value *out)
{
    const struct dmn_table *table = match->table->table;
    struct feel_value value = feel_null();
    bool given;
    const enum err_code rc = fallback(match, &value, &given);
    if (rc)
        return rc;
    const bool list = table->aggregation == DMN_AGG_NONE &&
                      (table->hit_policy == DMN_HIT_COLLECT || table->hit_policy == DMN_HIT_RULE_ORDER ||
                       table->hit_policy == DMN_HIT_OUTPUT_ORDER);
    if (given && list) {
        struct feel_value *items = arena_alloc(match->run->ev->arena, 1, sizeof(*items));
        if (!items)
            return ERR_NOMEM;
        items[0] = value;
        value = feel_list(items, 1);
    } else if (!given && table->aggregation == DMN_AGG_COUNT) {
        value = feel_i64(0);
    } else if (!given && list && table->hit_policy == DMN_HIT_COLLECT) {
        value = feel_list(NULL, 0);
    } else if (!given) {
        feel_warn(match->run->ev, "dmn.no_rule", STR(""));
    }
    *out = value;
    return ERR_OK;
}

static enum err_code all_outputs(struct match *match, const struct hits *hits, struct feel_value **out)
{
    struct feel_value *results =
        arena_alloc(match->run->ev->arena, (size_t)hits->count + 1, sizeof(*results));
    if (!results)
        return ERR_NOMEM;
    for (int i = 0; i < hits->count; i++) {
        const enum err_code rc = rule_output(match, hits->rules[i], &results[i]);
        if (rc)
            return rc;
    }
    *out = results;
    return ERR_OK;
}

/* What the hits give; hits->count may shrink to those that are part of the result. */
static enum err_code apply_policy(struct match *match, struct hits *hits, struct feel_value *out)
{
    const struct dmn_table *table = match->table->table;
    struct feel_value *results = NULL;
    enum err_code rc = ERR_OK;

    if (hits->count == 0)
        return no_hit(match, out);
    if (table->hit_policy == DMN_HIT_UNIQUE && hits->count > 1) {
        feel_warn(match->run->ev, "dmn.not_unique", STR(""));
        hits->count = 0;
        return ERR_OK;
    }
    if (table->hit_policy == DMN_HIT_UNIQUE || table->hit_policy == DMN_HIT_FIRST) {
        hits->count = 1;
        return rule_output(match, hits->rules[0], out);
    }
    rc = all_outputs(match, hits, &results);
    if (rc)
        return rc;
    if (table->hit_policy == DMN_HIT_ANY) {
        for (int i = 1; i < hits->count; i++)
            if (feel_equal(&results[0], &results[i]) != FEEL_TRUE) {
                feel_warn(match->run->ev, "dmn.not_any", STR(""));
                hits->count = 0;
                return ERR_OK;
            }
        *out = results[0];
        return ERR_OK;
    }
    if (table->hit_policy == DMN_HIT_PRIORITY || table->hit_policy == DMN_HIT_OUTPUT_ORDER)
        rc = sort_by_priority(match, results, hits->rules, hits->count);
    if (rc)
        return rc;
    if (table->hit_policy == DMN_HIT_PRIORITY) {
        hits->count = 1;
        *out = results[0];
        return ERR_OK;
    }
    if (table->aggregation != DMN_AGG_NONE)
        return aggregate_all(match, results, hits->count, out);
    *out = feel_list(results, (size_t)hits->count);
    return ERR_OK;
}

/* For a caller who wants to know: every cell is looked at. */
static enum err_code trace_cells(struct match *match, struct dmn_trace_table *trace)
{
    const struct table_code *table = match->table;
    const size_t columns = (size_t)table->column_count, rules = (size_t)table->rule_count;
    struct arena *arena = match->run->ev->arena;
    struct feel_value *inputs = arena_alloc(arena, columns + 1, sizeof(*inputs));
    bool *matched = arena_alloc(arena, rules + 1, sizeof(*matched));
    enum dmn_cell *cells = NULL;
    if (!inputs || !matched)
        return ERR_NOMEM;
    for (size_t i = 0; i < columns; i++)
        inputs[i] = match->looked[i].input;
    if (columns > 0 && rules <= (DMN_TRACE_CELLS_MAX - (size_t)match->run->trace->cells) / columns) {
        cells = arena_alloc(arena, rules * columns + 1, sizeof(*cells));
        if (!cells)
            return ERR_NOMEM;
        match->run->trace->cells += (int)(rules * columns);
    }
    for (size_t rule = 0; cells && rule < rules; rule++) {
        matched[rule] = true;
        for (size_t i = 0; i < columns; i++) {
            const uint32_t cell = table->columns[i].rule_cell[rule];
            enum feel_truth truth;
            const enum err_code rc = dmn_match_cell(match, (int)i, cell, &truth);
            if (rc)
                return rc;
            cells[rule * columns + i] = table->columns[i].cells[cell].any ? DMN_CELL_ANY
                                        : truth == FEEL_TRUE              ? DMN_CELL_TRUE
                                        : truth == FEEL_FALSE             ? DMN_CELL_FALSE
                                                                          : DMN_CELL_UNKNOWN;
            matched[rule] = matched[rule] && truth == FEEL_TRUE;
        }
    }
    trace->inputs = inputs;
    trace->cells = cells;
    trace->matched = matched;
    return ERR_OK;
}

static enum err_code trace_table(struct match *match, const struct code *code, const struct hits *hits,
                                 const struct feel_value *out)
{
    struct dmn_trace *to = match->run->trace;
    struct arena *arena = match->run->ev->arena;
    struct dmn_trace_table *trace = arena_alloc(arena, 1, sizeof(*trace));
    bool *fired = arena_alloc(arena, (size_t)match->table->rule_count + 1, sizeof(*fired));
    if (!trace || !fired)
        return ERR_NOMEM;
    trace->element = code->node->element->name;
    trace->id = code->expr->id;
    trace->table = match->table->table;
    trace->output = *out;
    const enum err_code rc = trace_cells(match, trace);
    if (rc)
        return rc;
    for (int i = 0; i < hits->count; i++)
        fired[hits->rules[i]] = true;
    trace->fired = fired;
    *to->tables_end = trace;
    to->tables_end = &trace->next;
    return ERR_OK;
}

enum err_code dmn_table_evaluate(struct run *run, const struct code *code, struct feel_value *slots,
                                 struct feel_value *out)
{
    struct looked few[8] = { 0 };
    int first[16];
    struct match match = { .run = run, .table = code->table, .slots = slots, .looked = few };
    struct hits hits = { .rules = first, .max = 16 };
    bool ok;

    if (code->broken) {
        feel_warn(run->ev, "dmn.broken", code->node->element->name);
        return ERR_OK;
    }
    if (code->table->column_count > 8) {
        match.looked = arena_alloc(run->ev->arena, (size_t)code->table->column_count, sizeof(*match.looked));
        if (!match.looked)
            return ERR_NOMEM;
    }
    enum err_code rc = dmn_match_inputs(&match, &ok);
    if (rc == ERR_OK && ok) {
        dmn_match_begin(&match);
        rc = find_hits(&match, &hits);
        if (rc == ERR_OK)
            rc = apply_policy(&match, &hits, out);
    }
    if (rc == ERR_OK && run->trace)
        rc = trace_table(&match, code, &hits, out);
    return rc;
}
