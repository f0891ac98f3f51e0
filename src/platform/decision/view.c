/* view.c - models as JSON for the page: findings, try-out with its trace, differences; and cases run. */
#include "base/json.h"
#include "platform/decision/internal.h"

#define EVAL_BYTES_MAX ((size_t)256 << 20)
#define EVAL_STEPS_MAX 5000000
#define TRACE_RULES_MAX 20000 /* of one answer */

static json_t *value_json(const struct feel_value *value)
{
    json_t *json = NULL;
    return feel_to_json(value, &json, NULL) == ERR_OK ? json : json_null();
}

static struct str message(const struct decisions *decisions, struct arena *arena, const struct err *err,
                          enum lang lang)
{
    struct err bare = *err;
    bare.at.line = bare.at.column = 0; /* said beside it */
    const struct str text = err_text(arena, &bare, decisions->config.words, lang);
    return text.ptr ? text : STR("");
}

enum err_code decision_load(const struct imports *imports, struct dmn_model **out_model, struct err *out_why,
                            struct err *err)
{
    size_t source = 0;
    if (imports->why.code) {
        *out_why = imports->why;
        return ERR_OK;
    }
    const enum err_code rc =
        dmn_load(imports->sources, (size_t)imports->count + 1, out_model, &source, out_why);
    if (rc && source > 0) /* the line is one of another model */
        (void)err_pointer(out_why, imports->sources[source].name);
    return rc == ERR_NOMEM ? err_nomem(err) : ERR_OK;
}

enum err_code decision_load_text(struct decisions *decisions, struct str text, struct dmn_model **out_model,
                                 struct err *out_why, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(DMN_MODEL_BYTES_MAX);
    struct imports imports;
    if (!arena)
        return err_nomem(err);
    const enum err_code rc = imports_of_text(decisions, arena, text, &imports, err);
    return rc ? rc : decision_load(&imports, out_model, out_why, err);
}

/* -- findings ------------------------------------------------------------------------------------------ */

static json_t *finding_json(const struct decisions *decisions, struct arena *arena,
                            const struct dmn_finding *one, enum lang lang)
{
    json_t *json =
        json_pack("{s:b,s:o,s:o,s:i,s:i,s:i,s:i,s:i,s:s,s:o}", "error", one->is_error, "element",
                  json_str(one->element), "id", json_str(one->id), "line", one->line, "rule", one->rule,
                  "column", one->column, "at_line", one->err.at.line, "at_column", one->err.at.column, "code",
                  one->err.id, "message", json_str(message(decisions, arena, &one->err, lang)));
    if (json && one->input.kind == FEEL_CONTEXT)
        (void)json_object_set_new(json, "input", value_json(&one->input));
    return json;
}

static void add_findings(const struct decisions *decisions, struct arena *arena,
                         const struct dmn_findings *found, enum lang lang, json_t *to)
{
    for (int i = 0; i < found->count; i++)
        if (found->items[i].source == 0) /* what is imported has been looked at itself */
            (void)json_array_append_new(to, finding_json(decisions, arena, &found->items[i], lang));
}

/* What the model calls the import that a node comes by: empty for its own nodes; false for those that it
 * cannot name, imports of its imports. */
static bool import_of(const struct dmn_model *model, int node, struct str *out)
{
    const struct dmn_file *file = dmn_model_file(model, 0);
    const struct str ns = dmn_node_namespace(model, node);
    *out = STR("");
    if (str_eq(ns, file->ns))
        return true;
    for (int i = 0; i < file->import_count; i++)
        if (str_eq(file->imports[i].ns, ns)) {
            *out = file->imports[i].name;
            return true;
        }
    return false;
}

static json_t *node_json(const struct dmn_model *model, int node, struct str import)
{
    const struct dmn_element *element = dmn_node_element(model, node);
    struct buf type;
    buf_init(&type, 4096);
    feel_type_print(&type, dmn_node_type(model, node));
    json_t *json =
        json_pack("{s:o,s:o,s:o,s:s,s:o,s:b}", "id", json_str(element->id), "name", json_str(element->name),
                  "import", json_str(import), "kind", dmn_element_name(element->kind), "type",
                  json_str(buf_get(&type)), "table", element->expr && element->expr->kind == DMN_EXPR_TABLE);
    buf_done(&type);
    return json;
}

