/* exchange.c - the worker's side of a request: who is it, may they, the handler, the answer as bytes. */
#include "net/exchange.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "store/store.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#define GZIP_LEAST 1024 /* bytes; below, a header would cost as much as it saves */

static enum err_code admit(struct exchange *x, struct err *err);
static enum err_code check_in_time(struct exchange *x, struct err *err);
static bool replay(struct exchange *x, struct err *err, enum err_code *out_rc);
static void keep_answer(struct exchange *x, bool succeeded);
static void compress_body(struct exchange *x);

/* ---- the two steps ---- */

void exchange_ask(struct exchange *x)
{
    struct err err = { .code = ERR_INTERNAL, .id = "base.internal" };
    store_deadline_set(x->req.deadline_ms);
    if (check_in_time(x, &err) || admit(x, &err))
        exchange_fail(x, &err);
    store_deadline_set(0);
}

void exchange_run(struct exchange *x)
{
    struct err err = { .code = ERR_INTERNAL, .id = "base.internal" };
    const bool asked = x->match.route && x->match.route->flags & ROUTE_UPLOAD && x->req.who;
    store_deadline_set(x->req.deadline_ms);
    enum err_code rc = check_in_time(x, &err);
    if (!rc && !asked)
        rc = admit(x, &err);
    if (!rc && x->upload_failed) {
        err = x->upload_err;
        rc = err.code;
    }
    if (!rc && !replay(x, &err, &rc)) {
        assert(x->match.route); /* else admit() has refused it */
        rc = x->match.route->fn(&x->req, &x->reply, &err);
        if (!rc && x->reply.body.len && !x->reply.body.ptr)
            rc = err_nomem(&err);
    }
    if (rc)
        exchange_fail(x, &err);
    if (x->idem)
        keep_answer(x, !rc);
    if (!rc)
        compress_body(x);
    store_deadline_set(0);
}

static enum err_code check_in_time(struct exchange *x, struct err *err)
{
    if (server_mono(x->req.server) >= x->req.deadline_ms)
        return err_set(err, ERR_TIMEOUT, "http.deadline", ARG_END);
    return ERR_OK;
}

static bool is_change(const struct exchange *x)
{
    return !str_eq(x->req.method, STR("GET")) && !str_eq(x->req.method, STR("HEAD")) &&
           !str_eq(x->req.method, STR("OPTIONS"));
}

/* Everything that stands between a request and its handler. */
static enum err_code admit(struct exchange *x, struct err *err)
{
    struct request *req = &x->req;
    const struct http_hooks *hooks = &req->server->config.hooks;
    const struct route *route = x->match.route;
    const bool is_public = route && !*route->permission;
    if (!is_public) {
        const enum err_code rc = hooks->who ? hooks->who(hooks->ctx, req, &req->who, err) : ERR_OK;
        if (rc)
            return rc;
        if (!req->who)
            return err_set(err, ERR_NO_LOGIN, "http.no_login", ARG_END);
    }
    if (!route && x->other_method)
        return err_set(err, ERR_UNSUPPORTED, "http.method", ARG_STR("method", req->method), ARG_END);
    if (!route)
        return err_set(err, ERR_NOT_FOUND, "http.not_found", ARG_STR("path", req->path), ARG_END);
    if (is_public)
        return ERR_OK;
    if (!(route->flags & ROUTE_EARLY) && hooks->early) {
        const enum err_code rc = hooks->early(hooks->ctx, req->who, err);
        if (rc)
            return rc;
    }
    if (strcmp(route->permission, "*") != 0) {
        const struct str permission = match_permission(&x->match, req->arena);
        if (!permission.ptr)
            return err_nomem(err);
        if (!hooks->may || !hooks->may(hooks->ctx, req->who, permission))
            return err_set(err, ERR_FORBIDDEN, "http.forbidden", ARG_STR("permission", permission), ARG_END);
    }
    if (req->by_cookie && is_change(x) && !(route->flags & ROUTE_NO_CSRF) &&
        (!hooks->csrf || !hooks->csrf(hooks->ctx, req->who, request_header(req, "X-CSRF-Token"))))
        return err_set(err, ERR_FORBIDDEN, "http.csrf", ARG_END);
    return ERR_OK;
}

