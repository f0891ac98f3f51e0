/* record_sql.c - the statements of a record's own row, and rows read and written. */
#include "crypto/keyring.h"
#include "platform/entity/internal.h"

/* ---- SQL ---- */
static const char SQL_REACHED[] = "SELECT 1 FROM \"%.*s\" t WHERE t.\"id\" = ";

/* ---- statements made at load ---- */

static const char *keep(struct entity *entity, struct buf *text)
{
    const struct str kept = text->failed ? (struct str) { 0 } : arena_str(entity->arena, buf_get(text));
    buf_clear(text);
    return kept.ptr;
}

static void add_columns(const struct entity_type *type, const char *alias, struct buf *out)
{
    for (int i = 0; i < type->fields_count; i++)
        buf_printf(out, "%s%s%.*s", i ? ", " : "", alias, STR_ARG(type->fields[i].column));
}

/* How many there are. */
static int add_blinds(const struct entity_type *type, struct buf *out)
{
    char name[BLIND_COLUMN_SIZE];
    int count = 0;
    for (int i = COLUMN_OWN; i < type->fields_count; i++)
        if (type->fields[i].mask) {
            buf_printf(out, ", %.*s", STR_ARG(blind_column(&type->fields[i], name)));
            count++;
        }
    return count;
}

static bool make_one(struct entity *entity, const struct entity_type *type, struct statements *out)
{
    struct buf text;
    buf_init(&text, SQL_BYTES_MAX);
    add_columns(type, "t.", &text);
    out->columns = keep(entity, &text);
    buf_text(&text, "SELECT ");
    add_columns(type, "t.", &text);
    buf_printf(&text, " FROM \"%.*s\" t WHERE t.\"id\" = ?1", STR_ARG(type->table));
    out->get = keep(entity, &text);
    buf_printf(&text, "INSERT INTO \"%.*s\" (", STR_ARG(type->table));
    add_columns(type, "", &text);
    const int columns = type->fields_count + add_blinds(type, &text);
    buf_text(&text, ") VALUES (");
    for (int i = 0; i < columns; i++)
        buf_printf(&text, "%s?%d", i ? ", " : "", i + 1);
    buf_char(&text, ')');
    out->insert = keep(entity, &text);
    buf_printf(&text, "DELETE FROM \"%.*s\" WHERE \"id\" = ?1", STR_ARG(type->table));
    out->remove = keep(entity, &text);
    buf_done(&text);
    return out->columns && out->get && out->insert && out->remove;
}

enum err_code statements_make(struct entity *entity, struct err *err)
{
    const int count = types_count(entity->types);
    entity->statements = arena_alloc(entity->arena, (size_t)count + 1, sizeof *entity->statements);
    if (!entity->statements)
        return err_nomem(err);
    for (int i = 0; i < count; i++)
        if (!make_one(entity, types_at(entity->types, i), &entity->statements[i]))
            return err_nomem(err);
    return ERR_OK;
}

/* ---- rows ---- */

static void row_value(const struct entity_field *field, struct stmt *stmt, int column, struct value *out)
{
    *out = (struct value) { .null = stmt_is_null(stmt, column) };
    if (out->null)
        return;
    switch (field->kind) {
    case VALUE_TEXT:
    case VALUE_DATE:
    case VALUE_JSON:
        out->text = stmt_text(stmt, column);
        return;
    case VALUE_NUMBER:
        out->f64 = stmt_f64(stmt, column);
        return;
    case VALUE_INTEGER:
    case VALUE_BOOLEAN:
    case VALUE_INSTANT:
    case VALUE_REF:
    case VALUE_KIND__COUNT:
        break;
    }
    out->i64 = stmt_i64(stmt, column);
}

void row_values(const struct entity_type *type, struct stmt *stmt, int first, struct value *values)
{
    for (int i = 0; i < type->fields_count; i++)
        row_value(&type->fields[i], stmt, first + i, &values[i]);
}

enum err_code row_values_keep(const struct entity_type *type, struct stmt *stmt, struct arena *arena,
                              struct value *values, struct err *err)
{
    row_values(type, stmt, 0, values);
    for (int i = 0; i < type->fields_count; i++)
        if (values[i].text.ptr) {
            values[i].text = arena_str(arena, values[i].text);
            if (!values[i].text.ptr)
                return err_nomem(err);
        }
    return ERR_OK;
}

