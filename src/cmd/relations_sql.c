/* relations_sql.c - the engine's own relations that queries of packs may name, with the names they have
 * there. */
#include "cmd/relations.h"

const struct query_relation QUERY_RELATIONS[] = {
    { .name = "alarm",
      .select = "SELECT id, subject, service, org, grade, title, value, state, hold, count,"
                " opened_ms AS opened_at, last_ms AS last_at, NULLIF(cleared_ms, 0) AS cleared_at,"
                " NULLIF(acked_ms, 0) AS acked_at, NULLIF(closed_ms, 0) AS closed_at FROM alarm",
      .columns =
          "id subject service org grade title value state hold count opened_at last_at cleared_at acked_at"
          " closed_at",
      .subject = "subject",
      .permission = "core.alarm.read" },
    { .name = "clock",
      .select = "SELECT case_id, clock, state, calendar, limit_ms, used_ms, NULLIF(due_ms, 0) AS due_at,"
                " NULLIF(reached_ms, 0) AS reached_at FROM case_clock",
      .columns = "case_id clock state calendar limit_ms used_ms due_at reached_at",
      .cases = "case_id" },
    { .name = "availability_day",
      .select = "SELECT check_id, service, subject, day, up, total, no_data, maint_up, maint_total"
                " FROM availability_day",
      .columns = "check_id service subject day up total no_data maint_up maint_total",
      .subject = "subject",
      .permission = "ops.check.read" },
    { 0 },
};
