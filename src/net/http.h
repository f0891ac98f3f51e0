/* http.h - the HTTP server: routes as tables, requests and replies, live events, static files.
 *
 * HTTP threads parse, match and send; a handler runs on a bounded pool of workers while its connection is
 * suspended, so it may wait for the store.  Pool and queue full: 503 with Retry-After at once.  A failed
 * handler becomes problem+json (RFC 9457) in one place, in the user's language, and is logged once, there.
 * Every size is bounded (struct http_limits).  net knows nothing of users: whoever wires the program hands
 * in functions that tell who somebody is (struct http_hooks).
 * Threads: http_event_publish() from any; routes are added before http_start(); a handler owns its request
 * and reply.  Layer: net. */
#pragma once
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/words.h"

#include <jansson.h>

struct http_server;
struct request;
struct reply;

/* ---- routes ------------------------------------------------------------------------------------ */

/* Answers a request: fills `reply`, or returns a code and fills `err` (then `reply` is ignored). */
typedef enum err_code (*route_fn)(struct request *req, struct reply *reply, struct err *err);

enum route_flags {
    ROUTE_UPLOAD = 1,  /* the body goes to a temporary file (request_body_file, request_part), up to
                          http_limits.upload_max; who it is and the permission are checked before it is read */
    ROUTE_NO_CSRF = 2, /* a change by cookie without X-CSRF-Token (login) */
    ROUTE_INLINE = 4,  /* runs on the HTTP thread: must not wait for anything (health) */
    ROUTE_LARGE = 8,   /* JSON body up to http_limits.large_max */
    ROUTE_LONG = 16,   /* deadline http_limits.long_ms (reports, long polls) */
    ROUTE_EARLY = 32,  /* also for somebody who must first change the password or enrol a second factor */
};

struct route {
    const char *method; /* "GET" (answers HEAD too), "POST", "PATCH", "PUT", "DELETE" */
    const char *path;   /* "/api/v1/core/orgs/{id}": {name} takes one non-empty segment; a fixed segment wins
                           over {name}, so "core/orgs/tree" may stand beside it */
    const char *permission; /* "" public, "*" any user; else like "core.orgs.read"; {name} is put in:
                               "{pack}.{type}.read".  It is checked before the handler runs */
    route_fn fn;
    unsigned flags; /* enum route_flags */
};

/* Adds a table that ends with an all-zero row; handlers read `ctx` as req->ctx.  The table must outlive
 * the server.  ERR_CONFLICT when method and path are there already (a bug of ours); ERR_LIMIT; ERR_NOMEM. */
MUST_CHECK enum err_code http_add_routes(struct http_server *server, const struct route *routes, void *ctx,
                                         struct err *err);

/* ---- request ----------------------------------------------------------------------------------- */

struct request {
    struct http_server *server;
    void *ctx;                 /* of http_add_routes() */
    struct arena *arena;       /* dies with the request, after the reply is sent */
    enum lang lang;            /* of the user, else of Accept-Language */
    const void *who;           /* struct principal of platform/identity; NULL when nobody is logged in */
    struct str method, path;   /* path without the query, decoded */
    struct str id;             /* request id: X-Request-Id of the client if it is sane, else made here */
    struct str remote;         /* address of the client (of X-Forwarded-For behind a trusted proxy) */
    bool by_cookie;            /* logged in by session cookie, not by key */
    bool secure;               /* came by TLS, here or at a trusted proxy */
    int64_t deadline_ms;       /* clock_mono() instant after which nobody waits for the answer */
    struct findings *findings; /* what request_finding() collected; NULL while empty */
};

/* {name} of the path; empty when the route has none of that name. */
struct str request_path(const struct request *req, const char *name);
/* {name} of the path as an id: ERR_NOT_FOUND when it is not one. */
MUST_CHECK enum err_code request_path_id(const struct request *req, const char *name, int64_t *out_id,
                                         struct err *err);
