/* expression.h - the FEEL of a flow: conditions of gateways and times of timers, compiled once.
 *
 * An expression reads the fields of the record by their names, `case` (id, state, service, level), `task`
 * (action, opinion, by) and the variables that the model declares.  Deploying compiles all of them against
 * the names that the record type has: one that is not there, or an expression that is none, is a finding with
 * the element's name, and the flow does not deploy.  A running case compiles its pinned version once and
 * keeps it; there a field that its type has lost meanwhile is null.
 * A timer is a literal (ISO 8601: "PT24H", "P2D"; an instant) or FEEL that gives a days and time duration, a
 * text that is one, or a date and time; null is no timer.
 * Threads: immutable once made; evaluating is safe from any.  Layer: handle/flow; may use feel/. */
#pragma once
#include "handle/flow/model.h"

#include <jansson.h>

/* Field names that expressions may use, and the FEEL types they have ("string", "number" ...; "" = any). */
struct flow_name {
    struct str name, type;
};
#define FLOW_NAMES_MAX 400

struct flow_expressions;

/* Compiles all of them; the result lives in `arena` and borrows the model.  `pinned`: unknown names are null.
 * What is wrong goes to findings ("flow.condition_bad", "flow.name_unknown", "flow.timer") with the element's
 * line: then ERR_INVALID.  ERR_LIMIT more names than FLOW_NAMES_MAX.  ERR_NOMEM. */
MUST_CHECK enum err_code flow_expressions_new(struct arena *arena, const struct flow_model *model,
                                              const struct flow_name *names, int names_count, bool pinned,
                                              struct findings *findings, const struct flow_expressions **out,
                                              struct err *err);

/* Is the edge's condition true?  `vars` has "record", "case" and "task".  What is not true (false, null) is
 * false.  ERR_LIMIT it runs too long; ERR_NOMEM. */
MUST_CHECK enum err_code flow_condition(const struct flow_expressions *expressions, int edge,
                                        const json_t *vars, int64_t now_ms, bool *out_true, struct err *err);

enum flow_timer_kind { FLOW_TIMER_NONE, FLOW_TIMER_AFTER, FLOW_TIMER_AT };
struct flow_timer {
    enum flow_timer_kind kind;
    int64_t ms; /* a duration, or an instant */
};
/* Must it be evaluated with the record, or is it a literal (then `vars` may be NULL)? */
bool flow_timer_reads(const struct flow_expressions *expressions, int node);
/* ERR_INVALID "flow.timer" it gives something else; ERR_LIMIT; ERR_NOMEM. */
MUST_CHECK enum err_code flow_timer(const struct flow_expressions *expressions, int node, const json_t *vars,
                                    int64_t now_ms, struct flow_timer *out, struct err *err);
