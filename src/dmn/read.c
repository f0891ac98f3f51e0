/* read.c - from the nodes of an XML file to struct dmn_file.
 *
 * Children that this engine need not understand (diagrams, extensions, text annotations, the business
 * context) are known by name and skipped; any other element stops the reading with its name, so that
 * nothing loads and then does nothing. */
#include "dmn/model.h"

struct reader {
    struct arena *arena;
    const struct xml_node *root;
    struct str ns; /* of the MODEL elements */
    struct err *err;
    int depth;
};

static enum err_code read_expr(struct reader *reader, const struct xml_node *node, struct dmn_expr **out);
static enum err_code read_element(struct reader *reader, const struct xml_node *node,
                                  enum dmn_element_kind kind, struct dmn_element *element);
static enum err_code read_item(struct reader *reader, const struct xml_node *node, struct dmn_item *item);

/* clang-format off */
static const struct { const char *ns; enum dmn_version version; } NAMESPACES[] = {
    { "http://www.omg.org/spec/DMN/20151101/dmn.xsd", DMN_1_1 },
    { "http://www.omg.org/spec/DMN/20180521/MODEL/",  DMN_1_2 },
    { "https://www.omg.org/spec/DMN/20191111/MODEL/", DMN_1_3 },
    { "https://www.omg.org/spec/DMN/20211108/MODEL/", DMN_1_4 },
    { "https://www.omg.org/spec/DMN/20230324/MODEL/", DMN_1_5 },
};

static const char *const FEEL_LANGUAGES[] = {
    "http://www.omg.org/spec/DMN/20180521/FEEL/",  "https://www.omg.org/spec/DMN/20191111/FEEL/",
    "https://www.omg.org/spec/DMN/20211108/FEEL/", "https://www.omg.org/spec/DMN/20230324/FEEL/",
    "http://www.omg.org/spec/FEEL/20140401",       "feel", "FEEL",
};

static const char *const ELEMENT_NAMES[DMN_ELEMENT__COUNT] = {
    "inputData", "decision", "businessKnowledgeModel", "decisionService", "knowledgeSource",
};

static const char *const EXPR_NAMES[DMN_EXPR__COUNT] = {
    "literalExpression", "context", "list", "relation", "functionDefinition", "invocation", "decisionTable",
    "conditional", "filter", "for", "some", "every",
};

static const char *const HIT_NAMES[DMN_HIT__COUNT] = {
    "UNIQUE", "FIRST", "PRIORITY", "ANY", "COLLECT", "RULE ORDER", "OUTPUT ORDER",
};

static const char *const AGGREGATION_NAMES[DMN_AGG__COUNT] = { "", "SUM", "COUNT", "MIN", "MAX" };

/* Of definitions: no bearing on the result. */
static const char *const SKIPPED[] = {
    "description", "extensionElements", "textAnnotation", "association", "group", "elementCollection",
    "performanceIndicator", "organizationUnit", "DMNDI", "artifact", NULL,
};
/* clang-format on */

const char *dmn_element_name(enum dmn_element_kind kind)
{
    return ELEMENT_NAMES[kind];
}

const char *dmn_expr_name(enum dmn_expr_kind kind)
{
    return EXPR_NAMES[kind];
}

const char *dmn_hit_policy_name(enum dmn_hit_policy policy)
{
    return HIT_NAMES[policy];
}

const char *dmn_aggregation_name(enum dmn_aggregation aggregation)
{
    return AGGREGATION_NAMES[aggregation];
}

/* -- small helpers ------------------------------------------------------------------------------------ */

static bool is(const struct reader *reader, const struct xml_node *node, const char *name)
{
    return xml_is(node, reader->ns, name);
}

static bool is_one_of(const struct xml_node *node, const char *const *names)
{
    for (; *names; names++)
        if (str_eq(node->name, str_from(*names)))
            return true;
    return false;
}

static struct str attr(const struct xml_node *node, const char *name)
{
    const struct str value = xml_attr(node, name);
    return value.ptr ? value : STR("");
}

static enum err_code invalid(struct reader *reader, const struct xml_node *node, const char *id)
{
    (void)err_set(reader->err, ERR_INVALID, id, ARG_STR("element", node->name), ARG_END);
    return err_at(reader->err, node->line, 0);
}

static enum err_code missing(struct reader *reader, const struct xml_node *node, const char *what)
{
    (void)err_set(reader->err, ERR_INVALID, "dmn.missing", ARG_STR("element", node->name),
                  ARG_TEXT("what", what), ARG_END);
    return err_at(reader->err, node->line, 0);
}

