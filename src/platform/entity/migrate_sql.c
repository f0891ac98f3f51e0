/* migrate_sql.c - see migrate.h: the steps of a pack's migrations, on the rows as they are. */
#include "platform/entity/migrate.h"

#include "crypto/digest.h"
#include "feel/feel.h"

#define BATCH 400
#define FAULTS_MAX 20
#define OLD_SUFFIX "__old"

/* ---- SQL ---- */
static const char SQL_SEEN[] = "SELECT checksum FROM pack_migration WHERE pack = ?1 AND name = ?2";
static const char SQL_DONE[] =
    "INSERT INTO pack_migration (pack, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)";
static const char SQL_STATE[] = "SELECT version FROM pack_state WHERE pack = ?1";
static const char SQL_STATE_PUT[] = "INSERT INTO pack_state (pack, version) VALUES (?1, ?2)"
                                    " ON CONFLICT (pack) DO UPDATE SET version = excluded.version";
static const char SQL_THERE[] = "SELECT COUNT(*) FROM entity_part WHERE tbl = ?1";
static const char SQL_COLUMNS[] =
    "SELECT name, definition FROM entity_part WHERE tbl = ?1 AND kind = 'column' ORDER BY name";

/* One step going on. */
struct step {
    struct migrating *m;
    struct arena *arena;
    const struct pack *pack;
    const struct pack_file *file;
    const struct entity_type *type; /* as it is now */
    struct entity_type *old;        /* as the table is: its columns only */
    json_t *json;
    int number, faults;
};

static void step_fault(struct step *s, const char *id, struct str detail)
{
    char pointer[40];
    (void)snprintf(pointer, sizeof pointer, "/steps/%d", s->number);
    s->faults++;
    pack_finding(s->m->faults, s->pack, s->file, json_pointer_offset(s->file->text, str_from(pointer)),
                 ERR_INVALID, id, detail);
}

static struct str step_text(const struct step *s, const char *name)
{
    const json_t *value = json_object_get(s->json, name);
    return (struct str) { json_string_value(value), json_string_length(value) };
}

static enum err_code exec(struct step *s, struct str sql, struct err *err)
{
    return sql.ptr ? tx_exec(s->m->tx, sql.ptr, err) : err_nomem(err);
}

static struct entity_call engine_call(const struct step *s, struct arena *arena)
{
    return (struct entity_call) { .entity = s->m->entity, .lang = LANG_EN, .arena = arena };
}

/* ---- the table as it is ---- */

static enum err_code read_old(struct step *s, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct entity_type *old = arena_alloc(s->arena, 1, sizeof *old);
    struct entity_field *fields = old ? arena_alloc(s->arena, TYPE_FIELDS_MAX * 2, sizeof *fields) : NULL;
    bool row = false;
    if (!fields)
        return err_nomem(err);
    *old = *s->type;
    old->fields = fields;
    old->fields_count = 0;
    enum err_code rc = tx_prepare(s->m->tx, SQL_COLUMNS, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, s->type->table);
    while (!(rc = stmt_step(stmt, &row, err)) && row && old->fields_count < TYPE_FIELDS_MAX) {
        struct entity_field *field = &fields[old->fields_count];
        bool sealed = false;
        if (!part_kind_read(stmt_text(stmt, 1), &field->kind, &sealed))
            continue;
        field->mask = sealed ? MASK_ALL : MASK_NONE;
        field->name = arena_str(s->arena, stmt_text(stmt, 0));
        field->column = arena_printf(s->arena, "\"%.*s\"", STR_ARG(field->name));
        if (!field->name.ptr || !field->column.ptr)
            return err_nomem(err);
        old->fields_count++;
    }
    s->old = old;
    return rc;
}

static int old_field(const struct step *s, struct str name)
{
    for (int i = 0; i < s->old->fields_count; i++)
        if (str_eq(s->old->fields[i].name, name))
            return i;
    return -1;
}

/* ---- rows ---- */

/* Every row's value of `to` made from the row as it was. */
struct walk {
    struct step *s;
    int from, to;                       /* of old and of the type */
    const struct feel_program *program; /* NULL: the value of `from`, read as the new kind */
    bool only_empty;
};

