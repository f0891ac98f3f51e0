-- Organisations as a tree; path is "/1/5/": the ids from the root down, so that a subtree is a prefix.
CREATE TABLE org (
    id {i64} PRIMARY KEY,
    parent_id {i64},
    path {text} NOT NULL,
    code {text} NOT NULL,
    name {text} NOT NULL,
    sort {i64} NOT NULL DEFAULT 0,
    active {i64} NOT NULL DEFAULT 1,
    version {i64} NOT NULL,
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL,
    updated_at {i64} NOT NULL,
    updated_by {i64} NOT NULL
) {strict};
CREATE UNIQUE INDEX org_path ON org (path);
CREATE UNIQUE INDEX org_code ON org (code);
CREATE INDEX org_parent ON org (parent_id);

CREATE TABLE app_user (
    id {i64} PRIMARY KEY,
    org_id {i64} NOT NULL,
    login {text} NOT NULL,
    name {text} NOT NULL,
    email {text} NOT NULL DEFAULT '',
    phone {text} NOT NULL DEFAULT '',
    lang {text} NOT NULL DEFAULT 'zh-CN',
    active {i64} NOT NULL DEFAULT 1,
    version {i64} NOT NULL,
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL,
    updated_at {i64} NOT NULL,
    updated_by {i64} NOT NULL
) {strict};
CREATE UNIQUE INDEX app_user_login ON app_user (login);
CREATE INDEX app_user_org ON app_user (org_id);

-- What proves a user; apart from app_user, so that nothing that reads users can show it.
CREATE TABLE user_secret (
    user_id {i64} PRIMARY KEY,
    password_hash {text} NOT NULL,
    password_at {i64} NOT NULL,
    must_change {i64} NOT NULL,
    failed {i64} NOT NULL DEFAULT 0,
    failed_at {i64} NOT NULL DEFAULT 0,
    locked_until {i64} NOT NULL DEFAULT 0,
    totp_sealed {text} NOT NULL DEFAULT '',
    totp_on {i64} NOT NULL DEFAULT 0,
    totp_step {i64} NOT NULL DEFAULT 0,
    last_login_at {i64} NOT NULL DEFAULT 0
) {strict};

CREATE TABLE user_password_old (
    user_id {i64} NOT NULL,
    ended_at {i64} NOT NULL,
    password_hash {text} NOT NULL,
    PRIMARY KEY (user_id, ended_at)
) {no_rowid_strict};

CREATE TABLE role (
    id {i64} PRIMARY KEY,
    code {text} NOT NULL,
    name {text} NOT NULL,
    note {text} NOT NULL DEFAULT '',
    builtin {i64} NOT NULL DEFAULT 0,
    version {i64} NOT NULL,
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL,
    updated_at {i64} NOT NULL,
    updated_by {i64} NOT NULL
) {strict};
CREATE UNIQUE INDEX role_code ON role (code);

CREATE TABLE role_permission (
    role_id {i64} NOT NULL,
    permission {text} NOT NULL,
    PRIMARY KEY (role_id, permission)
) {no_rowid_strict};

-- A role given to a user within a scope; 0 = the dimension does not limit.
CREATE TABLE user_role (
    id {i64} PRIMARY KEY,
    user_id {i64} NOT NULL,
    role_id {i64} NOT NULL,
    everything {i64} NOT NULL,
    org_id {i64} NOT NULL DEFAULT 0,
    grid_id {i64} NOT NULL DEFAULT 0,
    grid_path {text} NOT NULL DEFAULT '',
    own {i64} NOT NULL DEFAULT 0,
    subjects {text} NOT NULL DEFAULT '',
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL
) {strict};
CREATE INDEX user_role_user ON user_role (user_id);
CREATE INDEX user_role_role ON user_role (role_id);

CREATE TABLE user_session (
    id {i64} PRIMARY KEY,
    token_hash {text} NOT NULL,
    user_id {i64} NOT NULL,
    csrf {text} NOT NULL,
    created_at {i64} NOT NULL,
    seen_at {i64} NOT NULL,
    ends_at {i64} NOT NULL,
    ended_at {i64} NOT NULL DEFAULT 0,
    remote {text} NOT NULL,
    agent {text} NOT NULL
) {strict};
CREATE UNIQUE INDEX user_session_token ON user_session (token_hash);
CREATE INDEX user_session_user ON user_session (user_id, ended_at);

CREATE TABLE api_key (
    id {i64} PRIMARY KEY,
    name {text} NOT NULL,
    token_hash {text} NOT NULL,
    user_id {i64} NOT NULL,
    created_at {i64} NOT NULL,
    created_by {i64} NOT NULL,
    ends_at {i64} NOT NULL,
    ended_at {i64} NOT NULL DEFAULT 0,
    used_at {i64} NOT NULL DEFAULT 0
) {strict};
CREATE UNIQUE INDEX api_key_token ON api_key (token_hash);
CREATE INDEX api_key_user ON api_key (user_id);

-- Answers of POSTs with an Idempotency-Key, for 24 hours; status 0 = still running.
CREATE TABLE idempotency (
    user_id {i64} NOT NULL,
    key {text} NOT NULL,
    digest {text} NOT NULL,
    status {i64} NOT NULL,
    body {text} NOT NULL,
    made_at {i64} NOT NULL,
    PRIMARY KEY (user_id, key)
) {no_rowid_strict};
CREATE INDEX idempotency_made ON idempotency (made_at);
