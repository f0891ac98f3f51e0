#include "platform/jobs/jobs.h"
#include "platform/bus/lease.h"
#include "test.h"
#include "teststore.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nap(int ms)
{
    const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    (void)nanosleep(&time, NULL);
}

struct world {
    struct store *store;
    struct ids ids;
    struct bus *bus;
    struct jobs *jobs;
    struct arena *arena;
    _Atomic int runs, together, most, events;
};

static void on_event(void *arg, const struct bus_event *event)
{
    (void)event;
    struct world *world = arg;
    world->events++;
}

static enum err_code run_simple(void *arg, struct job *job, struct err *err)
{
    struct world *world = arg;
    world->runs++;
    job_progress(job, 5, 5, STR("\xe5\xae\x8c\xe6\x88\x90"));
    return job_result(job, job_params(job), err);
}

static enum err_code run_bad(void *arg, struct job *job, struct err *err)
{
    (void)job;
    struct world *world = arg;
    world->runs++;
    return err_set(err, ERR_INVALID, "base.too_long", ARG_INT("max", 3), ARG_END);
}

static enum err_code run_endless(void *arg, struct job *job, struct err *err)
{
    struct world *world = arg;
    world->runs++;
    for (int i = 0; i < 24000; i++) {
        const enum err_code rc = job_check(job, err);
        if (rc)
            return rc;
        nap(5);
    }
    return ERR_OK;
}

static enum err_code run_alone(void *arg, struct job *job, struct err *err)
{
    (void)job, (void)err;
    struct world *world = arg;
    const int now = ++world->together;
    if (now > world->most)
        world->most = now;
    nap(20);
    world->together--;
    world->runs++;
    return ERR_OK;
}

/* Counts to 10, remembering each step; "breaks off" once at 5 by failing as the network does. */
static enum err_code run_steps(void *arg, struct job *job, struct err *err)
{
    struct world *world = arg;
    int64_t at = 0;
    (void)str_i64(job_saved(job), &at);
    world->runs++;
    while (at < 10) {
        char text[16];
        at++;
        const int len = snprintf(text, sizeof text, "%d", (int)at);
        const enum err_code rc = job_save(job, (struct str) { text, (size_t)len }, err);
        if (rc)
            return rc;
        if (at == 5 && !job_is_resumed(job))
            _exit(42);
        job_progress(job, at, 10, STR("step"));
    }
    char text[40];
    const int len = snprintf(text, sizeof text, "{\"at\":%d,\"resumed\":%d}", (int)at, job_is_resumed(job));
    return job_result(job, (struct str) { text, (size_t)len }, err);
}

