/* settings_sql.c - see settings_sql.h */
#include "platform/settings/settings_sql.h"

const char SETTINGS_SQL_ALL[] = "SELECT key, value FROM setting";
const char SETTINGS_SQL_VERSION[] = "SELECT version FROM setting_state WHERE id = 1";
const char SETTINGS_SQL_RAISE[] = "UPDATE setting_state SET version = version + 1 WHERE id = 1";
const char SETTINGS_SQL_PUT[] =
    "INSERT INTO setting (key, value, version, updated_at, updated_by) VALUES (?1, ?2, 1, ?3, ?4) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = setting.version + 1, "
    "updated_at = excluded.updated_at, updated_by = excluded.updated_by";
const char SETTINGS_SQL_DROP[] = "DELETE FROM setting WHERE key = ?1";
