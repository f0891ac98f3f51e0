/* exchange.h - inside the server: one request on its way from its first byte to its last.
 *
 * Life (one owner at a time, handed over by suspend and resume):
 *
 *   HTTP thread  PHASE_HEAD    headers are there; refused early, or ...
 *   worker       PHASE_ASK     (uploads) who is it, may they?
 *   HTTP thread  PHASE_BODY    the body comes in, into memory or a file
 *   worker       PHASE_RUN     the handler
 *   HTTP thread  PHASE_DONE    the reply is queued; freed when MHD says it was sent or the peer is gone
 *
 * Layer: net, not for other rooms. */
#pragma once
#include "net/cidr.h"
#include "net/http.h"
#include "base/log.h"
#include "net/pool.h"
#include "net/router.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define UPLOAD_PARTS_MAX 16
#define JSON_DEPTH_MAX 64

enum phase { PHASE_HEAD, PHASE_ASK, PHASE_BODY, PHASE_RUN, PHASE_DONE };

/* What a connection is doing, for the guard that ends slow ones. */
enum link_state { LINK_IDLE, LINK_HEAD, LINK_BODY, LINK_WORK, LINK_SEND, LINK_LIVE };
struct link {
    struct link *next, **place; /* in server->links, under links_lock */
    int fd;
    _Atomic int state; /* enum link_state */
    _Atomic int64_t since_ms, bytes;
    bool ended; /* the guard has shut it down */
    int gone;   /* how often the guard saw that the peer has hung up */
};

struct exchange {
    struct request req;
    struct reply reply;
    struct MHD_Connection *connection;
    struct link *link;
    enum phase phase;
    struct match match; /* match.route NULL: none found */
    bool other_method;  /* the path is known, the method is not */
    bool is_page;       /* a path outside /api without a route: a file or the application */
    int64_t began_ms;   /* mono */
    bool counted;       /* in server->active */

    struct buf body;
    int64_t body_seen, body_max;
    bool body_over; /* past its maximum: swallowed and answered 413 */
    bool upload_failed;
    struct err upload_err;
    json_t *json;
    struct MHD_PostProcessor *post;
    struct upload parts[UPLOAD_PARTS_MAX];
    int parts_count;

    bool head_only;            /* HEAD */
    bool gzip;                 /* the client takes it */
    bool close;                /* Connection: close */
    struct listener *listener; /* a live page; the reply is a stream */
    bool idem;
    struct str idem_key;
};

struct events;
struct statics;
struct tls;

#define LATENCY_BUCKETS 12
extern const int LATENCY_MS[LATENCY_BUCKETS];

struct http_server {
    struct http_config config;
    struct http_limits limits;
    struct router *router;
    struct pool *pool;
    struct statics *statics;
    struct events *events;
    struct MHD_Daemon *daemon;
    pthread_rwlock_t live_lock; /* of the next three, which http_reload() changes */
    struct cidr_list proxies, metrics_from;
    char *metrics_token; /* owned */
    _Atomic int64_t body_max, upload_max;
    _Atomic int deadline_ms;
    struct tls *tls; /* NULL: plain */
    int listen_fd, port;
    bool stopped; /* the daemon listens no more */
    char address[128];
    _Atomic bool ready, draining;
    _Atomic int active; /* requests between their first call and their end */

    pthread_mutex_t links_lock;
    struct link *links;
    _Atomic int links_count;
    pthread_t guard;
    bool guard_runs;
    pthread_mutex_t guard_lock;
    pthread_cond_t guard_wake;
    bool guard_stop;

    _Atomic uint64_t answered[6]; /* by first digit of the status */
    _Atomic uint64_t latency[LATENCY_BUCKETS + 1], latency_sum_ms;
    _Atomic uint64_t refused_busy, ended_slow, bytes_in, bytes_out;
};

static inline struct exchange *exchange_of(const struct request *req)
{
    return (struct exchange *)(uintptr_t)req; /* req is the first member */
}
static inline int64_t server_mono(const struct http_server *server)
{
    return clock_mono(server->config.clock);
}
static inline void link_enter(const struct http_server *server, struct link *link, enum link_state state)
{
    if (!link)
        return;
    atomic_store(&link->bytes, 0);
    atomic_store(&link->since_ms, server_mono(server));
    atomic_store(&link->state, (int)state);
}

/* Is this address one of a proxy whose X-Forwarded-* are believed?  May this request read /metrics? */
bool server_trusts(struct http_server *server, struct str address);
bool server_shows_metrics(struct http_server *server, const struct request *req);

/* exchange.c: the worker's side.  ask: who, permission; run: ask (unless done) and the handler. */
void exchange_ask(struct exchange *x);
void exchange_run(struct exchange *x);
/* Makes the reply problem+json, logs the failure once. */
void exchange_fail(struct exchange *x, const struct err *err);
void exchange_free(struct exchange *x);

/* upload.c: bodies into files. */
MUST_CHECK enum err_code upload_begin(struct exchange *x, struct err *err);
void upload_take(struct exchange *x, const char *bytes, size_t len);
void upload_end(struct exchange *x);

/* static.c */
MUST_CHECK enum err_code statics_new(const char *dir, struct statics **out, struct err *err);
void statics_free(struct statics *statics);
/* Queues the page for a path outside /api; false when there is none and no application either. */
bool statics_answer(const struct statics *statics, struct exchange *x, enum MHD_Result *out);
/* Security headers on every response. */
void response_secure(struct MHD_Response *response, bool secure);

/* tls.c: certificate and key, read anew on reload; connections that stand keep the old one. */
MUST_CHECK enum err_code tls_new(const char *cert_file, const char *key_file, struct tls **out,
                                 struct err *err);
MUST_CHECK enum err_code tls_reload(struct tls *tls, const char *cert_file, const char *key_file,
                                    struct err *err);
void tls_free(struct tls *tls);
/* For MHD_OPTION_HTTPS_CERT_CALLBACK; MHD gives it no argument, so there is one TLS server a process. */
void *tls_callback(struct tls *tls);

/* events.c */
struct events *events_new(struct http_server *server);
void events_free(struct events *events);
MUST_CHECK enum err_code events_route(struct request *req, struct reply *reply, struct err *err);
/* Takes the listener out of the exchange and makes the response that streams it; NULL: no memory. */
struct MHD_Response *events_response(struct exchange *x);
void listener_drop(struct http_server *server, struct listener *listener);
/* Once a second: beats, listeners whose session ended. */
void events_tick(struct events *events);
void events_end_all(struct events *events);
int events_count(struct events *events);

/* health.c */
extern const struct route HEALTH_ROUTES[];

/* links.c: the link of a connection, or NULL; MHD's callback; the guard's thread, until guard_stop. */
struct link *link_of(struct MHD_Connection *connection);
void links_on_connection(void *server, struct MHD_Connection *connection, void **socket_context,
                         enum MHD_ConnectionNotificationCode code);
void *links_guard(void *server);

/* access.c: MHD's callbacks for a request; the first is called as soon as its first line is there. */
void *access_on_uri(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result access_on_request(void *server, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **con_cls);
void access_on_completed(void *server, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code);
