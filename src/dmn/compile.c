/* compile.c - boxed expressions to struct code: names to slots, texts to programs, typeRefs to types. */
#include "dmn/inside.h"

static enum err_code compile_expr(struct compiler *compiler, const struct dmn_expr *expr, struct code **out);

#define DYNAMIC_NAMES_MAX 32 /* fields of the items of a boxed filter whose type is not known */

/* -- names and texts ----------------------------------------------------------------------------------- */

void compiler_finding(struct compiler *compiler, const struct dmn_text *text, const struct err *err)
{
    struct dmn_findings *findings = &compiler->model->findings;
    if (findings->count == findings->max) {
        findings->more++;
        return;
    }
    findings->items[findings->count++] = (struct dmn_finding) { .is_error = true,
                                                                .err = *err,
                                                                .element = compiler->element,
                                                                .id = text->id,
                                                                .source = compiler->unit->source,
                                                                .line = text->line,
                                                                .rule = compiler->rule,
                                                                .column = compiler->column };
}

enum err_code compiler_name(struct compiler *compiler, struct str name, const struct feel_type *type,
                            int *out_slot)
{
    if (compiler->name_count == compiler->name_max) {
        const int max = compiler->name_max > 0 ? 2 * compiler->name_max : 32;
        struct feel_type_field *names = arena_alloc(compiler->arena, (size_t)max, sizeof(*names));
        if (!names)
            return err_nomem(compiler->err);
        if (compiler->name_count > 0)
            memcpy(names, compiler->names, (size_t)compiler->name_count * sizeof(*names));
        compiler->names = names;
        compiler->name_max = max;
    }
    *out_slot = compiler->name_count;
    compiler->names[compiler->name_count++] = (struct feel_type_field) { name, type };
    if (compiler->name_count > compiler->slot_high)
        compiler->slot_high = compiler->name_count;
    compiler->scope = NULL;
    return ERR_OK;
}

void compiler_leave(struct compiler *compiler, int name_count)
{
    if (compiler->name_count != name_count)
        compiler->scope = NULL;
    compiler->name_count = name_count;
}

const struct feel_scope *compiler_scope(struct compiler *compiler)
{
    if (compiler->scope)
        return compiler->scope;
    struct feel_scope *scope = feel_scope_new(compiler->arena);
    size_t slot;
    if (!scope) {
        (void)err_nomem(compiler->err);
        return NULL;
    }
    for (int i = 0; i < compiler->name_count; i++)
        if (feel_scope_add(scope, compiler->names[i].name, compiler->names[i].type, &slot, compiler->err))
            return NULL;
    for (int i = 0; i < compiler->unit->type_count; i++) {
        const struct named_type *named = &compiler->unit->types[i];
        if (named->state == TYPE_DONE && named->type &&
            feel_scope_type(scope, named->name, named->type, compiler->err))
            return NULL;
    }
    compiler->scope = scope;
    return scope;
}

enum err_code compiler_text(struct compiler *compiler, const struct dmn_text *text, enum feel_mode mode,
                            const struct feel_program **out, bool *out_broken)
{
    const struct feel_scope *scope = compiler_scope(compiler);
    struct err err = { 0 };
    if (!scope)
        return compiler->err->code;
    enum err_code rc = feel_prepare(compiler->arena, scope, text->text, mode, 0, out, &err);
    if (rc == ERR_OK)
        return ERR_OK;
    if (rc == ERR_NOMEM)
        return err_nomem(compiler->err);
    compiler_finding(compiler, text, &err);
    if (strcmp(err.id, "feel.unknown_name") == 0) { /* the rest of it may still be of use */
        rc = feel_prepare(compiler->arena, scope, text->text, mode, FEEL_NAMES_OPEN, out, &err);
        if (rc == ERR_OK)
            return ERR_OK;
        if (rc == ERR_NOMEM)
            return err_nomem(compiler->err);
    }
    *out = NULL;
    *out_broken = true;
    return ERR_OK;
}

static const struct feel_type *element_of(const struct feel_type *type)
{
    if (!type)
        return NULL;
    if (type->kind == FEEL_T_LIST || type->kind == FEEL_T_RANGE)
        return type->element;
    return type->kind == FEEL_T_ANY ? NULL : type; /* a single value is taken as a list of one */
}

