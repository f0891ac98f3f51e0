/* table_sql.c - generated tables: what a type wants, what is there, and the difference.
 *
 * What is there stands in entity_part, written in the same transaction as the DDL.  Adding a column, making,
 * changing or dropping an index loses nothing and is applied.  A field that takes less than before, and a new
 * unique key, wait for `bihuan migrate`, which applies them when every row bears it; a column that goes or
 * changes its kind needs a step in a file of the pack besides (migrate.h).
 * A node that still runs an older version of a pack leaves its tables as they are. */
#include "platform/entity/migrate.h"

#define PARTS_MAX 640
#define BLIND_SUFFIX " blind"
#define LIMIT_SUFFIX " limit" /* of the name of a part: no field has a space in its name */

/* ---- SQL ---- */
static const char SQL_PARTS[] = "SELECT name, kind, definition FROM entity_part WHERE tbl = ?1 ORDER BY name";
static const char SQL_PART_PUT[] =
    "INSERT INTO entity_part (tbl, name, kind, definition) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (tbl, name) DO UPDATE SET definition = excluded.definition";
static const char SQL_PART_DELETE[] = "DELETE FROM entity_part WHERE tbl = ?1 AND name = ?2";
static const char *const SQL_TYPES[VALUE_KIND__COUNT] = {
    [VALUE_TEXT] = "{text}", [VALUE_INTEGER] = "{i64}", [VALUE_NUMBER] = "{f64}", [VALUE_BOOLEAN] = "{i64}",
    [VALUE_DATE] = "{text}", [VALUE_INSTANT] = "{i64}", [VALUE_REF] = "{i64}",    [VALUE_JSON] = "{json}",
};
static const char *const KINDS[VALUE_KIND__COUNT] = {
    [VALUE_TEXT] = "text",       [VALUE_INTEGER] = "integer", [VALUE_NUMBER] = "number",
    [VALUE_BOOLEAN] = "boolean", [VALUE_DATE] = "date",       [VALUE_INSTANT] = "instant",
    [VALUE_REF] = "reference",   [VALUE_JSON] = "json",
};
static const char *const TYPE_KINDS[TYPE_KIND__COUNT] = { "plain", "subject", "fact", "case" };

enum part_kind {
    PART_COLUMN,
    PART_INDEX,
    PART_UNIQUE,
    PART_TEXT,
    PART_KIND,
    PART_LIMIT,
    PART_BLIND,
    PART__COUNT
};
static const char *const PART_NAMES[PART__COUNT] = { "column", "index", "unique", "text",
                                                     "kind",   "limit", "blind" };

struct part {
    enum part_kind kind;
    struct str name, definition;
    bool there; /* wanted: is in the store already, the same */
};

struct sync {
    struct tx *tx;
    const struct entity_type *type;
    struct arena *arena;
    struct findings *findings;
    struct migrating *m; /* NULL: only look */
    bool older;          /* the store knows a newer version of the pack */
    struct part *wanted, *found;
    int wanted_count, found_count;
};

/* ---- what is wanted ---- */

static enum err_code want(struct sync *s, enum part_kind kind, struct str name, struct str definition,
                          struct err *err)
{
    if (!name.ptr || !definition.ptr)
        return err_nomem(err);
    for (int i = 0; i < s->wanted_count; i++)
        if (str_eq(s->wanted[i].name, name))
            return ERR_OK;
    if (s->wanted_count == PARTS_MAX)
        return err_set(err, ERR_LIMIT, "entity.parts", ARG_STR("type", s->type->full), ARG_END);
    s->wanted[s->wanted_count++] = (struct part) { .kind = kind, .name = name, .definition = definition };
    return ERR_OK;
}

static bool has_field(const int *fields, int count, int field)
{
    for (int i = 0; i < count; i++)
        if (fields[i] == field)
            return true;
    return false;
}

