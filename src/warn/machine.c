/* machine.c - see machine.h
 *
 * Live alarms stand in one array of pointers; two open-addressing maps (by id, by key) lead to them.
 * `order` has them by id as well, for reading in order: ids ascend, so a new alarm goes to its end, and one
 * that leaves only empties its place; what comes otherwise (restoring) makes it be built anew when it is
 * read. `down` counts the alarms of each subject that are not over, so that asking whether a parent is down
 * costs nothing; set_state() keeps it.  A tick asks the graph only for what may have changed: alarms that
 * opened a moment ago when something was raised since, and alarms whose parent is up again. */
#include "warn/machine.h"

#include <stdio.h>
#include <stdlib.h>

/* The whole life; an empty cell is an event that means nothing (or is refused) in that state. */
static const struct {
    bool legal;
    enum alarm_state next;
} TABLE[ALARM_STATE__COUNT][ALARM_EVENT__COUNT] = {
    /* clang-format off */
    [ALARM_OPEN][ALARM_RAISE]       = { true, ALARM_OPEN },
    [ALARM_OPEN][ALARM_CLEAR]       = { true, ALARM_CLEARED },
    [ALARM_OPEN][ALARM_ACK]         = { true, ALARM_ACKED },
    [ALARM_OPEN][ALARM_CLOSE]       = { true, ALARM_CLOSED },
    [ALARM_OPEN][ALARM_HOLD]        = { true, ALARM_OPEN },
    [ALARM_OPEN][ALARM_RELEASE]     = { true, ALARM_OPEN },
    [ALARM_OPEN][ALARM_ESCALATE]    = { true, ALARM_OPEN },
    [ALARM_ACKED][ALARM_RAISE]      = { true, ALARM_ACKED },
    [ALARM_ACKED][ALARM_CLEAR]      = { true, ALARM_CLEARED },
    [ALARM_ACKED][ALARM_CLOSE]      = { true, ALARM_CLOSED },
    [ALARM_ACKED][ALARM_HOLD]       = { true, ALARM_ACKED },
    [ALARM_ACKED][ALARM_RELEASE]    = { true, ALARM_ACKED },
    [ALARM_CLEARED][ALARM_RAISE]    = { true, ALARM_OPEN },
    [ALARM_CLEARED][ALARM_CLOSE]    = { true, ALARM_CLOSED },
    [ALARM_CLEARED][ALARM_EXPIRE]   = { true, ALARM_CLOSED },
    /* clang-format on */
};

const struct machine_times MACHINE_TIMES = { 600000, 60000, 30000, 600000, 4 };

struct map {
    uint32_t *slots; /* index + 1 in items, 0 empty; a power of two, at most half full */
    size_t size;
};

struct down {
    int64_t subject; /* 0: empty */
    int count;
};

struct place {
    int64_t id;
    struct alarm *alarm; /* NULL: it has left */
};

struct machine {
    struct ids *ids;
    struct machine_times times;
    struct machine_hooks hooks;
    struct alarm **items;
    int count, size;
    struct map by_id, by_key;
    struct down *down;           /* open addressing, as large as the maps: at most one subject an alarm */
    size_t down_size, down_used; /* slots taken, also by subjects that are up again */
    bool raised;                 /* since the last tick */
    struct place *order;         /* as large as the maps */
    int order_count, order_left; /* places in use; those that are empty */
    bool ordered;                /* else `order` says nothing */
};

static const char *const STATES[ALARM_STATE__COUNT] = { "open", "acked", "cleared", "closed" };
static const char *const EVENTS[ALARM_EVENT__COUNT] = { "raise",  "clear", "ack",     "close",
                                                        "expire", "hold",  "release", "escalate" };
static const char *const HOLDS[ALARM_HOLD__COUNT] = { "free", "maintenance", "parent", "flapping" };

static int name_index(const char *const *names, int count, struct str name)
{
    for (int i = 0; i < count; i++)
        if (str_eq(name, str_from(names[i])))
            return i;
    return -1;
}

const char *alarm_state_name(enum alarm_state state)
{
    return STATES[state];
}

const char *alarm_event_name(enum alarm_event event)
{
    return EVENTS[event];
}

