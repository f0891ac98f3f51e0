/* packs.c - the rooms of serve that stand on packs: the packs themselves, and records. */
#include "base/log.h"
#include "cmd/app.h"
#include "handle/handle.h"
#include "platform/bus/bus.h"
#include "cmd/relations.h"
#include "platform/entity/import_job.h"
#include "platform/entity/routes.h"
#include "platform/files/files.h"
#include "platform/query/routes.h"

#include <stdio.h>

static void log_findings(const struct findings *findings, const char *event)
{
    for (int i = 0; i < findings->count; i++)
        log_err(&findings->items[i], event, "finding %d of %d", i + 1, findings->count + findings->more);
}

enum err_code files_start(struct app *app, struct err *err)
{
    char dir[2200];
    (void)snprintf(dir, sizeof dir, "%.2000s/files", app->data);
    return files_open(dir, app->cmd->disk, app->store, &app->ids, app->clock, &app->files, err);
}

void files_stop(struct app *app)
{
    files_free(app->files);
    app->files = NULL;
}

enum err_code packs_start(struct app *app, struct err *err)
{
    char data[2200], installed[2200];
    const char *dirs[3];
    struct packs_config config = { .dirs = dirs, .optional = app->demo };
    struct findings findings;
    if (app->conf.packs)
        dirs[config.dirs_count++] = app->conf.packs;
    (void)snprintf(data, sizeof data, "%.2000s/packs", app->data);
    dirs[config.dirs_count++] = data;
    if (cmd_asset("packs", installed, sizeof installed))
        dirs[config.dirs_count++] = installed;
    enum err_code rc = findings_init(&findings, app->arena, err);
    if (!rc)
        rc = packs_load(&config, &findings, &app->packs, err);
    if (!rc && findings.count) {
        log_findings(&findings, "packs.finding");
        rc = err_set(err, ERR_INVALID, "entity.packs_bad", ARG_INT("n", findings.count + findings.more),
                     ARG_END);
    }
    if (!rc)
        rc = packs_words_add(app->packs, (struct words *)(uintptr_t)app->words, err);
    return rc;
}

/* Types, flows and queries are checked as a whole at the start; words alone may change meanwhile. */
enum err_code packs_room_reload(struct app *app, struct err *err)
{
    return packs_words_read(app->packs, (struct words *)(uintptr_t)app->words, err);
}

void packs_stop(struct app *app)
{
    packs_free(app->packs);
    app->packs = NULL;
}

/* Every permission of every record type, for the catalogue of permissions. */
static void list_permissions(void *ctx, void (*each)(void *arg, struct str permission), void *arg)
{
    static const char *const actions[] = { "read",   "create", "update",   "delete",
                                           "import", "export", "sensitive" };
    const struct types *types = entity_types(((const struct app *)ctx)->entity);
    for (int i = 0; i < types_count(types); i++)
        for (size_t k = 0; k < sizeof actions / sizeof *actions; k++) {
            char name[256];
            const int len =
                snprintf(name, sizeof name, "%.*s.%s", STR_ARG(types_at(types, i)->full), actions[k]);
            if (len > 0 && (size_t)len < sizeof name)
                each(arg, (struct str) { name, (size_t)len });
        }
    if (((const struct app *)ctx)->handle)
        handle_permissions(((const struct app *)ctx)->handle, each, arg);
}

/* Grants may name cells of the grid: what moved there is another scope now. */
static void on_grid(void *arg, const struct bus_event *event)
{
    if (str_find(event->json, STR("\"core.grid\"")) >= 0)
        identity_changed(arg);
}

/* Needs the jobs, which only a server runs, and `bihuan import --portions` where there is none. */
enum err_code imports_start(struct app *app, struct err *err)
{
    app->imports = arena_alloc(app->arena, 1, sizeof *app->imports);
    if (!app->imports)
        return err_nomem(err);
    *app->imports = (struct import_jobs) { .entity = app->entity,
                                           .store = app->store,
                                           .jobs = app->jobs,
                                           .files = app->files,
                                           .identity = app->identity,
                                           .temp_dir = app->data };
    return import_jobs_register(app->imports, err);
}

enum err_code entity_start(struct app *app, struct err *err)
{
    const struct entity_config config = { .store = app->store,
                                          .zone = app->zone,
                                          .packs = app->packs,
                                          .ids = &app->ids,
                                          .clock = app->clock,
                                          .words = app->words,
                                          .bus = app->bus,
                                          .broadcast = app->broadcast,
                                          .audit = app->audit,
                                          .keys = app->keys };
    struct findings findings;
    enum err_code rc = findings_init(&findings, app->arena, err);
    if (!rc)
        rc = entity_open(&config, &findings, &app->entity, err);
    if (!rc)
        rc = entity_tables(app->entity, true, &findings, err);
    if (!rc)
        rc = entity_load_data(app->entity, app->demo, &findings, err);
    if (!rc && app->http)
        rc = entity_tidy_start(app->entity, err);
    if (rc) {
        log_findings(&findings, "entity.finding");
        return rc;
    }
    if (app->identity) {
        identity_permissions(app->identity, app, list_permissions);
        rc = bus_subscribe(app->bus, "record.*", on_grid, app->identity, NULL, err);
        if (rc)
            return rc;
    }
    app->entity_routes = arena_alloc(app->arena, 1, sizeof *app->entity_routes);
    if (!app->entity_routes)
        return err_nomem(err);
    rc = app->jobs ? imports_start(app, err) : ERR_OK;
    if (rc)
        return rc;
    *app->entity_routes = (struct entity_routes) { .entity = app->entity,
                                                   .store = app->store,
                                                   .packs = app->packs,
                                                   .audit = app->audit,
                                                   .words = app->words,
                                                   .temp_dir = app->data,
                                                   .files = app->files,
                                                   .imports = app->imports };
    return app->http ? entity_routes_add(app->http, app->entity_routes, err) : ERR_OK;
}

void entity_stop(struct app *app)
{
    entity_free(app->entity);
    app->entity = NULL;
}

enum err_code query_start(struct app *app, struct err *err)
{
    struct findings findings;
    enum err_code rc = findings_init(&findings, app->arena, err);
    if (!rc)
        rc = queries_load(app->entity, app->packs, QUERY_RELATIONS, &findings, &app->queries, err);
    if (!rc && findings.count) {
        log_findings(&findings, "query.finding");
        rc = err_set(err, ERR_INVALID, "entity.packs_bad", ARG_INT("n", findings.count + findings.more),
                     ARG_END);
    }
    if (rc)
        return rc;
    app->query_routes = arena_alloc(app->arena, 1, sizeof *app->query_routes);
    if (!app->query_routes)
        return err_nomem(err);
    *app->query_routes =
        (struct query_routes) { .queries = app->queries, .entity = app->entity, .store = app->store };
    return app->http ? query_routes_add(app->http, app->query_routes, err) : ERR_OK;
}

void query_stop(struct app *app)
{
    queries_free(app->queries);
    app->queries = NULL;
}
