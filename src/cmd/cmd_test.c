#include "cmd/cmd.h"
#include "test.h"

static struct words *words;

static int run(int argc, char **argv, const char **out_name, int64_t *out_port, bool *out_demo,
               int *out_words)
{
    struct cmd cmd = { .words = words, .name = "test", .data = "data" };
    const struct cmd_option options[] = {
        { .name = "--name", .text = out_name },
        { .name = "--port", .number = out_port, .min = 0, .max = 65535 },
        { .name = "--demo", .flag = out_demo },
        { 0 },
    };
    const char *rest[2];
    int exit_status = -1;
    if (!cmd_options(&cmd, argc, argv, options, rest, 2, out_words, &exit_status))
        return exit_status;
    return -1;
}

static void test_table(void **state)
{
    (void)state;
    words = words_new();
    static const struct {
        const char *args[6];
        int exit, words;
        int64_t port;
    } cases[] = {
        { { "serve", "--port", "80" }, -1, 0, 80 },      { { "serve", "--port=0", "--demo" }, -1, 0, 0 },
        { { "serve", "a", "--", "--b" }, -1, 2, 7 },     { { "serve", "--port", "65536" }, CMD_USAGE, 0, 7 },
        { { "serve", "--port" }, CMD_USAGE, 0, 7 },      { { "serve", "--what" }, CMD_USAGE, 0, 7 },
        { { "serve", "a", "b", "c" }, CMD_USAGE, 0, 7 }, { { "serve", "--help" }, CMD_OK, 0, 7 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = NULL;
        int64_t port = 7;
        bool demo = false;
        int rest = 0, argc = 0;
        char *argv[7] = { 0 };
        while (argc < 6 && cases[i].args[argc]) {
            argv[argc] = strdup(cases[i].args[argc]);
            argc++;
        }
        test_ok(run(argc, argv, &name, &port, &demo, &rest) == cases[i].exit, "exit of case %zu", i);
        test_ok(cases[i].exit != -1 || (port == cases[i].port && rest == cases[i].words),
                "values of case %zu", i);
        while (argc)
            free(argv[--argc]);
    }
    words_free(words);
}

TEST_MAIN(TEST(test_table))
