/* reply.c - what handlers answer. */
#include "net/exchange.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char JSON_TYPE[] = "application/json; charset=utf-8";

/* jansson's dump goes straight into the arena's buffer. */
static int dump_to(const char *bytes, size_t len, void *arg)
{
    struct buf *out = arg;
    buf_add(out, bytes, len);
    return out->failed ? -1 : 0;
}

enum err_code reply_json(struct reply *reply, json_t *json, struct err *err)
{
    if (!json)
        return err_nomem(err);
    struct buf out;
    buf_init(&out, (size_t)64 << 20);
    const int failed = json_dump_callback(json, dump_to, &out, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    const struct str text = failed ? (struct str) { 0 } : arena_str(reply->arena, buf_get(&out));
    buf_done(&out);
    if (!text.ptr)
        return err_nomem(err);
    reply_bytes(reply, JSON_TYPE, text);
    return ERR_OK;
}

/* A copy in the arena; without memory the length stays, so that the handler's answer becomes an error. */
static struct str kept(struct reply *reply, struct str text)
{
    return (struct str) { arena_str(reply->arena, text).ptr, text.len };
}

void reply_json_text(struct reply *reply, struct str json)
{
    reply_bytes(reply, JSON_TYPE, kept(reply, json));
}

void reply_text(struct reply *reply, struct str text)
{
    reply_bytes(reply, "text/plain; charset=utf-8", kept(reply, text));
}

void reply_bytes(struct reply *reply, const char *content_type, struct str bytes)
{
    reply->content_type = content_type;
    reply->body = bytes;
}

void reply_empty(struct reply *reply)
{
    reply->status = 204;
    reply->content_type = NULL;
    reply->body = (struct str) { 0 };
}

void reply_fd(struct reply *reply, const char *content_type, int fd, int64_t size)
{
    if (reply->fd >= 0)
        (void)close(reply->fd);
    reply->content_type = content_type;
    reply->fd = fd;
    reply->fd_size = size;
}

enum err_code http_spool(struct http_server *server, int *out_fd, struct err *err)
{
    const char *dir = server->config.temp_dir ? server->config.temp_dir : "/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) { /* a file system without nameless files */
        char path[1024];
        (void)snprintf(path, sizeof path, "%.900s/spool-XXXXXX", dir);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            (void)unlink(path);
    }
    if (fd < 0)
        return err_set(err, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "file.open", ARG_TEXT("path", dir),
                       ARG_ERRNO(errno), ARG_END);
    *out_fd = fd;
    return ERR_OK;
}

void reply_header(struct reply *reply, const char *name, struct str value)
{
    assert(reply->header_count < REPLY_HEADERS_MAX);
    reply->headers[reply->header_count++] = (struct reply_header) { name, value };
}

void reply_version(struct reply *reply, int64_t version)
{
    reply_header(reply, "ETag", arena_printf(reply->arena, "\"%lld\"", (long long)version));
}

void reply_created(struct reply *reply, struct str location)
{
    reply->status = 201;
    reply_header(reply, "Location", location);
}

void reply_download(struct reply *reply, struct str file_name)
{
    struct buf out;
    buf_init(&out, 4096);
    buf_text(&out, "attachment; filename*=UTF-8''");
    for (size_t i = 0; i < file_name.len; i++) {
        const unsigned char c = (unsigned char)file_name.ptr[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
            c == '-' || c == '_')
            buf_char(&out, (char)c);
        else
            buf_printf(&out, "%%%02X", c);
    }
    const struct str value = out.failed ? STR("attachment") : arena_str(reply->arena, buf_get(&out));
    buf_done(&out);
    reply_header(reply, "Content-Disposition", value.ptr ? value : STR("attachment"));
}
