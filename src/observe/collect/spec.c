/* spec.c - a check's JSON into a struct; everything is checked here, so that a run cannot meet a bad one.
 * docs/probe.md describes the fields. */
#include "base/json.h"
#include "observe/collect/loop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SPEC_BYTES_MAX ((size_t)1 << 20)
#define REGEX_MAX 2000

struct reader {
    struct spec *spec;
    const char *at; /* JSON pointer so far */
    struct err *err;
};

static enum err_code bad(struct reader *reader, const char *field, const char *id)
{
    char pointer[120];
    (void)snprintf(pointer, sizeof pointer, "%s/%s", reader->at, field);
    (void)err_set(reader->err, ERR_INVALID, id, ARG_TEXT("field", field), ARG_END);
    return err_pointer(reader->err, str_from(pointer));
}

static enum err_code read_number(struct reader *reader, const json_t *json, const char *field, double low,
                                 double high, double absent, double *out)
{
    const json_t *value = json_object_get(json, field);
    *out = absent;
    if (!value || json_is_null(value))
        return ERR_OK;
    if (!json_is_number(value) || !(json_number_value(value) >= low) || json_number_value(value) > high)
        return bad(reader, field, "collect.number");
    *out = json_number_value(value);
    return ERR_OK;
}

static enum err_code read_text(struct reader *reader, const json_t *json, const char *field, size_t max,
                               struct str *out)
{
    const json_t *value = json_object_get(json, field);
    if (!value || json_is_null(value))
        return ERR_OK;
    if (!json_is_string(value) || json_string_length(value) > max)
        return bad(reader, field, "collect.text");
    *out = arena_str(reader->spec->arena, json_to_str(value));
    return out->ptr ? ERR_OK : err_nomem(reader->err);
}

static enum err_code compile(struct reader *reader, const char *field, struct str text, pcre2_code **out)
{
    int code;
    size_t offset;
    if (text.len > REGEX_MAX)
        return bad(reader, field, "collect.text");
    *out = pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
                         PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    return *out ? ERR_OK : bad(reader, field, "collect.regex");
}

/* No control characters: they would make another header. */
static bool is_line(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    return true;
}

enum err_code url_parse(struct arena *arena, struct str text, struct url *out, struct err *err)
{
    struct url url = { 0 };
    struct str rest = text;
    if (str_starts(text, STR("http://"))) {
        rest = str_slice(text, 7, text.len);
    } else if (str_starts(text, STR("https://"))) {
        rest = str_slice(text, 8, text.len);
        url.tls = true;
    } else {
        return err_set(err, ERR_INVALID, "collect.url", ARG_STR("url", text), ARG_END);
    }
    size_t end = 0;
    while (end < rest.len && !strchr("/?#", rest.ptr[end]))
        end++;
    struct str authority = str_slice(rest, 0, end), path = str_slice(rest, end, rest.len), host = authority;
    struct str port = { 0 };
    int64_t number = url.tls ? 443 : 80;
    const ptrdiff_t hash = str_find(path, STR("#"));
    if (hash >= 0)
        path = str_slice(path, 0, (size_t)hash);
    if (authority.len && authority.ptr[0] == '[') {
        const ptrdiff_t close = str_find(authority, STR("]"));
        if (close > 0) {
            host = str_slice(authority, 1, (size_t)close);
            port = str_slice(authority, (size_t)close + 1, authority.len);
        }
    } else {
        const ptrdiff_t colon = str_find(authority, STR(":"));
        if (colon >= 0) {
            host = str_slice(authority, 0, (size_t)colon);
            port = str_slice(authority, (size_t)colon, authority.len);
        }
    }
    bool ok = host.len > 0 && host.len < 254 && is_line(text) && !memchr(text.ptr, ' ', text.len) &&
              !memchr(authority.ptr, '@', authority.len) && !memchr(host.ptr, '[', host.len);
    if (ok && port.len > 1)
        ok = port.ptr[0] == ':' && str_i64(str_slice(port, 1, port.len), &number) && number > 0 &&
             number < 65536;
    else if (ok && port.len)
        ok = port.ptr[0] == ':';
    if (!ok)
        return err_set(err, ERR_INVALID, "collect.url", ARG_STR("url", text), ARG_END);
    url.port = (uint16_t)number;
    url.plain_port = url.port == (url.tls ? 443 : 80);
    url.host = arena_str(arena, host);
    url.path =
        path.len && path.ptr[0] == '/' ? arena_str(arena, path) : arena_printf(arena, "/%.*s", STR_ARG(path));
    if (!url.host.ptr || !url.path.ptr)
        return err_nomem(err);
    *out = url;
    return ERR_OK;
}

