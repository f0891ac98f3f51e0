/* diff.c - what changed between two files, down to the cell. */
#include "dmn/dmn.h"

#include <assert.h>

#define CHANGES_MAX 100000

struct comparing {
    struct arena *arena;
    struct err *err;
    struct dmn_changes *out;
    size_t max;
    struct dmn_change at; /* where we are: element, path, rule, column */
    enum err_code rc;
};

static void compare_expr(struct comparing *comparing, const struct dmn_expr *a, const struct dmn_expr *b);

static void add(struct comparing *comparing, enum dmn_change_kind kind, const char *what, struct str before,
                struct str after)
{
    if (comparing->rc || comparing->out->count >= CHANGES_MAX)
        return;
    if (comparing->out->count == comparing->max) {
        const size_t max = comparing->max > 0 ? 2 * comparing->max : 64;
        struct dmn_change *items = arena_alloc(comparing->arena, max, sizeof(*items));
        if (!items) {
            comparing->rc = err_nomem(comparing->err);
            return;
        }
        if (comparing->out->count > 0)
            memcpy(items, comparing->out->items, comparing->out->count * sizeof(*items));
        comparing->out->items = items;
        comparing->max = max;
    }
    struct dmn_change change = comparing->at;
    change.kind = kind;
    change.what = str_from(what);
    change.before = before;
    change.after = after;
    comparing->out->items[comparing->out->count++] = change;
}

/* Texts that differ in more than the white space around them. */
static void compare_text(struct comparing *comparing, const char *what, struct str before, struct str after)
{
    before = str_trim(before);
    after = str_trim(after);
    if (!str_eq(before, after))
        add(comparing,
            before.len == 0  ? DMN_ADDED
            : after.len == 0 ? DMN_REMOVED
                             : DMN_CHANGED,
            what, before, after);
}

static struct str number(struct comparing *comparing, int n)
{
    const struct str out = arena_printf(comparing->arena, "%d", n);
    if (!out.ptr && !comparing->rc)
        comparing->rc = err_nomem(comparing->err);
    return out.ptr ? out : STR("");
}

static struct str enter(struct comparing *comparing, struct str name)
{
    const struct str was = comparing->at.path;
    const struct str path =
        was.len == 0 ? name : arena_printf(comparing->arena, "%.*s/%.*s", STR_ARG(was), STR_ARG(name));
    if (!path.ptr && name.len > 0 && !comparing->rc)
        comparing->rc = err_nomem(comparing->err);
    comparing->at.path = path;
    return was;
}

/* -- pairing ------------------------------------------------------------------------------------------- */

/* Two runs of things, each with an id and a name or content, paired: by id first, then by content in order.
 */
struct pairs {
    int *of_before; /* index in after, -1 = gone */
    int *of_after;
};

typedef struct str (*text_of)(const void *items, int index);

static enum err_code pair(struct comparing *comparing, const void *a, int a_count, const void *b, int b_count,
                          text_of id, text_of content, struct pairs *out)
{
    size_t size = 16;
    while (size < 2 * (size_t)b_count)
        size *= 2;
    int *table = arena_alloc(comparing->arena, size, sizeof(int));
    out->of_before = arena_alloc(comparing->arena, (size_t)a_count + 1, sizeof(int));
    out->of_after = arena_alloc(comparing->arena, (size_t)b_count + 1, sizeof(int));
    if (!table || !out->of_before || !out->of_after)
        return err_nomem(comparing->err);
    for (int i = 0; i < a_count; i++)
        out->of_before[i] = -1;
    for (int i = 0; i < b_count; i++)
        out->of_after[i] = -1;
    for (int pass = 0; pass < 2; pass++) {
        const text_of key = pass == 0 ? id : content;
        memset(table, 0, size * sizeof(int));
        for (int i = 0; i < b_count; i++) {
            const struct str text = key(b, i);
            if (out->of_after[i] >= 0 || text.len == 0)
                continue;
            size_t at = str_hash(text) & (size - 1);
            while (table[at])
                at = (at + 1) & (size - 1);
            table[at] = i + 1;
        }
        for (int i = 0; i < a_count; i++) {
            const struct str text = key(a, i);
            if (out->of_before[i] >= 0 || text.len == 0)
                continue;
            for (size_t at = str_hash(text) & (size - 1); table[at]; at = (at + 1) & (size - 1)) {
                const int j = table[at] - 1;
                if (out->of_after[j] < 0 && str_eq(key(b, j), text)) {
                    out->of_before[i] = j;
                    out->of_after[j] = i;
                    break;
                }
            }
        }
    }
    for (int i = 0, j = 0; i < a_count; i++) { /* what has neither: in order */
        if (out->of_before[i] >= 0 || content(a, i).len > 0)
            continue;
        while (j < b_count && (out->of_after[j] >= 0 || content(b, j).len > 0))
            j++;
        if (j == b_count)
            break;
        out->of_before[i] = j;
        out->of_after[j] = i;
    }
    return ERR_OK;
}

