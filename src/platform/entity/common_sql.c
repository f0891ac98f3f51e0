/* common_sql.c - what stands beside a record's own row: the common row of subjects and cases, history,
 * numbers, and the references between records. */
#include "base/json.h"
#include "platform/entity/internal.h"

/* ---- SQL ---- */
static const char SQL_SUBJECT_PUT[] =
    "INSERT INTO subject (id, type, code, name, org, grid, valid_from, valid_to)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET code = excluded.code,"
    " name = excluded.name, org = excluded.org, grid = excluded.grid, valid_from = excluded.valid_from,"
    " valid_to = excluded.valid_to";
static const char SQL_CASE_PUT[] =
    "INSERT INTO cases (id, type, number, title, subject, org, grid, state, opened_at, closed_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO UPDATE SET number = "
    "excluded.number,"
    " title = excluded.title, subject = excluded.subject, org = excluded.org, grid = excluded.grid,"
    " state = excluded.state, opened_at = excluded.opened_at, closed_at = excluded.closed_at";
static const char SQL_SUBJECT_DELETE[] = "DELETE FROM subject WHERE id = ?1";
static const char SQL_CASE_DELETE[] = "DELETE FROM cases WHERE id = ?1";
static const char SQL_HISTORY_ADD[] =
    "INSERT INTO record_history (id, type, record, version, at, by_user, action, changes)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
static const char SQL_NUMBER_NEXT[] = "INSERT INTO record_sequence (name, value) VALUES (?1, 1)"
                                      " ON CONFLICT (name) DO UPDATE SET value = record_sequence.value + 1"
                                      " RETURNING value";
static const char SQL_CODE_THERE[] =
    "SELECT 1 FROM core_dictionary_item i JOIN core_dictionary d ON d.id = i.dictionary"
    " WHERE d.code = ?1 AND i.code = ?2 AND i.active = 1";
static const char SQL_THERE[] = "SELECT 1 FROM \"$T\" WHERE \"id\" = ?1";
static const char SQL_REFERRED[] = "SELECT 1 FROM \"$T\" WHERE $C = ?1 LIMIT 1";
static const char SQL_BY_KEY[] = "SELECT \"id\" FROM \"$T\" WHERE \"$C\" = ?1 LIMIT 2";

static enum err_code prepare_table(struct tx *tx, const char *pattern, struct str table, struct str column,
                                   struct stmt **out, struct err *err)
{
    char sql[300];
    const enum err_code rc = sql_fill(pattern, table, column, sql, sizeof sql, err);
    if (rc)
        return rc;
    return tx_prepare(tx, sql, out, err);
}

/* ---- subjects and cases ---- */

static void bind_field(struct stmt *stmt, int index, const struct entity_type *type,
                       const struct value *values, const char *name)
{
    const int field = type_field(type, str_from(name));
    if (field < 0)
        stmt_bind_null(stmt, index);
    else
        stmt_bind_value(stmt, index, &type->fields[field], &values[field]);
}

enum err_code common_put(struct tx *tx, const struct entity_type *type, int64_t id,
                         const struct value *values, struct err *err)
{
    static const char *const subject[] = { "code", "name", "org", "grid", "valid_from", "valid_to" };
    static const char *const cases[] = { "number", "title", "subject",   "org",
                                         "grid",   "state", "opened_at", "closed_at" };
    if (type->kind != TYPE_SUBJECT && type->kind != TYPE_CASE)
        return ERR_OK;
    const bool is_case = type->kind == TYPE_CASE;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, is_case ? SQL_CASE_PUT : SQL_SUBJECT_PUT, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    stmt_bind_text(stmt, 2, type->full);
    const int count = is_case ? 8 : 6;
    for (int i = 0; i < count; i++)
        bind_field(stmt, i + 3, type, values, is_case ? cases[i] : subject[i]);
    return stmt_post(stmt, err);
}

enum err_code common_delete(struct tx *tx, const struct entity_type *type, int64_t id, struct err *err)
{
    if (type->kind != TYPE_SUBJECT && type->kind != TYPE_CASE)
        return ERR_OK;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc =
        tx_prepare(tx, type->kind == TYPE_CASE ? SQL_CASE_DELETE : SQL_SUBJECT_DELETE, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    return stmt_run(stmt, NULL, err);
}

/* ---- history ---- */

enum err_code history_add(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                          int64_t id, int64_t version, const char *action, struct str changes,
                          struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, SQL_HISTORY_ADD, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, ids_next(call->entity->config.ids));
    stmt_bind_text(stmt, 2, type->full);
    stmt_bind_i64(stmt, 3, id);
    stmt_bind_i64(stmt, 4, version);
    stmt_bind_i64(stmt, 5, clock_now(call->entity->config.clock));
    if (call->who && call->who->user_id)
        stmt_bind_i64(stmt, 6, call->who->user_id);
    stmt_bind_text(stmt, 7, str_from(action));
    stmt_bind_text(stmt, 8, changes);
    return stmt_post(stmt, err);
}

