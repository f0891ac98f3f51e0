#include "base/archive.h"
#include "base/buf.h"
#include "test.h"

#include <fcntl.h>
#include <unistd.h>

static char path[64];

static int fresh(void)
{
    (void)strcpy(path, "/tmp/bihuan-archive-XXXXXX");
    const int fd = mkstemp(path);
    test_ok(fd >= 0, "temporary file");
    return fd;
}

static enum err_code write_some(int fd, struct err *err)
{
    struct archive_writer *writer = NULL;
    char big[70000], long_name[160];
    memset(big, 'x', sizeof big);
    memset(long_name, 'n', sizeof long_name);
    memcpy(long_name + 60, "/", 1);
    long_name[sizeof long_name - 1] = 0;
    enum err_code rc = archive_writer_new(fd, 0, &writer, err);
    if (!rc)
        rc = archive_bytes(writer, "a/one.txt", STR("first"), err);
    if (!rc)
        rc = archive_bytes(writer, "empty", STR(""), err);
    if (!rc)
        rc = archive_bytes(writer, long_name, (struct str) { big, sizeof big }, err);
    if (!rc)
        rc = archive_end(writer, err);
    archive_writer_free(writer);
    return rc;
}

static enum err_code read_all(int fd, int *out_entries, int64_t *out_bytes, struct err *err)
{
    struct archive_reader *reader = NULL;
    char name[ARCHIVE_NAME_MAX + 1], piece[3000];
    int64_t size;
    *out_entries = 0;
    *out_bytes = 0;
    (void)lseek(fd, 0, SEEK_SET);
    enum err_code rc = archive_reader_new(fd, &reader, err);
    while (!rc && !(rc = archive_next(reader, name, &size, err))) {
        size_t len = 1;
        ++*out_entries;
        if (*out_entries == 2)
            continue; /* skip one */
        while (!rc && len) {
            rc = archive_read(reader, piece, sizeof piece, &len, err);
            *out_bytes += rc ? 0 : (int64_t)len;
        }
    }
    archive_reader_free(reader);
    return rc;
}

static void test_round_trip(void **state)
{
    (void)state;
    const int fd = fresh();
    int entries;
    int64_t bytes;
    struct err err = { 0 };
    test_ok(!write_some(fd, &err), "written");
    test_ok(read_all(fd, &entries, &bytes, &err) == ERR_NOT_FOUND && entries == 3 && bytes == 70005,
            "%d entries, %d bytes", entries, (int)bytes);
    char command[160];
    (void)snprintf(command, sizeof command, "test \"$(zstd -dc < %s | tar -tf - | wc -l)\" = 3", path);
    if (access("/usr/bin/zstd", X_OK) == 0)
        test_ok(system(command) == 0, "tar reads it");
    (void)close(fd);
    (void)unlink(path);
}

/* Cut at any place, or with any byte changed, it is never taken for whole. */
static void test_damage(void **state)
{
    (void)state;
    const int fd = fresh();
    struct err err = { 0 };
    int entries;
    int64_t bytes;
    test_ok(!write_some(fd, &err), "written");
    const off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = 0; at < size; at++) {
        unsigned char byte = 0, changed;
        test_ok(pread(fd, &byte, 1, at) == 1, "read");
        changed = byte ^ 0x41;
        test_ok(pwrite(fd, &changed, 1, at) == 1, "write");
        const enum err_code rc = read_all(fd, &entries, &bytes, &err);
        test_ok(rc == ERR_CORRUPT || rc == ERR_NOMEM, "changed at %d: %s", (int)at, err_name(rc));
        test_ok(pwrite(fd, &byte, 1, at) == 1, "write");
    }
    for (off_t cut = size - 1; cut >= 0; cut -= 3) {
        test_ok(ftruncate(fd, cut) == 0, "cut");
        test_ok(read_all(fd, &entries, &bytes, &err) == ERR_CORRUPT, "cut at %d", (int)cut);
    }
    (void)close(fd);
    (void)unlink(path);
}

static void test_climbing_names(void **state)
{
    (void)state;
    static const char *const names[] = { "../x", "/etc/x", "a/../../x", "a//b" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const int fd = fresh();
        struct archive_writer *writer = NULL;
        struct err err = { 0 };
        int entries;
        int64_t bytes;
        test_ok(!archive_writer_new(fd, 0, &writer, &err) &&
                    !archive_bytes(writer, names[i], STR("x"), &err) && !archive_end(writer, &err),
                "written");
        archive_writer_free(writer);
        test_ok(read_all(fd, &entries, &bytes, &err) == ERR_CORRUPT, "%s is refused", names[i]);
        (void)close(fd);
        (void)unlink(path);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        const int fd = fresh();
        const long before = mem_live();
        int entries;
        int64_t bytes;
        struct err err = { 0 };
        mem_fail_at(nth);
        enum err_code rc = write_some(fd, &err);
        if (!rc)
            rc = read_all(fd, &entries, &bytes, &err);
        mem_fail_at(-1);
        test_ok(mem_live() == before && (rc == ERR_NOT_FOUND || rc == ERR_NOMEM), "no memory at %ld", nth);
        (void)close(fd);
        (void)unlink(path);
        if (rc == ERR_NOT_FOUND)
            return;
    }
}

TEST_MAIN(TEST(test_round_trip), TEST(test_damage), TEST(test_climbing_names), TEST(test_out_of_memory))