static enum err_code old_json(const struct entity_field *field, const struct value *value, json_t **out,
                              struct err *err)
{
    struct buf text;
    buf_init(&text, (size_t)TYPE_TEXT_LIMIT * 8);
    value_json(field, value, &text);
    enum err_code rc = buf_check(&text, err);
    if (!rc && !(*out = json_loadb(text.ptr, text.len, JSON_DECODE_ANY, NULL)))
        rc = err_nomem(err);
    buf_done(&text);
    return rc;
}

/* The old value as a cell of a table file would show it, read as one of the new kind. */
static enum err_code convert(const struct walk *w, const struct value *value, json_t **out, struct err *err)
{
    json_t *json = NULL;
    enum err_code rc = old_json(&w->s->old->fields[w->from], value, &json, err);
    if (rc)
        return rc;
    char *text = json_is_string(json) ? NULL : json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    const struct str cell = json_is_null(json) ? STR("")
                            : text             ? str_from(text)
                                               : str_from(json_string_value(json));
    const struct entity_field *field = &w->s->type->fields[w->to];
    int64_t id = 0;
    if (field->kind == VALUE_REF) /* ids, not keys */
        rc = cell.len && !str_i64(cell, &id)
                 ? err_set(err, ERR_INVALID, "entity.reference", ARG_STR("value", cell), ARG_END)
             : (*out = cell.len ? json_stringn(cell.ptr, cell.len) : json_null()) ? ERR_OK
                                                                                  : err_nomem(err);
    else
        rc = cell_json(field, cell, out, err);
    free(text);
    json_decref(json);
    return rc;
}

static enum err_code evaluate(const struct walk *w, const struct entity_call *call,
                              const struct value *values, json_t **out, struct err *err)
{
    struct feel_value inputs[TYPE_FIELDS_MAX], result;
    struct feel_eval eval;
    enum err_code rc = ERR_OK;
    for (int i = 0; i < w->s->old->fields_count && !rc; i++)
        rc = value_feel(call, &w->s->old->fields[i], &values[i], &inputs[i], err);
    if (rc)
        return rc;
    feel_eval_init(&eval, call->arena);
    eval.now_ms = clock_now(w->s->m->entity->config.clock);
    rc = feel_evaluate(w->program, &eval, inputs, &result, err);
    return rc ? rc : feel_to_json(&result, out, err);
}

static enum err_code make_value(const struct walk *w, const struct entity_call *call, int64_t id,
                                struct value *values, struct value *out, struct err *err)
{
    const struct entity_type *type = w->s->type;
    struct value read[TYPE_FIELDS_MAX];
    json_t *json = NULL, *object = NULL;
    enum err_code rc = ERR_OK;
    for (int i = 0; i < w->s->old->fields_count && !rc; i++)
        if (w->s->old->fields[i].mask)
            rc = value_unseal(call, w->s->old, i, id, true, &values[i], err);
    if (!rc)
        rc = w->program ? evaluate(w, call, values, &json, err) : convert(w, &values[w->from], &json, err);
    if (!rc && !(object = json_pack("{s:o}", type->fields[w->to].name.ptr, json)))
        rc = err_nomem(err);
    if (!rc)
        rc = fields_read(type, object, FIELDS_ENGINE, call->arena, NULL, read, err);
    json_decref(object);
    if (rc)
        return rc;
    *out = read[w->to];
    return type->fields[w->to].mask ? value_seal(call, type, w->to, id, out, err) : ERR_OK;
}

static void row_fault(struct step *s, int64_t id, const struct err *why)
{
    char text[ERR_TEXT_MAX + 1];
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 16);
    const struct str said = arena ? err_text(arena, why, s->m->entity->config.words, LANG_EN) : STR("");
    (void)snprintf(text, sizeof text, "%lld: %.*s", (long long)id, STR_ARG(said));
    step_fault(s, "pack.migration_row", str_from(text));
}

static enum err_code put_row(const struct walk *w, int64_t id, const struct value *value, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct entity_field *field = &w->s->type->fields[w->to];
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "UPDATE \"");
    sql_str(sql, w->s->type->table);
    sql_add(sql, "\" SET ");
    sql_str(sql, field->column);
    sql_add(sql, " = ");
    sql_value(sql, field, value);
    sql_add(sql, " WHERE \"id\" = ");
    sql_i64(sql, id);
    const enum err_code rc = sql_prepare(sql, w->s->m->tx, &stmt, err);
    return rc ? rc : stmt_run(stmt, NULL, err);
}