/* ---- numbers ---- */

/* The pattern with the date put in; *seq_at and *seq_width tell where the sequence goes. */
static void number_expand(struct str pattern, int64_t days, struct buf *out, size_t *seq_at, int *seq_width)
{
    int64_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    for (size_t at = 0; at < pattern.len;) {
        const struct str rest = str_slice(pattern, at, pattern.len);
        if (str_starts(rest, STR("{yyyy}"))) {
            buf_printf(out, "%04d", (int)year);
            at += 6;
        } else if (str_starts(rest, STR("{yy}"))) {
            buf_printf(out, "%02d", (int)(year % 100));
            at += 4;
        } else if (str_starts(rest, STR("{MM}"))) {
            buf_printf(out, "%02d", month);
            at += 4;
        } else if (str_starts(rest, STR("{dd}"))) {
            buf_printf(out, "%02d", day);
            at += 4;
        } else if (str_starts(rest, STR("{seq:"))) {
            *seq_at = out->len;
            *seq_width = rest.ptr[5] - '0';
            at += 7;
        } else {
            buf_char(out, *rest.ptr);
            at++;
        }
    }
}

enum err_code number_next(struct tx *tx, const struct entity_type *type, int64_t day, struct arena *arena,
                          struct str *out, struct err *err)
{
    struct buf text;
    size_t seq_at = 0;
    int width = 1;
    buf_init(&text, 200);
    number_expand(type->number, day, &text, &seq_at, &width);
    const struct str whole = arena_str(arena, buf_get(&text));
    buf_done(&text);
    const struct str head = str_slice(whole, 0, seq_at), tail = str_slice(whole, seq_at, whole.len);
    const struct str name = arena_printf(arena, "%.*s:%.*s", STR_ARG(type->full), STR_ARG(head));
    if (!whole.ptr || !name.ptr)
        return err_nomem(err);
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, SQL_NUMBER_NEXT, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, name);
    rc = stmt_step(stmt, &row, err);
    if (rc)
        return rc;
    *out = arena_printf(arena, "%.*s%0*lld%.*s", STR_ARG(head), width, (long long)stmt_i64(stmt, 0),
                        STR_ARG(tail));
    return out->ptr ? ERR_OK : err_nomem(err);
}

/* ---- references ---- */

struct checking {
    const struct entity_call *call;
    struct tx *tx;
    struct err *err;
    enum err_code rc;
    struct str pointer;
    bool limited; /* the caller's own choice: within what he may read */
};

static void fault(struct checking *c, const char *id, struct str value)
{
    struct err one;
    (void)err_set(&one, ERR_INVALID, id, ARG_STR("value", value), ARG_END);
    (void)err_pointer(&one, c->pointer);
    if (c->call->findings)
        findings_add(c->call->findings, &one);
    if (!c->rc) {
        c->rc = ERR_INVALID;
        if (c->err)
            *c->err = one;
    }
}

static struct str ref_table(const struct shape *shape)
{
    return shape->ref_type ? shape->ref_type->table : str_from(shape->ref_relation->table);
}

