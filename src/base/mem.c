/* mem.c - see mem.h.  The counters are thread-local so that tests may run beside other threads. */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local long fail_at = -1;
static _Thread_local long live;

static int must_fail(void)
{
    if (fail_at < 0)
        return 0;
    return fail_at-- == 0;
}

void *mem_alloc(size_t count, size_t size)
{
    if (must_fail())
        return NULL;
    void *block = calloc(count, size);
    live += block != NULL;
    return block;
}

void *mem_realloc(void *old, size_t size)
{
    if (must_fail())
        return NULL;
    void *block = realloc(old, size);
    live += old == NULL && block != NULL;
    return block;
}

char *mem_copy(const char *bytes, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    char *copy = mem_alloc(len + 1, 1);
    if (copy && len)
        memcpy(copy, bytes, len);
    return copy;
}

void mem_free(void *block)
{
    live -= block != NULL;
    free(block);
}

void mem_free_auto(char **block)
{
    mem_free(*block);
}

void mem_fail_at(long nth)
{
    fail_at = nth;
}

long mem_live(void)
{
    return live;
}
