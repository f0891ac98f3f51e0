/* arena.c - a chain of growing chunks, newest first.
 *
 * Invariants: 1. head is the only chunk with room.  2. used <= bytes_max counts what callers asked for,
 * rounded up.  3. all bytes of a chunk past its `used` are zero, so arena_alloc() need not clear. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_MIN 4096
#define CHUNK_GROWN_MAX ((size_t)1 << 20)
#define ALIGN sizeof(max_align_t)

struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct chunk *head;
    size_t bytes_max, used;
};

static struct chunk *chunk_new(size_t size, struct chunk *next)
{
    if (size > SIZE_MAX - sizeof(struct chunk))
        return NULL;
    struct chunk *chunk = mem_alloc(1, sizeof *chunk + size);
    if (chunk) {
        chunk->next = next;
        chunk->size = size;
    }
    return chunk;
}

struct arena *arena_new(size_t bytes_max)
{
    struct arena *arena = mem_alloc(1, sizeof *arena);
    if (arena)
        arena->bytes_max = bytes_max;
    return arena;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    for (struct chunk *chunk = arena->head, *next; chunk; chunk = next) {
        next = chunk->next;
        mem_free(chunk);
    }
    mem_free(arena);
}

void arena_free_auto(struct arena **arena)
{
    arena_free(*arena);
}

void arena_reset(struct arena *arena)
{
    while (arena->head && arena->head->next) {
        struct chunk *next = arena->head->next;
        mem_free(arena->head);
        arena->head = next;
    }
    if (arena->head) {
        memset(arena->head->bytes, 0, arena->head->used);
        arena->head->used = 0;
    }
    arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!arena || __builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ALIGN)
        return NULL;
    bytes = bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    if (bytes > arena->bytes_max - arena->used)
        return NULL;
    struct chunk *head = arena->head;
    if (!head || head->size - head->used < bytes) {
        size_t want = head ? head->size * 2 : CHUNK_MIN;
        if (want > CHUNK_GROWN_MAX)
            want = CHUNK_GROWN_MAX;
        head = chunk_new(want > bytes ? want : bytes, head);
        if (!head)
            return NULL;
        arena->head = head;
    }
    void *block = head->bytes + head->used;
    head->used += bytes;
    arena->used += bytes;
    return block;
}

void *arena_grow(struct arena *arena, void *items, int count, int *size, size_t item)
{
    if (count < *size)
        return items;
    const int larger = *size ? *size * 2 : 32;
    void *grown = arena_alloc(arena, (size_t)larger, item);
    if (!grown)
        return NULL;
    if (count)
        memcpy(grown, items, (size_t)count * item);
    *size = larger;
    return grown;
}

struct str arena_str(struct arena *arena, struct str text)
{
    if (text.len == SIZE_MAX)
        return (struct str) { 0 };
    char *copy = arena_alloc(arena, text.len + 1, 1);
    if (!copy)
        return (struct str) { 0 };
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    return (struct str) { copy, text.len };
}

struct str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1, 1);
    if (text)
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text ? (struct str) { text, (size_t)len } : (struct str) { 0 };
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}

struct arena_mark arena_mark(const struct arena *arena)
{
    if (!arena)
        return (struct arena_mark) { 0 };
    return (struct arena_mark) { arena->head, arena->head ? arena->head->used : 0, arena->used };
}

void arena_release(struct arena *arena, struct arena_mark mark)
{
    if (!arena)
        return;
    while (arena->head && arena->head != mark.chunk) {
        struct chunk *next = arena->head->next;
        mem_free(arena->head);
        arena->head = next;
    }
    if (arena->head) {
        memset(arena->head->bytes + mark.used_in_chunk, 0, arena->head->used - mark.used_in_chunk);
        arena->head->used = mark.used_in_chunk;
    }
    arena->used = mark.used;
}
