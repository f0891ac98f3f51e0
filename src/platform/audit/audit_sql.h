/* audit_sql.h - the statements of the audit. */
#pragma once

#define AUDIT_FIELDS                                                                                         \
    "id, at, chain, seq, user_id, user_name, remote, request_id, action, object_type, object_id, "           \
    "object_name, "                                                                                          \
    "before, after, detail"

#define SQL_HEAD_GET "SELECT seq, hash FROM audit_head WHERE chain = ?1 {for_update}"
/* Only over the head that the lines were chained to. */
#define SQL_HEAD_PUT                                                                                         \
    "INSERT INTO audit_head (chain, seq, hash, start_seq, start_hash, start_seal) VALUES (?1, ?2, ?3, 0, "   \
    "'', '') "                                                                                               \
    "ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq, hash = excluded.hash"                             \
    " WHERE audit_head.seq = ?4 AND audit_head.hash = ?5"
/* The table's name is the month's, from tx_period(). */
#define SQL_LINE_ADD                                                                                         \
    "INSERT INTO %s (" AUDIT_FIELDS ", hash) VALUES "                                                        \
    "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
#define SQL_HEADS "SELECT chain, seq, hash, start_seq, start_hash, start_seal FROM audit_head ORDER BY chain"
#define SQL_CHAIN "SELECT " AUDIT_FIELDS ", hash FROM audit WHERE chain = ?1 AND seq > ?2 ORDER BY seq"
#define SQL_CHECKPOINT_LAST "SELECT seq, hash, heads FROM audit_checkpoint ORDER BY seq DESC LIMIT 1"
#define SQL_CHECKPOINT_ADD "INSERT INTO audit_checkpoint (seq, at, heads, hash) VALUES (?1, ?2, ?3, ?4)"
#define SQL_CHECKPOINTS "SELECT seq, at, heads, hash FROM audit_checkpoint ORDER BY seq"
#define SQL_LINE_HASH "SELECT hash FROM audit WHERE chain = ?1 AND seq = ?2"
#define SQL_CHAIN_LAST_BEFORE                                                                                \
    "SELECT seq, hash FROM audit WHERE chain = ?1 AND at < ?2 ORDER BY seq DESC LIMIT 1"
#define SQL_HEAD_START                                                                                       \
    "UPDATE audit_head SET start_seq = ?2, start_hash = ?3, start_seal = ?4 WHERE chain = ?1"

/* ?1 before this id, ?2 limit, ?3 to ?4 the instants, the rest empty or 0 when not asked for.  `at` limits
 * the months that are looked at on PostgreSQL. */
#define SQL_AUDIT_FIND_COLUMNS                                                                               \
    "SELECT id, at, user_id, user_name, remote, request_id, action, object_type, object_id, object_name,"    \
    " before, after, detail FROM audit WHERE id < ?1 AND at >= ?3 AND at < ?4"                               \
    " AND (?5 = '' OR user_name = ?5) AND (?6 = '' OR action = ?6)"
#define SQL_AUDIT_FIND_END " ORDER BY id DESC LIMIT ?2"
#define SQL_AUDIT_FIND                                                                                       \
    SQL_AUDIT_FIND_COLUMNS " AND (?7 = '' OR object_type = ?7) AND (?8 = 0 OR object_id = ?8)"               \
                           " AND (?9 = 0 OR user_id = ?9)" SQL_AUDIT_FIND_END
#define SQL_AUDIT_FIND_OBJECT                                                                                \
    SQL_AUDIT_FIND_COLUMNS                                                                                   \
    " AND object_type = ?7 AND object_id = ?8 AND (?9 = 0 OR user_id = ?9)" SQL_AUDIT_FIND_END
#define SQL_AUDIT_FIND_USER                                                                                  \
    SQL_AUDIT_FIND_COLUMNS " AND user_id = ?9 AND (?7 = '' OR object_type = ?7)"                             \
                           " AND (?8 = 0 OR object_id = ?8)" SQL_AUDIT_FIND_END
