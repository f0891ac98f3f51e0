/* app.h - everything that hangs together in one running program; handed down, never global.
 *
 * `serve` fills it room by room in the order of ROOMS (serve.c) and empties it backwards; a subcommand that
 * works on a data directory itself opens the same rooms up to the one it needs (app_open()).
 * A pointer is NULL until its room has started.  Layer: cmd. */
#pragma once
#include "base/ids.h"
#include "base/zone.h"
#include "cmd/cmd.h"
#include "net/http.h"
#include "platform/identity/identity.h"
#include "platform/settings/conf.h"

struct store;
struct key_ring;
struct node;
struct bus;
struct client;
struct broadcast;
struct outbox;
struct audit;
struct jobs;
struct files;
struct packs;
struct decisions;
struct entity;
struct entity_routes;
struct import_jobs;
struct queries;
struct query_routes;
struct notify;
struct control;
struct base;
struct subjects;
struct alarms;
struct warn;
struct handle;
struct learn;
struct observe;
struct watch;
struct ticker;

struct app {
    struct cmd *cmd;
    struct arena *arena; /* of the configuration: lives as long as the app */
    const struct clock *clock;
    const struct words *words;
    struct conf conf;         /* the file, with the options of the command line over it */
    struct conf file;         /* the file as it was read last; of the main thread */
    struct arena *live_arena; /* of the texts that the last SIGHUP brought; NULL before */
    const char *data;         /* data directory */
    struct zone *zone;        /* of the conf: whose days count */
    bool demo;
    int lock_fd;                 /* of DIR/lock, or -1 */
    struct identity_first first; /* of identity_start(): printed once the server listens */
    char first_file[2200];       /* DIR/first-password */

    /* rooms, in the order of floors */
    struct store *store;
    struct node *node; /* this process's number in the cluster */
    struct ids ids;
    struct key_ring *keys;
    struct http_server *http;
    struct client *client; /* what calls others over HTTP */
    struct bus *bus;
    struct broadcast *broadcast;
    struct outbox *outbox;
    struct audit *audit;
    struct settings *settings;
    struct identity *identity;
    struct jobs *jobs;
    struct files *files;
    struct packs *packs;
    struct decisions *decisions;
    struct entity *entity;
    struct entity_routes *entity_routes;
    struct import_jobs *imports;
    struct queries *queries;
    struct query_routes *query_routes;
    struct notify *notify;
    struct handle *handle;
    struct learn *learn;
    struct control *control;
    struct base *base;
    struct subjects *subjects;
    struct alarms *alarms;
    struct warn *warn;
    struct observe *observe;
    struct watch *watch;
    struct ticker *ticker;
};

#define APP_CONF_BYTES_MAX ((size_t)1 << 20)

/* One step of starting; stop and reload may be NULL.  start may add routes (http_add_routes on app->http);
 * the server listens after all have started. */
struct room {
    const char *name;
    enum err_code (*start)(struct app *app, struct err *err);
    void (*stop)(struct app *app);
    enum err_code (*reload)(struct app *app, struct err *err); /* SIGHUP */
};

/* core.c: words and menu; ctx is the app. */
extern const struct route CORE_ROUTES[];
/* api.c: the whole interface as OpenAPI; ctx is the app. */
extern const struct route API_ROUTES[];

/* Makes the data directory (0700), locks it (ERR_BUSY "app.locked" when another process has it) and reads
 * DIR/bihuan.conf.  Undone by app_done(), also after a failure. */
MUST_CHECK enum err_code app_init(struct app *app, struct cmd *cmd, bool lock, struct err *err);
void app_done(struct app *app);

/* Starts the rooms in order; on failure those that had started are stopped again. */
MUST_CHECK enum err_code app_start(struct app *app, const struct room *rooms, int count, struct err *err);
void app_stop(struct app *app, const struct room *rooms, int count);

/* packs.c: the rooms "packs", "entity" and "query". */
MUST_CHECK enum err_code files_start(struct app *app, struct err *err);
void files_stop(struct app *app);
MUST_CHECK enum err_code packs_start(struct app *app, struct err *err);
void packs_stop(struct app *app);
MUST_CHECK enum err_code packs_room_reload(struct app *app, struct err *err); /* their words */
MUST_CHECK enum err_code entity_start(struct app *app, struct err *err);
MUST_CHECK enum err_code imports_start(struct app *app, struct err *err);
void entity_stop(struct app *app);
MUST_CHECK enum err_code query_start(struct app *app, struct err *err);
void query_stop(struct app *app);