/* ---- Idempotency-Key ---- */

static void digest_text(struct digester *digester, struct str text)
{
    const uint64_t len = text.len; /* so that no two parts can be taken for one */
    digester_add(digester, &len, sizeof len);
    digester_add(digester, text.ptr ? text.ptr : "", text.len);
}

static void digest_query(void *arg, struct str name, struct str text)
{
    digest_text(arg, name);
    digest_text(arg, text);
}

static bool digest_file(struct digester *digester, const struct upload *part)
{
    char bytes[16384];
    int64_t at = 0;
    digest_text(digester, part->name);
    digest_text(digester, part->file_name);
    while (at < part->size) {
        const ssize_t got = pread(part->fd, bytes, sizeof bytes, at);
        if (got <= 0)
            return false;
        digester_add(digester, bytes, (size_t)got);
        at += got;
    }
    return true;
}

static struct str request_digest(struct exchange *x)
{
    unsigned char sum[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE];
    struct digester *digester = digester_new(DIGEST_SHA256);
    if (!digester)
        return (struct str) { 0 };
    digest_text(digester, x->req.method);
    digest_text(digester, x->req.path);
    request_query_each(&x->req, digest_query, digester);
    digest_text(digester, buf_get(&x->body));
    for (int i = 0; i < x->parts_count; i++)
        if (!digest_file(digester, &x->parts[i])) {
            digester_free(digester);
            return (struct str) { 0 };
        }
    digester_end(digester, sum);
    hex_put(sum, sizeof sum, hex);
    return arena_str(x->req.arena, str_from(hex));
}

/* The stored lines become the reply's headers again; a text of ours, so nothing is checked twice. */
static void take_headers(struct exchange *x, struct str lines)
{
    struct str line, name;
    while (str_cut(&lines, '\n', &line) && x->reply.header_count < REPLY_HEADERS_MAX - 3) {
        struct str value = line;
        (void)str_cut(&value, ':', &name);
        name = arena_str(x->req.arena, name);
        value = arena_str(x->req.arena, str_trim(value));
        if (!name.len || !name.ptr || !value.ptr)
            continue;
        if (str_eq(name, STR("Content-Type")))
            x->reply.content_type = value.ptr;
        else
            reply_header(&x->reply, name.ptr, value);
    }
}

static void keep_answer(struct exchange *x, bool succeeded)
{
    const struct http_hooks *hooks = &x->req.server->config.hooks;
    const struct reply *reply = &x->reply;
    const bool keep = succeeded && reply->status < 500 && reply->fd < 0 && !x->listener;
    struct buf lines;
    buf_init(&lines, 16384);
    if (keep && reply->content_type)
        buf_printf(&lines, "Content-Type: %s\n", reply->content_type);
    for (int i = 0; keep && i < reply->header_count; i++)
        if (strcmp(reply->headers[i].name, "Set-Cookie") != 0)
            buf_printf(&lines, "%s: %.*s\n", reply->headers[i].name, STR_ARG(reply->headers[i].value));
    const struct http_answer answer = { .status = keep && !lines.failed ? reply->status : 0,
                                        .headers = buf_get(&lines),
                                        .body = reply->body };
    hooks->idem_end(hooks->ctx, &x->req, x->idem_key, &answer);
    x->idem = false;
    buf_done(&lines);
}

