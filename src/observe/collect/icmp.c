/* icmp.c - the ICMP check: a burst of echo requests to each target, through one socket a family.
 *
 * A raw socket where we may open one, else a datagram socket (the kernel then sets the identifier and
 * hands us only our own answers), else the check fails and says why.  An echo carries the slot of its run
 * and a token, so that an answer finds its run without a search and a stale one is seen.
 * Invariant: slots[i] is NULL or a run in flight. */
#include "observe/collect/loop.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define PACKET_MAX 1500
#define MAGIC 0x42484943u /* "BHIC" */

struct echo { /* behind the 8 bytes of ICMP header */
    uint32_t magic, slot, token, packet;
};

struct ping_run {
    struct run run;
    struct lookup *lookup;
    bool looking;
    struct sockaddr_storage to;
    struct timer gap;
    uint32_t slot, token;
    int sent, received;
    int64_t sent_us[PACKETS_MAX];
    int32_t rtt_us[PACKETS_MAX]; /* -1 = none yet */
    int64_t resolved_us;
};

struct socket6 {
    struct watch watch; /* fd -1 = could not be opened: `failure` */
    struct pinger *icmp;
    bool raw, six;
    int failure;
    struct mmsghdr out[BATCH];
    struct iovec out_iov[BATCH];
    unsigned char out_bytes[BATCH][PACKET_MAX];
    struct sockaddr_storage out_to[BATCH];
    struct ping_run *out_run[BATCH];
    int out_packet[BATCH];
    unsigned out_count;
};

struct pinger {
    struct loop *loop;
    struct socket6 *sockets[2]; /* v4, v6; opened when first needed */
    uint16_t identifier;
    struct ping_run **slots;
    uint32_t slot_count;
    uint32_t *free_slots;
    uint32_t free_count;
    uint32_t next_token;
};

static void queue_packet(struct ping_run *ping);
static void on_readable(struct watch *watch, uint32_t events);

static int64_t wall_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- sockets ---- */

static struct socket6 *open_socket(struct pinger *icmp, bool six)
{
    struct socket6 *sock = mem_alloc(1, sizeof *sock);
    if (!sock)
        return NULL;
    const int family = six ? AF_INET6 : AF_INET, protocol = six ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP;
    sock->icmp = icmp;
    sock->six = six;
    sock->raw = true;
    int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
        sock->raw = false;
        fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
        sock->failure = fd < 0 ? errno : 0;
    }
    sock->watch = (struct watch) { fd, on_readable };
    for (int i = 0; i < BATCH; i++) {
        sock->out_iov[i].iov_base = sock->out_bytes[i];
        sock->out[i].msg_hdr.msg_iov = &sock->out_iov[i];
        sock->out[i].msg_hdr.msg_iovlen = 1;
        sock->out[i].msg_hdr.msg_name = &sock->out_to[i];
    }
    if (fd < 0)
        return sock;
    const int on = 1, bytes = 4 << 20;
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (sock->raw && six) {
        struct icmp6_filter filter;
        ICMP6_FILTER_SETBLOCKALL(&filter);
        ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
        (void)setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
    } else if (sock->raw) {
        const uint32_t filter = ~(1u << ICMP_ECHOREPLY);
        (void)setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &filter, sizeof filter);
    }
    (void)watch_add(icmp->loop, &sock->watch, EPOLLIN);
    return sock;
}

static struct pinger *icmp_of(struct loop *loop)
{
    if (loop->icmp)
        return loop->icmp;
    struct pinger *icmp = mem_alloc(1, sizeof *icmp);
    if (!icmp)
        return NULL;
    icmp->loop = loop;
    if (getrandom(&icmp->identifier, sizeof icmp->identifier, 0) < 0 ||
        getrandom(&icmp->next_token, sizeof icmp->next_token, 0) < 0)
        icmp->identifier = (uint16_t)getpid();
    loop->icmp = icmp;
    return icmp;
}

void icmp_free(struct pinger *icmp)
{
    if (!icmp)
        return;
    for (int i = 0; i < 2; i++)
        if (icmp->sockets[i]) {
            if (icmp->sockets[i]->watch.fd >= 0)
                (void)close(icmp->sockets[i]->watch.fd);
            mem_free(icmp->sockets[i]);
        }
    mem_free(icmp->slots);
    mem_free(icmp->free_slots);
    mem_free(icmp);
}

