/* cmd.h - the subcommands of bihuan: one file each, one row in main.c's table.
 *
 * A subcommand reads its own options with cmd_options(), prints its answer on standard output and its
 * errors with cmd_fail(), and returns its exit status:
 *   0 yes or done   1 the answer is no   2 wrong usage or unreadable input   3 the surroundings failed.
 * Layer: cmd (top of the house). */
#pragma once
#include "base/err.h"
#include "base/words.h"

struct disk;

enum cmd_exit { CMD_OK = 0, CMD_NO = 1, CMD_USAGE = 2, CMD_SURROUNDINGS = 3 };

struct cmd {
    const struct words *words;
    enum lang lang;       /* of the messages: LC_ALL, LC_MESSAGES or LANG; English unless it starts with zh */
    const char *data;     /* --data DIR, default "data" */
    const char *database; /* --database URL, NULL = the SQLite file in the data directory */
    const char *name;     /* of the subcommand, for messages */
    struct disk *disk;    /* on which `serve` writes; NULL: the machine's (cmd_disk) */
    const char *vfs;      /* the same disk for SQLite; NULL: the machine's */
};

/* Sets cmd->disk and cmd->vfs: to NULL in the product.  tests/fault/powercut.c puts another one in its place
 * when it links this program to a disk that can lose its power. */
void cmd_disk(struct cmd *cmd);

struct cmd_entry { /* its words: cmd.NAME.brief, cmd.NAME.usage, cmd.NAME.help */
    const char *name;
    int (*run)(struct cmd *cmd, int argc, char **argv); /* argv[0] is the subcommand's name */
};

/* One option of a subcommand.  Exactly one of the targets is set. */
struct cmd_option {
    const char *name;  /* "--port" */
    const char **text; /* takes a value */
    int64_t *number;   /* takes a whole number, within [min, max] */
    bool *flag;        /* takes none */
    int64_t min, max;
};

/* Reads options and up to `words_max` other words into `out_words` (*out_words_count of them); knows
 * --data, --database and --help by itself.  An option may be given as "--x V" or "--x=V".
 * Returns false when the program must end with *out_exit (help was printed, or the usage was wrong and
 * that was said).  `options` ends with a row whose name is NULL. */
bool cmd_options(struct cmd *cmd, int argc, char **argv, const struct cmd_option *options,
                 const char **out_words, int words_max, int *out_words_count, int *out_exit);

/* Prints the error as a sentence on standard error and returns its exit status. */
int cmd_fail(const struct cmd *cmd, const struct err *err);

/* Prints the help of the running subcommand to standard error: wrong usage. */
int cmd_usage(const struct cmd *cmd);

/* Where the product's own files (words/, packs/, web/) lie: next to the build or installed.
 * `out` gets PREFIX/NAME; false when it is nowhere. */
bool cmd_asset(const char *name, char *out, size_t size);
/* Adds words/zh-CN.json and words/en.json; also again, beside readers. */
MUST_CHECK enum err_code cmd_load_words(struct words *words, struct err *err);
