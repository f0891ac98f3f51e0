/* collect_sql.c - what nothing names any more: rows of records that are gone, contents without a row.
 *
 * A content is looked for and unlinked under the lock that files_put() holds from the moment it finds its
 * content until its row is there, so that none is taken from under a new row. */
#include "platform/files/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define PORTION 200
#define GRACE_MS INT64_C(86400000)

static const char SQL_ROWS[] =
    "SELECT id, owner_type, owner FROM attachment WHERE id > ?1 ORDER BY id LIMIT ?2";
static const char SQL_DROP[] = "DELETE FROM attachment WHERE id = ?1";
static const char SQL_NAMED[] = "SELECT count(*) FROM attachment WHERE digest = ?1";

struct collecting {
    struct files *files;
    const struct files_owners *owners;
    int64_t after, next, dropped;
    bool end;
};

/* ---- rows ---- */

static enum err_code drop_row(struct tx *tx, int64_t id, struct err *err)
{
    return tx_run(tx, SQL_DROP, BINDS(bind_i64(id)), NULL, err);
}

struct row {
    int64_t id, owner;
    struct str type;
};

static enum err_code read_rows(struct collecting *all, struct tx *tx, struct row *rows, int *out_count,
                               struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = true;
    int count = 0;
    enum err_code rc = tx_query(tx, SQL_ROWS, BINDS(bind_i64(all->after), bind_i64(PORTION)), &stmt, err);
    if (rc)
        return rc;
    while (count < PORTION && !(rc = stmt_step(stmt, &row, err)) && row) {
        rows[count] = (struct row) { stmt_i64(stmt, 0), stmt_i64(stmt, 2),
                                     arena_str(tx_arena(tx), stmt_text(stmt, 1)) };
        if (!rows[count++].type.ptr)
            return err_nomem(err);
    }
    *out_count = count;
    return rc;
}

static enum err_code rows_fn(struct tx *tx, void *arg, struct err *err)
{
    struct collecting *all = arg;
    struct row *rows = arena_alloc(tx_arena(tx), PORTION, sizeof *rows);
    int count = 0;
    all->dropped = 0;
    enum err_code rc = rows ? read_rows(all, tx, rows, &count, err) : err_nomem(err);
    for (int i = 0; i < count && !rc; i++) {
        bool there = true;
        rc = all->owners->there(all->owners->arg, tx, rows[i].type, rows[i].owner, &there, err);
        if (rc || there)
            continue;
        rc = drop_row(tx, rows[i].id, err);
        all->dropped++;
    }
    all->end = count < PORTION;
    all->next = count ? rows[count - 1].id : all->after;
    return rc;
}

/* ---- contents ---- */

struct naming {
    struct str digest;
    int64_t count;
};

static enum err_code named_fn(struct tx *tx, void *arg, struct err *err)
{
    struct naming *naming = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_NAMED, BINDS(bind_text(naming->digest)), &stmt, &row, err);
    naming->count = rc || !row ? 1 : stmt_i64(stmt, 0);
    return rc;
}

/* Unlinks `path` when it is old enough and, with a digest, when no row names it. */
static enum err_code drop_file(struct files *files, const char *path, struct str digest,
                               struct files_collected *out, struct err *err)
{
    struct stat st;
    struct naming naming = { .digest = digest };
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        clock_now(files->clock) - (int64_t)st.st_mtim.tv_sec * 1000 < GRACE_MS)
        return ERR_OK;
    (void)pthread_rwlock_wrlock(&files->lock);
    enum err_code rc = digest.len ? store_read(files->store, named_fn, &naming, err) : ERR_OK;
    const bool goes = !rc && !naming.count;
    if (goes)
        rc = disk_unlink(files->disk, path, err);
    (void)pthread_rwlock_unlock(&files->lock);
    if (goes && !rc) {
        out->contents++;
        out->bytes += st.st_size;
    }
    return rc;
}

/* One folder: contents where it is named by two digits of them, beginnings in the folder above. */
static enum err_code drop_in(struct files *files, const char *folder, bool contents,
                             const struct files_owners *owners, struct files_collected *out, struct err *err)
{
    char path[2500];
    enum err_code rc = ERR_OK;
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT
                   ? ERR_OK
                   : err_set(err, ERR_IO, "file.open", ARG_TEXT("path", folder), ARG_ERRNO(errno), ARG_END);
    while (!rc && (entry = readdir(dir))) {
        const struct str name = str_from(entry->d_name);
        const bool ours = contents ? name.len == 64 : str_starts(name, STR("new-"));
        (void)snprintf(path, sizeof path, "%.2100s/%.300s", folder, entry->d_name);
        if (ours && !(rc = owners->check(owners->arg, err)))
            rc = drop_file(files, path, contents ? name : (struct str) { 0 }, out, err);
        else if (!ours && !contents && name.len == 2 && name.ptr[0] != '.' && !rc)
            rc = drop_in(files, path, true, owners, out, err);
    }
    (void)closedir(dir);
    return rc;
}

enum err_code files_collect(struct files *files, const struct files_owners *owners,
                            struct files_collected *out, struct err *err)
{
    struct collecting all = { .files = files, .owners = owners };
    struct files_collected counts = { 0 };
    enum err_code rc = ERR_OK;
    while (!rc && !all.end) {
        rc = owners->check(owners->arg, err);
        if (!rc)
            rc = store_write(files->store, rows_fn, &all, err);
        if (!rc) {
            counts.rows += all.dropped;
            all.after = all.next;
        }
    }
    if (!rc)
        rc = drop_in(files, files->dir, false, owners, &counts, err);
    *out = counts;
    return rc ? err_in(err, "files.collect") : ERR_OK;
}