/* What can be evaluated, what is given for it, and what else of its imports the model can name. */
static void add_nodes(const struct dmn_model *model, json_t *out)
{
    json_t *targets = json_array(), *inputs = json_array(), *imported = json_array();
    for (int i = 0; i < dmn_node_count(model); i++) {
        const enum dmn_element_kind kind = dmn_node_element(model, i)->kind;
        struct str import;
        if (kind == DMN_SOURCE || !import_of(model, i, &import) || (kind == DMN_BKM && !import.len))
            continue;
        (void)json_array_append_new(kind == DMN_INPUT_DATA ? inputs
                                    : import.len           ? imported
                                                           : targets,
                                    node_json(model, i, import));
    }
    (void)json_object_set_new(out, "decisions", targets);
    (void)json_object_set_new(out, "inputs", inputs);
    (void)json_object_set_new(out, "imported", imported);
}

enum err_code decision_check_json(struct decisions *decisions, struct arena *arena, struct str text,
                                  enum lang lang, json_t **out, struct err *err)
{
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    struct err why = { 0 };
    struct dmn_findings found = { 0 };
    enum err_code rc = decision_load_text(decisions, text, &model, &why, err);
    if (rc == ERR_OK && model)
        rc = dmn_check(model, arena, FINDINGS_MAX, &found, err);
    if (rc)
        return rc;
    json_t *json = json_object(), *findings = json_array();
    (void)json_object_set_new(json, "loads", json_boolean(model != NULL));
    if (model) {
        add_findings(decisions, arena, dmn_findings(model), lang, findings);
        add_findings(decisions, arena, &found, lang, findings);
        add_nodes(model, json);
    } else {
        const struct dmn_finding one = { .is_error = true, .err = why, .line = why.at.line };
        (void)json_array_append_new(findings, finding_json(decisions, arena, &one, lang));
    }
    (void)json_object_set_new(json, "more",
                              json_integer(found.more + (model ? dmn_findings(model)->more : 0)));
    (void)json_object_set_new(json, "findings", findings);
    *out = json;
    return ERR_OK;
}

/* -- evaluating ---------------------------------------------------------------------------------------- */

static int find_target(const struct dmn_model *model, struct str target)
{
    const int decision = dmn_find(model, DMN_DECISION, target);
    return decision >= 0 ? decision : dmn_find(model, DMN_SERVICE, target);
}

/* The inputs by name, texts read as the temporal types of what they are for. */
static enum err_code read_given(const struct dmn_model *model, struct arena *arena, const json_t *input,
                                struct dmn_given **out, size_t *out_count, struct err *err)
{
    struct feel_value context;
    if (!json_is_object(input))
        return err_set(err, ERR_INVALID, "dmn.input_object", ARG_END);
    enum err_code rc = feel_from_json(arena, input, &context, err);
    if (rc == ERR_OK)
        rc = dmn_given_from(model, arena, &context, out, out_count, err);
    for (size_t i = 0; i < *out_count && rc == ERR_OK; i++) {
        struct dmn_given *given = &(*out)[i];
        const struct str name = dmn_node_element(model, given->node)->variable.name;
        struct str import;
        if (!import_of(model, given->node, &import))
            continue;
        const json_t *of = import.len ? json_object_getn(input, import.ptr, import.len) : input;
        const json_t *one = json_object_getn(of, name.ptr, name.len);
        if (one)
            rc = feel_from_json_typed(arena, one, dmn_node_type(model, given->node), &given->value, err);
    }
    return rc;
}

