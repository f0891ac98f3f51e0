/* serve.c - bihuan serve: the rooms in the order in which they start, and the life of the process. */
#include "base/log.h"
#include "cmd/app.h"
#include "cmd/commands.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define DRAIN_MS 25000

/* ---- the rooms; each start is a few lines that hand one room what it needs ---- */

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
    return http_new(&config, &app->http, err);
}

static void http_close(struct app *app)
{
    http_free(app->http);
    app->http = NULL;
}

/* The last one: from here on requests come in. */
static enum err_code listen_start(struct app *app, struct err *err)
{
    return http_start(app->http, err);
}

/* The first one to stop: what runs is answered, nothing new comes in. */
static void listen_stop(struct app *app)
{
    http_drain(app->http, DRAIN_MS);
}

static enum err_code listen_reload(struct app *app, struct err *err)
{
    return http_reload(app->http, err);
}

/* clang-format off */
static const struct room ROOMS[] = {
    /* name       start          stop          reload */
    { "http",     http_open,     http_close,   NULL },
    { "listen",   listen_start,  listen_stop,  listen_reload },
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
    (void)printf("ready\n");
    (void)fflush(stdout);
    http_ready(app.http, true);
    wait_for_the_end(&app, &signals);
    app_stop(&app, ROOMS, ROOMS_COUNT);
    app_done(&app);
    return CMD_OK;
}
