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
#include "judge/trigger/internal.h"

#include <stdio.h>

#define TRIGGERS_MAX 20000
#define EVAL_ARENA_MAX ((size_t)1 << 20)
#define LATE_GRACE_MS 60000
#define TITLE_MAX 400

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
