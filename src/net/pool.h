/* pool.h - a bounded pool of worker threads with a bounded queue.
 *
 * A place in the queue is reserved first and filled after, so that who finds it full can say so before
 * anything else has happened.
 * Threads: any.  Layer: net. */
#pragma once
#include "base/err.h"

struct pool;
typedef void (*pool_fn)(void *arg);

/* Starts `threads` workers.  ERR_NOMEM; ERR_INTERNAL when the system gives no threads. */
MUST_CHECK enum err_code pool_new(int threads, int queue_max, const char *name, struct pool **out_pool,
                                  struct err *err);
/* Takes a place; false when the queue is full or the pool is stopping. */
bool pool_reserve(struct pool *pool) MUST_CHECK;
/* Fills a reserved place; never waits. */
void pool_push(struct pool *pool, pool_fn fn, void *arg);
/* Waiting (with the reserved) and running right now. */
int pool_waiting(struct pool *pool);
int pool_running(struct pool *pool);
/* Runs what waits, then ends the threads; pool_reserve() says no from now on. */
void pool_stop(struct pool *pool);
/* Stops first.  Accepts NULL. */
void pool_free(struct pool *pool);
