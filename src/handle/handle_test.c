/* handle_test.c - cases as records of the packs core and ops: opened by people and alarms, with real limits.
 */
#include "base/xml.h"
#include "crypto/keyring.h"
#include "handle/flow/case_sql.h"
#include "handle/handle.h"
#include "handle/inbox/inbox_sql.h"
#include "handle/sla/office.h"
#include "platform/bus/outbox.h"
#include "platform/notify/notify.h"
#include "platform/entity/entity.h"
#include "platform/identity/principal.h"
#include "test.h"
#include "teststore.h"

#define MINUTE INT64_C(60000)

struct world {
    struct store *store;
    struct clock clock;
    struct ids ids;
    struct arena *arena;
    struct words *words;
    struct key_ring *keys;
    struct packs *packs;
    struct entity *entity;
    struct outbox *outbox;
    struct notify *notify;
    struct handle *handle;
    int64_t service, other;
};

static int64_t at(const char *text)
{
    int64_t ms = 0;
    struct err err = { 0 };
    test_ok(!clock_parse(str_from(text), &ms, &err), "%s", text);
    return ms;
}

static enum err_code orgs_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return tx_exec(
        tx,
        "INSERT INTO org (id, path, code, name, version, created_at, created_by, updated_at, updated_by) "
        "VALUES (1, '/1/', 'a', 'all', 1, 0, 0, 0, 0), (2, '/1/2/', 'b', 'left', 1, 0, 0, 0, 0), (3, "
        "'/1/3/', 'c', 'right', 1, 0, 0, 0, 0);"
        "INSERT INTO app_user (id, org_id, login, name, version, created_at, created_by, updated_at, "
        "updated_by) VALUES (77, 2, 'li', 'Li', 1, 0, 0, 0, 0), (78, 3, 'wu', 'Wu', 1, 0, 0, 0, 0);",
        err);
}

struct create {
    struct world *world;
    const char *type, *json;
    const struct principal *who;
    int64_t id;
};

static enum err_code create_fn(struct tx *tx, void *arg, struct err *err)
{
    struct create *create = arg;
    const struct entity_call call = { .entity = create->world->entity,
                                      .who = create->who,
                                      .arena = tx_arena(tx) };
    json_error_t at_error;
    json_t *fields = json_loads(create->json, 0, &at_error);
    test_ok(fields != NULL, "%s: %s", create->json, at_error.text);
    const enum err_code rc = entity_create(&call, tx, entity_type_find(create->world->entity, create->type),
                                           fields, &create->id, err);
    json_decref(fields);
    return rc;
}

static int64_t create(struct world *world, const struct principal *who, const char *type, const char *format,
                      ...) PRINTF_LIKE(4, 5);

static int64_t create(struct world *world, const struct principal *who, const char *type, const char *format,
                      ...)
{
    char json[2000];
    struct create one = { world, type, json, who, 0 };
    struct err err = { 0 };
    va_list args;
    va_start(args, format);
    (void)vsnprintf(json, sizeof(json), format, args);
    va_end(args);
    teststore_ok(store_write(world->store, create_fn, &one, &err), &err, json);
    return one.id;
}

