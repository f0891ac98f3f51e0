/* test.c - see test.h */
#include "test.h"

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
