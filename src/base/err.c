/* err.c - see err.h */
#include "base/err.h"

#include <stdarg.h>

static const struct {
    const char *name;
    int http, exit;
} CODES[ERR__COUNT] = {
    [ERR_OK] = { "ok", 200, 0 },
    [ERR_INVALID] = { "invalid", 422, 2 },
    [ERR_NOT_FOUND] = { "not_found", 404, 1 },
    [ERR_CONFLICT] = { "conflict", 409, 1 },
    [ERR_STALE] = { "stale", 412, 1 },
    [ERR_PRECONDITION] = { "precondition_required", 428, 3 },
    [ERR_NO_LOGIN] = { "no_login", 401, 1 },
    [ERR_FORBIDDEN] = { "forbidden", 403, 1 },
    [ERR_LIMIT] = { "limit", 422, 2 },
    [ERR_TOO_LARGE] = { "too_large", 413, 2 },
    [ERR_BUSY] = { "busy", 503, 3 },
    [ERR_TIMEOUT] = { "timeout", 504, 3 },
    [ERR_CANCELLED] = { "cancelled", 409, 1 },
    [ERR_NOMEM] = { "no_memory", 503, 3 },
    [ERR_IO] = { "io", 500, 3 },
    [ERR_DISK_FULL] = { "disk_full", 507, 3 },
    [ERR_NET] = { "net", 502, 3 },
    [ERR_STORE] = { "store", 503, 3 },
    [ERR_UNSUPPORTED] = { "unsupported", 422, 2 },
    [ERR_CORRUPT] = { "corrupt", 500, 3 },
    [ERR_INTERNAL] = { "internal", 500, 3 },
};

/* Copies at most `max` bytes, never half a character. */
static void copy_cut(char *out, struct str text, size_t max)
{
    size_t len = text.len;
    if (len > max) {
        len = max;
        while (len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
            len--;
    }
    if (len)
        memcpy(out, text.ptr, len);
    out[len] = 0;
}

static void read_args(struct err *err, va_list args)
{
    int count = 0;
    for (;;) {
        const enum err_arg_kind kind = (enum err_arg_kind)va_arg(args, int);
        if (kind == ERR_ARG_END || count == ERR_ARGS_MAX)
            return;
        struct err_arg *arg = &err->args[count++];
        arg->name = kind == ERR_ARG_ERRNO ? "reason" : va_arg(args, const char *);
        arg->is_text = kind != ERR_ARG_INT;
        if (kind == ERR_ARG_INT) {
            arg->number = va_arg(args, int64_t);
        } else if (kind == ERR_ARG_TEXT) {
            copy_cut(arg->text, str_from(va_arg(args, const char *)), ERR_TEXT_MAX);
        } else if (kind == ERR_ARG_STR) {
            copy_cut(arg->text, va_arg(args, struct str), ERR_TEXT_MAX);
        } else {
            char reason[ERR_TEXT_MAX];
            const int number = va_arg(args, int);
            copy_cut(arg->text, str_from(strerror_r(number, reason, sizeof reason)), ERR_TEXT_MAX);
        }
    }
}

enum err_code(err_set)(struct err *err, enum err_code code, const char *id, ...)
{
    if (!err)
        return code;
    *err = (struct err) { .code = code, .id = id };
    va_list args;
    va_start(args, id);
    read_args(err, args);
    va_end(args);
    return code;
}

enum err_code(err_at)(struct err *err, int line, int column)
{
    if (!err)
        return ERR_INTERNAL;
    err->at.line = line;
    err->at.column = column;
    return err->code;
}

enum err_code(err_pointer)(struct err *err, struct str pointer)
{
    if (!err)
        return ERR_INTERNAL;
    copy_cut(err->at.pointer, pointer, sizeof err->at.pointer - 1);
    return err->code;
}

enum err_code(err_in)(struct err *err, const char *doing)
{
    if (!err)
        return ERR_INTERNAL;
    for (int i = 0; i < ERR_DOING_MAX; i++)
        if (!err->doing[i]) {
            err->doing[i] = doing;
            break;
        }
    return err->code;
}

enum err_code(err_nomem)(struct err *err)
{
    return err_set(err, ERR_NOMEM, "base.no_memory", ARG_END);
}

const char *err_name(enum err_code code)
{
    return code < ERR__COUNT ? CODES[code].name : "internal";
}

int err_http_status(enum err_code code)
{
    return code < ERR__COUNT ? CODES[code].http : 500;
}

int err_exit_status(enum err_code code)
{
    return code < ERR__COUNT ? CODES[code].exit : 3;
}

enum err_code findings_init(struct findings *findings, struct arena *arena, struct err *err)
{
    struct err *items = arena_alloc(arena, FINDINGS_MAX, sizeof *items);
    if (!items)
        return err_nomem(err);
    *findings = (struct findings) { .items = items };
    return ERR_OK;
}

void findings_add(struct findings *findings, const struct err *one)
{
    if (findings->count < FINDINGS_MAX)
        findings->items[findings->count++] = *one;
    else
        findings->more++;
}
