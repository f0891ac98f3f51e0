-- Attachments; the contents lie in files named by their digest.
CREATE TABLE attachment (
    id {i64} PRIMARY KEY,
    owner_type {text} NOT NULL,
    owner {i64} NOT NULL,
    name {text} NOT NULL,
    type {text} NOT NULL,
    size {i64} NOT NULL,
    digest {text} NOT NULL,
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL
) {strict};
CREATE INDEX attachment_owner ON attachment (owner, owner_type, id);
CREATE INDEX attachment_digest ON attachment (digest);
