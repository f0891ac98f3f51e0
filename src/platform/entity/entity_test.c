/* entity_test.c - the contract of records; the same cases run on both stores (BIHUAN_TEST_STORE). */
#include "base/clock.h"
#include "crypto/keyring.h"
#include "platform/entity/entity.h"
#include "platform/entity/gram.h"
#include "platform/entity/table.h"
#include "platform/identity/principal.h"
#include "test.h"
#include "teststore.h"

#include <sys/stat.h>
#include <unistd.h>

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
static const char PACK_JSON[] = "{\"name\":\"p\",\"version\":\"1\",\"title\":{\"zh-CN\":\"p\",\"en\":\"p\"}}";
static const char SITE[] =
    "{\"type\":\"object\",\"x-kind\":\"subject\"," T ",\"properties\":{"
    "\"phone\":{\"type\":\"string\",\"x-sensitive\":\"phone\"," T "},"
    "\"size\":{\"type\":\"number\"," T "},\"opened\":{\"type\":\"string\",\"format\":\"date\"," T "},"
    "\"note\":{\"type\":\"string\",\"maxLength\":2000," T "},"
    "\"geo\":{\"type\":\"object\",\"properties\":{\"lat\":{\"type\":\"number\"},\"lon\":{\"type\":\"number\"}"
    "}," T "},"
    "\"parent\":{\"type\":\"string\",\"x-ref\":\"p.site\"," T "},"
    "\"near\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"x-ref\":\"p.site\"}," T "},"
    "\"links\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"to\":{\"type\":"
    "\"string\","
    "\"x-ref\":\"p.site\"}}}," T "}},"
    "\"x-sort\":[\"code\",\"size\",\"opened\",\"name\"],\"x-index\":[[\"name\",\"size\"]],\"x-search\":["
    "\"name\",\"note\"],"
    "\"x-scope\":{\"org\":\"org\",\"own\":\"created_by\"}}";
static const char TAG[] = "{\"type\":\"object\"," T ",\"properties\":{\"code\":{\"type\":\"string\"," T "},"
                          "\"name\":{\"type\":\"string\",\"x-unique\":true," T "}},\"x-key\":[\"code\"]}";
static const char JOB[] =
    "{\"type\":\"object\",\"x-kind\":\"case\"," T ",\"properties\":{"
    "\"level\":{\"type\":\"integer\",\"enum\":[1,2,3],\"default\":3," T
    ",\"x-labels\":{\"1\":{\"zh-CN\":\"一级\",\"en\":\"first\"},"
    "\"2\":{\"zh-CN\":\"二级\",\"en\":\"second\"},\"3\":{\"zh-CN\":\"三级\",\"en\":\"third\"}}},"
    "\"site\":{\"type\":\"string\",\"x-ref\":\"p.site\"," T "}},"
    "\"x-number\":\"GZ-{yyyy}{MM}-{seq:4}\",\"x-sort\":[\"-opened_at\"],\"x-scope\":{\"org\":\"org\"}}";
static const char EVENT[] = "{\"type\":\"object\",\"x-kind\":\"fact\"," T ",\"properties\":{"
                            "\"score\":{\"type\":\"integer\"," T "}}}";

struct fixture {
    char root[64];
    struct packs *packs;
    struct store *store;
    struct clock clock;
    struct ids ids;
    struct words *words;
    struct key_ring *keys;
    struct entity *entity;
    struct arena *arena;
    const struct entity_type *site, *job, *event;
};

static void put(const struct fixture *f, const char *path, const char *text)
{
    char full[200];
    (void)snprintf(full, sizeof full, "%s/%s", f->root, path);
    FILE *file = fopen(full, "w");
    test_ok(file && fputs(text, file) >= 0 && !fclose(file), "%s", full);
}

static enum err_code base_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return tx_exec(
        tx,
        "CREATE TABLE IF NOT EXISTS org (id {i64} PRIMARY KEY, parent_id {i64}, path {text} NOT NULL,"
        " code {text} NOT NULL, name {text} NOT NULL, version {i64}, created_at {i64}, created_by {i64},"
        " updated_at {i64}, updated_by {i64}) {strict};"
        "CREATE TABLE IF NOT EXISTS app_user (id {i64} PRIMARY KEY, org_id {i64}, login {text} NOT NULL,"
        " name {text} NOT NULL, version {i64}, created_at {i64}, created_by {i64}, updated_at {i64},"
        " updated_by {i64}) {strict};",
        err);
}

static enum err_code orgs_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return tx_exec(
        tx,
        "INSERT INTO org (id, path, code, name, version, created_at, created_by, updated_at, updated_by)"
        " VALUES (1, '/1/', 'a', 'all', 1, 0, 0, 0, 0), (2, '/1/2/', 'b', 'left', 1, 0, 0, 0, 0),"
        " (3, '/1/3/', 'c', 'right', 1, 0, 0, 0, 0), (4, '/1/2/4/', 'd', 'leaf', 1, 0, 0, 0, 0);"
        "INSERT INTO app_user (id, org_id, login, name, version, created_at, created_by, updated_at,"
        " updated_by) VALUES (77, 2, 'li', 'Li', 1, 0, 0, 0, 0);",
        err);
}

static void open_packs(struct fixture *f)
{
    struct err err = { 0 };
    struct findings findings;
    const char *dirs[] = { f->root };
    test_ok(!findings_init(&findings, f->arena, &err), "findings");
    test_ok(!packs_load(&(struct packs_config) { .dirs = dirs, .dirs_count = 1 }, &findings, &f->packs, &err),
            "%s", err.id);
    const struct entity_config config = { .store = f->store,
                                          .packs = f->packs,
                                          .ids = &f->ids,
                                          .clock = &f->clock,
                                          .words = f->words,
                                          .keys = f->keys };
    const enum err_code rc = entity_open(&config, &findings, &f->entity, &err);
    test_ok(!rc, "%s %s %s", err.id, findings.items[0].args[0].text, findings.items[0].args[1].text);
    f->site = entity_type_find(f->entity, "p.site");
    f->job = entity_type_find(f->entity, "p.job");
    f->event = entity_type_find(f->entity, "p.event");
}

static void close_packs(struct fixture *f)
{
    entity_free(f->entity);
    packs_free(f->packs);
}

static enum err_code sync_tables(struct fixture *f, struct findings *findings, struct err *err)
{
    test_ok(!findings_init(findings, f->arena, err), "findings");
    return entity_tables(f->entity, true, findings, err);
}

