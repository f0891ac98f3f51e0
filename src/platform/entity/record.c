/* record.c - one record made, changed, deleted, read; see entity.h.
 *
 * The order within a write, which others rely on:
 *   1 permission and scope of what is there   2 fields read and checked   3 hooks before   4 rules,
 * references 5 the row   6 common row, search index, history   7 scope of what is there now   8 audit, hooks
 * after 9 (after the commit) the event. */
#include "base/json.h"
#include "platform/entity/internal.h"

#define RECORD_BYTES_MAX ((size_t)16 << 20)

/* ---- small helpers ---- */

static bool has_hooks(const struct entity *entity, const struct entity_type *type, bool after)
{
    for (int i = 0; i < entity->hooks_count; i++)
        if (entity->hooks[i].after == after && (!entity->hooks[i].type || entity->hooks[i].type == type))
            return true;
    return false;
}

static enum err_code run_hooks(const struct entity_call *call, struct tx *tx, struct entity_change *change,
                               bool after, struct err *err)
{
    const struct entity *entity = call->entity;
    for (int i = 0; i < entity->hooks_count; i++) {
        const struct hook *hook = &entity->hooks[i];
        if (hook->after != after || (hook->type && hook->type != change->type))
            continue;
        const enum err_code rc = hook->fn(hook->arg, call, tx, change, err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

/* The values as a JSON object, sensitive ones masked (they are plain here, not sealed). */
static void add_member(const struct entity_field *field, const struct value *value, struct buf *out)
{
    if (!field->mask || value->null) {
        value_json(field, value, out);
        return;
    }
    struct buf masked;
    buf_init(&masked, (size_t)TYPE_TEXT_LIMIT * 4);
    value_mask(field->mask, value->text, &masked);
    buf_json(out, buf_get(&masked));
    buf_done(&masked);
}

/* {"name": value, ...} of the changed fields. */
static void add_changed(const struct write *w, const struct value *values, struct buf *out)
{
    bool any = false;
    buf_char(out, '{');
    for (int i = COLUMN_OWN; i < w->type->fields_count; i++) {
        if (!w->changed[i])
            continue;
        if (any)
            buf_char(out, ',');
        any = true;
        buf_str(out, w->type->fields[i].column);
        buf_char(out, ':');
        add_member(&w->type->fields[i], &values[i], out);
    }
    buf_char(out, '}');
}

/* {"name": {"before": ..., "after": ...}, ...} */
static void add_history(const struct write *w, bool deleted, struct buf *out)
{
    bool any = false;
    buf_char(out, '{');
    for (int i = COLUMN_OWN; i < w->type->fields_count; i++) {
        if (!w->changed[i])
            continue;
        if (any)
            buf_char(out, ',');
        any = true;
        buf_str(out, w->type->fields[i].column);
        buf_text(out, ":{\"before\":");
        add_member(&w->type->fields[i], &w->before[i], out);
        buf_text(out, ",\"after\":");
        if (deleted)
            buf_text(out, "null");
        else
            add_member(&w->type->fields[i], &w->after[i], out);
        buf_char(out, '}');
    }
    buf_char(out, '}');
}

/* The values with sealed ones opened, as hooks see a record. */
static enum err_code values_object(const struct write *w, const struct value *values, json_t **out,
                                   struct err *err)
{
    struct buf text;
    buf_init(&text, RECORD_BYTES_MAX);
    for (int i = 0; i < w->type->fields_count; i++) {
        buf_char(&text, i ? ',' : '{');
        buf_str(&text, w->type->fields[i].column);
        buf_char(&text, ':');
        value_json(&w->type->fields[i], &values[i], &text);
    }
    buf_char(&text, '}');
    enum err_code rc = buf_check(&text, err);
    if (!rc) {
        *out = json_loadb(text.ptr, text.len, 0, NULL);
        if (!*out)
            rc = err_set(err, ERR_CORRUPT, "entity.row", ARG_STR("type", w->type->full), ARG_INT("id", w->id),
                         ARG_END);
    }
    buf_done(&text);
    return rc;
}

/* ---- scope ---- */

static enum err_code must_reach(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                                int64_t id, const char *action, struct err *err)
{
    bool found = false;
    if (scope_is_all(call, type, action))
        return ERR_OK;
    const enum err_code rc = row_reached(call, tx, type, id, action, &found, err);
    return rc || found ? rc : err_set(err, ERR_FORBIDDEN, "entity.out_of_scope", ARG_END);
}

static enum err_code check_version(const struct write *w, int64_t version, struct err *err)
{
    const int64_t now = w->before[COLUMN_VERSION].i64;
    if (!version || version == now)
        return ERR_OK;
    return err_set(err, ERR_STALE, "entity.stale", ARG_INT("yours", version), ARG_INT("now", now), ARG_END);
}

/* ---- creating ---- */

static unsigned mode_of(const struct entity_call *call)
{
    return call_is_engine(call) ? FIELDS_ENGINE : 0;
}

static void set_i64(struct write *w, int field, int64_t value)
{
    if (field >= 0)
        w->after[field] = (struct value) { .given = true, .i64 = value };
}

/* What the kind of the type brings: instants and the number. */
static enum err_code fill_kind(struct write *w, struct err *err)
{
    const int64_t now = clock_now(w->call->entity->config.clock);
    const char *name = w->type->kind == TYPE_FACT   ? "known_at"
                       : w->type->kind == TYPE_CASE ? "opened_at"
                                                    : NULL;
    const int at = name ? type_field(w->type, str_from(name)) : -1;
    if (at >= 0 && w->after[at].null)
        set_i64(w, at, now);
    const int number = type_field(w->type, STR("number"));
    if (!w->type->number.len || number < 0 || !w->after[number].null)
        return ERR_OK;
    struct value value = { .given = true };
    const enum err_code rc = number_next(w->tx, w->type, zone_day(entity_zone(w->call->entity), now),
                                         w->call->arena, &value.text, err);
    if (!rc)
        w->after[number] = value;
    return rc;
}

static enum err_code read_new(struct write *w, const json_t *fields, struct err *err)
{
    const struct entity_call *call = w->call;
    enum err_code rc = fields_read(w->type, fields, FIELDS_CREATE | mode_of(call), call->arena,
                                   call->findings, w->after, err);
    if (rc || !has_hooks(call->entity, w->type, false))
        return rc;
    json_t *after = json_deep_copy(fields);
    struct entity_change change = { ENTITY_CREATE, w->type, w->id, NULL, after };
    rc = after ? run_hooks(call, w->tx, &change, false, err) : err_nomem(err);
    if (!rc)
        rc = fields_read(w->type, after, FIELDS_CREATE | FIELDS_ENGINE, call->arena, call->findings, w->after,
                         err);
    json_decref(after);
    return rc;
}

static void set_standard(struct write *w, int64_t version, bool created)
{
    const int64_t now = clock_now(w->call->entity->config.clock);
    const int64_t user = w->call->who ? w->call->who->user_id : 0;
    set_i64(w, COLUMN_ID, w->id);
    set_i64(w, COLUMN_VERSION, version);
    set_i64(w, COLUMN_UPDATED_AT, now);
    set_i64(w, COLUMN_UPDATED_BY, user);
    w->after[COLUMN_UPDATED_BY].null = !user;
    if (created) {
        w->after[COLUMN_CREATED_AT] = w->after[COLUMN_UPDATED_AT];
        w->after[COLUMN_CREATED_BY] = w->after[COLUMN_UPDATED_BY];
    }
}

static enum err_code hooks_after(struct write *w, enum entity_op op, struct err *err)
{
    json_t *before = NULL, *after = NULL;
    enum err_code rc = ERR_OK;
    if (!has_hooks(w->call->entity, w->type, true))
        return ERR_OK;
    if (op != ENTITY_CREATE)
        rc = values_object(w, w->before, &before, err);
    if (!rc && op != ENTITY_DELETE)
        rc = values_object(w, w->after, &after, err);
    struct entity_change change = { op, w->type, w->id, before, after };
    if (!rc)
        rc = run_hooks(w->call, w->tx, &change, true, err);
    json_decref(before);
    json_decref(after);
    return rc;
}

static const struct value *label_of(const struct write *w, const struct value *values)
{
    return &values[w->type->label];
}

static enum err_code audit(struct write *w, const char *action, bool before, bool after, struct err *err)
{
    struct buf old, new;
    buf_init(&old, RECORD_BYTES_MAX);
    buf_init(&new, RECORD_BYTES_MAX);
    if (before)
        add_changed(w, w->before, &old);
    if (after)
        add_changed(w, w->after, &new);
    enum err_code rc = buf_check(&old, err);
    if (!rc)
        rc = buf_check(&new, err);
    const struct value *label = label_of(w, after ? w->after : w->before);
    if (!rc)
        rc = audit_record(w->call, w->tx, w->type, action, w->id,
                          label->null ? (struct str) { 0 } : label->text, buf_get(&old), buf_get(&new), err);
    buf_done(&old);
    buf_done(&new);
    return rc;
}

static enum err_code index_text(struct write *w, const struct value *before, struct err *err)
{
    const enum err_code rc = text_put(w->tx, w->type, w->id, before, w->after, err);
    if (!rc)
        text_tidy_note(w->call->entity->tidy, w->type, w->after);
    return rc;
}

static enum err_code create(struct write *w, const json_t *fields, struct err *err)
{
    const struct entity_call *call = w->call;
    enum err_code rc = call_may(call, w->type, "create", err);
    if (!rc)
        rc = read_new(w, fields, err);
    if (!rc)
        rc = fill_kind(w, err);
    if (!rc)
        rc = fields_required(w->type, w->after, call->findings, err);
    if (!rc)
        rc = references_check(call, w->tx, w->type, w->after, fields, err);
    if (rc)
        return rc;
    set_standard(w, 1, true);
    for (int i = COLUMN_OWN; i < w->type->fields_count; i++)
        w->changed[i] = !w->after[i].null;
    rc = rules_check(call, w->type, w->after, err);
    if (!rc)
        rc = row_insert(w, err);
    if (!rc)
        rc = common_put(w->tx, w->type, w->id, w->after, err);
    if (!rc)
        rc = index_text(w, NULL, err);
    if (!rc)
        rc = values_must_reach(w, "create", err);
    if (!rc)
        rc = audit(w, "create", false, true, err);
    if (!rc)
        rc = hooks_after(w, ENTITY_CREATE, err);
    return rc ? rc : event_after(call, w->tx, w->type, "record.created", w->id, 1, err);
}

/* The record can be shown from what was written: nothing of it is looked up, and nobody changed it behind us.
 */
static bool shows_itself(const struct write *w)
{
    const struct entity_call *call = w->call;
    return !call->labels && !has_hooks(call->entity, w->type, true) &&
           !call_may(call, w->type, "read", NULL) && call_sees(call, w->type) != SEES_BY_ROW &&
           (tx_is_hopeful(w->tx) || scope_is_all(call, w->type, "read"));
}

static enum err_code show(const struct write *w, struct buf *out, struct err *err)
{
    const bool plain = call_sees(w->call, w->type) == SEES_PLAIN;
    const enum err_code rc = values_must_reach(w, "read", err);
    for (int i = 0; !rc && i < w->type->fields_count; i++) {
        const struct entity_field *field = &w->type->fields[i];
        buf_char(out, i ? ',' : '{');
        buf_str(out, field->column);
        buf_char(out, ':');
        if (plain)
            value_json(field, &w->after[i], out);
        else
            add_member(field, &w->after[i], out);
    }
    buf_char(out, '}');
    return rc ? rc : buf_check(out, err);
}

enum err_code entity_create_json(const struct entity_call *call, struct tx *tx,
                                 const struct entity_type *type, const json_t *fields, int64_t *out_id,
                                 bool *out_shown, struct buf *out, struct err *err)
{
    struct write *w = arena_alloc(call->arena, 1, sizeof *w);
    if (!w)
        return err_nomem(err);
    /* made here, within the transaction: so the order of ids is that of the search index */
    *w = (struct write) { .call = call, .tx = tx, .type = type, .id = ids_next(call->entity->config.ids) };
    enum err_code rc = create(w, fields, err);
    const bool shown = !rc && out && shows_itself(w);
    if (shown)
        rc = show(w, out, err);
    if (!rc)
        *out_id = w->id;
    if (!rc && out_shown)
        *out_shown = shown;
    return rc;
}

enum err_code entity_create(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                            const json_t *fields, int64_t *out_id, struct err *err)
{
    return entity_create_json(call, tx, type, fields, out_id, NULL, NULL, err);
}

/* ---- changing ---- */

/* RFC 7396 for what lies inside an object field. */
static json_t *merge_patch(const json_t *old, const json_t *patch)
{
    if (!json_is_object(patch))
        return json_deep_copy(patch);
    json_t *out = json_is_object(old) ? json_deep_copy(old) : json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, name, value)
    {
        if (json_is_null(value))
            json_object_del(out, name);
        else
            json_object_set_new(out, name, merge_patch(json_object_get(out, name), value));
    }
    return out;
}

/* The patch with object fields made whole. */
static json_t *patch_whole(const struct write *w, const json_t *patch)
{
    json_t *out = json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)patch, name, value)
    {
        const int i = type_field(w->type, str_from(name));
        if (i >= 0 && w->type->fields[i].shape.type == SHAPE_OBJECT && json_is_object(value) &&
            !w->before[i].null) {
            json_t *old = json_loadb(w->before[i].text.ptr, w->before[i].text.len, 0, NULL);
            json_object_set_new(out, name, merge_patch(old, value));
            json_decref(old);
        } else {
            json_object_set(out, name, value);
        }
    }
    return out;
}

