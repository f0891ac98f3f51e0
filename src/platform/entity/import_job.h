/* import_job.h - tables of any length, imported by a job in portions.
 *
 * The whole file is read first: encoding, CSV and header must be right, else nothing is written.  Then
 * IMPORT_PORTION rows at a time are written, each portion in one transaction with the place in the file, so
 * that a job that broke off goes on where it was and no row counts twice.  A row with a fault is left out and
 * told with line and column; the others stand, also when the job is cancelled.  After IMPORT_FAULTS_MAX
 * faults it stops.  Who asked is asked for the rights when it runs. Threads: import_job_add() from any.
 * Layer: platform/entity. */
#pragma once
#include "platform/entity/table.h"

#define IMPORT_KIND "core.import"
#define IMPORT_PORTION 1000
#define IMPORT_FAULTS_MAX 10000
#define IMPORT_KEEP_DAYS 30 /* of the list of faults */

struct jobs;
struct files;
struct identity;

/* Plain data; must outlive the jobs. */
struct import_jobs {
    struct entity *entity;
    struct store *store;
    struct jobs *jobs;
    struct files *files;
    struct identity *identity; /* NULL: only imports of the engine itself, which user 0 asks for */
    const char *temp_dir;      /* of files turned into UTF-8; NULL: /tmp */
};
MUST_CHECK enum err_code import_jobs_register(struct import_jobs *imports, struct err *err);

/* Keeps the first `size` bytes of `fd` and asks for their import.  `user` 0: the engine itself.
 * Errors of files_put() and jobs_add(). */
MUST_CHECK enum err_code import_job_add(struct import_jobs *imports, const struct entity_type *type, int fd,
                                        int64_t size, struct str name, int64_t user, int64_t *out_job,
                                        struct err *err);

/* The type that a file belongs to which an import keeps; empty: none of ours.  Until when it is kept. */
struct str import_file_type(struct str owner_type);
bool import_file_kept(int64_t owner, int64_t now_ms);

/* In the order of the file, behind number `after` (0: from the first), at most `limit`. */
typedef enum err_code (*import_fault_fn)(void *arg, int64_t number, const struct err *fault, struct err *err);
MUST_CHECK enum err_code import_faults_each(struct tx *tx, int64_t job, int64_t after, int limit,
                                            struct arena *arena, import_fault_fn each, void *arg,
                                            struct err *err);
/* Those of one job, before it starts anew. */
MUST_CHECK enum err_code import_faults_forget(struct tx *tx, int64_t job, struct err *err);
/* Those of jobs with an id below that. */
MUST_CHECK enum err_code import_faults_drop(struct tx *tx, int64_t before, struct err *err);
