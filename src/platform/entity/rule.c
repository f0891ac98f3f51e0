/* rule.c - FEEL over a record: the rules of a type, and the filters of a list.
 *
 * Every field is a name: texts, codes and references (as the API shows their ids) are strings, integers and
 * numbers are numbers, days are dates, instants are dates and times; arrays and objects are lists and
 * contexts in rules and nothing in filters. */
#include "feel/filter_sql.h"
#include "platform/entity/internal.h"

#define RULE_ZONE "Asia/Shanghai"

static enum feel_type_kind feel_kind(enum value_kind kind)
{
    switch (kind) {
    case VALUE_TEXT:
    case VALUE_REF:
        return FEEL_T_STRING;
    case VALUE_INTEGER:
    case VALUE_NUMBER:
        return FEEL_T_NUMBER;
    case VALUE_BOOLEAN:
        return FEEL_T_BOOLEAN;
    case VALUE_DATE:
        return FEEL_T_DATE;
    case VALUE_INSTANT:
        return FEEL_T_DATE_TIME;
    case VALUE_JSON:
    case VALUE_KIND__COUNT:
        break;
    }
    return FEEL_T_ANY;
}

/* ---- compiling ---- */

static enum err_code make_scope(struct entity *entity, const struct entity_type *type,
                                struct feel_scope **out, struct err *err)
{
    struct feel_scope *scope = feel_scope_new(entity->arena);
    if (!scope)
        return err_nomem(err);
    for (int i = 0; i < type->fields_count; i++) {
        const enum feel_type_kind kind = feel_kind(type->fields[i].kind);
        const enum err_code rc = feel_scope_add(scope, type->fields[i].name,
                                                kind == FEEL_T_ANY ? NULL : feel_type_basic(kind), NULL, err);
        if (rc)
            return rc;
    }
    *out = scope;
    return ERR_OK;
}

static enum err_code compile_rule(struct entity *entity, const struct entity_type *type, int i,
                                  const struct feel_scope *scope, const struct feel_program **out,
                                  struct findings *findings, struct err *err)
{
    const struct type_rule *rule = &type->rules[i];
    struct err why = { 0 };
    const enum err_code rc =
        feel_prepare(entity->arena, scope, rule->condition, FEEL_EXPRESSION, 0, out, &why);
    if (rc != ERR_INVALID) {
        if (rc && err)
            *err = why;
        return rc;
    }
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 16);
    const struct str text = arena ? err_text(arena, &why, entity->config.words, LANG_EN) : (struct str) { 0 };
    pack_finding(findings, type->from, type->file, rule->offset, ERR_INVALID, "type.rule", text);
    return ERR_OK;
}

