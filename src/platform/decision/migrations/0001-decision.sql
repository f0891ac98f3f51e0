-- Decision models, their versions and their test cases.
CREATE TABLE decision (
    id {i64} PRIMARY KEY,
    code {text} NOT NULL,
    title {text} NOT NULL,
    published {i64} NOT NULL, -- number of the published version, 0 = none
    version {i64} NOT NULL,
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL,
    updated_at {i64} NOT NULL,
    updated_by {i64} NOT NULL
) {strict};
CREATE UNIQUE INDEX decision_code ON decision (code);

-- state: 0 draft, 1 tested, 2 published, 3 retired.  A row of state 2 or 3 keeps its model.
CREATE TABLE decision_version (
    id {i64} PRIMARY KEY,
    decision_id {i64} NOT NULL,
    number {i64} NOT NULL,
    state {i64} NOT NULL,
    model {text} NOT NULL,
    comment {text} NOT NULL,
    tested_at {i64} NOT NULL,
    published_at {i64} NOT NULL,
    published_by {i64} NOT NULL,
    retired_at {i64} NOT NULL,
    version {i64} NOT NULL,
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL,
    updated_at {i64} NOT NULL,
    updated_by {i64} NOT NULL
) {strict};
CREATE UNIQUE INDEX decision_version_number ON decision_version (decision_id, number);

CREATE TABLE decision_case (
    id {i64} PRIMARY KEY,
    decision_id {i64} NOT NULL,
    name {text} NOT NULL,
    target {text} NOT NULL, -- name of the decision or service in the model
    input {json} NOT NULL,
    expected {json} NOT NULL,
    version {i64} NOT NULL,
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL,
    updated_at {i64} NOT NULL,
    updated_by {i64} NOT NULL
) {strict};
CREATE INDEX decision_case_of ON decision_case (decision_id, id);
