/* overview.c - see overview.h */
#include "learn/overview.h"
#include "base/clock.h"
#include "base/json.h"
#include "learn/duties.h"
#include "learn/duties_sql.h"
#include "platform/identity/principal.h"

#include <stdio.h>
#include <stdlib.h>

#define MONTHS 12

struct working {
    struct request *req;
    struct overview *overview;
    struct entity_call call;  /* the asker's eyes */
    struct entity_call plain; /* the engine's: rules and general rows that no scope hides */
    int64_t id, today;
    json_t *body;
    const struct alarm_brief *live;
    int live_count;
};

/* ---- twelve months of attainment ---- */

static enum err_code put_months(struct working *working, struct tx *tx, struct str code, struct err *err)
{
    const struct zone *zone = working->overview->zone;
    json_t *months = json_array();
    (void)json_object_set_new(working->body, "months", months);
    for (int i = MONTHS - 1; i >= 0; i--) {
        const int64_t first = day_month_start(working->today, -i), next = day_month_start(first, 1);
        const int64_t from = zone_day_start(zone, first), to = zone_day_start(zone, next);
        int64_t met, missed;
        const enum err_code rc = attainment_row(tx, code, from, to, &met, &missed, err);
        if (rc)
            return rc;
        char name[DAY_TEXT_SIZE];
        day_text(first, name);
        (void)json_array_append_new(
            months,
            json_pack("{s:s%,s:o,s:I,s:I}", "month", name, (size_t)7, "percent",
                      met + missed ? json_real((double)met * 100 / (double)(met + missed)) : json_null(),
                      "met", (json_int_t)met, "total", (json_int_t)met + missed));
    }
    return ERR_OK;
}

/* ---- duties ---- */

static const char *state_of(const struct duty_of *duty)
{
    if (duty->every.by_event)
        return "event";
    if (duty->answer.overdue)
        return "overdue";
    return duty->answer.due ? "due" : "done";
}

static json_t *duty_json(const struct duty_of *duty, struct str service_name, int64_t day)
{
    return json_pack("{s:o,s:o,s:o,s:s,s:o,s:o,s:b,s:s,s:o,s:i}", "id", json_id(duty->id), "service",
                     json_id(duty->service), "service_name", json_str_or_null(service_name), "kind",
                     duty->inspection ? "inspection" : "deliverable", "name", json_str_or_null(duty->name),
                     "interval", json_str_or_null(duty->interval), "general", duty->general, "state",
                     state_of(duty), "due_at", duty->every.by_event ? json_null() : json_day(day), "open",
                     duty->answer.overdue);
}

static enum err_code put_duties(struct working *working, struct tx *tx, const json_t *service,
                                struct err *err)
{
    struct duty_of *duties;
    int count, due = 0, done = 0, overdue = 0;
    struct duty_rules *rules;
    enum err_code rc = duty_rules_load(&working->plain, working->overview->zone, tx, &rules, err);
    if (!rc)
        rc = duties_of(rules, tx, service, working->id, working->today, working->req->arena, &duties, &count,
                       err);
    if (rc)
        return rc;
    json_t *items = json_array();
    for (int i = 0; i < count; i++) {
        due += duties[i].answer.due;
        done += duties[i].answer.done;
        overdue += duties[i].answer.overdue;
        (void)json_array_append_new(items,
                                    duty_json(&duties[i], record_str(service, "name"), duty_day(&duties[i])));
    }
    (void)json_object_set_new(
        working->body, "duties",
        json_pack("{s:i,s:i,s:i,s:o}", "due", due, "done", done, "overdue", overdue, "items", items));
    return ERR_OK;
}

/* ---- contract, key dates, quotas ---- */

