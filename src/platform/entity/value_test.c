/* value_test.c - every check of a record, with its pointer */
#include "platform/entity/value.h"

#include "test.h"

#include <unistd.h>

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
static const char SCHEMA[] =
    "{\"type\":\"object\"," T ",\"required\":[\"name\"],\"properties\":{"
    "\"name\":{\"type\":\"string\",\"maxLength\":4,\"minLength\":2," T "},"
    "\"level\":{\"type\":\"integer\",\"enum\":[1,2],\"default\":2," T
    ",\"x-labels\":{\"1\":{\"zh-CN\":\"一\",\"en\":\"one\"},\"2\":{\"zh-CN\":\"二\",\"en\":\"two\"}}},"
    "\"size\":{\"type\":\"number\",\"minimum\":0,\"maximum\":10," T "},"
    "\"on\":{\"type\":\"boolean\"," T "},"
    "\"day\":{\"type\":\"string\",\"format\":\"date\"," T "},"
    "\"at\":{\"type\":\"string\",\"format\":\"date-time\"," T "},"
    "\"mail\":{\"type\":\"string\",\"format\":\"email\"," T "},"
    "\"code\":{\"type\":\"string\",\"pattern\":\"^[A-Z]+$\"," T "},"
    "\"per\":{\"type\":\"string\",\"format\":\"duration\"," T "},"
    "\"ref\":{\"type\":\"string\",\"x-ref\":\"p.t\"," T "},"
    "\"set\":{\"type\":\"string\",\"readOnly\":true," T "},"
    "\"tags\":{\"type\":\"array\",\"maxItems\":2,\"uniqueItems\":true,\"items\":{\"type\":\"string\","
    "\"maxLength\":3}," T "},"
    "\"geo\":{\"type\":\"object\",\"required\":[\"lat\"],\"properties\":{\"lat\":{\"type\":\"number\"},"
    "\"lon\":{\"type\":\"number\"}},"
    "\"additionalProperties\":false," T "}}}";

struct fixture {
    char root[64];
    struct packs *packs;
    struct types *types;
    const struct entity_type *type;
};

static void begin(struct fixture *f)
{
    strcpy(f->root, "/tmp/bihuan-value-XXXXXX");
    test_ok(mkdtemp(f->root), "mkdtemp");
    test_put(f->root, "p/pack.json",
             "{\"name\":\"p\",\"version\":\"1\",\"title\":{\"zh-CN\":\"p\",\"en\":\"p\"}}");
    test_put(f->root, "p/types/t.json", SCHEMA);
    struct err err = { 0 };
    const char *dirs[] = { f->root };
    test_ok(!packs_load(&(struct packs_config) { .dirs = dirs, .dirs_count = 1 }, NULL, &f->packs, &err),
            "%s", err.id);
    test_ok(!types_compile(f->packs, NULL, &f->types, &err), "%s", err.id);
    f->type = types_find(f->types, STR("p.t"));
    test_ok(f->type, "type");
}

