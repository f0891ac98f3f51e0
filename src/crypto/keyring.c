/* keyring.c - see keyring.h
 *
 * File: "bihuan-keys 1" and then lines "ID HEX" with 32 bytes of master key, ids growing. */
#include "crypto/keyring.h"
#include "base/disk.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/secret.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MASTER_SIZE 32
#define SM4_KEY_SIZE 16
#define NONCE_SIZE 16
#define MAC_SIZE 16 /* HMAC-SM3 cut to 128 bits */
#define FILE_MAX 131072

static const struct str HEAD = { "bihuan-keys 1\n", 14 };
static const struct str MARK = { "s1.", 3 };

struct key {
    int64_t id;
    unsigned char master[MASTER_SIZE], cipher[DIGEST_SIZE], mac[DIGEST_SIZE];
};

/* Room for all keys from the start: a new one is written behind the others before `count` tells of it, so
 * that readers need no lock. */
struct key_ring {
    struct key *keys; /* by id, ascending */
    _Atomic int count;
    char *path;
    pthread_mutex_t growing;
    ino_t file; /* the file that was read last, guarded by `growing`: it is only ever replaced as a whole */
    struct timespec changed;
};

static struct str bytes_of(const unsigned char *bytes, size_t len)
{
    return (struct str) { (const char *)bytes, len };
}

static enum err_code corrupt_line(struct err *err, int line)
{
    (void)err_set(err, ERR_CORRUPT, "crypto.key_file", ARG_END);
    return err_at(err, line, 1);
}

static enum err_code parse_line(struct key_ring *ring, struct str text, int line, struct err *err)
{
    struct key *key = &ring->keys[ring->count];
    struct str id;
    if (!str_cut(&text, ' ', &id) || !str_i64(id, &key->id) || key->id <= 0 ||
        (ring->count && key->id <= ring->keys[ring->count - 1].id) ||
        !hex_get(text, key->master, MASTER_SIZE))
        return corrupt_line(err, line);
    hmac(DIGEST_SM3, bytes_of(key->master, MASTER_SIZE), STR("bihuan seal cipher"), key->cipher);
    hmac(DIGEST_SM3, bytes_of(key->master, MASTER_SIZE), STR("bihuan seal mac"), key->mac);
    ring->count++;
    return ERR_OK;
}

static enum err_code parse(struct key_ring *ring, struct str text, struct err *err)
{
    if (!str_starts(text, HEAD))
        return corrupt_line(err, 1);
    text = str_slice(text, HEAD.len, text.len);
    struct str part;
    for (int line = 2; str_cut(&text, '\n', &part); line++) {
        if (part.len == 0)
            continue;
        if (ring->count == KEYRING_KEYS_MAX)
            return err_set(err, ERR_LIMIT, "crypto.keys_max", ARG_INT("max", KEYRING_KEYS_MAX), ARG_END);
        const enum err_code rc = parse_line(ring, part, line, err);
        if (rc)
            return rc;
    }
    return ring->count ? ERR_OK : corrupt_line(err, 2);
}

static enum err_code add_key_line(struct buf *text, int64_t id, struct err *err)
{
    unsigned char master[MASTER_SIZE];
    char hex[MASTER_SIZE * 2 + 1];
    const enum err_code rc = random_bytes(master, sizeof master, err);
    if (rc)
        return rc;
    hex_put(master, sizeof master, hex);
    buf_printf(text, "%" PRId64 " %s\n", id, hex);
    OPENSSL_cleanse(master, sizeof master);
    OPENSSL_cleanse(hex, sizeof hex);
    return buf_check(text, err);
}

static void wipe(struct buf *text)
{
    if (text->ptr)
        OPENSSL_cleanse(text->ptr, text->len);
    buf_done(text);
}

static enum err_code make_file(const char *path, struct err *err)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    struct buf text;
    buf_init(&text, FILE_MAX);
    buf_str(&text, HEAD);
    enum err_code rc = disk_mkdir(NULL, folder, err);
    if (!rc)
        rc = add_key_line(&text, 1, err);
    if (!rc)
        rc = disk_replace(NULL, path, text.ptr, text.len, err);
    wipe(&text);
    return rc;
}

