#include "test.h"

#include "dmn/models_test.h"

static void test_graph(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
    AUTO(dmn_free_auto)
    struct dmn_model *model = load_text(STR(HEAD INPUT("Monthly Income", "number") INPUT(
        "Name",
        "string") "<decision id='d1' name='Yearly Income'><variable name='Yearly Income' "
                  "typeRef='number'/>" NEEDS("Monthly Income") L(
                      "Monthly Income * 12") "</decision>"
                                             "<decision id='d2' name='Text'>" NEEDS_DECISION("d1") NEEDS(
                                                 "Name") KNOWS("b1")
                                                 L("greet(Name) + string(Yearly "
                                                   "Income)") "</decision>"
                                                              "<decision id='d3' "
                                                              "name='Wrong'><variable "
                                                              "name='Wrong' "
                                                              "typeRef='number'/>" L(
                                                                  "\"text\"") "</"
                                                                              "decision"
                                                                              ">"
                                                                              "<decisio"
                                                                              "n "
                                                                              "id='d4' "
                                                                              "name='"
                                                                              "Nothing'"
                                                                              "/>"
                                                                              "<busines"
                                                                              "sKnowled"
                                                                              "geModel "
                                                                              "id='b1' "
                                                                              "name='"
                                                                              "greet'><"
                                                                              "encapsul"
                                                                              "atedLogi"
                                                                              "c><"
                                                                              "formalPa"
                                                                              "rameter "
                                                                              "name='"
                                                                              "who' "
                                                                              "typeRef="
                                                                              "'string'"
                                                                              "/>" L(
                                                                                  "\"He"
                                                                                  "llo "
                                                                                  "\" "
                                                                                  "+ "
                                                                                  "who "
                                                                                  "+ "
                                                                                  "\" "
                                                                                  "\"") "</"
                                                                                        "encapsulatedLogic></"
                                                                                        "businessKnowledgeMod"
                                                                                        "el>" TAIL));
    expect(arena, model, "Yearly Income", "{Monthly Income: 2.5}", "30");
    expect(arena, model, "Text", "{Monthly Income: 1, Name: \"Li\"}", "\"Hello Li 12\"");
    expect(arena, model, "Text", "{Yearly Income: 7, Name: \"Li\"}", "\"Hello Li 7\""); /* a decision given */
    expect(arena, model, "Yearly Income", "{Monthly Income: \"x\"}", "null");           /* not a number */
    expect(arena, model, "Wrong", "{}", "null");
    expect(arena, model, "Nothing", "{}", "null");
}

