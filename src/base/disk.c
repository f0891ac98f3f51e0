/* disk.c - see disk.h.
 *
 * The faulty disk writes through to the real file and keeps a journal of every change since the last sync:
 * place, old bytes, new bytes, old size.  disk_settle() walks it backwards (undo), then forwards for a
 * random part (redo).  Journals hang on the path, not on the open file, so that they outlive a close. */
#include "base/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512

struct change { /* one unsynced write or truncation */
    int64_t offset, old_size;
    size_t old_len, new_len;
    unsigned char *old_bytes, *new_bytes; /* new_bytes NULL: a truncation to `offset` */
};

struct image { /* what a path holds beyond its synced content */
    char *path;
    bool created;  /* its name is not durable yet */
    bool replaced; /* came here by a rename that is not durable yet */
    char *from;    /* then: its old name */
    char *saved;   /* then: where the file lies that it replaced, or NULL */
    struct change *changes;
    size_t count, size;
    struct image *next;
};

struct disk {
    pthread_mutex_t lock;
    uint64_t seed;
    long changes, fail_at, cut_at;
    int fail_errno;
    bool full, cut;
    struct image *images;
};

struct disk_file {
    struct disk *disk;
    struct image *image; /* borrowed from the disk; NULL on the real one */
    int fd;
};

static enum err_code io_error(struct err *err, const char *id, const char *path, int errnum)
{
    const enum err_code code = errnum == ENOSPC || errnum == EDQUOT ? ERR_DISK_FULL
                               : errnum == ENOENT                   ? ERR_NOT_FOUND
                               : errnum == EEXIST                   ? ERR_CONFLICT
                                                                    : ERR_IO;
    return err_set(err, code, id, ARG_TEXT("path", path), ARG_ERRNO(errnum), ARG_END);
}

/* ---- the journal of the faulty disk ---- */

static void *must(void *block)
{
    assert(block); /* tests only */
    return block;
}

