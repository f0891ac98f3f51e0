/* key.c - bihuan key rotate: a new master key, and everything sealed anew with it.
 *
 * The server does it when it runs, else this process: the same job either way, so that what is broken off
 * here is gone on with by the next server. */
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/control_ops.h"
#include "cmd/rooms.h"
#include "crypto/keyring.h"
#include "platform/audit/audit.h"
#include "platform/bus/broadcast.h"
#include "platform/bus/lease.h"
#include "platform/rekey/rekey.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 200

/* ---- the room ---- */

static void on_keys_news(void *arg, const struct bus_event *event)
{
    struct err err;
    (void)event;
    if (key_ring_reload(arg, &err))
        log_err(&err, "key.reload", "keeps the keys it has");
}

static enum err_code register_job(struct app *app, struct err *err)
{
    struct rekey *rekey = arena_alloc(app->arena, 1, sizeof *rekey);
    if (!rekey)
        return err_nomem(err);
    *rekey = (struct rekey) { .store = app->store,
                              .keys = app->keys,
                              .entity = app->entity,
                              .identity = app->identity,
                              .settings = app->settings };
    return rekey_register(rekey, app->jobs, err);
}

enum err_code rekey_room_start(struct app *app, struct err *err)
{
    const enum err_code rc = register_job(app, err);
    return rc ? rc : bus_subscribe(app->bus, "keys.changed", on_keys_news, app->keys, NULL, err);
}

enum err_code rekey_room_reload(struct app *app, struct err *err)
{
    return key_ring_reload(app->keys, err);
}

/* ---- what is done, in the server or here ---- */

struct rotation {
    struct app *app;
    int64_t key, job;
};

static enum err_code rotate_fn(struct tx *tx, void *arg, struct err *err)
{
    struct rotation *rotation = arg;
    const struct app *app = rotation->app;
    const struct audit_line line = { .action = "rotate",
                                     .object_type = STR("core.key"),
                                     .object_id = rotation->key };
    const struct bus_event event = { .topic = STR("keys.changed"), .subject_id = rotation->key };
    enum err_code rc = rekey_add(app->jobs, tx, rotation->key, 0, &rotation->job, err);
    if (!rc)
        rc = audit_write(app->audit, tx, &line, err);
    if (!rc)
        rc = broadcast_add(app->broadcast, tx, &event, err);
    return rc;
}

/* The file first: a job without its key could do nothing, a key without a job seals what is written and the
 * weekly job does the rest. */
static enum err_code op_rotate(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    struct rotation rotation = { .app = app };
    (void)args;
    enum err_code rc = key_ring_grow(app->keys, err);
    rotation.key = rc ? 0 : key_ring_newest(app->keys);
    if (!rc)
        rc = store_write(app->store, rotate_fn, &rotation, err);
    if (!rc &&
        !(*out = json_pack("{s:I,s:I}", "key", (json_int_t)rotation.key, "job", (json_int_t)rotation.job)))
        rc = err_nomem(err);
    return rc;
}

static json_t *load_text(struct str text)
{
    json_t *json = text.len ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
    return json ? json : json_object();
}

static enum err_code op_job(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    struct job_info info;
    if (!arena)
        return err_nomem(err);
    const enum err_code rc =
        jobs_get(app->jobs, arena, json_integer_value(json_object_get(args, "job")), &info, err);
    if (rc)
        return rc;
    *out =
        json_pack("{s:s,s:b,s:o,s:o}", "state", job_state_name(info.state), "ended", info.state >= JOB_DONE,
                  "result", load_text(info.result), "error", load_text(info.error));
    return *out ? ERR_OK : err_nomem(err);
}

const struct control_op KEY_OPS[] = {
    { "key.rotate", op_rotate },
    { "key.job", op_job },
    { 0 },
};

/* ---- the command line ---- */

static void nap(void)
{
    const struct timespec time = { .tv_nsec = LOOK_MS * 1000000L };
    (void)nanosleep(&time, NULL);
}

static void print_made(const json_t *made)
{
    (void)printf("key %" JSON_INTEGER_FORMAT "\njob %" JSON_INTEGER_FORMAT "\n",
                 json_integer_value(json_object_get(made, "key")),
                 json_integer_value(json_object_get(made, "job")));
    (void)fflush(stdout);
}

