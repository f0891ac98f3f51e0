/* backup_write.c - see backup.h */
#include "cmd/backup.h"

#include "base/archive.h"
#include "base/wal.h"
#include "crypto/passphrase.h"
#include "observe/series/series.h"
#include "store/dump.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)4 << 20)
#define PATH_SIZE 2400
#define BACKUP_DEADLINE_MS (INT64_C(12) * 3600 * 1000)
#define ARENA_MAX ((size_t)64 << 20)
#define COPY_PIECE ((size_t)256 << 10)

const char *const BACKUP_FOLDERS[] = { "series", "alarms", "files", NULL };

struct work {
    const struct backup_options *options;
    struct archive_writer *writer;
    char temp[PATH_SIZE]; /* DIR/backup.tmp: copies that stand still */
    struct backup_counts counts;
    json_t *tables; /* of the manifest: {"TABLE": rows} */
    int64_t sealed; /* fields that need the master keys */
    struct arena *arena;
    const struct dump_table *table;
    struct buf chunk;
    int chunks;
};

/* ---- folders ---- */

static enum err_code io_error(struct err *err, const char *path)
{
    return err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO, "file.open",
                   ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char below[PATH_SIZE];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below)
            continue;
        if (entry->d_type == DT_DIR)
            remove_tree(below);
        else
            (void)unlink(below);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(path);
}

static enum err_code copy_file(const char *from, const char *to, struct err *err)
{
    AUTO(mem_free_auto) char *piece = mem_alloc(1, COPY_PIECE);
    if (!piece)
        return err_nomem(err);
    const int in = open(from, O_RDONLY | O_CLOEXEC),
              out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    enum err_code rc = in < 0    ? (errno == ENOENT ? ERR_OK : io_error(err, from))
                       : out < 0 ? io_error(err, to)
                                 : ERR_OK;
    while (!rc && in >= 0) {
        const ssize_t n = read(in, piece, COPY_PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = io_error(err, from);
        if (n <= 0)
            break;
        if (write(out, piece, (size_t)n) != n)
            rc = io_error(err, to);
    }
    if (in >= 0)
        (void)close(in);
    if (out >= 0)
        (void)close(out);
    return rc;
}

enum which { COPY_CURSORS, COPY_REST };

/* The files directly in DIR/alarms: the reading positions (".cursor") or all others. */
static enum err_code copy_alarms(struct work *work, enum which which, struct err *err)
{
    char from[PATH_SIZE], to[PATH_SIZE], a[PATH_SIZE], b[PATH_SIZE];
    (void)snprintf(from, sizeof from, "%.2000s/alarms", work->options->data);
    (void)snprintf(to, sizeof to, "%.2000s/alarms", work->temp);
    DIR *dir = opendir(from);
    if (!dir)
        return errno == ENOENT ? ERR_OK : io_error(err, from);
    enum err_code rc = mkdir(to, 0700) != 0 && errno != EEXIST ? io_error(err, to) : ERR_OK;
    struct dirent *entry;
    while (!rc && (entry = readdir(dir))) {
        const struct str name = str_from(entry->d_name);
        if (name.ptr[0] == '.' || str_ends(name, STR(".cursor")) != (which == COPY_CURSORS))
            continue;
        if (snprintf(a, sizeof a, "%s/%s", from, entry->d_name) >= (int)sizeof a ||
            snprintf(b, sizeof b, "%s/%s", to, entry->d_name) >= (int)sizeof b)
            continue;
        rc = copy_file(a, b, err);
    }
    (void)closedir(dir);
    return rc;
}

/* A tree of files that never change once they are there: links, or copies where links cannot be. */
static enum err_code link_tree(const char *from, const char *to, struct err *err)
{
    DIR *dir = opendir(from);
    if (!dir)
        return errno == ENOENT ? ERR_OK : io_error(err, from);
    enum err_code rc = mkdir(to, 0700) != 0 && errno != EEXIST ? io_error(err, to) : ERR_OK;
    struct dirent *entry;
    while (!rc && (entry = readdir(dir))) {
        char a[PATH_SIZE], b[PATH_SIZE];
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(a, sizeof a, "%s/%s", from, entry->d_name) >= (int)sizeof a ||
            snprintf(b, sizeof b, "%s/%s", to, entry->d_name) >= (int)sizeof b) {
            rc = err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", PATH_SIZE), ARG_END);
        } else if (lstat(a, &st) != 0) {
            continue; /* gone meanwhile */
        } else if (S_ISDIR(st.st_mode)) {
            rc = link_tree(a, b, err);
        } else if (S_ISREG(st.st_mode) && link(a, b) != 0 && errno != EEXIST) {
            rc = copy_file(a, b, err);
        }
    }
    (void)closedir(dir);
    return rc;
}

