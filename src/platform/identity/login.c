/* login.c - logging in and out, the password, the second factor.
 *
 * A wrong password counts against the user (in the database) and against the address and the name typed
 * (in memory, so that names that do not exist behave alike).  From the third failure on the next try must
 * wait 2, 4, 8 ... 30 s; at the limit the user is locked.  Nothing sleeps: too early is answered at once. */
#include "platform/identity/internal.h"
#include "base/log.h"
#include "platform/identity/identity_sql.h"

#include <stdio.h>
#include <unistd.h>

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS INT64_C(3600000)
#define ADDRESS_TRIES_MAX 50 /* failures from one address in TRIES_MS, whatever the names */
#define TRIES_MS (10 * MINUTE_MS)
#define TOTP_TYPED_MAX 10 /* longer is a recovery code */

/* ---- failures in memory ---- */

static struct try_count *try_of(struct identity *identity, uint64_t key, int64_t now)
{
    struct try_count *slot = &identity->tries[key % TRIES_MAX];
    if (slot->key != key || now - slot->since_ms > TRIES_MS)
        *slot = (struct try_count) { .key = key, .since_ms = now };
    return slot;
}

static uint64_t try_key(const char *kind, struct str text)
{
    return str_hash(text) * 31 + str_hash(str_from(kind));
}

static int tries(struct identity *identity, const char *kind, struct str text, int64_t now, int add)
{
    (void)pthread_mutex_lock(&identity->lock);
    struct try_count *slot = try_of(identity, try_key(kind, text), now);
    slot->count += add;
    const int count = slot->count;
    (void)pthread_mutex_unlock(&identity->lock);
    return count;
}

/* ---- logging in ---- */

struct login {
    struct identity *identity;
    struct request *req;
    struct str user, password, totp;
    bool totp_given;
    int64_t now;
    /* what the store says */
    bool known, active, totp_on;
    int64_t id, failed, failed_at, locked_until, totp_step, password_at;
    struct str name, hash, totp_sealed;
    /* what is written */
    const char *reason;
    char token[TOKEN_SIZE], token_hash[DIGEST_HEX_SIZE], csrf[TOKEN_SIZE];
    char new_hash[PASSWORD_HASH_SIZE];
    int64_t session_id, new_step;
    bool by_recovery; /* a recovery code stands for the second factor */
};

static enum err_code read_login(struct tx *tx, void *arg, struct err *err)
{
    struct login *login = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = tx_query(tx, SQL_LOGIN, BINDS(bind_text(login->user)), &stmt, err);
    if (rc)
        return rc;
    rc = stmt_step(stmt, &login->known, err);
    if (rc || !login->known)
        return rc;
    struct arena *arena = login->req->arena;
    login->id = stmt_i64(stmt, 0);
    login->name = arena_str(arena, stmt_text(stmt, 1));
    login->active = stmt_i64(stmt, 2) != 0;
    login->hash = arena_str(arena, stmt_text(stmt, 3));
    login->password_at = stmt_i64(stmt, 4);
    login->failed = stmt_i64(stmt, 5);
    login->failed_at = stmt_i64(stmt, 6);
    login->locked_until = stmt_i64(stmt, 7);
    login->totp_sealed = arena_str(arena, stmt_text(stmt, 8));
    login->totp_on = stmt_i64(stmt, 9) != 0;
    login->totp_step = stmt_i64(stmt, 10);
    return login->hash.ptr && login->totp_sealed.ptr && login->name.ptr ? ERR_OK : err_nomem(err);
}

static enum err_code failed_fn(struct tx *tx, void *arg, struct err *err)
{
    struct login *login = arg;
    struct settings *settings = login->identity->config.settings;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = ERR_OK;
    if (login->known) {
        rc = tx_prepare(tx, SQL_FAILED, &stmt, err);
        if (rc)
            return rc;
        stmt_bind_i64(stmt, 1, login->id);
        stmt_bind_i64(stmt, 2, login->now);
        stmt_bind_i64(stmt, 3, settings_i64(settings, "identity.login.failures"));
        stmt_bind_i64(stmt, 4, login->now + settings_i64(settings, "identity.login.lock_min") * MINUTE_MS);
        rc = stmt_run(stmt, NULL, err);
    }
    const struct act act = { .action = "login_failed",
                             .type = "core.user",
                             .id = login->id,
                             .name = login->user,
                             .detail = str_from(login->reason),
                             .quiet = true };
    return rc ? rc : identity_audit(login->identity, tx, login->req, &act, err);
}

