/* fact_test.c - what held at an instant, as it was known at another: lists, single facts, counts and queries
 * against a plain reading of the log; on both stores */
#include "platform/query/query.h"

#include "platform/identity/principal.h"
#include "test.h"
#include "teststore.h"

#include <sys/stat.h>
#include <unistd.h>

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
    const struct entity_type *event, *bare;
    int64_t subject;
    struct fact facts[FACTS];
    int count;
};

static void put(const struct fixture *f, const char *path, const char *text)
{
    char full[200];
    (void)snprintf(full, sizeof full, "%s/%s", f->root, path);
    FILE *file = fopen(full, "w");
    test_ok(file && fputs(text, file) >= 0 && !fclose(file), "%s", full);
}

static void put_pack(const struct fixture *f)
{
    static const char *const folders[] = { "p", "p/types", "p/queries" };
    char path[200];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", f->root, folders[i]);
        mkdir(path, 0700);
    }
    put(f, "p/pack.json", "{\"name\":\"p\",\"version\":\"1\",\"title\":{\"zh-CN\":\"p\",\"en\":\"p\"}}");
    put(f, "p/types/site.json",
        "{\"type\":\"object\",\"x-kind\":\"subject\"," T ",\"x-scope\":{\"org\":\"org\"}}");
    put(f, "p/types/event.json",
        "{\"type\":\"object\",\"x-kind\":\"fact\"," T ",\"properties\":{\"score\":{\"type\":\"integer\"," T
        "},\"note\":{\"type\":\"string\"," T "}},\"x-search\":[\"note\"],\"x-sort\":[\"-happened_at\"]}");
    put(f, "p/types/bare.json",
        "{\"type\":\"object\",\"x-kind\":\"fact\"," T ",\"properties\":{\"known_at\":false,\"supersedes\":"
        "false,\"score\":{\"type\":\"integer\"," T "}}}");
    put(f, "p/queries/q.sql", TITLES "SELECT count(*) AS n, sum(score) AS total FROM @event e");
    put(f, "p/queries/r.sql", TITLES "-- facts all\nSELECT count(*) AS n, sum(score) AS total FROM @event e");
    put(f, "p/queries/s.sql",
        TITLES "-- column now instant x | x\n-- column known instant x | x\n"
               "SELECT :now AS now, :today AS today, :known_until AS known, count(*) AS n FROM @site s");
}

static void open_store(struct fixture *f)
{
    struct err err = { 0 };
    const char *dirs[] = { f->root };
    const enum err_code rc =
        packs_load(&(struct packs_config) { .dirs = dirs, .dirs_count = 1 }, &f->findings, &f->packs, &err);
    teststore_ok(rc, &err, "packs");
    f->store = teststore_open(teststore_url(), true, &f->clock);
    const struct entity_config config = {
        .store = f->store, .packs = f->packs, .ids = &f->ids, .clock = &f->clock, .words = f->words
    };
    teststore_ok(entity_open(&config, &f->findings, &f->entity, &err), &err, "entity");
    teststore_ok(queries_load(f->entity, f->packs, NULL, &f->findings, &f->queries, &err), &err, "queries");
    test_ok(!f->findings.count, "%s %s", f->findings.items[0].id, f->findings.items[0].args[1].text);
    teststore_ok(entity_tables(f->entity, true, &f->findings, &err), &err, "tables");
    f->event = entity_type_find(f->entity, "p.event");
    f->bare = entity_type_find(f->entity, "p.bare");
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

/* ---- one operation ---- */

struct op {
    struct fixture *f;
    struct entity_call call;
    const struct entity_type *type;
    struct entity_list list;
    json_t *json;
    struct str query, as_of, known_until;
    int64_t id, count;
    struct buf out;
};

static enum err_code create_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_create(&op->call, tx, op->type, op->json, &op->id, err);
}

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

static struct op op_of(struct fixture *f, const struct entity_type *type)
{
    struct op op = { .f = f,
                     .call = { .entity = f->entity, .lang = LANG_EN, .arena = f->arena },
                     .type = type,
                     .list = { .limit = ENTITY_PAGE_MAX } };
    buf_init(&op.out, 8 << 20);
    return op;
}

static int64_t create(struct fixture *f, const char *type, json_t *json)
{
    struct op op = op_of(f, entity_type_find(f->entity, type));
    struct err err = { 0 };
    op.json = json;
    teststore_ok(store_write(f->store, create_fn, &op, &err), &err, type);
    json_decref(json);
    buf_done(&op.out);
    return op.id;
}

static json_t *instant(int64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    return json_stringn(text, clock_text(ms, 480, text));
}

static json_t *id_json(int64_t id)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)id);
    return json_string(text);
}

