-- Leases: who holds a named right until when.
CREATE TABLE lease (
    name {text} NOT NULL PRIMARY KEY,
    owner {text} NOT NULL,
    until {i64} NOT NULL
) {no_rowid_strict};

-- Numbers of nodes, the middle of every id.
CREATE TABLE node (
    number {i64} PRIMARY KEY,
    owner {text} NOT NULL,
    until {i64} NOT NULL
) {strict};

-- Messages, kept for as long as their month is; todo holds what is not delivered yet.
-- period outbox by id id
CREATE TABLE outbox (
    id {i64} PRIMARY KEY,
    topic {text} NOT NULL,
    subject_id {i64} NOT NULL,
    at {i64} NOT NULL,
    body {text} NOT NULL
) {strict};

CREATE TABLE outbox_todo (
    consumer {text} NOT NULL,
    id {i64} NOT NULL,
    subject_id {i64} NOT NULL,
    due_at {i64} NOT NULL,
    tries {i64} NOT NULL DEFAULT 0,
    lease_owner {text},
    lease_until {i64} NOT NULL DEFAULT 0,
    dead_at {i64},
    error {text},
    PRIMARY KEY (consumer, id)
) {no_rowid_strict};
CREATE INDEX outbox_todo_due ON outbox_todo (consumer, due_at, id);
CREATE INDEX outbox_todo_subject ON outbox_todo (consumer, subject_id, id);
CREATE INDEX outbox_todo_dead ON outbox_todo (id) WHERE dead_at IS NOT NULL;

-- period broadcast by id id
CREATE TABLE broadcast (
    id {i64} PRIMARY KEY,
    origin {i64} NOT NULL,
    topic {text} NOT NULL,
    subject_id {i64} NOT NULL,
    body {text} NOT NULL
) {strict};
