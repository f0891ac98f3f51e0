/* period_sql.c - period tables (store.h): a table by month that can be dropped whole.
 *
 * A period table T has a script: its CREATE TABLE and what followed about it (indexes, added columns).
 *   PostgreSQL: T is partitioned natively; a month is a table LIKE T that is attached.
 *   SQLite:     T is a view over the tables of the months; a month is the script with T_YYYYMM for T.
 * Which months exist stands in store_period_part, so that no catalogue is asked. */
#include "store/period.h"

#include "base/ids.h"
#include "store/internal.h"
#include "store/migrate_sql.h"

#include <stdio.h>

#define PERIOD_PARTS_MAX 480 /* months; SQLite joins at most 500 selects in a view */
#define PERIOD_STEM_MAX (STORE_NAME_SIZE - 8)

struct period {
    struct str name, by_column, kind, script;
};

static enum err_code make_part(struct tx *tx, const struct period *period, int64_t month, struct err *err);
static enum err_code make_view(struct tx *tx, struct str name, struct err *err);

/* ---- months: year * 12 + month - 1 ---- */

static int64_t month_of(int64_t ms)
{
    int64_t year;
    int month, day;
    int64_t days = ms / 86400000;
    days -= ms % 86400000 < 0;
    civil_from_days(days, &year, &month, &day);
    return year * 12 + month - 1;
}

static int64_t month_start(int64_t month)
{
    return days_from_civil(month / 12, (int)(month % 12) + 1, 1) * 86400000;
}

static void part_name(struct str table, int64_t month, char out[STORE_NAME_SIZE])
{
    (void)snprintf(out, STORE_NAME_SIZE, "%.*s_%04d%02d", STR_ARG(table), (int)(month / 12) % 10000,
                   (int)(month % 12) + 1);
}

size_t period_stem(const char *table)
{
    const size_t len = strlen(table);
    if (len < 8 || table[len - 7] != '_')
        return 0;
    for (size_t i = len - 6; i < len; i++)
        if (table[i] < '0' || table[i] > '9')
            return 0;
    return len - 7;
}

/* ---- words of a statement ---- */