/* Counts, audits and answers one refusal; the same words whatever was wrong. */
static enum err_code refuse(struct login *login, const char *reason, const char *id, struct err *err)
{
    login->reason = reason;
    (void)tries(login->identity, "address", login->req->remote, login->now, 1);
    (void)tries(login->identity, "name", login->user, login->now, 1);
    const enum err_code rc = store_write(login->identity->config.store, failed_fn, login, err);
    return rc ? rc : err_set(err, ERR_NO_LOGIN, id, ARG_END);
}

/* Too early, locked: answered without looking at the password. */
static enum err_code check_pace(struct login *login, struct err *err)
{
    struct settings *settings = login->identity->config.settings;
    const int64_t limit = settings_i64(settings, "identity.login.failures");
    const int64_t lock_ms = settings_i64(settings, "identity.login.lock_min") * MINUTE_MS;
    if (tries(login->identity, "address", login->req->remote, login->now, 0) >= ADDRESS_TRIES_MAX)
        return err_set(err, ERR_FORBIDDEN, "identity.locked", ARG_INT("minutes", TRIES_MS / MINUTE_MS),
                       ARG_END);
    int64_t failed = login->failed, until = login->locked_until;
    if (!login->known) {
        failed = tries(login->identity, "name", login->user, login->now, 0);
        until = failed >= limit ? login->now + lock_ms : 0;
    }
    if (until > login->now)
        return err_set(err, ERR_FORBIDDEN, "identity.locked",
                       ARG_INT("minutes", (until - login->now + MINUTE_MS - 1) / MINUTE_MS), ARG_END);
    if (login->known && failed >= 3) {
        const int64_t wait_s = failed >= 7 ? 30 : INT64_C(1) << (failed - 2);
        const int64_t left = login->failed_at + wait_s * 1000 - login->now;
        if (left > 0)
            return err_set(err, ERR_FORBIDDEN, "identity.wait", ARG_INT("seconds", (left + 999) / 1000),
                           ARG_END);
    }
    return ERR_OK;
}

void totp_context(int64_t user_id, char out[64])
{
    (void)snprintf(out, 64, "core.user.totp:%lld", (long long)user_id);
}

static enum err_code open_totp(struct identity *identity, int64_t user_id, struct str sealed,
                               unsigned char secret[TOTP_SECRET_SIZE], struct err *err)
{
    char context[64];
    struct buf plain;
    totp_context(user_id, context);
    buf_init(&plain, 256);
    enum err_code rc =
        identity->config.keys
            ? unseal(identity->config.keys, str_from(context), sealed, &plain, err)
            : err_set(err, ERR_UNSUPPORTED, "settings.no_keys", ARG_TEXT("key", "totp"), ARG_END);
    if (!rc && plain.len != TOTP_SECRET_SIZE)
        rc = err_set(err, ERR_CORRUPT, "crypto.sealed", ARG_END);
    if (!rc)
        memcpy(secret, plain.ptr, TOTP_SECRET_SIZE);
    if (plain.ptr)
        explicit_bzero(plain.ptr, plain.len);
    buf_done(&plain);
    return rc;
}

static enum err_code recovery_fn(struct tx *tx, void *arg, struct err *err)
{
    struct login *login = arg;
    return recovery_find(tx, login->id, login->totp, &login->by_recovery, err);
}