static enum err_code read_ring(const char *path, struct buf *text, struct key_ring *ring, struct err *err)
{
    struct stat info;
    const bool seen = stat(path, &info) == 0; /* before it is read: a later one is read again */
    const enum err_code rc = buf_read_file(text, path, err);
    if (rc)
        return rc;
    if (!seen)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    if (info.st_mode & 077)
        return err_set(err, ERR_FORBIDDEN, "crypto.key_mode", ARG_TEXT("path", path), ARG_END);
    ring->file = info.st_ino;
    ring->changed = info.st_mtim;
    ring->keys = mem_alloc(KEYRING_KEYS_MAX, sizeof *ring->keys);
    if (!ring->keys)
        return err_nomem(err);
    return parse(ring, buf_get(text), err);
}

enum err_code key_ring_open(const char *path, bool make, struct key_ring **out, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (make && access(path, F_OK) != 0 && errno == ENOENT)
        rc = make_file(path, err);
    if (rc)
        return rc;
    struct buf text;
    buf_init(&text, FILE_MAX);
    struct key_ring *ring = mem_alloc(1, sizeof *ring);
    if (!ring)
        return err_nomem(err);
    (void)pthread_mutex_init(&ring->growing, NULL);
    ring->path = mem_copy(path, strlen(path));
    rc = ring->path ? read_ring(path, &text, ring, err) : err_nomem(err);
    wipe(&text);
    if (rc) {
        key_ring_free(ring);
        return rc;
    }
    *out = ring;
    return ERR_OK;
}

void key_ring_free(struct key_ring *ring)
{
    if (!ring)
        return;
    if (ring->keys)
        OPENSSL_cleanse(ring->keys, KEYRING_KEYS_MAX * sizeof *ring->keys);
    mem_free(ring->keys);
    mem_free(ring->path);
    (void)pthread_mutex_destroy(&ring->growing);
    mem_free(ring);
}

enum err_code key_ring_rotate(const char *path, struct err *err)
{
    struct key_ring *ring = NULL;
    enum err_code rc = key_ring_open(path, false, &ring, err);
    if (rc)
        return rc;
    assert(ring);
    struct buf text;
    buf_init(&text, FILE_MAX);
    rc = buf_read_file(&text, path, err);
    if (!rc && ring->count == KEYRING_KEYS_MAX)
        rc = err_set(err, ERR_LIMIT, "crypto.keys_max", ARG_INT("max", KEYRING_KEYS_MAX), ARG_END);
    if (!rc)
        rc = add_key_line(&text, key_ring_newest(ring) + 1, err);
    if (!rc)
        rc = disk_replace(NULL, path, text.ptr, text.len, err);
    wipe(&text);
    key_ring_free(ring);
    return rc;
}

/* Under the lock.  `fresh` is what the file holds now. */
static enum err_code take_in(struct key_ring *ring, const struct key_ring *fresh, struct err *err)
{
    const int have = ring->count;
    bool same = fresh->count >= have;
    for (int i = 0; i < have && same; i++)
        same = ring->keys[i].id == fresh->keys[i].id &&
               crypto_equal(bytes_of(ring->keys[i].master, MASTER_SIZE),
                            bytes_of(fresh->keys[i].master, MASTER_SIZE));
    if (!same)
        return err_set(err, ERR_CONFLICT, "crypto.key_other", ARG_TEXT("path", ring->path), ARG_END);
    memcpy(ring->keys + have, fresh->keys + have, (size_t)(fresh->count - have) * sizeof *ring->keys);
    ring->count = fresh->count;
    ring->file = fresh->file;
    ring->changed = fresh->changed;
    return ERR_OK;
}

/* Under the lock. */
static enum err_code read_again(struct key_ring *ring, struct err *err)
{
    struct key_ring *fresh = NULL;
    enum err_code rc = key_ring_open(ring->path, false, &fresh, err);
    if (rc)
        return rc;
    assert(fresh);
    rc = take_in(ring, fresh, err);
    key_ring_free(fresh);
    return rc;
}

