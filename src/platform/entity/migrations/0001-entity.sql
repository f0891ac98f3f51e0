-- What the engine keeps beside the generated tables of the record types.

-- The common row of every record of kind subject.
CREATE TABLE subject (
    id {i64} PRIMARY KEY,
    type {text} NOT NULL,
    code {text} NOT NULL,
    name {text} NOT NULL,
    org {i64},
    grid {i64},
    valid_from {text},
    valid_to {text}
) {strict};
CREATE UNIQUE INDEX subject_code ON subject (type, code);
CREATE INDEX subject_org ON subject (org);

-- The common row of every record of kind case; inbox, SLA and statistics know only this.
CREATE TABLE cases (
    id {i64} PRIMARY KEY,
    type {text} NOT NULL,
    number {text},
    title {text},
    subject {i64},
    flow {text},
    flow_version {i64},
    sla_version {i64},
    state {text},
    opened_at {i64},
    closed_at {i64},
    org {i64},
    grid {i64}
) {strict};
CREATE INDEX cases_type ON cases (type, id);
CREATE INDEX cases_subject ON cases (subject);
CREATE INDEX cases_org ON cases (org);
CREATE INDEX cases_open ON cases (closed_at, type);

-- What changed in a record: one row a version after the first, {"field": {"before": ..., "after": ...}}.
CREATE TABLE record_history (
    id {i64} PRIMARY KEY,
    type {text} NOT NULL,
    record {i64} NOT NULL,
    version {i64} NOT NULL,
    at {i64} NOT NULL,
    by_user {i64},
    action {text} NOT NULL,
    changes {json} NOT NULL
) {strict};
CREATE INDEX record_history_record ON record_history (record, version);

-- The last number given under a prefix: x-number.
CREATE TABLE record_sequence (
    name {text} NOT NULL PRIMARY KEY,
    value {i64} NOT NULL
) {no_rowid_strict};

-- What the generated tables look like now, column by column and index by index.
CREATE TABLE entity_part (
    tbl {text} NOT NULL,
    name {text} NOT NULL,
    kind {text} NOT NULL,
    definition {text} NOT NULL,
    PRIMARY KEY (tbl, name)
) {no_rowid_strict};

-- The data files of packs that were loaded, and as what.
CREATE TABLE pack_data (
    pack {text} NOT NULL,
    path {text} NOT NULL,
    checksum {text} NOT NULL,
    row_count {i64} NOT NULL,
    loaded_at {i64} NOT NULL,
    PRIMARY KEY (pack, path)
) {no_rowid_strict};

-- The records that a pack brought, and the version they had then: later loads leave edited ones alone.
CREATE TABLE pack_record (
    record {i64} PRIMARY KEY,
    pack {text} NOT NULL,
    version {i64} NOT NULL
) {strict};
