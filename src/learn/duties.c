/* duties.c - see duties.h */
#include "learn/duties.h"
#include "base/clock.h"
#include "learn/duties_sql.h"

#define DEEDS_MAX 100000
#define CHINA_MS INT64_C(28800000)
#define DAY_MS INT64_C(86400000)

int64_t day_of(int64_t ms)
{
    const int64_t local = ms + CHINA_MS;
    return local / DAY_MS - (local % DAY_MS < 0);
}

struct rule {
    int64_t id, service;
    int64_t starts, ends; /* days; INT64_MIN where the service's start counts */
    struct str general, name, interval, code;
    struct duty_interval every;
    bool inspection;
};

struct duty_rules {
    struct arena *arena; /* of the rules' texts */
    struct rule *items;
    int count, size;
};

int64_t day_field(const json_t *record, const char *field, int64_t otherwise)
{
    const struct str text = record_str(record, field); /* YYYY-MM-DD, checked when it was written */
    int64_t year, month, day;
    if (text.len != 10 || !str_i64(str_slice(text, 0, 4), &year) || !str_i64(str_slice(text, 5, 7), &month) ||
        !str_i64(str_slice(text, 8, 10), &day))
        return otherwise;
    return days_from_civil(year, (int)month, (int)day);
}

/* The general inspection rule for a service of that importance. */
static struct str inspection_rule(const json_t *service)
{
    const struct str importance = record_str(service, "importance"),
                     table = record_str(service, "general_table");
    if (str_eq(table, STR("*wx")))
        return table;
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

enum err_code duty_rules_load(const struct entity_call *call, struct tx *tx, struct duty_rules **out,
                              struct err *err)
{
    const struct entity_type *type = entity_type_find(call->entity, "ops.duty");
    struct duty_rules *rules = arena_alloc(call->arena, 1, sizeof *rules);
    /* entity_each() gives back what a record took before it reads the next: what stays lies in another arena
     */
    AUTO(arena_free_auto) struct arena *scratch = arena_new((size_t)16 << 20);
    if (!rules || !scratch)
        return err_nomem(err);
    rules->arena = call->arena;
    struct entity_call reading = *call;
    reading.arena = scratch;
    const bool there =
        type && entity_type_find(call->entity, "ops.deed"); /* without the pack nothing is owed */
    const enum err_code rc = there ? entity_each(&reading, tx, type, STR(""), add_rule, rules, err) : ERR_OK;
    if (!rc)
        *out = rules;
    return rc;
}

static bool holds(const struct rule *rule, int64_t service, struct str inspections, struct str table)
{
    if (rule->service)
        return rule->service == service;
    return rule->general.len && str_eq(rule->general, rule->inspection ? inspections : table);
}

static enum err_code evaluate(const struct rule *rule, int64_t service, int64_t service_start, int64_t today,
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
                              .service = service,
                              .inspection = rule->inspection,
                              .general = rule->service == 0,
                              .name = rule->name,
                              .interval = rule->interval,
                              .code = rule->code,
                              .every = rule->every,
                              .events = rule->every.by_event ? count : 0 };
    return duty_evaluate(&rule->every, rule->starts == INT64_MIN ? service_start : rule->starts, rule->ends,
                         today, days, count, arena, &out->answer, err);
}

enum err_code duties_of(const struct duty_rules *rules, struct tx *tx, const json_t *service,
                        int64_t service_id, int64_t today, struct arena *arena, struct duty_of **out,
                        int *out_count, struct err *err)
{
    const struct str inspections = inspection_rule(service), table = record_str(service, "general_table");
    const int64_t start = day_field(service, "valid_from", day_of(ids_instant_ms(service_id)));
    const struct rule **held = arena_alloc(arena, (size_t)rules->count, sizeof *held);
    struct deed_row *deeds = NULL;
    int held_count = 0, deeds_count = 0, count = 0;
    bool own_inspection = false; /* with an interval: overrides the general one */
    *out_count = 0;
    if (!held)
        return err_nomem(err);
    for (int i = 0; i < rules->count; i++)
        if (holds(&rules->items[i], service_id, inspections, table)) {
            const struct rule *rule = held[held_count++] = &rules->items[i];
            own_inspection |= rule->service && rule->inspection && !rule->every.by_event;
        }
    struct duty_of *duties = arena_alloc(arena, (size_t)held_count, sizeof *duties);
    enum err_code rc = duties ? ERR_OK : err_nomem(err);
    if (!rc && held_count)
        rc = deed_rows(tx, service_id, arena, DEEDS_MAX, &deeds, &deeds_count, err);
    for (int i = 0; i < held_count && !rc; i++) {
        if (held[i]->inspection && !held[i]->service && own_inspection)
            continue;
        rc = evaluate(held[i], service_id, start, today, deeds, deeds_count, arena, &duties[count++], err);
    }
    if (rc)
        return rc;
    *out = duties;
    *out_count = count;
    return ERR_OK;
}