/* The first value of a query parameter; ptr NULL when absent. */
struct str request_query(const struct request *req, const char *name);
/* As a number within [least, most]: `otherwise` when absent, ERR_INVALID with pointer "/?name" else. */
MUST_CHECK enum err_code request_query_i64(const struct request *req, const char *name, int64_t least,
                                           int64_t most, int64_t otherwise, int64_t *out, struct err *err);
/* As an instant, RFC 3339 with offset: `otherwise` when absent or empty, ERR_INVALID with pointer else. */
MUST_CHECK enum err_code request_query_instant(const struct request *req, const char *name, int64_t otherwise,
                                               int64_t *out, struct err *err);
/* Calls `each` for all query parameters in order, also those without value (text then is empty). */
void request_query_each(const struct request *req, void (*each)(void *arg, struct str name, struct str text),
                        void *arg);
/* A header's first value, or ptr NULL. */
struct str request_header(const struct request *req, const char *name);
struct str request_cookie(const struct request *req, const char *name);

/* The body's bytes (not for ROUTE_UPLOAD). */
struct str request_body(const struct request *req);
/* The body as JSON; borrowed, dies with the request.  ERR_INVALID with line and column: malformed, a
 * duplicate key, not UTF-8, deeper than 64, a content type other than JSON, no body. */
MUST_CHECK enum err_code request_json(struct request *req, json_t **out_json, struct err *err);

/* What a body may hold: reads a flat object against a table, so that handlers check nothing by hand.
 * Unknown field, wrong type, too long, missing: all are collected (request_finding) and the whole fails with
 * ERR_INVALID and one entry of errors[] each. */
enum field_kind { FIELD_TEXT, FIELD_I64, FIELD_BOOL, FIELD_ID, FIELD_JSON };
struct field {
    const char *name; /* NULL ends the table */
    enum field_kind kind;
    bool needed;
    int64_t least,
        most;      /* FIELD_I64: range; FIELD_TEXT: code points; both 0: 0 to 1,000 for text, any number */
    size_t offset; /* into the struct: struct str / int64_t / bool / int64_t (id is a string in JSON) /
                      json_t * (borrowed); untouched when absent or null */
    size_t given;  /* offset + 1 of a bool that tells whether the field was in the body; 0 = none */
};
MUST_CHECK enum err_code request_fields(struct request *req, const struct field *fields, void *out,
                                        struct err *err);
/* The same for an object that is already there; `pointer` is where it stands ("" = whole body). */
MUST_CHECK enum err_code request_fields_of(struct request *req, json_t *object, const char *pointer,
                                           const struct field *fields, void *out, struct err *err);

/* Adds one finding (with err->at.pointer) for problem+json's errors[]; the handler then fails with
 * request_findings_end(): ERR_OK when there are none, else ERR_INVALID "http.findings". */
void request_finding(struct request *req, const struct err *one);
MUST_CHECK enum err_code request_findings_end(struct request *req, struct err *err);

/* If-Match: ERR_PRECONDITION without it (428); *out_version is the number in "N"; "*" gives -1. */
MUST_CHECK enum err_code request_if_match(const struct request *req, int64_t *out_version, struct err *err);
/* Fails with ERR_STALE (412) whose errors[] carry both versions when they differ; -1 matches any. */
MUST_CHECK enum err_code request_check_version(struct request *req, int64_t given, int64_t current,
                                               struct err *err);

/* ROUTE_UPLOAD: the file that holds the body, or one part of multipart/form-data.  The descriptor is
 * borrowed, at offset 0; the file has no name and vanishes with the request (copy, or link it by
 * /proc/self/fd within the same file system).  ERR_INVALID when there is no such part. */
struct upload {
    int fd;
    int64_t size;
    struct str name;         /* of the part; empty for a plain body */
    struct str file_name;    /* as the client says, directories cut off; may be empty */
    struct str content_type; /* as the client says */
};
MUST_CHECK enum err_code request_upload(const struct request *req, const char *part, struct upload *out,
                                        struct err *err);
/* The number of parts, and the i-th. */
int request_upload_count(const struct request *req);
const struct upload *request_upload_at(const struct request *req, int i);

/* ---- reply ------------------------------------------------------------------------------------- */

#define REPLY_HEADERS_MAX 16

