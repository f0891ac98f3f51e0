/* centre.c - see centre.h */
#include "warn/centre.h"
#include "base/json.h"
#include "platform/audit/audit.h"
#include "platform/identity/principal.h"

#include <inttypes.h>
#include <stdio.h>

#define BULK_MAX 500
#define COMMENT_MAX 500
#define ROTA_DAYS_MAX 62

/* ---- telling people ---- */

static const char *code_of(const struct alarm_record *record)
{
    if ((record->event == ALARM_RAISE && record->alarm.hold == ALARM_FREE) || record->event == ALARM_RELEASE)
        return "alarm.raise";
    if (record->event == ALARM_CLEAR && record->alarm.hold == ALARM_FREE)
        return "alarm.clear";
    return record->event == ALARM_ESCALATE ? "alarm.escalate" : NULL;
}

static void put_duration(char *out, size_t size, int64_t ms)
{
    const int64_t minutes = ms / 60000;
    if (minutes >= 1440)
        (void)snprintf(out, size, "%" PRId64 " d %" PRId64 " h", minutes / 1440, minutes / 60 % 24);
    else if (minutes >= 60)
        (void)snprintf(out, size, "%" PRId64 " h %" PRId64 " min", minutes / 60, minutes % 60);
    else
        (void)snprintf(out, size, "%" PRId64 " min %" PRId64 " s", minutes, ms / 1000 % 60);
}

enum err_code centre_tell(void *arg, const struct alarm_record *record, struct err *err)
{
    struct centre *centre = arg;
    const struct alarm *alarm = &record->alarm;
    const char *code = code_of(record);
    if (!code)
        return ERR_OK;
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)1 << 20);
    struct notice_person *people = arena_alloc(arena, NOTICE_PEOPLE_MAX, sizeof *people);
    if (!people)
        return err_nomem(err);
    const int count =
        routing_recipients(centre->routing, alarm, record->event, clock_now(centre->clock), arena, people);
    if (count < 0)
        return err_nomem(err);
    if (count == 0)
        return ERR_OK;
    char subject[804], service[804], at[CLOCK_TEXT_SIZE], duration[48], grade[16], link[48];
    subjects_name(centre->subjects, alarm->subject, subject, sizeof subject);
    subjects_name(centre->subjects, alarm->service, service, sizeof service);
    (void)clock_text(record->at_ms / 1000 * 1000, CLOCK_SHOWN_MINUTES, at);
    put_duration(duration, sizeof duration, record->at_ms - alarm->opened_ms);
    (void)snprintf(grade, sizeof grade, "@grade.%d", alarm->grade);
    (void)snprintf(link, sizeof link, "/alarms/%" PRId64, alarm->id);
    const struct notice_arg args[] = { { "subject", str_from(subject) },
                                       { "service", str_from(service) },
                                       { "title", str_from(alarm->title) },
                                       { "value", str_from(alarm->value) },
                                       { "at", str_from(at) },
                                       { "duration", str_from(duration) },
                                       { "grade", str_from(grade) } };
    const struct notice notice = { .id = record->id,
                                   .code = str_from(code),
                                   .people = people,
                                   .people_count = count,
                                   .args = args,
                                   .args_count = (int)(sizeof args / sizeof *args),
                                   .link = str_from(link),
                                   .grade = alarm->grade,
                                   .at_ms = record->at_ms };
    return notify_tell(centre->notify, &notice, err);
}

/* ---- showing ---- */

static void set_name(json_t *json, const char *key, const char *name)
{
    (void)json_object_set_new(json, key, json_str_or_null(str_from(name)));
}

json_t *centre_alarm_json(struct centre *centre, const struct alarm *alarm, enum lang lang)
{
    json_t *json = alarm_json(alarm);
    char name[804], key[48];
    struct routing_person person = { 0 };
    if (!json)
        return NULL;
    subjects_name(centre->subjects, alarm->subject, name, sizeof name);
    set_name(json, "subject_name", name);
    subjects_name(centre->subjects, alarm->service, name, sizeof name);
    set_name(json, "service_name", name);
    if (alarm->acked_by)
        (void)routing_person(centre->routing, alarm->acked_by, &person);
    set_name(json, "acked_by_name", person.name);
    (void)snprintf(key, sizeof key, "warn.hold.%s", alarm_hold_name(alarm->hold));
    const struct str label = words_get(centre->words, lang, str_from(key));
    (void)json_object_set_new(json, "hold_label", json_str(label));
    if (alarm->hold == ALARM_PARENT) {
        subjects_name(centre->subjects, alarm->hold_by, name, sizeof name);
        set_name(json, "parent_name", name);
    }
    return json;
}

