/* The contract of store.h; the same cases run on both backends (BIHUAN_TEST_STORE). */
#include "base/ids.h"
#include "test.h"
#include "teststore.h"

#include <pthread.h>
#include <unistd.h>

#define SCHEMA                                                                                               \
    "CREATE TABLE parent (id {i64} PRIMARY KEY, code {text} NOT NULL UNIQUE) {strict};"                      \
    "CREATE TABLE item (id {i64} PRIMARY KEY, name {text}, n {i64}, f {f64}, b {blob},"                      \
    " parent {i64} REFERENCES parent (id), CHECK (n < 1000000), UNIQUE (name, n)) {strict};"

static enum err_code schema_fn(struct tx *tx, void *arg, struct err *err)
{
    return tx_exec(tx, arg, err);
}

static struct store *fresh(void)
{
    struct store *store = teststore_open(teststore_url(), false, NULL);
    struct err err = { 0 };
    char sql[] = SCHEMA;
    teststore_ok(store_write(store, schema_fn, sql, &err), &err, "schema");
    return store;
}

struct item {
    int64_t id;
    const char *name;
    int64_t n;
    enum err_code fail; /* what the function answers after its work */
};

static enum err_code add_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct item *item = arg;
    struct stmt *stmt = NULL;
    int64_t changes = -1;
    enum err_code rc =
        tx_prepare(tx, "INSERT INTO item (id, name, n, f, b) VALUES (?1, ?2, ?3, ?4, ?5)", &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, item->id);
        stmt_bind_text_or_null(stmt, 2, str_from(item->name));
        stmt_bind_i64(stmt, 3, item->n);
        stmt_bind_f64(stmt, 4, (double)item->n / 4);
        stmt_bind_blob(stmt, 5, "a\0\xff", 3);
        rc = stmt_run(stmt, &changes, err);
    }
    stmt_free(stmt);
    if (!rc && changes != 1)
        return err_set(err, ERR_INTERNAL, "base.internal", ARG_END);
    if (!rc && item->fail)
        return err_set(err, item->fail, "base.internal", ARG_END);
    return rc;
}

static enum err_code add(struct store *store, int64_t id, const char *name, int64_t n, struct err *err)
{
    struct item item = { id, name, n, ERR_OK };
    return store_write(store, add_fn, &item, err);
}

struct query {
    const char *sql;
    int64_t value;
};

static enum err_code query_fn(struct tx *tx, void *arg, struct err *err)
{
    struct query *query = arg;
    return tx_query_i64(tx, query->sql, &query->value, err);
}

static enum err_code exec_fn(struct tx *tx, void *arg, struct err *err)
{
    struct stmt *stmt = NULL;
    enum err_code rc = tx_prepare(tx, arg, &stmt, err);
    if (!rc)
        rc = stmt_run(stmt, NULL, err);
    stmt_free(stmt);
    return rc;
}

static enum err_code exec(struct store *store, const char *sql, struct err *err)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%s", sql);
    return store_write(store, exec_fn, text, err);
}

/* ---- values ---- */

static enum err_code values_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, "SELECT id, name, n, f, b, parent FROM item ORDER BY id", &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc) {
        test_ok(row && stmt_columns(stmt) == 6, "a row of 6");
        test_ok(str_eq(stmt_column_name(stmt, 3), STR("f")), "name");
        test_ok(stmt_i64(stmt, 0) == INT64_MAX - 1 && stmt_type(stmt, 0) == STMT_I64, "i64");
        test_ok(str_eq(stmt_text(stmt, 1), STR("\xe9\x97\xad'\xe7\x8e\xaf\"?1")), "text");
        test_ok(stmt_type(stmt, 1) == STMT_TEXT, "text type");
        test_ok(stmt_i64(stmt, 2) == -7 && str_eq(stmt_text(stmt, 2), STR("-7")), "a number as text");
        test_ok(stmt_f64(stmt, 3) == -1.75 && stmt_type(stmt, 3) == STMT_F64, "f64");
        test_ok(str_eq(stmt_blob(stmt, 4), ((struct str) { "a\0\xff", 3 })), "blob");
        test_ok(stmt_type(stmt, 4) == STMT_BLOB, "blob type");
        test_ok(stmt_is_null(stmt, 5) && stmt_i64(stmt, 5) == 0 && !stmt_text(stmt, 5).ptr, "null");
        test_ok(!stmt_blob(stmt, 5).ptr, "null blob");
        rc = stmt_step(stmt, &row, err);
        test_ok(!row, "one row");
    }
    stmt_free(stmt);
    return rc;
}

