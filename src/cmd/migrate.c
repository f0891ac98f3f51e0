/* migrate.c - bihuan migrate: shows what the database still needs; with --apply it does it.
 *
 * First the program's own tables, then those of the packs: their written migrations, and what serve does not
 * do by itself.  What it shows of packs was really done, in a transaction that was undone. */
#include "cmd/commands.h"
#include "cmd/rooms.h"
#include "platform/entity/entity.h"
#include "store/migrate.h"

#include <stdio.h>

struct migrating {
    struct app *app;
    bool apply;
    struct migrate_report report;
    struct findings news, faults; /* of the packs */
    bool packs_seen;
};

static void print_all(const struct cmd *cmd, const char *what, const struct findings *findings)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    for (int i = 0; arena && i < findings->count; i++)
        (void)printf("%s %.*s\n", what, STR_ARG(err_text(arena, &findings->items[i], cmd->words, cmd->lang)));
    if (findings->more)
        (void)printf("%s +%d\n", what, findings->more);
}

static enum err_code migrate_packs(struct migrating *m, struct err *err)
{
    struct app *app = m->app;
    enum err_code rc = findings_init(&m->news, app->arena, err);
    if (!rc)
        rc = findings_init(&m->faults, app->arena, err);
    if (!rc)
        rc = keys_room_open(app, err);
    app->demo = true; /* tables of every pack there is, as a demonstration may have loaded it */
    if (!rc)
        rc = packs_start(app, err);
    const struct entity_config config = { .store = app->store,
                                          .packs = app->packs,
                                          .ids = &app->ids,
                                          .clock = app->clock,
                                          .words = app->words,
                                          .keys = app->keys };
    if (!rc)
        rc = entity_open(&config, &m->faults, &app->entity, err);
    if (!rc)
        rc = entity_migrate(app->entity, m->apply, &m->news, &m->faults, err);
    m->packs_seen = !rc || m->faults.count;
    entity_stop(app);
    packs_stop(app);
    keys_room_close(app);
    return rc == ERR_PRECONDITION && m->faults.count ? ERR_OK : rc; /* they tell */
}

static enum err_code migrate(struct migrating *m, struct err *err)
{
    struct app *app = m->app;
    enum err_code rc = store_room_open(app, err);
    if (!rc)
        rc = store_migrate(app->store, STORE_MIGRATIONS, STORE_MIGRATIONS_COUNT,
                           m->apply ? MIGRATE_ALL : MIGRATE_LOOK, &m->report, err);
    if (!rc && !m->report.pending)
        rc = migrate_packs(m, err);
    store_close(app->store);
    app->store = NULL;
    return rc;
}

static int print(const struct cmd *cmd, const struct migrating *m)
{
    const bool waits = !m->apply && m->news.count;
    (void)printf("applied %d\npending %d\n", m->report.applied, m->report.pending);
    if (m->report.pending)
        (void)printf("next %s %s\n", m->report.next, m->report.next_additive ? "adds" : "changes");
    if (m->packs_seen) {
        print_all(cmd, m->apply && !m->faults.count ? "done" : "would", &m->news);
        print_all(cmd, "fault", &m->faults);
    }
    return m->report.pending || m->faults.count || waits ? CMD_NO : CMD_OK;
}

int cmd_migrate(struct cmd *cmd, int argc, char **argv)
{
    int exit_status = CMD_OK;
    struct app app;
    struct err err = { 0 };
    struct migrating m = { .app = &app };
    const char *packs = NULL;
    const struct cmd_option options[] = { { .name = "--apply", .flag = &m.apply },
                                          { .name = "--packs", .text = &packs },
                                          { 0 } };
    if (!cmd_options(cmd, argc, argv, options, NULL, 0, NULL, &exit_status))
        return exit_status;
    enum err_code rc = app_init(&app, cmd, true, &err); /* the lock: not beside a running server */
    if (packs)
        app.conf.packs = packs;
    if (!rc)
        rc = migrate(&m, &err);
    exit_status = rc ? cmd_fail(cmd, &err) : print(cmd, &m);
    app_done(&app);
    return exit_status;
}
