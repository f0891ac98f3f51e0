/* filter_sql_test.c - filters as SQL: what is refused and where, and the property that holds the translation:
 * random filters over random rows have the same of three truth values in the evaluator and in the database
 * (BIHUAN_TEST_STORE says which). */
#include "feel/filter_sql.h"
#include "store/store.h"
#include "test.h"
#include "teststore.h"

#include <inttypes.h>

#define ROWS 60
#define FILTERS 700
#define COLUMNS 9

static const struct {
    const char *name, *sql;
    enum filter_type type;
    enum feel_type_kind feel;
} COLUMN[COLUMNS] = {
    { "open", "t.b", FILTER_BOOLEAN, FEEL_T_BOOLEAN },
    { "count of items", "t.i", FILTER_INTEGER, FEEL_T_NUMBER },
    { "limit", "t.i2", FILTER_INTEGER, FEEL_T_NUMBER },
    { "weight", "t.r", FILTER_REAL, FEEL_T_NUMBER },
    { "name", "t.t", FILTER_TEXT, FEEL_T_STRING },
    { "alias", "t.t2", FILTER_TEXT, FEEL_T_STRING },
    { "day", "t.d", FILTER_DATE, FEEL_T_DATE },
    { "due", "t.d2", FILTER_DATE, FEEL_T_DATE },
    { "at", "t.m", FILTER_INSTANT, FEEL_T_DATE_TIME },
};

static bool columns(void *arg, size_t slot, struct filter_column *out)
{
    (void)arg;
    if (slot >= COLUMNS)
        return false;
    *out = (struct filter_column) { .sql = str_from(COLUMN[slot].sql), .type = COLUMN[slot].type };
    return true;
}

static struct feel_scope *scope_new(struct arena *arena)
{
    struct feel_scope *scope = feel_scope_new(arena);
    struct err err;
    for (size_t i = 0; i < COLUMNS; i++)
        test_ok(!feel_scope_add(scope, str_from(COLUMN[i].name), feel_type_basic(COLUMN[i].feel), NULL, &err),
                "scope");
    test_ok(!feel_scope_add(scope, STR("secret"), NULL, NULL, &err), "scope");
    return scope;
}

/* ---------------------------------------------------------------- refusals */

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
        const char *id;
        int column;
    } cases[] = {
        { "name = \"x\"", ERR_OK, NULL, 0 },
        { "name = ", ERR_INVALID, "feel.expected_at_end", 8 },
        { "nme = \"x\"", ERR_INVALID, "feel.unknown_name", 1 },
        { "open and secret = 1", ERR_INVALID, "feel.filter_column", 10 },
        { "limit = \"x\"", ERR_INVALID, "feel.filter_type", 1 },
        { "limit", ERR_INVALID, "feel.filter_type", 1 },
        { "limit + 1 > 2", ERR_UNSUPPORTED, "feel.filter_unsupported", 1 },
        { "open and upper case(name) = \"X\"", ERR_UNSUPPORTED, "feel.filter_unsupported", 10 },
        { "matches(name, \"x\")", ERR_UNSUPPORTED, "feel.filter_unsupported", 1 },
        { "some x in [1] satisfies x = limit", ERR_UNSUPPORTED, "feel.filter_unsupported", 1 },
        { "weight = 0.12345678901234567890", ERR_UNSUPPORTED, "feel.filter_unsupported", 1 },
        { "at > date and time(\"2026-01-01T00:00:00\")", ERR_INVALID, "feel.filter_type", 1 },
        { "limit between 1 and count of items", ERR_UNSUPPORTED, "feel.filter_unsupported", 1 },
        { "limit < null", ERR_UNSUPPORTED, "feel.filter_unsupported", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *arena = arena_new(1 << 20);
        struct filter_sql filter;
        struct err err = { 0 };
        const enum err_code rc = filter_sql(arena, scope_new(arena), str_from(cases[i].text), FILTER_SQLITE,
                                            columns, NULL, 1, &filter, &err);
        test_ok(rc == cases[i].code &&
                    (!rc || (strcmp(err.id, cases[i].id) == 0 && err.at.column == cases[i].column)),
                "%s: %d %s %d", cases[i].text, rc, err.id ? err.id : "", err.at.column);
        arena_free(arena);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct filter_sql filter;
        struct err err = { 0 };
        enum err_code rc = ERR_NOMEM;
        mem_fail_at(nth);
        struct arena *arena = arena_new(1 << 20);
        struct feel_scope *scope = arena ? feel_scope_new(arena) : NULL;
        if (scope && !feel_scope_add(scope, STR("limit"), NULL, NULL, &err) &&
            !feel_scope_add(scope, STR("name"), NULL, NULL, &err))
            rc = filter_sql(arena, scope, STR("limit in (1, > 5.5) and not(limit = 3)"), FILTER_POSTGRES,
                            columns, NULL, 1, &filter, &err);
        arena_free(arena);
        mem_fail_at(-1);
        /* Slot 0 is the boolean column here. */
        test_ok(mem_live() == 0 && (rc == ERR_INVALID || rc == ERR_NOMEM), "no memory at %ld: %d", nth, rc);
        if (rc == ERR_INVALID)
            return;
    }
}

