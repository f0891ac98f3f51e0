#include "base/disk.h"
#include "platform/bus/bus.h"
#include "platform/bus/broadcast.h"
#include "platform/bus/lease.h"
#include "platform/bus/outbox.h"
#include "test.h"
#include "teststore.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define T0 INT64_C(1795000000000) /* a day in 2026 */

static void nap(int ms)
{
    const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    (void)nanosleep(&time, NULL);
}

/* ---- the memory bus ---- */

struct ear {
    _Atomic int calls;
    int64_t last;
    char topics[256];
};

static void on_event(void *arg, const struct bus_event *event)
{
    struct ear *ear = arg;
    ear->calls++;
    ear->last = event->subject_id;
    (void)snprintf(ear->topics + strlen(ear->topics), sizeof ear->topics - strlen(ear->topics), "%.*s ",
                   STR_ARG(event->topic));
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *topic;
        bool want;
    } cases[] = {
        { "record.*", "record.created", true },
        { "record.*", "record", false },
        { "record.*", "records.created", false },
        { "record.created", "record.created", true },
        { "record.created", "record.createdx", false },
        { "*", "anything", true },
        { "a.b.*", "a.b.c.d", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_ok(bus_matches(str_from(cases[i].pattern), str_from(cases[i].topic)) == cases[i].want,
                "%s on %s", cases[i].pattern, cases[i].topic);
}

static void test_memory_bus(void **state)
{
    (void)state;
    struct bus *bus = bus_new();
    struct ear all = { 0 }, records = { 0 };
    int64_t handle = 0;
    test_ok(!bus_subscribe(bus, "*", on_event, &all, NULL, NULL), "all");
    test_ok(!bus_subscribe(bus, "record.*", on_event, &records, &handle, NULL), "records");
    const struct bus_event created = { STR("record.created"), 7, STR("{}") },
                           other = { STR("other"), 8, STR("") };
    bus_publish(bus, &created);
    bus_publish(bus, &other);
    test_ok(all.calls == 2 && records.calls == 1 && records.last == 7, "matched");
    bus_unsubscribe(bus, handle);
    bus_publish(bus, &created);
    test_ok(all.calls == 3 && records.calls == 1, "unsubscribed");
    bus_free(bus);
}

/* ---- a fixture ---- */

struct world {
    struct clock clock;
    struct store *store;
    struct ids ids;
    struct bus *bus;
    struct outbox *outbox;
};

static void world_init(struct world *world, const char *url, const char *owner)
{
    struct err err = { 0 };
    *world = (struct world) { 0 };
    clock_test_init(&world->clock, T0);
    world->store = teststore_open(url, true, &world->clock);
    ids_init(&world->ids, &world->clock, owner[0] & 0xff);
    world->bus = bus_new();
    teststore_ok(outbox_new(world->store, &world->ids, world->bus, str_from(owner), &world->outbox, &err),
                 &err, "outbox");
}

static void world_done(struct world *world)
{
    outbox_free(world->outbox);
    bus_free(world->bus);
    store_close(world->store);
}

struct post {
    struct outbox *outbox;
    const char *topic;
    int64_t subject, once;
    const char *json;
    enum err_code fail;
};

static enum err_code post_fn(struct tx *tx, void *arg, struct err *err)
{
    struct post *post = arg;
    const enum err_code rc = post->once ? outbox_add_once(post->outbox, tx, post->once, str_from(post->topic),
                                                          post->subject, str_from(post->json), err)
                                        : outbox_add(post->outbox, tx, str_from(post->topic), post->subject,
                                                     str_from(post->json), err);
    return rc ? rc : post->fail ? err_set(err, post->fail, "base.internal", ARG_END) : ERR_OK;
}

static enum err_code post(struct world *world, const char *topic, int64_t subject, const char *json)
{
    struct err err = { 0 };
    struct post post = { world->outbox, topic, subject, 0, json, ERR_OK };
    return store_write(world->store, post_fn, &post, &err);
}

struct sink {
    char got[512];
    int calls, fail_next;
    enum err_code fail_with;
};

static enum err_code sink_outside(void *arg, const struct outbox_message *message, struct err *err)
{
    struct sink *sink = arg;
    sink->calls++;
    if (sink->fail_next > 0) {
        sink->fail_next--;
        return err_set(err, sink->fail_with, "base.too_long", ARG_INT("max", 5), ARG_TEXT("what", "x\"y"),
                       ARG_END);
    }
    (void)snprintf(sink->got + strlen(sink->got), sizeof sink->got - strlen(sink->got), "%lld:%.*s ",
                   (long long)message->subject_id, STR_ARG(message->json));
    return ERR_OK;
}

static enum err_code sink_in_tx(void *arg, struct tx *tx, const struct outbox_message *message,
                                struct err *err)
{
    struct stmt *stmt = NULL; /* an effect in the database: must happen once */
    enum err_code rc =
        tx_prepare(tx, "INSERT INTO lease (name, owner, until) VALUES (?1, 'effect', 0)", &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, message->json);
        rc = stmt_run(stmt, NULL, err);
    }
    stmt_free(stmt);
    return rc ? rc : sink_outside(arg, message, err);
}

