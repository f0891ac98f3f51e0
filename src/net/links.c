/* links.c - the connections, and the guard that ends slow ones.
 *
 * Invariant: a link's descriptor is only shut down under links_lock, and leaves the list before it is
 * closed. */
#include "base/cond.h"
#include "net/exchange.h"

#include <sys/socket.h>

#define SLOW_GRACE_MS 30000

struct link *link_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void links_on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                         enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct link *link = mem_alloc(1, sizeof *link);
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = link;
        if (!link)
            return;
        link->fd = info ? info->connect_fd : -1;
        link_enter(server, link, LINK_IDLE);
        (void)pthread_mutex_lock(&server->links_lock);
        link->next = server->links;
        link->place = &server->links;
        if (server->links)
            server->links->place = &link->next;
        server->links = link;
        (void)pthread_mutex_unlock(&server->links_lock);
        atomic_fetch_add(&server->links_count, 1);
    } else if (*socket_context) {
        struct link *link = *socket_context;
        (void)pthread_mutex_lock(&server->links_lock);
        *link->place = link->next;
        if (link->next)
            link->next->place = link->place;
        (void)pthread_mutex_unlock(&server->links_lock);
        atomic_fetch_sub(&server->links_count, 1);
        mem_free(link);
        *socket_context = NULL;
    }
}

/* How long the state may last; 0 = for ever. */
static int64_t patience_ms(const struct http_server *server, const struct link *link)
{
    switch ((enum link_state)atomic_load(&link->state)) {
    case LINK_IDLE:
        return (int64_t)server->limits.idle_ms + server->limits.header_ms;
    case LINK_HEAD:
        return server->limits.header_ms;
    case LINK_BODY:
    case LINK_SEND:
        return SLOW_GRACE_MS + atomic_load(&link->bytes) * 1000 / server->limits.body_rate;
    case LINK_WORK:
    case LINK_LIVE:
        return 0;
    }
    return 0;
}

/* Has the peer hung up in the middle of a request?  The library (0.9.75, edge-triggered) misses an end that
 * came together with the last bytes, and would keep the connection until it times out.  Seen twice, so that a
 * whole request that was just read is not taken for a half one. */
static bool has_gone(struct link *link)
{
    const enum link_state state = (enum link_state)atomic_load(&link->state);
    char byte;
    const bool waits = state == LINK_IDLE || state == LINK_HEAD || state == LINK_BODY;
    if (link->fd < 0 || !waits || recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
        link->gone = 0;
    else
        link->gone++;
    return link->gone >= 2;
}

static void end_slow_links(struct http_server *server)
{
    const int64_t now = server_mono(server);
    (void)pthread_mutex_lock(&server->links_lock);
    for (struct link *link = server->links; link; link = link->next) {
        const int64_t patience = patience_ms(server, link);
        if (link->ended)
            continue;
        const bool slow = patience && now - atomic_load(&link->since_ms) >= patience;
        if (!slow && !has_gone(link))
            continue;
        link->ended = true;
        atomic_fetch_add(&server->ended_slow, slow);
        if (link->fd >= 0)
            (void)shutdown(link->fd, SHUT_RDWR);
    }
    (void)pthread_mutex_unlock(&server->links_lock);
}

void *links_guard(void *arg)
{
    struct http_server *server = arg;
    (void)pthread_mutex_lock(&server->guard_lock);
    while (!server->guard_stop) {
        (void)cond_wait_ms(&server->guard_wake, &server->guard_lock, 1000);
        (void)pthread_mutex_unlock(&server->guard_lock);
        end_slow_links(server);
        events_tick(server->events);
        (void)pthread_mutex_lock(&server->guard_lock);
    }
    (void)pthread_mutex_unlock(&server->guard_lock);
    return NULL;
}
