/* jobs_sql.h - the statements of jobs and schedules.  States: 0 waiting, 1 running, 2 done, 3 failed, 4
 * cancelled. */
#pragma once

#define SQL_JOB_ADD                                                                                          \
    "INSERT INTO job (id, kind, state, user_id, params, saved, result, error, note, done, total, starts,"    \
    " cancel_asked, made_at, due_at, started_at, ended_at, lease_owner, lease_until)"                        \
    " VALUES (?1, ?2, 0, ?3, ?4, '', '', '', '', 0, 0, 0, 0, ?5, ?6, 0, 0, '', 0)"
/* What waits, and what broke off. */
#define SQL_JOB_DUE                                                                                          \
    "SELECT id, kind, state, user_id, params, saved, starts, cancel_asked FROM job"                          \
    " WHERE state < 2 AND due_at <= ?1 AND lease_until <= ?1 ORDER BY due_at, id LIMIT 32 {skip_locked}"
#define SQL_JOB_BEGIN                                                                                        \
    "UPDATE job SET state = 1, starts = starts + 1, started_at = ?2, lease_owner = ?3, lease_until = ?4"     \
    " WHERE id = ?1"
#define SQL_JOB_RENEW "UPDATE job SET lease_until = ?3 WHERE id = ?1 AND lease_owner = ?2 AND state = 1"
#define SQL_JOB_ASKED "SELECT cancel_asked FROM job WHERE id = ?1"
#define SQL_JOB_PROGRESS "UPDATE job SET done = ?3, total = ?4, note = ?5 WHERE id = ?1 AND lease_owner = ?2"
#define SQL_JOB_SAVE "UPDATE job SET saved = ?3 WHERE id = ?1 AND lease_owner = ?2"
#define SQL_JOB_END                                                                                          \
    "UPDATE job SET state = ?3, ended_at = ?4, result = ?5, error = ?6, done = ?7, total = ?8, note = ?9,"   \
    " lease_owner = '', lease_until = 0 WHERE id = ?1 AND lease_owner = ?2"
#define SQL_JOB_LATER                                                                                        \
    "UPDATE job SET state = 0, due_at = ?3, starts = starts - ?4, error = ?5, lease_owner = '',"             \
    " lease_until = 0 WHERE id = ?1 AND lease_owner = ?2"
/* A broken-off job that is not begun again. */
#define SQL_JOB_GIVE_UP                                                                                      \
    "UPDATE job SET state = ?2, ended_at = ?3, error = ?4, lease_owner = '', lease_until = 0 WHERE id = ?1"
#define SQL_JOB_STATE "SELECT state, kind FROM job WHERE id = ?1 {for_update}"
#define SQL_JOB_CANCEL_WAITING                                                                               \
    "UPDATE job SET cancel_asked = 1, state = 4, ended_at = ?2 WHERE id = ?1 AND state = 0"
#define SQL_JOB_CANCEL_RUNNING "UPDATE job SET cancel_asked = 1 WHERE id = ?1 AND state = 1"
#define SQL_JOB_AGAIN                                                                                        \
    "UPDATE job SET state = 0, due_at = ?2, starts = 0, cancel_asked = 0, saved = '', result = '',"          \
    " error = '', note = '', done = 0, total = 0, started_at = 0, ended_at = 0 WHERE id = ?1 AND state > 1"
#define SQL_JOB_FREE_OWN                                                                                     \
    "UPDATE job SET lease_until = 0 WHERE state = 1 AND lease_until > 0 AND lease_owner LIKE ?1"
#define SQL_JOB_FREE_ALONE "DELETE FROM lease WHERE name LIKE 'job.%' AND owner LIKE ?1"

#define SQL_JOB_COLUMNS                                                                                      \
    "id, kind, state, user_id, params, result, error, note, done, total, starts, cancel_asked, made_at,"     \
    " started_at, ended_at"
#define SQL_JOB_GET "SELECT " SQL_JOB_COLUMNS " FROM job WHERE id = ?1"
#define SQL_JOB_LIST "SELECT " SQL_JOB_COLUMNS " FROM job WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
#define SQL_JOB_LIST_KIND                                                                                    \
    "SELECT " SQL_JOB_COLUMNS " FROM job WHERE id < ?1 AND kind = ?3 ORDER BY id DESC LIMIT ?2"

#define SQL_SCHEDULE_OWN                                                                                     \
    "INSERT INTO job_schedule (id, version, kind, spec, zone, days, params, enabled, next_at, own_of)"       \
    " VALUES (?1, 1, ?2, ?3, '', '', ?4, 1, ?5, ?2) ON CONFLICT (own_of) DO NOTHING"
#define SQL_SCHEDULE_ADD                                                                                     \
    "INSERT INTO job_schedule (id, version, kind, spec, zone, days, params, enabled, next_at)"               \
    " VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
#define SQL_SCHEDULE_SET                                                                                     \
    "UPDATE job_schedule SET version = version + 1, kind = ?2, spec = ?3, zone = ?4, days = ?5,"             \
    " params = ?6, enabled = ?7, next_at = ?8 WHERE id = ?1 AND version = ?9"
#define SQL_SCHEDULE_HAS "SELECT own_of FROM job_schedule WHERE id = ?1"
#define SQL_SCHEDULE_DELETE "DELETE FROM job_schedule WHERE id = ?1 AND version = ?2"
#define SQL_SCHEDULE_LIST                                                                                    \
    "SELECT id, version, kind, spec, zone, days, params, enabled, next_at FROM job_schedule ORDER BY id"
#define SQL_SCHEDULE_DUE                                                                                     \
    "SELECT id, kind, spec, zone, days, params, next_at FROM job_schedule"                                   \
    " WHERE enabled = 1 AND next_at > 0 AND next_at <= ?1 ORDER BY next_at LIMIT 32 {skip_locked}"
#define SQL_SCHEDULE_NEXT "UPDATE job_schedule SET next_at = ?3 WHERE id = ?1 AND next_at = ?2"
/* One of the same kind and params that is not ended: the new one would only pile up. */
#define SQL_SCHEDULE_OPEN "SELECT 1 FROM job WHERE state < 2 AND kind = ?1 AND params = ?2 LIMIT 1"
