/* main.c - the subcommands in a table, and nothing else. */
#include "cmd/commands.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cmd_entry COMMANDS[] = {
    { "serve", cmd_serve },
    { "probe", cmd_probe },
    { "import", cmd_import },
    { "export", cmd_export },
    { "pack", cmd_pack },
    { "dmn", cmd_dmn },
    { "feel", cmd_feel },
    { "sla", cmd_sla },
    { "config", cmd_config },
    { "user", cmd_user },
    { "backup", cmd_backup },
    { "restore", cmd_restore },
    { "migrate", cmd_migrate },
    { "audit", cmd_audit },
    { "key", cmd_key },
    { "version", cmd_version },
    { 0 },
};

static enum lang terminal_lang(void)
{
    static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return str_starts(str_from(value), STR("zh")) ? LANG_ZH : LANG_EN;
    }
    return LANG_EN;
}

static void print_overview(const struct cmd *cmd, FILE *out)
{
    (void)fprintf(out, "%.*s\n\n", STR_ARG(words_get(cmd->words, cmd->lang, STR("cmd.overview"))));
    for (const struct cmd_entry *entry = COMMANDS; entry->name; entry++) {
        char key[64];
        (void)snprintf(key, sizeof key, "cmd.%s.brief", entry->name);
        (void)fprintf(out, "  %-10s %.*s\n", entry->name,
                      STR_ARG(words_get(cmd->words, cmd->lang, str_from(key))));
    }
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    struct err err;
    struct words *words = words_new();
    struct cmd cmd = {
        .words = words, .lang = terminal_lang(), .data = "data", .name = argc > 1 ? argv[1] : ""
    };
    cmd_disk(&cmd);
    if (!words || cmd_load_words(words, &err)) {
        (void)fputs("bihuan: the files of the program (words/) are missing or damaged\n", stderr);
        words_free(words);
        return CMD_SURROUNDINGS;
    }
    int exit_status = CMD_USAGE;
    const struct cmd_entry *entry = COMMANDS;
    while (entry->name && strcmp(entry->name, cmd.name) != 0)
        entry++;
    if (entry->name) {
        exit_status = entry->run(&cmd, argc - 1, argv + 1);
    } else if (strcmp(cmd.name, "--help") == 0 || strcmp(cmd.name, "-h") == 0) {
        print_overview(&cmd, stdout);
        exit_status = CMD_OK;
    } else {
        print_overview(&cmd, stderr);
    }
    if (fflush(stdout) != 0 && exit_status == CMD_OK)
        exit_status = CMD_SURROUNDINGS;
    words_free(words);
    return exit_status;
}
