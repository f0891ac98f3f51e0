/* routes.c - see routes.h */
#include "platform/notify/routes.h"
#include "base/json.h"
#include "platform/audit/audit.h"
#include "platform/identity/principal.h"

#define PAGE_MAX 200
#define CHINA_MINUTES 480

/* ---- the inbox ---- */

struct page {
    struct request *req;
    json_t *items;
    int64_t below, limit, last, count;
    bool unread;
};

static enum err_code add_notice(void *arg, const struct inbox_row *row, struct err *err)
{
    struct page *page = arg;
    (void)err;
    page->last = row->id;
    (void)json_array_append_new(
        page->items,
        json_pack("{s:o,s:o,s:o,s:o,s:i,s:o,s:o,s:o}", "id", json_id(row->id), "at", json_instant(row->at_ms),
                  "read_at", json_instant(row->read_ms), "code", json_str(row->code), "grade", row->grade,
                  "title", json_str(row->title), "text", json_str(row->text), "link", json_str(row->link)));
    return ERR_OK;
}

static int64_t user_of(const struct request *req)
{
    return ((const struct principal *)req->who)->user_id;
}

static enum err_code notices_fn(struct tx *tx, void *arg, struct err *err)
{
    struct page *page = arg;
    json_array_clear(page->items);
    return inbox_rows(tx, user_of(page->req), page->unread, page->below, (int)page->limit, add_notice, page,
                      err);
}

static enum err_code count_fn(struct tx *tx, void *arg, struct err *err)
{
    struct page *page = arg;
    return inbox_unread(tx, user_of(page->req), &page->count, err);
}

static enum err_code read_page(struct request *req, struct page *page, struct err *err)
{
    *page = (struct page) { .req = req };
    enum err_code rc = request_query_i64(req, "limit", 1, PAGE_MAX, 50, &page->limit, err);
    if (!rc)
        rc = request_query_i64(req, "after", 1, INT64_MAX, INT64_MAX, &page->below, err);
    page->unread = str_eq(request_query(req, "unread"), STR("1"));
    return rc;
}

static enum err_code answer_page(struct page *page, struct reply *reply, struct err *err)
{
    const bool full = (int64_t)json_array_size(page->items) == page->limit;
    return reply_json(
        reply, json_pack("{s:O,s:o}", "items", page->items, "next", full ? json_id(page->last) : json_null()),
        err);
}

/* GET /api/v1/core/notices?unread=1&after=&limit= or &count=1 (the unread ones, at most 1,000) */
static enum err_code notices_list(struct request *req, struct reply *reply, struct err *err)
{
    const struct notify_routes *routes = req->ctx;
    struct page page;
    enum err_code rc = read_page(req, &page, err);
    if (rc)
        return rc;
    if (str_eq(request_query(req, "count"), STR("1"))) {
        rc = store_read(routes->store, count_fn, &page, err);
        return rc ? rc
                  : reply_json(
                        reply,
                        json_pack("{s:I,s:b}", "count", (json_int_t)page.count, "exact", page.count < 1000),
                        err);
    }
    page.items = json_array();
    rc = store_read(routes->store, notices_fn, &page, err);
    if (!rc)
        rc = answer_page(&page, reply, err);
    json_decref(page.items);
    return rc;
}

struct reading {
    struct request *req;
    int64_t id;
};

static enum err_code read_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct reading *reading = arg;
    return inbox_read(tx, user_of(reading->req), reading->id, tx_now_ms(tx), err);
}

/* POST /api/v1/core/notices/{id}/read */
static enum err_code notice_read(struct request *req, struct reply *reply, struct err *err)
{
    const struct notify_routes *routes = req->ctx;
    struct reading reading = { .req = req };
    enum err_code rc = request_path_id(req, "id", &reading.id, err);
    if (!rc)
        rc = store_write(routes->store, read_fn, &reading, err);
    if (!rc)
        reply_empty(reply);
    return rc;
}

