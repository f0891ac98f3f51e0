/* migrate.c - bihuan migrate: shows what the database still needs; with --apply it does it. */
#include "cmd/commands.h"
#include "cmd/rooms.h"
#include "store/migrate.h"

#include <stdio.h>

static enum err_code migrate(struct app *app, bool apply, struct migrate_report *report, struct err *err)
{
    enum err_code rc = store_room_open(app, err);
    if (!rc)
        rc = store_migrate(app->store, STORE_MIGRATIONS, STORE_MIGRATIONS_COUNT,
                           apply ? MIGRATE_ALL : MIGRATE_LOOK, report, err);
    store_close(app->store);
    app->store = NULL;
    return rc;
}

int cmd_migrate(struct cmd *cmd, int argc, char **argv)
{
    bool apply = false;
    int exit_status = CMD_OK;
    struct app app;
    struct err err = { 0 };
    struct migrate_report report = { 0 };
    const struct cmd_option options[] = { { .name = "--apply", .flag = &apply }, { 0 } };
    if (!cmd_options(cmd, argc, argv, options, NULL, 0, NULL, &exit_status))
        return exit_status;
    enum err_code rc = app_init(&app, cmd, true, &err); /* the lock: not beside a running server */
    if (!rc)
        rc = migrate(&app, apply, &report, &err);
    if (rc) {
        exit_status = cmd_fail(cmd, &err);
    } else {
        (void)printf("applied %d\npending %d\n", report.applied, report.pending);
        if (report.pending)
            (void)printf("next %s %s\n", report.next, report.next_additive ? "adds" : "changes");
        exit_status = report.pending ? CMD_NO : CMD_OK;
    }
    app_done(&app);
    return exit_status;
}
