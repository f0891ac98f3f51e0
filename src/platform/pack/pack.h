/* pack.h - packs: folders of record types, flows, decisions, queries, pages, words and data.
 *
 * packs_load() finds the wanted packs and those they need, reads every file of theirs once and checks
 * what can be checked without knowing what a file means: pack.json, names, sizes, JSON with line and
 * column, words in both languages.  What a type, a query or a flow means is checked by its own room.
 * After loading nothing changes, so no lock.  Format: docs/packs.md.
 * Layer: platform/pack; below entity. */
#pragma once
#include "base/words.h"

#include <jansson.h>

#define PACK_FILE_MAX (8u << 20) /* bytes of one file */
#define PACK_FILES_MAX 4096      /* files of one pack */
#define PACKS_MAX 32             /* packs loaded at a time */
#define PACK_NAME_MAX 40         /* bytes of a pack's, type's or field's name */

/* The folders of a pack.  A file elsewhere (README, LICENSE) is not read. */
enum pack_folder {
    PACK_TYPES,
    PACK_FLOWS,
    PACK_DECISIONS,
    PACK_QUERIES,
    PACK_PAGES,
    PACK_REPORTS,
    PACK_WORDS,
    PACK_DATA,
    PACK_DEMO,
    PACK_MIGRATIONS,
    PACK_FOLDER__COUNT
};

struct pack_file {
    enum pack_folder folder;
    struct str path;   /* below the pack's folder: "types/ticket.json" */
    struct str name;   /* without folder and ending: "ticket" */
    struct str ending; /* "json", "bpmn", "csv" ... */
    struct str text;   /* the whole content, NUL-terminated */
    json_t *json;      /* of an .json file that parsed, owned by the packs; else NULL */
};

struct pack {
    struct str name, version, dir;
    struct str title[LANG__COUNT];
    struct str *needs; /* names of packs, all loaded, all before this one */
    int needs_count;
    struct pack_file *files; /* ordered by path */
    int files_count;
    json_t *json;    /* pack.json: menu and the rest; owned by the packs */
    struct str text; /* pack.json as it was read */
};

struct packs; /* owns everything it hands out */

struct packs_config {
    const char *const *dirs; /* searched in this order; the first that has the name wins */
    int dirs_count;
    const char *wanted; /* "core,ops"; NULL or "" = every pack found in the folders, but for optional ones */
    bool optional;      /* those too ("optional": true in pack.json): demonstrations */
};

/* Loads packs in the order of their needs (`core` first).
 *
 * ERR_OK       *out is set; `findings` may hold what is wrong with single files (then do not serve).
 * ERR_NOT_FOUND  a wanted or needed pack is in none of the folders.
 * ERR_IO, ERR_NOMEM.
 * Each finding's argument `file` is the path with its line, e.g. "ops/types/ticket.json:12:7".
 * The caller frees *out with packs_free(). */
MUST_CHECK enum err_code packs_load(const struct packs_config *config, struct findings *findings,
                                    struct packs **out, struct err *err);
/* The same for one folder that is not searched for: `bihuan pack check DIR`; needs are looked for in
 * config->dirs. */
MUST_CHECK enum err_code packs_load_dir(const char *dir, const struct packs_config *config,
                                        struct findings *findings, struct packs **out, struct err *err);
void packs_free(struct packs *packs);

int packs_count(const struct packs *packs);
const struct pack *packs_at(const struct packs *packs, int i);
const struct pack *packs_find(const struct packs *packs, struct str name); /* NULL when not loaded */

/* The file of that folder and name (without ending), or NULL. */
const struct pack_file *pack_file_find(const struct pack *pack, enum pack_folder folder, struct str name);

/* Adds the words of every pack; keys of a pack begin with its name and a dot. */
MUST_CHECK enum err_code packs_words_add(const struct packs *packs, struct words *words, struct err *err);
/* The same from their files as they are now. */
MUST_CHECK enum err_code packs_words_read(const struct packs *packs, struct words *words, struct err *err);

/* A finding about a file: `what` is a word key with the arguments "file" and "what" (either may be
 * NULL); `offset` is a byte offset in the file's text for line and column, or -1. */
void pack_finding(struct findings *findings, const struct pack *pack, const struct pack_file *file,
                  ptrdiff_t offset, enum err_code code, const char *what, struct str detail);

/* The byte offset where the member named by the last part of a JSON pointer begins in the text of a
 * JSON file; the nearest enclosing one when it is absent.  For findings with a line. */
ptrdiff_t json_pointer_offset(struct str text, struct str pointer);

/* -1, 0, 1 by the numbers between the points. */
int pack_version_cmp(struct str a, struct str b);

/* True for [a-z][a-z0-9_]* of at most PACK_NAME_MAX bytes. */
bool pack_name_ok(struct str name);
