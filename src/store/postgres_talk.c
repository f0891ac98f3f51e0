/* postgres_talk.c - sending and waiting on one connection, and what PostgreSQL's errors are to us; see
 * postgres.c, invariants 2 and 5. */
#include "store/postgres.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

/* ---- errors ---- */

/* "Key (name, n)=(x, 5) already exists." gives "name,n". */
static void key_columns(const char *detail, const char *table, char *out, size_t size)
{
    const char *open = detail ? strchr(detail, '(') : NULL;
    size_t len = (size_t)snprintf(out, size, "%.40s", table ? table : "");
    if (open && len + 1 < size) {
        out[len++] = '.';
        for (open++; *open && !(open[0] == ')' && open[1] == '=') && len + 1 < size; open++)
            if (*open != ' ' && *open != '"')
                out[len++] = *open;
    }
    out[len] = 0;
}

enum err_code pconn_away(struct err *err, const char *reason)
{
    char text[ERR_TEXT_MAX + 1];
    (void)snprintf(text, sizeof text, "%s", reason);
    text[strcspn(text, "\n")] = 0;
    return err_set(err, ERR_STORE, "store.away", ARG_TEXT("reason", text), ARG_END);
}

enum err_code pconn_error(struct pconn *conn, const PGresult *result, struct err *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (!result || !state || PQstatus(conn->pg) == CONNECTION_BAD || strncmp(state, "57P", 3) == 0 ||
        strncmp(state, "08", 2) == 0) {
        conn->lost = true;
        return pconn_away(err, conn->pg ? PQerrorMessage(conn->pg) : "");
    }
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *table = PQresultErrorField(result, PG_DIAG_TABLE_NAME);
    char what[ERR_TEXT_MAX + 1];
    if (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0) {
        conn->again = true;
        return err_set(err, ERR_BUSY, "store.busy", ARG_END);
    }
    if (strcmp(state, "23505") == 0) {
        char stem[STORE_NAME_SIZE];
        (void)snprintf(stem, sizeof stem, "%s", table ? table : "");
        key_columns(PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL), stem, what, sizeof what);
        return err_set(err, ERR_CONFLICT, "store.duplicate", ARG_TEXT("what", what), ARG_END);
    }
    if (strcmp(state, "23503") == 0)
        return err_set(err, ERR_CONFLICT, "store.reference", ARG_END);
    if (strcmp(state, "23502") == 0) {
        const char *column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
        (void)snprintf(what, sizeof what, "%s.%s", table ? table : "", column ? column : "");
        return err_set(err, ERR_INVALID, "store.missing_value", ARG_TEXT("what", what), ARG_END);
    }
    if (strcmp(state, "23514") == 0)
        return err_set(err, ERR_INVALID, "store.check",
                       ARG_TEXT("what", PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME)), ARG_END);
    if (strcmp(state, "57014") == 0)
        return err_set(err, ERR_TIMEOUT, "store.timeout", ARG_END);
    if (strcmp(state, "25006") == 0)
        return err_set(err, ERR_INVALID, "store.read_only", ARG_END);
    if (strcmp(state, "53100") == 0)
        return err_set(err, ERR_DISK_FULL, "store.disk_full", ARG_END);
    if (strncmp(state, "53", 2) == 0 || strncmp(state, "55", 2) == 0)
        return err_set(err, ERR_BUSY, "store.busy", ARG_END);
    if (strcmp(state, "XX001") == 0 || strcmp(state, "XX002") == 0)
        return err_set(err, ERR_CORRUPT, "store.corrupt", ARG_TEXT("reason", message), ARG_END);
    if (strncmp(state, "58", 2) == 0 || strncmp(state, "XX", 2) == 0)
        return err_set(err, ERR_STORE, "store.failed", ARG_TEXT("reason", message), ARG_END);
    if (strncmp(state, "22", 2) == 0)
        return err_set(err, ERR_INVALID, "store.wrong_type", ARG_TEXT("reason", message), ARG_END);
    return err_set(err, ERR_INVALID, "store.sql", ARG_TEXT("reason", message), ARG_END);
}

/* ---- talking ---- */