struct made {
    int64_t id;
    struct value value;
};

/* The next rows behind *after; *out_count of them have a new value. */
static enum err_code read_batch(const struct walk *w, struct arena *arena, int64_t *after, struct made *made,
                                int *out_count, bool *out_more, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct entity_type *old = w->s->old;
    const struct entity_call call = engine_call(w->s, arena);
    struct value values[TYPE_FIELDS_MAX];
    int rows = 0;
    if (!sql)
        return err_nomem(err);
    const int id = old_field(w->s, STR("id"));
    sql_add(sql, "SELECT ");
    for (int i = 0; i < old->fields_count; i++) {
        sql_add(sql, i ? ", t." : "t.");
        sql_str(sql, old->fields[i].column);
    }
    sql_add(sql, " FROM \"");
    sql_str(sql, old->table);
    sql_add(sql, "\" t WHERE t.\"id\" > ");
    sql_i64(sql, *after);
    if (w->only_empty) {
        sql_add(sql, " AND t.");
        sql_str(sql, w->s->type->fields[w->to].column);
        sql_add(sql, " IS NULL");
    }
    sql_add(sql, " ORDER BY t.\"id\" LIMIT ");
    sql_i64(sql, BATCH);
    enum err_code rc = sql_prepare(sql, w->s->m->tx, &stmt, err);
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row; rows++) {
        struct err why = { 0 };
        rc = row_values_keep(old, stmt, arena, values, err);
        if (rc)
            break;
        *after = values[id].i64;
        made[*out_count].id = *after;
        const enum err_code bad = make_value(w, &call, *after, values, &made[*out_count].value, &why);
        if (!bad)
            ++*out_count;
        else if (bad != ERR_INVALID && bad != ERR_LIMIT)
            rc = err ? (*err = why).code : bad;
        else
            row_fault(w->s, *after, &why);
        if (w->s->faults >= FAULTS_MAX)
            break;
    }
    *out_more = rows == BATCH && w->s->faults < FAULTS_MAX;
    return rc;
}

static enum err_code walk_rows(const struct walk *w, struct err *err)
{
    int64_t after = 0;
    bool more = true;
    enum err_code rc = ERR_OK;
    while (!rc && more) {
        AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)256 << 20);
        struct made *made = arena ? arena_alloc(arena, BATCH, sizeof *made) : NULL;
        int count = 0;
        rc = made ? read_batch(w, arena, &after, made, &count, &more, err) : err_nomem(err);
        for (int i = 0; !rc && i < count; i++)
            rc = put_row(w, made[i].id, &made[i].value, err);
    }
    return rc;
}

/* ---- steps ---- */

static enum err_code compile(struct step *s, const struct feel_program **out, struct err *err)
{
    const struct str text = step_text(s, "using");
    struct feel_scope *scope = feel_scope_new(s->arena);
    struct err why = { 0 };
    *out = NULL;
    if (!text.len)
        return ERR_OK;
    enum err_code rc = scope ? ERR_OK : err_nomem(err);
    for (int i = 0; !rc && i < s->old->fields_count; i++)
        rc = feel_scope_add(scope, s->old->fields[i].name, NULL, NULL, err);
    if (!rc && feel_prepare(s->arena, scope, text, FEEL_EXPRESSION, 0, out, &why)) {
        const struct str said = err_text(s->arena, &why, s->m->entity->config.words, LANG_EN);
        step_fault(s, "type.rule", said);
    }
    return rc;
}

static struct str quoted_old(const struct step *s, struct str name)
{
    return arena_printf(s->arena, "\"%.*s" OLD_SUFFIX "\"", STR_ARG(name));
}

/* The field named by `member`, which the type must have; -1 is told. */
static int new_field(struct step *s, const char *member)
{
    const struct str name = step_text(s, member);
    const int field = type_field(s->type, name);
    if (field < COLUMN_OWN)
        step_fault(s, "type.no_field", name);
    return field < COLUMN_OWN ? -1 : field;
}

static enum err_code add_column(struct step *s, int field, struct err *err)
{
    return exec(s,
                arena_printf(s->arena, "ALTER TABLE \"%.*s\" ADD COLUMN %.*s %s;", STR_ARG(s->type->table),
                             STR_ARG(s->type->fields[field].column),
                             column_sql_type(s->type->fields[field].kind)),
                err);
}

