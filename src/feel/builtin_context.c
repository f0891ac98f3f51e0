/* builtin_context.c - contexts as values. */
#include "feel/builtin.h"

BUILTIN(fn_get_value)
{
    (void)ev;
    (void)count;
    const struct feel_value *key =
        args[1].kind == FEEL_LIST && args[1].list.count == 1 ? args[1].list.items : &args[1];
    const struct feel_value *value = key->kind == FEEL_STRING ? feel_context_get(args, key->string) : NULL;
    if (value)
        *out = *value;
}

BUILTIN(fn_get_entries)
{
    const size_t n = args->context.count;
    (void)count;
    struct feel_value *items = ev_alloc(ev, n, sizeof *items);
    struct feel_entry *pairs = ev_alloc(ev, n, 2 * sizeof *pairs);
    if (!items || !pairs || !ev_steps(ev, (int64_t)n))
        return;
    for (size_t i = 0; i < n; i++) {
        struct feel_entry *pair = &pairs[2 * i];
        pair[0] = (struct feel_entry) { STR("key"), feel_string(args->context.entries[i].key) };
        pair[1] = (struct feel_entry) { STR("value"), args->context.entries[i].value };
        items[i] = feel_context(pair, 2);
    }
    *out = feel_list(items, n);
}

struct growing_context {
    struct feel_entry *entries;
    size_t count, size;
};

/* Adds or replaces; false when the evaluation stopped, or when `unique` and the key is there. */
static bool put(struct feel_eval *ev, struct growing_context *c, struct str key,
                const struct feel_value *value, bool unique)
{
    if (!ev_steps(ev, 1 + (int64_t)c->count / 8))
        return false;
    for (size_t i = 0; i < c->count; i++)
        if (str_eq(c->entries[i].key, key)) {
            c->entries[i].value = *value;
            return !unique;
        }
    if (c->count == c->size) {
        const size_t want = c->size ? c->size * 2 : 8;
        struct feel_entry *more = ev_alloc(ev, want, sizeof *more);
        if (!more)
            return false;
        if (c->count)
            memcpy(more, c->entries, c->count * sizeof *more);
        c->entries = more;
        c->size = want;
    }
    c->entries[c->count++] = (struct feel_entry) { key, *value };
    return true;
}

static bool put_all(struct feel_eval *ev, struct growing_context *c, const struct feel_value *context)
{
    for (size_t i = 0; i < context->context.count; i++)
        if (!put(ev, c, context->context.entries[i].key, &context->context.entries[i].value, false))
            return false;
    return true;
}

BUILTIN(fn_context)
{
    struct growing_context c = { 0 };
    (void)count;
    for (size_t i = 0; i < args->list.count; i++) {
        const struct feel_value *key = feel_context_get(&args->list.items[i], STR("key"));
        const struct feel_value *value = feel_context_get(&args->list.items[i], STR("value"));
        if (!key || key->kind != FEEL_STRING || !value || !put(ev, &c, key->string, value, true))
            return;
    }
    *out = feel_context(c.entries, c.count);
}

/* Sets the value under a path of keys; all but the last must lead to a context. */
static bool put_path(struct feel_eval *ev, const struct feel_value *context, const struct feel_value *keys,
                     size_t count, const struct feel_value *value, struct feel_value *out)
{
    struct growing_context c = { 0 };
    struct feel_value inner = *value;
    if (count > 100 || keys->kind != FEEL_STRING || !put_all(ev, &c, context))
        return false;
    if (count > 1) {
        const struct feel_value *below = feel_context_get(context, keys->string);
        if (!below || below->kind != FEEL_CONTEXT || !put_path(ev, below, keys + 1, count - 1, value, &inner))
            return false;
    }
    if (!put(ev, &c, keys->string, &inner, false))
        return false;
    *out = feel_context(c.entries, c.count);
    return true;
}

BUILTIN(fn_context_put)
{
    struct feel_value result;
    const struct feel_value *keys = &args[1];
    const size_t n = keys->kind == FEEL_LIST ? keys->list.count : 1;
    (void)count;
    if (n && put_path(ev, args, keys->kind == FEEL_LIST ? keys->list.items : keys, n, &args[2], &result))
        *out = result;
}

BUILTIN(fn_context_merge)
{
    struct growing_context c = { 0 };
    (void)count;
    for (size_t i = 0; i < args->list.count; i++)
        if (args->list.items[i].kind != FEEL_CONTEXT || !put_all(ev, &c, &args->list.items[i]))
            return;
    *out = feel_context(c.entries, c.count);
}
