/* sla.c - bihuan sla verify: the stored clocks of open cases against a fresh replay of their events.
 *
 * It only reads, one snapshot.  The server that holds the directory does it itself, with its own packs. */
#include "cmd/commands.h"
#include "cmd/control_ops.h"
#include "crypto/keyring.h"
#include "handle/handle.h"
#include "platform/entity/entity.h"
#include "store/migrate.h"

#include <stdio.h>

#define VERIFY_DEADLINE_MS 3600000

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
                                              .zone = app->zone,
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

/* {"cases","clocks","differences","more","findings":[sentence...]} in that language. */
static enum err_code verify_with(struct app *app, struct findings *findings, enum lang lang, json_t **out,
                                 struct err *err)
{
    struct verifying verifying = { .handle = app->handle, .findings = findings };
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)1 << 20);
    if (!arena)
        return err_nomem(err);
    store_deadline_set(clock_mono(&CLOCK_SYSTEM) + VERIFY_DEADLINE_MS);
    const enum err_code rc = store_read(app->store, verify_fn, &verifying, err);
    store_deadline_set(0);
    if (rc)
        return rc;
    json_t *list = json_array();
    for (int i = 0; i < findings->count; i++) {
        const struct str text = err_text(arena, &findings->items[i], app->words, lang);
        (void)json_array_append_new(list, json_stringn(text.ptr, text.len));
    }
    *out = json_pack("{s:I,s:I,s:I,s:i,s:o}", "cases", (json_int_t)verifying.sum.cases, "clocks",
                     (json_int_t)verifying.sum.clocks, "differences", (json_int_t)verifying.sum.differences,
                     "more", findings->more, "findings", list);
    return *out ? ERR_OK : err_nomem(err);
}

static enum err_code op_verify(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    const char *lang = json_string_value(json_object_get(args, "lang"));
    struct findings findings;
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)1 << 20);
    const enum err_code rc = arena ? findings_init(&findings, arena, err) : err_nomem(err);
    return rc ? rc : verify_with(app, &findings, lang ? lang_from(str_from(lang)) : LANG_EN, out, err);
}

const struct control_op SLA_OPS[] = { { "sla.verify", op_verify }, { 0 } };

/* Nobody serves the directory. */
static enum err_code verify_here(struct cmd *cmd, const char *packs, json_t **out, struct err *err)
{
    struct app app;
    struct findings findings;
    enum err_code rc = app_init(&app, cmd, false, err);
    if (!rc)
        rc = findings_init(&findings, app.arena, err);
    if (!rc) {
        app.conf.packs = packs ? packs : app.conf.packs;
        ids_init(&app.ids, app.clock, 0);
        rc = rooms_open(&app, &findings, err);
    }
    if (!rc)
        rc = verify_with(&app, &findings, cmd->lang, out, err);
    handle_free(app.handle);
    entity_free(app.entity);
    packs_stop(&app);
    key_ring_free(app.keys);
    store_close(app.store);
    app_done(&app);
    return rc;
}

static int verify(struct cmd *cmd, const char *packs)
{
    struct err err;
    json_t *out = NULL, *finding;
    size_t i;
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    json_t *args = json_pack("{s:s}", "lang", lang_name(cmd->lang));
    enum err_code rc =
        arena ? control_call(cmd->data, "sla.verify", args, arena, &out, &err) : err_nomem(&err);
    if (control_is_none(rc, &err))
        rc = verify_here(cmd, packs, &out, &err);
    if (rc)
        return cmd_fail(cmd, &err);
    json_array_foreach(json_object_get(out, "findings"), i, finding)(void)
        printf("%s\n", json_string_value(finding));
    const json_int_t more = json_integer_value(json_object_get(out, "more")),
                     differences = json_integer_value(json_object_get(out, "differences"));
    if (more)
        (void)printf("... %lld\n", (long long)more);
    (void)printf("%lld cases, %lld clocks, %lld differences\n",
                 (long long)json_integer_value(json_object_get(out, "cases")),
                 (long long)json_integer_value(json_object_get(out, "clocks")), (long long)differences);
    json_decref(out);
    return differences ? CMD_NO : CMD_OK;
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
