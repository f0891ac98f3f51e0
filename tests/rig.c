/* rig.c - see rig.h */
#include "rig.h"

#include "crypto/keyring.h"
#include "test.h"

static void speak(struct words *words)
{
    for (int lang = 0; lang < LANG__COUNT; lang++) {
        struct err err = { 0 };
        struct buf text;
        char path[40];
        (void)snprintf(path, sizeof path, "words/%s.json", lang_name((enum lang)lang));
        buf_init(&text, 4 << 20);
        teststore_ok(buf_read_file(&text, test_file(path), &err), &err, path);
        teststore_ok(words_add(words, (enum lang)lang, buf_get(&text), &err), &err, path);
        buf_done(&text);
    }
}

void rig_begin(struct rig *rig)
{
    struct err err = { 0 };
    if (!rig->url[0]) {
        static int rigs;
        (void)snprintf(rig->root, sizeof rig->root, "%s/rig-%d", teststore_dir(), rigs++);
        (void)snprintf(rig->key_path, sizeof rig->key_path, "%s-keys/master", rig->root);
        (void)snprintf(rig->url, sizeof rig->url, "%s", teststore_url());
    }
    clock_test_init(&rig->clock, test_at(rig->now ? rig->now : "2026-11-21T13:46:40+08:00"));
    if (rig->live) {
        rig->clock.now_ms = CLOCK_SYSTEM.now_ms;
        rig->clock.mono_ms = CLOCK_SYSTEM.mono_ms;
    }
    ids_init(&rig->ids, &rig->clock, rig->node);
    rig->arena = arena_new((size_t)1 << 30);
    teststore_ok(findings_init(&rig->findings, rig->arena, &err), &err, "findings");
    rig->words = words_new();
    if (rig->worded)
        speak(rig->words);
    if (rig->zone)
        teststore_ok(zone_new(str_from(rig->zone), &rig->days, &err), &err, rig->zone);
    teststore_ok(key_ring_open(rig->key_path, true, &rig->keys, &err), &err, "keys");
    rig->store = teststore_open(rig->url, true, &rig->clock);
    if (rig->shipped) {
        rig_load(rig);
        teststore_ok(rig_tables(rig, &err), &err, "tables");
    }
}

static void unload(struct rig *rig)
{
    entity_free(rig->entity);
    packs_free(rig->packs);
    rig->entity = NULL;
    rig->packs = NULL;
}

void rig_end(struct rig *rig)
{
    unload(rig);
    store_close(rig->store);
    key_ring_free(rig->keys);
    words_free(rig->words);
    zone_free(rig->days);
    arena_free(rig->arena);
    rig->days = NULL;
}

void rig_put(const struct rig *rig, const char *path, const char *text)
{
    char below[200]; /* the root is made with the first file */
    const char *name = strrchr(rig->root, '/') + 1;
    (void)snprintf(below, sizeof below, "%s/%s", name, path);
    test_put(teststore_dir(), below, text);
}

void rig_pack(const struct rig *rig, const char *name)
{
    char path[80], json[200];
    (void)snprintf(path, sizeof path, "%s/pack.json", name);
    (void)snprintf(json, sizeof json,
                   "{\"name\":\"%s\",\"version\":\"1\",\"title\":{\"zh-CN\":\"p\",\"en\":\"p\"}}", name);
    rig_put(rig, path, json);
}

/* Fails the test with what was found; the code alone says little. */
static void found(const struct rig *rig, enum err_code rc, const struct err *err)
{
    if (rc && rig->findings.count)
        teststore_ok(rc, &rig->findings.items[0], err->id);
    teststore_ok(rc, err, "load");
}

