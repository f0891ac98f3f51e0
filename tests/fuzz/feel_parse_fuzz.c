/* feel_parse_fuzz.c - a FEEL text of arbitrary bytes, as an expression, as unary tests and as a filter:
 * parsed and compiled, or refused with a position. */
#include "feel/filter_sql.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool columns(void *arg, size_t slot, struct filter_column *out)
{
    (void)arg;
    *out = (struct filter_column) { STR("t.x"), (enum filter_type)(slot % 6) };
    return slot != 5;
}

static struct feel_scope *scope_new(struct arena *arena)
{
    static const char *const NAMES[] = { "?", "x", "Monthly Income", "a-b", "date", "for sale", "list" };
    struct feel_scope *scope = feel_scope_new(arena);
    struct err err;
    for (size_t i = 0; scope && i < sizeof NAMES / sizeof *NAMES; i++)
        if (feel_scope_add(scope, str_from(NAMES[i]), NULL, NULL, &err))
            return NULL;
    return scope;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = { (const char *)data, size };
    struct arena *arena = arena_new((size_t)64 << 20);
    struct feel_scope *scope = arena ? scope_new(arena) : NULL;
    const struct feel_program *program;
    struct filter_sql filter;
    struct err err = { 0 };
    for (unsigned flags = 0; scope && flags < 2; flags++)
        for (int mode = FEEL_EXPRESSION; mode <= FEEL_UNARY_TESTS; mode++)
            if (feel_prepare(arena, scope, text, (enum feel_mode)mode, flags, &program, &err) && !err.id)
                abort(); /* an error without a message */
    for (int dialect = FILTER_SQLITE; scope && dialect <= FILTER_POSTGRES; dialect++)
        (void)filter_sql(arena, scope, text, (enum filter_dialect)dialect, columns, NULL, 1, &filter, &err);
    arena_free(arena);
    return 0;
}
