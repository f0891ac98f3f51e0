/* trigger.h - results of checks become verdicts: this is a problem now, this is over.
 *
 * A trigger holds for one check, or for all checks of a kind or service.  Its kinds:
 *   condition     a FEEL condition over the result (names: TRIGGER_NAMES); true for `for_s` seconds at
 *                 `nodes_min` probe nodes or more makes a problem; it ends when `clear_condition` (by
 *                 default: not the condition) was true for `clear_for_s`
 *   no_data       no result of that check from so many nodes for `no_data_s` and three intervals
 *   change        a value differs from the one before (status, cause, certificate ...); it ends with the
 *                 first result that does not
 *   certificate   fewer than `cert_days` days are left
 * State is in memory: after a start everything is unknown, and the first verdict of each is told, so that
 * alarms which outlived the restart are raised again or cleared.  Late results (out of order, or older than
 * two intervals and a minute) change nothing.
 * Threads: any; the verdict function is called with the lock held and must return at once.
 * Layer: judge (uses feel and observe). */
#pragma once
#include "base/clock.h"
#include "base/words.h"
#include "observe/collect/collect.h"

#include <jansson.h>

struct triggers;

/* The names a condition may use, apart from `recent` (a context with the last TRIGGER_RECENT values of each
 * number, oldest first). */
#define TRIGGER_RECENT 10

struct trigger_verdict {
    int64_t trigger, check, subject, service, org;
    int grade;
    bool problem;   /* false: it is over, or was never so */
    struct str key; /* "TRIGGER:CHECK": what alarms are known by */
    struct str title, value;
    int64_t at_ms; /* of the result that decided it */
};
/* All texts live until it returns. */
typedef void (*trigger_fn)(void *ctx, const struct trigger_verdict *verdict);

struct triggers_config {
    const struct clock *clock;
    trigger_fn verdict;
    void *ctx;
    enum lang lang; /* of titles that no trigger gives */
    const struct words *words;
};

MUST_CHECK enum err_code triggers_new(const struct triggers_config *config, struct triggers **out,
                                      struct err *err);
void triggers_free(struct triggers *triggers);

/* Checks a record of type ops.trigger: err has the pointer and, for FEEL, line and column. */
MUST_CHECK enum err_code trigger_validate(const json_t *record, struct err *err);
/* Adds or replaces; a disabled one is removed.  A changed one is unknown anew. */
MUST_CHECK enum err_code triggers_set(struct triggers *triggers, int64_t id, const json_t *record,
                                      struct err *err);
/* What it had raised is cleared. */
void triggers_remove(struct triggers *triggers, int64_t id);

/* What a trigger must know of a check. */
struct trigger_check {
    int64_t id, subject, service, org;
    enum collect_kind kind;
    int64_t interval_ms;
    int nodes; /* how many run it */
    struct str name;
};
MUST_CHECK enum err_code triggers_check_set(struct triggers *triggers, const struct trigger_check *check,
                                            struct err *err);
/* What was raised for it is cleared. */
void triggers_check_remove(struct triggers *triggers, int64_t id);

/* Results of one probe node, in the order of their instants. */
void triggers_feed(struct triggers *triggers, int64_t node, const struct collect_result *results,
                   size_t count);
/* For no_data; once a second. */
void triggers_tick(struct triggers *triggers);

struct triggers_stats {
    size_t triggers, checks, units, problems;
    uint64_t evaluated, late, failed; /* failed: evaluations without an answer */
};
void triggers_stats_get(struct triggers *triggers, struct triggers_stats *out);
