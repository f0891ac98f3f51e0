#include "net/client.h"
#include "platform/notify/notify.h"
#include "test.h"
#include "teststore.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ids ids;
static struct client *client;

/* A server of one protocol on a free port that keeps what it was sent. */
struct sink {
    int listener, port;
    bool smtp;
    const char *answer; /* to RCPT, or the HTTP status line */
    char got[65536];
    pthread_t thread;
};

static void say(int fd, const char *text)
{
    const ssize_t sent = send(fd, text, strlen(text), MSG_NOSIGNAL);
    (void)sent;
}

static void serve_smtp(struct sink *sink, int fd)
{
    char line[4096];
    FILE *in = fdopen(dup(fd), "r");
    bool data = false;
    say(fd, "220 sink\r\n");
    while (in && fgets(line, sizeof line, in)) {
        strncat(sink->got, line, sizeof sink->got - strlen(sink->got) - 1);
        if (data) {
            data = strcmp(line, ".\r\n") != 0;
            if (!data)
                say(fd, "250 kept\r\n");
        } else if (strncmp(line, "DATA", 4) == 0) {
            data = true;
            say(fd, "354 go\r\n");
        } else if (strncmp(line, "RCPT", 4) == 0) {
            say(fd, sink->answer);
        } else if (strncmp(line, "QUIT", 4) == 0) {
            say(fd, "221 bye\r\n");
            break;
        } else {
            say(fd, "250 ok\r\n");
        }
    }
    if (in)
        (void)fclose(in);
}

static void serve_http(struct sink *sink, int fd)
{
    char chunk[4096];
    for (ssize_t len; (len = recv(fd, chunk, sizeof chunk - 1, 0)) > 0;) {
        chunk[len] = 0;
        strncat(sink->got, chunk, sizeof sink->got - strlen(sink->got) - 1);
        const char *body = strstr(sink->got, "\r\n\r\n"), *length = strstr(sink->got, "Content-Length: ");
        if (body && (!length || strlen(body + 4) >= strtoul(length + 16, NULL, 10)))
            break;
    }
    char reply[512];
    (void)snprintf(reply, sizeof reply,
                   "HTTP/1.1 %s\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{\"errcode\":0}",
                   sink->answer);
    say(fd, reply);
}

static void *sink_main(void *arg)
{
    struct sink *sink = arg;
    for (int fd; (fd = accept(sink->listener, NULL, NULL)) >= 0; close(fd)) {
        if (sink->smtp)
            serve_smtp(sink, fd);
        else
            serve_http(sink, fd);
    }
    return NULL;
}

