#include "judge/trigger/trigger.h"
#include "test.h"

#define NOW INT64_C(1795241100000)

static struct clock test_clock;

/* What was told, as a line: "+KEY TITLE|VALUE" or "-KEY". */
static char told[8192];

static void on_verdict(void *ctx, const struct trigger_verdict *verdict)
{
    (void)ctx;
    const size_t len = strlen(told);
    if (verdict->problem)
        (void)snprintf(told + len, sizeof told - len, "+%.*s g%d %.*s|%.*s\n", STR_ARG(verdict->key),
                       verdict->grade, STR_ARG(verdict->title), STR_ARG(verdict->value));
    else
        (void)snprintf(told + len, sizeof told - len, "-%.*s\n", STR_ARG(verdict->key));
}

static json_t *parse(const char *text)
{
    char copy[2000];
    size_t len = 0;
    for (; text[len] && len + 1 < sizeof copy; len++)
        copy[len] = text[len] == '\'' ? '"' : text[len];
    copy[len] = 0;
    json_error_t error;
    json_t *json = json_loads(copy, 0, &error);
    test_ok(json != NULL, "%s: %s", error.text, text);
    return json;
}

static struct triggers *begin(void)
{
    struct triggers *triggers = NULL;
    struct err err;
    clock_test_init(&test_clock, NOW);
    told[0] = 0;
    const struct triggers_config config = { .clock = &test_clock, .verdict = on_verdict };
    test_ok(triggers_new(&config, &triggers, &err) == ERR_OK, "new");
    return triggers;
}

static void set(struct triggers *triggers, int64_t id, const char *text)
{
    struct err err = { 0 };
    json_t *json = parse(text);
    test_ok(triggers_set(triggers, id, json, &err) == ERR_OK, "%s: %s at %s %d:%d", text, err.id,
            err.at.pointer, err.at.line, err.at.column);
    json_decref(json);
}

static void watch(struct triggers *triggers, int64_t id, int nodes)
{
    struct err err;
    const struct trigger_check check = { .id = id,
                                         .subject = 7,
                                         .service = 3,
                                         .kind = COLLECT_HTTP,
                                         .interval_ms = 10000,
                                         .nodes = nodes,
                                         .name = STR("site") };
    test_ok(triggers_check_set(triggers, &check, &err) == ERR_OK, "check");
}

/* One result of node `node` at NOW + `s` seconds (the clock is set to it). */
static void feed(struct triggers *triggers, int64_t node, int s, enum collect_cause cause, int total_ms)
{
    struct collect_result result = { .check_id = 1, .at_ms = NOW + s * 1000, .cause = (uint8_t)cause };
    if (cause == CAUSE_NONE) {
        result.present = 1u << COLLECT_UP | 1u << COLLECT_TOTAL;
        result.values[COLLECT_TOTAL] = total_ms * 1000;
    }
    if (result.at_ms > test_clock.test_ms)
        test_clock.test_ms = result.at_ms;
    triggers_feed(triggers, node, &result, 1);
}

/* Steps "NODE@SECOND:VALUE ...": a number = good in that many ms, "x" = refused, "t" = a tick, "!" = our own
 * fault. */
static void play(struct triggers *triggers, const char *steps)
{
    int node, second, at = 0, value;
    char what[20];
    for (; sscanf(steps, " %d@%d:%19s%n", &node, &second, what, &at) == 3; steps += at) {
        if (strcmp(what, "x") == 0)
            feed(triggers, node, second, CAUSE_REFUSED, 0);
        else if (strcmp(what, "!") == 0)
            feed(triggers, node, second, CAUSE_LOCAL, 0);
        else if (strcmp(what, "t") == 0) {
            test_clock.test_ms = NOW + second * 1000;
            triggers_tick(triggers);
        } else if (sscanf(what, "%d", &value) == 1)
            feed(triggers, node, second, CAUSE_NONE, value);
    }
}