/* -- one function a kind ------------------------------------------------------------------------------- */

static enum err_code compile_literal(struct compiler *compiler, const struct dmn_expr *expr,
                                     struct code *code)
{
    if (str_trim(expr->text.text).len == 0)
        return ERR_OK;
    struct dmn_text text = expr->text;
    if (text.id.len == 0)
        text.id = expr->id;
    const enum err_code rc = compiler_text(compiler, &text, FEEL_EXPRESSION, &code->program, &code->broken);
    if (rc == ERR_OK && code->program)
        code->known = feel_program_type(code->program);
    return rc;
}

static enum err_code make_parts(struct compiler *compiler, int count, struct code *code)
{
    code->parts = arena_alloc(compiler->arena, (size_t)count + 1, sizeof(struct code *));
    code->part_count = count;
    return code->parts ? ERR_OK : err_nomem(compiler->err);
}

static enum err_code compile_part(struct compiler *compiler, const struct dmn_expr *expr, struct code **out)
{
    return expr ? compile_expr(compiler, expr, out) : ERR_OK;
}

/* A function may call itself by the name of its entry. */
static bool is_function(const struct dmn_expr *expr)
{
    return expr &&
           (expr->kind == DMN_EXPR_FUNCTION ||
            (expr->kind == DMN_EXPR_LITERAL && str_starts(str_trim(expr->text.text), STR("function"))));
}

static enum err_code compile_context(struct compiler *compiler, const struct dmn_expr *expr,
                                     struct code *code)
{
    const int names = compiler->name_count;
    enum err_code rc = make_parts(compiler, expr->entry_count, code);
    code->types = arena_alloc(compiler->arena, (size_t)expr->entry_count + 1, sizeof(struct feel_type *));
    code->params = arena_alloc(compiler->arena, (size_t)expr->entry_count + 1, sizeof(*code->params));
    if (rc || !code->types || !code->params)
        return err_nomem(compiler->err);
    code->slot = names;
    for (int i = 0; i < expr->entry_count && rc == ERR_OK; i++) {
        const struct dmn_variable *variable = &expr->entries[i].variable;
        int slot = -1;
        if (variable->name.len > 0 && is_function(expr->entries[i].expr))
            rc = compiler_name(compiler, variable->name, NULL, &slot);
        if (rc == ERR_OK)
            rc = compile_part(compiler, expr->entries[i].expr, &code->parts[i]);
        if (rc)
            break;
        if (slot >= 0)
            code->parts[i]->own_slot = slot;
        code->types[i] = dmn_type_of(compiler, variable->type_ref, variable->line, variable->id);
        const struct feel_type *known = code->types[i]   ? code->types[i]
                                        : code->parts[i] ? code->parts[i]->known
                                                         : NULL;
        if (variable->name.len == 0) {
            if (i == expr->entry_count - 1)
                code->known = known;
            continue;
        }
        code->params[code->param_count++] = (struct feel_type_field) { variable->name, known };
        if (slot < 0) {
            rc = compiler_name(compiler, variable->name, known, &slot);
        } else {
            compiler->names[slot].type = known;
            compiler->scope = NULL;
        }
    }
    compiler_leave(compiler, names);
    if (rc == ERR_OK && code->param_count == expr->entry_count) { /* no result entry: the context itself */
        code->known = feel_type_context(compiler->arena, code->params, (size_t)code->param_count);
        if (!code->known)
            return err_nomem(compiler->err);
    }
    return rc;
}

