#include "observe/collect/collect.h"
#include "observe/collect/loop.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the wheel ---- */

static int fired;

static void count_fired(struct timer *timer)
{
    (void)timer;
    fired++;
}

static void test_wheel(void **state)
{
    (void)state;
    static struct wheel wheel;
    static struct timer timers[1000];
    wheel_init(&wheel, 1000);
    fired = 0;
    for (int i = 0; i < 1000; i++) {
        timers[i].fn = count_fired;
        timer_set(&wheel, &timers[i], 1001 + i * 37);
    }
    for (int i = 0; i < 1000; i += 2)
        timer_stop(&timers[i]);
    int64_t now = 1000;
    int turns = 0;
    for (; fired < 500 && now < 100000; turns++) {
        now += wheel_wait(&wheel, now, 100000);
        const int before = fired;
        wheel_turn(&wheel, now);
        for (int i = 1; i < 1000; i += 2)
            test_ok((timers[i].link == NULL) == (1001 + i * 37 <= now), "timer %d at %d", i, (int)now);
        (void)before;
    }
    test_ok(fired == 500 && turns < 6000, "each once, in %d turns", turns);
    timer_set(&wheel, &timers[0], now + 50000);
    wheel_turn(&wheel, now + 200000); /* a long sleep */
    test_ok(fired == 501, "late, but fired");
    timer_set(&wheel, &timers[0], 5);
    wheel_turn(&wheel, now + 200001);
    test_ok(fired == 502, "what is past is due at once");
}

/* ---- specifications ---- */

static json_t *parse(const char *text)
{
    char copy[4000];
    size_t len = 0;
    for (; text[len] && len + 1 < sizeof copy; len++)
        copy[len] = text[len] == '\'' ? '"' : text[len];
    copy[len] = 0;
    json_error_t error;
    json_t *json = json_loads(copy, 0, &error);
    test_ok(json != NULL, "%s: %s", error.text, text);
    return json;
}

static void test_specifications(void **state)
{
    (void)state;
    static const struct {
        const char *json, *pointer; /* NULL = good */
    } cases[] = {
        { "{'kind':'http','url':'http://127.0.0.1/x?y#z'}", NULL },
        { "{'kind':'http','url':'https://[::1]:8443','expect':{'status':'200-399, 401'}}", NULL },
        { "{'kind':'http','steps':[{'url':'http://a/'},{'url':'http://a/{{x}}'}]}", NULL },
        { "{'kind':'http','url':'ftp://a/'}", "/url" },
        { "{'kind':'http','url':'http://a b/'}", "/url" },
        { "{'kind':'http','url':'http://user@a/'}", "/url" },
        { "{'kind':'http','url':'http://a:99999/'}", "/url" },
        { "{'kind':'http'}", "/url" },
        { "{'kind':'http','steps':[]}", "/steps" },
        { "{'kind':'http','steps':[{'url':'http://a/','method':'get'}]}", "/steps/0/method" },
        { "{'kind':'http','url':'http://a/','headers':{'X':'a\\r\\nY: b'}}", "/headers" },
        { "{'kind':'http','url':'http://a/','expect':{'body_regex':'('}}", "/expect/body_regex" },
        { "{'kind':'http','url':'http://a/','expect':{'status':'abc'}}", "/expect/status" },
        { "{'kind':'http','url':'http://a/','interval_s':10,'timeout_s':11}", "/timeout_s" },
        { "{'kind':'http','url':'http://a/','interval_s':0}", "/interval_s" },
        { "{'kind':'http','url':'http://a/','tyop':1}", "/tyop" },
        { "{'kind':'smtp','url':'http://a/'}", "/kind" },
        { "{'kind':'tcp','host':'a','port':22,'expect':'SSH'}", NULL },
        { "{'kind':'tcp','host':'a'}", "/port" },
        { "{'kind':'tcp','port':1}", "/host" },
        { "{'kind':'icmp','host':'127.0.0.1','packets':5,'gap_ms':10}", NULL },
        { "{'kind':'icmp','host':'127.0.0.1','packets':50}", "/packets" },
        { "{'kind':'dns','name':'example.org','type':'aaaa'}", NULL },
        { "{'kind':'dns','name':'example.org','type':'WKS'}", "/type" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = { 0 };
        json_t *json = parse(cases[i].json);
        const enum err_code rc = collect_validate(json, &err);
        test_ok(rc == (cases[i].pointer ? ERR_INVALID : ERR_OK), "%s gives %d", cases[i].json, (int)rc);
        if (cases[i].pointer)
            test_ok(strcmp(err.at.pointer, cases[i].pointer) == 0, "%s: at %s", cases[i].json,
                    err.at.pointer);
        json_decref(json);
    }
    /* without memory it is an error, never a half-read check */
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        json_t *json = parse(cases[1].json);
        const long live = mem_live();
        mem_fail_at(nth);
        const enum err_code rc = collect_validate(json, &err);
        mem_fail_at(-1);
        json_decref(json);
        test_ok(mem_live() == live && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld", nth);
        if (rc == ERR_OK)
            break;
    }
}

/* ---- a server that answers as each test case wants ---- */

struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    SSL_CTX *tls;
    _Atomic bool stop;
    _Atomic int requests;
};

