/* Migrations, period tables and the neutral form of rows; run on both backends. */
#include "store/dump.h"
#include "base/ids.h"
#include "test.h"
#include "teststore.h"

#define T0 INT64_C(1795000000000) /* in November 2026 */
#define DAY INT64_C(86400000)

static const struct store_migration FIRST[] = {
    { "store", "0001-start",
      "CREATE TABLE store_period_part (name {text} NOT NULL, month {i64} NOT NULL, PRIMARY KEY (name, "
      "month));" },
    { "room", "0001-things",
      "-- a comment; with a semicolon\nCREATE TABLE thing (id {i64} PRIMARY KEY, name {text} NOT NULL, f "
      "{f64}, b {blob},"
      " n {i64}) {strict};\n"
      "-- only sqlite\nCREATE TABLE dialect (a {text});\n-- only postgres\nCREATE TABLE dialect (a {text}, x "
      "TSVECTOR);\n"
      "-- only all\nINSERT INTO thing (id, name) VALUES (1, 'it''s; here');" },
    { "room", "0002-history",
      "-- period history by at ms\nCREATE TABLE history (id {i64} NOT NULL, at {i64} NOT NULL, what {text} "
      "NOT NULL,"
      " PRIMARY KEY (id, at)) {strict};\nCREATE INDEX history_what ON history (what);\n"
      "-- period event by id id\nCREATE TABLE event (id {i64} PRIMARY KEY, what {text}) {strict};" },
    { "room", "0003-more", "ALTER TABLE history ADD COLUMN more {text};" },
    { "room", "0004-drop", "DROP TABLE dialect;" }, /* only some cases go so far */
};

static enum err_code migrate(struct store *store, const struct store_migration *list, int count,
                             enum migrate_mode mode, struct migrate_report *report, struct err *err)
{
    return store_migrate(store, list, count, mode, report, err);
}

static void test_migrations(void **state)
{
    (void)state;
    struct clock clock;
    clock_test_init(&clock, T0);
    struct store *store = teststore_open(teststore_url(), false, &clock);
    struct migrate_report report;
    struct err err = { 0 };
    teststore_ok(migrate(store, FIRST, 2, MIGRATE_LOOK, &report, &err), &err, "look");
    test_ok(report.was_empty && report.pending == 2 && report.applied == 0, "two to do");
    teststore_ok(migrate(store, FIRST, 3, MIGRATE_ADDITIVE, &report, &err), &err, "first");
    test_ok(report.applied == 3 && report.pending == 0, "three done");
    test_ok(teststore_number(store, "SELECT count(*) FROM thing WHERE name = 'it''s; here'") == 1,
            "quotes and semicolons");
    test_ok(teststore_number(store, "SELECT count(*) FROM dialect") == 0, "the right dialect");
    teststore_ok(migrate(store, FIRST, 4, MIGRATE_ADDITIVE, &report, &err), &err, "more");
    test_ok(report.applied == 1 && teststore_number(store, "SELECT count(more) FROM history") == 0,
            "a column for all months");
    test_ok(migrate(store, FIRST, 5, MIGRATE_ADDITIVE, &report, &err) == ERR_PRECONDITION &&
                strcmp(err.id, "store.migrate_needed") == 0 && strcmp(report.next, "room/0004-drop") == 0,
            "not by itself");
    teststore_ok(migrate(store, FIRST, 5, MIGRATE_LOOK, &report, &err), &err, "look");
    test_ok(report.pending == 1 && !report.next_additive, "one to do");
    teststore_ok(migrate(store, FIRST, 5, MIGRATE_ALL, &report, &err), &err, "all");
    test_ok(report.applied == 1, "applied");
    test_ok(migrate(store, FIRST, 4, MIGRATE_ADDITIVE, &report, &err) == ERR_UNSUPPORTED,
            "older program, breaking change");
    struct store_migration changed[4];
    memcpy(changed, FIRST, sizeof changed);
    changed[1].sql = "CREATE TABLE thing (id {i64});";
    test_ok(migrate(store, changed, 4, MIGRATE_ADDITIVE, &report, &err) == ERR_CORRUPT &&
                strcmp(err.id, "store.migration_changed") == 0,
            "a changed script");
    const struct store_migration bad[] = { { "room", "0009-bad",
                                             "CREATE TABLE ok (id {i64}); CREATE TABEL x;" } };
    test_ok(migrate(store, bad, 1, MIGRATE_ALL, &report, &err) == ERR_INVALID &&
                strcmp(err.doing[0], "0009-bad") == 0,
            "names the script");
    teststore_exec(store, "CREATE TABLE ok (id {i64})"); /* nothing of it is there */
    store_close(store);
}

