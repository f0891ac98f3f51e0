/* parse_type.c - type expressions, and the static types of lists. */
#include "feel/parser.h"

#define TYPE_FIELDS_MAX 200

const struct feel_type *element_type(const struct feel_type *type)
{
    if (!type || type->kind == FEEL_T_ANY)
        return NULL;
    return type->kind == FEEL_T_LIST || type->kind == FEEL_T_RANGE ? type->element : type;
}

static const struct feel_type *field_of(const struct feel_type *type, struct str name)
{
    for (size_t i = 0; i < type->count; i++)
        if (str_eq(type->fields[i].name, name))
            return type->fields[i].type;
    return NULL;
}

/* Of two contexts: all fields of both, so that their names are known. */
const struct feel_type *common_type(struct parser *p, const struct feel_type *a, const struct feel_type *b)
{
    if (a == b || !a || !b)
        return a == b ? a : NULL;
    if (a->kind == FEEL_T_NULL)
        return b;
    if (b->kind == FEEL_T_NULL)
        return a;
    if (a->kind == FEEL_T_CONTEXT && b->kind == FEEL_T_CONTEXT) {
        bool more = false;
        for (size_t i = 0; i < b->count && !more; i++)
            more = !field_of(a, b->fields[i].name);
        if (!more || a->count + b->count > TYPE_FIELDS_MAX)
            return a;
        struct feel_type_field *fields = parse_alloc(p, a->count + b->count, sizeof *fields);
        if (!fields)
            return NULL;
        size_t count = a->count;
        if (count)
            memcpy(fields, a->fields, count * sizeof *fields);
        for (size_t i = 0; i < b->count; i++)
            if (!field_of(a, b->fields[i].name))
                fields[count++] = b->fields[i];
        return feel_type_context(p->arena, fields, count);
    }
    return a->kind == b->kind && a->kind < FEEL_T_LIST ? feel_type_basic(a->kind) : NULL;
}

static const struct feel_type *parse_fields(struct parser *p, enum feel_type_kind kind, bool named)
{
    struct feel_type_field fields[32];
    size_t count = 0;
    if (!take_char(p, '>')) {
        do {
            space(p);
            if (count == sizeof fields / sizeof *fields)
                return parse_fail(p, "feel.type_fields", p->at);
            struct str name = { 0 };
            if (named) {
                name = parse_raw_name(p, ":");
                if (!name.ptr || !want_char(p, ':', ":"))
                    return NULL;
            }
            const struct feel_type *type = parse_type(p);
            if (!type)
                return NULL;
            fields[count++] = (struct feel_type_field) { name, type };
        } while (take_char(p, ','));
        if (!want_char(p, '>', ">"))
            return NULL;
    }
    struct feel_type_field *copy = parse_alloc(p, count, sizeof *copy);
    if (!copy)
        return NULL;
    if (count)
        memcpy(copy, fields, count * sizeof *copy);
    if (kind == FEEL_T_CONTEXT)
        return feel_type_context(p->arena, copy, count);
    space(p);
    if (look(p) != '-' || look_on(p, 1) != '>')
        return parse_expected(p, "->");
    p->at += 2;
    const struct feel_type *result = parse_type(p);
    return result ? feel_type_function(p->arena, copy, count, result) : NULL;
}

static const struct feel_type *parse_element(struct parser *p, enum feel_type_kind kind)
{
    const struct feel_type *element = parse_type(p);
    if (!element || !want_char(p, '>', ">"))
        return NULL;
    return kind == FEEL_T_LIST ? feel_type_list(p->arena, element) : feel_type_range(p->arena, element);
}

static const struct feel_type *longest_type(struct parser *p)
{
    static const char *const BASIC[] = {
        "date and time",
        "days and time duration",
        "years and months duration",
        "Any",
        "Null",
        "boolean",
        "number",
        "string",
        "date",
        "time",
        "list",
        "context",
        "range",
        "function",
        "dateTime",
        "dayTimeDuration",
        "yearMonthDuration",
    };
    const struct feel_type *found = NULL;
    size_t end = 0;
    for (size_t i = p->scope ? p->scope->types_count : 0; i-- > 0;) {
        const size_t next = name_match(p->text, p->at, p->scope->types[i].name);
        if (next > end) {
            end = next;
            found = p->scope->types[i].type;
            if (!found)
                found = feel_type_basic(FEEL_T_ANY);
        }
    }
    for (size_t i = 0; i < sizeof BASIC / sizeof *BASIC; i++) {
        const size_t next = name_match(p->text, p->at, str_from(BASIC[i]));
        if (next > end) {
            end = next;
            found = feel_type_named(str_from(BASIC[i]));
        }
    }
    if (found)
        p->at = end;
    return found;
}

const struct feel_type *parse_type(struct parser *p)
{
    space(p);
    if (++p->depth > PARSE_DEPTH_MAX)
        return parse_fail(p, "feel.depth", p->at);
    const struct feel_type *type = longest_type(p);
    if (!type)
        return parse_fail(p, "feel.unknown_type", p->at);
    if ((type->kind == FEEL_T_LIST || type->kind == FEEL_T_RANGE) && !type->name.len && !type->element) {
        if (take_char(p, '<'))
            type = parse_element(p, type->kind);
    } else if (type->kind == FEEL_T_CONTEXT && !type->name.len && !type->count) {
        if (take_char(p, '<'))
            type = parse_fields(p, FEEL_T_CONTEXT, true);
    } else if (type->kind == FEEL_T_FUNCTION && !type->name.len && !type->element) {
        if (take_char(p, '<'))
            type = parse_fields(p, FEEL_T_FUNCTION, false);
    }
    p->depth--;
    return type;
}
