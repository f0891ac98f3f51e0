/* migrate.c - see migrate.h. */
#include "store/migrate.h"

#include "crypto/digest.h"
#include "store/internal.h"
#include "store/migrate_sql.h"
#include "store/period.h"

#include <stdio.h>

#define MIGRATE_DEADLINE_MS (30 * 60 * 1000) /* a large table may be rewritten */
#define APPLIED_MAX 4096

struct applied {
    struct str room, name, checksum;
    bool additive, known;
};

struct work {
    const struct store_migration *list;
    int count;
    enum migrate_mode mode;
    struct migrate_report report;
};

static enum err_code migrate_fn(struct tx *tx, void *arg, struct err *err);
static enum err_code apply(struct tx *tx, const struct store_migration *migration, struct err *err);

enum err_code store_migrate(struct store *store, const struct store_migration *list, int count,
                            enum migrate_mode mode, struct migrate_report *out, struct err *err)
{
    struct work work = { .list = list, .count = count, .mode = mode };
    const int64_t before = store_deadline_get();
    store_deadline_set(clock_mono(&CLOCK_SYSTEM) + MIGRATE_DEADLINE_MS);
    enum err_code rc = store_write(store, migrate_fn, &work, err);
    if (!rc && mode != MIGRATE_LOOK)
        rc = store_periods_ensure(store, err);
    store_deadline_set(before);
    if (out)
        *out = work.report;
    return rc;
}

/* ---- what a script is ---- */

static bool next_word(struct str *rest, struct str *word)
{
    for (;;) {
        *rest = str_trim(*rest);
        if (str_starts(*rest, STR("--"))) {
            struct str line;
            (void)str_cut(rest, '\n', &line);
            if (!rest->ptr)
                return false;
            continue;
        }
        break;
    }
    size_t len = 0;
    while (len < rest->len && strchr(" \t\r\n(,;", rest->ptr[len]) == NULL)
        len++;
    if (!len && rest->len)
        len = 1;
    *word = str_slice(*rest, 0, len);
    *rest = str_slice(*rest, len, rest->len);
    return word->len > 0;
}

static bool statement_adds(struct str text)
{
    struct str word, rest = text;
    if (!next_word(&rest, &word))
        return true; /* only a comment */
    if (str_eq_nocase(word, STR("insert")))
        return true;
    if (str_eq_nocase(word, STR("create"))) {
        static const char *const kinds[] = { "table",   "index",    "unique", "view",
                                             "trigger", "function", "virtual" };
        if (!next_word(&rest, &word))
            return false;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            if (str_eq_nocase(word, str_from(kinds[i])))
                return true;
        return false;
    }
    if (str_eq_nocase(word, STR("alter"))) {
        struct str words[4] = { 0 };
        for (int i = 0; i < 4; i++)
            if (!next_word(&rest, &words[i]))
                return false;
        return str_eq_nocase(words[0], STR("table")) && str_eq_nocase(words[2], STR("add")) &&
               str_eq_nocase(words[3], STR("column"));
    }
    return false;
}

bool migration_is_additive(const char *sql)
{
    while (*sql) {
        const char *end = store_statement_end(sql);
        if (!statement_adds((struct str) { sql, (size_t)(end - sql) }))
            return false;
        sql = *end ? end + 1 : end;
    }
    return true;
}

/* The script without the parts of the other backend. */
static void script_for(enum store_backend backend, const char *sql, struct buf *out)
{
    struct str rest = str_from(sql), line;
    bool skip = false;
    while (str_cut(&rest, '\n', &line)) {
        const struct str trimmed = str_trim(line);
        if (str_starts(trimmed, STR("-- only "))) {
            const struct str which = str_slice(trimmed, strlen("-- only "), trimmed.len);
            skip = !str_eq(which, STR("all")) && !str_eq(which, str_from(store_backend_name(backend)));
        } else if (!skip) {
            buf_str(out, line);
            buf_char(out, '\n');
        }
    }
}

/* ---- doing it ---- */

static enum err_code read_applied(struct tx *tx, struct applied *applied, int *out_count, struct err *err)
{
    struct stmt *stmt = NULL;
    struct arena *arena = tx_arena(tx);
    int count = 0;
    bool row = true;
    enum err_code rc = tx_prepare(tx, SQL_MIGRATE_LIST, &stmt, err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row) {
        if (count == APPLIED_MAX) {
            rc = err_set(err, ERR_LIMIT, "store.migrations", ARG_INT("max", APPLIED_MAX), ARG_END);
            break;
        }
        struct applied *one = &applied[count++];
        one->room = arena_str(arena, stmt_text(stmt, 0));
        one->name = arena_str(arena, stmt_text(stmt, 1));
        one->checksum = arena_str(arena, stmt_text(stmt, 2));
        one->additive = stmt_i64(stmt, 3) != 0;
        if (!one->room.ptr || !one->name.ptr || !one->checksum.ptr)
            rc = err_nomem(err);
    }
    stmt_free(stmt);
    *out_count = count;
    return rc;
}