static void test_boxed(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
    AUTO(dmn_free_auto)
    struct dmn_model *model = load_text(STR(HEAD INPUT("n", "number") "<decision name='context'>" NEEDS("n") "<context><contextEntry><"
                                                                                                             "variable name='two n'/>" L(
                                                                                                                 "2 * n") "</contextEntry><contextEntry><variable name='b' typeRef='string'/>" L("two n") "</contextEntry>"
                                                                                                                                                                                                          "</context></decision>"
                                                                                                                                                                                                          "<decision name='result'>" NEEDS("n") "<context><contextEntry><variable name='x'/><context><contextEntry>"
                                                                                                                                                                                                                                                "<variable name='y'/>" L("n + 1") "</contextEntry></context></contextEntry><contextEntry>" L("x.y + n") "</contextEntry></context></decision>"
                                                                                                                                                                                                                                                                                                                                                        "<decision name='list'><list>" L("1") "<relation><column name='p'/><column name='q' typeRef='string'/>"
                                                                                                                                                                                                                                                                                                                                                                                              "<row>" L(
                                                                                                                                                                                                                                                                                                                                                                                                  "1") L("2") "</row><row>" L("3")
                                                                                                                                                                                                                                                                                                                                                                                                  L(
                                                                                                                                                                                                                                                                                                                                                                                                      "\"4\"") "</row></relation></list></decision>"
                                                                                                                                                                                                                                                                                                                                                                                                               "<decision name='if'>" NEEDS("n") "<conditional><if>" L(
                                                                                                                                                                                                                                                                                                                                                                                                                   "n > 1") "</if><then>" L("\"more\"") "</then><else>" L("\"less\"") "</else></conditional></decision>"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "<decision name='filter'>" NEEDS("n") "<filter><in>" L("[{a: 1}, {a: 5}]") "</in><match>" L(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "a > n") "</match></filter></decision>"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                   "<decision name='for'><for iteratorVariable='i'><in>" L(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "[1..4]") "</in><return>" L("if i = 1 then 1 else i * partial[-1]") "</return></for></decision>"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           "<decision name='some'>" NEEDS(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "n") "<some iteratorVariable='i'><in>" L("[1, 2]") "</in><satisfies>" L("i = n") "</satisfies></some></decision>"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "<decision name='every'>" NEEDS("n") "<every iteratorVariable='i'><in>" L("[1, 2]") "</in><satisfies>" L("i &lt;= n") "</satisfies></every></decision>"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "<decision name='function'>" NEEDS(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "n") "<context><contextEntry><variable name='add'/><functionDefinition>"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "<formalParameter name='m' typeRef='number'/>" L("n + m") "</functionDefinition></contextEntry>"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "<contextEntry><invocation>" L("add") "<binding><parameter name='m'/>" L("10") "</binding></invocation>"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "</contextEntry></context></decision>" TAIL));
    expect(arena, model, "context", "{n: 3}", "{\"two n\":6,\"b\":null}");
    expect(arena, model, "result", "{n: 3}", "7");
    expect(arena, model, "list", "{}", "[1,[{\"p\":1,\"q\":null},{\"p\":3,\"q\":\"4\"}]]");
    expect(arena, model, "if", "{n: 2}", "\"more\"");
    expect(arena, model, "if", "{n: null}", "\"less\"");
    expect(arena, model, "filter", "{n: 2}", "[{\"a\":5}]");
    expect(arena, model, "for", "{}", "[1,2,6,24]");
    expect(arena, model, "some", "{n: 2}", "true");
    expect(arena, model, "some", "{n: 3}", "false");
    expect(arena, model, "every", "{n: 2}", "true");
    expect(arena, model, "every", "{n: 1}", "false");
    expect(arena, model, "function", "{n: 5}", "15");
}

