/* case_test.c - cases on a real store with a small host: steps, clocks, alarms, time, faults. */
#include "base/xml.h"
#include "handle/flow/case_sql.h"
#include "handle/flow/case.h"
#include "test.h"
#include "teststore.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define TYPE STR("ops.ticket")

/* ---- a host: records in a table, everybody known by number ---- */

struct world {
    struct store *store;
    struct clock clock;
    struct ids ids;
    struct case_room *room;
    struct case_host host;
    struct sla_calendars calendars;
    struct calendar *always, *office;
    struct buf flow;
    int emitted, audited;
    char last[64];      /* topic */
    const char *denies; /* a permission that nobody has */
    const char *snapshot;
};

static const char SNAPSHOT[] =
    "{\"rows\":[{\"id\":\"1\",\"service\":\"*business\",\"level\":\"1\",\"calendar\":\"always\",\"limits\":"
    "{\"respond\":10,\"restore\":60,\"report\":480}},{\"id\":\"2\",\"service\":\"*business\",\"level\":\"3\","
    "\"calendar\":\"always\",\"limits\":{\"respond\":10,\"restore\":720}}],\"services\":{\"web\":{"
    "\"general\":"
    "\"*business\"}}}";

static enum err_code record_put(struct tx *tx, int64_t id, const json_t *record, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char *text = json_dumps(record, JSON_COMPACT);
    enum err_code rc =
        tx_prepare(tx,
                   "INSERT INTO test_record (id, json) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE "
                   "SET json = excluded.json",
                   &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, id);
        stmt_bind_text(stmt, 2, str_from(text));
        rc = stmt_run(stmt, NULL, err);
    }
    free(text);
    return rc;
}

static enum err_code host_get(void *ctx, struct tx *tx, struct str type, int64_t id, json_t **out,
                              struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, "SELECT json FROM test_record WHERE id = ?1", &stmt, err);
    (void)ctx;
    (void)type;
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    rc = stmt_step(stmt, &row, err);
    if (rc)
        return rc;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "case.not_found", ARG_END);
    *out = json_loadb(stmt_text(stmt, 0).ptr, stmt_text(stmt, 0).len, 0, NULL);
    return *out ? ERR_OK : err_nomem(err);
}

static enum err_code host_patch(void *ctx, struct tx *tx, const struct case_actor *by, struct str type,
                                int64_t id, const json_t *patch, struct err *err)
{
    struct world *world = ctx;
    const struct case_step step = { by, STR("") };
    json_t *before = NULL, *after;
    enum err_code rc = host_get(ctx, tx, type, id, &before, err);
    if (rc)
        return rc;
    after = json_deep_copy(before);
    (void)json_object_update(after, (json_t *)(uintptr_t)patch);
    rc = record_put(tx, id, after, err);
    if (!rc)
        rc = case_changed(world->room, tx, &step, type, id, before, after, err);
    json_decref(before);
    json_decref(after);
    return rc;
}

static enum err_code host_create(void *ctx, struct tx *tx, const struct case_actor *by, struct str type,
                                 const json_t *fields, int64_t *out_id, struct err *err)
{
    struct world *world = ctx;
    const struct case_step step = { by, STR("") };
    const int64_t id = ids_next(&world->ids);
    enum err_code rc = record_put(tx, id, fields, err);
    if (!rc)
        rc = case_open(world->room, tx, &step, type, id, fields, err);
    if (!rc)
        *out_id = id;
    return rc;
}

static enum err_code host_flow(void *ctx, struct str type, struct arena *arena, struct str *out_flow,
                               struct str *out_xml, struct str *out_reopen, struct err *err)
{
    struct world *world = ctx;
    (void)type;
    (void)arena;
    (void)err;
    *out_flow = STR("ops/fault");
    *out_xml = buf_get(&world->flow);
    *out_reopen = STR("handle");
    return ERR_OK;
}

static enum err_code host_matrix(void *ctx, struct tx *tx, struct str type, json_t **out, struct err *err)
{
    const struct world *world = ctx;
    (void)tx;
    (void)type;
    *out = json_loads(world->snapshot, 0, NULL);
    return *out ? ERR_OK : err_nomem(err);
}

static struct str text_of(const json_t *record, const char *field)
{
    return str_from(json_string_value(json_object_get(record, field)));
}

static void host_terms(void *ctx, struct str type, const json_t *record, struct arena *arena,
                       struct str *out_service, struct str *out_level)
{
    (void)ctx;
    (void)type;
    *out_service = arena_str(arena, text_of(record, "service"));
    *out_level = arena_str(arena, text_of(record, "level"));
}

static const struct sla_calendars *host_calendars(void *ctx)
{
    return &((struct world *)ctx)->calendars;
}

static void host_calendars_put(void *ctx, const struct sla_calendars *calendars)
{
    (void)ctx;
    (void)calendars;
}

