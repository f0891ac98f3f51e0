/* dmn.c - bihuan dmn: evaluate, check and compare decision models, run the conformance tests. */
#include "cmd/dmn.h"

#include "base/buf.h"
#include "base/clock.h"
#include "cmd/commands.h"

#include <stdio.h>

#define EVAL_BYTES_MAX ((size_t)512 << 20)
#define FINDINGS_SHOWN 100

static int fail_in(const struct cmd *cmd, const char *path, const struct err *err)
{
    if (path)
        (void)fprintf(stderr, "%s: ", path);
    const int status = cmd_fail(cmd, err);
    return status == CMD_NO ? CMD_USAGE : status; /* an unreadable model is unreadable input */
}

enum err_code dmn_load_files(const char *const *paths, int count, struct dmn_model **out_model,
                             const char **out_path, struct err *err)
{
    struct buf texts[DMN_SOURCES_MAX];
    struct dmn_source sources[DMN_SOURCES_MAX];
    enum err_code rc = ERR_OK;
    int read = 0;
    size_t source = 0;
    if (count > DMN_SOURCES_MAX)
        return err_set(err, ERR_LIMIT, "dmn.sources", ARG_INT("max", DMN_SOURCES_MAX), ARG_END);
    for (; read < count && rc == ERR_OK; read++) {
        buf_init(&texts[read], DMN_BYTES_MAX);
        *out_path = paths[read];
        rc = buf_read_file(&texts[read], paths[read], err);
        sources[read] = (struct dmn_source) { str_from(paths[read]), buf_get(&texts[read]) };
    }
    if (rc == ERR_OK) {
        rc = dmn_load(sources, (size_t)count, out_model, &source, err);
        *out_path = paths[source];
    }
    for (int i = 0; i < read; i++)
        buf_done(&texts[i]);
    return rc;
}

/* -- eval ---------------------------------------------------------------------------------------------- */

/* The entries of the input document, read as the types of what they are for. */
static enum err_code read_input(const struct dmn_model *model, struct arena *arena, const json_t *json,
                                struct dmn_given **out_given, size_t *out_count, struct err *err)
{
    struct feel_value context;
    enum err_code rc = feel_from_json(arena, json, &context, err);
    if (rc == ERR_OK && context.kind != FEEL_CONTEXT)
        rc = err_set(err, ERR_INVALID, "dmn.input_object", ARG_END);
    if (rc == ERR_OK)
        rc = dmn_given_from(model, arena, &context, out_given, out_count, err);
    for (size_t i = 0; rc == ERR_OK && i < *out_count; i++) {
        struct dmn_given *given = &(*out_given)[i];
        const struct str name = dmn_node_element(model, given->node)->variable.name;
        const json_t *one = json_object_getn(json, name.ptr, name.len);
        if (one)
            rc = feel_from_json_typed(arena, one, dmn_node_type(model, given->node), &given->value, err);
    }
    return rc;
}

static enum err_code load_input(const struct dmn_model *model, struct arena *arena, const char *path,
                                struct dmn_given **out_given, size_t *out_count, struct err *err)
{
    struct buf text;
    json_error_t error;
    if (!path)
        return ERR_OK;
    buf_init(&text, (size_t)64 << 20);
    enum err_code rc = buf_read_file(&text, path, err);
    if (rc == ERR_OK) {
        json_t *json = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &error);
        if (json) {
            rc = read_input(model, arena, json, out_given, out_count, err);
        } else {
            (void)err_set(err, ERR_INVALID, "base.json", ARG_TEXT("reason", error.text), ARG_END);
            rc = err_at(err, error.line, error.column);
        }
        json_decref(json);
    }
    buf_done(&text);
    return rc;
}

static void print_warnings(const struct cmd *cmd, const struct feel_eval *ev, struct arena *arena)
{
    for (int i = 0; i < ev->warnings_count; i++) {
        struct err err = { 0 };
        feel_warning_err(&ev->warnings[i], &err);
        const struct str text = err_text(arena, &err, cmd->words, cmd->lang);
        (void)fprintf(stderr, "%.*s\n", STR_ARG(text));
    }
}

