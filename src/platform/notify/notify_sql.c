/* notify_sql.c - the inbox and the delivery log. */
#include "platform/notify/notify_sql.h"

#include <stdio.h>

#define SQL_NOTICE_ADD                                                                                       \
    "INSERT INTO %s (id, user_id, at_ms, code, grade, title, text, link, read_ms) "                          \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0) ON CONFLICT (user_id, id) DO NOTHING"
#define SQL_NOTICES                                                                                          \
    "SELECT id, at_ms, read_ms, grade, code, title, text, link FROM notice WHERE user_id = ?1 AND id < ?2 "  \
    "ORDER BY id DESC LIMIT ?3"
#define SQL_NOTICES_UNREAD                                                                                   \
    "SELECT id, at_ms, read_ms, grade, code, title, text, link FROM notice WHERE user_id = ?1 AND id < ?2 "  \
    "AND read_ms = 0 ORDER BY id DESC LIMIT ?3"
#define SQL_UNREAD                                                                                           \
    "SELECT COUNT(*) FROM (SELECT 1 FROM notice WHERE user_id = ?1 AND read_ms = 0 LIMIT 1000) AS n"
#define SQL_UNREAD_IDS                                                                                       \
    "SELECT id FROM notice WHERE user_id = ?1 AND read_ms = 0 AND (?2 = 0 OR id = ?2) LIMIT 1000"
#define SQL_READ "UPDATE %s SET read_ms = ?3 WHERE user_id = ?1 AND id = ?2"
#define SQL_DELIVERY_ADD                                                                                     \
    "INSERT INTO %s (id, at_ms, channel, user_id, notice, sent, address, title, error) "                     \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
#define SQL_DELIVERIES                                                                                       \
    "SELECT id, at_ms, channel, user_id, notice, sent, address, title, error FROM delivery WHERE id < ?1 "   \
    "ORDER BY id DESC LIMIT ?2"

#define SQL_CHOICE "SELECT channel FROM notice_choice WHERE user_id = ?1 AND topic = ?2"
#define SQL_CHOICE_SET                                                                                       \
    "INSERT INTO notice_choice (user_id, topic, channel) VALUES (?1, ?2, ?3) "                               \
    "ON CONFLICT (user_id, topic) DO UPDATE SET channel = excluded.channel"
#define SQL_CHOICE_DROP "DELETE FROM notice_choice WHERE user_id = ?1 AND topic = ?2"
#define SQL_MAIL "SELECT email FROM app_user WHERE id = ?1"

/* A statement on the month's table of `id`. */
static enum err_code prepare_month(struct tx *tx, const char *table, int64_t id, const char *format,
                                   struct stmt **out, struct err *err)
{
    char name[STORE_NAME_SIZE], sql[512];
    const enum err_code rc = tx_period(tx, table, ids_instant_ms(id), name, err);
    if (rc)
        return rc;
    struct buf text;
    buf_init(&text, sizeof sql);
    for (const char *at = format; *at; at++) {
        if (at[0] == '%' && at[1] == 's') {
            buf_text(&text, name);
            at++;
        } else {
            buf_char(&text, *at);
        }
    }
    const enum err_code made = buf_check(&text, err) ? err->code : tx_prepare(tx, text.ptr, out, err);
    buf_done(&text);
    return made;
}

enum err_code inbox_add(struct tx *tx, int64_t id, int64_t user, int64_t at_ms, struct str code, int grade,
                        struct str title, struct str text, struct str link, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    if (prepare_month(tx, "notice", id, SQL_NOTICE_ADD, &stmt, err))
        return err->code;
    stmt_bind_i64(stmt, 1, id);
    stmt_bind_i64(stmt, 2, user);
    stmt_bind_i64(stmt, 3, at_ms);
    stmt_bind_text(stmt, 4, code);
    stmt_bind_i64(stmt, 5, grade);
    stmt_bind_text(stmt, 6, title);
    stmt_bind_text(stmt, 7, text);
    stmt_bind_text(stmt, 8, link);
    return stmt_run(stmt, NULL, err);
}

enum err_code inbox_rows(struct tx *tx, int64_t user, bool unread, int64_t below, int limit,
                         enum err_code (*each)(void *arg, const struct inbox_row *row, struct err *err),
                         void *arg, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool more = false;
    if (tx_query(tx, unread ? SQL_NOTICES_UNREAD : SQL_NOTICES,
                 BINDS(bind_i64(user), bind_i64(below ? below : INT64_MAX), bind_i64(limit)), &stmt, err))
        return err->code;
    for (;;) {
        enum err_code rc = stmt_step(stmt, &more, err);
        if (rc || !more)
            return rc;
        const struct inbox_row row = { .id = stmt_i64(stmt, 0),
                                       .at_ms = stmt_i64(stmt, 1),
                                       .read_ms = stmt_i64(stmt, 2),
                                       .grade = (int)stmt_i64(stmt, 3),
                                       .code = stmt_text(stmt, 4),
                                       .title = stmt_text(stmt, 5),
                                       .text = stmt_text(stmt, 6),
                                       .link = stmt_text(stmt, 7) };
        rc = each(arg, &row, err);
        if (rc)
            return rc;
    }
}

