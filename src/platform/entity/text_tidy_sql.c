/* text_tidy_sql.c - PostgreSQL: the lists of pending entries of the search indexes are emptied beside the
 * writers, not by the one among them who comes last.
 *
 * A new row's grams go to the end of such a list; merging many at once costs half of what merging a few does.
 * Each search reads the list too, so it is kept short: a thread empties it when about TIDY_BYTES were added,
 * else after a second.  While more than ROOM_BYTES are waiting, new writers wait for it: nobody else would
 * stop a list that grows faster than one thread empties it.  The bytes are an estimate; what it misses
 * (another program's imports) goes once a minute, or by the limit of the index itself. */
#include "base/log.h"
#include "platform/entity/internal.h"

#include <pthread.h>
#include <stdatomic.h>

#define TIDY_BYTES ((int64_t)4 << 20)
#define ROOM_BYTES ((int64_t)12 << 20)
#define TIDY_MS 1000
#define ROOM_MS 5000 /* a third of a request's time */
#define ALL_MS 60000
#define WORK_MS 20000      /* what is broken off then has done most of its work */
#define BYTES_A_BYTE 10    /* of the list, for a byte of searched text: a third of a gram */
#define LIST_LIMIT_KB 8192 /* of the index itself, where no such thread runs */

static const char SQL_TIDY[] = "SELECT gin_clean_pending_list(CAST(?1 AS regclass))";
static const char SQL_LIMIT_OLD[] =
    "SELECT 1 FROM pg_class WHERE oid = CAST(?1 AS regclass)"
    " AND NOT ('gin_pending_list_limit=' || ?2 = ANY (COALESCE(reloptions, ARRAY[CAST('' AS TEXT)])))";
static const char SQL_LIMIT_SET[] = "ALTER INDEX \"%.*s_text_gin\" SET (gin_pending_list_limit = %d)";

struct text_tidy {
    struct entity *entity;
    _Atomic int64_t *waiting; /* bytes by number_in_types; owned */
    pthread_t thread;
    pthread_mutex_t lock; /* guards stop; the conditions hang on it */
    pthread_cond_t wake, room;
    bool stop, started;
};

static void cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
    const int64_t until = clock_mono(&CLOCK_SYSTEM) + ms;
    const struct timespec at = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };
    (void)pthread_cond_timedwait(cond, lock, &at);
}

static bool index_name(const struct entity_type *type, char out[200])
{
    return snprintf(out, 200, "\"%.*s_text_gin\"", STR_ARG(type->table)) < 200;
}

/* ---- the limit of the index ---- */

static enum err_code limit_one(struct tx *tx, const struct entity_type *type, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char name[200], number[24], sql[300];
    bool old = false;
    if (!index_name(type, name))
        return ERR_OK;
    enum err_code rc = tx_prepare(tx, SQL_LIMIT_OLD, &stmt, err);
    if (rc)
        return rc;
    (void)snprintf(number, sizeof number, "%d", LIST_LIMIT_KB);
    stmt_bind_text(stmt, 1, str_from(name));
    stmt_bind_text(stmt, 2, str_from(number));
    rc = stmt_step(stmt, &old, err);
    if (rc || !old)
        return rc;
    (void)snprintf(sql, sizeof sql, SQL_LIMIT_SET, STR_ARG(type->table), LIST_LIMIT_KB);
    return tx_exec(tx, sql, err);
}

static enum err_code limits_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct entity *entity = arg;
    for (int i = 0; i < types_count(entity->types); i++) {
        const struct entity_type *type = types_at(entity->types, i);
        const enum err_code rc = type->search_count ? limit_one(tx, type, err) : ERR_OK;
        if (rc)
            return rc;
    }
    return ERR_OK;
}

/* ---- emptying ---- */

static enum err_code tidy_fn(struct tx *tx, void *arg, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, SQL_TIDY, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, str_from(arg));
    return stmt_run(stmt, NULL, err);
}

static enum err_code tidy_one(struct text_tidy *tidy, int number, struct err *err)
{
    char name[200];
    if (!index_name(types_at(tidy->entity->types, number), name))
        return ERR_OK;
    store_deadline_set(clock_mono(&CLOCK_SYSTEM) + WORK_MS);
    enum err_code rc = store_write_claim(tidy->entity->config.store, tidy_fn, name, err);
    store_deadline_set(0);
    tidy->waiting[number] = rc == ERR_TIMEOUT ? TIDY_BYTES : 0;
    (void)pthread_mutex_lock(&tidy->lock);
    (void)pthread_cond_broadcast(&tidy->room);
    (void)pthread_mutex_unlock(&tidy->lock);
    return rc == ERR_TIMEOUT ? ERR_OK : rc;
}

