/* import_job_test.c - tables of any length by a job: portions, faults, stopping and going on; on both stores
 */
#include "platform/entity/import_job.h"
#include "platform/entity/sites_test.h"
#include "platform/files/files.h"
#include "platform/jobs/jobs.h"

#include <time.h>
#include <unistd.h>

#define WAIT_MS 120000

struct world {
    struct rig rig;
    struct files *files;
    struct jobs *jobs;
    struct import_jobs imports;
};

static void jobs_begin(struct world *w)
{
    struct err err = { 0 };
    teststore_ok(jobs_new(w->rig.store, &w->rig.ids, NULL, STR("home/1"), &w->jobs, &err), &err, "jobs");
    w->imports = (struct import_jobs) { .entity = w->rig.entity,
                                        .store = w->rig.store,
                                        .jobs = w->jobs,
                                        .files = w->files,
                                        .temp_dir = w->rig.root };
    teststore_ok(import_jobs_register(&w->imports, &err), &err, "register");
    teststore_ok(jobs_start(w->jobs, 1, &err), &err, "start");
}

static void world_begin(struct world *w)
{
    struct err err = { 0 };
    char dir[120];
    *w = (struct world) { .rig = { .live = true } };
    begin(&w->rig);
    (void)snprintf(dir, sizeof dir, "%s/files", w->rig.root);
    teststore_ok(files_open(dir, NULL, w->rig.store, &w->rig.ids, &w->rig.clock, &w->files, &err), &err,
                 "files");
    jobs_begin(w);
}

static void world_end(struct world *w)
{
    jobs_free(w->jobs);
    files_free(w->files);
    rig_end(&w->rig);
}

static int64_t ask(struct world *w, struct str text)
{
    struct err err = { 0 };
    char path[120];
    int64_t job = 0;
    (void)snprintf(path, sizeof path, "%s/in.csv", w->rig.root);
    FILE *file = fopen(path, "w+");
    test_ok(file && fwrite(text.ptr, 1, text.len, file) == text.len && !fflush(file), "%s", path);
    const enum err_code rc =
        import_job_add(&w->imports, entity_type_find(w->rig.entity, "p.site"), fileno(file),
                       (int64_t)text.len, (struct str) { 0 }, 0, &job, &err);
    teststore_ok(rc, &err, "add");
    (void)fclose(file);
    return job;
}

static struct job_info look(struct world *w, int64_t job)
{
    struct err err = { 0 };
    struct job_info info;
    teststore_ok(jobs_get(w->jobs, w->rig.arena, job, &info, &err), &err, "look");
    return info;
}

/* Until it has ended, or done more than that. */
static struct job_info wait_for(struct world *w, int64_t job, int64_t done)
{
    const int64_t until = clock_mono(&CLOCK_SYSTEM) + WAIT_MS;
    struct job_info info = look(w, job);
    while (info.state < JOB_DONE && info.done <= done) {
        const struct timespec nap = { .tv_nsec = 20000000 };
        test_ok(clock_mono(&CLOCK_SYSTEM) < until, "job stands at %lld", (long long)info.done);
        (void)nanosleep(&nap, NULL);
        info = look(w, job);
    }
    return info;
}

static int64_t said(const struct job_info *info, const char *name)
{
    json_t *json = json_loadb(info->result.ptr, info->result.len, 0, NULL);
    const int64_t number = json_integer_value(json_object_get(json, name));
    json_decref(json);
    return number;
}

struct fault {
    int line, column;
    char id[40];
};
struct faults {
    struct world *world;
    int64_t job;
    struct fault items[20];
    int count;
};

static enum err_code add_fault(void *arg, int64_t number, const struct err *fault, struct err *err)
{
    struct faults *faults = arg;
    (void)err;
    test_ok(number == faults->count + 1 && faults->count < 20, "number %lld", (long long)number);
    struct fault *one = &faults->items[faults->count++];
    one->line = fault->at.line;
    one->column = fault->at.column;
    (void)snprintf(one->id, sizeof one->id, "%s", fault->id);
    return ERR_OK;
}

static enum err_code faults_fn(struct tx *tx, void *arg, struct err *err)
{
    struct faults *faults = arg;
    faults->count = 0;
    return import_faults_each(tx, faults->job, 0, 20, faults->world->rig.arena, add_fault, faults, err);
}

static struct faults faults_of(struct world *w, int64_t job)
{
    struct err err = { 0 };
    struct faults faults = { .world = w, .job = job };
    teststore_ok(store_read(w->rig.store, faults_fn, &faults, &err), &err, "faults");
    return faults;
}

static int64_t sites(struct world *w)
{
    return teststore_number(w->rig.store, "SELECT count(*) FROM p_site");
}

/* Portions in GBK: rows with faults are left out and told, rows refused by the store too; the others stand.
 */