static void world_open_as(struct world *world, const char *url, int node, const char *home,
                          const struct clock *clock)
{
    struct err err = { 0 };
    char owner[LEASE_OWNER_SIZE];
    *world = (struct world) { 0 };
    world->store = teststore_open(url, true, clock);
    ids_init(&world->ids, clock ? clock : &CLOCK_SYSTEM, node);
    world->bus = bus_new();
    world->arena = arena_new(16 << 20);
    test_ok(!lease_owner_make(str_from(home), owner, &err), "owner");
    test_ok(!bus_subscribe(world->bus, "job.*", on_event, world, NULL, NULL), "subscribe");
    teststore_ok(jobs_new(world->store, &world->ids, world->bus, str_from(owner), &world->jobs, &err), &err,
                 "jobs");
    const struct job_kind kinds[] = {
        { .name = "simple", .run = run_simple, .arg = world },
        { .name = "bad", .run = run_bad, .arg = world },
        { .name = "endless", .run = run_endless, .arg = world },
        { .name = "alone", .run = run_alone, .arg = world, .alone = true },
        { .name = "steps", .run = run_steps, .arg = world },
        { .name = "nightly",
          .run = run_simple,
          .arg = world,
          .schedule = "30 2 * * *",
          .params = "{\"a\":1}" },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        teststore_ok(jobs_register(world->jobs, &kinds[i], &err), &err, "register");
    test_ok(jobs_register(world->jobs, &kinds[0], &err) == ERR_CONFLICT, "once");
}

static void world_open(struct world *world, const char *url, int node)
{
    world_open_as(world, url, node, node == 1 ? "aaaa" : "bbbb", NULL);
}

static void world_close(struct world *world)
{
    jobs_free(world->jobs);
    bus_free(world->bus);
    arena_free(world->arena);
    store_close(world->store);
}

struct ask {
    struct world *world;
    const char *kind;
    int64_t id;
    struct schedule *schedule;
};

static enum err_code add_fn(struct tx *tx, void *arg, struct err *err)
{
    struct ask *ask = arg;
    return jobs_add(ask->world->jobs, tx, str_from(ask->kind), STR("{\"x\":1}"), 7, &ask->id, err);
}

static int64_t add(struct world *world, const char *kind)
{
    struct ask ask = { .world = world, .kind = kind };
    struct err err = { 0 };
    teststore_ok(store_write(world->store, add_fn, &ask, &err), &err, "add");
    return ask.id;
}

static enum err_code cancel_fn(struct tx *tx, void *arg, struct err *err)
{
    struct ask *ask = arg;
    return jobs_cancel(ask->world->jobs, tx, ask->id, err);
}

static enum err_code again_fn(struct tx *tx, void *arg, struct err *err)
{
    struct ask *ask = arg;
    return jobs_again(ask->world->jobs, tx, ask->id, err);
}

static enum err_code put_fn(struct tx *tx, void *arg, struct err *err)
{
    struct ask *ask = arg;
    return schedule_put(ask->world->jobs, tx, ask->schedule, err);
}

static enum err_code delete_fn(struct tx *tx, void *arg, struct err *err)
{
    struct ask *ask = arg;
    return schedule_delete(ask->world->jobs, tx, ask->schedule->id, ask->schedule->version, err);
}

static struct job_info wait_for(struct world *world, int64_t id, enum job_state state)
{
    struct job_info info = { 0 };
    struct err err = { 0 };
    for (int i = 0; i < 12000; i++) { /* a minute: somebody else may need the machine */
        teststore_ok(jobs_get(world->jobs, world->arena, id, &info, &err), &err, "get");
        if (info.state == state)
            return info;
        nap(5);
    }
    test_ok(false, "job is %s, not %s", job_state_name(info.state), job_state_name(state));
    return info;
}

static void test_runs_fails_cancels(void **state)
{
    (void)state;
    struct world world;
    struct err err = { 0 };
    struct ask ask = { .world = &world };
    world_open(&world, teststore_url(), 1);
    teststore_ok(jobs_start(world.jobs, 2, &err), &err, "start");
    const int64_t simple = add(&world, "simple"), bad = add(&world, "bad"), endless = add(&world, "endless");
    struct job_info info = wait_for(&world, simple, JOB_DONE);
    test_ok(str_eq(info.result, STR("{\"x\":1}")) && info.done == 5 && info.total == 5 && info.user_id == 7 &&
                info.starts == 1 && info.ended_at >= info.started_at && info.started_at >= info.made_at &&
                str_eq(info.note, STR("\xe5\xae\x8c\xe6\x88\x90")),
            "done: %.*s", STR_ARG(info.result));
    info = wait_for(&world, bad, JOB_FAILED);
    test_ok(str_eq(info.error, STR("{\"code\":\"invalid\",\"id\":\"base.too_long\",\"args\":{\"max\":3}}")),
            "%.*s", STR_ARG(info.error));
    (void)wait_for(&world, endless, JOB_RUNNING);
    ask.id = endless;
    test_ok(store_write(world.store, again_fn, &ask, &err) == ERR_CONFLICT, "runs");
    teststore_ok(store_write(world.store, cancel_fn, &ask, &err), &err, "cancel");
    (void)wait_for(&world, endless, JOB_CANCELLED);
    test_ok(store_write(world.store, cancel_fn, &ask, &err) == ERR_CONFLICT, "ended");
    ask.id = bad;
    const int runs = world.runs;
    teststore_ok(store_write(world.store, again_fn, &ask, &err), &err, "again");
    for (int i = 0; i < 12000 && world.runs == runs; i++)
        nap(5);
    test_ok(world.runs == runs + 1 && world.events >= 8, "ran again, told");
    ask.id = 12345;
    test_ok(store_write(world.store, cancel_fn, &ask, &err) == ERR_NOT_FOUND, "no such job");
    ask.kind = "nothing";
    test_ok(store_write(world.store, add_fn, &ask, &err) == ERR_NOT_FOUND, "no such kind");
    struct job_info *infos;
    int count;
    test_ok(!jobs_list(world.jobs, world.arena, STR(""), 0, 2, &infos, &count, &err) && count == 2 &&
                infos[0].id > infos[1].id,
            "newest first");
    test_ok(!jobs_list(world.jobs, world.arena, STR("bad"), 0, 10, &infos, &count, &err) && count == 1,
            "by kind");
    world_close(&world);
}

static void test_alone(void **state)
{
    (void)state;
    struct world world;
    struct err err = { 0 };
    world_open(&world, teststore_url(), 1);
    teststore_ok(jobs_start(world.jobs, 4, &err), &err, "start");
    for (int i = 0; i < 5; i++)
        (void)add(&world, "alone");
    for (int i = 0; i < 12000 && world.runs < 5; i++)
        nap(5);
    test_ok(world.runs == 5 && world.most == 1, "%d runs, %d together", world.runs, world.most);
    world_close(&world);
}

/* The process stops in the middle: the job waits, and goes on with the next process. */
static void test_stop_and_go_on(void **state)
{
    (void)state;
    const char *url = teststore_url();
    struct world world;
    struct err err = { 0 };
    world_open(&world, url, 1);
    teststore_ok(jobs_start(world.jobs, 1, &err), &err, "start");
    const int64_t id = add(&world, "endless");
    (void)wait_for(&world, id, JOB_RUNNING);
    jobs_stop(world.jobs);
    const struct job_info info = wait_for(&world, id, JOB_WAITING);
    test_ok(info.starts == 0, "the start does not count");
    world_close(&world);
}

/* A process dies in the middle of a job; another takes over from where it was. */
static void test_crash_and_resume(void **state)
{
    (void)state;
    const char *url = teststore_url();
    struct world world;
    struct err err = { 0 };
    const pid_t pid = fork();
    if (pid == 0) {
        world_open(&world, url, 1);
        (void)add(&world, "steps");
        (void)!jobs_start(world.jobs, 1, &err);
        nap(60000);
        _exit(1);
    }
    int status = 0;
    (void)waitpid(pid, &status, 0);
    test_ok(WIFEXITED(status) && WEXITSTATUS(status) == 42, "died at step 5: %d", status);
    world_open(&world, url, 2);
    struct job_info *infos;
    int count;
    teststore_ok(jobs_list(world.jobs, world.arena, STR("steps"), 0, 1, &infos, &count, &err), &err, "list");
    test_ok(count == 1 && infos[0].state == JOB_RUNNING, "left running");
    const int64_t id = infos[0].id;
    teststore_ok(jobs_start(world.jobs, 1, &err), &err, "start");
    if (!teststore_is_postgres()) {
        const struct job_info info = wait_for(&world, id, JOB_DONE);
        test_ok(str_eq(info.result, STR("{\"at\":10,\"resumed\":1}")) && info.starts == 2 && info.done == 10,
                "%.*s", STR_ARG(info.result));
        test_ok(world.runs == 1, "once here");
    } else { /* nobody else may take it before its lease runs out */
        nap(300);
        test_ok(world.runs == 0, "still leased to the dead one");
        world_close(&world);
        world_open(&world, url, 1); /* but its own home gets it back at once */
        teststore_ok(jobs_start(world.jobs, 1, &err), &err, "start");
        const struct job_info info = wait_for(&world, id, JOB_DONE);
        test_ok(info.starts == 2 && info.done == 10 && world.runs == 1, "resumed at home: %d", info.starts);
    }
    world_close(&world);
}

/* Two nodes on one PostgreSQL: one dies with a job in hand, the other takes it over when the lease ran out.
 */
static void test_take_over_by_another_node(void **state)
{
    (void)state;
    if (!teststore_is_postgres())
        return;
    const char *url = teststore_url();
    struct world world;
    struct clock clock;
    struct err err = { 0 };
    struct job_info *infos;
    int status = 0, count = 0;
    clock_test_init(&clock, clock_now(&CLOCK_SYSTEM));
    world_open_as(&world, url, 2, "bbbb", &clock);
    const int64_t id = add(&world, "steps");
    const pid_t pid = fork();
    if (pid == 0) {
        struct world own;
        world_open_as(&own, url, 1, "aaaa", &clock);
        (void)!jobs_start(own.jobs, 1, &err);
        nap(60000);
        _exit(1);
    }
    test_ok(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 42, "died at step 5: %d", status);
    teststore_ok(jobs_start(world.jobs, 2, &err), &err, "start");
    nap(1500);
    teststore_ok(jobs_list(world.jobs, world.arena, STR("steps"), 0, 1, &infos, &count, &err), &err, "list");
    test_ok(world.runs == 0 && count == 1 && infos[0].state == JOB_RUNNING, "leased to the dead one");
    clock.test_ms += 61000;
    const struct job_info info = wait_for(&world, id, JOB_DONE);
    test_ok(info.starts == 2 && info.done == 10 && world.runs == 1 &&
                str_eq(info.result, STR("{\"at\":10,\"resumed\":1}")),
            "%.*s", STR_ARG(info.result));
    world_close(&world);
}

static void test_schedules(void **state)
{
    (void)state;
    const char *url = teststore_url();
    struct world world;
    struct err err = { 0 };
    struct schedule *list;
    int count;
    for (int turn = 0; turn < 2; turn++) { /* a second start makes no second one */
        world_open(&world, url, 1 + turn);
        teststore_ok(jobs_start(world.jobs, 1, &err), &err, "start");
        teststore_ok(schedules_list(world.jobs, world.arena, &list, &count, &err), &err, "list");
        test_ok(count == 1 && str_eq(list[0].spec, STR("30 2 * * *")) && list[0].enabled &&
                    list[0].next_at > clock_now(&CLOCK_SYSTEM),
                "the kind's own");
        if (turn == 0)
            world_close(&world);
    }
    struct schedule own = list[0];
    struct schedule every = { .kind = STR("simple"), .spec = STR("* * * * *"), .enabled = true };
    struct ask ask = { .world = &world, .schedule = &every };
    teststore_ok(store_write(world.store, put_fn, &ask, &err), &err, "put");
    test_ok(every.id && every.version == 1 && every.next_at % 60000 == 0, "next minute");
    every.spec = STR("*/5 * * * *");
    every.days = STR("work");
    teststore_ok(store_write(world.store, put_fn, &ask, &err), &err, "change");
    test_ok(every.version == 2, "version");
    every.version = 1;
    test_ok(store_write(world.store, put_fn, &ask, &err) == ERR_STALE, "stale");
    every.version = 2;
    every.spec = STR("* * x * *");
    test_ok(store_write(world.store, put_fn, &ask, &err) == ERR_INVALID && err.at.column == 5,
            "bad: column %d", err.at.column);
    teststore_ok(store_write(world.store, delete_fn, &ask, &err), &err, "delete");
    ask.schedule = &own;
    test_ok(store_write(world.store, delete_fn, &ask, &err) == ERR_CONFLICT,
            "its own can only be switched off");
    own.enabled = false;
    teststore_ok(store_write(world.store, put_fn, &ask, &err), &err, "off");
    test_ok(own.next_at == 0, "never");
    world_close(&world);
}

/* Two processes and one schedule that is due: one job. */
static void test_due_once(void **state)
{
    (void)state;
    const char *url = teststore_url();
    struct world worlds[2];
    struct clock clock;
    struct err err = { 0 };
    clock_test_init(&clock, clock_now(&CLOCK_SYSTEM));
    for (int i = 0; i < 2; i++) {
        world_open_as(&worlds[i], url, i + 1, i ? "bbbb" : "aaaa", &clock);
        teststore_ok(jobs_start(worlds[i].jobs, 1, &err), &err, "start");
    }
    struct schedule every = { .kind = STR("simple"), .spec = STR("* * * * *"), .enabled = true };
    struct ask ask = { .world = &worlds[0], .schedule = &every };
    teststore_ok(store_write(worlds[0].store, put_fn, &ask, &err), &err, "put");
    clock.test_ms = every.next_at;
    for (int i = 0; i < 6000 && worlds[0].runs + worlds[1].runs == 0; i++)
        nap(10);
    nap(1200); /* both look twice more */
    test_ok(worlds[0].runs + worlds[1].runs == 1, "%d and %d", worlds[0].runs, worlds[1].runs);
    world_close(&worlds[0]);
    world_close(&worlds[1]);
}

static enum err_code tick_fn(void *arg, struct err *err)
{
    struct world *world = arg;
    world->runs++;
    return world->runs == 2 ? err_set(err, ERR_IO, "base.internal", ARG_END) : ERR_OK;
}

static void test_ticks(void **state)
{
    (void)state;
    struct world world;
    struct err err = { 0 };
    world_open(&world, teststore_url(), 1);
    test_ok(!jobs_tick(world.jobs, "t", 50, tick_fn, &world, &err), "tick");
    teststore_ok(jobs_start(world.jobs, 1, &err), &err, "start");
    for (int i = 0; i < 12000 && world.runs < 3; i++)
        nap(5);
    test_ok(world.runs >= 3, "goes on after a failure");
    world_close(&world);
}

TEST_MAIN(TEST(test_runs_fails_cancels), TEST(test_alone), TEST(test_stop_and_go_on),
          TEST(test_crash_and_resume), TEST(test_take_over_by_another_node), TEST(test_schedules),
          TEST(test_due_once), TEST(test_ticks))