/* True when the answer is there already (or an error): the handler must not run. */
static bool replay(struct exchange *x, struct err *err, enum err_code *out_rc)
{
    const struct http_hooks *hooks = &x->req.server->config.hooks;
    if (!hooks->idem_begin || !x->req.who || !str_eq(x->req.method, STR("POST")))
        return false;
    const struct str key = request_header(&x->req, "Idempotency-Key");
    if (!key.len)
        return false;
    if (key.len > 200) {
        *out_rc = err_set(err, ERR_LIMIT, "http.idempotency_long", ARG_INT("max", 200), ARG_END);
        return true;
    }
    const struct str digest = request_digest(x);
    bool found = false;
    struct http_answer answer = { 0 };
    *out_rc = digest.ptr ? hooks->idem_begin(hooks->ctx, &x->req, key, digest, &found, &answer, err)
                         : err_nomem(err);
    if (*out_rc)
        return true;
    if (found) {
        reply_bytes(&x->reply, NULL, answer.body);
        take_headers(x, answer.headers);
        x->reply.status = answer.status;
        reply_header(&x->reply, "Idempotency-Replayed", STR("true"));
        return true;
    }
    x->idem = true;
    x->idem_key = key;
    return false;
}

/* ---- errors ---- */

static json_t *args_json(const struct err *err)
{
    json_t *args = json_object();
    for (int i = 0; i < ERR_ARGS_MAX && err->args[i].name; i++)
        (void)json_object_set_new(args, err->args[i].name,
                                  err->args[i].is_text ? json_string(err->args[i].text)
                                                       : json_integer(err->args[i].number));
    return args;
}

static json_t *finding_json(struct exchange *x, const struct err *err)
{
    const struct str text = err_text(x->req.arena, err, x->req.server->config.words, x->req.lang);
    json_t *one = json_object();
    (void)json_object_set_new(one, "pointer", json_string(err->at.pointer));
    (void)json_object_set_new(one, "code", json_string(err->id ? err->id : "base.internal"));
    (void)json_object_set_new(one, "args", args_json(err));
    (void)json_object_set_new(one, "message", json_str(text));
    if (err->at.line) {
        (void)json_object_set_new(one, "line", json_integer(err->at.line));
        (void)json_object_set_new(one, "column", json_integer(err->at.column));
    }
    return one;
}

static int status_of(const struct exchange *x, const struct err *err)
{
    if (err->id && strcmp(err->id, "http.method") == 0)
        return 405;
    (void)x;
    return err_http_status(err->code);
}

static void log_failure(const struct exchange *x, const struct err *err, int status)
{
    if (status >= 500 && err->code != ERR_BUSY)
        log_err(err, "http.failed", "%.*s %.*s id=%.*s status=%d", STR_ARG(x->req.method),
                STR_ARG(x->req.path), STR_ARG(x->req.id), status);
    else
        log_line(LOG_DEBUG, "http.refused", "%.*s %.*s id=%.*s status=%d %s", STR_ARG(x->req.method),
                 STR_ARG(x->req.path), STR_ARG(x->req.id), status, err->id ? err->id : "");
}

static void add_hints(struct exchange *x, const struct err *err, int status)
{
    if (status == 503)
        reply_header(&x->reply, "Retry-After", STR("2"));
    if (status == 401)
        reply_header(&x->reply, "WWW-Authenticate", STR("Bearer realm=\"bihuan\""));
    if (status == 405) {
        struct buf methods;
        buf_init(&methods, 256);
        router_methods(x->req.server->router, x->req.path, &methods);
        const struct str text = arena_str(x->req.arena, buf_get(&methods));
        buf_done(&methods);
        if (text.ptr)
            reply_header(&x->reply, "Allow", text);
    }
    (void)err;
}

