/* tick.c - what is due: timers of flows, warnings and breaches of clocks. */
#include "handle/flow/work.h"
#include "base/json.h"

#define TICK_MAX 500

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
    const struct case_step step = { &CASE_PROGRAM, STR("") };
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
    const struct case_step step = { &CASE_PROGRAM, STR("") };
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
