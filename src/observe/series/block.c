/* block.c - see block.h
 *
 *     "BHSB0001" | i64 day | chunks, each followed by its u32 crc | index | tail
 *     index entry: i64 id | u64 offset | u32 length | u32 count | i64 first | i64 last   (40 bytes)
 *     tail: u64 offset of the index | u64 entries | u32 crc of index and these two | "BHSE" */
#include "observe/series/block.h"
#include "base/crc.h"
#include "base/endian.h"

#include <errno.h>
#include <sys/mman.h>

#define HEAD 16u
#define ENTRY 40u
#define TAIL 24u
#define INDEX_MAX ((size_t)1 << 30)
#define WINDOW ((size_t)1 << 20)

struct block_writer {
    struct disk *disk;
    char *path;
    struct disk_file *file;
    bool finished;
    uint64_t offset;   /* in the file, of the window's start */
    struct buf window; /* not yet written */
    struct buf index;
    uint64_t entries;
    int64_t last_id;
};

enum err_code block_writer_new(struct disk *disk, const char *path, int64_t day,
                               struct block_writer **out_writer, struct err *err)
{
    struct block_writer *writer = mem_alloc(1, sizeof *writer);
    if (!writer)
        return err_nomem(err);
    writer->disk = disk;
    writer->last_id = INT64_MIN;
    buf_init(&writer->window, WINDOW + CHUNK_BYTES_MAX + 64);
    buf_init(&writer->index, INDEX_MAX);
    writer->path = mem_copy(path, strlen(path));
    enum err_code rc = writer->path ? ERR_OK : err_nomem(err);
    if (!rc)
        rc = disk_open(disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &writer->file, err);
    if (rc) {
        block_writer_free(writer);
        return rc;
    }
    char head[HEAD] = "BHSB0001";
    put_u64(head + 8, (uint64_t)day);
    buf_add(&writer->window, head, HEAD);
    *out_writer = writer;
    return ERR_OK;
}

static enum err_code drain(struct block_writer *writer, struct err *err)
{
    enum err_code rc = buf_check(&writer->window, err);
    if (!rc)
        rc = disk_write(writer->file, (int64_t)writer->offset, writer->window.ptr, writer->window.len, err);
    writer->offset += writer->window.len;
    buf_clear(&writer->window);
    return rc;
}

enum err_code block_write(struct block_writer *writer, int64_t id, const struct chunk *chunk, struct err *err)
{
    char entry[ENTRY], crc[4];
    const size_t len = chunk_len(chunk);
    if (id <= writer->last_id)
        return err_set(err, ERR_INTERNAL, "base.internal", ARG_END);
    put_u64(entry, (uint64_t)id);
    put_u64(entry + 8, writer->offset + writer->window.len);
    put_u32(entry + 16, (uint32_t)len);
    put_u32(entry + 20, chunk->count);
    put_u64(entry + 24, (uint64_t)chunk->first_at);
    put_u64(entry + 32, (uint64_t)chunk->state.at);
    put_u32(crc, crc32c(0, chunk->bytes, len));
    buf_add(&writer->index, entry, ENTRY);
    buf_add(&writer->window, chunk->bytes, len);
    buf_add(&writer->window, crc, 4);
    writer->last_id = id;
    writer->entries++;
    const enum err_code rc = buf_check(&writer->index, err);
    return rc ? rc : writer->window.len >= WINDOW ? drain(writer, err) : buf_check(&writer->window, err);
}

enum err_code block_finish(struct block_writer *writer, struct err *err)
{
    char tail[TAIL];
    enum err_code rc = drain(writer, err);
    if (rc)
        return rc;
    put_u64(tail, writer->offset);
    put_u64(tail + 8, writer->entries);
    put_u32(tail + 16, crc32c(crc32c(0, writer->index.ptr, writer->index.len), tail, 16));
    memcpy(tail + 20, "BHSE", 4);
    /* the index may be longer than the window: it changes places with it */
    struct buf index = writer->index;
    buf_init(&writer->index, INDEX_MAX);
    buf_done(&writer->window);
    writer->window = index;
    writer->window.max = INDEX_MAX + TAIL;
    buf_add(&writer->window, tail, TAIL);
    rc = drain(writer, err);
    if (!rc)
        rc = disk_sync(writer->file, err);
    writer->finished = rc == ERR_OK;
    return rc;
}

