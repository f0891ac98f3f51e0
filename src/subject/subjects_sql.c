/* subjects_sql.c - see subjects_sql.h */
#include "subject/subjects_sql.h"
#include "platform/entity/sql.h"

#include <stdio.h>

#define SQL_ALL "SELECT id, type, code, name, org FROM subject ORDER BY id"
#define SQL_ONE "SELECT id, type, code, name, org FROM subject WHERE id = ?1"
#define SQL_PATH "SELECT path FROM org WHERE id = ?1"

static void put(char *out, size_t size, struct str text)
{
    (void)snprintf(out, size, "%.*s", STR_ARG(text));
}

static void read_row(struct stmt *stmt, struct subject_info *out)
{
    out->id = stmt_i64(stmt, 0);
    put(out->type, sizeof out->type, stmt_text(stmt, 1));
    put(out->code, sizeof out->code, stmt_text(stmt, 2));
    put(out->name, sizeof out->name, stmt_text(stmt, 3));
    out->org = stmt_i64(stmt, 4);
}

enum err_code subject_rows(struct tx *tx, void (*each)(void *arg, const struct subject_info *info), void *arg,
                           struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct subject_info info;
    bool row = false;
    if (tx_prepare(tx, SQL_ALL, &stmt, err))
        return err->code;
    stmt_stream(stmt);
    for (;;) {
        const enum err_code rc = stmt_step(stmt, &row, err);
        if (rc || !row)
            return rc;
        read_row(stmt, &info);
        each(arg, &info);
    }
}

enum err_code subject_row(struct tx *tx, int64_t id, struct subject_info *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_query_row(tx, SQL_ONE, BINDS(bind_i64(id)), &stmt, &row, err))
        return err->code;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "subject.none", ARG_END);
    read_row(stmt, out);
    return ERR_OK;
}

enum err_code org_path(struct tx *tx, int64_t org, char *out, size_t size, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_query_row(tx, SQL_PATH, BINDS(bind_i64(org)), &stmt, &row, err))
        return err->code;
    put(out, size, row ? stmt_text(stmt, 0) : STR(""));
    return ERR_OK;
}

#define SEEN_AT_ONCE 200 /* ids of one statement */

static enum err_code seen_some(const struct entity_call *call, struct tx *tx, const int64_t *ids, int count,
                               bool *out, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "SELECT s.id FROM ");
    enum err_code rc = entity_common_sql(call, false, sql, err);
    sql_add(sql, " s WHERE s.id IN (");
    for (int i = 0; i < count; i++) {
        sql_add(sql, i ? ", " : "");
        sql_i64(sql, ids[i]);
    }
    sql_add(sql, ")");
    if (!rc)
        rc = sql_prepare(sql, tx, &stmt, err);
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row;)
        for (int i = 0; i < count; i++)
            out[i] = out[i] || ids[i] == stmt_i64(stmt, 0);
    return rc;
}

enum err_code subject_seen(const struct entity_call *call, struct tx *tx, const int64_t *ids, int count,
                           bool *out, struct err *err)
{
    enum err_code rc = ERR_OK;
    memset(out, 0, (size_t)count * sizeof *out);
    for (int i = 0; !rc && i < count; i += SEEN_AT_ONCE)
        rc = seen_some(call, tx, ids + i, count - i < SEEN_AT_ONCE ? count - i : SEEN_AT_ONCE, out + i, err);
    return rc;
}
