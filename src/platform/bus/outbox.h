/* outbox.h - messages to other parts that must not be lost.
 *
 * A message is added in the transaction that makes it true and delivered after the commit, at least once, in
 * order per subject.  A consumer `in_tx` gets each message in a transaction that also marks it done, so that
 * what it writes happens once; a consumer that acts on the world outside (mail) may see a message again after
 * a crash and uses its id to tell.
 * Work is claimed by lease (SKIP LOCKED on PostgreSQL); a dead node's leases run out and others take over.
 * A failed message waits longer each time; after `tries` failures, or at once when no second try can help
 * (ERR_INVALID, ERR_UNSUPPORTED, ERR_CORRUPT), it is a dead letter: it no longer holds up its subject and
 * waits for somebody to look (outbox_retry). Consumers are known before the first message: a message without
 * a consumer is not stored. Threads: any; handlers run on the outbox's own threads.  Layer: platform/bus. */
#pragma once
#include "base/ids.h"
#include "platform/bus/bus.h"

struct outbox;

struct outbox_message {
    int64_t id;
    struct str topic;
    int64_t subject_id; /* 0: no order */
    struct str json;
    int64_t at_ms;
    int tries; /* failures before this one */
};

struct outbox_consumer {
    const char *name;    /* stable; "notify", "handle.flow" */
    const char *pattern; /* of topics, as bus_matches() */
    /* One of the two.  in_tx runs in a write transaction and may run twice.  outside runs without one, under
     * a lease of lease_ms. */
    enum err_code (*in_tx)(void *arg, struct tx *tx, const struct outbox_message *message, struct err *err);
    enum err_code (*outside)(void *arg, const struct outbox_message *message, struct err *err);
    void *arg;
    int tries;        /* 0 = 10: about six hours */
    int64_t lease_ms; /* 0 = 60,000; in_tx 20,000 */
};

/* `owner` names the process in leases (node_owner).  `bus` may be NULL; a dead letter is published there as
 * "deadletter.new".  Caller frees. */
MUST_CHECK enum err_code outbox_new(struct store *store, struct ids *ids, struct bus *bus, struct str owner,
                                    struct outbox **out_outbox, struct err *err);
/* Stops the threads first.  Accepts NULL. */
void outbox_free(struct outbox *outbox);

/* Before outbox_start() and before the first outbox_add().  ERR_CONFLICT name taken; ERR_LIMIT over 64. */
MUST_CHECK enum err_code outbox_register(struct outbox *outbox, const struct outbox_consumer *consumer,
                                         struct err *err);
/* Begins to deliver, with that many threads (1 to 16). */
MUST_CHECK enum err_code outbox_start(struct outbox *outbox, int threads, struct err *err);
/* Lets running handlers end; what waits stays in the database. */
void outbox_stop(struct outbox *outbox);

/* Adds a message for every consumer whose pattern matches; nothing when there is none. */
MUST_CHECK enum err_code outbox_add(struct outbox *outbox, struct tx *tx, struct str topic,
                                    int64_t subject_id, struct str json, struct err *err);
/* The same under an id that the caller knows (a line of the alarm log): added once however often it is
 * called.
 */
MUST_CHECK enum err_code outbox_add_once(struct outbox *outbox, struct tx *tx, int64_t id, struct str topic,
                                         int64_t subject_id, struct str json, struct err *err);

/* Delivers what is due now on the caller's thread; *out_done = how many were handled (well or not).  For
 * tests and for subcommands that run without threads. */
MUST_CHECK enum err_code outbox_run_due(struct outbox *outbox, int *out_done, struct err *err);

/* ---- dead letters ---- */

struct dead_letter {
    struct str consumer;
    struct outbox_message message;
    int64_t failed_at_ms;
    struct str error; /* JSON: {"code","id","args":{}} */
};
/* Oldest first, at most `limit`, those behind (`after` = id of the last seen, 0 from the start); in the
 * arena.
 */
MUST_CHECK enum err_code outbox_dead(struct outbox *outbox, struct arena *arena, int64_t after, int limit,
                                     struct dead_letter **out_letters, int *out_count, struct err *err);
MUST_CHECK enum err_code outbox_dead_count(struct outbox *outbox, int64_t *out_count, struct err *err);
/* Tries it again from now on; ERR_NOT_FOUND.  Inside the caller's tx, so that the act can be audited. */
MUST_CHECK enum err_code outbox_retry(struct outbox *outbox, struct tx *tx, struct str consumer, int64_t id,
                                      struct err *err);
/* Gives it up for good; ERR_NOT_FOUND. */
MUST_CHECK enum err_code outbox_drop(struct outbox *outbox, struct tx *tx, struct str consumer, int64_t id,
                                     struct err *err);

struct outbox_stats {
    int64_t waiting, dead; /* in the database */
    int64_t oldest_ms;     /* age of the oldest waiting one */
};
MUST_CHECK enum err_code outbox_stats(struct outbox *outbox, struct outbox_stats *out, struct err *err);
