/* identity_sql.h - the statements of identity. */
#pragma once

/* ---- who is it ---- */
#define IDENTITY_WHO_COLUMNS                                                                                 \
    "u.id, u.org_id, o.path, u.login, u.name, u.lang, u.active, s.must_change, s.password_at, s.totp_on"
#define IDENTITY_WHO_FROM                                                                                    \
    " FROM app_user u JOIN org o ON o.id = u.org_id JOIN user_secret s ON s.user_id = u.id "
#define SQL_WHO_SESSION                                                                                      \
    "SELECT " IDENTITY_WHO_COLUMNS ", t.id, t.csrf, t.seen_at, t.ends_at" IDENTITY_WHO_FROM                  \
    "JOIN user_session t ON t.user_id = u.id WHERE t.token_hash = ?1 AND t.ended_at = 0"
#define SQL_WHO_KEY                                                                                          \
    "SELECT " IDENTITY_WHO_COLUMNS                                                                           \
    ", t.id, t.name, t.used_at, t.ends_at, t.permissions, t.org_id, COALESCE(ko.path, '')" IDENTITY_WHO_FROM \
    "JOIN api_key t ON t.user_id = u.id LEFT JOIN org ko ON ko.id = t.org_id "                               \
    "WHERE t.token_hash = ?1 AND t.ended_at = 0"
#define SQL_WHO_USER "SELECT " IDENTITY_WHO_COLUMNS IDENTITY_WHO_FROM "WHERE u.id = ?1"
#define SQL_GRANTS                                                                                           \
    "SELECT r.role_id, r.everything, r.org_id, COALESCE(o.path, ''), r.grid_id, COALESCE(g.path, ''), "      \
    "r.own, r.subjects "                                                                                     \
    "FROM user_role r LEFT JOIN org o ON o.id = r.org_id LEFT JOIN grid_cell g ON g.id = r.grid_id WHERE "   \
    "r.user_id = ?1 ORDER BY r.id"
#define SQL_ROLE_PERMISSIONS "SELECT permission FROM role_permission WHERE role_id = ?1 ORDER BY permission"
#define SQL_SESSION_SEEN "UPDATE user_session SET seen_at = ?2 WHERE id = ?1 AND seen_at < ?2"
#define SQL_KEY_USED "UPDATE api_key SET used_at = ?2 WHERE id = ?1 AND used_at < ?2"

/* ---- logging in ---- */
#define SQL_LOGIN                                                                                            \
    "SELECT u.id, u.name, u.active, s.password_hash, s.password_at, s.failed, s.failed_at, s.locked_until, " \
    "s.totp_sealed, s.totp_on, s.totp_step FROM app_user u JOIN user_secret s ON s.user_id = u.id WHERE "    \
    "u.login = ?1"
#define SQL_FAILED                                                                                           \
    "UPDATE user_secret SET failed = failed + 1, failed_at = ?2, "                                           \
    "locked_until = CASE WHEN failed + 1 >= ?3 THEN ?4 ELSE locked_until END WHERE user_id = ?1"
#define SQL_SUCCEEDED                                                                                        \
    "UPDATE user_secret SET failed = 0, locked_until = 0, last_login_at = ?2, totp_step = ?3 "               \
    "WHERE user_id = ?1 AND totp_step <= ?3"
#define SQL_HASH_RENEW "UPDATE user_secret SET password_hash = ?2 WHERE user_id = ?1 AND password_hash = ?3"
#define SQL_SESSION_ADD                                                                                      \
    "INSERT INTO user_session (id, token_hash, user_id, csrf, created_at, seen_at, ends_at, remote, agent) " \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8)"
#define SQL_SESSION_END "UPDATE user_session SET ended_at = ?2 WHERE id = ?1 AND ended_at = 0"
#define SQL_SESSIONS_END_USER                                                                                \
    "UPDATE user_session SET ended_at = ?2 WHERE user_id = ?1 AND ended_at = 0 AND id <> ?3"
