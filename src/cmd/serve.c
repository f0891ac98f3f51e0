/* serve.c - bihuan serve: the rooms in the order in which they start, and the life of the process. */
#include "base/log.h"
#include "base/cond.h"
#include "cmd/app.h"
#include "cmd/backup.h"
#include "cmd/commands.h"
#include "cmd/control.h"
#include "cmd/control_ops.h"
#include "cmd/rooms.h"
#include "observe/observe.h"
#include "net/client.h"
#include "platform/audit/audit.h"
#include "platform/decision/decision.h"
#include "platform/notify/notify.h"
#include "store/store.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define DRAIN_MS 25000

/* ---- the rooms; each start is a few lines that hand one room what it needs ---- */

static enum err_code decision_start(struct app *app, struct err *err)
{
    const struct decisions_config config = { .store = app->store,
                                             .ids = &app->ids,
                                             .audit = app->audit,
                                             .broadcast = app->broadcast,
                                             .words = app->words,
                                             .clock = app->clock };
    app->decisions = decisions_new(&config);
    if (!app->decisions)
        return err_nomem(err);
    const enum err_code rc = decisions_take_packs(app->decisions, app->packs, err);
    return rc ? rc : http_add_routes(app->http, DECISION_ROUTES, app->decisions, err);
}

static void decision_stop(struct app *app)
{
    decisions_free(app->decisions);
    app->decisions = NULL;
}

/* ---- what is done again and again ---- */

