/* words.h - texts by key and language: words/zh-CN.json, words/en.json, and those of packs.
 *
 * A file is one flat JSON object; values may hold {name} placeholders and nothing else.  Files may be added
 * again while others read (a text that was handed out stays as it was, until words_free()).  The browser has
 * the same formatter and shares its test cases (tests/words-cases.json).  Layer: base. */
#pragma once
#include "base/err.h"

enum lang { LANG_ZH, LANG_EN, LANG__COUNT };

struct words;

/* Empty words; NULL when there is no memory.  Caller frees. */
struct words *words_new(void) MUST_CHECK;
void words_free(struct words *words);

/* Adds one language's JSON text, whole or not at all; a key that is there already is replaced when its text
 * is another one. ERR_INVALID with line and column when it is not a flat object of texts; ERR_NOMEM. */
MUST_CHECK enum err_code words_add(struct words *words, enum lang lang, struct str json, struct err *err);

/* The text of a key; in the other language when it is missing; the key itself when in neither. */
struct str words_get(const struct words *words, enum lang lang, struct str key);
/* True when the key is there in that language. */
bool words_has(const struct words *words, enum lang lang, struct str key);

/* The text of a key with {name} replaced by the argument of that name; unknown names stay as they are.
 * NULL ptr when the arena is full. */
struct str words_format(const struct words *words, enum lang lang, struct str key, const struct err_arg *args,
                        int args_count, struct arena *arena);

/* The only place where an error becomes a sentence: position, message, arguments. */
struct str err_text(struct arena *arena, const struct err *err, const struct words *words, enum lang lang);

/* "zh-CN" and "en"; anything that starts with "en" is English, all else Chinese. */
const char *lang_name(enum lang lang);
enum lang lang_from(struct str accept_language);

/* Calls `each` for every key of a language, in no order. */
void words_each(const struct words *words, enum lang lang,
                void (*each)(void *arg, struct str key, struct str text), void *arg);
