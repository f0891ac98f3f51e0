/* client.c - see client.h
 *
 * Invariant: a call belongs to the thread that drives the transfers from the moment it is queued until `done`
 * is set under the lock; whoever asks only waits. */
#include "net/client.h"
#include "base/clock.h"
#include "net/cidr.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#define CALLS_DEFAULT 32
#define TIMEOUT_DEFAULT_MS 20000
#define CONNECT_MS 8000
#define ANSWER_DEFAULT ((size_t)1 << 20)
#define POLL_MS 1000

static const char PRIVATE[] =
    "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, "
    "192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3, ::/127, fc00::/7, fe80::/10, ff00::/8";

struct call {
    struct call *next;
    struct client *client;
    const struct client_request *request;
    struct client_answer *out;
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    int64_t until_mono;
    bool first_private, blocked, other_origin, done;
    enum err_code code;
    const char *id; /* of the error, when code is one */
};

struct client {
    pthread_mutex_t lock;
    pthread_cond_t done;
    pthread_t thread;
    CURLM *multi;
    struct call *queued;
    int calls, calls_max;
    bool started, stop;
    struct cidr_list addresses;
    char *ca_file;
};

static void *run(void *arg);

/* ---- one transfer ---- */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    struct call *call = arg;
    struct buf *body = &call->out->body;
    const size_t len = size * count, room = body->max - body->len;
    buf_add(body, bytes, len < room ? len : room);
    call->out->cut = len > room;
    return call->out->cut || body->failed ? 0 : len;
}

/* Every connection passes here, so that a name which leads elsewhere the second time is seen too. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct call *call = arg;
    char text[46];
    (void)purpose;
    address_text(&address->addr, text);
    const bool is_private = cidr_list_has(&call->client->addresses, str_from(text));
    if (call->out->hops == 0)
        call->first_private = call->first_private || is_private;
    else if (is_private && !call->first_private && !call->request->private_ok) {
        call->blocked = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool add_header(struct call *call, const char *name, const char *value)
{
    char line[2048];
    const int len = snprintf(line, sizeof line, "%s: %s", name, value);
    if (len < 0 || (size_t)len >= sizeof line || strpbrk(line, "\r\n"))
        return false;
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    if (longer)
        call->headers = longer;
    return longer != NULL;
}

/* What every hop has in common; false: no memory, or a header that is none. */
static bool prepare(struct call *call)
{
    const struct client_request *request = call->request;
    const struct client *client = call->client;
    CURL *easy = call->easy = curl_easy_init();
    if (!easy)
        return false;
    for (int i = 0; i < CLIENT_HEADERS_MAX && request->headers[i].name; i++)
        if (!add_header(call, request->headers[i].name, request->headers[i].value))
            return false;
    if (!add_header(call, "Expect", "")) /* the body is small: no round trip before it */
        return false;
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->redirects > 0 ? 1L : 0L);
    if (client->ca_file)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    if (request->body.ptr) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.ptr);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)request->body.len);
    }
    if (strcmp(request->method, "HEAD") == 0)
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else
        (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->user) {
        (void)curl_easy_setopt(easy, CURLOPT_USERNAME, request->user);
        (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, request->password ? request->password : "");
    }
    return true;
}

static bool begin(struct call *call, const char *url)
{
    const int64_t left = call->until_mono - clock_mono(&CLOCK_SYSTEM);
    call->error[0] = 0;
    buf_clear(&call->out->body);
    call->out->cut = false;
    (void)curl_easy_setopt(call->easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)(left > 1 ? left : 1));
    return curl_multi_add_handle(call->client->multi, call->easy) == CURLM_OK;
}

/* ---- its end ---- */

static void end(struct call *call, enum err_code code, const char *id, const char *reason)
{
    struct client *client = call->client;
    if (reason)
        (void)snprintf(call->out->reason, sizeof call->out->reason, "%s", reason);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    call->easy = NULL;
    call->headers = NULL;
    (void)pthread_mutex_lock(&client->lock);
    call->code = code;
    call->id = id;
    call->done = true;
    (void)pthread_cond_broadcast(&client->done);
    (void)pthread_mutex_unlock(&client->lock);
}

