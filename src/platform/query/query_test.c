/* query_test.c - what a query may say, and that it shows only the reader's rows; on both stores */
#include "platform/query/query.h"

#include "rig.h"
#include "test.h"

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
#define TITLES "-- title zh-CN: x\n-- title en: x\n"

struct fixture {
    struct rig rig;
    struct queries *queries;
};

/* The pack has that query, in place of the one that it had. */
static void ask(struct fixture *f, const char *sql)
{
    struct err err = { 0 };
    queries_free(f->queries);
    rig_put(&f->rig, "p/queries/q.sql", sql);
    rig_load(&f->rig);
    teststore_ok(queries_load(f->rig.entity, f->rig.packs, NULL, &f->rig.findings, &f->queries, &err), &err,
                 "queries");
}

static void begin(struct fixture *f)
{
    *f = (struct fixture) { 0 };
    rig_begin(&f->rig);
    rig_pack(&f->rig, "p");
    rig_put(&f->rig, "p/types/site.json",
            "{\"type\":\"object\",\"x-kind\":\"subject\"," T
            ",\"properties\":{\"size\":{\"type\":\"integer\"," T "},"
            "\"share\":{\"type\":\"number\"," T "}},\"x-scope\":{\"org\":\"org\"}}");
}

static void end(struct fixture *f)
{
    queries_free(f->queries);
    rig_end(&f->rig);
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
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask(&f, cases[i].sql);
        const char *got = f.rig.findings.count ? f.rig.findings.items[0].id : NULL;
        test_ok(cases[i].id ? got && !strcmp(got, cases[i].id) : !got, "%s: %s %s", cases[i].sql,
                got ? got : "fine", got ? f.rig.findings.items[0].args[1].text : "");
        test_ok(queries_count(f.queries) == (cases[i].id ? 0 : 1), "%s", cases[i].sql);
    }
    end(&f);
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
    begin(&f);
    ask(&f, TITLES
        "-- param least integer\n-- column n integer 数 | count\n-- limit 2\n"
        "SELECT o.name, count(*) AS n, sum(s.size) AS total, avg(s.size) AS mean, min(s.share) AS share"
        " FROM @site s JOIN @core.org o ON o.id = s.org"
        " WHERE (:least IS NULL OR s.size >= :least) GROUP BY o.name ORDER BY o.name");
    test_ok(!f.rig.findings.count, "%s %s", f.rig.findings.items[0].id, f.rig.findings.items[0].args[1].text);
    struct run run = { .f = &f,
                       .call = { .entity = f.rig.entity, .lang = LANG_EN, .arena = f.rig.arena },
                       .out = &out };
    rig_people(&f.rig);
    teststore_ok(rig_tables(&f.rig, &err), &err, "tables");
    for (int i = 0; i < 6; i++)
        (void)rig_add(&f.rig, NULL, "p.site",
                      "{\"code\":\"c%d\",\"name\":\"n\",\"org\":\"%d\",\"size\":%d,\"share\":0.25}", i,
                      2 + i % 2, i);
    static const struct str rights[] = { { "p.*", 3 } };
    const struct grant left = { rights, 1, { .org_id = 2, .org_path = STR("/1/2/") } };
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
        teststore_ok(store_read(f.rig.store, run_fn, &run, &err), &err, "run");
        test_ok(str_eq(buf_get(&out), str_from(cases[i].want)), "%zu: %s", i, out.ptr);
    }
    run.call.who = &nobody;
    test_ok(store_read(f.rig.store, run_fn, &run, &err) == ERR_FORBIDDEN, "nobody");
    run.call.who = NULL;
    run.least = "x";
    test_ok(store_read(f.rig.store, run_fn, &run, &err) == ERR_INVALID && !strcmp(err.at.pointer, "/?least"),
            "bad");
    buf_done(&out);
    end(&f);
}

TEST_MAIN(TEST(test_refused), TEST(test_run))
