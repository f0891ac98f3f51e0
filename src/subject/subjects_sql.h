/* subjects_sql.h - private: rows of the common table of subjects. */
#pragma once
#include "subject/subjects.h"

MUST_CHECK enum err_code subject_rows(struct tx *tx, void (*each)(void *arg, const struct subject_info *info),
                                      void *arg, struct err *err);
/* ERR_NOT_FOUND when there is none. */
MUST_CHECK enum err_code subject_row(struct tx *tx, int64_t id, struct subject_info *out, struct err *err);
/* Sets out[i] for each of the ids that the caller may read. */
MUST_CHECK enum err_code subject_seen(const struct entity_call *call, struct tx *tx, const int64_t *ids,
                                      int count, bool *out, struct err *err);
/* The path of an organisation, "" when there is none. */
MUST_CHECK enum err_code org_path(struct tx *tx, int64_t org, char *out, size_t size, struct err *err);
