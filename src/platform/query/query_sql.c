/* query_sql.c - see query.h
 *
 *   file -> head (comments) + tokens -> pieces: text, @relation, :parameter
 *   at load: pieces with mirror tables -> SQLite prepares them under an authorizer
 *   at run:  pieces with scoped sub-selects and bound parameters -> the store */
#include "platform/query/query.h"

#include "platform/entity/sql.h"
#include "platform/identity/principal.h"

#include <assert.h>
#include <math.h>
#include <sqlite3.h>

#define QUERY_BYTES_MAX ((size_t)64 << 20)
#define PIECES_MAX 400
#define READY_PARAMS 5 /* now, today, me, as_of, known_until */
#define MIRROR "m$"    /* no name of a pack holds a dollar */

enum piece_kind { PIECE_TEXT, PIECE_TYPE, PIECE_SUBJECTS, PIECE_CASES, PIECE_ENGINE, PIECE_PARAM };

struct piece {
    enum piece_kind kind;
    struct str text;
    const struct entity_type *type;
    const struct query_relation *relation;
    int param;
};

struct param {
    struct str name;
    enum query_kind kind;
    bool required;
};

struct column {
    struct str name;
    enum query_kind kind;
    struct str title[LANG__COUNT];
};

struct query {
    struct str full, permission;
    const struct pack *pack;
    const struct pack_file *file;
    struct str title[LANG__COUNT];
    struct param params[QUERY_PARAMS_MAX + READY_PARAMS];
    int params_count;
    struct column columns[QUERY_COLUMNS_MAX]; /* described in the head */
    int columns_count;
    struct str names[QUERY_COLUMNS_MAX]; /* of the result */
    int names_count;
    struct piece *pieces;
    int pieces_count;
    int limit;
    bool all_facts; /* corrected ones too, whenever known */
};

struct queries {
    struct arena *arena;
    struct entity *entity;
    const struct query_relation *relations;
    struct query **items;
    int count;
};

static const char *const KINDS[QUERY_KIND__COUNT] = { "text", "integer", "number",   "boolean",
                                                      "date", "instant", "reference" };
/* Both databases take these: SQLite by their affinity. */
static const char *const SQL_TYPES[QUERY_KIND__COUNT] = { "TEXT",   "BIGINT", "DOUBLE PRECISION",
                                                          "BIGINT", "TEXT",   "BIGINT",
                                                          "BIGINT" };

/* Relations of the engine that everybody may read. */
static const struct query_relation OPEN_RELATIONS[] = {
    { .name = "core.org",
      .select = "SELECT id, parent_id, path, code, name FROM org",
      .columns = "id parent_id path code name" },
    { .name = "core.user",
      .select = "SELECT id, org_id, login, name FROM app_user",
      .columns = "id org_id login name" },
    { 0 },
};

/* What means the same in both databases. */
static const char *const FUNCTIONS[] = { "count",      "sum",        "avg",   "min",    "max",
                                         "coalesce",   "nullif",     "abs",   "length", "substr",
                                         "replace",    "trim",       "ltrim", "rtrim",  "row_number",
                                         "rank",       "dense_rank", "lag",   "lead",   "first_value",
                                         "last_value", "ntile",      "lower", "upper",  "round",
                                         "floor",      "ceil",       "like" };

/* ---- the head ---- */

struct loading {
    struct queries *queries;
    struct query *query;
    struct findings *findings;
    int faults;
};

static void fault(struct loading *l, size_t at, const char *id, struct str what)
{
    l->faults++;
    pack_finding(l->findings, l->query->pack, l->query->file, (ptrdiff_t)at, ERR_INVALID, id, what);
}

static int kind_named(struct str name)
{
    for (int i = 0; i < QUERY_KIND__COUNT; i++)
        if (str_eq(name, str_from(KINDS[i])))
            return i;
    return -1;
}

static struct str next_word(struct str *rest)
{
    struct str word = { 0 };
    *rest = str_trim(*rest);
    if (rest->len)
        (void)str_cut(rest, ' ', &word);
    return word;
}

static bool add_param(struct query *query, struct str name, enum query_kind kind, bool required)
{
    for (int i = 0; i < query->params_count; i++)
        if (str_eq(query->params[i].name, name))
            return false;
    query->params[query->params_count++] = (struct param) { name, kind, required };
    return true;
}

