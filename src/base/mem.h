/* mem.h - the heap of the whole program, with a seam for tests.
 *
 * All heap memory of ours comes from here, so that a test can make the nth allocation fail and count
 * what is still alive.  Libraries keep their own heaps.
 * Threads: safe from any.  Layer: base. */
#pragma once
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

/* A resource that is released when its variable leaves the scope; `release` takes its address. */
#define AUTO(release) __attribute__((cleanup(release)))

/* Zeroed memory of `count` x `size` bytes, or NULL (also when the product overflows).  Caller frees. */
void *mem_alloc(size_t count, size_t size) MUST_CHECK;

/* Like realloc(); on NULL the old block is untouched.  New bytes are not zeroed. */
void *mem_realloc(void *old, size_t size) MUST_CHECK;

/* A copy of `len` bytes with a NUL behind, or NULL.  Caller frees. */
char *mem_copy(const char *bytes, size_t len) MUST_CHECK;

/* Accepts NULL. */
void mem_free(void *block);
void mem_free_auto(char **block);

/* Tests only: the nth allocation from now (0 = the next) of this thread fails; -1 = none. */
void mem_fail_at(long nth);

/* Blocks of this thread's allocations that are still alive (allocated minus freed by it). */
long mem_live(void);
