/* standard_test.c - decision tables, boxed expressions, types and functions, with the answers of DMN 1.5. */
#include "test.h"

#include "dmn/models_test.h"

#define ANY(name) "<inputData id='" name "' name='" name "'><variable name='" name "'/></inputData>"
#define IN(text) "<input><inputExpression><text>" text "</text></inputExpression></input>"
#define R1(in, out)                                                                                          \
    "<rule><inputEntry><text>" in "</text></inputEntry><outputEntry><text>" out "</text></outputEntry></"    \
    "rule>"
#define R2(in, out, more)                                                                                    \
    "<rule><inputEntry><text>" in "</text></inputEntry><outputEntry><text>" out                              \
    "</text></outputEntry><outputEntry><text>" more "</text></outputEntry></rule>"
#define D(name) "<decision id='d_" name "' name='" name "'><variable name='" name "'/>"
#define DT(name, type)                                                                                       \
    "<decision id='d_" name "' name='" name "'><variable name='" name "' typeRef='" type "'/>"
#define END "</decision>"
#undef NEEDS_DECISION
#define NEEDS_DECISION(name)                                                                                 \
    "<informationRequirement><requiredDecision href='#" name "'/></informationRequirement>"

/* One table of A (and B), and the columns and rules that many of them have. */
#define TABLE_OF(inputs, needs, policy, rest)                                                                \
    HEAD inputs D("D") needs "<decisionTable hitPolicy='" policy "'>" rest "</decisionTable>" END TAIL
#define TABLE(policy, rest) TABLE_OF(ANY("A"), NEEDS("A"), policy, rest)
#define TABLE_AB(policy, rest) TABLE_OF(ANY("A") ANY("B"), NEEDS("A") NEEDS("B"), policy, rest)
#define COLLECT(aggregation) "COLLECT' aggregation='" aggregation
#define OUT_O "<output name='o'></output>"
#define OUT_A_B "<output name='a'></output><output name='b'></output>"
#define ONE_TWO_ONE R1("&gt; 0", "1") R1("&gt; 1", "2") R1("&gt; 2", "1")
#define X_Y_X                                                                                                \
    R2("&gt; 0", "&quot;x&quot;", "1")                                                                       \
    R2("&gt; 1", "&quot;y&quot;", "2") R2("&gt; 2", "&quot;x&quot;", "1")

/* A function of two, and a service over two decisions. */
#define TWICE_AND                                                                                            \
    "<businessKnowledgeModel id='B' name='B'><variable name='B' typeRef='number'/><encapsulatedLogic>"       \
    "<formalParameter name='x y' typeRef='number'/><formalParameter name='z'/>" L(                           \
        "x y * 2 + z") "</encapsulatedLogic></businessKnowledgeModel>"
#define X_THEN_Y                                                                                             \
    HEAD INPUT("A", "number") DT("X", "number") NEEDS("A") L("A + 1") END DT("Y", "number")                  \
        NEEDS_DECISION("d_X") L("X * 2") END
#define SERVICE_Y                                                                                            \
    X_THEN_Y "<decisionService id='S' name='S'><variable name='S'/><outputDecision href='#d_Y'/>"            \
             "<encapsulatedDecision href='#d_X'/><inputData href='#A'/></decisionService>"

struct standard_case {
    const char *model; /* NULL: the one before */
    const char *decision, *inputs, *want;
};

static void check_all(const struct standard_case *cases, size_t count)
{
    struct dmn_model *model = NULL;
    for (size_t i = 0; i < count; i++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 24);
        if (cases[i].model) {
            dmn_free(model);
            model = load_text(str_from(cases[i].model));
        }
        const char *got = result_of(arena, model, cases[i].decision, cases[i].inputs);
        test_ok(strcmp(got, cases[i].want) == 0, "%s\n%s %s: got %s, want %s",
                cases[i].model ? cases[i].model : "(the same)", cases[i].decision, cases[i].inputs, got,
                cases[i].want);
    }
    dmn_free(model);
}

