/* test.c - see test.h */
#include "test.h"

#include "base/clock.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

void test_setup(int argc, char **argv)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
}

static const char *below(const char *folder, const char *path)
{
    static char full[4096];
    const char *root = getenv("BIHUAN_ROOT");
    (void)snprintf(full, sizeof full, "%s/%s%s", root ? root : ".", folder, path);
    return full;
}

const char *test_file(const char *path)
{
    return below("", path);
}

const char *test_shared(const char *path)
{
    const char *full = below("../shared/", path);
    return access(full, R_OK) == 0 ? full : NULL;
}

void test_put(const char *root, const char *path, const char *text)
{
    char full[4096];
    const size_t from = strlen(root) + 1;
    const int len = snprintf(full, sizeof full, "%s/%s", root, path);
    test_ok(len > 0 && (size_t)len < sizeof full, "%s is too long", path);
    for (char *at = full + from; (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        test_ok(!mkdir(full, 0700) || errno == EEXIST, "%s", full);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    test_ok(file && fputs(text, file) >= 0 && !fclose(file), "%s", full);
}

int64_t test_at(const char *text)
{
    int64_t ms = 0;
    struct err err = { 0 };
    test_ok(!clock_parse(str_from(text), &ms, &err), "%s", text);
    return ms;
}
