/* notify.c - see notify.h */
#include "platform/notify/notify.h"
#include "base/json.h"
#include "base/log.h"
#include "platform/notify/notify_sql.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#define TOPIC "notify.send"
#define TEMPLATES_MAX 500
#define TEXT_MAX 16384
#define KEPT_MAX 1000 /* deliveries that wait for the store; the oldest are dropped */

struct template
{
    int64_t id;
    char code[64];
    enum lang lang;
    char title[804], text[16004]; /* 200 and 4,000 code points */
};

/* A line of the delivery log that waits for the store. */
struct kept {
    struct delivery_row row; /* its texts stand below */
    char address[256], title[256], error[256];
};

struct notify {
    struct notify_config config;
    char public_url[256];
    pthread_rwlock_t lock; /* of the two tables, and of public_url */
    struct channel *channels;
    struct template *templates;
    int channels_count, templates_count;
    pthread_mutex_t kept_lock;
    struct kept *kept; /* a ring of KEPT_MAX, made when first needed */
    int kept_first, kept_count;
};

static enum err_code on_message(void *arg, const struct outbox_message *message, struct err *err);

enum err_code notify_new(const struct notify_config *config, struct notify **out, struct err *err)
{
    struct notify *notify = mem_alloc(1, sizeof *notify);
    if (!notify)
        return err_nomem(err);
    notify->config = *config;
    (void)pthread_rwlock_init(&notify->lock, NULL);
    notify_public_url(notify, config->public_url);
    (void)pthread_mutex_init(&notify->kept_lock, NULL);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    notify->channels = mem_alloc(CHANNELS_MAX, sizeof *notify->channels);
    notify->templates = mem_alloc(TEMPLATES_MAX, sizeof *notify->templates);
    enum err_code rc = notify->channels && notify->templates ? ERR_OK : err_nomem(err);
    if (!rc && config->outbox)
        rc = outbox_register(config->outbox,
                             &(struct outbox_consumer) {
                                 .name = "notify", .pattern = TOPIC, .outside = on_message, .arg = notify },
                             err);
    if (rc) {
        notify_free(notify);
        return rc;
    }
    *out = notify;
    return ERR_OK;
}

void notify_public_url(struct notify *notify, const char *public_url)
{
    (void)pthread_rwlock_wrlock(&notify->lock);
    (void)snprintf(notify->public_url, sizeof notify->public_url, "%s", public_url ? public_url : "");
    (void)pthread_rwlock_unlock(&notify->lock);
}

static void put_link(struct buf *out, struct notify *notify, struct str path)
{
    if (!path.len)
        return;
    (void)pthread_rwlock_rdlock(&notify->lock);
    buf_text(out, notify->public_url);
    (void)pthread_rwlock_unlock(&notify->lock);
    buf_str(out, path);
}

void notify_free(struct notify *notify)
{
    if (!notify)
        return;
    (void)pthread_rwlock_destroy(&notify->lock);
    (void)pthread_mutex_destroy(&notify->kept_lock);
    mem_free(notify->kept);
    mem_free(notify->channels);
    mem_free(notify->templates);
    mem_free(notify);
}

/* ---- channels and templates ---- */

enum err_code notify_channel_set(struct notify *notify, const struct channel *channel, struct err *err)
{
    enum err_code rc = ERR_OK;
    int at = 0;
    (void)pthread_rwlock_wrlock(&notify->lock);
    while (at < notify->channels_count && notify->channels[at].id != channel->id)
        at++;
    if (at == CHANNELS_MAX)
        rc = err_set(err, ERR_LIMIT, "notify.channels_max", ARG_INT("max", CHANNELS_MAX), ARG_END);
    else
        notify->channels[at] = *channel;
    if (!rc && at == notify->channels_count)
        notify->channels_count++;
    (void)pthread_rwlock_unlock(&notify->lock);
    return rc;
}

void notify_channel_remove(struct notify *notify, int64_t id)
{
    (void)pthread_rwlock_wrlock(&notify->lock);
    for (int i = 0; i < notify->channels_count; i++)
        if (notify->channels[i].id == id)
            notify->channels[i--] = notify->channels[--notify->channels_count];
    (void)pthread_rwlock_unlock(&notify->lock);
}