static const char *answer_to(const char *request)
{
    static const struct {
        const char *path, *answer;
    } answers[] = {
        { "/ok", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Kind: blue\r\n\r\nhello" },
        { "/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                      "chunked\r\n\r\n3;x=1\r\nhel\r\n2\r\nlo\r\n0\r\nT: 1\r\n\r\n" },
        { "/close", "HTTP/1.0 200 OK\r\n\r\nhello until the end" },
        { "/continue", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" },
        { "/none", "HTTP/1.1 204 No Content\r\n\r\n" },
        { "/error", "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n" },
        { "/to-ok", "HTTP/1.1 302 Found\r\nLocation: ok\r\nContent-Length: 0\r\n\r\n" },
        { "/endless", "HTTP/1.1 302 Found\r\nLocation: /endless\r\nContent-Length: 0\r\n\r\n" },
        { "/nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n" },
        { "/mailto", "HTTP/1.1 302 Found\r\nLocation: mailto://x y\r\nContent-Length: 0\r\n\r\n" },
        { "/garbage", "220 smtp ready\r\n\r\n" },
        { "/short", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello" },
        { "/badchunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" },
        { "/login",
          "HTTP/1.1 200 OK\r\nSet-Cookie: sid=abc; Path=/\r\nContent-Length: 12\r\n\r\ntoken=t4711;" },
        { "/hang", NULL },
        { "/empty", "" },
    };
    if (strstr(request, "GET /private/t4711 ") && strstr(request, "Cookie: sid=abc"))
        return "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nwelcome";
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const char *at = strstr(request, answers[i].path);
        const size_t len = strlen(answers[i].path);
        if (at && at < strchr(request, '\n') && (at[len] == ' ' || at[len] == '?'))
            return answers[i].answer;
    }
    return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
}

static void serve_one(struct server *server, int fd)
{
    char request[4096] = "";
    size_t len = 0;
    SSL *ssl = NULL;
    struct timeval limit = { .tv_sec = 1 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (server->tls) {
        ssl = SSL_new(server->tls);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) != 1) {
            SSL_free(ssl);
            (void)close(fd);
            return;
        }
    }
    while (len + 1 < sizeof request && !strstr(request, "\r\n\r\n")) {
        const ssize_t got = ssl ? SSL_read(ssl, request + len, (int)(sizeof request - 1 - len))
                                : recv(fd, request + len, sizeof request - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        request[len] = 0;
    }
    server->requests++;
    const char *answer = len ? answer_to(request) : "";
    if (answer && ssl) {
        (void)SSL_write(ssl, answer, (int)strlen(answer));
        (void)SSL_shutdown(ssl);
    } else if (answer) {
        (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    }
    if (!answer) { /* hangs until the other side gives up */
        struct pollfd wait = { .fd = fd, .events = POLLRDHUP };
        (void)poll(&wait, 1, 1000);
    }
    SSL_free(ssl);
    (void)close(fd);
}

static void *serve_all(void *arg)
{
    struct server *server = arg;
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL's writes to a closed peer */
    while (!server->stop) {
        struct pollfd wait = { .fd = server->fd, .events = POLLIN };
        if (poll(&wait, 1, 20) <= 0)
            continue;
        const int fd = accept(server->fd, NULL, NULL);
        if (fd >= 0)
            serve_one(server, fd);
    }
    return NULL;
}

static void server_start(struct server *server, SSL_CTX *tls)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    *server = (struct server) { .tls = tls };
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_ok(bind(server->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                listen(server->fd, 64) == 0 &&
                getsockname(server->fd, (struct sockaddr *)&address, &len) == 0,
            "server");
    server->port = ntohs(address.sin_port);
    test_ok(pthread_create(&server->thread, NULL, serve_all, server) == 0, "thread");
}

static void server_stop(struct server *server)
{
    server->stop = true;
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd);
}

/* ---- a sink ---- */

#define SEEN_MAX 4000

struct sink {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct collect_result seen[SEEN_MAX];
    size_t count;
};

static struct sink sink = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, { { 0 } }, 0 };

static void take_results(void *ctx, const struct collect_result *results, size_t count)
{
    struct sink *own = ctx;
    (void)pthread_mutex_lock(&own->lock);
    for (size_t i = 0; i < count && own->count < SEEN_MAX; i++)
        own->seen[own->count++] = results[i];
    (void)pthread_cond_broadcast(&own->more);
    (void)pthread_mutex_unlock(&own->lock);
}

/* The first result of that check, at most 30 s away. */
static struct collect_result wait_for(int64_t id)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30; /* the machine may be busy */
    (void)pthread_mutex_lock(&sink.lock);
    for (;;) {
        for (size_t i = 0; i < sink.count; i++)
            if (sink.seen[i].check_id == id) {
                const struct collect_result found = sink.seen[i];
                (void)pthread_mutex_unlock(&sink.lock);
                return found;
            }
        const int rc = pthread_cond_timedwait(&sink.more, &sink.lock, &until);
        test_ok(rc == 0, "a result of check %d within 30 s", (int)id);
    }
}

static struct collect *begin(const char *ca_file)
{
    struct collect *collect = NULL;
    struct err err = { 0 };
    sink.count = 0;
    const struct collect_config config = { .clock = &CLOCK_SYSTEM,
                                           .loops = 2,
                                           .sink = take_results,
                                           .sink_ctx = &sink,
                                           .flush_ms = 2,
                                           .ca_file = ca_file,
                                           .dns = "127.0.0.1:1" };
    test_ok(collect_start(&config, &collect, &err) == ERR_OK, "starts: %s", err.id);
    return collect;
}

static void set(struct collect *collect, int64_t id, const char *format, unsigned port)
{
    char text[2000];
    struct err err = { 0 };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    /* cppcheck-suppress wrongPrintfScanfArgNum ; a format takes as many of them as it likes */
    (void)snprintf(text, sizeof text, format, port, port, port, port);
#pragma GCC diagnostic pop
    json_t *json = parse(text);
    test_ok(collect_set(collect, id, 1, json, &err) == ERR_OK, "%s: %s %s", text, err.id, err.at.pointer);
    test_ok(collect_run_now(collect, id, &err) == ERR_OK, "run");
    json_decref(json);
}

static void test_http(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum collect_cause cause;
        int status, redirects, bytes;
    } cases[] = {
        { "'url':'http://127.0.0.1:%u/ok','expect':{'body':'hell','headers':{'x-kind':'^bl'}}", CAUSE_NONE,
          200, 0, 5 },
        { "'url':'http://127.0.0.1:%u/chunked','expect':{'body':'hello','body_not':'world'}", CAUSE_NONE, 200,
          0, 5 },
        { "'url':'http://127.0.0.1:%u/close','expect':{'body_regex':'until.*end$'}", CAUSE_NONE, 200, 0, 19 },
        { "'url':'http://127.0.0.1:%u/continue'", CAUSE_NONE, 200, 0, 5 },
        { "'url':'http://127.0.0.1:%u/none'", CAUSE_NONE, 204, 0, 0 },
        { "'url':'http://127.0.0.1:%u/to-ok'", CAUSE_NONE, 200, 1, 5 },
        { "'url':'http://127.0.0.1:%u/to-ok','redirects':0,'expect':{'status':302}", CAUSE_NONE, 302, 0, 0 },
        { "'steps':[{'url':'http://127.0.0.1:%u/login','capture':{'t':'token=(\\\\w+)'}},"
          "{'url':'http://127.0.0.1:%u/private/{{t}}','expect':{'body':'welcome'}}]",
          CAUSE_NONE, 200, 0, 7 },
        { "'url':'http://127.0.0.1:%u/error'", CAUSE_STATUS, 500, 0, 0 },
        { "'url':'http://127.0.0.1:%u/error','expect':{'status':[500,501]}", CAUSE_NONE, 500, 0, 0 },
        { "'url':'http://127.0.0.1:%u/ok','expect':{'body':'absent'}", CAUSE_BODY, 200, 0, 5 },
        { "'url':'http://127.0.0.1:%u/ok','expect':{'body_not':'hello'}", CAUSE_BODY, 200, 0, 5 },
        { "'url':'http://127.0.0.1:%u/ok','expect':{'headers':{'x-kind':'red'}}", CAUSE_HEADER, 200, 0, 5 },
        { "'url':'http://127.0.0.1:%u/endless'", CAUSE_REDIRECTS, 302, 10, 0 },
        { "'url':'http://127.0.0.1:%u/nowhere'", CAUSE_REDIRECTS, 302, 0, 0 },
        { "'url':'http://127.0.0.1:%u/mailto'", CAUSE_REDIRECTS, 302, 0, 0 },
        { "'url':'http://127.0.0.1:%u/garbage'", CAUSE_PROTOCOL, 0, 0, -1 },
        { "'url':'http://127.0.0.1:%u/badchunk'", CAUSE_PROTOCOL, 200, 0, 0 },
        { "'url':'http://127.0.0.1:%u/short'", CAUSE_CLOSED, 200, 0, 5 },
        { "'url':'http://127.0.0.1:%u/empty'", CAUSE_CLOSED, 0, 0, -1 },
        { "'url':'http://127.0.0.1:1/ok'", CAUSE_REFUSED, 0, 0, -1 },
        { "'url':'http://no-such-name.invalid/','family':4", CAUSE_DNS, 0, 0, -1 },
        { "'url':'http://127.0.0.1:%u/hang','timeout_s':0.2", CAUSE_TIMEOUT, 0, 0, -1 },
        { "'url':'https://127.0.0.1:%u/ok'", CAUSE_TLS, 0, 0, -1 },
    };
    struct server server;
    server_start(&server, NULL);
    struct collect *collect = begin(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1000];
        (void)snprintf(text, sizeof text, "{'kind':'http','interval_s':600,'timeout_s':3,%s}", cases[i].json);
        char *twice = strstr(text, "'timeout_s':3,");
        if (strstr(cases[i].json, "timeout_s"))
            memmove(twice, twice + 14, strlen(twice + 14) + 1);
        set(collect, (int64_t)i + 1, text, server.port);
        const struct collect_result got = wait_for((int64_t)i + 1);
        test_ok(got.cause == cases[i].cause, "%s: %s (%s)", cases[i].json, COLLECT_CAUSE_NAMES[got.cause],
                got.detail);
        const bool has_status = got.present >> COLLECT_STATUS & 1,
                   has_bytes = got.present >> COLLECT_BYTES & 1;
        test_ok(has_status == (cases[i].status != 0) && got.values[COLLECT_STATUS] == cases[i].status,
                "%s: status %d", cases[i].json, (int)got.values[COLLECT_STATUS]);
        test_ok(has_bytes == (cases[i].bytes >= 0) &&
                    (!has_bytes || got.values[COLLECT_BYTES] == cases[i].bytes),
                "%s: %d bytes", cases[i].json, (int)got.values[COLLECT_BYTES]);
        test_ok(!has_bytes || got.values[COLLECT_REDIRECTS] == cases[i].redirects, "%s: redirects",
                cases[i].json);
        test_ok(got.values[COLLECT_UP] == (cases[i].cause == CAUSE_NONE), "up");
        if (cases[i].cause == CAUSE_NONE)
            test_ok(got.values[COLLECT_TOTAL] > 0 && got.values[COLLECT_TOTAL] < 3000000 &&
                        got.values[COLLECT_TOTAL] >= got.values[COLLECT_CONNECT],
                    "phases add up");
    }
    struct collect_stats stats;
    struct err err;
    test_ok(collect_remove(collect, 1, &err) == ERR_OK, "remove");
    for (int i = 0; i < 6000; i++) {
        collect_stats_get(collect, &stats);
        if (stats.checks == sizeof cases / sizeof *cases - 1)
            break;
        (void)usleep(10000);
    }
    test_ok(stats.checks == sizeof cases / sizeof *cases - 1 && stats.done == sizeof cases / sizeof *cases,
            "counts");
    collect_stop(collect);
    server_stop(&server);
}

