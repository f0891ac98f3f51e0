/* digest.h - the digests of lines, checkpoints and starts: shared by writing and verifying.
 *
 * A line's digest is SM3 over the digest of the line before and every field, each with its length in front,
 * so that no two lines look alike.  Layer: platform/audit, private. */
#pragma once
#include "crypto/digest.h"
#include "crypto/keyring.h"

#define AUDIT_TEXTS 9

struct audit_content {
    int64_t id, at, chain, seq, user_id, object_id;
    struct str texts[AUDIT_TEXTS]; /* user_name remote request_id action object_type object_name before after
                                      detail */
};

/* ERR_NOMEM. */
MUST_CHECK enum err_code audit_line_digest(struct str before, const struct audit_content *content,
                                           char out[DIGEST_HEX_SIZE], struct err *err);
/* A checkpoint's, over the one before, its number, instant and heads; keyed when there are keys. */
MUST_CHECK enum err_code audit_checkpoint_digest(const struct key_ring *keys, struct str before, int64_t seq,
                                                 int64_t at, struct str heads, char out[DIGEST_HEX_SIZE],
                                                 struct err *err);
/* The seal of a chain's new start; "" without keys. */
void audit_start_seal(const struct key_ring *keys, int64_t chain, int64_t seq, struct str hash,
                      char out[DIGEST_HEX_SIZE]);