/* What a client that saw only the masked form sends back is no change. */
static bool is_masked_form(const struct entity_field *field, const struct value *before,
                           const struct value *given)
{
    if (!field->mask || before->null || given->null)
        return false;
    struct buf masked;
    buf_init(&masked, (size_t)TYPE_TEXT_LIMIT * 4);
    value_mask(field->mask, before->text, &masked);
    const bool same = str_eq(buf_get(&masked), given->text);
    buf_done(&masked);
    return same;
}

static bool merge_values(struct write *w, const struct value *given)
{
    bool any = false;
    for (int i = COLUMN_OWN; i < w->type->fields_count; i++) {
        const struct entity_field *field = &w->type->fields[i];
        w->after[i] = w->before[i];
        w->after[i].given = false;
        w->changed[i] = given[i].given && !value_same(field, &given[i], &w->before[i]) &&
                        !is_masked_form(field, &w->before[i], &given[i]);
        if (w->changed[i])
            w->after[i] = given[i];
        any = any || w->changed[i];
    }
    return any;
}

static enum err_code read_patch(struct write *w, const json_t *patch, bool *out_any, struct err *err)
{
    const struct entity_call *call = w->call;
    struct value *given = arena_alloc(call->arena, TYPE_FIELDS_MAX, sizeof *given);
    json_t *whole = json_is_object(patch) ? patch_whole(w, patch) : json_incref((json_t *)(uintptr_t)patch);
    json_t *before = NULL, *after = NULL;
    enum err_code rc = given && whole ? ERR_OK : err_nomem(err);
    if (!rc)
        rc = fields_read(w->type, whole, mode_of(call), call->arena, call->findings, given, err);
    if (!rc)
        *out_any = merge_values(w, given);
    if (!rc && has_hooks(call->entity, w->type, false)) {
        memcpy(w->after, w->before, sizeof *w->after * COLUMN_OWN);
        rc = values_object(w, w->before, &before, err);
        if (!rc)
            rc = values_object(w, w->after, &after, err);
        struct entity_change change = { ENTITY_UPDATE, w->type, w->id, before, after };
        if (!rc)
            rc = run_hooks(call, w->tx, &change, false, err);
        for (int i = 0; !rc && i < COLUMN_OWN; i++)
            json_object_del(after, w->type->fields[i].name.ptr);
        if (!rc)
            rc = fields_read(w->type, after, FIELDS_ENGINE, call->arena, call->findings, given, err);
        if (!rc)
            *out_any = merge_values(w, given);
    }
    json_decref(whole);
    json_decref(before);
    json_decref(after);
    return rc;
}