static void head_param(struct loading *l, size_t at, struct str rest)
{
    const struct str name = next_word(&rest), kind = next_word(&rest), need = next_word(&rest);
    const int read = kind_named(kind);
    if (!pack_name_ok(name) || read < 0 || (need.len && !str_eq(need, STR("required"))))
        fault(l, at, "query.param", STR("-- param NAME KIND [required]"));
    else if (l->query->params_count == QUERY_PARAMS_MAX + READY_PARAMS ||
             !add_param(l->query, name, (enum query_kind)read, need.len > 0))
        fault(l, at, "query.param", name);
}

static void head_column(struct loading *l, size_t at, struct str rest)
{
    const struct str name = next_word(&rest), kind = next_word(&rest);
    const int read = kind_named(kind);
    const ptrdiff_t bar = str_find(rest, STR("|"));
    if (!pack_name_ok(name) || read < 0 || bar < 0 || l->query->columns_count == QUERY_COLUMNS_MAX) {
        fault(l, at, "query.param", STR("-- column NAME KIND TITLE | TITLE"));
        return;
    }
    struct column *column = &l->query->columns[l->query->columns_count++];
    *column = (struct column) { .name = name, .kind = (enum query_kind)read };
    column->title[LANG_ZH] = str_trim(str_slice(rest, 0, (size_t)bar));
    column->title[LANG_EN] = str_trim(str_slice(rest, (size_t)bar + 1, rest.len));
}

static void head_line(struct loading *l, size_t at, struct str line)
{
    struct str rest = str_trim(str_slice(line, 2, line.len));
    const struct str word = next_word(&rest);
    int64_t number = 0;
    if (str_eq(word, STR("title"))) {
        if (str_starts(rest, STR("zh-CN:")))
            l->query->title[LANG_ZH] = str_trim(str_slice(rest, 6, rest.len));
        else if (str_starts(rest, STR("en:")))
            l->query->title[LANG_EN] = str_trim(str_slice(rest, 3, rest.len));
        else
            fault(l, at, "query.param", STR("-- title zh-CN: / en:"));
    } else if (str_eq(word, STR("param"))) {
        head_param(l, at, rest);
    } else if (str_eq(word, STR("column"))) {
        head_column(l, at, rest);
    } else if (str_eq(word, STR("permission"))) {
        l->query->permission = str_trim(rest);
    } else if (str_eq(word, STR("limit"))) {
        if (!str_i64(str_trim(rest), &number) || number < 1 || number > QUERY_ROWS_MAX)
            fault(l, at, "query.param", STR("-- limit 1..10000"));
        else
            l->query->limit = (int)number;
    } else if (str_eq(word, STR("facts"))) {
        l->query->all_facts = str_eq(str_trim(rest), STR("all"));
        if (!l->query->all_facts)
            fault(l, at, "query.param", STR("-- facts all"));
    }
}

/* Returns where the SELECT begins. */
static size_t read_head(struct loading *l, struct str text)
{
    size_t at = 0;
    while (at < text.len) {
        size_t end = at;
        while (end < text.len && text.ptr[end] != '\n')
            end++;
        const struct str line = str_trim(str_slice(text, at, end));
        if (line.len && !str_starts(line, STR("--")))
            break;
        if (line.len)
            head_line(l, at, line);
        at = end < text.len ? end + 1 : end;
    }
    if (!l->query->title[LANG_ZH].len || !l->query->title[LANG_EN].len)
        fault(l, 0, "query.param", STR("-- title zh-CN: / en:"));
    (void)add_param(l->query, STR("now"), QUERY_INSTANT, false);
    (void)add_param(l->query, STR("today"), QUERY_DATE, false);
    (void)add_param(l->query, STR("me"), QUERY_REFERENCE, false);
    (void)add_param(l->query, STR("as_of"), QUERY_INSTANT, false);
    (void)add_param(l->query, STR("known_until"), QUERY_INSTANT, false);
    return at;
}

/* ---- tokens ---- */

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t name_end(struct str text, size_t at, bool dotted)
{
    while (at < text.len && (is_name(text.ptr[at]) || (dotted && text.ptr[at] == '.' && at + 1 < text.len &&
                                                       is_name(text.ptr[at + 1]))))
        at++;
    return at;
}

