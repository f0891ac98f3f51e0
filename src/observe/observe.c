/* observe.c - see observe.h */
#include "observe/observe.h"
#include "base/cond.h"
#include "base/log.h"
#include "observe/follow.h"
#include "observe/routes.h"
#include "observe/states.h"
#include "platform/identity/principal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define MAINTAIN_S 30
#define LIVE_MAX 50 /* changes a second that are told one by one */

struct observe {
    struct observe_config config;
    struct routes_ctx routes;
    struct series_store *series;
    struct checks *checks;
    struct collect *collect;
    struct nodes *nodes;
    struct follow *follow;
    _Atomic int64_t live_second; /* of the live events, and how many went out in it */
    _Atomic int live_count;
    pthread_t ticker, keeper;
    bool ticking, keeping;
    bool known; /* the checks were read, and how they stood */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
};

/* ---- live pages ---- */

static bool sees_all_checks(void *arg, const void *who)
{
    (void)arg;
    return principal_may_all(who, STR("ops.check.read"));
}

static bool sees_some_checks(void *arg, const void *who)
{
    return principal_may(who, STR("ops.check.read")) && !sees_all_checks(arg, who);
}

/* A check turned: what it is now for those who see every check, to the others only that it is worth asking
 * again.  Past LIVE_MAX a second (a line is down, the server begins) pages are told once to load anew. */
static void on_turn(void *ctx, const struct check_turn *turn)
{
    struct observe *observe = ctx;
    const int64_t second = clock_mono(observe->config.clock) / 1000;
    if (atomic_exchange(&observe->live_second, second) != second)
        atomic_store(&observe->live_count, 0);
    const int before = atomic_fetch_add(&observe->live_count, 1);
    struct http_server *http = observe->config.http;
    if (before > LIVE_MAX)
        return;
    if (before == LIVE_MAX || !turn->id) {
        http_event_publish(http, "check", STR("{\"many\":true}"), NULL, NULL);
        return;
    }
    char json[240], node[24] = "local";
    if (turn->node)
        (void)snprintf(node, sizeof node, "%lld", (long long)turn->node);
    int len = snprintf(json, sizeof json,
                       "{\"id\":\"%lld\",\"node\":\"%s\",\"up\":%s,\"cause\":\"%s\",\"subject\":\"%lld\"}",
                       (long long)turn->id, node,
                       turn->state == CHECK_UP     ? "true"
                       : turn->state == CHECK_DOWN ? "false"
                                                   : "null",
                       turn->cause, (long long)turn->subject);
    http_event_publish(http, "check", (struct str) { json, (size_t)len }, sees_all_checks, NULL);
    len = snprintf(json, sizeof json, "{\"id\":\"%lld\"}", (long long)turn->id);
    http_event_publish(http, "check", (struct str) { json, (size_t)len }, sees_some_checks, NULL);
}

static enum err_code check_hook(void *arg, const struct entity_call *call, struct tx *tx,
                                struct entity_change *change, struct err *err)
{
    (void)arg;
    (void)call;
    (void)tx;
    return change->op == ENTITY_DELETE ? ERR_OK : check_validate(change->after, err);
}

enum err_code observe_hook(struct entity *entity, struct err *err)
{
    return entity_hook_add(entity, "ops.check", check_hook, NULL, err);
}

static enum err_code on_check(void *ctx, int64_t id, const json_t *record, struct err *err)
{
    struct observe *observe = ctx;
    return checks_set(observe->checks, id, record, err);
}

static void on_check_gone(void *ctx, int64_t id)
{
    struct observe *observe = ctx;
    checks_remove(observe->checks, id);
}

/* Waits; false when the end has come. */
static bool wait_seconds(struct observe *observe, int seconds)
{
    const int64_t until_ms = clock_mono(&CLOCK_SYSTEM) + (int64_t)seconds * 1000;
    (void)pthread_mutex_lock(&observe->lock);
    while (!observe->stopping && cond_wait_until(&observe->wake, &observe->lock, until_ms))
        ;
    const bool go_on = !observe->stopping;
    (void)pthread_mutex_unlock(&observe->lock);
    return go_on;
}

static void *tick(void *arg)
{
    struct observe *observe = arg;
    while (wait_seconds(observe, 1))
        observe->config.tick(observe->config.ctx);
    return NULL;
}

static void states_path(const struct observe *observe, char out[2300])
{
    (void)snprintf(out, 2300, "%.2200s/checks.json", observe->config.data_dir);
}

static void save_states(struct observe *observe)
{
    char path[2300];
    struct err err = { 0 };
    states_path(observe, path);
    if (states_save(observe->config.disk, path, observe->checks, &err))
        log_err(&err, "states.save", "the states of checks as they were before stay");
}

static void load_states(struct observe *observe)
{
    char path[2300];
    struct err err = { 0 };
    states_path(observe, path);
    if (states_load(path, observe->checks, &err))
        log_err(&err, "states.load", "checks begin without what was known of them");
}

static void *keep(void *arg)
{
    struct observe *observe = arg;
    while (wait_seconds(observe, MAINTAIN_S)) {
        struct err err = { 0 };
        if (checks_turned(observe->checks))
            save_states(observe);
        if (series_maintain(observe->series, &err))
            log_err(&err, "series.maintain", "tried again in %d s", MAINTAIN_S);
    }
    return NULL;
}