static void begin(struct world *world)
{
    static const char *dirs[1];
    struct err err = { 0 };
    struct findings findings;
    char path[300];
    memset(world, 0, sizeof(*world));
    xml_init();
    static char packs_dir[500]; /* test_file() uses its buffer again */
    (void)snprintf(packs_dir, sizeof(packs_dir), "%s", test_file("packs"));
    dirs[0] = packs_dir;
    world->arena = arena_new((size_t)256 << 20);
    clock_test_init(&world->clock, at("2026-11-20T09:00:00+08:00"));
    ids_init(&world->ids, &world->clock, 1);
    world->words = words_new();
    for (int lang = 0; lang < LANG__COUNT; lang++) {
        struct buf text;
        (void)snprintf(path, sizeof(path), "words/%s.json", lang_name((enum lang)lang));
        buf_init(&text, 4 << 20);
        test_ok(!buf_read_file(&text, test_file(path), &err) &&
                    !words_add(world->words, (enum lang)lang, buf_get(&text), &err),
                "%s", err.id);
        buf_done(&text);
    }
    (void)snprintf(path, sizeof(path), "%s/handle-master", teststore_dir());
    teststore_ok(key_ring_open(path, true, &world->keys, &err), &err, "keys");
    world->store = teststore_open(teststore_url(), true, &world->clock);
    teststore_ok(store_write(world->store, orgs_fn, NULL, &err), &err, "orgs");
    test_ok(!findings_init(&findings, world->arena, &err), "findings");
    const struct packs_config packs = { .dirs = dirs, .dirs_count = 1, .wanted = "ops" };
    test_ok(!packs_load(&packs, &findings, &world->packs, &err), "%s", err.id);
    test_ok(!packs_words_add(world->packs, world->words, &err), "words");
    const struct entity_config config = { .store = world->store,
                                          .packs = world->packs,
                                          .ids = &world->ids,
                                          .clock = &world->clock,
                                          .words = world->words,
                                          .keys = world->keys };
    test_ok(!entity_open(&config, &findings, &world->entity, &err), "%s %s %s", err.id,
            findings.items[0].args[0].text, findings.items[0].args[1].text);
    test_ok(!entity_tables(world->entity, true, &findings, &err), "%s %s", err.id, err.args[0].text);
    teststore_ok(outbox_new(world->store, &world->ids, NULL, STR("test"), &world->outbox, &err), &err,
                 "outbox");
    const struct notify_config notify = { .store = world->store,
                                          .ids = &world->ids,
                                          .outbox = world->outbox,
                                          .words = world->words,
                                          .clock = &world->clock };
    teststore_ok(notify_new(&notify, &world->notify, &err), &err, "notify");
    world->service = create(world, NULL, "ops.service",
                            "{\"code\":\"s1\",\"name\":\"Portal\",\"general_table\":"
                            "\"*business\",\"org\":\"2\"}");
    world->other = create(world, NULL, "ops.service",
                          "{\"code\":\"s2\",\"name\":\"Other\",\"org\":\"3\","
                          "\"support_calendar\":\"5x8\"}");
    (void)create(world, NULL, "ops.sla",
                 "{\"code\":\"g1\",\"general_table\":\"*business\",\"level\":\"1\",\"calendar\":"
                 "\"always\",\"respond_min\":10,\"restore_min\":60,\"report_min\":480}");
    (void)create(world, NULL, "ops.sla",
                 "{\"code\":\"g3\",\"general_table\":\"*business\",\"level\":\"3\",\"calendar\":"
                 "\"always\",\"respond_min\":10,\"restore_min\":720}");
    (void)create(world, NULL, "ops.sla",
                 "{\"code\":\"o1\",\"service\":\"%lld\",\"level\":\"request\",\"calendar\":"
                 "\"working\",\"contact_min\":480}",
                 (long long)world->other);
    (void)create(world, NULL, "ops.calendar",
                 "{\"code\":\"5x8\",\"name\":\"office\",\"hours\":\"mon-fri 09:00-17:00\"}");
    (void)create(world, NULL, "ops.calendar_day", "{\"day\":\"2026-11-23\",\"note\":\"nobody works\"}");
    (void)create(world, NULL, "ops.calendar_day",
                 "{\"day\":\"2026-11-24\",\"hours\":\"13:00-14:00 15:00-16:00\"}");
    (void)create(world, NULL, "ops.calendar_day", "{\"day\":\"2026-11-25\",\"hours\":\"work\"}");
    const struct handle_config handle = { .store = world->store,
                                          .ids = &world->ids,
                                          .clock = &world->clock,
                                          .words = world->words,
                                          .entity = world->entity,
                                          .packs = world->packs,
                                          .outbox = world->outbox,
                                          .notify = world->notify,
                                          .alarm_type = STR("ops.ticket") };
    const enum err_code rc = handle_new(&handle, &findings, &world->handle, &err);
    test_ok(!rc, "%s %s: %s", err.id, err.args[0].text, findings.count ? findings.items[0].args[1].text : "");
}