static void add_piece(struct loading *l, struct piece piece)
{
    if (l->query->pieces_count == PIECES_MAX) {
        fault(l, 0, "query.long", (struct str) { 0 });
        return;
    }
    if (piece.kind != PIECE_TEXT || piece.text.len)
        l->query->pieces[l->query->pieces_count++] = piece;
}

static void relation_piece(struct loading *l, size_t at, struct str name)
{
    struct piece piece = { .kind = PIECE_TYPE };
    char full[2 * PACK_NAME_MAX + 4];
    const bool dotted = str_find(name, STR(".")) >= 0;
    (void)snprintf(full, sizeof full, "%.*s%s%.*s", STR_ARG(dotted ? STR("") : l->query->pack->name),
                   dotted ? "" : ".", STR_ARG(name));
    if (str_eq(name, STR("case")))
        piece.kind = PIECE_CASES;
    else if (str_eq(name, STR("subject")))
        piece.kind = PIECE_SUBJECTS;
    else if (!(piece.type = entity_type_find(l->queries->entity, full))) {
        piece.kind = PIECE_ENGINE;
        for (const struct query_relation *r = OPEN_RELATIONS; r->name; r++)
            if (str_eq(str_from(r->name), name))
                piece.relation = r;
        for (const struct query_relation *r = l->queries->relations; r && r->name; r++)
            if (str_eq(str_from(r->name), name))
                piece.relation = r;
        if (!piece.relation) {
            fault(l, at, "type.no_type", name);
            return;
        }
    }
    add_piece(l, piece);
}

static void param_piece(struct loading *l, size_t at, struct str name)
{
    for (int i = 0; i < l->query->params_count; i++)
        if (str_eq(l->query->params[i].name, name)) {
            add_piece(l, (struct piece) { .kind = PIECE_PARAM, .param = i });
            return;
        }
    fault(l, at, "query.no_param", name);
}

/* Behind a literal, a quoted name or a comment; `at` is its first byte. */
static size_t skip_token(struct str text, size_t at)
{
    const char c = text.ptr[at];
    if (c == '\'' || c == '"') {
        for (at++; at < text.len; at++)
            if (text.ptr[at] == c && (at + 1 >= text.len || text.ptr[at + 1] != c))
                return at + 1;
            else if (text.ptr[at] == c)
                at++;
        return text.len;
    }
    if (str_starts(str_slice(text, at, text.len), STR("--"))) {
        while (at < text.len && text.ptr[at] != '\n')
            at++;
        return at;
    }
    if (str_starts(str_slice(text, at, text.len), STR("/*"))) {
        const ptrdiff_t end = str_find(str_slice(text, at, text.len), STR("*/"));
        return end < 0 ? text.len : at + (size_t)end + 2;
    }
    return is_name(c) ? name_end(text, at, false) : at + 1;
}

static void read_tokens(struct loading *l, struct str text, size_t at)
{
    size_t from = at;
    while (at < text.len) {
        const char c = text.ptr[at];
        const bool named = at + 1 < text.len && is_name(text.ptr[at + 1]);
        if (c == ';') {
            if (str_trim(str_slice(text, at + 1, text.len)).len)
                fault(l, at, "query.second", (struct str) { 0 });
            break;
        }
        if (c == '$' || c == '?' || c == '#' || c == '`' || c == '[') {
            fault(l, at, "query.character", str_slice(text, at, at + 1));
            return;
        }
        if ((c == '@' || (c == ':' && !(at + 1 < text.len && text.ptr[at + 1] == ':'))) && named) {
            const size_t end = name_end(text, at + 1, c == '@');
            add_piece(l, (struct piece) { .text = str_slice(text, from, at) });
            if (c == '@')
                relation_piece(l, at, str_slice(text, at + 1, end));
            else
                param_piece(l, at, str_slice(text, at + 1, end));
            at = from = end;
            continue;
        }
        const size_t end = skip_token(text, at);
        if (c == '"' && str_find(str_slice(text, at, end), STR("$")) >= 0)
            fault(l, at, "query.mirror_name", str_slice(text, at, end));
        at = end;
    }
    add_piece(l, (struct piece) { .text = str_slice(text, from, at) });
}

