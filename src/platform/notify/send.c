/* send.c - see send.h */
#include "platform/notify/send.h"
#include "base/buf.h"
#include "base/clock.h"
#include "crypto/digest.h"
#include "net/client.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>

#define BODY_MAX 65536
#define ANSWER_MAX 4096
#define REDIRECTS_MAX 3 /* of a webhook */

static const char *const KINDS[CHANNEL_KIND__COUNT] = { "mail", "webhook", "wecom", "dingtalk" };

int channel_kind_from(struct str name)
{
    for (int i = 0; i < CHANNEL_KIND__COUNT; i++)
        if (str_eq(name, str_from(KINDS[i])))
            return i;
    return -1;
}

const char *channel_kind_name(enum channel_kind kind)
{
    return KINDS[kind];
}

static size_t keep_answer(char *bytes, size_t size, size_t count, void *arg)
{
    struct buf *answer = arg;
    const size_t len = size * count, room = answer->max - answer->len;
    buf_add(answer, bytes, len < room ? len : room); /* more is not needed */
    return len;
}

static enum err_code refused(const struct channel *channel, const char *reason, struct err *err)
{
    return err_set(err, ERR_INVALID, "notify.refused", ARG_TEXT("channel", channel->code),
                   ARG_TEXT("reason", reason), ARG_END);
}

static enum err_code unreached(const struct channel *channel, const char *reason, struct err *err)
{
    return err_set(err, ERR_NET, "notify.unreached", ARG_TEXT("channel", channel->code),
                   ARG_TEXT("reason", reason), ARG_END);
}

static CURL *curl_of(const char *url, char error[CURL_ERROR_SIZE], struct buf *answer)
{
    CURL *curl = curl_easy_init();
    if (!curl)
        return NULL;
    error[0] = 0;
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)SEND_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 8000L);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_answer);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    return curl;
}

/* ---- mail ---- */

/* A header's text as encoded words (RFC 2047), each at most 75 characters and of whole code points. */
static void put_words(struct buf *out, struct str text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        for (size_t next = at; next < text.len && next - at <= 42; end = next)
            if (utf8_next(text, &next) < 0)
                next++;
        if (end == at)
            end = text.len;
        buf_printf(out, "%s=?UTF-8?B?", at ? "\r\n " : "");
        for (size_t i = at; i < end; i += 3) {
            const unsigned char *s = (const unsigned char *)text.ptr + i;
            const size_t left = end - i;
            const uint32_t three =
                (uint32_t)s[0] << 16 | (left > 1 ? (uint32_t)s[1] << 8 : 0) | (left > 2 ? s[2] : 0);
            buf_char(out, digits[three >> 18]);
            buf_char(out, digits[three >> 12 & 63]);
            buf_char(out, left > 1 ? digits[three >> 6 & 63] : '=');
            buf_char(out, left > 2 ? digits[three & 63] : '=');
        }
        buf_text(out, "?=");
        at = end;
    }
}

/* No line break of an address or key may end a header. */
static bool header_safe(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == '<' || text.ptr[i] == '>')
            return false;
    return text.len > 0;
}