static int64_t query(struct store *store, const char *sql);

static int run_due(struct world *world)
{
    int done = 0;
    struct err err = { 0 };
    teststore_ok(outbox_run_due(world->outbox, &done, &err), &err, "run due");
    return done;
}

/* ---- the outbox ---- */

static void test_outbox_delivers(void **state)
{
    (void)state;
    struct world world;
    struct sink mail = { 0 }, flow = { 0 };
    world_init(&world, teststore_url(), "a");
    const struct outbox_consumer consumers[] = {
        { .name = "mail", .pattern = "alarm.*", .outside = sink_outside, .arg = &mail },
        { .name = "flow", .pattern = "alarm.opened", .in_tx = sink_in_tx, .arg = &flow },
    };
    for (int i = 0; i < 2; i++)
        test_ok(!outbox_register(world.outbox, &consumers[i], NULL), "register");
    test_ok(outbox_register(world.outbox, &consumers[0], NULL) == ERR_CONFLICT, "a name once");
    test_ok(!post(&world, "alarm.opened", 1, "a") && !post(&world, "alarm.cleared", 1, "b") &&
                !post(&world, "nobody.listens", 1, "c"),
            "posted");
    struct post refused = { world.outbox, "alarm.opened", 1, 0, "never", ERR_CONFLICT };
    test_ok(store_write(world.store, post_fn, &refused, NULL) == ERR_CONFLICT, "rolled back");
    for (int i = 0; i < 3; i++) {
        struct post once = { world.outbox, "alarm.opened", 2, ids_floor(T0) + 99, "once", ERR_OK };
        test_ok(!store_write(world.store, post_fn, &once, NULL), "added again and again");
    }
    test_ok(query(world.store, "SELECT count(*) FROM outbox") == 3, "three stored");
    test_ok(run_due(&world) == 5, "five deliveries");
    test_ok(strcmp(flow.got, "2:once 1:a ") == 0 || strcmp(flow.got, "1:a 2:once ") == 0, "flow: %s",
            flow.got);
    test_ok(mail.calls == 3 && strstr(mail.got, "1:a ") && strstr(mail.got, "1:b "), "mail: %s", mail.got);
    test_ok(strstr(mail.got, "1:a ") < strstr(mail.got, "1:b "), "in order");
    test_ok(query(world.store, "SELECT count(*) FROM lease WHERE owner = 'effect'") == 2, "effects once");
    test_ok(run_due(&world) == 0, "nothing left");
    world_done(&world);
}

static void test_outbox_retries_in_order(void **state)
{
    (void)state;
    struct world world;
    struct sink sink = { .fail_next = 2, .fail_with = ERR_NET };
    struct outbox_stats stats;
    world_init(&world, teststore_url(), "a");
    const struct outbox_consumer consumer = {
        .name = "c", .pattern = "*", .outside = sink_outside, .arg = &sink
    };
    test_ok(!outbox_register(world.outbox, &consumer, NULL), "register");
    test_ok(!post(&world, "t", 1, "a") && !post(&world, "t", 1, "b"), "posted");
    test_ok(run_due(&world) == 1 && sink.calls == 1, "the first fails and holds up its subject: %d",
            sink.calls);
    test_ok(!post(&world, "t", 2, "c") && run_due(&world) == 1, "another subject goes on");
    world.clock.test_ms += 900;
    /* "c" used up the second failure */
    test_ok(strcmp(sink.got, "") == 0 && run_due(&world) == 0, "not yet: %s", sink.got);
    world.clock.test_ms += 200;
    test_ok(run_due(&world) == 3 && strcmp(sink.got, "1:a 1:b 2:c ") == 0, "now, in order: %s", sink.got);
    test_ok(!outbox_stats(world.outbox, &stats, NULL) && stats.waiting == 0 && stats.dead == 0, "empty");
    world_done(&world);
}