/* The columns of an index, "id" behind them, so that equal keys have an order. */
static enum err_code want_index(struct sync *s, enum part_kind kind, const int *fields, int count,
                                struct err *err)
{
    struct buf columns;
    buf_init(&columns, 1000);
    for (int i = 0; i < count; i++) {
        if (i)
            buf_text(&columns, ", ");
        buf_str(&columns, s->type->fields[fields[i]].column);
        if (kind == PART_INDEX && tx_backend(s->tx) == STORE_POSTGRES)
            buf_text(&columns, " NULLS FIRST"); /* as SQLite orders them */
    }
    if (kind == PART_INDEX)
        buf_text(&columns, ", \"id\"");
    /* so that a walk in that order tests the scope without reading the rows */
    if (kind == PART_INDEX && tx_backend(s->tx) == STORE_SQLITE && s->type->scope_org >= 0 &&
        !has_field(fields, count, s->type->scope_org)) {
        buf_text(&columns, ", ");
        buf_str(&columns, s->type->fields[s->type->scope_org].column);
    }
    enum err_code rc = buf_check(&columns, err);
    if (!rc) {
        const struct str definition = arena_str(s->arena, buf_get(&columns));
        const uint32_t hash = (uint32_t)str_hash(definition) ^ (kind == PART_UNIQUE);
        rc = want(s, kind, arena_printf(s->arena, "%.*s_%08x", STR_ARG(s->type->table), hash), definition,
                  err);
    }
    buf_done(&columns);
    return rc;
}

static enum err_code want_group(struct sync *s, enum part_kind kind, const struct field_group *group,
                                struct err *err)
{
    return group->count ? want_index(s, kind, group->fields, group->count, err) : ERR_OK;
}

static struct str text_definition(struct sync *s)
{
    struct buf names;
    buf_init(&names, 4000);
    for (int i = 0; i < s->type->search_count; i++) {
        buf_str(&names, s->type->fields[s->type->search[i]].name);
        buf_char(&names, ' ');
    }
    if (s->type->scope_org >= 0)
        buf_printf(&names, "+ %.*s", STR_ARG(s->type->fields[s->type->scope_org].name));
    const struct str kept = arena_str(s->arena, buf_get(&names));
    buf_done(&names);
    return kept;
}

static enum err_code want_all(struct sync *s, struct err *err)
{
    const struct entity_type *type = s->type;
    enum err_code rc = want(s, PART_KIND, STR("*"), str_from(TYPE_KINDS[type->kind]), err);
    for (int i = 0; !rc && i < type->fields_count; i++)
        rc = want(s, PART_COLUMN, type->fields[i].name,
                  type->fields[i].mask ? STR("sealed") : str_from(KINDS[type->fields[i].kind]), err);
    for (int i = COLUMN_OWN; !rc && i < type->fields_count; i++)
        rc = want(s, PART_LIMIT, arena_printf(s->arena, "%.*s" LIMIT_SUFFIX, STR_ARG(type->fields[i].name)),
                  field_limit(&type->fields[i], s->arena), err);
    for (int i = COLUMN_OWN; !rc && i < type->fields_count; i++)
        if (type->fields[i].mask)
            rc = want(s, PART_BLIND,
                      arena_printf(s->arena, "%.*s" BLIND_SUFFIX, STR_ARG(type->fields[i].name)), STR("1"),
                      err);
    if (!rc)
        rc = want_group(s, PART_UNIQUE, &type->key, err);
    for (int i = 0; !rc && i < type->uniques_count; i++)
        rc = want_group(s, PART_UNIQUE, &type->uniques[i], err);
    for (int i = 0; !rc && i < type->indexes_count; i++)
        rc = want_group(s, PART_INDEX, &type->indexes[i], err);
    for (int i = 0; !rc && i < type->sortable_count; i++)
        rc = want_index(s, PART_INDEX, &type->sortable[i], 1, err);
    for (int i = COLUMN_OWN; !rc && i < type->fields_count; i++)
        if (type->fields[i].indexed)
            rc = want_index(s, PART_INDEX, &i, 1, err);
    /* a list in its usual order within one organisation */
    if (!rc && type->scope_org >= 0 && type->sort != COLUMN_ID && type->sort != type->scope_org)
        rc = want_index(s, PART_INDEX, (const int[]) { type->scope_org, type->sort }, 2, err);
    if (!rc && type->search_count)
        rc = want(s, PART_TEXT, STR("*text"), text_definition(s), err);
    return rc;
}

/* ---- what is there ---- */

static enum err_code read_found(struct sync *s, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(s->tx, SQL_PARTS, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, s->type->table);
    while (!(rc = stmt_step(stmt, &row, err)) && row) {
        if (s->found_count == PARTS_MAX)
            return err_set(err, ERR_LIMIT, "entity.parts", ARG_STR("type", s->type->full), ARG_END);
        struct part *part = &s->found[s->found_count++];
        part->name = arena_str(s->arena, stmt_text(stmt, 0));
        part->definition = arena_str(s->arena, stmt_text(stmt, 2));
        if (!part->name.ptr || !part->definition.ptr)
            return err_nomem(err);
        for (int kind = 0; kind < PART__COUNT; kind++)
            if (str_eq(stmt_text(stmt, 1), str_from(PART_NAMES[kind])))
                part->kind = (enum part_kind)kind;
    }
    return rc;
}