struct reply_header {
    const char *name; /* static storage */
    struct str value; /* of the request's arena or static */
};
struct reply {
    struct arena *arena;      /* the request's */
    int status;               /* 200 at first; reply_x() leave it alone */
    struct str body;          /* lives in the arena, or static */
    const char *content_type; /* static storage or the arena */
    int fd;                   /* -1, or a file to send, owned by the reply */
    int64_t fd_size;
    struct reply_header headers[REPLY_HEADERS_MAX];
    int header_count;
};

/* Steals `json` (also on failure). */
MUST_CHECK enum err_code reply_json(struct reply *reply, json_t *json, struct err *err);
/* `json` is text already; both copy it into the arena. */
void reply_json_text(struct reply *reply, struct str json);
void reply_text(struct reply *reply, struct str text);
/* `bytes` must live in the arena or be static; `content_type` too. */
void reply_bytes(struct reply *reply, const char *content_type, struct str bytes);
/* 204. */
void reply_empty(struct reply *reply);
/* Sends `size` bytes of a file from offset 0; the descriptor is the reply's from now on. */
void reply_fd(struct reply *reply, const char *content_type, int fd, int64_t size);
/* A temporary file without a name, for replies too large for the arena: write it, then reply_fd(). */
MUST_CHECK enum err_code http_spool(struct http_server *server, int *out_fd, struct err *err);
/* ERR_LIMIT past REPLY_HEADERS_MAX is a bug of ours: asserted. */
void reply_header(struct reply *reply, const char *name, struct str value);
/* ETag: "version". */
void reply_version(struct reply *reply, int64_t version);
/* 201 with Location. */
void reply_created(struct reply *reply, struct str location);
/* Content-Disposition: attachment with an UTF-8 file name. */
void reply_download(struct reply *reply, struct str file_name);

/* ---- live events ------------------------------------------------------------------------------- */

/* Sends one event to every page that listens to `topic` (GET /api/v1/core/events?topics=a,b).  Events may be
 * lost (a page that falls behind gets `event: lost` and loads anew), never delayed: it does not block.
 * `sees` may be NULL (all who may the topic), else it is asked for each listener's `who`. */
void http_event_publish(struct http_server *server, const char *topic, struct str json,
                        bool (*sees)(void *arg, const void *who), void *arg);

/* ---- the server -------------------------------------------------------------------------------- */

struct http_limits {
    size_t header_max;    /* bytes of request line and headers; default 32 KiB */
    size_t body_max;      /* JSON body; default 1 MiB */
    size_t large_max;     /* ROUTE_LARGE; default 16 MiB */
    int64_t upload_max;   /* ROUTE_UPLOAD; default 100 MiB */
    size_t arena_max;     /* memory of one request; default 64 MiB */
    int deadline_ms;      /* default 15,000 */
    int long_ms;          /* ROUTE_LONG; default 60,000 */
    int header_ms;        /* request line and headers must be there; default 20,000 */
    int body_rate;        /* bytes/s that a body or a reader must keep up after 30 s; default 8,192 */
    int idle_ms;          /* keep-alive; default 60,000 */
    int connections;      /* default 4,096 */
    int connections_each; /* from one address; 0 = no limit */
    int listeners;        /* live event connections; default 2,000 */
    int io_threads;       /* default 2 */
    int workers;          /* default 64: writes that wait together share one sync */
    int queue;            /* waiting requests; default 512 */
};
extern const struct http_limits HTTP_LIMITS;

/* An answer that is kept, to be given again as it was. */
struct http_answer {
    int status;
    struct str headers; /* lines "Name: value\n": Content-Type, Location, ETag ...; never a cookie */
    struct str body;
};

