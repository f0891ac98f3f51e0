/* migrate_test.c - types that change: what serve applies, what waits, what a pack writes down; both stores.
 */
#include "rig.h"
#include "test.h"

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
#define TEXT(name) "\"" name "\":{\"type\":\"string\"," T "}"
#define TYPE(fields, more) "{\"type\":\"object\"," T ",\"properties\":{" fields "}" more "}"

struct world {
    struct rig rig;
    struct findings news;
};

static void put(const struct world *w, const char *path, const char *text)
{
    char below[100];
    (void)snprintf(below, sizeof below, "p/%s", path);
    rig_put(&w->rig, below, text);
}

/* The pack as it is from now on. */
static void load(struct world *w, const char *version, const char *schema)
{
    char json[200];
    (void)snprintf(json, sizeof json,
                   "{\"name\":\"p\",\"version\":\"%s\",\"title\":{\"zh-CN\":\"p\",\"en\":\"p\"}}", version);
    put(w, "pack.json", json);
    put(w, "types/thing.json", schema);
    rig_load(&w->rig);
}

static void begin(struct world *w)
{
    struct err err = { 0 };
    *w = (struct world) { 0 };
    rig_begin(&w->rig);
    test_ok(!findings_init(&w->news, w->rig.arena, &err), "findings");
}

/* ---- what can be done ---- */

static enum err_code serve(struct world *w)
{
    struct err err = { 0 };
    return rig_tables(&w->rig, &err);
}

static enum err_code migrate(struct world *w, bool apply, struct err *err)
{
    w->rig.findings.count = w->rig.findings.more = w->news.count = w->news.more = 0;
    return entity_migrate(w->rig.entity, apply, &w->news, &w->rig.findings, err);
}

static const char *first(const struct world *w)
{
    return w->rig.findings.count ? w->rig.findings.items[0].id : "none";
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
    test_ok(!rc && w->news.count, "look: %s %s %s", err.id, first(w), w->rig.findings.items[0].args[1].text);
    rc = migrate(w, true, &err);
    test_ok(!rc, "migrate: %s %s %s", err.id, first(w), w->rig.findings.items[0].args[1].text);
    test_ok(!serve(w), "serve: %s", first(w));
}

static int64_t create(struct world *w, const char *json)
{
    return rig_add(&w->rig, NULL, "p.thing", "%s", json);
}

/* The member as compact JSON. */
static const char *shown(struct world *w, int64_t id, const char *member)
{
    static char text[200];
    struct err err = { 0 };
    json_t *record = rig_get(&w->rig, NULL, "p.thing", id, &err);
    test_ok(record, "get: %s", err.id);
    char *dumped = json_dumps(json_object_get(record, member), JSON_ENCODE_ANY);
    (void)snprintf(text, sizeof text, "%s", dumped ? dumped : "absent");
    free(dumped);
    json_decref(record);
    return text;
}

static void shows(struct world *w, int64_t id, const char *member, const char *want)
{
    test_ok(!strcmp(shown(w, id, member), want), "%s: %s, not %s", member, shown(w, id, member), want);
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
    rig_end(&w.rig);
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
                    w.rig.findings.items[0].args[2].number == 1,
                "%zu: %s", i, first(&w));
        teststore_exec(w.rig.store, cases[i].cure);
        waits(&w, cases[i].finding);
        migrated(&w);
        load(&w, "3", TYPE(TEXT("name") "," TEXT("kind") "," TEXT("day"), "")); /* wider again: by itself */
        test_ok(!serve(&w), "wider: %s", first(&w));
        rig_end(&w.rig);
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
    teststore_exec(w.rig.store, "UPDATE p_thing SET name = CAST(id AS TEXT);");
    migrated(&w);
    rig_end(&w.rig);
}