static void begin(struct fixture *f)
{
    struct err err = { 0 };
    struct findings findings;
    char path[200];
    *f = (struct fixture) { 0 };
    strcpy(f->root, "/tmp/bihuan-entity-XXXXXX");
    test_ok(mkdtemp(f->root), "mkdtemp");
    (void)snprintf(path, sizeof path, "%s/p", f->root);
    mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/p/types", f->root);
    mkdir(path, 0700);
    put(f, "p/pack.json", PACK_JSON);
    put(f, "p/types/site.json", SITE);
    put(f, "p/types/job.json", JOB);
    put(f, "p/types/event.json", EVENT);
    f->arena = arena_new(256 << 20);
    clock_test_init(&f->clock, INT64_C(1795240000000)); /* 2026-11-21 */
    ids_init(&f->ids, &f->clock, 0);
    f->words = words_new();
    (void)snprintf(path, sizeof path, "%s/keys/master", f->root);
    teststore_ok(key_ring_open(path, true, &f->keys, &err), &err, "keys");
    f->store = teststore_new();
    teststore_ok(store_write(f->store, base_fn, NULL, &err), &err, "base");
    teststore_ok(store_write(f->store, orgs_fn, NULL, &err), &err, "orgs");
    open_packs(f);
    const enum err_code rc = sync_tables(f, &findings, &err);
    teststore_ok(rc, &err, "tables");
}

static void end(struct fixture *f)
{
    close_packs(f);
    store_close(f->store);
    key_ring_free(f->keys);
    words_free(f->words);
    arena_free(f->arena);
    char command[100];
    (void)snprintf(command, sizeof command, "rm -r %s", f->root);
    test_ok(!system(command), "rm");
}

/* ---- one operation in a transaction of its own ---- */

struct op {
    struct entity_call call;
    const struct entity_type *type;
    int64_t id, version;
    json_t *json; /* in: fields or patch; out: the record */
    struct entity_list list;
    struct buf *out;
    int64_t count;
    bool exact;
};

static enum err_code create_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_create(&op->call, tx, op->type, op->json, &op->id, err);
}
static enum err_code update_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_update(&op->call, tx, op->type, op->id, op->version, op->json, &op->version, err);
}
static enum err_code delete_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_delete(&op->call, tx, op->type, op->id, op->version, err);
}
static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_get(&op->call, tx, op->type, op->id, &op->json, err);
}
static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    buf_clear(op->out);
    return entity_list_json(&op->call, tx, op->type, &op->list, op->out, err);
}
static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_count(&op->call, tx, op->type, &op->list, &op->count, &op->exact, err);
}

static struct op op_of(struct fixture *f, const struct entity_type *type, const struct principal *who)
{
    return (struct op) { .call = { .entity = f->entity, .who = who, .lang = LANG_EN, .arena = f->arena },
                         .type = type };
}

static enum err_code create(struct fixture *f, const struct entity_type *type, const struct principal *who,
                            const char *json, int64_t *out_id, struct err *err)
{
    struct op op = op_of(f, type, who);
    op.json = json_loads(json, 0, NULL);
    test_ok(op.json, "%s", json);
    const enum err_code rc = store_write(f->store, create_fn, &op, err);
    json_decref(op.json);
    if (out_id)
        *out_id = op.id;
    return rc;
}

static int64_t must_create(struct fixture *f, const struct entity_type *type, const char *json)
{
    struct err err = { 0 };
    int64_t id = 0;
    const enum err_code rc = create(f, type, NULL, json, &id, &err);
    test_ok(!rc, "%s: %s %s %s", json, err.id, err.at.pointer, err.args[0].text);
    return id;
}

static enum err_code update(struct fixture *f, const struct entity_type *type, const struct principal *who,
                            int64_t id, int64_t *version, const char *json, struct err *err)
{
    struct op op = op_of(f, type, who);
    op.id = id;
    op.version = *version;
    op.json = json_loads(json, 0, NULL);
    const enum err_code rc = store_write(f->store, update_fn, &op, err);
    json_decref(op.json);
    *version = op.version;
    return rc;
}

static enum err_code delete (struct fixture *f, const struct entity_type *type, const struct principal *who,
                             int64_t id, int64_t version, struct err *err) {
    struct op op = op_of(f, type, who); op.id = id; op.version = version;
    return store_write(f->store, delete_fn, &op, err);
}

static json_t *get(struct fixture *f, const struct entity_type *type, const struct principal *who, int64_t id,
                   bool labels, struct err *err)
{
    struct op op = op_of(f, type, who);
    op.id = id;
    op.call.labels = labels;
    return store_read(f->store, get_fn, &op, err) ? NULL : op.json;
}

static json_t *list(struct fixture *f, const struct entity_type *type, const struct principal *who,
                    struct entity_list what, struct err *err)
{
    struct op op = op_of(f, type, who);
    struct buf out;
    buf_init(&out, 8 << 20);
    op.list = what;
    op.out = &out;
    const enum err_code rc = store_read(f->store, list_fn, &op, err);
    json_t *json = rc ? NULL : json_loadb(out.ptr, out.len, 0, NULL);
    test_ok(rc || json, "%s", out.ptr);
    buf_done(&out);
    return json;
}

struct number {
    const char *sql;
    int64_t value;
};
static enum err_code number_fn(struct tx *tx, void *arg, struct err *err)
{
    struct number *number = arg;
    return tx_query_i64(tx, number->sql, &number->value, err);
}
static int64_t number(struct fixture *f, const char *sql)
{
    struct number number = { sql, -1 };
    struct err err = { 0 };
    teststore_ok(store_read(f->store, number_fn, &number, &err), &err, sql);
    return number.value;
}

/* ---- principals ---- */

static const struct str ALL_RIGHTS[] = { { "p.*", 3 } };
static const struct str SOME_RIGHTS[] = {
    { "p.site.read", 11 }, { "p.site.create", 13 }, { "p.site.update", 13 }, { "p.site.delete", 13 }
};

static struct principal user_of(const struct grant *grant)
{
    return (struct principal) { .kind = PRINCIPAL_USER,
                                .user_id = 77,
                                .org_id = 2,
                                .login = STR("li"),
                                .name = STR("Li"),
                                .grants = grant,
                                .grant_count = 1 };
}

/* ---- cases ---- */