static void end(struct fixture *f)
{
    types_free(f->types);
    packs_free(f->packs);
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", f->root);
    test_ok(!system(command), "rm");
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *json, *id, *pointer;
    } cases[] = {
        { "{\"name\":\"abc\"}", NULL, NULL },
        { "{}", "entity.required", "/name" },
        { "{\"name\":null}", "entity.required", "/name" },
        { "{\"name\":\"\"}", "entity.required", "/name" },
        { "{\"name\":\"abcde\"}", "entity.too_long", "/name" },
        { "{\"name\":\"\xe7\xbd\x91\xe7\xbd\x91\xe7\xbd\x91\xe7\xbd\x91\"}", NULL, NULL },
        { "{\"name\":\"a\"}", "entity.too_short", "/name" },
        { "{\"name\":\"a\\u0001b\"}", "entity.control", "/name" },
        { "{\"name\":7}", "entity.wrong_type", "/name" },
        { "{\"name\":\"ab\",\"nope\":1}", "entity.unknown_field", "/nope" },
        { "{\"name\":\"ab\",\"id\":\"1\"}", "entity.read_only", "/id" },
        { "{\"name\":\"ab\",\"set\":\"1\"}", "entity.read_only", "/set" },
        { "{\"name\":\"ab\",\"level\":3}", "entity.no_code", "/level" },
        { "{\"name\":\"ab\",\"level\":\"1\"}", "entity.wrong_type", "/level" },
        { "{\"name\":\"ab\",\"size\":-1}", "entity.least", "/size" },
        { "{\"name\":\"ab\",\"size\":10.5}", "entity.most", "/size" },
        { "{\"name\":\"ab\",\"on\":1}", "entity.wrong_type", "/on" },
        { "{\"name\":\"ab\",\"day\":\"2026-02-30\"}", "entity.format", "/day" },
        { "{\"name\":\"ab\",\"day\":\"2024-02-29\"}", NULL, NULL },
        { "{\"name\":\"ab\",\"at\":\"2026-02-03 10:00\"}", "entity.format", "/at" },
        { "{\"name\":\"ab\",\"mail\":\"a@b\"}", NULL, NULL },
        { "{\"name\":\"ab\",\"mail\":\"a b@c.d\"}", "entity.format", "/mail" },
        { "{\"name\":\"ab\",\"code\":\"aB\"}", "entity.pattern", "/code" },
        { "{\"name\":\"ab\",\"per\":\"P1M\"}", NULL, NULL },
        { "{\"name\":\"ab\",\"per\":\"P1H\"}", "entity.format", "/per" },
        { "{\"name\":\"ab\",\"per\":\"PT\"}", "entity.format", "/per" },
        { "{\"name\":\"ab\",\"ref\":\"x\"}", "entity.reference", "/ref" },
        { "{\"name\":\"ab\",\"tags\":[\"a\",\"b\",\"c\"]}", "entity.too_many", "/tags" },
        { "{\"name\":\"ab\",\"tags\":[\"a\",\"a\"]}", "entity.repeated", "/tags/1" },
        { "{\"name\":\"ab\",\"tags\":[\"a\",\"abcd\"]}", "entity.too_long", "/tags/1" },
        { "{\"name\":\"ab\",\"geo\":{\"lon\":1}}", "entity.required", "/geo/lat" },
        { "{\"name\":\"ab\",\"geo\":{\"lat\":1,\"x\":1}}", "entity.unknown_field", "/geo/x" },
        { "[]", "entity.wrong_type", "" },
    };
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *arena = arena_new(1 << 20);
        struct value values[TYPE_FIELDS_MAX];
        struct err err = { 0 };
        json_t *json = json_loads(cases[i].json, 0, NULL);
        test_ok(json, "%s", cases[i].json);
        enum err_code rc = fields_read(f.type, json, FIELDS_CREATE, arena, NULL, values, &err);
        if (!rc)
            rc = fields_required(f.type, values, NULL, &err);
        test_ok(cases[i].id ? rc == ERR_INVALID && !strcmp(err.id, cases[i].id) : rc == ERR_OK, "%s: %s",
                cases[i].json, rc ? err.id : "ok");
        test_ok(!cases[i].id || !strcmp(err.at.pointer, cases[i].pointer), "%s: %s", cases[i].json,
                err.at.pointer);
        json_decref(json);
        arena_free(arena);
    }
    end(&f);
}

static void test_all_findings(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct arena *arena = arena_new(1 << 20);
    struct value values[TYPE_FIELDS_MAX];
    struct findings findings;
    struct err err = { 0 };
    json_t *json = json_loads("{\"name\":7,\"level\":9,\"x\":1}", 0, NULL);
    test_ok(!findings_init(&findings, arena, &err), "findings");
    test_ok(fields_read(f.type, json, FIELDS_CREATE, arena, &findings, values, &err) == ERR_INVALID,
            "faults");
    test_ok(findings.count == 3, "%d", findings.count);
    json_decref(json);
    arena_free(arena);
    end(&f);
}

