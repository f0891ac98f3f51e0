/* people.h - what the files of users share (people.c, grants.c).  Layer: platform/identity, not for other
 * rooms. */
#pragma once
#include "platform/identity/internal.h"

struct user {
    int64_t id, org_id, version, created_at, created_by, updated_at, updated_by;
    int64_t locked_until, last_login_at;
    bool active, totp_on, must_change;
    struct str org_path, org_name, login, name, email, phone, lang;
};

struct user_call {
    struct identity *identity;
    struct request *req;
    const struct principal *who;
    const char *permission;
    int64_t id, version;
    struct user user; /* of the body, then what is answered */
    bool has_active, has_org, has_email, has_phone;
    struct str org_code, role_code; /* command line */
    char password[PASSWORD_ONCE_SIZE], hash[PASSWORD_HASH_SIZE];
    json_t *grants;
};

struct given {
    int64_t role_id;
    struct scope scope;
    struct str subjects; /* "5,7" */
};

/* people.c: the call of a request; `permission` is the one that finds its user. */
struct user_call user_call_of(struct request *req, const char *permission);
/* The user when `who` has the permission over their organisation; else as if absent (ERR_NOT_FOUND). */
MUST_CHECK enum err_code user_find(struct tx *tx, struct arena *arena, const struct principal *who,
                                   const char *permission, int64_t id, struct user *out, struct err *err);

/* grants.c: does the giver hold every permission of the role in a scope that covers this one? */
MUST_CHECK enum err_code grant_may_give(struct tx *tx, const struct principal *who, const struct given *given,
                                        struct err *err);
MUST_CHECK enum err_code grant_add(struct tx *tx, const struct user_call *call, const struct given *given,
                                   struct err *err);
/* ERR_CONFLICT when nobody who holds everything is left. */
MUST_CHECK enum err_code users_keep_admin(struct tx *tx, struct err *err);
/* A user who holds more than the caller must not be changed by them: their password would be worth more. */
MUST_CHECK enum err_code user_may_touch(struct tx *tx, const struct user_call *call, const struct user *user,
                                        struct err *err);
