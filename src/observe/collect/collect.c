/* collect.c - the collectors as a whole: settings, loops, the thread that feeds the sink.  See collect.h. */
#include "base/log.h"
#include "observe/collect/message.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define LOOPS_MAX 16
#define WAITING_MAX 200000 /* results that wait for the sink; more are dropped and counted */

const char *const COLLECT_METRIC_NAMES[COLLECT_METRIC__COUNT] = {
    "up",         "total_us",  "dns_us",    "connect_us",   "tls_us", "first_byte_us", "status_code",
    "body_bytes", "redirects", "cert_days", "loss_percent", "rtt_us", "jitter_us",
};
const char *const COLLECT_KIND_NAMES[COLLECT_KIND__COUNT] = { "http", "tcp", "icmp", "dns" };
const char *const COLLECT_CAUSE_NAMES[CAUSE__COUNT] = {
    "none",   "dns",    "refused", "unreachable", "timeout", "closed",     "tls",   "certificate", "protocol",
    "status", "header", "body",    "redirects",   "loss",    "permission", "local", "overrun",
};

struct batch {
    struct batch *next;
    size_t count;
    struct collect_result results[];
};

struct collect {
    const struct clock *clock;
    char *dns;
    int flush_ms;
    size_t checks_max;
    collect_sink sink;
    void *sink_ctx;
    SSL_CTX *tls;
    struct loop *loops[LOOPS_MAX];
    int loop_count;
    pthread_t sinker;
    bool sinker_started;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct batch *first, **end;
    size_t waiting;
    bool stopping;
    _Atomic uint64_t dropped;
};

SSL_CTX *collect_tls(struct collect *collect)
{
    return collect->tls;
}
const struct clock *collect_clock(struct collect *collect)
{
    return collect->clock;
}
const char *collect_dns(struct collect *collect)
{
    return collect->dns;
}
int collect_flush_ms(struct collect *collect)
{
    return collect->flush_ms;
}

void collect_deliver(struct collect *collect, const struct collect_result *results, size_t count)
{
    struct batch *batch = mem_alloc(1, sizeof *batch + count * sizeof *results);
    if (batch) {
        batch->count = count;
        memcpy(batch->results, results, count * sizeof *results);
    }
    (void)pthread_mutex_lock(&collect->lock);
    if (batch && collect->waiting < WAITING_MAX) {
        *collect->end = batch;
        collect->end = &batch->next;
        collect->waiting += count;
        (void)pthread_cond_signal(&collect->arrived);
        batch = NULL;
    } else {
        collect->dropped += count;
    }
    (void)pthread_mutex_unlock(&collect->lock);
    mem_free(batch);
}

static void *sinker(void *arg)
{
    struct collect *collect = arg;
    (void)pthread_mutex_lock(&collect->lock);
    while (!collect->stopping || collect->first) {
        struct batch *batch = collect->first;
        if (!batch) {
            (void)pthread_cond_wait(&collect->arrived, &collect->lock);
            continue;
        }
        collect->first = batch->next;
        if (!collect->first)
            collect->end = &collect->first;
        collect->waiting -= batch->count;
        (void)pthread_mutex_unlock(&collect->lock);
        collect->sink(collect->sink_ctx, batch->results, batch->count);
        mem_free(batch);
        (void)pthread_mutex_lock(&collect->lock);
    }
    (void)pthread_mutex_unlock(&collect->lock);
    return NULL;
}

