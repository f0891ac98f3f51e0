/* http.c - the HTTP(S) check: steps, each a request with its redirects, a new connection for each.
 *
 *     begin_request -> (dial) -> write -> read head -> read body -> judge -> redirect | next step | end
 *
 * The phases in the result are those of the last request; `total` is over all of them. */
#include "observe/collect/loop.h"

#include <stdio.h>
#include <unistd.h>

#define HEAD_MAX 65536
#define ROUNDS_MAX 16 /* reads of SCRATCH_BYTES */
#define COOKIES_MAX 4096
#define VARIABLES_MAX 16
#define RUN_ARENA_MAX ((size_t)2 << 20)

enum framing { TO_CLOSE, BY_LENGTH, CHUNKED, NO_BODY };
enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_DATA,
    CHUNK_DATA_END,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LINE
};

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
    struct buf head, body; /* body only when somebody looks at it */
    bool head_done;
    int status;
    enum framing framing;
    uint64_t left, body_bytes;
    enum chunk_state chunk;
    bool chunk_digit;
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
    buf_done(&http->head);
    buf_done(&http->body);
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
    if (http->status)
        result_set(result, COLLECT_STATUS, http->status);
    if (http->head_done) {
        result_set(result, COLLECT_BYTES, (int64_t)http->body_bytes);
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
    buf_init(&http->head, HEAD_MAX);
    buf_init(&http->body, check->spec->body_max);
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
    http->head_done = false;
    http->status = 0;
    http->sent = 0;
    http->body_bytes = 0;
    buf_clear(&http->head);
    buf_clear(&http->body);
    buf_clear(&http->out);
    struct buf *out = &http->out;
    const bool plain_get = http->get_after_redirect;
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

/* The value of a header in the head that was read, or ptr NULL. */
static struct str header_of(const struct http_run *http, struct str name)
{
    struct str rest = buf_get(&http->head), line;
    (void)str_cut(&rest, '\n', &line);
    while (str_cut(&rest, '\n', &line)) {
        const ptrdiff_t colon = str_find(line, STR(":"));
        if (colon > 0 && str_eq_nocase(str_slice(line, 0, (size_t)colon), name))
            return str_trim(str_slice(line, (size_t)colon + 1, line.len));
    }
    return (struct str) { 0 };
}

static bool has_word(struct str list, struct str word)
{
    struct str part;
    while (str_cut(&list, ',', &part))
        if (str_eq_nocase(str_trim(part), word))
            return true;
    return false;
}

static bool fail_protocol(struct http_run *http, const char *why)
{
    run_fail(&http->run, CAUSE_PROTOCOL, "%s", why);
    return false;
}

static void keep_cookies(struct http_run *http)
{
    struct str rest = buf_get(&http->head), line;
    while (str_cut(&rest, '\n', &line)) {
        if (line.len < 12 || !str_eq_nocase(str_slice(line, 0, 11), STR("set-cookie:")))
            continue;
        struct str pair = str_trim(str_slice(line, 11, line.len));
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

/* Reads the status line and how the body ends; false after run_fail(). */
static bool parse_head(struct http_run *http)
{
    const struct str head = buf_get(&http->head);
    const struct http_step *step = step_of(http);
    int64_t length;
    if (head.len < 12 || !str_starts(head, STR("HTTP/1.")) || head.ptr[8] != ' ')
        return fail_protocol(http, "the answer is not HTTP/1");
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (head.ptr[i] < '0' || head.ptr[i] > '9')
            return fail_protocol(http, "no status in the answer");
        status = status * 10 + head.ptr[i] - '0';
    }
    http->status = status;
    const struct str encoding = header_of(http, STR("transfer-encoding"));
    const struct str size = header_of(http, STR("content-length"));
    if ((str_eq(step->method, STR("HEAD")) && !http->get_after_redirect) || status == 204 || status == 304) {
        http->framing = NO_BODY;
    } else if (encoding.ptr && has_word(encoding, STR("chunked"))) {
        http->framing = CHUNKED;
        http->chunk = CHUNK_SIZE;
        http->chunk_digit = false;
        http->left = 0;
    } else if (size.ptr) {
        if (!str_i64(size, &length) || length < 0)
            return fail_protocol(http, "bad Content-Length");
        http->framing = length ? BY_LENGTH : NO_BODY;
        http->left = (uint64_t)length;
    } else {
        http->framing = TO_CLOSE;
    }
    if (step_of(http)->capture_count || http->run.check->spec->step_count > 1 || http->redirects)
        keep_cookies(http);
    return true;
}

static bool wants_body(const struct http_run *http)
{
    const struct http_step *step = step_of(http);
    return step->body_has.len || step->body_has_not.len || step->body_regex || step->capture_count;
}

static void keep_body(struct http_run *http, const char *bytes, size_t len)
{
    http->body_bytes += len;
    if (!wants_body(http))
        return;
    const size_t room = http->body.max - http->body.len;
    buf_add(&http->body, bytes, len < room ? len : room);
}

/* Takes chunked bytes; 1 = the body is whole, 0 = more is needed, -1 = run_fail(). */
static int take_chunks(struct http_run *http, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char c = bytes[at];
        switch (http->chunk) {
        case CHUNK_SIZE: {
            const int digit = c >= '0' && c <= '9'                     ? c - '0'
                              : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                       : -1;
            at++;
            if (digit >= 0) {
                if (http->left >> 56)
                    return fail_protocol(http, "bad chunk"), -1;
                http->left = http->left << 4 | (unsigned)digit;
                http->chunk_digit = true;
            } else if (!http->chunk_digit) {
                return fail_protocol(http, "bad chunk"), -1;
            } else {
                http->chunk = c == '\n' ? (http->left ? CHUNK_DATA : CHUNK_TRAILER) : CHUNK_EXTENSION;
            }
            break;
        }
        case CHUNK_EXTENSION:
            if (bytes[at++] == '\n')
                http->chunk = http->left ? CHUNK_DATA : CHUNK_TRAILER;
            break;
        case CHUNK_DATA: {
            const size_t take = len - at < http->left ? len - at : (size_t)http->left;
            keep_body(http, bytes + at, take);
            at += take;
            http->left -= take;
            if (http->left == 0)
                http->chunk = CHUNK_DATA_END;
            break;
        }
        case CHUNK_DATA_END:
            at++;
            if (c == '\n') {
                http->chunk = CHUNK_SIZE;
                http->chunk_digit = false;
            } else if (c != '\r') {
                return fail_protocol(http, "bad chunk"), -1;
            }
            break;
        case CHUNK_TRAILER:
            at++;
            if (c == '\n')
                return 1;
            if (c != '\r')
                http->chunk = CHUNK_TRAILER_LINE;
            break;
        case CHUNK_TRAILER_LINE:
            if (bytes[at++] == '\n')
                http->chunk = CHUNK_TRAILER;
            break;
        }
    }
    return 0;
}

/* The same for any framing. */
static int take_body(struct http_run *http, const char *bytes, size_t len)
{
    switch (http->framing) {
    case NO_BODY:
        return 1;
    case CHUNKED:
        return take_chunks(http, bytes, len);
    case BY_LENGTH:
        if (len > http->left)
            len = (size_t)http->left;
        keep_body(http, bytes, len);
        http->left -= len;
        return http->left == 0;
    case TO_CLOSE:
        keep_body(http, bytes, len);
        return 0;
    }
    return 0;
}

/* Where the head ends in the buffer (behind the empty line), or 0. */
static size_t head_end(struct str text, size_t from)
{
    for (size_t i = from > 3 ? from - 3 : 0; i < text.len; i++) {
        const char *line = memchr(text.ptr + i, '\n', text.len - i);
        if (!line)
            return 0;
        i = (size_t)(line - text.ptr);
        if (i + 1 < text.len && text.ptr[i + 1] == '\n')
            return i + 2;
        if (i + 2 < text.len && text.ptr[i + 1] == '\r' && text.ptr[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

/* Bytes came: 1 = the answer is whole, 0 = more is needed, -1 = failed. */
static int take(struct http_run *http, const char *bytes, size_t len)
{
    if (http->head_done)
        return take_body(http, bytes, len);
    const size_t before = http->head.len;
    if (before == 0)
        result_set(&http->run.result, COLLECT_FIRST_BYTE, loop_clock_us() - http->request_us);
    buf_add(&http->head, bytes, len);
    if (http->head.failed)
        return fail_protocol(http, "the head of the answer is too long"), -1;
    const size_t end = head_end(buf_get(&http->head), before);
    if (!end)
        return 0;
    const struct str rest = { http->head.ptr + end, http->head.len - end };
    http->head.len = end; /* `rest` stays where it is: nothing is added any more */
    if (!parse_head(http))
        return -1;
    if (http->status >= 100 && http->status < 200 && http->status != 101) { /* the real one follows */
        char *copy = mem_copy(rest.ptr, rest.len);
        buf_clear(&http->head);
        http->status = 0;
        const int more = copy ? rest.len ? take(http, copy, rest.len) : 0 : -1;
        if (!copy)
            run_fail(&http->run, CAUSE_LOCAL, "no memory");
        mem_free(copy);
        return more;
    }
    http->head_done = true;
    http->run.phase = "the rest of the answer";
    return http->framing == NO_BODY ? 1 : take_body(http, rest.ptr, rest.len);
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
    const struct str location = header_of(http, STR("location"));
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
    const struct str body = buf_get(&http->body);
    bool expected = false;
    for (int i = 0; i < step->status_count; i++)
        expected |= http->status >= step->status_low[i] && http->status <= step->status_high[i];
    if (!expected) {
        run_fail(&http->run, CAUSE_STATUS, "status %d", http->status);
        return false;
    }
    for (int i = 0; i < step->header_count; i++) {
        const struct str value = header_of(http, step->header_regex[i].name);
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
    const int status = http->status;
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
            const int whole = take(http, scratch, (size_t)got);
            if (whole > 0) {
                answered(http);
                return;
            }
            if (whole < 0) {
                finish(http);
                return;
            }
            continue;
        }
        if (got == DIAL_CLOSED && http->head_done && http->framing == TO_CLOSE)
            answered(http);
        else {
            run_fail(&http->run, CAUSE_CLOSED,
                     http->head_done ? "closed before the answer was whole" : "closed without an answer");
            finish(http);
        }
        return;
    }
}