void notify_channels(struct notify *notify, bool (*each)(void *arg, const struct channel *channel), void *arg)
{
    bool more = true;
    (void)pthread_rwlock_rdlock(&notify->lock);
    for (int i = 0; i < notify->channels_count && more; i++)
        if (notify->channels[i].enabled)
            more = each(arg, &notify->channels[i]);
    (void)pthread_rwlock_unlock(&notify->lock);
}

bool notify_channel_get(struct notify *notify, int64_t id, struct channel *out)
{
    bool found = false;
    (void)pthread_rwlock_rdlock(&notify->lock);
    for (int i = 0; i < notify->channels_count && !found; i++)
        if (notify->channels[i].id == id) {
            *out = notify->channels[i];
            found = true;
        }
    (void)pthread_rwlock_unlock(&notify->lock);
    return found;
}

enum err_code notify_template_set(struct notify *notify, int64_t id, struct str code, enum lang lang,
                                  struct str title, struct str text, struct err *err)
{
    enum err_code rc = ERR_OK;
    int at = 0;
    (void)pthread_rwlock_wrlock(&notify->lock);
    while (at < notify->templates_count && notify->templates[at].id != id)
        at++;
    if (at == TEMPLATES_MAX) {
        rc = err_set(err, ERR_LIMIT, "notify.templates_max", ARG_INT("max", TEMPLATES_MAX), ARG_END);
    } else {
        struct template *template = &notify->templates[at];
        template->id = id;
        template->lang = lang;
        (void)snprintf(template->code, sizeof template->code, "%.*s", STR_ARG(code));
        (void)snprintf(template->title, sizeof template->title, "%.*s", STR_ARG(title));
        (void)snprintf(template->text, sizeof template->text, "%.*s", STR_ARG(text));
        notify->templates_count += at == notify->templates_count;
    }
    (void)pthread_rwlock_unlock(&notify->lock);
    return rc;
}

void notify_template_remove(struct notify *notify, int64_t id)
{
    (void)pthread_rwlock_wrlock(&notify->lock);
    for (int i = 0; i < notify->templates_count; i++)
        if (notify->templates[i].id == id)
            notify->templates[i--] = notify->templates[--notify->templates_count];
    (void)pthread_rwlock_unlock(&notify->lock);
}

/* ---- texts ---- */

static void put_formatted(const struct notify *notify, struct buf *out, struct str pattern,
                          const struct notice *notice, enum lang lang)
{
    for (size_t at = 0; at < pattern.len;) {
        const struct str rest = str_slice(pattern, at, pattern.len);
        const ptrdiff_t close = rest.ptr[0] == '{' ? str_find(rest, STR("}")) : -1;
        const struct notice_arg *arg = NULL;
        for (int i = 0; close > 0 && i < notice->args_count; i++)
            if (str_eq(str_slice(rest, 1, (size_t)close), str_from(notice->args[i].name)))
                arg = &notice->args[i];
        if (!arg) {
            buf_char(out, pattern.ptr[at++]);
            continue;
        }
        const bool word = arg->text.len > 1 && arg->text.ptr[0] == '@';
        buf_str(out, word ? words_get(notify->config.words, lang, str_slice(arg->text, 1, arg->text.len))
                          : arg->text);
        at += (size_t)close + 1;
    }
}

struct text {
    struct buf title, body;
};

static void text_done(struct text *text)
{
    buf_done(&text->title);
    buf_done(&text->body);
}