static enum err_code check_totp(struct login *login, struct err *err)
{
    unsigned char secret[TOTP_SECRET_SIZE];
    login->new_step = login->totp_step;
    if (!login->totp_on)
        return ERR_OK;
    if (!login->totp.len) {
        (void)err_set(err, ERR_NO_LOGIN, "identity.totp_needed", ARG_END);
        return err_pointer(err, STR("/totp"));
    }
    enum err_code rc = ERR_OK;
    if (login->totp.len > TOTP_TYPED_MAX) {
        rc = store_read(login->identity->config.store, recovery_fn, login, err);
        return rc || login->by_recovery ? rc : refuse(login, "recovery", "identity.totp_wrong", err);
    }
    rc = open_totp(login->identity, login->id, login->totp_sealed, secret, err);
    if (rc)
        return rc;
    const int64_t step = totp_check(secret, login->totp, login->now, login->totp_step);
    explicit_bzero(secret, sizeof secret);
    if (step < 0)
        return refuse(login, "totp", "identity.totp_wrong", err);
    login->new_step = step;
    return ERR_OK;
}

static enum err_code end_others(struct tx *tx, int64_t user_id, int64_t now, int64_t but, struct err *err)
{
    return tx_run(tx, SQL_SESSIONS_END_USER, BINDS(bind_i64(user_id), bind_i64(now), bind_i64(but)), NULL,
                  err);
}

static enum err_code add_session(struct tx *tx, struct login *login, struct err *err)
{
    struct settings *settings = login->identity->config.settings;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, SQL_SESSION_ADD, &stmt, err);
    if (rc)
        return rc;
    struct str agent = request_header(login->req, "User-Agent");
    agent = utf8_valid(agent) ? str_slice(agent, 0, 200) : STR("");
    while (agent.len && !utf8_valid(agent))
        agent.len--;
    stmt_bind_i64(stmt, 1, login->session_id);
    stmt_bind_text(stmt, 2, str_from(login->token_hash));
    stmt_bind_i64(stmt, 3, login->id);
    stmt_bind_text(stmt, 4, str_from(login->csrf));
    stmt_bind_i64(stmt, 5, login->now);
    stmt_bind_i64(stmt, 6, login->now + settings_i64(settings, "identity.session.max_h") * HOUR_MS);
    stmt_bind_text(stmt, 7, login->req->remote);
    stmt_bind_text(stmt, 8, agent);
    return stmt_run(stmt, NULL, err);
}

static enum err_code succeeded(struct tx *tx, struct login *login, struct err *err)
{
    int64_t changes = 0;
    enum err_code rc =
        tx_run(tx, SQL_SUCCEEDED, BINDS(bind_i64(login->id), bind_i64(login->now), bind_i64(login->new_step)),
               &changes, err);
    if (!rc && !changes) /* the same code was used at the same moment */
        rc = err_set(err, ERR_NO_LOGIN, "identity.totp_wrong", ARG_END);
    return rc;
}

static enum err_code renew_hash(struct tx *tx, struct login *login, struct err *err)
{
    return tx_run(tx, SQL_HASH_RENEW,
                  BINDS(bind_i64(login->id), bind_text(str_from(login->new_hash)), bind_text(login->hash)),
                  NULL, err);
}

static enum err_code login_fn(struct tx *tx, void *arg, struct err *err)
{
    struct login *login = arg;
    enum err_code rc = succeeded(tx, login, err);
    if (!rc && login->by_recovery)
        rc = recovery_use(tx, login->id, login->totp, err);
    if (!rc && login->new_hash[0])
        rc = renew_hash(tx, login, err);
    const bool single = settings_bool(login->identity->config.settings, "identity.session.single");
    if (!rc && single)
        rc = end_others(tx, login->id, login->now, 0, err);
    if (!rc)
        rc = add_session(tx, login, err);
    const struct act act = { .action = "login",
                             .type = "core.user",
                             .id = login->id,
                             .name = login->user,
                             .detail = login->by_recovery ? STR("recovery") : STR(""),
                             .quiet = !single };
    const struct principal self = { .user_id = login->id, .login = login->user };
    struct request as_user = *login->req;
    as_user.who = &self;
    return rc ? rc : identity_audit(login->identity, tx, &as_user, &act, err);
}