static void end(struct world *world)
{
    handle_free(world->handle);
    notify_free(world->notify);
    outbox_free(world->outbox);
    entity_free(world->entity);
    packs_free(world->packs);
    store_close(world->store);
    key_ring_free(world->keys);
    words_free(world->words);
    arena_free(world->arena);
}

struct look {
    struct world *world;
    int64_t id;
    const struct principal *who;
    json_t *out, *clocks, *task;
    struct task_row open;
};

static enum err_code look_fn(struct tx *tx, void *arg, struct err *err)
{
    struct look *look = arg;
    const struct case_view view = { handle_room(look->world->handle),
                                    look->who,
                                    look->who ? look->who->user_id : 0,
                                    look->world->words,
                                    LANG_ZH,
                                    tx_arena(tx) };
    struct task_row *tasks = NULL;
    int count = 0;
    enum err_code rc = case_json(&view, tx, look->id, &look->out, err);
    if (!rc)
        rc = case_clocks_json(&view, tx, look->id, &look->clocks, err);
    if (!rc)
        rc = task_list(tx, look->id, &tasks, &count, err);
    look->open = (struct task_row) { 0 };
    for (int i = 0; !rc && i < count; i++)
        if (tasks[i].state == TASK_OPEN)
            look->open = tasks[i];
    if (!rc && look->open.id)
        rc = task_json(&view, tx, look->open.id, &look->task, err);
    return rc;
}

static struct look look(struct world *world, const struct principal *who, int64_t id)
{
    struct look one = { .world = world, .id = id, .who = who };
    struct err err = { 0 };
    teststore_ok(store_read(world->store, look_fn, &one, &err), &err, "look");
    return one;
}

static void look_done(struct look *look)
{
    json_decref(look->out);
    json_decref(look->clocks);
    json_decref(look->task);
}

static const char *text(const json_t *json, const char *path)
{
    char copy[100], *rest = copy, *part;
    (void)snprintf(copy, sizeof(copy), "%s", path);
    while (json && (part = strsep(&rest, "/")) != NULL)
        json = part[0] >= '0' && part[0] <= '9' ? json_array_get(json, (size_t)atoi(part))
                                                : json_object_get(json, part);
    return json_is_string(json) ? json_string_value(json)
           : json_is_null(json) ? "null"
           : json               ? "?"
                                : "(none)";
}

static const json_t *clock_of(const json_t *view, const char *name)
{
    const json_t *clocks = json_object_get(view, "clocks");
    for (size_t i = 0; i < json_array_size(clocks); i++)
        if (!strcmp(text(json_array_get(clocks, i), "clock"), name))
            return json_array_get(clocks, i);
    return NULL;
}

struct step {
    struct world *world;
    const struct principal *who;
    int64_t task;
    const char *action, *opinion, *fields;
};

static enum err_code step_fn(struct tx *tx, void *arg, struct err *err)
{
    struct step *step = arg;
    const struct case_actor by = { step->who->user_id, step->who->name, step->who };
    const struct case_step one = { &by, str_from(step->opinion ? step->opinion : "") };
    json_t *fields = step->fields ? json_loads(step->fields, 0, NULL) : NULL;
    const enum err_code rc = task_complete(handle_room(step->world->handle), tx, &one, step->task,
                                           str_from(step->action ? step->action : "done"), fields, err);
    json_decref(fields);
    return rc;
}

