/* agent.c - see agent.h
 *
 * Three threads besides the collectors': the sink (collect's own) writes results to the log, `fetcher` keeps
 * the set of checks fresh by long polls, agent_run()'s own thread sends what the log holds.
 * A log record is: u64 sequence | the result as JSON, the form in which it is sent. */
#include "observe/probe/agent.h"
#include "base/cond.h"
#include "base/buf.h"
#include "base/endian.h"
#include "base/json.h"
#include "base/log.h"
#include "base/wal.h"
#include "observe/collect/collect.h"
#include "observe/routes.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define CURSOR "sent"
#define SEND_RESULTS 500
#define SEND_BYTES ((size_t)512 << 10)
#define BUFFER_DEFAULT ((int64_t)256 << 20)
#define ANSWER_MAX ((size_t)64 << 20)
#define RETRY_MIN_MS 500
#define RETRY_MAX_MS 15000

struct held { /* a check that runs here */
    int64_t id, version;
};

struct agent {
    struct agent_config config;
    char *server, *dir, *ca_file;
    int lock_fd;
    char key[100];
    int64_t node, epoch;
    int64_t buffer_max;
    struct wal *wal;
    struct collect *collect;
    pthread_t fetcher;
    bool fetching;
    struct held *held;
    size_t held_count;
    int64_t version;
    bool told_ready;
    bool told_full; /* only the sink's thread looks at it */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* results have come, or the end */
    uint64_t sequence;   /* of the newest result; only the sink's thread writes it */
    _Atomic int64_t dropped;
    _Atomic bool stopping;
};

/* ---- HTTP ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct buf *buf = ctx;
    buf_add(buf, bytes, size * count);
    return buf->failed ? 0 : size * count;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct agent *agent = ctx;
    (void)a, (void)b, (void)c, (void)d;
    return agent->stopping;
}

/* One request; `body` NULL = GET.  *out_json may be NULL (204). */
static enum err_code call(struct agent *agent, CURL *curl, const char *path, const char *body, int timeout_s,
                          json_t **out_json, struct err *err)
{
    char url[800], header[160];
    struct buf answer;
    long status = 0;
    buf_init(&answer, ANSWER_MAX);
    (void)snprintf(url, sizeof url, "%s%s", agent->server, path);
    (void)snprintf(header, sizeof header, "Probe-Key: %s", agent->key);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct curl_slist *more = headers && agent->key[0] ? curl_slist_append(headers, header) : headers;
    curl_easy_reset(curl);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, more);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, agent);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "bihuan-probe/" BIHUAN_VERSION);
    if (agent->ca_file)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, agent->ca_file);
    if (body)
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    const CURLcode code = more ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    enum err_code rc = ERR_OK;
    if (code != CURLE_OK)
        rc = err_set(err, ERR_NET, "probe.server", ARG_TEXT("reason", curl_easy_strerror(code)), ARG_END);
    else if (status == 401 || status == 403)
        rc = err_set(err, ERR_NO_LOGIN, "probe.refused", ARG_INT("status", status), ARG_END);
    else if (status == 409)
        rc = err_set(err, ERR_CONFLICT, "probe.refused", ARG_INT("status", status), ARG_END);
    else if (status == 400 || status == 422 || status == 413)
        rc = err_set(err, ERR_INVALID, "probe.refused", ARG_INT("status", status), ARG_END);
    else if (status < 200 || status > 299)
        rc = err_set(err, ERR_NET, "probe.refused", ARG_INT("status", status), ARG_END);
    *out_json = NULL;
    if (!rc && answer.len) {
        *out_json = json_loadb(answer.ptr, answer.len, 0, NULL);
        if (!*out_json)
            rc = err_set(err, ERR_NET, "probe.server", ARG_TEXT("reason", "no JSON"), ARG_END);
    }
    buf_done(&answer);
    return rc;
}

/* ---- opening ---- */

static enum err_code save(struct agent *agent, struct err *err)
{
    char path[600];
    json_t *json = json_pack("{s:s, s:o, s:I}", "key", agent->key, "node", json_id(agent->node), "epoch",
                             (json_int_t)agent->epoch);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    (void)snprintf(path, sizeof path, "%s/node.json", agent->dir);
    const enum err_code rc = text ? disk_replace(NULL, path, text, strlen(text), err) : err_nomem(err);
    free(text);
    json_decref(json);
    return rc;
}

