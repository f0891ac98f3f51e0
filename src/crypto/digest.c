/* digest.c - see digest.h; the algorithms are OpenSSL's. */
#include "crypto/digest.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

struct digester {
    EVP_MD_CTX *context;
};

static const EVP_MD *algorithm(enum digest kind)
{
    return kind == DIGEST_SM3 ? EVP_sm3() : EVP_sha256();
}

enum err_code crypto_check(struct err *err)
{
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    static const enum digest kinds[] = { DIGEST_SM3, DIGEST_SHA256 };
    for (size_t i = 0; i < 2; i++)
        if (EVP_Digest("", 0, out, &len, algorithm(kinds[i]), NULL) != 1 || len != DIGEST_SIZE)
            return err_set(err, ERR_UNSUPPORTED, "crypto.missing", ARG_TEXT("what", i ? "SHA-256" : "SM3"),
                           ARG_END);
    EVP_CIPHER *sm4 = EVP_CIPHER_fetch(NULL, "SM4-CTR", NULL);
    EVP_CIPHER_free(sm4);
    return sm4 ? ERR_OK : err_set(err, ERR_UNSUPPORTED, "crypto.missing", ARG_TEXT("what", "SM4"), ARG_END);
}

void digest(enum digest kind, struct str bytes, unsigned char out[DIGEST_SIZE])
{
    const int ok = EVP_Digest(bytes.ptr ? bytes.ptr : "", bytes.len, out, NULL, algorithm(kind), NULL);
    assert(ok == 1);
}

struct digester *digester_new(enum digest kind)
{
    struct digester *digester = mem_alloc(1, sizeof *digester);
    if (!digester)
        return NULL;
    digester->context = EVP_MD_CTX_new();
    if (digester->context && EVP_DigestInit_ex(digester->context, algorithm(kind), NULL) == 1)
        return digester;
    digester_free(digester);
    return NULL;
}

void digester_add(struct digester *digester, const void *bytes, size_t len)
{
    const int ok = EVP_DigestUpdate(digester->context, bytes, len);
    assert(ok == 1);
}

void digester_end(struct digester *digester, unsigned char out[DIGEST_SIZE])
{
    const int ok = EVP_DigestFinal_ex(digester->context, out, NULL);
    assert(ok == 1);
    digester_free(digester);
}

void digester_free(struct digester *digester)
{
    if (digester)
        EVP_MD_CTX_free(digester->context);
    mem_free(digester);
}

void hmac(enum digest kind, struct str key, struct str bytes, unsigned char out[DIGEST_SIZE])
{
    assert(key.len <= INT32_MAX);
    const unsigned char *made =
        HMAC(algorithm(kind), key.len ? key.ptr : "", (int)key.len,
             (const unsigned char *)(bytes.ptr ? bytes.ptr : ""), bytes.len, out, NULL);
    assert(made);
}

bool crypto_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void hex_put(const unsigned char *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_get(struct str text, unsigned char *out, size_t len)
{
    if (text.len != len * 2)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (hex_digit(text.ptr[i]) < 0)
            return false;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)(hex_digit(text.ptr[2 * i]) * 16 + hex_digit(text.ptr[2 * i + 1]));
    return true;
}

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64_put(const unsigned char *bytes, size_t len, char *out)
{
    char *start = out;
    for (size_t i = 0; i < len; i += 3) {
        const size_t left = len - i;
        const uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                               (left > 2 ? bytes[i + 2] : 0);
        *out++ = ALPHABET[three >> 18];
        *out++ = ALPHABET[three >> 12 & 63];
        if (left > 1)
            *out++ = ALPHABET[three >> 6 & 63];
        if (left > 2)
            *out++ = ALPHABET[three & 63];
    }
    *out = 0;
    return (size_t)(out - start);
}

ptrdiff_t base64_get(struct str text, unsigned char *out, size_t max)
{
    const size_t len = text.len / 4 * 3 + (text.len % 4 ? text.len % 4 - 1 : 0);
    if (text.len % 4 == 1 || len > max)
        return -1;
    uint32_t bits = 0;
    int have = 0;
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *found = text.ptr[i] ? strchr(ALPHABET, text.ptr[i]) : NULL;
        if (!found)
            return -1;
        bits = bits << 6 | (uint32_t)(found - ALPHABET);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[at++] = (unsigned char)(bits >> have);
        }
    }
    return (bits & ((1u << have) - 1)) ? -1 : (ptrdiff_t)at; /* one text for each value */
}
