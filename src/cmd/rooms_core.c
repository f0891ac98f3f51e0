/* rooms_core.c - the ground on which all others stand: store, node number, keys, bus, audit, settings,
 * identity. See rooms.h. */
#include "base/log.h"
#include "cmd/rooms.h"
#include "crypto/digest.h"
#include "crypto/keyring.h"
#include "platform/audit/audit.h"
#include "platform/bus/broadcast.h"
#include "platform/bus/lease.h"
#include "platform/bus/outbox.h"
#include "platform/settings/settings.h"
#include "store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum err_code store_room_start(struct app *app, struct err *err)
{
    const struct store_config config = { .url = app->cmd->database,
                                         .data_dir = app->data,
                                         .vfs = app->cmd->vfs,
                                         .readers = (int)app->conf.readers,
                                         .writers = (int)app->conf.writers };
    enum err_code rc = crypto_check(err);
    if (!rc)
        rc = store_open(&config, &app->store, err);
    if (!rc)
        rc = store_migrate(app->store, STORE_MIGRATIONS, STORE_MIGRATIONS_COUNT, MIGRATE_ADDITIVE, NULL, err);
    if (!rc)
        rc = store_periods_ensure(app->store, err);
    return rc;
}

void store_room_stop(struct app *app)
{
    store_close(app->store);
    app->store = NULL;
}

static void node_lost(void *arg)
{
    (void)arg;
    log_line(LOG_ERROR, "serve.node_lost", "another process has this node's number; ids could clash");
    (void)kill(getpid(), SIGTERM);
}

enum err_code node_room_start(struct app *app, struct err *err)
{
    char home[LEASE_HOME_SIZE];
    enum err_code rc = lease_home(app->cmd->disk, app->data, home, err);
    if (!rc)
        rc = node_start(app->store, str_from(home), node_lost, app, &app->node, err);
    if (!rc)
        ids_init(&app->ids, app->clock, node_number(app->node));
    return rc;
}

void node_room_stop(struct app *app)
{
    node_stop(app->node);
    app->node = NULL;
}

enum err_code keys_room_start(struct app *app, struct err *err)
{
    char path[2200];
    (void)snprintf(path, sizeof path, "%.2000s/keys/master.key", app->data);
    return key_ring_open(app->conf.key_file ? app->conf.key_file : path, true, &app->keys, err);
}

void keys_room_stop(struct app *app)
{
    key_ring_free(app->keys);
    app->keys = NULL;
}

enum err_code bus_room_start(struct app *app, struct err *err)
{
    app->bus = bus_new();
    if (!app->bus)
        return err_nomem(err);
    enum err_code rc = broadcast_start(app->store, &app->ids, app->bus, &app->broadcast, err);
    if (!rc)
        rc = outbox_new(app->store, &app->ids, app->bus, node_owner(app->node), &app->outbox, err);
    return rc;
}

void bus_room_stop(struct app *app)
{
    outbox_free(app->outbox);
    if (app->broadcast)
        broadcast_stop(app->broadcast);
    bus_free(app->bus);
    app->outbox = NULL;
    app->broadcast = NULL;
    app->bus = NULL;
}

enum err_code audit_room_start(struct app *app, struct err *err)
{
    app->audit = audit_new(app->store, &app->ids, node_number(app->node), app->keys);
    return app->audit ? ERR_OK : err_nomem(err);
}

void audit_room_stop(struct app *app)
{
    audit_free(app->audit);
    app->audit = NULL;
}

static enum err_code seal_setting(void *ctx, struct str key, struct str plain, struct buf *out,
                                  struct err *err)
{
    return seal(ctx, key, plain, out, err);
}

static enum err_code unseal_setting(void *ctx, struct str key, struct str sealed, struct buf *out,
                                    struct err *err)
{
    return unseal(ctx, key, sealed, out, err);
}

/* What the pages keep for the whole installation. */
static const struct setting PAGE_SETTINGS[] = {
    { .key = "start.guide_done", .kind = SETTING_BOOL },
    { 0 },
};

/* Tables of all rooms; a room that needs its values at start comes behind. */
static const struct setting *const SETTINGS[] = { IDENTITY_SETTINGS, PAGE_SETTINGS };

static void on_settings_news(void *arg, const struct bus_event *event)
{
    struct app *app = arg;
    struct err err;
    (void)event;
    if (settings_refresh(app->settings, NULL, &err))
        log_err(&err, "settings.refresh", "keeps the old ones");
}