/* A certificate for 127.0.0.1 that ends in `days`, by itself. */
static SSL_CTX *make_server_tls(int days, const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    (void)X509_set_version(cert, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1 + days);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -86400L * 100);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days + 3600);
    (void)X509_set_pubkey(cert, key);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                     (const unsigned char *)"probe.test", -1, -1, 0);
    (void)X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509V3_CTX context;
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, "IP:127.0.0.1");
    (void)X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    test_ok(X509_sign(cert, key, EVP_sha256()) > 0, "sign");
    FILE *file = fopen(path, "w");
    test_ok(file && PEM_write_X509(file, cert) == 1, "write");
    (void)fclose(file);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    test_ok(SSL_CTX_use_certificate(tls, cert) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1, "server's key");
    X509_free(cert);
    EVP_PKEY_free(key);
    return tls;
}

static void test_certificates(void **state)
{
    (void)state;
    static const struct {
        int days;
        bool trusted;
        const char *host, *more;
        enum collect_cause cause;
    } cases[] = {
        { 40, true, "127.0.0.1", "", CAUSE_NONE },
        { 40, false, "127.0.0.1", "", CAUSE_CERTIFICATE },
        { 40, false, "127.0.0.1", ",'verify':false", CAUSE_NONE },
        { -5, true, "127.0.0.1", "", CAUSE_CERTIFICATE },
        { 40, true, "localhost", "", CAUSE_CERTIFICATE }, /* another name */
    };
    char path[] = "/tmp/bihuan-cert-XXXXXX";
    const int fd = mkstemp(path);
    test_ok(fd >= 0, "file");
    (void)close(fd);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server server;
        SSL_CTX *tls = make_server_tls(cases[i].days, path);
        server_start(&server, tls);
        struct collect *collect = begin(cases[i].trusted ? path : NULL);
        char text[400];
        (void)snprintf(text, sizeof text,
                       "{'kind':'http','url':'https://%s:%%u/ok','timeout_s':5,'family':4%s}", cases[i].host,
                       cases[i].more);
        set(collect, 1, text, server.port);
        const struct collect_result got = wait_for(1);
        test_ok(got.cause == cases[i].cause, "case %zu: %s (%s)", i, COLLECT_CAUSE_NAMES[got.cause],
                got.detail);
        test_ok((got.present >> COLLECT_CERT_DAYS & 1) && got.values[COLLECT_CERT_DAYS] == cases[i].days,
                "case %zu: %d days", i, (int)got.values[COLLECT_CERT_DAYS]);
        test_ok(strncmp(got.subject, "probe.test; probe.test; 20", 26) == 0, "subject: %s", got.subject);
        test_ok(got.cause != CAUSE_NONE || (got.values[COLLECT_TLS] > 0 && got.values[COLLECT_BYTES] == 5),
                "phases");
        collect_stop(collect);
        server_stop(&server);
        SSL_CTX_free(tls);
    }
    (void)unlink(path);
}

