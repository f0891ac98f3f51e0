#include "base/err.h"
#include "test.h"

static void test_arguments_are_copied_and_cut(void **state)
{
    (void)state;
    char name[200];
    for (int i = 0; i < 66; i++)
        memcpy(name + i * 3, "闭", 3);
    name[198] = 0;
    struct err err;
    test_ok(err_set(&err, ERR_LIMIT, "x.y", ARG_TEXT("name", name), ARG_INT("n", 7), ARG_STR("s", STR("ab")),
                    ARG_END) == ERR_LIMIT,
            "returns its code");
    memset(name, 'x', sizeof name);
    test_ok(strlen(err.args[0].text) == 96 && utf8_valid(str_from(err.args[0].text)), "cut at a character");
    test_ok(err.args[1].number == 7 && strcmp(err.args[2].text, "ab") == 0 && !err.args[3].name,
            "the others");
}

static void test_doing_is_bounded(void **state)
{
    (void)state;
    struct err err;
    (void)err_set(&err, ERR_IO, "file.open", ARG_ERRNO(2), ARG_END);
    for (int i = 0; i < 20; i++)
        test_ok(err_in(&err, "work") == ERR_IO, "keeps the code");
    test_ok(strcmp(err.args[0].name, "reason") == 0, "errno becomes a reason");
}

static void test_every_code_has_a_status(void **state)
{
    (void)state;
    for (int code = 0; code < ERR__COUNT; code++)
        test_ok(err_http_status((enum err_code)code) >= 200 && err_name((enum err_code)code), "code %d",
                code);
}

static void test_findings_are_bounded(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct findings findings;
    struct err err = { .code = ERR_INVALID };
    test_ok(findings_init(&findings, arena, &err) == ERR_OK, "made");
    for (int i = 0; i < 130; i++)
        findings_add(&findings, &err);
    test_ok(findings.count == 100 && findings.more == 30, "100 and 30 more");
    arena_free(arena);
}

TEST_MAIN(TEST(test_arguments_are_copied_and_cut), TEST(test_doing_is_bounded),
          TEST(test_every_code_has_a_status), TEST(test_findings_are_bounded))
