/* reference_sql.c - references inside lists and objects: their names, and who refers to a record there.
 *
 * They stand in the JSON of a column, so a list is unfolded by the database itself to be joined with what it
 * names; who refers to a record is found by its id in the text, and then looked at by the shape. */
#include "platform/entity/internal.h"

static const char SQL_HOLDERS[] = "SELECT $C FROM \"$T\" WHERE CAST($C AS TEXT) LIKE ?1";

/* ---- names of lists ---- */

const struct shape *list_of_references(const struct entity_field *field)
{
    const struct shape *items = field->shape.type == SHAPE_ARRAY ? field->shape.items : NULL;
    return items && (items->ref_type || items->ref_relation) ? items : NULL;
}

static bool on_postgres(const struct entity_call *call)
{
    return call->entity->config.store && store_backend(call->entity->config.store) == STORE_POSTGRES;
}

void list_items_sql(const struct entity_call *call, struct str column, struct buf *out)
{
    buf_printf(out,
               on_postgres(call)
                   ? "(SELECT CAST(j.value AS BIGINT) AS value, j.place AS place FROM"
                     " jsonb_array_elements_text(CAST(t.%.*s AS jsonb)) WITH ORDINALITY j(value, place)) e"
                   : "(SELECT CAST(j.value AS INTEGER) AS value, j.key AS place FROM json_each(t.%.*s) j) e",
               STR_ARG(column));
}

const char *list_join_sql(const struct entity_call *call)
{
    return on_postgres(call) ? "string_agg" : "group_concat";
}

void list_label_sql(const struct entity_call *call, const struct entity_field *field, struct sql *sql)
{
    const struct shape *shape = list_of_references(field);
    const size_t mark = sql->text.len;
    buf_printf(&sql->text, "(SELECT %s(x.label, '%s') FROM (SELECT ", list_join_sql(call),
               call->lang == LANG_ZH ? "\xe3\x80\x81" : ", ");
    if (shape->ref_relation)
        buf_printf(&sql->text, "r.\"%s\"", shape->ref_relation->label);
    else
        buf_printf(&sql->text, "r.%.*s", STR_ARG(shape->ref_type->fields[shape->ref_type->label].column));
    sql_add(sql, " AS label FROM ");
    list_items_sql(call, field->column, &sql->text);
    sql_add(sql, " JOIN ");
    if (reference_rows_sql(call, shape, sql)) {
        sql_add(sql, " r ON r.\"id\" = e.value ORDER BY e.place) x)");
    } else if (!sql->text.failed) {
        sql->text.len = mark;
        sql->text.ptr[mark] = 0;
        sql_add(sql, "NULL");
    }
}

/* ---- who refers ---- */

static bool refers_to(const struct shape *shape, const struct entity_type *type)
{
    const struct entity_relation *relation = shape->ref_relation;
    if (!relation)
        return shape->ref_type && shape->ref_type == type;
    return (type->kind == TYPE_SUBJECT && !strcmp(relation->name, "core.subject")) ||
           (type->kind == TYPE_CASE && !strcmp(relation->name, "core.case"));
}

bool shape_may_refer(const struct shape *shape, const struct entity_type *type)
{
    bool any = refers_to(shape, type) || (shape->items && shape_may_refer(shape->items, type));
    for (int i = 0; i < shape->members_count && !any; i++)
        any = shape_may_refer(&shape->members[i].shape, type);
    return any;
}

static bool does_refer(const struct shape *shape, const json_t *value, const struct entity_type *type,
                       const char *id)
{
    size_t i;
    json_t *one;
    if (json_is_string(value) && refers_to(shape, type) && !strcmp(json_string_value(value), id))
        return true;
    if (shape->items && json_is_array(value))
        json_array_foreach((json_t *)(uintptr_t)value, i,
                           one) if (does_refer(shape->items, one, type, id)) return true;
    for (int n = 0; n < shape->members_count; n++)
        if (does_refer(&shape->members[n].shape, json_object_get(value, shape->members[n].name.ptr), type,
                       id))
            return true;
    return false;
}

enum err_code referred_inside(struct tx *tx, const struct entity_type *other, int field,
                              const struct entity_type *type, int64_t id, bool *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char text[24], pattern[40], sql[300];
    bool row = false;
    (void)snprintf(text, sizeof text, "%lld", (long long)id);
    (void)snprintf(pattern, sizeof pattern, "%%\"%s\"%%", text);
    *out = false;
    enum err_code rc = sql_fill(SQL_HOLDERS, other->table, other->fields[field].column, sql, sizeof sql, err);
    if (!rc)
        rc = tx_prepare(tx, sql, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, str_from(pattern));
    while (!*out && !(rc = stmt_step(stmt, &row, err)) && row) {
        const struct str held = stmt_text(stmt, 0);
        json_t *json = json_loadb(held.ptr, held.len, 0, NULL);
        *out = json && does_refer(&other->fields[field].shape, json, type, text);
        json_decref(json);
    }
    return rc;
}
