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

void json_put_err(const struct err *failure, struct buf *out)
{
    buf_text(out, "{\"code\":");
    buf_json(out, str_from(err_name(failure->code)));
    buf_text(out, ",\"id\":");
    buf_json(out, str_from(failure->id ? failure->id : ""));
    buf_text(out, ",\"args\":{");
    for (int i = 0; i < ERR_ARGS_MAX && failure->args[i].name; i++) {
        if (i)
            buf_char(out, ',');
        buf_json(out, str_from(failure->args[i].name));
        buf_char(out, ':');
        if (failure->args[i].is_text)
            buf_json(out, str_from(failure->args[i].text));
        else
            buf_i64(out, failure->args[i].number);
    }
    buf_char(out, '}');
    if (failure->at.line) {
        buf_printf(out, ",\"at\":{\"line\":%d,\"column\":%d,\"pointer\":", failure->at.line,
                   failure->at.column);
        buf_json(out, str_from(failure->at.pointer));
        buf_char(out, '}');
    }
    buf_char(out, '}');
}

bool json_read_err(struct str text, struct arena *arena, struct err *out)
{
    json_t *json = text.len ? json_loadb(text.ptr, text.len, 0, NULL) : NULL, *value;
    const json_t *at = json_object_get(json, "at");
    const char *id = json_string_value(json_object_get(json, "id")), *name;
    int count = 0;
    struct err err = { .code = ERR_INTERNAL };
    err.id = id && *id ? arena_str(arena, str_from(id)).ptr : NULL;
    json_object_foreach(json_object_get(json, "args"), name, value)
    {
        if (count == ERR_ARGS_MAX)
            break;
        struct err_arg *arg = &err.args[count++];
        arg->name = arena_str(arena, str_from(name)).ptr;
        arg->is_text = json_is_string(value);
        arg->number = json_integer_value(value);
        if (arg->is_text)
            (void)snprintf(arg->text, sizeof arg->text, "%s", json_string_value(value));
    }
    err.at.line = (int)json_integer_value(json_object_get(at, "line"));
    err.at.column = (int)json_integer_value(json_object_get(at, "column"));
    const char *pointer = json_string_value(json_object_get(at, "pointer"));
    (void)snprintf(err.at.pointer, sizeof err.at.pointer, "%s", pointer ? pointer : "");
    json_decref(json);
    if (err.id)
        *out = err;
    return err.id != NULL;
}