static enum err_code host_names(void *ctx, struct str flow, struct arena *arena, const struct flow_name **out,
                                int *out_count, struct err *err)
{
    static const struct flow_name names[] = { { { "title", 5 }, { "string", 6 } },
                                              { { "level", 5 }, { "string", 6 } },
                                              { { "patience", 8 }, { "number", 6 } },
                                              { { "wanted", 6 }, { "date and time", 13 } } };
    (void)ctx;
    (void)flow;
    (void)arena;
    (void)err;
    *out = names;
    *out_count = 4;
    return ERR_OK;
}

static int host_people(void *ctx, struct tx *tx, struct str candidate, const json_t *record,
                       int64_t *out_users, int max)
{
    (void)ctx;
    (void)tx;
    (void)record;
    if (!str_eq(candidate, STR("rota:service")) || max < 1)
        return 0;
    out_users[0] = 77;
    return 1;
}

static struct str host_user_name(void *ctx, struct tx *tx, int64_t user, struct arena *arena)
{
    (void)ctx;
    (void)tx;
    return user < 100 ? arena_printf(arena, "user %d", (int)user) : STR("");
}

static bool host_may(void *ctx, struct tx *tx, const void *who, struct str permission, struct str type,
                     int64_t id)
{
    const struct world *world = ctx;
    (void)tx;
    (void)who;
    (void)type;
    (void)id;
    return !world->denies || !str_eq(permission, str_from(world->denies));
}

static enum err_code host_emit(void *ctx, struct tx *tx, const char *topic, int64_t subject,
                               const json_t *data, struct err *err)
{
    struct world *world = ctx;
    (void)tx;
    (void)subject;
    (void)data;
    (void)err;
    world->emitted++;
    (void)snprintf(world->last, sizeof(world->last), "%s", topic);
    return ERR_OK;
}

static enum err_code host_audit(void *ctx, struct tx *tx, const struct case_actor *by, const char *act,
                                struct str type, int64_t id, const json_t *data, struct err *err)
{
    (void)tx;
    (void)by;
    (void)act;
    (void)type;
    (void)id;
    (void)data;
    (void)err;
    ((struct world *)ctx)->audited++;
    return ERR_OK;
}

static enum err_code table_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return tx_exec(tx, "CREATE TABLE test_record (id {i64} PRIMARY KEY, json {text} NOT NULL) {strict};",
                   err);
}

static void world_init(struct world *world)
{
    const struct calendar_spec always = { .always = true };
    const struct calendar_spec office = { .hours = STR(CALENDAR_OFFICE_HOURS), .holidays_cn = true };
    struct err err = { 0 };
    memset(world, 0, sizeof(*world));
    xml_init();
    clock_test_init(&world->clock, test_at("2026-11-20T09:00:00+08:00"));
    ids_init(&world->ids, &world->clock, 1);
    test_ok(!calendar_new(&always, &world->always, &err) && !calendar_new(&office, &world->office, &err),
            "%s", err.id);
    world->calendars = (struct sla_calendars) { world->always, world->office, NULL, NULL };
    world->snapshot = SNAPSHOT;
    buf_init(&world->flow, 1 << 20);
    test_ok(!buf_read_file(&world->flow, test_file("packs/ops/flows/fault.bpmn"), &err), "%s", err.id);
    world->host =
        (struct case_host) { world,       host_get,       host_patch,     host_create,        host_flow,
                             host_matrix, host_terms,     host_calendars, host_calendars_put, host_names,
                             host_people, host_user_name, host_may,       host_emit,          host_audit };
    const struct case_config config = { &world->ids, &world->clock, &world->host };
    test_ok(!case_room_new(&config, &world->room, &err), "%s", err.id);
    world->store = teststore_open(teststore_url(), true, &world->clock);
    teststore_ok(store_write(world->store, table_fn, NULL, &err), &err, "table");
}

static void world_done(struct world *world)
{
    store_close(world->store);
    case_room_free(world->room);
    calendar_free(world->always);
    calendar_free(world->office);
    buf_done(&world->flow);
}

/* ---- one call in one transaction ---- */

enum act {
    OPEN,
    CLAIM,
    RELEASE,
    COMPLETE,
    RETURN,
    HANDOVER,
    URGE,
    PAUSE,
    RESUME,
    REACH,
    WAIVE,
    VOID,
    NOTE,
    REOPEN,
    CANCEL,
    PATCH,
    ALARM,
    VERIFY,
    DERIVE
};

struct doing {
    struct world *world;
    enum act act;
    int64_t id; /* case, task or alarm */
    int64_t user;
    const char *action, *opinion, *fields, *source;
    enum sla_clock clock;
    int64_t at_ms;
    bool workaround;
    /* answers */
    int64_t out_id;
    bool out_opened;
    struct case_verify verify;
};

