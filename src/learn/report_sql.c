/* report_sql.c - the SQL of reports. */
#include "learn/report_sql.h"
#include "base/ids.h"

static struct str id_text(struct tx *tx, int64_t id)
{
    return arena_printf(tx_arena(tx), "%lld", (long long)id);
}

enum err_code availability_put(struct tx *tx, const struct availability_row *row, struct err *err)
{
    return tx_run(
        tx,
        "INSERT INTO availability_day (check_id, day, service, subject, up, total, no_data, maint_up, "
        "maint_total) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (check_id, day) DO UPDATE SET "
        "service = excluded.service, subject = excluded.subject, up = excluded.up, total = excluded.total, "
        "no_data = excluded.no_data, maint_up = excluded.maint_up, maint_total = excluded.maint_total",
        BINDS(bind_i64(row->check), bind_i64(row->day), bind_i64(row->service), bind_i64(row->subject),
              bind_i64(row->up), bind_i64(row->total), bind_i64(row->no_data), bind_i64(row->maint_up),
              bind_i64(row->maint_total)),
        NULL, err);
}

enum err_code availability_rows(struct tx *tx, int64_t service, int64_t from_day, int64_t to_day,
                                struct availability_row **out, int *out_count, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct availability_row *list = NULL;
    int count = 0, size = 0;
    enum err_code rc =
        tx_query(tx,
                 "SELECT check_id, day, service, subject, up, total, no_data, maint_up, maint_total FROM "
                 "availability_day "
                 "WHERE service = ?1 AND day >= ?2 AND day < ?3 ORDER BY check_id, day",
                 BINDS(bind_i64(service), bind_i64(from_day), bind_i64(to_day)), &stmt, err);
    if (rc)
        return rc;
    for (bool row = false; !(rc = stmt_step(stmt, &row, err)) && row;) {
        list = arena_grow(tx_arena(tx), list, count, &size, sizeof(*list));
        if (!list)
            return err_nomem(err);
        list[count++] = (struct availability_row) { stmt_i64(stmt, 0), stmt_i64(stmt, 1), stmt_i64(stmt, 2),
                                                    stmt_i64(stmt, 3), stmt_i64(stmt, 4), stmt_i64(stmt, 5),
                                                    stmt_i64(stmt, 6), stmt_i64(stmt, 7), stmt_i64(stmt, 8) };
    }
    if (rc)
        return rc;
    *out = list;
    *out_count = count;
    return ERR_OK;
}

enum err_code report_alarms(struct tx *tx, int64_t service, int64_t from_ms, int64_t to_ms,
                            struct alarm_line *out, int *out_count, int64_t *out_total, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    int count = 0;
    int64_t total = 0;
    /* an id is made when the alarm opens, so the index by (service, id) finds the month */
    enum err_code rc = tx_query(
        tx,
        "SELECT id, grade, title, state, opened_ms, cleared_ms, count FROM alarm WHERE "
        "service = ?1 AND id >= ?2 AND id < ?3 ORDER BY id",
        BINDS(bind_i64(service), bind_i64(ids_floor(from_ms)), bind_i64(ids_floor(to_ms))), &stmt, err);
    if (rc)
        return rc;
    for (;; total++) {
        bool row = false;
        rc = stmt_step(stmt, &row, err);
        if (rc)
            return rc;
        if (!row)
            break;
        if (count == REPORT_ALARMS_MAX)
            continue;
        out[count] = (struct alarm_line) { .id = stmt_i64(stmt, 0),
                                           .grade = (int)stmt_i64(stmt, 1),
                                           .title = stmt_keep(stmt, 2),
                                           .state = stmt_keep(stmt, 3),
                                           .opened_ms = stmt_i64(stmt, 4),
                                           .cleared_ms = stmt_i64(stmt, 5),
                                           .count = stmt_i64(stmt, 6) };
        count++;
    }
    *out_count = count;
    *out_total = total;
    return ERR_OK;
}

static enum err_code clocks_of(struct tx *tx, struct ticket_line *ticket, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc =
        tx_query(tx,
                 "SELECT clock, state, limit_ms, used_ms, due_ms, reached_ms FROM case_clock WHERE "
                 "case_id = ?1",
                 BINDS(bind_i64(ticket->id)), &stmt, err);
    if (rc)
        return rc;
    for (;;) {
        bool row = false;
        enum sla_clock clock;
        struct ticket_clock *one;
        rc = stmt_step(stmt, &row, err);
        if (rc || !row)
            return rc;
        if (!sla_clock_from(stmt_text(stmt, 0), &clock))
            continue;
        one = &ticket->clocks[clock];
        *one = (struct ticket_clock) {
            true, SLA_STATE_NONE, stmt_i64(stmt, 2), stmt_i64(stmt, 3), stmt_i64(stmt, 4), stmt_i64(stmt, 5)
        };
        for (int s = 0; s < SLA_STATE__COUNT; s++)
            if (str_eq(stmt_text(stmt, 1), str_from(sla_state_name((enum sla_state)s))))
                one->state = (enum sla_state)s;
    }
}

enum err_code report_tickets(struct tx *tx, int64_t service, int64_t from_ms, int64_t to_ms,
                             struct ticket_line *out, int *out_count, int64_t *out_total, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct str code = id_text(tx, service);
    int count = 0;
    int64_t total = 0;
    enum err_code rc =
        tx_query(tx,
                 "SELECT r.id, r.opened_ms, r.closed_ms, c.number, c.title, r.level, r.state FROM "
                 "case_run r JOIN cases c ON c.id = r.id WHERE r.service = ?1 AND r.opened_ms >= ?2 "
                 "AND r.opened_ms < ?3 ORDER BY r.opened_ms, r.id",
                 BINDS(bind_text(code), bind_i64(from_ms), bind_i64(to_ms)), &stmt, err);
    if (rc)
        return rc;
    for (;; total++) {
        bool row = false;
        rc = stmt_step(stmt, &row, err);
        if (rc)
            return rc;
        if (!row)
            break;
        if (count == REPORT_TICKETS_MAX)
            continue;
        out[count] = (struct ticket_line) { .id = stmt_i64(stmt, 0),
                                            .opened_ms = stmt_i64(stmt, 1),
                                            .closed_ms = stmt_i64(stmt, 2),
                                            .number = stmt_keep(stmt, 3),
                                            .title = stmt_keep(stmt, 4),
                                            .level = stmt_keep(stmt, 5),
                                            .state = stmt_keep(stmt, 6) };
        count++;
    }
    for (int i = 0; i < count; i++) {
        rc = clocks_of(tx, &out[i], err);
        if (rc)
            return rc;
    }
    *out_count = count;
    *out_total = total;
    return ERR_OK;
}

enum err_code report_flow(struct tx *tx, int64_t service, int64_t from_ms, int64_t to_ms, int64_t *out_closed,
                          int64_t *out_open, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct str code = id_text(tx, service);
    bool row = false;
    enum err_code rc =
        tx_query_row(tx,
                     "SELECT COALESCE(SUM(CASE WHEN closed_ms >= ?2 AND closed_ms < ?3 THEN 1 ELSE 0 "
                     "END), 0), COALESCE(SUM(CASE WHEN closed_ms IS NULL OR closed_ms >= ?3 THEN 1 ELSE "
                     "0 END), 0) FROM case_run WHERE service = ?1 AND opened_ms < ?3",
                     BINDS(bind_text(code), bind_i64(from_ms), bind_i64(to_ms)), &stmt, &row, err);
    if (rc)
        return rc;
    *out_closed = stmt_i64(stmt, 0);
    *out_open = stmt_i64(stmt, 1);
    return ERR_OK;
}
