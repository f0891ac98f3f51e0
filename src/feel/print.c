/* print.c - values as text and as JSON.  Depth and steps are bounded, since parts may be shared. */
#include "feel/node.h"
#include "feel/temporal.h"

#define DEPTH_MAX 200
#define JSON_NODES_MAX 2000000

static void print(struct buf *buf, const struct feel_value *v, int depth);

static void print_quoted(struct buf *buf, struct str text)
{
    buf_char(buf, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            buf_char(buf, '\\');
        buf_char(buf, text.ptr[i]);
    }
    buf_char(buf, '"');
}

/* A key that reads as a name stands bare. */
static bool bare(struct str key)
{
    size_t at = 0;
    if (!key.len)
        return false;
    while (at < key.len) {
        const bool first = at == 0;
        const int32_t c = utf8_next(key, &at);
        if (c < 0 || (first ? !name_start(c) : !name_part(c) && c != ' '))
            return false;
    }
    return key.ptr[key.len - 1] != ' ';
}

static void print_number(struct buf *buf, struct decimal number)
{
    char text[128];
    buf_add(buf, text, decimal_text(number, text, sizeof text));
}

static void print_range(struct buf *buf, const struct feel_range *range, int depth)
{
    if (range->low_none || range->high_none) {
        buf_text(buf,
                 range->low_none ? (range->high_closed ? "<= " : "< ") : (range->low_closed ? ">= " : "> "));
        print(buf, range->low_none ? &range->high : &range->low, depth + 1);
        return;
    }
    buf_char(buf, range->low_closed ? '[' : '(');
    print(buf, &range->low, depth + 1);
    buf_text(buf, "..");
    print(buf, &range->high, depth + 1);
    buf_char(buf, range->high_closed ? ']' : ')');
}

/* Everything but lists and contexts; strings without quotes. */
static void print_simple(struct buf *buf, const struct feel_value *v)
{
    switch (v->kind) {
    case FEEL_BOOLEAN:
        buf_text(buf, v->boolean ? "true" : "false");
        break;
    case FEEL_NUMBER:
        print_number(buf, v->number);
        break;
    case FEEL_STRING:
        buf_str(buf, v->string);
        break;
    case FEEL_DATE:
        date_print(buf, v->date);
        break;
    case FEEL_TIME:
        time_print(buf, v->moment);
        break;
    case FEEL_DATE_TIME:
        date_time_print(buf, v->moment);
        break;
    case FEEL_DAYS_DURATION:
        days_print(buf, v->days);
        break;
    case FEEL_MONTHS_DURATION:
        months_print(buf, v->months);
        break;
    case FEEL_RANGE:
        print_range(buf, v->range, 0);
        break;
    case FEEL_FUNCTION:
        buf_text(buf, "function");
        break;
    case FEEL_NULL:
    case FEEL_LIST:
    case FEEL_CONTEXT:
    case FEEL__COUNT:
        buf_text(buf, "null");
        break;
    }
}

static void print(struct buf *buf, const struct feel_value *v, int depth)
{
    if (depth > DEPTH_MAX || buf->failed) {
        buf_text(buf, "...");
        return;
    }
    if (v->kind == FEEL_LIST) {
        buf_char(buf, '[');
        for (size_t i = 0; i < v->list.count && !buf->failed; i++) {
            buf_text(buf, i ? ", " : "");
            print(buf, &v->list.items[i], depth + 1);
        }
        buf_char(buf, ']');
    } else if (v->kind == FEEL_CONTEXT) {
        buf_char(buf, '{');
        for (size_t i = 0; i < v->context.count && !buf->failed; i++) {
            const struct feel_entry *entry = &v->context.entries[i];
            buf_text(buf, i ? ", " : "");
            if (bare(entry->key))
                buf_str(buf, entry->key);
            else
                print_quoted(buf, entry->key);
            buf_text(buf, ": ");
            print(buf, &entry->value, depth + 1);
        }
        buf_char(buf, '}');
    } else if (v->kind == FEEL_STRING) {
        print_quoted(buf, v->string);
    } else if (v->kind == FEEL_RANGE) {
        print_range(buf, v->range, depth);
    } else {
        print_simple(buf, v);
    }
}

void feel_print(struct buf *buf, const struct feel_value *value)
{
    if (value->kind == FEEL_LIST || value->kind == FEEL_CONTEXT)
        print(buf, value, 0);
    else
        print_simple(buf, value);
}

/* ---------------------------------------------------------------- JSON text */

static void print_json(struct buf *buf, const struct feel_value *v, int depth)
{
    if (depth > DEPTH_MAX || buf->failed) {
        buf_text(buf, "null");
        return;
    }
    switch (v->kind) {
    case FEEL_NULL:
    case FEEL__COUNT:
        buf_text(buf, "null");
        break;
    case FEEL_BOOLEAN:
    case FEEL_NUMBER:
        print_simple(buf, v);
        break;
    case FEEL_STRING:
        buf_json(buf, v->string);
        break;
    case FEEL_LIST:
        buf_char(buf, '[');
        for (size_t i = 0; i < v->list.count && !buf->failed; i++) {
            buf_text(buf, i ? "," : "");
            print_json(buf, &v->list.items[i], depth + 1);
        }
        buf_char(buf, ']');
        break;
    case FEEL_CONTEXT:
        buf_char(buf, '{');
        for (size_t i = 0; i < v->context.count && !buf->failed; i++) {
            buf_text(buf, i ? "," : "");
            buf_json(buf, v->context.entries[i].key);
            buf_char(buf, ':');
            print_json(buf, &v->context.entries[i].value, depth + 1);
        }
        buf_char(buf, '}');
        break;
    case FEEL_DATE:
    case FEEL_TIME:
    case FEEL_DATE_TIME:
    case FEEL_DAYS_DURATION:
    case FEEL_MONTHS_DURATION:
    case FEEL_RANGE:
    case FEEL_FUNCTION: {
        struct buf text;
        buf_init(&text, buf->max);
        print_simple(&text, v);
        if (text.failed)
            buf->failed = text.failed;
        buf_json(buf, buf_get(&text));
        buf_done(&text);
        break;
    }
    }
}

void feel_print_json(struct buf *buf, const struct feel_value *value)
{
    print_json(buf, value, 0);
}
