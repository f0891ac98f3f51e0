#include "base/ids.h"
#include "test.h"

static void test_growing_when_the_clock_goes_back(void **state)
{
    (void)state;
    struct clock clock;
    struct ids ids;
    clock_test_init(&clock, INT64_C(1795241100000));
    ids_init(&ids, &clock, 5);
    int64_t last = ids_next(&ids);
    test_ok(ids_instant_ms(last) == INT64_C(1795241100000), "its instant");
    test_ok((last >> 12 & 1023) == 5, "its node");
    for (int i = 0; i < 20000; i++) {
        if (i == 100)
            clock.test_ms -= 3600000;
        const int64_t next = ids_next(&ids);
        test_ok(next > last, "id %d grows", i);
        last = next;
    }
    test_ok(ids_floor(INT64_C(1795241100000)) <= last && ids_floor(INT64_C(1795241200000)) > last, "floor");
}

TEST_MAIN(TEST(test_growing_when_the_clock_goes_back))
