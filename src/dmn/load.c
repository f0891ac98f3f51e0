/* load.c - files to a model: imports, item definitions, references, then the logic. */
#include "dmn/inside.h"

static enum err_code invalid(struct compiler *compiler, int line, const char *id, const char *arg,
                             struct str value)
{
    (void)err_set(compiler->err, ERR_INVALID, id, ARG_STR(arg, value), ARG_END);
    return err_at(compiler->err, line, 0);
}

static int unit_of(const struct dmn_model *model, struct str ns)
{
    for (int i = 0; i < model->unit_count; i++)
        if (str_eq(model->units[i].file->ns, ns))
            return i;
    return -1;
}

/* Depth first over the imports; in the order they are done, their types are built. */
static enum err_code open_unit(struct compiler *compiler, int index)
{
    struct dmn_model *model = compiler->model;
    struct unit *unit = &model->units[index];
    const struct dmn_file *file = unit->file;
    enum err_code rc = ERR_OK;

    unit->state = UNIT_OPEN;
    unit->wanted = true;
    unit->imports = arena_alloc(compiler->arena, (size_t)file->import_count + 1, sizeof(int));
    if (!unit->imports)
        return err_nomem(compiler->err);
    for (int i = 0; i < file->import_count; i++) {
        const struct dmn_import *import = &file->imports[i];
        compiler->unit = unit;
        if (import->type.len > 0 && str_find(import->type, STR("spec/DMN")) < 0) {
            (void)err_set(compiler->err, ERR_UNSUPPORTED, "dmn.unsupported",
                          ARG_TEXT("element", "import importType"), ARG_END);
            return err_at(compiler->err, import->line, 0);
        }
        const int target = unit_of(model, import->ns);
        if (target < 0)
            return invalid(compiler, import->line, "dmn.no_import", "namespace", import->ns);
        if (model->units[target].state == UNIT_OPEN)
            return invalid(compiler, import->line, "dmn.import_cycle", "namespace", import->ns);
        unit->imports[i] = target;
        if (model->units[target].state == UNIT_NEW)
            rc = open_unit(compiler, target); /* as deep as there are sources: DMN_SOURCES_MAX */
        if (rc)
            return rc;
    }
    unit->state = UNIT_DONE;
    *compiler =
        (struct compiler) { .model = model, .arena = compiler->arena, .err = compiler->err, .unit = unit };
    return dmn_types_build(compiler);
}

static enum err_code make_nodes(struct compiler *compiler)
{
    struct dmn_model *model = compiler->model;
    int count = 0;
    for (int i = 0; i < model->unit_count; i++) {
        model->units[i].first_node = count;
        model->units[i].node_count = model->units[i].wanted ? model->units[i].file->element_count : 0;
        count += model->units[i].node_count;
    }
    model->nodes = arena_alloc(compiler->arena, (size_t)count + 1, sizeof(*model->nodes));
    if (!model->nodes)
        return err_nomem(compiler->err);
    for (int i = 0; i < model->unit_count; i++)
        for (int j = 0; j < model->units[i].node_count; j++) {
            struct node *node = &model->nodes[model->node_count];
            node->model = model;
            node->element = &model->units[i].file->elements[j];
            node->index = model->node_count++;
            node->unit = i;
        }
    return ERR_OK;
}

static const enum dmn_element_kind KIND_OF_REF[] = {
    [DMN_REF_INPUT] = DMN_INPUT_DATA,      [DMN_REF_DECISION] = DMN_DECISION,
    [DMN_REF_KNOWLEDGE] = DMN_BKM,         [DMN_REF_OUTPUT] = DMN_DECISION,
    [DMN_REF_ENCAPSULATED] = DMN_DECISION, [DMN_REF_IN_DECISION] = DMN_DECISION,
};

static bool fits(enum dmn_ref_kind ref, enum dmn_element_kind kind)
{
    return KIND_OF_REF[ref] == kind || (ref == DMN_REF_KNOWLEDGE && kind == DMN_SERVICE);
}

/* A reference to what it must be of that id; a namespace in front names this file or an imported one. */
static enum err_code find_target(struct compiler *compiler, const struct node *node,
                                 const struct dmn_ref *ref, int *out)
{
    const struct dmn_model *model = compiler->model;
    const struct unit *own = &model->units[node->unit], *unit = own;
    compiler->unit = &model->units[node->unit];
    if (ref->ns.len > 0 && !str_eq(ref->ns, own->file->ns)) {
        unit = NULL;
        for (int i = 0; i < own->file->import_count; i++)
            if (str_eq(own->file->imports[i].ns, ref->ns))
                unit = &model->units[own->imports[i]];
        for (int i = 0; i < model->unit_count && !unit; i++) /* of an import's import */
            if (model->units[i].wanted && str_eq(model->units[i].file->ns, ref->ns))
                unit = &model->units[i];
        if (!unit)
            return invalid(compiler, ref->line, "dmn.no_import", "namespace", ref->ns);
    }
    for (int i = unit->first_node; i < unit->first_node + unit->node_count; i++)
        if (str_eq(model->nodes[i].element->id, ref->id) && ref->id.len > 0) {
            if (!fits(ref->kind, model->nodes[i].element->kind))
                return invalid(compiler, ref->line, "dmn.wrong_element", "id", ref->id);
            *out = i;
            return ERR_OK;
        }
    return invalid(compiler, ref->line, "dmn.no_element", "id", ref->id);
}

