/* type.c - types as data, conformance, and the implicit conversions. */
#include "feel/node.h"
#include "feel/temporal.h"

static const struct feel_type BASIC[FEEL_T__COUNT] = {
    [FEEL_T_ANY] = { .kind = FEEL_T_ANY },
    [FEEL_T_NULL] = { .kind = FEEL_T_NULL },
    [FEEL_T_BOOLEAN] = { .kind = FEEL_T_BOOLEAN },
    [FEEL_T_NUMBER] = { .kind = FEEL_T_NUMBER },
    [FEEL_T_STRING] = { .kind = FEEL_T_STRING },
    [FEEL_T_DATE] = { .kind = FEEL_T_DATE },
    [FEEL_T_TIME] = { .kind = FEEL_T_TIME },
    [FEEL_T_DATE_TIME] = { .kind = FEEL_T_DATE_TIME },
    [FEEL_T_DAYS_DURATION] = { .kind = FEEL_T_DAYS_DURATION },
    [FEEL_T_MONTHS_DURATION] = { .kind = FEEL_T_MONTHS_DURATION },
    [FEEL_T_LIST] = { .kind = FEEL_T_LIST },
    [FEEL_T_CONTEXT] = { .kind = FEEL_T_CONTEXT },
    [FEEL_T_RANGE] = { .kind = FEEL_T_RANGE },
    [FEEL_T_FUNCTION] = { .kind = FEEL_T_FUNCTION },
};

static const struct {
    const char *name;
    enum feel_type_kind kind;
} NAMES[] = {
    { "Any", FEEL_T_ANY },
    { "Null", FEEL_T_NULL },
    { "boolean", FEEL_T_BOOLEAN },
    { "number", FEEL_T_NUMBER },
    { "string", FEEL_T_STRING },
    { "date", FEEL_T_DATE },
    { "time", FEEL_T_TIME },
    { "date and time", FEEL_T_DATE_TIME },
    { "dateTime", FEEL_T_DATE_TIME },
    { "days and time duration", FEEL_T_DAYS_DURATION },
    { "dayTimeDuration", FEEL_T_DAYS_DURATION },
    { "years and months duration", FEEL_T_MONTHS_DURATION },
    { "yearMonthDuration", FEEL_T_MONTHS_DURATION },
    { "list", FEEL_T_LIST },
    { "context", FEEL_T_CONTEXT },
    { "range", FEEL_T_RANGE },
    { "function", FEEL_T_FUNCTION },
};

const struct feel_type *feel_type_basic(enum feel_type_kind kind)
{
    return &BASIC[kind];
}

const struct feel_type *feel_type_named(struct str name)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (str_eq(name, str_from(NAMES[i].name)))
            return &BASIC[NAMES[i].kind];
    return NULL;
}

static const struct feel_type *make(struct arena *arena, struct feel_type type)
{
    struct feel_type *copy = arena_alloc(arena, 1, sizeof *copy);
    if (copy)
        *copy = type;
    return copy;
}

const struct feel_type *feel_type_list(struct arena *arena, const struct feel_type *element)
{
    return make(arena, (struct feel_type) { .kind = FEEL_T_LIST, .element = element });
}

const struct feel_type *feel_type_range(struct arena *arena, const struct feel_type *element)
{
    return make(arena, (struct feel_type) { .kind = FEEL_T_RANGE, .element = element });
}

const struct feel_type *feel_type_context(struct arena *arena, const struct feel_type_field *fields,
                                          size_t count)
{
    return make(arena, (struct feel_type) { .kind = FEEL_T_CONTEXT, .fields = fields, .count = count });
}

const struct feel_type *feel_type_function(struct arena *arena, const struct feel_type_field *params,
                                           size_t count, const struct feel_type *result)
{
    return make(arena, (struct feel_type) { .kind = FEEL_T_FUNCTION,
                                            .element = result ? result : &BASIC[FEEL_T_ANY],
                                            .fields = params,
                                            .count = count });
}

static const struct feel_type *or_any(const struct feel_type *type)
{
    return type ? type : &BASIC[FEEL_T_ANY];
}

static bool conforms(const struct feel_type *sub, const struct feel_type *type, int depth)
{
    sub = or_any(sub);
    type = or_any(type);
    if (sub == type || type->kind == FEEL_T_ANY || sub->kind == FEEL_T_NULL)
        return true;
    if (sub->kind != type->kind || depth > 50)
        return false;
    switch (type->kind) {
    case FEEL_T_LIST:
    case FEEL_T_RANGE:
        return conforms(sub->element, type->element, depth + 1);
    case FEEL_T_CONTEXT:
        for (size_t i = 0; i < type->count; i++) {
            bool found = false;
            for (size_t j = 0; j < sub->count && !found; j++)
                found = str_eq(sub->fields[j].name, type->fields[i].name) &&
                        conforms(sub->fields[j].type, type->fields[i].type, depth + 1);
            if (!found)
                return false;
        }
        return true;
    case FEEL_T_FUNCTION:
        if (!type->element)
            return true;
        if (sub->count != type->count || !conforms(sub->element, type->element, depth + 1))
            return false;
        for (size_t i = 0; i < type->count; i++)
            if (!conforms(type->fields[i].type, sub->fields[i].type, depth + 1))
                return false;
        return true;
    case FEEL_T_ANY:
    case FEEL_T_NULL:
    case FEEL_T_BOOLEAN:
    case FEEL_T_NUMBER:
    case FEEL_T_STRING:
    case FEEL_T_DATE:
    case FEEL_T_TIME:
    case FEEL_T_DATE_TIME:
    case FEEL_T_DAYS_DURATION:
    case FEEL_T_MONTHS_DURATION:
    case FEEL_T__COUNT:
        break;
    }
    return true;
}

