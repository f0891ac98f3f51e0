/* postgres_stmt.c - statements: prepared, bound, sent, stepped; see postgres.c, invariants 5 and 6. */
#include "store/postgres.h"

#include <stdio.h>
#include <stdlib.h>

#define PARAMS_MAX 1000
#define FETCH_ROWS 500

static enum err_code prepare_guessing(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err);

/* ---- statements ---- */

/* ?N becomes $N outside of quotes and comments; *out_count = the greatest N. */
static void with_dollars(const char *sql, struct buf *out, int *out_count)
{
    *out_count = 0;
    while (*sql) {
        size_t len = 1;
        if (*sql == '\'' || *sql == '"') {
            const char *close = strchr(sql + 1, *sql);
            len = close ? (size_t)(close - sql) + 1 : strlen(sql);
        } else if (sql[0] == '-' && sql[1] == '-') {
            len = strcspn(sql, "\n");
        } else if (sql[0] == '/' && sql[1] == '*') {
            const char *close = strstr(sql + 2, "*/");
            len = close ? (size_t)(close - sql) + 2 : strlen(sql);
        } else if (sql[0] == '?' && sql[1] >= '1' && sql[1] <= '9') {
            const int n = atoi(sql + 1);
            if (n > *out_count)
                *out_count = n;
            buf_char(out, '$');
            sql++;
            continue;
        }
        buf_add(out, sql, len);
        sql += len;
    }
}

void postgres_destroy(struct stmt *stmt)
{
    struct pstmt *s = pstmt_of(stmt);
    struct pconn *conn = pconn_of(stmt);
    struct err ignored_late; /* stays with the connection */
    PQclear(s->result);
    if (s->prepared && conn->posted)
        (void)!pconn_settle(conn, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, &ignored_late);
    if (s->prepared && !conn->lost && !conn->late.code && PQtransactionStatus(conn->pg) == PQTRANS_INTRANS) {
        char sql[64];
        struct err ignored;
        (void)snprintf(sql, sizeof sql, "DEALLOCATE %s", s->name);
        if (pconn_simple(conn, sql, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, NULL, &ignored))
            conn->lost = true;
    }
    for (int i = 0; i < s->count && s->params; i++)
        mem_free(s->params[i].copy);
    mem_free(s->params);
    mem_free(s->declared);
    mem_free(s->sql);
    mem_free(s);
}

enum err_code postgres_prepare(struct tx *tx, const char *sql, struct stmt **out_stmt, struct err *err)
{
    struct pstmt *stmt = mem_alloc(1, sizeof *stmt);
    if (!stmt)
        return err_nomem(err);
    struct buf text;
    buf_init(&text, STORE_SQL_MAX * 2);
    with_dollars(sql, &text, &stmt->count);
    stmt->head.conn = tx->conn;
    stmt->reads = str_starts(str_trim(str_from(sql)), STR("SELECT"));
    enum err_code rc = stmt->count > PARAMS_MAX ? err_set(err, ERR_LIMIT, "store.parameter", ARG_END)
                                                : buf_check(&text, err);
    if (!rc) {
        stmt->sql = text.ptr; /* taken */
        stmt->params = mem_alloc((size_t)stmt->count + 1, sizeof *stmt->params);
        stmt->declared = mem_alloc((size_t)stmt->count + 1, sizeof *stmt->declared);
        if (!stmt->params || !stmt->declared)
            rc = err_nomem(err);
    } else {
        stmt->count = 0;
        buf_done(&text);
    }
    if (rc) {
        postgres_destroy(&stmt->head);
        return rc;
    }
    *out_stmt = &stmt->head;
    return ERR_OK;
}

