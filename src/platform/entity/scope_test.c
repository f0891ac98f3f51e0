/* scope_test.c - what is out of somebody's scope is neither seen nor changed, whichever way is taken.
 *
 * Random trees of organisations and grid cells, random records of types with every kind of x-scope and random
 * grants; a model that walks parents instead of paths says what may be seen, and lists, counts, searches,
 * details, labels, histories, exports, query relations, creations, changes, moves, deletions and imports must
 * agree with it.  Trees are moved between the rounds.  The same on both stores. */
#include "platform/entity/internal.h"
#include "rig.h"
#include "test.h"

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
#define NAME "\"name\":{\"type\":\"string\"," T "},"
#define SIZE "\"size\":{\"type\":\"integer\",\"x-index\":true," T "}"
#define ORGS 7
#define CELLS 6
#define ROWS_MAX 400
#define ROUNDS 40

enum { AREA, JOB, CELL, OPEN, SHUT, TYPES };
static const struct {
    const char *name, *schema;
    bool org, grid, subject, own, everyone;
} KINDS[TYPES] = {
    [AREA] = { "p.area",
               "{\"type\":\"object\",\"x-kind\":\"subject\"," T
               ",\"properties\":{\"phone\":{\"type\":\"string\","
               "\"x-sensitive\":\"phone\"," T "},\"above\":{\"type\":\"string\",\"x-ref\":\"p.area\"," T
               "}," SIZE "},\"x-sort\":[\"size\",\"name\"],\"x-search\":[\"name\"],"
               "\"x-scope\":{\"org\":\"org\",\"grid\":\"grid\",\"own\":\"created_by\"}}",
               true, true, false, true, false },
    [JOB] = { "p.job",
              "{\"type\":\"object\",\"x-kind\":\"case\"," T ",\"properties\":{" SIZE
              "},\"x-sort\":[\"-size\"],\"x-search\":[\"title\"],\"x-number\":\"J{seq:6}\","
              "\"x-scope\":{\"org\":\"org\",\"subject\":\"subject\"}}",
              true, false, true, false, false },
    [CELL] = { "p.item",
               "{\"type\":\"object\"," T ",\"properties\":{" NAME SIZE
               ",\"cell\":{\"type\":\"string\",\"x-ref\":\"core.grid\"," T "}},\"x-search\":[\"name\"],"
               "\"x-scope\":{\"grid\":\"cell\"}}",
               false, true, false, false, false },
    [OPEN] = { "p.open",
               "{\"type\":\"object\"," T ",\"properties\":{" NAME SIZE
               "},\"x-search\":[\"name\"],\"x-scope\":{\"everyone\":true}}",
               false, false, false, false, true },
    [SHUT] = { "p.shut", "{\"type\":\"object\"," T ",\"properties\":{" NAME SIZE "},\"x-search\":[\"name\"]}",
               false, false, false, false, false },
};
static const char GRID[] =
    "{\"type\":\"object\"," T ",\"properties\":{\"code\":{\"type\":\"string\"," T "}," NAME
    "\"parent\":{\"type\":\"string\",\"x-ref\":\"core.grid\"," T "},"
    "\"path\":{\"type\":\"string\",\"maxLength\":1000,\"readOnly\":true," T "}},\"x-key\":[\"code\"],"
    "\"x-scope\":{\"everyone\":true}}";
static const char *const ACTIONS[] = {
    "read", "create", "update", "delete", "import", "export", "sensitive"
};
enum { READ, CREATE, UPDATE, DELETE, IMPORT, EXPORT, SENSITIVE, ACTIONS_COUNT };

struct row {
    bool there;
    int type;
    int64_t id, org, grid, subject, owner, above, size;
    char name[40], phone[16], code[16];
};

struct right { /* what the model knows of a grant */
    int type;  /* -1 = all */
    unsigned actions;
    bool all, own;
    int64_t org, grid, subjects[3];
    int subjects_count;
};

struct world {
    struct rig rig;
    int64_t org_above[ORGS + 1]; /* by id; 0 = root */
    int64_t cells[CELLS], cell_above[CELLS];
    struct row rows[ROWS_MAX];
    int rows_count, codes;
    struct right rights[4];
    int rights_count;
    struct grant grants[4];
    struct str permissions[4][ACTIONS_COUNT];
    char texts[4][ACTIONS_COUNT][40], paths[8][400];
    struct principal who;
    uint64_t seed;
};

