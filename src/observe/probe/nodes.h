/* nodes.h - probe nodes: who may send results, and what they have told about themselves.
 *
 * A node is made with a one-time token; the node exchanges it for a key.  Of both only the digest is kept.
 * The table lies in SQL and, for every request of a node, in memory: while SQL is away nodes go on sending.
 * Threads: any.  Layer: observe. */
#pragma once
#include "base/ids.h"
#include "store/store.h"

#include <jansson.h>

#define NODE_NAME_MAX 100
#define NODE_TOKEN_SIZE 44                    /* with NUL */
#define NODE_KEY_SIZE 72                      /* "ID.KEY" with NUL */
#define NODE_TOKEN_MS (INT64_C(7) * 86400000) /* a token is good for so long */
#define NODE_SKEW_MS 5000                     /* beyond it a node's instants are corrected */

struct nodes;
struct audit;

struct node_actor { /* for the audit line */
    int64_t user_id;
    struct str user_name, remote, request_id;
};

/* Loads the table.  `audit` may be NULL (tests). */
MUST_CHECK enum err_code nodes_open(struct store *store, struct ids *ids, const struct clock *clock,
                                    struct audit *audit, struct nodes **out, struct err *err);
void nodes_close(struct nodes *nodes);
/* Reads the table anew (another process has changed it). */
MUST_CHECK enum err_code nodes_reload(struct nodes *nodes, struct err *err);

/* ERR_INVALID (name), ERR_CONFLICT (name taken) and those of the store.  The token is told once. */
MUST_CHECK enum err_code nodes_create(struct nodes *nodes, struct str name, const struct node_actor *actor,
                                      int64_t *out_id, char out_token[NODE_TOKEN_SIZE], struct err *err);
/* A new token; the key of before stays good until it is used.  ERR_NOT_FOUND. */
MUST_CHECK enum err_code nodes_token(struct nodes *nodes, int64_t id, const struct node_actor *actor,
                                     char out_token[NODE_TOKEN_SIZE], struct err *err);
/* Its key is good no longer.  ERR_NOT_FOUND. */
MUST_CHECK enum err_code nodes_remove(struct nodes *nodes, int64_t id, const struct node_actor *actor,
                                      struct err *err);

/* Exchanges a token for a key.  ERR_NO_LOGIN: unknown, used or too old. */
MUST_CHECK enum err_code nodes_register(struct nodes *nodes, struct str token, struct str version,
                                        struct str address, int64_t *out_id, char out_key[NODE_KEY_SIZE],
                                        struct err *err);
/* The node with that key ("ID.KEY"); ERR_NO_LOGIN. */
MUST_CHECK enum err_code nodes_check(struct nodes *nodes, struct str key, int64_t *out_id, struct err *err);

/* What a request of the node tells: its clock (0 = not told), what it has buffered and had to drop.
 * Returns how much must be added to its instants (0 within NODE_SKEW_MS). */
int64_t nodes_seen(struct nodes *nodes, int64_t id, int64_t node_clock_ms, struct str address,
                   int64_t buffered_bytes, int64_t dropped);
/* So many results were stored, the newest of that instant. */
void nodes_acknowledged(struct nodes *nodes, int64_t id, int64_t results, int64_t newest_ms);

/* Results that never came: the node's buffer was full and the oldest went.  Told before nodes_acknowledged()
 * of the batch behind them.  While SQL is away it waits in memory; nothing is lost but with the process. */
struct node_gap {
    int64_t epoch, first, count, until_ms; /* until_ms: the first result behind */
};
#define NODE_GAPS_KEPT 500 /* of a node */
void nodes_gap(struct nodes *nodes, int64_t id, const struct node_gap *gap);
/* {"items":[{"noticed_at","count","from","until"}]}, newest first: a new reference.  ERR_NOT_FOUND. */
MUST_CHECK enum err_code nodes_gaps_json(struct nodes *nodes, int64_t id, json_t **out, struct err *err);

/* [{"id","name","state":"new|online|silent","seen_at","skew_ms", ...}], a new reference. */
MUST_CHECK enum err_code nodes_json(struct nodes *nodes, json_t **out, struct err *err);
bool nodes_has(struct nodes *nodes, int64_t id);
