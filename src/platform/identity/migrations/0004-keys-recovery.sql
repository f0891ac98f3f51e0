-- What a key may do at most (patterns by blanks, '' = all that its user may) and where (0 = not limited).
ALTER TABLE api_key ADD COLUMN permissions {text} NOT NULL DEFAULT '';
ALTER TABLE api_key ADD COLUMN org_id {i64} NOT NULL DEFAULT 0;

-- Codes for the day when the second factor is lost; each works once and is gone.
CREATE TABLE user_recovery (
    user_id {i64} NOT NULL,
    code_hash {text} NOT NULL,
    made_at {i64} NOT NULL,
    PRIMARY KEY (user_id, code_hash)
) {no_rowid_strict};
