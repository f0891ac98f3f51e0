/* import_job.c - see import_job.h
 *
 * State saved with each portion: {"at","line","rows","created","updated","unchanged","left_out","faults"}. */
#include "platform/entity/import_job.h"
#include "base/charset.h"
#include "base/json.h"
#include "platform/entity/importing.h"
#include "platform/files/files.h"
#include "platform/identity/identity.h"
#include "platform/jobs/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define OWNER "core.import."
#define FILE_KEEP_MS (INT64_C(2) * 86400000)

struct counts {
    int64_t rows, created, updated, unchanged, left_out, faults;
};

/* The file as UTF-8. */
struct source {
    void *map;
    size_t size;
    struct str text;
};

struct run {
    struct import_jobs *imports;
    struct job *job;
    const struct entity_type *type;
    struct source source;
    struct csv csv; /* what is not imported yet */
    struct counts counts;
    int64_t total;
    struct table_import import;
    struct importing *m;
    struct csv_record *row;
    struct findings findings;
    struct err *faults; /* of a portion */
    int faults_count;
    bool end, careful;
    struct csv next; /* behind the portion */
    struct counts done;
};

/* ---- the file ---- */

struct str import_file_type(struct str owner_type)
{
    return str_starts(owner_type, STR(OWNER)) ? str_slice(owner_type, sizeof OWNER - 1, owner_type.len)
                                              : (struct str) { 0 };
}

bool import_file_kept(int64_t owner, int64_t now_ms)
{
    return ids_instant_ms(owner) > now_ms - FILE_KEEP_MS;
}

static enum err_code map_fd(int fd, struct source *out, struct err *err)
{
    const off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0)
        return err_set(err, ERR_IO, "file.read", ARG_ERRNO(errno), ARG_END);
    *out = (struct source) { .size = (size_t)size };
    if (!size)
        return ERR_OK;
    out->map = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (out->map == MAP_FAILED) {
        out->map = NULL;
        return err_set(err, ERR_IO, "file.read", ARG_ERRNO(errno), ARG_END);
    }
    out->text = (struct str) { out->map, out->size };
    return ERR_OK;
}

static void source_done(struct source *source)
{
    if (source->map)
        (void)munmap(source->map, source->size);
    *source = (struct source) { 0 };
}

static enum err_code write_piece(void *arg, struct str piece, struct err *err)
{
    FILE *file = arg;
    if (fwrite(piece.ptr, 1, piece.len, file) == piece.len)
        return ERR_OK;
    return err_set(err, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "file.write", ARG_ERRNO(errno), ARG_END);
}

/* Into a file without a name, which is mapped in place of the other. */
static enum err_code turn_source(struct run *run, enum charset charset, struct err *err)
{
    char path[2100];
    const char *dir = run->imports->temp_dir ? run->imports->temp_dir : "/tmp";
    struct source turned = { 0 };
    (void)snprintf(path, sizeof path, "%.2000s/import-XXXXXX", dir);
    const int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w+");
    if (!file) {
        if (fd >= 0)
            (void)close(fd);
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    }
    enum err_code rc = charset_each(run->source.text, charset, write_piece, file, err);
    if (!rc && fflush(file))
        rc = err_set(err, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "file.write", ARG_ERRNO(errno), ARG_END);
    if (!rc)
        rc = map_fd(fd, &turned, err);
    (void)fclose(file);
    if (rc)
        return rc;
    source_done(&run->source);
    run->source = turned;
    return ERR_OK;
}

struct wanted {
    struct arena *arena;
    int64_t id;
    struct file_info info;
};

static enum err_code file_fn(struct tx *tx, void *arg, struct err *err)
{
    struct wanted *wanted = arg;
    return files_get(tx, wanted->id, wanted->arena, &wanted->info, err);
}

static enum err_code drop_file_fn(struct tx *tx, void *arg, struct err *err)
{
    const int64_t *id = arg;
    return files_delete(tx, *id, err);
}

static int64_t file_of(struct job *job)
{
    const struct str params = job_params(job);
    json_t *json = params.len ? json_loadb(params.ptr, params.len, 0, NULL) : NULL;
    const int64_t id = json_get_id(json, "file");
    json_decref(json);
    return id;
}

