/* files_sql.c - see files.h */
#include "platform/files/internal.h"

#include "crypto/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 65536

static const char SQL_ADD[] =
    "INSERT INTO attachment (id, owner_type, owner, name, type, size, digest, created_at, created_by)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
static const char SQL_COUNT[] = "SELECT count(*) FROM attachment WHERE owner = ?1 AND owner_type = ?2";
static const char SQL_GET[] = "SELECT id, owner_type, owner, name, type, size, digest, created_at, created_by"
                              " FROM attachment WHERE id = ?1";
static const char SQL_LIST[] =
    "SELECT id, owner_type, owner, name, type, size, digest, created_at, created_by"
    " FROM attachment WHERE owner = ?1 AND owner_type = ?2 ORDER BY id LIMIT ?3";
static const char SQL_DELETE[] = "DELETE FROM attachment WHERE id = ?1";

enum err_code files_open(const char *dir, struct disk *disk, struct store *store, struct ids *ids,
                         const struct clock *clock, struct files **out, struct err *err)
{
    struct files *files = mem_alloc(1, sizeof *files);
    if (!files)
        return err_nomem(err);
    *files = (struct files) { .disk = disk, .store = store, .ids = ids, .clock = clock };
    enum err_code rc = ERR_OK;
    if ((size_t)snprintf(files->dir, sizeof files->dir - 100, "%s", dir) >= sizeof files->dir - 100)
        rc = err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)sizeof files->dir - 100),
                     ARG_END);
    if (!rc)
        rc = disk_mkdir(disk, files->dir, err);
    if (rc) {
        mem_free(files);
        return err_in(err, "files.open");
    }
    (void)pthread_rwlock_init(&files->lock, NULL);
    *out = files;
    return ERR_OK;
}

void files_free(struct files *files)
{
    if (files)
        (void)pthread_rwlock_destroy(&files->lock);
    mem_free(files);
}

/* ---- what a content is ---- */

static bool is_text(const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] < 0x20 && bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != '\t')
            return false;
    /* a character may be cut at the end of what was looked at */
    for (size_t cut = 0; cut < 4 && cut <= len; cut++)
        if (utf8_valid((struct str) { (const char *)bytes, len - cut }))
            return len > 0;
    return false;
}

const char *files_sniff(const unsigned char *bytes, size_t len)
{
    static const struct {
        size_t at, len;
        const char *magic, *type;
    } known[] = {
        { 0, 5, "%PDF-", "application/pdf" },
        { 0, 8, "\x89PNG\r\n\x1a\n", "image/png" },
        { 0, 3, "\xff\xd8\xff", "image/jpeg" },
        { 0, 6, "GIF87a", "image/gif" },
        { 0, 6, "GIF89a", "image/gif" },
        { 8, 4, "WEBP", "image/webp" },
        { 0, 2, "BM", "image/bmp" },
        { 0, 4, "PK\x03\x04", "application/zip" }, /* docx and xlsx too */
        { 0, 6, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed" },
        { 0, 3, "\x1f\x8b\x08", "application/gzip" },
        { 0, 4, "Rar!", "application/vnd.rar" },
        { 4, 4, "ftyp", "video/mp4" },
        { 0, 3, "ID3", "audio/mpeg" },
        { 0, 8, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].at + known[i].len <= len && !memcmp(bytes + known[i].at, known[i].magic, known[i].len))
            return known[i].type;
    return is_text(bytes, len) ? "text/plain; charset=utf-8" : "application/octet-stream";
}

/* ---- keeping ---- */

static bool name_good(struct str name)
{
    if (!name.len || !utf8_valid(name) || utf8_len(name) > FILES_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == '/' || name.ptr[i] == '\\' ||
            name.ptr[i] == 0x7f)
            return false;
    return !str_eq(name, STR(".")) && !str_eq(name, STR(".."));
}

/* Copies all of `fd` into `to`, digesting and looking at the first block. */
static enum err_code copy_content(int fd, int64_t size, struct disk_file *to, struct file_info *info,
                                  struct err *err)
{
    unsigned char sum[DIGEST_SIZE];
    struct digester *digester = digester_new(DIGEST_SHA256);
    char *block = mem_alloc(1, BLOCK);
    enum err_code rc = digester && block ? ERR_OK : err_nomem(err);
    info->type = STR("application/octet-stream");
    for (int64_t at = 0; !rc && at < size;) {
        const ssize_t got = pread(fd, block, BLOCK, at);
        if (got <= 0)
            rc = err_set(err, ERR_IO, "file.read", ARG_ERRNO(got ? errno : EIO), ARG_END);
        if (rc)
            break;
        if (at == 0)
            info->type = str_from(files_sniff((const unsigned char *)block, (size_t)got));
        digester_add(digester, block, (size_t)got);
        rc = disk_write(to, at, block, (size_t)got, err);
        at += got;
    }
    if (digester && !rc) {
        digester_end(digester, sum);
        hex_put(sum, DIGEST_SIZE, info->digest);
    } else {
        digester_free(digester);
    }
    mem_free(block);
    return rc ? rc : disk_sync(to, err);
}

/* DIR/ab/abcdef... */
static void content_path(const struct files *files, const char *digest, char *out, size_t size, bool folder)
{
    if (folder)
        (void)snprintf(out, size, "%s/%.2s", files->dir, digest);
    else
        (void)snprintf(out, size, "%s/%.2s/%s", files->dir, digest, digest);
}

static enum err_code keep_content(struct files *files, const char *aside, const char *digest, struct err *err)
{
    char folder[2200], path[2200];
    struct stat st;
    content_path(files, digest, folder, sizeof folder, true);
    content_path(files, digest, path, sizeof path, false);
    if (!stat(path, &st)) /* kept once */
        return disk_unlink(files->disk, aside, err);
    enum err_code rc = disk_mkdir(files->disk, folder, err);
    if (!rc)
        rc = disk_rename(files->disk, aside, path, err);
    if (!rc)
        rc = disk_sync_dir(files->disk, folder, err);
    return rc ? rc : disk_sync_dir(files->disk, files->dir, err);
}

static enum err_code add_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct file_info *info = arg;
    AUTO(stmt_free_auto) struct stmt *count = NULL, *add = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_COUNT, BINDS(bind_i64(info->owner), bind_text(info->owner_type)),
                                    &count, &row, err);
    if (!rc && stmt_i64(count, 0) >= FILES_EACH_MAX)
        rc = err_set(err, ERR_LIMIT, "files.many", ARG_INT("max", FILES_EACH_MAX), ARG_END);
    if (!rc)
        rc = tx_prepare(tx, SQL_ADD, &add, err);
    if (rc)
        return rc;
    stmt_bind_i64(add, 1, info->id);
    stmt_bind_text(add, 2, info->owner_type);
    stmt_bind_i64(add, 3, info->owner);
    stmt_bind_text(add, 4, info->name);
    stmt_bind_text(add, 5, info->type);
    stmt_bind_i64(add, 6, info->size);
    stmt_bind_text(add, 7, str_from(info->digest));
    stmt_bind_i64(add, 8, info->created_at);
    stmt_bind_i64(add, 9, info->created_by);
    return stmt_run(add, NULL, err);
}

