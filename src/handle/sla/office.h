/* office.h - calendars and the SLA matrix as records: read, compiled, kept until they change.
 *
 * The record types are those that x-clocks of a case type names:
 *   {"matrix":"ops.sla","services":"ops.service","service":"service","level":"level",
 *    "calendars":"ops.calendar","days":"ops.calendar_day","keys":"ops.key_period",
 *    "grades":{"1":["1","I"],...}}
 * A reader holds the set of calendars it works with; a new set does not disturb it.
 * Threads: any.  Layer: handle/sla; may use platform/entity. */
#pragma once
#include "handle/sla/matrix.h"
#include "platform/entity/entity.h"
#include "store/store.h"

struct office;

/* With nothing but `always` and office hours.  ERR_NOMEM.  Caller frees. */
MUST_CHECK enum err_code office_new(struct entity *entity, struct office **out_office, struct err *err);
void office_free(struct office *office);

/* Reads the calendars anew; a record that does not compile is reported as a finding and left out.
 * Errors of the store; on failure the old set stays. */
MUST_CHECK enum err_code office_load(struct office *office, struct tx *tx, struct findings *findings,
                                     struct err *err);

const struct sla_calendars *office_get(struct office *office);
void office_put(struct office *office, const struct sla_calendars *calendars);

/* The snapshot of the matrix (matrix.h) that cases of `type` get now; services and rows are named by the ids
 * of their records.  New reference.  ERR_NOT_FOUND when x-clocks names a type that is not there. */
MUST_CHECK enum err_code office_matrix(struct office *office, struct tx *tx, const struct entity_type *type,
                                       json_t **out, struct err *err);

/* The level that an alarm of `grade` opens for a service: the first of x-clocks' "grades" that the service
 * knows, else the first.  Lives in `arena`. */
MUST_CHECK enum err_code office_level(const struct entity_type *type, const json_t *snapshot, int64_t service,
                                      int grade, struct arena *arena, struct str *out_level, struct err *err);

/* True when a change of a record of this type ("ops.calendar") may change calendars. */
bool office_cares(const struct office *office, struct str type);
