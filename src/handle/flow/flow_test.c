/* flow_test.c - what the reader accepts and refuses, by table; tokens over small models and the pack's own.
 */
#include "base/buf.h"
#include "base/xml.h"
#include "handle/flow/expression.h"
#include "handle/flow/run.h"
#include "test.h"

#define HEAD                                                                                                 \
    "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL' xmlns:b='urn:bihuan:bpmn:1'>\n"        \
    "<process id='p' isExecutable='true'>\n"
#define TAIL "\n</process></definitions>"
#define FLOW(id, from, to) "<sequenceFlow id='" id "' sourceRef='" from "' targetRef='" to "'/>"
#define COND(id, from, to, c)                                                                                \
    "<sequenceFlow id='" id "' sourceRef='" from "' targetRef='" to "'><conditionExpression>" c              \
    "</conditionExpression></sequenceFlow>"
#define S "<startEvent id='s'/>"
#define E "<endEvent id='e'/>"
#define T(id) "<userTask id='" id "'/>"

static void test_read(void **state)
{
    static const struct {
        const char *name, *xml;
        enum err_code want;
        const char *id, *what; /* of the first finding */
        int line;
    } cases[] = {
        { "smallest", HEAD S E FLOW("f", "s", "e") TAIL, ERR_OK, NULL, NULL, 0 },
        { "comments are nothing",
          HEAD "<documentation>x</documentation><textAnnotation id='a'/>" S E FLOW("f", "s", "e") TAIL,
          ERR_OK, NULL, NULL, 0 },
        { "no BPMN", "<x/>", ERR_INVALID, "flow.not_bpmn", "x", 1 },
        { "no process", "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL'/>", ERR_INVALID,
          "flow.no_process", "definitions", 1 },
        { "not executable",
          "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL'><process id='p'>" S E FLOW(
              "f", "s", "e") TAIL,
          ERR_INVALID, "flow.not_executable", "p", 1 },
        { "no start", HEAD E TAIL, ERR_INVALID, "flow.no_start", "p", 2 },
        { "two starts", HEAD S "<startEvent id='s2'/>" E FLOW("f", "s", "e") FLOW("g", "s2", "e") TAIL,
          ERR_UNSUPPORTED, "flow.second_start", "s2", 3 },
        { "service task", HEAD S "\n<serviceTask id='x'/>" E FLOW("f", "s", "x") FLOW("g", "x", "e") TAIL,
          ERR_UNSUPPORTED, "flow.unsupported", "serviceTask", 4 },
        { "parallel gateway",
          HEAD S "<parallelGateway id='x'/>" E FLOW("f", "s", "x") FLOW("g", "x", "e") TAIL, ERR_UNSUPPORTED,
          "flow.unsupported", "parallelGateway", 3 },
        { "sub-process", HEAD S "<subProcess id='x'/>" E FLOW("f", "s", "e") TAIL, ERR_UNSUPPORTED,
          "flow.unsupported", "subProcess", 3 },
        { "lanes", HEAD "<laneSet id='l'/>" S E FLOW("f", "s", "e") TAIL, ERR_UNSUPPORTED, "flow.unsupported",
          "laneSet", 3 },
        { "collaboration",
          "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL'><collaboration id='c'/>"
          "<process id='p' isExecutable='true'>" S E FLOW("f", "s", "e") TAIL,
          ERR_UNSUPPORTED, "flow.unsupported", "collaboration", 1 },
        { "message start",
          HEAD "<startEvent id='s'><messageEventDefinition/></startEvent>" E FLOW("f", "s", "e") TAIL,
          ERR_UNSUPPORTED, "flow.unsupported", "messageEventDefinition", 3 },
        { "terminate end",
          HEAD S "<endEvent id='e'><terminateEventDefinition/></endEvent>" FLOW("f", "s", "e") TAIL,
          ERR_UNSUPPORTED, "flow.unsupported", "terminateEventDefinition", 3 },
        { "loop marker",
          HEAD S "<userTask id='t'><multiInstanceLoopCharacteristics/></userTask>" E FLOW("f", "s", "t")
              FLOW("g", "t", "e") TAIL,
          ERR_UNSUPPORTED, "flow.unsupported", "multiInstanceLoopCharacteristics", 3 },
        { "error boundary",
          HEAD S T("t") "<boundaryEvent id='b' attachedToRef='t'><errorEventDefinition/></boundaryEvent>" E
              FLOW("f", "s", "t") FLOW("g", "t", "e") FLOW("h", "b", "e") TAIL,
          ERR_UNSUPPORTED, "flow.unsupported", "errorEventDefinition", 3 },
        { "timer cycle",
          HEAD S T("t") "<boundaryEvent id='b' attachedToRef='t'><timerEventDefinition><timeCycle>R3/PT1H"
                        "</timeCycle></timerEventDefinition></boundaryEvent>" E FLOW("f", "s", "t")
                            FLOW("g", "t", "e") FLOW("h", "b", "e") TAIL,
          ERR_UNSUPPORTED, "flow.unsupported", "timeCycle", 3 },
        { "timer without time",
          HEAD S T("t") "<boundaryEvent id='b' attachedToRef='t'><timerEventDefinition/>"
                        "</boundaryEvent>" E FLOW("f", "s", "t") FLOW("g", "t", "e") FLOW("h", "b", "e") TAIL,
          ERR_INVALID, "flow.timer", "b", 3 },
        { "timer on nothing",
          HEAD S T("t") "<boundaryEvent id='b' attachedToRef='x'><timerEventDefinition><timeDuration>"
                        "PT1H</timeDuration></timerEventDefinition></boundaryEvent>" E FLOW("f", "s", "t")
                            FLOW("g", "t", "e") FLOW("h", "b", "e") TAIL,
          ERR_INVALID, "flow.reference", "x", 3 },
        { "dangling edge", HEAD S E FLOW("f", "s", "x") TAIL, ERR_INVALID, "flow.reference", "x", 3 },
        { "same id twice", HEAD S "<endEvent id='s'/>" FLOW("f", "s", "s") TAIL, ERR_INVALID, "flow.id",
          "endEvent", 3 },
        { "no id", HEAD S "<endEvent/>" TAIL, ERR_INVALID, "flow.id", "endEvent", 3 },
        { "edge into the start", HEAD S T("t") E FLOW("f", "s", "t") FLOW("g", "t", "s") TAIL, ERR_INVALID,
          "flow.no_way_in", "s", 3 },
        { "task without a way out", HEAD S T("t") E FLOW("f", "s", "t") TAIL, ERR_INVALID, "flow.no_way_out",
          "t", 3 },
        { "way after the end",
          HEAD S T("t") E FLOW("f", "s", "t") FLOW("g", "t", "e") FLOW("h", "e", "t") TAIL, ERR_INVALID,
          "flow.way_after_end", "e", 3 },
        { "implicit split",
          HEAD S T("t") E "<endEvent id='e2'/>" FLOW("f", "s", "t") FLOW("g", "t", "e") FLOW("h", "t", "e2")
              TAIL,
          ERR_UNSUPPORTED, "flow.implicit_split", "t", 3 },
        { "condition on a task's edge", HEAD S T("t") E FLOW("f", "s", "t") COND("g", "t", "e", "true") TAIL,
          ERR_UNSUPPORTED, "flow.condition_here", "g", 3 },
        { "gateway edge without condition",
          HEAD S "<exclusiveGateway id='x' default='g'/>" E "<endEvent id='e2'/>" FLOW("f", "s", "x")
              FLOW("g", "x", "e") FLOW("h", "x", "e2") TAIL,
          ERR_INVALID, "flow.needs_condition", "h", 3 },
        { "default that is not its own",
          HEAD S "<exclusiveGateway id='x' default='f'/>" E FLOW("f", "s", "x") FLOW("g", "x", "e") TAIL,
          ERR_INVALID, "flow.reference", "f", 3 },
        { "unreachable", HEAD S E T("t") FLOW("f", "s", "e") FLOW("g", "t", "e") TAIL, ERR_INVALID,
          "flow.unreachable", "t", 3 },
        { "no end from here",
          HEAD S "<exclusiveGateway id='x' default='g'/>" T("t") E FLOW("f", "s", "x") FLOW("g", "x", "e")
              COND("h", "x", "t", "true") FLOW("i", "t", "t") TAIL,
          ERR_INVALID, "flow.no_end", "t", 3 },
        { "unknown attribute of ours",
          HEAD S "<userTask id='t' b:assignee='x'/>" E FLOW("f", "s", "t") FLOW("g", "t", "e") TAIL,
          ERR_UNSUPPORTED, "flow.attribute", "assignee", 3 },
        { "unknown clock",
          HEAD S "<userTask id='t' b:reached='later'/>" E FLOW("f", "s", "t") FLOW("g", "t", "e") TAIL,
          ERR_INVALID, "flow.clock", "later", 3 },
        { "return to nowhere",
          HEAD S "<userTask id='t' b:actions='done back:x'/>" E FLOW("f", "s", "t") FLOW("g", "t", "e") TAIL,
          ERR_INVALID, "flow.reference", "x", 3 },
        { "DTD", "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", ERR_INVALID, NULL, NULL, 0 },
        { "not XML", "hello", ERR_INVALID, NULL, NULL, 0 },
    };
    (void)state;
    xml_init();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_new(4 << 20);
        struct findings findings;
        const struct flow_model *model = NULL;
        struct err err = { 0 };
        test_ok(arena && !findings_init(&findings, arena, &err), "memory");
        const enum err_code rc = flow_model_read(arena, str_from(cases[i].xml), &findings, &model, &err);
        test_ok(rc == cases[i].want, "%s: %s %s", cases[i].name, err_name(rc), rc ? err.id : "");
        test_ok((rc == ERR_OK) == (model != NULL), "%s: model", cases[i].name);
        if (cases[i].id) {
            test_ok(findings.count >= 1 && !strcmp(findings.items[0].id, cases[i].id), "%s: %s",
                    cases[i].name, findings.count ? findings.items[0].id : "nothing");
            test_ok(!strcmp(findings.items[0].args[0].text, cases[i].what), "%s: about %s", cases[i].name,
                    findings.items[0].args[0].text);
            test_ok(findings.items[0].at.line == cases[i].line, "%s: line %d", cases[i].name,
                    findings.items[0].at.line);
        }
        arena_free(arena);
    }
}