static enum err_code doing_fn(struct tx *tx, void *arg, struct err *err)
{
    struct doing *d = arg;
    struct case_room *room = d->world->room;
    char name[32];
    (void)snprintf(name, sizeof(name), "user %d", (int)d->user);
    const struct case_actor by = { d->user, str_from(name), d->user ? name : NULL };
    const struct case_step step = { &by, str_from(d->opinion ? d->opinion : "") };
    json_t *fields = d->fields ? json_loads(d->fields, 0, NULL) : NULL;
    enum err_code rc = ERR_OK;
    switch (d->act) {
    case OPEN:
        rc = host_create(d->world, tx, &by, TYPE, fields, &d->out_id, err);
        break;
    case CLAIM:
    case RELEASE:
        rc = task_claim(room, tx, &step, d->id, d->act == RELEASE, err);
        break;
    case COMPLETE:
        rc = task_complete(room, tx, &step, d->id, str_from(d->action ? d->action : "done"), fields, err);
        break;
    case RETURN:
        rc = task_return(room, tx, &step, d->id, str_from(d->action ? d->action : ""), err);
        break;
    case HANDOVER:
        rc = task_handover(room, tx, &step, d->id, d->at_ms, err);
        break;
    case URGE:
        rc = task_urge(room, tx, &step, d->id, err);
        break;
    case PAUSE:
    case RESUME:
        rc = case_pause(room, tx, &step, d->id, 0, d->act == RESUME, err);
        break;
    case REACH:
        rc = case_reach(room, tx, &step, d->id, d->clock, d->at_ms, d->workaround, err);
        break;
    case WAIVE:
        rc = case_waive(room, tx, &step, d->id, d->clock, err);
        break;
    case VOID:
        rc = case_void(room, tx, &step, d->id, d->at_ms, err);
        break;
    case NOTE:
        rc = case_note(room, tx, &step, d->id, err);
        break;
    case REOPEN:
        rc = case_reopen(room, tx, &step, d->id, err);
        break;
    case CANCEL:
        rc = case_cancel(room, tx, &step, d->id, err);
        break;
    case PATCH:
        rc = host_patch(d->world, tx, &by, TYPE, d->id, fields, err);
        break;
    case ALARM:
        rc = case_alarm(room, tx, TYPE, d->id, str_from(d->source), fields, &d->out_id, &d->out_opened, err);
        break;
    case VERIFY: {
        struct findings findings;
        rc = findings_init(&findings, tx_arena(tx), err);
        if (!rc)
            rc = case_verify(room, tx, &findings, &d->verify, err);
        if (!rc && findings.count)
            print_message("# %s: stored [%s], derived [%s]\n", findings.items[0].args[1].text,
                          findings.items[0].args[2].text, findings.items[0].args[3].text);
        break;
    }
    case DERIVE:
        rc = case_derive(room, tx, d->id, err);
        break;
    }
    json_decref(fields);
    return rc;
}

static enum err_code run(struct doing *d, struct err *err)
{
    memset(err, 0, sizeof(*err));
    return store_write(d->world->store, doing_fn, d, err);
}

/* Runs it and expects an error id; NULL = none. */
static void expect(struct doing d, const char *id)
{
    struct err err = { 0 };
    const enum err_code rc = run(&d, &err);
    if (!id)
        teststore_ok(rc, &err, "step");
    else
        test_ok(rc && !strcmp(err.id, id), "want %s, got %s", id, rc ? err.id : "ok");
}

static int64_t open_case(struct world *world, const char *fields)
{
    struct doing d = { .world = world, .act = OPEN, .user = 5, .fields = fields };
    struct err err = { 0 };
    teststore_ok(run(&d, &err), &err, "open");
    return d.out_id;
}

#define LEVEL1 "{\"title\":\"t\",\"service\":\"web\",\"level\":\"1\"}"

struct seen {
    int64_t id;
    struct case_row row;
    char state[40], level[40], node[40], record_state[40];
    struct task_row task; /* the open one; id 0 = none */
    int tasks, open;
    struct {
        char text[120];
    } clocks[SLA_CLOCK__COUNT];
    int64_t due;
    int events;
    char what[40]; /* of the last event */
    int64_t last_event;
};

static enum err_code see_fn(struct tx *tx, void *arg, struct err *err)
{
    struct seen *seen = arg;
    struct task_row *tasks = NULL;
    struct event_row *events = NULL;
    struct str clocks[SLA_CLOCK__COUNT];
    json_t *record = NULL;
    enum err_code rc = case_row_load(tx, seen->id, &seen->row, err);
    if (!rc)
        rc = task_list(tx, seen->id, &tasks, &seen->tasks, err);
    if (!rc)
        rc = event_list(tx, seen->id, &events, &seen->events, err);
    if (!rc)
        rc = clock_texts(tx, seen->id, clocks, err);
    if (!rc)
        rc = due_load(tx, seen->id, &seen->due, err);
    if (!rc)
        rc = host_get(NULL, tx, TYPE, seen->id, &record, err);
    if (rc)
        return rc;
    for (int c = 0; c < SLA_CLOCK__COUNT; c++)
        (void)snprintf(seen->clocks[c].text, sizeof(seen->clocks[c].text), "%.*s", STR_ARG(clocks[c]));
    (void)snprintf(seen->state, sizeof(seen->state), "%.*s", STR_ARG(seen->row.state));
    (void)snprintf(seen->level, sizeof(seen->level), "%.*s", STR_ARG(seen->row.level));
    (void)snprintf(seen->record_state, sizeof(seen->record_state), "%.*s", STR_ARG(text_of(record, "state")));
    json_decref(record);
    seen->open = 0;
    seen->task = (struct task_row) { 0 };
    seen->node[0] = 0;
    for (int i = 0; i < seen->tasks; i++) {
        if (tasks[i].state != TASK_OPEN)
            continue;
        seen->open++;
        seen->task = tasks[i];
        (void)snprintf(seen->node, sizeof(seen->node), "%.*s", STR_ARG(tasks[i].node));
    }
    if (seen->events) {
        (void)snprintf(seen->what, sizeof(seen->what), "%.*s", STR_ARG(events[seen->events - 1].what));
        seen->last_event = events[seen->events - 1].id;
    }
    return ERR_OK;
}

