/* fact_test.c - what held at an instant, as it was known at another: lists, single facts, counts and queries
 * against a plain reading of the log; on both stores */
#include "platform/query/query.h"

#include "rig.h"
#include "test.h"

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
#define TITLES "-- title zh-CN: x\n-- title en: x\n"
#define START INT64_C(1795240000000)
#define FACTS 120

/* The log as the test keeps it. */
struct fact {
    int64_t id, happened, known;
    int corrects; /* index, -1 = none */
    int score;
};

struct fixture {
    struct rig rig;
    struct queries *queries;
    int64_t subject;
    struct fact facts[FACTS];
    int count;
};

static void put_pack(const struct rig *rig)
{
    rig_pack(rig, "p");
    rig_put(rig, "p/types/site.json",
            "{\"type\":\"object\",\"x-kind\":\"subject\"," T ",\"x-scope\":{\"org\":\"org\"}}");
    rig_put(rig, "p/types/event.json",
            "{\"type\":\"object\",\"x-kind\":\"fact\"," T
            ",\"properties\":{\"score\":{\"type\":\"integer\"," T "},\"note\":{\"type\":\"string\"," T
            "}},\"x-search\":[\"note\"],\"x-sort\":[\"-happened_at\"]}");
    rig_put(rig, "p/types/bare.json",
            "{\"type\":\"object\",\"x-kind\":\"fact\"," T
            ",\"properties\":{\"known_at\":false,\"supersedes\":"
            "false,\"score\":{\"type\":\"integer\"," T "}}}");
    rig_put(rig, "p/queries/q.sql", TITLES "SELECT count(*) AS n, sum(score) AS total FROM @event e");
    rig_put(rig, "p/queries/r.sql",
            TITLES "-- facts all\nSELECT count(*) AS n, sum(score) AS total FROM @event e");
    rig_put(rig, "p/queries/s.sql",
            TITLES "-- column now instant x | x\n-- column known instant x | x\n"
                   "SELECT :now AS now, :today AS today, :known_until AS known, count(*) AS n FROM @site s");
}

static void end(struct fixture *f)
{
    queries_free(f->queries);
    rig_end(&f->rig);
}

/* ---- one operation ---- */

struct op {
    struct fixture *f;
    struct entity_call call;
    const struct entity_type *type;
    struct entity_list list;
    struct str query, as_of, known_until;
    int64_t id, count;
    struct buf out;
};

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    buf_clear(&op->out);
    return entity_list_json(&op->call, tx, op->type, &op->list, &op->out, err);
}

static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    bool exact;
    return entity_count(&op->call, tx, op->type, &op->list, &op->count, &exact, err);
}

static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    buf_clear(&op->out);
    return entity_get_json(&op->call, tx, op->type, op->id, NULL, &op->out, err);
}

static struct str param(void *arg, const char *name)
{
    const struct op *op = arg;
    return !strcmp(name, "as_of")         ? op->as_of
           : !strcmp(name, "known_until") ? op->known_until
                                          : (struct str) { 0 };
}

static enum err_code query_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    buf_clear(&op->out);
    return query_run(op->f->queries, queries_find(op->f->queries, STR("p"), op->query), &op->call, tx, param,
                     op, &op->out, err);
}

static struct op op_of(struct fixture *f, const char *type)
{
    struct op op = { .f = f,
                     .call = { .entity = f->rig.entity, .lang = LANG_EN, .arena = f->rig.arena },
                     .type = entity_type_find(f->rig.entity, type),
                     .list = { .limit = ENTITY_PAGE_MAX } };
    buf_init(&op.out, 8 << 20);
    return op;
}

static void add_fact(struct fixture *f, int64_t happened, int corrects, int score)
{
    struct fact *fact = &f->facts[f->count];
    char text[CLOCK_TEXT_SIZE], more[60] = "";
    (void)clock_text(happened, CLOCK_SHOWN_MINUTES, text);
    if (corrects >= 0)
        (void)snprintf(more, sizeof more, ",\"supersedes\":\"%lld\"", (long long)f->facts[corrects].id);
    *fact = (struct fact) { .happened = happened, .known = f->rig.clock.test_ms, .corrects = corrects };
    fact->score = score;
    fact->id = rig_add(&f->rig, NULL, "p.event",
                       "{\"subject\":\"%lld\",\"happened_at\":\"%s\",\"score\":%d,\"note\":\"%s one\"%s}",
                       (long long)f->subject, text, score, score % 2 ? "odd" : "even", more);
    f->count++;
}

static uint64_t random_next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void begin(struct fixture *f)
{
    struct err err = { 0 };
    struct rig *rig = &f->rig;
    *f = (struct fixture) { 0 };
    rig_begin(rig);
    put_pack(rig);
    rig_load(rig);
    teststore_ok(queries_load(rig->entity, rig->packs, NULL, &rig->findings, &f->queries, &err), &err,
                 "queries");
    test_ok(!rig->findings.count, "%s %s", rig->findings.items[0].id, rig->findings.items[0].args[1].text);
    teststore_ok(rig_tables(rig, &err), &err, "tables");
    f->subject = rig_add(rig, NULL, "p.site", "{\"code\":\"a\",\"name\":\"a\"}");
}