#define SQL_SESSIONS_OLD "DELETE FROM user_session WHERE ends_at < ?1"
#define SQL_SECRET_ADD                                                                                       \
    "INSERT INTO user_secret (user_id, password_hash, password_at, must_change) VALUES (?1, ?2, ?3, 1)"
#define SQL_PASSWORD_SET                                                                                     \
    "UPDATE user_secret SET password_hash = ?2, password_at = ?3, must_change = ?4, failed = 0, "            \
    "locked_until = 0 WHERE user_id = ?1"
#define SQL_PASSWORD_KEEP                                                                                    \
    "INSERT INTO user_password_old (user_id, ended_at, password_hash) SELECT user_id, ?2, password_hash "    \
    "FROM user_secret WHERE user_id = ?1 ON CONFLICT (user_id, ended_at) DO NOTHING"
#define SQL_PASSWORDS_OLD                                                                                    \
    "SELECT password_hash FROM user_password_old WHERE user_id = ?1 ORDER BY ended_at DESC LIMIT 24"
#define SQL_SECRET "SELECT password_hash, totp_sealed, totp_on, totp_step FROM user_secret WHERE user_id = ?1"
#define SQL_UNLOCK "UPDATE user_secret SET failed = 0, locked_until = 0 WHERE user_id = ?1"
#define SQL_TOTP_SET                                                                                         \
    "UPDATE user_secret SET totp_sealed = ?2, totp_on = ?3, totp_step = ?4 WHERE user_id = ?1"

/* ---- organisations ---- */
#define SQL_ORG_COLUMNS                                                                                      \
    "SELECT o.id, o.parent_id, o.path, o.code, o.name, o.sort, o.active, o.version, o.created_at, "          \
    "o.created_by, "                                                                                         \
    "o.updated_at, o.updated_by FROM org o "
#define SQL_ORG_GET SQL_ORG_COLUMNS "WHERE o.id = ?1"
#define SQL_ORG_BY_CODE "SELECT id FROM org WHERE code = ?1"
#define SQL_ORG_ROOT "SELECT MIN(id) FROM org WHERE parent_id IS NULL"
#define SQL_ORG_ADD                                                                                          \
    "INSERT INTO org (id, parent_id, path, code, name, sort, active, version, created_at, created_by, "      \
    "updated_at, updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?9, ?8, ?9)"
#define SQL_ORG_SET                                                                                          \
    "UPDATE org SET code = ?3, name = ?4, sort = ?5, active = ?6, parent_id = ?7, version = version + 1, "   \
    "updated_at = ?8, updated_by = ?9 WHERE id = ?1 AND version = ?2"
#define SQL_ORG_MOVE                                                                                         \
    "UPDATE org SET path = ?2 || substr(path, CAST(?3 AS INTEGER)) WHERE substr(path, 1, CAST(?4 AS "        \
    "INTEGER)) = ?1"
#define SQL_ORG_USED                                                                                         \
    "SELECT (SELECT COUNT(*) FROM org WHERE parent_id = ?1) + (SELECT COUNT(*) FROM app_user WHERE org_id "  \
    "= ?1) + "                                                                                               \
    "(SELECT COUNT(*) FROM user_role WHERE org_id = ?1)"
#define SQL_ORG_DROP "DELETE FROM org WHERE id = ?1"

/* ---- users ---- */
#define SQL_USER_COLUMNS                                                                                     \
    "SELECT u.id, u.org_id, o.path, o.name, u.login, u.name, u.email, u.phone, u.lang, u.active, "           \
    "u.version, "                                                                                            \
    "u.created_at, u.created_by, u.updated_at, u.updated_by, s.locked_until, s.totp_on, s.last_login_at, "   \
    "s.must_change FROM app_user u JOIN org o ON o.id = u.org_id JOIN user_secret s ON s.user_id = u.id "
