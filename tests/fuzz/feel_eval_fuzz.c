/* feel_eval_fuzz.c - a FEEL text of arbitrary bytes is evaluated within small limits; its value is printed,
 * hashed, copied, compared with itself and turned into JSON. */
#include "feel/feel.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_value(struct arena *arena, const struct feel_value *value)
{
    struct buf buf;
    struct feel_value copy;
    json_t *json = NULL;
    struct err err;
    buf_init(&buf, (size_t)1 << 20);
    feel_print(&buf, value);
    buf_clear(&buf);
    feel_print_json(&buf, value);
    buf_done(&buf);
    if (feel_copy(arena, value, &copy, &err) == ERR_OK && feel_equal(value, &copy) == FEEL_TRUE &&
        feel_hash(value) != feel_hash(&copy))
        abort(); /* equal values have equal hashes */
    if (feel_to_json(value, &json, &err) == ERR_OK)
        json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const NAMES[] = { "?", "x", "list", "c" };
    const struct str text = { (const char *)data, size };
    struct arena *arena = arena_new((size_t)32 << 20);
    struct feel_scope *scope = arena ? feel_scope_new(arena) : NULL;
    const struct feel_program *program;
    struct feel_eval ev;
    struct feel_value out;
    struct err err;
    const struct feel_value items[] = { feel_i64(1), feel_i64(2), feel_string(STR("a")), feel_null() };
    const struct feel_entry entries[] = { { STR("a"), feel_i64(1) }, { STR("b c"), feel_string(STR("z")) } };
    const struct feel_value inputs[] = { feel_i64(5), feel_string(STR("text")), feel_list(items, 4),
                                         feel_context(entries, 2) };
    for (size_t i = 0; scope && i < 4; i++)
        if (feel_scope_add(scope, str_from(NAMES[i]), NULL, NULL, &err))
            abort();
    for (int mode = FEEL_EXPRESSION; scope && mode <= FEEL_UNARY_TESTS; mode++) {
        if (feel_prepare(arena, scope, text, (enum feel_mode)mode, FEEL_NAMES_OPEN, &program, &err))
            continue;
        feel_eval_init(&ev, arena);
        ev.limits =
            (struct feel_limits) { .steps = 100000, .depth = 2000, .list_max = 20000, .text_max = 100000 };
        ev.now_ms = 1700000000000;
        if (feel_evaluate(program, &ev, inputs, &out, &err) == ERR_OK)
            use_value(arena, &out);
    }
    arena_free(arena);
    return 0;
}
