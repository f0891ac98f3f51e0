/* http.c - the HTTP(S) check: steps, each a request with its redirects, a new connection for each.
 *
 *     begin_request -> (dial) -> write -> read head -> read body -> judge -> redirect | next step | end
 *
 * The phases in the result are those of the last request; `total` is over all of them. */
#include "observe/collect/answer.h"
#include "observe/collect/loop.h"

#include <stdio.h>
#include <unistd.h>

#define ROUNDS_MAX 16 /* reads of SCRATCH_BYTES */
#define COOKIES_MAX 4096
#define VARIABLES_MAX 16
#define RUN_ARENA_MAX ((size_t)2 << 20)

struct variable {
    struct str name, value;
};

struct http_run {
    struct run run;
    struct dial dial;
    struct arena *arena; /* of redirects, captured variables; NULL until needed */
    struct url url;
    int step, redirects, redirects_all;
    bool get_after_redirect; /* 303 and the like: the method becomes GET, without a body */
    struct buf out;
    size_t sent;
    struct answer answer;
    int64_t request_us;
    struct buf cookies;
    struct variable variables[VARIABLES_MAX];
    int variable_count;
};

static void begin_request(struct http_run *http);
static void on_ready(struct dial *dial);
static void on_io(struct dial *dial);
static void on_failed(struct dial *dial);

static const struct dial_owner OWNER = { on_ready, on_io, on_failed };

static struct http_run *of_dial(struct dial *dial)
{
    return (struct http_run *)(void *)((char *)dial - offsetof(struct http_run, dial));
}

static void release(struct run *run)
{
    struct http_run *http = (struct http_run *)(void *)run;
    dial_end(&http->dial);
    buf_done(&http->out);
    answer_done(&http->answer);
    buf_done(&http->cookies);
    arena_free(http->arena);
    http->arena = NULL;
}

static void finish(struct http_run *http)
{
    struct collect_result *result = &http->run.result;
    const struct dial *dial = &http->dial;
    if (dial->dns_us >= 0)
        result_set(result, COLLECT_DNS_TIME, dial->dns_us);
    if (dial->connect_us >= 0)
        result_set(result, COLLECT_CONNECT, dial->connect_us);
    if (dial->tls_us >= 0)
        result_set(result, COLLECT_TLS, dial->tls_us);
    if (http->answer.status)
        result_set(result, COLLECT_STATUS, http->answer.status);
    if (http->answer.head_done) {
        result_set(result, COLLECT_BYTES, (int64_t)http->answer.body_bytes);
        result_set(result, COLLECT_REDIRECTS, http->redirects_all);
        result_set(result, COLLECT_TOTAL, loop_clock_us() - http->run.start_us);
    }
    if (result->cause)
        result->step = (uint8_t)(http->step + 1);
    release(&http->run);
    run_end(&http->run);
}

struct run *run_http(struct check *check)
{
    struct http_run *http = (struct http_run *)(void *)run_new(check, sizeof *http, release);
    if (!http)
        return NULL;
    http->dial.watch.fd = -1;
    http->dial.dns_us = http->dial.connect_us = http->dial.tls_us = -1;
    buf_init(&http->out, 512 * 1024);
    answer_init(&http->answer, check->spec->body_max);
    buf_init(&http->cookies, COOKIES_MAX);
    http->step = -1;
    struct run *run = &http->run;
    http->step = 0;
    http->url = check->spec->steps[0].url;
    begin_request(http);
    return run; /* perhaps over already: its memory lives until the round's end */
}

static const struct http_step *step_of(const struct http_run *http)
{
    return &http->run.check->spec->steps[http->step];
}

static struct arena *arena_of(struct http_run *http)
{
    if (!http->arena)
        http->arena = arena_new(RUN_ARENA_MAX);
    return http->arena;
}

/* ---- the request ---- */