void stmt_bind_value(struct stmt *stmt, int index, const struct entity_field *field,
                     const struct value *value)
{
    if (value->null) {
        stmt_bind_null(stmt, index);
        return;
    }
    switch (field->kind) {
    case VALUE_TEXT:
    case VALUE_DATE:
    case VALUE_JSON:
        stmt_bind_text(stmt, index, value->text);
        return;
    case VALUE_NUMBER:
        stmt_bind_f64(stmt, index, value->f64);
        return;
    case VALUE_INTEGER:
    case VALUE_BOOLEAN:
    case VALUE_INSTANT:
    case VALUE_REF:
    case VALUE_KIND__COUNT:
        break;
    }
    stmt_bind_i64(stmt, index, value->i64);
}

/* ---- sensitive fields ---- */

struct str seal_context(const struct entity_type *type, int field, int64_t id, char out[ENTITY_SEAL_CONTEXT])
{
    const int len = snprintf(out, ENTITY_SEAL_CONTEXT, "%.*s.%.*s:%lld", STR_ARG(type->full),
                             STR_ARG(type->fields[field].name), (long long)id);
    return (struct str) { out, (size_t)len };
}

enum err_code value_seal(const struct entity_call *call, const struct entity_type *type, int field,
                         int64_t id, struct value *value, struct err *err)
{
    char context[ENTITY_SEAL_CONTEXT];
    struct buf sealed;
    if (value->null)
        return ERR_OK;
    buf_init(&sealed, (size_t)TYPE_TEXT_LIMIT * 8);
    enum err_code rc =
        seal(call->entity->config.keys, seal_context(type, field, id, context), value->text, &sealed, err);
    if (!rc) {
        value->text = arena_str(call->arena, buf_get(&sealed));
        if (!value->text.ptr)
            rc = err_nomem(err);
    }
    buf_done(&sealed);
    return rc;
}

enum err_code value_unseal(const struct entity_call *call, const struct entity_type *type, int field,
                           int64_t id, bool plain, struct value *value, struct err *err)
{
    char context[ENTITY_SEAL_CONTEXT];
    struct buf text, shown;
    if (value->null)
        return ERR_OK;
    buf_init(&text, (size_t)TYPE_TEXT_LIMIT * 4);
    buf_init(&shown, (size_t)TYPE_TEXT_LIMIT * 4);
    enum err_code rc =
        unseal(call->entity->config.keys, seal_context(type, field, id, context), value->text, &text, err);
    if (rc == ERR_NOT_FOUND) { /* restored without its keys: the rest of the record is still good */
        buf_str(&shown, words_get(call->entity->config.words, call->lang, STR("entity.key_missing")));
        rc = ERR_OK;
    } else if (!rc && !plain) {
        value_mask(type->fields[field].mask, buf_get(&text), &shown);
    } else if (!rc) {
        buf_str(&shown, buf_get(&text));
    }
    if (!rc)
        rc = buf_check(&shown, err);
    if (!rc) {
        value->text = arena_str(call->arena, buf_get(&shown));
        if (!value->text.ptr)
            rc = err_nomem(err);
    }
    buf_done(&text);
    buf_done(&shown);
    return rc;
}

/* ---- the row of a write ---- */

static const struct statements *statements_of(const struct entity_call *call, const struct entity_type *type)
{
    return &call->entity->statements[type->number_in_types];
}

enum err_code row_reached(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                          int64_t id, const char *action, bool *out, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    if (!sql)
        return err_nomem(err);
    buf_printf(&sql->text, SQL_REACHED, STR_ARG(type->table));
    sql_i64(sql, id);
    enum err_code rc = scope_sql(call, type, action, sql, err);
    if (!rc)
        rc = sql_prepare(sql, tx, &stmt, err);
    return rc ? rc : stmt_step(stmt, out, err);
}

/* The fields that scopes speak of, as a row t of their own. */
static void add_scoped_values(const struct write *w, struct sql *sql)
{
    const struct entity_type *type = w->type;
    const int fields[] = { type->scope_org, type->scope_grid, type->scope_subject, type->scope_own };
    bool seen[TYPE_FIELDS_MAX] = { 0 };
    sql_add(sql, "SELECT 1 FROM (SELECT 1 AS one");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i] < 0 || seen[fields[i]])
            continue;
        seen[fields[i]] = true;
        sql_add(sql, ", CAST(");
        sql_value(sql, &type->fields[fields[i]], &w->after[fields[i]]);
        sql_add(sql, " AS {i64}) AS ");
        sql_str(sql, type->fields[fields[i]].column);
    }
    sql_add(sql, ") t WHERE 1 = 1");
}