static json_t *permissions_json(const struct principal *who)
{
    json_t *seen = json_object(), *list = json_array();
    const char *key;
    json_t *value;
    for (int i = 0; i < who->grant_count; i++)
        for (int j = 0; j < who->grants[i].permission_count; j++)
            (void)json_object_setn_new(seen, who->grants[i].permissions[j].ptr,
                                       who->grants[i].permissions[j].len, json_true());
    json_object_foreach(seen, key, value)(void) json_array_append_new(list, json_string(key));
    json_decref(seen);
    return list;
}

static json_t *session_json(struct identity *identity, const struct principal *who)
{
    json_t *user = json_pack("{s:o,s:o,s:o,s:o}", "id", json_id(who->user_id), "name", json_str(who->name),
                             "login", json_str(who->login), "org", json_id(who->org_id));
    return json_pack("{s:o,s:o,s:o,s:b,s:b,s:s,s:b,s:i}", "user", user, "permissions", permissions_json(who),
                     "csrf", json_str(who->csrf), "mustChangePassword", who->must_change_password,
                     "mustEnrol", who->must_enrol, "lang", lang_name(who->lang), "key",
                     who->kind == PRINCIPAL_KEY, "idleMinutes",
                     (int)settings_i64(identity->config.settings, "identity.session.idle_min"));
}

static void set_cookie(struct request *req, struct reply *reply, const char *token)
{
    reply_header(reply, "Set-Cookie",
                 arena_printf(req->arena, "bihuan_session=%s; Path=/; HttpOnly; SameSite=Strict%s%s", token,
                              req->secure ? "; Secure" : "", *token ? "" : "; Max-Age=0"));
}

static enum err_code prove(struct login *login, struct err *err)
{
    enum err_code rc = store_read(login->identity->config.store, read_login, login, err);
    if (!rc)
        rc = check_pace(login, err);
    if (rc)
        return rc;
    rc = password_verify_slowly(login->identity, login->password,
                                login->known && login->active ? login->hash : (struct str) { 0 }, err);
    if (rc == ERR_NO_LOGIN)
        return refuse(login, login->known ? login->active ? "password" : "inactive" : "unknown",
                      "identity.wrong", err);
    return rc ? rc : check_totp(login, err);
}

/* POST /api/v1/core/session {user, password, totp?} */
enum err_code session_post(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "user", FIELD_TEXT, true, 1, 64, offsetof(struct login, user), 0 },
        { "password", FIELD_TEXT, true, 1, 256, offsetof(struct login, password), 0 },
        { "totp", FIELD_TEXT, false, 0, 40, offsetof(struct login, totp), 0 },
        { 0 },
    };
    struct identity *identity = req->ctx;
    struct login login = { .identity = identity, .req = req, .now = clock_now(identity->config.clock) };
    enum err_code rc = request_fields(req, fields, &login, err);
    if (!rc)
        rc = prove(&login, err);
    if (rc)
        return rc;
    if (password_is_old(login.hash, &PASSWORD_COST))
        rc = password_hash_slowly(identity, login.password, login.new_hash, err);
    if (!rc)
        rc = token_make(login.token, err);
    if (!rc)
        rc = token_make(login.csrf, err);
    if (rc)
        return rc;
    token_hash(str_from(login.token), login.token_hash);
    login.session_id = ids_next(identity->config.ids);
    rc = store_write(identity->config.store, login_fn, &login, err);
    if (rc)
        return rc;
    if (settings_bool(identity->config.settings, "identity.session.single"))
        identity_forget(identity, 0, login.id);
    const struct principal *who = NULL;
    rc = identity_hold(identity, login.id, &who, err);
    if (rc)
        return rc;
    struct principal shown = *who;
    shown.csrf = str_from(login.csrf);
    set_cookie(req, reply, login.token);
    rc = reply_json(reply, session_json(identity, &shown), err);
    identity_release(identity, who);
    explicit_bzero(login.token, sizeof login.token);
    return rc;
}

/* GET /api/v1/core/session */
enum err_code session_get(struct request *req, struct reply *reply, struct err *err)
{
    return reply_json(reply, session_json(req->ctx, who_of(req)), err);
}

/* ---- logging out ---- */

