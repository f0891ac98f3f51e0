/* server.c - the HTTP thread's side: libmicrohttpd's callbacks, limits, start, drain and end.
 *
 * Invariants:
 * 1. A connection is suspended exactly while its exchange is with a worker (or its live page sleeps);
 *    nobody but the owner of the exchange touches it.
 * 2. A place in the pool's queue is taken before the connection is suspended, so that a full queue is
 *    answered at once.
 * 3. A link's descriptor is only shut down under links_lock, and leaves the list before it is closed. */
#include "net/exchange.h"
#include "base/cond.h"
#include "crypto/digest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const struct http_limits HTTP_LIMITS = {
    .header_max = 32 << 10,
    .body_max = 1 << 20,
    .large_max = 16 << 20,
    .upload_max = (int64_t)100 << 20,
    .arena_max = 64 << 20,
    .deadline_ms = 15000,
    .long_ms = 60000,
    .header_ms = 20000,
    .body_rate = 8192,
    .idle_ms = 60000,
    .connections = 4096,
    .connections_each = 0,
    .listeners = 2000,
    .io_threads = 2,
    .workers = 64,
    .queue = 512,
};

#define SLOW_GRACE_MS 30000
#define SWALLOW_MAX ((int64_t)8 << 20) /* of a body that is too large, so that its sender hears of it */

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data, size_t *data_size,
                                 void **con_cls);
static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code);
static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code);
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection);
static void on_library_log(void *cls, const char *format, va_list args) PRINTF_LIKE(2, 0);

/* A request line that cannot be served: known before there is an exchange. */
static char BAD_URI;

/* ---- links: connections and the guard that ends slow ones ---- */

static struct link *link_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct link *link = mem_alloc(1, sizeof *link);
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = link;
        if (!link)
            return;
        link->fd = info ? info->connect_fd : -1;
        link_enter(server, link, LINK_IDLE);
        (void)pthread_mutex_lock(&server->links_lock);
        link->next = server->links;
        link->place = &server->links;
        if (server->links)
            server->links->place = &link->next;
        server->links = link;
        (void)pthread_mutex_unlock(&server->links_lock);
        atomic_fetch_add(&server->links_count, 1);
    } else if (*socket_context) {
        struct link *link = *socket_context;
        (void)pthread_mutex_lock(&server->links_lock);
        *link->place = link->next;
        if (link->next)
            link->next->place = link->place;
        (void)pthread_mutex_unlock(&server->links_lock);
        atomic_fetch_sub(&server->links_count, 1);
        mem_free(link);
        *socket_context = NULL;
    }
}

/* How long the state may last; 0 = for ever. */
static int64_t patience_ms(const struct http_server *server, const struct link *link)
{
    switch ((enum link_state)atomic_load(&link->state)) {
    case LINK_IDLE:
        return (int64_t)server->limits.idle_ms + server->limits.header_ms;
    case LINK_HEAD:
        return server->limits.header_ms;
    case LINK_BODY:
    case LINK_SEND:
        return SLOW_GRACE_MS + atomic_load(&link->bytes) * 1000 / server->limits.body_rate;
    case LINK_WORK:
    case LINK_LIVE:
        return 0;
    }
    return 0;
}

/* Has the peer hung up in the middle of a request?  The library (0.9.75, edge-triggered) misses an end that
 * came together with the last bytes, and would keep the connection until it times out.  Seen twice, so that a
 * whole request that was just read is not taken for a half one. */