/* The label that the record's type gives a reference, as the asker may see it; null else. */
static json_t *named_ref(const struct working *working, struct tx *tx, const char *full, int64_t id)
{
    const struct entity_type *type = entity_type_find(working->overview->entity, full);
    json_t *record = NULL;
    struct err ignored;
    if (!id || !type || entity_get(&working->call, tx, type, id, &record, &ignored))
        return json_null();
    json_t *out = json_pack("{s:o,s:s,s:o}", "id", json_id(id), "type", full, "name",
                            json_str_or_null(record_str(record, "name")));
    json_decref(record);
    return out;
}

static void put_contract(struct working *working, struct tx *tx, const json_t *service)
{
    const int64_t to = day_field(service, "valid_to", INT64_MAX);
    (void)json_object_set_new(
        working->body, "contract",
        json_pack("{s:o,s:o,s:o,s:o,s:o}", "from", json_str_or_null(record_str(service, "valid_from")), "to",
                  json_str_or_null(record_str(service, "valid_to")), "days_left",
                  to == INT64_MAX ? json_null() : json_integer(to - working->today), "unit",
                  named_ref(working, tx, "ops.unit", record_id(service, "unit")), "support",
                  json_str_or_null(record_str(service, "support_calendar"))));
}

struct terms_of {
    struct working *working;
    const char *list;
    struct str table; /* the general table of the service */
};

/* A rule of the service itself, or one of its general table. */
static bool rule_holds(const struct terms_of *terms, const json_t *record, bool *out_own)
{
    *out_own = record_id(record, "service") == terms->working->id;
    return *out_own || (!record_id(record, "service") && terms->table.len &&
                        str_eq(record_str(record, "general"), terms->table));
}

/* A text in the reader's language, where the record has it. */
static struct str in_lang(const struct working *working, const json_t *record, const char *name,
                          const char *name_en)
{
    const struct str english = record_str(record, name_en);
    return working->req->lang == LANG_EN && english.len ? english : record_str(record, name);
}

static enum err_code add_key_date(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct terms_of *terms = arg;
    const int64_t today = terms->working->today, first = day_field(record, "first_day", INT64_MAX),
                  last = day_field(record, "last_day", first);
    bool own;
    (void)err;
    if (!rule_holds(terms, record, &own))
        return ERR_OK;
    const char *state = first == INT64_MAX ? "rule"
                        : last < today     ? "past"
                        : first <= today   ? "now"
                                           : "ahead";
    (void)json_array_append_new(
        json_object_get(terms->working->body, terms->list),
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:s,s:o,s:b,s:b}", "id", json_id(id), "name",
                  json_str_or_null(record_str(record, "name")), "rule",
                  json_str_or_null(in_lang(terms->working, record, "rule", "rule_en")), "first_day",
                  json_str_or_null(record_str(record, "first_day")), "last_day",
                  json_str_or_null(record_str(record, "last_day")), "state", state, "days_left",
                  first == INT64_MAX || first <= today ? json_null() : json_integer(first - today),
                  "protected", json_is_true(json_object_get(record, "protected")), "general", !own));
    return ERR_OK;
}

static enum err_code add_quota(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct terms_of *terms = arg;
    json_t *amount = json_object_get(record, "amount");
    bool own;
    (void)err;
    if (!rule_holds(terms, record, &own))
        return ERR_OK;
    (void)json_array_append_new(
        json_object_get(terms->working->body, terms->list),
        json_pack("{s:o,s:o,s:o,s:O?,s:o,s:o,s:b}", "id", json_id(id), "name",
                  json_str_or_null(in_lang(terms->working, record, "name", "name_en")), "bound",
                  json_str_or_null(record_str(record, "bound")), "amount", amount, "period",
                  json_str_or_null(record_str(record, "period")), "note",
                  json_str_or_null(in_lang(terms->working, record, "note", "note_en")), "general", !own));
    return ERR_OK;
}

/* ---- what belongs to it ---- */

