/* handle_test.c - cases as records of the packs core and ops: opened by people and alarms, with real limits.
 */
#include "base/xml.h"
#include "handle/flow/case_sql.h"
#include "handle/handle.h"
#include "handle/inbox/inbox_sql.h"
#include "handle/sla/office.h"
#include "platform/bus/outbox.h"
#include "platform/notify/notify.h"
#include "rig.h"
#include "test.h"

#define MINUTE INT64_C(60000)

struct world {
    struct rig rig;
    struct outbox *outbox;
    struct notify *notify;
    struct handle *handle;
    int64_t service, other;
};

static void begin(struct world *world)
{
    struct err err = { 0 };
    *world =
        (struct world) { .rig = { .shipped = "ops", .now = "2026-11-20T09:00:00+08:00", .worded = true } };
    xml_init();
    rig_begin(&world->rig);
    rig_people(&world->rig);
    teststore_ok(outbox_new(world->rig.store, &world->rig.ids, NULL, STR("test"), &world->outbox, &err), &err,
                 "outbox");
    const struct notify_config notify = { .store = world->rig.store,
                                          .ids = &world->rig.ids,
                                          .outbox = world->outbox,
                                          .words = world->rig.words,
                                          .clock = &world->rig.clock };
    teststore_ok(notify_new(&notify, &world->notify, &err), &err, "notify");
    world->service = rig_add(&world->rig, NULL, "ops.service",
                             "{\"code\":\"s1\",\"name\":\"Portal\",\"general_table\":"
                             "\"*business\",\"org\":\"2\"}");
    world->other = rig_add(&world->rig, NULL, "ops.service",
                           "{\"code\":\"s2\",\"name\":\"Other\",\"org\":\"3\","
                           "\"support_calendar\":\"5x8\"}");
    (void)rig_add(&world->rig, NULL, "ops.sla",
                  "{\"code\":\"g1\",\"general_table\":\"*business\",\"level\":\"1\",\"calendar\":"
                  "\"always\",\"respond_min\":10,\"restore_min\":60,\"report_min\":480}");
    (void)rig_add(&world->rig, NULL, "ops.sla",
                  "{\"code\":\"g3\",\"general_table\":\"*business\",\"level\":\"3\",\"calendar\":"
                  "\"always\",\"respond_min\":10,\"restore_min\":720}");
    (void)rig_add(&world->rig, NULL, "ops.sla",
                  "{\"code\":\"o1\",\"service\":\"%lld\",\"level\":\"request\",\"calendar\":"
                  "\"working\",\"contact_min\":480}",
                  (long long)world->other);
    (void)rig_add(&world->rig, NULL, "ops.calendar",
                  "{\"code\":\"5x8\",\"name\":\"office\",\"hours\":\"mon-fri 09:00-17:00\"}");
    (void)rig_add(&world->rig, NULL, "ops.calendar_day",
                  "{\"day\":\"2026-11-23\",\"note\":\"nobody works\"}");
    (void)rig_add(&world->rig, NULL, "ops.calendar_day",
                  "{\"day\":\"2026-11-24\",\"hours\":\"13:00-14:00 15:00-16:00\"}");
    (void)rig_add(&world->rig, NULL, "ops.calendar_day", "{\"day\":\"2026-11-25\",\"hours\":\"work\"}");
    const struct handle_config handle = { .store = world->rig.store,
                                          .ids = &world->rig.ids,
                                          .clock = &world->rig.clock,
                                          .words = world->rig.words,
                                          .entity = world->rig.entity,
                                          .packs = world->rig.packs,
                                          .outbox = world->outbox,
                                          .notify = world->notify,
                                          .alarm_type = STR("ops.ticket") };
    const enum err_code rc = handle_new(&handle, &world->rig.findings, &world->handle, &err);
    test_ok(!rc, "%s %s: %s", err.id, err.args[0].text,
            world->rig.findings.count ? world->rig.findings.items[0].args[1].text : "");
}