/* "200-299,301" or [200, 204] or 200. */
static enum err_code read_status(struct reader *reader, const json_t *expect, struct http_step *step)
{
    const json_t *value = json_object_get(expect, "status");
    char text[128] = "200-299";
    if (json_is_integer(value)) {
        (void)snprintf(text, sizeof text, "%d", (int)json_integer_value(value));
    } else if (json_is_array(value)) {
        size_t len = 0;
        text[0] = 0;
        for (size_t i = 0; i < json_array_size(value) && len < 100; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%d", i ? "," : "",
                                    (int)json_integer_value(json_array_get(value, i)));
    } else if (json_is_string(value) && json_string_length(value) < sizeof text) {
        (void)snprintf(text, sizeof text, "%s", json_string_value(value));
    } else if (value && !json_is_null(value)) {
        return bad(reader, "expect/status", "collect.status");
    }
    struct str rest = str_from(text), part;
    while (str_cut(&rest, ',', &part)) {
        int64_t low, high;
        struct str first = str_trim(part), last = first;
        const ptrdiff_t dash = str_find(first, STR("-"));
        if (dash > 0) {
            last = str_trim(str_slice(first, (size_t)dash + 1, first.len));
            first = str_trim(str_slice(first, 0, (size_t)dash));
        }
        if (step->status_count == 8 || !str_i64(first, &low) || !str_i64(last, &high) || low < 100 ||
            high > 999 || low > high)
            return bad(reader, "expect/status", "collect.status");
        step->status_low[step->status_count] = (uint16_t)low;
        step->status_high[step->status_count++] = (uint16_t)high;
    }
    return ERR_OK;
}

static enum err_code read_patterns(struct reader *reader, const json_t *json, const char *field,
                                   struct pattern out[8], uint8_t *count)
{
    json_t *object = json_object_get(json, field), *value;
    const char *name;
    if (!object || json_is_null(object))
        return ERR_OK;
    if (!json_is_object(object) || json_object_size(object) > 8)
        return bad(reader, field, "collect.object");
    json_object_foreach(object, name, value)
    {
        if (!json_is_string(value))
            return bad(reader, field, "collect.text");
        struct pattern *pattern = &out[*count];
        pattern->name = arena_str(reader->spec->arena, str_from(name));
        if (!pattern->name.ptr)
            return err_nomem(reader->err);
        const enum err_code rc = compile(reader, field, json_to_str(value), &pattern->code);
        if (rc)
            return rc;
        ++*count;
    }
    return ERR_OK;
}

static enum err_code read_headers(struct reader *reader, const json_t *json, struct http_step *step)
{
    json_t *object = json_object_get(json, "headers"), *value;
    const char *name;
    struct buf buf;
    if (!object || json_is_null(object))
        return ERR_OK;
    if (!json_is_object(object))
        return bad(reader, "headers", "collect.object");
    buf_init(&buf, 16384);
    enum err_code rc = ERR_OK;
    json_object_foreach(object, name, value)
    {
        const struct str text = json_is_string(value) ? json_to_str(value) : (struct str) { 0 };
        if (!text.ptr || !is_line(text) || !is_line(str_from(name)) || !*name || strpbrk(name, ": \t")) {
            rc = bad(reader, "headers", "collect.header");
            break;
        }
        buf_printf(&buf, "%s: %.*s\r\n", name, STR_ARG(text));
    }
    if (!rc)
        rc = buf_check(&buf, reader->err);
    if (!rc) {
        step->headers = arena_str(reader->spec->arena, buf_get(&buf));
        if (!step->headers.ptr)
            rc = err_nomem(reader->err);
    }
    buf_done(&buf);
    return rc;
}

