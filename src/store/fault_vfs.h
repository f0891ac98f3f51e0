/* fault_vfs.h - an SQLite VFS for tests whose files are written through a faulty disk (base/disk.h): power
 * cuts, torn sectors, EIO and ENOSPC at the nth call.  Locks and shared memory are those of the normal VFS.
 * Threads: register and unregister while no store is open on it.  Layer: store. */
#pragma once
#include "base/disk.h"

/* Registers a VFS under `name` (static storage), to be given as store_config.vfs.  ERR_NOMEM. */
MUST_CHECK enum err_code fault_vfs_register(const char *name, struct disk *disk, struct err *err);
void fault_vfs_unregister(const char *name);