void block_writer_free(struct block_writer *writer)
{
    if (!writer)
        return;
    struct err ignored;
    const bool unlink = writer->file && !writer->finished;
    disk_close(writer->file);
    if (unlink && disk_unlink(writer->disk, writer->path, &ignored))
        ignored.code = ERR_OK; /* the next start sweeps it */
    buf_done(&writer->window);
    buf_done(&writer->index);
    mem_free(writer->path);
    mem_free(writer);
}

static enum err_code corrupt(struct err *err, const char *path, int64_t at)
{
    return err_set(err, ERR_CORRUPT, "series.corrupt", ARG_TEXT("path", path), ARG_INT("at", at), ARG_END);
}

enum err_code block_open(struct disk *disk, const char *path, struct block *out_block, struct err *err)
{
    struct disk_file *file = NULL;
    int64_t size = 0;
    enum err_code rc = disk_open(disk, path, DISK_READ, &file, err);
    if (!rc)
        rc = disk_size(file, &size, err);
    if (!rc && size < (int64_t)(HEAD + TAIL))
        rc = corrupt(err, path, size);
    void *map = rc ? NULL : mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, disk_fd(file), 0);
    disk_close(file);
    if (map == MAP_FAILED)
        rc = err_set(err, ERR_IO, "file.read", ARG_ERRNO(errno), ARG_END);
    if (rc)
        return rc;
    const char *bytes = map, *tail = bytes + size - TAIL;
    const uint64_t index = get_u64(tail), entries = get_u64(tail + 8);
    if (memcmp(bytes, "BHSB0001", 8) != 0 || memcmp(tail + 20, "BHSE", 4) != 0 || index < HEAD ||
        entries > (uint64_t)size / ENTRY || index + entries * ENTRY + TAIL != (uint64_t)size) {
        (void)munmap(map, (size_t)size);
        return corrupt(err, path, size);
    }
    out_block->day = (int64_t)get_u64(bytes + 8);
    out_block->bytes = (uint64_t)size;
    out_block->map = map;
    out_block->index = index;
    out_block->entry_count = entries;
    out_block->verified = false;
    return ERR_OK;
}

void block_close(struct block *block)
{
    if (block->map)
        (void)munmap(block->map, block->bytes);
    block->map = NULL;
    block->entry_count = 0;
}

static enum err_code verify(struct block *block, struct err *err)
{
    const char *bytes = block->map, *tail = bytes + block->bytes - TAIL;
    if (!__atomic_load_n(&block->verified, __ATOMIC_RELAXED) &&
        crc32c(crc32c(0, bytes + block->index, block->entry_count * ENTRY), tail, 16) != get_u32(tail + 16))
        return corrupt(err, "index", (int64_t)block->index);
    __atomic_store_n(&block->verified, true, __ATOMIC_RELAXED);
    return ERR_OK;
}

enum err_code block_entry(struct block *block, size_t at, struct block_entry *out_entry, struct err *err)
{
    const enum err_code rc = verify(block, err);
    if (rc)
        return rc;
    const char *entry = (const char *)block->map + block->index + at * ENTRY;
    *out_entry = (struct block_entry) { (int64_t)get_u64(entry),      get_u64(entry + 8),
                                        get_u32(entry + 16),          get_u32(entry + 20),
                                        (int64_t)get_u64(entry + 24), (int64_t)get_u64(entry + 32) };
    if (out_entry->offset + out_entry->len + 4 > block->index)
        return corrupt(err, "index", (int64_t)out_entry->offset);
    return ERR_OK;
}

enum err_code block_find(struct block *block, int64_t id, struct block_entry *out_entry, struct err *err)
{
    const char *index = (const char *)block->map + block->index;
    size_t low = 0, high = block->entry_count;
    const enum err_code rc = verify(block, err);
    if (rc)
        return rc;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if ((int64_t)get_u64(index + middle * ENTRY) < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == block->entry_count || (int64_t)get_u64(index + low * ENTRY) != id)
        return ERR_NOT_FOUND;
    return block_entry(block, low, out_entry, err);
}

enum err_code block_read(const struct block *block, const struct block_entry *entry,
                         struct chunk_reader *out_reader, struct err *err)
{
    const char *bytes = (const char *)block->map + entry->offset;
    if (crc32c(0, bytes, entry->len) != get_u32(bytes + entry->len))
        return corrupt(err, "block", (int64_t)entry->offset);
    chunk_read(out_reader, (const unsigned char *)bytes, entry->len, entry->count);
    return ERR_OK;
}
