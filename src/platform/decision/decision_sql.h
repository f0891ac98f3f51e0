/* decision_sql.h - the statements of decisions. */
#pragma once

#define SQL_DECISION_COLUMNS                                                                                 \
    "SELECT id, code, title, published, version, created_at, created_by, updated_at, updated_by FROM "       \
    "decision "
#define SQL_DECISION_GET SQL_DECISION_COLUMNS "WHERE id = ?1"
#define SQL_DECISION_BY_CODE SQL_DECISION_COLUMNS "WHERE code = ?1"
#define SQL_DECISION_LIST                                                                                    \
    SQL_DECISION_COLUMNS                                                                                     \
    "WHERE code > ?2 AND (?1 = '' OR LOWER(code) LIKE ?1 ESCAPE '\\' OR LOWER(title) LIKE ?1 ESCAPE '\\') "  \
    "ORDER BY code LIMIT ?3"
#define SQL_DECISION_ADD                                                                                     \
    "INSERT INTO decision (id, code, title, published, version, created_at, created_by, updated_at, "        \
    "updated_by) VALUES (?1, ?2, ?3, 0, 1, ?4, ?5, ?4, ?5)"
#define SQL_DECISION_PUBLISHED                                                                               \
    "UPDATE decision SET published = ?2, version = version + 1, updated_at = ?3, updated_by = ?4 WHERE id "  \
    "= ?1"

#define SQL_VERSION_COLUMNS                                                                                  \
    "SELECT id, decision_id, number, state, comment, tested_at, published_at, published_by, retired_at, "    \
    "version, created_at, created_by, updated_at, updated_by"
#define SQL_VERSION_LIST SQL_VERSION_COLUMNS " FROM decision_version WHERE decision_id = ?1 ORDER BY number"
#define SQL_VERSION_GET                                                                                      \
    SQL_VERSION_COLUMNS ", model FROM decision_version WHERE decision_id = ?1 AND number = ?2"
#define SQL_VERSION_ADD                                                                                      \
    "INSERT INTO decision_version (id, decision_id, number, state, model, comment, tested_at, "              \
    "published_at, "                                                                                         \
    "published_by, retired_at, version, created_at, created_by, updated_at, updated_by) "                    \
    "VALUES (?1, ?2, ?3, 0, ?4, ?5, 0, 0, 0, 0, 1, ?6, ?7, ?6, ?7)"
#define SQL_VERSION_SAME                                                                                     \
    "SELECT COUNT(*) FROM decision_version v JOIN decision d ON d.id = v.decision_id "                       \
    "WHERE d.code = ?1 AND v.model = ?2"
#define SQL_VERSION_SHIPPED                                                                                  \
    "UPDATE decision_version SET state = 2, published_at = ?2 WHERE decision_id = ?1 AND number = 1"
#define SQL_VERSION_NEXT "SELECT COALESCE(MAX(number), 0) + 1 FROM decision_version WHERE decision_id = ?1"
#define SQL_VERSION_OPEN "SELECT COUNT(*) FROM decision_version WHERE decision_id = ?1 AND state IN (0, 1)"
#define SQL_VERSION_SAVE                                                                                     \
    "UPDATE decision_version SET model = ?3, comment = ?4, state = 0, tested_at = 0, version = version + "   \
    "1, "                                                                                                    \
    "updated_at = ?5, updated_by = ?6 WHERE decision_id = ?1 AND number = ?2 AND state IN (0, 1)"
#define SQL_VERSION_TESTED                                                                                   \
    "UPDATE decision_version SET state = 1, tested_at = ?4, version = version + 1 WHERE decision_id = ?1 "   \
    "AND number = ?2 AND version = ?3 AND state = 0"
#define SQL_VERSION_PUBLISH                                                                                  \
    "UPDATE decision_version SET state = 2, published_at = ?3, published_by = ?4, version = version + 1 "    \
    "WHERE decision_id = ?1 AND number = ?2 AND state = 1"
#define SQL_VERSION_RETIRE                                                                                   \
    "UPDATE decision_version SET state = 3, retired_at = ?3, version = version + 1 "                         \
    "WHERE decision_id = ?1 AND state = 2 AND (?2 = 0 OR number = ?2)"
#define SQL_VERSION_DISCARD                                                                                  \
    "DELETE FROM decision_version WHERE decision_id = ?1 AND number = ?2 AND state IN (0, 1)"
#define SQL_VERSION_UNTEST                                                                                   \
    "UPDATE decision_version SET state = 0, tested_at = 0, version = version + 1 "                           \
    "WHERE decision_id = ?1 AND state = 1"

#define SQL_CASE_LIST                                                                                        \
    "SELECT id, decision_id, name, target, input, expected, version, updated_at, updated_by "                \
    "FROM decision_case WHERE decision_id = ?1 ORDER BY id"
#define SQL_CASE_COUNT "SELECT COUNT(*) FROM decision_case WHERE decision_id = ?1"
#define SQL_CASES_CHANGED                                                                                    \
    "SELECT COUNT(*), COALESCE(SUM(version), 0), COALESCE(MAX(updated_at), 0) FROM decision_case "           \
    "WHERE decision_id = ?1"
#define SQL_CASE_ADD                                                                                         \
    "INSERT INTO decision_case (id, decision_id, name, target, input, expected, version, created_at, "       \
    "created_by, updated_at, updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?7, ?8)"
#define SQL_CASE_SAVE                                                                                        \
    "UPDATE decision_case SET name = ?3, target = ?4, input = ?5, expected = ?6, version = version + 1, "    \
    "updated_at = ?7, updated_by = ?8 WHERE id = ?1 AND decision_id = ?2 AND (?9 = -1 OR version = ?9)"
#define SQL_CASE_REMOVE "DELETE FROM decision_case WHERE id = ?1 AND decision_id = ?2"

/* What is published under a namespace; there should be one at most. */
#define SQL_IMPORT_PUBLISHED                                                                                 \
    "SELECT v.namespace, d.code, d.id, v.number, d.published, v.model FROM decision_version v "              \
    "JOIN decision d ON d.id = v.decision_id WHERE v.namespace = ?1 AND v.state = 2 ORDER BY d.code LIMIT 2"
#define SQL_IMPORT_PINS                                                                                      \
    "SELECT i.namespace, d.code, i.of_id, i.of_number, d.published, v.model FROM decision_import i "         \
    "JOIN decision d ON d.id = i.of_id "                                                                     \
    "JOIN decision_version v ON v.decision_id = i.of_id AND v.number = i.of_number "                         \
    "WHERE i.decision_id = ?1 AND i.number = ?2 ORDER BY i.namespace"
#define SQL_IMPORT_ADD                                                                                       \
    "INSERT INTO decision_import (decision_id, number, namespace, of_id, of_number) "                        \
    "VALUES (?1, ?2, ?3, ?4, ?5)"
#define SQL_IMPORT_UNPIN                                                                                     \
    "DELETE FROM decision_import WHERE decision_id = ?1 AND number NOT IN "                                  \
    "(SELECT number FROM decision_version WHERE decision_id = ?1 AND state <> 0)"
#define SQL_VERSION_NAMESPACE                                                                                \
    "UPDATE decision_version SET namespace = ?3 WHERE decision_id = ?1 AND number = ?2"
#define SQL_VERSION_NAMELESS                                                                                 \
    "SELECT decision_id, number, model FROM decision_version WHERE namespace = '' AND state IN (1, 2)"
