/* import_test.c - records from tables and back into them; the same cases run on both stores. */
#include "platform/entity/sites_test.h"

/* All sites out into a file that says `has`, and in again: nothing changes. */
static void round_trip(struct rig *rig, int64_t count, const char *has)
{
    const struct entity_call call = { .entity = rig->entity, .lang = LANG_EN, .arena = rig->arena };
    const struct entity_list what = { .limit = 1 };
    struct table_import done;
    struct err err = { 0 };
    struct buf text;
    char path[120];
    int64_t rows = 0;
    (void)snprintf(path, sizeof path, "%s/out.csv", rig->root);
    teststore_ok(entity_export(&call, entity_type_find(rig->entity, "p.site"), &what, TABLE_CSV, path, false,
                               &rows, &err),
                 &err, "export");
    test_ok(rows == count, "%lld", (long long)rows);
    buf_init(&text, 1 << 20);
    test_ok(!buf_read_file(&text, path, &err) && strstr(text.ptr, has), "read: %s", text.ptr);
    const enum err_code rc = rig_import(rig, NULL, "p.site", text.ptr, false, &done, &err);
    test_ok(!rc && done.unchanged == count, "%s: %lld", rc ? rig->findings.items[0].id : "ok",
            (long long)done.unchanged);
    buf_done(&text);
}

