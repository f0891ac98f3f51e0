/* secret.c - see secret.h */
#include "crypto/secret.h"
#include "crypto/digest.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define SALT_SIZE 16
#define HASH_SIZE 32

const struct password_cost PASSWORD_COST = { 19456, 2 };

enum err_code random_bytes(void *out, size_t len, struct err *err)
{
    char *at = out;
    while (len) {
        const ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(err, ERR_INTERNAL, "crypto.random", ARG_ERRNO(errno), ARG_END);
        at += got;
        len -= (size_t)got;
    }
    return ERR_OK;
}

enum err_code token_make(char out[TOKEN_SIZE], struct err *err)
{
    unsigned char bytes[32];
    const enum err_code rc = random_bytes(bytes, sizeof bytes, err);
    if (!rc)
        (void)base64_put(bytes, sizeof bytes, out);
    return rc;
}

enum err_code password_once(char out[PASSWORD_ONCE_SIZE], struct err *err)
{
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    const unsigned count = sizeof letters - 1;
    for (;;) {
        int upper = 0, lower = 0, digits = 0;
        for (int i = 0; i < PASSWORD_ONCE_SIZE - 1; i++) {
            if (i % 5 == 4) {
                out[i] = '-';
                continue;
            }
            unsigned char byte;
            do { /* no letter more likely than another */
                const enum err_code rc = random_bytes(&byte, 1, err);
                if (rc)
                    return rc;
            } while (byte >= 256 / count * count);
            out[i] = letters[byte % count];
            digits += out[i] <= '9';
            upper += out[i] >= 'A' && out[i] <= 'Z';
            lower += out[i] >= 'a';
        }
        out[PASSWORD_ONCE_SIZE - 1] = 0;
        if (upper && lower && digits)
            return ERR_OK;
    }
}

enum err_code password_hash(struct str password, const struct password_cost *cost,
                            char out[PASSWORD_HASH_SIZE], struct err *err)
{
    unsigned char salt[SALT_SIZE];
    if (password.len > PASSWORD_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", PASSWORD_BYTES_MAX), ARG_END);
    const enum err_code rc = random_bytes(salt, sizeof salt, err);
    if (rc)
        return rc;
    const int made = argon2id_hash_encoded(cost->passes, cost->memory_kib, 1, password.ptr, password.len,
                                           salt, sizeof salt, HASH_SIZE, out, PASSWORD_HASH_SIZE);
    return made == ARGON2_OK ? ERR_OK : err_nomem(err);
}

enum err_code password_verify(struct str password, struct str hash, struct err *err)
{
    char text[PASSWORD_HASH_SIZE];
    if (hash.len >= sizeof text)
        return err_set(err, ERR_CORRUPT, "crypto.hash", ARG_END);
    if (password.len > PASSWORD_BYTES_MAX)
        return err_set(err, ERR_NO_LOGIN, "crypto.password", ARG_END);
    if (hash.len)
        memcpy(text, hash.ptr, hash.len);
    text[hash.len] = 0;
    const int got = argon2id_verify(text, password.ptr ? password.ptr : "", password.len);
    if (got == ARGON2_OK)
        return ERR_OK;
    if (got == ARGON2_VERIFY_MISMATCH)
        return err_set(err, ERR_NO_LOGIN, "crypto.password", ARG_END);
    if (got == ARGON2_MEMORY_ALLOCATION_ERROR)
        return err_nomem(err);
    return err_set(err, ERR_CORRUPT, "crypto.hash", ARG_END);
}

bool password_is_old(struct str hash, const struct password_cost *cost)
{
    char want[64];
    const int len =
        snprintf(want, sizeof want, "$argon2id$v=19$m=%u,t=%u,p=1$", cost->memory_kib, cost->passes);
    return !str_starts(hash, (struct str) { want, (size_t)len });
}

void password_verify_nobody(struct str password)
{
    unsigned char out[HASH_SIZE];
    static const char salt[SALT_SIZE] = "nobody is here..";
    if (password.len <= PASSWORD_BYTES_MAX)
        (void)argon2id_hash_raw(PASSWORD_COST.passes, PASSWORD_COST.memory_kib, 1,
                                password.ptr ? password.ptr : "", password.len, salt, sizeof salt, out,
                                sizeof out);
}

void totp_code(const unsigned char secret[TOTP_SECRET_SIZE], int64_t step, char out[7])
{
    unsigned char message[8], mac[20];
    unsigned len = sizeof mac;
    for (int i = 0; i < 8; i++)
        message[i] = (unsigned char)((uint64_t)step >> (56 - 8 * i));
    (void)HMAC(EVP_sha1(), secret, TOTP_SECRET_SIZE, message, sizeof message, mac, &len);
    const unsigned char *at = mac + (mac[19] & 15); /* RFC 4226, 5.3 */
    const uint32_t number =
        ((uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]);
    (void)snprintf(out, 7, "%06u", number % 1000000u);
}

int64_t totp_check(const unsigned char secret[TOTP_SECRET_SIZE], struct str code, int64_t now_ms,
                   int64_t last_step)
{
    const int64_t now = now_ms / TOTP_PERIOD_MS;
    int64_t found = -1;
    for (int64_t step = now - 1; step <= now + 1; step++) {
        char want[7];
        totp_code(secret, step, want);
        if (step > last_step && crypto_equal(code, (struct str) { want, 6 }))
            found = step;
    }
    return found;
}

void totp_text(const unsigned char secret[TOTP_SECRET_SIZE], char out[33])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    for (int i = 0; i < 32; i++) {
        const int bit = i * 5, byte = bit / 8;
        const unsigned two =
            (unsigned)secret[byte] << 8 | (byte + 1 < TOTP_SECRET_SIZE ? secret[byte + 1] : 0u);
        out[i] = alphabet[two >> (11 - bit % 8) & 31];
    }
    out[32] = 0;
}
