/* schema.h - the part of JSON Schema (2020-12) that our own schemas of pack files are written in.
 *
 * type, enum, const, pattern, minimum, maximum, properties, required, additionalProperties: false, items,
 * minItems, maxItems, oneOf, $ref to "#/$defs/NAME"; what only describes is passed over.  Another keyword is
 * a fault of the schema: it would else be taken for checked. Threads: values only.  Layer: platform/pack. */
#pragma once
#include "base/err.h"

#include <jansson.h>

#define SCHEMA_DEPTH_MAX 40

/* A fault: where in the value, the key of its words, and what it is about. */
typedef void (*schema_fault_fn)(void *arg, const char *pointer, const char *id, const char *what);

/* Tells every fault of the value.  Of a oneOf none of which fits, those of the alternative whose constants
 * do. ERR_INTERNAL  the schema says what is not known here.   ERR_LIMIT  deeper than SCHEMA_DEPTH_MAX. */
MUST_CHECK enum err_code schema_check(const json_t *schema, const json_t *value, schema_fault_fn fault,
                                      void *arg, struct err *err);
