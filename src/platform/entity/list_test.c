/* list_test.c - lists of records: their order, their pages, what they find; the same cases run on both
 * stores. */
#include "platform/entity/gram.h"
#include "platform/entity/sites_test.h"

#include <unistd.h>

/* The codes of all pages, joined, of those records that `passes` (NULL: every one) lets pass; how many. */
static int walk(struct rig *f, const struct principal *who, struct entity_list what,
                bool (*passes)(const void *ctx, const json_t *record), const void *ctx, struct buf *out)
{
    int count = 0;
    for (int pages = 0; pages < 1000; pages++) {
        struct err err = { 0 };
        json_t *page = rig_list(f, who, "p.site", what, &err), *item;
        test_ok(page, "%s", err.id);
        size_t i;
        json_array_foreach(json_object_get(page, "items"), i, item)
        {
            if (passes && !passes(ctx, item))
                continue;
            buf_str(out, record_str(item, "code"));
            buf_char(out, ' ');
            count++;
        }
        const struct str next = record_str(page, "next");
        if (next.len)
            what.after = arena_str(f->arena, next);
        json_decref(page);
        if (!next.len)
            return count;
    }
    test_ok(false, "pages without end");
    return 0;
}

static void check_count(struct rig *f, const struct principal *who, struct entity_list what, int64_t want)
{
    struct err err = { 0 };
    int64_t count = 0;
    bool exact = false;
    teststore_ok(rig_count(f, who, "p.site", what, &count, &exact, &err), &err, "count");
    test_ok(exact && count == want, "[%s] [%s] count %lld want %lld", what.text.ptr, what.filter.ptr,
            (long long)count, (long long)want);
}

