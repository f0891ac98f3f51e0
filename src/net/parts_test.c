/* The parts of the server that need no port: router, pool, address lists. */
#include "net/cidr.h"
#include "net/pool.h"
#include "net/router.h"
#include "test.h"

#include <stdatomic.h>
#include <time.h>

static const struct route ROUTES[] = {
    { "GET", "/a", "x", NULL, 0 },
    { "POST", "/a", "x", NULL, 0 },
    { "GET", "/a/{id}", "x", NULL, 0 },
    { "GET", "/a/tree", "x", NULL, 0 },
    { "GET", "/{pack}/{type}/{id}", "{pack}.{type}.read", NULL, 0 },
    { "GET", "/a/{id}/log", "x", NULL, 0 },
    { 0 },
};

static void test_router(void **state)
{
    (void)state;
    struct err err;
    struct router *router = router_new();
    for (const struct route *route = ROUTES; route->method; route++)
        test_ok(router_add(router, route, NULL, &err) == ERR_OK, "%s", route->path);
    test_ok(router_add(router, &ROUTES[0], NULL, &err) == ERR_CONFLICT, "twice");
    const struct route bad = { "GET", "a", "", NULL, 0 };
    test_ok(router_add(router, &bad, NULL, &err) == ERR_INVALID, "no slash");
    static const struct {
        const char *method, *path;
        enum router_answer want;
        const char *route, *value;
    } cases[] = {
        { "GET", "/a", ROUTER_FOUND, "/a", NULL },
        { "HEAD", "/a", ROUTER_FOUND, "/a", NULL },
        { "PUT", "/a", ROUTER_OTHER_METHOD, NULL, NULL },
        { "GET", "/a/", ROUTER_NONE, NULL, NULL },
        { "GET", "/a/7", ROUTER_FOUND, "/a/{id}", "7" },
        { "GET", "/a/tree", ROUTER_FOUND, "/a/tree", NULL },
        { "GET", "/a/tree/log", ROUTER_FOUND, "/a/{id}/log", "tree" },
        { "GET", "/a/tree/x", ROUTER_FOUND, "/{pack}/{type}/{id}", "x" },
        { "GET", "/q/r/s", ROUTER_FOUND, "/{pack}/{type}/{id}", "s" },
        { "GET", "/q/r/s/t", ROUTER_NONE, NULL, NULL },
        { "GET", "", ROUTER_NONE, NULL, NULL },
        { "GET", "/1/2/3/4/5/6/7/8/9/0/1/2/3/4", ROUTER_NONE, NULL, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct match match;
        const enum router_answer got =
            router_find(router, str_from(cases[i].method), str_from(cases[i].path), &match);
        test_ok(got == cases[i].want, "%s %s", cases[i].method, cases[i].path);
        if (got != ROUTER_FOUND)
            continue;
        test_ok(cases[i].route && strcmp(match.route->path, cases[i].route) == 0, "%s went to %s",
                cases[i].path, match.route->path);
        test_ok(!cases[i].value || str_eq(match_value(&match, STR("id")), str_from(cases[i].value)), "%s",
                cases[i].path);
    }
    struct match match;
    struct arena *arena = arena_new(4096);
    test_ok(router_find(router, STR("GET"), STR("/ops/ticket/4"), &match) == ROUTER_FOUND, "found");
    test_ok(str_eq(match_permission(&match, arena), STR("ops.ticket.read")), "the permission is filled in");
    arena_free(arena);
    router_free(router);
}

static _Atomic int done;
static _Atomic bool hold;

static void job(void *arg)
{
    (void)arg;
    while (atomic_load(&hold))
        (void)nanosleep(&(struct timespec) { .tv_nsec = 100000 }, NULL);
    atomic_fetch_add(&done, 1);
}

static void test_pool_is_bounded_and_runs_all(void **state)
{
    (void)state;
    struct err err;
    struct pool *pool = NULL;
    atomic_store(&hold, true);
    test_ok(pool_new(3, 5, "test", &pool, &err) == ERR_OK, "made");
    int placed = 0;
    for (int i = 0; i < 30000 && placed < 8;
         i++) { /* the workers take three out of the queue in their time */
        if (pool_reserve(pool)) {
            pool_push(pool, job, NULL);
            placed++;
        } else {
            (void)nanosleep(&(struct timespec) { .tv_nsec = 1000000 }, NULL);
        }
    }
    test_ok(placed == 8 && !pool_reserve(pool), "3 run, 5 wait, no more: %d", placed);
    test_ok(pool_running(pool) == 3 && pool_waiting(pool) == 5, "counted");
    atomic_store(&hold, false);
    pool_stop(pool);
    test_ok(atomic_load(&done) == 8 && !pool_reserve(pool), "all ran before the end: %d", atomic_load(&done));
    pool_free(pool);
}

static void test_addresses(void **state)
{
    (void)state;
    struct err err;
    struct cidr_list list;
    test_ok(cidr_list_parse(STR("127.0.0.1, 10.0.0.0/9,2001:db8::/33,"), &list, &err) == ERR_OK, "read");
    static const struct {
        const char *address;
        bool want;
    } cases[] = { { "127.0.0.1", true },
                  { "127.0.0.2", false },
                  { "10.127.255.255", true },
                  { "10.128.0.0", false },
                  { "2001:db8:7::1", true },
                  { "2001:db8:8000::1", false },
                  { "::ffff:10.1.1.1", true },
                  { "", false },
                  { "x", false } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_ok(cidr_list_has(&list, str_from(cases[i].address)) == cases[i].want, "%s", cases[i].address);
    test_ok(cidr_list_parse(STR("10.0.0.0/33"), &list, &err) == ERR_INVALID, "too many bits");
    test_ok(cidr_list_parse(STR("host"), &list, &err) == ERR_INVALID, "a name");
    test_ok(cidr_list_parse(STR("10.0.0.0/"), &list, &err) == ERR_INVALID, "no bits");
}

TEST_MAIN(TEST(test_router), TEST(test_pool_is_bounded_and_runs_all), TEST(test_addresses))
