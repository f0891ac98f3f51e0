/* disk.c - the disk of the product: the machine's.  A file of its own, so that a test can link another. */
#include "cmd/cmd.h"

void cmd_disk(struct cmd *cmd)
{
    cmd->disk = NULL;
    cmd->vfs = NULL;
}