static void test_tables(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct standard_case cases[] = {
        { TABLE("FIRST", IN("A") OUT_O R1("&quot;a&quot;", "1") R1("-", "2")),
          "D", "{\"A\": \"a\"}", "1" },
        { NULL, "D", "{\"A\": [\"a\", \"b\"]}", "2" },
        { TABLE("FIRST", IN("A") OUT_O R1("list contains(?, &quot;a&quot;)", "1") R1("-", "2")),
          "D", "{\"A\": [\"a\", \"b\"]}", "1" },
        { TABLE("FIRST", IN("A") OUT_O R1("[&quot;a&quot;,&quot;b&quot;]", "1") R1("-", "2")),
          "D", "{\"A\": [\"a\", \"b\"]}", "1" },
        { NULL, "D", "{\"A\": \"b\"}", "1" },
        { NULL, "D", "{\"A\": \"c\"}", "2" },
        { TABLE("FIRST", IN("A") OUT_O R1("not([&quot;a&quot;,&quot;b&quot;])", "1") R1("-", "2")),
          "D", "{\"A\": \"c\"}", "1" },
        { NULL, "D", "{\"A\": \"a\"}", "2" },
        { TABLE("FIRST", IN("A") OUT_O R1("not(&quot;a&quot;,&quot;b&quot;)", "1") R1("null", "3")
          R1("-", "2")), "D", "{\"A\": \"c\"}", "1" },
        { NULL, "D", "{\"A\": \"b\"}", "2" },
        { NULL, "D", "{\"A\": null}", "1" },
        { TABLE("FIRST", IN("A") OUT_O R1("not(null)", "1") R1("-", "2")),
          "D", "{\"A\": 1}", "1" },
        { NULL, "D", "{\"A\": null}", "2" },
        { TABLE("FIRST", IN("A") OUT_O R1("&lt; 5", "1") R1("-", "2")),
          "D", "{\"A\": null}", "2" },
        { NULL, "D", "{\"A\": \"x\"}", "2" },
        { TABLE("UNIQUE", IN("A") OUT_O R1("true", "1") R1("false", "2") R1("null", "3")),
          "D", "{\"A\": true}", "1" },
        { NULL, "D", "{\"A\": false}", "2" },
        { NULL, "D", "{\"A\": null}", "3" },
        { TABLE_AB("FIRST", IN("A") OUT_O R1("&gt; B", "1") R1("[B - 1..B]", "2") R1("-", "3")),
          "D", "{\"A\": 5, \"B\": 4}", "1" },
        { NULL, "D", "{\"A\": 4, \"B\": 4}", "2" },
        { NULL, "D", "{\"A\": 1, \"B\": 4}", "3" },
        { TABLE_AB("FIRST", IN("A") OUT_O R1("B", "1") R1("-", "3")),
          "D", "{\"A\": 1, \"B\": [1, 2]}", "1" },
        { NULL, "D", "{\"A\": 4, \"B\": 4}", "1" },
        { TABLE_AB("FIRST", IN("A") OUT_O R1("B + 1", "1") R1("-", "3")),
          "D", "{\"A\": 5, \"B\": 4}", "1" },
        { TABLE_AB("FIRST", IN("A") OUT_O R1("? = B", "1") R1("? &gt; B and ? &lt; 10", "2")
          R1("-", "3")), "D", "{\"A\": 5, \"B\": 4}", "2" },
        { TABLE("UNIQUE", IN("A") OUT_A_B X_Y_X), "D", "{\"A\": 1}", "{\"a\":\"x\",\"b\":1}" },
        { NULL, "D", "{\"A\": 2}", "null" },
        { NULL, "D", "{\"A\": 0}", "null" },
        { TABLE("FIRST", IN("A") OUT_A_B X_Y_X), "D", "{\"A\": 5}", "{\"a\":\"x\",\"b\":1}" },
        { TABLE("ANY", IN("A") OUT_A_B X_Y_X), "D", "{\"A\": 5}", "null" },
        { TABLE("ANY", IN("A") OUT_A_B R2("&gt; 0", "&quot;x&quot;", "1")
          R2("&gt; 1", "&quot;x&quot;", "1")), "D", "{\"A\": 5}", "{\"a\":\"x\",\"b\":1}" },
        { TABLE("RULE ORDER", IN("A") OUT_A_B X_Y_X),
          "D", "{\"A\": 2}", "[{\"a\":\"x\",\"b\":1},{\"a\":\"y\",\"b\":2}]" },
        { TABLE("COLLECT", IN("A") OUT_A_B X_Y_X),
          "D", "{\"A\": 2}", "[{\"a\":\"x\",\"b\":1},{\"a\":\"y\",\"b\":2}]" },
        { NULL, "D", "{\"A\": 0}", "[]" },
        { TABLE("RULE ORDER", IN("A") OUT_A_B X_Y_X), "D", "{\"A\": 0}", "null" },
        { TABLE("PRIORITY", IN("A")
          "<output name='a'><outputValues><text>&quot;y&quot;,&quot;x&quot;</text>"
          "</outputValues></output><output name='b'><outputValues><text>2,1</text>"
          "</outputValues></output>" X_Y_X), "D", "{\"A\": 5}", "{\"a\":\"y\",\"b\":2}" },
        { TABLE("OUTPUT ORDER", IN("A")
          "<output name='a'><outputValues><text>&quot;y&quot;,&quot;x&quot;</text>"
          "</outputValues></output><output name='b'><outputValues><text>2,1</text>"
          "</outputValues></output>" X_Y_X),
          "D", "{\"A\": 5}", "[{\"a\":\"y\",\"b\":2},{\"a\":\"x\",\"b\":1},{\"a\":\"x\",\"b\":1}]" },
        { TABLE(COLLECT("COUNT"), IN("A") OUT_A_B X_Y_X), "D", "{\"A\": 5}", "3" },
        { TABLE(COLLECT("SUM"), IN("A") OUT_A_B X_Y_X),
          "D", "{\"A\": 5}", "{\"a\":null,\"b\":4}" },
        { TABLE(COLLECT("SUM"), IN("A") OUT_O ONE_TWO_ONE), "D", "{\"A\": 5}", "4" },
        { TABLE(COLLECT("MIN"), IN("A") OUT_O ONE_TWO_ONE), "D", "{\"A\": 5}", "1" },
        { TABLE(COLLECT("MAX"), IN("A") OUT_O ONE_TWO_ONE), "D", "{\"A\": 5}", "2" },
        { TABLE(COLLECT("COUNT"), IN("A") OUT_O ONE_TWO_ONE), "D", "{\"A\": 5}", "3" },
        { TABLE(COLLECT("SUM"), IN("A") OUT_O ONE_TWO_ONE), "D", "{\"A\": 0}", "null" },
        { TABLE(COLLECT("MIN"), IN("A") OUT_O ONE_TWO_ONE), "D", "{\"A\": 0}", "null" },
        { TABLE(COLLECT("MAX"), IN("A") OUT_O ONE_TWO_ONE), "D", "{\"A\": 0}", "null" },
        { TABLE(COLLECT("COUNT"), IN("A") OUT_O ONE_TWO_ONE), "D", "{\"A\": 0}", "0" },
        { TABLE("UNIQUE", IN("A")
          "<output name='o'><defaultOutputEntry><text>9</text></defaultOutputEntry></output>"
          ONE_TWO_ONE), "D", "{\"A\": 0}", "9" },
        { TABLE("UNIQUE", IN("A")
          "<output name='a'><defaultOutputEntry><text>&quot;d&quot;</text></defaultOutputEntry>"
          "</output><output name='b'><defaultOutputEntry><text>9</text></defaultOutputEntry>"
          "</output>" X_Y_X), "D", "{\"A\": 0}", "{\"a\":\"d\",\"b\":9}" },
        { TABLE("COLLECT", IN("A")
          "<output name='o'><defaultOutputEntry><text>9</text></defaultOutputEntry></output>"
          ONE_TWO_ONE), "D", "{\"A\": 0}", "[9]" },
        { TABLE(COLLECT("SUM"), IN("A")
          "<output name='o'><defaultOutputEntry><text>9</text></defaultOutputEntry></output>"
          ONE_TWO_ONE), "D", "{\"A\": 0}", "9" },
        { TABLE("UNIQUE", IN("A") "<output></output>" R1("-", "5")), "D", "{\"A\": 0}", "5" },
        { TABLE("UNIQUE",
          "<output></output><rule><outputEntry><text>5</text></outputEntry></rule>"),
          "D", "{\"A\": 0}", "5" },
        { TABLE("UNIQUE", IN("A") "<output></output>"), "D", "{\"A\": 0}", "null" },
        { TABLE("UNIQUE", IN("A")
          "<output name='o'><outputValues><text>5,6</text></outputValues></output>" ONE_TWO_ONE),
          "D", "{\"A\": 1}", "1" },
        { TABLE("UNIQUE",
          "<input><inputExpression><text>A</text></inputExpression><inputValues><text>"
          "1,2</text></inputValues></input><output name='o'></output>" R1("-", "5")),
          "D", "{\"A\": 3}", "null" },
        { TABLE("FIRST", IN("A.x + 1") OUT_O R1("2", "5") R1("-", "6")),
          "D", "{\"A\": {\"x\": 1}}", "5" },
        { TABLE("FIRST", IN("count(A)") OUT_O R1("2", "5") R1("-", "6")),
          "D", "{\"A\": [1, 2]}", "5" },
        { TABLE("UNIQUE", IN("A") OUT_O R1("-", "{x: A}")), "D", "{\"A\": 3}", "{\"x\":3}" },
        { TABLE("UNIQUE", IN("A") OUT_O R1("-", "")), "D", "{\"A\": 3}", "null" },
        { TABLE("UNIQUE", IN("A") OUT_O R1("-", "-")), "D", "{\"A\": 3}", "null" },
    };
    /* clang-format on */
    check_all(cases, sizeof cases / sizeof *cases);
}