static void test_pages(void **state)
{
    (void)state;
    struct rig f = { 0 };
    begin(&f);
    static const char *const rows[] = {
        "{\"code\":\"a\",\"name\":\"n\",\"size\":2}",
        "{\"code\":\"b\",\"name\":\"m\"}",
        "{\"code\":\"c\",\"name\":\"n\",\"size\":2}",
        "{\"code\":\"d\",\"name\":\"o\",\"size\":-1.5}",
        "{\"code\":\"e\",\"name\":\"n\"}",
        "{\"code\":\"f\",\"name\":\"|x|\",\"size\":7,\"opened\":\"2026-01-02\"}",
        "{\"code\":\"g\",\"name\":\"中\",\"opened\":\"2025-01-02\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        (void)rig_add(&f, NULL, "p.site", "%s", rows[i]);
    static const struct {
        const char *sort, *want;
    } cases[] = {
        { "", "a b c d e f g " },      { "-code", "g f e d c b a " },  { "size", "b e g d a c f " },
        { "-size", "f c a d g e b " }, { "opened", "a b c d e g f " }, { "-opened", "f g e d c b a " },
        { "name", "b a c e d f g " },  { "-id", "g f e d c b a " },    { "id", "a b c d e f g " },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int limit = 1; limit <= 8; limit++) {
            struct buf got;
            buf_init(&got, 1000);
            const struct entity_list what = { .sort = str_from(cases[i].sort), .limit = limit };
            (void)walk(&f, NULL, what, NULL, NULL, &got);
            test_ok(str_eq(buf_get(&got), str_from(cases[i].want)), "%s by %d: %s", cases[i].sort, limit,
                    got.ptr);
            buf_done(&got);
        }
    struct err err = { 0 };
    test_ok(!rig_list(&f, NULL, "p.site", (struct entity_list) { .sort = STR("note") }, &err) &&
                !strcmp(err.id, "entity.not_sortable"),
            "sort");
    test_ok(!rig_list(&f, NULL, "p.site", (struct entity_list) { .after = STR("zzz") }, &err) &&
                !strcmp(err.id, "entity.cursor"),
            "cursor");
    test_ok(!rig_list(&f, NULL, "p.site", (struct entity_list) { .limit = 201 }, &err) &&
                err.code == ERR_INVALID,
            "limit");
    check_count(&f, NULL, (struct entity_list) { 0 }, 7);
    rig_end(&f);
}

/* Random texts and queries: what the list finds is what the rule finds, in the same order. */
static void test_search(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "网", "络", "故", "障", "ab", "c", "1", " ", "-", "，", "网络", "。"
    };
    enum { RECORDS = 120, QUERIES = 80 };
    static char names[RECORDS][80], notes[RECORDS][80];
    struct rig f = { 0 };
    struct err err = { 0 };
    begin(&f);
    uint64_t seed = 11;
    for (int i = 0; i < RECORDS; i++) {
        strcpy(names[i], "名");
        notes[i][0] = 0;
        for (int n = 0; n < 16; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            strcat(n < 6 ? names[i] : notes[i], parts[(seed >> 33) % 12]);
        }
        const int64_t id = rig_add(&f, NULL, "p.site", "{\"code\":\"c%03d\",\"name\":\"%s\",\"note\":\"%s\"}",
                                   i, names[i], notes[i]);
        int64_t version = 1;
        if (i % 3 == 0) { /* the index follows a change */
            strcpy(names[i], i % 2 ? "故障" : "ab");
            char text[100];
            (void)snprintf(text, sizeof text, "{\"name\":\"%s\"}", names[i]);
            teststore_ok(rig_update(&f, NULL, "p.site", id, &version, text, &err), &err, "update");
        }
        if (i % 10 == 9) {
            teststore_ok(rig_delete(&f, NULL, "p.site", id, version, &err), &err, "delete");
            names[i][0] = notes[i][0] = 0;
        }
    }
    for (int q = 0; q < QUERIES; q++) {
        char query[60] = "";
        for (int n = 0; n <= q % 4; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            strcat(query, parts[(seed >> 33) % 12]);
        }
        struct gram_query grams;
        struct buf want, got;
        int64_t count = 0;
        buf_init(&want, 10000);
        buf_init(&got, 10000);
        test_ok(!gram_query(str_from(query), f.arena, &grams, &err), "query");
        for (int i = RECORDS - 1; i >= 0; i--) {
            struct buf normal;
            buf_init(&normal, 1000);
            test_ok(!gram_normal(str_from(names[i]), &normal, &err), "normal");
            if (notes[i][0] && normal.len) {
                buf_text(&normal, " " GRAM_FIELD_SEPARATOR);
                test_ok(!gram_normal(str_from(notes[i]), &normal, &err), "normal");
            }
            if (names[i][0] && gram_found(&grams, buf_get(&normal))) {
                buf_printf(&want, "c%03d ", i);
                count++;
            }
            buf_done(&normal);
        }
        struct entity_list what = { .text = str_from(query), .limit = 7 };
        (void)walk(&f, NULL, what, NULL, NULL, &got);
        test_ok(str_eq(buf_get(&want), buf_get(&got)), "[%s] got %s want %s", query, got.ptr ? got.ptr : "",
                want.ptr ? want.ptr : "");
        if (query[0] && strcmp(query, " "))
            check_count(&f, NULL, what, count);
        buf_clear(&got);
        what.sort = STR("code");
        (void)walk(&f, NULL, what, NULL, NULL, &got);
        test_ok(got.len == want.len, "sorted: %s", got.ptr ? got.ptr : "");
        buf_done(&want);
        buf_done(&got);
    }
    rig_end(&f);
}

/* ---- every way to the rows of a list gives the same answer ---- */

#define WAYS_ROWS 400

struct way {
    const char *filter;
    const char *text;
    bool (*passes)(const json_t *record);
};

static bool passes_all(const json_t *record)
{
    (void)record;
    return true;
}
static bool passes_size(const json_t *record)
{
    return json_number_value(json_object_get(record, "size")) >= 5;
}
static bool passes_name(const json_t *record)
{
    return str_eq(record_str(record, "name"), STR("word 1"));
}
static bool passes_both(const json_t *record)
{
    const json_t *size = json_object_get(record, "size");
    return passes_name(record) && json_is_number(size) && json_number_value(size) < 8;
}
static bool passes_null(const json_t *record)
{
    return json_is_null(json_object_get(record, "size"));
}
static bool passes_rare(const json_t *record)
{
    return str_find(record_str(record, "note"), STR("zz")) >= 0;
}

static bool passes_code(const json_t *record)
{
    return str_find(record_str(record, "code"), STR("c17")) >= 0;
}

static const struct way WAYS[] = {
    { "", "", passes_all },
    { "size >= 5", "", passes_size },
    { "name = \"word 1\"", "", passes_name },
    { "name = \"word 1\" and size < 8", "", passes_both },
    { "size = null", "", passes_null },
    { "contains(code, \"c17\")", "", passes_code },
    { "", "word", passes_all },
    { "size >= 5", "word", passes_size },
    { "", "zz", passes_rare },
};

