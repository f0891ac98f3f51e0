/* bus.h - news inside the process: who publishes knows none of those who listen.
 *
 * In memory, for what may be lost (live screens, caches that load anew); what may not goes through outbox.h,
 * what every node must hear through broadcast.h.
 * A subscriber is called on the publisher's thread and must be quick: it notes the news and returns.
 * Topics are dotted words, "record.created"; a pattern is a topic, a prefix with ".*", or "*".
 * Threads: any; a subscriber may publish, but not subscribe or unsubscribe.  Layer: platform/bus. */
#pragma once
#include "store/store.h"

#include <jansson.h>

#define BUS_TOPIC_MAX 64

struct bus;
struct bus_event {
    struct str topic;
    int64_t subject_id; /* what it is about: a record, a case; 0 none */
    struct str json;    /* an object, or empty */
};
typedef void (*bus_fn)(void *arg, const struct bus_event *event);

/* NULL: no memory.  Caller frees. */
struct bus *bus_new(void) MUST_CHECK;
void bus_free(struct bus *bus);

/* ERR_NOMEM; ERR_LIMIT pattern too long.  *out_handle (may be NULL) is for bus_unsubscribe(). */
MUST_CHECK enum err_code bus_subscribe(struct bus *bus, const char *pattern, bus_fn fn, void *arg,
                                       int64_t *out_handle, struct err *err);
/* When it returns, fn is not running and will not be called again. */
void bus_unsubscribe(struct bus *bus, int64_t handle);

/* Calls every subscriber whose pattern matches, in the order of subscription. */
void bus_publish(struct bus *bus, const struct bus_event *event);

/* Publishes after the commit of `tx`, never when it fails.  The texts are copied. */
MUST_CHECK enum err_code bus_publish_after(struct bus *bus, struct tx *tx, const struct bus_event *event,
                                           struct err *err);

bool bus_matches(struct str pattern, struct str topic);
