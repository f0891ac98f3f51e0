/* rekey.h - the job core.rekey: every sealed value under the newest key.
 *
 * Goes over the sensitive fields of all record types, the secrets of the second factor and the sealed
 * settings, portion by portion, remembering where it is; what is sealed by the newest key already is passed
 * over, so it may run as often as one likes.  It goes round until a round finds nothing to do: what a
 * transaction sealed with the old key and committed behind its back is found by the next round.  Once a week
 * by schedule, for what a node without the newest key wrote later. The older keys stay in the ring: backups
 * and the digests of the audit need them. Layer: platform/rekey; above entity. */
#pragma once
#include "platform/jobs/jobs.h"

struct key_ring;
struct entity;
struct identity;
struct settings;

#define REKEY_KIND "core.rekey"

struct rekey {
    struct store *store;
    struct key_ring *keys;
    struct entity *entity;
    struct identity *identity;
    struct settings *settings;
    int portion;                      /* values a transaction; 0 = 100 */
    void (*after_portion)(void *arg); /* seam for tests; may be NULL */
    void *arg;
};

/* Before jobs_start(); `rekey` outlives the jobs.  Codes of jobs_register(). */
MUST_CHECK enum err_code rekey_register(struct rekey *rekey, struct jobs *jobs, struct err *err);
/* Asks for the work in the caller's tx, with that key at least: a node whose ring has not got it reads its
 * file anew, else leaves the job to another.  Its result:
 * {"key","seen","resealed","missing","broken","first"}. */
MUST_CHECK enum err_code rekey_add(struct jobs *jobs, struct tx *tx, int64_t key, int64_t user_id,
                                   int64_t *out_job, struct err *err);
