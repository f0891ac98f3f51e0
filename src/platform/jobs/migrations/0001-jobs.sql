CREATE TABLE job (
    id {i64} PRIMARY KEY,
    kind {text} NOT NULL,
    state {i64} NOT NULL,
    user_id {i64} NOT NULL,
    params {text} NOT NULL,
    saved {text} NOT NULL,
    result {text} NOT NULL,
    error {text} NOT NULL,
    note {text} NOT NULL,
    done {i64} NOT NULL,
    total {i64} NOT NULL,
    starts {i64} NOT NULL,
    cancel_asked {i64} NOT NULL,
    made_at {i64} NOT NULL,
    due_at {i64} NOT NULL,
    started_at {i64} NOT NULL,
    ended_at {i64} NOT NULL,
    lease_owner {text} NOT NULL,
    lease_until {i64} NOT NULL
) {strict};
-- Only what is not ended, so that it stays small.
CREATE INDEX job_open ON job (due_at, id) WHERE state < 2;
CREATE INDEX job_kind ON job (kind, id);

CREATE TABLE job_schedule (
    id {i64} PRIMARY KEY,
    version {i64} NOT NULL,
    kind {text} NOT NULL,
    spec {text} NOT NULL,
    zone {text} NOT NULL,
    days {text} NOT NULL,
    params {text} NOT NULL,
    enabled {i64} NOT NULL,
    next_at {i64} NOT NULL,
    own_of {text} UNIQUE
) {strict};
CREATE INDEX job_schedule_next ON job_schedule (next_at) WHERE enabled = 1 AND next_at > 0;
