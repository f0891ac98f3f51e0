/* run.c - how each kind of node behaves, as a table. */
#include "handle/flow/run.h"

#include <assert.h>

/* Enters a node with a token.  Sets *out_edge to the edge to go on by, or -1 when the token waits or is
 * gone. */
typedef enum err_code (*enter_fn)(struct flow_run *run, const struct flow_env *env, struct flow_token *token,
                                  int *out_edge, struct err *err);

static enum err_code enter_pass(struct flow_run *run, const struct flow_env *env, struct flow_token *token,
                                int *out_edge, struct err *err);
static enum err_code enter_end(struct flow_run *run, const struct flow_env *env, struct flow_token *token,
                               int *out_edge, struct err *err);
static enum err_code enter_task(struct flow_run *run, const struct flow_env *env, struct flow_token *token,
                                int *out_edge, struct err *err);
static enum err_code enter_exclusive(struct flow_run *run, const struct flow_env *env,
                                     struct flow_token *token, int *out_edge, struct err *err);
static enum err_code move(struct flow_run *run, const struct flow_env *env, int64_t token, int node,
                          struct err *err);
static enum err_code token_new(struct flow_run *run, const struct flow_env *env, int64_t *out_id,
                               struct err *err);
static struct flow_token *token_find(struct flow_run *run, int64_t id, struct err *err);
static enum err_code effect(struct flow_run *run, enum flow_effect_kind kind, int64_t token, int node,
                            int edge, struct err *err);
static enum err_code task_leave(struct flow_run *run, const struct flow_token *token,
                                enum flow_effect_kind kind, struct err *err);

/* clang-format off */
static const enter_fn ENTER[FLOW_KIND__COUNT] = {
    [FLOW_START]          = enter_pass,
    [FLOW_END]            = enter_end,
    [FLOW_USER_TASK]      = enter_task,
    [FLOW_EXCLUSIVE]      = enter_exclusive,
    [FLOW_BOUNDARY_TIMER] = enter_pass,
};
/* clang-format on */

void flow_run_init(struct flow_run *run, const struct flow_model *model)
{
    run->model = model;
    run->tokens_count = 0;
    run->effects_count = 0;
}

enum err_code flow_run_start(struct flow_run *run, const struct flow_env *env, int node, struct err *err)
{
    int64_t id = 0;
    const enum err_code rc = token_new(run, env, &id, err);
    return rc ? rc : move(run, env, id, node < 0 ? run->model->start : node, err);
}

enum err_code flow_run_complete(struct flow_run *run, const struct flow_env *env, int64_t token,
                                struct err *err)
{
    const struct flow_token *at = token_find(run, token, err);
    enum err_code rc;
    int edge;
    if (!at)
        return ERR_CONFLICT;
    assert(run->model->nodes[at->node].kind == FLOW_USER_TASK);
    rc = task_leave(run, at, FLOW_TASK_DONE, err);
    if (rc)
        return rc;
    edge = run->model->nodes[at->node].out[0];
    rc = effect(run, FLOW_PASSED, token, at->node, edge, err);
    return rc ? rc : move(run, env, token, run->model->edges[edge].to, err);
}

enum err_code flow_run_jump(struct flow_run *run, const struct flow_env *env, int64_t token, int node,
                            struct err *err)
{
    const struct flow_token *at = token_find(run, token, err);
    enum err_code rc;
    if (!at)
        return ERR_CONFLICT;
    rc = task_leave(run, at, FLOW_TASK_DONE, err);
    return rc ? rc : move(run, env, token, node, err);
}

enum err_code flow_run_timer(struct flow_run *run, const struct flow_env *env, int64_t token, int boundary,
                             struct err *err)
{
    const struct flow_node *node = &run->model->nodes[boundary];
    const struct flow_token *at = token_find(run, token, err);
    int64_t id = token;
    enum err_code rc;
    if (!at)
        return ERR_CONFLICT;
    assert(node->kind == FLOW_BOUNDARY_TIMER);
    if (node->host != at->node)
        return err_set(err, ERR_CONFLICT, "flow.no_token", ARG_END);
    rc = node->interrupting ? task_leave(run, at, FLOW_TASK_CANCEL, err) : token_new(run, env, &id, err);
    return rc ? rc : move(run, env, id, boundary, err);
}

enum err_code flow_run_stop(struct flow_run *run, struct err *err)
{
    for (int i = 0; i < run->tokens_count; i++) {
        const enum err_code rc = task_leave(run, &run->tokens[i], FLOW_TASK_CANCEL, err);
        if (rc)
            return rc;
    }
    run->tokens_count = 0;
    return effect(run, FLOW_ENDED, 0, -1, -1, err);
}