static struct seen see(struct world *world, int64_t id)
{
    struct seen seen = { .id = id };
    struct err err = { 0 };
    teststore_ok(store_read(world->store, see_fn, &seen, &err), &err, "see");
    test_ok(!strcmp(seen.state, seen.record_state), "state %s, record %s", seen.state, seen.record_state);
    test_ok(seen.row.closed_ms ? seen.open == 0 : seen.open >= 1, "open tasks: %d", seen.open);
    return seen;
}

static void verified(struct world *world, int64_t differences)
{
    struct doing d = { .world = world, .act = VERIFY };
    struct err err = { 0 };
    teststore_ok(run(&d, &err), &err, "verify");
    test_ok(d.verify.differences == differences, "%d differences", (int)d.verify.differences);
}

static void later(struct world *world, int64_t ms)
{
    world->clock.test_ms += ms;
}

static void test_whole_way(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    const int64_t id = open_case(&world, LEVEL1), t0 = world.clock.test_ms;
    struct seen seen = see(&world, id);
    assert_string_equal(seen.node, "accept");
    assert_string_equal(seen.state, "accepting");
    assert_int_equal(seen.due, t0 + 8 * MINUTE); /* the warning before responding is due */
    assert_int_equal(seen.task.due_ms, t0 + 10 * MINUTE);
    test_ok(!strncmp(seen.clocks[SLA_RESTORE].text, "running general always 1 3600000 ", 33), "%s",
            seen.clocks[SLA_RESTORE].text);
    assert_string_equal(seen.clocks[SLA_SOLVE].text, "");

    later(&world, 5 * MINUTE);
    expect((struct doing) { .world = &world, .act = CLAIM, .id = seen.task.id, .user = 6 }, NULL);
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 7 }, "task.taken");
    expect(
        (struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 6, .action = "fly" },
        "task.no_action");
    expect(
        (struct doing) {
            .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 6, .fields = "{\"cause\":\"x\"}" },
        "task.field_not_here");
    expect(
        (struct doing) {
            .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 6, .fields = "{\"level\":\"\"}" },
        "task.field_needed");
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 6 }, NULL);
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 6 },
           "task.not_open");
    seen = see(&world, id);
    assert_string_equal(seen.node, "dispatch");
    test_ok(!strncmp(seen.clocks[SLA_RESPOND].text, "met ", 4), "%s", seen.clocks[SLA_RESPOND].text);

    expect((struct doing) { .world = &world, .act = HANDOVER, .id = seen.task.id, .user = 6, .at_ms = 500 },
           "task.no_user");
    expect(
        (struct doing) {
            .world = &world, .act = HANDOVER, .id = seen.task.id, .user = 6, .at_ms = 9, .opinion = "yours" },
        NULL);
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 6 }, "task.taken");
    expect((struct doing) { .world = &world, .act = RETURN, .id = seen.task.id, .user = 9 },
           "case.needs_reason");
    expect((struct doing) { .world = &world,
                            .act = RETURN,
                            .id = seen.task.id,
                            .user = 9,
                            .action = "handle",
                            .opinion = "x" },
           "task.no_way_back");
    expect(
        (struct doing) {
            .world = &world, .act = RETURN, .id = seen.task.id, .user = 9, .opinion = "not mine" },
        NULL);
    seen = see(&world, id);
    assert_string_equal(seen.node, "accept");
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 6 }, NULL);
    seen = see(&world, id);
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 9 }, NULL);
    seen = see(&world, id);
    assert_string_equal(seen.node, "handle");
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 9 },
           "task.field_needed");
    later(&world, 20 * MINUTE);
    expect((struct doing) { .world = &world,
                            .act = COMPLETE,
                            .id = seen.task.id,
                            .user = 9,
                            .fields = "{\"cause\":\"disk\",\"solution\":\"new disk\"}" },
           NULL);
    seen = see(&world, id);
    test_ok(!strncmp(seen.clocks[SLA_RESTORE].text, "met ", 4), "%s", seen.clocks[SLA_RESTORE].text);

    /* not accepted: the clock runs on, the time between does not count */
    later(&world, HOUR);
    expect((struct doing) { .world = &world,
                            .act = COMPLETE,
                            .id = seen.task.id,
                            .user = 5,
                            .action = "reject",
                            .opinion = "still down" },
           NULL);
    seen = see(&world, id);
    assert_string_equal(seen.node, "handle");
    test_ok(!strncmp(seen.clocks[SLA_RESTORE].text, "running ", 8), "%s", seen.clocks[SLA_RESTORE].text);
    assert_int_equal(seen.task.due_ms, 0); /* solve is not agreed */
    later(&world, 5 * MINUTE);
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 9 }, NULL);
    seen = see(&world, id);
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 5 }, NULL);
    seen = see(&world, id);
    assert_string_equal(seen.node, "close");
    expect((struct doing) { .world = &world, .act = HANDOVER, .id = seen.task.id, .user = 5, .at_ms = 9 },
           "task.no_handover");
    expect((struct doing) { .world = &world, .act = COMPLETE, .id = seen.task.id, .user = 5 }, NULL);
    seen = see(&world, id);
    assert_string_equal(seen.state, "closed");
    assert_int_equal(seen.row.closed_ms, world.clock.test_ms);
    test_ok(!strncmp(seen.clocks[SLA_REPORT].text, "running ", 8), "the report is still owed");
    test_ok(seen.due > 0, "and watched");
    expect((struct doing) { .world = &world, .act = NOTE, .id = id, .user = 5, .opinion = "n" }, NULL);
    expect((struct doing) { .world = &world, .act = PAUSE, .id = id, .user = 5, .opinion = "n" },
           "case.closed");
    expect((struct doing) { .world = &world, .act = REACH, .id = id, .user = 5, .clock = SLA_REPORT }, NULL);
    seen = see(&world, id);
    assert_int_equal(seen.due, 0);
    test_ok(world.emitted > 8 && world.audited >= 8, "told and audited");
    verified(&world, 0);

    /* re-opened at the element that the type names */
    expect((struct doing) { .world = &world, .act = REOPEN, .id = id, .user = 5 }, "case.needs_reason");
    expect((struct doing) { .world = &world, .act = REOPEN, .id = id, .user = 5, .opinion = "again" }, NULL);
    expect((struct doing) { .world = &world, .act = REOPEN, .id = id, .user = 5, .opinion = "again" },
           "case.open");
    seen = see(&world, id);
    assert_string_equal(seen.node, "handle");
    expect((struct doing) { .world = &world, .act = CANCEL, .id = id, .user = 5, .opinion = "no" }, NULL);
    seen = see(&world, id);
    assert_string_equal(seen.state, "cancelled");
    verified(&world, 0);
    world_done(&world);
}

