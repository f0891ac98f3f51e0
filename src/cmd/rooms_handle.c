/* rooms_handle.c - see rooms.h: cases, their clocks and tasks. */
#include "base/log.h"
#include "cmd/rooms.h"
#include "handle/handle.h"
#include "store/store.h"

static int on_duty(void *ctx, struct tx *tx, int64_t service, int64_t *out_users, int max)
{
    return warn_room_on_duty(ctx, service, tx_arena(tx), out_users, max);
}

enum err_code handle_room_start(struct app *app, struct err *err)
{
    const struct handle_config config = { .store = app->store,
                                          .ids = &app->ids,
                                          .clock = app->clock,
                                          .words = app->words,
                                          .entity = app->entity,
                                          .packs = app->packs,
                                          .outbox = app->outbox,
                                          .audit = app->audit,
                                          .notify = app->notify,
                                          .bus = app->bus,
                                          .server = app->http,
                                          .alarm_type = STR("ops.ticket"),
                                          .on_duty = on_duty,
                                          .on_duty_ctx = app };
    struct findings findings;
    enum err_code rc = findings_init(&findings, app->arena, err);
    if (rc)
        return rc;
    rc = handle_new(&config, &findings, &app->handle, err);
    for (int i = 0; rc && i < findings.count; i++)
        log_err(&findings.items[i], "flow.finding", "finding %d of %d", i + 1,
                findings.count + findings.more);
    return rc;
}

void handle_room_stop(struct app *app)
{
    handle_free(app->handle);
    app->handle = NULL;
}

/* Its thread asks who is on duty: it begins after the rooms that know and stops before them. */
enum err_code clocks_room_start(struct app *app, struct err *err)
{
    return handle_start(app->handle, err);
}

void clocks_room_stop(struct app *app)
{
    if (app->handle)
        handle_stop(app->handle);
}
