#include "test.h"

#include "dmn/models_test.h"

static const struct dmn_file *read_file(struct arena *arena, const char *text)
{
    const struct dmn_file *file = NULL;
    struct err err = { 0 };
    test_ok(dmn_read(arena, str_from(text), &file, &err) == ERR_OK, "%s", err.id);
    return file;
}

static void print_changes(const struct dmn_changes *changes, struct buf *out)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct dmn_change *one = &changes->items[i];
        buf_printf(out, "%c%.*s", "+-~"[one->kind], STR_ARG(one->element));
        if (one->path.len > 0)
            buf_printf(out, "/%.*s", STR_ARG(one->path));
        if (one->rule_before || one->rule_after || one->column)
            buf_printf(out, "[%d,%d,%d]", one->rule_before, one->rule_after, one->column);
        buf_printf(out, " %.*s:%.*s>%.*s\n", STR_ARG(one->what), STR_ARG(one->before), STR_ARG(one->after));
    }
}

#define RULE(id, a, b)                                                                                       \
    "<rule id='" id "'><inputEntry><text>" a "</text></inputEntry><outputEntry><text>" b                     \
    "</text></outputEntry></rule>"
#define TABLE(policy, rules)                                                                                 \
    "<decisionTable hitPolicy='" policy "'><input><inputExpression><text>x</text></inputExpression></input>" \
    "<output name='o'/>" rules "</decisionTable>"

static void test_changes(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after, *want;
    } cases[] = {
        { "<decision id='a' name='A'>" L("1") "</decision>",
          "<decision id='a' name='A'>" L(" 1 ") "</decision>", "" },
        { "<decision id='a' name='A'>" L("1") "</decision>",
          "<decision id='a' name='B'>" L("2") "</decision>", "~B name:A>B\n~B text:1>2\n" },
        { "<decision id='a' name='A'/>", "<decision id='b' name='B'/>",
          "-A element:decision>\n+B element:>decision\n" },
        { "<decision id='a' name='A'/>", "<decision id='b' name='A'/>", "" },
        { "<decision name='A'>" TABLE("UNIQUE", RULE("r1", "1", "2") RULE("r2", "3", "4")) "</decision>",
          "<decision name='A'>" TABLE("UNIQUE", RULE("r2", "3", "5") RULE("r3", "7", "8")) "</decision>",
          "-A[1,0,0] rule:1 | 2>\n~A[2,1,2] outputEntry:4>5\n+A[0,2,0] rule:>7 | 8\n" },
        { "<decision name='A'>" TABLE("UNIQUE", RULE("", "1", "2") RULE("", "3", "4")) "</decision>",
          "<decision name='A'>" TABLE("FIRST", RULE("", "3", "4") RULE("", "1", "2")) "</decision>",
          "~A hitPolicy:UNIQUE>FIRST\n~A[2,1,0] order:2>1\n" },
        { "<decision name='A'><context><contextEntry><variable name='x'/>" L(
              "1") "</contextEntry></context></decision>",
          "<decision name='A'><context><contextEntry><variable name='x'/>" L(
              "2") "</contextEntry><contextEntry>"
                   "<variable name='y'/>" L("3") "</contextEntry></context></decision>",
          "~A/x text:1>2\n+A contextEntry:>y\n" },
        { "<decision name='A'>" L("1") "</decision>", "<decision name='A'><list/></decision>",
          "~A expression:1>list\n" },
        { "<itemDefinition name='t'><typeRef>string</typeRef></itemDefinition>",
          "<itemDefinition name='t'><typeRef>number</typeRef><allowedValues><text>1</text></allowedValues>"
          "</itemDefinition>",
          "~t typeRef:string>number\n+t allowedValues:>1\n" },
        { "<decision name='A'>" NEEDS("i") "</decision>", "<decision name='A'>" NEEDS("j") "</decision>",
          "-A requirement:i>\n+A requirement:>j\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 22);
        struct dmn_changes changes;
        struct err err = { 0 };
        struct buf before, after, out;
        buf_init(&before, 1 << 16);
        buf_init(&after, 1 << 16);
        buf_init(&out, 1 << 16);
        buf_printf(&before, HEAD "%s" TAIL, cases[i].before);
        buf_printf(&after, HEAD "%s" TAIL, cases[i].after);
        test_ok(dmn_diff(read_file(arena, before.ptr), read_file(arena, after.ptr), arena, &changes, &err) ==
                    ERR_OK,
                "%s", err.id);
        print_changes(&changes, &out);
        test_ok(str_eq(buf_get(&out), str_from(cases[i].want)), "%zu: got %s", i, out.ptr);
        buf_done(&before);
        buf_done(&after);
        buf_done(&out);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *files = arena_new(1 << 22);
    const struct dmn_file *a = read_file(files, HEAD "<decision name='A'>" TABLE(
                                                    "UNIQUE", RULE("r1", "1", "2")) "</decision>" TAIL),
                          *b = read_file(files, HEAD "<decision name='A'>" TABLE(
                                                    "UNIQUE", RULE("r1", "1", "3")) "</decision>" TAIL);
    const long live = mem_live();
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        struct dmn_changes changes = { 0 };
        mem_fail_at(nth);
        struct arena *arena = arena_new(1 << 20);
        const enum err_code rc = arena ? dmn_diff(a, b, arena, &changes, &err) : ERR_NOMEM;
        arena_free(arena);
        mem_fail_at(-1);
        test_ok(mem_live() == live && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld: %d", nth,
                (int)rc);
        if (rc == ERR_OK) {
            test_ok(changes.count == 1, "%zu", changes.count);
            return;
        }
    }
}

TEST_MAIN(TEST(test_changes), TEST(test_out_of_memory))
