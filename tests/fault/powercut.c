/* powercut.c - the whole program on a disk that loses what was not synced; linked in the place of cmd/disk.c.
 *
 * build/bihuan-powercut is bihuan in all else and is never installed; tests/long/crash.py runs it.  SIGUSR1,
 * or the POWERCUT_AT-th change of the disk, cuts the power: every unsynced write of SQL, series, alarm log
 * and attachments is taken back or torn by chance (POWERCUT_SEED), and the process is gone with status 137.
 */
#include "base/disk.h"
#include "cmd/cmd.h"
#include "store/fault_vfs.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define VFS "powercut"
#define GONE 137

static void *wait_for_the_moment(void *arg)
{
    struct disk *disk = arg;
    sigset_t signals;
    const struct timespec poll = { .tv_nsec = 2000000 };
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGUSR1);
    while (sigtimedwait(&signals, NULL, &poll) != SIGUSR1 && !disk_is_cut(disk))
        ;
    disk_die(disk, GONE);
}

static void stop(const char *why)
{
    (void)fprintf(stderr, "powercut: %s\n", why);
    exit(CMD_SURROUNDINGS);
}

void cmd_disk(struct cmd *cmd)
{
    struct err err;
    pthread_t thread;
    sigset_t signals;
    const char *seed = getenv("POWERCUT_SEED"), *at = getenv("POWERCUT_AT");
    struct disk *disk = disk_faulty_new(seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL));
    if (!disk || fault_vfs_register(VFS, disk, &err))
        stop("no memory");
    if (at)
        disk_cut_at(disk, strtol(at, NULL, 10));
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* for all threads to come */
    if (pthread_create(&thread, NULL, wait_for_the_moment, disk))
        stop("no thread");
    (void)pthread_detach(thread);
    cmd->disk = disk;
    cmd->vfs = VFS;
}