static bool is_name(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static size_t skip_to_sql(struct str text)
{
    size_t at = 0;
    for (;;) {
        while (at < text.len && strchr(" \t\r\n", text.ptr[at]))
            at++;
        if (!str_starts(str_slice(text, at, text.len), STR("--")))
            return at;
        const char *line_end = memchr(text.ptr + at, '\n', text.len - at);
        if (!line_end)
            return text.len;
        at = (size_t)(line_end - text.ptr);
    }
}

/* The nth word (from 0) of the statement, or an empty one. */
static struct str word_nth(struct str text, int nth)
{
    size_t at = skip_to_sql(text);
    for (;; nth--) {
        while (at < text.len && !is_name(text.ptr[at])) {
            if (text.ptr[at] == '(')
                return (struct str) { 0 };
            at++;
        }
        const size_t from = at;
        while (at < text.len && is_name(text.ptr[at]))
            at++;
        if (from == at || nth == 0)
            return str_slice(text, from, at);
    }
}

/* The statement with the word `from` replaced by `to` wherever it stands alone, and, for an index, with the
 * month behind its name. */
static void with_name(struct buf *out, struct str text, struct str from, const char *to)
{
    const bool is_index =
        str_eq_nocase(word_nth(text, 1), STR("index")) || str_eq_nocase(word_nth(text, 2), STR("index"));
    const struct str index = is_index ? word_nth(text, str_eq_nocase(word_nth(text, 1), STR("index")) ? 2 : 3)
                                      : (struct str) { 0 };
    for (size_t at = skip_to_sql(text); at < text.len;) {
        size_t end = at;
        while (end < text.len && is_name(text.ptr[end]))
            end++;
        const struct str word = str_slice(text, at, end);
        if (!word.len) {
            buf_char(out, text.ptr[at++]);
            continue;
        }
        if (str_eq(word, from))
            buf_text(out, to);
        else
            buf_str(out, word);
        if (index.len && word.ptr == index.ptr)
            buf_text(out, to + from.len); /* "_202611" */
        at = end;
    }
}

/* ---- declared by migrations ---- */

static enum err_code exec_buf(struct tx *tx, const struct buf *sql, struct err *err)
{
    const enum err_code rc = buf_check(sql, err);
    return rc ? rc : tx_exec(tx, sql->ptr, err);
}

static enum err_code period_get(struct tx *tx, struct str name, struct period *out, bool *out_found,
                                struct err *err)
{
    struct stmt *stmt = NULL;
    struct arena *arena = tx_arena(tx);
    bool row = false;
    enum err_code rc = arena ? tx_prepare(tx, SQL_PERIOD_GET, &stmt, err) : err_nomem(err);
    if (!rc) {
        stmt_bind_text(stmt, 1, name);
        rc = stmt_step(stmt, &row, err);
    }
    if (!rc && row) {
        *out = (struct period) { arena_str(arena, name), arena_str(arena, stmt_text(stmt, 0)),
                                 arena_str(arena, stmt_text(stmt, 1)), arena_str(arena, stmt_text(stmt, 2)) };
        if (!out->name.ptr || !out->by_column.ptr || !out->kind.ptr || !out->script.ptr)
            rc = err_nomem(err);
    }
    stmt_free(stmt);
    *out_found = row;
    return rc;
}

/* "-- period audit by id id" in the comments before the statement. */
static bool declaration(struct str text, struct str *name, struct str *column, struct str *kind)
{
    struct str rest = str_slice(text, 0, skip_to_sql(text)), line;
    while (str_cut(&rest, '\n', &line)) {
        struct str words[6] = { 0 }, part;
        int count = 0;
        line = str_trim(line);
        while (count < 6 && str_cut(&line, ' ', &part))
            words[count++] = part;
        if (count == 6 && str_eq(words[0], STR("--")) && str_eq(words[1], STR("period")) &&
            str_eq(words[3], STR("by"))) {
            *name = words[2], *column = words[4], *kind = words[5];
            return true;
        }
    }
    return false;
}

static enum err_code declare(struct tx *tx, struct str text, struct str name, struct str column,
                             struct str kind, struct err *err)
{
    if (name.len > PERIOD_STEM_MAX || !str_eq(word_nth(text, 2), name) ||
        !(str_eq(kind, STR("ms")) || str_eq(kind, STR("id"))))
        return err_set(err, ERR_INVALID, "store.period_line", ARG_STR("name", name), ARG_END);
    const struct str body = str_slice(text, skip_to_sql(text), text.len);
    struct buf sql;
    buf_init(&sql, 1 << 20);
    struct stmt *stmt = NULL;
    enum err_code rc = ERR_OK;
    if (tx_backend(tx) == STORE_POSTGRES) {
        buf_str(&sql, body);
        buf_printf(&sql, " PARTITION BY RANGE (%.*s)", STR_ARG(column));
        rc = exec_buf(tx, &sql, err);
    }
    buf_clear(&sql);
    buf_str(&sql, body);
    buf_text(&sql, ";\n");
    if (!rc)
        rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_PERIOD_ADD, &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, name);
        stmt_bind_text(stmt, 2, column);
        stmt_bind_text(stmt, 3, kind);
        stmt_bind_text(stmt, 4, buf_get(&sql));
        rc = stmt_run(stmt, NULL, err);
    }
    stmt_free(stmt);
    buf_done(&sql);
    if (!rc) { /* readers expect the name at once */
        const struct period period = { name, column, kind, (struct str) { 0 } };
        struct period full;
        bool found;
        rc = period_get(tx, period.name, &full, &found, err);
        if (!rc)
            rc = make_part(tx, &full, month_of(tx_now_ms(tx)), err);
    }
    return rc;
}

