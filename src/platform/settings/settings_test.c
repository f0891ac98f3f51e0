#include "platform/settings/settings.h"
#include "store/store.h"
#include "test.h"
#include "teststore.h"

static const struct setting TABLE[] = {
    { "t.number", SETTING_I64, 30, 1, 60, NULL },
    { "t.on", SETTING_BOOL, 1, 0, 0, NULL },
    { "t.name", SETTING_TEXT, 0, 0, 10, "old" },
    { "t.key", SETTING_SECRET, 0, 0, 100, NULL },
    { 0 },
};

/* A seal that only marks: what is tested is who calls it. */
static enum err_code mark(void *ctx, struct str key, struct str plain, struct buf *out, struct err *err)
{
    (void)ctx;
    (void)key;
    (void)err;
    buf_text(out, "sealed:");
    buf_str(out, plain);
    return ERR_OK;
}
static enum err_code unmark(void *ctx, struct str key, struct str sealed, struct buf *out, struct err *err)
{
    (void)ctx;
    (void)key;
    if (!str_starts(sealed, STR("sealed:")))
        return err_set(err, ERR_CORRUPT, "crypto.sealed", ARG_END);
    buf_str(out, str_slice(sealed, 7, sealed.len));
    return ERR_OK;
}

struct change {
    struct settings *settings;
    json_t *json;
    int64_t version;
};

static enum err_code change_fn(struct tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    return settings_write(change->settings, tx, change->json, change->version, 5, err);
}

static void on_change(void *arg)
{
    ++*(int *)arg;
}

static void test_change_and_read(void **state)
{
    (void)state;
    struct err err;
    struct arena *arena = arena_new(1 << 16);
    struct store *store = teststore_new();
    struct settings *settings = NULL, *other = NULL;
    int calls = 0;
    teststore_ok(settings_new(store, &settings, &err), &err, "new");
    teststore_ok(settings_add(settings, TABLE, &err), &err, "add");
    test_ok(settings_add(settings, TABLE, &err) == ERR_CONFLICT, "twice");
    settings_seal(settings, NULL, mark, unmark);
    settings_on_change(settings, on_change, &calls);
    teststore_ok(settings_load(settings, &err), &err, "load");
    test_ok(settings_i64(settings, "t.number") == 30 && settings_bool(settings, "t.on") &&
                str_eq(settings_text(settings, "t.name", arena), STR("old")),
            "defaults");
    /* a second node on the same database */
    teststore_ok(settings_new(store, &other, &err), &err, "new");
    teststore_ok(settings_add(other, TABLE, &err), &err, "add");
    settings_seal(other, NULL, mark, unmark);
    teststore_ok(settings_load(other, &err), &err, "load");

    json_t *json =
        json_pack("{s:i,s:b,s:s,s:s}", "t.number", 5, "t.on", 0, "t.name", "new", "t.key", "s3cr3t");
    struct change change = { settings, json, settings_version(settings) };
    test_ok(settings_check(settings, json, NULL, &err) == ERR_OK, "fits");
    teststore_ok(store_write(store, change_fn, &change, &err), &err, "write");
    bool changed = false;
    teststore_ok(settings_refresh(settings, &changed, &err), &err, "refresh");
    test_ok(changed && calls == 1 && settings_i64(settings, "t.number") == 5 &&
                !settings_bool(settings, "t.on"),
            "changed here");
    test_ok(str_eq(settings_text(settings, "t.key", arena), STR("s3cr3t")),
            "the secret is there for the program");
    teststore_ok(settings_refresh(other, &changed, &err), &err, "refresh");
    test_ok(changed && str_eq(settings_text(other, "t.name", arena), STR("new")),
            "changed on the other node");
    json_t *shown = settings_json(settings);
    char *text = json_dumps(shown, 0);
    test_ok(strstr(text, "********") && !strstr(text, "s3cr3t"), "hidden: %s", text);
    free(text);
    json_decref(shown);
    test_ok(store_write(store, change_fn, &change, &err) == ERR_STALE, "stale");
    json_decref(json);
    change.json = json_pack("{s:n}", "t.number");
    change.version = -1;
    teststore_ok(store_write(store, change_fn, &change, &err), &err, "back to the default");
    teststore_ok(settings_refresh(settings, NULL, &err), &err, "refresh");
    test_ok(settings_i64(settings, "t.number") == 30, "default again");
    json_decref(change.json);
    settings_free(settings);
    settings_free(other);
    store_close(store);
    arena_free(arena);
}

static void test_checks(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int wrong;
    } cases[] = { { "{\"t.number\":61}", 1 },
                  { "{\"t.number\":\"5\"}", 1 },
                  { "{\"t.on\":1}", 1 },
                  { "{\"t.name\":\"12345678901\"}", 1 },
                  { "{\"x\":1,\"y\":2}", 2 },
                  { "{\"t.number\":null}", 0 },
                  { "[]", 0 } };
    struct err err;
    struct settings *settings = NULL;
    teststore_ok(settings_new(NULL, &settings, &err), &err, "new");
    teststore_ok(settings_add(settings, TABLE, &err), &err, "add");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct findings findings;
        struct arena *arena = arena_new(1 << 20);
        teststore_ok(findings_init(&findings, arena, &err), &err, "findings");
        json_t *json = json_loads(cases[i].json, 0, NULL);
        const enum err_code rc = settings_check(settings, json, &findings, &err);
        test_ok(findings.count == cases[i].wrong && (rc == ERR_OK) == (strstr(cases[i].json, "null") != NULL),
                "%s", cases[i].json);
        json_decref(json);
        arena_free(arena);
    }
    settings_free(settings);
}

TEST_MAIN(TEST(test_change_and_read), TEST(test_checks))
