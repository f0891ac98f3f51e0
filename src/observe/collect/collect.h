/* collect.h - active checks: HTTP(S), TCP, ICMP and DNS, asynchronous, one event loop a core.
 *
 * A check is due at offset + k x interval (offset from its id), so checks are spread and never drift; a
 * slow target costs nothing to the others.  Changes are increments: collect_set() replaces one check while
 * all others go on.  Results go in small batches to one function on a thread of its own, so that a disk
 * sync never delays a probe.
 *
 * Threads: all functions from any.  Layer: observe (uses base). */
#pragma once
#include "base/clock.h"

#include <jansson.h>

struct collect;

enum collect_kind { COLLECT_HTTP, COLLECT_TCP, COLLECT_ICMP, COLLECT_DNS, COLLECT_KIND__COUNT };

/* What a result measures: one series each.  A value that was not reached is absent. */
enum collect_metric {
    COLLECT_UP,       /* 1 good, 0 failed */
    COLLECT_TOTAL,    /* microseconds, all steps */
    COLLECT_DNS_TIME, /* the phases of the last step, microseconds */
    COLLECT_CONNECT,
    COLLECT_TLS,
    COLLECT_FIRST_BYTE,
    COLLECT_STATUS, /* HTTP status, DNS rcode */
    COLLECT_BYTES,  /* of the body */
    COLLECT_REDIRECTS,
    COLLECT_CERT_DAYS, /* whole days until the first certificate of the chain expires; negative = past */
    COLLECT_LOSS,      /* percent of packets lost */
    COLLECT_RTT,       /* median of the burst, microseconds */
    COLLECT_JITTER,    /* mean difference of neighbouring packets, microseconds */
    COLLECT_METRIC__COUNT
};
/* Stable names as they stand in series labels, FEEL conditions and JSON: "up", "total_us", "cert_days"... */
extern const char *const COLLECT_METRIC_NAMES[COLLECT_METRIC__COUNT];
extern const char *const COLLECT_KIND_NAMES[COLLECT_KIND__COUNT];

/* Why a check failed: a closed list, words as "collect.cause.NAME". */
enum collect_cause {
    CAUSE_NONE,
    CAUSE_DNS,         /* the name does not resolve */
    CAUSE_REFUSED,     /* connection refused */
    CAUSE_UNREACHABLE, /* no route, host or network unreachable */
    CAUSE_TIMEOUT,     /* not done within the check's time-out; detail names the phase */
    CAUSE_CLOSED,      /* the peer closed or reset too early */
    CAUSE_TLS,         /* handshake failed */
    CAUSE_CERTIFICATE, /* not valid: detail says why (expired, name, issuer ...) */
    CAUSE_PROTOCOL,    /* the answer is not HTTP, DNS ... */
    CAUSE_STATUS,      /* an HTTP status or rcode that is not expected */
    CAUSE_HEADER,      /* a header does not match */
    CAUSE_BODY,        /* the body does not match */
    CAUSE_REDIRECTS,   /* too many redirects, or one that cannot be followed */
    CAUSE_LOSS,        /* more packets lost than allowed */
    CAUSE_PERMISSION,  /* no right to open the socket (ICMP) */
    CAUSE_LOCAL,       /* our side: sockets, memory */
    CAUSE_OVERRUN,     /* still running when due again */
    CAUSE__COUNT
};
extern const char *const COLLECT_CAUSE_NAMES[CAUSE__COUNT];

#define COLLECT_DETAIL_MAX 160

struct collect_result {
    int64_t check_id;
    int32_t version;  /* as given to collect_set() */
    int64_t at_ms;    /* when it was due, wall clock */
    int64_t lag_us;   /* how much later than due it began */
    uint32_t present; /* bit per enum collect_metric */
    int64_t values[COLLECT_METRIC__COUNT];
    uint8_t cause;                        /* enum collect_cause */
    uint8_t step;                         /* HTTP: the failed step, from 1; 0 = none */
    char detail[COLLECT_DETAIL_MAX + 1];  /* English for engineers: address, phase, reason */
    char subject[COLLECT_DETAIL_MAX + 1]; /* certificate: subject; issuer; notAfter */
};

/* Called by one thread, `count` >= 1. */
typedef void (*collect_sink)(void *ctx, const struct collect_result *results, size_t count);

struct collect_config {
    const struct clock *clock;
    int loops;           /* 0 = one a core, at most 16 */
    size_t checks_max;   /* 0 = 200,000 */
    size_t open_max;     /* connections at a time for each loop; 0 = from RLIMIT_NOFILE */
    const char *ca_file; /* PEM with further trusted certificates; NULL = the system's only */
    const char *dns;     /* "host[:port],..." for names; NULL = /etc/resolv.conf */
    int flush_ms;        /* results wait at most this long for company; 0 = 20 */
    collect_sink sink;
    void *sink_ctx;
};

/* Raises this process's limit of open files as far as it may: before collect_start(), which reads it. */
void collect_raise_limit(void);

MUST_CHECK enum err_code collect_start(const struct collect_config *config, struct collect **out_collect,
                                       struct err *err);
/* Ends all checks; the sink has got everything that was done. */
void collect_stop(struct collect *collect);

/* Checks a check's JSON (docs/probe.md describes it) without starting it; err has the pointer. */
MUST_CHECK enum err_code collect_validate(const json_t *spec, struct err *err);

/* Adds or replaces check `id`.  spec: {"kind":"http","interval_s":60,"timeout_s":10, ...}; it is read, not
 * kept.  A replaced check keeps its rhythm when its interval stays.  ERR_INVALID, ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err_code collect_set(struct collect *collect, int64_t id, int32_t version, const json_t *spec,
                                     struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code collect_remove(struct collect *collect, int64_t id, struct err *err);
/* Runs it now, besides its rhythm. */
MUST_CHECK enum err_code collect_run_now(struct collect *collect, int64_t id, struct err *err);

struct collect_stats {
    uint64_t done, failed, overrun, lag_over_200ms;
    uint64_t dropped; /* results that the sink could not take in time */
    size_t checks, running;
};
void collect_stats_get(struct collect *collect, struct collect_stats *out);
