/* settings_sql.h - the statements of settings. */
#pragma once
extern const char SETTINGS_SQL_ALL[];
extern const char SETTINGS_SQL_VERSION[];
extern const char SETTINGS_SQL_RAISE[];
extern const char SETTINGS_SQL_PUT[];
extern const char SETTINGS_SQL_DROP[];