/* POST /api/v1/core/notices/read: all up to now */
static enum err_code notices_read(struct request *req, struct reply *reply, struct err *err)
{
    const struct notify_routes *routes = req->ctx;
    struct reading reading = { .req = req };
    const enum err_code rc = store_write(routes->store, read_fn, &reading, err);
    if (!rc)
        reply_empty(reply);
    return rc;
}

/* ---- the delivery log ---- */

static enum err_code add_delivery(void *arg, const struct delivery_row *row, struct err *err)
{
    struct page *page = arg;
    (void)err;
    page->last = row->id;
    (void)json_array_append_new(page->items,
                                json_pack("{s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o}", "id", json_id(row->id),
                                          "at", json_instant(row->at_ms), "channel", json_id(row->channel),
                                          "user", json_id(row->user), "notice", json_id(row->notice), "sent",
                                          row->sent, "address", json_str(row->address), "title",
                                          json_str(row->title), "error", json_str(row->error)));
    return ERR_OK;
}

static enum err_code deliveries_fn(struct tx *tx, void *arg, struct err *err)
{
    struct page *page = arg;
    json_array_clear(page->items);
    return delivery_rows(tx, page->below, (int)page->limit, add_delivery, page, err);
}

/* GET /api/v1/core/deliveries?after=&limit= */
static enum err_code deliveries_list(struct request *req, struct reply *reply, struct err *err)
{
    const struct notify_routes *routes = req->ctx;
    struct page page;
    enum err_code rc = read_page(req, &page, err);
    if (rc)
        return rc;
    page.items = json_array();
    rc = store_read(routes->store, deliveries_fn, &page, err);
    if (!rc)
        rc = answer_page(&page, reply, err);
    json_decref(page.items);
    return rc;
}

/* ---- 'send a test' ---- */

struct test_body {
    struct str address;
};

struct test_act {
    const struct notify_routes *routes;
    const struct request *req;
    int64_t channel;
    struct str address;
};

static enum err_code test_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct test_act *act = arg;
    const struct principal *who = act->req->who;
    const struct audit_line line = { .action = "test",
                                     .object_type = STR("core.channel"),
                                     .object_id = act->channel,
                                     .detail = act->address,
                                     .user_id = who->user_id,
                                     .user_name = who->login,
                                     .remote = act->req->remote,
                                     .request_id = act->req->id };
    return act->routes->audit ? audit_write(act->routes->audit, tx, &line, err) : ERR_OK;
}

/* POST /api/v1/core/channel/{id}/test {address?}: sends now; a failure is the answer. */
static enum err_code channel_test(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "address", FIELD_TEXT, false, 0, 200, offsetof(struct test_body, address), 0 },
        { 0 },
    };
    const struct notify_routes *routes = req->ctx;
    struct test_body body = { 0 };
    int64_t id;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc && request_body(req).len)
        rc = request_fields(req, fields, &body, err);
    struct test_act act = { routes, req, rc ? 0 : id, body.address };
    if (!rc)
        rc = store_write(routes->store, test_fn, &act, err);
    if (!rc)
        rc = notify_test(routes->notify, id, body.address, req->lang, err);
    if (!rc)
        reply_empty(reply);
    return rc;
}

/* ---- how I want to be told ---- */

struct choices {
    struct request *req;
    int64_t channels[NOTICE_TOPIC__COUNT];
};

static enum err_code choices_fn(struct tx *tx, void *arg, struct err *err)
{
    struct choices *choices = arg;
    enum err_code rc = ERR_OK;
    for (int t = 0; t < NOTICE_TOPIC__COUNT && !rc; t++)
        rc = notice_choice_get(tx, user_of(choices->req), (enum notice_topic)t, &choices->channels[t], err);
    return rc;
}

static bool add_channel(void *arg, const struct channel *channel)
{
    (void)json_array_append_new(arg, json_pack("{s:o,s:s,s:s}", "id", json_id(channel->id), "code",
                                               channel->code, "kind", channel_kind_name(channel->kind)));
    return true;
}

