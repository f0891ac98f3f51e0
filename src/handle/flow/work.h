/* work.h - one step of one case: begin (load row, model, tokens), move, end (write what moved: tasks, timers,
 * tokens, record, events, clocks, outbox, audit).
 *
 * A step that changes the record does so before the end, since the change may itself edit the clocks.
 * Threads: one owner.  Layer: handle/flow; not for others. */
#pragma once
#include "handle/flow/case_room.h"

#define CASE_PEOPLE_MAX 50

struct work {
    struct case_room *room;
    struct tx *tx;
    const struct case_step *step;
    struct case_row row;
    const struct flow_version *version;
    const struct flow_model *model; /* of the version */
    struct flow_run run;
    struct flow_env env;
    struct task_row *task; /* the one being worked, or NULL */
    struct str action;
    json_t *record; /* owned */
    int64_t now;
    const char *what; /* for audit and outbox: "case.completed" */
    json_t *opened;   /* ids of tasks that were opened; owned */
};

/* The program itself as the one who acts. */
extern const struct case_actor CASE_PROGRAM;

/* A new case, whose row its caller fills before the first event: model and environment are there. */
MUST_CHECK enum err_code work_new(struct work *work, struct case_room *room, struct tx *tx,
                                  const struct case_step *step, const struct case_row *row, struct err *err);
/* A case that is there.  work_done() also after a failure. */
MUST_CHECK enum err_code work_begin(struct work *work, struct case_room *room, struct tx *tx,
                                    const struct case_step *step, int64_t id, const char *what,
                                    struct err *err);
/* Writes all that moved. */
MUST_CHECK enum err_code work_end(struct work *work, struct err *err);
void work_done(struct work *work);

/* The record, read when somebody first asks. */
MUST_CHECK enum err_code work_record(struct work *work, struct err *err);
/* ERR_CONFLICT "case.closed". */
MUST_CHECK enum err_code work_needs_open(const struct work *work, struct err *err);
/* An event that no clock hears of, about the task in hand if there is one. */
MUST_CHECK enum err_code work_event(struct work *work, const char *what, struct err *err);