/* Those that have more than `least` waiting; -1: all. */
static void tidy_all(struct text_tidy *tidy, int64_t least, bool *away)
{
    for (int i = 0; i < types_count(tidy->entity->types); i++) {
        struct err err = { 0 };
        if (!types_at(tidy->entity->types, i)->search_count || tidy->waiting[i] <= least)
            continue;
        const enum err_code rc = tidy_one(tidy, i, &err);
        if (rc && !*away)
            log_err(&err, "entity.tidy", "%.*s", STR_ARG(types_at(tidy->entity->types, i)->full));
        *away = rc != ERR_OK;
    }
}

static bool any_full(const struct text_tidy *tidy)
{
    for (int i = 0; i < types_count(tidy->entity->types); i++)
        if (tidy->waiting[i] >= TIDY_BYTES)
            return true;
    return false;
}

static void *tidy_run(void *arg)
{
    struct text_tidy *tidy = arg;
    int64_t second = clock_mono(&CLOCK_SYSTEM), minute = second;
    bool away = false;
    (void)pthread_mutex_lock(&tidy->lock);
    while (!tidy->stop) {
        if (!any_full(tidy))
            cond_wait_ms(&tidy->wake, &tidy->lock, TIDY_MS);
        if (tidy->stop)
            break;
        (void)pthread_mutex_unlock(&tidy->lock);
        const int64_t now = clock_mono(&CLOCK_SYSTEM);
        const bool all = now >= minute + ALL_MS, some = now >= second + TIDY_MS;
        tidy_all(tidy, all ? -1 : some ? 0 : TIDY_BYTES - 1, &away);
        minute = all ? now : minute;
        second = some ? now : second;
        (void)pthread_mutex_lock(&tidy->lock);
    }
    (void)pthread_mutex_unlock(&tidy->lock);
    return NULL;
}

/* ---- the writers ---- */

void text_tidy_note(struct text_tidy *tidy, const struct entity_type *type, const struct value *values)
{
    int64_t bytes = 0;
    if (!tidy)
        return;
    for (int i = 0; i < type->search_count; i++)
        bytes += (int64_t)values[type->search[i]].text.len * BYTES_A_BYTE;
    _Atomic int64_t *waiting = &tidy->waiting[type->number_in_types];
    const int64_t before = atomic_fetch_add(waiting, bytes);
    if (before < TIDY_BYTES && before + bytes >= TIDY_BYTES)
        (void)pthread_cond_signal(&tidy->wake);
}

void entity_wait_room(struct entity *entity, const struct entity_type *type)
{
    struct text_tidy *tidy = entity->tidy;
    if (!tidy || tidy->waiting[type->number_in_types] < ROOM_BYTES)
        return;
    const int64_t until = clock_mono(&CLOCK_SYSTEM) + ROOM_MS;
    (void)pthread_mutex_lock(&tidy->lock);
    while (!tidy->stop && tidy->waiting[type->number_in_types] >= ROOM_BYTES &&
           clock_mono(&CLOCK_SYSTEM) < until)
        cond_wait_ms(&tidy->room, &tidy->lock, TIDY_MS);
    (void)pthread_mutex_unlock(&tidy->lock);
}

enum err_code entity_tidy_start(struct entity *entity, struct err *err)
{
    if (!entity->config.store || store_backend(entity->config.store) != STORE_POSTGRES)
        return ERR_OK;
    struct text_tidy *tidy = mem_alloc(1, sizeof *tidy);
    if (!tidy)
        return err_nomem(err);
    *tidy = (struct text_tidy) { .entity = entity };
    tidy->waiting = mem_alloc((size_t)types_count(entity->types) + 1, sizeof *tidy->waiting);
    pthread_condattr_t attr;
    (void)pthread_mutex_init(&tidy->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&tidy->wake, &attr);
    (void)pthread_cond_init(&tidy->room, &attr);
    (void)pthread_condattr_destroy(&attr);
    entity->tidy = tidy;
    enum err_code rc = tidy->waiting ? ERR_OK : err_nomem(err);
    if (!rc)
        rc = store_write(entity->config.store, limits_fn, entity, err);
    if (!rc && pthread_create(&tidy->thread, NULL, tidy_run, tidy))
        rc = err_nomem(err);
    tidy->started = !rc;
    if (rc)
        text_tidy_free(entity);
    return rc;
}

void text_tidy_free(struct entity *entity)
{
    struct text_tidy *tidy = entity->tidy;
    if (!tidy)
        return;
    entity->tidy = NULL;
    if (tidy->started) {
        (void)pthread_mutex_lock(&tidy->lock);
        tidy->stop = true;
        (void)pthread_cond_broadcast(&tidy->wake);
        (void)pthread_cond_broadcast(&tidy->room);
        (void)pthread_mutex_unlock(&tidy->lock);
        (void)pthread_join(tidy->thread, NULL);
    }
    (void)pthread_cond_destroy(&tidy->wake);
    (void)pthread_cond_destroy(&tidy->room);
    (void)pthread_mutex_destroy(&tidy->lock);
    mem_free(tidy->waiting);
    mem_free(tidy);
}
