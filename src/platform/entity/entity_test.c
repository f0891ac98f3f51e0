/* entity_test.c - the contract of records; the same cases run on both stores (BIHUAN_TEST_STORE). */
#include "platform/entity/sites_test.h"

static void test_life(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    begin(&f);
    const int64_t id = rig_add(
        &f, NULL, "p.site",
        "{\"code\":\"s1\",\"name\":\"网站\",\"org\":\"2\",\"size\":1.5,\"geo\":{\"lat\":1,\"lon\":2}}");
    f.labels = true;
    json_t *record = rig_get(&f, NULL, "p.site", id, &err);
    test_ok(record, "%s", err.id);
    test_ok(record_id(record, "id") == id && record_i64(record, "version") == 1, "id");
    test_ok(str_eq(record_str(record, "name"), STR("网站")), "name");
    test_ok(record_instant(record, "created_at") == f.clock.test_ms, "created");
    test_ok(!strcmp(json_string_value(json_object_get(json_object_get(record, "_labels"), "org")), "left"),
            "label");
    json_decref(record);
    test_ok(teststore_number(
                f.store, "SELECT count(*) FROM subject WHERE type = 'p.site' AND code = 's1' AND org = 2") ==
                1,
            "subject");

    int64_t version = 1;
    f.clock.test_ms += 1000;
    teststore_ok(rig_update(&f, NULL, "p.site", id, &version,
                            "{\"name\":\"新站\",\"geo\":{\"lon\":null},\"size\":null}", &err),
                 &err, "update");
    test_ok(version == 2, "version");
    record = rig_get(&f, NULL, "p.site", id, &err);
    test_ok(str_eq(record_str(record, "name"), STR("新站")) && json_is_null(json_object_get(record, "size")),
            "changed");
    json_t *geo = json_object_get(record, "geo");
    test_ok(json_object_size(geo) == 1 && json_number_value(json_object_get(geo, "lat")) == 1, "merged");
    json_decref(record);
    test_ok(teststore_number(
                f.store, "SELECT count(*) FROM record_history WHERE version = 2 AND action = 'update'") == 1,
            "history");
    test_ok(teststore_number(f.store, "SELECT count(*) FROM subject WHERE name = '新站'") == 1,
            "subject changed");
    teststore_ok(rig_update(&f, NULL, "p.site", id, &version, "{\"name\":\"新站\"}", &err), &err, "same");
    test_ok(version == 2, "nothing changed");
    version = 1;
    test_ok(rig_update(&f, NULL, "p.site", id, &version, "{\"name\":\"x\"}", &err) == ERR_STALE, "stale");
    test_ok(err.args[0].number == 1 && err.args[1].number == 2, "both versions");
    test_ok(rig_delete(&f, NULL, "p.site", id, 1, &err) == ERR_STALE, "stale delete");
    teststore_ok(rig_delete(&f, NULL, "p.site", id, 2, &err), &err, "delete");
    test_ok(!rig_get(&f, NULL, "p.site", id, &err) && err.code == ERR_NOT_FOUND, "gone");
    test_ok(teststore_number(f.store, "SELECT count(*) FROM subject") == 0, "subject gone");
    rig_end(&f);
}