/* -- tables -------------------------------------------------------------------------------------------- */

struct rules {
    const struct dmn_rule *rules;
    struct str *contents;
};

static struct str rule_id(const void *items, int index)
{
    return ((const struct rules *)items)->rules[index].id;
}

static struct str rule_content(const void *items, int index)
{
    return ((const struct rules *)items)->contents[index];
}

/* All cells of each rule in one text. */
static enum err_code contents(struct comparing *comparing, const struct dmn_table *table, struct rules *out)
{
    out->rules = table->rules;
    out->contents = arena_alloc(comparing->arena, (size_t)table->rule_count + 1, sizeof(*out->contents));
    if (!out->contents)
        return err_nomem(comparing->err);
    for (int i = 0; i < table->rule_count; i++) {
        const struct dmn_rule *rule = &table->rules[i];
        size_t len = 0;
        for (int j = 0; j < table->input_count; j++)
            len += rule->inputs[j].text.len + 1;
        for (int j = 0; j < table->output_count; j++)
            len += rule->outputs[j].text.len + 1;
        char *text = arena_alloc(comparing->arena, len + 1, 1), *at = text;
        if (!text)
            return err_nomem(comparing->err);
        for (int j = 0; j < table->input_count + table->output_count; j++) {
            const struct str cell = str_trim(
                j < table->input_count ? rule->inputs[j].text : rule->outputs[j - table->input_count].text);
            if (cell.len > 0)
                memcpy(at, cell.ptr, cell.len);
            at += cell.len;
            *at++ = '\x1f';
        }
        out->contents[i] = (struct str) { text, (size_t)(at - text) };
    }
    return ERR_OK;
}

static struct str input_id(const void *items, int index)
{
    return ((const struct dmn_input *)items)[index].id;
}

static struct str input_content(const void *items, int index)
{
    return ((const struct dmn_input *)items)[index].expr.text;
}

static struct str output_id(const void *items, int index)
{
    return ((const struct dmn_output *)items)[index].id;
}

static struct str output_content(const void *items, int index)
{
    return ((const struct dmn_output *)items)[index].name;
}

struct table_pairs {
    struct pairs inputs, outputs, rules;
};

static void compare_rule(struct comparing *comparing, const struct dmn_table *a, const struct dmn_table *b,
                         int i, int j, const struct table_pairs *pairs)
{
    comparing->at.rule_before = i + 1;
    comparing->at.rule_after = j + 1;
    for (int k = 0; k < a->input_count; k++)
        if (pairs->inputs.of_before[k] >= 0) {
            comparing->at.column = pairs->inputs.of_before[k] + 1;
            compare_text(comparing, "inputEntry", a->rules[i].inputs[k].text,
                         b->rules[j].inputs[pairs->inputs.of_before[k]].text);
        }
    for (int k = 0; k < a->output_count; k++)
        if (pairs->outputs.of_before[k] >= 0) {
            comparing->at.column = b->input_count + pairs->outputs.of_before[k] + 1;
            compare_text(comparing, "outputEntry", a->rules[i].outputs[k].text,
                         b->rules[j].outputs[pairs->outputs.of_before[k]].text);
        }
    comparing->at.column = 0;
    for (int k = 0; k < a->annotation_count && k < b->annotation_count; k++)
        compare_text(comparing, "annotationEntry", a->rules[i].annotations[k], b->rules[j].annotations[k]);
    compare_text(comparing, "description", a->rules[i].description, b->rules[j].description);
}

