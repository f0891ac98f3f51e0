/* migrate_sql.h - the statements of migrations and period tables; inside the store. */
#pragma once

/* Made before the first migration, so not itself one. */
#define SQL_MIGRATE_START                                                                                    \
    "CREATE TABLE IF NOT EXISTS store_migration (room {text} NOT NULL, name {text} NOT NULL,"                \
    " checksum {text} NOT NULL, additive {i64} NOT NULL, applied_at {i64} NOT NULL,"                         \
    " PRIMARY KEY (room, name)) {no_rowid_strict};"                                                          \
    "CREATE TABLE IF NOT EXISTS store_period (name {text} NOT NULL PRIMARY KEY, by_column {text} NOT NULL,"  \
    " kind {text} NOT NULL, script {text} NOT NULL) {no_rowid_strict};"
/* One node migrates, the others wait. */
#define SQL_MIGRATE_LOCK_POSTGRES "SELECT pg_advisory_xact_lock(6245118123071)"
#define SQL_MIGRATE_LIST "SELECT room, name, checksum, additive FROM store_migration"
#define SQL_MIGRATE_ADD                                                                                      \
    "INSERT INTO store_migration (room, name, checksum, additive, applied_at) VALUES (?1, ?2, ?3, ?4, ?5)"

#define SQL_PERIOD_ADD "INSERT INTO store_period (name, by_column, kind, script) VALUES (?1, ?2, ?3, ?4)"
#define SQL_PERIOD_EXTEND "UPDATE store_period SET script = script || ?2 WHERE name = ?1"
#define SQL_PERIOD_GET "SELECT by_column, kind, script FROM store_period WHERE name = ?1"
#define SQL_PERIOD_NAMES "SELECT name FROM store_period ORDER BY name"
#define SQL_PERIOD_PARTS "SELECT month FROM store_period_part WHERE name = ?1 ORDER BY month"
#define SQL_PERIOD_PART_HAS "SELECT 1 FROM store_period_part WHERE name = ?1 AND month = ?2"
#define SQL_PERIOD_PART_ADD "INSERT INTO store_period_part (name, month) VALUES (?1, ?2)"
#define SQL_PERIOD_PART_REMOVE "DELETE FROM store_period_part WHERE name = ?1 AND month = ?2"
