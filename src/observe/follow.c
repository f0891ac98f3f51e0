/* follow.c - see follow.h */
#include "observe/follow.h"
#include "base/cond.h"
#include "base/json.h"
#include "base/log.h"

#include <pthread.h>

#define FOLLOW_ARENA ((size_t)64 << 20)
#define NEWS_MAX 100000 /* more: everything is loaded anew */
#define RETRY_MS 1000

struct news {
    struct news *next;
    int64_t id;
};

struct follow {
    struct follow_config config;
    const struct entity_type *type;
    int64_t handle;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct news *first, **end;
    size_t count;
    bool all, busy, away, stopping; /* away: the store could not be read just now */
};

static enum err_code each(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct follow *follow = arg;
    struct err own = { 0 };
    (void)err;
    if (follow->config.set(follow->config.ctx, id, record, &own))
        log_err(&own, "follow.set", "%s %lld is left out", follow->config.type, (long long)id);
    return ERR_OK;
}

static enum err_code load_fn(struct tx *tx, void *arg, struct err *err)
{
    struct follow *follow = arg;
    AUTO(arena_free_auto) struct arena *arena = arena_new(FOLLOW_ARENA);
    if (!arena)
        return err_nomem(err);
    const struct entity_call call = { .entity = follow->config.entity, .arena = arena };
    return entity_each(&call, tx, follow->type, STR(""), each, follow, err);
}

struct one {
    struct follow *follow;
    int64_t id;
};

static enum err_code read_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct one *one = arg;
    AUTO(arena_free_auto) struct arena *arena = arena_new(FOLLOW_ARENA);
    json_t *record = NULL;
    if (!arena)
        return err_nomem(err);
    const struct entity_call call = { .entity = one->follow->config.entity, .arena = arena };
    enum err_code rc = entity_get(&call, tx, one->follow->type, one->id, &record, err);
    if (!rc)
        rc = each(one->follow, one->id, record, err);
    json_decref(record);
    return rc;
}

static void on_news(void *arg, const struct bus_event *event)
{
    struct follow *follow = arg;
    json_t *json = json_loadb(event->json.ptr ? event->json.ptr : "", event->json.len, 0, NULL);
    const char *type = json_string_value(json_object_get(json, "type"));
    const int64_t id = json_get_id(json, "id");
    if (type && strcmp(type, follow->config.type) == 0 && id) {
        struct news *news = mem_alloc(1, sizeof *news);
        (void)pthread_mutex_lock(&follow->lock);
        if (news && follow->count < NEWS_MAX) {
            news->id = id;
            *follow->end = news;
            follow->end = &news->next;
            follow->count++;
            news = NULL;
        } else {
            follow->all = true;
        }
        (void)pthread_cond_broadcast(&follow->changed);
        (void)pthread_mutex_unlock(&follow->lock);
        mem_free(news);
    }
    json_decref(json);
}

/* Handles one piece of news; false when the store was away and it must be tried again. */
static bool handle(struct follow *follow, bool all, int64_t id)
{
    struct one one = { follow, id };
    struct err err = { 0 };
    const enum err_code rc = all ? store_read(follow->config.store, load_fn, follow, &err)
                                 : store_read(follow->config.store, read_fn, &one, &err);
    if (rc == ERR_NOT_FOUND && !all) {
        follow->config.remove(follow->config.ctx, id);
        return true;
    }
    if (rc)
        log_err(&err, "follow.read", "%s: tried again in a second", follow->config.type);
    return rc == ERR_OK;
}

static void nap(struct follow *follow)
{
    const int64_t until_ms = clock_mono(&CLOCK_SYSTEM) + RETRY_MS;
    while (!follow->stopping && cond_wait_until(&follow->changed, &follow->lock, until_ms))
        ;
}

static void *run(void *arg)
{
    struct follow *follow = arg;
    (void)pthread_mutex_lock(&follow->lock);
    while (!follow->stopping) {
        struct news *news = follow->first;
        const bool all = follow->all;
        if (!news && !all) {
            (void)pthread_cond_wait(&follow->changed, &follow->lock);
            continue;
        }
        follow->busy = true;
        follow->all = false;
        (void)pthread_mutex_unlock(&follow->lock);
        const bool done = handle(follow, all, news ? news->id : 0);
        (void)pthread_mutex_lock(&follow->lock);
        follow->busy = false;
        follow->away = !done;
        if (!done) {
            (void)pthread_cond_broadcast(&follow->changed);
            follow->all |= all;
            nap(follow);
        } else if (!all) {
            follow->first = news->next;
            if (!follow->first)
                follow->end = &follow->first;
            follow->count--;
            mem_free(news);
        }
        (void)pthread_cond_broadcast(&follow->changed);
    }
    (void)pthread_mutex_unlock(&follow->lock);
    return NULL;
}

enum err_code follow_open(const struct follow_config *config, struct follow **out, struct err *err)
{
    struct follow *follow = mem_alloc(1, sizeof *follow);
    if (!follow)
        return err_nomem(err);
    follow->config = *config;
    follow->end = &follow->first;
    follow->handle = -1;
    follow->type = entity_type_find(config->entity, config->type);
    (void)pthread_mutex_init(&follow->lock, NULL);
    cond_init(&follow->changed);
    enum err_code rc = follow->type ? ERR_OK
                                    : err_set(err, ERR_NOT_FOUND, "observe.no_type",
                                              ARG_TEXT("type", config->type), ARG_END);
    /* heard from now on, read after: nothing is missed, some is read twice */
    if (!rc)
        rc = bus_subscribe(config->bus, "record.*", on_news, follow, &follow->handle, err);
    if (!rc)
        rc = store_read(config->store, load_fn, follow, err);
    if (!rc && pthread_create(&follow->thread, NULL, run, follow))
        rc = err_nomem(err);
    follow->started = rc == ERR_OK;
    if (rc) {
        follow_close(follow);
        return err_in(err, "follow.open");
    }
    *out = follow;
    return ERR_OK;
}

void follow_close(struct follow *follow)
{
    if (!follow)
        return;
    if (follow->handle >= 0)
        bus_unsubscribe(follow->config.bus, follow->handle);
    if (follow->started) {
        (void)pthread_mutex_lock(&follow->lock);
        follow->stopping = true;
        (void)pthread_cond_broadcast(&follow->changed);
        (void)pthread_mutex_unlock(&follow->lock);
        (void)pthread_join(follow->thread, NULL);
    }
    for (struct news *news; (news = follow->first);) {
        follow->first = news->next;
        mem_free(news);
    }
    (void)pthread_mutex_destroy(&follow->lock);
    (void)pthread_cond_destroy(&follow->changed);
    mem_free(follow);
}

void follow_settle(struct follow *follow, int timeout_ms)
{
    const int64_t until_ms = clock_mono(&CLOCK_SYSTEM) + timeout_ms;
    (void)pthread_mutex_lock(&follow->lock);
    while ((follow->first || follow->all || follow->busy) && !follow->away && !follow->stopping)
        if (!cond_wait_until(&follow->changed, &follow->lock, until_ms))
            break;
    (void)pthread_mutex_unlock(&follow->lock);
}