static enum err_code logout_fn(struct tx *tx, void *arg, struct err *err)
{
    struct request *req = arg;
    enum err_code rc = tx_run(tx, SQL_SESSION_END,
                              BINDS(bind_i64(who_of(req)->session_id), bind_i64(tx_now_ms(tx))), NULL, err);
    const struct act act = {
        .action = "logout", .type = "core.user", .id = who_of(req)->user_id, .name = who_of(req)->login
    };
    return rc ? rc : identity_audit(req->ctx, tx, req, &act, err);
}

/* DELETE /api/v1/core/session */
enum err_code session_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    if (who_of(req)->kind == PRINCIPAL_KEY)
        return err_set(err, ERR_CONFLICT, "identity.not_for_keys", ARG_END);
    const enum err_code rc = store_write(identity->config.store, logout_fn, req, err);
    if (rc)
        return rc;
    identity_forget(identity, who_of(req)->session_id, 0);
    reply_empty(reply);
    set_cookie(req, reply, "");
    return ERR_OK;
}

/* ---- the password ---- */

struct change {
    struct identity *identity;
    struct request *req;
    struct str old_password, new_password;
    int64_t user_id;
    struct str hash; /* the current one */
    struct str olds[24];
    int olds_count;
    char new_hash[PASSWORD_HASH_SIZE];
    struct str totp_sealed;
    bool totp_on;
    int64_t totp_step;
};

static enum err_code read_secret(struct tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    struct arena *arena = change->req->arena;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    AUTO(stmt_free_auto) struct stmt *olds = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_SECRET, BINDS(bind_i64(change->user_id)), &stmt, &row, err);
    if (!rc && !row)
        rc = err_set(err, ERR_NOT_FOUND, "identity.no_user", ARG_INT("id", change->user_id), ARG_END);
    if (rc)
        return rc;
    change->hash = arena_str(arena, stmt_text(stmt, 0));
    change->totp_sealed = arena_str(arena, stmt_text(stmt, 1));
    change->totp_on = stmt_i64(stmt, 2) != 0;
    change->totp_step = stmt_i64(stmt, 3);
    const int64_t most = settings_i64(change->identity->config.settings, "identity.password.history");
    change->olds_count = 0;
    rc = tx_prepare(tx, SQL_PASSWORDS_OLD, &olds, err);
    if (rc)
        return rc;
    stmt_bind_i64(olds, 1, change->user_id);
    while (change->olds_count < most && !(rc = stmt_step(olds, &row, err)) && row) {
        const struct str hash = arena_str(arena, stmt_text(olds, 0));
        if (!hash.ptr)
            return err_nomem(err);
        change->olds[change->olds_count++] = hash;
    }
    return rc ? rc : change->hash.ptr && change->totp_sealed.ptr ? ERR_OK : err_nomem(err);
}

/* The current one counts as used, whatever the history's length. */
static enum err_code check_history(struct change *change, struct err *err)
{
    struct err ignored;
    for (int i = -1; i < change->olds_count; i++) {
        const struct str hash = i < 0 ? change->hash : change->olds[i];
        const enum err_code rc =
            password_verify_slowly(change->identity, change->new_password, hash, &ignored);
        if (rc == ERR_OK) {
            (void)err_set(err, ERR_INVALID, "identity.password_used",
                          ARG_INT("count", change->olds_count > 0 ? change->olds_count : 1), ARG_END);
            return err_pointer(err, STR("/new"));
        }
        if (rc == ERR_BUSY) {
            *err = ignored;
            return rc;
        }
    }
    return ERR_OK;
}

enum err_code password_write(struct tx *tx, int64_t user_id, const char *hash, bool must_change,
                             struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *set = NULL;
    enum err_code rc =
        tx_run(tx, SQL_PASSWORD_KEEP, BINDS(bind_i64(user_id), bind_i64(tx_now_ms(tx))), NULL, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_PASSWORD_SET, &set, err);
    if (rc)
        return rc;
    stmt_bind_i64(set, 1, user_id);
    stmt_bind_text(set, 2, str_from(hash));
    stmt_bind_i64(set, 3, tx_now_ms(tx));
    stmt_bind_i64(set, 4, must_change);
    return stmt_run(set, NULL, err);
}

