/* xml.h - an XML document as a tree of plain nodes, read so that a hostile file does no harm.
 *
 * A document type declaration, an entity of its own and therefore any expansion are refused; nothing is
 * fetched; bytes, depth and number of nodes have ceilings.  Comments and processing instructions are
 * skipped.  The tree never changes after xml_read(), so it needs no lock.
 * Threads: any, one arena each; call xml_init() once before the first thread.  Layer: base. */
#pragma once
#include "base/err.h"

#define XML_NS_SCHEMA_INSTANCE "http://www.w3.org/2001/XMLSchema-instance"
#define XML_NS_XMLNS "http://www.w3.org/2000/xmlns/"

struct xml_attr {
    struct str ns; /* "" when the attribute has no prefix */
    struct str name, value;
    struct xml_attr *next;
};

struct xml_node {
    struct str ns, name;    /* name without its prefix */
    struct str text;        /* the character data directly inside, joined; "" when there is none */
    int line, column;       /* where the tag ends in the file, from 1 */
    struct xml_attr *attrs; /* namespace declarations too, under XML_NS_XMLNS */
    struct xml_node *parent, *first, *last, *next;
};

struct xml_limits {
    size_t bytes_max;
    int depth_max, nodes_max;
};

/* Prepares the library below; harmless when called again. */
void xml_init(void);

/* Reads a whole document into `arena`.
 *
 * ERR_OK       *out_root is its root.
 * ERR_INVALID  not well-formed ("xml.syntax"), or with a DTD ("xml.dtd"); err->at has the position.
 * ERR_LIMIT    longer, deeper or with more nodes than allowed.   ERR_NOMEM. */
MUST_CHECK enum err_code xml_read(struct arena *arena, struct str text, const struct xml_limits *limits,
                                  const struct xml_node **out_root, struct err *err);

/* The value of an attribute without namespace; ptr is NULL when it is absent. */
struct str xml_attr(const struct xml_node *node, const char *name);
struct str xml_attr_ns(const struct xml_node *node, const char *ns, const char *name);

/* The first child, or the next sibling, of that local name in the node's own namespace; NULL if none. */
const struct xml_node *xml_child(const struct xml_node *node, const char *name);
const struct xml_node *xml_sibling(const struct xml_node *node, const char *name);

/* True when `node` is in the namespace of `ns` and has that local name. */
bool xml_is(const struct xml_node *node, struct str ns, const char *name);