const char *alarm_hold_name(enum alarm_hold hold)
{
    return HOLDS[hold];
}

int alarm_state_from(struct str name)
{
    return name_index(STATES, ALARM_STATE__COUNT, name);
}

int alarm_event_from(struct str name)
{
    return name_index(EVENTS, ALARM_EVENT__COUNT, name);
}

int alarm_hold_from(struct str name)
{
    return name_index(HOLDS, ALARM_HOLD__COUNT, name);
}

struct machine *machine_new(struct ids *ids, const struct machine_times *times,
                            const struct machine_hooks *hooks)
{
    struct machine *machine = mem_alloc(1, sizeof *machine);
    if (machine) {
        machine->ids = ids;
        machine->times = times ? *times : MACHINE_TIMES;
        machine->hooks = *hooks;
        machine->ordered = true;
    }
    return machine;
}

void machine_free(struct machine *machine)
{
    if (!machine)
        return;
    for (int i = 0; i < machine->count; i++)
        mem_free(machine->items[i]);
    mem_free(machine->items);
    mem_free(machine->by_id.slots);
    mem_free(machine->by_key.slots);
    mem_free(machine->down);
    mem_free(machine->order);
    mem_free(machine);
}

/* ---- the order ---- */

static void order_compact(struct machine *machine)
{
    int kept = 0;
    for (int i = 0; i < machine->order_count; i++)
        if (machine->order[i].alarm)
            machine->order[kept++] = machine->order[i];
    machine->order_count = kept;
    machine->order_left = 0;
}

