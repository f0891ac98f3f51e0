/* dns.c - the DNS check: one query to a given server (or the system's), rcode and answer compared. */
#include "observe/collect/dns_answer.h"
#include "observe/collect/loop.h"

#include <arpa/nameser.h>
#include <stdio.h>

struct dns_query;

struct dns_run {
    struct run run;
    struct dns_query *query;
};

struct dns_query { /* outlives the run when c-ares answers late */
    struct later unused;
    struct loop *loop;
    struct dns_run *dns; /* NULL = nobody waits */
};

static void release(struct run *run)
{
    struct dns_run *dns = (struct dns_run *)(void *)run;
    if (dns->query)
        dns->query->dns = NULL;
    dns->query = NULL;
}

static void judge(struct dns_run *dns, const unsigned char *bytes, int len)
{
    const struct spec *spec = dns->run.check->spec;
    struct dns_answer answer;
    if (!dns_answer_read(bytes, len, spec->type, spec->answer, &answer)) {
        run_fail(&dns->run, CAUSE_PROTOCOL, "the answer is not DNS");
        return;
    }
    result_set(&dns->run.result, COLLECT_STATUS, answer.rcode);
    if (answer.rcode != spec->rcode)
        run_fail(&dns->run, CAUSE_STATUS, "rcode %d", answer.rcode);
    else if (answer.rcode == 0 && !answer.has_type)
        run_fail(&dns->run, CAUSE_BODY, "no record of the type in the answer");
    else if (spec->answer.len && !answer.has_text)
        run_fail(&dns->run, CAUSE_BODY, "the expected answer is not among %d records", answer.count);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
    struct dns_query *query = arg;
    struct dns_run *dns = query->dns;
    (void)timeouts;
    query->loop->lookups--;
    loop_free_later(query->loop, query);
    if (!dns)
        return;
    dns->query = NULL;
    if (bytes && len > 0)
        judge(dns, bytes, len);
    else
        run_fail(&dns->run,
                 status == ARES_ETIMEOUT       ? CAUSE_TIMEOUT
                 : status == ARES_ECONNREFUSED ? CAUSE_REFUSED
                 : status == ARES_EBADNAME     ? CAUSE_PROTOCOL
                                               : CAUSE_DNS,
                 "%s", ares_strerror(status));
    run_end(&dns->run);
}

struct run *run_dns(struct check *check)
{
    const struct spec *spec = check->spec;
    struct loop *loop = check->loop;
    if (!check->channel) {
        char server[300] = "";
        ares_channel channel;
        const bool six = spec->host.len && memchr(spec->host.ptr, ':', spec->host.len);
        if (spec->host.len)
            (void)snprintf(server, sizeof server, six ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(spec->host),
                           spec->port);
        if (!resolver_open(loop, spec->host.len ? server : collect_dns(loop->collect), &channel)) {
            struct run *run = run_new(check, sizeof(struct dns_run), release);
            if (run) {
                run_fail(run, CAUSE_DNS, "%.*s is not the address of a name server", STR_ARG(spec->host));
                run_end(run);
            }
            return run;
        }
        check->channel = channel;
    }
    struct dns_query *query = mem_alloc(1, sizeof *query);
    struct dns_run *dns = query ? (struct dns_run *)(void *)run_new(check, sizeof *dns, release) : NULL;
    if (!dns) {
        mem_free(query);
        return NULL;
    }
    query->loop = loop;
    query->dns = dns;
    dns->query = query;
    dns->run.phase = "the name server";
    loop->lookups++;
    if (!loop->resolver_timer.link)
        timer_set(&loop->wheel, &loop->resolver_timer, loop->now_us / 1000 + 50);
    ares_query(check->channel, spec->name.ptr, ns_c_in, spec->type, on_answer, query);
    return &dns->run;
}

void dns_check_done(struct check *check)
{
    if (check->channel)
        resolver_close(check->loop, check->channel);
    check->channel = NULL;
}