/* ---- the mirror: what a query may touch, as empty SQLite tables ---- */

static void mirror_type(const struct entity_type *type, struct buf *sql)
{
    static const char *const affinity[VALUE_KIND__COUNT] = {
        [VALUE_TEXT] = "TEXT",       [VALUE_INTEGER] = "INTEGER", [VALUE_NUMBER] = "REAL",
        [VALUE_BOOLEAN] = "INTEGER", [VALUE_DATE] = "TEXT",       [VALUE_INSTANT] = "INTEGER",
        [VALUE_REF] = "INTEGER",     [VALUE_JSON] = "TEXT",
    };
    bool any = false;
    buf_printf(sql, "CREATE TABLE \"" MIRROR "%.*s\" (", STR_ARG(type->full));
    for (int i = 0; i < type->fields_count; i++) {
        if (type->fields[i].mask)
            continue;
        buf_printf(sql, "%s%.*s %s", any ? ", " : "", STR_ARG(type->fields[i].column),
                   affinity[type->fields[i].kind]);
        any = true;
    }
    buf_text(sql, ");");
}

static void mirror_columns(const char *name, struct str columns, struct buf *sql)
{
    bool any = false;
    struct str column;
    buf_printf(sql, "CREATE TABLE \"" MIRROR "%s\" (", name);
    while (columns.len && str_cut(&columns, ' ', &column))
        if (column.len) {
            buf_printf(sql, "%s\"%.*s\"", any ? ", " : "", STR_ARG(column));
            any = true;
        }
    buf_text(sql, ");");
}

static void mirror_list(const char *name, const char *const *columns, struct buf *sql)
{
    buf_printf(sql, "CREATE TABLE \"" MIRROR "%s\" (", name);
    for (int i = 0; columns[i]; i++)
        buf_printf(sql, "%s\"%s\"", i ? ", " : "", columns[i]);
    buf_text(sql, ");");
}

/* Only reading mirror tables, only known functions. */
static int authorize(void *arg, int action, const char *first, const char *second, const char *database,
                     const char *trigger)
{
    (void)database, (void)trigger;
    struct str *why = arg;
    if (action == SQLITE_SELECT)
        return SQLITE_OK;
    if (action == SQLITE_READ && first && (!*first || str_starts(str_from(first), STR(MIRROR))))
        return SQLITE_OK;
    if (action == SQLITE_FUNCTION && second)
        for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++)
            if (str_eq_nocase(str_from(second), str_from(FUNCTIONS[i])))
                return SQLITE_OK;
    static _Thread_local char name[80];
    (void)snprintf(name, sizeof name, "%s",
                   action == SQLITE_FUNCTION && second ? second
                   : first                             ? first
                                                       : "?");
    *why = str_from(name);
    return SQLITE_DENY;
}

static enum err_code mirror_open(const struct queries *queries, sqlite3 **out, struct err *err)
{
    struct buf sql;
    const struct types *types = entity_types(queries->entity);
    buf_init(&sql, (size_t)8 << 20);
    for (int i = 0; i < types_count(types); i++)
        mirror_type(types_at(types, i), &sql);
    mirror_list("case", ENTITY_CASE_COLUMNS, &sql);
    mirror_list("subject", ENTITY_SUBJECT_COLUMNS, &sql);
    for (const struct query_relation *r = OPEN_RELATIONS; r->name; r++)
        mirror_columns(r->name, str_from(r->columns), &sql);
    for (const struct query_relation *r = queries->relations; r && r->name; r++)
        mirror_columns(r->name, str_from(r->columns), &sql);
    enum err_code rc = buf_check(&sql, err);
    sqlite3 *db = NULL;
    if (!rc && (sqlite3_open(":memory:", &db) || sqlite3_exec(db, sql.ptr ? sql.ptr : "", NULL, NULL, NULL)))
        rc = err_set(err, ERR_INTERNAL, "query.mirror", ARG_TEXT("reason", db ? sqlite3_errmsg(db) : "?"),
                     ARG_END);
    buf_done(&sql);
    if (rc)
        sqlite3_close(db);
    else
        *out = db;
    return rc;
}

