#include "base/buf.h"
#include "test.h"

static void test_ceiling_is_remembered(void **state)
{
    (void)state;
    struct buf buf;
    struct err err;
    buf_init(&buf, 8);
    buf_text(&buf, "12345678");
    test_ok(buf_check(&buf, &err) == ERR_OK, "exactly full");
    buf_char(&buf, '9');
    buf_text(&buf, "");
    test_ok(buf_check(&buf, &err) == ERR_LIMIT && err.args[0].number == 8, "over");
    buf_clear(&buf);
    buf_i64(&buf, INT64_C(-123));
    test_ok(str_eq(buf_get(&buf), STR("-123")), "usable again");
    buf_done(&buf);
}

static void test_json(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *want;
    } cases[] = {
        { { "a\"b\\c\n\t\x01", 8 }, "\"a\\\"b\\\\c\\n\\t\\u0001\"" },
        { { "故障", 6 }, "\"故障\"" },
        { { "\xff!", 2 }, "\"\xef\xbf\xbd!\"" },
        { { "", 0 }, "\"\"" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf buf;
        buf_init(&buf, 100);
        buf_json(&buf, cases[i].text);
        test_ok(str_eq(buf_get(&buf), str_from(cases[i].want)), "got %s", buf.ptr);
        buf_done(&buf);
    }
}

static void test_files(void **state)
{
    (void)state;
    struct buf buf;
    struct err err;
    buf_init(&buf, 1 << 20);
    test_ok(buf_read_file(&buf, test_file("src/base/buf_test.c"), &err) == ERR_OK && buf.len > 100,
            "reads itself");
    test_ok(buf_read_file(&buf, "/nonexistent", &err) == ERR_NOT_FOUND, "missing");
    buf_done(&buf);
    buf_init(&buf, 10);
    test_ok(buf_read_file(&buf, test_file("src/base/buf_test.c"), &err) == ERR_LIMIT, "too long");
    buf_done(&buf);
}

TEST_MAIN(TEST(test_ceiling_is_remembered), TEST(test_json), TEST(test_files))
