/* rooms_warn.c - see rooms.h: subjects and their graph, then the alarm centre with all it asks of others. */
#include "base/log.h"
#include "cmd/rooms.h"
#include "observe/follow.h"
#include "platform/identity/contacts.h"
#include "platform/identity/principal.h"
#include "warn/centre.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- subjects ---- */

enum err_code subjects_room_start(struct app *app, struct err *err)
{
    enum err_code rc = subjects_open(app->store, app->entity, app->clock, &app->subjects, err);
    if (!rc)
        rc = subjects_follow(app->subjects, app->bus, err);
    return rc ? rc : http_add_routes(app->http, SUBJECT_ROUTES, app->subjects, err);
}

void subjects_room_stop(struct app *app)
{
    subjects_close(app->subjects);
    app->subjects = NULL;
}

/* ---- routing: records and people in memory ---- */

struct following {
    struct routing *routing;
    enum routing_kind kind;
    struct follow *follow;
};

struct warn {
    struct app *app;
    struct centre centre;
    struct following following[ROUTING_KIND__COUNT];
};

static enum err_code set_record(void *ctx, int64_t id, const json_t *record, struct err *err)
{
    const struct following *following = ctx;
    return routing_set(following->routing, following->kind, id, record, err);
}

static void remove_record(void *ctx, int64_t id)
{
    const struct following *following = ctx;
    routing_remove(following->routing, following->kind, id);
}

