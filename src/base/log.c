/* log.c - see log.h.  A line is built on the stack and leaves in one write(). */
#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static _Atomic int least = LOG_INFO;
static _Atomic int out_fd = 2;

void log_level_set(enum log_level level)
{
    least = (int)level;
}

void log_fd_set(int fd)
{
    out_fd = fd;
}

PRINTF_LIKE(4, 0)
static void write_line(enum log_level level, const char *event, const struct err *err, const char *format,
                       va_list args)
{
    static const char *const names[LOG__COUNT] = { "debug", "info", "warn", "error" };
    char text[1024], when[CLOCK_TEXT_SIZE];
    (void)vsnprintf(text, sizeof text, format, args);
    (void)clock_text(clock_now(&CLOCK_SYSTEM), 0, when);
    struct buf line;
    buf_init(&line, 8192);
    buf_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"text\":", when, names[level],
               event);
    buf_json(&line, str_from(text));
    if (err) {
        buf_printf(&line, ",\"code\":\"%s\",\"id\":\"%s\"", err_name(err->code), err->id ? err->id : "");
        for (int i = 0; i < ERR_ARGS_MAX && err->args[i].name; i++) {
            buf_printf(&line, ",\"%s\":", err->args[i].name);
            if (err->args[i].is_text)
                buf_json(&line, str_from(err->args[i].text));
            else
                buf_i64(&line, err->args[i].number);
        }
        if (err->at.line)
            buf_printf(&line, ",\"line\":%d,\"column\":%d", err->at.line, err->at.column);
        for (int i = 0; i < ERR_DOING_MAX && err->doing[i]; i++)
            buf_printf(&line, "%s\"%s\"%s", i ? "," : ",\"doing\":[", err->doing[i],
                       i + 1 == ERR_DOING_MAX || !err->doing[i + 1] ? "]" : "");
    }
    buf_text(&line, "}\n");
    if (line.len) {
        const ssize_t written = write(out_fd, line.ptr, line.len);
        (void)written; /* nobody is left to be told */
    }
    buf_done(&line);
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    if ((int)level < least)
        return;
    va_list args;
    va_start(args, format);
    write_line(level, event, NULL, format, args);
    va_end(args);
}

void log_err(const struct err *err, const char *event, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(LOG_ERROR, event, err, format, args);
    va_end(args);
}
