#include "warn/machine.h"
#include "test.h"

#define T0 INT64_C(1795241100000)

static struct clock fixed;
static struct ids ids;

/* Everything that was told, as one text. */
struct world {
    char told[8192];
    int64_t window, parent_of[100], escalate;
};

static void on_change(void *ctx, const struct alarm_change *change)
{
    struct world *world = ctx;
    const size_t len = strlen(world->told);
    (void)snprintf(world->told + len, sizeof world->told - len, "%s%s/%s/%s#%d ",
                   alarm_event_name(change->event), change->first ? "!" : "",
                   alarm_state_name(change->alarm->state), alarm_hold_name(change->alarm->hold),
                   (int)change->alarm->count);
}

static int64_t window_of(void *ctx, int64_t subject, int64_t service, int64_t at_ms)
{
    (void)subject, (void)service, (void)at_ms;
    return ((struct world *)ctx)->window;
}

static int64_t parent_of(void *ctx, int64_t subject, int64_t at_ms, bool (*down)(void *arg, int64_t subject),
                         void *arg)
{
    (void)at_ms;
    const int64_t parent = ((struct world *)ctx)->parent_of[subject];
    return parent && down(arg, parent) ? parent : 0;
}

static int64_t escalate_of(void *ctx, const struct alarm *alarm)
{
    (void)alarm;
    return ((struct world *)ctx)->escalate;
}

static struct machine *start(struct world *world)
{
    *world = (struct world) { 0 };
    clock_test_init(&fixed, T0);
    ids_init(&ids, &fixed, 1);
    return machine_new(
        &ids, NULL, &(struct machine_hooks) { world, on_change, world, window_of, parent_of, escalate_of });
}

static void raise_it(struct machine *machine, int64_t subject, int grade, int64_t at)
{
    char key[32];
    struct err err;
    (void)snprintf(key, sizeof key, "9:%d", (int)subject);
    const struct alarm_signal signal = { .key = str_from(key),
                                         .subject = subject,
                                         .source = 9,
                                         .grade = grade,
                                         .title = STR("网站打不开"),
                                         .value = STR("502"),
                                         .at_ms = at };
    test_ok(machine_raise(machine, &signal, at, &err) == ERR_OK, "raises");
}

static void clear_it(struct machine *machine, int64_t subject, int64_t at)
{
    char key[32];
    (void)snprintf(key, sizeof key, "9:%d", (int)subject);
    machine_clear(machine, str_from(key), STR("200"), at);
}

static void expect(struct world *world, const char *want)
{
    test_ok(strcmp(world->told, want) == 0, "told '%s', not '%s'", world->told, want);
    world->told[0] = 0;
}

static void test_one_life(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    struct machine *machine = start(&world);
    raise_it(machine, 1, 2, T0);
    expect(&world, "raise!/open/free#1 ");
    raise_it(machine, 1, 2, T0 + 1000);
    expect(&world, "raise/open/free#2 ");
    raise_it(machine, 1, 1, T0 + 2000); /* worse: told again */
    expect(&world, "raise!/open/free#3 ");
    const int64_t id = machine_at(machine, 0)->id;
    test_ok(machine_ack(machine, id, 7, STR("我来处理"), T0 + 3000, &err) == ERR_OK, "acknowledged");
    expect(&world, "ack/acked/free#3 ");
    test_ok(machine_ack(machine, id, 7, STR(""), T0 + 3000, &err) == ERR_CONFLICT, "once");
    test_ok(machine_find(machine, id)->acked_by == 7, "by whom");
    raise_it(machine, 1, 2, T0 + 4000);
    expect(&world, "raise/acked/free#4 ");
    clear_it(machine, 1, T0 + 5000);
    expect(&world, "clear/cleared/free#4 ");
    clear_it(machine, 1, T0 + 5500);
    expect(&world, "");
    raise_it(machine, 1, 2, T0 + 6000);
    expect(&world, "raise!/open/free#5 ");
    clear_it(machine, 1, T0 + 7000);
    machine_tick(machine, T0 + 7000 + MACHINE_TIMES.expire_ms - 1);
    expect(&world, "clear/cleared/free#5 ");
    machine_tick(machine, T0 + 7000 + MACHINE_TIMES.expire_ms);
    expect(&world, "expire/closed/free#5 ");
    test_ok(machine_count(machine) == 0 && machine_close(machine, id, 7, STR(""), T0, &err) == ERR_NOT_FOUND,
            "gone");
    raise_it(machine, 1, 2, T0 + 9000000);
    expect(&world, "raise!/open/free#1 ");
    test_ok(machine_at(machine, 0)->id != id, "a new alarm");
    test_ok(machine_close(machine, machine_at(machine, 0)->id, 7, STR("误报"), T0 + 9000001, &err) == ERR_OK,
            "closes");
    expect(&world, "close/closed/free#1 ");
    machine_free(machine);
}