/* May they see an alarm of that organisation? Alarms without one are seen under a scope of everything. */
struct scope_check {
    const struct principal *who;
    bool all;
};

static bool sees(struct request *req, const struct scope_check *check, int64_t org, int64_t subject)
{
    struct centre *centre = req->ctx;
    struct subject_info info;
    if (check->all)
        return true;
    if (!org && subject && subjects_get(centre->subjects, subject, &info))
        org = info.org;
    const struct str path = subjects_org_path(centre->subjects, org, req->arena);
    const struct scope_row row = { .org_id = org, .org_path = path, .subject_id = subject, .has_org = true };
    return org && principal_sees(check->who, STR("core.alarm.read"), &row);
}

static struct scope_check scope_of(const struct request *req)
{
    return (struct scope_check) { req->who, principal_may_all(req->who, STR("core.alarm.read")) };
}

struct listing {
    struct request *req;
    struct scope_check check;
    json_t *items;
    int limit, seen;
    int64_t last;
};

static enum err_code list_one(void *arg, const struct alarm *alarm, struct err *err)
{
    struct listing *listing = arg;
    listing->last = alarm->id;
    listing->seen++;
    if (!sees(listing->req, &listing->check, alarm->org, alarm->subject))
        return ERR_OK;
    json_t *json = centre_alarm_json(listing->req->ctx, alarm, listing->req->lang);
    return json && json_array_append_new(listing->items, json) == 0 ? ERR_OK : err_nomem(err);
}

/* Page by page of those that pass, until one is full of what the asker may see. */
static enum err_code list_live(struct listing *listing, struct alarm_row_filter filter, struct err *err)
{
    struct centre *centre = listing->req->ctx;
    const struct arena_mark mark = arena_mark(listing->req->arena);
    enum err_code rc = ERR_OK;
    bool more = true;
    while (!rc && more && (int)json_array_size(listing->items) < listing->limit) {
        const struct alarm *live;
        int count = 0;
        rc = alarms_page(centre->alarms, &filter, listing->req->arena, &live, &count, err);
        for (int i = 0; i < count && !rc && (int)json_array_size(listing->items) < listing->limit; i++)
            rc = list_one(listing, &live[i], err);
        filter.after = listing->last;
        more = count == filter.limit;
        arena_release(listing->req->arena, mark);
    }
    if ((int)json_array_size(listing->items) < listing->limit)
        listing->seen = 0; /* the end */
    return rc;
}

struct list_read {
    struct listing *listing;
    const struct alarm_row_filter *filter;
};

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct list_read *read = arg;
    json_array_clear(read->listing->items);
    read->listing->seen = 0;
    return alarm_rows(tx, read->filter, list_one, read->listing, err);
}

static enum err_code query_id(const struct request *req, const char *name, int64_t *out, struct err *err)
{
    return request_query_i64(req, name, 1, INT64_MAX, 0, out, err);
}

static enum err_code read_filter(const struct request *req, struct alarm_row_filter *out, struct err *err)
{
    int64_t grade = 0, limit = 50;
    const struct str state = request_query(req, "state");
    out->state = !state.ptr || !state.len ? STR("live") : str_eq(state, STR("all")) ? STR("") : state;
    if (out->state.len && !str_eq(out->state, STR("live")) && alarm_state_from(out->state) < 0) {
        (void)err_set(err, ERR_INVALID, "warn.bad_state", ARG_STR("state", state), ARG_END);
        return err_pointer(err, STR("/?state"));
    }
    enum err_code rc = request_query_i64(req, "grade", 1, 4, 0, &grade, err);
    if (!rc)
        rc = request_query_i64(req, "limit", 1, 200, 50, &limit, err);
    if (!rc)
        rc = query_id(req, "subject", &out->subject, err);
    if (!rc)
        rc = query_id(req, "service", &out->service, err);
    if (!rc)
        rc = query_id(req, "after", &out->after, err);
    out->grade = (int)grade;
    out->limit = (int)limit;
    return rc;
}

