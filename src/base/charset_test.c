/* charset_test.c */
#include "base/charset.h"

#include "test.h"

static enum err_code add(void *arg, struct str piece, struct err *err)
{
    buf_str(arg, piece);
    return buf_check(arg, err);
}

/* "中文,编码" and what spreadsheets are known for: two characters that read as UTF-8, four bytes, the euro */
static void test_found(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *utf8;
        enum charset charset;
    } cases[] = {
        { "", "", CHARSET_UTF8 },
        { "code,name\n", "code,name\n", CHARSET_UTF8 },
        { "\xef\xbb\xbfname\n", "name\n", CHARSET_UTF8 },
        { "\xe4\xb8\xad\xe6\x96\x87\n", "\xe4\xb8\xad\xe6\x96\x87\n", CHARSET_UTF8 },
        { "\xd6\xd0\xce\xc4,\xb1\xe0\xc2\xeb\n", "\xe4\xb8\xad\xe6\x96\x87,\xe7\xbc\x96\xe7\xa0\x81\n",
          CHARSET_GB18030 },
        { "\xc1\xaa\xcd\xa8,\xd6\xd0\n", "\xe8\x81\x94\xe9\x80\x9a,\xe4\xb8\xad\n", CHARSET_GB18030 },
        { "\xd6\xd0\x81\x30\x84\x36", "\xe4\xb8\xad\xc2\xa5", CHARSET_GB18030 },
        { "\xd6\xd0\x95\x32\x82\x36", "\xe4\xb8\xad\xf0\xa0\x80\x80", CHARSET_GB18030 }, /* beyond the BMP */
        { "\x98\x40 \xfc\x9f x", "\xe6\xa5\xa1 \xe9\xbc\xb0 x", CHARSET_GB18030 },       /* GBK, not GB2312 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum charset charset = CHARSET__COUNT;
        struct err err = { 0 };
        struct buf out;
        buf_init(&out, 1000);
        const enum err_code rc = charset_find(str_from(cases[i].bytes), &charset, &err);
        test_ok(!rc && charset == cases[i].charset, "%zu: %s", i, rc ? err.id : charset_name(charset));
        test_ok(!charset_each(str_from(cases[i].bytes), charset, add, &out, &err), "%zu: %s", i, err.id);
        test_ok(str_eq(buf_get(&out), str_from(cases[i].utf8)), "%zu: %s", i, out.ptr);
        buf_done(&out);
    }
}

static void test_neither(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *value;
        int line, byte;
    } cases[] = {
        { "a\nb\xff"
          "c\n",
          "0xff", 2, 2 },
        { "\xff\xfe"
          "a",
          "0xff", 1, 1 },                            /* UTF-16 */
        { "\xd6\xd0\n\xce\xc4,\xd6", "0xd6", 2, 4 }, /* half a character */
        { "\xd6\xd0\n\xce\xc4\x80\x20", "0x80", 2, 3 },
        { "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad,\n\xb8\xad"
          "b",
          "0xb8", 2, 1 }, /* GB18030 would read it */
        { "\xef\xbb\xbf\xd6\xd0", "0xd6", 1, 4 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum charset charset = CHARSET__COUNT;
        struct err err = { 0 };
        test_ok(charset_find(str_from(cases[i].bytes), &charset, &err) == ERR_INVALID, "%zu: %s", i,
                charset < CHARSET__COUNT ? charset_name(charset) : "none");
        test_ok(!strcmp(err.id, "charset.neither") && !strcmp(err.args[0].text, cases[i].value), "%zu: %s %s",
                i, err.id, err.args[0].text);
        test_ok(err.at.line == cases[i].line && err.at.column == cases[i].byte &&
                    err.args[1].number == cases[i].byte,
                "%zu: %d:%d", i, err.at.line, err.at.column);
        test_ok(charset == CHARSET__COUNT, "nothing is said");
    }
}

/* Whatever is cut into pieces: every character of the plane, more than one piece of it. */
static void test_long(void **state)
{
    (void)state;
    struct buf bytes, out;
    struct err err = { 0 };
    enum charset charset;
    buf_init(&bytes, 1 << 20);
    buf_init(&out, 1 << 20);
    for (int turn = 0; turn < 4000; turn++)
        for (int row = 0xb0; row < 0xd7; row++) { /* first-level hanzi: two bytes here, three there */
            buf_char(&bytes, (char)row);
            buf_char(&bytes, (char)0xa1);
        }
    test_ok(!charset_find(buf_get(&bytes), &charset, &err) && charset == CHARSET_GB18030, "%s", err.id);
    test_ok(!charset_each(buf_get(&bytes), charset, add, &out, &err), "%s", err.id);
    test_ok(out.len == bytes.len / 2 * 3 && utf8_valid(buf_get(&out)), "%zu of %zu", out.len, bytes.len);
    buf_done(&bytes);
    buf_done(&out);
}

TEST_MAIN(TEST(test_found), TEST(test_neither), TEST(test_long))
