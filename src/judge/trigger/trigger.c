/* trigger.c - see trigger.h
 *
 * A unit is one trigger at one check; a vote is what one probe node says in a unit.
 *
 *     vote:  good --(condition true for for_s)--> bad --(clear condition true for clear_for_s)--> good
 *     unit:  unknown --> clear | problem;  clear --(nodes_min bad votes)--> problem
 *            problem --(fewer bad votes, and a fresh good one)--> clear
 *
 * Invariants: 1. a unit stands in the list of its check and exists only for a trigger that applies to it.
 * 2. the verdict function hears of each change of a unit once, and of the first verdict always. */
#include "judge/trigger/trigger.h"
#include "base/log.h"
#include "base/words.h"
#include "feel/feel.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIGGERS_MAX 20000
#define TRIGGER_ARENA_MAX ((size_t)1 << 20)
#define EVAL_ARENA_MAX ((size_t)1 << 20)
#define LATE_GRACE_MS 60000
#define TITLE_MAX 400

enum kind { KIND_CONDITION, KIND_NO_DATA, KIND_CHANGE, KIND_CERTIFICATE, KIND__COUNT };
static const char *const KINDS[KIND__COUNT] = { "condition", "no_data", "change", "certificate" };

/* The names of a condition: numbers first, in the order of the ring of recent values. */
enum slot {
    SLOT_TOTAL,
    SLOT_DNS,
    SLOT_CONNECT,
    SLOT_TLS,
    SLOT_FIRST_BYTE,
    SLOT_STATUS,
    SLOT_BYTES,
    SLOT_REDIRECTS,
    SLOT_CERT_DAYS,
    SLOT_LOSS,
    SLOT_RTT,
    SLOT_JITTER,
    SLOT_NUMBERS,
    SLOT_UP = SLOT_NUMBERS,
    SLOT_CAUSE,
    SLOT_DETAIL,
    SLOT_CERTIFICATE,
    SLOT_NODE,
    SLOT_RECENT,
    SLOT__COUNT
};
static const struct {
    const char *name;
    enum collect_metric metric; /* of the numbers */
    int scale;                  /* digits that microseconds have behind the point as milliseconds */
} NAMES[SLOT__COUNT] = {
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

struct trigger {
    struct trigger *next;
    int64_t id;
    struct arena *arena; /* owns the programs and texts */
    enum kind kind;
    int grade;
    int64_t check, service; /* 0 = any */
    int check_kind;         /* -1 = any */
    const struct feel_program *raise, *clear;
    bool uses_recent;
    int64_t for_ms, clear_for_ms, no_data_ms;
    int nodes_min, cert_days;
    int metric; /* enum slot */
    struct str name, title;
};

struct recent {
    uint32_t present;
    int64_t values[SLOT_NUMBERS];
};

struct vote {
    int64_t node, last_ms;
    bool seen, bad;
    bool known;               /* it was judged at least once */
    int64_t turning_since_ms; /* the other condition is true since; 0 = it is not */
    int64_t number;           /* change: the value before */
    char text[100];
    struct recent *ring; /* TRIGGER_RECENT of them, when the trigger looks at them */
    int ring_at, ring_count;
};

enum unit_state { UNIT_UNKNOWN, UNIT_CLEAR, UNIT_PROBLEM };

struct unit {
    struct unit *next;
    struct trigger *trigger;
    enum unit_state state;
    struct vote *votes;
    size_t vote_count;
    int64_t since_ms; /* no_data: the watch began */
};

struct watched {
    struct watched *next; /* in its bucket */
    struct trigger_check check;
    char *name; /* owned; check.name points to it */
    struct unit *units;
};

struct triggers {
    pthread_mutex_t lock;
    const struct clock *clock;
    trigger_fn verdict;
    void *ctx;
    enum lang lang;
    const struct words *words;
    struct trigger *list;
    struct watched **table;
    size_t table_size;
    struct arena *eval;
    struct triggers_stats stats;
};

/* ---- configuration ---- */

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
        fields[i] = (struct feel_type_field) { str_from(NAMES[i].name), numbers };
    const struct feel_type *recent = feel_type_context(arena, fields, SLOT_NUMBERS);
    if (!recent)
        return err_nomem(err);
    for (int i = 0; i < SLOT__COUNT; i++) {
        size_t slot;
        const struct feel_type *type = i < SLOT_NUMBERS   ? feel_type_basic(FEEL_T_NUMBER)
                                       : i == SLOT_UP     ? feel_type_basic(FEEL_T_BOOLEAN)
                                       : i == SLOT_RECENT ? recent
                                                          : feel_type_basic(FEEL_T_STRING);
        const enum err_code rc = feel_scope_add(scope, str_from(NAMES[i].name), type, &slot, err);
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

static void trigger_free(struct trigger *trigger)
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

static enum err_code trigger_read(int64_t id, const json_t *record, struct trigger **out, struct err *err)
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
        if (strcmp(metric, i == SLOT_CERTIFICATE ? "subject" : NAMES[i].name) == 0)
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

enum err_code triggers_new(const struct triggers_config *config, struct triggers **out, struct err *err)
{
    struct triggers *triggers = mem_alloc(1, sizeof *triggers);
    if (!triggers)
        return err_nomem(err);
    (void)pthread_mutex_init(&triggers->lock, NULL);
    triggers->clock = config->clock;
    triggers->verdict = config->verdict;
    triggers->ctx = config->ctx;
    triggers->lang = config->lang;
    triggers->words = config->words;
    triggers->table_size = 4096;
    triggers->table = mem_alloc(triggers->table_size, sizeof(struct watched *));
    triggers->eval = arena_new(EVAL_ARENA_MAX);
    if (!triggers->table || !triggers->eval) {
        triggers_free(triggers);
        return err_nomem(err);
    }
    *out = triggers;
    return ERR_OK;
}

static void unit_free(struct triggers *triggers, struct unit *unit)
{
    for (size_t i = 0; i < unit->vote_count; i++)
        mem_free(unit->votes[i].ring);
    mem_free(unit->votes);
    mem_free(unit);
    triggers->stats.units--;
}

void triggers_free(struct triggers *triggers)
{
    if (!triggers)
        return;
    for (size_t i = 0; triggers->table && i < triggers->table_size; i++)
        for (struct watched *watched = triggers->table[i], *next; watched; watched = next) {
            next = watched->next;
            for (struct unit *unit = watched->units, *after; unit; unit = after) {
                after = unit->next;
                unit_free(triggers, unit);
            }
            mem_free(watched->name);
            mem_free(watched);
        }
    for (struct trigger *trigger = triggers->list, *next; trigger; trigger = next) {
        next = trigger->next;
        trigger_free(trigger);
    }
    mem_free(triggers->table);
    arena_free(triggers->eval);
    (void)pthread_mutex_destroy(&triggers->lock);
    mem_free(triggers);
}

static struct watched **watched_link(struct triggers *triggers, int64_t id)
{
    const uint64_t hash = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    struct watched **link = &triggers->table[(hash >> 20) & (triggers->table_size - 1)];
    while (*link && (*link)->check.id != id)
        link = &(*link)->next;
    return link;
}

static bool applies(const struct trigger *trigger, const struct trigger_check *check)
{
    return (!trigger->check || trigger->check == check->id) &&
           (!trigger->service || trigger->service == check->service) &&
           (trigger->check_kind < 0 || trigger->check_kind == (int)check->kind) &&
           (trigger->kind != KIND_CERTIFICATE || check->kind == COLLECT_HTTP || check->kind == COLLECT_TCP);
}

/* ---- verdicts ---- */

static void put_place(struct buf *out, struct str template, const struct trigger *trigger,
                      const struct watched *watched, const char *cause, struct str detail, struct str value)
{
    const struct {
        struct str name, text;
    } places[] = { { STR("{check}"), watched->check.name },
                   { STR("{trigger}"), trigger->name },
                   { STR("{cause}"), str_from(cause) },
                   { STR("{detail}"), detail },
                   { STR("{value}"), value } };
    for (size_t at = 0; at < template.len;) {
        const struct str rest = str_slice(template, at, template.len);
        size_t i = 0;
        while (i < sizeof places / sizeof *places && !str_starts(rest, places[i].name))
            i++;
        if (i < sizeof places / sizeof *places) {
            buf_str(out, places[i].text);
            at += places[i].name.len;
        } else {
            buf_char(out, template.ptr[at++]);
        }
    }
}

static const char *cause_words(const struct triggers *triggers, int cause, char out[120])
{
    char key[60];
    (void)snprintf(key, sizeof key, "collect.cause.%s", COLLECT_CAUSE_NAMES[cause]);
    const struct str text = triggers->words ? words_get(triggers->words, triggers->lang, str_from(key))
                                            : str_from(COLLECT_CAUSE_NAMES[cause]);
    (void)snprintf(out, 120, "%.*s", STR_ARG(text));
    return out;
}

/* Tells what has become of a unit; `result` may be NULL (no data, removed). */
static void tell(struct triggers *triggers, const struct watched *watched, const struct trigger *trigger,
                 bool problem, const struct collect_result *result, int64_t at_ms)
{
    char key[64], cause[120];
    struct buf title, value;
    buf_init(&title, TITLE_MAX);
    buf_init(&value, 200);
    (void)snprintf(key, sizeof key, "%lld:%lld", (long long)trigger->id, (long long)watched->check.id);
    (void)cause_words(triggers, result ? result->cause : CAUSE_NONE, cause);
    const struct str detail = result ? str_from(result->detail) : STR("");
    if (trigger->kind == KIND_CERTIFICATE && result && result->present >> COLLECT_CERT_DAYS & 1)
        buf_printf(&value, "cert_days=%lld", (long long)result->values[COLLECT_CERT_DAYS]);
    else if (result && result->cause)
        buf_printf(&value, "%s%s%s", cause, *result->detail ? ": " : "", result->detail);
    else if (result && result->present >> COLLECT_LOSS & 1)
        buf_printf(&value, "loss=%lld%% rtt=%.1fms", (long long)result->values[COLLECT_LOSS],
                   (double)result->values[COLLECT_RTT] / 1000);
    else if (result && result->present >> COLLECT_TOTAL & 1)
        buf_printf(&value, "%.1f ms", (double)result->values[COLLECT_TOTAL] / 1000);
    const struct str template = trigger->title.len ? trigger->title : STR("{check}: {trigger}");
    put_place(&title, template, trigger, watched, cause, detail, buf_get(&value));
    const struct trigger_verdict verdict = {
        .trigger = trigger->id,
        .check = watched->check.id,
        .subject = watched->check.subject,
        .service = watched->check.service,
        .org = watched->check.org,
        .grade = trigger->grade,
        .problem = problem,
        .key = str_from(key),
        .title = buf_get(&title),
        .value = buf_get(&value),
        .at_ms = at_ms,
    };
    triggers->verdict(triggers->ctx, &verdict);
    buf_done(&title);
    buf_done(&value);
}

static void unit_decide(struct triggers *triggers, const struct watched *watched, struct unit *unit,
                        bool problem, const struct collect_result *result, int64_t at_ms)
{
    const enum unit_state next = problem ? UNIT_PROBLEM : UNIT_CLEAR;
    if (unit->state == next)
        return;
    triggers->stats.problems += problem;
    triggers->stats.problems -= unit->state == UNIT_PROBLEM;
    unit->state = next;
    tell(triggers, watched, unit->trigger, problem, result, at_ms);
}

/* Unlinks and frees; what it had raised is over. */
static void unit_drop(struct triggers *triggers, struct watched *watched, struct unit **link)
{
    struct unit *unit = *link;
    if (unit->state == UNIT_PROBLEM)
        unit_decide(triggers, watched, unit, false, NULL, clock_now(triggers->clock));
    *link = unit->next;
    unit_free(triggers, unit);
}

/* Makes the units of a check those of the triggers that apply. */
static enum err_code match(struct triggers *triggers, struct watched *watched, struct trigger *trigger,
                           struct err *err)
{
    struct unit **link = &watched->units;
    while (*link && (*link)->trigger != trigger)
        link = &(*link)->next;
    if (*link && !applies(trigger, &watched->check)) {
        unit_drop(triggers, watched, link);
    } else if (!*link && applies(trigger, &watched->check)) {
        struct unit *unit = mem_alloc(1, sizeof *unit);
        if (!unit)
            return err_nomem(err);
        unit->trigger = trigger;
        unit->since_ms = clock_now(triggers->clock);
        *link = unit;
        triggers->stats.units++;
    }
    return ERR_OK;
}

static void detach(struct triggers *triggers, const struct trigger *trigger)
{
    for (size_t i = 0; i < triggers->table_size; i++)
        for (struct watched *watched = triggers->table[i]; watched; watched = watched->next)
            for (struct unit **link = &watched->units; *link;)
                if ((*link)->trigger == trigger)
                    unit_drop(triggers, watched, link);
                else
                    link = &(*link)->next;
}

static void remove_held(struct triggers *triggers, int64_t id)
{
    struct trigger **link = &triggers->list;
    while (*link && (*link)->id != id)
        link = &(*link)->next;
    struct trigger *trigger = *link;
    if (!trigger)
        return;
    detach(triggers, trigger);
    *link = trigger->next;
    trigger_free(trigger);
    triggers->stats.triggers--;
}

void triggers_remove(struct triggers *triggers, int64_t id)
{
    (void)pthread_mutex_lock(&triggers->lock);
    remove_held(triggers, id);
    (void)pthread_mutex_unlock(&triggers->lock);
}

enum err_code triggers_set(struct triggers *triggers, int64_t id, const json_t *record, struct err *err)
{
    struct trigger *trigger;
    if (json_is_false(json_object_get(record, "enabled"))) {
        triggers_remove(triggers, id);
        return ERR_OK;
    }
    enum err_code rc = trigger_read(id, record, &trigger, err);
    if (rc)
        return err_in(err, "triggers.set");
    (void)pthread_mutex_lock(&triggers->lock);
    if (triggers->stats.triggers >= TRIGGERS_MAX) {
        rc = err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", TRIGGERS_MAX), ARG_END);
        trigger_free(trigger);
        goto out;
    }
    /* its alarms stay as they are: units begin unknown, and the first verdict of each is told */
    struct trigger **link = &triggers->list;
    while (*link && (*link)->id != id)
        link = &(*link)->next;
    struct trigger *old = *link;
    trigger->next = old ? old->next : NULL;
    *link = trigger;
    triggers->stats.triggers += !old;
    for (size_t i = 0; i < triggers->table_size; i++)
        for (struct watched *watched = triggers->table[i]; watched; watched = watched->next) {
            for (struct unit **at = &watched->units; old && *at;)
                if ((*at)->trigger == old && !applies(trigger, &watched->check)) {
                    unit_drop(triggers, watched, at);
                } else if ((*at)->trigger == old) {
                    struct unit *unit = *at;
                    *at = unit->next;
                    triggers->stats.problems -= unit->state == UNIT_PROBLEM;
                    unit_free(triggers, unit);
                } else {
                    at = &(*at)->next;
                }
            if (!rc)
                rc = match(triggers, watched, trigger, err);
        }
    trigger_free(old);
out:
    (void)pthread_mutex_unlock(&triggers->lock);
    return rc;
}

enum err_code triggers_check_set(struct triggers *triggers, const struct trigger_check *check,
                                 struct err *err)
{
    char *name = mem_copy(check->name.ptr, check->name.len);
    if (!name)
        return err_nomem(err);
    (void)pthread_mutex_lock(&triggers->lock);
    enum err_code rc = ERR_OK;
    struct watched **link = watched_link(triggers, check->id), *watched = *link;
    if (!watched) {
        watched = mem_alloc(1, sizeof *watched);
        if (!watched) {
            rc = err_nomem(err);
            mem_free(name);
            goto out;
        }
        *link = watched;
        triggers->stats.checks++;
    }
    mem_free(watched->name);
    watched->check = *check;
    watched->name = name;
    watched->check.name = (struct str) { name, check->name.len };
    for (struct trigger *trigger = triggers->list; !rc && trigger; trigger = trigger->next)
        rc = match(triggers, watched, trigger, err);
out:
    (void)pthread_mutex_unlock(&triggers->lock);
    return rc;
}

void triggers_check_remove(struct triggers *triggers, int64_t id)
{
    (void)pthread_mutex_lock(&triggers->lock);
    struct watched **link = watched_link(triggers, id), *watched = *link;
    if (watched) {
        while (watched->units)
            unit_drop(triggers, watched, &watched->units);
        *link = watched->next;
        mem_free(watched->name);
        mem_free(watched);
        triggers->stats.checks--;
    }
    (void)pthread_mutex_unlock(&triggers->lock);
}

/* ---- evaluation ---- */

static struct vote *vote_of(struct unit *unit, int64_t node)
{
    for (size_t i = 0; i < unit->vote_count; i++)
        if (unit->votes[i].node == node)
            return &unit->votes[i];
    struct vote *grown = mem_realloc(unit->votes, (unit->vote_count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    unit->votes = grown;
    struct vote *vote = &grown[unit->vote_count++];
    *vote = (struct vote) { .node = node };
    return vote;
}

static struct feel_value number_value(const struct collect_result *result, int slot)
{
    struct decimal value;
    if (!(result->present >> NAMES[slot].metric & 1))
        return feel_null();
    value = decimal_i64(result->values[NAMES[slot].metric]);
    if (NAMES[slot].scale && !decimal_div(value, decimal_i64(1000), &value))
        return feel_null();
    return feel_number(value);
}

static bool recent_value(struct triggers *triggers, const struct vote *vote, struct feel_value *out)
{
    struct feel_entry *entries = arena_alloc(triggers->eval, SLOT_NUMBERS, sizeof *entries);
    for (int i = 0; entries && i < SLOT_NUMBERS; i++) {
        struct feel_value *items = arena_alloc(triggers->eval, TRIGGER_RECENT, sizeof *items);
        size_t count = 0;
        if (!items)
            return false;
        for (int k = 0; k < vote->ring_count; k++) {
            const int at = (vote->ring_at - vote->ring_count + k + 2 * TRIGGER_RECENT) % TRIGGER_RECENT;
            const struct recent *recent = &vote->ring[at];
            struct decimal value = decimal_i64(recent->values[i]);
            if (!(recent->present >> i & 1) ||
                (NAMES[i].scale && !decimal_div(value, decimal_i64(1000), &value)))
                continue;
            items[count++] = feel_number(value);
        }
        entries[i] = (struct feel_entry) { str_from(NAMES[i].name), feel_list(items, count) };
    }
    if (entries)
        *out = feel_context(entries, SLOT_NUMBERS);
    return entries != NULL;
}

static void remember(const struct trigger *trigger, struct vote *vote, const struct collect_result *result)
{
    if (!trigger->uses_recent)
        return;
    if (!vote->ring)
        vote->ring = mem_alloc(TRIGGER_RECENT, sizeof *vote->ring);
    if (!vote->ring)
        return;
    struct recent *recent = &vote->ring[vote->ring_at];
    recent->present = 0;
    for (int i = 0; i < SLOT_NUMBERS; i++) {
        recent->present |= (result->present >> NAMES[i].metric & 1u) << i;
        recent->values[i] = result->values[NAMES[i].metric];
    }
    vote->ring_at = (vote->ring_at + 1) % TRIGGER_RECENT;
    if (vote->ring_count < TRIGGER_RECENT)
        vote->ring_count++;
}

/* True, false, or neither: then the vote stays as it is. */
static enum feel_truth condition(struct triggers *triggers, const struct feel_program *program,
                                 const struct vote *vote, const struct collect_result *result, int64_t node)
{
    struct feel_eval eval;
    struct feel_value inputs[SLOT__COUNT], value;
    struct err ignored;
    char node_text[24];
    arena_reset(triggers->eval);
    feel_eval_init(&eval, triggers->eval);
    eval.now_ms = clock_now(triggers->clock);
    eval.zone = STR("Asia/Shanghai");
    for (int i = 0; i < SLOT_NUMBERS; i++)
        inputs[i] = feel_program_uses(program, (size_t)i) ? number_value(result, i) : feel_null();
    (void)snprintf(node_text, sizeof node_text, "%lld", (long long)node);
    inputs[SLOT_UP] = feel_boolean(result->cause == CAUSE_NONE);
    inputs[SLOT_CAUSE] = feel_string(str_from(COLLECT_CAUSE_NAMES[result->cause]));
    inputs[SLOT_DETAIL] = feel_string(str_from(result->detail));
    inputs[SLOT_CERTIFICATE] = feel_string(str_from(result->subject));
    inputs[SLOT_NODE] = feel_string(node ? str_from(node_text) : STR("local"));
    inputs[SLOT_RECENT] = feel_null();
    if (feel_program_uses(program, SLOT_RECENT) && vote->ring &&
        !recent_value(triggers, vote, &inputs[SLOT_RECENT]))
        return FEEL_UNKNOWN;
    triggers->stats.evaluated++;
    if (feel_evaluate(program, &eval, inputs, &value, &ignored) || value.kind != FEEL_BOOLEAN) {
        triggers->stats.failed++;
        return FEEL_UNKNOWN;
    }
    return value.boolean ? FEEL_TRUE : FEEL_FALSE;
}

/* A vote turns when what speaks for it has held for `for_ms`. */
static void turn(struct vote *vote, bool to_bad, enum feel_truth holds, int64_t for_ms, int64_t at_ms)
{
    vote->known |= holds != FEEL_UNKNOWN;
    if (holds != FEEL_TRUE) {
        vote->turning_since_ms = 0;
        return;
    }
    if (!vote->turning_since_ms)
        vote->turning_since_ms = at_ms;
    if (at_ms - vote->turning_since_ms >= for_ms) {
        vote->bad = to_bad;
        vote->turning_since_ms = 0;
    }
}

static enum feel_truth negated(enum feel_truth truth)
{
    return truth == FEEL_TRUE ? FEEL_FALSE : truth == FEEL_FALSE ? FEEL_TRUE : FEEL_UNKNOWN;
}

static void vote_condition(struct triggers *triggers, const struct trigger *trigger, struct vote *vote,
                           const struct collect_result *result, int64_t node)
{
    remember(trigger, vote, result);
    if (!vote->bad) {
        turn(vote, true, condition(triggers, trigger->raise, vote, result, node), trigger->for_ms,
             result->at_ms);
        return;
    }
    const enum feel_truth clear = trigger->clear
                                      ? condition(triggers, trigger->clear, vote, result, node)
                                      : negated(condition(triggers, trigger->raise, vote, result, node));
    turn(vote, false, clear, trigger->clear_for_ms, result->at_ms);
}

static void vote_certificate(const struct trigger *trigger, struct vote *vote,
                             const struct collect_result *result)
{
    if (!(result->present >> COLLECT_CERT_DAYS & 1))
        return; /* no certificate was seen: what was known stays */
    const bool few = result->values[COLLECT_CERT_DAYS] < trigger->cert_days;
    turn(vote, few, FEEL_TRUE, 0, result->at_ms);
}

static void vote_change(const struct trigger *trigger, struct vote *vote, const struct collect_result *result)
{
    char text[100] = "";
    int64_t number = 0;
    if (trigger->metric < SLOT_NUMBERS) {
        if (!(result->present >> NAMES[trigger->metric].metric & 1))
            return;
        number = result->values[NAMES[trigger->metric].metric];
    } else {
        (void)snprintf(text, sizeof text, "%s",
                       trigger->metric == SLOT_CAUSE         ? COLLECT_CAUSE_NAMES[result->cause]
                       : trigger->metric == SLOT_CERTIFICATE ? result->subject
                                                             : result->detail);
        if (trigger->metric == SLOT_CERTIFICATE && !*text)
            return;
    }
    vote->bad = vote->seen && (number != vote->number || strcmp(text, vote->text) != 0);
    vote->number = number;
    memcpy(vote->text, text, sizeof text);
    vote->seen = vote->known = true;
}

static int64_t fresh_after(const struct watched *watched, int64_t now_ms)
{
    return now_ms - 3 * watched->check.interval_ms - LATE_GRACE_MS;
}

static void count_votes(struct triggers *triggers, const struct watched *watched, struct unit *unit,
                        const struct collect_result *result)
{
    const int64_t since = fresh_after(watched, clock_now(triggers->clock));
    int need = unit->trigger->nodes_min, bad_votes = 0, good_votes = 0;
    if (watched->check.nodes > 0 && need > watched->check.nodes)
        need = watched->check.nodes; /* more than there are could never agree */
    for (size_t i = 0; i < unit->vote_count; i++) {
        const struct vote *vote = &unit->votes[i];
        if (vote->last_ms < since)
            continue; /* a node that has gone silent neither accuses nor acquits */
        bad_votes += vote->bad;
        /* a node about to turn is not yet evidence that all is well */
        good_votes += vote->known && !vote->bad && (!vote->turning_since_ms || unit->state == UNIT_PROBLEM);
    }
    if (bad_votes >= need)
        unit_decide(triggers, watched, unit, true, result, result->at_ms);
    else if (good_votes > 0)
        unit_decide(triggers, watched, unit, false, result, result->at_ms);
}

static void feed_unit(struct triggers *triggers, const struct watched *watched, struct unit *unit,
                      int64_t node, const struct collect_result *result)
{
    struct vote *vote = vote_of(unit, node);
    if (!vote)
        return; /* no memory: the next result tries again */
    if (result->at_ms <= vote->last_ms) {
        triggers->stats.late++;
        return;
    }
    vote->last_ms = result->at_ms;
    switch (unit->trigger->kind) {
    case KIND_CONDITION:
        vote_condition(triggers, unit->trigger, vote, result, node);
        break;
    case KIND_CHANGE:
        vote_change(unit->trigger, vote, result);
        break;
    case KIND_CERTIFICATE:
        vote_certificate(unit->trigger, vote, result);
        break;
    case KIND_NO_DATA: /* any result is data; the tick says when there is none */
        if (unit->state == UNIT_UNKNOWN && unit->trigger->nodes_min <= 1)
            unit_decide(triggers, watched, unit, false, result, result->at_ms);
        return;
    case KIND__COUNT:
        return;
    }
    count_votes(triggers, watched, unit, result);
}

void triggers_feed(struct triggers *triggers, int64_t node, const struct collect_result *results,
                   size_t count)
{
    (void)pthread_mutex_lock(&triggers->lock);
    const int64_t now = clock_now(triggers->clock);
    for (size_t i = 0; i < count; i++) {
        const struct collect_result *result = &results[i];
        const struct watched *watched = *watched_link(triggers, result->check_id);
        if (!watched || result->cause >= CAUSE__COUNT)
            continue;
        if (result->at_ms < now - 2 * watched->check.interval_ms - LATE_GRACE_MS) {
            triggers->stats.late++;
            continue;
        }
        /* our own fault, or a run that was skipped, says nothing about the target */
        if (result->cause == CAUSE_LOCAL || result->cause == CAUSE_OVERRUN ||
            result->cause == CAUSE_PERMISSION)
            continue;
        for (struct unit *unit = watched->units; unit; unit = unit->next)
            feed_unit(triggers, watched, unit, node, result);
    }
    (void)pthread_mutex_unlock(&triggers->lock);
}

static void tick_unit(struct triggers *triggers, const struct watched *watched, struct unit *unit,
                      int64_t now)
{
    /* a slow rhythm is not silence */
    const int64_t rhythm = 3 * watched->check.interval_ms;
    const int64_t limit = unit->trigger->no_data_ms > rhythm ? unit->trigger->no_data_ms : rhythm;
    const int nodes = watched->check.nodes > 0 ? watched->check.nodes : 1;
    int fresh = 0;
    int64_t newest = 0;
    for (size_t i = 0; i < unit->vote_count; i++) {
        fresh += now - unit->votes[i].last_ms < limit;
        newest = unit->votes[i].last_ms > newest ? unit->votes[i].last_ms : newest;
    }
    const int need = unit->trigger->nodes_min < nodes ? unit->trigger->nodes_min : nodes;
    const bool missing = nodes - fresh >= need;
    if (missing && now - unit->since_ms < limit)
        return; /* it has only just begun */
    unit_decide(triggers, watched, unit, missing, NULL, newest ? newest + limit : now);
}

void triggers_tick(struct triggers *triggers)
{
    (void)pthread_mutex_lock(&triggers->lock);
    const int64_t now = clock_now(triggers->clock);
    for (size_t i = 0; i < triggers->table_size; i++)
        for (const struct watched *watched = triggers->table[i]; watched; watched = watched->next)
            for (struct unit *unit = watched->units; unit; unit = unit->next)
                if (unit->trigger->kind == KIND_NO_DATA)
                    tick_unit(triggers, watched, unit, now);
    (void)pthread_mutex_unlock(&triggers->lock);
}

void triggers_stats_get(struct triggers *triggers, struct triggers_stats *out)
{
    (void)pthread_mutex_lock(&triggers->lock);
    *out = triggers->stats;
    (void)pthread_mutex_unlock(&triggers->lock);
}
