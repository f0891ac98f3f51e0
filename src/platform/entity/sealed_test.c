/* sealed_test.c - sealed fields found by their whole value, and by nobody who may not see it; on both stores
 */
#include "crypto/keyring.h"
#include "platform/entity/internal.h"
#include "platform/entity/sites_test.h"

static const struct str SENSITIVE[] = { { "p.site.sensitive", 16 } };

static void finds(struct rig *rig, const struct principal *who, const char *filter, const char *want)
{
    const struct entity_list what = { .filter = str_from(filter), .sort = STR("code"), .limit = 50 };
    struct err err = { 0 };
    char got[200] = "";
    size_t i;
    json_t *page = rig_list(rig, who, "p.site", what, &err), *item;
    test_ok(page, "%s: %s", filter, err.id);
    json_array_foreach(json_object_get(page, "items"), i, item)
    {
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s ",
                       json_string_value(json_object_get(item, "code")));
    }
    json_decref(page);
    test_ok(!strcmp(got, want), "%s: %s, not %s", filter, got, want);
    int64_t count = 0;
    bool exact;
    teststore_ok(rig_count(rig, who, "p.site", what, &count, &exact, &err), &err, filter);
    test_ok(count == (int64_t)(strlen(want) / 2), "%s: %lld", filter, (long long)count);
}

/* a and b have one number, c another, d none; c lies elsewhere */
static void fill(struct rig *rig)
{
    begin(rig);
    (void)rig_add(rig, NULL, "p.site",
                  "{\"code\":\"a\",\"name\":\"n\",\"org\":\"2\",\"phone\":\"13812345678\"}");
    (void)rig_add(rig, NULL, "p.site",
                  "{\"code\":\"b\",\"name\":\"n\",\"org\":\"4\",\"phone\":\"13812345678\"}");
    (void)rig_add(rig, NULL, "p.site",
                  "{\"code\":\"c\",\"name\":\"n\",\"org\":\"3\",\"phone\":\"13900000000\"}");
    (void)rig_add(rig, NULL, "p.site", "{\"code\":\"d\",\"name\":\"n\",\"org\":\"2\"}");
}

static void test_found(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    fill(&f);
    const struct grant all = { ALL_RIGHTS, 1, { .all = true } };
    const struct principal boss = user_of(&all);
    static const struct {
        const char *filter, *want;
    } cases[] = {
        { "phone = \"13812345678\"", "a b " },
        { "phone = \"1381234567\"", "" },
        { "phone = \"138****5678\"", "" },
        { "phone != \"13812345678\"", "c d " },
        { "phone in (\"13812345678\", \"13900000000\")", "a b c " },
        { "phone in [\"13900000000\"]", "c " },
        { "phone = null", "d " },
        { "phone != null", "a b c " },
        { "phone = \"13812345678\" and code = \"b\"", "b " },
        { "not(phone = \"13812345678\")", "c d " },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        finds(&f, NULL, cases[i].filter, cases[i].want);
        finds(&f, &boss, cases[i].filter, cases[i].want);
    }
    const struct entity_list part = { .filter = STR("starts with(phone, \"138\")"), .limit = 5 };
    test_ok(!rig_list(&f, &boss, "p.site", part, &err) && !strcmp(err.id, "feel.filter_sealed"), "%s",
            err.id);
    test_ok(err.at.line == 1 && !strcmp(err.at.pointer, "/?filter"), "at its place");
    test_ok(teststore_number(f.store, "SELECT count(*) FROM p_site WHERE \"phone$blind\" LIKE '%138%'") ==
                    0 &&
                teststore_number(f.store, "SELECT count(DISTINCT \"phone$blind\") FROM p_site") == 2,
            "digests");
    rig_end(&f);
}