static void test_values(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    teststore_ok(add(store, INT64_MAX - 1, "\xe9\x97\xad'\xe7\x8e\xaf\"?1", -7, &err), &err, "add");
    teststore_ok(store_read(store, values_fn, NULL, &err), &err, "read");
    teststore_ok(store_write(store, values_fn, NULL, &err), &err, "read in a write");
    test_ok(teststore_number(store, "SELECT n FROM item WHERE id = 5") == 0, "no row reads as 0");
    test_ok(teststore_number(store, "SELECT CAST(sum(n) AS {i64}) FROM item") == -7, "token in a statement");
    teststore_ok(store_ping(store, &err), &err, "ping");
    store_close(store);
}

static enum err_code shorthands_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    AUTO(stmt_free_auto) struct stmt *none = NULL;
    int64_t changes = 0;
    bool row = false;
    const char *const add_one = "INSERT INTO item (id, name, n, f, parent) VALUES (?1, ?2, ?3, ?4, ?5)";
    enum err_code rc =
        tx_run(tx, add_one,
               BINDS(bind_i64(1), bind_text(STR("one")), bind_i64_or_null(0), bind_f64(2.5), bind_null()),
               &changes, err);
    test_ok(rc || changes == 1, "told how many: %d", (int)changes);
    if (!rc)
        rc = tx_post(
            tx, add_one,
            BINDS(bind_i64(2), bind_text_or_null(STR("")), bind_i64_or_null(7), bind_f64(0), bind_null()),
            err);
    if (!rc)
        rc = tx_query_row(tx, "SELECT name, n, f FROM item WHERE id < ?1 ORDER BY id", BINDS(bind_i64(9)),
                          &stmt, &row, err);
    if (rc)
        return rc;
    const struct str kept = stmt_keep(stmt, 0);
    test_ok(row && stmt_is_null(stmt, 1) && stmt_f64(stmt, 2) == 2.5, "the first as it was bound");
    rc = stmt_step(stmt, &row, err);
    if (rc)
        return rc;
    test_ok(row && stmt_is_null(stmt, 0) && stmt_i64(stmt, 1) == 7, "the second");
    test_ok(str_eq(kept, STR("one")) && stmt_keep(stmt, 0).ptr && !stmt_keep(stmt, 0).len, "texts are kept");
    rc = tx_query_row(tx, "SELECT 1 FROM item WHERE name = ?1", BINDS(bind_text(STR("two"))), &none, &row,
                      err);
    test_ok(rc || !row, "no row is told");
    return rc ? rc : tx_failed(tx, err);
}

static enum err_code failed_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    struct err own = { 0 };
    (void)!tx_run(tx, "INSERT INTO item (id, n) VALUES (?1, ?2)", BINDS(bind_i64(3), bind_i64(1000000)), NULL,
                  &own);
    test_ok(tx_failed(tx, err) == ERR_INVALID, "the failure stays");
    return ERR_OK;
}

static void test_shorthands(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    teststore_ok(store_write(store, shorthands_fn, NULL, &err), &err, "shorthands");
    test_ok(store_write(store, failed_fn, NULL, &err) == ERR_INVALID, "and comes out at the end");
    store_close(store);
}

struct param {
    int64_t i;
    bool null;
    int64_t out;
};

static enum err_code param_fn(struct tx *tx, void *arg, struct err *err)
{
    struct param *param = arg;
    struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc =
        tx_prepare(tx, "SELECT count(*) FROM item WHERE (?1 IS NULL OR n = ?1) AND name <> ?2", &stmt, err);
    if (!rc) {
        if (param->null)
            stmt_bind_null(stmt, 1);
        else
            stmt_bind_i64(stmt, 1, param->i);
        stmt_bind_text(stmt, 2, STR("none"));
        rc = stmt_step(stmt, &row, err);
    }
    if (!rc)
        param->out = stmt_i64(stmt, 0);
    stmt_free(stmt);
    return rc;
}

