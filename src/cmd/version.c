/* version.c - bihuan version: what is running. */
#include "cmd/commands.h"

#include <stdio.h>

int cmd_version(struct cmd *cmd, int argc, char **argv)
{
    int exit_status = CMD_OK;
    if (!cmd_options(cmd, argc, argv, NULL, NULL, 0, NULL, &exit_status))
        return exit_status;
    (void)printf("bihuan %s\n", BIHUAN_VERSION);
    return CMD_OK;
}