struct world {
    int64_t next;
    const char *holds; /* ids of edges whose condition is true, separated by blanks */
};

static int64_t token_id(void *ctx)
{
    return ++((struct world *)ctx)->next;
}

static enum err_code decide(void *ctx, const struct flow_model *model, int edge, bool *out_true,
                            struct err *err)
{
    const struct world *world = ctx;
    (void)err;
    *out_true = str_find(str_from(world->holds), model->edges[edge].id) >= 0;
    return ERR_OK;
}

/* "open accept; passed f1; ..." of all effects since the last call. */
static const char *told(struct flow_run *run, struct buf *buf)
{
    static const char *const kinds[] = { "open",    "done",   "cancel", "timer",
                                         "untimer", "passed", "state",  "ended" };
    buf_clear(buf);
    for (int i = 0; i < run->effects_count; i++) {
        const struct flow_effect *e = &run->effects[i];
        const struct str what = e->kind == FLOW_PASSED  ? run->model->edges[e->edge].id
                                : e->kind == FLOW_STATE ? run->model->nodes[e->node].state
                                : e->node < 0           ? STR("-")
                                                        : run->model->nodes[e->node].id;
        buf_printf(buf, "%s%s %.*s", i ? "; " : "", kinds[e->kind], STR_ARG(what));
    }
    run->effects_count = 0;
    return buf->ptr ? buf->ptr : "";
}