static enum err_code unsupported(struct reader *reader, const struct xml_node *node, struct str what)
{
    (void)err_set(reader->err, ERR_UNSUPPORTED, "dmn.unsupported", ARG_STR("element", what), ARG_END);
    return err_at(reader->err, node->line, 0);
}

static int count(const struct reader *reader, const struct xml_node *node, const char *name)
{
    int n = 0;
    for (const struct xml_node *child = node->first; child; child = child->next)
        n += is(reader, child, name);
    return n;
}

/* Room for the children of that name; one more than needed, so that none is not an error. */
static void *room(struct reader *reader, int n, size_t size)
{
    void *out = arena_alloc(reader->arena, (size_t)n + 1, size);
    if (!out)
        (void)err_nomem(reader->err);
    return out;
}

/* The <text> inside, with its line. */
static struct dmn_text text_of(const struct xml_node *node)
{
    const struct xml_node *text = node ? xml_child(node, "text") : NULL;
    return (struct dmn_text) { .text = text ? text->text : STR(""),
                               .id = node ? attr(node, "id") : STR(""),
                               .line = text   ? text->line
                                       : node ? node->line
                                              : 0 };
}

static enum err_code check_language(struct reader *reader, const struct xml_node *node)
{
    const struct str language = attr(node, "expressionLanguage");
    if (language.len == 0)
        return ERR_OK;
    for (size_t i = 0; i < sizeof FEEL_LANGUAGES / sizeof *FEEL_LANGUAGES; i++)
        if (str_eq(language, str_from(FEEL_LANGUAGES[i])))
            return ERR_OK;
    (void)err_set(reader->err, ERR_UNSUPPORTED, "dmn.language", ARG_STR("element", node->name),
                  ARG_STR("language", language), ARG_END);
    return err_at(reader->err, node->line, 0);
}

/* The namespace that a prefix stands for at this node; ptr is NULL when it is not declared. */
static struct str prefix_ns(const struct xml_node *node, struct str prefix)
{
    for (; node; node = node->parent)
        for (const struct xml_attr *a = node->attrs; a; a = a->next)
            if (str_eq(a->ns, STR(XML_NS_XMLNS)) && str_eq(a->name, prefix))
                return a->value;
    return (struct str) { 0 };
}

/* The name of the import of that namespace; ptr is NULL when there is none. */
static struct str import_name(const struct reader *reader, struct str ns)
{
    for (const struct xml_node *child = reader->root->first; child; child = child->next)
        if (is(reader, child, "import") && str_eq(attr(child, "namespace"), ns))
            return attr(child, "name");
    return (struct str) { 0 };
}

/* A type is "string" or "model.tType"; DMN 1.1 and 1.2 wrote a qualified name, "feel:string" or "ns1:tType",
 * whose prefix means the language, this file or an import. */
static struct str type_ref(struct reader *reader, const struct xml_node *node, struct str text)
{
    text = str_trim(text);
    const ptrdiff_t colon = str_find(text, STR(":"));
    if (colon <= 0)
        return text;
    const struct str prefix = str_slice(text, 0, (size_t)colon);
    const struct str local = str_slice(text, (size_t)colon + 1, text.len);
    const struct str ns = prefix_ns(node, prefix);
    if (!ns.ptr)
        return str_eq(prefix, STR("feel")) ? local : text;
    const struct str import = import_name(reader, ns);
    if (!import.ptr || import.len == 0)
        return local;
    const struct str name = arena_printf(reader->arena, "%.*s.%.*s", STR_ARG(import), STR_ARG(local));
    return name.ptr ? name : local;
}

static struct str type_attr(struct reader *reader, const struct xml_node *node)
{
    return type_ref(reader, node, attr(node, "typeRef"));
}

static struct dmn_variable variable_of(struct reader *reader, const struct xml_node *node)
{
    return (struct dmn_variable) { .id = attr(node, "id"),
                                   .name = attr(node, "name"),
                                   .type_ref = type_attr(reader, node),
                                   .line = node->line };
}

/* -- boxed expressions -------------------------------------------------------------------------------- */

static int expr_kind(const struct reader *reader, const struct xml_node *node)
{
    if (!str_eq(node->ns, reader->ns))
        return -1;
    for (int kind = 0; kind < DMN_EXPR__COUNT; kind++)
        if (str_eq(node->name, str_from(EXPR_NAMES[kind])))
            return kind;
    return -1;
}