static json_t *load_json(const struct agent *agent, const char *name)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", agent->dir, name);
    return json_load_file(path, 0, NULL);
}

static enum err_code enrol(struct agent *agent, struct err *err)
{
    if (!agent->config.token)
        return err_set(err, ERR_INVALID, "probe.no_token", ARG_END);
    CURL *curl = curl_easy_init();
    json_t *answer = NULL,
           *body = json_pack("{s:s, s:s}", "token", agent->config.token, "version", BIHUAN_VERSION);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    enum err_code rc =
        curl && text ? call(agent, curl, "/api/probe/v1/register", text, 30, &answer, err) : err_nomem(err);
    const char *key = json_string_value(json_object_get(answer, "key"));
    const char *node = json_string_value(json_object_get(answer, "node"));
    if (!rc && (!key || !node || strlen(key) >= sizeof agent->key || !str_i64(str_from(node), &agent->node)))
        rc = err_set(err, ERR_NET, "probe.server", ARG_TEXT("reason", "no key"), ARG_END);
    if (!rc) {
        (void)snprintf(agent->key, sizeof agent->key, "%s", key);
        agent->epoch = clock_now(agent->config.clock);
        rc = save(agent, err);
    }
    json_decref(answer);
    json_decref(body);
    free(text);
    curl_easy_cleanup(curl);
    return rc;
}

/* Where the numbers go on; a log without a record begins a new epoch, since the numbers are lost. */
static enum err_code find_sequence(struct agent *agent, struct err *err)
{
    struct wal_reader *reader;
    struct str record;
    bool any = false;
    enum err_code rc = wal_reader_new(agent->wal, 0, &reader, err);
    if (rc)
        return rc;
    while ((rc = wal_next(reader, &record, err)) == ERR_OK)
        if (record.len > 8) {
            agent->sequence = get_u64(record.ptr);
            any = true;
        }
    wal_reader_free(reader);
    if (rc != ERR_NOT_FOUND)
        return rc;
    if (any)
        return ERR_OK;
    const int64_t now = clock_now(agent->config.clock);
    agent->epoch = now > agent->epoch ? now : agent->epoch + 1;
    return save(agent, err);
}

static enum err_code open_files(struct agent *agent, struct err *err)
{
    char path[600];
    enum err_code rc = disk_mkdir(NULL, agent->dir, err);
    if (rc)
        return rc;
    (void)snprintf(path, sizeof path, "%s/lock", agent->dir);
    agent->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (agent->lock_fd < 0)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    if (flock(agent->lock_fd, LOCK_EX | LOCK_NB))
        return err_set(err, ERR_BUSY, "app.locked", ARG_TEXT("path", agent->dir), ARG_END);
    json_t *json = load_json(agent, "node.json");
    const char *key = json_string_value(json_object_get(json, "key"));
    const char *node = json_string_value(json_object_get(json, "node"));
    if (key && node && strlen(key) < sizeof agent->key && str_i64(str_from(node), &agent->node)) {
        (void)snprintf(agent->key, sizeof agent->key, "%s", key);
        agent->epoch = json_integer_value(json_object_get(json, "epoch"));
    }
    json_decref(json);
    if (!agent->key[0])
        rc = enrol(agent, err);
    (void)snprintf(path, sizeof path, "%s/results", agent->dir);
    const struct wal_config wal = { .dir = path, .segment_bytes = (size_t)(agent->buffer_max / 8) };
    if (!rc)
        rc = wal_open(&wal, &agent->wal, err);
    return rc ? rc : find_sequence(agent, err);
}

enum err_code agent_open(const struct agent_config *config, struct agent **out, struct err *err)
{
    struct agent *agent = mem_alloc(1, sizeof *agent);
    if (!agent)
        return err_nomem(err);
    agent->config = *config;
    agent->lock_fd = -1;
    agent->buffer_max = config->buffer_max ? config->buffer_max : BUFFER_DEFAULT;
    (void)pthread_mutex_init(&agent->lock, NULL);
    cond_init(&agent->wake);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    agent->server = mem_copy(config->server, strlen(config->server));
    agent->dir = mem_copy(config->dir, strlen(config->dir));
    agent->ca_file = config->ca_file ? mem_copy(config->ca_file, strlen(config->ca_file)) : NULL;
    enum err_code rc =
        agent->server && agent->dir && (agent->ca_file || !config->ca_file) ? ERR_OK : err_nomem(err);
    for (size_t len = rc ? 0 : strlen(agent->server); len && agent->server[len - 1] == '/';)
        agent->server[--len] = 0;
    if (!rc && (strlen(agent->server) > 500 || strlen(agent->dir) > 500))
        rc = err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", 500), ARG_END);
    if (!rc)
        rc = open_files(agent, err);
    if (rc) {
        agent_close(agent);
        return err_in(err, "agent.open");
    }
    *out = agent;
    return ERR_OK;
}

