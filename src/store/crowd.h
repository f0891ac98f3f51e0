/* crowd.h - writers that wait for each other: one leads and runs the functions of those behind it too, so
 * that they share a transaction and its sync.  A lone writer pays no thread switch, a crowd one sync
 * together.
 *
 * All of it is guarded by the backend's lock.  A waiter lies on the stack of its thread, which sleeps until
 * it is answered or made a leader.  Layer: store. */
#pragma once
#include "base/cond.h"
#include "store/internal.h"

struct waiter {
    struct tx *tx;
    store_fn fn;
    void *arg;
    struct err *err;
    enum err_code rc;
    bool taken, lead, done;
    bool alone; /* answered, but not run: its own thread has to do that */
    pthread_cond_t wake;
    struct waiter *next;
};

struct crowd {
    struct waiter *first, **last;
    int leaders, leaders_max;
};

void crowd_init(struct crowd *crowd, int leaders_max);

/* Waits until self is answered, perhaps by leading: `lead` is called with the lock, gives it away while it
 * works, takes itself off the queue, answers whom it took, itself included, and ends with crowd_pass().
 * ERR_TIMEOUT, ERR_BUSY (too many waiting), or self->rc. */
MUST_CHECK enum err_code crowd_wait(struct store *store, struct crowd *crowd, pthread_mutex_t *lock,
                                    struct waiter *self,
                                    void (*lead)(struct store *store, struct waiter *self));
/* With the lock: the next one that leads not itself, off the queue; NULL when there is none. */
struct waiter *crowd_take(struct store *store, struct crowd *crowd);
/* With the lock: a leader takes itself. */
void crowd_take_self(struct store *store, struct crowd *crowd, struct waiter *self);
/* With the lock: wakes those of a list; they are gone then. */
void crowd_answer(struct waiter *list, const struct waiter *self);
/* With the lock: the lead goes to the first that waits. */
void crowd_pass(struct crowd *crowd);
