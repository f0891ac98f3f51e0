/* pack.c - bihuan pack check DIR, bihuan pack new NAME. */
#include "cmd/commands.h"
#include "cmd/pack_check.h"
#include "cmd/relations.h"
#include "platform/decision/decision.h"
#include "platform/entity/entity.h"
#include "platform/query/query.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static int print_findings(const struct cmd *cmd, const struct findings *findings)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    if (!arena)
        return CMD_SURROUNDINGS;
    for (int i = 0; i < findings->count; i++)
        (void)printf("%.*s\n", STR_ARG(err_text(arena, &findings->items[i], cmd->words, cmd->lang)));
    if (findings->more) {
        struct err more;
        (void)err_set(&more, ERR_INVALID, "pack.more", ARG_INT("n", findings->more), ARG_END);
        (void)printf("%.*s\n", STR_ARG(err_text(arena, &more, cmd->words, cmd->lang)));
    }
    return findings->count ? CMD_NO : CMD_OK;
}

/* Types, rules, menu, pages, permissions, decisions, queries and data; a store is not needed for that. */
static enum err_code check_parts(const struct cmd *cmd, const struct packs *packs, struct findings *findings,
                                 struct entity **entity, struct queries **queries, struct err *err)
{
    const struct entity_config config = { .packs = packs, .clock = &CLOCK_SYSTEM, .words = cmd->words };
    enum err_code rc = entity_open(&config, findings, entity, err);
    if (rc == ERR_INVALID && findings->count) /* they tell */
        return ERR_OK;
    if (rc == ERR_OK)
        rc = decisions_check_packs(packs, cmd->words, cmd->lang, findings, err);
    if (!rc)
        rc = pack_check_shown(packs, *entity, findings, err);
    if (!rc)
        rc = queries_load(*entity, packs, QUERY_RELATIONS, findings, queries, err);
    return rc ? rc : entity_check_data(*entity, findings, err);
}

static int pack_check(struct cmd *cmd, const char *dir, const char *packs_dir)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
    struct findings findings = { 0 };
    struct packs *packs = NULL;
    struct entity *entity = NULL;
    struct queries *queries = NULL;
    struct err err = { 0 };
    char installed[2200], data[2200];
    const char *dirs[3];
    struct packs_config config = { .dirs = dirs };
    if (packs_dir)
        dirs[config.dirs_count++] = packs_dir;
    (void)snprintf(data, sizeof data, "%s/packs", cmd->data);
    dirs[config.dirs_count++] = data;
    if (cmd_asset("packs", installed, sizeof installed))
        dirs[config.dirs_count++] = installed;
    enum err_code rc = arena ? findings_init(&findings, arena, &err) : err_nomem(&err);
    if (!rc)
        rc = packs_load_dir(dir, &config, &findings, &packs, &err);
    if (!rc)
        rc = check_parts(cmd, packs, &findings, &entity, &queries, &err);
    int status = rc ? cmd_fail(cmd, &err) : print_findings(cmd, &findings);
    if (!rc && !findings.count) {
        const struct pack *pack = packs_at(packs, packs_count(packs) - 1);
        struct err done;
        (void)(err_set)(&done, ERR_OK, "pack.ok", ARG_STR("pack", pack->name),
                        ARG_STR("version", pack->version), ARG_INT("n", pack->files_count), ARG_END);
        (void)printf("%.*s\n", STR_ARG(err_text(arena, &done, cmd->words, cmd->lang)));
    }
    queries_free(queries);
    entity_free(entity);
    packs_free(packs);
    return status;
}

static const char PACK_JSON[] =
    "{\n  \"name\": \"%s\",\n  \"version\": \"0.1.0\",\n"
    "  \"title\": {\"zh-CN\": \"%s\", \"en\": \"%s\"},\n  \"needs\": [\"core\"],\n"
    "  \"menu\": [\n    {\"title\": {\"zh-CN\": \"%s\", \"en\": \"%s\"},"
    " \"items\": [{\"type\": \"%s.thing\"}]}\n  ]\n}\n";
