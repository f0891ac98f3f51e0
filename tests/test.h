/* test.h - the little that all unit tests share: cmocka with TAP output and a name filter.
 *
 * A test file lists its cases in TEST_MAIN(...); `./x_test PATTERN` runs those whose name matches
 * (wildcards * and ?).  test_ok() fails with a formatted reason. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEST_MAIN(...)                                                                                       \
    int main(int argc, char **argv)                                                                          \
    {                                                                                                        \
        const struct CMUnitTest tests[] = { __VA_ARGS__ };                                                   \
        test_setup(argc, argv);                                                                              \
        return cmocka_run_group_tests(tests, NULL, NULL) != 0;                                               \
    }
#define TEST(fn) cmocka_unit_test(fn)

void test_setup(int argc, char **argv);

/* Fails the running case with the formatted reason unless `condition` holds. */
#define test_ok(condition, ...)                                                                              \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_error(__VA_ARGS__);                                                                        \
            print_error("\n%s:%d: %s\n", __FILE__, __LINE__, #condition);                                    \
            fail();                                                                                          \
        }                                                                                                    \
    } while (0)

/* The path of a file below the project's root (static buffer); below ../shared for test_shared(), NULL
 * when it is not there. */
const char *test_file(const char *path);
const char *test_shared(const char *path);

/* Writes `text` to `path` below the folder `root`, and makes the folders in between. */
void test_put(const char *root, const char *path, const char *text);
/* The instant of an RFC 3339 text. */
int64_t test_at(const char *text);