static void add_fact(struct fixture *f, int64_t happened, int corrects, int score)
{
    struct fact *fact = &f->facts[f->count];
    json_t *json = json_pack("{s:o, s:o, s:i, s:s}", "subject", id_json(f->subject), "happened_at",
                             instant(happened), "score", score, "note", score % 2 ? "odd one" : "even one");
    if (corrects >= 0)
        json_object_set_new(json, "supersedes", id_json(f->facts[corrects].id));
    *fact = (struct fact) { .happened = happened, .known = f->clock.test_ms, .corrects = corrects };
    fact->score = score;
    fact->id = create(f, "p.event", json);
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
    *f = (struct fixture) { 0 };
    strcpy(f->root, "/tmp/bihuan-fact-XXXXXX");
    test_ok(mkdtemp(f->root), "mkdtemp");
    put_pack(f);
    f->arena = arena_new(64 << 20);
    clock_test_init(&f->clock, START);
    ids_init(&f->ids, &f->clock, 0);
    f->words = words_new();
    test_ok(!findings_init(&f->findings, f->arena, &err), "findings");
    open_store(f);
    f->subject = create(f, "p.site", json_pack("{s:s, s:s}", "code", "a", "name", "a"));
}

/* Days of facts, a quarter of them corrections, some of corrections. */
static void fill(struct fixture *f, uint64_t seed)
{
    while (f->count < FACTS) {
        f->clock.test_ms += (int64_t)(random_next(&seed) % 3) * 1000;
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
    teststore_ok(store_read(f->store, list_fn, op, &err), &err, "list");
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
    teststore_ok(store_read(f->store, count_fn, op, &err), &err, "count");
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
    teststore_ok(store_read(op->f->store, query_fn, op, &err), &err, "query");
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
    struct op op = op_of(&f, f.event);
    const int64_t last = f.clock.test_ms;
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
    struct op list = op_of(&f, f.event), query = op_of(&f, f.event);
    list.call.facts = &then;
    query.query = STR("q");
    query.as_of = query.known_until = (struct str) { text, clock_text(START, 480, text) };
    teststore_ok(store_read(f.store, list_fn, &list, &err), &err, "list");
    teststore_ok(store_read(f.store, query_fn, &query, &err), &err, "query");
    const struct str rows = arena_str(f.arena, buf_get(&list.out));
    const struct str sums = arena_str(f.arena, buf_get(&query.out));
    test_ok(str_find(sums, STR("\"total\":30")) >= 0, "%s", sums.ptr);
    f.clock.test_ms += 1000;
    add_fact(&f, START - 5000, 0, 11);   /* corrects the first */
    add_fact(&f, START - 3000, -1, 100); /* happened before, heard of later */
    teststore_ok(store_read(f.store, list_fn, &list, &err), &err, "list");
    teststore_ok(store_read(f.store, query_fn, &query, &err), &err, "query");
    test_ok(str_eq(buf_get(&list.out), rows), "%s", list.out.ptr);
    test_ok(str_eq(buf_get(&query.out), sums), "%s", query.out.ptr);
    query.as_of = query.known_until = (struct str) { 0 };
    teststore_ok(store_read(f.store, query_fn, &query, &err), &err, "query");
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
    f.clock.test_ms += 1000;
    add_fact(&f, START - 1000, 0, 11);
    struct op op = op_of(&f, f.event);
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
        const enum err_code rc = store_read(f.store, get_fn, &op, &err);
        test_ok(rc == (cases[i].there ? ERR_OK : ERR_NOT_FOUND), "%zu: %d", i, rc);
        op.call.facts = NULL;
        teststore_ok(store_read(f.store, get_fn, &op, &err), &err, "without a window");
    }
    /* a type without the two columns: known when it was made, never corrected */
    op.type = f.bare;
    op.id = create(&f, "p.bare",
                   json_pack("{s:o, s:o}", "subject", id_json(f.subject), "happened_at", instant(START)));
    const struct fact_window before = { START + 9000, f.clock.test_ms - 1 }, now = { START, f.clock.test_ms };
    op.call.facts = &before;
    test_ok(store_read(f.store, get_fn, &op, &err) == ERR_NOT_FOUND, "before it was made");
    op.call.facts = &now;
    teststore_ok(store_read(f.store, get_fn, &op, &err), &err, "when it was made");
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
    struct op op = op_of(&f, f.event);
    op.query = STR("s");
    op.as_of = STR("2026-03-04T23:30:00+08:00");
    op.known_until = STR("2026-05-06T00:00:00Z");
    teststore_ok(store_read(f.store, query_fn, &op, &err), &err, "query");
    test_ok(str_find(buf_get(&op.out), STR("{\"now\":\"2026-03-04T23:30:00+08:00\",\"today\":\"2026-03-04\","
                                           "\"known\":\"2026-05-06T08:00:00+08:00\",\"n\":1}")) >= 0,
            "%s", op.out.ptr);
    op.known_until = STR("yesterday");
    test_ok(store_read(f.store, query_fn, &op, &err) == ERR_INVALID, "no instant");
    test_ok(!strcmp(err.at.pointer, "/?known_until"), "%s", err.at.pointer);
    buf_done(&op.out);
    end(&f);
}

TEST_MAIN(TEST(test_windows), TEST(test_repeated), TEST(test_one), TEST(test_parameters))
