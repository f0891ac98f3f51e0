/* digest.h - SM3 (GB/T 32905-2016), SHA-256 (FIPS 180-4), HMAC (RFC 2104) and their texts.
 *
 * Digests of memory that is there cannot fail but for a library without the algorithm; that is a broken
 * installation, found by crypto_check() at start, and asserted afterwards.
 * Threads: any.  Layer: crypto. */
#pragma once
#include "base/err.h"

#define DIGEST_SIZE 32                        /* bytes of SM3 and of SHA-256 */
#define DIGEST_HEX_SIZE (DIGEST_SIZE * 2 + 1) /* with NUL */

enum digest { DIGEST_SM3, DIGEST_SHA256 };

/* ERR_UNSUPPORTED when the installed OpenSSL lacks an algorithm that is needed. */
MUST_CHECK enum err_code crypto_check(struct err *err);

void digest(enum digest kind, struct str bytes, unsigned char out[DIGEST_SIZE]);

/* Of a stream: begin, add as often as needed, end. */
struct digester;
struct digester *digester_new(enum digest kind) MUST_CHECK; /* NULL: no memory */
void digester_add(struct digester *digester, const void *bytes, size_t len);
void digester_end(struct digester *digester, unsigned char out[DIGEST_SIZE]); /* frees it */
void digester_free(struct digester *digester);                                /* accepts NULL */

void hmac(enum digest kind, struct str key, struct str bytes, unsigned char out[DIGEST_SIZE]);

/* Equal, in a time that depends on the length alone. */
bool crypto_equal(struct str a, struct str b);

/* Lower-case hex, NUL-terminated: `out` holds 2 * len + 1. */
void hex_put(const unsigned char *bytes, size_t len, char *out);
/* False unless `text` is exactly 2 * len hex digits. */
bool hex_get(struct str text, unsigned char *out, size_t len);

/* Base64url without padding (RFC 4648, 5).  `out` holds base64_size(len); returns the length. */
static inline size_t base64_size(size_t len)
{
    return (len + 2) / 3 * 4 + 1;
}
size_t base64_put(const unsigned char *bytes, size_t len, char *out);
/* Decodes at most `max` bytes; -1 when it is no base64url or longer. */
ptrdiff_t base64_get(struct str text, unsigned char *out, size_t max);
