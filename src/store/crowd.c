/* crowd.c - see crowd.h */
#include "store/crowd.h"

void crowd_init(struct crowd *crowd, int leaders_max)
{
    *crowd = (struct crowd) { .leaders_max = leaders_max };
    crowd->last = &crowd->first;
}

static void leave(struct store *store, struct crowd *crowd, struct waiter *w)
{
    struct waiter **link = &crowd->first;
    while (*link != w)
        link = &(*link)->next;
    *link = w->next;
    if (!w->next)
        crowd->last = link;
    w->next = NULL;
    store->waiting--;
}

enum err_code crowd_wait(struct store *store, struct crowd *crowd, pthread_mutex_t *lock, struct waiter *self,
                         void (*lead)(struct store *store, struct waiter *self))
{
    enum err_code rc = ERR_OK;
    cond_init(&self->wake);
    (void)pthread_mutex_lock(lock);
    if (store->waiting >= STORE_WAITING_MAX) {
        rc = err_set(self->err, ERR_BUSY, "store.busy", ARG_END);
        goto done;
    }
    *crowd->last = self;
    crowd->last = &self->next;
    store->waiting++;
    if (crowd->leaders < crowd->leaders_max) {
        crowd->leaders++;
        self->lead = true;
    }
    while (!self->done && !self->lead) {
        const bool in_time = cond_wait_until(&self->wake, lock, self->tx->deadline_ms);
        if (in_time || self->done || self->lead)
            continue;
        if (self->taken) {
            (void)pthread_cond_wait(&self->wake, lock); /* it runs: its own deadline ends it */
            continue;
        }
        leave(store, crowd, self);
        rc = err_set(self->err, ERR_TIMEOUT, "store.timeout", ARG_END);
        goto done;
    }
    if (!self->done)
        lead(store, self);
    rc = self->rc;

done:
    (void)pthread_mutex_unlock(lock);
    (void)pthread_cond_destroy(&self->wake);
    return rc;
}

struct waiter *crowd_take(struct store *store, struct crowd *crowd)
{
    struct waiter *w = crowd->first;
    while (w && w->lead)
        w = w->next;
    if (w) {
        leave(store, crowd, w);
        w->taken = true;
    }
    return w;
}

void crowd_take_self(struct store *store, struct crowd *crowd, struct waiter *self)
{
    leave(store, crowd, self);
    self->taken = true;
}

void crowd_answer(struct waiter *list, const struct waiter *self)
{
    for (struct waiter *w = list, *next; w; w = next) {
        next = w->next; /* a woken waiter is gone */
        w->done = true;
        if (w != self)
            (void)pthread_cond_signal(&w->wake);
    }
}

void crowd_pass(struct crowd *crowd)
{
    struct waiter *w = crowd->first;
    while (w && w->lead)
        w = w->next;
    if (!w) {
        crowd->leaders--;
        return;
    }
    w->lead = true;
    (void)pthread_cond_signal(&w->wake);
}
