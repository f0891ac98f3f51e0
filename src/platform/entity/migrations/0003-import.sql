-- What was wrong with rows of an import that runs as a job; such a row is left out.  Dropped with age.
CREATE TABLE import_fault (
    job {i64} NOT NULL,
    number {i64} NOT NULL,
    fault {json} NOT NULL,
    PRIMARY KEY (job, number)
) {no_rowid_strict};