/* GET core/alarms */
static enum err_code alarms_list(struct request *req, struct reply *reply, struct err *err)
{
    struct centre *centre = req->ctx;
    struct alarm_row_filter filter = { 0 };
    enum err_code rc = read_filter(req, &filter, err);
    if (rc)
        return rc;
    struct listing listing = {
        .req = req, .check = scope_of(req), .items = json_array(), .limit = filter.limit
    };
    const bool from_memory = str_eq(filter.state, STR("live")) || str_eq(filter.state, STR("open")) ||
                             str_eq(filter.state, STR("acked")) || str_eq(filter.state, STR("cleared"));
    if (from_memory)
        rc = list_live(&listing, filter, err);
    else
        rc = store_read(centre->store, list_fn, &(struct list_read) { &listing, &filter }, err);
    if (rc) {
        json_decref(listing.items);
        return rc;
    }
    return reply_json(reply,
                      json_pack("{s:o,s:o}", "items", listing.items, "next",
                                json_id(listing.seen >= filter.limit ? listing.last : 0)),
                      err);
}

/* GET core/alarms/count */
static enum err_code alarms_count(struct request *req, struct reply *reply, struct err *err)
{
    struct centre *centre = req->ctx;
    const struct alarm_brief *live;
    const struct scope_check check = scope_of(req);
    int count, states[ALARM_STATE__COUNT] = { 0 }, grades[5] = { 0 };
    const enum err_code rc = alarms_brief(centre->alarms, req->arena, &live, &count, err);
    for (int i = 0; !rc && i < count; i++)
        if (sees(req, &check, live[i].org, live[i].subject)) {
            states[live[i].state]++;
            if (live[i].state != ALARM_CLEARED)
                grades[live[i].grade]++;
        }
    return rc ? rc
              : reply_json(reply,
                           json_pack("{s:i,s:i,s:i,s:[i,i,i,i]}", "open", states[ALARM_OPEN], "acked",
                                     states[ALARM_ACKED], "cleared", states[ALARM_CLEARED], "by_grade",
                                     grades[1], grades[2], grades[3], grades[4]),
                           err);
}

struct one_read {
    struct request *req;
    int64_t id;
    struct alarm alarm;
    json_t *events;
};

static enum err_code event_one(void *arg, const struct alarm_event_row *row, struct err *err)
{
    struct one_read *read = arg;
    struct centre *centre = read->req->ctx;
    struct routing_person person = { 0 };
    if (row->by)
        (void)routing_person(centre->routing, row->by, &person);
    json_t *json =
        json_pack("{s:o,s:o,s:s%,s:o,s:o,s:s%,s:s%,s:o,s:s%,s:s%}", "id", json_id(row->id), "at",
                  json_instant(row->at_ms), "event", row->event.ptr, row->event.len, "by", json_id(row->by),
                  "by_name", json_str_or_null(str_from(person.name)), "state", row->state.ptr, row->state.len,
                  "hold", row->hold.ptr, row->hold.len, "hold_by", json_id(row->hold_by), "value",
                  row->value.ptr, row->value.len, "text", row->text.ptr, row->text.len);
    return json && json_array_append_new(read->events, json) == 0 ? ERR_OK : err_nomem(err);
}

static enum err_code one_fn(struct tx *tx, void *arg, struct err *err)
{
    struct one_read *read = arg;
    struct centre *centre = read->req->ctx;
    json_array_clear(read->events);
    enum err_code rc = alarm_event_rows(tx, read->id, 1000, event_one, read, err);
    if (!rc && !alarms_find(centre->alarms, read->id, &read->alarm))
        rc = alarm_row_get(tx, read->id, &read->alarm, err);
    return rc;
}