/* The same statement with NULL first and a number later, and the other way round. */
static void test_parameters_change_type(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct store *store = fresh();
        struct err err = { 0 };
        for (int i = 0; i < 10; i++)
            teststore_ok(add(store, i + 1, "x", i, &err), &err, "add");
        for (int turn = 0; turn < 4; turn++) {
            struct param param = { .i = 3, .null = turn % 2 == order };
            teststore_ok(store_read(store, param_fn, &param, &err), &err, "read");
            test_ok(param.out == (param.null ? 10 : 1), "%d rows", (int)param.out);
        }
        store_close(store);
    }
}

/* ---- failures ---- */

static void test_constraints(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    teststore_ok(add(store, 1, "x", 5, &err), &err, "add");
    test_ok(add(store, 1, "y", 5, &err) == ERR_CONFLICT, "primary key");
    test_ok(strcmp(err.id, "store.duplicate") == 0 && strcmp(err.args[0].text, "item.id") == 0,
            "names item.id: %s", err.args[0].text);
    test_ok(add(store, 2, "x", 5, &err) == ERR_CONFLICT, "unique");
    test_ok(strcmp(err.args[0].text, "item.name,n") == 0, "names both columns: %s", err.args[0].text);
    test_ok(exec(store, "UPDATE item SET parent = 99 WHERE id = 1", &err) == ERR_CONFLICT, "reference");
    test_ok(strcmp(err.id, "store.reference") == 0, "is told");
    test_ok(exec(store, "INSERT INTO parent (id, code) VALUES (1, NULL)", &err) == ERR_INVALID, "missing");
    test_ok(strcmp(err.id, "store.missing_value") == 0 && strcmp(err.args[0].text, "parent.code") == 0,
            "names it: %s", err.args[0].text);
    test_ok(add(store, 3, "z", 2000000, &err) == ERR_INVALID && strcmp(err.id, "store.check") == 0, "check");
    test_ok(exec(store, "SELEC 1", &err) == ERR_INVALID && strcmp(err.id, "store.sql") == 0, "grammar");
    test_ok(exec(store, "SELECT nothing FROM item", &err) == ERR_INVALID, "no such column");
    test_ok(store_read(store, exec_fn, (char[]) { "DELETE FROM item" }, &err) == ERR_INVALID,
            "a read cannot write");
    test_ok(teststore_number(store, "SELECT count(*) FROM item") == 1, "only the first is there");
    store_close(store);
}

static enum err_code swallow_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    struct item item = { 10, "before", 1, ERR_OK };
    if (add_fn(tx, &item, err))
        return err->code;
    item = (struct item) { 1, "again", 2, ERR_OK };
    (void)add_fn(tx, &item, err); /* fails: 1 is there */
    return ERR_OK;                /* and says nothing */
}

static enum err_code nested_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    struct item good = { 20, "good", 1, ERR_OK }, bad = { 1, "bad", 2, ERR_OK },
                refused = { 21, "refused", 3, ERR_FORBIDDEN };
    if (tx_nested(tx, add_fn, &bad, err) != ERR_CONFLICT)
        return ERR_INTERNAL;
    if (tx_nested(tx, add_fn, &refused, err) != ERR_FORBIDDEN)
        return ERR_INTERNAL;
    return tx_nested(tx, add_fn, &good, err);
}

static void test_rollback(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    struct item refused = { 2, "no", 1, ERR_FORBIDDEN };
    teststore_ok(add(store, 1, "x", 5, &err), &err, "add");
    test_ok(store_write(store, add_fn, &refused, &err) == ERR_FORBIDDEN, "the function's own answer");
    test_ok(store_write(store, swallow_fn, NULL, &err) == ERR_CONFLICT, "a swallowed failure comes out");
    test_ok(teststore_number(store, "SELECT count(*) FROM item") == 1, "nothing of them is there");
    teststore_ok(store_write(store, nested_fn, NULL, &err), &err, "nested");
    test_ok(teststore_number(store, "SELECT count(*) FROM item WHERE id = 20") == 1, "the good one");
    test_ok(teststore_number(store, "SELECT count(*) FROM item") == 2, "and none of the bad ones");
    store_close(store);
}

static void count_call(void *arg)
{
    ++*(int *)arg;
}

struct after {
    int *calls;
    enum err_code rc;
};

static enum err_code after_fn(struct tx *tx, void *arg, struct err *err)
{
    struct after *after = arg;
    test_ok(tx_writer_slot(tx) >= 0 && tx_arena(tx) != NULL, "slot and arena");
    if (tx_after_commit(tx, count_call, after->calls, err) ||
        tx_after_commit(tx, count_call, after->calls, err))
        return err->code;
    return after->rc ? err_set(err, after->rc, "base.internal", ARG_END) : ERR_OK;
}

