/* office.c - one set of compiled calendars at a time, counted by its readers. */
#include "handle/sla/office.h"
#include "base/json.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define CALENDARS_MAX 200
#define CODE_MAX 60
#define RECORDS_BYTES_MAX ((size_t)64 << 20)

struct set {
    struct sla_calendars calendars; /* first: what readers hold */
    int readers;                    /* and one for being the newest */
    int count;
    struct {
        char code[CODE_MAX + 1];
        struct calendar *calendar;
    } items[CALENDARS_MAX];
    struct calendar *always, *office;
};

struct office {
    struct entity *entity;
    const json_t *clocks; /* x-clocks of the first case type that names calendars; borrowed, may be NULL */
    pthread_mutex_t lock;
    struct set *now;
};

/* What the records say, before compiling. */
struct reading {
    struct arena *arena;
    struct findings *findings;
    struct set *set;
    struct calendar_day *days;
    int64_t *day_of; /* id of the calendar, 0 = all */
    struct calendar_key *keys;
    int64_t *key_of;
    int days_count, keys_count;
};

static enum err_code set_new(struct set **out, struct err *err);
static void set_free(struct set *set);
static const struct calendar *set_find(const void *ctx, struct str name);
static enum err_code each_day(void *arg, int64_t id, const json_t *record, struct err *err);
static enum err_code each_key(void *arg, int64_t id, const json_t *record, struct err *err);
static enum err_code each_calendar(void *arg, int64_t id, const json_t *record, struct err *err);
static enum err_code each_row(void *arg, int64_t id, const json_t *record, struct err *err);
static enum err_code each_service(void *arg, int64_t id, const json_t *record, struct err *err);
static enum err_code walk(struct office *office, struct tx *tx, const json_t *clocks, const char *key,
                          bool needed, entity_each_fn each, void *arg, struct err *err);

enum err_code office_new(struct entity *entity, struct office **out_office, struct err *err)
{
    struct office *office = mem_alloc(1, sizeof(*office));
    enum err_code rc = office ? set_new(&office->now, err) : err_nomem(err);
    if (rc) {
        mem_free(office);
        return rc;
    }
    office->entity = entity;
    for (int i = 0; i < types_count(entity_types(entity)); i++) {
        const struct entity_type *type = types_at(entity_types(entity), i);
        if (!office->clocks && type->kind == TYPE_CASE && json_object_get(type->clocks, "calendars"))
            office->clocks = type->clocks;
    }
    (void)pthread_mutex_init(&office->lock, NULL);
    *out_office = office;
    return ERR_OK;
}

void office_free(struct office *office)
{
    if (!office)
        return;
    assert(office->now->readers == 1);
    set_free(office->now);
    (void)pthread_mutex_destroy(&office->lock);
    mem_free(office);
}

enum err_code office_load(struct office *office, struct tx *tx, struct findings *findings, struct err *err)
{
    struct reading reading = { .arena = tx_arena(tx), .findings = findings };
    struct set *old;
    enum err_code rc;
    if (!office->clocks)
        return ERR_OK;
    reading.days = arena_alloc(reading.arena, CALENDAR_DAYS_MAX, sizeof(*reading.days));
    reading.day_of = arena_alloc(reading.arena, CALENDAR_DAYS_MAX, sizeof(*reading.day_of));
    reading.keys = arena_alloc(reading.arena, CALENDAR_KEYS_MAX, sizeof(*reading.keys));
    reading.key_of = arena_alloc(reading.arena, CALENDAR_KEYS_MAX, sizeof(*reading.key_of));
    if (!reading.days || !reading.day_of || !reading.keys || !reading.key_of)
        return err_nomem(err);
    rc = set_new(&reading.set, err);
    if (rc)
        return rc;
    rc = walk(office, tx, office->clocks, "days", false, each_day, &reading, err);
    if (!rc)
        rc = walk(office, tx, office->clocks, "keys", false, each_key, &reading, err);
    if (!rc)
        rc = walk(office, tx, office->clocks, "calendars", true, each_calendar, &reading, err);
    if (rc) {
        set_free(reading.set);
        return err_in(err, "calendar.load");
    }
    if (set_find(reading.set, STR("5x8")))
        reading.set->calendars.office = set_find(reading.set, STR("5x8"));
    (void)pthread_mutex_lock(&office->lock);
    old = office->now;
    office->now = reading.set;
    if (--old->readers > 0)
        old = NULL; /* the last reader frees it */
    (void)pthread_mutex_unlock(&office->lock);
    set_free(old);
    return ERR_OK;
}

const struct sla_calendars *office_get(struct office *office)
{
    struct set *set;
    (void)pthread_mutex_lock(&office->lock);
    set = office->now;
    set->readers++;
    (void)pthread_mutex_unlock(&office->lock);
    return &set->calendars;
}

void office_put(struct office *office, const struct sla_calendars *calendars)
{
    struct set *set = (struct set *)(uintptr_t)calendars;
    (void)pthread_mutex_lock(&office->lock);
    if (--set->readers > 0)
        set = NULL;
    (void)pthread_mutex_unlock(&office->lock);
    set_free(set);
}