/* Puts captured values in the place of {{name}}; a name that was not captured stays as it stands. */
static void put_text(const struct http_run *http, struct buf *out, struct str text)
{
    for (;;) {
        const ptrdiff_t open = str_find(text, STR("{{"));
        const ptrdiff_t close = open < 0 ? -1 : str_find(str_slice(text, (size_t)open, text.len), STR("}}"));
        if (close < 0)
            break;
        const struct str name = str_trim(str_slice(text, (size_t)open + 2, (size_t)(open + close)));
        int i = 0;
        while (i < http->variable_count && !str_eq(http->variables[i].name, name))
            i++;
        buf_str(out, str_slice(text, 0, (size_t)open));
        if (i < http->variable_count)
            buf_str(out, http->variables[i].value);
        else
            buf_str(out, str_slice(text, (size_t)open, (size_t)(open + close) + 2));
        text = str_slice(text, (size_t)(open + close) + 2, text.len);
    }
    buf_str(out, text);
}

/* The URL of a step with variables; false when it is none then. */
static bool resolve_url(struct http_run *http)
{
    struct buf text;
    struct err err;
    buf_init(&text, 8192);
    put_text(http, &text, step_of(http)->url_text);
    const bool ok = !buf_check(&text, &err) && arena_of(http) &&
                    !url_parse(http->arena, buf_get(&text), &http->url, &err);
    if (!ok)
        run_fail(&http->run, CAUSE_PROTOCOL, "not a URL: %.*s", (int)(text.len < 100 ? text.len : 100),
                 text.ptr ? text.ptr : "");
    buf_done(&text);
    return ok;
}

static void begin_request(struct http_run *http)
{
    const struct http_step *step = step_of(http);
    if (step->has_variables && http->redirects == 0 && !resolve_url(http)) {
        finish(http);
        return;
    }
    const bool plain_get = http->get_after_redirect;
    answer_begin(&http->answer, str_eq(step->method, STR("HEAD")) && !plain_get,
                 step->body_has.len || step->body_has_not.len || step->body_regex || step->capture_count);
    http->sent = 0;
    buf_clear(&http->out);
    struct buf *out = &http->out;
    const bool six = http->url.host.ptr && memchr(http->url.host.ptr, ':', http->url.host.len);
    buf_str(out, plain_get ? STR("GET") : step->method);
    buf_char(out, ' ');
    buf_str(out, http->url.path);
    buf_printf(out, " HTTP/1.1\r\nHost: %s%.*s%s", six ? "[" : "", STR_ARG(http->url.host), six ? "]" : "");
    if (!http->url.plain_port)
        buf_printf(out, ":%u", http->url.port);
    buf_text(out, "\r\nConnection: close\r\nAccept: */*\r\nUser-Agent: bihuan/" BIHUAN_VERSION "\r\n");
    if (http->cookies.len)
        buf_printf(out, "Cookie: %.*s\r\n", STR_ARG(buf_get(&http->cookies)));
    put_text(http, out, step->headers);
    if (step->body.len && !plain_get) {
        struct buf body;
        buf_init(&body, 512 * 1024);
        put_text(http, &body, step->body);
        buf_printf(out, "Content-Length: %zu\r\n\r\n", body.len);
        buf_str(out, buf_get(&body));
        if (body.failed)
            out->failed = body.failed;
        buf_done(&body);
    } else {
        buf_text(out, "\r\n");
    }
    if (out->failed) {
        run_fail(&http->run, CAUSE_LOCAL, "the request does not fit into memory");
        finish(http);
        return;
    }
    dial_start(&http->dial, &http->run, &OWNER, http->url.host, http->url.port, http->url.tls);
}

static void on_failed(struct dial *dial)
{
    finish(of_dial(dial));
}

static void on_ready(struct dial *dial)
{
    struct http_run *http = of_dial(dial);
    http->request_us = loop_clock_us();
    http->run.phase = "the first byte";
    on_io(dial);
}

/* ---- the answer ---- */

static void keep_cookies(struct http_run *http)
{
    struct str rest = buf_get(&http->answer.head), pair;
    while ((pair = answer_next_header(&rest, STR("set-cookie"))).ptr) {
        const ptrdiff_t end = str_find(pair, STR(";"));
        if (end >= 0)
            pair = str_slice(pair, 0, (size_t)end);
        if (http->cookies.len)
            buf_text(&http->cookies, "; ");
        buf_str(&http->cookies, pair);
    }
    if (http->cookies.failed)
        buf_clear(&http->cookies);
}