static json_t *state_json(const struct working *working, int64_t subject, int *out_grade)
{
    *out_grade = 0;
    for (int i = 0; i < working->live_count; i++)
        if (working->live[i].subject == subject && working->live[i].state != ALARM_CLEARED &&
            (!*out_grade || working->live[i].grade < *out_grade))
            *out_grade = working->live[i].grade;
    return json_string(*out_grade ? "problem" : "ok");
}

static enum err_code add_system(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct working *working = arg;
    int grade;
    (void)err;
    if (record_id(record, "service") != working->id)
        return ERR_OK;
    json_t *state = state_json(working, id, &grade);
    (void)json_array_append_new(json_object_get(working->body, "systems"),
                                json_pack("{s:o,s:s,s:o,s:o,s:o,s:o}", "id", json_id(id), "type",
                                          "ops.system", "code", json_str_or_null(record_str(record, "code")),
                                          "name", json_str_or_null(record_str(record, "name")), "state",
                                          state, "grade", grade ? json_integer(grade) : json_null()));
    return ERR_OK;
}

static enum err_code add_contact(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct working *working = arg;
    (void)err;
    if (record_id(record, "service") != working->id)
        return ERR_OK;
    (void)json_array_append_new(json_object_get(working->body, "contacts"),
                                json_pack("{s:o,s:o,s:o,s:o}", "id", json_id(id), "name",
                                          json_str_or_null(record_str(record, "name")), "role",
                                          json_str_or_null(record_str(record, "role")), "phone",
                                          json_str_or_null(record_str(record, "phone"))));
    return ERR_OK;
}

struct clocks {
    struct working *working;
    struct str table; /* the general table of the service */
};

static enum err_code add_clock(void *arg, int64_t id, const json_t *record, struct err *err)
{
    static const char *const names[] = { "respond", "contact", "start", "arrive",
                                         "plan",    "restore", "solve", "report" };
    struct clocks *clocks = arg;
    const bool own = record_id(record, "service") == clocks->working->id;
    (void)id, (void)err;
    if (!own && !(clocks->table.len && str_eq(record_str(record, "general_table"), clocks->table)))
        return ERR_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char field[32], key[48];
        (void)snprintf(field, sizeof field, "%s_min", names[i]);
        (void)snprintf(key, sizeof key, "sla.clock.%s", names[i]);
        const json_t *minutes = json_object_get(record, field);
        if (!json_is_integer(minutes))
            continue;
        (void)json_array_append_new(
            json_object_get(clocks->working->body, "clocks"),
            json_pack("{s:o,s:o,s:s,s:o,s:I,s:s}", "level", json_str_or_null(record_str(record, "level")),
                      "calendar", json_str_or_null(record_str(record, "calendar")), "clock", names[i],
                      "label",
                      json_str_or_null(words_get(clocks->working->overview->words, clocks->working->req->lang,
                                                 str_from(key))),
                      "minutes", json_integer_value(minutes), "source", own ? "own" : "general"));
    }
    return ERR_OK;
}

static enum err_code each_of(const struct entity_call *call, struct tx *tx, const char *full,
                             entity_each_fn fn, void *arg, struct err *err)
{
    const struct entity_type *type = entity_type_find(call->entity, full);
    return type ? entity_each(call, tx, type, STR(""), fn, arg, err) : ERR_OK;
}

/* ---- GET core/services/{id} ---- */