/* A rule as one line: its cells joined, inputs before outputs. */
static struct str rule_line(struct comparing *comparing, const struct rules *rules, int i)
{
    const struct str text = rules->contents[i];
    char *line = arena_alloc(comparing->arena, 3 * text.len + 1, 1);
    size_t len = 0;
    if (!line) {
        comparing->rc = err_nomem(comparing->err);
        return STR("");
    }
    for (size_t at = 0; at + 1 < text.len; at++) {
        if (text.ptr[at] == '\x1f') {
            memcpy(line + len, " | ", 3);
            len += 3;
        } else {
            line[len++] = text.ptr[at];
        }
    }
    return (struct str) { line, len };
}

static void compare_columns(struct comparing *comparing, const struct dmn_table *a, const struct dmn_table *b,
                            const struct table_pairs *pairs)
{
    for (int i = 0; i < a->input_count; i++) {
        const int j = pairs->inputs.of_before[i];
        comparing->at.column = j >= 0 ? j + 1 : 0;
        if (j < 0) {
            add(comparing, DMN_REMOVED, "input", a->inputs[i].expr.text, STR(""));
            continue;
        }
        compare_text(comparing, "inputExpression", a->inputs[i].expr.text, b->inputs[j].expr.text);
        compare_text(comparing, "typeRef", a->inputs[i].type_ref, b->inputs[j].type_ref);
        compare_text(comparing, "inputValues", a->inputs[i].values.text, b->inputs[j].values.text);
        compare_text(comparing, "label", a->inputs[i].label, b->inputs[j].label);
    }
    for (int j = 0; j < b->input_count; j++)
        if (pairs->inputs.of_after[j] < 0) {
            comparing->at.column = j + 1;
            add(comparing, DMN_ADDED, "input", STR(""), b->inputs[j].expr.text);
        }
    for (int i = 0; i < a->output_count; i++) {
        const int j = pairs->outputs.of_before[i];
        comparing->at.column = j >= 0 ? b->input_count + j + 1 : 0;
        if (j < 0) {
            add(comparing, DMN_REMOVED, "output", a->outputs[i].name, STR(""));
            continue;
        }
        compare_text(comparing, "name", a->outputs[i].name, b->outputs[j].name);
        compare_text(comparing, "typeRef", a->outputs[i].type_ref, b->outputs[j].type_ref);
        compare_text(comparing, "outputValues", a->outputs[i].values.text, b->outputs[j].values.text);
        compare_text(comparing, "defaultOutputEntry", a->outputs[i].fallback.text,
                     b->outputs[j].fallback.text);
        compare_text(comparing, "label", a->outputs[i].label, b->outputs[j].label);
    }
    for (int j = 0; j < b->output_count; j++)
        if (pairs->outputs.of_after[j] < 0) {
            comparing->at.column = b->input_count + j + 1;
            add(comparing, DMN_ADDED, "output", STR(""), b->outputs[j].name);
        }
    comparing->at.column = 0;
}

/* Rules that stand in another order than before, where the order counts. */
static bool order_counts(const struct dmn_table *table)
{
    return table->hit_policy == DMN_HIT_FIRST || table->hit_policy == DMN_HIT_RULE_ORDER ||
           (table->hit_policy == DMN_HIT_COLLECT && table->aggregation == DMN_AGG_NONE);
}

static void compare_rules(struct comparing *comparing, const struct dmn_table *a, const struct dmn_table *b,
                          const struct rules *before, const struct rules *after,
                          const struct table_pairs *pairs)
{
    int last = -1;
    for (int i = 0; i < a->rule_count; i++) {
        const int j = pairs->rules.of_before[i];
        if (j >= 0) {
            compare_rule(comparing, a, b, i, j, pairs);
            if (j < last && order_counts(b))
                add(comparing, DMN_CHANGED, "order", number(comparing, i + 1), number(comparing, j + 1));
            last = j > last ? j : last;
        } else {
            comparing->at.rule_before = i + 1;
            comparing->at.rule_after = 0;
            add(comparing, DMN_REMOVED, "rule", rule_line(comparing, before, i), STR(""));
        }
    }
    for (int j = 0; j < b->rule_count; j++)
        if (pairs->rules.of_after[j] < 0) {
            comparing->at.rule_before = 0;
            comparing->at.rule_after = j + 1;
            add(comparing, DMN_ADDED, "rule", STR(""), rule_line(comparing, after, j));
        }
    comparing->at.rule_before = comparing->at.rule_after = 0;
}

