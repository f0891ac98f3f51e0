/* recovery.c - codes for the day when the second factor is lost.
 *
 * Ten are made with the factor and shown once; each stands for one code of the factor and is gone after that.
 * They have some 94 bits, so a plain digest keeps them.  Making new ones ends the old ones. */
#include "platform/identity/identity_sql.h"
#include "platform/identity/internal.h"

static void code_hash(struct str code, char out[DIGEST_HEX_SIZE])
{
    while (code.len && code.ptr[code.len - 1] == ' ')
        code.len--;
    while (code.len && code.ptr[0] == ' ')
        code = str_slice(code, 1, code.len);
    token_hash(code, out);
}

enum err_code recovery_forget(struct tx *tx, int64_t user_id, struct err *err)
{
    return tx_run(tx, SQL_RECOVERY_DROP, BINDS(bind_i64(user_id)), NULL, err);
}

enum err_code recovery_make(struct recovery_codes *codes, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; !rc && i < RECOVERY_CODES; i++)
        rc = password_once(codes->codes[i], err);
    return rc;
}

enum err_code recovery_write(struct tx *tx, int64_t user_id, const struct recovery_codes *codes,
                             struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = recovery_forget(tx, user_id, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_RECOVERY_ADD, &stmt, err);
    for (int i = 0; !rc && i < RECOVERY_CODES; i++) {
        char hash[DIGEST_HEX_SIZE];
        code_hash(str_from(codes->codes[i]), hash);
        stmt_bind_i64(stmt, 1, user_id);
        stmt_bind_text(stmt, 2, str_from(hash));
        stmt_bind_i64(stmt, 3, tx_now_ms(tx));
        rc = stmt_run(stmt, NULL, err);
    }
    return rc;
}

enum err_code recovery_find(struct tx *tx, int64_t user_id, struct str code, bool *out_found, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char hash[DIGEST_HEX_SIZE];
    const enum err_code rc = tx_prepare(tx, SQL_RECOVERY_FIND, &stmt, err);
    if (rc)
        return rc;
    code_hash(code, hash);
    stmt_bind_i64(stmt, 1, user_id);
    stmt_bind_text(stmt, 2, str_from(hash));
    return stmt_step(stmt, out_found, err);
}

enum err_code recovery_use(struct tx *tx, int64_t user_id, struct str code, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char hash[DIGEST_HEX_SIZE];
    int64_t changes = 0;
    enum err_code rc = tx_prepare(tx, SQL_RECOVERY_USE, &stmt, err);
    if (rc)
        return rc;
    code_hash(code, hash);
    stmt_bind_i64(stmt, 1, user_id);
    stmt_bind_text(stmt, 2, str_from(hash));
    rc = stmt_run(stmt, &changes, err);
    if (!rc && !changes) /* used at the same moment */
        rc = err_set(err, ERR_NO_LOGIN, "identity.totp_wrong", ARG_END);
    return rc;
}

json_t *recovery_json(const struct recovery_codes *codes)
{
    json_t *list = json_array();
    for (int i = 0; i < RECOVERY_CODES; i++)
        (void)json_array_append_new(list, json_string(codes->codes[i]));
    return json_pack("{s:o}", "codes", list);
}

struct state {
    struct request *req;
    bool on;
    int64_t left;
};

static enum err_code state_fn(struct tx *tx, void *arg, struct err *err)
{
    struct state *state = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc =
        tx_query_row(tx, SQL_TOTP_STATE, BINDS(bind_i64(who_of(state->req)->user_id)), &stmt, &row, err);
    state->on = !rc && row && stmt_i64(stmt, 0) != 0;
    state->left = !rc && row ? stmt_i64(stmt, 1) : 0;
    return rc;
}

/* GET /api/v1/core/session/totp: is the second factor on, and how many recovery codes are left. */
enum err_code totp_get(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    struct state state = { .req = req };
    const enum err_code rc = store_read(identity->config.store, state_fn, &state, err);
    return rc ? rc
              : reply_json(reply, json_pack("{s:b,s:I}", "on", state.on, "codes", (json_int_t)state.left),
                           err);
}
