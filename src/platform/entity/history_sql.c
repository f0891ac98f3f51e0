/* history_sql.c - what happened to one record, newest first; its making is read off the record itself. */
#include "platform/entity/internal.h"

#define HISTORY_MAX 500

static const char SQL_HISTORY[] =
    "SELECT h.version, h.at, h.by_user, u.name, h.action, h.changes FROM record_history h"
    " LEFT JOIN app_user u ON u.id = h.by_user WHERE h.record = ?1 AND h.type = ?2"
    " ORDER BY h.version DESC LIMIT ?3";
static const char SQL_MADE[] =
    "SELECT 1, t.\"created_at\", t.\"created_by\", u.name, 'create', '{}' FROM \"$T\" t"
    " LEFT JOIN app_user u ON u.id = t.\"created_by\" WHERE t.\"id\" = ?1";

static enum err_code add_rows(struct stmt *stmt, bool *any, struct buf *out, struct err *err)
{
    enum err_code rc;
    char text[CLOCK_TEXT_SIZE];
    for (bool row = false; !(rc = stmt_step(stmt, &row, err)) && row;) {
        buf_printf(out, "%s{\"version\":%lld,\"at\":\"", *any ? "," : "", (long long)stmt_i64(stmt, 0));
        *any = true;
        buf_add(out, text, clock_text(stmt_i64(stmt, 1), CLOCK_SHOWN_MINUTES, text));
        buf_char(out, '"');
        if (!stmt_is_null(stmt, 2))
            buf_printf(out, ",\"by\":\"%lld\"", (long long)stmt_i64(stmt, 2));
        if (!stmt_is_null(stmt, 3)) {
            buf_text(out, ",\"by_name\":");
            buf_json(out, stmt_text(stmt, 3));
        }
        buf_text(out, ",\"action\":");
        buf_json(out, stmt_text(stmt, 4));
        buf_text(out, ",\"changes\":");
        buf_str(out, stmt_text(stmt, 5));
        buf_char(out, '}');
    }
    return rc;
}

enum err_code entity_history_json(const struct entity_call *call, struct tx *tx,
                                  const struct entity_type *type, int64_t id, struct buf *out,
                                  struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL, *made = NULL;
    bool found = false, any = false;
    char sql[400];
    enum err_code rc = row_reached(call, tx, type, id, "read", &found, err);
    if (!rc && !found)
        rc = err_set(err, ERR_NOT_FOUND, "entity.not_found", ARG_END);
    if (!rc)
        rc = tx_prepare(tx, SQL_HISTORY, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    stmt_bind_text(stmt, 2, type->full);
    stmt_bind_i64(stmt, 3, HISTORY_MAX);
    buf_text(out, "{\"items\":[");
    rc = add_rows(stmt, &any, out, err);
    if (!rc)
        rc = sql_fill(SQL_MADE, type->table, (struct str) { 0 }, sql, sizeof sql, err);
    if (!rc)
        rc = tx_prepare(tx, sql, &made, err);
    if (rc)
        return rc;
    stmt_bind_i64(made, 1, id);
    rc = add_rows(made, &any, out, err);
    buf_text(out, "]}");
    return rc ? rc : buf_check(out, err);
}
