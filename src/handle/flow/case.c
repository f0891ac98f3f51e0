/* case.c - the steps of cases.
 *
 * Every step is the same three parts: begin (load row, model, tokens), move, end (write what moved: tasks,
 * timers, tokens, record, events, clocks, outbox, audit).  A step that changes the record does so first,
 * since the change may itself edit the clocks. */
#include "base/json.h"
#include "handle/flow/case_room.h"

#include <assert.h>
#include <stdlib.h>

#define TICK_MAX 500
#define PEOPLE_MAX 50
#define TEXT_MAX 4000 /* code points of an opinion */
#define AGAIN ((1u << SLA_RESTORE) | (1u << SLA_SOLVE))

struct work {
    struct case_room *room;
    struct tx *tx;
    const struct case_step *step;
    struct case_row row;
    const struct flow_model *model;
    struct flow_run run;
    struct flow_env env;
    struct task_row *task; /* the one being worked, or NULL */
    struct str action;
    json_t *record; /* owned */
    int64_t now;
    const char *what; /* for audit and outbox: "case.completed" */
    json_t *opened;   /* ids of tasks that were opened; owned */
};

static enum err_code work_begin(struct work *work, struct case_room *room, struct tx *tx,
                                const struct case_step *step, int64_t id, const char *what, struct err *err);
static enum err_code work_end(struct work *work, struct err *err);
static void work_done(struct work *work);
static enum err_code work_record(struct work *work, struct err *err);
static enum err_code effects_write(struct work *work, json_t *patch, struct err *err);
static enum err_code task_open(struct work *work, const struct flow_effect *effect, struct err *err);
static enum err_code task_close(struct work *work, const struct flow_effect *effect, struct err *err);
static enum err_code timer_set(struct work *work, const struct flow_effect *effect, struct err *err);
static enum err_code task_begin(struct work *work, struct case_room *room, struct tx *tx,
                                const struct case_step *step, int64_t task, bool take, const char *what,
                                struct err *err);
static enum err_code may_take(struct work *work, struct err *err);
static enum err_code needs_open(const struct work *work, struct err *err);
static enum err_code event_plain(struct work *work, const char *what, struct err *err);
static enum err_code form_write(struct work *work, const struct flow_node *node, const json_t *fields,
                                bool forward, struct err *err);
static enum err_code reached_if(struct work *work, const struct flow_node *node, unsigned *clocks,
                                struct err *err);
static enum err_code decide(void *ctx, const struct flow_model *model, int edge, bool *out_true,
                            struct err *err);
static int64_t token_id(void *ctx);

static const struct case_actor PROGRAM = { 0, { "", 0 }, NULL };

/* ---- a case ---- */

