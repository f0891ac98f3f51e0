/* rooms.h - steps of starting that stand in files of their own; ROOMS in serve.c gives the order.
 * Each hands its room what it needs and nothing more.  Layer: cmd. */
#pragma once
#include "cmd/app.h"

/* rooms_work.c: jobs is made early, so that rooms can register their kinds; work begins to deliver messages
 * and to run jobs after all of them have registered. */
MUST_CHECK enum err_code jobs_room_start(struct app *app, struct err *err);
void jobs_room_stop(struct app *app);
MUST_CHECK enum err_code work_room_start(struct app *app, struct err *err);
void work_room_stop(struct app *app);

/* rooms_base.c: backups by schedule; after jobs. */
MUST_CHECK enum err_code base_room_start(struct app *app, struct err *err);
/* For subcommands: the store as it is, and the keys when they are there (else app->keys stays NULL). */
MUST_CHECK enum err_code store_room_open(struct app *app, struct err *err);
MUST_CHECK enum err_code keys_room_open(struct app *app, struct err *err);
void keys_room_close(struct app *app);
/* key.c: the job that seals anew under the newest key; the ring follows its file (SIGHUP, other nodes). */
MUST_CHECK enum err_code rekey_room_start(struct app *app, struct err *err);
MUST_CHECK enum err_code rekey_room_reload(struct app *app, struct err *err);
/* The running series, or NULL. */
struct series_store;
struct series_store *app_series(struct app *app);

/* rooms_notify.c: behind entity, whose records channels and templates are. */
MUST_CHECK enum err_code notify_room_start(struct app *app, struct err *err);
void notify_room_stop(struct app *app);
MUST_CHECK enum err_code notify_room_reload(struct app *app, struct err *err);
/* rooms_warn.c: names and relations of subjects; then alarms, routing and the telling of people, before the
 * rooms whose verdicts they hear. */
MUST_CHECK enum err_code subjects_room_start(struct app *app, struct err *err);
void subjects_room_stop(struct app *app);
MUST_CHECK enum err_code warn_room_start(struct app *app, struct err *err);
void warn_room_stop(struct app *app);
/* Who the routes would tell of a grade 1 alarm of the service now, the rota's person first; at most `max`. */
struct arena;
int warn_room_on_duty(struct app *app, int64_t service, struct arena *arena, int64_t *out_users, int max);
/* rooms_handle.c: cases; before the data of packs is loaded, since demo tickets become cases too. */
MUST_CHECK enum err_code handle_room_start(struct app *app, struct err *err);
void handle_room_stop(struct app *app);
MUST_CHECK enum err_code clocks_room_start(struct app *app, struct err *err);
void clocks_room_stop(struct app *app);
/* rooms_watch.c: series, checks, probe nodes and triggers; after the alarms, which hear its verdicts. */
MUST_CHECK enum err_code watch_room_start(struct app *app, struct err *err);
void watch_room_stop(struct app *app);

/* rooms_learn.c: services at a glance, duties, reports; after the rooms that they count. */
MUST_CHECK enum err_code learn_room_start(struct app *app, struct err *err);
void learn_room_stop(struct app *app);
/* rooms_core.c: the ground on which all others stand. */
MUST_CHECK enum err_code store_room_start(struct app *app, struct err *err);
void store_room_stop(struct app *app);
MUST_CHECK enum err_code node_room_start(struct app *app, struct err *err);
void node_room_stop(struct app *app);
MUST_CHECK enum err_code keys_room_start(struct app *app, struct err *err);
void keys_room_stop(struct app *app);
MUST_CHECK enum err_code bus_room_start(struct app *app, struct err *err);
void bus_room_stop(struct app *app);
MUST_CHECK enum err_code audit_room_start(struct app *app, struct err *err);
void audit_room_stop(struct app *app);
MUST_CHECK enum err_code settings_room_start(struct app *app, struct err *err);
void settings_room_stop(struct app *app);
MUST_CHECK enum err_code identity_room_start(struct app *app, struct err *err);
void identity_room_stop(struct app *app);
/* For a subcommand that works on a data directory nobody serves: locks it and starts the rooms up to `last`
 * ("store", "identity", "entity" ...).  ERR_BUSY "app.locked": ask the server instead (control.h). */
MUST_CHECK enum err_code app_open(struct app *app, struct cmd *cmd, const char *last, struct err *err);
void app_close(struct app *app, const char *last);
/* Says the first administrator's password when it was just made: on a terminal itself, else the file
 * DIR/first-password that now holds it. */
MUST_CHECK enum err_code app_tell_first(struct app *app, struct err *err);
