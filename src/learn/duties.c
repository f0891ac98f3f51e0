/* duties.c - see duties.h */
#include "learn/duties.h"
#include "learn/duties_sql.h"

#include <stdlib.h>

#define DEEDS_MAX 100000 /* of one service */
#define SERVICES_BYTES_MAX ((size_t)64 << 20)
#define EVALUATING_BYTES_MAX ((size_t)64 << 20) /* one service */
#define CURSOR_PARTS 4

struct rule {
    int64_t id, service;
    int64_t starts, ends; /* days; INT64_MIN where the service's start counts */
    struct str general, name, interval, code;
    struct duty_interval every;
    bool inspection;
};

struct duty_rules {
    struct arena *arena; /* of the rules' texts */
    const struct zone *zone;
    struct rule *items; /* by service, those of many services (0) first; then by id */
    int count, size;
    int general; /* how many are of many services */
};

/* A service as the rules see it. */
struct service {
    int64_t id, start; /* start: a day */
    struct str inspections, table, name;
};

int64_t day_field(const json_t *record, const char *field, int64_t otherwise)
{
    int64_t day;
    return day_parse(record_str(record, field), &day, NULL) ? otherwise : day;
}

/* The general inspection rule for a service of that importance. */
static struct str inspection_rule(const json_t *service)
{
    const struct str importance = record_str(service, "importance"),
                     table = record_str(service, "general_table");
    if (str_eq(table, STR("*wx")))
        return STR("*wx");
    if (!str_eq(table, STR("*business")) && !str_eq(table, STR("*link")))
        return STR("");
    if (str_eq(importance, STR("core")))
        return STR("*core");
    if (str_eq(importance, STR("room")))
        return STR("*room");
    return str_eq(importance, STR("network")) || str_eq(table, STR("*link")) ? STR("*link")
                                                                             : STR("*business");
}

static enum err_code add_rule(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct duty_rules *rules = arg;
    struct rule rule = { .id = id,
                         .service = record_id(record, "service"),
                         .starts = day_field(record, "starts_on", INT64_MIN),
                         .ends = day_field(record, "ends_on", INT64_MAX),
                         .inspection = str_eq(record_str(record, "kind"), STR("inspection")) };
    if (duty_interval_parse(record_str(record, "interval"), &rule.every, err))
        return ERR_OK; /* the record's pattern lets none in */
    if (rules->count == DUTIES_MAX)
        return err_set(err, ERR_LIMIT, "learn.duties_max", ARG_INT("max", DUTIES_MAX), ARG_END);
    struct {
        struct str *to;
        const char *field;
    } texts[] = { { &rule.general, "general" },
                  { &rule.name, "name" },
                  { &rule.interval, "interval" },
                  { &rule.code, "code" } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i].to = arena_str(rules->arena, record_str(record, texts[i].field));
        if (!texts[i].to->ptr)
            return err_nomem(err);
    }
    if (rules->count == rules->size) {
        const int size = rules->size ? rules->size * 2 : 256;
        struct rule *grown = arena_alloc(rules->arena, (size_t)size, sizeof *grown);
        if (!grown)
            return err_nomem(err);
        if (rules->count)
            memcpy(grown, rules->items, (size_t)rules->count * sizeof *grown);
        rules->items = grown;
        rules->size = size;
    }
    rules->items[rules->count++] = rule;
    return ERR_OK;
}