static enum err_code after_nested_fn(struct tx *tx, void *arg, struct err *err)
{
    struct after *after = arg;
    struct after bad = { after->calls, ERR_LIMIT };
    if (tx_after_commit(tx, count_call, after->calls, err))
        return err->code;
    if (tx_nested(tx, after_fn, &bad, err) != ERR_LIMIT)
        return ERR_INTERNAL;
    return tx_after_commit(tx, count_call, after->calls, err);
}

static void test_after_commit(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    int calls = 0;
    struct after after = { &calls, ERR_OK };
    teststore_ok(store_write(store, after_fn, &after, &err), &err, "write");
    test_ok(calls == 2, "both called");
    after.rc = ERR_CONFLICT;
    test_ok(store_write(store, after_fn, &after, &err) == ERR_CONFLICT && calls == 2, "none after a failure");
    calls = 0;
    teststore_ok(store_write(store, after_nested_fn, &after, &err), &err, "write");
    test_ok(calls == 2, "those of an undone savepoint are not called: %d", calls);
    store_close(store);
}

/* ---- posted statements, and what waits for the commit ---- */

static enum err_code post(struct tx *tx, int64_t id, const char *name, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const enum err_code rc = tx_prepare(tx, "INSERT INTO item (id, name, n) VALUES (?1, ?2, 0)", &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    stmt_bind_text(stmt, 2, str_from(name));
    return stmt_post(stmt, err);
}

struct posting {
    int64_t first, count, twice; /* `twice` is posted again behind them; 0 = none */
    bool ask;                    /* a question behind it */
};

static enum err_code posting_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct posting *p = arg;
    char name[32];
    int64_t seen = 0;
    enum err_code rc = ERR_OK;
    for (int64_t i = 0; !rc && i < p->count; i++) {
        (void)snprintf(name, sizeof name, "post %d", (int)(p->first + i));
        rc = post(tx, p->first + i, name, err);
    }
    if (!rc && p->twice)
        rc = post(tx, p->twice, "twice", err);
    if (!rc && p->ask) {
        rc = tx_query_i64(tx, "SELECT count(*) FROM item", &seen, err);
        test_ok(rc || seen >= p->count, "a question sees what was posted: %d", (int)seen);
    }
    return rc;
}

static enum err_code posting_nested_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    struct posting good = { 500, 3, 0, false }, bad = { 510, 3, 500, false }, other = { 520, 3, 0, false };
    enum err_code rc = tx_nested(tx, posting_fn, &good, err);
    if (!rc && tx_nested(tx, posting_fn, &bad, err) != ERR_CONFLICT)
        return err_set(err, ERR_INTERNAL, "base.internal", ARG_END);
    return rc ? rc : posting_fn(tx, &other, err);
}

static void test_posted(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    struct posting many = { 100, 200, 0, true }, last = { 400, 3, 400, false }, asked = { 410, 3, 410, true };
    teststore_ok(store_write(store, posting_fn, &many, &err), &err, "many");
    test_ok(teststore_number(store, "SELECT count(*) FROM item") == 200, "all are there");
    test_ok(store_write(store, posting_fn, &last, &err) == ERR_CONFLICT, "the commit says so: %s", err.id);
    test_ok(store_write(store, posting_fn, &asked, &err) == ERR_CONFLICT, "the question says so: %s", err.id);
    test_ok(teststore_number(store, "SELECT count(*) FROM item") == 200, "nothing of them is there");
    teststore_ok(store_write(store, posting_nested_fn, NULL, &err), &err, "nested");
    test_ok(teststore_number(store, "SELECT count(*) FROM item WHERE id >= 500") == 6, "the good ones");
    store_close(store);
}

struct waiting {
    int64_t rows, serial;
    int calls;
};

static enum err_code waiting_done_fn(struct tx *tx, void *arg, struct err *err)
{
    struct waiting *w = arg;
    w->calls++;
    return post(tx, 600 + w->calls, w->calls == 1 ? "first" : "second", err);
}

static enum err_code waiting_bad_fn(struct tx *tx, void *arg, struct err *err)
{
    const enum err_code rc = tx_before_commit(tx, waiting_done_fn, arg, err);
    return rc ? rc : err_set(err, ERR_FORBIDDEN, "base.internal", ARG_END);
}