enum err_code values_must_reach(const struct write *w, const char *action, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool found = false;
    if (scope_is_all(w->call, w->type, action))
        return ERR_OK;
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    if (!sql)
        return err_nomem(err);
    add_scoped_values(w, sql);
    enum err_code rc = scope_sql(w->call, w->type, action, sql, err);
    if (!rc)
        rc = sql_prepare(sql, w->tx, &stmt, err);
    if (!rc && tx_is_hopeful(w->tx))
        return stmt_post_found(stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &found, err);
    return rc || found ? rc : err_set(err, ERR_FORBIDDEN, "entity.out_of_scope", ARG_END);
}

/* A unique index was hit: tell at which field, in our words. */
static enum err_code explain_duplicate(const struct entity_type *type, enum err_code rc, struct err *err)
{
    if (rc != ERR_CONFLICT || !err || !err->id || strcmp(err->id, "store.duplicate") != 0)
        return rc;
    struct str what = { 0 };
    for (int i = 0; i < ERR_ARGS_MAX; i++)
        if (err->args[i].name && !strcmp(err->args[i].name, "what"))
            what = str_from(err->args[i].text);
    const ptrdiff_t dot = str_find(what, STR("."));
    struct str columns = dot < 0 ? what : str_slice(what, (size_t)dot + 1, what.len), last = { 0 }, part;
    char names[ERR_TEXT_MAX + 1];
    (void)snprintf(names, sizeof names, "%.*s", STR_ARG(columns));
    columns = str_from(names);
    struct str rest = columns;
    while (rest.len && str_cut(&rest, ',', &part)) {
        part = str_trim(part);
        if (type_field(type, part) >= 0)
            last = part;
    }
    char pointer[ERR_TEXT_MAX + 2];
    (void)snprintf(pointer, sizeof pointer, "/%.*s", STR_ARG(last));
    (void)err_set(err, ERR_CONFLICT, "entity.duplicate", ARG_STR("fields", columns), ARG_END);
    return err_pointer(err, str_from(last.len ? pointer : ""));
}

/* The row by id within the caller's read scope, texts copied; sealed values opened. */
enum err_code row_read(struct write *w, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, statements_of(w->call, w->type)->get);
    sql->args[sql->args_count++] = (struct sql_arg) { .kind = SQL_I64, .i64 = w->id };
    enum err_code rc = scope_sql(w->call, w->type, "read", sql, err);
    if (!rc)
        rc = sql_prepare(sql, w->tx, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc && !row)
        rc = err_set(err, ERR_NOT_FOUND, "entity.not_found", ARG_END);
    if (!rc)
        rc = row_values_keep(w->type, stmt, w->call->arena, w->before, err);
    for (int i = COLUMN_OWN; !rc && i < w->type->fields_count; i++)
        if (w->type->fields[i].mask)
            rc = value_unseal(w->call, w->type, i, w->id, true, &w->before[i], err);
    return rc;
}

static enum err_code seal_values(struct write *w, struct value *values, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = COLUMN_OWN; !rc && i < w->type->fields_count; i++)
        if (w->type->fields[i].mask)
            rc = value_seal(w->call, w->type, i, w->id, &values[i], err);
    return rc;
}

/* The digest of a value that is plain; {NULL, 0} of none. */
static enum err_code blind_of(const struct write *w, int field, struct str *out, struct err *err)
{
    char digest[BLIND_SIZE];
    *out = (struct str) { 0 };
    if (w->after[field].null)
        return ERR_OK;
    blind_digest(w->call->entity, w->type, field, w->after[field].text, digest);
    *out = arena_str(w->call->arena, str_from(digest));
    return out->ptr ? ERR_OK : err_nomem(err);
}

static enum err_code bind_blinds(const struct write *w, struct stmt *stmt, struct err *err)
{
    int index = w->type->fields_count;
    enum err_code rc = ERR_OK;
    for (int i = COLUMN_OWN; !rc && i < w->type->fields_count; i++) {
        struct str digest;
        if (!w->type->fields[i].mask)
            continue;
        rc = blind_of(w, i, &digest, err);
        stmt_bind_text_or_null(stmt, ++index, digest);
    }
    return rc;
}