static uint64_t chance(struct disk *disk)
{
    disk->seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = disk->seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static struct image *image_of(struct disk *disk, const char *path, bool make)
{
    for (struct image *image = disk->images; image; image = image->next)
        if (strcmp(image->path, path) == 0)
            return image;
    if (!make)
        return NULL;
    struct image *image = must(calloc(1, sizeof *image));
    image->path = must(strdup(path));
    image->next = disk->images;
    disk->images = image;
    return image;
}

static void image_forget(struct image *image)
{
    for (size_t i = 0; i < image->count; i++) {
        free(image->changes[i].old_bytes);
        free(image->changes[i].new_bytes);
    }
    image->count = 0;
}

/* Called with the lock held before a change.  0, or the errno it must fail with. */
static int before_change(struct disk *disk)
{
    if (disk->cut)
        return EIO;
    const long n = disk->changes++;
    if (disk->cut_at >= 0 && n >= disk->cut_at) {
        disk->cut = true;
        return EIO;
    }
    if (disk->fail_at >= 0 && disk->fail_at-- == 0)
        return disk->fail_errno;
    return 0;
}

static void remember(struct disk_file *file, int64_t offset, const void *bytes, size_t len)
{
    struct image *image = file->image;
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        st.st_size = 0;
    if (image->count == image->size) {
        image->size = image->size ? image->size * 2 : 16;
        image->changes = must(realloc(image->changes, image->size * sizeof *image->changes));
    }
    struct change *change = &image->changes[image->count++];
    *change = (struct change) { .offset = offset, .old_size = st.st_size, .new_len = len };
    const int64_t end = bytes ? offset + (int64_t)len : st.st_size;
    const int64_t old_end = end < st.st_size ? end : st.st_size;
    if (old_end > offset) {
        change->old_len = (size_t)(old_end - offset);
        change->old_bytes = must(malloc(change->old_len));
        const ssize_t got = pread(file->fd, change->old_bytes, change->old_len, offset);
        assert(got == (ssize_t)change->old_len);
    }
    if (bytes) {
        change->new_bytes = must(malloc(len + 1));
        memcpy(change->new_bytes, bytes, len);
    }
}

static void raw_write(int fd, const void *bytes, size_t len, int64_t offset)
{
    const char *at = bytes;
    while (len) {
        const ssize_t n = pwrite(fd, at, len, offset);
        assert(n > 0);
        at += n, offset += n, len -= (size_t)n;
    }
}

static void settle_content(struct disk *disk, struct image *image)
{
    const int fd = open(image->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    for (size_t i = image->count; i-- > 0;) { /* undo, newest first */
        const struct change *change = &image->changes[i];
        if (change->old_len)
            raw_write(fd, change->old_bytes, change->old_len, change->offset);
        const int rc = ftruncate(fd, change->old_size);
        assert(rc == 0);
    }
    /* Redo the first `keep` of them; the last is torn.  A quarter of the cuts leaves nothing. */
    const size_t keep = image->count && chance(disk) % 4 ? chance(disk) % (image->count + 1) : 0;
    for (size_t i = 0; i < keep; i++) {
        const struct change *change = &image->changes[i];
        if (!change->new_bytes) {
            const int rc = ftruncate(fd, change->offset);
            assert(rc == 0);
            continue;
        }
        size_t len = change->new_len;
        if (i + 1 == keep && len)
            len = chance(disk) % len;
        raw_write(fd, change->new_bytes, len, change->offset);
        if (i + 1 == keep && len < change->new_len && chance(disk) % 2) { /* rubbish up to the sector's end */
            unsigned char rubbish[SECTOR];
            size_t rest = SECTOR - (size_t)((change->offset + (int64_t)len) % SECTOR);
            if (rest > change->new_len - len)
                rest = change->new_len - len;
            for (size_t j = 0; j < rest; j++)
                rubbish[j] = (unsigned char)chance(disk);
            raw_write(fd, rubbish, rest, change->offset + (int64_t)len);
        }
    }
    (void)close(fd);
}

/* With the lock held. */
static void settle(struct disk *disk)
{
    for (struct image *image = disk->images; image; image = image->next) {
        settle_content(disk, image);
        if (image->created && chance(disk) % 2)
            (void)unlink(image->path);
    }
    for (struct image *image = disk->images; image; image = image->next) {
        if (image->replaced && chance(disk) % 2) {
            (void)rename(image->path, image->from);
            if (image->saved)
                (void)rename(image->saved, image->path);
        } else if (image->saved) {
            (void)unlink(image->saved);
        }
    }
    while (disk->images) {
        struct image *image = disk->images;
        disk->images = image->next;
        image_forget(image);
        free(image->changes);
        free(image->path);
        free(image->from);
        free(image->saved);
        free(image);
    }
}

void disk_settle(struct disk *disk)
{
    (void)pthread_mutex_lock(&disk->lock);
    settle(disk);
    disk->cut = disk->full = false;
    disk->cut_at = disk->fail_at = -1;
    (void)pthread_mutex_unlock(&disk->lock);
}

void disk_die(struct disk *disk, int status)
{
    (void)pthread_mutex_lock(&disk->lock);
    settle(disk);
    _exit(status);
}

/* ---- files ---- */

enum err_code disk_open(struct disk *disk, const char *path, int flags, struct disk_file **out_file,
                        struct err *err)
{
    struct disk_file *file = mem_alloc(1, sizeof *file);
    if (!file)
        return err_nomem(err);
    file->disk = disk;
    const int mode = (flags & DISK_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC;
    const int make = (flags & DISK_CREATE ? O_CREAT : 0) | (flags & DISK_EXCLUSIVE ? O_EXCL | O_CREAT : 0);
    int failed = 0;
    if (disk) {
        (void)pthread_mutex_lock(&disk->lock);
        if (disk->cut)
            failed = EIO;
        const bool is_new = make && access(path, F_OK) != 0;
        if (!failed && is_new)
            failed = before_change(disk);
        if (!failed) {
            file->fd = open(path, mode | make, 0600);
            failed = file->fd < 0 ? errno : 0;
        }
        if (!failed) {
            file->image = image_of(disk, path, true);
            file->image->created |= is_new;
        }
        (void)pthread_mutex_unlock(&disk->lock);
    } else {
        file->fd = open(path, mode | make, 0600);
        failed = file->fd < 0 ? errno : 0;
    }
    if (failed) {
        mem_free(file);
        return io_error(err, "file.open", path, failed);
    }
    if (flags & DISK_TRUNCATE) {
        const enum err_code rc = disk_truncate(file, 0, err);
        if (rc) {
            disk_close(file);
            return rc;
        }
    }
    *out_file = file;
    return ERR_OK;
}

void disk_close(struct disk_file *file)
{
    if (!file)
        return;
    (void)close(file->fd);
    mem_free(file);
}

static enum err_code write_all(struct disk_file *file, int64_t offset, const void *bytes, size_t len,
                               struct err *err)
{
    const char *at = bytes;
    while (len) {
        const ssize_t n = pwrite(file->fd, at, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return io_error(err, "file.write", "", n < 0 ? errno : EIO);
        at += n, offset += n, len -= (size_t)n;
    }
    return ERR_OK;
}

enum err_code disk_write(struct disk_file *file, int64_t offset, const void *bytes, size_t len,
                         struct err *err)
{
    struct disk *disk = file->disk;
    if (!disk)
        return write_all(file, offset, bytes, len, err);
    (void)pthread_mutex_lock(&disk->lock);
    struct stat st;
    const int64_t size = fstat(file->fd, &st) == 0 ? st.st_size : 0;
    int failed = before_change(disk);
    size_t take = len;
    if (disk->full && offset + (int64_t)len > size) {
        take = offset < size ? (size_t)(size - offset) : 0;
        failed = failed ? failed : ENOSPC;
    } else if (failed) { /* a failed write leaves a part behind */
        take = len ? chance(disk) % len : 0;
    }
    enum err_code rc = ERR_OK;
    if (take && !(disk->cut && disk->changes - 1 > disk->cut_at)) {
        remember(file, offset, bytes, take);
        rc = write_all(file, offset, bytes, take, err);
    }
    if (failed)
        rc = io_error(err, "file.write", file->image->path, failed);
    (void)pthread_mutex_unlock(&disk->lock);
    return rc;
}

enum err_code disk_read(struct disk_file *file, int64_t offset, void *bytes, size_t len, size_t *out_len,
                        struct err *err)
{
    if (file->disk && disk_is_cut(file->disk))
        return io_error(err, "file.read", file->image->path, EIO);
    size_t got = 0;
    while (got < len) {
        const ssize_t n = pread(file->fd, (char *)bytes + got, len - got, offset + (int64_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_error(err, "file.read", "", errno);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *out_len = got;
    return ERR_OK;
}

enum err_code disk_sync(struct disk_file *file, struct err *err)
{
    struct disk *disk = file->disk;
    if (!disk)
        return fdatasync(file->fd) == 0 ? ERR_OK : io_error(err, "file.sync", "", errno);
    /* No real sync: the journal is the truth here, and tests run faster. */
    (void)pthread_mutex_lock(&disk->lock);
    const int failed = before_change(disk);
    if (!failed) {
        image_forget(file->image);
        file->image->created = false;
    }
    (void)pthread_mutex_unlock(&disk->lock);
    return failed ? io_error(err, "file.sync", file->image->path, failed) : ERR_OK;
}

enum err_code disk_truncate(struct disk_file *file, int64_t size, struct err *err)
{
    struct disk *disk = file->disk;
    if (!disk)
        return ftruncate(file->fd, size) == 0 ? ERR_OK : io_error(err, "file.write", "", errno);
    (void)pthread_mutex_lock(&disk->lock);
    int failed = before_change(disk);
    if (!failed) {
        remember(file, size, NULL, 0);
        failed = ftruncate(file->fd, size) == 0 ? 0 : errno;
    }
    (void)pthread_mutex_unlock(&disk->lock);
    return failed ? io_error(err, "file.write", file->image->path, failed) : ERR_OK;
}

enum err_code disk_size(struct disk_file *file, int64_t *out_size, struct err *err)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return io_error(err, "file.read", "", errno);
    *out_size = st.st_size;
    return ERR_OK;
}

int disk_fd(const struct disk_file *file)
{
    return file->fd;
}

/* ---- names ---- */

static int faulty_rename(struct disk *disk, const char *from, const char *to)
{
    struct image *image = image_of(disk, to, true);
    free(image->from);
    image->from = must(strdup(from));
    if (!image->replaced && access(to, F_OK) == 0) {
        image->saved = must(malloc(strlen(to) + 8));
        (void)sprintf(image->saved, "%s.~cut", to);
        (void)unlink(image->saved);
        if (link(to, image->saved) < 0)
            return errno;
    }
    if (rename(from, to) < 0)
        return errno;
    /* The unsynced content of the old name moves along. */
    struct image *source = image_of(disk, from, false);
    image_forget(image);
    if (source) {
        free(image->changes);
        image->changes = source->changes, image->count = source->count, image->size = source->size;
        source->changes = NULL, source->count = source->size = 0;
        source->created = false;
    }
    image->created = false;
    image->replaced = true;
    return 0;
}

enum err_code disk_rename(struct disk *disk, const char *from, const char *to, struct err *err)
{
    int failed = 0;
    if (disk) {
        (void)pthread_mutex_lock(&disk->lock);
        failed = before_change(disk);
        if (!failed)
            failed = faulty_rename(disk, from, to);
        (void)pthread_mutex_unlock(&disk->lock);
    } else if (rename(from, to) < 0) {
        failed = errno;
    }
    return failed ? io_error(err, "file.write", to, failed) : ERR_OK;
}

enum err_code disk_unlink(struct disk *disk, const char *path, struct err *err)
{
    int failed = 0;
    if (disk) {
        (void)pthread_mutex_lock(&disk->lock);
        failed = before_change(disk);
        struct image *image = failed ? NULL : image_of(disk, path, false);
        if (image) {
            image_forget(image);
            image->created = false;
        }
        if (!failed)
            failed = unlink(path) == 0 ? 0 : errno;
        (void)pthread_mutex_unlock(&disk->lock);
    } else if (unlink(path) < 0) {
        failed = errno;
    }
    return failed ? io_error(err, "file.write", path, failed) : ERR_OK;
}

enum err_code disk_sync_dir(struct disk *disk, const char *folder, struct err *err)
{
    if (disk) {
        (void)pthread_mutex_lock(&disk->lock);
        const int failed = before_change(disk);
        const size_t len = strlen(folder);
        for (struct image *image = disk->images; image && !failed; image = image->next) {
            const char *slash = strrchr(image->path, '/');
            if (!slash || (size_t)(slash - image->path) != len || strncmp(image->path, folder, len) != 0)
                continue;
            image->created = image->replaced = false;
            if (image->saved)
                (void)unlink(image->saved);
            free(image->saved);
            image->saved = NULL;
        }
        (void)pthread_mutex_unlock(&disk->lock);
        return failed ? io_error(err, "file.sync", folder, failed) : ERR_OK;
    }
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return io_error(err, "file.open", folder, errno);
    const int failed = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return failed ? io_error(err, "file.sync", folder, failed) : ERR_OK;
}

enum err_code disk_mkdir(struct disk *disk, const char *folder, struct err *err)
{
    if (disk && disk_is_cut(disk))
        return io_error(err, "file.write", folder, EIO);
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return io_error(err, "file.write", folder, errno);
    return ERR_OK;
}

enum err_code disk_replace(struct disk *disk, const char *path, const void *bytes, size_t len,
                           struct err *err)
{
    char temp[4096], folder[4096];
    if (snprintf(temp, sizeof temp, "%s.new", path) >= (int)sizeof temp)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", sizeof temp), ARG_END);
    (void)strcpy(folder, path);
    struct disk_file *file = NULL;
    enum err_code rc = disk_open(disk, temp, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file, err);
    if (rc || !file)
        return rc;
    rc = disk_write(file, 0, bytes, len, err);
    if (!rc)
        rc = disk_sync(file, err);
    disk_close(file);
    if (!rc)
        rc = disk_rename(disk, temp, path, err);
    if (!rc)
        rc = disk_sync_dir(disk, dirname(folder), err);
    return rc;
}

/* ---- faults ---- */

struct disk *disk_faulty_new(uint64_t seed)
{
    struct disk *disk = calloc(1, sizeof *disk);
    if (!disk)
        return NULL;
    (void)pthread_mutex_init(&disk->lock, NULL);
    disk->seed = seed;
    disk->cut_at = disk->fail_at = -1;
    return disk;
}

void disk_faulty_free(struct disk *disk)
{
    if (!disk)
        return;
    while (disk->images) {
        struct image *image = disk->images;
        disk->images = image->next;
        image_forget(image);
        free(image->changes);
        free(image->path);
        free(image->from);
        if (image->saved)
            (void)unlink(image->saved);
        free(image->saved);
        free(image);
    }
    (void)pthread_mutex_destroy(&disk->lock);
    free(disk);
}

void disk_fail_at(struct disk *disk, long nth, int errnum)
{
    (void)pthread_mutex_lock(&disk->lock);
    disk->fail_at = nth;
    disk->fail_errno = errnum;
    (void)pthread_mutex_unlock(&disk->lock);
}

void disk_full_set(struct disk *disk, bool full)
{
    (void)pthread_mutex_lock(&disk->lock);
    disk->full = full;
    (void)pthread_mutex_unlock(&disk->lock);
}

void disk_cut_at(struct disk *disk, long nth)
{
    (void)pthread_mutex_lock(&disk->lock);
    disk->cut_at = nth < 0 ? -1 : disk->changes + nth;
    (void)pthread_mutex_unlock(&disk->lock);
}

void disk_cut_now(struct disk *disk)
{
    (void)pthread_mutex_lock(&disk->lock);
    disk->cut = true;
    disk->cut_at = disk->changes;
    (void)pthread_mutex_unlock(&disk->lock);
}

bool disk_is_cut(struct disk *disk)
{
    (void)pthread_mutex_lock(&disk->lock);
    const bool cut = disk->cut;
    (void)pthread_mutex_unlock(&disk->lock);
    return cut;
}

long disk_changes(struct disk *disk)
{
    (void)pthread_mutex_lock(&disk->lock);
    const long changes = disk->changes;
    (void)pthread_mutex_unlock(&disk->lock);
    return changes;
}
