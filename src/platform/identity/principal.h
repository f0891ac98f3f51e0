/* principal.h - who acts: a user, a key or the program itself, with what they may do and where.
 *
 * A principal never changes after it was made and is shared by reference; a change of rights makes a new
 * one at the next request.  Deny by default: no grant, no right.  A permission is `pack.type.action`
 * (`ops.ticket.update`); a role's permission may end in `.*` or be `*`.
 * A grant holds permissions within one scope.  A scope is an AND over its dimensions, several grants are
 * ORed; a type without x-scope is seen only under a scope of everything.
 * Threads: any.  Layer: platform/identity. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/words.h"

/* Which rows.  A dimension that is not set does not limit; `all` is a scope without any limit. */
struct scope {
    bool all;
    int64_t org_id;      /* 0: not limited; else this organisation and all below it */
    struct str org_path; /* its path when the principal was made, "/1/5/"; rows store ids, so build SQL from
                            org_id: org IN (SELECT id FROM org WHERE path LIKE (its path) || '%') */
    int64_t grid_id;     /* 0: not limited; else this grid cell and all below it */
    struct str grid_path;
    const int64_t *subjects; /* NULL: not limited; else these subjects only */
    int subject_count;
    bool own; /* only rows whose own field is the user */
};

struct grant {
    const struct str *permissions; /* patterns */
    int permission_count;
    struct scope scope;
};

enum principal_kind { PRINCIPAL_USER, PRINCIPAL_KEY, PRINCIPAL_SYSTEM };

struct principal {
    enum principal_kind kind;
    int64_t user_id; /* 0 for the program itself */
    int64_t org_id;  /* of the user */
    struct str org_path;
    struct str login, name;
    enum lang lang;
    int64_t session_id;  /* of the session or the key */
    struct str csrf;     /* of a session */
    struct str key_name; /* of a key */
    bool must_change_password, must_enrol;
    const struct grant *grants;
    int grant_count;
};

/* The program itself: may everything, everywhere. */
extern const struct principal PRINCIPAL_SELF;

/* True when some grant has the permission, in whatever scope. */
bool principal_may(const struct principal *who, struct str permission);
/* True when some grant has the permission in a scope of everything. */
bool principal_may_all(const struct principal *who, struct str permission);
/* The scopes of all grants that have the permission, one a call: *at starts at 0; false ends.  A scope with
 * `all` set makes the others needless. */
bool principal_scope(const struct principal *who, struct str permission, int *at,
                     const struct scope **out_scope);

/* What a row carries, for checks in memory; 0 where the type has no such dimension. */
struct scope_row {
    int64_t org_id;
    struct str org_path;
    int64_t grid_id;
    struct str grid_path;
    int64_t subject_id;
    int64_t owner_id;
    bool has_org, has_grid, has_subject, has_owner; /* the dimensions of the type (x-scope) */
};
/* True when the row lies within the scope of some grant with the permission.  A dimension that the type
 * does not carry limits nothing, but a type without any is seen only under a scope of everything. */
bool principal_sees(const struct principal *who, struct str permission, const struct scope_row *row);

/* True when pattern `a` (`ops.*`) holds all that `b` holds: for "never grant more than one has". */
bool permission_covers(struct str a, struct str b);

/* True when every row of `narrow` lies in `wide`. */
bool scope_covers(const struct scope *wide, const struct scope *narrow);
/* True when `who` has the permission (a pattern, too) in a scope that covers `scope`. */
bool principal_may_grant(const struct principal *who, struct str permission, const struct scope *scope);

/* Leaves of what `who` holds only what a key was made for: `permissions` are patterns by blanks ("" leaves
 * all), `org` is an organisation with its path (0 leaves all); both only ever take away.  What is new lives
 * in the arena.  ERR_NOMEM. */
MUST_CHECK enum err_code principal_narrow(struct arena *arena, struct principal *who, struct str permissions,
                                          int64_t org_id, struct str org_path, struct err *err);