static void test_refused(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    begin(&f);
    const int64_t id = rig_add(&f, NULL, "p.site", "{\"code\":\"s1\",\"name\":\"a\"}");
    test_ok(rig_create(&f, NULL, "p.site", "{\"code\":\"s1\",\"name\":\"b\"}", NULL, &err) == ERR_CONFLICT,
            "duplicate");
    test_ok(!strcmp(err.id, "entity.duplicate") && !strcmp(err.at.pointer, "/code"), "%s %s", err.id,
            err.at.pointer);
    test_ok(rig_create(&f, NULL, "p.site", "{\"name\":\"b\"}", NULL, &err) == ERR_INVALID &&
                !strcmp(err.at.pointer, "/code"),
            "required");
    test_ok(rig_create(&f, NULL, "p.site", "{\"code\":\"x\",\"name\":\"b\",\"org\":\"99\"}", NULL, &err) ==
                    ERR_INVALID &&
                !strcmp(err.at.pointer, "/org"),
            "reference");
    test_ok(rig_create(&f, NULL, "p.site", "{\"code\":\"x\",\"name\":\"b\",\"nope\":1}", NULL, &err) ==
                    ERR_INVALID &&
                !strcmp(err.at.pointer, "/nope"),
            "unknown");
    int64_t version = 1;
    test_ok(rig_update(&f, NULL, "p.site", id, &version, "{\"name\":null}", &err) == ERR_INVALID &&
                !strcmp(err.at.pointer, "/name"),
            "required stays");
    test_ok(rig_update(&f, NULL, "p.site", 12345, &version, "{\"name\":\"x\"}", &err) == ERR_NOT_FOUND,
            "absent");
    const int64_t job = rig_add(&f, NULL, "p.job", "{\"title\":\"t\",\"site\":\"%lld\"}", (long long)id);
    test_ok(rig_delete(&f, NULL, "p.site", id, 1, &err) == ERR_CONFLICT &&
                !strcmp(err.id, "entity.referenced"),
            "referenced");
    teststore_ok(rig_delete(&f, NULL, "p.job", job, 1, &err), &err, "job");
    teststore_ok(rig_delete(&f, NULL, "p.site", id, 1, &err), &err, "site");
    rig_end(&f);
}

static void test_kinds(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    begin(&f);
    const int64_t site = rig_add(&f, NULL, "p.site", "{\"code\":\"s\",\"name\":\"a\"}");
    const int64_t first = rig_add(&f, NULL, "p.job", "{\"title\":\"one\"}"),
                  second = rig_add(&f, NULL, "p.job", "{\"title\":\"two\",\"level\":1}");
    f.labels = true;
    json_t *record = rig_get(&f, NULL, "p.job", first, &err);
    test_ok(str_eq(record_str(record, "number"), STR("GZ-202611-0001")), "%s",
            record_str(record, "number").ptr);
    test_ok(!strcmp(json_string_value(json_object_get(json_object_get(record, "_labels"), "level")), "third"),
            "label");
    test_ok(record_instant(record, "opened_at") == f.clock.test_ms, "opened");
    json_decref(record);
    record = rig_get(&f, NULL, "p.job", second, &err);
    test_ok(str_eq(record_str(record, "number"), STR("GZ-202611-0002")), "%s",
            record_str(record, "number").ptr);
    json_decref(record);
    test_ok(teststore_number(
                f.store, "SELECT count(*) FROM cases WHERE type = 'p.job' AND number = 'GZ-202611-0002'") ==
                1,
            "cases");
    const int64_t fact = rig_add(
        &f, NULL, "p.event", "{\"subject\":\"%lld\",\"happened_at\":\"2026-11-20T00:00:00Z\",\"score\":3}",
        (long long)site);
    int64_t version = 1;
    test_ok(rig_update(&f, NULL, "p.event", fact, &version, "{\"score\":4}", &err) == ERR_CONFLICT,
            "append only");
    test_ok(rig_delete(&f, NULL, "p.event", fact, 1, &err) == ERR_CONFLICT, "append only");
    record = rig_get(&f, NULL, "p.event", fact, &err);
    test_ok(record_instant(record, "known_at") == f.clock.test_ms, "known");
    json_decref(record);
    rig_end(&f);
}