static void test_life(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    begin(&f);
    const int64_t id = must_create(
        &f, f.site,
        "{\"code\":\"s1\",\"name\":\"网站\",\"org\":\"2\",\"size\":1.5,\"geo\":{\"lat\":1,\"lon\":2}}");
    json_t *record = get(&f, f.site, NULL, id, true, &err);
    test_ok(record, "%s", err.id);
    test_ok(record_id(record, "id") == id && record_i64(record, "version") == 1, "id");
    test_ok(str_eq(record_str(record, "name"), STR("网站")), "name");
    test_ok(record_instant(record, "created_at") == f.clock.test_ms, "created");
    test_ok(!strcmp(json_string_value(json_object_get(json_object_get(record, "_labels"), "org")), "left"),
            "label");
    json_decref(record);
    test_ok(number(&f, "SELECT count(*) FROM subject WHERE type = 'p.site' AND code = 's1' AND org = 2") == 1,
            "subject");

    int64_t version = 1;
    f.clock.test_ms += 1000;
    teststore_ok(update(&f, f.site, NULL, id, &version,
                        "{\"name\":\"新站\",\"geo\":{\"lon\":null},\"size\":null}", &err),
                 &err, "update");
    test_ok(version == 2, "version");
    record = get(&f, f.site, NULL, id, false, &err);
    test_ok(str_eq(record_str(record, "name"), STR("新站")) && json_is_null(json_object_get(record, "size")),
            "changed");
    json_t *geo = json_object_get(record, "geo");
    test_ok(json_object_size(geo) == 1 && json_number_value(json_object_get(geo, "lat")) == 1, "merged");
    json_decref(record);
    test_ok(number(&f, "SELECT count(*) FROM record_history WHERE version = 2 AND action = 'update'") == 1,
            "history");
    test_ok(number(&f, "SELECT count(*) FROM subject WHERE name = '新站'") == 1, "subject changed");
    teststore_ok(update(&f, f.site, NULL, id, &version, "{\"name\":\"新站\"}", &err), &err, "same");
    test_ok(version == 2, "nothing changed");
    version = 1;
    test_ok(update(&f, f.site, NULL, id, &version, "{\"name\":\"x\"}", &err) == ERR_STALE, "stale");
    test_ok(err.args[0].number == 1 && err.args[1].number == 2, "both versions");
    test_ok(delete (&f, f.site, NULL, id, 1, &err) == ERR_STALE, "stale delete");
    teststore_ok(delete (&f, f.site, NULL, id, 2, &err), &err, "delete");
    test_ok(!get(&f, f.site, NULL, id, false, &err) && err.code == ERR_NOT_FOUND, "gone");
    test_ok(number(&f, "SELECT count(*) FROM subject") == 0, "subject gone");
    end(&f);
}

static void test_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    begin(&f);
    const int64_t id = must_create(&f, f.site, "{\"code\":\"s1\",\"name\":\"a\"}");
    test_ok(create(&f, f.site, NULL, "{\"code\":\"s1\",\"name\":\"b\"}", NULL, &err) == ERR_CONFLICT,
            "duplicate");
    test_ok(!strcmp(err.id, "entity.duplicate") && !strcmp(err.at.pointer, "/code"), "%s %s", err.id,
            err.at.pointer);
    test_ok(create(&f, f.site, NULL, "{\"name\":\"b\"}", NULL, &err) == ERR_INVALID &&
                !strcmp(err.at.pointer, "/code"),
            "required");
    test_ok(create(&f, f.site, NULL, "{\"code\":\"x\",\"name\":\"b\",\"org\":\"99\"}", NULL, &err) ==
                    ERR_INVALID &&
                !strcmp(err.at.pointer, "/org"),
            "reference");
    test_ok(create(&f, f.site, NULL, "{\"code\":\"x\",\"name\":\"b\",\"nope\":1}", NULL, &err) ==
                    ERR_INVALID &&
                !strcmp(err.at.pointer, "/nope"),
            "unknown");
    int64_t version = 1;
    test_ok(update(&f, f.site, NULL, id, &version, "{\"name\":null}", &err) == ERR_INVALID &&
                !strcmp(err.at.pointer, "/name"),
            "required stays");
    test_ok(update(&f, f.site, NULL, 12345, &version, "{\"name\":\"x\"}", &err) == ERR_NOT_FOUND, "absent");
    char text[100];
    (void)snprintf(text, sizeof text, "{\"title\":\"t\",\"site\":\"%lld\"}", (long long)id);
    const int64_t job = must_create(&f, f.job, text);
    test_ok(delete (&f, f.site, NULL, id, 1, &err) == ERR_CONFLICT && !strcmp(err.id, "entity.referenced"),
            "referenced");
    teststore_ok(delete (&f, f.job, NULL, job, 1, &err), &err, "job");
    teststore_ok(delete (&f, f.site, NULL, id, 1, &err), &err, "site");
    end(&f);
}

static void test_kinds(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    begin(&f);
    const int64_t site = must_create(&f, f.site, "{\"code\":\"s\",\"name\":\"a\"}");
    const int64_t first = must_create(&f, f.job, "{\"title\":\"one\"}"),
                  second = must_create(&f, f.job, "{\"title\":\"two\",\"level\":1}");
    json_t *record = get(&f, f.job, NULL, first, true, &err);
    test_ok(str_eq(record_str(record, "number"), STR("GZ-202611-0001")), "%s",
            record_str(record, "number").ptr);
    test_ok(!strcmp(json_string_value(json_object_get(json_object_get(record, "_labels"), "level")), "third"),
            "label");
    test_ok(record_instant(record, "opened_at") == f.clock.test_ms, "opened");
    json_decref(record);
    record = get(&f, f.job, NULL, second, false, &err);
    test_ok(str_eq(record_str(record, "number"), STR("GZ-202611-0002")), "%s",
            record_str(record, "number").ptr);
    json_decref(record);
    test_ok(number(&f, "SELECT count(*) FROM cases WHERE type = 'p.job' AND number = 'GZ-202611-0002'") == 1,
            "cases");
    char text[200];
    (void)snprintf(text, sizeof text,
                   "{\"subject\":\"%lld\",\"happened_at\":\"2026-11-20T00:00:00Z\",\"score\":3}",
                   (long long)site);
    const int64_t fact = must_create(&f, f.event, text);
    int64_t version = 1;
    test_ok(update(&f, f.event, NULL, fact, &version, "{\"score\":4}", &err) == ERR_CONFLICT, "append only");
    test_ok(delete (&f, f.event, NULL, fact, 1, &err) == ERR_CONFLICT, "append only");
    record = get(&f, f.event, NULL, fact, false, &err);
    test_ok(record_instant(record, "known_at") == f.clock.test_ms, "known");
    json_decref(record);
    end(&f);
}

