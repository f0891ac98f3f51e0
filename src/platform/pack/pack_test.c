/* pack_test.c - folders become packs, faults become findings with file and line */
#include "platform/pack/pack.h"

#include "test.h"

#include <unistd.h>

static char root[64];

static void begin(void)
{
    strcpy(root, "/tmp/bihuan-pack-XXXXXX");
    test_ok(mkdtemp(root), "mkdtemp");
}

static void end(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", root);
    test_ok(!system(command), "rm");
}

#define PACK(name, rest)                                                                                     \
    "{\"name\":\"" name                                                                                      \
    "\",\"version\":\"1.2.0\",\"title\":{\"zh-CN\":\"\xe5\x8c\x85\",\"en\":\"Pack\"}" rest "}"

static enum err_code load(const char *wanted, struct findings *findings, struct arena *arena,
                          struct packs **out, struct err *err)
{
    const char *dirs[] = { root };
    test_ok(!findings_init(findings, arena, err), "findings");
    return packs_load(&(struct packs_config) { .dirs = dirs, .dirs_count = 1, .wanted = wanted }, findings,
                      out, err);
}

static void test_order(void **state)
{
    (void)state;
    begin();
    test_put(root, "a/pack.json", PACK("a", ",\"needs\":[\"b >= 1.1\"]"));
    test_put(root, "b/pack.json", PACK("b", ""));
    test_put(root, "core/pack.json", PACK("core", ""));
    test_put(root, "b/types/thing.json", "{}");
    test_put(root, "b/types/.hidden.json", "{");
    test_put(root, "b/words/en.json", "{\"b.x\":\"x\"}");
    test_put(root, "b/words/zh-CN.json", "{\"b.x\":\"x\"}");
    struct arena *arena = arena_new(1 << 20);
    struct findings findings;
    struct err err = { 0 };
    struct packs *packs = NULL;
    test_ok(!load("a", &findings, arena, &packs, &err), "%s", err.id);
    test_ok(findings.count == 0, "%s %s", findings.items[0].id, findings.items[0].args[0].text);
    test_ok(packs_count(packs) == 3, "%d", packs_count(packs));
    test_ok(str_eq(packs_at(packs, 0)->name, STR("core")) && str_eq(packs_at(packs, 2)->name, STR("a")),
            "order");
    const struct pack *b = packs_find(packs, STR("b"));
    test_ok(b && b->files_count == 3 && pack_file_find(b, PACK_TYPES, STR("thing"))->json, "files");
    packs_free(packs);
    arena_free(arena);
    end();
}

static void test_optional(void **state)
{
    (void)state;
    begin();
    test_put(root, "a/pack.json", PACK("a", ""));
    test_put(root, "d/pack.json", PACK("d", ",\"optional\":true"));
    struct err err = { 0 };
    struct packs *packs = NULL;
    const char *dirs[] = { root };
    static const struct {
        const char *wanted;
        bool optional;
        int count;
    } cases[] = { { NULL, false, 1 }, { NULL, true, 2 }, { "d", false, 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_ok(!packs_load(&(struct packs_config) { dirs, 1, cases[i].wanted, cases[i].optional }, NULL,
                            &packs, &err),
                "%s", err.id);
        test_ok(packs_count(packs) == cases[i].count, "%zu: %d", i, packs_count(packs));
        packs_free(packs);
    }
    end();
}

static void test_findings(void **state)
{
    (void)state;
    static const struct {
        const char *path, *text, *id, *where;
    } cases[] = {
        { "a/types/x.json", "{\n  \"a\": }", "pack.json", "a/types/x.json:2:" },
        { "a/types/x.json", "{\"a\":1,\"a\":2}", "pack.json", "a/types/x.json:1:" },
        { "a/words/en.json", "{\"a.x\":\"x\"}", "pack.word_missing", "a/words/en.json:1:2" },
        { "a/words/en.json", "{\n\"b.x\":\"x\"}", "pack.word_name", "a/words/en.json:2:1" },
        { "a/types/x.json", "\xff", "pack.utf8", "a/types/x.json" },
        { "a/pack.json", PACK("b", ""), "pack.name", "a/pack.json:1:2" },
        { "a/pack.json", PACK("a", ",\"nedds\":[]"), "pack.unknown_member", "a/pack.json:1:" },
        { "a/pack.json", "{\"name\":\"a\",\"version\":\"1\"}", "pack.missing", "a/pack.json:1:1" },
        { "a/pack.json", PACK("a", ",\"needs\":[\"a\"]"), "pack.needs_circle", "a/pack.json:1:" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        test_put(root, "a/pack.json", PACK("a", ""));
        test_put(root, cases[i].path, cases[i].text);
        struct arena *arena = arena_new(1 << 20);
        struct findings findings;
        struct err err = { 0 };
        struct packs *packs = NULL;
        test_ok(!load("", &findings, arena, &packs, &err), "%s", err.id);
        test_ok(findings.count >= 1 && !strcmp(findings.items[0].id, cases[i].id), "%s: %s", cases[i].text,
                findings.count ? findings.items[0].id : "none");
        test_ok(str_starts(str_from(findings.items[0].args[0].text), str_from(cases[i].where)), "%s",
                findings.items[0].args[0].text);
        packs_free(packs);
        arena_free(arena);
        end();
    }
}

static void test_absent(void **state)
{
    (void)state;
    begin();
    test_put(root, "a/pack.json", PACK("a", ",\"needs\":[\"z\"]"));
    struct arena *arena = arena_new(1 << 20);
    struct findings findings;
    struct err err = { 0 };
    struct packs *packs = NULL;
    test_ok(load("a", &findings, arena, &packs, &err) == ERR_NOT_FOUND, "need");
    test_ok(load("q", &findings, arena, &packs, &err) == ERR_NOT_FOUND, "wanted");
    arena_free(arena);
    end();
}

static void test_pointer(void **state)
{
    (void)state;
    const struct str text =
        STR("{ \"a\": [1, {\"b\\\"}\": 2}, {\"c\": \"x,]\", \"d\": true}], \"e\": {\"f\": 0} }");
    static const struct {
        const char *pointer, *want;
    } cases[] = {
        { "", "{" },         { "/a", "\"a\"" },    { "/a/1", "{\"b" }, { "/a/2/d", "\"d\"" },
        { "/e/f", "\"f\"" }, { "/e/no", "\"e\"" }, { "/no", "{" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ptrdiff_t at = json_pointer_offset(text, str_from(cases[i].pointer));
        test_ok(str_starts(str_slice(text, (size_t)at, text.len), str_from(cases[i].want)), "%s: %td",
                cases[i].pointer, at);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    begin();
    test_put(root, "a/pack.json", PACK("a", ""));
    test_put(root, "a/types/x.json", "{}");
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        struct packs *packs = NULL;
        const char *dirs[] = { root };
        mem_fail_at(nth);
        const enum err_code rc =
            packs_load(&(struct packs_config) { .dirs = dirs, .dirs_count = 1 }, NULL, &packs, &err);
        mem_fail_at(-1);
        test_ok(rc == ERR_OK || rc == ERR_NOMEM, "%ld: %s", nth, err.id);
        packs_free(packs);
        test_ok(mem_live() == 0, "leak at %ld", nth);
        if (rc == ERR_OK)
            break;
    }
    end();
}

TEST_MAIN(TEST(test_order), TEST(test_optional), TEST(test_findings), TEST(test_absent), TEST(test_pointer),
          TEST(test_out_of_memory))
