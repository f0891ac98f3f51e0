/* str.h - a borrowed piece of text: pointer and length, not owned, not necessarily NUL-terminated.
 *
 * Text is UTF-8.  An empty str may have a NULL pointer.  Threads: values only.  Layer: base. */
#pragma once
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str) { "" literal, sizeof(literal) - 1 })
/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline struct str str_from(const char *text)
{
    return (struct str) { text, text ? strlen(text) : 0 };
}

bool str_eq(struct str a, struct str b);
/* ASCII letters only are folded. */
bool str_eq_nocase(struct str a, struct str b);
/* Bytewise order: <0, 0, >0.  For UTF-8 this is the order of code points. */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str text, struct str prefix);
bool str_ends(struct str text, struct str suffix);
/* The offset of the first `what` in `text`, or -1. */
ptrdiff_t str_find(struct str text, struct str what);
/* The part [from, to) with both clipped to the text. */
struct str str_slice(struct str text, size_t from, size_t to);
/* Without ASCII white space at both ends. */
struct str str_trim(struct str text);
/* Cuts the part before `separator` off *rest and returns true; false when *rest has nothing left
 * (ptr NULL).  "a,,b" gives "a", "", "b". */
bool str_cut(struct str *rest, char separator, struct str *out_part);
/* A whole decimal number with optional sign, nothing else, within int64; false leaves *out untouched. */
bool str_i64(struct str text, int64_t *out);
uint64_t str_hash(struct str text);

/* UTF-8.  Decodes the code point at *at and moves on; returns -1 at the end and on a malformed,
 * overlong or surrogate sequence (then *at stays). */
int32_t utf8_next(struct str text, size_t *at);
/* Writes 1 to 4 bytes, returns how many; `code` must be a valid scalar value. */
size_t utf8_put(char out[4], int32_t code);
/* True when the whole text is valid UTF-8. */
bool utf8_valid(struct str text);
/* Code points in a valid text. */
size_t utf8_len(struct str text);