void exchange_fail(struct exchange *x, const struct err *err)
{
    const struct str fallback =
        STR("{\"type\":\"urn:bihuan:problem:no_memory\",\"title\":\"no memory\",\"status\":503}");
    struct request *req = &x->req;
    const struct words *words = req->server->config.words;
    const int status = status_of(x, err);
    log_failure(x, err, status);
    if (x->reply.fd >= 0)
        (void)close(x->reply.fd);
    /* Replies of handlers may carry a cookie to clear; a failure keeps no half-made headers. */
    x->reply = (struct reply) { .arena = req->arena, .status = status, .fd = -1 };
    const struct findings *findings = req->findings && req->findings->count ? req->findings : NULL;
    char title_key[64];
    (void)snprintf(title_key, sizeof title_key, "problem.%s", err_name(err->code));
    const struct str detail = err_text(req->arena, err, words, req->lang);
    const struct str title = words_get(words, req->lang, str_from(title_key));
    json_t *problem = json_object(), *errors = json_array();
    for (int i = 0; findings && i < findings->count; i++)
        (void)json_array_append_new(errors, finding_json(x, &findings->items[i]));
    if (!findings)
        (void)json_array_append_new(errors, finding_json(x, err));
    (void)json_object_set_new(problem, "type", json_sprintf("urn:bihuan:problem:%s", err_name(err->code)));
    (void)json_object_set_new(problem, "title", json_str(title));
    (void)json_object_set_new(problem, "status", json_integer(status));
    (void)json_object_set_new(problem, "detail", json_str(detail));
    (void)json_object_set_new(problem, "instance", json_str(req->id));
    (void)json_object_set_new(problem, "errors", errors);
    if (findings && findings->more)
        (void)json_object_set_new(problem, "more", json_integer(findings->more));
    struct err ignored;
    if (reply_json(&x->reply, problem, &ignored)) {
        x->reply.status = 503; /* whatever it was, it cannot be told */
        reply_bytes(&x->reply, "application/json", fallback);
    }
    x->reply.content_type = "application/problem+json; charset=utf-8";
    add_hints(x, err, x->reply.status);
}

/* ---- compression ---- */

static bool worth_it(const struct exchange *x)
{
    if (!x->gzip || x->reply.body.len < GZIP_LEAST || x->reply.fd >= 0 || !x->reply.content_type)
        return false;
    return str_starts(str_from(x->reply.content_type), STR("application/json")) ||
           str_starts(str_from(x->reply.content_type), STR("text/"));
}

static void compress_body(struct exchange *x)
{
    if (!worth_it(x))
        return;
    z_stream stream = { 0 };
    const struct str body = x->reply.body;
    if (body.len > (size_t)32 << 20 ||
        deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    const uLong bound = deflateBound(&stream, (uLong)body.len);
    char *out = arena_alloc(x->req.arena, 1, bound);
    if (out) {
        stream.next_in = (Bytef *)(uintptr_t)body.ptr;
        stream.avail_in = (uInt)body.len;
        stream.next_out = (Bytef *)out;
        stream.avail_out = (uInt)bound;
        if (deflate(&stream, Z_FINISH) == Z_STREAM_END && x->reply.header_count + 2 <= REPLY_HEADERS_MAX) {
            x->reply.body = (struct str) { out, stream.total_out };
            reply_header(&x->reply, "Content-Encoding", STR("gzip"));
            reply_header(&x->reply, "Vary", STR("Accept-Encoding"));
        }
    }
    (void)deflateEnd(&stream);
}

/* ---- the end ---- */

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    struct http_server *server = x->req.server;
    if (x->listener)
        listener_drop(server, x->listener);
    upload_end(x);
    if (x->req.who && server->config.hooks.who_release)
        server->config.hooks.who_release(server->config.hooks.ctx, x->req.who);
    if (x->reply.fd >= 0)
        (void)close(x->reply.fd);
    for (int i = 0; i < x->parts_count; i++)
        if (x->parts[i].fd >= 0)
            (void)close(x->parts[i].fd);
    json_decref(x->json);
    buf_done(&x->body);
    if (x->counted)
        atomic_fetch_sub(&server->active, 1);
    arena_free(x->req.arena);
    mem_free(x);
}
