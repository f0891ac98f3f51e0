/* router.c - see router.h */
#include "net/router.h"

#include <stdlib.h>

struct node {
    struct str segment; /* of the route's path (static storage); empty at the root and for {name} */
    struct node *next;  /* sibling */
    struct node *fixed; /* first child with a fixed segment */
    struct node *any;   /* child for {name} */
    struct leaf *leaves;
};

struct leaf {
    const struct route *route;
    void *ctx;
    struct leaf *next;
};

struct router {
    struct arena *arena;
    struct node root;
    const struct route **routes;
    size_t count;
};

static bool is_param(struct str segment)
{
    return segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

/* Segments of a path that begins with '/'; -1 when there are too many or the path is none. */
static int split(struct str path, struct str *out)
{
    if (!path.len || path.ptr[0] != '/')
        return -1;
    struct str rest = str_slice(path, 1, path.len), part;
    int count = 0;
    while (str_cut(&rest, '/', &part)) {
        if (count == ROUTER_SEGMENTS_MAX)
            return -1;
        out[count++] = part;
    }
    return count;
}

struct router *router_new(void)
{
    struct router *router = mem_alloc(1, sizeof *router);
    if (!router)
        return NULL;
    router->arena = arena_new((size_t)4 << 20);
    router->routes = mem_alloc(ROUTER_ROUTES_MAX, sizeof(struct route *));
    if (!router->arena || !router->routes) {
        router_free(router);
        return NULL;
    }
    return router;
}

void router_free(struct router *router)
{
    if (!router)
        return;
    arena_free(router->arena);
    mem_free(router->routes);
    mem_free(router);
}

static struct node *child_for(struct router *router, struct node *node, struct str segment)
{
    struct node **place = is_param(segment) ? &node->any : &node->fixed;
    if (!is_param(segment))
        while (*place && !str_eq((*place)->segment, segment))
            place = &(*place)->next;
    if (!*place) {
        *place = arena_alloc(router->arena, 1, sizeof **place);
        if (*place && !is_param(segment))
            (*place)->segment = segment;
    }
    return *place;
}

enum err_code router_add(struct router *router, const struct route *route, void *ctx, struct err *err)
{
    struct str parts[ROUTER_SEGMENTS_MAX];
    const int count = split(str_from(route->path), parts);
    if (count < 0)
        return err_set(err, ERR_INVALID, "http.route_path", ARG_TEXT("path", route->path), ARG_END);
    if (router->count == ROUTER_ROUTES_MAX)
        return err_set(err, ERR_LIMIT, "http.route_path", ARG_TEXT("path", route->path), ARG_END);
    struct node *node = &router->root;
    for (int i = 0; i < count; i++)
        if (!(node = child_for(router, node, parts[i])))
            return err_nomem(err);
    for (struct leaf *leaf = node->leaves; leaf; leaf = leaf->next)
        if (strcmp(leaf->route->method, route->method) == 0)
            return err_set(err, ERR_CONFLICT, "http.route_twice", ARG_TEXT("method", route->method),
                           ARG_TEXT("path", route->path), ARG_END);
    struct leaf *leaf = arena_alloc(router->arena, 1, sizeof *leaf);
    if (!leaf)
        return err_nomem(err);
    *leaf = (struct leaf) { route, ctx, node->leaves };
    node->leaves = leaf;
    router->routes[router->count++] = route;
    return ERR_OK;
}

struct walk {
    const struct str *parts;
    int parts_count;
    struct str method;
    bool path_known;
    const struct leaf *found;
    struct str values[ROUTER_SEGMENTS_MAX];
    int values_count;
    struct buf *methods; /* NULL, or where all methods are gathered */
};

static bool method_fits(struct str wanted, const char *method)
{
    return str_eq(wanted, str_from(method)) || (str_eq(wanted, STR("HEAD")) && strcmp(method, "GET") == 0);
}

static bool find_in(const struct node *node, struct walk *walk, int at)
{
    if (at == walk->parts_count) {
        for (const struct leaf *leaf = node->leaves; leaf; leaf = leaf->next) {
            walk->path_known = true;
            if (walk->methods) {
                buf_text(walk->methods, walk->methods->len ? ", " : "");
                buf_text(walk->methods, leaf->route->method);
            } else if (method_fits(walk->method, leaf->route->method)) {
                walk->found = leaf;
                return true;
            }
        }
        return false;
    }
    const struct str part = walk->parts[at];
    for (const struct node *child = node->fixed; child; child = child->next)
        if (str_eq(child->segment, part) && find_in(child, walk, at + 1))
            return true;
    if (!node->any || !part.len)
        return false;
    const int count = walk->values_count;
    walk->values[walk->values_count++] = part;
    if (find_in(node->any, walk, at + 1))
        return true;
    walk->values_count = count;
    return false;
}

enum router_answer router_find(const struct router *router, struct str method, struct str path,
                               struct match *out)
{
    struct str parts[ROUTER_SEGMENTS_MAX];
    struct walk walk = { .parts = parts, .method = method };
    walk.parts_count = split(path, parts);
    if (walk.parts_count < 0)
        return ROUTER_NONE;
    if (!find_in(&router->root, &walk, 0))
        return walk.path_known ? ROUTER_OTHER_METHOD : ROUTER_NONE;
    *out = (struct match) { .route = walk.found->route, .ctx = walk.found->ctx, .count = walk.values_count };
    memcpy(out->values, walk.values, sizeof out->values);
    return ROUTER_FOUND;
}

void router_methods(const struct router *router, struct str path, struct buf *out)
{
    struct str parts[ROUTER_SEGMENTS_MAX];
    struct walk walk = { .parts = parts, .methods = out };
    walk.parts_count = split(path, parts);
    if (walk.parts_count >= 0)
        (void)find_in(&router->root, &walk, 0);
}

struct str match_value(const struct match *match, struct str name)
{
    struct str parts[ROUTER_SEGMENTS_MAX];
    const int count = split(str_from(match->route->path), parts);
    for (int i = 0, value = 0; i < count; i++)
        if (is_param(parts[i])) {
            if (str_eq(str_slice(parts[i], 1, parts[i].len - 1), name))
                return match->values[value];
            value++;
        }
    return (struct str) { 0 };
}

struct str match_permission(const struct match *match, struct arena *arena)
{
    struct str rest = str_from(match->route->permission);
    if (str_find(rest, STR("{")) < 0)
        return rest;
    struct buf out;
    buf_init(&out, 512);
    while (rest.len) {
        const ptrdiff_t open = str_find(rest, STR("{")), close = str_find(rest, STR("}"));
        if (open < 0 || close < open)
            break;
        buf_str(&out, str_slice(rest, 0, (size_t)open));
        buf_str(&out, match_value(match, str_slice(rest, (size_t)open + 1, (size_t)close)));
        rest = str_slice(rest, (size_t)close + 1, rest.len);
    }
    buf_str(&out, rest);
    const struct str text = out.failed ? (struct str) { 0 } : arena_str(arena, buf_get(&out));
    buf_done(&out);
    return text;
}

static int by_path(const void *a, const void *b)
{
    const struct route *one = *(const struct route *const *)a, *other = *(const struct route *const *)b;
    const int order = strcmp(one->path, other->path);
    return order ? order : strcmp(one->method, other->method);
}

void router_each(const struct router *router, void (*each)(void *arg, const struct route *route), void *arg)
{
    const struct route **sorted = mem_alloc(router->count + 1, sizeof(struct route *));
    if (!sorted)
        return;
    memcpy(sorted, router->routes, router->count * sizeof(struct route *));
    qsort(sorted, router->count, sizeof(struct route *), by_path);
    for (size_t i = 0; i < router->count; i++)
        each(arg, sorted[i]);
    mem_free(sorted);
}
