/* xml.c - libxml2's SAX2 interface into our own nodes; no tree of the library is ever built. */
#include "base/xml.h"
#include "base/buf.h"

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include <limits.h>

#define FEED_BYTES 65536

struct reading {
    struct arena *arena;
    const struct xml_limits *limits;
    struct err *err;
    enum err_code rc; /* the first failure; everything after it is ignored */
    xmlParserCtxtPtr parser;
    struct xml_node *root, *open;
    struct buf *text; /* stack of character data: one a level, see text_of() */
    int depth, nodes;
    struct str last_ns; /* the commonest namespaces are interned, so that 40,000 cells share one text */
    const xmlChar *last_ns_of;
};

static void stop(struct reading *reading, enum err_code rc)
{
    if (reading->rc == ERR_OK && rc != ERR_OK) {
        reading->rc = rc;
        xmlStopParser(reading->parser);
    }
}

static enum err_code here(struct reading *reading)
{
    return err_at(reading->err, xmlSAX2GetLineNumber(reading->parser),
                  xmlSAX2GetColumnNumber(reading->parser));
}

static struct str copy(struct reading *reading, const xmlChar *from, size_t len)
{
    const struct str out = arena_str(reading->arena, (struct str) { (const char *)from, len });
    if (!out.ptr)
        stop(reading, err_nomem(reading->err));
    return out;
}

static struct str namespace_of(struct reading *reading, const xmlChar *uri)
{
    if (!uri)
        return STR("");
    if (uri != reading->last_ns_of) { /* URIs stand in the parser's dictionary: same text, same pointer */
        reading->last_ns = copy(reading, uri, (size_t)xmlStrlen(uri));
        reading->last_ns_of = uri;
    }
    return reading->last_ns;
}

static void add_attr(struct reading *reading, struct xml_attr ***tail, struct str ns, const xmlChar *name,
                     const xmlChar *value, size_t len)
{
    struct xml_attr *attr = arena_alloc(reading->arena, 1, sizeof(*attr));
    if (!attr) {
        stop(reading, err_nomem(reading->err));
        return;
    }
    attr->ns = ns;
    attr->name = copy(reading, name, (size_t)xmlStrlen(name));
    attr->value = copy(reading, value, len);
    **tail = attr;
    *tail = &attr->next;
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int ns_count,
                     const xmlChar **namespaces, int attr_count, int default_count, const xmlChar **attrs)
{
    struct reading *reading = ctx;
    (void)prefix;
    (void)default_count;
    if (reading->rc)
        return;
    if (reading->depth >= reading->limits->depth_max || reading->nodes >= reading->limits->nodes_max) {
        (void)err_set(reading->err, ERR_LIMIT,
                      reading->depth >= reading->limits->depth_max ? "xml.too_deep" : "xml.too_many",
                      ARG_INT("max", reading->depth >= reading->limits->depth_max
                                         ? reading->limits->depth_max
                                         : reading->limits->nodes_max),
                      ARG_END);
        stop(reading, here(reading));
        return;
    }
    struct xml_node *node = arena_alloc(reading->arena, 1, sizeof(*node));
    if (!node) {
        stop(reading, err_nomem(reading->err));
        return;
    }
    node->name = copy(reading, name, (size_t)xmlStrlen(name));
    node->ns = namespace_of(reading, uri);
    node->line = xmlSAX2GetLineNumber(reading->parser);
    node->column = xmlSAX2GetColumnNumber(reading->parser);
    node->text = STR("");
    struct xml_attr **tail = &node->attrs;
    for (int i = 0; i < ns_count && reading->rc == ERR_OK; i++) {
        const xmlChar *short_name = namespaces[2 * i], *value = namespaces[2 * i + 1];
        add_attr(reading, &tail, STR(XML_NS_XMLNS), short_name ? short_name : (const xmlChar *)"",
                 value ? value : (const xmlChar *)"", value ? (size_t)xmlStrlen(value) : 0);
    }
    for (int i = 0; i < attr_count && reading->rc == ERR_OK; i++) {
        const xmlChar **attr = attrs + 5 * (size_t)i; /* local name, prefix, URI, value, its end */
        add_attr(reading, &tail, attr[2] ? copy(reading, attr[2], (size_t)xmlStrlen(attr[2])) : STR(""),
                 attr[0], attr[3], (size_t)(attr[4] - attr[3]));
    }
    if (reading->rc)
        return;
    node->parent = reading->open;
    if (reading->open) {
        if (reading->open->last)
            reading->open->last->next = node;
        else
            reading->open->first = node;
        reading->open->last = node;
    } else {
        reading->root = node;
    }
    reading->open = node;
    buf_clear(&reading->text[reading->depth]);
    reading->depth++;
    reading->nodes++;
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct reading *reading = ctx;
    (void)name;
    (void)prefix;
    (void)uri;
    if (reading->rc || !reading->open)
        return;
    reading->depth--;
    struct buf *text = &reading->text[reading->depth];
    if (buf_check(text, reading->err)) {
        stop(reading, reading->err ? reading->err->code : ERR_NOMEM);
        return;
    }
    /* White space between child elements is no content worth keeping. */
    const struct str all = buf_get(text);
    if (all.len > 0 && (!reading->open->first || str_trim(all).len > 0))
        reading->open->text = copy(reading, (const xmlChar *)all.ptr, all.len);
    reading->open = reading->open->parent;
}