void rig_load(struct rig *rig)
{
    struct err err = { 0 };
    char shipped[512];
    const char *dirs[] = { rig->root };
    (void)snprintf(shipped, sizeof shipped, "%s", test_file("packs"));
    if (rig->shipped)
        dirs[0] = shipped;
    unload(rig);
    rig->findings.count = rig->findings.more = 0;
    const struct packs_config packs = { .dirs = dirs, .dirs_count = 1, .wanted = rig->shipped };
    found(rig, packs_load(&packs, &rig->findings, &rig->packs, &err), &err);
    if (rig->worded)
        teststore_ok(packs_words_add(rig->packs, rig->words, &err), &err, "words of packs");
    const struct entity_config config = { .store = rig->store,
                                          .packs = rig->packs,
                                          .ids = &rig->ids,
                                          .clock = &rig->clock,
                                          .zone = rig->days,
                                          .words = rig->words,
                                          .keys = rig->keys };
    found(rig, entity_open(&config, &rig->findings, &rig->entity, &err), &err);
}

enum err_code rig_tables(struct rig *rig, struct err *err)
{
    rig->findings.count = rig->findings.more = 0;
    return entity_tables(rig->entity, true, &rig->findings, err);
}

/* ---- one operation in a transaction of its own ---- */

struct op {
    struct entity_call call;
    const struct entity_type *type;
    int64_t id, version, now;
    json_t *json; /* in: fields or patch; out: the record */
    struct entity_list list;
    struct buf out;
    int64_t count;
    bool exact;
    bool shown; /* out is the record that was made */
};

static enum err_code create_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    buf_clear(&op->out);
    return entity_create_json(&op->call, tx, op->type, op->json, &op->id, &op->shown, &op->out, err);
}

static enum err_code update_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_update(&op->call, tx, op->type, op->id, op->version, op->json, &op->now, err);
}

static enum err_code delete_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_delete(&op->call, tx, op->type, op->id, op->version, err);
}

static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_get(&op->call, tx, op->type, op->id, &op->json, err);
}

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    buf_clear(&op->out);
    return entity_list_json(&op->call, tx, op->type, &op->list, &op->out, err);
}

static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return entity_count(&op->call, tx, op->type, &op->list, &op->count, &op->exact, err);
}

static struct op op_of(struct rig *rig, const struct principal *who, const char *type, int64_t id)
{
    const struct op op = { .call = { .entity = rig->entity,
                                     .who = who,
                                     .lang = LANG_EN,
                                     .arena = rig->arena,
                                     .labels = rig->labels },
                           .type = entity_type_find(rig->entity, type),
                           .id = id };
    test_ok(op.type, "no type %s", type);
    return op;
}

static json_t *json_of(const char *text)
{
    json_error_t at;
    json_t *json = json_loads(text, 0, &at);
    test_ok(json, "%s: %s", text, at.text);
    return json;
}

static enum err_code get_text_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    buf_clear(&op->out);
    return entity_get_json(&op->call, tx, op->type, op->id, NULL, &op->out, err);
}

/* What the answer of a creation says is what reading gives. */
static void check_shown(struct rig *rig, const struct op *made, const char *type)
{
    struct op op = op_of(rig, made->call.who, type, made->id);
    struct err err = { 0 };
    buf_init(&op.out, 8 << 20);
    const enum err_code rc = store_read(rig->store, get_text_fn, &op, &err);
    test_ok(!rc || !strcmp(err.id, "store.injected"), "%s: %s", type, err.id); /* see store_fail_at() */
    test_ok(rc || str_eq(buf_get(&made->out), buf_get(&op.out)), "%.*s is %.*s", STR_ARG(buf_get(&made->out)),
            STR_ARG(buf_get(&op.out)));
    buf_done(&op.out);
}

enum err_code rig_create(struct rig *rig, const struct principal *who, const char *type, const char *json,
                         int64_t *out_id, struct err *err)
{
    struct op op = op_of(rig, who, type, 0);
    op.json = json_of(json);
    buf_init(&op.out, 8 << 20);
    const enum err_code rc = store_write_shared(rig->store, create_fn, &op, err);
    json_decref(op.json);
    if (out_id && !rc)
        *out_id = op.id;
    if (!rc && op.shown)
        check_shown(rig, &op, type);
    buf_done(&op.out);
    return rc;
}

