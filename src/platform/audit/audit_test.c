#include "platform/audit/audit.h"
#include "test.h"
#include "teststore.h"

#include <pthread.h>
#include <unistd.h>

static struct ids ids;
static struct clock now;

struct work {
    struct audit *audit;
    struct audit_line line;
    bool fail;
};

static enum err_code write_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct work *work = arg;
    const enum err_code rc = audit_write(work->audit, tx, &work->line, err);
    if (rc)
        return rc;
    return work->fail ? err_set(err, ERR_CONFLICT, "base.internal", ARG_END) : ERR_OK;
}

static void write_lines(struct store *store, struct audit *audit, int count)
{
    for (int i = 0; i < count; i++) {
        struct work work = { .audit = audit,
                             .line = { .action = "update",
                                       .object_type = STR("ops.ticket"),
                                       .object_id = 7 + i,
                                       .object_name = STR("GZ-202611-00001"),
                                       .before = STR("{\"state\":\"open\"}"),
                                       .after = STR("{\"state\":\"closed\"}"),
                                       .user_id = 3,
                                       .user_name = STR("王工"),
                                       .remote = STR("10.0.0.7") } };
        struct err err;
        teststore_ok(store_write(store, write_fn, &work, &err), &err, "writes");
    }
}

static struct audit *open_audit(struct store **out_store)
{
    clock_test_init(&now, INT64_C(1795241100000));
    *out_store = teststore_open(teststore_url(), true, &now);
    ids_init(&ids, &now, 1);
    struct audit *audit = audit_new(*out_store, &ids, 1, NULL);
    test_ok(audit != NULL, "made");
    return audit;
}

static struct audit_verdict verify(struct store *store)
{
    struct audit_verdict verdict = { 0 };
    struct err err;
    teststore_ok(audit_verify(store, NULL, &verdict, &err), &err, "verifies");
    return verdict;
}

static void test_good_chains(void **state)
{
    (void)state;
    struct store *store;
    struct audit *audit = open_audit(&store);
    struct err err;
    test_ok(verify(store).fault == AUDIT_GOOD && verify(store).lines == 0, "empty");
    write_lines(store, audit, 5);
    teststore_ok(audit_checkpoint(audit, &err), &err, "checkpoint");
    teststore_ok(audit_checkpoint(audit, &err), &err, "nothing new");
    write_lines(store, audit, 5);
    teststore_ok(audit_checkpoint(audit, &err), &err, "checkpoint");
    struct audit_verdict verdict = verify(store);
    test_ok(verdict.fault == AUDIT_GOOD && verdict.lines == 10 && verdict.checkpoints == 2, "%d %d %d",
            (int)verdict.fault, (int)verdict.lines, (int)verdict.checkpoints);
    struct work failing = { .audit = audit, .line = { .action = "create" }, .fail = true };
    test_ok(store_write(store, write_fn, &failing, &err) == ERR_CONFLICT, "the act fails");
    verdict = verify(store);
    test_ok(verdict.fault == AUDIT_GOOD && verdict.lines == 10, "and its line with it");
    audit_free(audit);
    store_close(store);
}