/* Only for who brought it. */
static enum err_code open_source(struct run *run, struct err *err)
{
    struct wanted wanted = { .arena = job_arena(run->job), .id = file_of(run->job) };
    enum charset charset = CHARSET_UTF8;
    char full[2 * PACK_NAME_MAX + 2];
    int fd = -1;
    enum err_code rc = store_read(run->imports->store, file_fn, &wanted, err);
    if (rc == ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND, "entity.import_gone", ARG_END);
    if (!rc && wanted.info.created_by != job_user(run->job))
        rc = err_set(err, ERR_NOT_FOUND, "entity.not_found", ARG_END);
    if (rc)
        return rc;
    (void)snprintf(full, sizeof full, "%.*s", STR_ARG(import_file_type(wanted.info.owner_type)));
    run->type = entity_type_find(run->imports->entity, full);
    if (!run->type)
        return err_set(err, ERR_NOT_FOUND, "entity.no_type", ARG_TEXT("type", full), ARG_END);
    rc = files_content(run->imports->files, &wanted.info, &fd, err);
    if (!rc)
        rc = map_fd(fd, &run->source, err);
    if (fd >= 0)
        (void)close(fd);
    if (!rc)
        rc = charset_find(run->source.text, &charset, err);
    run->import.charset = charset_name(charset);
    return rc || charset == CHARSET_UTF8 ? rc : turn_source(run, charset, err);
}

/* ---- the place in it ---- */

static void put_counts(const struct counts *counts, struct buf *out)
{
    buf_printf(out,
               "\"rows\":%lld,\"created\":%lld,\"updated\":%lld,\"unchanged\":%lld,\"left_out\":%lld,"
               "\"faults\":%lld",
               (long long)counts->rows, (long long)counts->created, (long long)counts->updated,
               (long long)counts->unchanged, (long long)counts->left_out, (long long)counts->faults);
}

static enum err_code save_place(struct run *run, struct tx *tx, struct err *err)
{
    struct buf text;
    buf_init(&text, 1000);
    buf_printf(&text, "{\"at\":%zu,\"line\":%d,", run->next.at, run->next.line);
    put_counts(&run->done, &text);
    buf_char(&text, '}');
    enum err_code rc = buf_check(&text, err);
    if (!rc)
        rc = job_save_tx(run->job, tx, buf_get(&text), err);
    buf_done(&text);
    return rc;
}

static void read_place(struct run *run)
{
    const struct str saved = job_saved(run->job);
    json_t *json = saved.len ? json_loadb(saved.ptr, saved.len, 0, NULL) : NULL;
    const int64_t at = json_integer_value(json_object_get(json, "at"));
    if (at > 0 && (size_t)at <= run->source.text.len) {
        run->csv.at = (size_t)at;
        run->csv.line = (int)json_integer_value(json_object_get(json, "line"));
        run->counts = (struct counts) { json_integer_value(json_object_get(json, "rows")),
                                        json_integer_value(json_object_get(json, "created")),
                                        json_integer_value(json_object_get(json, "updated")),
                                        json_integer_value(json_object_get(json, "unchanged")),
                                        json_integer_value(json_object_get(json, "left_out")),
                                        json_integer_value(json_object_get(json, "faults")) };
    }
    json_decref(json);
}

static enum err_code tell_result(const struct run *run, struct err *err)
{
    struct buf text;
    buf_init(&text, 1000);
    buf_text(&text, "{\"type\":");
    buf_json(&text, run->type->full);
    buf_printf(&text, ",\"charset\":\"%s\",", run->import.charset);
    put_counts(&run->counts, &text);
    buf_char(&text, '}');
    enum err_code rc = buf_check(&text, err);
    if (!rc)
        rc = job_result(run->job, buf_get(&text), err);
    buf_done(&text);
    return rc;
}

/* ---- before anything is written ---- */

static enum err_code header_faults_fn(struct tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;
    const enum err_code rc = import_faults_forget(tx, job_id(run->job), err);
    return rc ? rc
              : import_faults_add(tx, job_id(run->job), 1, run->findings.items, run->findings.count, err);
}