static void checksum(const struct store_migration *migration, char out[DIGEST_HEX_SIZE])
{
    unsigned char sum[DIGEST_SIZE];
    digest(DIGEST_SHA256, str_from(migration->sql), sum);
    hex_put(sum, sizeof sum, out);
}

static enum err_code record(struct tx *tx, const struct store_migration *migration, bool additive,
                            struct err *err)
{
    char sum[DIGEST_HEX_SIZE];
    struct stmt *stmt = NULL;
    checksum(migration, sum);
    enum err_code rc = tx_prepare(tx, SQL_MIGRATE_ADD, &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, str_from(migration->room));
        stmt_bind_text(stmt, 2, str_from(migration->name));
        stmt_bind_text(stmt, 3, str_from(sum));
        stmt_bind_i64(stmt, 4, additive);
        stmt_bind_i64(stmt, 5, tx_now_ms(tx));
        rc = stmt_run(stmt, NULL, err);
    }
    stmt_free(stmt);
    return rc;
}

static enum err_code migrate_fn(struct tx *tx, void *arg, struct err *err)
{
    struct work *work = arg;
    struct arena *arena = tx_arena(tx);
    struct applied *applied = arena ? arena_alloc(arena, APPLIED_MAX, sizeof *applied) : NULL;
    int applied_count = 0;
    int64_t ignored;
    work->report = (struct migrate_report) { 0 };
    enum err_code rc = applied ? ERR_OK : err_nomem(err);
    if (!rc && tx_backend(tx) == STORE_POSTGRES)
        rc = tx_query_i64(tx, SQL_MIGRATE_LOCK_POSTGRES, &ignored, err);
    if (!rc)
        rc = tx_exec(tx, SQL_MIGRATE_START, err);
    if (!rc)
        rc = read_applied(tx, applied, &applied_count, err);
    work->report.was_empty = applied_count == 0;
    const bool everything = work->mode == MIGRATE_ALL || applied_count == 0;
    for (int i = 0; i < work->count && !rc; i++) {
        const struct store_migration *migration = &work->list[i];
        struct applied *found = NULL;
        for (int j = 0; j < applied_count; j++)
            if (str_eq(applied[j].room, str_from(migration->room)) &&
                str_eq(applied[j].name, str_from(migration->name)))
                found = &applied[j];
        if (found) {
            char sum[DIGEST_HEX_SIZE];
            found->known = true;
            checksum(migration, sum);
            if (!str_eq(found->checksum, str_from(sum)))
                rc = err_set(err, ERR_CORRUPT, "store.migration_changed", ARG_TEXT("room", migration->room),
                             ARG_TEXT("name", migration->name), ARG_END);
            continue;
        }
        struct buf script;
        buf_init(&script, 4 << 20);
        script_for(tx_backend(tx), migration->sql, &script);
        rc = buf_check(&script, err);
        const bool additive = !rc && migration_is_additive(script.len ? script.ptr : "");
        if (!rc && work->mode == MIGRATE_ADDITIVE && !everything && !additive)
            rc = err_set(err, ERR_PRECONDITION, "store.migrate_needed", ARG_TEXT("room", migration->room),
                         ARG_TEXT("name", migration->name), ARG_END);
        if (!rc && work->mode != MIGRATE_LOOK) {
            const struct store_migration own = { migration->room, migration->name,
                                                 script.len ? script.ptr : "" };
            rc = apply(tx, &own, err);
            if (!rc)
                rc = record(tx, migration, additive, err);
            if (!rc)
                work->report.applied++;
        }
        buf_done(&script);
        if (rc || work->mode == MIGRATE_LOOK) {
            if (!work->report.pending++) {
                (void)snprintf(work->report.next, sizeof work->report.next, "%s/%s", migration->room,
                               migration->name);
                work->report.next_additive = additive;
            }
        }
        if (rc)
            (void)err_in(err, migration->name);
    }
    for (int j = 0; j < applied_count && !rc; j++)
        if (!applied[j].known && !applied[j].additive)
            rc = err_set(err, ERR_UNSUPPORTED, "store.newer", ARG_STR("room", applied[j].room),
                         ARG_STR("name", applied[j].name), ARG_END);
    return rc;
}

/* Statement by statement, because those about period tables are not run as they stand. */
static enum err_code apply(struct tx *tx, const struct store_migration *migration, struct err *err)
{
    struct buf one;
    buf_init(&one, 4 << 20);
    enum err_code rc = ERR_OK;
    for (const char *at = migration->sql; *at && !rc;) {
        const char *end = store_statement_end(at);
        const struct str text = str_trim((struct str) { at, (size_t)(end - at) });
        at = *end ? end + 1 : end;
        bool handled = false;
        rc = period_statement(tx, text, &handled, err);
        if (rc || handled || !text.len)
            continue;
        buf_clear(&one);
        buf_str(&one, text);
        rc = buf_check(&one, err);
        if (!rc)
            rc = tx_exec(tx, one.ptr, err);
    }
    buf_done(&one);
    return rc;
}
