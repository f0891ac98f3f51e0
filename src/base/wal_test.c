#include "base/wal.h"
#include "base/crc.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static char dir[64], log_dir[80];

static void fresh(void)
{
    (void)strcpy(dir, "/tmp/bihuan-wal-XXXXXX");
    test_ok(mkdtemp(dir) != NULL, "temporary folder");
    (void)snprintf(log_dir, sizeof log_dir, "%s/log", dir);
}

static void sweep(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    test_ok(system(command) == 0, "sweep");
}

static struct wal *open_log(struct disk *disk, size_t segment)
{
    struct wal *wal = NULL;
    struct err err = { 0 };
    const struct wal_config config = { .disk = disk, .dir = log_dir, .segment_bytes = segment };
    test_ok(wal_open(&config, &wal, &err) == ERR_OK, "opens: %s", err.id);
    return wal;
}

static void test_crc(void **state)
{
    (void)state;
    test_ok(crc32c(0, "123456789", 9) == 0xe3069283u, "the check value of CRC-32C");
    test_ok(crc32c(crc32c(0, "1234", 4), "56789", 5) == 0xe3069283u, "in pieces");
}

/* Reads everything from `position`: records are "N" in decimal and must follow each other from `first`. */
static int count_from(struct wal *wal, uint64_t position, int first, uint64_t *out_at)
{
    struct wal_reader *reader = NULL;
    struct err err = { 0 };
    struct str bytes;
    int count = 0;
    test_ok(wal_reader_new(wal, position, &reader, &err) == ERR_OK, "reader");
    enum err_code rc;
    while ((rc = wal_next(reader, &bytes, &err)) == ERR_OK) {
        test_ok(atoi(bytes.ptr) == first + count, "record %d is %.*s", first + count, STR_ARG(bytes));
        count++;
    }
    test_ok(rc == ERR_NOT_FOUND, "ends without an error");
    if (out_at)
        *out_at = wal_reader_at(reader);
    wal_reader_free(reader);
    return count;
}

static enum err_code put(struct wal *wal, int n, size_t len, struct err *err)
{
    char bytes[5000] = { 0 };
    (void)snprintf(bytes, sizeof bytes, "%d", n);
    return wal_append(wal, bytes, len, err);
}

static void test_segments_cursors_and_trim(void **state)
{
    (void)state;
    fresh();
    struct err err = { 0 };
    struct wal *wal = open_log(NULL, 4096);
    uint64_t at = 1;
    test_ok(wal_cursor_get(wal, "sql", &at, &err) == ERR_OK && at == wal_begin(wal), "a new cursor");
    for (int i = 0; i < 100; i++)
        test_ok(put(wal, i, 100 + (size_t)i, &err) == ERR_OK, "append %d", i);
    test_ok(count_from(wal, 0, 0, NULL) == 100, "all of them");
    /* a reader that goes on where it stood */
    struct wal_reader *reader = NULL;
    struct str bytes;
    test_ok(wal_reader_new(wal, 0, &reader, &err) == ERR_OK, "reader");
    for (int i = 0; i < 60; i++)
        test_ok(wal_next(reader, &bytes, &err) == ERR_OK, "read %d", i);
    for (int i = 0; i < 5; i++)
        test_ok(wal_cursor_set(wal, "sql", wal_reader_at(reader) - (uint64_t)(4 - i), &err) == ERR_OK, "set");
    wal_close(wal);
    wal_reader_free(reader);
    wal = open_log(NULL, 4096);
    test_ok(wal_cursor_get(wal, "sql", &at, &err) == ERR_OK, "get");
    test_ok(count_from(wal, at, 60, NULL) == 40, "from the cursor");
    test_ok(wal_trim(wal, at, &err) == ERR_OK && wal_begin(wal) > 0 && wal_begin(wal) <= at, "trim");
    test_ok(count_from(wal, at, 60, &at) == 40, "what the cursor still needs is there");
    test_ok(wal_trim(wal, at, &err) == ERR_OK && wal_begin(wal) < wal_end(wal), "the newest segment stays");
    test_ok(put(wal, 100, 50, &err) == ERR_OK && count_from(wal, at, 100, NULL) == 1, "goes on");
    test_ok(wal_append(wal, "", 0, &err) == ERR_LIMIT, "an empty record is refused");
    wal_close(wal);
    sweep();
}

static void test_torn_tail_and_damage(void **state)
{
    (void)state;
    struct err err = { 0 };
    for (int cut = 1; cut < 60; cut++) {
        fresh();
        struct wal *wal = open_log(NULL, 1 << 20);
        for (int i = 0; i < 3; i++)
            test_ok(put(wal, i, 40, &err) == ERR_OK, "append");
        const off_t size = (off_t)wal_end(wal);
        wal_close(wal);
        char path[160];
        (void)snprintf(path, sizeof path, "%s/%016x.wal", log_dir, 0u);
        if (cut % 2) {
            test_ok(truncate(path, size - cut) == 0, "tear");
        } else { /* a byte of the last record is wrong */
            const int fd = open(path, O_RDWR);
            char byte;
            test_ok(pread(fd, &byte, 1, size - 56 + cut % 56) == 1, "read");
            byte ^= 0x55;
            test_ok(pwrite(fd, &byte, 1, size - 56 + cut % 56) == 1, "flip");
            close(fd);
        }
        wal = open_log(NULL, 1 << 20);
        test_ok(count_from(wal, 0, 0, NULL) == (cut < 56 || cut % 2 == 0 ? 2 : 1), "the whole ones, cut %d",
                cut);
        test_ok(put(wal, cut < 56 || cut % 2 == 0 ? 2 : 1, 40, &err) == ERR_OK, "goes on");
        wal_close(wal);
        wal = open_log(NULL, 1 << 20);
        test_ok(count_from(wal, 0, 0, NULL) == (cut < 56 || cut % 2 == 0 ? 3 : 2), "and is read");
        wal_close(wal);
        sweep();
    }
    /* damage that is not at the end is named, not skipped */
    fresh();
    struct wal *wal = open_log(NULL, 256);
    for (int i = 0; i < 20; i++)
        test_ok(put(wal, i, 40, &err) == ERR_OK, "append");
    wal_close(wal);
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%016x.wal", log_dir, 0u);
    test_ok(truncate(path, 100) == 0, "damage");
    const struct wal_config config = { .dir = log_dir };
    wal = NULL;
    test_ok(wal_open(&config, &wal, &err) == ERR_CORRUPT && !wal, "refused");
    sweep();
}

