/* dial.c - from a name to a connection that can be written: see loop.h.
 *
 * Addresses are tried one after the other until one answers; the time-out of the run stands over all. */
#include "observe/collect/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ---- resolving ---- */

struct resolver_watch {
    struct watch watch;
    struct loop *loop;
    ares_channel channel;
    struct resolver_watch *next;
};

static void on_socket(struct watch *watch, uint32_t events)
{
    struct resolver_watch *own = (struct resolver_watch *)(void *)watch;
    const bool in = events & (EPOLLIN | EPOLLERR | EPOLLHUP), out = events & EPOLLOUT;
    ares_process_fd(own->channel, in ? watch->fd : ARES_SOCKET_BAD, out ? watch->fd : ARES_SOCKET_BAD);
}

/* c-ares tells about each of its sockets; watches hang on a list of the loop by descriptor. */
struct resolver_ctx {
    struct loop *loop;
    struct resolver_watch *watches;
    ares_channel channel;
    struct resolver_ctx *next;
};

static void on_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct resolver_ctx *ctx = data;
    struct resolver_watch **link = &ctx->watches;
    while (*link && (*link)->watch.fd != fd)
        link = &(*link)->next;
    struct resolver_watch *own = *link;
    if (!readable && !writable) {
        if (own) {
            (void)epoll_ctl(ctx->loop->epoll, EPOLL_CTL_DEL, fd, NULL);
            *link = own->next;
            own->watch.fn = NULL;
            loop_free_later(ctx->loop, own);
        }
        return;
    }
    const uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    if (!own) {
        own = mem_alloc(1, sizeof *own);
        if (!own)
            return; /* the lookup runs into its time-out */
        own->watch = (struct watch) { fd, on_socket };
        own->loop = ctx->loop;
        own->channel = ctx->channel;
        own->next = ctx->watches;
        ctx->watches = own;
        (void)watch_add(ctx->loop, &own->watch, events);
    } else {
        struct epoll_event event = { .events = events, .data.ptr = &own->watch };
        (void)epoll_ctl(ctx->loop->epoll, EPOLL_CTL_MOD, fd, &event);
    }
}

