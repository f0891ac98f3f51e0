/* table.c - bihuan import TYPE [FILE], bihuan export TYPE [FILE]: records as files, by the server that holds
 * the data directory or, when there is none, by opening it. */
#include "cmd/commands.h"
#include "cmd/control_ops.h"
#include "cmd/rooms.h"
#include "platform/entity/table.h"
#include "store/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TABLE_DEADLINE_MS 600000

/* ---- in the server ---- */

static const char *text_of(const json_t *args, const char *name)
{
    const char *text = json_string_value(json_object_get(args, name));
    return text ? text : "";
}

static enum err_code table_call(struct app *app, const json_t *args, struct arena *arena,
                                struct entity_call *call, const struct entity_type **type, struct err *err)
{
    *type = entity_type_find(app->entity, text_of(args, "type"));
    if (!*type)
        return err_set(err, ERR_NOT_FOUND, "entity.no_type", ARG_TEXT("type", text_of(args, "type")),
                       ARG_END);
    struct findings *findings = arena ? arena_alloc(arena, 1, sizeof *findings) : NULL;
    const enum err_code rc = findings ? findings_init(findings, arena, err) : err_nomem(err);
    *call = (struct entity_call) { .entity = app->entity,
                                   .lang = json_is_true(json_object_get(args, "english")) ? LANG_EN : LANG_ZH,
                                   .arena = arena,
                                   .findings = findings };
    store_deadline_set(clock_mono(&CLOCK_SYSTEM) + TABLE_DEADLINE_MS);
    return rc;
}

static json_t *findings_json(struct app *app, const struct entity_call *call)
{
    json_t *list = json_array();
    for (int i = 0; i < call->findings->count; i++) {
        struct err one = call->findings->items[i];
        const int line = one.at.line, column = one.at.column;
        one.at.line = one.at.column = 0;
        const struct str said = err_text(call->arena, &one, app->words, call->lang);
        json_array_append_new(list, json_pack("{s:i, s:i, s:s}", "line", line, "column", column, "message",
                                              said.ptr ? said.ptr : one.id));
    }
    return list;
}

static enum err_code op_import(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)512 << 20);
    const struct entity_type *type = NULL;
    struct entity_call call;
    struct buf text;
    enum err_code rc = table_call(app, args, arena, &call, &type, err);
    if (rc)
        return rc;
    buf_init(&text, TABLE_BYTES_MAX);
    rc = buf_read_file(&text, text_of(args, "path"), err);
    struct table_import import = { .text = buf_get(&text),
                                   .dry_run = json_is_true(json_object_get(args, "dry_run")) };
    if (!rc)
        rc = entity_import(&call, type, &import, err);
    buf_done(&text);
    store_deadline_set(0);
    if (rc && (rc != ERR_INVALID || !call.findings->count))
        return rc;
    *out = json_pack("{s:I, s:I, s:I, s:I, s:o, s:i}", "rows", (json_int_t)import.rows, "created",
                     (json_int_t)import.created, "updated", (json_int_t)import.updated, "unchanged",
                     (json_int_t)import.unchanged, "errors", findings_json(app, &call), "more",
                     call.findings->more);
    return *out ? ERR_OK : err_nomem(err);
}

/* An absent one is now, when the other is there. */
static enum err_code read_window(const struct app *app, const json_t *args, const struct entity_type *type,
                                 struct fact_window *out, struct entity_call *call, struct err *err)
{
    const struct str as_of = str_from(text_of(args, "as_of")), known = str_from(text_of(args, "known_until"));
    if (!as_of.len && !known.len)
        return ERR_OK;
    if (type->kind != TYPE_FACT)
        return err_set(err, ERR_INVALID, "entity.no_facts", ARG_STR("type", type->full), ARG_END);
    out->as_of = out->known_until = clock_now(app->clock);
    call->facts = out;
    const enum err_code rc = as_of.len ? clock_parse(as_of, &out->as_of, err) : ERR_OK;
    return rc || !known.len ? rc : clock_parse(known, &out->known_until, err);
}

