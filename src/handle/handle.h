/* handle.h - the room of cases, wired to what stands below: records, packs, audit, outbox, time.
 *
 * A record of a type of kind case becomes a case when it is created, by whomever; its flow, clocks and tasks
 * follow from hooks of the entity layer.  Alarms arrive through the outbox.  One thread wakes for what is
 * due.  Threads: any.  Layer: handle. */
#pragma once
#include "handle/flow/case.h"
#include "platform/identity/principal.h"

struct handle;
struct office;
struct entity;
struct packs;
struct outbox;
struct audit;
struct bus;
struct http_server;
struct notify;

struct handle_config {
    struct store *store;
    struct ids *ids;
    const struct clock *clock;
    const struct words *words;
    struct entity *entity;
    const struct packs *packs;
    struct outbox *outbox;      /* NULL = no messages (tests, subcommands) */
    struct audit *audit;        /* NULL = not audited (tests) */
    struct notify *notify;      /* NULL = nobody is told of tasks and deadlines */
    struct bus *bus;            /* NULL = calendars are read once */
    struct http_server *server; /* NULL = no routes */
    struct str alarm_type;      /* what an alarm opens: "ops.ticket"; empty = nothing */
    /* Who is on duty for a service now; returns how many users.  NULL = nobody. */
    int (*on_duty)(void *ctx, struct tx *tx, int64_t service, int64_t *out_users, int max);
    void *on_duty_ctx;
};

/* Checks the flows of all case types (findings with file and line), reads the calendars, adds hooks, routes
 * and the outbox consumer.  ERR_INVALID when a flow does not deploy.  Before serving.  Caller frees. */
MUST_CHECK enum err_code handle_new(const struct handle_config *config, struct findings *findings,
                                    struct handle **out_handle, struct err *err);
/* Stops the thread first. */
void handle_free(struct handle *handle);
/* Starts the thread that wakes for timers, warnings and breaches. */
MUST_CHECK enum err_code handle_start(struct handle *handle, struct err *err);
void handle_stop(struct handle *handle);

struct case_room *handle_room(struct handle *handle);
struct office *handle_office(struct handle *handle);
const struct handle_config *handle_config(const struct handle *handle);

/* May they do this to that case: permission and row scope. */
bool handle_may(struct handle *handle, struct tx *tx, const struct principal *who, struct str permission,
                struct str type, int64_t id);

/* Calls `each` for the permissions that cases need besides those of their records: the candidates of their
 * flows' steps, and for every case type handle, reopen and cancel.  One may come twice. */
void handle_permissions(struct handle *handle, void (*each)(void *arg, struct str permission), void *arg);
