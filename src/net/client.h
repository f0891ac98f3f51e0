/* client.h - the HTTP client: one request, one answer, both bounded.
 *
 * One thread of its own drives all transfers by libcurl's multi interface; who asks waits for the answer, at
 * most as long as the request says.  Certificates are checked.  A redirect is followed only as often as the
 * request allows, never from https to http, never with a body that would be lost, and not from a public
 * address to a private one; passwords and headers stay with the first host.
 * Threads: any.  Layer: net. */
#pragma once
#include "base/buf.h"

struct client;

struct client_config {
    int calls;             /* at the same time; 0 = 32; more are ERR_BUSY */
    const char *ca_file;   /* PEM of further authorities; NULL: the system's only */
    const char *addresses; /* that count as private; NULL: loopback, link-local, site networks; for tests */
};
MUST_CHECK enum err_code client_new(const struct client_config *config, struct client **out, struct err *err);
/* Nobody may be asking any more.  Accepts NULL. */
void client_free(struct client *client);

struct client_header {
    const char *name, *value;
};
#define CLIENT_HEADERS_MAX 16

struct client_request {
    const char *method;                               /* "GET", "POST" ... */
    const char *url;                                  /* http or https */
    struct client_header headers[CLIENT_HEADERS_MAX]; /* the first without a name ends them */
    struct str body;
    const char *user, *password; /* basic; NULL: none */
    int timeout_ms;              /* of the whole; 0 = 20,000 */
    int redirects;               /* followed at most; 0 none: 3xx is then an answer */
    bool private_ok;             /* a redirect may lead to a private address */
    size_t answer_max;           /* what is longer is cut; 0 = 1 MiB */
};

struct client_answer {
    int status;
    struct buf body;  /* client_answer_done() */
    bool cut;         /* it was longer */
    int hops;         /* redirects that were followed */
    char reason[128]; /* why there is no answer, in English, as the library or the system say it */
};

/* ERR_OK        there is an answer, whatever its status.
 * ERR_BUSY      too many calls at the same time.
 * ERR_TIMEOUT   not in time.       ERR_NET  not reached: name, connection, certificate.
 * ERR_INVALID   the address is none, or the redirects are not to be followed.      ERR_NOMEM.
 * *out is filled in every case. */
MUST_CHECK enum err_code client_ask(struct client *client, const struct client_request *request,
                                    struct client_answer *out, struct err *err);
void client_answer_done(struct client_answer *answer);
