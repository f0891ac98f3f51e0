/* type_test.c - schemas become types; every fault is a finding at its line */
#include "platform/entity/type.h"

#include "test.h"

#include <assert.h>
#include <unistd.h>

static char root[64];

static struct packs *begin(const char *type)
{
    strcpy(root, "/tmp/bihuan-type-XXXXXX");
    test_ok(mkdtemp(root), "mkdtemp");
    test_put(root, "p/pack.json",
             "{\"name\":\"p\",\"version\":\"1\",\"title\":{\"zh-CN\":\"p\",\"en\":\"p\"}}");
    test_put(root, "p/types/t.json", type);
    struct err err = { 0 };
    struct packs *packs = NULL;
    const char *dirs[] = { root };
    test_ok(!packs_load(&(struct packs_config) { .dirs = dirs, .dirs_count = 1 }, NULL, &packs, &err), "%s",
            err.id);
    return packs;
}

static void end(struct packs *packs)
{
    packs_free(packs);
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", root);
    test_ok(!system(command), "rm");
}

#define TITLE "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
#define TYPE(rest) "{\"type\":\"object\"," TITLE "," rest "}"
#define FIELD(rest) TYPE("\n\"properties\":{\n\"f\":{" TITLE "," rest "}}")

static void test_whole(void **state)
{
    (void)state;
    struct packs *packs =
        begin(TYPE("\"x-kind\":\"case\",\"required\":[\"level\"],\"properties\":{"
                   "\"level\":{\"type\":\"integer\",\"enum\":[1,2],\"default\":2," TITLE "},"
                   "\"phone\":{\"type\":\"string\",\"x-sensitive\":\"phone\"," TITLE "},"
                   "\"title\":{\"type\":\"string\",\"maxLength\":80},"
                   "\"due\":{\"type\":\"string\",\"format\":\"date-time\"," TITLE "},"
                   "\"parent\":{\"type\":\"string\",\"x-ref\":\"p.t\"," TITLE "},"
                   "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":20}," TITLE "},"
                   "\"grid\":false},"
                   "\"x-number\":\"GZ-{yyyy}{MM}-{seq:5}\",\"x-sort\":[\"-opened_at\",\"level\"],\"x-"
                   "search\":[\"title\"],"
                   "\"x-scope\":{\"org\":\"org\",\"own\":\"created_by\"},\"x-unique\":[[\"title\",\"level\"]]"
                   ",\"x-list\":[\"number\"]"));
    struct arena *arena = arena_new(1 << 20);
    struct findings findings;
    struct err err = { 0 };
    struct types *types = NULL;
    test_ok(!findings_init(&findings, arena, &err), "findings");
    test_ok(!types_compile(packs, &findings, &types, &err), "%s", err.id);
    test_ok(!findings.count, "%s %s", findings.items[0].args[0].text, findings.items[0].args[1].text);
    const struct entity_type *type = types_find(types, STR("p.t"));
    test_ok(type && type->kind == TYPE_CASE && str_eq(type->table, STR("p_t")), "type");
    assert(type);
    const int level = type_field(type, STR("level")), due = type_field(type, STR("due"));
    test_ok(type->fields[level].required && type->fields[level].shape.codes_count == 2, "level");
    test_ok(type->fields[due].kind == VALUE_INSTANT, "due");
    test_ok(type->fields[type_field(type, STR("phone"))].mask == MASK_PHONE && type->sensitive, "phone");
    test_ok(type->fields[type_field(type, STR("parent"))].shape.ref_type == type, "parent");
    test_ok(type->fields[type_field(type, STR("org"))].shape.ref_relation, "org");
    test_ok(type_field(type, STR("grid")) < 0 && type_field(type, STR("nope")) < 0, "left out");
    test_ok(type->sort == type_field(type, STR("opened_at")) && type->sort_down, "sort");
    test_ok(type->key.count == 1 && type->key.fields[0] == type_field(type, STR("number")), "key");
    test_ok(type->scope_own == COLUMN_CREATED_BY && type->scoped, "scope");
    test_ok(type->label == type_field(type, STR("title")), "label");
    types_free(types);
    arena_free(arena);
    end(packs);
}

