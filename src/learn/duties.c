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

struct gathering {
    const struct entity_call *call;
    int64_t service_id, service_start, today;
    struct str general_inspection, general_table; /* which general rules hold; empty: none */
    struct duty_of *duties;
    int count;
    int64_t starts[DUTIES_MAX], ends[DUTIES_MAX];
    bool own_inspection; /* with an interval */
};

static int64_t day_field(const json_t *record, const char *field, int64_t otherwise)
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

static bool holds(const struct gathering *gathering, const json_t *record, bool inspection)
{
    const struct str general = record_str(record, "general");
    if (record_id(record, "service"))
        return record_id(record, "service") == gathering->service_id;
    return general.len &&
           str_eq(general, inspection ? gathering->general_inspection : gathering->general_table);
}

static enum err_code add_duty(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct gathering *gathering = arg;
    struct arena *arena = gathering->call->arena;
    const bool inspection = str_eq(record_str(record, "kind"), STR("inspection"));
    if (!holds(gathering, record, inspection))
        return ERR_OK;
    if (gathering->count == DUTIES_MAX)
        return err_set(err, ERR_LIMIT, "learn.duties_max", ARG_INT("max", DUTIES_MAX), ARG_END);
    struct duty_of *duty = &gathering->duties[gathering->count];
    const enum err_code rc = duty_interval_parse(record_str(record, "interval"), &duty->every, err);
    if (rc)
        return ERR_OK; /* the record's pattern lets none in */
    duty->id = id;
    duty->service = gathering->service_id;
    duty->inspection = inspection;
    duty->general = record_id(record, "service") == 0;
    duty->name = arena_str(arena, record_str(record, "name"));
    duty->interval = arena_str(arena, record_str(record, "interval"));
    duty->code = arena_str(arena, record_str(record, "code"));
    if (!duty->name.ptr || !duty->interval.ptr || !duty->code.ptr)
        return err_nomem(err);
    gathering->own_inspection |= inspection && !duty->general && !duty->every.by_event;
    gathering->starts[gathering->count] = day_field(record, "starts_on", gathering->service_start);
    gathering->ends[gathering->count] = day_field(record, "ends_on", INT64_MAX);
    gathering->count++;
    return ERR_OK;
}

/* A stated interval of the service's own overrides the general one. */
static void drop_overridden(struct gathering *gathering)
{
    int kept = 0;
    for (int i = 0; i < gathering->count; i++) {
        if (gathering->duties[i].inspection && gathering->duties[i].general && gathering->own_inspection)
            continue;
        gathering->duties[kept] = gathering->duties[i];
        gathering->starts[kept] = gathering->starts[i];
        gathering->ends[kept++] = gathering->ends[i];
    }
    gathering->count = kept;
}

static enum err_code evaluate(struct gathering *gathering, const struct deed_row *deeds, int deeds_count,
                              struct err *err)
{
    struct arena *arena = gathering->call->arena;
    int64_t *days = arena_alloc(arena, (size_t)deeds_count, sizeof *days);
    if (!days)
        return err_nomem(err);
    for (int i = 0; i < gathering->count; i++) {
        struct duty_of *duty = &gathering->duties[i];
        int count = 0;
        for (int d = 0; d < deeds_count; d++)
            if (deeds[d].duty == duty->id)
                days[count++] = deeds[d].day;
        duty->events = duty->every.by_event ? count : 0;
        const enum err_code rc = duty_evaluate(&duty->every, gathering->starts[i], gathering->ends[i],
                                               gathering->today, days, count, arena, &duty->answer, err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

enum err_code duties_of(const struct entity_call *call, struct tx *tx, const json_t *service,
                        int64_t service_id, int64_t today, struct duty_of **out, int *out_count,
                        struct err *err)
{
    const struct entity_type *type = entity_type_find(call->entity, "ops.duty");
    struct gathering *gathering = arena_alloc(call->arena, 1, sizeof *gathering);
    struct deed_row *deeds = arena_alloc(call->arena, DEEDS_MAX, sizeof *deeds);
    int deeds_count = 0;
    *out_count = 0;
    if (!gathering || !deeds)
        return err_nomem(err);
    gathering->duties = arena_alloc(call->arena, DUTIES_MAX, sizeof *gathering->duties);
    if (!gathering->duties)
        return err_nomem(err);
    if (!type || !entity_type_find(call->entity, "ops.deed"))
        return ERR_OK; /* without the pack nothing is owed */
    gathering->call = call;
    gathering->service_id = service_id;
    gathering->today = today;
    gathering->service_start = day_field(service, "valid_from", day_of(ids_instant_ms(service_id)));
    gathering->general_inspection = inspection_rule(service);
    gathering->general_table = record_str(service, "general_table");
    enum err_code rc = entity_each(call, tx, type, STR(""), add_duty, gathering, err);
    if (!rc)
        rc = deed_rows(tx, service_id, deeds, DEEDS_MAX, &deeds_count, err);
    if (rc)
        return rc;
    drop_overridden(gathering);
    rc = evaluate(gathering, deeds, deeds_count, err);
    *out = gathering->duties;
    *out_count = gathering->count;
    return rc;
}