static void test_sensitive(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    begin(&f);
    const int64_t id = must_create(&f, f.site, "{\"code\":\"s\",\"name\":\"a\",\"phone\":\"13812345678\"}");
    const struct grant some = { SOME_RIGHTS, 4, { .all = true } }, all = { ALL_RIGHTS, 1, { .all = true } };
    const struct principal clerk = user_of(&some), boss = user_of(&all);
    test_ok(number(&f, "SELECT count(*) FROM p_site WHERE phone LIKE '%1234%'") == 0, "sealed at rest");
    json_t *record = get(&f, f.site, &clerk, id, false, &err);
    test_ok(str_eq(record_str(record, "phone"), STR("138****5678")), "masked");
    json_decref(record);
    record = get(&f, f.site, &boss, id, false, &err);
    test_ok(str_eq(record_str(record, "phone"), STR("13812345678")), "plain");
    json_decref(record);
    int64_t version = 1;
    teststore_ok(update(&f, f.site, &clerk, id, &version, "{\"phone\":\"138****5678\",\"name\":\"b\"}", &err),
                 &err, "masked form");
    record = get(&f, f.site, &boss, id, false, &err);
    test_ok(str_eq(record_str(record, "phone"), STR("13812345678")) &&
                str_eq(record_str(record, "name"), STR("b")),
            "kept");
    json_decref(record);
    teststore_ok(update(&f, f.site, &clerk, id, &version, "{\"phone\":\"13900000000\"}", &err), &err, "new");
    record = get(&f, f.site, &boss, id, false, &err);
    test_ok(str_eq(record_str(record, "phone"), STR("13900000000")), "changed");
    json_decref(record);
    test_ok(number(&f, "SELECT count(*) FROM record_history WHERE changes LIKE '%12345678%' OR changes LIKE "
                       "'%00000%'") == 0,
            "history is masked");
    end(&f);
}

static void test_scope(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    begin(&f);
    const int64_t left = must_create(&f, f.site, "{\"code\":\"l\",\"name\":\"same word\",\"org\":\"2\"}");
    const int64_t leaf = must_create(&f, f.site, "{\"code\":\"f\",\"name\":\"same word\",\"org\":\"4\"}");
    const int64_t right = must_create(&f, f.site, "{\"code\":\"r\",\"name\":\"same word\",\"org\":\"3\"}");
    const struct grant in_left = { ALL_RIGHTS, 1, { .org_id = 2, .org_path = STR("/1/2/") } };
    const struct grant own = { ALL_RIGHTS, 1, { .own = true } };
    const struct grant none = { SOME_RIGHTS, 1, { .org_id = 2, .org_path = STR("/1/2/") } };
    const struct principal li = user_of(&in_left), mine = user_of(&own), reader = user_of(&none);
    json_t *record;
    test_ok((record = get(&f, f.site, &li, left, false, &err)), "left");
    json_decref(record);
    test_ok((record = get(&f, f.site, &li, leaf, false, &err)), "leaf");
    json_decref(record);
    test_ok(!get(&f, f.site, &li, right, false, &err) && err.code == ERR_NOT_FOUND, "right is as if absent");
    static const struct entity_list lists[] = { { .limit = 10 },
                                                { .text = { "word", 4 }, .limit = 10 },
                                                { .sort = { "-size", 5 }, .limit = 10 } };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        json_t *page = list(&f, f.site, &li, lists[i], &err);
        test_ok(page && json_array_size(json_object_get(page, "items")) == 2, "list %zu: %zu", i,
                json_array_size(json_object_get(page, "items")));
        json_decref(page);
    }
    int64_t version = 1;
    test_ok(update(&f, f.site, &li, right, &version, "{\"name\":\"x\"}", &err) == ERR_NOT_FOUND,
            "update right");
    test_ok(update(&f, f.site, &li, left, &version, "{\"org\":\"3\"}", &err) == ERR_FORBIDDEN, "move out");
    test_ok(create(&f, f.site, &li, "{\"code\":\"x\",\"name\":\"x\",\"org\":\"3\"}", NULL, &err) ==
                ERR_FORBIDDEN,
            "create out");
    test_ok(create(&f, f.site, &li, "{\"code\":\"x\",\"name\":\"x\"}", NULL, &err) == ERR_FORBIDDEN,
            "create nowhere");
    test_ok(number(&f, "SELECT count(*) FROM p_site") == 3, "nothing was left behind");
    teststore_ok(create(&f, f.site, &li, "{\"code\":\"x\",\"name\":\"x\",\"org\":\"4\"}", NULL, &err), &err,
                 "create in");
    test_ok(delete (&f, f.site, &reader, left, 1, &err) == ERR_FORBIDDEN, "no permission");
    test_ok(delete (&f, f.site, &li, right, 1, &err) == ERR_NOT_FOUND, "delete right");
    int64_t id = 0;
    teststore_ok(create(&f, f.site, &mine, "{\"code\":\"m\",\"name\":\"x\"}", &id, &err), &err, "own");
    test_ok((record = get(&f, f.site, &mine, id, false, &err)), "own");
    test_ok(record_id(record, "created_by") == 77, "by");
    json_decref(record);
    test_ok(!get(&f, f.site, &mine, left, false, &err), "of others");
    test_ok(!get(&f, f.event, &li, 1, false, &err), "a type without scope");
    json_t *page = list(&f, f.event, &li, (struct entity_list) { .limit = 5 }, &err);
    test_ok(page && !json_array_size(json_object_get(page, "items")), "shows nothing");
    json_decref(page);
    end(&f);
}

/* Walks all pages and returns the codes joined. */
static void walk(struct fixture *f, struct entity_list what, struct buf *out)
{
    struct err err = { 0 };
    for (int pages = 0; pages < 100; pages++) {
        json_t *page = list(f, f->site, NULL, what, &err), *item;
        test_ok(page, "%s", err.id);
        size_t i;
        json_array_foreach(json_object_get(page, "items"), i, item)
        {
            buf_str(out, record_str(item, "code"));
            buf_char(out, ' ');
        }
        const struct str next = record_str(page, "next");
        if (next.len)
            what.after = arena_str(f->arena, next);
        json_decref(page);
        if (!next.len)
            return;
    }
    test_ok(false, "pages without end");
}