static char *part_of(const char *url, CURLUPart part)
{
    char *text = NULL;
    CURLU *parsed = curl_url();
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
        (void)curl_url_get(parsed, part, &text, CURLU_DEFAULT_PORT);
    curl_url_cleanup(parsed);
    return text;
}

static bool same_part(const char *one, const char *other, CURLUPart part)
{
    char *a = part_of(one, part), *b = part_of(other, part);
    const bool same = a && b && strcmp(a, b) == 0;
    curl_free(a);
    curl_free(b);
    return same;
}

/* Goes on at another address; false: it was ended. */
static bool follow(struct call *call, const char *to)
{
    const struct client_request *request = call->request;
    if (call->out->hops >= request->redirects) {
        end(call, ERR_INVALID, "net.client_redirect", "too many redirects");
        return false;
    }
    if (str_starts(str_from(request->url), STR("https:")) && !str_starts(str_from(to), STR("https:"))) {
        end(call, ERR_INVALID, "net.client_redirect", "redirect from https to http");
        return false;
    }
    call->out->hops++;
    if (!call->other_origin &&
        !(same_part(request->url, to, CURLUPART_SCHEME) && same_part(request->url, to, CURLUPART_HOST) &&
          same_part(request->url, to, CURLUPART_PORT))) {
        call->other_origin = true;
        (void)curl_easy_setopt(call->easy, CURLOPT_USERNAME, NULL);
        (void)curl_easy_setopt(call->easy, CURLOPT_PASSWORD, NULL);
        curl_slist_free_all(call->headers);
        call->headers = NULL;
        bool added = add_header(call, "Expect", "");
        for (int i = 0; i < CLIENT_HEADERS_MAX && request->headers[i].name; i++)
            if (strcmp(request->headers[i].name, "Content-Type") == 0)
                added = added && add_header(call, "Content-Type", request->headers[i].value);
        (void)curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
        if (!added) {
            end(call, ERR_NOMEM, "base.no_memory", NULL);
            return false;
        }
    }
    if (begin(call, to))
        return true;
    end(call, ERR_NOMEM, "base.no_memory", NULL);
    return false;
}

static bool keeps_body(const struct client_request *request, long status)
{
    const bool plain = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    return plain ? status == 301 || status == 302 || status == 303 || status == 307 || status == 308
                 : status == 307 || status == 308;
}

static void on_end(struct call *call, CURLcode code)
{
    const char *reason = call->error[0] ? call->error : curl_easy_strerror(code);
    long status = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_WRITE_ERROR && call->out->cut)
        code = CURLE_OK;
    if (call->blocked) {
        end(call, ERR_INVALID, "net.client_redirect", "redirect to a private address");
    } else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        end(call, ERR_INVALID, "net.client_url", reason);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        end(call, ERR_TIMEOUT, "net.client_timeout", reason);
    } else if (code == CURLE_OUT_OF_MEMORY || call->out->body.failed) {
        end(call, ERR_NOMEM, "base.no_memory", NULL);
    } else if (code != CURLE_OK) {
        end(call, ERR_NET, "net.client", reason);
    } else {
        char *to = NULL;
        (void)curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &to);
        if (to && call->request->redirects > 0 && keeps_body(call->request, status)) {
            char *copy = mem_copy(to, strlen(to)); /* the handle's own goes with the next transfer */
            if (copy)
                (void)follow(call, copy);
            else
                end(call, ERR_NOMEM, "base.no_memory", NULL);
            mem_free(copy);
            return;
        }
        call->out->status = (int)status;
        end(call, ERR_OK, NULL, NULL);
    }
}

/* ---- the thread ---- */

static struct call *take_queued(struct client *client, bool *out_stop)
{
    (void)pthread_mutex_lock(&client->lock);
    struct call *queued = client->queued;
    client->queued = NULL;
    *out_stop = client->stop;
    (void)pthread_mutex_unlock(&client->lock);
    return queued;
}