/* The months of a table, oldest first. */
static enum err_code parts_get(struct tx *tx, struct str name, int64_t **out_months, int *out_count,
                               struct err *err)
{
    struct stmt *stmt = NULL;
    struct arena *arena = tx_arena(tx);
    int64_t *months = arena ? arena_alloc(arena, PERIOD_PARTS_MAX, sizeof *months) : NULL;
    int count = 0;
    bool row = true;
    enum err_code rc = months ? tx_prepare(tx, SQL_PERIOD_PARTS, &stmt, err) : err_nomem(err);
    if (!rc)
        stmt_bind_text(stmt, 1, name);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row) {
        if (count == PERIOD_PARTS_MAX)
            rc = err_set(err, ERR_LIMIT, "store.periods", ARG_STR("name", name), ARG_END);
        else
            months[count++] = stmt_i64(stmt, 0);
    }
    stmt_free(stmt);
    *out_months = months;
    *out_count = count;
    return rc;
}

static enum err_code extend(struct tx *tx, struct str name, struct str text, struct err *err)
{
    struct buf sql;
    buf_init(&sql, 1 << 20);
    struct stmt *stmt = NULL;
    enum err_code rc = ERR_OK;
    if (tx_backend(tx) == STORE_POSTGRES) { /* indexes and columns reach the partitions by themselves */
        buf_str(&sql, text);
        rc = exec_buf(tx, &sql, err);
    } else {
        int64_t *months;
        int count;
        rc = parts_get(tx, name, &months, &count, err);
        for (int i = 0; i < count && !rc; i++) {
            char part[STORE_NAME_SIZE];
            part_name(name, months[i], part);
            buf_clear(&sql);
            with_name(&sql, text, name, part);
            rc = exec_buf(tx, &sql, err);
        }
        if (!rc)
            rc = make_view(tx, name, err);
    }
    buf_clear(&sql);
    buf_str(&sql, str_slice(text, skip_to_sql(text), text.len));
    buf_text(&sql, ";\n");
    if (!rc)
        rc = buf_check(&sql, err);
    if (!rc)
        rc = tx_prepare(tx, SQL_PERIOD_EXTEND, &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, name);
        stmt_bind_text(stmt, 2, buf_get(&sql));
        rc = stmt_run(stmt, NULL, err);
    }
    stmt_free(stmt);
    buf_done(&sql);
    return rc;
}

/* The table that an index or an added column is about. */
static struct str about(struct str text)
{
    const struct str first = word_nth(text, 0), second = word_nth(text, 1);
    if (str_eq_nocase(first, STR("alter")) && str_eq_nocase(second, STR("table")))
        return word_nth(text, 2);
    if (str_eq_nocase(first, STR("create")) &&
        (str_eq_nocase(second, STR("index")) || str_eq_nocase(word_nth(text, 2), STR("index"))))
        for (int i = 2; i < 9; i++)
            if (str_eq_nocase(word_nth(text, i), STR("on")))
                return word_nth(text, i + 1);
    return (struct str) { 0 };
}

enum err_code period_statement(struct tx *tx, struct str text, bool *out_handled, struct err *err)
{
    struct str name, column, kind;
    *out_handled = false;
    if (declaration(text, &name, &column, &kind)) {
        *out_handled = true;
        return declare(tx, text, name, column, kind, err);
    }
    name = about(text);
    if (!name.len)
        return ERR_OK;
    struct period period;
    bool found;
    const enum err_code rc = period_get(tx, name, &period, &found, err);
    if (rc || !found)
        return rc;
    *out_handled = true;
    return extend(tx, period.name, text, err);
}

/* ---- months ---- */

