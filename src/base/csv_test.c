/* csv_test.c - what is read, where faults are, and that writing and reading agree */
#include "base/csv.h"

#include "test.h"

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "a,b\r\n1,2\r\n", "[a|b][1|2]" },
        { "a\n", "[a]" },
        { "a", "[a]" },
        { "", "" },
        { "\xef\xbb\xbf"
          "a,b",
          "[a|b]" },
        { "a,\n,b\n", "[a|][|b]" },
        { "\"a,b\",\"c\"\"d\"\n", "[a,b|c\"d]" },
        { "\"a\nb\",c\n", "[a\nb|c]" },
        { "\n\na\n\n", "[a]" },
        { "\"\",x", "[|x]" },
        { "a,\"b\"\r\nc,d", "[a|b][c|d]" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *arena = arena_new(1 << 16);
        struct csv csv;
        static struct csv_record record;
        struct buf got;
        struct err err = { 0 };
        bool end = false;
        buf_init(&got, 1000);
        csv_init(&csv, str_from(cases[i].text));
        for (;;) {
            test_ok(!csv_next(&csv, arena, &record, &end, &err), "%s: %s", cases[i].text, err.id);
            if (end)
                break;
            buf_char(&got, '[');
            for (int n = 0; n < record.count; n++) {
                if (n)
                    buf_char(&got, '|');
                buf_str(&got, record.fields[n]);
            }
            buf_char(&got, ']');
        }
        test_ok(str_eq(buf_get(&got), str_from(cases[i].want)), "%s: %s", cases[i].text,
                got.ptr ? got.ptr : "");
        buf_done(&got);
        arena_free(arena);
    }
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text, *id;
        int line, column;
    } cases[] = {
        { "a,b\n1,\"2", "csv.open", 2, 3 },   { "a\"b\n", "csv.quote", 1, 2 },
        { "x\n\"a\"b\n", "csv.quote", 2, 4 }, { "ab\xff,c\n", "csv.utf8", 1, 1 },
        { "\"a\nb\",\"c", "csv.open", 2, 4 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *arena = arena_new(1 << 16);
        struct csv csv;
        static struct csv_record record;
        struct err err = { 0 };
        bool end = false;
        csv_init(&csv, str_from(cases[i].text));
        enum err_code rc = ERR_OK;
        while (!rc && !end)
            rc = csv_next(&csv, arena, &record, &end, &err);
        test_ok(rc == ERR_INVALID && !strcmp(err.id, cases[i].id), "%s: %s", cases[i].text,
                err.id ? err.id : "ok");
        test_ok(err.at.line == cases[i].line && err.at.column == cases[i].column, "%s: %d:%d", cases[i].text,
                err.at.line, err.at.column);
        arena_free(arena);
    }
}

static void test_positions(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 16);
    struct csv csv;
    static struct csv_record record;
    struct err err = { 0 };
    bool end;
    csv_init(&csv, STR("\xe7\xbd\x91,\"a\nb\",c\nz"));
    test_ok(!csv_next(&csv, arena, &record, &end, &err), "first");
    test_ok(record.count == 3 && record.columns[1] == 3 && record.lines[2] == 2 && record.columns[2] == 4,
            "%d %d", record.columns[1], record.columns[2]);
    test_ok(!csv_next(&csv, arena, &record, &end, &err) && record.line == 3, "second");
    arena_free(arena);
}

static void test_write(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    csv_put(&out, STR("a"), true, true);
    csv_put(&out, STR("b,\"c\""), false, true);
    csv_put(&out, STR("=1+1"), false, true);
    csv_put(&out, STR("-5.2"), false, true);
    csv_put(&out, STR("=x"), false, false);
    csv_end(&out);
    test_ok(str_eq(buf_get(&out), STR("a,\"b,\"\"c\"\"\",'=1+1,-5.2,=x\r\n")), "%s", out.ptr);
    buf_done(&out);
}

TEST_MAIN(TEST(test_read), TEST(test_faults), TEST(test_positions), TEST(test_write))