static void compare_table(struct comparing *comparing, const struct dmn_table *a, const struct dmn_table *b)
{
    struct table_pairs pairs;
    struct rules before, after;
    enum err_code rc = contents(comparing, a, &before);
    if (rc == ERR_OK)
        rc = contents(comparing, b, &after);
    if (rc == ERR_OK)
        rc = pair(comparing, &before, a->rule_count, &after, b->rule_count, rule_id, rule_content,
                  &pairs.rules);
    if (rc == ERR_OK)
        rc = pair(comparing, a->inputs, a->input_count, b->inputs, b->input_count, input_id, input_content,
                  &pairs.inputs);
    if (rc == ERR_OK)
        rc = pair(comparing, a->outputs, a->output_count, b->outputs, b->output_count, output_id,
                  output_content, &pairs.outputs);
    if (rc) {
        comparing->rc = rc;
        return;
    }
    if (a->output_count == 1 && b->output_count == 1) /* the only output has no name to be known by */
        pairs.outputs.of_before[0] = pairs.outputs.of_after[0] = 0;
    compare_text(comparing, "hitPolicy", str_from(dmn_hit_policy_name(a->hit_policy)),
                 str_from(dmn_hit_policy_name(b->hit_policy)));
    compare_text(comparing, "aggregation", str_from(dmn_aggregation_name(a->aggregation)),
                 str_from(dmn_aggregation_name(b->aggregation)));
    compare_columns(comparing, a, b, &pairs);
    compare_rules(comparing, a, b, &before, &after, &pairs);
}

/* -- expressions --------------------------------------------------------------------------------------- */

static struct str variable_name(const void *items, int index)
{
    return ((const struct dmn_variable *)items)[index].name;
}

static struct str variable_id(const void *items, int index)
{
    (void)items;
    (void)index;
    return STR("");
}

static struct str entry_name(const void *items, int index)
{
    return ((const struct dmn_entry *)items)[index].variable.name;
}

static void compare_variables(struct comparing *comparing, const char *what, const struct dmn_expr *a,
                              const struct dmn_expr *b)
{
    struct pairs pairs;
    const enum err_code rc = pair(comparing, a->columns, a->column_count, b->columns, b->column_count,
                                  variable_id, variable_name, &pairs);
    if (rc) {
        comparing->rc = rc;
        return;
    }
    for (int i = 0; i < a->column_count; i++) {
        if (pairs.of_before[i] < 0) {
            add(comparing, DMN_REMOVED, what, a->columns[i].name, STR(""));
            continue;
        }
        const struct str was = enter(comparing, a->columns[i].name);
        compare_text(comparing, "typeRef", a->columns[i].type_ref, b->columns[pairs.of_before[i]].type_ref);
        comparing->at.path = was;
    }
    for (int j = 0; j < b->column_count; j++)
        if (pairs.of_after[j] < 0)
            add(comparing, DMN_ADDED, what, STR(""), b->columns[j].name);
}

/* Entries by name; the one without a name is the result. */
static void compare_entries(struct comparing *comparing, const struct dmn_expr *a, const struct dmn_expr *b)
{
    struct pairs pairs;
    const char *what = a->kind == DMN_EXPR_CONTEXT ? "contextEntry" : "binding";
    const enum err_code rc = pair(comparing, a->entries, a->entry_count, b->entries, b->entry_count,
                                  entry_name, entry_name, &pairs);
    if (rc) {
        comparing->rc = rc;
        return;
    }
    int a_result = -1, b_result = -1;
    for (int i = 0; i < a->entry_count; i++)
        a_result = a->entries[i].variable.name.len == 0 ? i : a_result;
    for (int j = 0; j < b->entry_count; j++)
        b_result = b->entries[j].variable.name.len == 0 ? j : b_result;
    if (a_result >= 0 && b_result >= 0) {
        pairs.of_before[a_result] = b_result;
        pairs.of_after[b_result] = a_result;
    }
    for (int i = 0; i < a->entry_count; i++) {
        const struct dmn_entry *before = &a->entries[i];
        if (pairs.of_before[i] < 0) {
            add(comparing, DMN_REMOVED, what, before->variable.name, STR(""));
            continue;
        }
        const struct dmn_entry *after = &b->entries[pairs.of_before[i]];
        const struct str was = enter(comparing, before->variable.name);
        compare_text(comparing, "typeRef", before->variable.type_ref, after->variable.type_ref);
        compare_expr(comparing, before->expr, after->expr);
        comparing->at.path = was;
    }
    for (int j = 0; j < b->entry_count; j++)
        if (pairs.of_after[j] < 0)
            add(comparing, DMN_ADDED, what, STR(""), b->entries[j].variable.name);
}