static struct part *find_part(struct part *parts, int count, const struct part *like)
{
    for (int i = 0; i < count; i++)
        if (parts[i].kind == like->kind && str_eq(parts[i].name, like->name))
            return &parts[i];
    return NULL;
}

/* ---- changes ---- */

static void tell(struct findings *findings, const struct sync *s, const char *id, struct str what,
                 int64_t rows)
{
    struct err one;
    if (!findings)
        return;
    (void)err_set(&one, ERR_CONFLICT, id, ARG_STR("type", s->type->full), ARG_STR("what", what),
                  ARG_INT("n", rows), ARG_END);
    findings_add(findings, &one);
}

static void difference(struct sync *s, const char *id, const struct part *part)
{
    tell(s->findings, s, id, part->name, 0);
}

static enum err_code put_part(struct sync *s, const struct part *part, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(s->tx, SQL_PART_PUT, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, s->type->table);
    stmt_bind_text(stmt, 2, part->name);
    stmt_bind_text(stmt, 3, str_from(PART_NAMES[part->kind]));
    stmt_bind_text(stmt, 4, part->definition);
    return stmt_run(stmt, NULL, err);
}

static enum err_code delete_part(struct sync *s, const struct part *part, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(s->tx, SQL_PART_DELETE, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, s->type->table);
    stmt_bind_text(stmt, 2, part->name);
    return stmt_run(stmt, NULL, err);
}

static enum err_code run(struct sync *s, struct str sql, struct err *err)
{
    return sql.ptr ? tx_exec(s->tx, sql.ptr, err) : err_nomem(err);
}

static enum err_code create_table(struct sync *s, struct err *err)
{
    struct buf sql;
    buf_init(&sql, SQL_BYTES_MAX);
    buf_printf(&sql, "CREATE TABLE \"%.*s\" (", STR_ARG(s->type->table));
    for (int i = 0; i < s->type->fields_count; i++) {
        const struct entity_field *field = &s->type->fields[i];
        const char *more = i == COLUMN_ID                                  ? " PRIMARY KEY"
                           : i == COLUMN_VERSION || i == COLUMN_CREATED_AT ? " NOT NULL"
                                                                           : "";
        buf_printf(&sql, "%s%.*s %s%s", i ? ", " : "", STR_ARG(field->column), SQL_TYPES[field->kind], more);
    }
    buf_text(&sql, ") {strict};");
    enum err_code rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_exec(s->tx, sql.ptr, err);
    buf_done(&sql);
    return rc;
}

/* The default as SQL writes it.  As the default of the column it is the value of rows that are there, and of
 * those that a node of the version before goes on to write. */
static bool literal(const struct entity_field *field, const struct value *value, struct buf *out)
{
    if (value->null)
        return false;
    switch (field->kind) {
    case VALUE_TEXT:
    case VALUE_DATE:
    case VALUE_JSON:
        buf_char(out, '\'');
        for (size_t i = 0; i < value->text.len; i++) {
            if (value->text.ptr[i] == '\'')
                buf_char(out, '\'');
            buf_char(out, value->text.ptr[i]);
        }
        buf_char(out, '\'');
        return true;
    case VALUE_NUMBER:
        buf_printf(out, "%.17g", value->f64);
        return true;
    case VALUE_INTEGER:
    case VALUE_BOOLEAN:
    case VALUE_INSTANT:
    case VALUE_REF:
    case VALUE_KIND__COUNT:
        break;
    }
    buf_printf(out, "%lld", (long long)value->i64);
    return true;
}

static enum err_code add_column(struct sync *s, const struct part *part, struct err *err)
{
    const int i = type_field(s->type, part->name);
    const struct entity_field *field = &s->type->fields[i];
    struct value values[TYPE_FIELDS_MAX];
    struct buf sql;
    json_t *one = json_object();
    enum err_code rc = one ? ERR_OK : err_nomem(err);
    buf_init(&sql, SQL_BYTES_MAX);
    buf_printf(&sql, "ALTER TABLE \"%.*s\" ADD COLUMN %.*s %s", STR_ARG(s->type->table),
               STR_ARG(field->column), SQL_TYPES[field->kind]);
    if (!rc && field->fallback && !field->mask) {
        if (json_object_set(one, field->name.ptr, field->fallback))
            rc = err_nomem(err);
        if (!rc)
            rc = fields_read(s->type, one, FIELDS_ENGINE, s->arena, NULL, values, err);
        buf_text(&sql, " DEFAULT ");
        if (!rc && !literal(field, &values[i], &sql))
            buf_text(&sql, "NULL");
    }
    buf_char(&sql, ';');
    if (!rc)
        rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_exec(s->tx, sql.ptr, err);
    buf_done(&sql);
    json_decref(one);
    return rc;
}

