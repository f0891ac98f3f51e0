/* alarms_sql.c - alarms and their events in the tables. */
#include "warn/alarms.h"

#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>

#define COLUMNS                                                                                              \
    "id, alarm_key, subject, source, service, org, grade, title, value, state, hold, hold_by, count, "       \
    "opened_ms, "                                                                                            \
    "last_ms, cleared_ms, acked_ms, acked_by, told_ms, closed_ms, escalated, flaps"
#define SQL_PUT                                                                                              \
    "INSERT INTO %s (" COLUMNS                                                                               \
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "                           \
    "?16, ?17, ?18, ?19, ?20, ?21, ?22) ON CONFLICT (id) DO UPDATE SET subject = excluded.subject, "         \
    "service = excluded.service, org = excluded.org, grade = excluded.grade, title = excluded.title, "       \
    "value = excluded.value, state = excluded.state, hold = excluded.hold, hold_by = excluded.hold_by, "     \
    "count = excluded.count, last_ms = excluded.last_ms, cleared_ms = excluded.cleared_ms, "                 \
    "acked_ms = excluded.acked_ms, acked_by = excluded.acked_by, told_ms = excluded.told_ms, "               \
    "closed_ms = excluded.closed_ms, escalated = excluded.escalated, flaps = excluded.flaps"
#define SQL_EVENT_PUT                                                                                        \
    "INSERT INTO %s (id, alarm_id, at_ms, event, by_id, state, hold, hold_by, value, text) "                 \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING"
#define SQL_GET "SELECT " COLUMNS " FROM alarm WHERE id = ?1"
#define SQL_EVENTS                                                                                           \
    "SELECT id, at_ms, by_id, hold_by, event, state, hold, value, text FROM alarm_event WHERE alarm_id = "   \
    "?1 "                                                                                                    \
    "ORDER BY id LIMIT ?2"
#define SQL_CURSOR_GET "SELECT position FROM alarm_cursor WHERE log = ?1"
#define SQL_CURSOR_SET                                                                                       \
    "INSERT INTO alarm_cursor (log, position) VALUES (?1, ?2) ON CONFLICT (log) DO UPDATE SET position = "   \
    "excluded.position"

