/* case_view.c - cases, tasks, clocks and pictures as JSON (shapes: inbox/inbox.h). */
#include "base/json.h"
#include "handle/flow/case_room.h"

#include <stdlib.h>

#define SPANS_MAX 60 /* spans of working time shown in one piece */
#define DISPLAY_OFFSET 480

struct drawing {
    const struct case_view *view;
    const struct flow_model *model;
    struct case_row row;
    json_t *record;
    struct event_row *events;
    struct task_row *tasks;
    int events_count, tasks_count;
};

static enum err_code drawing_load(struct drawing *drawing, const struct case_view *view, struct tx *tx,
                                  int64_t id, struct err *err);
static json_t *clock_json(const struct case_view *view, enum sla_clock clock,
                          const struct sla_clock_state *state, struct arena *arena);
static json_t *timeline_json(const struct drawing *drawing, struct arena *arena);
static json_t *picture_json(const struct drawing *drawing, struct arena *arena);
static json_t *may_json(const struct drawing *drawing, struct tx *tx, struct arena *arena);
static json_t *pieces_json(const struct drawing *drawing, const struct sla_pieces *pieces,
                           enum sla_clock clock, struct arena *arena);

/* The word of prefix.name, or `otherwise`. */
static json_t *word_json(const struct case_view *view, struct arena *arena, const char *prefix,
                         struct str name, struct str otherwise)
{
    const struct str key = arena_printf(arena, "%s.%.*s", prefix, STR_ARG(name));
    return json_str(key.ptr && words_has(view->words, view->lang, key)
                        ? words_get(view->words, view->lang, key)
                        : otherwise);
}

/* The pack's own word: "ops.flow.fault.accept", "ops.state.handling"; NULL when it has none. */
static json_t *pack_word(const struct drawing *drawing, struct arena *arena, const char *format, struct str a,
                         struct str b)
{
    struct str rest = drawing->row.type, pack, key;
    (void)str_cut(&rest, '.', &pack);
    key = arena_printf(arena, "%.*s.%s%.*s%s%.*s", STR_ARG(pack), format, STR_ARG(a), b.len ? "." : "",
                       STR_ARG(b));
    if (!key.ptr || !words_has(drawing->view->words, drawing->view->lang, key))
        return NULL;
    return json_str(words_get(drawing->view->words, drawing->view->lang, key));
}

static json_t *node_name(const struct drawing *drawing, struct arena *arena, const struct flow_node *node)
{
    json_t *word = pack_word(drawing, arena, "flow.", drawing->model->id, node->id);
    return word ? word : json_str(node->name.len ? node->name : node->id);
}

static json_t *state_label(const struct drawing *drawing, struct arena *arena)
{
    json_t *word = pack_word(drawing, arena, "state.", drawing->row.state, STR(""));
    return word ? word
                : word_json(drawing->view, arena, "case.state", drawing->row.state, drawing->row.state);
}

/* The service's title as the entity layer labels it, else what the clocks know it by. */
static json_t *service_label(const struct drawing *drawing)
{
    json_t *label = json_object_get(json_object_get(drawing->record, "_labels"), "service");
    return json_is_string(label) ? json_incref(label) : json_str(drawing->row.service);
}

static bool may_work(const struct drawing *drawing, struct tx *tx, const struct task_row *task)
{
    const struct case_view *view = drawing->view;
    bool listed = false;
    struct err err;
    if (task->state != TASK_OPEN || (task->assignee && task->assignee != view->user_id))
        return false;
    if (task->assignee)
        return true;
    if (view->user_id && !task_user_has(tx, task->id, view->user_id, &listed, &err) && listed)
        return true;
    return task->may.len && view->room->host->may(view->room->host->ctx, tx, view->who, task->may,
                                                  drawing->row.type, drawing->row.id);
}

