/* settings.c - the tables of all rooms, sorted by key, and the values in memory under one lock. */
#include "platform/settings/settings.h"
#include "base/json.h"
#include "platform/settings/settings_sql.h"
#include "store/store.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LISTENERS_MAX 16
#define VALUE_MAX ((size_t)64 << 10)

struct item {
    const struct setting *setting;
    bool set;       /* has a row */
    int64_t number; /* I64, BOOL */
    char *text;     /* TEXT, SECRET in the clear; owned; NULL = default */
};

struct settings {
    struct store *store;
    pthread_rwlock_t lock;
    struct item items[SETTINGS_MAX];
    int count;
    int64_t version;
    void *seal_ctx;
    enum err_code (*seal)(void *ctx, struct str key, struct str plain, struct buf *out, struct err *err);
    enum err_code (*unseal)(void *ctx, struct str key, struct str sealed, struct buf *out, struct err *err);
    struct {
        void (*call)(void *arg);
        void *arg;
    } listeners[LISTENERS_MAX];
    int listeners_count;
};

enum err_code settings_new(struct store *store, struct settings **out, struct err *err)
{
    struct settings *settings = mem_alloc(1, sizeof *settings);
    if (!settings)
        return err_nomem(err);
    settings->store = store;
    (void)pthread_rwlock_init(&settings->lock, NULL);
    *out = settings;
    return ERR_OK;
}

static void forget_text(struct item *item)
{
    if (item->text && item->setting->kind == SETTING_SECRET)
        explicit_bzero(item->text, strlen(item->text));
    mem_free(item->text);
    item->text = NULL;
}

void settings_free(struct settings *settings)
{
    if (!settings)
        return;
    for (int i = 0; i < settings->count; i++)
        forget_text(&settings->items[i]);
    (void)pthread_rwlock_destroy(&settings->lock);
    mem_free(settings);
}

