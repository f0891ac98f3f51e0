/* send.h - one message to one address, now: SMTP by libcurl, HTTP by the client of net/.
 *
 * Blocks for at most SEND_TIMEOUT_MS.  No other protocol is spoken, and redirects are followed within the
 * limits of the client, so that a channel cannot be turned to something else.  Threads: any.  Layer:
 * platform/notify. */
#pragma once
#include "base/err.h"

#define SEND_TIMEOUT_MS 20000

struct client;

enum channel_kind { CHANNEL_MAIL, CHANNEL_WEBHOOK, CHANNEL_WECOM, CHANNEL_DINGTALK, CHANNEL_KIND__COUNT };
enum channel_tls { CHANNEL_TLS_NEVER, CHANNEL_TLS_TRY, CHANNEL_TLS_ALWAYS };

/* "mail", "webhook" ...; -1 when it is none. */
int channel_kind_from(struct str name);
const char *channel_kind_name(enum channel_kind kind);

struct channel {
    int64_t id;
    char code[64], url[512], sender[128], login[128], password[256], body[4096];
    enum channel_kind kind;
    enum channel_tls tls;
    bool enabled;
};

struct notice_text {
    struct str title, text, link;
    int grade;      /* 0: none */
    struct str key; /* becomes the Message-ID, so that a repeated mail can be told */
    int64_t at_ms;
};

/* `address` is the mail address; of other kinds it is not looked at.
 * ERR_NET   the server could not be reached, or refused it for now (4xx of SMTP; 429 and 5xx of HTTP): again
 * later. ERR_INVALID "notify.refused"  it was refused for good, or the channel is not complete.  ERR_NOMEM.
 */
MUST_CHECK enum err_code notice_send(struct client *client, const struct channel *channel, struct str address,
                                     const struct notice_text *notice, struct err *err);