static enum err_code change_fn(struct tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    enum err_code rc = password_write(tx, change->user_id, change->new_hash, false, err);
    if (!rc)
        rc = end_others(tx, change->user_id, tx_now_ms(tx), who_of(change->req)->session_id, err);
    const struct act act = {
        .action = "password", .type = "core.user", .id = change->user_id, .name = who_of(change->req)->login
    };
    return rc ? rc : identity_audit(change->identity, tx, change->req, &act, err);
}

/* POST /api/v1/core/session/password {old, new} */
enum err_code session_password(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "old", FIELD_TEXT, true, 1, 256, offsetof(struct change, old_password), 0 },
        { "new", FIELD_TEXT, true, 1, 256, offsetof(struct change, new_password), 0 },
        { 0 },
    };
    struct identity *identity = req->ctx;
    struct change change = { .identity = identity, .req = req, .user_id = who_of(req)->user_id };
    enum err_code rc = request_fields(req, fields, &change, err);
    if (!rc && who_of(req)->kind == PRINCIPAL_KEY)
        rc = err_set(err, ERR_CONFLICT, "identity.not_for_keys", ARG_END);
    const int64_t now = clock_now(identity->config.clock);
    if (!rc && tries(identity, "change", who_of(req)->login, now, 0) >= 10)
        rc =
            err_set(err, ERR_FORBIDDEN, "identity.locked", ARG_INT("minutes", TRIES_MS / MINUTE_MS), ARG_END);
    if (!rc)
        rc = store_read(identity->config.store, read_secret, &change, err);
    if (rc)
        return rc;
    rc = password_verify_slowly(identity, change.old_password, change.hash, err);
    if (rc == ERR_NO_LOGIN) {
        (void)tries(identity, "change", who_of(req)->login, now, 1);
        (void)err_set(err, ERR_INVALID, "identity.old_wrong", ARG_END);
        return err_pointer(err, STR("/old"));
    }
    if (!rc && password_rules(identity, who_of(req)->login, change.new_password, err))
        return err_pointer(err, STR("/new"));
    if (!rc)
        rc = check_history(&change, err);
    if (!rc)
        rc = password_hash_slowly(identity, change.new_password, change.new_hash, err);
    if (!rc)
        rc = store_write(identity->config.store, change_fn, &change, err);
    if (rc)
        return rc;
    identity_changed(identity);
    if (identity->config.first_password_file && str_eq(who_of(req)->login, STR("admin")))
        (void)unlink(identity->config.first_password_file);
    reply_empty(reply);
    return ERR_OK;
}

/* ---- language ---- */

struct lang_change {
    struct request *req;
    struct str lang;
};

static enum err_code lang_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct lang_change *change = arg;
    return tx_run(tx, SQL_USER_LANG, BINDS(bind_i64(who_of(change->req)->user_id), bind_text(change->lang)),
                  NULL, err);
}

/* PATCH /api/v1/core/session {lang} */
enum err_code session_lang(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "lang", FIELD_TEXT, true, 2, 5, offsetof(struct lang_change, lang), 0 },
        { 0 },
    };
    struct identity *identity = req->ctx;
    struct lang_change change = { .req = req };
    enum err_code rc = request_fields(req, fields, &change, err);
    if (!rc && !str_eq(change.lang, STR("zh-CN")) && !str_eq(change.lang, STR("en"))) {
        (void)err_set(err, ERR_INVALID, "identity.lang", ARG_END);
        return err_pointer(err, STR("/lang"));
    }
    if (!rc)
        rc = store_write(identity->config.store, lang_fn, &change, err);
    if (rc)
        return rc;
    identity_changed(identity);
    reply_empty(reply);
    return ERR_OK;
}

/* ---- the second factor ---- */

struct totp {
    struct identity *identity;
    struct request *req;
    struct buf sealed;
    bool on;
    int64_t step;
    const char *action;
    const struct recovery_codes *codes; /* of an enrolment; NULL: none are left */
};