static void print_trace(const struct dmn_trace *trace)
{
    static const char marks[] = {
        [DMN_CELL_FALSE] = '0', [DMN_CELL_TRUE] = '1', [DMN_CELL_UNKNOWN] = '?', [DMN_CELL_ANY] = '-'
    };
    for (const struct dmn_trace_table *table = trace->tables; table; table = table->next)
        for (int rule = 0; rule < table->table->rule_count; rule++) {
            (void)fprintf(stderr, "%.*s %d %s", STR_ARG(table->element), rule + 1,
                          table->fired[rule]     ? "fired"
                          : table->matched[rule] ? "matched"
                                                 : "-");
            for (int i = 0; table->cells && i < table->table->input_count; i++)
                (void)fprintf(stderr, " %c", marks[table->cells[rule * table->table->input_count + i]]);
            (void)fputc('\n', stderr);
        }
}

static int find_decision(const struct dmn_model *model, const char *name)
{
    if (name) {
        const int decision = dmn_find(model, DMN_DECISION, str_from(name));
        return decision >= 0 ? decision : dmn_find(model, DMN_SERVICE, str_from(name));
    }
    int found = -1; /* the only decision there is */
    for (int i = 0; i < dmn_node_count(model); i++)
        if (dmn_node_element(model, i)->kind == DMN_DECISION)
            found = found == -1 ? i : -2;
    return found;
}

static int eval(struct cmd *cmd, const char *const *paths, int count, const char *decision, const char *input,
                bool trace_wanted)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(EVAL_BYTES_MAX);
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    struct err err = { 0 };
    struct feel_eval ev;
    struct dmn_given *given = NULL;
    struct dmn_trace trace = { 0 };
    struct feel_value value;
    struct buf out;
    const char *path = NULL;
    size_t given_count = 0;

    if (!arena)
        return err_nomem(&err), cmd_fail(cmd, &err);
    if (dmn_load_files(paths, count, &model, &path, &err))
        return fail_in(cmd, path, &err);
    const int node = find_decision(model, decision);
    if (node < 0) {
        (void)err_set(&err, ERR_NOT_FOUND, "dmn.no_decision", ARG_TEXT("name", decision ? decision : ""),
                      ARG_END);
        return fail_in(cmd, paths[0], &err);
    }
    if (load_input(model, arena, input, &given, &given_count, &err))
        return fail_in(cmd, input, &err);
    feel_eval_init(&ev, arena);
    ev.now_ms = clock_now(&CLOCK_SYSTEM);
    if (dmn_evaluate(model, node, &ev, given, given_count, trace_wanted ? &trace : NULL, &value, &err))
        return cmd_fail(cmd, &err);
    print_warnings(cmd, &ev, arena);
    print_trace(&trace);
    buf_init(&out, (size_t)256 << 20);
    feel_print_json(&out, &value);
    if (buf_check(&out, &err) == ERR_OK)
        (void)printf("%.*s\n", STR_ARG(buf_get(&out)));
    buf_done(&out);
    return err.code ? cmd_fail(cmd, &err) : CMD_OK;
}

/* -- check --------------------------------------------------------------------------------------------- */

static void print_findings(const struct cmd *cmd, const struct dmn_findings *findings,
                           const char *const *paths, struct arena *arena)
{
    for (int i = 0; i < findings->count; i++) {
        const struct dmn_finding *one = &findings->items[i];
        struct buf example;
        (void)printf("%s:%d: %.*s", paths[one->source], one->line, STR_ARG(one->element));
        if (one->rule > 0)
            (void)printf(" [%d", one->rule);
        if (one->column > 0)
            (void)printf(one->rule > 0 ? ",%d" : " [,%d", one->column);
        const struct str text = err_text(arena, &one->err, cmd->words, cmd->lang);
        (void)printf("%s: %.*s", one->rule > 0 || one->column > 0 ? "]" : "", STR_ARG(text));
        if (one->input.kind == FEEL_CONTEXT) {
            buf_init(&example, 4096);
            feel_print_json(&example, &one->input);
            (void)printf(" %.*s", STR_ARG(buf_get(&example)));
            buf_done(&example);
        }
        (void)printf("\n");
    }
    if (findings->more > 0)
        (void)printf("+ %d\n", findings->more);
}