enum err_code files_put(struct files *files, int fd, int64_t size, struct file_info *info, struct err *err)
{
    char aside[2200];
    struct disk_file *to = NULL;
    if (!name_good(info->name))
        return err_set(err, ERR_INVALID, "files.name", ARG_STR("name", info->name), ARG_END);
    info->id = ids_next(files->ids);
    info->size = size;
    info->created_at = clock_now(files->clock);
    (void)snprintf(aside, sizeof aside, "%s/new-%lld", files->dir, (long long)info->id);
    enum err_code rc = disk_open(files->disk, aside, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &to, err);
    if (rc)
        return err_in(err, "files.put");
    rc = copy_content(fd, size, to, info, err);
    disk_close(to);
    (void)pthread_rwlock_rdlock(&files->lock);
    if (!rc)
        rc = keep_content(files, aside, info->digest, err);
    if (rc)
        (void)!disk_unlink(files->disk, aside, NULL);
    if (!rc)
        rc = store_write(files->store, add_fn, info, err);
    (void)pthread_rwlock_unlock(&files->lock);
    return rc ? err_in(err, "files.put") : ERR_OK;
}

/* ---- reading ---- */

static enum err_code read_row(struct stmt *stmt, struct arena *arena, struct file_info *out, struct err *err)
{
    *out = (struct file_info) { .id = stmt_i64(stmt, 0),
                                .owner_type = arena_str(arena, stmt_text(stmt, 1)),
                                .owner = stmt_i64(stmt, 2),
                                .name = arena_str(arena, stmt_text(stmt, 3)),
                                .type = arena_str(arena, stmt_text(stmt, 4)),
                                .size = stmt_i64(stmt, 5),
                                .created_at = stmt_i64(stmt, 7),
                                .created_by = stmt_i64(stmt, 8) };
    (void)snprintf(out->digest, sizeof out->digest, "%.*s", STR_ARG(stmt_text(stmt, 6)));
    return out->owner_type.ptr && out->name.ptr && out->type.ptr ? ERR_OK : err_nomem(err);
}

enum err_code files_get(struct tx *tx, int64_t id, struct arena *arena, struct file_info *out,
                        struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_GET, BINDS(bind_i64(id)), &stmt, &row, err);
    if (!rc && !row)
        rc = err_set(err, ERR_NOT_FOUND, "files.absent", ARG_END);
    return rc ? rc : read_row(stmt, arena, out, err);
}

enum err_code files_list(struct tx *tx, struct str owner_type, int64_t owner, struct arena *arena,
                         struct file_info **out, int *out_count, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct file_info *list = arena_alloc(arena, FILES_EACH_MAX, sizeof *list);
    int count = 0;
    enum err_code rc = list ? tx_prepare(tx, SQL_LIST, &stmt, err) : err_nomem(err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, owner);
    stmt_bind_text(stmt, 2, owner_type);
    stmt_bind_i64(stmt, 3, FILES_EACH_MAX);
    for (bool row = false; !(rc = stmt_step(stmt, &row, err)) && row;) {
        rc = read_row(stmt, arena, &list[count++], err);
        if (rc)
            return rc;
    }
    *out = list;
    *out_count = count;
    return rc;
}

enum err_code files_delete(struct tx *tx, int64_t id, struct err *err)
{
    return tx_run(tx, SQL_DELETE, BINDS(bind_i64(id)), NULL, err);
}

enum err_code files_content(const struct files *files, const struct file_info *info, int *out_fd,
                            struct err *err)
{
    char path[2200];
    struct stat st;
    content_path(files, info->digest, path, sizeof path, false);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) || st.st_size != info->size) {
        if (fd >= 0)
            (void)close(fd);
        return err_set(err, ERR_CORRUPT, "files.content", ARG_STR("name", info->name), ARG_END);
    }
    *out_fd = fd;
    return ERR_OK;
}
