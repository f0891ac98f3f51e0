/* dmn_tck.c - runs test cases of the DMN Technology Compatibility Kit: a tree of folders, each with models
 * and files of cases; every expected value is compared as the kit says. */
#include "cmd/dmn.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/xml.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NS_TESTS "http://www.omg.org/spec/DMN/20160719/testcase"
#define PATH_SIZE 4096
#define DIRS_DEPTH_MAX 8
#define FILES_MAX 400 /* of one folder */
#define CASE_BYTES_MAX ((size_t)256 << 20)

struct tck {
    const struct cmd *cmd;
    FILE *report;
    struct arena *arena; /* of the folder */
    int passed, failed, skipped;
};

/* The models of one folder. */
struct folder {
    const char *path;
    const char **names;
    int count;
};

/* -- values -------------------------------------------------------------------------------------------- */

static bool is_nil(const struct xml_node *node)
{
    const struct str nil = xml_attr_ns(node, XML_NS_SCHEMA_INSTANCE, "nil");
    return nil.ptr && (str_eq(nil, STR("true")) || str_eq(nil, STR("1")));
}

static enum err_code bad_value(const struct xml_node *node, struct err *err)
{
    (void)err_set(err, ERR_INVALID, "dmn.tck.value", ARG_STR("value", node->text), ARG_END);
    return err_at(err, node->line, 0);
}

static enum err_code read_simple(struct arena *arena, const struct xml_node *node, struct feel_value *out,
                                 struct err *err)
{
    struct str type = xml_attr_ns(node, XML_NS_SCHEMA_INSTANCE, "type");
    const ptrdiff_t colon = type.ptr ? str_find(type, STR(":")) : -1;
    const struct str text = str_trim(node->text);
    struct decimal number;
    bool ok = true;
    if (colon >= 0)
        type = str_slice(type, (size_t)colon + 1, type.len);
    if (is_nil(node))
        *out = feel_null();
    else if (!type.ptr || str_eq(type, STR("string")))
        *out = feel_string(node->text);
    else if (str_eq(type, STR("boolean")))
        *out = feel_boolean(str_eq(text, STR("true")) || str_eq(text, STR("1")));
    else if (str_eq(type, STR("date")))
        ok = feel_date_parse(text, out);
    else if (str_eq(type, STR("time")))
        ok = feel_time_parse(arena, text, out);
    else if (str_eq(type, STR("dateTime")))
        ok = feel_date_time_parse(arena, text, out);
    else if (str_eq(type, STR("duration")))
        ok = feel_duration_parse(text, out);
    else if ((ok = decimal_parse(text, &number)))
        *out = feel_number(number);
    return ok ? ERR_OK : bad_value(node, err);
}

/* The value inside of inputNode, expected, item or component. */
static enum err_code read_value(struct arena *arena, const struct xml_node *node, struct feel_value *out,
                                struct err *err)
{
    const struct xml_node *simple = xml_child(node, "value"), *list = xml_child(node, "list");
    const char *name = list ? "item" : "component";
    const struct xml_node *parent = list ? list : node, *child = xml_child(parent, name);
    size_t count = 0;
    *out = feel_null();
    if (simple)
        return read_simple(arena, simple, out, err);
    if (is_nil(node) || is_nil(parent) || (!list && !child) ||
        (!list && is_nil(child) && !xml_attr(child, "name").ptr))
        return ERR_OK;
    for (const struct xml_node *one = child; one; one = xml_sibling(one, name))
        count++;
    struct feel_value *items = arena_alloc(arena, count + 1, sizeof(*items));
    struct feel_entry *entries = arena_alloc(arena, count + 1, sizeof(*entries));
    if (!items || !entries)
        return err_nomem(err);
    count = 0;
    for (const struct xml_node *one = child; one; one = xml_sibling(one, name), count++) {
        const enum err_code rc = read_value(arena, one, &items[count], err); /* depth: the reader's */
        if (rc)
            return rc;
        entries[count].key = xml_attr(one, "name");
        entries[count].value = items[count];
    }
    *out = list ? feel_list(items, count) : feel_context(entries, count);
    return ERR_OK;
}

