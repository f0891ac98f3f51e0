/* buf.c - see buf.h */
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char empty[1] = "";

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf) { .max = max };
}

void buf_done(struct buf *buf)
{
    mem_free(buf->ptr);
    *buf = (struct buf) { .max = buf->max };
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = ERR_OK;
}

char *buf_room(struct buf *buf, size_t len)
{
    if (buf->failed)
        return NULL;
    if (len > buf->max - buf->len) {
        buf->failed = ERR_LIMIT;
        return NULL;
    }
    if (buf->size - buf->len <= len || !buf->ptr) {
        size_t want = buf->size ? buf->size * 2 : 256;
        if (want < buf->len + len + 1)
            want = buf->len + len + 1;
        char *grown = mem_realloc(buf->ptr, want);
        if (!grown) {
            buf->failed = ERR_NOMEM;
            return NULL;
        }
        buf->ptr = grown;
        buf->size = want;
    }
    return buf->ptr + buf->len;
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
    char *room = buf_room(buf, len);
    if (!room)
        return;
    if (len)
        memcpy(room, bytes, len);
    buf->len += len;
    buf->ptr[buf->len] = 0;
}

void buf_str(struct buf *buf, struct str text)
{
    buf_add(buf, text.ptr, text.len);
}

void buf_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_i64(struct buf *buf, int64_t number)
{
    char text[24];
    buf_add(buf, text, (size_t)snprintf(text, sizeof text, "%" PRId64, number));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *room = len < 0 ? NULL : buf_room(buf, (size_t)len);
    if (!room)
        return;
    va_start(args, format);
    (void)vsnprintf(room, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void buf_json(struct buf *buf, struct str text)
{
    buf_char(buf, '"');
    size_t plain = 0; /* start of the run not yet written */
    for (size_t at = 0; at < text.len;) {
        const size_t start = at;
        const int32_t code = utf8_next(text, &at);
        if (code >= 0x20 && code != '"' && code != '\\' && code != 0x7f)
            continue;
        if (code < 0)
            at = start + 1;
        buf_str(buf, str_slice(text, plain, start));
        plain = at;
        if (code == '"' || code == '\\')
            buf_printf(buf, "\\%c", (char)code);
        else if (code == '\n')
            buf_text(buf, "\\n");
        else if (code == '\t')
            buf_text(buf, "\\t");
        else if (code < 0)
            buf_text(buf, "\xef\xbf\xbd");
        else
            buf_printf(buf, "\\u%04x", (unsigned)code);
    }
    buf_str(buf, str_slice(text, plain, text.len));
    buf_char(buf, '"');
}

struct str buf_get(const struct buf *buf)
{
    return (struct str) { buf->ptr ? buf->ptr : empty, buf->len };
}

enum err_code buf_check(const struct buf *buf, struct err *err)
{
    if (buf->failed == ERR_LIMIT)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", buf->max), ARG_END);
    return buf->failed ? err_nomem(err) : ERR_OK;
}

enum err_code buf_read_fd(struct buf *buf, int fd, struct err *err)
{
    for (;;) {
        const size_t left = buf->max - buf->len;
        char probe = 0;
        const size_t want = left < 65536 ? left : 65536;
        char *room = want ? buf_room(buf, want) : &probe;
        if (!room)
            return buf_check(buf, err);
        const ssize_t got = read(fd, room, want ? want : 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, ERR_IO, "file.read", ARG_ERRNO(errno), ARG_END);
        if (got == 0)
            break;
        if (want == 0) {
            buf->failed = ERR_LIMIT;
            return buf_check(buf, err);
        }
        buf->len += (size_t)got;
    }
    buf_add(buf, "", 0);
    return buf_check(buf, err);
}

enum err_code buf_read_file(struct buf *buf, const char *path, struct err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "file.open", ARG_TEXT("path", path),
                       ARG_ERRNO(errno), ARG_END);
    const enum err_code rc = buf_read_fd(buf, fd, err);
    close(fd);
    return rc;
}