/* GET core/alarms/{id} */
static enum err_code alarm_get(struct request *req, struct reply *reply, struct err *err)
{
    struct centre *centre = req->ctx;
    struct one_read read = { .req = req, .events = json_array() };
    const struct scope_check check = scope_of(req);
    enum err_code rc = request_path_id(req, "id", &read.id, err);
    if (!rc)
        rc = store_read(centre->store, one_fn, &read, err);
    if (!rc && !sees(req, &check, read.alarm.org, read.alarm.subject))
        rc = err_set(err, ERR_NOT_FOUND, "warn.no_alarm", ARG_END);
    json_t *json = rc ? NULL : centre_alarm_json(centre, &read.alarm, req->lang);
    if (!json) {
        json_decref(read.events);
        return rc ? rc : err_nomem(err);
    }
    (void)json_object_set_new(json, "events", read.events);
    return reply_json(reply, json, err);
}

/* ---- acts ---- */

struct bulk {
    json_t *ids;
    struct str comment;
};

static void add_failure(const struct request *req, json_t *failed, struct str id, enum err_code rc,
                        const struct err *err)
{
    const struct centre *centre = req->ctx;
    (void)json_array_append_new(
        failed, json_pack("{s:o,s:s,s:o}", "id", json_str_or_null(id), "code", err_name(rc), "message",
                          json_str(err_text(req->arena, err, centre->words, req->lang))));
}

struct acting {
    struct request *req;
    const char *action; /* "ack" or "close" */
    struct str comment;
    struct alarm_act *acts;
    int count;
};

static struct audit_line audit_line_of(const struct acting *acting, const struct alarm *alarm)
{
    const struct principal *who = acting->req->who;
    return (struct audit_line) { .action = acting->action,
                                 .object_type = STR("core.alarm"),
                                 .object_id = alarm->id,
                                 .object_name = str_from(alarm->title),
                                 .detail = acting->comment,
                                 .user_id = who->user_id,
                                 .user_name = who->name,
                                 .remote = acting->req->remote,
                                 .request_id = acting->req->id };
}

static enum err_code audit_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct acting *acting = arg;
    const struct centre *centre = acting->req->ctx;
    enum err_code rc = ERR_OK;
    for (int i = 0; i < acting->count && !rc; i++) {
        const struct audit_line line = audit_line_of(acting, &acting->acts[i].before);
        if (!acting->acts[i].rc)
            rc = audit_write(centre->audit, tx, &line, err);
    }
    return rc;
}

/* The alarm log is the durable record of the acts; the audit lines follow, and are kept in memory while SQL
 * is away. */
static void audit_acts(struct acting *acting)
{
    struct centre *centre = acting->req->ctx;
    struct err err;
    if (!centre->audit || !store_write(centre->store, audit_fn, acting, &err))
        return;
    for (int i = 0; i < acting->count; i++) {
        const struct audit_line line = audit_line_of(acting, &acting->acts[i].before);
        if (!acting->acts[i].rc)
            (void)!audit_read(centre->audit, &line, &err);
    }
}

/* Of the ids those that the user may see become acts; the others go to `failed`. */
static enum err_code read_acts(struct acting *acting, const json_t *ids, json_t *failed, struct err *err)
{
    struct request *req = acting->req;
    struct centre *centre = req->ctx;
    const struct scope_check check = scope_of(req);
    const json_t *item;
    size_t i;
    acting->acts = arena_alloc(req->arena, json_array_size(ids), sizeof *acting->acts);
    if (!acting->acts)
        return err_nomem(err);
    json_array_foreach(ids, i, item)
    {
        int64_t id = 0;
        struct alarm alarm;
        struct err one;
        const struct str text = json_to_str(item);
        if (text.ptr && str_i64(text, &id) && alarms_find(centre->alarms, id, &alarm) &&
            sees(req, &check, alarm.org, alarm.subject)) {
            acting->acts[acting->count++].id = id;
            continue;
        }
        const enum err_code rc = err_set(&one, ERR_NOT_FOUND, "warn.no_alarm", ARG_END);
        add_failure(req, failed, text, rc, &one);
    }
    return ERR_OK;
}