static enum err_code make_index(struct sync *s, const struct part *part, struct err *err)
{
    return run(s,
               arena_printf(s->arena, "CREATE %sINDEX \"%.*s\" ON \"%.*s\" (%.*s);",
                            part->kind == PART_UNIQUE ? "UNIQUE " : "", STR_ARG(part->name),
                            STR_ARG(s->type->table), STR_ARG(part->definition)),
               err);
}

/* The field of a part "phone blind", as far as its name goes: it may be gone from the type. */
static struct entity_field blind_field(const struct part *part)
{
    return (struct entity_field) { .name = str_slice(part->name, 0, part->name.len - strlen(BLIND_SUFFIX)) };
}

static struct str blind_index(struct sync *s, const struct part *part)
{
    return arena_printf(s->arena, "%.*s_%08x", STR_ARG(s->type->table), (uint32_t)str_hash(part->name));
}

static enum err_code make_blind(struct sync *s, const struct part *part, bool new_table, struct err *err)
{
    char name[BLIND_COLUMN_SIZE];
    const struct entity_field field = blind_field(part);
    const struct str column = blind_column(&field, name), index = blind_index(s, part);
    enum err_code rc = run(s,
                           arena_printf(s->arena,
                                        "ALTER TABLE \"%.*s\" ADD COLUMN %.*s {text};"
                                        "CREATE INDEX \"%.*s\" ON \"%.*s\" (%.*s, \"id\");",
                                        STR_ARG(s->type->table), STR_ARG(column), STR_ARG(index),
                                        STR_ARG(s->type->table), STR_ARG(column)),
                           err);
    if (!rc && !new_table)
        rc = blind_fill(s->m->entity, s->tx, s->type, type_field(s->type, field.name), err);
    return rc;
}

static enum err_code drop_blind(struct sync *s, const struct part *part, struct err *err)
{
    char name[BLIND_COLUMN_SIZE];
    const struct entity_field field = blind_field(part);
    const struct str column = blind_column(&field, name), index = blind_index(s, part);
    return run(s,
               arena_printf(s->arena, "DROP INDEX \"%.*s\"; ALTER TABLE \"%.*s\" DROP COLUMN %.*s;",
                            STR_ARG(index), STR_ARG(s->type->table), STR_ARG(column)),
               err);
}

static enum err_code drop_part(struct sync *s, const struct part *part, struct err *err)
{
    if (part->kind == PART_BLIND)
        return drop_blind(s, part, err);
    if (part->kind == PART_TEXT)
        return text_drop(s->tx, s->type->table.ptr, err);
    return run(s, arena_printf(s->arena, "DROP INDEX \"%.*s\";", STR_ARG(part->name)), err);
}

static enum err_code make_part(struct sync *s, const struct part *part, bool new_table, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (part->kind == PART_COLUMN && !new_table)
        rc = add_column(s, part, err);
    else if (part->kind == PART_INDEX || part->kind == PART_UNIQUE)
        rc = make_index(s, part, err);
    else if (part->kind == PART_BLIND)
        rc = make_blind(s, part, new_table, err);
    else if (part->kind == PART_TEXT) {
        rc = text_create(s->tx, s->type, err);
        if (!rc && !new_table)
            rc = text_fill(s->tx, s->type, err);
    }
    return rc ? rc : put_part(s, part, err);
}

/* A field that takes less: told, or checked against every row. */
static enum err_code compare_limit(struct sync *s, const struct part *found, const struct part *wanted,
                                   bool *loses, struct err *err)
{
    int64_t rows = 0;
    const struct str name = str_slice(found->name, 0, found->name.len - strlen(LIMIT_SUFFIX));
    if (limit_widens(found->definition, wanted->definition))
        return ERR_OK;
    if (!s->m || s->m->mode == TABLES_ADD) {
        tell(s->findings, s, "entity.field_narrows", name, 0);
        *loses = true;
        return ERR_OK;
    }
    const enum err_code rc = field_unfit(s->m, s->type, type_field(s->type, name), &rows, err);
    if (!rc && rows)
        tell(s->findings, s, "entity.rows_unfit", name, rows);
    else if (!rc)
        tell(s->m->news, s, "entity.field_narrows", name, 0);
    *loses = *loses || rows;
    return rc;
}