/* ---------------------------------------------------------------- random rows and filters */

static uint32_t seed;
static uint32_t below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static const char *const TEXTS[] = { "",
                                     "a",
                                     "b",
                                     "ab",
                                     "aB",
                                     "Ab",
                                     "\xe4\xb8\xad",
                                     "\xe4\xb8\xad\xe6\x96\x87",
                                     "\xf0\x9f\x98\x80x",
                                     "a_b",
                                     "a%b",
                                     "\xc3\xa4",
                                     "~",
                                     "abc",
                                     " a" };
#define TEXTS_COUNT (sizeof TEXTS / sizeof *TEXTS)
static const char *const DAYS[] = { "2024-02-29", "2024-03-01", "0999-12-31", "2025-12-31", "2026-01-01" };
#define DAYS_COUNT (sizeof DAYS / sizeof *DAYS)
static const int64_t NUMBERS[] = { 0, 1, -1, 2, 5, 7, 100, INT64_MAX, INT64_MIN, 4503599627370497 };
#define NUMBERS_COUNT (sizeof NUMBERS / sizeof *NUMBERS)
static const double REALS[] = { 0, 0.1, 0.5, 1, 2.5, -3.75, 1e10, 0.30000000000000004 };
#define REALS_COUNT (sizeof REALS / sizeof *REALS)
static const int64_t INSTANTS[] = { 0, 1700000000000, 1700000000001, 1763733600000, -1 };
#define INSTANTS_COUNT (sizeof INSTANTS / sizeof *INSTANTS)

static void operand_sign(struct buf *out, const char *column, bool order)
{
    static const char *const SIGNS[] = { " = ", " != ", " < ", " <= ", " > ", " >= " };
    buf_printf(out, "%s%s", column, SIGNS[below(order ? 6 : 2)]);
}

static void number(struct buf *out, bool real)
{
    static const char *const MORE[] = { "1.5", "-0.5", "10 ** 30", "-(10 ** 30)", "2 + 3" };
    if (real && below(2))
        buf_printf(out, "%s", below(2) ? "0.1" : "2.5");
    else if (!real && below(4) == 0)
        buf_text(out, MORE[below(5)]);
    else
        buf_printf(out, "%" PRId64, real ? (int64_t)below(3) : NUMBERS[below(NUMBERS_COUNT)]);
}

static void constant(struct buf *out, size_t column)
{
    switch (COLUMN[column].type) {
    case FILTER_BOOLEAN:
        buf_text(out, below(2) ? "true" : "false");
        break;
    case FILTER_INTEGER:
        number(out, false);
        break;
    case FILTER_REAL:
        number(out, true);
        break;
    case FILTER_TEXT:
        buf_printf(out, "\"%s\"", TEXTS[below(TEXTS_COUNT)]);
        break;
    case FILTER_DATE:
        buf_printf(out, below(2) ? "@\"%s\"" : "date(\"%s\")", DAYS[below(DAYS_COUNT)]);
        break;
    case FILTER_INSTANT:
        buf_printf(out, "@\"2023-11-14T22:13:20%s%s\"", below(2) ? ".0005" : "", below(2) ? "Z" : "+08:00");
        break;
    case FILTER_SEALED: /* test_sealed */
        break;
    }
}

static void condition(struct buf *out, int depth);