static void flaps_text(const struct alarm *alarm, char *out, size_t size)
{
    size_t len = 0;
    out[0] = 0;
    for (int i = 0; i < alarm->flaps_count && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%" PRId64, i ? " " : "", alarm->flaps[i]);
}

static enum err_code put_alarm(struct tx *tx, const struct alarm *alarm, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char table[STORE_NAME_SIZE], sql[2048], flaps[200];
    if (tx_period(tx, "alarm", ids_instant_ms(alarm->id), table, err))
        return err->code;
    (void)snprintf(sql, sizeof sql, SQL_PUT, table);
    if (tx_prepare(tx, sql, &stmt, err))
        return err->code;
    flaps_text(alarm, flaps, sizeof flaps);
    int at = 1;
    stmt_bind_i64(stmt, at++, alarm->id);
    stmt_bind_text(stmt, at++, str_from(alarm->key));
    stmt_bind_i64(stmt, at++, alarm->subject);
    stmt_bind_i64(stmt, at++, alarm->source);
    stmt_bind_i64(stmt, at++, alarm->service);
    stmt_bind_i64(stmt, at++, alarm->org);
    stmt_bind_i64(stmt, at++, alarm->grade);
    stmt_bind_text(stmt, at++, str_from(alarm->title));
    stmt_bind_text(stmt, at++, str_from(alarm->value));
    stmt_bind_text(stmt, at++, str_from(alarm_state_name(alarm->state)));
    stmt_bind_text(stmt, at++, str_from(alarm_hold_name(alarm->hold)));
    stmt_bind_i64(stmt, at++, alarm->hold_by);
    stmt_bind_i64(stmt, at++, alarm->count);
    stmt_bind_i64(stmt, at++, alarm->opened_ms);
    stmt_bind_i64(stmt, at++, alarm->last_ms);
    stmt_bind_i64(stmt, at++, alarm->cleared_ms);
    stmt_bind_i64(stmt, at++, alarm->acked_ms);
    stmt_bind_i64(stmt, at++, alarm->acked_by);
    stmt_bind_i64(stmt, at++, alarm->told_ms);
    stmt_bind_i64(stmt, at++, alarm->closed_ms);
    stmt_bind_i64(stmt, at++, alarm->escalated);
    stmt_bind_text(stmt, at++, str_from(flaps));
    return stmt_run(stmt, NULL, err);
}

static enum err_code put_event(struct tx *tx, const struct alarm_record *record, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char table[STORE_NAME_SIZE], sql[512];
    if (tx_period(tx, "alarm_event", ids_instant_ms(record->id), table, err))
        return err->code;
    (void)snprintf(sql, sizeof sql, SQL_EVENT_PUT, table);
    if (tx_prepare(tx, sql, &stmt, err))
        return err->code;
    const struct alarm *alarm = &record->alarm;
    stmt_bind_i64(stmt, 1, record->id);
    stmt_bind_i64(stmt, 2, alarm->id);
    stmt_bind_i64(stmt, 3, record->at_ms);
    stmt_bind_text(stmt, 4, str_from(alarm_event_name(record->event)));
    stmt_bind_i64(stmt, 5, record->by);
    stmt_bind_text(stmt, 6, str_from(alarm_state_name(alarm->state)));
    stmt_bind_text(stmt, 7, str_from(alarm_hold_name(alarm->hold)));
    stmt_bind_i64(stmt, 8, alarm->hold_by);
    stmt_bind_text(stmt, 9, str_from(alarm->value));
    stmt_bind_text(stmt, 10, str_from(record->text));
    return stmt_run(stmt, NULL, err);
}

enum err_code alarm_record_write(struct tx *tx, const struct alarm_record *record, struct err *err)
{
    const enum err_code rc = put_alarm(tx, &record->alarm, err);
    return rc || record->snapshot ? rc : put_event(tx, record, err);
}

static void copy_text(char *out, size_t max, struct str text)
{
    (void)snprintf(out, max + 1, "%.*s", STR_ARG(text));
}

static void read_flaps(struct alarm *alarm, struct str text)
{
    struct str part;
    while (alarm->flaps_count < ALARM_FLAPS_MAX && str_cut(&text, ' ', &part))
        if (str_i64(part, &alarm->flaps[alarm->flaps_count]))
            alarm->flaps_count++;
}

static enum err_code read_alarm(struct stmt *stmt, struct alarm *out, struct err *err)
{
    const int state = alarm_state_from(stmt_text(stmt, 9)), hold = alarm_hold_from(stmt_text(stmt, 10));
    if (state < 0 || hold < 0)
        return err_set(err, ERR_CORRUPT, "warn.record", ARG_END);
    *out = (struct alarm) {
        .id = stmt_i64(stmt, 0),
        .subject = stmt_i64(stmt, 2),
        .source = stmt_i64(stmt, 3),
        .service = stmt_i64(stmt, 4),
        .org = stmt_i64(stmt, 5),
        .grade = (int)stmt_i64(stmt, 6),
        .state = (enum alarm_state)state,
        .hold = (enum alarm_hold)hold,
        .hold_by = stmt_i64(stmt, 11),
        .count = stmt_i64(stmt, 12),
        .opened_ms = stmt_i64(stmt, 13),
        .last_ms = stmt_i64(stmt, 14),
        .cleared_ms = stmt_i64(stmt, 15),
        .acked_ms = stmt_i64(stmt, 16),
        .acked_by = stmt_i64(stmt, 17),
        .told_ms = stmt_i64(stmt, 18),
        .closed_ms = stmt_i64(stmt, 19),
        .escalated = (int)stmt_i64(stmt, 20),
    };
    copy_text(out->key, ALARM_KEY_MAX, stmt_text(stmt, 1));
    copy_text(out->title, ALARM_TITLE_MAX, stmt_text(stmt, 7));
    copy_text(out->value, ALARM_VALUE_MAX, stmt_text(stmt, 8));
    read_flaps(out, stmt_text(stmt, 21));
    return ERR_OK;
}

enum err_code alarm_rows(struct tx *tx, const struct alarm_row_filter *filter,
                         enum err_code (*each)(void *arg, const struct alarm *alarm, struct err *err),
                         void *arg, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf sql;
    bool row = false;
    int64_t numbers[3];
    int count = 0, at = 4;
    const bool live = str_eq(filter->state, STR("live")), by_state = filter->state.len && !live;
    buf_init(&sql, 4096);
    buf_text(&sql, "SELECT " COLUMNS " FROM alarm WHERE id < ?1 AND id >= ?2");
    if (live)
        buf_text(&sql, " AND state IN ('open', 'acked', 'cleared')");
    if (by_state)
        buf_printf(&sql, " AND state = ?%d", at++);
    const struct {
        const char *column;
        int64_t value;
    } conditions[] = { { "subject", filter->subject },
                       { "service", filter->service },
                       { "grade", filter->grade } };
    for (int i = 0; i < 3; i++)
        if (conditions[i].value) {
            buf_printf(&sql, " AND %s = ?%d", conditions[i].column, at + count);
            numbers[count++] = conditions[i].value;
        }
    buf_text(&sql, " ORDER BY id DESC LIMIT ?3");
    enum err_code rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_prepare(tx, sql.ptr, &stmt, err);
    buf_done(&sql);
    if (rc)
        return rc;
    int64_t below = filter->after ? filter->after : INT64_MAX;
    if (filter->to_ms && ids_floor(filter->to_ms) < below)
        below = ids_floor(filter->to_ms);
    stmt_bind_i64(stmt, 1, below);
    stmt_bind_i64(stmt, 2, filter->from_ms ? ids_floor(filter->from_ms) : 0);
    stmt_bind_i64(stmt, 3, filter->limit);
    if (by_state)
        stmt_bind_text(stmt, 4, filter->state);
    for (int i = 0; i < count; i++)
        stmt_bind_i64(stmt, at + i, numbers[i]);
    struct alarm alarm;
    for (;;) {
        rc = stmt_step(stmt, &row, err);
        if (rc || !row)
            return rc;
        rc = read_alarm(stmt, &alarm, err);
        if (!rc)
            rc = each(arg, &alarm, err);
        if (rc)
            return rc;
    }
}

enum err_code alarm_row_get(struct tx *tx, int64_t id, struct alarm *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_query_row(tx, SQL_GET, BINDS(bind_i64(id)), &stmt, &row, err))
        return err->code;
    return row ? read_alarm(stmt, out, err) : err_set(err, ERR_NOT_FOUND, "warn.no_alarm", ARG_END);
}

