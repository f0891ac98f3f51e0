/* run.h - tokens moving over a model.
 *
 * Pure: it knows tokens and answers with effects (open a task, set a timer ...), which the caller writes in
 * the same transaction as the record's change.  A token waits in a user task; everything else it passes at
 * once.  The run is made from the stored tokens, moved by one call, and its tokens are stored again.
 * Invariant: when a call returns ERR_OK every token waits in a user task, and each waiting token has exactly
 * one open task and the timers of the task's boundary events.
 * Threads: one owner.  Layer: handle/flow. */
#pragma once
#include "handle/flow/model.h"

#define FLOW_TOKENS_MAX 64
#define FLOW_EFFECTS_MAX 512
#define FLOW_STEPS_MAX 2000 /* nodes passed in one call; more is a loop that never waits */

struct flow_token {
    int64_t id;
    int node;
    int64_t scope; /* id of the scope's token; 0 = the instance itself */
};

enum flow_effect_kind {
    FLOW_TASK_OPEN,    /* token waits in node */
    FLOW_TASK_DONE,    /* its task was completed or sent back; it is not open any more */
    FLOW_TASK_CANCEL,  /* interrupted, or the instance was stopped */
    FLOW_TIMER_SET,    /* node is the boundary event, token the waiting one */
    FLOW_TIMER_CANCEL, /* all timers of the token */
    FLOW_PASSED,       /* an edge was taken: for the picture and the timeline */
    FLOW_STATE,        /* the case's state becomes the node's */
    FLOW_ENDED,        /* no token is left; node is the end event, -1 when it was stopped */
};
struct flow_effect {
    enum flow_effect_kind kind;
    int64_t token;
    int node;
    int edge; /* FLOW_PASSED, else -1 */
};

struct flow_env {
    int64_t (*token_id)(void *ctx); /* a new id */
    /* Is the condition of this edge true?  An error stops the move. */
    enum err_code (*decide)(void *ctx, const struct flow_model *model, int edge, bool *out_true,
                            struct err *err);
    void *ctx;
};

struct flow_run {
    const struct flow_model *model;
    struct flow_token tokens[FLOW_TOKENS_MAX];
    int tokens_count;
    struct flow_effect effects[FLOW_EFFECTS_MAX];
    int effects_count;
};

/* A run without tokens. */
void flow_run_init(struct flow_run *run, const struct flow_model *model);

/* All of these: ERR_CONFLICT "flow.no_branch" when no condition of a gateway is true, "flow.no_token" when
 * the token is not there; ERR_LIMIT; what decide() returns.  On failure the run must be thrown away. */

/* Puts a token at `node` (-1 = the start event). */
MUST_CHECK enum err_code flow_run_start(struct flow_run *run, const struct flow_env *env, int node,
                                        struct err *err);
/* The token's task is done: it goes on. */
MUST_CHECK enum err_code flow_run_complete(struct flow_run *run, const struct flow_env *env, int64_t token,
                                           struct err *err);
/* The token's task is left towards another user task of the model (sent back). */
MUST_CHECK enum err_code flow_run_jump(struct flow_run *run, const struct flow_env *env, int64_t token,
                                       int node, struct err *err);
/* A boundary timer of the token's task is due. */
MUST_CHECK enum err_code flow_run_timer(struct flow_run *run, const struct flow_env *env, int64_t token,
                                        int boundary, struct err *err);
/* Takes all tokens away (the case is cancelled). */
MUST_CHECK enum err_code flow_run_stop(struct flow_run *run, struct err *err);
