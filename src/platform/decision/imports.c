/* imports.c - see imports.h */
#include "platform/decision/imports.h"
#include "platform/decision/decision_sql.h"
#include "platform/decision/internal.h"

#define READ_ARENA (DMN_MODEL_BYTES_MAX / 4)

/* -- the set ------------------------------------------------------------------------------------------- */

static void start(struct arena *arena, struct str text, struct imports *out)
{
    memset(out, 0, sizeof *out);
    out->arena = arena;
    out->sources[0] = (struct dmn_source) { STR("model"), text };
}

static void stands_in_the_way(struct imports *imports, enum err_code code, const char *id, struct str ns,
                              struct str first, struct str second)
{
    if (!imports->why.code)
        (void)err_set(&imports->why, code, id, ARG_STR("namespace", ns), ARG_STR("first", first),
                      ARG_STR("second", second), ARG_END);
}

static struct str version_text(struct arena *arena, struct str code, int64_t number)
{
    const struct str text = arena_printf(arena, "%.*s %lld", STR_ARG(code), (long long)number);
    return text.ptr ? text : code;
}

/* One namespace is one model: the same version twice is one, two versions of it do not go together. */
static enum err_code add(struct imports *imports, const struct pin *pin, struct str model, struct err *err)
{
    if (str_eq(pin->ns, imports->own)) {
        stands_in_the_way(imports, ERR_INVALID, "dmn.import_cycle", pin->ns, STR(""), STR(""));
        return ERR_OK;
    }
    for (int i = 0; i < imports->count; i++) {
        const struct pin *other = &imports->pins[i];
        if (!str_eq(other->ns, pin->ns))
            continue;
        if (other->decision_id != pin->decision_id || other->number != pin->number)
            stands_in_the_way(imports, ERR_CONFLICT, "decision.import_two", pin->ns,
                              version_text(imports->arena, other->code, other->number),
                              version_text(imports->arena, pin->code, pin->number));
        return ERR_OK;
    }
    if (imports->count + 1 == DMN_SOURCES_MAX) {
        if (!imports->why.code)
            (void)err_set(&imports->why, ERR_LIMIT, "decision.imports", ARG_INT("max", DMN_SOURCES_MAX - 1),
                          ARG_END);
        return ERR_OK;
    }
    struct pin *made = &imports->pins[imports->count];
    *made = *pin;
    made->ns = arena_str(imports->arena, pin->ns);
    made->code = arena_str(imports->arena, pin->code);
    const struct str text = arena_str(imports->arena, model);
    imports->sources[++imports->count] = (struct dmn_source) { made->code, text };
    return made->ns.ptr && made->code.ptr && text.ptr ? ERR_OK : err_nomem(err);
}

/* The file of a text, NULL when it cannot be read. */
static enum err_code read_file(struct arena *arena, struct str text, const struct dmn_file **out,
                               struct err *err)
{
    struct err why;
    *out = NULL;
    return dmn_read(arena, text, out, &why) == ERR_NOMEM ? err_nomem(err) : ERR_OK;
}

/* A look that costs little before the whole text is read. */
static bool may_import(struct str text)
{
    return str_find(text, STR("import")) >= 0;
}

/* -- in the store -------------------------------------------------------------------------------------- */

/* Adds what the rows name: namespace, code, decision, number, published, model. */
static enum err_code add_rows(struct imports *imports, struct stmt *stmt, struct err *err)
{
    bool row = false;
    enum err_code rc = ERR_OK;
    while (!rc && (rc = stmt_step(stmt, &row, err)) == ERR_OK && row) {
        const struct pin pin = { .ns = stmt_text(stmt, 0),
                                 .code = stmt_text(stmt, 1),
                                 .decision_id = stmt_i64(stmt, 2),
                                 .number = stmt_i64(stmt, 3),
                                 .published = stmt_i64(stmt, 4) };
        rc = add(imports, &pin, stmt_text(stmt, 5), err);
    }
    return rc;
}

static enum err_code add_published(struct imports *imports, struct tx *tx, struct str ns, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_query(tx, SQL_IMPORT_PUBLISHED, BINDS(bind_text(ns)), &stmt, err);
    return rc ? rc : add_rows(imports, stmt, err);
}

static enum err_code add_pins(struct imports *imports, struct tx *tx, int64_t id, int64_t number,
                              struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_query(tx, SQL_IMPORT_PINS, BINDS(bind_i64(id), bind_i64(number)), &stmt, err);
    return rc ? rc : add_rows(imports, stmt, err);
}

/* And what those import: they have their own pins. */
static enum err_code add_below(struct imports *imports, struct tx *tx, struct err *err)
{
    enum err_code rc = ERR_OK;
    imports->direct = imports->count;
    for (int i = 0; i < imports->count && !rc && !imports->why.code; i++)
        rc = add_pins(imports, tx, imports->pins[i].decision_id, imports->pins[i].number, err);
    return rc;
}

enum err_code imports_follow(struct tx *tx, struct arena *arena, struct str text, struct imports *out,
                             struct err *err)
{
    AUTO(arena_free_auto) struct arena *reading = arena_new(READ_ARENA);
    const struct dmn_file *file;
    start(arena, text, out);
    if (!reading)
        return err_nomem(err);
    enum err_code rc = read_file(reading, text, &file, err);
    if (rc || !file)
        return rc;
    out->own = arena_str(arena, file->ns);
    if (!out->own.ptr)
        return err_nomem(err);
    for (int i = 0; i < file->import_count && !rc; i++)
        if (!str_eq(file->imports[i].ns, file->ns)) /* loading it tells */
            rc = add_published(out, tx, file->imports[i].ns, err);
    return rc ? rc : add_below(out, tx, err);
}

