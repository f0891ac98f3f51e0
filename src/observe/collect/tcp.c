/* tcp.c - the TCP check: connect, perhaps TLS, perhaps send something and wait for a text. */
#include "observe/collect/loop.h"

#include <stdio.h>

#define ANSWER_MAX 65536

struct tcp_run {
    struct run run;
    struct dial dial;
    size_t sent;
    struct buf answer;
    int64_t ready_us;
};

static void on_ready(struct dial *dial);
static void on_io(struct dial *dial);
static void on_failed(struct dial *dial);

static const struct dial_owner OWNER = { on_ready, on_io, on_failed };

static struct tcp_run *of_dial(struct dial *dial)
{
    return (struct tcp_run *)(void *)((char *)dial - offsetof(struct tcp_run, dial));
}

static void release(struct run *run)
{
    struct tcp_run *tcp = (struct tcp_run *)(void *)run;
    dial_end(&tcp->dial);
    buf_done(&tcp->answer);
}

static void finish(struct tcp_run *tcp)
{
    struct collect_result *result = &tcp->run.result;
    if (tcp->dial.dns_us >= 0)
        result_set(result, COLLECT_DNS_TIME, tcp->dial.dns_us);
    if (tcp->dial.connect_us >= 0)
        result_set(result, COLLECT_CONNECT, tcp->dial.connect_us);
    if (tcp->dial.tls_us >= 0)
        result_set(result, COLLECT_TLS, tcp->dial.tls_us);
    release(&tcp->run);
    run_end(&tcp->run);
}

struct run *run_tcp(struct check *check)
{
    struct tcp_run *tcp = (struct tcp_run *)(void *)run_new(check, sizeof *tcp, release);
    if (!tcp)
        return NULL;
    tcp->dial.watch.fd = -1;
    tcp->dial.dns_us = tcp->dial.connect_us = tcp->dial.tls_us = -1;
    buf_init(&tcp->answer, ANSWER_MAX);
    dial_start(&tcp->dial, &tcp->run, &OWNER, check->spec->host, check->spec->port, check->spec->tls);
    return &tcp->run;
}

static void on_failed(struct dial *dial)
{
    finish(of_dial(dial));
}

static void on_ready(struct dial *dial)
{
    struct tcp_run *tcp = of_dial(dial);
    tcp->ready_us = loop_clock_us();
    tcp->run.phase = "the expected text";
    on_io(dial);
}

static void on_io(struct dial *dial)
{
    struct tcp_run *tcp = of_dial(dial);
    const struct spec *spec = tcp->run.check->spec;
    while (tcp->sent < spec->send.len) {
        const ssize_t put = dial_write(dial, spec->send.ptr + tcp->sent, spec->send.len - tcp->sent);
        if (put == DIAL_AGAIN)
            return;
        if (put <= 0) {
            run_fail(&tcp->run, CAUSE_CLOSED, "closed while sending");
            finish(tcp);
            return;
        }
        tcp->sent += (size_t)put;
    }
    if (!spec->expect.len) {
        finish(tcp);
        return;
    }
    for (;;) {
        char *scratch = tcp->run.check->loop->scratch;
        const ssize_t got = dial_read(dial, scratch, 4096);
        if (got == DIAL_AGAIN)
            return;
        if (got <= 0) {
            run_fail(&tcp->run, tcp->answer.len ? CAUSE_BODY : CAUSE_CLOSED,
                     "closed without the expected text");
            finish(tcp);
            return;
        }
        if (tcp->answer.len == 0)
            result_set(&tcp->run.result, COLLECT_FIRST_BYTE, loop_clock_us() - tcp->ready_us);
        buf_add(&tcp->answer, scratch, (size_t)got);
        if (tcp->answer.failed)
            run_fail(&tcp->run, CAUSE_BODY, "the expected text is not in the first %d bytes", ANSWER_MAX);
        if (tcp->answer.failed || str_find(buf_get(&tcp->answer), spec->expect) >= 0) {
            finish(tcp);
            return;
        }
    }
}