static void test_pages(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    static const char *const rows[] = {
        "{\"code\":\"a\",\"name\":\"n\",\"size\":2}",
        "{\"code\":\"b\",\"name\":\"m\"}",
        "{\"code\":\"c\",\"name\":\"n\",\"size\":2}",
        "{\"code\":\"d\",\"name\":\"o\",\"size\":-1.5}",
        "{\"code\":\"e\",\"name\":\"n\"}",
        "{\"code\":\"f\",\"name\":\"|x|\",\"size\":7,\"opened\":\"2026-01-02\"}",
        "{\"code\":\"g\",\"name\":\"中\",\"opened\":\"2025-01-02\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        (void)must_create(&f, f.site, rows[i]);
    static const struct {
        const char *sort, *want;
    } cases[] = {
        { "", "a b c d e f g " },      { "-code", "g f e d c b a " },  { "size", "b e g d a c f " },
        { "-size", "f c a d g e b " }, { "opened", "a b c d e g f " }, { "-opened", "f g e d c b a " },
        { "name", "b a c e d f g " },  { "-id", "g f e d c b a " },    { "id", "a b c d e f g " },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int limit = 1; limit <= 8; limit++) {
            struct buf got;
            buf_init(&got, 1000);
            walk(&f, (struct entity_list) { .sort = str_from(cases[i].sort), .limit = limit }, &got);
            test_ok(str_eq(buf_get(&got), str_from(cases[i].want)), "%s by %d: %s", cases[i].sort, limit,
                    got.ptr);
            buf_done(&got);
        }
    struct err err = { 0 };
    test_ok(!list(&f, f.site, NULL, (struct entity_list) { .sort = STR("note") }, &err) &&
                !strcmp(err.id, "entity.not_sortable"),
            "sort");
    test_ok(!list(&f, f.site, NULL, (struct entity_list) { .after = STR("zzz") }, &err) &&
                !strcmp(err.id, "entity.cursor"),
            "cursor");
    test_ok(!list(&f, f.site, NULL, (struct entity_list) { .limit = 201 }, &err) && err.code == ERR_INVALID,
            "limit");
    struct op op = op_of(&f, f.site, NULL);
    teststore_ok(store_read(f.store, count_fn, &op, &err), &err, "count");
    test_ok(op.count == 7 && op.exact, "%lld", (long long)op.count);
    end(&f);
}

/* Random texts and queries: what the list finds is what the rule finds, in the same order. */
static void test_search(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "网", "络", "故", "障", "ab", "c", "1", " ", "-", "，", "网络", "。"
    };
    enum { RECORDS = 120, QUERIES = 80 };
    static char names[RECORDS][80], notes[RECORDS][80];
    struct fixture f;
    struct err err = { 0 };
    begin(&f);
    uint64_t seed = 11;
    for (int i = 0; i < RECORDS; i++) {
        strcpy(names[i], "名");
        notes[i][0] = 0;
        for (int n = 0; n < 16; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            strcat(n < 6 ? names[i] : notes[i], parts[(seed >> 33) % 12]);
        }
        char text[400];
        (void)snprintf(text, sizeof text, "{\"code\":\"c%03d\",\"name\":\"%s\",\"note\":\"%s\"}", i, names[i],
                       notes[i]);
        const int64_t id = must_create(&f, f.site, text);
        int64_t version = 1;
        if (i % 3 == 0) { /* the index follows a change */
            strcpy(names[i], i % 2 ? "故障" : "ab");
            (void)snprintf(text, sizeof text, "{\"name\":\"%s\"}", names[i]);
            teststore_ok(update(&f, f.site, NULL, id, &version, text, &err), &err, "update");
        }
        if (i % 10 == 9) {
            teststore_ok(delete (&f, f.site, NULL, id, version, &err), &err, "delete");
            names[i][0] = notes[i][0] = 0;
        }
    }
    for (int q = 0; q < QUERIES; q++) {
        char query[60] = "";
        for (int n = 0; n <= q % 4; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            strcat(query, parts[(seed >> 33) % 12]);
        }
        struct gram_query grams;
        struct buf want, got;
        int64_t count = 0;
        buf_init(&want, 10000);
        buf_init(&got, 10000);
        test_ok(!gram_query(str_from(query), f.arena, &grams, &err), "query");
        for (int i = RECORDS - 1; i >= 0; i--) {
            struct buf normal;
            buf_init(&normal, 1000);
            test_ok(!gram_normal(str_from(names[i]), &normal, &err), "normal");
            if (notes[i][0] && normal.len) {
                buf_text(&normal, " " GRAM_FIELD_SEPARATOR);
                test_ok(!gram_normal(str_from(notes[i]), &normal, &err), "normal");
            }
            if (names[i][0] && gram_found(&grams, buf_get(&normal))) {
                buf_printf(&want, "c%03d ", i);
                count++;
            }
            buf_done(&normal);
        }
        struct entity_list what = { .text = str_from(query), .limit = 7 };
        walk(&f, what, &got);
        test_ok(str_eq(buf_get(&want), buf_get(&got)), "[%s] got %s want %s", query, got.ptr ? got.ptr : "",
                want.ptr ? want.ptr : "");
        struct op op = op_of(&f, f.site, NULL);
        op.list = what;
        if (query[0] && strcmp(query, " ")) {
            teststore_ok(store_read(f.store, count_fn, &op, &err), &err, "count");
            test_ok(op.count == count, "[%s] count %lld want %lld", query, (long long)op.count,
                    (long long)count);
        }
        buf_clear(&got);
        what.sort = STR("code");
        walk(&f, what, &got);
        test_ok(got.len == want.len, "sorted: %s", got.ptr ? got.ptr : "");
        buf_done(&want);
        buf_done(&got);
    }
    end(&f);
}

