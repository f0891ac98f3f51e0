/* inbox.c - the routes of cases and tasks: read the body, one transaction, answer the case as it is then. */
#include "handle/inbox/inbox.h"
#include "base/json.h"
#include "handle/handle.h"
#include "handle/inbox/inbox_sql.h"
#include "net/http.h"

#include <stdlib.h>

#define DISPLAY_OFFSET 480
#define NO_NODE ((struct str) { "", 0 })

enum act {
    ACT_CLAIM,
    ACT_RELEASE,
    ACT_COMPLETE,
    ACT_RETURN,
    ACT_HANDOVER,
    ACT_URGE,
    ACT_PAUSE,
    ACT_RESUME,
    ACT_REACH,
    ACT_WAIVE,
    ACT_VOID,
    ACT_NOTE,
    ACT_REOPEN,
    ACT_CANCEL,
    ACT__COUNT
};

/* The last segment of the path; the permission beside the candidates of a task ("" = none); of a task? */
/* clang-format off */
static const struct {
    const char *name, *permission;
    bool task;
} ACTS[ACT__COUNT] = {
    [ACT_CLAIM]    = { "claim",    "",       true  },
    [ACT_RELEASE]  = { "release",  "",       true  },
    [ACT_COMPLETE] = { "complete", "",       true  },
    [ACT_RETURN]   = { "return",   "",       true  },
    [ACT_HANDOVER] = { "handover", "",       true  },
    [ACT_URGE]     = { "urge",     "read",   true  },
    [ACT_PAUSE]    = { "pause",    "handle", false },
    [ACT_RESUME]   = { "resume",   "handle", false },
    [ACT_REACH]    = { "reach",    "handle", false },
    [ACT_WAIVE]    = { "waive",    "handle", false },
    [ACT_VOID]     = { "void",     "handle", false },
    [ACT_NOTE]     = { "note",     "read",   false },
    [ACT_REOPEN]   = { "reopen",   "reopen", false },
    [ACT_CANCEL]   = { "cancel",   "cancel", false },
};
/* clang-format on */

struct body {
    struct str action, opinion, reason, text, to, clock, at;
    json_t *fields, *clocks;
    int64_t user, event;
    bool workaround;
};

static const struct field BODY[] = {
    { .name = "action", .kind = FIELD_TEXT, .most = 60, .offset = offsetof(struct body, action) },
    { .name = "opinion", .kind = FIELD_TEXT, .most = 4000, .offset = offsetof(struct body, opinion) },
    { .name = "reason", .kind = FIELD_TEXT, .most = 4000, .offset = offsetof(struct body, reason) },
    { .name = "text", .kind = FIELD_TEXT, .most = 4000, .offset = offsetof(struct body, text) },
    { .name = "to", .kind = FIELD_TEXT, .most = 200, .offset = offsetof(struct body, to) },
    { .name = "clock", .kind = FIELD_TEXT, .most = 20, .offset = offsetof(struct body, clock) },
    { .name = "at", .kind = FIELD_TEXT, .most = 40, .offset = offsetof(struct body, at) },
    { .name = "fields", .kind = FIELD_JSON, .offset = offsetof(struct body, fields) },
    { .name = "clocks", .kind = FIELD_JSON, .offset = offsetof(struct body, clocks) },
    { .name = "user", .kind = FIELD_ID, .offset = offsetof(struct body, user) },
    { .name = "event", .kind = FIELD_ID, .offset = offsetof(struct body, event) },
    { .name = "workaround", .kind = FIELD_BOOL, .offset = offsetof(struct body, workaround) },
    { 0 },
};

struct acting {
    struct handle *handle;
    const struct principal *who;
    enum act act;
    int64_t id;      /* case or task */
    int64_t case_id; /* set by the act */
    struct body body;
    unsigned clocks;
    enum sla_clock clock;
    int64_t at_ms;
};

struct reading {
    struct handle *handle;
    const struct request *req;
    int64_t id;
    bool clocks;
    json_t *out;
};