static void test_sensitive(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    begin(&f);
    const int64_t id =
        rig_add(&f, NULL, "p.site", "{\"code\":\"s\",\"name\":\"a\",\"phone\":\"13812345678\"}");
    const struct grant some = { SOME_RIGHTS, 4, { .all = true } }, all = { ALL_RIGHTS, 1, { .all = true } };
    const struct principal clerk = user_of(&some), boss = user_of(&all);
    test_ok(teststore_number(f.store, "SELECT count(*) FROM p_site WHERE phone LIKE '%1234%'") == 0,
            "sealed at rest");
    json_t *record = rig_get(&f, &clerk, "p.site", id, &err);
    test_ok(str_eq(record_str(record, "phone"), STR("138****5678")), "masked");
    json_decref(record);
    record = rig_get(&f, &boss, "p.site", id, &err);
    test_ok(str_eq(record_str(record, "phone"), STR("13812345678")), "plain");
    json_decref(record);
    int64_t version = 1;
    teststore_ok(
        rig_update(&f, &clerk, "p.site", id, &version, "{\"phone\":\"138****5678\",\"name\":\"b\"}", &err),
        &err, "masked form");
    record = rig_get(&f, &boss, "p.site", id, &err);
    test_ok(str_eq(record_str(record, "phone"), STR("13812345678")) &&
                str_eq(record_str(record, "name"), STR("b")),
            "kept");
    json_decref(record);
    teststore_ok(rig_update(&f, &clerk, "p.site", id, &version, "{\"phone\":\"13900000000\"}", &err), &err,
                 "new");
    record = rig_get(&f, &boss, "p.site", id, &err);
    test_ok(str_eq(record_str(record, "phone"), STR("13900000000")), "changed");
    json_decref(record);
    test_ok(teststore_number(
                f.store,
                "SELECT count(*) FROM record_history WHERE changes LIKE '%12345678%' OR changes LIKE "
                "'%00000%'") == 0,
            "history is masked");
    rig_end(&f);
}

static void test_scope(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    begin(&f);
    const int64_t left = rig_add(&f, NULL, "p.site", "{\"code\":\"l\",\"name\":\"same word\",\"org\":\"2\"}");
    const int64_t leaf = rig_add(&f, NULL, "p.site", "{\"code\":\"f\",\"name\":\"same word\",\"org\":\"4\"}");
    const int64_t right =
        rig_add(&f, NULL, "p.site", "{\"code\":\"r\",\"name\":\"same word\",\"org\":\"3\"}");
    const struct grant in_left = { ALL_RIGHTS, 1, { .org_id = 2, .org_path = STR("/1/2/") } };
    const struct grant own = { ALL_RIGHTS, 1, { .own = true } };
    const struct grant none = { SOME_RIGHTS, 1, { .org_id = 2, .org_path = STR("/1/2/") } };
    const struct principal li = user_of(&in_left), mine = user_of(&own), reader = user_of(&none);
    json_t *record;
    test_ok((record = rig_get(&f, &li, "p.site", left, &err)), "left");
    json_decref(record);
    test_ok((record = rig_get(&f, &li, "p.site", leaf, &err)), "leaf");
    json_decref(record);
    test_ok(!rig_get(&f, &li, "p.site", right, &err) && err.code == ERR_NOT_FOUND, "right is as if absent");
    static const struct entity_list lists[] = { { .limit = 10 },
                                                { .text = { "word", 4 }, .limit = 10 },
                                                { .sort = { "-size", 5 }, .limit = 10 } };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        json_t *page = rig_list(&f, &li, "p.site", lists[i], &err);
        test_ok(page && json_array_size(json_object_get(page, "items")) == 2, "list %zu: %zu", i,
                json_array_size(json_object_get(page, "items")));
        json_decref(page);
    }
    int64_t version = 1;
    test_ok(rig_update(&f, &li, "p.site", right, &version, "{\"name\":\"x\"}", &err) == ERR_NOT_FOUND,
            "update right");
    test_ok(rig_update(&f, &li, "p.site", left, &version, "{\"org\":\"3\"}", &err) == ERR_FORBIDDEN,
            "move out");
    test_ok(rig_create(&f, &li, "p.site", "{\"code\":\"x\",\"name\":\"x\",\"org\":\"3\"}", NULL, &err) ==
                ERR_FORBIDDEN,
            "create out");
    test_ok(rig_create(&f, &li, "p.site", "{\"code\":\"x\",\"name\":\"x\"}", NULL, &err) == ERR_FORBIDDEN,
            "create nowhere");
    test_ok(teststore_number(f.store, "SELECT count(*) FROM p_site") == 3, "nothing was left behind");
    teststore_ok(rig_create(&f, &li, "p.site", "{\"code\":\"x\",\"name\":\"x\",\"org\":\"4\"}", NULL, &err),
                 &err, "create in");
    test_ok(rig_delete(&f, &reader, "p.site", left, 1, &err) == ERR_FORBIDDEN, "no permission");
    test_ok(rig_delete(&f, &li, "p.site", right, 1, &err) == ERR_NOT_FOUND, "delete right");
    int64_t id = 0;
    teststore_ok(rig_create(&f, &mine, "p.site", "{\"code\":\"m\",\"name\":\"x\"}", &id, &err), &err, "own");
    test_ok((record = rig_get(&f, &mine, "p.site", id, &err)), "own");
    test_ok(record_id(record, "created_by") == 77, "by");
    json_decref(record);
    test_ok(!rig_get(&f, &mine, "p.site", left, &err), "of others");
    test_ok(!rig_get(&f, &li, "p.event", 1, &err), "a type without scope");
    json_t *page = rig_list(&f, &li, "p.event", (struct entity_list) { .limit = 5 }, &err);
    test_ok(page && !json_array_size(json_object_get(page, "items")), "shows nothing");
    json_decref(page);
    rig_end(&f);
}

