/* The job that seals anew, on both stores: nothing is lost, nothing stays under the old key, and a crash or a
 * writer in between changes neither. */
#include "platform/rekey/rekey.h"
#include "base/disk.h"
#include "crypto/keyring.h"
#include "platform/bus/lease.h"
#include "platform/identity/identity.h"
#include "rig.h"
#include "test.h"

#include <stdatomic.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
#define RECORDS 40

static const char PERSON[] = "{\"type\":\"object\",\"x-kind\":\"plain\"," T ",\"properties\":{"
                             "\"name\":{\"type\":\"string\"," T "},"
                             "\"phone\":{\"type\":\"string\",\"x-sensitive\":\"phone\"," T "},"
                             "\"paper\":{\"type\":\"string\",\"x-sensitive\":\"all\"," T "}}}";
static const struct setting TABLE[] = { { "t.secret", SETTING_SECRET, 0, 0, 100, NULL }, { 0 } };

/* ---- the world ---- */

struct world {
    struct rig rig;
    struct settings *settings;
    struct identity *identity;
    struct jobs *jobs;
    struct rekey rekey;
    int64_t people[RECORDS];
    _Atomic int portions;
};

static enum err_code seal_it(void *ctx, struct str key, struct str plain, struct buf *out, struct err *err)
{
    return seal(ctx, key, plain, out, err);
}
static enum err_code unseal_it(void *ctx, struct str key, struct str sealed, struct buf *out, struct err *err)
{
    return unseal(ctx, key, sealed, out, err);
}

/* What a process has: the second one of a test opens it once more over the same files. */
static void process_open(struct world *w, int node)
{
    struct err err = { 0 };
    char owner[LEASE_OWNER_SIZE];
    w->rig.node = node;
    rig_begin(&w->rig);
    rig_pack(&w->rig, "p");
    rig_put(&w->rig, "p/types/person.json", PERSON);
    rig_load(&w->rig);
    teststore_ok(rig_tables(&w->rig, &err), &err, "tables");
    teststore_ok(settings_new(w->rig.store, &w->settings, &err), &err, "settings");
    teststore_ok(settings_add(w->settings, TABLE, &err), &err, "settings");
    teststore_ok(settings_add(w->settings, IDENTITY_SETTINGS, &err), &err, "settings");
    settings_seal(w->settings, w->rig.keys, seal_it, unseal_it);
    teststore_ok(settings_load(w->settings, &err), &err, "settings");
    const struct identity_config identity = { .store = w->rig.store,
                                              .ids = &w->rig.ids,
                                              .clock = &CLOCK_SYSTEM,
                                              .settings = w->settings,
                                              .keys = w->rig.keys };
    teststore_ok(identity_new(&identity, &w->identity, &err), &err, "identity");
    test_ok(!lease_owner_make(STR("home"), owner, &err), "owner");
    teststore_ok(jobs_new(w->rig.store, &w->rig.ids, NULL, str_from(owner), &w->jobs, &err), &err, "jobs");
    w->rekey = (struct rekey) { .store = w->rig.store,
                                .keys = w->rig.keys,
                                .entity = w->rig.entity,
                                .identity = w->identity,
                                .settings = w->settings,
                                .portion = 7 };
    teststore_ok(rekey_register(&w->rekey, w->jobs, &err), &err, "register");
}

static void process_close(struct world *w)
{
    jobs_free(w->jobs);
    identity_free(w->identity);
    settings_free(w->settings);
    rig_end(&w->rig);
}

static enum err_code people_fn(struct tx *tx, void *arg, struct err *err)
{
    struct world *w = arg;
    const struct entity_call call = { .entity = w->rig.entity, .lang = LANG_EN, .arena = tx_arena(tx) };
    enum err_code rc = ERR_OK;
    for (int i = 0; i < RECORDS && !rc; i++) {
        char phone[20];
        (void)snprintf(phone, sizeof phone, "138%08d", i);
        json_t *json = json_pack("{s:s,s:s}", "name", "n", "phone", phone);
        if (i % 2) /* the others have none */
            (void)json_object_set_new(json, "paper", json_string(phone + 3));
        rc = entity_create(&call, tx, entity_type_find(w->rig.entity, "p.person"), json, &w->people[i], err);
        json_decref(json);
    }
    return rc;
}

static enum err_code setting_fn(struct tx *tx, void *arg, struct err *err)
{
    struct world *w = arg;
    json_t *json = json_pack("{s:s}", "t.secret", "hush");
    const enum err_code rc = settings_write(w->settings, tx, json, -1, 0, err);
    json_decref(json);
    return rc;
}

/* ---- sealed values as they lie in the tables ---- */

