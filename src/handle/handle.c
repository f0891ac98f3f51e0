/* handle.c - the host of cases: entity, packs, identity, outbox, audit; the thread that wakes. */
#include "handle/handle.h"
#include "base/cond.h"
#include "base/log.h"
#include "handle/handle_sql.h"
#include "handle/inbox/inbox.h"
#include "handle/sla/office.h"
#include "handle/tell.h"
#include "platform/audit/audit.h"
#include "platform/bus/outbox.h"
#include "platform/entity/entity.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define TICK_MS 1000
#define TICK_BATCH 200
#define DERIVE_BATCH 100

struct handle {
    struct handle_config config;
    struct case_host host;
    struct case_room *room;
    struct office *office;
    int64_t bus_handle;
    _Atomic bool calendars_changed;
    pthread_t thread;
    bool running, stopping; /* stopping: under lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

static const struct entity_type *type_of(const struct handle *handle, struct str type)
{
    return types_find(entity_types(handle->config.entity), type);
}

static struct entity_call call_of(const struct handle *handle, struct tx *tx, const struct principal *who)
{
    return (struct entity_call) { .entity = handle->config.entity, .who = who, .arena = tx_arena(tx) };
}

/* ---- what cases ask ---- */

static enum err_code host_get(void *ctx, struct tx *tx, struct str type, int64_t id, json_t **out,
                              struct err *err)
{
    const struct handle *handle = ctx;
    struct entity_call call = call_of(handle, tx, NULL);
    call.labels = true;
    return entity_get(&call, tx, type_of(handle, type), id, out, err);
}

/* As the person where they may change the record themselves; else the step's form is what they may write. */
static enum err_code host_patch(void *ctx, struct tx *tx, const struct case_actor *by, struct str type,
                                int64_t id, const json_t *patch, struct err *err)
{
    const struct handle *handle = ctx;
    const struct principal *who = by->who;
    const struct str permission = arena_printf(tx_arena(tx), "%.*s.update", STR_ARG(type));
    int64_t version;
    if (who && (!permission.ptr || !handle_may(ctx, tx, who, permission, type, id)))
        who = NULL;
    const struct entity_call call = call_of(handle, tx, who);
    return entity_update(&call, tx, type_of(handle, type), id, 0, patch, &version, err);
}

static enum err_code host_create(void *ctx, struct tx *tx, const struct case_actor *by, struct str type,
                                 const json_t *fields, int64_t *out_id, struct err *err)
{
    const struct handle *handle = ctx;
    const struct entity_call call = call_of(handle, tx, by->who);
    return entity_create(&call, tx, type_of(handle, type), fields, out_id, err);
}

static const struct pack_file *flow_file(const struct entity_type *type)
{
    return type->flow.len ? pack_file_find(type->from, PACK_FLOWS, type->flow) : NULL;
}

static enum err_code host_flow(void *ctx, struct str type_name, struct arena *arena, struct str *out_flow,
                               struct str *out_xml, struct str *out_reopen, struct err *err)
{
    const struct handle *handle = ctx;
    const struct entity_type *type = type_of(handle, type_name);
    const struct pack_file *file = type ? flow_file(type) : NULL;
    if (!file)
        return err_set(err, ERR_NOT_FOUND, "flow.no_file", ARG_STR("type", type_name), ARG_END);
    *out_flow = arena_printf(arena, "%.*s/%.*s", STR_ARG(type->pack), STR_ARG(type->flow));
    *out_xml = file->text;
    *out_reopen = type->reopen;
    return out_flow->ptr ? ERR_OK : err_nomem(err);
}

static enum err_code host_matrix(void *ctx, struct tx *tx, struct str type, json_t **out, struct err *err)
{
    const struct handle *handle = ctx;
    return office_matrix(handle->office, tx, type_of(handle, type), out, err);
}

static struct str clocks_field(const struct entity_type *type, const json_t *record, const char *key,
                               struct arena *arena)
{
    const char *field = json_string_value(json_object_get(type->clocks, key));
    return field ? arena_str(arena, record_str(record, field)) : STR("");
}

static void host_terms(void *ctx, struct str type_name, const json_t *record, struct arena *arena,
                       struct str *out_service, struct str *out_level)
{
    const struct entity_type *type = type_of(ctx, type_name);
    *out_service = clocks_field(type, record, "service", arena);
    *out_level = clocks_field(type, record, "level", arena);
}

static const struct sla_calendars *host_calendars(void *ctx)
{
    return office_get(((struct handle *)ctx)->office);
}

static void host_calendars_put(void *ctx, const struct sla_calendars *calendars)
{
    office_put(((struct handle *)ctx)->office, calendars);
}

/* As the API shows them: references and texts are strings. */
static struct str feel_name(enum value_kind kind)
{
    switch (kind) {
    case VALUE_TEXT:
    case VALUE_REF:
        return STR("string");
    case VALUE_INTEGER:
    case VALUE_NUMBER:
        return STR("number");
    case VALUE_BOOLEAN:
        return STR("boolean");
    case VALUE_DATE:
        return STR("date");
    case VALUE_INSTANT:
        return STR("date and time");
    case VALUE_JSON:
    case VALUE_KIND__COUNT:
        break;
    }
    return STR("");
}

static int names_add(const struct entity_type *type, struct flow_name *names, int count)
{
    for (int f = 0; f < type->fields_count && count < FLOW_NAMES_MAX; f++)
        names[count++] = (struct flow_name) { type->fields[f].name, feel_name(type->fields[f].kind) };
    return count;
}

/* Of all types with that flow; where two have a field of one name, the later one's kind holds. */
static enum err_code host_names(void *ctx, struct str flow, struct arena *arena, const struct flow_name **out,
                                int *out_count, struct err *err)
{
    const struct handle *handle = ctx;
    const struct types *types = entity_types(handle->config.entity);
    struct flow_name *names = arena_alloc(arena, FLOW_NAMES_MAX, sizeof(*names));
    int count = 0;
    if (!names)
        return err_nomem(err);
    for (int i = 0; i < types_count(types); i++) {
        const struct entity_type *type = types_at(types, i);
        struct str rest = flow, pack;
        (void)str_cut(&rest, '/', &pack);
        if (type->kind == TYPE_CASE && str_eq(type->pack, pack) && str_eq(type->flow, rest))
            count = names_add(type, names, count);
    }
    *out = names;
    *out_count = count;
    return ERR_OK;
}

static int host_people(void *ctx, struct tx *tx, struct str candidate, const json_t *record,
                       int64_t *out_users, int max)
{
    const struct handle *handle = ctx;
    int64_t user = 0;
    if (max < 1)
        return 0;
    if (str_eq(candidate, STR("rota:service")))
        return handle->config.on_duty ? handle->config.on_duty(handle->config.on_duty_ctx, tx,
                                                               record_id(record, "service"), out_users, max)
                                      : 0;
    if (str_starts(candidate, STR("role:")))
        return role_users_sql(tx, str_slice(candidate, 5, candidate.len), out_users, max);
    if (str_starts(candidate, STR("user:")))
        user = user_by_login_sql(tx, str_slice(candidate, 5, candidate.len));
    else if (str_eq(candidate, STR("owner")))
        user = record_id(record, "created_by");
    if (user)
        out_users[0] = user;
    return user ? 1 : 0;
}

static struct str host_user_name(void *ctx, struct tx *tx, int64_t user, struct arena *arena)
{
    (void)ctx;
    return user_name_sql(tx, user, arena);
}

bool handle_may(struct handle *handle, struct tx *tx, const struct principal *who, struct str permission,
                struct str type_name, int64_t id)
{
    const struct entity_type *type = type_of(handle, type_name);
    struct scope_row row = { 0 };
    if (!who || who->kind == PRINCIPAL_SYSTEM || principal_may_all(who, permission))
        return true;
    if (!type || !principal_may(who, permission) || !case_scope_sql(tx, id, &row))
        return false;
    if (type->everyone)
        return true;
    row.has_org = type->scope_org >= 0;
    row.has_grid = type->scope_grid >= 0;
    row.has_subject = type->scope_subject >= 0;
    row.has_owner = type->scope_own >= 0;
    return principal_sees(who, permission, &row);
}

static bool host_may(void *ctx, struct tx *tx, const void *who, struct str permission, struct str type,
                     int64_t id)
{
    return handle_may(ctx, tx, who, permission, type, id);
}

struct live {
    struct http_server *server;
    struct str json;
};

static void live_send(void *arg)
{
    const struct live *live = arg;
    inbox_live(live->server, live->json);
}

static enum err_code host_emit(void *ctx, struct tx *tx, const char *topic, int64_t subject,
                               const json_t *data, struct err *err)
{
    const struct handle *handle = ctx;
    char *text = json_dumps(data, JSON_COMPACT);
    struct str copy = text ? arena_str(tx_arena(tx), str_from(text)) : (struct str) { 0 };
    enum err_code rc = copy.ptr ? ERR_OK : err_nomem(err);
    free(text);
    if (!rc && handle->config.outbox)
        rc = outbox_add(handle->config.outbox, tx, str_from(topic), subject, copy, err);
    if (!rc && handle->config.server) {
        /* no names, no opinions: the page asks again with its own rights */
        const char *id = json_string_value(json_object_get(data, "case"));
        struct live *live = arena_alloc(tx_arena(tx), 1, sizeof(*live));
        if (!live)
            return err_nomem(err);
        *live = (struct live) { handle->config.server,
                                arena_printf(tx_arena(tx), "{\"case\":\"%s\",\"what\":\"%s\"}", id ? id : "",
                                             topic) };
        rc = live->json.ptr ? tx_after_commit(tx, live_send, live, err) : err_nomem(err);
    }
    return rc;
}

static enum err_code host_audit(void *ctx, struct tx *tx, const struct case_actor *by, const char *act,
                                struct str type, int64_t id, const json_t *data, struct err *err)
{
    const struct handle *handle = ctx;
    const struct principal *who = by->who;
    struct audit_line line = { .action = act,
                               .object_type = type,
                               .object_id = id,
                               .user_id = by->id,
                               .user_name = who ? who->login : STR("") };
    char *text;
    enum err_code rc;
    if (!handle->config.audit)
        return ERR_OK;
    text = json_dumps(data, JSON_COMPACT);
    if (!text)
        return err_nomem(err);
    line.after = str_from(text);
    rc = audit_write(handle->config.audit, tx, &line, err);
    free(text);
    return rc;
}

/* ---- what the entity layer tells ---- */

static struct case_actor actor_of(const struct entity_call *call)
{
    const struct principal *who = call->who;
    if (!who)
        return (struct case_actor) { 0, STR(""), NULL };
    return (struct case_actor) { who->user_id, who->name.len ? who->name : who->login, who };
}

/* A case without an organisation gets its service's, else that of who opens it: it must be in somebody's
 * scope. */
static enum err_code before_hook(void *arg, const struct entity_call *call, struct tx *tx,
                                 struct entity_change *change, struct err *err)
{
    const struct handle *handle = arg;
    const char *service_type, *field;
    const struct entity_type *type;
    int64_t org = 0;
    char text[24];
    if (change->op != ENTITY_CREATE || change->type->kind != TYPE_CASE ||
        type_field(change->type, STR("org")) < 0 || record_id(change->after, "org"))
        return ERR_OK;
    service_type = json_string_value(json_object_get(change->type->clocks, "services"));
    field = json_string_value(json_object_get(change->type->clocks, "service"));
    type = service_type ? entity_type_find(handle->config.entity, service_type) : NULL;
    if (type && field && record_id(change->after, field)) {
        const struct entity_call engine = call_of(handle, tx, NULL);
        json_t *service = NULL;
        enum err_code rc = entity_get(&engine, tx, type, record_id(change->after, field), &service, err);
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
        org = rc ? 0 : record_id(service, "org");
        json_decref(service);
    }
    if (!org && call->who)
        org = call->who->org_id;
    if (!org)
        return ERR_OK;
    (void)snprintf(text, sizeof(text), "%lld", (long long)org);
    return json_object_set_new(change->after, "org", json_string(text)) ? err_nomem(err) : ERR_OK;
}

static enum err_code after_hook(void *arg, const struct entity_call *call, struct tx *tx,
                                struct entity_change *change, struct err *err)
{
    struct handle *handle = arg;
    const struct case_actor by = actor_of(call);
    const struct case_step step = { &by, STR("") };
    enum err_code rc;
    if (change->type->kind != TYPE_CASE || !change->type->flow.len)
        return ERR_OK;
    if (change->op == ENTITY_CREATE) {
        rc = case_open(handle->room, tx, &step, change->type->full, change->id, change->after, err);
        return rc ? rc : case_pins_sql(tx, change->id, err);
    }
    if (change->op == ENTITY_UPDATE)
        return case_changed(handle->room, tx, &step, change->type->full, change->id, change->before,
                            change->after, err);
    return err_set(err, ERR_CONFLICT, "case.no_delete", ARG_END);
}

/* ---- alarms ---- */

static enum err_code alarm_opened(void *arg, struct tx *tx, const struct outbox_message *message,
                                  struct err *err)
{
    struct handle *handle = arg;
    const struct entity_type *type = type_of(handle, handle->config.alarm_type);
    json_t *alarm = json_loadb(message->json.ptr, message->json.len, 0, NULL), *snapshot = NULL,
           *fields = NULL;
    const struct str key = record_str(alarm, "key");
    const int64_t id = record_id(alarm, "id");
    const char *service = json_string_value(json_object_get(alarm, "service"));
    const char *subject = json_string_value(json_object_get(alarm, "subject"));
    const char *org = json_string_value(json_object_get(alarm, "org"));
    struct str level;
    int64_t case_id;
    bool opened;
    enum err_code rc;
    if (!id || !key.len) {
        json_decref(alarm);
        return err_set(err, ERR_INVALID, "case.bad_alarm", ARG_END);
    }
    rc = office_matrix(handle->office, tx, type, &snapshot, err);
    if (!rc)
        rc = office_level(type, snapshot, record_id(alarm, "service"), (int)record_i64(alarm, "grade"),
                          tx_arena(tx), &level, err);
    if (!rc) {
        fields =
            json_pack("{s:O?,s:s%,s:s,s:o}", "title", json_object_get(alarm, "title"), "level", level.ptr,
                      level.len, "channel", "alarm", "alarm", json_incref(json_object_get(alarm, "id")));
        if (!fields)
            rc = err_nomem(err);
    }
    if (!rc && service && strcmp(service, "0") != 0)
        (void)json_object_set_new(fields, "service", json_string(service));
    if (!rc && subject && strcmp(subject, "0") != 0)
        (void)json_object_set_new(fields, "subject", json_string(subject));
    if (!rc && org && strcmp(org, "0") != 0)
        (void)json_object_set_new(fields, "org", json_string(org));
    if (!rc && record_str(alarm, "value").len)
        (void)json_object_set(fields, "description", json_object_get(alarm, "value"));
    if (!rc)
        rc = case_alarm(handle->room, tx, handle->config.alarm_type, id, key, fields, &case_id, &opened, err);
    json_decref(fields);
    json_decref(snapshot);
    json_decref(alarm);
    return rc ? err_in(err, "case.alarm") : ERR_OK;
}

static enum err_code alarm_cleared(void *arg, struct tx *tx, const struct outbox_message *message,
                                   struct err *err)
{
    struct handle *handle = arg;
    json_t *alarm = json_loadb(message->json.ptr, message->json.len, 0, NULL);
    const int64_t id = record_id(alarm, "id"), cleared = record_instant(alarm, "cleared_at");
    enum err_code rc = id ? ERR_OK : err_set(err, ERR_INVALID, "case.bad_alarm", ARG_END);
    if (!rc)
        rc = case_alarm_cleared(handle->room, tx, id, cleared > 0 ? cleared : 0, err);
    json_decref(alarm);
    return rc;
}

/* ---- time ---- */

struct loading {
    struct handle *handle;
    int64_t after;
};

static enum err_code calendars_fn(struct tx *tx, void *arg, struct err *err)
{
    struct loading *loading = arg;
    struct findings findings;
    enum err_code rc = findings_init(&findings, tx_arena(tx), err);
    if (!rc)
        rc = office_load(loading->handle->office, tx, &findings, err);
    for (int i = 0; !rc && i < findings.count; i++)
        log_err(&findings.items[i], "calendar.record", "left out");
    return rc;
}

static enum err_code derive_fn(struct tx *tx, void *arg, struct err *err)
{
    struct loading *loading = arg;
    return case_derive_all(loading->handle->room, tx, loading->after, DERIVE_BATCH, &loading->after, err);
}

/* A calendar changed: what is open is derived anew, a batch a transaction. */
static enum err_code calendars_again(struct handle *handle, struct err *err)
{
    struct loading loading = { handle, 0 };
    enum err_code rc = store_read(handle->config.store, calendars_fn, &loading, err);
    do {
        if (!rc)
            rc = store_write(handle->config.store, derive_fn, &loading, err);
    } while (!rc && loading.after);
    return rc;
}

static void on_record(void *arg, const struct bus_event *event)
{
    struct handle *handle = arg;
    json_t *json = json_loadb(event->json.ptr, event->json.len, 0, NULL);
    if (office_cares(handle->office, record_str(json, "type")))
        handle->calendars_changed = true;
    json_decref(json);
}

static void *thread_main(void *arg)
{
    struct handle *handle = arg;
    bool failing = false;
    for (;;) {
        struct err err;
        int done = 0;
        enum err_code rc = ERR_OK;
        bool stopping;
        if (handle->calendars_changed) {
            handle->calendars_changed = false;
            rc = calendars_again(handle, &err);
            if (rc)
                handle->calendars_changed = true;
        }
        if (!rc)
            rc = case_tick(handle->room, handle->config.store, TICK_BATCH, &done, &err);
        if (rc && !failing) /* once, not each second while the store is away */
            log_err(&err, "case.tick", "tried again each second");
        failing = rc != ERR_OK;
        const int64_t until_ms = clock_mono(&CLOCK_SYSTEM) + TICK_MS;
        (void)pthread_mutex_lock(&handle->lock);
        while (!handle->stopping && done < TICK_BATCH &&
               cond_wait_until(&handle->wake, &handle->lock, until_ms))
            ;
        stopping = handle->stopping;
        (void)pthread_mutex_unlock(&handle->lock);
        if (stopping)
            return NULL;
    }
}

/* ---- the room ---- */

/* Reads every flow that a case type names: what does not deploy stops the start, with file and line. */
static enum err_code flows_check(const struct handle *handle, struct findings *findings, struct err *err)
{
    bool bad = false;
    for (int i = 0; i < types_count(entity_types(handle->config.entity)); i++) {
        const struct entity_type *type = types_at(entity_types(handle->config.entity), i);
        const struct pack_file *file;
        const struct flow_model *model;
        struct arena *arena;
        enum err_code rc;
        if (type->kind != TYPE_CASE || !type->flow.len)
            continue;
        file = flow_file(type);
        if (!file) {
            rc = err_set(err, ERR_INVALID, "flow.no_file", ARG_STR("type", type->full), ARG_END);
            findings_add(findings, err);
            bad = true;
            continue;
        }
        arena = arena_new((size_t)64 << 20);
        rc = arena ? flow_model_read(arena, file->text, findings, &model, err) : err_nomem(err);
        if (!rc) {
            struct flow_name *names = arena_alloc(arena, FLOW_NAMES_MAX, sizeof(*names));
            const struct flow_expressions *expressions;
            rc = names ? flow_expressions_new(arena, model, names, names_add(type, names, 0), false, findings,
                                              &expressions, err)
                       : err_nomem(err);
            if (!rc && type->reopen.len && flow_node_find(model, type->reopen) < 0) {
                rc = err_set(err, ERR_INVALID, "case.no_reopen", ARG_STR("node", type->reopen), ARG_END);
                findings_add(findings, err);
            }
        }
        arena_free(arena);
        if (rc == ERR_NOMEM)
            return rc;
        bad |= rc != ERR_OK;
    }
    return bad ? ERR_INVALID : ERR_OK;
}

enum err_code handle_new(const struct handle_config *config, struct findings *findings,
                         struct handle **out_handle, struct err *err)
{
    struct handle *handle = mem_alloc(1, sizeof(*handle));
    const struct case_config cases = { config->ids, config->clock, handle ? &handle->host : NULL };
    struct loading loading = { handle, 0 };
    enum err_code rc = handle ? ERR_OK : err_nomem(err);
    if (rc)
        return rc;
    handle->config = *config;
    handle->host =
        (struct case_host) { handle,      host_get,       host_patch,     host_create,        host_flow,
                             host_matrix, host_terms,     host_calendars, host_calendars_put, host_names,
                             host_people, host_user_name, host_may,       host_emit,          host_audit };
    (void)pthread_mutex_init(&handle->lock, NULL);
    cond_init(&handle->wake);
    rc = flows_check(handle, findings, err);
    if (!rc)
        rc = case_room_new(&cases, &handle->room, err);
    if (!rc)
        rc = office_new(config->entity, &handle->office, err);
    if (!rc)
        rc = store_read(config->store, calendars_fn, &loading, err);
    for (int i = 0; !rc && i < types_count(entity_types(config->entity)); i++) {
        const struct entity_type *type = types_at(entity_types(config->entity), i);
        if (type->kind != TYPE_CASE || !type->flow.len)
            continue;
        rc = entity_hook_add(config->entity, type->full.ptr, before_hook, handle, err);
        if (!rc)
            rc = entity_hook_after_add(config->entity, type->full.ptr, after_hook, handle, err);
    }
    if (!rc && config->outbox && config->alarm_type.len && type_of(handle, config->alarm_type)) {
        const struct outbox_consumer consumer = {
            .name = "handle.alarm", .pattern = "alarm.opened", .in_tx = alarm_opened, .arg = handle
        };
        const struct outbox_consumer cleared = {
            .name = "handle.alarm.cleared", .pattern = "alarm.cleared", .in_tx = alarm_cleared, .arg = handle
        };
        rc = outbox_register(config->outbox, &consumer, err);
        if (!rc)
            rc = outbox_register(config->outbox, &cleared, err);
    }
    if (!rc)
        rc = tell_register(handle, err);
    if (!rc && config->bus)
        rc = bus_subscribe(config->bus, "record.*", on_record, handle, &handle->bus_handle, err);
    if (!rc && config->server)
        rc = inbox_routes(config->server, handle, err);
    if (rc) {
        handle_free(handle);
        return err_in(err, "handle.open");
    }
    *out_handle = handle;
    return ERR_OK;
}

void handle_free(struct handle *handle)
{
    if (!handle)
        return;
    handle_stop(handle);
    if (handle->bus_handle)
        bus_unsubscribe(handle->config.bus, handle->bus_handle);
    case_room_free(handle->room);
    office_free(handle->office);
    (void)pthread_mutex_destroy(&handle->lock);
    (void)pthread_cond_destroy(&handle->wake);
    mem_free(handle);
}

enum err_code handle_start(struct handle *handle, struct err *err)
{
    if (pthread_create(&handle->thread, NULL, thread_main, handle) != 0)
        return err_nomem(err);
    handle->running = true;
    return ERR_OK;
}

void handle_stop(struct handle *handle)
{
    if (!handle->running)
        return;
    (void)pthread_mutex_lock(&handle->lock);
    handle->stopping = true;
    (void)pthread_cond_broadcast(&handle->wake);
    (void)pthread_mutex_unlock(&handle->lock);
    (void)pthread_join(handle->thread, NULL);
    handle->running = false;
}

struct case_room *handle_room(struct handle *handle)
{
    return handle->room;
}

struct office *handle_office(struct handle *handle)
{
    return handle->office;
}

const struct handle_config *handle_config(const struct handle *handle)
{
    return &handle->config;
}

void handle_permissions(struct handle *handle, void (*each)(void *arg, struct str permission), void *arg)
{
    static const char *const acts[] = { "handle", "reopen", "cancel" };
    for (int i = 0; i < types_count(entity_types(handle->config.entity)); i++) {
        const struct entity_type *type = types_at(entity_types(handle->config.entity), i);
        const struct pack_file *file = type->kind == TYPE_CASE ? flow_file(type) : NULL;
        struct arena *arena = file ? arena_new((size_t)64 << 20) : NULL;
        const struct flow_model *model = NULL;
        struct findings findings;
        struct err err;
        if (!arena)
            continue;
        for (size_t a = 0; a < sizeof(acts) / sizeof(acts[0]); a++) {
            const struct str name = arena_printf(arena, "%.*s.%s", STR_ARG(type->full), acts[a]);
            if (name.ptr)
                each(arg, name);
        }
        /* it was read at the start without a finding */
        if (!findings_init(&findings, arena, &err) &&
            !flow_model_read(arena, file->text, &findings, &model, &err))
            for (int n = 0; n < model->nodes_count; n++)
                for (int c = 0; c < model->nodes[n].candidates.count; c++) {
                    const struct str who = model->nodes[n].candidates.items[c];
                    if (str_starts(who, STR("may:")))
                        each(arg, str_slice(who, 4, who.len));
                }
        arena_free(arena);
    }
}