enum err_code settings_room_start(struct app *app, struct err *err)
{
    enum err_code rc = settings_new(app->store, &app->settings, err);
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS && !rc; i++)
        rc = settings_add(app->settings, SETTINGS[i], err);
    if (rc)
        return rc;
    settings_seal(app->settings, app->keys, seal_setting, unseal_setting);
    rc = settings_load(app->settings, err);
    if (!rc)
        rc = bus_subscribe(app->bus, "settings.changed", on_settings_news, app, NULL, err);
    return rc;
}

void settings_room_stop(struct app *app)
{
    settings_free(app->settings);
    app->settings = NULL;
}

static void on_identity_news(void *arg, const struct bus_event *event)
{
    json_t *json = json_loadb(event->json.ptr, event->json.len, 0, NULL);
    const char *type = json_string_value(json_object_get(json, "type"));
    identity_news(arg, str_from(type ? type : ""), event->subject_id);
    json_decref(json);
}

enum err_code identity_room_start(struct app *app, struct err *err)
{
    (void)snprintf(app->first_file, sizeof app->first_file, "%.2000s/first-password", app->data);
    const struct identity_config config = { .store = app->store,
                                            .ids = &app->ids,
                                            .clock = app->clock,
                                            .settings = app->settings,
                                            .audit = app->audit,
                                            .broadcast = app->broadcast,
                                            .keys = app->keys,
                                            .http = app->http,
                                            .first_password_file = app->first_file };
    enum err_code rc = identity_new(&config, &app->identity, err);
    if (!rc)
        rc = identity_start(app->identity, &app->first, err);
    if (!rc)
        rc = bus_subscribe(app->bus, "identity.changed", on_identity_news, app->identity, NULL, err);
    if (!rc && app->http)
        rc = http_add_routes(app->http, IDENTITY_ROUTES, app->identity, err);
    return rc;
}

void identity_room_stop(struct app *app)
{
    identity_free(app->identity);
    app->identity = NULL;
}

/* On a terminal the password itself, else a file that only its owner can read. */
enum err_code app_tell_first(struct app *app, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (!app->first.made)
        return ERR_OK;
    if (isatty(STDOUT_FILENO)) {
        (void)printf("first password %s %s\n", app->first.login, app->first.password);
    } else {
        const int fd = open(app->first_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        const size_t len = strlen(app->first.password);
        if (fd < 0 || fchmod(fd, 0600) != 0 || write(fd, app->first.password, len) != (ssize_t)len ||
            write(fd, "\n", 1) != 1 || fsync(fd) != 0)
            rc = err_set(err, ERR_IO, "file.open", ARG_TEXT("path", app->first_file), ARG_ERRNO(errno),
                         ARG_END);
        if (fd >= 0)
            (void)close(fd);
        (void)printf("first password %s %s\n", app->first.login, app->first_file);
    }
    explicit_bzero(app->first.password, sizeof app->first.password);
    return rc;
}

/* ---- for subcommands ---- */

static const struct room OPEN_ROOMS[] = {
    { "store", store_room_start, store_room_stop, NULL },
    { "node", node_room_start, node_room_stop, NULL },
    { "keys", keys_room_start, keys_room_stop, NULL },
    { "bus", bus_room_start, bus_room_stop, NULL },
    { "audit", audit_room_start, audit_room_stop, NULL },
    { "settings", settings_room_start, settings_room_stop, NULL },
    { "identity", identity_room_start, identity_room_stop, NULL },
    { "packs", packs_start, packs_stop, NULL },
    { "entity", entity_start, entity_stop, NULL },
};
enum { OPEN_ROOMS_COUNT = sizeof OPEN_ROOMS / sizeof *OPEN_ROOMS };

static int rooms_up_to(const char *last)
{
    int count = 0;
    while (count < OPEN_ROOMS_COUNT && strcmp(OPEN_ROOMS[count].name, last) != 0)
        count++;
    return count < OPEN_ROOMS_COUNT ? count + 1 : OPEN_ROOMS_COUNT;
}

enum err_code app_open(struct app *app, struct cmd *cmd, const char *last, struct err *err)
{
    enum err_code rc = app_init(app, cmd, true, err);
    if (!rc)
        rc = app_start(app, OPEN_ROOMS, rooms_up_to(last), err);
    if (rc)
        app_done(app);
    return rc;
}

void app_close(struct app *app, const char *last)
{
    app_stop(app, OPEN_ROOMS, rooms_up_to(last));
    app_done(app);
}
