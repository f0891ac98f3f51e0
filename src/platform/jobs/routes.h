/* routes.h - jobs, schedules and dead letters over HTTP.  Every change is audited in its own transaction.
 * Layer: platform/jobs. */
#pragma once
#include "net/http.h"
#include "platform/audit/audit.h"
#include "platform/bus/outbox.h"
#include "platform/jobs/jobs.h"

struct jobs_routes { /* the context of the table */
    struct store *store;
    struct jobs *jobs;
    struct outbox *outbox;
    struct audit *audit;
    const struct words *words;
};

extern const struct route JOBS_ROUTES[];