static enum err_code retry_fn(struct tx *tx, void *arg, struct err *err)
{
    struct post *post = arg;
    return outbox_retry(post->outbox, tx, STR("c"), post->once, err);
}

static enum err_code drop_fn(struct tx *tx, void *arg, struct err *err)
{
    struct post *post = arg;
    return outbox_drop(post->outbox, tx, STR("c"), post->once, err);
}

static void test_dead_letters(void **state)
{
    (void)state;
    struct world world;
    struct sink sink = { .fail_next = 3, .fail_with = ERR_NET };
    struct ear ear = { 0 };
    struct arena *arena = arena_new(1 << 20);
    struct dead_letter *letters;
    int count = 0;
    world_init(&world, teststore_url(), "a");
    test_ok(!bus_subscribe(world.bus, "deadletter.*", on_event, &ear, NULL, NULL), "subscribe");
    const struct outbox_consumer consumer = {
        .name = "c", .pattern = "*", .outside = sink_outside, .arg = &sink, .tries = 3
    };
    test_ok(!outbox_register(world.outbox, &consumer, NULL), "register");
    test_ok(!post(&world, "t", 1, "a") && !post(&world, "t", 1, "b"), "posted");
    for (int i = 0; i < 3; i++) {
        (void)run_due(&world);
        world.clock.test_ms += 3600000;
    }
    test_ok(ear.calls == 1, "told on the bus");
    test_ok(strcmp(sink.got, "1:b ") == 0, "the subject goes on without the dead one: %s", sink.got);
    test_ok(!outbox_dead(world.outbox, arena, 0, 10, &letters, &count, NULL) && count == 1, "one letter");
    test_ok(str_eq(letters[0].consumer, STR("c")) && str_eq(letters[0].message.json, STR("a")) &&
                letters[0].message.tries == 3,
            "whose");
    test_ok(
        str_eq(letters[0].error,
               STR("{\"code\":\"net\",\"id\":\"base.too_long\",\"args\":{\"max\":5,\"what\":\"x\\\"y\"}}")),
        "why: %.*s", STR_ARG(letters[0].error));
    struct post act = { world.outbox, NULL, 0, letters[0].message.id, NULL, ERR_OK };
    test_ok(!store_write(world.store, retry_fn, &act, NULL), "retry");
    test_ok(run_due(&world) == 1 && strcmp(sink.got, "1:b 1:a ") == 0, "delivered after all: %s", sink.got);
    test_ok(store_write(world.store, retry_fn, &act, NULL) == ERR_NOT_FOUND, "gone");
    sink.fail_next = 1;
    sink.fail_with = ERR_INVALID;
    test_ok(!post(&world, "t", 1, "bad") && run_due(&world) == 1, "hopeless at once");
    test_ok(!outbox_dead(world.outbox, arena, 0, 10, &letters, &count, NULL) && count == 1, "dead");
    act.once = letters[0].message.id;
    test_ok(!store_write(world.store, drop_fn, &act, NULL), "given up");
    int64_t dead = -1;
    test_ok(!outbox_dead_count(world.outbox, &dead, NULL) && dead == 0, "none left");
    arena_free(arena);
    world_done(&world);
}

/* A worker dies with a lease: nobody gets the message before the lease runs out, then another does. */
static void test_lease_runs_out(void **state)
{
    (void)state;
    struct world one, two;
    struct sink sink = { 0 };
    const char *url = teststore_url();
    world_init(&one, url, "a");
    const struct outbox_consumer consumer = {
        .name = "c", .pattern = "*", .outside = sink_outside, .arg = &sink, .lease_ms = 30000
    };
    test_ok(!outbox_register(one.outbox, &consumer, NULL), "register");
    test_ok(!post(&one, "t", 1, "a"), "posted");
    sink.fail_next = 1;
    sink.fail_with = ERR_NET;
    store_fail_at(one.store, -1, ERR_OK);
    /* The handler fails, and so does every statement that would note it: as if the process were gone. */
    int done;
    struct err err = { 0 };
    store_fail_at(one.store, 6, ERR_STORE);
    (void)!outbox_run_due(one.outbox, &done, &err);
    store_fail_at(one.store, -1, ERR_OK);
    world_init(&two, url, "b");
    test_ok(!outbox_register(two.outbox, &consumer, NULL), "register");
    if (query(two.store, "SELECT count(*) FROM outbox_todo WHERE lease_until > 0") == 1) {
        test_ok(run_due(&two) == 0, "leased");
        two.clock.test_ms += 31000;
    } else {
        two.clock.test_ms += 3600000;
    }
    test_ok(run_due(&two) == 1 && strcmp(sink.got, "1:a ") == 0, "taken over: %s", sink.got);
    world_done(&two);
    world_done(&one);
}