static void test_services_and_recursion(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
    AUTO(dmn_free_auto)
    struct dmn_model *model = load_text(STR(HEAD INPUT("a", "number") "<decision id='in' name='in'>" L(
        "100") "</decision>"
               "<decision id='x' name='x'>" NEEDS("a") NEEDS_DECISION("in") L(
                   "a + in") "</decision>"
                             "<decision id='y' name='y'>" NEEDS("a") L(
                                 "a * 2") "</decision>"
                                          "<decisionService id='s1' name='one'><outputDecision "
                                          "href='#x'/><inputDecision href='#in'/>"
                                          "<inputData href='#a'/></decisionService>"
                                          "<decisionService id='s2' name='two'><outputDecision "
                                          "href='#x'/><outputDecision href='#y'/>"
                                          "<inputDecision href='#in'/><inputData "
                                          "href='#a'/></decisionService>"
                                          "<decision name='calls'>" KNOWS("s1") KNOWS("s2") L(
                                              "[one(1, 2), two(1, 2).y, one(in: 5, "
                                              "a: 1)]") "</decision>"
                                                        "<businessKnowledgeModel "
                                                        "id='f' "
                                                        "name='factorial'><"
                                                        "encapsulatedLogic><"
                                                        "formalParameter "
                                                        "name='n'/>" L(
                                                            "if n &lt; 2 then 1 "
                                                            "else n * factorial(n "
                                                            "- 1)") "</"
                                                                    "encapsulatedLo"
                                                                    "gic></"
                                                                    "businessKnowle"
                                                                    "dgeModel>"
                                                                    "<businessKnowl"
                                                                    "edgeModel "
                                                                    "id='l' "
                                                                    "name='loop'><"
                                                                    "encapsulatedLo"
                                                                    "gic><"
                                                                    "formalParamete"
                                                                    "r "
                                                                    "name='n'/>" L(
                                                                        "loop(n + "
                                                                        "1)") "</"
                                                                              "enca"
                                                                              "psul"
                                                                              "ated"
                                                                              "Logi"
                                                                              "c></"
                                                                              "busi"
                                                                              "ness"
                                                                              "Know"
                                                                              "ledg"
                                                                              "eMod"
                                                                              "el>"
                                                                              "<dec"
                                                                              "isio"
                                                                              "n "
                                                                              "name"
                                                                              "='"
                                                                              "recu"
                                                                              "rsiv"
                                                                              "e'"
                                                                              ">" KNOWS("f")
                                                                                  L("factorial(20)") "</"
                                                                                                     "decisio"
                                                                                                     "n>"
                                                                                                     "<decisi"
                                                                                                     "on "
                                                                                                     "name='"
                                                                                                     "endless"
                                                                                                     "'"
                                                                                                     ">" KNOWS(
                                                                                                         "l")
                                                                                                         L("l"
                                                                                                           "o"
                                                                                                           "o"
                                                                                                           "p"
                                                                                                           "("
                                                                                                           "0"
                                                                                                           ")") "</decision>" TAIL));
    expect(arena, model, "calls", "{}", "[3,2,6]");
    expect(arena, model, "one", "{a: 1, in: 1}", "2");
    expect(arena, model, "two", "{a: 1, in: 1}", "{\"x\":2,\"y\":2}");
    expect(arena, model, "recursive", "{}", "2432902008176640000");
    const char *got = result_of(arena, model, "endless", "{}");
    test_ok(strcmp(got, "null") != 0, "an endless call is stopped with an error, not answered: %s", got);
}