static enum err_code op_export(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)256 << 20);
    const struct entity_type *type = NULL;
    struct entity_call call;
    enum table_format format = TABLE_CSV;
    int64_t rows = 0;
    enum err_code rc = table_call(app, args, arena, &call, &type, err);
    if (!rc && !table_format_read(str_from(text_of(args, "format")), &format))
        rc = err_set(err, ERR_INVALID, "entity.format", ARG_TEXT("want", "csv, xlsx, json"), ARG_END);
    struct fact_window facts;
    if (!rc)
        rc = read_window(app, args, type, &facts, &call, err);
    const struct entity_list list = { .filter = str_from(text_of(args, "filter")), .limit = 1 };
    if (!rc)
        rc = entity_export(&call, type, &list, format, text_of(args, "path"), false, &rows, err);
    store_deadline_set(0);
    if (!rc && !(*out = json_pack("{s:I}", "rows", (json_int_t)rows)))
        rc = err_nomem(err);
    return rc;
}

const struct control_op TABLE_OPS[] = {
    { "table.import", op_import },
    { "table.export", op_export },
    { 0 },
};

/* ---- the command line ---- */

static enum err_code do_here(struct cmd *cmd, const struct control_op *op, const json_t *args, json_t **out,
                             struct err *err)
{
    struct app app;
    enum err_code rc = app_open(&app, cmd, "entity", err);
    if (rc)
        return rc;
    rc = op->run(&app, args, out, err);
    app_close(&app, "entity");
    return rc;
}

/* Asks the server, or does it here.  `args` is stolen. */
static enum err_code ask(struct cmd *cmd, const struct control_op *op, json_t *args, struct arena *arena,
                         json_t **out, struct err *err)
{
    enum err_code rc = control_call(cmd->data, op->name, json_incref(args), arena, out, err);
    if (rc == ERR_NOT_FOUND && err->id && strcmp(err->id, "control.none") == 0)
        rc = do_here(cmd, op, args, out, err);
    json_decref(args);
    return rc;
}

/* A temporary file, for standard input and output; the server must be able to reach it. */
static enum err_code temp_file(char *path, size_t size, struct err *err)
{
    const char *dir = getenv("TMPDIR");
    (void)snprintf(path, size, "%s/bihuan-table-XXXXXX", dir && *dir ? dir : "/tmp");
    const int fd = mkstemp(path);
    if (fd < 0)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    (void)close(fd);
    return ERR_OK;
}

static enum err_code copy_stream(FILE *from, FILE *to, struct err *err)
{
    char block[65536];
    for (size_t got; (got = fread(block, 1, sizeof block, from)) > 0;)
        if (fwrite(block, 1, got, to) != got)
            return err_set(err, ERR_IO, "file.write", ARG_ERRNO(errno), ARG_END);
    return ferror(from) || fflush(to) ? err_set(err, ERR_IO, "file.write", ARG_ERRNO(errno), ARG_END)
                                      : ERR_OK;
}

static enum err_code copy_file(const char *path, FILE *stream, bool in, struct err *err)
{
    FILE *file = fopen(path, in ? "w" : "r");
    if (!file)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    enum err_code rc = in ? copy_stream(stream, file, err) : copy_stream(file, stream, err);
    if (fclose(file) && !rc)
        rc = err_set(err, ERR_IO, "file.write", ARG_ERRNO(errno), ARG_END);
    return rc;
}

static int print_import(const char *file, const json_t *answer, bool dry_run, const struct cmd *cmd)
{
    const json_t *errors = json_object_get(answer, "errors");
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)errors, i, one)
    {
        (void)printf("%s:%lld:%lld: %s\n", file, (long long)json_integer_value(json_object_get(one, "line")),
                     (long long)json_integer_value(json_object_get(one, "column")),
                     json_string_value(json_object_get(one, "message")));
    }
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    struct err said; /* a sentence, no failure: the function, not the macro that asserts one */
    (void)(err_set)(&said, ERR_OK, dry_run ? "table.would" : "table.imported",
                    ARG_INT("rows", json_integer_value(json_object_get(answer, "rows"))),
                    ARG_INT("created", json_integer_value(json_object_get(answer, "created"))),
                    ARG_INT("updated", json_integer_value(json_object_get(answer, "updated"))),
                    ARG_INT("unchanged", json_integer_value(json_object_get(answer, "unchanged"))), ARG_END);
    if (json_array_size(errors))
        (void)err_set(&said, ERR_INVALID, "table.nothing",
                      ARG_INT("n", (int64_t)json_array_size(errors) +
                                       json_integer_value(json_object_get(answer, "more"))),
                      ARG_END);
    if (arena)
        (void)printf("%.*s\n", STR_ARG(err_text(arena, &said, cmd->words, cmd->lang)));
    return json_array_size(errors) ? CMD_NO : CMD_OK;
}

