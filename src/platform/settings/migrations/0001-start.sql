-- What an office may change while the server runs; a key without a row has its default.
CREATE TABLE setting (
    key {text} PRIMARY KEY,
    value {text} NOT NULL,
    version {i64} NOT NULL,
    updated_at {i64} NOT NULL,
    updated_by {i64} NOT NULL
) {no_rowid_strict};

-- One row: grows with every change, so that nodes and pages see whether they have the newest.
CREATE TABLE setting_state (
    id {i64} PRIMARY KEY,
    version {i64} NOT NULL
) {strict};

INSERT INTO setting_state (id, version) VALUES (1, 1);