static json_t *task_short(const struct drawing *drawing, struct tx *tx, const struct task_row *task,
                          struct arena *arena)
{
    const int64_t now = clock_now(drawing->view->room->clock);
    const int node = flow_node_find(drawing->model, task->node);
    const bool mine = may_work(drawing, tx, task);
    const int64_t end = task->state == TASK_OPEN ? now : task->done_ms;
    json_t *json = json_pack(
        "{s:o,s:o,s:o,s:s,s:b,s:b,s:o,s:o,s:o,s:b,s:o,s:o}", "id", json_id(task->id), "name",
        node < 0 ? json_str(task->name) : node_name(drawing, arena, &drawing->model->nodes[node]), "node",
        json_str(task->node), "state", task_state_name(task->state), "mine", mine, "claimable",
        mine && !task->assignee, "opened_at", json_instant(task->opened_ms), "due_at",
        json_instant(task->due_ms), "done_at", json_instant(task->done_ms), "late",
        task->due_ms && end > task->due_ms, "left_ms",
        task->due_ms && task->state == TASK_OPEN ? json_integer(task->due_ms - now) : json_null(), "assignee",
        task->assignee
            ? json_pack("{s:o,s:o}", "id", json_id(task->assignee), "name", json_str(task->assignee_name))
            : json_null());
    if (json && task->action.len)
        (void)json_object_set_new(json, "action", json_str(task->action));
    return json;
}

enum err_code case_json(const struct case_view *view, struct tx *tx, int64_t id, json_t **out,
                        struct err *err)
{
    struct arena *arena = tx_arena(tx);
    struct drawing drawing;
    struct sla_result result;
    json_t *json = NULL, *tasks = NULL, *clocks = NULL;
    bool paused = false;
    enum err_code rc = drawing_load(&drawing, view, tx, id, err);
    if (!rc) {
        const struct sla_calendars *calendars = view->room->host->calendars_get(view->room->host->ctx);
        rc = room_replay(view->room, tx, &drawing.row, drawing.events, drawing.events_count,
                         clock_now(view->room->clock), calendars, NULL, &result, err);
        if (!rc) {
            clocks = json_array();
            for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
                (void)json_array_append_new(clocks,
                                            clock_json(view, (enum sla_clock)c, &result.clocks[c], arena));
                paused |= result.clocks[c].state == SLA_STATE_PAUSED;
            }
        }
        view->room->host->calendars_put(view->room->host->ctx, calendars);
    }
    if (rc)
        goto out;
    tasks = json_array();
    for (int i = 0; i < drawing.tasks_count; i++)
        (void)json_array_append_new(tasks, task_short(&drawing, tx, &drawing.tasks[i], arena));
    json = json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:o}", "id", json_id(id), "type",
        json_str(drawing.row.type), "number",
        json_incref(json_object_get(drawing.record, "number") ? json_object_get(drawing.record, "number")
                                                              : json_null()),
        "title",
        json_incref(json_object_get(drawing.record, "title") ? json_object_get(drawing.record, "title")
                                                             : json_null()),
        "state", json_str(drawing.row.state), "state_label", state_label(&drawing, arena), "service",
        json_str(drawing.row.service), "level", json_str(drawing.row.level), "opened_at",
        json_instant(drawing.row.opened_ms), "closed_at", json_instant(drawing.row.closed_ms), "prior",
        json_id(drawing.row.prior_id), "paused", paused, "tasks", tasks, "clocks", clocks, "timeline",
        timeline_json(&drawing, arena), "flow", picture_json(&drawing, arena), "may",
        may_json(&drawing, tx, arena));
    if (!json) {
        tasks = clocks = NULL; /* json_pack took them */
        rc = err_nomem(err);
        goto out;
    }
    if (json_object_get(drawing.record, "version"))
        (void)json_object_set(json, "version", json_object_get(drawing.record, "version"));
    *out = json;
    tasks = clocks = NULL;
out:
    json_decref(tasks);
    json_decref(clocks);
    json_decref(drawing.record);
    return rc;
}