static void test_additive(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool want;
    } cases[] = {
        { "CREATE TABLE a (b); CREATE UNIQUE INDEX x ON a (b); INSERT INTO a VALUES (1)", true },
        { "ALTER TABLE a ADD COLUMN c {i64}", true },
        { "ALTER TABLE a DROP COLUMN c", false },
        { "ALTER TABLE a RENAME TO b", false },
        { "UPDATE a SET b = 1", false },
        { "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; END; CREATE TABLE c (d)", true },
        { "-- DROP TABLE a\nCREATE TABLE b (c)", true },
        { "CREATE TABLE b (c); drop table d", false },
        { "", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_ok(migration_is_additive(cases[i].sql) == cases[i].want, "%s", cases[i].sql);
}

struct add {
    const char *table;
    int64_t id, at;
};

static enum err_code add_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct add *add = arg;
    char part[STORE_NAME_SIZE], sql[200];
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const bool by_id = strcmp(add->table, "event") == 0;
    enum err_code rc = tx_period(tx, add->table, add->at, part, err);
    (void)snprintf(sql, sizeof sql,
                   by_id ? "INSERT INTO %s (id, what) VALUES (?1, 'x')"
                         : "INSERT INTO %s (id, at, what) VALUES (?1, ?2, 'x')",
                   part);
    if (!rc)
        rc = tx_prepare(tx, sql, &stmt, err);
    if (!rc) {
        stmt_bind_i64(stmt, 1, by_id ? ids_floor(add->at) + add->id : add->id);
        if (!by_id)
            stmt_bind_i64(stmt, 2, add->at);
        rc = stmt_run(stmt, NULL, err);
    }
    return rc;
}

static void test_periods(void **state)
{
    (void)state;
    struct clock clock;
    clock_test_init(&clock, T0);
    const char *url = teststore_url();
    struct store *store = teststore_open(url, false, &clock);
    struct err err = { 0 };
    int dropped = -1;
    teststore_ok(migrate(store, FIRST, 4, MIGRATE_ADDITIVE, NULL, &err), &err, "migrate");
    for (int month = 0; month < 6; month++) {
        for (int i = 0; i < 3; i++) {
            struct add history = { "history", month * 10 + i, T0 - month * 31 * DAY + i * 1000 };
            struct add event = { "event", i, T0 - month * 31 * DAY };
            teststore_ok(store_write(store, add_fn, &history, &err), &err, "history");
            teststore_ok(store_write(store, add_fn, &event, &err), &err, "event");
        }
    }
    test_ok(teststore_number(store, "SELECT count(*) FROM history") == 18 &&
                teststore_number(store, "SELECT count(*) FROM event") == 18,
            "all read as one");
    test_ok(teststore_number(store, "SELECT count(*) FROM history WHERE what = 'x' AND id < 10") == 3,
            "filtered");
    test_ok(teststore_number(store, "SELECT count(*) FROM history_202611") == 3, "by month");
    teststore_ok(store_period_drop(store, "history", T0 - 60 * DAY, &dropped, &err), &err, "drop");
    test_ok(dropped == 3 && teststore_number(store, "SELECT count(*) FROM history") == 9, "%d dropped",
            dropped);
    teststore_ok(store_period_drop(store, "history", T0 + 400 * DAY, &dropped, &err), &err, "drop all");
    test_ok(teststore_number(store, "SELECT count(*) FROM history") == 0, "still readable");
    struct add again = { "history", 1, T0 };
    teststore_ok(store_write(store, add_fn, &again, &err), &err, "written again");
    test_ok(teststore_number(store, "SELECT count(*) FROM event") == 18, "the other one is whole");
    test_ok(store_period_drop(store, "thing", T0, &dropped, &err) == ERR_NOT_FOUND, "no period table");
    clock.test_ms += 62 * DAY;
    teststore_ok(store_periods_ensure(store, &err), &err, "ensure");
    test_ok(teststore_number(store, "SELECT count(*) FROM store_period_part WHERE name = 'event'") >= 8,
            "two more months");
    store_close(store);
}

/* ---- the neutral form ---- */

struct copy {
    struct arena *arena;
    struct dump_table *tables;
    int count;
    struct buf *lines; /* of each table */
    int64_t rows[16];
};

static enum err_code put_line(void *arg, struct str line, struct err *err)
{
    (void)err;
    buf_str(arg, line);
    return ERR_OK;
}

static enum err_code dump_fn(struct tx *tx, void *arg, struct err *err)
{
    struct copy *copy = arg;
    enum err_code rc = dump_tables(tx, copy->arena, &copy->tables, &copy->count, err);
    for (int i = 0; i < copy->count && !rc && i < 16; i++)
        rc = dump_rows(tx, &copy->tables[i], put_line, &copy->lines[i], &copy->rows[i], err);
    return rc;
}

static enum err_code load_fn(struct tx *tx, void *arg, struct err *err)
{
    struct copy *copy = arg;
    for (int i = 0; i < copy->count; i++) {
        bool made;
        int64_t rows = -1, count = -1;
        if (dump_make(tx, &copy->tables[i], &made, err) || dump_clear(tx, copy->tables[i].name, err) ||
            dump_load(tx, &copy->tables[i], buf_get(&copy->lines[i]), &rows, err) ||
            dump_count(tx, copy->tables[i].name, &count, err))
            return err->code;
        test_ok(rows == copy->rows[i] && count == rows, "%.*s: %d rows", STR_ARG(copy->tables[i].name),
                (int)count);
    }
    return ERR_OK;
}