static void test_tables(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    struct findings findings;
    begin(&f);
    const int64_t id = must_create(&f, f.job, "{\"title\":\"网络故障\"}");
    teststore_ok(sync_tables(&f, &findings, &err), &err, "again");
    test_ok(!findings.count, "nothing to do");
    /* a column with a default, a search, an index, a unique group come */
    close_packs(&f);
    put(&f, "p/types/job.json",
        "{\"type\":\"object\",\"x-kind\":\"case\"," T
        ",\"properties\":{\"level\":{\"type\":\"integer\",\"default\":3," T "},"
        "\"site\":{\"type\":\"string\",\"x-ref\":\"p.site\"," T
        "},\"kind\":{\"type\":\"string\",\"default\":\"net\"," T "}},"
        "\"x-number\":\"GZ-{seq:4}\",\"x-sort\":[\"-opened_at\",\"kind\"],\"x-search\":[\"title\"],"
        "\"x-scope\":{\"org\":\"org\"}}");
    open_packs(&f);
    test_ok(!findings_init(&findings, f.arena, &err), "findings");
    teststore_ok(entity_tables(f.entity, false, &findings, &err), &err, "look");
    test_ok(findings.count >= 3, "tells what would come: %d", findings.count);
    teststore_ok(sync_tables(&f, &findings, &err), &err, "add");
    json_t *record = get(&f, f.job, NULL, id, false, &err);
    test_ok(record && str_eq(record_str(record, "kind"), STR("net")), "default in old rows");
    json_decref(record);
    json_t *page = list(&f, f.job, NULL, (struct entity_list) { .text = STR("故障") }, &err);
    test_ok(page && json_array_size(json_object_get(page, "items")) == 1, "old rows are found");
    json_decref(page);
    /* a column that changes its kind, one that goes */
    close_packs(&f);
    put(&f, "p/types/job.json",
        "{\"type\":\"object\",\"x-kind\":\"case\"," T ",\"properties\":{\"level\":{\"type\":\"string\"," T
        "}}}");
    open_packs(&f);
    test_ok(sync_tables(&f, &findings, &err) == ERR_PRECONDITION && !strcmp(err.id, "entity.needs_migration"),
            "refused");
    test_ok(findings.count == 3, "level, site, kind: %d", findings.count);
    test_ok(number(&f, "SELECT count(*) FROM p_job WHERE kind = 'net'") == 1, "nothing was touched");
    end(&f);
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
    struct fixture f;
    struct err err = { 0 };
    int before = 0, after = 0;
    begin(&f);
    teststore_ok(entity_hook_add(f.entity, "p.job", hook_before, &before, &err), &err, "hook");
    teststore_ok(entity_hook_after_add(f.entity, "p.job", hook_after, &after, &err), &err, "hook");
    test_ok(entity_hook_add(f.entity, "p.none", hook_before, NULL, &err) == ERR_NOT_FOUND, "no type");
    const int64_t id = must_create(&f, f.job, "{\"title\":\"t\"}");
    json_t *record = get(&f, f.job, NULL, id, false, &err);
    test_ok(str_eq(record_str(record, "state"), STR("new")), "state");
    json_decref(record);
    int64_t version = 1;
    teststore_ok(update(&f, f.job, NULL, id, &version, "{\"title\":\"u\"}", &err), &err, "update");
    record = get(&f, f.job, NULL, id, false, &err);
    test_ok(str_eq(record_str(record, "state"), STR("touched")) &&
                str_eq(record_str(record, "title"), STR("u")),
            "state");
    json_decref(record);
    test_ok(delete (&f, f.job, NULL, id, 2, &err) == ERR_CONFLICT, "refused");
    (void)must_create(&f, f.site, "{\"code\":\"s\",\"name\":\"a\"}");
    test_ok(before == 3 && after == 2, "%d %d", before, after);
    end(&f);
}

static enum err_code import(struct fixture *f, const struct entity_type *type, const char *csv, bool dry_run,
                            struct table_import *out, struct findings *findings, struct err *err)
{
    struct entity_call call = {
        .entity = f->entity, .lang = LANG_EN, .arena = f->arena, .findings = findings
    };
    test_ok(!findings_init(findings, f->arena, err), "findings");
    *out = (struct table_import) { .text = str_from(csv), .dry_run = dry_run };
    return entity_import(&call, type, out, err);
}