static void test_histories(void **state)
{
    (void)state;
    static const struct {
        const char *name, *trigger;
        int nodes;
        const char *steps, *want;
    } cases[] = {
        { "down and up", "{'name':'down','kind':'condition','condition':'not(up)','grade':1}", 1,
          "0@0:50 0@10:x 0@20:x 0@30:60 0@40:70", "-5:1\n+5:1 g1 site: down|refused\n-5:1\n" },
        { "the first verdict is told also when bad", "{'kind':'condition','condition':'not(up)','name':'d'}",
          1, "0@0:x", "+5:1 g2 site: d|refused\n" },
        { "duration", "{'kind':'condition','condition':'not(up)','for_s':20,'name':'d'}", 1,
          "0@0:50 0@10:x 0@20:x 0@25:9 0@30:x 0@40:x 0@50:x", "-5:1\n+5:1 g2 site: d|refused\n" },
        { "duration of the end", "{'kind':'condition','condition':'not(up)','clear_for_s':20,'name':'d'}", 1,
          "0@0:x 0@10:5 0@20:x 0@30:5 0@40:5 0@50:5", "+5:1 g2 site: d|refused\n-5:1\n" },
        { "hysteresis",
          "{'kind':'condition','condition':'total_ms > 100','clear_condition':'total_ms < 50','name':'slow'}",
          1, "0@0:50 0@10:101 0@20:99 0@30:60 0@40:120 0@50:49 0@60:99",
          "-5:1\n+5:1 g2 site: slow|101.0 ms\n-5:1\n" },
        { "a condition without an answer changes nothing",
          "{'kind':'condition','condition':'total_ms > 100','name':'slow'}", 1,
          "0@0:150 0@10:x 0@20:x 0@30:90", "+5:1 g2 site: slow|150.0 ms\n-5:1\n" },
        { "recent values",
          "{'kind':'condition','condition':'count(recent.total_ms) >= 3 and mean(recent.total_ms) > "
          "100','name':'m'}",
          1, "0@0:200 0@10:200 0@20:50 0@30:20 0@40:20 0@50:1", "-5:1\n+5:1 g2 site: m|50.0 ms\n-5:1\n" },
        { "two of three nodes", "{'kind':'condition','condition':'not(up)','nodes_min':2,'name':'q'}", 3,
          "1@0:5 2@1:5 3@2:5 1@10:x 2@11:5 3@12:5 1@20:x 2@21:x 3@22:5 1@30:x 2@31:5 3@32:5",
          "-5:1\n+5:1 g2 site: q|refused\n-5:1\n" },
        { "more than there are nodes means all",
          "{'kind':'condition','condition':'not(up)','nodes_min':5,'name':'q'}", 2, "1@0:x 2@1:5 2@11:x",
          "-5:1\n+5:1 g2 site: q|refused\n" },
        { "a silent node neither accuses nor acquits",
          "{'kind':'condition','condition':'not(up)','nodes_min':2,'name':'q'}", 2,
          "1@0:x 2@1:x 1@100:x 1@200:x 1@300:5", "+5:1 g2 site: q|refused\n-5:1\n" },
        { "late and repeated results change nothing", "{'kind':'condition','condition':'not(up)','name':'d'}",
          1, "0@0:5 0@200:5 0@100:x 0@200:x 0@10:x", "-5:1\n" },
        { "our own fault changes nothing", "{'kind':'condition','condition':'not(up)','name':'d'}", 1,
          "0@0:5 0@10:! 0@20:!", "-5:1\n" },
        { "no data", "{'kind':'no_data','no_data_s':30,'name':'gone'}", 1,
          "0@0:5 0@20:t 0@31:t 0@32:t 0@40:5 0@41:t", "-5:1\n+5:1 g2 site: gone|\n-5:1\n" },
        { "no data ever", "{'kind':'no_data','no_data_s':30,'name':'gone'}", 1, "0@20:t 0@31:t",
          "+5:1 g2 site: gone|\n" },
        { "no data from one of two", "{'kind':'no_data','no_data_s':30,'name':'gone','nodes_min':1}", 2,
          "1@0:5 2@0:5 1@20:5 1@40:5 0@41:t", "-5:1\n+5:1 g2 site: gone|\n" },
        { "change of the cause",
          "{'kind':'change','metric':'cause','name':'c','title':'{check} {cause} {detail}.'}", 1,
          "0@0:5 0@10:6 0@20:x 0@30:x 0@40:5 0@50:5",
          "-5:1\n+5:1 g2 site refused .|refused\n-5:1\n+5:1 g2 site none .|5.0 ms\n-5:1\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct triggers *triggers = begin();
        watch(triggers, 1, cases[i].nodes);
        set(triggers, 5, cases[i].trigger);
        play(triggers, cases[i].steps);
        test_ok(strcmp(told, cases[i].want) == 0, "%s:\n%swanted\n%s", cases[i].name, told, cases[i].want);
        triggers_free(triggers);
    }
}

static void test_certificate(void **state)
{
    (void)state;
    struct triggers *triggers = begin();
    set(triggers, 5, "{'kind':'certificate','cert_days':30,'name':'cert','title':'{check} {value}'}");
    watch(triggers, 1, 1);
    static const int days[] = { 31, 30, 29, 28, 395 };
    for (int i = 0; i < 5; i++) {
        struct collect_result result = { .check_id = 1,
                                         .at_ms = NOW + i * 10000,
                                         .present = 1u << COLLECT_CERT_DAYS };
        result.values[COLLECT_CERT_DAYS] = days[i];
        test_clock.test_ms = result.at_ms;
        triggers_feed(triggers, 0, &result, 1);
    }
    test_ok(strcmp(told, "-5:1\n+5:1 g2 site cert_days=29|cert_days=29\n-5:1\n") == 0, "%s", told);
    triggers_free(triggers);
}

/* A renewal changes only the last words of a certificate's text, which may be long. */
static void test_renewal(void **state)
{
    (void)state;
    struct triggers *triggers = begin();
    set(triggers, 5, "{'kind':'change','metric':'subject','name':'renewed'}");
    watch(triggers, 1, 1);
    for (int i = 0; i < 3; i++) {
        struct collect_result result = { .check_id = 1, .at_ms = NOW + i * 10000 };
        (void)snprintf(result.subject, sizeof result.subject, "%0150d; %d", 0, i < 2 ? 2026 : 2027);
        test_clock.test_ms = result.at_ms;
        triggers_feed(triggers, 0, &result, 1);
        test_ok((strstr(told, "+5:1") != NULL) == (i == 2), "%d: %s", i, told);
    }
    triggers_free(triggers);
}

static void test_configuration_changes(void **state)
{
    (void)state;
    struct triggers *triggers = begin();
    struct triggers_stats stats;
    watch(triggers, 1, 1);
    set(triggers, 5, "{'kind':'condition','condition':'not(up)','name':'d'}");
    set(triggers, 6, "{'kind':'condition','condition':'not(up)','name':'other','service':'4'}");
    set(triggers, 7, "{'kind':'condition','condition':'not(up)','name':'ping only','check_kind':'icmp'}");
    set(triggers, 8, "{'kind':'condition','condition':'not(up)','name':'mine','check':'1'}");
    triggers_stats_get(triggers, &stats);
    test_ok(stats.units == 2 && stats.triggers == 4, "two apply");
    play(triggers, "0@0:x");
    test_ok(strcmp(told, "+5:1 g2 site: d|refused\n+8:1 g2 site: mine|refused\n") == 0, "%s", told);
    told[0] = 0;
    set(triggers, 8, "{'kind':'condition','condition':'not(up)','name':'mine','enabled':false}");
    test_ok(strcmp(told, "-8:1\n") == 0, "disabled: over");
    told[0] = 0;
    set(triggers, 5, "{'kind':'condition','condition':'not(up)','name':'new'}");
    test_ok(told[0] == 0, "changed: what it raised stands");
    play(triggers, "0@10:5");
    test_ok(strcmp(told, "-5:1\n") == 0, "until the next verdict: %s", told);
    play(triggers, "0@20:x");
    told[0] = 0;
    triggers_check_remove(triggers, 1);
    test_ok(strcmp(told, "-5:1\n") == 0, "a check that goes takes its problems with it");
    triggers_stats_get(triggers, &stats);
    test_ok(stats.units == 0 && stats.problems == 0 && stats.checks == 0, "nothing is left");
    triggers_remove(triggers, 5);
    triggers_remove(triggers, 5);
    triggers_free(triggers);
}

static void test_bad_records(void **state)
{
    (void)state;
    static const struct {
        const char *record, *pointer;
    } cases[] = {
        { "{'kind':'condition'}", "/condition" },
        { "{'kind':'condition','condition':'total_ms >'}", "/condition" },
        { "{'kind':'condition','condition':'no_such_name > 1'}", "/condition" },
        { "{'kind':'condition','condition':'up','clear_condition':'('}", "/clear_condition" },
        { "{'kind':'sometimes'}", "/kind" },
        { "{'kind':'no_data','grade':9}", "/grade" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = { 0 };
        json_t *json = parse(cases[i].record);
        test_ok(trigger_validate(json, &err) == ERR_INVALID && strcmp(err.at.pointer, cases[i].pointer) == 0,
                "%s: %s", cases[i].record, err.at.pointer);
        json_decref(json);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    json_t *json =
        parse("{'kind':'condition','condition':'not(up) and count(recent.total_ms) >= 0','name':'d'}");
    for (long nth = 0;; nth++) {
        struct triggers *triggers = NULL;
        struct err err = { 0 };
        const struct triggers_config config = { .clock = &test_clock, .verdict = on_verdict };
        const struct trigger_check check = { .id = 1, .interval_ms = 10000, .nodes = 1, .name = STR("x") };
        clock_test_init(&test_clock, NOW);
        told[0] = 0;
        const long live = mem_live();
        mem_fail_at(nth);
        enum err_code rc = triggers_new(&config, &triggers, &err);
        if (!rc)
            rc = triggers_check_set(triggers, &check, &err);
        if (!rc)
            rc = triggers_set(triggers, 5, json, &err);
        if (!rc)
            play(triggers, "0@0:x 0@10:x");
        mem_fail_at(-1);
        if (!rc) /* whatever was lost for want of memory, the next result makes good */
            play(triggers, "0@20:x");
        test_ok(rc || strncmp(told, "+5:1", 4) == 0, "told at %ld: %s", nth, told);
        const bool whole = !rc && strcmp(told, "+5:1 g2 x: d|refused\n") == 0;
        triggers_free(triggers);
        test_ok(mem_live() == live && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld", nth);
        if (whole && nth > 60)
            break;
    }
    json_decref(json);
}

TEST_MAIN(TEST(test_histories), TEST(test_certificate), TEST(test_renewal), TEST(test_configuration_changes),
          TEST(test_bad_records), TEST(test_out_of_memory))