static void on_characters(void *ctx, const xmlChar *chars, int len)
{
    struct reading *reading = ctx;
    if (reading->rc == ERR_OK && reading->depth > 0)
        buf_add(&reading->text[reading->depth - 1], chars, (size_t)len);
}

static void on_dtd(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system_id)
{
    struct reading *reading = ctx;
    (void)name;
    (void)external;
    (void)system_id;
    if (reading->rc)
        return;
    (void)err_set(reading->err, ERR_INVALID, "xml.dtd", ARG_END);
    stop(reading, here(reading));
}

static void on_error(void *ctx, xmlErrorPtr error)
{
    struct reading *reading = ctx;
    if (reading->rc || error->level < XML_ERR_ERROR)
        return;
    if (error->code == XML_ERR_NO_MEMORY) {
        stop(reading, err_nomem(reading->err));
        return;
    }
    (void)err_set(reading->err, ERR_INVALID, "xml.syntax",
                  ARG_STR("reason", str_trim(str_from(error->message ? error->message : "?"))), ARG_END);
    stop(reading, err_at(reading->err, error->line, error->int2));
}

static xmlEntityPtr on_entity(void *ctx, const xmlChar *name)
{
    (void)ctx;
    return xmlGetPredefinedEntity(name); /* &amp; &lt; &gt; &quot; &apos; and no other */
}

void xml_init(void)
{
    xmlInitParser();
}

static enum err_code feed(struct reading *reading, struct str text)
{
    for (size_t at = 0; at < text.len && reading->rc == ERR_OK; at += FEED_BYTES) {
        const size_t len = text.len - at < FEED_BYTES ? text.len - at : FEED_BYTES;
        (void)xmlParseChunk(reading->parser, text.ptr + at, (int)len, at + len == text.len);
    }
    if (reading->rc == ERR_OK && (!reading->root || !reading->parser->wellFormed || reading->open)) {
        (void)err_set(reading->err, ERR_INVALID, "xml.syntax", ARG_TEXT("reason", "incomplete"), ARG_END);
        reading->rc = err_at(reading->err, reading->parser->input ? reading->parser->input->line : 1, 0);
    }
    return reading->rc;
}

enum err_code xml_read(struct arena *arena, struct str text, const struct xml_limits *limits,
                       const struct xml_node **out_root, struct err *err)
{
    struct err own = { 0 };
    struct reading reading = { .arena = arena, .limits = limits, .err = err ? err : &own };
    xmlSAXHandler sax = { .initialized = XML_SAX2_MAGIC,
                          .startElementNs = on_start,
                          .endElementNs = on_end,
                          .characters = on_characters,
                          .ignorableWhitespace = on_characters,
                          .cdataBlock = on_characters,
                          .internalSubset = on_dtd,
                          .getEntity = on_entity,
                          .serror = on_error };
    enum err_code rc;

    if (text.len > limits->bytes_max || text.len > INT_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)limits->bytes_max), ARG_END);
    if (text.len == 0) {
        (void)err_set(err, ERR_INVALID, "xml.syntax", ARG_TEXT("reason", "empty"), ARG_END);
        return err ? err_at(err, 1, 1) : ERR_INVALID;
    }
    reading.text = mem_alloc((size_t)limits->depth_max + 1, sizeof(*reading.text));
    if (!reading.text)
        return err_nomem(err);
    for (int i = 0; i <= limits->depth_max; i++)
        buf_init(&reading.text[i], limits->bytes_max);
    xml_init();
    reading.parser = xmlCreatePushParserCtxt(&sax, &reading, NULL, 0, NULL);
    if (!reading.parser) {
        rc = err_nomem(err);
        goto done;
    }
    (void)xmlCtxtUseOptions(reading.parser, XML_PARSE_NONET | XML_PARSE_NOCDATA);
    rc = feed(&reading, text);
    if (rc == ERR_OK)
        *out_root = reading.root;
    xmlFreeDoc(reading.parser->myDoc);
    xmlFreeParserCtxt(reading.parser);

done:
    for (int i = 0; i <= limits->depth_max; i++)
        buf_done(&reading.text[i]);
    mem_free(reading.text);
    return rc;
}

struct str xml_attr_ns(const struct xml_node *node, const char *ns, const char *name)
{
    const struct str want_ns = str_from(ns), want = str_from(name);
    for (const struct xml_attr *attr = node->attrs; attr; attr = attr->next)
        if (str_eq(attr->name, want) && str_eq(attr->ns, want_ns))
            return attr->value;
    return (struct str) { NULL, 0 };
}

struct str xml_attr(const struct xml_node *node, const char *name)
{
    return xml_attr_ns(node, "", name);
}

bool xml_is(const struct xml_node *node, struct str ns, const char *name)
{
    return str_eq(node->name, str_from(name)) && str_eq(node->ns, ns);
}

static const struct xml_node *scan(const struct xml_node *from, struct str ns, const char *name)
{
    while (from && !xml_is(from, ns, name))
        from = from->next;
    return from;
}

const struct xml_node *xml_child(const struct xml_node *node, const char *name)
{
    return scan(node->first, node->ns, name);
}

const struct xml_node *xml_sibling(const struct xml_node *node, const char *name)
{
    return scan(node->next, node->ns, name);
}