static void test_tables(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    begin(&f);
    const int64_t id = rig_add(&f, NULL, "p.job", "{\"title\":\"网络故障\"}");
    teststore_ok(rig_tables(&f, &err), &err, "again");
    test_ok(!f.findings.count, "nothing to do");
    /* a column with a default, a search, an index, a unique group come */
    rig_put(&f, "p/types/job.json",
            "{\"type\":\"object\",\"x-kind\":\"case\"," T
            ",\"properties\":{\"level\":{\"type\":\"integer\",\"default\":3," T "},"
            "\"site\":{\"type\":\"string\",\"x-ref\":\"p.site\"," T
            "},\"kind\":{\"type\":\"string\",\"default\":\"net\"," T "}},"
            "\"x-number\":\"GZ-{seq:4}\",\"x-sort\":[\"-opened_at\",\"kind\"],\"x-search\":[\"title\"],"
            "\"x-scope\":{\"org\":\"org\"}}");
    rig_load(&f);
    f.findings.count = 0;
    teststore_ok(entity_tables(f.entity, false, &f.findings, &err), &err, "look");
    test_ok(f.findings.count >= 3, "tells what would come: %d", f.findings.count);
    teststore_ok(rig_tables(&f, &err), &err, "add");
    json_t *record = rig_get(&f, NULL, "p.job", id, &err);
    test_ok(record && str_eq(record_str(record, "kind"), STR("net")), "default in old rows");
    json_decref(record);
    json_t *page = rig_list(&f, NULL, "p.job", (struct entity_list) { .text = STR("故障") }, &err);
    test_ok(page && json_array_size(json_object_get(page, "items")) == 1, "old rows are found");
    json_decref(page);
    /* a column that changes its kind, one that goes */
    rig_put(&f, "p/types/job.json",
            "{\"type\":\"object\",\"x-kind\":\"case\"," T ",\"properties\":{\"level\":{\"type\":\"string\"," T
            "}}}");
    rig_load(&f);
    test_ok(rig_tables(&f, &err) == ERR_PRECONDITION && !strcmp(err.id, "entity.needs_migration"), "refused");
    test_ok(f.findings.count == 3, "level, site, kind: %d", f.findings.count);
    test_ok(teststore_number(f.store, "SELECT count(*) FROM p_job WHERE kind = 'net'") == 1,
            "nothing was touched");
    rig_end(&f);
}