static void *run(void *arg)
{
    struct client *client = arg;
    bool stop = false;
    for (;;) {
        struct call *next;
        for (struct call *call = take_queued(client, &stop); call; call = next) {
            next = call->next;
            if (!prepare(call) || !begin(call, call->request->url))
                end(call, ERR_NOMEM, "base.no_memory", NULL);
        }
        if (stop)
            break;
        int running = 0, left = 0;
        (void)curl_multi_perform(client->multi, &running);
        const CURLMsg *message;
        while ((message = curl_multi_info_read(client->multi, &left)))
            if (message->msg == CURLMSG_DONE) {
                struct call *call = NULL;
                CURL *easy = message->easy_handle;
                const CURLcode code = message->data.result;
                (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
                (void)curl_multi_remove_handle(client->multi, easy); /* `message` is gone with it */
                on_end(call, code);
            }
        (void)curl_multi_poll(client->multi, NULL, 0, POLL_MS, NULL);
    }
    return NULL;
}

/* ---- the public side ---- */

enum err_code client_new(const struct client_config *config, struct client **out, struct err *err)
{
    struct client *client = mem_alloc(1, sizeof *client);
    if (!client)
        return err_nomem(err);
    (void)pthread_mutex_init(&client->lock, NULL);
    (void)pthread_cond_init(&client->done, NULL);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    client->calls_max = config->calls > 0 ? config->calls : CALLS_DEFAULT;
    enum err_code rc =
        cidr_list_parse(str_from(config->addresses ? config->addresses : PRIVATE), &client->addresses, err);
    if (!rc && config->ca_file && !(client->ca_file = mem_copy(config->ca_file, strlen(config->ca_file))))
        rc = err_nomem(err);
    if (!rc && !(client->multi = curl_multi_init()))
        rc = err_nomem(err);
    if (!rc) {
        (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)client->calls_max);
        const int failed = pthread_create(&client->thread, NULL, run, client);
        client->started = !failed;
        if (failed)
            rc = err_set(err, ERR_INTERNAL, "net.thread", ARG_ERRNO(failed), ARG_END);
    }
    if (rc)
        client_free(client);
    else
        *out = client;
    return rc;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    if (client->started) {
        (void)pthread_mutex_lock(&client->lock);
        client->stop = true;
        (void)pthread_mutex_unlock(&client->lock);
        (void)curl_multi_wakeup(client->multi);
        (void)pthread_join(client->thread, NULL);
    }
    if (client->multi)
        (void)curl_multi_cleanup(client->multi);
    mem_free(client->ca_file);
    (void)pthread_cond_destroy(&client->done);
    (void)pthread_mutex_destroy(&client->lock);
    mem_free(client);
}

enum err_code client_ask(struct client *client, const struct client_request *request,
                         struct client_answer *out, struct err *err)
{
    const int timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_DEFAULT_MS;
    struct call call = {
        .client = client, .request = request, .out = out, .until_mono = clock_mono(&CLOCK_SYSTEM) + timeout_ms
    };
    *out = (struct client_answer) { 0 };
    buf_init(&out->body, request->answer_max ? request->answer_max : ANSWER_DEFAULT);
    (void)pthread_mutex_lock(&client->lock);
    const bool full = client->calls >= client->calls_max;
    if (!full) {
        client->calls++;
        call.next = client->queued;
        client->queued = &call; /* cppcheck-suppress autoVariables ; off the list before it is done */
        (void)curl_multi_wakeup(client->multi);
        while (!call.done) /* the transfer has a time limit of its own */
            (void)pthread_cond_wait(&client->done, &client->lock);
        client->calls--;
    }
    (void)pthread_mutex_unlock(&client->lock);
    if (full)
        return err_set(err, ERR_BUSY, "net.client_busy", ARG_INT("max", client->calls_max), ARG_END);
    return call.code ? err_set(err, call.code, call.id, ARG_TEXT("reason", out->reason), ARG_END) : ERR_OK;
}

void client_answer_done(struct client_answer *answer)
{
    buf_done(&answer->body);
}