void agent_close(struct agent *agent)
{
    if (!agent)
        return;
    wal_close(agent->wal);
    if (agent->lock_fd >= 0)
        (void)close(agent->lock_fd);
    mem_free(agent->held);
    mem_free(agent->server);
    mem_free(agent->dir);
    mem_free(agent->ca_file);
    (void)pthread_mutex_destroy(&agent->lock);
    (void)pthread_cond_destroy(&agent->wake);
    mem_free(agent);
}

void agent_stop(struct agent *agent)
{
    agent->stopping = true;
    (void)pthread_mutex_lock(&agent->lock);
    (void)pthread_cond_broadcast(&agent->wake);
    (void)pthread_mutex_unlock(&agent->lock);
}

/* ---- results into the log ---- */

/* The oldest segments go, one at a time, while the log is too long. */
static void limit_buffer(struct agent *agent)
{
    struct err err;
    const uint64_t step = (uint64_t)agent->buffer_max / 64 + 1; /* an eighth of a segment */
    while ((int64_t)wal_bytes(agent->wal) > agent->buffer_max) {
        const uint64_t before = wal_begin(agent->wal), end = wal_end(agent->wal);
        for (uint64_t at = before + step; wal_begin(agent->wal) == before && at < end; at += step)
            if (wal_trim(agent->wal, at, &err))
                return;
        if (wal_begin(agent->wal) == before)
            return; /* one segment is all there is */
        if (!agent->told_full)
            log_line(LOG_WARN, "probe.dropped", "the buffer is full: the oldest results go");
        agent->told_full = true;
    }
}

static void on_results(void *ctx, const struct collect_result *results, size_t count)
{
    struct agent *agent = ctx;
    struct err err = { 0 };
    struct buf record;
    buf_init(&record, 65536);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < count; i++) {
        struct wal_ticket *ticket;
        char number[8];
        json_t *json = result_to_json(&results[i]);
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
        put_u64(number, ++agent->sequence); /* a number that is lost shows as a gap */
        buf_clear(&record);
        buf_add(&record, number, 8);
        if (text)
            buf_text(&record, text);
        rc = text ? buf_check(&record, &err) : err_nomem(&err);
        if (!rc)
            rc = wal_add(agent->wal, record.ptr, record.len, &ticket, &err);
        if (!rc)
            wal_forget(agent->wal, ticket);
        else
            agent->dropped++;
        free(text);
        json_decref(json);
    }
    buf_done(&record);
    if (wal_flush(agent->wal, &err)) {
        agent->dropped += (int64_t)count;
        log_err(&err, "probe.buffer", "%zu results are lost", count);
    }
    limit_buffer(agent);
    (void)pthread_mutex_lock(&agent->lock);
    (void)pthread_cond_broadcast(&agent->wake);
    (void)pthread_mutex_unlock(&agent->lock);
}

/* ---- the set of checks ---- */

static bool in_set(const json_t *list, int64_t id)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (json_get_id(json_array_get(list, i), "id") == id)
            return true;
    }
    return false;
}