static int64_t pick(struct world *w, int64_t below)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((w->seed >> 33) % (uint64_t)below);
}

/* ---- setting up ---- */

static void org_path(const struct world *w, int64_t id, char *out, size_t size)
{
    char rest[200];
    (void)snprintf(out, size, "/");
    for (; id; id = w->org_above[id]) {
        (void)snprintf(rest, sizeof rest, "/%lld%s", (long long)id, out);
        (void)snprintf(out, size, "%s", rest);
    }
}

static int cell_of(const struct world *w, int64_t id)
{
    for (int i = 0; i < CELLS; i++)
        if (w->cells[i] == id)
            return i;
    return -1;
}

static void cell_path(const struct world *w, int64_t id, char *out, size_t size)
{
    char rest[400];
    (void)snprintf(out, size, "/");
    for (; id; id = w->cell_above[cell_of(w, id)]) {
        (void)snprintf(rest, sizeof rest, "/%lld%s", (long long)id, out);
        (void)snprintf(out, size, "%s", rest);
    }
}

static void put_orgs(struct world *w)
{
    char sql[600], path[200];
    for (int64_t id = 1; id <= ORGS; id++) {
        org_path(w, id, path, sizeof path);
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO org (id, path, code, name, version, created_at, created_by, updated_at,"
                       " updated_by) VALUES (%lld, '%s', 'o%lld', 'o%lld', 1, 0, 0, 0, 0)"
                       " ON CONFLICT (id) DO UPDATE SET path = excluded.path;",
                       (long long)id, path, (long long)id, (long long)id);
        teststore_exec(w->rig.store, sql);
    }
}

static void begin(struct world *w)
{
    struct err err = { 0 };
    char path[200];
    *w = (struct world) { .seed = 20261121, .rig.labels = true };
    rig_begin(&w->rig);
    rig_pack(&w->rig, "p");
    rig_pack(&w->rig, "core");
    rig_put(&w->rig, "core/types/grid.json", GRID);
    for (int i = 0; i < TYPES; i++) {
        (void)snprintf(path, sizeof path, "p/types/%s.json", KINDS[i].name + 2);
        rig_put(&w->rig, path, KINDS[i].schema);
    }
    rig_load(&w->rig);
    teststore_ok(rig_tables(&w->rig, &err), &err, "tables");
    for (int64_t id = 2; id <= ORGS; id++)
        w->org_above[id] = 1 + pick(w, id - 1);
    put_orgs(w);
}

/* ---- single operations that the rig has not ---- */

struct op {
    struct entity_call call;
    const struct entity_type *type;
    int64_t id, count;
    struct buf out;
    bool cases, common, reached;
    int64_t *ids;
};

static enum err_code get_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    buf_clear(&op->out);
    return entity_get_json(&op->call, tx, op->type, op->id, NULL, &op->out, err);
}
static enum err_code history_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    buf_clear(&op->out);
    return entity_history_json(&op->call, tx, op->type, op->id, &op->out, err);
}
static enum err_code reached_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    return row_reached(&op->call, tx, op->type, op->id, "read", &op->reached, err);
}
/* What a query of a pack stands on. */
static enum err_code rows_fn(struct tx *tx, void *arg, struct err *err)
{
    struct op *op = arg;
    AUTO(sql_free_auto) struct sql *sql = sql_new();
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    op->count = 0;
    sql_add(sql, "SELECT x.id FROM ");
    enum err_code rc = op->common ? entity_common_sql(&op->call, op->cases, sql, err)
                                  : entity_rows_sql(&op->call, op->type, sql, err);
    sql_add(sql, " x");
    if (!rc)
        rc = sql_prepare(sql, tx, &stmt, err);
    for (bool row = false; !rc && !(rc = stmt_step(stmt, &row, err)) && row;)
        op->ids[op->count++] = stmt_i64(stmt, 0);
    return rc;
}

