#include "base/arena.h"
#include "test.h"

static void test_ceiling(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1000);
    test_ok(arena_alloc(arena, 1, 900) != NULL, "fits");
    test_ok(arena_alloc(arena, 1, 200) == NULL, "over the ceiling");
    test_ok(arena_alloc(arena, SIZE_MAX, 2) == NULL, "product overflows");
    arena_free(arena);
}

static void test_zeroed_after_release(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    const struct arena_mark mark = arena_mark(arena);
    unsigned char *block = arena_alloc(arena, 1, 3000);
    memset(block, 0xff, 3000);
    arena_release(arena, mark);
    test_ok(arena_used(arena) == 0, "mark gives back");
    block = arena_alloc(arena, 1, 3000);
    for (int i = 0; i < 3000; i++)
        test_ok(block[i] == 0, "byte %d is zero", i);
    memset(block, 0xff, 3000);
    arena_reset(arena);
    block = arena_alloc(arena, 1, 3000);
    for (int i = 0; i < 3000; i++)
        test_ok(block[i] == 0, "byte %d is zero", i);
    arena_free(arena);
}

static void test_growing_array(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 16);
    int *items = NULL, count = 0, size = 0;
    for (; count < 500; count++) {
        items = arena_grow(arena, items, count, &size, sizeof *items);
        test_ok(items && size > count, "room for item %d", count);
        items[count] = count;
    }
    for (int i = 0; i < count; i++)
        test_ok(items[i] == i, "item %d is kept", i);
    count = size;
    const int before = size;
    while (arena_alloc(arena, 1, 1024))
        ;
    test_ok(!arena_grow(arena, items, count, &size, sizeof *items) && size == before, "NULL at the ceiling");
    arena_free(arena);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        const long before = mem_live();
        mem_fail_at(nth);
        struct arena *arena = arena_new(1 << 20);
        const bool done = arena && arena_alloc(arena, 1, 10000) && arena_printf(arena, "%d", 7).ptr;
        arena_free(arena);
        mem_fail_at(-1);
        test_ok(mem_live() == before, "nothing leaks at %ld", nth);
        if (done)
            return;
    }
}

TEST_MAIN(TEST(test_ceiling), TEST(test_zeroed_after_release), TEST(test_growing_array),
          TEST(test_out_of_memory))