static void sink_start(struct sink *sink, bool smtp, const char *answer)
{
    *sink = (struct sink) { .smtp = smtp, .answer = answer };
    sink->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    test_ok(bind(sink->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                listen(sink->listener, 5) == 0 &&
                getsockname(sink->listener, (struct sockaddr *)&address, &size) == 0,
            "listens");
    sink->port = ntohs(address.sin_port);
    (void)pthread_create(&sink->thread, NULL, sink_main, sink);
}

static void sink_stop(struct sink *sink)
{
    (void)shutdown(sink->listener, SHUT_RDWR);
    (void)close(sink->listener);
    (void)pthread_join(sink->thread, NULL);
}

static struct channel channel_of(const struct sink *sink, enum channel_kind kind)
{
    struct channel channel = {
        .id = 9, .kind = kind, .enabled = true, .code = "c", .sender = "duty@example.gov.cn"
    };
    (void)snprintf(channel.url, sizeof channel.url, "%s://127.0.0.1:%d/hook", sink->smtp ? "smtp" : "http",
                   sink->port);
    return channel;
}

static const struct notice_text TEXT = { { "一级告警：许昌市政府门户网站打不开，持续三分钟", 69 },
                                         { "网站返回 502。", 17 },
                                         { "http://127.0.0.1/alarms/1", 25 },
                                         1,
                                         { "17.3", 4 },
                                         INT64_C(1795241100000) };

static void test_mail(void **state)
{
    (void)state;
    struct sink sink;
    struct err err;
    sink_start(&sink, true, "250 ok\r\n");
    const struct channel channel = channel_of(&sink, CHANNEL_MAIL);
    test_ok(notice_send(client, &channel, STR("wang@example.gov.cn"), &TEXT, &err) == ERR_OK, "sends: %s",
            err.args[1].text);
    sink_stop(&sink);
    test_ok(strstr(sink.got, "MAIL FROM:<duty@example.gov.cn>") &&
                strstr(sink.got, "RCPT TO:<wang@example.gov.cn>"),
            "envelope");
    test_ok(strstr(sink.got, "Subject: =?UTF-8?B?5LiA57qn5ZGK6K2m") != NULL, "subject in %s", sink.got);
    test_ok(strstr(sink.got, "Message-ID: <17.3@example.gov.cn>") &&
                strstr(sink.got, "Date: Sat, 21 Nov 2026 06:05:00 +0000"),
            "headers");
    test_ok(strstr(sink.got, "572R56uZ6L+U5Zue") != NULL, "the text, in base64");
    for (char *line = strtok(sink.got, "\n"); line; line = strtok(NULL, "\n"))
        test_ok(strlen(line) < 100, "no long line: %s", line);
}

static void test_mail_refused(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *address;
        enum err_code want;
    } cases[] = { { "550 no such user\r\n", "a@b", ERR_INVALID },
                  { "451 later\r\n", "a@b", ERR_NET },
                  { "250 ok\r\n", "a@b\r\nBcc: x@y", ERR_INVALID },
                  { "250 ok\r\n", "", ERR_INVALID } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sink sink;
        struct err err;
        sink_start(&sink, true, cases[i].answer);
        const struct channel channel = channel_of(&sink, CHANNEL_MAIL);
        const enum err_code rc = notice_send(client, &channel, str_from(cases[i].address), &TEXT, &err);
        sink_stop(&sink);
        test_ok(rc == cases[i].want, "case %zu: %s", i, err_name(rc));
    }
    struct err err;
    struct channel nobody = { .kind = CHANNEL_MAIL, .url = "smtp://127.0.0.1:1", .sender = "a@b" };
    test_ok(notice_send(client, &nobody, STR("a@b"), &TEXT, &err) == ERR_NET, "nobody there");
    nobody.kind = CHANNEL_WEBHOOK;
    (void)snprintf(nobody.url, sizeof nobody.url, "file:///etc/passwd");
    test_ok(notice_send(client, &nobody, STR(""), &TEXT, &err) == ERR_INVALID, "no other protocol");
}

static void test_hooks(void **state)
{
    (void)state;
    static const struct {
        enum channel_kind kind;
        const char *status, *body, *want;
        enum err_code rc;
    } cases[] = {
        { CHANNEL_WEBHOOK, "200 OK", "", "\"title\":\"一级告警", ERR_OK },
        { CHANNEL_WEBHOOK, "200 OK", "{\"t\":\"{title}/{grade}\"}", "持续三分钟/1\"}", ERR_OK },
        { CHANNEL_WECOM, "200 OK", "", "{\"msgtype\":\"text\"", ERR_OK },
        { CHANNEL_DINGTALK, "200 OK", "", "?timestamp=", ERR_OK },
        { CHANNEL_WEBHOOK, "500 Oops", "", "", ERR_NET },
        { CHANNEL_WEBHOOK, "429 Slow", "", "", ERR_NET },
        { CHANNEL_WEBHOOK, "404 No", "", "", ERR_INVALID },
        { CHANNEL_WEBHOOK, "302 Found", "", "", ERR_INVALID },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sink sink;
        struct err err;
        sink_start(&sink, false, cases[i].status);
        struct channel channel = channel_of(&sink, cases[i].kind);
        (void)snprintf(channel.body, sizeof channel.body, "%s", cases[i].body);
        (void)snprintf(channel.password, sizeof channel.password, "SEC123");
        const enum err_code rc = notice_send(client, &channel, STR(""), &TEXT, &err);
        sink_stop(&sink);
        test_ok(rc == cases[i].rc, "case %zu: %s", i, err_name(rc));
        test_ok(strstr(sink.got, cases[i].want) != NULL, "case %zu got %s", i, sink.got);
    }
}

