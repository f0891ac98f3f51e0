/* agent.h - a probe node: fetches its checks from the server, runs them, sends the results.
 *
 * Results go into a log on the disk before they are sent, each with a sequence number, and leave it when the
 * server has acknowledged them; the log is limited in bytes, the oldest go first, and the gap in the numbers
 * tells the server.  While the server is away the checks of before go on (they are kept on the disk too).
 * Threads: agent_run() has one owner; agent_stop() from any, also from a signal handler's thread.
 * Layer: observe. */
#pragma once
#include "base/clock.h"

struct agent_config {
    const char *server;  /* "https://host[:port]" */
    const char *token;   /* one-time, for the first start; NULL when the node has its key */
    const char *dir;     /* its data */
    const char *ca_file; /* trusted certificates for the server and for checks; NULL = the system's */
    int64_t buffer_max;  /* bytes of the log; 0 = 256 MiB */
    const struct clock *clock;
    void (*ready)(void *ctx, int64_t node, int64_t checks); /* the first set of checks runs; may be NULL */
    void *ctx;
};

struct agent;

/* Opens the data directory (lock, key, log); registers when it has no key yet.
 * ERR_NO_LOGIN the token is not good; ERR_NET; ERR_BUSY another agent has the directory; ERR_IO,
 * ERR_CORRUPT, ERR_INVALID (no token and no key). */
MUST_CHECK enum err_code agent_open(const struct agent_config *config, struct agent **out, struct err *err);
/* Runs until agent_stop(). */
MUST_CHECK enum err_code agent_run(struct agent *agent, struct err *err);
void agent_stop(struct agent *agent);
void agent_close(struct agent *agent);