static enum err_code grow(struct key_ring *ring, bool rotate, struct err *err)
{
    (void)pthread_mutex_lock(&ring->growing);
    enum err_code rc = rotate ? key_ring_rotate(ring->path, err) : ERR_OK;
    if (!rc)
        rc = read_again(ring, err);
    (void)pthread_mutex_unlock(&ring->growing);
    return rc;
}

enum err_code key_ring_reload(struct key_ring *ring, struct err *err)
{
    return grow(ring, false, err);
}

enum err_code key_ring_grow(struct key_ring *ring, struct err *err)
{
    return grow(ring, true, err);
}

int64_t key_ring_newest(const struct key_ring *ring)
{
    return ring->keys[ring->count - 1].id;
}

/* Splits "s1.KEY.BODY". */
static bool split_sealed(struct str sealed, int64_t *out_key, struct str *out_body)
{
    if (!str_starts(sealed, MARK))
        return false;
    struct str rest = str_slice(sealed, MARK.len, sealed.len), id;
    if (!str_cut(&rest, '.', &id) || !rest.ptr || !str_i64(id, out_key) || *out_key <= 0)
        return false;
    *out_body = rest;
    return true;
}

int64_t sealed_key(struct str sealed)
{
    int64_t key;
    struct str body;
    return split_sealed(sealed, &key, &body) ? key : 0;
}

static const struct key *find_key(const struct key_ring *ring, int64_t id)
{
    for (int i = ring->count - 1; i >= 0; i--)
        if (ring->keys[i].id == id)
            return &ring->keys[i];
    return NULL;
}

/* A key that another process has added since is found when the first text sealed by it is met, not when word
 * of it comes: the file is read once more when it is another one than was read last. */
static const struct key *need_key(struct key_ring *ring, int64_t id)
{
    const struct key *key = find_key(ring, id);
    if (key)
        return key;
    struct stat info;
    struct err err;
    (void)pthread_mutex_lock(&ring->growing);
    if (id > key_ring_newest(ring) && stat(ring->path, &info) == 0 &&
        (info.st_ino != ring->file || info.st_mtim.tv_sec != ring->changed.tv_sec ||
         info.st_mtim.tv_nsec != ring->changed.tv_nsec)) {
        if (read_again(ring, &err))
            log_err(&err, "key.reload", "keeps the keys it has");
        ring->file = info.st_ino; /* also one that cannot be used is not read again for each text */
        ring->changed = info.st_mtim;
    }
    (void)pthread_mutex_unlock(&ring->growing);
    return find_key(ring, id);
}

/* Counter mode: the same for both directions. */
static bool sm4_ctr(const struct key *key, const unsigned char nonce[NONCE_SIZE], struct str in,
                    unsigned char *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int len = 0;
    const bool ok = context && in.len <= INT32_MAX &&
                    EVP_EncryptInit_ex(context, EVP_sm4_ctr(), NULL, key->cipher, nonce) == 1 &&
                    (in.len == 0 ||
                     EVP_EncryptUpdate(context, out, &len, (const unsigned char *)in.ptr, (int)in.len) == 1);
    EVP_CIPHER_CTX_free(context);
    return ok && (size_t)len == in.len;
}

/* Over the lengths too, so that no two inputs look alike. */
static bool mac_of(const struct key *key, struct str context, struct str nonce_and_text,
                   unsigned char out[DIGEST_SIZE])
{
    struct buf all;
    buf_init(&all, (size_t)64 << 20);
    buf_printf(&all, "%zu:", context.len);
    buf_str(&all, context);
    buf_str(&all, nonce_and_text);
    const bool ok = !all.failed;
    if (ok)
        hmac(DIGEST_SM3, bytes_of(key->mac, sizeof key->mac), buf_get(&all), out);
    buf_done(&all);
    return ok;
}

