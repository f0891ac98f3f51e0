-- What a version imports: found by the namespace of published models, pinned when the version is tested.
ALTER TABLE decision_version ADD COLUMN namespace {text} NOT NULL DEFAULT ''; -- of tested, published, retired ones
CREATE INDEX decision_version_namespace ON decision_version (namespace, state);

CREATE TABLE decision_import (
    decision_id {i64} NOT NULL,
    number {i64} NOT NULL,
    namespace {text} NOT NULL,
    of_id {i64} NOT NULL, -- the version it stands for
    of_number {i64} NOT NULL,
    PRIMARY KEY (decision_id, number, namespace)
) {no_rowid_strict};
