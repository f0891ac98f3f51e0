/* control.h - how a subcommand talks to the server that holds its data directory: DIR/control.sock (0600).
 *
 * One JSON line each way: {"op":"user.list","args":{...}} -> {"ok":...} or {"error":{code,id,args}}.  Who may
 * open the socket may do everything: it belongs to the account that runs the server. Threads: operations run
 * one after the other on the control thread.  Layer: cmd. */
#pragma once
#include "cmd/app.h"

#include <jansson.h>

#define CONTROL_LINE_MAX ((size_t)16 << 20)

struct control_op {
    const char *name; /* NULL ends a table */
    /* `args` is an object; *out is the answer (NULL: {}), taken over. */
    enum err_code (*run)(struct app *app, const json_t *args, json_t **out, struct err *err);
};

/* Listens; `ops` is a table of tables, ending with NULL.  ERR_IO. */
MUST_CHECK enum err_code control_start(struct app *app, const struct control_op *const *ops, struct err *err);
void control_stop(struct app *app);

/* Asks the server of `data_dir`.  `args` is stolen.  *out is a new reference.
 * ERR_NOT_FOUND "control.none": nobody serves it (open it yourself: app_open).  Else what the operation said;
 * texts of the error live in `arena`. */
MUST_CHECK enum err_code control_call(const char *data_dir, const char *op, json_t *args, struct arena *arena,
                                      json_t **out, struct err *err);
/* Did control_call() end so, that nobody serves it? */
bool control_is_none(enum err_code rc, const struct err *err);
