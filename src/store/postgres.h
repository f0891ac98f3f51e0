/* postgres.h - what the files of the PostgreSQL backend share; not for others.
 *
 *   postgres.c        transactions, alone and in groups; the invariants of all of them
 *   postgres_pool.c   connections          postgres_talk.c   sending, waiting, errors
 *   postgres_stmt.c   statements           postgres_value.c  the columns of a row
 *
 * A pconn and its statements belong to the thread that took it.  Layer: store. */
#pragma once
#include "store/crowd.h"
#include "store/internal.h"

#include <libpq-fe.h>

#define GRACE_MS 2000 /* the server's own time-out comes first */
#define POSTED_MAX 256

struct pconn {
    struct conn head;
    PGconn *pg;
    bool write, lost, again; /* again: a serialization failure was seen in this tx */
    bool changed;            /* something may have been written since that was cleared */
    int64_t first_id, last_id;
    int64_t timeout_ms;     /* statement_timeout of the tx */
    unsigned serial;        /* names of statements and cursors */
    int posted;             /* statements sent whose answers are still to be read */
    bool wants[POSTED_MAX]; /* of these: it has to find a row */
    struct err late;        /* of the first of them that failed; code ERR_OK = none */
    struct pconn *next_idle;
};

struct pool {
    struct pconn *idle;
    int made, max;
    pthread_cond_t free;
};

struct postgres {
    pthread_mutex_t lock; /* guards all below */
    struct pool writers, readers;
    struct crowd crowd; /* of short writes */
    bool slots[64];
    int64_t down_until_ms, backoff_ms; /* after a failed connect nobody tries before that */
    char down_reason[ERR_TEXT_MAX + 1];
};

/* ---- postgres_pool.c ---- */

enum err_code postgres_open(struct store *store, struct err *err);
void postgres_close(struct store *store);
/* An idle connection or a new one, waited for until the deadline. */
MUST_CHECK enum err_code pconn_take(struct store *store, bool write, int64_t deadline_ms,
                                    struct pconn **out_conn, struct err *err);
/* Back to the pool, or closed when it was lost. */
void pconn_give(struct store *store, struct pconn *conn);

/* ---- postgres_talk.c ---- */

/* ERR_STORE "store.away". */
enum err_code pconn_away(struct err *err, const char *reason);
/* What a failed answer means; marks the connection as lost, or its tx as to be run again. */
enum err_code pconn_error(struct pconn *conn, const PGresult *result, struct err *err);
bool pconn_wait(struct pconn *conn, short events, int64_t until_ms);
/* The answer to what was sent: of several the last, or the first that failed.  NULL: none came in time or
 * the connection broke; then conn->lost. */
PGresult *pconn_await(struct pconn *conn, int64_t until_ms);
bool pconn_is_good(const PGresult *result);
/* One more statement on its way: the caller sends it next. */
bool pconn_pipeline_open(struct pconn *conn);
/* Sends the end of the pipeline and reads all answers; the last one, of a statement that was not posted, is
 * for the caller (`own` NULL = there is none).  The first failure of the posted ones goes to conn->late. */
void pconn_pipeline_end(struct pconn *conn, int64_t until_ms, PGresult **own);
/* A statement without parameters that is on its way with the next. */
MUST_CHECK enum err_code pconn_post(struct pconn *conn, const char *sql, struct err *err);
/* Waits for what was posted. */
MUST_CHECK enum err_code pconn_settle(struct pconn *conn, int64_t until_ms, struct err *err);
/* Statements without parameters; *out_value, when asked for, is the first column of the last answer. */
MUST_CHECK enum err_code pconn_simple(struct pconn *conn, const char *sql, int64_t until_ms,
                                      char out_value[64], struct err *err);

/* ---- postgres_stmt.c ---- */

enum { OID_I64 = 20, OID_F64 = 701, OID_TEXT = 25, OID_BLOB = 17 };

struct param {
    enum stmt_type kind;
    char number[32];
    char *copy; /* of a text, NUL behind; owned */
    size_t copy_size;
    const char *value; /* NULL = SQL NULL */
    size_t len;
};

struct pstmt {
    struct stmt head;
    char *sql; /* with $N; owned */
    int count;
    struct param *params;      /* owned */
    Oid *declared;             /* owned; of the prepared statement */
    bool prepared, reads;      /* reads: begins with SELECT */
    char name[24], cursor[24]; /* cursor: "" or the open one */
    PGresult *result;
    int row, rows;
    bool last; /* no further portion of the cursor */
    int64_t changes;
};

enum err_code postgres_prepare(struct tx *tx, const char *sql, struct stmt **out_stmt, struct err *err);
void postgres_destroy(struct stmt *stmt);
void postgres_reset(struct stmt *stmt, bool clear);
void postgres_bind_i64(struct stmt *stmt, int index, int64_t value);
void postgres_bind_f64(struct stmt *stmt, int index, double value);
void postgres_bind_text(struct stmt *stmt, int index, struct str text);
void postgres_bind_blob(struct stmt *stmt, int index, const void *bytes, size_t len);
enum err_code postgres_step(struct stmt *stmt, bool *out_row, struct err *err);
enum err_code postgres_post(struct stmt *stmt, bool wants_row, struct err *err);
enum err_code postgres_settle(struct tx *tx, struct err *err);

static inline struct pstmt *pstmt_of(struct stmt *stmt)
{
    return (struct pstmt *)stmt;
}

static inline struct pconn *pconn_of(const struct stmt *stmt)
{
    return (struct pconn *)stmt->conn;
}

/* ---- postgres_value.c ---- */

int64_t postgres_changes(struct stmt *stmt);
int64_t postgres_i64(struct stmt *stmt, int column);
double postgres_f64(struct stmt *stmt, int column);
struct str postgres_text(struct stmt *stmt, int column);
struct str postgres_blob(struct stmt *stmt, int column);
enum stmt_type postgres_type(struct stmt *stmt, int column);
int postgres_columns(struct stmt *stmt);
const char *postgres_column_name(struct stmt *stmt, int column);
