/* words.c - a hash table per language over text kept in one arena each. */
#include "base/words.h"
#include "base/buf.h"
#include "base/json.h"

#include <jansson.h>
#include <pthread.h>

#define WORDS_BYTES_MAX ((size_t)32 << 20)

struct entry {
    struct str key, text;
};

struct table {
    struct arena *arena;
    struct entry *slots; /* open addressing; size is a power of two, at most half full */
    size_t size, count;
};

struct words {
    pthread_rwlock_t lock;
    struct table tables[LANG__COUNT];
};

static void read_lock(const struct words *words)
{
    (void)pthread_rwlock_rdlock((pthread_rwlock_t *)(uintptr_t)&words->lock);
}

static void unlock(const struct words *words)
{
    (void)pthread_rwlock_unlock((pthread_rwlock_t *)(uintptr_t)&words->lock);
}

static const char *const NAMES[LANG__COUNT] = { "zh-CN", "en" };

static struct entry *find(const struct table *table, struct str key)
{
    if (!table->size)
        return NULL;
    size_t at = str_hash(key) & (table->size - 1);
    while (table->slots[at].key.ptr && !str_eq(table->slots[at].key, key))
        at = (at + 1) & (table->size - 1);
    return &table->slots[at];
}

static bool grow(struct table *table)
{
    struct table bigger = { table->arena, NULL, table->size ? table->size * 2 : 256, table->count };
    bigger.slots = mem_alloc(bigger.size, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].key.ptr)
            *find(&bigger, table->slots[i].key) = table->slots[i];
    mem_free(table->slots);
    *table = bigger;
    return true;
}

static bool put(struct table *table, struct str key, struct str text)
{
    if (table->count * 2 >= table->size && !grow(table))
        return false;
    struct entry *slot = find(table, key);
    if (slot->key.ptr && str_eq(slot->text, text))
        return true;
    const struct entry fresh = { slot->key.ptr ? slot->key : arena_str(table->arena, key),
                                 arena_str(table->arena, text) };
    if (!fresh.key.ptr || !fresh.text.ptr)
        return false;
    table->count += !slot->key.ptr;
    *slot = fresh;
    return true;
}

struct words *words_new(void)
{
    struct words *words = mem_alloc(1, sizeof *words);
    if (words)
        (void)pthread_rwlock_init(&words->lock, NULL);
    for (int i = 0; words && i < LANG__COUNT; i++) {
        words->tables[i].arena = arena_new(WORDS_BYTES_MAX);
        if (!words->tables[i].arena) {
            words_free(words);
            return NULL;
        }
    }
    return words;
}

void words_free(struct words *words)
{
    for (int i = 0; words && i < LANG__COUNT; i++) {
        mem_free(words->tables[i].slots);
        arena_free(words->tables[i].arena);
    }
    if (words)
        (void)pthread_rwlock_destroy(&words->lock);
    mem_free(words);
}

enum err_code words_add(struct words *words, enum lang lang, struct str json, struct err *err)
{
    json_error_t where;
    json_t *root = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, &where);
    if (!root || !json_is_object(root)) {
        json_decref(root);
        (void)err_set(err, ERR_INVALID, "base.json", ARG_TEXT("reason", root ? "not an object" : where.text),
                      ARG_END);
        return err_at(err, root ? 1 : where.line, root ? 1 : where.column);
    }
    enum err_code rc = ERR_OK;
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        if (!rc && !json_is_string(value))
            rc = err_set(err, ERR_INVALID, "base.words_value", ARG_TEXT("key", key), ARG_END);
    }
    (void)pthread_rwlock_wrlock(&words->lock);
    json_object_foreach(root, key, value)
    {
        if (!rc && !put(&words->tables[lang], str_from(key), json_to_str(value)))
            rc = err_nomem(err);
    }
    unlock(words);
    json_decref(root);
    return rc;
}

bool words_has(const struct words *words, enum lang lang, struct str key)
{
    read_lock(words);
    const struct entry *entry = find(&words->tables[lang], key);
    const bool has = entry && entry->key.ptr;
    unlock(words);
    return has;
}

struct str words_get(const struct words *words, enum lang lang, struct str key)
{
    struct str text = key;
    read_lock(words);
    for (int i = 0; i < LANG__COUNT; i++) {
        const struct entry *entry = find(&words->tables[((int)lang + i) % LANG__COUNT], key);
        if (entry && entry->key.ptr) {
            text = entry->text;
            break;
        }
    }
    unlock(words);
    return text;
}

static void put_arg(struct buf *out, struct str placeholder, const struct err_arg *args, int args_count)
{
    const struct str name = str_slice(placeholder, 1, placeholder.len - 1);
    for (int i = 0; i < args_count && args[i].name; i++)
        if (str_eq(name, str_from(args[i].name))) {
            if (args[i].is_text)
                buf_text(out, args[i].text);
            else
                buf_i64(out, args[i].number);
            return;
        }
    buf_str(out, placeholder);
}

static void format(struct buf *out, struct str text, const struct err_arg *args, int args_count)
{
    while (text.len) {
        const ptrdiff_t open = str_find(text, STR("{"));
        const ptrdiff_t close = open < 0 ? -1 : str_find(str_slice(text, (size_t)open, text.len), STR("}"));
        if (close < 0)
            break;
        const size_t end = (size_t)open + (size_t)close + 1;
        buf_str(out, str_slice(text, 0, (size_t)open));
        put_arg(out, str_slice(text, (size_t)open, end), args, args_count);
        text = str_slice(text, end, text.len);
    }
    buf_str(out, text);
}

static struct str take_into(struct arena *arena, struct buf *out)
{
    const struct str text = out->failed ? (struct str) { 0 } : arena_str(arena, buf_get(out));
    buf_done(out);
    return text;
}

struct str words_format(const struct words *words, enum lang lang, struct str key, const struct err_arg *args,
                        int args_count, struct arena *arena)
{
    struct buf out;
    buf_init(&out, 65536);
    format(&out, words_get(words, lang, key), args, args_count);
    return take_into(arena, &out);
}

struct str err_text(struct arena *arena, const struct err *err, const struct words *words, enum lang lang)
{
    struct buf out;
    buf_init(&out, 8192);
    if (err->at.line) {
        struct err_arg at[2] = { { .name = "line", .number = err->at.line },
                                 { .name = "column", .number = err->at.column } };
        format(&out, words_get(words, lang, STR("base.at")), at, 2);
    }
    format(&out, words_get(words, lang, str_from(err->id ? err->id : "base.internal")), err->args,
           ERR_ARGS_MAX);
    return take_into(arena, &out);
}

const char *lang_name(enum lang lang)
{
    return NAMES[lang];
}

enum lang lang_from(struct str accept_language)
{
    return str_eq_nocase(str_slice(str_trim(accept_language), 0, 2), STR("en")) ? LANG_EN : LANG_ZH;
}

void words_each(const struct words *words, enum lang lang,
                void (*each)(void *arg, struct str key, struct str text), void *arg)
{
    const struct table *table = &words->tables[lang];
    read_lock(words);
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].key.ptr)
            each(arg, table->slots[i].key, table->slots[i].text);
    unlock(words);
}
