/* principal.c - see principal.h */
#include "platform/identity/principal.h"

static const struct str EVERYTHING[] = { { "*", 1 } };
static const struct grant SELF_GRANT[] = {
    { .permissions = EVERYTHING, .permission_count = 1, .scope = { .all = true } },
};
const struct principal PRINCIPAL_SELF = {
    .kind = PRINCIPAL_SYSTEM,
    .login = { "system", 6 },
    .name = { "system", 6 },
    .grants = SELF_GRANT,
    .grant_count = 1,
};

bool permission_covers(struct str a, struct str b)
{
    if (str_eq(a, STR("*")) || str_eq(a, b))
        return true;
    if (!str_ends(a, STR(".*")))
        return false;
    return str_starts(b, str_slice(a, 0, a.len - 1));
}

static bool grant_has(const struct grant *grant, struct str permission)
{
    for (int i = 0; i < grant->permission_count; i++)
        if (permission_covers(grant->permissions[i], permission))
            return true;
    return false;
}

bool principal_scope(const struct principal *who, struct str permission, int *at,
                     const struct scope **out_scope)
{
    while (who && *at < who->grant_count) {
        const struct grant *grant = &who->grants[(*at)++];
        if (grant_has(grant, permission)) {
            *out_scope = &grant->scope;
            return true;
        }
    }
    return false;
}

bool principal_may(const struct principal *who, struct str permission)
{
    int at = 0;
    const struct scope *scope;
    return principal_scope(who, permission, &at, &scope);
}

bool principal_may_all(const struct principal *who, struct str permission)
{
    int at = 0;
    const struct scope *scope;
    while (principal_scope(who, permission, &at, &scope))
        if (scope->all)
            return true;
    return false;
}

static bool has_subject(const struct scope *scope, int64_t id)
{
    for (int i = 0; i < scope->subject_count; i++)
        if (scope->subjects[i] == id)
            return true;
    return false;
}

static bool within(const struct principal *who, const struct scope *scope, const struct scope_row *row)
{
    if (scope->all)
        return true;
    if (!row->has_org && !row->has_grid && !row->has_subject && !row->has_owner)
        return false;
    if (scope->org_id && row->has_org && !(row->org_path.len && str_starts(row->org_path, scope->org_path)))
        return false;
    if (scope->grid_id && row->has_grid &&
        !(row->grid_path.len && str_starts(row->grid_path, scope->grid_path)))
        return false;
    if (scope->subjects && row->has_subject && !has_subject(scope, row->subject_id))
        return false;
    return !(scope->own && row->has_owner && row->owner_id != who->user_id);
}

bool principal_sees(const struct principal *who, struct str permission, const struct scope_row *row)
{
    int at = 0;
    const struct scope *scope;
    while (principal_scope(who, permission, &at, &scope))
        if (within(who, scope, row))
            return true;
    return false;
}

static bool subjects_within(const struct scope *wide, const struct scope *narrow)
{
    if (!wide->subjects)
        return true;
    if (!narrow->subjects)
        return false;
    for (int i = 0; i < narrow->subject_count; i++)
        if (!has_subject(wide, narrow->subjects[i]))
            return false;
    return true;
}

bool scope_covers(const struct scope *wide, const struct scope *narrow)
{
    if (wide->all)
        return true;
    if (narrow->all || wide->own) /* "own" means other rows for every user: nobody can hand it on */
        return false;
    if (wide->org_id && !(narrow->org_id && str_starts(narrow->org_path, wide->org_path)))
        return false;
    if (wide->grid_id && !(narrow->grid_id && str_starts(narrow->grid_path, wide->grid_path)))
        return false;
    return subjects_within(wide, narrow);
}

bool principal_may_grant(const struct principal *who, struct str permission, const struct scope *scope)
{
    int at = 0;
    const struct scope *held;
    while (principal_scope(who, permission, &at, &held))
        if (scope_covers(held, scope))
            return true;
    return false;
}

/* The permissions that both a grant and a key hold: of two patterns the narrower. */
static enum err_code narrow_permissions(struct arena *arena, struct grant *grant, struct str permissions,
                                        struct err *err)
{
    int most = 1;
    for (size_t i = 0; i < permissions.len; i++)
        most += permissions.ptr[i] == ' ';
    struct str *kept = arena_alloc(arena, (size_t)(most * grant->permission_count) + 1, sizeof *kept), one;
    int count = 0;
    if (!kept)
        return err_nomem(err);
    while (str_cut(&permissions, ' ', &one))
        for (int i = 0; i < grant->permission_count; i++) {
            const struct str held = grant->permissions[i];
            if (permission_covers(held, one))
                kept[count++] = one;
            else if (permission_covers(one, held))
                kept[count++] = held;
        }
    grant->permissions = kept;
    grant->permission_count = count;
    return ERR_OK;
}

/* False when nothing of the scope lies within the organisation. */
static bool narrow_scope(struct scope *scope, int64_t org_id, struct str org_path)
{
    if (scope->org_id && str_starts(scope->org_path, org_path))
        return true;
    if (scope->org_id && !str_starts(org_path, scope->org_path))
        return false;
    scope->all = false;
    scope->org_id = org_id;
    scope->org_path = org_path;
    return true;
}

enum err_code principal_narrow(struct arena *arena, struct principal *who, struct str permissions,
                               int64_t org_id, struct str org_path, struct err *err)
{
    struct grant *grants = arena_alloc(arena, (size_t)who->grant_count + 1, sizeof *grants);
    int count = 0;
    if (!grants)
        return err_nomem(err);
    for (int i = 0; i < who->grant_count; i++) {
        struct grant grant = who->grants[i];
        if (permissions.len && narrow_permissions(arena, &grant, permissions, err))
            return err->code;
        if (grant.permission_count && (!org_id || narrow_scope(&grant.scope, org_id, org_path)))
            grants[count++] = grant;
    }
    who->grants = grants;
    who->grant_count = count;
    return ERR_OK;
}
