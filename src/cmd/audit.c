/* audit.c - bihuan audit verify: reads every line of every chain; needs no server. */
#include "cmd/commands.h"
#include "cmd/rooms.h"
#include "crypto/keyring.h"
#include "platform/audit/audit.h"
#include "store/store.h"

#include <stdio.h>

#define VERIFY_DEADLINE_MS (INT64_C(12) * 3600 * 1000)

static int print_verdict(const struct cmd *cmd, const struct audit_verdict *verdict)
{
    struct err text;
    (void)printf("lines %lld\nchains %lld\ncheckpoints %lld\n", (long long)verdict->lines,
                 (long long)verdict->chains, (long long)verdict->checkpoints);
    if (verdict->fault == AUDIT_GOOD) {
        (void)printf("verified\n");
        return CMD_OK;
    }
    (void)printf("fault %s chain %lld seq %lld id %lld\n", audit_fault_name(verdict->fault),
                 (long long)verdict->chain, (long long)verdict->seq, (long long)verdict->id);
    (void)err_set(&text, ERR_CONFLICT, "audit.fault", ARG_TEXT("fault", audit_fault_name(verdict->fault)),
                  ARG_INT("chain", verdict->chain), ARG_INT("seq", verdict->seq), ARG_INT("id", verdict->id),
                  ARG_END);
    return cmd_fail(cmd, &text);
}

int cmd_audit(struct cmd *cmd, int argc, char **argv)
{
    const char *words[1];
    int count = 0, exit_status = CMD_OK;
    struct app app;
    struct err err = { 0 };
    struct audit_verdict verdict = { 0 };
    if (!cmd_options(cmd, argc, argv, NULL, words, 1, &count, &exit_status))
        return exit_status;
    if (count != 1 || strcmp(words[0], "verify") != 0)
        return cmd_usage(cmd);
    store_deadline_set(clock_mono(&CLOCK_SYSTEM) + VERIFY_DEADLINE_MS);
    enum err_code rc = app_init(&app, cmd, false, &err);
    if (!rc)
        rc = store_room_open(&app, &err);
    if (!rc)
        rc = keys_room_open(&app, &err);
    if (!rc)
        rc = audit_verify(app.store, app.keys, &verdict, &err);
    exit_status = rc ? cmd_fail(cmd, &err) : print_verdict(cmd, &verdict);
    keys_room_close(&app);
    store_close(app.store);
    app_done(&app);
    return exit_status;
}
