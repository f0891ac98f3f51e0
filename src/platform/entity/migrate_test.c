/* migrate_test.c - types that change: what serve applies, what waits, what a pack writes down; both stores.
 */
#include "base/clock.h"
#include "crypto/keyring.h"
#include "platform/entity/entity.h"
#include "test.h"
#include "teststore.h"

#include <sys/stat.h>
#include <unistd.h>

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
#define TEXT(name) "\"" name "\":{\"type\":\"string\"," T "}"
#define TYPE(fields, more) "{\"type\":\"object\"," T ",\"properties\":{" fields "}" more "}"

struct world {
    char root[64];
    struct packs *packs;
    struct store *store;
    struct clock clock;
    struct ids ids;
    struct words *words;
    struct key_ring *keys;
    struct entity *entity;
    struct arena *arena;
    const struct entity_type *type;
    struct findings findings, news;
};

static void put(const struct world *w, const char *path, const char *text)
{
    char full[200];
    (void)snprintf(full, sizeof full, "%s/p/%s", w->root, path);
    FILE *file = fopen(full, "w");
    test_ok(file && fputs(text, file) >= 0 && !fclose(file), "%s", full);
}

static void close_packs(struct world *w)
{
    entity_free(w->entity);
    packs_free(w->packs);
    w->entity = NULL;
    w->packs = NULL;
}

/* The pack as it is from now on. */
static void load(struct world *w, const char *version, const char *schema)
{
    struct err err = { 0 };
    char json[200];
    const char *dirs[] = { w->root };
    close_packs(w);
    (void)snprintf(json, sizeof json,
                   "{\"name\":\"p\",\"version\":\"%s\",\"title\":{\"zh-CN\":\"p\",\"en\":\"p\"}}", version);
    put(w, "pack.json", json);
    put(w, "types/thing.json", schema);
    test_ok(!findings_init(&w->findings, w->arena, &err) && !findings_init(&w->news, w->arena, &err),
            "findings");
    teststore_ok(
        packs_load(&(struct packs_config) { .dirs = dirs, .dirs_count = 1 }, &w->findings, &w->packs, &err),
        &err, "packs");
    const struct entity_config config = { .store = w->store,
                                          .packs = w->packs,
                                          .ids = &w->ids,
                                          .clock = &w->clock,
                                          .words = w->words,
                                          .keys = w->keys };
    const enum err_code rc = entity_open(&config, &w->findings, &w->entity, &err);
    test_ok(!rc, "%s %s %s", err.id, w->findings.items[0].args[0].text, w->findings.items[0].args[1].text);
    w->type = entity_type_find(w->entity, "p.thing");
}

static void begin(struct world *w)
{
    struct err err = { 0 };
    char path[200];
    *w = (struct world) { 0 };
    strcpy(w->root, "/tmp/bihuan-migrate-XXXXXX");
    test_ok(mkdtemp(w->root), "mkdtemp");
    static const char *const folders[] = { "p", "p/types", "p/migrations" };
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", w->root, folders[i]);
        test_ok(!mkdir(path, 0700), "%s", path);
    }
    w->arena = arena_new(256 << 20);
    clock_test_init(&w->clock, INT64_C(1795240000000));
    ids_init(&w->ids, &w->clock, 0);
    w->words = words_new();
    (void)snprintf(path, sizeof path, "%s/keys/master", w->root);
    teststore_ok(key_ring_open(path, true, &w->keys, &err), &err, "keys");
    w->store = teststore_new();
}

static void end(struct world *w)
{
    char command[100];
    close_packs(w);
    store_close(w->store);
    key_ring_free(w->keys);
    words_free(w->words);
    arena_free(w->arena);
    (void)snprintf(command, sizeof command, "rm -r %s", w->root);
    test_ok(!system(command), "rm");
}

/* ---- what can be done ---- */

static enum err_code serve(struct world *w)
{
    struct err err = { 0 };
    w->findings.count = w->findings.more = 0;
    return entity_tables(w->entity, true, &w->findings, &err);
}

