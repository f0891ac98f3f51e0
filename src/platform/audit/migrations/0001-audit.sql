-- Lines of the audit, by month; (chain, seq) is unique within the life of a chain.
-- period audit by at ms
CREATE TABLE audit (
    id {i64} NOT NULL,
    at {i64} NOT NULL,
    chain {i64} NOT NULL,
    seq {i64} NOT NULL,
    user_id {i64} NOT NULL,
    user_name {text} NOT NULL,
    remote {text} NOT NULL,
    request_id {text} NOT NULL,
    action {text} NOT NULL,
    object_type {text} NOT NULL,
    object_id {i64} NOT NULL,
    object_name {text} NOT NULL,
    before {text} NOT NULL,
    after {text} NOT NULL,
    detail {text} NOT NULL,
    hash {text} NOT NULL,
    PRIMARY KEY (chain, seq, at)
) {strict};
CREATE INDEX audit_id ON audit (id);
CREATE INDEX audit_object ON audit (object_type, object_id, id);
CREATE INDEX audit_user ON audit (user_id, id);

-- Where each chain stands, and where it begins since months were dropped.
CREATE TABLE audit_head (
    chain {i64} PRIMARY KEY,
    seq {i64} NOT NULL,
    hash {text} NOT NULL,
    start_seq {i64} NOT NULL,
    start_hash {text} NOT NULL,
    start_seal {text} NOT NULL
) {strict};

CREATE TABLE audit_checkpoint (
    seq {i64} PRIMARY KEY,
    at {i64} NOT NULL,
    heads {text} NOT NULL,
    hash {text} NOT NULL
) {strict};
