/* gram_test.c - the normal form, the grams, and what is found */
#include "platform/entity/gram.h"

#include "test.h"

#include <sqlite3.h>

static void test_normal(void **state)
{
    (void)state;
    static const struct {
        const char *text, *normal, *grams;
    } cases[] = {
        { "", "", "" },
        { "GZ-2026号：网络 故障", "gz 2026 号 网络 故障", "gz 2026 号 网络 络 故障 障" },
        { "ＡＢＣ　１２３", "abc 123", "abc 123" },
        { "网", "网", "网" },
        { "一网通办", "一网通办", "一网 网通 通办 办" },
        { "Straße", "strasse", "strasse" },
        { "!!! ---", "", "" },
        { "a1网b2", "a1 网 b2", "a1 网 b2" },
        { "カタカナ", "カタカナ", "カタ タカ カナ ナ" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf normal, grams;
        struct err err = { 0 };
        buf_init(&normal, 1000);
        buf_init(&grams, 1000);
        test_ok(!gram_normal(str_from(cases[i].text), &normal, &err), "%s", cases[i].text);
        gram_text(buf_get(&normal), &grams);
        test_ok(str_eq(buf_get(&normal), str_from(cases[i].normal)), "%s: [%s]", cases[i].text, normal.ptr);
        test_ok(str_eq(buf_get(&grams), str_from(cases[i].grams)), "%s: [%s]", cases[i].text, grams.ptr);
        buf_done(&normal);
        buf_done(&grams);
    }
}

static void test_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *query;
        bool want;
    } cases[] = {
        { "网络故障", "故障", true },
        { "网络故障", "故", true },
        { "网络故障", "络故", true },
        { "网络故障", "网故", false },
        { "网络 故障", "络故", false },
        { "网络故障", "网络 故障", true },
        { "网络故障", "网络 设备", false },
        { "nginx01 down", "nginx", true },
        { "mynginx", "nginx", false },
        { "nginx01", "NGINX01", true },
        { "服务1号", "服务1", true },
        { "服务12号", "服务1", true },
        { "服务12号", "服务1号", false },
        { "服务1号", "务1号", true },
        { "网络", "", false },
        { "网络", "!!", false },
        { "上海市长宁区", "市长", true },
        { "上海市长宁区", "长", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *arena = arena_new(1 << 16);
        struct gram_query query;
        struct buf normal;
        struct err err = { 0 };
        buf_init(&normal, 1000);
        test_ok(!gram_normal(str_from(cases[i].text), &normal, &err), "normal");
        test_ok(!gram_query(str_from(cases[i].query), arena, &query, &err), "query");
        test_ok(gram_found(&query, buf_get(&normal)) == cases[i].want, "%s in %s", cases[i].query,
                cases[i].text);
        buf_done(&normal);
        arena_free(arena);
    }
}

static int run_count(sqlite3 *db, const char *match)
{
    sqlite3_stmt *stmt = NULL;
    int count = -1;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM f WHERE f MATCH ?1", -1, &stmt, NULL) == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, match, -1, SQLITE_STATIC);
        count = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : -2;
    }
    sqlite3_finalize(stmt);
    return count;
}

/* Random texts and queries over few characters: FTS5 finds exactly what the rule finds. */
static void test_fts5_is_the_rule(void **state)
{
    (void)state;
    static const char *const parts[] = { "网", "络", "故", "障", "a", "b", "1", " ", "-", "，" };
    enum { TEXTS = 300, QUERIES = 400 };
    static char texts[TEXTS][100];
    sqlite3 *db = NULL;
    test_ok(sqlite3_open(":memory:", &db) == SQLITE_OK, "open");
    test_ok(!sqlite3_exec(db, "CREATE VIRTUAL TABLE f USING fts5(t, content='', tokenize='ascii')", 0, 0, 0),
            "fts5");
    uint64_t seed = 7;
    struct err err = { 0 };
    for (int i = 0; i < TEXTS; i++) {
        texts[i][0] = 0;
        for (int n = 0; n < 14; n++)
            strcat(texts[i], parts[(seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33 & 0xffff
                                       ? (seed >> 33) % 10
                                       : 0]);
        struct buf normal, grams;
        buf_init(&normal, 1000);
        buf_init(&grams, 1000);
        test_ok(!gram_normal(str_from(texts[i]), &normal, &err), "normal");
        gram_text(buf_get(&normal), &grams);
        sqlite3_stmt *stmt = NULL;
        sqlite3_prepare_v2(db, "INSERT INTO f(rowid, t) VALUES (?1, ?2)", -1, &stmt, NULL);
        sqlite3_bind_int(stmt, 1, i + 1);
        sqlite3_bind_text(stmt, 2, grams.ptr ? grams.ptr : "", -1, SQLITE_STATIC);
        test_ok(sqlite3_step(stmt) == SQLITE_DONE, "insert");
        sqlite3_finalize(stmt);
        buf_done(&grams);
        buf_done(&normal);
    }
    for (int q = 0; q < QUERIES; q++) {
        char text[60] = "";
        const int len = 1 + q % 5;
        for (int n = 0; n < len; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            strcat(text, parts[(seed >> 33) % 10]);
        }
        struct arena *arena = arena_new(1 << 16);
        struct gram_query query;
        struct buf match;
        buf_init(&match, 4000);
        test_ok(!gram_query(str_from(text), arena, &query, &err), "query");
        if (query.count) {
            gram_fts5(&query, &match);
            int want = 0;
            for (int i = 0; i < TEXTS; i++) {
                struct buf normal;
                buf_init(&normal, 1000);
                test_ok(!gram_normal(str_from(texts[i]), &normal, &err), "normal");
                want += gram_found(&query, buf_get(&normal));
                buf_done(&normal);
            }
            const int got = run_count(db, match.ptr);
            test_ok(got == want, "[%s] as [%s]: %d, want %d", text, match.ptr, got, want);
        }
        buf_done(&match);
        arena_free(arena);
    }
    sqlite3_close(db);
}

static void test_limits(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 16);
    struct gram_query query;
    struct err err = { 0 };
    char many[GRAM_QUERY_MAX + 2];
    memset(many, 'a', sizeof many);
    test_ok(gram_query((struct str) { many, sizeof many }, arena, &query, &err) == ERR_LIMIT, "too long");
    for (size_t i = 1; i < sizeof many; i += 2)
        many[i] = ' ';
    test_ok(gram_query((struct str) { many, 60 }, arena, &query, &err) == ERR_LIMIT, "too many words");
    arena_free(arena);
}

TEST_MAIN(TEST(test_normal), TEST(test_found), TEST(test_fts5_is_the_rule), TEST(test_limits))