static struct op op_of(struct world *w, int type)
{
    struct op op = {
        .call = { .entity = w->rig.entity, .who = &w->who, .lang = LANG_EN, .arena = w->rig.arena },
        .type = entity_type_find(w->rig.entity, KINDS[type].name)
    };
    buf_init(&op.out, 8 << 20);
    return op;
}

/* ---- the model ---- */

static bool below_org(const struct world *w, int64_t id, int64_t top)
{
    for (; id; id = w->org_above[id])
        if (id == top)
            return true;
    return false;
}

static bool below_cell(const struct world *w, int64_t id, int64_t top)
{
    for (; id; id = w->cell_above[cell_of(w, id)])
        if (id == top)
            return true;
    return false;
}

static bool right_reaches(const struct world *w, const struct right *right, const struct row *row)
{
    bool in = false;
    if (right->all || KINDS[row->type].everyone)
        return true;
    if (row->type == SHUT)
        return false;
    if (right->org && KINDS[row->type].org && !below_org(w, row->org, right->org))
        return false;
    if (right->grid && KINDS[row->type].grid && !below_cell(w, row->grid, right->grid))
        return false;
    if (right->own && KINDS[row->type].own && row->owner != w->who.user_id)
        return false;
    for (int i = 0; i < right->subjects_count; i++)
        in = in || right->subjects[i] == row->subject;
    return !(right->subjects_count && KINDS[row->type].subject && !in);
}

static bool may(const struct world *w, int type, int action)
{
    for (int i = 0; i < w->rights_count; i++)
        if ((w->rights[i].type < 0 || w->rights[i].type == type) && w->rights[i].actions & (1u << action))
            return true;
    return false;
}

static bool reaches(const struct world *w, const struct row *row, int action)
{
    for (int i = 0; i < w->rights_count; i++) {
        const struct right *right = &w->rights[i];
        if ((right->type < 0 || right->type == row->type) && right->actions & (1u << action) &&
            right_reaches(w, right, row))
            return true;
    }
    return false;
}

static struct row *row_of(struct world *w, int64_t id)
{
    for (int i = 0; i < w->rows_count; i++)
        if (w->rows[i].there && w->rows[i].id == id)
            return &w->rows[i];
    return NULL;
}

/* ---- random things ---- */

static const char *const PIECES[] = { "\xe7\xbd\x91\xe7\xbb\x9c", "\xe6\x95\x85\xe9\x9a\x9c",
                                      "\xe4\xb8\xad\xe5\xbf\x83", "\xe9\x81\x93\xe8\xb7\xaf" };

static void random_row(struct world *w, int type, struct row *row)
{
    *row = (struct row) { .there = true, .type = type, .size = pick(w, 50) };
    (void)snprintf(row->name, sizeof row->name, "%s%s", PIECES[pick(w, 4)], PIECES[pick(w, 4)]);
    row->org = pick(w, 5) ? 1 + pick(w, ORGS) : 0;
    row->grid = pick(w, 5) ? w->cells[pick(w, CELLS)] : 0;
    if (type == AREA) {
        (void)snprintf(row->phone, sizeof row->phone, "138%08lld", (long long)pick(w, 100000000));
        (void)snprintf(row->code, sizeof row->code, "c%d", ++w->codes);
    }
    for (int tries = 0; (type == AREA || type == JOB) && tries < 5 && w->rows_count; tries++) {
        const struct row *other = &w->rows[pick(w, w->rows_count)];
        if (other->there && other->type == AREA)
            row->above = row->subject = other->id;
    }
}

static void member(struct buf *out, const char *name, int64_t id)
{
    if (id)
        buf_printf(out, ",\"%s\":\"%lld\"", name, (long long)id);
}

static void row_json(const struct row *row, struct buf *out)
{
    buf_clear(out);
    buf_printf(out, "{\"size\":%lld,\"%s\":\"%s\"", (long long)row->size, row->type == JOB ? "title" : "name",
               row->name);
    if (row->type == AREA)
        buf_printf(out, ",\"code\":\"%s\",\"phone\":\"%s\"", row->code, row->phone);
    if (row->type == AREA || row->type == JOB)
        member(out, "org", row->org);
    if (row->type == AREA)
        member(out, "grid", row->grid);
    if (row->type == CELL)
        member(out, "cell", row->grid);
    member(out, row->type == AREA ? "above" : "subject", row->type <= JOB ? row->above : 0);
    buf_char(out, '}');
}

