/* event.c - what a write tells others: the audit line in its transaction, the event after the commit. */
#include "platform/audit/audit.h"
#include "platform/bus/broadcast.h"
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
    char json[160];
    if (!call->entity->config.bus || call->quiet)
        return ERR_OK;
    const int len = snprintf(json, sizeof json, "{\"type\":\"%.*s\",\"id\":\"%lld\",\"version\":%lld}",
                             STR_ARG(type->full), (long long)id, (long long)version);
    const struct bus_event event = { .topic = str_from(what),
                                     .subject_id = id,
                                     .json = { json, (size_t)len } };
    if (call->entity->config.broadcast)
        return broadcast_add(call->entity->config.broadcast, tx, &event, err);
    return bus_publish_after(call->entity->config.bus, tx, &event, err);
}