static struct item *find(struct settings *settings, struct str key)
{
    for (int low = 0, high = settings->count; low < high;) {
        const int middle = (low + high) / 2;
        const int order = str_cmp(key, str_from(settings->items[middle].setting->key));
        if (order == 0)
            return &settings->items[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

enum err_code settings_add(struct settings *settings, const struct setting *table, struct err *err)
{
    for (; table->key; table++) {
        if (settings->count == SETTINGS_MAX)
            return err_set(err, ERR_LIMIT, "settings.too_many", ARG_INT("max", SETTINGS_MAX), ARG_END);
        if (find(settings, str_from(table->key)))
            return err_set(err, ERR_CONFLICT, "settings.twice", ARG_TEXT("key", table->key), ARG_END);
        int at = settings->count++;
        for (; at && strcmp(settings->items[at - 1].setting->key, table->key) > 0; at--)
            settings->items[at] = settings->items[at - 1];
        settings->items[at] = (struct item) { .setting = table, .number = table->number };
    }
    return ERR_OK;
}

void settings_seal(struct settings *settings, void *ctx,
                   enum err_code (*seal)(void *ctx, struct str key, struct str plain, struct buf *out,
                                         struct err *err),
                   enum err_code (*unseal)(void *ctx, struct str key, struct str sealed, struct buf *out,
                                           struct err *err))
{
    settings->seal_ctx = ctx;
    settings->seal = seal;
    settings->unseal = unseal;
}

void settings_on_change(struct settings *settings, void (*call)(void *arg), void *arg)
{
    assert(settings->listeners_count < LISTENERS_MAX);
    settings->listeners[settings->listeners_count].call = call;
    settings->listeners[settings->listeners_count++].arg = arg;
}

/* ---- reading from the database ---- */

struct load {
    struct settings *settings;
    struct item *fresh; /* settings->count of them */
    int64_t version;
};

static enum err_code take_row(struct load *load, struct item *item, struct str key, struct str value,
                              struct err *err)
{
    const struct setting *setting = item->setting;
    if (setting->kind == SETTING_I64 || setting->kind == SETTING_BOOL) {
        int64_t number;
        const int64_t least = setting->kind == SETTING_BOOL ? 0 : setting->least;
        const int64_t most = setting->kind == SETTING_BOOL ? 1 : setting->most;
        if (str_i64(value, &number) && number >= least && number <= most) {
            item->number = number;
            item->set = true;
        }
        return ERR_OK;
    }
    struct buf plain;
    buf_init(&plain, VALUE_MAX);
    enum err_code rc = ERR_OK;
    if (setting->kind == SETTING_TEXT)
        buf_str(&plain, value);
    else if (load->settings->unseal)
        rc = load->settings->unseal(load->settings->seal_ctx, key, value, &plain, err);
    if (!rc && !plain.failed) {
        item->text = mem_copy(plain.ptr ? plain.ptr : "", plain.len);
        item->set = item->text != NULL;
        rc = item->text ? ERR_OK : err_nomem(err);
    } else if (rc == ERR_NOT_FOUND) {
        rc = ERR_OK; /* sealed with a key that is not here: reads as absent */
    }
    if (plain.ptr && setting->kind == SETTING_SECRET)
        explicit_bzero(plain.ptr, plain.len);
    buf_done(&plain);
    return rc;
}

static enum err_code load_fn(struct tx *tx, void *arg, struct err *err)
{
    struct load *load = arg;
    struct settings *settings = load->settings;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    for (int i = 0; i < settings->count; i++) {
        forget_text(&load->fresh[i]);
        load->fresh[i] = (struct item) { .setting = settings->items[i].setting,
                                         .number = settings->items[i].setting->number };
    }
    enum err_code rc = tx_query_i64(tx, SETTINGS_SQL_VERSION, &load->version, err);
    if (!rc)
        rc = tx_prepare(tx, SETTINGS_SQL_ALL, &stmt, err);
    bool row = true;
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row) {
        const struct str key = stmt_text(stmt, 0);
        const struct item *known = find(settings, key);
        if (known)
            rc = take_row(load, &load->fresh[known - settings->items], key, stmt_text(stmt, 1), err);
    }
    return rc;
}

enum err_code settings_load(struct settings *settings, struct err *err)
{
    struct load load = { .settings = settings };
    load.fresh = mem_alloc((size_t)settings->count + 1, sizeof *load.fresh);
    if (!load.fresh)
        return err_nomem(err);
    for (int i = 0; i < settings->count; i++)
        load.fresh[i].setting = settings->items[i].setting;
    const enum err_code rc = store_read(settings->store, load_fn, &load, err);
    if (!rc) {
        (void)pthread_rwlock_wrlock(&settings->lock);
        for (int i = 0; i < settings->count; i++) {
            const struct item old = settings->items[i];
            settings->items[i] = load.fresh[i];
            load.fresh[i] = old;
        }
        settings->version = load.version;
        (void)pthread_rwlock_unlock(&settings->lock);
    }
    for (int i = 0; i < settings->count; i++)
        forget_text(&load.fresh[i]);
    mem_free(load.fresh);
    return rc;
}

static enum err_code version_fn(struct tx *tx, void *arg, struct err *err)
{
    return tx_query_i64(tx, SETTINGS_SQL_VERSION, arg, err);
}

enum err_code settings_refresh(struct settings *settings, bool *out_changed, struct err *err)
{
    int64_t version = 0;
    enum err_code rc = store_read(settings->store, version_fn, &version, err);
    const bool changed = !rc && version != settings_version(settings);
    if (changed)
        rc = settings_load(settings, err);
    if (!rc && changed)
        for (int i = 0; i < settings->listeners_count; i++)
            settings->listeners[i].call(settings->listeners[i].arg);
    if (!rc && out_changed)
        *out_changed = changed;
    return rc;
}

/* ---- values ---- */

static struct item *need(struct settings *settings, const char *key)
{
    struct item *item = find(settings, str_from(key));
    assert(item); /* a key that no table holds is a bug of ours */
    return item;
}

int64_t settings_i64(struct settings *settings, const char *key)
{
    (void)pthread_rwlock_rdlock(&settings->lock);
    const int64_t number = need(settings, key)->number;
    (void)pthread_rwlock_unlock(&settings->lock);
    return number;
}

bool settings_bool(struct settings *settings, const char *key)
{
    return settings_i64(settings, key) != 0;
}

static const char *text_of(const struct item *item)
{
    return item->text ? item->text : item->setting->text ? item->setting->text : "";
}

struct str settings_text(struct settings *settings, const char *key, struct arena *arena)
{
    (void)pthread_rwlock_rdlock(&settings->lock);
    const struct str copy = arena_str(arena, str_from(text_of(need(settings, key))));
    (void)pthread_rwlock_unlock(&settings->lock);
    return copy;
}

int64_t settings_version(struct settings *settings)
{
    (void)pthread_rwlock_rdlock(&settings->lock);
    const int64_t version = settings->version;
    (void)pthread_rwlock_unlock(&settings->lock);
    return version;
}

bool settings_is_secret(struct settings *settings, const char *key)
{
    const struct item *item = find(settings, str_from(key)); /* the tables do not change any more */
    return item && item->setting->kind == SETTING_SECRET;
}

static json_t *value_json(const struct item *item)
{
    switch (item->setting->kind) {
    case SETTING_I64:
        return json_integer(item->number);
    case SETTING_BOOL:
        return json_boolean(item->number);
    case SETTING_TEXT:
        return json_string(text_of(item));
    case SETTING_SECRET:
        return json_string(*text_of(item) ? "********" : "");
    }
    return NULL;
}

static json_t *item_json(const struct item *item)
{
    static const char *const kinds[] = { "integer", "boolean", "text", "secret" };
    const struct item plain = { .setting = item->setting, .number = item->setting->number };
    json_t *one =
        json_pack("{s:s,s:s,s:o,s:o,s:b}", "key", item->setting->key, "kind", kinds[item->setting->kind],
                  "value", value_json(item), "default", value_json(&plain), "changed", item->set);
    if (one && item->setting->kind != SETTING_BOOL) {
        (void)json_object_set_new(one, "least", json_integer(item->setting->least));
        (void)json_object_set_new(one, "most", json_integer(item->setting->most));
    }
    return one;
}

json_t *settings_json(struct settings *settings)
{
    json_t *items = json_array();
    (void)pthread_rwlock_rdlock(&settings->lock);
    for (int i = 0; i < settings->count; i++)
        (void)json_array_append_new(items, item_json(&settings->items[i]));
    const int64_t version = settings->version;
    (void)pthread_rwlock_unlock(&settings->lock);
    return json_pack("{s:I,s:o}", "version", version, "items", items);
}

/* ---- changes ---- */

static bool check_one(const struct setting *setting, const json_t *value, struct err *err)
{
    if (json_is_null(value))
        return true;
    switch (setting->kind) {
    case SETTING_I64:
        if (json_is_integer(value) && json_integer_value(value) >= setting->least &&
            json_integer_value(value) <= setting->most)
            return true;
        (void)err_set(err, ERR_INVALID, "http.number_range", ARG_INT("least", setting->least),
                      ARG_INT("most", setting->most), ARG_END);
        return false;
    case SETTING_BOOL:
        if (json_is_boolean(value))
            return true;
        (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "boolean"), ARG_END);
        return false;
    case SETTING_TEXT:
    case SETTING_SECRET:
        break;
    }
    if (!json_is_string(value)) {
        (void)err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "string"), ARG_END);
        return false;
    }
    const struct str text = json_to_str(value);
    if (setting->most && utf8_len(text) > (size_t)setting->most) {
        (void)err_set(err, ERR_LIMIT, "http.field_long", ARG_INT("max", setting->most), ARG_END);
        return false;
    }
    return true;
}

