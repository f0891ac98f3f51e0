/* bus.c - see bus.h.  Subscribers stand in a list under a read-write lock that publishing only reads. */
#include "platform/bus/bus.h"

#include <pthread.h>

struct subscriber {
    int64_t handle;
    char pattern[BUS_TOPIC_MAX + 1];
    bus_fn fn;
    void *arg;
    struct subscriber *next;
};

struct bus {
    pthread_rwlock_t lock;
    struct subscriber *first, **last;
    int64_t handles;
};

struct bus *bus_new(void)
{
    struct bus *bus = mem_alloc(1, sizeof *bus);
    if (!bus)
        return NULL;
    (void)pthread_rwlock_init(&bus->lock, NULL);
    bus->last = &bus->first;
    return bus;
}

void bus_free(struct bus *bus)
{
    if (!bus)
        return;
    while (bus->first) {
        struct subscriber *subscriber = bus->first;
        bus->first = subscriber->next;
        mem_free(subscriber);
    }
    (void)pthread_rwlock_destroy(&bus->lock);
    mem_free(bus);
}

enum err_code bus_subscribe(struct bus *bus, const char *pattern, bus_fn fn, void *arg, int64_t *out_handle,
                            struct err *err)
{
    const struct str text = str_from(pattern);
    if (text.len > BUS_TOPIC_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", BUS_TOPIC_MAX), ARG_END);
    struct subscriber *subscriber = mem_alloc(1, sizeof *subscriber);
    if (!subscriber)
        return err_nomem(err);
    memcpy(subscriber->pattern, text.ptr, text.len);
    subscriber->fn = fn;
    subscriber->arg = arg;
    (void)pthread_rwlock_wrlock(&bus->lock);
    subscriber->handle = ++bus->handles;
    *bus->last = subscriber;
    bus->last = &subscriber->next;
    if (out_handle)
        *out_handle = subscriber->handle;
    (void)pthread_rwlock_unlock(&bus->lock);
    return ERR_OK;
}

void bus_unsubscribe(struct bus *bus, int64_t handle)
{
    (void)pthread_rwlock_wrlock(&bus->lock);
    for (struct subscriber **link = &bus->first; *link; link = &(*link)->next) {
        struct subscriber *subscriber = *link;
        if (subscriber->handle != handle)
            continue;
        *link = subscriber->next;
        if (!subscriber->next)
            bus->last = link;
        mem_free(subscriber);
        break;
    }
    (void)pthread_rwlock_unlock(&bus->lock);
}

bool bus_matches(struct str pattern, struct str topic)
{
    if (str_eq(pattern, STR("*")))
        return true;
    if (str_ends(pattern, STR(".*")))
        return str_starts(topic, str_slice(pattern, 0, pattern.len - 1));
    return str_eq(pattern, topic);
}

void bus_publish(struct bus *bus, const struct bus_event *event)
{
    (void)pthread_rwlock_rdlock(&bus->lock); /* read locks nest: a subscriber may publish */
    for (const struct subscriber *subscriber = bus->first; subscriber; subscriber = subscriber->next)
        if (bus_matches(str_from(subscriber->pattern), event->topic))
            subscriber->fn(subscriber->arg, event);
    (void)pthread_rwlock_unlock(&bus->lock);
}

struct later {
    struct bus *bus;
    struct bus_event event;
};

static void on_commit(void *arg)
{
    const struct later *later = arg;
    bus_publish(later->bus, &later->event);
}

enum err_code bus_publish_after(struct bus *bus, struct tx *tx, const struct bus_event *event,
                                struct err *err)
{
    struct arena *arena = tx_arena(tx);
    struct later *later = arena ? arena_alloc(arena, 1, sizeof *later) : NULL;
    if (!later)
        return err_nomem(err);
    *later = (struct later) {
        bus, { arena_str(arena, event->topic), event->subject_id, arena_str(arena, event->json) }
    };
    if (!later->event.topic.ptr || !later->event.json.ptr)
        return err_nomem(err);
    return tx_after_commit(tx, on_commit, later, err);
}