static void test_nth_statement(void **state)
{
    (void)state;
    const char *url = teststore_url();
    for (long nth = 0; nth < 40; nth++) {
        struct world world;
        struct sink sink = { 0 };
        int done = 0;
        struct err err = { 0 };
        world_init(&world, url, "a");
        world.clock.test_ms += nth * 100000000; /* ids of its own */
        const struct outbox_consumer consumer = {
            .name = "c", .pattern = "*", .in_tx = sink_in_tx, .arg = &sink
        };
        test_ok(!outbox_register(world.outbox, &consumer, NULL), "register");
        char json[16];
        (void)snprintf(json, sizeof json, "m%ld", nth);
        store_fail_at(world.store, nth, ERR_STORE);
        const bool posted = post(&world, "t", 1, json) == ERR_OK;
        (void)!outbox_run_due(world.outbox, &done, &err);
        store_fail_at(world.store, -1, ERR_OK);
        world.clock.test_ms += 7200000;
        (void)run_due(&world);
        char sql[96];
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM lease WHERE name = 'm%ld'", nth);
        test_ok(query(world.store, sql) == posted, "once if posted, never else, at %ld", nth);
        test_ok(query(world.store, "SELECT count(*) FROM outbox_todo") == 0, "nothing stuck at %ld", nth);
        world_done(&world);
    }
}

/* Threads: everything arrives, each subject in order. */
struct ordered {
    pthread_mutex_t lock;
    int next[8], total;
    bool broken;
};

static enum err_code ordered_outside(void *arg, const struct outbox_message *message, struct err *err)
{
    (void)err;
    struct ordered *ordered = arg;
    (void)pthread_mutex_lock(&ordered->lock);
    int64_t n = -1;
    if (!str_i64(message->json, &n) || n != ordered->next[message->subject_id]++)
        ordered->broken = true;
    ordered->total++;
    (void)pthread_mutex_unlock(&ordered->lock);
    return ERR_OK;
}

static void test_threads(void **state)
{
    (void)state;
    struct world world;
    struct ordered ordered = { .lock = PTHREAD_MUTEX_INITIALIZER };
    world_init(&world, teststore_url(), "a");
    const struct outbox_consumer consumer = {
        .name = "c", .pattern = "*", .outside = ordered_outside, .arg = &ordered
    };
    test_ok(!outbox_register(world.outbox, &consumer, NULL) && !outbox_start(world.outbox, 3, NULL),
            "started");
    for (int i = 0; i < 64; i++) {
        char json[16];
        (void)snprintf(json, sizeof json, "%d", i / 8);
        test_ok(!post(&world, "t", i % 8, json), "posted");
    }
    int total = 0;
    for (int i = 0; i < 6000 && total < 64; i++) {
        nap(10);
        (void)pthread_mutex_lock(&ordered.lock);
        total = ordered.total;
        (void)pthread_mutex_unlock(&ordered.lock);
    }
    outbox_stop(world.outbox);
    test_ok(ordered.total == 64, "all %d arrived", ordered.total);
    /* subject 0 has no order; the counters of the others ran without a gap */
    for (int i = 1; i < 8; i++)
        test_ok(ordered.next[i] == 8, "subject %d", i);
    world_done(&world);
}

/* ---- leases and nodes ---- */