static enum err_code compile_list(struct compiler *compiler, const struct dmn_expr *expr, struct code *code)
{
    enum err_code rc = make_parts(compiler, expr->item_count, code);
    for (int i = 0; i < expr->item_count && rc == ERR_OK; i++)
        rc = compile_part(compiler, expr->items[i], &code->parts[i]);
    if (rc)
        return rc;
    const struct feel_type *element = expr->item_count == 1 && code->parts[0] ? code->parts[0]->known : NULL;
    if (expr->kind == DMN_EXPR_RELATION) {
        code->params = arena_alloc(compiler->arena, (size_t)expr->column_count + 1, sizeof(*code->params));
        code->types =
            arena_alloc(compiler->arena, (size_t)expr->column_count + 1, sizeof(struct feel_type *));
        if (!code->params || !code->types)
            return err_nomem(compiler->err);
        for (int i = 0; i < expr->column_count; i++) {
            const struct dmn_variable *column = &expr->columns[i];
            code->types[i] = dmn_type_of(compiler, column->type_ref, column->line, column->id);
            code->params[i] = (struct feel_type_field) { column->name, code->types[i] };
        }
        code->param_count = expr->column_count;
        element = feel_type_context(compiler->arena, code->params, (size_t)expr->column_count);
    }
    code->known = feel_type_list(compiler->arena, element);
    return code->known ? ERR_OK : err_nomem(compiler->err);
}

static enum err_code compile_function(struct compiler *compiler, const struct dmn_expr *expr,
                                      struct code *code)
{
    const int names = compiler->name_count, high = compiler->slot_high;
    enum err_code rc = make_parts(compiler, 1, code);
    code->params = arena_alloc(compiler->arena, (size_t)expr->column_count + 1, sizeof(*code->params));
    if (rc || !code->params)
        return err_nomem(compiler->err);
    code->slot = names;
    compiler->slot_high = names;
    for (int i = 0; i < expr->column_count && rc == ERR_OK; i++) {
        const struct dmn_variable *param = &expr->columns[i];
        int slot;
        code->params[i] = (struct feel_type_field) { param->name, dmn_type_of(compiler, param->type_ref,
                                                                              param->line, param->id) };
        rc = compiler_name(compiler, param->name, code->params[i].type, &slot);
    }
    code->param_count = expr->column_count;
    if (rc == ERR_OK)
        rc = compile_part(compiler, expr->items[0], &code->parts[0]);
    code->slot_count = compiler->slot_high;
    compiler_leave(compiler, names);
    if (high > compiler->slot_high)
        compiler->slot_high = high;
    if (rc)
        return rc;
    const struct feel_type *result = code->parts[0] ? code->parts[0]->known : NULL;
    code->known = feel_type_function(compiler->arena, code->params, (size_t)code->param_count,
                                     result ? result : feel_type_basic(FEEL_T_ANY));
    return code->known ? ERR_OK : err_nomem(compiler->err);
}

static enum err_code compile_invocation(struct compiler *compiler, const struct dmn_expr *expr,
                                        struct code *code)
{
    enum err_code rc = make_parts(compiler, expr->entry_count + 1, code);
    code->types = arena_alloc(compiler->arena, (size_t)expr->entry_count + 1, sizeof(struct feel_type *));
    if (rc || !code->types)
        return err_nomem(compiler->err);
    rc = compile_part(compiler, expr->items[0], &code->parts[0]);
    for (int i = 0; i < expr->entry_count && rc == ERR_OK; i++) {
        const struct dmn_variable *param = &expr->entries[i].variable;
        code->types[i] = dmn_type_of(compiler, param->type_ref, param->line, param->id);
        rc = compile_part(compiler, expr->entries[i].expr, &code->parts[i + 1]);
    }
    if (rc == ERR_OK && code->parts[0] && code->parts[0]->known &&
        code->parts[0]->known->kind == FEEL_T_FUNCTION)
        code->known = code->parts[0]->known->element;
    return rc;
}

static enum err_code compile_conditional(struct compiler *compiler, const struct dmn_expr *expr,
                                         struct code *code)
{
    enum err_code rc = make_parts(compiler, 3, code);
    for (int i = 0; i < 3 && rc == ERR_OK; i++)
        rc = compile_expr(compiler, expr->items[i], &code->parts[i]);
    if (rc == ERR_OK && code->parts[1]->known && code->parts[2]->known &&
        feel_type_conforms(code->parts[1]->known, code->parts[2]->known))
        code->known = code->parts[2]->known;
    return rc;
}

/* Inside `match` the fields of an item are names.  Where the type of the items is not known, those names are
 * taken from the text: every name that is unknown otherwise. */