static int check(struct cmd *cmd, const char *const *paths, int count)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(EVAL_BYTES_MAX);
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    struct err err = { 0 };
    struct dmn_findings found = { 0 };
    const char *path = NULL;
    if (!arena)
        return err_nomem(&err), cmd_fail(cmd, &err);
    if (dmn_load_files(paths, count, &model, &path, &err)) {
        const int status = fail_in(cmd, path, &err);
        /* A model that is refused is the answer no; a file that cannot be read is not. */
        return err.code == ERR_INVALID || err.code == ERR_UNSUPPORTED || err.code == ERR_LIMIT ? CMD_NO
                                                                                               : status;
    }
    if (dmn_check(model, arena, FINDINGS_SHOWN, &found, &err))
        return cmd_fail(cmd, &err);
    const struct dmn_findings *loading = dmn_findings(model);
    print_findings(cmd, loading, paths, arena);
    print_findings(cmd, &found, paths, arena);
    return loading->count + found.count > 0 ? CMD_NO : CMD_OK;
}

/* -- diff ---------------------------------------------------------------------------------------------- */

static void print_change(const struct dmn_change *change)
{
    static const char marks[] = { '+', '-', '~' };
    (void)printf("%c %.*s", marks[change->kind], STR_ARG(change->element));
    if (change->path.len > 0)
        (void)printf(" / %.*s", STR_ARG(change->path));
    if (change->rule_before > 0 || change->rule_after > 0)
        (void)printf(" [%d>%d", change->rule_before, change->rule_after);
    if (change->column > 0)
        (void)printf(change->rule_before > 0 || change->rule_after > 0 ? ",%d" : " [,%d", change->column);
    (void)printf("%s %.*s: %.*s -> %.*s\n",
                 change->column > 0 || change->rule_before > 0 || change->rule_after > 0 ? "]" : "",
                 STR_ARG(change->what), STR_ARG(change->before), STR_ARG(change->after));
}

static enum err_code read_one(struct arena *arena, const char *path, const struct dmn_file **out,
                              struct err *err)
{
    struct buf text;
    buf_init(&text, DMN_BYTES_MAX);
    enum err_code rc = buf_read_file(&text, path, err);
    if (rc == ERR_OK)
        rc = dmn_read(arena, buf_get(&text), out, err); /* copies */
    buf_done(&text);
    return rc;
}

static int diff(struct cmd *cmd, const char *before, const char *after)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(EVAL_BYTES_MAX);
    const struct dmn_file *a = NULL, *b = NULL;
    struct dmn_changes changes = { 0 };
    struct err err = { 0 };
    if (!arena)
        return err_nomem(&err), cmd_fail(cmd, &err);
    if (read_one(arena, before, &a, &err))
        return fail_in(cmd, before, &err);
    if (read_one(arena, after, &b, &err))
        return fail_in(cmd, after, &err);
    if (dmn_diff(a, b, arena, &changes, &err))
        return cmd_fail(cmd, &err);
    for (size_t i = 0; i < changes.count; i++)
        print_change(&changes.items[i]);
    return changes.count > 0 ? CMD_NO : CMD_OK;
}

int cmd_dmn(struct cmd *cmd, int argc, char **argv)
{
    const char *decision = NULL, *input = NULL, *report = NULL;
    const char *words[DMN_SOURCES_MAX + 1];
    bool trace = false;
    int count = 0, status = CMD_USAGE;
    const struct cmd_option options[] = { { .name = "--decision", .text = &decision },
                                          { .name = "--input", .text = &input },
                                          { .name = "--report", .text = &report },
                                          { .name = "--trace", .flag = &trace },
                                          { 0 } };
    if (!cmd_options(cmd, argc, argv, options, words, DMN_SOURCES_MAX + 1, &count, &status))
        return status;
    const struct str action = count > 0 ? str_from(words[0]) : STR("");
    if (str_eq(action, STR("eval")) && count >= 2)
        return eval(cmd, words + 1, count - 1, decision, input, trace);
    if (str_eq(action, STR("check")) && count >= 2)
        return check(cmd, words + 1, count - 1);
    if (str_eq(action, STR("diff")) && count == 3)
        return diff(cmd, words[1], words[2]);
    if (str_eq(action, STR("tck")) && count == 2)
        return cmd_dmn_tck(cmd, words[1], report);
    return cmd_usage(cmd);
}