static const struct flow_model *fault_model(struct arena *arena)
{
    struct buf xml;
    struct findings findings;
    const struct flow_model *model = NULL;
    struct err err = { 0 };
    buf_init(&xml, 1 << 20);
    test_ok(!buf_read_file(&xml, test_file("packs/ops/flows/fault.bpmn"), &err), "%s", err.id);
    test_ok(!findings_init(&findings, arena, &err), "memory");
    struct str copy = arena_str(arena, buf_get(&xml));
    buf_done(&xml);
    const enum err_code rc = flow_model_read(arena, copy, &findings, &model, &err);
    test_ok(!rc, "%s %s line %d", err.id, err.args[0].text, err.at.line);
    return model;
}

#define SAYS(want)                                                                                           \
    do {                                                                                                     \
        const char *got = told(&run, &buf);                                                                  \
        test_ok(!strcmp(got, want), "\n got: %s\nwant: %s", got, want);                                      \
    } while (0)

static void test_fault(void **state)
{
    struct arena *arena = arena_new(8 << 20);
    const struct flow_model *model = fault_model(arena);
    struct world world = { 0, "" };
    const struct flow_env env = { token_id, decide, &world };
    struct flow_run run;
    struct buf buf;
    struct err err = { 0 };
    (void)state;
    buf_init(&buf, 1 << 16);
    for (int i = 0; i < model->nodes_count; i++)
        test_ok(model->nodes[i].drawn, "picture of %.*s", STR_ARG(model->nodes[i].id));
    for (int i = 0; i < model->edges_count; i++)
        test_ok(model->edges[i].points_count >= 2, "picture of %.*s", STR_ARG(model->edges[i].id));

    flow_run_init(&run, model);
    assert_int_equal(flow_run_start(&run, &env, -1, &err), ERR_OK);
    SAYS("passed f_start; state accepting; open accept");
    assert_int_equal(flow_run_complete(&run, &env, 1, &err), ERR_OK);
    SAYS("done accept; untimer accept; passed f_accept; passed f_valid; state dispatching; open dispatch");
    assert_int_equal(flow_run_jump(&run, &env, 1, flow_node_find(model, STR("accept")), &err), ERR_OK);
    SAYS("done dispatch; untimer dispatch; state accepting; open accept");
    assert_int_equal(flow_run_complete(&run, &env, 1, &err), ERR_OK);
    assert_int_equal(flow_run_complete(&run, &env, 1, &err), ERR_OK);
    assert_int_equal(flow_run_complete(&run, &env, 1, &err), ERR_OK);
    run.effects_count = 0;
    world.holds = "f_again";
    assert_int_equal(flow_run_complete(&run, &env, 1, &err), ERR_OK); /* not solved */
    SAYS("done confirm; untimer confirm; passed f_confirm; passed f_again; state handling; open handle");
    world.holds = "";
    assert_int_equal(flow_run_complete(&run, &env, 1, &err), ERR_OK);
    SAYS("done handle; untimer handle; passed f_handle; state confirming; open confirm; timer overdue");
    assert_int_equal(flow_run_timer(&run, &env, 1, flow_node_find(model, STR("overdue")), &err), ERR_OK);
    SAYS("cancel confirm; untimer confirm; passed f_overdue; state closing; open close");
    assert_int_equal(flow_run_complete(&run, &env, 1, &err), ERR_OK);
    SAYS("done close; untimer close; passed f_close; state closed; ended end");
    assert_int_equal(run.tokens_count, 0);
    assert_int_equal(flow_run_complete(&run, &env, 1, &err), ERR_CONFLICT);
    assert_int_equal(flow_run_start(&run, &env, flow_node_find(model, STR("handle")), &err), ERR_OK);
    SAYS("state handling; open handle");
    assert_int_equal(flow_run_stop(&run, &err), ERR_OK);
    SAYS("cancel handle; untimer handle; ended -");
    const struct flow_node *handle = &model->nodes[flow_node_find(model, STR("handle"))];
    const struct flow_action *back = flow_action_find(handle, STR("return"));
    test_ok(back && str_eq(model->nodes[back->back_to].id, STR("dispatch")), "return goes to dispatch");
    assert_null(flow_action_find(handle, STR("explode")));
    assert_true(flow_list_has(&handle->required, STR("cause")));
    buf_done(&buf);
    arena_free(arena);
}

