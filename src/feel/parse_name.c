/* parse_name.c - which name stands here?  The longest known one; of equals, the innermost. */
#include "feel/parser.h"

static const char *const KEYWORDS[] = { "and",  "or",   "in",     "between",   "instance",
                                        "then", "else", "return", "satisfies", "external" };

static size_t word_end(struct str text, size_t at)
{
    while (at < text.len) {
        size_t next = at + 1;
        const unsigned char c = (unsigned char)text.ptr[at];
        if (c < 0x80) {
            if (!name_part(c))
                return at;
        } else {
            next = at;
            const int32_t code = utf8_next(text, &next);
            if (!name_part(code))
                return at;
        }
        at = next;
    }
    return at;
}

static bool starts_name(struct str text, size_t at)
{
    size_t next = at;
    return at < text.len &&
           name_start((unsigned char)text.ptr[at] < 0x80 ? text.ptr[at] : utf8_next(text, &next));
}

static bool keyword(struct str word)
{
    for (size_t i = 0; i < sizeof KEYWORDS / sizeof *KEYWORDS; i++)
        if (str_eq(word, str_from(KEYWORDS[i])))
            return true;
    return false;
}

/* Joins two words with one space; runs are short. */
static struct str join(struct parser *p, struct str a, struct str b)
{
    char *text = parse_alloc(p, a.len + b.len + 2, 1);
    if (!text)
        return (struct str) { 0 };
    memcpy(text, a.ptr, a.len);
    text[a.len] = ' ';
    memcpy(text + a.len + 1, b.ptr, b.len);
    return (struct str) { text, a.len + b.len + 1 };
}

struct str parse_words(struct parser *p)
{
    space(p);
    if (!starts_name(p->text, p->at)) {
        (void)parse_expected(p, "name");
        return (struct str) { 0 };
    }
    size_t end = word_end(p->text, p->at);
    struct str name = str_slice(p->text, p->at, end);
    for (;;) {
        p->at = end;
        const size_t next = skip_space(p->text, end);
        if (next == end || !starts_name(p->text, next))
            return name;
        end = word_end(p->text, next);
        const struct str word = str_slice(p->text, next, end);
        if (keyword(word))
            return name;
        name = join(p, name, word);
        if (!name.ptr)
            return name;
    }
}

struct str parse_raw_name(struct parser *p, const char *stops)
{
    space(p);
    const size_t start = p->at;
    size_t at = start;
    if (!starts_name(p->text, at)) {
        (void)parse_expected(p, "name");
        return (struct str) { 0 };
    }
    while (at < p->text.len && !strchr(stops, p->text.ptr[at]) && !strchr("\"(){}[]<>=!;,:", p->text.ptr[at]))
        at++;
    p->at = at;
    struct str name = str_trim(str_slice(p->text, start, at));
    bool plain = true;
    for (size_t i = 0; i < name.len; i++)
        plain = plain && (unsigned char)name.ptr[i] > ' ' && (unsigned char)name.ptr[i] < 0x80;
    if (plain)
        return name;
    char *copy = parse_alloc(p, name.len + 1, 1);
    size_t len = 0;
    bool gap = false;
    for (size_t i = 0; copy && i < name.len;) {
        size_t next = i;
        const int32_t code = utf8_next(name, &next);
        if (code >= 0 && is_space(code)) {
            gap = true;
        } else {
            if (gap && len)
                copy[len++] = ' ';
            gap = false;
            next = code < 0 ? i + 1 : next;
            memcpy(copy + len, name.ptr + i, next - i);
            len += next - i;
        }
        i = next;
    }
    return (struct str) { copy, copy ? len : 0 };
}

struct str parse_field(struct parser *p, const struct feel_type *type, const struct feel_type **out_type)
{
    space(p);
    *out_type = NULL;
    const bool list = type && type->kind == FEEL_T_LIST;
    const struct feel_type *context = element_type(type);
    size_t end = 0;
    struct str name = { 0 };
    for (size_t i = 0; context && context->kind == FEEL_T_CONTEXT && i < context->count; i++) {
        const size_t next = name_match(p->text, p->at, context->fields[i].name);
        if (next > end) {
            end = next;
            name = context->fields[i].name;
            *out_type = context->fields[i].type;
        }
    }
    if (!end)
        return parse_words(p);
    p->at = end;
    if (list && *out_type)
        *out_type = feel_type_list(p->arena, *out_type);
    return name;
}

