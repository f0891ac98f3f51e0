/* identity.h - organisations, users, roles, grants, sessions, API keys.
 *
 * Sessions and rights are held in memory for a short time (IDENTITY_FRESH_MS); a change on this node takes
 * effect at the next request, on another node within a second, and after that time if the news were lost.  A
 * user can never grant more than they hold themselves, neither in permissions nor in scope.  Every act is
 * audited in its transaction. Threads: any after identity_start().  Layer: platform/identity. */
#pragma once
#include "base/ids.h"
#include "net/http.h"
#include "platform/identity/principal.h"
#include "platform/settings/settings.h"

struct store;
struct tx;
struct audit;
struct broadcast;
struct key_ring;
struct reseal_counts;
struct identity;

#define IDENTITY_FRESH_MS 10000

struct identity_config {
    struct store *store;
    struct ids *ids;
    const struct clock *clock;
    struct settings *settings;
    struct audit *audit;         /* may be NULL in tests */
    struct broadcast *broadcast; /* tells other nodes "identity.changed", "settings.changed"; may be NULL */
    struct key_ring *keys;       /* seals TOTP secrets; NULL: nobody can enrol */
    struct http_server *http;    /* whose routes name permissions; may be NULL */
    const char
        *first_password_file; /* removed when the first administrator has changed the password; may be NULL */
};

/* Settings of this room: settings_add() them before identity_new(). */
extern const struct setting IDENTITY_SETTINGS[];

MUST_CHECK enum err_code identity_new(const struct identity_config *config, struct identity **out,
                                      struct err *err);
void identity_free(struct identity *identity);

/* On an empty database: one organisation, the role `admin` (everything), the user `admin` with a password for
 * one login, which must be changed. */
#define IDENTITY_PASSWORD_SIZE 32
struct identity_first {
    bool made;
    char login[16], password[IDENTITY_PASSWORD_SIZE];
};
MUST_CHECK enum err_code identity_start(struct identity *identity, struct identity_first *out,
                                        struct err *err);

/* Drops old answers and ended sessions; once an hour. */
MUST_CHECK enum err_code identity_tidy(struct identity *identity, struct err *err);

/* Seals up to `limit` secrets of the second factor behind user *after anew, as entity_reseal() does. */
MUST_CHECK enum err_code identity_reseal(struct identity *identity, int limit, int64_t *after, bool *out_end,
                                         struct reseal_counts *counts, struct err *err);

/* What the HTTP server asks (http_config.hooks): fills those of this room; ctx of its routes is the identity.
 */
void identity_hooks(struct identity *identity, struct http_hooks *hooks);
extern const struct route IDENTITY_ROUTES[];

/* Further permissions for the catalogue (GET core/permissions): those of record types.  Before serving. */
void identity_permissions(struct identity *identity, void *ctx,
                          void (*list)(void *ctx, void (*each)(void *arg, struct str permission), void *arg));

/* Who this user is now; held until identity_release().  ERR_NOT_FOUND: no such active user. */
MUST_CHECK enum err_code identity_hold(struct identity *identity, int64_t user_id,
                                       const struct principal **out, struct err *err);
void identity_release(struct identity *identity, const struct principal *who);
/* Forget what is in memory: rights are read again.  Called by itself after changes through this room. */
void identity_changed(struct identity *identity);
/* "identity.changed" came, from here or from another node: besides, the live pages of those whom it concerns
 * end.  `type` and `id` are what was changed ("core.user", its id). */
void identity_news(struct identity *identity, struct str type, int64_t id);
/* Ends the live pages whose session ran out, wherever it was used last; every few seconds. */
MUST_CHECK enum err_code identity_watch(struct identity *identity, struct err *err);

/* For the command line and for setting up; `who` is checked as in the routes. */
struct identity_user {
    struct str login, name, email, phone, org_code, role_code; /* org empty: the root; role empty: none */
};
MUST_CHECK enum err_code identity_user_add(struct identity *identity, const struct principal *who,
                                           const struct identity_user *user, int64_t *out_id,
                                           char out_password[IDENTITY_PASSWORD_SIZE], struct err *err);
/* A new password for one login; ends the user's sessions, unlocks, forgets the second factor. */
MUST_CHECK enum err_code identity_user_reset(struct identity *identity, const struct principal *who,
                                             struct str login, char out_password[IDENTITY_PASSWORD_SIZE],
                                             struct err *err);
MUST_CHECK enum err_code identity_user_list(struct identity *identity, json_t **out, struct err *err);
