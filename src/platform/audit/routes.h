/* routes.h - GET /api/v1/core/audit: the lines, newest first, for those who may read them.
 * Layer: platform/audit. */
#pragma once
#include "net/http.h"
#include "platform/audit/audit.h"

struct audit_routes { /* the context of the table */
    struct store *store;
};

/* Query: user, action, object_type, object_id, from, to (RFC 3339), limit (200 at most), after. */
extern const struct route AUDIT_ROUTES[];