static void test_import(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    struct table_import done;
    begin(&f);
    static const char good[] =
        "code,name,org,size,parent,geo\r\ns1,\"a,1\",b,1.5,,\"{\"\"lat\"\":1}\"\r\ns2,two,c,,s1,\r\n";
    teststore_ok(rig_import(&f, NULL, "p.site", good, true, &done, &err), &err, "dry run");
    test_ok(done.created == 2 && teststore_number(f.store, "SELECT count(*) FROM p_site") == 0,
            "only a preview");
    teststore_ok(rig_import(&f, NULL, "p.site", good, false, &done, &err), &err, "import");
    test_ok(done.rows == 2 && done.created == 2, "%lld", (long long)done.created);
    test_ok(teststore_number(
                f.store, "SELECT count(*) FROM p_site t JOIN p_site p ON p.id = t.parent WHERE t.code = 's2' "
                         "AND p.code = 's1'") == 1,
            "key");
    teststore_ok(rig_import(&f, NULL, "p.site", "name,code\nnew,s1\ntwo,s2\n", false, &done, &err), &err,
                 "again");
    test_ok(done.updated == 1 && done.unchanged == 1, "%lld %lld", (long long)done.updated,
            (long long)done.unchanged);
    test_ok(teststore_number(f.store, "SELECT count(*) FROM p_site WHERE name = 'new' AND size = 1.5") == 1,
            "other columns stay");
    static const struct {
        const char *csv, *id;
        int line, column;
    } cases[] = {
        { "", "entity.no_header", 0, 0 },
        { "code,nope\n", "entity.unknown_column", 1, 6 },
        { "code,code\n", "entity.column_twice", 1, 6 },
        { "code,name\nx,y\n\nz,\"", "csv.open", 4, 3 },
        { "code,name,org\nx,y,zzz\n", "entity.no_reference", 2, 5 },
        { "code,size,name\nx,many,y\n", "entity.wrong_type", 2, 3 },
        { "code,name\nx,y\nx2\n", "entity.required", 3, 1 },
        { "code,name\nx,y,z\n", "entity.too_many_cells", 2, 5 },
        { "name,code\ny,x\nw,x\n\xe4\xb8\xad,\n", "entity.required", 4, 3 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_ok(rig_import(&f, NULL, "p.site", cases[i].csv, false, &done, &err) == ERR_INVALID, "%s",
                cases[i].csv);
        const struct err *first = &f.findings.items[0];
        test_ok(f.findings.count && !strcmp(first->id, cases[i].id), "%s: %s", cases[i].csv,
                f.findings.count ? first->id : "none");
        test_ok(first->at.line == cases[i].line && first->at.column == cases[i].column, "%s: %d:%d",
                cases[i].csv, first->at.line, first->at.column);
        test_ok(teststore_number(f.store, "SELECT count(*) FROM p_site") == 2, "nothing is left");
    }
    round_trip(&f, 2, "s1,new");
    rig_end(&f);
}

/* As spreadsheets on Chinese machines save it; what is neither that nor UTF-8 changes nothing. */
static void test_charset(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    struct table_import done;
    begin(&f);
    /* "code,name" and two names in GBK, one of them quoted with a line break in it */
    teststore_ok(rig_import(&f, NULL, "p.site",
                            "code,name\r\ns1,\xd6\xd0\xd0\xc4\xbb\xfa\xb7\xbf\r\n"
                            "s2,\"\xb1\xb1\r\n\xbe\xa9\"\r\n",
                            false, &done, &err),
                 &err, "GBK");
    test_ok(done.created == 2 && !strcmp(done.charset, "GB18030"), "%s", done.charset);
    test_ok(teststore_number(f.store, "SELECT count(*) FROM p_site WHERE name = '\xe4\xb8\xad\xe5\xbf\x83"
                                      "\xe6\x9c\xba\xe6\x88\xbf'") == 1,
            "in UTF-8");
    teststore_ok(rig_import(&f, NULL, "p.site", "code,name\ns1,\xe4\xb8\xad\n", false, &done, &err), &err,
                 "UTF-8");
    test_ok(done.updated == 1 && !strcmp(done.charset, "UTF-8"), "%s", done.charset);
    test_ok(rig_import(&f, NULL, "p.site", "code,name\ns3,x\ns4,a\xff\n", false, &done, &err) == ERR_INVALID,
            "neither");
    const struct err *first = &f.findings.items[0];
    test_ok(f.findings.count == 1 && !strcmp(first->id, "charset.neither") && first->at.line == 3 &&
                first->at.column == 5,
            "%s %d:%d", first->id, first->at.line, first->at.column);
    test_ok(teststore_number(f.store, "SELECT count(*) FROM p_site") == 2, "nothing is left");
    rig_end(&f);
}

/* A duplicate may be noticed after the last row only: told at its row all the same, also of a dry run. */
static void test_import_duplicate(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    struct table_import done;
    begin(&f);
    rig_put(&f, "p/types/tag.json", TAG);
    rig_load(&f);
    teststore_ok(rig_tables(&f, &err), &err, "tables");
    for (int dry = 1; dry >= 0; dry--) {
        test_ok(rig_import(&f, NULL, "p.tag", "code,name\na,1\nb,2\nc,1\n", dry, &done, &err) != ERR_OK,
                "refused");
        test_ok(f.findings.count == 1 && f.findings.items[0].at.line == 4, "%d at %d", f.findings.count,
                f.findings.items[0].at.line);
        test_ok(teststore_number(f.store, "SELECT count(*) FROM p_tag") == 0, "nothing is left");
    }
    rig_end(&f);
}

/* Lists of references: names in their order, a round trip through a file, what is referred to stays. */
static void test_reference_lists(void **state)
{
    (void)state;
    struct rig f = { 0 };
    struct err err = { 0 };
    int64_t ids[4];
    begin(&f);
    static const char *const names[] = { "east", "west", "north" };
    for (int i = 0; i < 3; i++)
        ids[i] = rig_add(&f, NULL, "p.site", "{\"code\":\"s%d\",\"name\":\"%s\",\"org\":\"2\"}", i, names[i]);
    ids[3] = rig_add(&f, NULL, "p.site",
                     "{\"code\":\"hub\",\"name\":\"hub\",\"org\":\"2\",\"near\":[\"%lld\",\"%lld\"],"
                     "\"links\":[{\"to\":\"%lld\"}]}",
                     (long long)ids[1], (long long)ids[0], (long long)ids[2]);
    f.labels = true;
    json_t *record = rig_get(&f, NULL, "p.site", ids[3], &err);
    const char *label = json_string_value(json_object_get(json_object_get(record, "_labels"), "near"));
    test_ok(label && !strcmp(label, "west, east"), "%s", label ? label : "none");
    json_decref(record);
    for (int i = 0; i < 3; i++)
        test_ok(rig_delete(&f, NULL, "p.site", ids[i], 0, &err) == ERR_CONFLICT &&
                    !strcmp(err.id, "entity.referenced"),
                "%s is referred to: %s", names[i], err.id);
    test_ok(rig_create(&f, NULL, "p.site", "{\"code\":\"x\",\"name\":\"x\",\"links\":[{\"to\":\"5\"}]}", NULL,
                       &err) == ERR_INVALID &&
                !strcmp(err.id, "entity.reference"),
            "nobody is 5: %s", err.id);
    round_trip(&f, 4, "s1;s0"); /* keys of the list */
    teststore_ok(rig_delete(&f, NULL, "p.site", ids[3], 0, &err), &err, "the hub");
    teststore_ok(rig_delete(&f, NULL, "p.site", ids[2], 0, &err), &err, "then the others");
    rig_end(&f);
}

TEST_MAIN(TEST(test_import), TEST(test_charset), TEST(test_reference_lists), TEST(test_import_duplicate))
