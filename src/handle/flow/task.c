/* task.c - what people do with tasks: take, complete, send back, hand over, urge. */
#include "handle/flow/work.h"
#include "base/json.h"

#include <stdlib.h>

static enum err_code task_begin(struct work *work, struct case_room *room, struct tx *tx,
                                const struct case_step *step, int64_t task, bool take, const char *what,
                                struct err *err);
static enum err_code may_take(struct work *work, struct err *err);
static enum err_code form_write(struct work *work, const struct flow_node *node, const json_t *fields,
                                bool forward, struct err *err);
static enum err_code reached_if(struct work *work, const struct flow_node *node, unsigned *clocks,
                                struct err *err);

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
        rc = work_event(&work, release ? "released" : "claimed", err);
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
        rc = work_event(&work, "returned", err);
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
        rc = work_event(&work, "urged", err);
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