static void complete(struct world *world, const struct principal *who, int64_t id, const char *action,
                     const char *opinion, const char *fields)
{
    struct look one = look(world, who, id);
    struct step step = { world, who, one.open.id, action, opinion, fields };
    struct err err = { 0 };
    teststore_ok(store_write(world->store, step_fn, &step, &err), &err, "complete");
    look_done(&one);
}

/* Everything, within the organisation 2 (left). */
static const struct str EVERYTHING[] = { { "*", 1 } };
static const struct grant LEFT = { EVERYTHING, 1, { .org_id = 2, .org_path = { "/1/2/", 5 } } };
static const struct grant RIGHT = { EVERYTHING, 1, { .org_id = 3, .org_path = { "/1/3/", 5 } } };
static const struct principal LI = {
    .user_id = 77, .org_id = 2, .login = { "li", 2 }, .name = { "Li", 2 }, .grants = &LEFT, .grant_count = 1
};
static const struct principal WU = {
    .user_id = 78, .org_id = 3, .login = { "wu", 2 }, .name = { "Wu", 2 }, .grants = &RIGHT, .grant_count = 1
};

static void test_ticket(void **state)
{
    struct world world;
    struct look one;
    (void)state;
    begin(&world);
    const int64_t id =
        create(&world, &LI, "ops.ticket", "{\"title\":\"site down\",\"service\":\"%lld\",\"level\":\"1\"}",
               (long long)world.service);
    one = look(&world, &LI, id);
    assert_string_equal(text(one.out, "state"), "accepting");
    assert_string_equal(text(one.out, "state_label"),
                        "\xe5\xbe\x85\xe5\x8f\x97\xe7\x90\x86"); /* the pack's word */
    test_ok(!strncmp(text(one.out, "number"), "GD20261120-", 11), "%s", text(one.out, "number"));
    assert_string_equal(text(clock_of(one.out, "respond"), "due_at"), "2026-11-20T09:10:00+08:00");
    assert_string_equal(text(clock_of(one.out, "restore"), "due_at"), "2026-11-20T10:00:00+08:00");
    assert_string_equal(text(clock_of(one.out, "report"), "due_at"), "2026-11-20T17:00:00+08:00");
    assert_string_equal(text(clock_of(one.out, "restore"), "source"), "general");
    assert_string_equal(text(clock_of(one.out, "arrive"), "state"), "not_agreed");
    assert_string_equal(text(one.out, "flow/nodes/1/state"), "here");
    assert_string_equal(text(one.task, "actions/0/label"), "\xe5\x8f\x97\xe7\x90\x86");
    assert_string_equal(text(clock_of(one.clocks, "respond"), "pieces/0/kind"), "ahead");
    look_done(&one);

    world.clock.test_ms += 5 * MINUTE;
    complete(&world, &LI, id, NULL, NULL, "{\"level\":\"3\"}"); /* judged less severe while accepting */
    one = look(&world, &LI, id);
    assert_string_equal(text(one.out, "level"), "3");
    assert_string_equal(text(clock_of(one.out, "respond"), "state"), "met");
    assert_string_equal(text(clock_of(one.out, "restore"), "due_at"), "2026-11-20T21:00:00+08:00");
    assert_string_equal(text(clock_of(one.out, "report"), "state"), "not_agreed");
    look_done(&one);
    complete(&world, &LI, id, NULL, NULL, NULL);
    complete(&world, &LI, id, NULL, NULL,
             "{\"cause\":\"disk\",\"solution\":\"new disk\",\"fault_class\":\"hardware\"}");
    complete(&world, &LI, id, "reject", "still slow", NULL); /* the FEEL condition sends it back */
    one = look(&world, &LI, id);
    assert_string_equal(text(one.out, "state"), "handling");
    assert_string_equal(text(clock_of(one.out, "restore"), "state"), "running");
    look_done(&one);
    complete(&world, &LI, id, NULL, NULL, NULL);
    complete(&world, &LI, id, NULL, NULL, "{\"satisfaction\":5,\"confirm_note\":\"ok\"}");
    complete(&world, &LI, id, NULL, NULL, NULL);
    one = look(&world, &LI, id);
    assert_string_equal(text(one.out, "state"), "closed");
    assert_string_equal(text(one.out, "closed_at"), "2026-11-20T09:05:00+08:00");
    test_ok(json_array_size(json_object_get(one.out, "timeline")) > 8, "timeline");
    look_done(&one);
    end(&world);
}