static void end(struct world *world)
{
    handle_free(world->handle);
    notify_free(world->notify);
    outbox_free(world->outbox);
    rig_end(&world->rig);
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
    const struct case_view view = {
        handle_room(look->world->handle), look->who, look->who ? look->who->user_id : 0,
        look->world->rig.words,           LANG_ZH,   tx_arena(tx)
    };
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
    teststore_ok(store_read(world->rig.store, look_fn, &one, &err), &err, "look");
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
    teststore_ok(store_write(world->rig.store, step_fn, &step, &err), &err, "complete");
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
        rig_add(&world.rig, &LI, "ops.ticket",
                "{\"title\":\"site down\",\"service\":\"%lld\",\"level\":\"1\"}", (long long)world.service);
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

    world.rig.clock.test_ms += 5 * MINUTE;
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
        rig_add(&world.rig, &WU, "ops.ticket",
                "{\"title\":\"text\",\"service\":\"%lld\",\"level\":\"request\"}", (long long)world.other);
    one = look(&world, &WU, id);
    assert_string_equal(text(clock_of(one.out, "contact"), "due_at"), "2026-11-20T17:00:00+08:00");
    look_done(&one);
    world.rig.clock.test_ms = test_at("2026-11-20T16:00:00+08:00");
    const int64_t late =
        rig_add(&world.rig, &WU, "ops.ticket",
                "{\"title\":\"text\",\"service\":\"%lld\",\"level\":\"request\"}", (long long)world.other);
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
    struct inbox inbox = { .arena = world->rig.arena,
                           .query = { who, mine, TASK_OPEN, due, id, limit },
                           .now_ms = world->rig.clock.test_ms };
    struct err err = { 0 };
    teststore_ok(store_read(world->rig.store, inbox_fn, &inbox, &err), &err, "inbox");
    return inbox;
}

static void test_inbox(void **state)
{
    struct world world;
    struct inbox inbox;
    (void)state;
    begin(&world);
    for (int i = 0; i < 5; i++) {
        (void)rig_add(&world.rig, &LI, "ops.ticket",
                      "{\"title\":\"t%d\",\"service\":\"%lld\",\"level\":\"1\"}", i,
                      (long long)world.service);
        world.rig.clock.test_ms += MINUTE;
    }
    inbox = inbox_of(&world, &LI, true, 0, 0, 50);
    assert_int_equal(inbox.count, 5);
    assert_int_equal(inbox.counted, 5);
    assert_true(inbox.exact && rows[0].claimable);
    test_ok(str_eq(rows[0].title, STR("t0")) && str_eq(rows[0].service_name, STR("Portal")), "by time left");
    assert_int_equal(inbox.due_count, 10);
    assert_int_equal(inbox.past_count, 0);
    world.rig.clock.test_ms += 12 * 60 * MINUTE;
    inbox = inbox_of(&world, &LI, true, 0, 0, 50);
    test_ok(inbox.past_count > 0, "what broke is told apart");
    world.rig.clock.test_ms -= 12 * 60 * MINUTE;
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
    teststore_ok(store_write(world->rig.store, alarm_fn, &message, &err), &err, "alarm");
    do
        teststore_ok(outbox_run_due(world->outbox, &done, &err), &err, "deliver");
    while (done);
    teststore_ok(store_read(world->rig.store, count_fn, &cases, &err), &err, "count");
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
    teststore_ok(store_read(world->rig.store, notices_fn, &count, &err), &err, "count");
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
        rig_add(&world.rig, &LI, "ops.ticket", "{\"title\":\"t\",\"service\":\"%lld\",\"level\":\"1\"}",
                (long long)world.service);
    assert_int_equal(notices(&world), 0);
    for (int i = 0; i < 3; i++)
        complete(&world, &PRINCIPAL_SELF, id, NULL, NULL,
                 i == 2 ? "{\"cause\":\"a\",\"solution\":\"b\"}" : NULL);
    assert_int_equal(notices(&world), 1); /* to confirm */
    one = look(&world, &LI, id);
    assert_string_equal(text(clock_of(one.out, "report"), "state"), "running");
    look_done(&one);
    world.rig.clock.test_ms += 8 * 60 * MINUTE + 1;
    teststore_ok(case_tick(handle_room(world.handle), world.rig.store, 100, &done, &err), &err, "tick");
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