static bool same(const struct feel_value *want, const struct feel_value *got);

static bool same_contexts(const struct feel_value *want, const struct feel_value *got)
{
    if (want->context.count != got->context.count)
        return false;
    for (size_t i = 0; i < want->context.count; i++) {
        const struct feel_value *other = feel_context_get(got, want->context.entries[i].key);
        if (!other || !same(&want->context.entries[i].value, other))
            return false;
    }
    return true;
}

static bool same_numbers(struct decimal a, struct decimal b)
{
    struct decimal difference;
    return decimal_sub(a, b, &difference) && decimal_cmp(decimal_abs(difference), decimal_small(1, 8)) < 0;
}

static bool same(const struct feel_value *want, const struct feel_value *got)
{
    if (want->kind != got->kind)
        return false;
    if (want->kind == FEEL_NUMBER)
        return same_numbers(want->number, got->number);
    if (want->kind == FEEL_CONTEXT)
        return same_contexts(want, got);
    if (want->kind != FEEL_LIST)
        return feel_equal(want, got) == FEEL_TRUE;
    if (want->list.count != got->list.count)
        return false;
    for (size_t i = 0; i < want->list.count; i++)
        if (!same(&want->list.items[i], &got->list.items[i]))
            return false;
    return true;
}

/* -- one case ------------------------------------------------------------------------------------------ */

static int find_input(const struct dmn_model *model, const struct xml_node *node)
{
    static const enum dmn_element_kind kinds[] = { DMN_INPUT_DATA, DMN_DECISION };
    const struct str name = xml_attr(node, "name"), ns = xml_attr(node, "namespace");
    for (int i = 0; i < 2 && name.ptr; i++) {
        const int found =
            ns.len > 0 ? dmn_find_in(model, ns, kinds[i], name) : dmn_find(model, kinds[i], name);
        if (found >= 0)
            return found;
    }
    for (int i = 0; name.ptr && i < dmn_node_count(model); i++) /* somewhere in the imports */
        if (dmn_node_element(model, i)->kind == DMN_INPUT_DATA &&
            str_eq(dmn_node_element(model, i)->name, name))
            return i;
    return -1;
}

static enum err_code read_inputs(const struct dmn_model *model, struct arena *arena,
                                 const struct xml_node *test, struct dmn_given **out, size_t *out_count,
                                 struct err *err)
{
    size_t count = 0;
    for (const struct xml_node *node = xml_child(test, "inputNode"); node;
         node = xml_sibling(node, "inputNode"))
        count++;
    *out = arena_alloc(arena, count + 1, sizeof(**out));
    if (!*out)
        return err_nomem(err);
    *out_count = 0;
    for (const struct xml_node *node = xml_child(test, "inputNode"); node;
         node = xml_sibling(node, "inputNode")) {
        struct dmn_given given = { .node = find_input(model, node) };
        const enum err_code rc = read_value(arena, node, &given.value, err);
        if (rc)
            return rc;
        if (given.node >= 0)
            (*out)[(*out_count)++] = given;
    }
    return ERR_OK;
}

/* Calls the knowledge model or service that the case names. */
static enum err_code call_named(const struct dmn_model *model, struct feel_eval *ev,
                                const struct xml_node *test, struct feel_value *out, struct err *err)
{
    const struct str name = xml_attr(test, "invocableName");
    const int node = name.ptr ? dmn_find(model, DMN_BKM, name) : -1;
    struct feel_entry *args = arena_alloc(ev->arena, 256, sizeof(*args));
    size_t count = 0;
    if (node < 0)
        return err_set(err, ERR_NOT_FOUND, "dmn.no_decision", ARG_STR("name", name), ARG_END);
    if (!args)
        return err_nomem(err);
    for (const struct xml_node *one = xml_child(test, "inputNode"); one && count < 256;
         one = xml_sibling(one, "inputNode"), count++) {
        args[count].key = xml_attr(one, "name");
        const enum err_code rc = read_value(ev->arena, one, &args[count].value, err);
        if (rc)
            return rc;
    }
    const struct feel_value function = dmn_node_function(model, node);
    return feel_call_named(ev, &function, args, count, out, err);
}