static enum err_code follow_records(struct warn *warn, struct err *err)
{
    static const char *const types[ROUTING_KIND__COUNT] = {
        [ROUTING_ROUTE] = "core.route",
        [ROUTING_ROTA] = "core.rota",
        [ROUTING_SHIFT] = "core.shift",
        [ROUTING_WINDOW] = "ops.maintenance",
    };
    for (int kind = 0; kind < ROUTING_KIND__COUNT; kind++) {
        struct following *following = &warn->following[kind];
        *following = (struct following) { warn->centre.routing, (enum routing_kind)kind, NULL };
        if (!entity_type_find(warn->app->entity, types[kind]))
            continue; /* the pack is not loaded */
        const struct follow_config config = { .store = warn->app->store,
                                              .entity = warn->app->entity,
                                              .bus = warn->app->bus,
                                              .type = types[kind],
                                              .ctx = following,
                                              .set = set_record,
                                              .remove = remove_record };
        const enum err_code rc = follow_open(&config, &following->follow, err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

struct people {
    struct routing_person *items;
    int count, size;
};

static enum err_code add_person(void *arg, const struct contact *contact, struct err *err)
{
    struct people *people = arg;
    if (people->count == people->size) {
        const int size = people->size ? people->size * 2 : 64;
        struct routing_person *grown = mem_realloc(people->items, (size_t)size * sizeof *grown);
        if (!grown)
            return err_nomem(err);
        people->items = grown;
        people->size = size;
    }
    struct routing_person *person = &people->items[people->count++];
    person->id = contact->id;
    person->lang = contact->lang;
    (void)snprintf(person->name, sizeof person->name, "%.*s", STR_ARG(contact->name));
    (void)snprintf(person->mail, sizeof person->mail, "%.*s", STR_ARG(contact->mail));
    return ERR_OK;
}

static enum err_code people_fn(struct tx *tx, void *arg, struct err *err)
{
    ((struct people *)arg)->count = 0;
    return contacts_each(tx, add_person, arg, err);
}

static enum err_code load_people(struct warn *warn, struct err *err)
{
    struct people people = { 0 };
    enum err_code rc = store_read(warn->app->store, people_fn, &people, err);
    if (!rc)
        rc = routing_people(warn->centre.routing, people.items, people.count, err);
    mem_free(people.items);
    return rc;
}

static void on_people_news(void *arg, const struct bus_event *event)
{
    struct err err;
    (void)event;
    if (load_people(arg, &err))
        log_err(&err, "warn.people", "addresses stay as they were");
}

/* ---- what the alarms ask ---- */

#define SETTLE_MS 500

static void settle(void *ctx)
{
    const struct warn *warn = ctx;
    for (int kind = 0; kind < ROUTING_KIND__COUNT; kind++)
        if (warn->following[kind].follow)
            follow_settle(warn->following[kind].follow, SETTLE_MS);
}

static int64_t window_of(void *ctx, int64_t subject, int64_t service, int64_t at_ms)
{
    const struct warn *warn = ctx;
    return routing_window(warn->centre.routing, subject, service, at_ms);
}

static int64_t parent_of(void *ctx, int64_t subject, int64_t at_ms, bool (*down)(void *arg, int64_t subject),
                         void *arg)
{
    const struct warn *warn = ctx;
    return graph_parent_down(subjects_graph(warn->app->subjects), subject, at_ms, down, arg);
}

static int64_t escalate_of(void *ctx, const struct alarm *alarm)
{
    const struct warn *warn = ctx;
    return routing_escalate_ms(warn->centre.routing, alarm);
}

static bool stands_on(void *ctx, int64_t subject, int64_t base, int64_t at_ms)
{
    const struct warn *warn = ctx;
    return subjects_stands_on(warn->app->subjects, subject, base, at_ms);
}

static int by_subject(const void *a, const void *b)
{
    const struct alarm_brief *x = *(const struct alarm_brief *const *)a,
                             *y = *(const struct alarm_brief *const *)b;
    return (x->subject > y->subject) - (x->subject < y->subject);
}

/* subjects_states_fn: the live alarms by subject, then each item looks up its own. */
static enum err_code states_of(void *ctx, struct arena *arena, struct subject_state *items, int count,
                               struct err *err)
{
    const struct warn *warn = ctx;
    const struct alarm_brief *live, **sorted;
    int total, used = 0;
    const enum err_code rc = alarms_brief(warn->app->alarms, arena, &live, &total, err);
    if (rc)
        return rc;
    sorted = arena_alloc(arena, (size_t)total + 1, sizeof *sorted);
    if (!sorted)
        return err_nomem(err);
    for (int i = 0; i < total; i++)
        if (live[i].subject && live[i].state != ALARM_CLEARED)
            sorted[used++] = &live[i];
    qsort(sorted, (size_t)used, sizeof *sorted, by_subject);
    for (int i = 0; i < count; i++) {
        int low = 0, high = used;
        while (low < high) {
            const int middle = (low + high) / 2;
            if (sorted[middle]->subject < items[i].id)
                low = middle + 1;
            else
                high = middle;
        }
        items[i].held = true;
        for (; low < used && sorted[low]->subject == items[i].id; low++) {
            const struct alarm_brief *alarm = sorted[low];
            items[i].alarms++;
            items[i].held &= alarm->hold != ALARM_FREE;
            if (!items[i].grade || alarm->grade < items[i].grade)
                items[i].grade = alarm->grade;
        }
        items[i].held &= items[i].alarms > 0;
    }
    return ERR_OK;
}

/* Live screens hear that something changed and, when they may see everything, what. */
static bool sees_alarms(void *arg, const void *who)
{
    (void)arg;
    return principal_may(who, STR("core.alarm.read"));
}

static void on_live(void *ctx, const struct alarm_record *record)
{
    const struct warn *warn = ctx;
    char json[200];
    const int len = snprintf(
        json, sizeof json, "{\"id\":\"%lld\",\"event\":\"%s\",\"state\":\"%s\",\"grade\":%d,\"first\":%s}",
        (long long)record->alarm.id, alarm_event_name(record->event), alarm_state_name(record->alarm.state),
        record->alarm.grade, record->first ? "true" : "false");
    http_event_publish(warn->app->http, "alarm", (struct str) { json, (size_t)len }, sees_alarms, NULL);
}

static enum err_code on_event(void *ctx, struct tx *tx, const char *topic, const struct alarm_record *record,
                              struct err *err)
{
    const struct warn *warn = ctx;
    json_t *json = alarm_json(&record->alarm);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text)
        return err_nomem(err);
    const enum err_code rc = outbox_add_once(warn->app->outbox, tx, record->id, str_from(topic),
                                             record->alarm.id, str_from(text), err);
    free(text);
    return rc;
}

static enum err_code on_tell(void *ctx, const struct alarm_record *record, struct err *err)
{
    struct warn *warn = ctx;
    return centre_tell(&warn->centre, record, err);
}

/* A message that could not be delivered for good is an alarm of its own, so that a broken mail server does
 * not stay silent. */
static void on_dead_letter(void *arg, const struct bus_event *event)
{
    const struct warn *warn = arg;
    struct err err;
    const struct str title = words_get(warn->app->words, LANG_ZH, STR("warn.dead_letter"));
    const struct alarm_signal signal = { .key = STR("self:deadletter"),
                                         .grade = 3,
                                         .title = title,
                                         .value = str_slice(event->json, 0, ALARM_VALUE_MAX),
                                         .at_ms = clock_now(warn->app->clock) };
    if (alarms_raise(warn->app->alarms, &signal, &err))
        log_err(&err, "warn.dead_letter", "no alarm");
}

enum err_code warn_room_start(struct app *app, struct err *err)
{
    struct warn *warn = arena_alloc(app->arena, 1, sizeof *warn);
    if (!warn)
        return err_nomem(err);
    app->warn = warn;
    warn->app = app;
    warn->centre = (struct centre) { .routing = routing_new(stands_on, warn),
                                     .subjects = app->subjects,
                                     .notify = app->notify,
                                     .store = app->store,
                                     .audit = app->audit,
                                     .clock = app->clock,
                                     .words = app->words };
    if (!warn->centre.routing)
        return err_nomem(err);
    char dir[2200];
    (void)snprintf(dir, sizeof dir, "%.2000s/alarms", app->data);
    const struct alarms_config config = { .dir = dir,
                                          .disk = app->cmd->disk,
                                          .store = app->store,
                                          .ids = &app->ids,
                                          .clock = app->clock,
                                          .hooks = { .ctx = warn,
                                                     .settle = settle,
                                                     .window = window_of,
                                                     .parent = parent_of,
                                                     .escalate_ms = escalate_of,
                                                     .live = on_live,
                                                     .event = on_event,
                                                     .tell = on_tell } };
    enum err_code rc = load_people(warn, err);
    if (!rc)
        rc = follow_records(warn, err);
    if (!rc)
        rc = bus_subscribe(app->bus, "identity.changed", on_people_news, warn, NULL, err);
    if (!rc)
        rc = alarms_open(&config, &app->alarms, err);
    if (rc)
        return rc;
    warn->centre.alarms = app->alarms;
    subjects_states_set(app->subjects, states_of, warn);
    rc = bus_subscribe(app->bus, "deadletter.new", on_dead_letter, warn, NULL, err);
    return rc ? rc : http_add_routes(app->http, ALARM_ROUTES, &warn->centre, err);
}

void warn_room_stop(struct app *app)
{
    struct warn *warn = app->warn;
    alarms_close(app->alarms);
    app->alarms = NULL;
    if (!warn)
        return;
    for (int kind = 0; kind < ROUTING_KIND__COUNT; kind++)
        follow_close(warn->following[kind].follow);
    routing_free(warn->centre.routing);
    app->warn = NULL;
}

int warn_room_on_duty(struct app *app, int64_t service, struct arena *arena, int64_t *out_users, int max)
{
    const struct alarm alarm = { .service = service, .grade = 1, .state = ALARM_OPEN };
    struct notice_person *people = arena_alloc(arena, NOTICE_PEOPLE_MAX, sizeof *people);
    const struct warn *warn = app->warn;
    int count = 0;
    if (!warn || !people)
        return 0;
    const int found =
        routing_recipients(warn->centre.routing, &alarm, ALARM_RAISE, clock_now(app->clock), arena, people);
    for (int i = 0; i < found && count < max; i++) {
        bool known = people[i].user_id == 0;
        for (int k = 0; k < count; k++)
            known |= out_users[k] == people[i].user_id;
        if (!known)
            out_users[count++] = people[i].user_id;
    }
    return count;
}
