/* dmn.h - what the files of `bihuan dmn` share.  Layer: cmd. */
#pragma once
#include "cmd/cmd.h"
#include "dmn/dmn.h"

/* Reads files and loads the first as the model, the others as its imports.  *out_path is the file an error
 * belongs to. */
MUST_CHECK enum err_code dmn_load_files(const char *const *paths, int count, struct dmn_model **out_model,
                                        const char **out_path, struct err *err);

/* `bihuan dmn tck DIR [--report FILE.csv]`: exit status. */
int cmd_dmn_tck(struct cmd *cmd, const char *dir, const char *report);
