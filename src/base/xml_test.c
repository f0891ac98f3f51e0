#include "base/xml.h"
#include "test.h"

static const struct xml_limits SMALL = { .bytes_max = 4096, .depth_max = 8, .nodes_max = 20 };

static enum err_code read_text(struct arena *arena, struct str text, const struct xml_node **root,
                               struct err *err)
{
    return xml_read(arena, text, &SMALL, root, err);
}

static void test_tree(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    const struct xml_node *root = NULL;
    struct err err;
    const struct str text =
        STR("<?xml version='1.0'?>\n<!-- a -->\n<d:a xmlns:d='urn:d' x='1 &lt; 2' d:x='other'>\n"
            "  <d:b>one<!-- c -->two</d:b>\n  <c xmlns='urn:e'><![CDATA[<raw>&amp;]]></c>\n"
            "  <d:b/>  tail \n</d:a>\n");
    test_ok(read_text(arena, text, &root, &err) == ERR_OK, "reads: %s", err.id);
    test_ok(xml_is(root, STR("urn:d"), "a") && root->line == 3, "root at line %d", root->line);
    test_ok(str_eq(xml_attr(root, "x"), STR("1 < 2")), "attribute without a namespace");
    test_ok(str_eq(xml_attr_ns(root, "urn:d", "x"), STR("other")), "attribute with one");
    test_ok(str_eq(xml_attr_ns(root, XML_NS_XMLNS, "d"), STR("urn:d")), "declaration");
    test_ok(xml_attr(root, "y").ptr == NULL, "absent");
    const struct xml_node *b = xml_child(root, "b");
    test_ok(b && str_eq(b->text, STR("onetwo")) && b->line == 4, "joined text '%.*s'", STR_ARG(b->text));
    test_ok(str_eq(b->next->text, STR("<raw>&amp;")) && str_eq(b->next->ns, STR("urn:e")), "character data");
    test_ok(xml_sibling(b, "b") == root->last && !xml_sibling(root->last, "b"), "siblings of its namespace");
    test_ok(str_eq(str_trim(root->text), STR("tail")), "mixed");
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code want;
        const char *id;
        int line;
    } cases[] = {
        { "", ERR_INVALID, "xml.syntax", 1 },
        { "plain", ERR_INVALID, "xml.syntax", 1 },
        { "<a>", ERR_INVALID, "xml.syntax", 1 },
        { "<a>\n<b></a>", ERR_INVALID, "xml.syntax", 2 },
        { "<a/><b/>", ERR_INVALID, "xml.syntax", 1 },
        { "<a>&foo;</a>", ERR_INVALID, "xml.syntax", 1 },
        { "<a x='1' x='2'/>", ERR_INVALID, "xml.syntax", 1 },
        { "<p:a/>", ERR_INVALID, "xml.syntax", 1 },
        { "<!DOCTYPE a>\n<a/>", ERR_INVALID, "xml.dtd", 1 },
        { "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", ERR_INVALID, "xml.dtd", 1 },
        { "<!DOCTYPE a [<!ENTITY x 'y'><!ENTITY z '&x;&x;&x;'>]><a>&z;</a>", ERR_INVALID, "xml.dtd", 1 },
        { "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", ERR_INVALID, "xml.dtd", 1 },
        { "<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>", ERR_LIMIT, "xml.too_deep", 1 },
        { "<a><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/></a>",
          ERR_LIMIT, "xml.too_many", 1 },
        { "<a>\xff\xfe</a>", ERR_INVALID, "xml.syntax", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
        const struct xml_node *root = NULL;
        struct err err = { 0 };
        const enum err_code rc = read_text(arena, str_from(cases[i].text), &root, &err);
        test_ok(rc == cases[i].want && err.code == rc && err.id && strcmp(err.id, cases[i].id) == 0 &&
                    !root && err.at.line == cases[i].line,
                "%s: %d %s line %d", cases[i].text, (int)rc, err.id, err.at.line);
    }
}

static void test_size_is_checked_first(void **state)
{
    (void)state;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    const struct xml_node *root = NULL;
    struct err err;
    const struct str huge = { "<a/>", (size_t)100 << 20 }; /* never looked into */
    test_ok(read_text(arena, huge, &root, &err) == ERR_LIMIT && strcmp(err.id, "base.too_long") == 0, "%s",
            err.id);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        const struct xml_node *root = NULL;
        mem_fail_at(nth);
        struct arena *arena = arena_new(1 << 20);
        const enum err_code rc =
            arena ? read_text(arena, STR("<a b='c' xmlns:x='urn:x'>t<x:d>&amp;</x:d></a>"), &root, &err)
                  : ERR_NOMEM;
        arena_free(arena);
        mem_fail_at(-1);
        test_ok(mem_live() == 0 && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld: %d", nth, (int)rc);
        if (rc == ERR_OK)
            return;
    }
}

TEST_MAIN(TEST(test_tree), TEST(test_refused), TEST(test_size_is_checked_first), TEST(test_out_of_memory))
