/* value.h - fields of a record between JSON and columns, with every check that needs no store.
 *
 * Threads: values only; a type is shared.  Layer: platform/entity. */
#pragma once
#include "base/buf.h"
#include "platform/entity/type.h"

/* One column of one record. */
struct value {
    bool given; /* false: the client said nothing about it */
    bool null;
    int64_t i64;     /* integer, boolean, instant, reference */
    double f64;      /* number */
    struct str text; /* text, date, JSON */
};

enum fields_mode {
    FIELDS_CREATE = 1, /* defaults are put in, required fields must be there */
    FIELDS_ENGINE = 2, /* fields that only the engine sets may be set */
};

/* Reads a JSON object into values[type->fields_count].  With FIELDS_CREATE clear it is a merge patch: what
 * is absent stays as it is, null removes.  Texts live in the arena, in NFC.
 *
 * Everything that is wrong goes to `findings` (may be NULL) with its pointer; the first also to err.
 * ERR_INVALID  at least one fault.   ERR_NOMEM.   On failure `values` is undefined. */
MUST_CHECK enum err_code fields_read(const struct entity_type *type, const json_t *object, unsigned mode,
                                     struct arena *arena, struct findings *findings, struct value *values,
                                     struct err *err);

/* Required fields that are null now: for records after a patch.  Like fields_read(). */
MUST_CHECK enum err_code fields_required(const struct entity_type *type, const struct value *values,
                                         struct findings *findings, struct err *err);

/* The value as JSON text: "..." with escapes, numbers, null. */
void value_json(const struct entity_field *field, const struct value *value, struct buf *out);
/* The same masked, for those who may not see a sensitive field: 138****5678. */
void value_mask(enum field_mask mask, struct str plain, struct buf *out);

/* A cell of a table file, or a text from a form: "" is null.  References are not resolved here: *out_key is
 * set instead and the value is not.  JSON fields hold JSON.
 * ERR_INVALID with the same ids as fields_read(), without a pointer. */
MUST_CHECK enum err_code cell_json(const struct entity_field *field, struct str cell, json_t **out,
                                   struct err *err);

bool value_same(const struct entity_field *field, const struct value *a, const struct value *b);
