-- The migrations of packs that were run, and as what; those of a pack that came later than they are not run.
CREATE TABLE pack_migration (
    pack {text} NOT NULL,
    name {text} NOT NULL,
    checksum {text} NOT NULL,
    applied_at {i64} NOT NULL,
    PRIMARY KEY (pack, name)
) {no_rowid_strict};

-- The newest version of each pack that the tables were brought to: an older node leaves them as they are.
CREATE TABLE pack_state (
    pack {text} NOT NULL PRIMARY KEY,
    version {text} NOT NULL
) {no_rowid_strict};