/* Days of facts, a quarter of them corrections, some of corrections. */
static void fill(struct fixture *f, uint64_t seed)
{
    while (f->count < FACTS) {
        f->rig.clock.test_ms += (int64_t)(random_next(&seed) % 3) * 1000;
        const int64_t happened = START - 50000 + (int64_t)(random_next(&seed) % 200) * 1000;
        const bool corrects = f->count > 3 && random_next(&seed) % 4 == 0;
        add_fact(f, happened, corrects ? (int)(random_next(&seed) % (uint64_t)f->count) : -1,
                 (int)(random_next(&seed) % 100));
    }
}

/* ---- what should hold ---- */

static bool holds(const struct fixture *f, int i, const struct fact_window *at)
{
    for (int n = 0; at && n < f->count; n++)
        if (f->facts[n].corrects == i && f->facts[n].known <= at->known_until)
            return false;
    return !at || (f->facts[i].happened <= at->as_of && f->facts[i].known <= at->known_until);
}

static void check_list(struct op *op, const struct fact_window *at, bool odd)
{
    struct fixture *f = op->f;
    struct err err = { 0 };
    int want = 0;
    bool seen[FACTS] = { 0 };
    op->call.facts = at;
    op->list = (struct entity_list) { .limit = ENTITY_PAGE_MAX, .text = odd ? STR("odd") : STR("") };
    teststore_ok(store_read(f->rig.store, list_fn, op, &err), &err, "list");
    json_t *json = json_loadb(op->out.ptr, op->out.len, 0, NULL), *item;
    size_t n;
    json_array_foreach(json_object_get(json, "items"), n, item)
    {
        for (int i = 0; i < f->count; i++)
            seen[i] = seen[i] || f->facts[i].id == record_id(item, "id");
    }
    for (int i = 0; i < f->count; i++) {
        const bool in = holds(f, i, at) && (!odd || f->facts[i].score % 2);
        test_ok(seen[i] == in, "fact %d: %d, wanted %d", i, seen[i], in);
        want += in;
    }
    test_ok(json_array_size(json_object_get(json, "items")) == (size_t)want, "each once");
    json_decref(json);
    teststore_ok(store_read(f->rig.store, count_fn, op, &err), &err, "count");
    test_ok(op->count == want, "count %lld of %d", (long long)op->count, want);
}

static void check_query(struct op *op, const struct fact_window *at, const char *query)
{
    char text[2][CLOCK_TEXT_SIZE], want[80];
    struct err err = { 0 };
    int64_t n = 0, total = 0;
    op->call.facts = NULL;
    op->query = str_from(query);
    op->as_of = (struct str) { text[0], clock_text(at->as_of, 480, text[0]) };
    op->known_until = (struct str) { text[1], clock_text(at->known_until, 480, text[1]) };
    teststore_ok(store_read(op->f->rig.store, query_fn, op, &err), &err, "query");
    for (int i = 0; i < op->f->count; i++) {
        const bool in = holds(op->f, i, *query == 'q' ? at : NULL);
        n += in;
        total += in ? op->f->facts[i].score : 0;
    }
    (void)snprintf(want, sizeof want,
                   n ? "\"items\":[{\"n\":%lld,\"total\":%lld}]" : "{\"n\":0,\"total\":null}", (long long)n,
                   (long long)total);
    test_ok(str_find(buf_get(&op->out), str_from(want)) >= 0, "%s: %s", want, op->out.ptr);
}

static void test_windows(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    fill(&f, 20261121);
    struct op op = op_of(&f, "p.event");
    const int64_t last = f.rig.clock.test_ms;
    uint64_t seed = 7;
    check_list(&op, NULL, false);
    for (int turn = 0; turn < 60; turn++) {
        const struct fact_window at = {
            .as_of = START - 60000 + (int64_t)(random_next(&seed) % 220) * 1000,
            .known_until = START - 1000 + (int64_t)(random_next(&seed) % (uint64_t)(last - START + 3000)),
        };
        check_list(&op, &at, turn % 3 == 0);
        check_query(&op, &at, turn % 5 ? "q" : "r");
    }
    buf_done(&op.out);
    end(&f);
}

