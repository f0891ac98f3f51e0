/* password.c - rules of passwords; hashing with at most HASHERS at once, so that a storm of logins cannot
 * take all processors and all memory. */
#include "base/zone.h"
#include "platform/identity/internal.h"

#include <errno.h>
#include <time.h>

#define WAIT_S 10

static int classes(struct str text)
{
    bool lower = false, upper = false, digit = false, other = false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        lower = lower || (c >= 'a' && c <= 'z');
        upper = upper || (c >= 'A' && c <= 'Z');
        digit = digit || (c >= '0' && c <= '9');
        other = other || !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
    }
    return lower + upper + digit + other;
}

static bool holds_nocase(struct str text, struct str part)
{
    for (size_t i = 0; part.len >= 3 && i + part.len <= text.len; i++)
        if (str_eq_nocase(str_slice(text, i, i + part.len), part))
            return true;
    return false;
}

enum err_code password_rules(struct identity *identity, struct str login, struct str password,
                             struct err *err)
{
    struct settings *settings = identity->config.settings;
    const int64_t length = settings_i64(settings, "identity.password.length");
    const int64_t kinds = settings_i64(settings, "identity.password.classes");
    if (utf8_len(password) < (size_t)length)
        return err_set(err, ERR_INVALID, "identity.password_short", ARG_INT("min", length), ARG_END);
    if (classes(password) < kinds)
        return err_set(err, ERR_INVALID, "identity.password_classes", ARG_INT("min", kinds), ARG_END);
    if (holds_nocase(password, login))
        return err_set(err, ERR_INVALID, "identity.password_login", ARG_END);
    return ERR_OK;
}

bool password_expired(struct identity *identity, int64_t password_at)
{
    const int64_t days = settings_i64(identity->config.settings, "identity.password.days");
    return clock_now(identity->config.clock) - password_at > days * DAY_MS;
}

static enum err_code take_place(struct identity *identity, struct err *err)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    while (sem_clockwait(&identity->hashers, CLOCK_MONOTONIC, &until) != 0)
        if (errno != EINTR)
            return err_set(err, ERR_BUSY, "http.busy", ARG_END);
    return ERR_OK;
}

enum err_code password_hash_slowly(struct identity *identity, struct str password,
                                   char out[PASSWORD_HASH_SIZE], struct err *err)
{
    enum err_code rc = take_place(identity, err);
    if (rc)
        return rc;
    rc = password_hash(password, &PASSWORD_COST, out, err);
    (void)sem_post(&identity->hashers);
    return rc;
}

enum err_code password_verify_slowly(struct identity *identity, struct str password, struct str hash,
                                     struct err *err)
{
    enum err_code rc = take_place(identity, err);
    if (rc)
        return rc;
    if (hash.len) {
        rc = password_verify(password, hash, err);
    } else {
        password_verify_nobody(password);
        rc = err_set(err, ERR_NO_LOGIN, "crypto.password", ARG_END);
    }
    (void)sem_post(&identity->hashers);
    return rc;
}
