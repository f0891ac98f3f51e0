/* config.c - bihuan config check: the configuration file of a data directory, before a restart finds out. */
#include "cmd/commands.h"
#include "platform/settings/conf.h"

#include <stdio.h>

static int check(const struct cmd *cmd)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)4 << 20);
    struct findings findings = { 0 };
    struct conf conf;
    struct err err = { 0 };
    enum err_code rc = arena ? findings_init(&findings, arena, &err) : err_nomem(&err);
    if (!rc)
        rc = conf_load(arena, cmd->data, &conf, &findings, &err);
    for (int i = 0; i < findings.count; i++)
        (void)printf("%.*s\n", STR_ARG(err_text(arena, &findings.items[i], cmd->words, cmd->lang)));
    if (findings.count)
        return CMD_NO;
    if (rc)
        return cmd_fail(cmd, &err);
    (void)printf("host %s\nport %lld\ndatabase %s\n", conf.host, (long long)conf.port,
                 cmd->database   ? "--database"
                 : conf.database ? "postgresql"
                                 : "sqlite");
    return CMD_OK;
}

int cmd_config(struct cmd *cmd, int argc, char **argv)
{
    const char *words[1];
    int count = 0, exit_status = CMD_OK;
    if (!cmd_options(cmd, argc, argv, NULL, words, 1, &count, &exit_status))
        return exit_status;
    return count == 1 && str_eq(str_from(words[0]), STR("check")) ? check(cmd) : cmd_usage(cmd);
}
