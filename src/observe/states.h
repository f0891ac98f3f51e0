/* states.h - how every check stands at every node, kept across a restart: causes and texts are no samples.
 *
 * DIR/checks.json, written whole when a check has come up or gone down or fails for another cause since, and
 * at the end.  A process that was killed begins with what stood there at most half a minute before; a newer
 * result always wins, and one that says the same is no news.
 * Threads: any; saving by one at a time.  Layer: observe. */
#pragma once
#include "observe/probe/checks.h"

struct disk;

#define STATES_BYTES_MAX ((size_t)256 << 20)

/* ERR_DISK_FULL, ERR_IO, ERR_NOMEM, ERR_LIMIT: the old file stays. */
MUST_CHECK enum err_code states_save(struct disk *disk, const char *path, struct checks *checks,
                                     struct err *err);
/* After the checks are known.  No file is ERR_OK; a damaged one ERR_CORRUPT, and nothing is restored. */
MUST_CHECK enum err_code states_load(const char *path, struct checks *checks, struct err *err);