/* Makes what runs here the set of the server, by increments. */
static void apply_set(struct agent *agent, const json_t *set)
{
    const json_t *list = json_object_get(set, "checks");
    const size_t count = json_array_size(list);
    struct held *held = mem_alloc(count ? count : 1, sizeof *held);
    struct err err;
    size_t held_count = 0;
    if (!held || !json_is_array(list)) {
        mem_free(held);
        return;
    }
    for (size_t i = 0; i < agent->held_count; i++)
        if (!in_set(list, agent->held[i].id) && collect_remove(agent->collect, agent->held[i].id, &err))
            log_err(&err, "probe.remove", "check %lld", (long long)agent->held[i].id);
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(list, i);
        const struct held now = { json_get_id(one, "id"),
                                  json_integer_value(json_object_get(one, "version")) };
        bool same = false;
        if (!now.id)
            continue;
        for (size_t k = 0; k < agent->held_count; k++)
            same |= agent->held[k].id == now.id && agent->held[k].version == now.version;
        if (!same &&
            collect_set(agent->collect, now.id, (int32_t)now.version, json_object_get(one, "spec"), &err))
            log_err(&err, "probe.check", "check %lld is not run", (long long)now.id);
        else
            held[held_count++] = now;
    }
    mem_free(agent->held);
    agent->held = held;
    agent->held_count = held_count;
    agent->version = json_integer_value(json_object_get(set, "version"));
    if (!agent->told_ready && agent->config.ready)
        agent->config.ready(agent->config.ctx, agent->node, (int64_t)held_count);
    agent->told_ready = true;
}

static void keep_set(struct agent *agent, const json_t *set)
{
    char path[600];
    struct err err;
    char *text = json_dumps(set, JSON_COMPACT);
    (void)snprintf(path, sizeof path, "%s/checks.json", agent->dir);
    if (!text || disk_replace(NULL, path, text, strlen(text), &err))
        log_line(LOG_WARN, "probe.checks", "the set of checks could not be kept on the disk");
    free(text);
}

static void nap(struct agent *agent, int ms)
{
    const int64_t until_ms = clock_mono(&CLOCK_SYSTEM) + ms;
    (void)pthread_mutex_lock(&agent->lock);
    while (!agent->stopping && cond_wait_until(&agent->wake, &agent->lock, until_ms))
        ;
    (void)pthread_mutex_unlock(&agent->lock);
}

static void *fetch(void *arg)
{
    struct agent *agent = arg;
    CURL *curl = curl_easy_init();
    int retry_ms = RETRY_MIN_MS;
    json_t *kept = load_json(agent, "checks.json");
    if (kept) { /* until the server says otherwise */
        apply_set(agent, kept);
        agent->version = 0;
    }
    json_decref(kept);
    while (curl && !agent->stopping) {
        char path[160];
        struct err err = { 0 };
        json_t *set = NULL;
        const int64_t began = clock_mono(agent->config.clock);
        (void)snprintf(path, sizeof path, "/api/probe/v1/checks?version=%lld&clock_ms=%lld",
                       (long long)agent->version, (long long)clock_now(agent->config.clock));
        const enum err_code rc = call(agent, curl, path, NULL, 60, &set, &err);
        if (rc && !agent->stopping) {
            log_err(&err, "probe.fetch", "checks of before go on");
            nap(agent, retry_ms);
            retry_ms = retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : retry_ms * 2;
        } else if (set) {
            apply_set(agent, set);
            keep_set(agent, set);
            retry_ms = RETRY_MIN_MS;
        } else if (!rc && clock_mono(agent->config.clock) - began < 1000) {
            nap(agent, 5000); /* the server had no place for us to wait */
        }
        json_decref(set);
    }
    curl_easy_cleanup(curl);
    return NULL;
}

/* ---- sending ---- */

struct parcel {
    struct buf body;
    uint64_t first, last;
    size_t count;
    uint64_t end; /* the log's position behind it */
};

/* Gathers what follows `position`, as far as the numbers run without a gap. */
static enum err_code gather(struct agent *agent, uint64_t position, struct parcel *parcel, struct err *err)
{
    struct wal_reader *reader;
    struct str record;
    enum err_code rc = wal_reader_new(agent->wal, position, &reader, err);
    if (rc)
        return rc;
    parcel->count = 0;
    parcel->end = position;
    buf_clear(&parcel->body);
    buf_printf(&parcel->body, "\"results\":[");
    while (parcel->count < SEND_RESULTS && parcel->body.len < SEND_BYTES &&
           (rc = wal_next(reader, &record, err)) == ERR_OK) {
        const uint64_t number = record.len > 8 ? get_u64(record.ptr) : 0;
        if (parcel->count && number != parcel->last + 1)
            break;
        if (number) {
            if (parcel->count++)
                buf_char(&parcel->body, ',');
            else
                parcel->first = number;
            parcel->last = number;
            buf_str(&parcel->body, str_slice(record, 8, record.len));
        }
        parcel->end = wal_reader_at(reader);
    }
    wal_reader_free(reader);
    buf_char(&parcel->body, ']');
    return rc && rc != ERR_NOT_FOUND ? rc : buf_check(&parcel->body, err);
}

