/* record.c - see record.h */
#include "warn/record.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *name;
    size_t offset;
} NUMBERS[] = {
#define N(field)                                                                                             \
    {                                                                                                        \
#field, offsetof(struct alarm, field)                                                                \
    }
    N(id),        N(subject), N(source),     N(service),  N(org),      N(hold_by), N(count),
    N(opened_ms), N(last_ms), N(cleared_ms), N(acked_ms), N(acked_by), N(told_ms), N(closed_ms),
#undef N
};

static int64_t *number(struct alarm *alarm, size_t i)
{
    return (int64_t *)(void *)((char *)alarm + NUMBERS[i].offset);
}

static int64_t number_of(const struct alarm *alarm, size_t i)
{
    int64_t value;
    memcpy(&value, (const char *)alarm + NUMBERS[i].offset, sizeof value);
    return value;
}

void alarm_record_put(struct buf *out, const struct alarm_record *record)
{
    const struct alarm *alarm = &record->alarm;
    buf_printf(
        out, "{\"i\":%" PRId64 ",\"e\":\"%s\",\"f\":%d,\"s\":%d,\"at\":%" PRId64 ",\"by\":%" PRId64 ",\"t\":",
        record->id, alarm_event_name(record->event), record->first, record->snapshot, record->at_ms,
        record->by);
    buf_json(out, str_from(record->text));
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        buf_printf(out, ",\"%s\":%" PRId64, NUMBERS[i].name, number_of(alarm, i));
    buf_printf(out, ",\"grade\":%d,\"escalated\":%d,\"state\":\"%s\",\"hold\":\"%s\",\"key\":", alarm->grade,
               alarm->escalated, alarm_state_name(alarm->state), alarm_hold_name(alarm->hold));
    buf_json(out, str_from(alarm->key));
    buf_text(out, ",\"title\":");
    buf_json(out, str_from(alarm->title));
    buf_text(out, ",\"value\":");
    buf_json(out, str_from(alarm->value));
    buf_text(out, ",\"flaps\":[");
    for (int i = 0; i < alarm->flaps_count; i++)
        buf_printf(out, "%s%" PRId64, i ? "," : "", alarm->flaps[i]);
    buf_text(out, "]}");
}

static void get_text(const json_t *json, const char *name, char *out, size_t max)
{
    const char *text = json_string_value(json_object_get(json, name));
    (void)snprintf(out, max + 1, "%s", text ? text : "");
}

static int64_t get_i64(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static int get_name(const json_t *json, const char *name, int (*from)(struct str))
{
    return from(str_from(json_string_value(json_object_get(json, name))));
}

enum err_code alarm_record_get(struct str bytes, struct alarm_record *out, struct err *err)
{
    json_error_t where;
    json_t *json = json_loadb(bytes.ptr, bytes.len, 0, &where);
    struct alarm_record record = { 0 };
    struct alarm *alarm = &record.alarm;
    const int event = get_name(json, "e", alarm_event_from),
              state = get_name(json, "state", alarm_state_from),
              hold = get_name(json, "hold", alarm_hold_from);
    if (event < 0 || state < 0 || hold < 0) {
        json_decref(json);
        return err_set(err, ERR_CORRUPT, "warn.record", ARG_END);
    }
    record.id = get_i64(json, "i");
    record.event = (enum alarm_event)event;
    record.first = get_i64(json, "f") != 0;
    record.snapshot = get_i64(json, "s") != 0;
    record.at_ms = get_i64(json, "at");
    record.by = get_i64(json, "by");
    get_text(json, "t", record.text, ALARM_TITLE_MAX);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        *number(alarm, i) = get_i64(json, NUMBERS[i].name);
    alarm->grade = (int)get_i64(json, "grade");
    alarm->escalated = (int)get_i64(json, "escalated");
    alarm->state = (enum alarm_state)state;
    alarm->hold = (enum alarm_hold)hold;
    get_text(json, "key", alarm->key, ALARM_KEY_MAX);
    get_text(json, "title", alarm->title, ALARM_TITLE_MAX);
    get_text(json, "value", alarm->value, ALARM_VALUE_MAX);
    const json_t *flaps = json_object_get(json, "flaps");
    for (size_t i = 0; i < json_array_size(flaps) && i < ALARM_FLAPS_MAX; i++)
        alarm->flaps[alarm->flaps_count++] = json_integer_value(json_array_get(flaps, i));
    json_decref(json);
    *out = record;
    return ERR_OK;
}

json_t *alarm_json(const struct alarm *alarm)
{
    return json_pack("{s:o,s:s,s:o,s:o,s:o,s:o,s:i,s:s,s:s,s:s,s:s,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:b}",
                     "id", json_id(alarm->id), "key", alarm->key, "subject", json_id(alarm->subject),
                     "source", json_id(alarm->source), "service", json_id(alarm->service), "org",
                     json_id(alarm->org), "grade", alarm->grade, "title", alarm->title, "value", alarm->value,
                     "state", alarm_state_name(alarm->state), "hold", alarm_hold_name(alarm->hold), "hold_by",
                     json_id(alarm->hold_by), "count", (json_int_t)alarm->count, "opened_at",
                     json_instant(alarm->opened_ms), "last_at", json_instant(alarm->last_ms), "cleared_at",
                     json_instant(alarm->cleared_ms), "acked_at", json_instant(alarm->acked_ms), "acked_by",
                     json_id(alarm->acked_by), "closed_at", json_instant(alarm->closed_ms), "escalated",
                     alarm->escalated != 0);
}