static enum err_code make_view(struct tx *tx, struct str name, struct err *err)
{
    int64_t *months;
    int count;
    struct buf sql;
    buf_init(&sql, 1 << 20);
    enum err_code rc = parts_get(tx, name, &months, &count, err);
    buf_printf(&sql, "DROP VIEW IF EXISTS %.*s;", STR_ARG(name));
    for (int i = 0; i < count; i++) {
        char part[STORE_NAME_SIZE];
        part_name(name, months[i], part);
        if (i == 0)
            buf_printf(&sql, "CREATE VIEW %.*s AS", STR_ARG(name));
        buf_printf(&sql, "%s SELECT * FROM %s", i ? " UNION ALL" : "", part);
    }
    if (!rc)
        rc = exec_buf(tx, &sql, err);
    buf_done(&sql);
    return rc;
}

static enum err_code part_row(struct tx *tx, const char *sql, struct str name, int64_t month, bool *out_row,
                              struct err *err)
{
    struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, sql, &stmt, err);
    if (!rc) {
        stmt_bind_text(stmt, 1, name);
        stmt_bind_i64(stmt, 2, month);
        rc = stmt_step(stmt, &row, err);
    }
    stmt_free(stmt);
    if (out_row)
        *out_row = row;
    return rc;
}

static enum err_code make_part(struct tx *tx, const struct period *period, int64_t month, struct err *err)
{
    char part[STORE_NAME_SIZE];
    struct buf sql;
    part_name(period->name, month, part);
    buf_init(&sql, 1 << 20);
    enum err_code rc = part_row(tx, SQL_PERIOD_PART_ADD, period->name, month, NULL, err);
    if (!rc && tx_backend(tx) == STORE_POSTGRES) {
        int64_t from = month_start(month), to = month_start(month + 1);
        if (str_eq(period->kind, STR("id")))
            from = ids_floor(from), to = ids_floor(to);
        /* LIKE and ATTACH lock the parent less than PARTITION OF does. */
        buf_printf(&sql,
                   "CREATE TABLE %s (LIKE %.*s INCLUDING ALL);"
                   "ALTER TABLE %.*s ATTACH PARTITION %s FOR VALUES FROM (%lld) TO (%lld)",
                   part, STR_ARG(period->name), STR_ARG(period->name), part, (long long)from, (long long)to);
        rc = exec_buf(tx, &sql, err);
    } else if (!rc) {
        for (const char *at = period->script.ptr; *at;) {
            const char *end = store_statement_end(at);
            with_name(&sql, (struct str) { at, (size_t)(end - at) }, period->name, part);
            buf_text(&sql, ";\n");
            at = *end ? end + 1 : end;
            while (*at == '\n')
                at++;
        }
        rc = exec_buf(tx, &sql, err);
        if (!rc)
            rc = make_view(tx, period->name, err);
    }
    buf_done(&sql);
    return rc;
}

struct known { /* what tx_after_commit() remembers */
    struct store *store;
    uint64_t key;
};

static uint64_t known_key(struct str table, int64_t month)
{
    return (str_hash(table) * 31 + (uint64_t)month) << 1 | 1; /* 0 is no key */
}

static void on_known(void *arg)
{
    const struct known *known = arg;
    known->store->periods_known[known->key % STORE_PERIODS_KNOWN] = known->key;
}

enum err_code tx_period(struct tx *tx, const char *table, int64_t instant_ms, char out_name[STORE_NAME_SIZE],
                        struct err *err)
{
    const int64_t month = month_of(instant_ms);
    const struct str name = str_from(table);
    if (name.len > PERIOD_STEM_MAX)
        return err_set(err, ERR_NOT_FOUND, "store.no_period", ARG_TEXT("name", table), ARG_END);
    const uint64_t key = known_key(name, month);
    if (tx->store->periods_known[key % STORE_PERIODS_KNOWN] != key) {
        bool there = false;
        enum err_code rc = part_row(tx, SQL_PERIOD_PART_HAS, name, month, &there, err);
        if (!rc && !there) {
            struct period period;
            rc = period_get(tx, name, &period, &there, err);
            if (!rc && !there)
                rc = err_set(err, ERR_NOT_FOUND, "store.no_period", ARG_TEXT("name", table), ARG_END);
            if (!rc)
                rc = make_part(tx, &period, month, err);
        }
        struct known *known = rc ? NULL : arena_alloc(tx_arena(tx), 1, sizeof *known);
        if (!rc && !known)
            rc = err_nomem(err);
        if (!rc) {
            *known = (struct known) { tx->store, key };
            rc = tx_after_commit(tx, on_known, known, err);
        }
        if (rc)
            return rc;
    }
    part_name(name, month, out_name);
    return ERR_OK;
}