/* Marks in `wanted` what is there the same; *loses: something must not be applied. */
static enum err_code compare(struct sync *s, bool *loses, struct err *err)
{
    for (int i = 0; i < s->found_count; i++) {
        const struct part *part = &s->found[i];
        struct part *wanted = find_part(s->wanted, s->wanted_count, part);
        if (wanted && str_eq(wanted->definition, part->definition)) {
            wanted->there = true;
        } else if (part->kind == PART_COLUMN || part->kind == PART_KIND) {
            difference(s, wanted ? "entity.column_changes" : "entity.column_goes", part);
            *loses = true;
        }
    }
    for (int i = 0; i < s->wanted_count && !*loses;
         i++) { /* rows can be looked at: their columns are there */
        const struct part *wanted = &s->wanted[i];
        const struct part *found = find_part(s->found, s->found_count, wanted);
        enum err_code rc = ERR_OK;
        if (wanted->kind == PART_LIMIT && found && !wanted->there)
            rc = compare_limit(s, found, wanted, loses, err);
        else if (wanted->kind == PART_UNIQUE && !found && s->found_count &&
                 (!s->m || s->m->mode == TABLES_ADD)) {
            tell(s->findings, s, "entity.unique_comes", wanted->definition, 0);
            *loses = true;
        }
        if (rc)
            return rc;
    }
    return ERR_OK;
}

/* An older version runs beside a newer one: every column of its own must be there as it knows it. */
static void compare_older(struct sync *s)
{
    for (int i = 0; i < s->wanted_count; i++) {
        const struct part *wanted = &s->wanted[i];
        const struct part *found = find_part(s->found, s->found_count, wanted);
        if (wanted->kind == PART_COLUMN && !(found && str_eq(found->definition, wanted->definition)))
            difference(s, "entity.older_pack", wanted);
    }
}

static enum err_code apply(struct sync *s, bool new_table, struct err *err)
{
    enum err_code rc = new_table ? create_table(s, err) : ERR_OK;
    for (int i = 0; !rc && i < s->found_count; i++) {
        const struct part *part = &s->found[i], *wanted = find_part(s->wanted, s->wanted_count, part);
        if (wanted && wanted->there)
            continue;
        if (part->kind != PART_LIMIT)
            rc = drop_part(s, part, err);
        if (!rc)
            rc = delete_part(s, part, err);
    }
    for (int i = 0; !rc && i < s->wanted_count; i++) {
        const struct part *part = &s->wanted[i];
        if (part->there)
            continue;
        if (!new_table && part->kind != PART_LIMIT)
            tell(s->m->news, s, "entity.part_comes", part->name, 0);
        rc = make_part(s, part, new_table, err);
    }
    if (!rc && new_table)
        tell(s->m->news, s, "entity.table_comes", s->type->table, 0);
    return rc;
}

static enum err_code sync_type(struct sync *s, struct err *err)
{
    bool loses = false;
    enum err_code rc = want_all(s, err);
    if (!rc)
        rc = read_found(s, err);
    const bool new_table = s->found_count == 0;
    if (!rc && s->older && !new_table) {
        compare_older(s);
        return ERR_OK;
    }
    if (!rc)
        rc = compare(s, &loses, err);
    if (rc)
        return rc;
    if (s->m) /* what may not be applied is told by its findings; the caller refuses */
        return loses ? ERR_OK : apply(s, new_table, err);
    for (int i = 0; i < s->wanted_count && !new_table; i++)
        if (!s->wanted[i].there && !find_part(s->found, s->found_count, &s->wanted[i]))
            difference(s, "entity.part_comes", &s->wanted[i]);
    if (new_table)
        difference(s, "entity.table_comes", &(struct part) { .name = s->type->table });
    return ERR_OK;
}

static enum err_code sync_all(struct entity *entity, struct tx *tx, struct migrating *m,
                              struct findings *findings, struct err *err)
{
    for (int i = 0; i < types_count(entity->types); i++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(4 << 20);
        struct sync s = {
            .tx = tx, .type = types_at(entity->types, i), .arena = arena, .findings = findings, .m = m
        };
        s.wanted = arena ? arena_alloc(arena, PARTS_MAX, sizeof *s.wanted) : NULL;
        s.found = s.wanted ? arena_alloc(arena, PARTS_MAX, sizeof *s.found) : NULL;
        enum err_code rc = s.found ? pack_is_older(tx, s.type->from, &s.older, err) : err_nomem(err);
        if (!rc)
            rc = sync_type(&s, err);
        if (rc)
            return s.type ? err_in(err, s.type->full.ptr) : rc;
    }
    return ERR_OK;
}

