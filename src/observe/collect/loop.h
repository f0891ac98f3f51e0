/* loop.h - the inside of the collectors, shared by the files of this folder only: the event loop, its timer
 * wheel, checks and runs.
 *
 * One thread owns a loop and everything on it; others send it messages.  Memory that an event of the same
 * round may still name is freed at the round's end (loop_free_later).
 * Layer: observe (uses base). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "observe/collect/collect.h"

#include <ares.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* ---- timers: a wheel of one millisecond a slot; what is further away than a turn waits in its slot ---- */

struct timer {
    struct timer *next, **link; /* link NULL = not set */
    int64_t due_ms;
    void (*fn)(struct timer *timer);
};

#define WHEEL_SLOTS 8192

struct wheel {
    struct timer *slots[WHEEL_SLOTS];
    uint64_t used[WHEEL_SLOTS / 64]; /* a bit for each slot that may hold something */
    int64_t now_ms;                  /* everything due at or before it was fired */
};

void wheel_init(struct wheel *wheel, int64_t now_ms);
/* At or before now fires with the next turn. */
void timer_set(struct wheel *wheel, struct timer *timer, int64_t due_ms);
void timer_stop(struct timer *timer);
/* Fires what is due up to now, in order of slots. */
void wheel_turn(struct wheel *wheel, int64_t now_ms);
/* Milliseconds until something may be due, at most `max`. */
int wheel_wait(const struct wheel *wheel, int64_t now_ms, int max);

/* ---- specifications ---- */

struct url {
    bool tls;
    struct str host, path; /* NUL-terminated both; host without brackets; path with the query, from '/' */
    uint16_t port;
    bool plain_port; /* the scheme's own: not in the Host header */
};

struct pattern {
    struct str name; /* of a header or a captured variable */
    pcre2_code *code;
};

struct http_step {
    struct url url;
    struct str method, headers, body; /* headers: "Name: value\r\n"... */
    struct str url_text;              /* for captured variables */
    bool has_variables;
    uint16_t status_low[8], status_high[8];
    uint8_t status_count, redirects;
    struct str body_has, body_has_not; /* ptr NULL = none */
    pcre2_code *body_regex;
    struct pattern header_regex[8], capture[8];
    uint8_t header_count, capture_count;
};

#define STEPS_MAX 16
#define PACKETS_MAX 20

struct spec {
    struct arena *arena; /* owns the texts */
    enum collect_kind kind;
    int64_t interval_ms, timeout_ms;
    int family; /* AF_UNSPEC, AF_INET, AF_INET6 */
    bool verify;
    uint32_t body_max;
    struct http_step *steps;
    int step_count;
    struct str host; /* tcp, icmp; dns: the server, empty = the system's */
    uint16_t port;
    bool tls;
    struct str send, expect;                     /* tcp */
    int packets, gap_ms, loss_max, packet_bytes; /* icmp */
    struct str name, answer;                     /* dns */
    int type, rcode;
};

/* Reads and checks; *out_spec is owned by the caller (spec_free). */
MUST_CHECK enum err_code spec_read(const json_t *json, struct spec **out_spec, struct err *err);
void spec_free(struct spec *spec);
/* Splits an absolute http(s) URL; texts go to the arena.  ERR_INVALID. */
MUST_CHECK enum err_code url_parse(struct arena *arena, struct str text, struct url *out, struct err *err);

/* ---- checks and runs ---- */

struct run;

struct check {
    struct check *next; /* in its bucket of the loop's table */
    struct loop *loop;
    int64_t id;
    int32_t version;
    struct spec *spec;
    struct timer timer;
    int64_t due_ms;  /* monotonic */
    struct run *run; /* in flight, or NULL */
    void *channel;   /* dns: the check's own resolver */
};

struct run {
    struct check *check;
    struct timer deadline;
    int64_t start_us;
    struct collect_result result;
    void (*cancel)(struct run *run); /* the time-out or the check's end: release everything but the run */
    const char *phase;               /* what it waits for, for the detail of a time-out */
};

struct watch {
    int fd;
    void (*fn)(struct watch *watch, uint32_t events);
};

struct later {
    struct later *next;
};

struct pinger;

struct loop {
    struct collect *collect;
    int index, epoll, wake;
    pthread_t thread;
    bool started, stopping;
    struct watch wake_watch;
    struct wheel wheel;
    int64_t now_us; /* monotonic, of this round */
    int64_t wall_offset_ms;
    bool has_wall_offset;
    struct check **table;
    size_t table_size, check_count, running;
    size_t open, open_max;
    struct later *garbage;
    ares_channel resolver;
    struct resolver_ctx *resolvers;
    struct timer resolver_timer;
    size_t lookups; /* in flight, of every channel */
    struct pinger *icmp;
    struct collect_result *results;
    size_t result_count;
    struct timer flush_timer;
    char *scratch;        /* SCRATCH_BYTES for reading */
    pthread_mutex_t lock; /* of what follows */
    struct message *messages, **message_end;
    _Atomic uint64_t done, failed, overrun, lagged;
    _Atomic size_t stat_checks, stat_running;
};

