/* table_sql.c - generated tables: what a type wants, what is there, and the difference.
 *
 * What is there stands in entity_part, written in the same transaction as the DDL.  Adding a column, making,
 * changing or dropping an index loses nothing and is applied; a column that goes or changes its kind is not:
 * that is a finding, and `bihuan migrate` with a file of the pack does it. */
#include "platform/entity/internal.h"

#define PARTS_MAX 400

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

enum part_kind { PART_COLUMN, PART_INDEX, PART_UNIQUE, PART_TEXT, PART_KIND, PART__COUNT };
static const char *const PART_NAMES[PART__COUNT] = { "column", "index", "unique", "text", "kind" };

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
    bool apply;
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

static void difference(struct sync *s, const char *id, const struct part *part)
{
    struct err one;
    (void)err_set(&one, ERR_CONFLICT, id, ARG_STR("type", s->type->full), ARG_STR("what", part->name),
                  ARG_END);
    findings_add(s->findings, &one);
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

static const char *column_type(const struct entity_type *type, struct str name)
{
    const int field = type_field(type, name);
    return SQL_TYPES[type->fields[field].kind];
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

static enum err_code add_column(struct sync *s, const struct part *part, struct err *err)
{
    const int i = type_field(s->type, part->name);
    const struct entity_field *field = &s->type->fields[i];
    enum err_code rc =
        run(s,
            arena_printf(s->arena, "ALTER TABLE \"%.*s\" ADD COLUMN %.*s %s;", STR_ARG(s->type->table),
                         STR_ARG(field->column), column_type(s->type, part->name)),
            err);
    if (rc || !field->fallback || field->mask)
        return rc;
    /* rows that are there get the default, as new ones do */
    struct value values[TYPE_FIELDS_MAX];
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    json_t *one = json_object();
    if (!sql || !one || json_object_set(one, field->name.ptr, field->fallback))
        rc = err_nomem(err);
    if (!rc)
        rc = fields_read(s->type, one, FIELDS_ENGINE, s->arena, NULL, values, err);
    json_decref(one);
    if (rc)
        return rc;
    sql_add(sql, "UPDATE \"");
    sql_str(sql, s->type->table);
    sql_add(sql, "\" SET ");
    sql_str(sql, field->column);
    sql_add(sql, " = ");
    sql_value(sql, field, &values[i]);
    rc = sql_prepare(sql, s->tx, &stmt, err);
    return rc ? rc : stmt_run(stmt, NULL, err);
}

static enum err_code make_index(struct sync *s, const struct part *part, struct err *err)
{
    return run(s,
               arena_printf(s->arena, "CREATE %sINDEX \"%.*s\" ON \"%.*s\" (%.*s);",
                            part->kind == PART_UNIQUE ? "UNIQUE " : "", STR_ARG(part->name),
                            STR_ARG(s->type->table), STR_ARG(part->definition)),
               err);
}

static enum err_code drop_part(struct sync *s, const struct part *part, struct err *err)
{
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
    else if (part->kind == PART_TEXT) {
        rc = text_create(s->tx, s->type, err);
        if (!rc && !new_table)
            rc = text_fill(s->tx, s->type, err);
    }
    return rc ? rc : put_part(s, part, err);
}

/* Compares; in `found` what is wanted the same is marked, what loses data is a finding. */
static bool compare(struct sync *s)
{
    bool loses = false;
    for (int i = 0; i < s->found_count; i++) {
        const struct part *part = &s->found[i];
        struct part *wanted = find_part(s->wanted, s->wanted_count, part);
        if (wanted && str_eq(wanted->definition, part->definition))
            wanted->there = true;
        else if (part->kind == PART_COLUMN || part->kind == PART_KIND) {
            difference(s, wanted ? "entity.column_changes" : "entity.column_goes", part);
            loses = true;
        }
    }
    return loses;
}

static enum err_code sync_type(struct sync *s, struct err *err)
{
    enum err_code rc = want_all(s, err);
    if (!rc)
        rc = read_found(s, err);
    if (rc)
        return rc;
    const bool new_table = s->found_count == 0, loses = compare(s);
    if (!s->apply) {
        for (int i = 0; i < s->wanted_count && !new_table; i++)
            if (!s->wanted[i].there && !find_part(s->found, s->found_count, &s->wanted[i]))
                difference(s, "entity.part_comes", &s->wanted[i]);
        if (new_table)
            difference(s, "entity.table_comes", &(struct part) { .name = s->type->table });
        return ERR_OK;
    }
    if (loses)
        return ERR_OK; /* told by its findings; the caller refuses */
    if (new_table)
        rc = create_table(s, err);
    for (int i = 0; !rc && i < s->found_count; i++) {
        const struct part *part = &s->found[i], *wanted = find_part(s->wanted, s->wanted_count, part);
        if (wanted && wanted->there)
            continue;
        rc = drop_part(s, part, err);
        if (!rc)
            rc = delete_part(s, part, err);
    }
    for (int i = 0; !rc && i < s->wanted_count; i++)
        if (!s->wanted[i].there)
            rc = make_part(s, &s->wanted[i], new_table, err);
    return rc;
}

enum err_code tables_sync(struct entity *entity, struct tx *tx, bool apply, struct findings *findings,
                          struct err *err)
{
    const int before = findings->count + findings->more;
    for (int i = 0; i < types_count(entity->types); i++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(4 << 20);
        struct sync s = {
            .tx = tx, .type = types_at(entity->types, i), .arena = arena, .findings = findings, .apply = apply
        };
        s.wanted = arena ? arena_alloc(arena, PARTS_MAX, sizeof *s.wanted) : NULL;
        s.found = s.wanted ? arena_alloc(arena, PARTS_MAX, sizeof *s.found) : NULL;
        if (!s.found)
            return err_nomem(err);
        const enum err_code rc = sync_type(&s, err);
        if (rc)
            return err_in(err, s.type->full.ptr);
    }
    if (apply && findings->count + findings->more > before)
        return err_set(err, ERR_PRECONDITION, "entity.needs_migration", ARG_END);
    return ERR_OK;
}