void postgres_reset(struct stmt *stmt, bool clear)
{
    struct pstmt *s = pstmt_of(stmt);
    struct pconn *conn = pconn_of(stmt);
    PQclear(s->result);
    s->result = NULL;
    s->row = s->rows = 0;
    if (s->cursor[0]) {
        struct err ignored_late; /* stays with the connection */
        (void)!pconn_settle(conn, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, &ignored_late);
        if (!conn->lost && !conn->late.code && PQtransactionStatus(conn->pg) == PQTRANS_INTRANS) {
            char sql[64];
            struct err ignored;
            (void)snprintf(sql, sizeof sql, "CLOSE %s", s->cursor);
            (void)!pconn_simple(conn, sql, clock_mono(&CLOCK_SYSTEM) + GRACE_MS, NULL, &ignored);
        }
        s->cursor[0] = 0;
    }
    for (int i = 0; clear && i < s->count; i++) {
        s->params[i].kind = STMT_NULL;
        s->params[i].value = NULL;
        if (s->params[i].copy_size > 4096) { /* do not sit on a large text */
            mem_free(s->params[i].copy);
            s->params[i].copy = NULL;
            s->params[i].copy_size = 0;
        }
    }
}

static struct param *param_at(struct stmt *stmt, int index)
{
    if (index >= 1 && index <= pstmt_of(stmt)->count)
        return &pstmt_of(stmt)->params[index - 1];
    stmt->bind_failed = ERR_INVALID;
    return NULL;
}

void postgres_bind_i64(struct stmt *stmt, int index, int64_t value)
{
    struct param *param = param_at(stmt, index);
    if (!param)
        return;
    param->kind = STMT_I64;
    param->len = (size_t)snprintf(param->number, sizeof param->number, "%lld", (long long)value);
    param->value = param->number;
}

void postgres_bind_f64(struct stmt *stmt, int index, double value)
{
    struct param *param = param_at(stmt, index);
    if (!param)
        return;
    param->kind = STMT_F64;
    param->len = (size_t)snprintf(param->number, sizeof param->number, "%.17g", value);
    param->value = param->number;
}

void postgres_bind_text(struct stmt *stmt, int index, struct str text)
{
    struct param *param = param_at(stmt, index);
    if (!param)
        return;
    param->kind = text.ptr ? STMT_TEXT : STMT_NULL;
    param->value = NULL;
    if (!text.ptr)
        return;
    if (param->copy_size < text.len + 1) {
        char *copy = mem_realloc(param->copy, text.len + 1);
        if (!copy) {
            stmt->bind_failed = ERR_NOMEM;
            return;
        }
        param->copy = copy;
        param->copy_size = text.len + 1;
    }
    memcpy(param->copy, text.ptr, text.len);
    param->copy[text.len] = 0;
    param->value = param->copy;
    param->len = text.len;
}

void postgres_bind_blob(struct stmt *stmt, int index, const void *bytes, size_t len)
{
    struct param *param = param_at(stmt, index);
    if (!param)
        return;
    param->kind = STMT_BLOB;
    param->value = bytes;
    param->len = len;
    if (len > INT32_MAX / 2)
        stmt->bind_failed = ERR_LIMIT;
}

static Oid oid_of(enum stmt_type kind)
{
    switch (kind) {
    case STMT_I64:
        return OID_I64;
    case STMT_F64:
        return OID_F64;
    case STMT_TEXT:
        return OID_TEXT;
    case STMT_BLOB:
        return OID_BLOB;
    case STMT_NULL:
        break;
    }
    return 0;
}

/* The timeout of the tx shrinks with its time: set anew when the server's is far behind. */
static enum err_code refresh_timeout(struct pconn *conn, struct tx *tx, struct err *err)
{
    const int64_t left = tx->deadline_ms - clock_mono(&CLOCK_SYSTEM);
    if (left > conn->timeout_ms / 2 || conn->timeout_ms - left < 500)
        return ERR_OK;
    char sql[64];
    conn->timeout_ms = left > 0 ? left : 1;
    (void)snprintf(sql, sizeof sql, "SET LOCAL statement_timeout=%lld", (long long)conn->timeout_ms);
    return pconn_simple(conn, sql, tx->deadline_ms + GRACE_MS, NULL, err);
}

static enum err_code make_prepared(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err)
{
    bool fits = s->prepared;
    for (int i = 0; i < s->count; i++) {
        const Oid oid = oid_of(s->params[i].kind);
        if (oid && oid != s->declared[i])
            fits = false;
    }
    if (fits)
        return ERR_OK;
    const enum err_code late = pconn_settle(conn, until_ms, err);
    if (late)
        return late;
    if (s->prepared) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "DEALLOCATE %s", s->name);
        const enum err_code rc = pconn_simple(conn, sql, until_ms, NULL, err);
        if (rc)
            return rc;
        s->prepared = false;
    }
    for (int i = 0; i < s->count; i++) {
        const Oid oid = oid_of(s->params[i].kind);
        if (oid)
            s->declared[i] = oid;
    }
    return prepare_guessing(s, conn, until_ms, err);
}

