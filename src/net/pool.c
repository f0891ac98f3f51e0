/* pool.c - a ring of jobs under one lock.
 *
 * Invariant: filled <= reserved <= queue_max, counting jobs that wait; a job that runs is in neither. */
#include "net/pool.h"

#include <pthread.h>
#include <stdio.h>

struct job {
    pool_fn fn;
    void *arg;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *ring;
    int queue_max, head, filled, reserved, running;
    bool stopping;
    int threads;
    pthread_t *ids;
};

static void *work(void *arg)
{
    struct pool *pool = arg;
    (void)pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->filled && !pool->stopping)
            (void)pthread_cond_wait(&pool->wake, &pool->lock);
        if (!pool->filled)
            break;
        const struct job job = pool->ring[pool->head];
        pool->head = (pool->head + 1) % pool->queue_max;
        pool->filled--;
        pool->reserved--;
        pool->running++;
        (void)pthread_mutex_unlock(&pool->lock);
        job.fn(job.arg);
        (void)pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

enum err_code pool_new(int threads, int queue_max, const char *name, struct pool **out_pool, struct err *err)
{
    struct pool *pool = mem_alloc(1, sizeof *pool);
    if (!pool)
        return err_nomem(err);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->wake, NULL);
    pool->queue_max = queue_max;
    pool->ring = mem_alloc((size_t)queue_max, sizeof *pool->ring);
    pool->ids = mem_alloc((size_t)threads, sizeof *pool->ids);
    if (!pool->ring || !pool->ids) {
        pool_free(pool);
        return err_nomem(err);
    }
    for (; pool->threads < threads; pool->threads++) {
        const int failed = pthread_create(&pool->ids[pool->threads], NULL, work, pool);
        if (failed) {
            pool_free(pool);
            return err_set(err, ERR_INTERNAL, "net.thread", ARG_ERRNO(failed), ARG_END);
        }
        char label[16];
        (void)snprintf(label, sizeof label, "%.10s-%d", name, pool->threads);
        (void)pthread_setname_np(pool->ids[pool->threads], label);
    }
    *out_pool = pool;
    return ERR_OK;
}

bool pool_reserve(struct pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    const bool place = !pool->stopping && pool->reserved < pool->queue_max;
    pool->reserved += place;
    (void)pthread_mutex_unlock(&pool->lock);
    return place;
}

void pool_push(struct pool *pool, pool_fn fn, void *arg)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->ring[(pool->head + pool->filled) % pool->queue_max] = (struct job) { fn, arg };
    pool->filled++;
    (void)pthread_cond_signal(&pool->wake);
    (void)pthread_mutex_unlock(&pool->lock);
}

int pool_waiting(struct pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    const int count = pool->reserved;
    (void)pthread_mutex_unlock(&pool->lock);
    return count;
}

int pool_running(struct pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    const int count = pool->running;
    (void)pthread_mutex_unlock(&pool->lock);
    return count;
}

void pool_stop(struct pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    (void)pthread_cond_broadcast(&pool->wake);
    (void)pthread_mutex_unlock(&pool->lock);
    for (; pool->threads; pool->threads--)
        (void)pthread_join(pool->ids[pool->threads - 1], NULL);
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pool_stop(pool);
    (void)pthread_cond_destroy(&pool->wake);
    (void)pthread_mutex_destroy(&pool->lock);
    mem_free(pool->ring);
    mem_free(pool->ids);
    mem_free(pool);
}