static void comparison(struct buf *out)
{
    const size_t c = below(COLUMNS);
    const bool order = COLUMN[c].type != FILTER_BOOLEAN;
    if (below(8) == 0) {
        buf_printf(out, "%s %s null", COLUMN[c].name, below(2) ? "=" : "!=");
    } else if (below(5) == 0 && (c == 1 || c == 4 || c == 6)) { /* two columns of one type */
        operand_sign(out, COLUMN[c].name, order);
        buf_text(out, COLUMN[c + 1].name);
    } else if (below(5) == 0) {
        constant(out, c);
        operand_sign(out, "", order);
        buf_text(out, COLUMN[c].name);
    } else {
        operand_sign(out, COLUMN[c].name, order);
        constant(out, c);
    }
}

static void range(struct buf *out, size_t c)
{
    buf_char(out, below(2) ? '[' : '(');
    constant(out, c);
    buf_text(out, "..");
    constant(out, c);
    buf_char(out, below(2) ? ']' : ')');
}

static void membership(struct buf *out)
{
    const size_t c = 1 + below(COLUMNS - 1);
    const uint32_t how = below(5);
    if (how == 0) {
        buf_printf(out, "%s between ", COLUMN[c].name);
        constant(out, c);
        buf_text(out, " and ");
        constant(out, c);
        return;
    }
    buf_printf(out, "%s in ", COLUMN[c].name);
    if (how == 1) {
        range(out, c);
        return;
    }
    buf_char(out, how == 2 ? '[' : '(');
    const uint32_t count = 1 + below(3);
    for (uint32_t i = 0; i < count; i++) {
        buf_text(out, i ? ", " : "");
        if (below(6) == 0)
            buf_text(out, "null");
        else if (below(3) == 0)
            range(out, c);
        else if (how != 2 && below(3) == 0)
            operand_sign(out, "", true), constant(out, c);
        else
            constant(out, c);
    }
    buf_char(out, how == 2 ? ']' : ')');
}

static void function(struct buf *out)
{
    static const char *const NAMES[] = { "contains", "starts with", "ends with" };
    static const char *const PARTS[] = { "year", "month", "day" };
    const char *text = below(2) ? "name" : "alias";
    switch (below(3)) {
    case 0:
        buf_printf(out, "%s(%s, \"%s\")", NAMES[below(3)], text, TEXTS[below(TEXTS_COUNT)]);
        break;
    case 1:
        buf_printf(out, "string length(%s) ", text);
        operand_sign(out, "", true);
        buf_printf(out, "%u", below(4));
        break;
    default:
        buf_printf(out, "%s.%s ", below(2) ? "day" : "due", PARTS[below(3)]);
        operand_sign(out, "", true);
        buf_printf(out, "%u", below(2) ? below(13) : 2024 + below(3));
        break;
    }
}

static void condition(struct buf *out, int depth)
{
    static const char *const LEAVES[] = { "open", "true", "false", "null" };
    const uint32_t how = below(depth > 3 ? 6 : 10);
    if (how < 2) {
        comparison(out);
    } else if (how < 4) {
        membership(out);
    } else if (how == 4) {
        function(out);
    } else if (how == 5) {
        buf_text(out, LEAVES[below(8) ? 0 : below(4)]);
    } else if (how == 6) {
        buf_text(out, "not(");
        condition(out, depth + 1);
        buf_char(out, ')');
    } else {
        buf_char(out, '(');
        condition(out, depth + 1);
        buf_text(out, how == 7 ? " or " : " and ");
        condition(out, depth + 1);
        buf_char(out, ')');
    }
}

/* ---------------------------------------------------------------- the property */

struct property {
    struct arena *arena;
    struct feel_scope *scope;
    struct feel_value rows[ROWS][COLUMNS];
    const char *text;
    int decided[3], refused;
};

static void set_text(struct stmt *stmt, struct property *p, int row, size_t c, const char *text)
{
    stmt_bind_text(stmt, (int)c + 2, str_from(text));
    if (COLUMN[c].type == FILTER_DATE)
        test_ok(feel_date_parse(str_from(text), &p->rows[row][c]), "date");
    else
        p->rows[row][c] = feel_string(str_from(text));
}

