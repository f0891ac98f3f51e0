/* health.c - what the server tells about itself: /healthz, /readyz, /metrics, live events. */
#include "net/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

const int LATENCY_MS[LATENCY_BUCKETS] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 15000 };

static enum err_code healthz(struct request *req, struct reply *reply, struct err *err)
{
    (void)req;
    (void)err;
    reply_text(reply, STR("ok\n"));
    return ERR_OK;
}

static enum err_code readyz(struct request *req, struct reply *reply, struct err *err)
{
    const struct http_hooks *hooks = &req->server->config.hooks;
    if (!atomic_load(&req->server->ready) || atomic_load(&req->server->draining))
        return err_set(err, ERR_BUSY, "http.not_ready", ARG_END);
    if (hooks->ready && hooks->ready(hooks->health_ctx, err))
        return err->code;
    reply_text(reply, STR("ready\n"));
    return ERR_OK;
}

static void put_requests(struct http_server *server, struct buf *out)
{
    buf_text(out, "# HELP bihuan_http_requests_total Requests answered, by first digit of the status.\n"
                  "# TYPE bihuan_http_requests_total counter\n");
    for (int digit = 1; digit < 6; digit++)
        buf_printf(out, "bihuan_http_requests_total{status=\"%dxx\"} %" PRIu64 "\n", digit,
                   atomic_load(&server->answered[digit]));
    buf_text(out, "# HELP bihuan_http_request_ms Time from the first header to the queued answer.\n"
                  "# TYPE bihuan_http_request_ms histogram\n");
    uint64_t sum = 0;
    for (int i = 0; i <= LATENCY_BUCKETS; i++) {
        sum += atomic_load(&server->latency[i]);
        if (i < LATENCY_BUCKETS)
            buf_printf(out, "bihuan_http_request_ms_bucket{le=\"%d\"} %" PRIu64 "\n", LATENCY_MS[i], sum);
    }
    buf_printf(out,
               "bihuan_http_request_ms_bucket{le=\"+Inf\"} %" PRIu64 "\nbihuan_http_request_ms_sum %" PRIu64
               "\nbihuan_http_request_ms_count %" PRIu64 "\n",
               sum, atomic_load(&server->latency_sum_ms), sum);
}

static void put_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %" PRIu64 "\n", name, help, name, name, value);
}

static uint64_t resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    (void)fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static enum err_code metrics(struct request *req, struct reply *reply, struct err *err)
{
    struct http_server *server = req->server;
    if (!server_shows_metrics(server, req))
        return err_set(err, ERR_FORBIDDEN, "http.metrics_forbidden", ARG_END);
    struct buf out;
    buf_init(&out, (size_t)4 << 20);
    buf_printf(&out,
               "# HELP bihuan_info Version of the program.\n# TYPE bihuan_info gauge\n"
               "bihuan_info{version=\"%s\"} 1\n",
               BIHUAN_VERSION);
    put_requests(server, &out);
    put_gauge(&out, "bihuan_http_active", "Requests in the house.", (uint64_t)atomic_load(&server->active));
    put_gauge(&out, "bihuan_http_connections", "Open connections.",
              (uint64_t)atomic_load(&server->links_count));
    put_gauge(&out, "bihuan_http_workers_busy", "Workers that run a handler.",
              (uint64_t)pool_running(server->pool));
    put_gauge(&out, "bihuan_http_queue", "Requests that wait for a worker.",
              (uint64_t)pool_waiting(server->pool));
    put_gauge(&out, "bihuan_http_listeners", "Live pages.", (uint64_t)events_count(server->events));
    put_gauge(&out, "bihuan_http_busy_total", "Requests refused because pool and queue were full.",
              atomic_load(&server->refused_busy));
    put_gauge(&out, "bihuan_http_slow_total", "Connections ended because they were too slow.",
              atomic_load(&server->ended_slow));
    put_gauge(&out, "process_resident_memory_bytes", "Resident memory.", resident_bytes());
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        buf_printf(
            &out,
            "# HELP process_cpu_seconds_total Processor time.\n# TYPE process_cpu_seconds_total counter\n"
            "process_cpu_seconds_total %.3f\n",
            (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    if (server->config.hooks.metrics)
        server->config.hooks.metrics(server->config.hooks.health_ctx, &out);
    const struct str text = out.failed ? (struct str) { 0 } : arena_str(req->arena, buf_get(&out));
    buf_done(&out);
    if (!text.ptr)
        return err_nomem(err);
    reply_bytes(reply, "text/plain; version=0.0.4; charset=utf-8", text);
    return ERR_OK;
}

const struct route HEALTH_ROUTES[] = {
    { "GET", "/healthz", "", healthz, ROUTE_INLINE },
    { "GET", "/readyz", "", readyz, 0 },
    { "GET", "/metrics", "", metrics, 0 },
    { "GET", "/api/v1/core/events", "*", events_route, 0 },
    { 0 },
};