enum err_code case_clocks_json(const struct case_view *view, struct tx *tx, int64_t id, json_t **out,
                               struct err *err)
{
    static const char *const rules[] = { "start", "used",  "due",    "edit",
                                         "reach", "close", "reopen", "workaround" };
    struct arena *arena = tx_arena(tx);
    const struct sla_calendars *calendars;
    struct drawing drawing;
    struct sla_result result;
    struct sla_pieces pieces = { 0 };
    json_t *clocks, *sentences;
    enum err_code rc = drawing_load(&drawing, view, tx, id, err);
    if (rc)
        return rc;
    calendars = view->room->host->calendars_get(view->room->host->ctx);
    rc = room_replay(view->room, tx, &drawing.row, drawing.events, drawing.events_count,
                     clock_now(view->room->clock), calendars, &pieces, &result, err);
    if (!rc) {
        clocks = json_array();
        sentences = json_array();
        for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
            json_t *clock = clock_json(view, (enum sla_clock)c, &result.clocks[c], arena);
            (void)json_object_set_new(clock, "pieces",
                                      pieces_json(&drawing, &pieces, (enum sla_clock)c, arena));
            (void)json_array_append_new(clocks, clock);
        }
        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
            (void)json_array_append_new(
                sentences, word_json(view, arena, "sla.rule", str_from(rules[i]), str_from(rules[i])));
        *out = json_pack("{s:o,s:o,s:o,s:o}", "opened_at", json_instant(result.opened_ms), "now",
                         json_instant(clock_now(view->room->clock)), "clocks", clocks, "rules", sentences);
        if (!*out)
            rc = err_nomem(err);
    }
    view->room->host->calendars_put(view->room->host->ctx, calendars);
    json_decref(drawing.record);
    return rc;
}

enum err_code task_json(const struct case_view *view, struct tx *tx, int64_t id, json_t **out,
                        struct err *err)
{
    struct arena *arena = tx_arena(tx);
    struct drawing drawing = { 0 };
    struct task_row task;
    json_t *json, *form, *required, *actions;
    int node;
    enum err_code rc = task_load(tx, id, &task, err);
    if (!rc)
        rc = drawing_load(&drawing, view, tx, task.case_id, err);
    if (rc)
        return rc;
    node = flow_node_find(drawing.model, task.node);
    json = task_short(&drawing, tx, &task, arena);
    form = json_array();
    required = json_array();
    actions = json_array();
    if (node >= 0) {
        static const struct flow_action done = { { "done", 4 }, -1 };
        const struct flow_node *at = &drawing.model->nodes[node];
        const int count = at->actions_count ? at->actions_count : 1;
        for (int i = 0; i < at->form.count; i++)
            (void)json_array_append_new(form, json_str(at->form.items[i]));
        for (int i = 0; i < at->required.count; i++)
            (void)json_array_append_new(required, json_str(at->required.items[i]));
        for (int i = 0; i < count; i++) {
            const struct flow_action *action = at->actions_count ? &at->actions[i] : &done;
            const struct str key = arena_printf(arena, "%.*s.%.*s", STR_ARG(at->id), STR_ARG(action->code));
            json_t *label = pack_word(&drawing, arena, "flow.", drawing.model->id, key);
            if (!label)
                label = word_json(view, arena, "case.action", action->code, action->code);
            (void)json_array_append_new(
                actions, json_pack("{s:o,s:o,s:b,s:o}", "action", json_str(action->code), "label", label,
                                   "needs_opinion", i > 0 || action->back_to >= 0, "back_to",
                                   action->back_to >= 0 ? json_str(drawing.model->nodes[action->back_to].id)
                                                        : json_null()));
        }
        (void)json_object_set_new(json, "handover", json_boolean(at->handover));
        if (at->doc.len)
            (void)json_object_set_new(json, "help", json_str(at->doc));
    }
    (void)json_object_set_new(json, "form", form);
    (void)json_object_set_new(json, "required", required);
    (void)json_object_set_new(json, "actions", actions);
    (void)json_object_set(json, "record", drawing.record);
    (void)json_object_set_new(
        json, "case",
        json_pack(
            "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id", json_id(drawing.row.id), "type",
            json_str(drawing.row.type), "number",
            json_incref(json_object_get(drawing.record, "number") ? json_object_get(drawing.record, "number")
                                                                  : json_null()),
            "title",
            json_incref(json_object_get(drawing.record, "title") ? json_object_get(drawing.record, "title")
                                                                 : json_null()),
            "state", json_str(drawing.row.state), "state_label", state_label(&drawing, arena), "level",
            json_str(drawing.row.level), "service", service_label(&drawing)));
    json_decref(drawing.record);
    *out = json;
    return ERR_OK;
}

