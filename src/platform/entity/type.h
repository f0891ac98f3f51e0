/* type.h - a record type, compiled from its JSON Schema at load.
 *
 * A file packs/PACK/types/TYPE.json (docs/packs.md, docs/type.schema.json) becomes one struct
 * entity_type: everything the hot paths ask is a flag, a number or a pointer here; no JSON is looked at
 * after loading.  Types live in one arena, never change, and need no lock.
 * Layer: platform/entity. */
#pragma once
#include "platform/pack/pack.h"

#define TYPE_FIELDS_MAX 120
#define TYPES_MAX 600
#define TYPE_TEXT_DEFAULT 200       /* maxLength where the schema is silent */
#define TYPE_TEXT_LIMIT 100000      /* code points of any text */
#define TYPE_JSON_LIMIT (256 << 10) /* bytes of an array or object field as JSON */

enum type_kind { TYPE_PLAIN, TYPE_SUBJECT, TYPE_FACT, TYPE_CASE, TYPE_KIND__COUNT };

enum value_kind {
    VALUE_TEXT,    /* TEXT, NFC */
    VALUE_INTEGER, /* BIGINT */
    VALUE_NUMBER,  /* DOUBLE PRECISION */
    VALUE_BOOLEAN, /* BIGINT 0 or 1 */
    VALUE_DATE,    /* TEXT YYYY-MM-DD */
    VALUE_INSTANT, /* BIGINT, UTC milliseconds */
    VALUE_REF,     /* BIGINT, the id of a record of field->ref */
    VALUE_JSON,    /* TEXT, an array or object in compact form */
    VALUE_KIND__COUNT
};

enum field_format { FORMAT_NONE, FORMAT_EMAIL, FORMAT_URI, FORMAT_TIME, FORMAT_UUID, FORMAT_DURATION };

/* How a sensitive field is shown to those who may not see it. */
enum field_mask { MASK_NONE, MASK_PHONE, MASK_ID, MASK_NAME, MASK_ALL };

struct entity_type;
struct shape; /* the checks of an array or object field */

/* What a reference may point to besides the types of packs: tables of the engine. */
struct entity_relation {
    const char *name;         /* "core.org" */
    const char *table;        /* "org" */
    const char *label, *code; /* column that names it; column that an import uses; may be NULL */
};

struct field_code {
    struct str code; /* as text also for integers */
    int64_t number;
    struct str title[LANG__COUNT];
};

struct entity_field {
    struct str name; /* of the JSON member and of the column */
    struct str title[LANG__COUNT], help[LANG__COUNT];
    enum value_kind kind;
    enum field_format format;
    enum field_mask mask; /* MASK_NONE = not sensitive; else sealed at rest */
    bool required, read_only, unique, sortable, filterable, indexed, searched, listed, money, common;
    int max_length, min_length; /* code points */
    bool has_min, has_max;
    double min, max;          /* inclusive */
    void *pattern;            /* pcre2_code, owned by the types */
    struct field_code *codes; /* enum with labels; NULL = open */
    int codes_count;
    struct str dictionary; /* x-codes: the code of a core.dictionary, else empty */
    struct str ref;        /* x-ref, "pack.type" or an engine relation */
    const struct entity_type *ref_type;
    const struct entity_relation *ref_relation;
    const struct shape *shape; /* VALUE_JSON */
    json_t *fallback;          /* default, or NULL */
    json_t *schema;            /* as written */
};

struct type_rule { /* x-rules: a FEEL condition over the record that must not be false */
    struct str condition;
    int field; /* the error's place, -1 = the record */
    struct str title[LANG__COUNT];
    int line;
    const struct feel_program *program;
};

struct entity_type {
    struct str pack, name, full; /* "ops", "ticket", "ops.ticket" */
    struct str table;
    enum type_kind kind;
    struct str title[LANG__COUNT];
    struct entity_field *fields;
    int fields_count;
    int label, code; /* field that names a record; natural key of one field; -1 = none */
    int *key;        /* x-key: fields of the natural key, unique */
    int key_count;
    int (*unique)[4]; /* further x-unique groups, -1 ends */
    int unique_count;
    int (*index)[4]; /* x-index groups */
    int index_count;
    int *search, search_count;
    int *list, list_count;
    int sort; /* default order: a field, -1 = newest first */
    bool sort_down;
    int scope_org, scope_grid, scope_subject, scope_own; /* fields that carry the dimension, -1 = none */
    bool scoped;       /* x-scope is there; else only a grant of everything sees the type */
    bool own_created;  /* x-scope own: created_by */
    struct str number; /* x-number, empty = none */
    int number_field;
    struct str flow, reopen; /* x-flow, x-reopen */
    json_t *clocks;          /* x-clocks as written, or NULL */
    struct type_rule *rules;
    int rules_count;
    uint32_t hash[256]; /* index of fields by name: hash slot -> field + 1 */
    json_t *schema;     /* the whole file; owned by the packs */
    const struct pack *from;
    const struct pack_file *file;
};

struct types;

/* Compiles every type of the packs and links references between them.  What is wrong goes to `findings`
 * with file and line; types with findings are left out.
 * ERR_NOMEM, ERR_LIMIT (more than TYPES_MAX).  `packs` must outlive the types.  Free with types_free(). */
MUST_CHECK enum err_code types_compile(const struct packs *packs, struct findings *findings,
                                       struct types **out, struct err *err);
void types_free(struct types *types);

int types_count(const struct types *types);
const struct entity_type *types_at(const struct types *types, int i);
/* By full name "ops.ticket"; NULL when there is none. */
const struct entity_type *types_find(const struct types *types, struct str full);

/* The index of a field, or -1. */
int type_field(const struct entity_type *type, struct str name);

/* The tables of the engine that a reference may name. */
extern const struct entity_relation ENTITY_RELATIONS[];
