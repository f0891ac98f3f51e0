/* json.c - see json.h */
#include "base/json.h"
#include "base/calendar.h"

#include <inttypes.h>
#include <stdio.h>

json_t *json_id(int64_t id)
{
    char text[24];
    if (!id)
        return json_null();
    const int len = snprintf(text, sizeof text, "%" PRId64, id);
    return json_stringn(text, (size_t)len);
}

json_t *json_instant(int64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    if (!ms || ms == CALENDAR_NEVER)
        return json_null();
    return json_stringn(text, clock_text(ms, CLOCK_SHOWN_MINUTES, text));
}

json_t *json_day(int64_t day)
{
    char text[DAY_TEXT_SIZE];
    if (day < days_from_civil(1, 1, 1) || day > days_from_civil(9999, 12, 31))
        return json_null();
    day_text(day, text);
    return json_string(text);
}

json_t *json_str(struct str text)
{
    return json_stringn(text.ptr ? text.ptr : "", text.len);
}

json_t *json_str_or_null(struct str text)
{
    return text.len ? json_str(text) : json_null();
}

int64_t json_to_id(const json_t *value)
{
    int64_t id = 0;
    return str_i64(json_to_str(value), &id) && id > 0 ? id : 0;
}

struct str json_to_str(const json_t *value)
{
    return (struct str) { json_string_value(value), json_string_length(value) };
}

int64_t json_get_id(const json_t *object, const char *field)
{
    return json_to_id(json_object_get(object, field));
}

struct str json_get_str(const json_t *object, const char *field)
{
    return json_to_str(json_object_get(object, field));
}