/* `ended` is the answer of key.job. */
static int print_ended(struct cmd *cmd, const json_t *made, const json_t *ended)
{
    const json_t *result = json_object_get(ended, "result");
    const char *state = json_string_value(json_object_get(ended, "state"));
    const char *first = json_string_value(json_object_get(result, "first"));
    struct err err;
    if (strcmp(state, job_state_name(JOB_DONE)) != 0) {
        (void)err_set(&err, ERR_INTERNAL, "key.stopped",
                      ARG_INT("job", json_integer_value(json_object_get(made, "job"))),
                      ARG_TEXT("state", state), ARG_END);
        (void)cmd_fail(cmd, &err);
        return CMD_SURROUNDINGS;
    }
    static const char *const counts[] = { "seen", "resealed", "missing", "broken" };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        (void)printf("%s %" JSON_INTEGER_FORMAT "\n", counts[i],
                     json_integer_value(json_object_get(result, counts[i])));
    const json_int_t unopened = json_integer_value(json_object_get(result, "missing")) +
                                json_integer_value(json_object_get(result, "broken"));
    if (!unopened)
        return CMD_OK;
    (void)err_set(&err, ERR_CORRUPT, "key.unopened", ARG_INT("n", unopened),
                  ARG_TEXT("first", first ? first : ""), ARG_END);
    (void)cmd_fail(cmd, &err);
    return CMD_NO;
}

/* Looks until the job has ended.  `app` NULL: asks the server. */
static enum err_code wait_job(struct cmd *cmd, struct app *app, const json_t *made, struct arena *arena,
                              json_t **out, struct err *err)
{
    for (;;) {
        json_t *args = json_pack("{s:O}", "job", json_object_get(made, "job"));
        enum err_code rc;
        if (app) {
            rc = op_job(app, args, out, err);
            json_decref(args);
        } else {
            rc = control_call(cmd->data, "key.job", args, arena, out, err);
        }
        if (rc || json_is_true(json_object_get(*out, "ended")))
            return rc;
        json_decref(*out);
        *out = NULL;
        nap();
    }
}

static enum err_code start_jobs(struct app *app, struct err *err)
{
    enum err_code rc = jobs_new(app->store, &app->ids, app->bus, node_owner(app->node), &app->jobs, err);
    return rc ? rc : register_job(app, err);
}

static enum err_code rotate_here(struct cmd *cmd, json_t **out_ended, json_t **out_made, struct err *err)
{
    char path[2200];
    struct app app;
    /* What is no installation yet is not made one. */
    (void)snprintf(path, sizeof path, "%.2000s/bihuan.db", cmd->data);
    if (!cmd->database && access(path, F_OK) != 0)
        return err_set(err, ERR_NOT_FOUND, "key.none", ARG_TEXT("path", cmd->data), ARG_END);
    log_level_set(LOG_WARN); /* what the job does is printed */
    enum err_code rc = app_open(&app, cmd, "entity", err);
    if (rc)
        return rc;
    rc = start_jobs(&app, err);
    if (!rc)
        rc = op_rotate(&app, NULL, out_made, err);
    if (!rc) {
        print_made(*out_made);
        rc = jobs_start(app.jobs, 1, err);
    }
    if (!rc)
        rc = wait_job(cmd, &app, *out_made, NULL, out_ended, err);
    jobs_free(app.jobs);
    app.jobs = NULL;
    app_close(&app, "entity");
    return rc;
}

int cmd_key(struct cmd *cmd, int argc, char **argv)
{
    const char *words[1];
    bool no_wait = false;
    int count = 0, exit_status = CMD_OK;
    struct err err = { 0 };
    const struct cmd_option options[] = { { .name = "--no-wait", .flag = &no_wait }, { 0 } };
    if (!cmd_options(cmd, argc, argv, options, words, 1, &count, &exit_status))
        return exit_status;
    if (count != 1 || strcmp(words[0], "rotate") != 0)
        return cmd_usage(cmd);
    json_t *made = NULL, *ended = NULL;
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    enum err_code rc =
        arena ? control_call(cmd->data, "key.rotate", json_object(), arena, &made, &err) : err_nomem(&err);
    if (!rc) {
        print_made(made);
        if (!no_wait)
            rc = wait_job(cmd, NULL, made, arena, &ended, &err);
    } else if (control_is_none(rc, &err)) {
        rc = rotate_here(cmd, &ended, &made, &err);
    }
    if (rc)
        exit_status = cmd_fail(cmd, &err);
    else if (ended)
        exit_status = print_ended(cmd, made, ended);
    json_decref(made);
    json_decref(ended);
    return exit_status;
}
