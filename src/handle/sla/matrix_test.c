/* matrix_test.c - limits of the real catalogue, where it is at hand, and of small made-up ones. */
#include "handle/sla/matrix.h"
#include "test.h"

#define MINUTE INT64_C(60000)

struct world {
    struct calendar *always, *office, *key;
    struct sla_calendars calendars;
};

static const struct calendar *find(const void *ctx, struct str name)
{
    const struct world *world = ctx;
    return str_eq(name, STR("with-key")) ? world->key : NULL;
}

static void world_init(struct world *world)
{
    const struct calendar_key keys[] = { { 20727, 20733, STR("National Day") } }; /* 2026-10-01 to 10-07 */
    const struct calendar_spec always = { .always = true };
    const struct calendar_spec office = { .hours = STR(CALENDAR_OFFICE_HOURS), .holidays_cn = true };
    const struct calendar_spec key = { .hours = STR(CALENDAR_OFFICE_HOURS), .keys = keys, .keys_count = 1 };
    struct err err = { 0 };
    test_ok(!calendar_new(&always, &world->always, &err) && !calendar_new(&office, &world->office, &err) &&
                !calendar_new(&key, &world->key, &err),
            "%s", err.id);
    world->calendars = (struct sla_calendars) { world->always, world->office, find, world };
}

static void world_done(struct world *world)
{
    calendar_free(world->always);
    calendar_free(world->office);
    calendar_free(world->key);
}

static const char SNAPSHOT[] =
    "{\"rows\":["
    "{\"id\":\"1\",\"service\":\"*business\",\"level\":\"1\",\"calendar\":\"always\",\"limits\":{\"respond\":"
    "10,"
    "\"restore\":60,\"report\":480}},"
    "{\"id\":\"2\",\"service\":\"*business\",\"level\":\"3\",\"calendar\":\"always\",\"limits\":{\"respond\":"
    "10,"
    "\"restore\":720}},"
    "{\"id\":\"3\",\"service\":\"own\",\"level\":\"1\",\"calendar\":\"always\",\"limits\":{\"restore\":30}},"
    "{\"id\":\"4\",\"service\":\"own\",\"level\":\"any\",\"calendar\":\"always\",\"limits\":{\"respond\":5,"
    "\"restore\":600}},"
    "{\"id\":\"5\",\"service\":\"pair\",\"level\":\"attack\",\"calendar\":\"working\",\"limits\":{\"solve\":"
    "300}},"
    "{\"id\":\"6\",\"service\":\"pair\",\"level\":\"attack\",\"calendar\":\"non-working\",\"limits\":{"
    "\"solve\":480}},"
    "{\"id\":\"7\",\"service\":\"alone\",\"level\":\"request\",\"calendar\":\"working\",\"limits\":{"
    "\"contact\":480}},"
    "{\"id\":\"8\",\"service\":\"keyed\",\"level\":\"1\",\"calendar\":\"non-key\",\"limits\":{\"respond\":10}"
    "},"
    "{\"id\":\"9\",\"service\":\"keyed\",\"level\":\"1\",\"calendar\":\"key\",\"limits\":{\"respond\":5}},"
    "{\"id\":\"10\",\"service\":\"own\",\"level\":\"2\",\"calendar\":\"always\",\"limits\":{},\"workaround\":"
    "false}],"
    "\"services\":{\"own\":{\"general\":\"*business\"},\"pair\":{\"general\":\"*business\"},"
    "\"plain\":{\"general\":\"*business\"},\"keyed\":{\"calendar\":\"with-key\"},\"alone\":{},\"silent\":{}}"
    "}";

static struct sla_matrix *matrix_of(const char *text)
{
    struct sla_matrix *matrix = NULL;
    struct err err = { 0 };
    json_t *json = json_loads(text, 0, NULL);
    test_ok(json && !sla_matrix_new(json, &matrix, &err), "%s %s", err.id, err.at.pointer);
    json_decref(json);
    return matrix;
}

