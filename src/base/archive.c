/* archive.c - see archive.h */
#include "base/archive.h"

#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define BLOCK 512
#define PIECE ((size_t)256 << 10)

struct archive_writer {
    int fd;
    int64_t now_s, left; /* left: bytes of the entry still to come */
    size_t pad;
    ZSTD_CCtx *zstd;
    char *out;
};

struct archive_reader {
    int fd;
    ZSTD_DCtx *zstd;
    char *in;
    size_t in_len, in_at;
    size_t last; /* zstd's answer: 0 = a frame has ended */
    bool end_of_file;
    int64_t left;
    size_t pad;
};

/* ---- writing ---- */

static enum err_code write_fd(int fd, const char *bytes, size_t len, struct err *err)
{
    while (len) {
        const ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO, "file.write",
                           ARG_TEXT("path", "archive"), ARG_ERRNO(errno), ARG_END);
        bytes += n, len -= (size_t)n;
    }
    return ERR_OK;
}

static enum err_code compress(struct archive_writer *writer, const void *bytes, size_t len,
                              ZSTD_EndDirective how, struct err *err)
{
    ZSTD_inBuffer in = { bytes, len, 0 };
    for (;;) {
        ZSTD_outBuffer out = { writer->out, PIECE, 0 };
        const size_t left = ZSTD_compressStream2(writer->zstd, &out, &in, how);
        if (ZSTD_isError(left))
            return err_set(err, ERR_INTERNAL, "base.internal", ARG_END);
        const enum err_code rc = write_fd(writer->fd, writer->out, out.pos, err);
        if (rc)
            return rc;
        if (how == ZSTD_e_end ? left == 0 : in.pos == in.size)
            return ERR_OK;
    }
}

enum err_code archive_writer_new(int fd, int64_t now_ms, struct archive_writer **out, struct err *err)
{
    struct archive_writer *writer = mem_alloc(1, sizeof *writer);
    if (!writer)
        return err_nomem(err);
    writer->fd = fd;
    writer->now_s = now_ms / 1000;
    writer->out = mem_alloc(1, PIECE);
    writer->zstd = ZSTD_createCCtx();
    if (!writer->out || !writer->zstd) {
        archive_writer_free(writer);
        return err_nomem(err);
    }
    (void)ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, 3);
    (void)ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_checksumFlag, 1);
    *out = writer;
    return ERR_OK;
}

void archive_writer_free(struct archive_writer *writer)
{
    if (!writer)
        return;
    (void)ZSTD_freeCCtx(writer->zstd);
    mem_free(writer->out);
    mem_free(writer);
}

static void octal(unsigned char *field, size_t size, uint64_t value)
{
    if (value >> (3 * (size - 1))) { /* GNU: binary, the first bit set */
        for (size_t i = size; i-- > 0; value >>= 8)
            field[i] = (unsigned char)value;
        field[0] |= 0x80;
        return;
    }
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (unsigned char)('0' + (value & 7));
}