enum err_code rules_compile(struct entity *entity, struct findings *findings, struct err *err)
{
    const size_t count = (size_t)types_count(entity->types);
    entity->scopes = arena_alloc(entity->arena, count + 1, sizeof *entity->scopes);
    entity->rules = arena_alloc(entity->arena, count + 1, sizeof *entity->rules);
    if (!entity->scopes || !entity->rules)
        return err_nomem(err);
    for (size_t n = 0; n < count; n++) {
        const struct entity_type *type = types_at(entity->types, (int)n);
        enum err_code rc = make_scope(entity, type, &entity->scopes[n], err);
        entity->rules[n] = arena_alloc(entity->arena, (size_t)type->rules_count + 1, sizeof **entity->rules);
        if (!rc && !entity->rules[n])
            rc = err_nomem(err);
        for (int i = 0; !rc && i < type->rules_count; i++)
            rc = compile_rule(entity, type, i, entity->scopes[n], &entity->rules[n][i], findings, err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

/* ---- a record as values ---- */

enum err_code value_feel(const struct entity_call *call, const struct entity_field *field,
                         const struct value *value, struct feel_value *out, struct err *err)
{
    struct str text;
    enum err_code rc = ERR_OK;
    *out = feel_null();
    if (value->null)
        return ERR_OK;
    switch (field->kind) {
    case VALUE_TEXT:
        *out = feel_string(value->text);
        return ERR_OK;
    case VALUE_REF:
        text = arena_printf(call->arena, "%lld", (long long)value->i64);
        *out = feel_string(text);
        return text.ptr ? ERR_OK : err_nomem(err);
    case VALUE_INTEGER:
        *out = feel_i64(value->i64);
        return ERR_OK;
    case VALUE_BOOLEAN:
        *out = feel_boolean(value->i64 != 0);
        return ERR_OK;
    case VALUE_DATE:
        (void)feel_date_parse(value->text, out); /* it was checked; else it stays null */
        return ERR_OK;
    case VALUE_INSTANT:
        return feel_from_instant(call->arena, value->i64, STR(RULE_ZONE), out, err);
    case VALUE_NUMBER:
    case VALUE_JSON:
    case VALUE_KIND__COUNT:
        break;
    }
    json_t *json = field->kind == VALUE_NUMBER ? json_real(value->f64)
                                               : json_loadb(value->text.ptr, value->text.len, 0, NULL);
    rc = json ? feel_from_json(call->arena, json, out, err) : err_nomem(err);
    json_decref(json);
    return rc;
}

static void rule_broken(const struct entity_call *call, const struct entity_type *type,
                        const struct type_rule *rule, enum err_code *rc, struct err *err)
{
    struct err one;
    char pointer[PACK_NAME_MAX + 2] = "";
    (void)err_set(&one, ERR_INVALID, "entity.rule", ARG_STR("title", rule->title[call->lang]), ARG_END);
    if (rule->field >= 0)
        (void)snprintf(pointer, sizeof pointer, "/%.*s", STR_ARG(type->fields[rule->field].name));
    (void)err_pointer(&one, str_from(pointer));
    if (call->findings)
        findings_add(call->findings, &one);
    if (!*rc && err)
        *err = one;
    *rc = ERR_INVALID;
}

enum err_code rules_check(const struct entity_call *call, const struct entity_type *type,
                          const struct value *values, struct err *err)
{
    struct feel_value inputs[TYPE_FIELDS_MAX];
    enum err_code rc = ERR_OK;
    if (!type->rules_count)
        return ERR_OK;
    for (int i = 0; i < type->fields_count && !rc; i++)
        rc = value_feel(call, &type->fields[i], &values[i], &inputs[i], err);
    if (rc)
        return rc;
    for (int i = 0; i < type->rules_count; i++) {
        struct feel_eval eval;
        struct feel_value result;
        feel_eval_init(&eval, call->arena);
        eval.now_ms = clock_now(call->entity->config.clock);
        eval.zone = STR(RULE_ZONE);
        const enum err_code failed =
            feel_evaluate(call->entity->rules[type->number_in_types][i], &eval, inputs, &result, err);
        if (failed)
            return failed;
        if (result.kind == FEEL_BOOLEAN && !result.boolean)
            rule_broken(call, type, &type->rules[i], &rc, err);
    }
    return rc;
}

/* ---- filters ---- */

struct columns {
    const struct entity_call *call;
    const struct entity_type *type;
    struct arena *arena;
    bool sealed; /* the filter speaks of a sealed field */
    bool hidden; /* which this caller sees nowhere */
};

static struct str digest_of(void *arg, size_t slot, struct str text)
{
    const struct columns *columns = arg;
    char digest[BLIND_SIZE];
    blind_digest(columns->call->entity, columns->type, (int)slot, text, digest);
    return arena_str(columns->arena, str_from(digest));
}

/* Only for those who may see the value: else a filter would be a way to guess it. */
static bool sealed_column(struct columns *columns, size_t slot, struct filter_column *out)
{
    char name[BLIND_COLUMN_SIZE];
    columns->sealed = true;
    columns->hidden = columns->hidden || call_sees(columns->call, columns->type) == SEES_MASKED;
    if (columns->hidden)
        return false;
    *out =
        (struct filter_column) { .type = FILTER_SEALED, .digest = digest_of, .arg = columns, .slot = slot };
    out->sql =
        arena_printf(columns->arena, "t.%.*s", STR_ARG(blind_column(&columns->type->fields[slot], name)));
    return out->sql.ptr != NULL;
}

static bool filter_column_of(void *arg, size_t slot, struct filter_column *out)
{
    static const enum filter_type types[VALUE_KIND__COUNT] = {
        [VALUE_TEXT] = FILTER_TEXT,       [VALUE_INTEGER] = FILTER_INTEGER, [VALUE_NUMBER] = FILTER_REAL,
        [VALUE_BOOLEAN] = FILTER_BOOLEAN, [VALUE_DATE] = FILTER_DATE,       [VALUE_INSTANT] = FILTER_INSTANT,
        [VALUE_REF] = FILTER_TEXT,
    };
    struct columns *columns = arg;
    const struct entity_field *field = &columns->type->fields[slot];
    if (field->mask)
        return sealed_column(columns, slot, out);
    if (!field->filterable || field->kind == VALUE_JSON)
        return false;
    out->type = types[field->kind];
    out->sql = arena_printf(columns->arena, field->kind == VALUE_REF ? "CAST(t.%.*s AS TEXT)" : "t.%.*s",
                            STR_ARG(field->column));
    return out->sql.ptr != NULL;
}

enum err_code filter_add(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                         struct str filter, struct sql *sql, struct err *err)
{
    struct columns columns = { .call = call, .type = type, .arena = call->arena };
    struct filter_sql made;
    const enum filter_dialect dialect = tx_backend(tx) == STORE_SQLITE ? FILTER_SQLITE : FILTER_POSTGRES;
    const enum err_code rc = filter_sql(call->arena, call->entity->scopes[type->number_in_types], filter,
                                        dialect, filter_column_of, &columns, sql->args_count + 1, &made, err);
    if (rc && columns.hidden) {
        char text[ERR_TEXT_MAX];
        return err_set(err, ERR_FORBIDDEN, "entity.forbidden",
                       ARG_STR("permission", permission_of(type, "sensitive", text)), ARG_END);
    }
    if (rc)
        return rc == ERR_INVALID || rc == ERR_UNSUPPORTED ? err_pointer(err, STR("/?filter")) : rc;
    sql_add(sql, " AND (");
    sql_str(sql, made.sql);
    sql_add(sql, ")");
    for (size_t i = 0; i < made.binds_count; i++) {
        const struct filter_bind *bind = &made.binds[i];
        if (sql->args_count == SQL_ARGS_MAX) {
            sql->full = true;
            break;
        }
        struct sql_arg *arg = &sql->args[sql->args_count++];
        arg->kind = bind->kind == FILTER_BIND_I64   ? SQL_I64
                    : bind->kind == FILTER_BIND_F64 ? SQL_F64
                                                    : SQL_TEXT;
        arg->i64 = bind->i64;
        arg->f64 = bind->f64;
        arg->text = bind->text;
    }
    /* no row is found by a value that the caller may not see in it */
    return columns.sealed && call_sees(call, type) == SEES_BY_ROW
               ? scope_sql(call, type, "sensitive", sql, err)
               : ERR_OK;
}
