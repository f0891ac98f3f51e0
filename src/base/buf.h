/* buf.h - a growing run of bytes with a ceiling; always NUL-terminated behind its end.
 *
 * Appending never fails at the spot: an overflow of the ceiling or of memory is remembered in `failed`
 * and everything after it is ignored, so a writer checks once, at the end, with buf_check().
 * Threads: one owner.  Layer: base. */
#pragma once
#include "base/err.h"

struct buf {
    char *ptr; /* owned; NULL while empty */
    size_t len, size, max;
    enum err_code failed; /* ERR_OK, ERR_LIMIT or ERR_NOMEM */
};

/* Starts empty; holds at most `max` bytes. */
void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);
/* Forgets the content and the failure, keeps the memory. */
void buf_clear(struct buf *buf);

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_str(struct buf *buf, struct str text);
void buf_text(struct buf *buf, const char *text);
void buf_char(struct buf *buf, char c);
void buf_i64(struct buf *buf, int64_t number);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* The text as a JSON string literal, quotes included; ill-formed UTF-8 becomes U+FFFD. */
void buf_json(struct buf *buf, struct str text);
/* Room for `len` bytes at the end, or NULL (then it has failed); fill it, then add to buf->len. */
char *buf_room(struct buf *buf, size_t len);

struct str buf_get(const struct buf *buf);
/* ERR_OK, or ERR_LIMIT / ERR_NOMEM when anything was lost. */
MUST_CHECK enum err_code buf_check(const struct buf *buf, struct err *err);

/* Appends all of a file descriptor, at most up to the ceiling (ERR_LIMIT beyond). */
MUST_CHECK enum err_code buf_read_fd(struct buf *buf, int fd, struct err *err);
/* Appends all of a file: ERR_NOT_FOUND, ERR_IO, ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err_code buf_read_file(struct buf *buf, const char *path, struct err *err);
