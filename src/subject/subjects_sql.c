/* subjects_sql.c - see subjects_sql.h */
#include "subject/subjects_sql.h"

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