static void mirror_text(const struct query *query, struct buf *sql)
{
    for (int i = 0; i < query->pieces_count; i++) {
        const struct piece *piece = &query->pieces[i];
        if (piece->kind == PIECE_TEXT)
            buf_str(sql, piece->text);
        else if (piece->kind == PIECE_PARAM)
            buf_printf(sql, "CAST(?%d AS %s)", piece->param + 1, SQL_TYPES[query->params[piece->param].kind]);
        else
            buf_printf(sql, "(SELECT * FROM \"" MIRROR "%.*s\")",
                       STR_ARG(piece->kind == PIECE_TYPE       ? piece->type->full
                               : piece->kind == PIECE_CASES    ? STR("case")
                               : piece->kind == PIECE_SUBJECTS ? STR("subject")
                                                               : str_from(piece->relation->name)));
    }
}

static void check_columns(struct loading *l, sqlite3_stmt *stmt)
{
    struct query *query = l->query;
    const int count = sqlite3_column_count(stmt);
    if (count > QUERY_COLUMNS_MAX)
        fault(l, 0, "query.long", (struct str) { 0 });
    for (int i = 0; i < count && i < QUERY_COLUMNS_MAX; i++) {
        query->names[i] = arena_str(l->queries->arena, str_from(sqlite3_column_name(stmt, i)));
        query->names_count = i + 1;
    }
    for (int i = 0; i < query->columns_count; i++) {
        bool found = false;
        for (int n = 0; n < count; n++)
            found = found || str_eq(str_from(sqlite3_column_name(stmt, n)), query->columns[i].name);
        if (!found)
            fault(l, 0, "query.no_column", query->columns[i].name);
    }
}

static void check_mirror(struct loading *l, sqlite3 *db)
{
    struct buf sql;
    struct str denied = { 0 };
    sqlite3_stmt *stmt = NULL;
    const char *tail = "";
    buf_init(&sql, 1 << 20);
    mirror_text(l->query, &sql);
    sqlite3_set_authorizer(db, authorize, &denied);
    const int rc = sql.ptr ? sqlite3_prepare_v2(db, sql.ptr, -1, &stmt, &tail) : SQLITE_ERROR;
    sqlite3_set_authorizer(db, NULL, NULL);
    if (denied.ptr)
        fault(l, 0, "query.denied", denied);
    else if (rc)
        fault(l, 0, "query.sql", str_from(sqlite3_errmsg(db)));
    else if (!stmt || !sqlite3_stmt_readonly(stmt) || str_trim(str_from(tail)).len)
        fault(l, 0, "query.second", (struct str) { 0 });
    else
        check_columns(l, stmt);
    sqlite3_finalize(stmt);
    buf_done(&sql);
}

/* ---- loading ---- */

static enum err_code load_file(struct queries *queries, const struct pack *pack, const struct pack_file *file,
                               sqlite3 *mirror, struct findings *findings, struct err *err)
{
    if (queries->count == QUERIES_MAX)
        return err_set(err, ERR_LIMIT, "query.many", ARG_INT("max", QUERIES_MAX), ARG_END);
    struct query *query = arena_alloc(queries->arena, 1, sizeof *query);
    if (!query)
        return err_nomem(err);
    query->pack = pack;
    query->file = file;
    query->limit = QUERY_ROWS_DEFAULT;
    query->full = arena_printf(queries->arena, "%.*s.%.*s", STR_ARG(pack->name), STR_ARG(file->name));
    query->pieces = arena_alloc(queries->arena, PIECES_MAX, sizeof *query->pieces);
    if (!query->full.ptr || !query->pieces)
        return err_nomem(err);
    struct loading l = { .queries = queries, .query = query, .findings = findings };
    read_tokens(&l, file->text, read_head(&l, file->text));
    if (!l.faults)
        check_mirror(&l, mirror);
    if (!l.faults)
        queries->items[queries->count++] = query;
    return ERR_OK;
}

