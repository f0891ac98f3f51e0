/* passphrase.h - bytes under a passphrase, for keys that leave the installation in a backup.
 *
 * Argon2id (64 MiB, 3 passes) makes the key, AES-256-GCM seals: "bhp1" | salt 16 | nonce 12 | ciphertext |
 * tag 16. Threads: any.  Layer: crypto. */
#pragma once
#include "base/buf.h"

#define PASSPHRASE_MIN 12 /* bytes; a shorter one is refused: the file may be attacked offline */

/* Appends the sealed form.  ERR_INVALID "crypto.passphrase_short"; ERR_NOMEM; ERR_INTERNAL. */
MUST_CHECK enum err_code passphrase_seal(struct str passphrase, struct str plain, struct buf *out,
                                         struct err *err);
/* Appends the plain bytes.  ERR_FORBIDDEN "crypto.passphrase" wrong passphrase or changed bytes;
 * ERR_CORRUPT not a sealed form. */
MUST_CHECK enum err_code passphrase_open(struct str passphrase, struct str sealed, struct buf *out,
                                         struct err *err);