static const char PHONES[] = "SELECT id, phone FROM p_person WHERE phone IS NOT NULL ORDER BY id";
static const char PAPERS[] = "SELECT id, paper FROM p_person WHERE paper IS NOT NULL ORDER BY id";
static const char SECRETS[] = "SELECT user_id, totp_sealed FROM user_secret WHERE totp_sealed <> ''";
static const char SETTINGS[] = "SELECT 0, value FROM setting WHERE key = 't.secret'";

struct look {
    const char *sql, *context; /* %lld: the id */
    struct key_ring *ring;
    int seen, opened;
    int by_key[5];
};

static enum err_code look_fn(struct tx *tx, void *arg, struct err *err)
{
    struct look *look = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = tx_prepare(tx, look->sql, &stmt, err);
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row;) {
        char context[100];
        struct buf plain;
        const struct str id = arena_printf(tx_arena(tx), "%lld", (long long)stmt_i64(stmt, 0));
        (void)snprintf(context, sizeof context, "%s%.*s", look->context,
                       look->context[strlen(look->context) - 1] == ':' ? (int)id.len : 0, id.ptr);
        buf_init(&plain, 4096);
        look->seen++;
        look->by_key[sealed_key(stmt_text(stmt, 1)) % 5]++;
        look->opened += !unseal(look->ring, str_from(context), stmt_text(stmt, 1), &plain, err) && plain.len;
        buf_done(&plain);
    }
    return rc;
}

static struct look look(const struct world *w, struct key_ring *ring, const char *sql, const char *context)
{
    struct err err = { 0 };
    struct look one = { .sql = sql, .context = context, .ring = ring };
    teststore_ok(store_read(w->rig.store, look_fn, &one, &err), &err, sql);
    return one;
}

/* A ring of the newest key alone. */
static struct key_ring *newest_only(const struct world *w)
{
    struct buf text;
    struct err err = { 0 };
    struct key_ring *ring = NULL;
    char path[160], out[200];
    buf_init(&text, 65536);
    teststore_ok(buf_read_file(&text, w->rig.key_path, &err), &err, "key file");
    const char *last = text.ptr + text.len - 1;
    while (last[-1] != '\n')
        last--;
    (void)snprintf(out, sizeof out, "bihuan-keys 1\n%s", last);
    (void)snprintf(path, sizeof path, "%s-newest", w->rig.key_path);
    teststore_ok(disk_replace(NULL, path, out, strlen(out), &err), &err, "newest");
    teststore_ok(key_ring_open(path, false, &ring, &err), &err, "newest");
    buf_done(&text);
    return ring;
}

/* Everything opens with the newest key alone, and nothing is sealed by another. */
static void check_all(const struct world *w, int key)
{
    static const struct {
        const char *sql, *context;
        int count;
    } places[] = { { PHONES, "p.person.phone:", RECORDS },
                   { PAPERS, "p.person.paper:", RECORDS / 2 },
                   { SECRETS, "core.user.totp:", 1 },
                   { SETTINGS, "t.secret", 1 } };
    struct key_ring *ring = newest_only(w);
    test_ok(key_ring_newest(ring) == key, "key %d", key);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const struct look one = look(w, ring, places[i].sql, places[i].context);
        test_ok(one.seen == places[i].count && one.opened == one.seen && one.by_key[key] == one.seen,
                "%s: seen %d, opened %d, by key %d: %d", places[i].context, one.seen, one.opened, key,
                one.by_key[key]);
    }
    key_ring_free(ring);
}

static enum err_code totp_fn(struct tx *tx, void *arg, struct err *err)
{
    struct world *w = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf sealed;
    char context[64];
    int64_t user = 0;
    buf_init(&sealed, 1024);
    enum err_code rc = tx_query_i64(tx, "SELECT MIN(user_id) FROM user_secret", &user, err);
    (void)snprintf(context, sizeof context, "core.user.totp:%lld", (long long)user);
    if (!rc)
        rc = seal(w->rig.keys, str_from(context), STR("01234567890123456789"), &sealed, err);
    if (!rc)
        rc = tx_prepare(tx, "UPDATE user_secret SET totp_sealed = ?2 WHERE user_id = ?1", &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, user);
        stmt_bind_text(stmt, 2, buf_get(&sealed));
        rc = stmt_run(stmt, NULL, err);
    }
    buf_done(&sealed);
    return rc;
}

static void world_open(struct world *w)
{
    struct err err = { 0 };
    struct identity_first first;
    *w = (struct world) { .rig.live = true };
    process_open(w, 1);
    teststore_ok(identity_start(w->identity, &first, &err), &err, "first");
    teststore_ok(store_write(w->rig.store, people_fn, w, &err), &err, "people");
    teststore_ok(store_write(w->rig.store, setting_fn, w, &err), &err, "setting");
    teststore_ok(store_write(w->rig.store, totp_fn, w, &err), &err, "totp");
    check_all(w, 1);
}