/* The first place whose id is not below this one. */
static int order_find(const struct machine *machine, int64_t id)
{
    int low = 0, high = machine->order_count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (machine->order[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void order_add(struct machine *machine, struct alarm *alarm)
{
    if (machine->order_count && machine->order[machine->order_count - 1].id >= alarm->id)
        machine->ordered = false;
    if (!machine->ordered)
        return;
    if (machine->order_count == machine->size * 2)
        order_compact(machine);
    machine->order[machine->order_count++] = (struct place) { alarm->id, alarm };
}

static void order_remove(struct machine *machine, int64_t id)
{
    if (!machine->ordered)
        return;
    machine->order[order_find(machine, id)].alarm = NULL;
    if (++machine->order_left > machine->count)
        order_compact(machine);
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

const struct alarm *machine_below(struct machine *machine, int64_t id)
{
    if (!machine->ordered) {
        for (int i = 0; i < machine->count; i++)
            machine->order[i] = (struct place) { machine->items[i]->id, machine->items[i] };
        if (machine->count)
            qsort(machine->order, (size_t)machine->count, sizeof *machine->order, by_place);
        machine->order_count = machine->count;
        machine->order_left = 0;
        machine->ordered = true;
    }
    int at = order_find(machine, id);
    while (at > 0 && !machine->order[at - 1].alarm)
        at--;
    return at > 0 ? machine->order[at - 1].alarm : NULL;
}

/* ---- the two maps ---- */

static uint64_t id_hash(int64_t id)
{
    const uint64_t x = (uint64_t)id * 0x9e3779b97f4a7c15u;
    return x ^ x >> 32;
}

static uint32_t *slot_by_id(const struct machine *machine, int64_t id)
{
    size_t at = id_hash(id) & (machine->by_id.size - 1);
    for (; machine->by_id.slots[at]; at = (at + 1) & (machine->by_id.size - 1))
        if (machine->items[machine->by_id.slots[at] - 1]->id == id)
            break;
    return &machine->by_id.slots[at];
}

static uint32_t *slot_by_key(const struct machine *machine, struct str key)
{
    size_t at = str_hash(key) & (machine->by_key.size - 1);
    for (; machine->by_key.slots[at]; at = (at + 1) & (machine->by_key.size - 1))
        if (str_eq(str_from(machine->items[machine->by_key.slots[at] - 1]->key), key))
            break;
    return &machine->by_key.slots[at];
}

static bool is_up(enum alarm_state state)
{
    return state == ALARM_CLEARED || state == ALARM_CLOSED;
}

static struct down *down_slot(const struct machine *machine, int64_t subject)
{
    size_t at = id_hash(subject) & (machine->down_size - 1);
    while (machine->down[at].subject && machine->down[at].subject != subject)
        at = (at + 1) & (machine->down_size - 1);
    return &machine->down[at];
}

static void count_down(struct machine *machine, int64_t subject, int by)
{
    if (!subject)
        return;
    struct down *slot = down_slot(machine, subject);
    machine->down_used += !slot->subject;
    slot->subject = subject;
    slot->count += by;
}

/* The alarm stands for its subject only while it is not over: every change of either goes through here. */
static void set_state(struct machine *machine, struct alarm *alarm, enum alarm_state state, int64_t subject)
{
    if (!is_up(alarm->state))
        count_down(machine, alarm->subject, -1);
    alarm->state = state;
    alarm->subject = subject;
    if (!is_up(state))
        count_down(machine, subject, 1);
}

/* Counts anew into a table of `size`: subjects that are up again leave their slots. */
static bool recount(struct machine *machine, size_t size)
{
    struct down *down = mem_alloc(size, sizeof *down);
    if (!down)
        return false;
    mem_free(machine->down);
    machine->down = down;
    machine->down_size = size;
    machine->down_used = 0;
    for (int i = 0; i < machine->count; i++)
        if (!is_up(machine->items[i]->state))
            count_down(machine, machine->items[i]->subject, 1);
    return true;
}

static bool grow(struct machine *machine)
{
    if (machine->count < machine->size)
        return machine->down_used * 4 < machine->down_size * 3 || recount(machine, machine->down_size);
    const int size = machine->size ? machine->size * 2 : 64;
    const size_t map = (size_t)size * 2;
    struct alarm **items = mem_realloc(machine->items, (size_t)size * sizeof *items);
    if (items)
        machine->items = items;
    uint32_t *by_id = mem_alloc(map, sizeof *by_id), *by_key = mem_alloc(map, sizeof *by_key);
    struct place *order = by_id && by_key ? mem_realloc(machine->order, map * sizeof *order) : NULL;
    if (order)
        machine->order = order;
    if (!items || !order) {
        mem_free(by_id);
        mem_free(by_key);
        return false;
    }
    mem_free(machine->by_id.slots);
    mem_free(machine->by_key.slots);
    machine->by_id = (struct map) { by_id, map };
    machine->by_key = (struct map) { by_key, map };
    machine->size = size;
    for (int i = 0; i < machine->count; i++) {
        *slot_by_id(machine, machine->items[i]->id) = (uint32_t)i + 1;
        *slot_by_key(machine, str_from(machine->items[i]->key)) = (uint32_t)i + 1;
    }
    return recount(machine, map);
}

/* Empties a slot and closes the gap behind it; `slot_of` finds where the item of an index belongs. */
static void slot_remove(const struct machine *machine, struct map *map, uint32_t *slot, bool by_id)
{
    *slot = 0;
    for (size_t at = ((size_t)(slot - map->slots) + 1) & (map->size - 1); map->slots[at];
         at = (at + 1) & (map->size - 1)) {
        const uint32_t moved = map->slots[at];
        const struct alarm *alarm = machine->items[moved - 1];
        map->slots[at] = 0;
        *(by_id ? slot_by_id(machine, alarm->id) : slot_by_key(machine, str_from(alarm->key))) = moved;
    }
}

static int index_by_id(const struct machine *machine, int64_t id)
{
    return machine->size ? (int)*slot_by_id(machine, id) - 1 : -1;
}

static int index_by_key(const struct machine *machine, struct str key)
{
    return machine->size ? (int)*slot_by_key(machine, key) - 1 : -1;
}

static struct alarm *insert(struct machine *machine, int64_t id, struct str key)
{
    struct alarm *alarm = grow(machine) ? mem_alloc(1, sizeof *alarm) : NULL;
    if (!alarm)
        return NULL;
    alarm->id = id;
    memcpy(alarm->key, key.ptr, key.len);
    machine->items[machine->count++] = alarm;
    *slot_by_id(machine, id) = (uint32_t)machine->count;
    *slot_by_key(machine, key) = (uint32_t)machine->count;
    order_add(machine, alarm);
    return alarm;
}

static void take_out(struct machine *machine, int index)
{
    struct alarm *alarm = machine->items[index];
    set_state(machine, alarm, ALARM_CLOSED, alarm->subject);
    order_remove(machine, alarm->id);
    slot_remove(machine, &machine->by_id, slot_by_id(machine, alarm->id), true);
    slot_remove(machine, &machine->by_key, slot_by_key(machine, str_from(alarm->key)), false);
    const int last = --machine->count;
    if (index != last) { /* the last one moves into the gap */
        uint32_t *id_slot = slot_by_id(machine, machine->items[last]->id);
        uint32_t *key_slot = slot_by_key(machine, str_from(machine->items[last]->key));
        *id_slot = *key_slot = (uint32_t)index + 1;
        machine->items[index] = machine->items[last];
    }
    mem_free(alarm);
}

int machine_count(const struct machine *machine)
{
    return machine->count;
}

const struct alarm *machine_at(const struct machine *machine, int i)
{
    return machine->items[i];
}

const struct alarm *machine_find(const struct machine *machine, int64_t id)
{
    const int index = index_by_id(machine, id);
    return index < 0 ? NULL : machine->items[index];
}

enum err_code machine_restore(struct machine *machine, const struct alarm *alarm, struct err *err)
{
    int index = index_by_id(machine, alarm->id);
    machine->ordered = false;
    if (index < 0)
        index = index_by_key(machine, str_from(alarm->key)); /* an older alarm that was closed since */
    if (index >= 0)
        take_out(machine, index);
    if (alarm->state == ALARM_CLOSED)
        return ERR_OK;
    struct alarm *copy = insert(machine, alarm->id, str_from(alarm->key));
    if (!copy)
        return err_nomem(err);
    *copy = *alarm;
    if (!is_up(copy->state))
        count_down(machine, copy->subject, 1);
    return ERR_OK;
}

/* ---- changes ---- */

static void tell(struct machine *machine, struct alarm *alarm, enum alarm_event event, bool first,
                 int64_t at_ms, int64_t by, struct str text)
{
    machine->hooks.change(machine->hooks.change_ctx,
                          &(struct alarm_change) { event, first, alarm, at_ms, by, text });
}

static bool subject_down(void *arg, int64_t subject)
{
    return down_slot(arg, subject)->count > 0;
}

static bool is_flapping(const struct machine *machine, const struct alarm *alarm, int64_t now_ms)
{
    int recent = 0;
    for (int i = 0; i < alarm->flaps_count; i++)
        recent += now_ms - alarm->flaps[i] < machine->times.flap_window_ms;
    return recent >= machine->times.flap_count;
}

/* Why nobody need be told now; the first reason that holds. */
static enum alarm_hold reason_to_hold(struct machine *machine, const struct alarm *alarm, int64_t now_ms,
                                      int64_t *out_by)
{
    const struct machine_hooks *hooks = &machine->hooks;
    *out_by = hooks->window ? hooks->window(hooks->ctx, alarm->subject, alarm->service, now_ms) : 0;
    if (*out_by)
        return ALARM_MAINTENANCE;
    *out_by = hooks->parent && alarm->subject
                  ? hooks->parent(hooks->ctx, alarm->subject, now_ms, subject_down, machine)
                  : 0;
    if (*out_by)
        return ALARM_PARENT;
    return is_flapping(machine, alarm, now_ms) ? ALARM_FLAPPING : ALARM_FREE;
}

/* Begins, changes or ends a hold, and tells so. */
static void hold(struct machine *machine, struct alarm *alarm, enum alarm_hold reason, int64_t by,
                 int64_t now_ms)
{
    const enum alarm_hold before = alarm->hold;
    if (before == reason && alarm->hold_by == by)
        return;
    alarm->hold = reason;
    alarm->hold_by = by;
    alarm->told_ms = reason == ALARM_FREE ? now_ms : 0;
    tell(machine, alarm, reason == ALARM_FREE ? ALARM_RELEASE : ALARM_HOLD, false, now_ms, 0, STR(""));
}

static void set_text(char *out, size_t max, struct str text)
{
    size_t len = text.len < max ? text.len : max;
    while (len && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--; /* no half character */
    if (len)
        memcpy(out, text.ptr, len);
    out[len] = 0;
}

static void remember_flap(struct alarm *alarm, int64_t at_ms)
{
    if (alarm->flaps_count == ALARM_FLAPS_MAX)
        memmove(alarm->flaps, alarm->flaps + 1, (ALARM_FLAPS_MAX - 1) * sizeof *alarm->flaps);
    else
        alarm->flaps_count++;
    alarm->flaps[alarm->flaps_count - 1] = at_ms;
}

static void open_alarm(struct machine *machine, struct alarm *alarm, const struct alarm_signal *signal,
                       bool again, int64_t now_ms)
{
    alarm->cleared_ms = alarm->acked_ms = alarm->acked_by = 0;
    alarm->escalated = 0;
    if (again)
        remember_flap(alarm, signal->at_ms);
    alarm->hold = reason_to_hold(machine, alarm, now_ms, &alarm->hold_by);
    alarm->told_ms = alarm->hold == ALARM_FREE ? now_ms : 0;
    tell(machine, alarm, ALARM_RAISE, true, signal->at_ms, 0, STR(""));
    machine->raised = true;
}

enum err_code machine_raise(struct machine *machine, const struct alarm_signal *signal, int64_t now_ms,
                            struct err *err)
{
    if (!signal->key.len || signal->key.len > ALARM_KEY_MAX)
        return err_set(err, ERR_INVALID, "warn.key", ARG_INT("max", ALARM_KEY_MAX), ARG_END);
    if (signal->grade < 1 || signal->grade > 4)
        return err_set(err, ERR_INVALID, "warn.grade", ARG_INT("grade", signal->grade), ARG_END);
    const int index = index_by_key(machine, signal->key);
    if (index < 0 && machine->count >= ALARMS_MAX)
        return err_set(err, ERR_LIMIT, "warn.alarms_max", ARG_INT("max", ALARMS_MAX), ARG_END);
    struct alarm *alarm =
        index < 0 ? insert(machine, ids_next(machine->ids), signal->key) : machine->items[index];
    if (!alarm)
        return err_nomem(err);
    const bool worse = index >= 0 && signal->grade < alarm->grade;
    const bool opens = index < 0 || alarm->state == ALARM_CLEARED;
    if (index < 0)
        alarm->state = ALARM_CLEARED; /* of a subject that is not down yet */
    set_state(machine, alarm, TABLE[alarm->state][ALARM_RAISE].next, signal->subject);
    alarm->source = signal->source;
    alarm->service = signal->service;
    alarm->org = signal->org;
    alarm->grade = signal->grade;
    set_text(alarm->title, ALARM_TITLE_MAX, signal->title);
    set_text(alarm->value, ALARM_VALUE_MAX, signal->value);
    alarm->count++;
    alarm->last_ms = signal->at_ms;
    if (index < 0)
        alarm->opened_ms = signal->at_ms;
    if (opens) {
        open_alarm(machine, alarm, signal, index >= 0, now_ms);
        return ERR_OK;
    }
    tell(machine, alarm, ALARM_RAISE, worse, signal->at_ms, 0, STR(""));
    return ERR_OK;
}

void machine_clear(struct machine *machine, struct str key, struct str value, int64_t at_ms)
{
    const int index = index_by_key(machine, key);
    struct alarm *alarm = index < 0 ? NULL : machine->items[index];
    if (!alarm || !TABLE[alarm->state][ALARM_CLEAR].legal)
        return;
    set_state(machine, alarm, TABLE[alarm->state][ALARM_CLEAR].next, alarm->subject);
    alarm->cleared_ms = at_ms;
    set_text(alarm->value, ALARM_VALUE_MAX, value);
    tell(machine, alarm, ALARM_CLEAR, false, at_ms, 0, STR(""));
}

/* An act of a person (or expiry) on the alarm of that index. */
static void act(struct machine *machine, int index, enum alarm_event event, int64_t user, struct str text,
                int64_t now_ms)
{
    struct alarm *alarm = machine->items[index];
    set_state(machine, alarm, TABLE[alarm->state][event].next, alarm->subject);
    if (event == ALARM_ACK) {
        alarm->acked_ms = now_ms;
        alarm->acked_by = user;
    }
    if (alarm->state == ALARM_CLOSED)
        alarm->closed_ms = now_ms;
    tell(machine, alarm, event, false, now_ms, user, text);
    if (alarm->state == ALARM_CLOSED)
        take_out(machine, index);
}

static enum err_code act_by(struct machine *machine, int64_t id, enum alarm_event event, int64_t user,
                            struct str text, int64_t now_ms, struct err *err)
{
    const int index = index_by_id(machine, id);
    if (index < 0)
        return err_set(err, ERR_NOT_FOUND, "warn.no_alarm", ARG_END);
    if (!TABLE[machine->items[index]->state][event].legal)
        return err_set(err, ERR_CONFLICT, "warn.state",
                       ARG_TEXT("state", STATES[machine->items[index]->state]), ARG_END);
    act(machine, index, event, user, text, now_ms);
    return ERR_OK;
}

enum err_code machine_ack(struct machine *machine, int64_t id, int64_t user, struct str text, int64_t now_ms,
                          struct err *err)
{
    return act_by(machine, id, ALARM_ACK, user, text, now_ms, err);
}

enum err_code machine_close(struct machine *machine, int64_t id, int64_t user, struct str text,
                            int64_t now_ms, struct err *err)
{
    return act_by(machine, id, ALARM_CLOSE, user, text, now_ms, err);
}

/* Must the graph be asked?  An alarm of a moment ago, when something was raised since (its parent's failure
 * may be seen a little later than its own); one held by a parent, when that is no longer down. */
static bool must_ask(const struct machine *machine, const struct alarm *alarm, int64_t now_ms)
{
    if (alarm->hold == ALARM_PARENT)
        return down_slot(machine, alarm->hold_by)->count <= 0;
    return alarm->hold != ALARM_FREE ||
           (machine->raised && now_ms - alarm->opened_ms <= machine->times.settle_ms);
}

/* A hold is looked at again; a parent must be up for a while, since its children come back one by one. */
static void review_hold(struct machine *machine, struct alarm *alarm, int64_t now_ms)
{
    const struct machine_hooks *hooks = &machine->hooks;
    int64_t by = hooks->window ? hooks->window(hooks->ctx, alarm->subject, alarm->service, now_ms) : 0;
    enum alarm_hold reason = by ? ALARM_MAINTENANCE : alarm->hold;
    if (!by && must_ask(machine, alarm, now_ms))
        reason = reason_to_hold(machine, alarm, now_ms, &by);
    else if (!by)
        by = alarm->hold_by;
    if (reason == ALARM_FLAPPING && alarm->hold == ALARM_FREE)
        return; /* flapping begins with a new opening only */
    if (alarm->hold == ALARM_PARENT && reason == ALARM_FREE) {
        if (!alarm->told_ms)
            alarm->told_ms = now_ms + machine->times.release_ms; /* until then it stays held */
        if (now_ms < alarm->told_ms)
            return;
    } else if (alarm->hold == ALARM_PARENT) {
        alarm->told_ms = 0;
    }
    hold(machine, alarm, reason, by, now_ms);
}

static void review_escalation(struct machine *machine, struct alarm *alarm, int64_t now_ms)
{
    const int64_t after =
        machine->hooks.escalate_ms ? machine->hooks.escalate_ms(machine->hooks.ctx, alarm) : 0;
    if (!after || alarm->escalated || now_ms - alarm->told_ms < after)
        return;
    alarm->escalated = 1;
    tell(machine, alarm, ALARM_ESCALATE, false, now_ms, 0, STR(""));
}

void machine_tick(struct machine *machine, int64_t now_ms)
{
    for (int i = machine->count - 1; i >= 0; i--) { /* downwards: an expired one is replaced by a seen one */
        struct alarm *alarm = machine->items[i];
        if (alarm->state == ALARM_CLEARED) {
            if (now_ms - alarm->cleared_ms >= machine->times.expire_ms)
                act(machine, i, ALARM_EXPIRE, 0, STR(""), now_ms);
            continue;
        }
        review_hold(machine, alarm, now_ms);
        if (alarm->state == ALARM_OPEN && alarm->hold == ALARM_FREE)
            review_escalation(machine, alarm, now_ms);
    }
    machine->raised = false;
}