enum err_code queries_load(struct entity *entity, const struct packs *packs,
                           const struct query_relation *relations, struct findings *findings,
                           struct queries **out, struct err *err)
{
    sqlite3 *mirror = NULL;
    struct queries *queries = mem_alloc(1, sizeof *queries);
    if (!queries)
        return err_nomem(err);
    queries->entity = entity;
    queries->relations = relations;
    queries->arena = arena_new(QUERY_BYTES_MAX);
    queries->items = queries->arena ? arena_alloc(queries->arena, QUERIES_MAX, sizeof *queries->items) : NULL;
    enum err_code rc = queries->items ? mirror_open(queries, &mirror, err) : err_nomem(err);
    for (int p = 0; !rc && p < packs_count(packs); p++) {
        const struct pack *pack = packs_at(packs, p);
        for (int i = 0; !rc && i < pack->files_count; i++)
            if (pack->files[i].folder == PACK_QUERIES && str_eq(pack->files[i].ending, STR("sql")))
                rc = load_file(queries, pack, &pack->files[i], mirror, findings, err);
    }
    sqlite3_close(mirror);
    if (rc) {
        queries_free(queries);
        return err_in(err, "queries.load");
    }
    *out = queries;
    return ERR_OK;
}

void queries_free(struct queries *queries)
{
    if (!queries)
        return;
    arena_free(queries->arena);
    mem_free(queries);
}

int queries_count(const struct queries *queries)
{
    return queries->count;
}

const struct query *queries_at(const struct queries *queries, int i)
{
    return queries->items[i];
}

const struct query *queries_find(const struct queries *queries, struct str pack, struct str name)
{
    for (int i = 0; i < queries->count; i++)
        if (str_eq(queries->items[i]->pack->name, pack) && str_eq(queries->items[i]->file->name, name))
            return queries->items[i];
    return NULL;
}

struct str query_name(const struct query *query)
{
    return query->full;
}

/* ---- parameters ---- */

static bool read_param(const struct param *param, struct str text, struct sql_arg *out)
{
    char real[64], *end = real;
    int64_t ms;
    assert(param->kind < QUERY_KIND__COUNT);
    out->kind = SQL_I64;
    switch (param->kind) {
    case QUERY_TEXT:
        *out = (struct sql_arg) { .kind = SQL_TEXT, .text = text };
        return text.len <= 4000 && utf8_valid(text);
    case QUERY_DATE:
        *out = (struct sql_arg) { .kind = SQL_TEXT, .text = text };
        return text.len == 10 && text.ptr[4] == '-' && text.ptr[7] == '-';
    case QUERY_INTEGER:
    case QUERY_REFERENCE:
        return str_i64(text, &out->i64);
    case QUERY_BOOLEAN:
        out->i64 = str_eq(text, STR("true")) || str_eq(text, STR("1"));
        return out->i64 || str_eq(text, STR("false")) || str_eq(text, STR("0"));
    case QUERY_INSTANT:
        if (clock_parse(text, &ms, NULL))
            return false;
        out->i64 = ms;
        return true;
    case QUERY_NUMBER:
    case QUERY_KIND__COUNT:
        break;
    }
    if (text.len >= sizeof real)
        return false;
    memcpy(real, text.ptr, text.len);
    real[text.len] = 0;
    out->kind = SQL_F64;
    out->f64 = strtod(real, &end);
    return text.len && !*end && isfinite(out->f64);
}

static void ready_param(const struct entity_call *call, const struct fact_window *facts,
                        const struct param *param, struct sql_arg *out)
{
    char day[DAY_TEXT_SIZE];
    if (str_eq(param->name, STR("now")) || str_eq(param->name, STR("as_of"))) {
        *out = (struct sql_arg) { .kind = SQL_I64, .i64 = facts->as_of };
    } else if (str_eq(param->name, STR("known_until"))) {
        *out = (struct sql_arg) { .kind = SQL_I64, .i64 = facts->known_until };
    } else if (str_eq(param->name, STR("me"))) {
        *out = (struct sql_arg) { .kind = SQL_I64, .i64 = call->who ? call->who->user_id : 0 };
    } else if (str_eq(param->name, STR("today"))) {
        day_text(zone_day(entity_zone(call->entity), facts->as_of), day);
        *out = (struct sql_arg) { .kind = SQL_TEXT, .text = arena_str(call->arena, str_from(day)) };
    }
}

