/* start.c - what an empty database gets, and what is dropped when it is old. */
#include "base/zone.h"
#include "platform/identity/identity_sql.h"
#include "platform/identity/internal.h"

#include <stdio.h>

struct first {
    struct identity *identity;
    const char *hash;
    bool made;
};

static enum err_code run3(struct tx *tx, const char *sql, const int64_t *numbers, const struct str *texts,
                          const char *order, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, sql, &stmt, err);
    if (rc)
        return rc;
    for (int i = 0; order[i]; i++)
        if (order[i] == 'n')
            stmt_bind_i64(stmt, i + 1, *numbers++);
        else if (order[i] == 't')
            stmt_bind_text(stmt, i + 1, *texts++);
        else
            stmt_bind_null(stmt, i + 1);
    return stmt_run(stmt, NULL, err);
}

static enum err_code first_fn(struct tx *tx, void *arg, struct err *err)
{
    struct first *first = arg;
    struct ids *ids = first->identity->config.ids;
    const int64_t now = tx_now_ms(tx);
    int64_t users = 0;
    first->made = false;
    enum err_code rc = tx_query_i64(tx, SQL_USER_COUNT, &users, err);
    if (rc || users)
        return rc;
    const int64_t org = ids_next(ids), role = ids_next(ids), user = ids_next(ids);
    char path[40];
    (void)snprintf(path, sizeof path, "/%lld/", (long long)org);
    const struct str org_texts[] = { str_from(path), STR("root"),
                                     STR("\xe6\x9c\xac\xe5\x8d\x95\xe4\xbd\x8d") };
    const struct str role_texts[] = { STR("admin"),
                                      STR("\xe7\xb3\xbb\xe7\xbb\x9f\xe7\xae\xa1\xe7\x90\x86\xe5\x91\x98"),
                                      STR("") };
    const struct str user_texts[] = { STR("admin"),
                                      STR("\xe7\xb3\xbb\xe7\xbb\x9f\xe7\xae\xa1\xe7\x90\x86\xe5\x91\x98"),
                                      STR(""), STR(""), STR("zh-CN") };
    const struct str star = STR("*"), hash = str_from(first->hash), nothing[] = { STR(""), STR("") };
    rc = run3(tx, SQL_ORG_ADD, (int64_t[]) { org, 0, 1, now, 0 }, org_texts, "n-tttnnnn", err);
    if (!rc)
        rc = run3(tx, SQL_ROLE_ADD, (int64_t[]) { role, 1, now, 0 }, role_texts, "ntttnnn", err);
    if (!rc)
        rc = run3(tx, SQL_ROLE_PERMISSION_ADD, &role, &star, "nt", err);
    if (!rc)
        rc = run3(tx, SQL_USER_ADD, (int64_t[]) { user, org, 1, now, 0 }, user_texts, "nntttttnnn", err);
    if (!rc)
        rc = run3(tx, SQL_SECRET_ADD, (int64_t[]) { user, now }, &hash, "ntn", err);
    if (!rc)
        rc = run3(tx, SQL_USER_ROLE_ADD, (int64_t[]) { ids_next(ids), user, role, 1, 0, 0, 0, now, 0 },
                  nothing, "nnnnnntntnn", err);
    const struct act act = { .action = "create",
                             .type = "core.user",
                             .id = user,
                             .name = STR("admin"),
                             .detail = STR("first start") };
    if (!rc)
        rc = identity_audit(first->identity, tx, NULL, &act, err);
    first->made = !rc;
    return rc;
}

static enum err_code old_fn(struct tx *tx, void *arg, struct err *err)
{
    const int64_t now = *(const int64_t *)arg;
    const int64_t day_ago = now - DAY_MS, month_ago = now - 30 * DAY_MS;
    enum err_code rc = run3(tx, SQL_IDEM_OLD, &day_ago, NULL, "n", err);
    if (!rc)
        rc = run3(tx, SQL_SESSIONS_OLD, &month_ago, NULL, "n", err);
    return rc;
}

enum err_code identity_tidy(struct identity *identity, struct err *err)
{
    int64_t now = clock_now(identity->config.clock);
    return store_write(identity->config.store, old_fn, &now, err);
}

static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    return tx_query_i64(tx, SQL_USER_COUNT, arg, err);
}

enum err_code identity_start(struct identity *identity, struct identity_first *out, struct err *err)
{
    char hash[PASSWORD_HASH_SIZE], once[PASSWORD_ONCE_SIZE];
    int64_t users = 0;
    *out = (struct identity_first) { 0 };
    enum err_code rc = store_read(identity->config.store, count_fn, &users, err);
    if (rc || users)
        return rc;
    rc = password_once(once, err);
    if (!rc)
        rc = password_hash(str_from(once), &PASSWORD_COST, hash, err);
    struct first first = { .identity = identity, .hash = hash };
    if (!rc)
        rc = store_write(identity->config.store, first_fn, &first, err);
    if (!rc && first.made) {
        out->made = true;
        (void)snprintf(out->login, sizeof out->login, "admin");
        (void)snprintf(out->password, sizeof out->password, "%s", once);
    }
    explicit_bzero(once, sizeof once);
    return rc;
}
