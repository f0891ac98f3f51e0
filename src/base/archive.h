/* archive.h - one file that holds many: tar (POSIX ustar, with GNU sizes past 8 GB) within zstd, so that
 * `tar --zstd -tf` reads it too.  Written and read as a stream; sizes are known before an entry begins.
 *
 * Invariant: a reader that saw the end mark has seen all, unchanged (zstd's checksum over the content).
 * Threads: one owner.  Layer: base. */
#pragma once
#include "base/err.h"

#define ARCHIVE_NAME_MAX 255

struct archive_writer;
/* Writes to `fd` (borrowed) from where it stands.  Caller ends or frees. */
MUST_CHECK enum err_code archive_writer_new(int fd, int64_t now_ms, struct archive_writer **out,
                                            struct err *err);
/* Begins an entry of exactly `size` bytes; the one before must be whole (asserted).  ERR_LIMIT name. */
MUST_CHECK enum err_code archive_begin(struct archive_writer *writer, const char *name, int64_t size,
                                       struct err *err);
MUST_CHECK enum err_code archive_write(struct archive_writer *writer, const void *bytes, size_t len,
                                       struct err *err);
/* An entry of bytes, and of a file as it is now (ERR_NOT_FOUND when it is gone). */
MUST_CHECK enum err_code archive_bytes(struct archive_writer *writer, const char *name, struct str bytes,
                                       struct err *err);
MUST_CHECK enum err_code archive_file(struct archive_writer *writer, const char *name, const char *path,
                                      int64_t *out_size, struct err *err);
/* The end mark; everything is written, not synced. */
MUST_CHECK enum err_code archive_end(struct archive_writer *writer, struct err *err);
void archive_writer_free(struct archive_writer *writer);

struct archive_reader;
MUST_CHECK enum err_code archive_reader_new(int fd, struct archive_reader **out, struct err *err);
/* The next entry; what was left of the one before is skipped.  ERR_NOT_FOUND at the end mark.
 * ERR_CORRUPT cut or changed, or a name that climbs ("..", a leading "/"). */
MUST_CHECK enum err_code archive_next(struct archive_reader *reader, char out_name[ARCHIVE_NAME_MAX + 1],
                                      int64_t *out_size, struct err *err);
/* Up to `len` bytes of the entry; *out_len 0 at its end. */
MUST_CHECK enum err_code archive_read(struct archive_reader *reader, void *bytes, size_t len, size_t *out_len,
                                      struct err *err);
void archive_reader_free(struct archive_reader *reader);