static enum err_code hook_before(void *arg, const struct entity_call *call, struct tx *tx,
                                 struct entity_change *change, struct err *err)
{
    (void)call, (void)tx;
    int *calls = arg;
    ++*calls;
    if (change->op == ENTITY_DELETE)
        return err_set(err, ERR_CONFLICT, "entity.append_only", ARG_END);
    test_ok((change->op == ENTITY_CREATE) == !change->before && change->after, "change");
    json_object_set_new(change->after, "state", json_string(change->op == ENTITY_CREATE ? "new" : "touched"));
    return ERR_OK;
}

static enum err_code hook_after(void *arg, const struct entity_call *call, struct tx *tx,
                                struct entity_change *change, struct err *err)
{
    (void)call, (void)tx, (void)err;
    int *calls = arg;
    ++*calls;
    test_ok(change->after && record_str(change->after, "number").len, "the number is there");
    return ERR_OK;
}

static void test_hooks(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    int before = 0, after = 0;
    begin(&f);
    teststore_ok(entity_hook_add(f.entity, "p.job", hook_before, &before, &err), &err, "hook");
    teststore_ok(entity_hook_after_add(f.entity, "p.job", hook_after, &after, &err), &err, "hook");
    test_ok(entity_hook_add(f.entity, "p.none", hook_before, NULL, &err) == ERR_NOT_FOUND, "no type");
    const int64_t id = rig_add(&f, NULL, "p.job", "{\"title\":\"t\"}");
    json_t *record = rig_get(&f, NULL, "p.job", id, &err);
    test_ok(str_eq(record_str(record, "state"), STR("new")), "state");
    json_decref(record);
    int64_t version = 1;
    teststore_ok(rig_update(&f, NULL, "p.job", id, &version, "{\"title\":\"u\"}", &err), &err, "update");
    record = rig_get(&f, NULL, "p.job", id, &err);
    test_ok(str_eq(record_str(record, "state"), STR("touched")) &&
                str_eq(record_str(record, "title"), STR("u")),
            "state");
    json_decref(record);
    test_ok(rig_delete(&f, NULL, "p.job", id, 2, &err) == ERR_CONFLICT, "refused");
    (void)rig_add(&f, NULL, "p.site", "{\"code\":\"s\",\"name\":\"a\"}");
    test_ok(before == 3 && after == 2, "%d %d", before, after);
    rig_end(&f);
}

/* Each statement fails once: nothing is left behind, and then it works. */
static void test_failing_statements(void **state)
{
    (void)state;
    struct rig f = { 0 };
    begin(&f);
    bool done = false;
    for (long nth = 0; !done; nth++) {
        struct err err = { 0 };
        int64_t id = 0;
        store_fail_at(f.store, nth, ERR_IO);
        const enum err_code rc = rig_create(
            &f, NULL, "p.site", "{\"code\":\"s\",\"name\":\"网络\",\"org\":\"2\",\"phone\":\"13812345678\"}",
            &id, &err);
        store_fail_at(f.store, -1, ERR_OK);
        done = rc == ERR_OK;
        test_ok(done || rc == ERR_IO, "%ld: %s", nth, err.id);
        test_ok(teststore_number(f.store, "SELECT count(*) FROM p_site") == done, "row at %ld", nth);
        test_ok(teststore_number(f.store, "SELECT count(*) FROM subject") == done, "subject at %ld", nth);
        test_ok(nth < 50, "no end");
    }
    rig_end(&f);
}

TEST_MAIN(TEST(test_life), TEST(test_refused), TEST(test_kinds), TEST(test_sensitive), TEST(test_scope),
          TEST(test_tables), TEST(test_hooks), TEST(test_failing_statements))