enum err_code tables_look(struct entity *entity, struct tx *tx, struct findings *findings, struct err *err)
{
    return sync_all(entity, tx, NULL, findings, err);
}

enum err_code tables_sync(struct migrating *m, struct err *err)
{
    const int before = m->faults->count + m->faults->more;
    enum err_code rc = pack_migrations_run(m, err);
    if (!rc && m->faults->count + m->faults->more == before)
        rc = sync_all(m->entity, m->tx, m, m->faults, err);
    if (!rc && m->faults->count + m->faults->more > before)
        rc = err_set(err, ERR_PRECONDITION, "entity.needs_migration", ARG_END);
    return rc ? rc : pack_states_put(m, err);
}

/* ---- for the steps of migrations ---- */

static const char SQL_PART_RENAME[] = "UPDATE entity_part SET name = ?3 WHERE tbl = ?1 AND name = ?2";

enum err_code parts_loosen(struct tx *tx, const struct entity_type *type, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(4 << 20);
    struct sync s = { .tx = tx, .type = type, .arena = arena };
    s.found = arena ? arena_alloc(arena, PARTS_MAX, sizeof *s.found) : NULL;
    enum err_code rc = s.found ? read_found(&s, err) : err_nomem(err);
    for (int i = 0; !rc && i < s.found_count; i++) {
        const enum part_kind kind = s.found[i].kind;
        if (kind != PART_INDEX && kind != PART_UNIQUE && kind != PART_TEXT && kind != PART_BLIND)
            continue;
        rc = drop_part(&s, &s.found[i], err);
        if (!rc)
            rc = delete_part(&s, &s.found[i], err);
    }
    return rc;
}

static enum err_code rename_part(struct tx *tx, struct str table, struct str from, struct str to,
                                 struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, SQL_PART_RENAME, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, table);
    stmt_bind_text(stmt, 2, from);
    stmt_bind_text(stmt, 3, to);
    return stmt_run(stmt, NULL, err);
}

static struct str limit_name(struct str field, char out[PACK_NAME_MAX + 10])
{
    const int len = snprintf(out, PACK_NAME_MAX + 10, "%.*s" LIMIT_SUFFIX, STR_ARG(field));
    return (struct str) { out, (size_t)len };
}

enum err_code part_rename(struct tx *tx, struct str table, struct str from, struct str to, struct err *err)
{
    char old[PACK_NAME_MAX + 10], new[PACK_NAME_MAX + 10];
    const enum err_code rc = rename_part(tx, table, from, to, err);
    return rc ? rc : rename_part(tx, table, limit_name(from, old), limit_name(to, new), err);
}

enum err_code part_forget(struct tx *tx, struct str table, struct str name, struct err *err)
{
    char limit[PACK_NAME_MAX + 10];
    const struct entity_type type = { .table = table };
    struct sync s = { .tx = tx, .type = &type };
    const struct part column = { .name = name }, other = { .name = limit_name(name, limit) };
    const enum err_code rc = delete_part(&s, &column, err);
    return rc ? rc : delete_part(&s, &other, err);
}

enum err_code part_define(struct tx *tx, const struct entity_type *type, int field, struct err *err)
{
    const struct entity_field *of = &type->fields[field];
    struct sync s = { .tx = tx, .type = type };
    const struct part part = { .kind = PART_COLUMN,
                               .name = of->name,
                               .definition = of->mask ? STR("sealed") : str_from(KINDS[of->kind]) };
    const enum err_code rc = part_forget(tx, type->table, of->name, err);
    return rc ? rc : put_part(&s, &part, err);
}

bool part_kind_read(struct str definition, enum value_kind *out_kind, bool *out_sealed)
{
    *out_sealed = str_eq(definition, STR("sealed"));
    *out_kind = VALUE_TEXT;
    for (int kind = 0; kind < VALUE_KIND__COUNT; kind++)
        if (str_eq(definition, str_from(KINDS[kind]))) {
            *out_kind = (enum value_kind)kind;
            return true;
        }
    return *out_sealed;
}

const char *column_sql_type(enum value_kind kind)
{
    return SQL_TYPES[kind];
}