static void test_tcp(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, NULL);
    struct collect *collect = begin(NULL);
    set(collect, 1, "{'kind':'tcp','host':'127.0.0.1','port':%u}", server.port);
    set(collect, 2,
        "{'kind':'tcp','host':'127.0.0.1','port':%u,'send':'GET /ok HTTP/1.1\\r\\n\\r\\n','expect':'hello'}",
        server.port);
    set(collect, 3,
        "{'kind':'tcp','host':'127.0.0.1','port':%u,'send':'GET /ok HTTP/1.1\\r\\n\\r\\n','expect':'bye'}",
        server.port);
    set(collect, 4, "{'kind':'tcp','host':'127.0.0.1','port':1}", 0);
    set(collect, 5, "{'kind':'tcp','host':'::1','port':1,'family':4}", 0);
    static const enum collect_cause want[] = { CAUSE_NONE, CAUSE_NONE, CAUSE_BODY, CAUSE_REFUSED, CAUSE_DNS };
    for (int i = 0; i < 5; i++) {
        const struct collect_result got = wait_for(i + 1);
        test_ok(got.cause == want[i], "check %d: %s (%s)", i + 1, COLLECT_CAUSE_NAMES[got.cause], got.detail);
    }
    collect_stop(collect);
    server_stop(&server);
}

