/* restore.c - bihuan restore FILE: an empty directory or database becomes what the backup holds. */
#include "cmd/backup.h"

#include "base/archive.h"
#include "base/disk.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/rooms.h"
#include "crypto/keyring.h"
#include "crypto/passphrase.h"
#include "platform/entity/entity.h"
#include "store/dump.h"
#include "store/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_MAX ((size_t)300 << 20)
#define PATH_SIZE 2400
#define RESTORE_DEADLINE_MS (INT64_C(12) * 3600 * 1000)

struct work {
    struct app *app;
    struct arena *arena; /* of names and columns */
    struct archive_reader *reader;
    struct str passphrase;
    struct buf bytes;        /* of the entry */
    struct dump_table table; /* whose rows come now */
    char name[ARCHIVE_NAME_MAX + 1];
    int64_t size, loaded;
    json_t *manifest;
    bool has_keys;
    struct str sealed; /* one field that needs the keys, for the last check */
    bool prepared;
    int differ;
};

static enum err_code corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "base.archive", ARG_END);
}

static enum err_code io_error(struct err *err, const char *path)
{
    return err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO, "file.write",
                   ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
}

/* ---- the target ---- */

/* Nothing in the directory but a configuration, a lock and keys. */
static enum err_code check_empty(const char *data, struct err *err)
{
    static const char *const allowed[] = { ".", "..", "lock", "bihuan.conf", "keys", "packs" };
    DIR *dir = opendir(data);
    struct dirent *entry;
    enum err_code rc = ERR_OK;
    while (dir && !rc && (entry = readdir(dir))) {
        bool known = false;
        for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
            known |= strcmp(entry->d_name, allowed[i]) == 0;
        if (!known)
            rc = err_set(err, ERR_CONFLICT, "restore.not_empty", ARG_TEXT("path", data),
                         ARG_TEXT("name", entry->d_name), ARG_END);
    }
    if (dir)
        (void)closedir(dir);
    return rc;
}

static enum err_code entity_tables_make(struct app *app, struct err *err)
{
    const struct entity_config config = { .store = app->store,
                                          .zone = app->zone,
                                          .packs = app->packs,
                                          .ids = &app->ids,
                                          .clock = app->clock,
                                          .words = app->words,
                                          .keys = app->keys };
    struct findings findings;
    enum err_code rc = findings_init(&findings, app->arena, err);
    if (!rc)
        rc = entity_open(&config, &findings, &app->entity, err);
    return rc ? rc : entity_tables(app->entity, true, &findings, err);
}

static enum err_code clear_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    struct dump_table *tables;
    int count = 0;
    struct arena *arena = tx_arena(tx);
    enum err_code rc = arena ? dump_tables(tx, arena, &tables, &count, err) : err_nomem(err);
    for (int i = 0; i < count && !rc; i++)
        rc = dump_clear(tx, tables[i].name, err);
    return rc;
}

/* Those that are there, or came with the backup; else new ones. */
static enum err_code keys_make(struct app *app, struct err *err)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%.2000s/keys/master.key", app->data);
    return key_ring_open(app->conf.key_file ? app->conf.key_file : path, true, &app->keys, err);
}

/* Every table of the program and of the packs, and no row. */
static enum err_code prepare_store(struct work *work, struct err *err)
{
    struct app *app = work->app;
    struct migrate_report report;
    enum err_code rc = store_room_open(app, err);
    if (!rc)
        rc = store_migrate(app->store, STORE_MIGRATIONS, STORE_MIGRATIONS_COUNT, MIGRATE_LOOK, &report, err);
    if (!rc && !report.was_empty)
        rc = err_set(err, ERR_CONFLICT, "restore.not_empty", ARG_TEXT("path", "--database"),
                     ARG_TEXT("name", "store_migration"), ARG_END);
    if (!rc)
        rc = store_migrate(app->store, STORE_MIGRATIONS, STORE_MIGRATIONS_COUNT, MIGRATE_ALL, NULL, err);
    if (!rc)
        rc = keys_make(app, err);
    app->demo = true; /* whatever packs there are: the rows of all of them may be in it */
    if (!rc)
        rc = packs_start(app, err);
    if (!rc)
        rc = entity_tables_make(app, err);
    if (!rc)
        rc = store_write(app->store, clear_fn, NULL, err);
    work->prepared = !rc;
    return rc;
}

