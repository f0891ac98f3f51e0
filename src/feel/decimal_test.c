/* decimal_test.c - numbers: texts, the edges of the small form, and the fast path against the library: every
 * operation on random numbers gives the same in both forms. */
#include "feel/decimal.h"
#include "test.h"

static struct decimal number(const char *text)
{
    struct decimal d = decimal_i64(0);
    test_ok(decimal_parse(str_from(text), &d), "%s", text);
    return d;
}

static const char *shown(struct decimal d)
{
    static char text[4][DECIMAL_TEXT_MAX];
    static int turn;
    char *out = text[turn++ % 4];
    (void)decimal_text(d, out, DECIMAL_TEXT_MAX);
    return out;
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: refused */
    } cases[] = {
        { "0", "0" },
        { "-0", "0" },
        { "007.50", "7.5" },
        { ".5", "0.5" },
        { "5.", "5" },
        { "1e3", "1000" },
        { "1E-3", "0.001" },
        { "9223372036854775807", "9223372036854775807" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "9223372036854775808", "9223372036854775808" },
        { "0.0000000000000000001", "0.0000000000000000001" },
        { "1234567890123456789012345678901234", "1234567890123456789012345678901234" },
        { "12345678901234567890123456789012345", "12345678901234567890123456789012340" },
        { "12345678901234567890123456789012355", "12345678901234567890123456789012360" },
        { "1234567890123456789012345678901234500000000000000000000000000000000000000000000000000001",
          "1.234567890123456789012345678901235E+87" },
        { "1e6144", "1E+6144" },
        { "1e6145", NULL },
        { "1e-6200", "0" },
        { "", NULL },
        { ".", NULL },
        { "1e", NULL },
        { "1 ", NULL },
        { "1.2.3", NULL },
        { "Infinity", NULL },
        { "NaN", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decimal d;
        const bool ok = decimal_parse(str_from(cases[i].text), &d);
        test_ok(ok == (cases[i].want != NULL) && (!ok || strcmp(shown(d), cases[i].want) == 0), "%s gives %s",
                cases[i].text, ok ? shown(d) : "nothing");
    }
}

static void test_edges(void **state)
{
    (void)state;
    struct decimal d;
    int64_t n;
    test_ok(decimal_add(number("9223372036854775807"), number("1"), &d) && !decimal_is_small(d) &&
                strcmp(shown(d), "9223372036854775808") == 0,
            "past int64");
    test_ok(decimal_sub(d, number("1"), &d) && decimal_is_small(d), "and back to the small form");
    test_ok(decimal_neg(decimal_i64(INT64_MIN)).hi != 0 &&
                strcmp(shown(decimal_neg(decimal_i64(INT64_MIN))), "9223372036854775808") == 0,
            "minus the least");
    test_ok(!decimal_div(number("1"), number("0"), &d), "by zero");
    test_ok(!decimal_mul(number("1e6144"), number("10"), &d), "too large");
    test_ok(decimal_div(decimal_i64(INT64_MIN), decimal_i64(-1), &d) &&
                strcmp(shown(d), "9223372036854775808") == 0,
            "the one quotient of int64 that does not fit");
    test_ok(decimal_to_i64(number("12e2"), &n) && n == 1200 && decimal_to_i64(number("1.500"), &n) == false,
            "whole or not");
    test_ok(decimal_hash(number("1.0")) == decimal_hash(number("1")) &&
                decimal_hash(number("1e3")) == decimal_hash(number("1000")),
            "equal numbers, equal hashes");
    test_ok(decimal_from_double(0.1, &d) && decimal_cmp(d, number("0.1")) == 0,
            "a double by its shortest text");
    test_ok(decimal_to_double(number("0.1")) == 0.1 && decimal_to_double(number("1e300")) == 1e300,
            "to double");
}

static void test_rounding(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int scale;
        const char *want[7]; /* half even, floor, ceiling, up, down, half up, half down */
    } cases[] = {
        { "2.5", 0, { "2", "2", "3", "3", "2", "3", "2" } },
        { "-2.5", 0, { "-2", "-3", "-2", "-3", "-2", "-3", "-2" } },
        { "3.5", 0, { "4", "3", "4", "4", "3", "4", "3" } },
        { "1.126", 2, { "1.13", "1.12", "1.13", "1.13", "1.12", "1.13", "1.13" } },
        { "1250", -2, { "1200", "1200", "1300", "1300", "1200", "1300", "1200" } },
        { "1", 5, { "1", "1", "1", "1", "1", "1", "1" } },
        { "0.00000000000000000000000001", 3, { "0", "0", "0.001", "0.001", "0", "0", "0" } },
        { "1234567890123456789012345678901234",
          -33,
          { "1000000000000000000000000000000000", "1000000000000000000000000000000000",
            "2000000000000000000000000000000000", "2000000000000000000000000000000000",
            "1000000000000000000000000000000000", "1000000000000000000000000000000000",
            "1000000000000000000000000000000000" } },
        { "7", -40, { "0", "0", "1E+40", "1E+40", "0", "0", "0" } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int how = DECIMAL_HALF_EVEN; how <= DECIMAL_HALF_DOWN; how++) {
            struct decimal d = decimal_i64(-1);
            test_ok(decimal_round(number(cases[i].text), cases[i].scale, (enum decimal_rounding)how, &d) &&
                        decimal_cmp(d, number(cases[i].want[how])) == 0,
                    "%s to %d by %d: %s", cases[i].text, cases[i].scale, how, shown(d));
        }
}