static void test_icmp(void **state)
{
    (void)state;
    struct collect *collect = begin(NULL);
    set(collect, 1, "{'kind':'icmp','host':'127.0.0.1','packets':4,'gap_ms':5}", 0);
    set(collect, 2, "{'kind':'icmp','host':'::1'}", 0);
    const struct collect_result four = wait_for(1);
    if (four.cause == CAUSE_PERMISSION) { /* an ordinary user without a right to it: it must say so */
        test_ok(strstr(four.detail, "CAP_NET_RAW") != NULL, "says why: %s", four.detail);
    } else {
        test_ok(four.cause == CAUSE_NONE && four.values[COLLECT_LOSS] == 0, "%s", four.detail);
        test_ok((four.present >> COLLECT_RTT & 1) && four.values[COLLECT_RTT] < 1000000 &&
                    (four.present >> COLLECT_JITTER & 1),
                "median and jitter");
    }
    (void)wait_for(2); /* there may be no IPv6 here; it must answer all the same */
    collect_stop(collect);
}

/* A name server that knows one name. */
static void *serve_dns(void *arg)
{
    struct server *server = arg;
    unsigned char bytes[600];
    while (!server->stop) {
        struct pollfd wait = { .fd = server->fd, .events = POLLIN };
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        if (poll(&wait, 1, 20) <= 0)
            continue;
        const ssize_t got = recvfrom(server->fd, bytes, 500, 0, (struct sockaddr *)&from, &len);
        if (got < 17)
            continue;
        size_t end = 12;
        while (end < (size_t)got && bytes[end])
            end += bytes[end] + 1u;
        end += 5;
        const bool known = bytes[12] == 4 && memcmp(bytes + 13, "host", 4) == 0 && bytes[end - 3] == 1;
        bytes[2] = 0x81;
        bytes[3] = known ? 0x80 : 0x83;
        memset(bytes + 6, 0, 6);
        if (known) {
            static const unsigned char answer[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 9 };
            bytes[7] = 1;
            memcpy(bytes + end, answer, sizeof answer);
            end += sizeof answer;
        }
        (void)!sendto(server->fd, bytes, end, 0, (struct sockaddr *)&from, len);
    }
    return NULL;
}

