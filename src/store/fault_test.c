/* Power cuts, failing calls and a full disk under SQLite; a PostgreSQL that goes away (BIHUAN_TEST_STORE). */
#include "store/fault_vfs.h"
#include "store/store.h"
#include "test.h"
#include "teststore.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define VFS "fault"

static void nap(int ms)
{
    const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    (void)nanosleep(&time, NULL);
}

static enum err_code schema_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return tx_exec(tx, "CREATE TABLE pair (id {i64} PRIMARY KEY, half {i64} NOT NULL, pad {text}) {strict}",
                   err);
}

/* A write is two rows: both are there or none. */
struct pair {
    int64_t n;
};

static enum err_code pair_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct pair *pair = arg;
    char pad[1801];
    memset(pad, 'p', sizeof pad);
    for (int half = 0; half < 2; half++) {
        AUTO(stmt_free_auto) struct stmt *stmt = NULL;
        enum err_code rc = tx_prepare(tx, "INSERT INTO pair (id, half, pad) VALUES (?1, ?2, ?3)", &stmt, err);
        if (rc)
            return rc;
        stmt_bind_i64(stmt, 1, pair->n * 2 + half);
        stmt_bind_i64(stmt, 2, half);
        stmt_bind_text(stmt, 3, (struct str) { pad, (size_t)(pair->n % 3 * 900) });
        rc = stmt_run(stmt, NULL, err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code put(struct store *store, int64_t n, struct err *err)
{
    struct pair pair = { n };
    return (n % 2 ? store_write : store_write_shared)(store, pair_fn, &pair, err);
}

static int64_t count_pair(struct store *store, int64_t n)
{
    char text[96];
    (void)snprintf(text, sizeof text, "SELECT count(*) FROM pair WHERE id IN (%lld, %lld)", (long long)n * 2,
                   (long long)n * 2 + 1);
    return teststore_number(store, text);
}

static void check_whole(struct store *store, long at)
{
    test_ok(teststore_number(
                store,
                "SELECT count(*) FROM pair a WHERE NOT EXISTS (SELECT 1 FROM pair b WHERE b.id / 2 = a.id / 2"
                " AND b.id <> a.id)") == 0,
            "nothing is half done, cut at %ld", at);
    test_ok(teststore_number(
                store, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") == 0,
            "sound, cut at %ld", at);
}

static void url_new(char *out, size_t size)
{
    static int n;
    (void)snprintf(out, size, "sqlite:%s/f%d.db", teststore_dir(), n++);
}

static struct store *open_on(const char *url, const char *vfs, struct err *err)
{
    struct store *store = NULL;
    const struct store_config config = { .url = url, .vfs = vfs, .readers = 2 };
    return store_open(&config, &store, err) ? NULL : store;
}

struct writer {
    struct store *store;
    int number, acknowledged;
};

static void *write_until_cut(void *arg)
{
    struct writer *writer = arg;
    struct err err = { 0 };
    for (int i = 0; i < 60; i++) {
        if (put(writer->store, writer->number * 1000 + i, &err))
            break;
        writer->acknowledged++;
    }
    return NULL;
}

/* 200 cuts at growing moments; every third with four writers that share syncs. */
static void test_power_cuts(void **state)
{
    (void)state;
    if (teststore_is_postgres())
        return;
    int with_loss = 0;
    for (long cut = 0; cut < 200; cut++) {
        char url[128];
        struct err err = { 0 };
        struct disk *disk = disk_faulty_new((uint64_t)cut * 31 + 7);
        const int crowd = cut % 3 == 2 ? 4 : 1;
        struct writer writers[4];
        pthread_t threads[4];
        url_new(url, sizeof url);
        test_ok(!fault_vfs_register(VFS, disk, &err), "vfs");
        struct store *store = open_on(url, VFS, &err);
        test_ok(store && !store_write(store, schema_fn, NULL, &err), "schema");
        disk_cut_at(disk, cut + cut / 2);
        for (int i = 0; i < crowd; i++) {
            writers[i] = (struct writer) { store, i, 0 };
            test_ok(pthread_create(&threads[i], NULL, write_until_cut, &writers[i]) == 0, "thread");
        }
        for (int i = 0; i < crowd; i++)
            (void)pthread_join(threads[i], NULL);
        disk_cut_now(disk);
        test_ok(put(store, 99999, &err) != ERR_OK, "nothing is acknowledged after the cut");
        store_close(store);
        disk_settle(disk);
        fault_vfs_unregister(VFS);
        store = open_on(url, NULL, &err);
        test_ok(store != NULL, "opens after the cut at %ld: %s", cut, err.id);
        for (int i = 0; i < crowd; i++) {
            for (int j = 0; j < writers[i].acknowledged; j++)
                test_ok(count_pair(store, i * 1000 + j) == 2,
                        "acknowledged write %d of %d is there, cut at %ld", j, writers[i].acknowledged, cut);
            with_loss += writers[i].acknowledged < 60;
        }
        check_whole(store, cut);
        test_ok(!put(store, 77777, &err), "goes on");
        store_close(store);
        disk_faulty_free(disk);
    }
    test_ok(with_loss > 100, "the cuts fell into the work: %d", with_loss);
}

/* EIO at the nth call: the write fails or not, what was acknowledged stays, and the store goes on. */
static void test_nth_call_fails(void **state)
{
    (void)state;
    if (teststore_is_postgres())
        return;
    int failures = 0;
    for (long nth = 0; nth < 60; nth++) {
        char url[128];
        struct err err = { 0 };
        struct disk *disk = disk_faulty_new((uint64_t)nth);
        bool acknowledged[12];
        url_new(url, sizeof url);
        test_ok(!fault_vfs_register(VFS, disk, &err), "vfs");
        struct store *store = open_on(url, VFS, &err);
        test_ok(store && !store_write(store, schema_fn, NULL, &err), "schema");
        disk_fail_at(disk, nth, nth % 2 ? EIO : ENOSPC);
        for (int i = 0; i < 12; i++) {
            const enum err_code rc = put(store, i, &err);
            acknowledged[i] = rc == ERR_OK;
            test_ok(rc == ERR_OK || rc == ERR_IO || rc == ERR_DISK_FULL, "%s", err_name(rc));
            test_ok(rc != ERR_IO || nth % 2, "a full disk is told as such");
            failures += rc != ERR_OK;
        }
        test_ok(acknowledged[11] || nth > 40, "goes on after one failure, at %ld", nth);
        store_close(store);
        fault_vfs_unregister(VFS);
        store = open_on(url, NULL, &err);
        test_ok(store != NULL, "opens");
        for (int i = 0; i < 12; i++)
            test_ok(count_pair(store, i) == 2 || !acknowledged[i], "write %d at %ld", i, nth);
        check_whole(store, nth);
        store_close(store);
        disk_faulty_free(disk);
    }
    test_ok(failures > 20, "calls failed: %d", failures);
}

static void test_disk_full(void **state)
{
    (void)state;
    if (teststore_is_postgres())
        return;
    char url[128];
    struct err err = { 0 };
    struct disk *disk = disk_faulty_new(1);
    url_new(url, sizeof url);
    test_ok(!fault_vfs_register(VFS, disk, &err), "vfs");
    struct store *store = open_on(url, VFS, &err);
    test_ok(store && !store_write(store, schema_fn, NULL, &err), "schema");
    for (int i = 0; i < 20; i++)
        teststore_ok(put(store, i, &err), &err, "put");
    disk_full_set(disk, true);
    int refused = 0;
    for (int i = 100; i < 200; i++)
        refused += put(store, i, &err) == ERR_DISK_FULL;
    test_ok(refused > 50, "writes are refused: %d", refused);
    test_ok(teststore_number(store, "SELECT count(*) FROM pair") >= 40, "reading goes on");
    disk_full_set(disk, false);
    for (int i = 300; i < 320; i++)
        teststore_ok(put(store, i, &err), &err, "recovers by itself");
    check_whole(store, 0);
    store_close(store);
    fault_vfs_unregister(VFS);
    disk_faulty_free(disk);
}

/* ---- PostgreSQL ---- */

struct client {
    struct store *store;
    int number, unknown;
    _Atomic int acknowledged, failed;
    _Atomic bool stop;
    unsigned char done[4000];
};

static void *client_run(void *arg)
{
    struct client *client = arg;
    for (int i = 0; i < 4000 && !client->stop; i++) {
        struct err err = { 0 };
        store_deadline_set(clock_mono(&CLOCK_SYSTEM) + 3000);
        const enum err_code rc = put(client->store, client->number * 10000 + i, &err);
        client->done[i] = rc == ERR_OK ? 1 : err.id && strcmp(err.id, "store.commit_unknown") == 0 ? 2 : 0;
        if (rc == ERR_OK) {
            client->acknowledged++;
            nap(6); /* a fast machine must not be done before the last round */
        } else {
            client->failed++;
            nap(20);
        }
    }
    return NULL;
}

/* The server is stopped at once, again and again, under load.  Each acknowledged write is there once, each
 * refused one is not, and the pool comes back by itself. */
static void test_postgres_goes_away(void **state)
{
    (void)state;
    if (!teststore_is_postgres())
        return;
    struct err err = { 0 };
    struct client clients[4] = { 0 };
    pthread_t threads[4];
    struct store *store = teststore_open(teststore_url(), false, NULL);
    teststore_ok(store_write(store, schema_fn, NULL, &err), &err, "schema");
    for (int i = 0; i < 4; i++) {
        clients[i] = (struct client) { .store = store, .number = i };
        test_ok(pthread_create(&threads[i], NULL, client_run, &clients[i]) == 0, "thread");
    }
    for (int round = 0; round < 5; round++) {
        nap(150 + 37 * round);
        teststore_pg_stop();
        nap(300);
        teststore_pg_again();
        int before = clients[0].acknowledged;
        for (int i = 0; i < 6000 && clients[0].acknowledged == before; i++)
            nap(10);
        test_ok(clients[0].acknowledged > before, "works again in round %d", round);
    }
    int acknowledged = 0, failed = 0;
    for (int i = 0; i < 4; i++) {
        clients[i].stop = true;
        (void)pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4000; j++) {
            if (j >= clients[i].acknowledged + clients[i].failed)
                break;
            const int64_t rows = count_pair(store, i * 10000 + j);
            test_ok(clients[i].done[j] == 2 || rows == (clients[i].done[j] ? 2 : 0),
                    "write %d of %d: answer %d, %d rows", j, i, clients[i].done[j], (int)rows);
        }
        acknowledged += clients[i].acknowledged;
        failed += clients[i].failed;
    }
    struct store_stats stats;
    store_stats(store, &stats);
    print_message("# %d acknowledged, %d refused, %d reconnects\n", acknowledged, failed,
                  (int)stats.reconnects);
    test_ok(acknowledged > 50, "work was done");
    store_close(store);
}

TEST_MAIN(TEST(test_power_cuts), TEST(test_nth_call_fails), TEST(test_disk_full),
          TEST(test_postgres_goes_away))