static enum err_code make_tls(struct collect *collect, const char *ca_file, struct err *err)
{
    collect->tls = SSL_CTX_new(TLS_client_method());
    if (!collect->tls)
        return err_nomem(err);
    /* old servers are to be measured, not refused: the certificate says what counts */
    SSL_CTX_set_security_level(collect->tls, 1);
    (void)SSL_CTX_set_min_proto_version(collect->tls, TLS1_VERSION);
    (void)SSL_CTX_set_session_cache_mode(collect->tls, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(collect->tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_verify(collect->tls, SSL_VERIFY_NONE, NULL); /* looked at after the handshake */
    (void)SSL_CTX_set_mode(collect->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_default_verify_paths(collect->tls);
    if (ca_file && *ca_file && SSL_CTX_load_verify_locations(collect->tls, ca_file, NULL) != 1)
        return err_set(err, ERR_INVALID, "file.open", ARG_TEXT("path", ca_file), ARG_TEXT("reason", "PEM"),
                       ARG_END);
    return ERR_OK;
}

void collect_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

enum err_code collect_start(const struct collect_config *config, struct collect **out_collect,
                            struct err *err)
{
    struct collect *collect = mem_alloc(1, sizeof *collect);
    if (!collect)
        return err_nomem(err);
    collect->clock = config->clock;
    collect->flush_ms = config->flush_ms ? config->flush_ms : 20;
    collect->checks_max = config->checks_max ? config->checks_max : 200000;
    collect->sink = config->sink;
    collect->sink_ctx = config->sink_ctx;
    collect->end = &collect->first;
    (void)pthread_mutex_init(&collect->lock, NULL);
    (void)pthread_cond_init(&collect->arrived, NULL);
    enum err_code rc = make_tls(collect, config->ca_file, err);
    if (!rc && config->dns && *config->dns) {
        collect->dns = mem_copy(config->dns, strlen(config->dns));
        if (!collect->dns)
            rc = err_nomem(err);
    }
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int loops = config->loops > 0 ? config->loops : cores < 1 ? 1 : (int)cores;
    loops = loops > LOOPS_MAX ? LOOPS_MAX : loops;
    struct rlimit limit = { 1024, 1024 };
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    size_t open_max = config->open_max;
    if (!open_max)
        open_max = limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 1000000
                       ? 20000
                       : (size_t)(limit.rlim_cur * 3 / 4) / (size_t)loops;
    if (!rc && pthread_create(&collect->sinker, NULL, sinker, collect))
        rc = err_nomem(err);
    collect->sinker_started = rc == ERR_OK;
    for (int i = 0; !rc && i < loops; i++) {
        rc = loop_start(collect, i, open_max, &collect->loops[i], err);
        collect->loop_count += rc == ERR_OK;
    }
    if (rc) {
        collect_stop(collect);
        return err_in(err, "collect.start");
    }
    *out_collect = collect;
    return ERR_OK;
}

void collect_stop(struct collect *collect)
{
    if (!collect)
        return;
    for (int i = 0; i < collect->loop_count; i++)
        loop_stop(collect->loops[i]);
    (void)pthread_mutex_lock(&collect->lock);
    collect->stopping = true;
    (void)pthread_cond_signal(&collect->arrived);
    (void)pthread_mutex_unlock(&collect->lock);
    if (collect->sinker_started)
        (void)pthread_join(collect->sinker, NULL);
    SSL_CTX_free(collect->tls);
    mem_free(collect->dns);
    (void)pthread_mutex_destroy(&collect->lock);
    (void)pthread_cond_destroy(&collect->arrived);
    mem_free(collect);
}

/* The loop of a check: all ICMP on the first, since every raw socket gets every packet. */
static struct loop *loop_of(struct collect *collect, int64_t id, enum collect_kind kind)
{
    uint64_t hash = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    return kind == COLLECT_ICMP ? collect->loops[0]
                                : collect->loops[(hash >> 32) % (uint64_t)collect->loop_count];
}

enum err_code collect_set(struct collect *collect, int64_t id, int32_t version, const json_t *json,
                          struct err *err)
{
    struct spec *spec;
    struct collect_stats stats;
    enum err_code rc = spec_read(json, &spec, err);
    if (rc)
        return err_in(err, "collect.set");
    collect_stats_get(collect, &stats);
    if (stats.checks >= collect->checks_max) {
        spec_free(spec);
        return err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", collect->checks_max), ARG_END);
    }
    struct loop *own = loop_of(collect, id, spec->kind);
    /* its kind may have been another one before: then it lives on another loop */
    for (int i = 0; i < collect->loop_count && !rc; i++)
        if (collect->loops[i] != own)
            rc = loop_send(collect->loops[i], MESSAGE_REMOVE, id, 0, NULL, err);
    return rc ? rc : loop_send(own, MESSAGE_SET, id, version, spec, err);
}

enum err_code collect_remove(struct collect *collect, int64_t id, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; i < collect->loop_count && !rc; i++)
        rc = loop_send(collect->loops[i], MESSAGE_REMOVE, id, 0, NULL, err);
    return rc;
}

enum err_code collect_run_now(struct collect *collect, int64_t id, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; i < collect->loop_count && !rc; i++)
        rc = loop_send(collect->loops[i], MESSAGE_RUN, id, 0, NULL, err);
    return rc;
}

void collect_stats_get(struct collect *collect, struct collect_stats *out)
{
    *out = (struct collect_stats) { .dropped = collect->dropped };
    for (int i = 0; i < collect->loop_count; i++) {
        const struct loop *loop = collect->loops[i];
        out->done += loop->done;
        out->failed += loop->failed;
        out->overrun += loop->overrun;
        out->lag_over_200ms += loop->lagged;
        out->checks += loop->stat_checks;
        out->running += loop->stat_running;
    }
}