static enum err_code ensure_fn(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    struct stmt *stmt = NULL;
    struct arena *arena = tx_arena(tx);
    struct str names[64];
    int count = 0;
    bool row = true;
    const int64_t month = month_of(tx_now_ms(tx));
    enum err_code rc = arena ? tx_prepare(tx, SQL_PERIOD_NAMES, &stmt, err) : err_nomem(err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row) {
        if (count == 64) {
            rc = err_set(err, ERR_LIMIT, "store.periods", ARG_TEXT("name", ""), ARG_END);
            break;
        }
        names[count] = arena_str(arena, stmt_text(stmt, 0));
        if (!names[count++].ptr)
            rc = err_nomem(err);
    }
    stmt_free(stmt);
    for (int i = 0; i < 2 * count && !rc; i++) {
        char name[STORE_NAME_SIZE];
        rc = tx_period(tx, names[i / 2].ptr, month_start(month + i % 2), name, err);
    }
    return rc;
}

enum err_code store_periods_ensure(struct store *store, struct err *err)
{
    return store_write(store, ensure_fn, NULL, err);
}

struct drop {
    const char *table;
    int64_t before_ms;
    int dropped;
};

static enum err_code drop_fn(struct tx *tx, void *arg, struct err *err)
{
    struct drop *drop = arg;
    struct period period;
    bool found;
    int64_t *months;
    int count;
    struct buf sql;
    buf_init(&sql, 1 << 20);
    drop->dropped = 0;
    enum err_code rc = period_get(tx, str_from(drop->table), &period, &found, err);
    if (!rc && !found)
        rc = err_set(err, ERR_NOT_FOUND, "store.no_period", ARG_TEXT("name", drop->table), ARG_END);
    if (!rc)
        rc = parts_get(tx, period.name, &months, &count, err);
    if (rc) {
        buf_done(&sql);
        return rc;
    }
    const bool postgres = tx_backend(tx) == STORE_POSTGRES;
    if (!postgres)
        buf_printf(&sql, "DROP VIEW IF EXISTS %.*s;", STR_ARG(period.name));
    for (int i = 0; i < count && !rc; i++) {
        if (month_start(months[i] + 1) > drop->before_ms)
            continue;
        char part[STORE_NAME_SIZE];
        part_name(period.name, months[i], part);
        if (postgres)
            buf_printf(&sql, "ALTER TABLE %.*s DETACH PARTITION %s;", STR_ARG(period.name), part);
        buf_printf(&sql, "DROP TABLE %s;", part);
        rc = part_row(tx, SQL_PERIOD_PART_REMOVE, period.name, months[i], NULL, err);
        tx->store->periods_known[known_key(period.name, months[i]) % STORE_PERIODS_KNOWN] = 0;
        drop->dropped++;
    }
    if (!rc && drop->dropped)
        rc = exec_buf(tx, &sql, err);
    if (!rc && drop->dropped && drop->dropped == count) /* the name must still be readable */
        rc = make_part(tx, &period, month_of(tx_now_ms(tx)), err);
    else if (!rc && drop->dropped && !postgres)
        rc = make_view(tx, period.name, err);
    buf_done(&sql);
    return rc;
}

enum err_code store_period_drop(struct store *store, const char *table, int64_t before_ms, int *out_dropped,
                                struct err *err)
{
    struct drop drop = { .table = table, .before_ms = before_ms };
    const enum err_code rc = store_write(store, drop_fn, &drop, err);
    if (!rc)
        *out_dropped = drop.dropped;
    return rc;
}
