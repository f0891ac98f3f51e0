/* server.c - making, starting, draining and ending the server. */
#include "net/exchange.h"
#include "base/cond.h"
#include "crypto/digest.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
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

static void on_library_log(void *cls, const char *format, va_list args) PRINTF_LIKE(2, 0);

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
    OPTION(MHD_OPTION_NOTIFY_COMPLETED, access_on_completed, server);
    OPTION(MHD_OPTION_NOTIFY_CONNECTION, links_on_connection, server);
    OPTION(MHD_OPTION_URI_LOG_CALLBACK, access_on_uri, server);
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
    server->daemon = MHD_start_daemon(flags, (uint16_t)server->port, NULL, NULL, access_on_request, server,
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
        const int failed = pthread_create(&server->guard, NULL, links_guard, server);
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