static enum err_code migrate(struct world *w, bool apply, struct err *err)
{
    w->findings.count = w->findings.more = w->news.count = w->news.more = 0;
    return entity_migrate(w->entity, apply, &w->news, &w->findings, err);
}

static const char *first(const struct world *w)
{
    return w->findings.count ? w->findings.items[0].id : "none";
}

/* Refused by serve with that finding. */
static void waits(struct world *w, const char *id)
{
    test_ok(serve(w) == ERR_PRECONDITION && !strcmp(first(w), id), "serve: %s, not %s", first(w), id);
}

static void migrated(struct world *w)
{
    struct err err = { 0 };
    enum err_code rc = migrate(w, false, &err);
    test_ok(!rc && w->news.count, "look: %s %s %s", err.id, first(w), w->findings.items[0].args[1].text);
    rc = migrate(w, true, &err);
    test_ok(!rc, "migrate: %s %s %s", err.id, first(w), w->findings.items[0].args[1].text);
    test_ok(!serve(w), "serve: %s", first(w));
}

struct op {
    struct entity_call call;
    const struct entity_type *type;
    int64_t id;
    json_t *json;
};
static enum err_code create_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_create(&op->call, tx, op->type, op->json, &op->id, err);
}
static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_get(&op->call, tx, op->type, op->id, &op->json, err);
}

static int64_t create(struct world *w, const char *json)
{
    struct err err = { 0 };
    struct op op = { .call = { .entity = w->entity, .arena = w->arena }, .type = w->type };
    op.json = json_loads(json, 0, NULL);
    const enum err_code rc = store_write(w->store, create_fn, &op, &err);
    test_ok(!rc, "%s: %s %s", json, err.id, err.at.pointer);
    json_decref(op.json);
    return op.id;
}

/* The member as compact JSON. */
static const char *shown(struct world *w, int64_t id, const char *member)
{
    static char text[200];
    struct err err = { 0 };
    struct op op = { .call = { .entity = w->entity, .arena = w->arena }, .type = w->type, .id = id };
    teststore_ok(store_read(w->store, get_fn, &op, &err), &err, "get");
    char *dumped = json_dumps(json_object_get(op.json, member), JSON_ENCODE_ANY);
    (void)snprintf(text, sizeof text, "%s", dumped ? dumped : "absent");
    free(dumped);
    json_decref(op.json);
    return text;
}

static void shows(struct world *w, int64_t id, const char *member, const char *want)
{
    test_ok(!strcmp(shown(w, id, member), want), "%s: %s, not %s", member, shown(w, id, member), want);
}

static enum err_code exec_fn(struct tx *tx, void *arg, struct err *err)
{
    return tx_exec(tx, arg, err);
}
static enum err_code exec(struct world *w, char *sql)
{
    struct err err = { 0 };
    return store_write(w->store, exec_fn, sql, &err);
}

/* ---- cases ---- */

/* A new field comes by itself; a node of the version before goes on beside it. */
static void test_side_by_side(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    static const char one[] = TYPE(TEXT("name"), ",\"x-sort\":[\"name\"]");
    static const char two[] = TYPE(TEXT("name") ",\"mark\":{\"type\":\"string\",\"default\":\"it's\"," T "}",
                                   ",\"x-sort\":[\"name\",\"mark\"]");
    load(&w, "1.0", one);
    test_ok(!serve(&w), "%s", first(&w));
    const int64_t old = create(&w, "{\"name\":\"a\"}");
    load(&w, "1.1", two);
    test_ok(!serve(&w), "%s", first(&w));
    shows(&w, old, "mark", "\"it's\"");
    load(&w, "1.0", one); /* the older node starts again, and writes */
    test_ok(!serve(&w), "older: %s", first(&w));
    const int64_t beside = create(&w, "{\"name\":\"b\"}");
    load(&w, "1.1", two);
    test_ok(!serve(&w), "%s", first(&w));
    shows(&w, beside, "mark", "\"it's\"");
    struct err err = { 0 };
    test_ok(!migrate(&w, false, &err) && w.news.count == 0, "the older node took nothing away: %d",
            w.news.count);
    end(&w);
}

