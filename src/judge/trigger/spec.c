/* spec.c - triggers from their records: kinds, names, expressions. */
#include "judge/trigger/internal.h"

#include <assert.h>
#include <stdio.h>

#define TRIGGER_ARENA_MAX ((size_t)1 << 20)

static const char *const KINDS[KIND__COUNT] = { "condition", "no_data", "change", "certificate" };

const struct trigger_name TRIGGER_NAMES[SLOT__COUNT] = {
    [SLOT_TOTAL] = { "total_ms", COLLECT_TOTAL, 3 },
    [SLOT_DNS] = { "dns_ms", COLLECT_DNS_TIME, 3 },
    [SLOT_CONNECT] = { "connect_ms", COLLECT_CONNECT, 3 },
    [SLOT_TLS] = { "tls_ms", COLLECT_TLS, 3 },
    [SLOT_FIRST_BYTE] = { "first_byte_ms", COLLECT_FIRST_BYTE, 3 },
    [SLOT_STATUS] = { "status", COLLECT_STATUS, 0 },
    [SLOT_BYTES] = { "bytes", COLLECT_BYTES, 0 },
    [SLOT_REDIRECTS] = { "redirects", COLLECT_REDIRECTS, 0 },
    [SLOT_CERT_DAYS] = { "cert_days", COLLECT_CERT_DAYS, 0 },
    [SLOT_LOSS] = { "loss", COLLECT_LOSS, 0 },
    [SLOT_RTT] = { "rtt_ms", COLLECT_RTT, 3 },
    [SLOT_JITTER] = { "jitter_ms", COLLECT_JITTER, 3 },
    [SLOT_UP] = { "up", COLLECT_UP, 0 },
    [SLOT_CAUSE] = { "cause", 0, 0 },
    [SLOT_DETAIL] = { "detail", 0, 0 },
    [SLOT_CERTIFICATE] = { "certificate", 0, 0 },
    [SLOT_NODE] = { "node", 0, 0 },
    [SLOT_RECENT] = { "recent", 0, 0 },
};

static enum err_code bad(struct err *err, const char *field, const char *id)
{
    char pointer[64];
    (void)snprintf(pointer, sizeof pointer, "/%s", field);
    (void)err_set(err, ERR_INVALID, id, ARG_TEXT("field", field), ARG_END);
    return err_pointer(err, str_from(pointer));
}

static double number_of(const json_t *record, const char *field, double absent)
{
    const json_t *value = json_object_get(record, field);
    return json_is_number(value) ? json_number_value(value) : absent;
}

static const char *text_of(const json_t *record, const char *field)
{
    const char *text = json_string_value(json_object_get(record, field));
    return text && *text ? text : NULL;
}

static int64_t id_of(const json_t *record, const char *field)
{
    int64_t id = 0;
    const json_t *value = json_object_get(record, field);
    if (json_is_string(value) && !str_i64(str_from(json_string_value(value)), &id))
        return 0;
    return json_is_integer(value) ? json_integer_value(value) : id;
}

static enum err_code make_scope(struct arena *arena, struct feel_scope **out, struct err *err)
{
    struct feel_scope *scope = feel_scope_new(arena);
    struct feel_type_field *fields = arena_alloc(arena, SLOT_NUMBERS, sizeof *fields);
    const struct feel_type *numbers = feel_type_list(arena, feel_type_basic(FEEL_T_NUMBER));
    if (!scope || !fields || !numbers)
        return err_nomem(err);
    for (int i = 0; i < SLOT_NUMBERS; i++)
        fields[i] = (struct feel_type_field) { str_from(TRIGGER_NAMES[i].name), numbers };
    const struct feel_type *recent = feel_type_context(arena, fields, SLOT_NUMBERS);
    if (!recent)
        return err_nomem(err);
    for (int i = 0; i < SLOT__COUNT; i++) {
        size_t slot;
        const struct feel_type *type = i < SLOT_NUMBERS   ? feel_type_basic(FEEL_T_NUMBER)
                                       : i == SLOT_UP     ? feel_type_basic(FEEL_T_BOOLEAN)
                                       : i == SLOT_RECENT ? recent
                                                          : feel_type_basic(FEEL_T_STRING);
        const enum err_code rc = feel_scope_add(scope, str_from(TRIGGER_NAMES[i].name), type, &slot, err);
        if (rc)
            return rc;
        assert(slot == (size_t)i);
    }
    *out = scope;
    return ERR_OK;
}