static enum err_code act_route(struct request *req, struct reply *reply, struct err *err);
static enum err_code act_fn(struct tx *tx, void *arg, struct err *err);
static enum err_code clocks_read(struct acting *acting, struct err *err);
static enum err_code case_fn(struct tx *tx, void *arg, struct err *err);
static enum err_code readable(struct handle *handle, struct tx *tx, const struct principal *who, int64_t id,
                              struct err *err);
static struct case_view view_of(const struct reading *reading, struct tx *tx);
static json_t *label_json(const struct reading *reading, const char *prefix, struct str name);

static enum err_code case_reply(struct request *req, struct reply *reply, int64_t id, struct err *err)
{
    struct reading reading = { .handle = req->ctx, .req = req, .id = id };
    const enum err_code rc = store_read(handle_config(req->ctx)->store, case_fn, &reading, err);
    return rc ? rc : reply_json(reply, reading.out, err);
}

static enum err_code case_get(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    const enum err_code rc = request_path_id(req, "id", &id, err);
    return rc ? rc : case_reply(req, reply, id, err);
}

static enum err_code clocks_fn(struct tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    const struct case_view view = view_of(reading, tx);
    const enum err_code rc = readable(reading->handle, tx, reading->req->who, reading->id, err);
    return rc ? rc : case_clocks_json(&view, tx, reading->id, &reading->out, err);
}

static enum err_code clocks_get(struct request *req, struct reply *reply, struct err *err)
{
    struct reading reading = { .handle = req->ctx, .req = req };
    enum err_code rc = request_path_id(req, "id", &reading.id, err);
    if (!rc)
        rc = store_read(handle_config(req->ctx)->store, clocks_fn, &reading, err);
    return rc ? rc : reply_json(reply, reading.out, err);
}

static enum err_code task_fn(struct tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    const struct case_view view = view_of(reading, tx);
    int64_t case_id = 0;
    enum err_code rc = task_case(tx, reading->id, &case_id, err);
    if (!rc)
        rc = readable(reading->handle, tx, reading->req->who, case_id, err);
    return rc ? rc : task_json(&view, tx, reading->id, &reading->out, err);
}

static enum err_code task_get(struct request *req, struct reply *reply, struct err *err)
{
    struct reading reading = { .handle = req->ctx, .req = req };
    enum err_code rc = request_path_id(req, "id", &reading.id, err);
    if (!rc)
        rc = store_read(handle_config(req->ctx)->store, task_fn, &reading, err);
    return rc ? rc : reply_json(reply, reading.out, err);
}

/* ---- lists ---- */

struct listing {
    struct reading reading;
    struct inbox_query query;
    int64_t count;
    bool exact, ahead, past;
};

static json_t *state_json(const struct reading *reading, struct str type, struct str state)
{
    char key[200];
    struct str pack;
    const struct words *words = handle_config(reading->handle)->words;
    (void)str_cut(&type, '.', &pack);
    (void)snprintf(key, sizeof(key), "%.*s.state.%.*s", (int)(pack.len > 40 ? 40 : pack.len), pack.ptr,
                   (int)(state.len > 60 ? 60 : state.len), state.ptr ? state.ptr : "");
    return words_has(words, reading->req->lang, str_from(key))
               ? json_str(words_get(words, reading->req->lang, str_from(key)))
               : label_json(reading, "case.state", state);
}

