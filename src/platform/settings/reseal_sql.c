/* reseal_sql.c - sealed settings under the newest key; see settings.h.  What is in memory stays as it is. */
#include "crypto/keyring.h"
#include "platform/settings/settings.h"
#include "store/store.h"

#define SEALED_MAX ((size_t)128 << 10)

/* ---- SQL ---- */
static const char SQL_READ[] = "SELECT key, value FROM setting ORDER BY key";
static const char SQL_SET[] = "UPDATE setting SET value = ?3 WHERE key = ?1 AND value = ?2";

struct stale {
    struct str key, old;
};

struct work {
    struct settings *settings;
    struct key_ring *keys;
    struct arena *arena;
    struct stale stale[SETTINGS_MAX];
    int count;
    struct reseal_counts counts;
};

/* There are few: all in one transaction, so that nobody can come between. */
static enum err_code read_all(struct work *work, struct tx *tx, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, SQL_READ, &stmt, err);
    if (rc)
        return rc;
    while (!(rc = stmt_step(stmt, &row, err)) && row && work->count < SETTINGS_MAX) {
        char key[128];
        const struct str value = stmt_text(stmt, 1);
        (void)snprintf(key, sizeof key, "%.*s", STR_ARG(stmt_text(stmt, 0)));
        if (!settings_is_secret(work->settings, key))
            continue;
        work->counts.seen++;
        if (sealed_key(value) == key_ring_newest(work->keys))
            continue;
        struct stale *stale = &work->stale[work->count++];
        *stale = (struct stale) { arena_str(work->arena, str_from(key)), arena_str(work->arena, value) };
        if (!stale->key.ptr || !stale->old.ptr)
            return err_nomem(err);
    }
    return rc;
}

static enum err_code write_one(struct work *work, struct tx *tx, const struct stale *stale, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf fresh;
    int64_t changes = 0;
    buf_init(&fresh, SEALED_MAX);
    enum err_code rc = reseal(work->keys, stale->key, stale->old, &fresh, &work->counts, err);
    if (!rc && fresh.len && !(rc = tx_prepare(tx, SQL_SET, &stmt, err))) {
        stmt_bind_text(stmt, 1, stale->key);
        stmt_bind_text(stmt, 2, stale->old);
        stmt_bind_text(stmt, 3, buf_get(&fresh));
        rc = stmt_run(stmt, &changes, err);
    }
    buf_done(&fresh);
    work->counts.resealed += changes;
    return rc;
}

static enum err_code work_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    work->count = 0;
    work->counts = (struct reseal_counts) { 0 };
    enum err_code rc = read_all(work, tx, err);
    for (int i = 0; i < work->count && !rc; i++)
        rc = write_one(work, tx, &work->stale[i], err);
    return rc;
}

enum err_code settings_reseal(struct settings *settings, struct store *store, struct key_ring *keys,
                              struct reseal_counts *counts, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)64 << 20);
    struct work *work = arena ? arena_alloc(arena, 1, sizeof *work) : NULL;
    if (!work)
        return err_nomem(err);
    work->settings = settings;
    work->keys = keys;
    work->arena = arena;
    const enum err_code rc = store_write(store, work_fn, work, err);
    if (rc)
        return err_in(err, "settings.reseal");
    if (!counts->missing && !counts->broken)
        memcpy(counts->first, work->counts.first, sizeof counts->first);
    counts->seen += work->counts.seen;
    counts->resealed += work->counts.resealed;
    counts->missing += work->counts.missing;
    counts->broken += work->counts.broken;
    return ERR_OK;
}