/* What the scope and the way let pass. */
struct seen {
    const struct way *way;
    bool left, right;
};

static bool passes_seen(const void *ctx, const json_t *record)
{
    const struct seen *seen = ctx;
    return (record_id(record, "org") == 3 ? seen->right : seen->left) && seen->way->passes(record);
}

static void check_way(struct rig *f, const struct principal *who, const struct seen *seen, const char *sort)
{
    const struct way *way = seen->way;
    struct buf want, got;
    struct entity_list what = { .filter = str_from(way->filter),
                                .text = str_from(way->text),
                                .sort = str_from(sort) };
    const struct entity_list all = { .sort = what.sort, .limit = 200 };
    buf_init(&want, 1 << 20);
    buf_init(&got, 1 << 20);
    const int count = walk(f, NULL, all, passes_seen, seen, &want);
    for (what.limit = 7; what.limit <= 200; what.limit += 193) {
        buf_clear(&got);
        (void)walk(f, who, what, NULL, NULL, &got);
        test_ok(str_eq(buf_get(&got), buf_get(&want)), "%s \"%s\" \"%s\" by %d:\n%s\n%s", sort, way->filter,
                way->text, what.limit, want.ptr, got.ptr);
    }
    what.sort = (struct str) { 0 };
    what.limit = 0;
    check_count(f, who, what, count);
    buf_done(&want);
    buf_done(&got);
}

static void test_ways(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    struct table_import done;
    struct buf csv, orgs;
    begin(&f);
    buf_init(&orgs, 1 << 20);
    buf_text(&orgs,
             "INSERT INTO org (id, path, code, name, version, created_at, created_by, updated_at, updated_by)"
             " VALUES ");
    for (int i = 100; i < 180; i++)
        buf_printf(&orgs, "%s(%d, '/1/2/%d/', 'o%d', 'x', 1, 0, 0, 0, 0)", i > 100 ? ", " : "", i, i, i);
    teststore_exec(f.store, orgs.ptr);
    buf_done(&orgs);
    buf_init(&csv, 1 << 20);
    buf_text(&csv, "code,name,size,opened,note,org\n");
    for (int i = 0; i < WAYS_ROWS; i++) { /* ties, and rows without a value */
        const int r = (int)((unsigned)i * 2654435761u >> 8);
        buf_printf(&csv, "c%03d,word %d,", i, r % 4);
        if (r % 5)
            buf_printf(&csv, "%d", r % 11);
        buf_text(&csv, ",");
        if (r % 7 == 0)
            buf_printf(&csv, "2026-01-%02d", r % 28 + 1);
        buf_printf(&csv, ",%s,", i % 90 == 7 ? "zz" : "note");
        if (r % 3 == 0)
            buf_text(&csv, "c\n");
        else
            buf_printf(&csv, r % 3 == 1 ? "b\n" : "o%d\n", 100 + r % 80);
    }
    teststore_ok(rig_import(&f, NULL, "p.site", csv.ptr, false, &done, &err), &err, "import");
    buf_done(&csv);
    const struct grant broad = { ALL_RIGHTS, 1, { .org_id = 2, .org_path = STR("/1/2/") } };
    const struct grant narrow = { ALL_RIGHTS, 1, { .org_id = 3, .org_path = STR("/1/3/") } };
    const struct grant two[] = { narrow, broad };
    const struct principal in_broad = user_of(&broad), in_narrow = user_of(&narrow);
    struct principal both = user_of(two);
    both.grant_count = 2;
    static const char *const sorts[] = {
        "code", "-code", "size", "-size", "opened", "-opened", "-name", "-id"
    };
    for (size_t w = 0; w < sizeof WAYS / sizeof *WAYS; w++)
        for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
            const struct seen left = { &WAYS[w], true, false }, right = { &WAYS[w], false, true },
                              all = { &WAYS[w], true, true };
            check_way(&f, &in_broad, &left, sorts[i]);
            check_way(&f, &in_narrow, &right, sorts[i]);
            if (i % 3 == 0)
                check_way(&f, &both, &all, sorts[i]);
        }
    rig_end(&f);
}

/* ---- the pending entries of a search index ---- */