/* A parameter that is NULL at the first run and stands where PostgreSQL cannot tell its type ("?1 IS NULL OR
 * n = ?1") gets one by trial, each in a savepoint; a value bound later corrects a wrong guess. */
static enum err_code prepare_guessing(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err)
{
    static const Oid guesses[] = { OID_I64, OID_TEXT, OID_F64, OID_BLOB };
    bool unknown = false;
    int guessed = -1; /* the parameter that is being tried */
    size_t next = 0;
    for (int i = 0; i < s->count; i++)
        unknown |= s->declared[i] == 0;
    (void)snprintf(s->name, sizeof s->name, "s%u", ++conn->serial);
    for (;;) {
        enum err_code rc = unknown ? pconn_simple(conn, "SAVEPOINT guess", until_ms, NULL, err) : ERR_OK;
        if (rc)
            return rc;
        if (!PQsendPrepare(conn->pg, s->name, s->sql, s->count, s->declared)) {
            conn->lost = true;
            return pconn_away(err, PQerrorMessage(conn->pg));
        }
        PGresult *result = pconn_await(conn, until_ms);
        if (pconn_is_good(result)) {
            PQclear(result);
            s->prepared = true;
            return unknown ? pconn_simple(conn, "RELEASE guess", until_ms, NULL, err) : ERR_OK;
        }
        const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
        const char *message = state ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
        bool again = false;
        const bool untyped = state && (strcmp(state, "42P18") == 0 || strcmp(state, "42P08") == 0);
        if (unknown && untyped && message && strchr(message, '$')) {
            const int n = atoi(strchr(message, '$') + 1) - 1;
            if (n >= 0 && n < s->count && s->declared[n] == 0) {
                guessed = n;
                next = 1;
                s->declared[n] = guesses[0];
                again = true;
            }
        } else if (guessed >= 0 && state && next < sizeof guesses / sizeof *guesses &&
                   (strcmp(state, "42883") == 0 || strcmp(state, "42804") == 0)) {
            s->declared[guessed] = guesses[next++];
            again = true;
        }
        rc = pconn_error(conn, result, err);
        PQclear(result);
        if (!again)
            return rc;
        rc = pconn_simple(conn, "ROLLBACK TO guess", until_ms, NULL, err);
        if (rc)
            return rc;
    }
}

/* The parameters as libpq takes them. */
struct sending {
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
    Oid types[PARAMS_MAX];
};

static void collect(const struct pstmt *s, struct sending *out)
{
    for (int i = 0; i < s->count; i++) {
        const struct param *param = &s->params[i];
        out->values[i] = param->value;
        out->lengths[i] = (int)param->len;
        out->formats[i] = param->kind == STMT_BLOB;
        out->types[i] = oid_of(param->kind);
    }
}

enum err_code postgres_post(struct stmt *stmt, bool wants_row, struct err *err)
{
    struct pstmt *s = pstmt_of(stmt);
    struct pconn *conn = pconn_of(stmt);
    struct sending with;
    const int64_t until = stmt->tx->deadline_ms + GRACE_MS;
    enum err_code rc =
        conn->late.code || conn->posted >= POSTED_MAX ? pconn_settle(conn, until, err) : ERR_OK;
    if (!rc && conn->lost)
        rc = pconn_away(err, "connection lost");
    if (!rc)
        rc = refresh_timeout(conn, stmt->tx, err);
    if (!rc)
        rc = make_prepared(s, conn, until, err);
    if (rc)
        return rc;
    collect(s, &with);
    if (!pconn_pipeline_open(conn) ||
        !PQsendQueryPrepared(conn->pg, s->name, s->count, with.values, with.lengths, with.formats, 0)) {
        conn->lost = true;
        return pconn_away(err, PQerrorMessage(conn->pg));
    }
    conn->changed = conn->changed || !s->reads;
    conn->wants[conn->posted++] = wants_row;
    return ERR_OK;
}