struct world {
    struct store *store;
    struct outbox *outbox;
    struct words *words;
    struct notify *notify;
};

static void open_world(struct world *world)
{
    struct err err;
    world->store = teststore_new();
    ids_init(&ids, &CLOCK_SYSTEM, 1);
    teststore_ok(outbox_new(world->store, &ids, NULL, STR("test"), &world->outbox, &err), &err, "outbox");
    world->words = words_new();
    teststore_ok(words_add(world->words, LANG_ZH,
                           STR("{\"notify.alarm.raise.title\":\"{grade}告警：{title}\",\"notify.alarm.raise."
                               "text\":\"{title} {value}\","
                               "\"grade.1\":\"一级\"}"),
                           &err),
                 &err, "words");
    teststore_ok(notify_new(&(struct notify_config) { .store = world->store,
                                                      .ids = &ids,
                                                      .outbox = world->outbox,
                                                      .client = client,
                                                      .words = world->words,
                                                      .clock = &CLOCK_SYSTEM,
                                                      .public_url = "http://h" },
                            &world->notify, &err),
                 &err, "notify");
}

static void close_world(struct world *world)
{
    outbox_free(world->outbox);
    notify_free(world->notify);
    words_free(world->words);
    store_close(world->store);
}

struct seen {
    int count;
    char title[400];
};

static enum err_code see_notice(void *arg, const struct inbox_row *row, struct err *err)
{
    struct seen *seen = arg;
    (void)err;
    seen->count++;
    (void)snprintf(seen->title, sizeof seen->title, "%.*s", STR_ARG(row->title));
    return ERR_OK;
}

static enum err_code see_delivery(void *arg, const struct delivery_row *row, struct err *err)
{
    struct seen *seen = arg;
    (void)err;
    seen->count += row->sent ? 1 : 100;
    return ERR_OK;
}

static enum err_code read_inbox(struct tx *tx, void *arg, struct err *err)
{
    struct seen *seen = arg;
    *seen = (struct seen) { 0 };
    return inbox_rows(tx, 3, true, 0, 100, see_notice, seen, err);
}

static enum err_code read_deliveries(struct tx *tx, void *arg, struct err *err)
{
    struct seen *seen = arg;
    *seen = (struct seen) { 0 };
    return delivery_rows(tx, 0, 100, see_delivery, seen, err);
}

static enum err_code mark_read(struct tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return inbox_read(tx, 3, 0, 5, err);
}

static struct seen look(struct store *store, store_fn fn)
{
    struct seen seen = { 0 };
    struct err err;
    teststore_ok(store_read(store, fn, &seen, &err), &err, "reads");
    return seen;
}