uint16_t new_slot(struct parser *p)
{
    if (p->body->locals == UINT16_MAX) {
        (void)parse_fail(p, "feel.names", p->at);
        return 0;
    }
    return p->body->locals++;
}

struct binding *bind_local(struct parser *p, struct str name, const struct feel_type *type)
{
    struct binding *binding = parse_alloc(p, 1, sizeof *binding);
    if (!binding)
        return NULL;
    *binding = (struct binding) { p->bindings, BINDING_LOCAL, name, type, p->body, new_slot(p) };
    p->bindings = binding;
    return binding;
}

struct binding *bind_item(struct parser *p, uint16_t slot, const struct feel_type *type)
{
    struct binding *binding = parse_alloc(p, 1, sizeof *binding);
    if (!binding)
        return NULL;
    *binding = (struct binding) { p->bindings, BINDING_ITEM, { 0 }, type, p->body, slot };
    p->bindings = binding;
    return binding;
}

/* ---------------------------------------------------------------- references */

static struct node *local(struct parser *p, uint16_t slot, size_t at)
{
    struct node *node = node_new(p, NODE_LOCAL, at);
    if (node)
        node->slot = slot;
    return node;
}

/* The value that lives in `owner` as a node of `body`: captured by every function in between. */
static struct node *reach(struct parser *p, struct body *body, struct body *owner, const void *key,
                          struct node *direct, size_t at)
{
    if (body == owner || !direct)
        return direct;
    for (struct capture_link *link = body->captures; link; link = link->next)
        if (link->key == key)
            return local(p, link->slot, at);
    struct capture_link *link = parse_alloc(p, 1, sizeof *link);
    if (!link)
        return NULL;
    if (body->locals == UINT16_MAX)
        return parse_fail(p, "feel.names", at);
    link->from = reach(p, body->outer, owner, key, direct, at);
    link->key = key;
    link->slot = body->locals++;
    link->next = body->captures;
    body->captures = link;
    body->captures_count++;
    return link->from ? local(p, link->slot, at) : NULL;
}

static struct body *outermost(struct body *body)
{
    while (body->outer)
        body = body->outer;
    return body;
}

static struct node *input(struct parser *p, size_t slot, size_t at)
{
    struct node *node = node_new(p, NODE_INPUT, at);
    if (!node)
        return NULL;
    node->slot = (uint16_t)slot;
    p->uses[slot] = true;
    return reach(p, p->body, outermost(p->body), &p->scope->names[slot], node, at);
}

static bool scalar(const struct feel_type *type)
{
    return type && type->kind != FEEL_T_ANY && type->kind != FEEL_T_CONTEXT;
}

/* Wraps `node`: an item that is a context and has the name goes first, the innermost item last wrapped. */
static struct node *through_items(struct parser *p, const struct binding *from, const struct binding *to,
                                  struct str name, struct node *node, const struct feel_type *type, size_t at)
{
    if (from == to || !from)
        return node;
    node = through_items(p, from->next, to, name, node, NULL, at);
    if (!node || from->kind != BINDING_ITEM || scalar(from->type))
        return node;
    struct node *item = node_new(p, NODE_ITEM_NAME, at);
    if (!item)
        return NULL;
    struct node *slot = local(p, from->slot, at);
    slot = reach(p, p->body, from->body, from, slot, at);
    if (!slot)
        return NULL;
    item->slot = slot->slot;
    item->a = node;
    item->name = name;
    item->type = type;
    node_over(item, node);
    return item;
}

struct match {
    size_t end;
    const struct binding *binding;
    const struct feel_type_field *field; /* of an item */
    ptrdiff_t slot;                      /* of the scope, or -1 */
    const struct builtin *builtin;
};