static enum err_code evaluate(const struct decisions *decisions, const struct dmn_model *model,
                              struct feel_eval *ev, struct arena *arena, struct str target,
                              const json_t *input, struct dmn_trace *trace, struct feel_value *out,
                              struct err *err)
{
    struct dmn_given *given = NULL;
    size_t count = 0;
    const int node = find_target(model, target);
    if (node < 0)
        return err_set(err, ERR_NOT_FOUND, "dmn.no_decision", ARG_STR("name", target), ARG_END);
    const enum err_code rc = read_given(model, arena, input, &given, &count, err);
    if (rc)
        return rc;
    feel_eval_init(ev, arena);
    ev->limits.steps = EVAL_STEPS_MAX;
    ev->now_ms = clock_now(decisions->config.clock);
    ev->zone = STR("Asia/Shanghai");
    return dmn_evaluate(model, node, ev, given, count, trace, out, err);
}

static json_t *warnings_json(const struct decisions *decisions, struct arena *arena,
                             const struct feel_eval *ev, enum lang lang)
{
    json_t *out = json_array();
    for (int i = 0; i < ev->warnings_count; i++) {
        struct err err = { 0 };
        feel_warning_err(&ev->warnings[i], &err);
        (void)json_array_append_new(out, json_str(message(decisions, arena, &err, lang)));
    }
    return out;
}

/* One text a rule: a character a cell (1 holds, 0 does not, ? unknown, - any), then '!' when it fired. */
static json_t *rules_json(const struct dmn_trace_table *table)
{
    static const char marks[] = {
        [DMN_CELL_FALSE] = '0', [DMN_CELL_TRUE] = '1', [DMN_CELL_UNKNOWN] = '?', [DMN_CELL_ANY] = '-'
    };
    const int columns = table->table->input_count;
    json_t *rules = json_array();
    struct buf text;
    buf_init(&text, 1 << 16);
    for (int rule = 0; rule < table->table->rule_count && rule < TRACE_RULES_MAX; rule++) {
        buf_clear(&text);
        for (int i = 0; table->cells && i < columns; i++)
            buf_char(&text, marks[table->cells[(size_t)rule * (size_t)columns + (size_t)i]]);
        if (table->fired[rule])
            buf_char(&text, '!');
        (void)json_array_append_new(rules, json_str(buf_get(&text)));
    }
    buf_done(&text);
    return rules;
}

static json_t *trace_json(const struct dmn_model *model, const struct dmn_trace *trace, json_t **out_values)
{
    json_t *tables = json_array();
    *out_values = json_array();
    for (const struct dmn_trace_table *table = trace->tables; table; table = table->next) {
        json_t *inputs = json_array();
        for (int i = 0; table->inputs && i < table->table->input_count; i++)
            (void)json_array_append_new(inputs, value_json(&table->inputs[i]));
        (void)json_array_append_new(tables,
                                    json_pack("{s:o,s:o,s:o,s:o,s:o}", "element", json_str(table->element),
                                              "id", json_str(table->id), "inputs", inputs, "rules",
                                              rules_json(table), "output", value_json(&table->output)));
    }
    for (const struct dmn_trace_value *value = trace->values; value; value = value->next) {
        const struct dmn_element *element = dmn_node_element(model, value->node);
        (void)json_array_append_new(*out_values, json_pack("{s:o,s:o,s:b,s:o}", "id", json_str(element->id),
                                                           "name", json_str(element->name), "given",
                                                           value->given, "value", value_json(&value->value)));
    }
    return tables;
}

enum err_code decision_evaluate_json(struct decisions *decisions, struct str text, struct str target,
                                     const json_t *input, enum lang lang, json_t **out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(EVAL_BYTES_MAX);
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    struct feel_eval ev;
    struct dmn_trace trace = { 0 };
    struct feel_value value;
    struct err why = { 0 };
    if (!arena)
        return err_nomem(err);
    enum err_code rc = decision_load_text(decisions, text, &model, &why, err);
    if (rc == ERR_OK && !model) {
        if (err)
            *err = why;
        rc = why.code;
    }
    if (rc == ERR_OK)
        rc = evaluate(decisions, model, &ev, arena, target, input, &trace, &value, err);
    if (rc)
        return rc;
    json_t *values, *tables = trace_json(model, &trace, &values);
    *out = json_pack("{s:o,s:o,s:o,s:o}", "value", value_json(&value), "warnings",
                     warnings_json(decisions, arena, &ev, lang), "tables", tables, "values", values);
    return *out ? ERR_OK : err_nomem(err);
}

