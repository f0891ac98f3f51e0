/* watch_bench.c - measures the whole way of checks: collectors, phases, series on the disk, triggers.
 *
 * usage: watch_bench checks URL SECONDS RATE      RATE checks/s of that URL; prints checks per CPU-second
 *        watch_bench lag URL SECONDS COUNT        COUNT checks every 10 s, 5 % of them hang; prints ms
 *        watch_bench icmp SECONDS COUNT           COUNT loopback addresses, 3 packets every 10 s; percent of
 * a core CPU is that of this process with all its threads, without start and end. */
#include "judge/trigger/trigger.h"
#include "observe/probe/checks.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LAGS_MAX 2000000

static struct triggers *triggers;
static struct checks *checks;
static struct series_store *series;
static struct collect *collect;
static _Atomic long done, failed, verdicts;
static int64_t hanging_from = INT64_MAX; /* checks from this id on hang */
static int32_t *lags;
static long lag_count;
static _Atomic bool measuring;

static void on_verdict(void *ctx, const struct trigger_verdict *verdict)
{
    (void)ctx;
    (void)verdict;
    verdicts++;
}

static void on_results(void *ctx, int64_t node, const struct collect_result *results, size_t count)
{
    (void)ctx;
    triggers_feed(triggers, node, results, count);
    if (!measuring)
        return;
    for (size_t i = 0; i < count; i++) {
        done++;
        failed += results[i].cause != CAUSE_NONE && results[i].check_id < hanging_from;
        if (results[i].check_id < hanging_from && lag_count < LAGS_MAX)
            lags[lag_count++] = (int32_t)results[i].lag_us;
    }
}

static void on_check(void *ctx, int64_t id, const struct check_info *info, bool removed)
{
    struct err err;
    (void)ctx;
    (void)removed;
    const struct trigger_check check = { .id = id,
                                         .kind = info->kind,
                                         .interval_ms = info->interval_ms,
                                         .nodes = info->nodes,
                                         .name = info->name };
    if (triggers_check_set(triggers, &check, &err))
        abort();
}

static void must(enum err_code rc, const struct err *err, const char *what)
{
    if (rc) {
        fprintf(stderr, "%s: %s %s\n", what, err->id, err->at.pointer);
        exit(3);
    }
}

static void begin(const char *dir)
{
    struct err err;
    const struct triggers_config for_triggers = { .clock = &CLOCK_SYSTEM, .verdict = on_verdict };
    must(triggers_new(&for_triggers, &triggers, &err), &err, "triggers");
    json_t *down = json_pack("{s:s, s:s, s:s}", "kind", "condition", "name", "down", "condition",
                             "not(up) or total_ms > 5000");
    must(triggers_set(triggers, 1, down, &err), &err, "trigger");
    json_decref(down);
    const struct series_config for_series = { .dir = dir, .clock = &CLOCK_SYSTEM };
    must(series_open(&for_series, &series, &err), &err, "series");
    const struct checks_config for_checks = {
        .clock = &CLOCK_SYSTEM, .series = series, .feed = on_results, .changed = on_check
    };
    must(checks_new(&for_checks, &checks, &err), &err, "checks");
    const struct collect_config for_collect = { .clock = &CLOCK_SYSTEM,
                                                .sink = checks_sink,
                                                .sink_ctx = checks };
    must(collect_start(&for_collect, &collect, &err), &err, "collect");
    checks_collect_set(checks, collect);
}

static void add(int64_t id, json_t *record)
{
    struct err err;
    must(record ? checks_set(checks, id, record, &err) : ERR_NOMEM, &err, "check");
    json_decref(record);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

/* Lets it run in, then measures; returns the CPU seconds. */
static double measure(unsigned warm_s, unsigned seconds)
{
    (void)sleep(warm_s);
    const double before = cpu_seconds();
    measuring = true;
    (void)sleep(seconds);
    measuring = false;
    return cpu_seconds() - before;
}

static int by_size(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

/* A socket that takes connections and never answers. */
static int hang_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &len))
        exit(3);
    return ntohs(address.sin_port);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/bihuan-bench-XXXXXX", command[64];
    struct rlimit limit;
    if (argc < 4 || !mkdtemp(dir))
        return 2;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    lags = calloc(LAGS_MAX, sizeof *lags);
    begin(dir);
    const char *mode = argv[1];
    int exit_status = 0;
    if (strcmp(mode, "checks") == 0 && argc == 5) {
        const int seconds = atoi(argv[3]), rate = atoi(argv[4]);
        for (int i = 1; i <= rate; i++)
            add(i, json_pack("{s:s, s:s, s:s, s:i, s:i}", "kind", "http", "name", "site", "url", argv[2],
                             "interval_s", 1, "timeout_s", 1));
        const double cpu = measure(3, (unsigned)seconds);
        printf("%.0f %ld %ld\n", (double)done / cpu, (long)done, (long)failed);
    } else if (strcmp(mode, "lag") == 0 && argc == 5) {
        char hang[64];
        const int count = atoi(argv[4]);
        (void)snprintf(hang, sizeof hang, "http://127.0.0.1:%d/", hang_port());
        hanging_from = count - count / 20 + 1;
        for (int i = 1; i <= count; i++)
            add(i, json_pack("{s:s, s:s, s:s, s:i, s:i}", "kind", "http", "name", "site", "url",
                             i < hanging_from ? argv[2] : hang, "interval_s", 10, "timeout_s", 8));
        (void)measure(12, (unsigned)atoi(argv[3]));
        qsort(lags, (size_t)lag_count, sizeof *lags, by_size);
        const long p99 = lag_count * 99 / 100;
        if (lag_count)
            printf("%.2f %ld %ld\n", (double)lags[p99] / 1000.0, lag_count, (long)failed);
    } else if (strcmp(mode, "icmp") == 0 && argc == 4) {
        const int seconds = atoi(argv[2]), count = atoi(argv[3]);
        for (int i = 1; i <= count; i++) {
            char host[24];
            (void)snprintf(host, sizeof host, "127.%d.%d.%d", 1 + i / 62500, i / 250 % 250, 1 + i % 250);
            add(i, json_pack("{s:s, s:s, s:s, s:i, s:i, s:i}", "kind", "icmp", "name", "host", "host", host,
                             "interval_s", 10, "timeout_s", 5, "packets", 3));
        }
        const double cpu = measure(12, (unsigned)seconds);
        printf("%.2f %ld %ld\n", cpu / seconds * 100, (long)done, (long)failed);
    } else {
        exit_status = 2;
    }
    collect_stop(collect);
    checks_free(checks);
    series_close(series);
    triggers_free(triggers);
    free(lags);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) ? 3 : exit_status;
}
