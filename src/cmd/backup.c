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

static json_t *counts_json(const struct backup_counts *counts)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "tables", (json_int_t)counts->tables, "rows",
                     (json_int_t)counts->rows, "series", (json_int_t)counts->series, "alarm-log",
                     (json_int_t)counts->alarm_records, "files", (json_int_t)counts->files);
}

static void print_counts(const json_t *counts)
{
    static const char *const names[] = { "tables", "rows", "series", "alarm-log", "files" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)printf("%s %lld\n", names[i], (long long)json_integer_value(json_object_get(counts, names[i])));
}

static enum err_code io_error(struct err *err, const char *path)
{
    return err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO, "file.write",
                   ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
}

static void default_key_file(const struct app *app, char *out, size_t size)
{
    if (app->conf.key_file)
        (void)snprintf(out, size, "%s", app->conf.key_file);
    else
        (void)snprintf(out, size, "%.2000s/keys/master.key", app->data);
}

/* The file appears under its name when all of it is on the disk. */
static enum err_code make_file(struct app *app, const char *path, struct str passphrase,
                               struct series_store *series, bool alone, json_t **out, struct err *err)
{
    char key_file[2200], temp[2200];
    struct backup_counts counts;
    default_key_file(app, key_file, sizeof key_file);
    const struct backup_options options = { .data = app->data,
                                            .store = app->store,
                                            .series = series,
                                            .clock = app->clock,
                                            .key_file = key_file,
                                            .passphrase = passphrase };
    if (snprintf(temp, sizeof temp, "%s.part", path) >= (int)sizeof temp)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)sizeof temp), ARG_END);
    const int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_error(err, temp);
    enum err_code rc =
        alone ? backup_write(&options, fd, &counts, err) : backup_once(app, &options, fd, &counts, err);
    (void)close(fd);
    if (!rc && rename(temp, path) != 0)
        rc = io_error(err, path);
    if (rc)
        (void)unlink(temp);
    else
        *out = counts_json(&counts);
    return rc;
}

/* ---- in the server ---- */

static enum err_code op_backup(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    const char *path = json_string_value(json_object_get(args, "path"));
    const char *passphrase = json_string_value(json_object_get(args, "passphrase"));
    if (!path || path[0] != '/')
        return err_set(err, ERR_INVALID, "control.unknown", ARG_TEXT("op", "backup"), ARG_END);
    return make_file(app, path, str_from(passphrase ? passphrase : ""), app_series(app), false, out, err);
}

const struct control_op BACKUP_OPS[] = { { "backup", op_backup }, { 0 } };

/* ---- the subcommand ---- */

static enum err_code from_directory(struct cmd *cmd, const char *path, struct str passphrase, json_t **out,
                                    struct err *err)
{
    struct app app;
    enum err_code rc = app_init(&app, cmd, true, err);
    if (!rc)
        rc = store_room_open(&app, err);
    if (!rc)
        rc = make_file(&app, path, passphrase, NULL, true, out, err);
    store_close(app.store);
    app_done(&app);
    return rc;
}

/* The server has a working directory of its own. */
static enum err_code absolute(const char *path, char *out, size_t size, struct err *err)
{
    char here[2048] = "";
    if (path[0] != '/' && !getcwd(here, sizeof here))
        return io_error(err, path);
    if (snprintf(out, size, "%s%s%s", here, here[0] ? "/" : "", path) >= (int)size)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)size), ARG_END);
    return ERR_OK;
}

static enum err_code make(struct cmd *cmd, const char *path, struct str passphrase, struct arena *arena,
                          struct err *err)
{
    char full[2100];
    struct stat st;
    json_t *counts = NULL;
    if (stat(cmd->data, &st) != 0)
        return err_set(err, ERR_NOT_FOUND, "file.open", ARG_TEXT("path", cmd->data), ARG_ERRNO(errno),
                       ARG_END);
    enum err_code rc = absolute(path, full, sizeof full, err);
    if (rc)
        return rc;
    rc = control_call(
        cmd->data, "backup",
        json_pack("{s:s, s:s}", "path", full, "passphrase", passphrase.ptr ? passphrase.ptr : ""), arena,
        &counts, err);
    if (rc == ERR_NOT_FOUND)
        rc = from_directory(cmd, full, passphrase, &counts, err);
    if (!rc)
        print_counts(counts);
    json_decref(counts);
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
        rc = make(cmd, words[0], passphrase, arena, &err);
    return rc ? cmd_fail(cmd, &err) : exit_status;
}
