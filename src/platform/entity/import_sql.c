/* import_sql.c - the faults that an import found, kept until they are old */
#include "base/json.h"
#include "platform/entity/import_job.h"
#include "platform/entity/importing.h"

#define FAULT_BYTES_MAX 4096

static const char SQL_ADD[] = "INSERT INTO import_fault (job, number, fault) VALUES (?1, ?2, ?3)";
static const char SQL_LIST[] =
    "SELECT number, fault FROM import_fault WHERE job = ?1 AND number > ?2 ORDER BY number";
static const char SQL_FORGET[] = "DELETE FROM import_fault WHERE job = ?1";
static const char SQL_DROP[] = "DELETE FROM import_fault WHERE job < ?1";

enum err_code import_faults_add(struct tx *tx, int64_t job, int64_t first, const struct err *faults,
                                int count, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf text;
    enum err_code rc = count ? tx_prepare(tx, SQL_ADD, &stmt, err) : ERR_OK;
    buf_init(&text, FAULT_BYTES_MAX);
    for (int i = 0; !rc && i < count; i++) {
        buf_clear(&text);
        json_put_err(&faults[i], &text);
        rc = buf_check(&text, err);
        if (rc)
            break;
        stmt_bind_i64(stmt, 1, job);
        stmt_bind_i64(stmt, 2, first + i);
        stmt_bind_text(stmt, 3, buf_get(&text));
        rc = stmt_run(stmt, NULL, err);
        stmt_reset(stmt);
    }
    buf_done(&text);
    return rc;
}

enum err_code import_faults_each(struct tx *tx, int64_t job, int64_t after, int limit, struct arena *arena,
                                 import_fault_fn each, void *arg, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, SQL_LIST, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, job);
    stmt_bind_i64(stmt, 2, after);
    stmt_stream(stmt);
    for (int n = 0; !rc && n < limit && !(rc = stmt_step(stmt, &row, err)) && row; n++) {
        struct err fault = { 0 };
        const struct arena_mark mark = arena_mark(arena);
        if (json_read_err(stmt_text(stmt, 1), arena, &fault))
            rc = each(arg, stmt_i64(stmt, 0), &fault, err);
        arena_release(arena, mark);
    }
    return rc;
}

static enum err_code run_with(struct tx *tx, const char *sql, int64_t id, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, sql, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    return stmt_run(stmt, NULL, err);
}

enum err_code import_faults_forget(struct tx *tx, int64_t job, struct err *err)
{
    return run_with(tx, SQL_FORGET, job, err);
}

enum err_code import_faults_drop(struct tx *tx, int64_t before, struct err *err)
{
    return run_with(tx, SQL_DROP, before, err);
}