enum err_code seal(const struct key_ring *ring, struct str context, struct str plain, struct buf *out,
                   struct err *err)
{
    const struct key *key = &ring->keys[ring->count - 1];
    const size_t len = NONCE_SIZE + plain.len + MAC_SIZE;
    unsigned char mac[DIGEST_SIZE];
    unsigned char *raw = mem_alloc(len, 1);
    char *text = mem_alloc(base64_size(len), 1);
    if (!raw || !text) {
        mem_free(raw);
        mem_free(text);
        return err_nomem(err);
    }
    enum err_code rc = random_bytes(raw, NONCE_SIZE, err);
    if (!rc && !sm4_ctr(key, raw, plain, raw + NONCE_SIZE))
        rc = err_set(err, ERR_INTERNAL, "crypto.missing", ARG_TEXT("what", "SM4"), ARG_END);
    if (!rc && !mac_of(key, context, bytes_of(raw, NONCE_SIZE + plain.len), mac))
        rc = err_nomem(err);
    if (!rc) {
        memcpy(raw + NONCE_SIZE + plain.len, mac, MAC_SIZE);
        const size_t text_len = base64_put(raw, len, text);
        buf_printf(out, "s1.%" PRId64 ".", key->id);
        buf_add(out, text, text_len);
        rc = buf_check(out, err);
    }
    mem_free(raw);
    mem_free(text);
    return rc;
}

static enum err_code open_raw(const struct key *key, struct str context, const unsigned char *raw, size_t len,
                              struct buf *out, struct err *err)
{
    unsigned char mac[DIGEST_SIZE];
    const size_t text_len = len - NONCE_SIZE - MAC_SIZE, out_len = out->len;
    if (!mac_of(key, context, bytes_of(raw, len - MAC_SIZE), mac))
        return err_nomem(err);
    if (!crypto_equal(bytes_of(mac, MAC_SIZE), bytes_of(raw + len - MAC_SIZE, MAC_SIZE)))
        return err_set(err, ERR_CORRUPT, "crypto.sealed", ARG_END);
    char *room = buf_room(out, text_len);
    if (!room)
        return buf_check(out, err);
    if (!sm4_ctr(key, raw, bytes_of(raw + NONCE_SIZE, text_len), (unsigned char *)room))
        return err_set(err, ERR_INTERNAL, "crypto.missing", ARG_TEXT("what", "SM4"), ARG_END);
    out->len = out_len + text_len;
    out->ptr[out->len] = 0;
    return ERR_OK;
}

enum err_code unseal(struct key_ring *ring, struct str context, struct str sealed, struct buf *out,
                     struct err *err)
{
    int64_t id;
    struct str body;
    if (!split_sealed(sealed, &id, &body))
        return err_set(err, ERR_CORRUPT, "crypto.sealed", ARG_END);
    const struct key *key = need_key(ring, id);
    if (!key)
        return err_set(err, ERR_NOT_FOUND, "crypto.key_missing", ARG_INT("key", id), ARG_END);
    const size_t max = body.len;
    unsigned char *raw = mem_alloc(max + 1, 1);
    if (!raw)
        return err_nomem(err);
    const ptrdiff_t len = base64_get(body, raw, max);
    const enum err_code rc = len < NONCE_SIZE + MAC_SIZE ? err_set(err, ERR_CORRUPT, "crypto.sealed", ARG_END)
                                                         : open_raw(key, context, raw, (size_t)len, out, err);
    mem_free(raw);
    return rc;
}

enum err_code reseal(struct key_ring *ring, struct str context, struct str sealed, struct buf *out,
                     struct reseal_counts *counts, struct err *err)
{
    struct buf plain;
    buf_init(&plain, out->max);
    enum err_code rc = unseal(ring, context, sealed, &plain, err);
    if (!rc) {
        rc = seal(ring, context, buf_get(&plain), out, err);
    } else if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT) {
        if (!counts->missing && !counts->broken)
            (void)snprintf(counts->first, sizeof counts->first, "%.*s", STR_ARG(context));
        counts->missing += rc == ERR_NOT_FOUND;
        counts->broken += rc == ERR_CORRUPT;
        rc = ERR_OK;
    }
    wipe(&plain);
    return rc;
}

void key_ring_blind(const struct key_ring *ring, struct str label, struct str text, unsigned char out[32])
{
    unsigned char key[DIGEST_SIZE];
    hmac(DIGEST_SM3, bytes_of(ring->keys[0].master, MASTER_SIZE), label, key);
    hmac(DIGEST_SM3, bytes_of(key, sizeof key), text, out);
    OPENSSL_cleanse(key, sizeof key);
}
