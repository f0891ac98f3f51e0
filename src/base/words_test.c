#include "base/words.h"
#include "test.h"

#include <jansson.h>

/* The cases are shared with the browser's formatter. */
static void test_shared_cases(void **state)
{
    (void)state;
    json_error_t where;
    json_t *cases = json_load_file(test_file("tests/words-cases.json"), 0, &where);
    test_ok(cases != NULL, "%s", where.text);
    size_t index;
    json_t *one;
    json_array_foreach(cases, index, one)
    {
        struct arena *arena = arena_new(1 << 16);
        struct words *words = words_new();
        struct err err;
        json_t *file = json_pack("{s:O}", "k", json_object_get(one, "text"));
        char *text = json_dumps(file, 0);
        test_ok(words_add(words, LANG_ZH, str_from(text), &err) == ERR_OK, "loads");
        struct err_arg args[4] = { 0 };
        int count = 0;
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(one, "args"), name, value)
        {
            args[count].name = name;
            args[count].is_text = json_is_string(value);
            args[count].number = json_integer_value(value);
            if (json_is_string(value))
                (void)snprintf(args[count].text, sizeof args[count].text, "%s", json_string_value(value));
            count++;
        }
        const struct str got = words_format(words, LANG_ZH, STR("k"), args, count, arena);
        test_ok(str_eq(got, str_from(json_string_value(json_object_get(one, "want")))), "case %zu: %s", index,
                got.ptr);
        free(text);
        json_decref(file);
        words_free(words);
        arena_free(arena);
    }
    json_decref(cases);
}

static void test_fallbacks_and_positions(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 16);
    struct words *words = words_new();
    struct err err;
    test_ok(words_add(words, LANG_ZH, STR("{\"a\":\"甲\"}"), &err) == ERR_OK, "loads");
    test_ok(str_eq(words_get(words, LANG_EN, STR("a")), STR("甲")), "the other language");
    test_ok(str_eq(words_get(words, LANG_EN, STR("b")), STR("b")), "the key itself");
    test_ok(words_add(words, LANG_EN, STR("{\n\"a\": 3 4}"), &err) == ERR_INVALID && err.at.line == 2,
            "bad JSON has a line");
    test_ok(words_add(words, LANG_EN, STR("{\"a\": 3}"), &err) == ERR_INVALID, "only texts");
    const struct str before = words_get(words, LANG_ZH, STR("a"));
    test_ok(words_add(words, LANG_ZH, STR("{\"a\":\"\xe4\xb9\x99\",\"b\":3}"), &err) == ERR_INVALID &&
                str_eq(words_get(words, LANG_ZH, STR("a")), before),
            "a bad file changes nothing");
    test_ok(words_add(words, LANG_ZH, STR("{\"a\":\"\xe4\xb9\x99\"}"), &err) == ERR_OK &&
                str_eq(words_get(words, LANG_ZH, STR("a")), STR("\xe4\xb9\x99")),
            "a good one does");
    test_ok(str_eq(before, STR("\xe7\x94\xb2")), "what was handed out stays");
    words_free(words);
    arena_free(arena);
}

static void test_many_keys(void **state)
{
    (void)state;
    struct words *words = words_new();
    struct err err;
    char json[64], key[16];
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(json, sizeof json, "{\"key%d\":\"v%d\"}", i, i);
        test_ok(words_add(words, LANG_EN, str_from(json), &err) == ERR_OK, "adds %d", i);
    }
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof key, "key%d", i);
        test_ok(words_has(words, LANG_EN, str_from(key)) && !words_has(words, LANG_ZH, str_from(key)),
                "has %d", i);
    }
    words_free(words);
}

TEST_MAIN(TEST(test_shared_cases), TEST(test_fallbacks_and_positions), TEST(test_many_keys))