bool resolver_open(struct loop *loop, const char *servers, ares_channel *out)
{
    struct resolver_ctx *ctx = mem_alloc(1, sizeof *ctx);
    struct ares_options options = { .timeout = 1000, .tries = 2 };
    if (!ctx)
        return false;
    ctx->loop = loop;
    options.sock_state_cb = on_state;
    options.sock_state_cb_data = ctx;
    if (ares_init_options(&ctx->channel, &options,
                          ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
        mem_free(ctx);
        return false;
    }
    if (servers && *servers && ares_set_servers_ports_csv(ctx->channel, servers) != ARES_SUCCESS) {
        ares_destroy(ctx->channel);
        mem_free(ctx);
        return false;
    }
    ctx->next = loop->resolvers;
    loop->resolvers = ctx;
    *out = ctx->channel;
    return true;
}

void resolver_close(struct loop *loop, ares_channel channel)
{
    for (struct resolver_ctx **link = &loop->resolvers; *link; link = &(*link)->next)
        if ((*link)->channel == channel) {
            struct resolver_ctx *ctx = *link;
            *link = ctx->next;
            ares_destroy(channel); /* calls back for its sockets */
            while (ctx->watches)
                on_state(ctx, ctx->watches->watch.fd, 0, 0);
            mem_free(ctx);
            return;
        }
}

void resolver_tick(struct loop *loop)
{
    for (struct resolver_ctx *ctx = loop->resolvers, *next; ctx; ctx = next) {
        next = ctx->next;
        ares_process_fd(ctx->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    if (loop->lookups)
        timer_set(&loop->wheel, &loop->resolver_timer, loop->now_us / 1000 + 50);
}

struct lookup {
    struct later unused; /* loop_free_later() */
    struct loop *loop;
    lookup_fn fn; /* NULL = nobody waits any more */
    void *ctx;
};

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct lookup *lookup = arg;
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    int count = 0;
    (void)timeouts;
    lookup->loop->lookups--;
    for (const struct ares_addrinfo_node *node = info ? info->nodes : NULL; node && count < ADDRESSES_MAX;
         node = node->ai_next)
        if (node->ai_family == AF_INET || node->ai_family == AF_INET6)
            memcpy(&addresses[count++], node->ai_addr, node->ai_addrlen);
    if (info)
        ares_freeaddrinfo(info);
    if (lookup->fn)
        lookup->fn(lookup->ctx, addresses, count,
                   status == ARES_SUCCESS ? "no address" : ares_strerror(status));
    loop_free_later(lookup->loop, lookup);
}

int address_literal(struct str host, uint16_t port, int family, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    if (inet_pton(AF_INET, host.ptr, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        return family == AF_INET6 ? -1 : 1;
    }
    if (inet_pton(AF_INET6, host.ptr, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof v6);
        return family == AF_INET ? -1 : 1;
    }
    return 0;
}

struct lookup *lookup_start(struct loop *loop, struct str host, uint16_t port, int family, lookup_fn fn,
                            void *ctx)
{
    char service[8];
    struct lookup *lookup = mem_alloc(1, sizeof *lookup);
    struct ares_addrinfo_hints hints = { .ai_family = family,
                                         .ai_flags = ARES_AI_NUMERICSERV,
                                         .ai_socktype = SOCK_STREAM };
    if (!lookup)
        return NULL;
    *lookup = (struct lookup) { .loop = loop, .fn = fn, .ctx = ctx };
    (void)snprintf(service, sizeof service, "%u", port);
    loop->lookups++;
    if (!loop->resolver_timer.link)
        timer_set(&loop->wheel, &loop->resolver_timer, loop->now_us / 1000 + 50);
    ares_getaddrinfo(loop->resolver, host.ptr, service, &hints, on_addresses, lookup);
    return lookup;
}

void lookup_forget(struct lookup *lookup)
{
    if (lookup)
        lookup->fn = NULL;
}

/* ---- connecting ---- */

static void connect_next(struct dial *dial);
static void handshake(struct dial *dial);

static void fail(struct dial *dial)
{
    dial_end(dial);
    dial->owner->failed(dial);
}

static const char *address_text(const struct sockaddr_storage *address, char out[80])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        (void)snprintf(out, 80, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        (void)snprintf(out, 80, "%s:%u", host, ntohs(v4->sin_port));
    }
    return out;
}

static void close_fd(struct dial *dial)
{
    if (dial->ssl)
        SSL_free(dial->ssl);
    dial->ssl = NULL;
    if (dial->watch.fd >= 0)
        (void)close(dial->watch.fd);
    dial->watch.fd = -1;
}

static void on_io(struct watch *watch, uint32_t events)
{
    struct dial *dial = (struct dial *)(void *)((char *)watch - offsetof(struct dial, watch));
    if (dial->ready) {
        dial->owner->io(dial);
        return;
    }
    if (dial->ssl) {
        handshake(dial);
        return;
    }
    if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        return;
    int code = 0;
    socklen_t len = sizeof code;
    if (events & (EPOLLERR | EPOLLHUP))
        (void)getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &code, &len);
    if (code) {
        char text[80];
        close_fd(dial);
        if (dial->address_at < dial->address_count) {
            connect_next(dial);
            return;
        }
        run_fail(dial->run, cause_of(code), "connect to %s: %s",
                 address_text(&dial->addresses[dial->address_at - 1], text), strerror(code));
        fail(dial);
        return;
    }
    const int64_t now = loop_clock_us();
    dial->connect_us = now - dial->phase_us;
    dial->phase_us = now;
    if (!dial->tls) {
        dial->ready = true;
        dial->owner->ready(dial);
        return;
    }
    dial->run->phase = "the TLS handshake";
    dial->ssl = SSL_new(collect_tls(dial->run->check->loop->collect));
    if (!dial->ssl || SSL_set_fd(dial->ssl, watch->fd) != 1) {
        run_fail(dial->run, CAUSE_LOCAL, "TLS: no memory");
        fail(dial);
        return;
    }
    struct sockaddr_storage ignored;
    if (address_literal(dial->host, 0, AF_UNSPEC, &ignored)) {
        (void)X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(dial->ssl), dial->host.ptr);
    } else {
        /* SSL_set_tlsext_host_name() without its cast that drops const */
        (void)SSL_ctrl(dial->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                       (void *)(uintptr_t)dial->host.ptr);
        (void)SSL_set1_host(dial->ssl, dial->host.ptr);
    }
    SSL_set_connect_state(dial->ssl);
    handshake(dial);
}

