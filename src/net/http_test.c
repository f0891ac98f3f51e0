/* The server on a real loopback port, spoken to in raw bytes. */
#include "net/http.h"
#include "test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct http_server *server;
static struct words *words;
static _Atomic int runs, released;
static _Atomic bool hold;
static char web_dir[] = "/tmp/bihuan-web-XXXXXX";

/* ---- a small world above net ---- */

static const char USER[] = "user";

static enum err_code who(void *ctx, struct request *req, const void **out_who, struct err *err)
{
    (void)ctx;
    const struct str bearer = request_header(req, "Authorization");
    const struct str cookie = request_cookie(req, "bihuan_session");
    if (str_eq(bearer, STR("Bearer bad")))
        return err_set(err, ERR_NO_LOGIN, "http.no_login", ARG_END);
    if (str_eq(bearer, STR("Bearer good")) || str_eq(cookie, STR("good"))) {
        req->by_cookie = cookie.len > 0;
        *out_who = USER;
    }
    return ERR_OK;
}

static void who_release(void *ctx, const void *one)
{
    (void)ctx;
    assert_ptr_equal(one, USER);
    atomic_fetch_add(&released, 1);
}

static bool may(void *ctx, const void *one, struct str permission)
{
    (void)ctx;
    (void)one;
    return !str_eq(permission, STR("core.secret.read"));
}

static bool csrf(void *ctx, const void *one, struct str token)
{
    (void)ctx;
    (void)one;
    return str_eq(token, STR("token"));
}

static char kept_key[64], kept_digest[128], kept_body[8192], kept_headers[256];
static int kept_status;

static enum err_code idem_begin(void *ctx, const struct request *req, struct str key, struct str digest,
                                bool *out_found, struct http_answer *out, struct err *err)
{
    (void)ctx;
    (void)req;
    if (!str_eq(key, str_from(kept_key))) {
        (void)snprintf(kept_key, sizeof kept_key, "%.*s", STR_ARG(key));
        (void)snprintf(kept_digest, sizeof kept_digest, "%.*s", STR_ARG(digest));
        return ERR_OK;
    }
    if (!str_eq(digest, str_from(kept_digest)))
        return err_set(err, ERR_INVALID, "http.findings", ARG_END);
    *out_found = true;
    *out = (struct http_answer) { kept_status, str_from(kept_headers), str_from(kept_body) };
    return ERR_OK;
}

static void idem_end(void *ctx, const struct request *req, struct str key, const struct http_answer *answer)
{
    (void)ctx;
    (void)req;
    (void)key;
    kept_status = answer->status;
    (void)snprintf(kept_headers, sizeof kept_headers, "%.*s", STR_ARG(answer->headers));
    (void)snprintf(kept_body, sizeof kept_body, "%.*s", STR_ARG(answer->body));
}

/* ---- routes ---- */

struct note {
    struct str text;
    int64_t count, id;
    bool on, on_given;
};

static enum err_code create(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "text", FIELD_TEXT, true, 1, 5, offsetof(struct note, text), 0 },
        { "count", FIELD_I64, false, 0, 10, offsetof(struct note, count), 0 },
        { "id", FIELD_ID, false, 0, 0, offsetof(struct note, id), 0 },
        { "on", FIELD_BOOL, false, 0, 0, offsetof(struct note, on), offsetof(struct note, on_given) + 1 },
        { 0 },
    };
    struct note note = { 0 };
    const enum err_code rc = request_fields(req, fields, &note, err);
    if (rc)
        return rc;
    atomic_fetch_add(&runs, 1);
    reply_created(reply, STR("/api/v1/notes/1"));
    return reply_json(reply,
                      json_pack("{s:s%,s:I,s:b}", "text", note.text.ptr, note.text.len, "count", note.count,
                                "given", note.on_given),
                      err);
}

/* An answer that is worth compressing. */
static enum err_code answer_long(struct request *req, struct reply *reply, struct err *err)
{
    (void)req;
    json_t *list = json_array();
    for (int i = 0; i < 1000; i++)
        (void)json_array_append_new(list, json_integer(i));
    atomic_fetch_add(&runs, 1);
    return reply_json(reply, list, err);
}