/* A filter is no way to guess what one may not see: not at all, or not in that row. */
static void test_hidden(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    fill(&f);
    const struct grant some = { SOME_RIGHTS, 4, { .all = true } };
    const struct grant left[] = { { SOME_RIGHTS, 4, { .all = true } },
                                  { SENSITIVE, 1, { .org_id = 2, .org_path = STR("/1/2/") } } };
    const struct principal clerk = user_of(&some);
    struct principal nurse = user_of(left);
    nurse.grant_count = 2;
    static const char *const filters[] = { "phone = \"13812345678\"", "phone != null",
                                           "code = \"a\" and phone = \"1\"", "contains(phone, \"1\")" };
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        const struct entity_list what = { .filter = str_from(filters[i]), .limit = 5 };
        test_ok(!rig_list(&f, &clerk, "p.site", what, &err) && err.code == ERR_FORBIDDEN, "%s: %s",
                filters[i], err.id);
        test_ok(!strcmp(err.args[0].text, "p.site.sensitive"), "%s", err.args[0].text);
    }
    finds(&f, &nurse, "phone = \"13812345678\"", "a b ");
    finds(&f, &nurse, "phone = \"13900000000\"", "");
    finds(&f, &nurse, "phone != \"13812345678\"", "d ");
    finds(&f, &nurse, "code = \"c\" or phone = \"13812345678\"", "a b ");
    finds(&f, &nurse, "code = \"c\"", "c ");
    rig_end(&f);
}

static int64_t version_of(struct rig *rig, int64_t id)
{
    struct err err = { 0 };
    json_t *record = rig_get(rig, NULL, "p.site", id, &err);
    const int64_t version = record_i64(record, "version");
    json_decref(record);
    return version;
}

/* The digest follows the value, stays over a new key, and comes for rows that were there before it. */
static void test_kept(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    struct reseal_counts counts = { 0 };
    int64_t after = 0;
    bool end = false;
    fill(&f);
    const int64_t id = teststore_number(f.store, "SELECT id FROM p_site WHERE code = 'b'");
    int64_t version = version_of(&f, id);
    teststore_ok(rig_update(&f, NULL, "p.site", id, &version, "{\"phone\":\"13700000000\"}", &err), &err,
                 "new");
    finds(&f, NULL, "phone = \"13812345678\"", "a ");
    finds(&f, NULL, "phone = \"13700000000\"", "b ");
    teststore_ok(rig_update(&f, NULL, "p.site", id, &version, "{\"name\":\"m\"}", &err), &err, "other field");
    finds(&f, NULL, "phone = \"13700000000\"", "b ");
    teststore_ok(rig_update(&f, NULL, "p.site", id, &version, "{\"phone\":null}", &err), &err, "none");
    finds(&f, NULL, "phone = null", "b d ");
    teststore_ok(key_ring_grow(f.keys, &err), &err, "a new key");
    finds(&f, NULL, "phone = \"13812345678\"", "a ");
    (void)rig_add(&f, NULL, "p.site", "{\"code\":\"e\",\"name\":\"n\",\"phone\":\"13812345678\"}");
    finds(&f, NULL, "phone = \"13812345678\"", "a e ");
    while (!end)
        teststore_ok(
            entity_reseal(f.entity, entity_type_find(f.entity, "p.site"), 2, &after, &end, &counts, &err),
            &err, "sealed anew");
    test_ok(counts.resealed == 2, "%lld", (long long)counts.resealed);
    finds(&f, NULL, "phone = \"13812345678\"", "a e ");
    /* a table from before */
    char index[100], sql[300];
    (void)snprintf(index, sizeof index, "p_site_%08x", (unsigned)str_hash(STR("phone blind")));
    (void)snprintf(sql, sizeof sql,
                   "DROP INDEX \"%s\"; ALTER TABLE p_site DROP COLUMN \"phone$blind\";"
                   "DELETE FROM entity_part WHERE tbl = 'p_site' AND kind = 'blind';",
                   index);
    teststore_exec(f.store, sql);
    rig_load(&f);
    teststore_ok(rig_tables(&f, &err), &err, "tables");
    finds(&f, NULL, "phone = \"13812345678\"", "a e ");
    finds(&f, NULL, "phone = \"13900000000\"", "c ");
    /* a backup from before, restored */
    teststore_exec(f.store, "UPDATE p_site SET \"phone$blind\" = NULL;");
    teststore_ok(entity_search_rebuild(f.entity, &err), &err, "rebuild");
    finds(&f, NULL, "phone = \"13812345678\"", "a e ");
    rig_end(&f);
}

TEST_MAIN(TEST(test_found), TEST(test_hidden), TEST(test_kept))