static enum err_code waiting_fn(struct tx *tx, void *arg, struct err *err)
{
    struct waiting *w = arg;
    const int64_t serial = tx_serial(tx);
    enum err_code rc = tx_before_commit(tx, waiting_done_fn, w, err);
    test_ok(rc || w->calls == 0, "not yet");
    if (!rc && tx_nested(tx, waiting_bad_fn, w, err) != ERR_FORBIDDEN)
        return err_set(err, ERR_INTERNAL, "base.internal", ARG_END);
    test_ok(rc || w->calls == 1, "before the savepoint, and not for one that was undone: %d", w->calls);
    test_ok(tx_serial(tx) != serial && w->serial != serial, "another serial after something was undone");
    w->serial = serial;
    return rc ? rc : tx_before_commit(tx, waiting_done_fn, w, err);
}

static void test_before_commit(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    struct waiting w = { 0 };
    teststore_ok(store_write(store, waiting_fn, &w, &err), &err, "write");
    test_ok(w.calls == 2 && teststore_number(store, "SELECT count(*) FROM item") == 2, "twice: %d", w.calls);
    w.calls = 0;
    test_ok(store_write(store, waiting_bad_fn, &w, &err) == ERR_FORBIDDEN && !w.calls,
            "never when it failed");
    store_close(store);
}

/* Writers of one commit that fail after they changed something take nothing of the others with them. */
struct failing {
    struct store *store;
    int64_t id;
    enum err_code rc;
};

static void *failing_run(void *arg)
{
    struct failing *f = arg;
    struct err err = { 0 };
    struct item item = { f->id, "crowd", f->id, f->id % 3 ? ERR_OK : ERR_LIMIT };
    f->rc = store_write(f->store, add_fn, &item, &err);
    return NULL;
}

static void test_failing_crowd(void **state)
{
    (void)state;
    struct store *store = fresh();
    pthread_t threads[48];
    struct failing work[48];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 48; i++) {
            work[i] = (struct failing) { store, 1000 + round * 100 + i, ERR_OK };
            test_ok(!pthread_create(&threads[i], NULL, failing_run, &work[i]), "thread");
        }
        for (int i = 0; i < 48; i++) {
            (void)pthread_join(threads[i], NULL);
            test_ok(work[i].rc == (work[i].id % 3 ? ERR_OK : ERR_LIMIT), "%d: %d", i, work[i].rc);
        }
    }
    test_ok(teststore_number(store, "SELECT count(*) FROM item") == 128 &&
                teststore_number(store, "SELECT count(*) FROM item WHERE id % 3 = 0") == 0,
            "those that ended well, once each");
    store_close(store);
}

/* ---- short writes that share a transaction ---- */

enum sharing_kind { SHARING_GOOD, SHARING_TWICE, SHARING_ABSENT, SHARING_REFUSED, SHARING__COUNT };

struct sharing {
    struct store *store;
    int64_t id;
    enum sharing_kind kind;
    int after;
    struct err err;
    enum err_code rc;
};

static enum err_code sharing_before_fn(struct tx *tx, void *arg, struct err *err)
{
    int64_t rows = 0;
    (void)arg;
    const enum err_code rc = tx_query_i64(tx, "SELECT count(*) FROM item", &rows, err);
    test_ok(rc || rows > 0, "what the function did is there");
    return rc;
}

/* The row of parent 1: posted while that is enough. */
static enum err_code sharing_find(struct tx *tx, int64_t id, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, "SELECT 1 FROM parent WHERE id = ?1", &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, id);
    if (tx_is_hopeful(tx))
        return stmt_post_found(stmt, err);
    rc = stmt_step(stmt, &row, err);
    return rc || row ? rc : err_set(err, ERR_FORBIDDEN, "base.internal", ARG_END);
}

static enum err_code sharing_fn(struct tx *tx, void *arg, struct err *err)
{
    struct sharing *one = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = sharing_find(tx, one->kind == SHARING_ABSENT ? 2 : 1, err);
    if (!rc && one->kind == SHARING_REFUSED)
        rc = err_set(err, ERR_LIMIT, "base.internal", ARG_END);
    if (!rc)
        rc = tx_after_commit(tx, count_call, &one->after, err);
    if (!rc)
        rc = tx_prepare(tx, "INSERT INTO item (id, n) VALUES (?1, ?2)", &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, one->kind == SHARING_TWICE ? 1 : one->id);
    stmt_bind_i64(stmt, 2, one->id);
    rc = tx_is_hopeful(tx) ? stmt_post(stmt, err) : stmt_run(stmt, NULL, err);
    return rc || one->id % 8 ? rc : tx_before_commit(tx, sharing_before_fn, NULL, err);
}