/* The template of the office, else the words of the product. */
static enum err_code text_make(struct notify *notify, const struct notice *notice, enum lang lang,
                               struct text *text, struct err *err)
{
    char key[128];
    buf_init(&text->title, TEXT_MAX);
    buf_init(&text->body, TEXT_MAX * 4);
    (void)pthread_rwlock_rdlock(&notify->lock);
    const struct template *template = NULL;
    for (int i = 0; i < notify->templates_count; i++)
        if (notify->templates[i].lang == lang && str_eq(notice->code, str_from(notify->templates[i].code)))
            template = &notify->templates[i];
    struct str title, body;
    if (template) {
        title = str_from(template->title);
        body = str_from(template->text);
    } else {
        (void)snprintf(key, sizeof key, "notify.%.*s.title", STR_ARG(notice->code));
        title = words_get(notify->config.words, lang, str_from(key));
        (void)snprintf(key, sizeof key, "notify.%.*s.text", STR_ARG(notice->code));
        body = words_get(notify->config.words, lang, str_from(key));
    }
    put_formatted(notify, &text->title, title, notice, lang);
    put_formatted(notify, &text->body, body, notice, lang);
    (void)pthread_rwlock_unlock(&notify->lock);
    return buf_check(&text->title, err) ? err->code : buf_check(&text->body, err);
}

/* ---- adding ---- */

static void put_message(struct buf *out, struct notify *notify, const struct notice *notice,
                        const struct notice_person *person, const struct text *text)
{
    buf_printf(out,
               "{\"notice\":\"%" PRId64 "\",\"channel\":\"%" PRId64 "\",\"user\":\"%" PRId64
               "\",\"at\":%" PRId64 ",\"grade\":%d,\"address\":",
               notice->id, person->channel, person->user_id, notice->at_ms, notice->grade);
    buf_json(out, person->mail);
    buf_text(out, ",\"title\":");
    buf_json(out, buf_get(&text->title));
    buf_text(out, ",\"text\":");
    buf_json(out, buf_get(&text->body));
    buf_text(out, ",\"link\":");
    struct buf link;
    buf_init(&link, 2048);
    put_link(&link, notify, notice->link);
    buf_json(out, buf_get(&link));
    buf_done(&link);
    buf_char(out, '}');
}

/* A group is told once, however many of its people are named. */
static bool told_already(struct notify *notify, const struct notice *notice, int at)
{
    struct channel channel;
    if (!notify_channel_get(notify, notice->people[at].channel, &channel) || channel.kind == CHANNEL_MAIL)
        return false;
    for (int i = 0; i < at; i++)
        if (notice->people[i].channel == notice->people[at].channel)
            return true;
    return false;
}

static bool is_reachable(struct notify *notify, const struct notice *notice, int at)
{
    const struct notice_person *person = &notice->people[at];
    struct channel channel;
    if (!person->channel || !notify_channel_get(notify, person->channel, &channel) || !channel.enabled)
        return false;
    return (channel.kind != CHANNEL_MAIL || person->mail.len) && !told_already(notify, notice, at);
}

static enum err_code add_for(struct notify *notify, struct tx *tx, const struct notice *notice, int at,
                             struct err *err)
{
    const struct notice_person *person = &notice->people[at];
    struct text text;
    struct buf message;
    buf_init(&message, TEXT_MAX * 8);
    enum err_code rc = text_make(notify, notice, person->lang, &text, err);
    if (!rc && person->user_id)
        rc = inbox_add(tx, notice->id, person->user_id, notice->at_ms, notice->code, notice->grade,
                       buf_get(&text.title), buf_get(&text.body), notice->link, err);
    if (!rc && person->user_id && notify->config.bus)
        rc = bus_publish_after(
            notify->config.bus, tx,
            &(struct bus_event) { .topic = STR("notice.new"), .subject_id = person->user_id }, err);
    if (!rc && is_reachable(notify, notice, at)) {
        put_message(&message, notify, notice, person, &text);
        rc = buf_check(&message, err);
        if (!rc)
            rc = outbox_add(notify->config.outbox, tx, STR(TOPIC), 0, buf_get(&message), err);
    }
    buf_done(&message);
    text_done(&text);
    return rc;
}

enum err_code notify_add(struct notify *notify, struct tx *tx, const struct notice *notice, struct err *err)
{
    if (notice->people_count > NOTICE_PEOPLE_MAX)
        return err_set(err, ERR_LIMIT, "notify.people_max", ARG_INT("max", NOTICE_PEOPLE_MAX), ARG_END);
    for (int i = 0; i < notice->people_count; i++) {
        const enum err_code rc = add_for(notify, tx, notice, i, err);
        if (rc)
            return err_in(err, "notify.add");
    }
    return ERR_OK;
}

