/* list_sql.c - lists by keyset pages, counts, search, and walks over all records.
 *
 * A page begins behind the cursor of the page before, which holds the sort field's value and the id of its
 * last row.  NULL sorts before every value, as SQLite has it; so a page that goes down may need a second
 * statement for the rows without a value ("tail").
 * With a search text and no sort of its own a list is newest first: on SQLite that is the order of the
 * index itself.
 *
 * What leads to the rows is decided here and not left to the planners, which know neither how many rows pass
 * a scope nor that a page is full early (docs/decisions/0006-lists.md):
 * - walk: along the index of the sort, testing scope and filter, until the page is full or WALK_ROWS are
 * read;
 * - led: an index answers the filter in the order of the page, and the planner finds it;
 * - planner: what a walk did not fill; few rows pass, so they are found and sorted;
 * - text: by the search index; PostgreSQL turns a frequent word into a walk by id.
 */
#include "crypto/digest.h"
#include "platform/entity/gram.h"
#include "platform/entity/internal.h"

#define LIST_BYTES_MAX ((size_t)32 << 20)
#define WALK_ROWS 20000 /* some 10 ms; see add_rows_near() */
/* From this share of the records on PostgreSQL looks for a word along the ids instead of in its index.  A
 * word that its statistics do not know counts as 0.005 at most. */
#define FREQUENT 0.01
#define SAMPLE_ROWS 1000
#define PLENTY 4 /* times what is counted at most */

struct cursor {
    bool given, null;
    int64_t id;
    struct value value;
};

/* The statements that one page may need. */
enum phase {
    PHASE_MAIN,
    PHASE_NULLS, /* going down, behind a row with a value: the rows without one are still to come */
    PHASE_VALUES /* going up, behind a row without a value: those with one */
};

struct listing {
    const struct entity_call *call;
    struct tx *tx;
    const struct entity_type *type;
    const struct entity_list *list;
    struct gram_query query;
    int sort;
    bool down;
    bool newest;   /* newest first, by the search index where there is a text */
    bool frequent; /* PostgreSQL: too many hits for the index */
    bool walk;     /* only among the next WALK_ROWS of the order */
    bool broad;    /* the scope is no way to the rows: test them */
    struct cursor cursor;
    int limit;
    int64_t orgs[SCOPE_ORGS_MAX]; /* a scope of few organisations */
    int orgs_count;
};

/* ---- cursors: base64url of "field|value|id", value absent for NULL ---- */

static enum err_code cursor_bad(struct err *err)
{
    (void)err_set(err, ERR_INVALID, "entity.cursor", ARG_END);
    return err_pointer(err, STR("/?after"));
}

static enum err_code cursor_read(struct listing *l, struct err *err)
{
    struct str text = l->list->after, part;
    unsigned char bytes[4000];
    if (!text.len)
        return ERR_OK;
    const ptrdiff_t len = base64_get(text, bytes, sizeof bytes - 1);
    if (len < 0)
        return cursor_bad(err);
    struct str rest = arena_str(l->call->arena, (struct str) { (const char *)bytes, (size_t)len });
    if (!rest.ptr)
        return err_nomem(err);
    const struct entity_field *field = &l->type->fields[l->sort];
    struct value *value = &l->cursor.value;
    if (!str_cut(&rest, '|', &part) || !str_eq(part, field->name) || !str_cut(&rest, '|', &part) ||
        !str_i64(part, &l->cursor.id) || !utf8_valid(rest) || !rest.len)
        return cursor_bad(err);
    l->cursor.null = rest.ptr[0] == 'n';
    value->text = str_slice(rest, 1, rest.len);
    if (!l->cursor.null && field->kind == VALUE_NUMBER)
        value->f64 = strtod(value->text.ptr, NULL);
    else if (!l->cursor.null && field->kind != VALUE_TEXT && field->kind != VALUE_DATE &&
             !str_i64(value->text, &value->i64))
        return cursor_bad(err);
    l->cursor.given = true;
    return ERR_OK;
}