static unsigned header_sum(const unsigned char header[BLOCK])
{
    unsigned sum = 0;
    for (int i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : header[i];
    return sum;
}

static enum err_code end_entry(struct archive_writer *writer, struct err *err)
{
    static const char zeros[BLOCK];
    assert(writer->left == 0);
    const size_t pad = writer->pad;
    writer->pad = 0;
    return pad ? compress(writer, zeros, pad, ZSTD_e_continue, err) : ERR_OK;
}

enum err_code archive_begin(struct archive_writer *writer, const char *name, int64_t size, struct err *err)
{
    unsigned char header[BLOCK] = { 0 };
    size_t len = strlen(name), prefix = 0;
    if (len > 100) { /* ustar: prefix / name */
        for (size_t i = 0; i < len && i <= 155; i++)
            if (name[i] == '/' && len - i - 1 <= 100)
                prefix = i;
        if (!prefix)
            return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", 100), ARG_END);
    }
    enum err_code rc = end_entry(writer, err);
    if (rc)
        return rc;
    memcpy(header + 345, name, prefix);
    name += prefix ? prefix + 1 : 0;
    memcpy(header, name, strlen(name));
    octal(header + 100, 8, 0600);
    octal(header + 108, 8, 0);
    octal(header + 116, 8, 0);
    octal(header + 124, 12, (uint64_t)size);
    octal(header + 136, 12, (uint64_t)writer->now_s);
    header[156] = '0';
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    octal(header + 148, 7, header_sum(header));
    header[155] = ' ';
    writer->left = size;
    writer->pad = (size_t)((BLOCK - size % BLOCK) % BLOCK);
    return compress(writer, header, BLOCK, ZSTD_e_continue, err);
}

enum err_code archive_write(struct archive_writer *writer, const void *bytes, size_t len, struct err *err)
{
    assert((int64_t)len <= writer->left);
    writer->left -= (int64_t)len;
    return len ? compress(writer, bytes, len, ZSTD_e_continue, err) : ERR_OK;
}

enum err_code archive_bytes(struct archive_writer *writer, const char *name, struct str bytes,
                            struct err *err)
{
    const enum err_code rc = archive_begin(writer, name, (int64_t)bytes.len, err);
    return rc ? rc : archive_write(writer, bytes.ptr, bytes.len, err);
}

enum err_code archive_file(struct archive_writer *writer, const char *name, const char *path,
                           int64_t *out_size, struct err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *piece = mem_alloc(1, PIECE);
    enum err_code rc = ERR_OK;
    if (!piece)
        rc = err_nomem(err);
    else if (fd < 0 || fstat(fd, &st) != 0)
        rc = err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "file.open", ARG_TEXT("path", path),
                     ARG_ERRNO(errno), ARG_END);
    if (!rc)
        rc = archive_begin(writer, name, st.st_size, err);
    for (int64_t left = rc ? 0 : st.st_size; left && !rc;) {
        ssize_t n = read(fd, piece, left < (int64_t)PIECE ? (size_t)left : PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = err_set(err, ERR_IO, "file.read", ARG_ERRNO(errno), ARG_END);
        } else {
            if (n == 0) { /* it became shorter: the rest is zeros */
                n = left < (int64_t)PIECE ? (ssize_t)left : (ssize_t)PIECE;
                memset(piece, 0, (size_t)n);
            }
            rc = archive_write(writer, piece, (size_t)n, err);
            left -= n;
        }
    }
    if (!rc && out_size)
        *out_size = st.st_size;
    if (fd >= 0)
        (void)close(fd);
    mem_free(piece);
    return rc;
}

enum err_code archive_end(struct archive_writer *writer, struct err *err)
{
    static const char zeros[2 * BLOCK];
    const enum err_code rc = end_entry(writer, err);
    return rc ? rc : compress(writer, zeros, sizeof zeros, ZSTD_e_end, err);
}

/* ---- reading ---- */

enum err_code archive_reader_new(int fd, struct archive_reader **out, struct err *err)
{
    struct archive_reader *reader = mem_alloc(1, sizeof *reader);
    if (!reader)
        return err_nomem(err);
    reader->fd = fd;
    reader->last = 1;
    reader->in = mem_alloc(1, PIECE);
    reader->zstd = ZSTD_createDCtx();
    if (!reader->in || !reader->zstd) {
        archive_reader_free(reader);
        return err_nomem(err);
    }
    *out = reader;
    return ERR_OK;
}

void archive_reader_free(struct archive_reader *reader)
{
    if (!reader)
        return;
    (void)ZSTD_freeDCtx(reader->zstd);
    mem_free(reader->in);
    mem_free(reader);
}

static enum err_code corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "base.archive", ARG_END);
}

/* Exactly `len` bytes of the content; bytes NULL skips them. */
static enum err_code plain(struct archive_reader *reader, void *bytes, size_t len, struct err *err)
{
    char skip[4096];
    while (len) {
        const size_t want = bytes || len < sizeof skip ? len : sizeof skip;
        /* cppcheck-suppress legacyUninitvar ; it is written to */
        ZSTD_outBuffer out = { bytes ? bytes : skip, want, 0 };
        while (out.pos < want) {
            if (reader->in_at == reader->in_len && !reader->end_of_file) {
                const ssize_t n = read(reader->fd, reader->in, PIECE);
                if (n < 0 && errno == EINTR)
                    continue;
                if (n < 0)
                    return err_set(err, ERR_IO, "file.read", ARG_ERRNO(errno), ARG_END);
                reader->end_of_file = n == 0;
                reader->in_len = (size_t)n;
                reader->in_at = 0;
            }
            ZSTD_inBuffer in = { reader->in, reader->in_len, reader->in_at };
            const size_t before = out.pos;
            reader->last = ZSTD_decompressStream(reader->zstd, &out, &in);
            if (ZSTD_isError(reader->last))
                return corrupt(err);
            reader->in_at = in.pos;
            if (out.pos == before && in.pos == in.size && reader->end_of_file)
                return corrupt(err); /* cut */
        }
        if (bytes)
            bytes = (char *)bytes + want;
        len -= want;
    }
    return ERR_OK;
}