/* -- cases --------------------------------------------------------------------------------------------- */

/* Both as JSON documents: temporal values are texts on either side, numbers are compared as decimals. */
static enum err_code same_json(struct arena *arena, const json_t *want, const json_t *got, bool *out,
                               struct err *err)
{
    struct feel_value a, b;
    enum err_code rc = feel_from_json(arena, want, &a, err);
    if (rc == ERR_OK)
        rc = feel_from_json(arena, got, &b, err);
    if (rc == ERR_OK)
        *out = feel_equal(&a, &b) == FEEL_TRUE;
    return rc;
}

static enum err_code compare(struct arena *arena, const struct decision_case_row *one,
                             const struct feel_value *value, struct decision_case_result *out,
                             struct err *err)
{
    json_t *want = json_loadb(one->expected.ptr, one->expected.len, JSON_DECODE_ANY, NULL), *got = NULL;
    enum err_code rc = feel_to_json(value, &got, err);
    if (rc == ERR_OK && want)
        rc = same_json(arena, want, got, &out->passed, err);
    char *text = rc == ERR_OK ? json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (text)
        out->got = arena_str(arena, str_from(text));
    free(text);
    json_decref(want);
    json_decref(got);
    return rc ? rc : out->got.ptr ? ERR_OK : err_nomem(err);
}

enum err_code decision_run_case(const struct decisions *decisions, const struct dmn_model *model,
                                struct arena *arena, const struct decision_case_row *one, enum lang lang,
                                struct decision_case_result *out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *scratch = arena_new(EVAL_BYTES_MAX);
    struct feel_eval ev;
    struct feel_value value;
    struct err why = { 0 };
    *out = (struct decision_case_result) {
        .id = one->id, .name = one->name, .got = STR("null"), .message = STR("")
    };
    if (!scratch)
        return err_nomem(err);
    json_t *input = json_loadb(one->input.ptr, one->input.len, 0, NULL);
    const enum err_code rc = evaluate(decisions, model, &ev, scratch, one->target, input, NULL, &value, &why);
    json_decref(input);
    if (rc == ERR_NOMEM)
        return err_nomem(err);
    if (rc) { /* the case fails, and says why */
        out->message = message(decisions, arena, &why, lang);
        return ERR_OK;
    }
    return compare(arena, one, &value, out, err);
}

/* -- differences --------------------------------------------------------------------------------------- */

enum err_code decision_diff_json(struct arena *arena, struct str before, struct str after, json_t **out,
                                 struct err *err)
{
    static const char *const kinds[] = { "added", "removed", "changed" };
    const struct dmn_file *a, *b;
    struct dmn_changes changes = { 0 };
    enum err_code rc = dmn_read(arena, before, &a, err);
    if (rc == ERR_OK)
        rc = dmn_read(arena, after, &b, err);
    if (rc == ERR_OK)
        rc = dmn_diff(a, b, arena, &changes, err);
    if (rc)
        return rc;
    json_t *list = json_array();
    for (size_t i = 0; i < changes.count; i++) {
        const struct dmn_change *one = &changes.items[i];
        (void)json_array_append_new(
            list, json_pack("{s:s,s:s,s:o,s:o,s:o,s:i,s:i,s:i,s:o,s:o}", "kind", kinds[one->kind], "of",
                            one->of_item ? "itemDefinition" : dmn_element_name(one->element_kind), "element",
                            json_str(one->element), "what", json_str(one->what), "path", json_str(one->path),
                            "rule_before", one->rule_before, "rule_after", one->rule_after, "column",
                            one->column, "before", json_str(one->before), "after", json_str(one->after)));
    }
    *out = json_pack("{s:o}", "changes", list);
    return *out ? ERR_OK : err_nomem(err);
}