static void cursor_write(const struct listing *l, const struct cursor *cursor, struct buf *out)
{
    const struct entity_field *field = &l->type->fields[l->sort];
    struct buf text;
    buf_init(&text, 3000);
    buf_printf(&text, "%.*s|%lld|%c", STR_ARG(field->name), (long long)cursor->id,
               cursor->value.null ? 'n' : 'v');
    if (!cursor->value.null && (field->kind == VALUE_TEXT || field->kind == VALUE_DATE))
        buf_str(&text, cursor->value.text);
    else if (!cursor->value.null && field->kind == VALUE_NUMBER)
        buf_printf(&text, "%.17g", cursor->value.f64);
    else if (!cursor->value.null)
        buf_i64(&text, cursor->value.i64);
    char *room = buf_room(out, base64_size(text.len) + 2);
    if (text.failed)
        out->failed = text.failed;
    if (room && !text.failed) {
        room[0] = '"';
        const size_t len = base64_put((const unsigned char *)text.ptr, text.len, room + 1);
        room[len + 1] = '"';
        out->len += len + 2;
        out->ptr[out->len] = 0;
    }
    buf_done(&text);
}

/* ---- what is asked ---- */

static enum err_code read_sort(struct listing *l, struct err *err)
{
    struct str sort = l->list->sort;
    l->sort = l->type->sort;
    l->down = l->type->sort_down;
    if (sort.len) {
        l->down = sort.ptr[0] == '-';
        if (l->down)
            sort = str_slice(sort, 1, sort.len);
        l->sort = type_field(l->type, sort);
        if (l->sort < 0 || !l->type->fields[l->sort].sortable) {
            (void)err_set(err, ERR_INVALID, "entity.not_sortable", ARG_STR("field", sort), ARG_END);
            return err_pointer(err, STR("/?sort"));
        }
    } else if (l->query.count) {
        l->sort = COLUMN_ID;
        l->down = true;
    }
    l->newest = l->sort == COLUMN_ID && l->down;
    return ERR_OK;
}

static enum err_code listing_begin(struct listing *l, struct err *err)
{
    enum err_code rc = call_may(l->call, l->type, "read", err);
    if (!rc && l->list->text.len) {
        if (!l->type->search_count) {
            (void)err_set(err, ERR_INVALID, "entity.not_searchable", ARG_STR("type", l->type->full), ARG_END);
            return err_pointer(err, STR("/?q"));
        }
        rc = gram_query(l->list->text, l->call->arena, &l->query, err);
        if (rc)
            return rc == ERR_NOMEM ? rc : err_pointer(err, STR("/?q"));
    }
    if (!rc && l->query.count && tx_backend(l->tx) == STORE_SQLITE)
        rc = scope_orgs(l->call, l->tx, l->type, "read", l->orgs, &l->orgs_count, err);
    if (!rc)
        rc = read_sort(l, err);
    if (!rc)
        rc = cursor_read(l, err);
    l->limit = l->list->limit ? l->list->limit : 50;
    if (!rc && (l->limit < 1 || l->limit > ENTITY_PAGE_MAX)) {
        (void)err_set(err, ERR_INVALID, "entity.most", ARG_INT("max", ENTITY_PAGE_MAX), ARG_END);
        return err_pointer(err, STR("/?limit"));
    }
    return rc;
}

/* ---- SQL ---- */

static void add_table(struct sql *sql, const struct entity_type *type, const char *suffix)
{
    sql_add(sql, "\"");
    sql_str(sql, type->table);
    sql_add(sql, suffix);
    sql_add(sql, "\"");
}

/* Binds what the index is asked for. */
static void add_grams(const struct listing *l, bool postgres, struct sql *sql)
{
    struct buf text;
    buf_init(&text, 64 << 10);
    if (postgres) {
        gram_tsquery(&l->query, &text);
    } else {
        buf_text(&text, "{grams} : (");
        gram_fts5(&l->query, &text);
        buf_char(&text, ')');
        for (int i = 0; i < l->orgs_count; i++)
            buf_printf(&text, "%so%lld", i ? " OR " : " AND {org} : (", (long long)l->orgs[i]);
        if (l->orgs_count)
            buf_char(&text, ')');
    }
    const struct str kept = arena_str(l->call->arena, buf_get(&text));
    if (text.failed || !kept.ptr)
        sql->text.failed = text.failed ? text.failed : ERR_NOMEM;
    sql_text(sql, kept);
    buf_done(&text);
}