static void test_working_calendar(void **state)
{
    struct world world;
    struct look one;
    (void)state;
    begin(&world);
    /* Friday 09:00, 480 working minutes of 09:00-17:00: the end of Friday; Monday is a special day */
    const int64_t id =
        create(&world, &WU, "ops.ticket", "{\"title\":\"text\",\"service\":\"%lld\",\"level\":\"request\"}",
               (long long)world.other);
    one = look(&world, &WU, id);
    assert_string_equal(text(clock_of(one.out, "contact"), "due_at"), "2026-11-20T17:00:00+08:00");
    look_done(&one);
    world.clock.test_ms = at("2026-11-20T16:00:00+08:00");
    const int64_t late =
        create(&world, &WU, "ops.ticket", "{\"title\":\"text\",\"service\":\"%lld\",\"level\":\"request\"}",
               (long long)world.other);
    one = look(&world, &WU, late);
    assert_string_equal(text(clock_of(one.out, "contact"), "due_at"), "2026-11-25T14:00:00+08:00");
    assert_int_equal(
        json_array_size(json_object_get(
            json_array_get(json_object_get(clock_of(one.clocks, "contact"), "pieces"), 0), "spans")),
        4);
    look_done(&one);
    end(&world);
}

static struct inbox_item rows[INBOX_MAX];
struct inbox {
    struct arena *arena; /* texts of rows, beyond the transaction */
    struct inbox_query query;
    int count;
    int64_t counted;
    bool exact;
    struct due_row due[10];
    int64_t now_ms;
    int due_count, past_count;
};

static enum err_code inbox_fn(struct tx *tx, void *arg, struct err *err)
{
    struct inbox *inbox = arg;
    enum err_code rc = inbox_list(tx, &inbox->query, rows, &inbox->count, err);
    if (!rc)
        rc = inbox_count(tx, &inbox->query, &inbox->counted, &inbox->exact, err);
    if (!rc)
        rc = inbox_due(tx, &(struct due_query) { .who = inbox->query.who, .to_ms = INT64_MAX, .limit = 10 },
                       inbox->due, &inbox->due_count, err);
    for (int i = 0; !rc && i < inbox->due_count; i++)
        test_ok((i == 0 || inbox->due[i - 1].due_ms <= inbox->due[i].due_ms) && inbox->due[i].limit_ms > 0 &&
                    inbox->due[i].warn_ms < inbox->due[i].due_ms,
                "due row %d", i);
    if (!rc)
        rc = inbox_due(tx,
                       &(struct due_query) {
                           .who = inbox->query.who, .to_ms = inbox->now_ms, .backwards = true, .limit = 10 },
                       inbox->due, &inbox->past_count, err);
    for (int i = 0; !rc && i < inbox->past_count; i++)
        test_ok(inbox->due[i].due_ms < inbox->now_ms &&
                    (i == 0 || inbox->due[i - 1].due_ms >= inbox->due[i].due_ms),
                "past row %d", i);
    for (int i = 0; !rc && i < inbox->count; i++) {
        rows[i].title = arena_str(inbox->arena, rows[i].title);
        rows[i].level = arena_str(inbox->arena, rows[i].level);
        rows[i].service_name = arena_str(inbox->arena, rows[i].service_name);
    }
    return rc;
}