/* ---- the job ---- */

static enum err_code add_fn(struct tx *tx, void *arg, struct err *err)
{
    struct world *w = arg;
    int64_t id;
    return rekey_add(w->jobs, tx, key_ring_newest(w->rig.keys), 0, &id, err);
}

static void nap(int ms)
{
    const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    (void)nanosleep(&time, NULL);
}

static struct job_info wait_for(struct world *w, enum job_state state)
{
    struct job_info *infos;
    struct err err = { 0 };
    int count = 0;
    for (int i = 0; i < 6000; i++) { /* a minute: somebody else may need the machine */
        arena_reset(w->rig.arena);
        teststore_ok(jobs_list(w->jobs, w->rig.arena, STR(REKEY_KIND), 0, 1, &infos, &count, &err), &err,
                     "list");
        if (count && infos[0].state >= JOB_DONE)
            break;
        nap(10);
    }
    test_ok(count == 1 && infos[0].state == state, "state %d %.*s", count ? (int)infos[0].state : -1,
            STR_ARG(infos[0].error));
    return infos[0];
}

static int64_t member(struct str json, const char *name)
{
    json_t *object = json_loadb(json.ptr, json.len, 0, NULL);
    const int64_t value = json_integer_value(json_object_get(object, name));
    json_decref(object);
    return value;
}

static void test_everything(void **state)
{
    (void)state;
    struct world w;
    struct err err = { 0 };
    world_open(&w);
    const int64_t before = teststore_number(w.rig.store, "SELECT SUM(updated_at) FROM p_person");
    const int64_t lines = teststore_number(w.rig.store, "SELECT COUNT(*) FROM record_history");
    teststore_ok(key_ring_grow(w.rig.keys, &err), &err, "grow");
    teststore_ok(store_write(w.rig.store, add_fn, &w, &err), &err, "add");
    teststore_ok(jobs_start(w.jobs, 1, &err), &err, "start");
    struct job_info info = wait_for(&w, JOB_DONE);
    check_all(&w, 2);
    const int values = RECORDS + RECORDS / 2 + 2;
    test_ok(member(info.result, "key") == 2 && member(info.result, "seen") == values &&
                member(info.result, "resealed") == values && member(info.result, "missing") == 0 &&
                member(info.result, "broken") == 0,
            "%.*s", STR_ARG(info.result));
    test_ok(teststore_number(w.rig.store, "SELECT MAX(version) FROM p_person") == 1 &&
                teststore_number(w.rig.store, "SELECT SUM(updated_at) FROM p_person") == before &&
                teststore_number(w.rig.store, "SELECT COUNT(*) FROM record_history") == lines &&
                teststore_number(w.rig.store, "SELECT version FROM setting_state WHERE id = 1") == 2,
            "what records say did not change");
    /* once more: nothing to do */
    teststore_ok(store_write(w.rig.store, add_fn, &w, &err), &err, "again");
    info = wait_for(&w, JOB_DONE);
    for (int i = 0; i < 6000 && member(info.result, "resealed"); i++) {
        nap(10);
        info = wait_for(&w, JOB_DONE);
    }
    test_ok(member(info.result, "resealed") == 0 && member(info.result, "seen") == values, "%.*s",
            STR_ARG(info.result));
    process_close(&w);
}

static void test_unopened(void **state)
{
    (void)state;
    struct world w;
    struct err err = { 0 };
    world_open(&w);
    teststore_exec(w.rig.store,
                   "UPDATE p_person SET phone = 's1.4.AAAA' WHERE id = (SELECT MIN(id) FROM p_person);");
    teststore_exec(w.rig.store,
                   "UPDATE p_person SET phone = 's1.1.AAAA' WHERE id = (SELECT MAX(id) FROM p_person);");
    teststore_ok(key_ring_grow(w.rig.keys, &err), &err, "grow");
    teststore_ok(store_write(w.rig.store, add_fn, &w, &err), &err, "add");
    teststore_ok(jobs_start(w.jobs, 1, &err), &err, "start");
    const struct job_info info = wait_for(&w, JOB_DONE);
    const struct look phones = look(&w, w.rig.keys, PHONES, "p.person.phone:");
    test_ok(member(info.result, "missing") == 1 && member(info.result, "broken") == 1 &&
                str_find(info.result, STR("p.person.phone:")) > 0,
            "%.*s", STR_ARG(info.result));
    test_ok(phones.by_key[4] == 1 && phones.by_key[1] == 1 && phones.by_key[2] == RECORDS - 2 &&
                phones.opened == RECORDS - 2,
            "left as they are, the rest goes on");
    process_close(&w);
}