bool pconn_wait(struct pconn *conn, short events, int64_t until_ms)
{
    for (;;) {
        const int64_t left = until_ms - clock_mono(&CLOCK_SYSTEM);
        struct pollfd fd = { .fd = PQsocket(conn->pg), .events = events };
        if (fd.fd < 0)
            return false;
        const int n = poll(&fd, 1, left < 0 ? 0 : left > 60000 ? 60000 : (int)left);
        if (n > 0)
            return true;
        if (n == 0 && left <= 0)
            return false;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

PGresult *pconn_await(struct pconn *conn, int64_t until_ms)
{
    PGresult *answer = NULL;
    bool failed = false;
    for (int more; (more = PQflush(conn->pg)) != 0;) {
        if (more < 0 || !pconn_wait(conn, POLLIN | POLLOUT, until_ms) || !PQconsumeInput(conn->pg))
            goto lost;
    }
    for (;;) {
        while (PQisBusy(conn->pg))
            if (!pconn_wait(conn, POLLIN, until_ms) || !PQconsumeInput(conn->pg))
                goto lost;
        PGresult *next = PQgetResult(conn->pg);
        if (!next)
            break;
        if (failed) {
            PQclear(next);
            continue;
        }
        PQclear(answer);
        answer = next;
        const ExecStatusType status = PQresultStatus(next);
        failed = status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY;
    }
    if (answer)
        return answer;

lost:
    PQclear(answer);
    conn->lost = true;
    return NULL;
}

bool pconn_is_good(const PGresult *result)
{
    const ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

/* The next answer alone. */
static PGresult *await_one(struct pconn *conn, int64_t until_ms)
{
    while (PQisBusy(conn->pg))
        if (!pconn_wait(conn, POLLIN, until_ms) || !PQconsumeInput(conn->pg)) {
            conn->lost = true;
            return NULL;
        }
    return PQgetResult(conn->pg);
}

/* ---- posting ---- */

bool pconn_pipeline_open(struct pconn *conn)
{
    return conn->posted || PQenterPipelineMode(conn->pg);
}

void pconn_pipeline_end(struct pconn *conn, int64_t until_ms, PGresult **own)
{
    const int count = conn->posted + (own ? 1 : 0);
    conn->posted = 0;
    if (conn->lost || !PQpipelineSync(conn->pg)) {
        conn->lost = true;
        return;
    }
    for (int i = 0; i < count; i++) {
        PGresult *result = pconn_await(conn, until_ms);
        if (conn->lost) {
            PQclear(result);
            return;
        }
        if (own && i == count - 1) {
            *own = result;
            break;
        }
        if (!pconn_is_good(result) && !conn->late.code)
            (void)pconn_error(conn, result, &conn->late);
        else if (conn->wants[i] && !conn->late.code && strcmp(PQcmdTuples(result), "0") == 0)
            (void)err_set(&conn->late, ERR_NOT_FOUND, "store.no_row", ARG_END);
        PQclear(result);
    }
    PGresult *end = await_one(conn, until_ms);
    if (!end || PQresultStatus(end) != PGRES_PIPELINE_SYNC || !PQexitPipelineMode(conn->pg))
        conn->lost = true;
    PQclear(end);
}

enum err_code pconn_post(struct pconn *conn, const char *sql, struct err *err)
{
    if (conn->lost || !pconn_pipeline_open(conn) ||
        !PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL, 0)) {
        conn->lost = true;
        return pconn_away(err, PQerrorMessage(conn->pg));
    }
    conn->wants[conn->posted++] = false;
    return ERR_OK;
}

enum err_code pconn_settle(struct pconn *conn, int64_t until_ms, struct err *err)
{
    if (conn->posted)
        pconn_pipeline_end(conn, until_ms, NULL);
    if (conn->lost)
        return pconn_away(err, "connection lost");
    if (conn->late.code)
        *err = conn->late;
    return conn->late.code;
}

enum err_code pconn_simple(struct pconn *conn, const char *sql, int64_t until_ms, char out_value[64],
                           struct err *err)
{
    enum err_code rc = pconn_settle(conn, until_ms, err);
    if (rc)
        return rc;
    if (!PQsendQuery(conn->pg, sql)) {
        conn->lost = true;
        return pconn_away(err, PQerrorMessage(conn->pg));
    }
    PGresult *result = pconn_await(conn, until_ms);

    if (!pconn_is_good(result))
        rc = pconn_error(conn, result, err);
    else if (out_value)
        (void)snprintf(out_value, 64, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return rc;
}
