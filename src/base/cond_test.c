#include "base/cond.h"
#include "test.h"

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
};

static void init(struct gate *gate)
{
    *gate = (struct gate) { .open = false };
    (void)pthread_mutex_init(&gate->lock, NULL);
    cond_init(&gate->opened);
}

static void done(struct gate *gate)
{
    (void)pthread_cond_destroy(&gate->opened);
    (void)pthread_mutex_destroy(&gate->lock);
}

static void test_ends_by_itself(void **state)
{
    (void)state;
    struct gate gate;
    init(&gate);
    const int64_t start = clock_mono(&CLOCK_SYSTEM);
    (void)pthread_mutex_lock(&gate.lock);
    while (cond_wait_until(&gate.opened, &gate.lock, start + 30))
        ;
    test_ok(clock_mono(&CLOCK_SYSTEM) >= start + 30, "not before its time");
    test_ok(!cond_wait_until(&gate.opened, &gate.lock, start), "what is past is not waited for");
    (void)pthread_mutex_unlock(&gate.lock);
    done(&gate);
}

static void *open_it(void *arg)
{
    struct gate *gate = arg;
    (void)pthread_mutex_lock(&gate->lock);
    gate->open = true;
    (void)pthread_cond_signal(&gate->opened);
    (void)pthread_mutex_unlock(&gate->lock);
    return NULL;
}

static void test_hears_a_signal(void **state)
{
    (void)state;
    struct gate gate;
    pthread_t thread;
    init(&gate);
    (void)pthread_mutex_lock(&gate.lock);
    test_ok(pthread_create(&thread, NULL, open_it, &gate) == 0, "a thread");
    bool in_time = true;
    while (!gate.open && in_time)
        in_time = cond_wait_ms(&gate.opened, &gate.lock, 60000);
    test_ok(gate.open, "long before its time");
    (void)pthread_mutex_unlock(&gate.lock);
    (void)pthread_join(thread, NULL);
    done(&gate);
}

TEST_MAIN(TEST(test_ends_by_itself), TEST(test_hears_a_signal))