/* What takes less waits, and is applied when every row bears it. */
static void test_narrow(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *finding, *cure;
    } cases[] = {
        { TYPE("\"name\":{\"type\":\"string\",\"maxLength\":4," T "}," TEXT("kind") "," TEXT("day"), ""),
          "entity.field_narrows", "UPDATE p_thing SET name = 'ok';" },
        { TYPE(TEXT("name") ",\"kind\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"]," T "}," TEXT("day"), ""),
          "entity.field_narrows", "UPDATE p_thing SET kind = 'b';" },
        { TYPE(TEXT("name") "," TEXT("kind") "," TEXT("day"), ",\"required\":[\"day\"]"),
          "entity.field_narrows", "UPDATE p_thing SET day = 'x';" },
        { TYPE(TEXT("name") ",\"kind\":{\"type\":\"string\",\"pattern\":\"^[a-c]$\"," T "}," TEXT("day"), ""),
          "entity.field_narrows", "UPDATE p_thing SET kind = 'c';" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct err err = { 0 };
        begin(&w);
        load(&w, "1", TYPE(TEXT("name") "," TEXT("kind") "," TEXT("day"), ""));
        test_ok(!serve(&w), "%s", first(&w));
        create(&w, "{\"name\":\"long name\",\"kind\":\"zz\"}");
        create(&w, "{\"name\":\"ok\",\"kind\":\"a\",\"day\":\"m\"}");
        load(&w, "2", cases[i].schema);
        waits(&w, cases[i].finding);
        test_ok(migrate(&w, true, &err) == ERR_PRECONDITION && !strcmp(first(&w), "entity.rows_unfit") &&
                    w.findings.items[0].args[2].number == 1,
                "%zu: %s", i, first(&w));
        char sql[100];
        (void)snprintf(sql, sizeof sql, "%s", cases[i].cure);
        test_ok(!exec(&w, sql), "cure");
        waits(&w, cases[i].finding);
        migrated(&w);
        load(&w, "3", TYPE(TEXT("name") "," TEXT("kind") "," TEXT("day"), "")); /* wider again: by itself */
        test_ok(!serve(&w), "wider: %s", first(&w));
        end(&w);
    }
}

static void test_unique(void **state)
{
    (void)state;
    struct world w;
    struct err err = { 0 };
    begin(&w);
    load(&w, "1", TYPE(TEXT("name"), ""));
    test_ok(!serve(&w), "%s", first(&w));
    create(&w, "{\"name\":\"a\"}");
    create(&w, "{\"name\":\"a\"}");
    load(&w, "2", TYPE(TEXT("name"), ",\"x-key\":[\"name\"]"));
    waits(&w, "entity.unique_comes");
    test_ok(migrate(&w, true, &err) == ERR_CONFLICT, "two of them: %s", err.id);
    char cure[] = "UPDATE p_thing SET name = CAST(id AS TEXT);";
    test_ok(!exec(&w, cure), "cure");
    migrated(&w);
    end(&w);
}

