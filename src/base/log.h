/* log.h - what the process says about itself: one JSON line an event on standard error.
 *
 * The only writable global of the program.  A failure is logged once, by the request, the job or the
 * workflow step that owns it; lower layers never log above debug.
 * Threads: any.  Layer: base. */
#pragma once
#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG__COUNT };

/* Least level that is written; default LOG_INFO. */
void log_level_set(enum log_level level);
/* Where to: default 2. */
void log_fd_set(int fd);

/* `event` is a short stable name ("http.started"); the rest is English for engineers. */
void log_line(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

/* A failure with its id, arguments, position and what was being done. */
void log_err(const struct err *err, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);