enum err_code inbox_unread(struct tx *tx, int64_t user, int64_t *out_count, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_query_row(tx, SQL_UNREAD, BINDS(bind_i64(user)), &stmt, &row, err))
        return err->code;
    *out_count = row ? stmt_i64(stmt, 0) : 0;
    return ERR_OK;
}

enum err_code inbox_read(struct tx *tx, int64_t user, int64_t id, int64_t now_ms, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *found = NULL;
    int64_t ids[1000];
    int count = 0;
    bool row = false;
    if (tx_query(tx, SQL_UNREAD_IDS, BINDS(bind_i64(user), bind_i64(id)), &found, err))
        return err->code;
    enum err_code rc = ERR_OK;
    while (!(rc = stmt_step(found, &row, err)) && row && count < 1000)
        ids[count++] = stmt_i64(found, 0);
    for (int i = 0; i < count && !rc; i++) {
        AUTO(stmt_free_auto) struct stmt *stmt = NULL;
        rc = prepare_month(tx, "notice", ids[i], SQL_READ, &stmt, err);
        if (rc)
            break;
        stmt_bind_i64(stmt, 1, user);
        stmt_bind_i64(stmt, 2, ids[i]);
        stmt_bind_i64(stmt, 3, now_ms);
        rc = stmt_run(stmt, NULL, err);
    }
    return rc;
}

enum err_code delivery_add(struct tx *tx, const struct delivery_row *row, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    if (prepare_month(tx, "delivery", row->id, SQL_DELIVERY_ADD, &stmt, err))
        return err->code;
    stmt_bind_i64(stmt, 1, row->id);
    stmt_bind_i64(stmt, 2, row->at_ms);
    stmt_bind_i64(stmt, 3, row->channel);
    stmt_bind_i64(stmt, 4, row->user);
    stmt_bind_i64(stmt, 5, row->notice);
    stmt_bind_i64(stmt, 6, row->sent);
    stmt_bind_text(stmt, 7, row->address);
    stmt_bind_text(stmt, 8, row->title);
    stmt_bind_text(stmt, 9, row->error);
    return stmt_run(stmt, NULL, err);
}

enum err_code delivery_rows(struct tx *tx, int64_t below, int limit,
                            enum err_code (*each)(void *arg, const struct delivery_row *row, struct err *err),
                            void *arg, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool more = false;
    if (tx_query(tx, SQL_DELIVERIES, BINDS(bind_i64(below ? below : INT64_MAX), bind_i64(limit)), &stmt, err))
        return err->code;
    for (;;) {
        enum err_code rc = stmt_step(stmt, &more, err);
        if (rc || !more)
            return rc;
        const struct delivery_row row = { .id = stmt_i64(stmt, 0),
                                          .at_ms = stmt_i64(stmt, 1),
                                          .channel = stmt_i64(stmt, 2),
                                          .user = stmt_i64(stmt, 3),
                                          .notice = stmt_i64(stmt, 4),
                                          .sent = stmt_i64(stmt, 5) != 0,
                                          .address = stmt_text(stmt, 6),
                                          .title = stmt_text(stmt, 7),
                                          .error = stmt_text(stmt, 8) };
        rc = each(arg, &row, err);
        if (rc)
            return rc;
    }
}

/* ---- how a user wants to be told ---- */

const char *notice_topic_name(enum notice_topic topic)
{
    static const char *const names[NOTICE_TOPIC__COUNT] = { [NOTICE_TASK] = "task", [NOTICE_SLA] = "sla" };
    return names[topic];
}

enum err_code notice_choice_get(struct tx *tx, int64_t user, enum notice_topic topic, int64_t *out_channel,
                                struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc =
        tx_query_row(tx, SQL_CHOICE, BINDS(bind_i64(user), bind_text(str_from(notice_topic_name(topic)))),
                     &stmt, &row, err);
    if (!rc)
        *out_channel = row ? stmt_i64(stmt, 0) : 0;
    return rc;
}

enum err_code notice_choice_set(struct tx *tx, int64_t user, enum notice_topic topic, int64_t channel,
                                struct err *err)
{
    const struct str name = str_from(notice_topic_name(topic));
    if (channel)
        return tx_run(tx, SQL_CHOICE_SET, BINDS(bind_i64(user), bind_text(name), bind_i64(channel)), NULL,
                      err);
    return tx_run(tx, SQL_CHOICE_DROP, BINDS(bind_i64(user), bind_text(name)), NULL, err);
}

enum err_code notice_mail(struct tx *tx, int64_t user, struct str *out_mail, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_MAIL, BINDS(bind_i64(user)), &stmt, &row, err);
    if (rc)
        return rc;
    *out_mail = row && stmt_text(stmt, 0).len ? arena_str(tx_arena(tx), stmt_text(stmt, 0)) : STR("");
    return out_mail->ptr ? ERR_OK : err_nomem(err);
}
