/* live.c - principals that are shared by reference, and the live pages that hold them.
 *
 * A live page holds its principal as long as it lasts, while the table of tokens may read a newer one of the
 * same session.  So every shared principal stands in a list, and what ends a session or changes rights marks
 * all of them; the page asks (live_alive()) and goes, and the browser comes again with what holds now. */
#include "base/log.h"
#include "platform/identity/identity_sql.h"
#include "platform/identity/internal.h"

#include <stdlib.h>

#define SEEN_SLACK_MS (2 * IDENTITY_SEEN_MS) /* the last use may be written that late */

struct held *held_new(void)
{
    struct arena *arena = arena_new((size_t)4 << 20);
    struct held *held = arena ? arena_alloc(arena, 1, sizeof *held) : NULL;
    if (!held) {
        arena_free(arena);
        return NULL;
    }
    held->arena = arena;
    atomic_store(&held->refs, 1);
    return held;
}

void held_free(struct held *held)
{
    if (!held || atomic_fetch_sub(&held->refs, 1) != 1)
        return;
    if (held->identity) {
        (void)pthread_mutex_lock(&held->identity->shared_lock);
        *held->place = held->next;
        if (held->next)
            held->next->place = held->place;
        (void)pthread_mutex_unlock(&held->identity->shared_lock);
    }
    arena_free(held->arena); /* held itself lies in it */
}

void held_release(void *ctx, const void *who)
{
    (void)ctx;
    held_free((struct held *)(uintptr_t)who);
}

void identity_release(struct identity *identity, const struct principal *who)
{
    held_release(identity, who);
}

void live_share(struct identity *identity, struct held *held, int64_t ends_ms, uint64_t generation)
{
    (void)pthread_mutex_lock(&identity->shared_lock);
    held->identity = identity;
    held->ends_ms = ends_ms;
    held->next = identity->shared;
    held->place = &identity->shared;
    if (held->next)
        held->next->place = &held->next;
    identity->shared = held;
    if (generation != atomic_load(&identity->generation)) /* read before a change, shared after it */
        atomic_store(&held->over, true);
    (void)pthread_mutex_unlock(&identity->shared_lock);
}

void live_forget_all(struct identity *identity)
{
    (void)pthread_mutex_lock(&identity->shared_lock);
    for (struct held *held = identity->shared; held; held = held->next)
        held->identity = NULL;
    identity->shared = NULL;
    (void)pthread_mutex_unlock(&identity->shared_lock);
}

void live_end(struct identity *identity, int64_t session_id, int64_t user_id)
{
    (void)pthread_mutex_lock(&identity->shared_lock);
    for (struct held *held = identity->shared; held; held = held->next)
        if ((!session_id && !user_id) || (session_id && held->principal.session_id == session_id) ||
            (user_id && held->principal.user_id == user_id))
            atomic_store(&held->over, true);
    (void)pthread_mutex_unlock(&identity->shared_lock);
}

bool live_alive(void *ctx, const void *who)
{
    const struct identity *identity = ctx;
    struct held *held = (struct held *)(uintptr_t)who;
    atomic_store(&held->watched, true);
    return !atomic_load(&held->over) && clock_now(identity->config.clock) < held->ends_ms;
}

/* A role or an organisation concerns everybody; a user or a key those who act as it. */
void identity_news(struct identity *identity, struct str type, int64_t id)
{
    const bool one = str_eq(type, STR("core.user")) || str_eq(type, STR("core.key"));
    identity_changed(identity);
    if (one)
        live_end(identity, id, id); /* ids of users, sessions and keys never meet */
    else
        live_end(identity, 0, 0);
}

/* ---- sessions that ran out ---- */

struct open_ids {
    int64_t now_ms, idle_ms;
    int64_t *ids;
    int count, max;
};

static enum err_code open_fn(struct tx *tx, void *arg, struct err *err)
{
    struct open_ids *open = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    open->count = 0;
    enum err_code rc =
        tx_query(tx, SQL_SESSION_IDS_OPEN,
                 BINDS(bind_i64(open->now_ms), bind_i64(open->now_ms - open->idle_ms - SEEN_SLACK_MS),
                       bind_i64(open->max)),
                 &stmt, err);
    if (rc)
        return rc;
    while (open->count < open->max && !(rc = stmt_step(stmt, &row, err)) && row)
        open->ids[open->count++] = stmt_i64(stmt, 0);
    return rc;
}

static int by_id(const void *a, const void *b)
{
    const int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static bool any_watched(struct identity *identity)
{
    bool any = false;
    (void)pthread_mutex_lock(&identity->shared_lock);
    for (const struct held *held = identity->shared; held && !any; held = held->next)
        any = atomic_load(&held->watched);
    (void)pthread_mutex_unlock(&identity->shared_lock);
    return any;
}

enum err_code identity_watch(struct identity *identity, struct err *err)
{
    if (!any_watched(identity))
        return ERR_OK;
    struct open_ids open = { .now_ms = clock_now(identity->config.clock),
                             .idle_ms = settings_i64(identity->config.settings, "identity.session.idle_min") *
                                        INT64_C(60000),
                             .max = SESSIONS_OPEN_MAX };
    open.ids = mem_alloc((size_t)open.max, sizeof *open.ids);
    if (!open.ids)
        return err_nomem(err);
    const enum err_code rc = store_read(identity->config.store, open_fn, &open, err);
    if (!rc &&
        open.count < open.max) { /* more than that are not told apart: their pages end by other means */
        qsort(open.ids, (size_t)open.count, sizeof *open.ids, by_id);
        (void)pthread_mutex_lock(&identity->shared_lock);
        for (struct held *held = identity->shared; held; held = held->next) {
            const struct principal *who = &held->principal;
            if (atomic_load(&held->watched) && who->kind == PRINCIPAL_USER &&
                !bsearch(&who->session_id, open.ids, (size_t)open.count, sizeof *open.ids, by_id))
                atomic_store(&held->over, true);
        }
        (void)pthread_mutex_unlock(&identity->shared_lock);
    }
    mem_free(open.ids);
    return rc;
}
