/* rig.h - packs, their records and a store of its own: what the tests of all rooms above entity/ stand on.
 *
 *     struct rig rig = { .shipped = "ops" };
 *     rig_begin(&rig);
 *     const int64_t id = rig_add(&rig, NULL, "ops.service", "{\"code\":\"%s\",\"name\":\"Portal\"}", "s1");
 *     rig_end(&rig);
 *
 * The packs are those of the repository (`shipped`), or the test writes its own: after rig_begin() it calls
 * rig_put() for each file, then rig_load() and rig_tables().  Everything runs on the backend of teststore.h.
 * Whatever is not said to return a code fails the test when it fails. */
#pragma once
#include "base/clock.h"
#include "platform/entity/entity.h"
#include "platform/entity/table.h"
#include "platform/identity/principal.h"
#include "teststore.h"

struct rig {
    /* Said before rig_begin(); 0 is the default. */
    const char *shipped; /* the pack of the repository that is loaded, with what it needs; NULL: none */
    const char *now;     /* where the clock stands; NULL: 2026-11-21T13:46:40+08:00 */
    const char *zone;    /* of days; NULL: that of the entity engine */
    int node;            /* of the ids */
    bool live;           /* the machine's clock */
    bool labels;         /* answers carry "_labels" */
    bool worded;         /* `words` are those of the product and of its packs, else empty */

    /* There after rig_begin(). */
    char root[96]; /* a folder: a pack is a folder below it; gone at the end of the process */
    char key_path[120];
    char url[1024];
    struct store *store;
    struct clock clock;
    struct ids ids;
    struct arena *arena;
    struct words *words;
    struct zone *days; /* NULL without `zone` */
    struct key_ring *keys;
    struct findings findings; /* of the last rig_load(), rig_tables() or rig_import() */

    /* There after rig_load(), which `shipped` does in rig_begin(). */
    struct packs *packs;
    struct entity *entity;
};

/* After rig_end() once more: another process over the same folder, store and keys. */
void rig_begin(struct rig *rig);
void rig_end(struct rig *rig);

/* A file of a pack, "p/types/site.json"; a pack.json of version 1 for "p". */
void rig_put(const struct rig *rig, const char *path, const char *text);
void rig_pack(const struct rig *rig, const char *name);
/* Loads the packs, in place of those that were, and opens the engine. */
void rig_load(struct rig *rig);
/* Brings the tables to what the types say: entity_tables(). */
MUST_CHECK enum err_code rig_tables(struct rig *rig, struct err *err);

/* One operation in a transaction of its own, in English.  `who` NULL is the engine itself: no scope. */
MUST_CHECK enum err_code rig_create(struct rig *rig, const struct principal *who, const char *type,
                                    const char *json, int64_t *out_id, struct err *err);
/* `version` goes in as entity_update() takes it and comes out as it is then. */
MUST_CHECK enum err_code rig_update(struct rig *rig, const struct principal *who, const char *type,
                                    int64_t id, int64_t *version, const char *json, struct err *err);
MUST_CHECK enum err_code rig_delete(struct rig *rig, const struct principal *who, const char *type,
                                    int64_t id, int64_t version, struct err *err);
/* The caller owns the answer; NULL: it failed. */
json_t *rig_get(struct rig *rig, const struct principal *who, const char *type, int64_t id, struct err *err);
json_t *rig_list(struct rig *rig, const struct principal *who, const char *type, struct entity_list what,
                 struct err *err);
MUST_CHECK enum err_code rig_count(struct rig *rig, const struct principal *who, const char *type,
                                   struct entity_list what, int64_t *out, bool *out_exact, struct err *err);
/* A table of CSV; what is wrong with it is in `findings`. */
MUST_CHECK enum err_code rig_import(struct rig *rig, const struct principal *who, const char *type,
                                    const char *csv, bool dry_run, struct table_import *out, struct err *err);

/* Creates a record of that JSON, which must succeed; returns its id. */
int64_t rig_add(struct rig *rig, const struct principal *who, const char *type, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Organisations 1 above 2 (with 4 below it) and 3; user 77 "Li" of 2, user 78 "Wu" of 3. */
void rig_people(struct rig *rig);
