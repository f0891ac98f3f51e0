/* table.h - records as tables: import of CSV, export of CSV, xlsx and JSON, data files of packs.
 *
 * An import is all or nothing: every fault is a finding with line and column, and one is enough to leave the
 * store as it was.  The header row names fields, by name or by title in either language.  Where the type has
 * a natural key a row whose key is there updates that record, with the columns that the file has.
 * Layer: platform/entity. */
#pragma once
#include "platform/entity/entity.h"

#define TABLE_ROWS_MAX 200000
#define TABLE_BYTES_MAX ((size_t)64 << 20)
#define TABLE_EVENTS_MAX 1000 /* rows up to which each is an event of its own; else one `record.imported` */

struct table_import {
    struct str text;  /* CSV in UTF-8 or GB18030, which is found out */
    bool dry_run;     /* everything is done, told and undone */
    bool keep_edited; /* data of packs: a record that somebody changed since is left alone */
    struct str pack;  /* then: whose data it is */
    int64_t rows, created, updated, unchanged; /* out */
    const char *charset;                       /* out: what it is in, "UTF-8" or "GB18030" */
};

/* Needs PACK.TYPE.import besides create and update.
 * ERR_INVALID  findings (call->findings must be there) tell; err is the first.   ERR_LIMIT  too many rows. */
MUST_CHECK enum err_code entity_import(const struct entity_call *call, const struct entity_type *type,
                                       struct table_import *import, struct err *err);

enum table_format { TABLE_CSV, TABLE_XLSX, TABLE_JSON, TABLE_FORMAT__COUNT };
/* False when it is none of "csv", "xlsx", "json". */
bool table_format_read(struct str name, enum table_format *out);
const char *table_format_type(enum table_format format); /* MIME */

/* Writes all rows of the list (filter, text, sort are read) to `path`, which is made or emptied.  CSV and
 * JSON hold codes and natural keys, as an import reads them; xlsx holds titles and names, as people do.
 * Needs PACK.TYPE.export.  *out_rows = how many.  With `header_only` no rows: an empty form to fill in.
 * ERR_LIMIT (TABLE_ROWS_MAX), ERR_IO. */
MUST_CHECK enum err_code entity_export(const struct entity_call *call, const struct entity_type *type,
                                       const struct entity_list *list, enum table_format format,
                                       const char *path, bool header_only, int64_t *out_rows,
                                       struct err *err);
