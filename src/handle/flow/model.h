/* model.h - a BPMN 2.0 process as a checked graph.
 *
 * Read once from XML (base/xml: no DTD, nothing fetched, bounded), checked, never changed afterwards.  What
 * the engine does not execute is refused by the element's name and line: nothing deploys and then does
 * nothing.  Kinds of nodes are a table (KINDS in model.c); an element is added by a row there and its
 * behaviour in run.c.  Every node carries its scope (0 = the process), so that sub-processes only add scopes.
 *
 * Our attributes stand in the namespace urn:bihuan:bpmn:1:
 *   on process:      variables="name:type ..."    names the conditions may use beside record, case, task
 *   on userTask:     form="field ..."             fields of the record shown and written in this step
 *                    required="field ..."         of these, what must not be empty to complete it
 *                    candidates="role:CODE rota:service rota:CODE user:LOGIN org:case starter previous owner"
 *                    actions="done return:accept" outcomes; with :NODE the task goes back to that step
 *                    reached="respond report:cause_report"   clocks that completing it (not returning)
 *                                                 reaches; with :FIELD only when that field is filled
 *                    limit="PT30M" or "clock:respond"   until when the step is due
 *                    state="handling"             state of the case while the token is here
 *                    handover="no"                may not be handed over
 *   on endEvent:     state="closed"
 *   on a timer:      calendar="service"           its duration counts working time of the service's calendar,
 *                    calendar="CODE"              of the calendar of that code; without: every minute
 * Threads: immutable; safe from any.  Layer: handle/flow. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define FLOW_NS "urn:bihuan:bpmn:1"
#define FLOW_XML_MAX ((size_t)2 << 20)
#define FLOW_NODES_MAX 500
#define FLOW_EDGES_MAX 1000
#define FLOW_LIST_MAX 40
#define FLOW_TEXT_MAX 2000

enum flow_kind {
    FLOW_START,
    FLOW_END,
    FLOW_USER_TASK,
    FLOW_EXCLUSIVE,
    FLOW_BOUNDARY_TIMER,
    FLOW_KIND__COUNT
};
/* "start", "end", "user_task" ... for pictures. */
const char *flow_kind_name(enum flow_kind kind);

struct flow_list {
    const struct str *items;
    int count;
};

struct flow_edge {
    struct str id, name;
    int from, to; /* nodes */
    int line;
    struct str condition; /* FEEL; empty = none */
    const struct flow_point {
        double x, y;
    } * points; /* of the picture */
    int points_count;
};

/* One outcome of a user task. */
struct flow_action {
    struct str code;
    int back_to; /* node, -1 = goes on */
};

struct flow_node {
    enum flow_kind kind;
    struct str id, name, doc;
    int line;
    int scope;
    const int *in, *out; /* edges */
    int in_count, out_count;
    int otherwise; /* the default edge of a gateway, -1 = none */

    int host;                  /* boundary event: the node it is attached to */
    bool interrupting;         /* boundary event */
    struct str timer;          /* ISO 8601 duration, or FEEL that gives one (expression.h) */
    struct str timer_date;     /* instead: an instant, or FEEL that gives one */
    struct str timer_calendar; /* "service", "always" or a calendar's code; empty = every minute */

    struct flow_list form, required, candidates;
    const struct flow_action *actions;
    int actions_count;
    unsigned reached; /* clocks, bits of enum sla_clock */
    const struct flow_reach {
        unsigned clock; /* a bit */
        struct str field;
    } * reached_if;
    int reached_if_count;
    struct str limit, state;
    bool handover;

    bool drawn;
    double x, y, width, height;
};

struct flow_variable {
    struct str name, type;
};

struct flow_model {
    struct str id, name;
    struct flow_node *nodes;
    struct flow_edge *edges;
    int nodes_count, edges_count;
    int start; /* node */
    const struct flow_variable *variables;
    int variables_count;
};

/* Reads and checks.  All that is wrong goes to `findings` with line and element; then ERR_INVALID or, when
 * the only trouble is an element that is not executed, ERR_UNSUPPORTED.  ERR_LIMIT, ERR_NOMEM.
 * The model lives in `arena`. */
MUST_CHECK enum err_code flow_model_read(struct arena *arena, struct str xml, struct findings *findings,
                                         const struct flow_model **out_model, struct err *err);

/* The node of that id, or -1. */
int flow_node_find(const struct flow_model *model, struct str id);
/* The boundary timers of a node: calls for each; index of the next one at or after `from`, -1 = no more. */
int flow_boundary_next(const struct flow_model *model, int host, int from);
/* The action of that code; NULL when the task has none.  A task without declared actions knows "done". */
const struct flow_action *flow_action_find(const struct flow_node *node, struct str code);
/* "PT30M", "P1DT2H"; weeks and days of 24 hours, no months.  false when it is none. */
bool flow_duration_parse(struct str text, int64_t *out_ms);
bool flow_list_has(const struct flow_list *list, struct str text);