/* Bytes came; ANSWER_BAD after run_fail(). */
static enum answer_step take(struct http_run *http, const char *bytes, size_t len)
{
    struct answer *answer = &http->answer;
    const bool in_head = !answer->head_done;
    if (in_head && answer->head.len == 0)
        result_set(&http->run.result, COLLECT_FIRST_BYTE, loop_clock_us() - http->request_us);
    const enum answer_step step = answer_take(answer, bytes, len);
    if (step == ANSWER_BAD)
        run_fail(&http->run, CAUSE_PROTOCOL, "%s", answer->why);
    if (in_head && answer->head_done) {
        http->run.phase = "the rest of the answer";
        if (step_of(http)->capture_count || http->run.check->spec->step_count > 1 || http->redirects)
            keep_cookies(http);
    }
    return step;
}

/* ---- the verdict ---- */

static bool matches(const pcre2_code *code, struct str text, struct arena *arena, struct str *out_group)
{
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(code, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    bool yes = false;
    if (match && limits) {
        (void)pcre2_set_match_limit(limits, 100000); /* a bad pattern must not stop the loop */
        const int rc =
            pcre2_match(code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""), text.len, 0, 0, match, limits);
        yes = rc > 0;
        if (yes && out_group) {
            const PCRE2_SIZE *at = pcre2_get_ovector_pointer(match);
            const int group = rc > 1 ? 1 : 0;
            *out_group = at[2 * group] == PCRE2_UNSET
                             ? STR("")
                             : arena_str(arena, str_slice(text, at[2 * group], at[2 * group + 1]));
        }
    }
    pcre2_match_context_free(limits);
    pcre2_match_data_free(match);
    return yes;
}

/* The Location of a redirect as an absolute URL; false after run_fail(). */
static bool follow(struct http_run *http)
{
    const struct str location = answer_header(&http->answer, STR("location"));
    struct buf text;
    struct err err;
    struct url url;
    if (!arena_of(http)) {
        run_fail(&http->run, CAUSE_LOCAL, "no memory");
        return false;
    }
    buf_init(&text, 8192);
    const struct url *old = &http->url;
    const bool six = memchr(old->host.ptr, ':', old->host.len);
    if (str_starts(location, STR("http://")) || str_starts(location, STR("https://"))) {
        buf_str(&text, location);
    } else if (str_starts(location, STR("//"))) {
        buf_printf(&text, "%s:%.*s", old->tls ? "https" : "http", STR_ARG(location));
    } else {
        buf_printf(&text, "%s://%s%.*s%s:%u", old->tls ? "https" : "http", six ? "[" : "", STR_ARG(old->host),
                   six ? "]" : "", old->port);
        if (!str_starts(location, STR("/"))) { /* beside the path now */
            size_t end = 0;
            for (size_t i = 0; i < old->path.len && old->path.ptr[i] != '?'; i++)
                if (old->path.ptr[i] == '/')
                    end = i + 1;
            buf_str(&text, str_slice(old->path, 0, end));
        }
        buf_str(&text, location);
    }
    const bool ok =
        location.len && !buf_check(&text, &err) && !url_parse(http->arena, buf_get(&text), &url, &err);
    if (!ok) {
        run_fail(&http->run, CAUSE_REDIRECTS, "a redirect to %.*s cannot be followed",
                 (int)(location.len < 90 ? location.len : 90), location.ptr ? location.ptr : "nowhere");
    } else {
        if (!str_eq_nocase(url.host, old->host))
            buf_clear(&http->cookies); /* they were not meant for others */
        http->url = url;
    }
    buf_done(&text);
    return ok;
}

