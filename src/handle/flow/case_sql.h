/* case_sql.h - the rows of cases, tokens, tasks, timers, events and clocks.
 *
 * Plain loads and stores, no rules.  Texts of what is loaded live in tx_arena().
 * Layer: handle/flow, for this folder and handle/inbox. */
#pragma once
#include "handle/flow/run.h"
#include "handle/sla/replay.h"
#include "store/store.h"

struct case_row {
    int64_t id;
    struct str type;
    int64_t flow_version, sla_version;
    struct str state, service, level;
    int64_t opened_ms, closed_ms; /* closed: 0 while open */
    int64_t prior_id, starter_id;
    int64_t warned, breached; /* bits of clocks told already */
};

struct event_row {
    int64_t id, case_id, at_ms, made_ms, by_id;
    struct str by_name;
    enum sla_event_kind kind;
    struct str what; /* "opened", "claimed" ...: the words case.event.WHAT */
    unsigned clocks;
    bool workaround;
    struct str service, level;
    int64_t voids, task_id;
    struct str node, action, text;
    struct str data; /* JSON or empty */
};

enum task_state { TASK_OPEN, TASK_DONE, TASK_CANCELLED, TASK_STATE__COUNT };
const char *task_state_name(enum task_state state);

struct task_row {
    int64_t id, case_id, token;
    struct str node, name;
    enum task_state state;
    struct str may;
    int64_t assignee; /* 0 = nobody yet */
    struct str assignee_name;
    int64_t opened_ms, due_ms, done_ms; /* 0 = none */
    struct str action;
};

struct timer_row {
    int64_t id, case_id, token;
    struct str node;
    int64_t due_ms;
};

#define CASE_TASKS_MAX 2000

MUST_CHECK enum err_code case_row_load(struct tx *tx, int64_t id, struct case_row *out, struct err *err);
MUST_CHECK enum err_code case_row_insert(struct tx *tx, const struct case_row *row, struct err *err);
MUST_CHECK enum err_code case_row_update(struct tx *tx, const struct case_row *row, struct err *err);
/* Ids of open cases after `after`, ascending. */
MUST_CHECK enum err_code case_open_ids(struct tx *tx, int64_t after, int max, int64_t *out_ids,
                                       int *out_count, struct err *err);

MUST_CHECK enum err_code event_insert(struct tx *tx, const struct event_row *row, struct err *err);
/* All of a case in order of id. */
MUST_CHECK enum err_code event_list(struct tx *tx, int64_t case_id, struct event_row **out, int *out_count,
                                    struct err *err);

MUST_CHECK enum err_code token_list(struct tx *tx, int64_t case_id, const struct flow_model *model,
                                    struct flow_run *run, struct err *err);
/* Replaces the tokens of a case by those of the run. */
MUST_CHECK enum err_code token_store(struct tx *tx, int64_t case_id, const struct flow_run *run,
                                     struct err *err);

MUST_CHECK enum err_code task_insert(struct tx *tx, const struct task_row *row, struct err *err);
MUST_CHECK enum err_code task_update(struct tx *tx, const struct task_row *row, struct err *err);
MUST_CHECK enum err_code task_load(struct tx *tx, int64_t id, struct task_row *out, struct err *err);
MUST_CHECK enum err_code task_list(struct tx *tx, int64_t case_id, struct task_row **out, int *out_count,
                                   struct err *err);
MUST_CHECK enum err_code task_user_add(struct tx *tx, int64_t task, int64_t user, struct err *err);
/* Those who were added, at most `max`. */
MUST_CHECK enum err_code task_users(struct tx *tx, int64_t task, int64_t *out_users, int *out_count, int max,
                                    struct err *err);
MUST_CHECK enum err_code task_user_has(struct tx *tx, int64_t task, int64_t user, bool *out_has,
                                       struct err *err);

MUST_CHECK enum err_code flow_timer_insert(struct tx *tx, const struct timer_row *row, struct err *err);
MUST_CHECK enum err_code flow_timer_delete(struct tx *tx, int64_t id, struct err *err);
MUST_CHECK enum err_code flow_timer_delete_token(struct tx *tx, int64_t token, struct err *err);
MUST_CHECK enum err_code flow_timer_load(struct tx *tx, int64_t id, bool *out_found, struct timer_row *out,
                                         struct err *err);
MUST_CHECK enum err_code flow_timer_due(struct tx *tx, int64_t now_ms, int max, int64_t *out_ids,
                                        int *out_count, struct err *err);

/* Replaces the clocks of a case; those not agreed have no row. */
MUST_CHECK enum err_code clock_store(struct tx *tx, int64_t case_id, const struct sla_result *result,
                                     struct err *err);
/* A stored clock as text for comparing: "running own always 7 600000 0 ..."; "" when there is none. */
MUST_CHECK enum err_code clock_texts(struct tx *tx, int64_t case_id, struct str out[SLA_CLOCK__COUNT],
                                     struct err *err);
struct str clock_text_of(struct arena *arena, const struct sla_clock_state *clock);

/* due_ms 0 = no row. */
MUST_CHECK enum err_code due_store(struct tx *tx, int64_t case_id, int64_t due_ms, struct err *err);
MUST_CHECK enum err_code due_load(struct tx *tx, int64_t case_id, int64_t *out_due_ms, struct err *err);
MUST_CHECK enum err_code due_list(struct tx *tx, int64_t now_ms, int max, int64_t *out_ids, int *out_count,
                                  struct err *err);
/* The least of case_due and flow_timer; INT64_MAX = none. */
MUST_CHECK enum err_code due_next(struct tx *tx, int64_t *out_ms, struct err *err);

/* The version's id, made when that checksum is new. */
MUST_CHECK enum err_code flow_version_put(struct tx *tx, struct str flow, struct str checksum, struct str xml,
                                          int64_t new_id, int64_t now_ms, int64_t *out_id, struct err *err);
MUST_CHECK enum err_code flow_version_get(struct tx *tx, int64_t id, struct str *out_flow,
                                          struct str *out_xml, struct err *err);
MUST_CHECK enum err_code sla_version_put(struct tx *tx, struct str checksum, struct str snapshot,
                                         int64_t new_id, int64_t now_ms, int64_t *out_id, struct err *err);
MUST_CHECK enum err_code sla_version_get(struct tx *tx, int64_t id, struct str *out_snapshot,
                                         struct err *err);

/* The last case of an alarm; of a source the open one, else the last; 0 = none. */
MUST_CHECK enum err_code alarm_case(struct tx *tx, int64_t alarm, int64_t *out_case, bool *out_open,
                                    struct err *err);
MUST_CHECK enum err_code alarm_source_case(struct tx *tx, struct str source, int64_t *out_case,
                                           bool *out_open, struct err *err);
MUST_CHECK enum err_code alarm_insert(struct tx *tx, int64_t alarm, int64_t case_id, struct str source,
                                      int64_t now_ms, struct err *err);