/* Every state meets every act of people: what the table of machine.h says, and nothing else. */
static void test_every_act_in_every_state(void **state)
{
    (void)state;
    static const struct {
        enum alarm_state state;
        enum err_code ack, close;
    } cases[] = { { ALARM_OPEN, ERR_OK, ERR_OK },
                  { ALARM_ACKED, ERR_CONFLICT, ERR_OK },
                  { ALARM_CLEARED, ERR_CONFLICT, ERR_OK } };
    for (size_t i = 0; i < 3; i++)
        for (int close = 0; close < 2; close++) {
            struct world world;
            struct err err;
            struct machine *machine = start(&world);
            const struct alarm alarm = {
                .id = 5, .key = "9:1", .subject = 1, .grade = 2, .state = cases[i].state
            };
            test_ok(machine_restore(machine, &alarm, &err) == ERR_OK, "restored");
            const enum err_code rc = close ? machine_close(machine, 5, 1, STR(""), T0, &err)
                                           : machine_ack(machine, 5, 1, STR(""), T0, &err);
            test_ok(rc == (close ? cases[i].close : cases[i].ack), "state %zu", i);
            machine_free(machine);
        }
}

static void test_maintenance(void **state)
{
    (void)state;
    struct world world;
    struct machine *machine = start(&world);
    world.window = 77;
    raise_it(machine, 1, 2, T0);
    expect(&world, "raise!/open/maintenance#1 ");
    test_ok(machine_at(machine, 0)->hold_by == 77, "which window");
    machine_tick(machine, T0 + 60000);
    expect(&world, "");
    world.window = 0;
    machine_tick(machine, T0 + 61000);
    expect(&world, "release/open/free#1 ");
    world.window = 78; /* a window begins while it is open */
    machine_tick(machine, T0 + 62000);
    expect(&world, "hold/open/maintenance#1 ");
    machine_free(machine);
}

static void test_children_are_held_while_the_parent_is_down(void **state)
{
    (void)state;
    struct world world;
    struct machine *machine = start(&world);
    world.parent_of[2] = world.parent_of[3] = 1;
    raise_it(machine, 2, 2, T0); /* the child is seen first */
    raise_it(machine, 1, 1, T0 + 5000);
    machine_tick(machine, T0 + 5500);
    expect(&world, "raise!/open/free#1 raise!/open/free#1 hold/open/parent#1 ");
    raise_it(machine, 3, 2, T0 + 6000);
    expect(&world, "raise!/open/parent#1 ");
    clear_it(machine, 1, T0 + 60000);
    expect(&world, "clear/cleared/free#1 ");
    clear_it(machine, 2, T0 + 61000); /* comes back by itself: nobody was told of it again */
    expect(&world, "clear/cleared/parent#1 ");
    machine_tick(machine, T0 + 61000);
    machine_tick(machine, T0 + 61000 + MACHINE_TIMES.release_ms - 1);
    expect(&world, "");
    machine_tick(machine, T0 + 61000 + MACHINE_TIMES.release_ms);
    expect(&world, "release/open/free#1 "); /* the third stays down on its own account */
    machine_free(machine);
}

static void test_flapping(void **state)
{
    (void)state;
    struct world world;
    struct machine *machine = start(&world);
    int64_t at = T0;
    for (int i = 0; i < 6; i++, at += 20000) {
        raise_it(machine, 1, 2, at);
        clear_it(machine, 1, at + 10000);
    }
    expect(
        &world,
        "raise!/open/free#1 clear/cleared/free#1 raise!/open/free#2 clear/cleared/free#2 "
        "raise!/open/free#3 clear/cleared/free#3 raise!/open/free#4 clear/cleared/free#4 "
        "raise!/open/flapping#5 clear/cleared/flapping#5 raise!/open/flapping#6 clear/cleared/flapping#6 ");
    raise_it(machine, 1, 2, at);
    world.told[0] = 0;
    machine_tick(machine, at + MACHINE_TIMES.flap_window_ms);
    expect(&world, "release/open/free#7 ");
    machine_free(machine);
}

static void test_escalation_is_one_step(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    struct machine *machine = start(&world);
    world.escalate = 300000;
    raise_it(machine, 1, 2, T0);
    raise_it(machine, 2, 2, T0);
    const int64_t second = machine_at(machine, 1)->id;
    test_ok(machine_ack(machine, second, 7, STR(""), T0 + 1000, &err) == ERR_OK, "one is taken");
    world.told[0] = 0;
    machine_tick(machine, T0 + 299999);
    expect(&world, "");
    machine_tick(machine, T0 + 300000);
    machine_tick(machine, T0 + 900000);
    expect(&world, "escalate/open/free#1 ");
    machine_free(machine);
}