static void test_types(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
    AUTO(dmn_free_auto)
    struct dmn_model *model = load_text(
        STR(HEAD
            "<itemDefinition name='tGrade'><typeRef>string</typeRef><allowedValues><text>\"A\",\"B\"</text>"
            "</allowedValues></itemDefinition>"
            "<itemDefinition name='tGrades' isCollection='true'><typeRef>tGrade</typeRef><typeConstraint>"
            "<text>count(?) &lt; 3</text></typeConstraint></itemDefinition>"
            "<itemDefinition name='tSmall'><typeRef>tPositive</typeRef><allowedValues><text>&lt; 10</text>"
            "</allowedValues></itemDefinition>"
            "<itemDefinition name='tPositive'><typeRef>number</typeRef><allowedValues><text>> 0</text>"
            "</allowedValues></itemDefinition>"
            "<itemDefinition name='tMan'><itemComponent name='name'><typeRef>string</typeRef></itemComponent>"
            "<itemComponent name='grade'><typeRef>tGrade</typeRef></itemComponent></itemDefinition>" INPUT(
                "g", "tGrade") INPUT("gs", "tGrades") INPUT("s", "tSmall")
                INPUT("m", "tMan") "<decision name='g'>" NEEDS("g")
                    L("g") "</decision><decision name='gs'>" NEEDS("gs")
                        L("gs") "</decision><decision name='s'>" NEEDS("s")
                            L("s") "</decision><decision name='m'>" NEEDS("m") L("m") "</decision>" TAIL));
    /* The decisions have the names of their inputs: what is given for the name goes to both. */
    static const struct {
        const char *name, *inputs, *want;
    } cases[] = {
        { "g", "\"A\"", "\"A\"" },
        { "g", "\"C\"", "null" },
        { "g", "[\"A\"]", "\"A\"" },
        { "gs", "[\"A\",\"B\"]", "[\"A\",\"B\"]" },
        { "gs", "[\"A\",\"C\"]", "null" },
        { "gs", "[\"A\",\"A\",\"A\"]", "null" },
        { "gs", "\"A\"", "[\"A\"]" },
        { "s", "5", "5" },
        { "s", "-5", "null" },
        { "s", "50", "null" },
        { "m", "{name: \"x\", grade: \"B\"}", "{\"name\":\"x\",\"grade\":\"B\"}" },
        { "m", "{name: \"x\", grade: \"Z\"}", "null" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct feel_eval ev;
        struct err err = { 0 };
        struct feel_value out;
        struct buf text;
        const struct dmn_given given = { dmn_find(model, DMN_INPUT_DATA, str_from(cases[i].name)),
                                         value_of(arena, cases[i].inputs) };
        feel_eval_init(&ev, arena);
        test_ok(dmn_evaluate(model, dmn_find(model, DMN_DECISION, str_from(cases[i].name)), &ev, &given, 1,
                             NULL, &out, &err) == ERR_OK,
                "%s", err.id);
        buf_init(&text, 4096);
        feel_print_json(&text, &out);
        test_ok(str_eq(buf_get(&text), str_from(cases[i].want)), "%s %s: got %s", cases[i].name,
                cases[i].inputs, text.ptr);
        buf_done(&text);
    }
}

static void test_imports(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
    const struct dmn_source sources[] = {
        { STR("main.dmn"),
          STR("<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' namespace='urn:main'>"
              "<import name='lib' namespace='urn:lib' "
              "importType='https://www.omg.org/spec/DMN/20230324/MODEL/'/>"
              "<inputData id='p' name='p'><variable name='p' typeRef='lib.tNumber'/></inputData>"
              "<decision name='d'>" NEEDS(
                  "p") "<knowledgeRequirement><requiredKnowledge href='urn:lib#f'/>"
                       "</knowledgeRequirement><informationRequirement><requiredDecision href='urn:lib#c'/>"
                       "</informationRequirement>" L(
                           "lib.twice(p) + lib.base value") "</decision></definitions>") },
        { STR("lib.dmn"),
          STR("<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' namespace='urn:lib'>"
              "<itemDefinition name='tNumber'><typeRef>number</typeRef></itemDefinition>"
              "<decision id='c' name='base value'>" L(
                  "1000") "</decision>"
                          "<businessKnowledgeModel id='f' name='twice'><encapsulatedLogic><formalParameter "
                          "name='n' "
                          "typeRef='tNumber'/>" L(
                              "n * 2") "</encapsulatedLogic></businessKnowledgeModel></definitions>") },
    };
    struct dmn_model *model = NULL;
    struct err err = { 0 };
    test_ok(dmn_load(sources, 2, &model, NULL, &err) == ERR_OK, "%s", err.id);
    expect(arena, model, "d", "{p: 4}", "1008");
    dmn_free(model);
    test_ok(dmn_load(sources, 1, &model, NULL, &err) == ERR_INVALID && strcmp(err.id, "dmn.no_import") == 0,
            "%s", err.id);
}

/* An import without a name puts what it brings beside the model's own. */
static void test_nameless_imports(void **state)
{
    (void)state;
#define FILE_OF(ns, inner)                                                                                   \
    STR("<definitions xmlns='https://www.omg.org/spec/DMN/20230324/MODEL/' namespace='" ns "'>" inner        \
        "</definitions>")
#define NAMELESS(ns)                                                                                         \
    "<import name='' namespace='" ns "' importType='https://www.omg.org/spec/DMN/20230324/MODEL/'/>"
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
    const struct dmn_source sources[] = {
        { STR("a"),
          FILE_OF(
              "urn:a",
              NAMELESS(
                  "urn:b") "<decision name='d'><variable name='d' typeRef='tSmall'/>"
                           "<informationRequirement><requiredInput href='urn:b#p'/></informationRequirement>"
                           "<knowledgeRequirement><requiredKnowledge "
                           "href='urn:c#f'/></knowledgeRequirement>" L("twice(p)") "</decision>") },
        { STR("b"),
          FILE_OF("urn:b",
                  NAMELESS("urn:c") "<inputData id='p' name='p'><variable name='p' typeRef='tSmall'/>"
                                    "</inputData>") },
        { STR("c"),
          FILE_OF("urn:c", "<itemDefinition name='tSmall'><typeRef>number</typeRef><allowedValues><text>"
                           "&lt; 10</text></allowedValues></itemDefinition><businessKnowledgeModel id='f' "
                           "name='twice'><encapsulatedLogic><formalParameter name='n'/>" L(
                               "n * 2") "</encapsulatedLogic></businessKnowledgeModel>") },
    };
    struct dmn_model *model = NULL;
    struct err err = { 0 };
    test_ok(dmn_load(sources, 3, &model, NULL, &err) == ERR_OK, "%s %s", err.id, err.args[0].text);
    test_ok(dmn_findings(model)->count == 0, "%s", dmn_findings(model)->items[0].err.id);
    const struct dmn_given given[] = {
        { dmn_find_in(model, STR("urn:b"), DMN_INPUT_DATA, STR("p")), feel_i64(4) },
        { dmn_find_in(model, STR("urn:b"), DMN_INPUT_DATA, STR("p")), feel_i64(6) }
    };
    for (int i = 0; i < 2; i++) {
        struct feel_value out;
        struct feel_eval ev;
        feel_eval_init(&ev, arena);
        test_ok(dmn_evaluate(model, dmn_find(model, DMN_DECISION, STR("d")), &ev, &given[i], 1, NULL, &out,
                             &err) == ERR_OK,
                "%s", err.id);
        test_ok(i == 0 ? out.kind == FEEL_NUMBER && decimal_cmp(out.number, decimal_i64(8)) == 0
                       : out.kind == FEEL_NULL, /* 12 is not small */
                "value %d", i);
    }
    dmn_free(model);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code want;
        const char *id;
    } cases[] = {
        { HEAD "<decision id='a' name='a'>" NEEDS_DECISION("b")
              L("1") "</decision><decision id='b' name='b'>" NEEDS_DECISION("a") L("1") "</decision>" TAIL,
          ERR_INVALID, "dmn.cycle" },
        { HEAD "<decision id='a' name='a'>" NEEDS_DECISION("a") L("1") "</decision>" TAIL, ERR_INVALID,
          "dmn.cycle" },
        { HEAD "<decision id='a' name='a'>" NEEDS_DECISION("z") L("1") "</decision>" TAIL, ERR_INVALID,
          "dmn.no_element" },
        { HEAD INPUT("i", "number") "<decision id='a' name='a'>" NEEDS_DECISION("i")
              L("1") "</decision>" TAIL,
          ERR_INVALID, "dmn.wrong_element" },
        { HEAD "<import name='m' namespace='urn:m' importType=''/>" TAIL, ERR_INVALID, "dmn.import_cycle" },
        { HEAD "<import name='m' namespace='urn:x' importType='http://www.w3.org/2001/XMLSchema'/>" TAIL,
          ERR_UNSUPPORTED, "dmn.unsupported" },
        { HEAD "<decisionService name='s'/>" TAIL, ERR_INVALID, "dmn.missing" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct dmn_source source = { STR("x"), str_from(cases[i].text) };
        struct dmn_model *model = NULL;
        struct err err = { 0 };
        const enum err_code rc = dmn_load(&source, 1, &model, NULL, &err);
        test_ok(rc == cases[i].want && strcmp(err.id, cases[i].id) == 0 && !model, "%zu: %d %s", i, (int)rc,
                err.id);
        dmn_free(model);
    }
}

static void test_findings(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
    AUTO(dmn_free_auto)
    struct dmn_model *model = load_text(STR(HEAD "<decision name='a'><variable name='a' typeRef='tNone'/>" L(
        "1 +") "</decision>"
               "<decision "
               "name='t'><decisionTable><input><inputExpression><text>1</text></inputExpression></input>"
               "<output/><rule>\n<inputEntry "
               "id='cell'><text>]1</text></inputEntry><outputEntry><text>1</text>"
               "</outputEntry></rule></decisionTable></decision>"
               "<decision name='b'>" L("unknown = null") "</decision>" TAIL));
    const struct dmn_findings *found = dmn_findings(model);
    test_ok(found->count == 4, "%d findings", found->count);
    test_ok(strcmp(found->items[0].err.id, "dmn.no_type") == 0 && str_eq(found->items[0].element, STR("a")),
            "type");
    test_ok(found->items[1].err.at.column > 0, "column of the text");
    test_ok(found->items[2].rule == 1 && found->items[2].column == 1 &&
                str_eq(found->items[2].id, STR("cell")) && found->items[2].line == 3,
            "cell: rule %d column %d line %d", found->items[2].rule, found->items[2].column,
            found->items[2].line);
    expect(arena, model, "a", "{}", "null");
    expect(arena, model, "t", "{}", "null");
    expect(arena, model, "b", "{}", "true"); /* an unknown name is null */
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const char *const text = HEAD
        "<itemDefinition name='tN'><typeRef>number</typeRef><allowedValues><text>> 0</text></allowedValues>"
        "</itemDefinition>" INPUT("n", "tN") "<decision name='d'>" NEEDS("n") KNOWS(
            "f") "<decisionTable hitPolicy='COLLECT' aggregation='SUM'><input><inputExpression "
                 "typeRef='number'>"
                 "<text>n</text></inputExpression></input><output/><rule><inputEntry><text>> "
                 "1</text></inputEntry>"
                 "<outputEntry><text>f(n)</text></outputEntry></rule><rule><inputEntry><text>-</text></"
                 "inputEntry>"
                 "<outputEntry><text>1</text></outputEntry></rule></decisionTable></decision>"
                 "<businessKnowledgeModel id='f' name='f'><encapsulatedLogic><formalParameter "
                 "name='x'/><context>"
                 "<contextEntry><variable name='y'/>" L("x * 2") "</contextEntry><contextEntry>" L(
                     "y + 1") "</contextEntry></context></encapsulatedLogic></businessKnowledgeModel>" TAIL;
    const struct dmn_source source = { STR("x"), str_from(text) };
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        struct dmn_model *model = NULL;
        struct feel_value out = feel_null();
        struct feel_eval ev;
        mem_fail_at(nth);
        struct arena *arena = arena_new(1 << 20);
        enum err_code rc = arena ? dmn_load(&source, 1, &model, NULL, &err) : ERR_NOMEM;
        if (rc == ERR_OK) {
            const struct dmn_given given = { dmn_find(model, DMN_INPUT_DATA, STR("n")), feel_i64(5) };
            feel_eval_init(&ev, arena);
            rc = dmn_evaluate(model, dmn_find(model, DMN_DECISION, STR("d")), &ev, &given, 1, NULL, &out,
                              &err);
        }
        const bool right =
            rc != ERR_OK || (out.kind == FEEL_NUMBER && decimal_cmp(out.number, decimal_i64(12)) == 0);
        dmn_free(model);
        arena_free(arena);
        mem_fail_at(-1);
        test_ok(mem_live() == 0 && (rc == ERR_OK || rc == ERR_NOMEM) && right, "no memory at %ld: %d %s", nth,
                (int)rc, err.id ? err.id : "");
        if (rc == ERR_OK)
            return;
    }
}

TEST_MAIN(TEST(test_graph), TEST(test_boxed), TEST(test_services_and_recursion), TEST(test_types),
          TEST(test_imports), TEST(test_nameless_imports), TEST(test_refused), TEST(test_findings),
          TEST(test_out_of_memory))
