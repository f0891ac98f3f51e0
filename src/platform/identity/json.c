/* json.c - small helpers of this room: values as the API shows them, scope as SQL. */
#include "platform/identity/internal.h"

#include <stdio.h>

struct str json_text(struct arena *arena, json_t *json)
{
    struct str text = { 0 };
    const size_t size = json ? json_dumpb(json, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS) : 0;
    char *out = size ? arena_alloc(arena, 1, size + 1) : NULL;
    if (out && json_dumpb(json, out, size, JSON_COMPACT | JSON_SORT_KEYS) == size)
        text = (struct str) { out, size };
    json_decref(json);
    return text;
}

struct str like_pattern(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, 1, text.len * 2 + 3);
    if (!out)
        return (struct str) { 0 };
    size_t len = 0;
    out[len++] = '%';
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%' || c == '_' || c == '\\')
            out[len++] = '\\';
        out[len++] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    out[len++] = '%';
    return (struct str) { out, len };
}

static bool is_of_org(const struct scope *scope)
{
    return scope->org_id && !scope->own && !scope->subjects && !scope->grid_id;
}

bool may_in_org(const struct principal *who, struct str permission, struct str org_path)
{
    int at = 0;
    const struct scope *scope;
    while (principal_scope(who, permission, &at, &scope))
        if (scope->all || (is_of_org(scope) && str_starts(org_path, scope->org_path)))
            return true;
    return false;
}

bool scope_where(const struct principal *who, struct str permission, int first, struct buf *out)
{
    int at = 0, count = 0;
    const struct scope *scope;
    struct buf list;
    buf_init(&list, 16384);
    bool all = false;
    while (!all && principal_scope(who, permission, &at, &scope)) {
        all = scope->all;
        if (!all && is_of_org(scope)) {
            buf_printf(&list, "%sSUBSTR(o.path, 1, LENGTH(?%d)) = ?%d", count ? " OR " : "", first + count,
                       first + count);
            count++;
        }
    }
    if (all) {
        buf_text(out, "1 = 1");
    } else if (count) {
        buf_char(out, '(');
        buf_str(out, buf_get(&list));
        buf_char(out, ')');
    }
    buf_done(&list);
    return all || count;
}

void scope_bind(const struct principal *who, struct str permission, int first, struct stmt *stmt)
{
    if (principal_may_all(who, permission))
        return;
    int at = 0;
    const struct scope *scope;
    while (principal_scope(who, permission, &at, &scope))
        if (is_of_org(scope))
            stmt_bind_text(stmt, first++, scope->org_path);
}