#define SCRATCH_BYTES 65536
#define RESULTS_MAX 128

int64_t loop_clock_us(void);
/* Frees a block after the events of this round.  The block must be at least a pointer large. */
void loop_free_later(struct loop *loop, void *block);
bool watch_add(struct loop *loop, struct watch *watch, uint32_t events);

static inline void result_set(struct collect_result *result, enum collect_metric metric, int64_t value)
{
    result->values[metric] = value;
    result->present |= 1u << metric;
}
/* Fills cause and detail of the run's result, unless there is one already. */
void run_fail(struct run *run, enum collect_cause cause, const char *format, ...) PRINTF_LIKE(3, 4);
/* The run is over: completes the result, hands it on, frees the run at the round's end. */
void run_end(struct run *run);
enum collect_cause cause_of(int errnum);

/* Starts one; each ends by run_end(), now or later. */
struct run *run_http(struct check *check) MUST_CHECK;
struct run *run_tcp(struct check *check) MUST_CHECK;
struct run *run_icmp(struct check *check) MUST_CHECK;
struct run *run_dns(struct check *check) MUST_CHECK;
/* A run's common part, in a block of `size` bytes; NULL without memory. */
struct run *run_new(struct check *check, size_t size, void (*cancel)(struct run *run)) MUST_CHECK;

void icmp_free(struct pinger *icmp);
/* Sends what the runs of this round have queued. */
void icmp_flush(struct loop *loop);
void dns_check_done(struct check *check);

/* ---- resolving, shared ---- */

MUST_CHECK bool resolver_open(struct loop *loop, const char *servers, ares_channel *out);
void resolver_close(struct loop *loop, ares_channel channel);
void resolver_tick(struct loop *loop);

/* Told once, perhaps before lookup_start() returns; `count` 0 = `reason` says why. */
typedef void (*lookup_fn)(void *ctx, const struct sockaddr_storage *addresses, int count, const char *reason);
struct lookup *lookup_start(struct loop *loop, struct str host, uint16_t port, int family, lookup_fn fn,
                            void *ctx) MUST_CHECK;
/* Nobody waits for it any more.  Accepts NULL; must not be called once the answer came. */
void lookup_forget(struct lookup *lookup);
/* 1 = the host is an address and stands in *out; -1 = one of the other family; 0 = it is a name. */
int address_literal(struct str host, uint16_t port, int family, struct sockaddr_storage *out);

/* ---- dial.c: name -> address -> connection -> TLS ---- */

#define ADDRESSES_MAX 8

struct dial;
struct dial_owner {
    void (*ready)(struct dial *dial);  /* connected, TLS done */
    void (*io)(struct dial *dial);     /* after ready: may be readable or writable */
    void (*failed)(struct dial *dial); /* cause and detail are in the run's result */
};

struct dial {
    struct run *run;
    const struct dial_owner *owner;
    struct watch watch;
    struct lookup *lookup;
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    int address_count, address_at;
    SSL *ssl;
    bool tls, verify, ready, looking;
    struct str host;
    uint16_t port;
    int64_t begin_us, dns_us, connect_us, tls_us; /* durations */
    int64_t phase_us;                             /* begin of the phase now */
};

/* Begins; one of owner's functions is called, perhaps at once. */
void dial_start(struct dial *dial, struct run *run, const struct dial_owner *owner, struct str host,
                uint16_t port, bool tls);
/* Closes the connection and forgets the lookup. */
void dial_end(struct dial *dial);
enum { DIAL_AGAIN = -1, DIAL_CLOSED = 0, DIAL_FAILED = -2 };
/* Bytes moved, or one of the above (DIAL_FAILED has set the run's cause). */
ssize_t dial_read(struct dial *dial, void *bytes, size_t size);
ssize_t dial_write(struct dial *dial, const void *bytes, size_t len);
/* owner->io() is called again in the next round, although nothing new happened. */
void dial_again(struct dial *dial);

/* What of the settings a loop needs. */
SSL_CTX *collect_tls(struct collect *collect);
const struct clock *collect_clock(struct collect *collect);
const char *collect_dns(struct collect *collect);
/* Hands results to the sink's thread. */
void collect_deliver(struct collect *collect, const struct collect_result *results, size_t count);
int collect_flush_ms(struct collect *collect);