static enum err_code bulk_act(struct request *req, struct reply *reply, const char *action, struct err *err)
{
    struct centre *centre = req->ctx;
    static const struct field fields[] = {
        { .name = "ids", .kind = FIELD_JSON, .needed = true, .offset = offsetof(struct bulk, ids) },
        { .name = "comment",
          .kind = FIELD_TEXT,
          .most = COMMENT_MAX,
          .offset = offsetof(struct bulk, comment) },
        { 0 },
    };
    struct bulk bulk = { 0 };
    enum err_code rc = request_fields(req, fields, &bulk, err);
    if (rc)
        return rc;
    if (!json_is_array(bulk.ids) || !json_array_size(bulk.ids) || json_array_size(bulk.ids) > BULK_MAX) {
        (void)err_set(err, ERR_INVALID, "warn.ids", ARG_INT("max", BULK_MAX), ARG_END);
        return err_pointer(err, STR("/ids"));
    }
    const struct principal *who = req->who;
    struct acting acting = { .req = req, .action = action, .comment = bulk.comment };
    json_t *done = json_array(), *failed = json_array();
    rc = read_acts(&acting, bulk.ids, failed, err);
    if (!rc)
        rc = alarms_act(centre->alarms, action[0] == 'c', acting.acts, acting.count, who->user_id,
                        bulk.comment, err);
    if (rc) {
        json_decref(done);
        json_decref(failed);
        return rc;
    }
    audit_acts(&acting);
    for (int i = 0; i < acting.count; i++) {
        const struct alarm_act *act = &acting.acts[i];
        if (act->rc)
            add_failure(req, failed, arena_printf(req->arena, "%" PRId64, act->id), act->rc, &act->err);
        else
            (void)json_array_append_new(done, json_id(act->id));
    }
    return reply_json(reply, json_pack("{s:o,s:o}", "done", done, "failed", failed), err);
}

/* POST core/alarms/ack */
static enum err_code alarms_ack_route(struct request *req, struct reply *reply, struct err *err)
{
    return bulk_act(req, reply, "ack", err);
}

/* POST core/alarms/close */
static enum err_code alarms_close_route(struct request *req, struct reply *reply, struct err *err)
{
    return bulk_act(req, reply, "close", err);
}

struct outside {
    struct str key, title, value;
    int64_t subject, service, grade;
    bool clear;
};

/* POST core/alarms/signal: keys of outside sources are kept apart from those of triggers */
static enum err_code alarms_signal_route(struct request *req, struct reply *reply, struct err *err)
{
    struct centre *centre = req->ctx;
    static const struct field fields[] = {
        { .name = "key",
          .kind = FIELD_TEXT,
          .needed = true,
          .least = 1,
          .most = 100,
          .offset = offsetof(struct outside, key) },
        { .name = "title", .kind = FIELD_TEXT, .most = 130, .offset = offsetof(struct outside, title) },
        { .name = "value", .kind = FIELD_TEXT, .most = 60, .offset = offsetof(struct outside, value) },
        { .name = "subject", .kind = FIELD_ID, .offset = offsetof(struct outside, subject) },
        { .name = "service", .kind = FIELD_ID, .offset = offsetof(struct outside, service) },
        { .name = "grade",
          .kind = FIELD_I64,
          .least = 1,
          .most = 4,
          .offset = offsetof(struct outside, grade) },
        { .name = "clear", .kind = FIELD_BOOL, .offset = offsetof(struct outside, clear) },
        { 0 },
    };
    struct outside outside = { .grade = 3 };
    enum err_code rc = request_fields(req, fields, &outside, err);
    if (rc)
        return rc;
    const struct str key = arena_printf(req->arena, "x:%.*s", STR_ARG(outside.key));
    const int64_t now = clock_now(centre->clock);
    if (!key.ptr)
        return err_nomem(err);
    const struct alarm_signal signal = { .key = key,
                                         .subject = outside.subject,
                                         .service = outside.service,
                                         .grade = (int)outside.grade,
                                         .title = outside.title.len ? outside.title : outside.key,
                                         .value = outside.value,
                                         .at_ms = now };
    rc = alarms_signal(centre->alarms, &signal, outside.clear, err);
    if (!rc)
        reply_empty(reply);
    return rc;
}