static enum err_code drop_column(struct step *s, struct str quoted, struct err *err)
{
    return exec(s,
                arena_printf(s->arena, "ALTER TABLE \"%.*s\" DROP COLUMN %.*s;", STR_ARG(s->type->table),
                             STR_ARG(quoted)),
                err);
}

static enum err_code rename_column(struct step *s, struct str from, struct str to, struct err *err)
{
    return exec(s,
                arena_printf(s->arena, "ALTER TABLE \"%.*s\" RENAME COLUMN %.*s TO %.*s;",
                             STR_ARG(s->type->table), STR_ARG(from), STR_ARG(to)),
                err);
}

/* A value that is sealed is bound to the name of its field, so it is sealed anew. */
static enum err_code run_rename(struct step *s, struct err *err)
{
    const int from = old_field(s, step_text(s, "rename")), to = new_field(s, "to");
    if (from < 0)
        step_fault(s, "type.no_field", step_text(s, "rename"));
    if (from < 0 || to < 0)
        return ERR_OK;
    const struct entity_field *field = &s->type->fields[to];
    if (old_field(s, field->name) >= 0 || s->old->fields[from].kind != field->kind ||
        (s->old->fields[from].mask == MASK_NONE) != (field->mask == MASK_NONE)) {
        step_fault(s, "pack.migration_rename", field->name);
        return ERR_OK;
    }
    enum err_code rc = rename_column(s, s->old->fields[from].column, field->column, err);
    if (!rc)
        rc = part_rename(s->m->tx, s->type->table, s->old->fields[from].name, field->name, err);
    if (rc || !field->mask)
        return rc;
    s->old->fields[from].column = field->column;
    return walk_rows(&(struct walk) { .s = s, .from = from, .to = to }, err);
}

static enum err_code run_drop(struct step *s, struct err *err)
{
    const int from = old_field(s, step_text(s, "drop"));
    if (from < 0 || type_field(s->type, s->old->fields[from].name) >= 0) {
        step_fault(s, from < 0 ? "type.no_field" : "pack.migration_drop", step_text(s, "drop"));
        return ERR_OK;
    }
    const enum err_code rc = drop_column(s, s->old->fields[from].column, err);
    return rc ? rc : part_forget(s->m->tx, s->type->table, s->old->fields[from].name, err);
}

static enum err_code run_change(struct step *s, struct err *err)
{
    const int from = old_field(s, step_text(s, "change")), to = new_field(s, "change");
    struct walk walk = { .s = s, .from = from, .to = to };
    if (from < 0 && to >= 0)
        step_fault(s, "type.no_field", step_text(s, "change"));
    enum err_code rc = from < 0 || to < 0 ? ERR_OK : compile(s, &walk.program, err);
    if (rc || s->faults)
        return rc;
    const struct entity_field *field = &s->type->fields[to];
    const struct str aside = quoted_old(s, field->name);
    if (!aside.ptr)
        return err_nomem(err);
    rc = rename_column(s, field->column, aside, err);
    if (!rc)
        rc = add_column(s, to, err);
    s->old->fields[from].column = aside;
    if (!rc)
        rc = walk_rows(&walk, err);
    if (!rc)
        rc = drop_column(s, aside, err);
    return rc ? rc : part_define(s->m->tx, s->type, to, err);
}

static enum err_code run_code(struct step *s, int field, const char *from, const json_t *to, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct entity_field *of = &s->type->fields[field];
    struct value old = { .text = str_from(from) }, new = { .text = str_from(json_string_value(to)) };
    if (!sql)
        return err_nomem(err);
    new.null = json_is_null(to);
    if (of->kind == VALUE_INTEGER) {
        new.i64 = json_integer_value(to);
        if (!str_i64(str_from(from), &old.i64) || !(new.null || json_is_integer(to)))
            step_fault(s, "type.expected", STR("integer"));
    } else if (of->kind != VALUE_TEXT || of->mask || !(new.null || json_is_string(to))) {
        step_fault(s, "type.expected", STR("text"));
    }
    if (s->faults)
        return ERR_OK;
    sql_add(sql, "UPDATE \"");
    sql_str(sql, s->type->table);
    sql_add(sql, "\" SET ");
    sql_str(sql, of->column);
    sql_add(sql, " = ");
    sql_value(sql, of, &new);
    sql_add(sql, " WHERE ");
    sql_str(sql, of->column);
    sql_add(sql, " = ");
    sql_value(sql, of, &old);
    const enum err_code rc = sql_prepare(sql, s->m->tx, &stmt, err);
    return rc ? rc : stmt_run(stmt, NULL, err);
}