/* The same number in the big form: the library's encoding made by hand. */
static struct decimal big(struct decimal d)
{
    if (!decimal_is_small(d))
        return d;
    const int64_t c = decimal_small_coefficient(d);
    const uint64_t size = c < 0 ? -(uint64_t)c : (uint64_t)c;
    return (struct decimal) { size, (uint64_t)(6176 - decimal_small_scale(d)) << 49 |
                                        (c < 0 ? UINT64_C(1) << 63 : 0) };
}

static uint64_t seed = 42;
static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static struct decimal random_small(void)
{
    const int bits = (int)(random_bits() % 63) + 1;
    const int64_t c = (int64_t)(random_bits() >> (64 - bits));
    return decimal_small(random_bits() % 2 ? c : -c, (int)(random_bits() % 19));
}

static void test_both_forms(void **state)
{
    (void)state;
    typedef bool (*two_fn)(struct decimal a, struct decimal b, struct decimal * out);
    static const two_fn TWO[] = { decimal_add, decimal_sub, decimal_mul, decimal_div, decimal_modulo };
    static const char *const NAMES[] = { "+", "-", "*", "/", "modulo" };
    for (int round = 0; round < 20000; round++) {
        const struct decimal a = random_small(), b = round % 7 ? random_small() : decimal_i64(round % 5);
        for (size_t i = 0; i < sizeof TWO / sizeof *TWO; i++) {
            struct decimal fast = decimal_i64(0), slow = decimal_i64(0);
            const bool fast_ok = TWO[i](a, b, &fast), slow_ok = TWO[i](big(a), big(b), &slow);
            test_ok(fast_ok == slow_ok && decimal_cmp(fast, slow) == 0, "%s %s %s: %s, by the library %s",
                    shown(a), NAMES[i], shown(b), fast_ok ? shown(fast) : "-", slow_ok ? shown(slow) : "-");
        }
        const int order = decimal_cmp(a, b);
        test_ok(order == decimal_cmp(big(a), big(b)) && order == decimal_cmp(a, big(b)) &&
                    (order != 0 || decimal_hash(a) == decimal_hash(big(b))),
                "order of %s and %s", shown(a), shown(b));
        test_ok(decimal_cmp(number(shown(a)), a) == 0, "text of %s", shown(a));
    }
}

static void test_functions(void **state)
{
    (void)state;
    struct decimal d;
    test_ok(decimal_pow(number("2"), number("100"), &d) &&
                strcmp(shown(d), "1267650600228229401496703205376") == 0,
            "exact powers: %s", shown(d));
    test_ok(decimal_pow(number("4"), number("0.5"), &d) && decimal_cmp(d, number("2")) == 0, "%s", shown(d));
    test_ok(decimal_pow(number("10"), number("-2"), &d) && decimal_cmp(d, number("0.01")) == 0, "%s",
            shown(d));
    test_ok(!decimal_pow(number("-1"), number("0.5"), &d), "no real power");
    test_ok(decimal_pow(number("1.5"), number("-2000"), &d) && decimal_sign(d) > 0, "small powers");
    test_ok(decimal_sqrt(number("2"), &d) && strcmp(shown(d), "1.414213562373095048801688724209698") == 0,
            "%s", shown(d));
    test_ok(!decimal_sqrt(number("-1"), &d) && !decimal_log(number("0"), &d), "outside of the domain");
    test_ok(decimal_exp(number("1"), &d) &&
                str_starts(str_from(shown(d)), STR("2.7182818284590452353602874713")),
            "%s", shown(d));
    test_ok(decimal_modulo(number("-12"), number("5"), &d) && decimal_cmp(d, number("3")) == 0, "%s",
            shown(d));
    test_ok(decimal_modulo(number("1e40"), number("7"), &d) && decimal_cmp(d, number("4")) == 0, "%s",
            shown(d));
}

TEST_MAIN(TEST(test_texts), TEST(test_edges), TEST(test_rounding), TEST(test_both_forms),
          TEST(test_functions))