/* What was answered for two instants is answered again, byte by byte, whatever came to be known since. */
static void test_repeated(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    begin(&f);
    add_fact(&f, START - 5000, -1, 10);
    add_fact(&f, START - 4000, -1, 20);
    const struct fact_window then = { START, START };
    char text[CLOCK_TEXT_SIZE];
    struct op list = op_of(&f, "p.event"), query = op_of(&f, "p.event");
    list.call.facts = &then;
    query.query = STR("q");
    query.as_of = query.known_until = (struct str) { text, clock_text(START, 480, text) };
    teststore_ok(store_read(f.rig.store, list_fn, &list, &err), &err, "list");
    teststore_ok(store_read(f.rig.store, query_fn, &query, &err), &err, "query");
    const struct str rows = arena_str(f.rig.arena, buf_get(&list.out));
    const struct str sums = arena_str(f.rig.arena, buf_get(&query.out));
    test_ok(str_find(sums, STR("\"total\":30")) >= 0, "%s", sums.ptr);
    f.rig.clock.test_ms += 1000;
    add_fact(&f, START - 5000, 0, 11);   /* corrects the first */
    add_fact(&f, START - 3000, -1, 100); /* happened before, heard of later */
    teststore_ok(store_read(f.rig.store, list_fn, &list, &err), &err, "list");
    teststore_ok(store_read(f.rig.store, query_fn, &query, &err), &err, "query");
    test_ok(str_eq(buf_get(&list.out), rows), "%s", list.out.ptr);
    test_ok(str_eq(buf_get(&query.out), sums), "%s", query.out.ptr);
    query.as_of = query.known_until = (struct str) { 0 };
    teststore_ok(store_read(f.rig.store, query_fn, &query, &err), &err, "query");
    test_ok(str_find(buf_get(&query.out), STR("\"n\":3,\"total\":131")) >= 0, "%s", query.out.ptr);
    buf_done(&list.out);
    buf_done(&query.out);
    end(&f);
}

static void test_one(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    begin(&f);
    add_fact(&f, START - 5000, -1, 10);
    f.rig.clock.test_ms += 1000;
    add_fact(&f, START - 1000, 0, 11);
    struct op op = op_of(&f, "p.event");
    static const struct {
        int fact;
        int64_t as_of, known_until;
        bool there;
    } cases[] = {
        { 0, 0, 0, true },         { 0, -5000, 0, true },     { 0, -5001, 0, false }, { 0, 0, -1, false },
        { 0, 0, 999, true },       { 0, 0, 1000, false },     { 1, 0, 1000, true },   { 1, 0, 999, false },
        { 1, -1001, 1000, false }, { 0, -1001, 1000, false }, /* it was moved behind that instant */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct fact_window at = { START + cases[i].as_of, START + cases[i].known_until };
        op.id = f.facts[cases[i].fact].id;
        op.call.facts = &at;
        const enum err_code rc = store_read(f.rig.store, get_fn, &op, &err);
        test_ok(rc == (cases[i].there ? ERR_OK : ERR_NOT_FOUND), "%zu: %d", i, rc);
        op.call.facts = NULL;
        teststore_ok(store_read(f.rig.store, get_fn, &op, &err), &err, "without a window");
    }
    /* a type without the two columns: known when it was made, never corrected */
    op.type = entity_type_find(f.rig.entity, "p.bare");
    char text[CLOCK_TEXT_SIZE];
    (void)clock_text(START, CLOCK_SHOWN_MINUTES, text);
    op.id = rig_add(&f.rig, NULL, "p.bare", "{\"subject\":\"%lld\",\"happened_at\":\"%s\"}",
                    (long long)f.subject, text);
    const struct fact_window before = { START + 9000, f.rig.clock.test_ms - 1 },
                             now = { START, f.rig.clock.test_ms };
    op.call.facts = &before;
    test_ok(store_read(f.rig.store, get_fn, &op, &err) == ERR_NOT_FOUND, "before it was made");
    op.call.facts = &now;
    teststore_ok(store_read(f.rig.store, get_fn, &op, &err), &err, "when it was made");
    buf_done(&op.out);
    end(&f);
}

/* `now` and `today` of a query are those of as_of; what is no instant is refused at its parameter. */
static void test_parameters(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    begin(&f);
    struct op op = op_of(&f, "p.event");
    op.query = STR("s");
    op.as_of = STR("2026-03-04T23:30:00+08:00");
    op.known_until = STR("2026-05-06T00:00:00Z");
    teststore_ok(store_read(f.rig.store, query_fn, &op, &err), &err, "query");
    test_ok(str_find(buf_get(&op.out), STR("{\"now\":\"2026-03-04T23:30:00+08:00\",\"today\":\"2026-03-04\","
                                           "\"known\":\"2026-05-06T08:00:00+08:00\",\"n\":1}")) >= 0,
            "%s", op.out.ptr);
    op.known_until = STR("yesterday");
    test_ok(store_read(f.rig.store, query_fn, &op, &err) == ERR_INVALID, "no instant");
    test_ok(!strcmp(err.at.pointer, "/?known_until"), "%s", err.at.pointer);
    buf_done(&op.out);
    end(&f);
}

TEST_MAIN(TEST(test_windows), TEST(test_repeated), TEST(test_one), TEST(test_parameters))
