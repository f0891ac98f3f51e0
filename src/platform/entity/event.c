/* event.c - what a write tells others: the audit line in its transaction, the event after the commit. */
#include "platform/audit/audit.h"
#include "platform/entity/internal.h"

enum err_code audit_record(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                           const char *action, int64_t id, struct str name, struct str before,
                           struct str after, struct err *err)
{
    if (!call->entity->config.audit)
        return ERR_OK;
    const struct audit_line line = {
        .action = action,
        .object_type = type->full,
        .object_id = id,
        .object_name = name,
        .before = before,
        .after = after,
        .user_id = call->who ? call->who->user_id : 0,
        .user_name = call->who ? call->who->login : (struct str) { 0 },
        .remote = call->remote,
        .request_id = call->request_id,
    };
    return audit_write(call->entity->config.audit, tx, &line, err);
}

enum err_code event_after(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                          const char *what, int64_t id, int64_t version, struct err *err)
{
    (void)call, (void)tx, (void)type, (void)what, (void)id, (void)version, (void)err;
    return ERR_OK;
}