static enum err_code fill(struct tx *tx, void *arg, struct err *err)
{
    struct property *p = arg;
    struct stmt *stmt = NULL;
    enum err_code rc =
        tx_exec(tx,
                "CREATE TABLE prop (id BIGINT NOT NULL, b BIGINT, i BIGINT, i2 BIGINT, r DOUBLE "
                "PRECISION, t TEXT, t2 TEXT, d TEXT, d2 TEXT, m BIGINT)",
                err);
    if (!rc)
        rc = tx_prepare(tx, "INSERT INTO prop VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", &stmt, err);
    for (int row = 0; row < ROWS && !rc; row++) {
        stmt_bind_i64(stmt, 1, row);
        for (size_t c = 0; c < COLUMNS; c++) {
            struct feel_value *value = &p->rows[row][c];
            int64_t n;
            *value = feel_null();
            if (below(5) == 0) {
                stmt_bind_null(stmt, (int)c + 2);
                continue;
            }
            switch (COLUMN[c].type) {
            case FILTER_BOOLEAN:
                n = below(2);
                *value = feel_boolean(n);
                stmt_bind_i64(stmt, (int)c + 2, n);
                break;
            case FILTER_INTEGER:
                n = NUMBERS[below(NUMBERS_COUNT)];
                *value = feel_i64(n);
                stmt_bind_i64(stmt, (int)c + 2, n);
                break;
            case FILTER_REAL: {
                const double real = REALS[below(REALS_COUNT)];
                struct decimal d;
                test_ok(decimal_from_double(real, &d), "real");
                *value = feel_number(d);
                stmt_bind_f64(stmt, (int)c + 2, real);
                break;
            }
            case FILTER_TEXT:
                set_text(stmt, p, row, c, TEXTS[below(TEXTS_COUNT)]);
                break;
            case FILTER_DATE:
                set_text(stmt, p, row, c, DAYS[below(DAYS_COUNT)]);
                break;
            case FILTER_INSTANT:
                n = INSTANTS[below(INSTANTS_COUNT)];
                test_ok(!feel_from_instant(p->arena, n, STR("Asia/Shanghai"), value, err), "instant");
                stmt_bind_i64(stmt, (int)c + 2, n);
                break;
            case FILTER_SEALED:
                break;
            }
        }
        rc = stmt_run(stmt, NULL, err);
        stmt_reset(stmt);
    }
    stmt_free(stmt);
    return rc;
}

static void bind_all(struct stmt *stmt, const struct filter_sql *filter)
{
    for (size_t i = 0; i < filter->binds_count; i++) {
        const struct filter_bind *bind = &filter->binds[i];
        if (bind->kind == FILTER_BIND_I64)
            stmt_bind_i64(stmt, (int)i + 1, bind->i64);
        else if (bind->kind == FILTER_BIND_F64)
            stmt_bind_f64(stmt, (int)i + 1, bind->f64);
        else
            stmt_bind_text(stmt, (int)i + 1, bind->text);
    }
}

static enum err_code compare(struct tx *tx, void *arg, struct err *err)
{
    struct property *p = arg;
    struct arena *arena = arena_new(1 << 22);
    struct filter_sql filter;
    struct stmt *stmt = NULL;
    const struct feel_program *program;
    struct feel_eval ev;
    const enum filter_dialect dialect = tx_backend(tx) == STORE_POSTGRES ? FILTER_POSTGRES : FILTER_SQLITE;
    enum err_code rc =
        filter_sql(arena, p->scope, str_from(p->text), dialect, columns, NULL, 1, &filter, err);
    if (rc) {
        p->refused++;
        arena_free(arena);
        return ERR_OK;
    }
    test_ok(!feel_prepare(arena, p->scope, str_from(p->text), FEEL_EXPRESSION, 0, &program, err), "%s",
            p->text);
    const struct str sql = arena_printf(
        arena, "SELECT id, CASE WHEN %.*s THEN 1 WHEN NOT %.*s THEN 0 ELSE -1 END FROM prop t ORDER BY id",
        STR_ARG(filter.sql), STR_ARG(filter.sql));
    rc = tx_prepare(tx, sql.ptr, &stmt, err);
    test_ok(!rc, "%s\n%s\n%s", p->text, sql.ptr, err->id);
    bind_all(stmt, &filter);
    for (int row = 0; row < ROWS; row++) {
        bool more = false;
        struct feel_value value;
        rc = stmt_step(stmt, &more, err);
        test_ok(!rc && more && stmt_i64(stmt, 0) == row, "%s\n%s\nrow %d: %s", p->text, sql.ptr, row,
                rc ? err->id : "");
        feel_eval_init(&ev, arena);
        test_ok(!feel_evaluate(program, &ev, p->rows[row], &value, err), "%s", p->text);
        const int64_t want = value.kind != FEEL_BOOLEAN ? -1 : value.boolean, got = stmt_i64(stmt, 1);
        test_ok(got == want, "%s\n%s\nrow %d: SQL %d, FEEL %d", p->text, sql.ptr, row, (int)got, (int)want);
        p->decided[want + 1]++;
    }
    stmt_free(stmt);
    arena_free(arena);
    return ERR_OK;
}

