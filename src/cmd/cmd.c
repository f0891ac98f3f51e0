/* cmd.c - see cmd.h */
#include "cmd/cmd.h"
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef BIHUAN_ASSETS
#define BIHUAN_ASSETS "/usr/share/bihuan"
#endif

bool cmd_asset(const char *name, char *out, size_t size)
{
    char self[2048];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len > 0) {
        self[len] = 0;
        /* build/bihuan or build/src/bihuan lies below the source tree */
        for (int up = 0; up < 3; up++) {
            char *slash = strrchr(self, '/');
            if (!slash)
                break;
            *slash = 0;
            const int wrote = snprintf(out, size, "%s/%s", self, name);
            char words[2100];
            (void)snprintf(words, sizeof words, "%s/words/zh-CN.json", self);
            if (wrote > 0 && (size_t)wrote < size && access(words, R_OK) == 0)
                return access(out, R_OK) == 0;
        }
    }
    const int wrote = snprintf(out, size, "%s/%s", BIHUAN_ASSETS, name);
    return wrote > 0 && (size_t)wrote < size && access(out, R_OK) == 0;
}

enum err_code cmd_load_words(struct words *words, struct err *err)
{
    for (int lang = 0; lang < LANG__COUNT; lang++) {
        char name[32], path[2200];
        (void)snprintf(name, sizeof name, "words/%s.json", lang_name((enum lang)lang));
        if (!cmd_asset(name, path, sizeof path))
            return err_set(err, ERR_NOT_FOUND, "file.open", ARG_TEXT("path", name), ARG_TEXT("reason", "?"),
                           ARG_END);
        struct buf text;
        buf_init(&text, (size_t)4 << 20);
        enum err_code rc = buf_read_file(&text, path, err);
        if (!rc)
            rc = words_add(words, (enum lang)lang, buf_get(&text), err);
        buf_done(&text);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

int cmd_fail(const struct cmd *cmd, const struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    const struct str text = arena ? err_text(arena, err, cmd->words, cmd->lang) : (struct str) { 0 };
    if (text.ptr)
        (void)fprintf(stderr, "bihuan %s: %.*s\n", cmd->name, STR_ARG(text));
    else
        (void)fprintf(stderr, "bihuan %s: %s\n", cmd->name, err->id);
    return err_exit_status(err->code);
}

static void print_help(const struct cmd *cmd, FILE *out)
{
    char key[64];
    (void)snprintf(key, sizeof key, "cmd.%s.usage", cmd->name);
    const struct str line = words_get(cmd->words, cmd->lang, str_from(key));
    (void)snprintf(key, sizeof key, "cmd.%s.help", cmd->name);
    const struct str help = words_get(cmd->words, cmd->lang, str_from(key));
    (void)fprintf(out, "%.*s\n\n%.*s\n\n%.*s\n", STR_ARG(line), STR_ARG(help),
                  STR_ARG(words_get(cmd->words, cmd->lang, STR("cmd.common.help"))));
}

int cmd_usage(const struct cmd *cmd)
{
    print_help(cmd, stderr);
    return CMD_USAGE;
}

static int usage_error(const struct cmd *cmd, const char *id, const char *option)
{
    struct err err;
    (void)err_set(&err, ERR_INVALID, id, ARG_TEXT("option", option), ARG_END);
    return cmd_fail(cmd, &err);
}

/* Stores `value` into the option's target; false when it does not fit. */
static bool store_value(const struct cmd_option *option, const char *value)
{
    if (option->text) {
        *option->text = value;
        return true;
    }
    int64_t number;
    if (!str_i64(str_from(value), &number) || number < option->min || number > option->max)
        return false;
    assert(option->number); /* each row has exactly one target */
    *option->number = number;
    return true;
}

bool cmd_options(struct cmd *cmd, int argc, char **argv, const struct cmd_option *options,
                 const char **out_words, int words_max, int *out_words_count, int *out_exit)
{
    const struct cmd_option common[] = {
        { .name = "--data", .text = &cmd->data },
        { .name = "--database", .text = &cmd->database },
        { 0 },
    };
    bool only_words = false;
    int count = 0;
    for (int i = 1; i < argc; i++) {
        const struct str arg = str_from(argv[i]);
        if (only_words || arg.len < 2 || arg.ptr[0] != '-') {
            if (count == words_max) {
                *out_exit = usage_error(cmd, "cmd.too_many", argv[i]);
                return false;
            }
            out_words[count++] = argv[i];
            continue;
        }
        if (str_eq(arg, STR("--"))) {
            only_words = true;
            continue;
        }
        if (str_eq(arg, STR("--help")) || str_eq(arg, STR("-h"))) {
            print_help(cmd, stdout);
            *out_exit = CMD_OK;
            return false;
        }
        const ptrdiff_t equals = str_find(arg, STR("="));
        const struct str name = equals < 0 ? arg : str_slice(arg, 0, (size_t)equals);
        const struct cmd_option *option = common;
        while (option->name && !str_eq(name, str_from(option->name)))
            option++;
        if (!option->name)
            for (option = options; option && option->name && !str_eq(name, str_from(option->name));)
                option++;
        if (!option || !option->name) {
            *out_exit = usage_error(cmd, "cmd.unknown_option", argv[i]);
            return false;
        }
        if (option->flag) {
            *option->flag = true;
            continue;
        }
        const char *value = equals >= 0 ? argv[i] + equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value || !store_value(option, value)) {
            *out_exit = usage_error(cmd, value ? "cmd.bad_value" : "cmd.value_missing", option->name);
            return false;
        }
    }
    if (out_words_count)
        *out_words_count = count;
    return true;
}