/* Reads the file to its end: it must be CSV throughout, and its header must name fields. */
static enum err_code survey(struct run *run, struct err *err)
{
    struct csv csv;
    bool end = false;
    struct arena *arena = job_arena(run->job);
    csv_init(&csv, run->source.text);
    enum err_code rc = csv_next(&csv, arena, run->row, &end, err);
    if (!rc && end)
        rc = err_set(err, ERR_INVALID, "entity.no_header", ARG_END);
    if (rc)
        return rc;
    import_header(run->m, run->row);
    if (!job_saved(run->job).len) /* those of an earlier start that was asked for again */
        rc = store_write(run->imports->store, header_faults_fn, run, err);
    if (rc)
        return rc;
    if (run->findings.count) {
        run->counts.faults = run->findings.count;
        if (!rc)
            rc = tell_result(run, err);
        if (!rc && err)
            *err = run->findings.items[0];
        return rc ? rc : ERR_INVALID;
    }
    run->csv = csv;
    for (; !rc && !end; run->total += !end) {
        const struct arena_mark mark = arena_mark(arena);
        rc = csv_next(&csv, arena, run->row, &end, err);
        arena_release(arena, mark);
        if (!rc && run->total % 65536 == 0)
            rc = job_check(run->job, err);
    }
    return rc;
}

/* ---- portions ---- */

static void take_faults(struct run *run)
{
    const int before = run->faults_count;
    const int64_t room = IMPORT_FAULTS_MAX - run->done.faults;
    for (int i = 0; i < run->findings.count && run->faults_count - before < room; i++)
        if (run->faults_count < IMPORT_FAULTS_MAX)
            run->faults[run->faults_count++] = run->findings.items[i];
    run->done.faults += run->faults_count - before;
    run->done.left_out += run->findings.count > 0;
    run->findings.count = run->findings.more = 0;
}

static enum err_code portion_rows(struct run *run, struct err *err)
{
    struct importing *m = run->m;
    struct arena *arena = m->call.arena;
    enum err_code rc = ERR_OK;
    for (int n = 0; !rc && n < IMPORT_PORTION && run->done.faults < IMPORT_FAULTS_MAX; n++) {
        const struct arena_mark mark = arena_mark(arena);
        rc = csv_next(&run->next, arena, run->row, &run->end, err);
        if (rc || run->end)
            return rc;
        rc = import_row(m, run->row, err);
        if (!rc) {
            run->done.rows++;
            take_faults(run); /* their texts are copies */
        }
        arena_release(arena, mark);
    }
    return rc;
}

static enum err_code portion_fn(struct tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;
    struct importing *m = run->m;
    const struct counts *before = &run->counts;
    m->tx = tx;
    m->careful = run->careful;
    m->faulty = false;
    memset(&m->bulk, 0, sizeof m->bulk);
    m->call.bulk = run->careful ? NULL : &m->bulk;
    run->next = run->csv; /* it may run twice */
    run->done = run->counts;
    run->end = false;
    run->faults_count = 0;
    run->findings.count = run->findings.more = 0;
    run->import.created = run->import.updated = run->import.unchanged = 0;
    enum err_code rc = portion_rows(run, err);
    if (!rc && m->call.bulk)
        rc = tx_settle(tx, err);
    run->done.created = before->created + run->import.created;
    run->done.updated = before->updated + run->import.updated;
    run->done.unchanged = before->unchanged + run->import.unchanged;
    if (!rc)
        rc = import_faults_add(tx, job_id(run->job), before->faults + 1, run->faults, run->faults_count, err);
    return rc ? rc : save_place(run, tx, err);
}

static enum err_code portion(struct run *run, struct err *err)
{
    run->careful = false;
    enum err_code rc = store_write(run->imports->store, portion_fn, run, err);
    /* again with a savepoint a row; that of a posted one came without telling which it was */
    if (import_refuses(rc)) {
        run->careful = true;
        rc = store_write(run->imports->store, portion_fn, run, err);
    }
    if (rc)
        return rc;
    run->csv = run->next;
    run->counts = run->done;
    if (run->counts.faults >= IMPORT_FAULTS_MAX)
        rc = err_set(err, ERR_LIMIT, "entity.import_faults", ARG_INT("max", IMPORT_FAULTS_MAX), ARG_END);
    job_progress(run->job, run->counts.rows, run->total, run->type->full);
    const enum err_code told = tell_result(run, rc ? NULL : err);
    return rc ? rc : told;
}

