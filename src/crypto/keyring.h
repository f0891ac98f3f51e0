/* keyring.h - sealing of fields and secrets with the master keys of an installation.
 *
 * The ring is one file of mode 0600, a line a key, newest last; the newest seals, all open.  A sealed text
 * names the key it needs, so that rotation can go on in the background.  SM4-CTR (GB/T 32907-2016) with
 * HMAC-SM3 over nonce, context and ciphertext (encrypt, then authenticate); keys of use are derived from the
 * master key by HMAC-SM3 with a label.  What a sealed text belongs to (`context`: "ops.contact.phone:17") is
 * authenticated, so it cannot be moved to another place.
 * Invariant: a loaded ring only grows: a key in it never changes and never goes, so whoever holds the ring
 * goes on with it over a rotation.
 * Threads: a loaded ring from any, while another grows it.  Layer: crypto. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define KEYRING_KEYS_MAX 1000

struct key_ring;

/* Reads the ring; a file that is not there is made with one new key, its folder (mode 0700) too.
 * ERR_CORRUPT not a key file (line).  ERR_FORBIDDEN readable by others.  ERR_IO.  ERR_NOMEM.  Caller frees.
 */
MUST_CHECK enum err_code key_ring_open(const char *path, bool make, struct key_ring **out, struct err *err);
void key_ring_free(struct key_ring *ring);

/* Adds a new newest key to the file: written aside, synced, renamed.  ERR_LIMIT KEYRING_KEYS_MAX. */
MUST_CHECK enum err_code key_ring_rotate(const char *path, struct err *err);
/* Takes in what was added to the ring's file since.  ERR_CONFLICT "crypto.key_other": the file does not hold
 * the keys of this ring (the ring keeps what it has); codes of key_ring_open(). */
MUST_CHECK enum err_code key_ring_reload(struct key_ring *ring, struct err *err);
/* Both for the ring's own file: from now on the new key seals. */
MUST_CHECK enum err_code key_ring_grow(struct key_ring *ring, struct err *err);

/* The id of the newest key, and of the key that sealed a text (0 when it is no sealed text). */
int64_t key_ring_newest(const struct key_ring *ring);
int64_t sealed_key(struct str sealed);

/* Appends the sealed form (ASCII: "s1.KEY.BASE64URL").  ERR_NOMEM, ERR_LIMIT of the buffer, ERR_INTERNAL. */
MUST_CHECK enum err_code seal(const struct key_ring *ring, struct str context, struct str plain,
                              struct buf *out, struct err *err);
/* Appends the plain text.  A key newer than the ring's newest is looked for in the ring's file first, so that
 * what another process sealed by a key that it has just added can be read at once.
 * ERR_NOT_FOUND "crypto.key_missing" the key is not in this ring; ERR_CORRUPT "crypto.sealed" changed, cut,
 * or of another context.  On failure `out` is as it was. */
MUST_CHECK enum err_code unseal(struct key_ring *ring, struct str context, struct str sealed, struct buf *out,
                                struct err *err);

/* What came of sealing values anew. */
struct reseal_counts {
    int64_t seen, resealed;  /* values looked at; those that the newest key seals now and did not before */
    int64_t missing, broken; /* left as they are: the key is not in the ring; changed or of another context */
    char first[160];         /* the context of the first of these, or "" */
};
/* Appends the same plain text sealed by the newest key.  A text that cannot be opened is counted as missing
 * or broken, and nothing is appended: the rest still goes on.  `resealed` is counted by the caller, when it
 * is written.  Codes of seal(). */
MUST_CHECK enum err_code reseal(struct key_ring *ring, struct str context, struct str sealed, struct buf *out,
                                struct reseal_counts *counts, struct err *err);

/* A keyed digest of a text, the same for the same text for the life of the ring (made with its oldest key):
 * finds equal sealed values without opening them. */
void key_ring_blind(const struct key_ring *ring, struct str label, struct str text, unsigned char out[32]);
