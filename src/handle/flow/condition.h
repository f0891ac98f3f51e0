/* condition.h - the FEEL conditions of a flow.
 *
 * A condition reads the fields of the record by their names, `case` (id, state, service, level), `task`
 * (action, opinion, by) and the variables that the model declares.  Compiled when it is needed; a flow whose
 * conditions do not compile does not deploy (flow_conditions_check).
 * Threads: any.  Layer: handle/flow; may use feel/. */
#pragma once
#include "handle/flow/model.h"

#include <jansson.h>

/* Field names that conditions may use, and the FEEL types they have ("string", "number" ...; "" = any). */
struct flow_name {
    struct str name, type;
};

/* Compiles every condition; what is wrong goes to findings with the edge's line ("flow.condition_bad").
 * ERR_INVALID when there was any; ERR_NOMEM. */
MUST_CHECK enum err_code flow_conditions_check(const struct flow_model *model, const struct flow_name *names,
                                               int names_count, struct findings *findings, struct err *err);

/* Is it true?  `vars` has "record", "case" and "task".  What is not true (false, null) is false.
 * ERR_INVALID it does not compile; ERR_LIMIT it runs too long; ERR_NOMEM. */
MUST_CHECK enum err_code flow_condition(const struct flow_model *model, int edge, const json_t *vars,
                                        int64_t now_ms, bool *out_true, struct err *err);