static void put_mail_date(struct buf *out, int64_t ms)
{
    static const char *const days[] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    int64_t year;
    int month, day;
    const int64_t number = ms / 86400000, second = ms / 1000 % 86400;
    civil_from_days(number, &year, &month, &day);
    buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000", days[number % 7], day, months[month - 1],
               (int)year, (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
}

static struct curl_slist *header(struct curl_slist *list, struct buf *line)
{
    struct curl_slist *longer = line->failed ? NULL : curl_slist_append(list, line->ptr);
    buf_clear(line);
    return longer ? longer : list;
}

static struct curl_slist *mail_headers(const struct channel *channel, struct str address,
                                       const struct notice_text *notice)
{
    struct curl_slist *list = NULL;
    struct buf line;
    buf_init(&line, BODY_MAX);
    put_mail_date(&line, notice->at_ms);
    list = header(list, &line);
    buf_printf(&line, "From: <%s>", channel->sender);
    list = header(list, &line);
    buf_printf(&line, "To: <%.*s>", STR_ARG(address));
    list = header(list, &line);
    buf_text(&line, "Subject: ");
    put_words(&line, notice->title);
    list = header(list, &line);
    const char *at = strchr(channel->sender, '@');
    buf_printf(&line, "Message-ID: <%.*s%s>", STR_ARG(notice->key), at ? at : "@bihuan");
    list = header(list, &line);
    buf_text(&line, "Auto-Submitted: auto-generated");
    list = header(list, &line);
    buf_done(&line);
    return list;
}

static void mail_body(struct buf *out, const struct notice_text *notice)
{
    buf_str(out, notice->text);
    if (notice->link.len)
        buf_printf(out, "\r\n\r\n%.*s", STR_ARG(notice->link));
    buf_text(out, "\r\n");
}

static enum err_code mail_result(const struct channel *channel, CURL *curl, CURLcode code, const char *error,
                                 struct err *err)
{
    long answer = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
    if (code == CURLE_OK)
        return ERR_OK;
    const char *reason = error[0] ? error : curl_easy_strerror(code);
    return answer >= 500 || code == CURLE_LOGIN_DENIED || code == CURLE_URL_MALFORMAT
               ? refused(channel, reason, err)
               : unreached(channel, reason, err);
}

static enum err_code mail_send(const struct channel *channel, struct str address,
                               const struct notice_text *notice, struct err *err)
{
    char error[CURL_ERROR_SIZE], to[256];
    if (!header_safe(address) || address.len > 200 || !header_safe(str_from(channel->sender)) ||
        !header_safe(notice->key))
        return refused(channel, "address", err);
    (void)snprintf(to, sizeof to, "<%.*s>", STR_ARG(address));
    struct buf answer, body;
    buf_init(&answer, ANSWER_MAX);
    buf_init(&body, BODY_MAX);
    mail_body(&body, notice);
    CURL *curl = curl_of(channel->url, error, &answer);
    struct curl_slist *headers = mail_headers(channel, address, notice),
                      *to_list = curl_slist_append(NULL, to);
    curl_mime *mime = curl ? curl_mime_init(curl) : NULL;
    curl_mimepart *part = mime ? curl_mime_addpart(mime) : NULL;
    enum err_code rc = part && headers && to_list && !body.failed ? ERR_OK : err_nomem(err);
    if (!rc) {
        char from[160];
        (void)snprintf(from, sizeof from, "<%s>", channel->sender);
        (void)curl_mime_data(part, body.ptr, body.len);
        (void)curl_mime_type(part, "text/plain; charset=UTF-8");
        (void)curl_mime_encoder(part, "base64");
        (void)curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
        (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        (void)curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
        (void)curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to_list);
        (void)curl_easy_setopt(curl, CURLOPT_USE_SSL,
                               channel->tls == CHANNEL_TLS_ALWAYS ? (long)CURLUSESSL_ALL
                               : channel->tls == CHANNEL_TLS_TRY  ? (long)CURLUSESSL_TRY
                                                                  : (long)CURLUSESSL_NONE);
        if (channel->login[0]) {
            (void)curl_easy_setopt(curl, CURLOPT_USERNAME, channel->login);
            (void)curl_easy_setopt(curl, CURLOPT_PASSWORD, channel->password);
        }
        rc = mail_result(channel, curl, curl_easy_perform(curl), error, err);
    }
    curl_mime_free(mime);
    curl_slist_free_all(headers);
    curl_slist_free_all(to_list);
    curl_easy_cleanup(curl);
    buf_done(&answer);
    buf_done(&body);
    return rc;
}

/* ---- HTTP ---- */

/* The template with its placeholders as JSON texts (the quotes are the template's). */
static void put_template(struct buf *out, struct str template, const struct notice_text *notice)
{
    char grade[16];
    (void)snprintf(grade, sizeof grade, "%d", notice->grade);
    const struct {
        struct str name, value;
    } values[] = { { STR("{title}"), notice->title },
                   { STR("{text}"), notice->text },
                   { STR("{link}"), notice->link },
                   { STR("{key}"), notice->key },
                   { STR("{grade}"), str_from(grade) } };
    for (size_t at = 0; at < template.len;) {
        const struct str rest = str_slice(template, at, template.len);
        size_t used = 0;
        for (size_t i = 0; i < sizeof values / sizeof *values && !used; i++)
            if (str_starts(rest, values[i].name)) {
                struct buf quoted;
                buf_init(&quoted, BODY_MAX);
                buf_json(&quoted, values[i].value);
                buf_str(out, str_slice(buf_get(&quoted), 1, quoted.len ? quoted.len - 1 : 0));
                buf_done(&quoted);
                used = values[i].name.len;
            }
        if (!used)
            buf_char(out, template.ptr[at]);
        at += used ? used : 1;
    }
}

static struct str template_of(const struct channel *channel)
{
    if (channel->kind != CHANNEL_WEBHOOK)
        return STR("{\"msgtype\":\"text\",\"text\":{\"content\":\"{title}\\n{text}\\n{link}\"}}");
    if (channel->body[0])
        return str_from(channel->body);
    return STR("{\"key\":\"{key}\",\"title\":\"{title}\",\"text\":\"{text}\",\"link\":\"{link}\",\"grade\":{"
               "grade}}");
}

/* DingTalk signs "TIMESTAMP\nSECRET" with the secret (HMAC-SHA-256), in the query. */
static void put_url(struct buf *out, const struct channel *channel, int64_t now_ms)
{
    buf_text(out, channel->url);
    if (channel->kind != CHANNEL_DINGTALK || !channel->password[0])
        return;
    char text[320];
    unsigned char mac[DIGEST_SIZE];
    const int len = snprintf(text, sizeof text, "%" PRId64 "\n%s", now_ms, channel->password);
    hmac(DIGEST_SHA256, str_from(channel->password), (struct str) { text, (size_t)len }, mac);
    char sign[64];
    const size_t sign_len = base64_put(mac, sizeof mac, sign);
    buf_printf(out, "%ctimestamp=%" PRId64 "&sign=", strchr(channel->url, '?') ? '&' : '?', now_ms);
    for (size_t i = 0; i < sign_len; i++) /* they expect plain base64, padded, escaped for a URL */
        buf_text(out, sign[i] == '-' ? "%2B" : sign[i] == '_' ? "%2F" : (char[]) { sign[i], 0 });
    buf_text(out, "%3D");
}

/* Groups answer 200 with an errcode of their own. */
static enum err_code http_result(const struct channel *channel, int status, struct str answer,
                                 struct err *err)
{
    char reason[96];
    (void)snprintf(reason, sizeof reason, "HTTP %d", status);
    if (status == 429 || status >= 500 || status < 200)
        return unreached(channel, reason, err);
    if (status >= 300)
        return refused(channel, reason, err);
    const ptrdiff_t at = channel->kind == CHANNEL_WEBHOOK ? -1 : str_find(answer, STR("\"errcode\":"));
    if (at >= 0 && str_slice(answer, (size_t)at + 10, (size_t)at + 11).ptr[0] != '0') {
        (void)snprintf(reason, sizeof reason, "%.*s", (int)(answer.len > 90 ? 90 : answer.len), answer.ptr);
        return refused(channel, reason, err);
    }
    return ERR_OK;
}

static enum err_code http_send(struct client *client, const struct channel *channel,
                               const struct notice_text *notice, struct err *err)
{
    struct buf body, url;
    struct client_answer answer = { 0 };
    buf_init(&body, BODY_MAX);
    buf_init(&url, 2048);
    put_template(&body, template_of(channel), notice);
    put_url(&url, channel, clock_now(&CLOCK_SYSTEM));
    enum err_code rc = buf_check(&body, err) ? err->code : buf_check(&url, err);
    if (!rc) {
        const bool known = channel->kind == CHANNEL_WEBHOOK && channel->login[0];
        const struct client_request request = { .method = "POST",
                                                .url = url.ptr,
                                                .headers = { { "Content-Type",
                                                               "application/json; charset=utf-8" } },
                                                .body = buf_get(&body),
                                                .user = known ? channel->login : NULL,
                                                .password = known ? channel->password : NULL,
                                                .timeout_ms = SEND_TIMEOUT_MS,
                                                .redirects = REDIRECTS_MAX,
                                                .answer_max = ANSWER_MAX };
        rc = client_ask(client, &request, &answer, err);
        if (!rc)
            rc = http_result(channel, answer.status, buf_get(&answer.body), err);
        else if (rc == ERR_INVALID)
            rc = refused(channel, answer.reason, err);
        else if (rc == ERR_NET || rc == ERR_TIMEOUT)
            rc = unreached(channel, answer.reason, err);
    }
    client_answer_done(&answer);
    buf_done(&body);
    buf_done(&url);
    return rc;
}

enum err_code notice_send(struct client *client, const struct channel *channel, struct str address,
                          const struct notice_text *notice, struct err *err)
{
    return channel->kind == CHANNEL_MAIL ? mail_send(channel, address, notice, err)
                                         : http_send(client, channel, notice, err);
}
