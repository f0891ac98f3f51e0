#include "platform/settings/conf.h"
#include "test.h"

static void test_reads(void **state)
{
    (void)state;
    struct err err;
    struct conf conf;
    struct arena *arena = arena_new(1 << 16);
    test_ok(conf_read(arena, STR("# where\nhost = 0.0.0.0\r\n\n port=0\nworkers = 32"), &conf, NULL, &err) ==
                ERR_OK,
            "read");
    test_ok(strcmp(conf.host, "0.0.0.0") == 0 && conf.port == 0 && conf.workers == 32 &&
                conf.upload_mb == 100,
            "values and defaults");
    arena_free(arena);
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *id;
        int line;
    } cases[] = {
        { "host 1", "conf.no_equals", 1 },
        { "\nprot = 1", "conf.unknown", 2 },
        { "port = 1\n#\nport = 2", "conf.twice", 3 },
        { "port = 65536", "conf.number", 1 },
        { "port = ", "conf.number", 1 },
        { "tls-cert = a.pem", "conf.tls_pair", 0 },
        { "zone = Asia/Xuchang", "base.zone", 0 },
        { "log-level = loud", "conf.log_level", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = { 0 };
        struct conf conf;
        struct findings findings;
        struct arena *arena = arena_new(1 << 20);
        test_ok(findings_init(&findings, arena, &err) == ERR_OK, "findings");
        test_ok(conf_read(arena, str_from(cases[i].text), &conf, &findings, &err) == ERR_INVALID &&
                    strcmp(err.id, cases[i].id) == 0 && err.at.line == cases[i].line && findings.count == 1,
                "%s: %s line %d", cases[i].text, err.id, err.at.line);
        arena_free(arena);
    }
}

struct differing {
    char live[200], fixed[200];
};

static void on_difference(void *arg, const char *name, bool live)
{
    struct differing *all = arg;
    char *out = live ? all->live : all->fixed;
    (void)snprintf(out + strlen(out), 200 - strlen(out), "%s ", name);
}

static void test_compares(void **state)
{
    (void)state;
    struct err err;
    struct conf one, other;
    struct differing all = { { 0 }, { 0 } };
    struct arena *arena = arena_new(1 << 16);
    test_ok(conf_read(arena, STR("port = 1\nlog-level = info\npublic-url = http://a"), &one, NULL, &err) ==
                    ERR_OK &&
                conf_read(arena, STR("port = 2\nlog-level = warn\nproxies = ::1\nworkers = 9"), &other, NULL,
                          &err) == ERR_OK,
            "read");
    conf_compare(&one, &other, on_difference, &all);
    test_ok(strcmp(all.live, "proxies public-url log-level ") == 0 && strcmp(all.fixed, "port workers ") == 0,
            "live: %s; fixed: %s", all.live, all.fixed);
    conf_take_live(&one, &other);
    test_ok(one.port == 1 && one.workers == 0 && strcmp(one.log_level, "warn") == 0 && !one.public_url &&
                strcmp(one.proxies, "::1") == 0,
            "the live ones are taken");
    arena_free(arena);
}

TEST_MAIN(TEST(test_compares), TEST(test_reads), TEST(test_refuses))