static enum err_code show(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id, number;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc)
        rc = request_query_i64(req, "limit", 1, 200, 50, &number, err);
    if (rc)
        return rc;
    reply_version(reply, 7);
    return reply_json(reply, json_pack("{s:I,s:I}", "id", id, "limit", number), err);
}

static enum err_code change(struct request *req, struct reply *reply, struct err *err)
{
    int64_t version;
    enum err_code rc = request_if_match(req, &version, err);
    if (!rc)
        rc = request_check_version(req, version, 7, err);
    if (!rc)
        reply_empty(reply);
    return rc;
}

static enum err_code big(struct request *req, struct reply *reply, struct err *err)
{
    char *text = arena_alloc(req->arena, 1, 100000);
    if (!text)
        return err_nomem(err);
    memset(text, 'x', 100000);
    reply_text(reply, (struct str) { text, 100000 });
    return ERR_OK;
}

static enum err_code slow(struct request *req, struct reply *reply, struct err *err)
{
    (void)req;
    (void)err;
    while (atomic_load(&hold))
        (void)nanosleep(&(struct timespec) { .tv_nsec = 1000000 }, NULL);
    reply_text(reply, STR("done"));
    return ERR_OK;
}

static enum err_code upload(struct request *req, struct reply *reply, struct err *err)
{
    json_t *parts = json_array();
    for (int i = 0; i < request_upload_count(req); i++) {
        const struct upload *part = request_upload_at(req, i);
        char head[16] = { 0 };
        test_ok(read(part->fd, head, 8) >= 0, "the file is at its start");
        (void)json_array_append_new(parts,
                                    json_pack("{s:s%,s:s%,s:I,s:s}", "name", part->name.ptr, part->name.len,
                                              "file", part->file_name.ptr, part->file_name.len, "size",
                                              (json_int_t)part->size, "head", head));
    }
    return reply_json(reply, parts, err);
}

static enum err_code nothing(struct request *req, struct reply *reply, struct err *err)
{
    (void)req;
    reply_text(reply, STR("{}"));
    (void)err;
    return ERR_OK;
}

static const struct route ROUTES[] = {
    { "POST", "/api/v1/notes", "*", create, 0 },
    { "POST", "/api/v1/long", "*", answer_long, 0 },
    { "GET", "/api/v1/notes/{id}", "*", show, 0 },
    { "PATCH", "/api/v1/notes/{id}", "*", change, 0 },
    { "GET", "/api/v1/notes/big", "*", big, 0 },
    { "GET", "/api/v1/slow", "", slow, 0 },
    { "POST", "/api/v1/upload", "*", upload, ROUTE_UPLOAD },
    { "GET", "/api/v1/{pack}/{type}", "{pack}.{type}.read", nothing, 0 },
    { 0 },
};

/* ---- a client in raw bytes ---- */

