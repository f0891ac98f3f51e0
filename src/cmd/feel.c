/* feel.c - bihuan feel: evaluates one expression and prints its value as JSON. */
#include "feel/feel.h"

#include "base/clock.h"
#include "cmd/commands.h"

#include <stdio.h>

#define EVAL_BYTES_MAX ((size_t)256 << 20)
#define CONTEXT_BYTES_MAX ((size_t)64 << 20)
#define TEXT_BYTES_MAX ((size_t)256 << 20)

/* The entries of a JSON object as names of the scope and as inputs. */
static enum err_code read_context(struct arena *arena, const char *path, struct feel_scope *scope,
                                  struct feel_value **out_inputs, struct err *err)
{
    struct buf text;
    struct feel_value context;
    json_error_t where;
    json_t *json = NULL;
    buf_init(&text, CONTEXT_BYTES_MAX);
    enum err_code rc = buf_read_file(&text, path, err);
    if (!rc && !(json = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_ALLOW_NUL, &where))) {
        (void)err_set(err, ERR_INVALID, "base.json", ARG_TEXT("reason", where.text), ARG_END);
        rc = err_at(err, where.line, where.column);
    }
    buf_done(&text);
    if (!rc)
        rc = feel_from_json(arena, json, &context, err);
    json_decref(json);
    if (!rc && context.kind != FEEL_CONTEXT)
        rc = err_set(err, ERR_INVALID, "feel.context_object", ARG_END);
    if (rc)
        return rc;
    *out_inputs = arena_alloc(arena, context.context.count, sizeof **out_inputs);
    if (!*out_inputs)
        return err_nomem(err);
    for (size_t i = 0; i < context.context.count && !rc; i++) {
        const struct feel_entry *entry = &context.context.entries[i];
        const struct feel_type *type = feel_type_of(arena, &entry->value);
        (*out_inputs)[i] = entry->value;
        rc = type ? feel_scope_add(scope, entry->key, type, NULL, err) : err_nomem(err);
    }
    return rc;
}

static void print_warnings(const struct cmd *cmd, struct arena *arena, const struct feel_eval *ev)
{
    for (int i = 0; i < ev->warnings_count; i++) {
        struct err warning;
        feel_warning_err(&ev->warnings[i], &warning);
        (void)fprintf(stderr, "%.*s\n", STR_ARG(err_text(arena, &warning, cmd->words, cmd->lang)));
    }
}

static enum err_code evaluate(const struct cmd *cmd, struct arena *arena, const char *text,
                              const char *context, struct err *err)
{
    struct feel_scope *scope = feel_scope_new(arena);
    const struct feel_program *program;
    struct feel_value *inputs = NULL, value;
    struct feel_eval ev;
    struct buf out;
    if (!scope)
        return err_nomem(err);
    enum err_code rc = context ? read_context(arena, context, scope, &inputs, err) : ERR_OK;
    if (!rc)
        rc = feel_prepare(arena, scope, str_from(text), FEEL_EXPRESSION, 0, &program, err);
    if (rc)
        return rc;
    feel_eval_init(&ev, arena);
    ev.now_ms = clock_now(&CLOCK_SYSTEM);
    rc = feel_evaluate(program, &ev, inputs, &value, err);
    print_warnings(cmd, arena, &ev);
    if (rc)
        return rc;
    buf_init(&out, TEXT_BYTES_MAX);
    feel_print_json(&out, &value);
    rc = buf_check(&out, err);
    if (!rc)
        (void)printf("%.*s\n", STR_ARG(buf_get(&out)));
    buf_done(&out);
    return rc;
}

int cmd_feel(struct cmd *cmd, int argc, char **argv)
{
    const char *context = NULL, *words[1] = { NULL };
    int count = 0, exit_status = CMD_OK;
    const struct cmd_option options[] = { { .name = "--context", .text = &context }, { 0 } };
    if (!cmd_options(cmd, argc, argv, options, words, 1, &count, &exit_status))
        return exit_status;
    if (count != 1)
        return cmd_usage(cmd);
    struct err err = { 0 };
    struct arena *arena = arena_new(EVAL_BYTES_MAX);
    const enum err_code rc = arena ? evaluate(cmd, arena, words[0], context, &err) : err_nomem(&err);
    arena_free(arena);
    if (!rc)
        return CMD_OK;
    const int status = cmd_fail(cmd, &err);
    return status == CMD_NO ? CMD_USAGE : status;
}