bool feel_type_conforms(const struct feel_type *sub, const struct feel_type *type)
{
    return conforms(sub, type, 0);
}

static void print_type(struct buf *buf, const struct feel_type *type, int depth)
{
    type = or_any(type);
    if (depth > 20) {
        buf_text(buf, "...");
        return;
    }
    if (type->name.len && depth) {
        buf_str(buf, type->name);
        return;
    }
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (NAMES[i].kind == type->kind) {
            buf_text(buf, NAMES[i].name);
            break;
        }
    if ((type->kind == FEEL_T_LIST || type->kind == FEEL_T_RANGE) && type->element) {
        buf_char(buf, '<');
        print_type(buf, type->element, depth + 1);
        buf_char(buf, '>');
    } else if (type->kind == FEEL_T_CONTEXT && type->count) {
        buf_char(buf, '<');
        for (size_t i = 0; i < type->count; i++) {
            buf_text(buf, i ? ", " : "");
            buf_str(buf, type->fields[i].name);
            buf_text(buf, ": ");
            print_type(buf, type->fields[i].type, depth + 1);
        }
        buf_char(buf, '>');
    } else if (type->kind == FEEL_T_FUNCTION && type->element) {
        buf_char(buf, '<');
        for (size_t i = 0; i < type->count; i++) {
            buf_text(buf, i ? ", " : "");
            print_type(buf, type->fields[i].type, depth + 1);
        }
        buf_text(buf, ">->");
        print_type(buf, type->element, depth + 1);
    }
}

void feel_type_print(struct buf *buf, const struct feel_type *type)
{
    print_type(buf, type, 0);
}

static const struct feel_type *type_of(struct arena *arena, const struct feel_value *value, int depth)
{
    static const uint8_t KINDS[FEEL__COUNT] = {
        [FEEL_NULL] = FEEL_T_ANY,
        [FEEL_BOOLEAN] = FEEL_T_BOOLEAN,
        [FEEL_NUMBER] = FEEL_T_NUMBER,
        [FEEL_STRING] = FEEL_T_STRING,
        [FEEL_DATE] = FEEL_T_DATE,
        [FEEL_TIME] = FEEL_T_TIME,
        [FEEL_DATE_TIME] = FEEL_T_DATE_TIME,
        [FEEL_DAYS_DURATION] = FEEL_T_DAYS_DURATION,
        [FEEL_MONTHS_DURATION] = FEEL_T_MONTHS_DURATION,
        [FEEL_RANGE] = FEEL_T_RANGE,
        [FEEL_FUNCTION] = FEEL_T_FUNCTION,
    };
    if (depth > 50)
        return &BASIC[FEEL_T_ANY];
    if (value->kind == FEEL_LIST) {
        const struct feel_type *element = NULL;
        if (value->list.count && !(element = type_of(arena, value->list.items, depth + 1)))
            return NULL;
        return feel_type_list(arena, element);
    }
    if (value->kind != FEEL_CONTEXT)
        return &BASIC[KINDS[value->kind]];
    struct feel_type_field *fields = arena_alloc(arena, value->context.count, sizeof *fields);
    for (size_t i = 0; fields && i < value->context.count; i++) {
        fields[i].name = value->context.entries[i].key;
        fields[i].type = type_of(arena, &value->context.entries[i].value, depth + 1);
        if (!fields[i].type)
            return NULL;
    }
    return fields ? feel_type_context(arena, fields, value->context.count) : NULL;
}

const struct feel_type *feel_type_of(struct arena *arena, const struct feel_value *value)
{
    return type_of(arena, value, 0);
}

/* ---------------------------------------------------------------- values against types */

static bool kind_fits(enum feel_kind kind, enum feel_type_kind type)
{
    static const uint8_t TYPE_OF[FEEL__COUNT] = {
        [FEEL_NULL] = FEEL_T_NULL,
        [FEEL_BOOLEAN] = FEEL_T_BOOLEAN,
        [FEEL_NUMBER] = FEEL_T_NUMBER,
        [FEEL_STRING] = FEEL_T_STRING,
        [FEEL_DATE] = FEEL_T_DATE,
        [FEEL_TIME] = FEEL_T_TIME,
        [FEEL_DATE_TIME] = FEEL_T_DATE_TIME,
        [FEEL_DAYS_DURATION] = FEEL_T_DAYS_DURATION,
        [FEEL_MONTHS_DURATION] = FEEL_T_MONTHS_DURATION,
        [FEEL_LIST] = FEEL_T_LIST,
        [FEEL_CONTEXT] = FEEL_T_CONTEXT,
        [FEEL_RANGE] = FEEL_T_RANGE,
        [FEEL_FUNCTION] = FEEL_T_FUNCTION,
    };
    return TYPE_OF[kind] == (uint8_t)type;
}

