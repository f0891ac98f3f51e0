/* control_ops.h - the operations that a running server does for subcommands; listed in serve.c. */
#pragma once
#include "cmd/control.h"

extern const struct control_op USER_OPS[];  /* user.c */
extern const struct control_op KEY_OPS[];   /* key.c */
extern const struct control_op TABLE_OPS[]; /* table.c */
extern const struct control_op SLA_OPS[];   /* sla.c */
