/* types.c - item definitions as types of FEEL.
 *
 * allowedValues of a collection restrict each item, typeConstraint the whole (DMN 1.5, 7.3.3); both may stand
 * on top of a type that has restrictions of its own, so they are joined with `also`. */
#include "dmn/inside.h"

static enum err_code build_item(struct compiler *compiler, const struct dmn_item *item,
                                const struct feel_type **out);

static enum err_code resolve(struct compiler *compiler, struct named_type *named)
{
    if (named->state == TYPE_DONE)
        return ERR_OK;
    if (named->state == TYPE_OPEN) { /* a type inside of itself: there it is Any */
        const struct dmn_text where = { .text = named->name,
                                        .id = named->item->id,
                                        .line = named->item->line };
        struct err err = { 0 };
        (void)err_set(&err, ERR_INVALID, "dmn.type_cycle", ARG_STR("name", named->name), ARG_END);
        compiler_finding(compiler, &where, &err);
        return ERR_OK;
    }
    named->state = TYPE_OPEN;
    const struct str was = compiler->element;
    compiler->element = named->name;
    const enum err_code rc = build_item(compiler, named->item, &named->type);
    compiler->element = was;
    named->state = TYPE_DONE;
    return rc;
}

static enum err_code find(struct compiler *compiler, struct str ref, int line, struct str id,
                          const struct feel_type **out)
{
    struct unit *unit = compiler->unit;
    *out = NULL;
    if (ref.len == 0)
        return ERR_OK;
    for (int i = 0; i < unit->type_count; i++)
        if (str_eq(unit->types[i].name, ref)) {
            const enum err_code rc = resolve(compiler, &unit->types[i]);
            *out = unit->types[i].type;
            return rc;
        }
    *out = feel_type_named(ref);
    if (*out)
        return ERR_OK;
    const struct dmn_text where = { .text = ref, .id = id, .line = line };
    struct err err = { 0 };
    (void)err_set(&err, ERR_INVALID, "dmn.no_type", ARG_STR("name", ref), ARG_END);
    compiler_finding(compiler, &where, &err);
    return ERR_OK;
}

const struct feel_type *dmn_type_of(struct compiler *compiler, struct str ref, int line, struct str id)
{
    const struct feel_type *type = NULL;
    (void)find(compiler, ref, line, id, &type); /* all item definitions are built: it cannot fail */
    return type;
}

/* `type` that a value must also pass these unary tests of. */
static enum err_code restrict_type(struct compiler *compiler, const struct dmn_text *tests, struct str name,
                                   const struct feel_type **type)
{
    const struct feel_program *program = NULL;
    bool broken = false;
    if (str_trim(tests->text).len == 0)
        return ERR_OK;
    const int names = compiler->name_count;
    int slot;
    enum err_code rc = compiler_name(compiler, STR("?"), *type, &slot);
    if (rc == ERR_OK)
        rc = compiler_text(compiler, tests, FEEL_UNARY_TESTS, &program, &broken);
    compiler_leave(compiler, names);
    if (rc || broken || !program)
        return rc;
    struct feel_type *out = arena_alloc(compiler->arena, 1, sizeof(*out));
    if (!out)
        return err_nomem(compiler->err);
    if (*type)
        *out = **type;
    else
        out->kind = FEEL_T_ANY;
    out->also = out->allowed ? *type : NULL;
    out->name = name;
    out->allowed = program;
    *type = out;
    return ERR_OK;
}

static enum err_code build_fields(struct compiler *compiler, const struct dmn_item *item,
                                  const struct feel_type_field **out)
{
    struct feel_type_field *fields =
        arena_alloc(compiler->arena, (size_t)item->component_count + 1, sizeof(*fields));
    if (!fields)
        return err_nomem(compiler->err);
    for (int i = 0; i < item->component_count; i++) {
        fields[i].name = item->components[i].name;
        const enum err_code rc = build_item(compiler, &item->components[i], &fields[i].type);
        if (rc)
            return rc;
    }
    *out = fields;
    return ERR_OK;
}

static enum err_code build_item(struct compiler *compiler, const struct dmn_item *item,
                                const struct feel_type **out)
{
    const struct feel_type *type = NULL, *result = NULL;
    const struct feel_type_field *fields = NULL;
    enum err_code rc = ERR_OK;

    if (item->is_function || item->component_count > 0) {
        rc = build_fields(compiler, item, &fields);
        if (rc == ERR_OK && item->is_function)
            rc = find(compiler, item->output_type_ref, item->line, item->id, &result);
        if (rc)
            return rc;
        type = item->is_function ? feel_type_function(compiler->arena, fields, (size_t)item->component_count,
                                                      result ? result : feel_type_basic(FEEL_T_ANY))
                                 : feel_type_context(compiler->arena, fields, (size_t)item->component_count);
        if (!type)
            return err_nomem(compiler->err);
    } else {
        rc = find(compiler, item->type_ref, item->line, item->id, &type);
        if (rc)
            return rc;
    }
    rc = restrict_type(compiler, &item->allowed, item->is_collection ? STR("") : item->name, &type);
    if (rc == ERR_OK && item->is_collection) {
        type = feel_type_list(compiler->arena, type);
        rc = type ? ERR_OK : err_nomem(compiler->err);
    }
    if (rc == ERR_OK)
        rc = restrict_type(compiler, &item->constraint, item->name, &type);
    *out = type;
    return rc;
}

/* The imported types first, under "import.type" (or bare for an import without a name). */
static enum err_code take_imported(struct compiler *compiler, const struct dmn_import *import,
                                   const struct unit *from)
{
    struct unit *unit = compiler->unit;
    for (int i = 0; i < from->type_count; i++) {
        if (!from->types[i].item)
            continue; /* imports do not pass on what they import under a name */
        struct named_type *named = &unit->types[unit->type_count];
        named->name = import->name.len == 0
                          ? from->types[i].name
                          : arena_printf(compiler->arena, "%.*s.%.*s", STR_ARG(import->name),
                                         STR_ARG(from->types[i].name));
        if (!named->name.ptr)
            return err_nomem(compiler->err);
        named->type = from->types[i].type;
        named->item = import->name.len == 0 ? from->types[i].item : NULL;
        named->state = TYPE_DONE;
        unit->type_count++;
    }
    return ERR_OK;
}

enum err_code dmn_types_build(struct compiler *compiler)
{
    struct unit *unit = compiler->unit;
    const struct dmn_file *file = unit->file;
    int count = file->item_count;

    for (int i = 0; i < file->import_count; i++)
        count += unit->imports[i] >= 0 ? compiler->model->units[unit->imports[i]].type_count : 0;
    unit->types = arena_alloc(compiler->arena, (size_t)count + 1, sizeof(*unit->types));
    if (!unit->types)
        return err_nomem(compiler->err);
    for (int i = 0; i < file->import_count; i++)
        if (unit->imports[i] >= 0) {
            const enum err_code rc =
                take_imported(compiler, &file->imports[i], &compiler->model->units[unit->imports[i]]);
            if (rc)
                return rc;
        }
    const int own = unit->type_count;
    for (int i = 0; i < file->item_count; i++) {
        unit->types[own + i].name = file->items[i].name;
        unit->types[own + i].item = &file->items[i];
    }
    unit->type_count = own + file->item_count;
    for (int i = own; i < unit->type_count; i++) {
        const enum err_code rc = resolve(compiler, &unit->types[i]);
        if (rc)
            return rc;
    }
    return ERR_OK;
}