static enum err_code run_codes(struct step *s, struct err *err)
{
    const int field = new_field(s, "codes");
    const char *from;
    json_t *map = json_object_get(s->json, "map"), *to;
    enum err_code rc = ERR_OK;
    if (!json_object_size(map))
        step_fault(s, "type.expected", STR("\"map\": {\"old\": \"new\"}"));
    if (s->faults)
        return ERR_OK;
    if (old_field(s, s->type->fields[field].name) < 0) {
        step_fault(s, "type.no_field", s->type->fields[field].name);
        return ERR_OK;
    }
    json_object_foreach(map, from, to) if (!rc && !s->faults) rc = run_code(s, field, from, to, err);
    return rc;
}

/* A column that is not there yet is made here, so that a fill may come with its field. */
static enum err_code run_fill(struct step *s, struct err *err)
{
    const int to = new_field(s, "fill");
    struct walk walk = { .s = s, .to = to, .only_empty = true };
    enum err_code rc = to < 0 ? ERR_OK : compile(s, &walk.program, err);
    if (!rc && !s->faults && !walk.program)
        step_fault(s, "type.expected", STR("\"using\": FEEL"));
    if (!rc && !s->faults && old_field(s, s->type->fields[to].name) < 0) {
        rc = add_column(s, to, err);
        if (!rc)
            rc = part_define(s->m->tx, s->type, to, err);
    }
    return rc || s->faults ? rc : walk_rows(&walk, err);
}

static const struct {
    const char *name;
    enum err_code (*run)(struct step *s, struct err *err);
    bool adds, loosens; /* loosens: indexes are taken off before, and made anew afterwards */
} STEPS[] = {
    { "rename", run_rename, false, true }, { "drop", run_drop, false, true },
    { "change", run_change, false, true }, { "codes", run_codes, false, false },
    { "fill", run_fill, true, false },
};
#define STEPS_COUNT ((int)(sizeof STEPS / sizeof *STEPS))

static int step_kind(const json_t *json)
{
    for (int i = 0; i < STEPS_COUNT; i++)
        if (json_object_get(json, STEPS[i].name))
            return i;
    return -1;
}

static const struct entity_type *step_type(const struct step *s)
{
    char full[2 * PACK_NAME_MAX + 2];
    const struct str name = step_text(s, "type");
    (void)snprintf(full, sizeof full, str_find(name, STR(".")) >= 0 ? "%.0s%.*s" : "%s.%.*s",
                   s->pack->name.ptr, STR_ARG(str_slice(name, 0, 2 * PACK_NAME_MAX)));
    const struct entity_type *type = entity_type_find(s->m->entity, full);
    return type && type->from == s->pack ? type : NULL;
}

static void news(struct step *s, int kind)
{
    struct err one;
    if (!s->m->news)
        return;
    (void)err_set(&one, ERR_CONFLICT, "pack.migration_step", ARG_STR("file", s->file->path),
                  ARG_STR("type", s->type->full), ARG_TEXT("step", STEPS[kind].name),
                  ARG_STR("what", step_text(s, STEPS[kind].name)), ARG_END);
    findings_add(s->m->news, &one);
}

static enum err_code run_step(struct step *s, struct err *err)
{
    const int kind = step_kind(s->json);
    s->type = step_type(s);
    if (kind < 0)
        step_fault(s, "type.expected", STR("rename / drop / change / codes / fill"));
    else if (!s->type)
        step_fault(s, "type.no_type", step_text(s, "type"));
    if (s->faults)
        return ERR_OK;
    news(s, kind);
    enum err_code rc = read_old(s, err);
    if (!rc && STEPS[kind].loosens)
        rc = parts_loosen(s->m->tx, s->type, err);
    return rc ? rc : STEPS[kind].run(s, err);
}

/* ---- files ---- */