enum err_code alarm_event_rows(struct tx *tx, int64_t alarm_id, int limit,
                               enum err_code (*each)(void *arg, const struct alarm_event_row *row,
                                                     struct err *err),
                               void *arg, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_query(tx, SQL_EVENTS, BINDS(bind_i64(alarm_id), bind_i64(limit)), &stmt, err))
        return err->code;
    for (;;) {
        enum err_code rc = stmt_step(stmt, &row, err);
        if (rc || !row)
            return rc;
        const struct alarm_event_row event = { stmt_i64(stmt, 0),  stmt_i64(stmt, 1),  stmt_i64(stmt, 2),
                                               stmt_i64(stmt, 3),  stmt_text(stmt, 4), stmt_text(stmt, 5),
                                               stmt_text(stmt, 6), stmt_text(stmt, 7), stmt_text(stmt, 8) };
        rc = each(arg, &event, err);
        if (rc)
            return rc;
    }
}

enum err_code alarm_cursor_get(struct tx *tx, int64_t log, int64_t *out_position, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_query_row(tx, SQL_CURSOR_GET, BINDS(bind_i64(log)), &stmt, &row, err))
        return err->code;
    *out_position = row ? stmt_i64(stmt, 0) : -1;
    return ERR_OK;
}

enum err_code alarm_cursor_set(struct tx *tx, int64_t log, int64_t position, struct err *err)
{
    return tx_run(tx, SQL_CURSOR_SET, BINDS(bind_i64(log), bind_i64(position)), NULL, err);
}