/* Sends one parcel; *out_sent is false when there was nothing. */
static enum err_code send_some(struct agent *agent, CURL *curl, struct parcel *parcel, bool *out_sent,
                               struct err *err)
{
    uint64_t position;
    struct buf body;
    json_t *answer = NULL;
    enum err_code rc = wal_cursor_get(agent->wal, CURSOR, &position, err);
    if (!rc)
        rc = gather(agent, position, parcel, err);
    *out_sent = !rc && parcel->count > 0;
    if (rc || !parcel->count)
        return rc;
    buf_init(&body, SEND_BYTES * 2 + 65536);
    buf_printf(&body, "{\"epoch\":%lld,\"first\":%llu,\"clock_ms\":%lld,\"buffered\":%llu,\"dropped\":%lld,",
               (long long)agent->epoch, (unsigned long long)parcel->first,
               (long long)clock_now(agent->config.clock),
               (unsigned long long)(wal_end(agent->wal) - position), (long long)agent->dropped);
    buf_str(&body, buf_get(&parcel->body));
    buf_char(&body, '}');
    rc = buf_check(&body, err);
    if (!rc)
        rc = call(agent, curl, "/api/probe/v1/batch", body.ptr, 30, &answer, err);
    const uint64_t acknowledged = (uint64_t)json_integer_value(json_object_get(answer, "acknowledged"));
    if (!rc && acknowledged < parcel->last)
        rc = err_set(err, ERR_NET, "probe.server", ARG_TEXT("reason", "acknowledged too little"), ARG_END);
    if (rc == ERR_CONFLICT) { /* the server knows a later epoch of this node: begin one */
        const int64_t now = clock_now(agent->config.clock);
        agent->epoch = now > agent->epoch ? now : agent->epoch + 1;
        rc = save(agent, err) ? err->code : ERR_CONFLICT;
    } else if (rc == ERR_INVALID) { /* it will never be taken: not to block those behind it */
        log_err(err, "probe.batch", "%zu results are refused and dropped", parcel->count);
        agent->dropped += (int64_t)parcel->count;
        rc = ERR_OK;
    }
    if (!rc)
        rc = wal_cursor_set(agent->wal, CURSOR, parcel->end, err);
    if (!rc)
        rc = wal_trim(agent->wal, parcel->end, err);
    json_decref(answer);
    buf_done(&body);
    return rc;
}

static void wait_for_results(struct agent *agent)
{
    (void)pthread_mutex_lock(&agent->lock);
    if (!agent->stopping)
        (void)cond_wait_ms(&agent->wake, &agent->lock, 1000);
    (void)pthread_mutex_unlock(&agent->lock);
}

enum err_code agent_run(struct agent *agent, struct err *err)
{
    const struct collect_config collect = {
        .clock = agent->config.clock, .ca_file = agent->ca_file, .sink = on_results, .sink_ctx = agent
    };
    struct parcel parcel = { 0 };
    int retry_ms = RETRY_MIN_MS;
    bool away = false;
    CURL *curl = curl_easy_init();
    enum err_code rc = curl ? collect_start(&collect, &agent->collect, err) : err_nomem(err);
    if (!rc && pthread_create(&agent->fetcher, NULL, fetch, agent))
        rc = err_nomem(err);
    agent->fetching = rc == ERR_OK;
    buf_init(&parcel.body, SEND_BYTES * 2);
    while (!rc && !agent->stopping) {
        bool sent = false;
        struct err own = { 0 };
        if (send_some(agent, curl, &parcel, &sent, &own)) {
            if (!away)
                log_err(&own, "probe.send", "results stay in the buffer");
            away = true;
            nap(agent, retry_ms);
            retry_ms = retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : retry_ms * 2;
            continue;
        }
        if (away && sent)
            log_line(LOG_INFO, "probe.back", "the server takes results again");
        away = away && !sent;
        retry_ms = RETRY_MIN_MS;
        if (!sent)
            wait_for_results(agent);
    }
    if (agent->fetching)
        (void)pthread_join(agent->fetcher, NULL);
    collect_stop(agent->collect);
    agent->collect = NULL;
    buf_done(&parcel.body);
    curl_easy_cleanup(curl);
    return rc;
}
