/* rooms_watch.c - see rooms.h: checks are run and judged. */
#include "base/log.h"
#include "cmd/rooms.h"
#include "judge/trigger/trigger.h"
#include "observe/follow.h"
#include "observe/observe.h"
#include "platform/entity/entity.h"
#include "warn/alarms.h"

struct watch {
    struct app *app;
    struct triggers *triggers;
    struct follow *follow; /* of ops.trigger */
};

/* A verdict becomes an alarm, or ends one. */
static void on_verdict(void *ctx, const struct trigger_verdict *verdict)
{
    const struct watch *watch = ctx;
    struct err err = { 0 };
    enum err_code rc = ERR_OK;
    if (!watch->app->alarms)
        return;
    const struct alarm_signal signal = { .key = verdict->key,
                                         .subject = verdict->subject,
                                         .source = verdict->trigger,
                                         .service = verdict->service,
                                         .org = verdict->org,
                                         .grade = verdict->grade,
                                         .title = verdict->title,
                                         .value = verdict->value,
                                         .at_ms = verdict->at_ms };
    if (verdict->problem)
        rc = alarms_raise(watch->app->alarms, &signal, &err);
    else
        rc = alarms_clear(watch->app->alarms, verdict->key, verdict->value, verdict->at_ms, &err);
    if (rc)
        log_err(&err, "watch.alarm", "%.*s is not passed on", STR_ARG(verdict->key));
}

static void on_results(void *ctx, int64_t node, const struct collect_result *results, size_t count)
{
    const struct watch *watch = ctx;
    triggers_feed(watch->triggers, node, results, count);
}

static void on_check(void *ctx, int64_t id, const struct check_info *info, bool removed)
{
    const struct watch *watch = ctx;
    struct err err = { 0 };
    const struct trigger_check check = { .id = id,
                                         .subject = info->subject,
                                         .service = info->service,
                                         .org = info->org,
                                         .kind = info->kind,
                                         .interval_ms = info->interval_ms,
                                         .nodes = info->nodes,
                                         .name = info->name };
    if (removed)
        triggers_check_remove(watch->triggers, id);
    else if (triggers_check_set(watch->triggers, &check, &err))
        log_err(&err, "watch.check", "check %lld is not judged", (long long)id);
}

static void on_tick(void *ctx)
{
    const struct watch *watch = ctx;
    triggers_tick(watch->triggers);
}

static enum err_code on_trigger(void *ctx, int64_t id, const json_t *record, struct err *err)
{
    const struct watch *watch = ctx;
    return triggers_set(watch->triggers, id, record, err);
}

static void on_trigger_gone(void *ctx, int64_t id)
{
    const struct watch *watch = ctx;
    triggers_remove(watch->triggers, id);
}

/* What a trigger would refuse is refused when it is written. */
static enum err_code trigger_hook(void *arg, const struct entity_call *call, struct tx *tx,
                                  struct entity_change *change, struct err *err)
{
    (void)arg;
    (void)call;
    (void)tx;
    return change->op == ENTITY_DELETE ? ERR_OK : trigger_validate(change->after, err);
}

enum err_code watch_room_start(struct app *app, struct err *err)
{
    struct watch *watch = arena_alloc(app->arena, 1, sizeof *watch);
    if (!watch)
        return err_nomem(err);
    watch->app = app;
    app->watch = watch;
    collect_raise_limit();
    const struct triggers_config triggers = {
        .clock = app->clock, .verdict = on_verdict, .ctx = watch, .lang = LANG_ZH, .words = app->words
    };
    const struct observe_config observe = {
        .store = app->store,
        .entity = app->entity,
        .bus = app->bus,
        .audit = app->audit,
        .http = app->http,
        .ids = &app->ids,
        .clock = app->clock,
        .data_dir = app->data,
        .disk = app->cmd->disk,
        .ca_file = app->conf.check_ca,
        .feed = on_results,
        .changed = on_check,
        .tick = on_tick,
        .ctx = watch,
    };
    const bool has_ops = entity_type_find(app->entity, "ops.check") != NULL;
    enum err_code rc = triggers_new(&triggers, &watch->triggers, err);
    if (!rc && has_ops)
        rc = observe_hook(app->entity, err);
    if (!rc && has_ops)
        rc = entity_hook_add(app->entity, "ops.trigger", trigger_hook, NULL, err);
    const struct follow_config follow = { .store = app->store,
                                          .entity = app->entity,
                                          .bus = app->bus,
                                          .type = "ops.trigger",
                                          .ctx = watch,
                                          .set = on_trigger,
                                          .remove = on_trigger_gone };
    if (!rc && has_ops)
        rc = follow_open(&follow, &watch->follow, err);
    return rc ? rc : observe_open(&observe, &app->observe, err);
}

void watch_room_stop(struct app *app)
{
    struct watch *watch = app->watch;
    observe_close(app->observe);
    app->observe = NULL;
    if (!watch)
        return;
    follow_close(watch->follow);
    triggers_free(watch->triggers);
    app->watch = NULL;
}