static struct inbox inbox_of(struct world *world, const struct principal *who, bool mine, int64_t due,
                             int64_t id, int limit)
{
    struct inbox inbox = { .arena = world->arena,
                           .query = { who, mine, TASK_OPEN, due, id, limit },
                           .now_ms = world->clock.test_ms };
    struct err err = { 0 };
    teststore_ok(store_read(world->store, inbox_fn, &inbox, &err), &err, "inbox");
    return inbox;
}

static void test_inbox(void **state)
{
    struct world world;
    struct inbox inbox;
    (void)state;
    begin(&world);
    for (int i = 0; i < 5; i++) {
        (void)create(&world, &LI, "ops.ticket", "{\"title\":\"t%d\",\"service\":\"%lld\",\"level\":\"1\"}", i,
                     (long long)world.service);
        world.clock.test_ms += MINUTE;
    }
    inbox = inbox_of(&world, &LI, true, 0, 0, 50);
    assert_int_equal(inbox.count, 5);
    assert_int_equal(inbox.counted, 5);
    assert_true(inbox.exact && rows[0].claimable);
    test_ok(str_eq(rows[0].title, STR("t0")) && str_eq(rows[0].service_name, STR("Portal")), "by time left");
    assert_int_equal(inbox.due_count, 10);
    assert_int_equal(inbox.past_count, 0);
    world.clock.test_ms += 12 * 60 * MINUTE;
    inbox = inbox_of(&world, &LI, true, 0, 0, 50);
    test_ok(inbox.past_count > 0, "what broke is told apart");
    world.clock.test_ms -= 12 * 60 * MINUTE;
    inbox = inbox_of(&world, &LI, true, 0, 0, 2); /* pages */
    const int64_t due = rows[1].order, id = rows[1].task.id;
    inbox = inbox_of(&world, &LI, true, due, id, 50);
    assert_int_equal(inbox.count, 3);
    /* another organisation sees nothing of it */
    inbox = inbox_of(&world, &WU, true, 0, 0, 50);
    assert_int_equal(inbox.count, 0);
    assert_int_equal(inbox.due_count, 0);
    inbox = inbox_of(&world, &WU, false, 0, 0, 50);
    assert_int_equal(inbox.count, 0);
    inbox = inbox_of(&world, &LI, false, 0, 0, 50);
    assert_int_equal(inbox.count, 5);
    end(&world);
}

struct alarm_message {
    struct world *world;
    bool cleared;
    char json[500];
};

static enum err_code alarm_fn(struct tx *tx, void *arg, struct err *err)
{
    struct alarm_message *message = arg;
    return outbox_add(message->world->outbox, tx,
                      message->cleared ? STR("alarm.cleared") : STR("alarm.opened"), 7,
                      str_from(message->json), err);
}

static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    return tx_query_i64(tx, "SELECT COUNT(*) FROM case_run", arg, err);
}

static int64_t raise(struct world *world, int64_t alarm, const char *key, bool cleared)
{
    struct alarm_message message = { .world = world, .cleared = cleared };
    struct err err = { 0 };
    int done = 0;
    int64_t cases = 0;
    (void)snprintf(message.json, sizeof(message.json),
                   "{\"id\":\"%lld\",\"key\":\"%s\",\"subject\":\"%lld\",\"source\":\"0\",\"service\":\"%"
                   "lld\",\"org\":\"2\","
                   "\"grade\":1,\"title\":\"no answer\",\"value\":\"timeout\"}",
                   (long long)alarm, key, (long long)world->service, (long long)world->service);
    teststore_ok(store_write(world->store, alarm_fn, &message, &err), &err, "alarm");
    do
        teststore_ok(outbox_run_due(world->outbox, &done, &err), &err, "deliver");
    while (done);
    teststore_ok(store_read(world->store, count_fn, &cases, &err), &err, "count");
    return cases;
}