static void test_every_tampering_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum audit_fault want;
    } cases[] = {
        { "UPDATE audit SET after = '{\"state\":\"closee\"}' WHERE seq = 4", AUDIT_CHANGED },
        { "UPDATE audit SET at = at + 1 WHERE seq = 4", AUDIT_CHANGED },
        { "UPDATE audit SET user_name = '王' WHERE seq = 4", AUDIT_CHANGED },
        { "UPDATE audit SET object_id = 1 WHERE seq = 1", AUDIT_CHANGED },
        { "UPDATE audit SET hash = 'x' WHERE seq = 10", AUDIT_CHANGED },
        { "DELETE FROM audit WHERE seq = 4", AUDIT_BROKEN },
        { "DELETE FROM audit WHERE seq = 1", AUDIT_BROKEN },
        { "DELETE FROM audit WHERE seq = 10", AUDIT_CUT },
        { "DELETE FROM audit; DELETE FROM audit_head;", AUDIT_CHECKPOINT },
        { "UPDATE audit SET seq = 99 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 5; "
          "UPDATE audit SET seq = 5 WHERE seq = 99;",
          AUDIT_CHANGED },
        { "DELETE FROM audit_head", AUDIT_CUT },
        { "UPDATE audit_checkpoint SET heads = '64 5 x' WHERE seq = 1", AUDIT_CHECKPOINT },
        { "DELETE FROM audit_checkpoint WHERE seq = 1", AUDIT_CHECKPOINT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store *store;
        struct audit *audit = open_audit(&store);
        struct err err;
        write_lines(store, audit, 5);
        teststore_ok(audit_checkpoint(audit, &err), &err, "checkpoint");
        write_lines(store, audit, 5);
        teststore_ok(audit_checkpoint(audit, &err), &err, "checkpoint");
        const bool period_parts = !teststore_is_postgres(); /* SQLite: views do not take writes */
        char sql[400];
        (void)snprintf(sql, sizeof sql, "%s", cases[i].sql);
        for (char *at; period_parts && (at = strstr(sql, " audit ")) != NULL;) {
            char rest[400];
            (void)snprintf(rest, sizeof rest, "%s", at + 7);
            (void)snprintf(at, sizeof sql - (size_t)(at - sql), " audit_202611 %s", rest);
        }
        for (char *at; period_parts && (at = strstr(sql, " audit;")) != NULL;) {
            char rest[400];
            (void)snprintf(rest, sizeof rest, "%s", at + 6);
            (void)snprintf(at, sizeof sql - (size_t)(at - sql), " audit_202611%s", rest);
        }
        teststore_exec(store, sql);
        const struct audit_verdict verdict = verify(store);
        test_ok(verdict.fault == cases[i].want, "case %zu: %s, not %s", i, audit_fault_name(verdict.fault),
                audit_fault_name(cases[i].want));
        audit_free(audit);
        store_close(store);
    }
}

static void test_dropping_months_keeps_the_rest_good(void **state)
{
    (void)state;
    struct store *store;
    struct audit *audit = open_audit(&store);
    struct err err;
    int dropped = 0;
    write_lines(store, audit, 5);
    teststore_ok(audit_checkpoint(audit, &err), &err, "checkpoint");
    now.test_ms += INT64_C(70) * 86400000; /* two months on */
    write_lines(store, audit, 3);
    teststore_ok(audit_drop(audit, now.test_ms, &dropped, &err), &err, "drops");
    test_ok(dropped >= 1, "%d months", dropped);
    struct audit_verdict verdict = verify(store);
    test_ok(verdict.fault == AUDIT_GOOD && verdict.lines == 3, "%s %d", audit_fault_name(verdict.fault),
            (int)verdict.lines);
    write_lines(store, audit, 1);
    test_ok(verify(store).lines == 4 && verify(store).fault == AUDIT_GOOD, "goes on");
    audit_free(audit);
    store_close(store);
}

static void test_reads_are_written_in_batches(void **state)
{
    (void)state;
    struct store *store;
    struct audit *audit = open_audit(&store);
    struct err err;
    for (int i = 0; i < 1000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "contact %d", i);
        const struct audit_line line = { .action = "reveal",
                                         .object_type = STR("ops.contact"),
                                         .object_id = i,
                                         .object_name = str_from(name) };
        teststore_ok(audit_read(audit, &line, &err), &err, "kept");
    }
    test_ok(verify(store).lines == 0, "not yet there");
    store_fail_at(store, 3, ERR_STORE);
    test_ok(audit_flush(audit, &err) == ERR_STORE, "the store is away");
    store_fail_at(store, -1, ERR_OK);
    const struct audit_line one = { .action = "reveal", .object_name = STR("later") };
    teststore_ok(audit_read(audit, &one, &err), &err, "kept");
    teststore_ok(audit_flush(audit, &err), &err, "flushed");
    test_ok(verify(store).lines == 1001 && verify(store).fault == AUDIT_GOOD, "all there, once: %d",
            (int)verify(store).lines);
    int kept = 0;
    while (kept <= AUDIT_READS_MAX && audit_read(audit, &one, &err) == ERR_OK)
        kept++;
    test_ok(kept == AUDIT_READS_MAX && err.code == ERR_BUSY, "bounded at %d", kept);
    audit_free(audit);
    test_ok(verify(store).lines == 1001 + AUDIT_READS_MAX, "written on the way out");
    store_close(store);
}

