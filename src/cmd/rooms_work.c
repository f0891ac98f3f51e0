/* rooms_work.c - see rooms.h */
#include "cmd/rooms.h"
#include "platform/audit/routes.h"
#include "platform/bus/lease.h"
#include "platform/bus/outbox.h"
#include "platform/identity/principal.h"
#include "platform/jobs/jobs.h"
#include "platform/jobs/routes.h"

#define OUTBOX_THREADS 2
#define JOB_THREADS 2

static bool sees_jobs(void *arg, const void *who)
{
    (void)arg;
    return principal_may(who, STR("core.job.read"));
}

static void on_job_news(void *arg, const struct bus_event *event)
{
    const struct app *app = arg;
    http_event_publish(app->http, "job", event->json, sees_jobs, NULL);
}

enum err_code jobs_room_start(struct app *app, struct err *err)
{
    enum err_code rc = jobs_new(app->store, &app->ids, app->bus, node_owner(app->node), &app->jobs, err);
    if (rc)
        return rc;
    struct jobs_routes *jobs = arena_alloc(app->arena, 1, sizeof *jobs);
    struct audit_routes *audit = arena_alloc(app->arena, 1, sizeof *audit);
    if (!jobs || !audit)
        return err_nomem(err);
    *jobs = (struct jobs_routes) { .store = app->store,
                                   .jobs = app->jobs,
                                   .outbox = app->outbox,
                                   .audit = app->audit,
                                   .words = app->words };
    audit->store = app->store;
    rc = http_add_routes(app->http, JOBS_ROUTES, jobs, err);
    if (!rc)
        rc = http_add_routes(app->http, AUDIT_ROUTES, audit, err);
    if (!rc)
        rc = bus_subscribe(app->bus, "job.*", on_job_news, app, NULL, err);
    return rc;
}

void jobs_room_stop(struct app *app)
{
    jobs_free(app->jobs);
    app->jobs = NULL;
}

enum err_code work_room_start(struct app *app, struct err *err)
{
    const enum err_code rc = outbox_start(app->outbox, OUTBOX_THREADS, err);
    return rc ? rc : jobs_start(app->jobs, JOB_THREADS, err);
}

void work_room_stop(struct app *app)
{
    if (app->jobs)
        jobs_stop(app->jobs);
    if (app->outbox)
        outbox_stop(app->outbox);
}