static void add_row(struct world *w, int type, const struct principal *who)
{
    struct err err = { 0 };
    struct buf json;
    struct row row;
    random_row(w, type, &row);
    row.owner = who ? who->user_id : 0;
    buf_init(&json, 4000);
    row_json(&row, &json);
    const enum err_code rc = rig_create(&w->rig, who, KINDS[type].name, json.ptr, &row.id, &err);
    buf_done(&json);
    if (!who) {
        test_ok(!rc, "%s %s", err.id, err.at.pointer);
    } else {
        const struct row *above = row.above ? row_of(w, row.above) : NULL;
        const bool sees = !above || reaches(w, above, READ);
        if (!may(w, type, CREATE))
            test_ok(rc == ERR_FORBIDDEN, "create without the right");
        else if (!sees) /* as if it were not there */
            test_ok(rc == ERR_INVALID && !strcmp(err.id, "entity.reference"), "refers out of scope: %s",
                    err.id);
        else
            test_ok((rc == ERR_OK) == reaches(w, &row, CREATE) && (!rc || rc == ERR_FORBIDDEN), "create: %s",
                    err.id);
    }
    if (!rc && w->rows_count < ROWS_MAX)
        w->rows[w->rows_count++] = row;
}

static void random_rights(struct world *w)
{
    static struct principal who;
    w->rights_count = 1 + (int)pick(w, 3);
    for (int i = 0; i < w->rights_count; i++) {
        struct right *right = &w->rights[i];
        struct scope *scope = &w->grants[i].scope;
        int count = 0;
        *right = (struct right) { .type = pick(w, 2) ? AREA : (int)pick(w, TYPES + 2) - 2,
                                  .actions = (unsigned)pick(w, 128) | 1 };
        if (right->type < 0)
            right->type = -1;
        if (!pick(w, 3))
            right->actions = 127;
        right->all = !pick(w, 10);
        right->org = !right->all && pick(w, 2) ? 1 + pick(w, ORGS) : 0;
        right->grid = !right->all && !pick(w, 3) ? w->cells[pick(w, CELLS)] : 0;
        right->own = !right->all && !pick(w, 5);
        for (int n = 0; !right->all && !pick(w, 4) && n < 3; n++)
            right->subjects[right->subjects_count++] = w->rows[pick(w, w->rows_count)].id;
        if (!right->all && !right->org && !right->grid && !right->own && !right->subjects_count)
            right->org = 1 + pick(w, ORGS);
        *scope = (struct scope) { .all = right->all,
                                  .own = right->own,
                                  .org_id = right->org,
                                  .grid_id = right->grid,
                                  .subjects = right->subjects_count ? right->subjects : NULL,
                                  .subject_count = right->subjects_count };
        org_path(w, right->org, w->paths[2 * i], sizeof w->paths[0]);
        cell_path(w, right->grid, w->paths[2 * i + 1], sizeof w->paths[0]);
        scope->org_path = str_from(w->paths[2 * i]);
        scope->grid_path = str_from(w->paths[2 * i + 1]);
        for (int a = 0; a < ACTIONS_COUNT; a++)
            for (int t = 0; right->actions & (1u << a) && t < TYPES; t++) {
                if (right->type >= 0 ? t != right->type : t > 0)
                    continue;
                (void)snprintf(w->texts[i][count], sizeof w->texts[0][0], "%s.%s", KINDS[t].name, ACTIONS[a]);
                w->permissions[i][count] = str_from(w->texts[i][count]);
                count++;
            }
        w->grants[i].permissions = w->permissions[i];
        w->grants[i].permission_count = count;
        if (right->type < 0) { /* the model's "all types" is a pattern here */
            w->permissions[i][0] = STR("p.*");
            w->grants[i].permission_count = 1;
            right->actions = 127;
        }
    }
    who = (struct principal) { .kind = PRINCIPAL_USER,
                               .user_id = 70 + pick(w, 3),
                               .org_id = 1,
                               .login = STR("u"),
                               .name = STR("u"),
                               .grants = w->grants,
                               .grant_count = w->rights_count };
    w->who = who;
}

/* ---- reading ---- */

