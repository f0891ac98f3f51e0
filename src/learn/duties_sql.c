/* duties_sql.c - see duties_sql.h */
#include "learn/duties_sql.h"

#define SQL_DEEDS                                                                                            \
    "SELECT d.duty, d.happened_at FROM ops_deed d WHERE d.subject = ?1 AND d.id NOT IN "                     \
    "(SELECT s.supersedes FROM ops_deed s WHERE s.subject = ?1 AND s.supersedes IS NOT NULL) "               \
    "ORDER BY d.duty, d.happened_at LIMIT ?2"
#define SQL_ATTAINMENT                                                                                       \
    "SELECT SUM(CASE WHEN c.state = 'met' THEN 1 ELSE 0 END), "                                              \
    "SUM(CASE WHEN c.state IN ('late', 'breached') THEN 1 ELSE 0 END) "                                      \
    "FROM case_run r JOIN case_clock c ON c.case_id = r.id "                                                 \
    "WHERE r.service = ?1 AND r.opened_ms >= ?2 AND r.opened_ms < ?3"

enum err_code deed_rows(struct tx *tx, int64_t service, struct arena *arena, int max, struct deed_row **out,
                        int *out_count, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct deed_row *rows = NULL;
    bool row = false;
    int count = 0, size = 0;
    if (tx_prepare(tx, SQL_DEEDS, &stmt, err))
        return err->code;
    stmt_bind_i64(stmt, 1, service);
    stmt_bind_i64(stmt, 2, max);
    for (;;) {
        if (stmt_step(stmt, &row, err))
            return err->code;
        if (!row)
            break;
        if (count == size) {
            struct deed_row *grown = arena_alloc(arena, (size_t)(size = size ? size * 2 : 64), sizeof *grown);
            if (!grown)
                return err_nomem(err);
            if (count)
                memcpy(grown, rows, (size_t)count * sizeof *grown);
            rows = grown;
        }
        rows[count++] = (struct deed_row) { stmt_i64(stmt, 0), day_of(stmt_i64(stmt, 1)) };
    }
    *out = rows;
    *out_count = count;
    return ERR_OK;
}

enum err_code attainment_row(struct tx *tx, struct str service_code, int64_t from_ms, int64_t to_ms,
                             int64_t *out_met, int64_t *out_missed, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_prepare(tx, SQL_ATTAINMENT, &stmt, err))
        return err->code;
    stmt_bind_text(stmt, 1, service_code);
    stmt_bind_i64(stmt, 2, from_ms);
    stmt_bind_i64(stmt, 3, to_ms);
    if (stmt_step(stmt, &row, err))
        return err->code;
    *out_met = row ? stmt_i64(stmt, 0) : 0;
    *out_missed = row ? stmt_i64(stmt, 1) : 0;
    return ERR_OK;
}
