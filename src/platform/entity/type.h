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
#define TYPE_ITEMS_DEFAULT 200      /* maxItems where the schema is silent */
#define TYPE_ITEMS_LIMIT 10000
#define TYPE_DEPTH_MAX 8 /* arrays and objects inside each other */
#define TYPE_GROUP_MAX 4 /* fields of a key or an index */

enum type_kind { TYPE_PLAIN, TYPE_SUBJECT, TYPE_FACT, TYPE_CASE, TYPE_KIND__COUNT };

enum value_kind {
    VALUE_TEXT,    /* TEXT, NFC */
    VALUE_INTEGER, /* BIGINT */
    VALUE_NUMBER,  /* DOUBLE PRECISION */
    VALUE_BOOLEAN, /* BIGINT 0 or 1 */
    VALUE_DATE,    /* TEXT YYYY-MM-DD */
    VALUE_INSTANT, /* BIGINT, UTC milliseconds */
    VALUE_REF,     /* BIGINT, an id; of a record of shape.ref unless that is empty */
    VALUE_JSON,    /* TEXT, an array or object in compact form */
    VALUE_KIND__COUNT
};

enum shape_type {
    SHAPE_STRING,
    SHAPE_INTEGER,
    SHAPE_NUMBER,
    SHAPE_BOOLEAN,
    SHAPE_ARRAY,
    SHAPE_OBJECT,
    SHAPE__COUNT
};

enum shape_format {
    FORMAT_NONE,
    FORMAT_DATE,
    FORMAT_INSTANT,
    FORMAT_TIME,
    FORMAT_EMAIL,
    FORMAT_URI,
    FORMAT_UUID,
    FORMAT_DURATION,
    FORMAT__COUNT
};

/* How a sensitive field is shown to those who may not see it. */
enum field_mask { MASK_NONE, MASK_PHONE, MASK_ID, MASK_NAME, MASK_ALL, MASK__COUNT };

struct entity_type;

/* What a reference may point to besides the types of packs: tables of the engine. */
struct entity_relation {
    const char *name;         /* "core.org" */
    const char *table;        /* "org" */
    const char *label, *code; /* columns that name it and that an import uses */
};
/* Ends with a NULL name. */
extern const struct entity_relation ENTITY_RELATIONS[];

struct field_code {
    struct str code; /* as text also for integers */
    int64_t number;
    struct str title[LANG__COUNT];
};

/* What a value must look like; of a field, and of everything inside an array or object. */
struct shape {
    enum shape_type type;
    enum shape_format format;
    int min_length, max_length; /* code points */
    bool has_min, has_max;
    double min, max; /* inclusive */
    void *pattern;   /* pcre2_code, owned by the types */
    struct str pattern_text;
    struct field_code *codes; /* enum with labels; NULL = open */
    int codes_count;
    struct str dictionary; /* x-codes: the code of a core.dictionary, else empty */
    struct str ref;        /* x-ref: "pack.type" or an engine relation, else empty */
    const struct entity_type *ref_type;
    const struct entity_relation *ref_relation;
    struct shape *items; /* of an array; NULL = anything */
    int min_items, max_items;
    bool unique_items;
    struct shape_member *members; /* of an object */
    int members_count;
    bool open; /* an object takes further members */
};
struct shape_member {
    struct str name;
    struct shape shape;
    bool required;
};

/* The columns that every table has; they are the first fields of every type. */
enum {
    COLUMN_ID,
    COLUMN_VERSION,
    COLUMN_CREATED_AT,
    COLUMN_CREATED_BY,
    COLUMN_UPDATED_AT,
    COLUMN_UPDATED_BY,
    COLUMN_OWN /* the first that the type brings */
};

struct entity_field {
    struct str name;   /* of the JSON member and of the column */
    struct str column; /* the name quoted for SQL */
    struct str title[LANG__COUNT], help[LANG__COUNT];
    enum value_kind kind;
    enum field_mask mask; /* MASK_NONE = not sensitive; else sealed at rest */
    bool required, read_only, unique, sortable, filterable, indexed, searched, money, hidden;
    bool standard; /* one of those before COLUMN_OWN */
    bool common;   /* comes with the kind of the type */
    struct shape shape;
    json_t *fallback; /* default, or NULL */
    json_t *schema;   /* as written; NULL of a field that nobody wrote */
};

struct type_rule { /* x-rules: a FEEL condition over the record that must not be false */
    struct str condition;
    int field; /* the error's place, -1 = the record */
    struct str title[LANG__COUNT];
    ptrdiff_t offset; /* in the file, for findings */
};

struct field_group {
    int fields[TYPE_GROUP_MAX];
    int count;
};

struct entity_type {
    struct str pack, name, full; /* "ops", "ticket", "ops.ticket" */
    struct str table;
    enum type_kind kind;
    int number_in_types; /* its place in types_at() */
    struct str title[LANG__COUNT], help[LANG__COUNT];
    struct entity_field *fields;
    int fields_count;
    int label;                   /* field that names a record; COLUMN_ID where there is none */
    struct field_group key;      /* x-key: the natural key, unique */
    struct field_group *uniques; /* further unique groups, those of one field too */
    int uniques_count;
    struct field_group *indexes; /* x-index */
    int indexes_count;
    int *search, *list, *sortable; /* fields in the order of x-search, x-list, x-sort */
    int search_count, list_count, sortable_count;
    int sort; /* default order; COLUMN_ID downwards = newest first */
    bool sort_down;
    int scope_org, scope_grid, scope_subject, scope_own; /* fields that carry the dimension, -1 = none */
    bool scoped;             /* x-scope is there; else only a grant of everything sees the type */
    bool everyone;           /* x-scope everyone: no row scope at all */
    bool sensitive;          /* some field is */
    struct str number;       /* x-number, empty = none; fills the field `number` */
    struct str flow, reopen; /* x-flow, x-reopen */
    json_t *clocks;          /* x-clocks as written, or NULL */
    struct type_rule *rules;
    int rules_count;
    uint8_t slots[256]; /* fields by name: slot of the hash -> field + 1 */
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