enum err_code case_open(struct case_room *room, struct tx *tx, const struct case_step *step, struct str type,
                        int64_t id, const json_t *record, struct err *err)
{
    struct work work = {
        .room = room, .tx = tx, .step = step, .now = clock_now(room->clock), .what = "case.opened"
    };
    struct event_row event = { .case_id = id, .kind = SLA_OPENED, .what = STR("opened") };
    enum err_code rc;

    work.row = (struct case_row) {
        .id = id, .type = type, .state = STR(""), .starter_id = step->by->id, .opened_ms = work.now
    };
    work.row.prior_id = json_get_id(record, "prior");
    work.env = (struct flow_env) { token_id, decide, &work };
    rc = room_flow_pin(room, tx, type, &work.row.flow_version, err);
    if (!rc)
        rc = room_matrix_pin(room, tx, type, &work.row.sla_version, err);
    if (!rc)
        rc = room_model(room, tx, work.row.flow_version, &work.model, err);
    if (rc)
        return err_in(err, "case.open");
    room->host->terms(room->host->ctx, type, record, tx_arena(tx), &work.row.service, &work.row.level);
    if (!work.row.service.ptr || !work.row.level.ptr)
        return err_nomem(err);
    rc = case_row_insert(tx, &work.row, err);
    event.at_ms = event.made_ms = work.now;
    event.service = work.row.service;
    event.level = work.row.level;
    if (!rc)
        rc = room_event(room, tx, step, &event, err);
    work.record = json_deep_copy(record);
    if (!rc && !work.record)
        rc = err_nomem(err);
    flow_run_init(&work.run, work.model);
    if (!rc)
        rc = flow_run_start(&work.run, &work.env, -1, err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc ? err_in(err, "case.open") : ERR_OK;
}

enum err_code case_changed(struct case_room *room, struct tx *tx, const struct case_step *step,
                           struct str type, int64_t id, const json_t *before, const json_t *after,
                           struct err *err)
{
    static const char *const own[] = { "id", "version", "state", "closed_at", "updated_at", "updated_by" };
    struct event_row event = { .case_id = id, .kind = SLA_NOTED, .what = STR("changed") };
    struct str service, level;
    struct case_row row;
    const struct flow_model *model;
    json_t *names, *value;
    const char *key;
    char *text;
    enum err_code rc = case_row_load(tx, id, &row, err);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK; /* a record that never became a case */
    if (rc)
        return rc;
    names = json_array();
    json_object_foreach((json_t *)(uintptr_t)after, key, value)
    {
        bool mine = key[0] == '_';
        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
            mine |= !strcmp(key, own[i]);
        if (!mine && !json_equal(value, json_object_get(before, key)))
            (void)json_array_append_new(names, json_string(key));
    }
    room->host->terms(room->host->ctx, type, after, tx_arena(tx), &service, &level);
    if (!service.ptr || !level.ptr) {
        json_decref(names);
        return err_nomem(err);
    }
    if (!str_eq(service, row.service) || !str_eq(level, row.level)) {
        event.kind = SLA_EDITED;
        event.what = STR("edited");
        row.service = service;
        row.level = level;
    } else if (!json_array_size(names)) {
        json_decref(names);
        return ERR_OK;
    }
    event.service = service;
    event.level = level;
    text = json_dumps(names, JSON_COMPACT);
    json_decref(names);
    if (!text)
        return err_nomem(err);
    event.data = arena_printf(tx_arena(tx), "{\"fields\":%s}", text);
    free(text);
    if (!event.data.ptr)
        return err_nomem(err);
    rc = room_event(room, tx, step, &event, err);
    if (!rc && event.kind == SLA_EDITED) {
        rc = room_model(room, tx, row.flow_version, &model, err);
        if (!rc)
            rc = room_derive(room, tx, &row, model, NULL, err);
    }
    return rc;
}

enum err_code case_pause(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t id,
                         unsigned clocks, bool resume, struct err *err)
{
    struct work work;
    struct event_row event = { .case_id = id,
                               .kind = resume ? SLA_RESUMED : SLA_PAUSED,
                               .what = resume ? STR("resumed") : STR("paused"),
                               .clocks = clocks ? clocks & SLA_ALL_CLOCKS : SLA_ALL_CLOCKS,
                               .text = step->opinion };
    enum err_code rc = work_begin(&work, room, tx, step, id, resume ? "case.resumed" : "case.paused", err);
    if (!rc)
        rc = needs_open(&work, err);
    if (!rc && !resume && !str_trim(step->opinion).len) {
        (void)err_set(err, ERR_INVALID, "case.needs_reason", ARG_END);
        rc = err_pointer(err, STR("/reason"));
    }
    if (!rc)
        rc = room_event(room, tx, step, &event, err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

enum err_code case_reach(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t id,
                         enum sla_clock clock, int64_t at_ms, bool workaround, struct err *err)
{
    struct work work;
    struct event_row event = { .case_id = id,
                               .kind = SLA_REACHED,
                               .what = STR("reached"),
                               .clocks = 1u << clock,
                               .workaround = workaround,
                               .at_ms = at_ms,
                               .text = step->opinion };
    enum err_code rc = work_begin(&work, room, tx, step, id, "case.reached", err);
    /* the report is owed beyond the closing */
    if (!rc && clock != SLA_REPORT)
        rc = needs_open(&work, err);
    if (!rc && (at_ms > work.now || (at_ms && at_ms < work.row.opened_ms))) {
        (void)err_set(err, ERR_INVALID, "case.bad_instant", ARG_END);
        rc = err_pointer(err, STR("/at"));
    }
    if (!rc)
        rc = room_event(room, tx, step, &event, err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

enum err_code case_waive(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t id,
                         enum sla_clock clock, struct err *err)
{
    struct work work;
    struct event_row event = {
        .case_id = id, .kind = SLA_WAIVED, .what = STR("waived"), .clocks = 1u << clock, .text = step->opinion
    };
    enum err_code rc = work_begin(&work, room, tx, step, id, "case.waived", err);
    if (!rc && clock != SLA_REPORT)
        rc = needs_open(&work, err);
    if (!rc && !str_trim(step->opinion).len) {
        (void)err_set(err, ERR_INVALID, "case.needs_reason", ARG_END);
        rc = err_pointer(err, STR("/reason"));
    }
    if (!rc)
        rc = room_event(room, tx, step, &event, err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

/* Only what people reported by hand can be voided; the flow's own steps are undone by working on. */
enum err_code case_void(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t id,
                        int64_t voids, struct err *err)
{
    struct work work;
    struct event_row event = {
        .case_id = id, .kind = SLA_VOIDED, .what = STR("voided"), .voids = voids, .text = step->opinion
    };
    struct event_row *events = NULL;
    int count = 0;
    bool good = false;
    enum err_code rc = work_begin(&work, room, tx, step, id, "case.voided", err);
    if (!rc)
        rc = event_list(tx, id, &events, &count, err);
    for (int i = 0; !rc && i < count; i++) {
        if (events[i].id == voids)
            good = events[i].kind == SLA_REACHED || events[i].kind == SLA_WAIVED ||
                   events[i].kind == SLA_PAUSED || events[i].kind == SLA_RESUMED;
        if (events[i].voids == voids)
            rc = err_set(err, ERR_CONFLICT, "case.voided_already", ARG_END);
    }
    if (!rc && !good)
        rc = err_set(err, ERR_INVALID, "case.cannot_void", ARG_END);
    if (!rc)
        rc = room_event(room, tx, step, &event, err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

enum err_code case_note(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t id,
                        struct err *err)
{
    struct work work;
    enum err_code rc = work_begin(&work, room, tx, step, id, "case.noted", err);
    if (!rc && !str_trim(step->opinion).len) {
        (void)err_set(err, ERR_INVALID, "case.needs_reason", ARG_END);
        rc = err_pointer(err, STR("/text"));
    }
    if (!rc)
        rc = event_plain(&work, "noted", err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

enum err_code case_reopen(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t id,
                          struct err *err)
{
    struct work work;
    struct event_row event = {
        .case_id = id, .kind = SLA_REOPENED, .what = STR("reopened"), .text = step->opinion
    };
    struct str flow, xml, reopen = { 0 };
    int node = -1;
    enum err_code rc = work_begin(&work, room, tx, step, id, "case.reopened", err);
    if (!rc && !work.row.closed_ms)
        rc = err_set(err, ERR_CONFLICT, "case.open", ARG_END);
    if (!rc && !str_trim(step->opinion).len) {
        (void)err_set(err, ERR_INVALID, "case.needs_reason", ARG_END);
        rc = err_pointer(err, STR("/reason"));
    }
    if (!rc)
        rc = room->host->flow(room->host->ctx, work.row.type, tx_arena(tx), &flow, &xml, &reopen, err);
    if (!rc) {
        node = flow_node_find(work.model, reopen);
        if (node < 0 || work.model->nodes[node].kind != FLOW_USER_TASK)
            rc = err_set(err, ERR_CONFLICT, "case.no_reopen", ARG_STR("node", reopen), ARG_END);
    }
    if (!rc)
        rc = room_event(room, tx, step, &event, err);
    work.row.closed_ms = 0;
    if (!rc)
        rc = flow_run_start(&work.run, &work.env, node, err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

enum err_code case_cancel(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t id,
                          struct err *err)
{
    struct work work;
    enum err_code rc = work_begin(&work, room, tx, step, id, "case.cancelled", err);
    if (!rc)
        rc = needs_open(&work, err);
    if (!rc && !str_trim(step->opinion).len) {
        (void)err_set(err, ERR_INVALID, "case.needs_reason", ARG_END);
        rc = err_pointer(err, STR("/reason"));
    }
    if (!rc)
        rc = event_plain(&work, "cancelled", err);
    if (!rc)
        rc = flow_run_stop(&work.run, err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

/* ---- tasks ---- */

enum err_code task_claim(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t task,
                         bool release, struct err *err)
{
    struct work work;
    enum err_code rc =
        task_begin(&work, room, tx, step, task, true, release ? "task.released" : "task.claimed", err);
    if (!rc && release && work.task->assignee != step->by->id)
        rc = err_set(err, ERR_CONFLICT, "task.not_yours", ARG_END);
    if (!rc) {
        work.task->assignee = release ? 0 : step->by->id;
        work.task->assignee_name = release ? STR("") : step->by->name;
        rc = task_update(tx, work.task, err);
    }
    if (!rc)
        rc = event_plain(&work, release ? "released" : "claimed", err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

enum err_code task_complete(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t task,
                            struct str action_code, const json_t *fields, struct err *err)
{
    struct work work;
    struct event_row event = { .kind = SLA_NOTED, .what = STR("completed"), .text = step->opinion };
    const struct flow_node *node = NULL;
    const struct flow_action *action = NULL;
    enum err_code rc = task_begin(&work, room, tx, step, task, true, "task.completed", err);
    if (!rc) {
        node = &work.model->nodes[flow_node_find(work.model, work.task->node)];
        action = flow_action_find(node, action_code);
        if (!action) {
            (void)err_set(err, ERR_INVALID, "task.no_action", ARG_STR("action", action_code), ARG_END);
            rc = err_pointer(err, STR("/action"));
        }
    }
    if (!rc) {
        const bool forward = action->back_to < 0 &&
                             str_eq(action->code, node->actions_count ? node->actions[0].code : STR("done"));
        if (!forward && !str_trim(step->opinion).len) {
            (void)err_set(err, ERR_INVALID, "case.needs_reason", ARG_END);
            rc = err_pointer(err, STR("/opinion"));
        }
        if (!rc)
            rc = form_write(&work, node, fields, forward, err);
        event.case_id = work.row.id;
        event.task_id = work.task->id;
        event.node = node->id;
        event.action = action->code;
        if (!rc && action->back_to < 0) { /* sent back is not reached */
            event.clocks = node->reached;
            if (forward)
                rc = reached_if(&work, node, &event.clocks, err);
            else
                event.clocks &= 1u << SLA_RESPOND;
            if (event.clocks)
                event.kind = SLA_REACHED;
        }
    }
    if (!rc && !work.task->assignee) {
        work.task->assignee = step->by->id;
        work.task->assignee_name = step->by->name;
    }
    if (!rc)
        rc = room_event(room, tx, step, &event, err);
    if (!rc) {
        work.action = action->code;
        rc = action->back_to >= 0
                 ? flow_run_jump(&work.run, &work.env, work.task->token, action->back_to, err)
                 : flow_run_complete(&work.run, &work.env, work.task->token, err);
    }
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc ? err_in(err, "task.complete") : ERR_OK;
}

enum err_code task_return(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t task,
                          struct str node, struct err *err)
{
    struct work work;
    struct task_row *tasks = NULL;
    int count = 0, to = -1;
    enum err_code rc = task_begin(&work, room, tx, step, task, true, "task.returned", err);
    if (!rc && !str_trim(step->opinion).len) {
        (void)err_set(err, ERR_INVALID, "case.needs_reason", ARG_END);
        rc = err_pointer(err, STR("/opinion"));
    }
    if (!rc)
        rc = task_list(tx, work.row.id, &tasks, &count, err);
    for (int i = count - 1; !rc && to < 0 && i >= 0; i--) /* the newest done step that fits */
        if (tasks[i].state == TASK_DONE && !str_eq(tasks[i].node, work.task->node) &&
            (!node.len || str_eq(tasks[i].node, node)))
            to = flow_node_find(work.model, tasks[i].node);
    if (!rc && to < 0) {
        (void)err_set(err, ERR_CONFLICT, "task.no_way_back", ARG_END);
        rc = err_pointer(err, STR("/to"));
    }
    if (!rc)
        rc = event_plain(&work, "returned", err);
    if (!rc) {
        work.action = STR("return");
        rc = flow_run_jump(&work.run, &work.env, work.task->token, to, err);
    }
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

enum err_code task_handover(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t task,
                            int64_t user, struct err *err)
{
    struct work work;
    enum err_code rc = task_begin(&work, room, tx, step, task, true, "task.handed_over", err);
    if (!rc && !work.model->nodes[flow_node_find(work.model, work.task->node)].handover)
        rc = err_set(err, ERR_CONFLICT, "task.no_handover", ARG_END);
    if (!rc) {
        const struct str name = room->host->user_name(room->host->ctx, tx, user, tx_arena(tx));
        if (!name.len) {
            (void)err_set(err, ERR_INVALID, "task.no_user", ARG_END);
            rc = err_pointer(err, STR("/user"));
        } else {
            work.task->assignee = user;
            work.task->assignee_name = name;
            rc = task_update(tx, work.task, err);
        }
    }
    if (!rc)
        rc = task_user_add(tx, task, user, err);
    if (!rc) {
        struct event_row event = { .case_id = work.row.id,
                                   .kind = SLA_NOTED,
                                   .what = STR("handed_over"),
                                   .task_id = task,
                                   .node = work.task->node,
                                   .text = step->opinion };
        json_t *data = json_pack("{s:o,s:s%}", "to", json_id(user), "name", work.task->assignee_name.ptr,
                                 work.task->assignee_name.len);
        char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
        json_decref(data);
        event.data = text ? arena_str(tx_arena(tx), str_from(text)) : (struct str) { 0 };
        free(text);
        rc = event.data.ptr ? room_event(room, tx, step, &event, err) : err_nomem(err);
    }
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

enum err_code task_urge(struct case_room *room, struct tx *tx, const struct case_step *step, int64_t task,
                        struct err *err)
{
    struct work work;
    enum err_code rc = task_begin(&work, room, tx, step, task, false, "task.urged", err);
    if (!rc)
        rc = event_plain(&work, "urged", err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

enum err_code task_case(struct tx *tx, int64_t task, int64_t *out_case, struct err *err)
{
    struct task_row row;
    const enum err_code rc = task_load(tx, task, &row, err);
    if (!rc)
        *out_case = row.case_id;
    return rc;
}

/* ---- alarms ---- */

enum err_code case_alarm(struct case_room *room, struct tx *tx, struct str type, int64_t alarm,
                         struct str source, const json_t *fields, int64_t *out_case, bool *out_opened,
                         struct err *err)
{
    const struct case_step step = { &PROGRAM, STR("") };
    const int64_t now = clock_now(room->clock);
    int64_t id = 0, last = 0;
    bool open = false;
    json_t *copy;
    enum err_code rc = alarm_case(tx, alarm, &id, &open, err);
    if (rc)
        return rc;
    if (open) { /* in it already; an alarm that came back after its case was closed opens a new one */
        *out_case = id;
        *out_opened = false;
        return ERR_OK;
    }
    rc = alarm_source_case(tx, source, &last, &open, err);
    if (rc)
        return rc;
    if (open) {
        struct event_row event = { .case_id = last, .kind = SLA_NOTED, .what = STR("alarm_joined") };
        event.data = arena_printf(tx_arena(tx), "{\"alarm\":\"%lld\"}", (long long)alarm);
        if (!event.data.ptr)
            return err_nomem(err);
        rc = alarm_insert(tx, alarm, last, source, now, err);
        if (!rc)
            rc = room_event(room, tx, &step, &event, err);
        if (!rc) {
            *out_case = last;
            *out_opened = false;
        }
        return rc;
    }
    copy = json_deep_copy(fields);
    if (!copy || (last && json_object_set_new(copy, "prior", json_id(last)))) {
        json_decref(copy);
        return err_nomem(err);
    }
    rc = room->host->create(room->host->ctx, tx, &PROGRAM, type, copy, &id, err);
    json_decref(copy);
    if (!rc)
        rc = alarm_insert(tx, alarm, id, source, now, err);
    if (!rc) {
        *out_case = id;
        *out_opened = true;
    }
    return rc;
}

enum err_code case_alarm_cleared(struct case_room *room, struct tx *tx, int64_t alarm, int64_t at_ms,
                                 struct err *err)
{
    const struct case_step step = { &PROGRAM, STR("") };
    struct event_row event = { .kind = SLA_NOTED, .what = STR("alarm_cleared"), .at_ms = at_ms };
    bool open = false;
    enum err_code rc = alarm_case(tx, alarm, &event.case_id, &open, err);
    if (rc || !open)
        return rc;
    event.data = arena_printf(tx_arena(tx), "{\"alarm\":\"%lld\"}", (long long)alarm);
    return event.data.ptr ? room_event(room, tx, &step, &event, err) : err_nomem(err);
}

/* ---- time ---- */

struct tick {
    struct case_room *room;
    int64_t id;
    int64_t ids[TICK_MAX];
    int count, max;
    int64_t now;
};

static enum err_code tick_timers_fn(struct tx *tx, void *arg, struct err *err)
{
    struct tick *tick = arg;
    return flow_timer_due(tx, tick->now, tick->max, tick->ids, &tick->count, err);
}

static enum err_code tick_due_fn(struct tx *tx, void *arg, struct err *err)
{
    struct tick *tick = arg;
    return due_list(tx, tick->now, tick->max, tick->ids, &tick->count, err);
}

/* One timer, looked up again: another node may have done it. */
static enum err_code timer_fn(struct tx *tx, void *arg, struct err *err)
{
    struct tick *tick = arg;
    const struct case_step step = { &PROGRAM, STR("") };
    struct timer_row timer;
    struct work work;
    bool found = false;
    int node;
    enum err_code rc = flow_timer_load(tx, tick->id, &found, &timer, err);
    if (rc || !found || timer.due_ms > tick->now)
        return rc;
    rc = flow_timer_delete(tx, timer.id, err);
    if (!rc)
        rc = work_begin(&work, tick->room, tx, &step, timer.case_id, "case.timer", err);
    else
        return rc;
    if (!rc) {
        node = flow_node_find(work.model, timer.node);
        struct event_row event = {
            .case_id = timer.case_id, .kind = SLA_NOTED, .what = STR("timer"), .node = timer.node
        };
        rc = node < 0 ? err_set(err, ERR_CORRUPT, "flow.token_lost", ARG_STR("node", timer.node), ARG_END)
                      : room_event(tick->room, tx, &step, &event, err);
        if (!rc)
            rc = flow_run_timer(&work.run, &work.env, timer.token, node, err);
        if (!rc)
            rc = work_end(&work, err);
    }
    work_done(&work);
    return rc;
}

/* Tells once of each warning and each breach. */
static enum err_code due_fn(struct tx *tx, void *arg, struct err *err)
{
    struct tick *tick = arg;
    struct case_room *room = tick->room;
    const struct case_step step = { &PROGRAM, STR("") };
    struct case_row row;
    const struct flow_model *model;
    struct sla_result result;
    enum err_code rc = case_row_load(tx, tick->id, &row, err);
    if (!rc)
        rc = room_model(room, tx, row.flow_version, &model, err);
    if (!rc)
        rc = room_derive(room, tx, &row, model, &result, err);
    for (int c = 0; !rc && c < SLA_CLOCK__COUNT; c++) {
        const struct sla_clock_state *clock = &result.clocks[c];
        const int64_t bit = (int64_t)1 << c;
        const bool breached = clock->state == SLA_STATE_BREACHED && !(row.breached & bit);
        const bool warned = clock->state == SLA_STATE_RUNNING && clock->warn_ms &&
                            tick->now >= clock->warn_ms && !(row.warned & bit);
        struct event_row event = { .case_id = row.id,
                                   .kind = SLA_NOTED,
                                   .what = breached ? STR("breached") : STR("warned"),
                                   .clocks = 1u << c };
        json_t *data;
        if (!breached && !warned)
            continue;
        if (breached)
            row.breached |= bit;
        row.warned |= bit;
        event.at_ms = breached ? clock->due_ms : clock->warn_ms;
        rc = room_event(room, tx, &step, &event, err);
        data = json_pack("{s:o,s:s%,s:s,s:o,s:s%,s:s%}", "case", json_id(row.id), "type", row.type.ptr,
                         row.type.len, "clock", sla_clock_name((enum sla_clock)c), "due_at",
                         json_instant(clock->due_ms), "level", row.level.ptr, row.level.len, "service",
                         row.service.ptr, row.service.len);
        if (!rc)
            rc = data ? room->host->emit(room->host->ctx, tx, breached ? "sla.breached" : "sla.warned",
                                         row.id, data, err)
                      : err_nomem(err);
        json_decref(data);
    }
    if (!rc)
        rc = case_row_update(tx, &row, err);
    if (!rc)
        rc = due_store(tx, row.id, sla_next_due(&result, (unsigned)row.warned, (unsigned)row.breached), err);
    return rc;
}

enum err_code case_tick(struct case_room *room, struct store *store, int max, int *out_done, struct err *err)
{
    struct tick *tick = mem_alloc(1, sizeof(*tick));
    int done = 0;
    enum err_code rc = tick ? ERR_OK : err_nomem(err);
    for (int round = 0; !rc && round < 2; round++) {
        tick->room = room;
        tick->max = max < TICK_MAX ? max : TICK_MAX;
        tick->now = clock_now(room->clock);
        rc = store_read(store, round ? tick_due_fn : tick_timers_fn, tick, err);
        for (int i = 0; !rc && i < tick->count; i++) {
            tick->id = tick->ids[i];
            rc = store_write(store, round ? due_fn : timer_fn, tick, err);
            done++;
        }
    }
    mem_free(tick);
    if (!rc)
        *out_done = done;
    return rc;
}

enum err_code case_next_due(struct tx *tx, int64_t *out_ms, struct err *err)
{
    return due_next(tx, out_ms, err);
}

/* ---- the three parts ---- */

static enum err_code work_begin(struct work *work, struct case_room *room, struct tx *tx,
                                const struct case_step *step, int64_t id, const char *what, struct err *err)
{
    enum err_code rc;
    *work =
        (struct work) { .room = room, .tx = tx, .step = step, .now = clock_now(room->clock), .what = what };
    work->env = (struct flow_env) { token_id, decide, work };
    if (utf8_len(step->opinion) > TEXT_MAX) {
        (void)err_set(err, ERR_INVALID, "base.too_long", ARG_INT("max", TEXT_MAX), ARG_END);
        return err_pointer(err, STR("/opinion"));
    }
    rc = case_row_load(tx, id, &work->row, err);
    if (!rc)
        rc = room_model(room, tx, work->row.flow_version, &work->model, err);
    if (!rc)
        rc = token_list(tx, id, work->model, &work->run, err);
    return rc;
}

static enum err_code work_end(struct work *work, struct err *err)
{
    json_t *patch = json_object(), *data;
    enum err_code rc = patch ? effects_write(work, patch, err) : err_nomem(err);
    if (!rc)
        rc = token_store(work->tx, work->row.id, &work->run, err);
    if (!rc)
        rc = case_row_update(work->tx, &work->row, err);
    if (!rc)
        rc = room_derive(work->room, work->tx, &work->row, work->model, NULL, err);
    if (!rc && json_object_size(patch))
        rc = work->room->host->patch(work->room->host->ctx, work->tx, &PROGRAM, work->row.type, work->row.id,
                                     patch, err);
    json_decref(patch);
    if (rc)
        return rc;
    data = json_pack(
        "{s:o,s:s%,s:s,s:s%,s:O,s:o}", "case", json_id(work->row.id), "type", work->row.type.ptr,
        work->row.type.len, "what", work->what, "state", work->row.state.ptr, work->row.state.len, "tasks",
        work->opened ? work->opened : (work->opened = json_array()), "by", json_id(work->step->by->id));
    if (!data)
        return err_nomem(err);
    if (work->step->opinion.len)
        (void)json_object_set_new(data, "text", json_str(work->step->opinion));
    rc = work->room->host->emit(work->room->host->ctx, work->tx, "case.moved", work->row.id, data, err);
    if (!rc)
        rc = work->room->host->audit(work->room->host->ctx, work->tx, work->step->by, work->what,
                                     work->row.type, work->row.id, data, err);
    json_decref(data);
    return rc;
}

static void work_done(struct work *work)
{
    json_decref(work->record);
    json_decref(work->opened);
    work->record = work->opened = NULL;
}

/* The record, read when somebody first asks. */
static enum err_code work_record(struct work *work, struct err *err)
{
    if (work->record)
        return ERR_OK;
    return work->room->host->get(work->room->host->ctx, work->tx, work->row.type, work->row.id, &work->record,
                                 err);
}

static enum err_code effects_write(struct work *work, json_t *patch, struct err *err)
{
    struct str passed = STR("");
    enum err_code rc = ERR_OK;
    for (int i = 0; !rc && i < work->run.effects_count; i++) {
        const struct flow_effect *effect = &work->run.effects[i];
        switch (effect->kind) {
        case FLOW_TASK_OPEN:
            rc = task_open(work, effect, err);
            break;
        case FLOW_TASK_DONE:
        case FLOW_TASK_CANCEL:
            rc = task_close(work, effect, err);
            break;
        case FLOW_TIMER_SET:
            rc = timer_set(work, effect, err);
            break;
        case FLOW_TIMER_CANCEL:
            rc = flow_timer_delete_token(work->tx, effect->token, err);
            break;
        case FLOW_PASSED: /* ids of edges may hold nothing that JSON must escape: they are XML names */
            passed = arena_printf(tx_arena(work->tx), "%.*s%s\"%.*s\"", STR_ARG(passed),
                                  passed.len ? "," : "", STR_ARG(work->model->edges[effect->edge].id));
            if (!passed.ptr)
                rc = err_nomem(err);
            break;
        case FLOW_STATE:
            work->row.state = work->model->nodes[effect->node].state;
            break;
        case FLOW_ENDED:
            work->row.closed_ms = work->now;
            if (effect->node < 0)
                work->row.state = STR("cancelled");
            break;
        }
    }
    if (!rc && passed.len) {
        struct event_row event = { .case_id = work->row.id, .kind = SLA_NOTED, .what = STR("passed") };
        event.data = arena_printf(tx_arena(work->tx), "{\"edges\":[%.*s]}", STR_ARG(passed));
        rc = event.data.ptr ? room_event(work->room, work->tx, work->step, &event, err) : err_nomem(err);
    }
    if (!rc && work->run.effects_count && work->row.closed_ms == work->now && !work->run.tokens_count) {
        struct event_row event = {
            .case_id = work->row.id, .kind = SLA_CLOSED, .what = STR("closed"), .at_ms = work->now
        };
        (void)json_object_set_new(patch, "closed_at", json_instant(work->now));
        rc = room_event(work->room, work->tx, work->step, &event, err);
    } else if (!rc && work->run.effects_count && !work->row.closed_ms) {
        if (!strcmp(work->what, "case.reopened"))
            (void)json_object_set_new(patch, "closed_at", json_null());
    }
    if (!rc && work->run.effects_count && work->row.state.len)
        (void)json_object_set_new(patch, "state", json_str(work->row.state));
    return rc;
}

static enum err_code task_open(struct work *work, const struct flow_effect *effect, struct err *err)
{
    const struct flow_node *node = &work->model->nodes[effect->node];
    struct task_row task = { .id = ids_next(work->room->ids),
                             .case_id = work->row.id,
                             .token = effect->token,
                             .node = node->id,
                             .name = node->name.len ? node->name : node->id,
                             .state = TASK_OPEN,
                             .may = STR(""),
                             .assignee_name = STR(""),
                             .action = STR(""),
                             .opened_ms = work->now };
    struct task_row *tasks = NULL;
    int64_t users[PEOPLE_MAX], limit;
    int users_count = 0, count = 0;
    bool before = false;
    enum err_code rc = task_list(work->tx, work->row.id, &tasks, &count, err);
    for (int i = 0; i < count; i++)
        before |= str_eq(tasks[i].node, node->id) && tasks[i].state == TASK_DONE;
    if (!rc && before && (node->reached & AGAIN) && strcmp(work->what, "case.reopened") != 0) {
        /* the work was not accepted: its clocks go on */
        struct event_row event = {
            .case_id = work->row.id, .kind = SLA_REOPENED, .what = STR("again"), .node = node->id
        };
        rc = room_event(work->room, work->tx, work->step, &event, err);
    }
    for (int i = 0; !rc && i < node->candidates.count; i++) {
        const struct str who = node->candidates.items[i];
        if (str_starts(who, STR("may:"))) {
            task.may = str_slice(who, 4, who.len);
        } else if (str_eq(who, STR("starter"))) {
            if (work->row.starter_id && users_count < PEOPLE_MAX)
                users[users_count++] = work->row.starter_id;
        } else if (str_eq(who, STR("previous"))) {
            for (int k = count - 1; k >= 0; k--) {
                if (str_eq(tasks[k].node, node->id) && tasks[k].assignee && users_count < PEOPLE_MAX) {
                    users[users_count++] = tasks[k].assignee;
                    break;
                }
            }
        } else {
            rc = work_record(work, err);
            if (!rc)
                users_count += work->room->host->people(work->room->host->ctx, work->tx, who, work->record,
                                                        users + users_count, PEOPLE_MAX - users_count);
        }
    }
    if (duration_parse(node->limit, &limit))
        task.due_ms = work->now + limit;
    if (!rc)
        rc = task_insert(work->tx, &task, err);
    for (int i = 0; !rc && i < users_count; i++)
        rc = task_user_add(work->tx, task.id, users[i], err);
    if (!rc) {
        if (!work->opened)
            work->opened = json_array();
        if (!work->opened || json_array_append_new(work->opened, json_id(task.id)))
            rc = err_nomem(err);
    }
    return rc;
}

static enum err_code task_close(struct work *work, const struct flow_effect *effect, struct err *err)
{
    struct task_row *tasks = NULL;
    int count = 0;
    enum err_code rc = task_list(work->tx, work->row.id, &tasks, &count, err);
    for (int i = 0; !rc && i < count; i++) {
        if (tasks[i].token != effect->token || tasks[i].state != TASK_OPEN)
            continue;
        if (work->task && work->task->id == tasks[i].id) { /* claimed in this very step */
            tasks[i].assignee = work->task->assignee;
            tasks[i].assignee_name = work->task->assignee_name;
        }
        tasks[i].state = effect->kind == FLOW_TASK_DONE ? TASK_DONE : TASK_CANCELLED;
        tasks[i].done_ms = work->now;
        tasks[i].action = work->action.len ? work->action : STR("");
        rc = task_update(work->tx, &tasks[i], err);
    }
    return rc;
}

static enum err_code timer_set(struct work *work, const struct flow_effect *effect, struct err *err)
{
    const struct flow_node *node = &work->model->nodes[effect->node];
    struct timer_row timer = {
        .id = ids_next(work->room->ids), .case_id = work->row.id, .token = effect->token, .node = node->id
    };
    int64_t duration = 0;
    if (node->timer_date.len) {
        const enum err_code rc = clock_parse(node->timer_date, &timer.due_ms, err);
        if (rc)
            return rc;
    } else if (!duration_parse(node->timer, &duration)) {
        return err_set(err, ERR_INVALID, "flow.timer", ARG_STR("what", node->id), ARG_END);
    } else if (node->timer_service_calendar) {
        const struct sla_calendars *calendars = work->room->host->calendars_get(work->room->host->ctx);
        timer.due_ms = calendar_add(calendars->office, work->now, duration);
        work->room->host->calendars_put(work->room->host->ctx, calendars);
    } else {
        timer.due_ms = work->now + duration;
    }
    return flow_timer_insert(work->tx, &timer, err);
}

/* ---- helpers ---- */

/* `take`: only for somebody who may work on it. */
static enum err_code task_begin(struct work *work, struct case_room *room, struct tx *tx,
                                const struct case_step *step, int64_t task, bool take, const char *what,
                                struct err *err)
{
    struct task_row *row = arena_alloc(tx_arena(tx), 1, sizeof(*row));
    enum err_code rc = row ? task_load(tx, task, row, err) : err_nomem(err);
    *work = (struct work) { 0 };
    if (!rc)
        rc = work_begin(work, room, tx, step, row->case_id, what, err);
    if (rc)
        return rc;
    work->task = row;
    if (row->state != TASK_OPEN)
        return err_set(err, ERR_CONFLICT, "task.not_open", ARG_END);
    if (flow_node_find(work->model, row->node) < 0)
        return err_set(err, ERR_CORRUPT, "flow.token_lost", ARG_STR("node", row->node), ARG_END);
    return take ? may_take(work, err) : ERR_OK;
}

static enum err_code may_take(struct work *work, struct err *err)
{
    const struct case_actor *by = work->step->by;
    bool listed = false;
    enum err_code rc;
    if (!by->who)
        return ERR_OK;
    if (work->task->assignee && work->task->assignee != by->id)
        return err_set(err, ERR_CONFLICT, "task.taken", ARG_STR("name", work->task->assignee_name), ARG_END);
    if (work->task->assignee == by->id)
        return ERR_OK;
    rc = task_user_has(work->tx, work->task->id, by->id, &listed, err);
    if (rc || listed)
        return rc;
    if (work->task->may.len && work->room->host->may(work->room->host->ctx, work->tx, by->who,
                                                     work->task->may, work->row.type, work->row.id))
        return ERR_OK;
    return err_set(err, ERR_FORBIDDEN, "task.not_for_you", ARG_END);
}

static enum err_code needs_open(const struct work *work, struct err *err)
{
    return work->row.closed_ms ? err_set(err, ERR_CONFLICT, "case.closed", ARG_END) : ERR_OK;
}

static enum err_code event_plain(struct work *work, const char *what, struct err *err)
{
    struct event_row event = {
        .case_id = work->row.id, .kind = SLA_NOTED, .what = str_from(what), .text = work->step->opinion
    };
    if (work->task) {
        event.task_id = work->task->id;
        event.node = work->task->node;
    }
    return room_event(work->room, work->tx, work->step, &event, err);
}

/* Writes the form's fields to the record, as the person who sends them, and checks what must be filled. */
static enum err_code form_write(struct work *work, const struct flow_node *node, const json_t *fields,
                                bool forward, struct err *err)
{
    const struct case_host *host = work->room->host;
    const char *name;
    json_t *value;
    char pointer[160];
    enum err_code rc;
    json_object_foreach((json_t *)(uintptr_t)fields, name, value)
    {
        if (flow_list_has(&node->form, str_from(name)))
            continue;
        (void)snprintf(pointer, sizeof(pointer), "/fields/%.100s", name);
        (void)err_set(err, ERR_INVALID, "task.field_not_here", ARG_TEXT("field", name), ARG_END);
        return err_pointer(err, str_from(pointer));
    }
    if (json_object_size(fields)) {
        rc = host->patch(host->ctx, work->tx, work->step->by, work->row.type, work->row.id, fields, err);
        if (rc)
            return rc;
        rc = case_row_load(work->tx, work->row.id, &work->row, err); /* the change may have edited it */
        if (rc)
            return rc;
        json_decref(work->record);
        work->record = NULL;
    }
    if (!forward || !node->required.count)
        return ERR_OK;
    json_decref(work->record);
    work->record = NULL;
    rc = work_record(work, err);
    for (int i = 0; !rc && i < node->required.count; i++) {
        char field[128];
        (void)snprintf(field, sizeof(field), "%.*s", STR_ARG(node->required.items[i]));
        value = json_object_get(work->record, field);
        if (value && !json_is_null(value) && !(json_is_string(value) && !json_string_length(value)))
            continue;
        (void)snprintf(pointer, sizeof(pointer), "/fields/%.100s", field);
        (void)err_set(err, ERR_INVALID, "task.field_needed", ARG_TEXT("field", field), ARG_END);
        rc = err_pointer(err, str_from(pointer));
    }
    return rc;
}

/* Clocks that are reached when a field of the record is filled. */
static enum err_code reached_if(struct work *work, const struct flow_node *node, unsigned *clocks,
                                struct err *err)
{
    enum err_code rc = node->reached_if_count ? work_record(work, err) : ERR_OK;
    for (int i = 0; !rc && i < node->reached_if_count; i++) {
        char field[128];
        const json_t *value;
        (void)snprintf(field, sizeof(field), "%.*s", STR_ARG(node->reached_if[i].field));
        value = json_object_get(work->record, field);
        if (value && !json_is_null(value) && !json_is_false(value) &&
            !(json_is_string(value) && !json_string_length(value)))
            *clocks |= node->reached_if[i].clock;
    }
    return rc;
}

static enum err_code decide(void *ctx, const struct flow_model *model, int edge, bool *out_true,
                            struct err *err)
{
    struct work *work = ctx;
    json_t *vars;
    enum err_code rc = work_record(work, err);
    if (rc)
        return rc;
    vars = json_pack("{s:O,s:{s:o,s:s%,s:s%,s:s%},s:{s:s%,s:s%,s:o}}", "record", work->record, "case", "id",
                     json_id(work->row.id), "state", work->row.state.ptr ? work->row.state.ptr : "",
                     work->row.state.len, "service", work->row.service.ptr ? work->row.service.ptr : "",
                     work->row.service.len, "level", work->row.level.ptr ? work->row.level.ptr : "",
                     work->row.level.len, "task", "action", work->action.ptr ? work->action.ptr : "",
                     work->action.len, "opinion", work->step->opinion.ptr ? work->step->opinion.ptr : "",
                     work->step->opinion.len, "by", json_id(work->step->by->id));
    if (!vars)
        return err_nomem(err);
    rc = work->room->host->decide(work->room->host->ctx, model, edge, vars, out_true, err);
    json_decref(vars);
    return rc;
}

static int64_t token_id(void *ctx)
{
    const struct work *work = ctx;
    return ids_next(work->room->ids);
}
