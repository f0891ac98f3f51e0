/* tell.c - recipients and words of notices about cases. */
#include "handle/tell.h"
#include "base/json.h"
#include "handle/flow/case_sql.h"
#include "handle/handle_sql.h"
#include "platform/entity/entity.h"
#include "platform/notify/notify.h"

#define PEOPLE_MAX NOTICE_PEOPLE_MAX

struct telling {
    struct handle *handle;
    struct tx *tx;
    int64_t case_id, by; /* by: is not told */
    struct case_row row;
    json_t *record;
    int64_t people[PEOPLE_MAX];
    int count;
};

static void add_person(struct telling *telling, int64_t user)
{
    if (!user || user == telling->by || telling->count == PEOPLE_MAX)
        return;
    for (int i = 0; i < telling->count; i++)
        if (telling->people[i] == user)
            return;
    telling->people[telling->count++] = user;
}

/* The one who has the task, else those whom it was offered by name. */
static enum err_code add_task(struct telling *telling, const struct task_row *task, struct err *err)
{
    int64_t users[PEOPLE_MAX];
    int count = 0;
    enum err_code rc;
    if (task->assignee) {
        add_person(telling, task->assignee);
        return ERR_OK;
    }
    rc = task_users(telling->tx, task->id, users, &count, PEOPLE_MAX, err);
    for (int i = 0; !rc && i < count; i++)
        add_person(telling, users[i]);
    return rc;
}

static enum err_code add_open_tasks(struct telling *telling, struct err *err)
{
    struct task_row *tasks = NULL;
    int count = 0;
    enum err_code rc = task_list(telling->tx, telling->case_id, &tasks, &count, err);
    for (int i = 0; !rc && i < count; i++)
        if (tasks[i].state == TASK_OPEN)
            rc = add_task(telling, &tasks[i], err);
    return rc;
}

/* The manager of the service, where its type has one. */
static enum err_code add_manager(struct telling *telling, struct err *err)
{
    const struct entity_type *type =
        types_find(entity_types(handle_config(telling->handle)->entity), telling->row.type);
    const char *services = type ? json_string_value(json_object_get(type->clocks, "services")) : NULL;
    const char *field = type ? json_string_value(json_object_get(type->clocks, "service")) : NULL;
    const struct entity_call call = { .entity = handle_config(telling->handle)->entity,
                                      .arena = tx_arena(telling->tx) };
    json_t *service = NULL;
    enum err_code rc;
    if (!services || !field || !record_id(telling->record, field) || !entity_type_find(call.entity, services))
        return ERR_OK;
    rc = entity_get(&call, telling->tx, entity_type_find(call.entity, services),
                    record_id(telling->record, field), &service, err);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (!rc)
        add_person(telling, record_id(service, "manager"));
    json_decref(service);
    return rc;
}

static enum err_code send(struct telling *telling, const char *code, const json_t *message, int64_t id,
                          int grade, struct err *err)
{
    struct notice_person *people;
    const struct str clock = record_str(message, "clock"), due = record_str(message, "due_at");
    const struct str clock_word = arena_printf(tx_arena(telling->tx), "@sla.clock.%.*s", STR_ARG(clock));
    const struct notice_arg args[] = { { "number", record_str(telling->record, "number") },
                                       { "title", record_str(telling->record, "title") },
                                       { "text", record_str(message, "text") },
                                       { "clock", clock.len ? clock_word : STR("") },
                                       { "due", due.len >= 16 ? str_slice(due, 5, 16) : due },
                                       { "level", telling->row.level } };
    struct notice notice = { .id = id,
                             .code = str_from(code),
                             .args = args,
                             .args_count = 6,
                             .grade = grade,
                             .at_ms = clock_now(handle_config(telling->handle)->clock) };
    const enum notice_topic topic = str_starts(str_from(code), STR("sla.")) ? NOTICE_SLA : NOTICE_TASK;
    struct str rest = telling->row.type, pack;
    if (!telling->count)
        return ERR_OK;
    people = arena_alloc(tx_arena(telling->tx), (size_t)telling->count, sizeof(*people));
    if (!people)
        return err_nomem(err);
    for (int i = 0; i < telling->count; i++) {
        const int64_t user = telling->people[i];
        people[i] = (struct notice_person) { .user_id = user, .lang = user_lang_sql(telling->tx, user) };
        enum err_code rc = notice_choice_get(telling->tx, user, topic, &people[i].channel, err);
        if (!rc && people[i].channel)
            rc = notice_mail(telling->tx, user, &people[i].mail, err);
        if (rc)
            return rc;
    }
    notice.people = people;
    notice.people_count = telling->count;
    (void)str_cut(&rest, '.', &pack);
    notice.link = arena_printf(tx_arena(telling->tx), "/r/%.*s/%.*s/%lld", STR_ARG(pack), STR_ARG(rest),
                               (long long)telling->case_id);
    return notice.link.ptr ? notify_add(handle_config(telling->handle)->notify, telling->tx, &notice, err)
                           : err_nomem(err);
}

