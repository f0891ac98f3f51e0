/* arena.h - memory that is given back all at once: one arena a request, a job or a loaded configuration.
 *
 * An arena has a ceiling; past it every allocation returns NULL and the caller answers ERR_NOMEM, so no
 * request can eat the server.  Blocks are aligned for any type.
 * Threads: one owner at a time.  Layer: base. */
#pragma once
#include "base/mem.h"
#include "base/str.h"

struct arena;

/* A new arena that will hold at most `bytes_max` bytes; NULL when there is no memory.  Caller frees. */
struct arena *arena_new(size_t bytes_max) MUST_CHECK;

/* Gives back everything allocated from it.  Accepts NULL. */
void arena_free(struct arena *arena);
void arena_free_auto(struct arena **arena);

/* Forgets all blocks but keeps some memory for the next use. */
void arena_reset(struct arena *arena);

/* Zeroed memory that lives as long as the arena; NULL at the ceiling, when there is no memory, or when the
 * arena itself is NULL because there was none (tx_arena()). */
void *arena_alloc(struct arena *arena, size_t count, size_t size) MUST_CHECK;

/* Room for one item more in an array that grows: `items` where it still fits, else another of twice the size
 * with the `count` items that there are.  *size is in items, 0 at first.  NULL as arena_alloc(); then `items`
 * stays good. */
void *arena_grow(struct arena *arena, void *items, int count, int *size, size_t item) MUST_CHECK;

/* A NUL-terminated copy; `ptr` is NULL in the answer when it failed. */
struct str arena_str(struct arena *arena, struct str text) MUST_CHECK;

/* A formatted, NUL-terminated text; `ptr` is NULL in the answer when it failed. */
struct str arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3) MUST_CHECK;

/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);

/* A mark, and a return to it: all blocks allocated since are gone.  Marks nest. */
struct arena_mark {
    void *chunk;
    size_t used_in_chunk, used;
};
struct arena_mark arena_mark(const struct arena *arena);
void arena_release(struct arena *arena, struct arena_mark mark);
