#include "base/disk.h"
#include "base/buf.h"
#include "test.h"

#include <errno.h>
#include <unistd.h>

static char dir[64];

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static int turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void fresh(void)
{
    (void)strcpy(dir, "/tmp/bihuan-disk-XXXXXX");
    test_ok(mkdtemp(dir) != NULL, "temporary folder");
}

static void sweep(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    test_ok(system(command) == 0, "sweep");
}

/* Writes records of 100 bytes, each synced, until the cut; whatever was acknowledged must be there. */
static void test_power_cuts(void **state)
{
    (void)state;
    int torn = 0, undone = 0;
    for (long nth = 0; nth < 120; nth++) {
        fresh();
        struct disk *disk = disk_faulty_new((uint64_t)nth * 77 + 1);
        struct disk_file *file = NULL;
        struct err err = { 0 };
        int acknowledged = 0;
        disk_cut_at(disk, nth / 3);
        if (disk_open(disk, path_of("log"), DISK_WRITE | DISK_CREATE, &file, &err) == ERR_OK) {
            for (int i = 0; i < 50; i++) {
                char record[100];
                memset(record, 'a' + i % 26, sizeof record);
                if (disk_write(file, i * 100, record, 60, &err) ||
                    disk_write(file, i * 100 + 60, record, 40, &err) || disk_sync(file, &err))
                    break;
                acknowledged++;
            }
            test_ok(disk_is_cut(disk) && err.code == ERR_IO, "the cut is an error, at %ld", nth);
            test_ok(disk_write(file, 0, "x", 1, &err) == ERR_IO, "dead after the cut");
            disk_close(file);
        }
        disk_settle(disk);
        struct buf now;
        buf_init(&now, 1 << 20);
        const enum err_code rc = buf_read_file(&now, path_of("log"), &err);
        test_ok(rc == ERR_OK || (rc == ERR_NOT_FOUND && acknowledged == 0), "acknowledged file is there");
        test_ok(now.len >= (size_t)acknowledged * 100, "acknowledged bytes are there at %ld", nth);
        for (int i = 0; i < acknowledged * 100; i++)
            test_ok(now.ptr[i] == 'a' + i / 100 % 26, "byte %d survives the cut at %ld", i, nth);
        torn += now.len > (size_t)acknowledged * 100 && now.len % 100 != 0;
        undone += now.len == (size_t)acknowledged * 100;
        buf_done(&now);
        disk_faulty_free(disk);
        sweep();
    }
    test_ok(torn > 5 && undone > 5, "cuts tear (%d) and take back (%d)", torn, undone);
}

static void test_unsynced_overwrite_is_undone(void **state)
{
    (void)state;
    int old_seen = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        fresh();
        struct disk *disk = disk_faulty_new(seed);
        struct disk_file *file = NULL;
        test_ok(!disk_open(disk, path_of("f"), DISK_WRITE | DISK_CREATE, &file, NULL), "open");
        test_ok(!disk_write(file, 0, "synced content", 14, NULL) && !disk_sync(file, NULL), "first");
        test_ok(!disk_write(file, 0, "XXXXXXXXXXXXXXXXXXXX", 20, NULL), "not synced");
        test_ok(!disk_truncate(file, 3, NULL), "truncated, not synced");
        disk_cut_now(disk);
        disk_close(file);
        disk_settle(disk);
        struct buf now;
        buf_init(&now, 1 << 10);
        test_ok(!buf_read_file(&now, path_of("f"), NULL), "there");
        old_seen += now.len == 14 && memcmp(now.ptr, "synced content", 14) == 0;
        buf_done(&now);
        disk_faulty_free(disk);
        sweep();
    }
    test_ok(old_seen >= 8 && old_seen < 40, "old content came back %d times of 40", old_seen);
}

static void test_replace_is_old_or_new(void **state)
{
    (void)state;
    for (long nth = 0; nth < 12; nth++) {
        for (uint64_t seed = 0; seed < 6; seed++) {
            fresh();
            struct disk *disk = disk_faulty_new(seed);
            test_ok(!disk_replace(disk, path_of("conf"), "old", 3, NULL), "old");
            disk_cut_at(disk, nth);
            const enum err_code rc = disk_replace(disk, path_of("conf"), "newer", 5, NULL);
            disk_cut_now(disk);
            disk_settle(disk);
            struct buf now;
            buf_init(&now, 1 << 10);
            test_ok(!buf_read_file(&now, path_of("conf"), NULL), "there, cut at %ld", nth);
            const bool is_new = str_eq(buf_get(&now), STR("newer"));
            test_ok(is_new || (rc != ERR_OK && str_eq(buf_get(&now), STR("old"))),
                    "old or new, not \"%s\", cut at %ld", now.ptr, nth);
            buf_done(&now);
            disk_faulty_free(disk);
            sweep();
        }
    }
}

static void test_full_and_nth_failure(void **state)
{
    (void)state;
    fresh();
    struct disk *disk = disk_faulty_new(5);
    struct disk_file *file = NULL;
    struct err err = { 0 };
    test_ok(!disk_open(disk, path_of("f"), DISK_WRITE | DISK_CREATE, &file, &err), "open");
    test_ok(!disk_write(file, 0, "0123456789", 10, &err), "fits");
    disk_full_set(disk, true);
    test_ok(disk_write(file, 5, "0123456789", 10, &err) == ERR_DISK_FULL, "full");
    test_ok(!disk_write(file, 0, "abc", 3, &err), "within the file it goes on");
    disk_full_set(disk, false);
    test_ok(!disk_write(file, 5, "0123456789", 10, &err) && !disk_sync(file, &err), "recovers");
    disk_fail_at(disk, 1, EIO);
    test_ok(!disk_write(file, 0, "a", 1, &err), "the first does not fail");
    test_ok(disk_sync(file, &err) == ERR_IO, "the second does");
    test_ok(!disk_sync(file, &err), "only that one");
    disk_close(file);
    disk_faulty_free(disk);
    test_ok(disk_open(NULL, path_of("no/such"), DISK_READ, &file, &err) == ERR_NOT_FOUND, "not found");
    sweep();
}

static void test_out_of_memory(void **state)
{
    (void)state;
    fresh();
    for (long nth = 0;; nth++) {
        const long before = mem_live();
        struct err err = { 0 };
        mem_fail_at(nth);
        const enum err_code rc = disk_replace(NULL, path_of("f"), "x", 1, &err);
        mem_fail_at(-1);
        test_ok(mem_live() == before && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld", nth);
        if (rc == ERR_OK)
            break;
    }
    sweep();
}

TEST_MAIN(TEST(test_power_cuts), TEST(test_unsynced_overwrite_is_undone), TEST(test_replace_is_old_or_new),
          TEST(test_full_and_nth_failure), TEST(test_out_of_memory))
