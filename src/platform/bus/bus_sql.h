/* bus_sql.h - the statements of leases, nodes, the outbox and the broadcast. */
#pragma once

#define SQL_NOW_POSTGRES "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"

/* The condition stands in the statement, so that two who try at once cannot both get it. */
#define SQL_LEASE_TAKE                                                                                       \
    "INSERT INTO lease (name, owner, until) VALUES (?1, ?2, ?3)"                                             \
    " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until"                       \
    " WHERE lease.owner = excluded.owner OR lease.until <= ?4"
#define SQL_LEASE_GIVE_ALL "DELETE FROM lease WHERE owner LIKE ?1"
#define SQL_LEASE_GIVE "DELETE FROM lease WHERE name = ?1 AND owner = ?2"

#define SQL_NODE_LIST                                                                                        \
    "SELECT number, until, CASE WHEN owner LIKE ?1 THEN 1 ELSE 0 END FROM node ORDER BY number"
#define SQL_NODE_TAKE                                                                                        \
    "INSERT INTO node (number, owner, until) VALUES (?1, ?2, ?3)"                                            \
    " ON CONFLICT (number) DO UPDATE SET owner = excluded.owner, until = excluded.until"                     \
    " WHERE node.owner = excluded.owner OR node.until <= ?4 OR node.owner LIKE ?5"
#define SQL_NODE_RENEW "UPDATE node SET until = ?3 WHERE number = ?1 AND owner = ?2"
#define SQL_NODE_GIVE "DELETE FROM node WHERE number = ?1 AND owner = ?2"

/* %s: the table of the month */
#define SQL_OUTBOX_ADD                                                                                       \
    "INSERT INTO %s (id, topic, subject_id, at, body) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO "      \
    "NOTHING"
#define SQL_OUTBOX_GET "SELECT topic, subject_id, at, body FROM outbox WHERE id = ?1"

#define SQL_TODO_ADD "INSERT INTO outbox_todo (consumer, id, subject_id, due_at) VALUES (?1, ?2, ?3, ?4)"
/* The oldest of each subject only; subject 0 has no order. */
#define SQL_TODO_DUE                                                                                         \
    "SELECT id, tries FROM outbox_todo t WHERE consumer = ?1 AND dead_at IS NULL AND due_at <= ?2"           \
    " AND lease_until <= ?2 AND (subject_id = 0 OR NOT EXISTS (SELECT 1 FROM outbox_todo o"                  \
    " WHERE o.consumer = ?1 AND o.subject_id = t.subject_id AND o.id < t.id AND o.dead_at IS NULL))"         \
    " ORDER BY due_at, id LIMIT ?3 {skip_locked}"
#define SQL_TODO_LEASE                                                                                       \
    "UPDATE outbox_todo SET lease_owner = ?3, lease_until = ?4 WHERE consumer = ?1 AND id = ?2"
#define SQL_TODO_DONE "DELETE FROM outbox_todo WHERE consumer = ?1 AND id = ?2 AND lease_owner = ?3"
#define SQL_TODO_FAILED                                                                                      \
    "UPDATE outbox_todo SET tries = tries + 1, due_at = ?4, lease_owner = NULL, lease_until = 0,"            \
    " error = ?5, dead_at = ?6 WHERE consumer = ?1 AND id = ?2 AND lease_owner = ?3"
#define SQL_TODO_NEXT "SELECT min(due_at) FROM outbox_todo WHERE consumer = ?1 AND dead_at IS NULL"
#define SQL_TODO_FREE_OWN                                                                                    \
    "UPDATE outbox_todo SET lease_owner = NULL, lease_until = 0 WHERE lease_until > 0 AND lease_owner LIKE " \
    "?1"

#define SQL_DEAD_LIST                                                                                        \
    "SELECT t.consumer, t.id, t.subject_id, t.tries, t.dead_at, t.error, o.topic, o.at, o.body"              \
    " FROM outbox_todo t LEFT JOIN outbox o ON o.id = t.id"                                                  \
    " WHERE t.dead_at IS NOT NULL AND t.id > ?1 ORDER BY t.id, t.consumer LIMIT ?2"
#define SQL_DEAD_RETRY                                                                                       \
    "UPDATE outbox_todo SET dead_at = NULL, tries = 0, due_at = ?3, error = NULL"                            \
    " WHERE consumer = ?1 AND id = ?2 AND dead_at IS NOT NULL"
#define SQL_DEAD_DROP "DELETE FROM outbox_todo WHERE consumer = ?1 AND id = ?2 AND dead_at IS NOT NULL"
#define SQL_STATS_DEAD "SELECT count(*) FROM outbox_todo WHERE dead_at IS NOT NULL"
#define SQL_STATS_WAITING "SELECT count(*), min(id) FROM outbox_todo WHERE dead_at IS NULL"

/* %s: the table of the month */
#define SQL_BROADCAST_ADD "INSERT INTO %s (id, origin, topic, subject_id, body) VALUES (?1, ?2, ?3, ?4, ?5)"
#define SQL_BROADCAST_FROM                                                                                   \
    "SELECT id, origin, topic, subject_id, body FROM broadcast WHERE id > ?1 AND origin <> ?2"               \
    " ORDER BY id LIMIT 1000"