static const char *part_name(const struct dmn_expr *expr, int index)
{
    static const char *const names[DMN_EXPR__COUNT][3] = {
        [DMN_EXPR_FUNCTION] = { "body" },
        [DMN_EXPR_INVOCATION] = { "function" },
        [DMN_EXPR_CONDITIONAL] = { "if", "then", "else" },
        [DMN_EXPR_FILTER] = { "in", "match" },
        [DMN_EXPR_FOR] = { "in", "return" },
        [DMN_EXPR_SOME] = { "in", "satisfies" },
        [DMN_EXPR_EVERY] = { "in", "satisfies" },
    };
    return index < 3 ? names[expr->kind][index] : NULL;
}

static void compare_items(struct comparing *comparing, const struct dmn_expr *a, const struct dmn_expr *b)
{
    const int count = a->item_count > b->item_count ? a->item_count : b->item_count;
    for (int i = 0; i < count && !comparing->rc; i++) {
        const char *name = part_name(a, i);
        const struct str was = enter(comparing, name ? str_from(name) : number(comparing, i + 1));
        compare_expr(comparing, i < a->item_count ? a->items[i] : NULL,
                     i < b->item_count ? b->items[i] : NULL);
        comparing->at.path = was;
    }
}

static struct str expr_text(const struct dmn_expr *expr)
{
    return expr->kind == DMN_EXPR_LITERAL ? str_trim(expr->text.text) : str_from(dmn_expr_name(expr->kind));
}

static void compare_expr(struct comparing *comparing, const struct dmn_expr *a, const struct dmn_expr *b)
{
    if (!a && !b)
        return;
    if (!a || !b || a->kind != b->kind) {
        add(comparing,
            !a   ? DMN_ADDED
            : !b ? DMN_REMOVED
                 : DMN_CHANGED,
            "expression", a ? expr_text(a) : STR(""), b ? expr_text(b) : STR(""));
        return;
    }
    compare_text(comparing, "typeRef", a->type_ref, b->type_ref);
    if (a->kind == DMN_EXPR_LITERAL) {
        compare_text(comparing, "text", a->text.text, b->text.text);
        return;
    }
    if (a->kind == DMN_EXPR_TABLE) {
        compare_table(comparing, a->table, b->table);
        return;
    }
    compare_variables(comparing, a->kind == DMN_EXPR_RELATION ? "column" : "formalParameter", a, b);
    compare_entries(comparing, a, b);
    compare_items(comparing, a, b); /* depth: the reader's */
}

/* -- elements and item definitions ---------------------------------------------------------------------- */

static struct str element_id(const void *items, int index)
{
    return ((const struct dmn_element *)items)[index].id;
}

static struct str element_name(const void *items, int index)
{
    return ((const struct dmn_element *)items)[index].name;
}

static bool has_ref(const struct dmn_element *element, const struct dmn_ref *ref)
{
    for (int i = 0; i < element->ref_count; i++)
        if (element->refs[i].kind == ref->kind && str_eq(element->refs[i].ns, ref->ns) &&
            str_eq(element->refs[i].id, ref->id))
            return true;
    return false;
}

static void compare_element(struct comparing *comparing, const struct dmn_element *a,
                            const struct dmn_element *b)
{
    compare_text(comparing, "name", a->name, b->name);
    compare_text(comparing, "label", a->label, b->label);
    compare_text(comparing, "description", a->description, b->description);
    compare_text(comparing, "question", a->question, b->question);
    compare_text(comparing, "allowedAnswers", a->answers, b->answers);
    compare_text(comparing, "typeRef", a->variable.type_ref, b->variable.type_ref);
    for (int i = 0; i < a->ref_count; i++)
        if (!has_ref(b, &a->refs[i]))
            add(comparing, DMN_REMOVED, "requirement", a->refs[i].id, STR(""));
    for (int i = 0; i < b->ref_count; i++)
        if (!has_ref(a, &b->refs[i]))
            add(comparing, DMN_ADDED, "requirement", STR(""), b->refs[i].id);
    compare_expr(comparing, a->expr, b->expr);
}

static void begin(struct comparing *comparing, enum dmn_element_kind kind, bool of_item, struct str name)
{
    comparing->at =
        (struct dmn_change) { .element_kind = kind, .of_item = of_item, .element = name, .path = STR("") };
}