static json_t *case_short(const struct reading *reading, int64_t id, struct str type, struct str number,
                          struct str title, struct str state, struct str level, struct str service)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id", json_id(id), "type", json_str(type), "number",
                     json_str(number), "title", json_str(title), "state", json_str(state), "state_label",
                     state_json(reading, type, state), "level", json_str(level), "service",
                     json_str(service));
}

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct listing *listing = arg;
    const int64_t now = clock_now(handle_config(listing->reading.handle)->clock);
    struct inbox_item *rows = arena_alloc(tx_arena(tx), INBOX_MAX, sizeof(*rows));
    json_t *items;
    int count = 0;
    if (!rows)
        return err_nomem(err);
    const enum err_code rc = inbox_list(tx, &listing->query, rows, &count, err);
    if (rc)
        return rc;
    items = json_array();
    for (int i = 0; i < count; i++) {
        const struct task_row *task = &rows[i].task;
        const bool open = task->state == TASK_OPEN;
        (void)json_array_append_new(
            items,
            json_pack("{s:o,s:o,s:o,s:s,s:o,s:b,s:b,s:o,s:o,s:o,s:b,s:o,s:o}", "id", json_id(task->id),
                      "name", json_str(task->name), "node", json_str(task->node), "state",
                      task_state_name(task->state), "assignee",
                      task->assignee ? json_pack("{s:o,s:o}", "id", json_id(task->assignee), "name",
                                                 json_str(task->assignee_name))
                                     : json_null(),
                      "mine", open && (rows[i].claimable || task->assignee == listing->query.who->user_id),
                      "claimable", rows[i].claimable, "opened_at", json_instant(task->opened_ms), "due_at",
                      json_instant(task->due_ms), "done_at", json_instant(task->done_ms), "late",
                      task->due_ms && (open ? now : task->done_ms) > task->due_ms, "left_ms",
                      task->due_ms && open ? json_integer(task->due_ms - now) : json_null(), "case",
                      case_short(&listing->reading, task->case_id, rows[i].type, rows[i].number,
                                 rows[i].title, rows[i].case_state, rows[i].level, rows[i].service_name)));
    }
    struct str next = { 0 };
    if (count == listing->query.limit)
        next = arena_printf(tx_arena(tx), "%lld-%lld", (long long)rows[count - 1].order,
                            (long long)rows[count - 1].task.id);
    listing->reading.out =
        json_pack("{s:o,s:o}", "items", items, "next", next.ptr ? json_str(next) : json_null());
    return listing->reading.out ? ERR_OK : err_nomem(err);
}

static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    struct listing *listing = arg;
    return inbox_count(tx, &listing->query, &listing->count, &listing->exact, err);
}

static enum err_code tasks_get(struct request *req, struct reply *reply, struct err *err)
{
    struct listing listing = { .reading = { .handle = req->ctx, .req = req },
                               .query = { .who = req->who,
                                          .mine = str_eq(request_query(req, "mine"), STR("1")) } };
    struct str state = request_query(req, "state"), after = request_query(req, "after"), part;
    struct store *store = handle_config(req->ctx)->store;
    int64_t limit = 50;
    enum err_code rc = request_query_i64(req, "limit", 1, INBOX_MAX, 50, &limit, err);
    if (rc)
        return rc;
    listing.query.limit = (int)limit;
    listing.query.state = TASK_STATE__COUNT;
    if (!state.len)
        state = STR("open");
    for (int s = 0; s < TASK_STATE__COUNT; s++)
        if (str_eq(state, str_from(task_state_name((enum task_state)s))))
            listing.query.state = (enum task_state)s;
    if (listing.query.state == TASK_STATE__COUNT) {
        (void)err_set(err, ERR_INVALID, "task.bad_state", ARG_STR("state", state), ARG_END);
        return err_pointer(err, STR("/state"));
    }
    if (after.len && (!str_cut(&after, '-', &part) || !str_i64(part, &listing.query.after_due) ||
                      !str_i64(after, &listing.query.after_id))) {
        (void)err_set(err, ERR_INVALID, "task.bad_cursor", ARG_END);
        return err_pointer(err, STR("/after"));
    }
    if (str_eq(request_query(req, "count"), STR("1"))) {
        rc = store_read(store, count_fn, &listing, err);
        return rc ? rc
                  : reply_json(
                        reply,
                        json_pack("{s:I,s:b}", "count", (json_int_t)listing.count, "exact", listing.exact),
                        err);
    }
    rc = store_read(store, list_fn, &listing, err);
    return rc ? rc : reply_json(reply, listing.reading.out, err);
}

/* See inbox.h: exact at the warning and at the deadline. */
static double due_share(const struct due_row *row, int64_t now)
{
    const double warned = SLA_WARN_PERCENT / 100.0;
    if (row->limit_ms <= 0 || now >= row->due_ms)
        return row->limit_ms > 0 ? 1 + (double)(now - row->due_ms) / (double)row->limit_ms : 1;
    if (row->warn_ms && now >= row->warn_ms && row->due_ms > row->warn_ms)
        return warned + (1 - warned) * (double)(now - row->warn_ms) / (double)(row->due_ms - row->warn_ms);
    const double used = row->warn_ms ? warned - (double)(row->warn_ms - now) / (double)row->limit_ms
                                     : 1 - (double)(row->due_ms - now) / (double)row->limit_ms;
    return used > 0 ? used : 0;
}

