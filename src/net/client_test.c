/* The client against a server of ours: answers, limits, redirects, want of memory. */
#include "net/client.h"
#include "net/http.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static struct http_server *server;
static struct client *client;
static char urls[4][256];
static _Atomic int slow_ones;
static _Atomic bool hold; /* the slow ones wait */

static enum err_code echo(struct request *req, struct reply *reply, struct err *err)
{
    return reply_json(
        reply,
        json_pack("{s:s%, s:s%, s:s%, s:s%}", "method", req->method.ptr, req->method.len, "body",
                  request_body(req).ptr ? request_body(req).ptr : "", request_body(req).len, "auth",
                  request_header(req, "Authorization").ptr ? request_header(req, "Authorization").ptr : "",
                  request_header(req, "Authorization").len, "secret",
                  request_header(req, "X-Secret").ptr ? request_header(req, "X-Secret").ptr : "",
                  request_header(req, "X-Secret").len),
        err);
}

/* /go?status=307&to=URL */
static enum err_code go(struct request *req, struct reply *reply, struct err *err)
{
    int64_t code;
    const enum err_code rc = request_query_i64(req, "status", 300, 399, 302, &code, err);
    if (rc)
        return rc;
    reply_text(reply, STR("elsewhere"));
    reply->status = (int)code;
    reply_header(reply, "Location", request_query(req, "to"));
    return ERR_OK;
}

static enum err_code loop(struct request *req, struct reply *reply, struct err *err)
{
    (void)req;
    (void)err;
    reply_empty(reply);
    reply->status = 302;
    reply_header(reply, "Location", STR("/t/loop"));
    return ERR_OK;
}

static enum err_code slow(struct request *req, struct reply *reply, struct err *err)
{
    (void)req;
    (void)err;
    atomic_fetch_add(&slow_ones, 1);
    for (int i = 0; i < 60000 && atomic_load(&hold); i++)
        (void)usleep(1000);
    reply_text(reply, STR("late"));
    return ERR_OK;
}

static enum err_code large(struct request *req, struct reply *reply, struct err *err)
{
    enum { SIZE = 300000 };
    char *bytes = arena_alloc(req->arena, 1, SIZE);
    if (!bytes)
        return err_nomem(err);
    memset(bytes, 'x', SIZE);
    reply_bytes(reply, "text/plain", (struct str) { bytes, SIZE });
    return ERR_OK;
}

static const struct route ROUTES[] = {
    { "GET", "/t/echo", "", echo, 0 },   { "POST", "/t/echo", "", echo, 0 },
    { "GET", "/t/go", "", go, 0 },       { "POST", "/t/go", "", go, 0 },
    { "GET", "/t/loop", "", loop, 0 },   { "GET", "/t/slow", "", slow, 0 },
    { "GET", "/t/large", "", large, 0 }, { 0 },
};

static const char *url(int i, const char *host, const char *path)
{
    (void)snprintf(urls[i], sizeof urls[i], "http://%s:%d%s", host, http_port(server), path);
    return urls[i];
}

static const char *redirect(int i, const char *host, int code, const char *to)
{
    char path[200];
    (void)snprintf(path, sizeof path, "/t/go?status=%d&to=%s", code, to);
    return url(i, host, path);
}

