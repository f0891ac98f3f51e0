/* app.c - see app.h */
#include "cmd/app.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_code make_dir(const char *path, struct err *err)
{
    char part[2048];
    const int len = snprintf(part, sizeof part, "%s", path);
    if (len <= 0 || (size_t)len >= sizeof part)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", sizeof part), ARG_END);
    for (char *at = part + 1; *at; at++)
        if (*at == '/') {
            *at = 0;
            (void)mkdir(part, 0755);
            *at = '/';
        }
    if (mkdir(part, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    return ERR_OK;
}

static enum err_code lock_dir(struct app *app, struct err *err)
{
    char path[2100];
    (void)snprintf(path, sizeof path, "%.2000s/lock", app->data);
    app->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (app->lock_fd < 0)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    if (flock(app->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_BUSY, "app.locked", ARG_TEXT("path", app->data), ARG_END);
    char pid[32];
    const int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(app->lock_fd, 0) != 0 || pwrite(app->lock_fd, pid, (size_t)len, 0) != len)
        return err_set(err, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "file.write", ARG_ERRNO(errno),
                       ARG_END);
    return ERR_OK;
}

enum err_code app_init(struct app *app, struct cmd *cmd, bool lock, struct err *err)
{
    *app = (struct app) {
        .cmd = cmd, .clock = &CLOCK_SYSTEM, .words = cmd->words, .data = cmd->data, .lock_fd = -1
    };
    app->arena = arena_new(APP_CONF_BYTES_MAX);
    if (!app->arena)
        return err_nomem(err);
    enum err_code rc = lock ? make_dir(app->data, err) : ERR_OK;
    if (!rc && lock)
        rc = lock_dir(app, err);
    if (!rc)
        rc = conf_load(app->arena, app->data, &app->conf, NULL, err);
    if (!rc)
        app->file = app->conf;
    if (!rc)
        rc = zone_new(str_from(app->conf.zone), &app->zone, err);
    if (!rc && !cmd->database)
        cmd->database = app->conf.database;
    return rc;
}

void app_done(struct app *app)
{
    if (app->lock_fd >= 0)
        (void)close(app->lock_fd);
    app->lock_fd = -1;
    arena_free(app->live_arena);
    zone_free(app->zone);
    app->zone = NULL;
    arena_free(app->arena);
    app->live_arena = NULL;
    app->arena = NULL;
}

enum err_code app_start(struct app *app, const struct room *rooms, int count, struct err *err)
{
    for (int i = 0; i < count; i++) {
        const enum err_code rc = rooms[i].start(app, err);
        if (rc) {
            log_err(err, "app.start", "room %s", rooms[i].name);
            app_stop(app, rooms, i + 1);
            return err_in(err, rooms[i].name);
        }
    }
    return ERR_OK;
}

void app_stop(struct app *app, const struct room *rooms, int count)
{
    while (count > 0)
        if (rooms[--count].stop)
            rooms[count].stop(app);
}