static enum err_code due_fn(struct tx *tx, void *arg, struct err *err)
{
    struct listing *listing = arg;
    const int64_t now = clock_now(handle_config(listing->reading.handle)->clock);
    const struct due_query query = { .who = listing->query.who,
                                     .from_ms = listing->ahead ? now : 0,
                                     .to_ms = listing->past ? now : INT64_MAX,
                                     .backwards = listing->past,
                                     .limit = listing->query.limit };
    struct due_row *rows = arena_alloc(tx_arena(tx), INBOX_MAX, sizeof(*rows));
    json_t *items;
    int count = 0;
    if (!rows)
        return err_nomem(err);
    const enum err_code rc = inbox_due(tx, &query, rows, &count, err);
    if (rc)
        return rc;
    items = json_array();
    for (int i = 0; i < count; i++)
        (void)json_array_append_new(
            items,
            json_pack("{s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:f,s:s}", "case",
                      case_short(&listing->reading, rows[i].case_id, rows[i].type, rows[i].number,
                                 rows[i].title, rows[i].case_state, rows[i].level, rows[i].service_name),
                      "clock", json_str(rows[i].clock), "label",
                      label_json(&listing->reading, "sla.clock", rows[i].clock), "due_at",
                      json_instant(rows[i].due_ms), "left_ms", (json_int_t)(rows[i].due_ms - now), "limit_ms",
                      (json_int_t)rows[i].limit_ms, "warn_at", json_instant(rows[i].warn_ms), "share",
                      due_share(&rows[i], now), "state", now > rows[i].due_ms ? "breached" : "running"));
    listing->reading.out = json_pack("{s:o}", "items", items);
    return listing->reading.out ? ERR_OK : err_nomem(err);
}

static enum err_code due_get(struct request *req, struct reply *reply, struct err *err)
{
    struct listing listing = { .reading = { .handle = req->ctx, .req = req }, .query = { .who = req->who } };
    int64_t limit = 50;
    enum err_code rc = request_query_i64(req, "limit", 1, INBOX_MAX, 50, &limit, err);
    const struct str when = request_query(req, "when");
    listing.query.limit = (int)limit;
    listing.ahead = str_eq(when, STR("ahead"));
    listing.past = str_eq(when, STR("past"));
    if (!rc && when.len && !listing.ahead && !listing.past) {
        (void)err_set(err, ERR_INVALID, "task.bad_when", ARG_STR("when", when), ARG_END);
        rc = err_pointer(err, STR("/?when"));
    }
    if (!rc)
        rc = store_read(handle_config(req->ctx)->store, due_fn, &listing, err);
    return rc ? rc : reply_json(reply, listing.reading.out, err);
}

/* ---- acts ---- */

/* clang-format off */
#define ACT_ROUTE(kind, act) { "POST", "/api/v1/core/" kind "/{id}/" act, "*", act_route, 0 }
static const struct route ROUTES[] = {
    { "GET", "/api/v1/core/tasks",             "*", tasks_get,  0 },
    { "GET", "/api/v1/core/tasks/{id}",        "*", task_get,   0 },
    { "GET", "/api/v1/core/cases/{id}",        "*", case_get,   0 },
    { "GET", "/api/v1/core/cases/{id}/clocks", "*", clocks_get, 0 },
    { "GET", "/api/v1/core/clocks/due",        "*", due_get,    0 },
    { "GET", "/api/v1/core/levels/{pack}/{type}", "{pack}.{type}.read", levels_get, 0 },
    ACT_ROUTE("tasks", "claim"),  ACT_ROUTE("tasks", "release"),  ACT_ROUTE("tasks", "complete"),
    ACT_ROUTE("tasks", "return"), ACT_ROUTE("tasks", "handover"), ACT_ROUTE("tasks", "urge"),
    ACT_ROUTE("cases", "pause"),  ACT_ROUTE("cases", "resume"),   ACT_ROUTE("cases", "reach"),
    ACT_ROUTE("cases", "waive"),  ACT_ROUTE("cases", "void"),     ACT_ROUTE("cases", "note"),
    ACT_ROUTE("cases", "reopen"), ACT_ROUTE("cases", "cancel"),
    { 0 },
};
/* clang-format on */

