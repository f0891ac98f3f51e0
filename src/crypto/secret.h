/* secret.h - what people and machines prove themselves with: random tokens, password hashes, TOTP.
 *
 * Threads: any.  Layer: crypto. */
#pragma once
#include "base/err.h"

/* `len` bytes from the kernel.  ERR_INTERNAL only when there is no source of randomness at all. */
MUST_CHECK enum err_code random_bytes(void *out, size_t len, struct err *err);

/* A token of 32 random bytes as base64url text: 43 characters. */
#define TOKEN_SIZE 44 /* with NUL */
MUST_CHECK enum err_code token_make(char out[TOKEN_SIZE], struct err *err);

/* A password a person can type once: 16 characters of letters and digits without 0 O 1 l I, in groups of
 * four, with at least one of each class. */
#define PASSWORD_ONCE_SIZE 20 /* with NUL */
MUST_CHECK enum err_code password_once(char out[PASSWORD_ONCE_SIZE], struct err *err);

/* Argon2id (RFC 9106) as a PHC string; salt and costs stand in it. */
#define PASSWORD_HASH_SIZE 128
#define PASSWORD_BYTES_MAX 1024 /* a longer password is ERR_LIMIT */
struct password_cost {
    uint32_t memory_kib, passes;
};
/* 19 MiB, 2 passes: OWASP's second choice of equal strength; about 30 ms of one core. */
extern const struct password_cost PASSWORD_COST;
MUST_CHECK enum err_code password_hash(struct str password, const struct password_cost *cost,
                                       char out[PASSWORD_HASH_SIZE], struct err *err);
/* ERR_OK it is the password; ERR_NO_LOGIN "crypto.password" it is not; ERR_CORRUPT no PHC string; ERR_NOMEM.
 */
MUST_CHECK enum err_code password_verify(struct str password, struct str hash, struct err *err);
/* True when the hash was made with other costs: hash anew at the next login. */
bool password_is_old(struct str hash, const struct password_cost *cost);
/* As long as a verification, for logins of nobody: so that the time tells nothing. */
void password_verify_nobody(struct str password);

/* Time-based one-time passwords (RFC 6238): HMAC-SHA-1, 30 s, 6 digits, as authenticator programs expect. */
#define TOTP_SECRET_SIZE 20
#define TOTP_PERIOD_MS 30000
/* The step that `code` belongs to when it is right for `now_ms` or one step before or after and the step is
 * later than `last_step` (each code works once); -1 otherwise. */
int64_t totp_check(const unsigned char secret[TOTP_SECRET_SIZE], struct str code, int64_t now_ms,
                   int64_t last_step);
/* The code of a step, six digits and NUL. */
void totp_code(const unsigned char secret[TOTP_SECRET_SIZE], int64_t step, char out[7]);
/* Base32 (RFC 4648) of the secret, 32 characters and NUL: what is typed into the authenticator. */
void totp_text(const unsigned char secret[TOTP_SECRET_SIZE], char out[33]);
