/* internal.h - what the files of identity share.  Layer: platform/identity, not for other rooms. */
#pragma once
#include "base/json.h"
#include "crypto/digest.h"
#include "crypto/keyring.h"
#include "crypto/secret.h"
#include "platform/audit/audit.h"
#include "platform/identity/identity.h"
#include "platform/settings/settings.h"
#include "store/store.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define HELD_MAX 20000 /* sessions and keys in memory */
#define GRANTS_MAX 64  /* of one user */
#define TRIES_MAX 4096 /* addresses and unknown logins whose failures are remembered */
#define HASHERS 2      /* passwords that are computed at the same time */

#define IDENTITY_SEEN_MS 60000   /* how often the last use of a session is written down */
#define SESSIONS_OPEN_MAX 100000 /* told apart when live pages are looked after */

/* A principal with its memory, shared by reference. */
struct held {
    struct principal principal; /* first */
    struct arena *arena;
    _Atomic int refs;
    _Atomic bool over;    /* the session ended, or rights changed: live pages go */
    _Atomic bool watched; /* a live page holds it, or did */
    int64_t ends_ms;
    struct identity *identity;  /* once it is shared: the list below */
    struct held *next, **place; /* under shared_lock */
};

/* One known token. */
struct entry {
    struct entry *next;
    char hash[DIGEST_HEX_SIZE];
    struct held *held;
    int64_t read_mono_ms, seen_ms, written_ms, ends_ms;
    uint64_t generation;
};

struct try_count {
    uint64_t key;
    int64_t since_ms;
    int count;
};

struct identity {
    struct identity_config config;
    pthread_mutex_t lock;
    struct entry *table[4096];
    int entries;
    _Atomic uint64_t generation;
    struct try_count tries[TRIES_MAX];
    pthread_mutex_t shared_lock; /* taken last: nothing else is asked for while it is held */
    struct held *shared;
    sem_t hashers;
    void *list_ctx;
    void (*list)(void *ctx, void (*each)(void *arg, struct str permission), void *arg);
};

static inline const struct principal *who_of(const struct request *req)
{
    return req->who;
}

/* One line of the audit, with who and where taken from the request (NULL: the program itself). */
struct act {
    const char *action, *type; /* "create", "core.user" */
    int64_t id;
    struct str name, before, after, detail;
    bool quiet; /* changes nobody's rights or sessions: other nodes need not know */
};
MUST_CHECK enum err_code identity_audit(struct identity *identity, struct tx *tx, const struct request *req,
                                        const struct act *act, struct err *err);

/* live.c */
struct held *held_new(void) MUST_CHECK; /* NULL: no memory */
void held_free(struct held *held);      /* one reference; accepts NULL */
void held_release(void *ctx, const void *who);
/* Into the list; `generation` is that of before it was read. */
void live_share(struct identity *identity, struct held *held, int64_t ends_ms, uint64_t generation);
/* The live pages of that session, of that user, or with neither of all. */
void live_end(struct identity *identity, int64_t session_id, int64_t user_id);
/* At the end of the identity: whoever still holds one frees it without the list. */
void live_forget_all(struct identity *identity);
bool live_alive(void *ctx, const void *who);

/* idem.c: the hooks of the same names. */
MUST_CHECK enum err_code idem_begin(void *ctx, const struct request *req, struct str key, struct str digest,
                                    bool *out_found, struct http_answer *out, struct err *err);
void idem_end(void *ctx, const struct request *req, struct str key, const struct http_answer *answer);

/* identity.c */
void token_hash(struct str token, char out[DIGEST_HEX_SIZE]);
/* The session or key of this id is over: forget it here and end its live pages. */
void identity_forget(struct identity *identity, int64_t session_id, int64_t user_id);

/* password.c */
MUST_CHECK enum err_code password_rules(struct identity *identity, struct str login, struct str password,
                                        struct err *err);
/* Argon2id with at most HASHERS at once. */
MUST_CHECK enum err_code password_hash_slowly(struct identity *identity, struct str password,
                                              char out[PASSWORD_HASH_SIZE], struct err *err);
