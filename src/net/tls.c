/* tls.c - the certificate of the server, which can be changed while it runs.
 *
 * libmicrohttpd asks for it at each handshake by a function without an argument of ours; hence the one
 * pointer below, set by tls_callback() and never after.  A replaced pair lives until the end of the process,
 * since a handshake may still use it; their number is bounded by RELOADS_MAX. */
#include "net/exchange.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#define FILE_MAX ((size_t)1 << 20)
#define CHAIN_MAX 8
#define RELOADS_MAX 1000

struct pair {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
};

struct tls {
    pthread_mutex_t lock;
    struct pair *pairs[RELOADS_MAX]; /* the last one is in use */
    int count;
};

static struct tls *current;

static enum err_code bad(struct err *err, const char *path, int reason)
{
    return err_set(err, ERR_INVALID, "net.tls_file", ARG_TEXT("path", path),
                   ARG_TEXT("reason", gnutls_strerror(reason)), ARG_END);
}

static void pair_free(struct pair *pair)
{
    if (!pair)
        return;
    for (unsigned i = 0; i < pair->count; i++)
        gnutls_pcert_deinit(&pair->chain[i]);
    if (pair->key)
        gnutls_privkey_deinit(pair->key);
    mem_free(pair);
}

static enum err_code read_pair(const char *cert_file, const char *key_file, struct pair *pair,
                               struct err *err)
{
    struct buf cert, key;
    buf_init(&cert, FILE_MAX);
    buf_init(&key, FILE_MAX);
    enum err_code rc = buf_read_file(&cert, cert_file, err);
    if (!rc)
        rc = buf_read_file(&key, key_file, err);
    if (!rc) {
        const gnutls_datum_t cert_text = { (unsigned char *)cert.ptr, (unsigned)cert.len };
        const gnutls_datum_t key_text = { (unsigned char *)key.ptr, (unsigned)key.len };
        unsigned count = CHAIN_MAX;
        int failed = gnutls_pcert_list_import_x509_raw(pair->chain, &count, &cert_text, GNUTLS_X509_FMT_PEM,
                                                       GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
        pair->count = failed < 0 ? 0 : count;
        if (failed < 0)
            rc = bad(err, cert_file, failed);
        else if ((failed = gnutls_privkey_init(&pair->key)) < 0 ||
                 (failed =
                      gnutls_privkey_import_x509_raw(pair->key, &key_text, GNUTLS_X509_FMT_PEM, NULL, 0)) < 0)
            rc = bad(err, key_file, failed);
    }
    if (key.ptr)
        explicit_bzero(key.ptr, key.len);
    buf_done(&key);
    buf_done(&cert);
    return rc;
}

/* A signature made with the key must be good under the certificate: a pair that does not fit would only show
 * at the first handshake. */
static enum err_code check_pair(const char *key_file, const struct pair *pair, struct err *err)
{
    static unsigned char text[] = "bihuan";
    const gnutls_datum_t data = { text, sizeof text };
    gnutls_datum_t signature = { NULL, 0 };
    const int bits = gnutls_privkey_get_pk_algorithm(pair->key, NULL);
    const gnutls_sign_algorithm_t sign = gnutls_pk_to_sign((gnutls_pk_algorithm_t)bits, GNUTLS_DIG_SHA256);
    int failed = gnutls_privkey_sign_data2(pair->key, sign, 0, &data, &signature);
    if (failed >= 0)
        failed = gnutls_pubkey_verify_data2(pair->chain[0].pubkey, sign, 0, &data, &signature);
    gnutls_free(signature.data);
    return failed < 0 ? bad(err, key_file, failed) : ERR_OK;
}

enum err_code tls_reload(struct tls *tls, const char *cert_file, const char *key_file, struct err *err)
{
    struct pair *pair = mem_alloc(1, sizeof *pair);
    if (!pair)
        return err_nomem(err);
    enum err_code rc = read_pair(cert_file, key_file, pair, err);
    if (!rc)
        rc = check_pair(key_file, pair, err);
    (void)pthread_mutex_lock(&tls->lock);
    if (!rc && tls->count == RELOADS_MAX)
        rc = err_set(err, ERR_LIMIT, "net.tls_reloads", ARG_INT("max", RELOADS_MAX), ARG_END);
    if (!rc)
        tls->pairs[tls->count++] = pair;
    (void)pthread_mutex_unlock(&tls->lock);
    if (rc)
        pair_free(pair);
    return rc;
}

enum err_code tls_new(const char *cert_file, const char *key_file, struct tls **out, struct err *err)
{
    struct tls *tls = mem_alloc(1, sizeof *tls);
    if (!tls)
        return err_nomem(err);
    (void)pthread_mutex_init(&tls->lock, NULL);
    const enum err_code rc = tls_reload(tls, cert_file, key_file, err);
    if (rc)
        tls_free(tls);
    else
        *out = tls;
    return rc;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    if (current == tls)
        current = NULL;
    for (int i = 0; i < tls->count; i++)
        pair_free(tls->pairs[i]);
    (void)pthread_mutex_destroy(&tls->lock);
    mem_free(tls);
}

static int give(gnutls_session_t session, const gnutls_datum_t *req_ca_dn, int nreqs,
                const gnutls_pk_algorithm_t *pk_algos, int pk_algos_length, gnutls_pcert_st **pcert,
                unsigned int *pcert_length, gnutls_privkey_t *privkey)
{
    (void)session;
    (void)req_ca_dn;
    (void)nreqs;
    (void)pk_algos;
    (void)pk_algos_length;
    struct tls *tls = current;
    (void)pthread_mutex_lock(&tls->lock);
    struct pair *pair = tls->pairs[tls->count - 1];
    (void)pthread_mutex_unlock(&tls->lock);
    *pcert = pair->chain;
    *pcert_length = pair->count;
    *privkey = pair->key;
    return 0;
}

void *tls_callback(struct tls *tls)
{
    current = tls;
    return (void *)(uintptr_t)give;
}
