/* report_sql.h - rows for reports: availability by day, alarms, tickets, clocks.  Layer: learn. */
#pragma once
#include "handle/sla/replay.h"
#include "store/store.h"

struct availability_row {
    int64_t check, day, service, subject;
    int64_t up, total, no_data;
    int64_t maint_up, maint_total; /* of up and total: within maintenance windows */
};
MUST_CHECK enum err_code availability_put(struct tx *tx, const struct availability_row *row, struct err *err);
/* Of one service in [from_day, to_day), by check and day; in tx_arena(). */
MUST_CHECK enum err_code availability_rows(struct tx *tx, int64_t service, int64_t from_day, int64_t to_day,
                                           struct availability_row **out, int *out_count, struct err *err);

#define REPORT_ALARMS_MAX 2000
struct alarm_line {
    int64_t id, opened_ms, cleared_ms, count; /* cleared 0 = still open */
    int grade;
    struct str title, state;
};
/* Alarms of the service that opened in [from, to), oldest first; *out_total counts those beyond the limit
 * too. */
MUST_CHECK enum err_code report_alarms(struct tx *tx, int64_t service, int64_t from_ms, int64_t to_ms,
                                       struct alarm_line *out, int *out_count, int64_t *out_total,
                                       struct err *err);

#define REPORT_TICKETS_MAX 2000
struct ticket_line {
    int64_t id, opened_ms, closed_ms; /* closed 0 = open */
    struct str number, title, level, state;
    struct ticket_clock {
        bool agreed;
        enum sla_state state;
        int64_t limit_ms, used_ms, due_ms, reached_ms;
    } clocks[SLA_CLOCK__COUNT];
};
/* Cases of the service that opened in [from, to), oldest first, with their stored clocks. */
MUST_CHECK enum err_code report_tickets(struct tx *tx, int64_t service, int64_t from_ms, int64_t to_ms,
                                        struct ticket_line *out, int *out_count, int64_t *out_total,
                                        struct err *err);
/* Cases of the service that closed in [from, to), and those open at `to`. */
MUST_CHECK enum err_code report_flow(struct tx *tx, int64_t service, int64_t from_ms, int64_t to_ms,
                                     int64_t *out_closed, int64_t *out_open, struct err *err);
