/* rooms_learn.c - see rooms.h: services at a glance and what is owed. */
#include "cmd/rooms.h"
#include "learn/overview.h"

enum err_code learn_room_start(struct app *app, struct err *err)
{
    struct overview *overview = arena_alloc(app->arena, 1, sizeof *overview);
    if (!overview)
        return err_nomem(err);
    *overview = (struct overview) { .entity = app->entity,
                                    .store = app->store,
                                    .alarms = app->alarms,
                                    .clock = app->clock,
                                    .words = app->words };
    return http_add_routes(app->http, OVERVIEW_ROUTES, overview, err);
}