static void test_alarm_opens_one_ticket(void **state)
{
    struct world world;
    int64_t dead = 0;
    struct err err = { 0 };
    (void)state;
    begin(&world);
    assert_int_equal(raise(&world, 501, "t:7", false), 1);
    assert_int_equal(raise(&world, 501, "t:7", false), 1);
    assert_int_equal(raise(&world, 502, "t:7", false), 1);
    assert_int_equal(raise(&world, 503, "u:7", false), 2);
    assert_int_equal(raise(&world, 501, "t:7", true), 2);
    assert_int_equal(raise(&world, 999, "t:7", true), 2); /* of no case */
    teststore_ok(outbox_dead_count(world.outbox, &dead, &err), &err, "dead");
    assert_int_equal(dead, 0);
    struct inbox inbox = inbox_of(&world, &LI, true, 0, 0, 50);
    assert_int_equal(inbox.count, 2);
    test_ok(str_eq(rows[0].level, STR("1")) && str_eq(rows[0].title, STR("no answer")), "%.*s",
            STR_ARG(rows[0].level));
    struct look one = look(&world, NULL, rows[0].task.case_id);
    assert_string_equal(text(clock_of(one.out, "respond"), "due_at"), "2026-11-20T09:10:00+08:00");
    const json_t *timeline = json_object_get(one.out, "timeline");
    assert_string_equal(text(json_array_get(timeline, json_array_size(timeline) - 1), "kind"),
                        "alarm_cleared");
    look_done(&one);
    end(&world);
}

static enum err_code notices_fn(struct tx *tx, void *arg, struct err *err)
{
    return tx_query_i64(tx, "SELECT COUNT(*) FROM notice WHERE user_id = 77", arg, err);
}

static int64_t notices(struct world *world)
{
    struct err err = { 0 };
    int64_t count = 0;
    int done = 0;
    do
        teststore_ok(outbox_run_due(world->outbox, &done, &err), &err, "deliver");
    while (done);
    teststore_ok(store_read(world->store, notices_fn, &count, &err), &err, "count");
    return count;
}

/* Who opens a case is asked to confirm it: a task by name.  A deadline that nears or breaks is told as well.
 */
static void test_people_are_told(void **state)
{
    struct world world;
    struct look one;
    struct err err = { 0 };
    int done = 0;
    int64_t dead = 0;
    (void)state;
    begin(&world);
    const int64_t id =
        create(&world, &LI, "ops.ticket", "{\"title\":\"t\",\"service\":\"%lld\",\"level\":\"1\"}",
               (long long)world.service);
    assert_int_equal(notices(&world), 0);
    for (int i = 0; i < 3; i++)
        complete(&world, &PRINCIPAL_SELF, id, NULL, NULL,
                 i == 2 ? "{\"cause\":\"a\",\"solution\":\"b\"}" : NULL);
    assert_int_equal(notices(&world), 1); /* to confirm */
    one = look(&world, &LI, id);
    assert_string_equal(text(clock_of(one.out, "report"), "state"), "running");
    look_done(&one);
    world.clock.test_ms += 8 * 60 * MINUTE + 1;
    teststore_ok(case_tick(handle_room(world.handle), world.store, 100, &done, &err), &err, "tick");
    assert_int_equal(notices(&world), 2); /* the report is broken */
    complete(&world, &LI, id, NULL, NULL, NULL);
    complete(&world, &LI, id, NULL, NULL, "{\"cause_report\":\"disk of 2019, all of that age replaced\"}");
    one = look(&world, &LI, id);
    assert_string_equal(text(clock_of(one.out, "report"), "state"), "late"); /* handed in with the closing */
    look_done(&one);
    teststore_ok(outbox_dead_count(world.outbox, &dead, &err), &err, "dead");
    assert_int_equal(dead, 0);
    end(&world);
}

TEST_MAIN(TEST(test_ticket), TEST(test_working_calendar), TEST(test_inbox), TEST(test_alarm_opens_one_ticket),
          TEST(test_people_are_told))