static void connect_next(struct dial *dial)
{
    struct loop *loop = dial->run->check->loop;
    while (dial->address_at < dial->address_count) {
        const struct sockaddr_storage *address = &dial->addresses[dial->address_at++];
        char text[80];
        const int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int code = fd < 0 ? errno : 0;
        dial->watch = (struct watch) { fd, on_io };
        if (!code &&
            connect(fd, (const struct sockaddr *)(const void *)address,
                    address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                  : sizeof(struct sockaddr_in6)) < 0 &&
            errno != EINPROGRESS)
            code = errno;
        if (!code && !watch_add(loop, &dial->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
            code = errno;
        if (!code)
            return;
        close_fd(dial);
        if (dial->address_at == dial->address_count)
            run_fail(dial->run, cause_of(code), "connect to %s: %s", address_text(address, text),
                     strerror(code));
    }
    run_fail(dial->run, CAUSE_DNS, "%.*s: no address", STR_ARG(dial->host));
    fail(dial);
}

static void on_lookup(void *ctx, const struct sockaddr_storage *addresses, int count, const char *reason)
{
    struct dial *dial = ctx;
    const int64_t now = loop_clock_us();
    dial->lookup = NULL;
    dial->looking = false;
    dial->dns_us = now - dial->phase_us;
    dial->phase_us = now;
    if (count == 0) {
        run_fail(dial->run, CAUSE_DNS, "%.*s: %s", STR_ARG(dial->host), reason);
        fail(dial);
        return;
    }
    memcpy(dial->addresses, addresses, (size_t)count * sizeof *addresses);
    dial->address_count = count;
    dial->run->phase = "the connection";
    connect_next(dial);
}

void dial_start(struct dial *dial, struct run *run, const struct dial_owner *owner, struct str host,
                uint16_t port, bool tls)
{
    const int family = run->check->spec->family;
    *dial = (struct dial) { .run = run,
                            .owner = owner,
                            .host = host,
                            .port = port,
                            .tls = tls,
                            .verify = run->check->spec->verify,
                            .watch.fd = -1,
                            .dns_us = -1,
                            .connect_us = -1,
                            .tls_us = -1 };
    dial->begin_us = dial->phase_us = loop_clock_us();
    const int literal = address_literal(host, port, family, &dial->addresses[0]);
    if (literal > 0) {
        dial->address_count = 1;
        run->phase = "the connection";
        connect_next(dial);
    } else if (literal < 0) {
        run_fail(run, CAUSE_DNS, "%.*s is of the other address family", STR_ARG(host));
        fail(dial);
    } else {
        run->phase = "the name server";
        dial->looking = true;
        struct lookup *lookup = lookup_start(run->check->loop, host, port, family, on_lookup, dial);
        /* the answer may have come at once (hosts file), and with it the end of the dial: the run, freed
         * only at the round's end, still tells */
        if (!lookup) {
            run_fail(run, CAUSE_LOCAL, "no memory");
            fail(dial);
        } else if (dial->looking) {
            dial->lookup = lookup;
        }
    }
}

void dial_end(struct dial *dial)
{
    lookup_forget(dial->lookup);
    dial->lookup = NULL;
    dial->looking = false;
    close_fd(dial);
    dial->watch.fn = NULL;
    dial->ready = false;
}

/* ---- TLS ---- */

static int days_left(const ASN1_TIME *end)
{
    int days = 0, seconds = 0;
    if (!ASN1_TIME_diff(&days, &seconds, NULL, end))
        return 0;
    return seconds < 0 ? days - 1 : days; /* whole days, rounded down */
}

/* Days until the first certificate of the chain expires, and the leaf's description. */
static void look_at_certificate(struct dial *dial)
{
    struct collect_result *result = &dial->run->result;
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(dial->ssl);
    X509 *leaf = SSL_get0_peer_certificate(dial->ssl);
    if (!leaf)
        return;
    int least = days_left(X509_get0_notAfter(leaf));
    for (int i = 0; chain && i < sk_X509_num(chain); i++) {
        const int days = days_left(X509_get0_notAfter(sk_X509_value(chain, i)));
        least = days < least ? days : least;
    }
    result_set(result, COLLECT_CERT_DAYS, least);
    char subject[70] = "", issuer[70] = "";
    struct tm tm = { 0 };
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, subject, sizeof subject);
    (void)X509_NAME_get_text_by_NID(X509_get_issuer_name(leaf), NID_commonName, issuer, sizeof issuer);
    (void)ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm);
    (void)snprintf(result->subject, sizeof result->subject, "%s; %s; %04d-%02d-%02d", subject, issuer,
                   (tm.tm_year + 1900) % 10000, (tm.tm_mon + 1) % 100, tm.tm_mday % 100);
    if (!utf8_valid(str_from(result->subject)))
        result->subject[0] = 0;
}