/* Each word must stand in the normal form; PostgreSQL's grams only find candidates. */
static void add_verify(const struct listing *l, struct sql *sql)
{
    for (int i = 0; i < l->query.count; i++) {
        const struct gram_word *word = &l->query.words[i];
        sql_add(sql, word->at_run ? " AND position(' ' || " : " AND position(");
        sql_text(sql, word->normal);
        sql_add(sql, word->at_run ? "::text IN ' ' || x.normal) > 0" : "::text IN x.normal) > 0");
    }
}

static void add_keyset(const struct listing *l, struct sql *sql, enum phase phase);
static void add_order(const struct listing *l, struct sql *sql);

/* The organisation stands in the index that a walk goes along. */
static bool walks_with_org(const struct listing *l)
{
    return l->walk && tx_backend(l->tx) == STORE_SQLITE && scope_is_orgs(l->call, l->type, "read");
}

/* On SQLite the walk reads the index alone, which holds the organisation too; rows come out in its order. */
static void add_walk(const struct listing *l, struct sql *sql)
{
    const bool sqlite = tx_backend(l->tx) == STORE_SQLITE;
    sql_add(sql, sqlite ? "(SELECT t.\"id\"" : "(SELECT *");
    if (walks_with_org(l)) {
        sql_add(sql, ", t.");
        sql_str(sql, l->type->fields[l->type->scope_org].column);
    }
    sql_add(sql, " FROM ");
    add_table(sql, l->type, "");
    sql_add(sql, " t WHERE 1 = 1");
    add_keyset(l, sql, PHASE_MAIN);
    add_order(l, sql);
    sql_add(sql, " LIMIT ");
    sql_i64(sql, WALK_ROWS);
    sql_add(sql, sqlite ? ") w CROSS JOIN " : ") t");
    if (sqlite) {
        add_table(sql, l->type, "");
        sql_add(sql, " t ON t.\"id\" = w.\"id\"");
    }
    sql_add(sql, " WHERE 1 = 1");
}

/* Frequent: along the ids, each row tested; "IS TRUE" hides the operator from the planner.  Else the hits of
 * the index in the order of their ids, of which only as many are read and verified as the page takes. */
static void add_text_postgres(const struct listing *l, struct sql *sql)
{
    if (!l->frequent) {
        sql_add(sql, "(SELECT h.id FROM ");
        add_table(sql, l->type, "_text");
        sql_add(sql, " h WHERE h.grams @@ CAST(");
        add_grams(l, true, sql);
        sql_add(sql, " AS tsquery) ORDER BY h.id");
        sql_add(sql, l->sort == COLUMN_ID && !l->down ? "" : " DESC");
        sql_add(sql, " OFFSET 0) h JOIN ");
    }
    add_table(sql, l->type, "_text");
    sql_add(sql, l->frequent ? " x JOIN " : " x ON x.id = h.id JOIN ");
    add_table(sql, l->type, "");
    sql_add(sql, " t ON t.\"id\" = x.id WHERE ");
    sql_add(sql, l->frequent ? "(x.grams @@ CAST(" : "1 = 1");
    if (l->frequent) {
        add_grams(l, true, sql);
        sql_add(sql, " AS tsquery)) IS TRUE");
    }
    add_verify(l, sql);
}

/* "FROM ..." up to and with "WHERE <text matches>". */
static void add_from(const struct listing *l, struct sql *sql)
{
    const bool postgres = tx_backend(l->tx) == STORE_POSTGRES;
    const struct entity_type *type = l->type;
    sql_add(sql, " FROM ");
    if (l->walk) {
        add_walk(l, sql);
    } else if (!l->query.count) {
        add_table(sql, type, "");
        sql_add(sql, " t WHERE 1 = 1");
    } else if (!postgres) {
        add_table(sql, type, "_fts");
        sql_add(sql, " f CROSS JOIN ");
        add_table(sql, type, "_doc");
        sql_add(sql, " d ON d.doc = f.rowid CROSS JOIN ");
        add_table(sql, type, "");
        sql_add(sql, " t ON t.\"id\" = d.id WHERE ");
        add_table(sql, type, "_fts");
        sql_add(sql, " MATCH ");
        add_grams(l, false, sql);
    } else {
        add_text_postgres(l, sql);
    }
}