/* Every kind of step, on plain and sealed values. */
static void test_steps(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    load(&w, "1",
         TYPE(TEXT("name") "," TEXT("level") "," TEXT("fax") "," TEXT(
                  "state") ",\"count\":{\"type\":\"integer\"," T
                           "},\"phone\":{\"type\":\"string\",\"x-sensitive\":\"phone\"," T "}",
              ",\"x-sort\":[\"name\",\"level\",\"fax\"],\"x-search\":[\"name\"]"));
    test_ok(!serve(&w), "%s", first(&w));
    const int64_t id =
        create(&w, "{\"name\":\"网络故障\",\"level\":\"12\",\"fax\":\"1\",\"state\":\"hold\",\"count\":7,"
                   "\"phone\":\"13812345678\"}");
    const int64_t bare = create(&w, "{\"state\":\"gone\"}");
    load(&w, "2",
         TYPE(TEXT("title") ",\"level\":{\"type\":\"integer\"," T
                            "},\"state\":{\"type\":\"string\",\"enum\":[\"open\","
                            "\"shut\"]," T "},\"count\":{\"type\":\"string\"," T
                            "},\"mobile\":{\"type\":\"string\","
                            "\"x-sensitive\":\"phone\"," T "}," TEXT("short"),
              ",\"x-sort\":[\"title\",\"level\",\"short\"],\"x-search\":[\"title\"]"));
    waits(&w, "entity.column_changes");
    put(&w, "migrations/0001-tidy.json",
        "{\"steps\":[{\"type\":\"thing\",\"rename\":\"name\",\"to\":\"title\"},"
        "{\"type\":\"thing\",\"rename\":\"phone\",\"to\":\"mobile\"},{\"type\":\"thing\",\"drop\":\"fax\"},"
        "{\"type\":\"thing\",\"change\":\"level\"},"
        "{\"type\":\"thing\",\"change\":\"count\",\"using\":\"if count = null then null else \\\"n\\\" + "
        "string(count)\"},"
        "{\"type\":\"thing\",\"codes\":\"state\",\"map\":{\"hold\":\"open\",\"gone\":null}},"
        "{\"type\":\"p.thing\",\"fill\":\"short\",\"using\":\"substring(title, 1, 2)\"}]}");
    load(&w, "2",
         TYPE(TEXT("title") ",\"level\":{\"type\":\"integer\"," T
                            "},\"state\":{\"type\":\"string\",\"enum\":[\"open\","
                            "\"shut\"]," T "},\"count\":{\"type\":\"string\"," T
                            "},\"mobile\":{\"type\":\"string\","
                            "\"x-sensitive\":\"phone\"," T "}," TEXT("short"),
              ",\"x-sort\":[\"title\",\"level\",\"short\"],\"x-search\":[\"title\"]"));
    waits(&w, "pack.migration_waits");
    migrated(&w);
    shows(&w, id, "title", "\"网络故障\"");
    shows(&w, id, "mobile", "\"13812345678\"");
    shows(&w, id, "level", "12");
    shows(&w, id, "count", "\"n7\"");
    shows(&w, id, "state", "\"open\"");
    shows(&w, id, "short", "\"网络\"");
    shows(&w, id, "fax", "absent");
    shows(&w, bare, "state", "null");
    shows(&w, bare, "level", "null");
    struct err err = { 0 };
    test_ok(!migrate(&w, true, &err) && w.news.count == 0, "once only");
    put(&w, "migrations/0001-tidy.json", "{\"steps\":[{\"type\":\"thing\",\"drop\":\"fax\"}]}");
    load(&w, "2", TYPE(TEXT("title"), ""));
    test_ok(migrate(&w, true, &err) == ERR_CORRUPT && !strcmp(err.id, "entity.migration_changed"), "%s",
            err.id);
    end(&w);
}

