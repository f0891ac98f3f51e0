/* case.c - the life of a case: opened, changed, paused, reached, re-opened, cancelled; and its alarms. */
#include "handle/flow/work.h"
#include "base/json.h"

#include <stdlib.h>

/* ---- a case ---- */

enum err_code case_open(struct case_room *room, struct tx *tx, const struct case_step *step, struct str type,
                        int64_t id, const json_t *record, struct err *err)
{
    const int64_t now = clock_now(room->clock);
    struct case_row row = { .id = id,
                            .type = type,
                            .state = STR(""),
                            .prior_id = json_get_id(record, "prior"),
                            .starter_id = step->by->id,
                            .opened_ms = now };
    struct event_row event = {
        .case_id = id, .kind = SLA_OPENED, .what = STR("opened"), .at_ms = now, .made_ms = now
    };
    struct work work;
    enum err_code rc;

    rc = room_flow_pin(room, tx, type, &row.flow_version, err);
    if (!rc)
        rc = room_matrix_pin(room, tx, type, &row.sla_version, err);
    if (rc)
        return err_in(err, "case.open");
    room->host->terms(room->host->ctx, type, record, tx_arena(tx), &row.service, &row.level);
    if (!row.service.ptr || !row.level.ptr)
        return err_nomem(err);
    rc = work_new(&work, room, tx, step, &row, err);
    if (rc)
        return err_in(err, "case.open");
    rc = case_row_insert(tx, &work.row, err);
    event.service = row.service;
    event.level = row.level;
    if (!rc)
        rc = room_event(room, tx, step, &event, err);
    work.record = json_deep_copy(record);
    if (!rc && !work.record)
        rc = err_nomem(err);
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
        rc = work_needs_open(&work, err);
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
        rc = work_needs_open(&work, err);
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
        rc = work_needs_open(&work, err);
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
        rc = work_event(&work, "noted", err);
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
        rc = work_needs_open(&work, err);
    if (!rc && !str_trim(step->opinion).len) {
        (void)err_set(err, ERR_INVALID, "case.needs_reason", ARG_END);
        rc = err_pointer(err, STR("/reason"));
    }
    if (!rc)
        rc = work_event(&work, "cancelled", err);
    if (!rc)
        rc = flow_run_stop(&work.run, err);
    if (!rc)
        rc = work_end(&work, err);
    work_done(&work);
    return rc;
}

/* ---- alarms ---- */

enum err_code case_alarm(struct case_room *room, struct tx *tx, struct str type, int64_t alarm,
                         struct str source, const json_t *fields, int64_t *out_case, bool *out_opened,
                         struct err *err)
{
    const struct case_step step = { &CASE_PROGRAM, STR("") };
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
    rc = room->host->create(room->host->ctx, tx, &CASE_PROGRAM, type, copy, &id, err);
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
    const struct case_step step = { &CASE_PROGRAM, STR("") };
    struct event_row event = { .kind = SLA_NOTED, .what = STR("alarm_cleared"), .at_ms = at_ms };
    bool open = false;
    enum err_code rc = alarm_case(tx, alarm, &event.case_id, &open, err);
    if (rc || !open)
        return rc;
    event.data = arena_printf(tx_arena(tx), "{\"alarm\":\"%lld\"}", (long long)alarm);
    return event.data.ptr ? room_event(room, tx, &step, &event, err) : err_nomem(err);
}