static enum err_code read_step(struct reader *reader, const json_t *json, struct http_step *step)
{
    const json_t *expect = json_object_get(json, "expect");
    struct str method = STR("GET"), regex = { 0 };
    double redirects;
    enum err_code rc = read_text(reader, json, "url", 4000, &step->url_text);
    if (!rc && !step->url_text.len)
        rc = bad(reader, "url", "collect.url");
    if (!rc)
        rc = read_text(reader, json, "method", 20, &method);
    if (!rc)
        rc = read_text(reader, json, "body", 200000, &step->body);
    if (!rc)
        rc = read_headers(reader, json, step);
    if (!rc)
        rc = read_number(reader, json, "redirects", 0, 50, 10, &redirects);
    if (!rc)
        rc = read_patterns(reader, json, "capture", step->capture, &step->capture_count);
    if (!rc && expect && !json_is_null(expect) && !json_is_object(expect))
        rc = bad(reader, "expect", "collect.object");
    if (!rc)
        rc = read_status(reader, expect, step);
    if (!rc)
        rc = read_text(reader, expect, "body", 4000, &step->body_has);
    if (!rc)
        rc = read_text(reader, expect, "body_not", 4000, &step->body_has_not);
    if (!rc)
        rc = read_text(reader, expect, "body_regex", REGEX_MAX, &regex);
    if (!rc && regex.len)
        rc = compile(reader, "expect/body_regex", regex, &step->body_regex);
    if (!rc)
        rc = read_patterns(reader, expect, "headers", step->header_regex, &step->header_count);
    if (rc)
        return rc;
    for (size_t i = 0; i < method.len; i++)
        if (method.ptr[i] < 'A' || method.ptr[i] > 'Z')
            return bad(reader, "method", "collect.method");
    step->method = method;
    step->redirects = (uint8_t)redirects;
    step->has_variables = str_find(step->url_text, STR("{{")) >= 0 ||
                          str_find(step->headers, STR("{{")) >= 0 || str_find(step->body, STR("{{")) >= 0;
    if (step->has_variables)
        return ERR_OK; /* parsed when the variables are known */
    rc = url_parse(reader->spec->arena, step->url_text, &step->url, reader->err);
    return rc == ERR_INVALID ? bad(reader, "url", "collect.url") : rc;
}

static enum err_code read_http(struct reader *reader, const json_t *json)
{
    struct spec *spec = reader->spec;
    const json_t *steps = json_object_get(json, "steps");
    const bool many = json_is_array(steps);
    double body_max;
    if (steps && !json_is_null(steps) &&
        (!many || json_array_size(steps) == 0 || json_array_size(steps) > STEPS_MAX))
        return bad(reader, "steps", "collect.steps");
    enum err_code rc = read_number(reader, json, "body_max", 0, 16 << 20, 1 << 20, &body_max);
    if (rc)
        return rc;
    spec->body_max = (uint32_t)body_max;
    spec->step_count = many ? (int)json_array_size(steps) : 1;
    spec->steps = arena_alloc(spec->arena, (size_t)spec->step_count, sizeof *spec->steps);
    if (!spec->steps)
        return err_nomem(reader->err);
    for (int i = 0; !rc && i < spec->step_count; i++) {
        char at[40] = "";
        if (many)
            (void)snprintf(at, sizeof at, "/steps/%d", i);
        reader->at = at;
        const json_t *step = many ? json_array_get(steps, (size_t)i) : json;
        rc = json_is_object(step) ? read_step(reader, step, &spec->steps[i])
                                  : bad(reader, "", "collect.object");
        reader->at = "";
    }
    return rc;
}