static enum err_code instant_param(query_param_fn param, void *arg, const char *name, int64_t *out,
                                   struct err *err)
{
    char pointer[PACK_NAME_MAX + 4];
    const struct str text = param ? param(arg, name) : (struct str) { 0 };
    if (!text.len || !clock_parse(text, out, err))
        return ERR_OK;
    (void)snprintf(pointer, sizeof pointer, "/?%s", name);
    return err_pointer(err, str_from(pointer));
}

static enum err_code read_params(const struct query *query, const struct entity_call *call,
                                 const struct fact_window *facts, query_param_fn param, void *arg,
                                 struct sql_arg *out, struct err *err)
{
    for (int i = 0; i < query->params_count; i++) {
        const struct param *one = &query->params[i];
        char pointer[PACK_NAME_MAX + 4], name[PACK_NAME_MAX + 1];
        out[i] = (struct sql_arg) { .kind = SQL_NULL };
        ready_param(call, facts, one, &out[i]);
        (void)snprintf(name, sizeof name, "%.*s", STR_ARG(one->name));
        (void)snprintf(pointer, sizeof pointer, "/?%s", name);
        const struct str text = param ? param(arg, name) : (struct str) { 0 };
        if (!text.len) {
            if (!one->required)
                continue;
            (void)err_set(err, ERR_INVALID, "entity.required", ARG_END);
            return err_pointer(err, str_from(pointer));
        }
        if (!read_param(one, text, &out[i])) {
            (void)err_set(err, ERR_INVALID, "entity.wrong_type", ARG_TEXT("want", KINDS[one->kind]), ARG_END);
            return err_pointer(err, str_from(pointer));
        }
    }
    return ERR_OK;
}

/* ---- running ---- */

static enum err_code add_engine(const struct entity_call *call, const struct query_relation *relation,
                                struct sql *sql, struct err *err)
{
    const bool engine = !call->who || call->who->kind == PRINCIPAL_SYSTEM;
    const bool free = engine || !relation->permission;
    if (!free && !principal_may(call->who, str_from(relation->permission)))
        return err_set(err, ERR_FORBIDDEN, "entity.forbidden", ARG_TEXT("permission", relation->permission),
                       ARG_END);
    const bool all = engine || (!relation->cases &&
                                (free || principal_may_all(call->who, str_from(relation->permission))));
    const char *column = relation->cases ? relation->cases : relation->subject;
    sql_add(sql, "(");
    sql_add(sql, relation->select);
    if (!all && column) {
        sql_add(sql, " WHERE ");
        sql_add(sql, column);
        sql_add(sql, " IN (SELECT s.id FROM ");
        const enum err_code rc = entity_common_sql(call, relation->cases != NULL, sql, err);
        if (rc)
            return rc;
        sql_add(sql, " s)");
    } else if (!all) {
        sql_add(sql, " WHERE 1 = 0");
    }
    sql_add(sql, ")");
    return ERR_OK;
}

static enum err_code add_pieces(const struct query *query, const struct entity_call *call,
                                const struct sql_arg *values, struct sql *sql, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; !rc && i < query->pieces_count; i++) {
        const struct piece *piece = &query->pieces[i];
        switch (piece->kind) {
        case PIECE_TEXT:
            sql_str(sql, piece->text);
            break;
        case PIECE_TYPE:
            rc = entity_rows_sql(call, piece->type, sql, err);
            break;
        case PIECE_SUBJECTS:
        case PIECE_CASES:
            rc = entity_common_sql(call, piece->kind == PIECE_CASES, sql, err);
            break;
        case PIECE_ENGINE:
            rc = add_engine(call, piece->relation, sql, err);
            break;
        case PIECE_PARAM:
            sql_add(sql, "CAST(");
            sql_arg(sql, values[piece->param]);
            sql_add(sql, " AS ");
            sql_add(sql, SQL_TYPES[query->params[piece->param].kind]);
            sql_add(sql, ")");
            break;
        }
    }
    return rc;
}

static const struct column *column_named(const struct query *query, struct str name)
{
    for (int i = 0; i < query->columns_count; i++)
        if (str_eq(query->columns[i].name, name))
            return &query->columns[i];
    return NULL;
}

