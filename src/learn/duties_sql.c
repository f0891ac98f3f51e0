/* duties_sql.c - see duties_sql.h */
#include "learn/duties_sql.h"

/* A deed is corrected by another one, that names it. */
#define DEEDS(of)                                                                                            \
    "SELECT d.subject, d.duty, d.happened_at FROM ops_deed d WHERE " of "d.id NOT IN "                       \
    "(SELECT d.supersedes FROM ops_deed d WHERE " of "d.supersedes IS NOT NULL) "                            \
    "ORDER BY d.subject, d.duty, d.happened_at, d.id"
#define SQL_DEEDS_ALL DEEDS("")
#define SQL_DEEDS_ONE DEEDS("d.subject = ?1 AND ")
#define SQL_ATTAINMENT                                                                                       \
    "SELECT SUM(CASE WHEN c.state = 'met' THEN 1 ELSE 0 END), "                                              \
    "SUM(CASE WHEN c.state IN ('late', 'breached') THEN 1 ELSE 0 END) "                                      \
    "FROM case_run r JOIN case_clock c ON c.case_id = r.id "                                                 \
    "WHERE r.service = ?1 AND r.opened_ms >= ?2 AND r.opened_ms < ?3"

struct deeds {
    struct stmt *stmt;
    const struct zone *zone;
    bool row; /* the statement stands on one that nobody has taken */
};

enum err_code deeds_open(struct tx *tx, const struct zone *zone, int64_t service, struct deeds **out,
                         struct err *err)
{
    struct deeds *deeds = mem_alloc(1, sizeof *deeds);
    if (!deeds)
        return err_nomem(err);
    deeds->zone = zone;
    enum err_code rc = tx_prepare(tx, service ? SQL_DEEDS_ONE : SQL_DEEDS_ALL, &deeds->stmt, err);
    if (!rc && service)
        stmt_bind_i64(deeds->stmt, 1, service);
    if (!rc) {
        stmt_stream(deeds->stmt);
        rc = stmt_step(deeds->stmt, &deeds->row, err);
    }
    if (rc)
        deeds_close(deeds);
    else
        *out = deeds;
    return rc;
}

void deeds_close(struct deeds *deeds)
{
    if (deeds)
        stmt_free(deeds->stmt);
    mem_free(deeds);
}

enum err_code deeds_of(struct deeds *deeds, int64_t service, struct arena *arena, int max,
                       struct deed_row **out, int *out_count, struct err *err)
{
    struct deed_row *rows = NULL;
    int count = 0, size = 0;
    enum err_code rc = ERR_OK;
    for (; !rc && deeds->row && stmt_i64(deeds->stmt, 0) <= service;
         rc = stmt_step(deeds->stmt, &deeds->row, err)) {
        if (stmt_i64(deeds->stmt, 0) < service || count == max)
            continue;
        if (count == size) {
            struct deed_row *grown = arena_alloc(arena, (size_t)(size = size ? size * 2 : 64), sizeof *grown);
            if (!grown)
                return err_nomem(err);
            if (count)
                memcpy(grown, rows, (size_t)count * sizeof *grown);
            rows = grown;
        }
        rows[count++] =
            (struct deed_row) { stmt_i64(deeds->stmt, 1), zone_day(deeds->zone, stmt_i64(deeds->stmt, 2)) };
    }
    *out = rows;
    *out_count = count;
    return rc;
}

enum err_code attainment_row(struct tx *tx, struct str service_code, int64_t from_ms, int64_t to_ms,
                             int64_t *out_met, int64_t *out_missed, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_query_row(tx, SQL_ATTAINMENT, BINDS(bind_text(service_code), bind_i64(from_ms), bind_i64(to_ms)),
                     &stmt, &row, err))
        return err->code;
    *out_met = row ? stmt_i64(stmt, 0) : 0;
    *out_missed = row ? stmt_i64(stmt, 1) : 0;
    return ERR_OK;
}