static void test_leases(void **state)
{
    (void)state;
    struct clock clock;
    clock_test_init(&clock, T0);
    struct store *store = teststore_open(teststore_url(), true, &clock);
    bool mine = false;
    test_ok(!lease_take(store, STR("x"), STR("a"), 1000, &mine, NULL) && mine, "free");
    test_ok(!lease_take(store, STR("x"), STR("b"), 1000, &mine, NULL) && !mine, "taken");
    test_ok(!lease_take(store, STR("x"), STR("a"), 1000, &mine, NULL) && mine, "renewed");
    test_ok(!lease_give(store, STR("x"), STR("b"), NULL), "not b's");
    test_ok(!lease_take(store, STR("x"), STR("b"), 1000, &mine, NULL) && !mine, "still a's");
    clock.test_ms += 1001;
    test_ok(!lease_take(store, STR("x"), STR("b"), 1000, &mine, NULL) && mine, "ran out");
    test_ok(!lease_give(store, STR("x"), STR("b"), NULL), "given");
    test_ok(!lease_take(store, STR("x"), STR("a"), 1000, &mine, NULL) && mine, "free again");
    store_close(store);
}

static void on_lost(void *arg)
{
    *(int *)arg = 1;
}

static void test_nodes(void **state)
{
    (void)state;
    struct clock clock;
    clock_test_init(&clock, T0);
    struct store *store = teststore_open(teststore_url(), true, &clock);
    struct node *nodes[4] = { NULL };
    int lost = 0;
    struct err err = { 0 };
    static const char *const HOMES[] = { "a0", "a1", "a2", "a3" };
    for (int i = 0; i < 3; i++) {
        teststore_ok(node_start(store, str_from(HOMES[i]), on_lost, &lost, &nodes[i], &err), &err, "node");
        test_ok(node_number(nodes[i]) == i, "number %d", node_number(nodes[i]));
    }
    node_stop(nodes[1]);
    teststore_ok(node_start(store, STR("a1"), on_lost, &lost, &nodes[1], &err), &err, "node");
    test_ok(node_number(nodes[1]) == 1, "the freed number comes again");
    clock.test_ms += NODE_LEASE_MS + 1;
    teststore_ok(node_start(store, STR("a3"), on_lost, &lost, &nodes[3], &err), &err, "node");
    test_ok(node_number(nodes[3]) == 0, "a number that ran out is taken over");
    for (int i = 0; i < 4; i++)
        node_stop(nodes[i]);
    store_close(store);
}

static enum err_code query_fn(struct tx *tx, void *arg, struct err *err)
{
    struct post *post = arg;
    return tx_query_i64(tx, post->json, &post->once, err);
}

static int64_t query(struct store *store, const char *sql)
{
    struct post post = { .json = sql };
    struct err err = { 0 };
    teststore_ok(store_read(store, query_fn, &post, &err), &err, sql);
    return post.once;
}

/* ---- two processes on one PostgreSQL ---- */

static void child(const char *url, const char *owner)
{
    struct world world;
    struct sink sink = { 0 };
    world_init(&world, url, owner);
    const struct outbox_consumer consumer = {
        .name = "c", .pattern = "*", .in_tx = sink_in_tx, .arg = &sink, .lease_ms = 2000
    };
    if (outbox_register(world.outbox, &consumer, NULL))
        _exit(1);
    for (int i = 0; i < 24000; i++) {
        int done;
        struct err err = { 0 };
        (void)!outbox_run_due(world.outbox, &done, &err);
        world.clock.test_ms += 5;
        nap(5);
    }
    _exit(0);
}

/* Two workers share the work, one is killed with its leases, the other finishes; each effect is there once.
 */
static void test_two_processes(void **state)
{
    (void)state;
    if (!teststore_is_postgres())
        return;
    const char *url = teststore_url();
    struct world world;
    struct sink sink = { 0 };
    world_init(&world, url, "p");
    const struct outbox_consumer consumer = {
        .name = "c", .pattern = "*", .in_tx = sink_in_tx, .arg = &sink
    };
    test_ok(!outbox_register(world.outbox, &consumer, NULL), "register");
    pid_t pids[2];
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            child(url, i ? "b" : "a");
    }
    for (int i = 0; i < 300; i++) {
        char json[16];
        (void)snprintf(json, sizeof json, "m%d", i);
        test_ok(!post(&world, "t", i % 20, json), "posted");
        if (i == 150)
            (void)kill(pids[0], SIGKILL);
    }
    int64_t left = 1;
    for (int i = 0; i < 6000 && left; i++) {
        nap(10);
        left = query(world.store, "SELECT count(*) FROM outbox_todo");
    }
    test_ok(left == 0, "all delivered, %d left", (int)left);
    test_ok(query(world.store, "SELECT count(*) FROM lease WHERE owner = 'effect'") == 300,
            "each effect once");
    (void)kill(pids[1], SIGKILL);
    for (int i = 0; i < 2; i++)
        (void)waitpid(pids[i], NULL, 0);
    world_done(&world);
}