static enum err_code add_conditions(const struct listing *l, struct sql *sql, struct err *err)
{
    const bool check = l->walk || l->broad || l->query.count;
    enum err_code rc =
        check ? scope_check_sql(l->call, l->type, "read", walks_with_org(l) ? "w." : "t.", sql, err)
              : scope_sql(l->call, l->type, "read", sql, err);
    if (!rc)
        facts_sql(l->call, l->type, sql);
    if (!rc && l->list->filter.len)
        rc = filter_add(l->call, l->tx, l->type, l->list->filter, sql, err);
    if (!rc && l->list->also)
        rc = scope_sql(l->call, l->type, l->list->also, sql, err);
    if (!rc && l->list->where) { /* of a *_sql.c file: its ?1, ?2 ... are numbered anew */
        sql_add(sql, " AND (");
        const int base = sql->args_count;
        for (const char *at = l->list->where; *at; at++) {
            if (*at == '?' && at[1] >= '1' && at[1] <= '9')
                buf_printf(&sql->text, "?%d", base + (*++at - '0'));
            else
                buf_char(&sql->text, *at);
        }
        for (int i = 0; i < l->list->where_args_count && sql->args_count < SQL_ARGS_MAX; i++)
            sql->args[sql->args_count++] =
                (struct sql_arg) { .kind = SQL_I64, .i64 = l->list->where_args[i] };
        sql_add(sql, ")");
    }
    return rc;
}

/* The rows behind the cursor. */
static void add_keyset(const struct listing *l, struct sql *sql, enum phase phase)
{
    const struct entity_field *field = &l->type->fields[l->sort];
    const struct cursor *cursor = &l->cursor;
    const bool by_id = l->sort == COLUMN_ID;
    if (!cursor->given)
        return;
    if (by_id && l->newest && l->query.count && tx_backend(l->tx) == STORE_SQLITE) {
        sql_add(sql, " AND f.rowid <= (SELECT COALESCE(MAX(doc), 0) FROM (SELECT doc FROM ");
        add_table(sql, l->type, "_doc");
        sql_add(sql, " WHERE id < ");
        sql_i64(sql, cursor->id);
        sql_add(sql, " ORDER BY id DESC LIMIT 1))");
        return;
    }
    if (by_id) {
        sql_add(sql, l->down ? " AND t.\"id\" < " : " AND t.\"id\" > ");
        sql_i64(sql, cursor->id);
        return;
    }
    if (cursor->null || phase != PHASE_MAIN) {
        sql_add(sql, " AND t.");
        sql_str(sql, field->column);
        sql_add(sql, phase == PHASE_VALUES ? " IS NOT NULL" : " IS NULL");
        if (phase == PHASE_MAIN) {
            sql_add(sql, l->down ? " AND t.\"id\" < " : " AND t.\"id\" > ");
            sql_i64(sql, cursor->id);
        }
        return;
    }
    sql_add(sql, " AND (t.");
    sql_str(sql, field->column);
    sql_add(sql, l->down ? ", t.\"id\") < (" : ", t.\"id\") > (");
    sql_value(sql, field, &cursor->value);
    sql_add(sql, ", ");
    sql_i64(sql, cursor->id);
    sql_add(sql, ")");
}

static void add_order(const struct listing *l, struct sql *sql)
{
    const char *down = l->down ? " DESC" : "";
    sql_add(sql, " ORDER BY ");
    if (l->sort == COLUMN_ID && l->query.count && tx_backend(l->tx) == STORE_SQLITE && l->newest) {
        sql_add(sql, "f.rowid DESC");
        return;
    }
    if (l->sort != COLUMN_ID) {
        sql_add(sql, "t.");
        sql_str(sql, l->type->fields[l->sort].column);
        sql_add(sql, down);
        sql_add(sql, l->down ? " NULLS LAST, " : " NULLS FIRST, ");
    }
    if (l->query.count && tx_backend(l->tx) == STORE_POSTGRES && l->sort == COLUMN_ID)
        sql_add(sql, l->frequent ? "x.id" : "h.id");
    else
        sql_add(sql, "t.\"id\"");
    sql_add(sql, down);
}