static enum err_code filter_names(struct compiler *compiler, const struct dmn_expr *match,
                                  const struct feel_type *item, struct code *code)
{
    int slot;
    code->dynamic = arena_alloc(compiler->arena, DYNAMIC_NAMES_MAX, sizeof(*code->dynamic));
    if (!code->dynamic)
        return err_nomem(compiler->err);
    if (item && item->kind != FEEL_T_CONTEXT)
        return ERR_OK;
    for (size_t i = 0; item && i < item->count && code->dynamic_count < DYNAMIC_NAMES_MAX; i++) {
        code->dynamic[code->dynamic_count++] = item->fields[i].name;
        const enum err_code rc = compiler_name(compiler, item->fields[i].name, item->fields[i].type, &slot);
        if (rc)
            return rc;
    }
    while (match->kind == DMN_EXPR_LITERAL && code->dynamic_count < DYNAMIC_NAMES_MAX) {
        const struct feel_scope *scope = compiler_scope(compiler);
        const struct feel_program *program;
        struct err err = { 0 };
        if (!scope)
            return compiler->err->code;
        if (feel_prepare(compiler->arena, scope, match->text.text, FEEL_EXPRESSION, 0, &program, &err) ==
                ERR_OK ||
            strcmp(err.id, "feel.unknown_name") != 0 || err.args[0].text[0] == 0)
            break;
        const struct str name = arena_str(compiler->arena, str_from(err.args[0].text));
        if (!name.ptr)
            return err_nomem(compiler->err);
        code->dynamic[code->dynamic_count++] = name;
        const enum err_code rc = compiler_name(compiler, name, NULL, &slot);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code compile_filter(struct compiler *compiler, const struct dmn_expr *expr, struct code *code)
{
    const int names = compiler->name_count;
    enum err_code rc = make_parts(compiler, 2, code);
    if (rc == ERR_OK)
        rc = compile_expr(compiler, expr->items[0], &code->parts[0]);
    if (rc)
        return rc;
    const struct feel_type *item = element_of(code->parts[0]->known);
    rc = compiler_name(compiler, STR("item"), item, &code->slot);
    if (rc == ERR_OK)
        rc = filter_names(compiler, expr->items[1], item, code);
    if (rc == ERR_OK)
        rc = compile_expr(compiler, expr->items[1], &code->parts[1]);
    compiler_leave(compiler, names);
    code->known = rc == ERR_OK ? feel_type_list(compiler->arena, item) : NULL;
    return rc ? rc : code->known ? ERR_OK : err_nomem(compiler->err);
}

/* for, some, every: the variable, and for `for` the results so far behind it. */
static enum err_code compile_iteration(struct compiler *compiler, const struct dmn_expr *expr,
                                       struct code *code)
{
    const int names = compiler->name_count;
    int slot;
    enum err_code rc = make_parts(compiler, 2, code);
    if (rc == ERR_OK)
        rc = compile_expr(compiler, expr->items[0], &code->parts[0]);
    if (rc == ERR_OK)
        rc = compiler_name(compiler, expr->columns[0].name, element_of(code->parts[0]->known), &code->slot);
    if (rc == ERR_OK && expr->kind == DMN_EXPR_FOR)
        rc = compiler_name(compiler, STR("partial"), feel_type_basic(FEEL_T_LIST), &slot);
    if (rc == ERR_OK)
        rc = compile_expr(compiler, expr->items[1], &code->parts[1]);
    compiler_leave(compiler, names);
    if (rc)
        return rc;
    code->known = expr->kind == DMN_EXPR_FOR ? feel_type_list(compiler->arena, code->parts[1]->known)
                                             : feel_type_basic(FEEL_T_BOOLEAN);
    return code->known ? ERR_OK : err_nomem(compiler->err);
}

static enum err_code compile_expr(struct compiler *compiler, const struct dmn_expr *expr, struct code **out)
{
    typedef enum err_code (*compile_fn)(struct compiler *, const struct dmn_expr *, struct code *);
    static const compile_fn COMPILE[DMN_EXPR__COUNT] = {
        compile_literal,  compile_context,    compile_list,      compile_list,
        compile_function, compile_invocation, dmn_compile_table, compile_conditional,
        compile_filter,   compile_iteration,  compile_iteration, compile_iteration,
    };
    struct code *code = arena_alloc(compiler->arena, 1, sizeof(*code));
    if (!code)
        return err_nomem(compiler->err);
    code->kind = expr->kind;
    code->expr = expr;
    code->node = compiler->node;
    code->own_slot = -1;
    const enum err_code rc = COMPILE[expr->kind](compiler, expr, code); /* depth: bounded by the reader */
    if (rc)
        return rc;
    code->type = dmn_type_of(compiler, expr->type_ref, expr->line, expr->id);
    if (code->type)
        code->known = code->type;
    *out = code;
    return ERR_OK;
}

/* -- nodes --------------------------------------------------------------------------------------------- */

static enum err_code compile_node(struct compiler *outer, int index);

static enum err_code cycle(struct compiler *compiler, const struct node *node)
{
    (void)err_set(compiler->err, ERR_INVALID, "dmn.cycle", ARG_STR("name", node->element->name), ARG_END);
    return err_at(compiler->err, node->element->line, 0);
}

static int import_of(const struct compiler *compiler, int unit)
{
    for (int i = 0; i < compiler->unit->file->import_count; i++)
        if (compiler->unit->imports[i] == unit)
            return i;
    return -1;
}

/* The context that stands for an import, in the making. */
static enum err_code import_use(struct compiler *compiler, struct node *node, const struct dmn_import *import,
                                struct use **out)
{
    for (int i = 0; i < node->use_count; i++)
        if (node->uses[i].node < 0 && str_eq(compiler->names[node->uses[i].slot].name, import->name)) {
            *out = &node->uses[i];
            return ERR_OK;
        }
    struct use *use = &node->uses[node->use_count];
    use->node = -1;
    use->nodes = arena_alloc(compiler->arena, (size_t)node->element->ref_count + 1, sizeof(*use->nodes));
    use->names = arena_alloc(compiler->arena, (size_t)node->element->ref_count + 1, sizeof(*use->names));
    if (!use->nodes || !use->names)
        return err_nomem(compiler->err);
    const enum err_code rc = compiler_name(compiler, import->name, NULL, &use->slot);
    if (rc == ERR_OK) {
        node->use_count++;
        *out = use;
    }
    return rc;
}

/* The type of an import's context is known when all of it is. */
static enum err_code type_imports(struct compiler *compiler, struct node *node)
{
    for (int i = 0; i < node->use_count; i++) {
        const struct use *use = &node->uses[i];
        if (use->node >= 0)
            continue;
        struct feel_type_field *fields =
            arena_alloc(compiler->arena, (size_t)use->count + 1, sizeof(*fields));
        if (!fields)
            return err_nomem(compiler->err);
        for (int j = 0; j < use->count; j++)
            fields[j] =
                (struct feel_type_field) { use->names[j], compiler->model->nodes[use->nodes[j]].known };
        compiler->names[use->slot].type = feel_type_context(compiler->arena, fields, (size_t)use->count);
        if (!compiler->names[use->slot].type)
            return err_nomem(compiler->err);
    }
    return ERR_OK;
}

static enum err_code bind_uses(struct compiler *compiler, struct node *node)
{
    node->uses = arena_alloc(compiler->arena, (size_t)node->element->ref_count + 1, sizeof(*node->uses));
    if (!node->uses)
        return err_nomem(compiler->err);
    for (int i = 0; i < node->element->ref_count; i++) {
        const struct node *target = &compiler->model->nodes[node->requires[i]];
        const struct str name = target->element->variable.name;
        const int import = target->unit == node->unit ? -1 : import_of(compiler, target->unit);
        enum err_code rc;
        if (import < 0 || compiler->unit->file->imports[import].name.len == 0) {
            struct use *use = &node->uses[node->use_count++];
            use->node = target->index;
            rc = compiler_name(compiler, name, target->known, &use->slot);
        } else {
            struct use *use = NULL;
            rc = import_use(compiler, node, &compiler->unit->file->imports[import], &use);
            if (rc == ERR_OK && use) {
                use->nodes[use->count] = target->index;
                use->names[use->count++] = name;
            }
        }
        if (rc)
            return rc;
    }
    return type_imports(compiler, node);
}

/* A function's own variable may be declared with the type of the function or of what it gives. */
static const struct feel_type *result_type(const struct feel_type *declared)
{
    if (declared && declared->kind == FEEL_T_FUNCTION)
        return declared->element && declared->element->kind != FEEL_T_ANY ? declared->element : NULL;
    return declared;
}

static enum err_code make_function(struct compiler *compiler, struct node *node,
                                   const struct feel_type_field *params, int count, feel_native fn)
{
    const struct feel_type *result = node->type ? node->type : node->known;
    enum err_code rc =
        feel_function_native(compiler->arena, node->element->variable.name, params, (size_t)count, node->type,
                             fn, node, &node->function, compiler->err);
    if (rc)
        return rc;
    node->known = feel_type_function(compiler->arena, params, (size_t)count,
                                     result ? result : feel_type_basic(FEEL_T_ANY));
    return node->known ? ERR_OK : err_nomem(compiler->err);
}

static enum err_code compile_bkm(struct compiler *compiler, struct node *node)
{
    static const struct dmn_expr NO_LOGIC = { .kind = DMN_EXPR_FUNCTION };
    const struct dmn_expr *expr = node->element->expr ? node->element->expr : &NO_LOGIC;
    struct dmn_expr empty = *expr;
    struct dmn_expr *none[1] = { NULL };
    int slot;
    /* Its own name first, so that it may call itself. */
    enum err_code rc = compiler_name(compiler, node->element->variable.name, NULL, &slot);
    if (rc == ERR_OK)
        rc = bind_uses(compiler, node);
    if (rc)
        return rc;
    if (!empty.items)
        empty.items = none;
    node->code = arena_alloc(compiler->arena, 1, sizeof(*node->code));
    if (!node->code)
        return err_nomem(compiler->err);
    node->code->kind = DMN_EXPR_FUNCTION;
    node->code->own_slot = -1;
    node->code->expr = expr;
    node->code->node = node;
    rc = compile_function(compiler, &empty, node->code);
    if (rc)
        return rc;
    node->slot_count = node->code->slot_count;
    node->known = node->type ? node->type : node->code->parts[0] ? node->code->parts[0]->known : NULL;
    return make_function(compiler, node, node->code->params, node->code->param_count, dmn_bkm_call);
}

static enum err_code compile_service(struct compiler *compiler, struct node *node)
{
    const struct dmn_element *element = node->element;
    struct feel_type_field *params =
        arena_alloc(compiler->arena, (size_t)element->ref_count + 1, sizeof(*params));
    node->inputs = arena_alloc(compiler->arena, (size_t)element->ref_count + 1, sizeof(int));
    node->outputs = arena_alloc(compiler->arena, (size_t)element->ref_count + 1, sizeof(int));
    if (!params || !node->inputs || !node->outputs)
        return err_nomem(compiler->err);
    /* Parameters: the input data, then the input decisions. */
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < element->ref_count; i++)
            if (element->refs[i].kind == (pass == 0 ? DMN_REF_INPUT : DMN_REF_IN_DECISION)) {
                const struct node *input = &compiler->model->nodes[node->requires[i]];
                params[node->input_count] =
                    (struct feel_type_field) { input->element->variable.name, input->type };
                node->inputs[node->input_count++] = input->index;
            }
    for (int i = 0; i < element->ref_count; i++)
        if (element->refs[i].kind == DMN_REF_OUTPUT)
    node->outputs[node->output_count++] = node->requires[i];
    if (node->output_count == 0) {
        (void)err_set(compiler->err, ERR_INVALID, "dmn.missing", ARG_STR("element", element->name),
                      ARG_TEXT("what", "outputDecision"), ARG_END);
        return err_at(compiler->err, element->line, 0);
    }
    if (node->output_count == 1) {
        node->known = node->type ? node->type : compiler->model->nodes[node->outputs[0]].known;
    } else if (!node->type) {
        struct feel_type_field *fields =
            arena_alloc(compiler->arena, (size_t)node->output_count, sizeof(*fields));
        if (!fields)
            return err_nomem(compiler->err);
        for (int i = 0; i < node->output_count; i++) {
            const struct node *output = &compiler->model->nodes[node->outputs[i]];
            fields[i] = (struct feel_type_field) { output->element->variable.name, output->known };
        }
        node->known = feel_type_context(compiler->arena, fields, (size_t)node->output_count);
        if (!node->known)
            return err_nomem(compiler->err);
    }
    return make_function(compiler, node, params, node->input_count, dmn_service_call);
}

static enum err_code compile_decision(struct compiler *compiler, struct node *node)
{
    enum err_code rc = bind_uses(compiler, node);
    if (rc == ERR_OK && node->element->expr)
        rc = compile_expr(compiler, node->element->expr, &node->code);
    node->slot_count = compiler->slot_high;
    if (rc == ERR_OK)
        node->known = node->type ? node->type : node->code ? node->code->known : NULL;
    return rc;
}

static enum err_code compile_node(struct compiler *outer, int index)
{
    struct dmn_model *model = outer->model;
    struct node *node = &model->nodes[index];
    if (node->state == NODE_DONE)
        return ERR_OK;
    outer->unit = &model->units[node->unit];
    if (node->state == NODE_OPEN)
        return cycle(outer, node);
    node->state = NODE_OPEN;
    for (int i = 0; i < node->element->ref_count; i++) {
        const enum err_code rc = compile_node(outer, node->requires[i]); /* as deep as the graph: checked */
        if (rc)
            return rc;
    }
    struct compiler compiler = { .model = model,
                                 .arena = outer->arena,
                                 .err = outer->err,
                                 .unit = &model->units[node->unit],
                                 .node = node,
                                 .element = node->element->name };
    outer->unit = compiler.unit;
    enum err_code rc = ERR_OK;
    const struct dmn_variable *variable = &node->element->variable;
    node->type = dmn_type_of(&compiler, variable->type_ref, variable->line, variable->id);
    node->known = node->type;
    if (node->element->kind == DMN_BKM || node->element->kind == DMN_SERVICE)
        node->type = result_type(node->type);
    if (node->element->kind == DMN_DECISION)
        rc = compile_decision(&compiler, node);
    else if (node->element->kind == DMN_BKM)
        rc = compile_bkm(&compiler, node);
    else if (node->element->kind == DMN_SERVICE)
        rc = compile_service(&compiler, node);
    node->state = NODE_DONE;
    return rc;
}

/* The longest chain of requirements, found without recursion, so that compile_node() may recurse. */
#define REQUIRES_DEPTH_MAX 1000

static enum err_code check_depth(struct compiler *compiler)
{
    struct dmn_model *model = compiler->model;
    int *depth = arena_alloc(compiler->arena, (size_t)model->node_count + 1, sizeof(int));
    if (!depth)
        return err_nomem(compiler->err);
    bool changed = true;
    for (int round = 0; changed; round++) {
        changed = false;
        for (int i = 0; i < model->node_count; i++)
            for (int j = 0; j < model->nodes[i].element->ref_count; j++)
                if (depth[model->nodes[i].requires[j]] >= depth[i]) {
                    depth[i] = depth[model->nodes[i].requires[j]] + 1;
                    changed = true;
                    if (depth[i] > REQUIRES_DEPTH_MAX || depth[i] > model->node_count) {
                        compiler->unit = &model->units[model->nodes[i].unit];
                        if (depth[i] > model->node_count)
                            return cycle(compiler, &model->nodes[i]);
                        (void)err_set(compiler->err, ERR_LIMIT, "dmn.too_deep",
                                      ARG_INT("max", REQUIRES_DEPTH_MAX), ARG_END);
                        return err_at(compiler->err, model->nodes[i].element->line, 0);
                    }
                }
    }
    return ERR_OK;
}

enum err_code dmn_compile_nodes(struct compiler *compiler)
{
    enum err_code rc = check_depth(compiler);
    for (int i = 0; i < compiler->model->node_count && rc == ERR_OK; i++)
        rc = compile_node(compiler, i);
    return rc;
}
