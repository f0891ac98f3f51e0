/* query_test.c - what a query may say, and that it shows only the reader's rows; on both stores */
#include "platform/query/query.h"

#include "platform/identity/principal.h"
#include "test.h"
#include "teststore.h"

#include <sys/stat.h>
#include <unistd.h>

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
#define TITLES "-- title zh-CN: x\n-- title en: x\n"

struct fixture {
    char root[64];
    struct arena *arena;
    struct packs *packs;
    struct store *store;
    struct clock clock;
    struct ids ids;
    struct words *words;
    struct entity *entity;
    struct queries *queries;
    struct findings findings;
};

static void put(const struct fixture *f, const char *path, const char *text)
{
    char full[200];
    (void)snprintf(full, sizeof full, "%s/%s", f->root, path);
    FILE *file = fopen(full, "w");
    test_ok(file && fputs(text, file) >= 0 && !fclose(file), "%s", full);
}

static enum err_code orgs_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return tx_exec(
        tx,
        "INSERT INTO org (id, path, code, name, version, created_at, created_by, updated_at, updated_by)"
        " VALUES (2, '/2/', 'b', 'left', 1, 0, 0, 0, 0), (3, '/3/', 'c', 'right', 1, 0, 0, 0, 0);",
        err);
}

static void begin(struct fixture *f, const char *sql)
{
    struct err err = { 0 };
    char path[200];
    static const char *const folders[] = { "p", "p/types", "p/queries" };
    *f = (struct fixture) { 0 };
    strcpy(f->root, "/tmp/bihuan-query-XXXXXX");
    test_ok(mkdtemp(f->root), "mkdtemp");
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", f->root, folders[i]);
        mkdir(path, 0700);
    }
    put(f, "p/pack.json", "{\"name\":\"p\",\"version\":\"1\",\"title\":{\"zh-CN\":\"p\",\"en\":\"p\"}}");
    put(f, "p/types/site.json",
        "{\"type\":\"object\",\"x-kind\":\"subject\"," T ",\"properties\":{\"size\":{\"type\":\"integer\"," T
        "},"
        "\"share\":{\"type\":\"number\"," T "}},\"x-scope\":{\"org\":\"org\"}}");
    put(f, "p/queries/q.sql", sql);
    f->arena = arena_new(64 << 20);
    clock_test_init(&f->clock, INT64_C(1795240000000));
    ids_init(&f->ids, &f->clock, 0);
    f->words = words_new();
    test_ok(!findings_init(&f->findings, f->arena, &err), "findings");
    const char *dirs[] = { f->root };
    test_ok(
        !packs_load(&(struct packs_config) { .dirs = dirs, .dirs_count = 1 }, &f->findings, &f->packs, &err),
        "packs");
    f->store = teststore_new();
    const struct entity_config config = {
        .store = f->store, .packs = f->packs, .ids = &f->ids, .clock = &f->clock, .words = f->words
    };
    teststore_ok(entity_open(&config, &f->findings, &f->entity, &err), &err, "entity");
    teststore_ok(queries_load(f->entity, f->packs, NULL, &f->findings, &f->queries, &err), &err, "queries");
}

static void end(struct fixture *f)
{
    queries_free(f->queries);
    entity_free(f->entity);
    packs_free(f->packs);
    store_close(f->store);
    words_free(f->words);
    arena_free(f->arena);
    char command[100];
    (void)snprintf(command, sizeof command, "rm -r %s", f->root);
    test_ok(!system(command), "rm");
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *id;
    } cases[] = {
        { TITLES "SELECT id FROM @site", NULL },
        { TITLES
          "SELECT s.id FROM @p.site s JOIN @subject u ON u.id = s.id JOIN @core.org o ON o.id = s.org;\n",
          NULL },
        { TITLES "WITH a AS (SELECT size FROM @site) SELECT sum(size) AS n FROM a", NULL },
        { "SELECT id FROM @site", "query.param" },
        { TITLES "SELECT id FROM p_site", "query.sql" },
        { TITLES "SELECT id FROM @nothing", "type.no_type" },
        { TITLES "SELECT name FROM sqlite_master", "query.denied" },
        { TITLES "SELECT * FROM \"m$p.site\"", "query.mirror_name" },
        { TITLES "SELECT id FROM @site; DELETE FROM @site", "query.second" },
        { TITLES "DELETE FROM @site", "query.sql" },
        { TITLES "SELECT load_extension('x') AS x", "query.denied" },
        { TITLES "SELECT random() AS x FROM @site", "query.denied" },
        { TITLES "SELECT nope FROM @site", "query.sql" },
        { TITLES "SELECT id FROM @site WHERE size = :n", "query.no_param" },
        { TITLES "-- param n thing\nSELECT id FROM @site", "query.param" },
        { TITLES "-- limit 0\nSELECT id FROM @site", "query.param" },
        { TITLES "SELECT id FROM @site WHERE size = ?1", "query.character" },
        { TITLES "-- column nope integer x | x\nSELECT id FROM @site", "query.no_column" },
        { TITLES "SELECT ';', id -- ; @nothing :no\nFROM @site /* @nothing */", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f, cases[i].sql);
        const char *got = f.findings.count ? f.findings.items[0].id : NULL;
        test_ok(cases[i].id ? got && !strcmp(got, cases[i].id) : !got, "%s: %s %s", cases[i].sql,
                got ? got : "fine", got ? f.findings.items[0].args[1].text : "");
        test_ok(queries_count(f.queries) == (cases[i].id ? 0 : 1), "%s", cases[i].sql);
        end(&f);
    }
}

