#include "base/str.h"
#include "test.h"

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775807", true, INT64_MAX },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775809", false, 0 },
        { "+5", true, 5 },
        { "", false, 0 },
        { "-", false, 0 },
        { "1x", false, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = 0;
        test_ok(str_i64(str_from(cases[i].text), &value) == cases[i].ok && value == cases[i].value, "%s",
                cases[i].text);
    }
}

static void test_cut(void **state)
{
    (void)state;
    struct str rest = STR("a,,b"), part;
    static const char *const want[] = { "a", "", "b" };
    for (int i = 0; i < 3; i++)
        test_ok(str_cut(&rest, ',', &part) && str_eq(part, str_from(want[i])), "part %d", i);
    test_ok(!str_cut(&rest, ',', &part), "at the end");
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
        size_t len;
    } cases[] = {
        { "闭环", true, 2 },          { "\xf0\x9f\x98\x80", true, 1 },  { "\xc0\x80", false, 0 },
        { "\xed\xa0\x80", false, 0 }, { "\xf4\x90\x80\x80", false, 0 }, { "\xe4\xb8", false, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct str text = str_from(cases[i].text);
        test_ok(utf8_valid(text) == cases[i].valid, "case %zu", i);
        test_ok(!cases[i].valid || utf8_len(text) == cases[i].len, "length of case %zu", i);
    }
    for (int32_t code = 0; code <= 0x10ffff; code += 7) {
        if (code >= 0xd800 && code <= 0xdfff)
            continue;
        char out[4];
        size_t at = 0;
        const struct str one = { out, utf8_put(out, code) };
        test_ok(utf8_next(one, &at) == code && at == one.len, "round trip of %x", (unsigned)code);
    }
}

static void test_slices(void **state)
{
    (void)state;
    test_ok(str_eq(str_slice(STR("abc"), 1, 9), STR("bc")), "clipped");
    test_ok(str_slice(STR("abc"), 5, 2).len == 0, "turned round");
    test_ok(str_eq(str_trim(STR(" \t a b \n")), STR("a b")), "trimmed");
    test_ok(str_find(STR("故障工单"), STR("工单")) == 6 && str_find(STR("ab"), STR("abc")) == -1, "found");
    test_ok(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("b"), STR("ab")) > 0, "order");
    test_ok(str_starts(STR("abc"), STR("ab")) && !str_starts(STR("a"), STR("ab")) &&
                str_ends(STR("abc"), STR("bc")),
            "ends");
}

TEST_MAIN(TEST(test_numbers), TEST(test_cut), TEST(test_utf8), TEST(test_slices))
