/* pack.c - see pack.h
 *
 * Found folders are kept as name -> path; the wanted ones are read in the order of their needs by a
 * depth-first walk with three marks, so that a circle is seen. */
#include "platform/pack/pack.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define PACKS_BYTES_MAX ((size_t)512 << 20)

enum mark { MARK_NEW, MARK_OPEN, MARK_DONE };

struct found {
    struct str name, dir;
    enum mark mark;
};

struct packs {
    struct arena *arena;
    struct found found[PACKS_MAX * 4];
    int found_count;
    struct pack *items[PACKS_MAX];
    int count;
    json_t *owned; /* array of every parsed file */
};

static const char *const FOLDERS[PACK_FOLDER__COUNT] = {
    [PACK_TYPES] = "types",           [PACK_FLOWS] = "flows", [PACK_DECISIONS] = "decisions",
    [PACK_QUERIES] = "queries",       [PACK_PAGES] = "pages", [PACK_REPORTS] = "reports",
    [PACK_WORDS] = "words",           [PACK_DATA] = "data",   [PACK_DEMO] = "demo",
    [PACK_MIGRATIONS] = "migrations",
};

bool pack_name_ok(struct str name)
{
    if (!name.len || name.len > PACK_NAME_MAX || name.ptr[0] < 'a' || name.ptr[0] > 'z')
        return false;
    for (size_t i = 1; i < name.len; i++) {
        const char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return true;
}

/* ---- findings ---- */

static void line_column(struct str text, ptrdiff_t offset, int *line, int *column)
{
    *line = 1;
    *column = 1;
    for (ptrdiff_t i = 0; i < offset && (size_t)i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

void pack_finding(struct findings *findings, const struct pack *pack, const struct pack_file *file,
                  ptrdiff_t offset, enum err_code code, const char *what, struct str detail)
{
    if (!findings)
        return;
    char where[ERR_TEXT_MAX + 1];
    int line = 0, column = 0;
    if (file && offset >= 0)
        line_column(file->text, offset, &line, &column);
    const struct str path = file ? file->path : STR("pack.json");
    if (line)
        snprintf(where, sizeof where, "%.*s/%.*s:%d:%d", STR_ARG(pack->name), STR_ARG(path), line, column);
    else
        snprintf(where, sizeof where, "%.*s/%.*s", STR_ARG(pack->name), STR_ARG(path));
    struct err one = { 0 };
    (void)err_set(&one, code, what, ARG_TEXT("file", where), ARG_STR("what", detail), ARG_END);
    findings_add(findings, &one);
}

/* ---- where a member stands in a JSON text that is known to be well formed ---- */

static size_t skip_blank(struct str text, size_t at)
{
    while (at < text.len && strchr(" \t\r\n", text.ptr[at]))
        at++;
    return at;
}

static size_t skip_string(struct str text, size_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++)
        if (text.ptr[at] == '\\')
            at++;
    return at < text.len ? at + 1 : text.len;
}

static size_t skip_value(struct str text, size_t at)
{
    int depth = 0;
    for (at = skip_blank(text, at); at < text.len;) {
        const char c = text.ptr[at];
        if (c == '"') {
            at = skip_string(text, at);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if (c == '}' || c == ']') {
            if (!depth)
                return at;
            depth--;
            at++;
        } else if (!depth && c == ',') {
            return at;
        } else {
            at++;
            if (depth || !strchr(",}] \t\r\n:", at < text.len ? text.ptr[at] : ','))
                continue;
        }
        if (!depth)
            return at;
    }
    return at;
}

/* The offset of member `key` (or item number `key`) of the container at `at`, and of its value. */
static bool find_member(struct str text, size_t at, struct str key, size_t *out_key, size_t *out_value)
{
    at = skip_blank(text, at);
    if (at >= text.len || (text.ptr[at] != '{' && text.ptr[at] != '['))
        return false;
    const bool object = text.ptr[at] == '{';
    int64_t index = 0, wanted = -1;
    if (!object && !str_i64(key, &wanted))
        return false;
    for (at = skip_blank(text, at + 1); at < text.len && text.ptr[at] != '}' && text.ptr[at] != ']';) {
        const size_t from = at;
        if (object) {
            at = skip_string(text, at);
            const bool same = str_eq(str_slice(text, from + 1, at - 1), key);
            at = skip_blank(text, at);
            if (at < text.len && text.ptr[at] == ':')
                at = skip_blank(text, at + 1);
            if (same) {
                *out_key = from;
                *out_value = at;
                return true;
            }
        } else if (index++ == wanted) {
            *out_key = *out_value = from;
            return true;
        }
        at = skip_blank(text, skip_value(text, at));
        if (at < text.len && text.ptr[at] == ',')
            at = skip_blank(text, at + 1);
        if (at == from)
            return false;
    }
    return false;
}

ptrdiff_t json_pointer_offset(struct str text, struct str pointer)
{
    size_t value = skip_blank(text, 0), key = value;
    struct str part;
    if (pointer.len && pointer.ptr[0] == '/')
        pointer = str_slice(pointer, 1, pointer.len);
    while (pointer.len && str_cut(&pointer, '/', &part))
        if (!find_member(text, value, part, &key, &value))
            break;
    return (ptrdiff_t)key;
}

/* ---- reading ---- */

static enum err_code read_text(struct packs *packs, const char *path, struct str *out, struct err *err)
{
    struct buf buf;
    buf_init(&buf, PACK_FILE_MAX);
    enum err_code rc = buf_read_file(&buf, path, err);
    if (!rc) {
        const struct str text = arena_str(packs->arena, buf_get(&buf));
        if (text.ptr)
            *out = text;
        else
            rc = err_nomem(err);
    }
    buf_done(&buf);
    return rc;
}

static json_t *parse_json(struct packs *packs, const struct pack *pack, const struct pack_file *file,
                          struct findings *findings)
{
    json_error_t error;
    json_t *json = json_loadb(file->text.ptr, file->text.len, JSON_REJECT_DUPLICATES, &error);
    if (!json) {
        pack_finding(findings, pack, file, error.position > 0 ? error.position - 1 : 0, ERR_INVALID,
                     "pack.json", str_from(error.text));
        return NULL;
    }
    json_array_append_new(packs->owned, json);
    return json;
}

static int file_order(const void *a, const void *b)
{
    return str_cmp(((const struct pack_file *)a)->path, ((const struct pack_file *)b)->path);
}

static enum err_code read_file(struct packs *packs, struct pack *pack, enum pack_folder folder,
                               const char *name, struct findings *findings, struct err *err)
{
    const char *const dot = strrchr(name, '.');
    if (name[0] == '.' || !dot)
        return ERR_OK;
    struct pack_file file = { .folder = folder };
    file.path = arena_printf(packs->arena, "%s/%s", FOLDERS[folder], name);
    file.name = arena_str(packs->arena, (struct str) { name, (size_t)(dot - name) });
    file.ending = arena_str(packs->arena, str_from(dot + 1));
    const struct str full = arena_printf(packs->arena, "%.*s/%.*s", STR_ARG(pack->dir), STR_ARG(file.path));
    if (!file.path.ptr || !file.name.ptr || !file.ending.ptr || !full.ptr)
        return err_nomem(err);
    struct stat st;
    if (stat(full.ptr, &st) || !S_ISREG(st.st_mode))
        return ERR_OK;
    enum err_code rc = read_text(packs, full.ptr, &file.text, err);
    if (rc == ERR_LIMIT) {
        pack_finding(findings, pack, &file, -1, ERR_LIMIT, "pack.file_size", STR(""));
        return ERR_OK;
    }
    if (rc)
        return rc;
    if (!utf8_valid(file.text)) {
        pack_finding(findings, pack, &file, -1, ERR_INVALID, "pack.utf8", STR(""));
        return ERR_OK;
    }
    if (str_eq(file.ending, STR("json")))
        file.json = parse_json(packs, pack, &file, findings);
    if (pack->files_count == PACK_FILES_MAX)
        return err_set(err, ERR_LIMIT, "pack.files", ARG_INT("max", PACK_FILES_MAX), ARG_END);
    pack->files[pack->files_count++] = file;
    return ERR_OK;
}

static enum err_code read_folder(struct packs *packs, struct pack *pack, enum pack_folder folder,
                                 struct findings *findings, struct err *err)
{
    const struct str path = arena_printf(packs->arena, "%.*s/%s", STR_ARG(pack->dir), FOLDERS[folder]);
    if (!path.ptr)
        return err_nomem(err);
    DIR *dir = opendir(path.ptr);
    if (!dir)
        return ERR_OK;
    enum err_code rc = ERR_OK;
    for (struct dirent *entry; !rc && (entry = readdir(dir));)
        rc = read_file(packs, pack, folder, entry->d_name, findings, err);
    closedir(dir);
    return rc;
}

/* "title": {"zh-CN": .., "en": ..} */
static bool read_title(struct packs *packs, json_t *json, struct str out[LANG__COUNT])
{
    for (int lang = 0; lang < LANG__COUNT; lang++) {
        const char *text = json_string_value(json_object_get(json, lang_name((enum lang)lang)));
        if (!text || !*text)
            return false;
        out[lang] = arena_str(packs->arena, str_from(text));
        if (!out[lang].ptr)
            return false;
    }
    return true;
}

int pack_version_cmp(struct str a, struct str b)
{
    struct str part_a, part_b;
    while (a.len || b.len) {
        int64_t number_a = 0, number_b = 0;
        if (a.len && str_cut(&a, '.', &part_a))
            (void)str_i64(part_a, &number_a);
        if (b.len && str_cut(&b, '.', &part_b))
            (void)str_i64(part_b, &number_b);
        if (number_a != number_b)
            return number_a < number_b ? -1 : 1;
    }
    return 0;
}

static struct found *find_found(struct packs *packs, struct str name)
{
    for (int i = 0; i < packs->found_count; i++)
        if (str_eq(packs->found[i].name, name))
            return &packs->found[i];
    return NULL;
}

static enum err_code load_one(struct packs *packs, struct found *found, struct findings *findings,
                              struct err *err);

static enum err_code load_need(struct packs *packs, struct pack *pack, const struct pack_file *file,
                               struct str need, struct findings *findings, struct err *err)
{
    struct str name = need, least = { 0 };
    const ptrdiff_t at = str_find(need, STR(">="));
    if (at >= 0) {
        name = str_trim(str_slice(need, 0, (size_t)at));
        least = str_trim(str_slice(need, (size_t)at + 2, need.len));
    }
    struct found *found = find_found(packs, name);
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "pack.needs", ARG_STR("pack", pack->name), ARG_STR("what", name),
                       ARG_END);
    if (found->mark == MARK_OPEN) {
        pack_finding(findings, pack, file, json_pointer_offset(file->text, STR("/needs")), ERR_INVALID,
                     "pack.needs_circle", name);
        return ERR_OK;
    }
    const enum err_code rc = load_one(packs, found, findings, err);
    if (rc)
        return rc;
    const struct pack *needed = packs_find(packs, name);
    if (needed && least.len && pack_version_cmp(needed->version, least) < 0)
        pack_finding(findings, pack, file, json_pointer_offset(file->text, STR("/needs")), ERR_INVALID,
                     "pack.needs_version", need);
    pack->needs[pack->needs_count] = arena_str(packs->arena, name);
    return pack->needs[pack->needs_count++].ptr ? ERR_OK : err_nomem(err);
}

static enum err_code load_needs(struct packs *packs, struct pack *pack, const struct pack_file *file,
                                struct findings *findings, struct err *err)
{
    json_t *needs = json_object_get(pack->json, "needs");
    if (needs && !json_is_array(needs))
        pack_finding(findings, pack, file, json_pointer_offset(file->text, STR("/needs")), ERR_INVALID,
                     "pack.expected", STR("[\"core\"]"));
    pack->needs = arena_alloc(packs->arena, json_array_size(needs) + 1, sizeof *pack->needs);
    if (!pack->needs)
        return err_nomem(err);
    size_t i;
    json_t *need;
    bool core = str_eq(pack->name, STR("core"));
    json_array_foreach(needs, i, need)
    {
        const struct str text = str_from(json_string_value(need));
        core = core || str_starts(text, STR("core"));
        const enum err_code rc = load_need(packs, pack, file, text, findings, err);
        if (rc)
            return rc;
    }
    if (!core && find_found(packs, STR("core"))) /* every pack stands on core */
        return load_need(packs, pack, file, STR("core"), findings, err);
    return ERR_OK;
}

static void check_members(const struct pack *pack, const struct pack_file *file, struct findings *findings)
{
    static const char *const known[] = { "name", "version",  "title",       "needs",
                                         "menu", "optional", "description", "$schema" };
    const char *key;
    json_t *value;
    json_object_foreach(pack->json, key, value)
    {
        bool ok = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            ok = ok || !strcmp(known[i], key);
        char pointer[100];
        snprintf(pointer, sizeof pointer, "/%s", key);
        if (!ok)
            pack_finding(findings, pack, file, json_pointer_offset(file->text, str_from(pointer)),
                         ERR_INVALID, "pack.unknown_member", str_from(key));
    }
}

/* Both languages, keys beginning with the pack's name, the same keys in both. */
static void check_words(const struct pack *pack, struct findings *findings)
{
    const struct pack_file *files[LANG__COUNT];
    for (int lang = 0; lang < LANG__COUNT; lang++)
        files[lang] = pack_file_find(pack, PACK_WORDS, str_from(lang_name((enum lang)lang)));
    for (int lang = 0; lang < LANG__COUNT; lang++) {
        const struct pack_file *file = files[lang], *other = files[!lang];
        const char *key;
        json_t *value;
        if (!file)
            continue;
        json_object_foreach(file->json, key, value)
        {
            const struct str name = str_from(key);
            const bool own =
                str_starts(name, pack->name) && name.len > pack->name.len && key[pack->name.len] == '.';
            if (!own && !str_eq(pack->name, STR("core")))
                pack_finding(findings, pack, file, json_pointer_offset(file->text, name), ERR_INVALID,
                             "pack.word_name", name);
            else if (!json_is_string(value))
                pack_finding(findings, pack, file, json_pointer_offset(file->text, name), ERR_INVALID,
                             "pack.expected", STR("text"));
            else if (!other || !json_object_get(other->json, key))
                pack_finding(findings, pack, file, json_pointer_offset(file->text, name), ERR_INVALID,
                             "pack.word_missing", name);
        }
    }
}

static enum err_code load_one(struct packs *packs, struct found *found, struct findings *findings,
                              struct err *err)
{
    if (found->mark != MARK_NEW)
        return ERR_OK;
    found->mark = MARK_OPEN;
    if (packs->count == PACKS_MAX)
        return err_set(err, ERR_LIMIT, "pack.packs", ARG_INT("max", PACKS_MAX), ARG_END);
    struct pack *pack = arena_alloc(packs->arena, 1, sizeof *pack);
    const struct str path = arena_printf(packs->arena, "%.*s/pack.json", STR_ARG(found->dir));
    if (!pack || !path.ptr)
        return err_nomem(err);
    pack->name = found->name;
    pack->dir = found->dir;
    struct pack_file file = { .path = STR("pack.json") };
    enum err_code rc = read_text(packs, path.ptr, &file.text, err);
    if (rc)
        return rc;
    pack->text = file.text;
    pack->json = parse_json(packs, pack, &file, findings);
    if (!pack->json)
        pack->json = json_object(), json_array_append_new(packs->owned, pack->json);
    else if (!str_eq(str_from(json_string_value(json_object_get(pack->json, "name"))), pack->name) ||
             !pack_name_ok(pack->name))
        pack_finding(findings, pack, &file, json_pointer_offset(file.text, STR("/name")), ERR_INVALID,
                     "pack.name", pack->name);
    check_members(pack, &file, findings);
    const char *version = json_string_value(json_object_get(pack->json, "version"));
    pack->version = arena_str(packs->arena, str_from(version ? version : "0"));
    if (!version)
        pack_finding(findings, pack, &file, 0, ERR_INVALID, "pack.missing", STR("version"));
    if (!read_title(packs, json_object_get(pack->json, "title"), pack->title))
        pack_finding(findings, pack, &file, 0, ERR_INVALID, "pack.missing", STR("title {\"zh-CN\", \"en\"}"));
    pack->files = arena_alloc(packs->arena, PACK_FILES_MAX, sizeof *pack->files);
    if (!pack->version.ptr || !pack->files)
        return err_nomem(err);
    rc = load_needs(packs, pack, &file, findings, err);
    for (int folder = 0; !rc && folder < PACK_FOLDER__COUNT; folder++)
        rc = read_folder(packs, pack, (enum pack_folder)folder, findings, err);
    if (rc)
        return rc;
    qsort(pack->files, (size_t)pack->files_count, sizeof *pack->files, file_order);
    check_words(pack, findings);
    if (packs->count == PACKS_MAX)
        return err_set(err, ERR_LIMIT, "pack.packs", ARG_INT("max", PACKS_MAX), ARG_END);
    packs->items[packs->count++] = pack;
    found->mark = MARK_DONE;
    return ERR_OK;
}

/* ---- finding ---- */

static enum err_code add_found(struct packs *packs, struct str name, const char *dir, struct err *err)
{
    if (find_found(packs, name) || packs->found_count == PACKS_MAX * 4)
        return ERR_OK;
    struct found *found = &packs->found[packs->found_count];
    found->name = arena_str(packs->arena, name);
    found->dir = arena_str(packs->arena, str_from(dir));
    if (!found->name.ptr || !found->dir.ptr)
        return err_nomem(err);
    packs->found_count++;
    return ERR_OK;
}

static int name_order(const void *a, const void *b)
{
    return str_cmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static enum err_code search_dir(struct packs *packs, const char *dir, struct err *err)
{
    DIR *open = opendir(dir);
    if (!open)
        return errno == ENOENT
                   ? ERR_OK
                   : err_set(err, ERR_IO, "file.open", ARG_TEXT("path", dir), ARG_ERRNO(errno), ARG_END);
    enum err_code rc = ERR_OK;
    for (struct dirent *entry; !rc && (entry = readdir(open));) {
        char path[4096];
        struct stat st;
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s/pack.json", dir, entry->d_name) >= (int)sizeof path ||
            stat(path, &st))
            continue;
        path[strlen(path) - strlen("/pack.json")] = 0;
        rc = add_found(packs, str_from(entry->d_name), path, err);
    }
    closedir(open);
    return rc;
}

static enum err_code packs_begin(const struct packs_config *config, struct packs **out, struct err *err)
{
    struct packs *packs = mem_alloc(1, sizeof *packs);
    if (!packs)
        return err_nomem(err);
    packs->arena = arena_new(PACKS_BYTES_MAX);
    packs->owned = json_array();
    enum err_code rc = packs->arena && packs->owned ? ERR_OK : err_nomem(err);
    for (int i = 0; !rc && i < config->dirs_count; i++)
        rc = search_dir(packs, config->dirs[i], err);
    if (rc) {
        packs_free(packs);
        return rc;
    }
    qsort(packs->found, (size_t)packs->found_count, sizeof *packs->found, name_order);
    *out = packs;
    return ERR_OK;
}

/* "optional": true in its pack.json; a file that cannot be read is told of when it is loaded. */
static bool is_optional(const struct found *found)
{
    char path[4200];
    (void)snprintf(path, sizeof path, "%.*s/pack.json", STR_ARG(found->dir));
    json_t *json = json_load_file(path, 0, NULL);
    const bool optional = json_is_true(json_object_get(json, "optional"));
    json_decref(json);
    return optional;
}

static enum err_code load_wanted(struct packs *packs, struct str wanted, bool optional,
                                 struct findings *findings, struct err *err)
{
    struct found *core = find_found(packs, STR("core"));
    enum err_code rc = core ? load_one(packs, core, findings, err) : ERR_OK;
    if (!wanted.len)
        for (int i = 0; !rc && i < packs->found_count; i++)
            if (optional || !is_optional(&packs->found[i]))
                rc = load_one(packs, &packs->found[i], findings, err);
    struct str name;
    while (!rc && wanted.len && str_cut(&wanted, ',', &name)) {
        name = str_trim(name);
        struct found *found = find_found(packs, name);
        if (name.len)
            rc = found ? load_one(packs, found, findings, err)
                       : err_set(err, ERR_NOT_FOUND, "pack.absent", ARG_STR("what", name), ARG_END);
    }
    return rc;
}

enum err_code packs_load(const struct packs_config *config, struct findings *findings, struct packs **out,
                         struct err *err)
{
    struct packs *packs = NULL;
    enum err_code rc = packs_begin(config, &packs, err);
    if (!rc)
        rc = load_wanted(packs, str_from(config->wanted), config->optional, findings, err);
    if (rc) {
        packs_free(packs);
        return err_in(err, "packs.load");
    }
    *out = packs;
    return ERR_OK;
}

enum err_code packs_load_dir(const char *dir, const struct packs_config *config, struct findings *findings,
                             struct packs **out, struct err *err)
{
    struct packs *packs = NULL;
    enum err_code rc = packs_begin(config, &packs, err);
    if (rc)
        return err_in(err, "packs.load_dir");
    struct str path = str_from(dir);
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    struct str name = path;
    for (size_t i = path.len; i > 0; i--)
        if (path.ptr[i - 1] == '/') {
            name = str_slice(path, i, path.len);
            break;
        }
    struct found *found = find_found(packs, name);
    const struct str kept = arena_str(packs->arena, path);
    if (!kept.ptr)
        rc = err_nomem(err);
    else if (found)
        found->dir = kept;
    else
        rc = add_found(packs, name, kept.ptr, err);
    if (!rc && (found = find_found(packs, name)))
        rc = load_one(packs, found, findings, err);
    if (rc) {
        packs_free(packs);
        return err_in(err, "packs.load_dir");
    }
    *out = packs;
    return ERR_OK;
}

void packs_free(struct packs *packs)
{
    if (!packs)
        return;
    json_decref(packs->owned);
    arena_free(packs->arena);
    mem_free(packs);
}

int packs_count(const struct packs *packs)
{
    return packs->count;
}

const struct pack *packs_at(const struct packs *packs, int i)
{
    return packs->items[i];
}

const struct pack *packs_find(const struct packs *packs, struct str name)
{
    for (int i = 0; i < packs->count; i++)
        if (str_eq(packs->items[i]->name, name))
            return packs->items[i];
    return NULL;
}

const struct pack_file *pack_file_find(const struct pack *pack, enum pack_folder folder, struct str name)
{
    for (int i = 0; i < pack->files_count; i++)
        if (pack->files[i].folder == folder && str_eq(pack->files[i].name, name))
            return &pack->files[i];
    return NULL;
}

enum err_code packs_words_add(const struct packs *packs, struct words *words, struct err *err)
{
    for (int i = 0; i < packs->count; i++)
        for (int lang = 0; lang < LANG__COUNT; lang++) {
            const struct pack_file *file =
                pack_file_find(packs->items[i], PACK_WORDS, str_from(lang_name((enum lang)lang)));
            const enum err_code rc = file ? words_add(words, (enum lang)lang, file->text, err) : ERR_OK;
            if (rc)
                return rc;
        }
    return ERR_OK;
}

enum err_code packs_words_read(const struct packs *packs, struct words *words, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; i < packs->count && !rc; i++)
        for (int lang = 0; lang < LANG__COUNT && !rc; lang++) {
            char path[2400];
            struct buf text;
            (void)snprintf(path, sizeof path, "%.*s/words/%s.json", STR_ARG(packs->items[i]->dir),
                           lang_name((enum lang)lang));
            buf_init(&text, (size_t)4 << 20);
            rc = buf_read_file(&text, path, err);
            if (!rc && (rc = words_add(words, (enum lang)lang, buf_get(&text), err)))
                (void)err_in(err, "pack.words");
            if (rc == ERR_NOT_FOUND)
                rc = ERR_OK;
            buf_done(&text);
        }
    return rc;
}