static void test_types_and_boxed_expressions(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct standard_case cases[] = {
        { HEAD D("D") "<context><contextEntry><variable name='a' typeRef='number'/>" L("1")
          "</contextEntry><contextEntry><variable name='b' typeRef='string'/>" L("a")
          "</contextEntry></context>" END TAIL, "D", "{}", "{\"a\":1,\"b\":null}" },
        { HEAD D("D") "<context><contextEntry><variable name='a b'/>" L("1")
          "</contextEntry><contextEntry>" L("a b + 1") "</contextEntry></context>" END TAIL,
          "D", "{}", "2" },
        { HEAD D("D") "<context><contextEntry><variable name='fact'/><functionDefinition>"
          "<formalParameter name='n' typeRef='number'/>"
          L("if n &lt; 2 then 1 else n * fact(n - 1)")
          "</functionDefinition></contextEntry><contextEntry>" L("fact(5)")
          "</contextEntry></context>" END TAIL, "D", "{}", "120" },
        { HEAD D("N") END D("D") NEEDS_DECISION("d_N") L("N") END TAIL, "D", "{}", "null" },
        { HEAD D("N") END TAIL, "N", "{}", "null" },
        { HEAD "<businessKnowledgeModel id='B' name='B'/>" D("D") KNOWS("B") L("B()") END TAIL,
          "D", "{}", "null" },
        { HEAD "<businessKnowledgeModel id='B' name='B'><encapsulatedLogic>"
          "<formalParameter name='x'/></encapsulatedLogic></businessKnowledgeModel>" D("D")
          KNOWS("B") L("B(1)") END TAIL, "D", "{}", "null" },
        { HEAD D("D") "<invocation></invocation>" END TAIL, "D", "{}", "null" },
        { HEAD D("D") "<literalExpression/>" END TAIL, "D", "{}", "null" },
        { HEAD D("D") "<context/>" END TAIL, "D", "{}", "{}" },
        { HEAD D("D") "<list/>" END TAIL, "D", "{}", "[]" },
        { HEAD D("D") "<relation><column name='a'/></relation>" END TAIL, "D", "{}", "[]" },
        { HEAD TWICE_AND D("D") KNOWS("B") L("B(2, 1)") END TAIL, "D", "{}", "5" },
        { HEAD TWICE_AND D("D") KNOWS("B") L("B(z: 1, x y: 2)") END TAIL, "D", "{}", "5" },
        { HEAD TWICE_AND D("D") KNOWS("B") L("B(&quot;a&quot;, 1)") END TAIL, "D", "{}", "null" },
        { HEAD TWICE_AND D("D") KNOWS("B") L("B(1)") END TAIL, "D", "{}", "null" },
        { HEAD TWICE_AND D("D") KNOWS("B") L("B([2], 1)") END TAIL, "D", "{}", "5" },
        { HEAD TWICE_AND D("D") KNOWS("B") "<invocation>" L("B") "<binding><parameter name='z'/>"
          L("1") "</binding><binding><parameter name='x y'/>" L("2") "</binding></invocation>" END
          TAIL, "D", "{}", "5" },
        { HEAD TWICE_AND D("D") KNOWS("B") "<invocation>" L("B")
          "<binding><parameter name='x y'/>" L("2") "</binding></invocation>" END TAIL,
          "D", "{}", "null" },
        { HEAD D("D") "<invocation>" L("abs") "<binding><parameter name='n'/>" L("-2")
          "</binding></invocation>" END TAIL, "D", "{}", "2" },
        { HEAD TWICE_AND D("D") KNOWS("B") "<invocation>" L("B") "<binding><parameter name='q'/>"
          L("2") "</binding></invocation>" END TAIL, "D", "{}", "null" },
        { HEAD "<inputData id='a-b' name='a-b'><variable name='a-b'/></inputData>" ANY("a") D("D")
          "<informationRequirement id='xa-b'><requiredInput href='#a-b'/>"
          "</informationRequirement>" L("a-b + 1") END TAIL, "D", "{\"a-b\": 4}", "5" },
        { HEAD "<inputData id='i1' name='Gr\xc3\xb6\xc3\x9f" "e in \xe2\x82\xac'>"
          "<variable name='Gr\xc3\xb6\xc3\x9f" "e in \xe2\x82\xac'/></inputData>" D("D") NEEDS("i1")
          L("Gr\xc3\xb6\xc3\x9f" "e in \xe2\x82\xac + 1") END TAIL,
          "D", "{\"Gr\xc3\xb6\xc3\x9f" "e in \xe2\x82\xac\": 4}", "5" },
        { HEAD "<inputData id='i1' name='\xe5\x90\x8d\xe7\xa7\xb0'>"
          "<variable name='\xe5\x90\x8d\xe7\xa7\xb0'/></inputData>" D("D") NEEDS("i1")
          L("\xe5\x90\x8d\xe7\xa7\xb0 + 1") END TAIL,
          "D", "{\"\xe5\x90\x8d\xe7\xa7\xb0\": 4}", "5" },
        { HEAD "<inputData id='i1' name='x+y'><variable name='x+y'/></inputData>" D("D")
          NEEDS("i1") L("x+y + 1") END TAIL, "D", "{\"x+y\": 4}", "5" },
        { HEAD "<inputData id='i1' name='a.b'><variable name='a.b'/></inputData>" D("D")
          NEEDS("i1") L("a.b + 1") END TAIL, "D", "{\"a.b\": 4}", "5" },
        { HEAD "<inputData id='i1' name='it&#x27;s'><variable name='it&#x27;s'/></inputData>"
          D("D") NEEDS("i1") L("it&#x27;s + 1") END TAIL, "D", "{\"it's\": 4}", "5" },
        { HEAD "<inputData id='i1' name='if x'><variable name='if x'/></inputData>" D("D")
          NEEDS("i1") L("if x + 1") END TAIL, "D", "{\"if x\": 4}", "5" },
        { HEAD "<inputData id='i1' name='a / b'><variable name='a / b'/></inputData>" D("D")
          NEEDS("i1") L("a / b + 1") END TAIL, "D", "{\"a / b\": 4}", "5" },
        { HEAD "<inputData id='i1' name='\xf0\x9f\x90\x8e count'>"
          "<variable name='\xf0\x9f\x90\x8e count'/></inputData>" D("D") NEEDS("i1")
          L("\xf0\x9f\x90\x8e count + 1") END TAIL, "D", "{\"\xf0\x9f\x90\x8e count\": 4}", "5" },
        { HEAD "<inputData id='i1' name='in stock'><variable name='in stock'/></inputData>" D("D")
          NEEDS("i1") L("in stock + 1") END TAIL, "D", "{\"in stock\": 4}", "5" },
        { HEAD "<inputData id='i1' name='and more'><variable name='and more'/></inputData>" D("D")
          NEEDS("i1") L("and more + 1") END TAIL, "D", "{\"and more\": 4}", "5" },
        { HEAD
          "<inputData id='i1' name='date of birth'><variable name='date of birth'/></inputData>"
          D("D") NEEDS("i1") L("date of birth + 1") END TAIL, "D", "{\"date of birth\": 4}", "5" },
        { HEAD "<inputData id='i1' name='null value'><variable name='null value'/></inputData>"
          D("D") NEEDS("i1") L("null value + 1") END TAIL, "D", "{\"null value\": 4}", "5" },
        { HEAD "<inputData id='i1' name='x?'><variable name='x?'/></inputData>" D("D") NEEDS("i1")
          L("x? + 1") END TAIL, "D", "{\"x?\": 4}", "5" },
        { HEAD "<inputData id='i1' name='Q1 2020'><variable name='Q1 2020'/></inputData>" D("D")
          NEEDS("i1") L("Q1 2020 + 1") END TAIL, "D", "{\"Q1 2020\": 4}", "5" },
        { HEAD "<inputData id='i1' name='sum'><variable name='sum'/></inputData>" D("D")
          NEEDS("i1") L("sum + 1") END TAIL, "D", "{\"sum\": 4}", "5" },
        { HEAD "<inputData id='i1' name='max (a)'><variable name='max (a)'/></inputData>" D("D")
          NEEDS("i1") L("max (a) + 1") END TAIL, "D", "{\"max (a)\": 4}", "5" },
        { HEAD "<itemDefinition name='tPos' ><typeRef>number</typeRef><allowedValues><text>"
          "&gt; 0</text></allowedValues></itemDefinition><itemDefinition name='tColor'>"
          "<typeRef>string</typeRef><allowedValues><text>"
          "&quot;red&quot;,&quot;green&quot;</text></allowedValues></itemDefinition>"
          "<itemDefinition name='tColors' isCollection='true'><typeRef>tColor</typeRef>"
          "</itemDefinition>" INPUT("A1", "tPos") D("D1") NEEDS("A1") L("A1") END
          INPUT("A2", "tPos") D("D2") NEEDS("A2") L("A2") END INPUT("A3", "tPos") D("D3")
          NEEDS("A3") L("A3") END INPUT("A4", "tPos") D("D4") NEEDS("A4") L("A4") END
          INPUT("A5", "tColor") D("D5") NEEDS("A5") L("A5") END INPUT("A6", "tColor") D("D6")
          NEEDS("A6") L("A6") END INPUT("A7", "tColors") D("D7") NEEDS("A7") L("A7") END
          INPUT("A8", "tColors") D("D8") NEEDS("A8") L("A8") END INPUT("A9", "tColors") D("D9")
          NEEDS("A9") L("A9") END TAIL, "D1", "{\"A1\": 1}", "1" },
        { NULL, "D2", "{\"A2\": 0}", "null" },
        { NULL, "D3", "{\"A3\": \"a\"}", "null" },
        { NULL, "D4", "{\"A4\": [1]}", "1" },
        { NULL, "D5", "{\"A5\": \"red\"}", "\"red\"" },
        { NULL, "D6", "{\"A6\": \"blue\"}", "null" },
        { NULL, "D7", "{\"A7\": [\"red\"]}", "[\"red\"]" },
        { NULL, "D8", "{\"A8\": \"red\"}", "[\"red\"]" },
        { NULL, "D9", "{\"A9\": [\"red\", \"blue\"]}", "null" },
        { HEAD "<itemDefinition name='tPos' ><typeRef>number</typeRef><allowedValues><text>"
          "&gt; 0</text></allowedValues></itemDefinition><itemDefinition name='tColor'>"
          "<typeRef>string</typeRef><allowedValues><text>"
          "&quot;red&quot;,&quot;green&quot;</text></allowedValues></itemDefinition>"
          "<itemDefinition name='tColors' isCollection='true'><typeRef>tColor</typeRef>"
          "</itemDefinition><itemDefinition name='tColors2' isCollection='true'><typeRef>"
          "string</typeRef><allowedValues><text>&quot;red&quot;,&quot;green&quot;</text>"
          "</allowedValues></itemDefinition>"
          "<itemDefinition name='tColors3' isCollection='true'><typeRef>string</typeRef>"
          "<typeConstraint><text>count(?) &lt; 3</text></typeConstraint></itemDefinition>"
          "<itemDefinition name='tPerson'><itemComponent name='name'><typeRef>string</typeRef>"
          "</itemComponent><itemComponent name='age'><typeRef>tPos</typeRef></itemComponent>"
          "</itemDefinition>" INPUT("A10", "tColors") D("D10") NEEDS("A10") L("A10") END
          INPUT("A11", "tColors2") D("D11") NEEDS("A11") L("A11") END INPUT("A12", "tColors2")
          D("D12") NEEDS("A12") L("A12") END INPUT("A13", "tColors2") D("D13") NEEDS("A13")
          L("A13") END INPUT("A14", "tColors3") D("D14") NEEDS("A14") L("A14") END
          INPUT("A15", "tColors3") D("D15") NEEDS("A15") L("A15") END INPUT("A16", "tPerson")
          D("D16") NEEDS("A16") L("A16") END INPUT("A17", "tPerson") D("D17") NEEDS("A17")
          L("A17") END INPUT("A18", "tPerson") D("D18") NEEDS("A18") L("A18") END TAIL,
          "D10", "{\"A10\": []}", "[]" },
        { NULL, "D11", "{\"A11\": [\"red\", \"green\"]}", "[\"red\",\"green\"]" },
        { NULL, "D12", "{\"A12\": [\"blue\"]}", "null" },
        { NULL, "D13", "{\"A13\": \"red\"}", "[\"red\"]" },
        { NULL, "D14", "{\"A14\": [\"a\", \"b\"]}", "[\"a\",\"b\"]" },
        { NULL, "D15", "{\"A15\": [\"a\", \"b\", \"c\"]}", "null" },
        { NULL, "D16", "{\"A16\": {\"name\": \"a\", \"age\": 1}}", "{\"name\":\"a\",\"age\":1}" },
        { NULL, "D17", "{\"A17\": {\"name\": \"a\", \"age\": 0}}", "null" },
        { NULL, "D18", "{\"A18\": {\"name\": \"a\"}}", "null" },
        { HEAD "<itemDefinition name='tPos' ><typeRef>number</typeRef><allowedValues><text>"
          "&gt; 0</text></allowedValues></itemDefinition><itemDefinition name='tPerson'>"
          "<itemComponent name='name'><typeRef>string</typeRef></itemComponent>"
          "<itemComponent name='age'><typeRef>tPos</typeRef></itemComponent></itemDefinition>"
          "<itemDefinition name='tPersons' isCollection='true'><typeRef>tPerson</typeRef>"
          "</itemDefinition><itemDefinition name='tNest'><itemComponent name='inner'>"
          "<itemComponent name='x'><typeRef>number</typeRef></itemComponent></itemComponent>"
          "<itemComponent name='list' isCollection='true'><typeRef>number</typeRef>"
          "</itemComponent></itemDefinition><itemDefinition name='tEven'><typeRef>"
          "number</typeRef><typeConstraint><text>even(?)</text></typeConstraint>"
          "</itemDefinition><itemDefinition name='tAny'><typeRef>Any</typeRef></itemDefinition>"
          INPUT("A19", "tPerson") D("D19") NEEDS("A19") L("A19") END INPUT("A20", "tPersons")
          D("D20") NEEDS("A20") L("A20") END INPUT("A21", "tPersons") D("D21") NEEDS("A21")
          L("A21") END INPUT("A22", "tNest") D("D22") NEEDS("A22") L("A22") END
          INPUT("A23", "tNest") D("D23") NEEDS("A23") L("A23") END INPUT("A24", "tEven") D("D24")
          NEEDS("A24") L("A24") END INPUT("A25", "tEven") D("D25") NEEDS("A25") L("A25") END
          INPUT("A26", "tAny") D("D26") NEEDS("A26") L("A26") END INPUT("A27", "Any") D("D27")
          NEEDS("A27") L("A27") END TAIL,
          "D19", "{\"A19\": {\"name\": \"a\", \"age\": null}}", "{\"name\":\"a\",\"age\":null}" },
        { NULL, "D20", "{\"A20\": [{\"name\": \"a\", \"age\": 1}]}", "[{\"name\":\"a\",\"age\":1}]" },
        { NULL, "D21", "{\"A21\": {\"name\": \"a\", \"age\": 1}}", "[{\"name\":\"a\",\"age\":1}]" },
        { NULL, "D22", "{\"A22\": {\"inner\": {\"x\": 1}, \"list\": [1]}}", "{\"inner\":{\"x\":1},\"list\":[1]}" },
        { NULL, "D23", "{\"A23\": {\"inner\": {\"x\": \"a\"}, \"list\": [1]}}", "null" },
        { NULL, "D24", "{\"A24\": 2}", "2" },
        { NULL, "D25", "{\"A25\": 3}", "null" },
        { NULL, "D26", "{\"A26\": 3}", "3" },
        { NULL, "D27", "{\"A27\": 3}", "3" },
        { HEAD "<itemDefinition name='tDT'><typeRef>date and time</typeRef></itemDefinition>"
          INPUT("A28", "feel:number") D("D28") NEEDS("A28") L("A28") END INPUT("A29", "number")
          D("D29") NEEDS("A29") L("A29") END INPUT("A30", "string") D("D30") NEEDS("A30") L("A30")
          END INPUT("A31", "boolean") D("D31") NEEDS("A31") L("A31") END
          DT("D32", "date and time") L("@&quot;2020-01-01&quot;") END DT("D33", "tDT")
          L("@&quot;2020-01-01&quot;") END DT("D34", "dateTime") L("@&quot;2020-01-01&quot;") END
          DT("D35", "date") L("@&quot;2020-01-01T00:00:00&quot;") END DT("D36", "date")
          L("[@&quot;2020-01-01&quot;]") END TAIL, "D28", "{\"A28\": 3}", "3" },
        { NULL, "D29", "{\"A29\": \"1\"}", "null" },
        { NULL, "D30", "{\"A30\": 1}", "null" },
        { NULL, "D31", "{\"A31\": \"true\"}", "null" },
        { NULL, "D32", "{}", "\"2020-01-01T00:00:00Z\"" },
        { NULL, "D33", "{}", "\"2020-01-01T00:00:00Z\"" },
        { NULL, "D34", "{}", "\"2020-01-01T00:00:00Z\"" },
        { NULL, "D35", "{}", "null" },
        { NULL, "D36", "{}", "\"2020-01-01\"" },
        { HEAD "<itemDefinition name='tPos' ><typeRef>number</typeRef><allowedValues><text>"
          "&gt; 0</text></allowedValues></itemDefinition><itemDefinition name='tColor'>"
          "<typeRef>string</typeRef><allowedValues><text>"
          "&quot;red&quot;,&quot;green&quot;</text></allowedValues></itemDefinition>"
          "<itemDefinition name='tColors' isCollection='true'><typeRef>tColor</typeRef>"
          "</itemDefinition><itemDefinition name='tPerson'><itemComponent name='name'><typeRef>"
          "string</typeRef></itemComponent><itemComponent name='age'><typeRef>tPos</typeRef>"
          "</itemComponent></itemDefinition><itemDefinition name='tDates' isCollection='true'>"
          "<typeRef>date</typeRef></itemDefinition>" DT("D37", "tDates")
          L("@&quot;2020-01-01&quot;") END DT("D38", "date and time")
          L("[@&quot;2020-01-01&quot;]") END DT("D39", "string") L("[&quot;a&quot;]") END
          DT("D40", "string") L("[&quot;a&quot;,&quot;b&quot;]") END DT("D41", "string") L("[]")
          END DT("D42", "string") L("1") END DT("D43", "tColors") L("&quot;red&quot;") END
          DT("D44", "number") L("&quot;1&quot;") END DT("D45", "tPerson")
          L("{name: &quot;a&quot;, age: 1, z: 2}") END TAIL, "D37", "{}", "[\"2020-01-01\"]" },
        { NULL, "D39", "{}", "\"a\"" },
        { NULL, "D40", "{}", "null" },
        { NULL, "D41", "{}", "null" },
        { NULL, "D42", "{}", "null" },
        { NULL, "D43", "{}", "[\"red\"]" },
        { NULL, "D44", "{}", "null" },
        { NULL, "D45", "{}", "{\"name\":\"a\",\"age\":1,\"z\":2}" },
        { HEAD "<itemDefinition name='tColor'><typeRef>string</typeRef><allowedValues><text>"
          "&quot;red&quot;,&quot;green&quot;</text></allowedValues></itemDefinition>"
          "<itemDefinition name='tColors' isCollection='true'><typeRef>tColor</typeRef>"
          "</itemDefinition><itemDefinition name='tFn'><functionItem outputTypeRef='number'>"
          "<parameters name='a'><typeRef>number</typeRef></parameters></functionItem>"
          "</itemDefinition>" DT("D46", "tFn") L("function(a: number) a + 1") END DT("D47", "tFn")
          L("function(a: string) a") END D("D48") L("[1,2][item &gt; 1]") END DT("D49", "number")
          L("[1,2][item &gt; 1]") END DT("D50", "number") L("null") END DT("D51", "tColors")
          L("null") END DT("D52", "tColors") L("[null]") END TAIL, "D48", "{}", "[2]" },
        { NULL, "D49", "{}", "2" },
        { NULL, "D50", "{}", "null" },
        { NULL, "D51", "{}", "null" },
        { NULL, "D52", "{}", "[null]" },
    };
    /* clang-format on */
    check_all(cases, sizeof cases / sizeof *cases);
}