static enum err_code there(struct tx *tx, const char *sql, struct str table, struct str column, int64_t id,
                           bool *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = prepare_table(tx, sql, table, column, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    return stmt_step(stmt, out, err);
}

static enum err_code must_be_there(struct tx *tx, struct str table, int64_t id, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = prepare_table(tx, SQL_THERE, table, (struct str) { 0 }, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    return stmt_post_found(stmt, err);
}

static enum err_code check_reference(struct checking *c, const struct shape *shape, int64_t id,
                                     struct err *err)
{
    const struct str table = ref_table(shape);
    const bool limited = c->limited && reference_limited(c->call, shape);
    struct bulk *bulk = limited ? NULL : c->call->bulk;
    const size_t slot = ((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15)) >> 54;
    bool found = bulk && bulk->there[slot].id == id && bulk->there[slot].table == table.ptr;
    enum err_code rc = ERR_OK;
    if (limited)
        rc = reference_reached(c->call, c->tx, shape, id, &found, err);
    else if (tx_is_hopeful(c->tx))
        return must_be_there(c->tx, table, id, err);
    else if (!found)
        rc = there(c->tx, SQL_THERE, table, (struct str) { 0 }, id, &found, err);
    if (!rc && !found)
        fault(c, "entity.reference", shape->ref);
    if (!rc && found && bulk) {
        bulk->there[slot].id = id;
        bulk->there[slot].table = table.ptr;
    }
    return rc;
}

static enum err_code check_code(struct checking *c, const struct shape *shape, struct str code,
                                struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool found = false;
    enum err_code rc = tx_prepare(c->tx, SQL_CODE_THERE, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, shape->dictionary);
    stmt_bind_text(stmt, 2, code);
    if (tx_is_hopeful(c->tx))
        return stmt_post_found(stmt, err);
    rc = stmt_step(stmt, &found, err);
    if (!rc && !found)
        fault(c, "entity.no_code", code);
    return rc;
}

static bool points(const struct shape *shape)
{
    bool any = shape->ref.len || shape->dictionary.len || (shape->items && points(shape->items));
    for (int i = 0; i < shape->members_count && !any; i++)
        any = points(&shape->members[i].shape);
    return any;
}

/* References and codes at any depth: ["17", "18"], [{"site": "17"}]. */
static enum err_code check_inside(struct checking *c, const struct shape *shape, const json_t *value,
                                  struct err *err)
{
    const struct str text = json_to_str(value);
    int64_t id = 0;
    enum err_code rc = ERR_OK;
    if (text.ptr && shape->ref.len)
        return str_i64(text, &id) ? check_reference(c, shape, id, err) : ERR_OK;
    if (text.ptr && shape->dictionary.len)
        return check_code(c, shape, text, err);
    for (size_t i = 0; shape->items && i < json_array_size(value) && !rc; i++)
        rc = check_inside(c, shape->items, json_array_get(value, i), err);
    for (int n = 0; n < shape->members_count && !rc; n++)
        rc = check_inside(c, &shape->members[n].shape, json_object_get(value, shape->members[n].name.ptr),
                          err);
    return rc;
}

static enum err_code check_json(struct checking *c, const struct shape *shape, struct str text,
                                struct err *err)
{
    json_t *json = json_loadb(text.ptr, text.len, 0, NULL);
    const enum err_code rc = check_inside(c, shape, json, err);
    json_decref(json);
    return rc;
}

enum err_code references_check(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                               const struct value *values, const json_t *by_caller, struct err *err)
{
    struct checking c = { .call = call, .tx = tx, .err = err };
    for (int i = COLUMN_OWN; i < type->fields_count; i++) {
        const struct entity_field *field = &type->fields[i];
        const struct value *value = &values[i];
        enum err_code rc = ERR_OK;
        char pointer[PACK_NAME_MAX + 2];
        if (!value->given || value->null)
            continue;
        (void)snprintf(pointer, sizeof pointer, "/%.*s", STR_ARG(field->name));
        c.pointer = str_from(pointer);
        c.limited = json_object_get(by_caller, pointer + 1) != NULL;
        if (field->kind == VALUE_REF && field->shape.ref.len)
            rc = check_reference(&c, &field->shape, value->i64, err);
        else if (field->shape.dictionary.len)
            rc = check_code(&c, &field->shape, value->text, err);
        else if (field->kind == VALUE_JSON && points(&field->shape))
            rc = check_json(&c, &field->shape, value->text, err);
        if (rc)
            return rc;
    }
    return c.rc;
}

enum err_code references_none(const struct entity *entity, struct tx *tx, const struct entity_type *type,
                              int64_t id, struct err *err)
{
    for (int n = 0; n < types_count(entity->types); n++) {
        const struct entity_type *other = types_at(entity->types, n);
        for (int i = COLUMN_OWN; i < other->fields_count; i++) {
            const struct entity_field *field = &other->fields[i];
            bool found = false;
            if ((field->kind != VALUE_REF && field->kind != VALUE_JSON) ||
                !shape_may_refer(&field->shape, type))
                continue;
            const enum err_code rc =
                field->kind == VALUE_REF
                    ? there(tx, SQL_REFERRED, other->table, field->column, id, &found, err)
                    : referred_inside(tx, other, i, type, id, &found, err);
            if (rc)
                return rc;
            if (found)
                return err_set(err, ERR_CONFLICT, "entity.referenced", ARG_STR("type", other->full),
                               ARG_STR("field", field->name), ARG_END);
        }
    }
    return ERR_OK;
}

/* ---- references by key, and their names ---- */

/* By several key fields, the parts joined by '|'; a part that is a reference is looked up in turn. */
static enum err_code find_by_type(struct tx *tx, const struct entity_type *type, struct str key,
                                  int64_t *out_id, bool *out_found, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct str rest = key, part = { 0 };
    *out_found = false;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "SELECT \"id\" FROM \"");
    sql_str(sql, type->table);
    sql_add(sql, "\" WHERE ");
    for (int i = 0; i < type->key.count; i++) {
        const struct entity_field *field = &type->fields[type->key.fields[i]];
        if (type->key.count == 1)
            part = rest;
        else if (!str_cut(&rest, '|', &part))
            return ERR_OK;
        struct value value = { .text = part };
        if (field->kind == VALUE_REF) {
            bool found = false;
            const enum err_code rc = reference_find(tx, &field->shape, part, &value.i64, &found, err);
            if (rc || !found)
                return rc;
        } else if (field->kind == VALUE_INTEGER && !str_i64(part, &value.i64)) {
            return ERR_OK;
        }
        sql_add(sql, i ? " AND " : "");
        sql_str(sql, field->column);
        sql_add(sql, " = ");
        sql_value(sql, field, &value);
    }
    if (!type->key.count)
        return ERR_OK;
    enum err_code rc = sql_prepare(sql, tx, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, out_found, err);
    if (!rc && *out_found)
        *out_id = stmt_i64(stmt, 0);
    return rc;
}

enum err_code reference_find(struct tx *tx, const struct shape *shape, struct str key, int64_t *out_id,
                             bool *out_found, struct err *err)
{
    *out_found = false;
    if (shape->ref_type)
        return find_by_type(tx, shape->ref_type, key, out_id, out_found, err);
    const struct entity_relation *relation = shape->ref_relation;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc =
        prepare_table(tx, SQL_BY_KEY, str_from(relation->table), str_from(relation->code), &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, key);
    rc = stmt_step(stmt, &row, err);
    if (rc || !row)
        return rc;
    *out_id = stmt_i64(stmt, 0);
    rc = stmt_step(stmt, &row, err); /* subjects of two types may share a code: then it names neither */
    *out_found = !rc && !row;
    return rc;
}

bool label_there(const struct entity_field *field)
{
    const struct shape *shape = &field->shape;
    if (shape->dictionary.len && field->kind == VALUE_TEXT)
        return true;
    if (list_of_references(field))
        shape = list_of_references(field);
    else if (field->kind != VALUE_REF || !shape->ref.len)
        return false;
    return shape->ref_relation || shape->ref_type->fields[shape->ref_type->label].kind == VALUE_TEXT;
}

void label_sql(const struct entity_call *call, const struct entity_field *field, struct sql *sql)
{
    const struct shape *shape = &field->shape;
    const size_t mark = sql->text.len;
    if (list_of_references(field)) {
        list_label_sql(call, field, sql);
        return;
    }
    if (shape->dictionary.len && field->kind == VALUE_TEXT) {
        buf_printf(&sql->text,
                   "(SELECT %s FROM core_dictionary_item i JOIN core_dictionary d ON d.id = i.dictionary"
                   " WHERE d.code = '%.*s' AND i.code = t.%.*s)",
                   call->lang == LANG_ZH ? "i.name_zh" : "COALESCE(i.name_en, i.name_zh)",
                   STR_ARG(shape->dictionary), STR_ARG(field->column));
        return;
    }
    if (shape->ref_relation)
        buf_printf(&sql->text, "(SELECT r.\"%s\" FROM ", shape->ref_relation->label);
    else
        buf_printf(&sql->text, "(SELECT r.%.*s FROM ",
                   STR_ARG(shape->ref_type->fields[shape->ref_type->label].column));
    if (reference_rows_sql(call, shape, sql)) {
        buf_printf(&sql->text, " r WHERE r.\"id\" = t.%.*s)", STR_ARG(field->column));
    } else if (!sql->text.failed) {
        sql->text.len = mark;
        sql->text.ptr[mark] = 0;
        sql_add(sql, "NULL");
    }
}

/* ---- the items of a dictionary ---- */

static const char SQL_ITEMS[] =
    "SELECT i.code, i.name_zh, i.name_en FROM core_dictionary_item i"
    " JOIN core_dictionary d ON d.id = i.dictionary WHERE d.code = ?1 AND i.active = 1"
    " ORDER BY i.position, i.code LIMIT 1000";

enum err_code dictionary_labels(struct tx *tx, struct str dictionary, enum lang lang, json_t *out,
                                struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = tx_prepare(tx, SQL_ITEMS, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, dictionary);
    for (bool row = false; !(rc = stmt_step(stmt, &row, err)) && row;) {
        char code[300];
        const struct str english = stmt_text(stmt, 2);
        const struct str title = lang == LANG_EN && english.len ? english : stmt_text(stmt, 1);
        (void)snprintf(code, sizeof code, "%.*s", STR_ARG(stmt_text(stmt, 0)));
        json_object_set_new(out, code, json_str(title));
    }
    return rc;
}