static enum err_code is_new(struct migrating *m, const struct pack *pack, bool *out, struct err *err)
{
    *out = true;
    for (int i = 0; i < types_count(m->entity->types); i++) {
        const struct entity_type *type = types_at(m->entity->types, i);
        AUTO(stmt_free_auto) struct stmt *stmt = NULL;
        bool row = false;
        if (type->from != pack)
            continue;
        enum err_code rc = tx_prepare(m->tx, SQL_THERE, &stmt, err);
        if (rc)
            return rc;
        stmt_bind_text(stmt, 1, type->table);
        rc = stmt_step(stmt, &row, err);
        if (rc)
            return rc;
        if (stmt_i64(stmt, 0))
            *out = false;
    }
    return ERR_OK;
}

static enum err_code text_of(struct tx *tx, const char *sql, struct str a, struct str b, struct arena *arena,
                             struct str *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    *out = (struct str) { 0 };
    enum err_code rc = tx_prepare(tx, sql, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, a);
    if (b.ptr)
        stmt_bind_text(stmt, 2, b);
    rc = stmt_step(stmt, &row, err);
    if (!rc && row) {
        *out = arena_str(arena, stmt_text(stmt, 0));
        rc = out->ptr ? ERR_OK : err_nomem(err);
    }
    return rc;
}

static bool only_fills(const json_t *steps)
{
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const int kind = step_kind(json_array_get(steps, i));
        if (kind < 0 || !STEPS[kind].adds)
            return false;
    }
    return true;
}

static enum err_code run_steps(struct migrating *m, const struct pack *pack, const struct pack_file *file,
                               struct err *err)
{
    json_t *steps = json_object_get(file->json, "steps"), *one;
    size_t i;
    enum err_code rc = ERR_OK;
    if (!json_array_size(steps))
        pack_finding(m->faults, pack, file, 0, ERR_INVALID, "type.expected", STR("{\"steps\": [...]}"));
    else if (m->mode == TABLES_ADD && !only_fills(steps))
        pack_finding(m->faults, pack, file, 0, ERR_INVALID, "pack.migration_waits", STR(""));
    else
        json_array_foreach(steps, i, one)
        {
            AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)16 << 20);
            struct step s = {
                .m = m, .arena = arena, .pack = pack, .file = file, .json = one, .number = (int)i
            };
            if (m->faults->count)
                break;
            rc = arena ? run_step(&s, err) : err_nomem(err);
            if (rc)
                break;
        }
    return rc;
}

static enum err_code run_file(struct migrating *m, const struct pack *pack, const struct pack_file *file,
                              bool new_pack, struct err *err)
{
    unsigned char bytes[DIGEST_SIZE];
    char sum[DIGEST_HEX_SIZE];
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 16);
    AUTO(stmt_free_auto) struct stmt *done = NULL;
    struct str seen;
    digest(DIGEST_SHA256, file->text, bytes);
    hex_put(bytes, DIGEST_SIZE, sum);
    if (!arena)
        return err_nomem(err);
    enum err_code rc = text_of(m->tx, SQL_SEEN, pack->name, file->name, arena, &seen, err);
    if (rc || seen.len) /* run before: it must be what it was */
        return rc || str_eq(seen, str_from(sum)) ? rc
                                                 : err_set(err, ERR_CORRUPT, "entity.migration_changed",
                                                           ARG_STR("file", file->path), ARG_END);
    if (!new_pack)
        rc = run_steps(m, pack, file, err);
    if (!rc)
        rc = tx_prepare(m->tx, SQL_DONE, &done, err);
    if (rc)
        return rc;
    stmt_bind_text(done, 1, pack->name);
    stmt_bind_text(done, 2, file->name);
    stmt_bind_text(done, 3, str_from(sum));
    stmt_bind_i64(done, 4, clock_now(m->entity->config.clock));
    return stmt_run(done, NULL, err);
}

enum err_code pack_is_older(struct tx *tx, const struct pack *pack, bool *out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 16);
    struct str version;
    if (!arena)
        return err_nomem(err);
    const enum err_code rc = text_of(tx, SQL_STATE, pack->name, (struct str) { 0 }, arena, &version, err);
    *out = !rc && version.len && pack_version_cmp(pack->version, version) < 0;
    return rc;
}