static bool has_gone(struct link *link)
{
    const enum link_state state = (enum link_state)atomic_load(&link->state);
    char byte;
    const bool waits = state == LINK_IDLE || state == LINK_HEAD || state == LINK_BODY;
    if (link->fd < 0 || !waits || recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
        link->gone = 0;
    else
        link->gone++;
    return link->gone >= 2;
}

static void end_slow_links(struct http_server *server)
{
    const int64_t now = server_mono(server);
    (void)pthread_mutex_lock(&server->links_lock);
    for (struct link *link = server->links; link; link = link->next) {
        const int64_t patience = patience_ms(server, link);
        if (link->ended)
            continue;
        const bool slow = patience && now - atomic_load(&link->since_ms) >= patience;
        if (!slow && !has_gone(link))
            continue;
        link->ended = true;
        atomic_fetch_add(&server->ended_slow, slow);
        if (link->fd >= 0)
            (void)shutdown(link->fd, SHUT_RDWR);
    }
    (void)pthread_mutex_unlock(&server->links_lock);
}

static void *guard_run(void *arg)
{
    struct http_server *server = arg;
    (void)pthread_mutex_lock(&server->guard_lock);
    while (!server->guard_stop) {
        (void)cond_wait_ms(&server->guard_wake, &server->guard_lock, 1000);
        (void)pthread_mutex_unlock(&server->guard_lock);
        end_slow_links(server);
        events_tick(server->events);
        (void)pthread_mutex_lock(&server->guard_lock);
    }
    (void)pthread_mutex_unlock(&server->guard_lock);
    return NULL;
}

/* ---- one request, HTTP thread ---- */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
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
        /* The bytes lie in the arena, which lives until on_completed(). */
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

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data, size_t *data_size,
                                 void **con_cls)
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

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    const struct http_server *server = cls;
    (void)code;
    if (*con_cls && *con_cls != &BAD_URI)
        exchange_free(*con_cls);
    *con_cls = NULL;
    link_enter(server, link_of(connection), LINK_IDLE);
}

static void on_library_log(void *cls, const char *format, va_list args)
{
    (void)cls;
    char line[512];
    (void)vsnprintf(line, sizeof line, format, args);
    log_line(LOG_DEBUG, "http.library", "%s", line);
}

/* ---- making, starting ---- */

static void take_defaults(struct http_limits *limits)
{
    const struct http_limits *from = &HTTP_LIMITS;
#define TAKE(name) limits->name = limits->name ? limits->name : from->name
    TAKE(header_max);
    TAKE(body_max);
    TAKE(large_max);
    TAKE(upload_max);
    TAKE(arena_max);
    TAKE(deadline_ms);
    TAKE(long_ms);
    TAKE(header_ms);
    TAKE(body_rate);
    TAKE(idle_ms);
    TAKE(connections);
    TAKE(connections_each);
    TAKE(listeners);
    TAKE(io_threads);
    TAKE(workers);
    TAKE(queue);
#undef TAKE
}

/* What may change while running: all of it or nothing. */
static enum err_code take_live(struct http_server *server, const struct http_config *config, struct err *err)
{
    struct cidr_list proxies, metrics_from;
    struct http_limits limits = config->limits;
    const char *from = config->metrics_from ? config->metrics_from : "127.0.0.0/8,::1";
    const char *text = config->metrics_token;
    char *token = NULL;
    enum err_code rc = cidr_list_parse(str_from(config->proxies ? config->proxies : ""), &proxies, err);
    if (!rc)
        rc = cidr_list_parse(str_from(from), &metrics_from, err);
    if (!rc && text && *text && !(token = mem_copy(text, strlen(text))))
        rc = err_nomem(err);
    if (rc)
        return rc;
    take_defaults(&limits);
    (void)pthread_rwlock_wrlock(&server->live_lock);
    char *old = server->metrics_token;
    server->proxies = proxies;
    server->metrics_from = metrics_from;
    server->metrics_token = token;
    (void)pthread_rwlock_unlock(&server->live_lock);
    mem_free(old);
    atomic_store(&server->body_max, (int64_t)limits.body_max);
    atomic_store(&server->upload_max, limits.upload_max);
    atomic_store(&server->deadline_ms, limits.deadline_ms);
    return ERR_OK;
}

bool server_trusts(struct http_server *server, struct str address)
{
    (void)pthread_rwlock_rdlock(&server->live_lock);
    const bool trusted = cidr_list_has(&server->proxies, address);
    (void)pthread_rwlock_unlock(&server->live_lock);
    return trusted;
}

bool server_shows_metrics(struct http_server *server, const struct request *req)
{
    const struct str given = request_header(req, "Authorization");
    (void)pthread_rwlock_rdlock(&server->live_lock);
    bool shown = cidr_list_has(&server->metrics_from, req->remote);
    if (!shown && server->metrics_token && str_starts(given, STR("Bearer ")))
        shown = crypto_equal(str_slice(given, 7, given.len), str_from(server->metrics_token));
    (void)pthread_rwlock_unlock(&server->live_lock);
    return shown;
}

