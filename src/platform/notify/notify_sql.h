/* notify_sql.h - private: rows that notify.c writes. */
#pragma once
#include "platform/notify/notify.h"

MUST_CHECK enum err_code inbox_add(struct tx *tx, int64_t id, int64_t user, int64_t at_ms, struct str code,
                                   int grade, struct str title, struct str text, struct str link,
                                   struct err *err);
MUST_CHECK enum err_code delivery_add(struct tx *tx, const struct delivery_row *row, struct err *err);