/* Every kind of step, on plain and sealed values. */
static void test_steps(void **state)
{
    (void)state;
    static const char two[] = TYPE(TEXT("title") ",\"level\":{\"type\":\"integer\"," T
                                                 "},\"state\":{\"type\":\"string\",\"enum\":[\"open\","
                                                 "\"shut\"]," T "},\"count\":{\"type\":\"string\"," T
                                                 "},\"mobile\":{\"type\":\"string\","
                                                 "\"x-sensitive\":\"phone\"," T "}," TEXT("short"),
                                   ",\"x-sort\":[\"title\",\"level\",\"short\"],\"x-search\":[\"title\"]");
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
    load(&w, "2", two);
    waits(&w, "entity.column_changes");
    put(&w, "migrations/0001-tidy.json",
        "{\"steps\":[{\"type\":\"thing\",\"rename\":\"name\",\"to\":\"title\"},"
        "{\"type\":\"thing\",\"rename\":\"phone\",\"to\":\"mobile\"},{\"type\":\"thing\",\"drop\":\"fax\"},"
        "{\"type\":\"thing\",\"change\":\"level\"},"
        "{\"type\":\"thing\",\"change\":\"count\",\"using\":\"if count = null then null else \\\"n\\\" + "
        "string(count)\"},"
        "{\"type\":\"thing\",\"codes\":\"state\",\"map\":{\"hold\":\"open\",\"gone\":null}},"
        "{\"type\":\"p.thing\",\"fill\":\"short\",\"using\":\"substring(title, 1, 2)\"}]}");
    load(&w, "2", two);
    waits(&w, "pack.migration_waits");
    migrated(&w);
    shows(&w, id, "title", "\"网络故障\"");
    shows(&w, id, "mobile", "\"13812345678\"");
    const struct entity_list by_mobile = { .filter = STR("mobile = \"13812345678\""), .limit = 5 };
    struct err found = { 0 };
    int64_t count = 0;
    bool exact;
    teststore_ok(rig_count(&w.rig, NULL, "p.thing", by_mobile, &count, &exact, &found), &found, "by mobile");
    test_ok(count == 1, "found by its new name: %lld", (long long)count);
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
    rig_end(&w.rig);
}

/* A step that fails in the middle leaves everything as it was. */
static void test_all_or_nothing(void **state)
{
    (void)state;
    static const char one[] = TYPE(TEXT("name") "," TEXT("level") "," TEXT("fax"), ",\"x-sort\":[\"fax\"]");
    static const char two[] = TYPE(TEXT("name") ",\"level\":{\"type\":\"integer\"," T "}", "");
    struct world w;
    struct err err = { 0 };
    begin(&w);
    load(&w, "1", one);
    test_ok(!serve(&w), "%s", first(&w));
    const int64_t good = create(&w, "{\"name\":\"a\",\"level\":\"3\",\"fax\":\"f\"}");
    create(&w, "{\"name\":\"b\",\"level\":\"three\"}");
    put(&w, "migrations/0001-level.json",
        "{\"steps\":[{\"type\":\"thing\",\"drop\":\"fax\"},{\"type\":\"thing\",\"change\":\"level\"}]}");
    load(&w, "2", two);
    test_ok(migrate(&w, true, &err) == ERR_PRECONDITION && !strcmp(first(&w), "pack.migration_row"), "%s %s",
            err.id, first(&w));
    load(&w, "1", one);
    waits(&w, "pack.migration_waits");
    shows(&w, good, "fax", "\"f\"");
    shows(&w, good, "level", "\"3\"");
    for (int nth = 0; nth < 400; nth += 7) { /* and so does a statement that fails */
        teststore_exec(w.rig.store, "UPDATE p_thing SET level = '4' WHERE level = 'three';");
        load(&w, "2", two);
        store_fail_at(w.rig.store, nth, ERR_IO);
        const enum err_code rc = migrate(&w, true, &err);
        store_fail_at(w.rig.store, -1, ERR_OK);
        test_ok(rc == ERR_IO || !rc, "%d: %s", nth, err.id);
        if (!rc) {
            shows(&w, good, "level", "3");
            shows(&w, good, "fax", "absent");
            rig_end(&w.rig);
            return;
        }
        load(&w, "1", one);
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
        test_ok(strstr(w.rig.findings.items[0].args[0].text, "0001-bad.json:3:"), "%s",
                w.rig.findings.items[0].args[0].text);
    }
    put(&w, "migrations/0001-bad.json",
        "{\"steps\":[{\"type\":\"thing\",\"fill\":\"tag\",\"using\":\"name + \\\"!\\\"\"}]}");
    const int64_t id = create(&w, "{\"name\":\"a\"}");
    load(&w, "2", TYPE(TEXT("name") "," TEXT("level") "," TEXT("tag"), ""));
    test_ok(!serve(&w), "a fill only adds: %s", first(&w));
    shows(&w, id, "tag", "\"a!\"");
    rig_end(&w.rig);
    begin(&w);
    put(&w, "migrations/0001-drop.json", "{\"steps\":[{\"type\":\"thing\",\"drop\":\"fax\"}]}");
    load(&w, "1", schema);
    test_ok(!serve(&w), "a new store: %s", first(&w));
    test_ok(!migrate(&w, true, &err) && w.news.count == 0, "nothing to do");
    rig_end(&w.rig);
}

TEST_MAIN(TEST(test_side_by_side), TEST(test_narrow), TEST(test_unique), TEST(test_steps),
          TEST(test_all_or_nothing), TEST(test_files))