enum err_code http_new(const struct http_config *config, struct http_server **out_server, struct err *err)
{
    struct http_server *server = mem_alloc(1, sizeof *server);
    if (!server)
        return err_nomem(err);
    server->config = *config;
    server->limits = config->limits;
    take_defaults(&server->limits);
    server->listen_fd = -1;
    (void)pthread_mutex_init(&server->links_lock, NULL);
    (void)pthread_mutex_init(&server->guard_lock, NULL);
    cond_init(&server->guard_wake);
    (void)pthread_rwlock_init(&server->live_lock, NULL);
    enum err_code rc = take_live(server, config, err);
    if (!rc) {
        server->router = router_new();
        server->events = events_new(server);
        if (!server->router || !server->events)
            rc = err_nomem(err);
    }
    if (!rc)
        rc = http_add_routes(server, HEALTH_ROUTES, server, err);
    if (rc) {
        http_free(server);
        return rc;
    }
    *out_server = server;
    return ERR_OK;
}

void http_set_hooks(struct http_server *server, const struct http_hooks *hooks)
{
    assert(!server->daemon);
    server->config.hooks = *hooks;
}

enum err_code http_add_routes(struct http_server *server, const struct route *routes, void *ctx,
                              struct err *err)
{
    assert(!server->daemon);
    for (const struct route *route = routes; route->method; route++) {
        const enum err_code rc = router_add(server->router, route, ctx, err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code net_error(struct err *err, const char *host, int port, const char *reason)
{
    return err_set(err, ERR_NET, "net.listen", ARG_TEXT("host", host), ARG_INT("port", port),
                   ARG_TEXT("reason", reason), ARG_END);
}

static enum err_code open_listener(struct http_server *server, struct err *err)
{
    const char *host = server->config.host ? server->config.host : "127.0.0.1";
    const int port = server->config.port;
    char service[16];
    (void)snprintf(service, sizeof service, "%d", port);
    const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    const int failed = getaddrinfo(*host ? host : NULL, service, &hints, &found);
    if (failed)
        return net_error(err, host, port, gai_strerror(failed));
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1, off = 0;
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd >= 0 && found->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1024) != 0) {
        char reason[128];
        const int number = errno;
        freeaddrinfo(found);
        if (fd >= 0)
            (void)close(fd);
        return net_error(err, host, port, strerror_r(number, reason, sizeof reason));
    }
    struct sockaddr_storage own;
    socklen_t own_len = sizeof own;
    char number[16] = "0";
    if (getsockname(fd, (struct sockaddr *)&own, &own_len) == 0)
        (void)getnameinfo((struct sockaddr *)&own, own_len, NULL, 0, number, sizeof number, NI_NUMERICSERV);
    int64_t value = port;
    (void)str_i64(str_from(number), &value);
    server->listen_fd = fd;
    server->port = (int)value;
    const bool v6 = strchr(host, ':') != NULL;
    (void)snprintf(server->address, sizeof server->address, "%s://%s%.64s%s:%d",
                   server->tls ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "", server->port);
    freeaddrinfo(found);
    return ERR_OK;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max > 65536 ? 65536 : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum err_code start_daemon(struct http_server *server, struct err *err)
{
    struct MHD_OptionItem options[24];
    size_t count = 0;
    const struct http_limits *limits = &server->limits;
#define OPTION(option, value, pointer)                                                                       \
    options[count++] = (struct MHD_OptionItem) { option, (intptr_t)(value), pointer }
    OPTION(MHD_OPTION_EXTERNAL_LOGGER, on_library_log, server);
    OPTION(MHD_OPTION_LISTEN_SOCKET, server->listen_fd, NULL);
    OPTION(MHD_OPTION_THREAD_POOL_SIZE, limits->io_threads, NULL);
    OPTION(MHD_OPTION_CONNECTION_LIMIT, limits->connections, NULL);
    OPTION(MHD_OPTION_PER_IP_CONNECTION_LIMIT, limits->connections_each, NULL);
    OPTION(MHD_OPTION_CONNECTION_TIMEOUT, (limits->idle_ms + 999) / 1000, NULL);
    OPTION(MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->header_max, NULL);
    OPTION(MHD_OPTION_NOTIFY_COMPLETED, on_completed, server);
    OPTION(MHD_OPTION_NOTIFY_CONNECTION, on_connection, server);
    OPTION(MHD_OPTION_URI_LOG_CALLBACK, on_uri, server);
    OPTION(MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL);
    OPTION(MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL);
    if (server->tls) {
        OPTION(MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_callback(server->tls));
        OPTION(MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1");
    }
    OPTION(MHD_OPTION_END, 0, NULL);
#undef OPTION
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                           MHD_USE_ITC | (server->tls ? MHD_USE_TLS : 0);
    server->daemon = MHD_start_daemon(flags, (uint16_t)server->port, NULL, NULL, on_access, server,
                                      MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!server->daemon)
        return net_error(err, server->config.host ? server->config.host : "127.0.0.1", server->port,
                         server->tls ? "TLS certificate or key" : "libmicrohttpd");
    return ERR_OK;
}

enum err_code http_start(struct http_server *server, struct err *err)
{
    raise_file_limit();
    enum err_code rc = ERR_OK;
    if (server->config.tls_cert_file && server->config.tls_key_file)
        rc = tls_new(server->config.tls_cert_file, server->config.tls_key_file, &server->tls, err);
    if (!rc)
        rc = statics_new(server->config.web_dir, &server->statics, err);
    if (!rc)
        rc = pool_new(server->limits.workers, server->limits.queue, "http", &server->pool, err);
    if (!rc)
        rc = open_listener(server, err);
    if (!rc)
        rc = start_daemon(server, err);
    if (!rc) {
        const int failed = pthread_create(&server->guard, NULL, guard_run, server);
        server->guard_runs = !failed;
        if (failed)
            rc = err_set(err, ERR_INTERNAL, "net.thread", ARG_ERRNO(failed), ARG_END);
    }
    return rc;
}

int http_port(const struct http_server *server)
{
    return server->port;
}

const char *http_address(const struct http_server *server)
{
    return server->address;
}

void http_ready(struct http_server *server, bool ready)
{
    atomic_store(&server->ready, ready);
}

/* ---- ending ---- */

void http_drain(struct http_server *server, int wait_ms)
{
    if (!server->daemon || server->stopped)
        return;
    atomic_store(&server->draining, true);
    const MHD_socket listener = MHD_quiesce_daemon(server->daemon);
    if (listener != MHD_INVALID_SOCKET)
        (void)close(listener);
    server->listen_fd = -1;
    server->stopped = true;
    events_end_all(server->events);
    const int64_t until = server_mono(server) + wait_ms;
    while (atomic_load(&server->active) > 0 && server_mono(server) < until)
        (void)nanosleep(&(struct timespec) { .tv_nsec = 10000000 }, NULL);
}

enum err_code http_reload(struct http_server *server, const struct http_config *config, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (server->tls && config->tls_cert_file && config->tls_key_file)
        rc = tls_reload(server->tls, config->tls_cert_file, config->tls_key_file, err);
    return rc ? rc : take_live(server, config, err);
}

void http_free(struct http_server *server)
{
    if (!server)
        return;
    http_drain(server, 10000);
    if (server->guard_runs) {
        (void)pthread_mutex_lock(&server->guard_lock);
        server->guard_stop = true;
        (void)pthread_cond_signal(&server->guard_wake);
        (void)pthread_mutex_unlock(&server->guard_lock);
        (void)pthread_join(server->guard, NULL);
    }
    if (server->pool)
        pool_stop(server->pool); /* runs what waits; each resumes its connection */
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    else if (server->listen_fd >= 0)
        (void)close(server->listen_fd);
    pool_free(server->pool);
    events_free(server->events);
    router_free(server->router);
    statics_free(server->statics);
    tls_free(server->tls);
    if (server->metrics_token)
        explicit_bzero(server->metrics_token, strlen(server->metrics_token));
    mem_free(server->metrics_token);
    (void)pthread_rwlock_destroy(&server->live_lock);
    (void)pthread_mutex_destroy(&server->links_lock);
    (void)pthread_mutex_destroy(&server->guard_lock);
    (void)pthread_cond_destroy(&server->guard_wake);
    mem_free(server);
}

/* ---- the route table as text ---- */

static void put_route(void *arg, const struct route *route)
{
    buf_printf(arg, "%s %s %s\n", route->method, route->path, *route->permission ? route->permission : "-");
}

void http_routes_text(const struct http_server *server, struct buf *out)
{
    router_each(server->router, put_route, out);
}

void http_routes_each(const struct http_server *server, void (*each)(void *arg, const struct route *route),
                      void *arg)
{
    router_each(server->router, each, arg);
}