static void handshake(struct dial *dial)
{
    ERR_clear_error();
    const int rc = SSL_do_handshake(dial->ssl);
    if (rc == 1) {
        const int64_t now = loop_clock_us();
        dial->tls_us = now - dial->phase_us;
        dial->phase_us = now;
        look_at_certificate(dial);
        const long verdict = SSL_get_verify_result(dial->ssl);
        if (dial->verify && verdict != X509_V_OK) {
            run_fail(dial->run, CAUSE_CERTIFICATE, "%s", X509_verify_cert_error_string(verdict));
            fail(dial);
            return;
        }
        dial->ready = true;
        dial->owner->ready(dial);
        return;
    }
    const int why = SSL_get_error(dial->ssl, rc);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return;
    char reason[120] = "closed by the peer";
    if (ERR_peek_error())
        ERR_error_string_n(ERR_peek_last_error(), reason, sizeof reason);
    else if (why == SSL_ERROR_SYSCALL && errno)
        (void)snprintf(reason, sizeof reason, "%s", strerror(errno));
    run_fail(dial->run, CAUSE_TLS, "TLS handshake: %s", reason);
    fail(dial);
}

/* ---- moving bytes ---- */

static ssize_t tls_result(struct dial *dial, int rc, const char *what)
{
    const int saved = errno, why = SSL_get_error(dial->ssl, rc);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return DIAL_AGAIN;
    if (why == SSL_ERROR_ZERO_RETURN)
        return DIAL_CLOSED;
    run_fail(dial->run, why == SSL_ERROR_SYSCALL && saved ? cause_of(saved) : CAUSE_TLS, "%s: %s", what,
             why == SSL_ERROR_SYSCALL && saved ? strerror(saved) : "TLS error");
    return DIAL_FAILED;
}

ssize_t dial_read(struct dial *dial, void *bytes, size_t size)
{
    if (dial->ssl) {
        ERR_clear_error();
        const int got = SSL_read(dial->ssl, bytes, (int)size);
        return got > 0 ? got : tls_result(dial, got, "read");
    }
    for (;;) {
        const ssize_t got = recv(dial->watch.fd, bytes, size, 0);
        if (got >= 0)
            return got;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN)
            return DIAL_AGAIN;
        run_fail(dial->run, cause_of(errno), "read: %s", strerror(errno));
        return DIAL_FAILED;
    }
}

ssize_t dial_write(struct dial *dial, const void *bytes, size_t len)
{
    if (dial->ssl) {
        ERR_clear_error();
        const int put = SSL_write(dial->ssl, bytes, (int)len);
        return put > 0 ? put : tls_result(dial, put, "write");
    }
    for (;;) {
        const ssize_t put = send(dial->watch.fd, bytes, len, MSG_NOSIGNAL);
        if (put >= 0)
            return put;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN)
            return DIAL_AGAIN;
        run_fail(dial->run, cause_of(errno), "write: %s", strerror(errno));
        return DIAL_FAILED;
    }
}

void dial_again(struct dial *dial)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = &dial->watch };
    (void)epoll_ctl(dial->run->check->loop->epoll, EPOLL_CTL_MOD, dial->watch.fd, &event);
}