static enum err_code totp_fn(struct tx *tx, void *arg, struct err *err)
{
    struct totp *totp = arg;
    enum err_code rc = tx_run(tx, SQL_TOTP_SET,
                              BINDS(bind_i64(who_of(totp->req)->user_id), bind_text(buf_get(&totp->sealed)),
                                    bind_i64(totp->on), bind_i64(totp->step)),
                              NULL, err);
    if (!rc)
        rc = totp->codes ? recovery_write(tx, who_of(totp->req)->user_id, totp->codes, err)
                         : recovery_forget(tx, who_of(totp->req)->user_id, err);
    const struct act act = { .action = totp->action,
                             .type = "core.user",
                             .id = who_of(totp->req)->user_id,
                             .name = who_of(totp->req)->login };
    return rc ? rc : identity_audit(totp->identity, tx, totp->req, &act, err);
}

/* POST /api/v1/core/session/totp: a new secret, not yet in force. */
enum err_code totp_post(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    const struct principal *who = who_of(req);
    struct change change = { .identity = identity, .req = req, .user_id = who->user_id };
    unsigned char secret[TOTP_SECRET_SIZE];
    char context[64], text[33];
    if (who->kind == PRINCIPAL_KEY)
        return err_set(err, ERR_CONFLICT, "identity.not_for_keys", ARG_END);
    enum err_code rc = store_read(identity->config.store, read_secret, &change, err);
    if (!rc && change.totp_on)
        rc = err_set(err, ERR_CONFLICT, "identity.totp_there", ARG_END);
    if (!rc && !identity->config.keys)
        rc = err_set(err, ERR_UNSUPPORTED, "settings.no_keys", ARG_TEXT("key", "totp"), ARG_END);
    if (!rc)
        rc = random_bytes(secret, sizeof secret, err);
    if (rc)
        return rc;
    struct totp totp = { .identity = identity, .req = req, .action = "totp_begin" };
    totp_context(who->user_id, context);
    buf_init(&totp.sealed, 1024);
    rc = seal(identity->config.keys, str_from(context), (struct str) { (const char *)secret, sizeof secret },
              &totp.sealed, err);
    if (!rc)
        rc = store_write(identity->config.store, totp_fn, &totp, err);
    buf_done(&totp.sealed);
    totp_text(secret, text);
    explicit_bzero(secret, sizeof secret);
    if (rc)
        return rc;
    const struct str uri =
        arena_printf(req->arena, "otpauth://totp/bihuan:%.*s?secret=%s&issuer=bihuan&digits=6&period=30",
                     STR_ARG(who->login), text);
    rc = reply_json(reply, json_pack("{s:s,s:o}", "secret", text, "uri", json_str(uri)), err);
    explicit_bzero(text, sizeof text);
    return rc;
}

struct code {
    struct str code, password;
};

/* POST /api/v1/core/session/totp/confirm {code}: from now on asked at each login; answers the recovery codes,
 * once. */
enum err_code totp_confirm(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "code", FIELD_TEXT, true, 6, 6, offsetof(struct code, code), 0 },
        { 0 },
    };
    struct identity *identity = req->ctx;
    struct code code = { 0 };
    struct change change = { .identity = identity, .req = req, .user_id = who_of(req)->user_id };
    unsigned char secret[TOTP_SECRET_SIZE];
    enum err_code rc = request_fields(req, fields, &code, err);
    if (!rc)
        rc = store_read(identity->config.store, read_secret, &change, err);
    if (!rc && (change.totp_on || !change.totp_sealed.len))
        rc = err_set(err, ERR_CONFLICT, change.totp_on ? "identity.totp_there" : "identity.totp_none",
                     ARG_END);
    if (!rc)
        rc = open_totp(identity, change.user_id, change.totp_sealed, secret, err);
    if (rc)
        return rc;
    struct recovery_codes codes;
    struct totp totp = { .identity = identity, .req = req, .on = true, .action = "totp_on", .codes = &codes };
    totp.step = totp_check(secret, code.code, clock_now(identity->config.clock), 0);
    explicit_bzero(secret, sizeof secret);
    if (totp.step < 0) {
        (void)err_set(err, ERR_INVALID, "identity.totp_wrong", ARG_END);
        return err_pointer(err, STR("/code"));
    }
    rc = recovery_make(&codes, err);
    if (rc)
        return rc;
    buf_init(&totp.sealed, 1024);
    buf_str(&totp.sealed, change.totp_sealed);
    rc = store_write(identity->config.store, totp_fn, &totp, err);
    buf_done(&totp.sealed);
    if (!rc) {
        identity_changed(identity);
        rc = reply_json(reply, recovery_json(&codes), err);
    }
    explicit_bzero(&codes, sizeof codes);
    return rc;
}