MUST_CHECK enum err_code password_verify_slowly(struct identity *identity, struct str password,
                                                struct str hash, struct err *err);
bool password_expired(struct identity *identity, int64_t password_at);

/* login.c: a new hash, the old one into the history. */
MUST_CHECK enum err_code password_write(struct tx *tx, int64_t user_id, const char *hash, bool must_change,
                                        struct err *err);

/* role.c: "*", "ops.*", "ops.ticket.*", "ops.ticket.read" */
bool permission_fits(struct str text);

/* recovery.c: codes that stand for one code of the second factor each. */
#define RECOVERY_CODES 10
struct recovery_codes {
    char codes[RECOVERY_CODES][PASSWORD_ONCE_SIZE];
};
MUST_CHECK enum err_code recovery_make(struct recovery_codes *codes, struct err *err);
/* In place of those that were there. */
MUST_CHECK enum err_code recovery_write(struct tx *tx, int64_t user_id, const struct recovery_codes *codes,
                                        struct err *err);
MUST_CHECK enum err_code recovery_forget(struct tx *tx, int64_t user_id, struct err *err);
MUST_CHECK enum err_code recovery_find(struct tx *tx, int64_t user_id, struct str code, bool *out_found,
                                       struct err *err);
/* ERR_NO_LOGIN it is not there (any more). */
MUST_CHECK enum err_code recovery_use(struct tx *tx, int64_t user_id, struct str code, struct err *err);
json_t *recovery_json(const struct recovery_codes *codes);

/* Permission with scope over one organisation, the rule of this room: a grant counts that is of everything or
 * limited to an organisation (and nothing else) above `org_path`. */
bool may_in_org(const struct principal *who, struct str permission, struct str org_path);
/* The WHERE condition over o.path for what `who` may; false: nothing at all.  Parameters are bound from
 * `first` on with scope_bind(). */
bool scope_where(const struct principal *who, struct str permission, int first, struct buf *out);
void scope_bind(const struct principal *who, struct str permission, int first, struct stmt *stmt);

/* LIKE pattern with what the user typed taken literally; lower case ASCII. */
struct str like_pattern(struct arena *arena, struct str text);

/* Text of JSON in the arena, "" for NULL; frees the JSON. */
struct str json_text(struct arena *arena, json_t *json);

/* the routes */
#define ROUTE_FN(name) enum err_code name(struct request *req, struct reply *reply, struct err *err)
ROUTE_FN(session_post);
ROUTE_FN(session_get);
ROUTE_FN(session_delete);
ROUTE_FN(session_password);
ROUTE_FN(session_lang);
/* What a sealed TOTP secret belongs to. */
void totp_context(int64_t user_id, char out[64]);
ROUTE_FN(totp_get);
ROUTE_FN(totp_post);
ROUTE_FN(totp_confirm);
ROUTE_FN(totp_codes);
ROUTE_FN(totp_delete);
ROUTE_FN(sessions_list);
ROUTE_FN(sessions_delete);
ROUTE_FN(orgs_list);
ROUTE_FN(orgs_get);
ROUTE_FN(orgs_post);
ROUTE_FN(orgs_patch);
ROUTE_FN(orgs_delete);
ROUTE_FN(users_list);
ROUTE_FN(users_get);
ROUTE_FN(users_post);
ROUTE_FN(users_patch);
ROUTE_FN(users_grants);
ROUTE_FN(users_grants_put);
ROUTE_FN(users_reset);
ROUTE_FN(users_unlock);
ROUTE_FN(roles_list);
ROUTE_FN(roles_get);
ROUTE_FN(roles_post);
ROUTE_FN(roles_patch);
ROUTE_FN(roles_delete);
ROUTE_FN(permissions_list);
ROUTE_FN(keys_list);
ROUTE_FN(keys_post);
ROUTE_FN(keys_delete);
ROUTE_FN(settings_get);
ROUTE_FN(settings_patch);
