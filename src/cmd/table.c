/* table.c - bihuan import TYPE [FILE], bihuan export TYPE [FILE]: records as files, by the server that holds
 * the data directory or, when there is none, by opening it. */
#include "base/log.h"
#include "cmd/commands.h"
#include "base/json.h"
#include "cmd/control_ops.h"
#include "cmd/rooms.h"
#include "platform/bus/lease.h"
#include "platform/entity/import_job.h"
#include "platform/jobs/jobs.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
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

/* ---- imports in portions: asked for, then looked at until they end ---- */

static enum err_code op_portions(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    const struct entity_type *type = entity_type_find(app->entity, text_of(args, "type"));
    const char *path = text_of(args, "path");
    struct stat st;
    int64_t job = 0;
    if (!type)
        return err_set(err, ERR_NOT_FOUND, "entity.no_type", ARG_TEXT("type", text_of(args, "type")),
                       ARG_END);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            (void)close(fd);
        return err_set(err, ERR_INVALID, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    }
    const enum err_code rc =
        import_job_add(app->imports, type, fd, st.st_size, (struct str) { 0 }, 0, &job, err);
    (void)close(fd);
    if (rc)
        return rc;
    *out = json_pack("{s:I}", "job", (json_int_t)job);
    return *out ? ERR_OK : err_nomem(err);
}

static enum err_code op_state(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    struct job_info info;
    if (!arena)
        return err_nomem(err);
    const enum err_code rc =
        jobs_get(app->jobs, arena, json_integer_value(json_object_get(args, "job")), &info, err);
    if (rc)
        return rc;
    json_t *result = info.result.len ? json_loadb(info.result.ptr, info.result.len, 0, NULL) : NULL;
    *out = json_pack("{s:I, s:s, s:I, s:I, s:b, s:o, s:o}", "job", (json_int_t)info.id, "state",
                     job_state_name(info.state), "done", (json_int_t)info.done, "total",
                     (json_int_t)info.total, "ended", info.state >= JOB_DONE, "result",
                     result ? result : json_object(), "error", json_str(info.error));
    return *out ? ERR_OK : err_nomem(err);
}

struct telling {
    struct app *app;
    struct arena *arena;
    enum lang lang;
    int64_t job;
    json_t *list;
};

static enum err_code tell_fault(void *arg, int64_t number, const struct err *fault, struct err *err)
{
    const struct telling *t = arg;
    struct err bare = *fault;
    (void)number;
    bare.at.line = bare.at.column = 0;
    const struct str said = err_text(t->arena, &bare, t->app->words, t->lang);
    json_t *one = json_pack("{s:i, s:i, s:o}", "line", fault->at.line, "column", fault->at.column, "message",
                            json_str(said.ptr ? said : str_from(fault->id)));
    return json_array_append_new(t->list, one) ? err_nomem(err) : ERR_OK;
}

static enum err_code faults_fn(struct tx *tx, void *arg, struct err *err)
{
    struct telling *t = arg;
    json_array_clear(t->list);
    return import_faults_each(tx, t->job, 0, IMPORT_FAULTS_MAX, t->arena, tell_fault, t, err);
}

static enum err_code op_faults(struct app *app, const json_t *args, json_t **out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(64 << 20);
    struct telling t = { .app = app,
                         .arena = arena,
                         .lang = json_is_true(json_object_get(args, "english")) ? LANG_EN : LANG_ZH,
                         .job = json_integer_value(json_object_get(args, "job")),
                         .list = json_array() };
    const enum err_code rc = arena && t.list ? store_read(app->store, faults_fn, &t, err) : err_nomem(err);
    if (rc) {
        json_decref(t.list);
        return rc;
    }
    *out = json_pack("{s:o}", "errors", t.list);
    return *out ? ERR_OK : err_nomem(err);
}