static int add_labels(const struct listing *l, struct sql *sql)
{
    int count = 0;
    for (int i = 0; l->call->labels && i < l->type->fields_count; i++) {
        if (!label_there(&l->type->fields[i]))
            continue;
        sql_add(sql, ", ");
        label_sql(l->call, &l->type->fields[i], sql);
        count++;
    }
    plain_sql(l->call, l->type, sql); /* the last column, where rows differ in that */
    return count;
}

/* ---- rows as JSON ---- */

static void add_label(struct buf *out, bool *any, struct str name, struct str title)
{
    if (!title.len)
        return;
    buf_text(out, *any ? "," : ",\"_labels\":{");
    *any = true;
    buf_json(out, name);
    buf_char(out, ':');
    buf_json(out, title);
}

static void add_code_label(const struct listing *l, const struct entity_field *field,
                           const struct value *value, struct buf *out, bool *any)
{
    for (int i = 0; i < field->shape.codes_count; i++) {
        const struct field_code *code = &field->shape.codes[i];
        if (field->kind == VALUE_INTEGER ? code->number == value->i64 : str_eq(code->code, value->text)) {
            add_label(out, any, field->name, code->title[l->call->lang]);
            return;
        }
    }
}

static void add_row_labels(const struct listing *l, struct stmt *stmt, const struct value *values,
                           struct buf *out)
{
    bool any = false;
    int column = l->type->fields_count;
    for (int i = 0; i < l->type->fields_count; i++) {
        const struct entity_field *field = &l->type->fields[i];
        if (label_there(field)) {
            add_label(out, &any, field->name, stmt_text(stmt, column));
            column++;
        } else if (field->shape.codes && !values[i].null) {
            add_code_label(l, field, &values[i], out, &any);
        }
    }
    if (any)
        buf_char(out, '}');
}

static int plain_column(const struct listing *l)
{
    int column = l->type->fields_count;
    for (int i = 0; l->call->labels && i < l->type->fields_count; i++)
        column += label_there(&l->type->fields[i]);
    return column;
}

static enum err_code add_row(const struct listing *l, struct stmt *stmt, struct cursor *cursor,
                             struct buf *out, struct err *err)
{
    struct value values[TYPE_FIELDS_MAX];
    const bool plain = row_plain(l->call, l->type, stmt, plain_column(l));
    row_values(l->type, stmt, 0, values);
    cursor->id = values[COLUMN_ID].i64;
    cursor->value = values[l->sort];
    if (cursor->value.text.ptr)
        cursor->value.text = arena_str(l->call->arena, cursor->value.text);
    enum err_code rc = record_json_open(l->call, l->type, values, plain, out, err);
    if (!rc && l->call->labels)
        add_row_labels(l, stmt, values, out);
    buf_char(out, '}');
    return rc;
}

/* Adds up to `room` rows; *more tells that there was another. */
static enum err_code add_rows(const struct listing *l, enum phase phase, int room, int *count, bool *more,
                              struct cursor *cursor, struct buf *out, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "SELECT ");
    sql_add(sql, l->call->entity->statements[l->type->number_in_types].columns);
    (void)add_labels(l, sql);
    add_from(l, sql);
    enum err_code rc = add_conditions(l, sql, err);
    if (rc)
        return rc;
    if (!l->walk)
        add_keyset(l, sql, phase);
    if (!l->walk ||
        tx_backend(l->tx) == STORE_POSTGRES) /* which knows that the rows have this order already */
        add_order(l, sql);
    sql_add(sql, " LIMIT ");
    sql_i64(sql, room + 1);
    rc = sql_prepare(sql, l->tx, &stmt, err);
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row;) {
        if (room-- == 0) {
            *more = true;
            break;
        }
        if ((*count)++)
            buf_char(out, ',');
        rc = add_row(l, stmt, cursor, out, err);
    }
    return rc;
}

static bool limited(const struct listing *l)
{
    return l->list->filter.len || l->list->where || facts_limited(l->call, l->type) ||
           !scope_is_all(l->call, l->type, "read");
}

static bool filter_names(const struct listing *l, int field)
{
    return str_find(l->list->filter, l->type->fields[field].name) >= 0;
}

/* The filter speaks of the field that orders the page, of one that is its own key or sealed, or of all that
 * stand before the order in an index: an index leads there. */