static void test_long_data_keep_their_digest(void **state)
{
    (void)state;
    struct store *store;
    struct audit *audit = open_audit(&store);
    struct err err;
    char *text = mem_alloc(200000, 1);
    memset(text, 'x', 199999);
    struct work work = { .audit = audit, .line = { .action = "import", .after = { text, 199999 } } };
    teststore_ok(store_write(store, write_fn, &work, &err), &err, "writes");
    test_ok(verify(store).fault == AUDIT_GOOD && verify(store).lines == 1, "good");
    mem_free(text);
    audit_free(audit);
    store_close(store);
}

/* Each statement fails in turn; what is there stays good. */
static void test_failing_statements(void **state)
{
    (void)state;
    struct store *store;
    struct audit *audit = open_audit(&store);
    struct err err;
    write_lines(store, audit, 1);
    for (long nth = 0; nth < 40; nth++) {
        struct work work = { .audit = audit, .line = { .action = "update" } };
        store_fail_at(store, nth, ERR_STORE);
        const enum err_code rc = store_write(store, write_fn, &work, &err);
        store_fail_at(store, -1, ERR_OK);
        test_ok(verify(store).fault == AUDIT_GOOD, "good at %ld", nth);
        if (rc == ERR_OK)
            break;
    }
    audit_free(audit);
    store_close(store);
}

/* ---- transactions that cannot all stand ---- */

#define SKEW_THREADS 8
#define SKEW_WRITES 25

static enum err_code skew_table_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return tx_exec(tx, "CREATE TABLE skew (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)", err);
}

/* Reads all rows and adds one: of two that do so at once the later one fails, most often only at its COMMIT,
 * and runs again. */
static enum err_code skew_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct work *work = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    int64_t rows;
    enum err_code rc = tx_query_i64(tx, "SELECT COUNT(*) FROM skew", &rows, err);
    if (!rc)
        rc = audit_write(work->audit, tx, &work->line, err);
    if (!rc)
        rc = tx_prepare(tx, "INSERT INTO skew (id, n) VALUES (?1, ?2)", &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, work->line.object_id);
    stmt_bind_i64(stmt, 2, rows);
    return stmt_run(stmt, NULL, err);
}

struct skewing {
    struct store *store;
    struct audit *audit;
    int64_t first;
    int failed;
    struct err err;
};

static void *skew_main(void *arg)
{
    struct skewing *skewing = arg;
    for (int i = 0; i < SKEW_WRITES; i++) {
        struct work work = {
            .audit = skewing->audit,
            .line = { .action = "update", .object_type = STR("ops.ticket"), .object_id = skewing->first + i }
        };
        skewing->failed += (i % 3 ? store_write : store_write_shared)(skewing->store, skew_fn, &work,
                                                                      &skewing->err) != ERR_OK;
    }
    return NULL;
}

static void test_chains_stand_over_commits_that_fail(void **state)
{
    (void)state;
    struct store *store;
    struct audit *audit = open_audit(&store);
    struct err err;
    pthread_t threads[SKEW_THREADS];
    struct skewing skewing[SKEW_THREADS];
    teststore_ok(store_write(store, skew_table_fn, NULL, &err), &err, "table");
    for (int i = 0; i < SKEW_THREADS; i++) {
        skewing[i] = (struct skewing) { .store = store, .audit = audit, .first = 1000 * (i + 1) };
        test_ok(pthread_create(&threads[i], NULL, skew_main, &skewing[i]) == 0, "thread");
    }
    for (int i = 0; i < SKEW_THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        test_ok(skewing[i].failed == 0, "%d failed: %s", skewing[i].failed, skewing[i].err.id);
    }
    const struct audit_verdict verdict = verify(store);
    test_ok(verdict.fault == AUDIT_GOOD && verdict.lines == (int64_t)SKEW_THREADS * SKEW_WRITES, "%d lines",
            (int)verdict.lines);
    audit_free(audit);
    store_close(store);
}

TEST_MAIN(TEST(test_good_chains), TEST(test_every_tampering_is_found),
          TEST(test_dropping_months_keeps_the_rest_good), TEST(test_reads_are_written_in_batches),
          TEST(test_long_data_keep_their_digest), TEST(test_failing_statements),
          TEST(test_chains_stand_over_commits_that_fail))
