CREATE TABLE probe_node (
    id {i64} PRIMARY KEY,
    name {text} NOT NULL,
    token_digest {text},
    token_expires {i64},
    key_digest {text},
    registered_at {i64},
    version {text},
    address {text},
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL
) {strict};
CREATE UNIQUE INDEX probe_node_name ON probe_node (name);
