-- Versions of flows as they were deployed; a case pins one.
CREATE TABLE flow_version (
    id {i64} PRIMARY KEY,
    flow {text} NOT NULL,
    checksum {text} NOT NULL,
    xml {text} NOT NULL,
    made_ms {i64} NOT NULL,
    UNIQUE (flow, checksum)
) {strict};

-- The SLA matrix as it was when a case opened; a case pins one.
CREATE TABLE sla_version (
    id {i64} PRIMARY KEY,
    checksum {text} NOT NULL UNIQUE,
    snapshot {json} NOT NULL,
    made_ms {i64} NOT NULL
) {strict};

-- What the engine knows of a case beside its record (same id).
CREATE TABLE case_run (
    id {i64} PRIMARY KEY,
    type {text} NOT NULL,
    flow_version {i64} NOT NULL,
    sla_version {i64} NOT NULL,
    state {text} NOT NULL,
    service {text} NOT NULL,
    level {text} NOT NULL,
    opened_ms {i64} NOT NULL,
    closed_ms {i64},
    prior_id {i64},
    starter_id {i64} NOT NULL,
    warned {i64} NOT NULL,
    breached {i64} NOT NULL
) {strict};

-- Everything that ever happened to a case; clocks are derived from it.
CREATE TABLE case_event (
    id {i64} PRIMARY KEY,
    case_id {i64} NOT NULL,
    at_ms {i64} NOT NULL,
    made_ms {i64} NOT NULL,
    by_id {i64} NOT NULL,
    by_name {text} NOT NULL,
    kind {text} NOT NULL,
    what {text} NOT NULL,
    clocks {i64} NOT NULL,
    workaround {i64} NOT NULL,
    service {text} NOT NULL,
    level {text} NOT NULL,
    voids {i64} NOT NULL,
    task_id {i64} NOT NULL,
    node {text} NOT NULL,
    action {text} NOT NULL,
    text {text} NOT NULL,
    data {json}
) {strict};
CREATE INDEX case_event_case ON case_event (case_id, id);

-- The clocks as they stand: derived, can be rebuilt.
CREATE TABLE case_clock (
    case_id {i64} NOT NULL,
    clock {text} NOT NULL,
    state {text} NOT NULL,
    source {text} NOT NULL,
    calendar {text} NOT NULL,
    row_id {i64} NOT NULL,
    limit_ms {i64} NOT NULL,
    used_ms {i64} NOT NULL,
    due_ms {i64} NOT NULL,
    warn_ms {i64} NOT NULL,
    reached_ms {i64} NOT NULL,
    workaround {i64} NOT NULL,
    PRIMARY KEY (case_id, clock)
) {strict};

-- The next instant at which somebody must be told; a case without one has no row.
CREATE TABLE case_due (
    case_id {i64} PRIMARY KEY,
    due_ms {i64} NOT NULL
) {strict};
CREATE INDEX case_due_due ON case_due (due_ms);

CREATE TABLE flow_token (
    id {i64} PRIMARY KEY,
    case_id {i64} NOT NULL,
    node {text} NOT NULL,
    scope {i64} NOT NULL
) {strict};
CREATE INDEX flow_token_case ON flow_token (case_id);

CREATE TABLE flow_timer (
    id {i64} PRIMARY KEY,
    case_id {i64} NOT NULL,
    token {i64} NOT NULL,
    node {text} NOT NULL,
    due_ms {i64} NOT NULL
) {strict};
CREATE INDEX flow_timer_due ON flow_timer (due_ms);
CREATE INDEX flow_timer_token ON flow_timer (token);

CREATE TABLE task (
    id {i64} PRIMARY KEY,
    case_id {i64} NOT NULL,
    token {i64} NOT NULL,
    node {text} NOT NULL,
    name {text} NOT NULL,
    state {text} NOT NULL,
    may {text} NOT NULL,
    assignee {i64} NOT NULL,
    assignee_name {text} NOT NULL,
    opened_ms {i64} NOT NULL,
    due_ms {i64} NOT NULL,
    done_ms {i64} NOT NULL,
    action {text} NOT NULL
) {strict};
CREATE INDEX task_case ON task (case_id, id);
CREATE INDEX task_open ON task (state, may, id);
CREATE INDEX case_clock_due ON case_clock (state, due_ms);
CREATE INDEX task_assignee ON task (assignee, state, id);

-- People who may take a task besides those with its permission.
CREATE TABLE task_user (
    task_id {i64} NOT NULL,
    user_id {i64} NOT NULL,
    PRIMARY KEY (task_id, user_id)
) {strict};
CREATE INDEX task_user_user ON task_user (user_id, task_id);

-- Which case an alarm belongs to.  "source" is subject and trigger.
CREATE TABLE case_alarm (
    alarm_id {i64} NOT NULL,
    case_id {i64} NOT NULL,
    source {text} NOT NULL,
    joined_ms {i64} NOT NULL,
    PRIMARY KEY (alarm_id, case_id)
) {strict};
CREATE INDEX case_alarm_source ON case_alarm (source, alarm_id);
CREATE INDEX case_alarm_case ON case_alarm (case_id);