static bool slot_take(struct pinger *icmp, struct ping_run *ping)
{
    if (icmp->free_count == 0) {
        const uint32_t count = icmp->slot_count ? icmp->slot_count * 2 : 1024;
        struct ping_run **slots = mem_realloc(icmp->slots, count * sizeof(struct ping_run *));
        if (!slots)
            return false;
        icmp->slots = slots;
        uint32_t *list = mem_realloc(icmp->free_slots, count * sizeof *list);
        if (!list)
            return false;
        icmp->free_slots = list;
        for (uint32_t i = count; i > icmp->slot_count; i--) {
            slots[i - 1] = NULL;
            list[icmp->free_count++] = i - 1;
        }
        icmp->slot_count = count;
    }
    ping->slot = icmp->free_slots[--icmp->free_count];
    ping->token = icmp->next_token++;
    icmp->slots[ping->slot] = ping;
    return true;
}

/* ---- a run ---- */

static struct socket6 *socket_of(const struct ping_run *ping)
{
    return ping->run.check->loop->icmp->sockets[ping->to.ss_family == AF_INET6];
}

static void release(struct run *run)
{
    struct ping_run *ping = (struct ping_run *)(void *)run;
    struct pinger *icmp = run->check->loop->icmp;
    if (ping->looking)
        lookup_forget(ping->lookup);
    ping->looking = false;
    timer_stop(&ping->gap);
    if (icmp->slots && ping->slot < icmp->slot_count && icmp->slots[ping->slot] == ping) {
        icmp->slots[ping->slot] = NULL;
        icmp->free_slots[icmp->free_count++] = ping->slot;
    }
    for (int i = 0; i < 2; i++) {
        struct socket6 *sock = icmp->sockets[i];
        for (unsigned k = 0; sock && k < sock->out_count; k++)
            if (sock->out_run[k] == ping)
                sock->out_run[k] = NULL;
    }
}

