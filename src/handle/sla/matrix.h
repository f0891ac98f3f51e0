/* matrix.h - which limit a clock has: the rows of the SLA matrix and the services they belong to.
 *
 * Each clock by itself: the service's own row of that level and calendar, else its own row of level "any",
 * else the row of its general table; none of these = not agreed.  Of several calendars the more special
 * wins: key / non-key by the opening instant, then working / non-working by the opening instant, then
 * always.  Where a level has both of a pair, the pair only chooses, and the clock runs on every minute; a
 * `working` row that stands alone holds always and counts working time.
 * A matrix is made from its snapshot (JSON), which a case pins by version; calendars are not pinned.
 * Threads: never changes once made; safe from any.  Layer: handle/sla; may use base/ only. */
#pragma once
#include "handle/sla/replay.h"

#include <jansson.h>

#define SLA_ROWS_MAX 20000
#define SLA_SERVICES_MAX 20000
#define SLA_LEVEL_ANY "any"

struct sla_matrix;

/* The snapshot: {"rows":[{"id":"7","service":"xc-R001","level":"1","calendar":"always",
 * "limits":{"respond":10,...},"workaround":true}],"services":{"xc-R001":{"general":"*business",
 * "calendar":"office"}}}.  Minutes are whole numbers >= 0.
 * ERR_INVALID with a pointer; ERR_LIMIT; ERR_NOMEM.  Caller frees. */
MUST_CHECK enum err_code sla_matrix_new(const json_t *snapshot, struct sla_matrix **out_matrix,
                                        struct err *err);
void sla_matrix_free(struct sla_matrix *matrix);

/* The compiled calendars as they are now: a name -> calendar, and the one that is every minute. */
struct sla_calendars {
    const struct calendar *always;
    const struct calendar *office; /* of services that name none, or one that is gone */
    const struct calendar *(*find)(const void *ctx, struct str name); /* NULL when there is none */
    const void *ctx;
};

/* What sla_replay() needs: terms of a service and level. */
struct sla_lookup {
    const struct sla_matrix *matrix;
    const struct sla_calendars *calendars;
};
/* sla_terms_fn; ctx is a struct sla_lookup.  Never fails: an unknown service or level has no terms. */
enum err_code sla_matrix_terms(void *ctx, struct str service, struct str level, int64_t opened_ms,
                               struct sla_term out_terms[SLA_CLOCK__COUNT], struct err *err);

/* The calendar of the service in that matrix, else office hours. */
const struct calendar *sla_matrix_calendar(const struct sla_matrix *matrix,
                                           const struct sla_calendars *calendars, struct str service);
/* The levels that a service knows, its own and those of its general table, without "any", each once, in
 * order; returns how many were written (at most `max`).  Borrowed from the matrix. */
int sla_matrix_levels(const struct sla_matrix *matrix, struct str service, struct str *out_levels, int max);