static void put_columns(const struct query *query, enum lang lang, struct buf *out)
{
    buf_text(out, "{\"columns\":[");
    for (int i = 0; i < query->names_count; i++) {
        const struct column *column = column_named(query, query->names[i]);
        buf_text(out, i ? ",{\"name\":" : "{\"name\":");
        buf_json(out, query->names[i]);
        buf_printf(out, ",\"kind\":\"%s\",\"title\":", column ? KINDS[column->kind] : "");
        buf_json(out, column ? column->title[lang] : query->names[i]);
        buf_char(out, '}');
    }
    buf_text(out, "],\"items\":[");
}

/* A number without a stated kind looks the same from both databases: whole ones without a point. */
static void put_number(double number, struct buf *out)
{
    if (number == floor(number) && fabs(number) < 1e15)
        buf_printf(out, "%.0f", number);
    else if (isfinite(number))
        buf_printf(out, "%.12g", number);
    else
        buf_text(out, "null");
}

static void put_cell(const struct column *column, struct stmt *stmt, int i, struct buf *out)
{
    char text[CLOCK_TEXT_SIZE];
    const enum stmt_type type = stmt_type(stmt, i);
    if (type == STMT_NULL) {
        buf_text(out, "null");
        return;
    }
    if (column && column->kind == QUERY_INSTANT) {
        buf_char(out, '"');
        buf_add(out, text, clock_text(stmt_i64(stmt, i), CLOCK_SHOWN_MINUTES, text));
        buf_char(out, '"');
    } else if (column && column->kind == QUERY_REFERENCE) {
        buf_printf(out, "\"%lld\"", (long long)stmt_i64(stmt, i));
    } else if (column && column->kind == QUERY_BOOLEAN) {
        buf_text(out, stmt_i64(stmt, i) ? "true" : "false");
    } else if (type == STMT_I64) {
        buf_i64(out, stmt_i64(stmt, i));
    } else if (type == STMT_F64 ||
               (column && (column->kind == QUERY_NUMBER || column->kind == QUERY_INTEGER))) {
        put_number(stmt_f64(stmt, i), out);
    } else {
        buf_json(out, stmt_text(stmt, i));
    }
}

static void put_row(const struct query *query, struct stmt *stmt, bool first, struct buf *out)
{
    buf_text(out, first ? "{" : ",{");
    for (int i = 0; i < stmt_columns(stmt); i++) {
        const struct str name = stmt_column_name(stmt, i);
        if (i)
            buf_char(out, ',');
        buf_json(out, name);
        buf_char(out, ':');
        put_cell(column_named(query, name), stmt, i, out);
    }
    buf_char(out, '}');
}

enum err_code query_run(const struct queries *queries, const struct query *query,
                        const struct entity_call *call, struct tx *tx, query_param_fn param, void *arg,
                        struct buf *out, struct err *err)
{
    (void)queries;
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct sql_arg values[QUERY_PARAMS_MAX + READY_PARAMS];
    int rows = 0;
    bool more = false;
    if (!sql)
        return err_nomem(err);
    if (query->permission.len && call->who && call->who->kind != PRINCIPAL_SYSTEM &&
        !principal_may(call->who, query->permission))
        return err_set(err, ERR_FORBIDDEN, "entity.forbidden", ARG_STR("permission", query->permission),
                       ARG_END);
    /* what is asked for an instant again answers the same: `now` is that instant */
    struct fact_window facts = { .as_of = tx_now_ms(tx), .known_until = tx_now_ms(tx) };
    struct entity_call within = *call;
    within.facts = query->all_facts ? NULL : &facts;
    enum err_code rc = instant_param(param, arg, "as_of", &facts.as_of, err);
    if (!rc)
        rc = instant_param(param, arg, "known_until", &facts.known_until, err);
    if (!rc)
        rc = read_params(query, call, &facts, param, arg, values, err);
    if (!rc)
        rc = add_pieces(query, &within, values, sql, err);
    if (!rc)
        rc = sql_prepare(sql, tx, &stmt, err);
    if (rc)
        return err_in(err, "query");
    stmt_stream(stmt);
    put_columns(query, call->lang, out);
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row;) {
        if (rows == query->limit) {
            more = true;
            break;
        }
        put_row(query, stmt, rows++ == 0, out);
    }
    buf_printf(out, "],\"more\":%s}", more ? "true" : "false");
    return rc ? rc : buf_check(out, err);
}