static bool led_by_index(const struct listing *l)
{
    const struct entity_type *type = l->type;
    for (int i = 0; i < type->fields_count && l->list->filter.len; i++) {
        const bool key = type->key.count == 1 && type->key.fields[0] == i;
        if ((i == l->sort || key || type->fields[i].unique || type->fields[i].mask) && filter_names(l, i))
            return true;
    }
    for (int i = 0; i < type->indexes_count && l->list->filter.len; i++) {
        const struct field_group *group = &type->indexes[i];
        int named = 0;
        while (named < group->count && group->fields[named] != l->sort &&
               filter_names(l, group->fields[named]))
            named++;
        if (named && named < group->count && group->fields[named] == l->sort)
            return true;
    }
    return false;
}

/* A scope of few organisations is a way to the rows, one of many is not. */
static enum err_code find_broad(struct listing *l, struct err *err)
{
    if (!scope_is_orgs(l->call, l->type, "read"))
        return ERR_OK;
    const enum err_code rc = scope_orgs(l->call, l->tx, l->type, "read", l->orgs, &l->orgs_count, err);
    l->broad = !rc && !l->orgs_count;
    return rc;
}

/* A page whose conditions many rows pass is found among the next rows of the order; neither database's
 * planner sees that for itself, and would rather read all that passes and sort it.  So a bounded walk along
 * the order comes first; only a page that few rows would fill is left to the planner. */
static enum err_code add_rows_near(struct listing *l, int *count, bool *more, struct cursor *cursor,
                                   struct buf *out, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (l->query.count || !limited(l))
        return add_rows(l, PHASE_MAIN, l->limit, count, more, cursor, out, err);
    if (!led_by_index(l)) {
        struct cursor last = *cursor;
        const size_t mark = out->len;
        l->walk = true;
        rc = add_rows(l, PHASE_MAIN, l->limit, count, more, &last, out, err);
        l->walk = false;
        if (rc || *more) {
            *cursor = last;
            return rc;
        }
        *count = 0;
        out->len = mark;
    }
    rc = find_broad(l, err);
    return rc ? rc : add_rows(l, PHASE_MAIN, l->limit, count, more, cursor, out, err);
}

/* The first "Plan Rows" of an EXPLAIN (FORMAT JSON). */
static double plan_rows(struct str plan)
{
    const struct str name = STR("\"Plan Rows\":");
    const ptrdiff_t at = str_find(plan, name);
    char number[32];
    if (at < 0)
        return 0;
    const struct str rest = str_slice(plan, (size_t)at + name.len, plan.len);
    (void)snprintf(number, sizeof number, "%.*s", rest.len < 30 ? (int)rest.len : 30, rest.ptr);
    return strtod(number, NULL);
}

/* How many rows the statistics of PostgreSQL know; 0: not known. */
static enum err_code rows_known(const struct listing *l, const char *part, double *out, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "SELECT CAST(reltuples AS DOUBLE PRECISION) FROM pg_class WHERE oid = CAST('");
    add_table(sql, l->type, part);
    sql_add(sql, "' AS regclass)");
    enum err_code rc = sql_prepare(sql, l->tx, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc)
        *out = row && stmt_f64(stmt, 0) > 0 ? stmt_f64(stmt, 0) : 0;
    return rc;
}

/* PostgreSQL: are there so many hits that reading by id is cheaper than the index?  Its statistics hold how
 * often the most frequent grams occur; asking costs a plan, counting would cost reading the index. */
static enum err_code find_frequent(struct listing *l, struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    double total = 0;
    if (!l->query.count || tx_backend(l->tx) != STORE_POSTGRES)
        return ERR_OK;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "EXPLAIN (FORMAT JSON) SELECT 1 FROM ");
    add_table(sql, l->type, "_text");
    sql_add(sql, " h WHERE h.grams @@ CAST(");
    add_grams(l, true, sql);
    sql_add(sql, " AS tsquery)");
    enum err_code rc = sql_prepare(sql, l->tx, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (rc || !row)
        return rc;
    const double hits = plan_rows(stmt_text(stmt, 0));
    rc = rows_known(l, "_text", &total, err);
    if (!rc)
        l->frequent = total > 0 && hits >= FREQUENT * total;
    return rc;
}