static void test_asks(void **state)
{
    (void)state;
    struct err err;
    struct client_answer answer;
    struct client_request request = { .method = "GET", .url = url(0, "127.0.0.1", "/t/echo") };
    test_ok(client_ask(client, &request, &answer, &err) == ERR_OK && answer.status == 200 &&
                strstr(answer.body.ptr, "\"method\":\"GET\""),
            "GET: %s", answer.reason);
    client_answer_done(&answer);
    request =
        (struct client_request) { .method = "POST",
                                  .url = urls[0],
                                  .headers = { { "X-Secret", "s" }, { "Content-Type", "application/json" } },
                                  .body = STR("{}"),
                                  .user = "u",
                                  .password = "p" };
    test_ok(client_ask(client, &request, &answer, &err) == ERR_OK && answer.status == 200 &&
                strstr(answer.body.ptr, "\"body\":\"{}\"") && strstr(answer.body.ptr, "Basic dTpw") &&
                strstr(answer.body.ptr, "\"secret\":\"s\""),
            "POST with headers and a password: %s", answer.body.ptr ? answer.body.ptr : answer.reason);
    client_answer_done(&answer);
    request = (struct client_request) { .method = "GET", .url = url(0, "127.0.0.1", "/t/go?status=7") };
    test_ok(client_ask(client, &request, &answer, &err) == ERR_OK && answer.status == 422,
            "422 is an answer");
    client_answer_done(&answer);
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *name, *url;
        enum err_code want;
        const char *id;
    } cases[] = {
        { "no such name", "http://no-such-host.invalid/", ERR_NET, "net.client" },
        { "nobody listens", "http://127.0.0.1:9/", ERR_NET, "net.client" },
        { "another protocol", "file:///etc/passwd", ERR_INVALID, "net.client_url" },
        { "no address", "http://", ERR_INVALID, "net.client_url" },
    };
    struct err err = { 0 };
    struct client_answer answer;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct client_request request = { .method = "GET", .url = cases[i].url };
        test_ok(client_ask(client, &request, &answer, &err) == cases[i].want &&
                    strcmp(err.id, cases[i].id) == 0 && answer.reason[0] && !answer.status,
                "%s: %s %s", cases[i].name, err.id, answer.reason);
        client_answer_done(&answer);
    }
    struct client_request request = { .method = "GET",
                                      .url = url(0, "127.0.0.1", "/t/slow"),
                                      .timeout_ms = 150 };
    const int64_t began = clock_mono(&CLOCK_SYSTEM);
    atomic_store(&hold, true);
    const enum err_code rc = client_ask(client, &request, &answer, &err);
    atomic_store(&hold, false);
    test_ok(rc == ERR_TIMEOUT && clock_mono(&CLOCK_SYSTEM) - began < 20000, "in time: %s", answer.reason);
    client_answer_done(&answer);
    request = (struct client_request) { .method = "GET",
                                        .url = url(0, "127.0.0.1", "/t/large"),
                                        .answer_max = 1000 };
    test_ok(client_ask(client, &request, &answer, &err) == ERR_OK && answer.cut && answer.body.len == 1000 &&
                answer.status == 200,
            "a long answer is cut: %zu %s", answer.body.len, answer.reason);
    client_answer_done(&answer);
    request.headers[0] = (struct client_header) { "X-A", "b\r\nX-C: d" };
    test_ok(client_ask(client, &request, &answer, &err) != ERR_OK, "a header holds no line break");
    client_answer_done(&answer);
}

/* 127.0.0.2 stands for a private address here, 127.0.0.1 for a public one. */
static void test_redirects(void **state)
{
    (void)state;
    struct err err;
    struct client_answer answer;
    struct client_request request = { .method = "GET", .url = redirect(0, "127.0.0.1", 302, "/t/echo") };
    test_ok(client_ask(client, &request, &answer, &err) == ERR_OK && answer.status == 302,
            "none is followed");
    client_answer_done(&answer);
    request.redirects = 3;
    test_ok(client_ask(client, &request, &answer, &err) == ERR_OK && answer.status == 200 && answer.hops == 1,
            "one is: %s", answer.reason);
    client_answer_done(&answer);
    request.url = redirect(0, "127.0.0.1", 302, "/t/go?to=/t/go");
    test_ok(client_ask(client, &request, &answer, &err) == ERR_OK, "a chain ends somewhere: %s",
            answer.reason);
    client_answer_done(&answer);
    struct client_request endless = { .method = "GET", .redirects = 3 };
    endless.url = url(1, "127.0.0.1", "/t/loop");
    test_ok(client_ask(client, &endless, &answer, &err) == ERR_INVALID &&
                strcmp(err.id, "net.client_redirect") == 0 && answer.hops == 3,
            "too many are refused: hops %d, %s", answer.hops, answer.reason);
    client_answer_done(&answer);

    char target[128];
    (void)snprintf(target, sizeof target, "http://127.0.0.2:%d/t/echo", http_port(server));
    request.url = redirect(0, "127.0.0.1", 302, target);
    test_ok(client_ask(client, &request, &answer, &err) == ERR_INVALID && strstr(answer.reason, "private"),
            "not to a private address: %s", answer.reason);
    client_answer_done(&answer);
    request.private_ok = true;
    test_ok(client_ask(client, &request, &answer, &err) == ERR_OK && answer.status == 200,
            "unless allowed: %s", answer.reason);
    client_answer_done(&answer);
    request.private_ok = false;
    request.url = redirect(0, "127.0.0.2", 302, target);
    test_ok(client_ask(client, &request, &answer, &err) == ERR_OK && answer.status == 200,
            "from a private one it may: %s", answer.reason);
    client_answer_done(&answer);

    struct client_request post = { .method = "POST",
                                   .url = redirect(0, "127.0.0.1", 302, "/t/echo"),
                                   .headers = { { "X-Secret", "s" } },
                                   .body = STR("kept"),
                                   .user = "u",
                                   .password = "p",
                                   .redirects = 3 };
    test_ok(client_ask(client, &post, &answer, &err) == ERR_OK && answer.status == 302,
            "a body that would be lost is not sent on");
    client_answer_done(&answer);
    post.url = redirect(0, "127.0.0.1", 307, "/t/echo");
    test_ok(client_ask(client, &post, &answer, &err) == ERR_OK && answer.status == 200 &&
                strstr(answer.body.ptr, "kept") && strstr(answer.body.ptr, "Basic") &&
                strstr(answer.body.ptr, "\"s\""),
            "307 takes it along, on the same host with the password: %s", answer.body.ptr);
    client_answer_done(&answer);
    (void)snprintf(target, sizeof target, "http://localhost:%d/t/echo", http_port(server));
    post.url = redirect(0, "127.0.0.1", 307, target);
    test_ok(client_ask(client, &post, &answer, &err) == ERR_OK && answer.status == 200 &&
                strstr(answer.body.ptr, "kept") && !strstr(answer.body.ptr, "Basic") &&
                !strstr(answer.body.ptr, "\"secret\":\"s\""),
            "on another host without: %s", answer.body.ptr ? answer.body.ptr : answer.reason);
    client_answer_done(&answer);
}

