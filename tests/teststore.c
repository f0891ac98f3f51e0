/* teststore.c - see teststore.h */
#include "teststore.h"

#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[64], server_url[512];
static pid_t owner;
static int made;

static int pg(const char *command, char *answer, size_t size)
{
    char line[512];
    (void)snprintf(line, sizeof line, "%s %s %s", test_file("tests/pg"), command, teststore_dir());
    FILE *pipe = popen(line, "r");
    if (!pipe)
        return -1;
    if (answer && fgets(answer, (int)size, pipe))
        answer[strcspn(answer, "\n")] = 0;
    return pclose(pipe);
}

static void at_end(void)
{
    if (owner != getpid())
        return;
    if (server_url[0])
        (void)pg("remove", NULL, 0);
    char line[128];
    (void)snprintf(line, sizeof line, "rm -rf '%s'", dir);
    if (system(line) != 0)
        (void)fprintf(stderr, "cannot remove %s\n", dir);
}

bool teststore_is_postgres(void)
{
    const char *kind = getenv("BIHUAN_TEST_STORE");
    return kind && strcmp(kind, "postgres") == 0;
}

const char *teststore_dir(void)
{
    if (!dir[0]) {
        (void)strcpy(dir, "/tmp/bihuan-store-XXXXXX");
        test_ok(mkdtemp(dir) != NULL, "temporary folder");
        owner = getpid();
        (void)atexit(at_end);
    }
    return dir;
}

const char *teststore_url(void)
{
    static char urls[8][1024];
    char *url = urls[made % 8];
    const int n = made++;
    if (!teststore_is_postgres()) {
        (void)snprintf(url, sizeof urls[0], "sqlite:%s/%d.db", teststore_dir(), n);
        return url;
    }
    if (!server_url[0])
        test_ok(pg("start", server_url, sizeof server_url) == 0 && server_url[0], "PostgreSQL starts");
    (void)snprintf(url, sizeof urls[0], "%s&options=-csearch_path%%3Dt%d", server_url, n);
    return url;
}

void teststore_pg_stop(void)
{
    test_ok(pg("stop", NULL, 0) == 0, "PostgreSQL stops");
}

void teststore_pg_again(void)
{
    test_ok(pg("again", NULL, 0) == 0, "PostgreSQL starts again");
}

void teststore_ok(enum err_code rc, const struct err *err, const char *what)
{
    if (rc == ERR_OK)
        return;
    print_error("%s: %s %s", what, err_name(rc), err->id ? err->id : "(no id)");
    for (int i = 0; i < ERR_ARGS_MAX && err->args[i].name; i++) {
        if (err->args[i].is_text)
            print_error(" %s=%s", err->args[i].name, err->args[i].text);
        else
            print_error(" %s=%lld", err->args[i].name, (long long)err->args[i].number);
    }
    for (int i = 0; i < ERR_DOING_MAX && err->doing[i]; i++)
        print_error(" in %s", err->doing[i]);
    print_error("\n");
    fail();
}

struct store *teststore_open(const char *url, bool migrated, const struct clock *clock)
{
    struct store *store = NULL;
    struct err err = { 0 };
    const struct store_config config = { .url = url, .clock = clock };
    teststore_ok(store_open(&config, &store, &err), &err, "store_open");
    if (migrated)
        teststore_ok(
            store_migrate(store, STORE_MIGRATIONS, STORE_MIGRATIONS_COUNT, MIGRATE_ADDITIVE, NULL, &err),
            &err, "store_migrate");
    return store;
}

struct store *teststore_new(void)
{
    return teststore_open(teststore_url(), true, NULL);
}

struct sql {
    const char *text;
    int64_t value;
};

static enum err_code exec_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct sql *sql = arg;
    return tx_exec(tx, sql->text, err);
}

static enum err_code number_fn(struct tx *tx, void *arg, struct err *err)
{
    struct sql *sql = arg;
    return tx_query_i64(tx, sql->text, &sql->value, err);
}

void teststore_exec(struct store *store, const char *sql)
{
    struct sql one = { .text = sql };
    struct err err = { 0 };
    teststore_ok(store_write(store, exec_fn, &one, &err), &err, sql);
}

int64_t teststore_number(struct store *store, const char *sql)
{
    struct sql one = { sql, -1 };
    struct err err = { 0 };
    teststore_ok(store_read(store, number_fn, &one, &err), &err, sql);
    return one.value;
}
