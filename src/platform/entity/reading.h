/* reading.h - one file of a record type being read: where we are, and what was found; see type.c.
 *
 * Functions that read go on after a fault, so that a file is told everything that is wrong with it at once;
 * only memory that is gone ends the reading (reading.rc).
 * Layer: platform/entity, not for others. */
#pragma once
#include "platform/entity/type.h"

#define POINTER_MAX 240

struct types {
    struct arena *arena;
    struct entity_type **items;
    int count;
    struct pattern {
        struct pattern *next;
        void *code; /* pcre2_code */
    } * patterns;
};

/* One file being read.  `faults` counts what was found; `rc` only says that memory is gone. */
struct reading {
    struct types *types;
    struct entity_type *type;
    struct findings *findings;
    struct arena *arena;
    struct err *err;
    enum err_code rc;
    int faults;
    char pointer[POINTER_MAX]; /* where we are */
};

/* A finding at the place where the reading stands. */
void reading_fault(struct reading *r, const char *id, struct str detail);
/* From the arena; NULL and r->rc without memory. */
void *reading_take(struct reading *r, size_t count, size_t size);
struct str reading_keep(struct reading *r, const char *text);
/* Enters a member or an item; reading_leave() with what it returns goes back. */
size_t reading_enter(struct reading *r, const char *name);
size_t reading_enter_item(struct reading *r, size_t i);
void reading_leave(struct reading *r, size_t mark);

/* {"zh-CN": ..., "en": ...}, both there. */
void reading_titles(struct reading *r, json_t *json, struct str out[LANG__COUNT]);
bool reading_flag(struct reading *r, json_t *json, const char *name, bool fallback);
/* What a value must look like, with the keywords of a field; `depth` is that of arrays and objects. */
void reading_shape(struct reading *r, json_t *json, struct shape *shape, int depth);
/* Frees the compiled patterns of all shapes. */
void reading_patterns_free(struct types *types);
/* The place of a text in a list of names, or -1. */
int reading_index(const char *const *names, int count, const char *name);