enum err_code pack_states_put(struct migrating *m, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int p = 0; !rc && p < packs_count(m->entity->config.packs); p++) {
        const struct pack *pack = packs_at(m->entity->config.packs, p);
        AUTO(stmt_free_auto) struct stmt *stmt = NULL;
        bool older = false;
        rc = pack_is_older(m->tx, pack, &older, err);
        if (rc || older)
            continue;
        rc = tx_prepare(m->tx, SQL_STATE_PUT, &stmt, err);
        if (rc)
            break;
        stmt_bind_text(stmt, 1, pack->name);
        stmt_bind_text(stmt, 2, pack->version);
        rc = stmt_run(stmt, NULL, err);
    }
    return rc;
}

enum err_code pack_migrations_run(struct migrating *m, struct err *err)
{
    const struct packs *packs = m->entity->config.packs;
    enum err_code rc = ERR_OK;
    for (int p = 0; !rc && p < packs_count(packs); p++) {
        const struct pack *pack = packs_at(packs, p);
        bool new_pack = false, older = false;
        rc = pack_is_older(m->tx, pack, &older, err);
        if (!rc)
            rc = is_new(m, pack, &new_pack, err);
        for (int i = 0; !rc && !older && i < pack->files_count; i++)
            if (pack->files[i].folder == PACK_MIGRATIONS && pack->files[i].json)
                rc = run_file(m, pack, &pack->files[i], new_pack, err);
    }
    return rc;
}

/* ---- rows that a narrower field would not take ---- */

static enum err_code dangling(struct migrating *m, const struct entity_type *type, int field, int64_t *out,
                              struct err *err)
{
    const struct shape *shape = &type->fields[field].shape;
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (!sql)
        return err_nomem(err);
    buf_printf(
        &sql->text,
        "SELECT COUNT(*) FROM \"%.*s\" t WHERE t.%.*s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \"%.*s\" r"
        " WHERE r.\"id\" = t.%.*s)",
        STR_ARG(type->table), STR_ARG(type->fields[field].column),
        STR_ARG(shape->ref_type ? shape->ref_type->table : str_from(shape->ref_relation->table)),
        STR_ARG(type->fields[field].column));
    enum err_code rc = sql_prepare(sql, m->tx, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc)
        *out = stmt_i64(stmt, 0);
    return rc;
}

static bool fits(const struct entity_call *call, const struct entity_type *type, int field, int64_t id,
                 struct value *value)
{
    const struct entity_field *of = &type->fields[field];
    struct value read[TYPE_FIELDS_MAX];
    json_t *json = NULL;
    if (value->null)
        return !of->required;
    if (of->mask && value_unseal(call, type, field, id, true, value, NULL))
        return true; /* its key is away: nobody can tell */
    if (old_json(of, value, &json, NULL))
        return false;
    json_t *object = json_pack("{s:o}", of->name.ptr, json);
    const bool good = object && !fields_read(type, object, FIELDS_ENGINE, call->arena, NULL, read, NULL);
    json_decref(object);
    return good;
}

enum err_code field_unfit(struct migrating *m, const struct entity_type *type, int field, int64_t *out_rows,
                          struct err *err)
{
    const struct shape *shape = &type->fields[field].shape;
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)64 << 20);
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    *out_rows = 0;
    if (!arena || !sql)
        return err_nomem(err);
    enum err_code rc = type->fields[field].kind == VALUE_REF && (shape->ref_type || shape->ref_relation)
                           ? dangling(m, type, field, out_rows, err)
                           : ERR_OK;
    sql_add(sql, "SELECT ");
    sql_add(sql, m->entity->statements[type->number_in_types].columns);
    sql_add(sql, " FROM \"");
    sql_str(sql, type->table);
    sql_add(sql, "\" t");
    if (!rc)
        rc = sql_prepare(sql, m->tx, &stmt, err);
    if (!rc)
        stmt_stream(stmt);
    const struct entity_call call = { .entity = m->entity, .lang = LANG_EN, .arena = arena };
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row;) {
        struct value values[TYPE_FIELDS_MAX];
        const struct arena_mark mark = arena_mark(arena);
        row_values(type, stmt, 0, values);
        *out_rows += !fits(&call, type, field, values[COLUMN_ID].i64, &values[field]);
        arena_release(arena, mark);
    }
    return rc;
}