/* ---- entries ---- */

static enum err_code read_entry(struct work *work, struct err *err)
{
    if (work->size > (int64_t)CHUNK_MAX)
        return corrupt(err);
    buf_clear(&work->bytes);
    for (;;) {
        size_t len = 0;
        char *room = buf_room(&work->bytes, 65536);
        if (!room)
            return buf_check(&work->bytes, err);
        const enum err_code rc = archive_read(work->reader, room, 65536, &len, err);
        if (rc || !len)
            return rc;
        work->bytes.len += len;
        work->bytes.ptr[work->bytes.len] = 0;
    }
}

static enum err_code columns_entry(struct work *work, struct str table, struct err *err)
{
    static const char *const types[] = { "null", "i64", "f64", "text", "blob" };
    json_t *json = json_loadb(work->bytes.ptr, work->bytes.len, 0, NULL), *one;
    size_t i;
    enum err_code rc = ERR_OK;
    work->table = (struct dump_table) { .name = arena_str(work->arena, table) };
    work->table.columns = arena_alloc(work->arena, json_array_size(json) + 1, sizeof *work->table.columns);
    if (!work->table.name.ptr || !work->table.columns)
        rc = err_nomem(err);
    else if (json_array_size(json) == 0 || json_array_size(json) > DUMP_COLUMNS_MAX)
        rc = corrupt(err);
    json_array_foreach(json, i, one)
    {
        struct dump_column *column = &work->table.columns[i];
        const char *name = "", *type = "";
        int not_null = 0;
        if (rc || json_unpack(one, "{s:s, s:s, s:b, s:i}", "name", &name, "type", &type, "not_null",
                              &not_null, "key", &column->key) != 0) {
            rc = rc ? rc : corrupt(err);
            break;
        }
        column->name = arena_str(work->arena, str_from(name));
        column->not_null = not_null;
        for (int t = STMT_I64; t <= STMT_BLOB; t++)
            if (strcmp(types[t], type) == 0)
                column->type = (enum stmt_type)t;
        if (!column->name.ptr)
            rc = err_nomem(err);
        work->table.count++;
    }
    json_decref(json);
    return rc;
}

static enum err_code load_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    bool made;
    const enum err_code rc = dump_make(tx, &work->table, &made, err);
    return rc ? rc : dump_load(tx, &work->table, buf_get(&work->bytes), &work->loaded, err);
}

/* Keeps one sealed text, to see later whether the keys are there. */
static void note_sealed(struct work *work)
{
    const struct str bytes = buf_get(&work->bytes);
    const ptrdiff_t at = work->sealed.ptr ? -1 : str_find(bytes, STR("\"s1."));
    if (at < 0)
        return;
    const struct str rest = str_slice(bytes, (size_t)at + 1, bytes.len);
    const ptrdiff_t end = str_find(rest, STR("\""));
    if (end > 0)
        work->sealed = arena_str(work->arena, str_slice(rest, 0, (size_t)end));
}

static enum err_code sql_entry(struct work *work, struct err *err)
{
    struct str name = str_slice(str_from(work->name), 4, strlen(work->name));
    enum err_code rc = read_entry(work, err);
    if (rc)
        return rc;
    if (str_ends(name, STR(".columns.json"))) {
        rc = columns_entry(work, str_slice(name, 0, name.len - strlen(".columns.json")), err);
        if (!rc) { /* a table without rows is made, too */
            buf_clear(&work->bytes);
            rc = store_write(work->app->store, load_fn, work, err);
        }
        return rc;
    }
    if (!work->table.name.ptr || !str_starts(name, work->table.name) || name.ptr[work->table.name.len] != '/')
        return corrupt(err);
    note_sealed(work);
    return store_write(work->app->store, load_fn, work, err);
}

