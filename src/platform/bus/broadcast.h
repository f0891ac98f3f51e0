/* broadcast.h - news for every node: settings changed, a session ended, a live screen to draw anew.
 *
 * Added in the caller's transaction; after the commit it is published on the bus of this node at once and on
 * those of all others within a second (they follow a table).  A node that was away for long hears nothing of
 * what it missed: it begins at the present, and its caches load when they start.
 * Threads: any.  Layer: platform/bus. */
#pragma once
#include "base/ids.h"
#include "platform/bus/bus.h"

struct broadcast;

/* Follows the table by a thread of its own where others can write to it (PostgreSQL); on SQLite nothing is
 * stored.  Caller frees. */
MUST_CHECK enum err_code broadcast_start(struct store *store, struct ids *ids, struct bus *bus,
                                         struct broadcast **out_broadcast, struct err *err);
void broadcast_stop(struct broadcast *broadcast);

MUST_CHECK enum err_code broadcast_add(struct broadcast *broadcast, struct tx *tx,
                                       const struct bus_event *event, struct err *err);