enum err_code row_insert(struct write *w, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct value values[TYPE_FIELDS_MAX];
    memcpy(values, w->after, sizeof values);
    enum err_code rc = seal_values(w, values, err);
    if (!rc)
        rc = tx_prepare(w->tx, statements_of(w->call, w->type)->insert, &stmt, err);
    if (rc)
        return rc;
    for (int i = 0; i < w->type->fields_count; i++)
        stmt_bind_value(stmt, i + 1, &w->type->fields[i], &values[i]);
    rc = bind_blinds(w, stmt, err);
    if (rc)
        return rc;
    if (w->call->bulk || tx_is_hopeful(w->tx)) /* where it fails it runs again, and explains */
        return stmt_post(stmt, err);
    return explain_duplicate(w->type, stmt_run(stmt, NULL, err), err);
}

/* Seals the value, and writes the digest beside it. */
static enum err_code set_sealed(struct write *w, int field, struct value *value, struct sql *sql,
                                struct err *err)
{
    char name[BLIND_COLUMN_SIZE];
    struct str digest;
    enum err_code rc = blind_of(w, field, &digest, err);
    if (!rc)
        rc = value_seal(w->call, w->type, field, w->id, value, err);
    if (rc)
        return rc;
    sql_str(sql, blind_column(&w->type->fields[field], name));
    sql_add(sql, " = ");
    sql_arg(sql, (struct sql_arg) { .kind = digest.ptr ? SQL_TEXT : SQL_NULL, .text = digest });
    sql_add(sql, ", ");
    return ERR_OK;
}

enum err_code row_update(struct write *w, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct value values[TYPE_FIELDS_MAX];
    int64_t changes = 0;
    if (!sql)
        return err_nomem(err);
    memcpy(values, w->after, sizeof values);
    enum err_code rc = ERR_OK;
    buf_printf(&sql->text, "UPDATE \"%.*s\" SET ", STR_ARG(w->type->table));
    bool any = false;
    for (int i = 0; !rc && i < w->type->fields_count; i++) {
        if (!w->changed[i] && i != COLUMN_VERSION && i != COLUMN_UPDATED_AT && i != COLUMN_UPDATED_BY)
            continue;
        sql_add(sql, any ? ", " : "");
        any = true;
        if (w->type->fields[i].mask)
            rc = set_sealed(w, i, &values[i], sql, err);
        sql_str(sql, w->type->fields[i].column);
        sql_add(sql, " = ");
        sql_value(sql, &w->type->fields[i], &values[i]);
    }
    sql_add(sql, " WHERE \"id\" = ");
    sql_i64(sql, w->id);
    sql_add(sql, " AND \"version\" = ");
    sql_i64(sql, w->before[COLUMN_VERSION].i64);
    if (!rc)
        rc = sql_prepare(sql, w->tx, &stmt, err);
    if (!rc)
        rc = explain_duplicate(w->type, stmt_run(stmt, &changes, err), err);
    if (!rc && !changes)
        rc = err_set(err, ERR_STALE, "entity.stale", ARG_INT("yours", w->before[COLUMN_VERSION].i64),
                     ARG_INT("now", w->before[COLUMN_VERSION].i64 + 1), ARG_END);
    return rc;
}

enum err_code row_delete(struct write *w, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(w->tx, statements_of(w->call, w->type)->remove, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, w->id);
    return stmt_run(stmt, NULL, err);
}

/* ---- as JSON ---- */

enum err_code record_json_open(const struct entity_call *call, const struct entity_type *type,
                               struct value *values, bool plain, struct buf *out, struct err *err)
{
    for (int i = 0; i < type->fields_count; i++) {
        const struct entity_field *field = &type->fields[i];
        if (field->mask) {
            const enum err_code rc =
                value_unseal(call, type, i, values[COLUMN_ID].i64, plain, &values[i], err);
            if (rc)
                return rc;
        }
        buf_char(out, i ? ',' : '{');
        buf_str(out, field->column); /* "name", as JSON wants it too */
        buf_char(out, ':');
        value_json(field, &values[i], out);
    }
    return buf_check(out, err);
}