static void test_who_may(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    const int64_t id = open_case(&world, LEVEL1);
    struct seen seen = see(&world, id);
    world.denies = "ops.ticket.accept";
    expect((struct doing) { .world = &world, .act = CLAIM, .id = seen.task.id, .user = 6 },
           "task.not_for_you");
    expect((struct doing) { .world = &world, .act = CLAIM, .id = seen.task.id, .user = 77 },
           NULL); /* on duty */
    expect((struct doing) { .world = &world, .act = RELEASE, .id = seen.task.id, .user = 6 }, "task.taken");
    expect((struct doing) { .world = &world, .act = RELEASE, .id = seen.task.id, .user = 77 }, NULL);
    expect((struct doing) { .world = &world, .act = URGE, .id = seen.task.id, .user = 6 }, NULL);
    expect((struct doing) { .world = &world, .act = CLAIM, .id = 12345, .user = 6 }, "task.not_found");
    expect((struct doing) { .world = &world, .act = NOTE, .id = 12345, .user = 6 }, "case.not_found");
    world_done(&world);
}

static void test_clocks_of_a_case(void **state)
{
    struct world world;
    struct err err = { 0 };
    int done = 0;
    (void)state;
    world_init(&world);
    const int64_t id = open_case(&world, LEVEL1), t0 = world.clock.test_ms;
    struct seen seen = see(&world, id);

    /* warned once, breached once */
    later(&world, 8 * MINUTE + 1);
    teststore_ok(case_tick(world.room, world.store, 100, &done, &err), &err, "tick");
    assert_string_equal(world.last, "sla.warned");
    const int told = world.emitted;
    teststore_ok(case_tick(world.room, world.store, 100, &done, &err), &err, "tick");
    assert_int_equal(world.emitted, told);
    later(&world, 2 * MINUTE);
    teststore_ok(case_tick(world.room, world.store, 100, &done, &err), &err, "tick");
    assert_string_equal(world.last, "sla.breached");
    assert_int_equal(world.emitted, told + 1);
    seen = see(&world, id);
    test_ok(!strncmp(seen.clocks[SLA_RESPOND].text, "breached ", 9), "%s", seen.clocks[SLA_RESPOND].text);
    assert_int_equal(seen.due, t0 + 48 * MINUTE);
    verified(&world, 0);

    /* a pause moves what is left; an edit of the record moves it too */
    expect((struct doing) { .world = &world, .act = PAUSE, .id = id, .user = 5 }, "case.needs_reason");
    expect(
        (struct doing) { .world = &world, .act = PAUSE, .id = id, .user = 5, .opinion = "waits for power" },
        NULL);
    seen = see(&world, id);
    assert_int_equal(seen.due, 0);
    later(&world, 30 * MINUTE);
    expect((struct doing) { .world = &world, .act = RESUME, .id = id, .user = 5 }, NULL);
    seen = see(&world, id);
    assert_int_equal(seen.due, t0 + 78 * MINUTE);
    expect(
        (struct doing) { .world = &world, .act = PATCH, .id = id, .user = 5, .fields = "{\"level\":\"3\"}" },
        NULL);
    seen = see(&world, id);
    assert_string_equal(seen.what, "edited");
    assert_int_equal(seen.due, t0 + (576 + 30) * MINUTE);
    assert_string_equal(seen.level, "3");
    expect(
        (struct doing) { .world = &world, .act = PATCH, .id = id, .user = 5, .fields = "{\"title\":\"u\"}" },
        NULL);
    seen = see(&world, id);
    assert_string_equal(seen.what, "changed");

    /* a wrong report is voided */
    expect((struct doing) { .world = &world,
                            .act = REACH,
                            .id = id,
                            .user = 5,
                            .clock = SLA_RESTORE,
                            .at_ms = world.clock.test_ms + 1 },
           "case.bad_instant");
    expect((struct doing) { .world = &world, .act = REACH, .id = id, .user = 5, .clock = SLA_RESTORE }, NULL);
    seen = see(&world, id);
    test_ok(!strncmp(seen.clocks[SLA_RESTORE].text, "met ", 4), "%s", seen.clocks[SLA_RESTORE].text);
    const int64_t wrong = seen.last_event;
    expect((struct doing) { .world = &world, .act = VOID, .id = id, .user = 5, .at_ms = wrong }, NULL);
    expect((struct doing) { .world = &world, .act = VOID, .id = id, .user = 5, .at_ms = wrong },
           "case.voided_already");
    expect((struct doing) { .world = &world, .act = VOID, .id = id, .user = 5, .at_ms = 99 },
           "case.cannot_void");
    seen = see(&world, id);
    test_ok(!strncmp(seen.clocks[SLA_RESTORE].text, "running ", 8), "%s", seen.clocks[SLA_RESTORE].text);
    verified(&world, 0);

    /* a new matrix does not touch a running case */
    world.snapshot = "{\"rows\":[],\"services\":{}}";
    expect((struct doing) { .world = &world, .act = DERIVE, .id = id }, NULL);
    struct seen same = see(&world, id);
    assert_string_equal(same.clocks[SLA_RESTORE].text, seen.clocks[SLA_RESTORE].text);
    const int64_t other = open_case(&world, LEVEL1);
    assert_string_equal(see(&world, other).clocks[SLA_RESTORE].text, "");
    world_done(&world);
}

