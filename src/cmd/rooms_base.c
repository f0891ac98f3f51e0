/* rooms_base.c - see rooms.h: what subcommands open by themselves, and backups by schedule.
 */
#include "base/log.h"
#include "cmd/backup.h"
#include "cmd/rooms.h"
#include "crypto/keyring.h"
#include "observe/observe.h"
#include "platform/entity/entity.h"
#include "platform/files/files.h"
#include "platform/entity/import_job.h"
#include "platform/jobs/jobs.h"
#include "store/store.h"
#include "warn/alarms.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_MAX 1000

enum err_code store_room_open(struct app *app, struct err *err)
{
    const struct store_config config = { .url = app->cmd->database,
                                         .data_dir = app->data,
                                         .readers = (int)app->conf.readers,
                                         .writers = (int)app->conf.writers };
    char path[2200];
    (void)snprintf(path, sizeof path, "%.2000s", app->data);
    if (!app->cmd->database && access(path, F_OK) != 0)
        return err_set(err, ERR_NOT_FOUND, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    return store_open(&config, &app->store, err);
}

enum err_code keys_room_open(struct app *app, struct err *err)
{
    char path[2200];
    (void)snprintf(path, sizeof path, "%.2000s/keys/master.key", app->data);
    const char *file = app->conf.key_file ? app->conf.key_file : path;
    return access(file, F_OK) == 0 ? key_ring_open(file, false, &app->keys, err) : ERR_OK;
}

void keys_room_close(struct app *app)
{
    key_ring_free(app->keys);
    app->keys = NULL;
}

struct series_store *app_series(struct app *app)
{
    return app->observe ? observe_series(app->observe) : NULL;
}

/* ---- backups of the running server: one at a time ---- */

struct base {
    pthread_mutex_t lock;
    bool busy;
};

struct sweep {
    struct app *app;
    struct job *job;
};

static bool base_take(struct base *base)
{
    (void)pthread_mutex_lock(&base->lock);
    const bool taken = !base->busy;
    base->busy = true;
    (void)pthread_mutex_unlock(&base->lock);
    return taken;
}

static void base_give(struct base *base)
{
    (void)pthread_mutex_lock(&base->lock);
    base->busy = false;
    (void)pthread_mutex_unlock(&base->lock);
}

enum err_code backup_once(struct app *app, const struct backup_options *options, int fd,
                          struct backup_counts *counts, struct err *err)
{
    if (!base_take(app->base))
        return err_set(err, ERR_BUSY, "backup.busy", ARG_END);
    const enum err_code rc = backup_write(options, fd, counts, err);
    base_give(app->base);
    return rc;
}

static enum err_code on_progress(void *arg, int64_t done, int64_t total, struct str what, struct err *err)
{
    job_progress(arg, done, total, what);
    return job_check(arg, err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names sort by time; the oldest beyond `keep` go. */
static void keep_newest(const char *folder, int64_t keep, struct arena *arena)
{
    const char **names = arena_alloc(arena, KEEP_MAX, sizeof *names);
    int count = 0;
    DIR *dir = names ? opendir(folder) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) && count < KEEP_MAX) {
        const struct str name = str_from(entry->d_name);
        if (str_starts(name, STR("bihuan-")) && str_ends(name, STR(".tar.zst")))
            names[count++] = arena_str(arena, name).ptr;
        if (count && !names[count - 1])
            count--;
    }
    if (dir)
        (void)closedir(dir);
    if (count)
        qsort(names, (size_t)count, sizeof *names, by_text);
    for (int i = 0; i < count - (int)keep; i++) {
        char path[2600];
        (void)snprintf(path, sizeof path, "%.2200s/%.300s", folder, names[i]);
        (void)unlink(path);
    }
}

/* params: {"folder": where (default DIR/backups), "keep": how many (default 7)} */
static enum err_code backup_job(void *arg, struct job *job, struct err *err)
{
    struct app *app = arg;
    struct backup_counts counts;
    char folder[2200], path[2600], temp[2610], at[CLOCK_TEXT_SIZE], result[300];
    const char *where = NULL;
    json_int_t keep = 7;
    const struct str params = job_params(job);
    json_t *json = json_loadb(params.ptr, params.len, 0, NULL);
    (void)json_unpack(json, "{s?s, s?I}", "folder", &where, "keep", &keep);
    if (where)
        (void)snprintf(folder, sizeof folder, "%.2000s", where);
    else
        (void)snprintf(folder, sizeof folder, "%.2000s/backups", app->data);
    json_decref(json);
    keep = keep < 1 ? 1 : keep > KEEP_MAX / 2 ? KEEP_MAX / 2 : keep;
    (void)clock_text(clock_now(app->clock) / 1000 * 1000, 0, at);
    for (char *c = at; *c; c++)
        if (*c == ':')
            *c = '-';
    (void)snprintf(path, sizeof path, "%s/bihuan-%.19s.tar.zst", folder, at);
    (void)snprintf(temp, sizeof temp, "%s.part", path);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", folder), ARG_ERRNO(errno), ARG_END);
    const int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", temp), ARG_ERRNO(errno), ARG_END);
    const struct backup_options options = { .data = app->data,
                                            .store = app->store,
                                            .series = app_series(app),
                                            .clock = app->clock,
                                            .progress = on_progress,
                                            .arg = job };
    enum err_code rc = backup_once(app, &options, fd, &counts, err);
    (void)close(fd);
    if (!rc && rename(temp, path) != 0)
        rc = err_set(err, ERR_IO, "file.write", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    if (rc) {
        (void)unlink(temp);
        return rc;
    }
    keep_newest(folder, keep, job_arena(job));
    const int len = snprintf(
        result, sizeof result, "{\"tables\":%lld,\"rows\":%lld,\"series\":%lld,\"files\":%lld}",
        (long long)counts.tables, (long long)counts.rows, (long long)counts.series, (long long)counts.files);
    return job_result(job, (struct str) { result, (size_t)len }, err);
}

/* ---- attachments that nothing names ---- */

static enum err_code owner_is_there(void *arg, struct tx *tx, struct str name, int64_t id, bool *out,
                                    struct err *err)
{
    const struct sweep *sweep = arg;
    char full[200];
    json_t *record = NULL;
    (void)snprintf(full, sizeof full, "%.*s", STR_ARG(name));
    const struct entity_type *type = entity_type_find(sweep->app->entity, full);
    const struct entity_call call = { .entity = sweep->app->entity, .arena = tx_arena(tx) };
    if (import_file_type(name).len) {
        *out = import_file_kept(id, clock_now(sweep->app->clock));
        return ERR_OK;
    }
    *out = true; /* of a pack that is not loaded now: nobody knows */
    if (!type)
        return ERR_OK;
    const enum err_code rc = entity_get(&call, tx, type, id, &record, err);
    json_decref(record);
    *out = rc != ERR_NOT_FOUND;
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

static enum err_code sweep_goes_on(void *arg, struct err *err)
{
    const struct sweep *sweep = arg;
    return job_check(sweep->job, err);
}

static enum err_code drop_faults_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct app *app = arg;
    const int64_t before = clock_now(app->clock) - INT64_C(86400000) * IMPORT_KEEP_DAYS;
    return import_faults_drop(tx, ids_floor(before), err);
}

/* Not beside a backup, which may just be going to read what its snapshot names. */
static enum err_code files_job(void *arg, struct job *job, struct err *err)
{
    struct app *app = arg;
    struct sweep sweep = { app, job };
    const struct files_owners owners = { owner_is_there, sweep_goes_on, &sweep };
    struct files_collected done = { 0 };
    char result[200];
    if (!base_take(app->base))
        return err_set(err, ERR_BUSY, "backup.busy", ARG_END);
    enum err_code rc = files_collect(app->files, &owners, &done, err);
    base_give(app->base);
    if (!rc)
        rc = store_write(app->store, drop_faults_fn, app, err);
    if (rc)
        return rc;
    const int len = snprintf(result, sizeof result, "{\"rows\":%lld,\"contents\":%lld,\"bytes\":%lld}",
                             (long long)done.rows, (long long)done.contents, (long long)done.bytes);
    return job_result(job, (struct str) { result, (size_t)len }, err);
}

/* A job that failed for good is an alarm of its own, cleared by the next one of its kind that ends well: a
 * backup that is not made does not stay silent. */
static void on_job(void *arg, const struct bus_event *event)
{
    struct app *app = arg;
    char key[96];
    struct err err;
    json_t *json = json_loadb(event->json.ptr, event->json.len, 0, NULL);
    const char *kind = json_string_value(json_object_get(json, "kind"));
    const char *state = json_string_value(json_object_get(json, "state"));
    enum err_code rc = ERR_OK;
    (void)snprintf(key, sizeof key, "self:job:%.64s", kind ? kind : "");
    if (app->alarms && kind && state && strcmp(state, "failed") == 0) {
        const struct alarm_signal signal = { .key = str_from(key),
                                             .grade = 3,
                                             .title = words_get(app->words, LANG_ZH, STR("base.job_failed")),
                                             .value = str_from(kind),
                                             .at_ms = clock_now(app->clock) };
        rc = alarms_raise(app->alarms, &signal, &err);
    } else if (app->alarms && kind && state && strcmp(state, "done") == 0) {
        rc = alarms_clear(app->alarms, str_from(key), STR(""), clock_now(app->clock), &err);
    }
    if (rc && rc != ERR_NOT_FOUND)
        log_err(&err, "base.job_alarm", "no alarm for %s", key);
    json_decref(json);
}

/* ---- the room ---- */

enum err_code base_room_start(struct app *app, struct err *err)
{
    struct base *base = arena_alloc(app->arena, 1, sizeof *base);
    if (!base)
        return err_nomem(err);
    (void)pthread_mutex_init(&base->lock, NULL);
    app->base = base;
    const struct job_kind backup = {
        .name = "core.backup", .run = backup_job, .arg = app, .alone = true, .schedule = "30 2 * * *"
    };
    const struct job_kind sweep = {
        .name = "core.files", .run = files_job, .arg = app, .alone = true, .schedule = "50 3 * * *"
    };
    enum err_code rc = jobs_register(app->jobs, &backup, err);
    if (!rc)
        rc = jobs_register(app->jobs, &sweep, err);
    return rc ? rc : bus_subscribe(app->bus, "job.*", on_job, app, NULL, err);
}