static void *sharing_run(void *arg)
{
    struct sharing *one = arg;
    one->rc = store_write_shared(one->store, sharing_fn, one, &one->err);
    return NULL;
}

/* Each gets the answer that it would get alone, and nobody takes anything of the others with him. */
static void test_sharing(void **state)
{
    static const struct {
        enum err_code rc;
        const char *id;
    } want[SHARING__COUNT] = { { ERR_OK, NULL },
                               { ERR_CONFLICT, "store.duplicate" },
                               { ERR_FORBIDDEN, "base.internal" },
                               { ERR_LIMIT, "base.internal" } };
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    struct store_stats stats;
    pthread_t threads[48];
    static struct sharing work[48];
    int good = 1;
    teststore_ok(exec(store, "INSERT INTO parent (id, code) VALUES (1, 'p')", &err), &err, "parent");
    teststore_ok(add(store, 1, "first", 1, &err), &err, "first");
    for (int round = 0; round < 4; round++) { /* all good; one bad in 16; one in 4; all bad */
        static const int often[] = { 1000, 16, 4, 1 };
        for (int i = 0; i < 48; i++) {
            const bool bad = i % often[round] == often[round] - 1;
            work[i] = (struct sharing) { .store = store, .id = 1000 + round * 100 + i, .kind = SHARING_GOOD };
            if (bad)
                work[i].kind = (enum sharing_kind)(1 + i / often[round] % 3);
            test_ok(!pthread_create(&threads[i], NULL, sharing_run, &work[i]), "thread");
        }
        for (int i = 0; i < 48; i++) {
            (void)pthread_join(threads[i], NULL);
            const enum sharing_kind kind = work[i].kind;
            test_ok(work[i].rc == want[kind].rc, "%d %d: %s", round, i, err_name(work[i].rc));
            test_ok(!want[kind].id || strcmp(work[i].err.id, want[kind].id) == 0, "%s", work[i].err.id);
            test_ok(work[i].after == (kind == SHARING_GOOD), "told once, and behind the commit");
            good += kind == SHARING_GOOD;
        }
    }
    test_ok(teststore_number(store, "SELECT count(*) FROM item") == good, "those that ended well, once each");
    store_stats(store, &stats);
    test_ok(stats.writes == good + 2 && stats.commits <= stats.writes && stats.waiting == 0, "stats");
    store_close(store);
}

/* ---- snapshot, streaming, deadline ---- */

static enum err_code snapshot_fn(struct tx *tx, void *arg, struct err *err)
{
    struct store *store = arg;
    int64_t before, after;
    enum err_code rc = tx_query_i64(tx, "SELECT count(*) FROM item", &before, err);
    if (!rc)
        rc = add(store, 100 + before, "later", before, err); /* another connection commits */
    if (!rc)
        rc = tx_query_i64(tx, "SELECT count(*) FROM item", &after, err);
    if (!rc)
        test_ok(before == after, "the snapshot stands: %d, %d", (int)before, (int)after);
    return rc;
}

static void test_snapshot(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    teststore_ok(store_read(store, snapshot_fn, store, &err), &err, "read");
    test_ok(teststore_number(store, "SELECT count(*) FROM item") == 1, "a later read sees it");
    store_close(store);
}

static enum err_code many_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    for (int i = 0; i < 5000; i++) {
        struct item item = { i + 1, "many", i, ERR_OK };
        if (add_fn(tx, &item, err))
            return err->code;
    }
    return ERR_OK;
}

static enum err_code stream_fn(struct tx *tx, void *arg, struct err *err)
{
    int64_t *sum = arg, one;
    struct stmt *stmt = NULL;
    bool row = true;
    *sum = 0;
    enum err_code rc = tx_prepare(tx, "SELECT n FROM item WHERE n >= ?1 ORDER BY id", &stmt, err);
    if (!rc) {
        stmt_stream(stmt);
        stmt_bind_i64(stmt, 1, 1000);
    }
    for (int i = 0; !rc && !(rc = stmt_step(stmt, &row, err)) && row; i++) {
        *sum += stmt_i64(stmt, 0);
        if (i % 1000 == 0) /* another statement in between */
            rc = tx_query_i64(tx, "SELECT 1", &one, err);
    }
    stmt_free(stmt);
    return rc;
}

