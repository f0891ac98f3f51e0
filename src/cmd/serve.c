/* serve.c - bihuan serve: the rooms in the order in which they start, and the life of the process. */
#include "base/log.h"
#include "cmd/app.h"
#include "cmd/commands.h"
#include "cmd/rooms.h"
#include "crypto/digest.h"
#include "crypto/keyring.h"
#include "observe/observe.h"
#include "platform/audit/audit.h"
#include "platform/bus/broadcast.h"
#include "platform/bus/lease.h"
#include "platform/bus/outbox.h"
#include "platform/decision/decision.h"
#include "platform/settings/settings.h"
#include "store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_MS 25000

/* ---- the rooms; each start is a few lines that hand one room what it needs ---- */

static enum err_code store_start(struct app *app, struct err *err)
{
    const struct store_config config = { .url = app->cmd->database,
                                         .data_dir = app->data,
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

static void store_stop(struct app *app)
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

static enum err_code node_begin(struct app *app, struct err *err)
{
    const enum err_code rc = node_start(app->store, node_lost, app, &app->node, err);
    if (!rc)
        ids_init(&app->ids, app->clock, node_number(app->node));
    return rc;
}

static void node_end(struct app *app)
{
    node_stop(app->node);
    app->node = NULL;
}

static enum err_code keys_start(struct app *app, struct err *err)
{
    char path[2200];
    (void)snprintf(path, sizeof path, "%.2000s/keys/master.key", app->data);
    return key_ring_open(app->conf.key_file ? app->conf.key_file : path, true, &app->keys, err);
}

static void keys_stop(struct app *app)
{
    key_ring_free(app->keys);
    app->keys = NULL;
}

static enum err_code bus_start(struct app *app, struct err *err)
{
    app->bus = bus_new();
    if (!app->bus)
        return err_nomem(err);
    enum err_code rc = broadcast_start(app->store, &app->ids, app->bus, &app->broadcast, err);
    if (!rc)
        rc = outbox_new(app->store, &app->ids, app->bus, node_owner(app->node), &app->outbox, err);
    return rc;
}

static void bus_stop(struct app *app)
{
    outbox_free(app->outbox);
    if (app->broadcast)
        broadcast_stop(app->broadcast);
    bus_free(app->bus);
    app->outbox = NULL;
    app->broadcast = NULL;
    app->bus = NULL;
}

static enum err_code audit_start(struct app *app, struct err *err)
{
    app->audit = audit_new(app->store, &app->ids, node_number(app->node), app->keys);
    return app->audit ? ERR_OK : err_nomem(err);
}

static void audit_stop(struct app *app)
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

/* Tables of all rooms; a room that needs its values at start comes behind. */
static const struct setting *const SETTINGS[] = { IDENTITY_SETTINGS };

static void on_settings_news(void *arg, const struct bus_event *event)
{
    struct app *app = arg;
    struct err err;
    (void)event;
    if (settings_refresh(app->settings, NULL, &err))
        log_err(&err, "settings.refresh", "keeps the old ones");
}

static enum err_code settings_start(struct app *app, struct err *err)
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

static void settings_stop(struct app *app)
{
    settings_free(app->settings);
    app->settings = NULL;
}

static void on_identity_news(void *arg, const struct bus_event *event)
{
    (void)event;
    identity_changed(arg);
}

static enum err_code identity_begin(struct app *app, struct err *err)
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
    if (!rc)
        rc = http_add_routes(app->http, IDENTITY_ROUTES, app->identity, err);
    return rc;
}

static void identity_end(struct app *app)
{
    identity_free(app->identity);
    app->identity = NULL;
}

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
    if (second % 60 == 0 && audit_checkpoint(app->audit, &err))
        log_err(&err, "audit.checkpoint", "next try in a minute");
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
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        (void)pthread_cond_timedwait(&ticker->wake, &ticker->lock, &until);
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
    (void)pthread_cond_init(&ticker->wake, NULL);
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

static enum err_code http_open(struct app *app, struct err *err)
{
    char web[2200];
    const struct conf *conf = &app->conf;
    const char *web_dir = conf->web;
    if (!web_dir && cmd_asset("web/dist", web, sizeof web))
        web_dir = arena_str(app->arena, str_from(web)).ptr;
    const struct http_config config = {
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
    const enum err_code rc = http_new(&config, &app->http, err);
    return rc ? rc : http_add_routes(app->http, CORE_ROUTES, app, err);
}

static void http_close(struct app *app)
{
    http_free(app->http);
    app->http = NULL;
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
    return http_reload(app->http, err);
}

/* clang-format off */
static const struct room ROOMS[] = {
    /* name       start             stop            reload; stopped from the last to the first */
    { "store",    store_start,      store_stop,     NULL },
    { "node",     node_begin,       node_end,       NULL },
    { "keys",     keys_start,       keys_stop,      NULL },
    { "http",     http_open,        http_close,     NULL },
    { "bus",      bus_start,        bus_stop,       NULL },
    { "audit",    audit_start,      audit_stop,     NULL },
    { "settings", settings_start,   settings_stop,  NULL },
    { "identity", identity_begin,   identity_end,   NULL },
    { "jobs",     jobs_room_start,  jobs_room_stop, NULL },
    { "packs",    packs_start,      packs_stop,     NULL },
    { "decision", decision_start,   decision_stop,  NULL },
    { "entity",   entity_start,     entity_stop,    NULL },
    { "notify",   notify_room_start, notify_room_stop, NULL },
    { "handle",   handle_room_start, handle_room_stop, NULL }, /* hears of alarms: before they begin */
    { "subjects", subjects_room_start, subjects_room_stop, NULL },
    { "warn",     warn_room_start,  warn_room_stop, NULL },
    { "watch",    watch_room_start, watch_room_stop, NULL },
    { "learn",    learn_room_start, NULL,          NULL },
    { "ticker",   ticker_start,     ticker_stop,    NULL },
    { "work",     work_room_start,  work_room_stop, NULL }, /* after all that register consumers and kinds */
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

static void set_log_level(const char *name)
{
    static const char *const names[LOG__COUNT] = { "debug", "info", "warn", "error" };
    for (int level = 0; level < LOG__COUNT; level++)
        if (strcmp(name, names[level]) == 0)
            log_level_set((enum log_level)level);
}

/* ---- the life ---- */

static void reload(struct app *app)
{
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

/* On a terminal the password itself, else a file that only its owner can read. */
static enum err_code tell_first_password(struct app *app, struct err *err)
{
    enum err_code rc = ERR_OK;
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

int cmd_serve(struct cmd *cmd, int argc, char **argv)
{
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
    if (app.first.made && tell_first_password(&app, &err)) {
        app_stop(&app, ROOMS, ROOMS_COUNT);
        app_done(&app);
        return cmd_fail(cmd, &err);
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    http_ready(app.http, true);
    wait_for_the_end(&app, &signals);
    app_stop(&app, ROOMS, ROOMS_COUNT);
    app_done(&app);
    return CMD_OK;
}
