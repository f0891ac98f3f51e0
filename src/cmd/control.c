/* control.c - see control.h */
#include "cmd/control.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_S 10     /* for the line of a client */
#define ANSWER_S 3600 /* for the answer of the server: a backup takes its time */

struct control {
    struct app *app;
    const struct control_op *const *ops;
    int fd, stop_pipe[2];
    pthread_t thread;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

static bool path_of(const char *data_dir, char *out, size_t size)
{
    const int len = snprintf(out, size, "%s/control.sock", data_dir);
    return len > 0 && (size_t)len < size;
}

/* ---- lines ---- */

static bool put_line(int fd, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    const size_t len = text ? strlen(text) : 0;
    size_t at = 0;
    while (text && at < len) {
        const ssize_t wrote = send(fd, text + at, len - at, MSG_NOSIGNAL);
        if (wrote <= 0)
            break;
        at += (size_t)wrote;
    }
    const bool whole = text && at == len && send(fd, "\n", 1, MSG_NOSIGNAL) == 1;
    free(text);
    return whole;
}

static json_t *get_line(int fd)
{
    struct buf line;
    json_t *json = NULL;
    buf_init(&line, CONTROL_LINE_MAX);
    for (;;) {
        char block[16384];
        const ssize_t got = recv(fd, block, sizeof block, 0);
        if (got <= 0)
            break;
        buf_add(&line, block, (size_t)got);
        if (line.failed || block[got - 1] == '\n')
            break;
    }
    if (!line.failed && line.len)
        json = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, NULL);
    buf_done(&line);
    return json;
}

static void wait_at_most(int fd, int seconds)
{
    const struct timeval wait = { .tv_sec = seconds };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

/* ---- errors over the wire ---- */

static json_t *error_json(const struct err *err)
{
    json_t *args = json_object();
    for (int i = 0; i < ERR_ARGS_MAX && err->args[i].name; i++)
        (void)json_object_set_new(args, err->args[i].name,
                                  err->args[i].is_text ? json_string(err->args[i].text)
                                                       : json_integer(err->args[i].number));
    return json_pack("{s:{s:i,s:s,s:o}}", "error", "code", (int)err->code, "id",
                     err->id ? err->id : "base.internal", "args", args);
}

static enum err_code error_read(const json_t *error, struct arena *arena, struct err *err)
{
    const json_int_t code = json_integer_value(json_object_get(error, "code"));
    const char *id = json_string_value(json_object_get(error, "id")), *name;
    json_t *value;
    int count = 0;
    *err = (struct err) { .code = code > 0 && code < ERR__COUNT ? (enum err_code)code : ERR_INTERNAL,
                          .id = arena_str(arena, str_from(id)).ptr };
    json_object_foreach(json_object_get(error, "args"), name, value)
    {
        if (count == ERR_ARGS_MAX)
            break;
        struct err_arg *arg = &err->args[count++];
        arg->name = arena_str(arena, str_from(name)).ptr;
        arg->is_text = json_is_string(value);
        arg->number = json_integer_value(value);
        if (arg->is_text)
            (void)snprintf(arg->text, sizeof arg->text, "%s", json_string_value(value));
    }
    return err->code;
}

/* ---- the server's side ---- */

static const struct control_op *find_op(const struct control *control, const char *name)
{
    for (const struct control_op *const *table = control->ops; name && *table; table++)
        for (const struct control_op *op = *table; op->name; op++)
            if (strcmp(op->name, name) == 0)
                return op;
    return NULL;
}

static json_t *answer(struct control *control, const json_t *call)
{
    struct err err = { .code = ERR_INTERNAL, .id = "base.internal" };
    const char *name = json_string_value(json_object_get(call, "op"));
    const struct control_op *op = find_op(control, name);
    json_t *out = NULL;
    if (!op)
        (void)err_set(&err, ERR_UNSUPPORTED, "control.unknown", ARG_TEXT("op", name ? name : "?"), ARG_END);
    else if (!op->run(control->app, json_object_get(call, "args"), &out, &err))
        return json_pack("{s:o}", "ok", out ? out : json_object());
    else
        log_err(&err, "control.failed", "%s", name);
    return error_json(&err);
}

static void serve_one(struct control *control, int fd)
{
    wait_at_most(fd, WAIT_S);
    json_t *call = get_line(fd);
    if (call) {
        json_t *reply = answer(control, call);
        (void)put_line(fd, reply);
        json_decref(reply);
    }
    json_decref(call);
}

static void *run(void *arg)
{
    struct control *control = arg;
    for (;;) {
        struct pollfd fds[2] = { { .fd = control->fd, .events = POLLIN },
                                 { .fd = control->stop_pipe[0], .events = POLLIN } };
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[1].revents)
            break;
        const int fd = fds[0].revents ? accept4(control->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd >= 0) {
            serve_one(control, fd);
            (void)close(fd);
        }
    }
    return NULL;
}

