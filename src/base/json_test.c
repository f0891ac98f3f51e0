#include "base/json.h"
#include "base/calendar.h"
#include "test.h"

/* What a writer made, as text; frees it. */
static bool says(json_t *value, const char *want)
{
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    const bool same = text && strcmp(text, want) == 0;
    if (!same)
        (void)fprintf(stderr, "# got %s, want %s\n", text ? text : "(nothing)", want);
    free(text);
    json_decref(value);
    return same;
}

static void test_ids(void **state)
{
    (void)state;
    test_ok(says(json_id(1), "\"1\""), "one");
    test_ok(says(json_id(INT64_MAX), "\"9223372036854775807\""), "the whole range, beyond 2^53");
    test_ok(says(json_id(0), "null"), "none");
}

static void test_instants(void **state)
{
    (void)state;
    test_ok(says(json_instant(INT64_C(1795241100000)), "\"2026-11-21T14:05:00+08:00\""), "a whole second");
    test_ok(says(json_instant(INT64_C(1795241100007)), "\"2026-11-21T14:05:00.007+08:00\""), "milliseconds");
    test_ok(says(json_instant(-1), "\"1970-01-01T07:59:59.999+08:00\""), "before 1970");
    test_ok(says(json_instant(0), "null"), "none");
    test_ok(says(json_instant(CALENDAR_NEVER), "null"), "never");
}

static void test_days(void **state)
{
    (void)state;
    test_ok(says(json_day(0), "\"1970-01-01\""), "day 0 is a day");
    test_ok(says(json_day(20778), "\"2026-11-21\""), "today");
    test_ok(says(json_day(-719162), "\"0001-01-01\""), "the first");
    test_ok(says(json_day(-719163), "null"), "before the first");
    test_ok(says(json_day(2932896), "\"9999-12-31\""), "the last");
    test_ok(says(json_day(INT64_MAX), "null") && says(json_day(INT64_MIN), "null"), "no day at all");
}

static void test_text(void **state)
{
    (void)state;
    test_ok(says(json_str(STR("\xe5\xb7\xa5\xe5\x8d\x95 \"a\"")), "\"\xe5\xb7\xa5\xe5\x8d\x95 \\\"a\\\"\""),
            "quoted");
    test_ok(says(json_str(str_slice(STR("abcdef"), 1, 3)), "\"bc\""), "no NUL behind it");
    test_ok(says(json_str((struct str) { 0 }), "\"\""), "none is empty");
    test_ok(says(json_str_or_null((struct str) { 0 }), "null"), "none is null");
    test_ok(says(json_str_or_null(STR("")), "null"), "empty is null");
    test_ok(says(json_str_or_null(STR("x")), "\"x\""), "some");
    test_ok(!json_str(STR("\xff")), "not UTF-8");
}

static void test_reading(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        int64_t id;
        const char *text;
    } cases[] = {
        { "id", INT64_MAX, "9223372036854775807" },
        { "zero", 0, "0" },
        { "minus", 0, "-5" },
        { "more", 0, "9223372036854775808" },
        { "word", 0, "local" },
        { "empty", 0, "" },
        { "number", 0, NULL },
        { "null", 0, NULL },
        { "absent", 0, NULL },
    };
    json_t *json =
        json_loads("{\"id\":\"9223372036854775807\",\"zero\":\"0\",\"minus\":\"-5\",\"number\":7,"
                   "\"more\":\"9223372036854775808\",\"word\":\"local\",\"empty\":\"\",\"null\":null}",
                   0, NULL);
    test_ok(json != NULL, "the document");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct str text = json_get_str(json, cases[i].field);
        test_ok(json_get_id(json, cases[i].field) == cases[i].id, "id of %s", cases[i].field);
        test_ok(cases[i].text ? text.ptr && str_eq(text, str_from(cases[i].text)) : !text.ptr && !text.len,
                "text of %s", cases[i].field);
    }
    json_decref(json);
    test_ok(!json_get_id(NULL, "id") && !json_get_str(NULL, "id").ptr && !json_to_id(NULL), "no object");
}

static void test_there_and_back(void **state)
{
    (void)state;
    for (int64_t id = 1; id > 0 && id < INT64_MAX / 7; id = id * 7 + 3) {
        json_t *value = json_id(id);
        test_ok(json_to_id(value) == id, "%lld", (long long)id);
        json_decref(value);
    }
}

TEST_MAIN(TEST(test_ids), TEST(test_instants), TEST(test_days), TEST(test_text), TEST(test_reading),
          TEST(test_there_and_back))
