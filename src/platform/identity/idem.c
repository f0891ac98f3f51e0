/* idem.c - answers of POSTs with an Idempotency-Key, kept for a day: one row a user and key.
 *
 * The row is there, without an answer, while the handler runs; a row whose node died in between is taken anew
 * after some minutes.  An answer may hold a secret that is shown once (a key, a password): its body lies
 * sealed. */
#include "base/log.h"
#include "base/zone.h"
#include "platform/identity/identity_sql.h"
#include "platform/identity/internal.h"

#include <stdio.h>

#define RUNNING_MS INT64_C(300000)

struct idem {
    int64_t user_id, now;
    struct str key, digest;
    struct http_answer answer;
    bool found;
    struct arena *arena;
};

static struct str context_of(char text[256], int64_t user_id, struct str key)
{
    (void)snprintf(text, 256, "core.idempotency:%lld:%.*s", (long long)user_id, STR_ARG(key));
    return str_from(text);
}

static enum err_code idem_take(struct tx *tx, const char *sql, const struct idem *idem, int64_t *out_changes,
                               struct err *err)
{
    return tx_run(
        tx, sql,
        BINDS(bind_i64(idem->user_id), bind_text(idem->key), bind_text(idem->digest), bind_i64(idem->now)),
        out_changes, err);
}

static enum err_code idem_begin_fn(struct tx *tx, void *arg, struct err *err)
{
    struct idem *idem = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    int64_t changes = 0;
    bool row = false;
    enum err_code rc = idem_take(tx, SQL_IDEM_BEGIN, idem, &changes, err);
    if (rc || changes)
        return rc;
    rc = tx_prepare(tx, SQL_IDEM_GET, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, idem->user_id);
    stmt_bind_text(stmt, 2, idem->key);
    rc = stmt_step(stmt, &row, err);
    if (rc || !row)
        return rc;
    const int64_t age = idem->now - stmt_i64(stmt, 3);
    const int status = (int)stmt_i64(stmt, 1);
    if (age > DAY_MS || (!status && age > RUNNING_MS)) { /* old, or its node died while it ran */
        stmt_free(stmt);
        stmt = NULL;
        return idem_take(tx, SQL_IDEM_RETAKE, idem, NULL, err);
    }
    if (!str_eq(stmt_text(stmt, 0), idem->digest))
        return err_set(err, ERR_INVALID, "identity.idempotency_other", ARG_END);
    if (!status)
        return err_set(err, ERR_CONFLICT, "identity.idempotency_running", ARG_END);
    idem->found = true;
    idem->answer = (struct http_answer) { status, arena_str(idem->arena, stmt_text(stmt, 4)),
                                          arena_str(idem->arena, stmt_text(stmt, 2)) };
    return idem->answer.body.ptr && idem->answer.headers.ptr ? ERR_OK : err_nomem(err);
}

/* A text that is not sealed was kept by a program before this one, or without keys. */
static enum err_code open_body(const struct identity *identity, struct idem *idem, struct err *err)
{
    char context[256];
    struct buf plain;
    if (!identity->config.keys || !sealed_key(idem->answer.body))
        return ERR_OK;
    buf_init(&plain, idem->answer.body.len + 64);
    enum err_code rc = unseal(identity->config.keys, context_of(context, idem->user_id, idem->key),
                              idem->answer.body, &plain, err);
    if (!rc) {
        idem->answer.body = arena_str(idem->arena, buf_get(&plain));
        rc = idem->answer.body.ptr ? ERR_OK : err_nomem(err);
        explicit_bzero(plain.ptr, plain.len);
    }
    buf_done(&plain);
    return rc;
}

enum err_code idem_begin(void *ctx, const struct request *req, struct str key, struct str digest,
                         bool *out_found, struct http_answer *out, struct err *err)
{
    struct identity *identity = ctx;
    struct idem idem = { .user_id = who_of(req)->user_id,
                         .now = clock_now(identity->config.clock),
                         .key = key,
                         .digest = digest,
                         .arena = req->arena };
    enum err_code rc = store_write(identity->config.store, idem_begin_fn, &idem, err);
    if (!rc && idem.found)
        rc = open_body(identity, &idem, err);
    *out_found = idem.found;
    *out = idem.answer;
    return rc;
}

static enum err_code idem_end_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct idem *idem = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, idem->answer.status ? SQL_IDEM_END : SQL_IDEM_FORGET, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, idem->user_id);
    stmt_bind_text(stmt, 2, idem->key);
    if (idem->answer.status) {
        stmt_bind_i64(stmt, 3, idem->answer.status);
        stmt_bind_text(stmt, 4, idem->answer.body);
        stmt_bind_text(stmt, 5, idem->answer.headers);
    }
    return stmt_run(stmt, NULL, err);
}

static bool is_text(struct str text)
{
    return utf8_valid(text) && !memchr(text.ptr ? text.ptr : "", 0, text.len);
}

void idem_end(void *ctx, const struct request *req, struct str key, const struct http_answer *answer)
{
    struct identity *identity = ctx;
    struct err err;
    struct idem idem = { .user_id = who_of(req)->user_id, .key = key, .answer = *answer };
    char context[256];
    struct buf sealed;
    enum err_code rc = ERR_OK;
    if (!is_text(answer->body) || !is_text(answer->headers))
        idem.answer.status = 0;
    buf_init(&sealed, answer->body.len * 2 + 256);
    if (idem.answer.status && identity->config.keys) {
        rc = seal(identity->config.keys, context_of(context, idem.user_id, key), answer->body, &sealed, &err);
        idem.answer.body = buf_get(&sealed);
    }
    if (!rc)
        rc = store_write(identity->config.store, idem_end_fn, &idem, &err);
    if (rc)
        log_err(&err, "identity.idempotency", "the answer of a key was not kept");
    buf_done(&sealed);
}
