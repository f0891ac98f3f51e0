/* cond.c - see cond.h */
#include "base/cond.h"

#include <errno.h>
#include <time.h>

void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t mono_ms)
{
    const struct timespec until = { .tv_sec = mono_ms / 1000, .tv_nsec = mono_ms % 1000 * 1000000 };
    return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}

bool cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
    return cond_wait_until(cond, lock, clock_mono(&CLOCK_SYSTEM) + ms);
}
