/* vote.c - what one probe node says in a unit: a result turns a vote bad or good. */
#include "judge/trigger/internal.h"

#include <stdio.h>

struct vote *vote_of(struct unit *unit, int64_t node)
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
    if (!(result->present >> TRIGGER_NAMES[slot].metric & 1))
        return feel_null();
    value = decimal_i64(result->values[TRIGGER_NAMES[slot].metric]);
    if (TRIGGER_NAMES[slot].scale && !decimal_div(value, decimal_i64(1000), &value))
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
                (TRIGGER_NAMES[i].scale && !decimal_div(value, decimal_i64(1000), &value)))
                continue;
            items[count++] = feel_number(value);
        }
        entries[i] = (struct feel_entry) { str_from(TRIGGER_NAMES[i].name), feel_list(items, count) };
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
        recent->present |= (result->present >> TRIGGER_NAMES[i].metric & 1u) << i;
        recent->values[i] = result->values[TRIGGER_NAMES[i].metric];
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

void vote_condition(struct triggers *triggers, const struct trigger *trigger, struct vote *vote,
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

void vote_certificate(const struct trigger *trigger, struct vote *vote, const struct collect_result *result)
{
    if (!(result->present >> COLLECT_CERT_DAYS & 1))
        return; /* no certificate was seen: what was known stays */
    const bool few = result->values[COLLECT_CERT_DAYS] < trigger->cert_days;
    turn(vote, few, FEEL_TRUE, 0, result->at_ms);
}

void vote_change(const struct trigger *trigger, struct vote *vote, const struct collect_result *result)
{
    char text[COLLECT_DETAIL_MAX + 1] = "";
    int64_t number = 0;
    if (trigger->metric < SLOT_NUMBERS) {
        if (!(result->present >> TRIGGER_NAMES[trigger->metric].metric & 1))
            return;
        number = result->values[TRIGGER_NAMES[trigger->metric].metric];
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