/* GET core/rota/now */
static enum err_code rota_now(struct request *req, struct reply *reply, struct err *err)
{
    struct centre *centre = req->ctx;
    enum { ROTAS_MAX = 500 };
    struct duty_now *now = arena_alloc(req->arena, ROTAS_MAX, sizeof *now);
    if (!now)
        return err_nomem(err);
    const int count = routing_duties(centre->routing, clock_now(centre->clock), now, ROTAS_MAX);
    json_t *items = json_array();
    for (int i = 0; i < count; i++) {
        struct routing_person person = { 0 };
        (void)routing_person(centre->routing, now[i].person, &person);
        (void)json_array_append_new(items,
                                    json_pack("{s:o,s:s,s:o,s:o,s:o}", "rota", json_id(now[i].rota), "name",
                                              now[i].rota_name, "person", json_id(now[i].person),
                                              "person_name", json_str_or_null(str_from(person.name)), "until",
                                              json_instant(now[i].until_ms)));
    }
    return reply_json(reply, json_pack("{s:o}", "items", items), err);
}

static json_t *person_json(struct centre *centre, int64_t id)
{
    struct routing_person person;
    if (!id || !routing_person(centre->routing, id, &person))
        return id ? json_pack("{s:o,s:n}", "id", json_id(id), "name") : json_null();
    return json_pack("{s:o,s:s}", "id", json_id(id), "name", person.name);
}

static enum err_code instant_query(struct request *req, const char *name, int64_t *out, struct err *err)
{
    const enum err_code rc = clock_parse(request_query(req, name), out, err);
    return rc ? err_pointer(err, arena_printf(req->arena, "/?%s", name)) : ERR_OK;
}

/* GET core/rota/calendar */
static enum err_code rota_calendar(struct request *req, struct reply *reply, struct err *err)
{
    struct centre *centre = req->ctx;
    struct duty_span *spans;
    int count;
    bool cut;
    int64_t from_ms = 0, to_ms = 0;
    enum err_code rc = instant_query(req, "from", &from_ms, err);
    if (!rc)
        rc = instant_query(req, "to", &to_ms, err);
    if (!rc && (to_ms <= from_ms || to_ms - from_ms > ROTA_DAYS_MAX * INT64_C(86400000))) {
        (void)err_set(err, ERR_INVALID, "warn.rota_span", ARG_INT("days", ROTA_DAYS_MAX), ARG_END);
        rc = err_pointer(err, STR("/?to"));
    }
    if (!rc)
        rc = routing_calendar(centre->routing, from_ms, to_ms, req->arena, &spans, &count, &cut, err);
    if (rc)
        return rc;
    json_t *items = json_array();
    for (int i = 0; i < count; i++) {
        char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
        (void)clock_text(spans[i].from_ms, 480, from);
        (void)clock_text(spans[i].to_ms, 480, to);
        (void)json_array_append_new(items, json_pack("{s:o,s:s,s:s,s:o,s:o,s:o}", "rota",
                                                     json_id(spans[i].rota), "from", from, "to", to, "person",
                                                     person_json(centre, spans[i].person), "shift",
                                                     spans[i].shift ? json_id(spans[i].shift) : json_null(),
                                                     "instead_of", person_json(centre, spans[i].instead_of)));
    }
    return reply_json(reply, json_pack("{s:o,s:b}", "items", items, "cut", cut), err);
}

const struct route ALARM_ROUTES[] = {
    { "GET", "/api/v1/core/alarms", "core.alarm.read", alarms_list, 0 },
    { "GET", "/api/v1/core/alarms/count", "core.alarm.read", alarms_count, 0 },
    { "GET", "/api/v1/core/alarms/{id}", "core.alarm.read", alarm_get, 0 },
    { "POST", "/api/v1/core/alarms/ack", "core.alarm.ack", alarms_ack_route, 0 },
    { "POST", "/api/v1/core/alarms/close", "core.alarm.close", alarms_close_route, 0 },
    { "POST", "/api/v1/core/alarms/signal", "core.alarm.signal", alarms_signal_route, 0 },
    { "GET", "/api/v1/core/rota/now", "core.rota.read", rota_now, 0 },
    { "GET", "/api/v1/core/rota/calendar", "core.rota.read", rota_calendar, 0 },
    { 0 },
};