static void test_side_token(void **state)
{
    static const char xml[] =
        HEAD S T("t") T("u") E "<endEvent id='e2'/>"
                               "<boundaryEvent id='b' attachedToRef='t' "
                               "cancelActivity='false'><timerEventDefinition><timeDuration>PT1H"
                               "</timeDuration></timerEventDefinition></boundaryEvent>" FLOW("f", "s", "t")
                                   FLOW("g", "t", "e") FLOW("h", "b", "u") FLOW("i", "u", "e2") TAIL;
    struct arena *arena = arena_new(4 << 20);
    struct findings findings;
    const struct flow_model *model = NULL;
    struct world world = { 0, "" };
    const struct flow_env env = { token_id, decide, &world };
    struct flow_run run;
    struct buf buf;
    struct err err = { 0 };
    (void)state;
    buf_init(&buf, 1 << 16);
    test_ok(!findings_init(&findings, arena, &err) &&
                !flow_model_read(arena, str_from(xml), &findings, &model, &err),
            "%s", err.id);
    flow_run_init(&run, model);
    assert_int_equal(flow_run_start(&run, &env, -1, &err), ERR_OK);
    SAYS("passed f; open t; timer b");
    assert_int_equal(flow_run_timer(&run, &env, 1, flow_node_find(model, STR("b")), &err), ERR_OK);
    SAYS("passed h; open u");
    assert_int_equal(run.tokens_count, 2);
    assert_int_equal(flow_run_complete(&run, &env, 1, &err), ERR_OK);
    SAYS("done t; untimer t; passed g");
    assert_int_equal(flow_run_timer(&run, &env, 1, flow_node_find(model, STR("b")), &err), ERR_CONFLICT);
    assert_int_equal(flow_run_complete(&run, &env, 2, &err), ERR_OK);
    SAYS("done u; untimer u; passed i; ended e2");
    buf_done(&buf);
    arena_free(arena);
}