static enum err_code file_entry(struct work *work, struct err *err)
{
    char path[PATH_SIZE], *piece;
    (void)snprintf(path, sizeof path, "%.2000s/%.255s", work->app->data, work->name);
    for (char *at = path + strlen(work->app->data) + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return io_error(err, path);
        *at = '/';
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_error(err, path);
    piece = mem_alloc(1, 65536);
    enum err_code rc = piece ? ERR_OK : err_nomem(err);
    for (size_t len = 1; !rc && len;) {
        rc = archive_read(work->reader, piece, 65536, &len, err);
        if (!rc && len && write(fd, piece, len) != (ssize_t)len)
            rc = io_error(err, path);
    }
    if (!rc && fsync(fd) != 0)
        rc = io_error(err, path);
    (void)close(fd);
    mem_free(piece);
    return rc;
}

static enum err_code keys_entry(struct work *work, struct err *err)
{
    char path[PATH_SIZE];
    struct buf plain;
    enum err_code rc = read_entry(work, err);
    work->has_keys = true;
    if (rc || !work->passphrase.len ||
        access(work->app->conf.key_file ? work->app->conf.key_file : "", F_OK) == 0)
        return rc;
    buf_init(&plain, (size_t)1 << 20);
    rc = passphrase_open(work->passphrase, buf_get(&work->bytes), &plain, err);
    (void)snprintf(path, sizeof path, "%.2000s/keys", work->app->data);
    if (!rc && mkdir(path, 0700) != 0 && errno != EEXIST)
        rc = io_error(err, path);
    (void)snprintf(path, sizeof path, "%.2000s/keys/master.key", work->app->data);
    if (!rc && access(path, F_OK) != 0)
        rc = disk_replace(NULL, path, plain.ptr, plain.len, err);
    buf_done(&plain);
    return rc;
}

static enum err_code entry(struct work *work, struct err *err)
{
    const struct str name = str_from(work->name);
    if (str_eq(name, STR("keys.sealed"))) /* stands before all that may need them */
        return keys_entry(work, err);
    if (!work->prepared) {
        const enum err_code rc = prepare_store(work, err);
        if (rc)
            return rc;
    }
    if (str_eq(name, STR("manifest.json"))) {
        const enum err_code rc = read_entry(work, err);
        if (!rc)
            work->manifest = json_loadb(work->bytes.ptr, work->bytes.len, 0, NULL);
        return rc ? rc : work->manifest ? ERR_OK : corrupt(err);
    }
    if (str_starts(name, STR("sql/")))
        return sql_entry(work, err);
    for (int i = 0; BACKUP_FOLDERS[i]; i++)
        if (str_starts(name, str_from(BACKUP_FOLDERS[i])) && name.ptr[strlen(BACKUP_FOLDERS[i])] == '/')
            return file_entry(work, err);
    return corrupt(err);
}

static enum err_code read_archive(struct work *work, int fd, struct err *err)
{
    int format = 0;
    enum err_code rc = archive_reader_new(fd, &work->reader, err);
    if (!rc)
        rc = archive_next(work->reader, work->name, &work->size, err);
    if (!rc && strcmp(work->name, "bihuan-backup.json") != 0)
        rc = corrupt(err);
    if (!rc)
        rc = read_entry(work, err);
    if (!rc) {
        json_t *head = json_loadb(work->bytes.ptr, work->bytes.len, 0, NULL);
        if (json_unpack(head, "{s:i}", "format", &format) != 0 || format != 1)
            rc = err_set(err, ERR_UNSUPPORTED, "restore.format", ARG_INT("format", format), ARG_END);
        json_decref(head);
    }
    while (!rc && !(rc = archive_next(work->reader, work->name, &work->size, err)))
        rc = entry(work, err);
    if (rc == ERR_NOT_FOUND && work->manifest)
        return ERR_OK;
    return rc == ERR_NOT_FOUND ? corrupt(err) : rc;
}

/* ---- comparing ---- */

static void compare(struct work *work, const char *what, int64_t backup, int64_t here)
{
    (void)printf("%-40s %12lld %12lld %s\n", what, (long long)backup, (long long)here,
                 backup == here ? "ok" : "DIFFERS");
    work->differ += backup != here;
}

static enum err_code compare_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    const char *name;
    json_t *rows;
    json_object_foreach(json_object_get(work->manifest, "tables"), name, rows)
    {
        int64_t here = -1;
        const enum err_code rc = dump_count(tx, str_from(name), &here, err);
        if (rc)
            return rc;
        compare(work, name, json_integer_value(rows), here);
    }
    return ERR_OK;
}