static enum err_code copy_series(struct work *work, struct err *err)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    struct series_store *own = NULL;
    (void)snprintf(from, sizeof from, "%.2000s/series", work->options->data);
    (void)snprintf(to, sizeof to, "%.2000s/series", work->temp);
    enum err_code rc = ERR_OK;
    if (!work->options->series) {
        const struct series_config config = { .dir = from, .clock = work->options->clock };
        if (access(from, F_OK) != 0)
            return ERR_OK;
        rc = series_open(&config, &own, err);
    }
    if (!rc)
        rc = series_backup(own ? own : work->options->series, to, err);
    series_close(own);
    return rc;
}

/* ---- counting ---- */

static enum err_code count_files(const char *path, struct backup_counts *counts, struct err *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    enum err_code rc = ERR_OK;
    while (dir && !rc && (entry = readdir(dir))) {
        char below[PATH_SIZE];
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below ||
            lstat(below, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            rc = count_files(below, counts, err);
        } else {
            counts->files++;
            counts->bytes += st.st_size;
        }
    }
    if (dir)
        (void)closedir(dir);
    return rc;
}

static enum err_code count_alarms(const char *path, struct backup_counts *counts, struct err *err)
{
    const struct wal_config config = { .dir = path };
    struct wal *wal = NULL;
    struct wal_reader *reader = NULL;
    struct str record;
    enum err_code rc = wal_open(&config, &wal, err);
    if (!rc)
        rc = wal_reader_new(wal, wal_begin(wal), &reader, err);
    while (!rc && !(rc = wal_next(reader, &record, err)))
        counts->alarm_records++;
    wal_reader_free(reader);
    wal_close(wal);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

static enum err_code count_series(const char *path, const struct clock *clock, struct backup_counts *counts,
                                  struct err *err)
{
    const struct series_config config = { .dir = path, .clock = clock };
    struct series_store *series = NULL;
    struct series_stats stats;
    const enum err_code rc = series_open(&config, &series, err);
    if (rc)
        return rc;
    series_stats_get(series, &stats);
    counts->series = (int64_t)stats.series;
    series_close(series);
    return ERR_OK;
}

enum err_code backup_count(const char *data, const struct clock *clock, struct backup_counts *out,
                           struct err *err)
{
    char path[PATH_SIZE];
    *out = (struct backup_counts) { 0 };
    (void)snprintf(path, sizeof path, "%.2000s/series", data);
    enum err_code rc = access(path, F_OK) == 0 ? count_series(path, clock, out, err) : ERR_OK;
    (void)snprintf(path, sizeof path, "%.2000s/alarms", data);
    if (!rc && access(path, F_OK) == 0)
        rc = count_alarms(path, out, err);
    (void)snprintf(path, sizeof path, "%.2000s/files", data);
    return rc ? rc : count_files(path, out, err);
}

/* ---- the archive ---- */

static enum err_code add_json(struct work *work, const char *name, json_t *json, struct err *err)
{
    char *text = json ? json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    if (!text)
        return err_nomem(err);
    const enum err_code rc = archive_bytes(work->writer, name, str_from(text), err);
    free(text);
    return rc;
}

static enum err_code chunk_out(struct work *work, struct err *err)
{
    char name[ARCHIVE_NAME_MAX];
    if (!work->chunk.len)
        return ERR_OK;
    (void)snprintf(name, sizeof name, "sql/%.*s/%06d.rows", STR_ARG(work->table->name), ++work->chunks);
    const enum err_code rc = archive_bytes(work->writer, name, buf_get(&work->chunk), err);
    buf_clear(&work->chunk);
    return rc;
}

static enum err_code on_row(void *arg, struct str line, struct err *err)
{
    struct work *work = arg;
    if (work->chunk.len && work->chunk.len + line.len > CHUNK) {
        const enum err_code rc = chunk_out(work, err);
        if (rc)
            return rc;
    }
    work->sealed += str_find(line, STR("\"s1.")) >= 0;
    buf_str(&work->chunk, line);
    return buf_check(&work->chunk, err);
}

static enum err_code add_columns(struct work *work, struct err *err)
{
    static const char *const types[] = {
        [STMT_I64] = "i64", [STMT_F64] = "f64", [STMT_TEXT] = "text", [STMT_BLOB] = "blob"
    };
    char name[ARCHIVE_NAME_MAX];
    json_t *columns = json_array();
    for (int i = 0; i < work->table->count; i++) {
        const struct dump_column *column = &work->table->columns[i];
        (void)json_array_append_new(columns, json_pack("{s:s%, s:s, s:b, s:i}", "name", column->name.ptr,
                                                       column->name.len, "type", types[column->type],
                                                       "not_null", column->not_null, "key", column->key));
    }
    (void)snprintf(name, sizeof name, "sql/%.*s.columns.json", STR_ARG(work->table->name));
    return add_json(work, name, columns, err);
}

static enum err_code tell(const struct work *work, int64_t done, int64_t total, struct str what,
                          struct err *err)
{
    return work->options->progress ? work->options->progress(work->options->arg, done, total, what, err)
                                   : ERR_OK;
}

static enum err_code sql_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    struct dump_table *tables;
    int count;
    if (work->counts.tables) /* the archive is a stream: it cannot be begun again */
        return err_set(err, ERR_STORE, "store.away", ARG_TEXT("reason", "snapshot lost"), ARG_END);
    enum err_code rc = dump_tables(tx, work->arena, &tables, &count, err);
    /* The snapshot exists now: the logs are copied behind it. */
    if (!rc)
        rc = copy_alarms(work, COPY_REST, err);
    for (int i = 0; i < count && !rc; i++) {
        int64_t rows = 0;
        work->table = &tables[i];
        work->chunks = 0;
        rc = tell(work, i, count + 3, tables[i].name, err);
        if (!rc)
            rc = add_columns(work, err);
        if (!rc)
            rc = dump_rows(tx, &tables[i], on_row, work, &rows, err);
        if (!rc)
            rc = chunk_out(work, err);
        (void)json_object_set_new(work->tables, tables[i].name.ptr, json_integer(rows));
        work->counts.tables++;
        work->counts.rows += rows;
    }
    return rc;
}

