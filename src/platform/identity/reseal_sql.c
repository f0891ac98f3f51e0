/* reseal_sql.c - secrets of the second factor under the newest key; see identity.h.
 *
 * Written only where the sealed text is still the one that was read: who enrols or leaves meanwhile wins. */
#include "crypto/keyring.h"
#include "platform/identity/internal.h"
#include "store/store.h"

#define PORTION_MAX 200
#define SEALED_MAX 1024

/* ---- SQL ---- */
static const char SQL_READ[] = "SELECT user_id, totp_sealed FROM user_secret WHERE user_id > ?1"
                               " AND totp_sealed <> '' ORDER BY user_id LIMIT ?2";
static const char SQL_SET[] =
    "UPDATE user_secret SET totp_sealed = ?3 WHERE user_id = ?1 AND totp_sealed = ?2";

struct stale {
    int64_t user_id;
    struct str old, fresh;
};

struct portion {
    struct arena *arena;
    struct stale stale[PORTION_MAX];
    int limit, count;
    int64_t after, newest, seen, changed;
    bool end;
};

static enum err_code read_fn(struct tx *tx, void *arg, struct err *err)
{
    struct portion *p = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    int rows = 0;
    enum err_code rc = tx_query(tx, SQL_READ, BINDS(bind_i64(p->after), bind_i64(p->limit)), &stmt, err);
    if (rc)
        return rc;
    for (; !(rc = stmt_step(stmt, &row, err)) && row; rows++) {
        const struct str text = stmt_text(stmt, 1);
        p->after = stmt_i64(stmt, 0);
        p->seen++;
        if (sealed_key(text) == p->newest)
            continue;
        struct stale *stale = &p->stale[p->count++];
        *stale = (struct stale) { .user_id = p->after, .old = arena_str(p->arena, text) };
        if (!stale->old.ptr)
            return err_nomem(err);
    }
    p->end = rows < p->limit;
    return rc;
}

static enum err_code write_fn(struct tx *tx, void *arg, struct err *err)
{
    struct portion *p = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = tx_prepare(tx, SQL_SET, &stmt, err);
    p->changed = 0;
    for (int i = 0; i < p->count && !rc; i++) {
        int64_t changes = 0;
        if (!p->stale[i].fresh.len)
            continue;
        stmt_reset(stmt);
        stmt_bind_i64(stmt, 1, p->stale[i].user_id);
        stmt_bind_text(stmt, 2, p->stale[i].old);
        stmt_bind_text(stmt, 3, p->stale[i].fresh);
        rc = stmt_run(stmt, &changes, err);
        p->changed += changes;
    }
    return rc;
}

static enum err_code seal_all(struct key_ring *keys, struct portion *p, struct reseal_counts *counts,
                              struct err *err)
{
    struct buf fresh;
    char context[64];
    enum err_code rc = ERR_OK;
    buf_init(&fresh, SEALED_MAX);
    for (int i = 0; i < p->count && !rc; i++) {
        struct stale *stale = &p->stale[i];
        buf_clear(&fresh);
        totp_context(stale->user_id, context);
        rc = reseal(keys, str_from(context), stale->old, &fresh, counts, err);
        if (!rc && fresh.len && !(stale->fresh = arena_str(p->arena, buf_get(&fresh))).ptr)
            rc = err_nomem(err);
    }
    buf_done(&fresh);
    return rc;
}

enum err_code identity_reseal(struct identity *identity, int limit, int64_t *after, bool *out_end,
                              struct reseal_counts *counts, struct err *err)
{
    *out_end = true;
    if (!identity->config.keys)
        return ERR_OK;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    struct portion *p = arena ? arena_alloc(arena, 1, sizeof *p) : NULL;
    if (!p)
        return err_nomem(err);
    *p = (struct portion) { .arena = arena,
                            .limit = limit < PORTION_MAX ? limit : PORTION_MAX,
                            .after = *after,
                            .newest = key_ring_newest(identity->config.keys) };
    enum err_code rc = store_read(identity->config.store, read_fn, p, err);
    if (!rc)
        rc = seal_all(identity->config.keys, p, counts, err);
    if (!rc && p->count)
        rc = store_write(identity->config.store, write_fn, p, err);
    if (rc)
        return err_in(err, "identity.reseal");
    counts->seen += p->seen;
    counts->resealed += p->changed;
    *after = p->after;
    *out_end = p->end;
    return ERR_OK;
}