/* ---- sending ---- */

static enum err_code log_fn(struct tx *tx, void *arg, struct err *err)
{
    return delivery_add(tx, arg, err);
}

static void copy_cut(char *out, size_t size, struct str text)
{
    size_t len = text.len < size ? text.len : size - 1;
    while (len && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    (void)snprintf(out, size, "%.*s", (int)len, text.ptr ? text.ptr : "");
}

static void keep_delivery(struct notify *notify, const struct delivery_row *row)
{
    (void)pthread_mutex_lock(&notify->kept_lock);
    if (!notify->kept)
        notify->kept = mem_alloc(KEPT_MAX, sizeof *notify->kept);
    if (notify->kept) {
        if (notify->kept_count == KEPT_MAX) {
            notify->kept_first = (notify->kept_first + 1) % KEPT_MAX;
            notify->kept_count--;
        }
        struct kept *kept = &notify->kept[(notify->kept_first + notify->kept_count++) % KEPT_MAX];
        kept->row = *row;
        copy_cut(kept->address, sizeof kept->address, row->address);
        copy_cut(kept->title, sizeof kept->title, row->title);
        copy_cut(kept->error, sizeof kept->error, row->error);
    }
    (void)pthread_mutex_unlock(&notify->kept_lock);
}

/* `later`: the store is known to be away, so do not wait for it. */
static void log_delivery(struct notify *notify, struct delivery_row *row, bool later)
{
    struct err err;
    row->id = ids_next(notify->config.ids);
    row->at_ms = clock_now(notify->config.clock);
    if (later || store_write(notify->config.store, log_fn, row, &err))
        keep_delivery(notify, row);
}

static bool first_kept(struct notify *notify, struct kept *out)
{
    (void)pthread_mutex_lock(&notify->kept_lock);
    const bool there = notify->kept_count > 0;
    if (there)
        *out = notify->kept[notify->kept_first];
    (void)pthread_mutex_unlock(&notify->kept_lock);
    return there;
}

static void drop_kept(struct notify *notify, int64_t id)
{
    (void)pthread_mutex_lock(&notify->kept_lock);
    if (notify->kept_count && notify->kept[notify->kept_first].row.id == id) { /* else it was pushed out */
        notify->kept_first = (notify->kept_first + 1) % KEPT_MAX;
        notify->kept_count--;
    }
    (void)pthread_mutex_unlock(&notify->kept_lock);
}

void notify_flush(struct notify *notify)
{
    struct kept kept;
    struct err err;
    while (first_kept(notify, &kept)) {
        kept.row.address = str_from(kept.address);
        kept.row.title = str_from(kept.title);
        kept.row.error = str_from(kept.error);
        store_deadline_set(clock_mono(&CLOCK_SYSTEM) + 2000);
        const enum err_code rc = store_write(notify->config.store, log_fn, &kept.row, &err);
        store_deadline_set(0);
        if (rc == ERR_STORE || rc == ERR_TIMEOUT || rc == ERR_BUSY || rc == ERR_DISK_FULL)
            return; /* still away */
        if (rc)
            log_err(&err, "notify.log", "a delivery is not in the log");
        drop_kept(notify, kept.row.id);
    }
}

static enum err_code send_and_log(struct notify *notify, const struct channel *channel, struct str address,
                                  const struct notice_text *text, struct delivery_row *row, bool later,
                                  struct err *err)
{
    const enum err_code rc = notice_send(notify->config.client, channel, address, text, err);
    char error[256] = "";
    if (rc)
        (void)snprintf(error, sizeof error, "%s: %s", err->id, err->args[1].text);
    row->channel = channel->id;
    row->address = address;
    row->title = text->title;
    row->sent = !rc;
    row->error = str_from(error);
    log_delivery(notify, row, later);
    row->error = STR(""); /* it ends here */
    return rc;
}

static enum err_code on_message(void *arg, const struct outbox_message *message, struct err *err)
{
    struct notify *notify = arg;
    struct channel channel;
    char key[48];
    json_t *json = json_loadb(message->json.ptr, message->json.len, 0, NULL);
    if (!json)
        return err_set(err, ERR_CORRUPT, "notify.message", ARG_END);
    enum err_code rc = ERR_OK;
    if (!notify_channel_get(notify, json_get_id(json, "channel"), &channel))
        rc = err_set(err, ERR_INVALID, "notify.no_channel", ARG_END);
    (void)snprintf(key, sizeof key, "%" PRId64 ".%" PRId64, json_get_id(json, "notice"),
                   json_get_id(json, "user"));
    const struct notice_text text = { json_get_str(json, "title"),
                                      json_get_str(json, "text"),
                                      json_get_str(json, "link"),
                                      (int)json_integer_value(json_object_get(json, "grade")),
                                      str_from(key),
                                      json_integer_value(json_object_get(json, "at")) };
    struct delivery_row row = { .user = json_get_id(json, "user"), .notice = json_get_id(json, "notice") };
    if (!rc)
        rc = send_and_log(notify, &channel, json_get_str(json, "address"), &text, &row, false, err);
    json_decref(json);
    return rc;
}

struct adding {
    struct notify *notify;
    const struct notice *notice;
};

static enum err_code tell_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct adding *adding = arg;
    return notify_add(adding->notify, tx, adding->notice, err);
}