static void test_import(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    struct findings findings;
    struct table_import done;
    begin(&f);
    static const char good[] =
        "code,name,org,size,parent,geo\r\ns1,\"a,1\",b,1.5,,\"{\"\"lat\"\":1}\"\r\ns2,two,c,,s1,\r\n";
    teststore_ok(import(&f, f.site, good, true, &done, &findings, &err), &err, "dry run");
    test_ok(done.created == 2 && number(&f, "SELECT count(*) FROM p_site") == 0, "only a preview");
    teststore_ok(import(&f, f.site, good, false, &done, &findings, &err), &err, "import");
    test_ok(done.rows == 2 && done.created == 2, "%lld", (long long)done.created);
    test_ok(number(&f, "SELECT count(*) FROM p_site t JOIN p_site p ON p.id = t.parent WHERE t.code = 's2' "
                       "AND p.code = 's1'") == 1,
            "key");
    teststore_ok(import(&f, f.site, "name,code\nnew,s1\ntwo,s2\n", false, &done, &findings, &err), &err,
                 "again");
    test_ok(done.updated == 1 && done.unchanged == 1, "%lld %lld", (long long)done.updated,
            (long long)done.unchanged);
    test_ok(number(&f, "SELECT count(*) FROM p_site WHERE name = 'new' AND size = 1.5") == 1,
            "other columns stay");
    static const struct {
        const char *csv, *id;
        int line, column;
    } cases[] = {
        { "", "entity.no_header", 0, 0 },
        { "code,nope\n", "entity.unknown_column", 1, 6 },
        { "code,code\n", "entity.column_twice", 1, 6 },
        { "code,name\nx,y\n\nz,\"", "csv.open", 4, 3 },
        { "code,name,org\nx,y,zzz\n", "entity.no_reference", 2, 5 },
        { "code,size,name\nx,many,y\n", "entity.wrong_type", 2, 3 },
        { "code,name\nx,y\nx2\n", "entity.required", 3, 1 },
        { "code,name\nx,y,z\n", "entity.too_many_cells", 2, 5 },
        { "name,code\ny,x\nw,x\n\xe4\xb8\xad,\n", "entity.required", 4, 3 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_ok(import(&f, f.site, cases[i].csv, false, &done, &findings, &err) == ERR_INVALID, "%s",
                cases[i].csv);
        const struct err *first = &findings.items[0];
        test_ok(findings.count && !strcmp(first->id, cases[i].id), "%s: %s", cases[i].csv,
                findings.count ? first->id : "none");
        test_ok(first->at.line == cases[i].line && first->at.column == cases[i].column, "%s: %d:%d",
                cases[i].csv, first->at.line, first->at.column);
        test_ok(number(&f, "SELECT count(*) FROM p_site") == 2, "nothing is left");
    }
    /* out again, and in: nothing changes */
    char path[120];
    int64_t rows = 0;
    (void)snprintf(path, sizeof path, "%s/out.csv", f.root);
    const struct entity_call call = { .entity = f.entity, .lang = LANG_EN, .arena = f.arena };
    teststore_ok(entity_export(&call, f.site, &(struct entity_list) { .limit = 1 }, TABLE_CSV, path, false,
                               &rows, &err),
                 &err, "export");
    test_ok(rows == 2, "%lld", (long long)rows);
    struct buf text;
    buf_init(&text, 1 << 20);
    test_ok(!buf_read_file(&text, path, &err), "read");
    const enum err_code rc = import(&f, f.site, text.ptr, false, &done, &findings, &err);
    test_ok(!rc && done.unchanged == 2, "%s: %lld", rc ? findings.items[0].id : "ok",
            (long long)done.unchanged);
    buf_done(&text);
    end(&f);
}

/* A duplicate may be noticed after the last row only: told at its row all the same, also of a dry run. */
static void test_import_duplicate(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    struct findings findings;
    struct table_import done;
    begin(&f);
    put(&f, "p/types/tag.json", TAG);
    close_packs(&f);
    open_packs(&f);
    const struct entity_type *tag = entity_type_find(f.entity, "p.tag");
    teststore_ok(sync_tables(&f, &findings, &err), &err, "tables");
    for (int dry = 1; dry >= 0; dry--) {
        test_ok(import(&f, tag, "code,name\na,1\nb,2\nc,1\n", dry, &done, &findings, &err) != ERR_OK,
                "refused");
        test_ok(findings.count == 1 && findings.items[0].at.line == 4, "%d at %d", findings.count,
                findings.items[0].at.line);
        test_ok(number(&f, "SELECT count(*) FROM p_tag") == 0, "nothing is left");
    }
    end(&f);
}

/* ---- every way to the rows of a list gives the same answer ---- */

#define WAYS_ROWS 400

struct way {
    const char *filter;
    const char *text;
    bool (*passes)(const json_t *record);
};

static bool passes_all(const json_t *record)
{
    (void)record;
    return true;
}
static bool passes_size(const json_t *record)
{
    return json_number_value(json_object_get(record, "size")) >= 5;
}
static bool passes_name(const json_t *record)
{
    return str_eq(record_str(record, "name"), STR("word 1"));
}
static bool passes_both(const json_t *record)
{
    const json_t *size = json_object_get(record, "size");
    return passes_name(record) && json_is_number(size) && json_number_value(size) < 8;
}
static bool passes_null(const json_t *record)
{
    return json_is_null(json_object_get(record, "size"));
}
static bool passes_rare(const json_t *record)
{
    return str_find(record_str(record, "note"), STR("zz")) >= 0;
}

static bool passes_code(const json_t *record)
{
    return str_find(record_str(record, "code"), STR("c17")) >= 0;
}

static const struct way WAYS[] = {
    { "", "", passes_all },
    { "size >= 5", "", passes_size },
    { "name = \"word 1\"", "", passes_name },
    { "name = \"word 1\" and size < 8", "", passes_both },
    { "size = null", "", passes_null },
    { "contains(code, \"c17\")", "", passes_code },
    { "", "word", passes_all },
    { "size >= 5", "word", passes_size },
    { "", "zz", passes_rare },
};

/* The codes of all records in that order that the scope and the way let pass. */
static void want_codes(struct fixture *f, struct str sort, bool left, bool right, const struct way *way,
                       struct buf *out, int *count)
{
    struct err err = { 0 };
    struct entity_list what = { .sort = sort, .limit = 200 };
    for (bool more = true; more;) {
        json_t *page = list(f, f->site, NULL, what, &err), *item;
        size_t i;
        json_array_foreach(json_object_get(page, "items"), i, item)
        {
            const bool in_right = record_id(item, "org") == 3;
            if (!(in_right ? right : left) || !way->passes(item))
                continue;
            buf_str(out, record_str(item, "code"));
            buf_char(out, ' ');
            ++*count;
        }
        const struct str next = record_str(page, "next");
        more = next.len > 0;
        if (more)
            what.after = arena_str(f->arena, next);
        json_decref(page);
    }
}

static void got_codes(struct fixture *f, const struct principal *who, struct entity_list what,
                      struct buf *out)
{
    struct err err = { 0 };
    for (int pages = 0; pages < 1000; pages++) {
        json_t *page = list(f, f->site, who, what, &err), *item;
        test_ok(page, "%s", err.id);
        size_t i;
        json_array_foreach(json_object_get(page, "items"), i, item)
        {
            buf_str(out, record_str(item, "code"));
            buf_char(out, ' ');
        }
        const struct str next = record_str(page, "next");
        if (next.len)
            what.after = arena_str(f->arena, next);
        json_decref(page);
        if (!next.len)
            return;
    }
    test_ok(false, "pages without end");
}

static void check_way(struct fixture *f, const struct principal *who, bool left, bool right,
                      const struct way *way, const char *sort)
{
    struct err err = { 0 };
    struct buf want, got;
    int count = 0;
    struct entity_list what = { .filter = str_from(way->filter),
                                .text = str_from(way->text),
                                .sort = str_from(sort) };
    buf_init(&want, 1 << 20);
    buf_init(&got, 1 << 20);
    want_codes(f, what.sort, left, right, way, &want, &count);
    for (what.limit = 7; what.limit <= 200; what.limit += 193) {
        buf_clear(&got);
        got_codes(f, who, what, &got);
        test_ok(str_eq(buf_get(&got), buf_get(&want)), "%s \"%s\" \"%s\" by %d:\n%s\n%s", sort, way->filter,
                way->text, what.limit, want.ptr, got.ptr);
    }
    struct op op = op_of(f, f->site, who);
    op.list = what;
    op.list.sort = (struct str) { 0 };
    op.list.limit = 0;
    teststore_ok(store_read(f->store, count_fn, &op, &err), &err, "count");
    test_ok(op.exact && op.count == count, "%lld of %d", (long long)op.count, count);
    buf_done(&want);
    buf_done(&got);
}

static enum err_code many_orgs_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    char sql[300];
    enum err_code rc = ERR_OK;
    for (int i = 100; !rc && i < 180; i++) {
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO org (id, path, code, name, version, created_at, created_by, updated_at,"
                       " updated_by) VALUES (%d, '/1/2/%d/', 'o%d', 'x', 1, 0, 0, 0, 0);",
                       i, i, i);
        rc = tx_exec(tx, sql, err);
    }
    return rc;
}