static enum err_code read_host(struct reader *reader, const json_t *json, const char *field, bool required)
{
    const enum err_code rc = read_text(reader, json, field, 253, &reader->spec->host);
    if (rc)
        return rc;
    if ((required && !reader->spec->host.len) || !is_line(reader->spec->host) ||
        (reader->spec->host.len && memchr(reader->spec->host.ptr, ' ', reader->spec->host.len)))
        return bad(reader, field, "collect.host");
    return ERR_OK;
}

static enum err_code read_tcp(struct reader *reader, const json_t *json)
{
    double port;
    enum err_code rc = read_host(reader, json, "host", true);
    if (!rc)
        rc = read_number(reader, json, "port", 1, 65535, 0, &port);
    if (!rc && port == 0)
        rc = bad(reader, "port", "collect.number");
    if (!rc)
        rc = read_text(reader, json, "send", 4000, &reader->spec->send);
    if (!rc)
        rc = read_text(reader, json, "expect", 1000, &reader->spec->expect);
    if (rc)
        return rc;
    reader->spec->port = (uint16_t)port;
    reader->spec->tls = json_is_true(json_object_get(json, "tls"));
    return ERR_OK;
}

static enum err_code read_icmp(struct reader *reader, const json_t *json)
{
    struct spec *spec = reader->spec;
    double packets = 3, gap = 20, loss = 99, bytes = 56;
    enum err_code rc = read_host(reader, json, "host", true);
    if (!rc)
        rc = read_number(reader, json, "packets", 1, PACKETS_MAX, 3, &packets);
    if (!rc)
        rc = read_number(reader, json, "gap_ms", 0, 1000, 20, &gap);
    if (!rc)
        rc = read_number(reader, json, "loss_max", 0, 100, 99, &loss);
    if (!rc)
        rc = read_number(reader, json, "packet_bytes", 16, 1400, 56, &bytes);
    spec->packets = (int)packets;
    spec->gap_ms = (int)gap;
    spec->loss_max = (int)loss;
    spec->packet_bytes = (int)bytes;
    if (!rc && spec->packets * spec->gap_ms >= spec->timeout_ms)
        rc = bad(reader, "gap_ms", "collect.number");
    return rc;
}

static enum err_code read_dns(struct reader *reader, const json_t *json)
{
    static const struct {
        const char *name;
        int type;
    } types[] = { { "A", 1 },   { "NS", 2 },   { "CNAME", 5 }, { "SOA", 6 }, { "PTR", 12 },
                  { "MX", 15 }, { "TXT", 16 }, { "AAAA", 28 }, { "SRV", 33 } };
    static const char *const rcodes[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED" };
    struct spec *spec = reader->spec;
    struct str type = STR("A"), rcode = STR("NOERROR");
    double port = 53;
    enum err_code rc = read_host(reader, json, "server", false);
    if (!rc)
        rc = read_number(reader, json, "port", 1, 65535, 53, &port);
    if (!rc)
        rc = read_text(reader, json, "name", 253, &spec->name);
    if (!rc)
        rc = read_text(reader, json, "answer", 253, &spec->answer);
    if (!rc)
        rc = read_text(reader, json, "type", 10, &type);
    if (!rc)
        rc = read_text(reader, json, "rcode", 10, &rcode);
    if (rc)
        return rc;
    spec->port = (uint16_t)port;
    spec->rcode = -1;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq_nocase(type, str_from(types[i].name)))
            spec->type = types[i].type;
    for (size_t i = 0; i < sizeof rcodes / sizeof *rcodes; i++)
        if (str_eq_nocase(rcode, str_from(rcodes[i])))
            spec->rcode = (int)i;
    if (!spec->name.len || !is_line(spec->name))
        return bad(reader, "name", "collect.host");
    if (!spec->type)
        return bad(reader, "type", "collect.dns_type");
    return spec->rcode < 0 ? bad(reader, "rcode", "collect.dns_rcode") : ERR_OK;
}