static enum err_code fail_io(struct err *err, const char *path)
{
    return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
}

enum err_code control_start(struct app *app, const struct control_op *const *ops, struct err *err)
{
    struct control *control = arena_alloc(app->arena, 1, sizeof *control);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!control)
        return err_nomem(err);
    *control = (struct control) { .app = app, .ops = ops, .fd = -1, .stop_pipe = { -1, -1 } };
    if (!path_of(app->data, control->path, sizeof control->path)) {
        /* Longer than a socket's name may be: subcommands then need the server to be stopped. */
        log_line(LOG_WARN, "control.path", "%s/control.sock is too long for a socket", app->data);
        return ERR_OK;
    }
    memcpy(address.sun_path, control->path, sizeof address.sun_path);
    (void)unlink(control->path); /* of a process that was killed: the directory is locked by us */
    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (control->fd < 0)
        return fail_io(err, control->path);
    app->control = control;
    (void)fchmod(control->fd, 0600); /* before bind: the name is never open to others */
    if (bind(control->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(control->path, 0600) != 0 || listen(control->fd, 16) != 0 ||
        pipe2(control->stop_pipe, O_CLOEXEC) != 0)
        return fail_io(err, control->path);
    const int failed = pthread_create(&control->thread, NULL, run, control);
    if (failed) {
        (void)close(control->stop_pipe[1]);
        control->stop_pipe[1] = -1;
        return err_set(err, ERR_INTERNAL, "net.thread", ARG_ERRNO(failed), ARG_END);
    }
    return ERR_OK;
}

void control_stop(struct app *app)
{
    struct control *control = app->control;
    if (!control)
        return;
    if (control->stop_pipe[1] >= 0) {
        (void)close(control->stop_pipe[1]);
        (void)pthread_join(control->thread, NULL);
    }
    if (control->stop_pipe[0] >= 0)
        (void)close(control->stop_pipe[0]);
    if (control->fd >= 0)
        (void)close(control->fd);
    (void)unlink(control->path);
    app->control = NULL;
}

/* ---- the subcommand's side ---- */

bool control_is_none(enum err_code rc, const struct err *err)
{
    return rc == ERR_NOT_FOUND && err->id && strcmp(err->id, "control.none") == 0;
}

enum err_code control_call(const char *data_dir, const char *op, json_t *args, struct arena *arena,
                           json_t **out, struct err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const bool fits = path_of(data_dir, address.sun_path, sizeof address.sun_path);
    const int fd = fits ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (fd >= 0)
            (void)close(fd);
        json_decref(args);
        return err_set(err, ERR_NOT_FOUND, "control.none", ARG_TEXT("path", data_dir), ARG_END);
    }
    wait_at_most(fd, ANSWER_S);
    json_t *call = json_pack("{s:s,s:o}", "op", op, "args", args);
    json_t *reply = put_line(fd, call) ? get_line(fd) : NULL;
    json_decref(call);
    (void)close(fd);
    const json_t *error = json_object_get(reply, "error");
    enum err_code rc = ERR_OK;
    if (!reply)
        rc = err_set(err, ERR_NET, "control.broken", ARG_END);
    else if (error)
        rc = error_read(error, arena, err);
    else
        *out = json_incref(json_object_get(reply, "ok"));
    json_decref(reply);
    return rc;
}