static enum err_code drawing_load(struct drawing *drawing, const struct case_view *view, struct tx *tx,
                                  int64_t id, struct err *err)
{
    enum err_code rc;
    *drawing = (struct drawing) { .view = view };
    rc = case_row_load(tx, id, &drawing->row, err);
    if (!rc)
        rc = room_model(view->room, tx, drawing->row.flow_version, &drawing->model, err);
    if (!rc)
        rc = event_list(tx, id, &drawing->events, &drawing->events_count, err);
    if (!rc)
        rc = task_list(tx, id, &drawing->tasks, &drawing->tasks_count, err);
    if (!rc)
        rc = view->room->host->get(view->room->host->ctx, tx, drawing->row.type, id, &drawing->record, err);
    return rc;
}

static json_t *clock_json(const struct case_view *view, enum sla_clock clock,
                          const struct sla_clock_state *state, struct arena *arena)
{
    const struct str name = str_from(sla_clock_name(clock));
    const struct str state_name = str_from(sla_state_name(state->state));
    const struct str source = str_from(sla_source_name(state->term.source));
    const bool agreed = state->state != SLA_STATE_NONE;
    return json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:o}", "clock", json_str(name), "label",
        word_json(view, arena, "sla.clock", name, name), "state", json_str(state_name), "state_label",
        word_json(view, arena, "sla.state", state_name, state_name), "limit_ms",
        agreed ? json_integer(state->term.limit_ms) : json_null(), "used_ms",
        agreed ? json_integer(state->used_ms) : json_null(), "due_at", json_instant(state->due_ms), "warn_at",
        json_instant(state->warn_ms), "reached_at", agreed ? json_instant(state->reached_ms) : json_null(),
        "workaround", state->workaround, "source", json_str(source), "source_label",
        word_json(view, arena, "sla.source", source, source), "calendar", json_str(state->term.calendar_name),
        "calendar_label",
        word_json(view, arena, "sla.calendar", state->term.calendar_name, state->term.calendar_name), "row",
        json_id(state->term.row_id));
}

static json_t *timeline_json(const struct drawing *drawing, struct arena *arena)
{
    json_t *list = json_array();
    for (int i = 0; i < drawing->events_count; i++) {
        const struct event_row *event = &drawing->events[i];
        const int node = flow_node_find(drawing->model, event->node);
        json_t *one, *clocks;
        bool voided = false;
        if (str_eq(event->what, STR("passed"))) /* for the picture only */
            continue;
        for (int k = i + 1; k < drawing->events_count; k++)
            voided |= drawing->events[k].voids == event->id;
        clocks = json_array();
        for (int c = 0; c < SLA_CLOCK__COUNT; c++)
            if (event->clocks & (1u << c))
                (void)json_array_append_new(clocks, json_string(sla_clock_name((enum sla_clock)c)));
        one = json_pack(
            "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:o}", "id", json_id(event->id), "at",
            json_instant(event->at_ms), "made_at", json_instant(event->made_ms), "kind",
            json_str(event->what), "label",
            word_json(drawing->view, arena, "case.event", event->what, event->what), "by",
            event->by_id
                ? json_pack("{s:o,s:o}", "id", json_id(event->by_id), "name", json_str(event->by_name))
                : json_null(),
            "node", json_str(event->node), "node_name",
            node >= 0 ? node_name(drawing, arena, &drawing->model->nodes[node]) : json_null(), "text",
            json_str(event->text), "clocks", clocks, "voided", voided, "action",
            event->action.len ? word_json(drawing->view, arena, "case.action", event->action, event->action)
                              : json_null());
        if (one)
            (void)json_object_set_new(one, "data",
                                      event->data.len ? json_loadb(event->data.ptr, event->data.len, 0, NULL)
                                                      : json_null());
        (void)json_array_append_new(list, one);
    }
    return list;
}