static void test_from_notice_to_mail(void **state)
{
    (void)state;
    struct world world;
    struct sink sink;
    struct err err;
    int done;
    open_world(&world);
    sink_start(&sink, true, "250 ok\r\n");
    const struct channel channel = channel_of(&sink, CHANNEL_MAIL);
    teststore_ok(notify_channel_set(world.notify, &channel, &err), &err, "channel");
    const struct notice_person people[] = { { 3, STR("wang@b"), LANG_ZH, 9 }, { 4, STR(""), LANG_ZH, 9 } };
    const struct notice_arg args[] = { { "grade", STR("@grade.1") },
                                       { "title", STR("网站打不开") },
                                       { "value", STR("{title}") } };
    const struct notice notice = { .id = ids_next(&ids),
                                   .code = STR("alarm.raise"),
                                   .people = people,
                                   .people_count = 2,
                                   .args = args,
                                   .args_count = 3,
                                   .link = STR("/alarms/1"),
                                   .grade = 1,
                                   .at_ms = 1 };
    teststore_ok(notify_tell(world.notify, &notice, &err), &err, "tells");
    teststore_ok(notify_tell(world.notify, &notice, &err), &err, "tells again");
    struct seen inbox = look(world.store, read_inbox);
    test_ok(inbox.count == 1 && strcmp(inbox.title, "一级告警：网站打不开") == 0, "%d '%s'", inbox.count,
            inbox.title);
    teststore_ok(outbox_run_due(world.outbox, &done, &err), &err, "sends");
    test_ok(look(world.store, read_deliveries).count == 2, "both in the log");
    teststore_ok(store_write(world.store, mark_read, NULL, &err), &err, "reads");
    test_ok(look(world.store, read_inbox).count == 0, "read");
    sink_stop(&sink);
    test_ok(strstr(sink.got, "572R56uZ5omT5LiN5byAIHt0aXRsZX0") != NULL,
            "an argument is not formatted again");
    close_world(&world);
}

static void test_template_wins_and_without_the_store(void **state)
{
    (void)state;
    struct world world;
    struct sink sink;
    struct err err;
    open_world(&world);
    sink_start(&sink, false, "200 OK");
    const struct channel channel = channel_of(&sink, CHANNEL_WECOM);
    teststore_ok(notify_channel_set(world.notify, &channel, &err), &err, "channel");
    teststore_ok(notify_template_set(world.notify, 1, STR("alarm.raise"), LANG_ZH, STR("本局：{title}"),
                                     STR("请处理"), &err),
                 &err, "template");
    const struct notice_person people[] = { { 3, STR(""), LANG_ZH, 9 }, { 4, STR(""), LANG_ZH, 9 } };
    const struct notice_arg args[] = { { "title", STR("断网") } };
    const struct notice notice = { .id = ids_next(&ids),
                                   .code = STR("alarm.raise"),
                                   .people = people,
                                   .people_count = 2,
                                   .args = args,
                                   .args_count = 1,
                                   .grade = 1 };
    store_fail_at(world.store, 0, ERR_STORE);
    teststore_ok(notify_tell(world.notify, &notice, &err), &err, "told without the store");
    store_fail_at(world.store, -1, ERR_OK);
    sink_stop(&sink);
    char *first = strstr(sink.got, "本局：断网\\n请处理");
    test_ok(first && !strstr(first + 1, "本局"), "the group hears it once: %s", sink.got);
    test_ok(look(world.store, read_inbox).count == 0, "nothing in the inbox");
    test_ok(look(world.store, read_deliveries).count == 0, "nor in the delivery log yet");
    store_fail_at(world.store, 0, ERR_STORE);
    notify_flush(world.notify);
    test_ok(look(world.store, read_deliveries).count == 0, "the store is still away");
    store_fail_at(world.store, -1, ERR_OK);
    notify_flush(world.notify);
    test_ok(look(world.store, read_deliveries).count == 1, "but when it is back");
    notify_flush(world.notify);
    test_ok(look(world.store, read_deliveries).count == 1, "once");
    close_world(&world);
}

static int start(void **state)
{
    struct err err;
    (void)state;
    return client_new(&(struct client_config) { 0 }, &client, &err) != ERR_OK;
}

static int stop(void **state)
{
    (void)state;
    client_free(client);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { TEST(test_mail), TEST(test_mail_refused), TEST(test_hooks),
                                        TEST(test_from_notice_to_mail),
                                        TEST(test_template_wins_and_without_the_store) };
    test_setup(argc, argv);
    return cmocka_run_group_tests(tests, start, stop) != 0;
}
