/* csv.h - a reader of RFC 4180 over a text in memory, and a writer.
 *
 * Reads one record at a time; fields are slices of the text where they hold no quote, else copies in the
 * arena.  Lines end with CRLF or LF.  A byte order mark at the start is skipped.
 * Threads: one owner.  Layer: base. */
#pragma once
#include "base/buf.h"

#define CSV_FIELDS_MAX 512

struct csv {
    struct str text;
    size_t at;
    char separator; /* ',' */
    int line;       /* of the next record, from 1 */
};
struct csv_record {
    struct str fields[CSV_FIELDS_MAX];
    int columns[CSV_FIELDS_MAX]; /* where each begins in its line, in code points from 1 */
    int lines[CSV_FIELDS_MAX];
    int count;
    int line; /* where the record begins */
};

void csv_init(struct csv *csv, struct str text);

/* The next record into *out; *out_end is true (and *out untouched) at the end.  Empty lines are skipped.
 * ERR_INVALID  csv.quote: a quote in a bare field, or something behind a closing one; csv.open: the text
 *              ends inside quotes; csv.utf8: not UTF-8.  With line and column.
 * ERR_LIMIT    more than CSV_FIELDS_MAX fields.   ERR_NOMEM. */
MUST_CHECK enum err_code csv_next(struct csv *csv, struct arena *arena, struct csv_record *out, bool *out_end,
                                  struct err *err);

/* Appends one field; quoted when it must be.  Texts that a spreadsheet would take for a formula
 * (beginning with = + - @ TAB CR, unless they are numbers) get a leading apostrophe when `safe`. */
void csv_put(struct buf *out, struct str field, bool first, bool safe);
void csv_end(struct buf *out);