static enum err_code evaluate(const struct dmn_model *model, struct feel_eval *ev,
                              const struct xml_node *test, const struct xml_node *result,
                              struct feel_value *out, struct err *err)
{
    const struct str type = xml_attr(test, "type"), name = xml_attr(result, "name"),
                     ns = xml_attr(result, "namespace");
    const bool service = type.ptr && str_eq(type, STR("decisionService"));
    struct dmn_given *given = NULL;
    size_t count = 0;
    if (type.ptr && str_eq(type, STR("bkm")))
        return call_named(model, ev, test, out, err);
    enum err_code rc = read_inputs(model, ev->arena, test, &given, &count, err);
    if (rc)
        return rc;
    const struct str wanted = service ? xml_attr(test, "invocableName") : name;
    const enum dmn_element_kind kind = service ? DMN_SERVICE : DMN_DECISION;
    const int node =
        !service && ns.len > 0 ? dmn_find_in(model, ns, kind, wanted) : dmn_find(model, kind, wanted);
    if (node < 0)
        return err_set(err, ERR_NOT_FOUND, "dmn.no_decision", ARG_STR("name", wanted), ARG_END);
    rc = dmn_evaluate(model, node, ev, given, count, NULL, out, err);
    if (rc || !service)
        return rc;
    /* A service of one output gives its value, else a context of them. */
    int outputs = 0;
    const struct dmn_element *element = dmn_node_element(model, node);
    for (int i = 0; i < element->ref_count; i++)
        outputs += element->refs[i].kind == DMN_REF_OUTPUT;
    if (outputs > 1) {
        const struct feel_value *one = out->kind == FEEL_CONTEXT ? feel_context_get(out, name) : NULL;
        *out = one ? *one : feel_null();
    }
    return ERR_OK;
}

static void describe(const struct tck *tck, struct arena *arena, const struct feel_value *want,
                     const struct feel_value *got, const struct feel_eval *ev, const struct err *err,
                     struct buf *out)
{
    if (err->code) {
        buf_str(out, err_text(arena, err, tck->cmd->words, tck->cmd->lang));
        return;
    }
    buf_text(out, "expected ");
    feel_print_json(out, want);
    buf_text(out, ", got ");
    feel_print_json(out, got);
    for (int i = 0; i < ev->warnings_count && i < 3; i++) {
        struct err warning = { 0 };
        feel_warning_err(&ev->warnings[i], &warning);
        buf_text(out, "; ");
        buf_str(out, err_text(arena, &warning, tck->cmd->words, tck->cmd->lang));
    }
}

/* True when every result of the case is as expected; else `why` says what was not. */
static bool run_case(const struct tck *tck, const struct dmn_model *model, const struct xml_node *test,
                     struct buf *why)
{
    bool passed = true;
    for (const struct xml_node *result = xml_child(test, "resultNode"); result && passed;
         result = xml_sibling(result, "resultNode")) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(CASE_BYTES_MAX);
        const struct xml_node *expected = xml_child(result, "expected");
        const struct str error = xml_attr(result, "errorResult");
        const bool error_expected = error.ptr && (str_eq(error, STR("true")) || str_eq(error, STR("1")));
        struct feel_value want = feel_null(), got = feel_null();
        struct err err = { 0 };
        struct feel_eval ev;
        if (!arena)
            return false;
        feel_eval_init(&ev, arena);
        ev.now_ms = clock_now(&CLOCK_SYSTEM);
        enum err_code rc = expected ? read_value(arena, expected, &want, &err) : ERR_OK;
        if (rc == ERR_OK)
            rc = evaluate(model, &ev, test, result, &got, &err);
        passed = error_expected ? rc != ERR_OK || got.kind == FEEL_NULL : rc == ERR_OK && same(&want, &got);
        if (!passed) {
            buf_str(why, xml_attr(result, "name"));
            buf_text(why, ": ");
            describe(tck, arena, &want, &got, &ev, &err, why);
        }
    }
    return passed;
}