struct renewal {
    struct change *change;
    struct recovery_codes codes;
};

static enum err_code renew_codes_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct renewal *renewal = arg;
    const struct change *change = renewal->change;
    const enum err_code rc = recovery_write(tx, change->user_id, &renewal->codes, err);
    const struct act act = {
        .action = "totp_codes", .type = "core.user", .id = change->user_id, .name = who_of(change->req)->login
    };
    return rc ? rc : identity_audit(change->identity, tx, change->req, &act, err);
}

/* The password once more, before something about the second factor changes. */
static enum err_code ask_password(struct change *change, struct err *err)
{
    static const struct field fields[] = {
        { "password", FIELD_TEXT, true, 1, 256, offsetof(struct code, password), 0 },
        { 0 },
    };
    struct code code = { 0 };
    const int64_t now = clock_now(change->identity->config.clock);
    const struct str login = who_of(change->req)->login;
    enum err_code rc = request_fields(change->req, fields, &code, err);
    if (!rc && who_of(change->req)->kind == PRINCIPAL_KEY)
        rc = err_set(err, ERR_CONFLICT, "identity.not_for_keys", ARG_END);
    if (!rc && tries(change->identity, "change", login, now, 0) >= 10)
        rc =
            err_set(err, ERR_FORBIDDEN, "identity.locked", ARG_INT("minutes", TRIES_MS / MINUTE_MS), ARG_END);
    if (!rc)
        rc = store_read(change->identity->config.store, read_secret, change, err);
    if (!rc && !change->totp_on)
        rc = err_set(err, ERR_CONFLICT, "identity.totp_none", ARG_END);
    if (rc)
        return rc;
    rc = password_verify_slowly(change->identity, code.password, change->hash, err);
    if (rc == ERR_NO_LOGIN) {
        (void)tries(change->identity, "change", login, now, 1);
        (void)err_set(err, ERR_INVALID, "identity.old_wrong", ARG_END);
        return err_pointer(err, STR("/password"));
    }
    return rc;
}

/* POST /api/v1/core/session/totp/codes {password}: new recovery codes, shown once; the old ones end. */
enum err_code totp_codes(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    struct change change = { .identity = identity, .req = req, .user_id = who_of(req)->user_id };
    struct renewal renewal = { .change = &change };
    enum err_code rc = ask_password(&change, err);
    if (!rc)
        rc = recovery_make(&renewal.codes, err);
    if (!rc)
        rc = store_write(identity->config.store, renew_codes_fn, &renewal, err);
    if (!rc)
        rc = reply_json(reply, recovery_json(&renewal.codes), err);
    explicit_bzero(&renewal.codes, sizeof renewal.codes);
    return rc;
}

/* DELETE /api/v1/core/session/totp {password} */
enum err_code totp_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct identity *identity = req->ctx;
    struct change change = { .identity = identity, .req = req, .user_id = who_of(req)->user_id };
    enum err_code rc = ask_password(&change, err);
    if (rc)
        return rc;
    struct totp totp = { .identity = identity, .req = req, .action = "totp_off" };
    buf_init(&totp.sealed, 16);
    rc = store_write(identity->config.store, totp_fn, &totp, err);
    buf_done(&totp.sealed);
    if (rc)
        return rc;
    identity_changed(identity);
    reply_empty(reply);
    return ERR_OK;
}
