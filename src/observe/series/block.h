/* block.h - a file with the compressed samples of many series on one UTC day; written once, then only read.
 *
 * Threads: a writer has one owner; an open block may be read from any.  Layer: observe (uses base). */
#pragma once
#include "observe/series/chunk.h"

struct block_entry {
    int64_t id;
    uint64_t offset;
    uint32_t len, count;
    int64_t first_at, last_at;
};

struct block {
    int64_t day; /* days since 1970 */
    int64_t number;
    uint64_t bytes;
    void *map;      /* the whole file; its index is sorted by id */
    uint64_t index; /* where that begins */
    size_t entry_count;
    bool verified; /* the index's checksum was looked at; any reader may set it */
};

struct block_writer;
/* Creates `path`.  ERR_IO, ERR_DISK_FULL, ERR_NOMEM. */
MUST_CHECK enum err_code block_writer_new(struct disk *disk, const char *path, int64_t day,
                                          struct block_writer **out_writer, struct err *err);
/* Adds the chunk of a series; ids must grow. */
MUST_CHECK enum err_code block_write(struct block_writer *writer, int64_t id, const struct chunk *chunk,
                                     struct err *err);
/* Writes the index and syncs file (the caller syncs the folder). */
MUST_CHECK enum err_code block_finish(struct block_writer *writer, struct err *err);
/* Closes; an unfinished file is unlinked.  Accepts NULL. */
void block_writer_free(struct block_writer *writer);

/* Maps the file; its index is verified at the first use.  ERR_CORRUPT, ERR_IO. */
MUST_CHECK enum err_code block_open(struct disk *disk, const char *path, struct block *out_block,
                                    struct err *err);
void block_close(struct block *block);
/* The entry of a series: ERR_NOT_FOUND (err untouched) or ERR_CORRUPT. */
MUST_CHECK enum err_code block_find(struct block *block, int64_t id, struct block_entry *out_entry,
                                    struct err *err);
/* The entry at a place of the index, 0 to entry_count - 1: ERR_CORRUPT. */
MUST_CHECK enum err_code block_entry(struct block *block, size_t at, struct block_entry *out_entry,
                                     struct err *err);
/* Begins reading an entry; ERR_CORRUPT when its checksum does not verify. */
MUST_CHECK enum err_code block_read(const struct block *block, const struct block_entry *entry,
                                    struct chunk_reader *out_reader, struct err *err);