static void test_dump_and_load(void **state)
{
    (void)state;
    struct clock clock;
    clock_test_init(&clock, T0);
    struct store *from = teststore_open(teststore_url(), false, &clock),
                 *to = teststore_open(teststore_url(), false, &clock);
    struct buf lines[16], again[16];
    struct copy copy = { .arena = arena_new(64 << 20), .lines = lines },
                second = { .arena = arena_new(64 << 20), .lines = again };
    struct err err = { 0 };
    for (int i = 0; i < 16; i++) {
        buf_init(&lines[i], 1 << 20);
        buf_init(&again[i], 1 << 20);
    }
    teststore_ok(migrate(from, FIRST, 4, MIGRATE_ADDITIVE, NULL, &err), &err, "migrate");
    static const char sql[] =
        "INSERT INTO thing (id, name, f, b, n) VALUES (9223372036854775807, '\xe9\x97\xad\n\"\\', "
        "0.1, NULL, -5);"
        "CREATE TABLE generated (id {i64} PRIMARY KEY, t {text} NOT NULL, b {blob}) {strict};"
        "INSERT INTO generated (id, t) VALUES (7, 'kept')";
    teststore_exec(from, sql);
    teststore_exec(from, teststore_is_postgres() ? "UPDATE generated SET b = '\\x00ff41'"
                                                 : "UPDATE generated SET b = x'00ff41'");
    for (int month = 0; month < 3; month++) {
        struct add history = { "history", month, T0 - month * 31 * DAY };
        struct add event = { "event", month, T0 - month * 31 * DAY };
        teststore_ok(store_write(from, add_fn, &history, &err), &err, "history");
        teststore_ok(store_write(from, add_fn, &event, &err), &err, "event");
    }
    teststore_ok(store_read(from, dump_fn, &copy, &err), &err, "dump");
    test_ok(copy.count == 5 - teststore_is_postgres(), "dialect event generated history thing: %d",
            copy.count);
    teststore_ok(migrate(to, FIRST, 4, MIGRATE_ADDITIVE, NULL, &err), &err, "migrate");
    teststore_ok(store_write(to, load_fn, &copy, &err), &err, "load");
    teststore_ok(store_read(to, dump_fn, &second, &err), &err, "dump");
    test_ok(second.count == copy.count, "as many tables");
    for (int i = 0; i < copy.count; i++)
        test_ok(str_eq(buf_get(&lines[i]), buf_get(&again[i])), "%.*s:\n%.*s%.*s",
                STR_ARG(copy.tables[i].name), STR_ARG(buf_get(&lines[i])), STR_ARG(buf_get(&again[i])));
    test_ok(str_find(buf_get(&lines[copy.count - 1]), STR("[9223372036854775807,\"\xe9\x97\xad\\n\\\"\\\\\",{"
                                                          "\"f\":\"0.10000000000000001\"},null,-5]\n")) >= 0,
            "%.*s", STR_ARG(buf_get(&lines[copy.count - 1])));
    for (int i = 0; i < 16; i++) {
        buf_done(&lines[i]);
        buf_done(&again[i]);
    }
    arena_free(copy.arena);
    arena_free(second.arena);
    store_close(from);
    store_close(to);
}

static enum err_code bad_fn(struct tx *tx, void *arg, struct err *err)
{
    const char *line = arg;
    struct dump_column columns[] = { { STR("id"), STMT_I64, true, 1 }, { STR("name"), STMT_TEXT, true, 0 } };
    const struct dump_table table = { STR("thing"), columns, 2 };
    int64_t rows;
    return dump_load(tx, &table, str_from(line), &rows, err);
}

static enum err_code evil_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    struct dump_column columns[] = { { STR("id\" INTEGER); DROP TABLE thing; --"), STMT_I64, true, 1 } };
    const struct dump_table table = { STR("evil"), columns, 1 };
    bool made;
    return dump_make(tx, &table, &made, err);
}

static void test_bad_rows(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "[1]\n", "{}\n", "[1,[2]]\n", "nonsense\n", "[2,{\"b\":\"0g\"}]\n", "[1,\"x\",3]\n"
    };
    struct store *store = teststore_open(teststore_url(), false, NULL);
    struct err err = { 0 };
    teststore_ok(migrate(store, FIRST, 4, MIGRATE_ADDITIVE, NULL, &err), &err, "migrate");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s", lines[i]);
        test_ok(store_write(store, bad_fn, text, &err) == ERR_CORRUPT, "%s: %s", lines[i],
                err_name(err.code));
    }
    test_ok(store_write(store, evil_fn, NULL, &err) == ERR_CORRUPT, "a name is a name");
    store_close(store);
}

TEST_MAIN(TEST(test_migrations), TEST(test_additive), TEST(test_periods), TEST(test_dump_and_load),
          TEST(test_bad_rows))
