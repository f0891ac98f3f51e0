/* schema_test.c - every keyword that is known, and one that is not */
#include "platform/pack/schema.h"

#include "base/str.h"
#include "test.h"

#include <string.h>

struct told {
    char text[400];
};

static void tell(void *arg, const char *pointer, const char *id, const char *what)
{
    struct told *told = arg;
    (void)what;
    (void)snprintf(told->text + strlen(told->text), sizeof told->text - strlen(told->text), "%s %s;", pointer,
                   id + strlen("pack.schema_"));
}

static void test_keywords(void **state)
{
    (void)state;
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":2,\"maximum\":5},"
        "\"b\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":2,\"items\":{\"$ref\":\"#/$defs/name\"}},"
        "\"c\":{\"enum\":[\"x\",\"y\",1]},"
        "\"d\":{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"p\"},\"n\":{\"type\":"
        "\"number\"}},\"required\":[\"k\",\"n\"],\"additionalProperties\":false},{\"type\":\"string\"}]}},"
        "\"required\":[\"a\"],\"additionalProperties\":false,"
        "\"$defs\":{\"name\":{\"type\":\"string\",\"pattern\":\"^[a-z]+$\",\"description\":\"d\"}}}";
    static const struct {
        const char *value, *want;
    } cases[] = {
        { "{\"a\":3,\"b\":[\"x\"],\"c\":1,\"d\":\"t\"}", "" },
        { "{\"a\":3,\"d\":{\"k\":\"p\",\"n\":1.5}}", "" },
        { "[]", " type;" },
        { "{}", " required;" },
        { "{\"a\":1}", "/a range;" },
        { "{\"a\":6}", "/a range;" },
        { "{\"a\":2.5}", "/a type;" },
        { "{\"a\":2,\"z\":1}", "/z member;" },
        { "{\"a\":2,\"b\":[]}", "/b items;" },
        { "{\"a\":2,\"b\":[\"x\",\"Y\",\"z\"]}", "/b items;/b/1 pattern;" },
        { "{\"a\":2,\"c\":\"z\"}", "/c enum;" },
        { "{\"a\":2,\"d\":{\"k\":\"p\"}}", "/d required;" },
        { "{\"a\":2,\"d\":{\"k\":\"p\",\"n\":\"1\"}}", "/d/n type;" },
        { "{\"a\":2,\"d\":{\"k\":\"q\",\"n\":1}}", "/d none;" },
        { "{\"a\":2,\"d\":7}", "/d none;" },
    };
    json_t *of = json_loads(schema, 0, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct told told = { "" };
        struct err err = { 0 };
        json_t *value = json_loads(cases[i].value, 0, NULL);
        test_ok(value && !schema_check(of, value, tell, &told, &err), "%s: %s", cases[i].value, err.id);
        test_ok(!strcmp(told.text, cases[i].want), "%s: %s, not %s", cases[i].value, told.text,
                cases[i].want);
        json_decref(value);
    }
    json_decref(of);
}

static void test_unknown(void **state)
{
    (void)state;
    static const char *const schemas[] = { "{\"maxProperties\":1}", "{\"$ref\":\"#/$defs/none\"}",
                                           "{\"pattern\":\"(\"}", "{\"oneOf\":[{\"not\":{}}]}" };
    struct told told = { "" };
    json_t *value = json_string("x");
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        struct err err = { 0 };
        json_t *schema = json_loads(schemas[i], 0, NULL);
        test_ok(schema_check(schema, value, tell, &told, &err) == ERR_INTERNAL, "%s", schemas[i]);
        json_decref(schema);
    }
    struct err err = { 0 };
    json_t *round =
        json_loads("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/a\"}}}", 0, NULL);
    test_ok(schema_check(round, value, tell, &told, &err) == ERR_LIMIT, "in a circle");
    json_decref(round);
    json_decref(value);
}

TEST_MAIN(TEST(test_keywords), TEST(test_unknown))