static enum err_code open_parts(struct observe *observe, struct err *err)
{
    const struct observe_config *config = &observe->config;
    char dir[2300];
    (void)snprintf(dir, sizeof dir, "%.2200s/series", config->data_dir);
    const struct series_config series = { .disk = config->disk, .dir = dir, .clock = config->clock };
    enum err_code rc = series_open(&series, &observe->series, err);
    if (!rc)
        rc = nodes_open(config->store, config->ids, config->clock, config->audit, &observe->nodes, err);
    const struct checks_config checks = { .clock = config->clock,
                                          .series = observe->series,
                                          .feed = config->feed,
                                          .changed = config->changed,
                                          .turned = config->http ? on_turn : NULL,
                                          .turned_ctx = observe,
                                          .ctx = config->ctx };
    if (!rc)
        rc = checks_new(&checks, &observe->checks, err);
    const struct collect_config collect = {
        .clock = config->clock, .ca_file = config->ca_file, .sink = checks_sink, .sink_ctx = observe->checks
    };
    if (!rc)
        rc = collect_start(&collect, &observe->collect, err);
    if (rc)
        return rc;
    checks_collect_set(observe->checks, observe->collect);
    observe->routes = (struct routes_ctx) { .store = config->store,
                                            .entity = config->entity,
                                            .series = observe->series,
                                            .checks = observe->checks,
                                            .nodes = observe->nodes,
                                            .clock = config->clock,
                                            .collect = observe->collect };
    rc = http_add_routes(config->http, OBSERVE_ROUTES, &observe->routes, err);
    const struct follow_config follow = { .store = config->store,
                                          .entity = config->entity,
                                          .bus = config->bus,
                                          .type = "ops.check",
                                          .ctx = observe,
                                          .set = on_check,
                                          .remove = on_check_gone };
    if (!rc && config->entity && entity_type_find(config->entity, "ops.check"))
        rc = follow_open(&follow, &observe->follow, err);
    if (!rc) {
        load_states(observe);
        observe->known = true;
    }
    if (!rc && config->tick) {
        observe->ticking = pthread_create(&observe->ticker, NULL, tick, observe) == 0;
        rc = observe->ticking ? ERR_OK : err_nomem(err);
    }
    if (!rc) {
        observe->keeping = pthread_create(&observe->keeper, NULL, keep, observe) == 0;
        rc = observe->keeping ? ERR_OK : err_nomem(err);
    }
    return rc;
}

enum err_code observe_open(const struct observe_config *config, struct observe **out, struct err *err)
{
    struct observe *observe = mem_alloc(1, sizeof *observe);
    if (!observe)
        return err_nomem(err);
    observe->config = *config;
    (void)pthread_mutex_init(&observe->lock, NULL);
    cond_init(&observe->wake);
    const enum err_code rc = open_parts(observe, err);
    if (rc) {
        observe_close(observe);
        return err_in(err, "observe.open");
    }
    *out = observe;
    return ERR_OK;
}

void observe_wake(struct observe *observe)
{
    if (observe)
        checks_wake(observe->checks);
}

void observe_close(struct observe *observe)
{
    if (!observe)
        return;
    (void)pthread_mutex_lock(&observe->lock);
    observe->stopping = true;
    (void)pthread_cond_broadcast(&observe->wake);
    (void)pthread_mutex_unlock(&observe->lock);
    follow_close(observe->follow);
    if (observe->ticking)
        (void)pthread_join(observe->ticker, NULL);
    if (observe->keeping)
        (void)pthread_join(observe->keeper, NULL);
    collect_stop(observe->collect);
    if (observe->known)
        save_states(observe);
    checks_free(observe->checks);
    nodes_close(observe->nodes);
    series_close(observe->series);
    (void)pthread_mutex_destroy(&observe->lock);
    (void)pthread_cond_destroy(&observe->wake);
    mem_free(observe);
}

struct series_store *observe_series(struct observe *observe)
{
    return observe->series;
}
struct checks *observe_checks(struct observe *observe)
{
    return observe->checks;
}
struct nodes *observe_nodes(struct observe *observe)
{
    return observe->nodes;
}

void observe_metrics(struct observe *observe, struct buf *out)
{
    struct collect_stats collect;
    struct series_stats series;
    collect_stats_get(observe->collect, &collect);
    series_stats_get(observe->series, &series);
    buf_printf(out,
               "# TYPE bihuan_checks gauge\nbihuan_checks %zu\n"
               "# TYPE bihuan_check_runs_total counter\nbihuan_check_runs_total %llu\n"
               "# TYPE bihuan_check_failures_total counter\nbihuan_check_failures_total %llu\n"
               "# TYPE bihuan_check_overruns_total counter\nbihuan_check_overruns_total %llu\n"
               "# TYPE bihuan_check_late_total counter\nbihuan_check_late_total %llu\n"
               "# TYPE bihuan_check_results_dropped_total counter\nbihuan_check_results_dropped_total %llu\n",
               collect.checks, (unsigned long long)collect.done, (unsigned long long)collect.failed,
               (unsigned long long)collect.overrun, (unsigned long long)collect.lag_over_200ms,
               (unsigned long long)collect.dropped);
    buf_printf(out,
               "# TYPE bihuan_series gauge\nbihuan_series %zu\n"
               "# TYPE bihuan_series_samples_total counter\nbihuan_series_samples_total %llu\n"
               "# TYPE bihuan_series_head_bytes gauge\nbihuan_series_head_bytes %zu\n"
               "# TYPE bihuan_series_block_bytes gauge\nbihuan_series_block_bytes %llu\n"
               "# TYPE bihuan_series_log_bytes gauge\nbihuan_series_log_bytes %llu\n",
               series.series, (unsigned long long)series.samples_appended, series.head_bytes,
               (unsigned long long)series.block_bytes, (unsigned long long)series.log_bytes);
}
