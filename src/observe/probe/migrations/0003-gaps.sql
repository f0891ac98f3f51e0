-- Results that a node had to drop while it could not send them.
CREATE TABLE probe_gap (
    id {i64} PRIMARY KEY,
    node_id {i64} NOT NULL,
    noticed_at {i64} NOT NULL,
    epoch {i64} NOT NULL, -- of the node's numbering
    first {i64} NOT NULL, -- number of the first that is missing
    count {i64} NOT NULL,
    from_at {i64}, -- of the last result before; NULL: not known
    until_at {i64} -- of the first one behind
) {strict};
CREATE INDEX probe_gap_node ON probe_gap (node_id, id);