static enum err_code tamper_fn(struct tx *tx, void *arg, struct err *err)
{
    return tx_exec(tx, arg, err);
}

static void test_verify_finds(void **state)
{
    struct world world;
    struct err err = { 0 };
    char clock[] = "UPDATE case_clock SET due_ms = due_ms + 1 WHERE clock = 'restore';";
    char due[] = "DELETE FROM case_due;";
    (void)state;
    world_init(&world);
    const int64_t id = open_case(&world, LEVEL1);
    verified(&world, 0);
    teststore_ok(store_write(world.store, tamper_fn, clock, &err), &err, "tamper");
    verified(&world, 1);
    teststore_ok(store_write(world.store, tamper_fn, due, &err), &err, "tamper");
    verified(&world, 2);
    expect((struct doing) { .world = &world, .act = DERIVE, .id = id }, NULL); /* rebuilt */
    verified(&world, 0);
    world_done(&world);
}

static void test_timer(void **state)
{
    struct world world;
    struct err err = { 0 };
    int done = 0;
    (void)state;
    world_init(&world);
    const int64_t id = open_case(&world, LEVEL1);
    for (int i = 0; i < 3; i++)
        expect((struct doing) { .world = &world,
                                .act = COMPLETE,
                                .id = see(&world, id).task.id,
                                .user = 6,
                                .fields = i == 2 ? "{\"cause\":\"a\",\"solution\":\"b\"}" : NULL },
               NULL);
    assert_string_equal(see(&world, id).node, "confirm");
    /* Friday 09:00 + 24 working hours = Wednesday 09:00 */
    world.clock.test_ms = test_at("2026-11-25T08:59:59+08:00");
    teststore_ok(case_tick(world.room, world.store, 100, &done, &err), &err, "tick");
    assert_string_equal(see(&world, id).node, "confirm");
    world.clock.test_ms = test_at("2026-11-25T09:00:00+08:00");
    teststore_ok(case_tick(world.room, world.store, 100, &done, &err), &err, "tick");
    struct seen seen = see(&world, id);
    assert_string_equal(seen.node, "close");
    teststore_ok(case_tick(world.room, world.store, 100, &done, &err), &err, "tick");
    assert_int_equal(see(&world, id).tasks, seen.tasks);
    world_done(&world);
}