static enum err_code compare_all(struct work *work, struct err *err)
{
    struct backup_counts here;
    enum err_code rc = store_read(work->app->store, compare_fn, work, err);
    if (!rc)
        rc = backup_count(work->app->data, work->app->clock, &here, err);
    if (rc)
        return rc;
    compare(work, "series", json_integer_value(json_object_get(work->manifest, "series")), here.series);
    compare(work, "alarm-log", json_integer_value(json_object_get(work->manifest, "alarm_records")),
            here.alarm_records);
    compare(work, "files", json_integer_value(json_object_get(work->manifest, "files")), here.files);
    return ERR_OK;
}

/* Are there fields that the keys at hand cannot open? */
static bool keys_missing(struct work *work)
{
    struct app *app = work->app;
    struct buf plain;
    struct err err;
    if (!work->sealed.ptr)
        return false;
    buf_init(&plain, (size_t)1 << 20);
    const bool missing = unseal(app->keys, STR("?"), work->sealed, &plain, &err) == ERR_NOT_FOUND;
    buf_done(&plain);
    return missing;
}

static int restore(struct cmd *cmd, const char *path, struct str passphrase)
{
    struct app app;
    struct work work = { .app = &app, .passphrase = passphrase, .arena = arena_new((size_t)64 << 20) };
    struct err err = { 0 };
    int exit_status = CMD_OK;
    buf_init(&work.bytes, CHUNK_MAX);
    store_deadline_set(clock_mono(&CLOCK_SYSTEM) + RESTORE_DEADLINE_MS);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum err_code rc =
        fd < 0 ? err_set(&err, ERR_NOT_FOUND, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END)
               : check_empty(cmd->data, &err);
    app = (struct app) { .lock_fd = -1 };
    if (!rc)
        rc = app_init(&app, cmd, true, &err);
    if (!rc)
        rc = work.arena ? read_archive(&work, fd, &err) : err_nomem(&err);
    if (!rc)
        rc = entity_search_rebuild(app.entity, &err);
    if (!rc)
        rc = compare_all(&work, &err);
    if (rc) {
        exit_status = cmd_fail(cmd, &err);
        exit_status = rc == ERR_CORRUPT ? CMD_USAGE : exit_status; /* a damaged file is unreadable input */
    } else if (work.differ) {
        exit_status = CMD_NO;
    } else if (keys_missing(&work)) {
        (void)err_set(&err, ERR_CONFLICT, "restore.keys_missing", ARG_END);
        (void)cmd_fail(cmd, &err);
        exit_status = CMD_NO;
    }
    archive_reader_free(work.reader);
    entity_free(app.entity);
    packs_stop(&app);
    keys_room_close(&app);
    store_close(app.store);
    app_done(&app);
    json_decref(work.manifest);
    buf_done(&work.bytes);
    arena_free(work.arena);
    if (fd >= 0)
        (void)close(fd);
    return exit_status;
}

int cmd_restore(struct cmd *cmd, int argc, char **argv)
{
    const char *words[1], *passphrase_file = NULL;
    int count = 0, exit_status = CMD_OK;
    const struct cmd_option options[] = { { .name = "--passphrase-file", .text = &passphrase_file }, { 0 } };
    struct str passphrase = { 0 };
    struct err err = { 0 };
    if (!cmd_options(cmd, argc, argv, options, words, 1, &count, &exit_status))
        return exit_status;
    if (count != 1)
        return cmd_usage(cmd);
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    if (!arena)
        return CMD_SURROUNDINGS;
    if (passphrase_file && cmd_passphrase(passphrase_file, arena, &passphrase, &err))
        return cmd_fail(cmd, &err);
    return restore(cmd, words[0], passphrase);
}