static void test_gateways(void **state)
{
    static const char stuck[] =
        HEAD S "<exclusiveGateway id='x'/>" E "<endEvent id='e2'/>" FLOW("f", "s", "x")
            COND("g", "x", "e", "a") COND("h", "x", "e2", "b") TAIL;
    static const char loop[] =
        HEAD S "<exclusiveGateway id='x' default='g'/><exclusiveGateway id='y'/>" E FLOW("f", "s", "x")
            FLOW("g", "x", "y") COND("h", "x", "e", "a") FLOW("i", "y", "x") TAIL;
    struct world world = { 0, "" };
    const struct flow_env env = { token_id, decide, &world };
    struct buf buf;
    (void)state;
    buf_init(&buf, 1 << 16);
    for (int i = 0; i < 2; i++) {
        struct arena *arena = arena_new(4 << 20);
        struct findings findings;
        const struct flow_model *model = NULL;
        struct flow_run run;
        struct err err = { 0 };
        test_ok(!findings_init(&findings, arena, &err) &&
                    !flow_model_read(arena, str_from(i ? loop : stuck), &findings, &model, &err),
                "%s", err.id);
        flow_run_init(&run, model);
        assert_int_equal(flow_run_start(&run, &env, -1, &err), i ? ERR_LIMIT : ERR_CONFLICT);
        assert_string_equal(err.id, i ? "flow.endless" : "flow.no_branch");
        if (!i) { /* the first true one in the order of the file */
            world.holds = "g h";
            flow_run_init(&run, model);
            assert_int_equal(flow_run_start(&run, &env, -1, &err), ERR_OK);
            SAYS("passed f; passed g; ended e");
            world.holds = "";
        }
        arena_free(arena);
    }
    buf_done(&buf);
}

/* The published examples either deploy or are refused by name: never a crash, never silence. */
static void test_miwg(void **state)
{
    static const char *const files[] = { "A.1.0", "A.2.0", "A.3.0", "A.4.0", "B.1.0", "B.2.0",
                                         "C.1.0", "C.3.0", "C.4.0", "C.8.0", "C.9.2" };
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        struct arena *arena = arena_new(64 << 20);
        struct findings findings;
        const struct flow_model *model = NULL;
        struct err err = { 0 };
        struct buf xml;
        (void)snprintf(path, sizeof(path), "conformance/miwg/Reference/%s.bpmn", files[i]);
        if (!test_shared(path)) {
            arena_free(arena);
            return;
        }
        buf_init(&xml, 8 << 20);
        test_ok(!buf_read_file(&xml, test_shared(path), &err) && !findings_init(&findings, arena, &err), "%s",
                path);
        const enum err_code rc = flow_model_read(arena, buf_get(&xml), &findings, &model, &err);
        test_ok(rc == ERR_OK || ((rc == ERR_UNSUPPORTED || rc == ERR_INVALID) && findings.count > 0 &&
                                 findings.items[0].at.line > 0),
                "%s: %s", path, err_name(rc));
        buf_done(&xml);
        arena_free(arena);
    }
}