static int dial(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)http_port(server)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval wait = { .tv_sec = 10 };
    test_ok(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

static void put(int fd, const char *text, size_t len)
{
    while (len) {
        const ssize_t wrote = send(fd, text, len, MSG_NOSIGNAL);
        if (wrote <= 0)
            return; /* the server has hung up: what it said before can still be read */
        text += wrote;
        len -= (size_t)wrote;
    }
}

/* Everything until the end of the connection. */
static char *all(int fd)
{
    static char answer[400000];
    size_t len = 0;
    ssize_t got;
    while (len < sizeof answer - 1 && (got = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0)
        len += (size_t)got;
    answer[len] = 0;
    (void)close(fd);
    return answer;
}

static char *ask(const char *method, const char *path, const char *headers, const char *body)
{
    char head[2048];
    const int fd = dial();
    const int len = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s",
                             method, path, headers ? headers : "");
    put(fd, head, (size_t)len);
    if (body) {
        const int more = snprintf(head, sizeof head, "Content-Length: %zu\r\n\r\n", strlen(body));
        put(fd, head, (size_t)more);
        put(fd, body, strlen(body));
    } else {
        put(fd, "\r\n", 2);
    }
    return all(fd);
}

static int status(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

#define AUTH "Authorization: Bearer good\r\n"
#define JSON AUTH "Content-Type: application/json\r\n"

/* ---- the tests ---- */

static void test_deny_by_default(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *headers;
        int want;
        const char *has;
    } cases[] = {
        { "GET", "/api/v1/notes/5", NULL, 401, "application/problem+json" },
        { "GET", "/api/v1/unknown/x/y/z", NULL, 401, "urn:bihuan:problem:no_login" },
        { "GET", "/api", NULL, 401, "problem" },
        { "DELETE", "/api/v1/notes/5", NULL, 401, "problem" },
        { "GET", "/api/v1/notes/5", "Authorization: Bearer bad\r\n", 401, "WWW-Authenticate" },
        { "GET", "/api/v1/notes/5", AUTH, 200, "{\"id\":5,\"limit\":50}" },
        { "GET", "/api/v1/notes/5", "Cookie: bihuan_session=good\r\n", 200, "ETag: \"7\"" },
        { "GET", "/api/v1/unknown/x/y/z", AUTH, 404, "未找到" },
        { "GET", "/api/v1/unknown/x/y/z", AUTH "Accept-Language: en\r\n", 404, "not found" },
        { "DELETE", "/api/v1/notes/5", AUTH, 405, "Allow: " },
        { "GET", "/api/v1/core/secret", AUTH, 403, "core.secret.read" },
        { "GET", "/api/v1/core/open", AUTH, 200, "{}" },
        { "GET", "/api/v1/notes/x5", AUTH, 404, "problem" },
        { "GET", "/api/v1/notes/5?limit=201", AUTH, 422, "\"/?limit\"" },
        { "GET", "/api/v1/notes/5?limit=7", AUTH, 200, "\"limit\":7" },
        { "GET", "/healthz", NULL, 200, "ok" },
        { "GET", "/metrics", NULL, 200, "bihuan_http_requests_total" },
        { "GET", "/api/v1/a%00b", AUTH, 400, "NUL" },
        { "GET", "/%ff", NULL, 422, "UTF-8" },
        { "HEAD", "/api/v1/notes/5", AUTH, 200, "X-Content-Type-Options: nosniff" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *answer = ask(cases[i].method, cases[i].path, cases[i].headers, NULL);
        test_ok(status(answer) == cases[i].want && strstr(answer, cases[i].has), "%s %s: %s", cases[i].method,
                cases[i].path, answer);
    }
}

static void test_bad_bodies(void **state)
{
    (void)state;
    static char deep[300];
    memset(deep, '[', 100);
    static const struct {
        const char *headers, *body;
        int want;
        const char *has;
    } cases[] = {
        { JSON, "{\"text\":\"ab\",\"count\":3,\"on\":true}", 201, "\"given\":true" },
        { JSON, "{\"text\":\"ab\"}", 201, "\"given\":false" },
        { JSON, "{\"text\":\"ab\"}", 201, "Location: /api/v1/notes/1" },
        { JSON, "{\"text\":\"ab\",}", 422, "\"line\":1" },
        { JSON, "", 422, "http.body_missing" },
        { JSON, "[]", 422, "http.field_type" },
        { JSON, "{\"text\":\"ab\",\"text\":\"cd\"}", 422, "http.json_duplicate" },
        { JSON, "{\"text\":\"\xff\"}", 422, "http.json_utf8" },
        { JSON, "{\"text\":\"ab\",\"colour\":1}", 422,
          "\"pointer\":\"/colour\",\"code\":\"http.field_unknown\"" },
        { JSON, "{\"text\":7}", 422, "\"code\":\"http.field_type\"" },
        { JSON, "{\"text\":\"abcdef\"}", 422, "http.field_long" },
        { JSON, "{\"text\":\"闭环闭环闭\"}", 201, "闭" },
        { JSON, "{\"text\":\"\"}", 422, "http.field_short" },
        { JSON, "{\"count\":1}", 422, "http.field_missing" },
        { JSON, "{\"text\":\"a\",\"count\":11,\"x\":1}", 422, "\"code\":\"http.findings\"" },
        { JSON, deep, 422, "http.json_depth" },
        { AUTH "Content-Type: text/plain\r\n", "{\"text\":\"ab\"}", 422, "http.content_type" },
        { "Content-Type: application/json\r\n", "{\"text\":\"ab\"}", 401, "http.no_login" },
        { "Cookie: bihuan_session=good\r\nContent-Type: application/json\r\n", "{\"text\":\"ab\"}", 403,
          "http.csrf" },
        { "Cookie: bihuan_session=good\r\nX-CSRF-Token: token\r\nContent-Type: application/json\r\n",
          "{\"text\":\"ab\"}", 201, "ab" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *answer = ask("POST", "/api/v1/notes", cases[i].headers, cases[i].body);
        const char *has =
            cases[i].want == 422 && strstr(cases[i].has, "http.findings") ? "/count" : cases[i].has;
        test_ok(status(answer) == cases[i].want && strstr(answer, has), "%s: %s", cases[i].body, answer);
    }
}

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int want;
    } cases[] = { { "", 428 },
                  { "If-Match: \"7\"\r\n", 204 },
                  { "If-Match: \"6\"\r\n", 412 },
                  { "If-Match: *\r\n", 204 },
                  { "If-Match: 7\r\n", 422 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char headers[128];
        (void)snprintf(headers, sizeof headers, JSON "%s", cases[i].header);
        const char *answer = ask("PATCH", "/api/v1/notes/5", headers, "{}");
        test_ok(status(answer) == cases[i].want, "%s: %s", cases[i].header, answer);
        test_ok(cases[i].want != 412 || strstr(answer, "{\"given\":6,\"current\":7}"), "both versions: %s",
                answer);
    }
}

static void test_idempotency(void **state)
{
    (void)state;
    const int before = atomic_load(&runs);
    const char *answer = ask("POST", "/api/v1/notes", JSON "Idempotency-Key: k1\r\n", "{\"text\":\"one\"}");
    test_ok(status(answer) == 201, "first: %s", answer);
    answer = ask("POST", "/api/v1/notes", JSON "Idempotency-Key: k1\r\n", "{\"text\":\"one\"}");
    test_ok(status(answer) == 201 && strstr(answer, "Idempotency-Replayed") && strstr(answer, "one"),
            "again: %s", answer);
    test_ok(strstr(answer, "Location: /api/v1/notes/1\r\n") &&
                strstr(answer, "Content-Type: application/json"),
            "with the headers of the first: %s", answer);
    test_ok(atomic_load(&runs) == before + 1, "ran once");
    answer = ask("POST", "/api/v1/notes?dry=1", JSON "Idempotency-Key: k1\r\n", "{\"text\":\"one\"}");
    test_ok(status(answer) == 422, "another query: %s", answer);
    answer = ask("POST", "/api/v1/notes", JSON "Idempotency-Key: k1\r\n", "{\"text\":\"two\"}");
    test_ok(status(answer) == 422, "another body: %s", answer);
    answer = ask("POST", "/api/v1/long", JSON "Idempotency-Key: k2\r\nAccept-Encoding: gzip\r\n", "{}");
    test_ok(status(answer) == 200 && strstr(answer, "Content-Encoding: gzip"), "compressed: %.200s", answer);
    answer = ask("POST", "/api/v1/long", JSON "Idempotency-Key: k2\r\n", "{}");
    test_ok(status(answer) == 200 && strstr(answer, "Idempotency-Replayed") && strstr(answer, "[0,1,2") &&
                !strstr(answer, "Content-Encoding"),
            "is kept as it was before: %.200s", answer);
    test_ok(atomic_load(&runs) == before + 2, "ran once");
    answer = ask("POST", "/api/v1/upload", AUTH "Idempotency-Key: k3\r\nContent-Type: text/csv\r\n", "a,b");
    test_ok(status(answer) == 200, "a file: %s", answer);
    answer = ask("POST", "/api/v1/upload", AUTH "Idempotency-Key: k3\r\nContent-Type: text/csv\r\n", "a,c");
    test_ok(status(answer) == 422, "another file: %s", answer);
}

static void test_too_large(void **state)
{
    (void)state;
    const int fd = dial();
    static const char head[] =
        "POST /api/v1/notes HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 1073741824\r\n\r\n";
    put(fd, head, sizeof head - 1);
    const char *answer = all(fd);
    test_ok(status(answer) == 413 && strstr(answer, "http.body_large"), "1 GB: %s", answer);

    const int chunked = dial();
    static const char begin[] = "POST /api/v1/notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" JSON
                                "Transfer-Encoding: chunked\r\n\r\n";
    static char chunk[65536 + 16];
    put(chunked, begin, sizeof begin - 1);
    memcpy(chunk, "10000\r\n", 7);
    memset(chunk + 7, 'x', 65536);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    for (int i = 0; i < 20; i++)
        put(chunked, chunk, 65536 + 9);
    put(chunked, "0\r\n\r\n", 5);
    answer = all(chunked);
    test_ok(status(answer) == 413, "chunked: %s", answer);

    static char header[70000];
    memset(header, 'a', sizeof header - 1);
    const int long_head = dial();
    put(long_head, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ", 40);
    put(long_head, header, sizeof header - 1);
    put(long_head, "\r\n\r\n", 4);
    answer = all(long_head);
    test_ok(status(answer) == 431 || status(answer) == 413, "header: %.100s", answer);
}

static void test_upload(void **state)
{
    (void)state;
    const char *answer = ask("POST", "/api/v1/upload", AUTH "Content-Type: text/csv\r\n", "a,b\n1,2\n");
    test_ok(status(answer) == 200 && strstr(answer, "\"size\":8") && strstr(answer, "a,b"), "plain: %s",
            answer);
    answer = ask("POST", "/api/v1/upload", AUTH "Content-Type: multipart/form-data; boundary=xx\r\n",
                 "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../../etc/a.csv\"\r\n"
                 "Content-Type: text/csv\r\n\r\nhello\r\n--xx\r\nContent-Disposition: form-data; "
                 "name=\"note\"\r\n\r\nhi\r\n--xx--\r\n");
    test_ok(status(answer) == 200 && strstr(answer, "\"file\":\"a.csv\",\"size\":5") &&
                strstr(answer, "\"name\":\"note\",\"file\":\"\",\"size\":2"),
            "parts: %s", answer);
    answer = ask("POST", "/api/v1/upload", AUTH "Content-Type: multipart/form-data; boundary=xx\r\n",
                 "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhel");
    test_ok(status(answer) == 422, "cut off: %s", answer);
    answer = ask("POST", "/api/v1/upload", "Content-Type: text/csv\r\n", "a");
    test_ok(status(answer) == 401, "nobody: %s", answer);
}

static void test_compression(void **state)
{
    (void)state;
    const char *answer = ask("GET", "/api/v1/notes/big", AUTH "Accept-Encoding: gzip\r\n", NULL);
    test_ok(status(answer) == 200 && strstr(answer, "Content-Encoding: gzip") && strlen(answer) < 3000,
            "%.400s", answer);
    answer = ask("GET", "/api/v1/notes/big", AUTH, NULL);
    test_ok(status(answer) == 200 && strlen(answer) > 100000, "plain");
}

static void test_full_queue_is_busy_at_once(void **state)
{
    (void)state;
    atomic_store(&hold, true);
    static const char head[] = "GET /api/v1/slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    int fds[40], refused = 0, served = 0;
    for (int i = 0; i < 40; i++) {
        fds[i] = dial();
        put(fds[i], head, sizeof head - 1);
    }
    /* 2 workers and 8 places: 30 are answered while the others still wait */
    for (int answered = 0, round = 0; answered < 30 && round < 1000; round++) {
        answered = 0;
        for (int i = 0; i < 40; i++) {
            struct pollfd one = { .fd = fds[i], .events = POLLIN };
            answered += poll(&one, 1, 0) == 1;
        }
        (void)nanosleep(&(struct timespec) { .tv_nsec = 5000000 }, NULL);
    }
    /* a busy machine may have ended one of the 40 before it was read: then the next takes its place and waits
     */
    int extra[8], extras = 0;
    struct pollfd told = { .events = POLLIN };
    do {
        told.fd = extra[extras++] = dial();
        put(told.fd, head, sizeof head - 1);
    } while (poll(&told, 1, 2000) != 1 && extras < 8);
    const char *answer = all(told.fd);
    if (status(answer) != 503)
        atomic_store(&hold, false); /* or the end would wait for ever */
    test_ok(status(answer) == 503 && strstr(answer, "Retry-After"), "at once: %s", answer);
    answer = ask("GET", "/healthz", NULL, NULL);
    test_ok(status(answer) == 200, "health answers beside it: %s", answer);
    atomic_store(&hold, false);
    for (int i = 0; i < extras - 1; i++)
        served += status(all(extra[i])) == 200;
    for (int i = 0; i < 40; i++) {
        answer = all(fds[i]);
        refused += status(answer) == 503;
        served += status(answer) == 200;
    }
    test_ok(served >= 8 && served <= 14 && refused + served <= 39 + extras && refused + served >= 40,
            "%d served, %d refused", served, refused);
}

static bool sees_nobody(void *arg, const void *one)
{
    (void)arg;
    (void)one;
    return false;
}

static void test_live_events(void **state)
{
    (void)state;
    const int fd = dial();
    static const char head[] =
        "GET /api/v1/core/events?topics=alarm,task HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n";
    char text[8192] = "";
    size_t len = 0;
    put(fd, head, sizeof head - 1);
    while (len < sizeof text - 1 && !strstr(text, ": live")) {
        const ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        test_ok(got > 0, "the stream begins");
        len += (size_t)got;
        text[len] = 0;
    }
    http_event_publish(server, "job", STR("{\"n\":0}"), NULL, NULL);
    http_event_publish(server, "alarm", STR("{\"hidden\":1}"), sees_nobody, NULL);
    http_event_publish(server, "alarm", STR("{\"n\":1}"), NULL, NULL);
    http_event_publish(server, "task", STR("{\n\"n\":2}"), NULL, NULL);
    while (len < sizeof text - 1 && !strstr(text, "\"n\":2}\n\n")) {
        const ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        test_ok(got > 0, "events come: %s", text);
        len += (size_t)got;
        text[len] = 0;
    }
    test_ok(strstr(text, "event: alarm\ndata: {\"n\":1}\n\n") &&
                strstr(text, "event: task\ndata: { \"n\":2}") && !strstr(text, "hidden") &&
                !strstr(text, "event: job"),
            "%s", text);
    (void)close(fd);
    test_ok(status(ask("GET", "/api/v1/core/events?topics=a", NULL, NULL)) == 401, "not for nobody");
}

static void write_file(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", web_dir, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    test_ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", path);
    (void)close(fd);
}

static void test_static_files(void **state)
{
    (void)state;
    static const struct {
        const char *path, *headers;
        int want;
        const char *has;
    } cases[] = {
        { "/", NULL, 200, "<app>" },
        { "/", NULL, 200, "Content-Security-Policy: default-src 'self'" },
        { "/", NULL, 200, "Cache-Control: no-cache" },
        { "/alarms/5", NULL, 200, "<app>" },
        { "/assets/app-1a2b3c4d.js", NULL, 200, "immutable" },
        { "/assets/app-1a2b3c4d.js", "Accept-Encoding: gzip, br\r\n", 200, "brotli bytes" },
        { "/assets/app-1a2b3c4d.js", "Accept-Encoding: gzip\r\n", 200, "gzip bytes" },
        { "/assets/app-1a2b3c4d.js", "Accept-Encoding: br;q=0\r\n", 200, "plain bytes" },
        { "/assets/missing.js", NULL, 404, "problem" },
        { "/../http_test.c", NULL, 404, "problem" },
        { "/assets/app-1a2b3c4d.js.gz", NULL, 404, "problem" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *answer = ask("GET", cases[i].path, cases[i].headers, NULL);
        test_ok(status(answer) == cases[i].want && strstr(answer, cases[i].has), "%s: %s", cases[i].path,
                answer);
    }
    char etag[64] = "", headers[128];
    const char *at = strstr(ask("GET", "/", NULL, NULL), "ETag: ");
    test_ok(at && sscanf(at, "ETag: %40s", etag) == 1, "an ETag");
    (void)snprintf(headers, sizeof headers, "If-None-Match: %s\r\n", etag);
    test_ok(status(ask("GET", "/", headers, NULL)) == 304, "304 for %s", etag);
}

static void test_slow_client_is_ended(void **state)
{
    (void)state;
    const int fd = dial();
    put(fd, "GET /healthz HTTP/1.1\r\nHost", 27);
    struct timespec from, to;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    const char *answer = all(fd);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    test_ok(to.tv_sec - from.tv_sec <= 5 && status(answer) != 200, "ended after %ld s: %s",
            (long)(to.tv_sec - from.tv_sec), answer);
}

static void test_routes_as_text(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 65536);
    http_routes_text(server, &out);
    test_ok(strstr(out.ptr, "GET /api/v1/{pack}/{type} {pack}.{type}.read\n"), "%s", out.ptr);
    buf_done(&out);
}

/* ---- start and end ---- */

static int start(void **state)
{
    (void)state;
    struct err err;
    struct buf text;
    char path[256];
    words = words_new();
    for (int lang = 0; lang < LANG__COUNT; lang++) {
        char name[64];
        buf_init(&text, 1 << 22);
        (void)snprintf(name, sizeof name, "words/%s.json", lang_name((enum lang)lang));
        if (buf_read_file(&text, test_file(name), &err) ||
            words_add(words, (enum lang)lang, buf_get(&text), &err))
            return -1;
        buf_done(&text);
    }
    if (!mkdtemp(web_dir))
        return -1;
    (void)snprintf(path, sizeof path, "%s/assets", web_dir);
    (void)mkdir(path, 0700);
    write_file("index.html", "<app>");
    write_file("assets/app-1a2b3c4d.js", "plain bytes");
    write_file("assets/app-1a2b3c4d.js.gz", "gzip bytes");
    write_file("assets/app-1a2b3c4d.js.br", "brotli bytes");
    const struct http_config config = {
        .host = "127.0.0.1",
        .web_dir = web_dir,
        .words = words,
        .clock = &CLOCK_SYSTEM,
        .limits = { .workers = 2, .queue = 8, .header_ms = 1000, .idle_ms = 30000 },
        .hooks = { .who = who,
                   .who_release = who_release,
                   .may = may,
                   .csrf = csrf,
                   .idem_begin = idem_begin,
                   .idem_end = idem_end },
    };
    return http_new(&config, &server, &err) || http_add_routes(server, ROUTES, NULL, &err) ||
           http_start(server, &err);
}

static int stop(void **state)
{
    (void)state;
    char command[300];
    http_free(server);
    words_free(words);
    (void)snprintf(command, sizeof command, "rm -rf %s", web_dir);
    return system(command) != 0 || mem_live() > 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_deny_by_default),
        TEST(test_bad_bodies),
        TEST(test_versions),
        TEST(test_idempotency),
        TEST(test_too_large),
        TEST(test_upload),
        TEST(test_compression),
        TEST(test_full_queue_is_busy_at_once),
        TEST(test_live_events),
        TEST(test_static_files),
        TEST(test_slow_client_is_ended),
        TEST(test_routes_as_text),
    };
    test_setup(argc, argv);
    return cmocka_run_group_tests(tests, start, stop) != 0;
}