/* ---- a process is killed, and one of the same data directory follows it ---- */

static void test_home(void **state)
{
    (void)state;
    char first[LEASE_HOME_SIZE], again[LEASE_HOME_SIZE], dir[2][300], command[900];
    char owner[LEASE_OWNER_SIZE], pattern[LEASE_PATTERN_SIZE];
    struct err err = { 0 };
    for (int i = 0; i < 2; i++)
        (void)snprintf(dir[i], sizeof dir[i], "%.250s/home%d", teststore_dir(), i);
    test_ok(!disk_mkdir(NULL, dir[0], &err), "mkdir");
    teststore_ok(lease_home(NULL, dir[0], first, &err), &err, "made");
    teststore_ok(lease_home(NULL, dir[0], again, &err), &err, "read");
    test_ok(strlen(first) == 16 && strcmp(first, again) == 0, "kept: %s %s", first, again);
    (void)snprintf(command, sizeof command, "cp -a %s %s", dir[0], dir[1]);
    test_ok(system(command) == 0, "copied");
    teststore_ok(lease_home(NULL, dir[1], again, &err), &err, "copy");
    test_ok(strlen(again) == 16 && strcmp(first, again) != 0, "a copy is another: %s", again);
    teststore_ok(lease_home(NULL, dir[0], again, &err), &err, "first");
    test_ok(strcmp(first, again) == 0, "the first stays");
    teststore_ok(lease_owner_make(str_from(first), owner, &err), &err, "owner");
    lease_pattern(str_from(owner), pattern);
    test_ok(strlen(pattern) == 18 && strncmp(pattern, first, 16) == 0 && strcmp(pattern + 16, "/%") == 0,
            "%s of %s", pattern, owner);
    lease_pattern(STR("a"), pattern);
    test_ok(strcmp(pattern, "a") == 0, "without a home: %s", pattern);
}

static enum err_code die_outside(void *arg, const struct outbox_message *message, struct err *err)
{
    (void)arg, (void)message, (void)err;
    _exit(42);
}

/* Takes a number, a name and the message, and is gone. */
static void die_with_leases(const char *url)
{
    struct world world;
    struct node *node;
    struct err err = { 0 };
    char owner[LEASE_OWNER_SIZE];
    bool mine = false;
    int done, lost;
    if (lease_owner_make(STR("aaaa"), owner, &err))
        _exit(1);
    world_init(&world, url, owner);
    const struct outbox_consumer consumer = {
        .name = "c", .pattern = "*", .outside = die_outside, .lease_ms = 30000
    };
    if (outbox_register(world.outbox, &consumer, NULL) ||
        node_start(world.store, STR("aaaa"), on_lost, &lost, &node, &err) || node_number(node) != 0 ||
        lease_take(world.store, STR("n"), str_from(owner), 30000, &mine, &err) || !mine)
        _exit(2);
    (void)!outbox_run_due(world.outbox, &done, &err);
    _exit(3);
}

static void test_killed_and_started_again(void **state)
{
    (void)state;
    static const char *const HOMES[] = { "bbbb", "aaaa" };
    const char *url = teststore_url();
    struct world world;
    struct sink sink = { 0 };
    struct err err = { 0 };
    int status = 0, lost = 0;
    world_init(&world, url, "p");
    const struct outbox_consumer consumer = {
        .name = "c", .pattern = "*", .outside = sink_outside, .arg = &sink, .lease_ms = 30000
    };
    test_ok(!outbox_register(world.outbox, &consumer, NULL), "register");
    test_ok(!post(&world, "t", 1, "a"), "posted");
    world_done(&world);
    const pid_t pid = fork();
    if (pid == 0)
        die_with_leases(url);
    test_ok(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 42, "died in hand: %d", status);
    for (int i = teststore_is_postgres() ? 0 : 1; i < 2; i++) {
        char owner[LEASE_OWNER_SIZE];
        struct node *node = NULL;
        bool mine = false;
        const bool same = i == 1;
        teststore_ok(lease_owner_make(str_from(HOMES[i]), owner, &err), &err, "owner");
        world_init(&world, url, owner);
        test_ok(!outbox_register(world.outbox, &consumer, NULL), "register");
        teststore_ok(node_start(world.store, str_from(HOMES[i]), on_lost, &lost, &node, &err), &err, "node");
        test_ok((node_number(node) == 0) == same, "number %d of %s", node_number(node), HOMES[i]);
        teststore_ok(lease_take(world.store, STR("n"), str_from(owner), 1000, &mine, &err), &err, "take");
        test_ok(mine == same, "the name, by %s", HOMES[i]);
        teststore_ok(outbox_start(world.outbox, 1, &err), &err, "start");
        for (int wait = 0; wait < (same ? 6000 : 30) && !sink.got[0]; wait++)
            nap(10);
        outbox_stop(world.outbox);
        test_ok(strcmp(sink.got, same ? "1:a " : "") == 0, "%s got '%s'", HOMES[i], sink.got);
        node_stop(node);
        world_done(&world);
    }
}

