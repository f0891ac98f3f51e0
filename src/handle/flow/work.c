/* work.c - see work.h. */
#include "handle/flow/work.h"
#include "base/json.h"

#define TEXT_MAX 4000 /* code points of an opinion */
#define AGAIN ((1u << SLA_RESTORE) | (1u << SLA_SOLVE))

static enum err_code effects_write(struct work *work, json_t *patch, struct err *err);
static enum err_code end_if_over(struct work *work, json_t *patch, struct err *err);
static enum err_code task_open(struct work *work, const struct flow_effect *effect, struct err *err);
static enum err_code task_close(struct work *work, const struct flow_effect *effect, struct err *err);
static enum err_code timer_set(struct work *work, const struct flow_effect *effect, struct err *err);
static enum err_code decide(void *ctx, const struct flow_model *model, int edge, bool *out_true,
                            struct err *err);
static int64_t token_id(void *ctx);
static enum err_code vars_make(struct work *work, json_t **out, struct err *err);

const struct case_actor CASE_PROGRAM = { 0, { "", 0 }, NULL };

enum err_code work_new(struct work *work, struct case_room *room, struct tx *tx, const struct case_step *step,
                       const struct case_row *row, struct err *err)
{
    enum err_code rc;
    *work = (struct work) {
        .room = room, .tx = tx, .step = step, .row = *row, .now = row->opened_ms, .what = "case.opened"
    };
    work->env = (struct flow_env) { token_id, decide, work };
    rc = room_flow(room, tx, row->flow_version, &work->version, err);
    if (!rc) {
        work->model = work->version->model;
        flow_run_init(&work->run, work->model);
    }
    return rc;
}

enum err_code work_begin(struct work *work, struct case_room *room, struct tx *tx,
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
        rc = room_flow(room, tx, work->row.flow_version, &work->version, err);
    if (!rc)
        work->model = work->version->model;
    if (!rc)
        rc = token_list(tx, id, work->model, &work->run, err);
    return rc;
}

enum err_code work_end(struct work *work, struct err *err)
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
        rc = work->room->host->patch(work->room->host->ctx, work->tx, &CASE_PROGRAM, work->row.type,
                                     work->row.id, patch, err);
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

void work_done(struct work *work)
{
    json_decref(work->record);
    json_decref(work->opened);
    work->record = work->opened = NULL;
}

/* The record, read when somebody first asks. */
enum err_code work_record(struct work *work, struct err *err)
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
    return rc ? rc : end_if_over(work, patch, err);
}

/* State and closing of the record follow the case. */
static enum err_code end_if_over(struct work *work, json_t *patch, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (work->run.effects_count && work->row.closed_ms == work->now && !work->run.tokens_count) {
        struct event_row event = {
            .case_id = work->row.id, .kind = SLA_CLOSED, .what = STR("closed"), .at_ms = work->now
        };
        (void)json_object_set_new(patch, "closed_at", json_instant(work->now));
        rc = room_event(work->room, work->tx, work->step, &event, err);
    } else if (work->run.effects_count && !work->row.closed_ms) {
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
    int64_t users[CASE_PEOPLE_MAX], limit;
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
            if (work->row.starter_id && users_count < CASE_PEOPLE_MAX)
                users[users_count++] = work->row.starter_id;
        } else if (str_eq(who, STR("previous"))) {
            for (int k = count - 1; k >= 0; k--) {
                if (str_eq(tasks[k].node, node->id) && tasks[k].assignee && users_count < CASE_PEOPLE_MAX) {
                    users[users_count++] = tasks[k].assignee;
                    break;
                }
            }
        } else {
            rc = work_record(work, err);
            if (!rc)
                users_count += work->room->host->people(work->room->host->ctx, work->tx, who, work->record,
                                                        users + users_count, CASE_PEOPLE_MAX - users_count);
        }
    }
    if (flow_duration_parse(node->limit, &limit))
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

/* The calendar in which a timer counts: the service's, or one by its code; where that is gone, office hours,
 * as the matrix does.  NULL = every minute. */