static enum err_code write_history(struct write *w, const char *action, int64_t version, bool deleted,
                                   struct err *err)
{
    struct buf changes;
    buf_init(&changes, RECORD_BYTES_MAX);
    add_history(w, deleted, &changes);
    enum err_code rc = buf_check(&changes, err);
    if (!rc)
        rc = history_add(w->call, w->tx, w->type, w->id, version, action, buf_get(&changes), err);
    buf_done(&changes);
    return rc;
}

static enum err_code update(struct write *w, int64_t version, const json_t *patch, int64_t *out_version,
                            struct err *err)
{
    const struct entity_call *call = w->call;
    bool any = false;
    enum err_code rc = call_may(call, w->type, "update", err);
    if (!rc)
        rc = row_read(w, err);
    if (!rc)
        rc = must_reach(call, w->tx, w->type, w->id, "update", err);
    if (!rc)
        rc = check_version(w, version, err);
    if (!rc && w->type->kind == TYPE_FACT)
        rc = err_set(err, ERR_CONFLICT, "entity.append_only", ARG_END);
    if (!rc)
        rc = read_patch(w, patch, &any, err);
    if (rc)
        return rc;
    *out_version = w->before[COLUMN_VERSION].i64;
    if (!any)
        return ERR_OK;
    const int64_t next = *out_version + 1;
    memcpy(w->after, w->before, sizeof *w->after * COLUMN_OWN);
    set_standard(w, next, false);
    rc = fields_required(w->type, w->after, call->findings, err);
    if (!rc)
        rc = references_check(call, w->tx, w->type, w->after, patch, err);
    if (!rc)
        rc = rules_check(call, w->type, w->after, err);
    if (!rc)
        rc = row_update(w, err);
    if (!rc)
        rc = common_put(w->tx, w->type, w->id, w->after, err);
    if (!rc)
        rc = index_text(w, w->before, err);
    if (!rc)
        rc = write_history(w, "update", next, false, err);
    if (!rc)
        rc = must_reach(call, w->tx, w->type, w->id, "update", err);
    if (!rc)
        rc = audit(w, "update", true, true, err);
    if (!rc)
        rc = hooks_after(w, ENTITY_UPDATE, err);
    if (!rc)
        rc = event_after(call, w->tx, w->type, "record.updated", w->id, next, err);
    if (!rc)
        *out_version = next;
    return rc;
}