/* Its clock stood after the renewal of the dead one's number: ids could come twice, so it takes another. */
static void test_number_after_a_jump(void **state)
{
    (void)state;
    const char *url = teststore_url();
    struct world world;
    struct err err = { 0 };
    int lost = 0;
    struct node *node = NULL;
    world_init(&world, url, "p");
    const pid_t pid = fork();
    if (pid == 0) {
        struct world own;
        world_init(&own, url, "p");
        own.clock.test_ms += 1000;
        _exit(node_start(own.store, STR("aaaa"), on_lost, &lost, &node, &err) ? 1 : 42);
    }
    int status = 0;
    test_ok(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 42, "took 0");
    teststore_ok(node_start(world.store, STR("aaaa"), on_lost, &lost, &node, &err), &err, "node");
    test_ok(node_number(node) == 1, "another one: %d", node_number(node));
    node_stop(node);
    world.clock.test_ms += 1000;
    teststore_ok(node_start(world.store, STR("aaaa"), on_lost, &lost, &node, &err), &err, "node");
    test_ok(node_number(node) == 0, "its own when the time has come: %d", node_number(node));
    node_stop(node);
    world_done(&world);
}

static enum err_code broadcast_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct bus_event event = { STR("settings.changed"), 5, STR("{\"x\":1}") };
    return broadcast_add(arg, tx, &event, err);
}

static void test_broadcast(void **state)
{
    (void)state;
    const char *url = teststore_url();
    struct store *stores[2];
    struct ids ids[2];
    struct bus *buses[2];
    struct broadcast *broadcasts[2];
    struct ear ears[2] = { 0 };
    struct err err = { 0 };
    for (int i = 0; i < 2; i++) {
        stores[i] = teststore_open(url, true, NULL);
        ids_init(&ids[i], &CLOCK_SYSTEM, i);
        buses[i] = bus_new();
        test_ok(!bus_subscribe(buses[i], "settings.*", on_event, &ears[i], NULL, NULL), "subscribe");
        teststore_ok(broadcast_start(stores[i], &ids[i], buses[i], &broadcasts[i], &err), &err, "start");
    }
    for (int i = 0; i < 3; i++)
        teststore_ok(store_write(stores[0], broadcast_fn, broadcasts[0], &err), &err, "add");
    test_ok(ears[0].calls == 3, "at once here");
    for (int i = 0; teststore_is_postgres() && i < 6000 && ears[1].calls < 3; i++)
        nap(10);
    nap(10);
    broadcast_stop(broadcasts[0]);
    broadcast_stop(broadcasts[1]);
    test_ok(ears[0].calls == 3, "not twice: %d", ears[0].calls);
    test_ok(ears[1].calls == (teststore_is_postgres() ? 3 : 0), "there too, once: %d", ears[1].calls);
    for (int i = 0; i < 2; i++) {
        bus_free(buses[i]);
        store_close(stores[i]);
    }
}

TEST_MAIN(TEST(test_patterns), TEST(test_memory_bus), TEST(test_outbox_delivers),
          TEST(test_outbox_retries_in_order), TEST(test_dead_letters), TEST(test_lease_runs_out),
          TEST(test_nth_statement), TEST(test_threads), TEST(test_leases), TEST(test_nodes), TEST(test_home),
          TEST(test_killed_and_started_again), TEST(test_number_after_a_jump), TEST(test_two_processes),
          TEST(test_broadcast))
