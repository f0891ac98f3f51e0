/* cond.h - waiting with a deadline by the clock that never jumps: setting the machine's time must not make a
 * thread sleep for an hour.
 *
 * Threads: those of a condition variable.  Layer: base. */
#pragma once
#include "base/clock.h"

#include <pthread.h>

/* A condition variable for the waits below, and for pthread_cond_wait(). */
void cond_init(pthread_cond_t *cond);
/* Waits for a signal, at most until clock_mono(&CLOCK_SYSTEM) is `mono_ms`; false when that is past.  It may
 * return without a signal, so the caller looks at its condition again. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t mono_ms);
/* The same, at most `ms` from now. */
bool cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms);