static enum err_code compare_elements(struct comparing *comparing, const struct dmn_file *a,
                                      const struct dmn_file *b)
{
    struct pairs pairs;
    const enum err_code rc = pair(comparing, a->elements, a->element_count, b->elements, b->element_count,
                                  element_id, element_name, &pairs);
    if (rc)
        return rc;
    for (int i = 0; i < a->element_count; i++) {
        const struct dmn_element *before = &a->elements[i];
        const struct dmn_element *after = pairs.of_before[i] >= 0 ? &b->elements[pairs.of_before[i]] : NULL;
        begin(comparing, after ? after->kind : before->kind, false, after ? after->name : before->name);
        if (!after || after->kind != before->kind)
            add(comparing, after ? DMN_CHANGED : DMN_REMOVED, "element",
                str_from(dmn_element_name(before->kind)),
                after ? str_from(dmn_element_name(after->kind)) : STR(""));
        else
            compare_element(comparing, before, after);
    }
    for (int j = 0; j < b->element_count; j++)
        if (pairs.of_after[j] < 0) {
            begin(comparing, b->elements[j].kind, false, b->elements[j].name);
            add(comparing, DMN_ADDED, "element", STR(""), str_from(dmn_element_name(b->elements[j].kind)));
        }
    return comparing->rc;
}

static struct str item_id(const void *items, int index)
{
    return ((const struct dmn_item *)items)[index].id;
}

static struct str item_name(const void *items, int index)
{
    return ((const struct dmn_item *)items)[index].name;
}

static enum err_code compare_items_of(struct comparing *comparing, const struct dmn_item *a, int a_count,
                                      const struct dmn_item *b, int b_count, bool top)
{
    struct pairs pairs;
    assert((a || !a_count) && (b || !b_count));
    const enum err_code rc = pair(comparing, a, a_count, b, b_count, item_id, item_name, &pairs);
    if (rc)
        return rc;
    for (int i = 0; i < a_count && !comparing->rc; i++) {
        const struct dmn_item *after = pairs.of_before[i] >= 0 ? &b[pairs.of_before[i]] : NULL;
        if (top)
            begin(comparing, DMN_INPUT_DATA, true, after ? after->name : a[i].name);
        const struct str was = top ? comparing->at.path : enter(comparing, a[i].name);
        if (!after) {
            add(comparing, DMN_REMOVED, top ? "itemDefinition" : "itemComponent", a[i].type_ref, STR(""));
        } else {
            compare_text(comparing, "name", a[i].name, after->name);
            compare_text(comparing, "typeRef", a[i].type_ref, after->type_ref);
            compare_text(comparing, "isCollection", a[i].is_collection ? STR("true") : STR("false"),
                         after->is_collection ? STR("true") : STR("false"));
            compare_text(comparing, "allowedValues", a[i].allowed.text, after->allowed.text);
            compare_text(comparing, "typeConstraint", a[i].constraint.text, after->constraint.text);
            compare_text(comparing, "outputTypeRef", a[i].output_type_ref, after->output_type_ref);
            comparing->rc = compare_items_of(comparing, a[i].components, a[i].component_count,
                                             after->components, after->component_count, false);
        }
        comparing->at.path = was;
    }
    for (int j = 0; j < b_count && !comparing->rc; j++)
        if (pairs.of_after[j] < 0) {
            if (top)
                begin(comparing, DMN_INPUT_DATA, true, b[j].name);
            const struct str was = top ? comparing->at.path : enter(comparing, b[j].name);
            add(comparing, DMN_ADDED, top ? "itemDefinition" : "itemComponent", STR(""), b[j].type_ref);
            comparing->at.path = was;
        }
    return comparing->rc;
}

enum err_code dmn_diff(const struct dmn_file *before, const struct dmn_file *after, struct arena *arena,
                       struct dmn_changes *out, struct err *err)
{
    struct dmn_changes changes = { 0 };
    struct comparing comparing = { .arena = arena, .err = err, .out = &changes };
    enum err_code rc = compare_items_of(&comparing, before->items, before->item_count, after->items,
                                        after->item_count, true);
    if (rc == ERR_OK)
        rc = compare_elements(&comparing, before, after);
    if (rc == ERR_OK)
        *out = changes;
    return rc;
}