/* Walks until the token waits or is gone. */
static enum err_code move(struct flow_run *run, const struct flow_env *env, int64_t token, int node,
                          struct err *err)
{
    for (int steps = 0; steps < FLOW_STEPS_MAX; steps++) {
        struct flow_token *at = token_find(run, token, err);
        int edge = -1;
        enum err_code rc;
        if (!at)
            return ERR_CONFLICT;
        at->node = node;
        if (run->model->nodes[node].state.len) {
            rc = effect(run, FLOW_STATE, token, node, -1, err);
            if (rc)
                return rc;
        }
        rc = ENTER[run->model->nodes[node].kind](run, env, at, &edge, err);
        if (rc || edge < 0)
            return rc;
        rc = effect(run, FLOW_PASSED, token, node, edge, err);
        if (rc)
            return rc;
        node = run->model->edges[edge].to;
    }
    return err_set(err, ERR_LIMIT, "flow.endless", ARG_STR("what", run->model->nodes[node].id), ARG_END);
}

static enum err_code enter_pass(struct flow_run *run, const struct flow_env *env, struct flow_token *token,
                                int *out_edge, struct err *err)
{
    (void)env;
    (void)err;
    *out_edge = run->model->nodes[token->node].out[0];
    return ERR_OK;
}

static enum err_code enter_end(struct flow_run *run, const struct flow_env *env, struct flow_token *token,
                               int *out_edge, struct err *err)
{
    const int64_t id = token->id;
    const int node = token->node;
    (void)env;
    *token = run->tokens[--run->tokens_count];
    *out_edge = -1;
    return run->tokens_count ? ERR_OK : effect(run, FLOW_ENDED, id, node, -1, err);
}

static enum err_code enter_task(struct flow_run *run, const struct flow_env *env, struct flow_token *token,
                                int *out_edge, struct err *err)
{
    enum err_code rc = effect(run, FLOW_TASK_OPEN, token->id, token->node, -1, err);
    (void)env;
    *out_edge = -1;
    for (int b = flow_boundary_next(run->model, token->node, 0); !rc && b >= 0;
         b = flow_boundary_next(run->model, token->node, b + 1))
        rc = effect(run, FLOW_TIMER_SET, token->id, b, -1, err);
    return rc;
}

/* The first edge, in the order of the file, whose condition is true; else the default one. */
static enum err_code enter_exclusive(struct flow_run *run, const struct flow_env *env,
                                     struct flow_token *token, int *out_edge, struct err *err)
{
    const struct flow_node *node = &run->model->nodes[token->node];
    for (int i = 0; i < node->out_count; i++) {
        bool holds = true;
        if (node->out[i] == node->otherwise)
            continue;
        if (run->model->edges[node->out[i]].condition.len) {
            const enum err_code rc = env->decide(env->ctx, run->model, node->out[i], &holds, err);
            if (rc)
                return rc;
        }
        if (holds) {
            *out_edge = node->out[i];
            return ERR_OK;
        }
    }
    if (node->otherwise < 0)
        return err_set(err, ERR_CONFLICT, "flow.no_branch",
                       ARG_STR("what", node->name.len ? node->name : node->id), ARG_END);
    *out_edge = node->otherwise;
    return ERR_OK;
}

static enum err_code token_new(struct flow_run *run, const struct flow_env *env, int64_t *out_id,
                               struct err *err)
{
    if (run->tokens_count == FLOW_TOKENS_MAX)
        return err_set(err, ERR_LIMIT, "flow.too_many_tokens", ARG_INT("max", FLOW_TOKENS_MAX), ARG_END);
    *out_id = env->token_id(env->ctx);
    run->tokens[run->tokens_count++] = (struct flow_token) { .id = *out_id, .node = run->model->start };
    return ERR_OK;
}

static struct flow_token *token_find(struct flow_run *run, int64_t id, struct err *err)
{
    for (int i = 0; i < run->tokens_count; i++)
        if (run->tokens[i].id == id)
            return &run->tokens[i];
    (void)err_set(err, ERR_CONFLICT, "flow.no_token", ARG_END);
    return NULL;
}

static enum err_code effect(struct flow_run *run, enum flow_effect_kind kind, int64_t token, int node,
                            int edge, struct err *err)
{
    if (run->effects_count == FLOW_EFFECTS_MAX)
        return err_set(err, ERR_LIMIT, "flow.endless", ARG_STR("what", run->model->id), ARG_END);
    run->effects[run->effects_count++] = (struct flow_effect) { kind, token, node, edge };
    return ERR_OK;
}

static enum err_code task_leave(struct flow_run *run, const struct flow_token *token,
                                enum flow_effect_kind kind, struct err *err)
{
    const enum err_code rc = effect(run, kind, token->id, token->node, -1, err);
    return rc ? rc : effect(run, FLOW_TIMER_CANCEL, token->id, token->node, -1, err);
}