static void test_functions_and_services(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct standard_case cases[] = {
        { HEAD D("D") "<context><contextEntry><variable name='fact'/>"
          L("function(n) if n &lt; 2 then 1 else n * fact(n - 1)") "</contextEntry><contextEntry>"
          L("fact(5)") "</contextEntry></context>" END TAIL, "D", "{}", "120" },
        { HEAD D("D") "<context><contextEntry><variable name='a'/>" L("10")
          "</contextEntry><contextEntry><variable name='f'/>" L("function(n) n + a")
          "</contextEntry><contextEntry><variable name='g'/><functionDefinition>"
          "<formalParameter name='n'/>" L("f(n) + a")
          "</functionDefinition></contextEntry><contextEntry>" L("[f(5), g(5)]")
          "</contextEntry></context>" END TAIL, "D", "{}", "[15,25]" },
        { SERVICE_Y D("D") KNOWS("S") L("S(3)") END TAIL, "D", "{}", "8" },
        { X_THEN_Y
          "<decisionService id='S' name='S'><variable name='S'/><outputDecision href='#d_Y'/>"
          "<inputDecision href='#d_X'/></decisionService>" D("D") KNOWS("S") L("S(3)") END TAIL,
          "D", "{}", "6" },
        { SERVICE_Y D("D") KNOWS("S") L("S(A: 3)") END TAIL, "D", "{}", "8" },
        { SERVICE_Y D("D") KNOWS("S") L("S(&quot;a&quot;)") END TAIL, "D", "{}", "null" },
        { X_THEN_Y
          "<decisionService id='S' name='S'><variable name='S'/><outputDecision href='#d_X'/>"
          "<outputDecision href='#d_Y'/><inputData href='#A'/></decisionService>" D("D")
          KNOWS("S") L("S(3)") END TAIL, "D", "{}", "{\"X\":4,\"Y\":8}" },
        { X_THEN_Y
          "<decisionService id='S' name='S'><variable name='S'/><outputDecision href='#d_X'/>"
          "<outputDecision href='#d_Y'/><inputData href='#A'/></decisionService>" D("D")
          KNOWS("S") L("S(3).Y") END TAIL, "D", "{}", "8" },
        { SERVICE_Y D("D") KNOWS("S") L("[1,2,3][S(item) &gt; 5]") END TAIL, "D", "{}", "[2,3]" },
        { SERVICE_Y D("D") KNOWS("S") L("for i in 1..3 return S(i)") END TAIL,
          "D", "{}", "[4,6,8]" },
        { SERVICE_Y D("D") KNOWS("S") "<invocation>" L("S") "<binding><parameter name='A'/>"
          L("2") "</binding></invocation>" END TAIL, "D", "{}", "6" },
        { SERVICE_Y "<businessKnowledgeModel id='B' name='B'><encapsulatedLogic>"
          "<formalParameter name='q'/>" L("S(q) + 1") "</encapsulatedLogic>" KNOWS("S")
          "</businessKnowledgeModel>" D("D") KNOWS("B") L("B(1)") END TAIL, "D", "{}", "5" },
        { X_THEN_Y "<decisionService id='S' name='S'><variable name='S' typeRef='string'/>"
          "<outputDecision href='#d_Y'/><encapsulatedDecision href='#d_X'/>"
          "<inputData href='#A'/></decisionService>" D("D") KNOWS("S") L("S(3)") END TAIL,
          "D", "{}", "null" },
        { HEAD D("R") "<relation><column name='a'/><column name='b'/><row>" L("1")
          L("&quot;x&quot;") "</row><row>" L("2") L("&quot;y&quot;") "</row></relation>" END
          D("D") NEEDS_DECISION("d_R") L("R[a = 2].b") END TAIL, "D", "{}", "[\"y\"]" },
        { HEAD D("R") "<relation><column name='a'/><column name='b'/><row>" L("1")
          L("&quot;x&quot;") "</row><row>" L("2") L("&quot;y&quot;") "</row></relation>" END
          D("D") NEEDS_DECISION("d_R") "<filter><in>" L("R") "</in><match>" L("a &gt; 1")
          "</match></filter>" END TAIL, "D", "{}", "[{\"a\":2,\"b\":\"y\"}]" },
        { HEAD D("D") "<filter><in>" L("[1,2,3]") "</in><match>" L("2") "</match></filter>" END
          TAIL, "D", "{}", "null" },
        { HEAD D("D") "<for iteratorVariable='i'><in>" L("1..3") "</in><return>"
          L("i + count(partial)") "</return></for>" END TAIL, "D", "{}", "null" },
        { HEAD D("D") "<for iteratorVariable='i'><in>" L("[1..3]") "</in><return>"
          L("i + count(partial)") "</return></for>" END TAIL, "D", "{}", "[1,3,5]" },
        { HEAD D("D") "<conditional><if>" L("null") "</if><then>" L("1") "</then><else>" L("2")
          "</else></conditional>" END TAIL, "D", "{}", "2" },
        { HEAD D("D") "<list>" L("1") "<list>" L("2")
          "</list><relation><column name='a'/><column name='b'/><row>" L("1") L("&quot;x&quot;")
          "</row><row>" L("2") L("&quot;y&quot;") "</row></relation></list>" END TAIL,
          "D", "{}", "[1,[2],[{\"a\":1,\"b\":\"x\"},{\"a\":2,\"b\":\"y\"}]]" },
        {
          "<definitions xmlns='http://www.omg.org/spec/DMN/20151101/dmn.xsd' name='m' id='m' namespace='urn:m' xmlns:feel='http://www.omg.org/spec/FEEL/20140401' expressionLanguage='http://www.omg.org/spec/FEEL/20140401'>"
          "<itemDefinition name='tP'><typeRef>feel:number</typeRef></itemDefinition>"
          INPUT("A", "tP") DT("D", "feel:number") NEEDS("A") L("A + 1") END TAIL,
          "D", "{\"A\": 1}", "2" },
        {
          "<definitions xmlns='http://www.omg.org/spec/DMN/20180521/MODEL/' name='m' id='m' namespace='urn:m' >"
          INPUT("A", "number") DT("D", "number") NEEDS("A") L("A + 1") END TAIL,
          "D", "{\"A\": 1}", "2" },
        { X_THEN_Y TAIL, "Y", "{\"X\": 10}", "20" },
        { NULL, "Y", "{}", "null" },
        { HEAD ANY("A") D("D") NEEDS("A") L("A = null") END TAIL, "D", "{}", "true" },
    };
    /* clang-format on */
    check_all(cases, sizeof cases / sizeof *cases);
}

TEST_MAIN(TEST(test_tables), TEST(test_types_and_boxed_expressions), TEST(test_functions_and_services))