static bool fits(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type,
                 bool allowed, int depth);

static bool allowed_by(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type)
{
    enum feel_truth truth;
    struct err err;
    if (type->allowed && (feel_test(type->allowed, ev, value, &truth, &err) != ERR_OK || truth != FEEL_TRUE))
        return false;
    return !type->also || fits(ev, value, type->also, true, 0);
}

/* Where a declaration is to be met (`declared`), a function whose result nobody knows is given the benefit of
 * the doubt; `instance of` wants to know. */
static bool function_fits(const struct feel_value *value, const struct feel_type *type, bool declared)
{
    const struct feel_function *fn = value->function;
    if (!type->element)
        return true;
    if (fn->kind == FUNCTION_BUILTIN)
        return fn->builtin->most < 0 ||
               ((size_t)fn->builtin->least <= type->count && type->count <= (size_t)fn->builtin->most);
    const struct feel_type *result = fn->result;
    if (!result && fn->kind == FUNCTION_LITERAL && fn->literal->type)
        result = fn->literal->type->element; /* what its body is known to give */
    result = or_any(result);
    const struct feel_type own = { .kind = FEEL_T_FUNCTION,
                                   .element = declared && result->kind == FEEL_T_ANY ? type->element : result,
                                   .fields = fn->params,
                                   .count = fn->count };
    return feel_type_conforms(&own, type);
}

static bool parts_fit(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type,
                      bool allowed, int depth)
{
    if (type->kind == FEEL_T_LIST && type->element) {
        for (size_t i = 0; i < value->list.count; i++)
            if (!ev_steps(ev, 1) || !fits(ev, &value->list.items[i], type->element, allowed, depth + 1))
                return false;
    } else if (type->kind == FEEL_T_CONTEXT) {
        for (size_t i = 0; i < type->count; i++) {
            const struct feel_value *entry = feel_context_get(value, type->fields[i].name);
            if (!entry || !ev_steps(ev, 1) || !fits(ev, entry, type->fields[i].type, allowed, depth + 1))
                return false;
        }
    } else if (type->kind == FEEL_T_RANGE && type->element) {
        return (value->range->low_none || fits(ev, &value->range->low, type->element, allowed, depth + 1)) &&
               (value->range->high_none || fits(ev, &value->range->high, type->element, allowed, depth + 1));
    } else if (type->kind == FEEL_T_FUNCTION) {
        return function_fits(value, type, allowed);
    }
    return true;
}

/* Null stands for a missing value everywhere. */
static bool fits(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type,
                 bool allowed, int depth)
{
    if (!type || value->kind == FEEL_NULL)
        return true;
    if (depth > 100)
        return false;
    if (type->kind != FEEL_T_ANY &&
        (!kind_fits(value->kind, type->kind) || !parts_fit(ev, value, type, allowed, depth)))
        return false;
    return !allowed || allowed_by(ev, value, type);
}

bool feel_instance_of(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type)
{
    if (value->kind == FEEL_NULL)
        return or_any(type)->kind == FEEL_T_NULL;
    return fits(ev, value, type, false, 0);
}

bool feel_conforms(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type)
{
    return fits(ev, value, type, true, 0);
}

bool feel_coerce(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type,
                 struct feel_value *out)
{
    if (fits(ev, value, type, true, 0)) {
        *out = *value;
        return true;
    }
    if (type->kind == FEEL_T_LIST && value->kind != FEEL_LIST) {
        struct feel_value *item = ev_alloc(ev, 1, sizeof *item);
        if (item) {
            *item = *value;
            const struct feel_value list = feel_list(item, 1);
            if (fits(ev, &list, type, true, 0)) {
                *out = list;
                return true;
            }
        }
    } else if (value->kind == FEEL_LIST && value->list.count == 1 &&
               fits(ev, &value->list.items[0], type, true, 0)) {
        *out = value->list.items[0];
        return true;
    } else if (type->kind == FEEL_T_DATE_TIME && value->kind == FEEL_DATE) {
        const struct feel_moment m = { .date = value->date, .zone_kind = FEEL_ZONE_OFFSET };
        struct feel_value moment;
        if (value_moment(ev, FEEL_DATE_TIME, &m, &moment) && allowed_by(ev, &moment, type)) {
            *out = moment;
            return true;
        }
    }
    feel_warn(ev, "feel.type", type->name.len ? type->name : str_from(kind_name(value->kind)));
    *out = feel_null();
    return false;
}