/* After the end mark: the frame's checksum has been read and is right. */
static enum err_code finish(struct archive_reader *reader, struct err *err)
{
    while (reader->last != 0) {
        char more;
        ZSTD_outBuffer out = { &more, 1, 0 };
        if (reader->in_at == reader->in_len) {
            const ssize_t n = read(reader->fd, reader->in, PIECE);
            if (n <= 0)
                return corrupt(err);
            reader->in_len = (size_t)n;
            reader->in_at = 0;
        }
        ZSTD_inBuffer in = { reader->in, reader->in_len, reader->in_at };
        reader->last = ZSTD_decompressStream(reader->zstd, &out, &in);
        reader->in_at = in.pos;
        if (ZSTD_isError(reader->last) || out.pos)
            return corrupt(err);
    }
    return err_set(err, ERR_NOT_FOUND, "base.archive", ARG_END);
}

static bool number(const unsigned char *field, size_t size, uint64_t *out)
{
    uint64_t value = 0;
    if (field[0] & 0x80) {
        for (size_t i = 1; i < size; i++)
            value = value << 8 | field[i];
    } else {
        for (size_t i = 0; i < size && field[i] && field[i] != ' '; i++) {
            if (field[i] < '0' || field[i] > '7')
                return false;
            value = value << 3 | (uint64_t)(field[i] - '0');
        }
    }
    *out = value;
    return value <= INT64_MAX;
}

static bool climbs(const char *name)
{
    struct str rest = str_from(name), part;
    if (name[0] == '/' || !name[0])
        return true;
    while (str_cut(&rest, '/', &part))
        if (str_eq(part, STR("..")) || !part.len)
            return true;
    return false;
}

enum err_code archive_next(struct archive_reader *reader, char out_name[ARCHIVE_NAME_MAX + 1],
                           int64_t *out_size, struct err *err)
{
    unsigned char header[BLOCK];
    uint64_t sum, size;
    while (reader->left) {
        const size_t part = reader->left < 1 << 20 ? (size_t)reader->left : 1 << 20;
        const enum err_code rc = plain(reader, NULL, part, err);
        if (rc)
            return rc;
        reader->left -= (int64_t)part;
    }
    enum err_code rc = plain(reader, NULL, reader->pad, err);
    if (!rc)
        rc = plain(reader, header, BLOCK, err);
    if (rc)
        return rc;
    if (!header[0]) { /* the second block of the end mark */
        rc = plain(reader, header, BLOCK, err);
        return rc ? rc : finish(reader, err);
    }
    if (!number(header + 148, 8, &sum) || sum != header_sum(header) || !number(header + 124, 12, &size) ||
        (header[156] != '0' && header[156] != 0))
        return corrupt(err);
    (void)snprintf(out_name, ARCHIVE_NAME_MAX + 1, "%.150s%s%.100s", (const char *)header + 345,
                   header[345] ? "/" : "", (const char *)header);
    if (climbs(out_name))
        return corrupt(err);
    reader->left = (int64_t)size;
    reader->pad = (size_t)((BLOCK - size % BLOCK) % BLOCK);
    *out_size = (int64_t)size;
    return ERR_OK;
}

enum err_code archive_read(struct archive_reader *reader, void *bytes, size_t len, size_t *out_len,
                           struct err *err)
{
    const size_t part = (int64_t)len < reader->left ? len : (size_t)reader->left;
    const enum err_code rc = plain(reader, bytes, part, err);
    if (rc)
        return rc;
    reader->left -= (int64_t)part;
    *out_len = part;
    return ERR_OK;
}