static void die_at_third(void *arg)
{
    struct world *w = arg;
    if (++w->portions == 3)
        _exit(42);
}

static void test_crash_and_resume(void **state)
{
    (void)state;
    struct world w;
    struct err err = { 0 };
    int status = 0;
    world_open(&w);
    process_close(&w);
    const pid_t pid = fork();
    if (pid == 0) {
        process_open(&w, 2);
        w.rekey.after_portion = die_at_third;
        w.rekey.arg = &w;
        if (key_ring_grow(w.rig.keys, &err) || store_write(w.rig.store, add_fn, &w, &err) ||
            jobs_start(w.jobs, 1, &err))
            _exit(1);
        nap(60000);
        _exit(2);
    }
    (void)waitpid(pid, &status, 0);
    test_ok(WIFEXITED(status) && WEXITSTATUS(status) == 42, "died in the third portion: %d", status);
    process_open(&w, 3);
    const struct look half = look(&w, w.rig.keys, PHONES, "p.person.phone:");
    test_ok(half.by_key[2] > 0 && half.by_key[1] > 0 && half.opened == RECORDS, "half done: %d and %d",
            half.by_key[2], half.by_key[1]);
    if (teststore_is_postgres()) /* as if its time had passed; on SQLite nobody else can hold it */
        teststore_exec(w.rig.store, "UPDATE job SET lease_until = 0; DELETE FROM lease;");
    teststore_ok(jobs_start(w.jobs, 1, &err), &err, "start");
    const struct job_info info = wait_for(&w, JOB_DONE);
    check_all(&w, 2);
    test_ok(info.starts == 2 && member(info.result, "resealed") == RECORDS + RECORDS / 2 + 2 &&
                member(info.result, "seen") == RECORDS + RECORDS / 2 + 2,
            "%.*s", STR_ARG(info.result));
    process_close(&w);
}

static int64_t patch(struct world *w, int64_t id)
{
    struct err err = { 0 };
    int64_t version = 0;
    teststore_ok(rig_update(&w->rig, NULL, "p.person", id, &version, "{\"phone\":\"13911112222\"}", &err),
                 &err, "patch");
    return version;
}

/* Writes of another thread while the job goes over the same rows. */
static void *patch_all(void *arg)
{
    struct world *w = arg;
    for (int i = 0; i < RECORDS; i++)
        (void)patch(w, w->people[i]);
    return NULL;
}

static void test_writers(void **state)
{
    (void)state;
    struct world w;
    struct err err = { 0 };
    pthread_t thread;
    world_open(&w);
    w.rekey.portion = 1;
    teststore_ok(key_ring_grow(w.rig.keys, &err), &err, "grow");
    teststore_ok(store_write(w.rig.store, add_fn, &w, &err), &err, "add");
    teststore_ok(jobs_start(w.jobs, 1, &err), &err, "start");
    test_ok(!pthread_create(&thread, NULL, patch_all, &w), "thread");
    (void)pthread_join(thread, NULL);
    (void)wait_for(&w, JOB_DONE);
    check_all(&w, 2);
    for (int i = 0; i < RECORDS; i++) {
        json_t *record = rig_get(&w.rig, NULL, "p.person", w.people[i], &err);
        test_ok(record && str_eq(record_str(record, "phone"), STR("13911112222")) &&
                    record_i64(record, "version") == 2,
                "record %d keeps what was written", i);
        json_decref(record);
    }
    process_close(&w);
}

/* The writer comes exactly between the reading of a portion and its writing: what the statement is for. */
struct between {
    struct world *w;
    int64_t id;
    struct str old;
};
static enum err_code read_one(struct tx *tx, void *arg, struct err *err)
{
    struct between *between = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row;
    enum err_code rc = tx_prepare(tx, PHONES, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc) {
        between->id = stmt_i64(stmt, 0);
        between->old = arena_str(between->w->rig.arena, stmt_text(stmt, 1));
    }
    return rc;
}

static void test_ring_grows_under_its_holders(void **state)
{
    (void)state;
    struct world w;
    struct err err = { 0 };
    world_open(&w);
    struct between between = { .w = &w };
    teststore_ok(store_read(w.rig.store, read_one, &between, &err), &err, "read");
    test_ok(sealed_key(between.old) == 1, "first key");
    teststore_ok(key_ring_grow(w.rig.keys, &err), &err, "grow");
    test_ok(patch(&w, between.id) == 2, "patch");
    teststore_ok(store_read(w.rig.store, read_one, &between, &err), &err, "read");
    test_ok(sealed_key(between.old) == 2, "the entity layer seals with the new key at once");
    process_close(&w);
}

TEST_MAIN(TEST(test_everything), TEST(test_unopened), TEST(test_crash_and_resume), TEST(test_writers),
          TEST(test_ring_grows_under_its_holders))
