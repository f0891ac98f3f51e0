/* fault_vfs.c - see fault_vfs.h */
#include "store/fault_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct fault_vfs {
    sqlite3_vfs head;
    sqlite3_vfs *real;
    struct disk *disk;
};

struct fault_file {
    sqlite3_file head;
    struct disk_file *file; /* NULL: a temporary file without a name, left to the normal VFS */
    sqlite3_file *real;     /* stands behind this struct: locks, shared memory */
};

static struct fault_file *own(sqlite3_file *file)
{
    return (struct fault_file *)file;
}

static struct fault_vfs *vfs_of(sqlite3_vfs *vfs)
{
    return (struct fault_vfs *)vfs;
}

static int code(enum err_code rc, int otherwise)
{
    return rc == ERR_OK          ? SQLITE_OK
           : rc == ERR_DISK_FULL ? SQLITE_FULL
           : rc == ERR_NOMEM     ? SQLITE_NOMEM
                                 : otherwise;
}

/* ---- files ---- */

static int on_close(sqlite3_file *file)
{
    disk_close(own(file)->file);
    return own(file)->real->pMethods ? own(file)->real->pMethods->xClose(own(file)->real) : SQLITE_OK;
}

static int on_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
    size_t got = 0;
    struct err err;
    if (!own(file)->file)
        return own(file)->real->pMethods->xRead(own(file)->real, bytes, len, offset);
    if (disk_read(own(file)->file, offset, bytes, (size_t)len, &got, &err))
        return SQLITE_IOERR_READ;
    if (got == (size_t)len)
        return SQLITE_OK;
    memset((char *)bytes + got, 0, (size_t)len - got);
    return SQLITE_IOERR_SHORT_READ;
}

static int on_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    struct err err;
    if (!own(file)->file)
        return own(file)->real->pMethods->xWrite(own(file)->real, bytes, len, offset);
    return code(disk_write(own(file)->file, offset, bytes, (size_t)len, &err), SQLITE_IOERR_WRITE);
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct err err;
    if (!own(file)->file)
        return own(file)->real->pMethods->xTruncate(own(file)->real, size);
    return code(disk_truncate(own(file)->file, size, &err), SQLITE_IOERR_TRUNCATE);
}

static int on_sync(sqlite3_file *file, int flags)
{
    struct err err;
    if (!own(file)->file)
        return own(file)->real->pMethods->xSync(own(file)->real, flags);
    return code(disk_sync(own(file)->file, &err), SQLITE_IOERR_FSYNC);
}

static int on_size(sqlite3_file *file, sqlite3_int64 *out)
{
    int64_t size = 0;
    struct err err;
    if (!own(file)->file)
        return own(file)->real->pMethods->xFileSize(own(file)->real, out);
    const int rc = code(disk_size(own(file)->file, &size, &err), SQLITE_IOERR_FSTAT);
    *out = size;
    return rc;
}

static int on_lock(sqlite3_file *file, int level)
{
    return own(file)->real->pMethods->xLock(own(file)->real, level);
}

static int on_unlock(sqlite3_file *file, int level)
{
    return own(file)->real->pMethods->xUnlock(own(file)->real, level);
}

static int on_check_lock(sqlite3_file *file, int *out)
{
    return own(file)->real->pMethods->xCheckReservedLock(own(file)->real, out);
}

static int on_control(sqlite3_file *file, int op, void *arg)
{
    (void)file, (void)op, (void)arg;
    return SQLITE_NOTFOUND; /* no size hints, no chunks: every byte goes through on_write */
}

static int on_sector_size(sqlite3_file *file)
{
    (void)file;
    return 512;
}

static int on_device(sqlite3_file *file)
{
    (void)file;
    return 0; /* nothing is atomic or in order */
}

static int on_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
    return own(file)->real->pMethods->xShmMap(own(file)->real, region, size, extend, out);
}

static int on_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return own(file)->real->pMethods->xShmLock(own(file)->real, offset, n, flags);
}

static void on_shm_barrier(sqlite3_file *file)
{
    own(file)->real->pMethods->xShmBarrier(own(file)->real);
}

static int on_shm_unmap(sqlite3_file *file, int remove)
{
    return own(file)->real->pMethods->xShmUnmap(own(file)->real, remove);
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_device,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

/* ---- names ---- */

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct fault_vfs *fault = vfs_of(vfs);
    struct fault_file *one = own(file);
    struct err err;
    one->head.pMethods = NULL;
    one->file = NULL;
    one->real = (sqlite3_file *)(one + 1);
    if (name) {
        const int mode = (flags & SQLITE_OPEN_READWRITE ? DISK_WRITE : DISK_READ) |
                         (flags & SQLITE_OPEN_CREATE ? DISK_CREATE : 0);
        const enum err_code rc = disk_open(fault->disk, name, mode, &one->file, &err);
        if (rc)
            return code(rc, SQLITE_CANTOPEN);
    }
    const int rc = fault->real->xOpen(fault->real, name, one->real, flags, out_flags);
    if (rc) {
        disk_close(one->file);
        return rc;
    }
    one->head.pMethods = &METHODS;
    return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    struct err err;
    (void)sync_dir;
    const enum err_code rc = disk_unlink(vfs_of(vfs)->disk, name, &err);
    return rc == ERR_NOT_FOUND ? SQLITE_IOERR_DELETE_NOENT : code(rc, SQLITE_IOERR_DELETE);
}

static int on_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    return vfs_of(vfs)->real->xAccess(vfs_of(vfs)->real, name, flags, out);
}

static int on_full_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    return vfs_of(vfs)->real->xFullPathname(vfs_of(vfs)->real, name, size, out);
}

static int on_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    return vfs_of(vfs)->real->xRandomness(vfs_of(vfs)->real, len, out);
}

static int on_sleep(sqlite3_vfs *vfs, int us)
{
    return vfs_of(vfs)->real->xSleep(vfs_of(vfs)->real, us);
}

static int on_time(sqlite3_vfs *vfs, double *out)
{
    return vfs_of(vfs)->real->xCurrentTime(vfs_of(vfs)->real, out);
}

static int on_last_error(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs, (void)len, (void)out;
    return 0;
}

enum err_code fault_vfs_register(const char *name, struct disk *disk, struct err *err)
{
    struct fault_vfs *fault = calloc(1, sizeof *fault); /* SQLite holds it: not counted as ours */
    if (!fault)
        return err_nomem(err);
    fault->real = sqlite3_vfs_find(NULL);
    fault->disk = disk;
    fault->head = (sqlite3_vfs) { .iVersion = 1,
                                  .szOsFile = (int)sizeof(struct fault_file) + fault->real->szOsFile,
                                  .mxPathname = fault->real->mxPathname,
                                  .zName = name,
                                  .xOpen = on_open,
                                  .xDelete = on_delete,
                                  .xAccess = on_access,
                                  .xFullPathname = on_full_path,
                                  .xRandomness = on_randomness,
                                  .xSleep = on_sleep,
                                  .xCurrentTime = on_time,
                                  .xGetLastError = on_last_error };
    (void)sqlite3_vfs_register(&fault->head, 0);
    return ERR_OK;
}

void fault_vfs_unregister(const char *name)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(name);
    if (vfs) {
        (void)sqlite3_vfs_unregister(vfs);
        free(vfs);
    }
}
