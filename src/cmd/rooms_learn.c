/* rooms_learn.c - see rooms.h: services at a glance, what is owed, monthly reports and their roll-up. */
#include "base/zone.h"
#include "cmd/rooms.h"
#include "learn/overview.h"
#include "learn/report.h"
#include "observe/observe.h"
#include "platform/jobs/jobs.h"
#include "subject/subjects.h"

#define LATE_DAYS 8 /* samples may come that much later */

/* The days that may still have changed; each hour. */
static enum err_code roll_up_run(void *arg, struct job *job, struct err *err)
{
    const struct app *app = arg;
    const int64_t today = zone_day(app->zone, clock_now(app->clock));
    (void)job;
    return learn_roll_up(app->learn, 0, today - LATE_DAYS, today + 1, err);
}

static bool stands_on(void *ctx, int64_t subject, int64_t base, int64_t at_ms)
{
    const struct app *app = ctx;
    return app->subjects && subjects_stands_on(app->subjects, subject, base, at_ms);
}

enum err_code learn_room_start(struct app *app, struct err *err)
{
    const struct learn_config config = { .store = app->store,
                                         .entity = app->entity,
                                         .series = app->observe ? observe_series(app->observe) : NULL,
                                         .clock = app->clock,
                                         .words = app->words,
                                         .zone = app->zone,
                                         .stands_on = stands_on,
                                         .stands_ctx = app };
    const struct job_kind kind = {
        .name = "learn.availability", .run = roll_up_run, .arg = app, .alone = true, .schedule = "7 * * * *"
    };
    struct overview *overview = arena_alloc(app->arena, 1, sizeof *overview);
    if (!overview)
        return err_nomem(err);
    *overview = (struct overview) { .entity = app->entity,
                                    .store = app->store,
                                    .alarms = app->alarms,
                                    .clock = app->clock,
                                    .zone = app->zone,
                                    .words = app->words };
    enum err_code rc = http_add_routes(app->http, OVERVIEW_ROUTES, overview, err);
    if (!rc)
        rc = learn_new(&config, &app->learn, err);
    if (!rc)
        rc = http_add_routes(app->http, LEARN_ROUTES, app->learn, err);
    return rc ? rc : jobs_register(app->jobs, &kind, err);
}

void learn_room_stop(struct app *app)
{
    learn_free(app->learn);
    app->learn = NULL;
}
