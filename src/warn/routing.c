/* routing.c - see routing.h.  One array a kind, searched from end to end: an office has hundreds, not
 * millions. */
#include "warn/routing.h"
#include "base/zone.h"
#include "platform/entity/entity.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct item {
    int64_t id;
    /* route */
    int64_t service, rota, person, channel, escalate_to, escalate_ms;
    int worst_grade, least_grade;
    bool enabled, on_clear;
    /* shift: rota, person; window: service, subject */
    int64_t subject, begins_ms, ends_ms, repeat_ms;
    bool with_children;
    /* rota: person is its fallback */
    char name[404];
};

struct list {
    struct item *items;
    int count, size;
};

struct routing {
    bool (*stands_on)(void *ctx, int64_t subject, int64_t base, int64_t at_ms);
    void *ctx;
    pthread_rwlock_t lock;
    struct list lists[ROUTING_KIND__COUNT];
    struct routing_person *people; /* by id */
    int people_count;
};

struct routing *routing_new(bool (*stands_on)(void *ctx, int64_t subject, int64_t base, int64_t at_ms),
                            void *ctx)
{
    struct routing *routing = mem_alloc(1, sizeof *routing);
    if (routing) {
        routing->stands_on = stands_on;
        routing->ctx = ctx;
        (void)pthread_rwlock_init(&routing->lock, NULL);
    }
    return routing;
}

void routing_free(struct routing *routing)
{
    if (!routing)
        return;
    for (int i = 0; i < ROUTING_KIND__COUNT; i++)
        mem_free(routing->lists[i].items);
    mem_free(routing->people);
    (void)pthread_rwlock_destroy(&routing->lock);
    mem_free(routing);
}

/* ---- what is handed in ---- */

static int64_t instant_or(const json_t *record, const char *field, int64_t otherwise)
{
    const int64_t ms = record_instant(record, field);
    return ms == INT64_MIN ? otherwise : ms;
}

static int grade_or(const json_t *record, const char *field, int otherwise)
{
    const int64_t grade = record_i64(record, field);
    return grade >= 1 && grade <= 4 ? (int)grade : otherwise;
}

