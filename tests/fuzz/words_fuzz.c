/* words_fuzz.c - a language file of arbitrary bytes: loaded or refused, and every text formatted. */
#include "base/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct formatting {
    const struct words *words;
    struct arena *arena;
};

static void format_one(void *arg, struct str key, struct str text)
{
    const struct formatting *formatting = arg;
    const struct err_arg args[] = { { .name = "a", .is_text = true, .text = "{b}" },
                                    { .name = "b", .number = 1 } };
    (void)text;
    (void)words_format(formatting->words, LANG_ZH, key, args, 2, formatting->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct words *words = words_new();
    struct arena *arena = arena_new(1 << 20);
    struct err err;
    if (words && arena &&
        words_add(words, LANG_ZH, (struct str) { (const char *)data, size }, &err) == ERR_OK)
        words_each(words, LANG_ZH, format_one, &(struct formatting) { words, arena });
    arena_free(arena);
    words_free(words);
    return 0;
}