/* ---- expressions ---- */

#define GATE(c)                                                                                              \
    HEAD S "<exclusiveGateway id='x' default='d'/>" E "<endEvent id='e2'/>\n" COND("c", "x", "e2", c)        \
        FLOW("f", "s", "x") FLOW("d", "x", "e") TAIL
#define TIMED(what)                                                                                          \
    HEAD S T("t") E "\n<boundaryEvent id='late' attachedToRef='t'><timerEventDefinition>" what               \
                    "</timerEventDefinition></boundaryEvent>" FLOW("f", "s", "t") FLOW("g", "t", "e")        \
                        FLOW("h", "late", "e") TAIL
#define AFTER(text) TIMED("<timeDuration>" text "</timeDuration>")
#define DATE(text) TIMED("<timeDate>" text "</timeDate>")

static const struct flow_name NAMES[] = { { { "level", 5 }, { "string", 6 } },
                                          { { "patience", 8 }, { "number", 6 } },
                                          { { "wanted", 6 }, { "date and time", 13 } } };

static enum err_code deploy(struct arena *arena, const char *xml, bool pinned, struct findings *findings,
                            const struct flow_expressions **out, const struct flow_model **out_model,
                            struct err *err)
{
    enum err_code rc = findings_init(findings, arena, err);
    if (!rc)
        rc = flow_model_read(arena, str_from(xml), findings, out_model, err);
    return rc ? rc : flow_expressions_new(arena, *out_model, NAMES, 3, pinned, findings, out, err);
}

static void test_deploy(void **state)
{
    static const struct {
        const char *name, *xml, *id, *what, *of;
        int line;
    } cases[] = {
        { "a field", GATE("level = \"1\" and patience &gt; 2"), NULL, NULL, NULL, 0 },
        { "case and task", GATE("case.level = task.action"), NULL, NULL, NULL, 0 },
        { "no such field", GATE("levle = \"1\""), "flow.name_unknown", "c", "levle", 4 },
        { "no FEEL", GATE("level = = 1"), "flow.condition_bad", "c", NULL, 4 },
        { "a literal", AFTER("PT24H"), NULL, NULL, NULL, 0 },
        { "FEEL", AFTER("duration(\"PT\" + string(patience) + \"H\")"), NULL, NULL, NULL, 0 },
        { "FEEL with a sign", AFTER("= if level = \"1\" then @\"PT1H\" else @\"P1D\""), NULL, NULL, NULL, 0 },
        { "a month", AFTER("P1M"), "flow.timer", "late", NULL, 4 },
        { "no duration", AFTER("24 hours"), "flow.timer", "late", NULL, 4 },
        { "no such name", AFTER("duration(urgency)"), "flow.name_unknown", "late", "urgency", 4 },
        { "an instant", DATE("2026-12-01T08:00:00+08:00"), NULL, NULL, NULL, 0 },
        { "FEEL for an instant", DATE("wanted + @\"PT2H\""), NULL, NULL, NULL, 0 },
        { "no instant", DATE("2026-13-01T08:00:00+08:00"), "flow.timer", "late", NULL, 4 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int pinned = 0; pinned < 2; pinned++) {
            struct arena *arena = arena_new(8 << 20);
            struct findings findings;
            const struct flow_model *model = NULL;
            const struct flow_expressions *made = NULL;
            struct err err = { 0 };
            const enum err_code rc = deploy(arena, cases[i].xml, pinned, &findings, &made, &model, &err);
            const bool wrong = cases[i].id && (!pinned || !strcmp(cases[i].id, "flow.condition_bad"));
            test_ok(wrong ? rc == ERR_INVALID && findings.count == 1 : rc == ERR_OK, "%s, pinned %d: %s %s",
                    cases[i].name, pinned, err_name(rc), rc ? err.id : "");
            if (wrong) {
                const struct err *one = &findings.items[0];
                test_ok(!strcmp(one->id, cases[i].id) && one->at.line == cases[i].line &&
                            !strcmp(one->args[0].text, cases[i].what) &&
                            (!cases[i].of || !strcmp(one->args[1].text, cases[i].of)),
                        "%s: %s of %s (%s) in line %d", cases[i].name, one->id, one->args[0].text,
                        one->args[1].text, one->at.line);
            }
            arena_free(arena);
        }
    }
}

