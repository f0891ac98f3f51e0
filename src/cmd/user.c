/* user.c - bihuan user add|reset|list: through the server when it runs, else on the data directory itself. */
#include "base/json.h"
#include "cmd/commands.h"
#include "cmd/control_ops.h"
#include "cmd/rooms.h"

#include <stdio.h>

static struct str arg_of(const json_t *args, const char *name)
{
    const json_t *value = json_object_get(args, name);
    return json_to_str(value);
}

/* ---- what is done, in the server or here ---- */

static enum err_code op_add(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    const struct identity_user user = { .login = arg_of(args, "login"),
                                        .name = arg_of(args, "name"),
                                        .email = arg_of(args, "email"),
                                        .org_code = arg_of(args, "org"),
                                        .role_code = arg_of(args, "role") };
    char password[IDENTITY_PASSWORD_SIZE];
    int64_t id;
    const enum err_code rc = identity_user_add(app->identity, &PRINCIPAL_SELF, &user, &id, password, err);
    if (!rc)
        *out = json_pack("{s:s%,s:s}", "login", user.login.ptr, user.login.len, "password", password);
    explicit_bzero(password, sizeof password);
    return rc;
}

static enum err_code op_reset(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    const struct str login = arg_of(args, "login");
    char password[IDENTITY_PASSWORD_SIZE];
    const enum err_code rc = identity_user_reset(app->identity, &PRINCIPAL_SELF, login, password, err);
    if (!rc)
        *out = json_pack("{s:s%,s:s}", "login", login.ptr, login.len, "password", password);
    explicit_bzero(password, sizeof password);
    return rc;
}

static enum err_code op_list(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    (void)args;
    return identity_user_list(app->identity, out, err);
}

const struct control_op USER_OPS[] = {
    { "user.add", op_add },
    { "user.reset", op_reset },
    { "user.list", op_list },
    { 0 },
};

/* ---- the command line ---- */

static enum err_code do_here(struct cmd *cmd, const struct control_op *op, json_t *args, json_t **out,
                             struct err *err)
{
    struct app app;
    enum err_code rc = app_open(&app, cmd, "identity", err);
    if (!rc) {
        rc = app_tell_first(&app, err); /* when this was the first start */
        if (!rc)
            rc = op->run(&app, args, out, err);
        app_close(&app, "identity");
    }
    json_decref(args);
    return rc;
}

static void print_users(const json_t *list)
{
    size_t i;
    json_t *user;
    json_array_foreach((json_t *)(uintptr_t)list, i, user)(void)
        printf("%s\t%s\t%s\t%s\n", json_string_value(json_object_get(user, "login")),
               json_string_value(json_object_get(user, "name")),
               json_string_value(json_object_get(user, "org_name")),
               !json_is_true(json_object_get(user, "active"))  ? "inactive"
               : json_is_true(json_object_get(user, "locked")) ? "locked"
                                                               : "active");
}

int cmd_user(struct cmd *cmd, int argc, char **argv)
{
    const char *words[2] = { NULL, NULL }, *name = NULL, *email = "", *org = "", *role = "";
    int count = 0, exit_status = CMD_OK;
    const struct cmd_option options[] = {
        { .name = "--name", .text = &name },
        { .name = "--email", .text = &email },
        { .name = "--org", .text = &org },
        { .name = "--role", .text = &role },
        { 0 },
    };
    if (!cmd_options(cmd, argc, argv, options, words, 2, &count, &exit_status))
        return exit_status;
    const struct control_op *op = NULL;
    for (const struct control_op *one = USER_OPS; count && one->name; one++)
        if (strcmp(one->name + 5, words[0]) == 0)
            op = one;
    if (!op || count != (op->run == op_list ? 1 : 2))
        return cmd_usage(cmd);
    struct err err;
    json_t *args = json_pack("{s:s,s:s,s:s,s:s,s:s}", "login", words[1] ? words[1] : "", "name",
                             name       ? name
                             : words[1] ? words[1]
                                        : "",
                             "email", email, "org", org, "role", role);
    json_t *out = NULL;
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    enum err_code rc =
        arena ? control_call(cmd->data, op->name, json_incref(args), arena, &out, &err) : err_nomem(&err);
    if (control_is_none(rc, &err))
        rc = do_here(cmd, op, json_incref(args), &out, &err);
    json_decref(args);
    if (rc)
        exit_status = cmd_fail(cmd, &err);
    else if (op->run == op_list)
        print_users(out);
    else
        (void)printf("password %s %s\n", json_string_value(json_object_get(out, "login")),
                     json_string_value(json_object_get(out, "password")));
    json_decref(out);
    return exit_status;
}