enum err_code entity_list_json(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                               const struct entity_list *list, struct buf *out, struct err *err)
{
    struct listing l = { .call = call, .tx = tx, .type = type, .list = list };
    struct cursor last = { 0 };
    int count = 0;
    bool more = false;
    enum err_code rc = listing_begin(&l, err);
    if (!rc)
        rc = find_frequent(&l, err);
    if (rc)
        return rc;
    buf_text(out, "{\"items\":[");
    /* text that holds nothing to be found finds nothing */
    const bool nothing = list->text.len && !l.query.count;
    if (!nothing)
        rc = add_rows_near(&l, &count, &more, &last, out, err);
    if (!rc && !nothing && !more && l.cursor.given && l.sort != COLUMN_ID && l.down != l.cursor.null)
        rc = add_rows(&l, l.down ? PHASE_NULLS : PHASE_VALUES, l.limit - count, &count, &more, &last, out,
                      err);
    buf_text(out, "],\"next\":");
    if (more)
        cursor_write(&l, &last, out);
    else
        buf_text(out, "null");
    buf_char(out, '}');
    return rc ? rc : buf_check(out, err);
}

/* Of the newest rows, how many there are and how many are counted. */
static enum err_code count_sample(const struct listing *l, int64_t *out_rows, int64_t *out_hits,
                                  struct err *err)
{
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "SELECT (SELECT count(*) FROM (SELECT 1 FROM ");
    add_table(sql, l->type, "");
    sql_add(sql, " LIMIT ");
    sql_i64(sql, SAMPLE_ROWS);
    sql_add(sql, ") s), count(*) FROM (SELECT * FROM ");
    add_table(sql, l->type, "");
    sql_add(sql, " ORDER BY \"id\" DESC LIMIT ");
    sql_i64(sql, SAMPLE_ROWS);
    sql_add(sql, ") t");
    if (l->query.count) {
        sql_add(sql, " JOIN ");
        add_table(sql, l->type, "_text");
        sql_add(sql, " x ON x.id = t.\"id\"");
    }
    sql_add(sql, " WHERE 1 = 1");
    if (l->query.count)
        add_verify(l, sql);
    enum err_code rc = add_conditions(l, sql, err);
    if (!rc)
        rc = sql_prepare(sql, l->tx, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc && row) {
        *out_rows = stmt_i64(stmt, 0);
        *out_hits = stmt_i64(stmt, 1);
    }
    return rc;
}

/* PostgreSQL: testing ten thousand rows costs it some 70 ms, so what a sample of the newest rows tells to be
 * far more than is counted anyway is not counted. */
static enum err_code is_plenty(struct listing *l, bool *out, struct err *err)
{
    double total = 0;
    int64_t rows = 0, hits = 0;
    enum err_code rc = find_frequent(l, err);
    *out = false;
    if (rc || tx_backend(l->tx) != STORE_POSTGRES || l->list->where || (l->query.count && !l->frequent))
        return rc;
    rc = rows_known(l, "", &total, err);
    if (rc || total < (double)PLENTY * ENTITY_COUNT_MAX)
        return rc;
    l->broad = true; /* the scope is a test of each row, not a way to them */
    rc = count_sample(l, &rows, &hits, err);
    l->broad = false;
    *out = !rc && rows && (double)hits / (double)rows * total >= (double)PLENTY * ENTITY_COUNT_MAX;
    return rc;
}