enum err_code settings_check(struct settings *settings, const json_t *change, struct findings *findings,
                             struct err *err)
{
    const char *key;
    json_t *value;
    int wrong = 0;
    if (!json_is_object(change))
        return err_set(err, ERR_INVALID, "http.field_type", ARG_TEXT("type", "object"), ARG_END);
    json_object_foreach((json_t *)(uintptr_t)change, key, value)
    {
        struct err one;
        const struct item *item = find(settings, str_from(key));
        if (item && check_one(item->setting, value, &one))
            continue;
        if (!item)
            (void)err_set(&one, ERR_INVALID, "http.field_unknown", ARG_TEXT("name", key), ARG_END);
        char pointer[128];
        (void)snprintf(pointer, sizeof pointer, "/%s", key);
        (void)err_pointer(&one, str_from(pointer));
        if (findings)
            findings_add(findings, &one);
        if (!wrong++)
            *err = one;
    }
    return wrong ? ERR_INVALID : ERR_OK;
}

static enum err_code put(struct settings *settings, struct tx *tx, const struct setting *setting,
                         const json_t *value, int64_t user_id, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct str key = str_from(setting->key);
    enum err_code rc = tx_query(tx, json_is_null(value) ? SETTINGS_SQL_DROP : SETTINGS_SQL_PUT,
                                BINDS(bind_text(key)), &stmt, err);
    if (rc)
        return rc;
    if (json_is_null(value))
        return stmt_run(stmt, NULL, err);
    struct buf text;
    buf_init(&text, VALUE_MAX * 2);
    if (json_is_integer(value))
        buf_i64(&text, json_integer_value(value));
    else if (json_is_boolean(value))
        buf_i64(&text, json_is_true(value));
    else if (setting->kind == SETTING_TEXT)
        buf_text(&text, json_string_value(value));
    else if (settings->seal)
        rc = settings->seal(settings->seal_ctx, key, str_from(json_string_value(value)), &text, err);
    else
        rc = err_set(err, ERR_UNSUPPORTED, "settings.no_keys", ARG_TEXT("key", setting->key), ARG_END);
    if (!rc)
        rc = buf_check(&text, err);
    if (!rc) {
        stmt_bind_text(stmt, 2, buf_get(&text));
        stmt_bind_i64(stmt, 3, tx_now_ms(tx));
        stmt_bind_i64(stmt, 4, user_id);
        rc = stmt_run(stmt, NULL, err);
    }
    buf_done(&text);
    return rc;
}

enum err_code settings_write(struct settings *settings, struct tx *tx, const json_t *change, int64_t version,
                             int64_t user_id, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *raise = NULL;
    int64_t current = 0;
    enum err_code rc = tx_prepare(tx, SETTINGS_SQL_RAISE, &raise, err);
    if (!rc)
        rc = stmt_run(raise, NULL, err);
    if (!rc)
        rc = tx_query_i64(tx, SETTINGS_SQL_VERSION, &current, err);
    if (!rc && version >= 0 && version != current - 1) {
        (void)err_set(err, ERR_STALE, "http.stale", ARG_INT("given", version),
                      ARG_INT("current", current - 1), ARG_END);
        return err_pointer(err, STR("/version"));
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)change, key, value)
    {
        const struct item *item = rc ? NULL : find(settings, str_from(key));
        if (item)
            rc = put(settings, tx, item->setting, value, user_id, err);
    }
    return rc;
}