static void test_streaming(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    int64_t sum = 0;
    teststore_ok(store_write(store, many_fn, NULL, &err), &err, "5000 rows");
    for (int turn = 0; turn < 2; turn++) {
        teststore_ok(store_read(store, stream_fn, &sum, &err), &err, "stream");
        test_ok(sum == (int64_t)(1000 + 4999) * 4000 / 2, "all rows came: %lld", (long long)sum);
    }
    teststore_ok(store_write(store, stream_fn, &sum, &err), &err, "stream in a write");
    store_close(store);
}

#define ENDLESS                                                                                              \
    "WITH RECURSIVE t (x) AS (SELECT CAST(1 AS {i64}) UNION ALL SELECT x + 1 FROM t WHERE x < 400000000)"    \
    " SELECT count(*) FROM t"

static void test_deadline(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    struct query query_ = { ENDLESS, 0 };
    for (int turn = 0; turn < 2; turn++) {
        const int64_t start = clock_mono(&CLOCK_SYSTEM);
        store_deadline_set(start + 150);
        const enum err_code rc =
            turn ? store_write(store, query_fn, &query_, &err) : store_read(store, query_fn, &query_, &err);
        store_deadline_set(0);
        const int64_t took = clock_mono(&CLOCK_SYSTEM) - start;
        test_ok(rc == ERR_TIMEOUT, "broken off: %s", err_name(rc));
        test_ok(took >= 100 && took < 10000, "after %d ms", (int)took);
    }
    teststore_ok(add(store, 1, "after", 1, &err), &err, "works on");
    store_deadline_set(clock_mono(&CLOCK_SYSTEM) - 1);
    test_ok(add(store, 2, "late", 1, &err) == ERR_TIMEOUT, "past already");
    store_deadline_set(0);
    store_close(store);
}

/* ---- many threads ---- */

struct crowd {
    struct store *store;
    int number, done;
    enum err_code bad;
};

static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    int64_t n;
    struct stmt *stmt = NULL;
    enum err_code rc = tx_query_i64(tx, "SELECT n FROM item WHERE id = 1", &n, err);
    if (!rc)
        rc = tx_prepare(tx, "UPDATE item SET n = ?1 WHERE id = 1", &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, n + 1);
        rc = stmt_run(stmt, NULL, err);
    }
    stmt_free(stmt);
    return rc;
}

static void *crowd_run(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < 40; i++) {
        struct err err = { 0 };
        const int64_t id = crowd->number * 1000 + i + 10;
        struct item item = { id, "crowd", id, i % 5 == 4 ? ERR_FORBIDDEN : ERR_OK };
        const enum err_code rc = i % 2 ? store_write(crowd->store, add_fn, &item, &err)
                                       : store_write_shared(crowd->store, add_fn, &item, &err);
        if (rc != item.fail) {
            crowd->bad = rc ? rc : ERR_INTERNAL;
            (void)fprintf(stderr, "# add %s %s\n", err_name(rc), err.id ? err.id : "");
            break;
        }
        crowd->done += rc == ERR_OK;
        if (i % 4 == 0 && (crowd->bad = store_write(crowd->store, count_fn, NULL, &err))) {
            (void)fprintf(stderr, "# count %s %s\n", err_name(crowd->bad), err.id ? err.id : "");
            break;
        }
    }
    return NULL;
}

/* Read-modify-write from eight threads: nothing is lost, a failing one spoils nobody else's. */
static void test_crowd(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    pthread_t threads[8];
    struct crowd crowd[8];
    struct store_stats stats;
    int done = 1;
    teststore_ok(add(store, 1, "counter", 0, &err), &err, "counter");
    for (int i = 0; i < 8; i++) {
        crowd[i] = (struct crowd) { store, i + 1, 0, ERR_OK };
        test_ok(pthread_create(&threads[i], NULL, crowd_run, &crowd[i]) == 0, "thread");
    }
    for (int i = 0; i < 8; i++) {
        (void)pthread_join(threads[i], NULL);
        test_ok(crowd[i].bad == ERR_OK, "thread %d: %s", i, err_name(crowd[i].bad));
        done += crowd[i].done;
    }
    test_ok(teststore_number(store, "SELECT count(*) FROM item") == done, "each acknowledged row is there");
    test_ok(teststore_number(store, "SELECT n FROM item WHERE id = 1") == 80, "each step counted: %d",
            (int)teststore_number(store, "SELECT n FROM item WHERE id = 1"));
    store_stats(store, &stats);
    test_ok(stats.writes == done + 80 + 1 && stats.commits <= stats.writes && stats.waiting == 0, "stats");
    store_close(store);
}