static struct write *write_new(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                               int64_t id)
{
    struct write *w = arena_alloc(call->arena, 1, sizeof *w);
    if (w)
        *w = (struct write) { .call = call, .tx = tx, .type = type, .id = id };
    return w;
}

enum err_code record_change(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                            int64_t id, int64_t version, const json_t *patch, int64_t *out_version,
                            bool *out_changed, struct err *err)
{
    int64_t now = 0;
    struct write *w = write_new(call, tx, type, id);
    const enum err_code rc = w ? update(w, version, patch, &now, err) : err_nomem(err);
    if (!rc && out_version)
        *out_version = now;
    if (!rc && out_changed)
        *out_changed = now != w->before[COLUMN_VERSION].i64;
    return rc;
}

enum err_code entity_update(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                            int64_t id, int64_t version, const json_t *patch, int64_t *out_version,
                            struct err *err)
{
    return record_change(call, tx, type, id, version, patch, out_version, NULL, err);
}

/* ---- deleting ---- */

static enum err_code hooks_before_delete(struct write *w, struct err *err)
{
    json_t *before = NULL;
    if (!has_hooks(w->call->entity, w->type, false))
        return ERR_OK;
    enum err_code rc = values_object(w, w->before, &before, err);
    struct entity_change change = { ENTITY_DELETE, w->type, w->id, before, NULL };
    if (!rc)
        rc = run_hooks(w->call, w->tx, &change, false, err);
    json_decref(before);
    return rc;
}

