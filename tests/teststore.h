/* teststore.h - a fresh store for a test, on the backend that the environment names.
 *
 * BIHUAN_TEST_STORE=postgres starts a PostgreSQL of our own (tests/pg) for the process and gives every
 * store a schema of its own in it; otherwise it is an SQLite file in a temporary folder.  Everything is
 * gone at the end of the process. */
#pragma once
#include "store/migrate.h"

/* "sqlite" or "postgres". */
bool teststore_is_postgres(void);
/* A folder of this process, removed at its end. */
const char *teststore_dir(void);
/* The URL of a new, empty database (static buffer of 8 turns). */
const char *teststore_url(void);
/* Opens it.  With `migrated` all the program's tables are there.  Fails the test when that fails. */
struct store *teststore_open(const char *url, bool migrated, const struct clock *clock);
/* A new, migrated store on the machine's clock. */
struct store *teststore_new(void);

/* PostgreSQL goes away as by a power cut, and comes back. */
void teststore_pg_stop(void);
void teststore_pg_again(void);

/* Prints the error's id and arguments and fails the test unless rc is ERR_OK. */
void teststore_ok(enum err_code rc, const struct err *err, const char *what);

/* Runs statements, or reads one number, in a transaction of its own; a failure fails the test. */
void teststore_exec(struct store *store, const char *sql);
int64_t teststore_number(struct store *store, const char *sql);
