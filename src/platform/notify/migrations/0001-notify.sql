-- Messages to people; the same notice reaches a person once.
-- period notice by id id
CREATE TABLE notice (
    id {i64} NOT NULL,
    user_id {i64} NOT NULL,
    at_ms {i64} NOT NULL,
    code {text} NOT NULL,
    grade {i64} NOT NULL,
    title {text} NOT NULL,
    text {text} NOT NULL,
    link {text} NOT NULL,
    read_ms {i64} NOT NULL,
    PRIMARY KEY (user_id, id)
) {strict};
CREATE INDEX notice_unread ON notice (user_id, read_ms, id);

-- Every attempt to reach somebody by a channel.
-- period delivery by id id
CREATE TABLE delivery (
    id {i64} NOT NULL PRIMARY KEY,
    at_ms {i64} NOT NULL,
    channel {i64} NOT NULL,
    user_id {i64} NOT NULL,
    notice {i64} NOT NULL,
    sent {i64} NOT NULL,
    address {text} NOT NULL,
    title {text} NOT NULL,
    error {text} NOT NULL
) {strict};
