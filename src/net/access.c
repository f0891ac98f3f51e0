/* access.c - the HTTP thread's side of a request: libmicrohttpd's callbacks, limits, to the workers and back.
 *
 * Invariants:
 * 1. A connection is suspended exactly while its exchange is with a worker (or its live page sleeps);
 *    nobody but the owner of the exchange touches it.
 * 2. A place in the pool's queue is taken before the connection is suspended, so that a full queue is
 *    answered at once. */
#include "net/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#define SWALLOW_MAX ((int64_t)8 << 20) /* of a body that is too large, so that its sender hears of it */

/* A request line that cannot be served: known before there is an exchange. */
static char BAD_URI;

/* ---- one request, HTTP thread ---- */

void *access_on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    const struct http_server *server = cls;
    link_enter(server, link_of(connection), LINK_HEAD);
    return strstr(uri, "%00") ? &BAD_URI : NULL;
}

/* Ours when the client sends none that is safe to log and to print. */
static struct str request_id(struct exchange *x)
{
    const struct str given = request_header(&x->req, "X-Request-Id");
    bool fine = given.len >= 8 && given.len <= 64;
    for (size_t i = 0; fine && i < given.len; i++) {
        const char c = given.ptr[i];
        fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_';
    }
    if (fine)
        return given;
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = (uint64_t)(uintptr_t)x ^ (uint64_t)x->began_ms;
    return arena_printf(x->req.arena, "%016" PRIx64, number);
}

/* Who is at the other end: behind a trusted proxy the last address that it does not trust. */
static struct str remote_of(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[46];
    address_text(info ? info->client_addr : NULL, text);
    struct str remote = arena_str(x->req.arena, str_from(text));
    struct http_server *server = x->req.server;
    if (!server_trusts(server, remote))
        return remote;
    x->req.secure =
        x->req.secure || str_eq_nocase(request_header(&x->req, "X-Forwarded-Proto"), STR("https"));
    struct str list = request_header(&x->req, "X-Forwarded-For");
    while (list.len) {
        size_t at = list.len;
        while (at && list.ptr[at - 1] != ',')
            at--;
        const struct str one = str_trim(str_slice(list, at, list.len));
        if (one.len && one.len < 46)
            remote = one;
        if (!server_trusts(server, remote) || !at)
            break;
        list = str_slice(list, 0, at - 1);
    }
    return remote;
}

static bool fill_request(struct exchange *x, const char *url, const char *method)
{
    struct http_server *server = x->req.server;
    struct request *req = &x->req;
    req->arena = arena_new(server->limits.arena_max);
    if (!req->arena)
        return false;
    x->reply = (struct reply) { .arena = req->arena, .status = 200, .fd = -1 };
    req->method = arena_str(req->arena, str_from(method));
    req->path = arena_str(req->arena, str_from(url));
    req->lang = lang_from(request_header(req, "Accept-Language"));
    req->secure = server->tls != NULL;
    req->remote = remote_of(x);
    req->id = request_id(x);
    x->head_only = str_eq(req->method, STR("HEAD"));
    x->gzip = str_find(request_header(req, "Accept-Encoding"), STR("gzip")) >= 0;
    return req->method.ptr && req->path.ptr && req->remote.ptr && req->id.ptr;
}

static struct exchange *exchange_new(struct http_server *server, struct MHD_Connection *connection,
                                     const char *url, const char *method)
{
    struct exchange *x = mem_alloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->req.server = server;
    x->connection = connection;
    x->link = link_of(connection);
    x->began_ms = server_mono(server);
    x->reply.fd = -1;
    if (!fill_request(x, url, method)) {
        exchange_free(x);
        return NULL;
    }
    x->counted = true;
    atomic_fetch_add(&server->active, 1);
    return x;
}

static struct MHD_Response *make_response(struct exchange *x)
{
    struct reply *reply = &x->reply;
    struct MHD_Response *response;
    if (x->listener) {
        response = events_response(x);
    } else if (reply->fd >= 0) {
        response = MHD_create_response_from_fd64((uint64_t)reply->fd_size, reply->fd);
        if (response)
            reply->fd = -1; /* the library closes it */
    } else {
        /* The bytes lie in the arena, which lives until access_on_completed(). */
        response = MHD_create_response_from_buffer(reply->body.len, (void *)(uintptr_t)reply->body.ptr,
                                                   MHD_RESPMEM_PERSISTENT);
    }
    return response;
}

static void count_answer(struct exchange *x, int status)
{
    struct http_server *server = x->req.server;
    const int64_t took = server_mono(server) - x->began_ms;
    int bucket = 0;
    while (bucket < LATENCY_BUCKETS && took > LATENCY_MS[bucket])
        bucket++;
    atomic_fetch_add(&server->latency[bucket], 1);
    atomic_fetch_add(&server->latency_sum_ms, (uint64_t)took);
    atomic_fetch_add(&server->answered[status >= 100 && status < 600 ? status / 100 : 5], 1);
}