enum err_code inbox_routes(struct http_server *server, struct handle *handle, struct err *err)
{
    return http_add_routes(server, ROUTES, handle, err);
}

void inbox_live(struct http_server *server, struct str json)
{
    http_event_publish(server, "task", json, NULL, NULL);
}

static enum err_code act_route(struct request *req, struct reply *reply, struct err *err)
{
    struct acting acting = { .handle = req->ctx, .who = req->who, .act = ACT__COUNT };
    struct str rest = req->path, last = { 0 };
    enum err_code rc = request_path_id(req, "id", &acting.id, err);
    if (!rc)
        rc = request_fields(req, BODY, &acting.body, err);
    if (rc)
        return rc;
    while (str_cut(&rest, '/', &last))
        ;
    for (int i = 0; i < ACT__COUNT; i++)
        if (str_eq(last, str_from(ACTS[i].name)))
            acting.act = (enum act)i;
    rc = clocks_read(&acting, err);
    if (!rc)
        rc = store_write(handle_config(req->ctx)->store, act_fn, &acting, err);
    return rc ? rc : case_reply(req, reply, acting.case_id, err);
}

/* What of the body is not plain text: names of clocks, an instant, an object. */
static enum err_code clocks_read(struct acting *acting, struct err *err)
{
    const struct body *body = &acting->body;
    enum sla_clock clock;
    if (body->fields && !json_is_object(body->fields)) {
        (void)err_set(err, ERR_INVALID, "task.fields", ARG_END);
        return err_pointer(err, STR("/fields"));
    }
    for (size_t i = 0; i < json_array_size(body->clocks); i++) {
        const char *name = json_string_value(json_array_get(body->clocks, i));
        if (!name || !sla_clock_from(str_from(name), &clock)) {
            (void)err_set(err, ERR_INVALID, "case.no_clock", ARG_TEXT("clock", name ? name : ""), ARG_END);
            return err_pointer(err, STR("/clocks"));
        }
        acting->clocks |= 1u << clock;
    }
    if ((acting->act == ACT_REACH || acting->act == ACT_WAIVE) &&
        !sla_clock_from(body->clock, &acting->clock)) {
        (void)err_set(err, ERR_INVALID, "case.no_clock", ARG_STR("clock", body->clock), ARG_END);
        return err_pointer(err, STR("/clock"));
    }
    if (body->at.len && clock_parse(body->at, &acting->at_ms, err))
        return err_pointer(err, STR("/at"));
    return ERR_OK;
}