static const char TYPE_JSON[] =
    "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"type\": \"object\",\n"
    "  \"x-title\": {\"zh-CN\": \"\xe8\xae\xb0\xe5\xbd\x95\", \"en\": \"Thing\"},\n  \"required\": "
    "[\"code\", \"name\"],\n"
    "  \"properties\": {\n"
    "    \"code\": {\"type\": \"string\", \"maxLength\": 40, \"x-title\": {\"zh-CN\": "
    "\"\xe7\xbc\x96\xe7\xa0\x81\", \"en\": \"Code\"}},\n"
    "    \"name\": {\"type\": \"string\", \"maxLength\": 100, \"x-title\": {\"zh-CN\": "
    "\"\xe5\x90\x8d\xe7\xa7\xb0\", \"en\": \"Name\"}}\n"
    "  },\n  \"x-key\": [\"code\"],\n  \"x-list\": [\"code\", \"name\"],\n  \"x-sort\": [\"code\", "
    "\"name\"],\n"
    "  \"x-search\": [\"code\", \"name\"],\n  \"x-scope\": {\"everyone\": true}\n}\n";

static enum err_code put_file(const char *path, const char *text, struct err *err)
{
    FILE *file = fopen(path, "wx");
    const bool ok = file && fputs(text, file) >= 0;
    if (!file || fclose(file) || !ok)
        return err_set(err, errno == EEXIST ? ERR_CONFLICT : ERR_IO, "file.open", ARG_TEXT("path", path),
                       ARG_ERRNO(errno), ARG_END);
    return ERR_OK;
}

static int pack_new(struct cmd *cmd, const char *dir)
{
    static const char *const folders[] = {
        "", "types", "flows", "queries", "pages", "words", "data", "demo"
    };
    const char *slash = strrchr(dir, '/'), *name = slash ? slash + 1 : dir;
    struct err err = { 0 };
    char path[2200], text[2000];
    if (!pack_name_ok(str_from(name))) {
        (void)err_set(&err, ERR_INVALID, "pack.bad_name", ARG_TEXT("what", name), ARG_END);
        return cmd_fail(cmd, &err);
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, folders[i]);
        if (mkdir(path, 0755)) {
            (void)err_set(&err, errno == EEXIST ? ERR_CONFLICT : ERR_IO, "file.open", ARG_TEXT("path", path),
                          ARG_ERRNO(errno), ARG_END);
            return cmd_fail(cmd, &err);
        }
    }
    (void)snprintf(path, sizeof path, "%s/pack.json", dir);
    (void)snprintf(text, sizeof text, PACK_JSON, name, name, name, name, name, name);
    enum err_code rc = put_file(path, text, &err);
    (void)snprintf(path, sizeof path, "%s/types/thing.json", dir);
    if (!rc)
        rc = put_file(path, TYPE_JSON, &err);
    static const char *const langs[] = { "zh-CN", "en" };
    for (int i = 0; !rc && i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/words/%s.json", dir, langs[i]);
        rc = put_file(path, "{\n}\n", &err);
    }
    return rc ? cmd_fail(cmd, &err) : CMD_OK;
}

int cmd_pack(struct cmd *cmd, int argc, char **argv)
{
    const char *packs_dir = NULL, *words[2];
    int count = 0, exit_status = CMD_OK;
    const struct cmd_option options[] = { { .name = "--packs", .text = &packs_dir }, { 0 } };
    if (!cmd_options(cmd, argc, argv, options, words, 2, &count, &exit_status))
        return exit_status;
    if (count == 2 && !strcmp(words[0], "check"))
        return pack_check(cmd, words[1], packs_dir);
    if (count == 2 && !strcmp(words[0], "new"))
        return pack_new(cmd, words[1]);
    return cmd_usage(cmd);
}