enum err_code office_matrix(struct office *office, struct tx *tx, const struct entity_type *type,
                            json_t **out, struct err *err)
{
    json_t *snapshot = json_pack("{s:[],s:{}}", "rows", "services");
    enum err_code rc = snapshot ? ERR_OK : err_nomem(err);
    if (!rc && type->clocks)
        rc = walk(office, tx, type->clocks, "matrix", true, each_row, json_object_get(snapshot, "rows"), err);
    if (!rc && type->clocks)
        rc = walk(office, tx, type->clocks, "services", true, each_service,
                  json_object_get(snapshot, "services"), err);
    if (rc) {
        json_decref(snapshot);
        return err_in(err, "sla.matrix");
    }
    *out = snapshot;
    return ERR_OK;
}

enum err_code office_level(const struct entity_type *type, const json_t *snapshot, int64_t service, int grade,
                           struct arena *arena, struct str *out_level, struct err *err)
{
    char key[16], id[24];
    const json_t *wanted;
    struct sla_matrix *matrix = NULL;
    struct str levels[64], found = { 0 };
    int count;
    enum err_code rc;
    (void)snprintf(key, sizeof(key), "%d", grade);
    (void)snprintf(id, sizeof(id), "%lld", (long long)service);
    wanted = json_object_get(json_object_get(type->clocks, "grades"), key);
    if (!json_array_size(wanted)) {
        *out_level = arena_str(arena, str_from(key));
        return out_level->ptr ? ERR_OK : err_nomem(err);
    }
    rc = sla_matrix_new(snapshot, &matrix, err);
    if (rc)
        return rc;
    count = sla_matrix_levels(matrix, str_from(id), levels, 64);
    for (size_t i = 0; !found.ptr && i < json_array_size(wanted); i++)
        for (int k = 0; k < count; k++)
            if (str_eq(levels[k], str_from(json_string_value(json_array_get(wanted, i)))))
                found = levels[k];
    if (!found.ptr)
        found = str_from(json_string_value(json_array_get(wanted, 0)));
    *out_level = arena_str(arena, found);
    sla_matrix_free(matrix);
    return out_level->ptr ? ERR_OK : err_nomem(err);
}

bool office_cares(const struct office *office, struct str type)
{
    static const char *const keys[] = { "calendars", "days", "keys" };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *name = json_string_value(json_object_get(office->clocks, keys[i]));
        if (name && str_eq(type, str_from(name)))
            return true;
    }
    return false;
}

static enum err_code set_new(struct set **out, struct err *err)
{
    const struct calendar_spec always = { .always = true };
    const struct calendar_spec hours = { .hours = STR(CALENDAR_OFFICE_HOURS), .holidays_cn = true };
    struct set *set = mem_alloc(1, sizeof(*set));
    enum err_code rc = set ? ERR_OK : err_nomem(err);
    if (!rc)
        rc = calendar_new(&always, &set->always, err);
    if (!rc)
        rc = calendar_new(&hours, &set->office, err);
    if (rc) {
        set_free(set);
        return rc;
    }
    set->readers = 1;
    set->calendars = (struct sla_calendars) { set->always, set->office, set_find, set };
    *out = set;
    return ERR_OK;
}

static void set_free(struct set *set)
{
    if (!set)
        return;
    for (int i = 0; i < set->count; i++)
        calendar_free(set->items[i].calendar);
    calendar_free(set->always);
    calendar_free(set->office);
    mem_free(set);
}

static const struct calendar *set_find(const void *ctx, struct str name)
{
    const struct set *set = ctx;
    for (int i = 0; i < set->count; i++)
        if (str_eq(name, str_from(set->items[i].code)))
            return set->items[i].calendar;
    return NULL;
}

/* A faulty record is a finding, not the end of all calendars. */
static void faulty(struct reading *reading, const struct err *err)
{
    if (reading->findings)
        findings_add(reading->findings, err);
}

static enum err_code each_day(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct reading *reading = arg;
    struct calendar_day *day = &reading->days[reading->days_count];
    struct err one;
    (void)id;
    if (reading->days_count == CALENDAR_DAYS_MAX)
        return err_set(err, ERR_LIMIT, "calendar.too_large", ARG_END);
    if (day_parse(record_str(record, "day"), &day->day, &one)) {
        faulty(reading, &one);
        return ERR_OK;
    }
    day->hours = arena_str(reading->arena, record_str(record, "hours"));
    reading->day_of[reading->days_count++] = record_id(record, "calendar");
    return day->hours.ptr ? ERR_OK : err_nomem(err);
}

static enum err_code each_key(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct reading *reading = arg;
    struct calendar_key *key = &reading->keys[reading->keys_count];
    struct err one;
    (void)id;
    if (reading->keys_count == CALENDAR_KEYS_MAX)
        return err_set(err, ERR_LIMIT, "calendar.too_large", ARG_END);
    if (day_parse(record_str(record, "first_day"), &key->first_day, &one) ||
        day_parse(record_str(record, "last_day"), &key->last_day, &one)) {
        faulty(reading, &one);
        return ERR_OK;
    }
    key->name = arena_str(reading->arena, record_str(record, "name"));
    reading->key_of[reading->keys_count++] = record_id(record, "calendar");
    return key->name.ptr ? ERR_OK : err_nomem(err);
}