static void test_dns(void **state)
{
    (void)state;
    struct server server = { 0 };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    test_ok(bind(server.fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                getsockname(server.fd, (struct sockaddr *)&address, &len) == 0,
            "server");
    server.port = ntohs(address.sin_port);
    test_ok(pthread_create(&server.thread, NULL, serve_dns, &server) == 0, "thread");
    struct collect *collect = begin(NULL);
    static const struct {
        const char *json;
        enum collect_cause cause;
    } cases[] = {
        { "{'kind':'dns','server':'127.0.0.1','port':%u,'name':'host.test','answer':'127.0.0.9'}",
          CAUSE_NONE },
        { "{'kind':'dns','server':'127.0.0.1','port':%u,'name':'host.test','answer':'127.0.0.8'}",
          CAUSE_BODY },
        { "{'kind':'dns','server':'127.0.0.1','port':%u,'name':'other.test'}", CAUSE_STATUS },
        { "{'kind':'dns','server':'127.0.0.1','port':%u,'name':'other.test','rcode':'NXDOMAIN'}",
          CAUSE_NONE },
        { "{'kind':'dns','server':'127.0.0.1','port':1,'name':'host.test','timeout_s':0.3}", CAUSE_REFUSED },
        { "{'kind':'dns','server':'not an address','name':'host.test'}", CAUSE_DNS },
    };
    for (size_t i = 0; i + 1 < sizeof cases / sizeof *cases; i++)
        set(collect, (int64_t)i + 1, cases[i].json, server.port);
    for (size_t i = 0; i + 1 < sizeof cases / sizeof *cases; i++) {
        const struct collect_result got = wait_for((int64_t)i + 1);
        test_ok(got.cause == cases[i].cause ||
                    (cases[i].cause == CAUSE_REFUSED && got.cause == CAUSE_TIMEOUT),
                "case %zu: %s (%s)", i, COLLECT_CAUSE_NAMES[got.cause], got.detail);
    }
    collect_stop(collect);
    server.stop = true;
    (void)pthread_join(server.thread, NULL);
    (void)close(server.fd);
}

/* Until each check up to `id` has that many results, at most a minute. */
static void wait_for_all(int id, int results)
{
    for (int i = 0, least = 0; i < 12000 && least < results; i++) {
        (void)usleep(5000);
        least = results;
        (void)pthread_mutex_lock(&sink.lock);
        for (int check = 1; check <= id; check++) {
            int seen = 0;
            for (size_t n = 0; n < sink.count; n++)
                seen += sink.seen[n].check_id == check;
            least = seen < least ? seen : least;
        }
        (void)pthread_mutex_unlock(&sink.lock);
    }
}

static void test_rhythm(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, NULL);
    struct collect *collect = begin(NULL);
    struct err err;
    char text[200];
    (void)snprintf(text, sizeof text,
                   "{'kind':'tcp','host':'127.0.0.1','port':%u,'interval_s':0.1,'timeout_s':0.1}",
                   server.port);
    json_t *json = parse(text);
    for (int i = 1; i <= 20; i++)
        test_ok(collect_set(collect, i, 1, json, &err) == ERR_OK, "set");
    const int64_t began = clock_mono(&CLOCK_SYSTEM);
    wait_for_all(20, 4);
    test_ok(collect_set(collect, 1, 2, json, &err) == ERR_OK, "an increment");
    wait_for_all(20, 8);
    collect_stop(collect);
    const int most = (int)((clock_mono(&CLOCK_SYSTEM) - began) / 100) + 2;
    json_decref(json);
    int64_t first[21] = { 0 }, last[21] = { 0 };
    int count[21] = { 0 };
    for (size_t i = 0; i < sink.count; i++) {
        const struct collect_result *one = &sink.seen[i];
        const int id = (int)one->check_id;
        if (!first[id])
            first[id] = one->at_ms;
        /* on its own raster whatever happened before, to the millisecond or two that two clocks differ by */
        const int64_t off = (one->at_ms - first[id]) % 100;
        test_ok(off <= 3 || off >= 97, "check %d at +%d", id, (int)(one->at_ms - first[id]));
        last[id] = one->at_ms;
        count[id]++;
    }
    int spread[10] = { 0 }, used = 0;
    for (int i = 1; i <= 20; i++) {
        test_ok(count[i] >= 8 && count[i] <= most && last[i] > first[i], "check %d ran %d times", i,
                count[i]);
        used += spread[first[i] / 10 % 10]++ == 0;
    }
    test_ok(used >= 4, "they are spread over the interval: %d tenths", used);
    server_stop(&server);
}

TEST_MAIN(TEST(test_wheel), TEST(test_specifications), TEST(test_http), TEST(test_certificates),
          TEST(test_tcp), TEST(test_icmp), TEST(test_dns), TEST(test_rhythm))
