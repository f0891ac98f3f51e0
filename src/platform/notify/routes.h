/* routes.h - the inbox, the delivery log and 'send a test' over HTTP.  ctx is a struct notify_routes.
 * Layer: platform/notify. */
#pragma once
#include "net/http.h"
#include "platform/notify/notify.h"

struct audit;
struct notify_routes {
    struct store *store;
    struct notify *notify;
    struct audit *audit; /* may be NULL in tests */
};
extern const struct route NOTIFY_ROUTES[];
