/* importing.h - one import going on: what import.c, import_job.c and data_check.c share.
 *
 * Layer: platform/entity, not for others. */
#pragma once
#include "base/csv.h"
#include "platform/entity/internal.h"
#include "platform/entity/table.h"

struct importing {
    struct entity_call call;
    const struct entity_type *type;
    struct table_import *import;
    struct tx *tx;
    int fields[CSV_FIELDS_MAX]; /* of each column; -1 = not used */
    int columns;
    const struct csv_record *row;
    bool careful; /* each row in a savepoint of its own */
    bool faulty;  /* a row was refused without one: all of it must run again */
    struct bulk bulk;
};

/* Which field each column is; what is wrong with it goes to the findings of the call. */
void import_header(struct importing *m, const struct csv_record *header);
/* The column of the field that an error points to; 0 when it points to none. */
int import_column(const struct importing *m, const char *pointer);
/* ERR_OK with a finding: the row is left out.  Another code and m->faulty: the row was refused, and what it
 * did so far stands; run all of it again with m->careful. */
MUST_CHECK enum err_code import_row(struct importing *m, const struct csv_record *row, struct err *err);
/* The row's doing, not that of the store. */
bool import_refuses(enum err_code rc);
/* record.imported, where the rows were no events of their own. */
MUST_CHECK enum err_code import_tell(struct importing *m, int64_t rows, struct err *err);

/* The type whose rows a data file of a pack holds; NULL when there is none. */
const struct entity_type *data_file_type(const struct entity *entity, const struct pack *pack,
                                         const struct pack_file *file);

/* import_sql.c: what was wrong with rows of an import that runs as a job. */
MUST_CHECK enum err_code import_faults_add(struct tx *tx, int64_t job, int64_t first,
                                           const struct err *faults, int count, struct err *err);
