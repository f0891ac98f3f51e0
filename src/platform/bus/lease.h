/* lease.h - who does what in a cluster: a named right for a time, taken over when its holder is dead.
 *
 * On PostgreSQL the time is the database's, so that nodes with wrong clocks agree.
 * Threads: any.  Layer: platform/bus. */
#pragma once
#include "base/ids.h"
#include "store/store.h"

struct disk;

/* Takes the lease, or makes it last longer when `owner` holds it: *out_mine tells.  `owner` is unique to the
 * process (lease_owner_make). */
MUST_CHECK enum err_code lease_take(struct store *store, struct str name, struct str owner, int64_t ms,
                                    bool *out_mine, struct err *err);
/* Gives it back at once; ERR_OK when it was not held. */
MUST_CHECK enum err_code lease_give(struct store *store, struct str name, struct str owner, struct err *err);

#define LEASE_HOME_SIZE 17
/* The name of a data directory in leases, 16 hex digits: made at its first use, kept in DIR/node.  It is
 * bound to the machine and to the folder itself, so that a copy of the directory, here or elsewhere, gets
 * another one.  The caller holds the directory's lock: a home has one process.  ERR_IO, ERR_DISK_FULL. */
MUST_CHECK enum err_code lease_home(struct disk *disk, const char *dir, char out[LEASE_HOME_SIZE],
                                    struct err *err);

#define LEASE_OWNER_SIZE 48
/* A name that no other process has: home, process, and random digits.  A process that follows one which was
 * killed knows the leases of its home by the first part and takes them back at once; the rest tells the two
 * apart, so that nothing the dead one still had under way is taken for the new one's. */
MUST_CHECK enum err_code lease_owner_make(struct str home, char out[LEASE_OWNER_SIZE], struct err *err);
#define LEASE_PATTERN_SIZE (LEASE_OWNER_SIZE + 32)
/* For LIKE: the names of all processes of this owner's home.  An owner without a home is only itself. */
void lease_pattern(struct str owner, char out[LEASE_PATTERN_SIZE]);

/* The time by which leases are judged: the database's on PostgreSQL with the machine's clock, else the
 * store's clock. */
MUST_CHECK enum err_code lease_now(struct tx *tx, int64_t *out_ms, struct err *err);

/* ---- the number of this node, the middle of every id ---- */

#define NODE_LEASE_MS 60000
#define NODE_RENEW_MS 15000

struct node;

/* Leases the number that a dead process of this home had (its other leases of names are given back), else the
 * least free one from 0 to IDS_NODE_MAX, and keeps it by a thread of its own.  When it could not
 * be kept (the database was away for longer than the lease), the next renewal takes it again if nobody has
 * taken it meanwhile; else `lost` is called once, on that thread: the process must then end, for its ids may
 * clash.  ERR_BUSY "bus.no_node" none is free.  Caller frees. */
MUST_CHECK enum err_code node_start(struct store *store, struct str home, void (*lost)(void *arg), void *arg,
                                    struct node **out_node, struct err *err);
int node_number(const struct node *node);
/* The process's name in leases. */
struct str node_owner(const struct node *node);
/* Gives the number back.  Accepts NULL. */
void node_stop(struct node *node);