/* ---- timers of other kinds: one task, and one timer on it ---- */

static const struct calendar *find_calendar(const void *ctx, struct str name)
{
    const struct world *world = ctx;
    return str_eq(name, STR("7x24")) ? world->always : str_eq(name, STR("5x8")) ? world->office : NULL;
}

static enum err_code timer_due_fn(struct tx *tx, void *arg, struct err *err)
{
    return tx_query_i64(tx, "SELECT coalesce(max(due_ms), 0) FROM flow_timer", arg, err);
}

static void test_timers(void **state)
{
    static const char xml[] =
        "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL' xmlns:b='urn:bihuan:bpmn:1'>"
        "<process id='p' isExecutable='true'><startEvent id='s'/><userTask id='t' b:state='open'/>"
        "<userTask id='late' b:state='late'/><endEvent id='e' b:state='closed'/>"
        "<boundaryEvent id='timer' attachedToRef='t'><timerEventDefinition %s><%s>%s</%s>"
        "</timerEventDefinition></boundaryEvent><sequenceFlow id='f' sourceRef='s' targetRef='t'/>"
        "<sequenceFlow id='g' sourceRef='t' targetRef='e'/>"
        "<sequenceFlow id='h' sourceRef='timer' targetRef='late'/>"
        "<sequenceFlow id='i' sourceRef='late' targetRef='e'/></process></definitions>";
    /* Friday 2026-11-20 09:00; the service's calendar is 7x24, the office's one is 5x8 */
    static const struct {
        const char *attribute, *element, *text, *due;
    } cases[] = {
        { "", "timeDuration", "PT24H", "2026-11-21T09:00:00+08:00" },
        { "b:calendar='always'", "timeDuration", "PT24H", "2026-11-21T09:00:00+08:00" },
        { "b:calendar='service'", "timeDuration", "PT24H", "2026-11-21T09:00:00+08:00" },
        { "b:calendar='5x8'", "timeDuration", "PT24H", "2026-11-25T09:00:00+08:00" },
        { "b:calendar='gone'", "timeDuration", "PT24H", "2026-11-25T09:00:00+08:00" },
        { "b:calendar='5x8'", "timeDuration", "= duration(\"PT\" + string(patience) + \"H\")",
          "2026-11-20T16:00:00+08:00" },
        { "", "timeDuration", "if level = \"1\" then @\"PT2H\" else @\"P1D\"", "2026-11-20T11:00:00+08:00" },
        { "", "timeDate", "wanted", "2026-11-22T07:30:00+08:00" },
        { "", "timeDuration", "if level = \"2\" then @\"PT2H\" else null", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;
        struct err err = { 0 };
        int64_t due = 0;
        int done = 0;
        char text[2000];
        world_init(&world);
        world.calendars.find = find_calendar;
        world.calendars.ctx = &world;
        world.snapshot = "{\"rows\":[],\"services\":{\"web\":{\"calendar\":\"7x24\"}}}";
        const int len = snprintf(text, sizeof text, xml, cases[i].attribute, cases[i].element, cases[i].text,
                                 cases[i].element);
        buf_clear(&world.flow);
        buf_add(&world.flow, text, (size_t)len);
        const int64_t id =
            open_case(&world, "{\"title\":\"t\",\"service\":\"web\",\"level\":\"1\",\"patience\":5,"
                              "\"wanted\":\"2026-11-22T07:30:00+08:00\"}");
        teststore_ok(store_read(world.store, timer_due_fn, &due, &err), &err, "due");
        test_ok(due == (cases[i].due ? test_at(cases[i].due) : 0), "%zu: due %lld", i, (long long)due);
        if (due) {
            world.clock.test_ms = due - 1;
            teststore_ok(case_tick(world.room, world.store, 100, &done, &err), &err, "tick");
            assert_string_equal(see(&world, id).node, "t");
            world.clock.test_ms = due;
            teststore_ok(case_tick(world.room, world.store, 100, &done, &err), &err, "tick");
            assert_string_equal(see(&world, id).node, "late");
        }
        world_done(&world);
    }
}

static void test_alarms(void **state)
{
    struct world world;
    struct err err = { 0 };
    (void)state;
    world_init(&world);
    struct doing d = { .world = &world, .act = ALARM, .id = 1001, .source = "7/9", .fields = LEVEL1 };
    teststore_ok(run(&d, &err), &err, "alarm");
    assert_true(d.out_opened);
    const int64_t first = d.out_id;
    teststore_ok(run(&d, &err), &err, "again"); /* delivered twice */
    test_ok(!d.out_opened && d.out_id == first, "exactly one");
    d.id = 1002;
    teststore_ok(run(&d, &err), &err, "joins");
    test_ok(!d.out_opened && d.out_id == first, "joins the open one");
    assert_string_equal(see(&world, first).what, "alarm_joined");
    d.id = 1003;
    d.source = "7/10";
    teststore_ok(run(&d, &err), &err, "other source");
    test_ok(d.out_opened && d.out_id != first, "another trigger, another ticket");
    expect((struct doing) { .world = &world, .act = CANCEL, .id = first, .user = 5, .opinion = "done" },
           NULL);
    d.id = 1004;
    d.source = "7/9";
    teststore_ok(run(&d, &err), &err, "after closing");
    test_ok(d.out_opened && d.out_id != first, "a new one");
    assert_int_equal(see(&world, d.out_id).row.prior_id, first);
    world_done(&world);
}

/* A long random life: whatever is tried, the invariants hold and the stored clocks are what a replay gives.
 */
static void test_random_lives(void **state)
{
    struct world world;
    uint64_t seed = 11;
    int worked = 0;
    (void)state;
    world_init(&world);
    for (int round = 0; round < 6; round++) {
        const int64_t id = open_case(&world, LEVEL1);
        for (int i = 0; i < 40; i++) {
            static const enum act acts[] = { CLAIM,    COMPLETE, COMPLETE, COMPLETE, RETURN,
                                             HANDOVER, PAUSE,    RESUME,   REACH,    WAIVE,
                                             REOPEN,   PATCH,    VOID,     URGE,     COMPLETE };
            static const char *const actions[] = { "done", "done", "done", "reject", "return" };
            struct err err = { 0 };
            int done;
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const uint64_t r = seed >> 20;
            struct seen seen = see(&world, id);
            struct doing d = { .world = &world,
                               .act = acts[r % 15],
                               .user = 5 + (int64_t)(r >> 8) % 3,
                               .opinion = "x",
                               .clock = (enum sla_clock)((r >> 12) % SLA_CLOCK__COUNT) };
            later(&world, (int64_t)((r >> 16) % 90) * MINUTE);
            d.id =
                d.act == CLAIM || d.act == COMPLETE || d.act == RETURN || d.act == HANDOVER || d.act == URGE
                    ? seen.task.id
                    : id;
            if (d.act == COMPLETE)
                d.action = actions[(r >> 24) % 5];
            if (d.act == COMPLETE && !strcmp(seen.node, "handle"))
                d.fields = "{\"cause\":\"a\",\"solution\":\"b\"}";
            if (d.act == PATCH)
                d.fields = (r >> 24) % 2 ? "{\"level\":\"3\"}" : "{\"level\":\"1\"}";
            if (d.act == HANDOVER)
                d.at_ms = 5 + (int64_t)(r >> 24) % 3;
            if (d.act == VOID)
                d.at_ms = seen.last_event;
            const enum err_code rc = run(&d, &err);
            test_ok(!rc || rc == ERR_CONFLICT || rc == ERR_INVALID || rc == ERR_NOT_FOUND, "%s %s",
                    err_name(rc), err.id);
            worked += !rc;
            if (i % 5 == 0)
                teststore_ok(case_tick(world.room, world.store, 100, &done, &err), &err, "tick");
            verified(&world, 0);
        }
    }
    test_ok(worked > 80, "%d steps worked", worked);
    world_done(&world);
}

/* Whatever statement fails, the step has not happened. */
static void test_failing_statements(void **state)
{
    struct world world;
    long nth = 0;
    (void)state;
    world_init(&world);
    const int64_t id = open_case(&world, LEVEL1);
    const struct seen before = see(&world, id);
    for (;; nth++) {
        struct doing d = { .world = &world, .act = COMPLETE, .id = before.task.id, .user = 6 };
        struct err err = { 0 };
        store_fail_at(world.store, nth, ERR_IO);
        const enum err_code rc = run(&d, &err);
        store_fail_at(world.store, -1, ERR_OK);
        if (!rc)
            break;
        const struct seen after = see(&world, id);
        test_ok(after.task.id == before.task.id && after.events == before.events &&
                    after.tasks == before.tasks,
                "half a step after statement %ld", nth);
    }
    test_ok(nth > 15, "only %ld statements", nth);
    assert_string_equal(see(&world, id).node, "dispatch");
    verified(&world, 0);
    world_done(&world);
}

static void test_out_of_memory(void **state)
{
    struct world world;
    long nth = 0;
    (void)state;
    world_init(&world);
    const int64_t id = open_case(&world, LEVEL1);
    const struct seen before = see(&world, id);
    for (;; nth++) {
        struct doing d = { .world = &world, .act = COMPLETE, .id = before.task.id, .user = 6 };
        struct err err = { 0 };
        mem_fail_at(nth);
        const enum err_code rc = run(&d, &err);
        mem_fail_at(-1);
        if (!rc)
            break;
        test_ok(rc == ERR_NOMEM || rc == ERR_STORE, "%s at %ld", err_name(rc), nth);
        test_ok(see(&world, id).task.id == before.task.id, "half a step at %ld", nth);
    }
    assert_string_equal(see(&world, id).node, "dispatch");
    world_done(&world);
}

TEST_MAIN(TEST(test_whole_way), TEST(test_who_may), TEST(test_clocks_of_a_case), TEST(test_verify_finds),
          TEST(test_timer), TEST(test_timers), TEST(test_alarms), TEST(test_random_lives),
          TEST(test_failing_statements), TEST(test_out_of_memory))