static enum MHD_Result send_reply(struct exchange *x)
{
    struct reply *reply = &x->reply;
    struct MHD_Response *response = make_response(x);
    if (!response)
        return MHD_NO;
    if (reply->content_type)
        (void)MHD_add_response_header(response, "Content-Type", reply->content_type);
    bool cache_said = false;
    for (int i = 0; i < reply->header_count; i++) {
        const struct str value = reply->headers[i].value;
        char line[4096];
        if (!value.ptr || value.len >= sizeof line)
            continue;
        (void)snprintf(line, sizeof line, "%.*s", STR_ARG(value));
        (void)MHD_add_response_header(response, reply->headers[i].name, line);
        cache_said = cache_said || strcmp(reply->headers[i].name, "Cache-Control") == 0;
    }
    if (!cache_said)
        (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Request-Id", x->req.id.ptr);
    response_secure(response, x->req.secure);
    if (x->close || atomic_load(&x->req.server->draining))
        (void)MHD_add_response_header(response, "Connection", "close");
    count_answer(x, reply->status);
    link_enter(x->req.server, x->link, x->listener ? LINK_LIVE : LINK_SEND);
    if (x->link)
        atomic_store(&x->link->bytes, x->reply.fd_size + (int64_t)reply->body.len);
    const enum MHD_Result queued = MHD_queue_response(x->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result refuse(struct exchange *x, enum err_code code, const char *id, int64_t max)
{
    struct err err;
    (void)err_set(&err, code, id, ARG_INT("max", max), ARG_END);
    exchange_fail(x, &err);
    x->phase = PHASE_DONE;
    return send_reply(x);
}

/* ---- to the workers and back ---- */

static void back_to_http(struct exchange *x, enum phase phase)
{
    struct MHD_Connection *connection = x->connection;
    x->phase = phase;
    MHD_resume_connection(connection); /* from here on x is the HTTP thread's */
}

static void job_ask(void *arg)
{
    struct exchange *x = arg;
    exchange_ask(x);
    x->close = x->reply.content_type != NULL; /* refused: the body is never read */
    back_to_http(x, x->close ? PHASE_DONE : PHASE_BODY);
}

static void job_run(void *arg)
{
    struct exchange *x = arg;
    exchange_run(x);
    back_to_http(x, PHASE_DONE);
}

static enum MHD_Result to_worker(struct exchange *x, enum phase phase, pool_fn job)
{
    struct http_server *server = x->req.server;
    if (!pool_reserve(server->pool)) {
        atomic_fetch_add(&server->refused_busy, 1);
        x->close = phase == PHASE_ASK;
        return refuse(x, ERR_BUSY, "http.busy", 0);
    }
    x->phase = phase;
    const bool is_long = x->match.route && x->match.route->flags & ROUTE_LONG;
    x->req.deadline_ms =
        server_mono(server) + (is_long ? server->limits.long_ms : atomic_load(&server->deadline_ms));
    link_enter(server, x->link, LINK_WORK);
    MHD_suspend_connection(x->connection);
    pool_push(server->pool, job, x);
    return MHD_YES;
}

/* ---- the steps of a request ---- */

static bool is_api(struct str path)
{
    return str_starts(path, STR("/api/")) || str_eq(path, STR("/api"));
}

static enum MHD_Result answer_page(struct exchange *x)
{
    struct http_server *server = x->req.server;
    enum MHD_Result queued = MHD_NO;
    if (!str_eq(x->req.method, STR("GET")) && !x->head_only)
        return refuse(x, ERR_UNSUPPORTED, "http.method", 0);
    if (statics_answer(server->statics, x, &queued)) {
        x->phase = PHASE_DONE;
        link_enter(server, x->link, LINK_SEND);
        if (x->link)
            atomic_store(&x->link->bytes, 64 << 20);
        count_answer(x, 200);
        return queued;
    }
    struct err err;
    (void)err_set(&err, ERR_NOT_FOUND, "http.not_found", ARG_STR("path", x->req.path), ARG_END);
    exchange_fail(x, &err);
    x->phase = PHASE_DONE;
    return send_reply(x);
}

static int64_t body_limit(const struct exchange *x)
{
    struct http_server *server = x->req.server;
    const unsigned flags = x->match.route ? x->match.route->flags : 0;
    return flags & ROUTE_UPLOAD  ? atomic_load(&server->upload_max)
           : flags & ROUTE_LARGE ? (int64_t)server->limits.large_max
                                 : atomic_load(&server->body_max);
}

/* The headers are there. */
static enum MHD_Result begin(struct exchange *x)
{
    struct http_server *server = x->req.server;
    struct request *req = &x->req;
    if (!utf8_valid(req->path)) {
        x->close = true;
        return refuse(x, ERR_INVALID, "http.json_utf8", 0);
    }
    const enum router_answer found = router_find(server->router, req->method, req->path, &x->match);
    x->req.ctx = x->match.ctx;
    x->other_method = found == ROUTER_OTHER_METHOD;
    x->body_max = body_limit(x);
    buf_init(&x->body, (size_t)x->body_max);
    const struct str length = request_header(req, "Content-Length");
    int64_t announced = 0;
    if (length.len && (!str_i64(length, &announced) || announced < 0 || announced > x->body_max)) {
        /* Who is still sending when the connection closes may never read the answer; hence a body that is not
         * far too large is read and thrown away. */
        const bool waits = request_header(req, "Expect").len > 0;
        x->body_over = true;
        if (waits || announced <= 0 || announced > x->body_max + SWALLOW_MAX) {
            x->close = true;
            return refuse(x, ERR_TOO_LARGE, "http.body_large", x->body_max);
        }
    }
    /* Answered when the request is whole: the library closes the connection of an earlier answer. */
    x->is_page = found != ROUTER_FOUND && !is_api(req->path) && !x->other_method;
    const bool has_body = announced > 0 || request_header(req, "Transfer-Encoding").len;
    if (x->match.route && x->match.route->flags & ROUTE_UPLOAD && has_body && *x->match.route->permission)
        return to_worker(x, PHASE_ASK, job_ask);
    x->phase = PHASE_BODY;
    link_enter(server, x->link, LINK_BODY);
    return MHD_YES;
}

static void take_body(struct exchange *x, const char *data, size_t size)
{
    x->body_seen += (int64_t)size;
    atomic_fetch_add(&x->req.server->bytes_in, size);
    if (x->link)
        atomic_store(&x->link->bytes, x->body_seen);
    x->body_over = x->body_over || x->body_seen > x->body_max;
    if (x->body_over)
        return;
    if (x->match.route && x->match.route->flags & ROUTE_UPLOAD) {
        if (!x->post && !x->parts_count && !x->upload_failed && upload_begin(x, &x->upload_err))
            x->upload_failed = true;
        upload_take(x, data, size);
    } else {
        buf_add(&x->body, data, size);
    }
}

/* The whole request is there. */
static enum MHD_Result complete(struct exchange *x)
{
    upload_end(x);
    if (x->is_page)
        return answer_page(x);
    if (x->body_over)
        return refuse(x, ERR_TOO_LARGE, "http.body_large", x->body_max);
    if (x->body.failed)
        return refuse(x, ERR_NOMEM, "base.no_memory", 0);
    if (x->match.route && x->match.route->flags & ROUTE_INLINE) {
        x->phase = PHASE_DONE;
        x->req.deadline_ms = INT64_MAX;
        exchange_run(x);
        return send_reply(x);
    }
    return to_worker(x, PHASE_RUN, job_run);
}

static enum MHD_Result refuse_uri(struct MHD_Connection *connection)
{
    static const char text[] =
        "{\"type\":\"urn:bihuan:problem:invalid\",\"title\":\"invalid\",\"status\":400,"
        "\"detail\":\"the address holds a NUL\",\"errors\":[]}";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof text - 1, (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "application/problem+json");
    (void)MHD_add_response_header(response, "Connection", "close");
    response_secure(response, false);
    const enum MHD_Result queued = MHD_queue_response(connection, 400, response);
    MHD_destroy_response(response);
    return queued;
}

enum MHD_Result access_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **con_cls)
{
    struct http_server *server = cls;
    (void)version;
    if (*con_cls == &BAD_URI)
        return refuse_uri(connection);
    struct exchange *x = *con_cls;
    if (!x) {
        x = exchange_new(server, connection, url, method);
        if (!x)
            return MHD_NO;
        *con_cls = x;
        return begin(x);
    }
    switch (x->phase) {
    case PHASE_BODY:
        if (*data_size) {
            take_body(x, data, *data_size);
            *data_size = 0;
            return x->body_seen > x->body_max + SWALLOW_MAX ? MHD_NO : MHD_YES;
        }
        if (x->req.who && x->body_seen == 0 && !x->parts_count && x->link &&
            atomic_load(&x->link->state) == LINK_WORK) {
            /* Back from PHASE_ASK: the body starts to come in now. */
            link_enter(server, x->link, LINK_BODY);
            return MHD_YES;
        }
        return complete(x);
    case PHASE_DONE:
        return send_reply(x);
    case PHASE_HEAD:
    case PHASE_ASK:
    case PHASE_RUN:
        break;
    }
    return MHD_NO;
}

void access_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    const struct http_server *server = cls;
    (void)code;
    if (*con_cls && *con_cls != &BAD_URI)
        exchange_free(*con_cls);
    *con_cls = NULL;
    link_enter(server, link_of(connection), LINK_IDLE);
}