static struct match best_match(struct parser *p)
{
    struct match best = { .slot = -1 };
    size_t end;
    const char first = p->text.ptr[p->at];
    for (const struct binding *b = p->bindings; b; b = b->next) {
        if (b->kind == BINDING_LOCAL) {
            if (b->name.ptr[0] == first && (end = name_match(p->text, p->at, b->name)) > best.end)
                best = (struct match) { end, b, NULL, -1, NULL };
            continue;
        }
        for (size_t i = 0; b->type && b->type->kind == FEEL_T_CONTEXT && i < b->type->count; i++)
            if ((end = name_match(p->text, p->at, b->type->fields[i].name)) > best.end)
                best = (struct match) { end, b, &b->type->fields[i], -1, NULL };
    }
    for (size_t i = p->scope ? p->scope->count : 0; i-- > 0;) {
        const struct str name = p->scope->names[i].name;
        if (name.len && name.ptr[0] == first && (end = name_match(p->text, p->at, name)) > best.end)
            best = (struct match) { end, NULL, NULL, (ptrdiff_t)i, NULL };
    }
    const struct builtin *builtin = builtin_match(p->text, p->at, &end);
    if (builtin && end > best.end)
        best = (struct match) { end, NULL, NULL, -1, builtin };
    return best;
}

static struct node *builtin_value(struct parser *p, const struct builtin *builtin, size_t at)
{
    struct node *node = node_new(p, NODE_CONST, at);
    if (node && !feel_function_builtin(p->arena, str_from(builtin->name), &node->value)) {
        p->failed = true;
        (void)err_nomem(p->err);
        return NULL;
    }
    return node;
}

static struct node *unknown(struct parser *p, size_t at)
{
    bool item = false;
    for (const struct binding *b = p->bindings; b; b = b->next)
        item = item || (b->kind == BINDING_ITEM && !scalar(b->type));
    const size_t end = word_end(p->text, at);
    const struct str name = parse_words(p);
    if (!name.ptr)
        return NULL;
    if (!item && !(p->flags & FEEL_NAMES_OPEN)) {
        p->at = end;
        return parse_fail(p, "feel.unknown_name", at);
    }
    struct node *node = node_new(p, NODE_UNKNOWN, at);
    if (!node)
        return NULL;
    node->name = name;
    return through_items(p, p->bindings, NULL, name, node, NULL, at);
}

/* A field of the item; an item that lacks it leaves the name to what is around the filter. */
static struct node *field_name(struct parser *p, const struct match *best, size_t at)
{
    const struct str name = best->field->name;
    const struct binding *outer = best->binding->next;
    struct node *node = NULL;
    while (outer && !(outer->kind == BINDING_LOCAL && str_eq(outer->name, name)))
        outer = outer->next;
    if (outer) {
        node = reach(p, p->body, outer->body, outer, local(p, outer->slot, at), at);
    } else {
        size_t slot = p->scope ? p->scope->count : 0;
        while (slot > 0 && !str_eq(p->scope->names[slot - 1].name, name))
            slot--;
        node = slot > 0 ? input(p, slot - 1, at) : node_new(p, NODE_UNKNOWN, at);
    }
    if (!node)
        return NULL;
    if (node->kind == NODE_UNKNOWN)
        node->name = name;
    return through_items(p, p->bindings, outer, name, node, best->field->type, at);
}

struct node *parse_name(struct parser *p, const struct builtin **out_builtin)
{
    const size_t at = p->at;
    const struct match best = best_match(p);
    *out_builtin = NULL;
    if (!best.end || best.end < word_end(p->text, at))
        return unknown(p, at);
    p->at = best.end;
    if (best.builtin) {
        space(p);
        if (look(p) == '(') {
            *out_builtin = best.builtin;
            return node_new(p, NODE_BUILTIN, at);
        }
        struct node *node = builtin_value(p, best.builtin, at);
        return node ? through_items(p, p->bindings, NULL, str_from(best.builtin->name), node, NULL, at)
                    : NULL;
    }
    if (best.slot >= 0) {
        const struct scope_entry *entry = &p->scope->names[best.slot];
        struct node *node = input(p, (size_t)best.slot, at);
        if (!node)
            return NULL;
        node->type = entry->type;
        if (str_eq(entry->name, STR("?"))) {
            node->flags |= NODE_QUESTION;
            p->question = true;
            return node;
        }
        return through_items(p, p->bindings, NULL, entry->name, node, entry->type, at);
    }
    if (best.field)
        return field_name(p, &best, at);
    struct node *node = local(p, best.binding->slot, at);
    node = reach(p, p->body, best.binding->body, best.binding, node, at);
    if (!node)
        return NULL;
    node->type = best.binding->type;
    if (str_eq(best.binding->name, STR("?"))) {
        node->flags |= NODE_QUESTION;
        p->question = true;
        return node;
    }
    return through_items(p, p->bindings, best.binding, best.binding->name, node, best.binding->type, at);
}
