/* loop.c - one event loop: messages, due checks, sockets, results.  See loop.h.
 *
 * A check is due at offset + k x interval on the monotonic clock, offset from its id; a run that is still
 * going when the next is due is left alone and the missed one is reported as an overrun. */
#include "base/log.h"
#include "observe/collect/message.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 512
#define WALL_STEP_MS 20
#define TICK_MS 4 /* timers wait for company: fewer wake-ups, larger bursts */

static void *run_loop(void *arg);
static void on_wake(struct watch *watch, uint32_t events);
static void on_flush(struct timer *timer);

int64_t loop_clock_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool watch_add(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

void loop_free_later(struct loop *loop, void *block)
{
    struct later *later = block;
    if (!later)
        return;
    later->next = loop->garbage;
    loop->garbage = later;
}

static void on_resolver(struct timer *timer)
{
    struct loop *loop = (struct loop *)(void *)((char *)timer - offsetof(struct loop, resolver_timer));
    resolver_tick(loop);
}

enum err_code loop_start(struct collect *collect, int index, size_t open_max, struct loop **out_loop,
                         struct err *err)
{
    struct loop *loop = mem_alloc(1, sizeof *loop);
    if (!loop)
        return err_nomem(err);
    loop->collect = collect;
    loop->index = index;
    loop->open_max = open_max ? open_max : 1;
    loop->message_end = &loop->messages;
    loop->flush_timer.fn = on_flush;
    loop->resolver_timer.fn = on_resolver;
    (void)pthread_mutex_init(&loop->lock, NULL);
    loop->table_size = 1024;
    loop->table = mem_alloc(loop->table_size, sizeof(struct check *));
    loop->results = mem_alloc(RESULTS_MAX, sizeof *loop->results);
    loop->scratch = mem_alloc(1, SCRATCH_BYTES);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->wake_watch = (struct watch) { loop->wake, on_wake };
    wheel_init(&loop->wheel, loop_clock_us() / 1000);
    const bool ok = loop->table && loop->results && loop->scratch && loop->epoll >= 0 && loop->wake >= 0 &&
                    watch_add(loop, &loop->wake_watch, EPOLLIN) &&
                    resolver_open(loop, collect_dns(collect), &loop->resolver);
    loop->started = ok && pthread_create(&loop->thread, NULL, run_loop, loop) == 0;
    if (!loop->started) {
        loop_stop(loop);
        return err_nomem(err);
    }
    *out_loop = loop;
    return ERR_OK;
}

static void check_free(struct check *check)
{
    timer_stop(&check->timer);
    dns_check_done(check);
    spec_free(check->spec);
    mem_free(check);
}

/* Ends the run of a check without a result. */
static void run_abandon(struct run *run)
{
    struct loop *loop = run->check->loop;
    timer_stop(&run->deadline);
    run->cancel(run);
    run->check->run = NULL;
    loop->running--;
    loop_free_later(loop, run);
}

static void sweep_garbage(struct loop *loop)
{
    for (struct later *one; (one = loop->garbage);) {
        loop->garbage = one->next;
        mem_free(one);
    }
}

void loop_stop(struct loop *loop)
{
    struct err ignored;
    if (!loop)
        return;
    if (loop->started) {
        while (loop_send(loop, MESSAGE_STOP, 0, 0, NULL, &ignored))
            (void)usleep(1000); /* no memory for the message: others will give some back */
        (void)pthread_join(loop->thread, NULL);
    }
    for (size_t i = 0; loop->table && i < loop->table_size; i++)
        for (struct check *check = loop->table[i], *next; check; check = next) {
            next = check->next;
            if (check->run)
                run_abandon(check->run);
            check_free(check);
        }
    for (struct message *message; (message = loop->messages);) {
        loop->messages = message->next;
        spec_free(message->spec);
        mem_free(message);
    }
    if (loop->resolver)
        resolver_close(loop, loop->resolver);
    icmp_free(loop->icmp);
    sweep_garbage(loop);
    if (loop->result_count)
        collect_deliver(loop->collect, loop->results, loop->result_count);
    if (loop->epoll >= 0)
        (void)close(loop->epoll);
    if (loop->wake >= 0)
        (void)close(loop->wake);
    mem_free(loop->table);
    mem_free(loop->results);
    mem_free(loop->scratch);
    (void)pthread_mutex_destroy(&loop->lock);
    mem_free(loop);
}

enum err_code loop_send(struct loop *loop, enum message_kind kind, int64_t id, int32_t version,
                        struct spec *spec, struct err *err)
{
    struct message *message = mem_alloc(1, sizeof *message);
    if (!message) {
        spec_free(spec);
        return err_nomem(err);
    }
    *message = (struct message) { .kind = kind, .id = id, .version = version, .spec = spec };
    (void)pthread_mutex_lock(&loop->lock);
    *loop->message_end = message;
    loop->message_end = &message->next;
    (void)pthread_mutex_unlock(&loop->lock);
    const uint64_t one = 1;
    const ssize_t wrote = write(loop->wake, &one, sizeof one);
    (void)wrote; /* full means that it will wake anyway */
    return ERR_OK;
}

/* ---- checks ---- */

static size_t bucket_of(const struct loop *loop, int64_t id)
{
    return (size_t)((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (loop->table_size - 1);
}

static struct check **find(struct loop *loop, int64_t id)
{
    struct check **link = &loop->table[bucket_of(loop, id)];
    while (*link && (*link)->id != id)
        link = &(*link)->next;
    return link;
}

static void grow(struct loop *loop)
{
    const size_t size = loop->table_size * 2;
    struct check **table = mem_alloc(size, sizeof(struct check *)), **old = loop->table;
    const size_t old_size = loop->table_size;
    if (!table)
        return; /* longer chains, no harm */
    loop->table = table;
    loop->table_size = size;
    for (size_t i = 0; i < old_size; i++)
        for (struct check *check = old[i], *next; check; check = next) {
            next = check->next;
            const size_t bucket = bucket_of(loop, check->id);
            check->next = table[bucket];
            table[bucket] = check;
        }
    mem_free(old);
}

static void on_due(struct timer *timer);

/* The next due instant after `after_ms`, on the check's own raster. */
static int64_t next_due(const struct check *check, int64_t after_ms)
{
    const int64_t interval = check->spec->interval_ms;
    uint64_t hash = (uint64_t)check->id * UINT64_C(0xd6e8feb86659fd93);
    hash ^= hash >> 32;
    hash *= UINT64_C(0xd6e8feb86659fd93);
    const int64_t offset = (int64_t)((hash ^ hash >> 32) % (uint64_t)interval);
    const int64_t since = after_ms - offset;
    const int64_t rounds = since < 0 ? -1 : since / interval;
    return offset + (rounds + 1) * interval;
}

static void check_set(struct loop *loop, struct message *message)
{
    struct check **link = find(loop, message->id), *check = *link;
    if (!check) {
        if (loop->check_count > loop->table_size * 2) {
            grow(loop);
            link = find(loop, message->id);
        }
        check = mem_alloc(1, sizeof *check);
        if (!check) {
            log_line(LOG_ERROR, "collect.no_memory", "check %lld is not run", (long long)message->id);
            return;
        }
        check->loop = loop;
        check->id = message->id;
        check->timer.fn = on_due;
        *link = check;
        loop->check_count++;
    } else {
        if (check->run)
            run_abandon(check->run);
        dns_check_done(check);
        spec_free(check->spec);
    }
    check->spec = message->spec;
    message->spec = NULL;
    check->version = message->version;
    check->due_ms = next_due(check, loop->now_us / 1000);
    timer_set(&loop->wheel, &check->timer, check->due_ms);
}

static void check_remove(struct loop *loop, int64_t id)
{
    struct check **link = find(loop, id), *check = *link;
    if (!check)
        return;
    *link = check->next;
    loop->check_count--;
    if (check->run)
        run_abandon(check->run);
    check_free(check);
}

/* ---- runs ---- */

static void on_deadline(struct timer *timer)
{
    struct run *run = (struct run *)(void *)((char *)timer - offsetof(struct run, deadline));
    run_fail(run, CAUSE_TIMEOUT, "no answer within %lld ms while waiting for %s",
             (long long)run->check->spec->timeout_ms, run->phase ? run->phase : "the target");
    run->cancel(run);
    run_end(run);
}

/* What lies between the wall clock and the monotonic one, so that instants keep the raster of the check to
 * the millisecond; a clock that was set is noticed, a thread that had to wait between two readings is not. */
static int64_t wall_offset(struct loop *loop)
{
    const int64_t before = loop_clock_us(), wall_ms = clock_now(collect_clock(loop->collect));
    const int64_t after = loop_clock_us(), offset_ms = wall_ms - after / 1000;
    if (!loop->has_wall_offset ||
        (after - before < 1000 && llabs(offset_ms - loop->wall_offset_ms) > WALL_STEP_MS)) {
        loop->wall_offset_ms = offset_ms;
        loop->has_wall_offset = true;
    }
    return loop->wall_offset_ms;
}

static void result_init(struct collect_result *result, const struct check *check, int64_t due_us)
{
    memset(result, 0, offsetof(struct collect_result, detail) + 1);
    result->subject[0] = 0;
    result->check_id = check->id;
    result->version = check->version;
    result->lag_us = loop_clock_us() - due_us;
    result->at_ms = due_us / 1000 + wall_offset(check->loop);
}

struct run *run_new(struct check *check, size_t size, void (*cancel)(struct run *run))
{
    struct loop *loop = check->loop;
    struct run *run = mem_alloc(1, size);
    if (!run)
        return NULL;
    run->check = check;
    run->cancel = cancel;
    result_init(&run->result, check, check->due_ms * 1000);
    run->start_us = loop_clock_us();
    run->deadline.fn = on_deadline;
    timer_set(&loop->wheel, &run->deadline, run->start_us / 1000 + check->spec->timeout_ms);
    check->run = run;
    loop->running++;
    return run;
}

void run_fail(struct run *run, enum collect_cause cause, const char *format, ...)
{
    va_list args;
    if (run->result.cause)
        return;
    run->result.cause = (uint8_t)cause;
    va_start(args, format);
    (void)vsnprintf(run->result.detail, sizeof run->result.detail, format, args);
    va_end(args);
}

static void deliver(struct loop *loop, const struct collect_result *result)
{
    loop->done++;
    loop->failed += result->cause != CAUSE_NONE;
    loop->lagged += result->lag_us > 200000;
    if (loop->result_count == 0)
        timer_set(&loop->wheel, &loop->flush_timer, loop->now_us / 1000 + collect_flush_ms(loop->collect));
    loop->results[loop->result_count++] = *result;
    if (loop->result_count == RESULTS_MAX)
        on_flush(&loop->flush_timer);
}

static void on_flush(struct timer *timer)
{
    struct loop *loop = (struct loop *)(void *)((char *)timer - offsetof(struct loop, flush_timer));
    timer_stop(timer);
    if (loop->result_count)
        collect_deliver(loop->collect, loop->results, loop->result_count);
    loop->result_count = 0;
}

void run_end(struct run *run)
{
    struct loop *loop = run->check->loop;
    struct collect_result *result = &run->result;
    timer_stop(&run->deadline);
    result_set(result, COLLECT_UP, result->cause == CAUSE_NONE);
    if (result->cause == CAUSE_NONE && !(result->present & 1u << COLLECT_TOTAL))
        result_set(result, COLLECT_TOTAL, loop_clock_us() - run->start_us);
    deliver(loop, result);
    run->check->run = NULL;
    loop->running--;
    loop_free_later(loop, run);
}

enum collect_cause cause_of(int errnum)
{
    switch (errnum) {
    case ECONNREFUSED:
        return CAUSE_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
        return CAUSE_UNREACHABLE;
    case ETIMEDOUT:
        return CAUSE_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
        return CAUSE_CLOSED;
    case EPERM:
    case EACCES:
        return CAUSE_PERMISSION;
    default:
        return CAUSE_LOCAL;
    }
}

static void start(struct check *check)
{
    static struct run *(*const starters[COLLECT_KIND__COUNT])(struct check *) = { run_http, run_tcp, run_icmp,
                                                                                  run_dns };
    struct loop *loop = check->loop;
    enum collect_cause cause = CAUSE_NONE;
    const char *detail = "";
    if (check->run) {
        cause = CAUSE_OVERRUN;
        detail = "the run before is still going";
        loop->overrun++;
    } else if (loop->running >= loop->open_max && check->spec->kind != COLLECT_ICMP) {
        cause = CAUSE_LOCAL;
        detail = "too many checks at a time for the limit of open files";
    } else if (!starters[check->spec->kind](check)) {
        cause = CAUSE_LOCAL;
        detail = "no memory";
    }
    if (cause) {
        struct collect_result result;
        result_init(&result, check, check->due_ms * 1000);
        result.cause = (uint8_t)cause;
        (void)snprintf(result.detail, sizeof result.detail, "%s", detail);
        result_set(&result, COLLECT_UP, 0);
        deliver(loop, &result);
    }
}

static void on_due(struct timer *timer)
{
    struct check *check = (struct check *)(void *)((char *)timer - offsetof(struct check, timer));
    struct loop *loop = check->loop;
    start(check);
    /* a stall longer than the interval skips what can no longer be in time */
    const int64_t now_ms = loop_clock_us() / 1000;
    check->due_ms = next_due(check, check->due_ms);
    if (check->due_ms + check->spec->interval_ms < now_ms)
        check->due_ms = next_due(check, now_ms);
    timer_set(&loop->wheel, &check->timer, check->due_ms);
}

static void run_now(struct loop *loop, int64_t id)
{
    struct check *check = *find(loop, id);
    if (!check || check->run)
        return;
    const int64_t due_ms = check->due_ms;
    check->due_ms = loop_clock_us() / 1000;
    start(check);
    check->due_ms = due_ms;
}

/* ---- the loop ---- */

static void on_wake(struct watch *watch, uint32_t events)
{
    struct loop *loop = (struct loop *)(void *)((char *)watch - offsetof(struct loop, wake_watch));
    uint64_t count;
    (void)events;
    const ssize_t got = read(loop->wake, &count, sizeof count);
    (void)got;
    (void)pthread_mutex_lock(&loop->lock);
    struct message *list = loop->messages;
    loop->messages = NULL;
    loop->message_end = &loop->messages;
    (void)pthread_mutex_unlock(&loop->lock);
    for (struct message *message; (message = list);) {
        list = message->next;
        switch (message->kind) {
        case MESSAGE_SET:
            check_set(loop, message);
            break;
        case MESSAGE_REMOVE:
            check_remove(loop, message->id);
            break;
        case MESSAGE_RUN:
            run_now(loop, message->id);
            break;
        case MESSAGE_STOP:
            loop->stopping = true;
            break;
        }
        spec_free(message->spec);
        mem_free(message);
    }
}

static void *run_loop(void *arg)
{
    struct loop *loop = arg;
    struct epoll_event events[EVENTS];
    sigset_t pipe; /* OpenSSL writes without MSG_NOSIGNAL */
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    loop->now_us = loop_clock_us();
    while (!loop->stopping) {
        int wait = wheel_wait(&loop->wheel, loop->now_us / 1000, 1000);
        if (wait > 0 && wait < TICK_MS)
            wait = TICK_MS;
        const int count = epoll_wait(loop->epoll, events, EVENTS, wait);
        loop->now_us = loop_clock_us();
        for (int i = 0; i < count; i++) {
            struct watch *watch = events[i].data.ptr;
            if (watch->fn) /* ended by an earlier event of this round otherwise */
                watch->fn(watch, events[i].events);
        }
        wheel_turn(&loop->wheel, loop->now_us / 1000);
        icmp_flush(loop);
        sweep_garbage(loop);
        loop->stat_checks = loop->check_count;
        loop->stat_running = loop->running;
    }
    return NULL;
}