#define SQL_USER_GET SQL_USER_COLUMNS "WHERE u.id = ?1"
#define SQL_USER_BY_LOGIN "SELECT id FROM app_user WHERE login = ?1"
#define SQL_USER_COUNT "SELECT COUNT(*) FROM app_user"
#define SQL_USER_ADD                                                                                         \
    "INSERT INTO app_user (id, org_id, login, name, email, phone, lang, active, version, created_at, "       \
    "created_by, "                                                                                           \
    "updated_at, updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?10, ?9, ?10)"
#define SQL_USER_SET                                                                                         \
    "UPDATE app_user SET org_id = ?3, name = ?4, email = ?5, phone = ?6, lang = ?7, active = ?8, "           \
    "version = version + 1, updated_at = ?9, updated_by = ?10 WHERE id = ?1 AND version = ?2"
#define SQL_USER_TOUCH                                                                                       \
    "UPDATE app_user SET version = version + 1, updated_at = ?2, updated_by = ?3 WHERE id = ?1"
#define SQL_USER_ROLES                                                                                       \
    "SELECT r.id, r.role_id, l.code, l.name, r.everything, r.org_id, COALESCE(o.path, ''), "                 \
    "COALESCE(o.name, ''), "                                                                                 \
    "r.grid_id, COALESCE(g.path, ''), r.own, r.subjects, COALESCE(g.name, '') "                              \
    "FROM user_role r JOIN role l ON l.id = r.role_id LEFT JOIN org o ON o.id = r.org_id "                   \
    "LEFT JOIN grid_cell g ON g.id = r.grid_id WHERE r.user_id = ?1 ORDER BY r.id"
#define SQL_GRID_PATH "SELECT path FROM grid_cell WHERE id = ?1"
#define SQL_USER_ROLES_DROP "DELETE FROM user_role WHERE user_id = ?1"
#define SQL_USER_ROLE_ADD                                                                                    \
    "INSERT INTO user_role (id, user_id, role_id, everything, org_id, grid_id, grid_path, own, subjects, "   \
    "created_at, created_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
/* Active users that hold everything everywhere: the last one must stay. */
#define SQL_ADMINS                                                                                           \
    "SELECT COUNT(DISTINCT u.id) FROM app_user u JOIN user_role r ON r.user_id = u.id "                      \
    "JOIN role_permission p ON p.role_id = r.role_id WHERE u.active = 1 AND r.everything = 1 AND "           \
    "p.permission = '*'"

#define SQL_USER_LANG "UPDATE app_user SET lang = ?2 WHERE id = ?1"

/* ---- roles ---- */
#define SQL_ROLE_COLUMNS                                                                                     \
    "SELECT id, code, name, note, builtin, version, created_at, created_by, updated_at, updated_by FROM "    \
    "role "
#define SQL_ROLES SQL_ROLE_COLUMNS "ORDER BY code"
#define SQL_ROLE_GET SQL_ROLE_COLUMNS "WHERE id = ?1"
#define SQL_ROLE_BY_CODE "SELECT id FROM role WHERE code = ?1"
#define SQL_ROLE_ADD                                                                                         \
    "INSERT INTO role (id, code, name, note, builtin, version, created_at, created_by, updated_at, "         \
    "updated_by) "                                                                                           \
    "VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?6, ?7)"
#define SQL_ROLE_SET                                                                                         \
    "UPDATE role SET name = ?3, note = ?4, version = version + 1, updated_at = ?5, updated_by = ?6 "         \
    "WHERE id = ?1 AND version = ?2"
#define SQL_ROLE_PERMISSION_ADD                                                                              \
    "INSERT INTO role_permission (role_id, permission) VALUES (?1, ?2) ON CONFLICT (role_id, permission) "   \
    "DO NOTHING"
#define SQL_ROLE_PERMISSIONS_DROP "DELETE FROM role_permission WHERE role_id = ?1"
#define SQL_ROLE_USED "SELECT COUNT(*) FROM user_role WHERE role_id = ?1"
#define SQL_ROLE_DROP "DELETE FROM role WHERE id = ?1"