/* GET /api/v1/core/notices/settings: {"task":CHANNEL|null,"sla":CHANNEL|null,"channels":[{id,code,kind}]} */
static enum err_code choices_get(struct request *req, struct reply *reply, struct err *err)
{
    const struct notify_routes *routes = req->ctx;
    struct choices choices = { .req = req };
    const enum err_code rc = store_read(routes->store, choices_fn, &choices, err);
    if (rc)
        return rc;
    json_t *out = json_object(), *channels = json_array();
    notify_channels(routes->notify, add_channel, channels);
    for (int t = 0; t < NOTICE_TOPIC__COUNT; t++)
        (void)json_object_set_new(out, notice_topic_name((enum notice_topic)t),
                                  choices.channels[t] ? json_id(choices.channels[t]) : json_null());
    (void)json_object_set_new(out, "channels", channels);
    return reply_json(reply, out, err);
}

/* A channel that is there, and by which the user can be reached. */
static enum err_code choice_check(struct tx *tx, const struct choices *choices, enum notice_topic topic,
                                  struct err *err)
{
    const struct notify_routes *routes = choices->req->ctx;
    char pointer[16];
    struct channel channel;
    struct str mail;
    if (!choices->channels[topic])
        return ERR_OK;
    (void)snprintf(pointer, sizeof pointer, "/%s", notice_topic_name(topic));
    if (!notify_channel_get(routes->notify, choices->channels[topic], &channel) || !channel.enabled) {
        (void)err_set(err, ERR_INVALID, "notify.no_channel", ARG_END);
        return err_pointer(err, str_from(pointer));
    }
    const enum err_code rc = notice_mail(tx, user_of(choices->req), &mail, err);
    if (rc || channel.kind != CHANNEL_MAIL || mail.len)
        return rc;
    (void)err_set(err, ERR_INVALID, "notify.no_address", ARG_END);
    return err_pointer(err, str_from(pointer));
}

static enum err_code choices_set_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct choices *choices = arg;
    enum err_code rc = ERR_OK;
    for (int t = 0; t < NOTICE_TOPIC__COUNT && !rc; t++)
        rc = choice_check(tx, choices, (enum notice_topic)t, err);
    for (int t = 0; t < NOTICE_TOPIC__COUNT && !rc; t++)
        rc = notice_choice_set(tx, user_of(choices->req), (enum notice_topic)t, choices->channels[t], err);
    return rc;
}

/* PUT /api/v1/core/notices/settings {"task":CHANNEL|null,"sla":CHANNEL|null}: all of them; absent is null. */
static enum err_code choices_put(struct request *req, struct reply *reply, struct err *err)
{
    static const struct field fields[] = {
        { "task", FIELD_ID, false, 0, 0, offsetof(struct choices, channels[NOTICE_TASK]), 0 },
        { "sla", FIELD_ID, false, 0, 0, offsetof(struct choices, channels[NOTICE_SLA]), 0 },
        { 0 },
    };
    const struct notify_routes *routes = req->ctx;
    struct choices choices = { .req = req };
    enum err_code rc = request_fields(req, fields, &choices, err);
    if (!rc)
        rc = store_write(routes->store, choices_set_fn, &choices, err);
    return rc ? rc : choices_get(req, reply, err);
}

#define V1 "/api/v1/core/"
const struct route NOTIFY_ROUTES[] = {
    { "GET", V1 "notices", "*", notices_list, 0 },
    { "GET", V1 "notices/settings", "*", choices_get, 0 },
    { "PUT", V1 "notices/settings", "*", choices_put, 0 },
    { "POST", V1 "notices/read", "*", notices_read, 0 },
    { "POST", V1 "notices/{id}/read", "*", notice_read, 0 },
    { "GET", V1 "deliveries", "core.delivery.read", deliveries_list, 0 },
    { "POST", V1 "channel/{id}/test", "core.channel.update", channel_test, ROUTE_LONG },
    { 0 },
};