static bool flag_or(const json_t *record, const char *field, bool otherwise)
{
    const json_t *value = json_object_get(record, field);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static struct item read_item(enum routing_kind kind, int64_t id, const json_t *record)
{
    struct item item = { .id = id,
                         .service = record_id(record, "service"),
                         .subject = record_id(record, "subject") };
    (void)snprintf(item.name, sizeof item.name, "%.*s", STR_ARG(record_str(record, "name")));
    switch (kind) {
    case ROUTING_ROUTE:
        item.rota = record_id(record, "rota");
        item.person = record_id(record, "person");
        item.channel = record_id(record, "channel");
        item.escalate_to = record_id(record, "escalate_to");
        item.escalate_ms = record_i64(record, "escalate_min") * 60000;
        item.worst_grade = grade_or(record, "worst_grade", 1);
        item.least_grade = grade_or(record, "least_grade", 4);
        item.enabled = flag_or(record, "enabled", true);
        item.on_clear = flag_or(record, "on_clear", true);
        break;
    case ROUTING_ROTA:
        item.person = record_id(record, "fallback");
        break;
    case ROUTING_SHIFT:
        item.rota = record_id(record, "rota");
        item.person = record_id(record, "person");
        item.begins_ms = instant_or(record, "starts_at", INT64_MAX);
        item.ends_ms = instant_or(record, "ends_at", INT64_MIN);
        item.repeat_ms = record_i64(record, "repeat_days") * DAY_MS;
        break;
    case ROUTING_WINDOW:
        item.begins_ms = instant_or(record, "begins", INT64_MAX);
        item.ends_ms = instant_or(record, "ends", INT64_MIN);
        item.with_children = flag_or(record, "with_children", true);
        break;
    case ROUTING_KIND__COUNT:
        break;
    }
    return item;
}

enum err_code routing_set(struct routing *routing, enum routing_kind kind, int64_t id, const json_t *record,
                          struct err *err)
{
    struct list *list = &routing->lists[kind];
    const struct item item = read_item(kind, id, record);
    enum err_code rc = ERR_OK;
    int at = 0;
    (void)pthread_rwlock_wrlock(&routing->lock);
    while (at < list->count && list->items[at].id != id)
        at++;
    if (at == ROUTING_ITEMS_MAX)
        rc = err_set(err, ERR_LIMIT, "warn.routing_max", ARG_INT("max", ROUTING_ITEMS_MAX), ARG_END);
    if (!rc && at == list->size) {
        const int size = list->size ? list->size * 2 : 16;
        struct item *grown = mem_realloc(list->items, (size_t)size * sizeof *grown);
        if (grown) {
            list->items = grown;
            list->size = size;
        } else {
            rc = err_nomem(err);
        }
    }
    if (!rc) {
        list->items[at] = item;
        list->count += at == list->count;
    }
    (void)pthread_rwlock_unlock(&routing->lock);
    return rc;
}

void routing_remove(struct routing *routing, enum routing_kind kind, int64_t id)
{
    struct list *list = &routing->lists[kind];
    (void)pthread_rwlock_wrlock(&routing->lock);
    for (int i = 0; i < list->count; i++)
        if (list->items[i].id == id)
            list->items[i--] = list->items[--list->count];
    (void)pthread_rwlock_unlock(&routing->lock);
}

static int by_person_id(const void *a, const void *b)
{
    const struct routing_person *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

enum err_code routing_people(struct routing *routing, const struct routing_person *people, int count,
                             struct err *err)
{
    struct routing_person *copy = mem_alloc((size_t)count + 1, sizeof *copy);
    if (!copy)
        return err_nomem(err);
    memcpy(copy, people, (size_t)count * sizeof *copy);
    qsort(copy, (size_t)count, sizeof *copy, by_person_id);
    (void)pthread_rwlock_wrlock(&routing->lock);
    struct routing_person *old = routing->people;
    routing->people = copy;
    routing->people_count = count;
    (void)pthread_rwlock_unlock(&routing->lock);
    mem_free(old);
    return ERR_OK;
}

static const struct routing_person *find_person(const struct routing *routing, int64_t id)
{
    const struct routing_person key = { .id = id };
    return routing->people_count
               ? bsearch(&key, routing->people, (size_t)routing->people_count, sizeof key, by_person_id)
               : NULL;
}

bool routing_person(struct routing *routing, int64_t id, struct routing_person *out)
{
    (void)pthread_rwlock_rdlock(&routing->lock);
    const struct routing_person *found = find_person(routing, id);
    if (found)
        *out = *found;
    (void)pthread_rwlock_unlock(&routing->lock);
    return found != NULL;
}

/* ---- questions ---- */

int64_t routing_window(struct routing *routing, int64_t subject, int64_t service, int64_t at_ms)
{
    int64_t found = 0, bases[16], ids[16];
    int maybe = 0; /* windows over something the subject may stand on: asked without the lock */
    (void)pthread_rwlock_rdlock(&routing->lock);
    const struct list *list = &routing->lists[ROUTING_WINDOW];
    for (int i = 0; i < list->count && !found; i++) {
        const struct item *window = &list->items[i];
        if (at_ms < window->begins_ms || at_ms >= window->ends_ms)
            continue;
        const bool by_service = window->service && !window->subject && window->service == service;
        const bool by_subject = window->subject && window->subject == subject;
        if (by_service || by_subject || (!window->service && !window->subject))
            found = window->id;
        else if (window->subject && window->with_children && subject && maybe < 16) {
            bases[maybe] = window->subject;
            ids[maybe++] = window->id;
        }
    }
    (void)pthread_rwlock_unlock(&routing->lock);
    for (int i = 0; i < maybe && !found && routing->stands_on; i++)
        if (routing->stands_on(routing->ctx, subject, bases[i], at_ms))
            found = ids[i];
    return found;
}

/* The end of the turn of the shift that covers `at_ms`; 0 when none does. */
static int64_t shift_covers(const struct item *shift, int64_t at_ms)
{
    if (at_ms < shift->begins_ms || shift->ends_ms <= shift->begins_ms)
        return 0;
    const int64_t turn =
        shift->repeat_ms ? (at_ms - shift->begins_ms) / shift->repeat_ms * shift->repeat_ms : 0;
    return at_ms < shift->ends_ms + turn ? shift->ends_ms + turn : 0;
}

/* The newest shift wins, so that a swap is entered as one more shift. */
static int64_t on_duty(const struct routing *routing, const struct item *rota, int64_t at_ms,
                       int64_t *out_until)
{
    const struct list *shifts = &routing->lists[ROUTING_SHIFT];
    const struct item *best = NULL;
    *out_until = 0;
    for (int i = 0; i < shifts->count; i++) {
        const struct item *shift = &shifts->items[i];
        const int64_t until = shift->rota == rota->id ? shift_covers(shift, at_ms) : 0;
        if (until && (!best || shift->id > best->id)) {
            best = shift;
            *out_until = until;
        }
    }
    return best ? best->person : rota->person;
}

int64_t routing_on_duty(struct routing *routing, int64_t rota, int64_t at_ms)
{
    int64_t person = 0, until;
    (void)pthread_rwlock_rdlock(&routing->lock);
    const struct list *rotas = &routing->lists[ROUTING_ROTA];
    for (int i = 0; i < rotas->count; i++)
        if (rotas->items[i].id == rota)
            person = on_duty(routing, &rotas->items[i], at_ms, &until);
    (void)pthread_rwlock_unlock(&routing->lock);
    return person;
}

static int by_rota_name(const void *a, const void *b)
{
    return strcmp(((const struct duty_now *)a)->rota_name, ((const struct duty_now *)b)->rota_name);
}

int routing_duties(struct routing *routing, int64_t at_ms, struct duty_now *out, int max)
{
    (void)pthread_rwlock_rdlock(&routing->lock);
    const struct list *rotas = &routing->lists[ROUTING_ROTA];
    const int count = rotas->count < max ? rotas->count : max;
    for (int i = 0; i < count; i++) {
        out[i].rota = rotas->items[i].id;
        out[i].person = on_duty(routing, &rotas->items[i], at_ms, &out[i].until_ms);
        (void)snprintf(out[i].rota_name, sizeof out[i].rota_name, "%s", rotas->items[i].name);
    }
    (void)pthread_rwlock_unlock(&routing->lock);
    qsort(out, (size_t)count, sizeof *out, by_rota_name);
    return count;
}

/* ---- the calendar ---- */

struct leaf {
    const struct routing *routing;
    int64_t from_ms, to_ms;
    const struct item *shifts[DUTY_SHIFTS_MAX];
    int shifts_count;
    int64_t bounds[DUTY_SPANS_MAX]; /* where somebody may come or go */
    int bounds_count;
    struct duty_span *spans;
    int spans_count;
    bool cut;
};

static int by_instant(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void add_bound(struct leaf *leaf, int64_t at_ms)
{
    if (at_ms <= leaf->from_ms || at_ms >= leaf->to_ms)
        return;
    if (leaf->bounds_count == DUTY_SPANS_MAX)
        leaf->cut = true;
    else
        leaf->bounds[leaf->bounds_count++] = at_ms;
}

/* The turns of a shift that touch the span. */
static void add_turns(struct leaf *leaf, const struct item *shift)
{
    int64_t turn = 0;
    if (shift->repeat_ms && leaf->from_ms > shift->ends_ms)
        turn = (leaf->from_ms - shift->ends_ms) / shift->repeat_ms * shift->repeat_ms;
    if (shift->ends_ms <= shift->begins_ms || shift->begins_ms + turn >= leaf->to_ms ||
        (!shift->repeat_ms && shift->ends_ms <= leaf->from_ms))
        return;
    if (leaf->shifts_count == DUTY_SHIFTS_MAX) {
        leaf->cut = true;
        return;
    }
    leaf->shifts[leaf->shifts_count++] = shift;
    for (; shift->begins_ms + turn < leaf->to_ms && !leaf->cut; turn += shift->repeat_ms) {
        add_bound(leaf, shift->begins_ms + turn);
        add_bound(leaf, shift->ends_ms + turn);
        if (!shift->repeat_ms)
            return;
    }
}

static void add_span(struct leaf *leaf, const struct item *rota, int64_t from_ms, int64_t to_ms)
{
    const struct item *best = NULL, *usual = NULL;
    int64_t until = 0;
    for (int i = 0; i < leaf->shifts_count; i++) {
        const struct item *shift = leaf->shifts[i];
        const int64_t end = shift_covers(shift, from_ms);
        if (end && (!best || shift->id > best->id)) {
            best = shift;
            until = end;
        }
        if (end && shift->repeat_ms && (!usual || shift->id > usual->id))
            usual = shift;
    }
    struct duty_span span = { .rota = rota->id,
                              .from_ms = from_ms,
                              .to_ms = to_ms,
                              .person = best ? best->person : rota->person,
                              .shift = best ? best->id : 0 };
    if (best && !best->repeat_ms && usual && usual->person != best->person)
        span.instead_of = usual->person;
    assert(leaf->spans);
    struct duty_span *last = leaf->spans_count ? &leaf->spans[leaf->spans_count - 1] : NULL;
    /* the same turn goes on; the next turn of the same shift is another */
    if (last && last->rota == span.rota && last->to_ms == from_ms && last->shift == span.shift &&
        last->instead_of == span.instead_of && (!best || shift_covers(best, last->from_ms) == until))
        last->to_ms = to_ms;
    else if (leaf->spans_count == DUTY_SPANS_MAX)
        leaf->cut = true;
    else
        leaf->spans[leaf->spans_count++] = span;
}

static int by_item_name(const void *a, const void *b)
{
    return strcmp((*(const struct item *const *)a)->name, (*(const struct item *const *)b)->name);
}

static void add_rota(struct leaf *leaf, const struct item *rota)
{
    const struct list *shifts = &leaf->routing->lists[ROUTING_SHIFT];
    leaf->shifts_count = leaf->bounds_count = 0;
    for (int i = 0; i < shifts->count; i++)
        if (shifts->items[i].rota == rota->id)
            add_turns(leaf, &shifts->items[i]);
    qsort(leaf->bounds, (size_t)leaf->bounds_count, sizeof *leaf->bounds, by_instant);
    int64_t from_ms = leaf->from_ms;
    for (int i = 0; i <= leaf->bounds_count; i++) {
        const int64_t to_ms = i < leaf->bounds_count ? leaf->bounds[i] : leaf->to_ms;
        if (to_ms > from_ms)
            add_span(leaf, rota, from_ms, to_ms);
        from_ms = to_ms;
    }
}

enum err_code routing_calendar(struct routing *routing, int64_t from_ms, int64_t to_ms, struct arena *arena,
                               struct duty_span **out, int *out_count, bool *out_cut, struct err *err)
{
    struct leaf *leaf = arena_alloc(arena, 1, sizeof *leaf);
    struct duty_span *spans = arena_alloc(arena, DUTY_SPANS_MAX, sizeof *spans);
    const struct item **rotas = NULL;
    if (!leaf || !spans)
        return err_nomem(err);
    leaf->routing = routing;
    leaf->from_ms = from_ms;
    leaf->to_ms = to_ms;
    leaf->spans = spans;
    (void)pthread_rwlock_rdlock(&routing->lock);
    const struct list *list = &routing->lists[ROUTING_ROTA];
    rotas = arena_alloc(arena, (size_t)list->count + 1, sizeof *rotas);
    for (int i = 0; rotas && i < list->count; i++)
        rotas[i] = &list->items[i];
    if (rotas)
        qsort(rotas, (size_t)list->count, sizeof *rotas, by_item_name);
    for (int i = 0; rotas && i < list->count && !leaf->cut; i++)
        add_rota(leaf, rotas[i]);
    (void)pthread_rwlock_unlock(&routing->lock);
    if (!rotas)
        return err_nomem(err);
    *out = spans;
    *out_count = leaf->spans_count;
    *out_cut = leaf->cut;
    return ERR_OK;
}

static bool matches(const struct item *route, const struct alarm *alarm)
{
    return route->enabled && alarm->grade >= route->worst_grade && alarm->grade <= route->least_grade &&
           (!route->service || route->service == alarm->service || route->service == alarm->subject);
}

int64_t routing_escalate_ms(struct routing *routing, const struct alarm *alarm)
{
    int64_t least = 0;
    (void)pthread_rwlock_rdlock(&routing->lock);
    const struct list *routes = &routing->lists[ROUTING_ROUTE];
    for (int i = 0; i < routes->count; i++) {
        const struct item *route = &routes->items[i];
        if (route->escalate_ms && route->escalate_to && matches(route, alarm) &&
            (!least || route->escalate_ms < least))
            least = route->escalate_ms;
    }
    (void)pthread_rwlock_unlock(&routing->lock);
    return least;
}

static int add_person(const struct routing *routing, int64_t person, int64_t channel, struct arena *arena,
                      struct notice_person *out, int count)
{
    for (int i = 0; i < count; i++)
        if (out[i].user_id == person && out[i].channel == channel)
            return count;
    const struct routing_person *found = find_person(routing, person);
    if (!found || count == NOTICE_PEOPLE_MAX)
        return count; /* somebody who has left */
    const struct str mail = arena_str(arena, str_from(found->mail));
    if (!mail.ptr)
        return -1;
    out[count] = (struct notice_person) { person, mail, found->lang, channel };
    return count + 1;
}

int routing_recipients(struct routing *routing, const struct alarm *alarm, enum alarm_event event,
                       int64_t at_ms, struct arena *arena, struct notice_person *out)
{
    int count = 0;
    (void)pthread_rwlock_rdlock(&routing->lock);
    const struct list *routes = &routing->lists[ROUTING_ROUTE], *rotas = &routing->lists[ROUTING_ROTA];
    for (int i = 0; i < routes->count && count >= 0; i++) {
        const struct item *route = &routes->items[i];
        if (!matches(route, alarm) || (event == ALARM_CLEAR && !route->on_clear))
            continue;
        if (event == ALARM_ESCALATE) {
            if (route->escalate_to && route->escalate_ms)
                count = add_person(routing, route->escalate_to, route->channel, arena, out, count);
            continue;
        }
        if (route->person)
            count = add_person(routing, route->person, route->channel, arena, out, count);
        for (int r = 0; r < rotas->count && count >= 0; r++) {
            int64_t until;
            const int64_t person =
                rotas->items[r].id == route->rota ? on_duty(routing, &rotas->items[r], at_ms, &until) : 0;
            if (person)
                count = add_person(routing, person, route->channel, arena, out, count);
        }
    }
    (void)pthread_rwlock_unlock(&routing->lock);
    return count;
}
