/* scope.c - see scope.h */
#include "feel/scope.h"
#include "feel/node.h"

#define NAMES_MAX 60000

struct feel_scope *feel_scope_new(struct arena *arena)
{
    struct feel_scope *scope = arena_alloc(arena, 1, sizeof *scope);
    if (scope)
        scope->arena = arena;
    return scope;
}

/* A copy without outer white space and with single spaces inside. */
static struct str normal(struct arena *arena, struct str name)
{
    char *copy = arena_alloc(arena, name.len + 1, 1);
    size_t len = 0, at = 0;
    bool space = false;
    if (!copy)
        return (struct str) { 0 };
    while (at < name.len) {
        size_t next = at;
        const int32_t c = utf8_next(name, &next);
        if (c < 0) {
            next = at + 1;
        } else if (is_space(c)) {
            space = len > 0;
            at = next;
            continue;
        }
        if (space)
            copy[len++] = ' ';
        space = false;
        memcpy(copy + len, name.ptr + at, next - at);
        len += next - at;
        at = next;
    }
    return (struct str) { copy, len };
}

static bool push(struct arena *arena, struct scope_entry **items, size_t *count, size_t *size,
                 struct str name, const struct feel_type *type)
{
    if (*count == *size) {
        const size_t want = *size ? *size * 2 : 8;
        struct scope_entry *more = arena_alloc(arena, want, sizeof *more);
        if (!more)
            return false;
        if (*count)
            memcpy(more, *items, *count * sizeof *more);
        *items = more;
        *size = want;
    }
    (*items)[*count] = (struct scope_entry) { normal(arena, name), type };
    if (!(*items)[*count].name.ptr)
        return false;
    ++*count;
    return true;
}

enum err_code feel_scope_add(struct feel_scope *scope, struct str name, const struct feel_type *type,
                             size_t *out_slot, struct err *err)
{
    if (scope->count >= NAMES_MAX)
        return err_set(err, ERR_LIMIT, "feel.names", ARG_INT("max", NAMES_MAX), ARG_END);
    if (!push(scope->arena, &scope->names, &scope->count, &scope->size, name, type))
        return err_nomem(err);
    if (out_slot)
        *out_slot = scope->count - 1;
    return ERR_OK;
}

enum err_code feel_scope_type(struct feel_scope *scope, struct str name, const struct feel_type *type,
                              struct err *err)
{
    if (!push(scope->arena, &scope->types, &scope->types_count, &scope->types_size, name, type))
        return err_nomem(err);
    return ERR_OK;
}

size_t feel_scope_count(const struct feel_scope *scope)
{
    return scope->count;
}