static enum err_code timer_calendar(struct work *work, const struct flow_node *node,
                                    const struct sla_calendars *calendars, const struct calendar **out,
                                    struct err *err)
{
    const struct sla_matrix *matrix;
    enum err_code rc = ERR_OK;
    *out = NULL;
    if (str_eq(node->timer_calendar, STR("service"))) {
        rc = room_matrix(work->room, work->tx, work->row.sla_version, &matrix, err);
        if (!rc)
            *out = sla_matrix_calendar(matrix, calendars, work->row.service);
    } else if (node->timer_calendar.len && !str_eq(node->timer_calendar, STR("always"))) {
        *out = calendars->find ? calendars->find(calendars->ctx, node->timer_calendar) : NULL;
        if (!*out)
            *out = calendars->office;
    }
    return rc;
}

static enum err_code timer_set(struct work *work, const struct flow_effect *effect, struct err *err)
{
    const struct case_host *host = work->room->host;
    const struct flow_node *node = &work->model->nodes[effect->node];
    struct timer_row timer = {
        .id = ids_next(work->room->ids), .case_id = work->row.id, .token = effect->token, .node = node->id
    };
    const struct sla_calendars *calendars;
    const struct calendar *calendar;
    struct flow_timer time = { .kind = FLOW_TIMER_NONE };
    json_t *vars = NULL;
    enum err_code rc = ERR_OK;
    if (flow_timer_reads(work->version->expressions, effect->node))
        rc = vars_make(work, &vars, err);
    if (!rc)
        rc = flow_timer(work->version->expressions, effect->node, vars, work->now, &time, err);
    json_decref(vars);
    if (rc || time.kind == FLOW_TIMER_NONE)
        return rc;
    timer.due_ms = time.kind == FLOW_TIMER_AT ? time.ms : work->now + time.ms;
    if (time.kind == FLOW_TIMER_AFTER) {
        calendars = host->calendars_get(host->ctx);
        rc = timer_calendar(work, node, calendars, &calendar, err);
        if (!rc && calendar)
            timer.due_ms = calendar_add(calendar, work->now, time.ms);
        host->calendars_put(host->ctx, calendars);
    }
    return rc ? rc : flow_timer_insert(work->tx, &timer, err);
}

enum err_code work_needs_open(const struct work *work, struct err *err)
{
    return work->row.closed_ms ? err_set(err, ERR_CONFLICT, "case.closed", ARG_END) : ERR_OK;
}

enum err_code work_event(struct work *work, const char *what, struct err *err)
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

/* What expressions read. */
static enum err_code vars_make(struct work *work, json_t **out, struct err *err)
{
    enum err_code rc = work_record(work, err);
    if (rc)
        return rc;
    *out = json_pack("{s:O,s:{s:o,s:s%,s:s%,s:s%},s:{s:s%,s:s%,s:o}}", "record", work->record, "case", "id",
                     json_id(work->row.id), "state", work->row.state.ptr ? work->row.state.ptr : "",
                     work->row.state.len, "service", work->row.service.ptr ? work->row.service.ptr : "",
                     work->row.service.len, "level", work->row.level.ptr ? work->row.level.ptr : "",
                     work->row.level.len, "task", "action", work->action.ptr ? work->action.ptr : "",
                     work->action.len, "opinion", work->step->opinion.ptr ? work->step->opinion.ptr : "",
                     work->step->opinion.len, "by", json_id(work->step->by->id));
    return *out ? ERR_OK : err_nomem(err);
}

static enum err_code decide(void *ctx, const struct flow_model *model, int edge, bool *out_true,
                            struct err *err)
{
    struct work *work = ctx;
    json_t *vars;
    enum err_code rc = vars_make(work, &vars, err);
    (void)model;
    if (rc)
        return rc;
    rc = flow_condition(work->version->expressions, edge, vars, work->now, out_true, err);
    json_decref(vars);
    return rc;
}

static int64_t token_id(void *ctx)
{
    const struct work *work = ctx;
    return ids_next(work->room->ids);
}
