/* json.h - values as the HTTP interface writes them, and as documents of ours are read.
 *
 * Ids are strings, because a browser's numbers end at 2^53; instants are RFC 3339 with offset, to the
 * millisecond; days are YYYY-MM-DD.  What is not there is null: id 0, instant 0 and CALENDAR_NEVER, a day
 * outside the years 1 to 9999.  A writer gives a value of its own to the caller, NULL without memory, as
 * jansson's own do, so that json_pack's "o" takes both.
 * Threads: safe from any.  Layer: base. */
#pragma once
#include "base/buf.h"
#include "base/clock.h"

#include <jansson.h>

json_t *json_id(int64_t id);
json_t *json_instant(int64_t ms);
json_t *json_day(int64_t day); /* days since 1970-01-01 */

/* Text; "" where there is none.  NULL also for what is not UTF-8, which no text of the store is. */
json_t *json_str(struct str text);
/* The same, but null where the text is empty. */
json_t *json_str_or_null(struct str text);

/* What a value says, which may be NULL, and what a field of an object says, which may be NULL too: 0 where
 * it is no id, {NULL, 0} where it is no text.  The text lives as long as the value. */
int64_t json_to_id(const json_t *value);
struct str json_to_str(const json_t *value);
int64_t json_get_id(const json_t *object, const char *field);
struct str json_get_str(const json_t *object, const char *field);

/* An error as it is kept to be read later, {"code","id","args","at"}, and back; what is read lives in the
 * arena.  False where the text holds none. */
void json_put_err(const struct err *failure, struct buf *out);
bool json_read_err(struct str text, struct arena *arena, struct err *out);