enum { OP_IMPORT, OP_EXPORT, OP_PORTIONS, OP_STATE, OP_FAULTS };
const struct control_op TABLE_OPS[] = {
    [OP_IMPORT] = { "table.import", op_import },       [OP_EXPORT] = { "table.export", op_export },
    [OP_PORTIONS] = { "table.portions", op_portions }, [OP_STATE] = { "table.state", op_state },
    [OP_FAULTS] = { "table.faults", op_faults },       { 0 },
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
    if (control_is_none(rc, err))
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

static void print_faults(const char *file, const json_t *errors)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)errors, i, one)
    {
        (void)printf("%s:%lld:%lld: %s\n", file, (long long)json_integer_value(json_object_get(one, "line")),
                     (long long)json_integer_value(json_object_get(one, "column")),
                     json_string_value(json_object_get(one, "message")));
    }
}

static int print_import(const char *file, const json_t *answer, bool dry_run, const struct cmd *cmd)
{
    const json_t *errors = json_object_get(answer, "errors");
    print_faults(file, errors);
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

/* Does it here when `app` is open, else asks the server.  `args` is stolen. */
static enum err_code do_op(struct cmd *cmd, struct app *app, int op, json_t *args, struct arena *arena,
                           json_t **out, struct err *err)
{
    if (!app)
        return control_call(cmd->data, TABLE_OPS[op].name, args, arena, out, err);
    const enum err_code rc = TABLE_OPS[op].run(app, args, out, err);
    json_decref(args);
    return rc;
}

/* One line a second on standard error: people watch it, and what is printed stays clean. */
static void print_progress(const json_t *state)
{
    (void)fprintf(stderr, "%" JSON_INTEGER_FORMAT " / %" JSON_INTEGER_FORMAT "\n",
                  json_integer_value(json_object_get(state, "done")),
                  json_integer_value(json_object_get(state, "total")));
}

/* *out: the state of the job that `made` names, once it has ended. */
static enum err_code watch_job(struct cmd *cmd, struct app *app, const json_t *made, struct arena *arena,
                               json_t **out, struct err *err)
{
    const struct timespec nap = { .tv_nsec = 200000000 };
    for (int64_t turn = 0;; turn++) {
        const enum err_code rc = do_op(
            cmd, app, OP_STATE, json_pack("{s:O}", "job", json_object_get(made, "job")), arena, out, err);
        if (rc)
            return rc;
        const bool ended = json_is_true(json_object_get(*out, "ended"));
        if (ended || turn % 5 == 4)
            print_progress(*out);
        if (ended)
            return ERR_OK;
        json_decref(*out);
        *out = NULL;
        (void)nanosleep(&nap, NULL);
    }
}

static int print_portions(const char *file, const json_t *state, const json_t *faults, struct cmd *cmd)
{
    const json_t *result = json_object_get(state, "result");
    const char *how = json_string_value(json_object_get(state, "state"));
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    struct err said = { 0 };
    print_faults(file, json_object_get(faults, "errors"));
    static const char *const counts[] = { "rows", "created", "updated", "unchanged", "left_out" };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        (void)printf("%s %" JSON_INTEGER_FORMAT "\n", counts[i],
                     json_integer_value(json_object_get(result, counts[i])));
    if (!strcmp(how, job_state_name(JOB_DONE)))
        return json_integer_value(json_object_get(result, "left_out")) ? CMD_NO : CMD_OK;
    if (!arena || !json_read_err(json_to_str(json_object_get(state, "error")), arena, &said))
        (void)err_set(&said, ERR_CANCELLED, "jobs.cancelled", ARG_END);
    (void)cmd_fail(cmd, &said);
    return CMD_NO;
}

static enum err_code portions_with(struct cmd *cmd, struct app *app, json_t *args, struct arena *arena,
                                   json_t **state, json_t **faults, struct err *err)
{
    json_t *made = NULL;
    enum err_code rc = do_op(cmd, app, OP_PORTIONS, json_incref(args), arena, &made, err);
    if (!rc)
        rc = watch_job(cmd, app, made, arena, state, err);
    if (!rc)
        rc = do_op(
            cmd, app, OP_FAULTS,
            json_pack("{s:O, s:b}", "job", json_object_get(made, "job"), "english", cmd->lang == LANG_EN),
            arena, faults, err);
    json_decref(made);
    return rc;
}

static enum err_code portions_here(struct cmd *cmd, json_t *args, struct arena *arena, json_t **state,
                                   json_t **faults, struct err *err)
{
    struct app app;
    log_level_set(LOG_WARN); /* what the job does is printed */
    enum err_code rc = app_open(&app, cmd, "entity", err);
    if (rc)
        return rc;
    rc = files_start(&app, err);
    if (!rc)
        rc = jobs_new(app.store, &app.ids, app.bus, node_owner(app.node), &app.jobs, err);
    if (!rc)
        rc = imports_start(&app, err);
    if (!rc)
        rc = jobs_start(app.jobs, 1, err);
    if (!rc)
        rc = portions_with(cmd, &app, args, arena, state, faults, err);
    jobs_free(app.jobs);
    app.jobs = NULL;
    files_stop(&app);
    app_close(&app, "entity");
    return rc;
}

static int import_portions(struct cmd *cmd, const char *file, json_t *args, struct arena *arena)
{
    json_t *state = NULL, *faults = NULL;
    struct err err = { 0 };
    enum err_code rc = portions_with(cmd, NULL, args, arena, &state, &faults, &err);
    if (control_is_none(rc, &err))
        rc = portions_here(cmd, args, arena, &state, &faults, &err);
    const int exit_status = rc ? cmd_fail(cmd, &err) : print_portions(file, state, faults, cmd);
    json_decref(args);
    json_decref(state);
    json_decref(faults);
    return exit_status;
}

int cmd_import(struct cmd *cmd, int argc, char **argv)
{
    const char *words[2] = { NULL, NULL };
    char path[PATH_MAX + 32];
    bool dry_run = false, portions = false;
    int count = 0, exit_status = CMD_OK;
    const struct cmd_option options[] = { { .name = "--dry-run", .flag = &dry_run },
                                          { .name = "--portions", .flag = &portions },
                                          { 0 } };
    if (!cmd_options(cmd, argc, argv, options, words, 2, &count, &exit_status))
        return exit_status;
    if (!count || (portions && dry_run))
        return cmd_usage(cmd);
    struct err err = { 0 };
    json_t *out = NULL;
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    const bool stream = count == 1 || !strcmp(words[1], "-");
    enum err_code rc = arena ? ERR_OK : err_nomem(&err);
    if (!rc && stream)
        rc = temp_file(path, sizeof path, &err);
    else if (!rc && !realpath(words[1], path))
        rc = err_set(&err, ERR_INVALID, "file.open", ARG_TEXT("path", words[1]), ARG_ERRNO(errno), ARG_END);
    if (!rc && stream)
        rc = copy_file(path, stdin, true, &err);
    json_t *args = json_pack("{s:s, s:s, s:b, s:b}", "type", words[0], "path", rc ? "" : path, "dry_run",
                             dry_run, "english", cmd->lang == LANG_EN);
    if (!rc && portions) {
        exit_status = import_portions(cmd, stream ? "-" : words[1], args, arena);
        if (stream)
            (void)unlink(path);
        return exit_status;
    }
    if (!rc)
        rc = ask(cmd, &TABLE_OPS[OP_IMPORT], args, arena, &out, &err);
    else
        json_decref(args);
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
    struct err err = { 0 };
    json_t *out = NULL;
    AUTO(arena_free_auto) struct arena *arena = arena_new(65536);
    const bool stream = count == 1 || !strcmp(words[1], "-");
    enum err_code rc = !arena   ? err_nomem(&err)
                       : stream ? temp_file(path, sizeof path, &err)
                                : whole_path(words[1], path, sizeof path, &err);
    if (!rc)
        rc = ask(cmd, &TABLE_OPS[OP_EXPORT],
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