static int by_service(const void *a, const void *b)
{
    const struct rule *x = a, *y = b;
    if (x->service != y->service)
        return x->service < y->service ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* The first rule of a service no less than `service`. */
static int first_rule(const struct duty_rules *rules, int64_t service)
{
    int low = 0, high = rules->count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (rules->items[middle].service < service)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum err_code duty_rules_load(const struct entity_call *call, const struct zone *zone, struct tx *tx,
                              struct duty_rules **out, struct err *err)
{
    const struct entity_type *type = entity_type_find(call->entity, "ops.duty");
    struct duty_rules *rules = arena_alloc(call->arena, 1, sizeof *rules);
    /* entity_each() gives back what a record took before it reads the next: what stays lies elsewhere */
    AUTO(arena_free_auto) struct arena *scratch = arena_new((size_t)16 << 20);
    if (!rules || !scratch)
        return err_nomem(err);
    rules->arena = call->arena;
    rules->zone = zone;
    struct entity_call reading = *call;
    reading.arena = scratch;
    const bool there =
        type && entity_type_find(call->entity, "ops.deed"); /* without the pack nothing is owed */
    const enum err_code rc = there ? entity_each(&reading, tx, type, STR(""), add_rule, rules, err) : ERR_OK;
    if (rc)
        return rc;
    if (rules->count)
        qsort(rules->items, (size_t)rules->count, sizeof *rules->items, by_service);
    rules->general = first_rule(rules, 1);
    *out = rules;
    return ERR_OK;
}

/* ---- one service ---- */

static struct service service_of(const struct duty_rules *rules, int64_t id, const json_t *record)
{
    return (struct service) { .id = id,
                              .start =
                                  day_field(record, "valid_from", zone_day(rules->zone, ids_instant_ms(id))),
                              .inspections = inspection_rule(record),
                              .table = record_str(record, "general_table"),
                              .name = record_str(record, "name") };
}

static enum err_code evaluate(const struct rule *rule, const struct service *service, int64_t today,
                              const struct deed_row *deeds, int deeds_count, struct arena *arena,
                              struct duty_of *out, struct err *err)
{
    int64_t *days = arena_alloc(arena, (size_t)deeds_count, sizeof *days);
    int count = 0;
    if (!days)
        return err_nomem(err);
    for (int i = 0; i < deeds_count; i++)
        if (deeds[i].duty == rule->id)
            days[count++] = deeds[i].day;
    *out = (struct duty_of) { .id = rule->id,
                              .service = service->id,
                              .inspection = rule->inspection,
                              .general = rule->service == 0,
                              .name = rule->name,
                              .interval = rule->interval,
                              .code = rule->code,
                              .every = rule->every,
                              .events = rule->every.by_event ? count : 0 };
    return duty_evaluate(&rule->every, rule->starts == INT64_MIN ? service->start : rule->starts, rule->ends,
                         today, days, count, arena, &out->answer, err);
}

/* The general rules that hold for the service, then its own. */
static enum err_code rules_of(const struct duty_rules *rules, const struct service *service,
                              struct arena *arena, const struct rule ***out, int *out_count, struct err *err)
{
    const int own = first_rule(rules, service->id), own_end = first_rule(rules, service->id + 1);
    const struct rule **held = arena_alloc(arena, (size_t)(rules->general + own_end - own), sizeof *held);
    bool own_inspection = false; /* with an interval: overrides the general one */
    int count = 0;
    if (!held)
        return err_nomem(err);
    for (int i = own; i < own_end; i++)
        own_inspection |= rules->items[i].inspection && !rules->items[i].every.by_event;
    for (int i = 0; i < rules->general; i++) {
        const struct rule *rule = &rules->items[i];
        const struct str wanted = rule->inspection ? service->inspections : service->table;
        if (rule->general.len && str_eq(rule->general, wanted) && !(rule->inspection && own_inspection))
            held[count++] = rule;
    }
    for (int i = own; i < own_end; i++)
        held[count++] = &rules->items[i];
    *out = held;
    *out_count = count;
    return ERR_OK;
}

static enum err_code evaluate_all(const struct rule **held, int held_count, const struct service *service,
                                  int64_t today, const struct deed_row *deeds, int deeds_count,
                                  struct arena *arena, struct duty_of **out, struct err *err)
{
    struct duty_of *duties = arena_alloc(arena, (size_t)held_count, sizeof *duties);
    enum err_code rc = duties ? ERR_OK : err_nomem(err);
    for (int i = 0; i < held_count && !rc; i++)
        rc = evaluate(held[i], service, today, deeds, deeds_count, arena, &duties[i], err);
    if (!rc)
        *out = duties;
    return rc;
}

enum err_code duties_of(const struct duty_rules *rules, struct tx *tx, const json_t *service,
                        int64_t service_id, int64_t today, struct arena *arena, struct duty_of **out,
                        int *out_count, struct err *err)
{
    const struct service asked = service_of(rules, service_id, service);
    const struct rule **held;
    struct deed_row *deeds = NULL;
    int held_count = 0, deeds_count = 0;
    enum err_code rc = rules_of(rules, &asked, arena, &held, &held_count, err);
    if (!rc && held_count) {
        AUTO(deeds_close_auto) struct deeds *cursor = NULL;
        rc = deeds_open(tx, rules->zone, service_id, &cursor, err);
        if (!rc)
            rc = deeds_of(cursor, service_id, arena, DEEDS_MAX, &deeds, &deeds_count, err);
    }
    if (!rc)
        rc = evaluate_all(held, held_count, &asked, today, deeds, deeds_count, arena, out, err);
    if (!rc)
        *out_count = held_count;
    return rc;
}

/* ---- many services ---- */

struct services {
    const struct duty_rules *rules;
    struct arena *arena;
    struct service *items; /* by id */
    int count, size;
};

static enum err_code add_service(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct services *services = arg;
    if (services->count == SERVICES_MAX)
        return err_set(err, ERR_LIMIT, "learn.services_max", ARG_INT("max", SERVICES_MAX), ARG_END);
    if (services->count == services->size) {
        const int size = services->size ? services->size * 2 : 256;
        struct service *grown = arena_alloc(services->arena, (size_t)size, sizeof *grown);
        if (!grown)
            return err_nomem(err);
        if (services->count)
            memcpy(grown, services->items, (size_t)services->count * sizeof *grown);
        services->items = grown;
        services->size = size;
    }
    struct service service = service_of(services->rules, id, record);
    service.table = arena_str(services->arena, service.table); /* inspections is static */
    service.name = arena_str(services->arena, service.name);
    if (!service.table.ptr || !service.name.ptr)
        return err_nomem(err);
    services->items[services->count++] = service;
    return ERR_OK;
}

int64_t duty_day(const struct duty_of *duty)
{
    for (int i = 0; i < duty->answer.count; i++)
        if (duty->answer.windows[i].state == DUTY_OVERDUE)
            return duty->answer.windows[i].to_day - 1;
    return duty->answer.next_day;
}

/* The order of the page, and the cursor: overdue before due, day, rule, service. */
static void key_of(const struct duty_owed *owed, int64_t out[CURSOR_PARTS])
{
    out[0] = owed->duty.answer.overdue ? 0 : 1;
    out[1] = owed->day;
    out[2] = owed->duty.id;
    out[3] = owed->duty.service;
}

static int key_cmp(const int64_t a[CURSOR_PARTS], const int64_t b[CURSOR_PARTS])
{
    for (int i = 0; i < CURSOR_PARTS; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static enum err_code cursor_read(struct str text, int64_t out[CURSOR_PARTS], struct err *err)
{
    struct str part;
    out[0] = -1; /* before all */
    if (!text.len)
        return ERR_OK;
    for (int i = 0; i < CURSOR_PARTS; i++)
        if (!str_cut(&text, '.', &part) || !str_i64(part, &out[i])) {
            (void)err_set(err, ERR_INVALID, "entity.cursor", ARG_END);
            return err_pointer(err, STR("/?after"));
        }
    return ERR_OK;
}

/* Puts it in its place among the `limit` + 1 first after the cursor; what falls off comes on a later page. */
static void page_put(struct duties_page *page, const int64_t after[CURSOR_PARTS],
                     const struct duty_owed *owed)
{
    int64_t key[CURSOR_PARTS], other[CURSOR_PARTS];
    int low = 0, high = page->count;
    key_of(owed, key);
    if (key_cmp(key, after) <= 0)
        return;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        key_of(&page->items[middle], other);
        if (key_cmp(other, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > page->limit)
        return;
    if (page->count <= page->limit)
        page->count++;
    memmove(&page->items[low + 1], &page->items[low], (size_t)(page->count - low - 1) * sizeof *page->items);
    page->items[low] = *owed;
}

static enum err_code owe_service(const struct services *services, const struct service *service,
                                 struct deeds *cursor, struct duties_page *page,
                                 const int64_t after[CURSOR_PARTS], struct arena *arena, struct err *err)
{
    const struct rule **held;
    struct duty_of *duties = NULL;
    struct deed_row *deeds;
    int held_count, deeds_count;
    enum err_code rc = rules_of(services->rules, service, arena, &held, &held_count, err);
    if (!rc)
        rc = deeds_of(cursor, service->id, arena, DEEDS_MAX, &deeds, &deeds_count, err);
    if (!rc)
        rc = evaluate_all(held, held_count, service, page->today, deeds, deeds_count, arena, &duties, err);
    for (int i = 0; !rc && i < held_count; i++) {
        const bool overdue = duties[i].answer.overdue > 0;
        if (duties[i].every.by_event)
            continue;
        if (!overdue && !duties[i].answer.due) {
            page->done_total++;
            continue;
        }
        struct duty_owed owed = { duties[i], service->name, duty_day(&duties[i]) };
        page->overdue_total += overdue;
        page->due_total += !overdue;
        page->due_today += !overdue && owed.day <= page->today;
        owed.duty.answer.windows = NULL;
        owed.duty.answer.count = 0;
        if (overdue ? page->overdue : page->due)
            page_put(page, after, &owed);
    }
    return rc;
}

static enum err_code page_end(struct duties_page *page, struct arena *arena, struct err *err)
{
    int64_t key[CURSOR_PARTS];
    page->next = (struct str) { 0 };
    if (page->count > page->limit) {
        page->count = page->limit;
        key_of(&page->items[page->count - 1], key);
        page->next = arena_printf(arena, "%lld.%lld.%lld.%lld", (long long)key[0], (long long)key[1],
                                  (long long)key[2], (long long)key[3]);
        if (!page->next.ptr)
            return err_nomem(err);
    }
    for (int i = 0; i < page->count; i++) {
        page->items[i].service_name = arena_str(arena, page->items[i].service_name);
        if (!page->items[i].service_name.ptr)
            return err_nomem(err);
    }
    return ERR_OK;
}

enum err_code duties_owed(const struct duty_rules *rules, const struct entity_call *call, struct tx *tx,
                          struct duties_page *page, struct err *err)
{
    const struct entity_type *type = entity_type_find(call->entity, "ops.service");
    AUTO(arena_free_auto) struct arena *keep = arena_new(SERVICES_BYTES_MAX);
    AUTO(arena_free_auto) struct arena *arena = arena_new(EVALUATING_BYTES_MAX);
    AUTO(deeds_close_auto) struct deeds *cursor = NULL;
    struct services services = { .rules = rules, .arena = keep };
    struct entity_call reading = *call;
    int64_t after[CURSOR_PARTS];
    page->count = page->due_total = page->overdue_total = page->done_total = page->due_today = 0;
    page->next = (struct str) { 0 };
    page->items = arena_alloc(call->arena, (size_t)page->limit + 1, sizeof *page->items);
    if (!keep || !arena || !page->items)
        return err_nomem(err);
    enum err_code rc = cursor_read(page->after, after, err);
    if (rc || !rules->count || !type)
        return rc;
    reading.arena = arena;
    rc = entity_each(&reading, tx, type, STR(""), add_service, &services, err);
    if (!rc)
        rc = deeds_open(tx, rules->zone, 0, &cursor, err);
    for (int i = 0; !rc && i < services.count; i++) {
        const struct arena_mark mark = arena_mark(arena); /* the next takes the same memory */
        rc = owe_service(&services, &services.items[i], cursor, page, after, arena, err);
        arena_release(arena, mark);
    }
    return rc ? rc : page_end(page, call->arena, err);
}
