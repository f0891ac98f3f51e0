/* scope.h - the names and item definitions that an expression may use.  Layer: feel, inside. */
#pragma once
#include "feel/feel.h"

struct scope_entry {
    struct str name; /* trimmed, single spaces */
    const struct feel_type *type;
};

struct feel_scope {
    struct arena *arena;
    struct scope_entry *names; /* by slot */
    size_t count, size;
    struct scope_entry *types;
    size_t types_count, types_size;
};