/* Every acknowledged record is there after a power cut at any change, and nothing half-done. */
static void test_power_cuts(void **state)
{
    (void)state;
    for (long nth = 0; nth < 100; nth++) {
        fresh();
        struct err err = { 0 };
        struct wal *wal = NULL;
        struct disk *disk = disk_faulty_new((uint64_t)nth + 1);
        const struct wal_config config = { .disk = disk, .dir = log_dir, .segment_bytes = 700 };
        int acknowledged = 0;
        disk_cut_at(disk, nth);
        if (wal_open(&config, &wal, &err) == ERR_OK) {
            for (; acknowledged < 200; acknowledged++)
                if (put(wal, acknowledged, 30 + (size_t)acknowledged * 7 % 90, &err))
                    break;
            wal_close(wal);
        }
        test_ok(disk_is_cut(disk), "the cut came");
        disk_settle(disk);
        wal = open_log(disk, 700);
        const int found = count_from(wal, 0, 0, NULL);
        test_ok(found >= acknowledged && found <= acknowledged + 1, "%d of %d at %ld", found, acknowledged,
                nth);
        test_ok(put(wal, found, 40, &err) == ERR_OK && count_from(wal, 0, 0, NULL) == found + 1, "goes on");
        wal_close(wal);
        disk_faulty_free(disk);
        sweep();
    }
}

static void test_full_disk_recovers(void **state)
{
    (void)state;
    fresh();
    struct err err = { 0 };
    struct disk *disk = disk_faulty_new(7);
    struct wal *wal = open_log(disk, 1000);
    int n = 0;
    for (int round = 0; round < 20; round++) {
        disk_full_set(disk, true);
        test_ok(put(wal, n, 300, &err) == ERR_DISK_FULL, "full is said");
        test_ok(count_from(wal, 0, 0, NULL) == n, "reading goes on");
        disk_full_set(disk, false);
        test_ok(put(wal, n, 300, &err) == ERR_OK, "recovers by itself");
        n++;
        disk_fail_at(disk, round % 3, EIO);
        if (put(wal, n, 200, &err) == ERR_OK)
            n++;
        disk_fail_at(disk, -1, 0);
    }
    wal_close(wal);
    wal = open_log(disk, 1000);
    test_ok(count_from(wal, 0, 0, NULL) == n, "refused ones left no trace");
    wal_close(wal);
    disk_faulty_free(disk);
    sweep();
}

struct crowd {
    struct wal *wal;
    _Atomic int next;
};

static void *writer(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < 200; i++) {
        struct err err = { 0 };
        if (put(crowd->wal, crowd->next++, 64, &err))
            return arg;
    }
    return NULL;
}

static void test_many_writers_share_a_sync(void **state)
{
    (void)state;
    fresh();
    struct disk *disk = disk_faulty_new(1);
    struct crowd crowd = { .wal = open_log(disk, 1 << 20) };
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        test_ok(pthread_create(&threads[i], NULL, writer, &crowd) == 0, "thread");
    for (int i = 0; i < 8; i++) {
        void *answer;
        (void)pthread_join(threads[i], &answer);
        test_ok(!answer, "each was acknowledged");
    }
    int seen[1600] = { 0 }, count = 0;
    struct wal_reader *reader = NULL;
    struct err err = { 0 };
    struct str bytes;
    test_ok(wal_reader_new(crowd.wal, 0, &reader, &err) == ERR_OK, "reader");
    for (; wal_next(reader, &bytes, &err) == ERR_OK; count++)
        test_ok(seen[atoi(bytes.ptr)]++ == 0, "once");
    test_ok(count == 1600, "all: %d", count);
    wal_reader_free(reader);
    wal_close(crowd.wal);
    disk_faulty_free(disk);
    sweep();
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        fresh();
        struct err err = { 0 };
        struct wal *wal = NULL;
        struct wal_reader *reader = NULL;
        struct str bytes;
        const struct wal_config config = { .dir = log_dir, .segment_bytes = 64 };
        const long live = mem_live();
        mem_fail_at(nth);
        enum err_code rc = wal_open(&config, &wal, &err);
        for (int i = 0; !rc && i < 4; i++)
            rc = put(wal, i, 70, &err);
        if (!rc)
            rc = wal_reader_new(wal, 0, &reader, &err);
        for (int i = 0; !rc && i < 4; i++)
            rc = wal_next(reader, &bytes, &err);
        mem_fail_at(-1);
        wal_reader_free(reader);
        wal_close(wal);
        sweep();
        test_ok(mem_live() == live && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld", nth);
        if (rc == ERR_OK) {
            test_ok(nth > 5, "it allocates");
            return;
        }
    }
}

TEST_MAIN(TEST(test_crc), TEST(test_segments_cursors_and_trim), TEST(test_torn_tail_and_damage),
          TEST(test_power_cuts), TEST(test_full_disk_recovers), TEST(test_many_writers_share_a_sync),
          TEST(test_out_of_memory))
