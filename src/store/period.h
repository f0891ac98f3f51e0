/* period.h - how migrations hand period tables over; inside the store. */
#pragma once
#include "store/store.h"

/* Looks whether a statement of a migration declares a period table ("-- period T by C ms") or is about one
 * (CREATE INDEX ... ON T, ALTER TABLE T ADD COLUMN); then does it and sets *out_handled. */
MUST_CHECK enum err_code period_statement(struct tx *tx, struct str text, bool *out_handled, struct err *err);
/* The name without the month, when `table` is a month of a period table ("audit_202611" gives 5), else 0. */
size_t period_stem(const char *table);