enum err_code rig_update(struct rig *rig, const struct principal *who, const char *type, int64_t id,
                         int64_t *version, const char *json, struct err *err)
{
    struct op op = op_of(rig, who, type, id);
    op.version = *version;
    op.json = json_of(json);
    const enum err_code rc = store_write_shared(rig->store, update_fn, &op, err);
    json_decref(op.json);
    if (!rc)
        *version = op.now;
    return rc;
}

enum err_code rig_delete(struct rig *rig, const struct principal *who, const char *type, int64_t id,
                         int64_t version, struct err *err)
{
    struct op op = op_of(rig, who, type, id);
    op.version = version;
    return store_write_shared(rig->store, delete_fn, &op, err);
}

json_t *rig_get(struct rig *rig, const struct principal *who, const char *type, int64_t id, struct err *err)
{
    struct op op = op_of(rig, who, type, id);
    return store_read(rig->store, get_fn, &op, err) ? NULL : op.json;
}

json_t *rig_list(struct rig *rig, const struct principal *who, const char *type, struct entity_list what,
                 struct err *err)
{
    struct op op = op_of(rig, who, type, 0);
    op.list = what;
    buf_init(&op.out, 8 << 20);
    const enum err_code rc = store_read(rig->store, list_fn, &op, err);
    json_t *json = rc ? NULL : json_loadb(op.out.ptr, op.out.len, 0, NULL);
    test_ok(rc || json, "%s", op.out.ptr);
    buf_done(&op.out);
    return json;
}

enum err_code rig_count(struct rig *rig, const struct principal *who, const char *type,
                        struct entity_list what, int64_t *out, bool *out_exact, struct err *err)
{
    struct op op = op_of(rig, who, type, 0);
    op.list = what;
    const enum err_code rc = store_read(rig->store, count_fn, &op, err);
    if (!rc) {
        *out = op.count;
        *out_exact = op.exact;
    }
    return rc;
}

enum err_code rig_import(struct rig *rig, const struct principal *who, const char *type, const char *csv,
                         bool dry_run, struct table_import *out, struct err *err)
{
    struct op op = op_of(rig, who, type, 0);
    rig->findings.count = rig->findings.more = 0;
    op.call.findings = &rig->findings;
    *out = (struct table_import) { .text = str_from(csv), .dry_run = dry_run };
    return entity_import(&op.call, op.type, out, err);
}

int64_t rig_add(struct rig *rig, const struct principal *who, const char *type, const char *format, ...)
{
    struct err err = { 0 };
    char json[4000];
    int64_t id = 0;
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(json, sizeof json, format, args);
    va_end(args);
    test_ok(len > 0 && (size_t)len < sizeof json, "%s is too long", type);
    const enum err_code rc = rig_create(rig, who, type, json, &id, &err);
    if (rc)
        print_error("%s at %s\n", json, err.at.pointer);
    teststore_ok(rc, &err, type);
    return id;
}

void rig_people(struct rig *rig)
{
    teststore_exec(
        rig->store,
        "INSERT INTO org (id, path, code, name, version, created_at, created_by, updated_at, updated_by)"
        " VALUES (1, '/1/', 'a', 'all', 1, 0, 0, 0, 0), (2, '/1/2/', 'b', 'left', 1, 0, 0, 0, 0),"
        " (3, '/1/3/', 'c', 'right', 1, 0, 0, 0, 0), (4, '/1/2/4/', 'd', 'leaf', 1, 0, 0, 0, 0);"
        "INSERT INTO app_user (id, org_id, login, name, version, created_at, created_by, updated_at,"
        " updated_by) VALUES (77, 2, 'li', 'Li', 1, 0, 0, 0, 0), (78, 3, 'wu', 'Wu', 1, 0, 0, 0, 0);");
}