static int by_size(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

static void finish(struct ping_run *ping)
{
    struct collect_result *result = &ping->run.result;
    const struct spec *spec = ping->run.check->spec;
    int32_t sorted[PACKETS_MAX];
    int count = 0, steps = 0;
    int64_t jitter = 0;
    for (int i = 0; i < ping->sent; i++) {
        if (ping->rtt_us[i] < 0)
            continue;
        if (count) {
            jitter += labs((long)ping->rtt_us[i] - sorted[count - 1]);
            steps++;
        }
        sorted[count++] = ping->rtt_us[i];
    }
    if (!result->cause && ping->sent == 0)
        run_fail(&ping->run, CAUSE_TIMEOUT, "no answer within the time-out while waiting for %s",
                 ping->run.phase ? ping->run.phase : "the target");
    if (!result->cause) {
        const int loss = ping->sent ? (spec->packets - count) * 100 / spec->packets : 100;
        result_set(result, COLLECT_LOSS, loss);
        if (loss > spec->loss_max)
            run_fail(&ping->run, CAUSE_LOSS, "%d of %d packets lost", spec->packets - count, spec->packets);
    }
    if (count) {
        if (steps)
            result_set(result, COLLECT_JITTER, jitter / steps);
        qsort(sorted, (size_t)count, sizeof *sorted, by_size);
        const int64_t median =
            count % 2 ? sorted[count / 2] : ((int64_t)sorted[count / 2 - 1] + sorted[count / 2]) / 2;
        result_set(result, COLLECT_RTT, median);
        result_set(result, COLLECT_TOTAL, median);
    }
    release(&ping->run);
    run_end(&ping->run);
}

/* The time-out: what has come by now counts. */
static void on_deadline(struct timer *timer)
{
    finish((struct ping_run *)(void *)((char *)timer - offsetof(struct ping_run, run.deadline)));
}

static void on_gap(struct timer *timer)
{
    struct ping_run *ping = (struct ping_run *)(void *)((char *)timer - offsetof(struct ping_run, gap));
    queue_packet(ping);
}

static void begin(struct ping_run *ping)
{
    struct pinger *icmp = ping->run.check->loop->icmp;
    const bool six = ping->to.ss_family == AF_INET6;
    if (!icmp->sockets[six])
        icmp->sockets[six] = open_socket(icmp, six);
    const struct socket6 *sock = icmp->sockets[six];
    if (!sock || sock->watch.fd < 0) {
        run_fail(&ping->run, sock ? CAUSE_PERMISSION : CAUSE_LOCAL,
                 "no ICMP socket: %s; grant CAP_NET_RAW or widen net.ipv4.ping_group_range",
                 sock ? strerror(sock->failure) : "no memory");
        finish(ping);
        return;
    }
    if (!slot_take(icmp, ping)) {
        run_fail(&ping->run, CAUSE_LOCAL, "no memory");
        finish(ping);
        return;
    }
    ping->run.phase = "the echo";
    queue_packet(ping);
}

static void on_lookup(void *ctx, const struct sockaddr_storage *addresses, int count, const char *reason)
{
    struct ping_run *ping = ctx;
    ping->looking = false;
    if (count == 0) {
        run_fail(&ping->run, CAUSE_DNS, "%.*s: %s", STR_ARG(ping->run.check->spec->host), reason);
        finish(ping);
        return;
    }
    result_set(&ping->run.result, COLLECT_DNS_TIME, loop_clock_us() - ping->run.start_us);
    ping->to = addresses[0];
    begin(ping);
}

struct run *run_icmp(struct check *check)
{
    if (!icmp_of(check->loop))
        return NULL;
    struct ping_run *ping = (struct ping_run *)(void *)run_new(check, sizeof *ping, release);
    if (!ping)
        return NULL;
    const struct spec *spec = check->spec;
    ping->run.deadline.fn = on_deadline;
    ping->gap.fn = on_gap;
    ping->slot = UINT32_MAX;
    for (int i = 0; i < PACKETS_MAX; i++)
        ping->rtt_us[i] = -1;
    const int literal = address_literal(spec->host, 0, spec->family, &ping->to);
    if (literal > 0) {
        begin(ping);
    } else if (literal < 0) {
        run_fail(&ping->run, CAUSE_DNS, "%.*s is of the other address family", STR_ARG(spec->host));
        finish(ping);
    } else {
        ping->run.phase = "the name server";
        ping->looking = true;
        struct lookup *lookup = lookup_start(check->loop, spec->host, 0, spec->family, on_lookup, ping);
        if (!lookup) {
            ping->looking = false;
            run_fail(&ping->run, CAUSE_LOCAL, "no memory");
            finish(ping);
        } else if (ping->looking) {
            ping->lookup = lookup;
        }
    }
    return &ping->run;
}

/* ---- sending ---- */

static uint16_t checksum(const unsigned char *bytes, size_t len)
{
    uint64_t sum = 0;
    for (; len >= 2; len -= 2, bytes += 2) {
        uint16_t word;
        memcpy(&word, bytes, 2);
        sum += word;
    }
    if (len)
        sum += *bytes;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void flush(struct socket6 *sock)
{
    struct ping_run *failed[BATCH];
    unsigned failed_count = 0, at = 0;
    int failure = 0;
    const int64_t now = wall_us();
    for (unsigned i = 0; i < sock->out_count; i++)
        if (sock->out_run[i])
            sock->out_run[i]->sent_us[sock->out_packet[i]] = now;
    while (at < sock->out_count) {
        const int sent = sendmmsg(sock->watch.fd, sock->out + at, sock->out_count - at, 0);
        if (sent > 0) {
            at += (unsigned)sent;
        } else if (errno != EINTR) {
            /* one target that cannot be reached must not hold up the others; a full queue is a loss */
            if (errno != EAGAIN && errno != ENOBUFS && sock->out_run[at]) {
                failure = errno;
                failed[failed_count++] = sock->out_run[at];
            }
            at++;
        }
    }
    sock->out_count = 0;
    for (unsigned i = 0; i < failed_count; i++) {
        /* cppcheck-suppress uninitvar ; filled up to failed_count */
        struct ping_run *ping = failed[i];
        bool again = false; /* the same run may stand here with two packets */
        for (unsigned k = 0; k < i; k++)
            again |= failed[k] == ping;
        if (again)
            continue;
        run_fail(&ping->run, cause_of(failure), "send: %s", strerror(failure));
        finish(ping);
    }
}

static void queue_packet(struct ping_run *ping)
{
    struct socket6 *sock = socket_of(ping);
    const struct spec *spec = ping->run.check->spec;
    const int packet = ping->sent++;
    if (ping->sent < spec->packets)
        timer_set(&ping->run.check->loop->wheel, &ping->gap,
                  ping->run.check->loop->now_us / 1000 + spec->gap_ms);
    if (sock->out_count == BATCH)
        flush(sock);
    const unsigned at = sock->out_count++;
    unsigned char *bytes = sock->out_bytes[at];
    const size_t len = 8 + (size_t)spec->packet_bytes;
    const struct echo echo = { MAGIC, ping->slot, ping->token, (uint32_t)packet };
    memset(bytes, 0, len);
    bytes[0] = sock->six ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    memcpy(bytes + 4, &sock->icmp->identifier, 2);
    bytes[6] = (unsigned char)(ping->slot >> 8);
    bytes[7] = (unsigned char)ping->slot;
    memcpy(bytes + 8, &echo, sizeof echo);
    if (!sock->six) { /* for v6 the kernel does it */
        const uint16_t sum = checksum(bytes, len);
        memcpy(bytes + 2, &sum, 2);
    }
    sock->out_iov[at].iov_len = len;
    sock->out_to[at] = ping->to;
    sock->out[at].msg_hdr.msg_namelen = sock->six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    sock->out_run[at] = ping;
    sock->out_packet[at] = packet;
}

void icmp_flush(struct loop *loop)
{
    for (int i = 0; loop->icmp && i < 2; i++)
        if (loop->icmp->sockets[i] && loop->icmp->sockets[i]->out_count)
            flush(loop->icmp->sockets[i]);
}

/* ---- receiving ---- */

static void take(struct socket6 *sock, const unsigned char *bytes, size_t len, int64_t at_us)
{
    struct pinger *icmp = sock->icmp;
    struct echo echo;
    if (sock->raw && !sock->six) { /* with the IP header */
        const size_t head = len ? (size_t)(bytes[0] & 15) * 4 : 0;
        if (head < 20 || len < head)
            return;
        bytes += head;
        len -= head;
    }
    if (len < 8 + sizeof echo || bytes[0] != (sock->six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) ||
        (sock->raw && memcmp(bytes + 4, &icmp->identifier, 2) != 0))
        return;
    memcpy(&echo, bytes + 8, sizeof echo);
    struct ping_run *ping = echo.slot < icmp->slot_count ? icmp->slots[echo.slot] : NULL;
    if (echo.magic != MAGIC || !ping || ping->token != echo.token || echo.packet >= (uint32_t)ping->sent ||
        ping->rtt_us[echo.packet] >= 0 || ping->sent_us[echo.packet] == 0)
        return;
    const int64_t rtt = at_us - ping->sent_us[echo.packet];
    ping->rtt_us[echo.packet] = (int32_t)(rtt < 0 ? 0 : rtt);
    if (++ping->received == ping->run.check->spec->packets)
        finish(ping);
}

static void on_readable(struct watch *watch, uint32_t events)
{
    struct socket6 *sock = (struct socket6 *)(void *)watch;
    static _Thread_local unsigned char bytes[BATCH][PACKET_MAX];
    static _Thread_local char control[BATCH][64];
    struct mmsghdr in[BATCH];
    struct iovec iov[BATCH];
    (void)events;
    for (int rounds = 0; rounds < 64; rounds++) { /* then the others have their turn */
        memset(in, 0, sizeof in);
        for (int i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec) { bytes[i], PACKET_MAX };
            in[i].msg_hdr.msg_iov = &iov[i];
            in[i].msg_hdr.msg_iovlen = 1;
            in[i].msg_hdr.msg_control = control[i];
            in[i].msg_hdr.msg_controllen = sizeof control[i];
        }
        const int got = recvmmsg(watch->fd, in, BATCH, 0, NULL);
        if (got <= 0)
            return;
        const int64_t now = wall_us();
        for (int i = 0; i < got; i++) {
            int64_t at = now;
            for (struct cmsghdr *c = CMSG_FIRSTHDR(&in[i].msg_hdr); c; c = CMSG_NXTHDR(&in[i].msg_hdr, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                    struct timespec stamp;
                    memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
                    at = (int64_t)stamp.tv_sec * 1000000 + stamp.tv_nsec / 1000;
                }
            take(sock, bytes[i], in[i].msg_len, at);
        }
        if (got < BATCH)
            return;
    }
}