static void test_bad_signals(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    struct machine *machine = start(&world);
    static char key[ALARM_KEY_MAX + 2];
    memset(key, 'k', ALARM_KEY_MAX + 1);
    const struct alarm_signal cases[] = { { .key = STR(""), .grade = 1 },
                                          { .key = str_from(key), .grade = 1 },
                                          { .key = STR("k"), .grade = 0 },
                                          { .key = STR("k"), .grade = 5 } };
    for (size_t i = 0; i < 4; i++)
        test_ok(machine_raise(machine, &cases[i], T0, &err) == ERR_INVALID, "case %zu", i);
    test_ok(machine_count(machine) == 0, "nothing came of them");
    char title[ALARM_TITLE_MAX + 10];
    for (size_t i = 0; i + 3 <= sizeof title; i += 3)
        memcpy(title + i, "闭", 3);
    const struct alarm_signal longest = { .key = STR("k"),
                                          .grade = 1,
                                          .title = { title, sizeof title / 3 * 3 } };
    test_ok(machine_raise(machine, &longest, T0, &err) == ERR_OK, "a long title is cut");
    test_ok(utf8_valid(str_from(machine_at(machine, 0)->title)), "at a character");
    machine_free(machine);
}

/* Random signals and acts on many alarms, against a plain array; the maps stay right. */
/* Reading downwards meets each live alarm once. */
static void check_order(struct machine *machine)
{
    int count = 0;
    const struct alarm *alarm;
    for (int64_t below = INT64_MAX; (alarm = machine_below(machine, below)); below = alarm->id, count++)
        test_ok(alarm->id < below && machine_find(machine, alarm->id) == alarm, "in order");
    test_ok(count == machine_count(machine), "%d read, %d live", count, machine_count(machine));
}

static void test_many_against_a_plain_array(void **state)
{
    (void)state;
    enum { SUBJECTS = 90 };
    int plain[SUBJECTS + 1]; /* -1 none, else alarm_state */
    struct world world;
    struct err err;
    struct machine *machine = start(&world);
    for (int i = 0; i <= SUBJECTS; i++)
        plain[i] = -1;
    srand(3);
    int64_t at = T0;
    for (int round = 0; round < 20000; round++, at += 500) {
        const int subject = 1 + rand() % SUBJECTS;
        world.told[0] = 0;
        if (rand() % 2) {
            raise_it(machine, subject, 1 + rand() % 4, at);
            plain[subject] = plain[subject] == ALARM_ACKED ? ALARM_ACKED : ALARM_OPEN;
        } else if (rand() % 2) {
            clear_it(machine, subject, at);
            plain[subject] = plain[subject] < 0 ? -1 : ALARM_CLEARED;
        } else if (machine_count(machine)) {
            const struct alarm *alarm = machine_at(machine, rand() % machine_count(machine));
            const int64_t whose = alarm->subject;
            if (machine_close(machine, alarm->id, 1, STR(""), at, &err) == ERR_OK)
                plain[whose] = -1;
        }
        if (round % 50)
            continue;
        int live = 0;
        for (int i = 1; i <= SUBJECTS; i++)
            live += plain[i] >= 0;
        test_ok(machine_count(machine) == live, "round %d: %d, not %d", round, machine_count(machine), live);
        for (int i = 0; i < machine_count(machine); i++) {
            const struct alarm *alarm = machine_at(machine, i);
            test_ok((int)alarm->state == plain[alarm->subject], "state of %d", (int)alarm->subject);
            test_ok(machine_find(machine, alarm->id) == alarm, "found by id");
        }
        check_order(machine);
        if (round % 500 == 0 && live) { /* one comes back as it was */
            const struct alarm same = *machine_at(machine, rand() % live);
            test_ok(machine_restore(machine, &same, &err) == ERR_OK, "restored");
            check_order(machine);
        }
    }
    machine_free(machine);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct world world;
        const long before = mem_live();
        mem_fail_at(nth);
        struct machine *machine = start(&world);
        bool done = machine != NULL;
        for (int i = 1; done && i < 90; i++) {
            char key[16];
            struct err err;
            (void)snprintf(key, sizeof key, "%d", i);
            const struct alarm_signal signal = {
                .key = str_from(key), .subject = i, .grade = 1, .at_ms = T0
            };
            done = machine_raise(machine, &signal, T0, &err) == ERR_OK;
        }
        machine_free(machine);
        mem_fail_at(-1);
        test_ok(mem_live() == before, "nothing leaks at %ld", nth);
        if (done)
            return;
    }
}

TEST_MAIN(TEST(test_one_life), TEST(test_every_act_in_every_state), TEST(test_maintenance),
          TEST(test_children_are_held_while_the_parent_is_down), TEST(test_flapping),
          TEST(test_escalation_is_one_step), TEST(test_bad_signals), TEST(test_many_against_a_plain_array),
          TEST(test_out_of_memory))