static enum err_code service_fn(struct tx *tx, void *arg, struct err *err)
{
    struct working *working = arg;
    const struct entity_type *type = entity_type_find(working->overview->entity, "ops.service");
    json_t *service = NULL;
    enum err_code rc = type ? entity_get(&working->call, tx, type, working->id, &service, err)
                            : err_set(err, ERR_NOT_FOUND, "subject.none", ARG_END);
    if (rc)
        return rc;
    json_object_clear(working->body);
    static const char *const lists[] = { "systems", "contacts", "clocks", "key_dates", "quotas" };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        (void)json_object_set_new(working->body, lists[i], json_array());
    struct clocks clocks = { working, record_str(service, "general_table") };
    struct terms_of dates = { working, "key_dates", clocks.table },
                    quotas = { working, "quotas", clocks.table };
    put_contract(working, tx, service);
    rc = put_months(working, tx, record_str(service, "id"), err);
    if (!rc)
        rc = put_duties(working, tx, service, err);
    if (!rc)
        rc = each_of(&working->call, tx, "ops.system", add_system, working, err);
    if (!rc)
        rc = each_of(&working->call, tx, "ops.contact", add_contact, working, err);
    if (!rc)
        rc = each_of(&working->plain, tx, "ops.sla", add_clock, &clocks, err);
    if (!rc)
        rc = each_of(&working->plain, tx, "ops.key_date", add_key_date, &dates, err);
    if (!rc)
        rc = each_of(&working->plain, tx, "ops.quota", add_quota, &quotas, err);
    json_decref(service);
    return rc;
}

static struct working start(struct request *req)
{
    struct overview *overview = req->ctx;
    return (struct working) {
        .req = req,
        .overview = overview,
        .today = zone_day(overview->zone, clock_now(overview->clock)),
        .call = { .entity = overview->entity, .who = req->who, .lang = req->lang, .arena = req->arena },
        .plain = { .entity = overview->entity, .lang = req->lang, .arena = req->arena }
    };
}

static enum err_code service_get(struct request *req, struct reply *reply, struct err *err)
{
    struct working working = start(req);
    struct alarms *alarms = working.overview->alarms;
    enum err_code rc = request_path_id(req, "id", &working.id, err);
    if (!rc && alarms)
        rc = alarms_brief(alarms, req->arena, &working.live, &working.live_count, err);
    if (rc)
        return rc;
    working.body = json_object();
    rc = store_read(working.overview->store, service_fn, &working, err);
    if (!rc)
        return reply_json(reply, working.body, err);
    json_decref(working.body);
    return rc;
}

/* ---- GET core/duties ---- */

struct owing {
    struct working *working;
    struct duties_page page;
};

static enum err_code owing_fn(struct tx *tx, void *arg, struct err *err)
{
    struct owing *owing = arg;
    struct working *working = owing->working;
    struct duty_rules *rules;
    const enum err_code rc = duty_rules_load(&working->plain, working->overview->zone, tx, &rules, err);
    return rc ? rc : duties_owed(rules, &working->call, tx, &owing->page, err);
}

static enum err_code duties_get(struct request *req, struct reply *reply, struct err *err)
{
    struct working working = start(req);
    int64_t limit;
    const struct str state = request_query(req, "state");
    enum err_code rc = request_query_i64(req, "limit", 1, 200, 200, &limit, err);
    if (rc)
        return rc;
    struct owing owing = { .working = &working,
                           .page = { .today = working.today,
                                     .due = !str_eq(state, STR("overdue")),
                                     .overdue = !str_eq(state, STR("due")),
                                     .limit = (int)limit,
                                     .after = request_query(req, "after") } };
    rc = store_read(working.overview->store, owing_fn, &owing, err);
    if (rc)
        return rc;
    const struct duties_page *page = &owing.page;
    json_t *items = json_array();
    for (int i = 0; i < page->count; i++)
        (void)json_array_append_new(
            items, duty_json(&page->items[i].duty, page->items[i].service_name, page->items[i].day));
    return reply_json(reply,
                      json_pack("{s:o,s:o,s:i,s:i,s:i,s:i}", "items", items, "next",
                                json_str_or_null(page->next), "due", page->due_total, "overdue",
                                page->overdue_total, "done", page->done_total, "due_today", page->due_today),
                      err);
}

const struct route OVERVIEW_ROUTES[] = {
    { "GET", "/api/v1/core/services/{id}", "ops.service.read", service_get, 0 },
    { "GET", "/api/v1/core/duties", "ops.service.read", duties_get, ROUTE_LONG },
    { 0 },
};
