/* stored_fuzz.c - what lies on the disk: a block of series, and a durable log with one segment.  Whatever the
 * bytes are, opening and reading gives samples, records or an error, and a log can be written to again. */
#include "base/wal.h"
#include "observe/series/block.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 200
#define SAMPLES_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void put(const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    (void)close(fd);
}

static void read_block(const uint8_t *data, size_t size)
{
    char path[128];
    struct block block;
    struct err err;
    put("block", data, size);
    (void)snprintf(path, sizeof path, "%s/block", folder);
    if (block_open(NULL, path, &block, &err))
        return;
    for (size_t i = 0; i < block.entry_count && i < ENTRIES_MAX; i++) {
        struct block_entry entry;
        struct chunk_reader reader;
        struct series_sample sample;
        int count = 0;
        if (block_entry(&block, i, &entry, &err) || block_read(&block, &entry, &reader, &err))
            continue;
        while (count < SAMPLES_MAX && chunk_next(&reader, &sample))
            count++;
    }
    struct block_entry found;
    (void)!block_find(&block, 1, &found, &err);
    block_close(&block);
}

static void read_log(const uint8_t *data, size_t size)
{
    char path[128];
    struct wal *wal = NULL;
    struct wal_reader *reader = NULL;
    struct err err;
    (void)snprintf(path, sizeof path, "exec rm -rf %s/log", folder);
    if (system(path) != 0)
        abort();
    (void)snprintf(path, sizeof path, "%s/log", folder);
    if (mkdir(path, 0700))
        abort();
    put("log/0000000000000000.wal", data, size);
    const struct wal_config config = { .dir = path };
    if (wal_open(&config, &wal, &err))
        return;
    if (wal_append(wal, "again", 5, &err))
        abort();
    if (wal_reader_new(wal, wal_begin(wal), &reader, &err) == ERR_OK) {
        struct str record;
        while (wal_next(reader, &record, &err) == ERR_OK)
            ;
        wal_reader_free(reader);
    }
    wal_close(wal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!folder[0]) {
        (void)snprintf(folder, sizeof folder, "/tmp/bihuan-fuzz-XXXXXX");
        if (!mkdtemp(folder))
            abort();
    }
    if (size < 1)
        return 0;
    if (data[0] % 2)
        read_block(data + 1, size - 1);
    else
        read_log(data + 1, size - 1);
    return 0;
}
