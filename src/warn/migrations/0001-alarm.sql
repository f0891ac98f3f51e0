-- Alarms by the month in which they opened; the log of the alarm machine is what is written first.
-- period alarm by id id
CREATE TABLE alarm (
    id {i64} NOT NULL PRIMARY KEY,
    alarm_key {text} NOT NULL,
    subject {i64} NOT NULL,
    source {i64} NOT NULL,
    service {i64} NOT NULL,
    org {i64} NOT NULL,
    grade {i64} NOT NULL,
    title {text} NOT NULL,
    value {text} NOT NULL,
    state {text} NOT NULL,
    hold {text} NOT NULL,
    hold_by {i64} NOT NULL,
    count {i64} NOT NULL,
    opened_ms {i64} NOT NULL,
    last_ms {i64} NOT NULL,
    cleared_ms {i64} NOT NULL,
    acked_ms {i64} NOT NULL,
    acked_by {i64} NOT NULL,
    told_ms {i64} NOT NULL,
    closed_ms {i64} NOT NULL,
    escalated {i64} NOT NULL,
    flaps {text} NOT NULL
) {strict};
CREATE INDEX alarm_subject ON alarm (subject, id);
CREATE INDEX alarm_service ON alarm (service, id);
CREATE INDEX alarm_state ON alarm (state, id);

-- Everything that happened to them.
-- period alarm_event by id id
CREATE TABLE alarm_event (
    id {i64} NOT NULL PRIMARY KEY,
    alarm_id {i64} NOT NULL,
    at_ms {i64} NOT NULL,
    event {text} NOT NULL,
    by_id {i64} NOT NULL,
    state {text} NOT NULL,
    hold {text} NOT NULL,
    hold_by {i64} NOT NULL,
    value {text} NOT NULL,
    text {text} NOT NULL
) {strict};
CREATE INDEX alarm_event_alarm ON alarm_event (alarm_id, id);

-- How far each process's log (by the id in its folder) has been written into these tables: moved in the same transaction.
CREATE TABLE alarm_cursor (
    log {i64} PRIMARY KEY,
    position {i64} NOT NULL
) {strict};