static bool judge(struct http_run *http)
{
    const struct http_step *step = step_of(http);
    const struct str body = buf_get(&http->answer.body);
    bool expected = false;
    for (int i = 0; i < step->status_count; i++)
        expected |= http->answer.status >= step->status_low[i] && http->answer.status <= step->status_high[i];
    if (!expected) {
        run_fail(&http->run, CAUSE_STATUS, "status %d", http->answer.status);
        return false;
    }
    for (int i = 0; i < step->header_count; i++) {
        const struct str value = answer_header(&http->answer, step->header_regex[i].name);
        if (!value.ptr || !matches(step->header_regex[i].code, value, NULL, NULL)) {
            run_fail(&http->run, CAUSE_HEADER, "header %.*s: %.*s", STR_ARG(step->header_regex[i].name),
                     value.ptr ? (int)(value.len < 80 ? value.len : 80) : 6,
                     value.ptr ? value.ptr : "absent");
            return false;
        }
    }
    if (step->body_has.len && str_find(body, step->body_has) < 0) {
        run_fail(&http->run, CAUSE_BODY, "the expected text is not in the answer");
        return false;
    }
    if (step->body_has_not.len && str_find(body, step->body_has_not) >= 0) {
        run_fail(&http->run, CAUSE_BODY, "a forbidden text is in the answer");
        return false;
    }
    if (step->body_regex && !matches(step->body_regex, body, NULL, NULL)) {
        run_fail(&http->run, CAUSE_BODY, "the answer does not match the pattern");
        return false;
    }
    for (int i = 0; i < step->capture_count; i++) {
        struct str value = { 0 };
        if (!arena_of(http) || !matches(step->capture[i].code, body, http->arena, &value) || !value.ptr) {
            run_fail(&http->run, CAUSE_BODY, "nothing to capture for %.*s", STR_ARG(step->capture[i].name));
            return false;
        }
        int at = 0;
        while (at < http->variable_count && !str_eq(http->variables[at].name, step->capture[i].name))
            at++;
        if (at == VARIABLES_MAX)
            continue;
        http->variables[at] = (struct variable) { step->capture[i].name, value };
        if (at == http->variable_count)
            http->variable_count++;
    }
    return true;
}

static void answered(struct http_run *http)
{
    const struct http_step *step = step_of(http);
    const int status = http->answer.status;
    const bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    if (redirect && step->redirects > 0) {
        if (http->redirects == step->redirects) {
            run_fail(&http->run, CAUSE_REDIRECTS, "more than %d redirects", step->redirects);
            finish(http);
            return;
        }
        if (!follow(http)) {
            finish(http);
            return;
        }
        http->redirects++;
        http->redirects_all++;
        if (status == 303 || ((status == 301 || status == 302) && str_eq(step->method, STR("POST"))))
            http->get_after_redirect = true;
        dial_end(&http->dial);
        begin_request(http);
        return;
    }
    if (!judge(http) || http->step + 1 == http->run.check->spec->step_count) {
        finish(http);
        return;
    }
    dial_end(&http->dial);
    http->step++;
    http->redirects = 0;
    http->get_after_redirect = false;
    http->url = step_of(http)->url;
    begin_request(http);
}

static void on_io(struct dial *dial)
{
    struct http_run *http = of_dial(dial);
    while (http->sent < http->out.len) {
        const ssize_t put = dial_write(dial, http->out.ptr + http->sent, http->out.len - http->sent);
        if (put == DIAL_AGAIN)
            break;
        if (put <= 0) {
            run_fail(&http->run, CAUSE_CLOSED, "closed while the request was sent");
            finish(http);
            return;
        }
        http->sent += (size_t)put;
    }
    char *scratch = http->run.check->loop->scratch;
    /* edge-triggered: read until there is no more, but let the others have their turn */
    for (int rounds = 0;; rounds++) {
        if (rounds == ROUNDS_MAX) {
            dial_again(dial);
            return;
        }
        const ssize_t got = dial_read(dial, scratch, SCRATCH_BYTES);
        if (got == DIAL_AGAIN)
            return;
        if (got > 0) {
            const enum answer_step step = take(http, scratch, (size_t)got);
            if (step == ANSWER_MORE)
                continue;
            if (step == ANSWER_WHOLE)
                answered(http);
            else
                finish(http);
            return;
        }
        if (got == DIAL_CLOSED && answer_closed(&http->answer))
            answered(http);
        else {
            run_fail(&http->run, CAUSE_CLOSED,
                     http->answer.head_done ? "closed before the answer was whole"
                                            : "closed without an answer");
            finish(http);
        }
        return;
    }
}
