/* commands.h - every subcommand's entry, in the order of help; the table stands in main.c. */
#pragma once
#include "cmd/cmd.h"

int cmd_audit(struct cmd *cmd, int argc, char **argv);
int cmd_backup(struct cmd *cmd, int argc, char **argv);
int cmd_dmn(struct cmd *cmd, int argc, char **argv);
int cmd_feel(struct cmd *cmd, int argc, char **argv);
int cmd_export(struct cmd *cmd, int argc, char **argv);
int cmd_import(struct cmd *cmd, int argc, char **argv);
int cmd_key(struct cmd *cmd, int argc, char **argv);
int cmd_migrate(struct cmd *cmd, int argc, char **argv);
int cmd_pack(struct cmd *cmd, int argc, char **argv);
int cmd_probe(struct cmd *cmd, int argc, char **argv);
int cmd_restore(struct cmd *cmd, int argc, char **argv);
int cmd_serve(struct cmd *cmd, int argc, char **argv);
int cmd_sla(struct cmd *cmd, int argc, char **argv);
int cmd_config(struct cmd *cmd, int argc, char **argv);
int cmd_user(struct cmd *cmd, int argc, char **argv);
int cmd_version(struct cmd *cmd, int argc, char **argv);