static void test_same_truth(void **state)
{
    (void)state;
    struct err err = { 0 };
    const char *from = getenv("FILTER_SEED");
    struct store *store = teststore_open(teststore_url(), false, &CLOCK_SYSTEM);
    static struct property p;
    seed = from ? (uint32_t)strtoul(from, NULL, 10) : 20261121;
    p.arena = arena_new(1 << 22);
    p.scope = scope_new(p.arena);
    teststore_ok(store_write(store, fill, &p, &err), &err, "fill");
    for (int i = 0; i < FILTERS; i++) {
        struct buf text;
        buf_init(&text, 1 << 16);
        condition(&text, 0);
        p.text = text.ptr;
        teststore_ok(store_read(store, compare, &p, &err), &err, text.ptr);
        buf_done(&text);
    }
    test_ok(p.refused * 5 < FILTERS && p.decided[0] > 500 && p.decided[1] > 500 && p.decided[2] > 500,
            "the filters say something: %d refused, %d unknown, %d false, %d true", p.refused, p.decided[0],
            p.decided[1], p.decided[2]);
    store_close(store);
    arena_free(p.arena);
}

/* Only equality is known of a sealed column: its digests are compared, all else is refused at its place. */
static struct str digest(void *arg, size_t slot, struct str text)
{
    (void)slot;
    return arena_printf(arg, "<%.*s>", STR_ARG(text));
}

static bool sealed_columns(void *arg, size_t slot, struct filter_column *out)
{
    const char *const names[] = { "t.x", "t.y" };
    *out = (struct filter_column) {
        .sql = str_from(names[slot]), .type = FILTER_SEALED, .digest = digest, .arg = arg, .slot = slot
    };
    return true;
}

static void test_sealed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sql, *bind; /* sql NULL: refused at `column` */
        int column;
    } cases[] = {
        { "x = \"138\"", "(t.x = ?1 AND t.x IS NOT NULL)", "<138>", 0 },
        { "x != \"138\"", "(t.x <> ?1 OR t.x IS NULL)", "<138>", 0 },
        { "x = null", "(t.x IS NULL)", NULL, 0 },
        { "x in (\"1\")", "((t.x = ?1 AND t.x IS NOT NULL))", "<1>", 0 },
        { "x < \"138\"", NULL, NULL, 1 },
        { "x in [\"1\"..\"2\"]", NULL, NULL, 1 },
        { "x between \"1\" and \"2\"", NULL, NULL, 1 },
        { "x = y", NULL, NULL, 1 },
        { "contains(x, \"13\")", NULL, NULL, 1 },
        { "starts with(x, \"\")", NULL, NULL, 1 },
        { "string length(x) = 11", NULL, NULL, 1 },
    };
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    struct feel_scope *scope = feel_scope_new(arena);
    struct err err = { 0 };
    test_ok(!feel_scope_add(scope, STR("x"), feel_type_basic(FEEL_T_STRING), NULL, &err) &&
                !feel_scope_add(scope, STR("y"), feel_type_basic(FEEL_T_STRING), NULL, &err),
            "scope");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct filter_sql out = { 0 };
        const enum err_code rc = filter_sql(arena, scope, str_from(cases[i].text), FILTER_SQLITE,
                                            sealed_columns, arena, 1, &out, &err);
        if (!cases[i].sql) {
            test_ok(rc == ERR_UNSUPPORTED && !strcmp(err.id, "feel.filter_sealed"), "%s: %s", cases[i].text,
                    rc ? err.id : "taken");
            test_ok(err.at.line == 1 && err.at.column == cases[i].column, "%s at %d", cases[i].text,
                    err.at.column);
            continue;
        }
        test_ok(!rc && str_eq(out.sql, str_from(cases[i].sql)), "%s: %.*s", cases[i].text, STR_ARG(out.sql));
        test_ok(!cases[i].bind || str_eq(out.binds[0].text, str_from(cases[i].bind)), "%s: digest",
                cases[i].text);
    }
}

TEST_MAIN(TEST(test_refusals), TEST(test_out_of_memory), TEST(test_same_truth), TEST(test_sealed))