static enum err_code tell_fn(struct tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;
    run->m->tx = tx;
    return import_tell(run->m, run->counts.rows, err);
}

static enum err_code go(struct run *run, struct err *err)
{
    enum err_code rc = survey(run, err);
    if (rc)
        return rc;
    read_place(run);
    while (!rc && !run->end) {
        rc = job_check(run->job, err);
        if (!rc)
            rc = portion(run, err);
    }
    struct err news = { 0 };
    if (run->counts.created + run->counts.updated) {
        const enum err_code told = store_write(run->imports->store, tell_fn, run, &news);
        if (!rc && told) {
            *err = news;
            return told;
        }
    }
    if (!rc) {
        int64_t file = file_of(run->job);
        rc = tell_result(run, err);
        if (!rc)
            rc = store_write(run->imports->store, drop_file_fn, &file, err);
    }
    return rc;
}

/* ---- the job ---- */

static enum err_code run_begin(struct run *run, const struct principal *who, struct err *err)
{
    struct arena *arena = job_arena(run->job);
    const enum err_code rc = findings_init(&run->findings, arena, err);
    if (rc)
        return rc;
    run->m = arena_alloc(arena, 1, sizeof *run->m);
    run->row = arena_alloc(arena, 1, sizeof *run->row);
    run->faults = arena_alloc(arena, IMPORT_FAULTS_MAX, sizeof *run->faults);
    if (!run->m || !run->row || !run->faults)
        return err_nomem(err);
    *run->m = (struct importing) { .call = { .entity = run->imports->entity,
                                             .who = who,
                                             .lang = LANG_EN,
                                             .arena = arena,
                                             .findings = &run->findings,
                                             .quiet = true },
                                   .type = run->type,
                                   .import = &run->import };
    return call_may(&run->m->call, run->type, "import", err);
}

static enum err_code run_import(void *arg, struct job *job, struct err *err)
{
    struct run run = { .imports = arg, .job = job };
    struct identity *identity = run.imports->identity;
    const struct principal *who = NULL;
    enum err_code rc = ERR_OK;
    if (job_user(job))
        rc = identity ? identity_hold(identity, job_user(job), &who, err)
                      : err_set(err, ERR_NOT_FOUND, "entity.not_found", ARG_END);
    if (!rc)
        rc = open_source(&run, err);
    if (!rc)
        rc = run_begin(&run, who, err);
    if (!rc)
        rc = go(&run, err);
    source_done(&run.source);
    if (who)
        identity_release(identity, who);
    return rc;
}

enum err_code import_jobs_register(struct import_jobs *imports, struct err *err)
{
    const struct job_kind kind = { .name = IMPORT_KIND, .run = run_import, .arg = imports, .tries = 20 };
    return jobs_register(imports->jobs, &kind, err);
}

struct adding {
    struct import_jobs *imports;
    int64_t file, user, job;
};

static enum err_code add_fn(struct tx *tx, void *arg, struct err *err)
{
    struct adding *adding = arg;
    char params[60];
    const int len = snprintf(params, sizeof params, "{\"file\":\"%lld\"}", (long long)adding->file);
    return jobs_add(adding->imports->jobs, tx, STR(IMPORT_KIND), (struct str) { params, (size_t)len },
                    adding->user, &adding->job, err);
}

enum err_code import_job_add(struct import_jobs *imports, const struct entity_type *type, int fd,
                             int64_t size, struct str name, int64_t user, int64_t *out_job, struct err *err)
{
    char owner[2 * PACK_NAME_MAX + 20];
    struct adding adding = { .imports = imports, .user = user };
    const int len = snprintf(owner, sizeof owner, OWNER "%.*s", STR_ARG(type->full));
    struct file_info info = { .owner_type = { owner, (size_t)len },
                              .owner = ids_next(imports->entity->config.ids),
                              .name = name.len ? name : STR("import.csv"),
                              .created_by = user };
    enum err_code rc = files_put(imports->files, fd, size, &info, err);
    adding.file = info.id;
    if (!rc)
        rc = store_write(imports->store, add_fn, &adding, err);
    if (!rc)
        *out_job = adding.job;
    return rc;
}