/* A field that no kind knows is refused: a typing error must not go unnoticed. */
static enum err_code check_fields(struct reader *reader, json_t *json)
{
    static const char *const common = " kind interval_s timeout_s family verify ";
    static const char *const own[COLLECT_KIND__COUNT] = {
        " url method headers body expect redirects capture steps body_max ",
        " host port send expect tls ",
        " host packets gap_ms loss_max packet_bytes ",
        " server port name type rcode answer ",
    };
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        char word[64];
        (void)snprintf(word, sizeof word, " %s ", name);
        if (strlen(name) > 60 || (!strstr(common, word) && !strstr(own[reader->spec->kind], word)))
            return bad(reader, name, "collect.unknown_field");
    }
    return ERR_OK;
}

enum err_code spec_read(const json_t *json, struct spec **out_spec, struct err *err)
{
    static enum err_code (*const readers[COLLECT_KIND__COUNT])(
        struct reader *, const json_t *) = { read_http, read_tcp, read_icmp, read_dns };
    struct spec *spec = mem_alloc(1, sizeof *spec);
    if (!spec)
        return err_nomem(err);
    struct reader reader = { spec, "", err };
    spec->arena = arena_new(SPEC_BYTES_MAX);
    double interval = 60, timeout = 10, family = 0;
    enum err_code rc = spec->arena ? ERR_OK : err_nomem(err);
    const char *kind = json_string_value(json_object_get(json, "kind"));
    spec->kind = COLLECT_KIND__COUNT;
    for (int i = 0; !rc && kind && i < COLLECT_KIND__COUNT; i++)
        if (strcmp(kind, COLLECT_KIND_NAMES[i]) == 0)
            spec->kind = (enum collect_kind)i;
    if (!rc && spec->kind == COLLECT_KIND__COUNT)
        rc = bad(&reader, "kind", "collect.kind");
    if (!rc)
        rc = check_fields(&reader, (json_t *)(uintptr_t)json); /* jansson's iteration wants it so */
    if (!rc)
        rc = read_number(&reader, json, "interval_s", 0.1, 86400, 60, &interval);
    if (!rc)
        rc = read_number(&reader, json, "timeout_s", 0.05, 300, interval < 10 ? interval : 10, &timeout);
    if (!rc && timeout > interval)
        rc = bad(&reader, "timeout_s", "collect.timeout");
    if (!rc)
        rc = read_number(&reader, json, "family", 0, 6, 0, &family);
    if (!rc && family != 0 && family != 4 && family != 6)
        rc = bad(&reader, "family", "collect.number");
    if (!rc) {
        spec->interval_ms = (int64_t)llround(interval * 1000);
        spec->timeout_ms = (int64_t)llround(timeout * 1000);
        spec->family = family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
        spec->verify = !json_is_false(json_object_get(json, "verify"));
        rc = readers[spec->kind](&reader, json);
    }
    if (rc) {
        spec_free(spec);
        return rc;
    }
    *out_spec = spec;
    return ERR_OK;
}

void spec_free(struct spec *spec)
{
    if (!spec)
        return;
    for (int i = 0; spec->steps && i < spec->step_count; i++) {
        struct http_step *step = &spec->steps[i];
        pcre2_code_free(step->body_regex);
        for (int k = 0; k < 8; k++) {
            pcre2_code_free(step->header_regex[k].code);
            pcre2_code_free(step->capture[k].code);
        }
    }
    arena_free(spec->arena);
    mem_free(spec);
}

enum err_code collect_validate(const json_t *json, struct err *err)
{
    struct spec *spec;
    const enum err_code rc = spec_read(json, &spec, err);
    if (!rc)
        spec_free(spec);
    return rc;
}