enum err_code imports_pinned(struct tx *tx, struct arena *arena, int64_t id, int64_t number, struct str text,
                             struct imports *out, struct err *err)
{
    start(arena, text, out);
    const enum err_code rc = add_pins(out, tx, id, number, err);
    return rc ? rc : add_below(out, tx, err);
}

static enum err_code set_namespace(struct tx *tx, int64_t id, int64_t number, struct str ns, struct err *err)
{
    return tx_run(tx, SQL_VERSION_NAMESPACE, BINDS(bind_i64(id), bind_i64(number), bind_text(ns)), NULL, err);
}

static enum err_code pin_one(struct tx *tx, int64_t id, int64_t number, const struct pin *pin,
                             struct err *err)
{
    return tx_run(tx, SQL_IMPORT_ADD,
                  BINDS(bind_i64(id), bind_i64(number), bind_text(pin->ns), bind_i64(pin->decision_id),
                        bind_i64(pin->number)),
                  NULL, err);
}

enum err_code imports_pin(struct tx *tx, int64_t id, int64_t number, const struct imports *imports,
                          struct err *err)
{
    enum err_code rc = set_namespace(tx, id, number, imports->own, err);
    for (int i = 0; i < imports->direct && !rc; i++)
        rc = pin_one(tx, id, number, &imports->pins[i], err);
    return rc;
}

enum err_code imports_unpin(struct tx *tx, int64_t id, struct err *err)
{
    return tx_run(tx, SQL_IMPORT_UNPIN, BINDS(bind_i64(id)), NULL, err);
}

enum err_code imports_name(struct tx *tx, void *unused, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    (void)unused;
    enum err_code rc = tx_prepare(tx, SQL_VERSION_NAMELESS, &stmt, err);
    while (!rc && (rc = stmt_step(stmt, &row, err)) == ERR_OK && row) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(READ_ARENA);
        const struct dmn_file *file = NULL;
        rc = arena ? read_file(arena, stmt_text(stmt, 2), &file, err) : err_nomem(err);
        if (!rc && file && file->ns.len)
            rc = set_namespace(tx, stmt_i64(stmt, 0), stmt_i64(stmt, 1), file->ns, err);
    }
    return rc;
}

/* -- each in a read of its own ------------------------------------------------------------------------- */

struct looking {
    struct arena *arena;
    const struct decision_version_row *version;
    struct str text;
    struct imports *out;
};

static enum err_code follow_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct looking *looking = arg;
    return imports_follow(tx, looking->arena, looking->text, looking->out, err);
}

static enum err_code pinned_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct looking *looking = arg;
    const struct decision_version_row *version = looking->version;
    return imports_pinned(tx, looking->arena, version->decision_id, version->number, version->model,
                          looking->out, err);
}

enum err_code imports_of_text(struct decisions *decisions, struct arena *arena, struct str text,
                              struct imports *out, struct err *err)
{
    struct looking looking = { .arena = arena, .text = text, .out = out };
    start(arena, text, out);
    return may_import(text) ? store_read(decisions->config.store, follow_fn, &looking, err) : ERR_OK;
}

enum err_code imports_of_version(struct decisions *decisions, struct arena *arena,
                                 const struct decision_version_row *version, struct imports *out,
                                 struct err *err)
{
    struct looking looking = { .arena = arena, .version = version, .text = version->model, .out = out };
    return store_read(decisions->config.store, version->state == DECISION_DRAFT ? follow_fn : pinned_fn,
                      &looking, err);
}

/* -- in packs ------------------------------------------------------------------------------------------ */

/* The decision of the packs with that namespace. */
static enum err_code add_packed(struct imports *imports, const struct packs *packs, struct str ns,
                                struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; i < packs_count(packs); i++) {
        const struct pack *pack = packs_at(packs, i);
        for (int j = 0; j < pack->files_count && !rc; j++) {
            AUTO(arena_free_auto) struct arena *arena = arena_new(READ_ARENA);
            const struct pack_file *packed = &pack->files[j];
            const struct dmn_file *file = NULL;
            if (packed->folder != PACK_DECISIONS || !str_eq(packed->ending, STR("dmn")) ||
                str_find(packed->text, ns) < 0)
                continue;
            rc = arena ? read_file(arena, packed->text, &file, err) : err_nomem(err);
            const struct pin pin = { .ns = ns, .code = packed->name, .decision_id = i + 1, .number = j + 1 };
            if (!rc && file && str_eq(file->ns, ns))
                rc = add(imports, &pin, packed->text, err);
        }
    }
    return rc;
}

static enum err_code add_of_file(struct imports *imports, const struct packs *packs, struct str text,
                                 struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(READ_ARENA);
    const struct dmn_file *file = NULL;
    enum err_code rc = arena ? read_file(arena, text, &file, err) : err_nomem(err);
    if (rc || !file)
        return rc;
    if (!imports->own.ptr)
        imports->own = arena_str(imports->arena, file->ns);
    for (int i = 0; i < file->import_count && !rc; i++)
        if (!str_eq(file->imports[i].ns, file->ns))
            rc = add_packed(imports, packs, file->imports[i].ns, err);
    return rc;
}

enum err_code imports_of_packs(const struct packs *packs, struct arena *arena, struct str text,
                               struct imports *out, struct err *err)
{
    enum err_code rc = ERR_OK;
    start(arena, text, out);
    for (int i = 0; i <= out->count && !rc && !out->why.code; i++)
        if (may_import(out->sources[i].text))
            rc = add_of_file(out, packs, out->sources[i].text, err);
    return rc;
}
