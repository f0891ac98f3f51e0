-- By which channel a user wants notices of a topic, besides the inbox; no row: the inbox alone.
CREATE TABLE notice_choice (
    user_id {i64} NOT NULL,
    topic {text} NOT NULL,
    channel {i64} NOT NULL,
    PRIMARY KEY (user_id, topic)
) {strict};