static void test_ways(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    struct findings findings;
    struct table_import done;
    struct buf csv;
    begin(&f);
    teststore_ok(store_write(f.store, many_orgs_fn, NULL, &err), &err, "orgs");
    buf_init(&csv, 1 << 20);
    buf_text(&csv, "code,name,size,opened,note,org\n");
    for (int i = 0; i < WAYS_ROWS; i++) { /* ties, and rows without a value */
        const int r = (int)((unsigned)i * 2654435761u >> 8);
        buf_printf(&csv, "c%03d,word %d,", i, r % 4);
        if (r % 5)
            buf_printf(&csv, "%d", r % 11);
        buf_text(&csv, ",");
        if (r % 7 == 0)
            buf_printf(&csv, "2026-01-%02d", r % 28 + 1);
        buf_printf(&csv, ",%s,", i % 90 == 7 ? "zz" : "note");
        if (r % 3 == 0)
            buf_text(&csv, "c\n");
        else
            buf_printf(&csv, r % 3 == 1 ? "b\n" : "o%d\n", 100 + r % 80);
    }
    teststore_ok(import(&f, f.site, csv.ptr, false, &done, &findings, &err), &err, "import");
    buf_done(&csv);
    const struct grant broad = { ALL_RIGHTS, 1, { .org_id = 2, .org_path = STR("/1/2/") } };
    const struct grant narrow = { ALL_RIGHTS, 1, { .org_id = 3, .org_path = STR("/1/3/") } };
    const struct grant two[] = { narrow, broad };
    const struct principal in_broad = user_of(&broad), in_narrow = user_of(&narrow);
    struct principal both = user_of(two);
    both.grant_count = 2;
    static const char *const sorts[] = {
        "code", "-code", "size", "-size", "opened", "-opened", "-name", "-id"
    };
    for (size_t w = 0; w < sizeof WAYS / sizeof *WAYS; w++)
        for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
            check_way(&f, &in_broad, true, false, &WAYS[w], sorts[i]);
            check_way(&f, &in_narrow, false, true, &WAYS[w], sorts[i]);
            if (i % 3 == 0)
                check_way(&f, &both, true, true, &WAYS[w], sorts[i]);
        }
    end(&f);
}

/* Lists of references: names in their order, a round trip through a file, what is referred to stays. */
static void test_reference_lists(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    struct findings findings;
    struct table_import done;
    struct buf text;
    char json[200], path[200];
    int64_t ids[4], rows = 0;
    begin(&f);
    static const char *const names[] = { "east", "west", "north" };
    for (int i = 0; i < 3; i++) {
        (void)snprintf(json, sizeof json, "{\"code\":\"s%d\",\"name\":\"%s\",\"org\":\"2\"}", i, names[i]);
        ids[i] = must_create(&f, f.site, json);
    }
    (void)snprintf(json, sizeof json,
                   "{\"code\":\"hub\",\"name\":\"hub\",\"org\":\"2\",\"near\":[\"%lld\",\"%lld\"],"
                   "\"links\":[{\"to\":\"%lld\"}]}",
                   (long long)ids[1], (long long)ids[0], (long long)ids[2]);
    ids[3] = must_create(&f, f.site, json);
    json_t *record = get(&f, f.site, NULL, ids[3], true, &err);
    const char *label = json_string_value(json_object_get(json_object_get(record, "_labels"), "near"));
    test_ok(label && !strcmp(label, "west, east"), "%s", label ? label : "none");
    json_decref(record);
    for (int i = 0; i < 3; i++)
        test_ok(delete (&f, f.site, NULL, ids[i], 0, &err) == ERR_CONFLICT &&
                    !strcmp(err.id, "entity.referenced"),
                "%s is referred to: %s", names[i], err.id);
    test_ok(create(&f, f.site, NULL, "{\"code\":\"x\",\"name\":\"x\",\"links\":[{\"to\":\"5\"}]}", NULL,
                   &err) == ERR_INVALID &&
                !strcmp(err.id, "entity.reference"),
            "nobody is 5: %s", err.id);
    struct entity_call call = { .entity = f.entity, .arena = f.arena };
    (void)snprintf(path, sizeof path, "%s/out.csv", f.root);
    teststore_ok(entity_export(&call, f.site, &(struct entity_list) { .limit = 1 }, TABLE_CSV, path, false,
                               &rows, &err),
                 &err, "export");
    buf_init(&text, 1 << 20);
    test_ok(!buf_read_file(&text, path, &err) && strstr(text.ptr, "s1;s0"), "keys of the list: %s", text.ptr);
    const enum err_code rc = import(&f, f.site, text.ptr, false, &done, &findings, &err);
    test_ok(!rc && done.unchanged == 4, "%s: %lld", rc ? findings.items[0].id : "ok",
            (long long)done.unchanged);
    buf_done(&text);
    teststore_ok(delete (&f, f.site, NULL, ids[3], 0, &err), &err, "the hub");
    teststore_ok(delete (&f, f.site, NULL, ids[2], 0, &err), &err, "then the others");
    end(&f);
}

/* Each statement fails once: nothing is left behind, and then it works. */
static void test_failing_statements(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    bool done = false;
    for (long nth = 0; !done; nth++) {
        struct err err = { 0 };
        int64_t id = 0;
        store_fail_at(f.store, nth, ERR_IO);
        const enum err_code rc =
            create(&f, f.site, NULL,
                   "{\"code\":\"s\",\"name\":\"网络\",\"org\":\"2\",\"phone\":\"13812345678\"}", &id, &err);
        store_fail_at(f.store, -1, ERR_OK);
        done = rc == ERR_OK;
        test_ok(done || rc == ERR_IO, "%ld: %s", nth, err.id);
        test_ok(number(&f, "SELECT count(*) FROM p_site") == done, "row at %ld", nth);
        test_ok(number(&f, "SELECT count(*) FROM subject") == done, "subject at %ld", nth);
        test_ok(nth < 50, "no end");
    }
    end(&f);
}

TEST_MAIN(TEST(test_life), TEST(test_refused), TEST(test_kinds), TEST(test_sensitive), TEST(test_scope),
          TEST(test_pages), TEST(test_search), TEST(test_tables), TEST(test_hooks), TEST(test_import),
          TEST(test_reference_lists), TEST(test_import_duplicate), TEST(test_ways),
          TEST(test_failing_statements))
