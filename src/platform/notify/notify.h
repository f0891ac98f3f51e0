/* notify.h - notices to people: the inbox, and channels that reach them elsewhere.
 *
 * A notice is added in the transaction that makes it due: rows of the inbox, and one message a channel and
 * address in the outbox, whose consumer "notify" sends it, tries again with growing pauses and leaves a dead
 * letter for good.  Every delivery, good or not, is in the delivery log.
 * While SQL is away notify_tell() sends at once from memory: channels and templates are held there.
 * Threads: any.  Layer: platform/notify. */
#pragma once
#include "base/words.h"
#include "platform/bus/outbox.h"
#include "platform/notify/send.h"

#define NOTICE_PEOPLE_MAX 200
#define NOTICE_ARGS_MAX 16
#define CHANNELS_MAX 200

struct notify;

struct notify_config {
    struct store *store;
    struct ids *ids;
    struct outbox *outbox; /* the consumer registers itself there */
    const struct words *words;
    const struct clock *clock;
    struct client *client;  /* for webhooks */
    const char *public_url; /* put before links; may be NULL */
    struct bus *bus;        /* "notice.new" with the user as its subject, for live pages; may be NULL */
};
MUST_CHECK enum err_code notify_new(const struct notify_config *config, struct notify **out, struct err *err);
void notify_free(struct notify *notify);
/* Another address before links from now on; NULL: none. */
void notify_public_url(struct notify *notify, const char *public_url);

/* Channels and templates in memory; replaced by id, taken out with `gone`. */
MUST_CHECK enum err_code notify_channel_set(struct notify *notify, const struct channel *channel,
                                            struct err *err);
void notify_channel_remove(struct notify *notify, int64_t id);
/* Each that is enabled, until `each` returns false. */
void notify_channels(struct notify *notify, bool (*each)(void *arg, const struct channel *channel),
                     void *arg);
bool notify_channel_get(struct notify *notify, int64_t id, struct channel *out);
MUST_CHECK enum err_code notify_template_set(struct notify *notify, int64_t id, struct str code,
                                             enum lang lang, struct str title, struct str text,
                                             struct err *err);
void notify_template_remove(struct notify *notify, int64_t id);

struct notice_person {
    int64_t user_id; /* 0: an address only */
    struct str mail;
    enum lang lang;
    int64_t channel; /* by which they are reached besides the inbox; 0: inbox only */
};
struct notice_arg {
    const char *name;
    struct str text; /* "@KEY" is a word of the receiver's language */
};
struct notice {
    int64_t id;      /* of the event: the same notice twice is one in the inbox */
    struct str code; /* "alarm.raise": a template, else the words notify.CODE.title and notify.CODE.text */
    const struct notice_person *people;
    int people_count; /* at most NOTICE_PEOPLE_MAX */
    const struct notice_arg *args;
    int args_count;
    struct str link; /* path in the application, "/alarms/17"; may be empty */
    int grade;       /* 0: none */
    int64_t at_ms;
};

/* Within the caller's transaction. */
MUST_CHECK enum err_code notify_add(struct notify *notify, struct tx *tx, const struct notice *notice,
                                    struct err *err);
/* In a transaction of its own; when the store is away it is sent at once instead (ERR_OK when every channel
 * took it).  May wait as long as sending takes. */
MUST_CHECK enum err_code notify_tell(struct notify *notify, const struct notice *notice, struct err *err);
/* Writes what the delivery log could not take while the store was away; cheap when there is nothing. */
void notify_flush(struct notify *notify);
/* 'Send a test': sends now and says how it went. */
MUST_CHECK enum err_code notify_test(struct notify *notify, int64_t channel, struct str address,
                                     enum lang lang, struct err *err);

/* ---- the inbox and the delivery log (notify_sql.c) ---- */

struct inbox_row {
    int64_t id, at_ms, read_ms;
    int grade;
    struct str code, title, text, link; /* live until `each` returns */
};
MUST_CHECK enum err_code inbox_rows(struct tx *tx, int64_t user, bool unread, int64_t below, int limit,
                                    enum err_code (*each)(void *arg, const struct inbox_row *row,
                                                          struct err *err),
                                    void *arg, struct err *err);
MUST_CHECK enum err_code inbox_unread(struct tx *tx, int64_t user, int64_t *out_count, struct err *err);
/* By which channel the user wants notices of a topic besides the inbox; 0 = the inbox alone. */
enum notice_topic { NOTICE_TASK, NOTICE_SLA, NOTICE_TOPIC__COUNT };
const char *notice_topic_name(enum notice_topic topic); /* "task", "sla" */
MUST_CHECK enum err_code notice_choice_get(struct tx *tx, int64_t user, enum notice_topic topic,
                                           int64_t *out_channel, struct err *err);
MUST_CHECK enum err_code notice_choice_set(struct tx *tx, int64_t user, enum notice_topic topic,
                                           int64_t channel, struct err *err);
/* The user's mail address, "" when there is none; in tx_arena(). */
MUST_CHECK enum err_code notice_mail(struct tx *tx, int64_t user, struct str *out_mail, struct err *err);
/* Marks one (or with id 0 all up to now) as read. */
MUST_CHECK enum err_code inbox_read(struct tx *tx, int64_t user, int64_t id, int64_t now_ms, struct err *err);

struct delivery_row {
    int64_t id, at_ms, channel, user, notice;
    bool sent;
    struct str address, title, error;
};
MUST_CHECK enum err_code delivery_rows(struct tx *tx, int64_t below, int limit,
                                       enum err_code (*each)(void *arg, const struct delivery_row *row,
                                                             struct err *err),
                                       void *arg, struct err *err);