enum err_code postgres_settle(struct tx *tx, struct err *err)
{
    return pconn_settle((struct pconn *)tx->conn, tx->deadline_ms + GRACE_MS, err);
}

static enum err_code send(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err)
{
    struct sending with;
    PGresult *result = NULL;
    collect(s, &with);
    int sent;
    if (s->head.streaming) {
        const enum err_code late = pconn_settle(conn, until_ms, err);
        if (late)
            return late;
        struct buf sql;
        buf_init(&sql, STORE_SQL_MAX * 2 + 128);
        (void)snprintf(s->cursor, sizeof s->cursor, "c%u", ++conn->serial);
        buf_printf(&sql, "DECLARE %s NO SCROLL CURSOR FOR %s", s->cursor, s->sql);
        enum err_code rc = buf_check(&sql, err);
        sent = !rc && PQsendQueryParams(conn->pg, sql.ptr, s->count, with.types, with.values, with.lengths,
                                        with.formats, 0);
        buf_done(&sql);
        if (rc)
            return rc;
    } else {
        const enum err_code rc = make_prepared(s, conn, until_ms, err);
        if (rc)
            return rc;
        sent = PQsendQueryPrepared(conn->pg, s->name, s->count, with.values, with.lengths, with.formats, 0);
    }
    if (!sent) {
        conn->lost = true;
        return pconn_away(err, PQerrorMessage(conn->pg));
    }
    if (conn->posted)
        pconn_pipeline_end(conn, until_ms, &result);
    else
        result = pconn_await(conn, until_ms);
    if (conn->late.code || !pconn_is_good(result)) {
        if (conn->late.code)
            *err = conn->late;
        else
            (void)pconn_error(conn, result, err);
        PQclear(result);
        return err->code;
    }
    s->result = result;
    return ERR_OK;
}

static enum err_code fetch(struct pstmt *s, struct pconn *conn, int64_t until_ms, struct err *err)
{
    char sql[64];
    const enum err_code late = pconn_settle(conn, until_ms, err);
    if (late)
        return late;
    PQclear(s->result);
    s->result = NULL;
    (void)snprintf(sql, sizeof sql, "FETCH %d FROM %s", FETCH_ROWS, s->cursor);
    if (!PQsendQuery(conn->pg, sql)) {
        conn->lost = true;
        return pconn_away(err, PQerrorMessage(conn->pg));
    }
    PGresult *result = pconn_await(conn, until_ms);
    if (!pconn_is_good(result)) {
        const enum err_code rc = pconn_error(conn, result, err);
        PQclear(result);
        return rc;
    }
    s->result = result;
    s->rows = PQntuples(result);
    s->row = 0;
    s->last = s->rows < FETCH_ROWS;
    return ERR_OK;
}

enum err_code postgres_step(struct stmt *stmt, bool *out_row, struct err *err)
{
    struct pstmt *s = pstmt_of(stmt);
    struct pconn *conn = pconn_of(stmt);
    const int64_t until = stmt->tx->deadline_ms + GRACE_MS;
    if (conn->lost)
        return pconn_away(err, "connection lost");
    if (conn->late.code) {
        *err = conn->late;
        return err->code;
    }
    if (!s->result) {
        enum err_code rc = refresh_timeout(conn, stmt->tx, err);
        conn->changed = conn->changed || !s->reads;
        if (!rc)
            rc = send(s, conn, until, err);
        if (rc)
            return rc;
        if (s->cursor[0]) {
            rc = fetch(s, conn, until, err);
            if (rc)
                return rc;
        }
        s->rows = PQntuples(s->result);
        s->row = 0;
        s->changes = PQresultStatus(s->result) == PGRES_COMMAND_OK || !s->cursor[0]
                         ? strtoll(PQcmdTuples(s->result), NULL, 10)
                         : 0;
        if (strncmp(PQcmdStatus(s->result), "SELECT", 6) == 0)
            s->changes = 0;
    } else {
        s->row++;
        if (s->row >= s->rows && s->cursor[0] && !s->last) {
            const enum err_code rc = fetch(s, conn, until, err);
            if (rc)
                return rc;
        }
    }
    *out_row = s->row < s->rows;
    if (!*out_row)
        postgres_reset(stmt, false);
    return ERR_OK;
}
