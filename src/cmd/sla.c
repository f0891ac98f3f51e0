/* sla.c - bihuan sla verify: the stored clocks of open cases against a fresh replay of their events.
 *
 * It only reads, one snapshot, so it may run beside the server. */
#include "cmd/app.h"
#include "cmd/commands.h"
#include "crypto/keyring.h"
#include "handle/handle.h"
#include "platform/entity/entity.h"
#include "store/migrate.h"

#include <stdio.h>

struct verifying {
    struct handle *handle;
    struct findings *findings;
    struct case_verify sum;
};

static enum err_code verify_fn(struct tx *tx, void *arg, struct err *err)
{
    struct verifying *verifying = arg;
    return case_verify(handle_room(verifying->handle), tx, verifying->findings, &verifying->sum, err);
}

/* The rooms that a replay needs, without anything that writes or listens. */
static enum err_code rooms_open(struct app *app, struct findings *findings, struct err *err)
{
    const struct store_config config = { .url = app->cmd->database, .data_dir = app->data, .readers = 1 };
    struct migrate_report report;
    char path[2200];
    enum err_code rc = store_open(&config, &app->store, err);
    if (!rc)
        rc = store_migrate(app->store, STORE_MIGRATIONS, STORE_MIGRATIONS_COUNT, MIGRATE_LOOK, &report, err);
    if (!rc && (report.was_empty || report.pending))
        rc = err_set(err, ERR_PRECONDITION, "store.migrate_needed", ARG_TEXT("name", report.next), ARG_END);
    (void)snprintf(path, sizeof path, "%.2000s/keys/master.key", app->data);
    if (!rc)
        rc = key_ring_open(app->conf.key_file ? app->conf.key_file : path, false, &app->keys, err);
    if (!rc)
        rc = packs_start(app, err);
    if (!rc) {
        const struct entity_config entity = { .store = app->store,
                                              .packs = app->packs,
                                              .ids = &app->ids,
                                              .clock = app->clock,
                                              .words = app->words,
                                              .keys = app->keys };
        rc = entity_open(&entity, findings, &app->entity, err);
    }
    if (!rc) {
        const struct handle_config handle = { .store = app->store,
                                              .ids = &app->ids,
                                              .clock = app->clock,
                                              .words = app->words,
                                              .entity = app->entity,
                                              .packs = app->packs };
        rc = handle_new(&handle, findings, &app->handle, err);
    }
    return rc;
}

static int verify(struct cmd *cmd, const char *packs)
{
    struct app app;
    struct findings findings;
    struct verifying verifying = { 0 };
    struct err err;
    int exit_status = CMD_OK;
    enum err_code rc = app_init(&app, cmd, false, &err);
    if (!rc)
        rc = findings_init(&findings, app.arena, &err);
    if (!rc) {
        app.conf.packs = packs ? packs : app.conf.packs;
        ids_init(&app.ids, app.clock, 0);
        rc = rooms_open(&app, &findings, &err);
    }
    if (!rc) {
        verifying.handle = app.handle;
        verifying.findings = &findings;
        store_deadline_set(clock_mono(&CLOCK_SYSTEM) + 3600000);
        rc = store_read(app.store, verify_fn, &verifying, &err);
        store_deadline_set(0);
    }
    if (rc) {
        exit_status = cmd_fail(cmd, &err);
    } else {
        for (int i = 0; i < findings.count; i++)
            (void)printf("%.*s\n", STR_ARG(err_text(app.arena, &findings.items[i], cmd->words, cmd->lang)));
        if (findings.more)
            (void)printf("... %d\n", findings.more);
        (void)printf("%lld cases, %lld clocks, %lld differences\n", (long long)verifying.sum.cases,
                     (long long)verifying.sum.clocks, (long long)verifying.sum.differences);
        exit_status = verifying.sum.differences ? CMD_NO : CMD_OK;
    }
    handle_free(app.handle);
    entity_free(app.entity);
    packs_stop(&app);
    key_ring_free(app.keys);
    store_close(app.store);
    app_done(&app);
    return exit_status;
}

int cmd_sla(struct cmd *cmd, int argc, char **argv)
{
    const char *words[1] = { NULL }, *packs = NULL;
    const struct cmd_option options[] = { { .name = "--packs", .text = &packs }, { 0 } };
    int count = 0, exit_status = CMD_OK;
    if (!cmd_options(cmd, argc, argv, options, words, 1, &count, &exit_status))
        return exit_status;
    if (count != 1 || strcmp(words[0], "verify") != 0)
        return cmd_usage(cmd);
    return verify(cmd, packs);
}