static enum err_code act_fn(struct tx *tx, void *arg, struct err *err)
{
    struct acting *acting = arg;
    struct case_room *room = handle_room(acting->handle);
    const struct principal *who = acting->who;
    const struct body *body = &acting->body;
    const struct case_actor by = { who->user_id, who->name.len ? who->name : who->login, who };
    const struct case_step step = { &by, body->opinion.len  ? body->opinion
                                         : body->reason.len ? body->reason
                                                            : body->text };
    struct case_row row;
    int64_t id = acting->id;
    enum err_code rc = ERR_OK;
    if (ACTS[acting->act].task)
        rc = task_case(tx, acting->id, &id, err);
    if (!rc)
        rc = case_row_load(tx, id, &row, err);
    if (!rc && !ACTS[acting->act].permission[0]) {
        rc = readable(acting->handle, tx, who, id, err);
    } else if (!rc) {
        const struct str permission =
            arena_printf(tx_arena(tx), "%.*s.%s", STR_ARG(row.type), ACTS[acting->act].permission);
        rc = readable(acting->handle, tx, who, id, err);
        if (!rc && (!permission.ptr || !handle_may(acting->handle, tx, who, permission, row.type, id)))
            rc = err_set(err, ERR_FORBIDDEN, "entity.forbidden", ARG_STR("permission", permission), ARG_END);
    }
    if (rc)
        return rc;
    acting->case_id = id;
    switch (acting->act) {
    case ACT_CLAIM:
    case ACT_RELEASE:
        return task_claim(room, tx, &step, acting->id, acting->act == ACT_RELEASE, err);
    case ACT_COMPLETE:
        return task_complete(room, tx, &step, acting->id, body->action.len ? body->action : STR("done"),
                             body->fields, err);
    case ACT_RETURN:
        return task_return(room, tx, &step, acting->id, body->to.len ? body->to : NO_NODE, err);
    case ACT_HANDOVER:
        return task_handover(room, tx, &step, acting->id, body->user, err);
    case ACT_URGE:
        return task_urge(room, tx, &step, acting->id, err);
    case ACT_PAUSE:
    case ACT_RESUME:
        return case_pause(room, tx, &step, id, acting->clocks, acting->act == ACT_RESUME, err);
    case ACT_REACH:
        return case_reach(room, tx, &step, id, acting->clock, acting->at_ms, body->workaround, err);
    case ACT_WAIVE:
        return case_waive(room, tx, &step, id, acting->clock, err);
    case ACT_VOID:
        return case_void(room, tx, &step, id, body->event, err);
    case ACT_NOTE:
        return case_note(room, tx, &step, id, err);
    case ACT_REOPEN:
        return case_reopen(room, tx, &step, id, err);
    case ACT_CANCEL:
        return case_cancel(room, tx, &step, id, err);
    case ACT__COUNT:
        break;
    }
    return err_set(err, ERR_NOT_FOUND, "case.not_found", ARG_END);
}

/* ---- helpers ---- */

static enum err_code case_fn(struct tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    const struct case_view view = view_of(reading, tx);
    const enum err_code rc = readable(reading->handle, tx, reading->req->who, reading->id, err);
    return rc ? rc : case_json(&view, tx, reading->id, &reading->out, err);
}

/* Out of scope is as if absent. Somebody whom a task of the case was given may read it. */
static enum err_code readable(struct handle *handle, struct tx *tx, const struct principal *who, int64_t id,
                              struct err *err)
{
    struct case_row row;
    struct task_row *tasks = NULL;
    int count = 0;
    enum err_code rc = case_row_load(tx, id, &row, err);
    if (rc)
        return rc;
    const struct str permission = arena_printf(tx_arena(tx), "%.*s.read", STR_ARG(row.type));
    if (!permission.ptr)
        return err_nomem(err);
    if (handle_may(handle, tx, who, permission, row.type, id))
        return ERR_OK;
    rc = task_list(tx, id, &tasks, &count, err);
    for (int i = 0; !rc && i < count; i++) {
        bool listed = false;
        if (tasks[i].state != TASK_OPEN)
            continue;
        rc = task_user_has(tx, tasks[i].id, who->user_id, &listed, err);
        if (!rc && (listed || tasks[i].assignee == who->user_id))
            return ERR_OK;
    }
    return rc ? rc : err_set(err, ERR_NOT_FOUND, "case.not_found", ARG_END);
}

static struct case_view view_of(const struct reading *reading, struct tx *tx)
{
    const struct principal *who = reading->req->who;
    return (struct case_view) { .room = handle_room(reading->handle),
                                .who = who,
                                .user_id = who ? who->user_id : 0,
                                .words = handle_config(reading->handle)->words,
                                .lang = reading->req->lang,
                                .arena = tx_arena(tx) };
}

static json_t *label_json(const struct reading *reading, const char *prefix, struct str name)
{
    char key[128];
    const struct words *words = handle_config(reading->handle)->words;
    (void)snprintf(key, sizeof(key), "%s.%.*s", prefix, (int)(name.len > 60 ? 60 : name.len), name.ptr);
    return json_str(words_has(words, reading->req->lang, str_from(key))
                        ? words_get(words, reading->req->lang, str_from(key))
                        : name);
}
