/* csv.c - see csv.h */
#include "base/csv.h"

void csv_init(struct csv *csv, struct str text)
{
    *csv = (struct csv) { .text = text, .separator = ',', .line = 1 };
    if (str_starts(text, STR("\xef\xbb\xbf")))
        csv->at = 3;
}

static int column_of(struct str text, size_t line_start, size_t at)
{
    int column = 1;
    for (size_t i = line_start; i < at; i++)
        if (((unsigned char)text.ptr[i] & 0xc0) != 0x80)
            column++;
    return column;
}

static enum err_code csv_fault(const struct csv *csv, size_t line_start, size_t at, const char *id,
                               struct err *err)
{
    (void)err_set(err, ERR_INVALID, id, ARG_END);
    (void)err_at(err, csv->line, column_of(csv->text, line_start, at));
    return ERR_INVALID;
}

/* The quoted field that begins at csv->at, which is its opening quote. */
static enum err_code read_quoted(struct csv *csv, size_t *line_start, struct arena *arena, struct str *out,
                                 struct err *err)
{
    const struct str text = csv->text;
    const size_t from = csv->at + 1, opened_line = *line_start;
    const int line = csv->line;
    size_t at = from, doubled = 0, start = *line_start;
    for (;; at++) {
        if (at >= text.len) {
            csv->line = line;
            return csv_fault(csv, opened_line, from - 1, "csv.open", err);
        }
        if (text.ptr[at] == '\n') {
            csv->line++;
            start = at + 1;
        }
        if (text.ptr[at] != '"')
            continue;
        if (at + 1 < text.len && text.ptr[at + 1] == '"') {
            at++;
            doubled++;
            continue;
        }
        break;
    }
    *line_start = start;
    if (at + 1 < text.len && text.ptr[at + 1] != csv->separator && text.ptr[at + 1] != '\n' &&
        !(text.ptr[at + 1] == '\r' && at + 2 < text.len && text.ptr[at + 2] == '\n'))
        return csv_fault(csv, start, at + 1, "csv.quote", err);
    struct str field = str_slice(text, from, at);
    if (doubled) {
        char *copy = arena_alloc(arena, field.len + 1, 1);
        if (!copy)
            return err_nomem(err);
        size_t len = 0;
        for (size_t i = 0; i < field.len; i++) {
            copy[len++] = field.ptr[i];
            if (field.ptr[i] == '"')
                i++;
        }
        field = (struct str) { copy, len };
    }
    *out = field;
    csv->at = at + 1;
    return ERR_OK;
}

static enum err_code read_bare(struct csv *csv, size_t line_start, struct str *out, struct err *err)
{
    const struct str text = csv->text;
    size_t at = csv->at;
    while (at < text.len && text.ptr[at] != csv->separator && text.ptr[at] != '\n') {
        if (text.ptr[at] == '"')
            return csv_fault(csv, line_start, at, "csv.quote", err);
        at++;
    }
    size_t end = at;
    if (end > csv->at && text.ptr[end - 1] == '\r' && (at == text.len || text.ptr[at] == '\n'))
        end--;
    *out = str_slice(text, csv->at, end);
    csv->at = at;
    return ERR_OK;
}

static void skip_empty_lines(struct csv *csv)
{
    while (csv->at < csv->text.len) {
        size_t at = csv->at;
        if (csv->text.ptr[at] == '\r' && at + 1 < csv->text.len)
            at++;
        if (csv->text.ptr[at] != '\n')
            return;
        csv->at = at + 1;
        csv->line++;
    }
}

enum err_code csv_next(struct csv *csv, struct arena *arena, struct csv_record *out, bool *out_end,
                       struct err *err)
{
    skip_empty_lines(csv);
    if (csv->at >= csv->text.len) {
        *out_end = true;
        return ERR_OK;
    }
    const struct str text = csv->text;
    size_t line_start = csv->at;
    out->count = 0;
    out->line = csv->line;
    for (;;) {
        if (out->count == CSV_FIELDS_MAX) {
            (void)err_set(err, ERR_LIMIT, "csv.fields", ARG_INT("max", CSV_FIELDS_MAX), ARG_END);
            (void)err_at(err, csv->line, 1);
            return ERR_LIMIT;
        }
        struct str field = { 0 };
        const size_t from = csv->at, field_line = line_start;
        out->lines[out->count] = csv->line;
        out->columns[out->count] = column_of(text, line_start, from);
        const enum err_code rc = csv->at < text.len && text.ptr[csv->at] == '"'
                                     ? read_quoted(csv, &line_start, arena, &field, err)
                                     : read_bare(csv, line_start, &field, err);
        if (rc)
            return rc;
        if (!utf8_valid(field))
            return csv_fault(csv, field_line, from, "csv.utf8", err);
        out->fields[out->count++] = field;
        if (csv->at < text.len && text.ptr[csv->at] == '\r')
            csv->at++;
        if (csv->at >= text.len)
            break;
        const char end = text.ptr[csv->at++];
        if (end == '\n') {
            csv->line++;
            break;
        }
    }
    *out_end = false;
    return ERR_OK;
}

static bool looks_like_number(struct str field)
{
    for (size_t i = 1; i < field.len; i++)
        if (!strchr("0123456789.eE+-", field.ptr[i]))
            return false;
    return field.len > 1 && (field.ptr[0] == '-' || field.ptr[0] == '+');
}

void csv_put(struct buf *out, struct str field, bool first, bool safe)
{
    bool quote = str_starts(field, STR("\xef\xbb\xbf")); /* at the head of a file it would be its mark */
    const bool formula =
        safe && field.len && field.ptr[0] && strchr("=+-@\t\r", field.ptr[0]) && !looks_like_number(field);
    for (size_t i = 0; i < field.len && !quote; i++)
        quote = field.ptr[i] == '"' || field.ptr[i] == ',' || field.ptr[i] == '\n' || field.ptr[i] == '\r';
    if (!first)
        buf_char(out, ',');
    if (quote)
        buf_char(out, '"');
    if (formula)
        buf_char(out, '\'');
    for (size_t i = 0; i < field.len; i++) {
        if (field.ptr[i] == '"')
            buf_char(out, '"');
        buf_char(out, field.ptr[i]);
    }
    if (quote)
        buf_char(out, '"');
}

void csv_end(struct buf *out)
{
    buf_text(out, "\r\n");
}