/* A step that fails in the middle leaves everything as it was. */
static void test_all_or_nothing(void **state)
{
    (void)state;
    struct world w;
    struct err err = { 0 };
    begin(&w);
    load(&w, "1", TYPE(TEXT("name") "," TEXT("level") "," TEXT("fax"), ",\"x-sort\":[\"fax\"]"));
    test_ok(!serve(&w), "%s", first(&w));
    const int64_t good = create(&w, "{\"name\":\"a\",\"level\":\"3\",\"fax\":\"f\"}");
    create(&w, "{\"name\":\"b\",\"level\":\"three\"}");
    put(&w, "migrations/0001-level.json",
        "{\"steps\":[{\"type\":\"thing\",\"drop\":\"fax\"},{\"type\":\"thing\",\"change\":\"level\"}]}");
    load(&w, "2", TYPE(TEXT("name") ",\"level\":{\"type\":\"integer\"," T "}", ""));
    test_ok(migrate(&w, true, &err) == ERR_PRECONDITION && !strcmp(first(&w), "pack.migration_row"), "%s %s",
            err.id, first(&w));
    load(&w, "1", TYPE(TEXT("name") "," TEXT("level") "," TEXT("fax"), ",\"x-sort\":[\"fax\"]"));
    waits(&w, "pack.migration_waits");
    shows(&w, good, "fax", "\"f\"");
    shows(&w, good, "level", "\"3\"");
    for (int nth = 0; nth < 400; nth += 7) { /* and so does a statement that fails */
        char cure[] = "UPDATE p_thing SET level = '4' WHERE level = 'three';";
        test_ok(!exec(&w, cure), "cure");
        load(&w, "2", TYPE(TEXT("name") ",\"level\":{\"type\":\"integer\"," T "}", ""));
        store_fail_at(w.store, nth, ERR_IO);
        const enum err_code rc = migrate(&w, true, &err);
        store_fail_at(w.store, -1, ERR_OK);
        test_ok(rc == ERR_IO || !rc, "%d: %s", nth, err.id);
        if (!rc) {
            shows(&w, good, "level", "3");
            shows(&w, good, "fax", "absent");
            end(&w);
            return;
        }
        load(&w, "1", TYPE(TEXT("name") "," TEXT("level") "," TEXT("fax"), ",\"x-sort\":[\"fax\"]"));
        shows(&w, good, "fax", "\"f\"");
    }
    test_ok(false, "no end");
}

/* Steps that say nonsense are told with their place; a new store needs no migration; a fill alone is serve's.
 */
static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *step, *id;
    } bad[] = {
        { "{\"type\":\"thing\",\"twist\":\"a\"}", "type.expected" },
        { "{\"type\":\"nothing\",\"drop\":\"a\"}", "type.no_type" },
        { "{\"type\":\"thing\",\"drop\":\"nope\"}", "type.no_field" },
        { "{\"type\":\"thing\",\"drop\":\"name\"}", "pack.migration_drop" },
        { "{\"type\":\"thing\",\"rename\":\"name\",\"to\":\"level\"}", "pack.migration_rename" },
        { "{\"type\":\"thing\",\"change\":\"level\",\"using\":\"1 +\"}", "type.rule" },
        { "{\"type\":\"thing\",\"codes\":\"level\"}", "type.expected" },
    };
    static const char schema[] = TYPE(TEXT("name") "," TEXT("level"), "");
    struct world w;
    struct err err = { 0 };
    char text[300];
    begin(&w);
    load(&w, "1", schema);
    test_ok(!serve(&w), "%s", first(&w));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(text, sizeof text, "{\n \"steps\": [\n  %s]}", bad[i].step);
        put(&w, "migrations/0001-bad.json", text);
        load(&w, "2", schema);
        test_ok(migrate(&w, true, &err) == ERR_PRECONDITION && !strcmp(first(&w), bad[i].id), "%s: %s",
                bad[i].step, first(&w));
        test_ok(strstr(w.findings.items[0].args[0].text, "0001-bad.json:3:"), "%s",
                w.findings.items[0].args[0].text);
    }
    put(&w, "migrations/0001-bad.json",
        "{\"steps\":[{\"type\":\"thing\",\"fill\":\"tag\",\"using\":\"name + \\\"!\\\"\"}]}");
    const int64_t id = create(&w, "{\"name\":\"a\"}");
    load(&w, "2", TYPE(TEXT("name") "," TEXT("level") "," TEXT("tag"), ""));
    test_ok(!serve(&w), "a fill only adds: %s", first(&w));
    shows(&w, id, "tag", "\"a!\"");
    end(&w);
    begin(&w);
    put(&w, "migrations/0001-drop.json", "{\"steps\":[{\"type\":\"thing\",\"drop\":\"fax\"}]}");
    load(&w, "1", schema);
    test_ok(!serve(&w), "a new store: %s", first(&w));
    test_ok(!migrate(&w, true, &err) && w.news.count == 0, "nothing to do");
    end(&w);
}

TEST_MAIN(TEST(test_side_by_side), TEST(test_narrow), TEST(test_unique), TEST(test_steps),
          TEST(test_all_or_nothing), TEST(test_files))