static void test_lookup(void **state)
{
    static const struct {
        const char *service, *level, *opened;
        enum sla_clock clock;
        enum sla_source source;
        int minutes;
        int64_t row;
        bool office; /* counts working time */
    } cases[] = {
        { "plain", "1", "2026-11-20T10:00:00+08:00", SLA_RESPOND, SLA_GENERAL, 10, 1, false },
        { "plain", "2", "2026-11-20T10:00:00+08:00", SLA_RESPOND, SLA_NOT_AGREED, 0, 0, false },
        { "own", "1", "2026-11-20T10:00:00+08:00", SLA_RESTORE, SLA_OWN, 30, 3, false },
        { "own", "1", "2026-11-20T10:00:00+08:00", SLA_RESPOND, SLA_ANY, 5, 4, false },
        { "own", "1", "2026-11-20T10:00:00+08:00", SLA_REPORT, SLA_GENERAL, 480, 1, false },
        { "own", "3", "2026-11-20T10:00:00+08:00", SLA_RESTORE, SLA_ANY, 600, 4, false },
        { "own", "1", "2026-11-20T10:00:00+08:00", SLA_SOLVE, SLA_NOT_AGREED, 0, 0, false },
        { "pair", "attack", "2026-11-20T10:00:00+08:00", SLA_SOLVE, SLA_OWN, 300, 5, false },
        { "pair", "attack", "2026-11-20T18:00:00+08:00", SLA_SOLVE, SLA_OWN, 480, 6, false },
        { "pair", "attack", "2026-11-21T10:00:00+08:00", SLA_SOLVE, SLA_OWN, 480, 6, false },
        { "alone", "request", "2026-11-21T10:00:00+08:00", SLA_CONTACT, SLA_OWN, 480, 7, true },
        { "keyed", "1", "2026-10-02T10:00:00+08:00", SLA_RESPOND, SLA_OWN, 5, 9, false },
        { "keyed", "1", "2026-11-21T10:00:00+08:00", SLA_RESPOND, SLA_OWN, 10, 8, false },
        { "silent", "1", "2026-11-21T10:00:00+08:00", SLA_RESPOND, SLA_NOT_AGREED, 0, 0, false },
        { "unknown", "1", "2026-11-21T10:00:00+08:00", SLA_RESPOND, SLA_NOT_AGREED, 0, 0, false },
    };
    struct world world;
    struct sla_matrix *matrix = matrix_of(SNAPSHOT);
    (void)state;
    world_init(&world);
    struct sla_lookup lookup = { matrix, &world.calendars };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sla_term terms[SLA_CLOCK__COUNT];
        struct err err = { 0 };
        test_ok(!sla_matrix_terms(&lookup, str_from(cases[i].service), str_from(cases[i].level),
                                  test_at(cases[i].opened), terms, &err),
                "%s", cases[i].service);
        const struct sla_term *term = &terms[cases[i].clock];
        test_ok(term->source == cases[i].source, "%s %s: %s", cases[i].service, cases[i].level,
                sla_source_name(term->source));
        test_ok(term->limit_ms == cases[i].minutes * MINUTE && term->row_id == cases[i].row, "%s %s: row %d",
                cases[i].service, cases[i].level, (int)term->row_id);
        test_ok(term->calendar == (cases[i].office ? world.office : world.always), "%s %s: calendar",
                cases[i].service, cases[i].level);
    }
    sla_matrix_free(matrix);
    world_done(&world);
}

static void test_levels_and_workaround(void **state)
{
    struct world world;
    struct sla_matrix *matrix = matrix_of(SNAPSHOT);
    struct str levels[8];
    struct sla_term terms[SLA_CLOCK__COUNT];
    struct err err = { 0 };
    (void)state;
    world_init(&world);
    struct sla_lookup lookup = { matrix, &world.calendars };
    assert_int_equal(sla_matrix_levels(matrix, STR("own"), levels, 8), 3);
    test_ok(str_eq(levels[0], STR("1")) && str_eq(levels[2], STR("3")), "order");
    assert_int_equal(sla_matrix_levels(matrix, STR("pair"), levels, 2), 2);
    assert_int_equal(sla_matrix_levels(matrix, STR("unknown"), levels, 8), 0);
    assert_int_equal(sla_matrix_terms(&lookup, STR("plain"), STR("1"), 0, terms, &err), ERR_OK);
    assert_true(terms[SLA_RESTORE].workaround_ok);
    assert_int_equal(sla_matrix_terms(&lookup, STR("plain"), STR("3"), 0, terms, &err), ERR_OK);
    assert_false(terms[SLA_RESTORE].workaround_ok);
    sla_matrix_free(matrix);
    world_done(&world);
}

static void test_bad(void **state)
{
    static const struct {
        const char *text, *pointer;
    } cases[] = {
        { "{}", "/rows" },
        { "{\"rows\":[]}", "/services" },
        { "{\"rows\":[{}],\"services\":{}}", "/rows/0" },
        { "{\"rows\":[{\"id\":\"1\",\"service\":\"a\",\"level\":\"1\",\"calendar\":\"sometimes\"}],"
          "\"services\":{}}",
          "/rows/0" },
        { "{\"rows\":[{\"id\":\"1\",\"service\":\"a\",\"level\":\"1\",\"calendar\":\"always\",\"limits\":"
          "{\"respond\":-1}}],\"services\":{}}",
          "/rows/0" },
        { "{\"rows\":[{\"id\":\"1\",\"service\":\"a\",\"level\":\"1\",\"calendar\":\"always\",\"limits\":"
          "{\"respond\":1.5}}],\"services\":{}}",
          "/rows/0" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sla_matrix *matrix = NULL;
        struct err err = { 0 };
        json_t *json = json_loads(cases[i].text, 0, NULL);
        test_ok(json && sla_matrix_new(json, &matrix, &err) == ERR_INVALID, "%s", cases[i].text);
        assert_string_equal(err.at.pointer, cases[i].pointer);
        json_decref(json);
    }
}

static void test_out_of_memory(void **state)
{
    json_t *json = json_loads(SNAPSHOT, 0, NULL);
    (void)state;
    for (long nth = 0;; nth++) {
        struct sla_matrix *matrix = NULL;
        struct err err = { 0 };
        const long before = mem_live();
        mem_fail_at(nth);
        const enum err_code rc = sla_matrix_new(json, &matrix, &err);
        mem_fail_at(-1);
        sla_matrix_free(matrix);
        test_ok(mem_live() == before && (rc == ERR_OK || rc == ERR_NOMEM), "at %ld", nth);
        if (!rc)
            break;
    }
    json_decref(json);
}

TEST_MAIN(TEST(test_lookup), TEST(test_levels_and_workaround), TEST(test_bad), TEST(test_out_of_memory))