static int64_t pending_pages(struct store *store)
{
    return teststore_number(
        store, "SELECT n_pending_pages FROM gin_metapage_info(get_raw_page('p_site_text_gin', 0))");
}

/* Until then nobody empties the list of a few rows; a thread does, and nothing of it is lost. */
static void test_tidy(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    begin(&f);
    const bool postgres = teststore_is_postgres();
    if (postgres) {
        teststore_exec(f.store, "CREATE EXTENSION IF NOT EXISTS pageinspect");
        teststore_exec(f.store, "ALTER INDEX p_site_text_gin SET (gin_pending_list_limit = 1024)");
    }
    for (int i = 0; i < 20; i++)
        rig_add(&f, NULL, "p.site", "{\"code\":\"t%02d\",\"name\":\"\xe7\xbd\x91\xe7\xbb\x9c%d\"}", i, i);
    test_ok(!postgres || pending_pages(f.store) > 0, "rows wait in the list");
    teststore_ok(entity_tidy_start(f.entity, &err), &err, "start");
    entity_wait_room(f.entity, entity_type_find(f.entity, "p.site")); /* there is room */
    rig_add(&f, NULL, "p.site", "{\"code\":\"last\",\"name\":\"\xe7\xbd\x91\xe7\xbb\x9c\"}");
    const int64_t until = clock_mono(&CLOCK_SYSTEM) + 60000;
    while (postgres && pending_pages(f.store) > 0) {
        test_ok(clock_mono(&CLOCK_SYSTEM) < until, "the list is emptied");
        (void)usleep(50000);
    }
    test_ok(!postgres ||
                teststore_number(f.store, "SELECT count(*) FROM pg_class WHERE"
                                          " oid = CAST('p_site_text_gin' AS regclass)"
                                          " AND 'gin_pending_list_limit=8192' = ANY (reloptions)") == 1,
            "an older index gets the limit of today");
    json_t *page =
        rig_list(&f, NULL, "p.site",
                 (struct entity_list) { .text = STR("\xe7\xbd\x91\xe7\xbb\x9c"), .limit = 50 }, &err);
    test_ok(json_array_size(json_object_get(page, "items")) == 21, "all are found");
    json_decref(page);
    rig_end(&f);
}

/* ---- counts ---- */

/* What is far more than is counted is told by a sample of the newest rows, on PostgreSQL; and nothing else
 * is. */
static void test_plenty(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    begin(&f);
    for (int i = 0; i < 40; i++)
        rig_add(&f, NULL, "p.site", "{\"code\":\"n%02d\",\"name\":\"%s\",\"size\":%d}", i,
                i % 2 ? "\xe7\xbd\x91\xe7\xbb\x9c" : "\xe6\x95\x85\xe9\x9a\x9c", i);
    const bool postgres = teststore_is_postgres();
    if (postgres) { /* as if there were a million */
        teststore_exec(f.store, "ANALYZE p_site_text");
        teststore_exec(f.store, "UPDATE pg_class SET reltuples = 1000000 WHERE oid IN"
                                " (CAST('p_site' AS regclass), CAST('p_site_text' AS regclass))");
    }
    const struct {
        struct entity_list list;
        int64_t exact;
        bool plenty;
    } cases[] = {
        { { .limit = 1 }, 40, true },
        { { .text = STR("\xe7\xbd\x91\xe7\xbb\x9c"), .limit = 1 }, 20, true },
        { { .filter = STR("size < 20"), .limit = 1 }, 20, true },
        { { .filter = STR("size < 1"), .limit = 1 }, 1, false }, /* 25,000 of a million: counted */
        { { .text = STR("\xe6\x9c\xba"), .limit = 1 }, 0, false },
        { { .text = STR("\xe7\xbd\x91\xe7\xbb\x9c"), .filter = STR("size < 2"), .limit = 1 }, 1, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t count = -1;
        bool exact = false;
        teststore_ok(rig_count(&f, NULL, "p.site", cases[i].list, &count, &exact, &err), &err, "count");
        const bool plenty = postgres && cases[i].plenty;
        test_ok(count == (plenty ? ENTITY_COUNT_MAX : cases[i].exact) && exact == !plenty, "%d: %d %d",
                (int)i, (int)count, exact);
    }
    rig_end(&f);
}

TEST_MAIN(TEST(test_pages), TEST(test_search), TEST(test_ways), TEST(test_tidy), TEST(test_plenty))