/* The store is away: what matters is that somebody hears of it. */
static enum err_code send_now(struct notify *notify, const struct notice *notice, struct err *err)
{
    enum err_code worst = ERR_OK;
    for (int i = 0; i < notice->people_count; i++) {
        const struct notice_person *person = &notice->people[i];
        struct channel channel;
        if (!is_reachable(notify, notice, i) || !notify_channel_get(notify, person->channel, &channel))
            continue;
        struct text text;
        struct buf link;
        char key[48];
        (void)snprintf(key, sizeof key, "%" PRId64 ".%" PRId64, notice->id, person->user_id);
        buf_init(&link, 2048);
        put_link(&link, notify, notice->link);
        enum err_code rc = text_make(notify, notice, person->lang, &text, err);
        struct delivery_row row = { .user = person->user_id, .notice = notice->id };
        if (!rc)
            rc = send_and_log(notify, &channel, person->mail,
                              &(struct notice_text) { buf_get(&text.title), buf_get(&text.body),
                                                      buf_get(&link), notice->grade, str_from(key),
                                                      notice->at_ms },
                              &row, true, err);
        text_done(&text);
        buf_done(&link);
        worst = rc && rc != ERR_INVALID ? rc : worst; /* what is refused for good is not tried again */
    }
    return worst;
}

enum err_code notify_tell(struct notify *notify, const struct notice *notice, struct err *err)
{
    struct adding adding = { notify, notice };
    const enum err_code rc = store_write(notify->config.store, tell_fn, &adding, err);
    if (rc != ERR_STORE && rc != ERR_TIMEOUT && rc != ERR_DISK_FULL && rc != ERR_BUSY)
        return rc;
    log_err(err, "notify.tell", "sent at once, without the store");
    return send_now(notify, notice, err);
}

enum err_code notify_test(struct notify *notify, int64_t channel_id, struct str address, enum lang lang,
                          struct err *err)
{
    struct channel channel;
    if (!notify_channel_get(notify, channel_id, &channel))
        return err_set(err, ERR_NOT_FOUND, "notify.no_channel", ARG_END);
    char key[40];
    const int64_t now = clock_now(notify->config.clock);
    (void)snprintf(key, sizeof key, "%" PRId64 ".test", ids_next(notify->config.ids));
    const struct notice_text text = { .title =
                                          words_get(notify->config.words, lang, STR("notify.test.title")),
                                      .text = words_get(notify->config.words, lang, STR("notify.test.text")),
                                      .key = str_from(key),
                                      .at_ms = now };
    struct delivery_row row = { 0 };
    return send_and_log(notify, &channel, address.len ? address : str_from(channel.sender), &text, &row,
                        false, err);
}
