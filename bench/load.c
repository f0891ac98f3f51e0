/* load.c - an open-loop HTTP load: requests are due on a schedule, and their time counts from the due
 * instant, so that a stall is not hidden.
 *
 *   load HOST:PORT RATE CONNECTIONS SECONDS REQUESTS   open loop: one line
 *                                                      "rate N p50 N p99 N max N errors N cores N"
 *   load HOST:PORT 0 CONNECTIONS SECONDS REQUESTS      closed loop: as fast as the connections go
 *
 * REQUESTS is a file of whole requests, each preceded by a line "LENGTH\n"; they are sent in its order, over
 * and over.  In a request the bytes "#N#" become a number that grows with each request (unique codes); its
 * length must not change: eleven digits are put over eleven '#'.  Times are milliseconds.
 * A request that finds no free connection waits for one: that is the server's doing too. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (1 << 20)
#define REQUESTS_MAX 200000

struct request {
    const char *bytes;
    size_t len;
};

struct connection {
    int fd;
    bool busy, head;
    int64_t due_us;
    size_t sent, len, got, wanted;
    char *out, *in;
};

static struct request requests[REQUESTS_MAX];
static size_t request_count;
static struct connection *connections;
static int connection_count, epoll_fd;
static int64_t *times, times_count, times_max, errors, serial;
static struct sockaddr_in address;

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void fail(const char *what)
{
    perror(what);
    exit(3);
}

static void read_requests(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[64];
    if (!file)
        fail(path);
    while (request_count < REQUESTS_MAX && fgets(line, sizeof line, file)) {
        const size_t len = strtoul(line, NULL, 10);
        char *bytes = malloc(len + 1);
        if (!bytes || fread(bytes, 1, len, file) != len)
            fail("requests");
        bytes[len] = 0;
        requests[request_count++] = (struct request) { bytes, len };
    }
    (void)fclose(file);
    if (!request_count)
        fail("no requests");
}

static void open_connection(struct connection *c)
{
    const int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof address))
        fail("connect");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event))
        fail("epoll");
}

static void want(struct connection *c, unsigned events)
{
    struct epoll_event event = { .events = events, .data.ptr = c };
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void flush_out(struct connection *c)
{
    while (c->sent < c->len) {
        const ssize_t wrote = send(c->fd, c->out + c->sent, c->len - c->sent, MSG_NOSIGNAL);
        if (wrote < 0) {
            if (errno != EAGAIN)
                fail("send");
            want(c, EPOLLIN | EPOLLOUT);
            return;
        }
        c->sent += (size_t)wrote;
    }
    want(c, EPOLLIN);
}

static void begin(struct connection *c, int64_t due_us)
{
    static const char marks[] = "###########";
    const struct request *request = &requests[(size_t)serial++ % request_count];
    if (request->len > BUFFER)
        fail("a request is too large");
    memcpy(c->out, request->bytes, request->len);
    c->len = request->len;
    char *mark = memmem(c->out, c->len, marks, sizeof marks - 1);
    if (mark) {
        char digits[24];
        (void)snprintf(digits, sizeof digits, "%011lld", (long long)(serial % 100000000000));
        memcpy(mark, digits, 11);
    }
    c->busy = true;
    c->head = true;
    c->due_us = due_us;
    c->sent = c->got = 0;
    flush_out(c);
}

static void finish(struct connection *c, bool good)
{
    c->busy = false;
    if (!good)
        errors++;
    if (times_count < times_max)
        times[times_count++] = now_us() - c->due_us;
}

/* True when a whole answer is there. */
static bool take(struct connection *c, bool *good)
{
    for (;;) {
        if (c->head && c->got == BUFFER - 1)
            fail("an answer's head is too large");
        const ssize_t got =
            recv(c->fd, c->in + (c->head ? c->got : 0), c->head ? BUFFER - 1 - c->got : BUFFER - 1, 0);
        if (got < 0 && errno == EAGAIN)
            return false;
        if (got <= 0)
            fail("the server closed a connection");
        c->got += (size_t)got;
        if (c->head) {
            c->in[c->got] = 0;
            char *end = memmem(c->in, c->got, "\r\n\r\n", 4);
            if (!end)
                continue;
            *end = 0;
            const char *length = strcasestr(c->in, "\ncontent-length:");
            c->wanted = (size_t)(end + 4 - c->in) + (length ? strtoul(length + 16, NULL, 10) : 0);
            c->head = false;
            *good = !strncmp(c->in, "HTTP/1.1 2", 10);
            if (!*good && !errors)
                (void)fprintf(stderr, "%.60s\n", c->in);
        }
        if (c->got >= c->wanted)
            return true;
    }
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static double at(double share)
{
    return times_count ? (double)times[(int64_t)((double)(times_count - 1) * share)] / 1000.0 : -1;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        (void)fprintf(stderr, "usage: load HOST:PORT RATE CONNECTIONS SECONDS REQUESTS\n");
        return 2;
    }
    char host[64];
    (void)snprintf(host, sizeof host, "%s", argv[1]);
    char *colon = strrchr(host, ':');
    if (!colon)
        return 2;
    *colon = 0;
    address = (struct sockaddr_in) { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)) };
    const double rate = atof(argv[2]), seconds = atof(argv[4]);
    connection_count = atoi(argv[3]);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || connection_count < 1 || seconds <= 0)
        return 2;
    read_requests(argv[5]);
    times_max = 20000000;
    times = malloc(sizeof *times * (size_t)times_max);
    connections = calloc((size_t)connection_count, sizeof *connections);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!times || !connections || epoll_fd < 0)
        fail("start");
    for (int i = 0; i < connection_count; i++) {
        connections[i].out = malloc(BUFFER);
        connections[i].in = malloc(BUFFER);
        if (!connections[i].out || !connections[i].in)
            fail("memory");
        open_connection(&connections[i]);
    }
    const int64_t start = now_us(), end = start + (int64_t)(seconds * 1e6);
    int64_t planned = 0, busy = 0;
    int next_free = 0;
    while (now_us() < end || busy) {
        const int64_t now = now_us();
        while (now < end && busy < connection_count) {
            const int64_t due = rate > 0 ? start + (int64_t)((double)planned * 1e6 / rate) : now;
            if (due > now)
                break;
            while (connections[next_free].busy)
                next_free = (next_free + 1) % connection_count;
            begin(&connections[next_free], due);
            planned++;
            busy++;
        }
        if (now > end + 30000000)
            fail("answers are missing");
        struct epoll_event events[256];
        const int64_t due = rate > 0 ? start + (int64_t)((double)planned * 1e6 / rate) - now : 1000;
        const int wait = busy == connection_count || due > 1000 ? 1 : 0;
        const int count = epoll_wait(epoll_fd, events, 256, wait);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            bool good = true;
            if (events[i].events & EPOLLOUT)
                flush_out(c);
            if (c->busy && (events[i].events & (EPOLLIN | EPOLLHUP)) && take(c, &good)) {
                finish(c, good);
                busy--;
            }
        }
    }
    const double took = (double)(now_us() - start) / 1e6;
    qsort(times, (size_t)times_count, sizeof *times, compare);
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    const double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("rate %.1f p50 %.2f p99 %.2f max %.2f errors %lld cores %.2f\n", (double)times_count / took,
           at(0.5), at(0.99), at(1), (long long)errors, cpu / took);
    return 0;
}
