/* audit.h - who did what, when, from where, with what before and after; chained, so that no line can change.
 *
 * Invariants: a line stands in the transaction of the act itself; lines of one chain are numbered without
 * holes and each holds the digest (SM3) of the one before; a writer (node, slot) has a chain of its own, so
 * writers do not wait for each other; a checkpoint binds the heads of all chains and is itself chained, under
 * a keyed digest of the installation's master key.
 * Audited are acts of people, clients and configuration, not samples nor transitions of alarms.
 * Threads: any; a line belongs to its tx.  Layer: platform/audit. */
#pragma once
#include "base/ids.h"
#include "crypto/keyring.h"
#include "store/store.h"

#define AUDIT_DATA_MAX 65536  /* bytes of before or after; a longer one is cut to its digest */
#define AUDIT_READS_MAX 10000 /* reads waiting to be written in a batch; more: the read is refused */

struct audit;

/* `node` is the leased number of this process, `keys` may be NULL (checkpoints are then not keyed).
 * NULL when there is no memory.  Caller frees. */
struct audit *audit_new(struct store *store, struct ids *ids, int node,
                        const struct key_ring *keys) MUST_CHECK;
/* Writes what waits, then frees.  Accepts NULL. */
void audit_free(struct audit *audit);

/* The act.  Names are stable lower-case words: "create", "update", "delete", "login", "login_failed",
 * "logout", "export", "reveal", "grant", "password", "publish" ... */
struct audit_line {
    const char *action;
    struct str object_type;   /* "ops.ticket", "core.user"; may be empty */
    int64_t object_id;        /* 0: none */
    struct str object_name;   /* what people call it, as it was */
    struct str before, after; /* JSON, or empty */
    struct str detail;        /* JSON or text: filter and count of a query, reason of a failure */
    int64_t user_id;          /* 0: the program itself */
    struct str user_name, remote, request_id;
};

/* Adds the line to the chain of this tx's writer.  May run twice with the tx. */
MUST_CHECK enum err_code audit_write(struct audit *audit, struct tx *tx, const struct audit_line *line,
                                     struct err *err);

/* A read of sensitive data or a query: kept in memory and written with others within a second, on the way out
 * by audit_flush().  ERR_BUSY when AUDIT_READS_MAX wait (then do not answer the read); ERR_NOMEM. */
MUST_CHECK enum err_code audit_read(struct audit *audit, const struct audit_line *line, struct err *err);
/* Writes the waiting reads; called each second by the owner of the process's timer and at the end. */
MUST_CHECK enum err_code audit_flush(struct audit *audit, struct err *err);

/* Binds the heads of all chains; once a minute, and before a month is dropped. */
MUST_CHECK enum err_code audit_checkpoint(struct audit *audit, struct err *err);

/* Drops the months that ended before `before_ms`, leaving the signed head of each chain where it now
 * begins.  *out_dropped = months. */
MUST_CHECK enum err_code audit_drop(struct audit *audit, int64_t before_ms, int *out_dropped,
                                    struct err *err);

enum audit_fault {
    AUDIT_GOOD,
    AUDIT_CHANGED,    /* a line's content does not give its digest */
    AUDIT_BROKEN,     /* a line does not follow from the one before: changed, gap or order */
    AUDIT_CUT,        /* the head says there were more lines than there are, or fewer */
    AUDIT_CHECKPOINT, /* a checkpoint does not agree with the lines, or with the one before it */
    AUDIT_FAULT__COUNT
};

struct audit_verdict {
    enum audit_fault fault;
    int64_t lines, chains, checkpoints; /* read so far */
    int64_t chain, seq, id;             /* of the first bad line or checkpoint */
};

/* Reads every line of every chain; needs no server.  `keys` may be NULL: keyed digests are then not checked.
 * ERR_OK with the verdict; errors of the store. */
MUST_CHECK enum err_code audit_verify(struct store *store, const struct key_ring *keys,
                                      struct audit_verdict *out, struct err *err);
/* "changed", "broken" ... */
const char *audit_fault_name(enum audit_fault fault);