enum err_code entity_count(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                           const struct entity_list *list, int64_t *out_count, bool *out_exact,
                           struct err *err)
{
    struct listing l = { .call = call, .tx = tx, .type = type, .list = list };
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (!sql)
        return err_nomem(err);
    enum err_code rc = listing_begin(&l, err);
    if (rc)
        return rc;
    if (list->text.len && !l.query.count) {
        *out_count = 0;
        *out_exact = true;
        return ERR_OK;
    }
    bool plenty = false;
    rc = is_plenty(&l, &plenty, err);
    if (!rc && plenty) {
        *out_count = ENTITY_COUNT_MAX;
        *out_exact = false;
        return ERR_OK;
    }
    if (!rc && !l.query.count)
        rc = find_broad(&l, err);
    if (rc)
        return rc;
    sql_add(sql, "SELECT count(*) FROM (SELECT 1");
    add_from(&l, sql);
    rc = add_conditions(&l, sql, err);
    if (rc)
        return rc;
    sql_add(sql, " LIMIT ");
    sql_i64(sql, ENTITY_COUNT_MAX + 1);
    sql_add(sql, ") c");
    rc = sql_prepare(sql, tx, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (rc)
        return rc;
    const int64_t count = row ? stmt_i64(stmt, 0) : 0;
    *out_exact = count <= ENTITY_COUNT_MAX;
    *out_count = *out_exact ? count : ENTITY_COUNT_MAX;
    return ERR_OK;
}

enum err_code entity_each(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                          struct str filter, entity_each_fn each, void *arg, struct err *err)
{
    const struct entity_list list = { .filter = filter, .limit = 1 };
    struct listing l = { .call = call, .tx = tx, .type = type, .list = &list };
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct buf text;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "SELECT ");
    sql_add(sql, call->entity->statements[type->number_in_types].columns);
    (void)add_labels(&l, sql);
    add_from(&l, sql);
    enum err_code rc = call_may(call, type, "read", err);
    if (!rc)
        rc = add_conditions(&l, sql, err);
    if (rc)
        return rc;
    sql_add(sql, " ORDER BY t.\"id\"");
    rc = sql_prepare(sql, tx, &stmt, err);
    if (rc)
        return rc;
    stmt_stream(stmt);
    buf_init(&text, LIST_BYTES_MAX);
    l.sort = COLUMN_ID;
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row;) {
        struct cursor cursor;
        const struct arena_mark mark = arena_mark(call->arena);
        buf_clear(&text);
        rc = add_row(&l, stmt, &cursor, &text, err);
        json_t *record = rc ? NULL : json_loadb(text.ptr, text.len, 0, NULL);
        if (!rc && !record)
            rc = err_set(err, ERR_CORRUPT, "entity.row", ARG_STR("type", type->full),
                         ARG_INT("id", cursor.id), ARG_END);
        if (!rc)
            rc = each(arg, cursor.id, record, err);
        json_decref(record);
        arena_release(call->arena, mark);
    }
    buf_done(&text);
    return rc;
}

enum err_code entity_get_json(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                              int64_t id, int64_t *out_version, struct buf *out, struct err *err)
{
    const struct entity_list list = { .limit = 1 };
    struct listing l = { .call = call, .tx = tx, .type = type, .list = &list, .sort = COLUMN_ID };
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct cursor cursor = { 0 };
    bool row = false;
    if (!sql)
        return err_nomem(err);
    sql_add(sql, "SELECT ");
    sql_add(sql, call->entity->statements[type->number_in_types].columns);
    (void)add_labels(&l, sql);
    add_from(&l, sql);
    sql_add(sql, " AND t.\"id\" = ");
    sql_i64(sql, id);
    facts_sql(call, type, sql);
    enum err_code rc = scope_sql(call, type, "read", sql, err);
    if (!rc)
        rc = sql_prepare(sql, tx, &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (!rc && !row)
        rc = err_set(err, ERR_NOT_FOUND, "entity.not_found", ARG_END);
    if (!rc && out_version)
        *out_version = stmt_i64(stmt, COLUMN_VERSION);
    if (!rc)
        rc = add_row(&l, stmt, &cursor, out, err);
    return rc;
}

enum err_code entity_find_key(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                              struct str key, int64_t *out_id, struct err *err)
{
    const struct shape shape = { .ref_type = type };
    bool found = false;
    int64_t id = 0;
    enum err_code rc = call_may(call, type, "read", err);
    if (!rc)
        rc = reference_find(tx, &shape, key, &id, &found, err);
    if (!rc && found && !scope_is_all(call, type, "read"))
        rc = row_reached(call, tx, type, id, "read", &found, err);
    if (!rc && !found)
        rc = err_set(err, ERR_NOT_FOUND, "entity.not_found", ARG_END);
    if (!rc)
        *out_id = id;
    return rc;
}

enum err_code list_rest_sql(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                            const struct entity_list *list, struct sql *sql, struct err *err)
{
    struct listing l = { .call = call, .tx = tx, .type = type, .list = list };
    enum err_code rc = listing_begin(&l, err);
    if (rc)
        return rc;
    add_from(&l, sql);
    if (list->text.len && !l.query.count)
        sql_add(sql, " AND 1 = 0");
    rc = add_conditions(&l, sql, err);
    if (!rc)
        add_order(&l, sql);
    return rc;
}