/* -- files --------------------------------------------------------------------------------------------- */

static void csv_field(FILE *to, struct str text)
{
    (void)fputc('"', to);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            (void)fputc('"', to);
        (void)fputc(text.ptr[i] == '\n' ? ' ' : text.ptr[i], to);
    }
    (void)fputc('"', to);
}

static void tell(struct tck *tck, const struct folder *folder, const char *file, struct str id,
                 const char *outcome, struct str why)
{
    if (strcmp(outcome, "SUCCESS") != 0)
        (void)printf("%s %s/%s %.*s %.*s\n", outcome, folder->path, file, STR_ARG(id), STR_ARG(why));
    if (!tck->report)
        return;
    const struct str fields[] = { str_from(folder->path), str_from(file), id, str_from(outcome), why };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (i > 0)
            (void)fputc(',', tck->report);
        csv_field(tck->report, fields[i]);
    }
    (void)fputc('\n', tck->report);
}

static struct str case_id(const struct xml_node *test)
{
    const struct str id = xml_attr(test, "id");
    return id.ptr ? id : STR("");
}

/* The model that the file names, with all others of the folder as imports. */
static enum err_code load(struct folder *folder, struct str name, struct dmn_model **out, struct err *err)
{
    const char *paths[FILES_MAX], *at = NULL;
    AUTO(arena_free_auto) struct arena *arena = arena_new(FILES_MAX * PATH_SIZE);
    int count = 1;
    if (!arena)
        return err_nomem(err);
    paths[0] = NULL;
    for (int i = 0; i < folder->count && count < DMN_SOURCES_MAX; i++) {
        const struct str file = str_from(folder->names[i]);
        const struct str path = arena_printf(arena, "%s/%s", folder->path, folder->names[i]);
        if (!path.ptr)
            return err_nomem(err);
        if (str_eq(file, name))
            paths[0] = path.ptr;
        else if (str_ends(file, STR(".dmn")))
            paths[count++] = path.ptr;
    }
    if (!paths[0])
        return err_set(err, ERR_NOT_FOUND, "file.open", ARG_STR("path", name), ARG_TEXT("reason", "?"),
                       ARG_END);
    const enum err_code rc = dmn_load_files(paths, count, out, &at, err);
    if (rc == ERR_OK || !at || at == paths[0])
        return rc;
    /* A neighbour that is no model of ours must not spoil the one that does without it. */
    struct err alone = { 0 };
    const enum err_code again = dmn_load_files(paths, 1, out, &at, &alone);
    return again ? rc : ERR_OK;
}

static bool is_external_function(const struct err *err)
{
    return err->code == ERR_UNSUPPORTED && err->args[0].is_text && strstr(err->args[0].text, "kind=\"Java\"");
}

static void run_file(struct tck *tck, struct folder *folder, const char *file, const struct xml_node *root)
{
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    const struct xml_node *name = xml_child(root, "modelName");
    struct err err = { 0 };
    struct buf why;
    buf_init(&why, 1 << 20);
    const enum err_code rc = load(folder, name ? str_trim(name->text) : STR(""), &model, &err);
    for (const struct xml_node *test = xml_child(root, "testCase"); test;
         test = xml_sibling(test, "testCase")) {
        bool passed = false, counts = true;
        buf_clear(&why);
        if (rc == ERR_OK) {
            passed = run_case(tck, model, test, &why);
        } else {
            buf_str(&why, err_text(tck->arena, &err, tck->cmd->words, tck->cmd->lang));
            counts = !is_external_function(&err);
        }
        tck->passed += counts && passed;
        tck->failed += counts && !passed;
        tck->skipped += !counts;
        tell(tck, folder, file, case_id(test),
             !counts  ? "IGNORED"
             : passed ? "SUCCESS"
                      : "ERROR",
             buf_get(&why));
    }
    buf_done(&why);
}

