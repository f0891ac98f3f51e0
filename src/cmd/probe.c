/* probe.c - bihuan probe: a probe node that belongs to a server.  See docs/probe.md. */
#include "base/log.h"
#include "cmd/commands.h"
#include "observe/collect/collect.h"
#include "observe/probe/agent.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

struct waiter {
    sigset_t signals;
    struct agent *agent;
    _Atomic bool over;
};

static void *wait_for_the_end(void *arg)
{
    struct waiter *waiter = arg;
    int number = 0;
    while (sigwait(&waiter->signals, &number) != 0 || number == SIGHUP)
        ;
    if (!waiter->over)
        agent_stop(waiter->agent);
    return NULL;
}

static void on_ready(void *ctx, int64_t node, int64_t checks)
{
    (void)ctx;
    (void)printf("node %" PRId64 "\nchecks %" PRId64 "\nready\n", node, checks);
    (void)fflush(stdout);
}

int cmd_probe(struct cmd *cmd, int argc, char **argv)
{
    struct agent_config config = { .clock = &CLOCK_SYSTEM, .ready = on_ready };
    int64_t buffer_mb = 256;
    int exit_status = CMD_OK;
    struct err err = { 0 };
    const struct cmd_option options[] = {
        { .name = "--server", .text = &config.server },
        { .name = "--token", .text = &config.token },
        { .name = "--ca", .text = &config.ca_file },
        { .name = "--buffer-mb", .number = &buffer_mb, .min = 1, .max = 1048576 },
        { 0 },
    };
    if (!cmd_options(cmd, argc, argv, options, NULL, 0, NULL, &exit_status))
        return exit_status;
    if (!config.server)
        return cmd_usage(cmd);
    config.dir = cmd->data;
    config.buffer_max = buffer_mb << 20;
    struct waiter waiter = { 0 };
    pthread_t thread;
    (void)signal(SIGPIPE, SIG_IGN);
    collect_raise_limit();
    (void)sigemptyset(&waiter.signals);
    (void)sigaddset(&waiter.signals, SIGTERM);
    (void)sigaddset(&waiter.signals, SIGINT);
    (void)sigaddset(&waiter.signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &waiter.signals, NULL);
    if (agent_open(&config, &waiter.agent, &err))
        return cmd_fail(cmd, &err);
    if (pthread_create(&thread, NULL, wait_for_the_end, &waiter)) {
        agent_close(waiter.agent);
        (void)err_nomem(&err);
        return cmd_fail(cmd, &err);
    }
    const enum err_code rc = agent_run(waiter.agent, &err);
    waiter.over = true;
    if (rc)
        (void)pthread_kill(thread, SIGINT);
    (void)pthread_join(thread, NULL);
    agent_close(waiter.agent);
    return rc ? cmd_fail(cmd, &err) : CMD_OK;
}
