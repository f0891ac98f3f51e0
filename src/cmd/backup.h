/* backup.h - everything of an installation in one file, taken while the server runs, and back.
 *
 * An archive (base/archive.h):
 *   bihuan-backup.json             first: format, version, backend, when
 *   keys.sealed                    only with --with-keys: the master keys under a passphrase
 *   sql/TABLE.columns.json         [{"name","type","not_null","key"}]
 *   sql/TABLE/NNNNNN.rows          rows of store/dump.h, a few MB each
 *   series/... alarms/... files/... the files as they are
 *   manifest.json                  last: the counts of all that, which `restore` compares
 * One consistent point: the reading positions of the alarm log are taken first, then one snapshot of the
 * database, then the logs; what a log has beyond the snapshot is read again after a restore, which is
 * harmless. Layer: cmd. */
#pragma once
#include "cmd/control.h"

struct series_store;

struct backup_options {
    const char *data; /* data directory */
    struct store *store;
    struct series_store *series; /* running, or NULL: opened from the directory if it is there */
    const char *key_file;        /* to be sealed in, or NULL */
    struct str passphrase;
    const struct clock *clock;
    /* Tells how far it is, in tables and folders; may be NULL.  A failure ends the backup. */
    enum err_code (*progress)(void *arg, int64_t done, int64_t total, struct str what, struct err *err);
    void *arg;
};

struct backup_counts {
    int64_t tables, rows, series, alarm_records, files, bytes;
};

/* Writes to `fd` and syncs it. */
MUST_CHECK enum err_code backup_write(const struct backup_options *options, int fd,
                                      struct backup_counts *out_counts, struct err *err);

/* The same in the server, where only one runs at a time: ERR_BUSY "backup.busy". */
MUST_CHECK enum err_code backup_once(struct app *app, const struct backup_options *options, int fd,
                                     struct backup_counts *counts, struct err *err);
/* backup.c: the server's side of `bihuan backup`; reading a passphrase. */

extern const struct control_op BACKUP_OPS[];
MUST_CHECK enum err_code cmd_passphrase(const char *path, struct arena *arena, struct str *out,
                                        struct err *err);

/* What lies in a folder of a data directory: the number of series, of records of the alarm log, of files. */
MUST_CHECK enum err_code backup_count(const char *data, const struct clock *clock, struct backup_counts *out,
                                      struct err *err);

/* The folders of a data directory that a backup holds, ending with NULL. */
extern const char *const BACKUP_FOLDERS[];