static bool passed_edge(const struct drawing *drawing, struct str edge)
{
    for (int i = 0; i < drawing->events_count; i++) {
        const struct event_row *event = &drawing->events[i];
        char quoted[256];
        if (!str_eq(event->what, STR("passed")) || edge.len > 200)
            continue;
        (void)snprintf(quoted, sizeof(quoted), "\"%.*s\"", STR_ARG(edge));
        if (str_find(event->data, str_from(quoted)) >= 0)
            return true;
    }
    return false;
}

static json_t *picture_json(const struct drawing *drawing, struct arena *arena)
{
    const struct flow_model *model = drawing->model;
    json_t *nodes = json_array(), *edges = json_array();
    for (int n = 0; n < model->nodes_count; n++) {
        const struct flow_node *node = &model->nodes[n];
        const char *state = "ahead";
        for (int e = 0; e < node->in_count; e++)
            if (passed_edge(drawing, model->edges[node->in[e]].id))
                state = "done";
        for (int e = 0; e < node->out_count; e++)
            if (passed_edge(drawing, model->edges[node->out[e]].id))
                state = "done";
        for (int i = 0; i < drawing->tasks_count; i++)
            if (str_eq(drawing->tasks[i].node, node->id) && drawing->tasks[i].state == TASK_OPEN)
                state = "here";
        (void)json_array_append_new(nodes,
                                    json_pack("{s:o,s:o,s:s,s:f,s:f,s:f,s:f,s:s}", "id", json_str(node->id),
                                              "name", node_name(drawing, arena, node), "kind",
                                              flow_kind_name(node->kind), "x", node->x, "y", node->y, "width",
                                              node->width, "height", node->height, "state", state));
    }
    for (int e = 0; e < model->edges_count; e++) {
        const struct flow_edge *edge = &model->edges[e];
        json_t *points = json_array();
        for (int p = 0; p < edge->points_count; p++)
            (void)json_array_append_new(points, json_pack("[f,f]", edge->points[p].x, edge->points[p].y));
        (void)json_array_append_new(edges, json_pack("{s:o,s:o,s:o,s:o,s:o,s:b}", "id", json_str(edge->id),
                                                     "name", json_str(edge->name), "from",
                                                     json_str(model->nodes[edge->from].id), "to",
                                                     json_str(model->nodes[edge->to].id), "points", points,
                                                     "passed", passed_edge(drawing, edge->id)));
    }
    return json_pack("{s:o,s:o,s:o,s:o}", "id", json_str(model->id), "name", json_str(model->name), "nodes",
                     nodes, "edges", edges);
}

/* What the page may offer: permission and state. */
static json_t *may_json(const struct drawing *drawing, struct tx *tx, struct arena *arena)
{
    static const struct {
        const char *what, *permission;
        bool when_open;
    } acts[] = {
        { "pause", "handle", true }, { "resume", "handle", true },  { "reach", "handle", true },
        { "waive", "handle", true }, { "void", "handle", true },    { "note", "read", true },
        { "note", "read", false },   { "reopen", "reopen", false }, { "cancel", "cancel", true },
        { "urge", "read", true },    { "reach", "handle", false },
    };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        const struct str permission =
            arena_printf(arena, "%.*s.%s", STR_ARG(drawing->row.type), acts[i].permission);
        if (acts[i].when_open == (drawing->row.closed_ms == 0) && permission.ptr &&
            drawing->view->room->host->may(drawing->view->room->host->ctx, tx, drawing->view->who, permission,
                                           drawing->row.type, drawing->row.id))
            (void)json_array_append_new(list, json_string(acts[i].what));
    }
    return list;
}

