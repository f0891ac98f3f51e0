/* scarce.c - the whole program short of memory; linked around mem_alloc() and its kin.
 *
 * build/bihuan-scarce is bihuan in all else and is never installed; tests/e2e/memory.py runs it.  The file
 * named by BIHUAN_SCARCE holds a number: one in so many allocations of ours fails, at random and on any
 * thread; 0 none.  It is read anew all the time, so that the test can say when. */
#include "base/mem.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__real_mem_alloc(size_t count, size_t size);
void *__real_mem_realloc(void *old, size_t size);
char *__real_mem_copy(const char *bytes, size_t len);
void *__wrap_mem_alloc(size_t count, size_t size);
void *__wrap_mem_realloc(void *old, size_t size);
char *__wrap_mem_copy(const char *bytes, size_t len);

static _Atomic uint32_t *one_in;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_control(void)
{
    const char *path = getenv("BIHUAN_SCARCE");
    const int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *one_in, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        (void)close(fd);
    if (mapped == MAP_FAILED) {
        (void)fprintf(stderr, "scarce: BIHUAN_SCARCE names no file of four bytes\n");
        exit(2);
    }
    one_in = mapped;
}

static int fails(void)
{
    static _Thread_local uint64_t dice;
    (void)pthread_once(&once, open_control);
    const uint32_t of = atomic_load(one_in);
    if (!dice)
        dice = (uintptr_t)&dice | 1;
    dice ^= dice << 13; /* xorshift64 */
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return of && dice % of == 0;
}

void *__wrap_mem_alloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_mem_alloc(count, size);
}

void *__wrap_mem_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_mem_realloc(old, size);
}

char *__wrap_mem_copy(const char *bytes, size_t len)
{
    return fails() ? NULL : __real_mem_copy(bytes, len);
}
