/* events.c - live pages: one listener a connection, a bounded queue each.
 *
 * Invariants, all under events->lock:
 * 1. A listener is in the list from its response's first byte until its response is freed.
 * 2. `asleep` is set exactly while its connection is suspended by us; whoever clears it resumes it.
 * 3. A queue over its bound is thrown away and replaced by one `lost` event. */
#include "net/exchange.h"

#include <stdio.h>

#define QUEUE_BYTES_MAX ((size_t)64 << 10)
#define TOPICS_MAX 32
#define BEAT_S 15

struct listener {
    struct listener *next, **place;
    struct events *events;
    struct MHD_Connection *connection;
    const void *who; /* borrowed of the exchange, which lives as long as the connection's request */
    struct str topics[TOPICS_MAX];
    int topics_count;
    struct buf queue;
    size_t sent;
    bool asleep, ended, lost;
    int beat; /* seconds until the next one */
};

struct events {
    struct http_server *server;
    pthread_mutex_t lock;
    struct listener *first;
    int count;
    bool closed;
};

struct events *events_new(struct http_server *server)
{
    struct events *events = mem_alloc(1, sizeof *events);
    if (!events)
        return NULL;
    events->server = server;
    (void)pthread_mutex_init(&events->lock, NULL);
    return events;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    (void)pthread_mutex_destroy(&events->lock);
    mem_free(events);
}

/* Under the lock. */
static void wake(struct listener *listener)
{
    if (!listener->asleep)
        return;
    listener->asleep = false;
    MHD_resume_connection(listener->connection);
}

static void queue_event(struct listener *listener, struct str bytes)
{
    if (listener->lost)
        return;
    if (listener->queue.len - listener->sent + bytes.len > QUEUE_BYTES_MAX) {
        buf_clear(&listener->queue);
        listener->sent = 0;
        listener->lost = true; /* until it has been sent */
        bytes = STR("event: lost\ndata: {}\n\n");
    }
    buf_str(&listener->queue, bytes);
    wake(listener);
}

/* GET /api/v1/core/events?topics=a,b */
enum err_code events_route(struct request *req, struct reply *reply, struct err *err)
{
    struct exchange *x = exchange_of(req);
    struct events *events = req->server->events;
    struct str topics = request_query(req, "topics"), topic;
    struct listener *listener = mem_alloc(1, sizeof *listener);
    if (!listener)
        return err_nomem(err);
    listener->events = events;
    listener->connection = x->connection;
    listener->who = req->who;
    listener->beat = BEAT_S;
    buf_init(&listener->queue, QUEUE_BYTES_MAX * 2);
    buf_text(&listener->queue, "retry: 3000\n: live\n\n");
    while (str_cut(&topics, ',', &topic)) {
        topic = arena_str(req->arena, str_trim(topic));
        if (listener->topics_count == TOPICS_MAX || topic.len > 64 || !topic.ptr) {
            buf_done(&listener->queue);
            mem_free(listener);
            return err_set(err, ERR_LIMIT, "http.topics", ARG_INT("max", TOPICS_MAX), ARG_END);
        }
        if (topic.len)
            listener->topics[listener->topics_count++] = topic;
    }
    (void)pthread_mutex_lock(&events->lock);
    const bool full = events->closed || events->count >= req->server->limits.listeners;
    if (!full) {
        events->count++;
        listener->next = events->first;
        listener->place = &events->first;
        if (events->first)
            events->first->place = &listener->next;
        events->first = listener;
    }
    (void)pthread_mutex_unlock(&events->lock);
    if (full) {
        buf_done(&listener->queue);
        mem_free(listener);
        return err_set(err, ERR_BUSY, "http.busy", ARG_END);
    }
    x->listener = listener;
    reply->content_type = "text/event-stream";
    reply_header(reply, "X-Accel-Buffering", STR("no"));
    return ERR_OK;
}

void listener_drop(struct http_server *server, struct listener *listener)
{
    struct events *events = server->events;
    (void)pthread_mutex_lock(&events->lock);
    *listener->place = listener->next;
    if (listener->next)
        listener->next->place = listener->place;
    events->count--;
    (void)pthread_mutex_unlock(&events->lock);
    buf_done(&listener->queue);
    mem_free(listener);
}

static ssize_t on_read(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct listener *listener = cls;
    struct events *events = listener->events;
    (void)pthread_mutex_lock(&events->lock);
    ssize_t given = 0;
    size_t left = listener->queue.len - listener->sent;
    if (left) {
        given = (ssize_t)(left < max ? left : max);
        memcpy(out, listener->queue.ptr + listener->sent, (size_t)given);
        listener->sent += (size_t)given;
        if (listener->sent == listener->queue.len) {
            buf_clear(&listener->queue);
            listener->sent = 0;
            listener->lost = false;
        }
    } else if (listener->ended) {
        given = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        listener->asleep = true;
        MHD_suspend_connection(listener->connection);
    }
    (void)pthread_mutex_unlock(&events->lock);
    return given;
}

struct MHD_Response *events_response(struct exchange *x)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, on_read, x->listener, NULL);
}

static bool listens(const struct listener *listener, struct str topic)
{
    for (int i = 0; i < listener->topics_count; i++)
        if (str_eq(listener->topics[i], topic) || str_eq(listener->topics[i], STR("*")))
            return true;
    return false;
}

void http_event_publish(struct http_server *server, const char *topic, struct str json,
                        bool (*sees)(void *arg, const void *who), void *arg)
{
    struct events *events = server->events;
    struct buf line;
    buf_init(&line, QUEUE_BYTES_MAX);
    buf_printf(&line, "event: %s\ndata: ", topic);
    for (size_t i = 0; i < json.len; i++) /* a line break would end the event */
        buf_char(&line, json.ptr[i] == '\n' || json.ptr[i] == '\r' ? ' ' : json.ptr[i]);
    buf_text(&line, "\n\n");
    if (!line.failed) {
        (void)pthread_mutex_lock(&events->lock);
        for (struct listener *one = events->first; one; one = one->next)
            if (!one->ended && listens(one, str_from(topic)) && (!sees || sees(arg, one->who)))
                queue_event(one, buf_get(&line));
        (void)pthread_mutex_unlock(&events->lock);
    }
    buf_done(&line);
}

void events_tick(struct events *events)
{
    const struct http_hooks *hooks = &events->server->config.hooks;
    (void)pthread_mutex_lock(&events->lock);
    for (struct listener *one = events->first; one; one = one->next) {
        if (hooks->alive && !hooks->alive(hooks->ctx, one->who))
            one->ended = true;
        if (one->ended) {
            wake(one);
        } else if (--one->beat <= 0) {
            one->beat = BEAT_S;
            queue_event(one, STR(": beat\n\n"));
        }
    }
    (void)pthread_mutex_unlock(&events->lock);
}

void events_end_all(struct events *events)
{
    (void)pthread_mutex_lock(&events->lock);
    events->closed = true;
    for (struct listener *one = events->first; one; one = one->next) {
        one->ended = true;
        wake(one);
    }
    (void)pthread_mutex_unlock(&events->lock);
}

int events_count(struct events *events)
{
    (void)pthread_mutex_lock(&events->lock);
    const int count = events->count;
    (void)pthread_mutex_unlock(&events->lock);
    return count;
}