static enum err_code link_nodes(struct compiler *compiler)
{
    struct dmn_model *model = compiler->model;
    for (int i = 0; i < model->node_count; i++) {
        struct node *node = &model->nodes[i];
        node->requires = arena_alloc(compiler->arena, (size_t)node->element->ref_count + 1, sizeof(int));
        if (!node->requires)
            return err_nomem(compiler->err);
        for (int j = 0; j < node->element->ref_count; j++) {
            const enum err_code rc = find_target(compiler, node, &node->element->refs[j], &node->requires[j]);
            if (rc)
                return rc;
        }
    }
    return ERR_OK;
}

/* for x in x return x: lists, ranges and single values alike become a list. */
static enum err_code prepare_each(struct compiler *compiler)
{
    struct feel_scope *scope = feel_scope_new(compiler->arena);
    size_t slot;
    if (!scope)
        return err_nomem(compiler->err);
    const enum err_code rc = feel_scope_add(scope, STR("x"), NULL, &slot, compiler->err);
    if (rc)
        return rc;
    return feel_prepare(compiler->arena, scope, STR("for y in x return y"), FEEL_EXPRESSION, 0,
                        &compiler->model->each, compiler->err);
}

static enum err_code read_sources(struct dmn_model *model, const struct dmn_source *sources, size_t count,
                                  size_t *source, struct err *err)
{
    model->units = arena_alloc(model->arena, count + 1, sizeof(*model->units));
    model->findings.max = FINDINGS_MAX;
    model->findings.items = arena_alloc(model->arena, FINDINGS_MAX, sizeof(*model->findings.items));
    if (!model->units || !model->findings.items)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        struct unit *unit = &model->units[i];
        *source = i;
        const enum err_code rc = dmn_read(model->arena, sources[i].text, &unit->file, err);
        if (rc)
            return rc;
        unit->source = (int)i;
        unit->source_name = arena_str(model->arena, sources[i].name);
        if (!unit->source_name.ptr)
            return err_nomem(err);
        model->unit_count++;
    }
    *source = 0;
    return ERR_OK;
}

enum err_code dmn_load(const struct dmn_source *sources, size_t count, struct dmn_model **out_model,
                       size_t *out_source, struct err *err)
{
    struct err own = { 0 };
    size_t source = 0;
    if (count == 0 || count > DMN_SOURCES_MAX)
        return err_set(err, ERR_LIMIT, "dmn.sources", ARG_INT("max", DMN_SOURCES_MAX), ARG_END);
    struct arena *arena = arena_new(DMN_MODEL_BYTES_MAX);
    struct dmn_model *model = arena ? arena_alloc(arena, 1, sizeof(*model)) : NULL;
    if (!model) {
        arena_free(arena);
        return err_nomem(err);
    }
    model->arena = arena;
    struct compiler compiler = { .model = model, .arena = arena, .err = err ? err : &own };
    enum err_code rc = read_sources(model, sources, count, &source, compiler.err);
    if (rc == ERR_OK)
        rc = prepare_each(&compiler);
    if (rc == ERR_OK)
        rc = open_unit(&compiler, 0);
    if (rc == ERR_OK)
        rc = make_nodes(&compiler);
    if (rc == ERR_OK)
        rc = link_nodes(&compiler);
    if (rc == ERR_OK)
        rc = dmn_compile_nodes(&compiler);
    if (rc == ERR_OK) {
        *out_model = model;
        return ERR_OK;
    }
    if (out_source)
        *out_source = compiler.unit ? (size_t)compiler.unit->source : source;
    arena_free(arena);
    return rc;
}

void dmn_free(struct dmn_model *model)
{
    if (model)
        arena_free(model->arena);
}

void dmn_free_auto(struct dmn_model **model)
{
    dmn_free(*model);
}

/* -- looking at it ------------------------------------------------------------------------------------- */

const struct dmn_findings *dmn_findings(const struct dmn_model *model)
{
    return &model->findings;
}

const struct dmn_file *dmn_model_file(const struct dmn_model *model, size_t source)
{
    return source < (size_t)model->unit_count ? model->units[source].file : NULL;
}

int dmn_node_count(const struct dmn_model *model)
{
    return model->node_count;
}

static int find_named(const struct dmn_model *model, const struct unit *unit, enum dmn_element_kind kind,
                      struct str name)
{
    for (int i = unit->first_node; i < unit->first_node + unit->node_count; i++)
        if (model->nodes[i].element->kind == kind && str_eq(model->nodes[i].element->name, name))
            return i;
    return -1;
}

int dmn_find(const struct dmn_model *model, enum dmn_element_kind kind, struct str name)
{
    return find_named(model, &model->units[0], kind, name);
}

int dmn_find_in(const struct dmn_model *model, struct str ns, enum dmn_element_kind kind, struct str name)
{
    const int unit = unit_of(model, ns);
    return unit < 0 ? -1 : find_named(model, &model->units[unit], kind, name);
}

int dmn_find_id(const struct dmn_model *model, struct str id)
{
    for (int i = 0; i < model->units[0].node_count; i++)
        if (str_eq(model->nodes[i].element->id, id))
            return i;
    return -1;
}

const struct dmn_element *dmn_node_element(const struct dmn_model *model, int node)
{
    return model->nodes[node].element;
}

struct str dmn_node_namespace(const struct dmn_model *model, int node)
{
    return model->units[model->nodes[node].unit].file->ns;
}

const struct feel_type *dmn_node_type(const struct dmn_model *model, int node)
{
    return model->nodes[node].type;
}

struct feel_value dmn_node_function(const struct dmn_model *model, int node)
{
    return model->nodes[node].function;
}