/* A file that is XML but no test cases is somebody else's; one that cannot be read fails as one case. */
static void run_xml(struct tck *tck, struct folder *folder, const char *file)
{
    static const struct xml_limits limits = { (size_t)64 << 20, 200, 2000000 };
    const struct xml_node *root = NULL;
    struct err err = { 0 };
    struct buf text;
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, file);
    buf_init(&text, limits.bytes_max);
    enum err_code rc = buf_read_file(&text, path, &err);
    if (rc == ERR_OK)
        rc = xml_read(tck->arena, buf_get(&text), &limits, &root, &err);
    buf_done(&text);
    if (rc) {
        tck->failed++;
        tell(tck, folder, file, STR(""), "ERROR",
             err_text(tck->arena, &err, tck->cmd->words, tck->cmd->lang));
    } else if (xml_is(root, STR(NS_TESTS), "testCases")) {
        run_file(tck, folder, file, root);
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The sorted names in a folder, in the arena. */
static enum err_code list_names(struct arena *arena, const char *path, const char ***out, int *out_count,
                                struct err *err)
{
    const char **names = arena_alloc(arena, FILES_MAX, sizeof(char *));
    DIR *dir = names ? opendir(path) : NULL;
    int count = 0;
    bool full = false;
    if (!names)
        return err_nomem(err);
    if (!dir)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", path), ARG_ERRNO(errno), ARG_END);
    for (const struct dirent *entry = readdir(dir); entry && !full && count < FILES_MAX; entry = readdir(dir))
        if (entry->d_name[0] != '.') {
            names[count] = arena_str(arena, str_from(entry->d_name)).ptr;
            full = !names[count++];
        }
    (void)closedir(dir);
    if (full)
        return err_nomem(err);
    qsort(names, (size_t)count, sizeof(char *), compare_names);
    *out = names;
    *out_count = count;
    return ERR_OK;
}

static enum err_code run_folder(struct tck *tck, const char *path, int depth, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)512 << 20);
    struct folder folder = { .path = path };
    if (!arena)
        return err_nomem(err);
    enum err_code rc = list_names(arena, path, &folder.names, &folder.count, err);
    for (int i = 0; i < folder.count && rc == ERR_OK; i++) {
        char inner[PATH_SIZE];
        struct stat stat_of;
        const int length = snprintf(inner, sizeof inner, "%s/%s", path, folder.names[i]);
        if (length < 0 || (size_t)length >= sizeof inner || stat(inner, &stat_of))
            continue;
        if (S_ISDIR(stat_of.st_mode) && depth < DIRS_DEPTH_MAX) {
            rc = run_folder(tck, inner, depth + 1, err);
        } else if (S_ISREG(stat_of.st_mode) && str_ends(str_from(folder.names[i]), STR(".xml"))) {
            tck->arena = arena;
            run_xml(tck, &folder, folder.names[i]);
        }
    }
    return rc;
}

int cmd_dmn_tck(struct cmd *cmd, const char *dir, const char *report)
{
    struct tck tck = { .cmd = cmd };
    struct err err = { 0 };
    if (report && !(tck.report = fopen(report, "w"))) {
        (void)err_set(&err, ERR_IO, "file.open", ARG_TEXT("path", report), ARG_ERRNO(errno), ARG_END);
        return cmd_fail(cmd, &err);
    }
    const enum err_code rc = run_folder(&tck, dir, 0, &err);
    if (tck.report && fclose(tck.report) != 0 && rc == ERR_OK) {
        (void)err_set(&err, ERR_IO, "file.open", ARG_TEXT("path", report), ARG_ERRNO(errno), ARG_END);
        return cmd_fail(cmd, &err);
    }
    if (rc) {
        (void)cmd_fail(cmd, &err);
        return CMD_USAGE;
    }
    (void)printf("%d passed, %d failed\n", tck.passed, tck.failed);
    return tck.failed > 0 ? CMD_NO : CMD_OK;
}
