/* upload.c - bodies into files without a name: a plain body, or the parts of multipart/form-data.
 *
 * A failure is remembered and the rest of the body is swallowed; the handler then is not called. */
#include "net/exchange.h"

#include <errno.h>
#include <unistd.h>

static void fail_errno(struct exchange *x)
{
    const int reason = errno;
    if (x->upload_failed)
        return;
    x->upload_failed = true;
    const bool full = reason == ENOSPC || reason == EDQUOT;
    (void)err_set(&x->upload_err, full ? ERR_DISK_FULL : ERR_IO, full ? "http.disk_full" : "file.write",
                  ARG_ERRNO(reason), ARG_END);
}

static void append(struct exchange *x, struct upload *part, const char *bytes, size_t len)
{
    while (len && !x->upload_failed) {
        const ssize_t wrote = write(part->fd, bytes, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            fail_errno(x);
            return;
        }
        bytes += wrote;
        len -= (size_t)wrote;
        part->size += wrote;
    }
}

static struct str base_name(struct str path)
{
    for (size_t i = path.len; i; i--)
        if (path.ptr[i - 1] == '/' || path.ptr[i - 1] == '\\')
            return str_slice(path, i, path.len);
    return path;
}

static struct upload *add_part(struct exchange *x, struct str name, struct str file_name, struct str type)
{
    if (x->parts_count == UPLOAD_PARTS_MAX) {
        x->upload_failed = true;
        (void)err_set(&x->upload_err, ERR_LIMIT, "http.parts", ARG_INT("max", UPLOAD_PARTS_MAX), ARG_END);
        return NULL;
    }
    struct upload part = { .fd = -1 };
    part.name = arena_str(x->req.arena, name);
    part.file_name = arena_str(x->req.arena, base_name(file_name));
    part.content_type = arena_str(x->req.arena, type);
    if (!part.name.ptr || !part.file_name.ptr || !part.content_type.ptr) {
        x->upload_failed = true;
        (void)err_nomem(&x->upload_err);
        return NULL;
    }
    if (!utf8_valid(part.name) || !utf8_valid(part.file_name)) {
        x->upload_failed = true;
        (void)err_set(&x->upload_err, ERR_INVALID, "http.json_utf8", ARG_END);
        return NULL;
    }
    if (http_spool(x->req.server, &part.fd, &x->upload_err)) {
        x->upload_failed = true;
        return NULL;
    }
    x->parts[x->parts_count] = part;
    return &x->parts[x->parts_count++];
}

static enum MHD_Result on_part(void *cls, enum MHD_ValueKind kind, const char *key, const char *filename,
                               const char *content_type, const char *transfer_encoding, const char *data,
                               uint64_t off, size_t size)
{
    (void)kind;
    (void)transfer_encoding;
    struct exchange *x = cls;
    if (x->upload_failed)
        return MHD_NO;
    struct upload *part = off && x->parts_count
                              ? &x->parts[x->parts_count - 1]
                              : add_part(x, str_from(key), str_from(filename), str_from(content_type));
    if (part)
        append(x, part, data, size);
    return x->upload_failed ? MHD_NO : MHD_YES;
}

enum err_code upload_begin(struct exchange *x, struct err *err)
{
    const struct str type = request_header(&x->req, "Content-Type");
    if (str_starts(type, STR("multipart/form-data"))) {
        x->post = MHD_create_post_processor(x->connection, 16384, on_part, x);
        if (!x->post)
            return err_set(err, ERR_INVALID, "http.multipart", ARG_END);
        return ERR_OK;
    }
    if (!add_part(x, (struct str) { 0 }, (struct str) { 0 }, type)) {
        *err = x->upload_err;
        return err->code;
    }
    return ERR_OK;
}

void upload_take(struct exchange *x, const char *bytes, size_t len)
{
    if (x->upload_failed || !len)
        return;
    if (!x->post) {
        append(x, &x->parts[0], bytes, len);
    } else if (MHD_post_process(x->post, bytes, len) != MHD_YES && !x->upload_failed) {
        x->upload_failed = true;
        (void)err_set(&x->upload_err, ERR_INVALID, "http.multipart", ARG_END);
    }
}

/* Ends the parsing; a form that stops in the middle of a part is an error. */
void upload_end(struct exchange *x)
{
    if (x->post && MHD_destroy_post_processor(x->post) != MHD_YES && !x->upload_failed) {
        x->upload_failed = true;
        (void)err_set(&x->upload_err, ERR_INVALID, "http.multipart", ARG_END);
    }
    x->post = NULL;
    for (int i = 0; i < x->parts_count; i++)
        if (x->parts[i].fd >= 0 && lseek(x->parts[i].fd, 0, SEEK_SET) < 0)
            fail_errno(x);
}
