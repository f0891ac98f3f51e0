/* rooms_notify.c - the room of notices: channels and templates are records, held in memory and followed. */
#include "base/log.h"
#include "cmd/rooms.h"
#include "platform/bus/bus.h"
#include "platform/entity/entity.h"
#include "platform/notify/routes.h"

#include <stdio.h>

struct loading {
    struct app *app;
    bool templates;
};

static enum channel_tls tls_from(struct str name)
{
    return str_eq(name, STR("never"))    ? CHANNEL_TLS_NEVER
           : str_eq(name, STR("always")) ? CHANNEL_TLS_ALWAYS
                                         : CHANNEL_TLS_TRY;
}

static void copy(char *out, size_t size, struct str text)
{
    (void)snprintf(out, size, "%.*s", STR_ARG(text));
}

static enum err_code take_channel(struct app *app, int64_t id, const json_t *record, struct err *err)
{
    const int kind = channel_kind_from(record_str(record, "kind"));
    struct channel channel = { .id = id,
                               .kind = kind < 0 ? CHANNEL_WEBHOOK : (enum channel_kind)kind,
                               .tls = tls_from(record_str(record, "tls")),
                               .enabled = kind >= 0 && record_bool(record, "enabled") };
    copy(channel.code, sizeof channel.code, record_str(record, "code"));
    copy(channel.url, sizeof channel.url, record_str(record, "url"));
    copy(channel.sender, sizeof channel.sender, record_str(record, "sender"));
    copy(channel.login, sizeof channel.login, record_str(record, "login"));
    copy(channel.password, sizeof channel.password, record_str(record, "password"));
    copy(channel.body, sizeof channel.body, record_str(record, "body"));
    const enum err_code rc = notify_channel_set(app->notify, &channel, err);
    explicit_bzero(channel.password, sizeof channel.password);
    return rc;
}

static enum err_code take(void *arg, int64_t id, const json_t *record, struct err *err)
{
    const struct loading *loading = arg;
    if (!loading->templates)
        return take_channel(loading->app, id, record, err);
    return notify_template_set(loading->app->notify, id, record_str(record, "code"),
                               lang_from(record_str(record, "lang")), record_str(record, "title"),
                               record_str(record, "text"), err);
}

static enum err_code load_fn(struct tx *tx, void *arg, struct err *err)
{
    struct loading *loading = arg;
    const char *full = loading->templates ? "core.template" : "core.channel";
    const struct entity_type *type = entity_type_find(loading->app->entity, full);
    const struct entity_call call = { .entity = loading->app->entity, .arena = tx_arena(tx) };
    return type ? entity_each(&call, tx, type, (struct str) { 0 }, take, loading, err) : ERR_OK;
}

static enum err_code load(struct app *app, bool templates, struct err *err)
{
    struct loading loading = { app, templates };
    return store_read(app->store, load_fn, &loading, err);
}

/* A record of ours changed, here or on another node. */
static void on_record(void *arg, const struct bus_event *event)
{
    struct app *app = arg;
    struct err err;
    const bool channel = str_find(event->json, STR("\"core.channel\"")) >= 0;
    if (!channel && str_find(event->json, STR("\"core.template\"")) < 0)
        return;
    if (str_eq(event->topic, STR("record.deleted"))) {
        if (channel)
            notify_channel_remove(app->notify, event->subject_id);
        else
            notify_template_remove(app->notify, event->subject_id);
    } else if (load(app, !channel, &err)) {
        log_err(&err, "notify.load", "channels and templates stay as they were");
    }
}

static bool is_user(void *arg, const void *who)
{
    return ((const struct principal *)who)->user_id == *(const int64_t *)arg;
}

static void on_notice(void *arg, const struct bus_event *event)
{
    const struct app *app = arg;
    int64_t user = event->subject_id;
    http_event_publish(app->http, "notice", STR("{}"), is_user, &user);
}

enum err_code notify_room_start(struct app *app, struct err *err)
{
    const struct notify_config config = { .store = app->store,
                                          .ids = &app->ids,
                                          .outbox = app->outbox,
                                          .words = app->words,
                                          .clock = app->clock,
                                          .client = app->client,
                                          .public_url = app->conf.public_url,
                                          .bus = app->bus };
    struct notify_routes *routes = arena_alloc(app->arena, 1, sizeof *routes);
    if (!routes)
        return err_nomem(err);
    enum err_code rc = notify_new(&config, &app->notify, err);
    if (!rc)
        rc = load(app, false, err);
    if (!rc)
        rc = load(app, true, err);
    if (!rc)
        rc = bus_subscribe(app->bus, "record.*", on_record, app, NULL, err);
    if (!rc)
        rc = bus_subscribe(app->bus, "notice.new", on_notice, app, NULL, err);
    if (rc)
        return rc;
    *routes = (struct notify_routes) { .store = app->store, .notify = app->notify, .audit = app->audit };
    return http_add_routes(app->http, NOTIFY_ROUTES, routes, err);
}

void notify_room_stop(struct app *app)
{
    notify_free(app->notify);
    app->notify = NULL;
}

enum err_code notify_room_reload(struct app *app, struct err *err)
{
    (void)err;
    notify_public_url(app->notify, app->conf.public_url);
    return ERR_OK;
}