static void test_expressions(void **state)
{
    static const struct {
        const char *xml, *record;
        enum flow_timer_kind kind;
        int64_t ms;
        bool refused;
    } timers[] = {
        { AFTER("PT90M"), "{}", FLOW_TIMER_AFTER, 5400000, false },
        { AFTER("duration(\"PT\" + string(patience) + \"H\")"), "{\"patience\":3}", FLOW_TIMER_AFTER,
          3 * 3600000, false },
        { AFTER("if patience > 5 then \"P1D\" else \"PT30M\""), "{\"patience\":3}", FLOW_TIMER_AFTER, 1800000,
          false },
        { AFTER("if patience > 5 then @\"P1D\" else null"), "{\"patience\":3}", FLOW_TIMER_NONE, 0, false },
        { AFTER("patience"), "{\"patience\":3}", FLOW_TIMER_NONE, 0, true },
        { AFTER("duration(\"-PT1H\")"), "{}", FLOW_TIMER_NONE, 0, true },
        { DATE("wanted + @\"PT2H\""), "{\"wanted\":\"2026-11-21T08:00:00+08:00\"}", FLOW_TIMER_AT,
          INT64_C(1795226400000), false },
        { DATE("wanted"), "{}", FLOW_TIMER_NONE, 0, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        struct arena *arena = arena_new(8 << 20);
        struct findings findings;
        const struct flow_model *model = NULL;
        const struct flow_expressions *made = NULL;
        struct flow_timer time = { 0 };
        struct err err = { 0 };
        test_ok(!deploy(arena, timers[i].xml, false, &findings, &made, &model, &err), "%zu: %s", i, err.id);
        json_t *vars =
            json_pack("{s:o,s:{},s:{}}", "record", json_loads(timers[i].record, 0, NULL), "case", "task");
        const int node = flow_node_find(model, STR("late"));
        assert_int_equal(flow_timer_reads(made, node), i > 0);
        const enum err_code rc = flow_timer(made, node, vars, 0, &time, &err);
        test_ok(timers[i].refused ? rc == ERR_INVALID && !strcmp(err.id, "flow.timer") : rc == ERR_OK,
                "%zu: %s", i, err_name(rc));
        if (!rc)
            test_ok(time.kind == timers[i].kind && time.ms == timers[i].ms, "%zu: %d %lld", i, time.kind,
                    (long long)time.ms);
        json_decref(vars);
        arena_free(arena);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        const struct flow_model *model = NULL;
        struct findings findings;
        struct err err = { 0 };
        const long before = mem_live();
        const struct flow_expressions *made = NULL;
        static const char xml[] = AFTER("duration(level)");
        mem_fail_at(nth);
        struct arena *arena = arena_new(4 << 20);
        enum err_code rc = arena ? ERR_OK : ERR_NOMEM;
        if (!rc)
            rc = deploy(arena, xml, false, &findings, &made, &model, &err);
        mem_fail_at(-1);
        arena_free(arena);
        test_ok(mem_live() == before && (rc == ERR_OK || rc == ERR_NOMEM), "at %ld", nth);
        if (!rc)
            return;
    }
}

TEST_MAIN(TEST(test_read), TEST(test_fault), TEST(test_side_token), TEST(test_gateways), TEST(test_miwg),
          TEST(test_deploy), TEST(test_expressions), TEST(test_out_of_memory))