static enum err_code compile(struct arena *arena, const char *text, const char *field,
                             const struct feel_program **out, struct err *err)
{
    struct feel_scope *scope = NULL;
    char pointer[64];
    enum err_code rc = make_scope(arena, &scope, err);
    if (!rc)
        rc = feel_prepare(arena, scope, str_from(text), FEEL_EXPRESSION, 0, out, err);
    (void)snprintf(pointer, sizeof pointer, "/%s", field);
    return rc ? err_pointer(err, str_from(pointer)) : ERR_OK;
}

void trigger_free(struct trigger *trigger)
{
    if (!trigger)
        return;
    arena_free(trigger->arena);
    mem_free(trigger);
}

static enum err_code read_condition(struct trigger *trigger, const json_t *record, struct err *err)
{
    const char *raise = text_of(record, "condition"), *clear = text_of(record, "clear_condition");
    if (!raise)
        return bad(err, "condition", "trigger.condition");
    enum err_code rc = compile(trigger->arena, raise, "condition", &trigger->raise, err);
    if (!rc && clear)
        rc = compile(trigger->arena, clear, "clear_condition", &trigger->clear, err);
    if (!rc)
        trigger->uses_recent = feel_program_uses(trigger->raise, SLOT_RECENT) ||
                               (trigger->clear && feel_program_uses(trigger->clear, SLOT_RECENT));
    return rc;
}

enum err_code trigger_read(int64_t id, const json_t *record, struct trigger **out, struct err *err)
{
    struct trigger *trigger = mem_alloc(1, sizeof *trigger);
    if (!trigger)
        return err_nomem(err);
    const char *kind = text_of(record, "kind"), *check_kind = text_of(record, "check_kind");
    const char *metric = text_of(record, "metric"), *name = text_of(record, "name");
    const char *title = text_of(record, "title");
    enum err_code rc = ERR_OK;
    trigger->arena = arena_new(TRIGGER_ARENA_MAX);
    if (!trigger->arena)
        rc = err_nomem(err);
    trigger->id = id;
    trigger->kind = kind ? KIND__COUNT : KIND_CONDITION;
    for (int i = 0; kind && i < KIND__COUNT; i++)
        if (strcmp(kind, KINDS[i]) == 0)
            trigger->kind = (enum kind)i;
    trigger->check_kind = -1;
    for (int i = 0; check_kind && i < COLLECT_KIND__COUNT; i++)
        if (strcmp(check_kind, COLLECT_KIND_NAMES[i]) == 0)
            trigger->check_kind = i;
    trigger->grade = (int)number_of(record, "grade", 2);
    trigger->check = id_of(record, "check");
    trigger->service = id_of(record, "service");
    trigger->for_ms = (int64_t)(number_of(record, "for_s", 0) * 1000);
    trigger->clear_for_ms = (int64_t)(number_of(record, "clear_for_s", 0) * 1000);
    trigger->no_data_ms = (int64_t)(number_of(record, "no_data_s", 180) * 1000);
    trigger->nodes_min = (int)number_of(record, "nodes_min", 1);
    trigger->cert_days = (int)number_of(record, "cert_days", 30);
    trigger->metric = SLOT_CAUSE;
    for (int i = 0; metric && i < SLOT__COUNT; i++)
        if (strcmp(metric, i == SLOT_CERTIFICATE ? "subject" : TRIGGER_NAMES[i].name) == 0)
            trigger->metric = i;
    if (!rc && trigger->kind == KIND__COUNT)
        rc = bad(err, "kind", "trigger.kind");
    if (!rc && (trigger->grade < 1 || trigger->grade > 4))
        rc = bad(err, "grade", "trigger.grade");
    if (!rc && (trigger->nodes_min < 1 || trigger->for_ms < 0 || trigger->clear_for_ms < 0))
        rc = bad(err, "nodes_min", "trigger.number");
    if (!rc && trigger->kind == KIND_CONDITION)
        rc = read_condition(trigger, record, err);
    if (!rc) {
        trigger->name = arena_str(trigger->arena, str_from(name ? name : ""));
        trigger->title = arena_str(trigger->arena, str_from(title ? title : ""));
        if (!trigger->name.ptr || !trigger->title.ptr)
            rc = err_nomem(err);
    }
    if (rc) {
        trigger_free(trigger);
        return rc;
    }
    *out = trigger;
    return ERR_OK;
}

enum err_code trigger_validate(const json_t *record, struct err *err)
{
    struct trigger *trigger;
    const enum err_code rc = trigger_read(0, record, &trigger, err);
    if (!rc)
        trigger_free(trigger);
    return rc;
}
