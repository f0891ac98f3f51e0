/* backup.c - bihuan backup FILE: through the server when it runs, else from the directory itself. */
#include "cmd/backup.h"

#include "cmd/commands.h"
#include "cmd/control.h"
#include "cmd/rooms.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The passphrase: the first line of a file, or of standard input for "-". */
enum err_code cmd_passphrase(const char *path, struct arena *arena, struct str *out, struct err *err)
{
    struct buf text;
    buf_init(&text, 4096);
    enum err_code rc = strcmp(path, "-") == 0 ? buf_read_fd(&text, 0, err) : buf_read_file(&text, path, err);
    struct str rest = buf_get(&text), line = { 0 };
    if (!rc && !str_cut(&rest, '\n', &line))
        line = (struct str) { 0 };
    if (!rc) {
        *out = arena_str(arena, line);
        rc = out->ptr ? ERR_OK : err_nomem(err);
    }
    buf_done(&text);
    return rc;
}

static void say_counts(const struct backup_counts *counts, char *out, size_t size)
{
    (void)snprintf(out, size, "tables %lld\nrows %lld\nseries %lld\nalarm-log %lld\nfiles %lld", (long long)counts->tables,
                   (long long)counts->rows, (long long)counts->series, (long long)counts->alarm_records, (long long)counts->files);
}

static void default_key_file(const struct app *app, char *out, size_t size)
{
    if (app->conf.key_file)
        (void)snprintf(out, size, "%s", app->conf.key_file);
    else
        (void)snprintf(out, size, "%.2000s/keys/master.key", app->data);
}

/* ---- in the server ---- */

enum err_code backup_control(void *ctx, const json_t *args, int fd, struct control_reply *reply, int *out_exit,
                             struct err *err)
{
    struct app *app = ctx;
    char key_file[2200], text[400];
    struct backup_counts counts;
    const char *passphrase = json_string_value(json_object_get(args, "passphrase"));
    if (fd < 0)
        return err_set(err, ERR_INVALID, "control.unknown", ARG_TEXT("name", "backup"), ARG_END);
    default_key_file(app, key_file, sizeof key_file);
    const struct backup_options options = { .data = app->data,
                                            .store = app->store,
                                            .series = app_series(app),
                                            .clock = app->clock,
                                            .key_file = key_file,
                                            .passphrase = str_from(passphrase ? passphrase : "") };
    const enum err_code rc = backup_once(app, &options, fd, &counts, err);
    if (rc)
        return rc;
    say_counts(&counts, text, sizeof text);
    control_say(reply, "%s", text);
    *out_exit = CMD_OK;
    return ERR_OK;
}

/* ---- the subcommand ---- */

static enum err_code from_directory(struct cmd *cmd, int fd, struct str passphrase, struct err *err)
{
    struct app app;
    char key_file[2200], text[400];
    struct backup_counts counts;
    enum err_code rc = app_init(&app, cmd, true, err);
    if (!rc)
        rc = store_room_open(&app, err);
    if (!rc) {
        default_key_file(&app, key_file, sizeof key_file);
        const struct backup_options options = { .data = app.data, .store = app.store, .clock = app.clock, .key_file = key_file, .passphrase = passphrase };
        rc = backup_write(&options, fd, &counts, err);
    }
    if (!rc) {
        say_counts(&counts, text, sizeof text);
        (void)printf("%s\n", text);
    }
    store_close(app.store);
    app_done(&app);
    return rc;
}

static enum err_code make(struct cmd *cmd, const char *path, struct str passphrase, int *out_exit, struct err *err)
{
    char temp[2200];
    struct stat st;
    if (snprintf(temp, sizeof temp, "%s.part", path) >= (int)sizeof temp)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)sizeof temp), ARG_END);
    if (stat(cmd->data, &st) != 0)
        return err_set(err, ERR_NOT_FOUND, "file.open", ARG_TEXT("path", cmd->data), ARG_ERRNO(errno), ARG_END);
    const int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", temp), ARG_ERRNO(errno), ARG_END);
    enum err_code rc = control_call(cmd->data, "backup", json_pack("{s:s}", "passphrase", passphrase.ptr ? passphrase.ptr : ""), fd,
                                    out_exit, err);
    if (rc == ERR_NOT_FOUND)
        rc = from_directory(cmd, fd, passphrase, err);
    (void)close(fd);
    if (!rc && rename(temp, path) != 0)
        rc = err_set(err, ERR_IO, "file.write", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    if (rc)
        (void)unlink(temp);
    return rc;
}

int cmd_backup(struct cmd *cmd, int argc, char **argv)
{
    const char *words[1], *passphrase_file = NULL;
    int count = 0, exit_status = CMD_OK;
    bool with_keys = false;
    const struct cmd_option options[] = {
        { .name = "--with-keys", .flag = &with_keys },
        { .name = "--passphrase-file", .text = &passphrase_file },
        { 0 },
    };
    struct err err = { 0 };
    struct str passphrase = { 0 };
    if (!cmd_options(cmd, argc, argv, options, words, 1, &count, &exit_status))
        return exit_status;
    if (count != 1 || with_keys != (passphrase_file != NULL))
        return cmd_usage(cmd);
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    enum err_code rc = arena ? ERR_OK : err_nomem(&err);
    if (!rc && with_keys)
        rc = cmd_passphrase(passphrase_file, arena, &passphrase, &err);
    if (!rc)
        rc = make(cmd, words[0], passphrase, &exit_status, &err);
    return rc ? cmd_fail(cmd, &err) : exit_status;
}