static void *ask_slowly(void *arg)
{
    struct err err;
    struct client_answer answer;
    const struct client_request request = { .method = "GET", .url = urls[3] };
    if (client_ask(arg, &request, &answer, &err) || answer.status != 200)
        (void)snprintf(urls[2], sizeof urls[2], "failed");
    client_answer_done(&answer);
    return NULL;
}

static void test_bounded(void **state)
{
    (void)state;
    struct err err;
    struct client *small = NULL;
    struct client_answer answer;
    pthread_t threads[2];
    const struct client_config config = { .calls = 2 };
    test_ok(client_new(&config, &small, &err) == ERR_OK, "made");
    urls[2][0] = 0;
    (void)url(3, "127.0.0.1", "/t/slow");
    const int before = atomic_load(&slow_ones);
    atomic_store(&hold, true);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_slowly, small), 0);
    for (int i = 0; i < 30000 && atomic_load(&slow_ones) < before + 2; i++)
        (void)usleep(1000);
    const struct client_request request = { .method = "GET", .url = urls[3] };
    const enum err_code rc = client_ask(small, &request, &answer, &err);
    atomic_store(&hold, false);
    test_ok(rc == ERR_BUSY, "the third is told at once: %s", err.id);
    client_answer_done(&answer);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    test_ok(!urls[2][0], "the first two are answered");
    client_free(small);
}

/* Nobody listens there: a server of this process would take part in the counting. */
static void test_out_of_memory(void **state)
{
    (void)state;
    const struct client_request request = { .method = "GET", .url = "http://127.0.0.1:9/", .redirects = 2 };
    const struct client_config config = { .ca_file = "/etc/ssl/certs/ca-certificates.crt" };
    const long live = mem_live();
    enum err_code rc = ERR_NOMEM;
    long nth = 0;
    for (; rc == ERR_NOMEM; nth++) {
        struct err err = { 0 };
        struct client *one = NULL;
        struct client_answer answer = { 0 };
        mem_fail_at(nth);
        rc = client_new(&config, &one, &err);
        if (!rc)
            rc = client_ask(one, &request, &answer, &err);
        mem_fail_at(-1);
        client_answer_done(&answer);
        client_free(one);
        test_ok((rc == ERR_NET || rc == ERR_NOMEM) && mem_live() == live, "no memory at %ld: %d", nth, rc);
    }
    test_ok(nth == 3, "two allocations fail, the third run goes through: %ld", nth);
}

int main(int argc, char **argv)
{
    struct err err = { 0 };
    struct words *words = words_new();
    const struct http_config config = {
        .host = "0.0.0.0", .port = 0, .words = words, .clock = &CLOCK_SYSTEM
    };
    const struct client_config limits = { .addresses = "127.0.0.2" };
    if (!words || http_new(&config, &server, &err) || http_add_routes(server, ROUTES, NULL, &err) ||
        http_start(server, &err) || client_new(&limits, &client, &err)) {
        (void)fprintf(stderr, "no server: %s\n", err.id);
        return 1;
    }
    const struct CMUnitTest tests[] = { TEST(test_asks), TEST(test_limits), TEST(test_redirects),
                                        TEST(test_bounded), TEST(test_out_of_memory) };
    test_setup(argc, argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL) != 0;
    client_free(client);
    http_free(server);
    words_free(words);
    return failed;
}
