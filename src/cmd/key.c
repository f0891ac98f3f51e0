/* key.c - bihuan key rotate: a new master key seals from now on; all older ones still open. */
#include "cmd/commands.h"
#include "cmd/rooms.h"
#include "crypto/keyring.h"

#include <stdio.h>
#include <unistd.h>

static enum err_code rotate(struct app *app, int64_t *out_newest, struct err *err)
{
    char path[2200];
    (void)snprintf(path, sizeof path, "%.2000s/keys/master.key", app->data);
    const char *file = app->conf.key_file ? app->conf.key_file : path;
    if (access(file, F_OK) != 0)
        return err_set(err, ERR_NOT_FOUND, "key.none", ARG_TEXT("path", file), ARG_END);
    enum err_code rc = key_ring_rotate(file, err);
    if (!rc)
        rc = keys_room_open(app, err);
    if (!rc)
        *out_newest = key_ring_newest(app->keys);
    return rc;
}

int cmd_key(struct cmd *cmd, int argc, char **argv)
{
    const char *words[1];
    int count = 0, exit_status = CMD_OK;
    struct app app;
    struct err err = { 0 };
    int64_t newest = 0;
    if (!cmd_options(cmd, argc, argv, NULL, words, 1, &count, &exit_status))
        return exit_status;
    if (count != 1 || strcmp(words[0], "rotate") != 0)
        return cmd_usage(cmd);
    enum err_code rc =
        app_init(&app, cmd, true, &err); /* a running server holds the old ring: it is refused */
    if (!rc)
        rc = rotate(&app, &newest, &err);
    if (rc)
        exit_status = cmd_fail(cmd, &err);
    else
        (void)printf("key %lld\n", (long long)newest);
    keys_room_close(&app);
    app_done(&app);
    return exit_status;
}