/* What net asks of those above.  All may be called from several workers at once. */
struct http_hooks {
    void *ctx;
    /* Who sends this request (cookie, Authorization)?  Sets *out_who (held until who_release), req->lang and
     * req->by_cookie.  ERR_OK with NULL: nobody.  ERR_NO_LOGIN: a session or key that is not (or no longer)
     * valid. */
    enum err_code (*who)(void *ctx, struct request *req, const void **out_who, struct err *err);
    void (*who_release)(void *ctx, const void *who);
    /* May they?  False answers 403. */
    bool (*may)(void *ctx, const void *who, struct str permission);
    /* Is the token of X-CSRF-Token theirs?  Asked for changes by cookie. */
    bool (*csrf)(void *ctx, const void *who, struct str token);
    /* What stands before anything else (a password to change): ERR_OK or an error for 403. */
    enum err_code (*early)(void *ctx, const void *who, struct err *err);
    /* Is a listener's session still good?  Asked every second: must not wait for anything. */
    bool (*alive)(void *ctx, const void *who);
    /* Idempotency-Key on POST.  begin: `digest` is of method, path, query and body (files too).  *out_found
     * true: the stored answer is in *out, in the request's arena.  Another digest under the key: ERR_INVALID
     * (422); running now: ERR_CONFLICT.  end: keeps the answer of what succeeded, or forgets the key when its
     * status is 0. */
    enum err_code (*idem_begin)(void *ctx, const struct request *req, struct str key, struct str digest,
                                bool *out_found, struct http_answer *out, struct err *err);
    void (*idem_end)(void *ctx, const struct request *req, struct str key, const struct http_answer *answer);
    void *health_ctx; /* of the two below */
    /* Further lines for /metrics (Prometheus text); may be NULL. */
    void (*metrics)(void *ctx, struct buf *out);
    /* What is not ready, or ERR_OK: for /readyz; may be NULL. */
    enum err_code (*ready)(void *ctx, struct err *err);
};

struct http_config {
    const char *host;          /* "127.0.0.1"; "::" for all */
    int port;                  /* 0 takes a free one */
    const char *web_dir;       /* built pages; NULL or absent: a page that says so */
    const char *temp_dir;      /* for uploads and spools; NULL: /tmp */
    const char *tls_cert_file; /* PEM chain and key; both or none */
    const char *tls_key_file;
    const char *proxies; /* addresses whose X-Forwarded-* are believed: "127.0.0.1,10.0.0.0/8"; may be NULL */
    const char *metrics_from;  /* addresses that may read /metrics; NULL: loopback only */
    const char *metrics_token; /* or with Authorization: Bearer; NULL: none */
    const struct words *words;
    const struct clock *clock;
    struct http_limits limits; /* a 0 takes the default */
    struct http_hooks hooks;
};

/* Makes a server that listens not yet; texts of the config must outlive it. */
MUST_CHECK enum err_code http_new(const struct http_config *config, struct http_server **out_server,
                                  struct err *err);
/* Before http_start(), for hooks that come to be after the server was made. */
void http_set_hooks(struct http_server *server, const struct http_hooks *hooks);
/* Listens.  ERR_NET when the port is taken; ERR_IO when a TLS file or the pages cannot be read. */
MUST_CHECK enum err_code http_start(struct http_server *server, struct err *err);
int http_port(const struct http_server *server);
/* "http://127.0.0.1:8080" */
const char *http_address(const struct http_server *server);
/* Ready to answer /readyz with 200 (everything is started). */
void http_ready(struct http_server *server, bool ready);
/* Stops listening, ends live events, answers what runs, at most `wait_ms`; then closes. */
void http_drain(struct http_server *server, int wait_ms);
/* Takes of `config` what may change while running (proxies, metrics_from, metrics_token, body_max,
 * upload_max, deadline_ms; all copied), and reads the TLS files anew, also from another path; connections
 * that stand keep the pair they have.  Whether there is TLS at all does not change.  On failure everything
 * stays as it was. */
MUST_CHECK enum err_code http_reload(struct http_server *server, const struct http_config *config,
                                     struct err *err);
/* Drains first when that was not done.  Accepts NULL. */
void http_free(struct http_server *server);

/* The route table as lines "METHOD PATH PERMISSION", sorted: the source of docs/api.md. */
void http_routes_text(const struct http_server *server, struct buf *out);
/* Calls `each` for every route, in that order: for OpenAPI. */
void http_routes_each(const struct http_server *server, void (*each)(void *arg, const struct route *route),
                      void *arg);