static void test_portions(void **state)
{
    (void)state;
    struct world w;
    struct buf text;
    world_begin(&w);
    buf_init(&text, 1 << 20);
    buf_text(&text, "code,size,name,parent\n");
    for (int i = 0; i < 2500; i++) {
        const char *size = i == 7 ? "many" : "1";
        const char *parent = i == 1200 ? "nobody" : i == 2400 ? "c3" : "";
        if (i == 1500)
            buf_text(&text, ",1,x,\n"); /* no code: refused when it is written */
        else
            buf_printf(&text, "c%d,%s,\xd6\xd0\xce\xc4,%s\n", i == 2300 ? 5 : i, size, parent);
    }
    const int64_t job = ask(&w, buf_get(&text));
    const struct job_info info = wait_for(&w, job, INT64_MAX - 1);
    test_ok(info.state == JOB_DONE, "%s: %.*s", job_state_name(info.state), STR_ARG(info.error));
    test_ok(info.done == 2500 && info.total == 2500, "%lld of %lld", (long long)info.done,
            (long long)info.total);
    test_ok(said(&info, "rows") == 2500 && said(&info, "created") == 2496 && said(&info, "left_out") == 3,
            "%.*s", STR_ARG(info.result));
    test_ok(said(&info, "unchanged") == 1 && said(&info, "faults") == 3, "%.*s", STR_ARG(info.result));
    test_ok(str_find(info.result, STR("\"GB18030\"")) > 0, "%.*s", STR_ARG(info.result));
    test_ok(sites(&w) == 2496, "%lld", (long long)sites(&w));
    const struct faults faults = faults_of(&w, job);
    static const struct fault want[] = { { 9, 4, "entity.wrong_type" },
                                         { 1202, 12, "entity.no_reference" },
                                         { 1502, 1, "entity.required" } };
    test_ok(faults.count == 3, "%d", faults.count);
    for (int i = 0; i < 3; i++)
        test_ok(faults.items[i].line == want[i].line && faults.items[i].column == want[i].column &&
                    !strcmp(faults.items[i].id, want[i].id),
                "%d:%d %s", faults.items[i].line, faults.items[i].column, faults.items[i].id);
    buf_done(&text);
    world_end(&w);
}

/* What cannot be read to its end, or has a wrong header, changes nothing. */
static void test_nothing(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    static const struct {
        const char *csv, *id;
        int faults;
    } cases[] = {
        { "", "entity.no_header", 0 },
        { "code,nope\na,b\n", "entity.unknown_column", 1 },
        { "code,name\na,b\nc,\"d", "csv.open", 0 },
        { "code,name\na,b\xff\n", "charset.neither", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char id[80];
        const int64_t job = ask(&w, str_from(cases[i].csv));
        const struct job_info info = wait_for(&w, job, INT64_MAX - 1);
        (void)snprintf(id, sizeof id, "\"id\":\"%s\"", cases[i].id);
        test_ok(info.state == JOB_FAILED && str_find(info.error, str_from(id)) >= 0, "%s: %.*s", cases[i].csv,
                STR_ARG(info.error));
        test_ok(faults_of(&w, job).count == cases[i].faults, "%s", cases[i].csv);
    }
    test_ok(sites(&w) == 0, "nothing");
    world_end(&w);
}

struct cancelling {
    struct jobs *jobs;
    int64_t job;
};

static enum err_code cancel_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct cancelling *cancelling = arg;
    return jobs_cancel(cancelling->jobs, tx, cancelling->job, err);
}

/* A process that ends goes on where it was when it starts again, no row twice; a cancelled one keeps what it
 * wrote in whole portions. */
static void test_stopped(void **state)
{
    (void)state;
    struct world w;
    struct buf text;
    struct err err = { 0 };
    world_begin(&w);
    buf_init(&text, 64 << 20);
    buf_text(&text, "code,name\n");
    for (int i = 0; i < 400000; i++)
        buf_printf(&text, "c%d,n\n", i);
    const int64_t job = ask(&w, buf_get(&text));
    test_ok(wait_for(&w, job, 0).state == JOB_RUNNING, "it runs");
    jobs_free(w.jobs);
    const int64_t first = sites(&w);
    test_ok(first >= IMPORT_PORTION && first % IMPORT_PORTION == 0, "whole portions: %lld", (long long)first);
    jobs_begin(&w);
    test_ok(wait_for(&w, job, first).state == JOB_RUNNING, "it goes on");
    struct cancelling cancelling = { w.jobs, job };
    teststore_ok(store_write(w.rig.store, cancel_fn, &cancelling, &err), &err, "cancel");
    const struct job_info info = wait_for(&w, job, INT64_MAX - 1);
    test_ok(info.state == JOB_CANCELLED, "%s", job_state_name(info.state));
    test_ok(sites(&w) > first && said(&info, "created") == sites(&w) && said(&info, "unchanged") == 0,
            "%lld: %.*s", (long long)sites(&w), STR_ARG(info.result));
    test_ok(said(&info, "rows") % IMPORT_PORTION == 0, "%.*s", STR_ARG(info.result));
    buf_done(&text);
    world_end(&w);
}

TEST_MAIN(TEST(test_portions), TEST(test_nothing), TEST(test_stopped))