static enum err_code delete (struct write *w, int64_t version, struct err *err) {
    const struct entity_call *call = w->call; enum err_code rc = call_may(call, w->type, "delete", err);
    if (!rc) rc = row_read(w, err);
    if (!rc) rc = must_reach(call, w->tx, w->type, w->id, "delete", err);
    if (!rc) rc = check_version(w, version, err);
    if (!rc && w->type->kind == TYPE_FACT) rc = err_set(err, ERR_CONFLICT, "entity.append_only", ARG_END);
    if (!rc) rc = hooks_before_delete(w, err);
    if (!rc) rc = references_none(call->entity, w->tx, w->type, w->id, err);
    if (rc) return rc;
    for (int i = COLUMN_OWN; i < w->type->fields_count; i++) w->changed[i] = !w->before[i].null;
    rc = row_delete(w, err);
    if (!rc) rc = common_delete(w->tx, w->type, w->id, err);
    if (!rc) rc = text_put(w->tx, w->type, w->id, w->before, NULL, err);
    if (!rc) rc = write_history(w, "delete", w->before[COLUMN_VERSION].i64 + 1, true, err);
    if (!rc) rc = audit(w, "delete", true, false, err);
    if (!rc) rc = hooks_after(w, ENTITY_DELETE, err);
    return rc ? rc
              : event_after(call, w->tx, w->type, "record.deleted", w->id, w->before[COLUMN_VERSION].i64 + 1,
                            err);
}