struct ticker {
    struct app *app;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

static void each_second(struct app *app, int64_t second)
{
    struct err err;
    if (audit_flush(app->audit, &err))
        log_err(&err, "audit.flush", "reads wait in memory");
    notify_flush(app->notify);
    if (second % 60 == 0 && audit_checkpoint(app->audit, &err))
        log_err(&err, "audit.checkpoint", "next try in a minute");
    if (second % 10 == 0 && identity_watch(app->identity, &err))
        log_err(&err, "identity.watch", "live pages are looked after in ten seconds again");
    if (second % 3600 == 0) {
        if (store_periods_ensure(app->store, &err))
            log_err(&err, "store.periods", "next try in an hour");
        if (identity_tidy(app->identity, &err))
            log_err(&err, "identity.tidy", "next try in an hour");
    }
}

static void *tick(void *arg)
{
    struct ticker *ticker = arg;
    int64_t second = 1;
    (void)pthread_mutex_lock(&ticker->lock);
    while (!ticker->stop) {
        (void)cond_wait_ms(&ticker->wake, &ticker->lock, 1000);
        if (ticker->stop)
            break;
        (void)pthread_mutex_unlock(&ticker->lock);
        each_second(ticker->app, second++);
        (void)pthread_mutex_lock(&ticker->lock);
    }
    (void)pthread_mutex_unlock(&ticker->lock);
    return NULL;
}

static enum err_code ticker_start(struct app *app, struct err *err)
{
    struct ticker *ticker = arena_alloc(app->arena, 1, sizeof *ticker);
    if (!ticker)
        return err_nomem(err);
    ticker->app = app;
    (void)pthread_mutex_init(&ticker->lock, NULL);
    cond_init(&ticker->wake);
    const int failed = pthread_create(&ticker->thread, NULL, tick, ticker);
    if (failed)
        return err_set(err, ERR_INTERNAL, "net.thread", ARG_ERRNO(failed), ARG_END);
    app->ticker = ticker;
    return ERR_OK;
}

static void ticker_stop(struct app *app)
{
    struct ticker *ticker = app->ticker;
    if (!ticker)
        return;
    (void)pthread_mutex_lock(&ticker->lock);
    ticker->stop = true;
    (void)pthread_cond_signal(&ticker->wake);
    (void)pthread_mutex_unlock(&ticker->lock);
    (void)pthread_join(ticker->thread, NULL);
    app->ticker = NULL;
}

/* ---- the HTTP server: made early, for rooms add their routes; listens last ---- */

static struct http_config http_config_of(const struct app *app, const char *web_dir)
{
    const struct conf *conf = &app->conf;
    return (struct http_config) {
        .host = conf->host,
        .port = (int)conf->port,
        .web_dir = web_dir,
        .temp_dir = app->data,
        .tls_cert_file = conf->tls_cert,
        .tls_key_file = conf->tls_key,
        .proxies = conf->proxies,
        .metrics_from = conf->metrics_from,
        .metrics_token = conf->metrics_token,
        .words = app->words,
        .clock = app->clock,
        .limits = { .workers = (int)conf->workers,
                    .queue = (int)conf->queue,
                    .connections = (int)conf->connections,
                    .connections_each = (int)conf->connections_each,
                    .io_threads = (int)conf->io_threads,
                    .body_max = (size_t)conf->body_kb << 10,
                    .upload_max = conf->upload_mb << 20,
                    .deadline_ms = (int)conf->deadline_s * 1000 },
    };
}

static enum err_code http_open(struct app *app, struct err *err)
{
    char web[2200];
    const char *web_dir = app->conf.web;
    if (!web_dir && cmd_asset("web/dist", web, sizeof web))
        web_dir = arena_str(app->arena, str_from(web)).ptr;
    const struct http_config config = http_config_of(app, web_dir);
    const enum err_code rc = http_new(&config, &app->http, err);
    if (rc)
        return rc;
    const enum err_code added = http_add_routes(app->http, CORE_ROUTES, app, err);
    return added ? added : http_add_routes(app->http, API_ROUTES, app, err);
}

static void http_close(struct app *app)
{
    http_free(app->http);
    app->http = NULL;
}

static enum err_code client_open(struct app *app, struct err *err)
{
    const struct client_config config = { .ca_file = NULL };
    return client_new(&config, &app->client, err);
}

static void client_close(struct app *app)
{
    client_free(app->client);
    app->client = NULL;
}

static enum err_code is_ready(void *ctx, struct err *err)
{
    const struct app *app = ctx;
    return store_ping(app->store, err);
}

static void put_metrics(void *ctx, struct buf *out)
{
    const struct app *app = ctx;
    struct store_stats stats;
    store_stats(app->store, &stats);
    buf_printf(out,
               "# TYPE bihuan_store_writes_total counter\nbihuan_store_writes_total %lld\n"
               "# TYPE bihuan_store_commits_total counter\nbihuan_store_commits_total %lld\n"
               "# TYPE bihuan_store_reads_total counter\nbihuan_store_reads_total %lld\n"
               "# TYPE bihuan_store_retries_total counter\nbihuan_store_retries_total %lld\n"
               "# TYPE bihuan_store_timeouts_total counter\nbihuan_store_timeouts_total %lld\n"
               "# TYPE bihuan_store_waiting gauge\nbihuan_store_waiting %d\n",
               (long long)stats.writes, (long long)stats.commits, (long long)stats.reads,
               (long long)stats.retries, (long long)stats.timeouts, stats.waiting);
    if (app->observe)
        observe_metrics(app->observe, out);
}

/* The last one: from here on requests come in. */
static enum err_code listen_start(struct app *app, struct err *err)
{
    struct http_hooks hooks = { .health_ctx = app, .metrics = put_metrics, .ready = is_ready };
    identity_hooks(app->identity, &hooks);
    http_set_hooks(app->http, &hooks);
    return http_start(app->http, err);
}

/* The first one to stop: what runs is answered, nothing new comes in. */
static void listen_stop(struct app *app)
{
    observe_wake(app->observe); /* probe nodes that wait for news */
    http_drain(app->http, DRAIN_MS);
}

static enum err_code listen_reload(struct app *app, struct err *err)
{
    const struct http_config config = http_config_of(app, app->conf.web);
    return http_reload(app->http, &config, err);
}

/* What subcommands may ask a running server; one table a file. */
static const struct control_op *const CONTROL_OPS[] = { USER_OPS, BACKUP_OPS, TABLE_OPS,
                                                        KEY_OPS,  SLA_OPS,    NULL };

static enum err_code control_room_start(struct app *app, struct err *err)
{
    return control_start(app, CONTROL_OPS, err);
}

/* clang-format off */
static const struct room ROOMS[] = {
    /* name       start             stop            reload; stopped from the last to the first */
    { "store",    store_room_start,      store_room_stop,     NULL },
    { "node",     node_room_start,       node_room_stop,       NULL },
    { "keys",     keys_room_start,       keys_room_stop,      NULL },
    { "http",     http_open,        http_close,     NULL },
    { "client",   client_open,      client_close,   NULL },
    { "bus",      bus_room_start,        bus_room_stop,       NULL },
    { "audit",    audit_room_start,      audit_room_stop,     NULL },
    { "settings", settings_room_start,   settings_room_stop,  NULL },
    { "identity", identity_room_start,   identity_room_stop,   NULL },
    { "jobs",     jobs_room_start,  jobs_room_stop, NULL },
    { "files",    files_start,      files_stop,     NULL },
    { "packs",    packs_start,      packs_stop,     packs_room_reload },
    { "decision", decision_start,   decision_stop,  NULL },
    { "entity",   entity_start,     entity_stop,    NULL },
    { "rekey",    rekey_room_start, NULL,           rekey_room_reload },
    { "query",    query_start,      query_stop,     NULL },
    { "notify",   notify_room_start, notify_room_stop, notify_room_reload },
    { "handle",   handle_room_start, handle_room_stop, NULL }, /* hears of alarms: before they begin */
    { "subjects", subjects_room_start, subjects_room_stop, NULL },
    { "warn",     warn_room_start,  warn_room_stop, NULL },
    { "watch",    watch_room_start, watch_room_stop, NULL },
    { "learn",    learn_room_start, learn_room_stop, NULL },
    { "clocks",   clocks_room_start, clocks_room_stop, NULL },
    { "base",     base_room_start,  NULL,           NULL },
    { "ticker",   ticker_start,     ticker_stop,    NULL },
    { "work",     work_room_start,  work_room_stop, NULL }, /* after all that register consumers and kinds */
    { "control",  control_room_start, control_stop, NULL },
    { "listen",   listen_start,     listen_stop,    listen_reload },
};
/* clang-format on */
enum { ROOMS_COUNT = sizeof ROOMS / sizeof *ROOMS };

/* ---- options ---- */

static bool read_options(struct app *app, struct cmd *cmd, int argc, char **argv, int *out_exit)
{
    const char *host = NULL, *packs = NULL, *roles = NULL;
    int64_t port = -1;
    bool demo = false;
    const struct cmd_option options[] = {
        { .name = "--host", .text = &host },   { .name = "--port", .number = &port, .min = 0, .max = 65535 },
        { .name = "--packs", .text = &packs }, { .name = "--roles", .text = &roles },
        { .name = "--demo", .flag = &demo },   { 0 },
    };
    struct err err;
    if (!cmd_options(cmd, argc, argv, options, NULL, 0, NULL, out_exit))
        return false;
    if (roles && strcmp(roles, "web,work,collect") != 0) {
        (void)err_set(&err, ERR_UNSUPPORTED, "serve.roles", ARG_TEXT("roles", roles), ARG_END);
        *out_exit = cmd_fail(cmd, &err);
        return false;
    }
    if (app_init(app, cmd, true, &err)) {
        app_done(app);
        *out_exit = cmd_fail(cmd, &err);
        return false;
    }
    app->conf.host = host ? host : app->conf.host;
    app->conf.port = port >= 0 ? port : app->conf.port;
    app->conf.packs = packs ? packs : app->conf.packs;
    app->demo = demo;
    return true;
}

/* ---- the life ---- */

static void set_log_level(const char *name)
{
    static const char *const names[LOG__COUNT] = { "debug", "info", "warn", "error" };
    for (int level = 0; level < LOG__COUNT; level++)
        if (strcmp(name, names[level]) == 0)
            log_level_set((enum log_level)level);
}

static void tell_difference(void *arg, const char *name, bool live)
{
    (void)arg;
    if (live)
        log_line(LOG_INFO, "serve.conf_changed", "%s", name);
    else
        log_line(LOG_WARN, "serve.conf_restart", "%s is another one in bihuan.conf: needs a restart", name);
}

/* The file is compared with what it was, so that options of the command line go on winning over it. */
static enum err_code reload_conf(struct app *app, struct err *err)
{
    struct conf fresh;
    struct arena *arena = arena_new(APP_CONF_BYTES_MAX);
    if (!arena)
        return err_nomem(err);
    const enum err_code rc = conf_load(arena, app->data, &fresh, NULL, err);
    if (rc) {
        arena_free(arena);
        return rc;
    }
    conf_compare(&app->file, &fresh, tell_difference, NULL);
    conf_take_live(&app->file, &fresh);
    conf_take_live(&app->conf, &fresh);
    arena_free(app->live_arena); /* of the last reload: nothing points there now */
    app->live_arena = arena;
    set_log_level(app->conf.log_level);
    return ERR_OK;
}

static void reload(struct app *app)
{
    struct err failed;
    if (reload_conf(app, &failed))
        log_err(&failed, "serve.reload", "bihuan.conf: what it said before holds");
    else if (cmd_load_words((struct words *)(uintptr_t)app->words, &failed))
        log_err(&failed, "serve.reload", "words: some stay as they were");
    for (int i = 0; i < ROOMS_COUNT; i++) {
        struct err err;
        if (ROOMS[i].reload && ROOMS[i].reload(app, &err))
            log_err(&err, "serve.reload", "room %s keeps what it had", ROOMS[i].name);
    }
    log_line(LOG_INFO, "serve.reloaded", "by SIGHUP");
}

static void wait_for_the_end(struct app *app, const sigset_t *signals)
{
    for (;;) {
        int signal_number = 0;
        if (sigwait(signals, &signal_number) != 0)
            continue;
        if (signal_number == SIGHUP) {
            reload(app);
            continue;
        }
        log_line(LOG_INFO, "serve.stopping", "signal %d", signal_number);
        return;
    }
}

/* Large blocks (password hashes, results) go back to the system at once, and threads share a few heaps:
 * else the process keeps what its busiest second needed. */
static void tune_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 512 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
    (void)mallopt(M_ARENA_MAX, 4);
}

int cmd_serve(struct cmd *cmd, int argc, char **argv)
{
    tune_memory();
    struct app app;
    struct err err;
    int exit_status = CMD_OK;
    if (!read_options(&app, cmd, argc, argv, &exit_status))
        return exit_status;
    set_log_level(app.conf.log_level);
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread is started */
    if (app_start(&app, ROOMS, ROOMS_COUNT, &err)) {
        app_done(&app);
        (void)cmd_fail(cmd, &err);
        return CMD_SURROUNDINGS;
    }
    (void)printf("address %s\n", http_address(app.http));
    if (app_tell_first(&app, &err)) {
        app_stop(&app, ROOMS, ROOMS_COUNT);
        app_done(&app);
        return cmd_fail(cmd, &err);
    }
    http_ready(app.http, true);
    (void)printf("ready\n");
    (void)fflush(stdout);
    wait_for_the_end(&app, &signals);
    app_stop(&app, ROOMS, ROOMS_COUNT);
    app_done(&app);
    return CMD_OK;
}
