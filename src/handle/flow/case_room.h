/* case_room.h - what the files of this folder share: the room, its caches, one piece of work.
 *
 * Layer: handle/flow; not for others. */
#pragma once
#include "handle/flow/case.h"
#include "handle/flow/case_sql.h"

#include <pthread.h>

#define VERSIONS_MAX 1000 /* flows or matrices of different content in use at once */

struct flow_version {
    int64_t id;
    struct arena *arena;
    const struct flow_model *model;
    const struct flow_expressions *expressions;
    struct str flow;
};
struct sla_version {
    int64_t id;
    struct sla_matrix *matrix;
};

/* Versions are read once and kept: a running case asks for its own at every step. */
struct case_room {
    struct ids *ids;
    const struct clock *clock;
    const struct case_host *host;
    pthread_mutex_t lock; /* over the two lists, never over the store */
    struct flow_version *flows[VERSIONS_MAX];
    struct sla_version *matrices[VERSIONS_MAX];
    int flows_count, matrices_count;
};

/* The pinned versions; borrowed from the room. */
MUST_CHECK enum err_code room_flow(struct case_room *room, struct tx *tx, int64_t version,
                                   const struct flow_version **out_version, struct err *err);
MUST_CHECK enum err_code room_model(struct case_room *room, struct tx *tx, int64_t version,
                                    const struct flow_model **out_model, struct err *err);
MUST_CHECK enum err_code room_matrix(struct case_room *room, struct tx *tx, int64_t version,
                                     const struct sla_matrix **out_matrix, struct err *err);
/* Stores what is in force now, if it is new, and gives the version's id.  A flow that does not deploy is
 * refused here. */
MUST_CHECK enum err_code room_flow_pin(struct case_room *room, struct tx *tx, struct str type,
                                       int64_t *out_version, struct err *err);
MUST_CHECK enum err_code room_matrix_pin(struct case_room *room, struct tx *tx, struct str type,
                                         int64_t *out_version, struct err *err);

/* Replays a case's events up to `now_ms`; `pieces` may be NULL. */
MUST_CHECK enum err_code room_replay(struct case_room *room, struct tx *tx, const struct case_row *row,
                                     const struct event_row *events, int count, int64_t now_ms,
                                     const struct sla_calendars *calendars, struct sla_pieces *pieces,
                                     struct sla_result *out, struct err *err);
/* Derives and writes clocks, the next due instant and the due instants of open tasks. */
MUST_CHECK enum err_code room_derive(struct case_room *room, struct tx *tx, struct case_row *row,
                                     const struct flow_model *model, struct sla_result *out, struct err *err);

/* Adds an event; who did it, and id and times where they are 0, are filled in. */
MUST_CHECK enum err_code room_event(struct case_room *room, struct tx *tx, const struct case_step *step,
                                    struct event_row *event, struct err *err);