/* The sentence of a piece: sla.why.KIND, with the event that began it. */
static json_t *why_json(const struct drawing *drawing, const struct sla_piece *piece, struct arena *arena)
{
    static const char *const kinds[SLA_PIECE__COUNT] = { "run", "pause", "ended", "ahead" };
    const struct case_view *view = drawing->view;
    const struct event_row *event = NULL;
    struct err_arg args[3] = { { .name = "event", .is_text = true },
                               { .name = "text", .is_text = true },
                               { .name = "calendar", .is_text = true } };
    struct str word, calendar;
    char key[32];
    for (int i = 0; i < drawing->events_count; i++)
        if (drawing->events[i].id == piece->event_id)
            event = &drawing->events[i];
    calendar = arena_printf(arena, "sla.calendar.%.*s", STR_ARG(piece->term.calendar_name));
    calendar = calendar.ptr ? words_get(view->words, view->lang, calendar) : STR("");
    word = event ? arena_printf(arena, "case.event.%.*s", STR_ARG(event->what)) : STR("case.event.opened");
    word = word.ptr ? words_get(view->words, view->lang, word) : STR("");
    (void)snprintf(args[0].text, sizeof(args[0].text), "%.*s", (int)(word.len > 90 ? 90 : word.len),
                   word.ptr);
    if (event)
        (void)snprintf(args[1].text, sizeof(args[1].text), "%.*s",
                       (int)(event->text.len > 90 ? 0 : event->text.len), event->text.ptr);
    (void)snprintf(args[2].text, sizeof(args[2].text), "%.*s", (int)(calendar.len > 90 ? 90 : calendar.len),
                   calendar.ptr);
    (void)snprintf(key, sizeof(key), "sla.why.%s%s", kinds[piece->kind], args[1].text[0] ? "_text" : "");
    return json_str(words_format(view->words, view->lang, str_from(key), args, 3, arena));
}

static json_t *pieces_json(const struct drawing *drawing, const struct sla_pieces *pieces,
                           enum sla_clock clock, struct arena *arena)
{
    static const char *const kinds[SLA_PIECE__COUNT] = { "run", "pause", "ended", "ahead" };
    json_t *list = json_array();
    for (int i = 0; i < pieces->count; i++) {
        const struct sla_piece *piece = &pieces->items[i];
        json_t *one, *spans;
        if (piece->clock != clock)
            continue;
        spans = json_array();
        if ((piece->kind == SLA_PIECE_RUN || piece->kind == SLA_PIECE_AHEAD) &&
            !calendar_is_always(piece->term.calendar)) {
            struct calendar_span span;
            int64_t at = piece->from_ms;
            for (int s = 0; s < SPANS_MAX && at < piece->to_ms &&
                            calendar_span_at(piece->term.calendar, at, &span) && span.from_ms < piece->to_ms;
                 s++, at = span.to_ms)
                (void)json_array_append_new(
                    spans,
                    json_pack("{s:o,s:o}", "from",
                              json_instant(span.from_ms > piece->from_ms ? span.from_ms : piece->from_ms),
                              "to", json_instant(span.to_ms < piece->to_ms ? span.to_ms : piece->to_ms)));
        }
        one = json_pack("{s:s,s:o,s:o,s:I,s:I,s:I,s:o,s:b,s:o,s:o,s:o}", "kind", kinds[piece->kind], "from",
                        json_instant(piece->from_ms), "to", json_instant(piece->to_ms), "counted_ms",
                        (json_int_t)piece->counted_ms, "used_ms", (json_int_t)piece->used_ms, "limit_ms",
                        (json_int_t)piece->term.limit_ms, "calendar", json_str(piece->term.calendar_name),
                        "working", !calendar_is_always(piece->term.calendar), "event",
                        json_id(piece->event_id), "why", why_json(drawing, piece, arena), "spans", spans);
        (void)json_array_append_new(list, one);
    }
    return list;
}
