/* entity.c - the engine: opened over the packs, its hooks, its tables. */
#include "platform/entity/migrate.h"

#define ENTITY_BYTES_MAX ((size_t)64 << 20)

static void refuse_sensitive(const struct entity *entity, struct findings *findings)
{
    for (int i = 0; i < types_count(entity->types); i++) {
        const struct entity_type *type = types_at(entity->types, i);
        if (type->sensitive)
            pack_finding(findings, type->from, type->file, 0, ERR_INVALID, "entity.no_keys", type->full);
    }
}

enum err_code entity_open(const struct entity_config *config, struct findings *findings, struct entity **out,
                          struct err *err)
{
    const int before = findings ? findings->count + findings->more : 0;
    struct entity *entity = mem_alloc(1, sizeof *entity);
    if (!entity)
        return err_nomem(err);
    entity->config = *config;
    entity->arena = arena_new(ENTITY_BYTES_MAX);
    enum err_code rc =
        entity->arena ? types_compile(config->packs, findings, &entity->types, err) : err_nomem(err);
    if (!rc)
        rc = statements_make(entity, err);
    if (!rc)
        rc = rules_compile(entity, findings, err);
    if (!rc)
        rc = grid_watch(entity, err);
    if (!rc && !config->keys && config->store && findings)
        refuse_sensitive(entity, findings);
    if (!rc && findings && findings->count + findings->more > before)
        rc = err_set(err, ERR_INVALID, "entity.packs_bad", ARG_INT("n", findings->count + findings->more),
                     ARG_END);
    if (rc) {
        entity_free(entity);
        return err_in(err, "entity.open");
    }
    *out = entity;
    return ERR_OK;
}

void entity_free(struct entity *entity)
{
    if (!entity)
        return;
    text_tidy_free(entity);
    types_free(entity->types);
    arena_free(entity->arena);
    mem_free(entity);
}

const struct types *entity_types(const struct entity *entity)
{
    return entity->types;
}

const struct zone *entity_zone(const struct entity *entity)
{
    return entity->config.zone;
}

const struct entity_type *entity_type_find(const struct entity *entity, const char *full)
{
    return types_find(entity->types, str_from(full));
}

/* ---- hooks ---- */

static enum err_code add_hook(struct entity *entity, const char *full, entity_hook_fn fn, void *arg,
                              bool after, struct err *err)
{
    const bool all = !strcmp(full, "*");
    const struct entity_type *type = all ? NULL : entity_type_find(entity, full);
    if (!all && !type)
        return err_set(err, ERR_NOT_FOUND, "entity.no_type", ARG_TEXT("type", full), ARG_END);
    if (entity->hooks_count == ENTITY_HOOKS_MAX)
        return err_set(err, ERR_LIMIT, "entity.hooks", ARG_INT("max", ENTITY_HOOKS_MAX), ARG_END);
    entity->hooks[entity->hooks_count++] = (struct hook) { type, fn, arg, after };
    return ERR_OK;
}

enum err_code entity_hook_add(struct entity *entity, const char *full, entity_hook_fn fn, void *arg,
                              struct err *err)
{
    return add_hook(entity, full, fn, arg, false, err);
}

enum err_code entity_hook_after_add(struct entity *entity, const char *full, entity_hook_fn fn, void *arg,
                                    struct err *err)
{
    return add_hook(entity, full, fn, arg, true, err);
}

/* ---- tables ---- */

struct tables {
    struct entity *entity;
    struct findings *findings, *news;
    enum tables_mode mode;
    bool apply, undo;
    int count, more;
};

static enum err_code tables_fn(struct tx *tx, void *arg, struct err *err)
{
    struct tables *tables = arg;
    tables->findings->count = tables->count; /* it may run twice */
    tables->findings->more = tables->more;
    if (!tables->apply)
        return tables_look(tables->entity, tx, tables->findings, err);
    if (tables->news)
        tables->news->count = tables->news->more = 0;
    struct migrating m = { .entity = tables->entity,
                           .tx = tx,
                           .mode = tables->mode,
                           .news = tables->news,
                           .faults = tables->findings };
    enum err_code rc = tables_sync(&m, err);
    if (!rc)
        rc = grid_fill(tables->entity, tx, err);
    return rc || !tables->undo ? rc : err_set(err, ERR_CANCELLED, "entity.dry_run", ARG_END);
}

struct rebuilding {
    struct entity *entity;
    const struct entity_type *type;
};

static enum err_code rebuild_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct rebuilding *rebuilding = arg;
    const struct entity_type *type = rebuilding->type;
    enum err_code rc = ERR_OK;
    for (int i = COLUMN_OWN; !rc && i < type->fields_count; i++)
        if (type->fields[i].mask) /* a backup from before there were digests */
            rc = blind_fill(rebuilding->entity, tx, type, i, err);
    if (rc || !type->search_count)
        return rc;
    rc = text_drop(tx, type->table.ptr, err);
    if (!rc)
        rc = text_create(tx, type, err);
    return rc ? rc : text_fill(tx, type, err);
}

enum err_code entity_search_rebuild(struct entity *entity, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; i < types_count(entity->types) && !rc; i++) {
        const struct entity_type *type = types_at(entity->types, i);
        struct rebuilding rebuilding = { entity, type };
        if (type->search_count || type->sensitive)
            rc = store_write(entity->config.store, rebuild_fn, &rebuilding, err);
    }
    return rc;
}

enum err_code entity_tables(struct entity *entity, bool apply, struct findings *findings, struct err *err)
{
    struct tables tables = { .entity = entity,
                             .findings = findings,
                             .apply = apply,
                             .count = findings->count,
                             .more = findings->more };
    return apply ? store_write(entity->config.store, tables_fn, &tables, err)
                 : store_read(entity->config.store, tables_fn, &tables, err);
}

enum err_code entity_migrate(struct entity *entity, bool apply, struct findings *news,
                             struct findings *faults, struct err *err)
{
    struct tables tables = {
        .entity = entity, .findings = faults, .news = news, .mode = TABLES_ALL, .apply = true, .undo = !apply
    };
    const enum err_code rc = store_write(entity->config.store, tables_fn, &tables, err);
    return rc == ERR_CANCELLED && !apply ? ERR_OK : rc;
}