enum err_code entity_delete(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                            int64_t id, int64_t version, struct err *err)
{
    struct write *w = write_new(call, tx, type, id);
    return w ? delete (w, version, err) : err_nomem(err);
}

/* ---- reading ---- */

enum err_code entity_get(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                         int64_t id, json_t **out, struct err *err)
{
    struct buf text;
    buf_init(&text, RECORD_BYTES_MAX);
    json_t *record = NULL;
    enum err_code rc = entity_get_json(call, tx, type, id, NULL, &text, err);
    if (!rc && !(record = json_loadb(text.ptr, text.len, 0, NULL)))
        rc = err_set(err, ERR_CORRUPT, "entity.row", ARG_STR("type", type->full), ARG_INT("id", id), ARG_END);
    if (!rc)
        *out = record;
    buf_done(&text);
    return rc;
}

/* ---- record_x: see entity.h ---- */

int64_t record_id(const json_t *record, const char *field)
{
    return json_get_id(record, field);
}

int64_t record_i64(const json_t *record, const char *field)
{
    return json_integer_value(json_object_get(record, field));
}

int64_t record_instant(const json_t *record, const char *field)
{
    int64_t ms = INT64_MIN;
    return clock_parse(json_get_str(record, field), &ms, NULL) ? INT64_MIN : ms;
}

struct str record_str(const json_t *record, const char *field)
{
    return json_get_str(record, field);
}

bool record_bool(const json_t *record, const char *field)
{
    return json_is_true(json_object_get(record, field));
}