struct run {
    struct fixture *f;
    struct entity_call call;
    struct buf *out;
    const char *least;
};

static struct str param(void *arg, const char *name)
{
    const struct run *run = arg;
    return !strcmp(name, "least") ? str_from(run->least) : (struct str) { 0 };
}

static enum err_code fill_fn(struct tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;
    for (int i = 0; i < 6; i++) {
        char text[200];
        int64_t id;
        (void)snprintf(text, sizeof text,
                       "{\"code\":\"c%d\",\"name\":\"n\",\"org\":\"%d\",\"size\":%d,\"share\":0.25}", i,
                       2 + i % 2, i);
        json_t *json = json_loads(text, 0, NULL);
        const enum err_code rc =
            entity_create(&run->call, tx, entity_type_find(run->f->entity, "p.site"), json, &id, err);
        json_decref(json);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code run_fn(struct tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;
    buf_clear(run->out);
    return query_run(run->f->queries, queries_at(run->f->queries, 0), &run->call, tx, param, run, run->out,
                     err);
}

static void test_run(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    struct buf out;
    buf_init(&out, 1 << 20);
    begin(&f, TITLES
          "-- param least integer\n-- column n integer 数 | count\n-- limit 2\n"
          "SELECT o.name, count(*) AS n, sum(s.size) AS total, avg(s.size) AS mean, min(s.share) AS share"
          " FROM @site s JOIN @core.org o ON o.id = s.org"
          " WHERE (:least IS NULL OR s.size >= :least) GROUP BY o.name ORDER BY o.name");
    test_ok(!f.findings.count, "%s %s", f.findings.items[0].id, f.findings.items[0].args[1].text);
    struct run run = { .f = &f,
                       .call = { .entity = f.entity, .lang = LANG_EN, .arena = f.arena },
                       .out = &out };
    teststore_ok(store_write(f.store, orgs_fn, NULL, &err), &err, "orgs");
    teststore_ok(entity_tables(f.entity, true, &f.findings, &err), &err, "tables");
    teststore_ok(store_write(f.store, fill_fn, &run, &err), &err, "fill");
    static const struct str rights[] = { { "p.*", 3 } };
    const struct grant left = { rights, 1, { .org_id = 2, .org_path = STR("/2/") } };
    const struct principal li = { .kind = PRINCIPAL_USER, .user_id = 7, .grants = &left, .grant_count = 1 };
    const struct principal nobody = { .kind = PRINCIPAL_USER, .user_id = 8 };
#define HEAD                                                                                                 \
    "{\"columns\":[{\"name\":\"name\",\"kind\":\"\",\"title\":\"name\"},{\"name\":\"n\",\"kind\":"           \
    "\"integer\",\"title\":\"count\"},"                                                                      \
    "{\"name\":\"total\",\"kind\":\"\",\"title\":\"total\"},{\"name\":\"mean\",\"kind\":\"\",\"title\":"     \
    "\"mean\"},"                                                                                             \
    "{\"name\":\"share\",\"kind\":\"\",\"title\":\"share\"}],\"items\":["
    const struct {
        const struct principal *who;
        const char *least, *want;
    } cases[] = {
        { NULL, NULL,
          HEAD "{\"name\":\"left\",\"n\":3,\"total\":6,\"mean\":2,\"share\":0.25},"
               "{\"name\":\"right\",\"n\":3,\"total\":9,\"mean\":3,\"share\":0.25}],\"more\":false}" },
        { &li, NULL,
          HEAD "{\"name\":\"left\",\"n\":3,\"total\":6,\"mean\":2,\"share\":0.25}],\"more\":false}" },
        { &li, "3",
          HEAD "{\"name\":\"left\",\"n\":1,\"total\":4,\"mean\":4,\"share\":0.25}],\"more\":false}" },
        { NULL, "99", HEAD "],\"more\":false}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run.call.who = cases[i].who;
        run.least = cases[i].least;
        teststore_ok(store_read(f.store, run_fn, &run, &err), &err, "run");
        test_ok(str_eq(buf_get(&out), str_from(cases[i].want)), "%zu: %s", i, out.ptr);
    }
    run.call.who = &nobody;
    test_ok(store_read(f.store, run_fn, &run, &err) == ERR_FORBIDDEN, "nobody");
    run.call.who = NULL;
    run.least = "x";
    test_ok(store_read(f.store, run_fn, &run, &err) == ERR_INVALID && !strcmp(err.at.pointer, "/?least"),
            "bad");
    buf_done(&out);
    end(&f);
}

TEST_MAIN(TEST(test_refused), TEST(test_run))
