/* files.h - attachments: contents under DIR/files by their digest, a row each in the store.
 *
 * A content is written aside, synced and renamed before its row is added, so a row never names what is not
 * there; equal contents are kept once.  The type is what the content shows, not what a client says.
 * Whom a file belongs to is a text and a number that the rooms above give and check ("ops.ticket", its id).
 * Threads: any.  Layer: platform/files. */
#pragma once
#include "base/disk.h"
#include "base/ids.h"
#include "store/store.h"

#define FILES_NAME_MAX 200 /* code points of a name */
#define FILES_EACH_MAX 200 /* files of one owner */

struct files;

/* `dir` is made when it is missing.  `disk` NULL = the machine's.  Caller frees. */
MUST_CHECK enum err_code files_open(const char *dir, struct disk *disk, struct store *store, struct ids *ids,
                                    const struct clock *clock, struct files **out, struct err *err);
void files_free(struct files *files);

struct file_info {
    int64_t id, size, created_at, created_by; /* created_by 0: the program itself */
    struct str name, type;                    /* type: MIME, of the content */
    char digest[65];                          /* SHA-256, hex */
    struct str owner_type;
    int64_t owner;
};

/* Keeps `size` bytes from the start of `fd` as `name`; info->owner_type, owner, name and created_by are read,
 * the rest is filled; texts of *info stay the caller's. ERR_INVALID files.name.   ERR_LIMIT files.many.
 * ERR_DISK_FULL, ERR_IO and those of the store. */
MUST_CHECK enum err_code files_put(struct files *files, int fd, int64_t size, struct file_info *info,
                                   struct err *err);

/* Within a transaction; texts live in the arena.  ERR_NOT_FOUND. */
MUST_CHECK enum err_code files_get(struct tx *tx, int64_t id, struct arena *arena, struct file_info *out,
                                   struct err *err);
/* All of an owner, oldest first, at most FILES_EACH_MAX. */
MUST_CHECK enum err_code files_list(struct tx *tx, struct str owner_type, int64_t owner, struct arena *arena,
                                    struct file_info **out, int *out_count, struct err *err);
/* The row goes; the content stays, since another row may name it. */
MUST_CHECK enum err_code files_delete(struct tx *tx, int64_t id, struct err *err);
/* The content, for reading; the caller closes.  ERR_CORRUPT when it is gone or has another size. */
MUST_CHECK enum err_code files_content(const struct files *files, const struct file_info *info, int *out_fd,
                                       struct err *err);

/* Whom the rows belong to, and whether to go on: asked of the rooms above. */
struct files_owners {
    /* Is that owner still there?  Within a transaction that may run twice. */
    enum err_code (*there)(void *arg, struct tx *tx, struct str type, int64_t id, bool *out, struct err *err);
    enum err_code (*check)(void *arg, struct err *err); /* between two steps; an error ends it */
    void *arg;
};
struct files_collected {
    int64_t rows, contents, bytes;
};
/* Drops the rows whose owner is gone, then contents that no row names and half-written ones, both only when
 * they are older than a day.  *out tells what was done, also after a failure. */
MUST_CHECK enum err_code files_collect(struct files *files, const struct files_owners *owners,
                                       struct files_collected *out, struct err *err);

/* What the first bytes show: "application/pdf", "image/png", ... "text/plain", "application/octet-stream". */
const char *files_sniff(const unsigned char *bytes, size_t len);
