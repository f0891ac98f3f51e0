/* data_sql.c - which data files of packs were loaded, and which records they brought. */
#include "platform/entity/internal.h"

static const char SQL_SEEN[] = "SELECT checksum FROM pack_data WHERE pack = ?1 AND path = ?2";
static const char SQL_SEEN_PUT[] =
    "INSERT INTO pack_data (pack, path, checksum, row_count, loaded_at) VALUES (?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT (pack, path) DO UPDATE SET checksum = excluded.checksum, row_count = excluded.row_count,"
    " loaded_at = excluded.loaded_at";
static const char SQL_RECORD_PUT[] = "INSERT INTO pack_record (record, pack, version) VALUES (?1, ?2, ?3)"
                                     " ON CONFLICT (record) DO UPDATE SET version = excluded.version";
static const char SQL_EDITED[] = "SELECT 1 FROM \"$T\" t LEFT JOIN pack_record p ON p.record = t.\"id\""
                                 " WHERE t.\"id\" = ?1 AND (p.version IS NULL OR p.version <> t.\"version\")";

struct seen {
    struct str pack, path, checksum;
    int64_t rows, now;
    bool known, same;
};

static enum err_code seen_fn(struct tx *tx, void *arg, struct err *err)
{
    struct seen *seen = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = tx_prepare(tx, SQL_SEEN, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, seen->pack);
    stmt_bind_text(stmt, 2, seen->path);
    rc = stmt_step(stmt, &seen->known, err);
    seen->same = !rc && seen->known && str_eq(stmt_text(stmt, 0), seen->checksum);
    return rc;
}

enum err_code pack_data_seen(struct entity *entity, struct str pack, struct str path, struct str checksum,
                             bool *out_known, bool *out_same, struct err *err)
{
    struct seen seen = { .pack = pack, .path = path, .checksum = checksum };
    const enum err_code rc = store_read(entity->config.store, seen_fn, &seen, err);
    *out_known = seen.known;
    *out_same = seen.same;
    return rc;
}

static enum err_code put_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct seen *seen = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, SQL_SEEN_PUT, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_text(stmt, 1, seen->pack);
    stmt_bind_text(stmt, 2, seen->path);
    stmt_bind_text(stmt, 3, seen->checksum);
    stmt_bind_i64(stmt, 4, seen->rows);
    stmt_bind_i64(stmt, 5, seen->now);
    return stmt_run(stmt, NULL, err);
}

enum err_code pack_data_put(struct entity *entity, struct str pack, struct str path, struct str checksum,
                            int64_t rows, struct err *err)
{
    struct seen seen = {
        .pack = pack, .path = path, .checksum = checksum, .rows = rows, .now = clock_now(entity->config.clock)
    };
    return store_write(entity->config.store, put_fn, &seen, err);
}

enum err_code pack_record_put(struct tx *tx, int64_t id, struct str pack, int64_t version, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, SQL_RECORD_PUT, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    stmt_bind_text(stmt, 2, pack);
    stmt_bind_i64(stmt, 3, version);
    return stmt_post(stmt, err);
}

enum err_code pack_record_edited(struct tx *tx, const struct entity_type *type, int64_t id, bool *out,
                                 struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char sql[300];
    enum err_code rc = sql_fill(SQL_EDITED, type->table, (struct str) { 0 }, sql, sizeof sql, err);
    if (!rc)
        rc = tx_prepare(tx, sql, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    return stmt_step(stmt, out, err);
}