static enum err_code telling_begin(struct telling *telling, const json_t *message, struct err *err)
{
    const struct entity_call call = { .entity = handle_config(telling->handle)->entity,
                                      .arena = tx_arena(telling->tx) };
    const struct entity_type *type;
    enum err_code rc;
    telling->case_id = record_id(message, "case");
    telling->by = record_id(message, "by");
    rc = case_row_load(telling->tx, telling->case_id, &telling->row, err);
    if (rc)
        return rc;
    type = types_find(entity_types(call.entity), telling->row.type);
    return type ? entity_get(&call, telling->tx, type, telling->case_id, &telling->record, err)
                : err_set(err, ERR_NOT_FOUND, "case.not_found", ARG_END);
}

static enum err_code moved(struct telling *telling, const json_t *message, int64_t id, struct err *err)
{
    const struct str what = record_str(message, "what");
    const json_t *tasks = json_object_get(message, "tasks");
    enum err_code rc = ERR_OK;
    if (str_eq(what, STR("task.handed_over")) || str_eq(what, STR("task.urged"))) {
        rc = add_open_tasks(telling, err);
        return rc ? rc
                  : send(telling, str_eq(what, STR("task.urged")) ? "task.urged" : "task.handed_over",
                         message, id, 0, err);
    }
    for (size_t i = 0; !rc && i < json_array_size(tasks); i++) {
        struct task_row task;
        const int64_t task_id = json_to_id(json_array_get(tasks, i));
        if (!task_id)
            continue;
        rc = task_load(telling->tx, task_id, &task, err);
        if (!rc && task.state == TASK_OPEN)
            rc = add_task(telling, &task, err);
    }
    return rc ? rc : send(telling, "task.opened", message, id, 0, err);
}

static enum err_code hear(void *arg, struct tx *tx, const struct outbox_message *message, struct err *err)
{
    struct telling *telling = arena_alloc(tx_arena(tx), 1, sizeof(*telling));
    json_t *json = json_loadb(message->json.ptr, message->json.len, 0, NULL);
    enum err_code rc = telling && json ? ERR_OK : err_nomem(err);
    if (!rc) {
        telling->handle = arg;
        telling->tx = tx;
        rc = telling_begin(telling, json, err);
    }
    if (!rc && str_eq(message->topic, STR("case.moved"))) {
        rc = moved(telling, json, message->id, err);
    } else if (!rc) {
        const bool breached = str_eq(message->topic, STR("sla.breached"));
        rc = add_open_tasks(telling, err);
        if (!rc && breached)
            rc = add_manager(telling, err);
        if (!rc)
            rc = send(telling, breached ? "sla.breached" : "sla.warned", json, message->id, breached ? 1 : 3,
                      err);
    }
    if (telling)
        json_decref(telling->record);
    json_decref(json);
    return rc ? err_in(err, "handle.tell") : ERR_OK;
}

enum err_code tell_register(struct handle *handle, struct err *err)
{
    static const char *const patterns[] = { "case.moved", "sla.*" };
    static const char *const names[] = { "handle.tell.case", "handle.tell.sla" };
    const struct handle_config *config = handle_config(handle);
    enum err_code rc = ERR_OK;
    for (int i = 0; !rc && config->outbox && config->notify && i < 2; i++) {
        const struct outbox_consumer consumer = {
            .name = names[i], .pattern = patterns[i], .in_tx = hear, .arg = handle
        };
        rc = outbox_register(config->outbox, &consumer, err);
    }
    return rc;
}
