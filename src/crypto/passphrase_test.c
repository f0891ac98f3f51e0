#include "crypto/passphrase.h"
#include "test.h"

static void test_round_trip(void **state)
{
    (void)state;
    struct buf sealed, plain;
    struct err err = { 0 };
    const struct str secret = STR("a secret\0with a zero");
    buf_init(&sealed, 1 << 16);
    buf_init(&plain, 1 << 16);
    test_ok(passphrase_seal(STR("short"), secret, &sealed, &err) == ERR_INVALID, "too short");
    test_ok(!passphrase_seal(STR("correct horse battery"), secret, &sealed, &err), "sealed");
    test_ok(str_find(buf_get(&sealed), STR("secret")) < 0, "not readable");
    test_ok(!passphrase_open(STR("correct horse battery"), buf_get(&sealed), &plain, &err), "opened");
    test_ok(str_eq(buf_get(&plain), secret), "the same");
    buf_clear(&plain);
    test_ok(passphrase_open(STR("correct horse batterz"), buf_get(&sealed), &plain, &err) == ERR_FORBIDDEN &&
                !plain.len,
            "wrong passphrase");
    for (size_t at = 0; at < sealed.len; at += 9) {
        sealed.ptr[at] ^= 1;
        test_ok(passphrase_open(STR("correct horse battery"), buf_get(&sealed), &plain, &err) != ERR_OK &&
                    !plain.len,
                "changed at %d", (int)at);
        sealed.ptr[at] ^= 1;
    }
    test_ok(passphrase_open(STR("correct horse battery"), STR("bhp1"), &plain, &err) == ERR_CORRUPT, "cut");
    buf_done(&sealed);
    buf_done(&plain);
}

TEST_MAIN(TEST(test_round_trip))
