/* passphrase.c - see passphrase.h */
#include "crypto/passphrase.h"

#include "crypto/secret.h"

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define MAGIC "bhp1"
#define MAGIC_LEN 4
#define SALT_LEN 16
#define NONCE_LEN 12
#define TAG_LEN 16
#define KEY_LEN 32
#define PLAIN_MAX ((size_t)16 << 20)

static enum err_code derive(struct str passphrase, const unsigned char *salt, unsigned char key[KEY_LEN],
                            struct err *err)
{
    const int rc =
        argon2id_hash_raw(3, 65536, 1, passphrase.ptr, passphrase.len, salt, SALT_LEN, key, KEY_LEN);
    if (rc == ARGON2_MEMORY_ALLOCATION_ERROR)
        return err_nomem(err);
    return rc == ARGON2_OK ? ERR_OK : err_set(err, ERR_INTERNAL, "base.internal", ARG_END);
}

/* Runs AES-256-GCM; when opening, `tag` is compared, else made. */
static bool gcm(bool seal, const unsigned char *key, const unsigned char *nonce, struct str in,
                unsigned char *out, unsigned char tag[TAG_LEN])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0, last = 0;
    bool ok = ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, seal) == 1 &&
              EVP_CipherUpdate(ctx, NULL, &len, (const unsigned char *)MAGIC, MAGIC_LEN) == 1 &&
              EVP_CipherUpdate(ctx, out, &len, (const unsigned char *)in.ptr, (int)in.len) == 1;
    if (ok && !seal)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1;
    ok = ok && EVP_CipherFinal_ex(ctx, out + len, &last) == 1;
    if (ok && seal)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

enum err_code passphrase_seal(struct str passphrase, struct str plain, struct buf *out, struct err *err)
{
    unsigned char head[SALT_LEN + NONCE_LEN], key[KEY_LEN], tag[TAG_LEN];
    if (passphrase.len < PASSPHRASE_MIN)
        return err_set(err, ERR_INVALID, "crypto.passphrase_short", ARG_INT("min", PASSPHRASE_MIN), ARG_END);
    if (plain.len > PLAIN_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)PLAIN_MAX), ARG_END);
    enum err_code rc = random_bytes(head, sizeof head, err);
    if (!rc)
        rc = derive(passphrase, head, key, err);
    if (rc)
        return rc;
    unsigned char *sealed = mem_alloc(1, plain.len + 1);
    if (!sealed)
        rc = err_nomem(err);
    else if (!gcm(true, key, head + SALT_LEN, plain, sealed, tag))
        rc = err_set(err, ERR_INTERNAL, "base.internal", ARG_END);
    if (!rc) {
        buf_add(out, MAGIC, MAGIC_LEN);
        buf_add(out, head, sizeof head);
        buf_add(out, sealed, plain.len);
        buf_add(out, tag, sizeof tag);
        rc = buf_check(out, err);
    }
    OPENSSL_cleanse(key, sizeof key);
    mem_free(sealed);
    return rc;
}

enum err_code passphrase_open(struct str passphrase, struct str sealed, struct buf *out, struct err *err)
{
    const size_t around = MAGIC_LEN + SALT_LEN + NONCE_LEN + TAG_LEN;
    unsigned char key[KEY_LEN], tag[TAG_LEN];
    if (sealed.len < around || sealed.len > PLAIN_MAX + around || memcmp(sealed.ptr, MAGIC, MAGIC_LEN) != 0)
        return err_set(err, ERR_CORRUPT, "crypto.sealed", ARG_END);
    const unsigned char *head = (const unsigned char *)sealed.ptr + MAGIC_LEN;
    enum err_code rc = derive(passphrase, head, key, err);
    if (rc)
        return rc;
    const struct str body = str_slice(sealed, MAGIC_LEN + SALT_LEN + NONCE_LEN, sealed.len - TAG_LEN);
    unsigned char *plain = mem_alloc(1, body.len + 1);
    memcpy(tag, sealed.ptr + sealed.len - TAG_LEN, TAG_LEN);
    if (!plain)
        rc = err_nomem(err);
    else if (!gcm(false, key, head + SALT_LEN, body, plain, tag))
        rc = err_set(err, ERR_FORBIDDEN, "crypto.passphrase", ARG_END);
    if (!rc) {
        buf_add(out, plain, body.len);
        rc = buf_check(out, err);
    }
    OPENSSL_cleanse(key, sizeof key);
    if (plain)
        OPENSSL_cleanse(plain, body.len);
    mem_free(plain);
    return rc;
}