static enum err_code add_tree(struct work *work, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%.2000s/%.300s", work->temp, folder);
    DIR *dir = opendir(path);
    struct dirent *entry;
    enum err_code rc = ERR_OK;
    while (dir && !rc && (entry = readdir(dir))) {
        char name[ARCHIVE_NAME_MAX], file[PATH_SIZE];
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(name, sizeof name, "%s/%s", folder, entry->d_name) >= (int)sizeof name ||
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name) >= (int)sizeof file)
            rc = err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", ARCHIVE_NAME_MAX), ARG_END);
        else if (lstat(file, &st) != 0)
            rc = io_error(err, file);
        else if (S_ISDIR(st.st_mode))
            rc = add_tree(work, name, err);
        else
            rc = archive_file(work->writer, name, file, NULL, err);
    }
    if (dir)
        (void)closedir(dir);
    return rc;
}

static enum err_code add_keys(struct work *work, struct err *err)
{
    struct buf plain, sealed;
    buf_init(&plain, (size_t)1 << 20);
    buf_init(&sealed, (size_t)2 << 20);
    enum err_code rc = buf_read_file(&plain, work->options->key_file, err);
    if (!rc)
        rc = passphrase_seal(work->options->passphrase, buf_get(&plain), &sealed, err);
    if (!rc)
        rc = archive_bytes(work->writer, "keys.sealed", buf_get(&sealed), err);
    buf_done(&plain);
    buf_done(&sealed);
    return rc;
}