static int order(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int expected(struct world *w, int type, int action, const char *text, int64_t least, int64_t *out)
{
    int count = 0;
    for (int i = 0; i < w->rows_count; i++) {
        const struct row *row = &w->rows[i];
        if (row->there && row->type == type && reaches(w, row, READ) && reaches(w, row, action) &&
            (!text || strstr(row->name, text)) && row->size >= least)
            out[count++] = row->id;
    }
    qsort(out, (size_t)count, sizeof *out, order);
    return count;
}

static void same(const int64_t *want, int want_count, int64_t *got, int got_count, const char *what, int type)
{
    /* cppcheck-suppress uninitvar ; filled up to got_count */
    qsort(got, (size_t)got_count, sizeof *got, order);
    test_ok(want_count == got_count, "%s of %s: %d, not %d", what, KINDS[type].name, got_count, want_count);
    for (int i = 0; i < want_count; i++)
        test_ok(want[i] == got[i], "%s of %s: %lld", what, KINDS[type].name, (long long)got[i]);
}

/* What a record shows beside its own values. */
static void check_shown(struct world *w, const json_t *record)
{
    struct row *row = row_of(w, record_id(record, "id"));
    test_ok(row, "a record that is not there");
    const json_t *labels = json_object_get(record, "_labels");
    if (row->type == AREA) {
        const char *phone = json_string_value(json_object_get(record, "phone"));
        test_ok(phone && (strcmp(phone, row->phone) == 0) == reaches(w, row, SENSITIVE), "phone %s",
                phone ? phone : "none");
    }
    if (row->above && row->type <= JOB) {
        const struct row *above = row_of(w, row->above);
        const char *label =
            json_string_value(json_object_get(labels, row->type == AREA ? "above" : "subject"));
        test_ok((label != NULL) == (above && reaches(w, above, READ)), "label %s", label ? label : "none");
        test_ok(!label || (above && !strcmp(label, above->name)), "another label");
    }
}

static void check_list(struct world *w, int type)
{
    int64_t want[ROWS_MAX], got[ROWS_MAX + 200];
    struct err err = { 0 };
    char filter[40], sort[20];
    const char *text = pick(w, 2) ? PIECES[pick(w, 4)] : NULL;
    const int64_t least = pick(w, 2) ? pick(w, 40) : 0;
    int64_t found = 0;
    bool exact;
    int count = 0;
    (void)snprintf(filter, sizeof filter, "size >= %lld", (long long)least);
    (void)snprintf(sort, sizeof sort, "%s%s", pick(w, 2) ? "-" : "",
                   type <= JOB && pick(w, 2) ? "size" : "id");
    struct entity_list what = { .filter = least ? str_from(filter) : (struct str) { 0 },
                                .text = str_from(text),
                                .sort = pick(w, 3) ? str_from(sort) : (struct str) { 0 },
                                .limit = 1 + (int)pick(w, 30) };
    for (bool more = true; more && count < ROWS_MAX;) {
        json_t *page = rig_list(&w->rig, &w->who, KINDS[type].name, what, &err), *one;
        test_ok((!page && err.code == ERR_FORBIDDEN) == !may(w, type, READ), "list of %s: %s",
                KINDS[type].name, err.id);
        if (!page)
            break;
        size_t i;
        json_array_foreach(json_object_get(page, "items"), i, one)
        {
            got[count++] = record_id(one, "id");
            check_shown(w, one);
        }
        what.after = arena_str(w->rig.arena, record_str(page, "next"));
        more = what.after.len > 0;
        json_decref(page);
    }
    const int wanted = may(w, type, READ) ? expected(w, type, READ, text, least, want) : 0;
    same(want, wanted, got, count, "list", type);
    what.after = (struct str) { 0 };
    const enum err_code rc = rig_count(&w->rig, &w->who, KINDS[type].name, what, &found, &exact, &err);
    test_ok(rc ? !may(w, type, READ) : found == wanted, "count of %s: %lld", KINDS[type].name,
            (long long)found);
}

static void check_rows(struct world *w, int type)
{
    int64_t want[ROWS_MAX], got[ROWS_MAX];
    struct err err = { 0 };
    struct op op = op_of(w, type);
    op.ids = got;
    const enum err_code rc = store_read(w->rig.store, rows_fn, &op, &err);
    test_ok((rc == ERR_FORBIDDEN) == !may(w, type, READ), "rows of %s", KINDS[type].name);
    if (!rc)
        same(want, expected(w, type, READ, NULL, 0, want), got, (int)op.count, "rows", type);
    if (type <= JOB) {
        op.common = true;
        op.cases = type == JOB;
        teststore_ok(store_read(w->rig.store, rows_fn, &op, &err), &err, "common rows");
        same(want, expected(w, type, READ, NULL, 0, want), got, (int)op.count, "common rows", type);
    }
    buf_done(&op.out);
}

static void check_details(struct world *w)
{
    struct err err = { 0 };
    for (int n = 0; n < 12; n++) {
        const struct row *row = &w->rows[pick(w, w->rows_count)];
        struct op op = op_of(w, row->type);
        const bool sees = row->there && reaches(w, row, READ);
        const enum err_code none = may(w, row->type, READ) ? ERR_NOT_FOUND : ERR_FORBIDDEN;
        op.id = row->id;
        op.call.labels = true;
        test_ok(store_read(w->rig.store, get_fn, &op, &err) == (sees ? ERR_OK : none), "detail: %s", err.id);
        if (sees) {
            json_t *record = json_loadb(op.out.ptr, op.out.len, 0, NULL);
            check_shown(w, record);
            json_decref(record);
        }
        test_ok(store_read(w->rig.store, history_fn, &op, &err) == (sees ? ERR_OK : none), "history: %s",
                err.id);
        test_ok(!sees || row->type != AREA || !strstr(op.out.ptr, row->phone), "history shows the phone");
        /* attachments ask this */
        test_ok(store_read(w->rig.store, reached_fn, &op, &err) || op.reached == sees, "reached");
        buf_done(&op.out);
    }
}

static void check_export(struct world *w, int type)
{
    int64_t want[ROWS_MAX], got[ROWS_MAX];
    char path[200];
    int64_t rows = 0;
    struct err err = { 0 };
    struct op op = op_of(w, type);
    struct buf text;
    (void)snprintf(path, sizeof path, "%s/out.csv", w->rig.root);
    const struct entity_list what = { .limit = 1 };
    const enum err_code rc = entity_export(&op.call, op.type, &what, TABLE_CSV, path, false, &rows, &err);
    test_ok((rc == ERR_FORBIDDEN) == !(may(w, type, EXPORT) && may(w, type, READ)), "export of %s: %s",
            KINDS[type].name, err.id);
    buf_done(&op.out);
    if (rc)
        return;
    buf_init(&text, 8 << 20);
    test_ok(!buf_read_file(&text, path, &err), "read");
    struct str rest = buf_get(&text), line;
    int count = -1; /* the header */
    while (rest.len && str_cut(&rest, '\n', &line))
        if (count++ >= 0)
            got[count - 1] = strtoll(line.ptr, NULL, 10);
    same(want, expected(w, type, EXPORT, NULL, 0, want), got, count, "export", type);
    for (int i = 0; i < w->rows_count; i++) {
        const struct row *row = &w->rows[i];
        test_ok(!row->there || row->type != AREA || !strstr(text.ptr, row->phone) ||
                    reaches(w, row, SENSITIVE),
                "export shows a phone");
    }
    buf_done(&text);
}

/* ---- writing ---- */

static void check_change(struct world *w)
{
    struct err err = { 0 };
    struct row *row = &w->rows[pick(w, w->rows_count)], after;
    if (!row->there)
        return;
    after = *row;
    after.size = row->size + 1; /* always a change */
    struct buf json;
    buf_init(&json, 1000);
    buf_printf(&json, "{\"size\":%lld", (long long)after.size);
    if (row->type <= JOB && pick(w, 2)) {
        after.org = 1 + pick(w, ORGS);
        member(&json, "org", after.org);
    }
    if ((row->type == AREA || row->type == CELL) && pick(w, 2)) {
        after.grid = w->cells[pick(w, CELLS)];
        member(&json, row->type == AREA ? "grid" : "cell", after.grid);
    }
    buf_char(&json, '}');
    int64_t version = 0;
    const enum err_code rc =
        rig_update(&w->rig, &w->who, KINDS[row->type].name, row->id, &version, json.ptr, &err);
    const enum err_code want = !may(w, row->type, UPDATE) || !may(w, row->type, READ)    ? ERR_FORBIDDEN
                               : !reaches(w, row, READ)                                  ? ERR_NOT_FOUND
                               : !reaches(w, row, UPDATE) || !reaches(w, &after, UPDATE) ? ERR_FORBIDDEN
                                                                                         : ERR_OK;
    test_ok(rc == want, "change of %s %s: %s", KINDS[row->type].name, json.ptr, rc ? err.id : "done");
    buf_done(&json);
    if (!rc)
        *row = after;
}

static void check_delete(struct world *w)
{
    struct err err = { 0 };
    struct row *row = &w->rows[pick(w, w->rows_count)];
    bool used = false;
    if (!row->there)
        return;
    for (int i = 0; i < w->rows_count; i++)
        used = used || (w->rows[i].there && w->rows[i].type <= JOB && w->rows[i].above == row->id);
    const enum err_code rc = rig_delete(&w->rig, &w->who, KINDS[row->type].name, row->id, 0, &err);
    const enum err_code want = !may(w, row->type, DELETE) || !may(w, row->type, READ) ? ERR_FORBIDDEN
                               : !reaches(w, row, READ)                               ? ERR_NOT_FOUND
                               : !reaches(w, row, DELETE)                             ? ERR_FORBIDDEN
                               : used                                                 ? ERR_CONFLICT
                                                                                      : ERR_OK;
    test_ok(rc == want, "delete of %s: %s", KINDS[row->type].name, rc ? err.id : "done");
    if (!rc)
        row->there = false;
}

/* All or nothing: one row out of scope, and nothing is changed. */
static void check_import(struct world *w)
{
    struct err err = { 0 };
    struct table_import done;
    struct row *rows[3] = { NULL };
    struct buf text;
    int count = 0;
    bool good = may(w, AREA, IMPORT) && may(w, AREA, UPDATE) && may(w, AREA, READ);
    buf_init(&text, 4000);
    buf_text(&text, "code,size\n");
    for (int tries = 0; tries < 40 && count < 3; tries++) {
        struct row *row = &w->rows[pick(w, w->rows_count)];
        if (!row->there || row->type != AREA || (count && rows[count - 1] == row) ||
            (count > 1 && rows[0] == row))
            continue;
        rows[count++] = row;
        buf_printf(&text, "%s,%lld\n", row->code, (long long)row->size + 1);
        good = good && reaches(w, row, READ) && reaches(w, row, UPDATE);
    }
    const enum err_code rc = rig_import(&w->rig, &w->who, "p.area", text.ptr, false, &done, &err);
    test_ok((rc == ERR_OK) == good, "import: %s", rc ? err.id : "done");
    for (int i = 0; !rc && i < count; i++)
        rows[i]->size++;
    buf_done(&text);
}

/* Every row in the store is what the model holds. */
static void check_store(struct world *w)
{
    struct err err = { 0 };
    int64_t count = 0;
    for (int type = 0; type < TYPES; type++) {
        struct entity_list what = { .limit = 200 };
        for (bool more = true; more;) {
            json_t *page = rig_list(&w->rig, NULL, KINDS[type].name, what, &err), *one;
            test_ok(page, "all: %s", err.id);
            size_t i;
            json_array_foreach(json_object_get(page, "items"), i, one)
            {
                const struct row *row = row_of(w, record_id(one, "id"));
                test_ok(row && row->type == type && record_i64(one, "size") == row->size, "a row of %s",
                        KINDS[type].name);
                test_ok(row && (type > JOB || record_id(one, "org") == row->org), "org");
                test_ok(row && (type != AREA || record_id(one, "grid") == row->grid), "grid");
                count++;
            }
            what.after = arena_str(w->rig.arena, record_str(page, "next"));
            more = what.after.len > 0;
            json_decref(page);
        }
    }
    for (int i = 0; i < w->rows_count; i++)
        count -= w->rows[i].there;
    test_ok(count == 0, "%lld rows too many", (long long)count);
}

static void move_trees(struct world *w)
{
    struct err err = { 0 };
    char patch[60];
    const int64_t org = 2 + pick(w, ORGS - 1), above = 1 + pick(w, ORGS);
    if (!below_org(w, above, org)) {
        w->org_above[org] = above;
        put_orgs(w);
    }
    const int cell = (int)pick(w, CELLS);
    int64_t version = 0;
    const int64_t parent = pick(w, 4) ? w->cells[pick(w, CELLS)] : 0;
    (void)snprintf(patch, sizeof patch, parent ? "{\"parent\":\"%lld\"}" : "{\"parent\":null}",
                   (long long)parent);
    const enum err_code rc = rig_update(&w->rig, NULL, "core.grid", w->cells[cell], &version, patch, &err);
    const bool circle = below_cell(w, parent, w->cells[cell]);
    test_ok(rc == (circle ? ERR_INVALID : ERR_OK), "move of a cell: %s", err.id);
    if (!rc)
        w->cell_above[cell] = parent;
}

/* ---- cases ---- */

static void make_cells(struct world *w)
{
    char json[120];
    for (int i = 0; i < CELLS; i++) {
        w->cell_above[i] = i ? w->cells[pick(w, i)] : 0;
        (void)snprintf(json, sizeof json,
                       i ? "{\"code\":\"g%d\",\"name\":\"g\",\"parent\":\"%lld\"}"
                         : "{\"code\":\"g%d\",\"name\":\"g\"}",
                       i, (long long)w->cell_above[i]);
        w->cells[i] = rig_add(&w->rig, NULL, "core.grid", "%s", json);
    }
}

static void test_nothing_out_of_scope(void **state)
{
    (void)state;
    static struct world w;
    begin(&w);
    make_cells(&w);
    for (int i = 0; i < 90; i++)
        add_row(&w, (int)pick(&w, TYPES), NULL);
    for (int round = 0; round < ROUNDS; round++) {
        const struct arena_mark mark = arena_mark(w.rig.arena);
        random_rights(&w);
        for (int type = 0; type < TYPES; type++) {
            check_list(&w, type);
            check_rows(&w, type);
            check_export(&w, type);
        }
        check_details(&w);
        for (int i = 0; i < 8; i++) {
            check_change(&w);
            add_row(&w, (int)pick(&w, TYPES), &w.who);
        }
        check_delete(&w);
        check_import(&w);
        check_store(&w);
        move_trees(&w);
        arena_release(w.rig.arena, mark);
    }
    rig_end(&w.rig);
}

/* The tree of the grid: paths follow moves, circles and dangling cells are refused, what is granted stays. */
static void test_grid(void **state)
{
    (void)state;
    static struct world w;
    struct err err = { 0 };
    char want[400], sql[600];
    begin(&w);
    make_cells(&w);
    for (int i = 0; i < 30; i++)
        move_trees(&w);
    for (int i = 0; i < CELLS; i++) {
        json_t *record = rig_get(&w.rig, NULL, "core.grid", w.cells[i], &err);
        test_ok(record, "cell: %s", err.id);
        cell_path(&w, w.cells[i], want, sizeof want);
        test_ok(str_eq(record_str(record, "path"), str_from(want)), "%s", want);
        json_decref(record);
    }
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO user_role (id, user_id, role_id, everything, grid_id, created_at, created_by)"
                   " VALUES (1, 1, 1, 0, %lld, 0, 0)",
                   (long long)w.cells[CELLS - 1]);
    teststore_exec(w.rig.store, sql);
    for (int i = 0; i < CELLS; i++) { /* nothing refers to it but a grant */
        bool leaf = true;
        for (int n = 0; n < CELLS; n++)
            leaf = leaf && w.cell_above[n] != w.cells[i];
        const enum err_code rc = leaf ? rig_delete(&w.rig, NULL, "core.grid", w.cells[i], 0, &err) : ERR_OK;
        if (i == CELLS - 1) {
            test_ok(leaf && rc == ERR_CONFLICT, "granted");
        } else {
            teststore_ok(rc, &err, "delete");
            w.cell_above[i] = leaf ? -1 : w.cell_above[i]; /* gone */
        }
    }
    rig_end(&w.rig);
}

TEST_MAIN(TEST(test_nothing_out_of_scope), TEST(test_grid))