/* The one expression among the children; *out stays NULL when there is none.  Children named in `others`
 * (NULL-ended) are read elsewhere. */
static enum err_code only_expr(struct reader *reader, const struct xml_node *node, const char *const *others,
                               struct dmn_expr **out)
{
    bool found = false;
    for (const struct xml_node *child = node->first; child; child = child->next) {
        if (!str_eq(child->ns, reader->ns) || is(reader, child, "description") ||
            is(reader, child, "extensionElements") || is_one_of(child, others))
            continue;
        if (expr_kind(reader, child) < 0)
            return unsupported(reader, child, child->name);
        if (found)
            return invalid(reader, child, "dmn.second_expression");
        found = true;
        const enum err_code rc = read_expr(reader, child, out);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static const char *const NOTHING_ELSE[] = { NULL };

/* The expression inside the child of that name: <if>, <in>, <return> ... */
static enum err_code inner_expr(struct reader *reader, const struct xml_node *node, const char *name,
                                struct dmn_expr **out)
{
    const struct xml_node *child = xml_child(node, name);
    if (!child)
        return missing(reader, node, name);
    const enum err_code rc = only_expr(reader, child, NOTHING_ELSE, out);
    if (rc)
        return rc;
    return *out ? ERR_OK : missing(reader, child, "expression");
}

static enum err_code read_context(struct reader *reader, const struct xml_node *node, struct dmn_expr *expr)
{
    static const char *const others[] = { "variable", NULL };
    expr->entries = room(reader, count(reader, node, "contextEntry"), sizeof(*expr->entries));
    if (!expr->entries)
        return ERR_NOMEM;
    for (const struct xml_node *child = xml_child(node, "contextEntry"); child;
         child = xml_sibling(child, "contextEntry")) {
        struct dmn_entry *entry = &expr->entries[expr->entry_count++];
        const struct xml_node *variable = xml_child(child, "variable");
        entry->variable = variable_of(reader, variable ? variable : child);
        if (!variable) {
            entry->variable.name = STR("");
            entry->variable.type_ref = STR("");
        } else if (entry->variable.name.len == 0) {
            return missing(reader, variable, "name");
        }
        const enum err_code rc = only_expr(reader, child, others, &entry->expr);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code read_list(struct reader *reader, const struct xml_node *node, struct dmn_expr *expr)
{
    int n = 0;
    for (const struct xml_node *child = node->first; child; child = child->next)
        n += expr_kind(reader, child) >= 0;
    expr->items = room(reader, n, sizeof(struct dmn_expr *));
    if (!expr->items)
        return ERR_NOMEM;
    for (const struct xml_node *child = node->first; child; child = child->next) {
        if (!str_eq(child->ns, reader->ns) || is_one_of(child, SKIPPED))
            continue;
        if (expr_kind(reader, child) < 0)
            return unsupported(reader, child, child->name);
        const enum err_code rc = read_expr(reader, child, &expr->items[expr->item_count]);
        if (rc)
            return rc;
        expr->item_count++;
    }
    return ERR_OK;
}

static enum err_code read_relation(struct reader *reader, const struct xml_node *node, struct dmn_expr *expr)
{
    const int columns = count(reader, node, "column"), rows = count(reader, node, "row");
    expr->columns = room(reader, columns, sizeof(*expr->columns));
    expr->items = columns > 0 && rows > DMN_NODES_MAX / columns
                      ? NULL
                      : room(reader, columns * rows, sizeof(struct dmn_expr *));
    if (!expr->columns || !expr->items)
        return err_nomem(reader->err);
    for (const struct xml_node *child = xml_child(node, "column"); child;
         child = xml_sibling(child, "column"))
        expr->columns[expr->column_count++] = variable_of(reader, child);
    for (const struct xml_node *child = xml_child(node, "row"); child; child = xml_sibling(child, "row")) {
        struct dmn_expr row = { 0 };
        const enum err_code rc = read_list(reader, child, &row);
        if (rc)
            return rc;
        if (row.item_count != columns)
            return invalid(reader, child, "dmn.row_length");
        for (int i = 0; i < columns; i++)
            expr->items[expr->item_count++] = row.items[i];
    }
    return ERR_OK;
}

static enum err_code read_function(struct reader *reader, const struct xml_node *node, struct dmn_expr *expr)
{
    static const char *const others[] = { "formalParameter", NULL };
    const struct str kind = attr(node, "kind");
    if (kind.len > 0 && !str_eq(kind, STR("FEEL"))) {
        const struct str what =
            arena_printf(reader->arena, "%.*s kind=\"%.*s\"", STR_ARG(node->name), STR_ARG(kind));
        return what.ptr ? unsupported(reader, node, what) : err_nomem(reader->err);
    }
    expr->columns = room(reader, count(reader, node, "formalParameter"), sizeof(*expr->columns));
    expr->items = room(reader, 1, sizeof(struct dmn_expr *));
    if (!expr->columns || !expr->items)
        return ERR_NOMEM;
    for (const struct xml_node *child = xml_child(node, "formalParameter"); child;
         child = xml_sibling(child, "formalParameter")) {
        expr->columns[expr->column_count++] = variable_of(reader, child);
        if (expr->columns[expr->column_count - 1].name.len == 0)
            return missing(reader, child, "name");
    }
    expr->item_count = 1;
    return only_expr(reader, node, others, &expr->items[0]);
}

static enum err_code read_invocation(struct reader *reader, const struct xml_node *node,
                                     struct dmn_expr *expr)
{
    static const char *const outer[] = { "binding", NULL }, *const inner[] = { "parameter", NULL };
    expr->items = room(reader, 1, sizeof(struct dmn_expr *));
    expr->entries = room(reader, count(reader, node, "binding"), sizeof(*expr->entries));
    if (!expr->items || !expr->entries)
        return ERR_NOMEM;
    enum err_code rc = only_expr(reader, node, outer, &expr->items[0]);
    if (rc)
        return rc;
    expr->item_count = 1; /* NULL: it calls nothing, and gives null */
    for (const struct xml_node *child = xml_child(node, "binding"); child;
         child = xml_sibling(child, "binding")) {
        const struct xml_node *parameter = xml_child(child, "parameter");
        if (!parameter)
            return missing(reader, child, "parameter");
        struct dmn_entry *entry = &expr->entries[expr->entry_count++];
        entry->variable = variable_of(reader, parameter);
        rc = only_expr(reader, child, inner, &entry->expr);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code read_parts(struct reader *reader, const struct xml_node *node, struct dmn_expr *expr)
{
    static const char *const parts[DMN_EXPR__COUNT][3] = {
        [DMN_EXPR_CONDITIONAL] = { "if", "then", "else" },
        [DMN_EXPR_FILTER] = { "in", "match" },
        [DMN_EXPR_FOR] = { "in", "return" },
        [DMN_EXPR_SOME] = { "in", "satisfies" },
        [DMN_EXPR_EVERY] = { "in", "satisfies" },
    };
    expr->items = room(reader, 3, sizeof(struct dmn_expr *));
    expr->columns = room(reader, 1, sizeof(*expr->columns));
    if (!expr->items || !expr->columns)
        return ERR_NOMEM;
    for (int i = 0; i < 3 && parts[expr->kind][i]; i++) {
        const enum err_code rc =
            inner_expr(reader, node, parts[expr->kind][i], &expr->items[expr->item_count++]);
        if (rc)
            return rc;
    }
    if (expr->kind == DMN_EXPR_FOR || expr->kind == DMN_EXPR_SOME || expr->kind == DMN_EXPR_EVERY) {
        expr->columns[0].name = attr(node, "iteratorVariable");
        expr->columns[0].line = node->line;
        expr->column_count = 1;
        if (expr->columns[0].name.len == 0)
            return missing(reader, node, "iteratorVariable");
    }
    return ERR_OK;
}

/* -- decision tables ---------------------------------------------------------------------------------- */

static enum err_code read_hit_policy(struct reader *reader, const struct xml_node *node,
                                     struct dmn_table *table)
{
    struct str policy = attr(node, "hitPolicy"), aggregation = attr(node, "aggregation");
    int hit = policy.len == 0 ? DMN_HIT_UNIQUE : -1, agg = -1;
    for (int i = 0; i < DMN_HIT__COUNT; i++)
        if (str_eq(policy, str_from(HIT_NAMES[i])))
            hit = i;
    for (int i = 0; i < DMN_AGG__COUNT; i++)
        if (str_eq(aggregation, str_from(AGGREGATION_NAMES[i])))
            agg = i;
    if (hit < 0 || agg < 0)
        return invalid(reader, node, "dmn.hit_policy");
    table->hit_policy = (enum dmn_hit_policy)hit;
    table->aggregation = hit == DMN_HIT_COLLECT ? (enum dmn_aggregation)agg : DMN_AGG_NONE;
    return ERR_OK;
}

static enum err_code read_clauses(struct reader *reader, const struct xml_node *node, struct dmn_table *table)
{
    enum err_code rc = ERR_OK;
    for (const struct xml_node *child = node->first; child && rc == ERR_OK; child = child->next) {
        if (is(reader, child, "input")) {
            const struct xml_node *expr = xml_child(child, "inputExpression");
            struct dmn_input *input = &table->inputs[table->input_count++];
            *input = (struct dmn_input) { .id = attr(child, "id"),
                                          .label = attr(child, "label"),
                                          .type_ref = expr ? type_attr(reader, expr) : STR(""),
                                          .expr = text_of(expr),
                                          .values = text_of(xml_child(child, "inputValues")),
                                          .line = child->line };
            rc = expr ? check_language(reader, expr) : ERR_OK;
        } else if (is(reader, child, "output")) {
            table->outputs[table->output_count++] =
                (struct dmn_output) { .id = attr(child, "id"),
                                      .label = attr(child, "label"),
                                      .name = attr(child, "name"),
                                      .type_ref = type_attr(reader, child),
                                      .values = text_of(xml_child(child, "outputValues")),
                                      .fallback = text_of(xml_child(child, "defaultOutputEntry")),
                                      .line = child->line };
        } else if (is(reader, child, "annotation")) {
            table->annotations[table->annotation_count++] = attr(child, "name");
        } else if (str_eq(child->ns, reader->ns) && !is(reader, child, "rule") &&
                   !is_one_of(child, SKIPPED)) {
            rc = unsupported(reader, child, child->name);
        }
    }
    if (rc == ERR_OK && table->output_count == 0)
        return missing(reader, node, "output");
    return rc;
}

static enum err_code read_rule(struct reader *reader, const struct xml_node *node,
                               const struct dmn_table *table, struct dmn_rule *rule)
{
    const struct xml_node *description = xml_child(node, "description");
    int in = 0, out = 0, notes = 0;
    rule->id = attr(node, "id");
    rule->line = node->line;
    rule->description = description ? description->text : STR("");
    rule->inputs = room(reader, table->input_count, sizeof(*rule->inputs));
    rule->outputs = room(reader, table->output_count, sizeof(*rule->outputs));
    rule->annotations = room(reader, table->annotation_count, sizeof(*rule->annotations));
    if (!rule->inputs || !rule->outputs || !rule->annotations)
        return ERR_NOMEM;
    for (const struct xml_node *child = node->first; child; child = child->next) {
        enum err_code rc = ERR_OK;
        if (is(reader, child, "inputEntry")) {
            if (in < table->input_count)
                rule->inputs[in] = text_of(child);
            in++;
            rc = check_language(reader, child);
        } else if (is(reader, child, "outputEntry")) {
            if (out < table->output_count)
                rule->outputs[out] = text_of(child);
            out++;
            rc = check_language(reader, child);
        } else if (is(reader, child, "annotationEntry")) {
            if (notes < table->annotation_count)
                rule->annotations[notes] = text_of(child).text;
            notes++;
        } else if (str_eq(child->ns, reader->ns) && !is_one_of(child, SKIPPED)) {
            rc = unsupported(reader, child, child->name);
        }
        if (rc)
            return rc;
    }
    if (in != table->input_count || out != table->output_count) {
        (void)err_set(reader->err, ERR_INVALID, "dmn.rule_length", ARG_INT("inputs", table->input_count),
                      ARG_INT("outputs", table->output_count), ARG_END);
        return err_at(reader->err, node->line, 0);
    }
    return ERR_OK;
}

static enum err_code read_table(struct reader *reader, const struct xml_node *node, struct dmn_expr *expr)
{
    struct dmn_table *table = arena_alloc(reader->arena, 1, sizeof(*table));
    if (!table)
        return err_nomem(reader->err);
    table->inputs = room(reader, count(reader, node, "input"), sizeof(*table->inputs));
    table->outputs = room(reader, count(reader, node, "output"), sizeof(*table->outputs));
    table->annotations = room(reader, count(reader, node, "annotation"), sizeof(*table->annotations));
    table->rules = room(reader, count(reader, node, "rule"), sizeof(*table->rules));
    if (!table->inputs || !table->outputs || !table->annotations || !table->rules)
        return ERR_NOMEM;
    table->output_label = attr(node, "outputLabel");
    enum err_code rc = read_hit_policy(reader, node, table);
    if (rc == ERR_OK)
        rc = read_clauses(reader, node, table);
    for (const struct xml_node *rule = xml_child(node, "rule"); rule && rc == ERR_OK;
         rule = xml_sibling(rule, "rule"))
        rc = read_rule(reader, rule, table, &table->rules[table->rule_count++]);
    expr->table = table;
    return rc;
}

static enum err_code read_literal(struct reader *reader, const struct xml_node *node, struct dmn_expr *expr)
{
    const struct xml_node *imported = xml_child(node, "importedValues");
    if (imported)
        return unsupported(reader, imported, imported->name);
    expr->text = text_of(node);
    return check_language(reader, node);
}

static enum err_code read_expr(struct reader *reader, const struct xml_node *node, struct dmn_expr **out)
{
    typedef enum err_code (*read_fn)(struct reader *, const struct xml_node *, struct dmn_expr *);
    static const read_fn READERS[DMN_EXPR__COUNT] = {
        read_literal, read_context, read_list,  read_relation, read_function, read_invocation,
        read_table,   read_parts,   read_parts, read_parts,    read_parts,    read_parts,
    };
    struct dmn_expr *expr = arena_alloc(reader->arena, 1, sizeof(*expr));
    const int kind = expr_kind(reader, node);
    if (kind < 0)
        return unsupported(reader, node, node->name);
    if (!expr)
        return err_nomem(reader->err);
    expr->kind = (enum dmn_expr_kind)kind;
    expr->id = attr(node, "id");
    expr->type_ref = type_attr(reader, node);
    expr->line = node->line;
    const enum err_code rc = READERS[kind](reader, node, expr); /* depth: bounded by xml_read() */
    if (rc == ERR_OK)
        *out = expr;
    return rc;
}

/* -- elements of the requirements graph ---------------------------------------------------------------- */

static enum err_code read_ref(struct reader *reader, const struct xml_node *node, enum dmn_ref_kind kind,
                              struct dmn_element *element)
{
    const struct str href = str_trim(attr(node, "href"));
    const ptrdiff_t hash = str_find(href, STR("#"));
    if (href.len == 0)
        return missing(reader, node, "href");
    struct dmn_ref *ref = &element->refs[element->ref_count++];
    ref->kind = kind;
    ref->line = node->line;
    ref->ns = hash > 0 ? str_slice(href, 0, (size_t)hash) : STR("");
    ref->id = hash >= 0 ? str_slice(href, (size_t)hash + 1, href.len) : href;
    return ERR_OK;
}

static int ref_kind(const struct reader *reader, const struct xml_node *node, enum dmn_element_kind of)
{
    static const struct {
        const char *name;
        enum dmn_ref_kind kind;
        bool of_service;
    } refs[] = {
        { "requiredInput", DMN_REF_INPUT, false },
        { "requiredDecision", DMN_REF_DECISION, false },
        { "requiredKnowledge", DMN_REF_KNOWLEDGE, false },
        { "outputDecision", DMN_REF_OUTPUT, true },
        { "encapsulatedDecision", DMN_REF_ENCAPSULATED, true },
        { "inputDecision", DMN_REF_IN_DECISION, true },
        { "inputData", DMN_REF_INPUT, true },
    };
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++)
        if (refs[i].of_service == (of == DMN_SERVICE) && is(reader, node, refs[i].name))
            return (int)refs[i].kind;
    return -1;
}

static enum err_code read_refs(struct reader *reader, const struct xml_node *node,
                               struct dmn_element *element)
{
    int n = 0;
    for (const struct xml_node *child = node->first; child; child = child->next)
        n++;
    element->refs = room(reader, n, sizeof(*element->refs));
    if (!element->refs)
        return ERR_NOMEM;
    for (const struct xml_node *child = node->first; child; child = child->next) {
        const bool nested =
            is(reader, child, "informationRequirement") || is(reader, child, "knowledgeRequirement");
        const struct xml_node *target = nested ? child->first : child;
        while (nested && target && ref_kind(reader, target, element->kind) < 0)
            target = target->next;
        const int kind = target ? ref_kind(reader, target, element->kind) : -1;
        if (nested && kind < 0)
            return missing(reader, child, "href");
        if (kind >= 0) {
            const enum err_code rc = read_ref(reader, target, (enum dmn_ref_kind)kind, element);
            if (rc)
                return rc;
        }
    }
    return ERR_OK;
}

/* The function of a BKM stands in <encapsulatedLogic>, which is itself a function definition. */
static enum err_code read_encapsulated(struct reader *reader, const struct xml_node *node,
                                       struct dmn_element *element)
{
    const struct xml_node *logic = xml_child(node, "encapsulatedLogic");
    if (!logic)
        return ERR_OK;
    struct dmn_expr *expr = arena_alloc(reader->arena, 1, sizeof(*expr));
    if (!expr)
        return err_nomem(reader->err);
    expr->kind = DMN_EXPR_FUNCTION;
    expr->id = attr(logic, "id");
    expr->type_ref = type_attr(reader, logic);
    expr->line = logic->line;
    element->expr = expr;
    return read_function(reader, logic, expr);
}

/* clang-format off */
static const char *const DECISION_PARTS[] = {
    "description", "extensionElements", "question", "allowedAnswers", "variable", "informationRequirement",
    "knowledgeRequirement", "authorityRequirement", "supportedObjective", "impactedPerformanceIndicator",
    "decisionMaker", "decisionOwner", "usingProcess", "usingTask", NULL,
};
static const char *const BKM_PARTS[] = {
    "description", "extensionElements", "variable", "encapsulatedLogic", "knowledgeRequirement",
    "authorityRequirement", NULL,
};
static const char *const SERVICE_PARTS[] = {
    "description", "extensionElements", "variable", "outputDecision", "encapsulatedDecision", "inputDecision",
    "inputData", NULL,
};
/* clang-format on */

static enum err_code only_parts(struct reader *reader, const struct xml_node *node, const char *const *parts)
{
    for (const struct xml_node *child = node->first; child; child = child->next)
        if (str_eq(child->ns, reader->ns) && !is_one_of(child, parts))
            return unsupported(reader, child, child->name);
    return ERR_OK;
}

static enum err_code read_element(struct reader *reader, const struct xml_node *node,
                                  enum dmn_element_kind kind, struct dmn_element *element)
{
    const struct xml_node *variable = xml_child(node, "variable"), *text;
    enum err_code rc = ERR_OK;

    element->kind = kind;
    element->id = attr(node, "id");
    element->name = attr(node, "name");
    element->label = attr(node, "label");
    element->line = node->line;
    element->description = (text = xml_child(node, "description")) ? text->text : STR("");
    element->question = (text = xml_child(node, "question")) ? text->text : STR("");
    element->answers = (text = xml_child(node, "allowedAnswers")) ? text->text : STR("");
    if (element->name.len == 0 && kind != DMN_SOURCE)
        return missing(reader, node, "name");
    element->variable = variable_of(reader, variable ? variable : node);
    if (element->variable.name.len == 0)
        element->variable.name = element->name;
    if (!variable)
        element->variable.type_ref = STR("");
    if (kind != DMN_INPUT_DATA && kind != DMN_SOURCE)
        rc = read_refs(reader, node, element);
    if (rc == ERR_OK && kind == DMN_DECISION)
        rc = only_expr(reader, node, DECISION_PARTS, &element->expr);
    if (rc == ERR_OK && kind == DMN_BKM) {
        rc = only_parts(reader, node, BKM_PARTS);
        if (rc == ERR_OK)
            rc = read_encapsulated(reader, node, element);
    }
    if (rc == ERR_OK && kind == DMN_SERVICE)
        rc = only_parts(reader, node, SERVICE_PARTS);
    return rc;
}

/* -- item definitions ---------------------------------------------------------------------------------- */

static enum err_code read_components(struct reader *reader, const struct xml_node *node, const char *name,
                                     struct dmn_item *item)
{
    item->components = room(reader, count(reader, node, name), sizeof(*item->components));
    if (!item->components)
        return ERR_NOMEM;
    for (const struct xml_node *child = xml_child(node, name); child; child = xml_sibling(child, name)) {
        const enum err_code rc = read_item(reader, child, &item->components[item->component_count++]);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code read_item(struct reader *reader, const struct xml_node *node, struct dmn_item *item)
{
    static const char *const parts[] = { "description",    "extensionElements",
                                         "typeRef",        "allowedValues",
                                         "itemComponent",  "functionItem",
                                         "typeConstraint", NULL };
    const struct xml_node *type = xml_child(node, "typeRef"), *function = xml_child(node, "functionItem");
    const struct str collection = attr(node, "isCollection");
    const enum err_code rc = only_parts(reader, node, parts);
    if (rc)
        return rc;

    item->id = attr(node, "id");
    item->name = attr(node, "name");
    item->label = attr(node, "label");
    item->line = node->line;
    item->type_ref = type ? type_ref(reader, type, type->text) : type_attr(reader, node);
    item->is_collection = str_eq(collection, STR("true")) || str_eq(collection, STR("1"));
    item->allowed = text_of(xml_child(node, "allowedValues"));
    item->constraint = text_of(xml_child(node, "typeConstraint"));
    item->output_type_ref = STR("");
    if (item->name.len == 0)
        return missing(reader, node, "name");
    if (function) {
        item->is_function = true;
        item->output_type_ref = type_ref(reader, function, attr(function, "outputTypeRef"));
        return read_components(reader, function, "parameters", item);
    }
    return read_components(reader, node, "itemComponent", item);
}

/* -- the file ------------------------------------------------------------------------------------------ */

static int element_kind(const struct reader *reader, const struct xml_node *node)
{
    if (!str_eq(node->ns, reader->ns))
        return -1;
    for (int kind = 0; kind < DMN_ELEMENT__COUNT; kind++)
        if (str_eq(node->name, str_from(ELEMENT_NAMES[kind])))
            return kind;
    return -1;
}

static enum err_code read_child(struct reader *reader, const struct xml_node *node, struct dmn_file *file)
{
    const int kind = element_kind(reader, node);
    if (kind >= 0)
        return read_element(reader, node, (enum dmn_element_kind)kind,
                            &file->elements[file->element_count++]);
    if (is(reader, node, "itemDefinition"))
        return read_item(reader, node, &file->items[file->item_count++]);
    if (is(reader, node, "import")) {
        file->imports[file->import_count++] = (struct dmn_import) { .name = attr(node, "name"),
                                                                    .ns = attr(node, "namespace"),
                                                                    .type = attr(node, "importType"),
                                                                    .location = attr(node, "locationURI"),
                                                                    .line = node->line };
        return ERR_OK;
    }
    if (str_eq(node->ns, reader->ns) && !is_one_of(node, SKIPPED))
        return unsupported(reader, node, node->name);
    return ERR_OK; /* diagrams and what other tools left there */
}

static enum err_code read_definitions(struct reader *reader, const struct xml_node *root,
                                      struct dmn_file *file)
{
    const struct xml_node *description;
    int n = 0, elements = 0;
    size_t version = 0;

    while (version < sizeof NAMESPACES / sizeof *NAMESPACES &&
           !str_eq(root->ns, str_from(NAMESPACES[version].ns)))
        version++;
    if (version == sizeof NAMESPACES / sizeof *NAMESPACES || !str_eq(root->name, STR("definitions"))) {
        (void)err_set(reader->err, ERR_INVALID, "dmn.not_dmn", ARG_STR("element", root->name),
                      ARG_STR("namespace", root->ns), ARG_END);
        return err_at(reader->err, root->line, 0);
    }
    file->version = NAMESPACES[version].version;
    reader->ns = root->ns;
    reader->root = root;
    file->id = attr(root, "id");
    file->name = attr(root, "name");
    file->ns = attr(root, "namespace");
    description = xml_child(root, "description");
    file->description = description ? description->text : STR("");
    for (const struct xml_node *child = root->first; child; child = child->next, n++)
        elements += element_kind(reader, child) >= 0;
    file->elements = room(reader, elements, sizeof(*file->elements));
    file->items = room(reader, count(reader, root, "itemDefinition"), sizeof(*file->items));
    file->imports = room(reader, count(reader, root, "import"), sizeof(*file->imports));
    if (!file->elements || !file->items || !file->imports)
        return ERR_NOMEM;
    enum err_code rc = check_language(reader, root);
    for (const struct xml_node *child = root->first; child && rc == ERR_OK; child = child->next)
        rc = read_child(reader, child, file);
    return rc;
}

enum err_code dmn_read(struct arena *arena, struct str text, const struct dmn_file **out_file,
                       struct err *err)
{
    static const struct xml_limits limits = { DMN_BYTES_MAX, DMN_DEPTH_MAX, DMN_NODES_MAX };
    struct reader reader = { .arena = arena, .err = err };
    const struct xml_node *root = NULL;
    enum err_code rc = xml_read(arena, text, &limits, &root, err);
    if (rc)
        return rc;
    struct dmn_file *file = arena_alloc(arena, 1, sizeof(*file));
    if (!file)
        return err_nomem(err);
    rc = read_definitions(&reader, root, file);
    if (rc == ERR_OK)
        *out_file = file;
    return rc;
}