static void test_values(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct arena *arena = arena_new(1 << 20);
    struct value values[TYPE_FIELDS_MAX];
    struct err err = { 0 };
    json_t *json = json_loads(
        "{\"name\":\"cae\\u0301\",\"at\":\"2026-11-21T14:05:00+08:00\",\"ref\":\"12\",\"tags\":[\"a\"]}", 0,
        NULL);
    test_ok(!fields_read(f.type, json, FIELDS_CREATE, arena, NULL, values, &err), "%s", err.id);
    const int name = type_field(f.type, STR("name")), at = type_field(f.type, STR("at")),
              level = type_field(f.type, STR("level"));
    test_ok(str_eq(values[name].text, STR("ca\xc3\xa9")), "NFC: %s", values[name].text.ptr);
    test_ok(values[level].i64 == 2 && !values[level].null, "default");
    struct buf out;
    buf_init(&out, 1000);
    value_json(&f.type->fields[at], &values[at], &out);
    value_json(&f.type->fields[type_field(f.type, STR("ref"))], &values[type_field(f.type, STR("ref"))],
               &out);
    value_json(&f.type->fields[type_field(f.type, STR("tags"))], &values[type_field(f.type, STR("tags"))],
               &out);
    test_ok(str_eq(buf_get(&out), STR("\"2026-11-21T14:05:00+08:00\"\"12\"[\"a\"]")), "%s", out.ptr);
    buf_done(&out);
    json_decref(json);
    json = json_loads("{\"name\":null}", 0, NULL);
    test_ok(!fields_read(f.type, json, 0, arena, NULL, values, &err), "patch");
    test_ok(values[name].given && values[name].null && !values[level].given, "patch");
    json_decref(json);
    arena_free(arena);
    end(&f);
}

static void test_masks(void **state)
{
    (void)state;
    static const struct {
        enum field_mask mask;
        const char *plain, *want;
    } cases[] = {
        { MASK_PHONE, "13812345678", "138****5678" },
        { MASK_ID, "410105199001011234", "410105**********34" },
        { MASK_NAME, "\xe5\xbc\xa0\xe4\xb8\x89", "\xe5\xbc\xa0*" },
        { MASK_ALL, "secret", "******" },
        { MASK_PHONE, "110", "***" },
        { MASK_ALL, "", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 100);
        value_mask(cases[i].mask, str_from(cases[i].plain), &out);
        test_ok(str_eq(buf_get(&out), str_from(cases[i].want)), "%s: %s", cases[i].plain, out.ptr);
        buf_done(&out);
    }
}

static void test_cells(void **state)
{
    (void)state;
    static const struct {
        const char *field, *cell, *want;
    } cases[] = {
        { "level", "1", "1" },
        { "level", "\xe4\xba\x8c", "2" },
        { "level", "two", "2" },
        { "size", "1.5", "1.5" },
        { "size", "x", NULL },
        { "on", "\xe6\x98\xaf", "true" },
        { "on", "perhaps", NULL },
        { "tags", "a; b", "[\"a\",\"b\"]" },
        { "tags", "[\"a\"]", "[\"a\"]" },
        { "name", "", "null" },
        { "geo", "{", NULL },
        { "size", "0x10", NULL },
    };
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = NULL;
        struct err err = { 0 };
        const enum err_code rc = cell_json(&f.type->fields[type_field(f.type, str_from(cases[i].field))],
                                           str_from(cases[i].cell), &json, &err);
        test_ok((rc == ERR_OK) == (cases[i].want != NULL), "%s: %s", cases[i].cell, rc ? err.id : "ok");
        char *dump = rc ? NULL : json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
        test_ok(rc || !strcmp(dump, cases[i].want), "%s: %s", cases[i].cell, dump);
        free(dump);
        if (!rc)
            json_decref(json);
    }
    end(&f);
}

TEST_MAIN(TEST(test_faults), TEST(test_all_findings), TEST(test_values), TEST(test_masks), TEST(test_cells))