static enum err_code write_all(struct work *work, int64_t now, struct err *err)
{
    char at[CLOCK_TEXT_SIZE], from[PATH_SIZE], to[PATH_SIZE];
    (void)clock_text(now, 0, at);
    enum err_code rc =
        add_json(work, "bihuan-backup.json",
                 json_pack("{s:i, s:s, s:s, s:s}", "format", 1, "program", BIHUAN_VERSION, "backend",
                           store_backend_name(store_backend(work->options->store)), "at", at),
                 err);
    if (!rc && work->options->passphrase.len)
        rc = add_keys(work, err);
    if (!rc)
        rc = copy_alarms(work, COPY_CURSORS, err);
    if (!rc) {
        const int64_t before = store_deadline_get();
        store_deadline_set(clock_mono(&CLOCK_SYSTEM) + BACKUP_DEADLINE_MS);
        rc = store_read(work->options->store, sql_fn, work, err);
        store_deadline_set(before);
    }
    if (!rc)
        rc = copy_series(work, err);
    (void)snprintf(from, sizeof from, "%.2000s/files", work->options->data);
    (void)snprintf(to, sizeof to, "%.2000s/files", work->temp);
    if (!rc)
        rc = link_tree(from, to, err);
    struct backup_counts counts = { 0 };
    if (!rc)
        rc = backup_count(work->temp, work->options->clock, &counts, err);
    work->counts.series = counts.series;
    work->counts.alarm_records = counts.alarm_records;
    work->counts.files = counts.files;
    work->counts.bytes = counts.bytes;
    for (int i = 0; BACKUP_FOLDERS[i] && !rc; i++) {
        rc = tell(work, work->counts.tables + i, work->counts.tables + 3, str_from(BACKUP_FOLDERS[i]), err);
        if (!rc)
            rc = add_tree(work, BACKUP_FOLDERS[i], err);
    }
    if (!rc)
        rc = add_json(work, "manifest.json",
                      json_pack("{s:O, s:I, s:I, s:I, s:I, s:I}", "tables", work->tables, "series",
                                (json_int_t)counts.series, "alarm_records", (json_int_t)counts.alarm_records,
                                "files", (json_int_t)counts.files, "file_bytes", (json_int_t)counts.bytes,
                                "sealed_rows", (json_int_t)work->sealed),
                      err);
    return rc ? rc : archive_end(work->writer, err);
}

enum err_code backup_write(const struct backup_options *options, int fd, struct backup_counts *out_counts,
                           struct err *err)
{
    struct work work = { .options = options, .tables = json_object(), .arena = arena_new(ARENA_MAX) };
    buf_init(&work.chunk, (size_t)300 << 20);
    (void)snprintf(work.temp, sizeof work.temp, "%.2000s/backup.tmp", options->data);
    remove_tree(work.temp); /* of one that broke off */
    const int64_t now = clock_now(options->clock);
    enum err_code rc = work.arena && work.tables ? ERR_OK : err_nomem(err);
    if (!rc && mkdir(work.temp, 0700) != 0)
        rc = io_error(err, work.temp);
    if (!rc)
        rc = archive_writer_new(fd, now, &work.writer, err);
    if (!rc)
        rc = write_all(&work, now, err);
    if (!rc && fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP) /* a pipe cannot be synced */
        rc = io_error(err, "backup");
    archive_writer_free(work.writer);
    remove_tree(work.temp);
    buf_done(&work.chunk);
    arena_free(work.arena);
    json_decref(work.tables);
    if (!rc)
        *out_counts = work.counts;
    return rc;
}