static void test_findings(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *id, *where;
    } cases[] = {
        { TYPE("\"x-knid\":\"case\""), "type.unknown_keyword", "p/types/t.json:1:" },
        { TYPE("\n\"x-kind\":\"thing\""), "type.expected", "p/types/t.json:2:1" },
        { "{\"type\":\"object\"}", "type.titles", "p/types/t.json:1:" },
        { FIELD("\"type\":\"text\""), "type.expected", "p/types/t.json:3:1" },
        { FIELD("\n\"type\":\"string\",\n\"minimum\":1"), "type.unknown_keyword", "p/types/t.json:5:1" },
        { FIELD("\"type\":\"string\",\"format\":\"ipv9\""), "type.expected", "p/types/t.json:3:" },
        { FIELD("\"type\":\"string\",\"pattern\":\"(\""), "type.pattern", "p/types/t.json:3:" },
        { FIELD("\"type\":\"string\",\"maxLength\":-1"), "type.range", "p/types/t.json:3:" },
        { FIELD("\"type\":\"integer\",\"default\":\"x\""), "type.default", "p/types/t.json:3:" },
        { FIELD("\"type\":\"string\",\"x-ref\":\"p.none\""), "type.no_type", "p/types/t.json:3:1" },
        { FIELD("\"type\":\"string\",\"enum\":[\"a\"],\"x-labels\":{\"b\":{}}"), "type.label_missing",
          "p/types/t.json:3:" },
        { FIELD("\"type\":\"string\",\"x-sensitive\":\"some\""), "type.expected", "p/types/t.json:3:" },
        { FIELD("\"type\":\"string\",\"x-sensitive\":\"id\",\"x-index\":true"), "type.sensitive_use",
          "p/types/t.json:3:" },
        { TYPE("\"properties\":{\"Bad\":{\"type\":\"string\"," TITLE "}}"), "type.name",
          "p/types/t.json:1:" },
        { TYPE("\"properties\":{\"id\":{\"type\":\"string\"," TITLE "}}"), "type.name_taken",
          "p/types/t.json:1:" },
        { TYPE("\"x-list\":[\"nope\"]"), "type.no_field", "p/types/t.json:1:" },
        { TYPE("\n\"x-form\":[{\"fields\":[\"nope\"]}]"), "type.no_field", "p/types/t.json:2:" },
        { TYPE("\n\"x-form\":[{\"fields\":[]}]"), "type.expected", "p/types/t.json:2:" },
        { TYPE("\n\"x-form\":[{\"fields\":[\"id\"],\"wide\":1}]"), "type.unknown_keyword",
          "p/types/t.json:2:" },
        { TYPE("\n\"x-form\":[{\"fields\":[\"id\"]},{\"fields\":[\"id\"]}]"), "type.form_twice",
          "p/types/t.json:2:" },
        { TYPE("\n\"x-form\":[{\"fields\":[\"id\"],\"when\":{\"field\":\"id\"}}]"), "type.expected",
          "p/types/t.json:2:" },
        { TYPE("\n\"x-form\":[{\"fields\":[\"id\"],\"when\":{\"field\":\"no\",\"in\":[\"a\"]}}]"),
          "type.no_field", "p/types/t.json:2:" },
        { TYPE("\n\"x-form\":[{\"fields\":[\"k\"],\"when\":{\"field\":\"k\",\"in\":[\"b\"]}}],"
               "\"properties\":{\"k\":{\"type\":\"string\",\"enum\":[\"a\"]," TITLE "}}"),
          "type.form_code", "p/types/t.json:2:" },
        { TYPE("\"x-scope\":{\"org\":\"nope\"}"), "type.scope_field", "p/types/t.json:1:" },
        { TYPE("\"x-kind\":\"case\",\"x-number\":\"A{seq}\""), "type.number", "p/types/t.json:1:" },
        { TYPE("\"x-kind\":\"case\",\"properties\":{\"state\":{\"type\":\"integer\"}}"), "type.common_kind",
          "p/types/t.json:1:" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct packs *packs = begin(cases[i].schema);
        struct arena *arena = arena_new(1 << 20);
        struct findings findings;
        struct err err = { 0 };
        struct types *types = NULL;
        test_ok(!findings_init(&findings, arena, &err), "findings");
        test_ok(!types_compile(packs, &findings, &types, &err), "%s", err.id);
        test_ok(findings.count >= 1 && !strcmp(findings.items[0].id, cases[i].id), "%s: %s", cases[i].schema,
                findings.count ? findings.items[0].id : "none");
        test_ok(str_starts(str_from(findings.items[0].args[0].text), str_from(cases[i].where)), "%s: %s",
                cases[i].schema, findings.items[0].args[0].text);
        types_free(types);
        arena_free(arena);
        end(packs);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct packs *packs = begin(FIELD("\"type\":\"string\",\"enum\":[\"a\"],\"pattern\":\"^a\""));
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        struct types *types = NULL;
        const long before = mem_live();
        mem_fail_at(nth);
        const enum err_code rc = types_compile(packs, NULL, &types, &err);
        mem_fail_at(-1);
        test_ok(rc == ERR_OK || rc == ERR_NOMEM, "%ld: %s", nth, err.id);
        test_ok(rc != ERR_OK || types_find(types, STR("p.t")), "compiled");
        types_free(types);
        test_ok(mem_live() == before, "leak at %ld", nth);
        if (rc == ERR_OK)
            break;
    }
    end(packs);
}

TEST_MAIN(TEST(test_whole), TEST(test_findings), TEST(test_out_of_memory))