int cmd_import(struct cmd *cmd, int argc, char **argv)
{
    const char *words[2] = { NULL, NULL };
    char path[PATH_MAX + 32];
    bool dry_run = false;
    int count = 0, exit_status = CMD_OK;
    const struct cmd_option options[] = { { .name = "--dry-run", .flag = &dry_run }, { 0 } };
    if (!cmd_options(cmd, argc, argv, options, words, 2, &count, &exit_status))
        return exit_status;
    if (!count)
        return cmd_usage(cmd);
    struct err err;
    json_t *out = NULL;
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    const bool stream = count == 1 || !strcmp(words[1], "-");
    enum err_code rc = arena ? ERR_OK : err_nomem(&err);
    if (!rc && stream)
        rc = temp_file(path, sizeof path, &err);
    else if (!rc && !realpath(words[1], path))
        rc = err_set(&err, ERR_INVALID, "file.open", ARG_TEXT("path", words[1]), ARG_ERRNO(errno), ARG_END);
    if (!rc && stream)
        rc = copy_file(path, stdin, true, &err);
    if (!rc)
        rc = ask(cmd, &TABLE_OPS[0],
                 json_pack("{s:s, s:s, s:b, s:b}", "type", words[0], "path", path, "dry_run", dry_run,
                           "english", cmd->lang == LANG_EN),
                 arena, &out, &err);
    if (stream)
        (void)unlink(path);
    exit_status = rc ? cmd_fail(cmd, &err) : print_import(stream ? "-" : words[1], out, dry_run, cmd);
    json_decref(out);
    return exit_status;
}

/* The whole path of a file that need not be there yet. */
static enum err_code whole_path(const char *name, char *out, size_t size, struct err *err)
{
    char here[PATH_MAX];
    if (*name == '/')
        (void)snprintf(out, size, "%s", name);
    else if (getcwd(here, sizeof here))
        (void)snprintf(out, size, "%s/%s", here, name);
    else
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", name), ARG_ERRNO(errno), ARG_END);
    return ERR_OK;
}

int cmd_export(struct cmd *cmd, int argc, char **argv)
{
    const char *words[2] = { NULL, NULL }, *filter = "", *format = "csv", *as_of = "", *known = "";
    char path[PATH_MAX * 2];
    int count = 0, exit_status = CMD_OK;
    const struct cmd_option options[] = { { .name = "--filter", .text = &filter },
                                          { .name = "--format", .text = &format },
                                          { .name = "--as-of", .text = &as_of },
                                          { .name = "--known-until", .text = &known },
                                          { 0 } };
    if (!cmd_options(cmd, argc, argv, options, words, 2, &count, &exit_status))
        return exit_status;
    if (!count)
        return cmd_usage(cmd);
    struct err err;
    json_t *out = NULL;
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    const bool stream = count == 1 || !strcmp(words[1], "-");
    enum err_code rc = !arena   ? err_nomem(&err)
                       : stream ? temp_file(path, sizeof path, &err)
                                : whole_path(words[1], path, sizeof path, &err);
    if (!rc)
        rc = ask(cmd, &TABLE_OPS[1],
                 json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "type", words[0], "path", path, "filter",
                           filter, "format", format, "as_of", as_of, "known_until", known, "english",
                           cmd->lang == LANG_EN),
                 arena, &out, &err);
    if (!rc && stream)
        rc = copy_file(path, stdout, false, &err);
    if (stream)
        (void)unlink(path);
    if (rc)
        exit_status = cmd_fail(cmd, &err);
    else if (!stream)
        (void)printf("%lld\n", (long long)json_integer_value(json_object_get(out, "rows")));
    json_decref(out);
    return exit_status;
}