/* ---- seams ---- */

static enum err_code two_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    struct item a = { 50, "a", 1, ERR_OK }, b = { 51, "b", 1, ERR_OK };
    const enum err_code rc = add_fn(tx, &a, err);
    return rc ? rc : add_fn(tx, &b, err);
}

static void test_nth_statement(void **state)
{
    (void)state;
    struct store *store = fresh();
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        store_fail_at(store, nth, ERR_STORE);
        const enum err_code rc = store_write(store, two_fn, NULL, &err);
        store_fail_at(store, -1, ERR_OK);
        const int64_t rows = teststore_number(store, "SELECT count(*) FROM item WHERE id >= 50");
        test_ok(rc == ERR_OK ? rows == 2 : rows == 0 && rc == ERR_STORE, "all or nothing at %ld: %d rows",
                nth, (int)rows);
        if (rc == ERR_OK) {
            test_ok(nth == 3, "two statements and the commit can fail: %ld", nth);
            break;
        }
    }
    store_close(store);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct store *store = fresh();
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        mem_fail_at(nth);
        enum err_code rc = store_write(store, two_fn, NULL, &err);
        mem_fail_at(-1);
        test_ok(rc == ERR_OK || rc == ERR_NOMEM, "no memory at %ld: %s", nth, err_name(rc));
        if (rc == ERR_OK)
            break;
    }
    test_ok(teststore_number(store, "SELECT count(*) FROM item WHERE id >= 50") == 2, "there once");
    store_close(store);
    const char *url = teststore_url();
    for (long nth = 0; nth < 200; nth++) {
        const long before = mem_live();
        struct err err = { 0 };
        const struct store_config config = { .url = url };
        store = NULL;
        mem_fail_at(nth);
        const enum err_code rc = store_open(&config, &store, &err);
        mem_fail_at(-1);
        store_close(store);
        test_ok((rc == ERR_OK) == (store != NULL) && mem_live() == before, "nothing leaks at %ld", nth);
        if (rc == ERR_OK)
            return;
        test_ok(rc == ERR_NOMEM, "%s", err_name(rc));
    }
    fail();
}

static void test_bad_urls(void **state)
{
    (void)state;
    static const char *const urls[] = { "mysql://x", "", "postgres", "sqlite" };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct store *store = NULL;
        const struct store_config config = { .url = urls[i] };
        test_ok(store_open(&config, &store, NULL) == ERR_INVALID && !store, "\"%s\"", urls[i]);
    }
    struct store *store = NULL;
    const struct store_config nowhere = { .url = "sqlite:/no/such/folder/x.db" };
    test_ok(store_open(&nowhere, &store, NULL) != ERR_OK && !store, "no folder");
}

/* ---- the cache ---- */

static enum err_code cache_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    for (int i = 0; i < 700; i++) {
        char sql[64];
        int64_t value = -1;
        (void)snprintf(sql, sizeof sql, "SELECT %d + 1", i % 400);
        if (tx_query_i64(tx, sql, &value, err))
            return err->code;
        test_ok(value == i % 400 + 1, "statement %d", i);
    }
    return ERR_OK;
}

static void test_cache(void **state)
{
    (void)state;
    struct store *store = fresh();
    struct err err = { 0 };
    teststore_ok(store_read(store, cache_fn, NULL, &err), &err, "more statements than the cache holds");
    store_close(store);
}

TEST_MAIN(TEST(test_values), TEST(test_shorthands), TEST(test_parameters_change_type), TEST(test_constraints),
          TEST(test_rollback), TEST(test_after_commit), TEST(test_posted), TEST(test_before_commit),
          TEST(test_failing_crowd), TEST(test_sharing), TEST(test_snapshot), TEST(test_streaming),
          TEST(test_deadline), TEST(test_crowd), TEST(test_nth_statement), TEST(test_out_of_memory),
          TEST(test_bad_urls), TEST(test_cache))
