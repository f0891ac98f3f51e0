/* disk.h - our write layer: files that are written through here can be tested against power cuts.
 *
 * Invariants: what was written and then synced is there after a power cut; a write is whole or an error.
 * `disk` is NULL for the machine's disk, or a faulty one for tests: it keeps in memory what was not synced
 * and takes it back at the 'power cut', tears the last sector, fails the nth call, or is full.
 * Threads: a disk from any; a file by one thread at a time, but disk_sync() and disk_read() beside a write
 * are safe.  Layer: base. */
#pragma once
#include "base/err.h"

#include <sys/types.h>

struct disk;
struct disk_file;

enum { DISK_READ = 0, DISK_WRITE = 1, DISK_CREATE = 2, DISK_EXCLUSIVE = 4, DISK_TRUNCATE = 8 };

/* Opens for reading, and for writing with DISK_WRITE; new files get `mode` 0600.
 * ERR_NOT_FOUND, ERR_CONFLICT (exclusive and there), ERR_DISK_FULL, ERR_IO, ERR_NOMEM.  Caller closes. */
MUST_CHECK enum err_code disk_open(struct disk *disk, const char *path, int flags,
                                   struct disk_file **out_file, struct err *err);
/* Accepts NULL.  Does not sync. */
void disk_close(struct disk_file *file);

/* All of it at `offset`, or an error (then any part of it may be there): ERR_DISK_FULL, ERR_IO. */
MUST_CHECK enum err_code disk_write(struct disk_file *file, int64_t offset, const void *bytes, size_t len,
                                    struct err *err);
/* Up to `len` bytes; *out_len is less only at the end of the file. */
MUST_CHECK enum err_code disk_read(struct disk_file *file, int64_t offset, void *bytes, size_t len,
                                   size_t *out_len, struct err *err);
/* fdatasync: what was written, and a new file's name, survive a power cut.  After a failure the caller must
 * not assume that a second try brings the lost pages back: it writes them again elsewhere or stops. */
MUST_CHECK enum err_code disk_sync(struct disk_file *file, struct err *err);
MUST_CHECK enum err_code disk_truncate(struct disk_file *file, int64_t size, struct err *err);
MUST_CHECK enum err_code disk_size(struct disk_file *file, int64_t *out_size, struct err *err);
/* The descriptor, for mmap of files that no longer change, and for locks. */
int disk_fd(const struct disk_file *file);

/* Renames over `to`; durable after disk_sync_dir() of its folder. */
MUST_CHECK enum err_code disk_rename(struct disk *disk, const char *from, const char *to, struct err *err);
/* ERR_NOT_FOUND when it is not there. */
MUST_CHECK enum err_code disk_unlink(struct disk *disk, const char *path, struct err *err);
MUST_CHECK enum err_code disk_sync_dir(struct disk *disk, const char *folder, struct err *err);
/* Makes one folder (0700); ERR_OK when it is there already. */
MUST_CHECK enum err_code disk_mkdir(struct disk *disk, const char *folder, struct err *err);

/* Writes a whole small file: a temporary beside it, sync, rename, sync of the folder. */
MUST_CHECK enum err_code disk_replace(struct disk *disk, const char *path, const void *bytes, size_t len,
                                      struct err *err);

/* ---- tests: a disk with faults ---- */

/* All its memory is its own (not counted by mem_live).  `seed` decides what a cut leaves. */
struct disk *disk_faulty_new(uint64_t seed) MUST_CHECK;
/* All its files must be closed. */
void disk_faulty_free(struct disk *disk);
/* The nth changing call (0 = the next; write, sync, truncate, create, rename, unlink) fails with `errnum`
 * (EIO, ENOSPC); -1 = none. */
void disk_fail_at(struct disk *disk, long nth, int errnum);
/* From now on nothing can grow (ENOSPC after a part was written), until it is called with false. */
void disk_full_set(struct disk *disk, bool full);
/* The power goes at the nth changing call: that call and all later ones fail with EIO. */
void disk_cut_at(struct disk *disk, long nth);
void disk_cut_now(struct disk *disk);
bool disk_is_cut(struct disk *disk);
/* Calls that changed something so far: how far nth can usefully go. */
long disk_changes(struct disk *disk);
/* After the cut, with all files closed: makes the real files what a disk would hold.  Every unsynced write
 * is taken back, then by chance the first few of them are put there again, the last of those torn within a
 * sector.  The disk is then whole again and empty of memory. */
void disk_settle(struct disk *disk);
/* The power goes now and takes the process along: what disk_settle() leaves, and then _exit(`status`) before
 * any other thread can write again. */
_Noreturn void disk_die(struct disk *disk, int status);