/* Compiles one calendar with the days and key periods that are its own or everybody's. */
static enum err_code each_calendar(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct reading *reading = arg;
    struct calendar_day *days = arena_alloc(reading->arena, (size_t)reading->days_count + 1, sizeof(*days));
    struct calendar_key *keys = arena_alloc(reading->arena, (size_t)reading->keys_count + 1, sizeof(*keys));
    const struct str code = record_str(record, "code");
    struct calendar_spec spec = { .zone = record_str(record, "zone"),
                                  .always = record_bool(record, "always"),
                                  .hours = record_str(record, "hours"),
                                  .holidays_cn = record_bool(record, "holidays"),
                                  .days = days,
                                  .keys = keys };
    struct calendar *calendar = NULL;
    struct err one;
    enum err_code rc;
    if (!days || !keys)
        return err_nomem(err);
    if (reading->set->count == CALENDARS_MAX || code.len > CODE_MAX)
        return err_set(err, ERR_LIMIT, "calendar.too_large", ARG_END);
    for (int own = 0; own < 2; own++) /* everybody's first, so that the calendar's own win */
        for (int i = 0; i < reading->days_count; i++)
            if (reading->day_of[i] == (own ? id : 0))
                days[spec.days_count++] = reading->days[i];
    for (int i = 0; i < reading->keys_count; i++)
        if (!reading->key_of[i] || reading->key_of[i] == id)
            keys[spec.keys_count++] = reading->keys[i];
    rc = calendar_new(&spec, &calendar, &one);
    if (rc == ERR_INVALID || rc == ERR_LIMIT) {
        faulty(reading, &one);
        return ERR_OK;
    }
    if (rc)
        return err_nomem(err);
    (void)snprintf(reading->set->items[reading->set->count].code, CODE_MAX + 1, "%.*s", STR_ARG(code));
    reading->set->items[reading->set->count++].calendar = calendar;
    return ERR_OK;
}

static enum err_code each_row(void *arg, int64_t id, const json_t *record, struct err *err)
{
    json_t *limits = json_object(), *row, *workaround;
    const struct str service = record_str(record, "service"), general = record_str(record, "general_table");
    const struct str level = record_str(record, "level"), calendar = record_str(record, "calendar");
    char text[24], field[32];
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        const json_t *minutes;
        (void)snprintf(field, sizeof(field), "%s_min", sla_clock_name((enum sla_clock)c));
        minutes = json_object_get(record, field);
        if (json_is_integer(minutes))
            (void)json_object_set_new(limits, sla_clock_name((enum sla_clock)c),
                                      json_integer(json_integer_value(minutes)));
    }
    (void)snprintf(text, sizeof(text), "%lld", (long long)id);
    row = json_pack("{s:s,s:s%,s:s%,s:s%,s:o}", "id", text, "service",
                    service.len ? service.ptr : general.ptr, service.len ? service.len : general.len, "level",
                    level.ptr, level.len, "calendar", calendar.ptr, calendar.len, "limits", limits);
    if (!row)
        return err_nomem(err);
    workaround = json_object_get(record, "workaround");
    if (json_is_boolean(workaround))
        (void)json_object_set(row, "workaround", workaround);
    return json_array_append_new(arg, row) ? err_nomem(err) : ERR_OK;
}

static enum err_code each_service(void *arg, int64_t id, const json_t *record, struct err *err)
{
    const struct str general = record_str(record, "general_table"),
                     calendar = record_str(record, "support_calendar");
    char text[24];
    json_t *service = json_object();
    if (!general.len && !calendar.len) {
        json_decref(service);
        return ERR_OK;
    }
    if (general.len)
        (void)json_object_set_new(service, "general", json_str(general));
    if (calendar.len)
        (void)json_object_set_new(service, "calendar", json_str(calendar));
    (void)snprintf(text, sizeof(text), "%lld", (long long)id);
    return json_object_set_new(arg, text, service) ? err_nomem(err) : ERR_OK;
}

/* The records have an arena of their own: entity_each() takes it back after each, and what a reader keeps
 * must not lie there. */
static enum err_code walk(struct office *office, struct tx *tx, const json_t *clocks, const char *key,
                          bool needed, entity_each_fn each, void *arg, struct err *err)
{
    const char *name = json_string_value(json_object_get(clocks, key));
    const struct entity_type *type = name ? entity_type_find(office->entity, name) : NULL;
    const struct entity_call call = { .entity = office->entity,
                                      .arena = type ? arena_new(RECORDS_BYTES_MAX) : NULL };
    enum err_code rc;
    if (!type)
        return needed
                   ? err_set(err, ERR_NOT_FOUND, "sla.no_type", ARG_TEXT("type", name ? name : key), ARG_END)
                   : ERR_OK;
    rc = call.arena ? entity_each(&call, tx, type, (struct str) { 0 }, each, arg, err) : err_nomem(err);
    arena_free(call.arena);
    return rc;
}