/* ---- sessions, keys, idempotency ---- */
#define SQL_SESSION_GET                                                                                      \
    "SELECT t.user_id, u.login, o.path FROM user_session t JOIN app_user u ON u.id = t.user_id "             \
    "JOIN org o ON o.id = u.org_id WHERE t.id = ?1 AND t.ended_at = 0"
#define SQL_SESSION_IDS_OPEN                                                                                 \
    "SELECT id FROM user_session WHERE ended_at = 0 AND ends_at > ?1 AND seen_at > ?2 LIMIT ?3"
#define SQL_SESSIONS_OPEN                                                                                    \
    "SELECT t.id, t.user_id, u.login, u.name, t.created_at, t.seen_at, t.ends_at, t.remote, t.agent "        \
    "FROM user_session t JOIN app_user u ON u.id = t.user_id JOIN org o ON o.id = u.org_id "                 \
    "WHERE t.ended_at = 0 AND t.ends_at > ?1 AND t.seen_at > ?2 AND (u.id = ?3 OR "
#define SQL_KEY_ADD                                                                                          \
    "INSERT INTO api_key (id, name, token_hash, user_id, created_at, created_by, ends_at, permissions, "     \
    "org_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
#define SQL_KEYS                                                                                             \
    "SELECT k.id, k.name, k.user_id, u.login, k.created_at, k.ends_at, k.used_at, k.permissions, k.org_id, " \
    "COALESCE(o.name, '') FROM api_key k JOIN app_user u ON u.id = k.user_id "                               \
    "LEFT JOIN org o ON o.id = k.org_id "                                                                    \
    "WHERE k.ended_at = 0 AND (?1 = 0 OR k.user_id = ?1) ORDER BY k.id LIMIT 1000"
#define SQL_KEY_GET "SELECT user_id, name FROM api_key WHERE id = ?1 AND ended_at = 0"
#define SQL_KEY_END "UPDATE api_key SET ended_at = ?2 WHERE id = ?1 AND ended_at = 0"
#define SQL_KEYS_END_USER "UPDATE api_key SET ended_at = ?2 WHERE user_id = ?1 AND ended_at = 0"
#define SQL_RECOVERY_ADD "INSERT INTO user_recovery (user_id, code_hash, made_at) VALUES (?1, ?2, ?3)"
#define SQL_RECOVERY_DROP "DELETE FROM user_recovery WHERE user_id = ?1"
#define SQL_RECOVERY_FIND "SELECT 1 FROM user_recovery WHERE user_id = ?1 AND code_hash = ?2"
#define SQL_RECOVERY_USE "DELETE FROM user_recovery WHERE user_id = ?1 AND code_hash = ?2"
#define SQL_TOTP_STATE                                                                                       \
    "SELECT s.totp_on, (SELECT COUNT(*) FROM user_recovery r WHERE r.user_id = s.user_id) "                  \
    "FROM user_secret s WHERE s.user_id = ?1"
#define SQL_IDEM_BEGIN                                                                                       \
    "INSERT INTO idempotency (user_id, key, digest, status, body, made_at) VALUES (?1, ?2, ?3, 0, '', ?4) "  \
    "ON CONFLICT (user_id, key) DO NOTHING"
#define SQL_IDEM_GET                                                                                         \
    "SELECT digest, status, body, made_at, headers FROM idempotency WHERE user_id = ?1 AND key = ?2"
#define SQL_IDEM_RETAKE                                                                                      \
    "UPDATE idempotency SET digest = ?3, status = 0, body = '', headers = '', made_at = ?4 WHERE user_id = " \
    "?1 AND key = "                                                                                          \
    "?2"
#define SQL_IDEM_END                                                                                         \
    "UPDATE idempotency SET status = ?3, body = ?4, headers = ?5 WHERE user_id = ?1 AND key = ?2"
#define SQL_IDEM_FORGET "DELETE FROM idempotency WHERE user_id = ?1 AND key = ?2"
#define SQL_IDEM_OLD "DELETE FROM idempotency WHERE made_at < ?1"
